/* Topics, groups and client metrics: overrides over the broker's settings. */
#include "conf.h"

static struct slice override_of(const struct conf_kv *kv, int n, struct slice name)
{
    for (int i = 0; i < n; i++)
        if (slice_eq(kv[i].name, name)) return kv[i].value;
    return (struct slice){ NULL, 0 };
}

/* The broker's setting in the topic's unit. Where a topic's setting has several broker names the finest unit that is set wins. */
static int64_t broker_ms(const struct conf *c, enum conf_key ms, enum conf_key minutes, enum conf_key hours)
{
    int64_t v = conf_i64(c, ms);
    if (v != CONF_NULL) return v;
    v = minutes == CONF_COUNT ? CONF_NULL : conf_i64(c, minutes);
    if (v != CONF_NULL) return v * 60 * 1000;
    return conf_i64(c, hours) * 3600 * 1000;
}

static int64_t broker_i64(const struct conf *c, enum topic_key k)
{
    switch (k) {
    case TOPIC_RETENTION_MS: {
        int64_t v = broker_ms(c, CONF_LOG_RETENTION_MS, CONF_LOG_RETENTION_MINUTES, CONF_LOG_RETENTION_HOURS);
        return v < 0 ? -1 : v;
    }
    case TOPIC_SEGMENT_MS: return broker_ms(c, CONF_LOG_ROLL_MS, CONF_COUNT, CONF_LOG_ROLL_HOURS);
    case TOPIC_SEGMENT_JITTER_MS: return broker_ms(c, CONF_LOG_ROLL_JITTER_MS, CONF_COUNT, CONF_LOG_ROLL_JITTER_HOURS);
    case TOPIC_FLUSH_MS: {
        int64_t v = conf_i64(c, CONF_LOG_FLUSH_INTERVAL_MS);
        return v != CONF_NULL ? v : conf_i64(c, CONF_LOG_FLUSH_SCHEDULER_INTERVAL_MS);
    }
    default: return CONF_NULL;
    }
}

/* Topics are resolved again with every change: the same complaint is made once. It may be made again when others came between. */
static bool news(const char *name, struct slice value)
{
    static _Atomic uint64_t told[64];
    uint64_t h = hash_bytes(name, strlen(name)) ^ (hash_bytes(value.p, value.n) * 31);
    return atomic_exchange_explicit(&told[h % ARRAY_LEN(told)], h, memory_order_relaxed) != h;
}

struct conf_value topic_value(const struct conf *c, const struct conf_kv *kv, int n, enum topic_key k, struct arena *a)
{
    const struct conf_def *d = conf_def_at(CONF_SCOPE_TOPIC, (int)k);
    struct slice own = override_of(kv, n, slice_of(d->name));
    struct conf_value v;
    struct why w;
    if (own.p) {
        if (value_parse(d, own, a, &v, &w) == 0) return v;
        if (news(d->name, own)) log_warn("config", "topic config ignored", KV_STR("key", d->name), KV_STR("because", w.text));
    }
    int64_t ms = broker_i64(c, k);
    if (ms != CONF_NULL) return (struct conf_value){ .i = ms, .f = (double)ms, .text = arena_printf(a, "%lld", (long long)ms) };
    const struct conf_def *b = d->synonym ? conf_find(CONF_SCOPE_BROKER, slice_of(d->synonym)) : NULL;
    if (b) {
        v = c->v[b - conf_def((enum conf_key)0)];
        if (b->verdict == CONF_CLAMP) v.i = (int64_t)v.f;
        return v;
    }
    int rc = value_parse(d, slice_of(d->def), a, &v, NULL);
    assert(rc == 0);
    return v;
}

int64_t conf_segment_bytes(const struct conf *c, enum conf_key k)
{
    return MAX(conf_i64(c, k), (int64_t)conf_def_at(CONF_SCOPE_TOPIC, TOPIC_SEGMENT_BYTES)->min);
}

static int8_t codec_of(struct slice s)
{
    static const char *const codecs[] = { "uncompressed", "gzip", "snappy", "lz4", "zstd" };
    for (size_t i = 0; i < ARRAY_LEN(codecs); i++)
        if (slice_is(s, codecs[i])) return (int8_t)i;
    return TOPIC_CODEC_PRODUCER;
}

