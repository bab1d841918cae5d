// Three NATS servers that are one: what one takes, the subscribers of all get.

import { connect } from 'nats';
import { freePort } from './process.mjs';
import { NatsServer } from './servers.mjs';
import { eventually } from './wait.mjs';

const SIZE = 3;

export class NatsCluster {
  /** `config` is further text for the configuration of each. */
  constructor({ config = '', jetstream = false } = {}) {
    this.config = config;
    this.jetstream = jetstream;
    this.servers = [];
  }

  async start() {
    const ports = [];
    while (ports.length < SIZE) ports.push(await freePort());
    const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(', ');
    this.servers = ports.map((port, index) => {
      const config = `
        server_name: member-${index}
        cluster { name: test, listen: "127.0.0.1:${port}", routes: [ ${routes} ] }
        ${this.config}
      `;
      return new NatsServer({ config, jetstream: this.jetstream });
    });
    await Promise.all(this.servers.map((server) => server.start()));
    try {
      await this.untilWhole();
    } catch (error) {
      const logs = this.servers.map(({ child }, index) => `member-${index}:\n${child.stderr.slice(-4000)}`);
      throw new Error(`${error.message}\n${logs.join('\n')}`, { cause: error });
    }
    return this;
  }

  /** All servers, for those who connect. */
  get url() {
    return this.servers.map((server) => server.url).join(',');
  }

  get ports() {
    return this.servers.map((server) => server.port);
  }

  /** The server of that name, as JetStream calls its leaders. */
  member(name) {
    return this.servers[Number(name.split('-')[1])];
  }

  /** Waits until what each server takes reaches the subscribers of every other one. */
  async untilWhole() {
    const options = { reconnect: false, timeout: 20_000 };
    const connections = await Promise.all(
      this.ports.map((port) => connect({ servers: `127.0.0.1:${port}`, ...options })),
    );
    try {
      const heard = connections.map(() => new Set());
      for (const [to, connection] of connections.entries()) {
        connection.subscribe('probe.*', { callback: (error, message) => heard[to].add(message.subject) });
        await connection.flush();
      }
      await eventually(async () => {
        for (const [from, connection] of connections.entries()) {
          connection.publish(`probe.${from}`);
          await connection.flush();
        }
        return heard.every((subjects) => subjects.size === SIZE);
      }, 'the NATS servers to hear each other');
    } finally {
      await Promise.all(connections.map((connection) => connection.close()));
    }
    if (this.jetstream) await this.untilStreams();
  }

  /** Waits until a stream with a copy at each server that runs can be made, by whichever of them. */
  async untilStreams() {
    const running = this.servers.filter((server) => !server.child.exit);
    for (const server of running)
      await eventually(async () => {
        const connection = await connect({ servers: `127.0.0.1:${server.port}`, reconnect: false });
        try {
          const { streams } = await connection.jetstreamManager({ timeout: 1000 });
          await streams.add({ name: 'probe', subjects: ['probe.streams'], num_replicas: running.length });
          return await streams.delete('probe');
        } finally {
          await connection.close();
        }
      }, 'JetStream to be there', 40_000);
  }

  async dispose() {
    await Promise.all(this.servers.map((server) => server.dispose()));
  }
}
