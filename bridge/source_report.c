#include "bridge/source_report.h"

#include "bridge/source_library.h"
#include "core/clock.h"

#define REPEAT_NS (30 * INT64_C(1000000000))

/* What to do about it; NULL: nothing special. */
static const char *advice(natsStatus status)
{
    switch (status) {
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
        return "NATS does not accept our identity: compare NATS_USER, NATS_PASSWORD, NATS_TOKEN, NATS_NKEY or "
               "NATS_CREDS_FILE with the server's configuration";
    case NATS_SSL_ERROR:
        return "TLS failed: compare NATS_TLS_CA_FILE with who issued the server's certificate, the host in NATS_URL with the "
               "names in it, and see whether the server wants a certificate of ours";
    case NATS_SECURE_CONNECTION_REQUIRED:
        return "the server wants TLS: write tls:// in NATS_URL";
    case NATS_SECURE_CONNECTION_WANTED:
        return "NATS_URL says tls://, but the server has no TLS";
    default:
        return NULL;
    }
}

/* Whether the reason is to be told now. One that is refused after it was only away is news, so each has its own memory. */
static bool is_news(struct source_reason *reason, natsStatus status)
{
    int64_t now_ns = clock_monotonic_ns();

    if (status == reason->last && now_ns < reason->next_ns)
        return false;
    reason->last = status;
    reason->next_ns = now_ns + REPEAT_NS;
    return true;
}

static void tell(struct log *log, enum log_level level, const char *message, natsStatus status, const char *detail)
{
    log_write(log, level, message,
              LOG_FIELDS(log_text("error", natsStatus_GetText(status)), log_text("detail", detail),
                         log_text("advice", advice(status))));
}

void source_report_refusal(struct source_report *report, natsStatus status, const char *detail)
{
    if (!is_news(&report->refusal, status))
        return;
    if (status == NATS_NO_SERVER)
        tell(report->log, LOG_LEVEL_WARN, "NATS is not there yet: trying for ever", status, detail);
    else
        tell(report->log, LOG_LEVEL_ERROR, "NATS cannot be used", status, detail);
}

void source_report_absence(struct source_report *report, natsConnection *connection)
{
    natsStatus status;

    if (natsConnection_Status(connection) == NATS_CONN_STATUS_CONNECTED)
        return;
    status = source_library_error(connection);
    if (is_news(&report->absence, status))
        tell(report->log, LOG_LEVEL_WARN, "NATS is still not connected", status, NULL);
}
