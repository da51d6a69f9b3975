/* Snapshots: one array of parsed values over the written entries; built whole, then frozen. */
#include "conf.h"

struct slice conf_default(const struct conf_base *b, enum conf_key k)
{
    if (k == CONF_LISTENERS && b->local) return S("PLAINTEXT://localhost:9092");
    if (k == CONF_LOG_DIR && b->state_dir.p) return b->state_dir;
    return slice_of(conf_def(k)->def);
}

/* The entry that counts for a name, highest level first; NULL: default. */
static const struct conf_entry *effective(const struct conf *c, struct slice name, enum conf_source *source)
{
    const struct conf_entry *e;
    if ((e = entries_find(&c->broker, name))) return *source = CONF_FROM_DYNAMIC_BROKER, e;
    if ((e = entries_find(&c->cluster, name))) return *source = CONF_FROM_DYNAMIC_CLUSTER, e;
    if ((e = entries_find(&c->base->given, name))) return *source = CONF_FROM_STATIC, e;
    return *source = CONF_FROM_DEFAULT, NULL;
}

static void build_value(struct conf *c, enum conf_key k)
{
    const struct conf_def *d = conf_def(k);
    enum conf_source source;
    const struct conf_entry *e = effective(c, slice_of(d->name), &source);
    struct conf_value *v = &c->v[k];
    /* A wrong static value was told as an error, a wrong dynamic one never got here: the default only keeps the snapshot whole. */
    if (!e || value_parse(d, e->value, &c->arena, v, NULL) < 0) {
        int rc = value_parse(d, conf_default(c->base, k), &c->arena, v, NULL);
        assert(rc == 0);
        source = CONF_FROM_DEFAULT;
    }
    if (d->verdict == CONF_CLAMP && v->i > 1) v->i = 1; /* v->f keeps what was written */
    c->source[k] = (uint8_t)source;
}

static void build_dirs(struct conf *c)
{
    enum conf_key k = c->v[CONF_LOG_DIRS].list_n ? CONF_LOG_DIRS : CONF_LOG_DIR;
    c->dirs = c->v[k].list;
    c->dirs_n = c->v[k].list_n;
}

static void entries_copy(struct conf_entries *to, const struct conf_entries *from, struct arena *a)
{
    for (int i = 0; from && i < from->n; i++) entries_put(to, a, from->e[i].name, from->e[i].value, NULL);
}

struct conf *conf_build(struct conf_base **base, const struct conf_entries *cluster, const struct conf_entries *broker)
{
    struct conf *c = mem_zalloc(sizeof *c);
    atomic_init(&c->refs, 1);
    arena_init(&c->arena);
    c->base = *base;
    *base = NULL;
    entries_copy(&c->cluster, cluster, &c->arena);
    entries_copy(&c->broker, broker, &c->arena);
    for (int k = 0; k < CONF_COUNT; k++) build_value(c, (enum conf_key)k);
    build_dirs(c);
    return c;
}

struct conf *conf_ref(const struct conf *c)
{
    struct conf *mine = (struct conf *)(uintptr_t)c; /* the count is the one part of a frozen snapshot that moves */
    atomic_fetch_add_explicit(&mine->refs, 1, memory_order_relaxed);
    return mine;
}

void conf_unref(struct conf **cp)
{
    struct conf *c = *cp;
    *cp = NULL;
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    base_unref(&c->base);
    arena_free(&c->arena);
    mem_free(c->cluster.e);
    mem_free(c->broker.e);
    mem_free(c);
}

/* ---- what contradicts between keys ----------------------------------------------------------------------------------------------------- */

static const struct conf_entry *static_entry(const struct conf *c, enum conf_key k)
{
    return entries_find(&c->base->given, slice_of(conf_def(k)->name));
}

