#ifndef SLUICE_TESTS_SEAM_WORLD_H
#define SLUICE_TESTS_SEAM_WORLD_H

#include "support/bridge_rig.h"
#include "support/seam_model.h"
#include "support/sse_reader.h"
#include "support/worker_rig.h"

/*
 * The system under test of http/seam_test.c, and the steps that a schedule is made of: real workers over fake sockets, a
 * real hub, intake and appender over a fake store, and clients that parse bytes.
 */
enum { SEAM_CLIENTS = 4, SEAM_WORKERS = 2, SEAM_TRACE_MAX = 4096 };

struct seam_world;

struct seam_client {
    struct seam_world *world;
    struct seam_view view;
    bool chunked;
    bool gzip; /* every second connection */
    unsigned worker;
    struct fake_socket *socket; /* NULL: not connected */
    struct sse_reader reader;
};

struct seam_world {
    struct bridge_rig bridge;
    struct metrics *metrics;
    struct hub_worker hub_workers[SEAM_WORKERS];
    struct registry *registry;
    struct worker_rig *workers[SEAM_WORKERS];
    bool exhaustive;
    int published;
    uint64_t random;
    int steps;
    size_t trace_size;
    char trace[SEAM_TRACE_MAX];
    struct seam_model model;
    struct seam_client clients[SEAM_CLIENTS];
};

struct seam_setting {
    uint64_t seed;
    bool forgetful;   /* the store may lose data */
    bool small_bytes; /* rings are cut by bytes too */
    bool refill;      /* OVERFLOW=refill */
    unsigned workers;
    bool exhaustive;
    bool filtered; /* the first client may have only some events; the third always does */
};

/* Sets up everything; no client is connected. One world at a time. */
void seam_world_init(struct seam_world *world, const struct seam_setting *setting);

/* Frees what seam_world_init() and the steps made. */
void seam_world_release(struct seam_world *world);

/* A random number below `range`. */
unsigned seam_roll(struct seam_world *world, unsigned range);

/* Notes a step. */
void seam_trace(struct seam_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Clients. */

/* The client reads up to that many bytes, if it is connected. */
void seam_read(struct seam_client *client, size_t size);

/* The client connects to that worker by a socket that holds `capacity` bytes, unless it is connected. */
void seam_connect(struct seam_client *client, unsigned worker, size_t capacity);

/* The client goes, and what it has not read goes with it. The worker hears of it in its next turn. */
void seam_disconnect(struct seam_client *client);

/* Any client connects to one of the first `workers`. */
void seam_connect_any(struct seam_world *world, unsigned workers);

/* Any client reads some bytes. */
void seam_read_any(struct seam_world *world);

/* Any client goes. */
void seam_disconnect_any(struct seam_world *world);

/* Workers. */

/* All workers turn once, with their sockets' events. */
void seam_turn_workers(struct seam_world *world);

/* One worker turns once; with its sockets' events, or before they are seen; now and then without time for all of its streams. */
void seam_turn_worker(struct seam_world *world, unsigned worker, bool sockets);

/* The bridge carries out the first thing that workers asked it. */
void seam_answer_asked(struct seam_world *world);

/* The source. */

/* An event of that company arrives: any of two names, or, where all schedules are gone through, of them in turn. */
void seam_publish(struct seam_world *world, int company);

/* The source may have lost events. */
void seam_make_hole(struct seam_world *world);

/* The store. */

/* It answers its first request. */
void seam_answer_store(struct seam_world *world);

/* Its first request fails, carried out or not. */
void seam_fail_store(struct seam_world *world);

/* The connection to it is lost: all its requests fail. */
void seam_lose_store(struct seam_world *world);

/* The connection to it is back. */
void seam_restore_store(struct seam_world *world);

/* The connection to it is lost, and with it a company's last events, or everything. */
void seam_drop_data(struct seam_world *world);

/* It trims a company to its last events. */
void seam_trim_store(struct seam_world *world);

/* Time. */

/* What the bridge does now and then. */
void seam_tick(struct seam_world *world);

/* Some milliseconds pass, or many. */
void seam_pass_time(struct seam_world *world);

/* So much time passes that quiet companies are forgotten. */
void seam_pass_quiet_time(struct seam_world *world);

#endif
