// What a process costs, as the kernel counts it.

import { readFileSync, readdirSync } from 'node:fs';

/** CPU seconds of all threads that run, user and system, to the nanosecond: ticks are too coarse for a short run. */
export function cpuSeconds(pid) {
  let total = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    total += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  }
  return total / 1e9;
}

/** Memory in KB, shared pages counted by share. Sockets' kernel memory is not in it. */
export function memoryKb(pid) {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)[1]);
}

export function descriptorLimit() {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))[1];
  return hard === 'unlimited' ? Infinity : Number(hard);
}
