// What the pages of one replica say of all.

import assert from 'node:assert/strict';
import { asUser } from '../support/access.mjs';
import { range } from '../support/events.mjs';
import { request } from '../support/http.mjs';
import { replicated } from '../support/replicas.mjs';
import { bearer, JWT_ENV, token } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const ADMIN_KEY = 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00';

/** Waits until the stats of a replica are `complete` or not, and gives them. */
function untilComplete(replica, complete) {
  return eventually(async () => {
    const stats = await replica.stats();
    if (stats.complete !== complete) throw new Error(`stats say ${JSON.stringify(stats)}`);
    return stats;
  }, `stats that are ${complete ? '' : 'not '}complete`);
}

e2e('stats are the sums over all replicas, and show each', async (world) => {
  const { replicas, owner } = await replicated(world, { count: 3 });
  const open = [
    [replicas[0], 'acme', 2],
    [replicas[1], 'acme', 1],
    [replicas[1], 'other', 3],
  ];
  for (const [replica, company, count] of open) {
    for (const _ of range(1, count)) await world.liveStream(replica, { company });
  }
  const seen = new Map();
  for (const [i, replica] of replicas.entries()) {
    const stats = await replica.stats();
    assert.deepEqual(stats.connections, {
      totalConnections: 6,
      activeCompanies: 2,
      connectionsByCompany: { acme: 3, other: 3 },
    });
    assert.equal(stats.complete, true);
    assert.deepEqual(stats.replicas.map(({ connections }) => connections).sort(), [0, 2, 4]);
    const [self, ...others] = stats.replicas;
    assert.ok(self.self && !others.some((other) => other.self));
    assert.deepEqual([self.connections, self.activeCompanies], [[2, 1], [4, 2], [0, 0]][i]);
    assert.equal(self.owner, replica === owner);
    assert.equal(stats.replicas.filter((one) => one.owner).length, 1);
    for (const { id, connections } of stats.replicas) seen.set(id, [...(seen.get(id) ?? []), connections]);
    assert.equal((await replica.metrics()).value('sluice_connections'), self.connections, 'metrics are one process');
    assert.deepEqual((await replica.health()).replica, { owner: replica === owner, peers: 2 });
  }
  // All use the same names.
  assert.equal(seen.size, 3);
  for (const counts of seen.values()) assert.ok(counts.length === 3 && new Set(counts).size === 1);
});

e2e('a company sees its own streams at all replicas, and nothing of others', async (world) => {
  const { replicas } = await replicated(world, { env: { ...JWT_ENV, ADMIN_KEY } });
  for (const company of ['acme', 'acme', 'other']) {
    await world.liveStream(replicas[0], asUser({ companyId: company, sub: `u-${company}` }));
  }
  await world.liveStream(replicas[1], asUser({ companyId: 'other', sub: 'u' }));
  const ask = (replica, company) =>
    request(replica.port, { target: '/stream/stats', headers: [bearer(token({ companyId: company }))] });
  const expected = {
    acme: [{ totalConnections: 2, activeCompanies: 1, connectionsByCompany: { acme: 2 } }, [0, 2]],
    other: [{ totalConnections: 2, activeCompanies: 1, connectionsByCompany: { other: 2 } }, [1, 1]],
    nobody: [{ totalConnections: 0, activeCompanies: 0, connectionsByCompany: {} }, [0, 0]],
  };
  for (const replica of replicas) {
    for (const [company, [connections, each]] of Object.entries(expected)) {
      const answer = await ask(replica, company);
      assert.equal(answer.status, 200);
      const stats = answer.json();
      assert.deepEqual(stats.connections, connections);
      assert.deepEqual(stats.replicas.map((one) => one.connections).sort(), each);
      assert.deepEqual(stats.replicas.map((one) => one.activeCompanies).sort(), each.map((count) => Number(count > 0)));
      assert.equal(stats.complete, true);
      for (const other of ['acme', 'other']) if (other !== company) assert.doesNotMatch(answer.body, RegExp(other));
    }
  }
  assert.equal((await replicas[1].stats()).connections.totalConnections, 4);
});

e2e('stats of many at the same time, at all replicas, are answered by few questions', async (world) => {
  const { replicas } = await replicated(world, { count: 3 });
  await world.liveStream(replicas[1], { company: 'acme' });
  const begin = Date.now();
  const all = range(0, 89).map(async (i) => {
    const stats = await replicas[i % 3].stats();
    assert.deepEqual([stats.complete, stats.connections.totalConnections], [true, 1]);
  });
  await Promise.all(all);
  assert.ok(Date.now() - begin < 10_000);
});

e2e('stats do not wait long for a replica that hangs, and say that it is missing', async (world) => {
  const { replicas } = await replicated(world);
  for (const replica of replicas) await world.liveStream(replica, { company: 'acme' });
  await replicas[1].child.halt();
  try {
    const begin = Date.now();
    const stats = await replicas[0].stats();
    assert.ok(Date.now() - begin < 2000, `${Date.now() - begin} ms`);
    assert.deepEqual([stats.complete, stats.replicas.length, stats.connections.totalConnections], [false, 1, 1]);
    // Once it was not heard for a while it is none of them any more.
    await untilComplete(replicas[0], true);
  } finally {
    replicas[1].child.signal('SIGCONT');
  }
  await eventually(async () => (await replicas[0].stats()).replicas.length === 2, 'the other one again');
  assert.equal((await replicas[0].stats()).connections.totalConnections, 2);
});

e2e('stats have all of many companies', async (world) => {
  const { replicas } = await replicated(world);
  const companies = range(1, 120).map((i) => `company-${i}-${'x'.repeat(110)}`);
  for (const [i, company] of companies.entries()) await world.liveStream(replicas[i % 2], { company });
  for (const replica of replicas) {
    const { connections } = await replica.stats();
    assert.deepEqual(connections.connectionsByCompany, Object.fromEntries(companies.map((company) => [company, 1])));
    assert.equal(connections.activeCompanies, 120);
  }
});

e2e('while NATS is away stats are those of one replica, at once', async (world) => {
  const { replicas, nats } = await replicated(world);
  for (const replica of replicas) await world.liveStream(replica, { company: 'acme' });
  await nats.kill();
  for (const replica of replicas) await replica.untilHealth('unavailable');
  assert.equal((await replicas[0].stats()).connections.totalConnections, 1);
  await nats.start();
  await eventually(async () => (await replicas[0].stats()).connections.totalConnections === 2, 'both again');
});
