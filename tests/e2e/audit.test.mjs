// The log as an audit trail: one line for each stream that was opened, refused and closed, and never a credential.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  askForStream,
  askForTicket,
  asUser,
  REVOKE_SUBJECT,
  ticketFor,
  untilClosing,
  untilStreams,
} from '../support/access.mjs';
import { numbersOf, range } from '../support/events.mjs';
import { rawRequest, request } from '../support/http.mjs';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';
import { apiKey, bearer, JWT_ENV, nowSeconds, SECRET, token } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const OPENED = 'SSE connection established';
const REFUSED = 'SSE connection refused';
const CLOSED = 'SSE connection closed';

const CLAIMS = { companyId: 'acme', sub: 'u1', sid: 's-1', jti: 't-1' };

const linesOf = (sluice, message) => sluice.logs.filter((line) => line.message === message);

async function untilLines(sluice, message, count) {
  await eventually(() => linesOf(sluice, message).length >= count, `${count} × ${message}`);
  return linesOf(sluice, message);
}

/** The parts of a line that say who it was. */
const whoOf = ({ companyId, userId, sessionId, keyId, tokenId, address }) => ({
  ...{ companyId, userId, sessionId, keyId, tokenId, address },
});

const ANNA = { companyId: 'acme', userId: 'u1', sessionId: 's-1', keyId: null, tokenId: 't-1', address: '127.0.0.1' };
const UNKNOWN = { companyId: null, userId: null, sessionId: null, keyId: null, tokenId: null, address: '127.0.0.1' };

function keysFile(world, ...keys) {
  const directory = temporaryDirectory('keys');
  world.own(() => removeDirectory(directory));
  const file = path.join(directory, 'keys.jsonl');
  writeFileSync(file, keys.map(({ line }) => `${line}\n`).join(''));
  return file;
}

e2e('a stream has one line when it opens and one when it closes', async (world) => {
  const before = Date.now();
  const { sluice, publisher } = await world.bridge({ env: JWT_ENV });
  const client = await world.liveStream(sluice, asUser(CLAIMS));
  const { connectionId } = await client.ready();
  await publisher.publishRange('acme', 1, 5);
  await client.untilEvents(5);
  const received = client.blocks.reduce((sum, block) => sum + Buffer.byteLength(block.raw), 0);
  client.leave();
  const [closed, ...moreClosed] = await untilLines(sluice, CLOSED, 1);
  const [opened, ...moreOpened] = linesOf(sluice, OPENED);
  assert.deepEqual([moreOpened, moreClosed, linesOf(sluice, REFUSED)], [[], [], []]);
  for (const line of [opened, closed]) {
    assert.deepEqual(whoOf(line), ANNA);
    assert.equal(line.connectionId, connectionId);
    assert.equal(line.level, 'info');
  }
  assert.equal(opened.lastEventId, null);
  assert.deepEqual([closed.reason, closed.events, closed.dropped], ['client', 5, 0]);
  assert.ok(closed.bytes > received && closed.bytes < received + 2000, `${closed.bytes} for ${received}`);
  assert.ok(closed.durationMs >= 0 && closed.durationMs <= Date.now() - before, `${closed.durationMs} ms`);
});

e2e('a resumed stream counts what was replayed to it, and what was dropped', async (world) => {
  const env = { ...JWT_ENV, SOCKET_BUFFER_BYTES: '4096' };
  const { sluice, publisher } = await world.bridge({ env });
  const first = await world.liveStream(sluice, asUser(CLAIMS));
  await publisher.publishPaced('acme', 1, 10, [first]);
  const lastEventId = first.events[3].id;
  first.leave();
  const second = await world.liveStream(sluice, asUser(CLAIMS, { lastEventId }));
  await second.untilEvents(6);
  assert.deepEqual(numbersOf(second.events), range(5, 10));
  second.leave();
  const [, closed] = await untilLines(sluice, CLOSED, 2);
  assert.deepEqual([closed.events, closed.dropped], [6, 0]);
  assert.equal(linesOf(sluice, OPENED)[1].lastEventId, lastEventId);

  const third = await world.liveStream(sluice, asUser(CLAIMS));
  third.stopReading();
  await publisher.publishRange('acme', 11, 400, { more: { text: 'x'.repeat(30_000) } });
  await sluice.untilLog(() => true, 'the log');
  third.readOn();
  await third.waitFor(() => third.events.length && numbersOf(third.events).at(-1) === 400, 'the last event');
  const missed = third.gaps.reduce((sum, gap) => sum + gap.missed, 0);
  third.leave();
  const [, , slow] = await untilLines(sluice, CLOSED, 3);
  assert.ok(missed > 0);
  assert.deepEqual([slow.events, slow.dropped], [third.events.length, missed]);
});

