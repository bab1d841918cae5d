// Stats, metrics and health: who may see whose numbers.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  ADMIN_ENV,
  adminMetrics,
  adminPort,
  assertRefused,
  asUser,
  REVOKE_SUBJECT,
  untilRefused,
} from '../support/access.mjs';
import { range } from '../support/events.mjs';
import { request } from '../support/http.mjs';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';
import { runSluice } from '../support/sluice.mjs';
import { apiKey, bearer, JWT_ENV, nowSeconds, token } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const ADMIN_KEY = 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00';
const ADMIN_TOKENS = { JWT_ADMIN_CLAIM: 'role', JWT_ADMIN_VALUE: 'admin' };

const get = (sluice, target, ...headers) => request(sluice.port, { target, headers });
const byToken = (claims) => bearer(token(claims));

/** Streams and kept events of three companies: acme has 2 and 3, other 1 and 5, silent none and 4. */
async function populate(world, { sluice, publisher }, options) {
  for (const company of ['acme', 'acme', 'other']) await world.liveStream(sluice, options(company));
  for (const [company, count] of [['acme', 3], ['other', 5], ['silent', 4]]) {
    await publisher.publishRange(company, 1, count);
  }
}

const EVERYTHING = {
  connections: { totalConnections: 3, activeCompanies: 2, connectionsByCompany: { acme: 2, other: 1 } },
  replayCache: { companies: 3, totalEvents: 12, eventsByCompany: { acme: 3, other: 5, silent: 4 } },
};

const OF_ACME = {
  connections: { totalConnections: 2, activeCompanies: 1, connectionsByCompany: { acme: 2 } },
  replayCache: { companies: 1, totalEvents: 3, eventsByCompany: { acme: 3 } },
};

const OF_SILENT = {
  connections: { totalConnections: 0, activeCompanies: 0, connectionsByCompany: {} },
  replayCache: { companies: 1, totalEvents: 4, eventsByCompany: { silent: 4 } },
};

const OF_NOBODY = {
  connections: { totalConnections: 0, activeCompanies: 0, connectionsByCompany: {} },
  replayCache: { companies: 0, totalEvents: 0, eventsByCompany: {} },
};

function assertStats(answer, expected) {
  assert.equal(answer.status, 200, answer.body);
  const { connections, replayCache } = answer.json();
  assert.deepEqual({ connections, replayCache }, expected);
}

function untilStored(ask) {
  return eventually(async () => (await ask()).json().replayCache.totalEvents === 12, 'twelve kept events');
}

for (const store of ['memory', 'redis']) {
  e2e(`stats are those of one's company, and of all for administrators (${store})`, async (world) => {
    const env = { ...JWT_ENV, ...ADMIN_TOKENS, ADMIN_KEY, TOKEN_CACHE_TOKENS: '2' };
    const bridge = await world.bridge({ store, env });
    const { sluice } = bridge;
    await populate(world, bridge, (company) => asUser({ companyId: company, sub: `u-${company}` }));
    const stats = (...headers) => get(sluice, '/stream/stats', ...headers);
    await untilStored(() => stats(bearer(ADMIN_KEY)));
    for (const _ of range(1, 2)) {
      assertStats(await stats(bearer(ADMIN_KEY)), EVERYTHING);
      assertStats(await stats(byToken({ role: 'admin' })), EVERYTHING);
      assertStats(await stats(byToken({ role: ['user', 'admin'], companyId: 'acme' })), EVERYTHING);
      assertStats(await stats(byToken({ companyId: 'acme', role: 'user' })), OF_ACME);
      assertStats(await stats(byToken({ companyId: 'silent' })), OF_SILENT);
      assertStats(await stats(byToken({ companyId: 'nobody' })), OF_NOBODY);
    }
    const other = await get(sluice, '/stream/stats?companyId=other', byToken({ companyId: 'acme' }));
    assertRefused(other, 403, /your own company/);
  });
}

e2e('stats of many at the same time do not mix', async (world) => {
  const bridge = await world.bridge({ store: 'redis', env: { ...JWT_ENV, ADMIN_KEY } });
  const { sluice } = bridge;
  await populate(world, bridge, (company) => asUser({ companyId: company, sub: `u-${company}` }));
  await untilStored(() => get(sluice, '/stream/stats', bearer(ADMIN_KEY)));
  const asks = [
    [bearer(ADMIN_KEY), EVERYTHING],
    [byToken({ companyId: 'acme' }), OF_ACME],
    [byToken({ companyId: 'silent' }), OF_SILENT],
    [byToken({ companyId: 'nobody' }), OF_NOBODY],
  ];
  const all = range(0, 59).map(async (i) => {
    const [header, expected] = asks[i % asks.length];
    assertStats(await get(sluice, '/stream/stats', header), expected);
  });
  await Promise.all(all);
});

