// Real EventSource clients: they reconnect on their own and must see everything exactly once.

import assert from 'node:assert/strict';
import { EventSource as EventSource3 } from 'eventsource';
import EventSource2 from 'eventsource-2';
import { payload, range } from '../support/events.mjs';
import { freePort } from '../support/process.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

/** An EventSource that notes what it sees: event numbers, and gaps by their reason. */
function watch(world, EventSource, port, query = '') {
  const source = new EventSource(`http://127.0.0.1:${port}/stream/updates?companyId=acme${query}`);
  const seen = { numbers: [], ids: [], gaps: [], ready: 0, closing: 0 };
  source.addEventListener('error', () => {}); // it comes back on its own
  source.addEventListener('metric_updated', (event) => {
    seen.numbers.push(JSON.parse(event.data).n);
    seen.ids.push(event.lastEventId);
  });
  source.addEventListener('stream.ready', () => seen.ready++);
  source.addEventListener('stream.gap', (event) => seen.gaps.push(JSON.parse(event.data).reason));
  source.addEventListener('stream.closing', () => seen.closing++);
  world.own(() => source.close());
  return seen;
}

const untilReady = (seen, count) => eventually(() => seen.ready >= count, `stream.ready number ${count}`);
const untilNumber = (seen, n) => eventually(() => seen.numbers.at(-1) === n, `event ${n}`);

for (const [library, EventSource] of [
  ['eventsource 3', EventSource3],
  ['eventsource 2', EventSource2],
]) {
  const withLibrary = (name, body) => e2e(`${name} (${library})`, body);

  withLibrary('EventSource reconnects after a cut and sees everything exactly once', async (world) => {
    const { sluice, publisher } = await world.bridge({ store: 'redis', env: { RETRY_MS: '100' } });
    const proxy = await world.proxy(sluice.port);
    const seen = watch(world, EventSource, proxy.port);
    await untilReady(seen, 1);
    await publisher.publishRange('acme', 1, 1);
    await untilNumber(seen, 1);
    let n = 1;
    for (let cut = 1; cut <= 4; cut++) {
      await publisher.publishRange('acme', n + 1, n + 30);
      // Odd rounds are cut in the middle of the burst, even ones when all has been seen.
      if (cut % 2 === 0) await untilNumber(seen, n + 30);
      proxy.cut();
      await publisher.publishRange('acme', n + 31, n + 40);
      n += 40;
      await untilReady(seen, cut + 1);
      await untilNumber(seen, n);
    }
    assert.deepEqual(seen.numbers, range(1, n));
    assert.deepEqual(seen.gaps, []);
    assert.equal(new Set(seen.ids).size, n);
  });

  withLibrary('a URL with an old lastEventId sends nothing twice when EventSource reconnects', async (world) => {
    const { sluice, publisher } = await world.bridge({ store: 'redis', env: { RETRY_MS: '100' } });
    const proxy = await world.proxy(sluice.port);
    const first = await world.liveStream(sluice, { company: 'acme' });
    await publisher.publishPaced('acme', 1, 10, [first]);
    const seen = watch(world, EventSource, proxy.port, `&lastEventId=${first.events[3].id}`);
    await untilNumber(seen, 10);
    proxy.cut();
    await publisher.publishRange('acme', 11, 12);
    await untilReady(seen, 2);
    await untilNumber(seen, 12);
    assert.deepEqual(seen.numbers, range(5, 12));
    assert.deepEqual(seen.gaps, []);
  });

  withLibrary('EventSource lives through a restart of Sluice and is told of the hole', async (world) => {
    const port = String(await freePort());
    const env = { RETRY_MS: '100', PORT_ANALYTICS: port };
    const { nats, redis, sluice, publisher } = await world.bridge({ store: 'redis', env });
    const seen = watch(world, EventSource, port);
    await untilReady(seen, 1);
    await publisher.publishRange('acme', 1, 5);
    await untilNumber(seen, 5);
    await sluice.stop();
    await eventually(() => seen.closing === 1, 'stream.closing');
    await world.sluice({ nats, redis, env });
    await untilReady(seen, 2);
    await publisher.publish('metrics.calculated', payload('acme', 6));
    await untilNumber(seen, 6);
    assert.deepEqual(seen.numbers, range(1, 6));
    assert.deepEqual(seen.gaps, ['source']);
  });

  withLibrary('several EventSources share a company through one cut after another', async (world) => {
    const { sluice, publisher } = await world.bridge({ store: 'redis', env: { RETRY_MS: '100' } });
    const proxy = await world.proxy(sluice.port);
    const all = range(1, 5).map(() => watch(world, EventSource, proxy.port));
    for (const seen of all) await untilReady(seen, 1);
    await publisher.publishRange('acme', 1, 1);
    for (const seen of all) await untilNumber(seen, 1);
    for (let n = 1; n < 60; n += 20) {
      await publisher.publishRange('acme', n + 1, n + 10);
      proxy.cut();
      await publisher.publishRange('acme', n + 11, n + 20);
      for (const seen of all) await untilNumber(seen, n + 20);
    }
    for (const seen of all) {
      assert.deepEqual(seen.numbers, range(1, 61));
      assert.deepEqual(seen.gaps, []);
    }
  });
}

// Version 3 forgets an id that comes without data, which WHATWG HTML says moves the cursor: it cannot pass this one.
e2e('EventSource that is cut before its first event misses nothing (eventsource 2)', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { RETRY_MS: '100' } });
  const proxy = await world.proxy(sluice.port);
  const seen = watch(world, EventSource2, proxy.port);
  await untilReady(seen, 1);
  // The cursor stands right behind stream.ready, in the same write; the page's answer gives it time to be read.
  await sluice.untilConnections(1);
  await proxy.close();
  await publisher.publishRange('acme', 1, 5);
  await sluice.untilConnections(0);
  await proxy.listen();
  await untilNumber(seen, 5);
  assert.deepEqual(seen.numbers, range(1, 5));
  assert.deepEqual(seen.gaps, []);
});

e2e('fetch reads a stream to its end', async (world) => {
  const { sluice, publisher } = await world.bridge();
  const response = await fetch(`http://127.0.0.1:${sluice.port}/stream/updates?companyId=acme`);
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  const readUntil = async (what) => {
    while (!text.includes(what)) {
      const { value, done } = await reader.read();
      assert.equal(done, false, `ended before ${what}`);
      text += decoder.decode(value, { stream: true });
    }
  };
  await readUntil('event: stream.ready\n');
  await publisher.publish('metrics.calculated', payload('acme', 1));
  await readUntil('"n":1}\n\n');
  sluice.child.signal('SIGTERM');
  await readUntil('event: stream.closing\n');
  for (let done = false; !done; ) ({ done } = await reader.read());
  await sluice.checkExit();
});
