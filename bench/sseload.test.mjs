// Does the load generator notice? A server of our own breaks the rules one by one, in pieces of any size.
// Run: SSELOAD=build/bench/sseload node --test bench/sseload.test.mjs

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import zlib from 'node:zlib';

const SSELOAD = process.env.SSELOAD ?? 'build/bench/sseload';

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n';
const READY = 'retry: 2000\n\nevent: stream.ready\ndata: {"companyId":"c0","replayed":0}\n\nid: start-0-1\n\n';
const GAP = 'event: stream.gap\ndata: {"reason":"slow_consumer","missed":2}\n\n';

const now = () => process.hrtime.bigint();
const event = (n, { company = 'c0', t = now() } = {}) =>
  `id: metrics.a-${n + 1}-1700000000000\nevent: metric_updated\ndata: {"companyId":"${company}","n":${n},"t":${t}}\n\n`;
const chunk = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const chunked = (parts) => `${HEAD}Transfer-Encoding: chunked\r\n\r\n${parts.map(chunk).join('')}`;
const GZIP = 'Content-Encoding: gzip\r\n';

/** Each part by itself, as a stream gets them: what zlib gives out after each flush, and at its end. */
async function compress(parts) {
  const gzip = zlib.createGzip();
  const compressed = [];
  for (const part of parts) {
    gzip.write(part);
    await new Promise((resolve) => gzip.flush(zlib.constants.Z_SYNC_FLUSH, resolve));
    compressed.push(gzip.read());
  }
  gzip.end();
  await once(gzip, 'readable');
  compressed.push(gzip.read());
  return compressed;
}

const chunkedGzip = (parts) =>
  Buffer.concat([
    Buffer.from(`${HEAD}${GZIP}Transfer-Encoding: chunked\r\n\r\n`),
    ...parts.flatMap((part) => [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]),
  ]);
const bare = (parts) => `${HEAD}\r\n${parts.join('')}`;

/** Serves `response` to every stream in pieces of pieceBytes, and gives what sseload says of it. */
async function load(response, { args = [], pieceBytes = 1 << 20, close = false } = {}) {
  const requests = [];
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', async (request) => {
      requests.push(request.toString());
      const bytes = Buffer.from(response);
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        socket.write(bytes.subarray(at, at + pieceBytes));
        if (pieceBytes < bytes.length) await new Promise(setImmediate);
      }
      if (close) socket.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const options = ['--port', server.address().port, '--seconds', 1, '--linger-ms', 50, '--warmup-ms', 0, '--streams', 1];
  const child = spawn(SSELOAD, [...options, ...args].map(String));
  let output = '';
  child.stdout.on('data', (part) => (output += part));
  const [code] = await once(child, 'close');
  server.close();
  assert.equal(code, 0);
  return { ...JSON.parse(output), requests };
}

const CLEAN = { missing_told: 0, missing_untold: 0, missing_at_end: 0, miscounted: 0, duplicates: 0, disorder: 0, foreign: 0, unreadable: 0, protocol_errors: 0 };

function assertFigures(result, expected) {
  for (const [key, value] of Object.entries({ ...CLEAN, ...expected })) assert.equal(result[key], value, key);
}

const story = [READY, event(0), ': heartbeat\n\n', event(1) + event(2), event(3)];

for (const [name, framing] of Object.entries({ chunked, bare })) {
  for (const pieceBytes of [1, 2, 3, 7, 64, 1 << 20]) {
    test(`a clean ${name} stream is clean in pieces of ${pieceBytes} bytes`, async () => {
      const result = await load(framing(story), { pieceBytes, args: ['--expect', 4] });
      assertFigures(result, { connected: 1, deliveries: 4, heartbeats: 1, complete: 1, gap_events: 0 });
    });
  }
}

for (const pieceBytes of [1, 3, 64, 1 << 20]) {
  test(`a compressed stream is read as it comes, in pieces of ${pieceBytes} bytes`, async () => {
    const parts = await compress(story);
    for (const response of [chunkedGzip(parts), Buffer.concat([Buffer.from(`${HEAD}${GZIP}\r\n`), ...parts])]) {
      const result = await load(response, { pieceBytes, args: ['--expect', 4, '--gzip', 1] });
      assertFigures(result, { connected: 1, deliveries: 4, heartbeats: 1, complete: 1 });
      assert.match(result.requests[0], /\r\nAccept-Encoding: gzip\r\n/);
      assert.equal(result.body_bytes, parts.reduce((sum, part) => sum + part.length, 0));
    }
  });
}

