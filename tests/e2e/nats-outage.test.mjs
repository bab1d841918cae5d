// NATS may be away: streams stay open, and that events may have been missed is told to all whom it concerns.

import assert from 'node:assert/strict';
import { assertExactly, assertHolesTold, assertPromise, numbersOf, payload, range } from '../support/events.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const outline = (client) =>
  client.blocks
    .filter((block) => block.kind !== 'comment' && block.kind !== 'retry')
    .map((block) => block.event ?? (block.id.startsWith('hole-') ? 'hole' : block.kind));

/** That a stream tells the source gap of an outage in its place: behind event `before`, in front of the next one. */
function assertHoleBehind(client, before) {
  const at = client.blocks.findIndex((block) => block.event === 'stream.gap');
  assert.ok(at >= 0, 'no gap was told');
  assert.equal(client.blocks[at].json.reason, 'source');
  const cursor = client.blocks[at + 1];
  assert.equal(cursor.kind, 'cursor', 'the gap is followed by a cursor');
  assert.match(cursor.id, /^hole-\d+-\d+$/);
  const earlier = client.blocks.slice(0, at).filter((block) => block.kind === 'event');
  const later = client.blocks.slice(at).filter((block) => block.kind === 'event');
  assert.ok(earlier.every((event) => event.position.seq <= before));
  assert.ok(later.every((event) => event.position.seq > before));
  return cursor.id;
}

e2e('NATS absent at start: streams open and wait, health says unavailable until it comes', async (world) => {
  const nats = await world.absent('nats');
  const sluice = await world.sluice({ nats, until: 'unavailable' });
  assert.equal((await sluice.get('/stream/health')).status, 503);
  assert.equal((await sluice.get('/stream/health/ready')).status, 503);
  assert.equal((await sluice.get('/stream/health/live')).status, 200);
  assert.equal((await sluice.metrics()).value('sluice_nats_connected'), 0);
  const client = await world.liveStream(sluice, { company: 'acme' });
  await nats.start();
  await sluice.untilHealth('ok');
  assert.equal((await sluice.get('/stream/health/ready')).status, 200);
  assert.equal((await sluice.metrics()).value('sluice_nats_connected'), 1);
  const publisher = await world.publisher(nats);
  await publisher.publishRange('acme', 1, 3);
  await client.untilEvents(3);
  assert.deepEqual(numbersOf(client.events), [1, 2, 3]);
});

for (const store of ['redis', 'memory']) {
  e2e(`NATS killed and restarted: streams stay open and are told once (${store})`, async (world) => {
    const { nats, sluice, publisher } = await world.bridge({ store });
    const clients = [
      await world.liveStream(sluice, { company: 'acme' }),
      await world.liveStream(sluice, { company: 'acme', version: '1.0' }),
    ];
    const [client] = clients;
    const start = client.lastEventId;
    await publisher.publishPaced('acme', 1, 5, clients);
    const offline = await world.liveStream(sluice, { company: 'acme', lastEventId: client.events[1].id });
    offline.leave();

    await nats.kill();
    await sluice.untilHealth('unavailable');
    assert.equal((await sluice.get('/stream/health')).status, 503);
    assert.equal((await sluice.get('/stream/health/ready')).status, 503);
    assert.equal((await sluice.get('/stream/health/live')).status, 200);
    await nats.start();
    await sluice.untilHealth('ok');
    assert.equal((await sluice.metrics()).value('sluice_nats_disconnects_total'), 1);

    const again = await world.publisher(nats);
    await again.publishRange('acme', 6, 9);
    for (const each of clients) {
      await each.untilEvents(9);
      assert.ok(!each.closed, 'the stream was closed');
      assert.deepEqual(numbersOf(each.events), range(1, 9));
      assert.deepEqual(each.events.map((event) => event.position.seq), range(1, 9));
      assert.equal(each.gaps.length, 1);
      assertHoleBehind(each, 5);
    }
    // Whoever was offline over all of it is told the same, in the same place.
    for (const [lastEventId, first] of [
      [start, 1],
      [client.events[1].id, 3],
      [client.events[4].id, 6],
    ]) {
      const back = await world.liveStream(sluice, { company: 'acme', lastEventId });
      assert.deepEqual(numbersOf(back.events), range(first, 9));
      assert.equal(back.gaps.length, 1);
      assertHoleBehind(back, 5);
    }
    // Whoever was there is not told again.
    const hole = assertHoleBehind(client, 5);
    for (const [lastEventId, first] of [
      [hole, 6],
      [client.events[5].id, 7],
      [client.events[8].id, 10],
    ]) {
      const back = await world.liveStream(sluice, { company: 'acme', lastEventId });
      assertExactly(back, range(first, 9));
    }
  });
}

