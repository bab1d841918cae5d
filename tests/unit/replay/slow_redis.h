#ifndef SLUICE_TESTS_UNIT_REPLAY_SLOW_REDIS_H
#define SLUICE_TESTS_UNIT_REPLAY_SLOW_REDIS_H

#include <pthread.h>

/* A Redis that takes its time: a relay in front of one of 127.0.0.1, which hands it one command in every delay_ms. */
struct slow_redis {
    int port;
    int server_port;
    int delay_ms;
    int listener;
    int stop[2];
    pthread_t thread;
};

void slow_redis_start(struct slow_redis *slow, int server_port, int delay_ms);
void slow_redis_stop(struct slow_redis *slow);

#endif
