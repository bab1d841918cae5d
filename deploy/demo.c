/*
 * sluice-demo: publishes a small believable stream of metric, SROI, VIS and journey events to NATS,
 * to try Sluice out with; or, with --rate and --companies, an even load for k6/streaming-load.js.
 */
#include <getopt.h>
#include <inttypes.h>
#include <nats/nats.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_RATE 100000.0
#define MAX_COMPANIES 100000
#define MAX_NAME_BYTES 64
#define MAX_PAYLOAD_BYTES 512 /* without padding */
#define MAX_SIZE_BYTES 65536
#define MAX_TURN 1000 /* events published before the signals are looked at again */
#define NS_PER_SECOND INT64_C(1000000000)
#define SHORTEST_SLEEP_NS INT64_C(1000000)
#define AWAY_PAUSE_NS INT64_C(100000000)

enum { EXIT_USAGE = 2 };
enum { METRIC_COUNT = 4, FLAG_COUNT = 5, DIMENSION_COUNT = 3 };

static const char *const metric_names[METRIC_COUNT] = {
    "integration_score",
    "language_level",
    "job_readiness",
    "participation_rate",
};
static const char *const flag_names[FLAG_COUNT] = {
    "first_meeting_held", "cv_completed", "language_course_started", "mentor_assigned", "job_interview_invited",
};
static const char *const dimension_names[DIMENSION_COUNT] = {"hours", "consistency", "outcome"};

enum kind { KIND_METRIC, KIND_SROI, KIND_VIS, KIND_JOURNEY };

/* What one company publishes, in turn: mostly metrics, and each other kind within a few events. */
static const enum kind cycle[] = {
    KIND_METRIC, KIND_VIS, KIND_METRIC, KIND_JOURNEY, KIND_METRIC, KIND_SROI, KIND_METRIC,
};

struct settings {
    const char *url;
    double rate;    /* events per second, over all companies */
    long companies; /* 0: the two named ones */
    const char *prefix;
    size_t size;    /* payloads are padded to so many bytes; 0: not at all */
    uint64_t count; /* ends after so many events */
};

struct company {
    char name[MAX_NAME_BYTES];
    uint64_t published;
    double metrics[METRIC_COUNT];
    double sroi;
    double vis;
};

struct publisher {
    natsConnection *connection;
    struct company *companies;
    size_t company_count;
    uint64_t random_state;
    uint64_t published;
    size_t size;
    char padding[MAX_SIZE_BYTES];
    char payload[MAX_SIZE_BYTES + MAX_PAYLOAD_BYTES];
};

static void print_help(FILE *out)
{
    fputs("Usage: sluice-demo [OPTION...]\n"
          "\n"
          "Publishes metric, SROI, VIS and journey events for Sluice to NATS until it is stopped\n"
          "with Ctrl-C or SIGTERM. It waits for NATS and reconnects for ever.\n"
          "\n"
          "  --url URL          the NATS server (NATS_URL; default nats://localhost:4222)\n"
          "  --rate NUMBER      events per second over all companies (default 2)\n"
          "  --companies NUMBER companies named PREFIX0, PREFIX1 ... instead of the two\n"
          "                     called test-company and acme\n"
          "  --prefix TEXT      the prefix of their names (default c)\n"
          "  --size NUMBER      pad payloads to so many bytes, up to 65536 (default: not at all)\n"
          "  --count NUMBER     end after so many events (default: never)\n"
          "  --help             this text\n"
          "\n"
          "Every payload carries \"ts\", the Unix time in milliseconds at which it was published.\n",
          out);
}

/* Reads a number between minimum and maximum. Returns whether the text was one. */
static bool parse_number(const char *text, double minimum, double maximum, double *ret_number)
{
    char *end = NULL;
    double number = strtod(text, &end);

    if (end == text || *end != '\0' || !(number >= minimum && number <= maximum)) {
        return false;
    }
    *ret_number = number;
    return true;
}

static bool name_is_valid(const char *name)
{
    return *name != '\0' && strlen(name) <= MAX_NAME_BYTES - 16 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-") == strlen(name);
}

