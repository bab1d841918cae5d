#ifndef SLUICE_TESTS_REPLICA_WORLD_H
#define SLUICE_TESTS_REPLICA_WORLD_H

#include "bridge/hub.h"
#include "bridge/ownership.h"
#include "bridge/replica.h"
#include "bridge/source.h"
#include "core/config.h"
#include "support/fake_redis.h"
#include "support/replica_model.h"

/*
 * Several replicas on one NATS and one Redis, all on the test's thread and on one fake clock: the system under test of
 * bridge/replica_test.c, and the steps that a schedule is made of. Needs --wrap=fanout_add, ownership_new and getrandom.
 */
enum { WORLD_REPLICAS = 3, WORLD_TRACE_MAX = 16384 };

/* A message in the hands of NATS, or in a lane: there without a message it is a hole. */
struct packet {
    struct packet *next;
    struct source_message *message;
    enum source_lane lane;
    int64_t sent_ns;
    int64_t received_ns;
};

struct packets {
    struct packet *first;
    struct packet **last;
    size_t count;
};

enum world_link { LINK_CUT, LINK_UNCONFIRMED, LINK_CONNECTED };

struct replica_world;

/* One process, or the place of one. */
struct world_replica {
    struct replica_world *world;
    unsigned number;
    bool alive;
    bool stopped; /* it does not run while time goes on */
    int64_t stopped_ns;
    int phase;        /* of its turn, where it was stopped; 0: between two */
    bool served;      /* has begun once: workers may ask for companies */
    bool covered;     /* has heard of everything for a while: it may be the only one */
    int64_t begun_ns; /* since when it has; 0: it has not */
    bool leaving;
    bool left;
    int64_t leave_end_ns;
    int64_t next_tick_ns;
    int64_t turned_ns;

    enum world_link link;
    bool hole_due;         /* goes in front of the first message of the connection */
    struct packets outbox; /* on its way to the server */
    struct packets wire;   /* on its way from the server */
    struct packets lanes[SOURCE_LANES];

    struct metrics *metrics;
    struct source *source;
    struct store *store;
    struct transform *transform;
    struct companies *companies;
    struct hub *hub;
    struct appender *appender;
    struct replica *replica;
    struct ownership *ownership;
    struct hub_worker worker;
    struct model_view views[MODEL_COMPANIES];
    bool subscribed[MODEL_COMPANIES];
};

struct world_setting {
    uint64_t seed;
    unsigned replicas; /* that may run at once */
    bool intact;       /* NATS and the store stay, and always somebody who knows all */
    bool forgetful;    /* the store may lose data */
    bool exhaustive;   /* nothing is by chance */
};

struct replica_world {
    struct replica_model model;
    struct world_setting setting;
    struct fake_redis *redis;
    bool redis_away;
    bool nats_away;
    bool is_last; /* nothing more will be published */
    struct config config;
    uint64_t random;
    uint64_t ids;     /* by which replicas are named */
    int64_t delay_ns; /* of a packet, at most */
    int64_t stamp_ns; /* of the last thing received */
    int64_t flush_window_ns;
    uint64_t numbered_epoch;
    int numbered_by;
    struct world_replica *at_work;   /* whose code runs */
    int64_t skew_ms[WORLD_REPLICAS]; /* by how much the clock of each is wrong */
    unsigned started;
    struct world_replica replicas[WORLD_REPLICAS];
    int steps;
    size_t trace_size;
    char trace[WORLD_TRACE_MAX];
};

/* Sets up everything; no replica runs. One world at a time. */
void world_init(struct replica_world *world, const struct world_setting *setting);
void world_release(struct replica_world *world);

/* A random number below `range`. */
unsigned world_roll(struct replica_world *world, unsigned range);

/* Notes a step. */
void world_trace(struct replica_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Publishers. */
void world_publish(struct replica_world *world, int publisher, int company, bool again);

/* Processes: one starts, ends at once, is stopped (in the middle of its turn, perhaps), goes on, or ends cleanly. */
void world_start(struct replica_world *world, unsigned number);
void world_kill(struct world_replica *replica, size_t sent, size_t carried_out);
void world_stop(struct world_replica *replica, int phase);
void world_continue(struct world_replica *replica);
void world_leave(struct world_replica *replica);

/* Whether it runs, and whether others do who know all. */
bool world_is_running(const struct world_replica *replica);
bool world_has_other(const struct world_replica *replica);
bool world_is_owner(const struct world_replica *replica);

/* One turn of a replica's thread; some: only that many events are taken. */
void world_turn(struct world_replica *replica, size_t max_events);

/* The replica's end of NATS, not connected yet. */
void world_connect_source(struct world_replica *replica);
void world_free_source(struct world_replica *replica);

/* Takes the first packet; false: there is none. */
bool world_take_packet(struct packets *packets, struct packet *ret_packet);

/* Of NATS: packets go on; all: there and back, of everybody. */
void world_send(struct world_replica *replica, size_t count);
void world_deliver(struct world_replica *replica, size_t count);
void world_cut_nats(struct world_replica *replica, size_t sent);
void world_restore_nats(struct world_replica *replica);

/* The server has said that it has the subscriptions of a new connection. */
void world_confirm(struct world_replica *replica);

/* Of the store. */
void world_carry_out(struct world_replica *replica, size_t count);
void world_cut_store(struct world_replica *replica, size_t carried_out);
void world_restore_store(struct world_replica *replica);

/* By chance, while nothing else is wrong, what it has sent to the store arrives there later than it is gone. */
void world_delay(struct world_replica *replica);

/* NATS or the store is away for all, or back. */
void world_set_nats(struct replica_world *world, bool away);
void world_set_store(struct replica_world *world, bool away);

/* The store is away for all, and has lost its last milliseconds; 0: everything, the lease as well. */
void world_lose_data(struct replica_world *world, int64_t ms);

/* Subscriptions of the worker. */
void world_subscribe(struct world_replica *replica, int company);
void world_unsubscribe(struct world_replica *replica, int company);

/* Time goes on, and with it all that runs. */
void world_pass(struct replica_world *world, int64_t ms);

/* Heals everything, and lets it come to rest; then checks that nothing is missing anywhere. */
void world_finish(struct replica_world *world);

#endif
