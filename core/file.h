#ifndef SLUICE_CORE_FILE_H
#define SLUICE_CORE_FILE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "core/buffer.h"

/* Files that are read again when they change. Any thread; all of it may block as files do. */

/* What tells one state of a file from another without reading it. */
struct file_stamp {
    int error; /* why it could not be looked at, or 0 */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

/* The file's stamp of now. */
struct file_stamp file_look(const char *path);
bool file_stamp_equals(const struct file_stamp *a, const struct file_stamp *b);

/*
 * Reads a whole regular file into an empty buffer; a pipe that nobody writes to holds nothing up. ret_stamp: of what was
 * read, or of why not; may be NULL. Returns 0, -errno of opening and reading, -EISDIR, -EINVAL (no regular file), -EFBIG
 * (more than the buffer may hold) or -ENOMEM.
 */
int file_read(const char *path, struct buffer *text, struct file_stamp *ret_stamp);

#endif
