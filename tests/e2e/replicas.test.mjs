// Several replicas on one NATS and one Redis: each event numbered once, appended once, and heard everywhere alike.

import assert from 'node:assert/strict';
import { numbersOf, range } from '../support/events.mjs';
import { owners, replicated } from '../support/replicas.mjs';
import { e2e } from '../support/world.mjs';

const raws = (events) => events.map((event) => event.raw);

e2e('the clients of all replicas get the same events, with the same ids, appended once', async (world) => {
  const { replicas, publisher, redis } = await replicated(world, { count: 3 });
  const clients = await Promise.all(replicas.map((replica) => world.liveStream(replica, { company: 'acme' })));
  await publisher.publishRange('acme', 1, 500);
  for (const client of clients) await client.untilEvents(500);
  for (const client of clients) {
    assert.deepEqual(numbersOf(client.events), range(1, 500));
    assert.deepEqual(raws(client.events), raws(clients[0].events));
    assert.deepEqual(client.gaps, []);
  }
  assert.deepEqual(clients[0].events.map((event) => event.position.seq), range(1, 500));
  await redis.untilStored('acme', 500);
});

e2e('a client resumes at any replica', async (world) => {
  const { owner, followers, publisher } = await replicated(world);
  const first = await world.liveStream(owner, { company: 'acme' });
  await publisher.publishRange('acme', 1, 100);
  await first.untilEvents(100);
  const second = await world.liveStream(followers[0], { company: 'acme', lastEventId: first.events[41].id });
  await publisher.publishRange('acme', 101, 150);
  await second.untilEvents(108);
  assert.deepEqual(numbersOf(second.events), range(43, 150));
  assert.deepEqual(second.gaps, []);
});

for (const how of ['stop', 'crash']) {
  e2e(`the ${how} of the owner loses nothing`, async (world) => {
    const { owner, followers, publisher, replicas } = await replicated(world, { count: 3 });
    const clients = await Promise.all(followers.map((replica) => world.liveStream(replica, { company: 'acme' })));
    const there = await world.liveStream(owner, { company: 'acme' });
    await publisher.publishRange('acme', 1, 100);
    for (const client of [...clients, there]) await client.untilEvents(100);
    const ending = owner[how]();
    await publisher.publishRange('acme', 101, 300);
    await ending;
    await publisher.publishRange('acme', 301, 400);
    for (const client of clients) await client.untilEvents(400);
    for (const client of clients) {
      assert.deepEqual(numbersOf(client.events), range(1, 400));
      assert.deepEqual(client.events.map((event) => event.position.seq), range(1, 400));
      assert.deepEqual(client.gaps, []);
    }
    there.left = true;
    const back = await world.liveStream(followers[0], { company: 'acme', lastEventId: there.events.at(-1).id });
    await back.untilEvents(400 - there.events.length);
    assert.deepEqual(numbersOf([...there.events, ...back.events]), range(1, 400));
    assert.deepEqual(back.gaps, []);
    assert.equal((await owners(replicas)).length, 1);
  });
}

e2e('an owner that was stopped for a while finds another, and its clients miss nothing', async (world) => {
  const { owner, followers, publisher } = await replicated(world);
  const there = await world.liveStream(owner, { company: 'acme' });
  const here = await world.liveStream(followers[0], { company: 'acme' });
  await publisher.publishRange('acme', 1, 50);
  await Promise.all([there.untilEvents(50), here.untilEvents(50)]);
  await owner.child.halt();
  await publisher.publishRange('acme', 51, 150);
  await here.untilEvents(150);
  owner.child.signal('SIGCONT');
  await there.untilEvents(150);
  await publisher.publishRange('acme', 151, 200);
  for (const client of [there, here]) {
    await client.untilEvents(200);
    assert.deepEqual(numbersOf(client.events), range(1, 200));
    assert.deepEqual(client.gaps, []);
  }
  assert.deepEqual(raws(there.events), raws(here.events));
});

