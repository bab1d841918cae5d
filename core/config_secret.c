#include "core/config_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_MAX_BYTES = 64 * 1024 };

/* Reads up to `size` bytes. Returns how many, or -errno. */
static ssize_t read_file(const char *path, char *ret_text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t part = 1;
    int error = 0;

    if (fd < 0)
        return -errno;
    while (used < size && part > 0) {
        part = read(fd, ret_text + used, size - used);
        if (part > 0)
            used += (size_t)part;
        else if (part < 0)
            error = errno;
    }
    close(fd);
    return error ? -error : (ssize_t)used;
}

/* Takes one line ending off. Returns the new size. */
static size_t trim(const char *text, size_t size)
{
    if (size > 0 && text[size - 1] == '\n')
        size -= size > 1 && text[size - 2] == '\r' ? 2 : 1;
    return size;
}

int config_secret_read(const char *path, char **ret_text)
{
    /* One byte more shows that there are too many; the other ends the text. */
    char *text = malloc(SECRET_MAX_BYTES + 2);
    ssize_t size;
    int status = 0;

    if (!text)
        return -ENOMEM;
    size = read_file(path, text, SECRET_MAX_BYTES + 1);
    if (size < 0)
        status = (int)size;
    else if (size > SECRET_MAX_BYTES)
        status = -EFBIG;
    else if (memchr(text, '\0', (size_t)size))
        status = -EINVAL;
    else if (trim(text, (size_t)size) == 0)
        status = -ENODATA;
    if (status == 0) {
        text[trim(text, (size_t)size)] = '\0';
        *ret_text = strdup(text);
        status = *ret_text ? 0 : -ENOMEM;
    }
    explicit_bzero(text, SECRET_MAX_BYTES + 2);
    free(text);
    return status;
}

void config_secret_refresh(const char *path, char **text)
{
    char *present;

    if (config_secret_read(path, &present) < 0)
        return;
    config_secret_free(*text);
    *text = present;
}

const char *config_secret_error(int status)
{
    switch (status) {
    case -EFBIG:
        return "it has more than 64 KB";
    case -ENODATA:
        return "it is empty";
    case -EINVAL:
        return "it holds a NUL byte";
    default:
        return strerror(-status);
    }
}

void config_secret_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}
