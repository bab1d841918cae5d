// What a process costs, as the kernel counts it.

import { readFileSync, readdirSync } from 'node:fs';

/** The process and those that it started, as nginx does its workers. */
export function familyOf(pid) {
  const started = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return [pid, ...started.flatMap(familyOf)];
}

const sum = (values) => values.reduce((total, one) => total + one, 0);

const threadSeconds = (pid, thread) =>
  Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e9;

const memoryOf = (pid) => Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);

/**
 * CPU seconds of all threads that run, user and system, to the nanosecond: ticks are too coarse for a short run. Of the
 * process and those that it started.
 */
export const cpuSeconds = (pid) =>
  sum(familyOf(pid).flatMap((one) => readdirSync(`/proc/${one}/task`).map((thread) => threadSeconds(one, thread))));

/** Memory in KB of the same processes, shared pages counted by share. Sockets' kernel memory is not in it. */
export const memoryKb = (pid) => sum(familyOf(pid).map(memoryOf));

export function descriptorLimit() {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))[1];
  return hard === 'unlimited' ? Infinity : Number(hard);
}
