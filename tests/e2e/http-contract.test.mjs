// The HTTP contract, row by row: statuses, headers, error bodies, limits.

import assert from 'node:assert/strict';
import { forEachCase } from '../support/cases.mjs';
import { assertExactly, numbersOf, payload } from '../support/events.mjs';
import { HttpConnection, rawRequest, request, requestBytes } from '../support/http.mjs';
import { e2e } from '../support/world.mjs';

const REASONS = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  413: /^(Payload|Content) Too Large$/,
  414: /^(URI|Request-URI) Too Long$/,
  431: 'Request Header Fields Too Large',
  503: 'Service Unavailable',
};

/** Every error is JSON of exactly two keys, and `error` is the status in words. */
function assertError(answer, status, what) {
  assert.equal(answer.status, status, `${what}: ${answer.body}`);
  assert.match(answer.headers.get('Content-Type') ?? '', /^application\/json(; ?charset=utf-8)?$/i, what);
  const body = answer.json();
  assert.deepEqual(Object.keys(body).sort(), ['error', 'message'], what);
  if (REASONS[status] instanceof RegExp) assert.match(body.error, REASONS[status], what);
  else assert.equal(body.error, REASONS[status], what);
  assert.equal(typeof body.message, 'string', what);
  assert.ok(body.message.length > 0, what);
}

const PAGES = ['/stream/stats', '/stream/health', '/stream/health/live', '/stream/health/ready', '/metrics'];

e2e('the response head of a stream is what proxies and browsers need', async (world) => {
  const { sluice } = await world.bridge();
  const client = await world.liveStream(sluice, { company: 'acme' });
  assert.equal(client.head.version, '1.1');
  assert.equal(client.status, 200);
  assert.equal(client.headers.get('Content-Type'), 'text/event-stream');
  assert.equal(client.headers.get('Cache-Control'), 'no-cache, no-transform');
  assert.equal(client.headers.get('Connection'), 'keep-alive');
  assert.equal(client.headers.get('X-Accel-Buffering'), 'no');
  assert.equal(client.headers.get('Transfer-Encoding'), 'chunked');
  assert.equal(client.headers.has('Content-Length'), false);
  assert.equal(client.headers.has('Content-Encoding'), false);
});

e2e('an HTTP/1.0 client gets the bare bytes', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const bare = await world.liveStream(sluice, { company: 'acme', version: '1.0' });
  assert.equal(bare.headers.has('Transfer-Encoding'), false);
  assert.equal(bare.headers.has('Content-Length'), false);
  assert.equal(bare.headers.get('Content-Type'), 'text/event-stream');
  await publisher.publishPaced('acme', 1, 10, [bare]);
  assertExactly(bare, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

e2e('a missing or malformed companyId is 400', async (world) => {
  const { sluice } = await world.bridge();
  const queries = [
    ...['', '?', '?companyId', '?companyId=', '?company=acme', '?companyid=acme', '?lastEventId=m-1-1'],
    ...['*', '%3E', 'a%20b', 'a+b', '.acme', '-acme', '_acme', 'a%2fb', 'acme%00', 'acme%00evil', '%ff', 'acm%c3%a9']
      .map((value) => `?companyId=${value}`),
    ...['a%0d%0aX-Evil:%20yes', '%zz', '%7b%7d', 'a'.repeat(129), 'a'.repeat(3000)].map((value) => `?companyId=${value}`),
  ];
  await forEachCase(queries, async (query) => {
    const answer = await sluice.get(`/stream/updates${query}`);
    assertError(answer, 400, query);
    assert.equal(answer.headers.has('X-Evil'), false);
  });
  await sluice.untilConnections(0);
});

e2e('two companyIds that differ are 400: nobody can be taken for another', async (world) => {
  const { sluice } = await world.bridge();
  for (const query of ['companyId=a&companyId=b', 'companyId=b&x=1&companyId=a', 'companyId=a&company%49d=b', 'companyId=a&companyId=']) {
    assertError(await sluice.get(`/stream/updates?${query}`), 400, query);
  }
});

e2e('a companyId may be percent-encoded, and other parameters are no matter', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const clients = [
    await world.liveStream(sluice, { query: [['companyId', 'a%3Ab%2Ec']] }),
    await world.liveStream(sluice, { query: [['x', '1'], ['companyId', '%61:b.c'], ['y', '%26companyId=z']] }),
  ];
  await publisher.publish('metrics.x', payload('a:b.c', 1));
  for (const client of clients) {
    await client.untilEvents(1);
    assert.equal((await client.ready()).companyId, 'a:b.c');
  }
});

e2e('what is not there is 404', async (world) => {
  const { sluice } = await world.bridge();
  const paths = ['/', '/stream', '/stream/', '/stream/updates/', '/stream/update', '/STREAM/updates', '/stream/health/x'];
  await forEachCase([...paths, '/metrics/', '/..%2fmetrics', '/%00', '/stream/updates%00'], async (path) => {
    assertError(await sluice.get(`${path}?companyId=acme`), 404, path);
  });
});

e2e('other methods are 405 and Allow says which are not', async (world) => {
  const { sluice } = await world.bridge();
  for (const path of [...PAGES, '/stream/updates?companyId=acme']) {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND']) {
      const headers = [['Content-Length', '0']];
      const answer = await request(sluice.port, { method, target: path, headers });
      assertError(answer, 405, `${method} ${path}`);
      const allowed = answer.headers.list('Allow');
      assert.ok(allowed.includes('get') && allowed.includes('options') && !allowed.includes(method.toLowerCase()));
    }
  }
});

