// JetStream as the source: each message is an event exactly once, whoever crashes, stops or is away meanwhile.

import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { StringCodec } from 'nats';
import { assertExactly, numbersOf, range } from '../support/events.mjs';
import { settled } from '../support/replicas.mjs';
import { runSluice } from '../support/sluice.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const STREAM = { NATS_STREAM: 'EVENTS', NATS_STREAM_CREATE: 'true' };

async function streamed(world, { count = 1, env, durable, memory } = {}) {
  const [nats, redis] = await Promise.all([
    world.nats({ jetstream: true }),
    memory ? undefined : world.redis({ durable }),
  ]);
  const start = () => world.sluice({ nats, redis, env: { ...STREAM, ...env } });
  const replicas = await Promise.all(range(1, count).map(start));
  const publisher = await world.publisher(nats);
  const roles = memory ? {} : await settled(replicas);
  return { nats, redis, replicas, publisher, start, ...roles, sluice: replicas[0] };
}

/** And a client of the first replica, which has events 1 to 50. */
async function followed(world, options) {
  const parts = await streamed(world, options);
  const client = await world.liveStream(parts.sluice, { company: 'acme' });
  await parts.publisher.publishRange('acme', 1, 50);
  await client.untilEvents(50);
  return { ...parts, client };
}

const manager = (publisher) => publisher.connection.jetstreamManager();

for (const count of [1, 3]) {
  e2e(`clients of ${count} replica(s) get each event of the stream once, in order`, async (world) => {
    const { replicas, publisher, redis } = await streamed(world, { count });
    const clients = await Promise.all(replicas.map((replica) => world.liveStream(replica, { company: 'acme' })));
    await publisher.publishPaced('acme', 1, 500, clients);
    for (const client of clients) {
      assertExactly(client, range(1, 500));
      assert.deepEqual(
        client.events.map((event) => event.raw),
        clients[0].events.map((event) => event.raw),
      );
      assert.deepEqual(
        client.events.map((event) => event.position.seq),
        range(1, 500),
      );
    }
    await redis.untilStored('acme', 500);
  });
}

e2e('an id has the time at which the message came into the stream', async (world) => {
  const { sluice, publisher } = await streamed(world);
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishRange('acme', 1, 3);
  await client.untilEvents(3);
  const jsm = await manager(publisher);
  for (const event of client.events) {
    const message = await jsm.streams.getMessage('EVENTS', { seq: event.position.seq });
    assert.equal(event.position.ms, message.time.getTime());
  }
});

e2e('what is published while no replica runs reaches clients that come back, without a gap', async (world) => {
  const { replicas, publisher, start, client } = await followed(world, { count: 2 });
  await Promise.all(replicas.map((replica) => replica.stop()));
  client.left = true;
  await publisher.publishRange('acme', 51, 150);
  const again = await start();
  const back = await world.liveStream(again, { company: 'acme', lastEventId: client.events.at(-1).id });
  await publisher.publishRange('acme', 151, 200);
  await back.untilEvents(150);
  assertExactly(back, range(51, 200));
});

e2e('the owner is killed under load, and nobody misses or repeats anything', async (world) => {
  const { owner, followers, publisher, redis } = await streamed(world, { count: 3 });
  const clients = await Promise.all(followers.map((replica) => world.liveStream(replica, { company: 'acme' })));
  const there = await world.liveStream(owner, { company: 'acme' });
  const publishing = publisher.publishPaced('acme', 1, 2000, clients, { step: 20 });
  await there.untilEvents(300);
  await owner.crash();
  there.left = true;
  await publishing;
  for (const client of clients) {
    assertExactly(client, range(1, 2000));
    assert.deepEqual(
      client.events.map((event) => event.position.seq),
      range(1, 2000),
    );
  }
  await redis.untilStored('acme', 2000);
  const back = await world.liveStream(followers[0], { company: 'acme', lastEventId: there.events.at(-1).id });
  await back.untilEvents(2000 - there.events.length);
  assert.deepEqual(numbersOf([...there.events, ...back.events]), range(1, 2000));
  assert.deepEqual(back.gaps, []);
});

e2e('a lone replica is killed under load: its clients go on where they were', async (world) => {
  const { sluice, publisher, start, redis } = await streamed(world);
  const there = await world.liveStream(sluice, { company: 'acme' });
  for (let n = 1; n <= 1000; n += 100) await publisher.publishRange('acme', n, n + 99);
  await there.untilEvents(100);
  await sluice.crash();
  there.left = true;
  await publisher.publishRange('acme', 1001, 1100);
  const again = await start();
  const back = await world.liveStream(again, { company: 'acme', lastEventId: there.events.at(-1).id });
  await back.untilEvents(1100 - there.events.length);
  assert.deepEqual(numbersOf([...there.events, ...back.events]), range(1, 1100));
  assert.deepEqual(back.gaps, []);
  await redis.untilStored('acme', 1100);
});

