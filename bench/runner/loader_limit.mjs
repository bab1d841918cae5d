// What the load generator itself can take in: a server that sends what was made before costs next to nothing.

import { once } from 'node:events';
import net from 'node:net';

import { EVENT_BYTES, GRACE_SECONDS, startLoad } from './harness.mjs';

const EVENTS = 20_000;

const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n';

/** Events as natsflood numbers them, in frames of Sluice's size. */
function madeBefore() {
  const now = process.hrtime.bigint();
  const frame = (_, number) => {
    const start = `{"companyId":"c0","n":${number},"t":${now},"metricName":"load","value":0.85,"pad":"`;
    const data = `${start.padEnd(EVENT_BYTES - 2, 'x')}"}`;
    return `id: metrics.calculated-${number + 1}-${Date.now()}\nevent: metric_updated\ndata: ${data}\n\n`;
  };
  return Buffer.from(Array.from({ length: EVENTS }, frame).join(''));
}

/** Gives the deliveries a second that sseload reads and checks when `streams` sockets are always full. */
export async function loaderLimit(bench, streams) {
  const sockets = new Set();
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => socket.write(head));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address();
    const load = startLoad(bench, { port, plain: 1, streams, expect: EVENTS, 'linger-ms': 0, seconds: GRACE_SECONDS });
    await load.announced('READY');
    const events = madeBefore();
    const startedAt = performance.now();
    for (const socket of sockets) socket.write(events);
    await load.announced('DONE');
    const seconds = (performance.now() - startedAt) / 1000;
    return (await load.result()).deliveries / seconds;
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}
