// A TCP balancer as one has it in front of replicas: it asks each for its readiness, gives new connections to those that
// are ready, and to others only where none is. A replica that is down or stopped gets no new connection for long, and
// one that it got and does not answer on is cut, so that its client can try again. Open streams are left alone.

import http from 'node:http';
import net from 'node:net';

const PROBE_EVERY_MS = 250;
const PROBE_MS = 1000; // a replica that takes longer is down
const CONNECT_MS = 1000;
const FIRST_BYTE_MS = 3000;

const READY = 2;
const ALIVE = 1; // it answers, but asks for no traffic
const DOWN = 0;

/**
 * Cuts a connection. Where our end of it was announced already the kernel cannot reset it any more: Node.js would keep the
 * handle, and spin at its exit.
 */
function reset(socket) {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

class Backend {
  constructor() {
    this.port = undefined;
    this.state = DOWN;
    this.open = 0;
  }
}

export class Balancer {
  constructor({ probePath = '/stream/health/ready' } = {}) {
    this.probePath = probePath;
    this.backends = [];
    this.pairs = new Set();
    this.turned = 0; // connections that no backend took
  }

  async start() {
    this.server = net.createServer({ pauseOnConnect: true }, (client) => this.#onClient(client));
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ port: 0, host: '127.0.0.1' }, resolve);
    });
    this.port = this.server.address().port;
    this.timer = setInterval(() => this.backends.forEach((backend) => this.#probe(backend)), PROBE_EVERY_MS);
    return this;
  }

  /** Backend `index` is at `port` from now on; undefined: it is not there. */
  set(index, port) {
    this.backends[index] ??= new Backend();
    Object.assign(this.backends[index], { port, state: port === undefined ? DOWN : ALIVE });
    this.#probe(this.backends[index]);
  }

  #probe(backend) {
    const { port } = backend;
    if (port === undefined || backend.probing === port) return;
    backend.probing = port;
    const done = (state) => {
      if (backend.probing === port) backend.probing = undefined;
      if (backend.port === port) backend.state = state;
    };
    const request = http.get({ port, host: '127.0.0.1', path: this.probePath, agent: false, timeout: PROBE_MS });
    request.on('response', (response) => {
      response.resume();
      done(response.statusCode === 200 ? READY : ALIVE);
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', () => done(DOWN));
  }

  #onClient(client) {
    client.on('error', () => {}); // 'close' follows
    this.#join(client, new Set());
  }

  /** The backend in the best state with the fewest connections, of those that were not tried. */
  #pick(tried) {
    const able = this.backends.filter((backend) => backend.port !== undefined && !tried.has(backend));
    return able.filter(({ state }) => state > DOWN).sort((a, b) => b.state - a.state || a.open - b.open)[0];
  }

  #join(client, tried) {
    if (client.destroyed) return;
    const backend = this.#pick(tried);
    if (!backend) {
      this.turned++;
      reset(client);
      return;
    }
    tried.add(backend);
    const target = net.connect({ port: backend.port, host: '127.0.0.1' });
    const giveUp = setTimeout(() => target.destroy(new Error('no connection')), CONNECT_MS);
    const refused = () => {
      clearTimeout(giveUp);
      backend.state = DOWN;
      this.#join(client, tried);
    };
    target.once('error', refused);
    target.once('connect', () => {
      clearTimeout(giveUp);
      target.removeListener('error', refused);
      this.#forward(client, target, backend);
    });
  }

  #forward(client, target, backend) {
    const pair = [client, target];
    this.pairs.add(pair);
    backend.open++;
    const firstByte = setTimeout(() => {
      backend.state = DOWN;
      reset(client);
    }, FIRST_BYTE_MS);
    target.once('data', () => clearTimeout(firstByte));
    for (const [from, to] of [pair, [target, client]]) {
      from.setNoDelay(true);
      from.pipe(to); // an orderly end of either side is handed on behind its last byte
    }
    target.on('error', () => reset(client));
    client.once('close', () => {
      clearTimeout(firstByte);
      target.destroy();
      backend.open--;
      this.pairs.delete(pair);
    });
    if (client.destroyed) target.destroy();
  }

  /** Resets all connections, or the share of them that `chosen()` picks. */
  cut(chosen = () => true) {
    for (const pair of [...this.pairs]) if (chosen()) for (const socket of pair) reset(socket);
  }

  async dispose() {
    clearInterval(this.timer);
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.cut();
    await closed;
  }
}