for (const how of ['kill', 'stop']) {
  e2e(`NATS restarts (${how}): reading goes on, without a gap`, async (world) => {
    const { sluice, publisher, nats } = await streamed(world);
    const client = await world.liveStream(sluice, { company: 'acme' });
    const before = (await manager(publisher)).jetstream();
    for (const n of range(1, 50)) {
      await before.publish('metrics.x', StringCodec().encode(JSON.stringify({ companyId: 'acme', n })));
    }
    await client.untilEvents(50);
    if (how === 'kill') {
      await nats.kill();
    } else {
      nats.child.signal('SIGTERM');
      await nats.child.waitForExit();
    }
    await sluice.untilHealth('unavailable');
    await nats.start();
    await sluice.untilHealth('ok');
    const later = await world.publisher(nats);
    await later.publishRange('acme', 51, 100);
    await client.untilEvents(100);
    assertExactly(client, range(1, 100));
  });
}

e2e('Redis restarts with its data: nothing is missing, in streams or in the history', async (world) => {
  const { sluice, publisher, redis, client } = await followed(world, { durable: true });
  await redis.kill();
  await sluice.untilHealth('degraded');
  await publisher.publishRange('acme', 51, 100);
  await client.untilEvents(100);
  await redis.start();
  await sluice.untilHealth('ok');
  await publisher.publishRange('acme', 101, 150);
  await client.untilEvents(150);
  assertExactly(client, range(1, 150));
  await redis.untilStored('acme', 150);
});

e2e('a reader whose place was lost repeats nothing', async (world) => {
  const { sluice, publisher, redis, start, client } = await followed(world);
  await redis.untilStored('acme', 50);
  await sluice.stop();
  client.left = true;
  const places = await redis.command('KEYS', 'sluice:*EVENTS*');
  assert.equal(places.length, 1);
  await redis.command('DEL', ...places);
  const again = await start();
  const back = await world.liveStream(again, { company: 'acme', lastEventId: client.events[9].id });
  await publisher.publishRange('acme', 51, 60);
  await back.untilEvents(50);
  assertExactly(back, range(11, 60));
  await again.untilMetric('sluice_events_duplicate_total', {}, (value) => value === 50);
  await redis.untilStored('acme', 60);
});

e2e('messages purged before they were read are a gap', async (world) => {
  const { sluice, publisher, start, client } = await followed(world);
  await sluice.stop();
  client.left = true;
  await publisher.publishRange('acme', 51, 100);
  await (await manager(publisher)).streams.purge('EVENTS');
  await publisher.publishRange('acme', 101, 110);
  const again = await start();
  const back = await world.liveStream(again, { company: 'acme', lastEventId: client.events.at(-1).id });
  await back.untilEvents(10);
  assert.deepEqual(numbersOf(back.events), range(101, 110));
  assert.deepEqual(
    back.gaps.map((gap) => gap.reason),
    ['source'],
  );
});

e2e('the stream is deleted and made again while it is read', async (world) => {
  const { sluice, publisher, client } = await followed(world);
  await (await manager(publisher)).streams.delete('EVENTS');
  await eventually(async () => {
    await (await manager(publisher)).streams.info('EVENTS');
    return true;
  }, 'the stream');
  await sluice.untilMetric('sluice_stream_connected', {}, (value) => value === 1);
  await publisher.publishRange('acme', 51, 80);
  await client.untilEvents(80);
  assert.deepEqual(numbersOf(client.events), range(1, 80));
  assert.deepEqual(
    client.gaps.map((gap) => gap.reason),
    ['source'],
  );
});

e2e('the stream is deleted and made again while nobody reads', async (world) => {
  const { sluice, publisher, start, client } = await followed(world);
  await sluice.stop();
  client.left = true;
  const jsm = await manager(publisher);
  const { config } = await jsm.streams.info('EVENTS');
  await jsm.streams.delete('EVENTS');
  await jsm.streams.add(config);
  await publisher.publishRange('acme', 51, 130);
  const again = await start();
  const back = await world.liveStream(again, { company: 'acme', lastEventId: client.events.at(-1).id });
  await back.untilEvents(80);
  assert.deepEqual(numbersOf(back.events), range(51, 130));
  assert.deepEqual(
    back.gaps.map((gap) => gap.reason),
    ['source'],
  );
});

