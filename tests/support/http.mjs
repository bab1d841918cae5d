// HTTP over a bare socket: requests go out byte for byte, and responses are read strictly, so that tests can look at
// what is really on the wire.

import net from 'node:net';
import { within } from './wait.mjs';

export class ProtocolError extends Error {}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export class Headers {
  constructor(pairs) {
    this.pairs = pairs;
  }

  all(name) {
    return this.pairs.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  }

  /** The header's value, undefined where there is none; that it appears twice is an error. */
  get(name) {
    const values = this.all(name);
    if (values.length > 1) throw new ProtocolError(`${name} appears ${values.length} times`);
    return values[0];
  }

  has(name) {
    return this.all(name).length > 0;
  }

  /** The members of a comma list, in lower case. */
  list(name) {
    return this.all(name)
      .flatMap((value) => value.split(','))
      .map((member) => member.trim().toLowerCase())
      .filter(Boolean);
  }
}

/** Parses a response head: `{version, status, reason, headers, length}`, or undefined while its end is missing. */
export function parseHead(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) {
    if (bytes.length > 65_536) throw new ProtocolError('a response head without an end');
    return undefined;
  }
  const [statusLine, ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const match = /^HTTP\/(1\.[01]) (\d{3}) ([\x20-\x7e]*)$/.exec(statusLine);
  if (!match) throw new ProtocolError(`bad status line: ${JSON.stringify(statusLine)}`);
  const pairs = lines.map((line) => {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1);
    if (colon < 0 || !TOKEN.test(name)) throw new ProtocolError(`bad header line: ${JSON.stringify(line)}`);
    if (/[\0-\x08\x0a-\x1f\x7f]/.test(value)) throw new ProtocolError(`control byte in ${JSON.stringify(line)}`);
    return [name, value.trim()];
  });
  const headers = new Headers(pairs);
  for (const name of ['Content-Length', 'Content-Type', 'Transfer-Encoding', 'Connection', 'Date']) headers.get(name);
  return { version: match[1], status: Number(match[2]), reason: match[3], headers, length: end + 4 };
}

/** Takes chunked framing apart, strictly: push bytes, get the bytes inside. `done` is true after `0\r\n\r\n`. */
export class ChunkedDecoder {
  constructor() {
    this.rest = Buffer.alloc(0);
    this.done = false;
  }

  push(bytes) {
    this.rest = this.rest.length ? Buffer.concat([this.rest, bytes]) : bytes;
    const inside = [];
    let at = 0;
    for (;;) {
      if (this.done) {
        if (at < this.rest.length) throw new ProtocolError('bytes after the last chunk');
        break;
      }
      const end = this.rest.indexOf('\r\n', at);
      if (end < 0) {
        if (this.rest.length - at > 18) throw new ProtocolError('a chunk size without an end');
        break;
      }
      const head = this.rest.toString('latin1', at, end);
      if (!/^[0-9a-fA-F]{1,16}$/.test(head)) throw new ProtocolError(`bad chunk size ${JSON.stringify(head)}`);
      const size = parseInt(head, 16);
      const start = end + 2;
      if (this.rest.length < start + size + 2) break;
      if (this.rest.toString('latin1', start + size, start + size + 2) !== '\r\n') {
        throw new ProtocolError(`a chunk of ${size} bytes does not end where it says`);
      }
      if (size === 0) this.done = true;
      else inside.push(this.rest.subarray(start, start + size));
      at = start + size + 2;
    }
    this.rest = this.rest.subarray(at);
    return inside.length === 1 ? inside[0] : Buffer.concat(inside);
  }
}

