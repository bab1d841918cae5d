// Who opens streams in the rows that ask for credentials: settings for Sluice, and a token for each stream.

import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const LIFE_SECONDS = 3600; // longer than any run

const base64url = (value) => Buffer.from(value).toString('base64url');

/** How tokens are signed, and the settings that verify them. */
const issuers = {
  HS256: () => {
    const secret = randomBytes(32).toString('hex');
    return {
      settings: { JWT_SECRET: secret },
      sign: (text) => createHmac('sha256', secret).update(text).digest(),
    };
  },
  RS256: (folder, name) => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const file = path.join(folder, `${name}.pem`);
    writeFileSync(file, publicKey.export({ type: 'spki', format: 'pem' }));
    return {
      settings: { JWT_PUBLIC_KEY_FILE: file },
      sign: (text) => sign('sha256', Buffer.from(text), privateKey),
    };
  },
};

/** The claims of an ordinary token: of a user of the company that sseload gives to the stream of that number. */
function claims(row, stream) {
  const user = stream % row.users;
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: 'https://issuer.example',
    sub: `user-${user}`,
    companyId: `c${user % row.companies}`,
    jti: `token-${stream}`,
    iat: now,
    exp: now + LIFE_SECONDS,
  };
}

/**
 * Tokens for a row's streams, made once: one for each user, who opens all his streams with it, or with `newTokens` one
 * for each stream. Gives `{settings, file}`; without an algorithm everybody may stream, and there is no file.
 */
export function makeCredentials(folder, row) {
  if (!row.algorithm) return { settings: { AUTH_MODE: 'none' } };
  const issuer = issuers[row.algorithm](folder, row.name);
  const header = base64url(JSON.stringify({ alg: row.algorithm, typ: 'JWT' }));
  const token = (_, number) => {
    const text = `${header}.${base64url(JSON.stringify(claims(row, number)))}`;
    return `${text}.${issuer.sign(text).toString('base64url')}`;
  };
  const file = path.join(folder, `${row.name}.tokens`);
  writeFileSync(file, Array.from({ length: row.newTokens ? row.streams : row.users }, token).join('\n'));
  return { settings: { AUTH_MODE: 'jwt', ...issuer.settings }, file };
}
