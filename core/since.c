#include "core/since.h"

#include <errno.h>
#include <stdbool.h>

#include "core/event_id.h"

enum {
    FRACTION_MAX = 9, /* digits of a second's fraction */
    MS_PER_S = 1000,
    S_PER_DAY = 86400,
};

/* What is left to be read. */
struct reader {
    const char *at;
    const char *end;
};

static bool take(struct reader *reader, char letter)
{
    if (reader->at == reader->end || *reader->at != letter)
        return false;
    reader->at++;
    return true;
}

static bool take_any(struct reader *reader, char one, char other)
{
    return take(reader, one) || take(reader, other);
}

/* Takes `min` to `max` digits. Numbers over EVENT_NUMBER_MAX become that. */
static bool take_digits(struct reader *reader, int min, int max, int64_t *ret_number)
{
    int64_t number = 0;
    int count = 0;

    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9' && count < max) {
        number = number * 10 + (*reader->at++ - '0');
        if (number > (int64_t)EVENT_NUMBER_MAX)
            number = (int64_t)EVENT_NUMBER_MAX;
        count++;
    }
    *ret_number = number;
    return count >= min;
}

static int64_t days_of_month(int64_t year, int64_t month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && is_leap);
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    int64_t years = year - 1; /* that are over, from the year 1 on */
    int64_t days = years * 365 + years / 4 - years / 100 + years / 400 - 719162;

    for (int64_t past = 1; past < month; past++)
        days += days_of_month(year, past);
    return days + day - 1;
}

static bool take_date(struct reader *reader, int64_t *ret_days)
{
    int64_t year;
    int64_t month;
    int64_t day;

    if (!take_digits(reader, 4, 4, &year) || !take(reader, '-') || !take_digits(reader, 2, 2, &month) ||
        !take(reader, '-') || !take_digits(reader, 2, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return false;
    *ret_days = days_since_1970(year, month, day);
    return true;
}

/* A fraction is cut to milliseconds: rather an event more than one too few. */
static bool take_fraction(struct reader *reader, int64_t *ret_ms)
{
    int64_t digits;
    int count;

    *ret_ms = 0;
    if (!take(reader, '.'))
        return true;
    count = (int)(reader->end - reader->at);
    if (!take_digits(reader, 1, FRACTION_MAX, &digits))
        return false;
    for (count -= (int)(reader->end - reader->at); count < 3; count++)
        digits *= 10;
    for (; count > 3; count--)
        digits /= 10;
    *ret_ms = digits;
    return true;
}

/* The time of the day, in milliseconds. The sixtieth second, a leap second, is the next minute's first. */
static bool take_time(struct reader *reader, int64_t *ret_ms)
{
    int64_t hours;
    int64_t minutes;
    int64_t seconds;
    int64_t fraction_ms;

    if (!take_digits(reader, 2, 2, &hours) || !take(reader, ':') || !take_digits(reader, 2, 2, &minutes) ||
        !take(reader, ':') || !take_digits(reader, 2, 2, &seconds) || !take_fraction(reader, &fraction_ms))
        return false;
    if (hours > 23 || minutes > 59 || seconds > 60)
        return false;
    *ret_ms = ((hours * 60 + minutes) * 60 + seconds) * MS_PER_S + fraction_ms;
    return true;
}

/* A plus sign that was not encoded is a space by the time that it comes out of a URL. */
static bool take_offset(struct reader *reader, int64_t *ret_minutes)
{
    int64_t hours;
    int64_t minutes;
    bool is_east;

    *ret_minutes = 0;
    if (take_any(reader, 'Z', 'z'))
        return true;
    is_east = take_any(reader, '+', ' ');
    if ((!is_east && !take(reader, '-')) || !take_digits(reader, 2, 2, &hours) || !take(reader, ':') ||
        !take_digits(reader, 2, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_minutes = (is_east ? 1 : -1) * (hours * 60 + minutes);
    return true;
}

static bool read_rfc3339(struct reader reader, int64_t *ret_ms)
{
    int64_t days;
    int64_t ms;
    int64_t offset_minutes;

    if (!take_date(&reader, &days) || !(take_any(&reader, 'T', 't') || take(&reader, ' ')) ||
        !take_time(&reader, &ms) || !take_offset(&reader, &offset_minutes) || reader.at != reader.end)
        return false;
    *ret_ms = (days * S_PER_DAY - offset_minutes * 60) * MS_PER_S + ms;
    return true;
}

static bool read_number(struct reader reader, int64_t *ret_ms)
{
    return take_digits(&reader, 1, 16, ret_ms) && reader.at == reader.end;
}

static bool read_duration(struct reader reader, int64_t now_ms, int64_t *ret_ms)
{
    static const struct {
        char letter;
        int seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', S_PER_DAY}};
    int64_t number;

    if (!take_digits(&reader, 1, 10, &number) || reader.end - reader.at != 1)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (*reader.at == units[i].letter) {
            *ret_ms = now_ms - number * units[i].seconds * MS_PER_S;
            return true;
        }
    return false;
}

int since_parse(const char *text, size_t size, int64_t now_ms, int64_t *ret_unix_ms)
{
    struct reader reader = {.at = text, .end = text + size};
    int64_t ms;

    if (!read_number(reader, &ms) && !read_duration(reader, now_ms, &ms) && !read_rfc3339(reader, &ms))
        return -EINVAL;
    *ret_unix_ms = ms > 0 ? ms : 0;
    return 0;
}
