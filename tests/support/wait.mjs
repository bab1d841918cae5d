// Waiting is always for a condition, never for time to pass: the deadline only ends a test that would hang.

export const DEADLINE_MS = Number(process.env.SLUICE_TEST_DEADLINE_MS ?? 20_000);

export class DeadlineError extends Error {}

/** Rejects when `promise` has not settled before the deadline; `describe` may be a string or a function that makes one. */
export function within(promise, describe, deadlineMs = DEADLINE_MS) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => {
      const what = typeof describe === 'function' ? describe() : describe;
      reject(new DeadlineError(`waited ${deadlineMs} ms in vain for ${what}`));
    }, deadlineMs);
  });
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Asks again and again until `probe` gives something truthy, and gives that. A probe that throws counts as "not yet";
 * its last error is told when the deadline passes.
 */
export async function eventually(probe, what, deadlineMs = DEADLINE_MS) {
  const end = Date.now() + deadlineMs;
  let last;
  for (let wait = 5; ; wait = Math.min(wait * 2, 100)) {
    try {
      const value = await probe();
      if (value) return value;
      last = `last answer: ${JSON.stringify(value)}`;
    } catch (error) {
      last = `last error: ${error.message}`;
    }
    if (Date.now() > end) throw new DeadlineError(`waited ${deadlineMs} ms in vain for ${what} (${last})`);
    await pause(wait);
  }
}
