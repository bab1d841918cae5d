// A cluster of three NATS servers that loses a member: the others are gone on with.

import assert from 'node:assert/strict';
import { StringCodec } from 'nats';
import { assertExactly, assertHolesTold, numberOf, numbersOf, payload, range } from '../support/events.mjs';
import { settled } from '../support/replicas.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const { encode } = StringCodec();

/** Publishes the events numbered `from` to `to`, each until the stream has it; who asks twice enters it once. */
async function publishToStream(world, cluster, from, to) {
  const port = cluster.servers.find((server) => !server.child.exit).port;
  const { connection } = await world.publisher({ port });
  const stream = connection.jetstream({ timeout: 2000 });
  for (const n of range(from, to)) {
    await eventually(
      () => stream.publish('metrics.x', encode(payload('acme', n)), { msgID: `event-${n}` }),
      `event ${n} in the stream`,
      40_000,
    );
  }
}

e2e('a NATS server that is not in NATS_URL is found when the one that is has gone', async (world) => {
  const cluster = await world.natsCluster();
  const [first, second] = cluster.servers;
  const sluice = await world.sluice({ nats: first });
  const client = await world.liveStream(sluice, { company: 'acme' });
  const publisher = await world.publisher(second);
  await publisher.publishPaced('acme', 1, 20, [client]);
  await first.kill();
  await sluice.untilMetric('sluice_nats_disconnects_total', {}, (value) => value === 1);
  await sluice.untilHealth('ok');
  await publisher.publishPaced('acme', 21, 40, [client]);
  assert.deepEqual(numbersOf(client.events), range(1, 40));
  assert.deepEqual(client.gaps.map((gap) => gap.reason), ['source']);
});

e2e('each member of a cluster is lost in turn: streams go on, and nothing is missing unsaid', async (world) => {
  const [cluster, redis] = await Promise.all([world.natsCluster(), world.redis()]);
  const replicas = await Promise.all(range(1, 2).map(() => world.sluice({ nats: cluster, redis })));
  await settled(replicas);
  const clients = await Promise.all(replicas.map((replica) => world.liveStream(replica, { company: 'acme' })));
  let n = 0;
  for (const [index, lost] of cluster.servers.entries()) {
    const publisher = await world.publisher(cluster.servers[(index + 1) % 3]);
    await publisher.publishRange('acme', n + 1, n + 50);
    await lost.kill();
    await publisher.publishRange('acme', n + 51, n + 100);
    for (const replica of replicas) await replica.untilHealth('ok');
    await settled(replicas);
    await publisher.publishRange('acme', n + 101, n + 101);
    n += 101;
    for (const client of clients) await client.waitFor(() => numbersOf(client.events.slice(-1))[0] === n, `event ${n}`);
    await lost.start();
    await cluster.untilWhole();
  }
  for (const client of clients) {
    assertHolesTold(client);
    assert.ok(!client.closed, 'the stream was closed');
  }
  // Both replicas gave the same events the same ids.
  const ids = clients.map((client) => new Map(client.events.map((event) => [numberOf(event), event.id])));
  for (const [number, id] of ids[0]) if (ids[1].has(number)) assert.equal(ids[1].get(number), id);
});

e2e('a stream of three copies loses its leader: nothing is missing, and no gap is told', async (world) => {
  const [cluster, redis] = await Promise.all([world.natsCluster({ jetstream: true }), world.redis()]);
  const env = { NATS_STREAM: 'EVENTS', NATS_STREAM_CREATE: 'true', NATS_STREAM_REPLICAS: '3' };
  const replicas = await Promise.all(range(1, 2).map(() => world.sluice({ nats: cluster, redis, env })));
  await settled(replicas);
  const clients = await Promise.all(replicas.map((replica) => world.liveStream(replica, { company: 'acme' })));
  await publishToStream(world, cluster, 1, 50);
  for (const client of clients) await client.untilEvents(50);
  const manager = await (await world.publisher(cluster.servers[0])).connection.jetstreamManager();
  const { cluster: state } = await manager.streams.info('EVENTS');
  assert.equal(state.replicas.length, 2);
  const lost = cluster.member(state.leader);
  await lost.kill();
  await publishToStream(world, cluster, 51, 100);
  for (const replica of replicas) await replica.untilHealth('ok');
  for (const client of clients) await client.untilEvents(100);
  await lost.start();
  await publishToStream(world, cluster, 101, 150);
  for (const client of clients) {
    await client.untilEvents(150);
    assertExactly(client, range(1, 150));
  }
  await redis.untilStored('acme', 150);
});
