#!/usr/bin/env node
// The benchmark: private NATS and Redis, each load against Sluice and the floor, one table. See README.md here.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { drawChart } from './runner/chart.mjs';
import { floorFigures, floors, growth, growthFloors, inTurn, loads, quickened } from './runner/loads.mjs';
import { measure } from './runner/measure.mjs';
import { peers } from './runner/peers.mjs';
import { Process, freePort, killEverything, startNats, stopEverything, untilListening } from './runner/processes.mjs';
import { checkBounds, combineRuns, formatResults, formatRun, machine, median } from './runner/report.mjs';

const RESULTS = fileURLToPath(new URL('results', import.meta.url));

const SLUICE = 'build/sluice';
const RUNS = 5;
const SECONDS = 8;

const HELP = `usage: node bench/run.mjs [options]

  --sluice FILE      the binary to measure (${SLUICE})
  --tools FOLDER     where sseload, natsflood and floor are (build/bench)
  --only ROW         run only this row, on the peers too, and the floor it is held against; may be repeated;
                     open-auth: all open-auth-…
  --growth           the tables of growth instead: cost and memory over streams, companies, sizes, workers
  --peers LIST       the peers to show beside it: ${Object.keys(peers).join(',')} (all that are installed), or none
  --runs N           runs of each row, of which the medians count (${RUNS})
  --seconds N        length of the live loads (${SECONDS})
  --quick            one short, small run of a row of each kind: does it work, is nothing lost?
  --env NAME=VALUE   a setting for Sluice; may be repeated
  --perf FOLDER      a profile of the server there for each row, for perf report; sampling costs a little itself
  --json FILE        write all figures there; a whole run also writes bench/results/
  --help

rows: ${[...loads.filter((row) => !row.peer), ...floors].map((row) => row.name).join(', ')}
of growth: ${growth.map((row) => row.name).join(', ')}
only by name, since they take minutes: ${loads.filter((row) => row.onRequest).map((row) => row.name).join(', ')}

Exits 1 where events were lost unsaid, repeated or out of order, or where something failed; never because of a bound.`;

function wholeNumber(name, text) {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`--${name} takes a whole number from 1 to 9999, not "${text}"`);
  return Number(text);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      sluice: { type: 'string', default: SLUICE },
      tools: { type: 'string', default: 'build/bench' },
      only: { type: 'string', multiple: true, default: [] },
      growth: { type: 'boolean', default: false },
      peers: { type: 'string', default: Object.keys(peers).join(',') },
      runs: { type: 'string', default: String(RUNS) },
      seconds: { type: 'string', default: String(SECONDS) },
      quick: { type: 'boolean', default: false },
      env: { type: 'string', multiple: true, default: [] },
      perf: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const bad = values.env.find((pair) => !pair.includes('='));
  if (bad) throw new Error(`--env takes NAME=VALUE, not "${bad}"`);
  const shown = values.peers === 'none' ? [] : values.peers.split(',');
  const stranger = shown.find((name) => !(name in peers));
  if (stranger !== undefined) throw new Error(`--peers knows ${Object.keys(peers).join(', ')} and none, not "${stranger}"`);
  return {
    help: values.help,
    quick: values.quick,
    json: values.json,
    perf: values.perf,
    only: values.only,
    growth: values.growth,
    peers: shown,
    runs: values.quick ? 1 : wholeNumber('runs', values.runs),
    sluice: path.resolve(values.sluice),
    tools: path.resolve(values.tools),
    seconds: values.quick ? 0.5 : wholeNumber('seconds', values.seconds),
    warmupMs: values.quick ? 200 : 1000,
    idleSeconds: values.quick ? 1 : 30,
    environment: Object.fromEntries(values.env.map((pair) => pair.split(/=(.*)/s, 2))),
  };
}

/**
 * The rows to be measured, and each floor that one of them is held against. A name also chooses those that continue it by a dash, and
 * the row on the peers.
 */
function chooseRows({ only, quick, growth: ofGrowth, peers: shown }) {
  const known = [...floors, ...growthFloors, ...loads, ...growth].filter((row) => !row.peer || shown.includes(row.peer));
  const isMeant = (row, name) => row.name === name || ['-', '/'].some((mark) => row.name.startsWith(name + mark));
  const unknown = only.find((name) => !known.some((row) => isMeant(row, name)));
  if (unknown) throw new Error(`--only ${unknown}: no such row; see --help`);
  const isInTable = (row) => (ofGrowth ? row.series : !row.series && !row.isFloor && !row.onRequest);
  const isUsual = (row) => (quick ? row.quick : isInTable(row));
  const isWanted = (row) => (only.length > 0 ? only.some((name) => isMeant(row, name)) : isUsual(row));
  const needed = new Set(known.filter(isWanted).flatMap((row) => [row.name, row.floor]));
  const rows = known.filter((row) => needed.has(row.name));
  return quick ? rows.map(quickened) : rows;
}

