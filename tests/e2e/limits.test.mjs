// How many streams there may be, of whom, and how fast new ones may come.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  ADMIN_ENV,
  adminMetrics,
  askForStream,
  askForTicket,
  assertOpen,
  assertRefused,
  asUser,
  replicas,
  untilComeBack,
  untilLive,
  untilRefused,
  untilReplicas,
  untilStreams,
} from '../support/access.mjs';
import { range } from '../support/events.mjs';
import { request, requestBytes } from '../support/http.mjs';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';
import { apiKey, JWT_ENV } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const errorsOf = async (sluice, reason) =>
  (await adminMetrics(sluice)).value('sluice_connection_errors_total', { reason });

/** Settings with which tokens and these keys are good, and metrics can be read. */
function envWithKeys(world, ...keys) {
  const directory = temporaryDirectory('keys');
  world.own(() => removeDirectory(directory));
  const file = path.join(directory, 'keys.jsonl');
  writeFileSync(file, keys.map(({ line }) => `${line}\n`).join(''));
  return { ...JWT_ENV, ...ADMIN_ENV, AUTH_MODE: 'jwt,apikey', API_KEYS_FILE: file };
}

const user = (sub, companyId = 'acme') => asUser({ companyId, sub });
const keyed = ({ key }) => ({ headers: [['x-api-key', key]] });
const from = (address) => ({ headers: [['X-Forwarded-For', address]] });

const oneKey = apiKey({ id: 'k_one', companyId: 'acme' });
const twoKey = apiKey({ id: 'k_two', companyId: 'acme' });
const wideKey = apiKey({ id: 'k_wide', companyId: 'acme', maxConnections: 3 });

// `full` shares one limit of two, of which `others` know nothing.
const COUNTS = [
  {
    setting: 'MAX_CONNECTIONS_PER_COMPANY',
    reason: 'company_limit',
    message: /company has too many streams/,
    full: [user('u1'), user('u2'), keyed(oneKey)],
    others: [user('u1', 'other'), user('u1', 'acme2')],
  },
  {
    setting: 'MAX_CONNECTIONS_PER_USER',
    reason: 'user_limit',
    message: /user has too many streams/,
    full: [user('u1'), user('u1'), user('u1')],
    others: [user('u2'), user('u1', 'other'), asUser({ companyId: 'acme' }), keyed(oneKey)],
  },
  {
    setting: 'MAX_CONNECTIONS_PER_KEY',
    reason: 'key_limit',
    message: /API key has too many streams/,
    full: [keyed(oneKey), keyed(oneKey), keyed(oneKey)],
    others: [keyed(twoKey), keyed(wideKey), keyed(wideKey), keyed(wideKey), user('k_one')],
  },
  {
    setting: 'MAX_CONNECTIONS_PER_ADDRESS',
    reason: 'address_limit',
    message: /from this address/,
    env: { AUTH_MODE: 'none', TRUSTED_PROXIES: '127.0.0.1' },
    full: [from('10.1.2.3'), from('evil, 10.1.2.3'), from('8.8.8.8, 10.1.2.3')],
    others: [from('10.1.2.4'), from('2001:db8::1')],
  },
];

for (const store of ['memory', 'redis']) {
  for (const { setting, reason, message, env, full, others } of COUNTS) {
    e2e(`${setting} is a limit until a stream closes, and touches nobody else (${store})`, async (world) => {
      const settings = { ...envWithKeys(world, oneKey, twoKey, wideKey), ...env, [setting]: '2' };
      const { sluice } = await world.bridge({ store, env: settings });
      const query = settings.AUTH_MODE === 'none' ? [['companyId', 'acme']] : [];
      const open = (options) => world.liveStream(sluice, { ...options, query });
      const [first, second, third] = full;
      const leaves = await open(first);
      const stays = await open(second);
      for (const options of full) {
        const answer = await askForStream(sluice, { ...options, query: query.map((pair) => pair.join('=')).join('&') });
        assertRefused(answer, 429, message);
      }
      assert.equal(await errorsOf(sluice, reason), full.length);
      for (const options of others) await open(options);
      leaves.leave();
      await untilLive(world, sluice, { ...third, query });
      assertOpen(stays);
    });
  }
}

