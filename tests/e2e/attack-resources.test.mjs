// Clients that want to use up what Sluice has, or to be counted as somebody else.

import assert from 'node:assert/strict';
import { assertRefused, besieged, untilDescriptors, untilStreams } from '../support/attacks.mjs';
import { forEachCase } from '../support/cases.mjs';
import { assertExactly, range } from '../support/events.mjs';
import { HttpConnection, request, requestBytes } from '../support/http.mjs';
import { bearer, JWT_ENV, token } from '../support/tokens.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const TARGET = '/stream/updates?companyId=acme';
const WITNESS = [bearer(token({ companyId: 'witness', sub: 'w' }))];
const HALF = [
  '',
  'G',
  'GET /stream/updates?companyId=acme HT',
  `GET ${TARGET} HTTP/1.1\r\nHost: x\r\n`,
  `GET ${TARGET} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${'e'.repeat(4000)}`,
  `GET ${TARGET} HTTP/1.1\r\nHost: x\r\n${'X-A: b\r\n'.repeat(50)}`,
  `GET ${TARGET} HTTP/1.1\r\nHost: x\r\n\r`,
];

async function connections(world, sluice, count) {
  const made = [];
  for (let i = 0; i < count; i++) {
    const connection = await HttpConnection.open(sluice.port);
    world.own(() => connection.destroy());
    made.push(connection);
  }
  return made;
}

/** Far more answers than the buffers between take. */
function askAndNeverRead(connection) {
  connection.socket.pause();
  connection.send(Buffer.concat(Array(400).fill(requestBytes({ target: '/metrics' }))));
}

e2e('a thousand half-sent requests cost the streams beside them nothing, and are gone after their time', async (world) => {
  const env = { ...JWT_ENV, REQUEST_HEAD_SECONDS: '2' };
  const { sluice, holds, publish } = await besieged(world, { env, headers: WITNESS });
  for (let round = 0; round < 2; round++) {
    const half = await connections(world, sluice, 1000);
    half.forEach((connection, i) => connection.send(HALF[i % HALF.length]));
    // Beside them streams work, new ones are opened, and pages are read.
    await publish(100);
    const fresh = await world.liveStream(sluice, { company: 'acme', headers: [bearer(token({ companyId: 'acme' }))] });
    await sluice.untilHealth('ok');
    await publish(100);
    fresh.leave();
    for (const connection of half) {
      const bytes = await connection.untilClosed();
      if (bytes.length) assert.match(bytes.toString('latin1'), /^HTTP\/1\.[01] 408 /);
      connection.destroy();
    }
    await holds('behind the half-sent requests');
  }
});

e2e('more half-sent requests than there is room for give way to whole ones', async (world) => {
  const { sluice, holds, publish } = await besieged(world, { env: { REQUEST_HEAD_SECONDS: '600' } });
  const { descriptors } = sluice.logs.find((line) => line.message === 'Descriptors planned');
  const room = Math.min(Math.floor(descriptors / 8), 4096);
  const half = await connections(world, sluice, room + 500);
  half.forEach((connection, i) => connection.send(HALF[i % HALF.length]));
  for (let i = 0; i < 5; i++) {
    const fresh = await world.liveStream(sluice, { company: 'acme' });
    fresh.leave();
  }
  await publish(20);
  await eventually(() => half.filter((connection) => connection.closed).length >= 500, 'the oldest to go');
  for (const connection of half) connection.destroy();
  await holds();
});

