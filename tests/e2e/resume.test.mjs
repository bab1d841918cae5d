// A client that comes back gets exactly what it missed, or is told that it cannot.

import assert from 'node:assert/strict';
import { assertExactly, assertPromise, comparePositions, numbersOf, payload, range } from '../support/events.mjs';
import { parseId } from '../support/sse.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const raws = (events) => events.map((event) => event.raw);

/** A bridge whose company acme has the events 1 to `count`; `live` has seen them all. */
async function withHistory(world, count, options) {
  const bridge = await world.bridge(options);
  const live = await world.liveStream(bridge.sluice, { company: 'acme' });
  const start = live.lastEventId;
  await bridge.publisher.publishPaced('acme', 1, count, [live]);
  return { ...bridge, live, start, events: live.events };
}

for (const store of ['redis', 'memory']) {
  const inStore = (name, body) => e2e(`${name} (${store})`, body);

  inStore('Last-Event-ID in the header brings back what came after it', async (world) => {
    const { sluice, publisher, events } = await withHistory(world, 5, { store });
    const back = await world.liveStream(sluice, { company: 'acme', lastEventId: events[1].id });
    const ready = await back.ready();
    assert.deepEqual(raws(back.events), raws(events.slice(2)));
    assert.deepEqual([ready.replayed, ready.complete, ready.head], [3, true, events[4].id]);
    assert.deepEqual(back.gaps, []);
    const order = back.blocks.map((block) => block.kind);
    assert.deepEqual(order, ['retry', 'event', 'event', 'event', 'control', 'cursor']);
    await publisher.publish('metrics.calculated', payload('acme', 6));
    await back.untilEvents(4);
    assertExactly(back, range(3, 6));
  });

  inStore('lastEventId in the query does the same, and the header wins over it', async (world) => {
    const { sluice, events } = await withHistory(world, 5, { store });
    const query = [['lastEventId', events[0].id]];
    const byQuery = await world.liveStream(sluice, { company: 'acme', query });
    assertExactly(byQuery, range(2, 5));
    const byBoth = await world.liveStream(sluice, { company: 'acme', query, lastEventId: events[2].id });
    assertExactly(byBoth, [4, 5]);
    const lowerCase = await world.liveStream(sluice, { company: 'acme', headers: [['last-event-id', events[3].id]] });
    assertExactly(lowerCase, [5]);
  });

  inStore('no id means live only, also where the id is empty', async (world) => {
    const { sluice, publisher } = await withHistory(world, 3, { store });
    const clients = [
      await world.liveStream(sluice, { company: 'acme' }),
      await world.liveStream(sluice, { company: 'acme', query: [['lastEventId', '']] }),
      await world.liveStream(sluice, { company: 'acme', headers: [['Last-Event-ID', '']] }),
    ];
    await publisher.publish('metrics.calculated', payload('acme', 4));
    for (const client of clients) {
      await client.untilEvents(1);
      assertExactly(client, [4]);
      assert.equal((await client.ready()).replayed, 0);
    }
  });

  inStore('a client whose connection broke comes back without a hole or a duplicate', async (world) => {
    const { sluice, publisher } = await world.bridge({ store });
    const seen = [];
    let client = await world.liveStream(sluice, { company: 'acme' });
    await publisher.publishPaced('acme', 1, 10, [client]);
    seen.push(...client.events);
    client.reset();
    await publisher.publishRange('acme', 11, 25);
    client = await world.liveStream(sluice, { company: 'acme', lastEventId: client.lastEventId });
    await publisher.publishRange('acme', 26, 30);
    await client.untilEvents(20);
    seen.push(...client.events);
    assert.deepEqual(numbersOf(seen), range(1, 30));
    assert.deepEqual(client.gaps, []);
  });

  inStore('a client that left before its first event misses nothing', async (world) => {
    const { sluice, publisher } = await world.bridge({ store });
    const first = await world.liveStream(sluice, { company: 'acme' });
    assert.match(first.lastEventId, /^start-0-\d+$/);
    first.reset();
    await publisher.publishRange('acme', 1, 7);
    // The events are in once a live stream has seen the next one.
    const witness = await world.liveStream(sluice, { company: 'acme', lastEventId: first.lastEventId });
    await witness.untilEvents(7);
    const back = await world.liveStream(sluice, { company: 'acme', lastEventId: first.lastEventId });
    await back.untilEvents(7);
    assertExactly(back, range(1, 7));
  });

  inStore('a client that is up to date gets nothing again and no gap', async (world) => {
    const { sluice, publisher, events } = await withHistory(world, 4, { store });
    const back = await world.liveStream(sluice, { company: 'acme', lastEventId: events[3].id });
    assert.equal((await back.ready()).replayed, 0);
    await publisher.publish('metrics.calculated', payload('acme', 5));
    await back.untilEvents(1);
    assertExactly(back, [5]);
  });

  inStore('events of one millisecond and numbers with more digits keep their order', async (world) => {
    const { sluice, publisher } = await world.bridge({ store, env: { BUFFER_EVENTS: '5000' } });
    const live = await world.liveStream(sluice, { company: 'acme' });
    const start = live.lastEventId;
    await publisher.publishRange('acme', 1, 1200);
    const events = await live.untilEvents(1200);
    const positions = events.map((event) => event.position);
    assert.ok(positions.every((position, i) => i === 0 || comparePositions(positions[i - 1], position) < 0));
    const crowded = positions.some((position, i) => i > 0 && positions[i - 1].ms === position.ms);
    assert.ok(crowded, 'no millisecond held two events: this test proved nothing');
    assertExactly(live, range(1, 1200));
    for (const at of [0, 8, 9, 98, 99, 100, 556, 998, 999, 1000, 1199]) {
      const back = await world.liveStream(sluice, { company: 'acme', lastEventId: events[at].id });
      assert.deepEqual(numbersOf(back.events), range(at + 2, 1200), `after ${events[at].id}`);
      assert.deepEqual(back.gaps, []);
      back.leave();
    }
    const all = await world.liveStream(sluice, { company: 'acme', lastEventId: start });
    assert.deepEqual(raws(all.events), raws(events));
  });

  inStore('an id that was never given is told as a gap, and live events follow', async (world) => {
    const { sluice, publisher, live, events } = await withHistory(world, 6, { store });
    const third = events[2].position;
    const unknown = {
      'a number that is not there': `metrics.calculated-999-${third.ms}`,
      'a millisecond before the first event': `metrics.calculated-1-${events[0].position.ms - 60_000}`,
      'the year 1970': 'metrics.calculated-1-5',
      'the far future': 'metrics.calculated-3-9999999999999',
      'a cursor of another life': `hole-17-${third.ms}`,
    };
    let next = 7;
    for (const [what, lastEventId] of Object.entries(unknown)) {
      const client = await world.liveStream(sluice, { company: 'acme', lastEventId });
      const replayed = client.events.length;
      assert.equal(client.gaps.length, 1, what);
      assert.ok(['unknown_id', 'expired'].includes(client.gaps[0].reason), what);
      assert.equal(client.gaps[0].requested, lastEventId, what);
      // All that is after its position follows the gap, in order, up to the head.
      const after = client.events.map((event) => event.position.seq);
      const cursor = parseId(lastEventId);
      const wanted = events.filter((event) => comparePositions(cursor, event.position) < 0);
      assert.deepEqual(after, wanted.map((event) => event.position.seq), what);
      const kinds = client.blocks.map((block) => block.event ?? block.kind);
      if (replayed) assert.ok(kinds.indexOf('stream.gap') < kinds.indexOf('metric_updated'), what);
      assert.equal((await client.ready()).replayed, replayed, what);
      await publisher.publish('metrics.calculated', payload('acme', next));
      await client.untilEvents(replayed + 1);
      assert.equal(numbersOf(client.events).at(-1), next, what);
      await live.untilEvents(next);
      next++;
      // Told once is enough.
      const again = await world.liveStream(sluice, { company: 'acme', lastEventId: client.lastEventId });
      assert.deepEqual(again.gaps, [], what);
    }
  });

  inStore('a number that no event has is told as a gap', async (world) => {
    const { sluice, publisher, events } = await withHistory(world, 3, { store });
    const lastEventId = `metrics.calculated-0-${events[0].position.ms}`;
    const client = await world.liveStream(sluice, { company: 'acme', lastEventId });
    assert.equal(client.gaps.length, 1);
    await publisher.publish('metrics.calculated', payload('acme', 4));
    await client.waitFor(() => numbersOf(client.events).at(-1) === 4, 'the live event');
  });

  inStore('an id that is no id is told as a gap and never refused', async (world) => {
    // One worker: of two, one may be about to send what a client of the other has already.
    const { sluice, publisher, live: neighbour, events } = await withHistory(world, 3, { store, env: { WORKERS: '1' } });
    const header = (lastEventId) => ({ lastEventId });
    const query = (value) => ({ query: [['lastEventId', value]] });
    const malformed = {
      'words': header('hello'),
      'a bare number': header('12345'),
      'quotes and braces': header('"}{\\"<script>'),
      'bytes that are not UTF-8': header('\xff\xfe\x80abc'),
      'four kilobytes': header('x'.repeat(4096)),
      'four kilobytes that look like an id': header(`${'x'.repeat(4096)}-1-1700000000000`),
      'numbers that no counter reaches': header('metrics.x-99999999999999999999999999-99999999999999999999999'),
      'negative numbers': header('metrics.x--1--5'),
      'no number': header('metrics.x--1700000000000'),
      'a space inside': header('metrics.x-1 -1700000000000'),
      'a colon': header('metrics:x-1-1700000000000'),
      'a glob': header('*'),
      'a NUL': query('metrics.x%00-1-1700000000000'),
      'a line end': query('metrics.x-1%0d%0aid:%20evil%0d%0a%0d%0adata:%20evil'),
      'a bare line feed': query('%0a'),
      'broken percent encoding': query('%zz%'),
      'four kilobytes in the query': query('y'.repeat(4096)),
      'bytes that are not UTF-8 in the query': query('%ff%fe'),
    };
    let next = 4;
    for (const [what, options] of Object.entries(malformed)) {
      const client = await world.stream(sluice, { company: 'acme', ...options });
      assert.equal(client.status, 200, what);
      const ready = await client.ready();
      assert.deepEqual(client.blocks.map((block) => block.event ?? block.kind), [
        'retry',
        'stream.gap',
        ...(client.blocks[2].kind === 'cursor' ? ['cursor'] : []),
        'stream.ready',
        'cursor',
      ]);
      assert.equal(client.gaps[0].missed, null, what);
      assert.equal(ready.replayed, 0, what);
      assert.equal(client.lastEventId, ready.head, what);
      await publisher.publish('metrics.calculated', payload('acme', next));
      await client.untilEvents(1);
      assert.deepEqual(numbersOf(client.events), [next], what);
      await neighbour.untilEvents(next);
      next++;
      client.leave();
    }
    assertExactly(neighbour, range(1, events.length));
    assert.equal(await sluice.untilConnections(1), true);
  });

  inStore("another company's id is answered exactly as an unknown one", async (world) => {
    const { sluice, publisher, events } = await withHistory(world, 5, { store });
    const own = await world.liveStream(sluice, { company: 'other' });
    await publisher.publishRange('other', 1, 3);
    await own.untilEvents(3);
    const foreign = events[4].id;
    const { ms } = parseId(foreign);
    const answer = async (company, lastEventId) => {
      const client = await world.liveStream(sluice, { company, lastEventId });
      const { connectionId } = await client.ready();
      const text = client.blocks.slice(1).map((block) => block.raw).join('');
      client.leave();
      return text
        .replaceAll(lastEventId, 'REQUESTED')
        .replaceAll(connectionId, 'CONNECTION')
        .replace(/start-0-\d+/g, 'START');
    };
    for (const company of ['other', 'empty']) {
      const toForeign = await answer(company, foreign);
      assert.match(toForeign, /event: stream\.gap/);
      assert.equal(toForeign, await answer(company, `metrics.calculated-77-${ms}`), company);
      assert.equal(toForeign, await answer(company, `metrics.nobody-5-${ms}`), company);
    }
  });

  inStore('an id older than what the store keeps is told as expired, with what is left behind it', async (world) => {
    const env = { REPLAY_MAX_EVENTS: '20', RECENT_EVENTS: '20' };
    const { sluice, events, start } = await withHistory(world, 400, { store, env });
    // What is appended still would trim between two pages, and that is another gap.
    await sluice.untilMetric('sluice_replay_backlog_bytes', {}, (bytes) => bytes === 0);
    for (const [lastEventId, after] of [
      [start, 0],
      [events[0].id, 1],
      [events[150].id, 151],
    ]) {
      const back = await world.liveStream(sluice, { company: 'acme', lastEventId });
      const missing = assertPromise(back.blocks, { after, until: 400 });
      assert.ok(missing > 0 && back.events.length >= 20, `${back.events.length} came back`);
      assert.equal(back.gaps.length, 1);
      assert.equal(back.gaps[0].reason, 'expired');
      assert.equal(back.gaps[0].requested, lastEventId);
      assert.equal(back.gaps[0].oldest, back.events[0].id);
    }
    const within = await world.liveStream(sluice, { company: 'acme', lastEventId: events[389].id });
    assertExactly(within, range(391, 400));
  });

  inStore('a company cannot keep more than its bytes', async (world) => {
    const env = { REPLAY_MAX_BYTES: '65536', RECENT_EVENTS: '16' };
    const { sluice, publisher } = await world.bridge({ store, env });
    const live = await world.liveStream(sluice, { company: 'acme' });
    await publisher.publishPaced('acme', 1, 300, [live], { more: { text: 'x'.repeat(2000) } });
    // What is not stored yet is kept in memory beside that.
    await sluice.untilMetric('sluice_replay_backlog_bytes', {}, (bytes) => bytes === 0);
    const back = await world.liveStream(sluice, { company: 'acme', lastEventId: live.events[0].id });
    assert.ok(assertPromise(back.blocks, { after: 1, until: 300 }) > 200, `${back.events.length} were kept`);
    assert.equal(back.gaps[0].reason, 'expired');
  });

  inStore('events are gone when their time is over, and that is told', async (world) => {
    const { sluice, publisher, events } = await withHistory(world, 3, { store, env: { REPLAY_TTL_SECONDS: '1' } });
    const back = await eventually(async () => {
      const client = await world.liveStream(sluice, { company: 'acme', lastEventId: events[0].id });
      return client.events.length === 0 ? client : client.leave();
    }, 'the events to expire');
    assert.deepEqual(back.gaps.map((gap) => gap.reason), ['expired']);
    assert.ok([null, 2].includes(back.gaps[0].missed));
    assert.equal(back.lastEventId, events[2].id);
    // Whoever has seen the last event has missed nothing, however long ago that was.
    const upToDate = await world.liveStream(sluice, { company: 'acme', lastEventId: events[2].id });
    assert.deepEqual(upToDate.gaps, []);
    await publisher.publish('metrics.calculated', payload('acme', 4));
    await upToDate.untilEvents(1);
    assert.equal(upToDate.events[0].position.seq, 4);
  });

  inStore('a client that resumes while events go on has no hole and no duplicate', async (world) => {
    const { sluice, publisher, live, events } = await withHistory(world, 3000, {
      store,
      env: { BUFFER_EVENTS: '10000', BUFFER_BYTES: '67108864' },
    });
    const back = await world.stream(sluice, { company: 'acme', lastEventId: events[0].id });
    for (let n = 3001; n <= 5000; n += 20) await publisher.publishRange('acme', n, n + 19);
    await back.untilEvents(4999);
    assertExactly(back, range(2, 5000));
    await live.untilEvents(5000);
    assert.deepEqual(raws(back.events), raws(live.events.slice(1)));
  });

  inStore('many clients that resume at once, each from elsewhere, all get their own rest', async (world) => {
    const { sluice, publisher, events } = await withHistory(world, 500, {
      store,
      env: { BUFFER_EVENTS: '5000', RECENT_EVENTS: '100' },
    });
    const places = range(0, 39).map((i) => i * 12);
    const publishing = publisher.publishRange('acme', 501, 600);
    const clients = await Promise.all(
      places.map((at) => world.stream(sluice, { company: 'acme', lastEventId: events[at].id })),
    );
    await publishing;
    for (const [i, client] of clients.entries()) {
      await client.untilEvents(600 - places[i] - 1);
      assertExactly(client, range(places[i] + 2, 600));
    }
  });

  inStore('a client that loses its connection at any moment sees everything once', async (world) => {
    const { sluice, publisher } = await world.bridge({ store, env: { BUFFER_EVENTS: '5000', RECENT_EVENTS: '50' } });
    const first = await world.liveStream(sluice, { company: 'acme' });
    const seen = [];
    let cursor = first.lastEventId;
    let published = 0;
    for (let round = 0; seen.length < 600; round++) {
      // Events are published between each two steps: while the request is on its way, at its head, during the replay.
      const burst = async () => {
        await publisher.publishRange('acme', published + 1, published + 7);
        published += 7;
      };
      const opening = world.stream(sluice, { company: 'acme', lastEventId: cursor });
      await burst();
      const client = await opening;
      await burst();
      if (round % 3) await client.ready();
      await burst();
      const wanted = (round * 5) % 19;
      await client.waitFor(() => client.events.length >= wanted, `${wanted} events`);
      client.reset();
      assert.deepEqual(client.gaps, []);
      seen.push(...client.events);
      cursor = client.lastEventId;
    }
    assert.deepEqual(numbersOf(seen), range(1, seen.length));
    const rest = await world.stream(sluice, { company: 'acme', lastEventId: cursor });
    await rest.untilEvents(published - seen.length);
    assertExactly(rest, range(seen.length + 1, published));
  });

  inStore('a client that reads its history slowly loses nothing of it, nor of what comes meanwhile', async (world) => {
    const { sluice, publisher, live, events } = await withHistory(world, 3000, { store, env: { RECENT_EVENTS: '100' } });
    const wide = { more: { text: 'y'.repeat(1000) } };
    await publisher.publishPaced('acme', 3001, 5000, [live], wide);
    const back = await world.stream(sluice, { company: 'acme', lastEventId: events[0].id });
    await back.untilEvents(1);
    back.stopReading();
    await publisher.publishPaced('acme', 5001, 5400, [live], wide);
    back.readOn();
    await back.untilEvents(5399);
    assertExactly(back, range(2, 5400));
  });

  inStore('a client that leaves during its replay leaves nothing behind', async (world) => {
    const { sluice, events } = await withHistory(world, 1500, { store, env: { RECENT_EVENTS: '100' } });
    for (const count of [0, 1, 300]) {
      const back = await world.stream(sluice, { company: 'acme', lastEventId: events[0].id });
      await back.untilEvents(count);
      back.reset();
    }
    await sluice.untilConnections(1);
    const back = await world.liveStream(sluice, { company: 'acme', lastEventId: events[0].id });
    assertExactly(back, range(2, 1500));
  });

  inStore('a bridge speaks HTTP/1.0 to those who resume', async (world) => {
    const { sluice, events } = await withHistory(world, 300, { store });
    const back = await world.liveStream(sluice, { company: 'acme', lastEventId: events[9].id, version: '1.0' });
    assert.deepEqual(raws(back.events), raws(events.slice(10)));
  });
}

