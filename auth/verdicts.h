#ifndef SLUICE_AUTH_VERDICTS_H
#define SLUICE_AUTH_VERDICTS_H

#include <stdbool.h>
#include <stddef.h>

#include "auth/identity.h"
#include "core/log.h"
#include "core/metrics.h"
#include "replay/shared.h"

/*
 * Who may not stream although the credentials are good: who was revoked, and the companies whose streaming is switched off.
 * Lists come whole from what the replicas share. Any thread.
 */
struct verdicts;

enum verdict { VERDICT_GOOD, VERDICT_REVOKED, VERDICT_DISABLED };

struct verdicts_options {
    bool streaming_default; /* for companies without a flag */
    struct log *log;        /* outlives it, like metrics; may be NULL */
    struct metrics *metrics;
};

/* NULL: no memory. */
struct verdicts *verdicts_new(const struct verdicts_options *options);
void verdicts_free(struct verdicts *verdicts);

/* All revocations that are known elsewhere. Those of verdicts_add_revoked() stay too. Returns 0 or -ENOMEM. */
int verdicts_set_revoked(struct verdicts *verdicts, const struct shared_revocation *revocations, size_t count);

/*
 * One more, which need not have gone round: it stays until its time is over. An earlier one that lasts longer stays.
 * now_ms: Unix time. Returns 0, -ENOSPC (SHARED_FIELDS_MAX of them) or -ENOMEM.
 */
int verdicts_add_revoked(struct verdicts *verdicts, const struct shared_revocation *revocation, int64_t now_ms);

/*
 * The flags: by company, `true` or `false` (also 1, 0, t, f, on, off), or a JSON object with a member `streaming` of true or
 * false. Others count as not there, are logged and counted. Returns 0 or -ENOMEM.
 */
int verdicts_set_features(struct verdicts *verdicts, const struct shared_field *fields, size_t count);

/* now_ms: Unix time. */
enum verdict verdicts_of(struct verdicts *verdicts, const struct identity *identity, int64_t now_ms);

#endif
