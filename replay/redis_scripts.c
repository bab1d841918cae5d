#include "replay/redis_scripts.h"

/*
 * Takes the lease of the intake, or renews it, by Redis's clock. Who takes it from nobody gets a new epoch, greater than
 * every epoch before it even when Redis lost its data in between, since the clock plays a part; or the one that it assumed
 * while Redis was away, if that is greater than the one held. An owner without `until` was written by a version without
 * leases: it is free. A lease that seems to last for more than a minute is one of before the clock was set back: who holds
 * it renews it much sooner.
 *
 * KEYS: the owner hash. ARGV: who claims, its epoch (0: none), ms. Returns {'MINE', epoch} or {'HELD', epoch, ms left}.
 */
static const char claim_text[] =
    "local o = redis.call('HMGET', KEYS[1], 'epoch', 'holder', 'until')\n"
    "local held, ends = tonumber(o[1] or '0') or 0, tonumber(o[3] or '')\n"
    "if not (held > 0 and held <= 9007199254740991) then held = 0 end\n"
    "local asked, lease = tonumber(ARGV[2]), tonumber(ARGV[3])\n"
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local function whole(number) return string.format('%.0f', number) end\n"
    "if ends and ends > now and o[2] ~= ARGV[1] then\n"
    "  if ends - now > 60000 then\n"
    "    ends = now + lease\n"
    "    redis.call('HSET', KEYS[1], 'until', whole(ends))\n"
    "  end\n"
    "  return {'HELD', whole(held), whole(ends - now)}\n"
    "end\n"
    "local epoch = math.max(held, asked)\n"
    "if (not ends or o[2] ~= ARGV[1]) and asked <= held then\n"
    "  epoch = math.max(held + 1, time[1] * 1000000 + time[2])\n"
    "end\n"
    "redis.call('HSET', KEYS[1], 'epoch', whole(epoch), 'holder', ARGV[1], 'until', whole(now + lease))\n"
    "return {'MINE', whole(epoch)}\n";

/* KEYS: the owner hash. ARGV: who gives the lease back. */
static const char release_text[] = "if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then\n"
                                   "  redis.call('HSET', KEYS[1], 'until', '0')\n"
                                   "end\n";

/*
 * Appends events with the numbers that they were given. Those at or below the head are held already and skipped, so a
 * repeated append changes nothing; likewise those whose place in their stream is not behind the last one's. Trims a bounded
 * number of members by age, count and bytes, and gives the keys a new life.
 *
 * KEYS: log, head, holes. ARGV: epoch, oldest ms to keep, life of the log in ms, most events, most bytes, since, subject of
 * the last event, 3 or 4, then so many for each event: seq, ms, member and, of 4, its place in the stream (0: none).
 * Returns {'OK'} or {'FENCED'}.
 */