e2e('a user may have five streams, and 0 takes the limit away', async (world) => {
  const { sluice, nats } = await world.bridge({ env: JWT_ENV });
  for (const _ of range(1, 5)) await world.liveStream(sluice, user('u1'));
  assertRefused(await askForStream(sluice, user('u1')), 429);
  const free = await world.sluice({ nats, env: { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '0' } });
  for (const _ of range(1, 8)) await world.liveStream(free, user('u1'));
});

e2e('a refused stream costs no place anywhere', async (world) => {
  const env = { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '1', MAX_CONNECTIONS_PER_COMPANY: '2' };
  const { sluice } = await world.bridge({ store: 'redis', env });
  await world.liveStream(sluice, user('u1'));
  for (const _ of range(1, 5)) assertRefused(await askForStream(sluice, user('u1')), 429, /user/);
  const second = await world.liveStream(sluice, user('u2'));
  for (const _ of range(1, 5)) assertRefused(await askForStream(sluice, user('u3')), 429, /company/);
  second.leave();
  await untilLive(world, sluice, user('u3'));
});

e2e('HEAD holds no place', async (world) => {
  const env = { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '1' };
  const { sluice } = await world.bridge({ store: 'redis', env });
  const { headers } = user('u1');
  for (const _ of range(1, 5)) {
    const answer = await request(sluice.port, { method: 'HEAD', target: '/stream/updates', headers });
    assert.equal(answer.status, 200);
  }
  await world.liveStream(sluice, user('u1'));
  const full = await request(sluice.port, { method: 'HEAD', target: '/stream/updates', headers });
  assert.equal(full.status, 429);
});

e2e('MAX_CONNECTIONS is over all', async (world) => {
  const { sluice } = await world.bridge({ env: { ...JWT_ENV, ...ADMIN_ENV, MAX_CONNECTIONS: '2' } });
  const first = await world.liveStream(sluice, user('u1'));
  await world.liveStream(sluice, user('u1', 'other'));
  assertRefused(await askForStream(sluice, user('u2', 'third')), 503, /MAX_CONNECTIONS/);
  assert.equal(await errorsOf(sluice, 'full'), 1);
  first.leave();
  const last = await untilLive(world, sluice, user('u2', 'third'));
  assertOpen(last);
});

e2e('an address that no trusted proxy reports is the one that connects', async (world) => {
  const { sluice } = await world.bridge({ env: { MAX_CONNECTIONS_PER_ADDRESS: '1' } });
  await world.liveStream(sluice, { company: 'acme', ...from('10.1.2.3') });
  assertRefused(await askForStream(sluice, { ...from('10.1.2.4'), query: 'companyId=acme' }), 429, /this address/);
});

e2e('IPv6 clients count by their /64', async (world) => {
  const env = { MAX_CONNECTIONS_PER_ADDRESS: '1', TRUSTED_PROXIES: '127.0.0.0/8' };
  const { sluice } = await world.bridge({ env });
  const query = 'companyId=acme';
  await world.liveStream(sluice, { company: 'acme', ...from('2001:db8:1:2::1') });
  assertRefused(await askForStream(sluice, { ...from('2001:db8:1:2:ffff::9'), query }), 429);
  await world.liveStream(sluice, { company: 'acme', ...from('2001:db8:1:3::1') });
  await world.liveStream(sluice, { company: 'acme', headers: [['Forwarded', 'for="[2001:db8:1:4::1]:1234"']] });
  const again = { headers: [['Forwarded', 'for="[2001:db8:1:4::2]"']], query };
  assertRefused(await askForStream(sluice, again), 429);
});

// Two seconds' worth may come at once.
const RATES = [
  { setting: 'CONNECTION_RATE', reason: 'rate', message: /Too many new streams at a time;/ },
  { setting: 'CONNECTION_RATE_PER_ADDRESS', reason: 'address_rate', message: /at a time from this address/ },
];

