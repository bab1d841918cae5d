// Does the peers' feeder bring on every event of NATS, whole and in order? A server of our own takes them, in its own time.
// Run: SSELOAD=build/bench/sseload node --test bench/natspost.test.mjs

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';

import { Tool, startNats, stopEverything, waitUntil } from './runner/processes.mjs';

const TOOLS = path.dirname(process.env.SSELOAD ?? 'build/bench/sseload');
const logFolder = mkdtempSync(path.join(os.tmpdir(), 'sluice-natspost-'));

after(async () => {
  await stopEverything();
  rmSync(logFolder, { recursive: true, force: true });
});

const startTool = (name, args) => new Tool(name, path.join(TOOLS, name), args.map(String), { logFolder });

/** Takes what is posted, and answers each as `statusOf` says. Gives what came, as `[path, text]`. */
async function startTaker(statusOf = () => 202) {
  const taken = [];
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      taken.push([request.url, Buffer.concat(parts).toString()]);
      response.writeHead(statusOf(taken.length)).end(`answer ${taken.length}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { taken, port: server.address().port, close: () => server.closeAllConnections() || server.close() };
}

/** Runs a flood through the feeder. Gives what both said, and what was taken. */
async function feed({ statusOf, flood = [] }) {
  const nats = await startNats(logFolder);
  const taker = await startTaker(statusOf);
  const feeder = startTool('natspost', ['--url', nats.url, '--port', taker.port, '--path', '/pub/c']);
  await feeder.announced('READY');
  const { sent } = await startTool('natsflood', ['--url', nats.url, ...flood]).result();
  await waitUntil(feeder, 'all were posted', () => taker.taken.length >= sent);
  await feeder.stop();
  taker.close();
  await nats.stop();
  return { sent, taken: taker.taken, said: await feeder.result() };
}

/** Publishes one event of any text, and returns when NATS has it. */
async function publish(nats, text) {
  const socket = net.connect(nats.port, '127.0.0.1');
  socket.write(`CONNECT {"verbose":false}\r\nPUB metrics.any ${Buffer.byteLength(text)}\r\n${text}\r\nPING\r\n`);
  for await (const part of socket) if (part.includes('PONG')) break;
}

const numbersOf = (taken, company) =>
  taken.filter(([url]) => url === `/pub/c${company}`).map(([, text]) => JSON.parse(text).n);

for (const size of [64, 256, 65536]) {
  test(`events of ${size} bytes come whole and in order, to the path of their company`, async () => {
    const { taken, said } = await feed({ flood: ['--count', 600, '--rate', 100000, '--companies', 3, '--size', size] });
    assert.deepEqual(said, { posted: 600, refused: 0, unreadable: 0 });
    assert.ok(taken.every(([, text]) => Buffer.byteLength(text) === size));
    const expected = Array.from({ length: 200 }, (_, number) => number);
    for (const company of [0, 1, 2]) assert.deepEqual(numbersOf(taken, company), expected);
  });
}

test('what the server refuses is counted', async () => {
  const { said } = await feed({ statusOf: (number) => (number % 4 === 0 ? 403 : 201), flood: ['--count', 400, '--rate', 100000] });
  assert.deepEqual(said, { posted: 400, refused: 100, unreadable: 0 });
});

test('an event without a company is counted, and those behind it come', async () => {
  const nats = await startNats(logFolder);
  const taker = await startTaker();
  const feeder = startTool('natspost', ['--url', nats.url, '--port', taker.port, '--path', '/pub/c']);
  await feeder.announced('READY');
  for (const text of ['', 'no JSON', '{"companyId":"acme"}', '{"companyId":"c']) await publish(nats, text);
  await startTool('natsflood', ['--url', nats.url, '--count', 1]).result();
  await waitUntil(feeder, 'the good one came', () => taker.taken.length >= 1);
  await feeder.stop();
  taker.close();
  assert.deepEqual(await feeder.result(), { posted: 1, refused: 0, unreadable: 4 });
});

test('a feeder whose server goes away ends', async () => {
  const nats = await startNats(logFolder);
  const taker = await startTaker();
  const feeder = startTool('natspost', ['--url', nats.url, '--port', taker.port]);
  await feeder.announced('READY');
  await startTool('natsflood', ['--url', nats.url, '--count', 1]).result();
  await waitUntil(feeder, 'it came', () => taker.taken.length === 1);
  taker.close();
  await feeder.exited;
  assert.equal((await feeder.result()).posted, 1);
});
