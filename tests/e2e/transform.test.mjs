// What becomes of a message from NATS: the good ones pass untouched, the bad ones are counted and stop nothing.

import assert from 'node:assert/strict';
import { forEachCase } from '../support/cases.mjs';
import { numbersOf, payload, range } from '../support/events.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const latin1 = (text) => Buffer.from(text, 'latin1');
const inString = (bytes) => Buffer.concat([Buffer.from('{"companyId":"acme","v":"'), latin1(bytes), Buffer.from('"}')]);

const REJECTED = {
  not_json: {
    'an empty message': '',
    'plain text': 'nonsense',
    'a truncated object': '{"companyId":"acme"',
    'bytes behind the object': '{"companyId":"acme"}x',
    'two objects': '{"companyId":"acme"}{"companyId":"acme"}',
    'a comma too many': '{"companyId":"acme",}',
    'NaN': '{"companyId":"acme","v":NaN}',
    'a leading zero': '{"companyId":"acme","v":012}',
    'a plus sign': '{"companyId":"acme","v":+1}',
    'a number that ends in a point': '{"companyId":"acme","v":1.}',
    'single quotes': "{'companyId':'acme'}",
    'a comment': '{"companyId":"acme"/* x */}',
    'a byte order mark': '\ufeff{"companyId":"acme"}',
    'a bad escape': '{"companyId":"acme","v":"\\x"}',
    'half of a \\u escape': '{"companyId":"acme","v":"\\u12"}',
    'a control character in a string': '{"companyId":"acme","v":"\u0001"}',
    'a line feed in a string': '{"companyId":"acme","v":"\n"}',
    'a NUL byte': '{"companyId":"acme","v":"\0"}',
    'a NUL byte behind the object': '{"companyId":"acme"}\0',
    'a stray continuation byte': inString('\x80'),
    'a byte that UTF-8 has not': inString('\xff'),
    'a truncated UTF-8 sequence': inString('\xe2\x82'),
    'an overlong UTF-8 sequence': inString('\xc0\xaf'),
    'an overlong sequence of three bytes': inString('\xe0\x80\xaf'),
    'a surrogate in UTF-8': inString('\xed\xa0\x80'),
    'a code point beyond Unicode': inString('\xf4\x90\x80\x80'),
  },
  not_object: {
    'an array': '[{"companyId":"acme"}]',
    'a string': '"companyId"',
    'a number': '5',
    'null': 'null',
    'true': ' true ',
  },
  missing_company: {
    'an empty object': '{}',
    'a key in other letters': '{"companyID":"acme"}',
    'a key one level down': '{"data":{"companyId":"acme"}}',
    'a value that looks like a key': '{"key":"companyId","value":"acme"}',
  },
  bad_company: {
    'a number': '{"companyId":5}',
    'null': '{"companyId":null}',
    'an object': '{"companyId":{"companyId":"acme"}}',
    'an array': '{"companyId":["acme"]}',
    'the empty string': '{"companyId":""}',
    'a star': '{"companyId":"*"}',
    'a greater-than sign': '{"companyId":"acme.>"}',
    'a space': '{"companyId":"ac me"}',
    'a leading point': '{"companyId":".acme"}',
    'a leading hyphen': '{"companyId":"-acme"}',
    'a slash': '{"companyId":"ac/me"}',
    'braces': '{"companyId":"ac{m}e"}',
    'a letter outside ASCII': '{"companyId":"acmé"}',
    'an escaped line feed behind it': '{"companyId":"acme\\n"}',
    'an escaped NUL behind it': '{"companyId":"acme\\u0000"}',
    '129 characters': `{"companyId":"${'a'.repeat(129)}"}`,
  },
  duplicate_company: {
    'the same twice': '{"companyId":"acme","companyId":"acme"}',
    'another one later': '{"companyId":"acme","x":[1,{"y":2}],"companyId":"other"}',
    'another one under an escaped key': '{"companyId":"acme","company\\u0049d":"other"}',
    'an escaped key first': '{"\\u0063ompanyId":"other","companyId":"acme"}',
  },
  too_large: {
    'a long string': `{"companyId":"acme","v":"${'x'.repeat(8192)}"}`,
    'line feeds that grow when each becomes a data line': `{"companyId":"acme"${'\n'.repeat(2000)}}`,
  },
};

for (const [reason, messages] of Object.entries(REJECTED)) {
  e2e(`a message is rejected as ${reason}, counted, and stops nothing`, async (world) => {
    const { sluice, publisher } = await world.bridge({ env: { MAX_EVENT_BYTES: '4096' } });
    const acme = await world.liveStream(sluice, { company: 'acme' });
    const other = await world.liveStream(sluice, { company: 'other' });
    let n = 0;
    await forEachCase(Object.keys(messages), async (what) => {
      const before = await sluice.metrics();
      n++;
      await publisher.publish('metrics.bad', messages[what]);
      await publisher.publish('metrics.good', payload('acme', n));
      await acme.waitFor(() => numbersOf(acme.events).includes(n), 'the good event behind it');
      const after = await sluice.metrics();
      const rejected = (metrics, labels) => metrics.value('sluice_events_rejected_total', labels) ?? 0;
      assert.equal(rejected(after, { reason }) - rejected(before, { reason }), 1, `${what} as ${reason}`);
      assert.equal(rejected(after) - rejected(before), 1, `${what} counted once`);
    });
    await publisher.publish('metrics.good', payload('other', 1));
    await other.untilEvents(1);
    assert.deepEqual(numbersOf(acme.events), range(1, n));
    assert.deepEqual(numbersOf(other.events), [1]);
    assert.deepEqual([...acme.gaps, ...other.gaps], []);
  });
}

