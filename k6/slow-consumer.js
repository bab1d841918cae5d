// Some clients read slowly, and some not at all. The others must not notice, and the slow ones are told what they missed.
//
//   build/sluice-demo --rate 1000 --companies 100
//   build/sluice-demo --rate 100 --companies 1 --prefix heavy --size 16384
//   k6 run k6/slow-consumer.js
//
// The slow ones follow the company heavy0, as do some fast ones, who share its events with them: what waits for a client
// before anything is dropped is in the kernel's buffers on both sides, many megabytes, and small events would take minutes to
// fill them.
//
// Sluice must run with OVERFLOW=gap, its default. With OVERFLOW=refill nobody is told of a gap, since nothing is lost.

import { sleep } from 'k6';
import exec from 'k6/execution';
import { Counter, Rate, Trend } from 'k6/metrics';
import sse from 'k6/x/sse';

import { Order, ageOf, companyName, headersOf, isEvent, setting, streamUrl } from './common.js';

const companies = setting('COMPANIES', 10);
const connections = setting('CONNECTIONS', 100); // per company
const heavyCompany = __ENV.HEAVY_COMPANY || 'heavy0';
const fast = setting('FAST', 3); // streams of the heavy company that read as fast as they can
const slow = setting('SLOW', 3); // that wait for SLOW_MS after each event
const stalled = setting('STALLED', 3); // that read nothing
const slowMs = setting('SLOW_MS', 50);
const slowSeconds = setting('SLOW_SECONDS', 45); // afterwards they read on as fast as they can
const rampSeconds = setting('RAMP_SECONDS', 10); // the streams open spread over this time
const seconds = setting('SECONDS', 75);
const heavy = fast + slow + stalled;

const latency = new Trend('sluice_event_latency', true); // of the companies that have no slow clients
const heavyLatency = new Trend('sluice_heavy_event_latency', true); // of those beside the slow ones, who are not slow
const events = new Counter('sluice_events'); // of all that are not slow
const gaps = new Counter('sluice_gaps'); // likewise
const lost = new Counter('sluice_lost'); // of all: missing unsaid, or another number than the gap told
const twice = new Counter('sluice_twice'); // of all
const untold = new Counter('sluice_slow_untold'); // who of the slow ones got no stream.gap
const uncounted = new Counter('sluice_slow_uncounted'); // gaps that told them no number
const finished = new Counter('sluice_finished_streams'); // whose figures are in the summary
const missed = new Counter('sluice_slow_missed'); // the events that they were told of
const connected = new Rate('sluice_connection_success');

export const options = {
  scenarios: {
    streams: {
      executor: 'per-vu-iterations',
      vus: heavy + companies * connections,
      iterations: 1,
      maxDuration: `${rampSeconds + seconds + 40}s`, // a silent stream notices the end by a heartbeat
      gracefulStop: '5s',
    },
  },
  thresholds: {
    sluice_event_latency: ['p(95)<500'],
    sluice_heavy_event_latency: ['p(95)<500'],
    sluice_gaps: ['count==0'],
    sluice_lost: ['count==0'],
    sluice_twice: ['count==0'],
    sluice_slow_untold: ['count==0'],
    sluice_slow_uncounted: ['count==0'],
    sluice_connection_success: ['rate>0.95'],
    // Without events nothing was measured.
    sluice_events: ['count>0'],
    sluice_finished_streams: [`count==${heavy + companies * connections}`],
  },
  summaryTrendStats: ['min', 'med', 'p(95)', 'p(99)', 'max'],
};

export function setup() {
  return { measuredFrom: Date.now() + rampSeconds * 1000 };
}

/** The first clients are those of the heavy company. */
function roleOf(number) {
  if (number >= heavy) return { kind: 'fast', company: companyName(number % companies) };
  if (number < stalled) return { kind: 'stalled', company: heavyCompany };
  return { kind: number < stalled + slow ? 'slow' : 'fast', company: heavyCompany };
}

/** While a handler sleeps, nothing more is read from the socket than fits into a few small buffers. */
function dawdle(kind, leftMs) {
  if (kind === 'slow' && leftMs > 0) sleep(slowMs / 1000);
  if (kind === 'stalled' && leftMs > 0) sleep(leftMs / 1000);
}

export default function ({ measuredFrom }) {
  const number = exec.vu.idInTest - 1;
  const { kind, company } = roleOf(number);
  const endsAt = measuredFrom + seconds * 1000;
  const order = new Order();
  const state = { ready: false, gaps: 0, closed: false };

  // In the summary also where they stay 0.
  for (const counter of [gaps, lost, twice, untold, uncounted, finished]) counter.add(0);
  sleep((rampSeconds * number) / (heavy + companies * connections));
  const response = sse.open(streamUrl(company), { headers: headersOf(), tags: { name: 'stream' } }, (client) => {
    client.on('event', (event) => {
      const now = Date.now();
      if (state.closed) return;
      if (now >= endsAt) {
        state.closed = true;
        client.close();
      } else if (event.name === 'stream.ready') {
        state.ready = true;
      } else if (event.name === 'stream.gap') {
        state.gaps++;
        const count = order.gap(event);
        if (kind === 'fast') gaps.add(1);
        else if (count === null) uncounted.add(1);
        else missed.add(count);
      } else if (isEvent(event)) {
        const found = order.event(event);
        if (found.lost) lost.add(found.lost);
        if (found.twice) twice.add(1);
        if (kind === 'fast' && now >= measuredFrom) {
          events.add(1);
          (company === heavyCompany ? heavyLatency : latency).add(ageOf(event, now));
        }
        if (now >= measuredFrom) dawdle(kind, measuredFrom + slowSeconds * 1000 - now);
      }
    });
    client.on('error', (error) => {
      console.error(`${company}: ${error}`);
      client.close();
    });
  });

  connected.add(state.ready);
  if (!state.ready) console.error(`${company}: no stream (status ${response.status}) ${response.error}`);
  if (kind !== 'fast' && state.gaps === 0) untold.add(1);
  finished.add(1);
}
