// A Server-Sent Events client on a bare socket. It parses as WHATWG HTML says, keeps every block with its bytes, and
// collects what no stream of Sluice may ever contain as `violations`.

import net from 'node:net';
import { Gunzip } from './gunzip.mjs';
import { ChunkedDecoder, parseHead, ProtocolError, requestBytes } from './http.mjs';
import { within } from './wait.mjs';

const LF = 10;
const CR = 13;
const COLON = 58;
const SPACE = 32;

const CONTROL_KEYS = {
  'stream.ready': ['companyId', 'complete', 'connectionId', 'head', 'replayed'],
  'stream.gap': ['missed', 'oldest', 'reason', 'requested'],
  'stream.store': ['state'],
  'stream.expiring': ['expiresAt'],
  'stream.closing': ['reason', 'retryMs'],
};
const GAP_REASONS = ['expired', 'unknown_id', 'slow_consumer', 'source', 'rate_limited', 'replay_unavailable'];
const CLOSING_REASONS = ['shutdown', 'expired_token', 'revoked', 'disabled', 'idle', 'max_age'];

/**
 * Splits bytes into blocks: `{raw, fields, comments, id, event, data, retry}`. `raw` is the block's text with its blank
 * line; `data` is undefined where no data field came, as `id`, `event` and `retry` are.
 */
export class SseParser {
  constructor({ onBlock = () => {}, onViolation = () => {} } = {}) {
    this.onBlock = onBlock;
    this.violation = onViolation;
    this.decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    this.rest = Buffer.alloc(0);
    this.started = false;
    this.blockStart = 0;
    this.#newBlock();
  }

  #newBlock() {
    this.block = { fields: [], comments: [] };
    this.data = [];
  }

  /** What has come since the last complete block. */
  get unfinished() {
    return this.rest;
  }

  push(bytes) {
    this.rest = this.rest.length ? Buffer.concat([this.rest, bytes]) : bytes;
    if (!this.started && this.rest.length >= 3) {
      this.started = true;
      if (this.rest[0] === 0xef && this.rest[1] === 0xbb && this.rest[2] === 0xbf) {
        this.violation('a byte order mark');
        this.rest = this.rest.subarray(3);
      }
    }
    let line = this.lineStart ?? 0;
    for (let at = this.scanned ?? line; at < this.rest.length; at++) {
      const byte = this.rest[at];
      if (byte !== LF && byte !== CR) continue;
      if (byte === CR) {
        this.violation('a carriage return');
        if (at + 1 === this.rest.length) break; // CRLF or CR alone: the next byte tells
      }
      const next = byte === CR && this.rest[at + 1] === LF ? at + 2 : at + 1;
      if (at === line) this.#endBlock(next);
      else this.#line(this.rest.subarray(line, at));
      line = next;
      at = next - 1;
    }
    // Finished blocks are forgotten, so that a long stream is not scanned twice.
    this.rest = this.rest.subarray(this.blockStart);
    this.lineStart = line - this.blockStart;
    this.scanned = this.rest.length;
    if (this.rest[this.rest.length - 1] === CR) this.scanned--;
    this.blockStart = 0;
  }

  #text(bytes) {
    try {
      return this.decoder.decode(bytes);
    } catch {
      this.violation(`not UTF-8: ${bytes.toString('latin1')}`);
      return bytes.toString('utf8');
    }
  }

  #line(bytes) {
    const colon = bytes.indexOf(COLON);
    if (colon === 0) {
      if (this.block.fields.length) this.violation('a comment inside a block');
      this.block.comments.push(this.#text(bytes.subarray(1)));
      return;
    }
    const name = this.#text(colon < 0 ? bytes : bytes.subarray(0, colon));
    const from = colon < 0 ? bytes.length : bytes[colon + 1] === SPACE ? colon + 2 : colon + 1;
    const value = this.#text(bytes.subarray(from));
    this.block.fields.push([name, value]);
    if (value.includes('\0')) this.violation(`a NUL in ${name}`);
    if (name === 'data') this.data.push(value);
    else if (name === 'event') this.block.event = value;
    else if (name === 'id') {
      if (!value.includes('\0')) this.block.id = value;
    } else if (name === 'retry') {
      if (/^[0-9]+$/.test(value)) this.block.retry = Number(value);
      else this.violation(`retry is not a number: ${value}`);
    } else this.violation(`an unknown field: ${name}`);
  }

  #endBlock(next) {
    const block = this.block;
    if (this.data.length) block.data = this.data.join('\n');
    block.raw = this.#text(this.rest.subarray(this.blockStart, next));
    this.blockStart = next;
    this.#newBlock();
    if (block.fields.length || block.comments.length) this.onBlock(block);
    else this.violation('an empty block');
  }
}

export const EVENT_ID = /^([A-Za-z0-9._-]{1,64})-(\d+)-(\d+)$/;

