// Who we are towards NATS and Redis, and who they are: what is wrong is told without secrets, and mended without a restart.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { createUser } from 'nkeys.js';
import { Authority } from '../support/certificates.mjs';
import { assertExactly, numbersOf, range } from '../support/events.mjs';
import { freePort } from '../support/process.mjs';
import { runSluice } from '../support/sluice.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const SECRET = 'p%s:w/rd@"\\ secret';
const WRONG = 'another-secret';

/** A file with `text`, gone with the world. */
function file(authority, name, text) {
  const place = path.join(authority.directory, name);
  writeFileSync(place, text, { mode: 0o600 });
  return place;
}

function authorityOf(world) {
  const authority = new Authority();
  world.own(() => authority.dispose());
  return authority;
}

/** Waits for a log line with this advice or detail, and sees to it that no line holds a secret. */
async function assertTold(sluice, pattern, secrets = []) {
  const texts = (line) => [line.advice, line.detail, line.reason, line.error].filter(Boolean).join(' ');
  await sluice.untilLog((line) => pattern.test(texts(line)), `a line like ${pattern}`);
  assertNoSecret(sluice, secrets);
}

function assertNoSecret(sluice, secrets) {
  for (const secret of [SECRET, WRONG, encodeURIComponent(SECRET), ...secrets]) {
    assert.ok(!sluice.child.stderr.includes(secret), `the log tells ${secret}`);
    assert.ok(!sluice.child.stderr.includes(JSON.stringify(secret).slice(1, -1)), `the log tells ${secret}`);
  }
}

/** That events come through. */
async function assertFlows(world, sluice, nats, options) {
  const publisher = await world.publisher(nats, options);
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 5, [client]);
  assert.deepEqual(numbersOf(client.events), [1, 2, 3, 4, 5]);
}

/** What docs/operations.md says that the bridge needs, and what the publisher of these tests does. */
const userConfig = (password) => `authorization { users: [ { user: "bridge", password: ${JSON.stringify(password)},
  permissions: { subscribe: ["metrics.*", "journey.*", "q2q.*"], publish: ["metrics.>"] } } ] }\n`;
const tlsConfig = ({ certFile, keyFile, caFile }, verify = false) =>
  `tls { cert_file: "${certFile}", key_file: "${keyFile}", ca_file: "${caFile}", verify: ${verify}, timeout: 20 }\n`;

e2e('NATS: user and password, from variables, a file and the URL', async (world) => {
  const authority = authorityOf(world);
  const nats = await world.nats({ config: userConfig(SECRET) });
  const login = { user: 'bridge', pass: SECRET };
  const passwordFile = file(authority, 'password', `${SECRET}\n`);
  for (const env of [
    { NATS_USER: 'bridge', NATS_PASSWORD: SECRET },
    { NATS_USER: 'bridge', NATS_PASSWORD_FILE: passwordFile },
    { NATS_URL: `nats://bridge:${encodeURIComponent(SECRET)}@127.0.0.1:${nats.port}` },
  ]) {
    const sluice = await world.sluice({ nats, env });
    await assertFlows(world, sluice, nats, login);
    assertNoSecret(sluice, []);
    await sluice.stop();
  }
});

e2e('NATS: a token, from a file and the URL', async (world) => {
  const authority = authorityOf(world);
  const nats = await world.nats({ config: `authorization { token: ${JSON.stringify(SECRET)} }\n` });
  for (const env of [
    { NATS_TOKEN_FILE: file(authority, 'token', SECRET) },
    { NATS_URL: `nats://${encodeURIComponent(SECRET)}@127.0.0.1:${nats.port}` },
  ]) {
    const sluice = await world.sluice({ nats, env });
    await assertFlows(world, sluice, nats, { token: SECRET });
    assertNoSecret(sluice, []);
    await sluice.stop();
  }
});

