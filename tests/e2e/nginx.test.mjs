// Behind a real nginx with the configuration of deploy/production: streams are not delayed, who calls is known, and what is
// for inside stays inside.

import assert from 'node:assert/strict';
import http2 from 'node:http2';
import zlib from 'node:zlib';
import { Authority } from '../support/certificates.mjs';
import { numbersOf, payload, range } from '../support/events.mjs';
import { request } from '../support/http.mjs';
import { CLIENT_ADDRESS, Nginx } from '../support/nginx.mjs';
import { SseParser } from '../support/sse.mjs';
import { bearer, JWT_ENV, token } from '../support/tokens.mjs';
import { eventually, within } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const ENV = { ...JWT_ENV, TRUSTED_PROXIES: '127.0.0.1', RETRY_MS: '100' };

async function behindNginx(world, { env, ...options } = {}) {
  const bridge = await world.bridge({ ...options, env: { ...ENV, ...env } });
  const authority = new Authority();
  world.own(() => authority.dispose());
  const nginx = new Nginx(bridge.sluice, authority);
  world.own(() => nginx.dispose());
  await nginx.start();
  return { ...bridge, nginx };
}

async function openStream(world, nginx, options = {}) {
  const client = await nginx.stream({ company: 'acme', ...options });
  world.clients.push(client);
  return client;
}

function untilEstablished(sluice, user) {
  return sluice.untilLog(
    (line) => line.message === 'SSE connection established' && line.userId === user,
    `the stream of ${user} in the log`,
  );
}

e2e('events come through nginx one by one, not when a buffer is full', async (world) => {
  const { nginx, publisher } = await behindNginx(world);
  const headers = [bearer(token({ companyId: 'acme' }))];
  const client = await openStream(world, nginx, { headers });
  assert.equal(client.status, 200, client.errorBody);
  await client.ready();
  // Each is awaited before the next is published: a buffer anywhere would hold the first one back for ever.
  for (let n = 1; n <= 5; n++) {
    await publisher.publish('metrics.calculated', payload('acme', n));
    await client.untilEvents(n);
  }
  assert.deepEqual(numbersOf(client.events), range(1, 5));
});

function http2Session(world, nginx) {
  const session = http2.connect(`https://localhost:${nginx.port}`, {
    ca: nginx.ca,
    lookup: (name, options, done) => done(null, options.all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4),
  });
  world.own(() => session.destroy());
  session.on('error', () => {}); // it is destroyed at the end
  return session;
}

/** Asks for a stream. `seen` has the response's headers, and the names of what is pushed to its parser. */
function streamOverHttp2(session, headers = {}) {
  const stream = session.request({
    ':path': '/stream/updates?companyId=acme',
    authorization: `Bearer ${token({ companyId: 'acme' })}`,
    ...headers,
  });
  const seen = { names: [], headers: undefined };
  seen.parser = new SseParser({ onBlock: (block) => block.event && seen.names.push(block.event) });
  stream.on('response', (answered) => {
    seen.headers = answered;
  });
  stream.on('error', () => {});
  return { stream, seen };
}

e2e('events come one by one over HTTP/2 too', async (world) => {
  const { nginx, publisher } = await behindNginx(world);
  const session = http2Session(world, nginx);
  const streams = range(1, 8).map(() => {
    const { stream, seen } = streamOverHttp2(session);
    stream.on('data', (bytes) => seen.parser.push(bytes));
    return seen;
  });
  // More at once than a browser would open over HTTP/1.1.
  for (const seen of streams) await eventually(() => seen.names.includes('stream.ready'), 'stream.ready');
  for (const seen of streams) assert.equal(seen.headers[':status'], 200);
  for (let n = 1; n <= 3; n++) {
    await publisher.publish('metrics.calculated', payload('acme', n));
    const count = (seen) => seen.names.filter((name) => name === 'metric_updated').length;
    for (const seen of streams) await eventually(() => count(seen) === n, `event ${n}`);
  }
});

e2e('compressed events come through nginx one by one too, compressed by Sluice alone', async (world) => {
  const { nginx, sluice, publisher } = await behindNginx(world);
  const headers = [bearer(token({ companyId: 'acme' }))];
  const client = await openStream(world, nginx, { headers, gzip: true });
  const plain = await openStream(world, nginx, { headers });
  assert.deepEqual(client.headers.list('Content-Encoding'), ['gzip']);
  assert.ok(client.headers.list('Vary').includes('accept-encoding'));
  assert.equal(plain.headers.get('Content-Encoding'), undefined);
  await client.ready();
  await plain.ready();
  for (let n = 1; n <= 6; n++) {
    // One that is stored as it is, and one that is compressed.
    await publisher.publish('metrics.calculated', payload('acme', n, { text: 'x'.repeat(n % 2 ? 0 : 2000) }));
    await client.untilEvents(n);
    await plain.untilEvents(n);
  }
  await publisher.publishRange('acme', 7, 300);
  await client.untilEvents(300);
  assert.deepEqual(numbersOf(client.events), range(1, 300));
  sluice.child.signal('SIGTERM');
  assert.equal((await client.untilControl('stream.closing')).reason, 'shutdown');
  await client.waitFor(() => client.chunks.done, 'the last chunk');
  client.socket.end();
  await client.untilClosed();
  assert.ok(client.gunzip.complete);
});

