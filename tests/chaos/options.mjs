// The command line of the fault harness.

import { randomInt } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

export const HELP = `usage: ./dev chaos [options]

  --minutes N       faults by chance for so long; without it, each once
  --seed N          the order, the lengths and the victims of an earlier run
  --only FAULT      this fault alone, or all whose name contains it; may be repeated
  --short           few clients, short faults, those that take half a minute left out: what ./dev test runs
  --replicas N      replicas of Sluice (3)
  --jetstream       events come through a JetStream stream, and none may be missing where data are kept
  --nats-cluster    three NATS servers, of which one after the other is lost; for --only nats-members
  --clients N       SSE clients (300; short: 120)
  --companies N     companies (6)
  --publishers N    connections that publish (4)
  --rate N          events a second of each company (12)
  --env NAME=VALUE  a setting for Sluice; may be repeated
  --logs FOLDER     where what the processes say is kept
  --list            the names of all faults
  --help`;

function wholeNumber(name, text) {
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1) throw new Error(`--${name} takes a whole number from 1, not "${text}"`);
  return Number(text);
}

export function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: 'string' },
      seed: { type: 'string', default: String(randomInt(1, 1_000_000)) },
      only: { type: 'string', multiple: true, default: [] },
      short: { type: 'boolean', default: false },
      replicas: { type: 'string', default: '3' },
      jetstream: { type: 'boolean', default: false },
      'nats-cluster': { type: 'boolean', default: false },
      clients: { type: 'string' },
      companies: { type: 'string', default: '6' },
      publishers: { type: 'string', default: '4' },
      rate: { type: 'string', default: '12' },
      env: { type: 'string', multiple: true, default: [] },
      logs: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const bad = values.env.find((pair) => !pair.includes('='));
  if (bad) throw new Error(`--env takes NAME=VALUE, not "${bad}"`);
  const number = (name, fallback) => wholeNumber(name, values[name] ?? String(fallback));
  return {
    ...values,
    natsCluster: values['nats-cluster'],
    minutes: values.minutes === undefined ? undefined : number('minutes'),
    seed: number('seed'),
    replicas: number('replicas'),
    clients: number('clients', values.short ? 120 : 300),
    companies: number('companies'),
    publishers: number('publishers'),
    rate: number('rate'),
    env: Object.fromEntries(values.env.map((pair) => pair.split(/=(.*)/s, 2))),
    logs: path.resolve(values.logs ?? path.join(os.tmpdir(), `sluice-chaos-${values.seed}`)),
  };
}
