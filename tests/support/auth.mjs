// What tests of credentials have in common: how a refusal looks, and that a secret is nowhere to be seen.

import assert from 'node:assert/strict';
import { request } from './http.mjs';

export const ADMIN_KEY = 'an-administrator-of-the-tests-0123456789';

const ERRORS = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
};

export const OTHER_COMPANY = 'You can only stream events for your own company';

/** Asks for a stream and reads a short answer: for requests that are refused. */
export function ask(sluice, { company, headers = [], query = [], ...options } = {}) {
  const pairs = company === undefined ? query : [['companyId', company], ...query];
  const target = `/stream/updates?${pairs.map(([name, value]) => `${name}=${value}`).join('&')}`;
  return request(sluice.port, { target, headers, ...options });
}

/** A refusal as users see it: JSON of two members, with what its status asks for in the head. Gives the message. */
export function assertRefused(answer, status, what = '') {
  assert.equal(answer.status, status, `${what}: ${answer.body}`);
  assert.match(answer.headers.get('Content-Type') ?? '', /^application\/json/i, what);
  const body = answer.json();
  assert.deepEqual(Object.keys(body).sort(), ['error', 'message'], what);
  assert.equal(body.error, ERRORS[status], what);
  assert.ok(body.message.length > 0, what);
  if (status === 401) assert.match(answer.headers.get('WWW-Authenticate') ?? '', /^[A-Za-z]+ realm="sluice"$/, what);
  else assert.equal(answer.headers.has('WWW-Authenticate'), false, what);
  if ([429, 503].includes(status)) assert.match(answer.headers.get('Retry-After') ?? '', /^[1-9]\d*$/, what);
  return body.message;
}

/** That none of the texts, nor a token's segments, stand in what Sluice says: its log, its metrics, its numbers. */
export async function assertUnseen(sluice, texts) {
  const said = {
    log: sluice.child.stderr + sluice.child.stdout,
    metrics: (await sluice.get('/metrics')).body,
    stats: (await sluice.get('/stream/stats')).body,
    health: (await sluice.get('/stream/health')).body,
  };
  const secrets = texts.flatMap((text) => [text, ...text.split('.')]).filter((text) => text.length >= 8);
  assert.ok(secrets.length > 0);
  for (const [place, text] of Object.entries(said)) {
    assert.ok(text.length > 0, place);
    for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} stands in the ${place}`);
  }
}
