// OVERFLOW=refill: a client that does not read is caught up when it does, and loses only what the store has lost too.

import assert from 'node:assert/strict';
import { assertExactly, assertPromise, numbersOf, range } from '../support/events.mjs';
import { e2e } from '../support/world.mjs';

const wide = { more: { text: 'w'.repeat(2000) }, step: 500 };
const refill = (more) => ({ OVERFLOW: 'refill', BUFFER_EVENTS: '20', RECENT_EVENTS: '200', ...more });

/** A client that stops reading while `neighbour` gets the events up to `count`. */
async function fallBehind(world, bridge, count, options) {
  const { sluice, publisher } = bridge;
  const neighbour = await world.liveStream(sluice, { company: 'acme' });
  const slow = await world.liveStream(sluice, { company: 'acme', ...options });
  await publisher.publishPaced('acme', 1, 10, [neighbour, slow]);
  slow.stopReading();
  await publisher.publishPaced('acme', 11, count, [neighbour], wide);
  return { neighbour, slow };
}

for (const store of ['redis', 'memory']) {
  for (const version of ['1.1', '1.0']) {
    e2e(`a client that stopped reading gets all of thousands of events (${store}, HTTP/${version})`, async (world) => {
      const bridge = await world.bridge({ store, env: refill() });
      const { sluice, publisher } = bridge;
      const { neighbour, slow } = await fallBehind(world, bridge, 4000, { version });
      slow.readOn();
      await publisher.publishPaced('acme', 4001, 4500, [neighbour], wide);
      await slow.untilEvents(4500);
      assertExactly(slow, range(1, 4500));
      assertExactly(neighbour, range(1, 4500));
      const metrics = await sluice.metrics();
      assert.ok(metrics.value('sluice_refills_total') >= 1);
      assert.equal(metrics.value('sluice_events_dropped_total', { reason: 'slow_consumer' }), 0);
      // It is an ordinary client again.
      const refills = metrics.value('sluice_refills_total');
      await publisher.publishPaced('acme', 4501, 4550, [slow, neighbour]);
      assert.equal((await sluice.metrics()).value('sluice_refills_total'), refills);
    });
  }
}

e2e('clients that do not read cost no memory, however much comes', async (world) => {
  // AddressSanitizer keeps what was freed: here it would count.
  const ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? ''}:quarantine_size_mb=1`;
  const bridge = await world.bridge({ store: 'redis', env: refill({ ASAN_OPTIONS, DRAIN_SECONDS: '1' }) });
  const { sluice, publisher } = bridge;
  const { neighbour, slow } = await fallBehind(world, bridge, 3000);
  const stuck = [];
  for (let i = 0; i < 20; i++) {
    stuck.push(await world.liveStream(sluice, { company: 'acme', lastEventId: neighbour.events[i].id }));
  }
  for (const client of stuck) client.stopReading();
  const before = sluice.residentBytes();
  for (let n = 3000; n < 20_000; n += 1000) {
    await publisher.publishPaced('acme', n + 1, n + 1000, [neighbour], wide);
    // What Redis has not taken yet is no client's fault.
    await sluice.untilMetric('sluice_replay_backlog_bytes', {}, (bytes) => bytes < 1_000_000);
  }
  const grown = sluice.residentBytes() - before;
  // The events that came are 35 MB, for each of 21 clients. ThreadSanitizer has several bytes for each that is touched.
  const most = process.env.TSAN_OPTIONS ? 64 : 16;
  assert.ok(grown < most * 1024 * 1024, `${grown} bytes more`);
  slow.readOn();
  for (const client of stuck) client.leave();
  await slow.untilEvents(20_000);
  assertExactly(slow, range(1, 20_000));
});

for (const store of ['redis', 'memory']) {
  e2e(`what the store has trimmed meanwhile is told, with the exact number (${store})`, async (world) => {
    const bridge = await world.bridge({ store, env: refill({ REPLAY_MAX_EVENTS: '500' }) });
    const { slow } = await fallBehind(world, bridge, 3000);
    slow.readOn();
    await slow.waitFor(() => slow.events.at(-1)?.position.seq === 3000, 'event 3000');
    const missed = assertPromise(slow.blocks, { after: 0, until: 3000 });
    // The kernel may have taken a little meanwhile: then there are more gaps than one.
    assert.ok(slow.gaps.length >= 1);
    for (const gap of slow.gaps) assert.deepEqual([gap.reason, gap.requested], ['expired', null]);
    assert.equal(slow.gaps.reduce((sum, gap) => sum + gap.missed, 0), missed);
    assert.equal(slow.events.length + missed, 3000);
    const at = slow.blocks.findIndex((block) => block.event === 'stream.gap');
    assert.equal(slow.blocks[at + 1].id, slow.gaps[0].oldest);
    assert.ok(slow.events.length >= 500);
  });
}

e2e('without Redis memory serves, what it lacks is one gap, and then the stream goes on', async (world) => {
  const bridge = await world.bridge({ store: 'durable redis', env: refill() });
  const { sluice, publisher, redis } = bridge;
  const { neighbour, slow } = await fallBehind(world, bridge, 2000);
  await redis.untilStored('acme', 2000);
  await redis.kill();
  await sluice.untilHealth('degraded');
  // What the store did not get stays in memory.
  await publisher.publishPaced('acme', 2001, 3000, [neighbour], wide);
  slow.readOn();
  await slow.waitFor(() => slow.events.at(-1)?.position.seq === 3000, 'event 3000');
  const missed = assertPromise(slow.blocks, { after: 0, until: 3000 });
  assert.deepEqual(slow.gaps.map((gap) => gap.reason), ['replay_unavailable']);
  assert.equal(slow.gaps[0].missed, missed);
  assert.deepEqual(numbersOf(slow.events.slice(-1000)), range(2001, 3000));
  await redis.start();
  await sluice.untilHealth('ok');
  await publisher.publishPaced('acme', 3001, 3010, [neighbour, slow]);
  assert.equal(slow.gaps.length, 1);
  assertExactly(neighbour, range(1, 3010));
});

e2e('a client that stumbles again and again gets everything', async (world) => {
  const bridge = await world.bridge({ store: 'redis', env: refill() });
  const { sluice, publisher } = bridge;
  const neighbour = await world.liveStream(sluice, { company: 'acme' });
  const slow = await world.liveStream(sluice, { company: 'acme' });
  for (let round = 0; round < 4; round++) {
    slow.stopReading();
    await publisher.publishPaced('acme', round * 1500 + 1, (round + 1) * 1500, [neighbour], wide);
    slow.readOn();
    if (round % 2) await slow.untilEvents((round + 1) * 1500);
  }
  assertExactly(slow, range(1, 6000));
});
