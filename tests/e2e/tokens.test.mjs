// AUTH_MODE=jwt: which tokens open a stream, and of which company.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ADMIN_KEY, ask, assertRefused, assertUnseen, OTHER_COMPANY } from '../support/auth.mjs';
import { forEachCase } from '../support/cases.mjs';
import { assertExactly, payload } from '../support/events.mjs';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';
import { bearer, JWT_ENV, jwks, keyPair, nowSeconds, pem, SECRET, token } from '../support/tokens.mjs';
import { e2e } from '../support/world.mjs';

const HS = ['HS256', 'HS384', 'HS512'];
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const EC = ['ES256', 'ES384', 'ES512'];
const PUBLIC = [...RSA, ...EC, 'EdDSA'];
const ALL = [...HS, ...PUBLIC];

/** Key pairs of all kinds, made once: RSA takes its time. */
const pairs = { rsa: keyPair('RS256'), ...Object.fromEntries([...EC, 'EdDSA'].map((name) => [name, keyPair(name)])) };
const pairFor = (algorithm) => pairs[RSA.includes(algorithm) ? 'rsa' : algorithm];
const signedBy = (algorithm, options) => ({
  algorithm,
  key: HS.includes(algorithm) ? SECRET : pairFor(algorithm).privateKey,
  ...options,
});
const acme = (algorithm, options) => token({ companyId: 'acme' }, signedBy(algorithm, options));

/** A file that is gone when the test is over. */
function file(world, name, text) {
  const directory = temporaryDirectory('keys');
  world.own(() => removeDirectory(directory));
  const where = path.join(directory, name);
  writeFileSync(where, text);
  return where;
}

/** A bridge that takes tokens; `env` says by which key. */
const withTokens = (world, env) => world.bridge({ env: { AUTH_MODE: 'jwt', ADMIN_KEY, ...env } });

async function assertOpens(world, sluice, text, options = { company: 'acme' }) {
  const client = await world.liveStream(sluice, { ...options, headers: [bearer(text)] });
  const { companyId } = await client.ready();
  client.leave();
  return companyId;
}

/** That these algorithms open streams, and that all others are refused. */
async function assertAlgorithms(world, sluice, accepted, options = () => ({})) {
  await forEachCase(ALL, async (algorithm) => {
    const text = acme(algorithm, options(algorithm));
    if (accepted.includes(algorithm)) await assertOpens(world, sluice, text);
    else assertRefused(await ask(sluice, { company: 'acme', headers: [bearer(text)] }), 401, algorithm);
  });
}

e2e('tokens signed with the secret open streams, and no others', async (world) => {
  const { sluice } = await withTokens(world, { JWT_SECRET: SECRET });
  await assertAlgorithms(world, sluice, HS);
});

e2e('the secret may stand in a file, with or without a line end', async (world) => {
  for (const end of ['', '\n', '\r\n']) {
    const { sluice } = await withTokens(world, { JWT_SECRET_FILE: file(world, 'secret', SECRET + end) });
    await assertAlgorithms(world, sluice, HS);
  }
});

e2e('a PEM file with the RSA key takes what RSA keys sign', async (world) => {
  const { sluice } = await withTokens(world, { JWT_PUBLIC_KEY_FILE: file(world, 'rsa.pem', pem(pairs.rsa.publicKey)) });
  await assertAlgorithms(world, sluice, RSA);
});

for (const algorithm of [...EC, 'EdDSA']) {
  e2e(`a PEM file with the key for ${algorithm} takes that alone`, async (world) => {
    const text = pem(pairs[algorithm].publicKey);
    const { sluice } = await withTokens(world, { JWT_PUBLIC_KEY_FILE: file(world, 'key.pem', text) });
    await assertAlgorithms(world, sluice, [algorithm]);
  });
}

e2e('a JWKS file with all kinds of keys takes what each of them signs', async (world) => {
  const keys = jwks(Object.entries(pairs).map(([kid, pair]) => [kid, pair.publicKey]));
  const { sluice } = await withTokens(world, { JWT_JWKS_FILE: file(world, 'jwks.json', keys) });
  const kidOf = (algorithm) => (RSA.includes(algorithm) ? 'rsa' : algorithm);
  await assertAlgorithms(world, sluice, PUBLIC, (algorithm) => ({ header: { kid: kidOf(algorithm) } }));
  const unknown = acme('ES256', { header: { kid: 'nobody' } });
  assertRefused(await ask(sluice, { company: 'acme', headers: [bearer(unknown)] }), 401, 'unknown kid');
  const swapped = acme('ES256', { header: { kid: 'ES384' } });
  assertRefused(await ask(sluice, { company: 'acme', headers: [bearer(swapped)] }), 401, 'the kid of another key');
});

