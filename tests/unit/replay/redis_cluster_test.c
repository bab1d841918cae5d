#include "replay/redis_cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "replay/redis_command.h"
#include "replay/redis_slot.h"
#include "tests/unit/support/loopback.h"

/*
 * A cluster of two nodes, which are sockets of the test: it sees what arrives at which of them, and says what they answer, and
 * when. All runs in this thread, turn by turn.
 */

enum { NODES = 2, CONNECTIONS_MAX = 16, PATIENCE_S = 20, TIMEOUT_MS = 10000 };

static const char key[] = "{acme}";
static const char other_key[] = "{other}";

struct connection {
    int fd;
    int node;
    redisReader *reader; /* commands are arrays, as some replies are */
};

struct node {
    int listener;
    char port[6];
    bool is_silent;       /* commands with the key wait unanswered */
    int moved_to;         /* who it says has the key; itself: it answers */
    const char *redirect; /* MOVED or ASK */
    int again;            /* how often it says TRYAGAIN first */
};

struct world {
    struct node nodes[NODES];
    struct connection connections[CONNECTIONS_MAX];
    size_t connection_count;
    redisReply *waiting[64]; /* commands at silent nodes */
    int waiting_fds[64];
    int waiting_nodes[64];
    size_t waiting_count;
    int owner;          /* by the map, of all slots but the first */
    char journal[2048]; /* `A:1 B:asking B:1`: what arrived */
    char answers[2048]; /* `1=OK 2=none` */
    struct redis_cluster *cluster;
    bool is_over;
    char reason[REDIS_REASON_SIZE];
};

/* Adds one word. */
static void note(char *text, size_t size, const char *a, const char *divider, const char *b)
{
    size_t used = strlen(text);

    assert_true(used + strlen(a) + strlen(b) + 4 < size);
    snprintf(text + used, size - used, "%s%s%s%s", used > 0 ? " " : "", a, divider, b);
}

