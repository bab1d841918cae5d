// What was published. Each publisher numbers its events of each company 1, 2, 3 …: that is a lane.

const LONGEST_PAUSE_MS = 1000; // between two events, for a company to count as one that is published for

export class Lane {
  constructor(company, publisher) {
    this.company = company;
    this.publisher = publisher;
    this.sent = 0; // the last number given out
    this.settled = 0; // up to here it is known whether NATS has it or nobody can know
    this.confirmed = 0; // how many NATS is known to have
    this.doubts = []; // [from, to]: may have reached NATS, or not
  }

  /** Gives out the next number. */
  next() {
    return ++this.sent;
  }

  /** NATS has everything up to `n`. */
  confirm(n = this.sent) {
    if (n <= this.settled) return;
    this.confirmed += n - this.settled;
    this.settled = n;
  }

  /** Nobody can know of what was sent and not confirmed, up to `n`. */
  doubt(n = this.sent) {
    if (n <= this.settled) return;
    this.doubts.push([this.settled + 1, n]);
    this.settled = n;
  }

  /** How many of the events `from` to `to` were published for certain. What is not settled yet counts as published. */
  certainIn(from, to) {
    let count = Math.max(0, to - from + 1);
    for (const [first, last] of this.doubts) {
      count -= Math.max(0, Math.min(to, last) - Math.max(from, first) + 1);
    }
    return count;
  }
}

class Company {
  constructor(name) {
    this.name = name;
    this.lanes = new Map(); // by publisher
    this.publishedMs = 0; // a clock that goes while events are published
    this.lastMs = undefined;
  }

  tick(nowMs) {
    if (this.lastMs !== undefined) this.publishedMs += Math.min(nowMs - this.lastMs, LONGEST_PAUSE_MS);
    this.lastMs = nowMs;
  }
}

export class Ledger {
  constructor() {
    this.companies = new Map();
  }

  company(name) {
    if (!this.companies.has(name)) this.companies.set(name, new Company(name));
    return this.companies.get(name);
  }

  lane(company, publisher) {
    const { lanes } = this.company(company);
    if (!lanes.has(publisher)) lanes.set(publisher, new Lane(company, publisher));
    return lanes.get(publisher);
  }

  get confirmed() {
    let sum = 0;
    for (const { lanes } of this.companies.values()) for (const lane of lanes.values()) sum += lane.confirmed;
    return sum;
  }

  /** Per company and publisher the last number that was given out: what a stream that begins now must show from. */
  sentOf(company) {
    return new Map([...this.company(company).lanes].map(([publisher, lane]) => [publisher, lane.sent]));
  }
}