/* The entry to blame for a setting with several names: the one that is set and wins. */
static void check_retention(const struct conf *c, struct conf_report *r)
{
    static const enum conf_key keys[] = { CONF_LOG_RETENTION_MS, CONF_LOG_RETENTION_MINUTES, CONF_LOG_RETENTION_HOURS };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        int64_t v = c->v[keys[i]].i;
        if (v == CONF_NULL) continue;
        if (v == 0) say_entry(r, CONF_SAY_ERROR, static_entry(c, keys[i]), "must be at least 1, or negative for no limit");
        return;
    }
}

static void check_order(const struct conf *c, enum conf_key low, enum conf_key high, struct conf_report *r)
{
    if (c->v[low].i <= c->v[high].i) return;
    const struct conf_entry *e = static_entry(c, low);
    if (e) say_entry(r, CONF_SAY_ERROR, e, "must be at most %s=%lld", conf_def(high)->name, (long long)c->v[high].i);
    else
        say_entry(r, CONF_SAY_ERROR, static_entry(c, high), "must be at least %s=%lld", conf_def(low)->name,
                  (long long)c->v[low].i);
}

static void check_orders(const struct conf *c, struct conf_report *r)
{
    static const enum conf_key between[][3] = {
        { CONF_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS, CONF_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS,
          CONF_GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS },
        { CONF_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS, CONF_GROUP_CONSUMER_SESSION_TIMEOUT_MS,
          CONF_GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS },
        { CONF_GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS, CONF_GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS,
          CONF_GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS },
        { CONF_GROUP_SHARE_MIN_HEARTBEAT_INTERVAL_MS, CONF_GROUP_SHARE_HEARTBEAT_INTERVAL_MS,
          CONF_GROUP_SHARE_MAX_HEARTBEAT_INTERVAL_MS },
        { CONF_GROUP_SHARE_MIN_SESSION_TIMEOUT_MS, CONF_GROUP_SHARE_SESSION_TIMEOUT_MS, CONF_GROUP_SHARE_MAX_SESSION_TIMEOUT_MS },
        { CONF_GROUP_SHARE_MIN_ASSIGNMENT_INTERVAL_MS, CONF_GROUP_SHARE_ASSIGNMENT_INTERVAL_MS,
          CONF_GROUP_SHARE_MAX_ASSIGNMENT_INTERVAL_MS },
        { CONF_GROUP_SHARE_MIN_RECORD_LOCK_DURATION_MS, CONF_GROUP_SHARE_RECORD_LOCK_DURATION_MS,
          CONF_GROUP_SHARE_MAX_RECORD_LOCK_DURATION_MS },
        { CONF_GROUP_SHARE_MIN_PARTITION_MAX_RECORD_LOCKS, CONF_GROUP_SHARE_PARTITION_MAX_RECORD_LOCKS,
          CONF_GROUP_SHARE_MAX_PARTITION_MAX_RECORD_LOCKS },
        { CONF_GROUP_SHARE_MIN_DELIVERY_COUNT_LIMIT, CONF_GROUP_SHARE_DELIVERY_COUNT_LIMIT,
          CONF_GROUP_SHARE_MAX_DELIVERY_COUNT_LIMIT },
        { CONF_GROUP_STREAMS_MIN_HEARTBEAT_INTERVAL_MS, CONF_GROUP_STREAMS_HEARTBEAT_INTERVAL_MS,
          CONF_GROUP_STREAMS_MAX_HEARTBEAT_INTERVAL_MS },
        { CONF_GROUP_STREAMS_MIN_SESSION_TIMEOUT_MS, CONF_GROUP_STREAMS_SESSION_TIMEOUT_MS,
          CONF_GROUP_STREAMS_MAX_SESSION_TIMEOUT_MS },
        { CONF_GROUP_STREAMS_MIN_ASSIGNMENT_INTERVAL_MS, CONF_GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS,
          CONF_GROUP_STREAMS_MAX_ASSIGNMENT_INTERVAL_MS },
    };
    for (size_t i = 0; i < ARRAY_LEN(between); i++) {
        check_order(c, between[i][0], between[i][1], r);
        check_order(c, between[i][1], between[i][2], r);
    }
    check_order(c, CONF_GROUP_MIN_SESSION_TIMEOUT_MS, CONF_GROUP_MAX_SESSION_TIMEOUT_MS, r);
    check_order(c, CONF_GROUP_STREAMS_NUM_STANDBY_REPLICAS, CONF_GROUP_STREAMS_MAX_STANDBY_REPLICAS, r);
    check_order(c, CONF_LOG_CLEANER_MIN_COMPACTION_LAG_MS, CONF_LOG_CLEANER_MAX_COMPACTION_LAG_MS, r);
}

