// As many messages as NATS takes, for one company, from a thread of its own: the clients here go on reading.

import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { connect } from 'nats';
import { eventually, pause } from '../support/wait.mjs';
import { eventBytes } from './publishers.mjs';

const FLOOD_END_MS = 60_000;
const WINDOW = 2000; // messages without an acknowledgement, with JetStream

async function send({ port, company, publisher, from, to, jetstream, fill }) {
  const connection = await connect({ servers: `127.0.0.1:${port}`, reconnect: false });
  const stream = jetstream ? connection.jetstream({ timeout: 20_000 }) : undefined;
  let answers = [];
  for (let n = from; n <= to; n++) {
    const bytes = eventBytes(company, publisher, n, fill);
    if (!stream) connection.publish('metrics.flood', bytes);
    else answers.push(stream.publish('metrics.flood', bytes));
    if (answers.length < WINDOW && n < to) continue;
    await Promise.all(answers);
    answers = [];
  }
  await connection.flush();
  await connection.close();
}

/** Publishes the next `count` events of `lane`. Gives the time that took in milliseconds. */
export async function flood({ lane, count, port, jetstream, fill = '' }) {
  const from = lane.sent + 1;
  lane.sent += count;
  const began = Date.now();
  const range = { from, to: lane.sent, company: lane.company, publisher: lane.publisher };
  const worker = new Worker(new URL(import.meta.url), { workerData: { ...range, port, jetstream, fill } });
  try {
    await Promise.race([
      once(worker, 'message'),
      once(worker, 'exit').then(() => {
        throw new Error('the flood ended early');
      }),
    ]);
    lane.confirm();
  } catch (error) {
    lane.doubt();
    throw error;
  } finally {
    await worker.terminate();
  }
  return Date.now() - began;
}

/**
 * Publishes single events of `lane` until `seen()`: the last ones of a flood may be behind a gap, which only an event
 * behind them shows.
 */
export async function endFlood({ lane, port, jetstream, seen }) {
  await eventually(
    async () => {
      await flood({ lane, count: 1, port, jetstream });
      await pause(300);
      return seen();
    },
    'the end of the flood to be seen',
    FLOOD_END_MS,
  );
}

if (!isMainThread && workerData?.company !== undefined) {
  await send(workerData);
  parentPort.postMessage('done');
}
