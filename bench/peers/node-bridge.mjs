// The Node.js bridge that many teams have: nats, ioredis, and one write for each client. A peer for the benchmark.
//
// As small as it usually is, but without what is usually wrong: an event is encoded once, a client that resumes misses
// nothing and gets nothing twice. It checks no tokens, bounds no memory and tells of no gap.

import http from 'node:http';
import Redis from 'ioredis';
import { connect } from 'nats';

const KEPT_EVENTS = 10_000;
const DAY_SECONDS = 24 * 3600;
const HEARTBEAT_MS = 30_000;

const redis = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true });
const nats = await connect({ servers: process.env.NATS_URL });
const clients = new Map(); // company → its streams
let number = 0;

const frame = (id, data) => `id: ${id}\nevent: metric_updated\ndata: ${data}\n\n`;

/** What was kept behind an id, written before anything live, which waits in `stream.waiting` meanwhile. */
async function resume(stream, company, lastId) {
  let last = Number(lastId);
  const kept = await redis.zrangebyscore(`node:${company}`, `(${last}`, '+inf', 'WITHSCORES');
  for (let i = 0; i < kept.length; i += 2) stream.response.write(frame((last = Number(kept[i + 1])), kept[i]));
  for (const [id, text] of stream.waiting) if (id > last) stream.response.write(text);
  stream.waiting = undefined;
}

const server = http.createServer((request, response) => {
  const company = new URL(request.url, 'http://localhost').searchParams.get('companyId');
  if (!company) return response.writeHead(400).end();
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  response.write(':ok\n\n');
  const lastId = request.headers['last-event-id'];
  const stream = { response, waiting: lastId ? [] : undefined };
  if (!clients.has(company)) clients.set(company, new Set());
  clients.get(company).add(stream);
  const heartbeat = setInterval(() => response.write(':heartbeat\n\n'), HEARTBEAT_MS);
  request.once('close', () => {
    clearInterval(heartbeat);
    clients.get(company).delete(stream);
  });
  if (lastId) resume(stream, company, lastId).catch(() => response.destroy());
});

async function take(message) {
  const text = message.string();
  const company = JSON.parse(text).companyId;
  const id = ++number;
  const key = `node:${company}`;
  redis.zadd(key, id, text);
  redis.zremrangebyrank(key, 0, -KEPT_EVENTS - 1);
  redis.expire(key, DAY_SECONDS);
  const encoded = frame(id, text);
  for (const { response, waiting } of clients.get(company) ?? []) {
    if (waiting) waiting.push([id, encoded]);
    else response.write(encoded);
  }
}

process.once('SIGTERM', () => process.exit(0));
nats.subscribe('metrics.*', { callback: (error, message) => !error && take(message) });
await nats.flush();
server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });
