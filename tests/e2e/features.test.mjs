// The Redis hash sluice:features: operators switch companies on and off there, without a restart.

import assert from 'node:assert/strict';
import {
  ADMIN_ENV,
  askForStream,
  assertOpen,
  assertRefused,
  asUser,
  replicas,
  untilClosing,
  untilLive,
  untilRefused,
} from '../support/access.mjs';
import { payload } from '../support/events.mjs';
import { JWT_ENV } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const FEATURES = 'sluice:features';

const asCompany = (company) => asUser({ companyId: company, sub: 'u1' });

for (const [mode, env, options] of [
  ['none', {}, (company) => ({ company })],
  ['jwt', JWT_ENV, asCompany],
]) {
  e2e(`a company is switched off and on again on every replica (AUTH_MODE=${mode})`, async (world) => {
    const { sluices, redis, publisher } = await replicas(world, 2, { env });
    const clients = [];
    const others = [];
    for (const sluice of sluices) {
      clients.push(await world.liveStream(sluice, options('acme')));
      others.push(await world.liveStream(sluice, options('other')));
    }
    await redis.command('HSET', FEATURES, 'acme', 'false');
    for (const client of clients) await untilClosing(client, 'disabled');
    for (const sluice of sluices) {
      const { company, headers } = options('acme');
      const answer = await askForStream(sluice, { headers, query: company && `companyId=${company}` });
      assertRefused(answer, 403, /Streaming is disabled for this company/);
    }
    assertOpen(...others);

    await redis.command('HSET', FEATURES, 'acme', 'true');
    const back = [];
    for (const sluice of sluices) back.push(await untilLive(world, sluice, options('acme')));
    await publisher.publish('metrics.x', payload('acme', 1));
    for (const client of back) await client.untilEvents(1);
  });
}

e2e('a company whose field is removed is what the default says', async (world) => {
  const { sluice, redis } = await world.bridge({ store: 'redis' });
  await redis.command('HSET', FEATURES, 'acme', 'false', 'other', 'true');
  await untilRefused(world, sluice, { company: 'acme' }, 403);
  await redis.command('DEL', FEATURES);
  await untilLive(world, sluice, { company: 'acme' });
});

e2e('STREAMING_DEFAULT=false lets in the companies that are named alone', async (world) => {
  const [nats, redis] = await Promise.all([world.nats(), world.redis()]);
  await redis.command('HSET', FEATURES, 'acme', 'true', 'json', '{"streaming":true}', 'off', 'off');
  const sluice = await world.sluice({ nats, redis, env: { STREAMING_DEFAULT: 'false' } });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await world.liveStream(sluice, { company: 'json' });
  for (const company of ['other', 'off', 'ACME']) {
    assertRefused(await askForStream(sluice, { query: `companyId=${company}` }), 403, /disabled/);
  }
  await redis.command('HDEL', FEATURES, 'acme');
  await untilClosing(client, 'disabled');
});

e2e('the words for on and off', async (world) => {
  const [nats, redis] = await Promise.all([world.nats(), world.redis()]);
  const off = ['false', '0', 'f', 'off', '{"streaming":false}', '{"streaming":false,"other":[1,2]}'];
  const on = ['true', '1', 't', 'on', '{"streaming":true}'];
  const fields = [...off, ...on].flatMap((value, i) => [`company-${i}`, value]);
  await redis.command('HSET', FEATURES, ...fields);
  const sluice = await world.sluice({ nats, redis });
  for (const i of [...off, ...on].keys()) {
    const client = await world.stream(sluice, { company: `company-${i}` });
    assert.equal(client.status, i < off.length ? 403 : 200, fields[2 * i + 1]);
    client.leave();
  }
  assert.equal((await sluice.metrics()).value('sluice_features_errors_total'), 0);
});

