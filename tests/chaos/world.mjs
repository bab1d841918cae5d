// Everything that runs: servers, replicas behind their balancer, publishers and clients.

import { execFileSync } from 'node:child_process';
import { NatsCluster } from '../support/nats_cluster.mjs';
import { NatsServer, RedisServer } from '../support/servers.mjs';
import { BINARY, runSluice } from '../support/sluice.mjs';
import { pause } from '../support/wait.mjs';
import { Balancer } from './balancer.mjs';
import { Fleet } from './fleet.mjs';
import { endFlood, flood } from './flood.mjs';
import { Ledger } from './ledger.mjs';
import { Logs } from './logs.mjs';
import { Publishers } from './publishers.mjs';
import { Replicas } from './replicas.mjs';
import { Tally } from './tally.mjs';

export const REDIS_USER = 'sluice';
export const REDIS_PASSWORD = 'secret-of-redis';

const FLOOD_CLIENTS = 5; // what is sent to all clients of a company has to be read by this process
const RETRY_MS = 500; // an answer of overload asks for 15 to 30 times that
const SHORT_RETRY_MS = 150;

/* So that a server that was told to leave does so within a fault. */
const NATS_CONFIG = `
lame_duck_duration: "30s"
lame_duck_grace_period: "1s"
`;

export class ChaosWorld {
  constructor(options, random) {
    this.options = options;
    this.random = random;
    this.short = options.short;
    this.jetstream = options.jetstream;
    this.hold = (ms) => (this.short ? Math.ceil(ms / 3) : ms);
    this.floodCompany = 'flood';
    this.ledger = new Ledger();
    this.tally = new Tally(this.ledger);
    this.logs = new Logs(options.logs);
    this.isSanitized = isSanitized();
    this.owned = []; // in the order of their start; they end in the opposite one
  }

  #own(thing) {
    this.owned.push(thing);
    return thing;
  }

  async start() {
    const { options, ledger, tally, random, jetstream, logs } = this;
    if (jetstream) await wantJetStream();
    this.redis = this.#own(new RedisServer({ durable: true, settings: redisSettings() }));
    await Promise.all([this.#startNats(), this.redis.start()]);
    logs.begin('redis', this.redis.child);
    this.balancer = this.#own(await new Balancer().start());
    this.replicas = this.#own(
      new Replicas({ count: options.replicas, env: this.#environment(), balancer: this.balancer, logs, tally }),
    );
    await this.replicas.start();

    const companies = Array.from({ length: options.companies }, (_, index) => `company-${index}`);
    const share = Math.floor((options.clients - FLOOD_CLIENTS) / companies.length);
    const sizes = [...companies.map((company) => [company, share]), [this.floodCompany, FLOOD_CLIENTS]];
    const { hold } = this;
    this.fleet = new Fleet({ sizes, port: this.balancer.port, ledger, tally, hold, random: random.fork() });
    this.#own({ dispose: () => this.fleet.stop() });
    await this.fleet.start();

    this.publishers = new Publishers({
      ...{ count: options.publishers, companies: [...companies, this.floodCompany], rate: options.rate },
      ...{ port: this.nats.port, ledger, jetstream, random: random.fork() },
    });
    this.#own({ dispose: () => this.publishers.stop() });
    this.publishers.start();
  }

  /** One server; or a cluster, whose first member is never lost: it is the one that publishers are at. */
  async #startNats() {
    const options = { config: NATS_CONFIG, jetstream: this.jetstream };
    const nats = this.#own(this.options.natsCluster ? new NatsCluster(options) : new NatsServer(options));
    await nats.start();
    this.cluster = this.options.natsCluster ? nats : undefined;
    this.nats = this.cluster ? nats.servers[0] : nats;
    this.logs.begin('nats', this.nats.child);
  }

  #environment() {
    const settings = {
      NATS_URL: (this.cluster ?? this.nats).url,
      REDIS_URL: `redis://${REDIS_USER}:${REDIS_PASSWORD}@127.0.0.1:${this.redis.port}`,
      RETRY_MS: String(this.short ? SHORT_RETRY_MS : RETRY_MS),
      OVERLOAD_ANSWER: 'retry', // browsers come back then
    };
    const jetstream = { NATS_STREAM: 'EVENTS', NATS_STREAM_CREATE: 'true', OVERFLOW: 'refill' };
    if (this.cluster) jetstream.NATS_STREAM_REPLICAS = '3';
    return { ...settings, ...(this.jetstream ? jetstream : {}), ...this.options.env };
  }

  /** Brings a fault about, waits until all is well again, and gives what happened meanwhile. */
  async suffer(fault) {
    this.tally.begin(fault.name);
    try {
      await fault.run(this);
      await this.recover();
      await pause(this.hold(fault.settleMs));
      await this.fleet.catchUp();
    } catch (error) {
      this.tally.violation({ name: 'the world' }, `does not recover: ${error.message}`);
    }
    return this.tally.end({ gapless: this.jetstream && fault.keepsData });
  }

  /** Publishes `count` events for the company that is flooded, as fast as it goes. Gives the time that took in ms. */
  async flood(count, fill) {
    const { jetstream, fleet } = this;
    const lane = this.ledger.lane(this.floodCompany, 'flood');
    const options = { lane, port: this.nats.port, jetstream };
    const ms = await flood({ ...options, count, fill });
    await this.replicas.untilHealthy();
    await endFlood({ ...options, seen: () => fleet.hasReached(lane) });
    return ms;
  }

  /** All replicas are well, all clients have what is published. */
  async recover() {
    await this.replicas.untilHealthy();
    await this.fleet.catchUp();
  }

  /** Ends the replicas as an operator does, one after the other; what is no good end is a failure. */
  async finish() {
    this.tally.begin('end');
    for (const replica of this.replicas.list) await replica.stop();
    return this.tally.end();
  }

  async dispose() {
    for (const thing of this.owned.reverse()) await thing.dispose();
    this.logs.save();
  }
}

function redisSettings() {
  const user = ['--user', REDIS_USER, 'on', `>${REDIS_PASSWORD}`, '~*', '&*', '+@all'];
  return [...user, '--enable-debug-command', 'local'];
}

/** Whether the binary was built with a sanitizer, which reserves more memory than there is. */
function isSanitized() {
  try {
    // Without the settings of a test run: what a sanitizer says of this is no report.
    const env = { PATH: process.env.PATH };
    execFileSync('prlimit', ['--as=2000000000', BINARY, '--version'], { stdio: 'ignore', env });
    return false;
  } catch {
    return true;
  }
}

async function wantJetStream() {
  const { stdout } = await runSluice({ args: ['--help'] });
  if (!stdout.includes('NATS_STREAM')) throw new Error('this build of Sluice reads no JetStream: it has no NATS_STREAM');
}
