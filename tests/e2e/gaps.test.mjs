// docs/protocol.md, "What is lost, and what is told": each row is a test here, and each test a row there.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assertExactly, assertPromise, numbersOf, range } from '../support/events.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const DOCS = new URL('../../docs/protocol.md', import.meta.url).pathname;
const tested = new Set();

/** A test of one row. */
function row(cause, stores, body) {
  tested.add(cause);
  for (const store of stores) e2e(`${cause} (${store})`, (world) => body(world, store));
}

const BOTH = ['redis', 'memory'];
const wide = { more: { text: 'z'.repeat(1000) } };

/** A bridge whose company acme has the events 1 to `count`, all of them seen by `live`. */
async function withHistory(world, count, { events: shape, ...options }) {
  const bridge = await world.bridge(options);
  const live = await world.liveStream(bridge.sluice, { company: 'acme' });
  const start = live.lastEventId;
  await bridge.publisher.publishPaced('acme', 1, count, [live], shape);
  await eventually(async () => {
    const bytes = (await bridge.sluice.metrics()).value('sluice_replay_backlog_bytes');
    if (bytes !== 0) throw new Error(`${bytes} bytes wait for the store`);
    return true;
  }, 'everything to be stored');
  return { ...bridge, live, start, events: live.events };
}

const resume = (world, sluice, lastEventId, company = 'acme') => world.liveStream(sluice, { company, lastEventId });

/** That `client` was told of one gap in front of its first event, with `missed`, and is not told again. */
async function assertToldFirst(world, sluice, client, { reason, requested, missed }) {
  assert.deepEqual(client.gaps.map((gap) => gap.reason), [reason]);
  assert.equal(client.gaps[0].requested, requested);
  assert.equal(client.gaps[0].missed, missed);
  assert.equal(client.gaps[0].oldest, client.events[0]?.id ?? client.gaps[0].oldest);
  const kinds = client.blocks.map((block) => block.event ?? block.kind);
  assert.deepEqual(kinds.slice(0, 2), ['retry', 'stream.gap']);
  assert.equal((await client.ready()).complete, false);
  const again = await resume(world, sluice, client.lastEventId);
  assertExactly(again, []);
}

async function assertTrimmed(world, { sluice, events, start }, count) {
  for (const [lastEventId, after] of [
    [start, 0],
    [events[0].id, 1],
    [events[9].id, 10],
  ]) {
    const back = await resume(world, sluice, lastEventId);
    const missed = back.events[0].position.seq - after - 1;
    assert.ok(missed > 0);
    await assertToldFirst(world, sluice, back, { reason: 'expired', requested: lastEventId, missed });
    assert.equal(assertPromise(back.blocks, { after, until: count }), missed);
  }
  // The last one that was trimmed is a good place: nothing behind it is missing.
  const oldest = (await resume(world, sluice, events[0].id)).events[0].position.seq;
  assertExactly(await resume(world, sluice, events[oldest - 2].id), range(oldest, count));
}

row('trimmed by number', BOTH, async (world, store) => {
  const env = { REPLAY_MAX_EVENTS: '100', RECENT_EVENTS: '16' };
  const bridge = await withHistory(world, 500, { store, env });
  await assertTrimmed(world, bridge, 500);
});

row('trimmed by bytes', BOTH, async (world, store) => {
  const env = { REPLAY_MAX_BYTES: '65536', RECENT_EVENTS: '16' };
  const bridge = await withHistory(world, 300, { store, env, events: wide });
  await assertTrimmed(world, bridge, 300);
});

row('trimmed by age', BOTH, async (world, store) => {
  const { sluice, publisher, live, events } = await withHistory(world, 5, { store, env: { REPLAY_TTL_SECONDS: '1' } });
  await eventually(async () => {
    const client = await resume(world, sluice, events[1].id);
    if (client.events.length > 0) throw new Error('they are held still');
    return true;
  }, 'the events to be too old');
  await publisher.publishPaced('acme', 6, 6, [live]);
  const back = await resume(world, sluice, events[1].id);
  assert.deepEqual(numbersOf(back.events), [6]);
  await assertToldFirst(world, sluice, back, { reason: 'expired', requested: events[1].id, missed: 3 });
  assertExactly(await resume(world, sluice, events[4].id), [6]);
});