void topic_conf_resolve(const struct conf *c, const struct conf_kv *kv, int n, struct topic_conf *out)
{
    struct arena a;
    struct conf_value v[TOPIC_COUNT];
    arena_init(&a);
    for (int k = 0; k < TOPIC_COUNT; k++) v[k] = topic_value(c, kv, n, (enum topic_key)k, &a);
    *out = (struct topic_conf){
        .segment_ms = v[TOPIC_SEGMENT_MS].i,
        .segment_jitter_ms = v[TOPIC_SEGMENT_JITTER_MS].i,
        .retention_ms = v[TOPIC_RETENTION_MS].i,
        .retention_bytes = v[TOPIC_RETENTION_BYTES].i < 0 ? -1 : v[TOPIC_RETENTION_BYTES].i,
        .flush_messages = v[TOPIC_FLUSH_MESSAGES].i,
        .flush_ms = v[TOPIC_FLUSH_MS].i,
        .timestamp_before_max_ms = v[TOPIC_MESSAGE_TIMESTAMP_BEFORE_MAX_MS].i,
        .timestamp_after_max_ms = v[TOPIC_MESSAGE_TIMESTAMP_AFTER_MAX_MS].i,
        .file_delete_delay_ms = v[TOPIC_FILE_DELETE_DELAY_MS].i,
        .delete_retention_ms = v[TOPIC_DELETE_RETENTION_MS].i,
        .min_compaction_lag_ms = v[TOPIC_MIN_COMPACTION_LAG_MS].i,
        .max_compaction_lag_ms = v[TOPIC_MAX_COMPACTION_LAG_MS].i,
        .min_cleanable_dirty_ratio = v[TOPIC_MIN_CLEANABLE_DIRTY_RATIO].f,
        .segment_bytes = (int32_t)(v[TOPIC_INTERNAL_SEGMENT_BYTES].i != CONF_NULL ? v[TOPIC_INTERNAL_SEGMENT_BYTES].i
                                                                                  : v[TOPIC_SEGMENT_BYTES].i),
        .segment_index_bytes = (int32_t)v[TOPIC_SEGMENT_INDEX_BYTES].i,
        .index_interval_bytes = (int32_t)v[TOPIC_INDEX_INTERVAL_BYTES].i,
        .max_message_bytes = (int32_t)v[TOPIC_MAX_MESSAGE_BYTES].i,
        .min_insync_replicas = 1,
        .compression = codec_of(v[TOPIC_COMPRESSION_TYPE].text),
        .log_append_time = slice_is(v[TOPIC_MESSAGE_TIMESTAMP_TYPE].text, "LogAppendTime"),
        .preallocate = v[TOPIC_PREALLOCATE].i == 1,
        .unclean_leader_election = v[TOPIC_UNCLEAN_LEADER_ELECTION_ENABLE].i == 1,
    };
    out->compression_level = (int32_t)(out->compression == 1   ? v[TOPIC_COMPRESSION_GZIP_LEVEL].i
                                       : out->compression == 3 ? v[TOPIC_COMPRESSION_LZ4_LEVEL].i
                                       : out->compression == 4 ? v[TOPIC_COMPRESSION_ZSTD_LEVEL].i
                                                               : 0);
    for (int i = 0; i < v[TOPIC_CLEANUP_POLICY].list_n; i++) {
        out->cleanup_compact |= slice_is(v[TOPIC_CLEANUP_POLICY].list[i], "compact");
        out->cleanup_delete |= slice_is(v[TOPIC_CLEANUP_POLICY].list[i], "delete");
    }
    if (out->cleanup_compact && out->max_compaction_lag_ms > 0) /* what is still being written cannot be compacted */
        out->segment_ms = MIN(out->segment_ms, out->max_compaction_lag_ms);
    arena_free(&a);
}

/* Names first, then values, as Kafka does. `kind` is how Kafka calls it. */
static int check_all(enum conf_scope scope, const char *kind, const struct conf_kv *kv, int n, struct why *w)
{
    struct bytes nulls = { 0 };
    int rc = 0;
    for (int i = 0; i < n; i++)
        if (!kv[i].value.p) bytes_printf(&nulls, "%s" S_FMT, nulls.n ? "," : "", S_ARG(kv[i].name));
    if (nulls.n)
        rc = why(w, E_INVALID_CONFIG, "Null value not supported for %s configs: %.*s", kind, (int)nulls.n, (const char *)nulls.p);
    bytes_free(&nulls);
    for (int i = 0; i < n && rc == 0; i++)
        if (!conf_find(scope, kv[i].name))
            rc = why(w, E_INVALID_CONFIG, "Unknown %s config name: " S_FMT, kind, S_ARG(kv[i].name));
    for (int i = 0; i < n && rc == 0; i++) rc = conf_value_check(conf_find(scope, kv[i].name), kv[i].value, w);
    return rc;
}