e2e('heads that trickle are cut at their deadline, however often a byte comes', async (world) => {
  const { sluice, holds, publish } = await besieged(world, { env: { REQUEST_HEAD_SECONDS: '2' } });
  const slow = await connections(world, sluice, 100);
  for (const connection of slow) connection.send(`GET ${TARGET} HTTP/1.1\r\nHost: x\r\nX-Slow: `);
  const timer = setInterval(() => slow.forEach((connection) => !connection.closed && connection.send('y')), 100);
  world.own(() => clearInterval(timer));
  await publish(50);
  for (const connection of slow) {
    const bytes = await connection.untilClosed();
    if (bytes.length) assert.match(bytes.toString('latin1'), /^HTTP\/1\.[01] 408 /);
  }
  clearInterval(timer);
  for (const connection of slow) connection.destroy();
  assert.ok((await sluice.metrics()).value('sluice_connection_errors_total', { reason: 'head_timeout' }) >= 100);
  // A connection that was answered has a deadline for its next head too.
  const [kept] = await connections(world, sluice, 1);
  await kept.request({ target: '/stream/health/live' });
  kept.send('GET /stre');
  await kept.untilClosed();
  kept.destroy();
  await holds();
});

e2e('whoever asks for statistics again and again takes few places', async (world) => {
  const { sluice, holds } = await besieged(world);
  const all = await connections(world, sluice, 400);
  const answers = await Promise.all(all.map((connection) => connection.request({ target: '/stream/stats' })));
  const refused = answers.filter((answer) => answer.status !== 200);
  assert.ok(answers.length - refused.length >= 64, `${refused.length} were refused`);
  assert.ok(refused.length > 0, 'all were taken');
  for (const answer of refused) assertRefused(answer, 503);
  for (const connection of all) connection.destroy();
  await holds();
});

e2e('as many as there is room for may come at once', async (world) => {
  const { sluice, holds } = await besieged(world, { wrapper: ['prlimit', '--nofile=1024'] });
  const { descriptors } = sluice.logs.find((line) => line.message === 'Descriptors planned');
  const all = await connections(world, sluice, Math.floor(descriptors / 8) - 1);
  const answers = await Promise.all(all.map((connection) => connection.request({ target: '/stream/health/live' })));
  assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200]));
  for (const connection of all) connection.destroy();
  await holds();
});

e2e('more answers that nobody reads than there is room for give way to new requests', async (world) => {
  const env = { REQUEST_HEAD_SECONDS: '600' };
  const { sluice, holds, publish } = await besieged(world, { env, wrapper: ['prlimit', '--nofile=1024'] });
  const { descriptors } = sluice.logs.find((line) => line.message === 'Descriptors planned');
  const room = Math.floor(descriptors / 8);
  assert.ok(room < 200, `room for ${room}`);
  const deaf = [];
  for (let i = 0; i < room + 50; i++) {
    const [connection] = await connections(world, sluice, 1);
    askAndNeverRead(connection);
    deaf.push(connection);
  }
  for (let i = 0; i < 5; i++) {
    const fresh = await world.liveStream(sluice, { company: 'acme' });
    fresh.leave();
  }
  await publish(20);
  const gone = async () => (await sluice.metrics()).value('sluice_connection_errors_total', { reason: 'head_timeout' });
  await eventually(async () => (await gone()) >= 50, 'the oldest to go');
  for (const connection of deaf) connection.destroy();
  await holds();
});

e2e('clients that ask and never read hold nothing but their own connection', async (world) => {
  const { sluice, holds, publish } = await besieged(world, { env: { REQUEST_HEAD_SECONDS: '2' } });
  const deaf = await connections(world, sluice, 50);
  deaf.forEach(askAndNeverRead);
  await publish(100);
  // They stay; what takes nothing for REQUEST_HEAD_SECONDS goes.
  await holds();
  for (const connection of deaf) connection.destroy();
});

/** Opens streams one after the other, each with its headers; gives the statuses, and leaves them all. */
async function statusesOf(world, sluice, all) {
  const clients = [];
  for (const headers of all) {
    const client = await world.stream(sluice, { company: 'acme', headers });
    if (client.status !== 200) {
      await client.untilWhole();
      assertRefused(client, client.status);
      client.leave();
    }
    clients.push(client);
  }
  for (const client of clients) client.leave();
  await untilStreams(sluice, 1);
  return clients.map((client) => client.status);
}

