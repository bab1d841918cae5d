// The replicas of Sluice, behind the balancer, and who starts them again when they end by themselves.

import { Sluice } from '../support/sluice.mjs';
import { eventually, pause } from '../support/wait.mjs';

const RECOVERY_MS = 60_000;
const RESTART_MS = 300; // what a supervisor takes

export class Replica {
  constructor({ index, env, balancer, logs, tally }) {
    Object.assign(this, { index, env, balancer, logs, tally });
    this.name = `replica-${index}`;
    this.intended = undefined; // the Sluice that is meant to end
  }

  /** `env` and `wrapper` are for this life alone. */
  async start({ env = {}, wrapper } = {}) {
    const sluice = new Sluice({ env: { ...this.env, ...env }, wrapper });
    this.sluice = sluice;
    await Promise.all([sluice.start(), Promise.resolve().then(() => this.logs.begin(this.name, sluice.child))]);
    this.balancer.set(this.index, sluice.port);
    sluice.child.ended.then((exit) => this.#onEnd(sluice, exit));
  }

  get pid() {
    return this.sluice.pid;
  }

  #onEnd(sluice, exit) {
    if (this.sluice === sluice) this.balancer.set(this.index, undefined);
    try {
      sluice.checkOutput();
    } catch (error) {
      this.tally.violation(this, error.message);
    }
    if (this.intended === sluice || this.disposed) return;
    this.tally.note(`${this.name} ended by itself (${exit.signal ?? exit.code})`);
    this.restarting = pause(RESTART_MS)
      .then(() => this.start())
      .catch((error) => this.tally.violation(this, `did not start again: ${error.message}`));
  }

  async kill() {
    this.intended = this.sluice;
    await this.sluice.child.kill();
  }

  /** Ends it as an operator does; what is no good end is told to the tally. */
  async stop() {
    this.intended = this.sluice;
    try {
      await this.sluice.stop();
    } catch (error) {
      this.tally.violation(this, error.message);
      await this.sluice.dispose();
    }
  }

  async restart(how) {
    await this.stop();
    await this.start(how);
  }

  hang() {
    return this.sluice.child.halt();
  }

  wake() {
    this.sluice.child.signal('SIGCONT');
  }

  async dispose() {
    this.disposed = true;
    this.intended = this.sluice;
    await this.restarting;
    await this.sluice?.dispose();
  }
}

export class Replicas {
  constructor({ count, ...shared }) {
    this.tally = shared.tally;
    this.list = Array.from({ length: count }, (_, index) => new Replica({ index, ...shared }));
  }

  async start() {
    for (const replica of this.list) await replica.start();
    await this.untilHealthy();
  }

  /** Waits until every replica says that it is well, its replay store included, and ready. */
  async untilHealthy() {
    await Promise.all(
      this.list.map((replica) =>
        eventually(
          async () => {
            const health = await replica.sluice.health();
            if (health.status !== 'ok') throw new Error(`health says ${JSON.stringify(health)}`);
            const ready = await replica.sluice.get('/stream/health/ready');
            if (ready.status !== 200) throw new Error(`readiness says ${ready.body}`);
            return true;
          },
          `${replica.name} to be well`,
          RECOVERY_MS,
        ),
      ),
    );
  }

  /** Who owns the intake; where nobody says so, the first, and that is noted. */
  async owner() {
    for (const replica of this.list) if (await ownsIntake(replica)) return replica;
    if (this.list.length > 1) this.tally.note(`nobody says that it owns the intake: ${this.list[0].name} is taken`);
    return this.list[0];
  }

  async follower() {
    const owner = await this.owner();
    return this.list.find((replica) => replica !== owner);
  }

  async dispose() {
    await Promise.all(this.list.map((replica) => replica.dispose()));
  }
}

async function ownsIntake({ sluice }) {
  const metrics = await sluice.metrics().catch(() => undefined);
  return metrics?.value('sluice_intake_owner') === 1;
}
