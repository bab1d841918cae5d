// A Redis Cluster of real servers: masters that share the slots evenly, and a replica for each where a test wants one.

import { freePort } from './process.mjs';
import { Redis, RedisError } from './resp.mjs';
import { RedisServer } from './servers.mjs';
import { eventually } from './wait.mjs';

const SLOTS = 16_384;
const NODE_TIMEOUT_MS = 1500;

class ClusterNode extends RedisServer {
  arguments(port) {
    return [
      ...super.arguments(port),
      ...['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-port', String(this.busPort)],
      ...['--cluster-node-timeout', String(NODE_TIMEOUT_MS), '--cluster-replica-validity-factor', '0'],
    ];
  }

  async start() {
    this.busPort ??= await freePort();
    await super.start();
    this.id = await this.command('CLUSTER', 'MYID');
    return this;
  }
}

export class RedisCluster {
  /** `replicas` is how many each of the `masters` has; `settings` are further arguments, by the number of a node. */
  constructor({ masters = 3, replicas = 0, durable = false, settings = () => [] } = {}) {
    let count = 0;
    const node = () => new ClusterNode({ durable, settings: settings(count++) });
    this.masters = Array.from({ length: masters }, node);
    this.replicas = Array.from({ length: masters * replicas }, node);
  }

  get nodes() {
    return [...this.masters, ...this.replicas];
  }

  async start() {
    const { masters, replicas, nodes } = this;
    await Promise.all(nodes.map((node) => node.start()));
    for (const [i, node] of nodes.entries()) await node.command('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
    for (const [i, node] of masters.entries()) {
      const first = Math.floor((i * SLOTS) / masters.length);
      const last = Math.floor(((i + 1) * SLOTS) / masters.length) - 1;
      await node.command('CLUSTER', 'ADDSLOTSRANGE', first, last);
    }
    for (const node of nodes.slice(1)) {
      await node.command('CLUSTER', 'MEET', '127.0.0.1', masters[0].port, masters[0].busPort);
    }
    await this.untilComplete();
    for (const [i, node] of replicas.entries()) await node.command('CLUSTER', 'REPLICATE', masters[i % masters.length].id);
    for (const node of replicas) {
      await eventually(async () => (await node.command('INFO', 'replication')).includes('master_link_status:up'), 'a replica');
    }
    return this;
  }

  /** Waits until all nodes that run know each other and all slots are served. */
  untilComplete() {
    const nodes = this.nodes.filter((node) => !node.child.exit);
    return eventually(async () => {
      for (const node of nodes) {
        const info = await node.command('CLUSTER', 'INFO');
        if (!info.includes('cluster_state:ok')) throw new Error(info.split('\r\n')[0]);
        if (!info.includes(`cluster_known_nodes:${this.nodes.length}\r`)) throw new Error('some do not know the others');
      }
      return true;
    }, 'the cluster to be complete');
  }

  get url() {
    return `redis+cluster://${this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  }

  /** One command, at whichever node that runs has its key. */
  async command(...words) {
    let port = this.nodes.find((node) => !node.child.exit).port;
    for (;;) {
      try {
        return await new Redis(port).command(...words);
      } catch (error) {
        const moved = error instanceof RedisError && /^MOVED \d+ .*:(\d+)$/.exec(error.message);
        if (!moved) throw error;
        port = Number(moved[1]);
      }
    }
  }

  untilStored(company, count) {
    return RedisServer.prototype.untilStored.call(this, company, count);
  }

  async slotOf(key) {
    return this.masters[0].command('CLUSTER', 'KEYSLOT', key);
  }

  /** The master that has the key's slot. */
  async masterOf(key) {
    const slot = await this.slotOf(key);
    const running = this.nodes.find((node) => !node.child.exit);
    const ranges = await running.command('CLUSTER', 'SLOTS');
    const [, , [, port]] = ranges.find(([first, last]) => first <= slot && slot <= last);
    return this.nodes.find((node) => node.port === port);
  }

  /** Moves a slot from one master to another, and lets `between` act while it is on its way: before, within and behind. */
  async moveSlot(slot, from, to, between = async () => {}) {
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
    await between('begun');
    for (;;) {
      const keys = await from.command('CLUSTER', 'GETKEYSINSLOT', slot, 1);
      if (!keys.length) break;
      await from.command('MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...keys);
      await between('key');
    }
    await between('emptied');
    await to.command('CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
    await from.command('CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
    await between('moved');
  }

  async kill() {
    for (const node of this.nodes) await node.kill();
  }

  async dispose() {
    for (const node of this.nodes) await node.dispose();
  }
}
