#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* status: what stat() returned. */
static struct file_stamp stamp_of(int status, const struct stat *found)
{
    if (status < 0)
        return (struct file_stamp){.error = errno};
    return (struct file_stamp){.device = found->st_dev,
                               .inode = found->st_ino,
                               .size = found->st_size,
                               .modified = found->st_mtim,
                               .changed = found->st_ctim};
}

struct file_stamp file_look(const char *path)
{
    struct stat found;

    return stamp_of(stat(path, &found), &found);
}

bool file_stamp_equals(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->error == b->error && a->device == b->device && a->inode == b->inode && a->size == b->size &&
           same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

static int read_all(int fd, struct buffer *text)
{
    char piece[65536];
    ssize_t got;

    while ((got = read(fd, piece, sizeof piece)) != 0) {
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            buffer_append(text, piece, (size_t)got);
        if (text->failed)
            return text->size + (size_t)(got > 0 ? got : 0) > text->max_bytes ? -EFBIG : -ENOMEM;
    }
    return 0;
}

int file_read(const char *path, struct buffer *text, struct file_stamp *ret_stamp)
{
    /* Not blocking: a named pipe must not hold the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat found;
    int looked = fd < 0 ? fd : fstat(fd, &found);
    struct file_stamp stamp = stamp_of(looked, &found);
    int status;

    if (looked < 0)
        status = -stamp.error;
    else if (S_ISREG(found.st_mode))
        status = read_all(fd, text);
    else
        status = S_ISDIR(found.st_mode) ? -EISDIR : -EINVAL;
    if (ret_stamp)
        *ret_stamp = stamp;
    if (fd >= 0)
        close(fd);
    return status;
}
