// The checker must find what it is there for, and nothing else.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { countMissing, SequenceChecker } from './checker.mjs';
import { Ledger } from './ledger.mjs';

/** A client's sequence, written down: numbers are events of publisher p, `gap` and the others as below. */
class Sequence {
  constructor({ published = 20, publishers = ['p'] } = {}) {
    this.ledger = new Ledger();
    for (const publisher of publishers) {
      const lane = this.ledger.lane('acme', publisher);
      lane.sent = published;
      lane.confirm();
    }
    this.findings = [];
    const onFinding = (finding) => this.findings.push(finding);
    this.checker = new SequenceChecker({ client: 'acme/0', company: 'acme', ledger: this.ledger, onFinding });
    this.checker.connected();
    this.ms = 1000;
  }

  event(n, { publisher = 'p', company = 'acme', seq = n, ms = ++this.ms } = {}) {
    const data = JSON.stringify({ companyId: company, p: publisher, n });
    this.checker.event({ id: `m-${seq}-${ms}`, position: { seq, ms }, data });
    return this;
  }

  events(...numbers) {
    for (const n of numbers) this.event(n);
    return this;
  }

  gap() {
    this.checker.gap();
    return this;
  }

  reconnect() {
    this.checker.connected();
    return this;
  }

  cursor(seq, ms = this.ms) {
    this.checker.cursor({ id: `m-${seq}-${ms}`, position: { seq, ms } });
    return this;
  }

  /** What was found, in short: holes that turned out to be none are left out. */
  get found() {
    return this.findings
      .filter((finding) => finding.kind !== 'missing' || countMissing(finding) > 0)
      .map(({ kind, told }) => (told ? `${kind} told` : kind));
  }
}

const sequence = (options) => new Sequence(options);

