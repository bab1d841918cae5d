// The pages that people and machines read: stats, health, probes, metrics.

import assert from 'node:assert/strict';
import { payload, range } from '../support/events.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function assertJsonPage(answer) {
  assert.match(answer.headers.get('Content-Type'), /^application\/json(; ?charset=utf-8)?$/i);
}

for (const store of ['redis', 'memory']) {
  e2e(`stats count streams and kept events by company (${store})`, async (world) => {
    const { sluice, publisher } = await world.bridge({ store });
    const empty = await sluice.get('/stream/stats');
    assert.equal(empty.status, 200);
    assertJsonPage(empty);
    const { timestamp, ...rest } = empty.json();
    assert.match(timestamp, TIMESTAMP);
    assert.deepEqual(rest.connections, { totalConnections: 0, activeCompanies: 0, connectionsByCompany: {} });
    assert.deepEqual(rest.replayCache, { companies: 0, totalEvents: 0, eventsByCompany: {} });
    assert.equal(rest.complete, true);
    assert.deepEqual(rest.replicas.map(({ id, ...of }) => [/^[0-9a-f]{32}$/.test(id), of]), [
      [true, { self: true, owner: true, connections: 0, activeCompanies: 0 }],
    ]);

    const first = await world.liveStream(sluice, { company: 'acme' });
    await world.liveStream(sluice, { company: 'acme', version: '1.0' });
    const other = await world.liveStream(sluice, { company: 'other' });
    await publisher.publishRange('acme', 1, 5);
    await publisher.publishRange('silent:one', 1, 2);
    const full = await eventually(async () => {
      const stats = await sluice.stats();
      return stats.replayCache.totalEvents === 7 && stats;
    }, 'seven kept events');
    assert.deepEqual(full.connections, {
      totalConnections: 3,
      activeCompanies: 2,
      connectionsByCompany: { acme: 2, other: 1 },
    });
    assert.deepEqual(full.replayCache, {
      companies: 2,
      totalEvents: 7,
      eventsByCompany: { acme: 5, 'silent:one': 2 },
    });
    assert.deepEqual([full.replicas.length, full.replicas[0].connections, full.replicas[0].activeCompanies], [1, 3, 2]);
    other.leave();
    first.leave();
    await sluice.untilConnections(1);
    assert.deepEqual((await sluice.stats()).connections.connectionsByCompany, { acme: 1 });
  });
}

e2e('health has the shape of the contract', async (world) => {
  const { sluice } = await world.bridge({ store: 'redis' });
  await world.liveStream(sluice, { company: 'acme' });
  await world.liveStream(sluice, { company: 'acme' });
  const answer = await sluice.get('/stream/health');
  assert.equal(answer.status, 200);
  assertJsonPage(answer);
  const body = answer.json();
  assert.equal(body.status, 'ok');
  assert.deepEqual(body.streaming, { enabled: true, activeConnections: 2, activeCompanies: 1 });
  assert.match(body.timestamp, TIMESTAMP);
  assert.deepEqual(body.replica, { owner: true, peers: 0 });
  assert.ok(Object.keys(body).length > 3, 'NATS and replay state are told too');
});

e2e('health says when the replay is in memory', async (world) => {
  const { sluice } = await world.bridge({ store: 'memory' });
  const answer = await sluice.get('/stream/health');
  assert.equal(answer.json().status, 'ok');
  assert.match(answer.body, /"memory"/);
  assert.ok(sluice.logs.some((line) => /memory/i.test(JSON.stringify(line))), 'the log says so at start');
});

e2e('the probes answer', async (world) => {
  const { sluice } = await world.bridge();
  for (const path of ['/stream/health/live', '/stream/health/ready']) {
    const answer = await sluice.get(path);
    assert.equal(answer.status, 200);
    assertJsonPage(answer);
    answer.json();
  }
});

e2e('pages show no password', async (world) => {
  const [nats, redis] = await Promise.all([world.nats(), world.redis()]);
  await redis.command('CONFIG', 'SET', 'requirepass', 'secret-of-redis');
  const sluice = await world.sluice({
    nats: { url: `nats://user:secret-of-nats@127.0.0.1:${nats.port}` },
    redis: { url: `redis://:secret-of-redis@127.0.0.1:${redis.port}` },
    env: { LOG_LEVEL: 'debug' },
  });
  for (const path of ['/stream/stats', '/stream/health', '/metrics']) {
    assert.doesNotMatch((await sluice.get(path)).body, /secret-of/, path);
  }
  assert.doesNotMatch(sluice.child.stderr, /secret-of/, 'the log');
});

e2e('a company cannot write into the pages', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const company = 'a:b.c_d-e';
  await world.liveStream(sluice, { company });
  await publisher.publish('metrics.x', payload(company, 1));
  assert.equal((await sluice.stats()).connections.connectionsByCompany[company], 1);
  assert.equal((await sluice.metrics()).value('sluice_company_connections', { company }), 1);
});