int topic_conf_check(const struct conf *c, const struct conf_kv *kv, int n, struct why *w)
{
    struct arena a;
    int rc = check_all(CONF_SCOPE_TOPIC, "topic", kv, n, w);
    if (rc < 0) return rc;
    arena_init(&a);
    int64_t low = topic_value(c, kv, n, TOPIC_MIN_COMPACTION_LAG_MS, &a).i,
            high = topic_value(c, kv, n, TOPIC_MAX_COMPACTION_LAG_MS, &a).i;
    bool tiered = topic_value(c, kv, n, TOPIC_REMOTE_STORAGE_ENABLE, &a).i == 1;
    arena_free(&a);
    if (low > high)
        return why(w, E_INVALID_CONFIG,
                   "conflict topic config setting min.compaction.lag.ms (%lld) > max.compaction.lag.ms (%lld)", (long long)low,
                   (long long)high);
    if (tiered)
        return why(w, E_INVALID_CONFIG,
                   "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.");
    return 0;
}

/* ---- groups -------------------------------------------------------------------------------------------------------------------------------- */

struct conf_value group_value(const struct conf *c, const struct conf_kv *kv, int n, enum group_key k, struct arena *a)
{
    const struct conf_def *d = conf_def_at(CONF_SCOPE_GROUP, (int)k), *b;
    struct slice own = override_of(kv, n, slice_of(d->name));
    struct conf_value v;
    if (own.p && value_parse(d, own, a, &v, NULL) == 0) return v;
    if (d->synonym && (b = conf_find(CONF_SCOPE_BROKER, slice_of(d->synonym)))) return c->v[b - conf_def((enum conf_key)0)];
    int rc = value_parse(d, slice_of(d->def), a, &v, NULL);
    assert(rc == 0);
    return v;
}

int64_t group_conf_i64(const struct conf *c, const struct conf_kv *kv, int n, enum group_key k)
{
    struct arena a;
    arena_init(&a);
    int64_t v = group_value(c, kv, n, k, &a).i;
    arena_free(&a);
    return v;
}

struct slice group_conf_str(const struct conf *c, const struct conf_kv *kv, int n, enum group_key k)
{
    const struct conf_def *d = conf_def_at(CONF_SCOPE_GROUP, (int)k);
    struct slice own = override_of(kv, n, slice_of(d->name));
    if (own.p) return slice_trim(own);
    const struct conf_def *b = d->synonym ? conf_find(CONF_SCOPE_BROKER, slice_of(d->synonym)) : NULL;
    return b ? conf_str(c, (enum conf_key)(b - conf_def((enum conf_key)0))) : slice_of(d->def);
}

struct bound {
    enum group_key key;
    enum conf_key min, max; /* CONF_COUNT: none */
};
static const struct bound bounds[] = {
    { GROUP_CONSUMER_SESSION_TIMEOUT_MS, CONF_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS, CONF_GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS },
    { GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS, CONF_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS,
      CONF_GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS },
    { GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS, CONF_GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS,
      CONF_GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS },
    { GROUP_SHARE_SESSION_TIMEOUT_MS, CONF_GROUP_SHARE_MIN_SESSION_TIMEOUT_MS, CONF_GROUP_SHARE_MAX_SESSION_TIMEOUT_MS },
    { GROUP_SHARE_HEARTBEAT_INTERVAL_MS, CONF_GROUP_SHARE_MIN_HEARTBEAT_INTERVAL_MS, CONF_GROUP_SHARE_MAX_HEARTBEAT_INTERVAL_MS },
    { GROUP_SHARE_ASSIGNMENT_INTERVAL_MS, CONF_GROUP_SHARE_MIN_ASSIGNMENT_INTERVAL_MS,
      CONF_GROUP_SHARE_MAX_ASSIGNMENT_INTERVAL_MS },
    { GROUP_SHARE_RECORD_LOCK_DURATION_MS, CONF_GROUP_SHARE_MIN_RECORD_LOCK_DURATION_MS,
      CONF_GROUP_SHARE_MAX_RECORD_LOCK_DURATION_MS },
    { GROUP_SHARE_DELIVERY_COUNT_LIMIT, CONF_GROUP_SHARE_MIN_DELIVERY_COUNT_LIMIT, CONF_GROUP_SHARE_MAX_DELIVERY_COUNT_LIMIT },
    { GROUP_SHARE_PARTITION_MAX_RECORD_LOCKS, CONF_GROUP_SHARE_MIN_PARTITION_MAX_RECORD_LOCKS,
      CONF_GROUP_SHARE_MAX_PARTITION_MAX_RECORD_LOCKS },
    { GROUP_STREAMS_SESSION_TIMEOUT_MS, CONF_GROUP_STREAMS_MIN_SESSION_TIMEOUT_MS, CONF_GROUP_STREAMS_MAX_SESSION_TIMEOUT_MS },
    { GROUP_STREAMS_HEARTBEAT_INTERVAL_MS, CONF_GROUP_STREAMS_MIN_HEARTBEAT_INTERVAL_MS,
      CONF_GROUP_STREAMS_MAX_HEARTBEAT_INTERVAL_MS },
    { GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS, CONF_GROUP_STREAMS_MIN_ASSIGNMENT_INTERVAL_MS,
      CONF_GROUP_STREAMS_MAX_ASSIGNMENT_INTERVAL_MS },
    { GROUP_STREAMS_NUM_STANDBY_REPLICAS, CONF_COUNT, CONF_GROUP_STREAMS_MAX_STANDBY_REPLICAS },
};

