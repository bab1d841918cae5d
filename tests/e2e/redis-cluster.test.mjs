// Redis Cluster: companies on several nodes, slots that move, and nodes that fail.

import assert from 'node:assert/strict';
import {
  askForStream,
  assertOpen,
  assertRefused,
  asUser,
  REVOKE_SUBJECT,
  ticketFor,
  untilClosing,
  untilLive,
  untilRefused,
  untilReplicas,
} from '../support/access.mjs';
import { Authority } from '../support/certificates.mjs';
import { assertExactly, assertPromise, range } from '../support/events.mjs';
import { freePort } from '../support/process.mjs';
import { replicated } from '../support/replicas.mjs';
import { JWT_ENV } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const logOf = (company) => `sluice:{${company}}:log`;

async function storedNumbers(cluster, company = 'acme') {
  const members = await cluster.command('ZRANGE', logOf(company), 0, -1);
  return members.map((member) => Number(member.split('|')[0]));
}

e2e('companies are kept on all nodes, counted, and served at every replica', async (world) => {
  const cluster = await world.cluster();
  const { replicas, publisher } = await replicated(world, { redis: cluster });
  const companies = range(1, 30).map((n) => `company-${n}`);
  const clients = await Promise.all(companies.map((company) => world.liveStream(replicas[0], { company })));
  const starts = clients.map((client) => client.lastEventId);
  for (const company of companies) await publisher.publishRange(company, 1, 10);
  for (const client of clients) await client.untilEvents(10);
  const masters = new Set();
  for (const company of companies) {
    await cluster.untilStored(company, 10);
    masters.add(await cluster.masterOf(logOf(company)));
  }
  assert.equal(masters.size, 3);
  for (const [i, company] of companies.entries()) {
    for (const replica of replicas) {
      assertExactly(await world.liveStream(replica, { company, lastEventId: starts[i] }), range(1, 10));
    }
  }
  await eventually(async () => (await replicas[1].stats()).replayCache.totalEvents === 300, 'all events to be counted');
  for (const replica of replicas) await replica.untilHealth('ok');
});

e2e('a slot that moves while its company publishes loses nothing, doubles nothing and is no outage', async (world) => {
  const cluster = await world.cluster();
  const { replicas, publisher } = await replicated(world, { redis: cluster });
  const client = await world.liveStream(replicas[0], { company: 'acme' });
  const other = await world.liveStream(replicas[1], { company: 'acme' });
  const start = client.lastEventId;
  const slot = await cluster.slotOf(logOf('acme'));
  let last = 0;
  const goOn = async () => {
    await publisher.publishPaced('acme', last + 1, last + 20, [client, other]);
    last += 20;
  };
  await goOn();
  await cluster.untilStored('acme', 20);
  for (let round = 0; round < 4; round++) {
    const from = await cluster.masterOf(logOf('acme'));
    const to = cluster.masters.find((master) => master !== from);
    await cluster.moveSlot(slot, from, to, goOn);
    await cluster.untilStored('acme', last);
    assert.deepEqual(await storedNumbers(cluster), range(1, last));
  }
  assertExactly(client, range(1, last));
  assertExactly(other, range(1, last));
  for (const replica of replicas) {
    assertExactly(await world.liveStream(replica, { company: 'acme', lastEventId: start }), range(1, last));
  }
  assert.deepEqual([...client.controls('stream.store'), ...other.controls('stream.store')], []);
});

e2e('the keys of the replicas themselves may move: the lease, the flags, the list of companies', async (world) => {
  const cluster = await world.cluster();
  const { replicas, publisher } = await replicated(world, { redis: cluster });
  const client = await world.liveStream(replicas[1], { company: 'acme' });
  let last = 0;
  for (const key of ['sluice:owner', 'sluice:id', 'sluice:features', 'sluice:replicas', 'sluice:companies', 'sluice:revoked']) {
    const from = await cluster.masterOf(key);
    const to = cluster.masters.find((master) => master !== from);
    await cluster.moveSlot(await cluster.slotOf(key), from, to, async () => {
      await publisher.publishPaced('acme', last + 1, last + 10, [client]);
      last += 10;
    });
  }
  await cluster.command('HSET', 'sluice:features', 'acme', 'false');
  assert.equal((await client.untilControl('stream.closing')).reason, 'disabled');
  assertExactly(client, range(1, last));
  assert.deepEqual(client.controls('stream.store'), []);
  await cluster.untilStored('acme', last);
  client.left = true;
});