/* Returns whether the arguments are good; says on stderr what is not. */
static bool parse_arguments(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},
        {"rate", required_argument, NULL, 'r'},
        {"companies", required_argument, NULL, 'c'},
        {"prefix", required_argument, NULL, 'p'},
        {"size", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *expected = NULL;
    double number = 0;
    int option;

    while (expected == NULL && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'u':
            settings->url = optarg;
            break;
        case 'r':
            if (!parse_number(optarg, 0.01, MAX_RATE, &settings->rate)) {
                expected = "--rate takes a number from 0.01 to 100000";
            }
            break;
        case 'c':
            if (!parse_number(optarg, 1, MAX_COMPANIES, &number)) {
                expected = "--companies takes a number from 1 to 100000";
            }
            settings->companies = (long)number;
            break;
        case 'p':
            if (!name_is_valid(optarg)) {
                expected = "--prefix takes letters, digits and . _ : -";
            }
            settings->prefix = optarg;
            break;
        case 's':
            if (!parse_number(optarg, 1, MAX_SIZE_BYTES, &number)) {
                expected = "--size takes a number from 1 to 65536";
            }
            settings->size = (size_t)number;
            break;
        case 'n':
            if (!parse_number(optarg, 1, 1e15, &number)) {
                expected = "--count takes a number from 1";
            }
            settings->count = (uint64_t)number;
            break;
        case 'h':
            print_help(stdout);
            exit(EXIT_SUCCESS);
        default:
            return false;
        }
    }
    if (expected == NULL && optind < argc) {
        expected = "there are no arguments besides the options";
    }
    if (expected != NULL) {
        fprintf(stderr, "sluice-demo: %s\n", expected);
    }
    return expected == NULL;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* xorshift64: good enough for a demo. Returns 0 <= number < 1. */
