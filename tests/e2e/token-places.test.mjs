// AUTH_MODE=jwt: where a token may stand, and which pages may let their browser send it.

import assert from 'node:assert/strict';
import { ADMIN_KEY, ask, assertRefused, assertUnseen } from '../support/auth.mjs';
import { forEachCase } from '../support/cases.mjs';
import { bearer, JWT_ENV, token } from '../support/tokens.mjs';
import { e2e } from '../support/world.mjs';

const PAGE = 'https://app.example';
const COOKIE_ENV = { ...JWT_ENV, ADMIN_KEY, AUTH_COOKIE: 'sluice_token', CORS_ORIGINS: PAGE };
const acme = (more) => token({ companyId: 'acme', ...more });
const cookie = (text, name = 'sluice_token') => ['Cookie', `${name}=${text}`];

e2e('the scheme of Authorization may be in any case', async (world) => {
  const { sluice } = await world.bridge({ env: JWT_ENV });
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR', 'Bearer  ']) {
    const client = await world.liveStream(sluice, { headers: [['authorization', `${scheme} ${acme()}`]] });
    client.leave();
  }
  for (const value of [acme(), `Bearer${acme()}`, `Token ${acme()}`, `Bearer, ${acme()}`, 'Bearer', '']) {
    assertRefused(await ask(sluice, { headers: [['Authorization', value]] }), 401, value.slice(0, 12));
  }
  assertRefused(await ask(sluice, { headers: [bearer(acme()), bearer(acme())] }), 400, 'twice');
});

e2e('a page that CORS_ORIGINS names opens streams with its cookie', async (world) => {
  const { sluice } = await world.bridge({ env: COOKIE_ENV });
  const headers = [['Origin', PAGE], ['Sec-Fetch-Site', 'cross-site'], cookie(acme())];
  const client = await world.liveStream(sluice, { company: 'acme', headers });
  assert.equal(client.headers.get('Access-Control-Allow-Origin'), PAGE);
  assert.equal(client.headers.get('Access-Control-Allow-Credentials'), 'true');
  assert.ok(client.headers.list('Vary').includes('origin'));
  const preflight = await ask(sluice, { company: 'acme', method: 'OPTIONS', headers: [['Origin', PAGE]] });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('Access-Control-Allow-Origin'), PAGE);
  assert.equal(preflight.headers.get('Access-Control-Allow-Credentials'), 'true');
  const refused = await ask(sluice, { company: 'acme', headers: [['Origin', PAGE]] });
  assertRefused(refused, 401, 'without the cookie');
  assert.equal(refused.headers.get('Access-Control-Allow-Credentials'), 'true', 'the page may read why');
});

e2e('the cookie is found among others, and is taken as it stands', async (world) => {
  const { sluice } = await world.bridge({ env: COOKIE_ENV });
  const good = [
    `a=b; sluice_token=${acme()}`,
    `sluice_token=${acme()}; a=b`,
    `a=b;sluice_token=${acme()};c=d`,
    `xsluice_token=no; sluice_token=${acme()} ; sluice_token2=no`,
  ];
  await forEachCase(good, async (value) => {
    const client = await world.liveStream(sluice, { headers: [['Cookie', value]] });
    client.leave();
  });
  const none = [`Sluice_token=${acme()}`, `sluice_token2=${acme()}`, `a=sluice_token=${acme()}`, 'sluice_token', 'sluice_token='];
  await forEachCase(none, async (value) => assertRefused(await ask(sluice, { headers: [['Cookie', value]] }), 401, value));
  const twice = `sluice_token=${acme()}; sluice_token=${acme({ companyId: 'other' })}`;
  assertRefused(await ask(sluice, { headers: [['Cookie', twice]] }), 400, 'two of the name');
  assertRefused(await ask(sluice, { headers: [cookie(acme()), cookie(acme())] }), 400, 'in two headers');
});

