// Redis may be away, come back empty, hang or refuse to write: live events go on, and no hole is hidden.

import assert from 'node:assert/strict';
import { assertExactly, assertPromise, numbersOf, payload, range } from '../support/events.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

/** Publishes the next events and waits until all `clients` have them. */
async function goOn({ publisher, clients }, from, to, options) {
  await publisher.publishPaced('acme', from, to, clients, options);
}

async function storedNumbers(redis) {
  const members = await redis.command('ZRANGE', 'sluice:{acme}:log', 0, -1);
  return members.map((member) => Number(member.split('|')[0]));
}

e2e('Redis absent at start: live events flow, health says degraded, and what came is kept for later', async (world) => {
  const [nats, redis] = await Promise.all([world.nats(), world.absent('redis')]);
  const sluice = await world.sluice({ nats, redis, until: 'degraded' });
  assert.equal((await sluice.get('/stream/health')).status, 200);
  assert.equal((await sluice.get('/stream/health/ready')).status, 200);
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company: 'acme' });
  const start = client.lastEventId;
  await goOn({ publisher, clients: [client] }, 1, 20);
  assert.equal((await sluice.metrics()).value('sluice_redis_connected'), 0);
  assert.ok((await sluice.metrics()).value('sluice_replay_backlog_bytes') > 0);

  await redis.start();
  await sluice.untilHealth('ok');
  await client.untilStore('restored');
  await redis.untilStored('acme', 20);
  assert.deepEqual(await storedNumbers(redis), range(1, 20));
  await sluice.untilMetric('sluice_replay_backlog_bytes', {}, (value) => value === 0);
  assert.equal((await sluice.metrics()).value('sluice_redis_connected'), 1);
  const back = await world.liveStream(sluice, { company: 'acme', lastEventId: start });
  assertExactly(back, range(1, 20));
  assertExactly(client, range(1, 20));
});

for (const durable of [true, false]) {
  e2e(`Redis killed and restarted ${durable ? 'with its data' : 'empty'}: streams are told and lose nothing`, async (world) => {
    const { sluice, publisher, redis } = await world.bridge({ store: durable ? 'durable redis' : 'redis' });
    const client = await world.liveStream(sluice, { company: 'acme' });
    const start = client.lastEventId;
    await goOn({ publisher, clients: [client] }, 1, 30);
    await redis.untilStored('acme', 30);

    await redis.kill();
    await sluice.untilHealth('degraded');
    assert.deepEqual(await client.untilControl('stream.store'), { state: 'lost' });
    await goOn({ publisher, clients: [client] }, 31, 60);
    // Whoever comes back now is served, or told that the store is away.
    const during = await world.liveStream(sluice, { company: 'acme', lastEventId: client.events[9].id });
    assertPromise(during.blocks, { after: 10 });
    if (during.events.length < 50) assert.equal(during.gaps.length, 1);

    await redis.start();
    await sluice.untilHealth('ok');
    assert.deepEqual(await client.untilControl('stream.store', 2), { state: 'restored' });
    await goOn({ publisher, clients: [client] }, 61, 70);
    assertExactly(client, range(1, 70));
    assert.deepEqual(client.events.map((event) => event.position.seq), range(1, 70));

    const fromOutage = await world.liveStream(sluice, { company: 'acme', lastEventId: client.events[39].id });
    await fromOutage.untilEvents(30);
    assertExactly(fromOutage, range(41, 70));
    const fromBefore = await world.liveStream(sluice, { company: 'acme', lastEventId: start });
    assertPromise(fromBefore.blocks, { after: 0, until: 70 });
    if (durable) assertExactly(fromBefore, range(1, 70));
    await eventually(async () => (await storedNumbers(redis)).at(-1) === 70, 'the last event in Redis');
    const numbers = await storedNumbers(redis);
    assert.deepEqual(numbers.slice(-40), range(31, 70), 'each event is stored once, in order');
    if (durable) assert.deepEqual(numbers, range(1, 70));
  });
}

