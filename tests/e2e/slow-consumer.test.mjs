// A client that does not read loses the oldest events, is told exactly how many, and costs its neighbours nothing.

import assert from 'node:assert/strict';
import { assertExactly, assertPromise, numbersOf, payload, range } from '../support/events.mjs';
import { e2e } from '../support/world.mjs';

const wide = { more: { text: 'w'.repeat(1000) } };

/** A client that has stopped reading while `neighbour` got the events 1 to `count`; the client then reads on. */
async function overflow(world, bridge, { count, options = wide, version = '1.1' }) {
  const { sluice, publisher } = bridge;
  const neighbour = await world.liveStream(sluice, { company: 'acme' });
  const slow = await world.liveStream(sluice, { company: 'acme', version });
  slow.stopReading();
  await publisher.publishPaced('acme', 1, count, [neighbour], options);
  slow.readOn();
  await slow.waitFor(() => slow.events.at(-1)?.position.seq === count, `event ${count}`);
  return { slow, neighbour };
}

/**
 * Checks the sums of a slow client's gaps, and gives how many events it lost and those behind its last gap: what waited
 * for it at the end. The kernel may have taken a little in the meantime, so there can be more gaps than one, and a few
 * events more than waited at one moment.
 */
function account(slow, count) {
  assert.ok(slow.gaps.length >= 1, 'no gap was told');
  assert.ok(slow.gaps.every((gap) => gap.reason === 'slow_consumer'));
  const missed = slow.gaps.reduce((sum, gap) => sum + gap.missed, 0);
  assert.equal(slow.events.length + missed, count);
  assert.equal(assertPromise(slow.blocks, { after: 0, until: count }), missed);
  for (const [at, block] of slow.blocks.entries()) {
    if (block.event === 'stream.gap') {
      assert.equal(slow.blocks[at + 1].kind, 'event', 'a gap stands in front of the next event');
    }
  }
  const last = slow.blocks.findLastIndex((block) => block.event === 'stream.gap');
  return { missed, behind: slow.blocks.slice(last + 1).filter((block) => block.kind === 'event') };
}

for (const version of ['1.1', '1.0']) {
  e2e(`a client that does not read is told exactly how many events it lost (HTTP/${version})`, async (world) => {
    const bridge = await world.bridge();
    const count = 3000;
    const { slow, neighbour } = await overflow(world, bridge, { count, version });
    const { missed, behind } = account(slow, count);
    assert.ok(missed > count / 2, `only ${missed} were dropped`);
    assert.ok(behind.length >= 100, 'the newest 100 events were kept');
    assert.ok(behind.length < 200, `${behind.length} events waited`);
    assertExactly(neighbour, range(1, count));
    const metrics = await bridge.sluice.metrics();
    assert.equal(metrics.value('sluice_events_dropped_total', { reason: 'slow_consumer' }), missed);
    assert.equal(metrics.value('sluice_gaps_total', { reason: 'slow_consumer' }), slow.gaps.length);
    // It is an ordinary client again.
    const told = slow.gaps.length;
    await bridge.publisher.publishPaced('acme', count + 1, count + 50, [slow, neighbour]);
    assert.equal(slow.gaps.length, told);
    assert.deepEqual(numbersOf(slow.events.slice(-50)), range(count + 1, count + 50));
  });
}

e2e('a client that does not read for longer than DEAD_PEER_SECONDS is not taken for a dead one', async (world) => {
  const bridge = await world.bridge({ env: { DEAD_PEER_SECONDS: '2', HEARTBEAT_SECONDS: '2' } });
  const witness = await world.liveStream(bridge.sluice, { company: 'other' });
  const neighbour = await world.liveStream(bridge.sluice, { company: 'acme' });
  const slow = await world.liveStream(bridge.sluice, { company: 'acme' });
  const beats = () => witness.blocks.filter((block) => block.comments.length).length;
  slow.stopReading();
  await bridge.publisher.publishPaced('acme', 1, 2000, [neighbour], wide);
  const before = beats();
  await witness.waitFor(() => beats() >= before + 5, 'five heartbeats, the time-out four times over');
  slow.readOn();
  await slow.waitFor(() => slow.events.at(-1)?.position.seq === 2000, 'event 2000');
  account(slow, 2000);
});

e2e('what waits for a client is bounded in bytes too', async (world) => {
  const limit = 65_536;
  const bridge = await world.bridge({ env: { BUFFER_BYTES: String(limit), BUFFER_EVENTS: '1000' } });
  const count = 600;
  const { slow, neighbour } = await overflow(world, bridge, { count, options: { more: { text: 'b'.repeat(8000) }, step: 4 } });
  assertExactly(neighbour, range(1, count));
  const { behind } = account(slow, count);
  const bytes = behind.reduce((sum, block) => sum + Buffer.byteLength(block.raw), 0);
  assert.ok(bytes < 2 * limit, `${bytes} bytes waited`);
  assert.ok(bytes > limit - 2 * 8200, `only ${bytes} bytes waited`);
});

