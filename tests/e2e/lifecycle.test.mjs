// Starting, running and stopping: what an operator sees.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ADMIN_ENV, adminPort } from '../support/access.mjs';
import { forEachCase } from '../support/cases.mjs';
import { assertExactly, numbersOf, payload, range } from '../support/events.mjs';
import { request, requestBytes } from '../support/http.mjs';
import { freePort } from '../support/process.mjs';
import { runSluice } from '../support/sluice.mjs';
import { SseClient } from '../support/sse.mjs';
import { eventually, pause } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const wide = { more: { text: 'w'.repeat(1000) } };
const beats = (client) => client.blocks.filter((block) => block.comments.includes('heartbeat')).length;

for (const signal of ['SIGTERM', 'SIGINT']) {
  e2e(`${signal} tells each client, ends each stream cleanly and exits 0`, async (world) => {
    const { sluice, publisher } = await world.bridge({ store: 'redis' });
    const clients = [];
    for (let i = 0; i < 12; i++) {
      clients.push(await world.liveStream(sluice, { company: 'acme', version: i % 2 ? '1.0' : '1.1' }));
    }
    await publisher.publishPaced('acme', 1, 3, clients);
    sluice.child.signal(signal);
    for (const client of clients) {
      await client.untilClosed();
      const last = client.blocks.filter((block) => block.kind === 'control').at(-1);
      assert.equal(last.event, 'stream.closing');
      assert.equal(last.json.reason, 'shutdown');
      assert.ok(Number.isInteger(last.json.retryMs) && last.json.retryMs > 0);
      assertExactly(client, [1, 2, 3]);
    }
    const delays = clients.map((client) => client.controls('stream.closing')[0].json.retryMs);
    assert.ok(new Set(delays).size > 1, `all are told to come back after ${delays[0]} ms`);
    await sluice.checkExit();
  });
}

e2e('a shutdown sends its clients away over the time that is set', async (world) => {
  const env = { DRAIN_SPREAD_SECONDS: '20', RETRY_MS: '500' };
  const { sluice } = await world.bridge({ env });
  const clients = await Promise.all(range(1, 100).map(() => world.liveStream(sluice, { company: 'acme' })));
  sluice.child.signal('SIGTERM');
  await Promise.all(clients.map((client) => client.untilClosed()));
  const delays = clients.map((client) => {
    const block = client.blocks.find(({ event }) => event === 'stream.closing');
    assert.equal(block.json.reason, 'shutdown');
    assert.match(block.raw, new RegExp(`^retry: ${block.json.retryMs}$`, 'm'));
    return block.json.retryMs;
  });
  delays.sort((a, b) => a - b);
  assert.ok(delays[0] >= 500 && delays.at(-1) < 20_500, `${delays[0]} to ${delays.at(-1)}`);
  // Each quarter has its share: about 25 of them.
  for (let quarter = 0; quarter < 4; quarter++) {
    const from = 500 + quarter * 5000;
    const share = delays.filter((delay) => delay >= from && delay < from + 5000).length;
    assert.ok(share >= 5, `${share} of 100 between ${from} and ${from + 5000} ms`);
  }
  assert.ok(new Set(delays).size > 80, 'each is told another time');
  await sluice.checkExit();
});

e2e('a stream that has reached its age ends, and its client comes back without a loss', async (world) => {
  const { sluice, publisher } = await world.bridge({ store: 'redis', env: { MAX_STREAM_AGE_SECONDS: '2' } });
  const seen = [];
  let cursor;
  for (let life = 0; life < 2; life++) {
    const client = await world.liveStream(sluice, { company: 'acme', lastEventId: cursor });
    for (let n = life * 10 + 1; n <= life * 10 + 10; n++) await publisher.publish('metrics.x', payload('acme', n));
    await client.untilClosed();
    const closing = client.controls('stream.closing')[0].json;
    assert.equal(closing.reason, 'max_age');
    assert.ok(closing.retryMs > 0);
    assert.deepEqual(client.gaps, []);
    seen.push(...client.events);
    cursor = client.lastEventId;
  }
  const last = await world.liveStream(sluice, { company: 'acme', lastEventId: cursor });
  assert.deepEqual(numbersOf([...seen, ...last.events]), range(1, 20));
  assert.equal((await sluice.metrics()).value('sluice_connections_closed_total', { reason: 'max_age' }), 2);
});

