// Replicas that are killed, stopped, restarted; connections that are cut.

import { pause } from '../../support/wait.mjs';
import { restartRedis, slowDown } from './redis.mjs';

const wantsFollower = (world) => (world.replicas.list.length > 1 ? undefined : 'there is one replica');

async function killAndRestart(world, replica) {
  await replica.kill();
  await pause(world.random.between(200, world.hold(2000)));
  await replica.start();
}

async function hang(world, replica) {
  await replica.hang();
  await pause(world.short ? 4000 : 20_000);
  replica.wake();
}

export const replicaFaults = {
  'kill-owner': {
    run: async (world) => killAndRestart(world, await world.replicas.owner()),
  },
  'kill-follower': {
    possible: wantsFollower,
    run: async (world) => killAndRestart(world, await world.replicas.follower()),
  },
  'rolling-restart': {
    async run(world) {
      for (const replica of world.replicas.list) {
        await replica.restart();
        await world.replicas.untilHealthy();
      }
    },
  },
  // The replay store answers late at the start, while events come from NATS at once.
  'restart-redis-slow': {
    async run(world) {
      const slow = slowDown(world.redis, world.hold(4000));
      await pause(300);
      await (await world.replicas.owner()).restart();
      await slow;
    },
  },
  // The replay store comes a good while after the start, with everything that it had.
  'restart-redis-away': {
    async run(world) {
      await world.redis.kill();
      await (await world.replicas.owner()).restart();
      await pause(world.hold(4000));
      await restartRedis(world);
    },
  },
  'hang-owner': {
    run: async (world) => hang(world, await world.replicas.owner()),
  },
  'hang-follower': {
    possible: wantsFollower,
    run: async (world) => hang(world, await world.replicas.follower()),
  },
  'cut-clients': {
    async run(world) {
      for (let round = 0; round < 3; round++) {
        world.balancer.cut(() => world.random.next() < 0.7);
        await pause(world.random.between(100, world.hold(1500)));
      }
      world.balancer.cut();
    },
  },
};
