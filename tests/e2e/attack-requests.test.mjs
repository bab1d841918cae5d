// Requests that say too much: large ones, ones that contradict themselves, and ones with bytes that end lines, texts or names.

import assert from 'node:assert/strict';
import { assertRefused, besieged, exchange, HIDDEN, statusesOf } from '../support/attacks.mjs';
import { forEachCase } from '../support/cases.mjs';
import { assertExactly, payload } from '../support/events.mjs';
import { request, requestBytes } from '../support/http.mjs';
import { bearer, JWT_ENV, token } from '../support/tokens.mjs';
import { e2e } from '../support/world.mjs';

const TARGET = '/stream/updates?companyId=acme';
const WITNESS = [bearer(token({ companyId: 'witness', sub: 'w' }))];
const GOOD = bearer(token({ companyId: 'acme', sub: 'u1' }));

/** Opens a stream and leaves it: what came until stream.ready. */
async function visit(world, sluice, options) {
  const client = await world.stream(sluice, { company: 'acme', ...options });
  if (client.status === 200) await client.ready();
  client.leave();
  return client;
}

e2e('headers of 8 KB are read, those of 80 KB refused', async (world) => {
  const { sluice, holds } = await besieged(world, { env: JWT_ENV, headers: WITNESS });
  const long = 'y'.repeat(8192);
  for (const name of ['X-Large', 'Cookie', 'User-Agent', 'Referer', 'X-Forwarded-For', 'Last-Event-ID', 'Origin']) {
    const client = await visit(world, sluice, { headers: [GOOD, [name, long]] });
    assert.equal(client.status, 200, name);
    const gaps = name === 'Last-Event-ID' ? [{ reason: 'unknown_id', requested: 'y'.repeat(128), oldest: null, missed: null }] : [];
    assert.deepEqual(client.gaps, gaps, name);
    const huge = requestBytes({ target: TARGET, headers: [GOOD, [name, long.repeat(10)]] });
    assert.deepEqual(statusesOf(await exchange(world, sluice, huge + HIDDEN)), [431], name);
  }
  for (const headers of [[bearer(long)], [bearer(`${GOOD[1].slice(7)}${long}`)], [['x-api-key', long]]]) {
    assertRefused(await request(sluice.port, { target: TARGET, headers }), 401, headers[0][0]);
  }
  const tooLarge = {
    'a token of 80 KB': [requestBytes({ target: TARGET, headers: [bearer(long.repeat(10))] }), 431],
    'a name of 80 KB': [requestBytes({ target: TARGET, headers: [[`X-${long.repeat(10)}`, 'z']] }), 431],
    '6000 headers': [requestBytes({ target: TARGET, headers: Array(6000).fill(['X-A', 'yyyyyyyy']) }), 431],
    '4000 cookies': [requestBytes({ target: TARGET, headers: [GOOD, ['Cookie', 'a=b; '.repeat(4000)]] }), 431],
    'a target of 80 KB': [requestBytes({ target: `${TARGET}&x=${long.repeat(10)}` }), 414],
    'a target of 9 KB': [requestBytes({ target: `${TARGET}&x=${'y'.repeat(9000)}` }), 414],
  };
  await forEachCase(Object.entries(tooLarge), async ([, [bytes, status]]) => {
    assert.deepEqual(statusesOf(await exchange(world, sluice, bytes.toString('latin1') + HIDDEN)), [status]);
  });
  await holds();
});

e2e('a target with thousands of parameters ends its connection and leaves nothing behind', async (world) => {
  // libmicrohttpd 0.9.75 has no memory left for an answer then, and never tells that the request has ended.
  const { sluice, holds } = await besieged(world, { env: { REQUEST_HEAD_SECONDS: '1' } });
  const target = `${TARGET}&${'a&'.repeat(4000)}`;
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const statuses = statusesOf(await exchange(world, sluice, requestBytes({ target }) + HIDDEN));
      assert.ok(statuses.length === 0 || [414, 431].includes(statuses[0]), statuses.join());
    }),
  );
  await holds();
});

