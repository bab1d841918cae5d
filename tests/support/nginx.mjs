// A real nginx in front of Sluice, with the configuration that deploy/production/ tells operators to use.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { requestBytes } from './http.mjs';
import { temporaryDirectory } from './process.mjs';
import { Server, SERVER_ENV } from './servers.mjs';
import { SseClient } from './sse.mjs';
import { within } from './wait.mjs';

const CONFIG = fileURLToPath(new URL('../../deploy/production/nginx.conf', import.meta.url));

/** Whence clients call: another address than nginx's own towards Sluice, 127.0.0.1. */
export const CLIENT_ADDRESS = '127.0.0.2';

/** Replaces a text that must be there, so that a changed file is noticed. */
function replace(text, from, to) {
  if (!text.includes(from)) throw new Error(`deploy/production/nginx.conf has no ${JSON.stringify(from)} any more`);
  return text.replaceAll(from, to);
}

export class Nginx extends Server {
  /** In front of one Sluice or several replicas, with a certificate of `authority` for localhost. */
  constructor(sluices, authority) {
    super('nginx');
    this.tries = 0;
    this.sluicePorts = [sluices].flat().map(({ port }) => port);
    this.files = authority.issue('DNS:localhost');
    this.ca = readFileSync(this.files.caFile);
  }

  arguments(port) {
    // The port was taken, perhaps; but not again and again.
    if (++this.tries > 5) throw new Error(`nginx does not start: ${this.child?.stderr}`);
    let text = readFileSync(CONFIG, 'utf8');
    // First, since the paths below may be there too.
    text = replace(text, ' /tmp/', ` ${this.directory}/`);
    text = replace(text, 'listen 8443 ssl', `listen 127.0.0.1:${port} ssl`);
    const line = 'server sluice:3007 max_fails=0;';
    const upstream = this.sluicePorts.map((sluice) => line.replace('sluice:3007', `127.0.0.1:${sluice}`));
    text = replace(text, line, upstream.join(' '));
    text = replace(text, '/run/secrets/tls.crt', this.files.certFile);
    text = replace(text, '/run/secrets/tls.key', this.files.keyFile);
    // The tests' pipes cannot be opened by a name.
    text = replace(text, 'access_log /dev/stdout', `access_log ${this.directory}/access.log`);
    text = replace(text, 'worker_processes auto;', 'worker_processes 1;');
    // More than some machines allow.
    text = replace(text, 'worker_rlimit_nofile 65536;', '');
    text = replace(text, 'worker_connections 30000;', 'worker_connections 512;');
    const file = path.join(this.directory, 'nginx.conf');
    writeFileSync(file, text);
    // One process, which a test can kill without leaving workers behind.
    return ['-e', 'stderr', '-p', this.directory, '-c', file, '-g', 'daemon off; master_process off;'];
  }

  async start() {
    this.directory = temporaryDirectory(this.name);
    // A configuration that is wrong would be so on every port.
    execFileSync(this.name, [...this.arguments(1), '-t'], { env: SERVER_ENV, stdio: ['ignore', 'ignore', 'pipe'] });
    return super.start();
  }

  async answers(port) {
    try {
      const socket = await this.connect(port);
      socket.destroy();
      return true;
    } catch {
      return false;
    }
  }

  /** A TLS connection that speaks HTTP/1.1. */
  async connect(port = this.port) {
    const socket = tls.connect({ port, host: '127.0.0.1', localAddress: CLIENT_ADDRESS, servername: 'localhost', ca: this.ca });
    await within(
      new Promise((resolve, reject) => {
        socket.once('secureConnect', resolve);
        socket.once('error', reject);
      }),
      `a TLS connection to port ${port}`,
    );
    return socket;
  }

  /** Opens a stream, as SseClient does. */
  async stream(options) {
    return SseClient.open(this.port, { ...options, connection: { socket: await this.connect() } });
  }

  /** One request: `{status, text, json()}`. */
  async request(options) {
    const socket = await this.connect();
    const headers = [['Connection', 'close'], ...(options.headers ?? [])];
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.write(requestBytes({ ...options, headers }));
    await within(ended, `an answer to ${options.target}`);
    const [head, ...body] = Buffer.concat(chunks).toString('utf8').split('\r\n\r\n');
    const text = body.join('\r\n\r\n');
    return { status: Number(head.split(' ')[1]), head, text, json: () => JSON.parse(text) };
  }

  /** All that it has said: its access log and its errors. */
  get log() {
    return readFileSync(path.join(this.directory, 'access.log'), 'utf8') + this.child.stderr;
  }

  async stop() {
    this.child.signal('SIGQUIT');
    await this.child.waitForExit();
  }
}
