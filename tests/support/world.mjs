// What a test needs around it. Everything that a test starts belongs to its world, which ends with the test.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser } from './browser.mjs';
import { Publisher } from './events.mjs';
import { FakeSentinel } from './fake-sentinel.mjs';
import { HttpConnection } from './http.mjs';
import { Proxy } from './proxy.mjs';
import { NatsCluster } from './nats_cluster.mjs';
import { RedisCluster } from './redis-cluster.mjs';
import { NatsServer, RedisSentinel, RedisServer } from './servers.mjs';
import { Sluice } from './sluice.mjs';
import { SseClient } from './sse.mjs';
import { within } from './wait.mjs';

const TEST_LIMIT_MS = Number(process.env.SLUICE_TEST_LIMIT_MS ?? 120_000);

export class World {
  constructor() {
    this.owned = []; // in the order of their start; they end in the opposite one
    this.sluices = [];
    this.clients = [];
  }

  #own(thing) {
    this.owned.push(thing);
    return thing;
  }

  nats(options) {
    return this.#own(new NatsServer(options)).start();
  }

  natsCluster(options) {
    return this.#own(new NatsCluster(options)).start();
  }

  redis(options) {
    return this.#own(new RedisServer(options)).start();
  }

  sentinel(master, options) {
    return this.#own(new RedisSentinel(master, options)).start();
  }

  cluster(options) {
    return this.#own(new RedisCluster(options)).start();
  }

  /** A Sentinel that names the server on `port`, until the test tells it another. */
  fakeSentinel(port, certificate) {
    return this.#own(new FakeSentinel(port, certificate)).start();
  }

  /** A server that is not started yet: it gets its port when it is. */
  async absent(kind) {
    const server = this.#own(kind === 'nats' ? new NatsServer() : new RedisServer());
    await server.start();
    await server.kill();
    return server;
  }

  browser() {
    return this.#own(new Browser()).start();
  }

  proxy(port) {
    return this.#own(new Proxy(port)).start();
  }

  async publisher(nats, options) {
    return this.#own(await Publisher.connect(nats.port, options));
  }

  /** A Sluice process; `until` is the health to wait for, null for none. */
  async sluice({ nats, redis, env = {}, args, wrapper, until = 'ok' } = {}) {
    const settings = { NATS_URL: nats?.url ?? 'nats://127.0.0.1:1', REDIS_URL: redis?.url ?? '', ...env };
    const sluice = this.#own(new Sluice({ env: settings, args, wrapper }));
    this.sluices.push(sluice);
    await sluice.start();
    if (until) await sluice.untilHealth(until);
    return sluice;
  }

  /** The usual setting: NATS, a store (`memory`, `redis` or `durable redis`), Sluice and a publisher. */
  async bridge({ store = 'memory', env, until } = {}) {
    const [nats, redis] = await Promise.all([
      this.nats(),
      store === 'memory' ? undefined : this.redis({ durable: store === 'durable redis' }),
    ]);
    const sluice = await this.sluice({ nats, redis, env, until });
    const publisher = await this.publisher(nats);
    return { nats, redis, sluice, publisher };
  }

  /** Opens a stream and waits for its head, not for what is in it. */
  async stream(sluice, options) {
    const client = new SseClient(sluice.port ?? sluice, options);
    this.clients.push(client);
    await client.waitFor(() => client.head, 'the response head');
    return client;
  }

  /** A stream that is live: its stream.ready and cursor have come. */
  async liveStream(sluice, options) {
    const client = await this.stream(sluice, options);
    assert.equal(client.status, 200, client.errorBody);
    await client.ready();
    return client;
  }

  async connection(sluice) {
    const connection = await HttpConnection.open(sluice.port);
    return this.#own({ connection, dispose: () => connection.destroy() }).connection;
  }

  own(dispose) {
    this.#own({ dispose });
  }

  /** What must hold at the end of each test: no stream broke the protocol, and Sluice ends as it should. */
  async finish() {
    const violations = this.clients.flatMap((client) => client.violations);
    assert.deepEqual(violations, [], 'a stream broke the protocol');
    for (const client of this.clients) if (!client.left) client.leave();
    for (const sluice of this.sluices) if (sluice.isRunning) await sluice.stop();
  }

  async dispose() {
    for (const client of this.clients) client.leave();
    for (const thing of this.owned.reverse()) await thing.dispose();
  }

  explain() {
    return this.sluices
      .map((sluice) => `--- the end of what Sluice (port ${sluice.port}) said ---\n${sluice.tail()}`)
      .join('\n');
  }
}

/** A test with a world of its own. */
export function e2e(name, body) {
  test(name, async () => {
    const world = new World();
    try {
      const run = async () => {
        await body(world);
        await world.finish();
      };
      await within(run(), 'the test to end', TEST_LIMIT_MS);
    } catch (error) {
      console.error(`${name}\n${world.explain()}`);
      throw error;
    } finally {
      await world.dispose();
    }
  });
}