e2e('JWT_ALGORITHMS narrows what is taken', async (world) => {
  const rsa = file(world, 'rsa.pem', pem(pairs.rsa.publicKey));
  const narrow = await withTokens(world, { JWT_PUBLIC_KEY_FILE: rsa, JWT_ALGORITHMS: 'RS256,PS384' });
  await assertAlgorithms(world, narrow.sluice, ['RS256', 'PS384']);
  const secret = await withTokens(world, { JWT_SECRET: SECRET, JWT_ALGORITHMS: 'HS512' });
  await assertAlgorithms(world, secret.sluice, ['HS512']);
});

/** Tokens that are no good, each with settings that would take it but for its one fault. */
function badTokens() {
  const now = nowSeconds();
  const good = { companyId: 'acme', iss: 'https://issuer.example', aud: 'sluice' };
  const cut = (text) => text.slice(0, -6);
  const unsigned = ([head, body]) => [head, body, ''];
  return {
    'an expired one': token({ ...good, exp: now - 3600 }),
    'one just expired, beyond the leeway': token({ ...good, exp: now - 11 }),
    'one not valid yet': token({ ...good, nbf: now + 3600 }),
    'one from the future': token({ ...good, iat: now + 3600 }),
    'one without exp': token({ ...good, exp: undefined }),
    'one whose exp is a text': token({ ...good, exp: String(now + 3600) }),
    'one whose exp is below zero': token({ ...good, exp: -1 }),
    'one of another issuer': token({ ...good, iss: 'https://other.example' }),
    'one of no issuer': token({ ...good, iss: undefined }),
    'one for another audience': token({ ...good, aud: 'others' }),
    'one for other audiences': token({ ...good, aud: ['others', 'sluice2'] }),
    'one for no audience': token({ ...good, aud: undefined }),
    'one without a company': token({ ...good, companyId: undefined }),
    'one with an empty company': token({ ...good, companyId: '' }),
    'one with a malformed company': token({ ...good, companyId: 'ac*' }),
    'one whose company is a number': token({ ...good, companyId: 7 }),
    'one with no company in its list': token({ ...good, companyId: [] }),
    'one signed with another secret': token(good, { key: 'another secret of the tests: 0123456789abcdef' }),
    'one signed with nothing': token(good, { segments: unsigned }),
    'one of the algorithm none': token(good, { header: { alg: 'none' }, segments: unsigned }),
    'one of the algorithm none with a signature': token(good, { header: { alg: 'none' } }),
    'one of another algorithm than it says': token(good, { header: { alg: 'HS512' } }),
    'one with an extension': token(good, { header: { crit: ['exp'] } }),
    'one changed afterwards': token(good, {
      segments: ([head, , mac]) => [head, Buffer.from(JSON.stringify({ ...good, companyId: 'acme2' })).toString('base64url'), mac],
    }),
    'a truncated one': cut(token(good)),
    'one with two segments': token(good, { segments: (parts) => parts.slice(0, 2) }),
    'one with four segments': token(good, { segments: (parts) => [...parts, parts[2]] }),
    'one that is padded': `${token(good)}=`,
    'one that is too long': token({ ...good, more: 'x'.repeat(9000) }),
    garbage: 'not-a-token-at-all-but-something-to-look-for',
    'two dots': '..',
  };
}

e2e('bad tokens are refused with 401, and none of them is seen anywhere', async (world) => {
  const { sluice } = await withTokens(world, {
    ...JWT_ENV,
    JWT_ISSUER: 'https://issuer.example',
    JWT_AUDIENCE: 'sluice',
    JWT_LEEWAY_SECONDS: '10',
    LOG_LEVEL: 'debug',
  });
  const bad = badTokens();
  await forEachCase(Object.entries(bad), async ([what, text]) => {
    for (const company of ['acme', undefined]) {
      const answer = await ask(sluice, { company, headers: [bearer(text)] });
      assertRefused(answer, 401, what);
      for (const part of text.split('.').filter((each) => each.length > 8)) assert.ok(!answer.body.includes(part), what);
    }
  });
  const good = token({ companyId: 'acme', iss: 'https://issuer.example', aud: ['others', 'sluice'], iat: nowSeconds() + 5 });
  await assertOpens(world, sluice, good);
  const metrics = await sluice.metrics();
  assert.ok(metrics.value('sluice_connection_errors_total') >= 2 * Object.keys(bad).length);
  // Tokens that were taken for their kind are told by their id and user; that is no secret.
  await assertUnseen(sluice, [...Object.values(bad), good]);
});

