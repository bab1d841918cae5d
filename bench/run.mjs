#!/usr/bin/env node
// The benchmark: private NATS and Redis, each load against Sluice and the floor, one table. See README.md here.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { floorFigures, floors, loads } from './runner/loads.mjs';
import { measure } from './runner/measure.mjs';
import { Process, freePort, killEverything, startNats, stopEverything, untilListening } from './runner/processes.mjs';
import { checkBounds, combineRuns, formatResults, formatRun, machine, median } from './runner/report.mjs';

const HELP = `usage: node bench/run.mjs [options]

  --sluice FILE      the binary to measure (build/sluice)
  --tools FOLDER     where sseload, natsflood and floor are (build/bench)
  --only ROW         run only this row, and the floor it is held against; may be repeated; open-auth: all open-auth-…
  --runs N           runs of each row, of which the medians count (3)
  --seconds N        length of the live loads (8)
  --quick            one short run of each row: does it work, is nothing lost?
  --env NAME=VALUE   a setting for Sluice; may be repeated
  --json FILE        write all figures there
  --help

rows: ${[...loads, ...floors].map((row) => row.name).join(', ')}
only by name (or in a quick run), since they take minutes: ${loads.filter((row) => row.onRequest).map((row) => row.name).join(', ')}

Exits 1 where events were lost unsaid, repeated or out of order, or where something failed; never because of a bound.`;

function wholeNumber(name, text) {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`--${name} takes a whole number from 1 to 9999, not "${text}"`);
  return Number(text);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      sluice: { type: 'string', default: 'build/sluice' },
      tools: { type: 'string', default: 'build/bench' },
      only: { type: 'string', multiple: true, default: [] },
      runs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '8' },
      quick: { type: 'boolean', default: false },
      env: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const bad = values.env.find((pair) => !pair.includes('='));
  if (bad) throw new Error(`--env takes NAME=VALUE, not "${bad}"`);
  return {
    help: values.help,
    quick: values.quick,
    json: values.json,
    only: values.only,
    runs: values.quick ? 1 : wholeNumber('runs', values.runs),
    sluice: path.resolve(values.sluice),
    tools: path.resolve(values.tools),
    seconds: values.quick ? 2 : wholeNumber('seconds', values.seconds),
    warmupMs: values.quick ? 200 : 1000,
    idleSeconds: values.quick ? 2 : 30,
    environment: Object.fromEntries(values.env.map((pair) => pair.split(/=(.*)/s, 2))),
  };
}

/** Floors first, and each floor that a chosen row is held against. A name also chooses those that continue it by a dash. */
function chooseRows({ only, quick }) {
  const all = [...floors.map((row) => ({ ...row, isFloor: true })), ...loads];
  const isMeant = (row, name) => row.name === name || row.name.startsWith(`${name}-`);
  const unknown = only.find((name) => !all.some((row) => isMeant(row, name)));
  if (unknown) throw new Error(`--only ${unknown}: no such row; see --help`);
  if (only.length === 0) return all.filter((row) => quick || !row.onRequest);
  const needed = new Set(all.filter((row) => only.some((name) => isMeant(row, name))).map((row) => row.name));
  for (const row of loads) if (needed.has(row.name) && row.floor) needed.add(row.floor);
  return all.filter((row) => needed.has(row.name));
}

/** The rows that this Sluice cannot run, since it lacks the option that they are about. */
function rowsBeyond(sluice, rows) {
  const asking = rows.filter((row) => row.needs);
  if (asking.length === 0) return [];
  const help = execFileSync(sluice, ['--help'], { encoding: 'utf8' });
  return asking.filter((row) => !help.includes(row.needs));
}

async function startServers(logFolder) {
  const redisPort = await freePort();
  const redisArgs = ['--bind', '127.0.0.1', '--port', String(redisPort), '--save', '', '--appendonly', 'no'];
  const redis = new Process('redis-server', 'redis-server', [...redisArgs, '--dir', logFolder], { logFolder });
  const [nats] = await Promise.all([startNats(logFolder), untilListening(redis, redisPort)]);
  return { redis, redisPort, natsUrl: nats.url, redisUrl: `redis://127.0.0.1:${redisPort}` };
}

/** Run by run over all rows, so that a machine that slows down meanwhile slows the floor down too. */
async function measureRows(bench, rows) {
  const runs = new Map(rows.map((row) => [row.name, []]));
  for (let run = 1; run <= bench.runs; run++) {
    for (const row of rows) {
      const figures = await measure(bench, row, { isFloor: row.isFloor });
      runs.get(row.name).push(figures);
      console.error(`run ${run} of ${bench.runs}  ${row.name.padEnd(19)}  ${formatRun(figures)}`);
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
      const ratioOf = (key) => median(result.runs.map((run, at) => run[key] / floor.runs[at][key]));
      result.row.ratio = ratioOf(figure);
      if (result.gzip) result.row.bytesRatio = ratioOf('bytesPerDelivery');
    }
    result.bounds = checkBounds(result.bounds, result.row);
  }
  return results;
}

async function main() {
  const options = readOptions();
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const chosen = chooseRows(options);
  const beyond = rowsBeyond(options.sluice, chosen);
  const rows = chosen.filter((row) => !beyond.includes(row));
  const logFolder = mkdtempSync(path.join(os.tmpdir(), 'sluice-bench-'));
  process.once('exit', () => rmSync(logFolder, { recursive: true, force: true }));
  const bench = { ...options, logFolder, ...(await startServers(logFolder)) };

  const results = summarize(rows, await measureRows(bench, rows));
  const notes = beyond.map((row) => `${row.name}: left out, this Sluice has no ${row.needs}`);
  console.log(formatResults(results, notes));
  if (options.json) {
    const { runs, seconds, quick, environment } = options;
    const report = { measuredAt: new Date().toISOString(), machine: machine(), runs, seconds, quick, environment };
    writeFileSync(options.json, `${JSON.stringify({ ...report, rows: results }, null, 2)}\n`);
  }
  return results.some((result) => !result.isFloor && result.row.faults.length > 0) ? 1 : 0;
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
