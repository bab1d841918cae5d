// A NATS user without the permissions by which replicas hear each other: it is said, and nobody pretends to be well.

import assert from 'node:assert/strict';
import { numbersOf, range } from '../support/events.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const SOURCES = '"metrics.*", "journey.*", "q2q.*"';
const config = (subscribe, publish) => `authorization {
  users: [
    { user: "sluice", password: "s", permissions: { subscribe: [${subscribe}], publish: [${publish}] } }
    { user: "events", password: "e" }
  ]
  }
  no_auth_user: "events"\n`;

const denied = {
  'to publish': config(`${SOURCES}, "sluice.>"`, '"deadletter.events"'),
  'to subscribe': config(SOURCES, '"sluice.>"'),
};
const allowed = config(`${SOURCES}, "sluice.>"`, '"sluice.>"');

const urlOf = (nats) => `nats://sluice:s@127.0.0.1:${nats.port}`;
const problem = async (sluice) => (await sluice.health()).replica.problem;

for (const [what, text] of Object.entries(denied)) {
  e2e(`a replica that is not allowed ${what} to others says so, and goes on alone while Redis is there`, async (world) => {
    const [nats, redis] = await Promise.all([world.nats({ config: text }), world.redis()]);
    const sluice = await world.sluice({ nats, redis, env: { NATS_URL: urlOf(nats) }, until: 'degraded' });
    const line = await sluice.untilLog((entry) => /does not hear itself/.test(entry.message), 'the error');
    assert.equal(line.level, 'error');
    assert.equal(line.subject, 'sluice.live.default');
    assert.match(await problem(sluice), /permissions in NATS .* sluice\.live/);
    await sluice.untilMetric('sluice_replica_deaf', {}, (value) => value === 1);
    await sluice.untilMetric('sluice_replica_deaf_total', {}, (value) => value === 1);
    await sluice.untilReady();
    const client = await world.liveStream(sluice, { company: 'acme' });
    const publisher = await world.publisher(nats);
    await publisher.publishRange('acme', 1, 20);
    await client.untilEvents(20);
    assert.deepEqual(numbersOf(client.events), range(1, 20));

    const other = await world.sluice({ nats, redis, env: { NATS_URL: urlOf(nats) }, until: 'unavailable' });
    await eventually(async () => {
      if (!(await problem(other))) throw new Error('no problem yet');
      return true;
    }, 'the problem of the one that does not number');
    assert.equal((await other.get('/stream/health/ready')).status, 503);

    // Given the permission, both are well.
    await nats.reconfigure(allowed);
    await Promise.all([sluice.untilHealth('ok'), other.untilHealth('ok')]);
    await eventually(async () => {
      for (const replica of [sluice, other]) {
        const { peers, problem: left } = (await replica.health()).replica;
        if (peers !== 1 || left) throw new Error(`${peers} peers, ${left}`);
      }
      return true;
    }, 'replicas that hear each other');
  });
}