/** Takes an event id apart: `{subject, seq, ms}`. */
export function parseId(id) {
  const match = EVENT_ID.exec(id);
  if (!match) throw new ProtocolError(`not an event id: ${JSON.stringify(id)}`);
  return { subject: match[1], seq: Number(match[2]), ms: Number(match[3]) };
}

function checkControl(block, violation) {
  const keys = CONTROL_KEYS[block.event];
  if (!keys) return violation(`an unknown control event: ${block.event}`);
  if (block.id !== undefined) violation(`a control event with an id: ${block.raw}`);
  try {
    block.json = JSON.parse(block.data);
  } catch {
    return violation(`a control event whose data is not JSON: ${block.raw}`);
  }
  const found = Object.keys(block.json)
    .filter((key) => !(block.event === 'stream.ready' && key === 'ticket')) // that of a stream opened by a ticket
    .sort()
    .join();
  if (found !== keys.join()) violation(`${block.event} has the keys ${found} instead of ${keys}`);
  const { reason, missed } = block.json;
  if (block.event === 'stream.gap') {
    if (!GAP_REASONS.includes(reason)) violation(`an unknown gap reason: ${reason}`);
    if (missed !== null && !(Number.isInteger(missed) && missed >= 0)) violation(`missed is ${missed}`);
  }
  if (block.event === 'stream.closing' && !CLOSING_REASONS.includes(reason)) violation(`closing reason ${reason}`);
  return undefined;
}

/** What each block of a stream is: `event`, `control`, `cursor` (an id without data), `retry` or `comment`. */
export function classify(block, violation) {
  if (block.id !== undefined && (!/^[A-Za-z0-9._-]{1,128}$/.test(block.id) || !EVENT_ID.test(block.id))) {
    violation(`an id that clients cannot send back: ${JSON.stringify(block.id)}`);
  }
  if (block.event?.startsWith('stream.')) {
    checkControl(block, violation);
    return 'control';
  }
  if (block.data !== undefined) {
    if (block.id === undefined) violation(`an event without an id: ${block.raw}`);
    if (['open', 'error', 'message', undefined].includes(block.event)) violation(`an event named ${block.event}`);
    return 'event';
  }
  if (block.id !== undefined) {
    if (block.event !== undefined) violation(`an event without data: ${block.raw}`);
    return 'cursor';
  }
  return block.retry === undefined ? 'comment' : 'retry';
}

function streamTarget({ path = '/stream/updates', company, query = [] }) {
  const pairs = company === undefined ? [] : [['companyId', encodeURIComponent(company)]];
  return `${path}?${[...pairs, ...query].map(([name, value]) => `${name}=${value}`).join('&')}`;
}

export class SseClient {
  /**
   * Asks for a stream and waits for the response's head. `query` holds `[name, percent-encoded value]` pairs, `bytes`
   * replaces the whole request, `connection` is an HttpConnection to ask on. With `gzip` the stream may be compressed.
   */
  static async open(port, options) {
    const client = new SseClient(port, options);
    await client.waitFor(() => client.head, 'the response head');
    return client;
  }

  constructor(port, { company, lastEventId, query, path, version = '1.1', headers = [], gzip, bytes, connection } = {}) {
    this.company = company;
    this.blocks = [];
    this.events = [];
    this.violations = [];
    this.wakers = new Set();
    this.lastEventId = lastEventId; // as a browser keeps it, through all blocks
    this.closed = false; // the server's side is over
    this.left = false; // the test has gone away
    const violation = (text) => this.violations.push(text);
    this.parser = new SseParser({ onBlock: (block) => this.#onBlock(block), onViolation: violation });
    this.rest = Buffer.alloc(0);
    this.request =
      bytes ??
      requestBytes({
        target: streamTarget({ path, company, query }),
        version,
        headers: [
          ['Accept', 'text/event-stream'],
          ...(lastEventId === undefined ? [] : [['Last-Event-ID', lastEventId]]),
          ...(gzip ? [['Accept-Encoding', 'gzip']] : []),
          ...headers,
        ],
      });
    if (connection) {
      this.socket = connection.socket;
      this.socket.removeAllListeners('data');
    } else {
      this.socket = net.connect({ port, host: '127.0.0.1' });
      this.socket.setNoDelay(true);
    }
    this.socket.on('data', (chunk) => this.#onBytes(chunk));
    this.socket.on('error', (error) => {
      this.error = error;
    });
    this.socket.on('end', () => this.#onClose());
    this.socket.on('close', () => this.#onClose());
    this.socket.write(this.request);
  }

  #onBytes(bytes) {
    try {
      if (!this.head) {
        this.rest = Buffer.concat([this.rest, bytes]);
        this.head = parseHead(this.rest);
        if (!this.head) return;
        this.status = this.head.status;
        this.headers = this.head.headers;
        const coding = this.headers.get('Transfer-Encoding');
        if (coding !== undefined) {
          if (coding !== 'chunked') throw new ProtocolError(`Transfer-Encoding: ${coding}`);
          this.chunks = new ChunkedDecoder();
        }
        if (this.headers.has('Content-Encoding')) {
          this.gunzip = new Gunzip(this.headers.get('Content-Encoding'), {
            onText: (text) => {
              this.parser.push(text);
              this.#wake();
            },
            onViolation: (text) => this.violations.push(text),
            onEnd: () => this.#end(),
          });
        }
        if (this.headers.has('Content-Length')) this.missingBytes = Number(this.headers.get('Content-Length'));
        bytes = this.rest.subarray(this.head.length);
      }
      const body = this.chunks ? this.chunks.push(bytes) : bytes;
      if (this.missingBytes !== undefined) this.missingBytes -= body.length;
      if (this.status !== 200) this.errorBody = (this.errorBody ?? '') + body.toString('utf8');
      else if (body.length && this.gunzip) this.gunzip.push(body);
      else if (body.length) this.parser.push(body);
    } catch (error) {
      this.violations.push(error.message);
      this.socket.destroy();
    }
    this.#wake();
  }

  #onBlock(block) {
    block.kind = classify(block, (text) => this.violations.push(text));
    if (block.id !== undefined) this.lastEventId = block.id;
    if (block.kind === 'event') {
      block.position = parseId(block.id);
      this.events.push(block);
    }
    this.blocks.push(block);
  }

  #onClose() {
    if (this.gunzip) this.gunzip.end();
    else this.#end();
  }

  #end() {
    this.closed = true;
    this.#wake();
  }

  #wake() {
    for (const wake of [...this.wakers]) wake();
  }

