// Compressed streams: who gets one, that each event can be read as soon as it is there, and that nothing else is different.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { assertExactly, assertPromise, numbersOf, payload, range } from '../support/events.mjs';
import { request } from '../support/http.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const company = 'acme';
const gzip = true;

/** What a burst is gathered into does not depend on the machine's speed: half of BUFFER_EVENTS leave together. */
const BURSTS = { FLUSH_WINDOW_MS: '200' };

e2e('Accept-Encoding decides, and HEAD tells the same', async (world) => {
  const { sluice } = await world.bridge();
  for (const [accepted, compressed] of [
    [undefined, false],
    ['', false],
    ['identity', false],
    ['br', false],
    ['gzip', true],
    ['gzip, deflate, br, zstd', true],
    ['gzip;q=0', false],
    ['gzip;q=0, *', false],
    ['*', true],
    ['identity, gzip;q=0.5', false],
    ['gzip;q=many', false],
  ]) {
    const headers = accepted === undefined ? [] : [['Accept-Encoding', accepted]];
    const target = `/stream/updates?companyId=${company}`;
    const head = await request(sluice.port, { method: 'HEAD', target, headers });
    assert.equal(head.status, 200);
    for (const version of ['1.1', '1.0']) {
      const client = await world.liveStream(sluice, { company, version, headers });
      for (const answer of [client.headers, head.headers]) {
        assert.equal(answer.get('Content-Encoding'), compressed ? 'gzip' : undefined, `${accepted} (${version})`);
        assert.deepEqual(answer.list('Vary'), ['accept-encoding']);
      }
      client.leave();
    }
  }
  // Twice is not a choice.
  const twice = await world.liveStream(sluice, { company, headers: [['Accept-Encoding', 'gzip'], ['Accept-Encoding', 'br']] });
  assert.equal(twice.headers.get('Content-Encoding'), undefined);
});

e2e('only streams are compressed', async (world) => {
  const { sluice } = await world.bridge();
  const headers = [['Accept-Encoding', 'gzip']];
  for (const target of ['/stream/health', '/stream/stats', '/metrics', '/nowhere', '/stream/updates']) {
    const answer = await request(sluice.port, { target, headers });
    assert.equal(answer.headers.get('Content-Encoding'), undefined, target);
    assert.notEqual(answer.body, '');
  }
});

e2e('COMPRESSION=off compresses for nobody', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { COMPRESSION: 'off' } });
  const client = await world.liveStream(sluice, { company, gzip });
  const head = await request(sluice.port, {
    method: 'HEAD',
    target: `/stream/updates?companyId=${company}`,
    headers: [['Accept-Encoding', 'gzip']],
  });
  for (const headers of [client.headers, head.headers]) {
    assert.equal(headers.get('Content-Encoding'), undefined);
    assert.deepEqual(headers.list('Vary'), []);
  }
  await publisher.publishRange(company, 1, 100);
  await client.untilEvents(100);
});

for (const version of ['1.1', '1.0']) {
  e2e(`each event can be read before the next one is there (HTTP/${version})`, async (world) => {
    const { sluice, publisher } = await world.bridge({ env: { HEARTBEAT_SECONDS: '1' } });
    const client = await world.liveStream(sluice, { company, version, gzip });
    // One that is stored as it is, and one that is compressed.
    for (let n = 1; n <= 10; n++) {
      await publisher.publish('metrics.calculated', payload(company, n, { text: 'x'.repeat(n % 2 ? 0 : 2000) }));
      await client.untilEvents(n);
    }
    await client.waitFor(() => client.blocks.at(-1).kind === 'comment', 'a heartbeat');
    assertExactly(client, range(1, 10));
  });
}

e2e('a burst takes a third of its bytes, and is compressed once for all streams', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: BURSTS });
  const plain = await world.liveStream(sluice, { company });
  const clients = [];
  for (let i = 0; i < 20; i++) clients.push(await world.liveStream(sluice, { company, gzip }));
  const before = [plain, ...clients].map((client) => client.socket.bytesRead);
  await publisher.publishRange(company, 1, 500);
  for (const client of [plain, ...clients]) await client.untilEvents(500);
  const [plainBytes, ...bytes] = [plain, ...clients].map((client, at) => client.socket.bytesRead - before[at]);
  for (const [at, client] of clients.entries()) {
    assertExactly(client, range(1, 500));
    assert.ok(bytes[at] <= 0.35 * plainBytes, `${bytes[at]} of ${plainBytes} bytes`);
    assert.deepEqual(client.events.map((event) => event.raw), plain.events.map((event) => event.raw));
  }
  const metrics = await sluice.metrics();
  const text = plain.events.reduce((sum, event) => sum + Buffer.byteLength(event.raw), 0);
  const compressed = metrics.value('sluice_compression_input_bytes_total');
  // Once; and here and there once more, where a second was over and what had been held was let go.
  assert.ok(compressed >= text && compressed < 2 * text, `${compressed} bytes were compressed of ${text}`);
  assert.ok(metrics.value('sluice_compression_output_bytes_total') <= 0.35 * compressed);
});

