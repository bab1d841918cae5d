// Child processes: each is remembered until it has ended, and killed by its own pid when the test process goes.

import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { eventually, within } from './wait.mjs';

const running = new Set();
const directories = new Set();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

export function temporaryDirectory(name) {
  const directory = mkdtempSync(path.join(os.tmpdir(), `sluice-${name}-`));
  directories.add(directory);
  return directory;
}

export function removeDirectory(directory) {
  rmSync(directory, { recursive: true, force: true });
  directories.delete(directory);
}

function canBind(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)));
  });
}

/**
 * A free port below the kernel's ephemeral range: while a killed server's port is unused, no outgoing connection can
 * take it, so that the server can be started on it again.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (await canBind(port)) return port;
  }
}

export class Child {
  /** Starts `command`; `onLine(line)` is called for each line of stderr, and all output is kept in `stdout`, `stderr`. */
  constructor(command, args, { env = process.env, cwd, onLine = () => {} } = {}) {
    this.command = command;
    this.stdout = '';
    this.stderr = '';
    this.exit = undefined; // {code, signal} once it has ended
    this.process = spawn(command, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.process);
    let rest = '';
    this.process.stdout.setEncoding('utf8').on('data', (text) => {
      this.stdout += text;
    });
    this.process.stderr.setEncoding('utf8').on('data', (text) => {
      this.stderr += text;
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      lines.forEach(onLine);
    });
    this.ended = new Promise((resolve) => {
      this.process.once('error', (error) => {
        running.delete(this.process);
        this.exit = { code: null, signal: null, error };
        resolve(this.exit);
      });
      this.process.once('close', (code, signal) => {
        running.delete(this.process);
        if (rest) onLine(rest);
        this.exit ??= { code, signal };
        resolve(this.exit);
      });
    });
  }

  get pid() {
    return this.process.pid;
  }

  signal(name) {
    if (!this.exit) this.process.kill(name);
  }

  /** SIGSTOP, which takes hold of each thread when it is next looked at: until it has of all of them. */
  async halt() {
    this.signal('SIGSTOP');
    await eventually(() => {
      const states = readdirSync(`/proc/${this.pid}/task`).map((thread) => {
        const stat = readFileSync(`/proc/${this.pid}/task/${thread}/stat`, 'latin1');
        return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
      });
      return states.every((state) => state === 'T');
    }, `${this.command} (pid ${this.pid}) to stop`);
  }

  waitForExit() {
    return within(this.ended, () => `${this.command} (pid ${this.pid}) to end`);
  }

  async kill() {
    this.signal('SIGKILL');
    await this.waitForExit();
  }
}
