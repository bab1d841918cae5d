// Tokens and keys as issuers make them, with node:crypto alone: what Sluice accepts must not hang on its own library.

import { createHash, createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export const SECRET = 'a secret of the tests, long enough for HS512: 0123456789abcdef0123456789abcdef';

const base64url = (value) => Buffer.from(value).toString('base64url');

export function nowSeconds() {
  return Math.floor(Date.now() / 1000);
}

/** Signs with a secret (a string), or with a private key. */
function signature(algorithm, key, text) {
  const hash = `sha${algorithm.slice(2)}`;
  if (algorithm.startsWith('HS')) return createHmac(hash, key).update(text).digest();
  if (algorithm.startsWith('PS')) return sign(hash, Buffer.from(text), { key, padding: 6, saltLength: -1 });
  if (algorithm.startsWith('ES')) return sign(hash, Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  if (algorithm === 'EdDSA') return sign(null, Buffer.from(text), key);
  return sign(hash, Buffer.from(text), key);
}

/**
 * A token of those claims, valid for an hour where they say nothing else (`exp: undefined` leaves it out). `header` is
 * merged into `{"alg","typ"}`; `segments` may change the three texts before they are joined.
 */
export function token(claims = {}, { algorithm = 'HS256', key = SECRET, header = {}, segments } = {}) {
  const payload = { exp: nowSeconds() + 3600, ...claims };
  const signed = `${base64url(JSON.stringify({ alg: algorithm, typ: 'JWT', ...header }))}.${base64url(JSON.stringify(payload))}`;
  const parts = [...signed.split('.'), signature(algorithm, key, signed).toString('base64url')];
  return (segments ? segments(parts) : parts).join('.');
}

/** The header of a request that brings the token. */
export function bearer(text) {
  return ['Authorization', `Bearer ${text}`];
}

/** What a test of HS256 tokens starts Sluice with. */
export const JWT_ENV = { AUTH_MODE: 'jwt', JWT_SECRET: SECRET };

/** A key pair for the algorithm: `{privateKey, publicKey}`. */
export function keyPair(algorithm) {
  if (algorithm === 'EdDSA') return generateKeyPairSync('ed25519');
  const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
  if (curves[algorithm]) return generateKeyPairSync('ec', { namedCurve: curves[algorithm] });
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}

export function pem(publicKey) {
  return publicKey.export({ type: 'spki', format: 'pem' });
}

/** A JSON Web Key Set of public keys: `[[kid, publicKey], …]`. */
export function jwks(keys) {
  return JSON.stringify({ keys: keys.map(([kid, key]) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig' })) });
}

/** An API key and the line that stands for it in API_KEYS_FILE: `{key, line}`. */
export function apiKey(fields = {}) {
  const key = `slk_${randomBytes(32).toString('base64url')}`;
  const sha256 = createHash('sha256').update(key).digest('hex');
  return { key, line: JSON.stringify({ id: `k_${randomBytes(8).toString('hex')}`, sha256, ...fields }) };
}