for (const { setting, reason, message } of RATES) {
  e2e(`${setting} spreads new streams`, async (world) => {
    const env = { ...ADMIN_ENV, [setting]: '2', TRUSTED_PROXIES: '127.0.0.1' };
    const { sluice } = await world.bridge({ env });
    const options = { company: 'acme', ...from('10.1.2.3') };
    for (const _ of range(1, 4)) await world.liveStream(sluice, options);
    let refused;
    await eventually(async () => {
      const client = await world.stream(sluice, options);
      refused = client;
      return client.status === 429;
    }, 'a refusal');
    await refused.waitFor(() => refused.missingBytes === 0, 'the whole answer');
    assertRefused(refused, 429, message);
    assert.ok((await errorsOf(sluice, reason)) >= 1);
    if (reason === 'address_rate') await world.liveStream(sluice, { company: 'acme', ...from('10.1.2.4') });
    await untilLive(world, sluice, options);
  });
}

e2e('asking for tickets counts as asking for streams', async (world) => {
  const { sluice } = await world.bridge({ env: { CONNECTION_RATE_PER_ADDRESS: '1' } });
  const ask = { method: 'POST', target: '/stream/ticket?companyId=acme', headers: [['Content-Length', '0']] };
  const answers = [];
  while (answers.length < 10) answers.push(await request(sluice.port, ask));
  const refused = answers.find(({ status }) => status === 429);
  assert.ok(refused, 'ten at once are more than one a second');
  assertRefused(refused, 429, /from this address/);
});

e2e('a URL, a head and an id that are too long', async (world) => {
  const env = { ...ADMIN_ENV, URL_MAX_BYTES: '1024', REQUEST_HEAD_BYTES: '8192' };
  const { sluice } = await world.bridge({ env });
  const ask = (target, headers) => request(sluice.port, { target, headers });
  const long = await ask(`/stream/updates?companyId=acme&x=${'x'.repeat(1024)}`);
  assert.equal(long.status, 414, long.body);
  assert.match(long.json().message, /URL_MAX_BYTES/);
  assert.equal(await errorsOf(sluice, 'too_large'), 1);
  const head = await ask('/stream/updates?companyId=acme', [['X-Long', 'x'.repeat(9000)]]);
  assert.ok([413, 431].includes(head.status), `${head.status} ${head.body}`);
  const company = await ask(`/stream/updates?companyId=${'a'.repeat(129)}`);
  assert.equal(company.status, 400);
  // An id that cannot be one is a gap, never an error.
  const client = await world.liveStream(sluice, { company: 'acme', lastEventId: 'x'.repeat(4000) });
  assert.equal(client.gaps[0].reason, 'unknown_id');
  assert.ok(client.gaps[0].requested.length <= 128);
});

for (const [what, env, fill, more] of [
  ['429 of a user', { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '1' }, user('u1'), user('u1')],
  ['503 of a full server', { ...JWT_ENV, MAX_CONNECTIONS: '1' }, user('u1'), user('u2')],
  ['429 of a rate', { ...JWT_ENV, CONNECTION_RATE: '1', MAX_CONNECTIONS_PER_USER: '0' }, user('u1'), user('u1')],
]) {
  e2e(`OVERLOAD_ANSWER=retry answers 200 and a long retry instead of the ${what}`, async (world) => {
    const { sluice } = await world.bridge({ env: { ...env, OVERLOAD_ANSWER: 'retry', RETRY_MS: '1000' } });
    await world.liveStream(sluice, fill);
    const later = await eventually(async () => {
      const client = await world.stream(sluice, more);
      return client.missingBytes !== undefined && client;
    }, 'an answer with an end');
    const retry = await untilComeBack(later);
    assert.ok(retry >= 15_000 && retry < 30_000, `retry: ${retry}`);
    assert.equal(later.headers.get('Content-Type'), 'text/event-stream');
    // What a retry would not help stays an error; a rate is looked at before the credentials are.
    if (!env.CONNECTION_RATE) assertRefused(await askForStream(sluice), 401);
  });
}