e2e('a client that never reads does not keep the process', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { DRAIN_SECONDS: '2' } });
  const witness = await world.liveStream(sluice, { company: 'acme' });
  const stuck = await world.liveStream(sluice, { company: 'acme' });
  stuck.stopReading();
  await publisher.publishPaced('acme', 1, 1000, [witness], wide);
  sluice.child.signal('SIGTERM');
  await witness.untilClosed();
  assert.equal(witness.controls('stream.closing').length, 1);
  await sluice.checkExit();
});

e2e('a request that is accepted while draining ends cleanly, and readiness is gone', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { DRAIN_SECONDS: '5' } });
  const witness = await world.liveStream(sluice, { company: 'acme' });
  const stuck = await world.liveStream(sluice, { company: 'acme' });
  stuck.stopReading();
  await publisher.publishPaced('acme', 1, 1000, [witness], wide);
  const probe = await world.connection(sluice);
  await probe.request({ target: '/stream/health/ready' });
  const connection = await world.connection(sluice);
  await connection.request({ target: '/stream/health/ready' });
  sluice.child.signal('SIGTERM');
  await witness.untilControl('stream.closing');
  probe.send(requestBytes({ target: '/stream/health/ready' }));
  const late = new SseClient(sluice.port, { company: 'acme', connection });
  // Each is either not taken any more, or answered as the contract says.
  const ready = (await probe.untilClosed()).toString('latin1');
  if (ready) assert.match(ready, /^HTTP\/1\.1 503 /);
  await late.waitFor(() => late.closed, 'the end');
  if (late.head) {
    assert.equal(late.status, 200);
    assert.equal(late.headers.get('Content-Type'), 'text/event-stream');
    await late.untilClosed();
    assert.ok(late.blocks[0].retry > 0);
  }
  await sluice.checkExit();
});

e2e('readiness is gone at both addresses while draining', async (world) => {
  const env = { ...ADMIN_ENV, DRAIN_SECONDS: '20' };
  const { sluice, publisher } = await world.bridge({ env });
  const witness = await world.liveStream(sluice, { company: 'acme' });
  const stuck = await world.liveStream(sluice, { company: 'acme' });
  stuck.stopReading();
  await publisher.publishPaced('acme', 1, 2000, [witness], wide);
  const port = await adminPort(sluice);
  assert.equal((await request(port, '/stream/health/ready')).status, 200);
  sluice.child.signal('SIGTERM');
  await eventually(async () => {
    const { status, body } = await request(port, '/stream/health/ready');
    return status === 503 && JSON.parse(body).reason === 'draining';
  }, 'readiness to say no');
  stuck.leave();
  await sluice.checkExit();
});

e2e('events that NATS had taken before the stop are in the replay after the next start', async (world) => {
  const { nats, redis, sluice, publisher } = await world.bridge({ store: 'redis' });
  const client = await world.liveStream(sluice, { company: 'acme' });
  const start = client.lastEventId;
  await publisher.publishRange('acme', 1, 500);
  await sluice.stop();
  await redis.untilStored('acme', 500);
  const next = await world.sluice({ nats, redis });
  const back = await world.liveStream(next, { company: 'acme', lastEventId: start });
  await back.untilEvents(500);
  assert.deepEqual(back.events.map((event) => event.position.seq), range(1, 500));
});

e2e('what NATS has not sent yet when the stop comes is waited for, also by a replica that has just begun', async (world) => {
  const [nats, redis] = await Promise.all([world.nats(), world.redis()]);
  const proxy = await world.proxy(nats.port);
  const sluice = await world.sluice({ nats: { url: `nats://127.0.0.1:${proxy.port}` }, redis });
  const publisher = await world.publisher(nats);
  await world.liveStream(sluice, { company: 'acme' });
  proxy.stall();
  await publisher.publishRange('acme', 1, 500);
  sluice.child.signal('SIGTERM');
  await sluice.untilLog((line) => line.message === 'Draining', 'the drain');
  await pause(300); // It has no reason to be here still but what NATS has for it.
  assert.equal(sluice.isRunning, true);
  proxy.resume();
  await sluice.checkExit();
  await redis.untilStored('acme', 500);
});

e2e('a second signal during the drain does no harm', async (world) => {
  const { sluice } = await world.bridge();
  const client = await world.liveStream(sluice, { company: 'acme' });
  sluice.child.signal('SIGTERM');
  sluice.child.signal('SIGTERM');
  await client.waitFor(() => client.closed, 'the end');
  const exit = await sluice.child.waitForExit();
  sluice.checkOutput();
  assert.equal(exit.code, 0);
});

