/* The table of config_list.h as C, and lookups in it. */
#include "conf.h"

#define ANY                .check = CHECK_ANY
#define AT_LEAST(a)        .check = CHECK_RANGE, .min = (a), .max = INFINITY
#define BETWEEN(a, b)      .check = CHECK_RANGE, .min = (a), .max = (b)
#define GZIP_LEVEL         .check = CHECK_GZIP
#define ONE_OF(s)          .check = CHECK_ONE_OF, .set = (s)
#define ONE_OF_ANY_CASE(s) .check = CHECK_ONE_OF_ANY_CASE, .set = (s)
#define ANY_LIST           .check = CHECK_LIST
#define LIST_FULL          .check = CHECK_LIST_FULL
#define LIST_OF(s)         .check = CHECK_LIST_OF, .set = (s)
#define LIST_OF_FULL(s)    .check = CHECK_LIST_OF_FULL, .set = (s)
#define NON_NULL           .check = CHECK_NON_NULL
#define NON_EMPTY          .check = CHECK_NON_EMPTY
#define THROTTLED          .check = CHECK_THROTTLED
#define OFFSET_RESET       .check = CHECK_OFFSET_RESET

#define READ_ONLY          .mode = CONF_READ_ONLY
#define PER_BROKER         .mode = CONF_PER_BROKER
#define CLUSTER_WIDE       .mode = CONF_CLUSTER_WIDE
#define REQUIRED           .mode = CONF_READ_ONLY, .required = true
#define INTERNAL           .mode = CONF_READ_ONLY, .internal = true

#define HONOUR             .verdict = CONF_HONOUR
#define CLAMP              .verdict = CONF_CLAMP
#define AHEAD(w)           .verdict = CONF_AHEAD, .reason = (w)
#define IGNORE(w)          .verdict = CONF_IGNORE, .reason = (w)
#define QUIET              .verdict = CONF_QUIET
#define LATER(w)           .verdict = CONF_LATER, .reason = (w)
#define REJECT(w)          .verdict = CONF_REJECT, .reason = (w)

