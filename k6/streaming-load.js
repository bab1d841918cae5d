// The load test of the contract: many streams per company while events are published steadily.
//
// k6 cannot publish to NATS, so let sluice-demo do it beside this script (README.md says more):
//
//   build/sluice-demo --rate 1000 --companies 50
//   k6 run k6/streaming-load.js
//
// Of the 50 companies, the first 10 get 100 streams each: 20,000 deliveries a second.
//
// An event's latency is this machine's clock at its arrival less the "ts" in its payload, the Unix
// time in milliseconds at which it was published: run both on one machine, or keep their clocks in
// step. What k6 cannot read in time counts as latency too.

import { sleep } from 'k6';
import exec from 'k6/execution';
import { Counter, Rate, Trend } from 'k6/metrics';
import sse from 'k6/x/sse';

import { Order, ageOf, companyName, headersOf, isEvent, setting, streamUrl } from './common.js';

const companies = setting('COMPANIES', 10);
const connections = setting('CONNECTIONS', 100); // per company
const rampSeconds = setting('RAMP_SECONDS', 10); // the streams open spread over this time
const seconds = setting('SECONDS', 60); // the measurement, which follows

const latency = new Trend('sluice_event_latency', true);
const events = new Counter('sluice_events');
const timeless = new Counter('sluice_events_without_time'); // whose latency nobody knows
const lost = new Counter('sluice_lost');
const twice = new Counter('sluice_twice');
const gaps = new Counter('sluice_gaps');
const connected = new Rate('sluice_connection_success');
const errors = new Counter('sluice_connection_errors');
const silent = new Counter('sluice_silent_streams'); // that got no event
const finished = new Counter('sluice_finished_streams'); // whose figures are in the summary

export const options = {
  scenarios: {
    streams: {
      executor: 'per-vu-iterations',
      vus: companies * connections,
      iterations: 1,
      maxDuration: `${rampSeconds + seconds + 40}s`, // a silent stream notices the end by a heartbeat
      gracefulStop: '5s',
    },
  },
  thresholds: {
    sluice_event_latency: ['p(95)<500'],
    sluice_events_without_time: ['count==0'],
    sluice_lost: ['count==0'],
    sluice_twice: ['count==0'],
    sluice_gaps: ['count==0'],
    sluice_connection_success: ['rate>0.95'],
    sluice_connection_errors: ['count<10'],
    // Without events nothing was measured.
    sluice_events: ['count>0'],
    sluice_silent_streams: ['count<10'],
    sluice_finished_streams: [`count==${companies * connections}`],
  },
  summaryTrendStats: ['min', 'med', 'p(95)', 'p(99)', 'max'],
};

export function setup() {
  return { measuredFrom: Date.now() + rampSeconds * 1000 };
}

function measure(event, now) {
  const age = ageOf(event, now);
  events.add(1);
  if (Number.isFinite(age)) latency.add(age);
  else timeless.add(1);
}

export default function ({ measuredFrom }) {
  const number = exec.vu.idInTest - 1;
  const company = companyName(number % companies);
  const endsAt = measuredFrom + seconds * 1000;
  const order = new Order();
  let ready = false;
  let failure = '';

  // In the summary also where they stay 0.
  for (const counter of [timeless, lost, twice, gaps, errors, silent, finished]) counter.add(0);
  sleep((rampSeconds * number) / (companies * connections));
  const response = sse.open(streamUrl(company), { headers: headersOf(), tags: { name: 'stream' } }, (client) => {
    client.on('event', (event) => {
      const now = Date.now();
      if (now >= endsAt) {
        client.close();
      } else if (event.name === 'stream.ready') {
        ready = true;
      } else if (event.name === 'stream.gap') {
        gaps.add(1);
        order.gap(event);
      } else if (isEvent(event)) {
        const found = order.event(event);
        if (found.lost) lost.add(found.lost);
        if (found.twice) twice.add(1);
        if (now >= measuredFrom) measure(event, now);
      }
    });
    client.on('error', (error) => {
      failure = String(error);
      client.close();
    });
  });

  connected.add(ready);
  finished.add(1);
  if (order.last === 0) silent.add(1);
  if (!ready || Date.now() < endsAt) {
    errors.add(1);
    const what = ready ? 'the stream ended early' : `no stream (status ${response.status})`;
    console.error(`${company}: ${what} ${failure || response.error}`);
  }
}
