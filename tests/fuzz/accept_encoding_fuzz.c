#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/request.h"
#include "tests/fuzz/fuzz.h"

static bool accepts_with(const char *before, const char *header, const char *behind)
{
    char *text = malloc(strlen(before) + strlen(header) + strlen(behind) + 1);
    bool accepted;

    MUST(text != NULL);
    strcpy(text, before);
    strcat(text, header);
    strcat(text, behind);
    accepted = request_accepts_gzip(text);
    free(text);
    return accepted;
}

/* Whoever refuses gzip never gets it; who names nothing that it could stand for does not either; who names it alone does. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *header = fuzz_text(data, size);
    bool accepted = request_accepts_gzip(header);

    MUST(accepts_with("", header, ",") == accepted);
    MUST(accepts_with(" , br;q=0.5,", header, "") == accepted);
    MUST(!accepts_with("", header, ", gzip;q=0"));
    MUST(!accepts_with("GZIP;Q=0.000 ,", header, ""));
    if (!strcasestr(header, "gzip")) {
        MUST(accepts_with("", header, ", gzip"));
        MUST(accepts_with("x-gzip;q=1.0,", header, ""));
        MUST(!accepted || strchr(header, '*'));
        if (!strcasestr(header, "identity"))
            MUST(accepts_with("", header, ",gzip;q=0.001"));
    }
    free(header);
    return 0;
}
