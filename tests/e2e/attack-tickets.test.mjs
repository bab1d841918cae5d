// Tickets in the hands of others: two clients at the same moment, strangers afterwards, thieves with a look into Redis or
// the log.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { assertRefused, besieged, untilStreams } from '../support/attacks.mjs';
import { forEachCase } from '../support/cases.mjs';
import { assertExactly, range } from '../support/events.mjs';
import { request } from '../support/http.mjs';
import { bearer, JWT_ENV, token } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const WITNESS = [bearer(token({ companyId: 'witness', sub: 'w' }))];
const USED = 'The ticket was used by another client';
const UNKNOWN = 'The ticket is not known, or not any more: get a new one from POST /stream/ticket';

/** Where tickets live: in one process, or in Redis for two of them. */
const PLACES = { memory: { store: 'memory', replicas: 1 }, 'redis, two replicas': { store: 'redis', replicas: 2 } };

function siege(world, place, env = {}) {
  // The replica without the lease would wait for it at its end.
  return besieged(world, { ...place, env: { ...JWT_ENV, LOG_LEVEL: 'debug', DRAIN_SECONDS: '1', ...env }, headers: WITNESS });
}

async function askTicket(sluice, claims = {}) {
  const headers = [bearer(token({ companyId: 'acme', sub: 'u1', ...claims }))];
  const answer = await request(sluice.port, { method: 'POST', target: '/stream/ticket', headers });
  assert.equal(answer.status, 200, answer.body);
  return answer.json().ticket;
}

/** Asks for a stream with a ticket; `company` is percent-encoded. */
function use(world, sluice, ticket, { agent = 'owner', company = 'acme', ...options } = {}) {
  const query = [['companyId', company], ['ticket', ticket]];
  return world.stream(sluice, { query, headers: [['User-Agent', agent]], ...options });
}

/** A refused client, as soon as its answer is whole. */
async function refused(client) {
  await client.untilWhole();
  client.leave();
  return client;
}

/** What became of a client: `stream`, `again` (200, a retry: and the end) or the status and message of the refusal. */
async function outcome(client) {
  if (client.status !== 200) return `${client.status} ${assertRefused(await refused(client), client.status).message}`;
  await client.waitFor(() => client.controls('stream.ready').length || client.missingBytes === 0, 'a stream or its end');
  if (client.controls('stream.ready').length) return 'stream';
  assert.deepEqual(client.blocks.map((block) => block.kind), ['retry']);
  assert.equal(client.headers.get('Content-Type'), 'text/event-stream');
  return 'again';
}

