#include "auth/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "auth/key_set_build.h"

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

struct key_file_stamp key_file_look(const char *path)
{
    struct stat found;

    if (stat(path, &found) < 0)
        return (struct key_file_stamp){0};
    return (struct key_file_stamp){.device = found.st_dev,
                                   .inode = found.st_ino,
                                   .size = found.st_size,
                                   .modified = found.st_mtim,
                                   .changed = found.st_ctim};
}

bool key_file_stamp_equals(const struct key_file_stamp *a, const struct key_file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

static int read_all(int fd, struct buffer *ret_text)
{
    char bytes[4096];
    ssize_t size;

    while ((size = read(fd, bytes, sizeof bytes)) != 0) {
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return -errno;
        buffer_append(ret_text, bytes, (size_t)size);
        if (ret_text->failed)
            return -EFBIG;
    }
    return 0;
}

int key_file_read(const char *path, struct buffer *ret_text, struct key_error *ret_error)
{
    struct stat found;
    /* A pipe that nobody writes to must not hold up the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int status;

    if (fd < 0 || fstat(fd, &found) < 0)
        status = -errno;
    else if (!S_ISREG(found.st_mode))
        status = S_ISDIR(found.st_mode) ? -EISDIR : -EINVAL;
    else
        status = read_all(fd, ret_text);
    if (fd >= 0)
        close(fd);
    if (status < 0)
        key_error_set(ret_error, "cannot be read: %s", strerrordesc_np(-status));
    return status;
}
