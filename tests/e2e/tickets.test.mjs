// Tickets: a short-lived stand-in for credentials, for EventSource, which can send no headers.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { EventSource as EventSource3 } from 'eventsource';
import EventSource2 from 'eventsource-2';
import {
  ADMIN_ENV,
  adminMetrics,
  askForStream,
  askForTicket,
  assertRefused,
  asUser,
  replicas,
  REVOKE_SUBJECT,
  ticketFor,
  untilClosing,
  untilComeBack,
  untilLive,
  untilRefused,
  untilStreams,
} from '../support/access.mjs';
import { assertExactly, numbersOf, payload, range } from '../support/events.mjs';
import { request } from '../support/http.mjs';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';
import { apiKey, bearer, JWT_ENV, nowSeconds, token } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const TICKET = /^slt_[A-Za-z0-9_-]{43}$/;
const CLAIMS = { companyId: 'acme', sub: 'u1' };

const byTicket = (ticket, more = {}) => ({ ...more, query: [['ticket', ticket], ...(more.query ?? [])] });

/** Reports no address of the client but the same to all of Sluice: what a ticket's second use is bound to. */
const AGENT = ['User-Agent', 'a browser of the tests'];

/** A file of API keys in a directory that goes with the world. */
function keysFile(world, ...lines) {
  const directory = temporaryDirectory('keys');
  world.own(() => removeDirectory(directory));
  const file = path.join(directory, 'keys.jsonl');
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  return file;
}

for (const store of ['memory', 'redis']) {
  const withStore = (name, body) => e2e(`${name} (${store})`, body);

  withStore('a ticket of a token opens a stream of its company', async (world) => {
    const { sluice, publisher } = await world.bridge({ store, env: JWT_ENV });
    const answer = await askForTicket(sluice, { headers: [bearer(token(CLAIMS))] });
    assert.equal(answer.status, 200, answer.body);
    assert.match(answer.headers.get('Content-Type'), /^application\/json/);
    assert.equal(answer.headers.get('Cache-Control'), 'no-store');
    const { ticket, expiresIn, ...more } = answer.json();
    assert.match(ticket, TICKET);
    assert.deepEqual([expiresIn, more], [30, {}]);

    const client = await world.liveStream(sluice, byTicket(ticket));
    assert.equal((await client.ready()).companyId, 'acme');
    await publisher.publishRange('other', 1, 3);
    await publisher.publishRange('acme', 1, 3);
    await client.untilEvents(3);
    assertExactly(client, [1, 2, 3]);
  });

  withStore('a ticket opens one stream at a time', async (world) => {
    const { sluice } = await world.bridge({ store, env: { ...JWT_ENV, ...ADMIN_ENV } });
    const ticket = await ticketFor(sluice, CLAIMS);
    const first = await world.liveStream(sluice, byTicket(ticket, { headers: [AGENT] }));
    // A browser that comes back before its old connection has died must not give up: no error, but a retry.
    const second = await world.stream(sluice, byTicket(ticket, { headers: [AGENT] }));
    assert.ok((await untilComeBack(second)) >= 1000);
    // Another client does not get in at all.
    const stranger = await askForStream(sluice, { query: `ticket=${ticket}`, headers: [['User-Agent', 'another']] });
    assertRefused(stranger, 401, /another client/);
    const metrics = await adminMetrics(sluice);
    assert.equal(metrics.value('sluice_connection_errors_total', { reason: 'ticket_in_use' }), 1);
    assert.equal(metrics.value('sluice_connection_errors_total', { reason: 'unauthorized' }), 1);
    first.leave();
    await untilStreams(sluice, 0);
    await untilLive(world, sluice, byTicket(ticket, { headers: [AGENT] }));
  });

  withStore('a ticket is not for another company', async (world) => {
    const { sluice } = await world.bridge({ store, env: JWT_ENV });
    const headers = [bearer(token(CLAIMS))];
    assertRefused(await askForTicket(sluice, { headers, query: 'companyId=other' }), 403, /your own company/);
    const ticket = await ticketFor(sluice, CLAIMS);
    const answer = await askForStream(sluice, { query: `ticket=${ticket}&companyId=other` });
    assertRefused(answer, 403, /your own company/);
    // What was refused did not use it up.
    const client = await world.liveStream(sluice, byTicket(ticket, { company: 'acme' }));
    assert.equal((await client.ready()).companyId, 'acme');
  });

  withStore('stream.ready brings the ticket of the next stream', async (world) => {
    const { sluice, publisher } = await world.bridge({ store, env: JWT_ENV });
    let ticket = await ticketFor(sluice, CLAIMS);
    const used = new Set([ticket]);
    for (const n of range(1, 3)) {
      const client = await world.liveStream(sluice, byTicket(ticket));
      ticket = (await client.ready()).ticket;
      assert.match(ticket, TICKET);
      used.add(ticket);
      await publisher.publish('metrics.x', payload('acme', n));
      await client.untilEvents(1);
      assert.deepEqual(numbersOf(client.events), [n]);
      client.leave();
    }
    assert.equal(used.size, 4);
    // Who can send headers needs none.
    const other = await world.liveStream(sluice, asUser(CLAIMS));
    assert.equal('ticket' in (await other.ready()), false);
  });

  withStore('a ticket that was not used in its time is void', async (world) => {
    const { sluice } = await world.bridge({ store, env: { ...JWT_ENV, TICKET_SECONDS: '1', TICKET_RATE_PER_USER: '0' } });
    const ticket = await ticketFor(sluice, CLAIMS);
    // To ask with a ticket is to use it: each of these is asked with once.
    const others = [];
    while (others.length < 50) others.push(await ticketFor(sluice, CLAIMS));
    await eventually(async () => {
      const answer = await askForStream(sluice, { query: `ticket=${others.pop()}&companyId=other` });
      return answer.status === 401;
    }, 'tickets to expire');
    assertRefused(await askForStream(sluice, { query: `ticket=${ticket}` }), 401, /not known, or not any more/);
  });

  withStore('a ticket reopens its stream only as long as it may', async (world) => {
    const { sluice } = await world.bridge({ store, env: { ...JWT_ENV, TICKET_RESUME_SECONDS: '0' } });
    const ticket = await ticketFor(sluice, CLAIMS);
    const client = await world.liveStream(sluice, byTicket(ticket));
    client.leave();
    await untilStreams(sluice, 0);
    await untilRefused(world, sluice, byTicket(ticket), 401);
  });
}

