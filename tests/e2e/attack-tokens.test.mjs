// Tokens that somebody made or changed, and good tokens used where they are not good. None opens a stream, none says more
// than that it is refused, and nobody else notices.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { assertRefused, besieged } from '../support/attacks.mjs';
import { forEachCase } from '../support/cases.mjs';
import { payload } from '../support/events.mjs';
import { request } from '../support/http.mjs';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';
import { bearer, JWT_ENV, jwks, keyPair, nowSeconds, pem, SECRET, token } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const TARGET = '/stream/updates?companyId=acme';
const ENV = { ...JWT_ENV, JWT_LEEWAY_SECONDS: '0', JWT_AUDIENCE: 'sluice', JWT_ISSUER: 'https://issuer.example' };
const CLAIMS = { companyId: 'acme', sub: 'u1', aud: 'sluice', iss: 'https://issuer.example' };
const PATHS = ['/stream/updates?companyId=acme', '/stream/stats', '/metrics'];

function make(changes = {}, options) {
  return token({ ...CLAIMS, ...changes }, options);
}

const base64url = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token whose three texts are what they are, signed with the right secret. */
function signed(header, claims) {
  const input = `${base64url(header)}.${base64url(claims)}`;
  return `${input}.${createHmac('sha256', SECRET).update(input).digest('base64url')}`;
}

/** That no page and no ticket is had for the token, nor a stream, and that the answer tells nothing of it. */
async function assertWorthless(sluice, text) {
  for (const target of PATHS) {
    const answer = await request(sluice.port, { target, headers: [bearer(text)] });
    assertRefused(answer, 401, target);
    if (text.length > 20) assert.ok(!answer.body.includes(text.slice(0, 20)));
  }
  const ticket = { method: 'POST', target: '/stream/ticket?companyId=acme', headers: [bearer(text)] };
  assertRefused(await request(sluice.port, ticket), 401, 'a ticket');
}

async function besiegedBy(world, env = ENV, options = undefined) {
  return besieged(world, { env, headers: [bearer(make({ companyId: 'witness', sub: 'w' }, options))] });
}

const GOOD = make();
const [HEADER, PAYLOAD, SIGNATURE] = GOOD.split('.');
const EXPIRY = nowSeconds() + 3600;
const CHANGED = {
  'another secret': make({}, { key: `${SECRET}x` }),
  'an empty secret': make({}, { key: '' }),
  'the claims of another company': [HEADER, base64url({ ...CLAIMS, companyId: 'witness', exp: EXPIRY }), SIGNATURE].join('.'),
  'a later expiry': [HEADER, base64url({ ...CLAIMS, exp: 4102444800 }), SIGNATURE].join('.'),
  'the signature of another token': [HEADER, PAYLOAD, make({ sub: 'u2' }).split('.')[2]].join('.'),
  'a changed signature': [HEADER, PAYLOAD, (SIGNATURE[0] === 'A' ? 'B' : 'A') + SIGNATURE.slice(1)].join('.'),
  'a signature of zeros': [HEADER, PAYLOAD, Buffer.alloc(32).toString('base64url')].join('.'),
  'the signature twice': [HEADER, PAYLOAD, SIGNATURE + SIGNATURE].join('.'),
  'junk behind the signature': `${GOOD}AAAA`,
  'padding behind the signature': `${GOOD}=`,
  'a fourth part': `${GOOD}.${SIGNATURE}`,
  'five parts, as of an encrypted one': `${GOOD}.${SIGNATURE}.${SIGNATURE}`,
  'an empty header': `.${PAYLOAD}.${SIGNATURE}`,
  'no claims': `${HEADER}..${SIGNATURE}`,
  'dots alone': '..',
  'plain base64': Buffer.from(GOOD).toString('base64'),
  'a line break inside': `${GOOD.slice(0, 20)}\t${GOOD.slice(20)}`,
  'two tokens': `${GOOD} ${GOOD}`,
  'two tokens with a comma': `${GOOD}, Bearer ${GOOD}`,
  'a header of another shape': signed('["HS256"]', { ...CLAIMS, exp: EXPIRY }),
  'a header with two algorithms': signed('{"alg":"none","alg":"HS256"}', { ...CLAIMS, exp: EXPIRY }),
  'a header that is no JSON': signed('{"alg":"HS256"', { ...CLAIMS, exp: EXPIRY }),
  'claims that are a list': signed({ alg: 'HS256' }, '[]'),
  'a company twice': signed({ alg: 'HS256' }, JSON.stringify({ ...CLAIMS, exp: EXPIRY }).replace('{', '{"companyId":"witness",')),
  'claims a thousand levels deep': signed({ alg: 'HS256' }, `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`),
  'a critical extension': make({}, { header: { crit: ['exp'] } }),
  'an unencoded payload': make({}, { header: { b64: false, crit: ['b64'] } }),
};