enum { RANK_HIGH, RANK_MEDIUM, RANK_LOW };
/* clang-format off: a row's columns may expand to several initialisers, so no helper macro can take them as arguments */
static const struct conf_def broker_defs[] = {
#define CONF(id, nm, ty, df, valid, rank, mode_, verdict_, dc) \
    [CONF_##id] = { .name = nm, .type = CONF_TYPE_##ty, .def = df, valid, .importance = RANK_##rank, mode_, verdict_, .doc = dc },
#include <odradek/config_list.h>
};
static const struct conf_def topic_defs[] = {
#define TOPIC_CONF(id, nm, ty, df, valid, rank, mode_, verdict_, syn, dc) \
    [TOPIC_##id] = { .name = nm,                                          \
                     .type = CONF_TYPE_##ty,                              \
                     .def = df,                                           \
                     valid,                                               \
                     .importance = RANK_##rank,                           \
                     mode_,                                               \
                     verdict_,                                            \
                     .doc = dc,                                           \
                     .synonym = syn },
#include <odradek/config_list.h>
};
static const struct conf_def group_defs[] = {
#define GROUP_CONF(id, nm, ty, df, valid, rank, mode_, verdict_, syn, dc) \
    [GROUP_##id] = { .name = nm,                                          \
                     .type = CONF_TYPE_##ty,                              \
                     .def = df,                                           \
                     valid,                                               \
                     .importance = RANK_##rank,                           \
                     mode_,                                               \
                     verdict_,                                            \
                     .doc = dc,                                           \
                     .synonym = syn },
#include <odradek/config_list.h>
};
static const struct conf_def metrics_defs[] = {
#define METRICS_CONF(id, nm, ty, df, valid, rank, mode_, verdict_, dc) \
    [METRICS_##                                                        \
        id] = { .name = nm, .type = CONF_TYPE_##ty, .def = df, valid, .importance = RANK_##rank, mode_, verdict_, .doc = dc },
#include <odradek/config_list.h>
};
static const struct conf_def quota_defs[] = {
#define QUOTA_CONF(id, nm, ty, df, valid, rank, mode_, verdict_, dc) \
    [QUOTA_##                                                        \
        id] = { .name = nm, .type = CONF_TYPE_##ty, .def = df, valid, .importance = RANK_##rank, mode_, verdict_, .doc = dc },
#include <odradek/config_list.h>
};
/* clang-format on */
static const struct conf_old_name old_names[] = {
#define OLD_CONF(name, kind, what) { name, OLD_##kind, what },
#include <odradek/config_list.h>
};
static_assert(ARRAY_LEN(broker_defs) == CONF_COUNT && ARRAY_LEN(topic_defs) == TOPIC_COUNT, "every row has its place");

const struct conf_def *conf_def(enum conf_key k)
{
    assert(k < CONF_COUNT);
    return &broker_defs[k];
}

const struct conf_def *conf_def_at(enum conf_scope scope, int i)
{
    const struct conf_def *defs = NULL;
    int n = 0;
    switch (scope) {
    case CONF_SCOPE_BROKER: defs = broker_defs, n = CONF_COUNT; break;
    case CONF_SCOPE_TOPIC: defs = topic_defs, n = TOPIC_COUNT; break;
    case CONF_SCOPE_GROUP: defs = group_defs, n = GROUP_COUNT; break;
    case CONF_SCOPE_CLIENT_METRICS: defs = metrics_defs, n = METRICS_COUNT; break;
    case CONF_SCOPE_QUOTA: defs = quota_defs, n = QUOTA_COUNT; break;
    }
    return i >= 0 && i < n ? &defs[i] : NULL;
}

const struct conf_def *conf_find(enum conf_scope scope, struct slice name)
{
    const struct conf_def *d;
    for (int i = 0; (d = conf_def_at(scope, i)); i++)
        if (slice_is(name, d->name)) return d;
    return NULL;
}

const struct conf_old_name *old_find(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(old_names); i++) {
        const char *o = old_names[i].name;
        size_t n = strlen(o);
        bool same = o[n - 1] == '*' ? name.n >= n - 1 && memcmp(name.p, o, n - 1) == 0 : slice_is(name, o);
        if (same) return &old_names[i];
    }
    return NULL;
}

/* Settings of producers, consumers and their relatives that people copy into the broker's file. */
static const char *const client_names[] = { "acks",
                                            "allow.auto.create.topics",
                                            "auto.commit.interval.ms",
                                            "auto.offset.reset",
                                            "batch.size",
                                            "bootstrap.servers",
                                            "buffer.memory",
                                            "check.crcs",
                                            "client.dns.lookup",
                                            "client.id",
                                            "client.rack",
                                            "compression.codec",
                                            "consumer.timeout.ms",
                                            "default.api.timeout.ms",
                                            "delivery.timeout.ms",
                                            "enable.auto.commit",
                                            "enable.idempotence",
                                            "exclude.internal.topics",
                                            "fetch.max.wait.ms",
                                            "fetch.message.max.bytes",
                                            "fetch.min.bytes",
                                            "group.id",
                                            "group.instance.id",
                                            "group.protocol",
                                            "heartbeat.interval.ms",
                                            "interceptor.classes",
                                            "isolation.level",
                                            "key.deserializer",
                                            "key.serializer",
                                            "linger.ms",
                                            "max.block.ms",
                                            "max.in.flight.requests.per.connection",
                                            "max.partition.fetch.bytes",
                                            "max.poll.interval.ms",
                                            "max.poll.records",
                                            "max.request.size",
                                            "metadata.broker.list",
                                            "metadata.max.age.ms",
                                            "partition.assignment.strategy",
                                            "partitioner.class",
                                            "producer.type",
                                            "receive.buffer.bytes",
                                            "reconnect.backoff.max.ms",
                                            "reconnect.backoff.ms",
                                            "request.required.acks",
                                            "retries",
                                            "retry.backoff.ms",
                                            "sasl.mechanism",
                                            "security.protocol",
                                            "send.buffer.bytes",
                                            "session.timeout.ms",
                                            "transaction.timeout.ms",
                                            "transactional.id",
                                            "value.deserializer",
                                            "value.serializer" };

const char *client_setting(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(client_names); i++)
        if (slice_is(name, client_names[i])) return "a client's setting, it has no effect here";
    if (conf_find(CONF_SCOPE_TOPIC, name)) return "a topic's setting, it has no effect here";
    return NULL;
}

const char *other_setting(struct slice name)
{
    if (slice_is(name, "super.users") || slice_is(name, "allow.everyone.if.no.acl.found")) return "an authoriser";
    if (slice_starts(name, "rsm.config.") || slice_starts(name, "rlmm.config.")) return "tiered storage";
    if (slice_starts(name, "config.providers.")) return "";
    return NULL;
}

/* Edits between two names: insert, delete, replace, and swap of neighbours. Names longer than a key can be are not near anything. */
static int distance(struct slice a, struct slice b)
{
    enum { LONGEST = 96 };
    int row[3][LONGEST + 1];
    if (a.n > LONGEST || b.n > LONGEST) return LONGEST;
    int *before = row[0], *last = row[1], *now = row[2];
    for (int j = 0; j <= (int)b.n; j++) last[j] = j;
    for (int i = 1; i <= (int)a.n; i++) {
        now[0] = i;
        for (int j = 1; j <= (int)b.n; j++) {
            int best = last[j - 1] + (a.p[i - 1] != b.p[j - 1]);
            best = MIN(best, MIN(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1]) best = MIN(best, before[j - 2] + 1);
            now[j] = best;
        }
        int *t = before;
        before = last, last = now, now = t;
    }
    return last[b.n];
}

const struct conf_def *nearest(struct slice name)
{
    const struct conf_def *found = NULL;
    int best = MAX(2, (int)name.n / 5) + 1;
    for (int i = 0; i < CONF_COUNT; i++) {
        int d = distance(name, slice_of(broker_defs[i].name));
        if (d < best) best = d, found = &broker_defs[i];
    }
    return found;
}

int broker_synonyms(struct slice name, struct slice out[4])
{
    static const char *const sets[][3] = { { "log.roll.ms", "log.roll.hours" },
                                           { "log.roll.jitter.ms", "log.roll.jitter.hours" },
                                           { "log.retention.ms", "log.retention.minutes", "log.retention.hours" } };
    int n = 0;
    for (size_t s = 0; s < ARRAY_LEN(sets); s++)
        for (int i = 0; i < 3 && sets[s][i]; i++) {
            if (!slice_is(name, sets[s][i])) continue;
            for (int j = 0; j < 3 && sets[s][j]; j++) out[n++] = slice_of(sets[s][j]);
            return n;
        }
    out[n++] = name;
    if (slice_is(name, "log.flush.interval.ms")) out[n++] = S("log.flush.scheduler.interval.ms");
    const struct conf_def *d = listener_key(name);
    if (d) out[n++] = slice_of(d->name);
    return n;
}

/* Keys that may stand below a mechanism: listener.name.<listener>.<mechanism>.<key>. */
static bool of_mechanism(const struct conf_def *d)
{
    return strcmp(d->name, "sasl.jaas.config") == 0 || strcmp(d->name, "sasl.login.callback.handler.class") == 0 ||
           strcmp(d->name, "sasl.login.class") == 0 || strcmp(d->name, "sasl.server.callback.handler.class") == 0 ||
           strcmp(d->name, "connections.max.reauth.ms") == 0;
}

const struct conf_def *listener_key(struct slice name)
{
    if (!slice_starts(name, "listener.name.")) return NULL;
    struct slice rest = slice_cut(name, strlen("listener.name."));
    const char *dot = memchr(rest.p, '.', rest.n);
    if (!dot || dot == rest.p) return NULL;
    struct slice key = slice_cut(rest, (size_t)(dot - rest.p) + 1);
    const struct conf_def *d = conf_find(CONF_SCOPE_BROKER, key);
    if (d) return d;
    dot = memchr(key.p, '.', key.n);
    if (!dot || dot == key.p) return NULL;
    d = conf_find(CONF_SCOPE_BROKER, slice_cut(key, (size_t)(dot - key.p) + 1));
    return d && of_mechanism(d) ? d : NULL;
}
