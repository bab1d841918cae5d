// One client's sequence, over all of its connections, held against what was published for its company.
//
// Findings are `{kind, …}`:
//   missing       certain events that never came; `told` says whether a gap stood in their place
//   skipped       numbers of ids that were passed over without a gap
//   duplicate     the same event twice; `told` where a gap of the same connection stood in between, or the client was set back by one
//   reordered     an event that came after later ones of its publisher
//   foreign       an event of another company
//   unpublished   an event that nobody has published
//   renumbered    numbers that begin anew: no failure by itself
//   id_order      an id that is not behind the one before it
// The count of missing events is known when their publisher's doubts are: ask `countMissing`.

import { comparePositions } from '../support/events.mjs';

/** How many events a finding of kind `missing` stands for. */
export function countMissing({ lane, from, to, late }) {
  return Math.max(0, lane.certainIn(from, to) - late);
}

export class SequenceChecker {
  /** `ledger` tells what was published, `onFinding` is called with each finding. */
  constructor({ client, company, ledger, onFinding }) {
    this.client = client;
    this.company = company;
    this.ledger = ledger;
    this.onFinding = onFinding;
    this.seen = new Map(); // by publisher: {last, gaps, missing}
    this.baseline = new Map(); // by publisher: what was sent before this client's first stream was ready
    this.position = undefined; // of the last id
    this.lastId = undefined;
    this.gaps = 0; // told so far
    this.gapsAtPosition = 0;
    this.marks = undefined; // by publisher: the last number when this connection told its last gap
    this.isBack = false; // the last id is one from before others that have come
    this.delivered = 0;
  }

  #find(kind, details) {
    const { client, company, lastId: before } = this;
    const finding = { kind, client, company, before, ...details };
    this.onFinding(finding);
    return finding;
  }

  /** A new response has begun. Where the client's last id was set back behind a gap, what follows that id comes again. */
  connected() {
    if (!this.isBack) this.marks = undefined;
  }

  /** A stream without a cursor is live: events that are published from now on have to come. */
  started() {
    if (this.seen.size === 0) this.baseline = this.ledger.sentOf(this.company);
  }

  gap() {
    this.gaps++;
    this.marks = new Map([...this.seen].map(([publisher, { last }]) => [publisher, last]));
  }

  /** A bare id. */
  cursor({ id, position }) {
    if (this.position && position.ms >= this.position.ms) this.#checkNumbers(id, position);
    this.#moveTo(id, position);
  }

  event({ id, position, data }) {
    this.delivered++;
    const { companyId, p: publisher, n } = JSON.parse(data);
    if (companyId !== this.company) {
      this.#find('foreign', { id, of: companyId });
      return;
    }
    const lane = this.ledger.lane(companyId, publisher);
    if (!Number.isInteger(n) || n < 1 || n > lane.sent) {
      this.#find('unpublished', { id, publisher, n });
      return;
    }
    const place = this.#place(lane, n, id);
    // Behind a gap a stream may go on from further back: its numbers are dense from there.
    if (place === 'told') this.#moveTo(id, position);
    if (place !== 'new') return;
    this.isBack = false;
    if (this.position && comparePositions(this.position, position) >= 0) this.#find('id_order', { id });
    else if (this.position) this.#checkNumbers(id, position);
    this.#moveTo(id, position);
  }

  /** The last number of `publisher` that has come, or what it had sent before this client began. */
  last(publisher) {
    return this.seen.get(publisher)?.last ?? this.baseline.get(publisher) ?? 0;
  }

  /** Puts event `n` into its publisher's order: `new` where it goes on; else `again`, or `told` where a gap stood before it. */
  #place(lane, n, id) {
    const { publisher } = lane;
    let seen = this.seen.get(publisher);
    if (!seen) {
      seen = { last: Math.min(this.baseline.get(publisher) ?? 0, n - 1), gaps: 0, missing: [] };
      this.seen.set(publisher, seen);
    }
    if (n <= seen.last) return this.#again(seen, publisher, n, id) ? 'told' : 'again';
    if (n > seen.last + 1) {
      const told = this.gaps > seen.gaps;
      const hole = { lane, publisher, from: seen.last + 1, to: n - 1, told, late: 0, arrived: new Set() };
      seen.missing.push(this.#find('missing', { id, ...hole }));
    }
    seen.last = n;
    seen.gaps = this.gaps;
    return 'new';
  }

  /** An event that came before, or too late. Whether a gap of the same connection stood in between. */
  #again(seen, publisher, n, id) {
    const told = this.marks !== undefined && n <= (this.marks.get(publisher) ?? 0);
    const hole = seen.missing.find(({ from, to, arrived }) => n >= from && n <= to && !arrived.has(n));
    hole?.arrived.add(n);
    if (hole) hole.late++;
    // What was missing comes where a gap has set the client back in front of it; anywhere else it is out of order.
    if (!hole) this.#find('duplicate', { id, publisher, n, told });
    else if (!told) this.#find('reordered', { id, publisher, n });
    return told;
  }

  /** Numbers are dense, but where a gap was told or where they begin anew. */
  #checkNumbers(id, position) {
    const skipped = position.seq - this.position.seq - 1;
    if (skipped > 0 && this.gaps === this.gapsAtPosition) this.#find('skipped', { id, count: skipped });
    if (position.seq < this.position.seq) this.#find('renumbered', { id });
  }

  #moveTo(id, position) {
    if (this.position && comparePositions(position, this.position) < 0) this.isBack = true;
    this.position = position;
    this.lastId = id;
    this.gapsAtPosition = this.gaps;
  }
}