e2e('NATS: an nkey', async (world) => {
  const authority = authorityOf(world);
  const key = createUser();
  const other = createUser();
  const seed = new TextDecoder().decode(key.getSeed());
  const password = 'publisher';
  const config = (publicKey) =>
    `authorization { users: [ { nkey: "${publicKey}" }, { user: "p", password: "${password}" } ] }\n`;
  const nats = await world.nats({ config: config(other.getPublicKey()) });
  const env = { NATS_NKEY: key.getPublicKey(), NATS_NKEY_SEED_FILE: file(authority, 'seed', seed) };
  const sluice = await world.sluice({ nats, env, until: 'unavailable' });
  await assertTold(sluice, /NATS does not accept our identity/, [seed]);
  await nats.reconfigure(config(key.getPublicKey()));
  await sluice.untilHealth('ok');
  await assertFlows(world, sluice, nats, { user: 'p', pass: password });
  assertNoSecret(sluice, [seed]);
});

e2e('NATS: a wrong password is told, and mended on the server without a restart', async (world) => {
  const nats = await world.nats({ config: userConfig(WRONG) });
  const sluice = await world.sluice({ nats, env: { NATS_USER: 'bridge', NATS_PASSWORD: SECRET }, until: 'unavailable' });
  await assertTold(sluice, /NATS does not accept our identity/);
  await nats.reconfigure(userConfig(SECRET));
  await sluice.untilHealth('ok');
  await assertFlows(world, sluice, nats, { user: 'bridge', pass: SECRET });
  // Refused later on, the library gives the connection up for good: another one must be made.
  await nats.reconfigure(userConfig(WRONG));
  await sluice.untilHealth('unavailable');
  await sluice.untilLog((line) => line.message === 'NATS cannot be used', 'the refusal of a new connection');
  await nats.reconfigure(userConfig(SECRET));
  await sluice.untilHealth('ok');
  assertNoSecret(sluice, []);
});

for (const { kind, config, connect } of [
  { kind: 'password', config: userConfig, connect: (secret) => ({ user: 'bridge', pass: secret }) },
  { kind: 'token', config: (token) => `authorization { token: ${JSON.stringify(token)} }\n`, connect: (token) => ({ token }) },
]) {
  e2e(`NATS: a ${kind} that is changed in its file and then on the server needs no restart`, async (world) => {
    const authority = authorityOf(world);
    const [before, after] = ['the first secret', 'the second one'];
    const nats = await world.nats({ config: config(before) });
    const place = file(authority, 'secret', before);
    const env = kind === 'token' ? { NATS_TOKEN_FILE: place } : { NATS_USER: 'bridge', NATS_PASSWORD_FILE: place };
    const sluice = await world.sluice({ nats, env });
    const client = await world.liveStream(sluice, { company: 'acme' });
    const publisher = await world.publisher(nats, connect(before));
    await publisher.publishPaced('acme', 1, 5, [client]);
    file(authority, 'secret', `${after}\n`);
    nats.reload(config(after));
    await sluice.untilMetric('sluice_nats_disconnects_total', {}, (value) => value >= 1);
    await sluice.untilHealth('ok');
    const again = await world.publisher(nats, connect(after));
    await again.publishPaced('acme', 6, 10, [client]);
    assert.deepEqual(numbersOf(client.events), range(1, 10));
    assert.deepEqual(client.gaps.map((gap) => gap.reason), ['source']);
    assertNoSecret(sluice, [before, after]);
  });
}

e2e('NATS: TLS with a certificate of our own', async (world) => {
  const authority = authorityOf(world);
  const server = authority.issue('DNS:localhost', 'IP:127.0.0.1');
  const client = authority.issue('DNS:bridge');
  const nats = await world.nats({ config: tlsConfig(server, true) });
  const files = { NATS_TLS_CA_FILE: authority.caFile, NATS_TLS_CERT_FILE: client.certFile, NATS_TLS_KEY_FILE: client.keyFile };
  for (const host of ['localhost', '127.0.0.1']) {
    const sluice = await world.sluice({ nats, env: { NATS_URL: `tls://${host}:${nats.port}`, ...files } });
    await assertFlows(world, sluice, nats, { tls: client });
    await sluice.stop();
  }
});

const WRONG_SERVERS = {
  'another authority vouches for': () => new Authority('An impostor'),
  'is for another host': (authority) => authority,
};

