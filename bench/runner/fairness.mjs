// What others do must not be felt: a company at full load beside another, thousands of its clients that come back at once, and a
// client that never reads among others.

import { setTimeout as sleep } from 'node:timers/promises';

import {
  LINGER_MS,
  commonFigures,
  faultsOf,
  makeHistory,
  mergeLoads,
  playLoad,
  resumeOf,
  startLoad,
  streamsOf,
} from './harness.mjs';

const RUSH_AT = 0.3; // of the time of the load

const costOf = (play) => (1e6 * play.cpu.server) / play.result.deliveries;

function compare(alone, beside, others = []) {
  const plays = [alone, beside, ...others];
  const all = mergeLoads(plays.map((play) => play.result));
  const expected = plays.reduce((total, play) => total + play.expected, 0);
  return {
    ...commonFigures(all, expected),
    p50Ms: beside.result.latency_ms.p50,
    p99Ms: beside.result.latency_ms.p99,
    maxMs: beside.result.latency_ms.max,
    p99AloneMs: alone.result.latency_ms.p99,
    p99RiseMs: beside.result.latency_ms.p99 - alone.result.latency_ms.p99,
    faults: faultsOf(all),
  };
}

/** The few events of c1, alone and while c0 has all that the row gives it. */
export async function runCrowd(bench, row, subject) {
  const quiet = { rate: row.rate, streams: row.streams, firstCompany: 1 };
  const alone = await playLoad(bench, subject, quiet);
  const [crowd, beside] = await Promise.all([playLoad(bench, subject, row.crowd), playLoad(bench, subject, quiet)]);
  return { ...compare(alone, beside, [crowd]), crowdP99Ms: crowd.result.latency_ms.p99 };
}

/** The clients of c0 come back together, when c1 has had its first events. */
async function comeBack(bench, { load }, rush, ids) {
  const streams = streamsOf(rush);
  await sleep(1000 * bench.seconds * RUSH_AT);
  const loader = startLoad(bench, { ...load, streams, 'linger-ms': LINGER_MS, ...resumeOf(rush, ids) });
  return { result: await loader.result(), expected: rush.missing * streams };
}

/** The few events of c1, alone and while clients of c0 come back at once. */
export async function runRush(bench, row, subject) {
  const quiet = { rate: row.rate, streams: row.streams, firstCompany: 1 };
  const ids = await makeHistory(bench, row.rush, subject.load);
  const alone = await playLoad(bench, subject, quiet);
  const [rush, beside] = await Promise.all([comeBack(bench, subject, row.rush, ids), playLoad(bench, subject, quiet)]);
  return { ...compare(alone, beside, [rush]), caughtUpSeconds: rush.result.complete_seconds ?? NaN };
}

/** The same load without and with streams that never read. */
export async function runSlow(bench, row, subject) {
  const alone = await playLoad(bench, subject, { rate: row.rate, streams: row.streams });
  const beside = await playLoad(bench, subject, { rate: row.rate, streams: row.streams, slow: row.slow });
  const costAloneUs = costOf(alone);
  const costUs = costOf(beside);
  return { ...compare(alone, beside), costUs, costAloneUs, costRise: costUs / costAloneUs };
}
