// Requests that two readers could read in two ways. What hides in one must never be answered, and never be a stream's.

import assert from 'node:assert/strict';
import { besieged, exchange, HIDDEN, statusesOf } from '../support/attacks.mjs';
import { forEachCase } from '../support/cases.mjs';
import { assertExactly, payload } from '../support/events.mjs';
import { requestBytes } from '../support/http.mjs';
import { e2e } from '../support/world.mjs';

const STREAM = '/stream/updates?companyId=witness';
const CHUNKED = '0\r\n\r\n';

function head(lines, { method = 'GET', target = '/stream/stats', version = '1.1', host = ['Host: x'] } = {}) {
  return `${[`${method} ${target} HTTP/${version}`, ...host, ...lines].join('\r\n')}\r\n\r\n`;
}

const LENGTH = `Content-Length: ${HIDDEN.length}`;

/** name: [the bytes in front of the hidden request, the statuses that are right for them] */
const AMBIGUOUS = {
  'CL.TE': [head(['Content-Length: 6', 'Transfer-Encoding: chunked'], { method: 'POST' }) + CHUNKED, [400]],
  'TE.CL': [head(['Transfer-Encoding: chunked', 'Content-Length: 4'], { method: 'POST' }) + '5c\r\n', [400]],
  'CL.TE on a stream': [head(['Content-Length: 0', 'Transfer-Encoding: chunked'], { target: STREAM }) + CHUNKED, [400]],
  'TE.TE, the second one unknown': [head(['Transfer-Encoding: chunked', 'Transfer-Encoding: x']) + CHUNKED, [400]],
  'a chunked body on GET': [head(['Transfer-Encoding: chunked']) + CHUNKED, [413]],
  'a chunked body on a stream': [head(['Transfer-Encoding: chunked'], { target: STREAM }) + CHUNKED, [413]],
  'a chunked body in HTTP/1.0': [head(['Transfer-Encoding: chunked'], { version: '1.0' }) + CHUNKED, [400, 413]],
  'chunk sizes that are none': [head(['Transfer-Encoding: chunked'], { method: 'POST' }) + 'zz\r\n', [413]],
  'a space in front of the colon': [head(['Transfer-Encoding : chunked']) + CHUNKED, [400]],
  'a tab in front of the colon': [head(['Transfer-Encoding\t: chunked']) + CHUNKED, [400]],
  'a space in front of the name': [head([' Transfer-Encoding: chunked']) + CHUNKED, [400]],
  'a space in front of the first name': [head([' Transfer-Encoding: chunked', 'Host: x'], { host: [] }) + CHUNKED, [400]],
  'a tab in front of the value': [head(['Transfer-Encoding:\tchunked']) + CHUNKED, [413]],
  'a vertical tab in front of the value': [head(['Transfer-Encoding: \x0bchunked']) + CHUNKED, [400]],
  'a value in the next line': [head(['Transfer-Encoding:', ' chunked']) + CHUNKED, [400]],
  'a length in the next line': [head(['Content-Length:', `\t${HIDDEN.length}`]), [400]],
  'another coding': [head(['Transfer-Encoding: xchunked']) + CHUNKED, [400, 413, 501]],
  'chunked, identity': [head(['Transfer-Encoding: chunked, identity']) + CHUNKED, [400, 413, 501]],
  'identity': [head(['Transfer-Encoding: identity']), [400, 413, 501]],
  'no coding at all': [head(['Transfer-Encoding:']) + CHUNKED, [400, 413, 501]],
  'a coding in quotes': [head(['Transfer-Encoding: "chunked"']) + CHUNKED, [400, 413, 501]],
  'a coding named in Connection': [head(['Connection: Transfer-Encoding', 'Transfer-Encoding: chunked']) + CHUNKED, [413]],
  'a carriage return in front of the name': [head(['X-A: b\rTransfer-Encoding: chunked']) + CHUNKED, [400]],
  'a line feed in front of the name': [head(['X-A: b\nTransfer-Encoding: chunked']) + CHUNKED, [400, 413]],
  'a NUL in the name': [head(['Transfer-Encoding\0: chunked']) + CHUNKED, [400]],
  'a NUL in front of the value': [head(['Transfer-Encoding: \0chunked']) + CHUNKED, [400, 413]],
  'a body': [head([LENGTH]), [413]],
  'a body on a stream': [head([LENGTH], { target: STREAM }), [413]],
  'a body on a preflight': [head([LENGTH], { method: 'OPTIONS' }), [413]],
  'a body for a ticket': [head([LENGTH], { method: 'POST', target: '/stream/ticket?companyId=witness' }), [413]],
  'a body that waits for 100 Continue': [head([LENGTH, 'Expect: 100-continue'], { method: 'POST' }), [413]],
  'two lengths': [head(['Content-Length: 0', LENGTH]), [400]],
  'two lengths the other way round': [head([LENGTH, 'Content-Length: 0']), [400]],
  'two equal lengths': [head([LENGTH, LENGTH]), [400]],
  'two lengths in one line': [head([`Content-Length: 0, ${HIDDEN.length}`]), [400]],
  'two lengths of 0 in one line': [head(['Content-Length: 0,0']), [400]],
  'a length in front of a colon with a space': [head([`Content-Length : ${HIDDEN.length}`]), [400]],
  'a length with a plus': [head(['Content-Length: +5']), [400]],
  'a length of +0': [head(['Content-Length: +0']), [400]],
  'a negative length': [head(['Content-Length: -1']), [400]],
  'a length of -0': [head(['Content-Length: -0']), [400]],
  'a length of 00': [head(['Content-Length: 00']), [400, 413]],
  'a hexadecimal length': [head(['Content-Length: 0x5']), [400]],
  'a length with a fraction': [head(['Content-Length: 0.0']), [400]],
  'a length with a space inside': [head(['Content-Length: 0 5']), [400]],
  'an empty length': [head(['Content-Length:']), [400]],
  'the largest length': [head(['Content-Length: 18446744073709551615']), [400, 413]],
  'a length of 2^64': [head(['Content-Length: 18446744073709551616']), [400, 413]],
  'a length of 40 digits': [head([`Content-Length: ${'9'.repeat(40)}`]), [400, 413]],
  'two hosts': [head(['Host: y']), [400]],
  'two equal hosts': [head(['Host: x']), [400]],
  'a host in two lines': [head([' y']), [400]],
  'a folded header': [head(['X-A: b', ' c']), [400]],
  'a name that is folded together': [head(['X-Forwarded: 10.9.8.7', ' -For']), [400]],
  'a header without a colon': [head(['X-A']), [400]],
  'a name with a separator': [head(['X(A: b']), [400]],
  'a NUL in a name': [head(['X\0A: b']), [400]],
  'an escape in a value': [head(['X-A: \x1b[2J']), [400]],
};

