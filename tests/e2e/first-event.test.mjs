// What a developer sees first: a stream opens, an event is published, the event is there.

import assert from 'node:assert/strict';
import { numbersOf, payload, range } from '../support/events.mjs';
import { parseId } from '../support/sse.mjs';
import { e2e } from '../support/world.mjs';

const HOUR_MS = 3_600_000;

e2e('curl -N on the stream shows an event published to metrics.calculated, byte for byte', async (world) => {
  const { sluice, publisher } = await world.bridge({ store: 'redis' });
  const curl = await world.stream(sluice, {
    company: 'test-company',
    bytes: Buffer.from(
      'GET /stream/updates?companyId=test-company HTTP/1.1\r\n' +
        `Host: localhost:${sluice.port}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n`,
    ),
  });
  await curl.ready();
  const data = '{"companyId":"test-company","metricName":"integration_score","value":0.85}';
  await publisher.publish('metrics.calculated', data);
  const [event] = await curl.untilEvents(1);
  const { ms } = event.position;
  assert.equal(event.raw, `id: metrics.calculated-1-${ms}\nevent: metric_updated\ndata: ${data}\n\n`);
  assert.ok(Math.abs(Date.now() - ms) < HOUR_MS, `${ms} is not the Unix time in milliseconds`);
});

e2e('each subject arrives under the event name that the dashboards listen for', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const client = await world.liveStream(sluice, { company: 'acme' });
  const wanted = [
    ['metrics.calculated', 'metric_updated'],
    ['metrics.sroi', 'sroi_updated'],
    ['metrics.sroi_ratio', 'sroi_updated'],
    ['metrics.SROI', 'metric_updated'],
    ['metrics.my-sroi', 'metric_updated'],
    ['journey.flag', 'journey_flag_updated'],
    ['q2q.vis', 'vis_updated'],
  ];
  for (const [i, [subject]] of wanted.entries()) await publisher.publish(subject, payload('acme', i));
  const events = await client.untilEvents(wanted.length);
  assert.deepEqual(
    events.map((event) => [event.position.subject, event.event]),
    wanted,
  );
  assert.deepEqual(events.map((event) => event.position.seq), range(1, wanted.length));
});

e2e('a subject outside the subscriptions reaches nobody', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const client = await world.liveStream(sluice, { company: 'acme' });
  for (const subject of ['other.calculated', 'metrics', 'metrics.a.b']) publisher.put(subject, payload('acme', 0));
  await publisher.publish('metrics.a', payload('acme', 1));
  await client.untilEvents(1);
  assert.deepEqual(numbersOf(client.events), [1]);
});

e2e('subjects and event names can be configured, and the first matching name wins', async (world) => {
  const { sluice, publisher } = await world.bridge({
    env: { NATS_SUBJECTS: 'orders.*.*,stock.*', EVENT_NAMES: 'orders.big*.*=big_order,orders.*.*=order,stock.*=stock' },
  });
  const client = await world.liveStream(sluice, { company: 'acme' });
  const wanted = [
    ['orders.bigger.eu', 'big_order'],
    ['orders.small.big', 'order'],
    ['stock.bigger', 'stock'],
  ];
  publisher.put('metrics.calculated', payload('acme', 0));
  for (const [subject] of wanted) await publisher.publish(subject, payload('acme', 1));
  const events = await client.untilEvents(wanted.length);
  assert.deepEqual(
    events.map((event) => [event.position.subject, event.event]),
    wanted,
  );
});

e2e('each company sees its own events and no other, numbered 1, 2, 3 for itself', async (world) => {
  const { sluice, publisher } = await world.bridge({ store: 'redis' });
  const companies = ['acme', 'ACME', 'acme2', 'acme.eu', 'acme:eu', 'a'];
  const clients = [];
  for (const company of companies) clients.push(await world.liveStream(sluice, { company }));
  for (let n = 1; n <= 20; n++) for (const company of companies) publisher.put('metrics.x', payload(company, n));
  await publisher.connection.flush();
  for (const [i, client] of clients.entries()) {
    await client.untilEvents(20);
    assert.deepEqual(numbersOf(client.events), range(1, 20));
    assert.deepEqual(client.events.map((event) => event.position.seq), range(1, 20));
    for (const event of client.events) assert.equal(JSON.parse(event.data).companyId, companies[i]);
  }
});

