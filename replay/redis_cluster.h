#ifndef SLUICE_REPLAY_REDIS_CLUSTER_H
#define SLUICE_REPLAY_REDIS_CLUSTER_H

#include "replay/redis_connection.h"
#include "replay/redis_line.h"

/*
 * Redis Cluster as one connection: finds out which node has which slot, keeps a line to each master, sends each command to
 * the node that has its key, and once more where the key has moved. It is up while every slot has a node that takes writes, and
 * over as soon as one of them is lost; then it is to be made anew. One thread; it never blocks it.
 *
 * The commands of one key are carried out in the order in which they were sent, also over a move: while some of its slot are with
 * one node, none goes to another. Those of several keys are as well, but for one that is told TRYAGAIN: what was sent behind it,
 * before that was known, may be carried out first.
 */
struct redis_cluster;

struct redis_cluster_options {
    const struct redis_endpoint *servers; /* some of the nodes; outlive it */
    size_t count;                         /* at least one */
    struct redis_line_options line;       /* for all nodes, but for server and probe */
};

/* NULL: no memory, descriptor or thread. */
struct redis_cluster *redis_cluster_new(const struct redis_cluster_options *options);

/* The connection, once it is up; else NULL. Valid until the cluster is freed. */
struct redis_connection *redis_cluster_connection(const struct redis_cluster *cluster);

/* What to wait for, and until when, before the next run. */
int redis_cluster_poll_fd(struct redis_cluster *cluster, short *ret_events);
int64_t redis_cluster_deadline_ns(const struct redis_cluster *cluster);

/* Returns 0, or -ENOTCONN when it is over, and why, without secrets; then it can only be freed. */
int redis_cluster_run(struct redis_cluster *cluster, char ret_reason[REDIS_REASON_SIZE]);

/* Calls back every waiting command with NULL. NULL is fine. */
void redis_cluster_free(struct redis_cluster *cluster);

#endif
