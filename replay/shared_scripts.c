#include "replay/shared_scripts.h"

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

/* KEYS: the slots. ARGV: holder, max, lease_ms. Returns 1, or 0 when all are taken. */
static const char slots_enter_text[] =
    NOW "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', number(now))\n"
        "if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then\n"
        "  return 0\n"
        "end\n"
        "redis.call('ZADD', KEYS[1], number(now + ARGV[3]), ARGV[1])\n"
        "redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
        "return 1\n";

/*
 * Also enters those who are not there: let in while Redis was away, or it lost its data.
 *
 * KEYS: the slots. ARGV: lease_ms, holders. Returns 1.
 */
static const char slots_renew_text[] = NOW "for i = 2, #ARGV do\n"
                                           "  redis.call('ZADD', KEYS[1], number(now + ARGV[1]), ARGV[i])\n"
                                           "end\n"
                                           "redis.call('PEXPIRE', KEYS[1], ARGV[1])\n"
                                           "return 1\n";

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

const char *shared_script_text(enum shared_script script)
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
    case SHARED_SCRIPT_SLOTS_RENEW:
        return slots_renew_text;
    case SHARED_SCRIPT_READ_REVOKED:
        return read_revoked_text;
    case SHARED_SCRIPT_READ_HASH:
        return read_hash_text;
    }
    return "";
}
