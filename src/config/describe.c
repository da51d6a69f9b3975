/* DescribeConfigs: rows with values, sources and synonyms as Kafka 4.3.1 gives them.
 *
 * Two of its habits are kept on purpose. Unknown names are shown without value, because they might be secrets. And a list of synonyms
 * begins with the name described: what stands before it (log.retention.hours when log.retention.ms is asked for and not set) is dropped. */
#include "conf.h"
#include <stdlib.h>

enum { SYNONYMS_MAX = 1 + 4 * 4 }; /* its own, and up to four names on four levels */

struct rows {
    struct arena *a;
    struct conf_row *row;
    int n, cap;
    struct conf_synonym synonyms[SYNONYMS_MAX]; /* of the row being made; settle() gives it as many as it has */
};

static struct conf_row *row_add(struct rows *l, struct slice name, const struct conf_def *d)
{
    if (l->n == l->cap) {
        int cap = l->cap ? l->cap * 2 : 64;
        struct conf_row *more = arena_array(l->a, struct conf_row, cap);
        if (l->n) memcpy(more, l->row, (size_t)l->n * sizeof *more);
        l->row = more;
        l->cap = cap;
    }
    struct conf_row *r = &l->row[l->n++];
    *r = (struct conf_row){ .name = name,
                            .type = d ? (enum conf_type)d->type : CONF_TYPE_UNKNOWN,
                            .sensitive = conf_def_sensitive(d) };
    if (d) r->doc = slice_of(d->doc);
    return r;
}

static bool row_there(const struct rows *l, struct slice name)
{
    for (int i = 0; i < l->n; i++)
        if (slice_eq(l->row[i].name, name)) return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    return slice_cmp(((const struct conf_row *)a)->name, ((const struct conf_row *)b)->name);
}

static int rows_done(struct rows *l, struct conf_row **out)
{
    if (l->n) qsort(l->row, (size_t)l->n, sizeof *l->row, by_name);
    *out = l->row;
    return l->n;
}

static void synonym_add(struct rows *l, struct conf_row *r, struct slice name, struct slice value, enum conf_source source)
{
    r->synonyms = l->synonyms;
    assert(r->synonyms_n < SYNONYMS_MAX);
    if (r->sensitive) value = (struct slice){ NULL, 0 };
    r->synonyms[r->synonyms_n++] = (struct conf_synonym){ name, value, source };
}

/* Everything the broker knows about `name`, behind what the row has already. */
static void broker_level(const struct conf *c, struct rows *l, struct conf_row *r, struct slice name)
{
    struct slice names[4];
    int n = broker_synonyms(name, names), from = r->synonyms_n;
    const struct conf_entries *levels[] = { &c->broker, &c->cluster, &c->base->given };
    static const enum conf_source sources[] = { CONF_FROM_DYNAMIC_BROKER, CONF_FROM_DYNAMIC_CLUSTER, CONF_FROM_STATIC };
    for (size_t k = 0; k < ARRAY_LEN(levels); k++)
        for (int i = 0; i < n; i++) {
            const struct conf_entry *e = entries_find(levels[k], names[i]);
            if (e) synonym_add(l, r, names[i], e->value, sources[k]);
        }
    for (int i = 0; i < n; i++) {
        const struct conf_def *d = conf_find(CONF_SCOPE_BROKER, names[i]);
        if (!d || d->required) continue;
        struct slice def = conf_default(c->base, (enum conf_key)(d - conf_def((enum conf_key)0)));
        if (def.p) synonym_add(l, r, names[i], def, CONF_FROM_DEFAULT);
    }
    int drop = from;
    while (drop < r->synonyms_n && !slice_eq(r->synonyms[drop].name, name)) drop++;
    if (drop > from) memmove(&r->synonyms[from], &r->synonyms[drop], (size_t)(r->synonyms_n - drop) * sizeof *r->synonyms);
    r->synonyms_n -= drop - from;
}

/* The row has all its synonyms: they move into the arena, and the first of them is its source. */
static void settle(struct rows *l, struct conf_row *r)
{
    r->source = r->synonyms_n ? r->synonyms[0].source : CONF_FROM_DEFAULT;
    struct conf_synonym *v = r->synonyms_n ? arena_array(l->a, struct conf_synonym, r->synonyms_n) : NULL;
    if (v) memcpy(v, r->synonyms, sizeof *v * (size_t)r->synonyms_n);
    r->synonyms = v;
}

static const struct conf_def *broker_row_def(struct slice name)
{
    const struct conf_def *d = conf_find(CONF_SCOPE_BROKER, name);
    if (!d) d = listener_key(name);
    if (!d) d = conf_find(CONF_SCOPE_QUOTA, name);
    return d;
}

/* Kafka calls a name with a listener prefix read-only, though it is the only way to change some. */
static bool read_only(struct slice name, const struct conf_def *d)
{
    return !d || d->mode == CONF_READ_ONLY || !slice_is(name, d->name);
}

