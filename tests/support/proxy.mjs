// A TCP proxy on a port of its own that can fail in the ways a network does.

import net from 'node:net';
import { freePort } from './process.mjs';

export class Proxy {
  constructor(targetPort) {
    this.targetPort = targetPort;
    this.pairs = new Set();
    this.stalled = false;
    this.accepted = 0;
  }

  async start() {
    this.port = await freePort();
    await this.listen();
    return this;
  }

  /** Accepts connections (again), on the same port as before. */
  listen() {
    this.server = net.createServer((client) => this.#join(client));
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ port: this.port, host: '127.0.0.1' }, resolve);
    });
  }

  #join(client) {
    this.accepted++;
    const target = net.connect({ port: this.targetPort, host: '127.0.0.1' });
    const pair = [client, target];
    this.pairs.add(pair);
    for (const [from, to] of [pair, [target, client]]) {
      from.setNoDelay(true);
      from.on('error', () => {}); // 'close' follows
      from.on('close', () => {
        to.destroy();
        this.pairs.delete(pair);
      });
      from.pipe(to);
      if (this.stalled) from.unpipe(to);
    }
  }

  /** Resets all open connections; new ones are accepted. */
  cut() {
    for (const pair of [...this.pairs]) for (const socket of pair) socket.resetAndDestroy();
    this.pairs.clear();
  }

  /** Keeps all connections open and forwards nothing. */
  stall() {
    this.stalled = true;
    for (const [client, target] of this.pairs) {
      client.unpipe(target).pause();
      target.unpipe(client).pause();
    }
  }

  resume() {
    this.stalled = false;
    for (const [client, target] of this.pairs) {
      client.pipe(target);
      target.pipe(client);
    }
  }

  /** Resets all connections and refuses new ones until `listen()`. */
  async close() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.cut();
    await closed;
  }

  async dispose() {
    if (this.server.listening) await this.close();
  }
}