const ACCEPTED = {
  'an integer beyond 64 bits': '{"companyId":"acme","v":123456789012345678901234567890123456789}',
  'a number beyond double': '{"companyId":"acme","v":[1e400,-1E-400,0.1000000000000000000001]}',
  'an escaped NUL': '{"companyId":"acme","v":"a\\u0000b"}',
  'letters of the world': '{"companyId":"acme","v":"Zażółć 中文 🎉 \u{10ffff} \u2028\u2029"}',
  'a lone surrogate escape': '{"companyId":"acme","v":"\\ud800"}',
  'odd but valid spacing': '  { "companyId" :\t"acme" , "v" : [ ] }  ',
  'duplicate keys other than companyId': '{"a":1,"a":2,"companyId":"acme"}',
  'companyId again one level down': '{"companyId":"acme","x":{"companyId":"other"},"y":[{"companyId":"other"}]}',
  'an escaped key': '{"company\\u0049d":"acme"}',
  'an escaped company': '{"companyId":"\\u0061cme"}',
  'what looks like SSE fields': '{"companyId":"acme","v":"id: 1\\nevent: x\\n\\n","w":": comment"}',
  'markup and slashes': '{"companyId":"acme","v":"</script>\\/ // &amp;"}',
  'a string of 100 KB': `{"companyId":"acme","v":"${'ü'.repeat(50_000)}"}`,
  'a thousand nested arrays': `{"companyId":"acme","v":${'['.repeat(1000)}${']'.repeat(1000)}}`,
  'an empty key': '{"":0,"companyId":"acme"}',
  'pretty print': JSON.stringify({ companyId: 'acme', v: [1, { w: 2 }] }, null, 2),
  'CRLF line ends': '{\r\n  "companyId": "acme",\r\n  "v": 1\r\n}',
  'CR line ends': '{\r"companyId":\r"acme"\r}',
  'empty lines': '{\n\n"companyId":"acme"\n\n\n}',
  'line ends in front and behind': '\n\r\n{"companyId":"acme"}\n\n',
  'a mix of line ends': '{\n\r"companyId"\r\r\n:\n\n\r"acme"}\r',
};

e2e('a payload arrives as it was published, line ends apart, live and from the replay', async (world) => {
  const { sluice, publisher } = await world.bridge({ store: 'redis' });
  const live = await world.liveStream(sluice, { company: 'acme' });
  const start = live.lastEventId;
  const sent = Object.entries(ACCEPTED);
  for (const [i, [what, text]] of sent.entries()) {
    await publisher.publish('metrics.x', text);
    await live.waitFor(() => live.events.length > i, what);
  }
  const late = await world.liveStream(sluice, { company: 'acme', lastEventId: start });
  assert.equal(late.events.length, sent.length);
  for (const [i, [what, text]] of sent.entries()) {
    const lines = text.split(/\r\n|\r|\n/);
    for (const { events } of [live, late]) {
      assert.equal(events[i].data, lines.join('\n'), what);
      assert.equal(events[i].fields.filter(([name]) => name === 'data').length, lines.length, what);
    }
    assert.equal(late.events[i].raw, live.events[i].raw, what);
    const { ms } = live.events[i].position;
    const head = `id: metrics.x-${i + 1}-${ms}\nevent: metric_updated\n`;
    const dataLines = lines.map((line) => `data: ${line}\n`).join('');
    assert.equal(live.events[i].raw, `${head}${dataLines}\n`, what);
  }
});

e2e('a company may have 128 characters of letters, digits, point, underscore, colon and hyphen', async (world) => {
  const { sluice, publisher } = await world.bridge({ store: 'redis' });
  for (const company of ['0', 'A.b_C:d-9', 'z'.repeat(128)]) {
    const client = await world.liveStream(sluice, { company });
    await publisher.publish('metrics.x', payload(company, 1));
    await client.untilEvents(1);
    assert.deepEqual(numbersOf(client.events), [1]);
  }
});

e2e('a message nested beyond all reason stops nothing', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const client = await world.liveStream(sluice, { company: 'acme' });
  const depth = 100_000;
  await publisher.publish('metrics.deep', `{"companyId":"acme","v":${'['.repeat(depth)}${']'.repeat(depth)}}`);
  await publisher.publish('metrics.deep', `{"companyId":"acme","v":${'{"a":'.repeat(40_000)}`);
  await publisher.publish('metrics.good', payload('acme', 1));
  await client.waitFor(() => client.events.some((event) => event.id.startsWith('metrics.good')), 'the good event');
  const metrics = await sluice.metrics();
  const rejected = metrics.value('sluice_events_rejected_total') ?? 0;
  assert.equal(metrics.value('sluice_events_received_total'), 3);
  assert.equal(client.events.length + rejected, 3);
});

