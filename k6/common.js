// What the scripts have in common: settings, the way to a company's stream, and what its events must be.

const STREAM = '/stream/updates?companyId=';

/** The number of a setting (`-e NAME=VALUE`). */
export function setting(name, fallback) {
  const text = __ENV[name];
  if (text === undefined || text === '') return fallback;
  const number = Number(text);
  if (!(number >= 0)) throw new Error(`${name} must be a number, not "${text}"`);
  return number;
}

const baseUrl = __ENV.BASE_URL || 'http://127.0.0.1:3007';
const prefix = __ENV.PREFIX || 'c'; // companies are called c0, c1 …, as sluice-demo calls them

export const companyName = (number) => `${prefix}${number}`;

export const streamUrl = (company) => baseUrl + STREAM + encodeURIComponent(company);

/** The headers of a request; with an id for one that resumes. */
export function headersOf(lastId) {
  const headers = {};
  if (__ENV.TOKEN) headers.Authorization = `Bearer ${__ENV.TOKEN}`;
  if (__ENV.API_KEY) headers['x-api-key'] = __ENV.API_KEY;
  if (lastId) headers['Last-Event-ID'] = lastId;
  return headers;
}

/** Whether it is one of the publisher's events: those of Sluice itself carry no id, or no data. */
export const isEvent = (event) => Boolean(event.id && event.data && !event.name.startsWith('stream.'));

/** How long ago an event was published. sluice-demo writes "ts" last; to find it so costs far less than to parse all. */
export function ageOf(event, now) {
  const at = event.data.lastIndexOf('"ts":');
  return at < 0 ? NaN : now - parseInt(event.data.substring(at + 5), 10);
}

/** The company's own number of an event: dense, from 1. Its id is <subject>-<number>-<milliseconds>. */
function numberOf(id) {
  const parts = id.split('-');
  return Number(parts[parts.length - 2]);
}

/** Follows the numbers of one client over all of its streams. */
export class Order {
  constructor() {
    this.lastId = '';
    this.last = 0; // 0: nothing came yet
    this.toldMissing = 0; // by gaps since the last event; NaN where one told no number
  }

  /** Takes a stream.gap. Gives how many events it says are missing. */
  gap(event) {
    const { missed } = JSON.parse(event.data);
    this.toldMissing += missed === null ? NaN : missed;
    return missed;
  }

  /** Takes an event. Gives `{ lost, twice }`: how many are missing before it that no gap told of, and whether it came before. */
  event(event) {
    const number = numberOf(event.id);
    if (number <= this.last) return { lost: 0, twice: true };
    const missing = this.last > 0 ? number - this.last - 1 : this.toldMissing;
    const lost = Math.abs(missing - this.toldMissing) || 0; // NaN: nobody could know
    this.last = number;
    this.lastId = event.id;
    this.toldMissing = 0;
    return { lost, twice: false };
  }
}
