// What the rows are made of: the servers under test, the tools that load them, meters, and what counts as a fault.

import http from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Process, Tool, freePort, redisCommand, untilReady } from './processes.mjs';
import { cpuSeconds, descriptorLimit, memoryKb } from './proc.mjs';
import { makeCredentials } from './tokens.mjs';

export const EVENT_BYTES = 256; // unless the row is about their size
const OTHER_DESCRIPTORS = 200;

export const OPEN_RATE = 5000; // streams a second, except where all come at once
export const AT_ONCE_RATE = 1_000_000;
export const SETTLE_MS = 500; // before the load, so that the start isn't in it
export const ALONE_MS = 3500; // after its start Sluice is not sure to be alone: events go through NATS once more
export const AFTERWORK_MS = 300; // after the last delivery: what the server still does for the load belongs to it
export const LINGER_MS = 700; // longer than the afterwork, so that closing the streams is never in the figure
export const GRACE_SECONDS = 20; // for deliveries that are late

/** As many streams as the row asks for, or as many as descriptors allow. */
export const streamsOf = (row) => Math.min(row.streams, descriptorLimit() - OTHER_DESCRIPTORS);

export function startTool(bench, name, options) {
  const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
  return new Tool(name, path.join(bench.tools, name), args, { logFolder: bench.logFolder });
}

export const startLoad = (bench, options) => startTool(bench, 'sseload', options);

/** What each event and each stream of a row with `gzip` are like: true compressed, false not, but for the same events. */
export const floodOf = (row) => (row.gzip === undefined ? {} : { varied: 1 });
export const loadOf = (row) => (row.gzip ? { gzip: 1 } : {});

export const startFlood = (bench, options) =>
  startTool(bench, 'natsflood', { url: bench.natsUrl, size: EVENT_BYTES, ...options });

/** The same tokens in each run: what is measured has not seen them, being started anew. */
export function credentialsOf(bench, row) {
  const made = (bench.credentials ??= new Map());
  if (!made.has(row.name)) made.set(row.name, makeCredentials(bench.logFolder, row));
  return made.get(row.name);
}

/** With nothing of the caller's environment but what a program needs to run, so that no setting leaks in. */
export function startSluice(bench, row, port, settings = {}) {
  const env = {
    PATH: process.env.PATH,
    PORT_ANALYTICS: String(port),
    BIND_ADDRESS: '127.0.0.1',
    NATS_URL: bench.natsUrl,
    REDIS_URL: bench.redisUrl,
    LOG_LEVEL: 'warn',
    ...credentialsOf(bench, row).settings,
    ...row.settings,
    ...settings,
    ...bench.environment,
  };
  const server = new Process('sluice', bench.sluice, [], { env, logFolder: bench.logFolder });
  server.port = port;
  return server;
}

/*
 * Who is measured is a *subject*: `processes`, the server first; `load`, the options by which sseload reaches it; `atEnd`,
 * a function that gives figures of its own once its processes have ended, where it has any.
 */

/** Sluice itself. */
export async function startSubject(bench, row) {
  const port = await freePort();
  const server = startSluice(bench, row, port);
  await untilReady(server, port);
  if (!bench.quick) await sleep(ALONE_MS);
  return { processes: [server], load: { port } };
}

/** The floor, which counts what full sockets refused. */
export async function startFloor(bench) {
  const port = await freePort();
  const server = startTool(bench, 'floor', { port, url: bench.natsUrl });
  await untilReady(server, port);
  return { processes: [server], load: { port }, atEnd: async () => ({ unsent: (await server.result()).unsent }) };
}

