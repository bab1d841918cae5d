// The image's build needs nothing but what .dockerignore lets into its context. Docker itself is not asked for: most machines lack it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { removeDirectory, temporaryDirectory } from '../support/process.mjs';

const ROOT = new URL('../..', import.meta.url).pathname;

const linesOf = (file) => readFileSync(path.join(ROOT, file), 'utf8').split('\n');

/** The names at the top that .dockerignore leaves in the context. */
function contextNames() {
  const patterns = linesOf('.dockerignore').filter((line) => line && !line.startsWith('#'));
  assert.equal(patterns[0], '*');
  return patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1));
}

/** The instructions of the image's first stage, up to its compilation. */
function buildStage() {
  const lines = linesOf('Dockerfile');
  return lines.slice(
    lines.findIndex((line) => /^FROM .* AS build$/.test(line)) + 1,
    lines.findIndex((line) => line.startsWith('RUN ./dev build ')),
  );
}

const isNoBuild = (source) => !/\/(build(-\w+)?|node_modules|secrets)$/.test(source);

test("the image's build has all the files that it needs", () => {
  const folder = temporaryDirectory('image');
  const take = (name) => cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true, filter: isNoBuild });
  const run = (command) => execFileSync('sh', ['-c', command], { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
  try {
    for (const line of buildStage()) {
      const [instruction, ...words] = line.split(' ');
      if (instruction === 'COPY') (words[0] === '.' ? contextNames() : words.slice(0, -1)).forEach(take);
      if (instruction === 'RUN') run(words.join(' ').split(' && ')[0]);
    }
    run('cmake --preset release --log-level=NOTICE');
    const steps = run('cmake --build --preset release --target sluice sluice-demo -- -n');
    assert.match(steps, /Linking C executable sluice/);
    assert.match(run('./dev help'), /^Usage: /);
  } finally {
    removeDirectory(folder);
  }
});