row('an id that was never given, or is another company’s', BOTH, async (world, store) => {
  const { sluice, publisher, live, events } = await withHistory(world, 6, { store });
  const other = await world.liveStream(sluice, { company: 'other' });
  await publisher.publishRange('other', 1, 3);
  await other.untilEvents(3);
  const { ms } = events[2].position;
  for (const lastEventId of [`metrics.calculated-77-${ms}`, other.events[2].id, 'metrics.x-5-4102444800000']) {
    const back = await resume(world, sluice, lastEventId);
    assert.deepEqual(back.gaps.map((gap) => [gap.reason, gap.requested, gap.missed]), [['unknown_id', lastEventId, null]]);
    assertExactly(await resume(world, sluice, back.lastEventId), []);
  }
  assertExactly(live, range(1, 6));
});

row('an id that is none', BOTH, async (world, store) => {
  const { sluice, publisher, live } = await withHistory(world, 3, { store });
  const back = await resume(world, sluice, 'what is this?');
  assert.deepEqual(back.gaps.map((gap) => [gap.reason, gap.requested, gap.missed]), [['unknown_id', 'what is this?', null]]);
  await publisher.publishPaced('acme', 4, 4, [live]);
  await back.untilEvents(1);
  assert.deepEqual(numbersOf(back.events), [4]);
});

for (const [cause, lose] of [
  ['Redis is flushed while Sluice runs', (redis) => redis.command('FLUSHALL')],
  [
    'Redis is replaced by an empty one while Sluice runs',
    async (redis, sluice) => {
      await redis.kill();
      await sluice.untilHealth('degraded');
      await redis.start();
      await sluice.untilHealth('ok');
    },
  ],
]) {
  row(cause, ['redis'], async (world) => {
    const env = { RECENT_EVENTS: '16', RECENT_BYTES: '65536' };
    const { sluice, redis, publisher, live, events, start } = await withHistory(world, 500, { store: 'redis', env });
    await lose(redis, sluice);
    await publisher.publishPaced('acme', 501, 510, [live]);
    // Who is connected loses nothing, and numbers go on.
    assertExactly(live, range(1, 510));
    assert.deepEqual(live.events.map((event) => event.position.seq), range(1, 510));
    // What memory has needs no Redis.
    assertExactly(await resume(world, sluice, events[499].id), range(501, 510));
    for (const [lastEventId, reason, after] of [
      [events[9].id, 'unknown_id', 10],
      [start, 'expired', 0],
    ]) {
      const back = await resume(world, sluice, lastEventId);
      assert.deepEqual(back.gaps.map((gap) => [gap.reason, gap.requested]), [[reason, lastEventId]]);
      const missed = assertPromise(back.blocks, { after, until: 510 });
      assert.ok([null, missed].includes(back.gaps[0].missed));
      assertExactly(await resume(world, sluice, back.lastEventId), []);
    }
  });
}

row('Redis and Sluice are lost together', ['redis'], async (world) => {
  const { sluice, nats, redis, publisher, events } = await withHistory(world, 10, { store: 'redis' });
  await sluice.crash();
  await redis.command('FLUSHALL');
  const next = await world.sluice({ nats, redis });
  const back = await resume(world, next, events[4].id);
  assert.deepEqual(back.gaps.map((gap) => [gap.reason, gap.missed]), [['unknown_id', null]]);
  await publisher.publishPaced('acme', 11, 12, [back]);
  assert.deepEqual(numbersOf(back.events), [11, 12]);
});

/** That a source hole stands behind event `seq`, once, in front of whatever follows. */
function assertHole(client, seq) {
  assert.deepEqual(client.gaps.map((gap) => [gap.reason, gap.requested, gap.missed]), [['source', null, null]]);
  const at = client.blocks.findIndex((block) => block.event === 'stream.gap');
  assert.match(client.blocks[at + 1].id, new RegExp(`^hole-${seq}-\\d+$`));
  return client.blocks[at + 1].id;
}

row('NATS is not connected', BOTH, async (world, store) => {
  const { sluice, nats, live, events } = await withHistory(world, 5, { store });
  await nats.kill();
  await sluice.untilHealth('unavailable');
  await nats.start();
  await sluice.untilHealth('ok');
  const publisher = await world.publisher(nats);
  await publisher.publishPaced('acme', 6, 8, [live]);
  const hole = assertHole(live, 5);
  // The hole is kept: whoever was offline is told when it comes back, and nobody twice.
  const back = await resume(world, sluice, events[2].id);
  assert.deepEqual(numbersOf(back.events), range(4, 8));
  assert.equal(assertHole(back, 5), hole);
  assertExactly(await resume(world, sluice, hole), range(6, 8));
  assertExactly(await resume(world, sluice, live.events[5].id), range(7, 8));
});

