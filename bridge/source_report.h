#ifndef SLUICE_BRIDGE_SOURCE_REPORT_H
#define SLUICE_BRIDGE_SOURCE_REPORT_H

#include <nats/nats.h>
#include <stdint.h>

#include "core/log.h"

/*
 * Tells why there is no connection to NATS, and what to do about it: at once when the reason is another one, and now and then
 * while it stays. The library's words name files and hosts, never secrets. One thread.
 */
struct source_report {
    struct log *log;
    struct source_reason {
        natsStatus last;
        int64_t next_ns; /* when the same reason is told again */
    } refusal, absence;
};

/* A connection could not be made, or ended for good. detail: the library's words; NULL: none are known. */
void source_report_refusal(struct source_report *report, natsStatus status, const char *detail);

/* The library tries again for ever without a word. No lock that its callbacks take may be held. */
void source_report_absence(struct source_report *report, natsConnection *connection);

#endif