for (const [what, authorityFor] of Object.entries(WRONG_SERVERS)) {
  e2e(`NATS: a certificate that ${what} is refused and told, until the right one comes`, async (world) => {
    const authority = authorityOf(world);
    const other = authorityFor(authority);
    world.own(() => other.dispose());
    const wrong = other === authority ? other.issue('DNS:other.example') : other.issue('DNS:localhost');
    const nats = await world.nats({ config: tlsConfig(wrong) });
    const env = { NATS_URL: `tls://localhost:${nats.port}`, NATS_TLS_CA_FILE: authority.caFile };
    const sluice = await world.sluice({ nats, env, until: 'unavailable' });
    await assertTold(sluice, /TLS failed/);
    await nats.reconfigure(tlsConfig(authority.issue('DNS:localhost')));
    await sluice.untilHealth('ok');
    await assertFlows(world, sluice, nats, { servers: `localhost:${nats.port}`, tls: { caFile: authority.caFile } });
  });
}

e2e('NATS: a server without TLS gets nothing from a bridge that was told to use it', async (world) => {
  const nats = await world.nats();
  const env = { NATS_URL: `tls://127.0.0.1:${nats.port}` };
  const sluice = await world.sluice({ nats, env, until: 'unavailable' });
  await assertTold(sluice, /the server has no TLS/);
});

e2e('NATS: a server that stalls the TLS handshake does not keep Sluice from ending', async (world) => {
  const port = await freePort();
  const sockets = new Set();
  const info = { server_id: 'X', version: '2.9.10', host: '127.0.0.1', port, max_payload: 1048576, tls_required: true };
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  world.own(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const env = { NATS_URL: `tls://127.0.0.1:${port}`, DRAIN_SECONDS: '2' };
  const sluice = await world.sluice({ env, until: 'unavailable' });
  await sluice.stop();
  await sluice.untilLog((line) => /its server stalls/.test(line.message), 'why the end took so long');
});

/** That what was published is stored in Redis, and comes back from there. */
async function assertReplays(world, sluice, nats, redis, { database = 0, company = 'acme' } = {}) {
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company });
  const start = client.lastEventId;
  await publisher.publishPaced(company, 1, 200, [client], { more: { text: 'x'.repeat(2000) } });
  await eventually(async () => {
    const keys = await redis.command('INFO', 'keyspace');
    return keys.includes(`db${database}:`) && (await sluice.metrics()).value('sluice_replay_backlog_bytes') === 0;
  }, `events in database ${database}`);
  const back = await world.liveStream(sluice, { company, lastEventId: start });
  await back.untilEvents(200);
  assert.deepEqual(numbersOf(back.events), numbersOf(client.events));
}

const ACL_SECRET = 'p%s:w/rd@ \\"secret';
const acl = (password) => ['--user', 'bridge', 'on', `>${password}`, '~sluice:*', '+@all', '-@dangerous'];
const redisTls = (port, { certFile, keyFile, caFile }, auth = 'no') => [
  ...['--tls-port', String(port), '--tls-cert-file', certFile, '--tls-key-file', keyFile],
  ...['--tls-ca-cert-file', caFile, '--tls-auth-clients', auth],
];
/** Small pages of memory, so that a replay has to come from Redis. */
const FROM_REDIS = { RECENT_EVENTS: '16', RECENT_BYTES: '65536' };

e2e('Redis: user, password and database, a wrong password told and mended without a restart', async (world) => {
  const authority = authorityOf(world);
  const nats = await world.nats();
  const redis = await world.redis({ settings: acl('wrong') });
  const env = {
    REDIS_URL: `redis://bridge@127.0.0.1:${redis.port}/3`,
    REDIS_PASSWORD_FILE: file(authority, 'redis-password', `${SECRET.replaceAll(' ', '')}\n`),
    ...FROM_REDIS,
  };
  const sluice = await world.sluice({ nats, env, until: 'degraded' });
  await assertTold(sluice, /WRONGPASS; compare the user in REDIS_URL and REDIS_PASSWORD/, [SECRET.replaceAll(' ', '')]);
  await redis.command('ACL', 'SETUSER', 'bridge', `>${SECRET.replaceAll(' ', '')}`);
  await sluice.untilHealth('ok');
  await assertReplays(world, sluice, nats, redis, { database: 3 });
});

