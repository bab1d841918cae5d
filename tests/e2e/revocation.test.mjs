// Revocations: what is published on the control subject takes somebody's access away, on every replica.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  ADMIN_ENV,
  adminMetrics,
  askForStream,
  assertOpen,
  assertRefused,
  asUser,
  replicas,
  REVOKE_SUBJECT,
  untilClosing,
  untilLive,
} from '../support/access.mjs';
import { payload, range } from '../support/events.mjs';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';
import { apiKey, JWT_ENV } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const revoke = (publisher, message) => publisher.publish(REVOKE_SUBJECT, JSON.stringify(message));

const isRevoked = (line) => line.message === 'Revoked';

/** Waits until each replica has heard of `count` revocations. */
async function untilRevoked(sluices, count = 1) {
  for (const sluice of sluices) {
    await eventually(() => sluice.logs.filter(isRevoked).length >= count, `${count} revocations`);
  }
}

/** Settings with which tokens and these keys are good, as often as a test likes. */
function envWithKeys(world, ...keys) {
  const directory = temporaryDirectory('keys');
  world.own(() => removeDirectory(directory));
  const file = path.join(directory, 'keys.jsonl');
  writeFileSync(file, keys.map(({ line }) => `${line}\n`).join(''));
  const unlimited = { MAX_CONNECTIONS_PER_USER: '0', MAX_CONNECTIONS_PER_KEY: '0' };
  return { ...JWT_ENV, ...unlimited, AUTH_MODE: 'jwt,apikey', API_KEYS_FILE: file };
}

const metricEnv = { ...JWT_ENV, ...ADMIN_ENV };

const metricOf = async (sluice, name, labels) => (await adminMetrics(sluice)).value(name, labels);

// Who is who: the token of `user` and `id` at `company`.
const PEOPLE = {
  anna: { companyId: 'acme', sub: 'anna', jti: 't-anna' },
  annaAgain: { companyId: 'acme', sub: 'anna', jti: 't-anna-2' },
  bert: { companyId: 'acme', sub: 'bert', jti: 't-bert' },
  annaElsewhere: { companyId: 'other', sub: 'anna', jti: 't-elsewhere' },
  nobody: { companyId: 'acme' },
};

const KINDS = [
  [{ companyId: 'acme' }, ['anna', 'annaAgain', 'bert', 'nobody', 'key']],
  [{ userId: 'anna' }, ['anna', 'annaAgain', 'annaElsewhere']],
  [{ companyId: 'acme', userId: 'anna' }, ['anna', 'annaAgain']],
  [{ tokenId: 't-anna' }, ['anna']],
  [{ keyId: 'k_one' }, ['key']],
];

for (const [message, hit] of KINDS) {
  e2e(`revoking ${JSON.stringify(message)} closes those streams everywhere, and no others`, async (world) => {
    const key = apiKey({ id: 'k_one', companyId: 'acme' });
    const other = apiKey({ id: 'k_two', companyId: 'other' });
    const { sluices, publisher } = await replicas(world, 2, { env: envWithKeys(world, key, other) });
    const ways = Object.fromEntries(Object.entries(PEOPLE).map(([name, claims]) => [name, asUser(claims)]));
    ways.key = { headers: [['x-api-key', key.key]] };
    ways.otherKey = { headers: [['x-api-key', other.key]] };
    const streams = [];
    for (const sluice of sluices) {
      for (const [name, options] of Object.entries(ways)) {
        streams.push({ name, sluice, options, client: await world.liveStream(sluice, options) });
      }
    }
    await revoke(publisher, message);
    for (const { name, client } of streams) if (hit.includes(name)) await untilClosing(client, 'revoked');
    await untilRevoked(sluices);
    for (const { name, sluice, options } of streams) {
      if (hit.includes(name)) assertRefused(await askForStream(sluice, options), 401, /revoked/);
    }
    const others = streams.filter(({ name }) => !hit.includes(name));
    assert.equal(others.length, 2 * (Object.keys(ways).length - hit.length));
    await publisher.publishRange('acme', 1, 1);
    await publisher.publishRange('other', 1, 1);
    for (const { client } of others) await client.untilEvents(1);
    assertOpen(...others.map(({ client }) => client));
    for (const { sluice, options } of others) (await world.liveStream(sluice, options)).leave();
  });
}

e2e('a replica that is started later knows who was revoked', async (world) => {
  const { sluices, nats, redis, publisher } = await replicas(world, 1);
  await revoke(publisher, { userId: 'anna' });
  await untilRevoked(sluices);
  await eventually(() => redis.command('EXISTS', 'sluice:revoked'), 'the revocation in Redis');
  const late = await world.sluice({ nats, redis, env: JWT_ENV });
  assertRefused(await askForStream(late, asUser(PEOPLE.anna)), 401, /revoked/);
  await world.liveStream(late, asUser(PEOPLE.bert));
});

