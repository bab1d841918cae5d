// Replicas behind a real nginx with the configuration of deploy/production are restarted under load, one after the other:
// browsers come back by themselves and miss nothing.

import assert from 'node:assert/strict';
import { Authority } from '../support/certificates.mjs';
import { numberOf, range } from '../support/events.mjs';
import { Nginx } from '../support/nginx.mjs';
import { freePort } from '../support/process.mjs';
import { settled } from '../support/replicas.mjs';
import { bearer, JWT_ENV, token } from '../support/tokens.mjs';
import { eventually, pause } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const REPLICAS = 3;
const CLIENTS = 15;

/** As EventSource does it: comes back by itself after `retry`, with the last id; an HTTP error is its end. */
class Browser {
  constructor(world, nginx) {
    this.world = world;
    this.nginx = nginx;
    this.numbers = [];
    this.gaps = [];
    this.ends = [];
    this.running = this.#run();
    this.running.catch(() => {}); // whoever waits for something is told
  }

  async #run() {
    const headers = [bearer(token({ companyId: 'acme' }))];
    let retryMs = 100;
    while (!this.left) {
      const client = await this.nginx.stream({ company: 'acme', headers, lastEventId: this.lastEventId });
      this.world.clients.push(client);
      this.client = client;
      if (client.status !== 200) throw new Error(`status ${client.status}, which ends an EventSource: ${client.errorBody}`);
      let seen = 0;
      const take = () => {
        for (const block of client.blocks.slice(seen)) {
          seen++;
          if (block.kind === 'event') this.numbers.push(numberOf(block));
          if (block.event === 'stream.gap') this.gaps.push(block.json);
          if (block.event === 'stream.closing') this.ends.push(block.json.reason);
          if (block.event === 'stream.ready') this.isReady = true;
          if (block.retry !== undefined) retryMs = block.retry;
        }
        this.lastEventId = client.lastEventId ?? this.lastEventId;
        return client.chunks?.done || client.missingBytes === 0 || client.closed || this.left;
      };
      while (!take()) await pause(10);
      this.isReady = false;
      client.leave();
      if (!this.left) await pause(retryMs);
    }
  }

  /** Waits for something; throws at once where the browser has given up. */
  #until(probe, what) {
    return Promise.race([eventually(probe, what), this.running]);
  }

  untilReady() {
    return this.#until(() => this.isReady, 'stream.ready');
  }

  /** Waits until it has these numbers, in this order, each once. */
  async untilExactly(numbers) {
    await this.#until(() => this.numbers.length >= numbers.length, `${numbers.length} events`);
    assert.deepEqual(this.numbers, numbers);
    assert.deepEqual(this.gaps, []);
  }

  async leave() {
    this.left = true;
    await this.running;
  }
}

async function replicasBehindNginx(world) {
  const [nats, redis] = await Promise.all([world.nats(), world.redis()]);
  const ports = await Promise.all(range(1, REPLICAS).map(() => freePort()));
  const env = { ...JWT_ENV, ADMIN_KEY: 'k'.repeat(40), TRUSTED_PROXIES: '127.0.0.1', RETRY_MS: '100', DRAIN_SPREAD_SECONDS: '1' };
  const start = (port) => world.sluice({ nats, redis, env: { ...env, PORT_ANALYTICS: String(port) } });
  const replicas = await Promise.all(ports.map(start));
  const authority = new Authority();
  world.own(() => authority.dispose());
  const nginx = new Nginx(replicas, authority);
  world.own(() => nginx.dispose());
  await nginx.start();
  return { nats, replicas, nginx, start };
}

const WAYS = {
  stopped: (replica) => replica.stop(),
  killed: (replica) => replica.crash(),
};

for (const [how, end] of Object.entries(WAYS)) {
  e2e(`replicas that are ${how} and started again in turn under load lose and repeat nothing behind nginx`, async (world) => {
    const { nats, replicas, nginx, start } = await replicasBehindNginx(world);
    await Promise.all(replicas.map((replica) => replica.untilReady()));
    await settled(replicas);
    const browsers = range(1, CLIENTS).map(() => new Browser(world, nginx));
    for (const browser of browsers) await browser.untilReady();

    const publisher = await world.publisher(nats);
    let published = 0;
    let rolling = true;
    const load = (async () => {
      while (rolling) {
        await publisher.publishRange('acme', published + 1, published + 5);
        published += 5;
        await pause(20);
      }
    })();
    try {
      for (const [index, replica] of replicas.entries()) {
        const { port } = replica;
        await end(replica);
        replicas[index] = await start(port);
        await settled(replicas);
        for (const browser of browsers) await browser.untilReady();
      }
    } finally {
      rolling = false;
      await load;
    }
    for (const browser of browsers) await browser.untilExactly(range(1, published));
    assert.ok(published > 100, 'there was hardly any load');
    await Promise.all(browsers.map((browser) => browser.leave()));
  });
}