test('without --gzip none is asked for', async () => {
  const result = await load(chunked(story), { args: ['--expect', 4] });
  assert.doesNotMatch(result.requests[0], /Accept-Encoding/i);
});

test('what is not gzip, or goes on behind its end, is a protocol error', async () => {
  const parts = await compress(story);
  assert.equal((await load(chunkedGzip(story.map((part) => Buffer.from(part))))).protocol_errors, 1);
  assert.equal((await load(chunkedGzip([...parts, Buffer.from('more')]))).protocol_errors, 1);
  const end = Buffer.from(parts.at(-1));
  end[end.length - 8] ^= 1; // of the checksum
  assert.equal((await load(chunkedGzip([...parts.slice(0, -1), end]))).protocol_errors, 1);
});

test('events and lines may be cut by chunks anywhere', async () => {
  const response = chunked([...story.join('')]);
  assertFigures(await load(response, { args: ['--expect', 4] }), { deliveries: 4, complete: 1 });
});

test('a chunk extension and a clean end are understood', async () => {
  const text = READY + event(0);
  const response = `${HEAD}transfer-encoding:chunked\r\n\r\n${text.length.toString(16)};a=b\r\n${text}\r\n0\r\n\r\n`;
  const result = await load(response, { args: ['--expect', 2], close: true });
  assertFigures(result, { deliveries: 1, closed: 1, complete: 0, complete_seconds: null, missing_at_end: 1 });
});

test('a hole without a gap event is lost unsaid', async () => {
  const result = await load(chunked([READY, event(0), event(3)]), { args: ['--expect', 4] });
  assertFigures(result, { deliveries: 2, missing_untold: 2, gap_events: 0 });
});

test('a hole behind a gap event is told, and only that one', async () => {
  const result = await load(chunked([READY, event(0), GAP, event(3), event(5)]), { args: ['--expect', 6] });
  assertFigures(result, { deliveries: 3, missing_told: 2, missing_untold: 1, gap_events: 1 });
});

test('a gap that tells another number than is missing is found', async () => {
  const withoutNumber = GAP.replace('"missed":2', '"missed":null');
  const told = async (...parts) => (await load(chunked([READY, event(0), ...parts]), { args: ['--expect', 9] })).miscounted;
  assert.equal(await told(GAP, event(3)), 0);
  assert.equal(await told(GAP, GAP, event(5)), 0);
  assert.equal(await told(GAP, event(2)), 1);
  assert.equal(await told(GAP, GAP, event(3), event(4)), 1);
  assert.equal(await told(GAP, event(1)), 1);
  assert.equal(await told(withoutNumber, GAP, event(7)), 0);
  assert.equal(await told(withoutNumber, event(2), GAP, event(4)), 1);
});

test('what is missing at the start and at the end counts', async () => {
  const result = await load(chunked([READY, event(1), event(2)]), { args: ['--expect', 5] });
  assertFigures(result, { deliveries: 2, missing_untold: 1, missing_at_end: 2, complete: 0 });
});

test('a repeated event is a duplicate, also after the last one', async () => {
  const result = await load(chunked([READY, event(0), event(0), event(1), event(0)]), { args: ['--expect', 2] });
  assertFigures(result, { deliveries: 2, duplicates: 2, complete: 1 });
});

test('an event that comes too late is disorder', async () => {
  const result = await load(chunked([READY, event(0), event(2), event(1)]), { args: ['--expect', 3] });
  assertFigures(result, { deliveries: 2, disorder: 1, missing_untold: 1 });
});

test("another company's event is foreign", async () => {
  const result = await load(chunked([READY, event(0, { company: 'c1' })]));
  assertFigures(result, { deliveries: 0, foreign: 1 });
});

test('an event that the publisher did not send is unreadable', async () => {
  assertFigures(await load(chunked([READY, 'data: hello\n\n'])), { deliveries: 0, unreadable: 1 });
});

