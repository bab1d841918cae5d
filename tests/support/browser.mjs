// A real Chromium with a page of its own: what the page's EventSource sees is told to the test, in order.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { Child, removeDirectory, temporaryDirectory } from './process.mjs';
import { eventually } from './wait.mjs';

const COMMAND = '/usr/lib/chromium/chromium-headless-shell'; // what is in PATH is a script, which would end alone

/** A machine without a network of its own: nothing is looked up, fetched or synchronised. Root has no sandbox. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0', // else it would end as soon as the page is loaded
];

/** Runs in the page: opens the stream and tells of all that happens, one report behind the other. */
function follow(url, names) {
  let reports = Promise.resolve();
  const report = (what) => {
    const body = JSON.stringify(what);
    reports = reports.then(() => fetch('/report', { method: 'POST', body }));
  };
  const source = new EventSource(url);
  source.onerror = () => report({ kind: 'error', closed: source.readyState === EventSource.CLOSED });
  for (const name of names)
    source.addEventListener(name, (event) => report({ kind: 'event', name, data: JSON.parse(event.data) }));
}

export class Browser {
  /** Serves the page's origin; the browser itself is started by `follow`. */
  async start() {
    this.reports = [];
    this.server = http.createServer((request, response) => this.#answer(request, response));
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.origin = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  #answer(request, response) {
    if (request.method === 'GET') {
      response.setHeader('Content-Type', 'text/html');
      response.end(request.url === '/' ? this.page : '');
      return;
    }
    let body = '';
    request.setEncoding('utf8').on('data', (part) => (body += part));
    request.on('end', () => {
      this.reports.push(JSON.parse(body));
      response.end();
    });
  }

  /** Opens a page with an EventSource of that URL, and listens to events of those names. */
  follow(url, names = ['metric_updated', 'stream.ready', 'stream.gap']) {
    this.page = `<!doctype html><title>Sluice</title><script>(${follow})(${JSON.stringify(url)}, ${JSON.stringify(names)})</script>`;
    this.directory = temporaryDirectory('chromium');
    this.child = new Child(COMMAND, [...FLAGS, `--user-data-dir=${this.directory}`, `${this.origin}/`]);
  }

  named(name) {
    return this.reports.filter((report) => report.name === name);
  }

  get events() {
    return this.named('metric_updated');
  }

  /** Waits until the page has seen what `check` looks for in the reports. */
  async until(check, what) {
    await eventually(() => this.child.exit || check(this.reports), `the page to see ${what}`);
    assert.ok(!this.child.exit, `the browser ended: ${this.child.exit?.error ?? this.child.stderr}`);
  }

  async untilEvents(count) {
    await this.until(() => this.events.length >= count, `${count} events`);
  }

  async dispose() {
    // It ends its own children, unless it is killed.
    this.child?.signal('SIGTERM');
    await this.child?.waitForExit();
    this.server.closeAllConnections();
    this.server.close();
    if (this.directory) removeDirectory(this.directory);
  }
}