const FAMILIES = {
  sluice_connections: 'gauge',
  sluice_company_connections: 'gauge',
  sluice_connections_opened_total: 'counter',
  sluice_connections_closed_total: 'counter',
  sluice_connection_errors_total: 'counter',
  sluice_events_received_total: 'counter',
  sluice_events_rejected_total: 'counter',
  sluice_events_delivered_total: 'counter',
  sluice_events_dropped_total: 'counter',
  sluice_gaps_total: 'counter',
  sluice_replay_hits_total: 'counter',
  sluice_replay_misses_total: 'counter',
  sluice_delivery_latency_seconds: 'histogram',
  sluice_nats_connected: 'gauge',
  sluice_nats_disconnects_total: 'counter',
  sluice_redis_connected: 'gauge',
  sluice_replay_backlog_bytes: 'gauge',
};

e2e('metrics are Prometheus text with every family, before anything has happened', async (world) => {
  const { sluice } = await world.bridge({ store: 'redis' });
  const answer = await sluice.get('/metrics');
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('Content-Type'), /^text\/plain; ?version=0\.0\.4/);
  const metrics = await sluice.metrics();
  for (const [name, type] of Object.entries(FAMILIES)) assert.equal(metrics.families.get(name)?.type, type, name);
  for (const reason of ['not_json', 'not_object', 'missing_company', 'bad_company', 'duplicate_company', 'too_large']) {
    assert.equal(metrics.value('sluice_events_rejected_total', { reason }), 0, reason);
  }
  for (const reason of ['slow_consumer', 'source']) {
    assert.equal(metrics.value('sluice_events_dropped_total', { reason }), 0, reason);
  }
});

e2e('metrics count what happens', async (world) => {
  const { sluice, publisher } = await world.bridge({ store: 'redis' });
  const clients = [];
  for (let i = 0; i < 3; i++) clients.push(await world.liveStream(sluice, { company: 'acme' }));
  const other = await world.liveStream(sluice, { company: 'other' });
  await publisher.publishPaced('acme', 1, 20, clients);
  await publisher.publishPaced('other', 1, 5, [other]);
  await publisher.publish('metrics.x', 'nonsense');
  await world.liveStream(sluice, { company: 'acme', lastEventId: clients[0].events[4].id });
  await world.liveStream(sluice, { company: 'acme', lastEventId: 'garbage' });
  other.leave();
  await sluice.untilConnections(5);
  // Nobody else tells when the message has come, and the gap is counted right behind its write.
  await sluice.untilMetric('sluice_events_rejected_total', {}, (value) => value >= 1);
  await sluice.untilMetric('sluice_gaps_total', {}, (value) => value >= 1);
  const metrics = await sluice.metrics();
  const expected = [
    ['sluice_connections', {}, 5],
    ['sluice_company_connections', { company: 'acme' }, 5],
    ['sluice_connections_opened_total', {}, 6],
    ['sluice_connections_closed_total', {}, 1],
    ['sluice_events_received_total', {}, 26],
    ['sluice_events_rejected_total', {}, 1],
    ['sluice_events_rejected_total', { reason: 'not_json' }, 1],
    ['sluice_events_dropped_total', {}, 0],
    ['sluice_replay_hits_total', {}, 1],
    ['sluice_replay_misses_total', {}, 1],
    ['sluice_gaps_total', {}, 1],
    ['sluice_nats_connected', {}, 1],
    ['sluice_redis_connected', {}, 1],
    ['sluice_nats_disconnects_total', {}, 0],
  ];
  for (const [name, labels, value] of expected) {
    assert.equal(metrics.value(name, labels), value, `${name} ${JSON.stringify(labels)}`);
  }
  assert.ok([0, undefined].includes(metrics.value('sluice_company_connections', { company: 'other' })));
  // Live deliveries are 3 × 20 + 5; whether the 15 replayed ones are counted with them is open.
  assert.ok([65, 80].includes(metrics.value('sluice_events_delivered_total')));
  assert.equal(metrics.value('sluice_delivery_latency_seconds_count'), 65);
  assert.ok(metrics.value('sluice_delivery_latency_seconds_sum') > 0);
  assert.ok(metrics.value('sluice_delivery_latency_seconds_bucket', { le: '+Inf' }) === 65);
});

e2e('metrics stay well-formed with many companies', async (world) => {
  const { sluice } = await world.bridge();
  const companies = range(1, 60).map((i) => `company-${i}`);
  for (const company of companies) await world.liveStream(sluice, { company });
  const metrics = await sluice.metrics();
  for (const company of companies) assert.equal(metrics.value('sluice_company_connections', { company }), 1);
  assert.equal(metrics.value('sluice_connections'), 60);
});