describe('the checker finds', () => {
  for (const [what, { found }, wanted] of [
    ['nothing in a whole sequence', sequence().events(1, 2, 3).reconnect().events(4, 5), []],
    ['a dropped event', sequence().events(1, 2, 4), ['missing', 'skipped']],
    ['a dropped event at the very beginning', sequence().events(2), ['missing']],
    ['a dropped event across a reconnect', sequence().events(1, 2).reconnect().events(4), ['missing', 'skipped']],
    ['a dropped event that never had a number', sequence().event(1).event(3, { seq: 2 }), ['missing']],
    ['an event twice', sequence().events(1, 2).event(2, { seq: 3 }), ['duplicate']],
    ['an event twice with the same id', sequence().events(1).event(2, { ms: 2000 }).event(2, { ms: 2000 }), ['duplicate']],
    ['an event twice behind a reconnect', sequence().events(1, 2).reconnect().events(2), ['duplicate']],
    ['an event twice behind a gap, told', sequence().events(1, 2).reconnect().gap().event(2, { seq: 3 }), ['duplicate told']],
    [
      'an event twice on the next connection, from an id further back that stood behind a gap',
      sequence().events(1, 2, 3).gap().cursor(2, 1002).reconnect().event(3, { seq: 3, ms: 1003 }).event(4),
      ['duplicate told'],
    ],
    [
      'an event twice on the connection behind that',
      sequence().events(1, 2, 3).gap().cursor(2, 1002).reconnect().event(3, { ms: 1003 }).event(4).reconnect().event(4),
      ['duplicate told', 'duplicate'],
    ],
    ['an event twice, the gap told on an earlier connection', sequence().events(1).gap().reconnect().event(1), ['duplicate']],
    ['an event twice that came behind the gap', sequence().events(1).gap().events(2).event(2), ['duplicate']],
    ['a reorder', sequence().event(1).event(3, { seq: 2 }).event(2, { seq: 3 }), ['reordered']],
    ['a foreign event', sequence().event(1).event(2, { company: 'other' }), ['foreign']],
    ['an event that nobody published', sequence({ published: 2 }).events(1, 2, 3), ['unpublished']],
    ['a missing event behind a gap, told', sequence().events(1).gap().events(4), ['missing told']],
    ['a gap that is told too early', sequence().gap().events(1, 3), ['missing', 'skipped']],
    ['a gap that is told too late', sequence().events(1, 3).gap().events(4), ['missing', 'skipped']],
    ['an id that goes back', sequence().event(1, { ms: 2000 }).event(2, { ms: 1999 }), ['id_order']],
    ['an id that stands still', sequence().event(1, { ms: 2000 }).event(2, { ms: 2000, seq: 1 }), ['id_order']],
    ['that numbers begin anew', sequence().event(1, { seq: 9 }).event(2, { seq: 1 }), ['renumbered']],
    ['a bare id that passes events over', sequence().events(1).cursor(3), ['skipped']],
    [
      'events twice behind a gap that went back, told, and nothing at the next one',
      sequence().events(1, 2, 3, 4).reconnect().gap().cursor(2, 1002).events(3, 4, 5),
      ['duplicate told', 'duplicate told'],
    ],
    [
      'a number that is passed over behind them',
      sequence().events(1, 2, 3, 4).reconnect().gap().cursor(2, 1002).events(3, 4, 6),
      ['duplicate told', 'duplicate told', 'missing told', 'skipped'],
    ],
    [
      'events twice behind a gap that went back, told, and nothing at those among them that had been missing',
      sequence().events(1).gap().events(4).reconnect().gap().cursor(1, 1001).events(2, 3, 4, 5),
      ['duplicate told'],
    ],
    [
      'a reorder of what had been missing, on a connection without a gap',
      sequence().events(1).gap().events(4).reconnect().event(2, { seq: 5 }),
      ['missing told', 'reordered'],
    ],
    ['nothing at a bare id that stays where it was', sequence().events(1).cursor(1).events(2), []],
  ]) {
    test(what, () => assert.deepEqual(found, wanted));
  }

  test('a gap that stands behind events of others, and not in front of the hole', () => {
    const two = sequence({ publishers: ['p', 'q'] }).event(1, { seq: 1 });
    two.gap().event(1, { publisher: 'q', seq: 2 }).event(3, { seq: 4 });
    assert.deepEqual(two.found, ['missing told', 'skipped']);
  });

  test('how many are missing, between which ids', () => {
    const { findings } = sequence().events(1, 2, 6);
    assert.equal(countMissing(findings[0]), 3);
    const { client, company, before, id, publisher, from, to } = findings[0];
    assert.deepEqual([client, company, before, id], ['acme/0', 'acme', 'm-2-1002', 'm-6-1003']);
    assert.deepEqual([publisher, from, to], ['p', 3, 5]);
  });
});

describe('what the checker asks for', () => {
  test('is nothing of what was in doubt when NATS went', () => {
    const each = sequence({ published: 2 });
    const lane = each.ledger.lane('acme', 'p');
    lane.sent = 4;
    lane.doubt();
    lane.sent = 6;
    lane.confirm();
    assert.deepEqual(each.events(1, 2).event(5, { seq: 3 }).found, []);
    assert.equal(lane.confirmed, 4);
  });

  test('is nothing of what was published before a stream without a cursor', () => {
    const each = sequence({ published: 5 });
    each.checker.started();
    each.ledger.lane('acme', 'p').sent = 9;
    assert.deepEqual(each.events(6, 7).found, []);
  });

  test('is everything that was published since', () => {
    const each = sequence({ published: 5 });
    each.checker.started();
    each.ledger.lane('acme', 'p').sent = 9;
    assert.deepEqual(each.events(7).found, ['missing']);
  });

  test('is an event of before, where it comes all the same, once', () => {
    const each = sequence({ published: 5 });
    each.checker.started();
    assert.deepEqual(each.events(4, 5, 5).found, ['duplicate']);
  });
});