for (const [what, broken] of Object.entries({
  'a size that is no number': 'xyz\r\n',
  'a chunk longer than its size': '2\r\nabc\r\n',
  'bytes behind the last chunk': '0\r\n\r\nmore',
})) {
  test(`${what} is a protocol error`, async () => {
    const result = await load(chunked([READY]) + broken);
    assertFigures(result, { connected: 0, failed: 1, protocol_errors: 1 });
  });
}

test('a refusal is a failed stream with its status', async () => {
  const result = await load('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n');
  assertFigures(result, { connected: 0, failed: 1, failed_status: 503 });
});

test('latency is measured from "t", without the warm-up', async () => {
  const t = now() - 250_000_000n;
  const response = chunked([READY, event(0, { t: t - 900_000_000n }), event(1, { t })]);
  const result = await load(response, { args: ['--expect', 2, '--warmup-ms', 500] });
  assert.equal(result.latency_ms.count, 1);
  assert.ok(result.latency_ms.p50 >= 250 && result.latency_ms.max < 2000, JSON.stringify(result.latency_ms));
});

test('a resuming stream sends its id and is timed until it has caught up', async () => {
  const response = chunked([event(7) + event(8), READY]);
  const args = ['--last-event-id', 'metrics.a-7-1700000000000', '--first', 7, '--expect', 2, '--streams', 3];
  const result = await load(response, { args });
  assertFigures(result, { complete: 3, deliveries: 6 });
  assert.equal(result.catch_up_ms.count, 3);
  assert.match(result.requests[0], /^Last-Event-ID: metrics\.a-7-1700000000000\r$/m);
});

test('streams are spread over companies', async () => {
  const result = await load(chunked([READY]), { args: ['--streams', 4, '--companies', 2] });
  const targets = result.requests.map((request) => request.split(' ')[1].slice(-2)).sort();
  assert.deepEqual(targets, ['c0', 'c0', 'c1', 'c1']);
});

test('companies may begin with another number, and events of that one are theirs', async () => {
  const response = chunked([READY, event(0, { company: 'c7' })]);
  const result = await load(response, { args: ['--first-company', 7, '--expect', 1] });
  assert.match(result.requests[0], /companyId=c7 /);
  assertFigures(result, { deliveries: 1 });
});

test('each stream brings the next token, from the first again behind the last', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sseload-test-'));
  const file = path.join(folder, 'tokens');
  writeFileSync(file, 'first.a.b\n\nsecond.c.d\n');
  try {
    const result = await load(chunked([READY]), { args: ['--streams', 4, '--tokens', file] });
    const tokens = result.requests.map((request) => /^Authorization: Bearer (.+)\r$/m.exec(request)?.[1]).sort();
    assert.deepEqual(tokens, ['first.a.b', 'first.a.b', 'second.c.d', 'second.c.d']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('of a server that knows no stream.ready the head is enough, but only if told so', async () => {
  const response = `${HEAD}\r\n`;
  assertFigures(await load(response, { args: ['--plain', 1] }), { connected: 1, failed: 0 });
  assertFigures(await load(response, { args: ['--plain', 0, '--connect-seconds', 1] }), { connected: 0, failed: 1 });
  assertFigures(await load(bare([event(0)]), { args: ['--plain', 1, '--expect', 1] }), { deliveries: 1, complete: 1 });
});

test('no more streams are asked for than may be pending', async () => {
  const args = ['--streams', 8, '--rate', 1_000_000, '--connect-seconds', 1];
  const unanswered = `${HEAD}\r\n`;
  assert.equal((await load(unanswered, { args: [...args, '--pending', 3] })).requests.length, 3);
  assert.equal((await load(unanswered, { args })).requests.length, 8);
  assert.equal((await load(chunked([READY]), { args: [...args, '--pending', 3] })).connected, 8);
});

test('without tokens no credentials are sent', async () => {
  const result = await load(chunked([READY]));
  assert.doesNotMatch(result.requests[0], /^Authorization:/im);
});

test('a file without tokens is an error, not a load without them', async () => {
  const child = spawn(SSELOAD, ['--tokens', '/dev/null']);
  const [code] = await once(child, 'close');
  assert.equal(code, 1);
});

test('a slow stream stops reading after the head', async () => {
  const much = Array.from({ length: 50_000 }, (_, n) => event(n));
  const result = await load(chunked([READY, ...much]), { args: ['--slow', 1] });
  assert.equal(result.connected, 1);
  assert.ok(result.deliveries < 5000, String(result.deliveries));
});