function addressesOf(sluice) {
  const lines = sluice.logs.filter((line) => line.message === 'SSE connection established' && line.companyId === 'acme');
  return lines.map((line) => line.address);
}

const forwardedFor = (value) => [['X-Forwarded-For', value]];
const forwarded = (value) => [['Forwarded', value]];

e2e('without trusted proxies nobody is where a header says', async (world) => {
  const { sluice, holds } = await besieged(world, { env: { MAX_CONNECTIONS_PER_ADDRESS: '3' } });
  const lies = [
    (i) => forwardedFor(`203.0.113.${i}`),
    (i) => forwarded(`for=203.0.113.${i}`),
    (i) => [...forwardedFor(`203.0.113.${i}`), ...forwarded(`for=203.0.113.${i}`)],
    (i) => [['X-Real-IP', `203.0.113.${i}`], ['CF-Connecting-IP', `203.0.113.${i}`], ['True-Client-IP', `203.0.113.${i}`]],
    (i) => [['x_forwarded_for', `203.0.113.${i}`], ['X-Client-IP', `203.0.113.${i}`], ['Via', `1.1 203.0.113.${i}`]],
  ];
  for (const lie of lies) {
    // The witness has one of the three places of 127.0.0.1.
    assert.deepEqual(await statusesOf(world, sluice, range(1, 4).map(lie)), [200, 200, 429, 429]);
  }
  assert.deepEqual([...new Set(addressesOf(sluice))], ['127.0.0.1']);
  await holds();
});

e2e('behind a trusted proxy the last address that is not a proxy counts, and nothing in front of it', async (world) => {
  const env = { MAX_CONNECTIONS_PER_ADDRESS: '2', TRUSTED_PROXIES: '127.0.0.0/8,10.0.0.0/8' };
  const { sluice, holds } = await besieged(world, { env });
  const victim = '198.51.100.7';
  const own = '203.0.113.5';
  const same = {
    'invented addresses in front': (i) => forwardedFor(`192.0.2.${i}, ${own}`),
    'a trusted one behind': (i) => forwardedFor(`192.0.2.${i}, ${own}, 10.1.2.${i}`),
    'an invented trusted one in front': (i) => forwardedFor(`10.9.9.${i}, ${own}`),
    'a line of its own': (i) => [...forwardedFor(`192.0.2.${i}`), ...forwardedFor(own)],
    'names in other letters': (i) => [['X-FORWARDED-FOR', `192.0.2.${i}`], ['x-forwarded-for', own]],
    'a port': (i) => forwardedFor(`${own}:${4000 + i}`),
    'spaces and tabs': (i) => forwardedFor(`192.0.2.${i} ,\t ${own} `),
    'junk in front': (i) => forwardedFor(`junk-${i}, "x, ${own}`),
    Forwarded: (i) => forwarded(`for=192.0.2.${i}, for=${own};proto=https;by=10.0.0.1`),
    'Forwarded in quotes': (i) => forwarded(`for="192.0.2.${i}", for="${own}:${5000 + i}"`),
    'both that agree': (i) => [...forwardedFor(`192.0.2.${i}, ${own}`), ...forwarded(`for=${own}`)],
  };
  await forEachCase(Object.entries(same), async ([, lie]) => {
    sluice.logs.length = 0;
    assert.deepEqual(await statusesOf(world, sluice, range(1, 3).map(lie)), [200, 200, 429]);
    await eventually(() => addressesOf(sluice).length === 2, 'the log');
    assert.deepEqual(addressesOf(sluice), [own, own]);
  });
  // What leads nowhere counts as the proxy's own, who has the witness: nobody gains a place, and no victim loses one.
  const nowhere = {
    'headers that contradict each other': (i) => [...forwardedFor(`${own}`), ...forwarded(`for=192.0.2.${i}`)],
    'no address': (i) => forwardedFor(`junk-${i}`),
    unknown: () => forwarded('for=unknown'),
    'a hidden name': (i) => forwarded(`for=_hidden${i}`),
    'junk behind': (i) => forwardedFor(`192.0.2.${i}, junk`),
    'a quote without an end': (i) => forwarded(`for=192.0.2.${i}, for="${own}`),
    'an empty one': () => forwardedFor(''),
    'a comma': () => forwardedFor(`${own},`),
    'an address that is none': () => forwardedFor('203.0.113.500'),
    'an octal one': () => forwardedFor('0313.0.0161.5'),
    'too much': (i) => forwardedFor(`${'192.0.2.9, '.repeat(500)}192.0.2.${i}`),
  };
  await forEachCase(Object.entries(nowhere), async ([, lie]) => {
    sluice.logs.length = 0;
    assert.deepEqual(await statusesOf(world, sluice, range(1, 2).map(lie)), [200, 429]);
    await eventually(() => addressesOf(sluice).length === 1, 'the log');
    assert.deepEqual(addressesOf(sluice), ['127.0.0.1']);
  });
  // Who names a victim in front of its own address takes none of the victim's places.
  const attackers = await statusesOf(world, sluice, range(1, 6).map(() => forwardedFor(`${victim}, ${own}`)));
  assert.deepEqual(attackers, [200, 200, 429, 429, 429, 429]);
  assert.deepEqual(await statusesOf(world, sluice, range(1, 3).map(() => forwardedFor(victim))), [200, 200, 429]);
  // One customer's IPv6 network is one client, however it is written.
  const network = range(1, 3).map((i) => forwardedFor(`2001:db8:1:2:${i}::${i}`));
  assert.deepEqual(await statusesOf(world, sluice, network), [200, 200, 429]);
  const mapped = [forwardedFor('::ffff:203.0.113.9'), forwardedFor('203.0.113.9'), forwarded('for="[::ffff:203.0.113.9]:1"')];
  assert.deepEqual(await statusesOf(world, sluice, mapped), [200, 200, 429]);
  await holds();
});

