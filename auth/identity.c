#include "auth/identity.h"

#include <stdio.h>

void identity_release(struct identity *identity)
{
    event_filter_unref(identity->filter);
    identity->filter = NULL;
}

bool identity_user_name(const char *company, const char *user, char *ret_name, size_t size)
{
    int length = snprintf(ret_name, size, "%s|%s", company, user);

    return length >= 0 && (size_t)length < size;
}
