#ifndef SLUICE_CORE_CONFIG_SECRET_H
#define SLUICE_CORE_CONFIG_SECRET_H

/*
 * Reads a secret from a file of at most 64 KB, without one line ending at its end. The text is the caller's, to be freed
 * by config_secret_free(). Returns 0, -errno of opening or reading, -EFBIG (more than 64 KB), -ENODATA (nothing in it),
 * -EINVAL (a NUL byte in it) or -ENOMEM. Any thread.
 */
int config_secret_read(const char *path, char **ret_text);

/*
 * Replaces *text, which may be NULL, by what the file says now. One that is not to be had for the moment leaves it as it is. Any
 * thread, one at a time for a text.
 */
void config_secret_refresh(const char *path, char **text);

/* What the statuses of config_secret_read() mean, for people. */
const char *config_secret_error(int status);

/* Overwrites the text and frees it. NULL is fine. */
void config_secret_free(char *text);

#endif
