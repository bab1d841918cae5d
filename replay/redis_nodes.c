#include "replay/redis_nodes.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "replay/redis_connection.h"

struct node {
    struct redis_endpoint server;
    struct redis_line *line; /* NULL: none now */
    size_t slots;            /* how many it has */
};

struct redis_nodes {
    struct redis_line_options line;
    int epoll_fd;
    bool has_map;
    size_t count;
    struct node nodes[REDIS_NODES_MAX];
    uint16_t slots[REDIS_SLOTS];
};

struct redis_nodes *redis_nodes_new(const struct redis_line_options *line)
{
    struct redis_nodes *nodes = calloc(1, sizeof *nodes);

    if (!nodes)
        return NULL;
    nodes->line = *line;
    nodes->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (nodes->epoll_fd >= 0)
        return nodes;
    free(nodes);
    return NULL;
}

static void end_line(struct node *node)
{
    struct redis_line *line = node->line;

    node->line = NULL;
    redis_line_free(line);
}

void redis_nodes_free(struct redis_nodes *nodes)
{
    if (!nodes)
        return;
    for (size_t i = 0; i < nodes->count; i++)
        end_line(&nodes->nodes[i]);
    close(nodes->epoll_fd);
    free(nodes);
}

/* What shows whether the node takes writes: a key of one of its slots. */
static void write_probe(const struct redis_nodes *nodes, size_t node, struct redis_line_options *line)
{
    for (unsigned slot = 0; nodes->nodes[node].slots > 0 && slot < REDIS_SLOTS; slot++) {
        char tag[REDIS_SLOT_TAG_SIZE];

        if (nodes->slots[slot] != node)
            continue;
        redis_slot_tag(slot, tag);
        snprintf(line->probe, sizeof line->probe, "sluice:probe:{%s}", tag);
        return;
    }
}

static int start_line(struct redis_nodes *nodes, size_t node)
{
    struct redis_line_options line = nodes->line;

    line.server = nodes->nodes[node].server;
    write_probe(nodes, node, &line);
    nodes->nodes[node].line = redis_line_new(&line);
    return nodes->nodes[node].line ? 0 : -ENOMEM;
}

/* The node's number, known from now on. */
static int enter(struct redis_nodes *nodes, const struct redis_endpoint *server)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (redis_endpoint_equals(&nodes->nodes[i].server, server))
            return (int)i;
    if (nodes->count == REDIS_NODES_MAX)
        return REDIS_NO_NODE;
    nodes->nodes[nodes->count] = (struct node){.server = *server};
    return (int)nodes->count++;
}

int redis_nodes_find(struct redis_nodes *nodes, const struct redis_endpoint *server)
{
    int node = enter(nodes, server);

    if (node == REDIS_NO_NODE || nodes->nodes[node].line || start_line(nodes, (size_t)node) == 0)
        return node;
    return REDIS_NO_NODE;
}

/* Ends the lines that nobody needs, and makes those that are missing. */
static int adjust_lines(struct redis_nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        struct node *node = &nodes->nodes[i];
        struct redis_connection *connection = node->line ? redis_line_connection(node->line) : NULL;

        if (node->slots > 0 && !node->line && start_line(nodes, i) < 0)
            return -ENOMEM;
        if (node->slots == 0 && connection && !redis_connection_is_waiting(connection))
            end_line(node);
    }
    return 0;
}

int redis_nodes_take_map(struct redis_nodes *nodes, const struct redis_slot_map *map)
{
    int numbers[REDIS_NODES_MAX] = {0};

    for (size_t i = 0; i < map->count; i++) {
        numbers[i] = enter(nodes, &map->nodes[i]);
        if (numbers[i] == REDIS_NO_NODE)
            return -ENOBUFS;
    }
    for (size_t i = 0; i < nodes->count; i++)
        nodes->nodes[i].slots = 0;
    for (unsigned slot = 0; slot < REDIS_SLOTS; slot++) {
        nodes->slots[slot] = (uint16_t)numbers[map->slots[slot]];
        nodes->nodes[nodes->slots[slot]].slots++;
    }
    nodes->has_map = true;
    return adjust_lines(nodes);
}

void redis_nodes_move_slot(struct redis_nodes *nodes, unsigned slot, int node)
{
    nodes->nodes[nodes->slots[slot]].slots--;
    nodes->slots[slot] = (uint16_t)node;
    nodes->nodes[node].slots++;
}

int redis_nodes_of_slot(const struct redis_nodes *nodes, unsigned slot)
{
    return nodes->slots[slot];
}

const struct redis_endpoint *redis_nodes_server(const struct redis_nodes *nodes, int node)
{
    return &nodes->nodes[node].server;
}

size_t redis_nodes_count(const struct redis_nodes *nodes)
{
    return nodes->count;
}

bool redis_nodes_has_line(const struct redis_nodes *nodes, int node)
{
    return nodes->nodes[node].line != NULL;
}

struct redis_connection *redis_nodes_connection(const struct redis_nodes *nodes, int node)
{
    return nodes->nodes[node].line ? redis_line_connection(nodes->nodes[node].line) : NULL;
}

bool redis_nodes_are_up(const struct redis_nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->nodes[i].slots > 0 && !redis_nodes_connection(nodes, (int)i))
            return false;
    return nodes->has_map;
}

static void poll_one(const struct redis_nodes *nodes, int fd, short wanted)
{
    struct epoll_event event = {.events = EPOLLIN | (wanted & POLLOUT ? (uint32_t)EPOLLOUT : 0)};

    if (fd >= 0 && epoll_ctl(nodes->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0)
        (void)epoll_ctl(nodes->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/*
 * A descriptor leaves the set by itself when it is closed, and its number may be another line's then: so each is put in, whether
 * it was there or not, and none is taken out. One that a dial's thread still holds wakes us up once for nothing.
 */
int redis_nodes_poll_fd(struct redis_nodes *nodes, int other_fd, short other_wanted)
{
    for (size_t i = 0; i < nodes->count; i++) {
        const struct node *node = &nodes->nodes[i];
        short wanted = 0;
        int fd = node->line ? redis_line_poll_fd(node->line, &wanted) : -1;

        poll_one(nodes, fd, wanted);
    }
    poll_one(nodes, other_fd, other_wanted);
    return nodes->epoll_fd;
}

int64_t redis_nodes_deadline_ns(const struct redis_nodes *nodes)
{
    int64_t deadline_ns = INT64_MAX;

    for (size_t i = 0; i < nodes->count; i++) {
        int64_t line_ns = nodes->nodes[i].line ? redis_line_deadline_ns(nodes->nodes[i].line) : INT64_MAX;

        if (line_ns < deadline_ns)
            deadline_ns = line_ns;
    }
    return deadline_ns;
}

int redis_nodes_run(struct redis_nodes *nodes, char ret_reason[REDIS_REASON_SIZE])
{
    for (size_t i = 0; i < nodes->count; i++) {
        struct node *node = &nodes->nodes[i];
        char reason[REDIS_REASON_SIZE];

        if (!node->line || redis_line_run(node->line, reason) == 0)
            continue;
        if (node->slots > 0) {
            snprintf(ret_reason, REDIS_REASON_SIZE, "node %.100s port %.5s: %.130s", node->server.host,
                     node->server.port, reason);
            return -ENOTCONN;
        }
        end_line(node);
    }
    return 0;
}
