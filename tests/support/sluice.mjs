// A Sluice process: started on a free port, its JSON log lines collected, stopped the way an operator stops it.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { request } from './http.mjs';
import { Child } from './process.mjs';
import { parseMetrics } from './prometheus.mjs';
import { eventually, within } from './wait.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const BINARY = path.resolve(ROOT, process.env.SLUICE_BIN ?? 'build/sluice');

const SANITIZER_REPORT = /(?:Address|Leak|Memory|UndefinedBehavior)Sanitizer:|runtime error:|WARNING: ThreadSanitizer/;

/** What a test does not set is what a bridge on a bare machine has: nothing of this process's environment but PATH. */
function environment(settings) {
  const kept = Object.entries(process.env).filter(([name]) => name === 'PATH' || /^[A-Z]+SAN_OPTIONS$/.test(name));
  return { ...Object.fromEntries(kept), ...settings };
}

/** Runs Sluice for what it prints and how it ends (`--help`, a start that is refused): `{code, stdout, stderr}`. */
export async function runSluice({ args = [], env = {} } = {}) {
  const child = new Child(BINARY, args, { env: environment(env) });
  try {
    const { code, signal, error } = await child.waitForExit();
    if (error) throw error;
    assert.equal(signal, null, `killed by ${signal}: ${child.stderr}`);
    assert.doesNotMatch(child.stderr, SANITIZER_REPORT);
    return { code, stdout: child.stdout, stderr: child.stderr };
  } finally {
    await child.kill();
  }
}

export class Sluice {
  /** `wrapper` is a command that Sluice's own follows, such as ['prlimit', '--nofile=64']. */
  constructor({ env = {}, args = [], wrapper = [] } = {}) {
    this.env = { AUTH_MODE: 'none', BIND_ADDRESS: '127.0.0.1', PORT_ANALYTICS: '0', LOG_FORMAT: 'json', ...env };
    this.args = args;
    this.wrapper = wrapper;
    this.logs = [];
    this.otherLines = [];
    this.wakers = new Set();
  }

  /** Starts the process and waits until it listens. */
  async start() {
    const env = environment(this.env);
    const [command, ...args] = [...this.wrapper, BINARY, ...this.args];
    this.child = new Child(command, args, { env, onLine: (line) => this.#onLine(line) });
    const { port } = await this.untilLog((line) => line.message === 'Sluice is listening', 'the listening message');
    this.port = port;
    return this;
  }

  #onLine(line) {
    let parsed;
    try {
      parsed = JSON.parse(line);
    } catch {
      // Not JSON: kept as it is.
    }
    if (parsed !== null && typeof parsed === 'object') this.logs.push(parsed);
    else this.otherLines.push(line);
    for (const wake of [...this.wakers]) wake();
  }

  get pid() {
    return this.child.pid;
  }

  /** Waits for a log line for which `predicate` is true, and gives it. */
  untilLog(predicate, what) {
    const found = new Promise((resolve, reject) => {
      const wake = () => {
        const line = this.logs.find(predicate);
        if (!line) return;
        this.wakers.delete(wake);
        resolve(line);
      };
      this.wakers.add(wake);
      wake();
      this.child.ended.then(({ code, signal, error }) =>
        reject(new Error(`Sluice ended (${error?.message ?? signal ?? code}) before ${what}: ${this.child.stderr}`)),
      );
    });
    return within(found, () => `${what}; Sluice said:\n${this.tail()}`);
  }

  tail() {
    const lines = this.child ? this.child.stderr.trimEnd().split('\n') : [];
    return lines.slice(-25).join('\n');
  }

  /** With ADMIN_KEY in the settings this asks as an administrator. */
  get(target) {
    const { ADMIN_KEY } = this.env;
    return request(this.port, { target, headers: ADMIN_KEY ? [['Authorization', `Bearer ${ADMIN_KEY}`]] : [] });
  }

  async health() {
    return (await this.get('/stream/health')).json();
  }

  async stats() {
    return (await this.get('/stream/stats')).json();
  }

  async metrics() {
    return parseMetrics((await this.get('/metrics')).body);
  }

  /** Waits until health says `status`: `ok`, `degraded` or `unavailable`. */
  untilHealth(status) {
    return eventually(async () => {
      const answer = await this.get('/stream/health');
      const body = answer.json();
      if (body.status !== status) throw new Error(`health says ${answer.body}`);
      return body;
    }, `health ${status}`);
  }

  /** Waits until the probe of readiness says so. */
  untilReady() {
    return eventually(async () => {
      const answer = await this.get('/stream/health/ready');
      if (answer.status !== 200) throw new Error(`readiness says ${answer.status} ${answer.body}`);
      return true;
    }, 'readiness');
  }

  /** Waits until a metric has a value for which `predicate` is true. */
  untilMetric(name, labels, predicate) {
    return eventually(async () => {
      const value = (await this.metrics()).value(name, labels);
      if (!predicate(value)) throw new Error(`${name} ${JSON.stringify(labels)} is ${value}`);
      return true;
    }, name);
  }

  untilConnections(count) {
    return eventually(async () => {
      const { connections } = await this.stats();
      if (connections.totalConnections !== count) throw new Error(`${connections.totalConnections} connections`);
      return true;
    }, `${count} connections`);
  }

  openDescriptors() {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** User and system time of the process so far, in clock ticks of 10 ms. */
  cpuTicks() {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return Number(fields[11]) + Number(fields[12]);
  }

  /** Bytes of memory that the process has in use. */
  residentBytes() {
    return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))[1]);
  }

  checkOutput() {
    const report = SANITIZER_REPORT.exec(this.child.stderr);
    if (report) throw new assert.AssertionError({ message: `a sanitizer speaks:\n${this.child.stderr.slice(-8000)}` });
  }

  /** Ends it by a signal and checks that it ended well. */
  async stop(signal = 'SIGTERM') {
    this.child.signal(signal);
    await this.checkExit();
  }

  async checkExit() {
    const exit = await this.child.waitForExit();
    this.checkOutput();
    assert.deepEqual(exit, { code: 0, signal: null }, `Sluice ended badly: ${this.tail()}`);
  }

  /** Ends it as a crash does. */
  async crash() {
    await this.child.kill();
    this.checkOutput();
  }

  get isRunning() {
    return this.child !== undefined && !this.child.exit;
  }

  async dispose() {
    if (this.isRunning) await this.child.kill();
  }
}
