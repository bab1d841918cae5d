// What every test of an attack needs: a bystander whose stream must not notice it, and answers read as they come.

import assert from 'node:assert/strict';
import { assertExactly, range } from './events.mjs';
import { HttpConnection } from './http.mjs';
import { eventually, within } from './wait.mjs';

/** Closes the connection once it is answered: put behind an attack, it shows whether anything behind it is answered. */
export const HIDDEN = 'GET /stream/health/live HTTP/1.1\r\nHost: hidden\r\nConnection: close\r\n\r\n';

const REASONS = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
};

/** That an answer, of a request or of an SseClient, is the JSON error of that status. */
export function assertRefused(answer, status, what = '') {
  const text = answer.errorBody ?? answer.body;
  assert.equal(answer.status, status, `${what}: ${text}`);
  assert.equal(answer.headers.get('Content-Type'), 'application/json; charset=utf-8', what);
  const body = JSON.parse(text);
  assert.deepEqual(Object.keys(body), ['error', 'message'], what);
  assert.equal(body.error, REASONS[status], what);
  assert.equal(answer.headers.has('WWW-Authenticate'), status === 401, what);
  assert.equal(answer.headers.has('Retry-After'), [429, 503].includes(status), what);
  return body;
}

export function untilDescriptors(sluice, count, what) {
  return eventually(() => {
    const open = sluice.openDescriptors();
    if (open !== count) throw new Error(`${open} descriptors are open`);
    return true;
  }, `${count} open descriptors ${what}`);
}

/** Waits until that many streams are open, as health says, which asks for no credentials. */
export function untilStreams(sluice, count) {
  return eventually(async () => {
    const { activeConnections } = (await sluice.health()).streaming;
    if (activeConnections !== count) throw new Error(`${activeConnections} streams are open`);
    return true;
  }, `${count} streams`);
}

/** The number of descriptors, once it no longer changes. */
export async function steadyDescriptors(sluice) {
  let seen = [];
  await eventually(() => {
    seen = [...seen.slice(-3), sluice.openDescriptors()];
    return seen.length === 4 && seen.every((count) => count === seen[0]);
  }, 'a steady number of descriptors');
  return seen[0];
}

/**
 * A bridge with a stream of the company `witness`, which the attacker has nothing to do with. `headers` are the
 * witness's credentials; with `more` replicas, each has a witness of its own. `holds()` is what must be true behind
 * every attack: the witnesses get each event exactly once, Sluice says that it is well, no descriptor is left behind,
 * and no sanitizer has spoken.
 */
export async function besieged(world, { store = 'memory', env, wrapper, headers = [], replicas = 1, nats, redis } = {}) {
  nats ??= await world.nats();
  redis ??= store === 'redis' ? await world.redis() : undefined;
  const publisher = await world.publisher(nats);
  const posts = [];
  for (let i = 0; i < replicas; i++) {
    const sluice = await world.sluice({ nats, redis, env, wrapper });
    posts.push({ sluice, witness: await world.liveStream(sluice, { company: 'witness', headers }) });
  }
  const witnesses = posts.map(({ witness }) => witness);
  let published = 0;
  const publish = async (count) => {
    await publisher.publishPaced('witness', published + 1, published + count, witnesses);
    published += count;
    for (const witness of witnesses) assertExactly(witness, range(1, published));
  };
  await publish(3);
  for (const post of posts) post.descriptors = await steadyDescriptors(post.sluice);
  const holds = async (what = 'behind the attack') => {
    await publish(5);
    for (const { sluice, descriptors } of posts) {
      // Of several on one Redis the last one has the store; the others are degraded.
      if (sluice === posts.at(-1).sluice) await sluice.untilHealth('ok');
      else assert.equal((await sluice.get('/stream/health')).status, 200);
      await untilDescriptors(sluice, descriptors, what);
      await untilStreams(sluice, 1);
      sluice.checkOutput();
    }
  };
  return { nats, redis, publisher, sluice: posts[0].sluice, sluices: posts.map(({ sluice }) => sluice), holds, publish };
}

/** Sends bytes on a connection of their own and waits until the server closes it: the text of all that came. */
export async function exchange(world, sluice, text) {
  const connection = new HttpConnection(sluice.port);
  world.own(() => connection.destroy());
  await within(connection.connected, 'a connection');
  connection.send(Buffer.from(text, 'latin1'));
  const bytes = await connection.untilClosed();
  connection.destroy();
  return bytes.toString('latin1');
}

/**
 * The statuses of the answers in that text. libmicrohttpd 0.9.75 sends the head of some of its own error pages twice:
 * that counts as one.
 */
export function statusesOf(text) {
  const heads = text.split(/(?=HTTP\/1\.[01] \d{3} )/).filter(Boolean);
  for (const head of heads) assert.match(head, /^HTTP\/1\.[01] \d{3} /, JSON.stringify(text.slice(0, 200)));
  const once = heads.filter((head, i) => !heads[i + 1]?.startsWith(head.trimEnd()) || !head.endsWith('\r\n\r\n'));
  return once.map((head) => Number(head.slice(9, 12)));
}
