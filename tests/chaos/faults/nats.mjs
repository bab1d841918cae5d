// NATS is killed, stopped, asked to retire, or flooded with messages.

import { pause } from '../../support/wait.mjs';

export const natsFaults = {
  'nats-kill': {
    async run({ nats, random, hold, logs }) {
      await nats.kill();
      await pause(random.between(300, hold(3000)));
      await nats.start();
      logs.begin('nats', nats.child);
    },
  },
  'nats-hang': {
    async run({ nats, hold }) {
      nats.hang();
      await pause(hold(10_000));
      nats.wake();
    },
  },
  'nats-lame-duck': {
    quick: false, // half a minute at least: NATS's own rule
    async run({ nats, logs }) {
      nats.child.signal('SIGUSR2');
      await nats.child.ended;
      await nats.start();
      logs.begin('nats', nats.child);
    },
  },
  flood: {
    async run(world) {
      const count = world.short ? 50_000 : 200_000;
      const ms = await world.flood(count);
      world.tally.note(`${count} messages in ${ms} ms`);
    },
  },
};