for (const [what, options, setting] of [
  ['user', user('u1'), 'MAX_CONNECTIONS_PER_USER'],
  ['key', keyed(oneKey), 'MAX_CONNECTIONS_PER_KEY'],
]) {
  e2e(`the streams of a ${what} count over all replicas`, async (world) => {
    const env = { ...envWithKeys(world, oneKey), [setting]: '3' };
    const { sluices } = await replicas(world, 2, { env });
    const [one, two] = sluices;
    const first = await world.liveStream(one, options);
    await world.liveStream(two, options);
    await world.liveStream(two, options);
    for (const sluice of sluices) assertRefused(await askForStream(sluice, options), 429, new RegExp(what, 'i'));
    for (const sluice of sluices) assert.equal(await errorsOf(sluice, `${what}_limit`), 1);
    first.leave();
    await untilLive(world, two, options);
    assertRefused(await askForStream(one, options), 429);
  });
}

e2e('streams that were opened alone count for a replica that starts later', async (world) => {
  const env = { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '3', DRAIN_SECONDS: '1' };
  const { sluice: one, nats, redis } = await world.bridge({ store: 'redis', env });
  const first = await world.liveStream(one, user('u1'));
  const second = await world.liveStream(one, user('u1'));
  const two = await world.sluice({ nats, redis, env });
  await untilReplicas(one, 2);
  const third = await world.liveStream(two, user('u1'));
  await untilRefused(world, two, user('u1'), 429);
  assertRefused(await askForStream(one, user('u1')), 429);
  // Alone again, and then not: who left in between is not remembered by Redis.
  await two.stop();
  await third.untilClosed();
  await untilLive(world, one, user('u1'));
  await eventually(() => one.logs.findLast(({ replicas: count }) => count).replicas === 1, 'to be alone');
  first.leave();
  second.leave();
  await untilStreams(one, 1);
  const three = await world.sluice({ nats, redis, env });
  for (const _ of range(1, 2)) await untilLive(world, three, user('u1'));
  await untilRefused(world, three, user('u1'), 429);
});

e2e('a Redis that comes back empty is told who streams', async (world) => {
  const env = { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '2', REDIS_TIMEOUT_MS: '500' };
  const { sluices, redis } = await replicas(world, 2, { env });
  const [one, two] = sluices;
  const clients = [];
  for (const _ of range(1, 2)) clients.push(await world.liveStream(one, user('u1')));
  await redis.kill();
  for (const sluice of sluices) await sluice.untilHealth('degraded');
  await redis.start();
  await untilRefused(world, two, user('u1'), 429);
  clients[0].leave();
  await untilLive(world, two, user('u1'));
  assertOpen(clients[1]);
});

e2e('a replica that stops gives its places back at once', async (world) => {
  const { sluices } = await replicas(world, 2, { env: { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '4' } });
  const [one, two] = sluices;
  for (const _ of range(1, 4)) await world.liveStream(one, user('u1'));
  assertRefused(await askForStream(two, user('u1')), 429);
  await one.stop();
  // All of them, and by now: nothing is waited for.
  for (const _ of range(1, 4)) await world.liveStream(two, user('u1'));
  assertRefused(await askForStream(two, user('u1')), 429);
});

e2e('a replica that is killed loses its places when its lease is over', async (world) => {
  const { sluices } = await replicas(world, 2, { env: { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '2' } });
  const [one, two] = sluices;
  await world.liveStream(one, user('u1'));
  const stays = await world.liveStream(two, user('u1'));
  await one.crash();
  assertRefused(await askForStream(two, user('u1')), 429);
  const back = await eventually(async () => {
    const client = await world.stream(two, user('u1'));
    return client.status === 200 && client;
  }, 'the place of the killed replica', 60_000);
  assertOpen(stays, back);
  assertRefused(await askForStream(two, user('u1')), 429);
});

