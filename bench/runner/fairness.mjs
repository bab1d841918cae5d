// What others do must not be felt: a company at full load beside another, and a client that never reads among others.

import { commonFigures, faultsOf, mergeLoads, playLoad } from './harness.mjs';

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

/** The same load without and with streams that never read. */
export async function runSlow(bench, row, subject) {
  const alone = await playLoad(bench, subject, { rate: row.rate, streams: row.streams });
  const beside = await playLoad(bench, subject, { rate: row.rate, streams: row.streams, slow: row.slow });
  const costAloneUs = costOf(alone);
  const costUs = costOf(beside);
  return { ...compare(alone, beside), costUs, costAloneUs, costRise: costUs / costAloneUs };
}