for (const how of ['stop', 'crash']) {
  e2e(`after a ${how} and a new start, history and numbers go on and the hole is told`, async (world) => {
    const { nats, redis, sluice, publisher, events, start } = await withHistory(world, 8, { store: 'redis' });
    await redis.untilStored('acme', 8);
    await sluice[how]();
    const next = await world.sluice({ nats, redis });
    const client = await world.liveStream(next, { company: 'acme', lastEventId: events[3].id });
    assert.deepEqual(raws(client.events), raws(events.slice(4)));
    await publisher.publishRange('acme', 9, 12);
    await client.untilEvents(8);
    assert.deepEqual(numbersOf(client.events), range(5, 12));
    assert.deepEqual(client.events.map((event) => event.position.seq), range(5, 12));
    assert.deepEqual(client.gaps.map((gap) => gap.reason), ['source']);
    const kinds = client.blocks.filter((block) => ['event', 'control'].includes(block.kind));
    const gapAt = kinds.findIndex((block) => block.event === 'stream.gap');
    /* Behind a crash the lease of the old process ends first: then the gap comes behind stream.ready. */
    const before = kinds.slice(0, gapAt).filter((block) => block.kind === 'event');
    assert.equal(before.at(-1).position.seq, 8, 'the gap stands behind the last event before the stop');
    // Also for those who resume from before all of it, and once only for those who have seen it.
    const all = await world.liveStream(next, { company: 'acme', lastEventId: start });
    assert.deepEqual(numbersOf(all.events), range(1, 12));
    assert.deepEqual(all.gaps.map((gap) => gap.reason), ['source']);
    const again = await world.liveStream(next, { company: 'acme', lastEventId: all.lastEventId });
    assert.deepEqual(again.gaps, []);
  });
}