e2e('a consumer that is deleted is made anew', async (world) => {
  const { publisher, client } = await followed(world);
  const jsm = await manager(publisher);
  const consumers = await jsm.consumers.list('EVENTS').next();
  assert.equal(consumers.length, 1);
  await jsm.consumers.delete('EVENTS', consumers[0].name);
  await publisher.publishRange('acme', 51, 100);
  await client.untilEvents(100);
  assertExactly(client, range(1, 100));
});

e2e('a stream that is missing is said, waited for, and then read', async (world) => {
  const { sluice, publisher } = await (async () => {
    const [nats, redis] = await Promise.all([world.nats({ jetstream: true }), world.redis()]);
    const sluice = await world.sluice({ nats, redis, env: { NATS_STREAM: 'EVENTS' }, until: 'unavailable' });
    return { sluice, publisher: await world.publisher(nats) };
  })();
  await sluice.untilLog((line) => line.message.startsWith('The stream cannot be read'), 'why');
  assert.deepEqual((await sluice.health()).nats, { connected: true, stream: 'EVENTS', streamState: 'unavailable' });
  await (await manager(publisher)).streams.add({ name: 'EVENTS', subjects: ['metrics.*', 'other', 'sluice.own'] });
  await sluice.untilHealth('ok');
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publish('other', '{"companyId":"acme"}');
  await publisher.publish('sluice.own', '{"companyId":"acme"}'); // ours: no event, and nothing to refuse
  await publisher.publish('metrics.x', 'no JSON');
  await publisher.publishRange('acme', 1, 10);
  await client.untilEvents(10);
  assertExactly(client, range(1, 10));
  await sluice.untilMetric('sluice_events_rejected_total', { reason: 'not_json' }, (value) => value === 1);
  await sluice.untilMetric('sluice_events_rejected_total', { reason: 'no_event_name' }, (value) => value === 0);
});

e2e('a NATS without JetStream is said, and waited for', async (world) => {
  const [nats, redis] = await Promise.all([world.nats(), world.redis()]);
  const sluice = await world.sluice({ nats, redis, env: STREAM, until: 'unavailable' });
  await sluice.untilLog((line) => line.message.startsWith('The stream cannot be read'), 'why');
  await nats.kill();
  nats.jetstream = true;
  await nats.start();
  await sluice.untilHealth('ok');
  const client = await world.liveStream(sluice, { company: 'acme' });
  await (await world.publisher(nats)).publishRange('acme', 1, 10);
  await client.untilEvents(10);
  assertExactly(client, range(1, 10));
});

e2e('without Redis one process reads the stream into memory', async (world) => {
  const { sluice, publisher, start, client } = await followed(world, { memory: true });
  await sluice.stop();
  client.left = true;
  await publisher.publishRange('acme', 51, 60);
  const again = await start();
  const back = await world.liveStream(again, { company: 'acme', lastEventId: client.events[9].id });
  await back.untilEvents(50);
  assertExactly(back, range(11, 60));
});

e2e('replay --from refills a Redis that lost everything', async (world) => {
  const { sluice, publisher, redis, nats, start } = await streamed(world);
  for (const company of ['acme', 'beta']) await publisher.publishRange(company, 1, 300);
  await redis.untilStored('acme', 300);
  const env = { AUTH_MODE: 'none', NATS_URL: nats.url, REDIS_URL: redis.url, ...STREAM };
  const replay = (from) => runSluice({ args: ['replay', '--from', from], env });
  const refused = await replay('1h');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /a replica is running/);
  await sluice.stop();
  await redis.command('FLUSHALL');
  const first = await replay('1h');
  assert.equal(first.stdout, '600 events of 2 companies appended, 0 were there\n', first.stderr);
  await redis.untilStored('beta', 300);
  const second = await replay('1h');
  assert.equal(second.stdout, '0 events of 0 companies appended, 600 were there\n', second.stderr);
  await publisher.publishRange('acme', 301, 310);
  const again = await start();
  await redis.untilStored('acme', 310);
  const client = await world.liveStream(again, { company: 'acme' });
  await publisher.publishRange('acme', 311, 320);
  await client.untilEvents(10);
  assert.deepEqual(client.gaps, []);
  assert.equal(client.events.at(-1).position.seq, 320);
  await redis.untilStored('acme', 320);
  const east = new Date(Date.now() + 3_600_000).toISOString().replace('Z', '+02:00'); // an hour ago
  const third = await replay(east);
  assert.equal(third.code, 1, third.stderr);
  assert.match(third.stderr, /a replica is running/);
  const bad = ['soon', '', '0', '-1h', '2999-01-01T00:00:00Z', '1969-12-31T23:59:59Z', `${Date.now() + 60_000}`, '999999d'];
  for (const args of [['replay'], ...bad.map((from) => ['replay', '--from', from])]) {
    const { code, stderr } = await runSluice({ args, env });
    assert.equal(code, 2, `${args}: ${stderr}`);
    assert.match(stderr, /--from/);
  }
});