e2e('without Redis each replica counts its own, and together again when it is back', async (world) => {
  const env = { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '2', REDIS_TIMEOUT_MS: '200' };
  const { sluices, redis } = await replicas(world, 2, { env });
  await redis.kill();
  for (const sluice of sluices) await sluice.untilHealth('degraded');
  const clients = [];
  for (const sluice of sluices) {
    for (const _ of range(1, 2)) clients.push(await world.liveStream(sluice, user('u1')));
    assertRefused(await askForStream(sluice, user('u1')), 429);
  }
  await redis.start();
  const isThere = (line) => line.message.startsWith('Redis is there for tickets');
  for (const sluice of sluices) await eventually(() => sluice.logs.filter(isThere).length === 2, 'Redis');
  // Four are too many for two, but who is in stays in.
  assertOpen(...clients);
  clients[0].leave();
  clients[1].leave();
  await untilStreams(sluices[0], 0);
  await eventually(async () => {
    const client = await world.stream(sluices[0], user('u1'));
    client.leave();
    return client.status === 429;
  }, 'the others to count');
  assertOpen(clients[2], clients[3]);
});

e2e('a client that leaves while Redis is asked leaves no place behind', async (world) => {
  const env = { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '2', REDIS_TIMEOUT_MS: '20000' };
  const { sluices, redis } = await replicas(world, 2, { env });
  const [sluice] = sluices;
  await redis.hang();
  const { headers } = user('u1');
  const waiting = [];
  for (const _ of range(1, 2)) {
    const connection = await world.connection(sluice);
    connection.send(requestBytes({ target: '/stream/updates', headers }));
    waiting.push(connection);
  }
  // Both are known to wait when a third has no place here.
  await untilRefused(world, sluice, user('u1'), 429);
  for (const connection of waiting) connection.destroy();
  redis.wake();
  for (const _ of range(1, 2)) await untilLive(world, sluice, user('u1'));
});

e2e('a stop does not wait for a Redis that hangs longer than its time-out', async (world) => {
  const env = { ...JWT_ENV, REDIS_TIMEOUT_MS: '1000', DRAIN_SECONDS: '1' };
  const { sluices, redis } = await replicas(world, 2, { env });
  const [sluice] = sluices;
  const stays = await world.liveStream(sluice, user('u1'));
  await redis.hang();
  const connection = await world.connection(sluice);
  connection.send(requestBytes({ target: '/stream/updates', headers: user('u2').headers }));
  await sluice.stop();
  await stays.untilClosed();
});

for (const count of [1, 2]) {
  e2e(`streams go on to open while Redis hangs, counted by this replica, one of ${count}`, async (world) => {
    const env = { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '2', REDIS_TIMEOUT_MS: '200' };
    const { sluices, redis } = await replicas(world, count, { env });
    const [sluice] = sluices;
    await redis.hang();
    for (const _ of range(1, 2)) await world.liveStream(sluice, user('u1'));
    assertRefused(await askForStream(sluice, user('u1')), 429);
    redis.wake();
  });
}

e2e('tickets have a rate for each user', async (world) => {
  const { sluice } = await world.bridge({ env: { ...JWT_ENV, ...ADMIN_ENV, TICKET_RATE_PER_USER: '1' } });
  const ask = (options) => askForTicket(sluice, options);
  const answers = [];
  // Two may come at once; however slow the machine, a hundred in a row are over one a second.
  while (answers.length < 100 && answers.at(-1)?.status !== 429) answers.push(await ask(user('u1')));
  assert.ok(answers.length > 2, 'two that come at once are within the rate');
  assert.ok(answers.slice(0, -1).every(({ status }) => status === 200));
  assertRefused(answers.at(-1), 429, /Too many tickets/);
  assert.equal(await errorsOf(sluice, 'ticket_rate'), 1);
  for (const other of [user('u2'), user('u1', 'other')]) assert.equal((await ask(other)).status, 200);
  await eventually(async () => (await ask(user('u1'))).status === 200, 'a ticket once the rate allows it');
});
