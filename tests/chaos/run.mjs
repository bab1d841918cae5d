#!/usr/bin/env node
// The fault harness: a world of servers, replicas, publishers and clients, faults from a seed, and a check of every
// client's sequence. Exits 1 where a client lost something unsaid, got something twice or in a wrong order.

import { faults } from './faults.mjs';
import { HELP, readOptions } from './options.mjs';
import { Random } from './random.mjs';
import { heading, row } from './tally.mjs';
import { ChaosWorld } from './world.mjs';

function chooseFaults({ only, short }) {
  const all = [...faults.values()];
  if (only.length === 0) return all.filter(({ quick }) => quick || !short);
  const unknown = only.find((text) => !all.some(({ name }) => name.includes(text)));
  if (unknown) throw new Error(`--only ${unknown}: no such fault; --list names them`);
  const exact = all.filter(({ name }) => only.includes(name));
  return exact.length ? exact : all.filter(({ name }) => only.some((text) => name.includes(text)));
}

/** Each fault once in an order by chance; or, for some minutes, again and again. */
function* schedule(chosen, random, minutes) {
  const end = minutes === undefined ? undefined : Date.now() + minutes * 60_000;
  do {
    for (const fault of random.shuffled(chosen)) {
      if (end !== undefined && Date.now() > end) return;
      yield fault;
    }
  } while (end !== undefined);
}

async function run(options) {
  const random = new Random(options.seed);
  const world = new ChaosWorld(options, random.fork());
  const chosen = chooseFaults(options);
  const { clients, replicas } = options;
  console.log(`--seed ${options.seed}: ${clients} clients, ${replicas} replicas${options.jetstream ? ', JetStream' : ''}`);
  const results = [];
  try {
    await world.start();
    await world.recover();
    for (const fault of chosen) {
      const why = fault.possible?.(world);
      if (why) console.log(`left out: ${fault.name} (${why})`);
    }
    const possible = chosen.filter((fault) => !fault.possible?.(world));
    console.log(heading());
    for (const fault of schedule(possible, random, options.minutes)) {
      const result = await world.suffer(fault);
      results.push(result);
      console.log(row(result));
    }
    const end = await world.finish();
    if (end.failures.length) console.log(row(end));
    results.push(end);
  } finally {
    await world.dispose();
  }
  return results;
}

/** The arguments that make this run again. */
function again(args, seed) {
  return args.includes('--seed') ? args.join(' ') : ['--seed', seed, ...args].join(' ');
}

const args = process.argv.slice(2);
const options = readOptions(args);
if (options.help) console.log(HELP);
else if (options.list) console.log([...faults.keys()].join('\n'));
else {
  let failures = 0;
  try {
    const results = await run(options);
    failures = results.reduce((sum, result) => sum + result.failures.length, 0);
    console.log(failures ? `${failures} failures` : `${results.length - 1} faults, and the promise was kept`);
  } catch (error) {
    console.error(error);
    failures = 1;
  }
  console.log(`again: ./dev chaos ${again(args, options.seed)}; logs: ${options.logs}`);
  process.exit(failures ? 1 : 0);
}