static double random_number(struct publisher *publisher)
{
    uint64_t state = publisher->random_state;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    publisher->random_state = state;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* One of the numbers from 0 to count - 1. */
static size_t random_pick(struct publisher *publisher, int count)
{
    return (size_t)(random_number(publisher) * count);
}

/* One step of a walk which stays within its bounds. Returns the size of the step. */
static double wander(struct publisher *publisher, double *value, double minimum, double maximum)
{
    double before = *value;
    double step = (random_number(publisher) - 0.5) * (maximum - minimum) / 20;

    if (before + step < minimum || before + step > maximum) {
        step = -step;
    }
    *value = before + step;
    return step;
}

/* Writes a payload without its head (companyId, ts), and returns the subject. */
static const char *make_event(struct publisher *publisher, struct company *company, char *ret_body, size_t body_size)
{
    enum kind kind = cycle[company->published % (sizeof cycle / sizeof cycle[0])];
    size_t pick;
    double change;

    switch (kind) {
    case KIND_SROI:
        change = wander(publisher, &company->sroi, 1.5, 6.5);
        snprintf(ret_body, body_size,
                 "\"programme\":\"mentoring\",\"sroi\":%.2f,\"change\":%.2f,\"currency\":\"EUR\","
                 "\"investment\":%d,\"socialValue\":%.0f",
                 company->sroi, change, 25000, 25000 * company->sroi);
        return "metrics.sroi_calculated";
    case KIND_VIS:
        change = wander(publisher, &company->vis, 20, 98);
        pick = random_pick(publisher, DIMENSION_COUNT);
        snprintf(ret_body, body_size, "\"volunteerId\":\"v-%03zu\",\"vis\":%.1f,\"change\":%.1f,\"strongest\":\"%s\"",
                 random_pick(publisher, 200), company->vis, change, dimension_names[pick]);
        return "q2q.vis_scored";
    case KIND_JOURNEY:
        pick = random_pick(publisher, FLAG_COUNT);
        snprintf(ret_body, body_size, "\"participantId\":\"p-%04zu\",\"flag\":\"%s\",\"value\":%s",
                 random_pick(publisher, 1500), flag_names[pick], random_number(publisher) < 0.85 ? "true" : "false");
        return "journey.flag_changed";
    case KIND_METRIC:
    default:
        pick = random_pick(publisher, METRIC_COUNT);
        change = wander(publisher, &company->metrics[pick], 0.05, 0.95);
        snprintf(ret_body, body_size, "\"metricName\":\"%s\",\"value\":%.3f,\"change\":%.3f", metric_names[pick],
                 company->metrics[pick], change);
        return "metrics.calculated";
    }
}

/* What is between the body and the end of a payload, so that it has the wanted size: nothing where it has that anyway. */
static int padding_of(const struct publisher *publisher, size_t bare_size)
{
    static const size_t frame_size = sizeof ",\"pad\":\"\"" - 1;

    return publisher->size > bare_size + frame_size ? (int)(publisher->size - bare_size - frame_size) : 0;
}

/* Publishes the next event, of the companies in turn. */
static natsStatus publish_event(struct publisher *publisher)
{
    struct company *company = &publisher->companies[publisher->published % publisher->company_count];
    char body[MAX_PAYLOAD_BYTES / 2];
    char time[MAX_PAYLOAD_BYTES / 8];
    const char *subject = make_event(publisher, company, body, sizeof body);
    size_t bare_size = (size_t)snprintf(time, sizeof time, ",\"ts\":%" PRId64, clock_ns(CLOCK_REALTIME) / 1000000);
    int padding;

    bare_size += strlen("{\"companyId\":\"\",}") + strlen(company->name) + strlen(body);
    padding = padding_of(publisher, bare_size);
    snprintf(publisher->payload, sizeof publisher->payload, "{\"companyId\":\"%s\",%s%s%.*s%s%s}", company->name, body,
             padding > 0 ? ",\"pad\":\"" : "", padding, publisher->padding, padding > 0 ? "\"" : "", time);
    company->published++;
    publisher->published++;
    return natsConnection_PublishString(publisher->connection, subject, publisher->payload);
}

static bool make_companies(struct publisher *publisher, const struct settings *settings)
{
    static const char *const named[] = {"test-company", "acme"};
    size_t count = settings->companies > 0 ? (size_t)settings->companies : 2;

    publisher->companies = calloc(count, sizeof *publisher->companies);
    if (publisher->companies == NULL) {
        return false;
    }
    publisher->company_count = count;
    for (size_t i = 0; i < count; i++) {
        struct company *company = &publisher->companies[i];

        if (settings->companies > 0) {
            snprintf(company->name, sizeof company->name, "%s%zu", settings->prefix, i);
        } else {
            snprintf(company->name, sizeof company->name, "%s", named[i]);
        }
        /* The same company's events of one kind are spread over time, not all at once. */
        company->published = (uint64_t)(i % 3) * 2;
        for (size_t m = 0; m < METRIC_COUNT; m++) {
            company->metrics[m] = 0.3 + 0.5 * random_number(publisher);
        }
        company->sroi = 2 + 3 * random_number(publisher);
        company->vis = 40 + 40 * random_number(publisher);
    }
    return true;
}

static void on_connected(natsConnection *connection, void *closure)
{
    (void)connection;
    (void)closure;
    fputs("sluice-demo: connected to NATS\n", stderr);
}

static void on_disconnected(natsConnection *connection, void *closure)
{
    (void)closure;
    if (!natsConnection_IsClosed(connection)) {
        fputs("sluice-demo: NATS is away, trying again\n", stderr);
    }
}

static natsStatus set_options(natsOptions *options, const char *url)
{
    natsStatus status = natsOptions_SetURL(options, url);

    if (status == NATS_OK && strncmp(url, "tls://", 6) == 0) {
        status = natsOptions_SetSecure(options, true);
    }
    if (status == NATS_OK) {
        status = natsOptions_SetName(options, "sluice-demo");
    }
    if (status == NATS_OK) {
        status = natsOptions_SetMaxReconnect(options, -1);
    }
    if (status == NATS_OK) {
        status = natsOptions_SetReconnectWait(options, 500);
    }
    if (status == NATS_OK) {
        status = natsOptions_SetRetryOnFailedConnect(options, true, on_connected, NULL);
    }
    if (status == NATS_OK) {
        status = natsOptions_SetReconnectedCB(options, on_connected, NULL);
    }
    if (status == NATS_OK) {
        status = natsOptions_SetDisconnectedCB(options, on_disconnected, NULL);
    }
    return status;
}

/* Connects, or goes on trying to in the background. */
static natsStatus connect_to_nats(const char *url, natsConnection **ret_connection)
{
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);

    if (status == NATS_OK) {
        status = set_options(options, url);
    }
    if (status == NATS_OK) {
        status = natsConnection_Connect(ret_connection, options);
    }
    if (status == NATS_OK) {
        on_connected(*ret_connection, NULL);
    } else if (status == NATS_NOT_YET_CONNECTED) {
        on_disconnected(*ret_connection, NULL);
        status = NATS_OK;
    }
    natsOptions_Destroy(options);
    return status;
}

