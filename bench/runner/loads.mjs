// The rows of the table: what load each one puts on the server, and what bounds it has to keep.

import { peers } from './peers.mjs';

const live = (rate, streams, companies = 1) => ({ kind: 'live', rate, streams, companies });

/** Everybody comes with at most so many on their way: more would overflow the kernel's queue of connections. */
const storm = { kind: 'storm', streams: 15_000, pending: 1000, settings: { MAX_CONNECTIONS_PER_COMPANY: '0' } };

/** Pairs of rows, with and without compression. */
const compressible = (gzip, rate, streams) => ({ kind: 'gzip', needs: 'COMPRESSION', gzip, rate, streams });
const compressed = (rate, streams) => ({
  ...compressible(true, rate, streams),
  floor: `plain-${rate}x${streams}`,
  bounds: { ratio: 1.5, bytesRatio: 0.35, deliveredPercent: 100, gaps: 0 },
});

/** Rows of the floor. Each is at a rate that it sustains; others are held against its cost per delivery. */
export const floors = [
  { name: 'floor-1000x100', title: 'floor: 1000 events/s to 100 streams', ...live(1000, 100) },
  { name: 'floor-100x500', title: 'floor: 100 events/s to 500 streams', ...live(100, 500) },
  { name: 'floor-500x4', title: 'floor: 5000 events/s of 500 companies, 4 streams each', ...live(5000, 2000, 500) },
  { name: 'floor-storm', title: 'floor: 15,000 streams come, one event to all', ...storm },
].map((row) => ({ ...row, isFloor: true }));

/** 1000 users open 5 streams each, as fast as the server takes them. */
const enter = { kind: 'enter', streams: 5000, pending: 1000, users: 1000, companies: 100 };
const enterWith = (algorithm) => ({ ...enter, algorithm, floor: 'open-auth-none' });

const replicas = (rate, companies) => ({ kind: 'replicas', replicas: 3, rate, companies });

/**
 * `needs`: the option that the row is about; `onRequest`: left out unless it is named; `peers`: the row is shown beside the
 * peers; `quick`: it is part of a quick run, with 'peers' on the peers too; `quickEvents`: instead of `events` there.
 */
