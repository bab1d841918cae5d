// AUTH_MODE=jwt: a stream ends with its token, and a client with a new one loses nothing by it.

import assert from 'node:assert/strict';
import { ask, assertRefused } from '../support/auth.mjs';
import { assertExactly, numbersOf, payload, range } from '../support/events.mjs';
import { bearer, JWT_ENV, nowSeconds, token } from '../support/tokens.mjs';
import { pause } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const fresh = () => bearer(token({ companyId: 'acme' }));
const until = (seconds, more) => bearer(token({ companyId: 'acme', exp: nowSeconds() + seconds, ...more }));
const events = (names) => (client) => client.blocks.filter((block) => names.includes(block.event)).map((block) => block.event);
const goodbyes = events(['stream.expiring', 'stream.closing']);

for (const store of ['memory', 'redis']) {
  e2e(`a stream ends with its token, and the next one goes on without a hole or a duplicate (${store})`, async (world) => {
    const { sluice, publisher } = await world.bridge({ store, env: { ...JWT_ENV, TOKEN_WARNING_SECONDS: '2' } });
    const exp = nowSeconds() + 4;
    const client = await world.liveStream(sluice, { headers: [until(4, { exp })] });
    let published = 0;
    const publishOne = () => publisher.publish('metrics.calculated', payload('acme', ++published));
    // Events come all the time: some fall on the very end of the stream.
    while (!client.closed) {
      await publishOne();
      await pause(1);
    }
    await client.untilClosed();
    for (let i = 0; i < 5; i++) await publishOne();
    assert.deepEqual(goodbyes(client), ['stream.expiring', 'stream.closing']);
    assert.equal(client.controls('stream.expiring')[0].json.expiresAt, exp * 1000);
    const { reason, retryMs } = client.controls('stream.closing')[0].json;
    assert.equal(reason, 'expired_token');
    assert.ok(Number.isInteger(retryMs) && retryMs > 0);
    assert.equal(client.blocks.at(-1).event, 'stream.closing', 'nothing follows the goodbye');
    assert.ok(Date.now() >= exp * 1000, 'it did not end too early');

    const next = await world.liveStream(sluice, { headers: [fresh()], lastEventId: client.lastEventId });
    await next.waitFor(() => next.events.length && numbersOf(next.events).at(-1) === published, 'the last event');
    assertExactly({ events: [...client.events, ...next.events], gaps: [...client.gaps, ...next.gaps] }, range(1, published));
  });
}

e2e('streams of HTTP/1.0, quiet ones and those of other tokens each end in their own time', async (world) => {
  const { sluice } = await world.bridge({ env: { ...JWT_ENV, TOKEN_WARNING_SECONDS: '1' } });
  const long = await world.liveStream(sluice, { headers: [fresh()] });
  const old = await world.liveStream(sluice, { headers: [until(3)], version: '1.0' });
  const quiet = await world.liveStream(sluice, { headers: [until(4)] });
  for (const client of [old, quiet]) {
    await client.untilClosed();
    assert.deepEqual(goodbyes(client), ['stream.expiring', 'stream.closing']);
  }
  assert.equal(long.closed, false);
  assert.deepEqual(goodbyes(long), []);
});

e2e('a client that comes late knows what it has: it is not warned, but told the end', async (world) => {
  const { sluice } = await world.bridge({ env: { ...JWT_ENV, TOKEN_WARNING_SECONDS: '3600' } });
  const client = await world.liveStream(sluice, { headers: [until(3)] });
  await client.untilClosed();
  assert.deepEqual(goodbyes(client), ['stream.closing']);
});

e2e('the leeway lets a token in, and its stream ends with the leeway', async (world) => {
  const { sluice } = await world.bridge({ env: { ...JWT_ENV, JWT_LEEWAY_SECONDS: '5' } });
  const headers = [until(-1)];
  const client = await world.liveStream(sluice, { headers });
  await client.untilControl('stream.closing');
  await client.untilClosed();
  assertRefused(await ask(sluice, { headers }), 401);
});

e2e('a token without exp has no end', async (world) => {
  const { sluice, publisher } = await world.bridge({
    env: { ...JWT_ENV, JWT_REQUIRE_EXP: 'false', TOKEN_WARNING_SECONDS: '86400', HEARTBEAT_SECONDS: '1' },
  });
  const client = await world.liveStream(sluice, { headers: [bearer(token({ companyId: 'acme', exp: undefined }))] });
  await client.waitFor(() => client.blocks.filter((block) => block.kind === 'comment').length >= 2, 'two heartbeats');
  await publisher.publish('metrics.calculated', payload('acme', 1));
  await client.untilEvents(1);
  assert.deepEqual(goodbyes(client), []);
});

e2e('a client that does not read is closed, too, when its token expires', async (world) => {
  const { sluice, publisher } = await world.bridge({ env: { ...JWT_ENV, ADMIN_KEY: 'x'.repeat(40) } });
  const client = await world.liveStream(sluice, { headers: [until(3)] });
  client.stopReading();
  const more = { filler: 'x'.repeat(60_000) };
  for (let i = 0; i < 5; i++) await publisher.publishRange('acme', 1 + 50 * i, 50 + 50 * i, { more });
  await sluice.untilConnections(0);
  await sluice.untilMetric('sluice_connections_closed_total', { reason: 'expired_token' }, (value) => value === 1);
  client.leave();
});