  /** Waits until `predicate()` gives something truthy, and gives that. Fails at once where the stream has ended. */
  waitFor(predicate, what) {
    const describe = () => `${what} on the stream of ${this.company}; ${this.summary()}`;
    const found = new Promise((resolve, reject) => {
      const wake = () => {
        const value = predicate();
        if (!value && !this.closed) return;
        this.wakers.delete(wake);
        if (value) resolve(value);
        else reject(new Error(`the stream ended while waiting for ${describe()}`));
      };
      this.wakers.add(wake);
      wake();
    });
    return within(found, describe);
  }

  summary() {
    const tail = this.blocks.slice(-6).map((block) => JSON.stringify(block.raw.slice(0, 200)));
    const counts = `${this.blocks.length} blocks, ${this.events.length} events, status ${this.status}`;
    return `${counts}, violations ${JSON.stringify(this.violations.slice(0, 5))}, last blocks:\n  ${tail.join('\n  ')}`;
  }

  controls(name) {
    return this.blocks.filter((block) => block.kind === 'control' && block.event === name);
  }

  get gaps() {
    return this.controls('stream.gap').map((block) => block.json);
  }

  /** The data of `stream.ready`, once the cursor block behind it has come too. */
  async ready() {
    const [ready] = await this.waitFor(() => {
      const at = this.blocks.findIndex((block) => block.event === 'stream.ready');
      return at >= 0 && this.blocks.slice(at).some((block) => block.kind === 'cursor') && [this.blocks[at]];
    }, 'stream.ready and its cursor');
    return ready.json;
  }

  /** Waits for `count` events in all. */
  async untilEvents(count) {
    await this.waitFor(() => this.events.length >= count, `${count} events`);
    return this.events;
  }

  /** Waits until the last `stream.store` says this state. */
  untilStore(state) {
    return this.waitFor(() => this.controls('stream.store').at(-1)?.json.state === state, `stream.store ${state}`);
  }

  untilControl(name, count = 1) {
    return this.waitFor(() => {
      const found = this.controls(name);
      return found.length >= count && found[count - 1].json;
    }, `${count} × ${name}`);
  }

  /** Waits for a clean end: the last chunk where there are chunks, the last byte where there is a length, then the close. */
  async untilClosed() {
    await this.waitFor(() => this.closed, 'the end of the stream');
    if (this.chunks && !this.chunks.done) throw new ProtocolError('the stream was cut before its last chunk');
    if (this.gunzip && !this.gunzip.complete) throw new ProtocolError('the stream was cut before the end of what is compressed');
    if (this.missingBytes) throw new ProtocolError(`the answer's length is wrong by ${this.missingBytes} bytes`);
    if (this.parser.unfinished.length) throw new ProtocolError('the stream ended inside a block');
  }

  /** Waits for the whole of a short answer, which leaves the connection open. */
  untilWhole() {
    return this.waitFor(() => this.missingBytes === 0, 'the rest of a short answer');
  }

  /** Stops reading, as a client that hangs does. */
  stopReading() {
    this.socket.pause();
  }

  readOn() {
    this.socket.resume();
  }

  leave() {
    this.left = true;
    this.socket.destroy();
  }

  /** Leaves with a TCP reset, as a process that is killed does. */
  reset() {
    this.left = true;
    this.socket.resetAndDestroy();
  }
}