e2e('a token that was forged, changed or cut opens nothing', async (world) => {
  const { sluice, holds } = await besiegedBy(world);
  await forEachCase(Object.entries(CHANGED), ([, text]) => assertWorthless(sluice, text));
  const cuts = Array.from({ length: GOOD.length }, (_, i) => i).filter((i) => i % 7 === 0 || i > GOOD.length - 5);
  await forEachCase(cuts, async (length) => {
    const headers = [bearer(GOOD.slice(0, length))];
    assertRefused(await request(sluice.port, { target: TARGET, headers }), 401);
  });
  await holds();
});

e2e('a token outside its time, of another issuer or for another audience opens nothing', async (world) => {
  const { sluice, holds } = await besiegedBy(world);
  const now = nowSeconds();
  const wrong = [
    ...[{ exp: now - 1 }, { exp: now - 86_400 }, { exp: 0 }, { exp: -1 }, { exp: undefined }, { exp: null }, { exp: `${EXPIRY}` }, { exp: [EXPIRY] }],
    ...[{ nbf: now + 3600 }, { nbf: `${now - 1}` }, { nbf: -1 }, { iat: now + 3600 }, { nbf: 1e300 }],
    ...[{ aud: 'other' }, { aud: undefined }, { aud: ['a', 'b'] }, { aud: [] }, { aud: 'sluice2' }, { aud: 'SLUICE' }, { aud: { sluice: 1 } }],
    ...[{ iss: 'https://issuer.example.evil.org' }, { iss: undefined }, { iss: 'https://issuer.example/' }, { iss: ['https://issuer.example'] }],
    ...[{ companyId: undefined }, { companyId: null }, { companyId: '' }, { companyId: {} }, { companyId: [] }, { companyId: 5 }, { companyId: true }],
  ];
  await forEachCase(wrong, (changes) => assertWorthless(sluice, make(changes)));
  const welcome = await world.liveStream(sluice, { company: 'acme', headers: [bearer(make({ aud: ['a', 'sluice'] }))] });
  welcome.leave();
  await holds();
});

