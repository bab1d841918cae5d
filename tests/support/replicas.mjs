// Several Sluice processes on one NATS and one Redis.

import { range } from './events.mjs';
import { eventually } from './wait.mjs';

/** Those who number the events now. */
export async function owners(replicas) {
  const alive = replicas.filter((replica) => replica.isRunning);
  const metrics = await Promise.all(alive.map((replica) => replica.metrics()));
  return alive.filter((replica, i) => metrics[i].value('sluice_intake_owner') === 1);
}

/** Waits until exactly one of those that run numbers the events, and all have heard the others. */
export async function settled(replicas) {
  let owner;
  await eventually(async () => {
    const alive = replicas.filter((replica) => replica.isRunning);
    const metrics = await Promise.all(alive.map((replica) => replica.metrics()));
    const owning = alive.filter((replica, i) => metrics[i].value('sluice_intake_owner') === 1);
    if (owning.length !== 1) throw new Error(`${owning.length} owners`);
    for (const values of metrics) {
      const peers = values.value('sluice_replica_peers');
      if (peers !== alive.length - 1) throw new Error(`${peers} peers`);
    }
    [owner] = owning;
    return true;
  }, 'one owner');
  return { owner, followers: replicas.filter((replica) => replica.isRunning && replica !== owner) };
}

/** Replicas on one NATS and one Redis, those that are given or new ones, settled, and a publisher. */
export async function replicated(world, { count = 2, env, durable, config, ...given } = {}) {
  const [nats, redis] = await Promise.all([given.nats ?? world.nats({ config }), given.redis ?? world.redis({ durable })]);
  const replicas = await Promise.all(range(1, count).map(() => world.sluice({ nats, redis, env })));
  await Promise.all(replicas.map((replica) => replica.untilReady()));
  const publisher = await world.publisher(nats);
  return { nats, redis, replicas, publisher, ...(await settled(replicas)) };
}