e2e('Redis hangs: live events, new streams and all pages go on; later everything is there', async (world) => {
  const { sluice, publisher, redis } = await world.bridge({ store: 'redis' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  const start = client.lastEventId;
  await goOn({ publisher, clients: [client] }, 1, 10);
  await redis.untilStored('acme', 10);
  await redis.hang();
  world.own(() => redis.wake());
  await goOn({ publisher, clients: [client] }, 11, 40);
  const newcomer = await world.liveStream(sluice, { company: 'acme' });
  await goOn({ publisher, clients: [client, newcomer] }, 41, 50);
  const resumed = await world.liveStream(sluice, { company: 'acme', lastEventId: client.events[4].id });
  assertPromise(resumed.blocks, { after: 5 });
  await sluice.untilHealth('degraded');
  assert.deepEqual(await client.untilControl('stream.store'), { state: 'lost' });
  for (const page of ['/stream/stats', '/metrics', '/stream/health/live', '/stream/health/ready']) {
    assert.equal((await sluice.get(page)).status, 200, page);
  }
  redis.wake();
  await sluice.untilHealth('ok');
  await client.untilControl('stream.store', 2);
  await redis.untilStored('acme', 50);
  assert.deepEqual(await storedNumbers(redis), range(1, 50));
  const back = await world.liveStream(sluice, { company: 'acme', lastEventId: start });
  assertExactly(back, range(1, 50));
  assertExactly(client, range(1, 50));
});

e2e('a network that stalls or cuts between Sluice and Redis doubles nothing and loses nothing', async (world) => {
  const [nats, redis] = await Promise.all([world.nats(), world.redis()]);
  const proxy = await world.proxy(redis.port);
  const sluice = await world.sluice({ nats, redis: { url: `redis://127.0.0.1:${proxy.port}` } });
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company: 'acme' });
  const start = client.lastEventId;
  for (let round = 0; round < 8; round++) {
    const from = round * 100 + 1;
    await goOn({ publisher, clients: [client] }, from, from + 49);
    // The reply to appends that were carried out is lost here: a repeated append must not be a second event.
    if (round % 2) proxy.stall();
    else proxy.cut();
    await goOn({ publisher, clients: [client] }, from + 50, from + 99);
    if (round % 2) {
      proxy.cut();
      proxy.resume();
    }
  }
  await redis.untilStored('acme', 800);
  assert.deepEqual(await storedNumbers(redis), range(1, 800));
  assertExactly(client, range(1, 800));
  const back = await world.liveStream(sluice, { company: 'acme', lastEventId: start });
  assertExactly(back, range(1, 800));
});

e2e('an outage longer than the backlog is a hole in the replay, and it is told', async (world) => {
  const { sluice, publisher, redis } = await world.bridge({
    store: 'durable redis',
    env: { REPLAY_BACKLOG_BYTES: '65536', RECENT_EVENTS: '16', RECENT_BYTES: '65536' },
  });
  const client = await world.liveStream(sluice, { company: 'acme' });
  const wide = { more: { text: 'z'.repeat(1000) } };
  await goOn({ publisher, clients: [client] }, 1, 20, wide);
  await redis.untilStored('acme', 20);
  await redis.kill();
  await sluice.untilHealth('degraded');
  await goOn({ publisher, clients: [client] }, 21, 400, wide);
  const backlog = (await sluice.metrics()).value('sluice_replay_backlog_bytes');
  assert.ok(backlog > 0 && backlog <= 65_536, `the backlog is ${backlog} bytes`);
  await redis.start();
  await sluice.untilHealth('ok');
  await goOn({ publisher, clients: [client] }, 401, 420, wide);
  assertExactly(client, range(1, 420));
  await eventually(async () => (await storedNumbers(redis)).at(-1) === 420, 'the last event in Redis');
  for (const from of [10, 20, 100]) {
    const back = await world.liveStream(sluice, { company: 'acme', lastEventId: client.events[from - 1].id });
    const missing = assertPromise(back.blocks, { after: from, until: 420 });
    assert.ok(missing > 100, `only ${missing} are missing: the bound held nothing back`);
    assert.ok(back.events.length >= 20);
    // Whoever has been told is not told again.
    const again = await world.liveStream(sluice, { company: 'acme', lastEventId: back.lastEventId });
    assert.deepEqual(again.gaps, []);
  }
  const behind = await world.liveStream(sluice, { company: 'acme', lastEventId: client.events[400].id });
  assertExactly(behind, range(402, 420));
});

const REFUSALS = {
  'is out of memory': {
    begin: (redis) => redis.command('CONFIG', 'SET', 'maxmemory', '1'),
    end: (redis) => redis.command('CONFIG', 'SET', 'maxmemory', '0'),
  },
  'became a read-only replica': {
    begin: (redis) => redis.command('REPLICAOF', '127.0.0.1', '1'),
    end: (redis) => redis.command('REPLICAOF', 'NO', 'ONE'),
  },
};

for (const [what, { begin, end }] of Object.entries(REFUSALS)) {
  e2e(`Redis ${what} and refuses to write: events wait and are stored afterwards`, async (world) => {
    const { sluice, publisher, redis } = await world.bridge({ store: 'redis' });
    const client = await world.liveStream(sluice, { company: 'acme' });
    const start = client.lastEventId;
    await goOn({ publisher, clients: [client] }, 1, 10);
    await redis.untilStored('acme', 10);
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await begin(redis);
    await goOn({ publisher, clients: [client] }, 11, 60);
    await sluice.untilHealth('degraded');
    const during = await world.liveStream(sluice, { company: 'acme', lastEventId: client.events[4].id });
    assertPromise(during.blocks, { after: 5 });
    if (during.events.length < 55) assert.equal(during.gaps.length, 1);
    await end(redis);
    await sluice.untilHealth('ok');
    await redis.untilStored('acme', 60);
    assert.deepEqual(await storedNumbers(redis), range(1, 60));
    const back = await world.liveStream(sluice, { company: 'acme', lastEventId: start });
    assertExactly(back, range(1, 60));
    assertExactly(client, range(1, 60));
  });
}