e2e('Redis: a password that changes while it is used is taken from its file again', async (world) => {
  const authority = authorityOf(world);
  const [before, after] = ['the-first-one', 'the-second-one'];
  const [nats, redis] = await Promise.all([world.nats(), world.redis({ settings: acl(before) })]);
  await redis.command('ACL', 'SETUSER', 'bridge', '&*');
  const place = file(authority, 'redis-password', before);
  const env = { REDIS_URL: `redis://bridge@127.0.0.1:${redis.port}`, REDIS_PASSWORD_FILE: place, ...FROM_REDIS };
  const sluice = await world.sluice({ nats, env });
  const publisher = await world.publisher(nats);
  const client = await world.liveStream(sluice, { company: 'acme' });
  const start = client.lastEventId;
  await publisher.publishPaced('acme', 1, 50, [client]);
  await redis.untilStored('acme', 50);

  // Both connections are ended: that of the replay store, and that for tickets, limits and revocations.
  await redis.command('ACL', 'SETUSER', 'bridge', 'resetpass', `>${after}`);
  await redis.command('CLIENT', 'KILL', 'USER', 'bridge');
  await assertTold(sluice, /WRONGPASS; compare the user in REDIS_URL and REDIS_PASSWORD/, [before, after]);
  await sluice.untilHealth('degraded');
  await sluice.untilMetric('sluice_shared_connected', {}, (value) => value === 0);
  await publisher.publishPaced('acme', 51, 100, [client]);

  file(authority, 'redis-password', `${after}\n`);
  await sluice.untilHealth('ok');
  await sluice.untilMetric('sluice_shared_connected', {}, (value) => value === 1);
  await publisher.publishPaced('acme', 101, 120, [client]);
  await redis.untilStored('acme', 120);
  const back = await world.liveStream(sluice, { company: 'acme', lastEventId: start });
  assertExactly(back, range(1, 120));
  assertExactly(client, range(1, 120));
  assertNoSecret(sluice, [before, after]);
});

e2e('Redis: a password in the URL, and one for the socket of this machine', async (world) => {
  const nats = await world.nats();
  const directory = authorityOf(world).directory;
  const socket = path.join(directory, 'redis.sock');
  const redis = await world.redis({ settings: ['--unixsocket', socket] });
  await redis.command('ACL', 'SETUSER', 'bridge', 'on', `>${ACL_SECRET}`, '~sluice:*', '&*', '+@all');
  const login = `bridge:${encodeURIComponent(ACL_SECRET)}@`;
  for (const [url, company, database] of [
    [`redis://${login}127.0.0.1:${redis.port}/1`, 'acme', 1],
    [`unix://${login}${socket}?db=2`, 'bolt', 2],
    [`redis+unix://${socket}`, 'core', 0],
  ]) {
    const sluice = await world.sluice({ nats, env: { REDIS_URL: url, ...FROM_REDIS } });
    await assertReplays(world, sluice, nats, redis, { company, database });
    assertNoSecret(sluice, [ACL_SECRET, encodeURIComponent(ACL_SECRET)]);
    await sluice.stop();
  }
});

e2e('Redis: TLS with a certificate of our own, by name and by address', async (world) => {
  const authority = authorityOf(world);
  const client = authority.issue('DNS:bridge');
  const nats = await world.nats();
  const port = await freePort();
  const server = authority.issue('DNS:localhost', 'IP:127.0.0.1');
  const redis = await world.redis({ settings: redisTls(port, server, 'yes') });
  const files = { REDIS_TLS_CA_FILE: authority.caFile, REDIS_TLS_CERT_FILE: client.certFile, REDIS_TLS_KEY_FILE: client.keyFile };
  for (const host of ['localhost', '127.0.0.1']) {
    const sluice = await world.sluice({ nats, env: { REDIS_URL: `rediss://${host}:${port}`, ...files, ...FROM_REDIS } });
    await assertReplays(world, sluice, nats, redis, { company: host.replaceAll('.', '-') });
    await sluice.stop();
  }
  const bare = { REDIS_URL: `rediss://localhost:${port}`, REDIS_TLS_CA_FILE: authority.caFile };
  const refused = await world.sluice({ nats, env: bare, until: 'degraded' });
  await assertTold(refused, /certificate required/);
});

