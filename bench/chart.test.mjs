// The chart says what the results say.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { drawChart } from './runner/chart.mjs';

const row = (name, ratio, { deliveredPercent = 100, ...more } = {}) => ({
  name,
  kind: 'live',
  title: `load ${name}`,
  row: { ratio, deliveredPercent },
  ...more,
});
const widthsOf = (svg, style) =>
  [...svg.matchAll(new RegExp(`<rect class="${style}" x="350" y="\\d+" width="([\\d.]+)"`, 'g'))].map(([, width]) => Number(width));

test('bars are as long as the ratios, by load and peer', () => {
  const svg = drawChart([
    row('a', 0.5),
    row('a/nchan', 2, { peer: 'nchan', title: '  nginx' }),
    row('b', 1),
    row('b/nchan', 4, { peer: 'nchan', title: '  nginx' }),
  ]);
  const [half, whole] = widthsOf(svg, 'sluice');
  const [double, fourfold] = widthsOf(svg, 'nchan');
  assert.deepEqual([whole / half, double / half, fourfold / half].map(Math.round), [2, 4, 8]);
});

test('who did not deliver everything is told so', () => {
  const svg = drawChart([row('a', 0.5), row('a/node', 1.5, { peer: 'node', title: '  Node', deliveredPercent: 99.99 })]);
  assert.match(svg, />1\.50, delivers 99 %</);
  assert.match(svg, />0\.50</);
});

test('who brings events seconds late is told so', () => {
  const late = row('a', 1);
  late.row.p99Ms = 3854.8;
  const svg = drawChart([late, row('b', 0.5)]);
  assert.match(svg, />1\.00, 3\.9 s late</);
  assert.match(svg, />0\.50</);
});

test('rows without a ratio, floors and other kinds are left out', () => {
  const others = [row('a', undefined), row('f', 1, { isFloor: true }), row('s', 1, { kind: 'storm' })];
  assert.deepEqual(widthsOf(drawChart([row('b', 1), ...others]), 'sluice').length, 1);
});

test('titles cannot break the file', () => {
  assert.match(drawChart([row('a<b>&', 1)]), />load a&lt;b>&amp;</);
});