e2e('tickets are made by POST alone, with credentials', async (world) => {
  const { sluice } = await world.bridge({ env: JWT_ENV });
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
    const headers = [bearer(token(CLAIMS)), ['Content-Length', '0']];
    const answer = await request(sluice.port, { method, target: '/stream/ticket', headers });
    assert.equal(answer.status, 405, method);
    assert.deepEqual(answer.headers.list('Allow'), ['post', 'options']);
  }
  assertRefused(await askForTicket(sluice), 401, /Credentials are required/);
  assertRefused(await askForTicket(sluice, { headers: [bearer(token({ ...CLAIMS, exp: nowSeconds() - 60 }))] }), 401);
  assertRefused(await askForTicket(sluice, { headers: [bearer('nonsense')] }), 401);
  // A ticket is no credential for another one: it would never end.
  const ticket = await ticketFor(sluice, CLAIMS);
  assertRefused(await askForTicket(sluice, { query: `ticket=${ticket}` }), 401);
});

e2e('HEAD does not use a ticket up', async (world) => {
  const { sluice } = await world.bridge({ env: JWT_ENV });
  const ticket = await ticketFor(sluice, CLAIMS);
  const target = `/stream/updates?ticket=${ticket}`;
  // As a scanner of links asks, from elsewhere.
  const answer = await request(sluice.port, { method: 'HEAD', target, headers: [['User-Agent', 'a scanner']] });
  assert.equal(answer.status, 400);
  await world.liveStream(sluice, byTicket(ticket, { headers: [AGENT] }));
});

