// The demo publisher, which the load tests build on: what it says it sends is what comes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Publisher } from '../support/events.mjs';
import { Child } from '../support/process.mjs';
import { NatsServer } from '../support/servers.mjs';

const DEMO = process.env.SLUICE_DEMO_BIN ?? new URL('../../build/sluice-demo', import.meta.url).pathname;

/** What sluice-demo publishes with these arguments, as `{ subject, text }`. */
async function published(count, ...args) {
  const nats = new NatsServer();
  await nats.start();
  const subscriber = await Publisher.connect(nats.port);
  try {
    const messages = subscriber.connection.subscribe('>', { max: count });
    await subscriber.connection.flush();
    const demo = new Child(DEMO, ['--url', nats.url, '--rate', '1000', '--count', String(count), ...args]);
    const found = [];
    for await (const { subject, data } of messages) found.push({ subject, text: Buffer.from(data).toString() });
    const exit = await demo.waitForExit();
    assert.equal(exit.code, 0, demo.stderr);
    return found;
  } finally {
    await subscriber.dispose();
    await nats.dispose();
  }
}

for (const size of [300, 16384, 65536]) {
  test(`with --size ${size} each payload has ${size} bytes, and "ts" last`, async () => {
    for (const { text } of await published(14, '--companies', '2', '--prefix', 'heavy', '--size', String(size))) {
      assert.equal(Buffer.byteLength(text), size);
      const members = Object.keys(JSON.parse(text));
      assert.deepEqual([members[0], ...members.slice(-2)], ['companyId', 'pad', 'ts']);
    }
  });
}

test('without --size, or where a payload is that large anyway, nothing is padded', async () => {
  for (const args of [[], ['--size', '40']]) {
    const messages = await published(14, '--companies', '2', ...args);
    assert.ok(messages.every(({ text }) => !('pad' in JSON.parse(text))));
    assert.deepEqual([...new Set(messages.map(({ text }) => JSON.parse(text).companyId))].sort(), ['c0', 'c1']);
    assert.ok(messages.some(({ subject }) => subject === 'metrics.calculated'));
  }
});

for (const size of ['0', '65537', 'much', '12x']) {
  test(`--size ${size} is refused`, async () => {
    const demo = new Child(DEMO, ['--size', size]);
    assert.equal((await demo.waitForExit()).code, 2);
    assert.match(demo.stderr, /--size takes a number from 1 to 65536/);
  });
}
