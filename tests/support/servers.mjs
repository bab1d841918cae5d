// Real nats-server and redis-server processes on free ports of 127.0.0.1, that a test may kill, hang and start again.

import { existsSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Child, freePort, removeDirectory, temporaryDirectory } from './process.mjs';
import { Redis } from './resp.mjs';
import { eventually } from './wait.mjs';

// Distributions install servers where an ordinary user's PATH does not look.
export const SERVER_ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` };

export class Server {
  /** `name` is the name of its program, too, unless `program` is. */
  constructor(name, program = name) {
    this.name = name;
    this.program = program;
    this.child = undefined;
  }

  async start() {
    this.directory ??= temporaryDirectory(this.name);
    // The port is chosen once, for a restarted server must come back where it was. At the first start another test
    // file may have taken it in the meantime: then try the next one.
    for (;;) {
      const first = this.port === undefined;
      const port = this.port ?? (await freePort());
      const child = new Child(this.program, this.arguments(port), { env: SERVER_ENV, cwd: this.directory });
      this.child = child;
      const up = await eventually(async () => {
        if (child.exit) return 'ended';
        return (await this.answers(port)) && 'up';
      }, `${this.name} on port ${port}`);
      if (up === 'up' && !child.exit) {
        this.port = port;
        return this;
      }
      if (!first || child.exit?.error) {
        throw new Error(`${this.name} ended: ${child.exit.error?.message ?? child.stdout + child.stderr}`);
      }
    }
  }

  kill() {
    return this.child.kill();
  }

  /** Stops the process without ending it: its connections stay open and answer nothing. */
  hang() {
    return this.child.halt();
  }

  wake() {
    this.child.signal('SIGCONT');
  }

  async dispose() {
    if (this.child) await this.kill();
    if (this.directory) removeDirectory(this.directory);
  }
}

export class NatsServer extends Server {
  /** `config` is the text of a configuration file; with `jetstream` streams are kept, also over a restart. */
  constructor({ config, jetstream = false } = {}) {
    super('nats-server');
    this.config = config;
    this.jetstream = jetstream;
  }

  arguments(port) {
    const words = ['--addr', '127.0.0.1', '--port', String(port)];
    if (this.jetstream) words.push('--jetstream', '--store_dir', path.join(this.directory, 'jetstream'));
    if (this.config === undefined) return words;
    const file = path.join(this.directory, 'nats.conf');
    writeFileSync(file, this.config);
    return [...words, '--config', file];
  }

  /** Ends the server and starts it again with another configuration. */
  async reconfigure(config) {
    await this.kill();
    this.config = config;
    await this.start();
  }

  /** Gives the running server another configuration, as an operator does. */
  reload(config) {
    writeFileSync(path.join(this.directory, 'nats.conf'), config);
    this.config = config;
    this.child.signal('SIGHUP');
  }

  answers(port) {
    return new Promise((resolve) => {
      const socket = net.connect({ port, host: '127.0.0.1' });
      socket.once('data', (bytes) => {
        socket.destroy();
        resolve(bytes.toString('latin1').startsWith('INFO '));
      });
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
    });
  }

  get url() {
    return `nats://127.0.0.1:${this.port}`;
  }
}

export class RedisServer extends Server {
  /** With `durable` each write is on disk before it is answered, so that a killed server comes back with its data. */
  constructor({ durable = false, settings = [] } = {}) {
    super('redis-server');
    this.durable = durable;
    this.settings = settings; // further arguments
  }

  /** Ends the server and starts it again with other further arguments. */
  async reconfigure(settings) {
    await this.kill();
    this.settings = settings;
    await this.start();
  }

  arguments(port) {
    return [
      ...['--bind', '127.0.0.1', '--port', String(port), '--dir', this.directory, '--save', ''],
      ...['--appendonly', this.durable ? 'yes' : 'no', '--appendfsync', 'always', '--daemonize', 'no'],
      ...this.settings,
    ];
  }

  async answers(port) {
    return (await new Redis(port).command('PING')) === 'PONG';
  }

  command(...words) {
    return new Redis(this.port).command(...words);
  }

  /** Waits until the log of `company` holds exactly `count` events. */
  untilStored(company, count) {
    return eventually(async () => {
      const stored = await this.command('ZCARD', `sluice:{${company}}:log`);
      if (stored !== count) throw new Error(`${stored} events are stored`);
      return true;
    }, `${count} events of ${company} in Redis`);
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }
}

/** A Sentinel that watches `master`, a RedisServer, as `mymaster`, two of them deciding. */
export class RedisSentinel extends Server {
  constructor(master, { password } = {}) {
    super('redis-sentinel', 'redis-server');
    this.master = master;
    this.password = password;
  }

  /** What it learns it writes into its file, so that file is made once. */
  arguments(port) {
    const file = path.join(this.directory, `sentinel-${port}.conf`);
    const lines = [
      ...[`port ${port}`, 'bind 127.0.0.1', `dir ${this.directory}`],
      ...[`sentinel monitor mymaster 127.0.0.1 ${this.master.port} 2`, 'sentinel down-after-milliseconds mymaster 1000'],
      'sentinel failover-timeout mymaster 5000',
    ];
    if (this.password) lines.push(`requirepass ${this.password}`, `sentinel sentinel-pass ${this.password}`);
    if (!existsSync(file)) writeFileSync(file, `${lines.join('\n')}\n`);
    return [file, '--sentinel'];
  }

  async answers(port) {
    return (await new Redis(port, { password: this.password }).command('PING')) === 'PONG';
  }

  /** What it knows of the master, as an object. */
  async known() {
    const words = await new Redis(this.port, { password: this.password }).command('SENTINEL', 'MASTER', 'mymaster');
    return Object.fromEntries(words.flatMap((word, i) => (i % 2 ? [] : [[word, words[i + 1]]])));
  }
}