e2e('stats and metrics are not for strangers', async (world) => {
  const { sluice } = await world.bridge({ env: { ...JWT_ENV, ...ADMIN_TOKENS, ADMIN_KEY } });
  const strangers = [
    [],
    [bearer('wrong key')],
    [bearer(ADMIN_KEY.slice(0, -1))],
    [bearer(`${ADMIN_KEY}x`)],
    [['x-api-key', ADMIN_KEY]],
    [['Authorization', ADMIN_KEY]],
    [['Authorization', `Basic ${Buffer.from(`admin:${ADMIN_KEY}`).toString('base64')}`]],
    [byToken({ role: 'admin', exp: nowSeconds() - 100 })],
    [bearer(token({ role: 'admin' }, { key: 'another secret, long enough for HS256 too' }))],
  ];
  for (const path of ['/stream/stats', '/metrics']) {
    for (const headers of strangers) assertRefused(await get(sluice, path, ...headers), 401);
    assertRefused(await get(sluice, `${path}?access_token=${encodeURIComponent(ADMIN_KEY)}`), 400);
  }
  assertRefused(await get(sluice, '/metrics', byToken({ companyId: 'acme' })), 403, /ADMIN_KEY/);
  for (const header of [bearer(ADMIN_KEY), byToken({ role: 'admin' })]) {
    const answer = await get(sluice, '/metrics', header);
    assert.equal(answer.status, 200);
    assert.match(answer.body, /^sluice_connections 0$/m);
  }
  // The administrators' key is no token: it opens no streams and gets no tickets.
  assertRefused(await get(sluice, '/stream/updates?companyId=acme', bearer(ADMIN_KEY)), 401);
});

e2e('without ADMIN_KEY and admin claim nobody sees the metrics', async (world) => {
  const { sluice } = await world.bridge({ env: JWT_ENV });
  assertRefused(await get(sluice, '/metrics'), 401);
  assertRefused(await get(sluice, '/metrics', bearer('')), 401);
  assertRefused(await get(sluice, '/metrics', byToken({ companyId: 'acme', role: 'admin', admin: true })), 403);
  assertStats(await get(sluice, '/stream/stats', byToken({ companyId: 'acme', admin: true })), OF_NOBODY);
});

e2e('who was revoked sees no numbers any more; who was switched off still does', async (world) => {
  const { sluice, publisher, redis } = await world.bridge({ store: 'redis', env: { ...JWT_ENV, ...ADMIN_TOKENS } });
  const stats = (claims) => get(sluice, '/stream/stats', byToken(claims));
  await publisher.publish(REVOKE_SUBJECT, JSON.stringify({ userId: 'u1' }));
  await sluice.untilLog((line) => line.message === 'Revoked', 'the revocation');
  assertRefused(await stats({ companyId: 'acme', sub: 'u1' }), 401, /revoked/);
  assertRefused(await get(sluice, '/metrics', byToken({ companyId: 'acme', sub: 'u1' })), 401, /revoked/);
  // Administrators too, by what their tokens say; the company of nobody is none of theirs.
  assertRefused(await stats({ role: 'admin', sub: 'u1' }), 401, /revoked/);
  assertRefused(await get(sluice, '/metrics', byToken({ role: 'admin', sub: 'u1' })), 401, /revoked/);
  await publisher.publish(REVOKE_SUBJECT, JSON.stringify({ companyId: 'any' }));
  await eventually(() => sluice.logs.filter((line) => line.message === 'Revoked').length === 2, 'the other one');
  assertStats(await stats({ role: 'admin', sub: 'u2' }), OF_NOBODY);
  assertStats(await stats({ companyId: 'acme', sub: 'u2' }), OF_NOBODY);
  await redis.command('HSET', 'sluice:features', 'acme', 'false');
  await untilRefused(world, sluice, asUser({ companyId: 'acme', sub: 'u2' }), 403);
  assertStats(await stats({ companyId: 'acme', sub: 'u2' }), OF_NOBODY);
  // Who is both is told the stronger word.
  assertRefused(await stats({ companyId: 'acme', sub: 'u1' }), 401, /revoked/);
});

e2e('an API key sees the numbers of its company', async (world) => {
  const { key, line } = apiKey({ companyId: 'acme' });
  const directory = temporaryDirectory('keys');
  world.own(() => removeDirectory(directory));
  const file = path.join(directory, 'keys.jsonl');
  writeFileSync(file, `${line}\n`);
  const bridge = await world.bridge({ env: { AUTH_MODE: 'apikey', API_KEYS_FILE: file, ADMIN_KEY } });
  const { sluice, publisher } = bridge;
  await world.liveStream(sluice, { headers: [['x-api-key', key]] });
  await publisher.publishRange('acme', 1, 3);
  await publisher.publishRange('other', 1, 3);
  const stats = () => get(sluice, '/stream/stats', bearer(ADMIN_KEY));
  await eventually(async () => (await stats()).json().replayCache.totalEvents === 6, 'six kept events');
  assertStats(await get(sluice, '/stream/stats', ['x-api-key', key]), {
    connections: { totalConnections: 1, activeCompanies: 1, connectionsByCompany: { acme: 1 } },
    replayCache: { companies: 1, totalEvents: 3, eventsByCompany: { acme: 3 } },
  });
  assertRefused(await get(sluice, '/metrics', ['x-api-key', key]), 403);
  assertRefused(await get(sluice, '/stream/stats', ['x-api-key', 'slk_no-such-key']), 401);
});

