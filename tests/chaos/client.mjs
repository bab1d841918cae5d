// A dashboard: EventSource's behaviour, and a page around it that makes a new EventSource when the old one has given up.

import { Stream } from './stream.mjs';

const TRACE_LENGTH = 24; // what a client remembers for a report

const FIRST_RETRY_MS = 3000; // a browser's, until it is told another one
const LONGEST_BACKOFF_MS = 4000; // what browsers add when nobody answers
const REOPEN_MS = [1000, 2000]; // when a page tries again after an HTTP error

const HABITS = {
  steady: undefined,
  slow: { everyMs: [1500, 6000], forMs: [300, 3000] }, // stops reading now and then
  restless: { everyMs: [3000, 10_000] }, // breaks off and comes back
};

/** A block in a few words. */
function brief({ kind, event, id, data }) {
  if (kind !== 'event') return [kind, event, id, data].filter(Boolean).join(' ');
  return `${id} ${/"p":.*?"n":\d+/.exec(data)?.[0]}`;
}

export class Client {
  /** `habit` is one of HABITS; `tally` counts what comes; `hold` shortens times in the short mode. */
  constructor({ name, company, habit, port, checker, ledger, tally, hold, random }) {
    Object.assign(this, { name, company, habit, port, checker, tally, hold, random });
    this.published = ledger.company(company);
    this.retryMs = FIRST_RETRY_MS;
    this.lastEventId = undefined;
    this.compressed = false; // every second connection asks for it
    this.failures = 0; // connections in a row without an answer
    this.isReady = false;
    this.timers = new Set();
    this.seenAtMs = 0; // of the company's clock, when the last event came
    this.trace = []; // what happened last
  }

  start() {
    this.#open();
    const habit = HABITS[this.habit];
    if (habit) this.#later(habit.everyMs, () => this.#indulge(habit));
  }

  stop() {
    this.stopped = true;
    for (const timer of this.timers) clearTimeout(timer);
    this.stream?.leave();
  }

  #remember(text) {
    this.trace.push(`${new Date().toISOString().slice(11, -1)} ${text}`);
    if (this.trace.length > TRACE_LENGTH) this.trace.shift();
  }

  #later([low, high], action) {
    if (this.stopped) return;
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      action();
    }, this.random.between(low, high));
    this.timers.add(timer);
  }

  #indulge(habit) {
    this.#later(habit.everyMs, () => this.#indulge(habit));
    const { stream } = this;
    if (!stream || stream.over) return;
    if (this.habit === 'slow') {
      stream.stopReading();
      this.#later(habit.forMs.map(this.hold), () => stream.readOn());
    } else if (this.isReady) {
      stream.leave();
      this.#comeBack();
    }
  }

  /** `asQuery`: a new EventSource object has no cursor but in its URL. */
  #open({ asQuery = false } = {}) {
    if (this.stopped) return;
    const { lastEventId } = this;
    const query = asQuery && lastEventId !== undefined ? `&lastEventId=${encodeURIComponent(lastEventId)}` : '';
    this.isReady = false;
    this.answered = false;
    this.compressed = !this.compressed;
    const stream = new Stream(this.port, {
      gzip: this.compressed,
      target: `/stream/updates?companyId=${encodeURIComponent(this.company)}${query}`,
      lastEventId: asQuery ? undefined : lastEventId,
      onHead: (status) => this.#onHead(status),
      onBlock: (block) => this.#onBlock(block),
      onViolation: (text) => this.tally.violation(this, text),
      onEnd: () => this.#comeBack(),
    });
    this.#remember(`asks, from ${lastEventId}`);
    this.stream = stream;
    this.openedAt = Date.now();
  }

  #onHead(status) {
    this.answered = true;
    this.failures = 0;
    this.checker.connected();
    this.#remember(`is answered ${status}`);
    if (status === 200) return;
    // EventSource closes for good. The page does not.
    this.tally.refused(this, status);
    this.stream.leave();
    this.#later(REOPEN_MS, () => this.#open({ asQuery: true }));
  }

  #comeBack() {
    this.tally.reconnects++;
    this.#remember('is not connected any more');
    if (!this.answered) this.failures++;
    const backoff = this.failures > 1 ? Math.min(LONGEST_BACKOFF_MS, 250 * 2 ** this.failures) : 0;
    const wait = this.retryMs + backoff;
    this.#later([wait, Math.round(wait * 1.1)], () => this.#open());
  }

  #onBlock(block) {
    if (block.retry !== undefined) this.retryMs = block.retry;
    if (block.kind !== 'comment') this.#remember(brief(block));
    if (block.kind === 'event') this.#onEvent(block);
    else if (block.kind === 'cursor') this.checker.cursor(block);
    else if (block.event === 'stream.gap') {
      this.tally.gap(this, block.json.reason);
      this.checker.gap();
    } else if (block.event === 'stream.ready') {
      this.isReady = true;
      this.checker.started();
    }
    if (block.id !== undefined) this.lastEventId = block.id;
  }

  #onEvent(block) {
    this.tally.delivered++;
    if (this.habit === 'steady') this.tally.silence(this.published.publishedMs - this.seenAtMs, this);
    this.seenAtMs = this.published.publishedMs;
    this.checker.event(block);
  }

  /** Whether everything that was published up to `targets` (by publisher) has come or was passed over. */
  hasReached(targets) {
    for (const [publisher, n] of targets) if (this.checker.last(publisher) < n) return false;
    return true;
  }

  /** For a report. */
  describe() {
    const state = this.stream?.over === false ? `open for ${Date.now() - this.openedAt} ms` : 'not connected';
    return `${this.name} (${this.habit}, ${state}, ready ${this.isReady}, at ${this.lastEventId})`;
  }
}
