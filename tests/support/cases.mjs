// Tables of cases: all are tried, and all that fail are told.

/** Runs `check(case)` for each case in turn; where some fail, throws one error that tells of each. */
export async function forEachCase(cases, check) {
  const failures = [];
  for (const each of cases) {
    try {
      await check(each);
    } catch (error) {
      failures.push(`${JSON.stringify(each).slice(0, 100)}: ${error.message}`);
    }
  }
  if (failures.length) throw new Error(`${failures.length} of ${cases.length} cases fail:\n${failures.join('\n')}`);
}
