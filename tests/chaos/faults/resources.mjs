// A replica that is short of descriptors or memory, or whose clock is wrong.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pause } from '../../support/wait.mjs';

const MEMORY_LEFT_BYTES = 2 * 1024 * 1024;

/** Sets a soft limit of a running process; `unlimited` or a number. */
function limit(pid, resource, value) {
  execFileSync('prlimit', ['--pid', String(pid), `--${resource}=${value}:`]);
}

function softLimit(pid, name) {
  return new RegExp(`^${name} +(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))[1];
}

/** What RLIMIT_DATA counts: all that the process may write to and shares with nobody, reserved heaps left out. */
function dataBytes(pid) {
  return Number(/^VmData:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
}

/** libfaketime of the Debian package, or undefined. */
function fakeTimeLibrary() {
  const folder = '/usr/lib';
  for (const entry of readdirSync(folder)) {
    const file = path.join(folder, entry, 'faketime', 'libfaketimeMT.so.1');
    if (existsSync(file)) return file;
  }
  return undefined;
}

const wantsPlainBuild = (world) => (world.isSanitized ? 'a sanitizer has its own way with memory' : undefined);

export const resourceFaults = {
  // A running replica gets no descriptor any more, while half of its clients come back.
  descriptors: {
    async run(world) {
      const replica = await world.replicas.owner();
      const before = softLimit(replica.pid, 'Max open files');
      const { sluice } = replica;
      world.balancer.cut(() => world.random.next() < 0.5);
      await pause(300);
      limit(replica.pid, 'nofile', sluice.openDescriptors() + 10);
      await pause(world.hold(4000));
      limit(replica.pid, 'nofile', before);
    },
  },
  // A replica that was started with room for few streams.
  'few-descriptors': {
    quick: false,
    async run(world) {
      const replica = await world.replicas.owner();
      await replica.restart({ wrapper: ['prlimit', '--nofile=80:80'] });
      await pause(world.hold(6000));
      await replica.restart();
    },
  },
  // A running replica gets no memory any more, while a flood comes and half of its clients come back.
  memory: {
    possible: wantsPlainBuild,
    async run(world) {
      const replica = await world.replicas.owner();
      const { pid } = replica;
      limit(pid, 'data', dataBytes(pid) + MEMORY_LEFT_BYTES);
      world.balancer.cut(() => world.random.next() < 0.5);
      const flooded = world.flood(20_000, 'm'.repeat(1000));
      await pause(world.hold(6000));
      if (replica.pid === pid) limit(pid, 'data', 'unlimited');
      await flooded;
    },
  },
  // The clock goes back an hour under a replica that runs, and is right again after its next start.
  clock: {
    possible: (world) => wantsPlainBuild(world) ?? (fakeTimeLibrary() ? undefined : 'the package libfaketime is not installed'),
    async run(world) {
      const replica = await world.replicas.owner();
      const file = path.join(world.logs.directory, 'faketime');
      writeFileSync(file, '+0\n');
      await replica.restart({
        env: {
          LD_PRELOAD: fakeTimeLibrary(),
          FAKETIME_TIMESTAMP_FILE: file,
          FAKETIME_CACHE_DURATION: '1',
          DONT_FAKE_MONOTONIC: '1',
        },
      });
      await world.replicas.untilHealthy();
      await pause(1000);
      writeFileSync(file, '-3600\n');
      await pause(world.hold(6000));
      await replica.restart();
    },
  },
};