static const char append_text[] =
    "local log, head, holes = KEYS[1], KEYS[2], KEYS[3]\n"
    "local epoch, cutoff, life = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])\n"
    "local h = redis.call('HMGET', head, 'seq', 'ms', 'epoch', 'bytes')\n"
    "if h[3] and tonumber(h[3]) > epoch then return {'FENCED'} end\n"
    "local seq, ms, bytes = tonumber(h[1] or '0'), tonumber(h[2] or '0'), tonumber(h[4] or '0')\n"
    "local set = {'seq', h[1] or '0', 'ms', h[2] or '0', 'epoch', ARGV[1], 'since', ARGV[6]}\n"
    "if ms > 0 and ms < cutoff then\n"
    "  redis.call('DEL', log, holes)\n"
    "  bytes = 0\n"
    "  set[#set + 1], set[#set + 2] = 'floor_seq', h[1]\n"
    "  set[#set + 1], set[#set + 2] = 'floor_ms', h[2]\n"
    "end\n"
    "local add, gaps, step, source = {}, {}, tonumber(ARGV[8]), nil\n"
    "if step == 4 then source = tonumber(redis.call('HGET', head, 'source') or '0') end\n"
    "for i = 9, #ARGV, step do\n"
    "  local s, m = tonumber(ARGV[i]), tonumber(ARGV[i + 1])\n"
    "  local place = source and tonumber(ARGV[i + 3]) or 0\n"
    "  if (m > ms or (m == ms and s > seq)) and (place == 0 or place > source) then\n"
    "    local member = ARGV[i + 2]\n"
    "    add[#add + 1], add[#add + 2] = ARGV[i + 1], member\n"
    "    if string.sub(member, 18, 33) == 'hole|stream.gap ' then\n"
    "      gaps[#gaps + 1], gaps[#gaps + 2] = ARGV[i + 1], ARGV[i] .. '-' .. ARGV[i + 1]\n"
    "    end\n"
    "    bytes = bytes + #member\n"
    "    seq, ms = s, m\n"
    "    if place > 0 then source = place end\n"
    "    set[2], set[4] = ARGV[i], ARGV[i + 1]\n"
    "  end\n"
    "end\n"
    "local function renew()\n"
    "  redis.call('PEXPIRE', log, ARGV[3])\n"
    "  redis.call('PEXPIRE', head, math.max(2592000000, 2 * life))\n"
    "  return {'OK'}\n"
    "end\n"
    "if #add == 0 then return renew() end\n"
    "redis.call('ZADD', log, unpack(add))\n"
    "if #gaps > 0 then\n"
    "  redis.call('ZADD', holes, unpack(gaps))\n"
    "  redis.call('PEXPIRE', holes, ARGV[3])\n"
    "end\n"
    "local max_events, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])\n"
    "local excess = redis.call('ZCARD', log) - max_events\n"
    "local oldest = redis.call('ZRANGE', log, 0, 0, 'WITHSCORES')\n"
    "local due = tonumber(oldest[2]) < cutoff or excess > 0 or bytes > max_bytes\n"
    "for _ = 1, due and 16 or 0 do\n"
    "  local old = redis.call('ZRANGE', log, 0, 63, 'WITHSCORES')\n"
    "  local gone = 0\n"
    "  if #old == 0 then bytes = 0 end\n"
    "  for j = 1, #old, 2 do\n"
    "    if tonumber(old[j + 1]) >= cutoff and gone >= excess and bytes <= max_bytes then break end\n"
    "    bytes = bytes - #old[j]\n"
    "    gone = gone + 1\n"
    "  end\n"
    "  if gone == 0 then break end\n"
    "  redis.call('ZREMRANGEBYRANK', log, 0, gone - 1)\n"
    "  redis.call('ZREMRANGEBYSCORE', holes, '-inf', '(' .. old[2 * gone])\n"
    "  excess = excess - gone\n"
    "  set[#set + 1], set[#set + 2] = 'floor_seq', "
    "string.format('%.0f', tonumber(string.sub(old[2 * gone - 1], 1, 16)) or 0)\n"
    "  set[#set + 1], set[#set + 2] = 'floor_ms', old[2 * gone]\n"
    "  if gone < 64 then break end\n"
    "end\n"
    "set[#set + 1], set[#set + 2] = 'bytes', string.format('%.0f', bytes)\n"
    "set[#set + 1], set[#set + 2] = 'subject', ARGV[7]\n"
    "if source and source > 0 then set[#set + 1], set[#set + 2] = 'source', string.format('%.0f', source) end\n"
    "redis.call('HSET', head, unpack(set))\n"
    "return renew()\n";

/*
 * Appends events right behind the head, which is what nearly every append does, for as little as Redis can do it: where that
 * takes more than adding them, it does nothing and says so. There must be no hole among them.
 *
 * KEYS: log, head. ARGV: epoch, seq and subject of the last event, most bytes, places in the stream of the first and the
 * last event that have one, with a space between (empty: none has), then for each event: ms, member. Returns 1; or 0 where the
 * script above has to append them, since the head is not there, or another epoch's, or not behind them, or the bytes too many.
 */
