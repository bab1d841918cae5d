// NATS in operator mode: who may connect is said by signed JWTs, and a credentials file holds one with its seed.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { credsAuthenticator } from 'nats';
import { createAccount, createOperator, createUser } from 'nkeys.js';
import { assertHolesTold, numbersOf, range } from '../support/events.mjs';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';
import { e2e } from '../support/world.mjs';

const base64url = (value) => Buffer.from(value).toString('base64url');
const UNLIMITED = { subs: -1, data: -1, payload: -1 };

/** A JWT of NATS: what `issuer` says of `subject`, a public key. `exp` is a Unix time in seconds. */
function claimsOf(issuer, subject, name, nats, exp) {
  const header = base64url(JSON.stringify({ typ: 'JWT', alg: 'ed25519-nkey' }));
  const iat = Math.floor(Date.now() / 1000);
  const claims = { jti: name, iat, iss: issuer.getPublicKey(), sub: subject, exp, name, nats: { ...nats, version: 2 } };
  const text = `${header}.${base64url(JSON.stringify(claims))}`;
  return `${text}.${base64url(issuer.sign(Buffer.from(text)))}`;
}

/** An operator with one account: `{config, credentials}`; `credentials(name)` writes those of a new user. */
function makeOperator(directory) {
  const operator = createOperator();
  const account = createAccount();
  const accountKey = account.getPublicKey();
  const limits = { ...UNLIMITED, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const operatorJwt = claimsOf(operator, operator.getPublicKey(), 'operator', { type: 'operator' });
  const accountJwt = claimsOf(operator, accountKey, 'account', { type: 'account', limits });
  const config = `operator: ${operatorJwt}\nresolver: MEMORY\nresolver_preload: { ${accountKey}: ${accountJwt} }\n`;
  const credentials = (name, { issuer = account, expires } = {}) => {
    const user = createUser();
    const jwt = claimsOf(issuer, user.getPublicKey(), name, { type: 'user', ...UNLIMITED, pub: {}, sub: {} }, expires);
    const seed = Buffer.from(user.getSeed()).toString();
    const file = path.join(directory, `${name}.creds`);
    const text =
      `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n\n` +
      `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
    writeFileSync(file, text, { mode: 0o600 });
    return { file, seed };
  };
  return { config, credentials };
}

e2e('NATS: a credentials file; a refused one is told without its seed and mended without a restart', async (world) => {
  const directory = temporaryDirectory('creds');
  world.own(() => removeDirectory(directory));
  const { config, credentials } = makeOperator(directory);
  const nats = await world.nats({ config });
  const refused = credentials('refused', { issuer: createAccount() }); // of an account that the server does not know
  const bridge = credentials('bridge');
  const sluice = await world.sluice({ nats, until: 'unavailable', env: { NATS_CREDS_FILE: refused.file } });
  await sluice.untilLog(({ advice }) => /NATS does not accept our identity/.test(advice ?? ''), 'the refusal');
  writeFileSync(refused.file, readFileSync(bridge.file));
  await sluice.untilHealth('ok');
  const authenticator = credsAuthenticator(readFileSync(credentials('publisher').file));
  const publisher = await world.publisher(nats, { authenticator });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 5, [client]);
  assert.deepEqual(numbersOf(client.events), [1, 2, 3, 4, 5]);
  for (const { seed } of [refused, bridge]) assert.ok(!sluice.child.stderr.includes(seed), 'the log tells the seed');
});

const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;

for (const when of ['before', 'long after']) {
  e2e(`NATS: credentials that expire and are renewed ${when} that: streams go on behind a told gap`, async (world) => {
    const directory = temporaryDirectory('creds');
    world.own(() => removeDirectory(directory));
    const { config, credentials } = makeOperator(directory);
    const nats = await world.nats({ config });
    const bridge = credentials('bridge', { expires: inSeconds(10) });
    const sluice = await world.sluice({ nats, env: { NATS_CREDS_FILE: bridge.file } });
    const authenticator = credsAuthenticator(readFileSync(credentials('publisher').file));
    const publisher = await world.publisher(nats, { authenticator });
    const client = await world.liveStream(sluice, { company: 'acme' });
    await publisher.publishPaced('acme', 1, 5, [client]);
    const renew = () => writeFileSync(bridge.file, readFileSync(credentials('renewed').file));
    if (when === 'before') {
      renew();
      await sluice.untilMetric('sluice_nats_disconnects_total', {}, (value) => value >= 1);
    } else {
      await sluice.untilLog(({ message }) => message === 'NATS cannot be used', 'the refusal');
      assert.equal((await sluice.get('/stream/health')).status, 503);
      await publisher.publishRange('acme', 6, 8);
      renew();
    }
    await sluice.untilHealth('ok');
    await publisher.publishPaced('acme', 9, 10, [client]);
    assert.deepEqual(numbersOf(client.events), [1, 2, 3, 4, 5, 9, 10]);
    assertHolesTold(client);
    // In the second in which they expire the server may take them once more, and end that connection too.
    assert.ok(client.gaps.length >= 1 && client.gaps.every((gap) => gap.reason === 'source'), JSON.stringify(client.gaps));
    assert.ok(!sluice.child.stderr.includes(bridge.seed), 'the log tells the seed');
  });
}

e2e('NATS: a user that a reload of the server removes comes back with the next one', async (world) => {
  const users = (...names) =>
    `authorization { timeout: 2, users: [ ${names.map((name) => `{ user: ${name}, password: secret }`).join(', ')} ] }\n`;
  const nats = await world.nats({ config: users('bridge', 'publisher') });
  const sluice = await world.sluice({ nats, env: { NATS_USER: 'bridge', NATS_PASSWORD: 'secret' } });
  const publisher = await world.publisher(nats, { user: 'publisher', pass: 'secret' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 5, [client]);
  for (let round = 0; round < 2; round++) {
    const from = round * 10 + 6;
    nats.reload(users('publisher'));
    await sluice.untilHealth('unavailable');
    // Refused again, libnats gives the connection up for good.
    await sluice.untilMetric('sluice_nats_errors_total', {}, (value) => value >= 2 * (round + 1));
    await publisher.publishRange('acme', from, from + 4);
    nats.reload(users('bridge', 'publisher'));
    await sluice.untilHealth('ok');
    await publisher.publishPaced('acme', from + 5, from + 9, [client]);
  }
  assertHolesTold(client);
  assert.deepEqual(numbersOf(client.events), [...range(1, 5), ...range(11, 15), ...range(21, 25)]);
  assert.deepEqual(client.gaps.map((gap) => gap.reason), ['source', 'source']);
});