for (const [where, place] of Object.entries(PLACES)) {
  e2e(`of two clients with one ticket at the same moment one gets the stream, and the other one 401 (${where})`, async (world) => {
    const { sluices, holds } = await siege(world, place);
    for (let round = 0; round < 20; round++) {
      const count = round % 5 === 4 ? 12 : 2;
      const ticket = await askTicket(sluices[round % sluices.length], { sub: `u${round}` });
      const connections = await Promise.all(range(1, count).map((i) => world.connection(sluices[(i + round) % sluices.length])));
      const clients = await Promise.all(
        connections.map((connection, i) => use(world, sluices[0], ticket, { agent: `client ${i}`, connection })),
      );
      const outcomes = (await Promise.all(clients.map(outcome))).sort();
      assert.deepEqual(outcomes, [...Array(count - 1).fill(`401 ${USED}`), 'stream']);
      for (const client of clients) client.leave();
    }
    await holds();
  });

  e2e(`the same client with its ticket twice gets one stream, and is told to come back (${where})`, async (world) => {
    const { sluices, holds } = await siege(world, place);
    for (let round = 0; round < 10; round++) {
      const ticket = await askTicket(sluices[0], { sub: `u${round}` });
      const connections = await Promise.all(range(1, 4).map((i) => world.connection(sluices[i % sluices.length])));
      const clients = await Promise.all(connections.map((connection) => use(world, sluices[0], ticket, { connection })));
      const outcomes = await Promise.all(clients.map(outcome));
      assert.deepEqual([...outcomes].sort(), ['again', 'again', 'again', 'stream']);
      const streaming = clients[outcomes.indexOf('stream')];
      const stranger = await use(world, sluices.at(-1), ticket, { agent: 'stranger' });
      assert.equal(await outcome(stranger), `401 ${USED}`);
      for (const client of clients.filter((each) => each !== streaming)) client.leave();
      // Whoever comes back as told gets the stream once the old one is seen to have ended.
      streaming.reset();
      const again = await eventually(async () => {
        const client = await use(world, sluices.at(-1), ticket);
        if ((await outcome(client)) === 'stream') return client;
        client.leave();
        return false;
      }, 'the stream to be opened again');
      again.leave();
    }
    await holds();
  });

  e2e(`a ticket whose stream has ended is its client's, for a while, and nobody else's (${where})`, async (world) => {
    const { sluices, holds, publisher } = await siege(world, place, { TICKET_RESUME_SECONDS: '3' });
    const ticket = await askTicket(sluices[0]);
    const first = await use(world, sluices.at(-1), ticket);
    await first.ready();
    await publisher.publishPaced('acme', 1, 5, [first]);
    const { lastEventId } = first;
    first.leave();
    await untilStreams(sluices.at(-1), 1);
    for (const agent of ['stranger', 'owner 2', 'Owner', '', 'owner\x80']) {
      assert.equal(await outcome(await use(world, sluices[0], ticket, { agent })), `401 ${USED}`);
    }
    await publisher.publishRange('acme', 6, 10);
    const second = await use(world, sluices.at(-1), ticket, { lastEventId });
    assert.equal(second.status, 200, second.errorBody);
    assert.equal((await second.ready()).complete, true);
    await publisher.publishPaced('acme', 11, 13, [second]);
    await second.untilEvents(8);
    assertExactly(second, range(6, 13));
    second.leave();
    // Nobody asks as its client any more: then it is gone.
    await eventually(async () => (await outcome(await use(world, sluices[0], ticket, { agent: 'stranger' }))) === `401 ${UNKNOWN}`, 'the end of the ticket');
    assert.equal(await outcome(await use(world, sluices[0], ticket)), `401 ${UNKNOWN}`);
    await holds();
  });

  e2e(`with TICKET_RESUME_SECONDS=0 a ticket ends with its stream (${where})`, async (world) => {
    const { sluices, holds } = await siege(world, place, { TICKET_RESUME_SECONDS: '0' });
    const ticket = await askTicket(sluices[0]);
    const stream = await use(world, sluices[0], ticket);
    await stream.ready();
    const early = await use(world, sluices.at(-1), ticket);
    assert.equal(await outcome(early), 'again');
    early.leave();
    stream.leave();
    for (const agent of ['owner', 'stranger']) {
      await eventually(async () => {
        const client = await use(world, sluices.at(-1), ticket, { agent });
        const became = await outcome(client);
        assert.notEqual(became, 'stream');
        client.leave();
        return became === `401 ${UNKNOWN}`;
      }, 'the ticket to be unknown');
    }
    await holds();
  });

  e2e(`a ticket opens its own company, streams alone, and says nothing of another ticket (${where})`, async (world) => {
    const { sluices, holds } = await siege(world, place);
    const [sluice] = sluices;
    for (const company of ['other', 'acme2', 'acm', 'ACME', '*', 'acme%00', 'acme%0d', 'a'.repeat(100)]) {
      const ticket = await askTicket(sluice, { sub: `u${company}` });
      const client = await use(world, sluice, ticket, { company });
      assert.equal(assertRefused(await refused(client), 403, company).message, 'You can only stream events for your own company');
    }
    const long = await use(world, sluice, await askTicket(sluice, { sub: 'long' }), { company: 'a'.repeat(5000) });
    assert.ok([400, 403].includes((await refused(long)).status), `${long.status}`);

    const ticket = await askTicket(sluice);
    const elsewhere = [
      ...['/stream/ticket', '/stream/ticket?companyId=acme'].map((target) => ({ method: 'POST', target: `${target}${target.includes('?') ? '&' : '?'}ticket=${ticket}` })),
      { method: 'POST', target: '/stream/ticket?companyId=acme', headers: [bearer(ticket)] },
      { method: 'POST', target: '/stream/ticket?companyId=acme', headers: [['x-api-key', ticket]] },
      { target: `/stream/stats?ticket=${ticket}` },
      { target: `/metrics?ticket=${ticket}` },
      { target: '/stream/stats', headers: [bearer(ticket)] },
      { target: '/stream/updates?companyId=acme', headers: [bearer(ticket)] },
      { target: '/stream/updates?companyId=acme', headers: [['x-api-key', ticket]] },
    ];
    await forEachCase(elsewhere, async (each) => assertRefused(await request(sluice.port, each), 401));

    const hash = createHash('sha256').update(ticket).digest('hex');
    const close = [
      ...[ticket.slice(0, -1), `${ticket}A`, ticket.toLowerCase(), ticket.slice(4), `slk_${ticket.slice(4)}`, `${ticket}%00`, `%20${ticket}`],
      ...[hash, `slt_${hash.slice(0, 43)}`, `slt_${'A'.repeat(43)}`, '*', 'slt_*', `slt_${'*'.repeat(43)}`, '', 'slt_', 'x'.repeat(5000)],
      ...[`slt_${'%0a'.repeat(43)}`, `slt_${'%ff'.repeat(43)}`, `sluice:ticket:${hash}`],
    ];
    await forEachCase(close, async (text) => {
      const target = `/stream/updates?companyId=acme&ticket=${text}`;
      assertRefused(await request(sluice.port, { target, headers: [['User-Agent', 'owner']] }), 401);
    });
    // All of that has cost the ticket nothing.
    const own = await use(world, sluices.at(-1), ticket);
    assert.equal(await outcome(own), 'stream');
    // That of stream.ready is another one, good for one stream of the same company.
    const successor = own.controls('stream.ready')[0].json.ticket;
    assert.match(successor, /^slt_[A-Za-z0-9_-]{43}$/);
    assert.notEqual(successor, ticket);
    const next = await use(world, sluice, successor, { agent: 'another page' });
    assert.equal(await outcome(next), 'stream');
    const foreign = await use(world, sluice, next.controls('stream.ready')[0].json.ticket, { company: 'other' });
    assertRefused(await refused(foreign), 403);
    for (const client of [own, next]) client.leave();
    await holds();
  });
}