e2e('all streams of a company get the same bytes', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const clients = [];
  for (let i = 0; i < 6; i++) {
    clients.push(await world.liveStream(sluice, { company: 'acme', version: i % 2 ? '1.0' : '1.1' }));
  }
  await publisher.publishPaced('acme', 1, 200, clients);
  const raw = clients.map((client) => client.events.map((event) => event.raw).join(''));
  for (const text of raw) assert.equal(text, raw[0]);
  assert.deepEqual(numbersOf(clients[0].events), range(1, 200));
});

e2e('a stream begins with retry, then stream.ready, then a cursor, then live events', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { RETRY_MS: '2000' } });
  const first = await world.liveStream(sluice, { company: 'acme' });
  const ready = await first.ready();
  assert.equal(first.blocks[0].fields[0][0], 'retry');
  assert.deepEqual(first.blocks.map((block) => block.kind), ['retry', 'control', 'cursor']);
  assert.equal(ready.companyId, 'acme');
  assert.equal(typeof ready.connectionId, 'string');
  assert.equal(ready.replayed, 0);
  assert.equal(ready.complete, true);
  assert.match(ready.head, /^start-0-\d+$/);
  assert.equal(first.blocks[2].raw, `id: ${ready.head}\n\n`);

  await publisher.publish('metrics.calculated', payload('acme', 1));
  const [event] = await first.untilEvents(1);
  assert.ok(event.position.ms >= parseId(ready.head).ms, 'an event before its start');
  const second = await world.liveStream(sluice, { company: 'acme' });
  const again = await second.ready();
  assert.deepEqual(second.blocks.map((block) => block.kind), ['retry', 'control', 'cursor']);
  assert.equal(again.head, event.id);
  assert.equal(second.lastEventId, event.id);
  assert.equal(again.replayed, 0);
  assert.notEqual(again.connectionId, ready.connectionId);
});

e2e('retry differs from connection to connection, so that a fleet does not come back at once', async (world) => {
  const { sluice } = await world.bridge({ env: { RETRY_MS: '4000' } });
  const retries = [];
  for (let i = 0; i < 12; i++) {
    const client = await world.liveStream(sluice, { company: 'acme' });
    assert.match(client.blocks[0].raw, /^retry: [0-9]+\n/);
    retries.push(client.blocks[0].retry);
  }
  assert.ok(new Set(retries).size > 1, `all are ${retries[0]}`);
  for (const retry of retries) assert.ok(retry >= 1000 && retry <= 16_000, `${retry} is far from RETRY_MS`);
});

e2e('a stream gets thousands of events in the order in which they were published', async (world) => {
  const { sluice, publisher } = await world.bridge({ store: 'redis' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 3000, [client]);
  assert.deepEqual(numbersOf(client.events), range(1, 3000));
  assert.deepEqual(client.events.map((event) => event.position.seq), range(1, 3000));
  const times = client.events.map((event) => event.position.ms);
  assert.ok(times.every((ms, i) => i === 0 || ms >= times[i - 1]), 'time went back');
});

e2e('events of different subjects keep the order in which one publisher sent them', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const client = await world.liveStream(sluice, { company: 'acme' });
  const subjects = ['metrics.a', 'journey.b', 'q2q.c', 'metrics.sroi'];
  for (let n = 1; n <= 80; n++) publisher.put(subjects[n % 4], payload('acme', n));
  await publisher.connection.flush();
  await client.untilEvents(80);
  assert.deepEqual(numbersOf(client.events), range(1, 80));
});
