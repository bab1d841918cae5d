// One request to NATS, for what needs no client library.

import net from 'node:net';

const LIMIT_MS = 10_000;
const INBOX = '_INBOX.bench';

/** The text of the message to us, once all of it is there. Bytes are characters here, so that sizes fit. */
function readAnswer(received) {
  const head = /^MSG (\S+) \S+ (\d+)\r\n/m.exec(received);
  if (!head || head[1] !== INBOX) return undefined;
  const from = Buffer.from(received, 'latin1').subarray(head.index + head[0].length);
  const size = Number(head[2]);
  return from.length >= size ? from.subarray(0, size).toString() : undefined;
}

/** Gives the answer's text. */
export function natsRequest(port, subject, text = '') {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    let received = '';
    const end = (error, answer) => {
      socket.destroy();
      if (error) reject(new Error(`nats: ${subject}: ${error}`));
      else resolve(answer);
    };
    socket.setTimeout(LIMIT_MS, () => end('no answer'));
    socket.once('error', (error) => end(error.message));
    socket.setEncoding('latin1').on('data', (part) => {
      received += part;
      const answer = readAnswer(received);
      if (answer !== undefined) end(undefined, answer);
      else if (/^-ERR/m.test(received)) end(received.trim());
    });
    const connect = 'CONNECT {"verbose":false,"pedantic":false}\r\n';
    socket.write(`${connect}SUB ${INBOX} 1\r\nPUB ${subject} ${INBOX} ${Buffer.byteLength(text)}\r\n${text}\r\n`);
  });
}