/** The rows that cannot run, with what is missing: an option of this Sluice that they are about, or a peer. */
function rowsBeyond(sluice, rows) {
  const help = rows.some((row) => row.needs) ? execFileSync(sluice, ['--help'], { encoding: 'utf8' }) : '';
  const absent = new Map(rows.filter((row) => row.peer).map(({ peer }) => [peer, peers[peer].missing()]));
  const missing = (row) => (row.needs && !help.includes(row.needs) ? `${row.needs} in this Sluice` : absent.get(row.peer));
  return rows.map((row) => ({ row, what: missing(row) })).filter(({ what }) => what);
}

async function startServers(logFolder) {
  const redisPort = await freePort();
  const redisArgs = ['--bind', '127.0.0.1', '--port', String(redisPort), '--save', '', '--appendonly', 'no'];
  const redis = new Process('redis-server', 'redis-server', [...redisArgs, '--dir', logFolder], { logFolder });
  const [nats] = await Promise.all([startNats(logFolder), untilListening(redis, redisPort)]);
  return { redis, redisPort, natsUrl: nats.url, redisUrl: `redis://127.0.0.1:${redisPort}` };
}

/** Run by run over all rows, each floor right before those that are held against it: a machine that slows down slows both down. */
async function measureRows(bench, rows) {
  const runs = new Map(rows.map((row) => [row.name, []]));
  for (let run = 1; run <= bench.runs; run++) {
    for (const row of inTurn(rows)) {
      const figures = await measure(bench, row);
      runs.get(row.name).push(figures);
      console.error(`run ${run} of ${bench.runs}  ${row.name.padEnd(23)}  ${formatRun(figures)}`);
    }
  }
  return runs;
}

function summarize(rows, runs) {
  const results = rows.map((row) => ({ ...row, row: combineRuns(runs.get(row.name)), runs: runs.get(row.name) }));
  for (const result of results) {
    const floor = results.find((one) => one.name === result.floor);
    if (floor && !(floor.row.unsent > 0)) {
      const figure = floorFigures[result.kind];
      result.row.floorUs = floor.row[figure];
      // Run by run, each beside the floor of its own run: on a noisy machine the medians may come from different weather.
      const ratioOf = (key) =>
        median(result.runs.map((run, at) => run[key] / floor.runs[at][key]).filter(Number.isFinite));
      result.row.ratio = ratioOf(figure);
      if (result.gzip) result.row.bytesRatio = ratioOf('bytesPerDelivery');
    }
    result.bounds = checkBounds(result.bounds, result.row);
  }
  return results;
}

/** All rows, on all peers, as users have them, as often and as long as is usual. Nothing else is worth keeping. */
const isWhole = ({ only, quick, perf, environment, peers: shown, runs, seconds, sluice }, beyond) =>
  only.length === 0 &&
  !quick &&
  !perf &&
  Object.keys(environment).length === 0 &&
  shown.length === Object.keys(peers).length &&
  beyond.length === 0 &&
  runs >= RUNS &&
  seconds >= SECONDS &&
  sluice === path.resolve(SLUICE);

/** What was measured; a "+" stands for changes that are not committed. */
function revision() {
  const git = (...args) => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') ? '+' : '');
  } catch {
    return undefined; // a tree without its history
  }
}

/** Writes what was asked for. A whole run, and a whole one of growth, are also kept; the former with a chart. */
function keepResults(options, beyond, results, measured) {
  const { json, quick, runs, seconds, environment } = options;
  const measuredAt = new Date().toISOString();
  const report = { measuredAt, revision: measured, machine: machine(), runs, seconds, quick, environment, rows: results };
  const text = `${JSON.stringify(report, null, 2)}\n`;
  if (json) writeFileSync(json, text);
  if (!isWhole(options, beyond)) return;
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(path.join(RESULTS, `${measuredAt.slice(0, 10)}${options.growth ? '-growth' : ''}.json`), text);
  if (!options.growth) writeFileSync(path.join(RESULTS, 'chart.svg'), drawChart(results));
}

async function main() {
  const options = readOptions();
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const chosen = chooseRows(options);
  const beyond = rowsBeyond(options.sluice, chosen);
  const rows = chosen.filter((row) => !beyond.some((one) => one.row === row));
  const logFolder = mkdtempSync(path.join(os.tmpdir(), 'sluice-bench-'));
  process.once('exit', () => rmSync(logFolder, { recursive: true, force: true }));
  const bench = { ...options, logFolder, ...(await startServers(logFolder)) };

  const measured = revision();
  const results = summarize(rows, await measureRows(bench, rows));
  const notes = new Set(beyond.map(({ row, what }) => `${row.peer ?? row.name}: left out, there is no ${what}`));
  if (options.quick) notes.add('A quick run: smaller loads than the titles say. Its figures mean nothing.');
  console.log(formatResults(results, [...notes]));
  keepResults(options, beyond, results, measured);
  return results.some((result) => !result.isFloor && !result.peer && result.row.faults.length > 0) ? 1 : 0;
}

async function finish(status) {
  process.exitCode = status;
  await stopEverything();
  process.exit(status);
}

process.once('exit', killEverything);
for (const [signal, status] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }))
  process.once(signal, () => finish(status));

main().then(finish, (error) => {
  console.error(`bench: ${error.message}`);
  return finish(process.exitCode ?? 1);
});