/** All that is in a Redis server, keys and values, and in its files. */
async function everythingIn(redis) {
  const texts = [];
  for (const key of await redis.command('KEYS', '*')) {
    const type = await redis.command('TYPE', key);
    const reads = { string: ['GET', key], hash: ['HGETALL', key], zset: ['ZRANGE', key, 0, -1, 'WITHSCORES'], set: ['SMEMBERS', key], list: ['LRANGE', key, 0, -1] };
    texts.push(key, JSON.stringify(await redis.command(...reads[type])));
  }
  const walk = (directory) => {
    for (const name of readdirSync(directory)) {
      const file = path.join(directory, name);
      if (statSync(file).isDirectory()) walk(file);
      else texts.push(readFileSync(file, 'latin1'));
    }
  };
  walk(redis.directory);
  return texts.join('\n');
}

e2e('no ticket can be read in Redis, in its files, in the log or on a page', async (world) => {
  const redis = await world.redis({ durable: true });
  const { sluice, holds } = await besieged(world, { redis, env: { ...JWT_ENV, LOG_LEVEL: 'debug' }, headers: WITNESS });
  const text = token({ companyId: 'acme', sub: 'u1' });
  const issued = await request(sluice.port, { method: 'POST', target: '/stream/ticket', headers: [bearer(text)] });
  assert.equal(issued.headers.get('Cache-Control'), 'no-store');
  const unused = issued.json().ticket;
  const used = await askTicket(sluice);
  const stream = await use(world, sluice, used);
  await stream.ready();
  const successor = stream.controls('stream.ready')[0].json.ticket;
  assertRefused(await refused(await use(world, sluice, used, { agent: 'thief' })), 401);
  assertRefused(await refused(await use(world, sluice, unused, { company: 'other' })), 403);
  await sluice.untilLog((line) => line.reason === 'other_company', 'the refusal');
  const pages = await Promise.all(
    ['/stream/health', '/stream/stats', '/metrics'].map((target) => request(sluice.port, { target, headers: [bearer(text)] })),
  );
  const places = {
    Redis: await everythingIn(redis),
    'the log': sluice.child.stderr + sluice.child.stdout,
    pages: pages.map((page) => page.body).join('\n'),
  };
  const hash = createHash('sha256').update(used).digest('hex');
  assert.ok(places.Redis.includes(`sluice:ticket:${hash}`), 'the ticket is kept by its hash');
  for (const [where, everything] of Object.entries(places)) {
    for (const ticket of [unused, used, successor]) {
      assert.ok(!everything.includes(ticket.slice(4)), `${where} has a ticket`);
      assert.ok(!everything.includes(Buffer.from(ticket.slice(4), 'base64url').toString('hex')), `${where} has a ticket in hex`);
    }
    assert.ok(!everything.includes(text.split('.')[2]), `${where} has a token`);
  }
  stream.leave();
  await holds();
});

e2e('a ticket that nobody used is gone after TICKET_SECONDS', async (world) => {
  const { sluice, redis, holds } = await siege(world, { store: 'redis' }, { TICKET_SECONDS: '1' });
  const ticket = await askTicket(sluice);
  const key = `sluice:ticket:${createHash('sha256').update(ticket).digest('hex')}`;
  await eventually(async () => (await redis.command('EXISTS', key)) === 0, 'the ticket to expire');
  assert.equal(await outcome(await use(world, sluice, ticket)), `401 ${UNKNOWN}`);
  await holds();
});