static const char extend_text[] =
    "local log, head = KEYS[1], KEYS[2]\n"
    "local h = redis.call('HMGET', head, 'epoch', 'ms', 'seq', 'bytes')\n"
    "local ms, seq, bytes = tonumber(h[2]), tonumber(h[3]), tonumber(h[4])\n"
    "if h[1] ~= ARGV[1] or not (ms and seq and bytes) then return 0 end\n"
    "local first, count = tonumber(ARGV[6]), #ARGV\n"
    "if first < ms or (first == ms and tonumber(string.sub(ARGV[7], 1, 16)) <= seq) then return 0 end\n"
    "for i = 7, count, 2 do bytes = bytes + #ARGV[i] end\n"
    "if bytes > tonumber(ARGV[4]) then return 0 end\n"
    "local from, to = string.match(ARGV[5], '(%d+) (%d+)')\n"
    "if from and tonumber(from) <= (tonumber(redis.call('HGET', head, 'source')) or 0) then return 0 end\n"
    "redis.call('ZADD', log, unpack(ARGV, 6))\n"
    "redis.call('HSET', head, 'seq', ARGV[2], 'ms', ARGV[count - 1], 'bytes', bytes, 'subject', ARGV[3])\n"
    "if from then redis.call('HSET', head, 'source', to) end\n"
    "return 1\n";

/*
 * Reads a head. An owner writes its epoch into it: appends of the owner before that come later are refused from here on, and
 * not only from its own first append on. Where nothing was appended yet there is nothing to keep them from.
 *
 * KEYS: head. ARGV: epoch (0: none). Returns the head fields.
 */
static const char head_text[] =
    "local h = redis.call('HMGET', KEYS[1], 'seq', 'ms', 'subject', 'floor_seq', 'floor_ms', 'since', 'source', 'epoch')\n"
    "if h[1] and tonumber(ARGV[1]) > (tonumber(h[8] or '') or 0) then redis.call('HSET', KEYS[1], 'epoch', ARGV[1]) end\n"
    "return h\n";

/*
 * Reads the next page behind (ms, seq). The place is found by rank, not by walking a score: a clock that was set back can
 * crowd any number of events into one millisecond. Members of one score sort by their bytes, so bytes are what is compared:
 * what is no member of ours does no harm ('}' comes right behind the '|' that ends a seq). Lua's own < goes by the locale that
 * Redis was started with.
 *
 * The first part that is read is small, the next ones are what most likely still fits: events may be large.
 *
 * What is too old to be shown counts as trimmed: the floor is that of it, too.
 *
 * KEYS: log, head. ARGV: ms, seq, oldest ms to show, most events, most bytes. Returns {exact, last, head fields, oldest
 * member's seq and subject, its score, members and scores}.
 */