e2e('it stops at once with NATS and Redis both away', async (world) => {
  // Three quarters of it would be longer than this test waits.
  const { nats, redis, sluice } = await world.bridge({ store: 'redis', env: { DRAIN_SECONDS: '60' } });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await Promise.all([nats.kill(), redis.kill()]);
  await sluice.untilHealth('unavailable');
  sluice.child.signal('SIGTERM');
  await client.untilClosed();
  assert.equal(client.controls('stream.closing')[0].json.reason, 'shutdown');
  await sluice.checkExit();
});

e2e('heartbeats come on a quiet stream, and never inside an event', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { HEARTBEAT_SECONDS: '1' } });
  const quiet = await world.liveStream(sluice, { company: 'quiet' });
  const bare = await world.liveStream(sluice, { company: 'quiet', version: '1.0' });
  const busy = await world.liveStream(sluice, { company: 'acme' });
  let n = 0;
  while (beats(quiet) < 3 || beats(bare) < 3) {
    await publisher.publishPaced('acme', n + 1, n + 50, [busy], wide);
    n += 50;
  }
  assertExactly(busy, range(1, n));
  for (const client of [quiet, bare]) {
    const beat = client.blocks.find((block) => block.comments.length);
    assert.equal(beat.raw, ':heartbeat\n\n');
    assert.deepEqual(client.events, []);
  }
});

e2e('a client that stopped reading is closed as idle, a quiet one that reads is not', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { HEARTBEAT_SECONDS: '1', IDLE_TIMEOUT_SECONDS: '2' } });
  const quiet = await world.liveStream(sluice, { company: 'quiet' });
  const witness = await world.liveStream(sluice, { company: 'acme' });
  const stuck = await world.liveStream(sluice, { company: 'acme' });
  stuck.stopReading();
  await publisher.publishPaced('acme', 1, 1500, [witness], wide);
  await sluice.untilConnections(2);
  await quiet.waitFor(() => beats(quiet) >= 4, 'heartbeats far beyond the idle time');
  assert.equal(quiet.closed, false);
  assert.equal(witness.closed, false);
  assert.equal((await sluice.metrics()).value('sluice_connections_closed_total', { reason: 'idle' }), 1);
});

e2e('every bad setting is named at once, and the start is refused', async () => {
  const bad = {
    AUTH_MODE: 'none',
    PORT_ANALYTICS: '70000',
    HEARTBEAT_SECONDS: 'soon',
    BUFFER_EVENTS: '-1',
    MAX_EVENT_BYTES: '12x',
    NATS_URL: 'http://localhost',
    REDIS_URL: 'redis://user:hunter2@:notaport',
    LOG_LEVEL: 'loud',
    STREAMING_ENABLED: 'perhaps',
    EVENT_NAMES: 'metrics.*',
    CORS_ORIGINS: 'not an origin',
    NATS_SUBJECTS: 'a..b',
  };
  for (const args of [[], ['--check-config']]) {
    const { code, stdout, stderr } = await runSluice({ args, env: bad });
    assert.notEqual(code, 0);
    for (const name of Object.keys(bad)) {
      if (name !== 'AUTH_MODE') assert.match(stderr, new RegExp(`\\b${name}\\b`), `${name} is not named: ${stderr}`);
    }
    for (const value of ['70000', 'soon', '12x', 'loud', 'perhaps']) assert.ok(stderr.includes(value), value);
    assert.doesNotMatch(stdout + stderr, /hunter2/);
  }
});

e2e('each bad setting alone refuses the start', async () => {
  const cases = [
    ['AUTH_MODE', 'jwt'],
    ['AUTH_MODE', 'None at all'],
    ['PORT_ANALYTICS', 'x'],
    ['DEAD_LETTER_SUBJECT', 'metrics.dead'],
    ['DEAD_LETTER_SUBJECT', 'dead.*'],
    ['EVENT_NAMES', 'metrics.*=error'],
    ['EVENT_NAMES', 'metrics.*=open'],
    ['EVENT_NAMES', 'metrics.*=message'],
    ['EVENT_NAMES', 'metrics.*=stream.ready'],
    ['EVENT_NAMES', 'metrics.*=two words\nid: 5'],
    ['OVERLOAD_ANSWER', 'maybe'],
    ['LOG_FORMAT', 'xml'],
    ['RETRY_MS', '1.5'],
    ['HEARTBEAT_SECONDS', '0x10'],
    ['BUFFER_EVENTS', '99999999999999999999'],
    ['DRAIN_SECONDS', ' '],
    ['REDIS_URL', 'redis://localhost:notaport'],
    ['REDIS_URL', 'redis://localhost:99999'],
    ['REDIS_URL', 'http://localhost:6379'],
    ['NATS_URL', 'nats://localhost:notaport'],
    ['NATS_URL', 'nats://localhost:99999'],
    ['BIND_ADDRESS', 'nowhere'],
  ];
  await forEachCase(cases, async ([name, value]) => {
    const env = { AUTH_MODE: 'none', REDIS_URL: '', [name]: value };
    const { code, stderr } = await runSluice({ args: ['--check-config'], env });
    assert.notEqual(code, 0, `${name}=${value} is accepted`);
    assert.ok(stderr.includes(name), `${name}=${value}: ${stderr}`);
  });
});