e2e('a client that cannot read event streams is told 406', async (world) => {
  const { sluice } = await world.bridge();
  const excluded = ['application/json', 'text/html, application/xml;q=0.9', 'text/event-stream;q=0', 'text/plain', 'image/*'];
  await forEachCase([...excluded, 'text/event-stream;q=0.0, */*'], async (accept) => {
    const headers = [['Accept', accept]];
    assertError(await request(sluice.port, { target: '/stream/updates?companyId=acme', headers }), 406, accept);
  });
  const welcome = ['text/event-stream', '*/*', 'text/*', 'application/json, text/event-stream;q=0.1', 'TEXT/Event-Stream'];
  for (const accept of [...welcome, 'text/html, */*;q=0.1']) {
    const bytes = requestBytes({ target: '/stream/updates?companyId=acme', headers: [['Accept', accept]] });
    const client = await world.stream(sluice, { company: 'acme', bytes });
    assert.equal(client.status, 200, accept);
    client.leave();
  }
  const lines = ['application/json', 'text/event-stream'].map((accept) => ['Accept', accept]);
  for (const headers of [[], lines, [...lines].reverse()]) {
    const bytes = requestBytes({ target: '/stream/updates?companyId=acme', headers });
    const client = await world.stream(sluice, { company: 'acme', bytes });
    assert.equal(client.status, 200, `${headers.length} lines of Accept`);
    client.leave();
  }
});

e2e('a request target that is too long is 414, a head that is too large 431', async (world) => {
  const { sluice } = await world.bridge();
  assertError(await sluice.get(`/stream/updates?companyId=acme&x=${'y'.repeat(9000)}`), 414, 'a target of 9 KB');
  // What does not even fit into the memory for one head is answered by libmicrohttpd itself, with a page of its own.
  const large = [['X-Large', 'y'.repeat(100_000)]];
  const many = Array.from({ length: 5000 }, (_, i) => [`X-${i}`, 'value of a header']);
  const tooLarge = [
    [414, 'a target of 100 KB', { target: `/stream/updates?companyId=acme&x=${'y'.repeat(100_000)}` }],
    [431, 'a header of 100 KB', { target: '/stream/updates?companyId=acme', headers: large }],
    [431, '5000 headers', { target: '/stream/stats', headers: many }],
  ];
  await forEachCase(tooLarge, async ([status, what, options]) => {
    assert.equal((await request(sluice.port, options)).status, status, what);
  });
  // Large cookies and tokens exist.
  const cookie = [['Cookie', 'c'.repeat(8000)]];
  assert.equal((await request(sluice.port, { target: '/stream/stats', headers: cookie })).status, 200);
  const client = await world.stream(sluice, { company: 'acme', headers: cookie });
  assert.equal(client.status, 200);
});

e2e('HEAD tells what GET would, without a body', async (world) => {
  const { sluice } = await world.bridge();
  for (const path of PAGES) {
    const connection = await world.connection(sluice);
    const head = await connection.request({ method: 'HEAD', target: path });
    const get = await connection.request({ target: path });
    assert.equal(head.status, get.status, path);
    assert.equal(head.headers.get('Content-Type'), get.headers.get('Content-Type'), path);
    assert.ok(get.body.length > 0, path);
  }
  const connection = await world.connection(sluice);
  const head = await connection.request({ method: 'HEAD', target: '/stream/updates?companyId=acme' });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('Content-Type'), 'text/event-stream');
  assert.deepEqual(await sluice.stats().then((stats) => stats.connections.totalConnections), 0);
  assert.equal((await request(sluice.port, { method: 'HEAD', target: '/stream/updates' })).status, 400);
  assert.equal((await request(sluice.port, { method: 'HEAD', target: '/nothing' })).status, 404);
});