row('the only replica was down', ['redis'], async (world) => {
  const { sluice, nats, redis, publisher, events } = await withHistory(world, 5, { store: 'redis' });
  await sluice.crash();
  const next = await world.sluice({ nats, redis });
  const back = await resume(world, next, events[2].id);
  await publisher.publishPaced('acme', 6, 8, [back]);
  assert.deepEqual(numbersOf(back.events), range(4, 8));
  const hole = assertHole(back, 5);
  const late = await resume(world, next, events[0].id);
  assert.deepEqual(numbersOf(late.events), range(2, 8));
  assert.equal(assertHole(late, 5), hole);
  assertExactly(await resume(world, next, hole), range(6, 8));
});

row('Redis cannot be read', ['redis'], async (world) => {
  const env = { RECENT_EVENTS: '16', RECENT_BYTES: '65536' };
  const { sluice, redis, publisher, live, events } = await withHistory(world, 500, { store: 'redis', env });
  await redis.kill();
  await sluice.untilHealth('degraded');
  await publisher.publishPaced('acme', 501, 505, [live]);
  const back = await resume(world, sluice, events[9].id);
  await assertToldFirst(world, sluice, back, { reason: 'replay_unavailable', requested: events[9].id, missed: null });
  assert.ok(back.events.length >= 5);
  assertPromise(back.blocks, { after: 10, until: 505 });
  assertExactly(await resume(world, sluice, events[499].id), range(501, 505));
});

row('appends failed for longer than the backlog allows', ['durable redis'], async (world, store) => {
  const env = { REPLAY_BACKLOG_BYTES: '65536', RECENT_EVENTS: '16', RECENT_BYTES: '65536' };
  const { sluice, redis, publisher, live, events } = await withHistory(world, 20, { store, env, events: wide });
  await redis.kill();
  await sluice.untilHealth('degraded');
  await publisher.publishPaced('acme', 21, 400, [live], wide);
  await redis.start();
  await sluice.untilHealth('ok');
  await publisher.publishPaced('acme', 401, 410, [live], wide);
  // Who was connected has everything.
  assertExactly(live, range(1, 410));
  await sluice.untilMetric('sluice_replay_backlog_bytes', {}, (bytes) => bytes === 0);
  const back = await resume(world, sluice, events[9].id);
  const missed = assertPromise(back.blocks, { after: 10, until: 410 });
  assert.ok(missed > 100, `${missed} are missing`);
  assert.deepEqual(back.gaps.map((gap) => [gap.reason, gap.requested, gap.missed]), [['replay_unavailable', null, missed]]);
  const at = back.blocks.findIndex((block) => block.event === 'stream.gap');
  assert.equal(back.blocks[at - 1].position.seq, 20);
  assert.equal(back.blocks[at + 1].id, back.gaps[0].oldest);
  assertExactly(await resume(world, sluice, back.lastEventId), []);
});

row('Redis was away for less', ['durable redis'], async (world, store) => {
  const { sluice, redis, publisher, live, events, start } = await withHistory(world, 20, { store });
  await redis.kill();
  await sluice.untilHealth('degraded');
  await publisher.publishPaced('acme', 21, 60, [live]);
  await redis.start();
  await sluice.untilHealth('ok');
  await publisher.publishPaced('acme', 61, 70, [live]);
  for (const [lastEventId, after] of [
    [start, 0],
    [events[9].id, 10],
    [live.events[39].id, 40],
    [live.events[69].id, 70],
  ]) {
    assertExactly(await resume(world, sluice, lastEventId), range(after + 1, 70));
  }
  assertExactly(live, range(1, 70));
});

test('the table of docs/protocol.md has these rows and no others', () => {
  const text = readFileSync(DOCS, 'utf8');
  const section = text.slice(text.indexOf('#### What is lost, and what is told'), text.indexOf('### `stream.store`'));
  const causes = [...section.matchAll(/^\| ([^|]+?) \|/gm)].map(([, cause]) => cause).filter((cause) => !/^(cause|---)$/.test(cause));
  const elsewhere = causes.filter((cause) => !tested.has(cause));
  assert.deepEqual([...tested].filter((cause) => !causes.includes(cause)), []);
  assert.deepEqual(elsewhere, [
    'this client did not read',
    'more comes than Sluice can take',
    'a company publishes more than it may',
  ]);
});
