// Certificates for one test, made by the openssl command line in a directory of their own.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { removeDirectory, temporaryDirectory } from './process.mjs';

function openssl(...words) {
  execFileSync('openssl', words, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** An authority that can vouch for names. `caFile` is its own certificate. */
export class Authority {
  constructor(name = 'Sluice test authority') {
    this.directory = temporaryDirectory('certificates');
    this.count = 0;
    this.caFile = this.#path('ca.pem');
    openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', `/CN=${name}`, '-keyout', this.#path('ca.key'), '-out', this.caFile],
    );
  }

  #path(file) {
    return path.join(this.directory, file);
  }

  /** A certificate for `names`, such as `DNS:localhost` or `IP:127.0.0.1`: `{certFile, keyFile, caFile}`. */
  issue(...names) {
    const stem = this.#path(`issued-${++this.count}`);
    const files = { certFile: `${stem}.pem`, keyFile: `${stem}.key`, caFile: this.caFile };
    openssl(
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=issued'],
      ...['-keyout', files.keyFile, '-out', `${stem}.csr`],
    );
    writeFileSync(`${stem}.ext`, `subjectAltName=${names.join(',')}\n`);
    openssl(
      ...['x509', '-req', '-in', `${stem}.csr`, '-CA', this.caFile, '-CAkey', this.#path('ca.key')],
      ...['-set_serial', String(this.count), '-days', '2', '-extfile', `${stem}.ext`, '-out', files.certFile],
    );
    return files;
  }

  dispose() {
    removeDirectory(this.directory);
  }
}