e2e('whoever says a thing twice is refused', async (world) => {
  const env = { ...JWT_ENV, AUTH_COOKIE: 'sid', CORS_ORIGINS: 'https://app.example', ALLOW_QUERY_TOKEN: 'true' };
  const { sluice, holds } = await besieged(world, { env, headers: WITNESS });
  const [, value] = GOOD;
  const other = bearer(token({ companyId: 'witness' }));
  const text = value.slice(7);
  const cookie = ['Cookie', `sid=${text}`];
  const twice = {
    'two companies': ['&companyId=witness', [GOOD]],
    'two equal companies': ['&companyId=acme', [GOOD]],
    'two companies, one encoded': ['&company%49d=witness', [GOOD]],
    'a company and an empty one': ['&companyId=', [GOOD]],
    'a company and a bare one': ['&companyId', [GOOD]],
    'two tokens': ['', [GOOD, other]],
    'two equal tokens': ['', [GOOD, GOOD]],
    'two tokens, one name in capitals': ['', [GOOD, ['AUTHORIZATION', other[1]]]],
    'a token and a scheme that is none': ['', [GOOD, ['Authorization', 'Basic dTpw']]],
    'two API keys': ['', [['x-api-key', 'a'], ['X-API-Key', 'b']]],
    'two cookies in one line': ['', [['Cookie', `sid=${text}; sid=${text}`]]],
    'two lines of cookies': ['', [cookie, ['Cookie', 'a=b']]],
    'two tokens in the query': [`&access_token=${text}&access_token=${text}`, []],
    'two tickets': ['&ticket=a&ticket=b', [GOOD]],
    'two hosts': ['', [GOOD, ['Host', 'a'], ['Host', 'b']]],
    'two lengths': ['', [GOOD, ['Content-Length', '0'], ['Content-Length', '0']]],
  };
  await forEachCase(Object.entries(twice), async ([, [query, headers]]) => {
    assertRefused(await request(sluice.port, { target: TARGET + query, headers }), 400);
  });
  // A token in the head is the one that counts: the one in the query, which others may have written, decides nothing.
  const mixed = await visit(world, sluice, { headers: [GOOD], query: [['access_token', other[1].slice(7)]] });
  assert.equal((await mixed.ready()).companyId, 'acme');
  const reversed = await request(sluice.port, { target: `${TARGET}&access_token=${text}`, headers: [other] });
  assertRefused(reversed, 403);
  await holds();
});

const BREAKS = { CRLF: '%0d%0a', CR: '%0d', LF: '%0a', NUL: '%00', 'two CRLF': '%0d%0a%0d%0a', 'U+2028': '%e2%80%a8', 'not UTF-8': '%ff%fe' };
const EVIL = 'X-Evil:%20yes';

e2e('line ends and NUL in a parameter change nothing but its value', async (world) => {
  const { sluice, holds, publisher } = await besieged(world, { env: { ...JWT_ENV, ALLOW_QUERY_TOKEN: 'true' }, headers: WITNESS });
  const clean = (answer) => {
    assert.equal(answer.headers.has('X-Evil'), false);
    return answer;
  };
  await forEachCase(Object.entries(BREAKS), async ([, bytes]) => {
    for (const company of [`acme${bytes}`, `acme${bytes}${EVIL}`, `${bytes}acme`]) {
      assertRefused(clean(await request(sluice.port, { target: `/stream/updates?companyId=${company}`, headers: [GOOD] })), 400);
    }
    for (const id of [`m-1-1${bytes}${EVIL}`, `${bytes}event:%20evil${bytes}data:%20x${bytes}`]) {
      const client = await visit(world, sluice, { headers: [GOOD], query: [['lastEventId', id]] });
      assert.equal(clean(client).status, 200);
      assert.deepEqual(client.gaps.map(({ reason, missed }) => [reason, missed]), [['unknown_id', null]]);
      assert.deepEqual(client.blocks.map((block) => block.kind), ['retry', 'control', 'control', 'cursor']);
    }
    const text = GOOD[1].slice(7);
    assertRefused(clean(await request(sluice.port, `${TARGET}&access_token=${text}${bytes}${EVIL}`)), 401);
    assertRefused(clean(await request(sluice.port, `${TARGET}&ticket=slt_${bytes}${EVIL}`)), 401);
    assertRefused(clean(await request(sluice.port, `${TARGET}&ticket=slt_${'A'.repeat(43)}${bytes}`)), 401);
    assertRefused(clean(await request(sluice.port, { target: `/stream/updates${bytes}?companyId=acme`, headers: [GOOD] })), 404);
    const named = await visit(world, sluice, { headers: [GOOD], query: [[`x${bytes}${EVIL}`, `y${bytes}${EVIL}`]] });
    assert.equal(clean(named).status, 200);
    // A parameter whose name only begins like companyId is another one.
    const longer = await visit(world, sluice, { headers: [GOOD], query: [[`companyId${bytes}`, 'witness']] });
    assert.equal((await longer.ready()).companyId, 'acme');
  });
  await publisher.publish('metrics.x', payload('acme', 1));
  await holds();
});

e2e('line ends and NUL in a header end it, or the connection', async (world) => {
  const { sluice, holds } = await besieged(world, { env: JWT_ENV, headers: WITNESS });
  const stream = (line) => `GET ${TARGET} HTTP/1.1\r\nHost: x\r\n${line}\r\n\r\n`;
  const [, value] = GOOD;
  await forEachCase(['Last-Event-ID: m-1-1', `Authorization: ${value}`, 'x-api-key: k', 'User-Agent: u', 'Accept: */*'], async (line) => {
    assert.deepEqual(statusesOf(await exchange(world, sluice, stream(`${line}\rX-Evil: yes`) + HIDDEN)), [400]);
    assert.deepEqual(statusesOf(await exchange(world, sluice, stream(`${line}\x01`) + HIDDEN)), [400]);
  });
  // What stands behind a NUL is not seen: the token in front of it is not the one that was sent.
  const cut = await exchange(world, sluice, `${stream(`Authorization: ${value.slice(0, -1)}\0${value.slice(-1)}`)}${HIDDEN}`);
  assert.ok([400, 401].includes(statusesOf(cut)[0]), cut);
  await holds();
});

