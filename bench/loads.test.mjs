// What is measured, and in which order.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { floors, growth, growthFloors, inTurn, loads } from './runner/loads.mjs';

const names = (rows) => rows.map((row) => row.name);

test('each floor is measured right before what is held against it, Sluice before the peers', () => {
  const rows = [
    { name: 'floor-a', isFloor: true },
    { name: 'floor-b', isFloor: true },
    { name: 'one', floor: 'floor-a' },
    { name: 'one/peer', floor: 'floor-a', peer: 'peer' },
    { name: 'alone' },
    { name: 'two', floor: 'floor-b' },
    { name: 'three', floor: 'floor-a' },
  ];
  assert.deepEqual(names(inTurn(rows)), ['floor-a', 'one', 'three', 'one/peer', 'floor-b', 'two', 'alone']);
});

test('all rows are measured, each once', () => {
  for (const rows of [
    [...floors, ...loads],
    [...floors, ...growthFloors, ...growth],
  ])
    assert.deepEqual(names(inTurn(rows)).sort(), names(rows).sort());
});

test('each row has the floor that it is held against', () => {
  const known = new Set(names([...floors, ...growthFloors, ...loads]));
  assert.deepEqual(
    [...loads, ...growth].filter((row) => row.floor && !known.has(row.floor)).map((row) => row.name),
    [],
  );
});
