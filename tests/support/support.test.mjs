// The strict readers must themselves be able to fail, or nothing that uses them can.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { statusesOf } from './attacks.mjs';
import { assertPromise } from './events.mjs';
import { ChunkedDecoder, parseHead } from './http.mjs';
import { parseMetrics } from './prometheus.mjs';
import { parseReply, RedisError } from './resp.mjs';
import { SseParser } from './sse.mjs';

function parse(text, { pieces = false } = {}) {
  const blocks = [];
  const violations = [];
  const parser = new SseParser({ onBlock: (block) => blocks.push(block), onViolation: (v) => violations.push(v) });
  const bytes = Buffer.from(text);
  if (pieces) for (const byte of bytes) parser.push(Buffer.from([byte]));
  else parser.push(bytes);
  return { blocks, violations, parser };
}

describe('the SSE parser', () => {
  const text = 'retry: 10\n\nid: a-1-2\nevent: x\ndata: é\ndata:  y\ndata\n\n:heartbeat\n\nid: b-2-3\n\n';

  for (const pieces of [false, true]) {
    test(`reads blocks ${pieces ? 'byte by byte' : 'at once'}`, () => {
      const { blocks, violations } = parse(text, { pieces });
      assert.deepEqual(violations, []);
      assert.equal(blocks.map((block) => block.raw).join(''), text);
      assert.equal(blocks[0].retry, 10);
      assert.deepEqual([blocks[1].id, blocks[1].event, blocks[1].data], ['a-1-2', 'x', 'é\n y\n']);
      assert.deepEqual(blocks[2].comments, ['heartbeat']);
      assert.deepEqual([blocks[3].id, blocks[3].data], ['b-2-3', undefined]);
    });
  }

  for (const [what, bytes] of [
    ['a byte order mark', '\ufeffdata: x\n\n'],
    ['a carriage return', 'data: x\r\n\r\n'],
    ['a comment inside a block', 'data: x\n:heartbeat\n\n'],
    ['an unknown field', 'dota: x\n\n'],
    ['retry is not a number', 'retry: 10x\n\n'],
    ['a NUL in id', 'id: x\0\n\n'],
    ['an empty block', 'data: x\n\n\n'],
    ['not UTF-8', Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0x0a, 0x0a])],
  ]) {
    test(`objects to ${what}`, () => {
      assert.match(parse(bytes).violations.join(), new RegExp(what));
    });
  }

  test('splits at CR, LF and CRLF as WHATWG says', () => {
    const { blocks } = parse('data: a\rdata: b\r\ndata: c\n\n');
    assert.equal(blocks[0].data, 'a\nb\nc');
  });

  test('keeps an unfinished block apart', () => {
    const { blocks, parser } = parse('data: a\n\ndata: b\n');
    assert.equal(blocks.length, 1);
    assert.equal(parser.unfinished.toString(), 'data: b\n');
  });
});

describe('the chunk decoder', () => {
  test('gives the bytes inside, also byte by byte', () => {
    const decoder = new ChunkedDecoder();
    const bytes = Buffer.from('3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n');
    const out = [...bytes].map((byte) => decoder.push(Buffer.from([byte])).toString()).join('');
    assert.equal(out, 'abc0123456789');
    assert.ok(decoder.done);
  });

  for (const bad of ['3\r\nabcd\r\n', 'x\r\n', '3;a=b\r\nabc\r\n', '0\r\n\r\nmore', '-1\r\n', '\r\n']) {
    test(`objects to ${JSON.stringify(bad)}`, () => {
      assert.throws(() => new ChunkedDecoder().push(Buffer.from(bad)));
    });
  }
});