static bool ip_override(struct slice *rest, struct slice *host, int64_t *limit)
{
    while (rest->n) {
        const char *comma = memchr(rest->p, ',', rest->n);
        struct slice item = slice_trim((struct slice){ rest->p, comma ? (size_t)(comma - rest->p) : rest->n });
        *rest = comma ? slice_cut(*rest, (size_t)(comma - rest->p) + 1) : slice_cut(*rest, rest->n);
        if (item.n == 0) continue;
        const char *colon = memrchr(item.p, ':', item.n);
        *host = slice_trim((struct slice){ item.p, colon ? (size_t)(colon - item.p) : item.n });
        struct slice n = colon ? slice_trim(slice_cut(item, (size_t)(colon - item.p) + 1)) : (struct slice){ NULL, 0 };
        *limit = n.n && n.n <= 10 ? 0 : -1;
        for (size_t i = 0; i < n.n && *limit >= 0; i++)
            *limit = n.p[i] >= '0' && n.p[i] <= '9' ? *limit * 10 + (n.p[i] - '0') : -1;
        if (host->n == 0) *limit = -1;
        return true;
    }
    return false;
}

static void check_connections(const struct conf *c, struct conf_report *r)
{
    struct slice rest = conf_str(c, CONF_MAX_CONNECTIONS_PER_IP_OVERRIDES), host;
    int64_t limit;
    if (conf_i64(c, CONF_MAX_CONNECTIONS_PER_IP) == 0 && rest.n == 0)
        say_entry(r, CONF_SAY_ERROR, static_entry(c, CONF_MAX_CONNECTIONS_PER_IP),
                  "nobody could connect; 0 needs max.connections.per.ip.overrides");
    while (ip_override(&rest, &host, &limit))
        if (limit < 0)
            say_entry(r, CONF_SAY_ERROR, static_entry(c, CONF_MAX_CONNECTIONS_PER_IP_OVERRIDES),
                      "must be address:number with commas between");
    int64_t queued = conf_i64(c, CONF_QUEUED_MAX_REQUEST_BYTES);
    if (queued > 0 && queued < conf_i64(c, CONF_SOCKET_REQUEST_MAX_BYTES))
        say_entry(r, CONF_SAY_ERROR, static_entry(c, CONF_QUEUED_MAX_REQUEST_BYTES),
                  "must be at least socket.request.max.bytes=%lld, or -1", (long long)conf_i64(c, CONF_SOCKET_REQUEST_MAX_BYTES));
}

/* Somebody said how much the kernel may hold of a connection, and said too little. */
static void check_socket_buffers(const struct conf *c, struct conf_report *r)
{
    enum { LEAST = 64 * KiB };
    static const struct {
        enum conf_key key;
        const char *what;
    } buffers[] = { { CONF_SOCKET_SEND_BUFFER_BYTES, "consumers get little at a time, and those on this machine a few MB/s" },
                    { CONF_SOCKET_RECEIVE_BUFFER_BYTES, "producers send little at a time" } };
    for (size_t i = 0; i < ARRAY_LEN(buffers); i++) {
        int64_t n = conf_i64(c, buffers[i].key);
        if (!conf_is_set(c, buffers[i].key) || n <= 0 || n >= LEAST) continue;
        say_entry(r, CONF_SAY_WARN, static_entry(c, buffers[i].key), "below 64 KiB %s; leave it out, or set -1", buffers[i].what);
    }
}

