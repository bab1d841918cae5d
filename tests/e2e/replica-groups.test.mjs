// Which replicas belong together: those of one REPLICA_GROUP and one Redis.

import assert from 'node:assert/strict';
import { numbersOf, range } from '../support/events.mjs';
import { replicated, settled } from '../support/replicas.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const FOREIGN = 'sluice_replica_messages_foreign_total';
const peersOf = async (replica) => (await replica.health()).replica.peers;
const foreignOf = async (replica) => (await replica.metrics()).value(FOREIGN);

async function deliver(world, publisher, replicas, count = 50) {
  const clients = await Promise.all(replicas.map((replica) => world.liveStream(replica, { company: 'acme' })));
  await publisher.publishRange('acme', 1, count);
  for (const client of clients) {
    await client.untilEvents(count);
    assert.deepEqual(numbersOf(client.events), range(1, count));
    assert.deepEqual(client.gaps, []);
  }
  return clients;
}

const raws = (client) => client.events.map((event) => event.raw);

e2e('deployments of different groups on one NATS server know nothing of each other', async (world) => {
  const nats = await world.nats();
  const deployments = [];
  for (const REPLICA_GROUP of ['blue', 'green_2-']) {
    const redis = await world.redis();
    const replicas = [];
    for (const _ of range(1, 2)) replicas.push(await world.sluice({ nats, redis, env: { REPLICA_GROUP } }));
    deployments.push(replicas);
  }
  for (const replicas of deployments) await settled(replicas);
  const all = deployments.flat();
  const clients = await deliver(world, await world.publisher(nats), all);
  assert.deepEqual(raws(clients[0]), raws(clients[1]));
  assert.deepEqual(raws(clients[2]), raws(clients[3]));
  for (const replica of all) assert.equal(await foreignOf(replica), 0);
  assert.equal((await all[0].stats()).connections.totalConnections, 2);
});

e2e('deployments with a Redis each ignore each other where the group was forgotten', async (world) => {
  const nats = await world.nats();
  const redises = [await world.redis(), await world.redis()];
  const replicas = [];
  for (const redis of redises) replicas.push(await world.sluice({ nats, redis }));
  for (const replica of replicas) {
    await replica.untilMetric(FOREIGN, {}, (value) => value > 2);
    const { message, level } = await replica.untilLog((line) => /REPLICA_GROUP/.test(line.message), 'the warning');
    assert.equal(level, 'error', message);
    assert.deepEqual((await replica.health()).replica, { owner: true, peers: 0 });
    assert.equal(replica.logs.filter((line) => /REPLICA_GROUP/.test(line.message)).length, 1);
    assert.equal((await replica.stats()).complete, true);
  }
  await deliver(world, await world.publisher(nats), replicas);
  for (const redis of redises) await redis.untilStored('acme', 50);
});

e2e('a Redis that is flushed parts nobody', async (world) => {
  const { nats, redis, replicas, publisher } = await replicated(world);
  const id = await redis.command('GET', 'sluice:id');
  assert.match(id, /^[1-9][0-9]+$/);
  await redis.command('FLUSHALL');
  await eventually(async () => (await redis.command('GET', 'sluice:id')) !== null, 'an id again');
  assert.equal(await redis.command('GET', 'sluice:id'), id);
  replicas.push(await world.sluice({ nats, redis }));
  await settled(replicas);
  await deliver(world, publisher, replicas);
  for (const replica of replicas) assert.equal(await foreignOf(replica), 0);
});

e2e('a Redis that is replaced by an empty one, which got another id, parts nobody', async (world) => {
  const { nats, redis, replicas, publisher } = await replicated(world);
  await redis.kill();
  for (const replica of replicas) await replica.untilHealth('degraded');
  await redis.start();
  await redis.command('SET', 'sluice:id', '4711');
  for (const replica of replicas) await replica.untilHealth('ok');
  const clients = await deliver(world, publisher, replicas);
  assert.deepEqual(raws(clients[0]), raws(clients[1]));
  // One that never knew another id is heard by those alone who have learnt it.
  replicas.push(await world.sluice({ nats, redis }));
  await settled(replicas);
  for (const replica of replicas) assert.equal(await foreignOf(replica), 0);
  assert.equal(await redis.command('GET', 'sluice:id'), '4711');
});

e2e('replicas that start while Redis is away work together before and after it comes', async (world) => {
  const [nats, redis] = [await world.nats(), await world.absent('redis')];
  const start = () => world.sluice({ nats, redis, until: 'degraded' });
  const replicas = await Promise.all([start(), start()]);
  await settled(replicas);
  const publisher = await world.publisher(nats);
  const clients = await deliver(world, publisher, replicas);
  await redis.start();
  for (const replica of replicas) await replica.untilHealth('ok');
  await publisher.publishRange('acme', 51, 100);
  for (const client of clients) {
    await client.untilEvents(100);
    assert.deepEqual(numbersOf(client.events), range(1, 100));
  }
  assert.deepEqual(raws(clients[0]), raws(clients[1]));
  // Whoever takes over before it was welcomed says that events may have been missed: a hole is no event.
  await eventually(async () => (await replicas[0].stats()).replayCache.totalEvents === 100, 'a hundred kept events');
  await settled(replicas);
  for (const replica of replicas) assert.equal(await foreignOf(replica), 0);
});

e2e('a replica that starts while Redis is away hears those that are there', async (world) => {
  const { nats, redis, replicas, publisher } = await replicated(world);
  await redis.kill();
  for (const replica of replicas) await replica.untilHealth('degraded');
  replicas.push(await world.sluice({ nats, redis, until: 'degraded' }));
  await eventually(async () => (await peersOf(replicas[2])) === 2, 'all three');
  await settled(replicas);
  const clients = await deliver(world, publisher, replicas);
  assert.deepEqual(raws(clients[2]), raws(clients[0]));
  await redis.start();
  for (const replica of replicas) await replica.untilHealth('ok');
  await settled(replicas);
  for (const replica of replicas) assert.equal(await foreignOf(replica), 0);
});
