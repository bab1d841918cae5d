// Redis behind Sentinels: another server becomes the master, streams are told, and the replay has what it had.

import assert from 'node:assert/strict';
import { Authority } from '../support/certificates.mjs';
import { assertExactly, assertPromise, range } from '../support/events.mjs';
import { replicated } from '../support/replicas.mjs';
import { freePort } from '../support/process.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const url = (sentinels, { user = '', database = '' } = {}) =>
  `redis+sentinel://${user}${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/mymaster${database}`;

async function storedNumbers(redis) {
  const members = await redis.command('ZRANGE', 'sluice:{acme}:log', 0, -1);
  return members.map((member) => Number(member.split('|')[0]));
}

/** A master, its replica, and what is said of them by one Sentinel that the test leads. */
async function pair(world) {
  const [nats, first, second] = await Promise.all([world.nats(), world.redis(), world.redis()]);
  const sentinel = await world.fakeSentinel(first.port);
  return { nats, first, second, sentinel };
}

e2e('the master is killed while events are published: another one goes on, and nothing is missing or twice', async (world) => {
  const password = 'secret-of-sentinels';
  const [nats, master] = await Promise.all([world.nats(), world.redis()]);
  const other = await world.redis({ settings: ['--replicaof', '127.0.0.1', String(master.port)] });
  const sentinels = await Promise.all([1, 2, 3].map(() => world.sentinel(master, { password })));
  for (const sentinel of sentinels) {
    await eventually(async () => {
      const known = await sentinel.known();
      return known['num-slaves'] === '1' && known['num-other-sentinels'] === '2';
    }, 'the Sentinels to know each other and the replica');
  }
  const { replicas, publisher } = await replicated(world, {
    nats,
    redis: { url: url(sentinels) },
    env: { REDIS_SENTINEL_PASSWORD: password },
  });
  const clients = await Promise.all(replicas.map((replica) => world.liveStream(replica, { company: 'acme' })));
  const start = clients[0].lastEventId;
  await publisher.publishPaced('acme', 1, 100, clients);

  const killed = master.kill();
  let last = 100;
  const rest = (async () => {
    while (clients.some((client) => client.controls('stream.store').length < 2)) {
      await publisher.publishPaced('acme', last + 1, last + 10, clients);
      last += 10;
    }
  })();
  await killed;
  for (const client of clients) {
    assert.deepEqual(await client.untilControl('stream.store'), { state: 'lost' });
    assert.deepEqual(await client.untilControl('stream.store', 2), { state: 'restored' });
  }
  await rest;
  await publisher.publishPaced('acme', last + 1, last + 50, clients);
  last += 50;
  for (const client of clients) assertExactly(client, range(1, last));
  await eventually(async () => (await storedNumbers(other)).at(-1) === last, 'the last event in the new master');
  assert.deepEqual(await storedNumbers(other), range(1, last));
  for (const replica of replicas) {
    const back = await world.liveStream(replica, { company: 'acme', lastEventId: start });
    assertExactly(back, range(1, last));
    await replica.untilHealth('ok');
  }
});

e2e('what the new master had not got from the old one is appended again from memory', async (world) => {
  const { nats, first, second, sentinel } = await pair(world);
  const sluice = await world.sluice({ nats, redis: { url: url([sentinel]) } });
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company: 'acme' });
  const start = client.lastEventId;
  await publisher.publishPaced('acme', 1, 20, [client]);
  await first.untilStored('acme', 20);
  await second.command('REPLICAOF', '127.0.0.1', first.port);
  await second.untilStored('acme', 20);
  await second.command('REPLICAOF', 'NO', 'ONE');
  await publisher.publishPaced('acme', 21, 60, [client]);
  await first.untilStored('acme', 60);

  sentinel.named = second.port;
  await first.kill();
  assert.deepEqual(await client.untilControl('stream.store'), { state: 'lost' });
  assert.deepEqual(await client.untilControl('stream.store', 2), { state: 'restored' });
  await second.untilStored('acme', 60);
  assert.deepEqual(await storedNumbers(second), range(1, 60));
  assertExactly(await world.liveStream(sluice, { company: 'acme', lastEventId: start }), range(1, 60));
  assertExactly(client, range(1, 60));
});