e2e('compressed events come one by one over HTTP/2', async (world) => {
  const { nginx, publisher } = await behindNginx(world);
  const { stream, seen } = streamOverHttp2(http2Session(world, nginx), { 'accept-encoding': 'gzip, deflate, br' });
  const gunzip = zlib.createGunzip();
  gunzip.on('data', (text) => seen.parser.push(text));
  gunzip.on('error', () => {}); // it is cut at the end
  stream.on('data', (bytes) => gunzip.write(bytes));
  await eventually(() => seen.names.includes('stream.ready'), 'stream.ready');
  assert.equal(seen.headers['content-encoding'], 'gzip');
  for (let n = 1; n <= 4; n++) {
    await publisher.publish('metrics.calculated', payload('acme', n, { text: 'x'.repeat(n % 2 ? 0 : 2000) }));
    await eventually(() => seen.names.filter((name) => name === 'metric_updated').length === n, `event ${n}`);
  }
});

e2e('Last-Event-ID and Authorization pass', async (world) => {
  const { nginx, sluice, publisher } = await behindNginx(world, { store: 'redis' });
  const headers = [bearer(token({ companyId: 'acme', sub: 'u1' }))];
  const first = await openStream(world, nginx, { headers });
  await first.ready();
  await publisher.publishRange('acme', 1, 10);
  await first.untilEvents(10);
  const second = await openStream(world, nginx, { headers, lastEventId: first.events[3].id });
  await second.untilEvents(6);
  assert.deepEqual(numbersOf(second.events), range(5, 10));
  assert.deepEqual(second.gaps, []);
  await untilEstablished(sluice, 'u1');
  const without = await openStream(world, nginx);
  assert.equal(without.status, 401);
  assert.match(without.head.headers.get('WWW-Authenticate'), /^Bearer /);
  const other = await openStream(world, nginx, { company: 'globex', headers });
  assert.equal(other.status, 403);
});

e2e('the log has the client’s address, and nobody can invent another one', async (world) => {
  // Only what nginx says counts: a trusted proxy that passed on what clients write would make these addresses the client's.
  const { nginx, sluice } = await behindNginx(world, { env: { MAX_CONNECTIONS_PER_ADDRESS: '5' } });
  const spoofs = [
    ['plain', []],
    ['for', [['X-Forwarded-For', '203.0.113.7']]],
    ['many', [['X-Forwarded-For', '203.0.113.7, 198.51.100.9'], ['X-Forwarded-For', '192.0.2.1']]],
    ['forwarded', [['Forwarded', 'for=203.0.113.7']]],
    ['both', [['Forwarded', 'for=203.0.113.7'], ['X-Forwarded-For', '203.0.113.7'], ['X-Real-IP', '203.0.113.7']]],
  ];
  for (const [user, headers] of spoofs) {
    const client = await openStream(world, nginx, {
      headers: [bearer(token({ companyId: 'acme', sub: user })), ...headers],
    });
    await client.ready();
    const line = await untilEstablished(sluice, user);
    assert.equal(line.address, CLIENT_ADDRESS, user);
  }
  // They all counted as one address, so that one more is too many.
  const headers = [bearer(token({ companyId: 'acme', sub: 'more' })), ['X-Forwarded-For', '203.0.113.8']];
  const refused = await openStream(world, nginx, { headers });
  assert.equal(refused.status, 429);
});

e2e('Sluice believes nginx alone: the address that it sends is the client’s', async (world) => {
  // Without nginx between, the same header is believed from a trusted peer and not from another one.
  const { sluice } = await world.bridge({ env: ENV });
  const stranger = await world.sluice({ env: { ...JWT_ENV, TRUSTED_PROXIES: '192.0.2.0/24' }, until: null });
  for (const [target, expected] of [
    [sluice, '203.0.113.7'],
    [stranger, '127.0.0.1'],
  ]) {
    const user = `via-${expected}`;
    const headers = [bearer(token({ companyId: 'acme', sub: user })), ['X-Forwarded-For', '203.0.113.7']];
    await world.liveStream(target, { company: 'acme', headers });
    assert.equal((await untilEstablished(target, user)).address, expected);
  }
});

e2e('metrics, stats and health are not reachable from outside', async (world) => {
  const env = { ADMIN_BIND_ADDRESS: '127.0.0.1', ADMIN_PORT: '0', JWT_ADMIN_CLAIM: 'admin' };
  const { nginx, sluice } = await behindNginx(world, { env });
  const headers = [bearer(token({ companyId: 'acme', admin: true }))];
  const targets = [
    '/metrics',
    '/stream/stats',
    '/stream/health',
    '/stream/health/live',
    '//metrics',
    '/stream/../metrics',
    '/stream/updates/../stats',
    '/stream/updates/../../metrics',
    '/stream/%2e%2e/metrics',
    '/%6detrics',
    '/metrics?x=/stream/updates',
    '/stream/updates/metrics',
    '/',
  ];
  for (const target of targets) {
    const answer = await nginx.request({ target, headers });
    assert.equal(answer.status, 404, target);
    assert.doesNotMatch(answer.text, /sluice_|connectionsByCompany|activeConnections/, target);
  }
  assert.equal((await nginx.request({ target: '/stream/health/ready' })).status, 200);
  // Inside they are there.
  const { port } = await sluice.untilLog((line) => line.message === 'Administrators are listened to', 'the admin port');
  assert.match((await request(port, '/metrics')).body, /^sluice_connections /m);
});

