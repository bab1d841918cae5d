// From runs to rows, and from rows to the table.

import os from 'node:os';

import { GRACE_SECONDS } from './harness.mjs';
import { boundKinds } from './loads.mjs';

const ADDED_UP = new Set([
  'gaps',
  'missingTold',
  'missingUntold',
  'missingAtEnd',
  'duplicates',
  'disorder',
  'unsent',
  'ownerChanges',
  'refused',
  'unreadable',
]);

const FEW_STREAMS = 1000; // what fewer take is less than what a server's memory varies by

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Medians, but for what a median would hide: losses are added up, and the worst delivery counts. */
export function combineRuns(runs) {
  const row = { faults: runs.flatMap((run) => run.faults) };
  const keys = new Set(runs.flatMap((run) => Object.keys(run)));
  keys.delete('faults');
  for (const key of keys) {
    const values = runs.filter((run) => key in run).map((run) => run[key]);
    if (ADDED_UP.has(key)) row[key] = values.reduce((sum, value) => sum + value, 0);
    else if (key === 'deliveredPercent') row[key] = Math.min(...values);
    else row[key] = median(values.filter(Number.isFinite));
  }
  return row;
}

/** `ok`: whether the bound is kept; undefined where there is no figure, since it could not be measured. */
export function checkBounds(bounds, row) {
  const check = (key, bound) => (Number.isFinite(row[key]) ? boundKinds[key].holds(row[key], bound) : undefined);
  return Object.entries(bounds ?? {}).map(([key, bound]) => ({ figure: key, value: row[key], bound, ok: check(key, bound) }));
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

/** What a peer loses says something of it, and nothing of the benchmark. */
const ofPeer = (row) =>
  [
    ...row.faults.filter((fault) => fault.startsWith('not measured')).slice(0, 1),
    ...(row.missingUntold > 0 ? [`${row.missingUntold} lost unsaid`] : []),
    ...(row.missingAtEnd > 0 ? [`${row.missingAtEnd} not there after ${GRACE_SECONDS} s`] : []),
    ...(row.refused > 0 ? [`${row.refused} refused`] : []),
    ...(row.unreadable > 0 ? [`${row.unreadable} not brought to it`] : []),
    ...(row.disorder > 0 ? [`${row.disorder} out of order`] : []),
  ].join(', ');

const verdict = (result) => {
  if (result.isFloor) return result.row.unsent > 0 ? 'not sustained' : '';
  if (result.peer) return ofPeer(result.row);
  if (result.row.faults.length > 0) return 'FAULT';
  const those = (ok) => result.bounds.filter((one) => one.ok === ok).map((one) => boundKinds[one.figure].title);
  const [over, unknown] = [those(false), those(undefined)];
  const parts = [over.length > 0 && `over: ${over.join(', ')}`, unknown.length > 0 && `not measured: ${unknown.join(', ')}`];
  return parts.filter(Boolean).join('; ') || 'ok';
};

const counted = (value) => (Number.isFinite(value) ? String(value) : '');

const commonColumns = [
  ['delivered', ({ row }) => percent(row.deliveredPercent)],
  ['gaps', ({ row }) => counted(row.gaps)],
  ['duplicates', ({ row }) => counted(row.duplicates)],
];

/** Deliveries a second, in thousands. */
const thousands = (value) => fixed(0, 'k/s')(value / 1000);

/** The table of each kind of row. A column that is empty in all of its rows is left out. */

const tables = {
  live: [
    ['load', (result) => result.title],
    ['CPU/delivery', ({ row }) => microseconds(row.cpuUsPerDelivery)],
    ['floor', ({ row }) => microseconds(row.floorUs)],
    ['ratio', (result) => fixed(2, '')(result.row.ratio) + (result.row.ratio ? bounded(result, 'ratio') : '')],
    ...commonColumns,
    ['p50', ({ row }) => milliseconds(row.p50Ms)],
    ['p99', (result) => milliseconds(result.row.p99Ms) + bounded(result, 'p99Ms')],
    ['its bridge', ({ row, peer }) => (peer && row.bridgeUsPerDelivery > 0 ? microseconds(row.bridgeUsPerDelivery) : '')],
    ['Redis/event', (result) => (result.isFloor ? '' : fixed(0, ' µs')(result.row.redisUsPerEvent))],
    ['wanted', ({ row }) => (row.loaderLimitPerSecond ? thousands(row.wantedPerSecond) : '')],
    ['loader takes', ({ row }) => thousands(row.loaderLimitPerSecond)],
    ['', verdict],
  ],
  growth: [
    ['load', (result) => result.title],
    ['CPU/delivery', ({ row }) => microseconds(row.cpuUsPerDelivery)],
    ['floor', ({ row }) => microseconds(row.floorUs)],
    ['ratio', (result) => fixed(2, '')(result.row.ratio)],
    ['memory', ({ row }) => fixed(1, ' MB')(row.memoryMb)],
    ['per stream', ({ row }) => (row.streams >= FEW_STREAMS ? fixed(2, ' KB')(row.kbPerStream) : '')],
    ['loaded', ({ row }) => (row.streams >= FEW_STREAMS ? fixed(2, ' KB')(row.kbPerStreamLoaded) : '')],
    ...commonColumns,
    ['p50', ({ row }) => milliseconds(row.p50Ms)],
    ['p99', ({ row }) => milliseconds(row.p99Ms)],
    ['Redis/event', ({ row }) => fixed(0, ' µs')(row.redisUsPerEvent)],
    ['Redis memory', ({ row }) => fixed(0, ' B')(row.redisBytesPerEvent)],
    ['', verdict],
  ],
  storm: [
    ['load', (result) => result.title],
    ['CPU/stream', ({ row }) => fixed(1, ' µs')(row.cpuUsPerStream)],
    ['ratio', ({ row }) => fixed(2, '')(row.ratio)],
    ['opening', ({ row }) => fixed(1, ' µs')(row.cpuUsPerOpen)],
    ['sending', ({ row }) => fixed(1, ' µs')(row.cpuUsPerSend)],
    ['opens/s', ({ row }) => fixed(0, '')(row.opensPerSecond)],
    ['p50', ({ row }) => milliseconds(row.p50Ms)],
    ['last delivery', (result) => milliseconds(result.row.lastMs) + bounded(result, 'lastMs')],
    ...commonColumns,
    ['', verdict],
  ],
  crowd: [
    ['load', (result) => result.title],
    ['p99', ({ row }) => milliseconds(row.p99Ms)],
    ['without', ({ row }) => milliseconds(row.p99AloneMs)],
    ['rise', (result) => milliseconds(result.row.p99RiseMs) + bounded(result, 'p99RiseMs')],
    ["the other's p99", ({ row }) => milliseconds(row.crowdP99Ms)],
    ...commonColumns,
    ['', verdict],
  ],
  rush: [
    ['load', (result) => result.title],
    ['p99', ({ row }) => milliseconds(row.p99Ms)],
    ['without', ({ row }) => milliseconds(row.p99AloneMs)],
    ['latest', ({ row }) => milliseconds(row.maxMs)],
    ['the others within', ({ row }) => fixed(2, ' s')(row.caughtUpSeconds)],
    ...commonColumns,
    ['', verdict],
  ],
  slow: [
    ['load', (result) => result.title],
    ['CPU/delivery', ({ row }) => microseconds(row.costUs)],
    ['without', ({ row }) => microseconds(row.costAloneUs)],
    ['rise', (result) => fixed(2, ' ×')(result.row.costRise) + bounded(result, 'costRise')],
    ['p99', ({ row }) => milliseconds(row.p99Ms)],
    ['without', ({ row }) => milliseconds(row.p99AloneMs)],
    ['rise', (result) => milliseconds(result.row.p99RiseMs) + bounded(result, 'p99RiseMs')],
    ...commonColumns,
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
    ['CPU while idle', (result) => fixed(2, ' %')(result.row.idleCpuPercent) + bounded(result, 'idleCpuPercent')],
    ['opened in', ({ row }) => fixed(2, ' s')(row.connectSeconds)],
    ...commonColumns,
    ['', verdict],
  ],
  resume: [
    ['load', (result) => result.title],
    ['CPU/client', (result) => fixed(0, ' µs')(result.row.cpuUsPerClient) + bounded(result, 'cpuUsPerClient')],
    ['Redis/client', ({ row }) => fixed(1, ' µs')(row.redisUsPerClient)],
    ['caught up', ({ row }) => (row.streams ? `${row.caughtUp} of ${row.streams}` : '')],
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

/** Titles, then the texts of each row, without the columns that say nothing. */
function cellsOf(columns, results) {
  const rows = [columns.map(([title]) => title), ...results.map((result) => columns.map(([, text]) => text(result)))];
  const isFull = columns.map((_, column) => rows.slice(1).some((row) => row[column] !== ''));
  return rows.map((row) => row.filter((_, column) => isFull[column]));
}

function formatTable([titles, ...rows]) {
  const widths = titles.map((_, column) => Math.max(...[titles, ...rows].map((row) => row[column].length)));
  const line = (row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column])))
      .join('  ')
      .trimEnd();
  return [line(titles), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** The tables of the results, each as `{ kind, series, cells }`; the first of the cells are titles. */
export function tabulate(results) {
  const groups = new Map();
  for (const result of results.filter((one) => !one.isBeside)) {
    const key = result.series ?? result.kind;
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  return [...groups.values()].map((some) => {
    const { kind, series } = some[0];
    return { kind, series, cells: cellsOf(tables[series ? 'growth' : kind], some) };
  });
}

/** `notes`: what the reader has to know beside the tables. */
export function formatResults(results, notes = []) {
  const faults = results
    .filter((result) => !result.isFloor && !result.peer)
    .flatMap((result) => result.row.faults.map((fault) => `FAULT in ${result.name}: ${fault}`));
  return [...tabulate(results).map(({ cells }) => formatTable(cells)), ...faults, ...notes].join('\n\n');
}

/** One run in a line, to watch. */
export function formatRun(figures) {
  const parts = [
    ['', microseconds(figures.cpuUsPerDelivery), ' per delivery'],
    ['', fixed(1, ' µs')(figures.cpuUsPerStream), ' per stream'],
    ['', fixed(2, ' KB')(figures.kbPerStream), ' a stream'],
    ['', fixed(0, ' µs')(figures.cpuUsPerClient), ' per client'],
    ['', fixed(1, ' µs')(figures.cpuUsPerOpen), ' per open'],
    ['Redis ', fixed(1, ' µs')(figures.redisUsPerEvent), ' per event'],
    ['owner ', fixed(1, ' µs')(figures.ownerUsPerEvent), ''],
    ['follower ', fixed(1, ' µs')(figures.followerUsPerEvent), ''],
    ['all within ', fixed(2, ' s')(figures.allCaughtUpSeconds), ''],
    ['', fixed(0, '')(figures.eventsPerSecond), ' events/s'],
    ['', fixed(0, '')(figures.opensPerSecond), ' opens/s'],
    ['p99 ', milliseconds(figures.p99Ms), ''],
    ['last ', milliseconds(figures.lastMs), ''],
    ['loader takes ', thousands(figures.loaderLimitPerSecond), ''],
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
