// Events as tests publish them, and the promise that every stream keeps.

import assert from 'node:assert/strict';
import { connect } from 'nats';

/** A payload of `company`; `n` tells a test which one it is. */
export function payload(company, n, more = {}) {
  return JSON.stringify({ companyId: company, n, ...more });
}

export function numberOf(event) {
  return JSON.parse(event.data).n;
}

export function numbersOf(events) {
  return events.map(numberOf);
}

/** [from, …, to] */
export function range(from, to) {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}

export class Publisher {
  static async connect(port, options) {
    const connection = await connect({ servers: `127.0.0.1:${port}`, reconnect: false, timeout: 20_000, ...options });
    return new Publisher(connection);
  }

  constructor(connection) {
    this.connection = connection;
  }

  /** Publishes and waits until the NATS server has taken it. */
  async publish(subject, data) {
    this.put(subject, data);
    await this.connection.flush();
  }

  put(subject, data) {
    this.connection.publish(subject, typeof data === 'string' ? Buffer.from(data) : data);
  }

  /** Publishes the events numbered `from` to `to` of a company in one go. */
  async publishRange(company, from, to, { subject = 'metrics.calculated', more } = {}) {
    for (let n = from; n <= to; n++) this.put(subject, payload(company, n, more));
    await this.connection.flush();
  }

  /**
   * As publishRange, but never further than `step` events ahead of what each of `clients` has seen: as long as that
   * many fit into a stream's buffer, a client that reads can lose none.
   */
  async publishPaced(company, from, to, clients, { step = 50, ...options } = {}) {
    for (let n = from; n <= to; n += step) {
      const last = Math.min(n + step - 1, to);
      const wanted = clients.map((client) => client.events.length + last - n + 1);
      await this.publishRange(company, n, last, options);
      await Promise.all(clients.map((client, i) => client.untilEvents(wanted[i])));
    }
  }

  async dispose() {
    await this.connection.close();
  }
}

/** `(ms, seq)` orders all events of a company. */
export function comparePositions(a, b) {
  return a.ms - b.ms || a.seq - b.seq;
}

/**
 * The promise: in blocks of one stream that starts behind `after` (a sequence number), each event up to `until` appears
 * exactly once and in order, or a stream.gap stands in front of the hole; where it says how many are missing, that is
 * exact. Gives the number of events that were missing.
 */
export function assertPromise(blocks, { after, until }) {
  let last = after;
  let lastPosition = { ms: 0, seq: 0 };
  let gaps = [];
  let missing = 0;
  for (const block of blocks) {
    if (block.event === 'stream.gap') gaps.push(block.json);
    if (block.kind !== 'event') continue;
    const { seq } = block.position;
    assert.ok(comparePositions(lastPosition, block.position) < 0, `out of order: ${block.id}`);
    assert.ok(seq > last, `${block.id} came after number ${last}`);
    const skipped = seq - last - 1;
    if (skipped) {
      // A source hole lies between numbers: what NATS dropped never had one.
      const told = gaps.filter((gap) => gap.reason !== 'source' || gap.missed === null);
      assert.ok(told.length, `${skipped} events are silently missing in front of ${block.id}`);
      if (told.every((gap) => gap.missed !== null)) {
        const sum = told.reduce((total, gap) => total + gap.missed, 0);
        assert.equal(sum, skipped, `the gap in front of ${block.id} tells a wrong number`);
      }
      missing += skipped;
    }
    gaps = [];
    last = seq;
    lastPosition = block.position;
  }
  if (until !== undefined) assert.equal(last, until, 'the last event of the stream');
  return missing;
}

/** That a stream holds exactly these numbered events, in this order, and tells no gap. */
export function assertExactly(client, numbers) {
  assert.deepEqual(numbersOf(client.events), numbers);
  assert.deepEqual(client.gaps, []);
}

/** That numbers rise, and a gap stands wherever a published one is missing. */
export function assertHolesTold(client, after = 0) {
  let last = after;
  let told = false;
  for (const block of client.blocks) {
    if (block.event === 'stream.gap') told = true;
    if (block.kind !== 'event') continue;
    const [number] = numbersOf([block]);
    assert.ok(number > last, 'out of order');
    if (number > last + 1) assert.ok(told, `events ${last + 1} to ${number - 1} are silently missing`);
    last = number;
    told = false;
  }
}