e2e('what hides in a request that could be read in two ways is never answered', async (world) => {
  const { sluice, holds } = await besieged(world);
  await forEachCase(Object.entries(AMBIGUOUS), async ([what, [bytes, statuses]]) => {
    const text = await exchange(world, sluice, bytes + HIDDEN);
    const [status, ...others] = statusesOf(text);
    assert.ok(statuses.includes(status), `${what}: ${JSON.stringify(text)}`);
    assert.deepEqual(others, [], `${what}: ${JSON.stringify(text)}`);
    assert.match(text, /\r\nConnection: close\r\n/i, what);
    if (/\r\nContent-Type: application\/json/i.test(text)) assert.match(text, /\r\n\r\n\{"error":"[^"]+","message":"[^"]+"\}$/);
  });
  await holds();
  assert.equal((await sluice.metrics()).value('sluice_connections_opened_total'), 1);
});

/**
 * Lines that are odd but can be read in one way only: each gets its answer, and the request behind it its own. With
 * libmicrohttpd 0.9.75 some pass that 1.0 refuses; what is refused must end the connection.
 */
const ODD = {
  'an absolute target': [head([], { target: 'http://x/stream/stats' }), [404]],
  'an absolute target of another host': [head([], { target: 'http://evil.example/stream/stats' }), [404]],
  'a target without a slash': [head([], { target: 'stream/stats' }), [404]],
  'OPTIONS *': [head([], { method: 'OPTIONS', target: '*' }), [204]],
  'GET *': [head([], { target: '*' }), [404]],
  'CONNECT to a host': [head([], { method: 'CONNECT', target: 'evil.example:80' }), [404]],
  'CONNECT to a page': [head([], { method: 'CONNECT' }), [405]],
  'a method in lower case': [head([], { method: 'get' }), [405]],
  'TRACE': [head(['X-Secret: 1'], { method: 'TRACE' }), [405]],
  'a method of 3 KB': [head([], { method: 'A'.repeat(3000) }), [405]],
  'a length of 0': [head(['Content-Length: 0']), [200]],
  'an upgrade to HTTP/2': [head(['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk']), [200]],
  'an upgrade to WebSocket': [head(['Connection: Upgrade', 'Upgrade: websocket']), [200]],
  'a header that only looks like another': [head(['Transfer_Encoding: chunked', 'Content_Length: 5']), [200]],
  'a Host without a name': [head([], { host: ['Host:'] }), [200]],
};