e2e('a rate by address cannot be escaped with invented ones, nor spent for another', async (world) => {
  const env = { CONNECTION_RATE_PER_ADDRESS: '1', TRUSTED_PROXIES: '127.0.0.0/8' };
  const { sluice, holds, publisher } = await besieged(world, { env });
  const ask = (headers) => request(sluice.port, { method: 'HEAD', target: TARGET, headers });
  const answers = await Promise.all(range(1, 40).map((i) => ask(forwardedFor(`198.51.100.${i}, 203.0.113.5`))));
  const refused = answers.filter((answer) => answer.status === 429);
  assert.ok(refused.length > 0, 'some were too many');
  for (const answer of refused) assert.match(answer.headers.get('Retry-After'), /^[1-9]\d*$/);
  for (const answer of answers) assert.ok([200, 429].includes(answer.status));
  // Those whose addresses were named have lost nothing.
  for (const i of range(1, 40)) assert.equal((await ask(forwardedFor(`198.51.100.${i}`))).status, 200);
  const stream = await world.liveStream(sluice, { company: 'acme', headers: forwardedFor('198.51.100.99') });
  await publisher.publishPaced('acme', 1, 3, [stream]);
  assertExactly(stream, [1, 2, 3]);
  stream.leave();
  await holds();
});

e2e('streams up to the limit and beyond leave nothing behind', async (world) => {
  const { sluice, holds, publish } = await besieged(world, { env: { MAX_CONNECTIONS: '50' } });
  const before = sluice.openDescriptors();
  for (let round = 0; round < 3; round++) {
    const clients = await Promise.all(range(1, 120).map((i) => world.stream(sluice, { company: `c${i}` })));
    const let_in = clients.filter((client) => client.status === 200);
    assert.equal(let_in.length, 49);
    for (const client of clients.filter((each) => each.status !== 200)) {
      await client.untilWhole();
      assertRefused(client, 503);
      client.leave();
    }
    await publish(10);
    for (const client of let_in) client.reset();
    await untilStreams(sluice, 1);
    await untilDescriptors(sluice, before, 'behind the round');
  }
  await holds();
});
