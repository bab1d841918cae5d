// Streams are dropped again and again, and resumed with Last-Event-ID: nothing may be lost, nothing may come twice.
//
//   build/sluice-demo --rate 1000 --companies 100
//   k6 run k6/reconnect.js
//
// Each client reads for a while, hangs up without a word, stays away, and comes back with the id of the last event that it
// has seen. Events are numbered within a company, and the number is in the id, so that every hole and every repetition is
// seen; one that a stream.gap tells of is a gap, which has no place here either.

import { sleep } from 'k6';
import exec from 'k6/execution';
import { Counter, Rate, Trend } from 'k6/metrics';
import sse from 'k6/x/sse';

import { Order, companyName, headersOf, isEvent, setting, streamUrl } from './common.js';

const companies = setting('COMPANIES', 10);
const connections = setting('CONNECTIONS', 100); // per company
const rampSeconds = setting('RAMP_SECONDS', 10); // the clients come spread over this time
const seconds = setting('SECONDS', 60);
const readSeconds = setting('READ_SECONDS', 5); // a stream's life, on average
const awaySeconds = setting('AWAY_SECONDS', 3); // until it is resumed, on average

const resumesExpected = (companies * connections * seconds) / (readSeconds + awaySeconds);

const events = new Counter('sluice_events');
const resumes = new Counter('sluice_resumes');
const resumed = new Trend('sluice_resume_time', true); // from the request to stream.ready, with which the replay begins
const lost = new Counter('sluice_lost');
const twice = new Counter('sluice_twice');
const gaps = new Counter('sluice_gaps');
const connected = new Rate('sluice_connection_success');

export const options = {
  scenarios: {
    streams: {
      executor: 'per-vu-iterations',
      vus: companies * connections,
      iterations: 1,
      maxDuration: `${rampSeconds + seconds + 30}s`,
      gracefulStop: '5s',
    },
  },
  thresholds: {
    sluice_lost: ['count==0'],
    sluice_twice: ['count==0'],
    sluice_gaps: ['count==0'],
    sluice_connection_success: ['rate>0.99'],
    sluice_resume_time: ['p(95)<500'],
    // Without these nothing was tested.
    sluice_resumes: [`count>${Math.floor(resumesExpected / 2)}`],
    sluice_events: ['count>0'],
  },
  summaryTrendStats: ['min', 'med', 'p(95)', 'p(99)', 'max'],
};

/** Half to one and a half times as much, so that clients don't come in step. */
const about = (value) => value * (0.5 + Math.random());

/** One stream, from the place where `order` is, until its time is over. Gives whether it was ready. */
function follow(company, order) {
  const startedAt = Date.now();
  const endsAt = startedAt + about(readSeconds) * 1000;
  const isResuming = order.lastId !== '';
  let ready = false;
  let closed = false;

  sse.open(streamUrl(company), { headers: headersOf(order.lastId), tags: { name: 'stream' } }, (client) => {
    client.on('event', (event) => {
      if (closed) return; // read before the end, but not taken: the next stream must bring it again
      if (event.name === 'stream.ready') {
        ready = true;
        if (isResuming) resumed.add(Date.now() - startedAt);
      } else if (event.name === 'stream.gap') {
        gaps.add(1);
        order.gap(event);
      } else if (isEvent(event)) {
        const found = order.event(event);
        events.add(1);
        if (found.lost) lost.add(found.lost);
        if (found.twice) twice.add(1);
      }
      if (Date.now() >= endsAt) {
        closed = true;
        client.close();
      }
    });
    client.on('error', (error) => {
      console.error(`${company}: ${error}`);
      client.close();
    });
  });
  if (isResuming && ready) resumes.add(1);
  return ready;
}

export function setup() {
  return { endsAt: Date.now() + (rampSeconds + seconds) * 1000 };
}

export default function ({ endsAt }) {
  const number = exec.vu.idInTest - 1;
  const company = companyName(number % companies);
  const order = new Order();

  // In the summary also where they stay 0.
  lost.add(0);
  twice.add(0);
  gaps.add(0);
  sleep((rampSeconds * number) / (companies * connections));
  while (Date.now() < endsAt) {
    connected.add(follow(company, order));
    sleep(about(awaySeconds));
  }
}
