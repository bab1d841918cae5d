// From runs to rows, and from rows to the table.

import os from 'node:os';

import { boundKinds } from './loads.mjs';

const ADDED_UP = new Set(['gaps', 'missingTold', 'missingUntold', 'duplicates', 'disorder', 'unsent', 'ownerChanges']);

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Medians, but for what a median would hide: losses are added up, and the worst delivery counts. */
export function combineRuns(runs) {
  const row = { faults: runs.flatMap((run) => run.faults) };
  for (const key of Object.keys(runs[0])) {
    const values = runs.map((run) => run[key]);
    if (key === 'faults') continue;
    if (ADDED_UP.has(key)) row[key] = values.reduce((sum, value) => sum + value, 0);
    else if (key === 'deliveredPercent') row[key] = Math.min(...values);
    else row[key] = median(values.filter(Number.isFinite));
  }
  return row;
}

export function checkBounds(bounds, row) {
  return Object.entries(bounds ?? {})
    .filter(([key]) => Number.isFinite(row[key]))
    .map(([key, bound]) => ({ figure: key, value: row[key], bound, ok: boundKinds[key].holds(row[key], bound) }));
}

const fixed = (digits, unit) => (value) => (Number.isFinite(value) ? `${value.toFixed(digits)}${unit}` : '');
const microseconds = fixed(2, ' µs');
const milliseconds = fixed(1, ' ms');

/** Never rounded up: 99.999 % is not 100 %. */
const percent = (value) => (Number.isFinite(value) ? `${Math.floor(value * 100) / 100} %` : '');

const bounded = (result, key) => {
  const bound = result.bounds.find((one) => one.figure === key);
  return bound ? ` (${boundKinds[key].limit(bound.bound)})` : '';
};

const verdict = (result) => {
  if (result.isFloor) return result.row.unsent > 0 ? 'not sustained' : '';
  if (result.row.faults.length > 0) return 'FAULT';
  const over = result.bounds.filter((one) => !one.ok).map((one) => boundKinds[one.figure].title);
  return over.length > 0 ? `over: ${over.join(', ')}` : 'ok';
};

const commonColumns = [
  ['delivered', ({ row }) => percent(row.deliveredPercent)],
  ['gaps', ({ row }) => String(row.gaps)],
  ['duplicates', ({ row }) => String(row.duplicates)],
];

const tables = {
  live: [
    ['load', (result) => result.title],
    ['CPU/delivery', ({ row }) => microseconds(row.cpuUsPerDelivery)],
    ['floor', ({ row }) => microseconds(row.floorUs)],
    ['ratio', (result) => fixed(2, '')(result.row.ratio) + (result.row.ratio ? bounded(result, 'ratio') : '')],
    ...commonColumns,
    ['p50', ({ row }) => milliseconds(row.p50Ms)],
    ['p99', (result) => milliseconds(result.row.p99Ms) + bounded(result, 'p99Ms')],
    ['Redis/event', (result) => (result.isFloor ? '' : fixed(0, ' µs')(result.row.redisUsPerEvent))],
    ['', verdict],
  ],
  gzip: [
    ['load', (result) => result.title],
    ['CPU/delivery', ({ row }) => microseconds(row.cpuUsPerDelivery)],
    ['ratio', (result) => fixed(2, '')(result.row.ratio) + (result.row.ratio ? bounded(result, 'ratio') : '')],
    ['bytes/delivery', ({ row }) => fixed(0, '')(row.bytesPerDelivery)],
    ['ratio', (result) => fixed(2, '')(result.row.bytesRatio) + bounded(result, 'bytesRatio')],
    ...commonColumns,
    ['p50', ({ row }) => milliseconds(row.p50Ms)],
    ['p99', ({ row }) => milliseconds(row.p99Ms)],
    ['', verdict],
  ],
  open: [
    ['load', (result) => result.title],
    ['memory/stream', (result) => fixed(2, ' KB')(result.row.kbPerStream) + bounded(result, 'kbPerStream')],
    ['CPU while idle', ({ row }) => fixed(2, ' %')(row.idleCpuPercent)],
    ['opened in', ({ row }) => fixed(2, ' s')(row.connectSeconds)],
    ...commonColumns,
    ['', verdict],
  ],
  resume: [
    ['load', (result) => result.title],
    ['CPU/client', (result) => fixed(0, ' µs')(result.row.cpuUsPerClient) + bounded(result, 'cpuUsPerClient')],
    ['Redis/client', ({ row }) => fixed(1, ' µs')(row.redisUsPerClient)],
    ['caught up', ({ row }) => `${row.caughtUp} of ${row.streams}`],
    ['all within', ({ row }) => fixed(2, ' s')(row.allCaughtUpSeconds)],
    ...commonColumns,
    ['p50', ({ row }) => fixed(0, ' ms')(row.p50Ms)],
    ['p99', ({ row }) => fixed(0, ' ms')(row.p99Ms)],
    ['', verdict],
  ],
  takeover: [
    ['load', (result) => result.title],
    ['CPU/client', (result) => fixed(0, ' µs')(result.row.cpuUsPerClient) + bounded(result, 'cpuUsPerClient')],
    ['Redis/client', ({ row }) => fixed(1, ' µs')(row.redisUsPerClient)],
    ['caught up', ({ row }) => `${row.caughtUp} of ${row.streams}`],
    ['all within', (result) => fixed(2, ' s')(result.row.allCaughtUpSeconds) + bounded(result, 'allCaughtUpSeconds')],
    ['new owner', ({ row }) => fixed(2, ' s')(row.takeoverSeconds)],
    ...commonColumns,
    ['p50', ({ row }) => fixed(0, ' ms')(row.p50Ms)],
    ['p99', ({ row }) => fixed(0, ' ms')(row.p99Ms)],
    ['', verdict],
  ],
  replicas: [
    ['load', (result) => result.title],
    ['Redis/event', (result) => fixed(1, ' µs')(result.row.redisUsPerEvent) + bounded(result, 'redisUsPerEvent')],
    ['bare ZADD', ({ row }) => fixed(1, ' µs')(row.redisFloorUs)],
    ['Redis idle', ({ row }) => fixed(2, ' %')(row.redisIdlePercent)],
    ['owner/event', ({ row }) => fixed(1, ' µs')(row.ownerUsPerEvent)],
    ['follower/event', ({ row }) => fixed(1, ' µs')(row.followerUsPerEvent)],
    ...commonColumns,
    ['p50', ({ row }) => milliseconds(row.p50Ms)],
    ['p99', ({ row }) => milliseconds(row.p99Ms)],
    ['', verdict],
  ],
  intake: [
    ['load', (result) => result.title],
    ['events', ({ row }) => fixed(0, '')(row.events)],
    ['events/s', (result) => fixed(0, '')(result.row.eventsPerSecond) + bounded(result, 'eventsPerSecond')],
    ['begins after', ({ row }) => fixed(2, ' s')(row.beginSeconds)],
    ['CPU/event', ({ row }) => fixed(1, ' µs')(row.cpuUsPerEvent)],
    ['Redis/event', ({ row }) => fixed(1, ' µs')(row.redisUsPerEvent)],
    ['NATS/event', ({ row }) => fixed(1, ' µs')(row.natsUsPerEvent)],
    ...commonColumns,
    ['', verdict],
  ],
  history: [
    ['load', (result) => result.title],
    ['read', ({ row }) => fixed(0, '')(row.events)],
    ['p99', ({ row }) => milliseconds(row.p99Ms)],
    ['without', ({ row }) => milliseconds(row.p99AloneMs)],
    ['rise', (result) => milliseconds(result.row.p99RiseMs) + bounded(result, 'p99RiseMs')],
    ['reads/s', ({ row }) => fixed(0, '')(row.readsPerSecond)],
    ['CPU/read', ({ row }) => microseconds(row.cpuUsPerRead)],
    ['Redis/read', ({ row }) => microseconds(row.redisUsPerRead)],
    ['filled in', ({ row }) => fixed(0, ' s')(row.fillSeconds)],
    ['Redis memory', ({ row }) => fixed(0, ' MB')(row.redisMb)],
    ...commonColumns,
    ['', verdict],
  ],
  enter: [
    ['load', (result) => result.title],
    ['CPU/open', ({ row }) => fixed(1, ' µs')(row.cpuUsPerOpen)],
    ['ratio', (result) => fixed(2, '')(result.row.ratio) + bounded(result, 'ratio')],
    ['opens/s', (result) => fixed(0, '')(result.row.opensPerSecond) + bounded(result, 'opensPerSecond')],
    ['CPU/close', ({ row }) => fixed(1, ' µs')(row.cpuUsPerClose)],
    ['Redis/open', ({ row }) => fixed(1, ' µs')(row.redisUsPerOpen)],
    ['', verdict],
  ],
};