e2e('the hole of an outage is told on its own, before any event follows it', async (world) => {
  const { nats, sluice, publisher } = await world.bridge({ store: 'redis' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 2, [client]);
  await nats.kill();
  await sluice.untilHealth('unavailable');
  await nats.start();
  await client.waitFor(() => outline(client).at(-1) === 'hole', 'the gap and its cursor');
  assert.deepEqual(outline(client).slice(-4), ['metric_updated', 'metric_updated', 'stream.gap', 'hole']);
});

e2e('two outages are two holes, and each client is told those that it was not told', async (world) => {
  const { nats, sluice, publisher } = await world.bridge({ store: 'redis' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  const start = client.lastEventId;
  await publisher.publishPaced('acme', 1, 2, [client]);
  for (let outage = 1; outage <= 2; outage++) {
    await nats.kill();
    await sluice.untilHealth('unavailable');
    await nats.start();
    await sluice.untilHealth('ok');
    const next = await world.publisher(nats);
    await next.publishPaced('acme', outage * 2 + 1, outage * 2 + 2, [client]);
  }
  const wanted = [...'eeghee', ...'ghee'];
  const letters = { metric_updated: 'e', 'stream.gap': 'g', hole: 'h' };
  const told = (each) => outline(each).map((what) => letters[what]).filter(Boolean);
  assert.deepEqual(told(client), wanted);
  const all = await world.liveStream(sluice, { company: 'acme', lastEventId: start });
  assert.deepEqual(told(all), wanted);
  const late = await world.liveStream(sluice, { company: 'acme', lastEventId: client.events[2].id });
  assert.deepEqual(told(late), [...'eghee']);
});

e2e('a company that had no stream during the outage learns of it too', async (world) => {
  const { nats, sluice, publisher } = await world.bridge({ store: 'redis' });
  const witness = await world.liveStream(sluice, { company: 'acme' });
  const quiet = await world.liveStream(sluice, { company: 'quiet' });
  await publisher.publishRange('quiet', 1, 2);
  await quiet.untilEvents(2);
  quiet.leave();
  await nats.kill();
  await sluice.untilHealth('unavailable');
  await nats.start();
  await sluice.untilHealth('ok');
  const back = await world.liveStream(sluice, { company: 'quiet', lastEventId: quiet.lastEventId });
  assert.deepEqual(back.gaps.map((gap) => gap.reason), ['source']);
  assert.equal(witness.closed, false);
});

e2e('a connection to NATS that is cut again and again ends in a whole stream with told holes', async (world) => {
  const nats = await world.nats();
  const proxy = await world.proxy(nats.port);
  const sluice = await world.sluice({ nats: { url: `nats://127.0.0.1:${proxy.port}` } });
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company: 'acme' });
  let n = 0;
  for (let round = 1; round <= 3; round++) {
    const burst = publisher.publishRange('acme', n + 1, n + 200);
    proxy.cut();
    await burst;
    n += 200;
    await sluice.untilMetric('sluice_nats_disconnects_total', {}, (value) => value >= round);
    await sluice.untilHealth('ok');
    await publisher.publishRange('acme', n + 1, n + 1);
    n++;
    await client.waitFor(() => numbersOf(client.events.slice(-1))[0] === n, `event ${n}`);
  }
  assertPromise(client.blocks, { after: 0 });
  assert.equal(client.gaps.filter((gap) => gap.reason === 'source').length, 3);
  assertHolesTold(client);
});

e2e('messages that overflow the intake are counted and told as a source gap', async (world) => {
  const { sluice, publisher } = await world.bridge({
    env: { SOURCE_PENDING_EVENTS: '16', BUFFER_EVENTS: '10000', BUFFER_BYTES: '67108864' },
  });
  const client = await world.liveStream(sluice, { company: 'acme' });
  let published = 0;
  let dropped = 0;
  const settle = () =>
    eventually(async () => {
      dropped = (await sluice.metrics()).value('sluice_events_dropped_total', { reason: 'source' });
      const delivered = client.events.length;
      if (delivered + dropped !== published) throw new Error(`${delivered} delivered, ${dropped} dropped of ${published}`);
      return true;
    }, 'each message to be delivered or counted as dropped');
  for (let round = 0; round < 20 && !dropped; round++) {
    // A process that was stopped finds a heap of messages in its socket at once.
    await sluice.child.halt();
    await publisher.publishRange('acme', published + 1, published + 1000);
    sluice.child.signal('SIGCONT');
    published += 1000;
    await settle();
  }
  assert.ok(dropped > 0, 'nothing was dropped: this test proved nothing');
  published++;
  await publisher.publishRange('acme', published, published);
  await settle();
  await client.waitFor(() => numbersOf(client.events.slice(-1))[0] === published, 'the last event');
  assert.equal(client.events.length + dropped, published);
  assert.deepEqual(client.events.map((event) => event.position.seq), range(1, client.events.length));
  assertHolesTold(client);
  assert.ok(client.gaps.every((gap) => gap.reason === 'source'));
  // The hole is written down: whoever resumes from before it is told as well.
  const back = await world.liveStream(sluice, { company: 'acme', lastEventId: client.events[0].id });
  assert.deepEqual(numbersOf(back.events), numbersOf(client.events.slice(1)));
  assertHolesTold(back, 1);
});

e2e('a company without events is told of an outage too', async (world) => {
  const { nats, sluice } = await world.bridge({ store: 'memory' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  const offline = await world.liveStream(sluice, { company: 'nobody' });
  offline.leave();
  await nats.kill();
  await sluice.untilHealth('unavailable');
  await nats.start();
  await sluice.untilHealth('ok');
  const publisher = await world.publisher(nats);
  await publisher.publish('metrics.calculated', payload('acme', 1));
  await client.untilEvents(1);
  assert.deepEqual(client.gaps.map((gap) => gap.reason), ['source']);
  assertHoleBehind(client, 0);
  const back = await world.liveStream(sluice, { company: 'nobody', lastEventId: offline.lastEventId });
  assert.deepEqual(back.gaps.map((gap) => gap.reason), ['source']);
});