const TOLERATED = {
  // What stands behind a NUL is not seen by anybody: the line ends there, and the next one is the next.
  'a NUL in a value': head(['X-A: b\0c']),
  'a NUL in a length': head([`Content-Length: 0\0${HIDDEN.length}`]),
  'a NUL behind the path': head([], { target: '/stream/stats\0/../evil' }),
  'a NUL in the query': head([], { target: '/stream/stats?a=b\0c' }),
  'line ends without a carriage return': 'GET /stream/stats HTTP/1.1\nHost: x\n\n',
  'empty lines in front': `\r\n\r\n${head([])}`,
  'two spaces behind the method': head([], { method: 'GET ' }),
  'a minor version that there is not': head([], { version: '1.2' }),
  'a header without a name': head([': y']),
};

const NO_REQUEST = {
  'HTTP/0.9': 'GET /stream/stats\r\n\r\n',
  'HTTP/0.9 with its number': head([], { version: '0.9' }),
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'HTTP/2 in text': head([], { version: '2.0' }),
  'a version with two digits': head([], { version: '1.10' }),
  'a version behind a zero': head([], { version: '01.1' }),
  'a word behind the version': head([], { version: '1.1 x' }),
  'a NUL in the version': head([], { version: '1.1\0' }),
  'a protocol in lower case': 'GET /stream/stats http/1.1\r\nHost: x\r\n\r\n',
  'a space in front of the method': ` ${head([])}`,
  'a space in the target': head([], { target: '/stream/ stats' }),
  'tabs for spaces': 'GET\t/stream/stats\tHTTP/1.1\r\nHost: x\r\n\r\n',
  'carriage returns for line ends': 'GET /stream/stats HTTP/1.1\rHost: x\r\r',
  'no Host': head([], { host: [] }),
  'a TLS greeting': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n\r\n\r\n',
};

e2e('odd requests get what is right for them, or the end of the connection', async (world) => {
  const { sluice, holds } = await besieged(world);
  const ask = async (bytes) => {
    const text = await exchange(world, sluice, bytes + HIDDEN);
    return { text, statuses: statusesOf(text) };
  };
  const isRefusal = (statuses) => statuses.length === 0 || (statuses.length === 1 && [400, 405, 505].includes(statuses[0]));
  await forEachCase(Object.entries(ODD), async ([, [bytes, expected]]) => {
    const { text, statuses } = await ask(bytes);
    assert.deepEqual(statuses, [...expected, 200], JSON.stringify(text));
  });
  await forEachCase(Object.entries(TOLERATED), async ([, bytes]) => {
    const { text, statuses } = await ask(bytes);
    if (!isRefusal(statuses)) assert.deepEqual(statuses, [200, 200], JSON.stringify(text));
  });
  await forEachCase(Object.entries(NO_REQUEST), async ([, bytes]) => {
    const { text, statuses } = await ask(bytes);
    assert.ok(isRefusal(statuses), JSON.stringify(text));
  });
  await holds();
});

e2e('what is pipelined behind a stream request is never answered, nor seen by anybody', async (world) => {
  const { sluice, publisher, holds } = await besieged(world);
  const behind = [
    requestBytes({ target: STREAM }),
    requestBytes({ method: 'POST', target: '/stream/ticket?companyId=witness' }),
    requestBytes({ target: '/stream/stats' }),
    Buffer.from(HIDDEN),
  ];
  const before = (await sluice.metrics()).value('sluice_connections_opened_total');
  for (const version of ['1.1', '1.0']) {
    const first = requestBytes({ target: '/stream/updates?companyId=acme', version });
    const client = await world.stream(sluice, { company: 'acme', bytes: Buffer.concat([first, ...behind]) });
    await client.ready();
    for (const bytes of behind) client.socket.write(bytes);
    await publisher.publish('metrics.x', payload('acme', 1));
    await client.untilEvents(1);
    assertExactly(client, [1]);
    const text = client.blocks.map((block) => block.raw).join('');
    assert.doesNotMatch(text, /HTTP\/1|totalConnections|witness|slt_[A-Za-z0-9_-]{43}/);
    client.leave();
  }
  await holds();
  assert.equal((await sluice.metrics()).value('sluice_connections_opened_total'), before + 2);
});

e2e('100-continue in front of a stream stays in front of it', async (world) => {
  const { sluice, holds } = await besieged(world);
  const connection = await world.connection(sluice);
  connection.send(requestBytes({ target: '/stream/updates?companyId=acme', headers: [['Expect', '100-continue']] }));
  let answer = await connection.streamHead();
  if (answer.status === 100) answer = await connection.streamHead();
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('Content-Type'), 'text/event-stream');
  connection.destroy();
  await holds();
});