/*
 * Publishes what is due at *due_ns and until now, at most MAX_TURN events of it. Events which fall
 * due while NATS is away are left out: a demo need not catch up.
 */
static natsStatus publish_due(struct publisher *publisher, const struct settings *settings, int64_t *due_ns)
{
    int64_t interval_ns = (int64_t)(1e9 / settings->rate);
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    natsStatus status = NATS_OK;

    for (int i = 0; status == NATS_OK && i < MAX_TURN && *due_ns <= now_ns; i++) {
        switch (natsConnection_Status(publisher->connection)) {
        case NATS_CONN_STATUS_CONNECTED:
            status = publish_event(publisher);
            *due_ns += interval_ns;
            break;
        case NATS_CONN_STATUS_CLOSED:
            status = NATS_CONNECTION_CLOSED;
            break;
        default:
            *due_ns = now_ns + AWAY_PAUSE_NS;
            break;
        }
        if (publisher->published == settings->count) {
            break;
        }
    }
    return status;
}

/* Publishes at an even rate until a signal comes or the count is reached. */
static natsStatus publish_until_stopped(struct publisher *publisher, const sigset_t *stop_signals,
                                        const struct settings *settings)
{
    int64_t due_ns = clock_ns(CLOCK_MONOTONIC);

    for (;;) {
        natsStatus status = publish_due(publisher, settings, &due_ns);
        int64_t wait_ns = due_ns - clock_ns(CLOCK_MONOTONIC);

        if (status != NATS_OK || publisher->published == settings->count) {
            return status;
        }
        /* At high rates a few events go out together rather than each after a sleep of its own. */
        if (wait_ns < SHORTEST_SLEEP_NS) {
            wait_ns = SHORTEST_SLEEP_NS;
        }
        struct timespec wait = {.tv_sec = (time_t)(wait_ns / NS_PER_SECOND),
                                .tv_nsec = (long)(wait_ns % NS_PER_SECOND)};
        if (sigtimedwait(stop_signals, NULL, &wait) > 0) {
            return NATS_OK;
        }
    }
}

int main(int argc, char **argv)
{
    const char *url = getenv("NATS_URL");
    struct settings settings = {
        .url = url != NULL && *url != '\0' ? url : "nats://localhost:4222",
        .rate = 2,
        .prefix = "c",
        .count = UINT64_MAX,
    };
    struct publisher publisher = {.random_state = (uint64_t)clock_ns(CLOCK_REALTIME) | 1};
    sigset_t stop_signals;
    natsStatus status;

    if (!parse_arguments(argc, argv, &settings)) {
        fputs("Try sluice-demo --help.\n", stderr);
        return EXIT_USAGE;
    }
    publisher.size = settings.size;
    memset(publisher.padding, 'x', sizeof publisher.padding);
    if (!make_companies(&publisher, &settings)) {
        fputs("sluice-demo: out of memory\n", stderr);
        return EXIT_FAILURE;
    }

    /*
     * Blocked before the library starts its threads and then waited for. A shell's background job
     * has SIGINT ignored, and an ignored signal is never waited for with success: hence SIG_DFL.
     */
    signal(SIGINT, SIG_DFL);
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGINT);
    sigaddset(&stop_signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop_signals, NULL);

    status = nats_Open(0);
    if (status == NATS_OK) {
        status = connect_to_nats(settings.url, &publisher.connection);
    }
    if (status == NATS_OK) {
        status = publish_until_stopped(&publisher, &stop_signals, &settings);
    }
    if (status == NATS_OK) {
        /* Best effort: NATS may be away. */
        (void)natsConnection_FlushTimeout(publisher.connection, 1000);
        fprintf(stderr, "sluice-demo: published %" PRIu64 " events\n", publisher.published);
    } else {
        fprintf(stderr, "sluice-demo: %s\n", natsStatus_GetText(status));
    }

    natsConnection_Destroy(publisher.connection);
    nats_CloseAndWait(2000);
    free(publisher.companies);
    return status == NATS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
