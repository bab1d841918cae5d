#include "replay/shared_scripts.h"

#include <string.h>

#include "replay/shared.h"

/* Leases are kept by Redis's clock alone: those of the replicas may differ. */
#define NOW                                                       \
    "local clock = redis.call('TIME')\n"                          \
    "local now = clock[1] * 1000 + math.floor(clock[2] / 1000)\n" \
    "local function number(n) return string.format('%.0f', n) end\n"

/* KEYS: the ticket. ARGV: value, ttl_ms. Returns 1, or 0 when it is there already. */
static const char ticket_put_text[] = "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end\n"
                                      "redis.call('HSET', KEYS[1], 'value', ARGV[1])\n"
                                      "redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
                                      "return 1\n";

/*
 * Whoever used the ticket left its fingerprint. The holder is empty once its stream has ended; a holder whose lease is over
 * counts as ended then. The key outlives the lease by the time to resume, so that a lost release changes nothing else.
 *
 * KEYS: the ticket. ARGV: holder, fingerprint, lease_ms, resume_ms. Returns {'OK', value}, {'UNKNOWN'}, {'USED'}
 * (by another client) or {'HELD'} (by this one).
 */
static const char ticket_take_text[] =
    NOW "local t = redis.call('HMGET', KEYS[1], 'value', 'holder', 'fingerprint', 'lease')\n"
        "if not t[1] then return {'UNKNOWN'} end\n"
        "if t[3] and t[2] ~= ARGV[1] then\n"
        "  if t[3] ~= ARGV[2] then return {'USED'} end\n"
        "  if t[2] ~= '' and tonumber(t[4]) > now then return {'HELD'} end\n"
        "end\n"
        "redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'fingerprint', ARGV[2],\n"
        "  'lease', number(now + ARGV[3]), 'resume', ARGV[4])\n"
        "redis.call('PEXPIRE', KEYS[1], number(ARGV[3] + ARGV[4]))\n"
        "return {'OK', t[1]}\n";

/* KEYS: the ticket. ARGV: holder. Returns 1, or 0 when another or nobody holds it. */
static const char ticket_release_text[] = "local t = redis.call('HMGET', KEYS[1], 'holder', 'resume')\n"
                                          "if t[1] ~= ARGV[1] then return 0 end\n"
                                          "redis.call('HSET', KEYS[1], 'holder', '')\n"
                                          "redis.call('PEXPIRE', KEYS[1], t[2])\n"
                                          "return 1\n";

/* KEYS: the ticket. ARGV: lease_ms, holders of whom one may have it. Returns 1, or 0 when none has it. */
static const char ticket_renew_text[] = NOW "local t = redis.call('HMGET', KEYS[1], 'holder', 'resume')\n"
                                            "for i = 2, #ARGV do\n"
                                            "  if t[1] == ARGV[i] then\n"
                                            "    redis.call('HSET', KEYS[1], 'lease', number(now + ARGV[1]))\n"
                                            "    redis.call('PEXPIRE', KEYS[1], number(ARGV[1] + t[2]))\n"
                                            "    return 1\n"
                                            "  end\n"
                                            "end\n"
                                            "return 0\n";

/* KEYS: the revocations. ARGV: member, until_ms, most of them. Those that end first make room. Returns 1. */
static const char revoke_text[] = NOW "local held = redis.call('ZSCORE', KEYS[1], ARGV[1])\n"
                                      "if not held or tonumber(held) < tonumber(ARGV[2]) then\n"
                                      "  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])\n"
                                      "end\n"
                                      "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', number(now))\n"
                                      "redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[3])\n"
                                      "return 1\n";

/*
 * Among the counts in the hash are those of replicas that live no more: whoever asks says which do.
 *
 * KEYS: the slots. ARGV: id, its count, how many of them come before the others, max, keep_ms, the other ids that live.
 * Returns 1, or 0 when all are taken.
 */
