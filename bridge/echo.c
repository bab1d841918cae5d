#include "bridge/echo.h"

#include <stdlib.h>

enum { UNHEARD_MAX = 10 /* signs of life: three seconds */ };

struct echo {
    const char *live_subject;
    struct log *log;
    struct metrics *metrics;
    int unheard;
};

struct echo *echo_new(const char *live_subject, struct log *log, struct metrics *metrics)
{
    struct echo *echo = calloc(1, sizeof *echo);

    if (echo)
        *echo = (struct echo){.live_subject = live_subject, .log = log, .metrics = metrics};
    return echo;
}

void echo_free(struct echo *echo)
{
    free(echo);
}

void echo_note_said(struct echo *echo)
{
    if (echo->unheard == UNHEARD_MAX)
        return;
    echo->unheard++;
    if (echo->unheard < UNHEARD_MAX)
        return;
    metrics_set(echo->metrics, METRIC_LIVE_DEAF, 1);
    metrics_add(echo->metrics, METRIC_LIVE_DEAFENED, 1);
    log_write(echo->log, LOG_LEVEL_ERROR,
              "This replica does not hear itself, so that no other can be heard: give its NATS user the permissions to "
              "publish and to subscribe to this subject",
              LOG_FIELDS(log_text("subject", echo->live_subject)));
}

static void end(struct echo *echo)
{
    echo->unheard = 0;
    metrics_set(echo->metrics, METRIC_LIVE_DEAF, 0);
}

void echo_note_away(struct echo *echo)
{
    end(echo);
}

void echo_note_heard(struct echo *echo)
{
    if (echo->unheard == UNHEARD_MAX)
        log_write(echo->log, LOG_LEVEL_INFO, "This replica hears itself again",
                  LOG_FIELDS(log_text("subject", echo->live_subject)));
    end(echo);
}
