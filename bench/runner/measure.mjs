// One run of one row: a fresh server, the load, and what both of them counted.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { runCrowd, runRush, runSlow } from './fairness.mjs';
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
  introduceCompanies,
  makeHistory,
  playLoad,
  resumeOf,
  startFloor,
  startFlood,
  startLoad,
  startMeter,
  startSubject,
  streamsOf,
  withServers,
} from './harness.mjs';
import { runHistory } from './history.mjs';
import { runIntake } from './intake.mjs';
import { loaderLimit } from './loader_limit.mjs';
import { peers } from './peers.mjs';
import { Process, freePort, redisCommand } from './processes.mjs';
import { familyOf, memoryKb } from './proc.mjs';
import { runReplicas, runTakeover } from './replicas.mjs';
import { runStorm } from './storm.mjs';

const OPENED_SECONDS = 1; // streams that were opened to be counted stay longer than the afterwork
const PROFILE_HZ = 999;
const PROFILE_START_MS = 300;
const LAST_EVENTS = 3; // to each idle stream, at the end, to see that it lives

const sum = (values) => values.reduce((total, one) => total + one, 0);

const memoryOf = ({ processes }) => sum(processes.map((server) => memoryKb(server.pid)));

/** Redis memory for each event of the first company that it holds; NaN where it holds none, as for the floor. */
async function redisBytesPerEvent(bench) {
  const ask = async (command) => Number((await redisCommand(bench.redisPort, command)).slice(1));
  const log = 'sluice:{c0}:log';
  return (await ask(`MEMORY USAGE ${log} SAMPLES 0`)) / (await ask(`ZCARD ${log}`));
}

async function runLive(bench, row, subject) {
  const streams = streamsOf(row);
  if (row.series) await introduceCompanies(bench, row);
  const play = await playLoad(bench, subject, { ...row, streams });
  const { flood, cpu, result } = play;
  return {
    streams,
    cpuUsPerDelivery: (1e6 * cpu.server) / result.deliveries,
    bridgeUsPerDelivery: (1e6 * sum(cpu.servers.slice(1))) / result.deliveries,
    cpuPercent: (100 * cpu.server) / cpu.seconds,
    redisUsPerEvent: (1e6 * cpu.redis) / flood.sent,
    ...(row.series ? { redisBytesPerEvent: await redisBytesPerEvent(bench) } : {}),
    memoryMb: play.loadedKb / 1024,
    kbPerStream: (play.openKb - play.emptyKb) / streams,
    kbPerStreamLoaded: (play.loadedKb - play.emptyKb) / streams,
    publishedPerSecond: flood.rate,
    publisherDelayMs: flood.worst_delay_ms,
    wantedPerSecond: play.expected / flood.seconds,
    ...commonFigures(result, play.expected),
    ...(row.showsLoaderLimit ? { loaderLimitPerSecond: await loaderLimit(bench, streams) } : {}),
  };
}

async function runOpen(bench, row, subject) {
  const streams = streamsOf(row);
  const before = memoryOf(subject);
  const load = startLoad(bench, {
    ...subject.load,
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

  const meter = startMeter(bench, ...subject.processes);
  await sleep(bench.idleSeconds * 1000);
  const idle = meter();
  const opened = memoryOf(subject); // heartbeats have been sent by now

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

async function runResume(bench, row, subject) {
  const streams = streamsOf(row);
  const ids = await makeHistory(bench, row, subject.load);
  await sleep(SETTLE_MS);

  const meter = startMeter(bench, ...subject.processes);
  const load = startLoad(bench, { ...subject.load, streams, 'linger-ms': LINGER_MS, ...resumeOf(row, ids) });
  await load.announced('DONE');
  await sleep(AFTERWORK_MS);
  const cpu = meter();

  const result = await load.result();
  return {
    streams,
    cpuUsPerClient: (1e6 * cpu.server) / streams,
    redisUsPerClient: (1e6 * cpu.redis) / streams,
    caughtUp: result.complete,
    allCaughtUpSeconds: result.complete_seconds ?? NaN,
    ...commonFigures(result, row.missing * streams),
    p50Ms: result.catch_up_ms.p50,
    p99Ms: result.catch_up_ms.p99,
    maxMs: result.catch_up_ms.max,
  };
}

async function runEnter(bench, row, subject) {
  const streams = streamsOf(row);
  const { file } = credentialsOf(bench, row);
  await sleep(SETTLE_MS);

  const openMeter = startMeter(bench, ...subject.processes);
  const load = startLoad(bench, {
    ...subject.load,
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

  const closeMeter = startMeter(bench, ...subject.processes);
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

/** How the row's subject is started: the floor, a peer, or Sluice. */
async function startOf(bench, row) {
  if (row.isFloor) return startFloor(bench);
  if (row.peer) return peers[row.peer].start(bench, await freePort());
  return startSubject(bench, row);
}

/** Samples the servers for as long as they are measured, where --perf asks for it. */
async function startProfile(bench, row, subject) {
  if (!bench.perf) return undefined;
  const file = path.join(bench.perf, `${row.name.replace('/', '-')}.perf`);
  const pids = subject.processes.flatMap((server) => familyOf(server.pid)).join();
  const args = ['record', '-q', '-F', String(PROFILE_HZ), '-o', file, '-p', pids];
  const profile = new Process('perf', 'perf', args, { logFolder: bench.logFolder });
  if (await Promise.race([profile.exited, sleep(PROFILE_START_MS)])) throw profile.failure('cannot sample');
  return profile;
}

/** One subject, started before and ended behind the load. */
const oneSubject = (run) => async (bench, row) => {
  const subject = await startOf(bench, row);
  const figures = await withServers(subject.processes, async () => {
    const profile = await startProfile(bench, row, subject);
    const measured = await run(bench, row, subject);
    await profile?.stop('SIGINT');
    return measured;
  });
  return { ...figures, ...(await subject.atEnd?.()) };
};

const kinds = {
  live: oneSubject(runLive),
  gzip: oneSubject(runLive),
  open: oneSubject(runOpen),
  resume: oneSubject(runResume),
  storm: oneSubject(runStorm),
  crowd: oneSubject(runCrowd),
  rush: oneSubject(runRush),
  slow: oneSubject(runSlow),
  enter: oneSubject(runEnter),
  history: oneSubject(runHistory),
  replicas: runReplicas,
  takeover: runTakeover,
  intake: runIntake,
};

/**
 * Runs a row once. Faults are part of the figures; only what could not be measured is an error, and of a peer that is a
 * fault too, since it says something of that peer alone.
 */
export async function measure(bench, row) {
  await redisCommand(bench.redisPort, 'FLUSHALL');
  try {
    return await kinds[row.kind](bench, row);
  } catch (error) {
    if (!row.peer) throw error;
    return { faults: [`not measured: ${error.message.split('\n')[0]}`] };
  }
}
