#ifndef SLUICE_TESTS_UNIT_REPLAY_REDIS_SERVER_H
#define SLUICE_TESTS_UNIT_REPLAY_REDIS_SERVER_H

#include <stddef.h>
#include <sys/types.h>

/* A redis-server of our own on a free port, gone with the test. */
struct redis_server {
    pid_t pid; /* 0: not running */
    int port;
    int output;
    char password[64]; /* empty: none */
};

/* Starts on server->port (0: a free one) and waits until it takes connections. */
void redis_server_start(struct redis_server *server);

/* Kills it, its data gone. */
void redis_server_kill(struct redis_server *server);

/* Stops its process, so that it hangs, and lets it go on. */
void redis_server_pause(struct redis_server *server);
void redis_server_resume(struct redis_server *server);

/* Sends one command, its arguments ended by NULL, and gives the first line of the reply, of a text its second. */
void redis_server_ask(struct redis_server *server, char *ret_reply, size_t size, const char *const arguments[]);

/* Sends one command that must not fail. */
void redis_server_tell(struct redis_server *server, const char *const arguments[]);

#define REDIS_COMMAND(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
