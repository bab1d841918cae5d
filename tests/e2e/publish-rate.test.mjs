// A company that publishes more than it may loses what is above its rate, is told so, and costs the others nothing.

import assert from 'node:assert/strict';
import { assertExactly, assertPromise, numbersOf, payload, range } from '../support/events.mjs';
import { parseId } from '../support/sse.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const COUNT = 600;
const LIMIT = { PUBLISH_EVENTS_PER_SECOND: '100', RECENT_EVENTS: '16', BUFFER_EVENTS: '1000' };

const dropped = async (sluice) => (await sluice.metrics()).value('sluice_events_dropped_total', { reason: 'rate_limited' });

/** Waits until the bridge has decided on `count` messages, and gives how many of them it dropped. */
function decided(sluice, count) {
  return eventually(async () => {
    const metrics = await sluice.metrics();
    const lost = metrics.value('sluice_events_dropped_total', { reason: 'rate_limited' });
    return metrics.value('sluice_events_accepted_total') + lost === count && { lost };
  }, `${count} messages to be decided on`);
}

/** A stream's story, events as their numbers; holes that follow each other count once. */
function storyOf(client) {
  const story = [];
  for (const block of client.blocks) {
    if (block.kind === 'event') story.push(numbersOf([block])[0]);
    if (block.event === 'stream.gap' && story.at(-1) !== block.json.reason) story.push(block.json.reason);
  }
  return story;
}

/**
 * Waits until a stream was told where the dropping ended: that hole has the same number in front of it as the one that the
 * dropping began with, since nothing passed in between.
 */
function untilToldTheEnd(client) {
  return client.waitFor(() => {
    const holes = client.blocks.filter((block) => block.kind === 'cursor' && block.id.startsWith('hole-'));
    const [first, last] = holes.slice(-2).map((block) => parseId(block.id).seq);
    return holes.length >= 2 && first === last;
  }, 'the hole at the end of the dropping');
}

for (const store of ['redis', 'memory']) {
  e2e(`what is above the rate is a gap, live and in every resume (${store})`, async (world) => {
    const { sluice, publisher } = await world.bridge({ store, env: LIMIT });
    const live = await world.liveStream(sluice, { company: 'acme' });
    await publisher.publishRange('acme', 1, COUNT);
    const { lost } = await decided(sluice, COUNT);
    assert.ok(lost > 0 && lost <= COUNT - 200, `${lost} were dropped`);
    // At once and on its own, though nothing follows; and again where the dropping ended, for those who came meanwhile.
    await untilToldTheEnd(live);
    await live.untilEvents(COUNT - lost);
    const story = storyOf(live);
    const burst = story.indexOf('rate_limited');
    assert.ok(burst >= 200, `only ${burst} passed`);
    assert.deepEqual(story.slice(0, burst), range(1, burst));
    assert.equal(story.at(-1), 'rate_limited');
    for (const gap of live.gaps) assert.deepEqual([gap.reason, gap.missed], ['rate_limited', null]);
    assertPromise(live.blocks, { after: 0, until: COUNT - lost });

    // What was written is counted right behind it.
    const untilTold = (count) => sluice.untilMetric('sluice_gaps_total', { reason: 'rate_limited' }, (value) => value === count);
    await untilTold(live.gaps.length);
    const metrics = await sluice.metrics();
    assert.equal(metrics.value('sluice_events_delivered_total'), COUNT - lost);
    assert.equal(metrics.value('sluice_gaps_total', { reason: 'source' }), 0);

    // From the store, and from memory.
    for (const seen of [5, 199]) {
      const back = await world.liveStream(sluice, { company: 'acme', lastEventId: live.events[seen - 1].id });
      assert.deepEqual(storyOf(back), story.slice(seen));
      assert.equal((await back.ready()).complete, false);
    }
    await untilTold(3 * live.gaps.length);
    // Whoever was told is not told again.
    assertExactly(await world.liveStream(sluice, { company: 'acme', lastEventId: live.lastEventId }), []);
  });
}

e2e('the company goes on when it keeps to its rate again, and is told of nothing more', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: LIMIT });
  const live = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishRange('acme', 1, COUNT);
  await decided(sluice, COUNT);
  await untilToldTheEnd(live);
  const told = live.gaps.length;
  const seen = live.events.length;
  await publisher.publishRange('acme', COUNT + 1, COUNT + 10);
  await live.untilEvents(seen + 10);
  assert.deepEqual(numbersOf(live.events.slice(seen)), range(COUNT + 1, COUNT + 10));
  assert.equal(live.gaps.length, told);
  const seqs = live.events.map((event) => event.position.seq);
  assert.deepEqual(seqs, range(1, seen + 10));
});

e2e('another company gets everything meanwhile', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: LIMIT });
  const noisy = await world.liveStream(sluice, { company: 'noisy' });
  const other = await world.liveStream(sluice, { company: 'other' });
  for (let round = 0; round < 10; round++) {
    await publisher.publishRange('noisy', round * 100 + 1, (round + 1) * 100);
    await publisher.publishRange('other', round * 10 + 1, (round + 1) * 10);
  }
  await other.untilEvents(100);
  assertExactly(other, range(1, 100));
  await noisy.untilControl('stream.gap', 1);
  const { lost } = await decided(sluice, 1100);
  await noisy.untilEvents(1000 - lost);
  assert.equal(noisy.events.length, 1000 - lost);
  assert.deepEqual(other.gaps, []);
});

e2e('bytes are limited too, and an event larger than the burst still comes through', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { PUBLISH_BYTES_PER_SECOND: '10000' } });
  const live = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publish('metrics.calculated', payload('acme', 1, { text: 'b'.repeat(200_000) }));
  await live.untilEvents(1);
  // It leaves a debt: nothing passes before 18 seconds are over.
  await publisher.publish('metrics.calculated', payload('acme', 2));
  assert.equal((await live.untilControl('stream.gap')).reason, 'rate_limited');
  assert.equal(await dropped(sluice), 1);
  assert.deepEqual(numbersOf(live.events), [1]);
});

e2e('dropped events are logged without their payload, and are no dead letters', async (world) => {
  const env = { ...LIMIT, DEAD_LETTER_SUBJECT: 'dead.letters' };
  const { sluice, publisher } = await world.bridge({ env });
  await publisher.publishRange('acme', 1, COUNT, { more: { secret: 'payload-of-acme' } });
  await decided(sluice, COUNT);
  const line = await sluice.untilLog((each) => each.message.startsWith('Event dropped'), 'the drop');
  assert.equal(line.companyId, 'acme');
  assert.equal(line.level, 'warn');
  assert.ok(!sluice.child.stderr.includes('payload-of-acme'));
  assert.equal((await sluice.metrics()).value('sluice_dead_letters_total'), 0);
});

e2e('there is no limit by default', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { BUFFER_EVENTS: '10000' } });
  const live = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 5000, [live], { step: 1000 });
  assertExactly(live, range(1, 5000));
  assert.equal(await dropped(sluice), 0);
});