e2e('without AUTH_MODE it refuses to start and says what to do', async () => {
  for (const env of [{}, { AUTH_MODE: '' }]) {
    const { code, stderr } = await runSluice({ env: { PORT_ANALYTICS: '0', ...env } });
    assert.notEqual(code, 0);
    assert.match(stderr, /AUTH_MODE/);
    assert.match(stderr, /none/);
  }
});

const SETTINGS = [
  ...['STREAMING_ENABLED', 'PORT_ANALYTICS', 'BIND_ADDRESS', 'NATS_URL', 'NATS_SUBJECTS', 'EVENT_NAMES', 'REDIS_URL'],
  ...['DEAD_LETTER_SUBJECT', 'REPLAY_TTL_SECONDS', 'REPLAY_MAX_EVENTS', 'REPLAY_MAX_BYTES', 'REPLAY_BACKLOG_BYTES'],
  ...['SOURCE_PENDING_EVENTS', 'RECENT_EVENTS', 'RECENT_BYTES', 'MAX_EVENT_BYTES', 'BUFFER_EVENTS', 'BUFFER_BYTES'],
  ...['SOCKET_BUFFER_BYTES', 'FLUSH_WINDOW_MS', 'HEARTBEAT_SECONDS', 'IDLE_TIMEOUT_SECONDS', 'RETRY_MS', 'WORKERS'],
  ...['MAX_CONNECTIONS', 'AUTH_MODE', 'CORS_ORIGINS', 'LOG_LEVEL', 'LOG_FORMAT', 'DRAIN_SECONDS'],
  ...['REQUEST_HEAD_SECONDS', 'OVERLOAD_ANSWER'],
];

e2e('--help tells every setting, --version the version', async () => {
  const help = await runSluice({ args: ['--help'] });
  assert.equal(help.code, 0);
  for (const name of SETTINGS) {
    assert.match(help.stdout, new RegExp(`\\b${name}\\b`), `${name} as a variable`);
    const flag = `--${name.toLowerCase().replaceAll('_', '-')}`;
    assert.ok(help.stdout.includes(flag), `${flag} as a flag`);
  }
  const version = await runSluice({ args: ['--version'] });
  assert.equal(version.code, 0);
  assert.match(version.stdout, /\b\d+\.\d+\.\d+\b/);
});

e2e('docs/configuration.md is what --write-docs prints', async () => {
  const { code, stdout } = await runSluice({ args: ['--write-docs'] });
  assert.equal(code, 0);
  assert.equal(readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8'), stdout);
});

e2e('--check-config accepts a good configuration and starts nothing', async () => {
  const port = await freePort();
  const env = { AUTH_MODE: 'none', PORT_ANALYTICS: String(port), REDIS_URL: '' };
  const { code, stderr } = await runSluice({ args: ['--check-config'], env });
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stderr, /listening/);
});

e2e('an unknown flag, a flag without its value and a stray word are refused', async () => {
  for (const args of [['--no-such-thing', '5'], ['--port-analytics'], ['stray'], ['--heartbeat-seconds', 'soon']]) {
    const { code, stderr } = await runSluice({ args, env: { AUTH_MODE: 'none' } });
    assert.notEqual(code, 0, args.join(' '));
    assert.notEqual(stderr, '');
  }
});

e2e('every setting can be given as a flag', async (world) => {
  const nats = await world.nats();
  const args = ['--nats-url', nats.url, '--redis-url', '', '--auth-mode', 'none', '--heartbeat-seconds', '1'];
  const sluice = await world.sluice({
    env: { NATS_URL: '', REDIS_URL: '', AUTH_MODE: '' },
    args: [...args, '--retry-ms=3000'],
  });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await client.waitFor(() => beats(client) >= 1, 'a heartbeat');
});

e2e('an empty variable is an unset one', async (world) => {
  const { sluice } = await world.bridge({ env: { HEARTBEAT_SECONDS: '', BUFFER_EVENTS: '', CORS_ORIGINS: '', LOG_LEVEL: '' } });
  await world.liveStream(sluice, { company: 'acme' });
});

