#ifndef SLUICE_AUTH_KEY_FILE_H
#define SLUICE_AUTH_KEY_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "auth/key_set.h"
#include "core/buffer.h"

/* What tells one state of a file from another. All zero: no file. */
struct key_file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

/* The file's stamp of now. */
struct key_file_stamp key_file_look(const char *path);
bool key_file_stamp_equals(const struct key_file_stamp *a, const struct key_file_stamp *b);

/* Reads the whole file into an empty buffer. Returns 0, or -errno and why in ret_error. May block as files do. */
int key_file_read(const char *path, struct buffer *ret_text, struct key_error *ret_error);

#endif
