// Each stream's socket is taken from the HTTP library. No descriptor may be left behind, whatever a client does and
// whoever else is connected.

import assert from 'node:assert/strict';
import { assertExactly, range } from '../support/events.mjs';
import { requestBytes } from '../support/http.mjs';
import { eventually } from '../support/wait.mjs';
import { e2e } from '../support/world.mjs';

const TARGET = '/stream/updates?companyId=acme';

function untilDescriptors(sluice, count, what) {
  return eventually(() => {
    const open = sluice.openDescriptors();
    if (open !== count) throw new Error(`${open} descriptors are open`);
    return true;
  }, `${count} open descriptors ${what}`);
}

/** A bridge with `idle` keep-alive connections that are older than any stream; `base` counts its descriptors. */
async function withNeighbours(world, idle, { headSeconds = 120 } = {}) {
  const bridge = await world.bridge({ env: { REQUEST_HEAD_SECONDS: String(headSeconds) } });
  const { sluice } = bridge;
  // The first stream of a process may open what stays open (a file, an event descriptor): it is not counted.
  const first = await world.liveStream(sluice, { company: 'acme' });
  await bridge.publisher.publishPaced('acme', 1, 1, [first]);
  first.leave();
  await sluice.untilConnections(0);
  let base = -1;
  await eventually(() => {
    const before = base;
    base = sluice.openDescriptors();
    return base === before;
  }, 'a steady number of descriptors');
  for (let i = 0; i < idle; i++) {
    const connection = await world.connection(sluice);
    await connection.request({ target: '/stream/health/live' });
    // An idle connection is closed after REQUEST_HEAD_SECONDS: these are never idle for so long.
    const timer = setInterval(() => connection.request({ target: '/stream/health/live' }).catch(() => {}), headSeconds * 200);
    world.own(() => clearInterval(timer));
  }
  await untilDescriptors(sluice, base + idle, 'with idle neighbours');
  return { ...bridge, base: base + idle };
}

e2e('a stream costs one descriptor, and none when it is over', async (world) => {
  const { sluice, publisher, base } = await withNeighbours(world, 10);
  for (let round = 0; round < 2; round++) {
    const clients = [];
    for (let i = 0; i < 80; i++) {
      const options = { company: `company-${i % 7}`, version: i % 2 ? '1.0' : '1.1' };
      if (i % 5 === 0) options.connection = await world.connection(sluice);
      clients.push(await world.stream(sluice, options));
    }
    for (const client of clients) await client.ready();
    await untilDescriptors(sluice, base + 80, 'with 80 streams');
    await publisher.publishRange('company-3', 1, 5);
    for (const client of clients.filter((each) => each.company === 'company-3')) await client.untilEvents(5);
    for (const [i, client] of clients.entries()) {
      if (i % 3) client.leave();
      else client.reset();
    }
    await untilDescriptors(sluice, base, 'after the streams');
    await sluice.untilConnections(0);
  }
  const metrics = await sluice.metrics();
  assert.equal(metrics.value('sluice_connections_opened_total'), 161);
  assert.equal(metrics.value('sluice_connections_closed_total'), 161);
  assert.equal(metrics.value('sluice_connections'), 0);
});

e2e('streams outlive their neighbours, and neighbours their streams', async (world) => {
  const { sluice, publisher, base } = await withNeighbours(world, 0);
  const neighbours = [];
  const streams = [];
  for (let i = 0; i < 20; i++) {
    const neighbour = await world.connection(sluice);
    await neighbour.request({ target: '/stream/health/live' });
    neighbours.push(neighbour);
    streams.push(await world.liveStream(sluice, { company: 'acme', version: i % 2 ? '1.0' : '1.1' }));
  }
  await untilDescriptors(sluice, base + 40, 'with all');
  neighbours.filter((_, i) => i % 2).forEach((neighbour) => neighbour.destroy());
  streams.filter((_, i) => i % 4 < 2).forEach((stream) => stream.leave());
  await untilDescriptors(sluice, base + 20, 'with half of them');
  const rest = streams.filter((_, i) => i % 4 >= 2);
  await publisher.publishPaced('acme', 2, 30, rest);
  for (const stream of rest) assertExactly(stream, range(2, 30));
  for (const neighbour of neighbours.filter((_, i) => i % 2 === 0)) {
    assert.equal((await neighbour.request({ target: '/stream/stats' })).status, 200);
    neighbour.destroy();
  }
  rest.forEach((stream) => stream.leave());
  await untilDescriptors(sluice, base, 'at the end');
});

const STEPS = {
  'before it says anything': async () => {},
  'in the middle of the request': async (connection) => connection.send('GET /stream/upd'),
  'before the end of the request head': async (connection) => connection.send(`GET ${TARGET} HTTP/1.1\r\nHost: x\r\n`),
  'right behind its request': async (connection) => connection.send(requestBytes({ target: TARGET })),
  'right behind its HTTP/1.0 request': async (connection) => connection.send(requestBytes({ target: TARGET, version: '1.0' })),
  'behind two pipelined requests': async (connection) =>
    connection.send(Buffer.concat([requestBytes({ target: '/stream/stats' }), requestBytes({ target: TARGET })])),
  'behind a request that is refused': async (connection) => connection.send(requestBytes({ target: '/stream/updates' })),
  'behind a request for its history': async (connection, lastEventId) =>
    connection.send(requestBytes({ target: TARGET, headers: [['Last-Event-ID', lastEventId]] })),
};

for (const how of ['end', 'destroy', 'resetAndDestroy']) {
  e2e(`a client that goes away at any step leaves nothing behind (${how})`, async (world) => {
    // Whoever leaves in the middle of a request is gone when the time for its head is over, at the latest.
    const { sluice, publisher, base } = await withNeighbours(world, 3, { headSeconds: 2 });
    const witness = await world.liveStream(sluice, { company: 'acme' });
    await publisher.publishPaced('acme', 2, 400, [witness]);
    for (const step of Object.values(STEPS)) {
      for (let i = 0; i < 5; i++) {
        const connection = await world.connection(sluice);
        await step(connection, witness.events[0].id);
        connection.socket[how]();
      }
    }
    await untilDescriptors(sluice, base + 1, 'behind all steps');
    await sluice.untilConnections(1);
    await publisher.publishPaced('acme', 401, 410, [witness]);
    assertExactly(witness, range(2, 410));
  });
}

e2e('a client that goes away while its socket is full leaves nothing behind', async (world) => {
  const { sluice, publisher, base } = await withNeighbours(world, 3);
  const witness = await world.liveStream(sluice, { company: 'acme' });
  const stuck = [];
  for (const version of ['1.1', '1.0', '1.1']) stuck.push(await world.liveStream(sluice, { company: 'acme', version }));
  for (const client of stuck) client.stopReading();
  await publisher.publishPaced('acme', 2, 1500, [witness], { more: { text: 'w'.repeat(1000) } });
  stuck[0].leave();
  stuck[1].reset();
  stuck[2].socket.end();
  stuck[2].leave();
  await untilDescriptors(sluice, base + 1, 'with the witness alone');
  await sluice.untilConnections(1);
});

e2e('streams that are opened and closed at once by many clients are all counted out', async (world) => {
  const { sluice, base } = await withNeighbours(world, 3);
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      range(1, 30).map(async (i) => {
        const client = await world.stream(sluice, { company: `c${i % 3}`, version: i % 2 ? '1.0' : '1.1' });
        if (i % 4 === 0) await client.ready();
        if (i % 2) client.leave();
        else client.reset();
      }),
    );
  }
  await untilDescriptors(sluice, base, 'at the end');
  await sluice.untilConnections(0);
});
