// Everybody comes at once, and then one event goes to all of them.

import { setTimeout as sleep } from 'node:timers/promises';

import {
  AFTERWORK_MS,
  AT_ONCE_RATE,
  GRACE_SECONDS,
  LINGER_MS,
  commonFigures,
  startFlood,
  startLoad,
  startMeter,
  streamsOf,
} from './harness.mjs';

/** CPU for each stream to accept it, and for its one event. */
export async function runStorm(bench, row, { processes, load: reach }) {
  const streams = streamsOf(row);
  const openMeter = startMeter(bench, ...processes);
  const load = startLoad(bench, {
    ...reach,
    streams,
    rate: AT_ONCE_RATE,
    pending: row.pending,
    expect: 1,
    'warmup-ms': 0,
    'linger-ms': LINGER_MS,
    seconds: GRACE_SECONDS,
  });
  await load.announced('READY');
  await sleep(AFTERWORK_MS);
  const opening = openMeter();

  const sendMeter = startMeter(bench, ...processes);
  await startFlood(bench, { rate: 1, count: 1 }).result();
  await load.announced('DONE');
  await sleep(AFTERWORK_MS);
  const sending = sendMeter();

  const result = await load.result();
  return {
    streams,
    cpuUsPerStream: (1e6 * (opening.server + sending.server)) / streams,
    cpuUsPerOpen: (1e6 * opening.server) / streams,
    cpuUsPerSend: (1e6 * sending.server) / streams,
    opensPerSecond: result.connected / result.connect_seconds,
    ...commonFigures(result, streams),
    lastMs: result.latency_ms.max,
  };
}
