// All clients, spread over the companies.

import { eventually } from '../support/wait.mjs';
import { SequenceChecker } from './checker.mjs';
import { Client } from './client.mjs';

const CATCH_UP_MS = 60_000;

/** One in eight is slow, one in eight restless. */
function habitOf(index) {
  if (index % 8 === 5) return 'slow';
  return index % 8 === 7 ? 'restless' : 'steady';
}

export class Fleet {
  constructor({ sizes, port, ledger, tally, hold, random }) {
    this.ledger = ledger;
    this.tally = tally;
    this.clients = [];
    for (const [company, count] of sizes) {
      for (let index = 0; index < count; index++) {
        const name = `${company}/${index}`;
        const onFinding = (finding) => tally.finding(finding, client.trace);
        const checker = new SequenceChecker({ client: name, company, ledger, onFinding });
        const habit = habitOf(index);
        const shared = { port, ledger, tally, hold };
        const client = new Client({ name, company, habit, checker, ...shared, random: random.fork() });
        this.clients.push(client);
      }
    }
  }

  /** Opens all streams and waits until each has been ready. */
  async start() {
    for (const client of this.clients) client.start();
    await eventually(() => this.clients.every((client) => client.lastEventId !== undefined), 'all clients to be ready');
  }

  stop() {
    for (const client of this.clients) client.stop();
  }

  /** Whether all clients of a lane's company have what was published on it, up to now. */
  hasReached({ company, publisher, settled }) {
    const concerned = this.clients.filter((client) => client.company === company);
    return concerned.every((client) => client.hasReached([[publisher, settled]]));
  }

  /**
   * Waits until each client has come as far as what is settled now, while events go on being published. Who does not
   * is told to the tally.
   */
  async catchUp() {
    const targets = new Map();
    for (const { name, lanes } of this.ledger.companies.values()) {
      targets.set(name, [...lanes].map(([publisher, lane]) => [publisher, lane.settled]));
    }
    const behind = () => this.clients.filter((client) => !client.hasReached(targets.get(client.company) ?? []));
    try {
      await eventually(() => behind().length === 0, 'all clients to catch up', CATCH_UP_MS);
    } catch {
      for (const client of behind()) this.tally.violation(client, `did not catch up in ${CATCH_UP_MS} ms: ${client.describe()}`);
    }
  }
}