static void broker_extra(const struct conf *c, struct rows *l, const struct conf_entries *from)
{
    for (int i = 0; i < from->n; i++) {
        struct slice name = from->e[i].name;
        if (row_there(l, name)) continue;
        const struct conf_def *d = broker_row_def(name);
        struct conf_row *r = row_add(l, name, d);
        r->read_only = read_only(name, d);
        if (!r->sensitive) r->value = conf_raw(c, name);
        broker_level(c, l, r, name);
        settle(l, r);
    }
}

int conf_describe_broker(const struct conf *c, struct arena *a, struct conf_row **out)
{
    struct rows l = { .a = a };
    for (int k = 0; k < CONF_COUNT; k++) {
        const struct conf_def *d = conf_def((enum conf_key)k);
        if (d->internal && !conf_is_set(c, (enum conf_key)k)) continue;
        struct conf_row *r = row_add(&l, slice_of(d->name), d);
        r->read_only = read_only(r->name, d);
        if (!r->sensitive) r->value = c->v[k].text;
        broker_level(c, &l, r, r->name);
        settle(&l, r);
    }
    broker_extra(c, &l, &c->broker);
    broker_extra(c, &l, &c->cluster);
    broker_extra(c, &l, &c->base->given);
    return rows_done(&l, out);
}

int conf_describe_cluster(const struct conf *c, struct arena *a, struct conf_row **out)
{
    struct rows l = { .a = a };
    for (int i = 0; i < c->cluster.n; i++) {
        const struct conf_entry *e = &c->cluster.e[i];
        const struct conf_def *d = broker_row_def(e->name);
        struct conf_row *r = row_add(&l, e->name, d);
        r->read_only = read_only(e->name, d);
        if (!r->sensitive) r->value = e->value;
        synonym_add(&l, r, e->name, e->value, CONF_FROM_DYNAMIC_CLUSTER);
        settle(&l, r);
    }
    return rows_done(&l, out);
}

static bool overridden(const struct conf_kv *kv, int n, struct slice name)
{
    for (int i = 0; i < n; i++)
        if (slice_eq(kv[i].name, name) && kv[i].value.p) return true;
    return false;
}

static void unknown_overrides(struct rows *l, const struct conf_kv *kv, int n, enum conf_source source)
{
    for (int i = 0; i < n; i++) {
        if (row_there(l, kv[i].name)) continue;
        struct conf_row *r = row_add(l, kv[i].name, NULL);
        synonym_add(l, r, kv[i].name, kv[i].value, source);
        settle(l, r);
    }
}

int conf_describe_topic(const struct conf *c, const struct conf_kv *kv, int n, struct arena *a, struct conf_row **out)
{
    struct rows l = { .a = a };
    for (int k = 0; k < TOPIC_COUNT; k++) {
        const struct conf_def *d = conf_def_at(CONF_SCOPE_TOPIC, k);
        bool own = overridden(kv, n, slice_of(d->name));
        if (d->internal && !own) continue;
        struct conf_row *r = row_add(&l, slice_of(d->name), d);
        r->value = topic_value(c, kv, n, (enum topic_key)k, a).text;
        if (own) synonym_add(&l, r, r->name, r->value, CONF_FROM_TOPIC);
        if (d->synonym) broker_level(c, &l, r, slice_of(d->synonym));
        settle(&l, r);
    }
    unknown_overrides(&l, kv, n, CONF_FROM_TOPIC);
    return rows_done(&l, out);
}

int conf_describe_group(const struct conf *c, const struct conf_kv *kv, int n, struct arena *a, struct conf_row **out)
{
    struct rows l = { .a = a };
    for (int k = 0; k < GROUP_COUNT; k++) {
        const struct conf_def *d = conf_def_at(CONF_SCOPE_GROUP, k);
        struct conf_row *r = row_add(&l, slice_of(d->name), d);
        r->value = group_value(c, kv, n, (enum group_key)k, a).text;
        if (overridden(kv, n, r->name)) synonym_add(&l, r, r->name, r->value, CONF_FROM_GROUP);
        if (d->synonym) broker_level(c, &l, r, slice_of(d->synonym));
        else synonym_add(&l, r, r->name, slice_of(d->def), CONF_FROM_DEFAULT);
        settle(&l, r);
    }
    unknown_overrides(&l, kv, n, CONF_FROM_GROUP);
    return rows_done(&l, out);
}

int conf_describe_client_metrics(const struct conf_kv *kv, int n, struct arena *a, struct conf_row **out)
{
    struct rows l = { .a = a };
    for (int k = 0; k < METRICS_COUNT; k++) {
        const struct conf_def *d = conf_def_at(CONF_SCOPE_CLIENT_METRICS, k);
        struct conf_row *r = row_add(&l, slice_of(d->name), d);
        r->value = slice_of(d->def);
        for (int i = 0; i < n; i++)
            if (slice_eq(kv[i].name, r->name) && kv[i].value.p) {
                r->value = kv[i].value;
                synonym_add(&l, r, r->name, r->value, CONF_FROM_CLIENT_METRICS);
            }
        settle(&l, r);
    }
    unknown_overrides(&l, kv, n, CONF_FROM_CLIENT_METRICS);
    return rows_done(&l, out);
}