e2e('nobody writes a line into the log', async (world) => {
  const { sluice, holds } = await besieged(world, { env: { ...JWT_ENV, LOG_LEVEL: 'debug' }, headers: WITNESS });
  const evil = encodeURIComponent('x\r\n{"level":"error","message":"EVIL"}\n\u2028EVIL\u001b[2J');
  const sub = 'u\r\n{"message":"EVIL"}\n';
  const asked = [
    { target: `/stream/updates?companyId=${evil}`, headers: [GOOD] },
    { target: `/stream/updates?companyId=acme&ticket=${evil}` },
    { target: `/${evil}` },
    { target: TARGET, headers: [bearer(token({ companyId: 'acme', sub }))] },
    { target: TARGET, headers: [bearer(token({ companyId: 'acme', jti: sub }))] },
    { target: TARGET, headers: [bearer(token({ companyId: 'acme' }, { header: { kid: sub } }))] },
  ];
  for (const each of asked) assert.ok((await request(sluice.port, each)).status >= 400);
  await visit(world, sluice, { headers: [GOOD], query: [['lastEventId', evil]] });
  await sluice.untilLog((line) => line.lastEventId?.includes('EVIL'), 'the stream with the evil id');
  await holds();
  assert.deepEqual(sluice.otherLines, []);
  assert.deepEqual(sluice.logs.filter((line) => line.message === 'EVIL'), []);
  const controls = [...sluice.child.stderr].filter((letter) => letter < ' ' && letter !== '\n');
  assert.deepEqual(controls, []);
});

const NO_COMPANIES = [
  ...['*', '>', '.', '..', '-', '_', ':', 'a*', 'ac?e', 'a>', '*.acme', 'acme.>', 'a|b', 'a,b', 'a;b', 'a/b', '../acme', 'a\\b', 'a%b'],
  ...['{acme}', 'acme}:log', '{', '}', '[a]', 'a b', ' acme', 'acme ', 'a\tb', 'a"b', "a'b", 'a=b', 'a&b', 'a#b', 'a@b', 'a$b', 'a+b'],
  ...['äcme', 'acme\u200b', 'асme', '\ufeffacme', 'a\u0300', 'a'.repeat(129)],
];

e2e('wildcards and separators are no company, in a request, in a token and in an event', async (world) => {
  const open = await besieged(world);
  const closed = await besieged(world, { nats: open.nats, env: JWT_ENV, headers: WITNESS });
  const everybody = await world.liveStream(open.sluice, { company: 'acme' });
  await forEachCase(NO_COMPANIES, async (company) => {
    const target = `/stream/updates?companyId=${encodeURIComponent(company)}`;
    assertRefused(await open.sluice.get(target), 400);
    assertRefused(await request(closed.sluice.port, { target, headers: [GOOD] }), 400);
    const claims = [{ companyId: company }, { companyId: ['acme', company] }];
    for (const each of claims) {
      assertRefused(await request(closed.sluice.port, { target: TARGET, headers: [bearer(token(each))] }), 401);
      assertRefused(await request(closed.sluice.port, { target, headers: [bearer(token(each))] }), 401);
    }
    await open.publisher.publish('metrics.x', payload(company, 1));
  });
  const rejected = NO_COMPANIES.length;
  await open.sluice.untilMetric('sluice_events_rejected_total', {}, (value) => value === rejected);
  await open.publisher.publish('metrics.x', payload('acme', 2));
  await everybody.untilEvents(1);
  assertExactly(everybody, [2]);
  everybody.leave();
  await closed.publish(0);
  await open.sluice.untilConnections(1);
});

e2e('companies whose names contain separators or each other are strangers', async (world) => {
  const { sluice, publisher, redis, holds } = await besieged(world, { store: 'redis' });
  const names = ['acme', 'acme:log', 'acme.b', 'acme-b', 'acme_b', 'ACME', 'acm', 'acme2', 'acme:', 'acme:head'];
  const clients = await Promise.all(names.map((company) => world.liveStream(sluice, { company })));
  for (const [i, company] of names.entries()) await publisher.publish('metrics.x', payload(company, i));
  for (const [i, client] of clients.entries()) {
    await client.untilEvents(1);
    assertExactly(client, [i]);
    await redis.untilStored(names[i], 1);
  }
  for (const client of clients) client.leave();
  await holds();
});
