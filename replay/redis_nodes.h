#ifndef SLUICE_REPLAY_REDIS_NODES_H
#define SLUICE_REPLAY_REDIS_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "replay/redis_line.h"
#include "replay/redis_slot_map.h"

/*
 * The nodes of a Redis Cluster that we know, a line to each that has slots, and which of them has which slot. Nodes are known by
 * numbers, which stay as long as this does. One thread; it never blocks it.
 */
struct redis_nodes;

enum { REDIS_NO_NODE = -1 };

/* line: for all of them, but for server and probe. NULL: no memory or descriptor. */
struct redis_nodes *redis_nodes_new(const struct redis_line_options *line);

/* Calls back every waiting command with NULL. NULL is fine. */
void redis_nodes_free(struct redis_nodes *nodes);

/* The nodes have these slots from now on; lines that are not needed any more end. Returns 0, -ENOMEM or -ENOBUFS: too many. */
int redis_nodes_take_map(struct redis_nodes *nodes, const struct redis_slot_map *map);

/* The number of a node, with a line to it from now on, or REDIS_NO_NODE: no memory, or too many. */
int redis_nodes_find(struct redis_nodes *nodes, const struct redis_endpoint *server);

/* A slot is that node's from now on. */
void redis_nodes_move_slot(struct redis_nodes *nodes, unsigned slot, int node);

/* Whose the slot is; valid once there was a map. */
int redis_nodes_of_slot(const struct redis_nodes *nodes, unsigned slot);

const struct redis_endpoint *redis_nodes_server(const struct redis_nodes *nodes, int node);
size_t redis_nodes_count(const struct redis_nodes *nodes);

/* Whether there is a line to the node, and its connection; NULL: it takes no commands now. */
bool redis_nodes_has_line(const struct redis_nodes *nodes, int node);
struct redis_connection *redis_nodes_connection(const struct redis_nodes *nodes, int node);

/* Whether all slots have nodes that take commands. */
bool redis_nodes_are_up(const struct redis_nodes *nodes);

/*
 * A descriptor that is readable when there is something to do, until the next run, also when the other one is readable, or
 * writable where POLLOUT is wanted (-1: none); and until when to wait at most.
 */
int redis_nodes_poll_fd(struct redis_nodes *nodes, int other_fd, short other_wanted);
int64_t redis_nodes_deadline_ns(const struct redis_nodes *nodes);

/* Returns 0, or -ENOTCONN: a node that has slots is lost, and why. One without slots is only left. */
int redis_nodes_run(struct redis_nodes *nodes, char ret_reason[REDIS_REASON_SIZE]);

#endif
