#include "replay/redis_slot.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* CRC-16/XMODEM, as the cluster specification asks for. */
static uint16_t crc16(const char *bytes, size_t size)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < size; i++) {
        crc = (uint16_t)(crc ^ (unsigned char)bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

unsigned redis_slot_of_key(const char *key, size_t size)
{
    const char *open = memchr(key, '{', size);
    const char *close = open ? memchr(open, '}', size - (size_t)(open - key)) : NULL;

    if (close && close > open + 1)
        return crc16(open + 1, (size_t)(close - open - 1)) % REDIS_SLOTS;
    return crc16(key, size) % REDIS_SLOTS;
}

int redis_slot_key_argument(int count, const char *const *arguments)
{
    /* A script, and its number of keys, stand in front of them. */
    if (strncmp(arguments[0], "EVAL", 4) == 0)
        return count > 3 ? 3 : -1;
    if (strncmp(arguments[0], "SCRIPT", 6) == 0)
        return -1;
    return count > 1 ? 1 : -1;
}

void redis_slot_tag(unsigned slot, char ret_tag[REDIS_SLOT_TAG_SIZE])
{
    /* Every slot has one among the first few hundred thousand numbers. */
    for (unsigned number = 0;; number++) {
        int size = snprintf(ret_tag, REDIS_SLOT_TAG_SIZE, "%u", number);

        if (redis_slot_of_key(ret_tag, (size_t)size) == slot)
            return;
    }
}
