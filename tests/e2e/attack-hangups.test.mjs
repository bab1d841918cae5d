// Clients that go away, or hold their tongue, at each step between connecting and streaming; and Redis going away under
// them. Whatever was counted in for them is counted out again: with one stream a user, the next one gets in.

import assert from 'node:assert/strict';
import { assertRefused, besieged, untilStreams } from '../support/attacks.mjs';
import { assertExactly, range } from '../support/events.mjs';
import { HttpConnection, request, requestBytes } from '../support/http.mjs';
import { bearer, JWT_ENV, token } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const WITNESS = [bearer(token({ companyId: 'witness', sub: 'w' }))];
const GOOD = bearer(token({ companyId: 'acme', sub: 'u1' }));
const TARGET = '/stream/updates?companyId=acme';
const ENV = { ...JWT_ENV, MAX_CONNECTIONS_PER_USER: '1', REQUEST_HEAD_SECONDS: '2', REDIS_TIMEOUT_MS: '1000' };

/** As world.redis(), reached through a proxy that can stall it. */
async function stallableRedis(world) {
  const server = await world.redis();
  const proxy = await world.proxy(server.port);
  return { server, proxy, url: `redis://127.0.0.1:${proxy.port}`, untilStored: (...args) => server.untilStored(...args) };
}

function streamBytes(headers = [GOOD], target = TARGET) {
  return requestBytes({ target, headers });
}

/** Waits until the user of GOOD gets a stream: nothing of what went before is counted any more. */
async function untilLetIn(world, sluice, options = {}) {
  const client = await eventually(async () => {
    const each = await world.stream(sluice, { company: 'acme', headers: [GOOD], ...options });
    const isStream = each.status === 200 && each.missingBytes === undefined;
    if (!isStream) each.leave();
    if (!isStream && each.status !== 200) assert.equal(each.status, 429, each.errorBody);
    return isStream && each;
  }, 'the next stream of the user');
  await client.ready();
  client.leave();
  await untilStreams(sluice, 1);
}

async function connectionTo(world, sluice) {
  const connection = await HttpConnection.open(sluice.port);
  world.own(() => connection.destroy());
  return connection;
}

async function askTicket(sluice) {
  const answer = await request(sluice.port, { method: 'POST', target: '/stream/ticket', headers: [GOOD] });
  assert.equal(answer.status, 200, answer.body);
  return answer.json().ticket;
}

const STEPS = {
  'behind connecting': async () => {},
  'in the request line': async (connection) => connection.send('GET /stream/upd'),
  'in its token': async (connection) => connection.send(streamBytes().subarray(0, 200)),
  'in front of the last byte of the head': async (connection) => connection.send(streamBytes().subarray(0, -1)),
  'right behind the head': async (connection) => connection.send(streamBytes()),
  'behind the head and more': async (connection) => connection.send(Buffer.concat([streamBytes(), streamBytes()])),
  'behind the response head': async (connection) => {
    connection.send(streamBytes());
    await connection.streamHead();
  },
  'in the replay': async (connection, lastEventId) => {
    connection.send(streamBytes([GOOD, ['Last-Event-ID', lastEventId]]));
    await connection.streamHead();
    connection.socket.pause();
  },
  'while it asks for a ticket': async (connection) =>
    connection.send(requestBytes({ method: 'POST', target: '/stream/ticket', headers: [GOOD] })),
};

const ENDS = {
  closes: (connection) => connection.destroy(),
  resets: (connection) => connection.socket.resetAndDestroy(),
  // Its side alone: it would go on reading. A stream ends then, since who asks for nothing more is mostly gone.
  'half-closes': (connection) => connection.socket.end(),
};

for (const store of ['memory', 'redis']) {
  e2e(`a client that goes away at any step is counted out (${store})`, async (world) => {
    const { sluice, holds, publisher, redis } = await besieged(world, { store, env: ENV, headers: WITNESS });
    const history = await world.liveStream(sluice, { company: 'acme', headers: [GOOD] });
    await publisher.publishPaced('acme', 1, 600, [history], { more: { text: 'h'.repeat(2000) } });
    if (redis) await redis.untilStored('acme', 600);
    const [first] = history.events;
    history.leave();
    await untilLetIn(world, sluice);
    for (const [step, walk] of Object.entries(STEPS)) {
      for (const [end, leave] of Object.entries(ENDS)) {
        const connection = await connectionTo(world, sluice);
        await walk(connection, first.id);
        leave(connection);
        connection.socket.resume();
        await untilLetIn(world, sluice);
        if (end === 'half-closes') await connection.untilClosed();
        assert.ok(sluice.isRunning, `${step}, ${end}`);
      }
    }
    await holds();
  });
}

