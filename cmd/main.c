#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/gate.h"
#include "bridge/bridge.h"
#include "cmd/arguments.h"
#include "cmd/keygen.h"
#include "cmd/replay.h"
#include "cmd/token.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "http/front_door.h"
#include "http/probe.h"
#include "http/registry.h"
#include "http/worker.h"

#define NS_PER_S INT64_C(1000000000)

enum {
    ERRORS_MAX_BYTES = 64 * 1024,
    DESCRIPTORS_RESERVED = 64, /* for everything but clients */
    REQUESTS_MAX = 4096,       /* at the same time in libmicrohttpd */
    ADMIN_REQUESTS_MAX = 16,   /* likewise at ADMIN_BIND_ADDRESS; among the reserved ones */
    EXIT_BAD_CONFIG = 2,
    START_WAIT_MS = 1000, /* for NATS and Redis, before clients are let in all the same */
};

/* Everything that runs, in the order of its making. */
struct program {
    const struct config *config;
    struct log *log;
    struct metrics *metrics;
    struct registry *registry;
    unsigned worker_count;
    unsigned max_requests;
    struct worker *workers[REGISTRY_WORKERS_MAX];
    struct hub_worker hub_workers[REGISTRY_WORKERS_MAX];
    struct auth *auth;
    struct gate *gate;
    struct bridge *bridge;
    struct front_door *front_door;
    struct front_door *admin_door; /* NULL: none */
};

static const char *lookup_environment(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

static struct log *make_log(const struct config *config)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    enum log_level level = LOG_LEVEL_DEBUG;
    bool as_json = strcmp(config->log_format, "json") == 0;

    while (strcmp(config->log_level, levels[level]) != 0)
        level++;
    if (strcmp(config->log_format, "auto") == 0)
        as_json = !isatty(STDERR_FILENO);
    return log_new(STDERR_FILENO, level, as_json);
}

/* Raises the soft limit of descriptors to the hard one. Returns it. */
static int64_t raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur < 1000000 ? (int64_t)limit.rlim_cur : 1000000;
}

/* Divides the descriptors between requests and streams. Returns how many streams there may be. */
static int64_t plan_descriptors(struct program *program)
{
    int64_t descriptors = raise_descriptor_limit();
    int64_t requests = descriptors / 8 < REQUESTS_MAX ? descriptors / 8 : REQUESTS_MAX;
    int64_t streams = descriptors - requests - DESCRIPTORS_RESERVED;

    program->max_requests = (unsigned)requests;
    if (streams < 1)
        streams = 1;
    if (program->config->max_connections > 0 && program->config->max_connections < streams)
        streams = program->config->max_connections;
    log_write(program->log, LOG_LEVEL_INFO, "Descriptors planned",
              LOG_FIELDS(log_number("descriptors", descriptors), log_number("maxStreams", streams),
                         log_number("wantedStreams", program->config->max_connections)));
    return streams;
}

static unsigned count_workers(const struct config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (config->workers > 0)
        return (unsigned)config->workers;
    if (cores < 1)
        return 1;
    return cores < REGISTRY_WORKERS_MAX ? (unsigned)cores : REGISTRY_WORKERS_MAX;
}

static int make_workers(struct program *program)
{
    for (unsigned i = 0; i < program->worker_count; i++) {
        program->workers[i] = worker_new(&(struct worker_options){
            .config = program->config,
            .index = i,
            .hub_worker = &program->hub_workers[i],
            .registry = program->registry,
            .log = program->log,
            .metrics = program->metrics,
        });
        if (!program->workers[i])
            return -ENOMEM;
    }
    return 0;
}

/* Somebody was revoked or switched off. Any thread. */
static void review_streams(void *context)
{
    const struct program *program = context;

    for (unsigned i = 0; i < program->worker_count; i++)
        worker_review(program->workers[i]);
}