static void answer(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void answer(int fd, const char *format, ...)
{
    char text[512];
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert_int_equal(send(fd, text, (size_t)size, MSG_NOSIGNAL), size);
}

/* Each node has some slots, so that both are needed: the first is A's, the last is B's, the others are the owner's. */
static void answer_slots(struct world *world, int fd)
{
    const struct node *nodes = world->nodes;

    answer(fd,
           "*3\r\n*3\r\n:0\r\n:0\r\n*2\r\n$9\r\n127.0.0.1\r\n:%s\r\n"
           "*3\r\n:1\r\n:16382\r\n*2\r\n$9\r\n127.0.0.1\r\n:%s\r\n"
           "*3\r\n:16383\r\n:16383\r\n*2\r\n$0\r\n\r\n:%s\r\n",
           nodes[0].port, nodes[world->owner].port, nodes[1].port);
}

/* The commands of a test are SET <key> <number>. */
static void serve_command(struct world *world, int number, int fd, const redisReply *command)
{
    struct node *node = &world->nodes[number];

    if (node->again > 0) {
        node->again--;
        answer(fd, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    } else if (node->moved_to != number && strcmp(command->element[1]->str, key) == 0) {
        answer(fd, "-%s %u 127.0.0.1:%s\r\n", node->redirect, redis_slot_of_key(key, strlen(key)),
               world->nodes[node->moved_to].port);
    } else {
        answer(fd, "+OK\r\n");
    }
}

static void take_asking(struct world *world, int fd, const char *name)
{
    note(world->journal, sizeof world->journal, name, ":", "asking");
    answer(fd, "+OK\r\n");
}

static void take_command(struct world *world, const struct connection *connection, redisReply *command)
{
    const char *word = command->element[0]->str;
    const char *name = connection->node == 0 ? "A" : "B";

    if (strcmp(word, "CLUSTER") == 0)
        answer_slots(world, connection->fd);
    else if (strcmp(word, "PING") == 0)
        answer(connection->fd, "+PONG\r\n");
    else if (strcmp(word, "ASKING") == 0)
        take_asking(world, connection->fd, name);
    else if (strncmp(command->element[1]->str, "sluice:probe:", 13) == 0)
        answer(connection->fd, "$-1\r\n");
    else {
        note(world->journal, sizeof world->journal, name, ":", command->element[2]->str);
        if (world->nodes[connection->node].is_silent && strcmp(command->element[1]->str, key) == 0) {
            world->waiting_fds[world->waiting_count] = connection->fd;
            world->waiting_nodes[world->waiting_count] = connection->node;
            world->waiting[world->waiting_count++] = command;
            return;
        }
        serve_command(world, connection->node, connection->fd, command);
    }
    freeReplyObject(command);
}

/* The node speaks again: what waited there is answered, in its order. */
static void speak(struct world *world, int node)
{
    size_t left = 0;

    world->nodes[node].is_silent = false;
    for (size_t i = 0; i < world->waiting_count; i++) {
        if (world->waiting_nodes[i] != node) {
            world->waiting[left] = world->waiting[i];
            world->waiting_fds[left] = world->waiting_fds[i];
            world->waiting_nodes[left++] = world->waiting_nodes[i];
            continue;
        }
        serve_command(world, node, world->waiting_fds[i], world->waiting[i]);
        freeReplyObject(world->waiting[i]);
    }
    world->waiting_count = left;
}

static void read_commands(struct world *world, const struct connection *connection)
{
    char bytes[4096];
    ssize_t size;
    void *command;

    while ((size = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        assert_int_equal(redisReaderFeed(connection->reader, bytes, (size_t)size), REDIS_OK);
    for (;;) {
        assert_int_equal(redisReaderGetReply(connection->reader, &command), REDIS_OK);
        if (!command)
            return;
        take_command(world, connection, command);
    }
}

static void run_nodes(struct world *world)
{
    for (int i = 0; i < NODES; i++) {
        int fd = accept4(world->nodes[i].listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            continue;
        assert_true(world->connection_count < CONNECTIONS_MAX);
        world->connections[world->connection_count++] =
            (struct connection){.fd = fd, .node = i, .reader = redisReaderCreate()};
    }
    for (size_t i = 0; i < world->connection_count; i++)
        read_commands(world, &world->connections[i]);
}

/* One turn of everybody. */
static void turn(struct world *world)
{
    struct pollfd fd = {.fd = -1};

    run_nodes(world);
    if (!world->is_over)
        world->is_over = redis_cluster_run(world->cluster, world->reason) < 0;
    if (world->is_over)
        return;
    fd.fd = redis_cluster_poll_fd(world->cluster, &fd.events);
    (void)poll(&fd, 1, 1);
}

#define UNTIL(world, condition)                                                                                     \
    do {                                                                                                            \
        int64_t end_ns = clock_monotonic_ns() + PATIENCE_S * INT64_C(1000000000);                                   \
        while (!(condition)) {                                                                                      \
            if (clock_monotonic_ns() > end_ns)                                                                      \
                fail_msg("in vain: " #condition "; journal %s; answers %s; %s", (world)->journal, (world)->answers, \
                         (world)->reason);                                                                          \
            turn(world);                                                                                            \
        }                                                                                                           \
    } while (0)

static void listen_at(struct node *node)
{
    int port;

    node->listener = loopback_listen(&port);
    assert_int_equal(fcntl(node->listener, F_SETFL, O_NONBLOCK), 0);
    snprintf(node->port, sizeof node->port, "%u", (uint16_t)port);
}

static struct redis_endpoint seed;

static void start(struct world *world, int timeout_ms)
{
    struct redis_cluster_options options = {
        .servers = &seed, .count = 1, .line = {.database = REDIS_NO_DATABASE, .timeout_ms = timeout_ms}};

    *world = (struct world){.owner = 0};
    for (int i = 0; i < NODES; i++) {
        listen_at(&world->nodes[i]);
        world->nodes[i].moved_to = i;
        world->nodes[i].redirect = "MOVED";
    }
    world->nodes[1].moved_to = 0;
    assert_int_equal(redis_endpoint_make("127.0.0.1", 9, world->nodes[0].port, strlen(world->nodes[0].port), &seed), 0);
    world->cluster = redis_cluster_new(&options);
    assert_non_null(world->cluster);
    UNTIL(world, redis_cluster_connection(world->cluster));
}

static void stop(struct world *world)
{
    redis_cluster_free(world->cluster);
    for (size_t i = 0; i < world->waiting_count; i++)
        freeReplyObject(world->waiting[i]);
    for (size_t i = 0; i < world->connection_count; i++) {
        close(world->connections[i].fd);
        redisReaderFree(world->connections[i].reader);
    }
    for (int i = 0; i < NODES; i++)
        close(world->nodes[i].listener);
}

struct sent {
    struct world *world;
    char number[16];
};

static void on_answer(void *context, const redisReply *reply)
{
    struct sent *sent = context;

    note(sent->world->answers, sizeof sent->world->answers, sent->number, "=", reply ? reply->str : "none");
    free(sent);
}

/* Sends the numbers of a text, each a command. */
static void send_numbers(struct world *world, const char *its_key, const char *numbers)
{
    for (const char *at = numbers; *at; at += strspn(at, " ")) {
        struct redis_command command = redis_command_make();
        struct sent *sent = calloc(1, sizeof *sent);
        size_t size = strcspn(at, " ");

        sent->world = world;
        snprintf(sent->number, sizeof sent->number, "%.*s", (int)size, at);
        at += size;
        redis_command_add(&command, "SET");
        redis_command_add(&command, "%s", its_key);
        redis_command_add(&command, "%s", sent->number);
        assert_int_equal(redis_command_send(&command, redis_cluster_connection(world->cluster), on_answer, sent), 0);
    }
}

static size_t count_words(const char *text)
{
    size_t count = 0;

    for (const char *at = text; *at; at += strcspn(at, " "), at += strspn(at, " "))
        count++;
    return count;
}

/* As many as it takes for some commands to go to B and back, one after the other. */
static void take_turns(struct world *world)
{
    char tag[REDIS_SLOT_TAG_SIZE];

    redis_slot_tag(REDIS_SLOTS - 1, tag);
    for (int i = 0; i < 5; i++) {
        size_t answers = count_words(world->answers);

        send_numbers(world, tag, "other");
        UNTIL(world, count_words(world->answers) > answers);
    }
}

static void move_to_b(struct world *world)
{
    world->nodes[0].moved_to = 1;
    world->nodes[1].moved_to = 1;
}

static void test_commands_follow_a_slot_that_moved_in_their_order(void **state)
{
    struct world world;

    (void)state;
    start(&world, TIMEOUT_MS);
    world.nodes[0].is_silent = true;
    send_numbers(&world, key, "1 2 3");
    UNTIL(&world, count_words(world.journal) == 3);
    move_to_b(&world);
    world.owner = 1;
    speak(&world, 0);
    world.nodes[1].is_silent = true;
    UNTIL(&world, count_words(world.journal) == 6);
    /* It goes straight to B now. */
    send_numbers(&world, key, "4");
    UNTIL(&world, count_words(world.journal) == 7);
    speak(&world, 1);
    UNTIL(&world, count_words(world.answers) == 4);
    assert_string_equal(world.journal, "A:1 A:2 A:3 B:1 B:2 B:3 B:4");
    assert_string_equal(world.answers, "1=OK 2=OK 3=OK 4=OK");
    stop(&world);
}

/* The first is back from A and known to be B's while the others are still at A: none may go to B before they are back too. */
static void test_none_overtakes_those_that_are_still_at_the_old_node(void **state)
{
    struct world world;

    (void)state;
    start(&world, TIMEOUT_MS);
    world.nodes[0].is_silent = true;
    send_numbers(&world, key, "1 2");
    UNTIL(&world, count_words(world.journal) == 2);
    move_to_b(&world);
    /* Only the first of them is answered. */
    serve_command(&world, 0, world.waiting_fds[0], world.waiting[0]);
    freeReplyObject(world.waiting[0]);
    world.waiting[0] = world.waiting[1];
    world.waiting_fds[0] = world.waiting_fds[1];
    world.waiting_nodes[0] = world.waiting_nodes[1];
    world.waiting_count = 1;
    take_turns(&world);
    send_numbers(&world, key, "3");
    take_turns(&world);
    assert_null(strstr(world.journal, "B:1"));
    assert_null(strstr(world.journal, "B:3"));
    speak(&world, 0);
    UNTIL(&world, strstr(world.answers, "3=OK"));
    assert_non_null(strstr(world.journal, "B:1 B:2 B:3"));
    assert_non_null(strstr(world.answers, "1=OK 2=OK 3=OK"));
    stop(&world);
}

static void test_a_slot_on_its_way_is_asked_for_at_the_other_node(void **state)
{
    struct world world;

    (void)state;
    start(&world, TIMEOUT_MS);
    move_to_b(&world);
    world.nodes[0].redirect = "ASK";
    send_numbers(&world, key, "1 2");
    UNTIL(&world, count_words(world.answers) == 2);
    /* The slot itself is still A's. */
    send_numbers(&world, key, "3");
    UNTIL(&world, count_words(world.answers) == 3);
    assert_string_equal(world.journal, "A:1 A:2 B:asking B:1 B:asking B:2 A:3 B:asking B:3");
    assert_string_equal(world.answers, "1=OK 2=OK 3=OK");
    stop(&world);
}

static void test_keys_in_two_places_are_tried_again_and_other_slots_do_not_wait(void **state)
{
    struct world world;

    (void)state;
    start(&world, TIMEOUT_MS);
    world.nodes[0].again = 3;
    send_numbers(&world, key, "1");
    UNTIL(&world, count_words(world.journal) > 1);
    world.nodes[0].again = 1000000;
    UNTIL(&world, world.nodes[0].again < 999999);
    world.nodes[0].again = 0;
    send_numbers(&world, other_key, "2");
    send_numbers(&world, key, "3");
    UNTIL(&world, count_words(world.answers) == 3);
    assert_true(strstr(world.answers, "1=OK") < strstr(world.answers, "3=OK"));
    stop(&world);
}

static void test_a_command_that_finds_no_place_is_answered_when_its_time_is_over(void **state)
{
    struct world world;

    (void)state;
    start(&world, 200);
    world.nodes[0].again = 1000000;
    send_numbers(&world, key, "1 2");
    UNTIL(&world, count_words(world.answers) >= 2 && strstr(world.answers, "2="));
    assert_false(world.is_over);
    world.nodes[0].again = 0;
    send_numbers(&world, key, "3");
    UNTIL(&world, strstr(world.answers, "3=OK"));
    stop(&world);
}

/* Two nodes that each say the slot is the other's: it ends, and nothing else suffers. */
static void test_redirections_in_a_circle_end(void **state)
{
    struct world world;

    (void)state;
    start(&world, 200);
    world.nodes[0].moved_to = 1;
    send_numbers(&world, key, "1");
    while (!world.answers[0]) {
        world.journal[0] = '\0';
        turn(&world);
    }
    assert_true(strncmp(world.answers, "1=MOVED", 7) == 0 || strcmp(world.answers, "1=none") == 0);
    assert_false(world.is_over);
    stop(&world);
}

static void test_a_lost_node_is_the_end_of_all_and_commands_are_told(void **state)
{
    struct world world;

    (void)state;
    start(&world, TIMEOUT_MS);
    world.nodes[0].is_silent = true;
    send_numbers(&world, key, "1");
    UNTIL(&world, count_words(world.journal) == 1);
    for (size_t i = 0; i < world.connection_count; i++)
        if (world.connections[i].node == 1)
            shutdown(world.connections[i].fd, SHUT_RDWR);
    UNTIL(&world, world.is_over);
    assert_non_null(strstr(world.reason, world.nodes[1].port));
    assert_string_equal(world.answers, "");
    redis_cluster_free(world.cluster);
    world.cluster = NULL;
    assert_string_equal(world.answers, "1=none");
    stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_follow_a_slot_that_moved_in_their_order),
        cmocka_unit_test(test_none_overtakes_those_that_are_still_at_the_old_node),
        cmocka_unit_test(test_a_slot_on_its_way_is_asked_for_at_the_other_node),
        cmocka_unit_test(test_keys_in_two_places_are_tried_again_and_other_slots_do_not_wait),
        cmocka_unit_test(test_a_command_that_finds_no_place_is_answered_when_its_time_is_over),
        cmocka_unit_test(test_redirections_in_a_circle_end),
        cmocka_unit_test(test_a_lost_node_is_the_end_of_all_and_commands_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