static const char slots_enter_text[] = "local others = 0\n"
                                       "for i = 6, #ARGV do\n"
                                       "  others = others + (redis.call('HGET', KEYS[1], ARGV[i]) or 0)\n"
                                       "end\n"
                                       "if others + ARGV[3] > tonumber(ARGV[4]) then return 0 end\n"
                                       "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\n"
                                       "redis.call('PEXPIRE', KEYS[1], ARGV[5])\n"
                                       "return 1\n";

/* KEYS: the slots. ARGV: id, its count, keep_ms. Returns 1. */
static const char slots_count_text[] = "if ARGV[2] == '0' then\n"
                                       "  redis.call('HDEL', KEYS[1], ARGV[1])\n"
                                       "else\n"
                                       "  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\n"
                                       "  redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
                                       "end\n"
                                       "return 1\n";

/* KEYS: the replicas. ARGV: id, the id it had before, lease_ms. Returns 1. */
static const char replica_text[] = NOW "redis.call('ZADD', KEYS[1], number(now + ARGV[3]), ARGV[1])\n"
                                       "redis.call('ZREM', KEYS[1], ARGV[2])\n"
                                       "redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
                                       "return 1\n";

/* KEYS: the replicas. ARGV: most of them. Returns the ids of those that live, in an order of their own, as fields without values. */
static const char read_replicas_text[] = NOW "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', number(now))\n"
                                             "local ids = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)\n"
                                             "local fields = {}\n"
                                             "table.sort(ids)\n"
                                             "for i = 1, #ids do\n"
                                             "  fields[2 * i - 1] = ids[i]\n"
                                             "  fields[2 * i] = ''\n"
                                             "end\n"
                                             "return fields\n";

/* KEYS: the revocations. ARGV: most of them. Returns members and scores. */
static const char read_revoked_text[] = NOW "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', number(now))\n"
                                            "redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[1])\n"
                                            "return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')\n";

/* KEYS: a hash. ARGV: most fields, most bytes. Returns fields and values, or an error. */
static const char read_hash_text[] =
    "local fields = redis.call('HLEN', KEYS[1])\n"
    "if fields > tonumber(ARGV[1]) then return redis.error_reply('TOOLARGE ' .. fields .. ' fields') end\n"
    "local all, bytes = redis.call('HGETALL', KEYS[1]), 0\n"
    "for i = 1, #all do bytes = bytes + #all[i] end\n"
    "if bytes > tonumber(ARGV[2]) then return redis.error_reply('TOOLARGE ' .. bytes .. ' bytes') end\n"
    "return all\n";

static const char *script_text(enum shared_script script)
{
    switch (script) {
    case SHARED_SCRIPT_TICKET_PUT:
        return ticket_put_text;
    case SHARED_SCRIPT_TICKET_TAKE:
        return ticket_take_text;
    case SHARED_SCRIPT_TICKET_RELEASE:
        return ticket_release_text;
    case SHARED_SCRIPT_TICKET_RENEW:
        return ticket_renew_text;
    case SHARED_SCRIPT_REVOKE:
        return revoke_text;
    case SHARED_SCRIPT_SLOTS_ENTER:
        return slots_enter_text;
    case SHARED_SCRIPT_SLOTS_COUNT:
        return slots_count_text;
    case SHARED_SCRIPT_REPLICA:
        return replica_text;
    case SHARED_SCRIPT_READ_REVOKED:
        return read_revoked_text;
    case SHARED_SCRIPT_READ_HASH:
        return read_hash_text;
    case SHARED_SCRIPT_READ_REPLICAS:
        return read_replicas_text;
    }
    return "";
}

void shared_script_begin(struct redis_command *command, enum shared_script script, const char *prefix, const char *name)
{
    const char *text = script_text(script);
    char key[32 + SHARED_NAME_MAX];

    /* A request's name has SHARED_NAME_MAX bytes at most. */
    strcpy(stpcpy(key, prefix), name);
    redis_command_add(command, "EVAL");
    redis_command_add_bytes(command, text, strlen(text));
    redis_command_add(command, "1");
    redis_command_add_bytes(command, key, strlen(key));
}