e2e('a master is killed while events are published: its replica goes on, and nothing is missing unsaid or twice', async (world) => {
  const cluster = await world.cluster({ replicas: 1 });
  const { replicas, publisher } = await replicated(world, { redis: cluster });
  const victim = await cluster.masterOf(logOf('acme'));
  const companies = range(1, 20).map((n) => `company-${n}`);
  const homes = await Promise.all(companies.map((company) => cluster.masterOf(logOf(company))));
  const elsewhere = companies[homes.findIndex((home) => home !== victim)];
  const clients = await Promise.all(replicas.map((replica) => world.liveStream(replica, { company: 'acme' })));
  const others = await Promise.all(replicas.map((replica) => world.liveStream(replica, { company: elsewhere })));
  const start = clients[0].lastEventId;
  let last = 0;
  const goOn = async () => {
    await Promise.all([
      publisher.publishPaced('acme', last + 1, last + 10, clients),
      publisher.publishPaced(elsewhere, last + 1, last + 10, others),
    ]);
    last += 10;
  };
  for (let i = 0; i < 10; i++) await goOn();
  await victim.kill();
  // One state for all companies, also for those whose node is there.
  const told = [...clients, ...others];
  while (told.some((client) => client.controls('stream.store').length < 2)) await goOn();
  for (const client of told) {
    assert.deepEqual(client.controls('stream.store').map(({ json }) => json.state), ['lost', 'restored']);
  }
  await goOn();
  for (const client of told) assertExactly(client, range(1, last));
  for (const company of ['acme', elsewhere]) {
    await eventually(async () => (await storedNumbers(cluster, company)).at(-1) === last, 'the last event in Redis');
    assert.deepEqual(await storedNumbers(cluster, company), range(1, last));
  }
  for (const replica of replicas) {
    assertExactly(await world.liveStream(replica, { company: 'acme', lastEventId: start }), range(1, last));
  }
});

e2e('a node without a replica takes the store away until it is back; live events go on for all companies', async (world) => {
  const cluster = await world.cluster({ durable: true });
  const nats = await world.nats();
  const sluice = await world.sluice({ nats, redis: cluster });
  const publisher = await world.publisher(nats);
  const companies = range(1, 12).map((n) => `company-${n}`);
  const clients = await Promise.all(companies.map((company) => world.liveStream(sluice, { company })));
  const starts = clients.map((client) => client.lastEventId);
  const goOn = async (from, to) => {
    for (const [i, company] of companies.entries()) await publisher.publishPaced(company, from, to, [clients[i]]);
  };
  await goOn(1, 20);
  const node = await cluster.masterOf(logOf(companies[0]));
  await node.kill();
  for (const client of clients) assert.deepEqual(await client.untilControl('stream.store'), { state: 'lost' });
  await sluice.untilHealth('degraded');
  await goOn(21, 40);
  const during = await world.liveStream(sluice, { company: companies[0], lastEventId: clients[0].events[9].id });
  assertPromise(during.blocks, { after: 10, until: 40 });
  await node.start();
  for (const client of clients) assert.deepEqual(await client.untilControl('stream.store', 2), { state: 'restored' });
  await goOn(41, 50);
  for (const [i, company] of companies.entries()) {
    await cluster.untilStored(company, 50);
    assert.deepEqual(await storedNumbers(cluster, company), range(1, 50));
    assertExactly(clients[i], range(1, 50));
    assertExactly(await world.liveStream(sluice, { company, lastEventId: starts[i] }), range(1, 50));
  }
});

e2e('one node that is full takes the store away, and it does not come and go', async (world) => {
  const cluster = await world.cluster();
  const nats = await world.nats();
  const sluice = await world.sluice({ nats, redis: cluster });
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 10, [client]);
  const full = await cluster.masterOf(logOf('acme'));
  await full.command('CONFIG', 'SET', 'maxmemory', '1');
  await publisher.publishPaced('acme', 11, 20, [client]);
  assert.deepEqual(await client.untilControl('stream.store'), { state: 'lost' });
  const attempts = () => sluice.logs.filter(({ reason }) => /Redis refused a write: OOM/.test(reason ?? '')).length;
  await eventually(() => attempts() > 0, 'the reason in the log');
  await publisher.publishPaced('acme', 21, 30, [client]);
  assert.equal((await sluice.health()).status, 'degraded');
  await full.command('CONFIG', 'SET', 'maxmemory', '0');
  await client.untilControl('stream.store', 2);
  await cluster.untilStored('acme', 30);
  assertExactly(client, range(1, 30));
  assert.equal(client.controls('stream.store').length, 2);
});