e2e('BUFFER_EVENTS sets how many events wait', async (world) => {
  const bridge = await world.bridge({ env: { BUFFER_EVENTS: '7' } });
  const { slow } = await overflow(world, bridge, { count: 2000, options: { ...wide, step: 5 } });
  const { behind } = account(slow, 2000);
  assert.ok(behind.length >= 7 && behind.length < 14, `${behind.length} events waited`);
});

e2e('a client that stumbles again and again is told each time, and the sums are right', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const neighbour = await world.liveStream(sluice, { company: 'acme' });
  const slow = await world.liveStream(sluice, { company: 'acme' });
  const rounds = 3;
  for (let round = 0; round < rounds; round++) {
    slow.stopReading();
    await publisher.publishPaced('acme', round * 2500 + 1, (round + 1) * 2500, [neighbour], wide);
    slow.readOn();
    await slow.waitFor(() => slow.events.at(-1)?.position.seq === (round + 1) * 2500, `the end of round ${round}`);
  }
  const missed = slow.gaps.reduce((sum, gap) => sum + gap.missed, 0);
  assert.ok(slow.gaps.length >= rounds, `${slow.gaps.length} gaps`);
  assert.equal(slow.events.length + missed, rounds * 2500);
  assert.equal(assertPromise(slow.blocks, { after: 0, until: rounds * 2500 }), missed);
  assertExactly(neighbour, range(1, rounds * 2500));
});

e2e('an event that is half written when the client stops is finished whole', async (world) => {
  const bridge = await world.bridge({ env: { MAX_EVENT_BYTES: '1048576', BUFFER_BYTES: '4194304' } });
  // Each event is larger than the socket's buffer, so that nearly every stop is in the middle of one.
  const options = { more: { text: 'h'.repeat(200_000) }, step: 5 };
  const { slow, neighbour } = await overflow(world, bridge, { count: 150, options });
  assert.equal(slow.events.length + slow.gaps.reduce((sum, gap) => sum + gap.missed, 0), 150);
  assert.ok(slow.gaps.length >= 1);
  assertPromise(slow.blocks, { after: 0, until: 150 });
  for (const event of slow.events) assert.equal(JSON.parse(event.data).text.length, 200_000);
  assertExactly(neighbour, range(1, 150));
});

e2e('a slow client that comes back gets what it lost from the replay', async (world) => {
  const bridge = await world.bridge({ store: 'redis' });
  const { sluice, publisher } = bridge;
  const neighbour = await world.liveStream(sluice, { company: 'acme' });
  const slow = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 10, [slow, neighbour]);
  slow.stopReading();
  await publisher.publishPaced('acme', 11, 2000, [neighbour], wide);
  slow.reset();
  const back = await world.liveStream(sluice, { company: 'acme', lastEventId: slow.lastEventId });
  const first = slow.events.length + 1;
  await back.untilEvents(2000 - first + 1);
  assertExactly(back, range(first, 2000));
});

e2e('a slow company does not slow the others', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const stuck = [];
  for (let i = 0; i < 10; i++) stuck.push(await world.liveStream(sluice, { company: 'stuck' }));
  for (const client of stuck) client.stopReading();
  const healthy = await world.liveStream(sluice, { company: 'healthy' });
  const pace = await world.liveStream(sluice, { company: 'stuck' });
  for (let round = 0; round < 20; round++) {
    await publisher.publishPaced('stuck', round * 100 + 1, (round + 1) * 100, [pace], wide);
    await publisher.publishPaced('healthy', round * 10 + 1, (round + 1) * 10, [healthy]);
  }
  assertExactly(healthy, range(1, 200));
  assertExactly(pace, range(1, 2000));
  for (const client of stuck) client.readOn();
  for (const client of stuck) {
    await client.waitFor(() => client.events.at(-1)?.position.seq === 2000, 'the last event');
    assert.equal(client.events.length + client.gaps.reduce((sum, gap) => sum + gap.missed, 0), 2000);
    assertPromise(client.blocks, { after: 0, until: 2000 });
  }
});

e2e('a burst far larger than the buffer reaches a client that reads', async (world) => {
  // Only a full socket may cost events: not that the worker had not yet tried. The burst fits the kernel's buffers.
  const { sluice, publisher } = await world.bridge({ env: { BUFFER_EVENTS: '10', SOCKET_BUFFER_BYTES: '1048576' } });
  const client = await world.liveStream(sluice, { company: 'acme' });
  for (let burst = 0; burst < 5; burst++) {
    for (let n = burst * 300 + 1; n <= (burst + 1) * 300; n++) publisher.put('metrics.x', payload('acme', n));
    await publisher.connection.flush();
    await client.waitFor(() => client.events.at(-1)?.position.seq === (burst + 1) * 300, 'the end of the burst');
  }
  assertExactly(client, range(1, 1500));
});
