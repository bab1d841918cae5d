// Starting, waiting for and ending the benchmark's own processes. Whatever is started here is ended by its pid.

import { spawn } from 'node:child_process';
import { openSync, closeSync, readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const PORTS = { first: 20000, count: 12000 }; // below the ports that Linux gives to outgoing connections
const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 15_000;
const LOG_TAIL_BYTES = 2000;

const running = new Set();

/** A child whose output goes to a log file, or to the caller's pipe for stdout. */
export class Process {
  constructor(name, command, args, { env = process.env, logFolder, pipe = false } = {}) {
    this.name = name;
    this.logFile = path.join(logFolder, `${name}.log`);
    const log = openSync(this.logFile, 'a');
    this.child = spawn(command, args, { env, stdio: ['ignore', pipe ? 'pipe' : log, pipe ? 'pipe' : log] });
    closeSync(log);
    this.pid = this.child.pid;
    this.exited = new Promise((resolve) => {
      this.child.once('error', (error) => resolve({ error }));
      this.child.once('exit', (code, signal) => resolve({ code, signal }));
    }).then((outcome) => {
      running.delete(this);
      this.outcome = outcome;
      return outcome;
    });
    running.add(this);
  }

  logTail() {
    return readFileSync(this.logFile, 'utf8').slice(-LOG_TAIL_BYTES);
  }

  failure(what) {
    const { error, code, signal } = this.outcome ?? {};
    const end = error?.message ?? (signal ? `signal ${signal}` : code === undefined ? 'still running' : `exit ${code}`);
    return new Error(`${this.name}: ${what} (${end})\n${this.logTail()}`);
  }

  /** Asks it to end, insists after a while, and gives whether it ended by itself and with 0. */
  async stop(signal = 'SIGTERM') {
    if (!this.outcome && this.pid) {
      this.child.kill(signal);
      const killer = setTimeout(() => this.child.kill('SIGKILL'), STOP_LIMIT_MS);
      await this.exited;
      clearTimeout(killer);
    }
    return this.outcome?.code === 0;
  }
}

/** A tool that prints one JSON line on stdout at its end and announcements on stderr. */
export class Tool extends Process {
  constructor(name, command, args, options) {
    super(name, command, args, { ...options, pipe: true });
    this.stdout = '';
    this.stderr = '';
    this.closed = new Promise((resolve) => this.child.once('close', resolve).once('error', resolve));
    this.child.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
    this.child.stderr.setEncoding('utf8').on('data', (text) => {
      this.stderr += text;
      this.child.emit('announcement');
    });
  }

  logTail() {
    return this.stderr.slice(-LOG_TAIL_BYTES);
  }

  /** Waits until it has written `word` on stderr, or fails when it ends before. */
  async announced(word) {
    while (!this.stderr.includes(word)) {
      if (this.outcome) throw this.failure(`ended without ${word}`);
      await Promise.race([once(this.child, 'announcement'), this.exited]);
    }
  }

  async result() {
    await Promise.all([this.exited, this.closed]);
    if (this.outcome.code !== 0) throw this.failure('failed');
    return JSON.parse(this.stdout);
  }
}

export async function stopEverything() {
  await Promise.all([...running].map((one) => one.stop()));
}

/** Right away and without waiting: for the last moment of the process. */
export function killEverything() {
  for (const one of running) one.child.kill('SIGKILL');
}

async function isFree(port) {
  const server = net.createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return true;
  } catch {
    return false;
  }
}

export async function freePort() {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (await isFree(port)) return port;
  }
  throw new Error('no free port found');
}

/** Status and body of a short GET; status 0 where nothing answers. */
function httpGet(port, target) {
  return new Promise((resolve) => {
    const nothing = () => resolve({ status: 0, body: '' });
    const request = http.get({ host: '127.0.0.1', port, path: target, agent: false, timeout: 2000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (part) => (body += part));
      response.once('end', () => resolve({ status: response.statusCode, body })).once('error', nothing);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', nothing);
  });
}

export const httpBody = async (port, target) => (await httpGet(port, target)).body;

function connects(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Waits until `check` gives something true; fails where the process `one` ends before, or it takes too long. */
export async function waitUntil(one, what, check, limitMs = START_LIMIT_MS) {
  const deadline = Date.now() + limitMs;
  for (;;) {
    if (one.outcome) throw one.failure(`ended before ${what}`);
    if (await check()) return;
    if (Date.now() > deadline) throw one.failure(`not there in time: ${what}`);
    await sleep(25);
  }
}

export const untilReady = (one, port) =>
  waitUntil(one, '/stream/health/ready said 200', async () => (await httpGet(port, '/stream/health/ready')).status === 200);

export const untilListening = (one, port) => waitUntil(one, `port ${port} was open`, () => connects(port));

/** A NATS server of one's own, with `port` and `url`. */
export async function startNats(logFolder, args = []) {
  const port = await freePort();
  const address = ['-a', '127.0.0.1', '-p', String(port)];
  const nats = new Process('nats-server', 'nats-server', [...address, ...args], { logFolder });
  await untilListening(nats, port);
  return Object.assign(nats, { port, url: `nats://127.0.0.1:${port}` });
}

/** One inline command to Redis, for what needs no client library. */
export async function redisCommand(port, command) {
  const socket = net.connect(port, '127.0.0.1');
  socket.write(`${command}\r\n`);
  const [reply] = await once(socket, 'data');
  socket.destroy();
  if (reply.toString().startsWith('-')) throw new Error(`redis: ${command}: ${reply}`);
  return reply.toString();
}
