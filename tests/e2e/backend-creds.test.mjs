// NATS in operator mode: who may connect is said by signed JWTs, and a credentials file holds one with its seed.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { credsAuthenticator } from 'nats';
import { createAccount, createOperator, createUser } from 'nkeys.js';
import { numbersOf } from '../support/events.mjs';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';
import { e2e } from '../support/world.mjs';

const base64url = (value) => Buffer.from(value).toString('base64url');
const UNLIMITED = { subs: -1, data: -1, payload: -1 };

/** A JWT of NATS: what `issuer` says of `subject`, a public key. */
function claimsOf(issuer, subject, name, nats) {
  const header = base64url(JSON.stringify({ typ: 'JWT', alg: 'ed25519-nkey' }));
  const iat = Math.floor(Date.now() / 1000);
  const claims = { jti: name, iat, iss: issuer.getPublicKey(), sub: subject, name, nats: { ...nats, version: 2 } };
  const text = `${header}.${base64url(JSON.stringify(claims))}`;
  return `${text}.${base64url(issuer.sign(Buffer.from(text)))}`;
}

/** An operator with one account: `{config, credentials}`; `credentials(file)` writes those of a new user. */
function makeOperator(directory) {
  const operator = createOperator();
  const account = createAccount();
  const accountKey = account.getPublicKey();
  const limits = { ...UNLIMITED, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const operatorJwt = claimsOf(operator, operator.getPublicKey(), 'operator', { type: 'operator' });
  const accountJwt = claimsOf(operator, accountKey, 'account', { type: 'account', limits });
  const config = `operator: ${operatorJwt}\nresolver: MEMORY\nresolver_preload: { ${accountKey}: ${accountJwt} }\n`;
  const credentials = (name, issuer = account) => {
    const user = createUser();
    const jwt = claimsOf(issuer, user.getPublicKey(), name, { type: 'user', ...UNLIMITED, pub: {}, sub: {} });
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
  const refused = credentials('refused', createAccount()); // of an account that the server does not know
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
