// Who may open a stream: replicas that ask for credentials, tickets, revocations, and what a refusal looks like.

import assert from 'node:assert/strict';
import { request } from './http.mjs';
import { parseMetrics } from './prometheus.mjs';
import { bearer, JWT_ENV, token } from './tokens.mjs';
import { eventually } from './wait.mjs';

export const REVOKE_SUBJECT = 'sluice.control.revoke';

/** Settings with which a test can read the metrics although it asks for credentials. */
export const ADMIN_ENV = { ADMIN_BIND_ADDRESS: '127.0.0.1', ADMIN_PORT: '0' };

/** Where administrators ask. */
export async function adminPort(sluice) {
  const isLine = (line) => line.message === 'Administrators are listened to';
  return (await sluice.untilLog(isLine, 'the port of administrators')).port;
}

export async function adminMetrics(sluice) {
  return parseMetrics((await request(await adminPort(sluice), '/metrics')).body);
}

const ERRORS = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
};

/** An error of that status, in the contract's shape, whose message matches. */
export function assertRefused(answer, status, message = /./) {
  const body = answer.body ?? answer.errorBody;
  assert.equal(answer.status, status, body);
  const { error, message: said, ...more } = JSON.parse(body);
  assert.deepEqual([error, more], [ERRORS[status], {}]);
  assert.match(said, message);
  if (status === 401) assert.match(answer.headers.get('WWW-Authenticate') ?? '', /realm="sluice"/);
  if (status === 429 || status === 503) assert.match(answer.headers.get('Retry-After') ?? '', /^[1-9]\d*$/);
}

/** The options of a stream that a token of those claims opens. */
export function asUser(claims, more = {}) {
  return { ...more, headers: [bearer(token(claims)), ...(more.headers ?? [])] };
}

/** Asks for a stream and reads an answer with a length: a refusal, or "come back later". */
export function askForStream(sluice, { headers = [], query = '' } = {}) {
  const target = `/stream/updates${query && `?${query}`}`;
  return request(sluice.port, { target, headers: [['Accept', 'text/event-stream'], ...headers] });
}

/** Asks for a ticket; gives the whole answer. */
export function askForTicket(sluice, { headers = [], query = '' } = {}) {
  const target = `/stream/ticket${query && `?${query}`}`;
  return request(sluice.port, { method: 'POST', target, headers: [['Content-Length', '0'], ...headers] });
}

/** A ticket for those claims. */
export async function ticketFor(sluice, claims) {
  const answer = await askForTicket(sluice, { headers: [bearer(token(claims))] });
  assert.equal(answer.status, 200, answer.body);
  return answer.json().ticket;
}

/** Waits until the replica knows that there are so many that share its Redis. */
export function untilReplicas(sluice, count) {
  const isLine = ({ message, replicas }) => message.startsWith('Streams of users and keys') && replicas === count;
  return sluice.untilLog(isLine, `${count} replicas`);
}

/** NATS, Redis where `store` is `redis`, and `count` replicas of the same settings, which know each other. */
export async function replicas(world, count, { store = 'redis', env: settings = JWT_ENV } = {}) {
  // One of them owns the replay store; the other waits at its end for what it could not append.
  const env = count > 1 ? { DRAIN_SECONDS: '1', ...settings } : settings;
  const { nats, redis, publisher, sluice } = await world.bridge({ store, env });
  const sluices = [sluice];
  while (sluices.length < count) sluices.push(await world.sluice({ nats, redis, env }));
  if (store === 'redis') for (const each of sluices) await untilReplicas(each, count);
  return { nats, redis, publisher, sluices };
}

/** Waits until a stream was ended with that reason. */
export async function untilClosing(client, reason) {
  assert.equal((await client.untilControl('stream.closing')).reason, reason);
  await client.untilClosed();
}

/** Waits for the answer that keeps a browser: 200, a retry:, the end and the close. Gives the retry. */
export async function untilComeBack(client) {
  assert.equal(client.status, 200, client.errorBody);
  await client.untilClosed();
  assert.equal(client.blocks.length, 1, client.summary());
  return client.blocks[0].retry;
}

export function assertOpen(...clients) {
  for (const client of clients) {
    assert.equal(client.closed, false, client.summary());
    assert.deepEqual(client.controls('stream.closing'), []);
  }
}

/** Waits until asking for a stream is refused with that status. */
export function untilRefused(world, sluice, options, status) {
  return eventually(async () => {
    const client = await world.stream(sluice, options);
    client.leave();
    if (client.status !== status) throw new Error(`${client.status} ${client.errorBody}`);
    return true;
  }, `status ${status}`);
}

/** Asks until a stream is let in, and gives it. "Come back later" is not let in, although its status is 200 too. */
export function untilLive(world, sluice, options) {
  return eventually(async () => {
    const client = await world.stream(sluice, options);
    if (client.status !== 200) throw new Error(`${client.status} ${client.errorBody}`);
    if (client.chunks === undefined) throw new Error('to come back later');
    await client.ready();
    return client;
  }, 'a stream');
}

/** Waits until the replica has so many streams: what health says of it needs no credentials. */
export function untilStreams(sluice, count) {
  return eventually(async () => {
    const { activeConnections } = (await sluice.health()).streaming;
    if (activeConnections !== count) throw new Error(`${activeConnections} streams`);
    return true;
  }, `${count} streams`);
}