const ownLoads = [
  {
    name: 'live-1000x100',
    quick: 'peers',
    title: '1000 events/s to 100 streams',
    ...live(1000, 100),
    floor: 'floor-1000x100',
    peers: true,
    bounds: { ratio: 0.33, p99Ms: 10, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'live-5000x100',
    title: '5000 events/s to 100 streams',
    ...live(5000, 100),
    floor: 'floor-1000x100', // the floor does not sustain this rate itself
    peers: true,
    bounds: { ratio: 0.1, p99Ms: 15, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'live-100x500',
    title: '100 events/s to 500 streams',
    ...live(100, 500),
    floor: 'floor-100x500',
    peers: true,
    bounds: { ratio: 1.05, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'live-500x4',
    title: '5000 events/s of 500 companies, 4 streams each',
    ...live(5000, 2000, 500),
    floor: 'floor-500x4',
    peers: true,
    bounds: { ratio: 1.2, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'live-20000x100',
    quick: true,
    title: '20,000 events/s to 100 streams',
    ...live(20_000, 100),
    floor: 'floor-1000x100',
    peers: true,
    showsLoaderLimit: true,
    bounds: { deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'live-20000x100-buffered',
    title: '20,000 events/s to 100 streams, BUFFER_EVENTS=1000',
    ...live(20_000, 100),
    floor: 'floor-1000x100',
    settings: { BUFFER_EVENTS: '1000' }, // 50 ms of them, as the usual hundred are at 2000 events a second
    showsLoaderLimit: true,
    bounds: { deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'plain-1000x1',
    title: '1000 events/s to 1 stream',
    ...compressible(false, 1000, 1),
  },
  {
    name: 'gzip-1000x1',
    title: '1000 events/s to 1 stream, gzip',
    ...compressed(1000, 1),
  },
  {
    name: 'plain-1000x100',
    title: '1000 events/s to 100 streams',
    ...compressible(false, 1000, 100),
  },
  {
    name: 'gzip-1000x100',
    quick: true,
    title: '1000 events/s to 100 streams, gzip',
    ...compressed(1000, 100),
  },
  {
    name: 'open-10000',
    quick: true,
    title: '10,000 open streams',
    kind: 'open',
    streams: 10_000,
    companies: 100,
    peers: true,
    bounds: { kbPerStream: 1, idleCpuPercent: 0.5 },
  },
  {
    name: 'resume-5000',
    quick: 'peers',
    title: '5000 resume, each misses 100 of 500',
    kind: 'resume',
    streams: 5000,
    history: 500,
    missing: 100,
    peers: true,
    bounds: { cpuUsPerClient: 80, deliveredPercent: 100 },
  },
  {
    name: 'storm-15000',
    quick: true,
    title: '15,000 streams come, one event to all',
    ...storm,
    floor: 'floor-storm',
    bounds: { lastMs: 100, deliveredPercent: 100 },
  },
  {
    name: 'fair-crowd',
    quick: true,
    title: '100 events/s to 10 streams, beside 5000/s to 100 of another company',
    kind: 'crowd',
    rate: 100,
    streams: 10,
    crowd: { rate: 5000, streams: 100 },
    bounds: { p99RiseMs: 5, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'fair-rush',
    quick: true,
    title: '100 events/s to 10 streams, while 5000 of another company resume, each misses 1000',
    kind: 'rush',
    rate: 100,
    streams: 10,
    rush: { streams: 5000, history: 2000, missing: 1000 },
    settings: { MAX_CONNECTIONS_PER_COMPANY: '0' },
    bounds: { deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'fair-slow',
    quick: true,
    title: '1000 events/s to 100 streams, beside one that never reads',
    kind: 'slow',
    rate: 1000,
    streams: 100,
    slow: 1,
    bounds: { costRise: 1.05, p99RiseMs: 1, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'open-auth-none',
    title: '5000 opens without credentials',
    ...enter,
  },
  {
    name: 'open-auth-hs256',
    title: '5000 opens, HS256, each token 5 times',
    ...enterWith('HS256'),
    bounds: { ratio: 1.3, opensPerSecond: 5000 },
  },
  {
    name: 'open-auth-rs256',
    quick: true,
    title: '5000 opens, RS256, each token 5 times',
    ...enterWith('RS256'),
    bounds: { ratio: 2, opensPerSecond: 5000 },
  },
  {
    name: 'open-auth-hs256-new',
    title: '5000 opens, HS256, each token new',
    ...enterWith('HS256'),
    newTokens: true,
  },
  {
    name: 'open-auth-rs256-new',
    title: '5000 opens, RS256, each token new',
    ...enterWith('RS256'),
    newTokens: true,
  },
  {
    name: 'replicas-alone',
    title: '3 replicas, 100 events/s of 100 companies',
    ...replicas(100, 100),
    bounds: { redisUsPerEvent: 15, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'replicas-singles',
    title: '3 replicas, 5000 events/s of 1000 companies',
    ...replicas(5000, 1000),
    bounds: { redisUsPerEvent: 15, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'replicas-bursts',
    quick: true,
    title: '3 replicas, 5000 events/s of 10 companies',
    ...replicas(5000, 10),
    bounds: { redisUsPerEvent: 7, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'takeover-5000',
    quick: true,
    title: '5000 resume at 2 others after the owner died',
    kind: 'takeover',
    replicas: 3,
    streams: 5000,
    history: 500,
    missing: 100,
    bounds: { cpuUsPerClient: 120, allCaughtUpSeconds: 2, deliveredPercent: 100 },
  },
  {
    name: 'intake-jetstream',
    quick: true,
    title: 'a JetStream stream of 10 companies',
    kind: 'intake',
    needs: 'NATS_STREAM',
    events: 500_000,
    quickEvents: 20_000,
    companies: 10,
    fillRate: 50_000,
    bounds: { eventsPerSecond: 50_000, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'history-1000000',
    quick: true,
    title: '4 read a history, another company has 10 streams, 100 events/s',
    kind: 'history',
    onRequest: true, // filling the history alone takes almost a minute
    events: 1_000_000,
    quickEvents: 20_000,
    fillRate: 20_000,
    readers: 4,
    rate: 100,
    streams: 10,
    settings: { REPLAY_MAX_EVENTS: '2000000', REPLAY_MAX_BYTES: String(2 ** 30) },
    bounds: { p99RiseMs: 10, deliveredPercent: 100 },
  },
];

/** A load of the table on a peer: the same, held against the same floor, bound to nothing. */
const onPeer = (row) => (peer) => ({
  ...row,
  name: `${row.name}/${peer}`,
  title: `  ${peers[peer].title}`,
  peer,
  quick: row.quick === 'peers',
  settings: undefined,
  bounds: undefined,
  showsLoaderLimit: false,
});

export const loads = ownLoads.flatMap((row) => [row, ...(row.peers ? Object.keys(peers).map(onPeer(row)) : [])]);

/** One series of rows each, in which one thing grows and all else stays, by default beside the floor under the same load. */
const growing = (series, values, titleOf, loadOf) =>
  values.map((value) => ({
    name: `growth-${series}-${value}`,
    title: titleOf(value),
    series,
    value,
    quick: series === 'companies' && value === 10,
    floor: `floor-growth-${series}-${value}`,
    ...loadOf(value),
    kind: 'live',
  }));

const noLimit = { MAX_CONNECTIONS_PER_COMPANY: '0' };

export const growth = [
  ...growing(
    'streams',
    [10, 100, 1000, 5000, 15_000],
    (streams) => `10 events/s to ${streams} streams`,
    (streams) => ({ ...live(10, streams), settings: noLimit }),
  ),
  ...growing(
    'companies',
    [1, 10, 100, 1000, 5000],
    (companies) => `1000 events/s, companies of 3 streams: ${companies}`,
    (companies) => live(1000, 3 * companies, companies),
  ),
  ...growing(
    'bytes',
    [64, 256, 1024, 4096, 16_384, 65_536],
    (size) => `20 events/s of ${size} bytes to 100 streams`,
    (size) => ({ ...live(20, 100), size }),
  ),
  ...growing(
    'workers',
    [1, 2],
    (workers) => `5000 events/s to 100 streams, WORKERS=${workers}`,
    (workers) => ({ ...live(5000, 100), floor: 'floor-1000x100', settings: { WORKERS: String(workers) } }),
  ),
  ...growing(
    'workers-spread',
    [1, 2],
    (workers) => `5000 events/s, 500 companies of 4 streams, WORKERS=${workers}`,
    (workers) => ({ ...live(5000, 2000, 500), floor: 'floor-500x4', settings: { WORKERS: String(workers) } }),
  ),
];

/** The floor under the same load, for a column beside it. */
const floorOf = ({ series, value, ...row }) => ({ ...row, isFloor: true, isBeside: true, floor: undefined });

export const growthFloors = growth
  .filter((row) => row.floor === `floor-${row.name}`)
  .map((row) => floorOf({ ...row, name: row.floor, settings: undefined }));

const QUICK = { rate: 500, streams: 100, companies: 25 };
const smaller = (load) =>
  Object.fromEntries(Object.entries(load).map(([key, value]) => [key, QUICK[key] ? Math.min(value, QUICK[key]) : value]));

/** The same, small enough that it says nothing but whether it works. */
export const quickened = (row) => ({
  ...smaller(row),
  ...(row.crowd ? { crowd: smaller(row.crowd) } : {}),
  ...(row.rush ? { rush: smaller(row.rush) } : {}),
  bounds: undefined,
});

/**
 * The order in which rows are measured: behind each floor come those that are held against it, Sluice before the peers, then the
 * rest.
 */
export function inTurn(rows) {
  const floored = rows.flatMap((floor) => {
    const held = rows.filter((row) => row.floor === floor.name);
    return held.length > 0 ? [floor, ...held.filter((row) => !row.peer), ...held.filter((row) => row.peer)] : [];
  });
  return [...floored, ...rows.filter((row) => !floored.includes(row))];
}

/** What of a row is divided by the same of its floor. */
export const floorFigures = {
  live: 'cpuUsPerDelivery',
  gzip: 'cpuUsPerDelivery',
  enter: 'cpuUsPerOpen',
  storm: 'cpuUsPerStream',
};

/** What the bounds are called in the table, how they are shown beside a figure, and how they compare. */
export const boundKinds = {
  ratio: { title: 'ratio', limit: (bound) => `≤ ${bound.toFixed(2)}`, holds: (value, bound) => value <= bound },
  bytesRatio: { title: 'bytes', limit: (bound) => `≤ ${bound.toFixed(2)}`, holds: (value, bound) => value <= bound },
  p99Ms: { title: 'p99', limit: (bound) => `≤ ${bound} ms`, holds: (value, bound) => value <= bound },
  deliveredPercent: { title: 'delivered', holds: (value, bound) => value >= bound },
  gaps: { title: 'gaps', holds: (value, bound) => value <= bound },
  kbPerStream: { title: 'memory', limit: (bound) => `≤ ${bound} KB`, holds: (value, bound) => value <= bound },
  idleCpuPercent: { title: 'idle CPU', limit: (bound) => `≤ ${bound} %`, holds: (value, bound) => value <= bound },
  lastMs: { title: 'last delivery', limit: (bound) => `≤ ${bound} ms`, holds: (value, bound) => value <= bound },
  costRise: { title: 'cost', limit: (bound) => `≤ ${bound.toFixed(2)} ×`, holds: (value, bound) => value <= bound },
  opensPerSecond: { title: 'opens/s', limit: (bound) => `≥ ${bound}`, holds: (value, bound) => value >= bound },
  redisUsPerEvent: { title: 'Redis', limit: (bound) => `≤ ${bound} µs`, holds: (value, bound) => value <= bound },
  allCaughtUpSeconds: { title: 'time', limit: (bound) => `≤ ${bound} s`, holds: (value, bound) => value <= bound },
  eventsPerSecond: { title: 'events/s', limit: (bound) => `≥ ${bound}`, holds: (value, bound) => value >= bound },
  p99RiseMs: { title: 'rise of p99', limit: (bound) => `≤ ${bound} ms`, holds: (value, bound) => value <= bound },
  cpuUsPerClient: { title: 'CPU', limit: (bound) => `≤ ${bound} µs`, holds: (value, bound) => value <= bound },
};