e2e('a port that is taken is said in clear words', async (world) => {
  const { sluice } = await world.bridge();
  const { code, stderr } = await runSluice({ env: { ...sluice.env, PORT_ANALYTICS: String(sluice.port) } });
  assert.notEqual(code, 0);
  assert.match(stderr, new RegExp(String(sluice.port)));
  assert.match(stderr, /in use/i);
});

e2e('the log is JSON lines with the messages that people grep for', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { LOG_LEVEL: 'debug' } });
  const first = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publishPaced('acme', 1, 2, [first]);
  const [{ id }] = first.events;
  const second = await world.liveStream(sluice, { company: 'acme', lastEventId: id });
  const { connectionId } = await second.ready();
  const opened = (line) => line.message === 'SSE connection established' && line.connectionId === connectionId;
  const established = await sluice.untilLog(opened, 'the connection');
  assert.equal(established.level, 'info');
  assert.equal(established.companyId, 'acme');
  assert.equal(established.lastEventId, id);

  await eventually(() => sluice.logs.some((line) => line.message === 'Broadcast complete'), 'the first broadcast');
  const before = sluice.logs.length;
  await publisher.publishPaced('acme', 3, 3, [first, second]);
  // Each worker tells of its own streams.
  const broadcasts = await eventually(() => {
    const lines = sluice.logs.slice(before).filter((line) => line.message === 'Broadcast complete');
    return lines.reduce((sum, line) => sum + line.recipients, 0) === 2 && lines;
  }, 'a broadcast to two recipients');
  for (const line of broadcasts) {
    assert.equal(line.level, 'debug');
    assert.equal(line.companyId, 'acme');
  }

  second.leave();
  const closed = await sluice.untilLog(
    (line) => line.message === 'SSE connection closed' && line.connectionId === connectionId,
    'the close',
  );
  assert.equal(closed.level, 'info');
  assert.equal(closed.companyId, 'acme');

  await sluice.stop();
  assert.deepEqual(sluice.otherLines, [], 'lines that are not JSON');
  for (const line of sluice.logs) {
    assert.ok(['debug', 'info', 'warn', 'error'].includes(line.level), JSON.stringify(line));
    assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
    assert.equal(typeof line.message, 'string');
  }
});

e2e('a client cannot forge log lines', async (world) => {
  const { sluice } = await world.bridge({ env: { LOG_LEVEL: 'debug' } });
  const evil = 'x%0a{"level":"error","message":"forged"}%0d%00%1b[31m"\\';
  const client = await world.liveStream(sluice, { company: 'acme', query: [['lastEventId', evil]] });
  await world.liveStream(sluice, { company: 'acme', lastEventId: '\x80\xff"}\\' });
  client.leave();
  await sluice.get(`/${evil}`);
  await sluice.stop();
  assert.deepEqual(sluice.otherLines, []);
  assert.ok(!sluice.logs.some((line) => line.message === 'forged'));
  assert.doesNotMatch(sluice.child.stderr, /[\0-\x09\x0b-\x1f\x7f]/);
});

e2e('LOG_LEVEL and LOG_FORMAT are heeded', async (world) => {
  const { sluice } = await world.bridge({ env: { LOG_LEVEL: 'info' } });
  const client = await world.liveStream(sluice, { company: 'acme' });
  client.leave();
  await sluice.untilLog((line) => line.message === 'SSE connection closed', 'the close');
  assert.ok(!sluice.logs.some((line) => line.level === 'debug'));
  const text = await runSluice({ env: { ...sluice.env, LOG_FORMAT: 'text', PORT_ANALYTICS: String(sluice.port) } });
  assert.notEqual(text.stderr, '');
  for (const line of text.stderr.trimEnd().split('\n')) assert.ok(!line.startsWith('{'), line);
});

e2e('no password appears in the log', async (world) => {
  const sluice = await world.sluice({
    env: {
      NATS_URL: 'nats://bridge:secret-of-nats@127.0.0.1:1',
      REDIS_URL: 'redis://bridge:secret-of-redis@127.0.0.1:1',
      LOG_LEVEL: 'debug',
    },
    until: 'unavailable',
  });
  await world.liveStream(sluice, { company: 'acme' });
  await sluice.stop();
  assert.doesNotMatch(sluice.child.stderr, /secret-of/);
});

e2e('a message that arrives with no stream open is kept all the same', async (world) => {
  const { redis, sluice, publisher } = await world.bridge({ store: 'redis' });
  await publisher.publish('metrics.x', payload('acme', 1));
  await redis.untilStored('acme', 1);
  const stats = await sluice.stats();
  assert.equal(stats.connections.totalConnections, 0);
});
