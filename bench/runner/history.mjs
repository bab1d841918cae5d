// One company's long history is read from its beginning, while another company's events must not be late.

import { setTimeout as sleep } from 'node:timers/promises';

import {
  AT_ONCE_RATE,
  SETTLE_MS,
  commonFigures,
  faultsOf,
  mergeLoads,
  playLoad,
  startFlood,
  startLoad,
  startMeter,
  untilAppended,
} from './harness.mjs';
import { redisCommand } from './processes.mjs';

const READ_LIMIT_SECONDS = 600;

async function redisMegabytes(bench) {
  const info = await redisCommand(bench.redisPort, 'INFO memory');
  return Number(/^used_memory:(\d+)/m.exec(info)[1]) / 2 ** 20;
}

/** Events of c0, through NATS like any others, at a rate that Redis keeps up with. */
async function fillHistory(bench, row) {
  const events = bench.quick ? row.quickEvents : row.events;
  const [before, startedAt, sinceMs] = [await redisMegabytes(bench), performance.now(), Date.now()];
  await startFlood(bench, { rate: row.fillRate, count: events }).result();
  await untilAppended(bench, 'c0', events);
  const fillSeconds = (performance.now() - startedAt) / 1000;
  return { events, sinceMs, fillSeconds, redisMb: (await redisMegabytes(bench)) - before };
}

const readOnce = (bench, row, reach, history) =>
  startLoad(bench, {
    ...reach,
    path: `/stream/updates?since=${history.sinceMs}&companyId=c`,
    streams: row.readers,
    rate: AT_ONCE_RATE,
    expect: history.events,
    'connect-seconds': READ_LIMIT_SECONDS, // ready is who has read everything
    'linger-ms': 0,
  }).result();

/** Reads all of the history again and again until `other` is there. Gives what was read, and how fast. */
async function readUntil(bench, row, reach, history, other) {
  const [rounds, startedAt] = [[], performance.now()];
  let isOver = false;
  const over = () => (isOver = true);
  other.then(over, over);
  while (!isOver) rounds.push(await readOnce(bench, row, reach, history));
  return { rounds: rounds.length, seconds: (performance.now() - startedAt) / 1000, result: mergeLoads(rounds) };
}

export async function runHistory(bench, row, subject) {
  const history = await fillHistory(bench, row);
  const { events, fillSeconds, redisMb } = history;
  await sleep(SETTLE_MS);
  const otherLoad = { rate: row.rate, streams: row.streams, firstCompany: 1 };
  const alone = await playLoad(bench, subject, otherLoad);

  const meter = startMeter(bench, ...subject.processes);
  const other = playLoad(bench, subject, otherLoad);
  const reading = await readUntil(bench, row, subject.load, history, other);
  const beside = await other;
  const cpu = meter();

  const read = reading.result.deliveries;
  const both = mergeLoads([alone.result, beside.result, reading.result]);
  return {
    events,
    fillSeconds,
    redisMb,
    readsPerSecond: read / reading.seconds,
    readRounds: reading.rounds,
    cpuUsPerRead: (1e6 * cpu.server) / read,
    redisUsPerRead: (1e6 * cpu.redis) / read,
    ...commonFigures(both, alone.expected + beside.expected + events * row.readers * reading.rounds),
    p50Ms: beside.result.latency_ms.p50,
    p99Ms: beside.result.latency_ms.p99,
    maxMs: beside.result.latency_ms.max,
    p99AloneMs: alone.result.latency_ms.p99,
    p99RiseMs: beside.result.latency_ms.p99 - alone.result.latency_ms.p99,
    faults: faultsOf(both),
  };
}
