// One request for a stream and its answer, on a bare socket. Keeps nothing of what it has handed on.

import net from 'node:net';
import { Gunzip } from '../support/gunzip.mjs';
import { ChunkedDecoder, parseHead, requestBytes } from '../support/http.mjs';
import { classify, parseId, SseParser } from '../support/sse.mjs';

export class Stream {
  /**
   * With `gzip` the stream may be compressed. `onHead(status)` is called once, `onBlock(block)` for each block as
   * support/sse.mjs makes them, `onViolation(text)` for what no stream may contain, and `onEnd()` once when the connection
   * is over, unless `leave()` came first.
   */
  constructor(port, { target, lastEventId, gzip, onHead, onBlock, onViolation, onEnd }) {
    this.on = { onHead, onViolation, onEnd };
    this.rest = Buffer.alloc(0);
    this.over = false;
    this.parser = new SseParser({
      onViolation,
      onBlock: (block) => {
        block.kind = classify(block, onViolation);
        if (block.id !== undefined) block.position = parseId(block.id);
        if (!this.over) onBlock(block);
      },
    });
    const cursor = lastEventId === undefined ? [] : [['Last-Event-ID', lastEventId]];
    this.socket = net.connect({ port, host: '127.0.0.1' });
    this.socket.setNoDelay(true);
    this.socket.on('data', (bytes) => this.#onBytes(bytes));
    this.socket.on('error', () => {}); // 'close' follows
    this.socket.on('end', () => this.#onClose());
    this.socket.on('close', () => this.#onClose());
    const coding = gzip ? [['Accept-Encoding', 'gzip']] : [];
    this.socket.write(requestBytes({ target, headers: [['Accept', 'text/event-stream'], ...cursor, ...coding] }));
  }

  #onBytes(bytes) {
    if (this.over) return;
    try {
      if (!this.head) {
        this.rest = Buffer.concat([this.rest, bytes]);
        this.head = parseHead(this.rest);
        if (!this.head) return;
        const isChunked = this.head.headers.get('Transfer-Encoding') === 'chunked';
        this.chunks = isChunked ? new ChunkedDecoder() : undefined;
        if (this.head.headers.has('Content-Encoding')) this.#decode(this.head.headers.get('Content-Encoding'));
        bytes = this.rest.subarray(this.head.length);
        this.on.onHead(this.head.status);
      }
      if (this.over || this.head.status !== 200) return;
      const body = this.chunks ? this.chunks.push(bytes) : bytes;
      if (body.length) (this.gunzip ?? this.parser).push(body);
    } catch (error) {
      this.on.onViolation(error.message);
      this.socket.destroy();
    }
  }

  #decode(coding) {
    this.gunzip = new Gunzip(coding, {
      onText: (text) => {
        if (!this.over) this.parser.push(text);
      },
      onViolation: this.on.onViolation,
      onEnd: () => this.#end(),
    });
  }

  /** What came before the close and is not decoded yet comes first. */
  #onClose() {
    if (this.gunzip) this.gunzip.end();
    else this.#end();
  }

  #end() {
    if (this.over) return;
    this.over = true;
    this.socket.destroy();
    this.on.onEnd();
  }

  leave() {
    this.over = true;
    this.socket.destroy();
  }

  stopReading() {
    this.socket.pause();
  }

  readOn() {
    this.socket.resume();
  }
}