e2e('a token of another algorithm opens nothing, whatever it was signed with', async (world) => {
  const pairs = Object.fromEntries(['RS256', 'ES256', 'EdDSA'].map((name) => [name, keyPair(name)]));
  const none = (alg) => `${base64url({ alg, typ: 'JWT' })}.${base64url({ ...CLAIMS, exp: EXPIRY })}.`;
  const unsigned = ['none', 'None', 'NONE', 'nOnE', '', 'HS0', 'hs256', 'HS256 ', null, 5, ['HS256']].flatMap((alg) => [none(alg), `${none(alg)}AAAA`]);

  const directory = temporaryDirectory('keys');
  world.own(() => removeDirectory(directory));
  const file = (name, text) => {
    writeFileSync(path.join(directory, name), text);
    return path.join(directory, name);
  };
  const rsa = pem(pairs.RS256.publicKey);
  const modes = [
    // What signs with a secret of ours must not be what verifies with a public key, and the other way round.
    [{ ...ENV, JWT_ALGORITHMS: 'HS256' }, {}, [
      make({}, { algorithm: 'HS384' }),
      make({}, { algorithm: 'HS512' }),
      make({}, { algorithm: 'RS256', key: pairs.RS256.privateKey }),
      make({}, { algorithm: 'ES256', key: pairs.ES256.privateKey }),
      make({}, { algorithm: 'EdDSA', key: pairs.EdDSA.privateKey }),
    ]],
    [{ ...ENV, JWT_SECRET: '', JWT_PUBLIC_KEY_FILE: file('rsa.pem', rsa) }, { algorithm: 'RS256', key: pairs.RS256.privateKey }, [
      make({}, { key: rsa }),
      make({}, { key: rsa.trim() }),
      make({}, { algorithm: 'HS512', key: rsa }),
      make({}, { key: '' }),
      make({}, { algorithm: 'ES256', key: pairs.ES256.privateKey }),
      make({}, { algorithm: 'RS256', key: keyPair('RS256').privateKey }),
    ]],
    [{ ...ENV, JWT_SECRET: '', JWT_JWKS_FILE: file('jwks.json', jwks([['a', pairs.RS256.publicKey], ['b', pairs.ES256.publicKey]])) },
      { algorithm: 'ES256', key: pairs.ES256.privateKey, header: { kid: 'b' } }, [
        make({}, { key: rsa, header: { kid: 'a' } }),
        make({}, { algorithm: 'ES256', key: pairs.ES256.privateKey, header: { kid: 'a' } }),
        make({}, { algorithm: 'RS256', key: pairs.RS256.privateKey, header: { kid: 'b' } }),
        make({}, { algorithm: 'ES256', key: pairs.ES256.privateKey, header: { kid: 'c' } }),
        make({}, { algorithm: 'EdDSA', key: pairs.EdDSA.privateKey, header: { kid: 'b' } }),
      ]],
  ];
  for (const [env, options, tokens] of modes) {
    const { sluice, holds } = await besiegedBy(world, env, options);
    await forEachCase([...unsigned, ...tokens], (text) => assertWorthless(sluice, text));
    await holds();
  }
});

e2e('a kid is a name and never a path, an address or a query', async (world) => {
  const { privateKey, publicKey } = keyPair('RS256');
  const evil = keyPair('RS256');
  const directory = temporaryDirectory('keys');
  world.own(() => removeDirectory(directory));
  writeFileSync(path.join(directory, 'keys.json'), jwks([['good', publicKey]]));
  writeFileSync(path.join(directory, 'evil.json'), jwks([['evil', evil.publicKey]]));
  writeFileSync(path.join(directory, 'empty'), '');
  const env = { ...ENV, JWT_SECRET: '', JWT_JWKS_FILE: path.join(directory, 'keys.json') };
  const { sluice, holds } = await besiegedBy(world, env, { algorithm: 'RS256', key: privateKey, header: { kid: 'good' } });
  const names = [
    ...['../evil.json', `${directory}/evil.json`, `${directory}/empty`, './keys.json', '../../../../../../dev/null', '/dev/null'],
    ...['/etc/passwd', '/proc/self/environ', `file://${directory}/evil.json`, 'http://127.0.0.1:1/evil', '//127.0.0.1/evil'],
    ...["' OR 1=1 --", "x' UNION SELECT 'secret", '$(id)', '`id`', '|id', '*', 'sluice:keys', 'good\0', 'good\n', 'GOOD', 'good/../good'],
    ...['', 'k'.repeat(256), 'k'.repeat(5000), ['good'], { good: 1 }, 5, null, true],
  ];
  await forEachCase(names, async (kid) => {
    for (const key of ['', 'null', SECRET, pem(publicKey)]) await assertWorthless(sluice, make({}, { key, header: { kid } }));
    await assertWorthless(sluice, make({}, { algorithm: 'RS256', key: evil.privateKey, header: { kid } }));
  });
  // Nor is a key taken from the token itself.
  const jwk = evil.publicKey.export({ format: 'jwk' });
  const headers = [{ jwk }, { jwk, kid: 'good' }, { jku: `file://${directory}/evil.json` }, { x5u: 'http://127.0.0.1:1/evil' }, { x5c: [pem(evil.publicKey)] }];
  await forEachCase(headers, (header) => assertWorthless(sluice, make({}, { algorithm: 'RS256', key: evil.privateKey, header })));
  // Without names among the keys, that of a token is no matter either.
  const plain = await besiegedBy(world);
  await forEachCase(names.slice(0, 12), (kid) => assertWorthless(plain.sluice, make({}, { key: '', header: { kid } })));
  await holds();
  await plain.holds();
});