static void log_lines(struct log *log, const char *lines, size_t size)
{
    const char *end = lines + size;

    while (lines < end) {
        const char *line_end = memchr(lines, '\n', (size_t)(end - lines));
        size_t line_size = (size_t)((line_end ? line_end : end) - lines);
        char line[1024];

        snprintf(line, sizeof line, "%.*s", (int)line_size, lines);
        log_write(log, LOG_LEVEL_ERROR, "Credentials cannot be checked", LOG_FIELDS(log_text("problem", line)));
        lines += line_size + 1;
    }
}

static int make_gate(struct program *program)
{
    struct buffer errors = buffer_make(ERRORS_MAX_BYTES);
    int status = auth_new(&(struct auth_options){.config = program->config,
                                                 .log = program->log,
                                                 .metrics = program->metrics,
                                                 .changed = review_streams,
                                                 .context = program},
                          &errors, &program->auth);

    log_lines(program->log, errors.data, errors.size);
    buffer_release(&errors);
    if (status < 0)
        return status;
    program->gate = gate_new(&(struct gate_options){.config = program->config,
                                                    .auth = program->auth,
                                                    .log = program->log,
                                                    .metrics = program->metrics,
                                                    .changed = review_streams,
                                                    .context = program});
    return program->gate ? 0 : -ENOMEM;
}

static int start_workers(struct program *program)
{
    int status = 0;

    for (unsigned i = 0; i < program->worker_count && status == 0; i++)
        status = worker_start(program->workers[i], program->bridge);
    return status;
}

static int open_door(struct program *program, bool is_admin, struct front_door **ret_door)
{
    const struct config *config = program->config;
    struct front_door_options options = {.config = config,
                                         .bind_address = is_admin ? config->admin_bind_address : config->bind_address,
                                         .port = is_admin ? config->admin_port : config->port,
                                         .is_admin = is_admin,
                                         .auth = program->auth,
                                         .gate = program->gate,
                                         .registry = program->registry,
                                         .bridge = program->bridge,
                                         .workers = program->workers,
                                         .max_requests = is_admin ? ADMIN_REQUESTS_MAX : program->max_requests,
                                         .log = program->log,
                                         .metrics = program->metrics};
    int port = 0;
    int status = front_door_new(&options, ret_door, &port);

    if (status < 0)
        log_write(program->log, LOG_LEVEL_ERROR, "Sluice cannot listen",
                  LOG_FIELDS(log_text("address", options.bind_address), log_number("port", options.port),
                             log_text("error", strerror(-status))));
    else if (is_admin)
        log_write(program->log, LOG_LEVEL_INFO, "Administrators are listened to",
                  LOG_FIELDS(log_text("address", options.bind_address), log_number("port", port)));
    else
        log_write(program->log, LOG_LEVEL_INFO, "Sluice is listening",
                  LOG_FIELDS(log_text("version", SLUICE_VERSION), log_text("address", options.bind_address),
                             log_number("port", port), log_number("workers", program->worker_count),
                             log_text("authMode", config->auth_mode),
                             log_text("replay", *config->redis_url ? "redis" : "memory")));
    return status;
}

/* On a thread of the bridge. */
static void on_control(void *context, const char *payload, size_t size)
{
    gate_take_control(context, payload, size);
}

/* On the bridge's thread. */
static void list_streams(void *context, census_visit visit, void *visitor)
{
    registry_each(context, visit, visitor);
}

static int start_bridge(struct program *program)
{
    bool has_auth = strcmp(program->config->auth_mode, "none") != 0;
    int status = bridge_new(&(struct bridge_options){.config = program->config,
                                                     .workers = program->hub_workers,
                                                     .worker_count = program->worker_count,
                                                     .on_control = has_auth ? on_control : NULL,
                                                     .control_context = program->gate,
                                                     .streams = {.list = list_streams, .context = program->registry},
                                                     .log = program->log,
                                                     .metrics = program->metrics},
                            &program->bridge);

    if (status == 0)
        status = start_workers(program);
    if (status < 0)
        return status;
    bridge_await_start(program->bridge, START_WAIT_MS);
    gate_await_start(program->gate, START_WAIT_MS);
    auth_await_start(program->auth, START_WAIT_MS);
    return 0;
}

