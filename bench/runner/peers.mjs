// Other programs that do the same work, on the same loads: started like Sluice, from what package registries have.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { startTool } from './harness.mjs';
import { Process, untilListening } from './processes.mjs';

const FOLDER = fileURLToPath(new URL('../peers', import.meta.url));
const SYSTEM_PATH = `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin`; // Debian keeps servers in sbin
const NCHAN_MODULE = 'ngx_nchan_module.so';

/** Where nginx looks for modules, or undefined without nginx. */
function nginxModules() {
  try {
    const command = ['-c', 'nginx -V 2>&1'];
    const text = execFileSync('sh', command, { encoding: 'utf8', env: { ...process.env, PATH: SYSTEM_PATH } });
    return /--modules-path=(\S+)/.exec(text)?.[1];
  } catch {
    return undefined;
  }
}

/** One worker: with two, nchan passes events from one to the other, which costs it more and delivers no sooner. */
const nginxSettings = (modules, folder, port) => `
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log error;
load_module ${modules}/${NCHAN_MODULE};
events { worker_connections 19000; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  nchan_shared_memory_size 1024M;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location ~ ^/publish/(\\w+)$ {
      nchan_publisher;
      nchan_channel_id $1;
      nchan_message_buffer_length 10000;
      nchan_message_timeout 24h;
    }
    location ~ ^/stream/(\\w+)$ {
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
      nchan_eventsource_ping_interval 30;
    }
  }
}
`;

/** nginx with nchan keeps its events in its own memory; natspost brings them to it. */
async function startNchan(bench, port) {
  const folder = path.join(bench.logFolder, `nginx-${port}`);
  const settings = path.join(folder, 'nginx.conf');
  mkdirSync(folder);
  writeFileSync(settings, nginxSettings(nginxModules(), folder, port));
  const env = { PATH: SYSTEM_PATH };
  const nginx = new Process('nginx', 'nginx', ['-p', folder, '-c', settings], { env, logFolder: bench.logFolder });
  await untilListening(nginx, port);
  const bridge = startTool(bench, 'natspost', { url: bench.natsUrl, port, path: '/publish/c' });
  await bridge.announced('READY').catch(async (error) => {
    await nginx.stop();
    throw error;
  });
  const atEnd = async () => {
    const { refused, unreadable } = await bridge.result();
    return { refused, unreadable };
  };
  return { processes: [nginx, bridge], load: { port, path: '/stream/c', plain: 1 }, atEnd };
}

async function startNode(bench, port) {
  const env = { PATH: process.env.PATH, PORT: port, NATS_URL: bench.natsUrl, REDIS_URL: bench.redisUrl };
  const script = path.join(FOLDER, 'node-bridge.mjs');
  const server = new Process('node-bridge', process.execPath, [script], { env, logFolder: bench.logFolder });
  await untilListening(server, port);
  return { processes: [server], load: { port, plain: 1 } };
}

/** `missing` says what a peer needs that is not there; `start` gives a subject, as harness.mjs describes it. */
export const peers = {
  nchan: {
    title: 'nginx + nchan',
    missing: () =>
      existsSync(path.join(nginxModules() ?? '', NCHAN_MODULE)) ? undefined : 'nginx with libnginx-mod-nchan',
    start: startNchan,
  },
  node: {
    title: 'Node.js, nats + ioredis',
    missing: () =>
      ['nats', 'ioredis'].every((name) => existsSync(path.join(FOLDER, 'node_modules', name)))
        ? undefined
        : 'its packages (npm ci in bench/peers)',
    start: startNode,
  },
};