e2e('a revocation that came by Redis alone is in force within moments', async (world) => {
  // This replica's NATS knows nothing of the other's.
  const redis = await world.redis();
  const [one, two] = [await world.nats(), await world.nats()];
  const first = await world.sluice({ nats: one, redis, env: JWT_ENV });
  const second = await world.sluice({ nats: two, redis, env: JWT_ENV });
  const client = await world.liveStream(second, asUser(PEOPLE.anna));
  const other = await world.liveStream(second, asUser(PEOPLE.bert));
  await revoke(await world.publisher(one), { userId: 'anna' });
  await untilRevoked([first]);
  await untilClosing(client, 'revoked');
  assertOpen(other);
});

for (const [what, store] of [
  ['while Redis is away', 'redis'],
  ['without any Redis', 'memory'],
]) {
  e2e(`a revocation works ${what}`, async (world) => {
    const env = { ...JWT_ENV, REDIS_TIMEOUT_MS: '200' };
    const { sluices, redis, publisher } = await replicas(world, 2, { store, env });
    const clients = [];
    for (const sluice of sluices) clients.push(await world.liveStream(sluice, asUser(PEOPLE.anna)));
    const other = await world.liveStream(sluices[1], asUser(PEOPLE.bert));
    if (redis) {
      await redis.kill();
      for (const sluice of sluices) await sluice.untilHealth('degraded');
    }
    await revoke(publisher, { tokenId: 't-anna' });
    for (const client of clients) await untilClosing(client, 'revoked');
    for (const sluice of sluices) assertRefused(await askForStream(sluice, asUser(PEOPLE.anna)), 401, /revoked/);
    assertOpen(other);
  });
}

e2e('what was revoked while Redis was away stays revoked when it is back', async (world) => {
  const env = { ...JWT_ENV, REDIS_TIMEOUT_MS: '200' };
  const { sluices, nats, redis, publisher } = await replicas(world, 1, { env });
  const [sluice] = sluices;
  await redis.kill();
  await sluice.untilHealth('degraded');
  await revoke(publisher, { userId: 'anna' });
  await untilRevoked(sluices);
  await redis.start();
  await sluice.untilHealth('ok');
  assertRefused(await askForStream(sluice, asUser(PEOPLE.anna)), 401, /revoked/);
  // And who comes later learns of it.
  await eventually(() => redis.command('EXISTS', 'sluice:revoked'), 'the revocation in Redis');
  const late = await world.sluice({ nats, redis, env });
  assertRefused(await askForStream(late, asUser(PEOPLE.anna)), 401, /revoked/);
});

for (const store of ['memory', 'redis']) {
  e2e(`after its time a revocation is over (${store})`, async (world) => {
    const { sluices, publisher } = await replicas(world, 1, { store });
    const [sluice] = sluices;
    const client = await world.liveStream(sluice, asUser(PEOPLE.anna));
    const until = Date.now() + 2000;
    await revoke(publisher, { userId: 'anna', until });
    await untilClosing(client, 'revoked');
    const { untilMs } = await sluice.untilLog(isRevoked, 'the revocation');
    assert.equal(untilMs, until);
    const back = await untilLive(world, sluice, asUser(PEOPLE.anna));
    assert.ok(Date.now() >= until, 'not before its time');
    await publisher.publishRange('acme', 1, 1);
    await back.untilEvents(1);
  });
}

e2e('a revocation is not shortened by a later one', async (world) => {
  const { sluices, publisher } = await replicas(world, 1);
  await revoke(publisher, { userId: 'anna', until: Date.now() + 60_000 });
  await revoke(publisher, { userId: 'anna', until: Date.now() + 500 });
  await revoke(publisher, { userId: 'bert', until: Date.now() + 1000 });
  await untilRevoked(sluices, 3);
  await untilLive(world, sluices[0], asUser(PEOPLE.bert));
  assertRefused(await askForStream(sluices[0], asUser(PEOPLE.anna)), 401, /revoked/);
});