e2e('what is not understood counts as not there, is counted and logged without its value', async (world) => {
  const [nats, redis] = await Promise.all([world.nats(), world.redis()]);
  const values = ['yes', 'FALSE', '', ' false', '{"streaming":"false"}', '{"streaming":0}', '[false]', 'secret-value'];
  const fields = values.flatMap((value, i) => [`company-${i}`, value]);
  await redis.command('HSET', FEATURES, ...fields, 'not a company!', 'false', 'acme', 'false');
  const sluice = await world.sluice({ nats, redis });
  for (const i of values.keys()) (await world.liveStream(sluice, { company: `company-${i}` })).leave();
  assertRefused(await askForStream(sluice, { query: 'companyId=acme' }), 403);
  const count = (await sluice.metrics()).value('sluice_features_errors_total');
  assert.equal(count, values.length + 1);
  assert.ok(sluice.logs.some((line) => /sluice:features/.test(line.message) && line.field === 'company-3'));
  assert.doesNotMatch(sluice.child.stderr, /secret-value/);
});

e2e('a key of a wrong type keeps what was known, and is told once', async (world) => {
  const { sluice, redis } = await world.bridge({ store: 'redis' });
  await redis.command('HSET', FEATURES, 'acme', 'false');
  await untilRefused(world, sluice, { company: 'acme' }, 403);
  const other = await world.liveStream(sluice, { company: 'other' });
  await redis.command('SET', FEATURES, 'not a hash');
  const line = await sluice.untilLog((each) => each.key === FEATURES, 'the unreadable key');
  assert.equal(line.level, 'error');
  assertRefused(await askForStream(sluice, { query: 'companyId=acme' }), 403);
  assertOpen(other);
  await redis.command('DEL', FEATURES);
  await untilLive(world, sluice, { company: 'acme' });
  assert.equal(sluice.logs.filter((each) => each.key === FEATURES).length, 1);
});

e2e('while Redis is away what was known holds', async (world) => {
  const env = { ...JWT_ENV, REDIS_TIMEOUT_MS: '200' };
  const { sluice, redis } = await world.bridge({ store: 'redis', env });
  await redis.command('HSET', FEATURES, 'acme', 'false');
  await untilRefused(world, sluice, asCompany('acme'), 403);
  const other = await world.liveStream(sluice, asCompany('other'));
  await redis.kill();
  await sluice.untilHealth('degraded');
  assertRefused(await askForStream(sluice, asCompany('acme')), 403, /disabled/);
  assertOpen(other);
  // It comes back empty: then the default holds again.
  await redis.start();
  await untilLive(world, sluice, asCompany('acme'));
});

for (const streaming of ['true', 'false']) {
  e2e(`without Redis the default holds (${streaming})`, async (world) => {
    const env = { ...ADMIN_ENV, STREAMING_DEFAULT: streaming };
    const { sluice } = await world.bridge({ env });
    const client = await world.stream(sluice, { company: 'acme' });
    assert.equal(client.status, streaming === 'true' ? 200 : 403);
  });
}

e2e('a Redis that is away at the start lets the default hold until it comes', async (world) => {
  const [nats, redis] = [await world.nats(), await world.absent('redis')];
  const sluice = await world.sluice({ nats, redis, env: { REDIS_TIMEOUT_MS: '200' }, until: 'degraded' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await redis.start();
  await redis.command('HSET', FEATURES, 'acme', 'false');
  await untilClosing(client, 'disabled');
});

e2e('a thousand changes end in what was written last', async (world) => {
  const { sluice, redis } = await world.bridge({ store: 'redis' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  const writes = [];
  for (let i = 0; i < 1000; i++) {
    writes.push(redis.command('HSET', FEATURES, `company-${i % 50}`, i % 2 ? 'true' : 'false'));
  }
  await Promise.all(writes);
  await redis.command('HSET', FEATURES, 'acme', 'false');
  await untilClosing(client, 'disabled');
  await eventually(async () => {
    const answer = await askForStream(sluice, { query: 'companyId=acme' });
    return answer.status === 403;
  }, 'the last word');
});
