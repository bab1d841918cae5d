// The chart for the README: CPU for each delivery as a ratio to the floor, Sluice beside the peers. One SVG file that follows
// the reader's light or dark colours.

const WIDTH = 760;
const LABEL_X = 16;
const BARS_X = 350;
const BARS_WIDTH = 280;
const LATE_MS = 1000; // a p99 that makes live events worth little
const BAR_HEIGHT = 14;
const BAR_STEP = 18;
const GROUP_GAP = 16;
const TOP = 84;
const BOTTOM = 34;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .small { font-size: 12px; fill: #59636e; }
  .floor { stroke: #59636e; stroke-dasharray: 4 3; opacity: 0.6; }
  .sluice { fill: #0a6ebd; }
  .nchan { fill: #9a6700; }
  .node { fill: #7d8590; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .small { fill: #9198a1; }
    .floor { stroke: #9198a1; }
    .sluice { fill: #4aa8ff; }
    .nchan { fill: #d29922; }
    .node { fill: #768390; }
  }`;

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** The rows with a ratio, Sluice's first, by load. */
function groupsOf(results) {
  const drawn = results.filter((result) => result.kind === 'live' && !result.isFloor && result.row.ratio > 0);
  const own = drawn.filter((result) => !result.peer);
  return own.map((first) => ({
    title: first.title,
    bars: [first, ...drawn.filter((result) => result.name.startsWith(`${first.name}/`))].map((result) => ({
      name: result.peer ? result.title.trim() : 'Sluice',
      style: result.peer ?? 'sluice',
      ratio: result.row.ratio,
      delivered: result.row.deliveredPercent,
      p99Ms: result.row.p99Ms,
    })),
  }));
}

/** What stands behind a bar. Who loses events, or brings them late, does another work, which its bar does not show. */
function noteOf({ ratio, delivered, p99Ms }) {
  if (delivered < 100) return `${ratio.toFixed(2)}, delivers ${Math.floor(delivered)} %`;
  return p99Ms > LATE_MS ? `${ratio.toFixed(2)}, ${(p99Ms / 1000).toFixed(1)} s late` : ratio.toFixed(2);
}

function drawBar(bar, y, scale) {
  const width = Math.max(1, bar.ratio * scale);
  return [
    `<rect class="${bar.style}" x="${BARS_X}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
    `<text class="small" x="${(BARS_X + width + 6).toFixed(1)}" y="${y + 11}">${noteOf(bar)}</text>`,
  ];
}

function drawLegend(bars) {
  let x = LABEL_X;
  return bars.flatMap(({ name, style }) => {
    const at = x;
    x += 34 + name.length * 7;
    return [
      `<rect class="${style}" x="${at}" y="50" width="12" height="12" rx="2"/>`,
      `<text x="${at + 18}" y="61">${escaped(name)}</text>`,
    ];
  });
}

/** Gives the file's text. */
export function drawChart(results) {
  const groups = groupsOf(results);
  const bars = groups.flatMap((group) => group.bars);
  const scale = BARS_WIDTH / Math.max(1.2, ...bars.map((bar) => bar.ratio));
  const legend = bars.filter((bar, at) => bars.findIndex((other) => other.style === bar.style) === at);
  const parts = [];
  let y = TOP;
  for (const { title, bars: own } of groups) {
    parts.push(`<text x="${LABEL_X}" y="${y + 12}">${escaped(title)}</text>`);
    for (const bar of own) {
      parts.push(...drawBar(bar, y, scale));
      y += BAR_STEP;
    }
    y += GROUP_GAP;
  }
  const floorX = (BARS_X + scale).toFixed(1);
  const height = y + BOTTOM;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">
<title>CPU for each delivery, as a ratio to one send() of the floor</title>
<style>${STYLE}
</style>
<text class="title" x="${LABEL_X}" y="28">CPU for each delivery, as a ratio to the floor; shorter is better</text>
<line class="floor" x1="${floorX}" x2="${floorX}" y1="${TOP - 8}" y2="${y}"/>
${[...drawLegend(legend), ...parts].join('\n')}
<text class="small" x="${floorX}" y="${y + 14}" text-anchor="middle">floor: one send() for each event and stream = 1</text>
</svg>
`;
}