e2e('the close says why it was', async (world) => {
  const env = { ...JWT_ENV, JWT_LEEWAY_SECONDS: '0' };
  const { sluice, publisher, redis } = await world.bridge({ store: 'redis', env });
  const reasons = [];
  const next = async () => {
    const lines = await untilLines(sluice, CLOSED, reasons.length + 1);
    assert.equal(lines.length, reasons.length + 1);
    reasons.push(lines.at(-1).reason);
  };
  (await world.liveStream(sluice, asUser(CLAIMS))).leave();
  await next();
  await untilClosing(await world.liveStream(sluice, asUser({ ...CLAIMS, exp: nowSeconds() + 2 })), 'expired_token');
  await next();
  const revoked = await world.liveStream(sluice, asUser(CLAIMS));
  await publisher.publish(REVOKE_SUBJECT, JSON.stringify({ tokenId: 't-1' }));
  await untilClosing(revoked, 'revoked');
  await next();
  const disabled = await world.liveStream(sluice, asUser({ companyId: 'other' }));
  await redis.command('HSET', 'sluice:features', 'other', 'false');
  await untilClosing(disabled, 'disabled');
  await next();
  const last = await world.liveStream(sluice, asUser({ companyId: 'acme' }));
  await sluice.stop();
  await last.untilClosed();
  await next();
  assert.deepEqual(reasons, ['client', 'expired_token', 'revoked', 'disabled', 'shutdown']);
});

e2e('each refusal has one line that says who, as far as it is known, and why', async (world) => {
  const key = apiKey({ id: 'k_one', companyId: 'acme' });
  const env = {
    ...JWT_ENV,
    AUTH_MODE: 'jwt,apikey',
    API_KEYS_FILE: keysFile(world, key),
    MAX_CONNECTIONS_PER_USER: '1',
    MAX_CONNECTIONS: '2',
  };
  const { sluice, publisher } = await world.bridge({ env });
  await world.liveStream(sluice, asUser(CLAIMS));
  await publisher.publish(REVOKE_SUBJECT, JSON.stringify({ userId: 'u3' }));
  await sluice.untilLog((line) => line.message === 'Revoked', 'the revocation');
  const user = (claims) => ({ headers: [bearer(token(claims))] });
  const cases = [
    [{}, 401, 'no_credentials', UNKNOWN],
    [{ query: 'companyId=acme' }, 401, 'no_credentials', { ...UNKNOWN, companyId: 'acme' }],
    [user({ ...CLAIMS, exp: nowSeconds() - 3600 }), 401, 'expired', UNKNOWN],
    [{ headers: [bearer('x.y.z')] }, 401, 'malformed', UNKNOWN],
    [{ headers: [['Authorization', 'Basic abc']] }, 401, 'wrong_scheme', UNKNOWN],
    [{ headers: [['x-api-key', 'slk_nothing']] }, 401, 'unknown_api_key', UNKNOWN],
    [{ ...user(CLAIMS), query: 'companyId=other' }, 403, 'other_company', { ...ANNA, companyId: 'other' }],
    [{ ...user(CLAIMS), query: 'companyId=a&companyId=b' }, 400, 'repeated_company', { ...UNKNOWN, companyId: 'a' }],
    [{ query: 'ticket=slt_x' }, 401, 'bad_ticket', UNKNOWN],
    [{ query: `ticket=slt_${'x'.repeat(43)}` }, 401, 'unknown_ticket', UNKNOWN],
    [{ query: 'access_token=abc' }, 400, 'query_token', UNKNOWN],
    [user({ companyId: 'acme', sub: 'u3' }), 401, 'revoked', { ...ANNA, userId: 'u3', sessionId: null, tokenId: null }],
    [user(CLAIMS), 429, 'user_limit', ANNA],
    [{ headers: [['x-api-key', key.key], bearer(token(CLAIMS))] }, 400, 'two_credentials', UNKNOWN],
    [{ ...user(CLAIMS), query: `ticket=slt_${'x'.repeat(43)}` }, 401, 'unknown_ticket', UNKNOWN],
  ];
  for (const [i, [options, status, reason, who]] of cases.entries()) {
    const answer = await askForStream(sluice, options);
    assert.equal(answer.status, status, `${reason}: ${answer.body}`);
    const lines = await untilLines(sluice, REFUSED, i + 1);
    assert.equal(lines.length, i + 1, reason);
    const line = lines.at(-1);
    assert.deepEqual([line.status, line.reason, whoOf(line)], [status, reason, who]);
  }
  await world.liveStream(sluice, { headers: [['x-api-key', key.key]] });
  assert.equal((await askForStream(sluice, user({ companyId: 'acme', sub: 'u2' }))).status, 503);
  const full = (await untilLines(sluice, REFUSED, cases.length + 1)).at(-1);
  assert.deepEqual([full.status, full.reason, full.userId], [503, 'full', 'u2']);
  assert.equal(linesOf(sluice, OPENED).length, 2);
  assert.deepEqual(whoOf(linesOf(sluice, OPENED)[1]), { ...UNKNOWN, companyId: 'acme', keyId: 'k_one' });
});