e2e('AUTH_MODE=none with an ADMIN_KEY keeps the numbers for who has it', async (world) => {
  const bridge = await world.bridge({ env: { ADMIN_KEY } });
  const { sluice } = bridge;
  await populate(world, bridge, (company) => ({ company }));
  await untilStored(() => get(sluice, '/stream/stats', bearer(ADMIN_KEY)));
  for (const target of ['/stream/stats', '/stream/stats?companyId=acme', '/metrics']) {
    assertRefused(await get(sluice, target), 401, /ADMIN_KEY/);
    assertRefused(await get(sluice, target, bearer('wrong')), 401);
    assert.equal((await get(sluice, target, bearer(ADMIN_KEY))).status, 200);
  }
});

e2e('health is open to all and names nobody', async (world) => {
  const bridge = await world.bridge({ env: { ...JWT_ENV, ADMIN_KEY } });
  const { sluice } = bridge;
  await populate(world, bridge, (company) => asUser({ companyId: company, sub: `u-${company}` }));
  for (const target of ['/stream/health', '/stream/health/live', '/stream/health/ready']) {
    const answer = await get(sluice, target);
    assert.equal(answer.status, 200);
    assert.doesNotMatch(answer.body, /acme|other|silent/);
  }
  assert.equal((await sluice.health()).streaming.activeConnections, 3);
});

e2e('a second address serves administrators alone', async (world) => {
  const bridge = await world.bridge({ env: { ...JWT_ENV, ...ADMIN_ENV } });
  const { sluice } = bridge;
  await populate(world, bridge, (company) => asUser({ companyId: company, sub: `u-${company}` }));
  const port = await adminPort(sluice);
  assert.notEqual(port, sluice.port);
  await untilStored(() => request(port, '/stream/stats'));
  assertStats(await request(port, '/stream/stats'), EVERYTHING);
  // Whatever credentials come along: a scraper may be configured with some.
  assertStats(await request(port, { target: '/stream/stats', headers: [bearer('nonsense')] }), EVERYTHING);
  assert.equal((await adminMetrics(sluice)).value('sluice_connections'), 3);
  for (const path of ['/stream/health', '/stream/health/live', '/stream/health/ready']) {
    assert.equal((await request(port, path)).status, 200, path);
  }
  const { headers } = asUser({ companyId: 'acme' });
  for (const method of ['GET', 'HEAD', 'POST', 'PUT']) {
    for (const target of ['/stream/updates?companyId=acme', '/stream/ticket']) {
      const answer = await request(port, { method, target, headers: [...headers, ['Content-Length', '0']] });
      assert.equal(answer.status, 404, `${method} ${target}`);
    }
  }
  // The first address asks for credentials as ever.
  assertRefused(await get(sluice, '/stream/stats'), 401);
  assertRefused(await get(sluice, '/metrics'), 401);
});

e2e('a second address that cannot be had stops the start', async (world) => {
  const { nats, sluice } = await world.bridge({ env: ADMIN_ENV });
  const taken = String(await adminPort(sluice));
  const env = { AUTH_MODE: 'none', NATS_URL: nats.url, REDIS_URL: '', PORT_ANALYTICS: '0', LOG_FORMAT: 'json' };
  const { code, stderr } = await runSluice({ env: { ...env, ...ADMIN_ENV, ADMIN_PORT: taken } });
  assert.equal(code, 1);
  assert.match(stderr, /Sluice cannot listen/);
});

e2e('many requests at the second address take nothing from the first', async (world) => {
  const { sluice } = await world.bridge({ env: ADMIN_ENV });
  const port = await adminPort(sluice);
  const answers = await Promise.all(range(1, 60).map(() => request(port, '/metrics').catch((error) => error)));
  assert.ok(answers.some(({ status }) => status === 200));
  const client = await world.liveStream(sluice, { company: 'acme' });
  assert.equal(client.status, 200);
  await eventually(async () => (await request(port, '/stream/stats')).status === 200, 'the second address again');
});

e2e('sluice --probe asks for no credentials', async (world) => {
  const { sluice } = await world.bridge({ env: { ...JWT_ENV, ADMIN_KEY } });
  const env = { BIND_ADDRESS: '127.0.0.1', PORT_ANALYTICS: String(sluice.port) };
  // With the settings of the process, and with none but the port, as a health check in a container may be.
  const probe = async (more) => (await runSluice({ args: ['--probe'], env: { ...env, ...more } })).code;
  for (const more of [JWT_ENV, {}]) assert.equal(await probe(more), 0);
  await sluice.stop();
  assert.equal(await probe(JWT_ENV), 1);
});