e2e('a public key is no secret: HS256 signed with the PEM text is refused', async (world) => {
  const text = pem(pairs.rsa.publicKey);
  const { sluice } = await withTokens(world, { JWT_PUBLIC_KEY_FILE: file(world, 'rsa.pem', text) });
  for (const key of [text, text.trim()]) {
    for (const algorithm of HS) {
      const forged = token({ companyId: 'acme' }, { algorithm, key });
      assertRefused(await ask(sluice, { company: 'acme', headers: [bearer(forged)] }), 401, algorithm);
    }
  }
});

e2e('JWT_REQUIRE_EXP=false lets tokens without exp in, but no expired ones', async (world) => {
  const { sluice } = await withTokens(world, { ...JWT_ENV, JWT_REQUIRE_EXP: 'false' });
  await assertOpens(world, sluice, token({ companyId: 'acme', exp: undefined }));
  const expired = token({ companyId: 'acme', exp: nowSeconds() - 3600 });
  assertRefused(await ask(sluice, { company: 'acme', headers: [bearer(expired)] }), 401);
});

e2e('no credentials, and credentials of another kind, are refused with 401', async (world) => {
  const { sluice } = await withTokens(world, JWT_ENV);
  const wrong = [[], [['Authorization', 'Basic YWNtZTpzZWNyZXQ=']], [['Authorization', 'Bearer']], [['x-api-key', 'a'.repeat(43)]]];
  for (const headers of wrong) assertRefused(await ask(sluice, { company: 'acme', headers }), 401, JSON.stringify(headers));
  assert.equal((await sluice.stats()).connections.totalConnections, 0);
});

e2e('who was refused may try again on the same connection', async (world) => {
  const { sluice } = await withTokens(world, JWT_ENV);
  const connection = await world.connection(sluice);
  const target = '/stream/updates?companyId=acme';
  assertRefused(await connection.request({ target }), 401);
  assertRefused(await connection.request({ target, headers: [bearer(token({ companyId: 'other' }))] }), 403);
  assertRefused(await connection.request({ target, headers: [bearer('nothing')] }), 401);
  const client = await world.liveStream(sluice, { connection, headers: [bearer(token({ companyId: 'acme' }))] });
  assert.equal((await client.ready()).companyId, 'acme');
});

e2e('a stream is of the token\'s company, and of no other', async (world) => {
  const { sluice, publisher } = await withTokens(world, JWT_ENV);
  const headers = [bearer(token({ companyId: 'acme' }))];
  for (const company of ['acme2', 'acm', 'Acme', 'other', 'acme.x']) {
    assert.equal(assertRefused(await ask(sluice, { company, headers }), 403, company), OTHER_COMPANY);
  }
  for (const company of ['acme%20', 'acme%00', '*', 'acme%2Cother', '%2A']) {
    assertRefused(await ask(sluice, { company, headers }), 400, company);
  }
  const client = await world.liveStream(sluice, { headers });
  assert.equal((await client.ready()).companyId, 'acme');
  await publisher.publish('metrics.calculated', payload('acme2', 1));
  await publisher.publish('metrics.calculated', payload('acm', 2));
  await publisher.publish('metrics.calculated', payload('acme', 3));
  await client.untilEvents(1);
  assertExactly(client, [3]);
});

e2e('a token of several companies streams the one that is asked for', async (world) => {
  const { sluice } = await withTokens(world, JWT_ENV);
  const text = token({ companyId: ['acme', 'b-company', 'c'] });
  for (const company of ['acme', 'b-company', 'c']) {
    assert.equal(await assertOpens(world, sluice, text, { company }), company);
  }
  const headers = [bearer(text)];
  assertRefused(await ask(sluice, { headers }), 400, 'none asked for');
  assertRefused(await ask(sluice, { company: '', headers }), 400, 'an empty one asked for');
  assert.equal(assertRefused(await ask(sluice, { company: 'd', headers }), 403), OTHER_COMPANY);
  assert.equal(await assertOpens(world, sluice, token({ companyId: ['only'] }), {}), 'only');
});

e2e('the company may lie deeper in the token', async (world) => {
  const { sluice } = await withTokens(world, { ...JWT_ENV, JWT_COMPANY_CLAIM: 'org.id' });
  assert.equal(await assertOpens(world, sluice, token({ org: { id: 'acme' } }), {}), 'acme');
  assert.equal(await assertOpens(world, sluice, token({ 'org.id': 'dotted' }), {}), 'dotted');
  for (const claims of [{ companyId: 'acme' }, { org: 'acme' }, { org: { id: { id: 'acme' } } }, { org: [{ id: 'acme' }] }]) {
    const answer = await ask(sluice, { company: 'acme', headers: [bearer(token(claims))] });
    assertRefused(answer, 401, JSON.stringify(claims));
  }
});