/* A node of a larger cluster must not start as a broker of its own. */
static void check_cluster(const struct conf *c, struct conf_report *r)
{
    int n;
    const struct slice *roles = conf_list(c, CONF_PROCESS_ROLES, &n);
    bool broker = false, mine = false;
    for (int i = 0; i < n; i++) broker |= slice_is(roles[i], "broker");
    if (!broker)
        say_entry(r, CONF_SAY_ERROR, static_entry(c, CONF_PROCESS_ROLES),
                  "must contain broker: a controller alone is nothing here");
    const struct slice *voters = conf_list(c, CONF_CONTROLLER_QUORUM_VOTERS, &n);
    const struct conf_entry *e = static_entry(c, CONF_CONTROLLER_QUORUM_VOTERS);
    for (int i = 0; i < n; i++) {
        int64_t id = 0;
        const char *at = memchr(voters[i].p, '@', voters[i].n), *colon = memrchr(voters[i].p, ':', voters[i].n);
        for (const char *p = voters[i].p; at && p < at && id >= 0; p++)
            id = *p >= '0' && *p <= '9' && id < INT32_MAX ? id * 10 + (*p - '0') : -1;
        if (!at || at == voters[i].p || id < 0 || !colon || colon < at) {
            say_entry(r, CONF_SAY_ERROR, e, "'" S_FMT "' must be id@host:port", S_ARG(voters[i]));
            return;
        }
        mine |= id == conf_node_id(c);
    }
    if (n && !mine)
        say_entry(r, CONF_SAY_ERROR, e,
                  "node.id=%d is not among them: this file is of a node in a cluster, and this broker is one node alone",
                  conf_node_id(c));
    else if (n > 1)
        say_entry(r, CONF_SAY_WARN, e, "this broker is one node alone and has nothing to do with the other %d", n - 1);
}

static void check_dirs(const struct conf *c, struct conf_report *r)
{
    const struct slice tmp = S("/tmp/");
    struct uuid id;
    struct slice cluster = conf_str(c, CONF_ODRADEK_CLUSTER_ID);
    for (int i = 0; i < c->dirs_n; i++)
        if (c->source[CONF_LOG_DIRS] == CONF_FROM_DEFAULT && slice_starts(c->dirs[i], tmp.p))
            say(r, CONF_SAY_WARN, "data lies in " S_FMT ", which a reboot may empty; set log.dirs", S_ARG(c->dirs[i]));
    if (cluster.p && (uuid_parse(cluster, &id) < 0 || uuid_is_zero(id)))
        say_entry(r, CONF_SAY_ERROR, static_entry(c, CONF_ODRADEK_CLUSTER_ID), "must be 22 characters of URL-safe base64");
}

static int load(struct conf_base *b, struct conf **out, struct conf_report *r)
{
    struct conf *c = conf_build(&b, NULL, NULL);
    listeners_build(c, r);
    check_retention(c, r);
    check_orders(c, r);
    check_connections(c, r);
    check_socket_buffers(c, r);
    check_cluster(c, r);
    check_dirs(c, r);
    if (r->errors) conf_unref(&c);
    *out = c;
    return c ? 0 : E_INVALID_CONFIG;
}

int conf_load(struct fs *fs, const struct conf_input *in, struct conf **out, struct conf_report *r)
{
    return load(input_read(fs, in, r), out, r);
}

int conf_parse(struct slice text, struct conf **out, struct conf_report *r)
{
    struct conf_base *b = base_new();
    input_text(b, text, "text", r);
    input_settle(NULL, b, NULL, r);
    return load(b, out, r);
}