e2e('a client that goes away while Redis makes it wait is counted out', async (world) => {
  const redis = await stallableRedis(world);
  const { sluice, holds, publish } = await besieged(world, { redis, env: { ...ENV, REDIS_TIMEOUT_MS: '60000' }, headers: WITNESS });
  const asks = {
    'a stream with a token': () => streamBytes(),
    'a stream with a ticket': async () => streamBytes([['User-Agent', 'owner']], `${TARGET}&ticket=${await askTicket(sluice)}`),
    'a ticket': () => requestBytes({ method: 'POST', target: '/stream/ticket', headers: [GOOD] }),
    'a stream, by HEAD': () => requestBytes({ method: 'HEAD', target: TARGET, headers: [GOOD] }),
  };
  for (const ask of Object.values(asks)) {
    for (const leave of Object.values(ENDS)) {
      const bytes = await ask();
      redis.proxy.stall();
      const connections = [];
      for (let i = 0; i < 5; i++) connections.push(await connectionTo(world, sluice));
      for (const connection of connections) connection.send(bytes);
      // All of them have been read: what comes behind them on another connection is answered.
      for (let i = 0; i < 3; i++) assert.equal((await sluice.get('/stream/health/live')).status, 200);
      for (const connection of connections) leave(connection);
      await publish(2);
      redis.proxy.resume();
      await untilLetIn(world, sluice);
    }
  }
  await holds();
});

e2e('a ticket survives a client that goes away while it is taken, for that client alone', async (world) => {
  const redis = await stallableRedis(world);
  const { sluice, holds } = await besieged(world, { redis, env: { ...ENV, REDIS_TIMEOUT_MS: '60000' }, headers: WITNESS });
  for (const leave of Object.values(ENDS)) {
    const ticket = await askTicket(sluice);
    redis.proxy.stall();
    const connection = await connectionTo(world, sluice);
    connection.send(streamBytes([['User-Agent', 'owner']], `${TARGET}&ticket=${ticket}`));
    for (let i = 0; i < 3; i++) assert.equal((await sluice.get('/stream/health/live')).status, 200);
    leave(connection);
    redis.proxy.resume();
    await untilStreams(sluice, 1);
    await untilLetIn(world, sluice, { query: [['ticket', ticket]], headers: [['User-Agent', 'owner']] });
    const stranger = await world.stream(sluice, { company: 'acme', query: [['ticket', ticket]], headers: [['User-Agent', 'stranger']] });
    await stranger.untilWhole();
    assertRefused(stranger, 401);
    stranger.leave();
  }
  await holds();
});

for (const how of ['stalls', 'dies']) {
  e2e(`when Redis ${how} under those who ask, each gets its answer, and streams go on`, async (world) => {
    const redis = await stallableRedis(world);
    const { sluice, holds, publish } = await besieged(world, { redis, env: { ...ENV, REDIS_TIMEOUT_MS: '500' }, headers: WITNESS });
    const ticket = await askTicket(sluice);
    const used = await askTicket(sluice);
    const open = await world.liveStream(sluice, { company: 'acme', query: [['ticket', used]] });
    redis.proxy.stall();
    const asking = {
      ticket: request(sluice.port, { method: 'POST', target: '/stream/ticket', headers: [GOOD] }),
      use: request(sluice.port, { target: `${TARGET}&ticket=${ticket}` }),
      reuse: request(sluice.port, { target: `${TARGET}&ticket=${used}` }),
      token: world.stream(sluice, { company: 'acme', headers: [bearer(token({ companyId: 'acme', sub: 'u2' }))] }),
    };
    if (how === 'dies') await redis.proxy.close();
    for (const name of ['ticket', 'use', 'reuse']) assertRefused(await asking[name], 503, name);
    // With a token this replica's own counts let in, and keep out.
    const stream = await asking.token;
    assert.equal(stream.status, 200);
    await stream.ready();
    const counted = await request(sluice.port, { target: TARGET, headers: [bearer(token({ companyId: 'acme', sub: 'u2' }))] });
    assertRefused(counted, 429);
    await publish(20);
    // Redis stays away: those who come now get the same.
    assertRefused(await request(sluice.port, { method: 'POST', target: '/stream/ticket', headers: [GOOD] }), 503);
    assertRefused(await request(sluice.port, { target: `${TARGET}&ticket=${ticket}` }), 503);
    for (const client of [open, stream]) {
      assert.equal(client.closed, false, 'an open stream stays open');
      client.leave();
    }
    await untilStreams(sluice, 1);
    // Requests that were on their way are lost, as with a server that is gone.
    if (how === 'stalls') redis.proxy.cut();
    redis.proxy.resume();
    if (how === 'dies') await redis.proxy.listen();
    await sluice.untilHealth('ok');
    await eventually(async () => {
      const answer = await request(sluice.port, { method: 'POST', target: '/stream/ticket', headers: [GOOD] });
      return answer.status === 200;
    }, 'tickets again');
    await untilLetIn(world, sluice);
    await holds();
  });
}

e2e('a stream that is half-closed ends, with all that went before', async (world) => {
  const { sluice, holds, publisher } = await besieged(world, { env: ENV, headers: WITNESS });
  const client = await world.liveStream(sluice, { company: 'acme', headers: [GOOD] });
  await publisher.publishPaced('acme', 1, 5, [client]);
  client.socket.end();
  await client.waitFor(() => client.closed, 'the end of the stream');
  assertExactly(client, range(1, 5));
  await untilLetIn(world, sluice);
  await holds();
});