int group_conf_check(const struct conf *c, const struct conf_kv *kv, int n, struct why *w)
{
    static const enum group_key pairs[][2] = { { GROUP_CONSUMER_SESSION_TIMEOUT_MS, GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS },
                                               { GROUP_SHARE_SESSION_TIMEOUT_MS, GROUP_SHARE_HEARTBEAT_INTERVAL_MS },
                                               { GROUP_STREAMS_SESSION_TIMEOUT_MS, GROUP_STREAMS_HEARTBEAT_INTERVAL_MS } };
    int rc = check_all(CONF_SCOPE_GROUP, "group", kv, n, w);
    for (size_t i = 0; i < ARRAY_LEN(bounds) && rc == 0; i++) {
        const char *name = conf_def_at(CONF_SCOPE_GROUP, (int)bounds[i].key)->name;
        if (!override_of(kv, n, slice_of(name)).p) continue;
        int64_t v = group_conf_i64(c, kv, n, bounds[i].key);
        if (bounds[i].min != CONF_COUNT && v < conf_i64(c, bounds[i].min))
            rc = why(w, E_INVALID_CONFIG, "%s must be greater than or equal to %s", name, conf_def(bounds[i].min)->name);
        else if (v > conf_i64(c, bounds[i].max))
            rc = why(w, E_INVALID_CONFIG, "%s must be less than or equal to %s", name, conf_def(bounds[i].max)->name);
    }
    for (size_t i = 0; i < ARRAY_LEN(pairs) && rc == 0; i++)
        if (group_conf_i64(c, kv, n, pairs[i][0]) <= group_conf_i64(c, kv, n, pairs[i][1]))
            rc = why(w, E_INVALID_CONFIG, "%s must be greater than %s", conf_def_at(CONF_SCOPE_GROUP, (int)pairs[i][0])->name,
                     conf_def_at(CONF_SCOPE_GROUP, (int)pairs[i][1])->name);
    return rc;
}

/* ---- client metrics -------------------------------------------------------------------------------------------------------------------------- */

/* Brackets and parentheses of a pattern close, and it does not end in a backslash: what compiling it would refuse most often. */
static bool pattern_whole(struct slice s)
{
    int depth = 0;
    bool set = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\') {
            if (++i >= s.n) return false;
        } else if (set) {
            set = c != ']';
        } else if (c == '[') {
            set = true;
        } else if (c == '(') {
            depth++;
        } else if (c == ')' && --depth < 0) {
            return false;
        }
    }
    return depth == 0 && !set;
}

static bool match_valid(struct slice item)
{
    static const char *const names[] = { "client_instance_id",    "client_id",
                                         "client_software_name",  "client_software_version",
                                         "client_source_address", "client_source_port" };
    const char *eq = memchr(item.p, '=', item.n);
    if (!eq || memchr(eq + 1, '=', (size_t)(item.p + item.n - eq - 1))) return false;
    struct slice name = slice_trim((struct slice){ item.p, (size_t)(eq - item.p) });
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (slice_is(name, names[i])) return pattern_whole(slice_trim(slice_cut(item, (size_t)(eq - item.p) + 1)));
    return false;
}

