// What docs/performance.md shows is what was measured last.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { blocks, documentText, filled, titleOf } from './docs.mjs';
import { growth, loads } from './runner/loads.mjs';

test('the tables of docs/performance.md are those of the newest results', () => {
  assert.equal(filled(documentText(), blocks()), documentText(), 'node bench/docs.mjs brings them up to date');
});

test('each kind of row has a title for its table', () => {
  assert.deepEqual([...loads, ...growth].filter((row) => !titleOf(row)).map((row) => row.name), []);
});

test('each block has its marks, and nothing but what is between them changes', () => {
  const text = 'before\n<!-- begin a: written by bench/docs.mjs -->\nold\n<!-- end a -->\nbehind\n';
  const once = filled(text, { a: 'new' });
  assert.equal(once, 'before\n<!-- begin a: written by bench/docs.mjs -->\n\nnew\n\n<!-- end a -->\nbehind\n');
  assert.equal(filled(once, { a: 'new' }), once);
  assert.throws(() => filled(text, { b: 'new' }), /no marks for b/);
});