e2e('while Redis is away live events reach the clients of all replicas, in order', async (world) => {
  const { replicas, publisher, redis } = await replicated(world);
  const clients = await Promise.all(replicas.map((replica) => world.liveStream(replica, { company: 'acme' })));
  await publisher.publishRange('acme', 1, 50);
  for (const client of clients) await client.untilEvents(50);
  await redis.kill();
  for (const replica of replicas) await replica.untilHealth('degraded');
  await publisher.publishRange('acme', 51, 150);
  for (const client of clients) await client.untilEvents(150);
  await redis.start();
  for (const replica of replicas) await replica.untilHealth('ok');
  await publisher.publishRange('acme', 151, 200);
  for (const client of clients) {
    await client.untilEvents(200);
    assert.deepEqual(numbersOf(client.events), range(1, 200));
    assert.deepEqual(client.gaps, []);
  }
  await redis.untilStored('acme', 200);
});

e2e('a replica that comes later has everything', async (world) => {
  const { replicas, publisher, redis, nats } = await replicated(world);
  const client = await world.liveStream(replicas[0], { company: 'acme' });
  await publisher.publishRange('acme', 1, 50);
  await client.untilEvents(50);
  const publishing = publisher.publishRange('acme', 51, 1050);
  const late = await world.sluice({ nats, redis });
  const there = await world.liveStream(late, { company: 'acme', lastEventId: client.events[0].id });
  await publishing;
  await publisher.publishRange('acme', 1051, 1100);
  await Promise.all([client.untilEvents(1100), there.untilEvents(1099)]);
  assert.deepEqual(numbersOf(there.events), range(2, 1100));
  assert.deepEqual(there.gaps, []);
});

e2e('events that leave NATS no room for what replicas add to them reach all clients', async (world) => {
  const { replicas, publisher, redis } = await replicated(world, { config: 'max_payload: 4096\n' });
  const clients = await Promise.all(replicas.map((replica) => world.liveStream(replica, { company: 'acme' })));
  const pad = 'x'.repeat(4096 - JSON.stringify({ companyId: 'acme', n: 100, pad: '' }).length);
  for (let n = 101; n <= 110; n++) await publisher.publishRange('acme', n, n, { more: { pad } });
  await publisher.publishRange('acme', 111, 200);
  for (const client of clients) await client.untilEvents(100);
  for (const client of clients) {
    assert.deepEqual(numbersOf(client.events), range(101, 200));
    assert.deepEqual(client.gaps, []);
  }
  await redis.untilStored('acme', 100);
});

e2e('a client resumes with events that its new replica has not heard, being cut off from NATS', async (world) => {
  const [nats, redis] = await Promise.all([world.nats(), world.redis()]);
  const proxy = await world.proxy(nats.port);
  const one = await world.sluice({ nats, redis });
  await one.untilReady();
  const other = await world.sluice({ nats: { url: `nats://127.0.0.1:${proxy.port}` }, redis });
  await other.untilReady();
  const publisher = await world.publisher(nats);
  const here = await world.liveStream(one, { company: 'acme' });
  const there = await world.liveStream(other, { company: 'acme' });
  await publisher.publishRange('acme', 1, 50);
  await Promise.all([here.untilEvents(50), there.untilEvents(50)]);
  await proxy.close();
  await other.untilMetric('sluice_nats_connected', {}, (value) => value === 0);
  await publisher.publishRange('acme', 51, 100);
  await here.untilEvents(100);
  await redis.untilStored('acme', 100);
  const back = await world.liveStream(other, { company: 'acme', lastEventId: here.events[98].id });
  await back.untilEvents(1);
  assert.deepEqual(back.gaps, []);
  await there.untilEvents(100);
  await proxy.listen();
  await other.untilMetric('sluice_nats_connected', {}, (value) => value === 1);
  await publisher.publishRange('acme', 101, 150);
  await Promise.all([here.untilEvents(150), there.untilEvents(150), back.untilEvents(51)]);
  for (const client of [here, there]) assert.deepEqual(numbersOf(client.events), range(1, 150));
  assert.deepEqual(numbersOf(back.events), range(100, 150));
  assert.deepEqual([...there.gaps, ...back.gaps], []);
});
