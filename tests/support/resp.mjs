// As much of the Redis protocol as a test needs: one command, one connection, one reply.

import net from 'node:net';
import { within } from './wait.mjs';

export class RedisError extends Error {}

/** Parses one reply at `offset`: `{value, next}`, or undefined while bytes are missing. */
export function parseReply(bytes, offset = 0) {
  const end = bytes.indexOf('\r\n', offset);
  if (end < 0) return undefined;
  const text = bytes.toString('utf8', offset + 1, end);
  const next = end + 2;
  const type = String.fromCharCode(bytes[offset]);
  if (type === '+') return { value: text, next };
  if (type === '-') return { value: new RedisError(text), next };
  if (type === ':') return { value: Number(text), next };
  if (type === '$') {
    const length = Number(text);
    if (length < 0) return { value: null, next };
    if (bytes.length < next + length + 2) return undefined;
    return { value: bytes.toString('utf8', next, next + length), next: next + length + 2 };
  }
  if (type === '*') {
    const count = Number(text);
    if (count < 0) return { value: null, next };
    const value = [];
    let at = next;
    for (let i = 0; i < count; i++) {
      const item = parseReply(bytes, at);
      if (!item) return undefined;
      value.push(item.value);
      at = item.next;
    }
    return { value, next: at };
  }
  throw new Error(`not a Redis reply: ${text}`);
}

function encodeCommand(words) {
  const parts = words.map(String).map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${parts.length}\r\n${parts.join('')}`;
}

export class Redis {
  /** With a `password` each connection logs in first. */
  constructor(port, { password } = {}) {
    this.port = port;
    this.password = password;
  }

  command(...words) {
    const socket = net.connect({ port: this.port, host: '127.0.0.1' });
    const reply = new Promise((resolve, reject) => {
      let bytes = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        bytes = Buffer.concat([bytes, chunk]);
        let parsed = parseReply(bytes);
        if (parsed && this.password && !(parsed.value instanceof RedisError)) parsed = parseReply(bytes, parsed.next);
        if (!parsed) return;
        if (parsed.value instanceof RedisError) reject(parsed.value);
        else resolve(parsed.value);
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('Redis closed the connection')));
      if (this.password) socket.write(encodeCommand(['AUTH', this.password]));
      socket.write(encodeCommand(words));
    });
    return within(reply, `a reply to ${words[0]}`).finally(() => socket.destroy());
  }
}