e2e('a ticket opens a stream through nginx, reopens it, and is in no log', async (world) => {
  const { nginx, sluice, publisher } = await behindNginx(world);
  const headers = [bearer(token({ companyId: 'acme', sub: 'u1' })), ['Content-Length', '0']];
  const answer = await nginx.request({ method: 'POST', target: '/stream/ticket', headers });
  assert.equal(answer.status, 200, answer.text);
  const { ticket, expiresIn } = answer.json();
  assert.ok(expiresIn > 0 && expiresIn <= 30);
  const agent = [['User-Agent', 'a browser']];
  const query = [['ticket', ticket]];
  const first = await openStream(world, nginx, { query, headers: agent });
  const { ticket: successor } = await first.ready();
  assert.match(successor, /^slt_/);
  await publisher.publishRange('acme', 1, 3);
  await first.untilEvents(3);
  first.leave();
  await sluice.untilLog((line) => line.message === 'SSE connection closed', 'the end of the first stream');
  // As EventSource does it: the same URL again, with the id.
  const second = await eventually(async () => {
    const client = await openStream(world, nginx, { query, headers: agent, lastEventId: first.events[2].id });
    await client.waitFor(() => client.blocks.some((block) => block.event === 'stream.ready') || client.closed, 'a word');
    return client.controls('stream.ready').length > 0 && client;
  }, 'the stream to open again');
  assert.deepEqual(second.gaps, []);
  const stranger = await openStream(world, nginx, { query, headers: [['User-Agent', 'another browser']] });
  assert.equal(stranger.status, 401);
  const third = await openStream(world, nginx, { query: [['ticket', successor]], headers: agent });
  await third.ready();
  // A Sluice that dies makes nginx say which request it cut: not with its query.
  await sluice.crash();
  await third.waitFor(() => third.closed, 'the end of the stream');
  await nginx.request({ target: `/stream/updates?ticket=${successor}`, headers: agent });
  await nginx.stop();
  for (const secret of [ticket, successor]) {
    assert.ok(!nginx.log.includes(secret), `nginx logged a ticket:\n${nginx.log}`);
    assert.ok(!sluice.child.stderr.includes(secret), 'Sluice logged a ticket');
  }
  assert.match(nginx.log, /GET \/stream\/updates 200 /);
});

e2e('a client that leaves is noticed behind nginx, and an orderly end reaches clients', async (world) => {
  const { nginx, sluice } = await behindNginx(world);
  const headers = [bearer(token({ companyId: 'acme' }))];
  const leaving = await openStream(world, nginx, { headers });
  const staying = await openStream(world, nginx, { headers });
  await leaving.ready();
  await staying.ready();
  leaving.leave();
  await sluice.untilLog((line) => line.message === 'SSE connection closed' && line.reason === 'client', 'the close');
  sluice.child.signal('SIGTERM');
  assert.equal((await staying.untilControl('stream.closing')).reason, 'shutdown');
  await within(sluice.checkExit(), 'Sluice to end');
  // nginx keeps the connection for further requests: the answer's last chunk is the end.
  await staying.waitFor(() => staying.chunks.done, 'the last chunk');
});

e2e('where no Sluice answers, a stream is told to come back, and nothing else is', async (world) => {
  const { nginx, sluice } = await behindNginx(world);
  const headers = [bearer(token({ companyId: 'acme' }))];
  await sluice.stop();
  const away = await openStream(world, nginx, { headers });
  assert.equal(away.status, 200);
  assert.equal(away.headers.get('Content-Type'), 'text/event-stream');
  assert.match(away.headers.get('Cache-Control'), /no-cache/);
  await away.untilWhole();
  assert.deepEqual(away.blocks.map((block) => block.retry), [5000]);
  assert.equal(away.headers.get('Access-Control-Allow-Origin'), undefined);
  const page = await openStream(world, nginx, { headers: [...headers, ['Origin', 'https://dashboards.example.com']] });
  await page.untilWhole();
  assert.equal(page.headers.get('Access-Control-Allow-Origin'), 'https://dashboards.example.com');
  assert.equal(page.headers.get('Access-Control-Allow-Credentials'), 'true');
  assert.equal((await nginx.request({ target: '/stream/health/ready' })).status, 502);
  assert.equal((await nginx.request({ method: 'POST', target: '/stream/ticket', headers: [['Content-Length', '0']] })).status, 502);
  await world.sluice({ env: { ...sluice.env, PORT_ANALYTICS: String(sluice.port) } });
  const back = await openStream(world, nginx, { headers });
  await back.ready();
});