function formatTable(columns, results) {
  const rows = [columns.map(([title]) => title), ...results.map((result) => columns.map(([, text]) => text(result)))];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column])))
      .join('  ')
      .trimEnd();
  return [line(rows[0]), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.slice(1).map(line)].join('\n');
}

/** `notes`: what the reader has to know beside the tables. */
export function formatResults(results, notes = []) {
  const parts = Object.entries(tables)
    .map(([kind, columns]) => [columns, results.filter((result) => result.kind === kind)])
    .filter(([, some]) => some.length > 0)
    .map(([columns, some]) => formatTable(columns, some));
  const faults = results
    .filter((result) => !result.isFloor)
    .flatMap((result) => result.row.faults.map((fault) => `FAULT in ${result.name}: ${fault}`));
  return [...parts, ...faults, ...notes].join('\n\n');
}

/** One run in a line, to watch. */
export function formatRun(figures) {
  const parts = [
    ['', microseconds(figures.cpuUsPerDelivery), ' per delivery'],
    ['', fixed(2, ' KB')(figures.kbPerStream), ' per stream'],
    ['', fixed(0, ' µs')(figures.cpuUsPerClient), ' per client'],
    ['', fixed(1, ' µs')(figures.cpuUsPerOpen), ' per open'],
    ['Redis ', fixed(1, ' µs')(figures.redisUsPerEvent), ' per event'],
    ['owner ', fixed(1, ' µs')(figures.ownerUsPerEvent), ''],
    ['follower ', fixed(1, ' µs')(figures.followerUsPerEvent), ''],
    ['all within ', fixed(2, ' s')(figures.allCaughtUpSeconds), ''],
    ['', fixed(0, '')(figures.eventsPerSecond), ' events/s'],
    ['', fixed(0, '')(figures.opensPerSecond), ' opens/s'],
    ['p99 ', milliseconds(figures.p99Ms), ''],
    ['risen by ', milliseconds(figures.p99RiseMs), ''],
    ['', percent(figures.deliveredPercent), ' delivered'],
    ['unsent ', figures.unsent > 0 ? String(figures.unsent) : '', ''],
    ['FAULT: ', figures.faults.join(', '), ''],
  ];
  return parts
    .filter(([, value]) => value !== '')
    .map((part) => part.join(''))
    .join(', ');
}

export function machine() {
  return {
    cpu: os.cpus()[0]?.model.trim(),
    cpus: os.cpus().length,
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    kernel: os.release(),
    node: process.version,
  };
}
