// AUTH_MODE=jwt: keys that change while Sluice runs, and keys that cannot be used.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { ADMIN_KEY, ask, assertRefused, assertUnseen } from '../support/auth.mjs';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';
import { runSluice } from '../support/sluice.mjs';
import { bearer, jwks, keyPair, pem, SECRET, token } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const SECRET_2 = 'the second secret of the tests: 0123456789abcdef0123456789abcdef';
const ASK_WINDOW_MS = 10_000; // least time between two requests that unknown keys bring about

const withTokens = (world, env) => world.bridge({ env: { AUTH_MODE: 'jwt', ADMIN_KEY, ...env } });
const askWith = (sluice, text) => ask(sluice, { company: 'acme', method: 'HEAD', headers: [bearer(text)] });
const statusOf = async (sluice, text) => (await askWith(sluice, text)).status;

/** A folder that is gone when the test is over; gives the path of a file in it. */
function place(world, name) {
  const directory = temporaryDirectory('keys');
  world.own(() => removeDirectory(directory));
  return path.join(directory, name);
}

/** Puts another text in the file's place, as careful tools do. */
function replace(file, text) {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

function untilStatus(sluice, text, status, what) {
  return eventually(async () => {
    const found = await statusOf(sluice, text);
    if (found !== status) throw new Error(`the status is ${found}`);
    return true;
  }, `${status} for ${what}`);
}

/** That the change of a file brings the new key in and puts the old one out, and that bad texts change nothing. */
async function assertFollows(world, sluice, { file, texts, tokens, bad }) {
  assert.deepEqual([await statusOf(sluice, tokens[0]), await statusOf(sluice, tokens[1])], [200, 401]);
  const open = await world.liveStream(sluice, { company: 'acme', headers: [bearer(tokens[0])] });
  replace(file, texts[1]);
  await untilStatus(sluice, tokens[1], 200, 'a token of the new key');
  assert.equal(await statusOf(sluice, tokens[0]), 401, 'the old key is out, also for tokens that it let in before');
  assert.equal(open.closed, false, 'who is in stays in until the token expires');
  writeFileSync(file, bad);
  await sluice.untilMetric('sluice_keys_reload_failed_total', {}, (value) => value >= 1);
  assert.equal(await statusOf(sluice, tokens[1]), 200, 'a file that cannot be used changes nothing');
  rmSync(file);
  await sluice.untilMetric('sluice_keys_reload_failed_total', {}, (value) => value >= 2);
  assert.equal(await statusOf(sluice, tokens[1]), 200, 'nor does one that is gone');
  writeFileSync(file, texts[0]);
  await untilStatus(sluice, tokens[0], 200, 'a token of the first key');
  assert.equal(await statusOf(sluice, tokens[1]), 401);
}

e2e('what `sluice token` prints opens streams of that company, and of no other', async (world) => {
  const file = place(world, 'secret');
  writeFileSync(file, `${SECRET}\n`);
  const settings = { AUTH_MODE: 'jwt', JWT_SECRET_FILE: file, JWT_ISSUER: 'https://issuer.example' };
  const { sluice } = await withTokens(world, settings);
  const made = await runSluice({ args: ['token', '--company', 'acme', '--user', 'u1'], env: settings });
  assert.equal(made.code, 0, made.stderr);
  const text = made.stdout.trim();
  assert.equal(await statusOf(sluice, text), 200);
  assertRefused(await ask(sluice, { company: 'globex', headers: [bearer(text)] }), 403);
  await assertUnseen(sluice, [text]);
});

e2e('JWT_SECRET_FILE is read again when it changes', async (world) => {
  const file = place(world, 'secret');
  const texts = [`${SECRET}\n`, `${SECRET_2}\n`];
  writeFileSync(file, texts[0]);
  const { sluice } = await withTokens(world, { JWT_SECRET_FILE: file, LOG_LEVEL: 'debug' });
  const tokens = [token({ companyId: 'acme' }), token({ companyId: 'acme' }, { key: SECRET_2 })];
  await assertFollows(world, sluice, { file, texts, tokens, bad: 'too short a secret' });
  await assertUnseen(sluice, [SECRET, SECRET_2, 'too short a secret', ...tokens]);
});

e2e('JWT_PUBLIC_KEY_FILE is read again when it changes', async (world) => {
  const file = place(world, 'key.pem');
  const keys = [keyPair('ES256'), keyPair('EdDSA')];
  const texts = keys.map((pair) => pem(pair.publicKey));
  writeFileSync(file, texts[0]);
  const { sluice } = await withTokens(world, { JWT_PUBLIC_KEY_FILE: file });
  const tokens = ['ES256', 'EdDSA'].map((algorithm, i) => token({ companyId: 'acme' }, { algorithm, key: keys[i].privateKey }));
  await assertFollows(world, sluice, { file, texts, tokens, bad: texts[1].slice(0, 60) });
});

e2e('JWT_JWKS_FILE is read again when it changes', async (world) => {
  const file = place(world, 'jwks.json');
  const keys = [keyPair('ES256'), keyPair('ES256')];
  const texts = keys.map((pair, i) => jwks([[`k${i}`, pair.publicKey]]));
  writeFileSync(file, texts[0]);
  const { sluice } = await withTokens(world, { JWT_JWKS_FILE: file });
  const tokens = keys.map((pair, i) =>
    token({ companyId: 'acme' }, { algorithm: 'ES256', key: pair.privateKey, header: { kid: `k${i}` } }),
  );
  await assertFollows(world, sluice, { file, texts, tokens, bad: '{"keys":' });
});

/** An issuer's web server: `answer` is `{status, body, headers}`, `requests` counts. */
class Issuer {
  constructor(answer) {
    this.answer = answer;
    this.requests = 0;
  }

  async start(world) {
    this.server = http.createServer((_, response) => {
      this.requests++;
      const { status = 200, body = '', headers = {} } = this.answer;
      response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close', ...headers });
      response.end(body);
    });
    await new Promise((resolve) => {
      this.server.listen({ port: 0, host: '127.0.0.1' }, resolve);
    });
    world.own(() => {
      this.server.closeAllConnections();
      return new Promise((resolve) => {
        this.server.close(resolve);
      });
    });
    this.url = `http://127.0.0.1:${this.server.address().port}/jwks.json`;
    return this;
  }
}

const ecToken = (pair, kid) => token({ companyId: 'acme' }, { algorithm: 'ES256', key: pair.privateKey, header: { kid } });

e2e('JWT_JWKS_URL: a rotated key is fetched, once in a while however many ask', async (world) => {
  const [first, second] = [keyPair('ES256'), keyPair('ES256')];
  const issuer = await new Issuer({ body: jwks([['k1', first.publicKey]]) }).start(world);
  const began = Date.now();
  const { sluice } = await withTokens(world, { JWT_JWKS_URL: issuer.url });
  assert.equal(await statusOf(sluice, ecToken(first, 'k1')), 200);
  assert.equal(issuer.requests, 1);

  issuer.answer = { body: jwks([['k2', second.publicKey]]) };
  assert.equal(await statusOf(sluice, ecToken(first, 'k1')), 200, 'known keys ask nobody');
  for (let i = 0; i < 50; i++) assert.equal(await statusOf(sluice, ecToken(second, `wrong-${i}`)), 401);
  await untilStatus(sluice, ecToken(second, 'k2'), 200, 'a token of the new key');
  assert.equal(await statusOf(sluice, ecToken(first, 'k1')), 401, 'the old key is out');
  for (let i = 0; i < 50; i++) assert.equal(await statusOf(sluice, ecToken(second, `wrong-${i}`)), 401);
  const windows = Math.floor((Date.now() - began) / ASK_WINDOW_MS);
  assert.ok(issuer.requests >= 2 && issuer.requests <= 1 + windows, `${issuer.requests} requests in ${windows} windows`);
});

e2e('JWT_JWKS_URL: while there are no keys yet, clients are told to come back', async (world) => {
  const pair = keyPair('ES256');
  const issuer = await new Issuer({ status: 503 }).start(world);
  const { sluice } = await withTokens(world, { JWT_JWKS_URL: issuer.url });
  const answer = await ask(sluice, { company: 'acme', headers: [bearer(ecToken(pair, 'k1'))] });
  assertRefused(answer, 503);
  issuer.answer = { body: jwks([['k1', pair.publicKey]]) };
  await untilStatus(sluice, ecToken(pair, 'k1'), 200, 'a token, once the keys are there');
  // The server breaks, and is asked again for the sake of an unknown key: what it said before stays true.
  issuer.answer = { body: 'no JSON' };
  const before = (await sluice.metrics()).value('sluice_jwks_refreshes_total', { result: 'failed' });
  assert.equal(await statusOf(sluice, ecToken(pair, 'k2')), 401);
  await sluice.untilMetric('sluice_jwks_refreshes_total', { result: 'failed' }, (value) => value > before);
  assert.equal(await statusOf(sluice, ecToken(pair, 'k1')), 200);
  assert.equal(await statusOf(sluice, ecToken(pair, 'k2')), 401);
});

/** A start that must fail: gives what was said. */
async function startError(env) {
  const settings = { PORT_ANALYTICS: '0', BIND_ADDRESS: '127.0.0.1', REDIS_URL: '', AUTH_MODE: 'jwt', ...env };
  const { code, stderr } = await runSluice({ env: settings });
  assert.ok(code > 0 && code < 126, `exit code ${code}: ${stderr}`);
  return stderr;
}

e2e('keys that cannot be used stop the start, with the reason', async (world) => {
  const { privateKey } = keyPair('ES256');
  const { publicKey: weak } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const { publicKey: rare } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  const privatePem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const cases = [
    ['JWT_PUBLIC_KEY_FILE', undefined, /cannot be read: No such file or directory/],
    ['JWT_SECRET_FILE', undefined, /cannot be read: No such file or directory/],
    ['JWT_JWKS_FILE', undefined, /cannot be read: No such file or directory/],
    ['JWT_PUBLIC_KEY_FILE', privatePem, /private key/],
    ['JWT_PUBLIC_KEY_FILE', pem(weak), /1024 bits is too weak/],
    ['JWT_PUBLIC_KEY_FILE', pem(rare), /P-256/],
    ['JWT_PUBLIC_KEY_FILE', 'no key at all', /no PEM text/],
    ['JWT_PUBLIC_KEY_FILE', '', /no PEM text/],
    ['JWT_PUBLIC_KEY_FILE', pem(weak).slice(0, 80), /whole/],
    ['JWT_JWKS_FILE', 'no JSON', /JSON/],
    ['JWT_JWKS_FILE', '{}', /keys/],
    ['JWT_JWKS_FILE', JSON.stringify({ keys: [privateKey.export({ format: 'jwk' })] }), /private key/],
    ['JWT_SECRET_FILE', 'short', /32/],
    ['JWT_SECRET_FILE', pem(weak), /PEM/],
  ];
  for (const [name, text, reason] of cases) {
    const file = place(world, 'key');
    if (text !== undefined) writeFileSync(file, text);
    const said = await startError({ [name]: file });
    assert.match(said, reason, `${name}: ${said}`);
    assert.ok(said.includes(name), `${name} is named: ${said}`);
    assert.ok(said.includes(file), `the file is named: ${said}`);
    assert.ok(!said.includes(privatePem.split('\n')[1]), 'no private key is repeated');
  }
});

e2e('settings for tokens that do not go together stop the start', async () => {
  assert.match(await startError({}), /AUTH_MODE.*needs a key/);
  assert.match(await startError({ JWT_SECRET: SECRET, JWT_SECRET_FILE: '/nowhere' }), /more than one/);
  assert.match(await startError({ JWT_SECRET: SECRET, JWT_ALGORITHMS: 'none' }), /JWT_ALGORITHMS/);
  const short = await startError({ JWT_SECRET: 'too-short-a-secret' });
  assert.match(short, /JWT_SECRET/);
  assert.ok(!short.includes('too-short-a-secret'));
  const cookie = await startError({ JWT_SECRET: SECRET, AUTH_COOKIE: 'token', CORS_ORIGINS: '*' });
  assert.match(cookie, /CORS_ORIGINS/);
});