e2e('messages that are no revocation change nothing, are counted and logged without what they say', async (world) => {
  const { sluices, publisher } = await replicas(world, 1, { env: metricEnv });
  const [sluice] = sluices;
  const client = await world.liveStream(sluice, asUser(PEOPLE.anna));
  const secret = 'what-nobody-may-read';
  const bad = [
    ...['', 'nonsense', '[]', 'null', '"acme"', '{}', '{"companyId":"acme"', '{"companyId":""}', '{"companyId":"*"}'],
    ...['{"companyId":"acme","companyId":"other"}', '{"companyId":7}', '{"userId":["anna"]}', '{"userId":""}'],
    ...['{"userId":"anna","tokenId":"t-anna"}', '{"keyId":"k","companyId":"acme"}', '{"until":99999999999999}'],
    ...['{"userId":"anna","until":1}', '{"userId":"anna","until":"2099-01-01"}', '{"userId":"anna","until":1e30}'],
    ...['{"userId":"anna","until":null}', `{"userId":"anna","until":${Math.floor(Date.now() / 1000) + 3600}}`],
    ...[`{"userId":"anna","${secret}":true}`, `{"companyId":"${secret} "}`, '{"userId":"an\\u0000na"}'],
    ...[`{"userId":"${'x'.repeat(129)}"}`, `{"userId":"anna","x":"${'x'.repeat(5000)}"}`],
    ...[Buffer.from([0x7b, 0xff, 0x7d]), '{"company_id":"acme"}'],
  ];
  for (const message of bad) publisher.put(REVOKE_SUBJECT, message);
  await publisher.publishRange('acme', 1, 1);
  await client.untilEvents(1);
  await eventually(async () => {
    const count = await metricOf(sluice, 'sluice_revocation_errors_total');
    if (count !== bad.length) throw new Error(`${count} of ${bad.length} are counted`);
    return true;
  }, 'all errors to be counted');
  assert.equal(await metricOf(sluice, 'sluice_revocations_total'), 0);
  const lines = sluice.logs.filter((line) => line.message === 'A revocation was refused');
  assert.ok(lines.length >= 1 && lines.length < bad.length, `${lines.length} lines for ${bad.length} messages`);
  assert.ok(lines.every((line) => line.level === 'error' && line.problem));
  assert.doesNotMatch(sluice.child.stderr, new RegExp(secret));
  assertOpen(client);
  await world.liveStream(sluice, asUser(PEOPLE.anna));
});

e2e('control messages are no events', async (world) => {
  const { sluices, publisher } = await replicas(world, 1, { env: metricEnv });
  const [sluice] = sluices;
  const client = await world.liveStream(sluice, asUser(PEOPLE.anna));
  await revoke(publisher, { companyId: 'acme', userId: 'bert' });
  await untilRevoked(sluices);
  await publisher.publish('metrics.x', payload('acme', 1));
  await client.untilEvents(1);
  assert.equal(client.events[0].position.seq, 1);
  assert.equal(await metricOf(sluice, 'sluice_events_received_total'), 1);
  assert.equal(await metricOf(sluice, 'sluice_revocations_total'), 1);
});

e2e('a client that does not read is closed by a revocation as well', async (world) => {
  const env = { ...metricEnv, SOCKET_BUFFER_BYTES: '4096' };
  const { sluices, publisher } = await replicas(world, 1, { env });
  const [sluice] = sluices;
  const client = await world.liveStream(sluice, asUser(PEOPLE.anna));
  client.stopReading();
  for (const n of range(1, 60)) {
    await publisher.publish('metrics.x', payload('acme', n, { text: 'x'.repeat(100_000) }));
  }
  await eventually(async () => {
    const dropped = await metricOf(sluice, 'sluice_events_dropped_total', { reason: 'slow_consumer' });
    return dropped > 0;
  }, 'the client to be behind');
  await revoke(publisher, { userId: 'anna' });
  const closed = await sluice.untilLog((line) => line.message === 'SSE connection closed', 'the close');
  assert.equal(closed.reason, 'revoked');
  assert.equal(await metricOf(sluice, 'sluice_connections_closed_total', { reason: 'revoked' }), 1);
  client.leave(); // it was cut inside an event
  client.violations.length = 0;
});

e2e('a stream that reads its history is closed by a revocation', async (world) => {
  const { sluices, publisher } = await replicas(world, 1);
  const [sluice] = sluices;
  const first = await world.liveStream(sluice, asUser(PEOPLE.bert));
  await publisher.publishPaced('acme', 1, 3000, [first], { more: { text: 'x'.repeat(500) } });
  const options = asUser(PEOPLE.anna, { lastEventId: first.events[0].id });
  const client = await world.stream(sluice, options);
  await revoke(publisher, { userId: 'anna' });
  // At once: where its socket was full, that leaves no room for a last word.
  const closed = await sluice.untilLog((line) => line.message === 'SSE connection closed', 'the close');
  assert.deepEqual([closed.reason, closed.userId], ['revoked', 'anna']);
  await client.waitFor(() => client.closed, 'the end');
  assertOpen(first);
});

e2e('many revocations at a time all hold', async (world) => {
  const { sluices, publisher } = await replicas(world, 2);
  const users = range(1, 200).map((i) => `user-${i}`);
  const clients = [];
  for (const [i, sub] of users.entries()) {
    if (i % 10 === 0) clients.push(await world.liveStream(sluices[i % 2], asUser({ companyId: 'acme', sub })));
  }
  const stays = await world.liveStream(sluices[1], asUser({ companyId: 'acme', sub: 'user-201' }));
  for (const userId of users) publisher.put(REVOKE_SUBJECT, JSON.stringify({ userId }));
  await publisher.connection.flush();
  for (const client of clients) await untilClosing(client, 'revoked');
  await untilRevoked(sluices, users.length);
  for (const sub of ['user-1', 'user-100', 'user-200']) {
    for (const sluice of sluices) assertRefused(await askForStream(sluice, asUser({ companyId: 'acme', sub })), 401);
  }
  assertOpen(stays);
});
