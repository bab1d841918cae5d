// How fast a stream of JetStream that is full of events gets into Redis.

import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';

import {
  AT_ONCE_RATE,
  GRACE_SECONDS,
  LINGER_MS,
  commonFigures,
  startFlood,
  startLoad,
  startMeter,
  startSluice,
  untilAppended,
  withServers,
} from './harness.mjs';
import { freePort, startNats, untilReady, waitUntil } from './processes.mjs';
import { cpuSeconds } from './proc.mjs';
import { natsRequest } from './nats.mjs';

const STREAM = 'LOAD';
const SUBJECTS = 'metrics.*';
const FILL_LIMIT_MS = 60_000;

async function askStream(nats, what, request = '') {
  const answer = JSON.parse(await natsRequest(nats.port, `$JS.API.STREAM.${what}.${STREAM}`, request));
  if (answer.error) throw new Error(`JetStream: ${what}: ${answer.error.description}`);
  return answer;
}

/** A stream on disk, as Sluice would make it, with all events in it. */
async function fillStream(bench, row, nats, events) {
  const config = { name: STREAM, subjects: [SUBJECTS], storage: 'file', num_replicas: 1 };
  await askStream(nats, 'CREATE', JSON.stringify(config));
  await startFlood(bench, { rate: row.fillRate, count: events, companies: row.companies }).result();
  const isFull = async () => (await askStream(nats, 'INFO')).state.messages === events;
  await waitUntil(nats, 'all events were in the stream', isFull, FILL_LIMIT_MS);
}

/** Every event once more, from a stream of each company: is all there, once and in order? */
function readBack(bench, row, port, each) {
  return startLoad(bench, {
    port,
    path: '/stream/updates?lastEventId=start-0-1&companyId=c',
    streams: row.companies,
    companies: row.companies,
    rate: AT_ONCE_RATE,
    expect: each,
    'linger-ms': LINGER_MS,
    seconds: GRACE_SECONDS,
  }).result();
}

async function measureIntake(bench, row, nats, events) {
  const each = events / row.companies;
  const port = await freePort();
  const meter = startMeter(bench, nats);
  const server = startSluice(bench, row, port, { NATS_STREAM: STREAM, NATS_SUBJECTS: SUBJECTS });
  return withServers([server], async () => {
    await untilAppended(bench, 'c0', 1);
    const firstAt = meter().seconds;
    for (let company = 0; company < row.companies; company++) await untilAppended(bench, `c${company}`, each);
    const cpu = meter();
    const serverCpu = cpuSeconds(server.pid);
    await untilReady(server, port);
    const result = await readBack(bench, row, port, each);
    return {
      events,
      beginSeconds: firstAt,
      eventsPerSecond: events / cpu.seconds,
      cpuUsPerEvent: (1e6 * serverCpu) / events,
      redisUsPerEvent: (1e6 * cpu.redis) / events,
      natsUsPerEvent: (1e6 * cpu.server) / events,
      ...commonFigures(result, events),
      // They waited in the stream for a time that says nothing.
      ...{ p50Ms: NaN, p99Ms: NaN, maxMs: NaN },
    };
  });
}

/** With a NATS of its own: the stream would take in the other rows' events, too. */
export async function runIntake(bench, row) {
  const folder = mkdtempSync(path.join(bench.logFolder, 'jetstream-'));
  const nats = await startNats(bench.logFolder, ['-js', '-sd', folder]);
  const own = { ...bench, natsUrl: nats.url };
  const events = bench.quick ? row.quickEvents : row.events;
  try {
    await fillStream(own, row, nats, events);
    return await measureIntake(own, row, nats, events);
  } finally {
    await nats.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