e2e('a page of another origin may ask for tickets', async (world) => {
  const { sluice } = await world.bridge({ env: { ...JWT_ENV, CORS_ORIGINS: 'https://dashboard.example' } });
  const origin = ['Origin', 'https://dashboard.example'];
  const preflight = await request(sluice.port, {
    method: 'OPTIONS',
    target: '/stream/ticket',
    headers: [origin, ['Access-Control-Request-Method', 'POST'], ['Access-Control-Request-Headers', 'authorization']],
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('Access-Control-Allow-Origin'), 'https://dashboard.example');
  assert.ok(preflight.headers.list('Access-Control-Allow-Methods').includes('post'));
  assert.ok(preflight.headers.list('Access-Control-Allow-Headers').includes('authorization'));
  const answer = await askForTicket(sluice, { headers: [origin, bearer(token(CLAIMS))] });
  assert.equal(answer.headers.get('Access-Control-Allow-Origin'), 'https://dashboard.example');
  const refused = await askForTicket(sluice, { headers: [origin] });
  assertRefused(refused, 401);
  assert.equal(refused.headers.get('Access-Control-Allow-Origin'), 'https://dashboard.example');
});

e2e('a ticket of an API key has the limits and the events of the key', async (world) => {
  const { key, line } = apiKey({ companyId: 'acme', events: ['metric_*'], maxConnections: 1 });
  const env = { AUTH_MODE: 'apikey', API_KEYS_FILE: keysFile(world, line) };
  const { sluice, publisher } = await world.bridge({ env });
  const answer = await askForTicket(sluice, { headers: [['x-api-key', key]] });
  assert.equal(answer.status, 200, answer.body);
  const client = await world.liveStream(sluice, byTicket(answer.json().ticket));
  await publisher.publish('journey.x', payload('acme', 1));
  await publisher.publish('metrics.x', payload('acme', 2));
  await client.untilEvents(1);
  assert.deepEqual(numbersOf(client.events), [2]);
  assertRefused(await askForStream(sluice, { headers: [['x-api-key', key]] }), 429, /API key has too many/);
});

e2e('a ticket of a key with as many and as long event patterns as can be is kept', async (world) => {
  const events = range(1, 32).map((i) => `${'x'.repeat(62)}${i + 9}`);
  const { key, line } = apiKey({ companyId: 'a'.repeat(128), events });
  const env = { AUTH_MODE: 'apikey', API_KEYS_FILE: keysFile(world, line) };
  const { sluice } = await world.bridge({ env });
  const answer = await askForTicket(sluice, { headers: [['x-api-key', key]] });
  assert.equal(answer.status, 200, answer.body);
  await world.liveStream(sluice, byTicket(answer.json().ticket));
});

e2e('without authentication a ticket is for the company that was asked for', async (world) => {
  const { sluice } = await world.bridge();
  const answer = await askForTicket(sluice, { query: 'companyId=acme' });
  assert.equal(answer.status, 200, answer.body);
  assertRefused(await askForTicket(sluice), 400, /companyId is required/);
  const client = await world.liveStream(sluice, byTicket(answer.json().ticket));
  assert.equal((await client.ready()).companyId, 'acme');
});

e2e('neither a ticket nor a stream of it lives longer than its token', async (world) => {
  const { sluice } = await world.bridge({ env: { ...JWT_ENV, JWT_LEEWAY_SECONDS: '0' } });
  const headers = [bearer(token({ ...CLAIMS, exp: nowSeconds() + 3 }))];
  const [used, unused] = [await askForTicket(sluice, { headers }), await askForTicket(sluice, { headers })];
  assert.ok(used.json().expiresIn <= 3, used.body);
  const client = await world.liveStream(sluice, byTicket(used.json().ticket));
  const successor = (await client.ready()).ticket;
  await untilClosing(client, 'expired_token');
  for (const ticket of [used.json().ticket, unused.json().ticket, successor]) {
    await untilRefused(world, sluice, byTicket(ticket), 401);
  }
});

e2e('a ticket of somebody who was revoked since opens nothing', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: JWT_ENV });
  const [ticket, other] = [await ticketFor(sluice, CLAIMS), await ticketFor(sluice, { companyId: 'acme', sub: 'u2' })];
  await publisher.publish(REVOKE_SUBJECT, JSON.stringify({ userId: 'u1' }));
  await sluice.untilLog((line) => line.message === 'Revoked', 'the revocation');
  assertRefused(await askForStream(sluice, { query: `ticket=${ticket}` }), 401, /revoked/);
  assertRefused(await askForTicket(sluice, { headers: [bearer(token(CLAIMS))] }), 401, /revoked/);
  await world.liveStream(sluice, byTicket(other));
});