e2e('the largest event allowed passes, one byte more does not, and its size counts once encoded', async (world) => {
  const limit = 8192;
  const { sluice, publisher } = await world.bridge({ env: { MAX_EVENT_BYTES: String(limit) } });
  const client = await world.liveStream(sluice, { company: 'acme' });
  await publisher.publish('metrics.x', payload('acme', 1, { v: '' }));
  const [small] = await client.untilEvents(1);
  // Numbers and milliseconds have as many digits in each of these events as in the first.
  const room = limit - Buffer.byteLength(small.raw);
  await publisher.publish('metrics.x', payload('acme', 2, { v: 'x'.repeat(room) }));
  await publisher.publish('metrics.x', payload('acme', 3, { v: 'x'.repeat(room + 1) }));
  await publisher.publish('metrics.x', payload('acme', 4, { v: 'é'.repeat(room / 2 + 1) }));
  await publisher.publish('metrics.x', payload('acme', 5));
  await client.untilEvents(3);
  assert.deepEqual(numbersOf(client.events), [1, 2, 5]);
  assert.equal(Buffer.byteLength(client.events[1].raw), limit);
  assert.deepEqual(client.events.map((event) => event.position.seq), [1, 2, 3]);
  assert.equal((await sluice.metrics()).value('sluice_events_rejected_total', { reason: 'too_large' }), 2);
});

e2e('the dead-letter subject gets each rejected message as it was', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { DEAD_LETTER_SUBJECT: 'dead.letters' } });
  const letters = [];
  publisher.connection.subscribe('dead.letters', { callback: (_, message) => letters.push(Buffer.from(message.data)) });
  await publisher.connection.flush();
  const bad = [Buffer.from('nonsense'), inString('\xff'), Buffer.from('[]'), Buffer.from('{"companyId":"*"}\r\n')];
  const client = await world.liveStream(sluice, { company: 'acme' });
  for (const bytes of bad) await publisher.publish('metrics.bad', bytes);
  await publisher.publish('metrics.good', payload('acme', 1));
  await client.untilEvents(1);
  await eventually(() => letters.length >= bad.length, 'the dead letters');
  assert.deepEqual(letters, bad);
  assert.equal((await sluice.metrics()).value('sluice_events_rejected_total'), bad.length);
});

e2e('a rejected message is logged with its reason and never with its payload', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { LOG_LEVEL: 'debug' } });
  await publisher.publish('metrics.bad', '{"companyId":"acme","card":"4111-secret"');
  await sluice.untilLog((line) => JSON.stringify(line).includes('not_json'), 'a line about the rejection');
  assert.ok(!sluice.child.stderr.includes('4111-secret'), 'the payload is in the log');
});

e2e('a flood of bad messages does not become a flood of log lines', async (world) => {
  const { sluice, publisher } = await world.bridge();
  for (let i = 0; i < 3000; i++) publisher.put('metrics.bad', 'nonsense');
  await publisher.connection.flush();
  await sluice.untilMetric('sluice_events_rejected_total', { reason: 'not_json' }, (value) => value === 3000);
  assert.ok(sluice.logs.length < 300, `${sluice.logs.length} lines`);
});

e2e('odd and long subjects become ids that every client can send back', async (world) => {
  const { sluice, publisher } = await world.bridge({ store: 'redis', env: { NATS_SUBJECTS: 'metrics.>' } });
  const client = await world.liveStream(sluice, { company: 'acme' });
  const subjects = {
    'metrics.a$b/c:d@e%f"g\\h{i}|j': 'metrics.a_b_c_d_e_f_g_h_i__j',
    'metrics.-1-2': 'metrics.-1-2',
    [`metrics.${'x'.repeat(200)}`]: `metrics.${'x'.repeat(56)}`,
    [`metrics.${'$'.repeat(56)}`]: `metrics.${'_'.repeat(56)}`,
    'metrics.é中🎉': /^metrics\._{3,9}$/,
  };
  for (const [i, subject] of Object.keys(subjects).entries()) await publisher.publish(subject, payload('acme', i + 1));
  const count = Object.keys(subjects).length;
  const events = await client.untilEvents(count);
  for (const [i, wanted] of Object.values(subjects).entries()) {
    if (typeof wanted === 'string') assert.equal(events[i].position.subject, wanted);
    else assert.match(events[i].position.subject, wanted);
    assert.ok(events[i].id.length <= 128);
    const back = await world.liveStream(sluice, { company: 'acme', lastEventId: events[i].id });
    assert.deepEqual(numbersOf(back.events), range(i + 2, count), events[i].id);
    assert.deepEqual(back.gaps, []);
  }
});