/** The bytes of a request without a body. Each header is a `[name, value]`; Host is added where the version wants it. */
export function requestBytes({ method = 'GET', target, version = '1.1', headers = [] }) {
  const lines = [`${method} ${target} HTTP/${version}`];
  if (version === '1.1' && !headers.some(([name]) => name.toLowerCase() === 'host')) lines.push('Host: localhost');
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** One client connection, for requests with short answers. */
export class HttpConnection {
  static async open(port) {
    const connection = new HttpConnection(port);
    await within(connection.connected, `a connection to port ${port}`);
    return connection;
  }

  constructor(port) {
    this.bytes = Buffer.alloc(0);
    this.closed = false;
    this.wakers = new Set();
    this.socket = net.connect({ port, host: '127.0.0.1' });
    this.socket.setNoDelay(true);
    this.connected = new Promise((resolve, reject) => {
      this.socket.once('connect', resolve);
      this.socket.once('error', reject);
    });
    this.connected.catch(() => {});
    this.socket.on('data', (chunk) => {
      this.bytes = Buffer.concat([this.bytes, chunk]);
      this.#wake();
    });
    this.socket.on('error', () => {}); // 'close' follows
    this.socket.on('end', () => this.#closed());
    this.socket.on('close', () => this.#closed());
  }

  #closed() {
    this.closed = true;
    this.#wake();
  }

  #wake() {
    for (const wake of this.wakers) wake();
  }

  send(bytes) {
    this.socket.write(bytes);
  }

  request(options) {
    this.send(requestBytes(options));
    return this.response(options);
  }

  #until(probe, what) {
    const found = new Promise((resolve, reject) => {
      const wake = () => {
        try {
          const value = probe();
          if (value === undefined) return;
          this.wakers.delete(wake);
          resolve(value);
        } catch (error) {
          this.wakers.delete(wake);
          reject(error);
        }
      };
      this.wakers.add(wake);
      wake();
    });
    return within(found, () => `${what}; got ${JSON.stringify(this.bytes.toString('latin1').slice(0, 300))}`);
  }

  /** Reads one whole response: `{version, status, reason, headers, body, json()}`. `method` says what was asked. */
  async response({ method = 'GET' } = {}) {
    const head = await this.#until(() => {
      const parsed = parseHead(this.bytes);
      if (!parsed && this.closed) throw new ProtocolError(`closed without an answer: ${this.bytes.toString('latin1')}`);
      return parsed;
    }, 'a response head');
    this.bytes = this.bytes.subarray(head.length);
    if (head.headers.has('Transfer-Encoding')) throw new ProtocolError('a short answer in chunks');
    const length = head.headers.get('Content-Length');
    const bodiless = method === 'HEAD' || head.status === 204 || head.status === 304;
    const body = await this.#until(() => {
      if (bodiless) return Buffer.alloc(0);
      if (length === undefined) return this.closed ? this.bytes : undefined;
      if (this.bytes.length >= Number(length)) return this.bytes.subarray(0, Number(length));
      if (this.closed) throw new ProtocolError(`closed after ${this.bytes.length} of ${length} bytes`);
      return undefined;
    }, 'a response body');
    this.bytes = this.bytes.subarray(body.length);
    const text = body.toString('utf8');
    return { ...head, body: text, json: () => JSON.parse(text) };
  }

  /** Reads one response head and nothing behind it. */
  async streamHead() {
    const head = await this.#until(() => parseHead(this.bytes), 'a response head');
    this.bytes = this.bytes.subarray(head.length);
    return head;
  }

  /** Waits until the server has closed; gives the bytes that came before and were not read. */
  untilClosed() {
    return this.#until(() => (this.closed ? this.bytes : undefined), 'the server to close the connection');
  }

  destroy() {
    this.socket.destroy();
  }
}

/** One request on a connection of its own. */
export async function request(port, options) {
  const connection = await HttpConnection.open(port);
  try {
    return await connection.request(typeof options === 'string' ? { target: options } : options);
  } finally {
    connection.destroy();
  }
}

/** Sends raw bytes on a connection of its own and reads one answer. */
export async function rawRequest(port, bytes) {
  const connection = await HttpConnection.open(port);
  try {
    connection.send(bytes);
    return await connection.response();
  } finally {
    connection.destroy();
  }
}
