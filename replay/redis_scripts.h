#ifndef SLUICE_REPLAY_REDIS_SCRIPTS_H
#define SLUICE_REPLAY_REDIS_SCRIPTS_H

/*
 * The Lua scripts that run inside Redis. Each touches the keys of one company (or of none), so that they work on one slot
 * of a Redis Cluster.
 */
enum redis_script {
    REDIS_SCRIPT_APPEND,
    REDIS_SCRIPT_EXTEND,
    REDIS_SCRIPT_READ,
    REDIS_SCRIPT_HEAD,
    REDIS_SCRIPT_CLAIM,
    REDIS_SCRIPT_RELEASE,
    REDIS_SCRIPT_PLACE,
    REDIS_SCRIPT_HOLE,
    REDIS_SCRIPT_COUNT
};

/* The first three are called often: by their names, which the handshake learns. */
enum { REDIS_SCRIPTS_NAMED = 3 };

const char *redis_script_text(enum redis_script script);

#endif