static int start(struct program *program)
{
    int status;

    program->metrics = metrics_new();
    if (!program->metrics)
        return -ENOMEM;
    program->worker_count = count_workers(program->config);
    program->registry = registry_new(plan_descriptors(program), program->worker_count, program->metrics);
    if (!program->registry)
        return -ENOMEM;
    status = make_workers(program);
    if (status == 0)
        status = make_gate(program);
    if (status == 0)
        status = start_bridge(program);
    if (status == 0 && *program->config->admin_bind_address)
        status = open_door(program, true, &program->admin_door);
    if (status == 0)
        status = open_door(program, false, &program->front_door);
    return status;
}

/* Waits until the streams are gone, or the time is over. */
static void wait_for_streams(struct program *program, int64_t deadline_ns)
{
    while (registry_connections(program->registry) > 0 && clock_monotonic_ns() < deadline_ns)
        usleep(5000);
}

/*
 * An orderly end: no new streams; what NATS had sent goes to the streams and into the replay store; each stream is told to
 * come back; the rest is closed when the time is over. A quarter of the time is kept for the goodbyes.
 */
static void drain(struct program *program, int signal_number)
{
    int64_t begin_ns = clock_monotonic_ns();
    int64_t limit_ns = program->config->drain_seconds * NS_PER_S;
    int64_t unstored;

    log_write(program->log, LOG_LEVEL_INFO, "Draining",
              LOG_FIELDS(log_text("signal", signal_number == SIGINT ? "SIGINT" : "SIGTERM"),
                         log_number("connections", registry_connections(program->registry))));
    front_door_drain(program->front_door);
    if (program->admin_door)
        front_door_drain(program->admin_door);
    unstored = bridge_drain(program->bridge, begin_ns + limit_ns * 3 / 4);
    for (unsigned i = 0; i < program->worker_count; i++)
        worker_drain(program->workers[i]);
    wait_for_streams(program, begin_ns + limit_ns);
    if (unstored > 0)
        log_write(program->log, LOG_LEVEL_ERROR, "Events were delivered but not kept for replay: the store is away",
                  LOG_FIELDS(log_number("events", unstored)));
    log_write(program->log, LOG_LEVEL_INFO, "Drained",
              LOG_FIELDS(log_number("durationMs", (clock_monotonic_ns() - begin_ns) / 1000000),
                         log_number("connections", registry_connections(program->registry))));
}

static void stop(struct program *program)
{
    front_door_free(program->front_door);
    front_door_free(program->admin_door);
    for (unsigned i = 0; i < program->worker_count; i++)
        if (program->workers[i])
            worker_stop(program->workers[i]);
    /* The streams have given their passes back. From here nobody asks the workers for a review. */
    gate_stop(program->gate);
    auth_free(program->auth);
    bridge_free(program->bridge);
    for (unsigned i = 0; i < program->worker_count; i++)
        worker_free(program->workers[i]);
    gate_free(program->gate);
    registry_free(program->registry);
    metrics_free(program->metrics);
}

