// Redis is killed, stopped, slow, full, emptied, forgets its scripts, loses its last seconds, or has another password.

import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pause } from '../../support/wait.mjs';
import { REDIS_PASSWORD, REDIS_USER } from '../world.mjs';

/** Starts Redis where it was. */
export async function restartRedis({ redis, logs }) {
  await redis.start();
  logs.begin('redis', redis.child);
}

/** Redis takes the commands that wait, and then nothing for 200 ms, again and again. */
export async function slowDown(redis, ms) {
  for (const end = Date.now() + ms; Date.now() < end; ) await redis.command('DEBUG', 'SLEEP', '0.2');
}

export const redisFaults = {
  'redis-kill': {
    async run(world) {
      await world.redis.kill();
      await pause(world.random.between(300, world.hold(4000)));
      await restartRedis(world);
    },
  },
  'redis-lose-tail': {
    keepsData: false,
    async run(world) {
      const { redis } = world;
      const file = (name) => path.join(redis.directory, name);
      cpSync(file('appendonlydir'), file('earlier'), { recursive: true });
      await pause(world.hold(3000));
      await redis.kill();
      rmSync(file('appendonlydir'), { recursive: true });
      cpSync(file('earlier'), file('appendonlydir'), { recursive: true });
      rmSync(file('earlier'), { recursive: true });
      await pause(world.hold(1000));
      await restartRedis(world);
    },
  },
  'redis-hang': {
    async run({ redis, hold }) {
      await redis.hang();
      await pause(hold(6000));
      redis.wake();
    },
  },
  'redis-slow': {
    async run({ redis, hold, balancer, random }) {
      const slow = slowDown(redis, hold(8000));
      await pause(500);
      balancer.cut(() => random.next() < 0.5);
      await slow;
    },
  },
  'redis-flushall': {
    keepsData: false,
    async run({ redis, hold, balancer, random }) {
      await redis.command('FLUSHALL');
      await pause(hold(2000));
      balancer.cut(() => random.next() < 0.5);
    },
  },
  'redis-full': {
    async run({ redis, hold, balancer, random }) {
      await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
      await redis.command('CONFIG', 'SET', 'maxmemory', '1');
      await pause(hold(4000));
      balancer.cut(() => random.next() < 0.5);
      await pause(hold(2000));
      await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    },
  },
  'redis-script-flush': {
    async run({ redis, random }) {
      for (let round = 0; round < 5; round++) {
        await redis.command('SCRIPT', 'FLUSH');
        await pause(random.between(50, 400));
      }
    },
  },
  'redis-password': {
    async run({ redis, hold }) {
      const use = (password) => redis.command('ACL', 'SETUSER', REDIS_USER, 'resetpass', `>${password}`);
      await use('another one');
      await redis.command('CLIENT', 'KILL', 'USER', REDIS_USER);
      await pause(hold(5000));
      await use(REDIS_PASSWORD);
    },
  },
};
