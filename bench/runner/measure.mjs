// One run of one row: a fresh server, the load, and what both of them counted.

import { setTimeout as sleep } from 'node:timers/promises';

import {
  AFTERWORK_MS,
  AT_ONCE_RATE,
  GRACE_SECONDS,
  LINGER_MS,
  OPEN_RATE,
  SETTLE_MS,
  commonFigures,
  credentialsOf,
  faultsOf,
  floodOf,
  loadOf,
  makeHistory,
  startFloor,
  startFlood,
  startLoad,
  startMeter,
  startSluice,
  streamsOf,
  withServers,
} from './harness.mjs';
import { runHistory } from './history.mjs';
import { runIntake } from './intake.mjs';
import { runReplicas, runTakeover } from './replicas.mjs';
import { freePort, redisCommand, untilReady } from './processes.mjs';
import { memoryKb } from './proc.mjs';

const OPENED_SECONDS = 1; // streams that were opened to be counted stay longer than the afterwork
const LAST_EVENTS = 3; // to each idle stream, at the end, to see that it lives

async function runLive(bench, row, server, port) {
  const count = Math.round(row.rate * bench.seconds);
  const load = startLoad(bench, {
    port,
    streams: row.streams,
    rate: OPEN_RATE,
    expect: count,
    'warmup-ms': bench.warmupMs,
    'linger-ms': LINGER_MS,
    seconds: Math.ceil(bench.seconds + GRACE_SECONDS),
    ...loadOf(row),
  });
  await load.announced('READY');
  await sleep(SETTLE_MS);

  const meter = startMeter(bench, server);
  const flood = await startFlood(bench, { rate: row.rate, count, ...floodOf(row) }).result();
  await load.announced('DONE');
  await sleep(AFTERWORK_MS);
  const cpu = meter();
  const memory = memoryKb(server.pid);

  const result = await load.result();
  return {
    cpuUsPerDelivery: (1e6 * cpu.server) / result.deliveries,
    cpuPercent: (100 * cpu.server) / flood.seconds,
    redisUsPerEvent: (1e6 * cpu.redis) / flood.sent,
    memoryMb: memory / 1024,
    publishedPerSecond: flood.rate,
    publisherDelayMs: flood.worst_delay_ms,
    ...commonFigures(result, count * row.streams),
  };
}

async function runOpen(bench, row, server, port) {
  const streams = streamsOf(row);
  const before = memoryKb(server.pid);
  const load = startLoad(bench, {
    port,
    streams,
    companies: row.companies,
    rate: OPEN_RATE,
    expect: LAST_EVENTS,
    'warmup-ms': 0,
    'linger-ms': LINGER_MS,
    seconds: Math.ceil(bench.idleSeconds + GRACE_SECONDS),
  });
  await load.announced('READY');
  await sleep(2 * SETTLE_MS);
  const opened = memoryKb(server.pid);

  const meter = startMeter(bench, server);
  await sleep(bench.idleSeconds * 1000);
  const idle = meter();

  const count = LAST_EVENTS * row.companies;
  await startFlood(bench, { rate: count, count, companies: row.companies }).result();
  const result = await load.result();
  return {
    streams,
    kbPerStream: (opened - before) / result.connected,
    connectSeconds: result.connect_seconds,
    idleCpuPercent: (100 * idle.server) / idle.seconds,
    idleSeconds: idle.seconds,
    heartbeats: result.heartbeats,
    ...commonFigures(result, LAST_EVENTS * streams),
  };
}

async function runResume(bench, row, server, port) {
  const streams = streamsOf(row);
  const first = row.history - row.missing;
  const ids = await makeHistory(bench, row, port);
  await sleep(SETTLE_MS);

  const meter = startMeter(bench, server);
  const load = startLoad(bench, {
    port,
    streams,
    rate: AT_ONCE_RATE,
    first,
    expect: row.missing,
    'linger-ms': LINGER_MS,
    seconds: GRACE_SECONDS,
    'last-event-id': ids[first - 1],
  });
  await load.announced('DONE');
  await sleep(AFTERWORK_MS);
  const cpu = meter();

  const result = await load.result();
  return {
    streams,
    cpuUsPerClient: (1e6 * cpu.server) / streams,
    redisUsPerClient: (1e6 * cpu.redis) / streams,
    caughtUp: result.complete,
    allCaughtUpSeconds: result.complete_seconds,
    ...commonFigures(result, row.missing * streams),
    p50Ms: result.catch_up_ms.p50,
    p99Ms: result.catch_up_ms.p99,
    maxMs: result.catch_up_ms.max,
  };
}

async function runEnter(bench, row, server, port) {
  const streams = streamsOf(row);
  const { file } = credentialsOf(bench, row);
  await sleep(SETTLE_MS);

  const openMeter = startMeter(bench, server);
  const load = startLoad(bench, {
    port,
    streams,
    companies: row.companies,
    rate: AT_ONCE_RATE,
    pending: row.pending,
    seconds: OPENED_SECONDS,
    ...(file ? { tokens: file } : {}),
  });
  await load.announced('READY');
  await sleep(AFTERWORK_MS);
  const opening = openMeter();

  const closeMeter = startMeter(bench, server);
  const result = await load.result();
  await sleep(AFTERWORK_MS);
  const closing = closeMeter();
  return {
    streams,
    cpuUsPerOpen: (1e6 * opening.server) / streams,
    cpuUsPerClose: (1e6 * closing.server) / streams,
    redisUsPerOpen: (1e6 * opening.redis) / streams,
    opensPerSecond: result.connected / result.connect_seconds,
    connectSeconds: result.connect_seconds,
    loaderCpuSeconds: result.cpu_seconds,
    faults: faultsOf(result),
  };
}

/** One server, started before and ended behind the load. */
const oneServer = (run) => async (bench, row) => {
  const port = await freePort();
  const server = startSluice(bench, row, port);
  return withServers([server], async () => {
    await untilReady(server, port);
    return run(bench, row, server, port);
  });
};

const kinds = {
  live: oneServer(runLive),
  gzip: oneServer(runLive),
  open: oneServer(runOpen),
  resume: oneServer(runResume),
  enter: oneServer(runEnter),
  history: oneServer(runHistory),
  replicas: runReplicas,
  takeover: runTakeover,
  intake: runIntake,
};

async function measureFloor(bench, row) {
  const port = await freePort();
  const server = await startFloor(bench, port);
  const figures = await withServers([server], () => runLive(bench, row, server, port));
  return { ...figures, unsent: (await server.result()).unsent };
}

/** Runs a row once. Faults are part of the figures; only what could not be measured is an error. */
export async function measure(bench, row, { isFloor }) {
  if (isFloor) return measureFloor(bench, row);
  await redisCommand(bench.redisPort, 'FLUSHALL');
  return kinds[row.kind](bench, row);
}
