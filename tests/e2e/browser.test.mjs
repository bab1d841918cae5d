// What a dashboard's developer gets: the EventSource of a real Chromium, on a page of another origin.

import assert from 'node:assert/strict';
import { range } from '../support/events.mjs';
import { e2e } from '../support/world.mjs';

const company = 'acme';
const target = `/stream/updates?companyId=${company}`;

const urlOf = (sluice) => `http://127.0.0.1:${sluice.port}${target}`;
const numbers = (browser) => browser.events.map((event) => event.data.n);

e2e('Chromium asks for compression, and reads each event as it comes', async (world) => {
  const browser = await world.browser();
  const { sluice, publisher } = await world.bridge({ env: { CORS_ORIGINS: browser.origin, FLUSH_WINDOW_MS: '200' } });
  browser.follow(urlOf(sluice));
  await browser.until(() => browser.named('stream.ready').length === 1, 'stream.ready');
  await publisher.publishRange(company, 1, 300, { more: { metricName: 'load', note: 'as real events are: much alike' } });
  await browser.untilEvents(300);
  // Alone, with nothing behind it that would push it out of a decoder.
  for (const n of [301, 302]) {
    await publisher.publishRange(company, n, n);
    await browser.untilEvents(n);
  }
  assert.deepEqual(numbers(browser), range(1, 302));
  assert.deepEqual(browser.named('stream.gap'), []);
  const metrics = await sluice.metrics();
  assert.ok(metrics.value('sluice_compression_input_bytes_total') > 10_000);
});

e2e('Chromium comes back behind its last event when Sluice was restarted', async (world) => {
  const browser = await world.browser();
  const { nats, redis, sluice, publisher } = await world.bridge({
    store: 'redis',
    env: { CORS_ORIGINS: browser.origin, RETRY_MS: '500', DRAIN_SPREAD_SECONDS: '0' },
  });
  browser.follow(urlOf(sluice));
  await browser.until(() => browser.named('stream.ready').length === 1, 'stream.ready');
  await publisher.publishRange(company, 1, 50);
  await browser.untilEvents(50);

  await sluice.stop();
  await world.sluice({ nats, redis, env: { ...sluice.env, PORT_ANALYTICS: String(sluice.port) } });
  await publisher.publishRange(company, 51, 60);
  await browser.until(() => browser.named('stream.ready').length === 2, 'stream.ready once more');
  await browser.untilEvents(60);
  await publisher.publishRange(company, 61, 61);
  await browser.untilEvents(61);
  assert.deepEqual(numbers(browser), range(1, 61));
  assert.ok(browser.reports.every((report) => !report.closed), 'it never gave up');
});

e2e('Chromium comes back by itself where there was no room for it', async (world) => {
  const browser = await world.browser();
  const { sluice, publisher } = await world.bridge({
    env: { CORS_ORIGINS: browser.origin, RETRY_MS: '100', MAX_CONNECTIONS_PER_COMPANY: '1', OVERLOAD_ANSWER: 'retry' },
  });
  const first = await world.liveStream(sluice, { company });
  browser.follow(urlOf(sluice));
  await browser.until((reports) => reports.some((report) => report.kind === 'error'), 'the end of its first answer');
  assert.deepEqual(browser.named('stream.ready'), []);
  first.leave();
  await browser.until(() => browser.named('stream.ready').length === 1, 'stream.ready');
  await publisher.publishRange(company, 1, 3);
  await browser.untilEvents(3);
  assert.deepEqual(numbers(browser), range(1, 3));
  assert.ok(browser.reports.every((report) => !report.closed), 'it never gave up');
});