e2e('a connection serves one short answer after another, then a stream', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const connection = await world.connection(sluice);
  for (const target of [...PAGES, '/stream/stats']) {
    const answer = await connection.request({ target });
    assert.equal(answer.status, 200, target);
    assert.notEqual(answer.headers.get('Connection')?.toLowerCase(), 'close', target);
  }
  const client = await world.stream(sluice, { company: 'acme', connection });
  await client.ready();
  await publisher.publish('metrics.x', payload('acme', 1));
  await client.untilEvents(1);
  assertExactly(client, [1]);
});

e2e('a connection lives through a refused request', async (world) => {
  const { sluice } = await world.bridge();
  const connection = await world.connection(sluice);
  for (const target of ['/nothing', '/stream/updates', '/stream/stats']) {
    const answer = await connection.request({ target });
    assert.notEqual(answer.headers.get('Connection')?.toLowerCase(), 'close', target);
  }
});

e2e('pipelined requests are answered in order', async (world) => {
  const { sluice } = await world.bridge();
  const connection = await world.connection(sluice);
  const targets = ['/stream/health/live', '/stream/health', '/stream/stats'];
  connection.send(Buffer.concat(targets.map((target) => requestBytes({ target }))));
  assert.equal((await connection.response()).status, 200);
  assert.ok('streaming' in (await connection.response()).json());
  assert.ok('connections' in (await connection.response()).json());
});

e2e('Connection: close is heeded', async (world) => {
  const { sluice } = await world.bridge();
  for (const options of [
    { target: '/stream/stats', headers: [['Connection', 'close']] },
    { target: '/stream/stats', version: '1.0' },
  ]) {
    const connection = await world.connection(sluice);
    assert.equal((await connection.request(options)).status, 200);
    assert.equal((await connection.untilClosed()).length, 0);
  }
});

e2e('a request head that never ends is closed after its time, also when it trickles', async (world) => {
  const { sluice } = await world.bridge({ env: { REQUEST_HEAD_SECONDS: '1' } });
  const silent = await world.connection(sluice);
  const half = await world.connection(sluice);
  half.send('GET /stream/updates?companyId=acme HTTP/1.1\r\nHost: x\r\n');
  const trickling = await world.connection(sluice);
  trickling.send('GET /stream/updates?companyId=acme HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  const timer = setInterval(() => trickling.send('y'), 100);
  world.own(() => clearInterval(timer));
  for (const connection of [silent, half, trickling]) {
    const bytes = await connection.untilClosed();
    if (bytes.length) assert.match(bytes.toString('latin1'), /^HTTP\/1\.[01] 408 /);
  }
});

e2e('the deadline of the request head does not touch a stream', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { REQUEST_HEAD_SECONDS: '1', HEARTBEAT_SECONDS: '1' } });
  const clients = [];
  for (const version of ['1.1', '1.0']) clients.push(await world.liveStream(sluice, { company: 'acme', version }));
  const connection = await world.connection(sluice);
  await connection.request({ target: '/stream/stats' });
  clients.push(await world.stream(sluice, { company: 'acme', connection }));
  for (const client of clients) {
    const beats = () => client.blocks.filter((block) => block.comments.includes('heartbeat')).length;
    await client.waitFor(() => beats() >= 3, 'three heartbeats');
  }
  await publisher.publish('metrics.x', payload('acme', 1));
  for (const client of clients) await client.untilEvents(1);
});

const BODY = 'Content-Length: 5\r\n\r\nhello';
const REFUSED = {
  'GET with a body': `GET /stream/stats HTTP/1.1\r\nHost: x\r\n${BODY}`,
  'POST with a body': `POST /stream/updates?companyId=acme HTTP/1.1\r\nHost: x\r\n${BODY}`,
  'a stream request with a body': `GET /stream/updates?companyId=acme HTTP/1.1\r\nHost: x\r\n${BODY}`,
  'a stream request with a chunked body':
    'GET /stream/updates?companyId=acme HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'Content-Length beside Transfer-Encoding':
    'POST /stream/stats HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'two Content-Lengths': 'GET /stream/stats HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n',
  'a negative Content-Length': 'GET /stream/stats HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
  'a Content-Length in words': 'GET /stream/stats HTTP/1.1\r\nHost: x\r\nContent-Length: five\r\n\r\n',
  'no Host': 'GET /stream/stats HTTP/1.1\r\n\r\n',
  'two Hosts': 'GET /stream/stats HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'a space in front of the colon': 'GET /stream/stats HTTP/1.1\r\nHost: x\r\nX-Evil : y\r\n\r\n',
  'no HTTP at all': 'hello\r\n\r\n',
  'another protocol': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n\r\n\r\n',
  'an unknown version': 'GET /stream/stats HTTP/7.3\r\nHost: x\r\n\r\n',
};