e2e('what no memory holds any more when the new master lacks it is told as a gap', async (world) => {
  const { nats, first, second, sentinel } = await pair(world);
  const sluice = await world.sluice({ nats, redis: { url: url([sentinel]) }, env: { RECENT_EVENTS: '16' } });
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 20, [client]);
  await first.untilStored('acme', 20);
  await second.command('REPLICAOF', '127.0.0.1', first.port);
  await second.untilStored('acme', 20);
  await second.command('REPLICAOF', 'NO', 'ONE');
  await publisher.publishPaced('acme', 21, 300, [client]);
  await first.untilStored('acme', 300);
  sentinel.named = second.port;
  await first.kill();
  await client.untilControl('stream.store', 2);
  await publisher.publishPaced('acme', 301, 310, [client]);
  await eventually(async () => (await storedNumbers(second)).at(-1) === 310, 'the last event in the new master');
  const back = await world.liveStream(sluice, { company: 'acme', lastEventId: client.events[9].id });
  const missing = assertPromise(back.blocks, { after: 10, until: 310 });
  assert.ok(missing > 200 && missing < 290, `${missing} are missing`);
  assert.deepEqual(back.gaps.map(({ reason, missed }) => ({ reason, missed })), [
    { reason: 'replay_unavailable', missed: missing },
  ]);
});

e2e('a master that became a replica is left, also where its connections stay open', async (world) => {
  const { nats, first, second, sentinel } = await pair(world);
  const sluice = await world.sluice({ nats, redis: { url: url([sentinel]) } });
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 10, [client]);
  await first.untilStored('acme', 10);
  await second.command('REPLICAOF', '127.0.0.1', first.port);
  await second.untilStored('acme', 10);
  await second.command('REPLICAOF', 'NO', 'ONE');
  sentinel.named = second.port;
  await first.command('REPLICAOF', '127.0.0.1', second.port);
  await client.untilControl('stream.store', 2);
  await publisher.publishPaced('acme', 11, 20, [client]);
  await second.untilStored('acme', 20);
  assertExactly(client, range(1, 20));
});

e2e('a server that is named and is no master is not used', async (world) => {
  const { nats, first, second, sentinel } = await pair(world);
  await second.command('REPLICAOF', '127.0.0.1', first.port);
  sentinel.named = second.port;
  const sluice = await world.sluice({ nats, redis: { url: url([sentinel]) }, until: 'degraded' });
  const isRefused = ({ reason }) => reason === 'Redis is not the master that it was said to be: slave';
  await sluice.untilLog(isRefused, 'the reason in the log');
  const asked = sentinel.asked;
  await eventually(() => sentinel.asked > asked, 'the Sentinel to be asked again');
  await second.command('REPLICAOF', 'NO', 'ONE');
  await sluice.untilHealth('ok');
});

e2e('Sentinels are asked in turn: one that is away and one that knows nothing do no harm', async (world) => {
  const [nats, redis] = await Promise.all([world.nats(), world.redis()]);
  const [away, blank, good] = await Promise.all([undefined, undefined, redis.port].map((port) => world.fakeSentinel(port)));
  await away.dispose();
  away.dispose = () => {};
  const sluice = await world.sluice({ nats, redis: { url: url([away, blank, good], { database: '/3' }) } });
  assert.ok(blank.asked > 0);
  await eventually(async () => (await redis.command('INFO', 'keyspace')).includes('db3:'), 'database 3 to be used');
  good.named = undefined;
  await redis.kill();
  await sluice.untilHealth('degraded');
  const isUnnamed = ({ reason }) => /no Sentinel names the master: .*/.test(reason ?? '');
  await sluice.untilLog(isUnnamed, 'the reason in the log');
  await redis.start();
  blank.named = redis.port;
  await sluice.untilHealth('ok');
});

e2e('by TLS to the Sentinels and the master, as a user with the rights of docs/operations.md', async (world) => {
  const authority = new Authority();
  world.own(() => authority.dispose());
  const certificate = authority.issue('IP:127.0.0.1');
  const tlsPort = await freePort();
  const user = ['--user', 'sluice', 'on', '>secret', '~sluice:*', '+@all', '-@dangerous'];
  const tls = ['--tls-port', String(tlsPort), '--tls-cert-file', certificate.certFile, '--tls-key-file', certificate.keyFile];
  const settings = [...tls, '--tls-ca-cert-file', certificate.caFile, '--tls-auth-clients', 'no', ...user];
  const [nats, redis] = await Promise.all([world.nats(), world.redis({ settings })]);
  const sentinel = await world.fakeSentinel(tlsPort, certificate);
  const env = { REDIS_TLS_CA_FILE: authority.caFile, REDIS_PASSWORD: 'secret' };
  const server = { url: url([sentinel], { user: 'sluice@' }).replace('redis+', 'rediss+') };
  const sluice = await world.sluice({ nats, redis: server, env, until: 'degraded' });
  const isRefused = ({ reason }) => /Redis refused the login: NOPERM/.test(reason ?? '');
  await sluice.untilLog(isRefused, 'that ROLE is not allowed');
  await redis.command('ACL', 'SETUSER', 'sluice', '+role');
  await sluice.untilHealth('ok');
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 5, [client]);
  await redis.untilStored('acme', 5);
});
