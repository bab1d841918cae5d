// NATS is killed, stopped, asked to retire, or flooded with messages; a cluster loses members.

import { pause } from '../../support/wait.mjs';

/* What a member of a cluster confirms to a publisher and then takes with it, nobody else can know of. */
const wantsLoneServer = (world) => (world.cluster ? 'publishers are at one member of a cluster' : undefined);

export const natsFaults = {
  // All members but that of the publishers, one after the other, so that most replicas have to find another one.
  'nats-members': {
    possible: (world) => (world.cluster ? undefined : 'there is one NATS server: --nats-cluster'),
    async run({ cluster, random, hold, logs, replicas }) {
      for (const [index, member] of random.shuffled([...cluster.servers.entries()].slice(1))) {
        await member.kill();
        await pause(random.between(300, hold(3000)));
        await replicas.untilHealthy();
        await member.start();
        logs.begin(`nats-${index}`, member.child);
        await cluster.untilWhole();
      }
    },
  },
  'nats-kill': {
    possible: wantsLoneServer,
    async run({ nats, random, hold, logs }) {
      await nats.kill();
      await pause(random.between(300, hold(3000)));
      await nats.start();
      logs.begin('nats', nats.child);
    },
  },
  'nats-hang': {
    possible: wantsLoneServer,
    async run({ nats, hold }) {
      await nats.hang();
      await pause(hold(10_000));
      nats.wake();
    },
  },
  'nats-lame-duck': {
    possible: wantsLoneServer,
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
