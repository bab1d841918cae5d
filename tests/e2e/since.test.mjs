// A stream may begin with all events since a time: ?since=.

import assert from 'node:assert/strict';
import { assertExactly, assertPromise, numbersOf, payload, range } from '../support/events.mjs';
import { request } from '../support/http.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const since = (value) => ({ company: 'acme', query: [['since', encodeURIComponent(value)]] });
const iso = (ms) => new Date(ms).toISOString();

/** Events 1 to `count` with their times, of which `more` came at least 20 ms after the others. */
async function withHistory(world, count, more, options) {
  const bridge = await world.bridge(options);
  const live = await world.liveStream(bridge.sluice, { company: 'acme' });
  await bridge.publisher.publishPaced('acme', 1, count, [live]);
  const middle = Date.now() + 10;
  await eventually(() => Promise.resolve(Date.now() > middle + 10), 'some milliseconds');
  await bridge.publisher.publishPaced('acme', count + 1, count + more, [live]);
  return { ...bridge, live, events: live.events, middle };
}

for (const store of ['redis', 'memory']) {
  const inStore = (name, body) => e2e(`${name} (${store})`, body);

  inStore('a time, a number and a duration give all events since then', async (world) => {
    const env = { RECENT_EVENTS: '50' };
    const { sluice, publisher, live, events, middle } = await withHistory(world, 600, 300, { store, env });
    const cases = [
      [iso(middle), 601],
      [String(middle), 601],
      [iso(events[0].position.ms), 1],
      [`${events[599].position.ms + 1}`, 601],
    ];
    const clients = [];
    for (const [value, first] of cases) {
      const client = await world.liveStream(sluice, since(value));
      assertExactly(client, range(first, 900));
      clients.push(client);
    }
    // An hour ago Sluice was not there: nobody knows what it missed then.
    const hour = await world.liveStream(sluice, since('1h'));
    assert.deepEqual(numbersOf(hour.events), range(1, 900));
    assert.deepEqual(hour.gaps.map((gap) => gap.reason), ['source']);
    // A time within a millisecond of several events gives all of those.
    const { ms } = events[299].position;
    const exact = await world.liveStream(sluice, since(String(ms)));
    assert.deepEqual(numbersOf(exact.events), range(events.findIndex((event) => event.position.ms >= ms) + 1, 900));
    assert.deepEqual(exact.gaps, []);
    await publisher.publishPaced('acme', 901, 910, [live, ...clients, hour]);
    for (const client of clients) assert.deepEqual(numbersOf(client.events.slice(-10)), range(901, 910));
  });

  inStore('a cursor goes before since, so that a browser that comes back gets nothing twice', async (world) => {
    const { sluice, events } = await withHistory(world, 20, 5, { store });
    const header = await world.liveStream(sluice, { ...since('1h'), lastEventId: events[21].id });
    assertExactly(header, range(23, 25));
    const query = await world.liveStream(sluice, {
      company: 'acme',
      query: [
        ['since', '1h'],
        ['lastEventId', events[22].id],
      ],
    });
    assertExactly(query, range(24, 25));
    const empty = await world.liveStream(sluice, { ...since(String(events[20].position.ms)), lastEventId: '' });
    assertExactly(empty, range(21, 25));
  });

  inStore('now and times to come mean live events only', async (world) => {
    const { sluice, publisher } = await withHistory(world, 5, 5, { store });
    const clients = [];
    for (const value of [iso(Date.now() + 3_600_000), '9007199254740991', '0s', String(Date.now() + 1)]) {
      const client = await world.liveStream(sluice, since(value));
      assert.deepEqual(client.events, [], value);
      clients.push(client);
    }
    await publisher.publishPaced('acme', 11, 12, clients);
    for (const client of clients) assertExactly(client, [11, 12]);
  });

  inStore('what was trimmed later than that is told first, and nothing where nothing was', async (world) => {
    const env = { REPLAY_MAX_EVENTS: '64', RECENT_EVENTS: '16' };
    const { sluice, events, middle } = await withHistory(world, 600, 40, { store, env });
    const whole = await world.liveStream(sluice, since(String(middle)));
    assertExactly(whole, range(601, 640));
    const part = await world.liveStream(sluice, since(String(events[200].position.ms)));
    assert.deepEqual(part.gaps.map((gap) => [gap.reason, gap.requested]), [['expired', null]]);
    assert.equal(part.gaps[0].oldest, part.events[0].id);
    assert.equal((await part.ready()).complete, false);
    assert.equal(part.events.at(-1).position.seq, 640);
    const all = await world.liveStream(sluice, since(String(events[0].position.ms)));
    assert.deepEqual(all.gaps.map((gap) => gap.reason), ['expired']);
    assert.equal(assertPromise(all.blocks, { after: 0, until: 640 }), all.gaps[0].missed);
  });

  inStore('what has become too old is told to those who ask for it, and to nobody else', async (world) => {
    const { sluice, live, events } = await withHistory(world, 3, 2, { store, env: { REPLAY_TTL_SECONDS: '1' } });
    const old = await eventually(async () => {
      const client = await world.liveStream(sluice, since(String(events[0].position.ms)));
      return client.events.length === 0 ? client : client.leave();
    }, 'the events to expire');
    assert.deepEqual(old.gaps.map((gap) => gap.reason), ['expired']);
    const later = await world.liveStream(sluice, since(String(events[4].position.ms + 1)));
    assertExactly(later, []);
    live.leave();
  });
}

