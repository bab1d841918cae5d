#ifndef SLUICE_REPLAY_SHARED_SCRIPTS_H
#define SLUICE_REPLAY_SHARED_SCRIPTS_H

#include "replay/redis_command.h"

/* The Lua scripts of the shared state. Each has one key, so that it works in a Redis Cluster. */
enum shared_script {
    SHARED_SCRIPT_TICKET_PUT,
    SHARED_SCRIPT_TICKET_TAKE,
    SHARED_SCRIPT_TICKET_RELEASE,
    SHARED_SCRIPT_TICKET_RENEW,
    SHARED_SCRIPT_REVOKE,
    SHARED_SCRIPT_SLOTS_ENTER,
    SHARED_SCRIPT_SLOTS_COUNT,
    SHARED_SCRIPT_REPLICA,
    SHARED_SCRIPT_READ_REVOKED,
    SHARED_SCRIPT_READ_HASH,
    SHARED_SCRIPT_READ_REPLICAS,
};

/*
 * Writes the beginning of a call, its key being prefix and name; the arguments follow. Scripts go out whole and never by their
 * names: a name that Redis forgot means sending again, and then a request could overtake the next. They are short, and
 * called when streams open and close.
 */
void shared_script_begin(struct redis_command *command, enum shared_script script, const char *prefix,
                         const char *name);

#endif
