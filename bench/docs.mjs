#!/usr/bin/env node
// Puts the tables of the newest results into docs/performance.md, between its marks; with --print onto the terminal.

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

import { tabulate } from './runner/report.mjs';

const RESULTS = fileURLToPath(new URL('results', import.meta.url));
const DOCUMENT = fileURLToPath(new URL('../docs/performance.md', import.meta.url));

const TITLES = {
  live: 'Events to open streams',
  gzip: 'Compressed',
  open: 'Open streams',
  resume: 'Everybody resumes',
  storm: 'Everybody comes',
  crowd: 'Beside a company at full load',
  rush: 'Beside thousands who come back',
  slow: 'Beside a client that never reads',
  enter: 'Opening with credentials',
  replicas: 'Three replicas',
  takeover: 'A replica dies',
  intake: 'Intake from JetStream',
  history: 'Beside the reading of a long history',
  streams: 'Streams of one company',
  companies: 'Companies',
  bytes: 'Size of an event',
  workers: 'Workers, one company',
  'workers-spread': 'Workers, 500 companies',
};

/** The newest file of that name's form, by the date in it. */
function newest(form) {
  const name = readdirSync(RESULTS).filter((one) => form.test(one)).sort().at(-1);
  if (!name) throw new Error(`there are no results like ${form} in bench/results: run ./dev bench first`);
  return { name, ...JSON.parse(readFileSync(path.join(RESULTS, name), 'utf8')) };
}

const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;

function markdownTable([titles, ...rows]) {
  const rule = line(titles.map((_, column) => (column === 0 ? '---' : '---:')));
  return [line(titles.map((title) => title.trim())), rule, ...rows.map((row) => line(row.map((cell) => cell.trim())))].join('\n');
}

export const titleOf = ({ kind, series }) => TITLES[series ?? kind];

const sections = (report) =>
  tabulate(report.rows)
    .map(({ cells, ...table }) => `### ${titleOf(table)}\n\n${markdownTable(cells)}`)
    .join('\n\n');

function origin(report) {
  const { cpu, cpus, memoryGb, kernel, node } = report.machine;
  const settings = Object.entries(report.environment).map(([name, value]) => ` ${name}=${value}`).join('');
  return (
    `From \`bench/results/${report.name}\`: medians of ${report.runs}, ${report.seconds} s each; ${cpu}, ${cpus} processors, ` +
    `${memoryGb} GB, Linux ${kernel}, Node.js ${node}.${settings && ` With${settings}.`}`
  );
}

const rowOf = (report, name) => {
  const found = report.rows.find((result) => result.name === name);
  if (!found) throw new Error(`${report.name} has no ${name}`);
  return found.row;
};

const grouped = (number) => String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ',');

/** Two digits are all that such a figure is good for. */
function rounded(number) {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(number)) - 1);
  return grouped(Math.floor(number / unit) * unit);
}

/** What one processor would do if all of it were Sluice's, and what else has to be there. */
function sizing(main, growth) {
  const perCore = (name) => 1e6 / rowOf(main, name).cpuUsPerDelivery;
  const load = (title, name, streamsEach) => {
    const deliveries = perCore(name);
    return [title, rounded(deliveries), rounded(deliveries / streamsEach)];
  };
  const cores = markdownTable([
    ['load', 'deliveries/s per core', 'events/s per core'],
    load('one busy company, 100 streams', 'live-5000x100', 100),
    load('one company, 100 streams, 1000 events/s', 'live-1000x100', 100),
    load('one company, 500 streams, 100 events/s', 'live-100x500', 500),
    load('many companies of 4 streams', 'live-500x4', 4),
  ]);
  const open = rowOf(main, 'open-10000');
  const resume = rowOf(main, 'resume-5000');
  const bytes = growth.rows.filter((result) => result.series === 'bytes');
  const megabytes = (each) => (each * 100_000) / 1e6;
  const redis = markdownTable([
    ['event', 'Redis memory for each', '100,000 events a day of a company'],
    ...bytes.map(({ value, row }) => [
      `${grouped(value)} B`,
      `${grouped(row.redisBytesPerEvent)} B`,
      `${grouped(megabytes(row.redisBytesPerEvent))} MB`,
    ]),
  ]);
  return [
    cores,
    `An open stream takes ${open.kbPerStream.toFixed(1)} KB of Sluice's memory; 10,000 that get nothing, and the process itself, take ` +
      `${open.idleCpuPercent.toFixed(2)} % of a core. A client that comes back and missed 100 events takes ${rounded(resume.cpuUsPerClient)} µs, ` +
      `so a core catches up ${rounded(1e6 / resume.cpuUsPerClient)} of them a second.`,
    redis,
  ].join('\n\n');
}

/** Every block of the document that is made here, by its name. */
export function blocks() {
  const main = newest(/^\d{4}-\d\d-\d\d\.json$/);
  const growth = newest(/^\d{4}-\d\d-\d\d-growth\.json$/);
  return {
    tables: `${origin(main)}\n\n${sections(main)}`,
    growth: `${origin(growth)}\n\n${sections(growth)}`,
    sizing: sizing(main, growth),
  };
}

/** The document with each block between its marks. */
export function filled(document, made) {
  return Object.entries(made).reduce((text, [name, block]) => {
    const [begin, end] = [`<!-- begin ${name}: written by bench/docs.mjs -->`, `<!-- end ${name} -->`];
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`docs/performance.md has no marks for ${name}`);
    return `${text.slice(0, from + begin.length)}\n\n${block}\n\n${text.slice(to)}`;
  }, document);
}

export const documentText = () => readFileSync(DOCUMENT, 'utf8');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const made = blocks();
  if (process.argv.includes('--print')) console.log(Object.values(made).join('\n\n'));
  else writeFileSync(DOCUMENT, filled(documentText(), made));
}