/* ---- reading ---------------------------------------------------------------------------------------------------------------------------- */

bool conf_bool(const struct conf *c, enum conf_key k)
{
    assert(conf_def(k)->type == CONF_TYPE_BOOLEAN);
    return c->v[k].i == 1;
}

static bool whole(enum conf_key k)
{
    uint8_t t = conf_def(k)->type;
    return t == CONF_TYPE_INT || t == CONF_TYPE_SHORT || t == CONF_TYPE_LONG;
}

int64_t conf_i64(const struct conf *c, enum conf_key k)
{
    assert(whole(k));
    return c->v[k].i;
}

int64_t conf_written_i64(const struct conf *c, enum conf_key k)
{
    assert(whole(k));
    return conf_def(k)->verdict == CONF_CLAMP ? (int64_t)c->v[k].f : c->v[k].i;
}

double conf_f64(const struct conf *c, enum conf_key k)
{
    assert(conf_def(k)->type == CONF_TYPE_DOUBLE);
    return c->v[k].f;
}

struct slice conf_str(const struct conf *c, enum conf_key k)
{
    assert(k < CONF_COUNT);
    return c->v[k].text;
}

const struct slice *conf_list(const struct conf *c, enum conf_key k, int *n)
{
    assert(conf_def(k)->type == CONF_TYPE_LIST);
    *n = c->v[k].list_n;
    return c->v[k].list;
}

enum conf_source conf_source(const struct conf *c, enum conf_key k)
{
    assert(k < CONF_COUNT);
    return (enum conf_source)c->source[k];
}

bool conf_is_set(const struct conf *c, enum conf_key k) { return conf_source(c, k) != CONF_FROM_DEFAULT; }

const struct slice *conf_dirs(const struct conf *c, int *n)
{
    *n = c->dirs_n;
    return c->dirs;
}

struct slice conf_metadata_dir(const struct conf *c)
{
    struct slice s = conf_str(c, CONF_METADATA_LOG_DIR);
    return s.n ? s : c->dirs[0];
}

int32_t conf_node_id(const struct conf *c) { return (int32_t)c->v[CONF_NODE_ID].i; }

const struct conf_listener *conf_listeners(const struct conf *c, int *n)
{
    *n = c->listeners_n;
    return c->listeners;
}

struct slice conf_raw(const struct conf *c, struct slice name)
{
    enum conf_source source;
    const struct conf_entry *e = effective(c, name, &source);
    if (e) return e->value;
    for (int k = 0; k < CONF_COUNT; k++)
        if (slice_is(name, conf_def((enum conf_key)k)->name)) return c->v[k].text;
    return (struct slice){ NULL, 0 };
}

