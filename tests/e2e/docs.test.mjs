// The documentation names things of the code: they are there.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../..', import.meta.url).pathname;

/** Where the test would be that a cell of security.md names. */
function placeOf(kind, name) {
  if (kind) return `tests/fuzz/${name}_fuzz.c`;
  return name.startsWith('unit/') ? `tests/${name}.c` : `tests/e2e/${name}.test.mjs`;
}

test('each defence of security.md names tests that exist', () => {
  const text = readFileSync(`${ROOT}/docs/security.md`, 'utf8');
  const defences = text.slice(text.indexOf('## Defences'), text.indexOf('## Algorithm confusion'));
  const rows = defences.split('\n').filter((line) => line.startsWith('| ') && !/^\| (defence|---)/.test(line));
  assert.ok(rows.length > 30, `${rows.length} rows`);
  const missing = rows.flatMap((row) => {
    const cell = row.split('|').at(-2);
    const names = [...cell.matchAll(/(fuzz )?`([^`]+)`/g)].map(([, kind, name]) => placeOf(kind, name));
    if (names.length === 0) return [`no test: ${row}`];
    return names.filter((name) => !existsSync(`${ROOT}/${name}`));
  });
  assert.deepEqual(missing, []);
});