e2e('all replicas are killed under load, and start again: clients go on where they were', async (world) => {
  const { replicas, publisher, redis, start } = await streamed(world, { count: 3 });
  const clients = await Promise.all(replicas.map((replica) => world.liveStream(replica, { company: 'acme' })));
  const publishing = publisher.publishPaced('acme', 1, 1000, [], { step: 10 });
  for (const client of clients) await client.untilEvents(200);
  for (const replica of replicas) await replica.crash();
  for (const client of clients) client.left = true;
  await publishing;
  await publisher.publishRange('acme', 1001, 1500);
  const again = await Promise.all(range(1, 3).map(() => start()));
  for (const [i, client] of clients.entries()) {
    const back = await world.liveStream(again[i], { company: 'acme', lastEventId: client.events.at(-1).id });
    await back.untilEvents(1500 - client.events.length);
    assert.deepEqual(numbersOf([...client.events, ...back.events]), range(1, 1500));
    assert.deepEqual(back.gaps, []);
  }
  await redis.untilStored('acme', 1500);
});

e2e('an owner that was stopped for a while finds another, and nobody misses or repeats anything', async (world) => {
  const { owner, followers, publisher, redis } = await streamed(world, { count: 2 });
  const there = await world.liveStream(owner, { company: 'acme' });
  const here = await world.liveStream(followers[0], { company: 'acme' });
  await publisher.publishRange('acme', 1, 50);
  await Promise.all([there.untilEvents(50), here.untilEvents(50)]);
  await owner.child.halt();
  await publisher.publishRange('acme', 51, 100);
  await here.untilEvents(100);
  owner.child.signal('SIGCONT');
  await publisher.publishRange('acme', 101, 150);
  await Promise.all([there.untilEvents(150), here.untilEvents(150)]);
  for (const client of [there, here]) assertExactly(client, range(1, 150));
  await redis.untilStored('acme', 150);
});

e2e('another replica reads on within two seconds of a crash', async (world) => {
  const { owner, followers, publisher } = await streamed(world, { count: 2 });
  const client = await world.liveStream(followers[0], { company: 'acme' });
  await publisher.publishRange('acme', 1, 10);
  await client.untilEvents(10);
  await owner.crash();
  const begin = Date.now();
  await publisher.publishRange('acme', 11, 20);
  await client.untilEvents(20);
  assert.ok(Date.now() - begin < 3000, `${Date.now() - begin} ms`);
  assertExactly(client, range(1, 20));
});

e2e('the owner is killed while Redis hangs: what waited there for its number is read again', async (world) => {
  const { owner, followers, publisher, redis } = await streamed(world, { count: 2, env: { REDIS_TIMEOUT_MS: '3000' } });
  const acme = await world.liveStream(followers[0], { company: 'acme' });
  const beta = await world.liveStream(followers[0], { company: 'beta' });
  await publisher.publishRange('acme', 1, 10);
  await acme.untilEvents(10);
  await redis.child.halt();
  // The owner does not know this company, and asks Redis; what comes behind it goes on meanwhile.
  await publisher.publishRange('beta', 1, 1);
  await publisher.publishRange('acme', 11, 20);
  await acme.untilEvents(20);
  await owner.crash();
  await beta.untilEvents(1);
  await publisher.publishRange('acme', 21, 30);
  await acme.untilEvents(30);
  assertExactly(beta, [1]);
  assertExactly(acme, range(1, 30));
  redis.child.signal('SIGCONT');
  await Promise.all([redis.untilStored('acme', 30), redis.untilStored('beta', 1)]);
});

e2e('a stream that is there is changed to what the settings say', async (world) => {
  const { sluice, publisher, nats, redis } = await streamed(world, { env: { NATS_STREAM_MAX_BYTES: '1000000' } });
  const jsm = await manager(publisher);
  assert.equal((await jsm.streams.info('EVENTS')).config.max_bytes, 1000000);
  assert.equal((await jsm.streams.info('EVENTS')).config.max_age, 86400e9);
  await sluice.stop();
  await world.sluice({ nats, redis, env: STREAM });
  assert.equal((await jsm.streams.info('EVENTS')).config.max_bytes, -1);
  assert.deepEqual((await jsm.streams.info('EVENTS')).config.subjects, ['metrics.*', 'journey.*', 'q2q.*']);
});