e2e('refusals before anybody is asked who they are have their line too', async (world) => {
  const { sluice } = await world.bridge({ env: { URL_MAX_BYTES: '1024' } });
  const ask = (target, headers = []) => request(sluice.port, { target, headers });
  const cases = [
    [() => ask('/stream/updates?companyId=acme', [['Accept', 'text/html']]), 406, 'not_acceptable'],
    [() => ask('/stream/updates?companyId=*'), 400, 'bad_company'],
    [() => ask('/stream/updates'), 400, 'no_company'],
  ];
  for (const [i, [send, status, reason]] of cases.entries()) {
    assert.equal((await send()).status, status);
    const line = (await untilLines(sluice, REFUSED, i + 1)).at(-1);
    assert.deepEqual([line.status, line.reason], [status, reason]);
  }
  assert.equal(linesOf(sluice, REFUSED).length, cases.length);
});

e2e('a stream that is told to come back later has its line', async (world) => {
  const env = { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '1', OVERLOAD_ANSWER: 'retry' };
  const { sluice } = await world.bridge({ env });
  await world.liveStream(sluice, asUser(CLAIMS));
  assert.equal((await askForStream(sluice, { headers: [bearer(token(CLAIMS))] })).status, 200);
  const [line] = await untilLines(sluice, REFUSED, 1);
  assert.deepEqual([line.reason, line.status, whoOf(line)], ['user_limit', 429, ANNA]);
});

e2e('tickets: who asked for one, who was refused one, and who used it', async (world) => {
  const { sluice } = await world.bridge({ env: JWT_ENV });
  const ticket = await ticketFor(sluice, CLAIMS);
  const issued = await sluice.untilLog((line) => line.message === 'Ticket issued', 'the ticket');
  assert.deepEqual(whoOf(issued), ANNA);
  assert.equal((await askForTicket(sluice)).status, 401);
  const [refused] = await untilLines(sluice, 'Ticket refused', 1);
  assert.deepEqual([refused.status, refused.reason, whoOf(refused)], [401, 'no_credentials', UNKNOWN]);
  const client = await world.liveStream(sluice, { query: [['ticket', ticket]] });
  const [opened] = await untilLines(sluice, OPENED, 1);
  assert.deepEqual(whoOf(opened), ANNA);
  client.leave();
  await untilLines(sluice, CLOSED, 1);
  assert.equal(linesOf(sluice, REFUSED).length, 0);
});

e2e('what a client sends breaks no line of the log', async (world) => {
  const { sluice } = await world.bridge({ env: { TRUSTED_PROXIES: '127.0.0.1' } });
  const texts = ['a%0a{"message":"Forged"}', 'a%0d%0aForged', '%1b[31mred', '%ff%fe', 'a%00b'];
  texts.push('%22,%22message%22:%22Forged');
  for (const text of texts) {
    await askForStream(sluice, { query: `companyId=${text}` });
    await askForStream(sluice, { query: `companyId=acme&ticket=${text}` });
  }
  for (const value of ['"Forged"', 'for="_Forged\\"', '1.2.3.4\tForged']) {
    const headers = [['Forwarded', value], ['X-Forwarded-For', value], ['User-Agent', value], ['Last-Event-ID', value]];
    (await world.stream(sluice, { company: 'acme', headers })).leave();
  }
  await untilLines(sluice, REFUSED, 2 * texts.length);
  await untilStreams(sluice, 0);
  assert.deepEqual(sluice.otherLines, []);
  assert.ok(sluice.logs.every((line) => line.message !== 'Forged'));
  assert.doesNotMatch(sluice.child.stderr, /[\0-\x09\x0b-\x1f\x7f]/);
});