/** Runs `use`, then ends the servers. Gives its figures, with a fault for each server that did not end cleanly. */
export async function withServers(servers, use) {
  let figures;
  try {
    figures = await use();
  } catch (error) {
    throw new Error(`${error.message}\n--- ${servers[0].name} ---\n${servers[0].logTail()}`);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  for (const server of servers.filter((one) => one.outcome.code !== 0 && !one.wasKilled))
    figures.faults.push(`no clean end: ${server.failure('stopped').message}`);
  return figures;
}

/**
 * CPU of the servers and of Redis from here to the call of what it gives, in seconds: `server` of all servers together,
 * `servers` of each.
 */
export function startMeter(bench, ...servers) {
  const read = () => ({
    servers: servers.map((server) => cpuSeconds(server.pid)),
    redis: cpuSeconds(bench.redis.pid),
    at: performance.now(),
  });
  const before = read();
  return () => {
    const after = read();
    const each = after.servers.map((seconds, at) => seconds - before.servers[at]);
    return {
      server: sum(each),
      servers: each,
      redis: after.redis - before.redis,
      seconds: (after.at - before.at) / 1000,
    };
  };
}

/** What must never happen, whatever the speed. Told gaps are none of it: they lower "delivered". */
export function faultsOf(load) {
  const counts = {
    'events lost unsaid': load.missing_untold,
    [`events not there after ${GRACE_SECONDS} s`]: load.missing_at_end,
    'gaps that told another number than was missing': load.miscounted,
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

/**
 * Opens streams, publishes to them, and waits until all is there or too late. `load`: `streams`, `rate` in events a
 * second, and where they differ from the usual `companies`, `firstCompany`, `size` and `slow`. Gives what sseload and
 * natsflood counted, what had to arrive, and what the subject took for it.
 */
export async function playLoad(bench, { processes, load: reach }, load) {
  const { streams, rate, companies = 1, firstCompany = 0, slow = 0, size = EVENT_BYTES } = load;
  const each = Math.ceil((rate * bench.seconds) / companies);
  const memory = () => sum(processes.map((server) => memoryKb(server.pid)));
  const emptyKb = memory();
  const loader = startLoad(bench, {
    ...reach,
    streams: streams + slow,
    slow,
    companies,
    'first-company': firstCompany,
    rate: OPEN_RATE,
    expect: each,
    'warmup-ms': bench.warmupMs,
    'linger-ms': LINGER_MS,
    seconds: Math.ceil((each * companies) / rate + GRACE_SECONDS),
    ...loadOf(load),
  });
  await loader.announced('READY');
  await sleep(SETTLE_MS);

  const openKb = memory();
  const meter = startMeter(bench, ...processes);
  const flood = await startFlood(bench, {
    rate,
    count: each * companies,
    companies,
    'first-company': firstCompany,
    size,
    ...floodOf(load),
  }).result();
  await loader.announced('DONE');
  await sleep(AFTERWORK_MS);
  const cpu = meter();
  const loadedKb = memory();
  const expected = each * streams;
  return { flood, cpu, emptyKb, openKb, loadedKb, expected, result: await loader.result() };
}

const sum = (values) => values.reduce((total, one) => total + one, 0);

const highest = (objects) =>
  Object.fromEntries(Object.keys(objects[0]).map((key) => [key, Math.max(...objects.map((one) => one[key]))]));

/** The time of the last; null where one never got there. */
const longest = (times) => (times.includes(null) ? null : Math.max(...times));

function mergeFigure(key, values) {
  if (['connect_seconds', 'complete_seconds'].includes(key)) return longest(values);
  return typeof values[0] === 'object' ? highest(values) : sum(values);
}

/** What of sseload is asked for by clients that come back at once, each with the id in front of the last `missing` of `history`. */
export function resumeOf({ history, missing }, ids) {
  const first = history - missing;
  return { rate: AT_ONCE_RATE, first, expect: missing, seconds: GRACE_SECONDS, 'last-event-id': ids[first - 1] };
}

/** Several loads as one: counts are added up, of times the longest holds. */
export function mergeLoads(loads) {
  const keys = Object.keys(loads[0]);
  return Object.fromEntries(keys.map((key) => [key, mergeFigure(key, loads.map((load) => load[key]))]));
}

export function commonFigures(load, expected) {
  return {
    deliveredPercent: (100 * load.deliveries) / expected,
    gaps: load.gap_events,
    bytesPerDelivery: load.body_bytes / load.deliveries,
    missingTold: load.missing_told,
    missingUntold: load.missing_untold,
    missingAtEnd: load.missing_at_end,
    duplicates: load.duplicates,
    disorder: load.disorder,
    p50Ms: load.latency_ms.p50,
    p99Ms: load.latency_ms.p99,
    maxMs: load.latency_ms.max,
    loaderCpuSeconds: load.cpu_seconds,
    faults: faultsOf(load),
  };
}

/** Follows a stream and collects the ids of its events; control events carry none. */
function startProbe({ port, path: target = '/stream/updates?companyId=c', plain }) {
  const ids = [];
  let text = '';
  let ready;
  const isReady = new Promise((resolve) => (ready = resolve));
  const request = http.get({
    host: '127.0.0.1',
    port,
    path: `${target}0`,
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
    if (plain) ready();
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
export async function makeHistory(bench, row, reach) {
  const probe = startProbe(reach);
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

/** Waits until Redis holds so many events of a company, for as long as they become more. */
export async function untilAppended(bench, company, events) {
  let [last, lastAt] = [-1, Date.now()];
  for (;;) {
    const reply = await redisCommand(bench.redisPort, `HGET sluice:{${company}}:head seq`);
    const held = Number(reply.split('\r\n')[1] ?? 0);
    if (held >= events) return;
    if (held > last) [last, lastAt] = [held, Date.now()];
    if (Date.now() - lastAt > GRACE_SECONDS * 1000)
      throw new Error(`Redis has ${held} of ${events} events of ${company}`);
    await sleep(20);
  }
}

/** One event for each company, so that none is new to Sluice and to Redis when it is measured. */
export async function introduceCompanies(bench, { companies }) {
  await startFlood(bench, { rate: 1000, count: companies, companies }).result();
  for (let company = 0; company < companies; company++) await untilAppended(bench, `c${company}`, 1);
}