int metrics_conf_check(const struct conf_kv *kv, int n, struct why *w)
{
    struct arena a;
    int rc = 0;
    arena_init(&a);
    for (int i = 0; i < n && rc == 0; i++) {
        const struct conf_def *d = conf_find(CONF_SCOPE_CLIENT_METRICS, kv[i].name);
        struct conf_value v;
        if (!d) {
            rc = why(w, E_INVALID_REQUEST, "Unknown client metrics configuration: " S_FMT, S_ARG(kv[i].name));
        } else if ((rc = value_parse(d, kv[i].value, &a, &v, w)) < 0 || !kv[i].value.p) {
            continue;
        } else if (slice_is(kv[i].name, "interval.ms") && (v.i < 100 || v.i > 3600000)) {
            rc = why(w, E_INVALID_REQUEST,
                     "Invalid value " S_FMT " for interval.ms, interval must be between 100 and 3600000 (1 hour)", S_ARG(v.text));
        } else if (slice_is(kv[i].name, "match")) {
            for (int k = 0; k < v.list_n && rc == 0; k++)
                if (!match_valid(v.list[k]))
                    rc = why(w, E_INVALID_CONFIG, "Illegal client matching pattern: " S_FMT, S_ARG(v.list[k]));
        }
    }
    arena_free(&a);
    return rc;
}

/* ---- alterations ------------------------------------------------------------------------------------------------------------------------------ */

struct parts {
    struct slice *p;
    int n;
};

/* As Java's split(","): no trimming, and empty pieces at the end are dropped. */
static struct parts split(struct slice s, struct arena *a)
{
    struct parts out = { arena_array(a, struct slice, s.n + 2), 0 };
    int last = 0;
    for (size_t at = 0; at <= s.n;) {
        const char *comma = s.n ? memchr(s.p + at, ',', s.n - at) : NULL;
        size_t to = comma ? (size_t)(comma - s.p) : s.n;
        out.p[out.n++] = (struct slice){ s.n ? s.p + at : "", to - at };
        if (to > at) last = out.n;
        at = to + 1;
    }
    out.n = last ? last : s.n == 0 ? 1 : 0;
    return out;
}

static int parts_find(const struct parts *l, struct slice s)
{
    for (int i = 0; i < l->n; i++)
        if (slice_eq(l->p[i], s)) return i;
    return -1;
}

static struct slice edit_list(struct slice before, bool append, struct slice value, struct arena *a)
{
    struct parts old = split(before, a), change = split(value, a),
                 now = { arena_array(a, struct slice, before.n + value.n + 4), 0 };
    struct bytes text = { 0 };
    for (int i = 0; i < old.n; i++)
        if (old.p[i].n) now.p[now.n++] = old.p[i];
    for (int i = 0; i < change.n; i++) {
        int at = parts_find(&now, change.p[i]);
        if (append && at < 0) {
            now.p[now.n++] = change.p[i];
        } else if (!append && at >= 0) {
            memmove(&now.p[at], &now.p[at + 1], (size_t)(now.n - at - 1) * sizeof *now.p);
            now.n--;
        }
    }
    for (int i = 0; i < now.n; i++) bytes_printf(&text, "%s" S_FMT, i ? "," : "", S_ARG(now.p[i]));
    struct slice out = arena_printf(a, "%.*s", (int)text.n, text.n ? (const char *)text.p : "");
    bytes_free(&text);
    return out;
}

int conf_alter(enum conf_scope scope, struct slice name, struct slice current, int op, struct slice value, struct arena *a,
               struct slice *out, struct why *w)
{
    if (op < CONF_OP_SET || op > CONF_OP_SUBTRACT) return why(w, E_INVALID_REQUEST, "Unknown operation type %d", op);
    if (op == CONF_OP_DELETE) {
        *out = (struct slice){ NULL, 0 };
        return 0;
    }
    if (!value.p) return why(w, E_INVALID_REQUEST, "Null value not supported for : " S_FMT, S_ARG(name));
    if (op == CONF_OP_SET) {
        *out = value;
        return 0;
    }
    const struct conf_def *d = conf_find(scope, name);
    if (!d || d->type != CONF_TYPE_LIST)
        return why(w, E_INVALID_CONFIG, "Can't %s to key " S_FMT " because its type is not LIST.",
                   op == CONF_OP_APPEND ? "APPEND" : "SUBTRACT", S_ARG(name));
    *out = edit_list(current.p ? current : slice_of(d->def), op == CONF_OP_APPEND, value, a);
    return 0;
}