describe('the response head parser', () => {
  test('reads status and headers', () => {
    const head = parseHead(Buffer.from('HTTP/1.1 404 Not Found\r\nContent-Type: a\r\nX: 1\r\n\r\nbody'));
    assert.deepEqual([head.status, head.reason, head.headers.get('content-type')], [404, 'Not Found', 'a']);
  });

  for (const bad of ['HTTP/2 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n', 'HTTP/1.1 200 OK\r\n folded\r\n\r\n']) {
    test(`objects to ${JSON.stringify(bad)}`, () => {
      assert.throws(() => parseHead(Buffer.from(bad)));
    });
  }

  test('objects to two lengths', () => {
    assert.throws(() => parseHead(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n')));
  });
});

describe('the metrics reader', () => {
  const good = [
    '# HELP a_total Things.\n# TYPE a_total counter\na_total{x="1\\"\\n"} 3\na_total{x="2"} 4\n',
    '# HELP h Seconds.\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3.5\nh_count 2\n',
  ].join('');

  test('reads samples', () => {
    const metrics = parseMetrics(good);
    assert.equal(metrics.value('a_total'), 7);
    assert.equal(metrics.value('a_total', { x: '1"\n' }), 3);
    assert.equal(metrics.value('h_count'), 2);
    assert.equal(metrics.value('b'), undefined);
  });

  for (const [what, from, to] of [
    ['a series that appears twice', 'x="2"', 'x="1\\"\\n"'],
    ['buckets that are not cumulative', 'le="1"} 1', 'le="1"} 9'],
    ['a count that is not the last bucket', 'h_count 2', 'h_count 3'],
    ['a sample without its type', '# TYPE h histogram\n', ''],
    ['a value that is not a number', 'h_sum 3.5', 'h_sum 3,5'],
    ['a line that is neither', 'h_count 2', 'h_count 2\n'],
  ]) {
    test(`objects to ${what}`, () => {
      assert.notEqual(good.replace(from, to), good);
      assert.throws(() => parseMetrics(good.replace(from, to)));
    });
  }
});

test('the Redis reply parser reads nested replies and waits for missing bytes', () => {
  const bytes = Buffer.from('*3\r\n:5\r\n$2\r\nab\r\n*1\r\n$-1\r\n');
  assert.deepEqual(parseReply(bytes).value, [5, 'ab', [null]]);
  for (let end = 0; end < bytes.length; end++) assert.equal(parseReply(bytes.subarray(0, end)), undefined);
  assert.ok(parseReply(Buffer.from('-ERR no\r\n')).value instanceof RedisError);
});

test('the statuses of a connection are all of its answers, a head sent twice for one page apart', () => {
  const head = (status, length) => `HTTP/1.1 ${status} X\r\nContent-Length: ${length}\r\n\r\n`;
  assert.deepEqual(statusesOf(''), []);
  assert.deepEqual(statusesOf(`${head(400, 3)}abc`), [400]);
  assert.deepEqual(statusesOf(`${head(400, 3)}${head(400, 3)}abc`), [400]);
  assert.deepEqual(statusesOf(`${head(400, 3)}abc${head(400, 3)}abc`), [400, 400]);
  assert.deepEqual(statusesOf(`${head(204, 0)}${head(200, 3)}abc`), [204, 200]);
  assert.deepEqual(statusesOf(`${head(413, 3)}abc${head(200, 3)}abc`), [413, 200]);
  assert.throws(() => statusesOf(`junk${head(200, 0)}`));
});

describe('the promise', () => {
  const event = (seq, ms = 1000) => ({ kind: 'event', id: `m-${seq}-${ms}`, position: { seq, ms } });
  const gap = (missed, reason = 'slow_consumer') => ({ kind: 'control', event: 'stream.gap', json: { missed, reason } });

  test('holds for whole streams and for told gaps', () => {
    assert.equal(assertPromise([event(3), event(4)], { after: 2, until: 4 }), 0);
    assert.equal(assertPromise([event(1), gap(3), event(5)], { after: 0, until: 5 }), 3);
    assert.equal(assertPromise([gap(null), event(5)], { after: 0 }), 4);
    assert.equal(assertPromise([event(1), gap(7, 'source'), event(2)], { after: 0 }), 0);
  });

  for (const [what, blocks] of [
    ['a silent hole', [event(1), event(3)]],
    ['a wrong number', [event(1), gap(2), event(3)]],
    ['a duplicate', [event(1), event(1)]],
    ['a wrong order', [event(2), event(1)]],
    ['time that goes back', [event(1, 2000), event(2, 1000)]],
    ['a missing tail', [event(1), event(2)]],
    ['a gap behind the hole', [event(1), event(3), gap(1)]],
  ]) {
    test(`is broken by ${what}`, () => {
      assert.throws(() => assertPromise(blocks, { after: 0, until: 3 }));
    });
  }
});
