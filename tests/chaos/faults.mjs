// All faults, by name. Each is {
//   run(world)     brings it about, lasts as long as it lasts, and undoes it
//   settleMs       how long the world runs on afterwards, once all is well and all clients have caught up
//   keepsData      whether NATS and Redis have everything afterwards: with JetStream no event may be missing then
//   quick          whether the short mode has it
//   possible(world) (optional) says why it cannot be had here, or undefined
// }.

import { natsFaults } from './faults/nats.mjs';
import { redisFaults } from './faults/redis.mjs';
import { replicaFaults } from './faults/replicas.mjs';
import { resourceFaults } from './faults/resources.mjs';

const DEFAULTS = { settleMs: 1000, keepsData: true, quick: true };

export const faults = new Map(
  Object.entries({ ...replicaFaults, ...natsFaults, ...redisFaults, ...resourceFaults }).map(([name, fault]) => [
    name,
    { name, ...DEFAULTS, ...fault },
  ]),
);