e2e('without NATS at the start streams open, and wait', async (world) => {
  const nats = await world.absent('nats');
  const redis = await world.redis();
  nats.jetstream = true;
  const sluice = await world.sluice({ nats, redis, env: STREAM, until: 'unavailable' });
  const client = await world.stream(sluice, { company: 'acme' });
  assert.equal(client.status, 200);
  await nats.start();
  await client.ready();
  await (await world.publisher(nats)).publishRange('acme', 1, 10);
  await client.untilEvents(10);
  assertExactly(client, range(1, 10));
});

e2e('a user with the permissions of docs/operations.md is enough', async (world) => {
  const config = `
    jetstream {}
    authorization { users: [
      { user: "publisher", password: "p" },
      { user: "sluice", password: "s", permissions: {
        subscribe: [ "_INBOX.>", "sluice.>" ],
        publish: [ "sluice.live.default", "$JS.API.STREAM.INFO.EVENTS", "$JS.API.CONSUMER.CREATE.EVENTS.>",
                   "$JS.API.CONSUMER.MSG.NEXT.EVENTS.>", "$JS.API.CONSUMER.DELETE.EVENTS.>" ] } } ] }`;
  const [nats, redis] = await Promise.all([world.nats({ config, jetstream: true }), world.redis()]);
  const publisher = await world.publisher(nats, { user: 'publisher', pass: 'p' });
  await (await manager(publisher)).streams.add({ name: 'EVENTS', subjects: ['metrics.*'] });
  const env = { NATS_STREAM: 'EVENTS', NATS_USER: 'sluice', NATS_PASSWORD: 's' };
  const sluice = await world.sluice({ nats, redis, env });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishRange('acme', 1, 10);
  await client.untilEvents(10);
  assertExactly(client, range(1, 10));
  assert.equal((await sluice.metrics()).value('sluice_nats_errors_total'), 0);
});

e2e('a connection to NATS that is cut again and again loses and repeats nothing', async (world) => {
  const [nats, redis] = await Promise.all([world.nats({ jetstream: true }), world.redis()]);
  const proxy = await world.proxy(nats.port);
  const sluice = await world.sluice({ nats: { url: `nats://127.0.0.1:${proxy.port}` }, redis, env: STREAM });
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company: 'acme' });
  for (let n = 1; n <= 2000; n += 200) {
    const publishing = publisher.publishRange('acme', n, n + 199);
    await client.untilEvents(n + 20);
    proxy.cut();
    await publishing;
    await client.untilEvents(n + 99);
  }
  await client.untilEvents(2000);
  assertExactly(client, range(1, 2000));
  await redis.untilStored('acme', 2000);
});

e2e('a connection to NATS that stalls goes on where it was', async (world) => {
  const [nats, redis] = await Promise.all([world.nats({ jetstream: true }), world.redis()]);
  const proxy = await world.proxy(nats.port);
  const sluice = await world.sluice({ nats: { url: `nats://127.0.0.1:${proxy.port}` }, redis, env: STREAM });
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishRange('acme', 1, 50);
  await client.untilEvents(50);
  proxy.stall();
  await publisher.publishRange('acme', 51, 100);
  await sluice.untilLog((line) => line.reason === 'it is silent', 'silence');
  proxy.resume();
  await publisher.publishRange('acme', 101, 150);
  await client.untilEvents(150);
  assertExactly(client, range(1, 150));
});

e2e('a stream that loses its end while it is read is no loss', async (world) => {
  const { sluice, nats, redis, start, client } = await followed(world);
  const kept = path.join(nats.directory, 'kept');
  const directory = path.join(nats.directory, 'jetstream');
  nats.child.signal('SIGTERM');
  await nats.child.waitForExit();
  cpSync(directory, kept, { recursive: true });
  await nats.start();
  await sluice.untilHealth('ok');
  const second = await world.publisher(nats);
  await second.publishRange('acme', 51, 100);
  await client.untilEvents(100);
  await nats.kill();
  rmSync(directory, { recursive: true });
  cpSync(kept, directory, { recursive: true });
  await nats.start();
  await sluice.untilHealth('ok');
  const third = await world.publisher(nats);
  await third.publishRange('acme', 101, 200);
  await client.untilEvents(200);
  assertExactly(client, range(1, 200));
  await redis.untilStored('acme', 200);
  await sluice.stop();
  client.left = true;
  await third.publishRange('acme', 201, 210);
  const again = await start();
  const back = await world.liveStream(again, { company: 'acme', lastEventId: client.events[149].id });
  await back.untilEvents(60);
  assertExactly(back, range(151, 210));
});
