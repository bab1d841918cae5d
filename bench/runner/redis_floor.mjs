// The yardstick for what an event costs Redis: as many plain ZADDs, as far apart, of as many bytes.

import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { redisCommand } from './processes.mjs';
import { cpuSeconds } from './proc.mjs';

const MEMBER_BYTES = 320; // an event of 256 bytes with its number, subject and name
const TICK_MS = 1;

const argument = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
const command = (...parts) => `*${parts.length}\r\n${parts.map(argument).join('')}`;

const keyOf = (row, number) => `floor:${number % row.companies}`;

function bareAppend(row, number) {
  return command('ZADD', keyOf(row, number), String(number), `${number}|`.padEnd(MEMBER_BYTES, 'x'));
}

/** CPU of Redis for a plain ZADD at the row's rate, in microseconds; `idleShare` is the CPU that it takes anyway. */
export async function bareCostUs(bench, row, seconds, idleShare) {
  const count = row.rate * seconds;
  const socket = net.connect(bench.redisPort, '127.0.0.1').setNoDelay(true).resume();
  const [before, startedAt] = [cpuSeconds(bench.redis.pid), performance.now()];
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, ((performance.now() - startedAt) * row.rate) / 1000);
    let text = '';
    while (sent < due) text += bareAppend(row, sent++);
    if (text) socket.write(text);
    await sleep(TICK_MS);
  }
  const elapsed = (performance.now() - startedAt) / 1000;
  const spent = cpuSeconds(bench.redis.pid) - before - idleShare * elapsed;
  socket.destroy();
  const keys = Array.from({ length: row.companies }, (_, number) => keyOf(row, number));
  await redisCommand(bench.redisPort, `UNLINK ${keys.join(' ')}`);
  return (1e6 * spent) / count;
}
