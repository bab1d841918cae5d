// Decodes a compressed stream as it comes, as browsers do.

import zlib from 'node:zlib';
import { ProtocolError } from './http.mjs';

export class Gunzip {
  /**
   * `onText(bytes)` is called for what can be read, `onViolation(text)` where it is no gzip, and `onEnd()` once when all is
   * decoded that came before `end()`, or up to the stream's own end.
   */
  constructor(coding, { onText, onViolation, onEnd }) {
    if (coding !== 'gzip') throw new ProtocolError(`Content-Encoding: ${coding}`);
    this.complete = false; // it came to its own end, and checksum and length were right
    this.decoder = zlib.createGunzip();
    this.decoder.on('data', onText);
    this.decoder.on('end', () => {
      this.complete = true;
      onEnd();
    });
    this.decoder.on('error', (error) => {
      // Bytes that end in the middle are those of a connection that was cut.
      if (error.message !== 'unexpected end of file') onViolation(`compression: ${error.message}`);
      onEnd();
    });
  }

  push(bytes) {
    this.decoder.write(bytes);
  }

  end() {
    this.decoder.end();
  }
}
