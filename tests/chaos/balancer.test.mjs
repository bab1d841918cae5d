// The balancer hands connections to those who can answer, and swallows none.

import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { afterEach, test } from 'node:test';
import { eventually, within } from '../support/wait.mjs';
import { Balancer } from './balancer.mjs';

let owned = [];

afterEach(async () => {
  for (const dispose of owned.reverse()) await dispose();
  owned = [];
});

/** A server that answers with its name; `ready` may be changed. */
async function backend(name) {
  const self = { ready: true };
  const server = http.createServer((request, response) => {
    if (request.url === '/stream/health/ready' && !self.ready) response.statusCode = 503;
    if (request.url === '/stream') response.write(name); // and no end
    else response.end(name);
  });
  return listen(self, server);
}

/** A server that takes connections and says nothing, as a stopped process does. */
function silent() {
  return listen({}, net.createServer(() => {}));
}

async function listen(self, server) {
  const sockets = new Set();
  server.on('connection', (socket) => sockets.add(socket.on('error', () => {})));
  await new Promise((resolve) => server.listen({ port: 0, host: '127.0.0.1' }, resolve));
  self.port = server.address().port;
  self.close = () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  };
  owned.push(() => (server.listening ? self.close() : undefined));
  return self;
}

async function balance(...ports) {
  const balancer = await new Balancer().start();
  owned.push(() => balancer.dispose());
  ports.forEach((port, index) => balancer.set(index, port));
  return balancer;
}

/** Who answers; rejects where the connection is cut. */
function ask(balancer, path = '/') {
  const answer = new Promise((resolve, reject) => {
    const request = http.get({ port: balancer.port, host: '127.0.0.1', path, agent: false }, (response) => {
      response.setEncoding('utf8').once('data', (text) => resolve({ text, response }));
      response.on('error', () => {});
    });
    request.on('error', reject);
  });
  return within(answer, 'an answer');
}

const name = async (balancer) => (await ask(balancer)).text;

test('open streams are spread over all that are ready', async () => {
  const [a, b] = [await backend('a'), await backend('b')];
  const balancer = await balance(a.port, b.port);
  const names = [];
  for (let i = 0; i < 4; i++) names.push((await ask(balancer, '/stream')).text);
  assert.deepEqual(names.sort(), ['a', 'a', 'b', 'b']);
});

test('one that refuses is passed over at once', async () => {
  const [a, b] = [await backend('a'), await backend('b')];
  const balancer = await balance(a.port, b.port);
  await a.close();
  for (let i = 0; i < 4; i++) assert.equal(await name(balancer), 'b');
});

test('one that asks for no traffic gets none while another one is ready, and all where none is', async () => {
  const [a, b] = [await backend('a'), await backend('b')];
  const balancer = await balance(a.port, b.port);
  a.ready = false;
  await eventually(() => balancer.backends[0].state === 1 && balancer.backends[1].state === 2, 'the probes');
  for (let i = 0; i < 4; i++) assert.equal((await ask(balancer, '/stream')).text, 'b');
  b.ready = false;
  await eventually(() => balancer.backends[1].state === 1, 'the probe');
  assert.equal((await ask(balancer, '/stream')).text, 'a');
});

test('one that takes connections and says nothing gets no new ones soon, and what it got is cut', async () => {
  const [stuck, b] = [await silent(), await backend('b')];
  const balancer = await balance(stuck.port);
  await assert.rejects(ask(balancer), { code: 'ECONNRESET' });
  balancer.set(1, b.port);
  await eventually(() => balancer.backends[0].state === 0, 'the probe');
  for (let i = 0; i < 4; i++) assert.equal(await name(balancer), 'b');
});

test('with nobody there a connection is cut, not kept', async () => {
  const balancer = await balance(undefined);
  await assert.rejects(ask(balancer), { code: 'ECONNRESET' });
  assert.equal(balancer.turned, 1);
});

test('one that comes back at another port is used again', async () => {
  const a = await backend('a');
  const balancer = await balance(a.port);
  await a.close();
  balancer.set(0, undefined);
  await assert.rejects(ask(balancer));
  balancer.set(0, (await backend('a again')).port);
  assert.equal(await name(balancer), 'a again');
});

test('a cut resets open streams, and new ones are taken', async () => {
  const a = await backend('a');
  const balancer = await balance(a.port);
  const { response } = await ask(balancer, '/stream');
  const cut = new Promise((resolve) => response.once('error', resolve));
  balancer.cut();
  assert.equal((await within(cut, 'the cut')).code, 'ECONNRESET');
  assert.equal(await name(balancer), 'a');
});
