// The documentation names things of the code: they are there.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { faults } from '../chaos/faults.mjs';

const ROOT = new URL('../..', import.meta.url).pathname;

/** Whether the test is there that a cell of a table names. */
function exists(kind, name) {
  if (kind === 'chaos ') return faults.has(name);
  if (kind === 'fuzz ') return existsSync(`${ROOT}/tests/fuzz/${name}_fuzz.c`);
  return existsSync(`${ROOT}/tests/${name.startsWith('unit/') ? `${name}.c` : `e2e/${name}.test.mjs`}`);
}

/** The rows of the tables between two headings whose last cell names tests; `title` is that of their first column. */
function rowsOf({ file, from, to, title }) {
  const text = readFileSync(`${ROOT}/docs/${file}`, 'utf8');
  const part = text.slice(text.indexOf(from), text.indexOf(to));
  return part.split('\n').filter((line) => line.startsWith('| ') && !/^\| ---/.test(line) && !line.startsWith(`| ${title} |`));
}

/** What the rows name and is not there. */
function missingOf(rows) {
  return rows.flatMap((row) => {
    const cell = row.split('|').at(-2);
    const names = [...cell.matchAll(/(fuzz |chaos )?`([^`]+)`/g)];
    if (names.length === 0) return [`no test: ${row}`];
    return names.filter(([, kind, name]) => !exists(kind, name)).map(([text]) => text);
  });
}

test('each defence of security.md names tests that exist', () => {
  const rows = rowsOf({ file: 'security.md', from: '## Defences', to: '## Algorithm confusion', title: 'defence' });
  assert.ok(rows.length > 30, `${rows.length} rows`);
  assert.deepEqual(missingOf(rows), []);
});

test('each promise of guarantees.md names tests that exist', () => {
  const rows = rowsOf({
    file: 'guarantees.md',
    from: '## What is shown by which test',
    to: '## Fault by fault',
    title: 'promise',
  });
  assert.ok(rows.length > 12, `${rows.length} rows`);
  assert.deepEqual(missingOf(rows), []);
});

test('each fault of guarantees.md names tests that exist, and no fault of the chaos harness is left out', () => {
  const rows = rowsOf({ file: 'guarantees.md', from: '## Fault by fault', to: '## What is not promised', title: 'fault' });
  assert.ok(rows.length > 25, `${rows.length} rows`);
  assert.deepEqual(missingOf(rows), []);
  const text = rows.join('\n');
  assert.deepEqual([...faults.keys()].filter((name) => !text.includes(`chaos \`${name}\``)), []);
});