for (const [what, authorityFor] of Object.entries(WRONG_SERVERS)) {
  e2e(`Redis: a certificate that ${what} is refused and told, until the right one comes`, async (world) => {
    const authority = authorityOf(world);
    const other = authorityFor(authority);
    world.own(() => other.dispose());
    const wrong = other === authority ? other.issue('DNS:other.example') : other.issue('DNS:localhost');
    const nats = await world.nats();
    const port = await freePort();
    const redis = await world.redis({ settings: redisTls(port, wrong) });
    const env = { REDIS_URL: `rediss://localhost:${port}`, REDIS_TLS_CA_FILE: authority.caFile, ...FROM_REDIS };
    const sluice = await world.sluice({ nats, env, until: 'degraded' });
    await assertTold(sluice, /compare REDIS_TLS_CA_FILE and the host in REDIS_URL.*TLS failed/);
    await redis.reconfigure(redisTls(port, authority.issue('DNS:localhost')));
    await sluice.untilHealth('ok');
    await assertReplays(world, sluice, nats, redis);
  });
}

e2e('Redis: a server that stalls the TLS handshake is given up in time', async (world) => {
  const [nats, redis] = await Promise.all([world.nats(), world.redis()]);
  const proxy = await world.proxy(redis.port);
  proxy.stall();
  const env = { REDIS_URL: `rediss://localhost:${proxy.port}`, REDIS_TIMEOUT_MS: '200' };
  const sluice = await world.sluice({ nats, env, until: 'degraded' });
  await assertTold(sluice, /no answer in time/);
  await eventually(() => proxy.accepted > 2, 'further attempts');
});

e2e('settings of an identity that contradict each other, or name a file that is not there, stop the start', async () => {
  const refused = async (env, pattern) => {
    const { code, stderr } = await runSluice({ args: ['--check-config'], env: { AUTH_MODE: 'none', ...env } });
    assert.equal(code, 2, stderr);
    assert.match(stderr, pattern);
    assert.ok(!stderr.includes(SECRET) && !stderr.includes(WRONG), stderr);
  };
  await refused({ NATS_USER: 'u', NATS_PASSWORD: SECRET, NATS_TOKEN: WRONG }, /more than one of them says who we are/);
  await refused({ NATS_USER: 'u' }, /NATS_USER: is given without NATS_PASSWORD/);
  await refused({ NATS_PASSWORD: SECRET, NATS_PASSWORD_FILE: '/etc/hostname' }, /NATS_PASSWORD: is given, and NATS_PASSWORD_FILE too/);
  await refused({ NATS_TOKEN_FILE: '/does/not/exist' }, /NATS_TOKEN_FILE: cannot read \/does\/not\/exist: No such file/);
  await refused({ NATS_TLS_CA_FILE: '/etc/hostname' }, /expected tls:\/\/ there/);
  await refused({ NATS_URL: 'tls://a,nats://b' }, /mixes tls:\/\/ and nats:\/\//);
  await refused({ REDIS_URL: `redis://:${WRONG}@h`, REDIS_PASSWORD: SECRET }, /REDIS_PASSWORD: is given, and REDIS_URL has/);
  await refused({ REDIS_URL: `redis+sentinel://:${WRONG}@h,i/m`, REDIS_PASSWORD: SECRET }, /REDIS_PASSWORD: is given, and/);
  await refused({ REDIS_URL: 'redis+cluster://h', REDIS_SENTINEL_PASSWORD: SECRET }, /REDIS_URL names no Sentinels/);
  await refused({ REDIS_URL: `redis+sentinel://:${SECRET}@h,i/m` }, /redis\[s\]\+sentinel:\/\//);
  await refused({ REDIS_URL: 'redis+sentinel://h/m', REDIS_TLS_CA_FILE: '/etc/hostname' }, /REDIS_URL does not use TLS/);
});
