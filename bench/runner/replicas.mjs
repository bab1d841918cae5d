// Rows of several replicas on one NATS and one Redis: what an event costs all of them, and a replica's death.

import { setTimeout as sleep } from 'node:timers/promises';

import {
  AFTERWORK_MS,
  GRACE_SECONDS,
  LINGER_MS,
  OPEN_RATE,
  SETTLE_MS,
  commonFigures,
  introduceCompanies,
  makeHistory,
  mergeLoads,
  resumeOf,
  startFlood,
  startLoad,
  startMeter,
  startSluice,
  streamsOf,
  untilAppended,
  withServers,
} from './harness.mjs';
import { bareCostUs } from './redis_floor.mjs';
import { freePort, httpBody, redisCommand, untilReady, waitUntil } from './processes.mjs';

const IDLE_SECONDS = 5; // replicas renew some leases that seldom
const TAKEOVER_LIMIT_MS = 10_000;

async function metric(server, name) {
  const text = await httpBody(server.port, '/metrics');
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

async function findOwner(servers) {
  const owning = await Promise.all(servers.map((server) => metric(server, 'sluice_intake_owner')));
  return owning.filter((value) => value === 1).length === 1 ? servers[owning.indexOf(1)] : undefined;
}

/** Waits until one of them numbers the events and each has heard all the others. Gives that one first. */
async function settle(servers) {
  let owner;
  await waitUntil(servers[0], 'the replicas had one owner', async () => {
    const peers = await Promise.all(servers.map((server) => metric(server, 'sluice_replica_peers')));
    owner = await findOwner(servers);
    return owner && peers.every((count) => count === servers.length - 1);
  });
  return [owner, ...servers.filter((server) => server !== owner)];
}

/** Runs `use` with the row's replicas, the owner first. */
async function withReplicas(bench, row, use) {
  const ports = [];
  for (let i = 0; i < row.replicas; i++) ports.push(await freePort());
  const servers = ports.map((port) => startSluice(bench, row, port));
  return withServers(servers, async () => {
    await Promise.all(servers.map((server) => untilReady(server, server.port)));
    return use(await settle(servers));
  });
}

/** What a meter shows over what the same takes when nothing comes, in microseconds for each event. */
function costs(cpu, idle, events) {
  const perEvent = (busy, quiet) => (1e6 * (busy - (quiet / idle.seconds) * cpu.seconds)) / events;
  const [owner, ...followers] = cpu.servers.map((busy, at) => perEvent(busy, idle.servers[at]));
  return {
    redisUsPerEvent: perEvent(cpu.redis, idle.redis),
    ownerUsPerEvent: owner,
    followerUsPerEvent: followers.reduce((sum, cost) => sum + cost, 0) / followers.length,
    redisIdlePercent: (100 * idle.redis) / idle.seconds,
    replicaIdlePercent: (100 * idle.server) / idle.servers.length / idle.seconds,
  };
}

/** The same load on each server. Gives all of them together. */
function startLoads(bench, servers, options) {
  const loads = servers.map((server) => startLoad(bench, { port: server.port, 'linger-ms': LINGER_MS, ...options }));
  return {
    announced: (word) => Promise.all(loads.map((load) => load.announced(word))),
    result: async () => mergeLoads(await Promise.all(loads.map((load) => load.result()))),
  };
}

/** CPU while nothing comes, and what plain appends would cost Redis beside that. */
async function measureQuiet(bench, row, servers) {
  const seconds = Math.min(IDLE_SECONDS, bench.idleSeconds);
  const meter = startMeter(bench, ...servers);
  await sleep(seconds * 1000);
  const idle = meter();
  return { idle, redisFloorUs: await bareCostUs(bench, row, seconds, idle.redis / idle.seconds) };
}

/** A stream for each company at each replica, and events that all of them have to bring. */
export const runReplicas = (bench, row) =>
  withReplicas(bench, row, async (servers) => {
    const each = Math.ceil((row.rate * bench.seconds) / row.companies);
    const count = each * row.companies;
    await introduceCompanies(bench, row);
    const loads = startLoads(bench, servers, {
      streams: row.companies,
      companies: row.companies,
      rate: OPEN_RATE,
      expect: each,
      'warmup-ms': bench.warmupMs,
      // From here on: quiet time, plain appends, the events, and what is late.
      seconds: Math.ceil(3 * IDLE_SECONDS + bench.seconds + GRACE_SECONDS),
    });
    await loads.announced('READY');
    await sleep(2 * SETTLE_MS);
    const { idle, redisFloorUs } = await measureQuiet(bench, row, servers);

    const meter = startMeter(bench, ...servers);
    const flood = await startFlood(bench, { rate: row.rate, count, companies: row.companies }).result();
    await loads.announced('DONE');
    await sleep(AFTERWORK_MS);
    const cpu = meter();

    const owner = await findOwner(servers);
    return {
      ...costs(cpu, idle, count),
      redisFloorUs,
      ownerChanges: owner === servers[0] ? 0 : 1,
      publishedPerSecond: flood.rate,
      publisherDelayMs: flood.worst_delay_ms,
      ...commonFigures(await loads.result(), count * servers.length),
    };
  });

/** Gives the seconds until another holds the lease of the intake. Asks Redis: that costs the replicas nothing. */
async function untilTakenOver(bench, from) {
  const holder = () => redisCommand(bench.redisPort, 'HGET sluice:owner holder');
  const before = await holder();
  for (;;) {
    if ((await holder()) !== before) return (performance.now() - from) / 1000;
    if (performance.now() - from > TAKEOVER_LIMIT_MS) return NaN;
    await sleep(20);
  }
}

/** The owner dies, and all clients come to the others at once, each with an id of before. */
export const runTakeover = (bench, row) =>
  withReplicas(bench, row, async ([owner, ...survivors]) => {
    const each = Math.floor(streamsOf(row) / survivors.length);
    const streams = each * survivors.length;
    const ids = await makeHistory(bench, row, { port: owner.port });
    await untilAppended(bench, 'c0', row.history);
    await sleep(SETTLE_MS);

    const meter = startMeter(bench, ...survivors);
    owner.wasKilled = true;
    const takenOver = untilTakenOver(bench, performance.now());
    await owner.stop('SIGKILL');
    const loads = startLoads(bench, survivors, { streams: each, ...resumeOf(row, ids) });
    await loads.announced('DONE');
    await sleep(AFTERWORK_MS);
    const cpu = meter();

    const takeoverSeconds = await takenOver;
    const result = await loads.result();
    return {
      streams,
      takeoverSeconds,
      cpuUsPerClient: (1e6 * cpu.server) / streams,
      redisUsPerClient: (1e6 * cpu.redis) / streams,
      caughtUp: result.complete,
      allCaughtUpSeconds: result.complete_seconds ?? NaN,
      ...commonFigures(result, row.missing * streams),
      p50Ms: result.catch_up_ms.p50,
      p99Ms: result.catch_up_ms.p99,
      maxMs: result.catch_up_ms.max,
    };
  });