/* listener.name.<listener>.[<mechanism>.]<key>; names are lower case there. NULL when not set. */
static const struct conf_entry *listener_entry(const struct conf *c, struct slice listener, struct slice mechanism,
                                               enum conf_key k)
{
    char name[512];
    enum conf_source source;
    int n = snprintf(name, sizeof name, "listener.name." S_FMT ".%.*s%s", S_ARG(listener), (int)mechanism.n,
                     mechanism.n ? mechanism.p : "", mechanism.n ? "." : "");
    if (n < 0 || (size_t)n >= sizeof name) return NULL;
    for (char *p = name; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p = (char)(*p + 32);
    int more = snprintf(name + n, sizeof name - (size_t)n, "%s", conf_def(k)->name);
    if (more < 0 || (size_t)more >= sizeof name - (size_t)n) return NULL;
    return effective(c, slice_of(name), &source);
}

int64_t conf_listener_i64(const struct conf *c, struct slice listener, enum conf_key k)
{
    const struct conf_entry *e = listener_entry(c, listener, (struct slice){ NULL, 0 }, k);
    struct conf_value v;
    struct arena a;
    int64_t out = conf_i64(c, k);
    if (!e) return out;
    arena_init(&a);
    if (value_parse(conf_def(k), e->value, &a, &v, NULL) == 0) out = v.i;
    arena_free(&a);
    return out;
}

struct slice conf_listener_str(const struct conf *c, struct slice listener, enum conf_key k)
{
    const struct conf_entry *e = listener_entry(c, listener, (struct slice){ NULL, 0 }, k);
    return e ? slice_trim(e->value) : conf_str(c, k);
}

struct slice conf_mechanism_str(const struct conf *c, struct slice listener, struct slice mechanism, enum conf_key k)
{
    const struct conf_entry *e = listener_entry(c, listener, mechanism, k);
    return e ? slice_trim(e->value) : conf_listener_str(c, listener, k);
}

int64_t conf_max_connections_of_ip(const struct conf *c, struct slice host)
{
    struct slice rest = conf_str(c, CONF_MAX_CONNECTIONS_PER_IP_OVERRIDES), name;
    int64_t limit;
    while (ip_override(&rest, &name, &limit))
        if (limit >= 0 && slice_ieq(name, host)) return limit;
    return conf_i64(c, CONF_MAX_CONNECTIONS_PER_IP);
}

/* ---- dynamic configs --------------------------------------------------------------------------------------------------------------------- */

/* The row that governs a name in a dynamic broker config: its own, that behind a listener prefix, or a throttle; NULL: unknown. */
static const struct conf_def *dynamic_def(struct slice name)
{
    const struct conf_def *d = conf_find(CONF_SCOPE_BROKER, name);
    if (!d) d = listener_key(name);
    if (!d) d = conf_find(CONF_SCOPE_QUOTA, name);
    return d;
}

static bool usable(const struct conf_kv *kv, bool per_broker)
{
    struct why w;
    const struct conf_def *d = dynamic_def(kv->name);
    bool prefixed = slice_starts(kv->name, "listener.name.");
    const char *problem = NULL;
    if (!kv->value.p) return false;
    if (!d) return true; /* shown, and otherwise nobody's business */
    if (!prefixed && d->mode == CONF_READ_ONLY) problem = "cannot change while the broker runs";
    if (!per_broker && d->mode == CONF_PER_BROKER) problem = "is set for each broker, not for all";
    if (!problem && conf_value_check(d, kv->value, &w) < 0) problem = w.text;
    if (problem) log_warn("config", "dynamic config ignored", KV_SLICE("key", kv->name), KV_STR("because", problem));
    return !problem;
}

struct conf *conf_with(const struct conf *c, const struct conf_kv *cluster, int cluster_n, const struct conf_kv *broker,
                       int broker_n)
{
    struct conf_entries all = { 0 }, own = { 0 };
    struct conf_base *b = c->base;
    struct arena a;
    arena_init(&a);
    for (int i = 0; i < cluster_n; i++)
        if (usable(&cluster[i], false)) entries_put(&all, &a, cluster[i].name, cluster[i].value, NULL);
    for (int i = 0; i < broker_n; i++)
        if (usable(&broker[i], true)) entries_put(&own, &a, broker[i].name, broker[i].value, NULL);
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    struct conf *next = conf_build(&b, &all, &own);
    listeners_build(next, NULL);
    mem_free(all.e);
    mem_free(own.e);
    arena_free(&a);
    return next;
}

/* Adds a name to the list of those that have one thing wrong with them. */
static void blame(struct bytes *list, struct slice name) { bytes_printf(list, "%s" S_FMT, list->n ? ", " : "", S_ARG(name)); }

static int blamed(struct bytes *list, const char *what, int rc, struct why *w)
{
    if (list->n && rc == 0) rc = why(w, E_INVALID_REQUEST, "%s: [%.*s]", what, (int)list->n, (const char *)list->p);
    bytes_free(list);
    return rc;
}

static bool tls_reloadable(const struct conf_def *d) { return strncmp(d->name, "ssl.", 4) == 0 && d->mode == CONF_PER_BROKER; }

/* Kafka lets a pool at most double or halve at a time. */
static int check_threads(const struct conf *c, enum conf_key k, const struct conf_kv *kv, struct why *w)
{
    struct conf_value v;
    struct arena a;
    int64_t now = conf_i64(c, k);
    arena_init(&a);
    int rc = value_parse(conf_def(k), kv->value, &a, &v, w);
    arena_free(&a);
    if (rc < 0) return rc;
    const char *what = v.i > now * 2 ? "value should not be greater than double the current value"
                                     : "value should be at least half the current value";
    if (v.i <= now * 2 && v.i * 2 >= now) return 0;
    return why(w, E_INVALID_REQUEST,
               "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation failed for "
               "%s=%lld, %s %lld "
               "for configuration Invalid dynamic configuration",
               conf_def(k)->name, (long long)v.i, what, (long long)now);
}

static int check_dynamic_value(const struct conf *c, const struct conf_kv *kv, struct why *w)
{
    static const enum conf_key pools[] = { CONF_BACKGROUND_THREADS, CONF_NUM_IO_THREADS, CONF_NUM_NETWORK_THREADS,
                                           CONF_NUM_RECOVERY_THREADS_PER_DATA_DIR, CONF_NUM_REPLICA_FETCHERS };
    const struct conf_def *d = dynamic_def(kv->name);
    if (!d || !kv->value.p) return 0;
    if (conf_value_check(d, kv->value, w) < 0) return E_INVALID_REQUEST;
    for (size_t i = 0; i < ARRAY_LEN(pools); i++)
        if (slice_is(kv->name, conf_def(pools[i])->name)) return check_threads(c, pools[i], kv, w);
    if (slice_is(kv->name, "listeners") || slice_is(kv->name, "listener.security.protocol.map"))
        return why(w, E_INVALID_REQUEST, "listeners change with a restart only");
    if (slice_is(kv->name, "max.connections.per.ip.overrides")) {
        struct slice rest = kv->value, host;
        int64_t limit;
        while (ip_override(&rest, &host, &limit))
            if (limit < 0)
                return why(w, E_INVALID_REQUEST,
                           "Invalid value " S_FMT " for configuration max.connections.per.ip.overrides: must be address:number",
                           S_ARG(kv->value));
    }
    if ((d->verdict == CONF_REJECT || d->verdict == CONF_LATER) && !slice_starts(kv->name, "listener.name.") &&
        !slice_eq(slice_trim(kv->value), slice_of(d->def)))
        return why(w, E_INVALID_REQUEST, "Invalid value " S_FMT " for configuration %s: %s", S_ARG(kv->value), d->name,
                   d->reason);
    return 0;
}

int conf_dynamic_check(const struct conf *c, bool per_broker, const struct conf_kv *all, int n, struct why *w)
{
    struct bytes fixed = { 0 }, secure = { 0 }, single = { 0 };
    int rc = 0;
    for (int i = 0; i < n; i++) {
        const struct conf_def *d = dynamic_def(all[i].name);
        bool prefixed = slice_starts(all[i].name, "listener.name.");
        if (!d) continue;
        if (!prefixed && d->mode == CONF_READ_ONLY) blame(&fixed, all[i].name);
        if (!prefixed && tls_reloadable(d)) blame(&secure, all[i].name);
        if (d->mode == CONF_PER_BROKER) blame(&single, all[i].name);
    }
    rc = blamed(&fixed, "Cannot update these configs dynamically", rc, w);
    rc = blamed(&secure, "These security configs can be dynamically updated only per-listener using the listener prefix", rc, w);
    for (int i = 0; i < n && rc == 0; i++) rc = check_dynamic_value(c, &all[i], w);
    if (per_broker) single.n = 0;
    return blamed(&single, "Cannot update these configs at default cluster level, broker id must be specified", rc, w);
}
