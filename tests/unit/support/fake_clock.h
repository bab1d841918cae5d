#ifndef SLUICE_TESTS_FAKE_CLOCK_H
#define SLUICE_TESTS_FAKE_CLOCK_H

#include <stdint.h>

/* Takes the place of core/clock.c: time stands still until a test moves it. */

/* Sets the time of day; the monotonic clock goes on where it was. */
void fake_clock_set_ms(int64_t unix_ms);

/* By how much the time of day is wrong from here on, for who asks clock_unix_ms(); and how late it really is. */
void fake_clock_set_skew_ms(int64_t ms);
int64_t fake_clock_true_ms(void);

/* Moves both clocks on. */
void fake_clock_advance_ms(int64_t ms);

#endif
