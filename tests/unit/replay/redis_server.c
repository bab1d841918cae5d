#include "tests/unit/replay/redis_server.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/support/loopback.h"

static int free_port(void)
{
    int port;

    close(loopback_listen(&port));
    return port;
}

static void run_server(const struct redis_server *server, int output)
{
    char port[8];

    snprintf(port, sizeof port, "%d", server->port);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output, STDOUT_FILENO);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
           "--requirepass", server->password, NULL);
    _exit(127);
}

/* Its log says when it is ready; the end of the log says that it could not start. */
static bool wait_until_ready(const struct redis_server *server)
{
    char text[16384] = "";
    size_t used = 0;

    while (!strstr(text, "Ready to accept connections")) {
        ssize_t size = read(server->output, text + used, sizeof text - 1 - used);

        if (size <= 0)
            return false;
        used += (size_t)size;
        text[used] = '\0';
    }
    return true;
}

static bool try_to_start(struct redis_server *server)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0)
        run_server(server, fds[1]);
    close(fds[1]);
    server->output = fds[0];
    if (wait_until_ready(server))
        return true;
    redis_server_kill(server);
    return false;
}

void redis_server_start(struct redis_server *server)
{
    bool any_port = server->port == 0;

    /* Somebody else may take the port in between: then another one. */
    for (int i = 0; i < 10; i++) {
        if (any_port)
            server->port = free_port();
        if (try_to_start(server))
            return;
    }
    fail_msg("redis-server does not start");
}

void redis_server_kill(struct redis_server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    close(server->output);
    server->pid = 0;
}

void redis_server_pause(struct redis_server *server)
{
    int status;

    kill(server->pid, SIGSTOP);
    waitpid(server->pid, &status, WUNTRACED);
}

void redis_server_resume(struct redis_server *server)
{
    kill(server->pid, SIGCONT);
}

static void read_line(FILE *stream, char *ret_line, size_t size)
{
    assert_non_null(fgets(ret_line, (int)size, stream));
    ret_line[strcspn(ret_line, "\r\n")] = '\0';
}

static void send_command(FILE *stream, const char *const arguments[])
{
    int count = 0;

    while (arguments[count])
        count++;
    fprintf(stream, "*%d\r\n", count);
    for (int i = 0; i < count; i++)
        fprintf(stream, "$%zu\r\n%s\r\n", strlen(arguments[i]), arguments[i]);
    fflush(stream);
}

void redis_server_ask(struct redis_server *server, char *ret_reply, size_t size, const char *const arguments[])
{
    int fd = loopback_dial(server->port);
    FILE *out = fdopen(dup(fd), "w");
    FILE *in = fdopen(fd, "r");

    assert_non_null(in);
    assert_non_null(out);
    if (server->password[0]) {
        send_command(out, REDIS_COMMAND("AUTH", server->password));
        read_line(in, ret_reply, size);
    }
    send_command(out, arguments);
    read_line(in, ret_reply, size);
    if (ret_reply[0] == '$' && ret_reply[1] != '-')
        read_line(in, ret_reply, size);
    fclose(in);
    fclose(out);
}

void redis_server_tell(struct redis_server *server, const char *const arguments[])
{
    char reply[256];

    redis_server_ask(server, reply, sizeof reply, arguments);
    if (reply[0] == '-')
        fail_msg("%s: %s", arguments[0], reply);
}
