// AUTH_MODE=apikey: whose keys open a stream, of which company, with which events, and for how long.

import assert from 'node:assert/strict';
import { appendFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { askForStream, askForTicket, untilReplicas } from '../support/access.mjs';
import { ADMIN_KEY, ask, assertRefused, assertUnseen, OTHER_COMPANY } from '../support/auth.mjs';
import { forEachCase } from '../support/cases.mjs';
import { assertExactly, payload } from '../support/events.mjs';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';
import { runSluice } from '../support/sluice.mjs';
import { apiKey, bearer, JWT_ENV, token } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const keyHeader = (key) => ['x-api-key', key];
const inSeconds = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();
const idOf = (line) => JSON.parse(line).id;

/** A key file that is gone when the test is over. */
function keyFile(world, lines) {
  const directory = temporaryDirectory('keys');
  world.own(() => removeDirectory(directory));
  const file = path.join(directory, 'keys.jsonl');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

/** Puts other lines in the file's place. */
function replace(file, lines) {
  writeFileSync(`${file}.new`, `${lines.join('\n')}\n`);
  renameSync(`${file}.new`, file);
}

/** A bridge that takes the keys of these lines; `file` is where they stand. */
async function withKeys(world, lines, { env, ...options } = {}) {
  const file = keyFile(world, lines);
  const bridge = await world.bridge({ ...options, env: { AUTH_MODE: 'apikey', API_KEYS_FILE: file, ADMIN_KEY, ...env } });
  return { ...bridge, file };
}

const streamOf = (world, sluice, key, options) => world.liveStream(sluice, { ...options, headers: [keyHeader(key)] });
const askWith = (sluice, key, options) => ask(sluice, { ...options, headers: [keyHeader(key)] });

function untilStatus(sluice, key, status, what) {
  return eventually(async () => {
    const answer = await askWith(sluice, key, { method: 'HEAD' });
    if (answer.status !== status) throw new Error(`the status is ${answer.status}`);
    return true;
  }, `${status} for ${what}`);
}

async function untilClosing(client, reason) {
  assert.equal((await client.untilControl('stream.closing')).reason, reason);
  await client.untilClosed();
}

e2e('what keygen prints opens streams, and the key is seen nowhere', async (world) => {
  const made = await runSluice({ args: ['keygen', '--company', 'acme', '--id', 'reports'] });
  assert.equal(made.code, 0, made.stderr);
  const [key, line] = made.stdout.trimEnd().split('\n');
  assert.ok(!line.includes(key));
  const unknown = apiKey().key;
  const { sluice, publisher } = await withKeys(world, [line], { env: { LOG_LEVEL: 'debug' } });
  const client = await streamOf(world, sluice, key);
  assert.equal((await client.ready()).companyId, 'acme');
  await streamOf(world, sluice, key, { company: 'acme' });
  await publisher.publish('metrics.calculated', payload('other', 1));
  await publisher.publish('metrics.calculated', payload('acme', 2));
  await client.untilEvents(1);
  assertExactly(client, [2]);
  assertRefused(await askWith(sluice, unknown), 401);
  const opened = await sluice.untilLog((entry) => entry.message === 'SSE connection established', 'who came');
  assert.equal(opened.keyId, 'reports', 'the log tells the key by its id');
  await assertUnseen(sluice, [key, unknown, JSON.parse(line).sha256]);
});

e2e('who has no good key is refused', async (world) => {
  const good = apiKey({ companyId: 'acme' });
  const homeless = apiKey();
  const expired = apiKey({ companyId: 'acme', expires: '2024-01-01T00:00:00Z' });
  const { sluice } = await withKeys(world, ['# comments and empty lines are fine', '', good.line, homeless.line, expired.line]);
  const company = 'acme';
  assertRefused(await ask(sluice, { company }), 401, 'no key');
  const wrong = { unknown: apiKey().key, short: 'slk_x', cut: good.key.slice(0, -1), longer: `${good.key}x`, upper: good.key.toUpperCase() };
  wrong.huge = 'x'.repeat(5000);
  wrong.hash = JSON.parse(good.line).sha256;
  wrong.id = idOf(good.line);
  await forEachCase(Object.entries(wrong), async ([what, key]) => assertRefused(await askWith(sluice, key, { company }), 401, what));
  assertRefused(await askWith(sluice, expired.key, { company }), 401, 'expired');
  assertRefused(await askWith(sluice, homeless.key, { company }), 403, 'a key of no company');
  assertRefused(await askWith(sluice, homeless.key), 403, 'a key of no company, none asked for');
  for (const other of ['other', 'acme2', 'acm', 'ACME', 'a*']) {
    assert.equal(assertRefused(await askWith(sluice, good.key, { company: other }), 403, other), OTHER_COMPANY);
  }
  assertRefused(await ask(sluice, { company, headers: [keyHeader(good.key), keyHeader(good.key)] }), 400, 'two keys');
  assertRefused(await ask(sluice, { company, headers: [bearer(good.key)] }), 401, 'in Authorization');
  assertRefused(await ask(sluice, { company, query: [['x-api-key', good.key]] }), 401, 'in the query');
  const challenge = await ask(sluice, { company });
  assert.match(challenge.headers.get('WWW-Authenticate'), /realm="sluice"/);
  await streamOf(world, sluice, good.key, { company });
});

e2e('a proxy\'s own Authorization does not disturb a key', async (world) => {
  const { key, line } = apiKey({ companyId: 'acme' });
  const { sluice } = await withKeys(world, [line]);
  for (const value of ['Basic YWNtZTpzZWNyZXQ=', 'Bearer something', 'Negotiate abc']) {
    const client = await world.liveStream(sluice, { headers: [['Authorization', value], keyHeader(key)] });
    client.leave();
  }
});

e2e('a changed file brings keys in and puts keys out, streams included', async (world) => {
  const [stays, goes, comes] = [1, 2, 3].map(() => apiKey({ companyId: 'acme' }));
  const { sluice, publisher, file } = await withKeys(world, [stays.line, goes.line]);
  const [staying, going] = [await streamOf(world, sluice, stays.key), await streamOf(world, sluice, goes.key)];
  assertRefused(await askWith(sluice, comes.key), 401);

  replace(file, [stays.line, comes.line]);
  await untilClosing(going, 'revoked');
  assertRefused(await askWith(sluice, goes.key), 401, 'the key that was taken away');
  await streamOf(world, sluice, comes.key);
  await publisher.publish('metrics.calculated', payload('acme', 1));
  await staying.untilEvents(1);
  assert.deepEqual(staying.controls('stream.closing'), [], 'others are left alone');
  assert.equal((await sluice.metrics()).value('sluice_api_keys'), 2);

  appendFileSync(file, `${goes.line}\n`);
  await untilStatus(sluice, goes.key, 200, 'the key that is back');
});

e2e('a key that changes hands closes the streams of its former holder', async (world) => {
  const first = apiKey({ id: 'k1', companyId: 'acme' });
  const moved = apiKey({ id: 'k2', companyId: 'acme' });
  const { sluice, file } = await withKeys(world, [first.line, moved.line]);
  const clients = [await streamOf(world, sluice, first.key), await streamOf(world, sluice, moved.key)];
  const renewed = apiKey({ id: 'k1', companyId: 'acme' });
  replace(file, [renewed.line, moved.line.replace('acme', 'other')]);
  for (const client of clients) await untilClosing(client, 'revoked');
  assertRefused(await askWith(sluice, first.key), 401, 'another key has its id');
  const other = await streamOf(world, sluice, moved.key);
  assert.equal((await other.ready()).companyId, 'other');
  await streamOf(world, sluice, renewed.key);
});

e2e('a key that may less than before closes its streams, so that they come back with what it may', async (world) => {
  const wide = apiKey({ companyId: 'acme' });
  const long = apiKey({ companyId: 'acme', expires: inSeconds(3600) });
  const same = apiKey({ companyId: 'acme', events: ['vis_*'], expires: inSeconds(3600) });
  const { sluice, publisher, file } = await withKeys(world, [wide.line, long.line, same.line]);
  const [narrowed, shortened, kept] = await Promise.all([wide, long, same].map(({ key }) => streamOf(world, sluice, key)));
  const change = ({ line }, fields) => JSON.stringify({ ...JSON.parse(line), ...fields });
  replace(file, [change(wide, { events: ['vis_updated'] }), change(long, { expires: inSeconds(5) }), same.line]);
  await untilClosing(narrowed, 'revoked');
  await untilClosing(shortened, 'revoked');
  const back = await streamOf(world, sluice, wide.key, { lastEventId: narrowed.lastEventId });
  const brief = await streamOf(world, sluice, long.key);
  await publisher.publish('metrics.calculated', payload('acme', 1));
  await publisher.publish('q2q.done', payload('acme', 2));
  await back.untilEvents(1);
  assertExactly(back, [2]);
  await untilClosing(brief, 'expired_token');
  assert.deepEqual(kept.controls('stream.closing'), [], 'what did not change is left alone');
});

e2e('a stream ends when its key expires', async (world) => {
  const { key, line } = apiKey({ companyId: 'acme', expires: inSeconds(4) });
  const { sluice } = await withKeys(world, [line], { env: { TOKEN_WARNING_SECONDS: '2' } });
  const client = await streamOf(world, sluice, key);
  await client.untilControl('stream.expiring');
  await untilClosing(client, 'expired_token');
  assertRefused(await askWith(sluice, key), 401);
});

for (const store of ['memory', 'redis']) {
  e2e(`a key with events gets those alone, live and in the replay (${store})`, async (world) => {
    const some = apiKey({ companyId: 'acme', events: ['vis_*', 'journey_flag_updated'] });
    const all = apiKey({ companyId: 'acme' });
    const { sluice, publisher } = await withKeys(world, [some.line, all.line], { store });
    const [narrow, wide] = [await streamOf(world, sluice, some.key), await streamOf(world, sluice, all.key)];
    const start = narrow.lastEventId;
    const subjects = ['metrics.calculated', 'q2q.done', 'journey.step', 'metrics.sroi', 'q2q.done', 'metrics.calculated'];
    for (const [i, subject] of subjects.entries()) await publisher.publish(subject, payload('acme', i + 1));
    await wide.untilEvents(6);
    await narrow.untilEvents(3);
    assertExactly(wide, [1, 2, 3, 4, 5, 6]);
    assertExactly(narrow, [2, 3, 5]);
    const again = await streamOf(world, sluice, some.key, { lastEventId: start });
    await again.untilEvents(3);
    assertExactly(again, [2, 3, 5]);
    const cursor = await streamOf(world, sluice, some.key, { lastEventId: narrow.events[0].id });
    await cursor.untilEvents(2);
    assertExactly(cursor, [3, 5]);
    const since = await streamOf(world, sluice, some.key, { query: [['since', String(wide.events[0].position.ms)]] });
    await since.untilEvents(3);
    assertExactly(since, [2, 3, 5]);
  });
}

e2e('a key has as many streams as it may, and is then told to come back', async (world) => {
  const two = apiKey({ companyId: 'acme', maxConnections: 2 });
  const usual = apiKey({ companyId: 'acme' });
  const { sluice } = await withKeys(world, [two.line, usual.line], { env: { MAX_CONNECTIONS_PER_KEY: '3' } });
  const streams = [];
  for (let i = 0; i < 2; i++) streams.push(await streamOf(world, sluice, two.key));
  assertRefused(await askWith(sluice, two.key), 429, 'its own limit');
  for (let i = 0; i < 3; i++) await streamOf(world, sluice, usual.key);
  assertRefused(await askWith(sluice, usual.key), 429, 'the limit of keys that name none');
  streams[0].leave();
  await sluice.untilConnections(4);
  await streamOf(world, sluice, two.key);
});

e2e('without another setting a key has five streams, also with Redis', async (world) => {
  const { key, line } = apiKey({ companyId: 'acme' });
  const { sluice } = await withKeys(world, [line], { store: 'redis' });
  for (let i = 0; i < 5; i++) await streamOf(world, sluice, key);
  assertRefused(await askWith(sluice, key), 429);
});

e2e('a limit of a key that was lowered holds for tickets of before, too', async (world) => {
  const limited = (maxConnections) => JSON.stringify({ ...JSON.parse(line), maxConnections });
  const { key, line } = apiKey({ companyId: 'acme', maxConnections: 3 });
  const { sluice, file } = await withKeys(world, [line]);
  const tickets = [];
  for (let i = 0; i < 2; i++) tickets.push((await askForTicket(sluice, { headers: [keyHeader(key)] })).json().ticket);
  replace(file, [limited(1)]);
  await streamOf(world, sluice, key);
  await untilStatus(sluice, key, 429, 'the lower limit');
  const answers = tickets.map((ticket) => askForStream(sluice, { query: `ticket=${ticket}` }));
  for (const answer of await Promise.all(answers)) assertRefused(answer, 429);
  replace(file, [limited(2)]);
  await untilStatus(sluice, key, 200, 'the higher limit');
});

e2e('the streams of a key are counted over all replicas that share a Redis', async (world) => {
  const { key, line } = apiKey({ companyId: 'acme', maxConnections: 2 });
  const env = { AUTH_MODE: 'apikey', API_KEYS_FILE: keyFile(world, [line]) };
  const [nats, redis] = [await world.nats(), await world.redis()];
  const replicas = [await world.sluice({ nats, redis, env }), await world.sluice({ nats, redis, env })];
  for (const sluice of replicas) await untilReplicas(sluice, 2);
  const streams = [];
  for (const sluice of replicas) streams.push(await streamOf(world, sluice, key));
  for (const sluice of replicas) assertRefused(await askWith(sluice, key), 429);
  streams[0].leave();
  await untilStatus(replicas[1], key, 200, 'the place that became free');
});

e2e('bad lines keep the keys of before, and are counted', async (world) => {
  const { key, line } = apiKey({ companyId: 'acme' });
  const other = apiKey({ companyId: 'acme' });
  const { sluice, file } = await withKeys(world, [line]);
  const client = await streamOf(world, sluice, key);
  const bad = [
    'no JSON',
    JSON.stringify({ id: 'x' }),
    JSON.stringify({ ...JSON.parse(other.line), expiers: '2030-01-01T00:00:00Z' }),
    JSON.stringify({ ...JSON.parse(other.line), expires: 'tomorrow' }),
    line,
  ];
  for (const [i, text] of bad.entries()) {
    replace(file, [other.line.replace(idOf(other.line), 'k_other'), text, ...(text === line ? [line] : [])]);
    await sluice.untilMetric('sluice_api_keys_errors_total', {}, (value) => value === i + 1);
    assert.equal((await askWith(sluice, key, { method: 'HEAD' })).status, 200, text);
    assertRefused(await askWith(sluice, other.key), 401, text);
  }
  rmSync(file);
  await sluice.untilMetric('sluice_api_keys_errors_total', {}, (value) => value === bad.length + 1);
  assert.equal((await askWith(sluice, key, { method: 'HEAD' })).status, 200, 'a file that is gone takes no key away');
  assert.equal(client.closed, false);
  const told = sluice.logs.filter((entry) => entry.level === 'error' && /API keys/.test(entry.message));
  assert.equal(told.length, bad.length + 1, 'once for each change');
  assert.match(told[0].lines, /line 2/);
  assert.ok(!told.some((entry) => JSON.stringify(entry).includes(JSON.parse(other.line).sha256)));
  replace(file, [line, other.line]);
  await untilStatus(sluice, other.key, 200, 'the key of a good file');
});

e2e('keys that cannot be read stop the start, with the line', async (world) => {
  const settings = { AUTH_MODE: 'apikey', PORT_ANALYTICS: '0', BIND_ADDRESS: '127.0.0.1', REDIS_URL: '' };
  const start = (env) => runSluice({ env: { ...settings, ...env } });
  const { line } = apiKey({ companyId: 'acme' });
  const bad = await start({ API_KEYS_FILE: keyFile(world, [line, '# fine', '{"id":"x"}']) });
  assert.notEqual(bad.code, 0);
  assert.match(bad.stderr, /line 3/);
  const missing = await start({ API_KEYS_FILE: '/nowhere/keys' });
  assert.notEqual(missing.code, 0);
  assert.match(missing.stderr, /API_KEYS_FILE: \/nowhere\/keys cannot be read: No such file/);
  const none = await start({});
  assert.notEqual(none.code, 0, 'without a file and without Redis there can be no keys');
  assert.match(none.stderr, /API_KEYS_FILE/);
});

e2e('AUTH_MODE=jwt,apikey takes either, but not both at once', async (world) => {
  const { key, line } = apiKey({ companyId: 'acme' });
  const { sluice } = await withKeys(world, [line], { env: { ...JWT_ENV, AUTH_MODE: 'jwt,apikey' } });
  const good = bearer(token({ companyId: 'acme' }));
  await streamOf(world, sluice, key);
  await world.liveStream(sluice, { headers: [good] });
  assertRefused(await ask(sluice, { headers: [good, keyHeader(key)] }), 400, 'both');
  assertRefused(await ask(sluice, { headers: [bearer('nothing'), keyHeader(key)] }), 400, 'both, one of them bad');
  assertRefused(await ask(sluice, { company: 'acme' }), 401, 'neither');
  assertRefused(await askWith(sluice, apiKey().key), 401, 'an unknown key');
  assertRefused(await ask(sluice, { headers: [bearer('nothing')] }), 401, 'a bad token');
});

e2e('keys come from Redis where no file is named, and follow what is there', async (world) => {
  const [first, second] = [apiKey({ id: 'k1', companyId: 'acme' }), apiKey({ id: 'k2', companyId: 'acme' })];
  const env = { AUTH_MODE: 'apikey', ADMIN_KEY, LOG_LEVEL: 'debug' };
  const { sluice, redis } = await world.bridge({ store: 'redis', env });
  const put = (id, line) => redis.command('HSET', 'sluice:keys', id, line);
  assertRefused(await askWith(sluice, first.key), 401, 'there are none yet');
  await put('k1', first.line);
  await untilStatus(sluice, first.key, 200, 'the first key');
  const clients = [await streamOf(world, sluice, first.key)];
  await put('k2', second.line);
  await untilStatus(sluice, second.key, 200, 'the second key');
  clients.push(await streamOf(world, sluice, second.key));

  await put('k1', first.line.replace('acme', 'other'));
  await untilClosing(clients[0], 'revoked');
  const other = await streamOf(world, sluice, first.key);
  assert.equal((await other.ready()).companyId, 'other');

  const errors = (await sluice.metrics()).value('sluice_api_keys_errors_total') ?? 0;
  await put('k3', 'no JSON');
  await sluice.untilMetric('sluice_api_keys_errors_total', {}, (value) => value > errors);
  assert.equal((await askWith(sluice, second.key, { method: 'HEAD' })).status, 200);
  await redis.command('HDEL', 'sluice:keys', 'k3', 'k2');
  await untilClosing(clients[1], 'revoked');
  assertRefused(await askWith(sluice, second.key), 401);

  await redis.command('DEL', 'sluice:keys');
  await untilClosing(other, 'revoked');
  assertRefused(await askWith(sluice, first.key), 401);
  assert.equal((await sluice.metrics()).value('sluice_api_keys'), 0);
  await assertUnseen(sluice, [first.key, second.key]);
});

e2e('keys of Redis outlive its absence; before they were read, clients are told to come back', async (world) => {
  const { key, line } = apiKey({ id: 'k1', companyId: 'acme' });
  const [nats, redis] = [await world.nats(), await world.redis({ durable: true })];
  await redis.command('HSET', 'sluice:keys', 'k1', line);
  await redis.kill();
  const sluice = await world.sluice({ nats, redis, env: { AUTH_MODE: 'apikey', ADMIN_KEY }, until: 'degraded' });
  assertRefused(await askWith(sluice, key), 503);
  await redis.start();
  await untilStatus(sluice, key, 200, 'the key, once Redis is there');
  const client = await streamOf(world, sluice, key);
  await redis.kill();
  await client.untilStore('lost');
  await streamOf(world, sluice, key);
  assert.deepEqual(client.controls('stream.closing'), []);
});