e2e('SCRIPT FLUSH in the middle loses nothing', async (world) => {
  const { sluice, publisher, redis } = await world.bridge({ store: 'redis' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  const start = client.lastEventId;
  for (let round = 0; round < 10; round++) {
    await goOn({ publisher, clients: [client] }, round * 50 + 1, round * 50 + 25);
    const flush = redis.command('SCRIPT', 'FLUSH');
    await goOn({ publisher, clients: [client] }, round * 50 + 26, round * 50 + 50);
    await flush;
  }
  await redis.untilStored('acme', 500);
  assert.deepEqual(await storedNumbers(redis), range(1, 500));
  const back = await world.liveStream(sluice, { company: 'acme', lastEventId: start });
  assertExactly(back, range(1, 500));
});

e2e('FLUSHALL under a running bridge: numbers go on, and what is gone is told', async (world) => {
  const { sluice, publisher, redis } = await world.bridge({
    store: 'redis',
    env: { RECENT_EVENTS: '16', RECENT_BYTES: '65536' },
  });
  const client = await world.liveStream(sluice, { company: 'acme' });
  const start = client.lastEventId;
  await goOn({ publisher, clients: [client] }, 1, 100);
  await redis.untilStored('acme', 100);
  await redis.command('FLUSHALL');
  await goOn({ publisher, clients: [client] }, 101, 150);
  assertExactly(client, range(1, 150));
  assert.deepEqual(client.events.map((event) => event.position.seq), range(1, 150));
  await eventually(async () => (await storedNumbers(redis)).at(-1) === 150, 'the last event in Redis');
  for (const [after, lastEventId] of [
    [0, start],
    [50, client.events[49].id],
    [120, client.events[119].id],
  ]) {
    const back = await world.liveStream(sluice, { company: 'acme', lastEventId });
    await back.waitFor(() => back.events.at(-1)?.position.seq === 150, 'the last event');
    assertPromise(back.blocks, { after, until: 150 });
  }
});

e2e('Redis lost together with the process: a known id of before is answered with a gap, never with silence', async (world) => {
  const { nats, sluice, publisher, redis } = await world.bridge({ store: 'redis' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await goOn({ publisher, clients: [client] }, 1, 10);
  await sluice.stop();
  await redis.command('FLUSHALL');
  const next = await world.sluice({ nats, redis });
  const back = await world.liveStream(next, { company: 'acme', lastEventId: client.events[4].id });
  assert.equal(back.gaps.length, 1);
  // The new numbers start at 1, but their time does not: a client that was ahead must still see them.
  await publisher.publishRange('acme', 11, 13);
  await back.untilEvents(3);
  assert.deepEqual(numbersOf(back.events), [11, 12, 13]);
  assert.ok(back.events[0].position.ms >= client.events[9].position.ms);
  const again = await world.liveStream(next, { company: 'acme', lastEventId: back.events[0].id });
  assertExactly(again, [12, 13]);
});

e2e('the replay hit and miss counters tell who could be served', async (world) => {
  const { sluice, publisher } = await world.bridge({ store: 'redis' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await goOn({ publisher, clients: [client] }, 1, 5);
  const counts = async () => {
    const metrics = await sluice.metrics();
    return [metrics.value('sluice_replay_hits_total') ?? 0, metrics.value('sluice_replay_misses_total') ?? 0];
  };
  assert.deepEqual(await counts(), [0, 0]);
  await world.liveStream(sluice, { company: 'acme', lastEventId: client.events[1].id });
  assert.deepEqual(await counts(), [1, 0]);
  await world.liveStream(sluice, { company: 'acme', lastEventId: 'metrics.x-9-5' });
  await world.liveStream(sluice, { company: 'acme', lastEventId: 'garbage' });
  assert.deepEqual(await counts(), [1, 2]);
});

e2e('events of many companies during an outage are all stored afterwards', async (world) => {
  const { sluice, publisher, redis } = await world.bridge({ store: 'redis' });
  const companies = range(1, 40).map((i) => `company-${i}`);
  await redis.kill();
  await sluice.untilHealth('degraded');
  for (let n = 1; n <= 10; n++) for (const company of companies) publisher.put('metrics.x', payload(company, n));
  await publisher.connection.flush();
  await redis.start();
  await sluice.untilHealth('ok');
  for (const company of companies) await redis.untilStored(company, 10);
  const back = await world.liveStream(sluice, { company: 'company-7' });
  const stored = await redis.command('ZRANGE', 'sluice:{company-7}:log', 0, 0, 'WITHSCORES');
  const [member, ms] = stored;
  assert.match(member, /^0{15}1\|metrics\.x\|metric_updated\|\{"companyId":"company-7"/);
  back.leave();
  const all = await world.liveStream(sluice, { company: 'company-7', lastEventId: `metrics.x-1-${ms}` });
  assertExactly(all, range(2, 10));
});