/* Blocks the signals that end us, so that only sigwait() takes them. SIGPIPE is nobody's. */
static void block_signals(sigset_t *ret_signals)
{
    sigemptyset(ret_signals);
    sigaddset(ret_signals, SIGTERM);
    sigaddset(ret_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int run(const struct config *config)
{
    struct program program = {.config = config};
    sigset_t signals;
    int signal_number = 0;
    int status;

    block_signals(&signals);
    program.log = make_log(config);
    if (!program.log)
        return EXIT_FAILURE;
    if (!*config->redis_url)
        log_write(program.log, LOG_LEVEL_WARN,
                  "Replay in memory only: history ends with this process (REDIS_URL is empty)", NULL);
    if (*config->nats_stream && (config->publish_events_per_second > 0 || config->publish_bytes_per_second > 0))
        log_write(program.log, LOG_LEVEL_WARN,
                  "PUBLISH_EVENTS_PER_SECOND and PUBLISH_BYTES_PER_SECOND are ignored: events come from a stream",
                  NULL);
    status = start(&program);
    if (status == 0) {
        sigwait(&signals, &signal_number);
        drain(&program, signal_number);
    } else {
        log_write(program.log, LOG_LEVEL_ERROR, "Sluice cannot start",
                  LOG_FIELDS(log_text("error", strerror(-status)), log_text("address", config->bind_address),
                             log_number("port", config->port)));
    }
    stop(&program);
    log_free(program.log);
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_replay(const struct config *config, int64_t from_ms)
{
    struct log *log = make_log(config);
    int status = log ? replay_run(config, from_ms, log) : EXIT_FAILURE;

    log_free(log);
    return status;
}

/* What stands behind a command's word. */
struct wishes {
    int64_t replay_from_ms;
    struct token_request token;
};

/* Takes it out of the arguments, which leaves the settings. Returns 0 or the exit status. */
static int take_wishes(enum command command, int *argc, char **argv, struct wishes *ret_wishes)
{
    switch (command) {
    case COMMAND_REPLAY:
        return replay_take_arguments(argc, argv, &ret_wishes->replay_from_ms);
    case COMMAND_TOKEN:
        return token_take_arguments(argc, argv, &ret_wishes->token, stderr);
    default:
        return 0;
    }
}

static int run_command(enum command command, const struct config *config, const struct wishes *wishes)
{
    switch (command) {
    case COMMAND_CHECK_CONFIG:
        puts("The configuration is good.");
        return EXIT_SUCCESS;
    case COMMAND_PROBE:
        return probe_live(config->bind_address, config->port) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    case COMMAND_REPLAY:
        return run_replay(config, wishes->replay_from_ms);
    case COMMAND_TOKEN:
        return token_run(config, &wishes->token, stdout, stderr);
    default:
        return run(config);
    }
}

int main(int argc, char **argv)
{
    struct config config;
    struct buffer errors = buffer_make(ERRORS_MAX_BYTES);
    struct wishes wishes = {0};
    enum command word;
    enum command command;
    bool usable;
    int status;

    argc--;
    argv++;
    word = arguments_take_word(&argc, &argv);
    if (word == COMMAND_KEYGEN)
        return keygen_run(argc, argv, stdout, stderr);
    command = arguments_take_command(&argc, argv);
    if (command == COMMAND_HELP) {
        arguments_print_help();
        return EXIT_SUCCESS;
    }
    if (command == COMMAND_WRITE_DOCS) {
        arguments_print_docs();
        return EXIT_SUCCESS;
    }
    if (command == COMMAND_VERSION) {
        puts("sluice " SLUICE_VERSION);
        return EXIT_SUCCESS;
    }
    if (word != COMMAND_RUN)
        command = word;
    status = take_wishes(command, &argc, argv, &wishes);
    if (status != 0)
        return status;
    status = config_load(&config, argc, argv, lookup_environment, NULL, &errors);
    /* The probe runs beside the process that has all the settings: address and port are all that it needs. */
    usable = status == 0 || (command == COMMAND_PROBE && config.bind_address);
    if (!usable) {
        fprintf(stderr, "%.*ssluice: %s; see sluice --help\n", (int)errors.size, errors.data ? errors.data : "",
                status == -ENOMEM ? "out of memory" : "the configuration is not valid");
        status = EXIT_BAD_CONFIG;
    } else {
        status = run_command(command, &config, &wishes);
    }
    buffer_release(&errors);
    config_release(&config);
    return status;
}
