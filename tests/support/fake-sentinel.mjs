// A Sentinel that says what the test wants it to say.

import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { parseReply } from './resp.mjs';

export class FakeSentinel {
  /** `port`: of the master that it names; undefined: it knows none. With a `certificate` it speaks TLS. */
  constructor(port, certificate) {
    this.named = port;
    this.asked = 0; // how often it was asked for the master
    this.sockets = new Set();
    const serve = (socket) => this.#serve(socket);
    this.server = certificate
      ? tls.createServer({ cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) }, serve)
      : net.createServer(serve);
  }

  #serve(socket) {
    let bytes = Buffer.alloc(0);
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (let parsed = parseReply(bytes); parsed; parsed = parseReply(bytes)) {
        bytes = bytes.subarray(parsed.next);
        socket.write(this.#answer(parsed.value));
        if (!bytes.length) break;
      }
    });
  }

  #answer([word, ...rest]) {
    if (word !== 'SENTINEL' || rest[0] !== 'get-master-addr-by-name' || rest[1] !== 'mymaster') return '-ERR unknown\r\n';
    this.asked++;
    if (this.named === undefined) return '*-1\r\n';
    const port = String(this.named);
    return `*2\r\n$9\r\n127.0.0.1\r\n$${port.length}\r\n${port}\r\n`;
  }

  async start() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    return this;
  }

  async dispose() {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