e2e('companies share nothing that is compressed', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: BURSTS });
  const acme = await world.liveStream(sluice, { company, gzip });
  const zinc = await world.liveStream(sluice, { company: 'zinc', gzip });
  await Promise.all([publisher.publishRange(company, 1, 200), publisher.publishRange('zinc', 1001, 1200)]);
  await acme.untilEvents(200);
  await zinc.untilEvents(200);
  for (const [client, name, first] of [
    [acme, company, 1],
    [zinc, 'zinc', 1001],
  ]) {
    assert.deepEqual(numbersOf(client.events), range(first, first + 199));
    for (const event of client.events) assert.equal(JSON.parse(event.data).companyId, name);
  }
});

e2e('a compressed stream is resumed without a hole, compressed or not', async (world) => {
  const { sluice, publisher } = await world.bridge({ store: 'redis', env: { RECENT_EVENTS: '16' } });
  const first = await world.liveStream(sluice, { company, gzip });
  await publisher.publishRange(company, 1, 300);
  await first.untilEvents(300);
  const after = first.events[9].id;
  first.leave();
  await publisher.publishRange(company, 301, 320);
  for (const compressed of [true, false, true]) {
    const client = await world.stream(sluice, { company, gzip: compressed, lastEventId: after });
    assert.equal(client.headers.get('Content-Encoding'), compressed ? 'gzip' : undefined);
    await client.untilEvents(310);
    assertExactly(client, range(11, 320));
    assert.deepEqual(client.gaps, []);
    client.leave();
  }
  const unknown = await world.stream(sluice, { company, gzip, lastEventId: 'never.was-1-1' });
  await unknown.ready();
  assert.equal(unknown.gaps.length, 1);
});

for (const overflow of ['gap', 'refill']) {
  e2e(`a client that does not read is served as without compression (OVERFLOW=${overflow})`, async (world) => {
    const env = { OVERFLOW: overflow, SOCKET_BUFFER_BYTES: '4096', BUFFER_EVENTS: '20' };
    const { sluice, publisher } = await world.bridge({ env });
    const neighbour = await world.liveStream(sluice, { company, gzip });
    const slow = await world.liveStream(sluice, { company, gzip });
    const count = 3000;
    slow.stopReading();
    // What cannot be compressed fills the socket.
    for (let n = 1; n <= count; n++) {
      const text = Array.from({ length: 40 }, (_, at) => Math.sin(n * 97 + at).toString(36).slice(3)).join('');
      await publisher.publish('metrics.calculated', payload(company, n, { text }));
      if (n % 10 === 0) await neighbour.untilEvents(n);
    }
    slow.readOn();
    await slow.waitFor(() => slow.events.at(-1)?.position.seq === count, `event ${count}`);
    assertExactly(neighbour, range(1, count));
    const missed = slow.gaps.reduce((sum, gap) => sum + gap.missed, 0);
    assert.equal(slow.events.length + missed, count);
    assert.equal(assertPromise(slow.blocks, { after: 0, until: count }), missed);
    if (overflow === 'refill') assert.deepEqual(slow.gaps, []);
    else assert.ok(missed > 0, 'nothing was dropped');
  });
}

for (const version of ['1.1', '1.0']) {
  e2e(`a shutdown ends a compressed stream with its checksum (HTTP/${version})`, async (world) => {
    const { sluice, publisher } = await world.bridge();
    const client = await world.liveStream(sluice, { company, version, gzip });
    await publisher.publishRange(company, 1, 200);
    await client.untilEvents(200);
    sluice.child.signal('SIGTERM');
    assert.equal((await client.untilControl('stream.closing')).reason, 'shutdown');
    await client.untilClosed();
    assert.ok(client.gunzip.complete);
    await sluice.checkExit();
  });
}

e2e('curl --compressed shows events as they come, and is content with the end', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const url = `http://127.0.0.1:${sluice.port}/stream/updates?companyId=${company}`;
  const curl = spawn('curl', ['--silent', '--show-error', '--no-buffer', '--compressed', '--include', url]);
  let shown = '';
  let errors = '';
  curl.stdout.on('data', (bytes) => (shown += bytes));
  curl.stderr.on('data', (bytes) => (errors += bytes));
  const ended = new Promise((resolve) => curl.once('close', resolve));
  world.own(async () => {
    curl.kill();
    await ended;
  });
  await eventually(() => shown.includes('event: stream.ready'), 'stream.ready');
  assert.match(shown, /^Content-Encoding: gzip\r$/m);
  for (let n = 1; n <= 10; n++) {
    await publisher.publish('metrics.calculated', payload(company, n, { text: 'x'.repeat(n % 2 ? 0 : 2000) }));
    await eventually(() => shown.includes(`"n":${n},`) || shown.includes(`"n":${n}}`), `event ${n}`);
  }
  await publisher.publishRange(company, 11, 200);
  await eventually(() => /"n":200\D/.test(shown), 'event 200');
  sluice.child.signal('SIGTERM');
  assert.equal(await ended, 0, errors); // a wrong or missing checksum is an error of curl's
  assert.match(shown, /event: stream\.closing/);
});
