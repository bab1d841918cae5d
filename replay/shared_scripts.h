#ifndef SLUICE_REPLAY_SHARED_SCRIPTS_H
#define SLUICE_REPLAY_SHARED_SCRIPTS_H

/* The Lua scripts of the shared state. Each has one key, so that it works in a Redis Cluster. */
enum shared_script {
    SHARED_SCRIPT_TICKET_PUT,
    SHARED_SCRIPT_TICKET_TAKE,
    SHARED_SCRIPT_TICKET_RELEASE,
    SHARED_SCRIPT_TICKET_RENEW,
    SHARED_SCRIPT_REVOKE,
    SHARED_SCRIPT_SLOTS_ENTER,
    SHARED_SCRIPT_SLOTS_RENEW,
    SHARED_SCRIPT_READ_REVOKED,
    SHARED_SCRIPT_READ_HASH,
};

const char *shared_script_text(enum shared_script script);

#endif
