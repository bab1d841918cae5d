// What happened under each fault.

import { countMissing } from './checker.mjs';

const BREACHES = ['skipped', 'reordered', 'foreign', 'unpublished', 'id_order'];
const SHOWN = 10; // failures in full
const TRACED = 2; // clients whose last blocks are shown

class Count {
  constructor(fault) {
    this.fault = fault;
    this.beganAt = Date.now();
    this.delivered = 0;
    this.reconnects = 0;
    this.silenceMs = 0;
    this.holes = []; // findings of kind missing
    this.duplicates = [];
    this.breaches = []; // findings of other kinds, and violations of the protocol
    this.refusals = new Map(); // status → how often
    this.gaps = new Map(); // reason → how often
    this.renumbered = 0; // clients' sequences in which numbers began anew
    this.notes = [];
    this.traces = new Map(); // of the first clients that something failed for
  }
}

function isFailure({ kind, told }) {
  return !told || BREACHES.includes(kind);
}

function add(map, key) {
  map.set(key, (map.get(key) ?? 0) + 1);
}

function words(map) {
  return [...map].map(([key, count]) => `${count} × ${key}`).join(', ');
}

export class Tally {
  constructor(ledger) {
    this.ledger = ledger;
    this.begin('none');
  }

  /** From now on everything counts for `fault`. */
  begin(fault) {
    this.count = new Count(fault);
    this.confirmedBefore = this.ledger.confirmed;
  }

  set delivered(value) {
    this.count.delivered = value;
  }

  get delivered() {
    return this.count.delivered;
  }

  set reconnects(value) {
    this.count.reconnects = value;
  }

  get reconnects() {
    return this.count.reconnects;
  }

  silence(ms, client) {
    if (ms <= this.count.silenceMs) return;
    this.count.silenceMs = ms;
    this.count.silenced = client.name;
  }

  gap(client, reason) {
    add(this.count.gaps, reason);
  }

  refused(client, status) {
    add(this.count.refusals, status);
  }

  note(text) {
    this.count.notes.push(text);
  }

  violation(who, text) {
    this.count.breaches.push({ kind: 'violation', client: who.name, company: who.company, text });
  }

  /** `trace`: what happened to the client before. */
  finding(finding, trace = []) {
    const { kind } = finding;
    if (kind === 'renumbered') {
      this.count.renumbered++;
      return;
    }
    if (isFailure(finding) && this.count.traces.size < TRACED) {
      if (!this.count.traces.has(finding.client)) this.count.traces.set(finding.client, [...trace]);
    }
    if (kind === 'missing') this.count.holes.push(finding);
    else if (kind === 'duplicate') this.count.duplicates.push(finding);
    else if (BREACHES.includes(kind)) this.count.breaches.push(finding);
    else throw new Error(`an unknown finding: ${kind}`);
  }

  /** Ends the count of this fault: what came of it. With `gapless`, told gaps are failures too. */
  end({ gapless = false } = {}) {
    const { count } = this;
    const holes = count.holes.filter((hole) => countMissing(hole) > 0);
    const sum = (list) => list.reduce((total, hole) => total + countMissing(hole), 0);
    const untold = holes.filter(({ told }) => !told);
    const told = holes.filter((hole) => hole.told);
    const twice = count.duplicates.filter((duplicate) => !duplicate.told);
    return {
      fault: count.fault,
      seconds: (Date.now() - count.beganAt) / 1000,
      published: this.ledger.confirmed - this.confirmedBefore,
      delivered: count.delivered,
      duplicated: twice.length,
      duplicatedBehindGap: count.duplicates.length - twice.length,
      missing: sum(untold),
      missingBehindGap: sum(told),
      breaches: count.breaches.length,
      silenceMs: count.silenceMs,
      reconnects: count.reconnects,
      gaps: words(count.gaps),
      refusals: words(count.refusals),
      renumbered: count.renumbered,
      notes: count.notes,
      traces: count.traces,
      failures: [...untold, ...twice, ...count.breaches, ...(gapless ? told : [])].map((failure) => explain(failure, count.fault)),
    };
  }
}

function explain(finding, fault) {
  const { kind, client, company, before, id, publisher, from, to, n } = finding;
  const where = `${fault}: ${client} of ${company}, between ${before} and ${id}:`;
  switch (kind) {
    case 'missing':
      return `${where} ${countMissing(finding)} events of ${publisher} (${from} to ${to}) are missing ${finding.told ? 'behind a gap' : 'unsaid'}`;
    case 'skipped':
      return `${where} ${finding.count} numbers are passed over unsaid`;
    case 'duplicate':
      return `${where} event ${n} of ${publisher} comes a second time`;
    case 'reordered':
      return `${where} event ${n} of ${publisher} comes behind later ones`;
    case 'foreign':
      return `${where} an event of ${finding.of}`;
    case 'unpublished':
      return `${where} event ${n} of ${publisher}, which nobody has published`;
    case 'id_order':
      return `${where} the id is not behind the one before it`;
    default:
      return `${fault}: ${client}${company ? ` of ${company}` : ''}: ${finding.text}`;
  }
}

const COLUMNS = [
  ['fault', 18, ({ fault }) => fault],
  ['s', 4, ({ seconds }) => seconds.toFixed(0)],
  ['published', 10, ({ published }) => published],
  ['delivered', 10, ({ delivered }) => delivered],
  ['twice', 6, ({ duplicated }) => duplicated],
  ['missing', 8, ({ missing }) => missing],
  ['wrong', 6, ({ breaches }) => breaches],
  ['with a gap:', 12, ({ missingBehindGap }) => missingBehindGap],
  ['twice', 6, ({ duplicatedBehindGap }) => duplicatedBehindGap],
  ['silence', 9, ({ silenceMs }) => `${silenceMs} ms`],
  ['reconnects', 11, ({ reconnects }) => reconnects],
];

function line(cells) {
  return cells.map((cell, i) => (i ? String(cell).padStart(COLUMNS[i][1]) : String(cell).padEnd(COLUMNS[i][1]))).join(' ');
}

export function heading() {
  return line(COLUMNS.map(([title]) => title));
}

/** The row of one fault, and what else there is to be said. */
export function row(result) {
  const more = [];
  if (result.gaps) more.push(`gaps: ${result.gaps}`);
  if (result.refusals) more.push(`answers that end an EventSource: ${result.refusals}`);
  if (result.renumbered) more.push(`numbers began anew in ${result.renumbered} sequences`);
  more.push(...result.notes);
  for (const failure of result.failures.slice(0, SHOWN)) more.push(`FAILURE ${failure}`);
  if (result.failures.length > SHOWN) more.push(`… and ${result.failures.length - SHOWN} more failures`);
  if (result.failures.length) {
    for (const [client, trace] of result.traces) more.push(`${client} before its first failure:`, ...trace.map((text) => `  ${text}`));
  }
  return [line(COLUMNS.map(([, , cell]) => cell(result))), ...more.map((text) => `    ${text}`)].join('\n');
}