static const char read_text[] =
    "local log = KEYS[1]\n"
    "local function member_at(rank)\n"
    "  return redis.call('ZRANGE', log, rank, rank)[1]\n"
    "end\n"
    "local function is_before(member, bound)\n"
    "  for i = 1, #bound do\n"
    "    local byte, limit = string.byte(member, i), string.byte(bound, i)\n"
    "    if byte ~= limit then return not byte or byte < limit end\n"
    "  end\n"
    "  return false\n"
    "end\n"
    "local place = string.format('%016.0f', tonumber(ARGV[2]))\n"
    "local most, most_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])\n"
    "local base = redis.call('ZCOUNT', log, '-inf', '(' .. ARGV[1])\n"
    "local low, high = base, base + redis.call('ZCOUNT', log, ARGV[1], ARGV[1])\n"
    "while low < high do\n"
    "  local middle = math.floor((low + high) / 2)\n"
    "  if is_before(member_at(middle), place .. '}') then low = middle + 1 else high = middle end\n"
    "end\n"
    "local first = redis.call('ZCOUNT', log, '-inf', '(' .. ARGV[3])\n"
    "local exact = 0\n"
    "if low > base and low > first and string.sub(member_at(low - 1), 1, 17) == place .. '|' then exact = 1 end\n"
    "if low < first then low = first end\n"
    "local oldest = redis.call('ZRANGE', log, first, first, 'WITHSCORES')\n"
    "local page, bytes, last, take = {}, 0, 0, 4\n"
    "while last == 0 and #page < 2 * most and bytes < most_bytes do\n"
    "  take = math.min(take, most - #page / 2)\n"
    "  local part = redis.call('ZRANGE', log, low, low + take - 1, 'WITHSCORES')\n"
    "  if #part < 2 * take then last = 1 end\n"
    "  low = low + #part / 2\n"
    "  for i = 1, #part, 2 do\n"
    "    if bytes >= most_bytes then\n"
    "      last = 0\n"
    "      break\n"
    "    end\n"
    "    page[#page + 1], page[#page + 2] = part[i], part[i + 1]\n"
    "    bytes = bytes + #part[i] + #part[i + 1]\n"
    "  end\n"
    "  local each = 2 * bytes / math.max(1, #page)\n"
    "  take = math.min(256, math.ceil((most_bytes - bytes) / math.max(1, each)))\n"
    "end\n"
    "local h = redis.call('HMGET', KEYS[2], 'seq', 'ms', 'subject', 'floor_seq', 'floor_ms', 'since', 'source')\n"
    "if first > 0 then\n"
    "  local hidden = redis.call('ZRANGE', log, first - 1, first - 1, 'WITHSCORES')\n"
    "  h[4], h[5] = string.match(hidden[1], '^%d+') or h[4], hidden[2]\n"
    "end\n"
    "return {exact, last, h,\n"
    "  oldest[1] and string.match(oldest[1], '^[^|]*|[^|]*|') or '', oldest[2] or '0', page}\n";

/*
 * Saves a reader's place in a stream, only forwards, and not when a later owner has saved one. Without an end of life: who
 * came back after it would take old events for new ones.
 *
 * KEYS: the place. ARGV: sequence, epoch.
 */
static const char place_text[] =
    "local p = redis.call('HMGET', KEYS[1], 'sequence', 'epoch')\n"
    "if (tonumber(p[1] or '') or 0) < tonumber(ARGV[1]) and (tonumber(p[2] or '') or 0) <= tonumber(ARGV[2]) then\n"
    "  redis.call('HSET', KEYS[1], 'sequence', ARGV[1], 'epoch', ARGV[2])\n"
    "end\n";

/* Several processes note holes: the last one counts. KEYS: the hole. ARGV: its ms, retention ms. */
static const char hole_text[] = "if (tonumber(redis.call('GET', KEYS[1]) or '') or 0) < tonumber(ARGV[1]) then\n"
                                "  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
                                "end\n";

/* KEYS: log, holes. ARGV: oldest ms to count. Returns the number of events. */
static const char count_text[] =
    "return redis.call('ZCOUNT', KEYS[1], ARGV[1], '+inf') - redis.call('ZCOUNT', KEYS[2], ARGV[1], '+inf')\n";

const char *redis_script_text(enum redis_script script)
{
    switch (script) {
    case REDIS_SCRIPT_CLAIM:
        return claim_text;
    case REDIS_SCRIPT_RELEASE:
        return release_text;
    case REDIS_SCRIPT_APPEND:
        return append_text;
    case REDIS_SCRIPT_HEAD:
        return head_text;
    case REDIS_SCRIPT_EXTEND:
        return extend_text;
    case REDIS_SCRIPT_READ:
        return read_text;
    case REDIS_SCRIPT_PLACE:
        return place_text;
    case REDIS_SCRIPT_HOLE:
        return hole_text;
    case REDIS_SCRIPT_COUNT:
        return count_text;
    }
    return "";
}