e2e('pages that CORS_ORIGINS does not name cannot use the cookie', async (world) => {
  const { sluice } = await world.bridge({ env: COOKIE_ENV });
  const origins = ['https://evil.example', 'https://app.example.evil.org', 'http://app.example', 'null', `${PAGE}:8443`];
  await forEachCase(origins, async (origin) => {
    const answer = await ask(sluice, { company: 'acme', headers: [['Origin', origin], cookie(acme())] });
    assertRefused(answer, 403, origin);
    assert.equal(answer.headers.has('Access-Control-Allow-Origin'), false);
    assert.equal(answer.headers.has('Access-Control-Allow-Credentials'), false);
  });
  await forEachCase(['cross-site', 'same-site', 'anything'], async (site) => {
    assertRefused(await ask(sluice, { headers: [['Sec-Fetch-Site', site], cookie(acme())] }), 403, site);
  });
  const lie = [['Origin', 'https://evil.example'], ['Origin', PAGE], cookie(acme())];
  assertRefused(await ask(sluice, { headers: lie }), 403, 'two origins');
  // Another page's script that has the token itself may use it: that is what Authorization is for.
  const client = await world.liveStream(sluice, { headers: [['Origin', 'https://evil.example'], bearer(acme())] });
  client.leave();
});

e2e('a page of our own origin opens streams and tickets with its cookie', async (world) => {
  const { sluice } = await world.bridge({ env: COOKIE_ENV });
  for (const site of [['Sec-Fetch-Site', 'same-origin'], ['Sec-Fetch-Site', 'none'], ['X-Nothing', '1']]) {
    const client = await world.liveStream(sluice, { headers: [site, cookie(acme())] });
    client.leave();
  }
  // Browsers send an Origin with each POST, also with those to the page's own server.
  const own = [['Origin', `http://localhost:${sluice.port}`], ['Sec-Fetch-Site', 'same-origin'], cookie(acme())];
  const ticket = await ask(sluice, { method: 'POST', target: '/stream/ticket', headers: own });
  assert.equal(ticket.status, 200, ticket.body);
});

e2e('without AUTH_COOKIE no cookie is taken', async (world) => {
  const { sluice } = await world.bridge({ env: { ...JWT_ENV, CORS_ORIGINS: PAGE } });
  for (const name of ['sluice_token', 'token', 'Authorization']) {
    assertRefused(await ask(sluice, { headers: [cookie(acme(), name)] }), 401, name);
  }
  const preflight = await ask(sluice, { method: 'OPTIONS', headers: [['Origin', PAGE]] });
  assert.equal(preflight.headers.has('Access-Control-Allow-Credentials'), false);
});

e2e('Authorization wins over the cookie', async (world) => {
  const { sluice } = await world.bridge({ env: COOKIE_ENV });
  const client = await world.liveStream(sluice, { headers: [cookie(acme({ companyId: 'other' })), bearer(acme())] });
  assert.equal((await client.ready()).companyId, 'acme');
  assertRefused(await ask(sluice, { headers: [cookie(acme()), bearer('nothing')] }), 401);
});

e2e('a token in the query is refused, unless that is allowed', async (world) => {
  const query = () => [['access_token', acme()]];
  const closed = await world.bridge({ env: { ...JWT_ENV, ADMIN_KEY, LOG_LEVEL: 'debug' } });
  const refused = query();
  const message = assertRefused(await ask(closed.sluice, { query: refused }), 400);
  assert.match(message, /ALLOW_QUERY_TOKEN/);
  assertRefused(await ask(closed.sluice, { query: refused, headers: [bearer(acme())] }), 400, 'beside a good one');
  await assertUnseen(closed.sluice, [refused[0][1]]);

  const open = await world.bridge({ env: { ...JWT_ENV, ADMIN_KEY, ALLOW_QUERY_TOKEN: 'true', LOG_LEVEL: 'debug' } });
  const taken = query();
  await world.liveStream(open.sluice, { company: 'acme', query: taken });
  assertRefused(await ask(open.sluice, { query: [...taken, ...taken] }), 400, 'twice');
  const bad = [['access_token', acme({ exp: 1 })]];
  assertRefused(await ask(open.sluice, { query: bad }), 401, 'expired');
  assertRefused(await ask(open.sluice, { query: [['access_token', '']] }), 401, 'empty');
  await assertUnseen(open.sluice, [taken[0][1], bad[0][1]]);
});

e2e('AUTH_MODE=none looks at no credentials: those are for whoever stands in front', async (world) => {
  const { sluice } = await world.bridge();
  const headers = [
    ['Authorization', 'Basic YWNtZTpzZWNyZXQ='],
    ['Authorization', 'Bearer nothing'],
    ['x-api-key', 'nothing'],
    ['Cookie', 'sluice_token=nothing'],
  ];
  for (const header of headers) {
    const client = await world.liveStream(sluice, { company: 'acme', headers: [header] });
    client.leave();
    assert.equal((await ask(sluice, { target: '/stream/stats', headers: [header] })).status, 200, header[0]);
  }
});
