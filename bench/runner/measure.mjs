// One run of one row: a fresh server, the load, and what both of them counted.

import http from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Process, Tool, freePort, redisCommand, untilReady } from './processes.mjs';
import { cpuSeconds, descriptorLimit, memoryKb } from './proc.mjs';
import { makeCredentials } from './tokens.mjs';

const EVENT_BYTES = 256;
const OPEN_RATE = 5000; // streams a second, except where all come at once
const AT_ONCE_RATE = 1_000_000;
const SETTLE_MS = 500; // before the load, so that the start isn't in it
const AFTERWORK_MS = 300; // after the last delivery: what the server still does for the load belongs to it
const LINGER_MS = 700; // longer than the afterwork, so that closing the streams is never in the figure
const GRACE_SECONDS = 20; // for deliveries that are late
const OTHER_DESCRIPTORS = 200;
const OPENED_SECONDS = 1; // streams that were opened to be counted stay longer than the afterwork
const LAST_EVENTS = 3; // to each idle stream, at the end, to see that it lives

function startTool(bench, name, options) {
  const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
  return new Tool(name, path.join(bench.tools, name), args, { logFolder: bench.logFolder });
}

const startFlood = (bench, options) =>
  startTool(bench, 'natsflood', { url: bench.natsUrl, size: EVENT_BYTES, ...options });

async function startFloor(bench, port) {
  const server = startTool(bench, 'floor', { port, url: bench.natsUrl });
  await untilReady(server, port);
  return server;
}

/** With nothing of the caller's environment but what a program needs to run, so that no setting leaks in. */
async function startSluice(bench, port, settings) {
  const env = {
    PATH: process.env.PATH,
    PORT_ANALYTICS: String(port),
    BIND_ADDRESS: '127.0.0.1',
    NATS_URL: bench.natsUrl,
    REDIS_URL: bench.redisUrl,
    LOG_LEVEL: 'warn',
    ...settings,
    ...bench.environment,
  };
  await redisCommand(bench.redisPort, 'FLUSHALL');
  const server = new Process('sluice', bench.sluice, [], { env, logFolder: bench.logFolder });
  await untilReady(server, port);
  return server;
}

/** CPU of the server and of Redis from here to the call of what it gives, in seconds. */
function startMeter(bench, server) {
  const read = () => ({ server: cpuSeconds(server.pid), redis: cpuSeconds(bench.redis.pid), at: performance.now() });
  const before = read();
  return () => {
    const after = read();
    return {
      server: after.server - before.server,
      redis: after.redis - before.redis,
      seconds: (after.at - before.at) / 1000,
    };
  };
}