e2e('a token opens its own company and none whose name is like it', async (world) => {
  const { sluice, holds, publisher } = await besiegedBy(world);
  const like = ['acme2', 'acm', 'a', 'ACME', 'Acme', 'acme.', 'acme.b', 'acme:', 'acme-', 'acme_', 'acmeacme', 'acme2b', `acme${'a'.repeat(120)}`];
  await forEachCase(like, async (company) => {
    const target = `/stream/updates?companyId=${company}`;
    const refused = assertRefused(await request(sluice.port, { target, headers: [bearer(GOOD)] }), 403);
    assert.equal(refused.message, 'You can only stream events for your own company');
    assertRefused(await request(sluice.port, { method: 'POST', target: target.replace('updates', 'ticket'), headers: [bearer(GOOD)] }), 403);
    const several = make({ companyId: [company, `${company}x`.slice(0, 128)] });
    assertRefused(await request(sluice.port, { target: TARGET, headers: [bearer(several)] }), 403);
  });
  const own = await world.liveStream(sluice, { company: 'acme', headers: [bearer(GOOD)] });
  for (const company of like) await publisher.publish('metrics.x', payload(company, 1));
  await publisher.publish('metrics.x', payload('acme', 2));
  await own.untilEvents(1);
  assert.deepEqual(own.events.map((event) => JSON.parse(event.data).companyId), ['acme']);
  own.leave();
  await holds();
});

for (const store of ['memory', 'redis']) {
  e2e(`another company's event id says no more than one that was invented (${store})`, async (world) => {
    const headers = [bearer(make({ companyId: 'witness', sub: 'w' }))];
    const { sluice, holds, publisher, redis } = await besieged(world, { env: ENV, store, headers });
    const victim = await world.liveStream(sluice, { company: 'victim', headers: [bearer(make({ companyId: 'victim' }))] });
    const mine = [bearer(GOOD)];
    const attacker = await world.liveStream(sluice, { company: 'acme', headers: mine });
    await publisher.publishPaced('acme', 1, 3, [attacker]);
    // Else the first events of both may have the same number and time, and so the same id.
    await eventually(() => Date.now() > attacker.events.at(-1).position.ms, 'the clock to go on');
    await publisher.publishPaced('victim', 1, 20, [victim], { more: { secret: 'the-victims' } });
    await publisher.publishPaced('acme', 4, 6, [attacker]);
    if (redis) await redis.untilStored('victim', 20);
    victim.leave();
    attacker.leave();
    /** All that a client with that id is told, but for what differs from connection to connection. */
    const told = async (lastEventId) => {
      const client = await world.liveStream(sluice, { company: 'acme', lastEventId, headers: mine });
      client.leave();
      const text = client.blocks.filter((block) => block.kind !== 'retry').map((block) => block.raw).join('');
      return text.replaceAll(lastEventId, '<id>').replace(/"connectionId":"[^"]*"/, '').replace(/"ticket":"[^"]*"/, '');
    };
    for (const event of [victim.events[0], victim.events[7], victim.events.at(-1)]) {
      const { seq, ms } = event.position;
      const invented = `metrics.calculated-${seq + 1000}-${ms}`;
      const answer = await told(event.id);
      assert.equal(answer, await told(invented));
      assert.match(answer, /"reason":"unknown_id"/);
      assert.doesNotMatch(answer, /victim/);
    }
    await holds();
  });
}

e2e('a token that is good does not become worse by bad ones, nor a bad one good by repetition', async (world) => {
  const { sluice, holds } = await besiegedBy(world);
  const bad = `${GOOD.slice(0, -4)}AAAA`;
  const answers = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const client = await world.stream(sluice, { company: 'acme', headers: [bearer(i % 2 ? bad : make({ sub: `u${i}` }))] });
      client.leave();
      return client.status;
    }),
  );
  assert.deepEqual(answers, answers.map((_, i) => (i % 2 ? 401 : 200)));
  await holds();
});