e2e('no credential is in the log, whatever is asked and at every level', async (world) => {
  const adminKey = 'deadbeef'.repeat(6);
  const key = apiKey({ id: 'k_one', companyId: 'acme' });
  const env = {
    ...JWT_ENV,
    AUTH_MODE: 'jwt,apikey',
    API_KEYS_FILE: keysFile(world, key),
    ADMIN_KEY: adminKey,
    ALLOW_QUERY_TOKEN: 'true',
    AUTH_COOKIE: 'session',
    CORS_ORIGINS: 'https://dashboard.example',
    LOG_LEVEL: 'debug',
  };
  const { sluice, publisher } = await world.bridge({ store: 'redis', env });
  const good = token(CLAIMS);
  const expired = token({ ...CLAIMS, exp: nowSeconds() - 3600 });
  const forged = token(CLAIMS, { key: 'a secret that is not the right one, but long' });
  const foreign = token({ ...CLAIMS, companyId: 'other' });
  const wrongKey = apiKey().key;
  const secrets = [SECRET, adminKey, good, expired, forged, foreign, key.key, wrongKey];
  // A part of a token is one as well: its signature, with which the rest could be guessed.
  secrets.push(...[good, expired, forged, foreign].map((text) => text.split('.')[2]));

  for (const text of [good, expired, forged, foreign, key.key, wrongKey, adminKey]) {
    const places = [
      { headers: [bearer(text)], query: 'companyId=acme' },
      { headers: [['x-api-key', text]], query: 'companyId=acme' },
      { headers: [['Cookie', `session=${text}`], ['Origin', 'https://dashboard.example']], query: 'companyId=acme' },
      { headers: [['Cookie', `session=${text}`], ['Origin', 'https://evil.example']], query: 'companyId=acme' },
      { query: `companyId=acme&access_token=${text}` },
      { query: `companyId=acme&ticket=${text}` },
      { headers: [['Authorization', text]], query: 'companyId=acme' },
      { headers: [['Authorization', `Basic ${text}`]], query: 'companyId=acme' },
      { headers: [bearer(text), ['x-api-key', text]], query: 'companyId=acme' },
      { headers: [bearer(text), bearer(text)], query: 'companyId=acme' },
    ];
    for (const { headers = [], query } of places) {
      const pairs = query.split('&').map((pair) => pair.split('='));
      const stream = await world.stream(sluice, { query: pairs, headers });
      stream.leave();
      await askForTicket(sluice, { headers, query });
      for (const page of ['/stream/stats', '/metrics', '/nothing', '/stream/health']) {
        await request(sluice.port, { target: `${page}?${query}`, headers });
      }
    }
  }
  const ticket = await ticketFor(sluice, CLAIMS);
  const client = await world.liveStream(sluice, { query: [['ticket', ticket]] });
  secrets.push(ticket, (await client.ready()).ticket);
  await askForStream(sluice, { query: `ticket=${ticket}`, headers: [['User-Agent', 'another']] });
  const broken = [`GET /x?ticket=${ticket} HTTP/9.9\r\nAuthorization: Bearer ${good}`, `GARBAGE ${ticket}`];
  for (const text of broken) await rawRequest(sluice.port, `${text}\r\n\r\n`).catch(() => {});
  await publisher.publish(REVOKE_SUBJECT, JSON.stringify({ companyId: 'acme' }));
  await untilClosing(client, 'revoked');
  await sluice.stop();
  const log = sluice.child.stderr + sluice.child.stdout;
  assert.ok(linesOf(sluice, REFUSED).length > 50 && linesOf(sluice, OPENED).length > 1);
  assert.equal(linesOf(sluice, OPENED).length, linesOf(sluice, CLOSED).length);
  for (const [i, secret] of secrets.entries()) assert.equal(log.includes(secret), false, `secret ${i} is in the log`);
});
