#include <stdlib.h>
#include <string.h>

#include "replay/shared_request.h"

const char *shared_subject_prefix(enum shared_subject subject)
{
    switch (subject) {
    case SHARED_COMPANY:
        return "company|";
    case SHARED_USER:
        return "user|";
    case SHARED_KEY:
        return "key|";
    case SHARED_TOKEN:
        return "token|";
    }
    return "";
}

/* A score as Redis writes it, which may have an exponent or be infinite. */
static int64_t score_ms(const char *text)
{
    double score = strtod(text, NULL);

    if (!(score > 0))
        return 0;
    return score < (double)SHARED_NUMBER_MAX ? (int64_t)score : SHARED_NUMBER_MAX;
}

void shared_tell_revoked(const struct shared_listener *listener, const struct shared_field *pairs, size_t count)
{
    struct shared_revocation *revocations = calloc(count + 1, sizeof *revocations);
    size_t used = 0;

    if (!revocations)
        abort();
    for (size_t i = 0; i < count; i++)
        for (int subject = SHARED_COMPANY; subject <= SHARED_TOKEN; subject++) {
            const char *prefix = shared_subject_prefix((enum shared_subject)subject);
            size_t size = strlen(prefix);

            if (strncmp(pairs[i].name, prefix, size) != 0 || !pairs[i].name[size])
                continue;
            revocations[used++] = (struct shared_revocation){.subject = (enum shared_subject)subject,
                                                             .value = pairs[i].name + size,
                                                             .until_ms = score_ms(pairs[i].value)};
        }
    if (listener->on_revoked)
        listener->on_revoked(listener->context, revocations, used);
    free(revocations);
}