e2e('a cursor on the hole of a restart is a good one: nothing is told twice', async (world) => {
  const { nats, redis, sluice, publisher, events } = await withHistory(world, 3, { store: 'redis' });
  await redis.untilStored('acme', 3);
  await sluice.stop();
  const next = await world.sluice({ nats, redis });
  const client = await world.liveStream(next, { company: 'acme', lastEventId: events[2].id });
  await client.untilControl('stream.gap');
  assert.match(client.lastEventId, /^hole-\d+-\d+$/);
  const back = await world.liveStream(next, { company: 'acme', lastEventId: client.lastEventId });
  assert.deepEqual(back.gaps, []);
  await publisher.publish('metrics.calculated', payload('acme', 4));
  await Promise.all([client.untilEvents(1), back.untilEvents(1)]);
  assert.deepEqual(numbersOf(client.events), [4]);
  assert.equal(client.gaps.length, 1);
  assertExactly(back, [4]);
  const late = await world.liveStream(next, { company: 'acme', lastEventId: client.blocks.find(isHole).id });
  assertExactly(late, [4]);
});

const isHole = (block) => block.kind === 'cursor' && block.id.startsWith('hole-');

e2e('in memory, a restart forgets, and that is told', async (world) => {
  const { nats, sluice, publisher, events } = await withHistory(world, 3, { store: 'memory' });
  await sluice.stop();
  const next = await world.sluice({ nats });
  const client = await world.liveStream(next, { company: 'acme', lastEventId: events[1].id });
  assert.equal(client.gaps.length, 1);
  await publisher.publish('metrics.calculated', payload('acme', 4));
  await client.untilEvents(1);
  assert.deepEqual(numbersOf(client.events), [4]);
  assert.ok(client.events[0].position.ms >= events[2].position.ms, 'time went back');
});
