// The rows of the table: what load each one puts on the server, and what bounds it has to keep.

const live = (rate, streams) => ({ kind: 'live', rate, streams });

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
];

/**
 * 1000 users open 5 streams each, as fast as the server takes them. More pending ones would overflow the kernel's queue of
 * connections, and what is then measured is the second after which a client tries again.
 */
const enter = { kind: 'enter', streams: 5000, pending: 1000, users: 1000, companies: 100 };
const enterWith = (algorithm) => ({ ...enter, algorithm, floor: 'open-auth-none' });

const replicas = (rate, companies) => ({ kind: 'replicas', replicas: 3, rate, companies });

/** `needs`: the option that the row is about; `onRequest`: left out unless it is named, or it is a quick run. */
export const loads = [
  {
    name: 'live-1000x100',
    title: '1000 events/s to 100 streams',
    ...live(1000, 100),
    floor: 'floor-1000x100',
    bounds: { ratio: 0.4, p99Ms: 15 },
  },
  {
    name: 'live-5000x100',
    title: '5000 events/s to 100 streams',
    ...live(5000, 100),
    floor: 'floor-1000x100', // the floor does not sustain this rate itself
    bounds: { ratio: 0.12, p99Ms: 20, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'live-100x500',
    title: '100 events/s to 500 streams',
    ...live(100, 500),
    floor: 'floor-100x500',
    bounds: { ratio: 1.15 },
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
    title: '1000 events/s to 100 streams, gzip',
    ...compressed(1000, 100),
  },
  {
    name: 'open-10000',
    title: '10,000 open streams',
    kind: 'open',
    streams: 10_000,
    companies: 100,
    bounds: { kbPerStream: 1.5 },
  },
  {
    name: 'resume-5000',
    title: '5000 resume, each misses 100 of 500',
    kind: 'resume',
    streams: 5000,
    history: 500,
    missing: 100,
    bounds: { cpuUsPerClient: 120, deliveredPercent: 100 },
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
    title: '3 replicas, 5000 events/s of 10 companies',
    ...replicas(5000, 10),
    bounds: { redisUsPerEvent: 7, deliveredPercent: 100, gaps: 0 },
  },
  {
    name: 'takeover-5000',
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

/** What of a row is divided by the same of its floor. */
export const floorFigures = { live: 'cpuUsPerDelivery', gzip: 'cpuUsPerDelivery', enter: 'cpuUsPerOpen' };

/** What the bounds are called in the table, how they are shown beside a figure, and how they compare. */
export const boundKinds = {
  ratio: { title: 'ratio', limit: (bound) => `≤ ${bound.toFixed(2)}`, holds: (value, bound) => value <= bound },
  bytesRatio: { title: 'bytes', limit: (bound) => `≤ ${bound.toFixed(2)}`, holds: (value, bound) => value <= bound },
  p99Ms: { title: 'p99', limit: (bound) => `≤ ${bound} ms`, holds: (value, bound) => value <= bound },
  deliveredPercent: { title: 'delivered', holds: (value, bound) => value >= bound },
  gaps: { title: 'gaps', holds: (value, bound) => value <= bound },
  kbPerStream: { title: 'memory', limit: (bound) => `≤ ${bound} KB`, holds: (value, bound) => value <= bound },
  opensPerSecond: { title: 'opens/s', limit: (bound) => `≥ ${bound}`, holds: (value, bound) => value >= bound },
  redisUsPerEvent: { title: 'Redis', limit: (bound) => `≤ ${bound} µs`, holds: (value, bound) => value <= bound },
  allCaughtUpSeconds: { title: 'time', limit: (bound) => `≤ ${bound} s`, holds: (value, bound) => value <= bound },
  eventsPerSecond: { title: 'events/s', limit: (bound) => `≥ ${bound}`, holds: (value, bound) => value >= bound },
  p99RiseMs: { title: 'rise of p99', limit: (bound) => `≤ ${bound} ms`, holds: (value, bound) => value <= bound },
  cpuUsPerClient: { title: 'CPU', limit: (bound) => `≤ ${bound} µs`, holds: (value, bound) => value <= bound },
};
