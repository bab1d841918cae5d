// What the processes said, one file for each life of each process, also where the harness ends in the middle.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export class Logs {
  constructor(directory) {
    this.directory = directory;
    this.open = new Map(); // name → Child
    this.lives = new Map();
    mkdirSync(directory, { recursive: true });
    process.on('exit', () => this.save());
  }

  /** A process of this name has begun: the one before is written down. */
  begin(name, child) {
    this.#write(name);
    this.lives.set(name, (this.lives.get(name) ?? 0) + 1);
    this.open.set(name, child);
  }

  #write(name) {
    const child = this.open.get(name);
    if (!child) return;
    const file = path.join(this.directory, `${name}.${this.lives.get(name)}.log`);
    writeFileSync(file, child.stdout + child.stderr);
  }

  save() {
    for (const name of this.open.keys()) this.#write(name);
  }
}