/** What must never happen, whatever the speed. Told gaps are none of it: they lower "delivered". */
function faultsOf(load) {
  const counts = {
    'events lost unsaid': load.missing_untold,
    'out of order': load.disorder,
    duplicates: load.duplicates,
    "another company's events": load.foreign,
    'unreadable events': load.unreadable,
    'protocol errors': load.protocol_errors,
    'streams refused or never ready': load.failed,
    'streams closed by the server': load.closed,
  };
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${count} ${what}`);
}

function commonFigures(load, expected) {
  return {
    deliveredPercent: (100 * load.deliveries) / expected,
    gaps: load.gap_events,
    missingTold: load.missing_told,
    missingUntold: load.missing_untold,
    duplicates: load.duplicates,
    disorder: load.disorder,
    p50Ms: load.latency_ms.p50,
    p99Ms: load.latency_ms.p99,
    maxMs: load.latency_ms.max,
    loaderCpuSeconds: load.cpu_seconds,
    faults: faultsOf(load),
  };
}

async function runLive(bench, row, server, port) {
  const count = Math.round(row.rate * bench.seconds);
  const load = startTool(bench, 'sseload', {
    port,
    streams: row.streams,
    rate: OPEN_RATE,
    expect: count,
    'warmup-ms': bench.warmupMs,
    'linger-ms': LINGER_MS,
    seconds: Math.ceil(bench.seconds + GRACE_SECONDS),
  });
  await load.announced('READY');
  await sleep(SETTLE_MS);

  const meter = startMeter(bench, server);
  const flood = await startFlood(bench, { rate: row.rate, count }).result();
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
  const streams = Math.min(row.streams, descriptorLimit() - OTHER_DESCRIPTORS);
  const before = memoryKb(server.pid);
  const load = startTool(bench, 'sseload', {
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

/** Follows a stream and collects the ids of its events; control events carry none. */
function startProbe(port) {
  const ids = [];
  let text = '';
  let ready;
  const isReady = new Promise((resolve) => (ready = resolve));
  const request = http.get({
    host: '127.0.0.1',
    port,
    path: '/stream/updates?companyId=c0',
    headers: { Accept: 'text/event-stream' },
    agent: false,
  });
  const readBlock = (block) => {
    if (/^event: ?stream\.ready$/m.test(block)) ready();
    const id = /^id: ?(.+)$/m.exec(block)?.[1];
    if (id && /^data:/m.test(block)) ids.push(id);
  };
  request.on('error', () => {});
  request.on('response', (response) => {
    response.on('error', () => {});
    response.setEncoding('utf8').on('data', (part) => {
      const blocks = (text + part).split('\n\n');
      text = blocks.pop();
      blocks.forEach(readBlock);
    });
  });
  return { ids, isReady, stop: () => request.destroy() };
}

/** Publishes the history that the clients will have missed a part of. Gives its ids in order. */
async function makeHistory(bench, row, port) {
  const probe = startProbe(port);
  try {
    await Promise.race([probe.isReady, sleep(10_000)]);
    await startFlood(bench, { rate: row.history, count: row.history }).result();
    for (let waits = 0; probe.ids.length < row.history && waits < 200; waits++) await sleep(25);
    if (probe.ids.length !== row.history) throw new Error(`the probe got ${probe.ids.length} of ${row.history} events`);
    return probe.ids;
  } finally {
    probe.stop();
  }
}

async function runResume(bench, row, server, port) {
  const streams = Math.min(row.streams, descriptorLimit() - OTHER_DESCRIPTORS);
  const first = row.history - row.missing;
  const ids = await makeHistory(bench, row, port);
  await sleep(SETTLE_MS);

  const meter = startMeter(bench, server);
  const load = startTool(bench, 'sseload', {
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
  const streams = Math.min(row.streams, descriptorLimit() - OTHER_DESCRIPTORS);
  const { file } = credentialsOf(bench, row);
  await sleep(SETTLE_MS);

  const openMeter = startMeter(bench, server);
  const load = startTool(bench, 'sseload', {
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

const kinds = { live: runLive, open: runOpen, resume: runResume, enter: runEnter };

/** The same tokens in each run: what is measured has not seen them, being started anew. */
function credentialsOf(bench, row) {
  const made = (bench.credentials ??= new Map());
  if (!made.has(row.name)) made.set(row.name, makeCredentials(bench.logFolder, row));
  return made.get(row.name);
}

/** Runs a row once. Faults are part of the figures; only what could not be measured is an error. */
export async function measure(bench, row, { isFloor }) {
  const port = await freePort();
  const server = await (isFloor ? startFloor(bench, port) : startSluice(bench, port, credentialsOf(bench, row).settings));
  let figures;
  try {
    figures = await kinds[row.kind](bench, row, server, port);
  } catch (error) {
    throw new Error(`${error.message}\n--- ${server.name} ---\n${server.logTail()}`);
  } finally {
    await server.stop();
  }
  if (isFloor) figures.unsent = (await server.result()).unsent;
  else if (server.outcome.code !== 0) figures.faults.push(`no clean end: ${server.failure('stopped').message}`);
  return figures;
}