e2e('a disabled company gets no tickets, and those that it has open nothing', async (world) => {
  const { sluice, redis } = await world.bridge({ store: 'redis', env: JWT_ENV });
  const ticket = await ticketFor(sluice, CLAIMS);
  await redis.command('HSET', 'sluice:features', 'acme', 'false');
  await eventually(async () => {
    const answer = await askForTicket(sluice, { headers: [bearer(token(CLAIMS))] });
    return answer.status === 403 && /disabled/.test(answer.json().message);
  }, 'the company to be disabled');
  assertRefused(await askForStream(sluice, { query: `ticket=${ticket}` }), 403, /disabled/);
});

e2e('tickets and their successors work on every replica that shares the Redis', async (world) => {
  const { sluices, publisher } = await replicas(world, 2);
  const [one, two] = sluices;
  const ticket = await ticketFor(one, CLAIMS);
  const first = await world.liveStream(two, byTicket(ticket, { headers: [AGENT] }));
  // It is in use, wherever one asks.
  const again = await world.stream(one, byTicket(ticket, { headers: [AGENT] }));
  assert.ok((await untilComeBack(again)) >= 1000);
  const successor = (await first.ready()).ticket;
  const second = await world.liveStream(one, byTicket(successor));
  await publisher.publishRange('acme', 1, 3);
  await second.untilEvents(1);
  first.leave();
  await untilLive(world, one, byTicket(ticket, { headers: [AGENT] }));
});

e2e('while Redis is away no ticket is given and none is taken, and clients are told to try again', async (world) => {
  const { sluice, redis } = await world.bridge({ store: 'redis', env: { ...JWT_ENV, REDIS_TIMEOUT_MS: '200' } });
  const ticket = await ticketFor(sluice, CLAIMS);
  await redis.kill();
  assertRefused(await askForTicket(sluice, { headers: [bearer(token(CLAIMS))] }), 503);
  assertRefused(await askForStream(sluice, { query: `ticket=${ticket}` }), 503);
  await world.liveStream(sluice, asUser(CLAIMS));
  await redis.start();
  await eventually(async () => {
    const answer = await askForTicket(sluice, { headers: [bearer(token(CLAIMS))] });
    return answer.status === 200;
  }, 'tickets again');
});

for (const [library, EventSource] of [
  ['eventsource 3', EventSource3],
  ['eventsource 2', EventSource2],
]) {
  e2e(`EventSource comes back with the URL it was made with and loses nothing (${library})`, async (world) => {
    const { sluice, publisher } = await world.bridge({ store: 'redis', env: { ...JWT_ENV, RETRY_MS: '100' } });
    const proxy = await world.proxy(sluice.port);
    const ticket = await ticketFor(sluice, CLAIMS);
    const seen = [];
    const trouble = [];
    let ready = 0;
    const source = new EventSource(`http://127.0.0.1:${proxy.port}/stream/updates?ticket=${ticket}`);
    world.own(() => source.close());
    source.addEventListener('error', (error) => trouble.push(error.code ?? error.status));
    source.addEventListener('metric_updated', (event) => seen.push(JSON.parse(event.data).n));
    source.addEventListener('stream.gap', (event) => trouble.push(event.data));
    source.addEventListener('stream.ready', () => ready++);
    await eventually(() => ready === 1, 'stream.ready');
    await publisher.publishRange('acme', 1, 1);
    await eventually(() => seen.length === 1, 'the first event');
    for (const cut of range(1, 3)) {
      const n = cut * 10 - 8;
      proxy.cut();
      await publisher.publishRange('acme', n, n + 9);
      await eventually(() => ready > cut && seen.at(-1) === n + 9, `stream.ready and all events after cut ${cut}`);
    }
    assert.deepEqual(seen, range(1, 31));
    assert.deepEqual(trouble.filter((text) => text !== undefined), []);
  });
}