e2e('tickets, limits and revocations hold over replicas and nodes, also while their slots move', async (world) => {
  const [nats, cluster] = await Promise.all([world.nats(), world.cluster()]);
  const env = { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '3', DRAIN_SECONDS: '1' };
  const replicas = [await world.sluice({ nats, redis: cluster, env }), await world.sluice({ nats, redis: cluster, env })];
  const publisher = await world.publisher(nats);
  for (const replica of replicas) await untilReplicas(replica, replicas.length);
  const [one, two] = replicas;
  const user = (id) => asUser({ companyId: 'acme', sub: id });
  const counts = 'sluice:slots:user:acme|u1';
  const move = async (key, between) => {
    const from = await cluster.masterOf(key);
    await cluster.moveSlot(await cluster.slotOf(key), from, cluster.masters.find((master) => master !== from), between);
  };

  const clients = [await world.liveStream(one, user('u1'))];
  await move(counts, async (when) => {
    if (when === 'begun') clients.push(await world.liveStream(two, user('u1')));
    if (when === 'emptied') clients.push(await world.liveStream(one, user('u1')));
    if (when === 'moved') for (const sluice of replicas) assertRefused(await askForStream(sluice, user('u1')), 429);
  });
  clients.pop().leave();
  clients.push(await untilLive(world, two, user('u1')));
  await untilRefused(world, one, user('u1'), 429);

  // A ticket of one replica is good at the other, once.
  const tickets = [];
  for (let i = 0; i < 12; i++) tickets.push(await ticketFor(replicas[i % 2], { companyId: 'acme', sub: `t${i}` }));
  const [ticketKey] = (await Promise.all(cluster.masters.map((node) => node.command('KEYS', 'sluice:ticket:*')))).flat();
  const holders = [];
  await move(ticketKey, async (when) => {
    const from = { begun: 0, emptied: 4, moved: 8 }[when];
    if (from === undefined) return;
    for (let i = from; i < from + 4; i++) {
      const options = { query: [['ticket', tickets[i]]], headers: [['User-Agent', 'a browser']] };
      holders.push(await world.liveStream(replicas[(i + 1) % 2], options));
      const stranger = await askForStream(one, { query: `ticket=${tickets[i]}`, headers: [['User-Agent', 'another']] });
      assertRefused(stranger, 401);
    }
  });
  assertOpen(...holders);

  await move('sluice:revoked', async (when) => {
    if (when === 'begun') await publisher.publish(REVOKE_SUBJECT, JSON.stringify({ companyId: 'acme', userId: 'u1' }));
  });
  for (const client of clients) await untilClosing(client, 'revoked');
  await eventually(async () => (await cluster.command('ZCARD', 'sluice:revoked')) === 1, 'the revocation in Redis');
  const three = await world.sluice({ nats, redis: cluster, env });
  await untilRefused(world, three, user('u1'), 401);
  assertOpen(...holders);
});

e2e('by TLS to all nodes, as a user with the rights of docs/operations.md', async (world) => {
  const authority = new Authority();
  world.own(() => authority.dispose());
  const { certFile, keyFile, caFile } = authority.issue('IP:127.0.0.1');
  const ports = [await freePort(), await freePort()];
  const settings = (i) => [
    ...['--tls-port', String(ports[i]), '--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', caFile],
    ...['--tls-auth-clients', 'no', '--tls-cluster', 'yes'],
    ...['--user', 'sluice', 'on', '>secret', '~sluice:*', '+@all', '-@dangerous'],
  ];
  const [nats, cluster] = await Promise.all([world.nats(), world.cluster({ masters: 2, settings })]);
  const env = { REDIS_TLS_CA_FILE: authority.caFile };
  const sluice = await world.sluice({ nats, redis: { url: `rediss+cluster://sluice:secret@127.0.0.1:${ports[0]}` }, env });
  const publisher = await world.publisher(nats);
  for (const company of range(1, 8).map((n) => `company-${n}`)) {
    const client = await world.liveStream(sluice, { company });
    await publisher.publishPaced(company, 1, 5, [client]);
    await eventually(async () => {
      const stored = await Promise.all(cluster.masters.map((node) => node.command('KEYS', logOf(company))));
      return stored.flat().length === 1;
    }, 'its events in Redis');
  }
});
