// Publishers: each has a NATS connection, and gives every company its share at a steady rate, as long as NATS takes it.
// What NATS has confirmed is published. What was sent and never confirmed is in doubt. Nothing is sent twice.

import { connect } from 'nats';
import { pause } from '../support/wait.mjs';

const TICK_MS = 50;
const CONFIRM_MS = 20_000; // longer than any server here is made to hang
const SUBJECTS = ['metrics.calculated', 'metrics.sroi_total', 'journey.flag', 'q2q.answered'];

export function eventBytes(company, publisher, n, fill = '') {
  return Buffer.from(JSON.stringify({ companyId: company, p: publisher, n, fill }));
}

class Publisher {
  constructor({ name, companies, rate, port, ledger, jetstream, random }) {
    Object.assign(this, { name, port, jetstream, random });
    this.rate = rate; // events a second, over all companies
    this.lanes = companies.map((company) => ({ company: ledger.company(company), lane: ledger.lane(company, name) }));
    this.turn = 0;
    this.owed = 0;
  }

  start() {
    this.running = this.#run();
  }

  async stop() {
    this.stopped = true;
    await this.running;
  }

  async #run() {
    let last = Date.now();
    while (!this.stopped) {
      try {
        this.connection ??= await this.#connect();
        const now = Date.now();
        // What could not be published while NATS was away is not made up for.
        this.owed = Math.min(this.owed + ((now - last) * this.rate) / 1000, this.rate / 5);
        last = now;
        await this.#publish(Math.floor(this.owed));
        this.owed %= 1;
      } catch {
        for (const { lane } of this.lanes) lane.doubt();
        await this.#disconnect();
      }
      await pause(TICK_MS);
    }
    await this.#disconnect();
  }

  async #connect() {
    const connection = await connect({ servers: `127.0.0.1:${this.port}`, reconnect: false, timeout: 2000 });
    this.stream = this.jetstream ? connection.jetstream({ timeout: CONFIRM_MS }) : undefined;
    return connection;
  }

  async #disconnect() {
    const { connection } = this;
    this.connection = undefined;
    try {
      await connection?.close();
    } catch {
      // It was closed from the other side.
    }
  }

  /** Publishes `count` events, and returns when NATS has them. */
  async #publish(count) {
    if (this.connection.isClosed()) throw new Error('the connection is closed');
    const used = new Map();
    const answers = [];
    for (let i = 0; i < count; i++) {
      const { company, lane } = this.lanes[this.turn++ % this.lanes.length];
      const fill = 'x'.repeat(this.random.between(0, 120));
      const bytes = eventBytes(company.name, this.name, lane.next(), fill);
      const subject = this.random.pick(SUBJECTS);
      if (this.stream) answers.push(this.stream.publish(subject, bytes));
      else this.connection.publish(subject, bytes);
      used.set(lane, company);
    }
    if (this.stream) await allOf(answers);
    else await this.#flush();
    for (const [lane, company] of used) {
      lane.confirm();
      company.tick(Date.now());
    }
  }

  /** A flush never settles where its connection goes, in this version of the client. */
  async #flush() {
    const closed = this.connection.closed().then(() => {
      throw new Error('the connection was closed');
    });
    await Promise.race([this.connection.flush(), closed]);
  }
}

/** Waits for each one, so that none is refused unheard, and then throws if any was. */
async function allOf(promises) {
  const results = await Promise.allSettled(promises);
  const bad = results.find(({ status }) => status === 'rejected');
  if (bad) throw bad.reason;
}

export class Publishers {
  /** `rate` is events a second of each company, over all publishers. */
  constructor({ count, companies, rate, port, ledger, jetstream, random }) {
    this.list = Array.from({ length: count }, (_, index) => {
      const share = (rate * companies.length) / count;
      return new Publisher({
        ...{ name: `p${index}`, companies, rate: share, port, ledger, jetstream, random: random.fork() },
      });
    });
  }

  start() {
    for (const publisher of this.list) publisher.start();
  }

  async stop() {
    await Promise.all(this.list.map((publisher) => publisher.stop()));
  }
}