e2e('a request with a body, or one that two readers could read differently, is refused and closed', async (world) => {
  const { sluice } = await world.bridge({ env: { REQUEST_HEAD_SECONDS: '2' } });
  await forEachCase(Object.entries(REFUSED), async ([what, text]) => {
    const connection = await world.connection(sluice);
    // Behind it stands what an attacker would have smuggled: it must not be answered.
    connection.send(Buffer.from(`${text}GET /stream/health/live HTTP/1.1\r\nHost: x\r\n\r\n`, 'latin1'));
    const bytes = (await connection.untilClosed()).toString('latin1');
    for (const [, status] of bytes.matchAll(/HTTP\/1\.[01] (\d{3})/g)) {
      assert.match(status, /^(4..|505)$/, `${what}: ${JSON.stringify(bytes)}`);
    }
  });
  assert.equal((await sluice.get('/stream/health/live')).status, 200);
  await sluice.untilConnections(0);
});

e2e('bytes that a client sends behind its stream request are no matter', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { HEARTBEAT_SECONDS: '1' } });
  const target = '/stream/updates?companyId=acme';
  const pipelined = Buffer.concat([requestBytes({ target }), requestBytes({ target: '/stream/stats' })]);
  const early = await world.stream(sluice, { company: 'acme', bytes: pipelined });
  const late = await world.liveStream(sluice, { company: 'acme' });
  late.socket.write('junk '.repeat(2000));
  await early.ready();
  const before = sluice.cpuTicks();
  for (const client of [early, late]) {
    const beats = () => client.blocks.filter((block) => block.comments.includes('heartbeat')).length;
    await client.waitFor(() => beats() >= 3, 'three heartbeats');
  }
  // Two seconds or more have passed; a worker that spins on the unread bytes has used most of them.
  assert.ok(sluice.cpuTicks() - before < 100, `${sluice.cpuTicks() - before} ticks of CPU for heartbeats`);
  await publisher.publish('metrics.x', payload('acme', 1));
  for (const client of [early, late]) {
    await client.untilEvents(1);
    assert.deepEqual(numbersOf(client.events), [1]);
  }
});

e2e('OPTIONS answers a preflight on any path', async (world) => {
  const { sluice } = await world.bridge();
  for (const target of ['/stream/updates', '/stream/updates?companyId=acme', '/stream/stats', '/metrics', '/nothing']) {
    const answer = await request(sluice.port, {
      method: 'OPTIONS',
      target,
      headers: [
        ['Origin', 'https://dashboard.example'],
        ['Access-Control-Request-Method', 'GET'],
        ['Access-Control-Request-Headers', 'last-event-id, authorization, x-api-key'],
      ],
    });
    assert.ok([200, 204].includes(answer.status), target);
    assert.equal(answer.body, '');
    assert.equal(answer.headers.get('Access-Control-Allow-Origin'), '*');
    assert.ok(answer.headers.list('Access-Control-Allow-Methods').includes('get'));
    const allowed = answer.headers.list('Access-Control-Allow-Headers');
    for (const name of ['last-event-id', 'authorization', 'x-api-key']) assert.ok(allowed.includes(name), name);
  }
});

e2e('a dashboard of any origin can read the stream, the pages and the errors', async (world) => {
  const { sluice } = await world.bridge();
  const headers = [['Origin', 'https://dashboard.example']];
  for (const target of ['/stream/stats', '/stream/health', '/stream/updates', '/nothing']) {
    const answer = await request(sluice.port, { target, headers });
    assert.equal(answer.headers.get('Access-Control-Allow-Origin'), '*', target);
  }
  const client = await world.stream(sluice, { company: 'acme', headers });
  assert.equal(client.headers.get('Access-Control-Allow-Origin'), '*');
});

