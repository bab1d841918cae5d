// A strict reader of the Prometheus text format: what it does not understand is an error.

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/;
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];

function parseLabels(text, line) {
  const labels = {};
  for (let rest = text; rest; ) {
    const match = LABEL.exec(rest);
    if (!match) throw new Error(`bad labels: ${line}`);
    const [all, name, value] = match;
    if (name in labels) throw new Error(`the label ${name} appears twice: ${line}`);
    labels[name] = value.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
    rest = rest.slice(all.length);
    if (match[3] === ',' && !rest) throw new Error(`a comma at the end: ${line}`);
  }
  return labels;
}

function parseValue(text, line) {
  if (/^[+-]?Inf$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (text === 'NaN') return NaN;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) throw new Error(`bad value: ${line}`);
  return Number(text);
}

function seriesKey(name, labels) {
  return name + JSON.stringify(Object.entries(labels).sort());
}

/** The family that a sample belongs to: a histogram's samples carry a suffix. */
function familyOf(families, name) {
  if (families.has(name)) return families.get(name);
  const base = name.replace(/_(bucket|sum|count)$/, '');
  const family = families.get(base);
  return ['histogram', 'summary'].includes(family?.type) ? family : undefined;
}

function checkHistogram(family) {
  const groups = new Map();
  for (const { name, labels, value } of family.samples) {
    const { le, ...others } = labels;
    const key = JSON.stringify(Object.entries(others).sort());
    if (!groups.has(key)) groups.set(key, { buckets: [] });
    const group = groups.get(key);
    if (name.endsWith('_bucket')) {
      if (le === undefined) throw new Error(`${name} without le`);
      group.buckets.push([parseValue(le, le), value]);
    } else if (name.endsWith('_sum')) group.sum = value;
    else if (name.endsWith('_count')) group.count = value;
    else throw new Error(`${name} in a histogram`);
  }
  for (const { buckets, sum, count } of groups.values()) {
    if (sum === undefined || count === undefined) throw new Error(`${family.name} lacks its sum or count`);
    if (buckets.at(-1)?.[0] !== Infinity) throw new Error(`${family.name} does not end with +Inf`);
    if (buckets.at(-1)[1] !== count) throw new Error(`${family.name}: the +Inf bucket is not the count`);
    for (let i = 1; i < buckets.length; i++) {
      if (buckets[i][0] <= buckets[i - 1][0]) throw new Error(`${family.name}: bounds out of order`);
      if (buckets[i][1] < buckets[i - 1][1]) throw new Error(`${family.name}: buckets are not cumulative`);
    }
  }
}

export class Metrics {
  constructor(families) {
    this.families = families;
  }

  samples(name) {
    return familyOf(this.families, name)?.samples.filter((sample) => sample.name === name) ?? [];
  }

  /** The sum over all series that have these labels; undefined where there is none. */
  value(name, labels = {}) {
    const wanted = Object.entries(labels);
    const found = this.samples(name).filter((sample) => wanted.every(([key, value]) => sample.labels[key] === value));
    return found.length ? found.reduce((sum, sample) => sum + sample.value, 0) : undefined;
  }
}

export function parseMetrics(text) {
  if (!text.endsWith('\n')) throw new Error('metrics do not end with a line feed');
  const families = new Map();
  const seen = new Set();
  let current;
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`).exec(line);
    if (comment) {
      const [, kind, name, rest] = comment;
      if (kind === 'HELP') {
        if (families.has(name)) throw new Error(`${name} is described twice`);
        current = { name, help: rest, samples: [] };
        families.set(name, current);
      } else {
        if (current?.name !== name || current.type) throw new Error(`TYPE without its HELP: ${line}`);
        if (!TYPES.includes(rest)) throw new Error(`unknown type: ${line}`);
        current.type = rest;
      }
      continue;
    }
    if (line === '' || line.startsWith('#')) throw new Error(`neither a sample nor HELP or TYPE: ${JSON.stringify(line)}`);
    const match = SAMPLE.exec(line);
    if (!match) throw new Error(`bad sample: ${line}`);
    const labels = parseLabels(match[2] ?? '', line);
    const sample = { name: match[1], labels, value: parseValue(match[3], line) };
    const family = familyOf(families, sample.name);
    if (!family?.type) throw new Error(`a sample before its HELP and TYPE: ${line}`);
    if (family !== current) throw new Error(`the samples of ${family.name} are not in one place`);
    if (family.type === 'counter' && !(sample.value >= 0)) throw new Error(`a counter below zero: ${line}`);
    const key = seriesKey(sample.name, labels);
    if (seen.has(key)) throw new Error(`a series appears twice: ${line}`);
    seen.add(key);
    family.samples.push(sample);
  }
  for (const family of families.values()) if (family.type === 'histogram') checkHistogram(family);
  return new Metrics(families);
}
