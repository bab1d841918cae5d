#ifndef SLUICE_BRIDGE_TRANSFORM_H
#define SLUICE_BRIDGE_TRANSFORM_H

#include <stddef.h>

#include "core/event_id.h"

/* Turns a NATS message into what an event needs, or says why it is none. One owner. */
struct transform;

enum transform_result {
    TRANSFORM_ACCEPTED,
    TRANSFORM_NOT_JSON,
    TRANSFORM_NOT_OBJECT,
    TRANSFORM_MISSING_COMPANY,
    TRANSFORM_BAD_COMPANY,
    TRANSFORM_DUPLICATE_COMPANY,
    TRANSFORM_TOO_LARGE,
    TRANSFORM_NO_EVENT_NAME,
};

enum { COMPANY_ID_SIZE = 129 };

struct transformed {
    char company[COMPANY_ID_SIZE];
    char subject[EVENT_SUBJECT_MAX + 1]; /* as ids hold it */
    const char *event;                   /* owned by the transform */
};

/* event_names: a list of pattern=name as in EVENT_NAMES, checked before. Reserves what it will ever need. NULL: no memory. */
struct transform *transform_new(const char *event_names, size_t max_event_bytes);
void transform_free(struct transform *transform);

/*
 * Looks at one message. ret_event is complete only with TRANSFORM_ACCEPTED. A payload above max_event_bytes is too large at
 * once; whether the encoded event is, shows when it has its number (the intake looks).
 */
enum transform_result transform_message(struct transform *transform, const char *subject, const char *payload,
                                        size_t size, struct transformed *ret_event);

/* The reason as metrics and logs call it. */
const char *transform_result_text(enum transform_result result);

#endif