e2e('a list of origins lets those in and no other', async (world) => {
  const { sluice } = await world.bridge({ env: { CORS_ORIGINS: 'https://a.example,http://localhost:5173' } });
  const ask = async (origin, method) => {
    const headers = [['Origin', origin], ['Access-Control-Request-Method', 'GET']];
    return (await request(sluice.port, { method, target: '/stream/stats', headers })).headers;
  };
  for (const origin of ['https://a.example', 'http://localhost:5173']) {
    for (const method of ['GET', 'OPTIONS']) {
      const headers = await ask(origin, method);
      assert.equal(headers.get('Access-Control-Allow-Origin'), origin);
      assert.ok(headers.list('Vary').includes('origin'), 'a cache must not give it to another origin');
    }
    const client = await world.stream(sluice, { company: 'acme', headers: [['Origin', origin]] });
    assert.equal(client.headers.get('Access-Control-Allow-Origin'), origin);
    assert.ok(client.headers.list('Vary').includes('origin'));
  }
  const strangers = ['https://b.example', 'https://a.example.evil.com', 'http://a.example', 'https://a.example:8443', 'null'];
  for (const origin of strangers) {
    for (const method of ['GET', 'OPTIONS']) {
      assert.equal((await ask(origin, method)).has('Access-Control-Allow-Origin'), false, origin);
    }
    const client = await world.stream(sluice, { company: 'acme', headers: [['Origin', origin]] });
    assert.equal(client.headers.has('Access-Control-Allow-Origin'), false, origin);
  }
});

e2e('a wildcard origin lets the hosts below it in', async (world) => {
  const { sluice } = await world.bridge({ env: { CORS_ORIGINS: 'https://*.example.com' } });
  const allowed = async (origin) => {
    const client = await world.stream(sluice, { company: 'acme', headers: [['Origin', origin]] });
    return client.headers.get('Access-Control-Allow-Origin');
  };
  const long = `https://${'a'.repeat(241)}.example.com`;
  for (const origin of ['https://app.example.com', 'https://a.b.example.com', long]) assert.equal(await allowed(origin), origin);
  for (const origin of ['https://example.com', 'https://app.example.com.evil.org', 'http://app.example.com']) {
    assert.ok(!(await allowed(origin)), origin);
  }
});

e2e('when all places are taken, a new stream is refused with 503 until one is free', async (world) => {
  const { sluice } = await world.bridge({ env: { MAX_CONNECTIONS: '2' } });
  const target = '/stream/updates?companyId=acme';
  const first = await world.liveStream(sluice, { company: 'acme' });
  await world.liveStream(sluice, { company: 'other' });
  const full = await sluice.get(target);
  assertError(full, 503, 'full');
  assert.match(full.headers.get('Retry-After'), /^[1-9]\d*$/);
  assert.equal((await sluice.get('/stream/health')).status, 200, 'pages are not streams');
  const metrics = await sluice.metrics();
  assert.ok(metrics.value('sluice_connection_errors_total') >= 1);
  first.leave();
  await sluice.untilConnections(1);
  await world.liveStream(sluice, { company: 'acme' });
});

e2e('OVERLOAD_ANSWER=retry keeps browsers: 200, a long retry and a clean end', async (world) => {
  const { sluice } = await world.bridge({ env: { MAX_CONNECTIONS: '1', OVERLOAD_ANSWER: 'retry', RETRY_MS: '1000' } });
  await world.liveStream(sluice, { company: 'acme' });
  for (const version of ['1.1', '1.0']) {
    const client = await world.stream(sluice, { company: 'acme', version });
    assert.equal(client.status, 200);
    assert.equal(client.headers.get('Content-Type'), 'text/event-stream');
    await client.untilClosed();
    const retries = client.blocks.map((block) => block.retry).filter((retry) => retry !== undefined);
    assert.ok(retries.length && retries.at(-1) > 2000, `retry ${retries}`);
    assert.deepEqual(client.events, []);
    assert.deepEqual(client.controls('stream.ready'), []);
  }
  await sluice.untilConnections(1);
});

e2e('STREAMING_ENABLED=false refuses streams with 503 and keeps the pages up', async (world) => {
  const { sluice } = await world.bridge({ env: { STREAMING_ENABLED: 'false' }, until: null });
  const refused = await sluice.get('/stream/updates?companyId=acme');
  assertError(refused, 503, 'disabled');
  assert.match(refused.headers.get('Retry-After'), /^[1-9]\d*$/);
  const health = await sluice.health();
  assert.equal(health.streaming.enabled, false);
  assert.equal((await sluice.get('/stream/stats')).status, 200);
  assert.equal((await sluice.get('/stream/health/live')).status, 200);
  assert.equal((await sluice.get('/metrics')).status, 200);
});

e2e('errors have their shape for raw and old clients as well', async (world) => {
  const { sluice } = await world.bridge();
  const old = await rawRequest(sluice.port, 'GET /stream/updates HTTP/1.0\r\n\r\n');
  assertError(old, 400, 'HTTP/1.0 without Host');
  const bad = await HttpConnection.open(sluice.port);
  bad.send('GET /nothing HTTP/1.1\r\nhOsT: x\r\naccept:application/json\r\n\r\n');
  assertError(await bad.response(), 404, 'odd letters');
  bad.destroy();
});