e2e('a restart within that time is told in its place', async (world) => {
  const { nats, redis, sluice, publisher, events } = await withHistory(world, 5, 3, { store: 'redis' });
  await redis.untilStored('acme', 8);
  await sluice.stop();
  const next = await world.sluice({ nats, redis });
  const client = await world.liveStream(next, since(String(events[5].position.ms)));
  await publisher.publish('metrics.calculated', payload('acme', 9));
  await client.untilEvents(4);
  assert.deepEqual(numbersOf(client.events), [6, 7, 8, 9]);
  assert.deepEqual(client.gaps.map((gap) => gap.reason), ['source']);
});

e2e('without Redis memory is given, and the rest is told', async (world) => {
  const options = { store: 'redis', env: { RECENT_EVENTS: '32' } };
  const { sluice, redis, events } = await withHistory(world, 200, 20, options);
  await redis.kill();
  await sluice.untilHealth('degraded');
  const recent = await world.liveStream(sluice, since(String(events[210].position.ms)));
  assert.deepEqual(recent.gaps, []);
  assert.equal(recent.events.at(-1).position.seq, 220);
  const all = await world.liveStream(sluice, since('1h'));
  assert.deepEqual(all.gaps.map((gap) => [gap.reason, gap.missed]), [['replay_unavailable', null]]);
  assert.equal(all.events.at(-1).position.seq, 220);
  assert.ok(all.events.length >= 16);
});

e2e('a since that cannot be read is 400 and says what is expected', async (world) => {
  const { sluice } = await world.bridge();
  const values = ['', 'yesterday', '-15m', '1w', '1h30m', '2026-01-31', '2026-02-30T00:00:00Z', '1e3', '%00', '15m%00', '%ff'];
  for (const value of values) {
    const answer = await sluice.get(`/stream/updates?companyId=acme&since=${value}`);
    assert.equal(answer.status, 400, value);
    assert.match(answer.json().message, /^since must be.*2026-01-31T12:00:00Z.*15m/, value);
  }
  const twice = await sluice.get('/stream/updates?companyId=acme&since=15m&since=15m');
  assert.equal(twice.status, 400);
  const head = await request(sluice.port, { method: 'HEAD', target: '/stream/updates?companyId=acme&since=x' });
  assert.equal(head.status, 400);
  // Also beside a cursor: it is the URL that is wrong.
  const client = await world.stream(sluice, { company: 'acme', query: [['since', 'x']], lastEventId: 'metrics.x-1-1' });
  assert.equal(client.status, 400);
});