e2e('an administrator\'s token streams every company and sees all numbers', async (world) => {
  const { sluice } = await withTokens(world, { ...JWT_ENV, JWT_ADMIN_CLAIM: 'realm.roles', JWT_ADMIN_VALUE: 'operator' });
  const admin = token({ realm: { roles: ['user', 'operator'] } });
  for (const company of ['acme', 'other']) assert.equal(await assertOpens(world, sluice, admin, { company }), company);
  assertRefused(await ask(sluice, { headers: [bearer(admin)] }), 400, 'no company');
  const user = token({ companyId: 'acme', realm: { roles: ['operators'] } });
  assert.equal(assertRefused(await ask(sluice, { company: 'other', headers: [bearer(user)] }), 403), OTHER_COMPANY);
  const page = (target, text) => ask(sluice, { headers: [bearer(text)] , target });
  assert.equal((await page('/metrics', admin)).status, 200);
  assertRefused(await page('/metrics', user), 403, 'the metrics are not for users');
  assertRefused(await page('/metrics', token({ companyId: 'acme' }, { key: 'x'.repeat(40) })), 401, 'a forged token');
});

e2e('the numbers of /stream/stats are those of the asker\'s company', async (world) => {
  const { sluice } = await withTokens(world, JWT_ENV);
  const tokens = Object.fromEntries(['acme', 'other'].map((company) => [company, token({ companyId: company })]));
  for (const text of Object.values(tokens)) await world.liveStream(sluice, { headers: [bearer(text)] });
  const stats = (headers) => ask(sluice, { headers, target: '/stream/stats' });
  const own = (await stats([bearer(tokens.acme)])).json();
  assert.deepEqual(own.connections, { totalConnections: 1, activeCompanies: 1, connectionsByCompany: { acme: 1 } });
  assert.ok(!JSON.stringify(own).includes('other'));
  const all = (await stats([bearer(ADMIN_KEY)])).json();
  assert.deepEqual(all.connections.connectionsByCompany, { acme: 1, other: 1 });
  assertRefused(await stats([]), 401);
  assertRefused(await stats([bearer(ADMIN_KEY.slice(1))]), 401);
});

e2e('who was revoked sees no numbers any more', async (world) => {
  const { sluice, publisher } = await withTokens(world, {
    ...JWT_ENV,
    JWT_ADMIN_CLAIM: 'role',
    JWT_ADMIN_VALUE: 'admin',
    STREAMING_DEFAULT: 'false',
  });
  const [user, other] = [token({ companyId: 'acme', sub: 'u1' }), token({ companyId: 'acme', sub: 'u2' })];
  const [admin, deputy] = ['t1', 't2'].map((jti) => token({ role: 'admin', jti }));
  const page = async (target, text) => (await ask(sluice, { target, headers: [bearer(text)] })).status;
  for (const text of [user, other, admin, deputy]) assert.equal(await page('/stream/stats', text), 200);
  const revoke = (what) => publisher.publish('sluice.control.revoke', JSON.stringify(what));
  await revoke({ userId: 'u1' });
  await revoke({ tokenId: 't1' });
  await sluice.untilMetric('sluice_revocations_total', {}, (value) => value === 2);
  for (const text of [user, admin]) {
    assertRefused(await ask(sluice, { target: '/stream/stats', headers: [bearer(text)] }), 401);
  }
  assert.equal(await page('/metrics', admin), 401);
  for (const text of [other, deputy]) assert.equal(await page('/stream/stats', text), 200);
  assert.equal(await page('/metrics', deputy), 200);
});

e2e('HEAD tells whether a stream would be opened, and opens none', async (world) => {
  const { sluice } = await withTokens(world, JWT_ENV);
  const head = (headers, company) => ask(sluice, { company, headers, method: 'HEAD' });
  const good = await head([bearer(token({ companyId: 'acme' }))]);
  assert.equal(good.status, 200);
  assert.equal(good.headers.get('Content-Type'), 'text/event-stream');
  const refused = await head([], 'acme');
  assert.equal(refused.status, 401);
  assert.match(refused.headers.get('WWW-Authenticate'), /^Bearer /);
  assert.equal((await head([bearer(token({ companyId: 'acme' }))], 'other')).status, 403);
  assert.equal((await sluice.stats()).connections.totalConnections, 0);
});
