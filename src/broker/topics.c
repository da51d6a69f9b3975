/* See topics.h. Names collide in Kafka when they differ only by '.' and '_' (metrics names are made of them): the second is refused. */
#include "topics.h"
#include "shard.h"

enum { TOPIC_NAME_MAX = 249 };

int topic_name_check(struct slice name, struct arena *a, struct slice *message)
{
    *message = (struct slice){ 0 };
    if (name.n == 0) {
        *message = S("Topic name is invalid: the empty string is not allowed");
    } else if (slice_eq(name, S(".")) || slice_eq(name, S(".."))) {
        *message = arena_printf(a, "Topic name is invalid: '" S_FMT "' is not allowed", S_ARG(name));
    } else if (name.n > TOPIC_NAME_MAX) {
        *message = arena_printf(a, "Topic name is invalid: the length of '" S_FMT "' is longer than the max allowed length %d",
                                S_ARG(name), TOPIC_NAME_MAX);
    } else {
        for (size_t i = 0; i < name.n; i++) {
            char c = name.p[i];
            if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')
                continue;
            *message = arena_printf(a,
                                    "Topic name is invalid: '" S_FMT
                                    "' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
                                    S_ARG(name));
            break;
        }
    }
    return message->p ? E_INVALID_TOPIC_EXCEPTION : 0;
}

int topic_partition(const struct image_topic *t, int32_t index, const struct image_partition **p)
{
    if (!t || index < 0 || index >= t->partitions_n) return E_UNKNOWN_TOPIC_OR_PARTITION;
    *p = &t->partitions[index];
    if ((*p)->log) return 0;
    return (*p)->log_err ? (*p)->log_err : E_KAFKA_STORAGE_ERROR;
}

int partition_epoch_check(const struct image_partition *p, int32_t asked)
{
    if (asked >= 0 && asked < p->leader_epoch) return E_FENCED_LEADER_EPOCH;
    return asked > p->leader_epoch ? E_UNKNOWN_LEADER_EPOCH : 0;
}

bool topic_name_is_internal(struct slice name)
{
    return slice_eq(name, S("__consumer_offsets")) || slice_eq(name, S("__transaction_state")) ||
           slice_eq(name, S("__share_group_state"));
}

static bool name_row_eq(const struct map_node *n, const void *key)
{
    return slice_eq(container_of(n, struct name_row, node)->name, *(const struct slice *)key);
}

struct name_row *names_rows(struct arena *a, const struct slice *names, int n)
{
    struct name_row *v = arena_array(a, struct name_row, n);
    struct map seen = { 0 };
    for (int i = 0; i < n; i++) {
        uint64_t hash = hash_slice(names[i]);
        struct map_node *before = map_find(&seen, hash, name_row_eq, &names[i]);
        v[i].name = names[i];
        v[i].first = before ? container_of(before, struct name_row, node)->first : i;
        if (before) v[v[i].first].twice = true;
        else map_put(&seen, hash, &v[i].node);
    }
    map_free(&seen);
    return v;
}

/* K9: internal topics carry the configs that Kafka gives them. */
static struct uuid create_one(struct meta_edit *e, const struct conf *conf, struct slice name)
{
    struct arena *a = edit_arena(e);
    if (slice_eq(name, S("__consumer_offsets"))) {
        const struct image_config kv[] = {
            { S("cleanup.policy"), S("compact") },
            { S("compression.type"), S("producer") },
            { S("segment.bytes"),
              arena_printf(a, "%lld", (long long)conf_segment_bytes(conf, CONF_OFFSETS_TOPIC_SEGMENT_BYTES)) },
        };
        return edit_create_topic(e, name, (int32_t)conf_i64(conf, CONF_OFFSETS_TOPIC_NUM_PARTITIONS), kv, ARRAY_LEN(kv));
    }
    if (slice_eq(name, S("__transaction_state"))) {
        const struct image_config kv[] = {
            { S("cleanup.policy"), S("compact") },
            { S("compression.type"), S("uncompressed") },
            { S("min.insync.replicas"), S("1") },
            { S("segment.bytes"),
              arena_printf(a, "%lld", (long long)conf_segment_bytes(conf, CONF_TRANSACTION_STATE_LOG_SEGMENT_BYTES)) },
            { S("unclean.leader.election.enable"), S("false") },
        };
        return edit_create_topic(e, name, (int32_t)conf_i64(conf, CONF_TRANSACTION_STATE_LOG_NUM_PARTITIONS), kv, ARRAY_LEN(kv));
    }
    return edit_create_topic(e, name, (int32_t)conf_i64(conf, CONF_NUM_PARTITIONS), NULL, 0);
}

/* ---- settings, told once ---- */

static bool described_eq(const struct map_node *n, const void *key)
{
    const struct described *d = container_of(n, struct described, node), *want = key;
    if (d->overrides_n != want->overrides_n) return false;
    for (int i = 0; i < d->overrides_n; i++)
        if (!slice_eq(d->overrides[i].name, want->overrides[i].name) ||
            !slice_eq(d->overrides[i].value, want->overrides[i].value))
            return false;
    return true;
}

struct described *described_get(struct described_cache *c, const struct image_config *overrides, int n)
{
    struct described key = { .overrides = overrides, .overrides_n = n };
    uint64_t hash = 1;
    for (int i = 0; i < n; i++) hash = hash * 31 + (hash_slice(overrides[i].name) ^ hash_slice(overrides[i].value) * 17);
    struct map_node *found = map_find(&c->map, hash, described_eq, &key);
    if (found) return container_of(found, struct described, node);
    struct described *d = arena_new(c->a, struct described);
    d->overrides = overrides;
    d->overrides_n = n;
    d->rows_n = -1;
    map_put(&c->map, hash, &d->node);
    return d;
}

void described_free(struct described_cache *c) { map_free(&c->map); }

/* The name as metrics see it. */
static bool names_collide(struct slice a, struct slice b)
{
    if (a.n != b.n || slice_eq(a, b)) return false;
    for (size_t i = 0; i < a.n; i++) {
        char x = a.p[i] == '.' ? '_' : a.p[i], y = b.p[i] == '.' ? '_' : b.p[i];
        if (x != y) return false;
    }
    return true;
}

struct flat_name {
    struct map_node node;
    const struct image_topic *topic;
};

static bool may_collide(struct slice name)
{
    return name.n <= TOPIC_NAME_MAX && (memchr(name.p, '.', name.n) || memchr(name.p, '_', name.n));
}

static uint64_t flat_hash(struct slice name)
{
    char flat[TOPIC_NAME_MAX];
    for (size_t i = 0; i < name.n; i++) flat[i] = name.p[i] == '.' ? '_' : name.p[i];
    return hash_slice((struct slice){ flat, name.n });
}

static bool flat_eq(const struct map_node *n, const void *key)
{
    return names_collide(container_of(n, struct flat_name, node)->topic->name, *(const struct slice *)key);
}

void collisions_begin(struct collisions *c, const struct image *im) { *c = (struct collisions){ .im = im }; }

void collisions_end(struct collisions *c)
{
    map_free(&c->map);
    mem_free(c->flat);
    c->flat = NULL;
}

static void collisions_build(struct collisions *c)
{
    c->flat = mem_alloc(sizeof(*c->flat) * (size_t)MAX(c->im->topics_n, 1));
    for (int i = 0, n = 0; i < c->im->topics_n; i++) {
        const struct image_topic *t = c->im->topics[i];
        if (!may_collide(t->name)) continue;
        c->flat[n].topic = t;
        map_put(&c->map, flat_hash(t->name), &c->flat[n++].node);
    }
}

const struct image_topic *collisions_find(struct collisions *c, struct slice name)
{
    enum { SCANS = 8 }; /* about what the map costs */
    if (!may_collide(name)) return NULL;
    if (!c->flat && c->asked++ < SCANS) {
        for (int i = 0; i < c->im->topics_n; i++)
            if (names_collide(c->im->topics[i]->name, name)) return c->im->topics[i];
        return NULL;
    }
    if (!c->flat) collisions_build(c);
    struct map_node *n = map_find(&c->map, flat_hash(name), flat_eq, &name);
    return n ? container_of(n, struct flat_name, node)->topic : NULL;
}

static int create_run(struct meta_change *change, struct meta_edit *e)
{
    struct topics_create *tc = container_of(change, struct topics_create, change);
    const struct image *im = edit_image(e);
    const struct name_row *rows = names_rows(edit_arena(e), tc->names, tc->n);
    struct collisions same;
    collisions_begin(&same, im);
    for (int i = 0; i < tc->n; i++) {
        if (rows[i].first != i || tc->errs[i] || image_topic(im, tc->names[i])) continue;
        if (collisions_find(&same, tc->names[i])) tc->errs[i] = E_INVALID_TOPIC_EXCEPTION;
        else create_one(e, im->conf, tc->names[i]);
    }
    collisions_end(&same);
    return 0;
}

bool topics_missing(const struct image *im, const struct slice *names, int n)
{
    for (int i = 0; i < n; i++)
        if (!image_topic(im, names[i])) return true;
    return false;
}

void topics_create(struct req *rq, struct topics_create *tc)
{
    tc->errs = arena_array(&rq->arena, int, tc->n);
    tc->change.run = create_run;
    tc->change.home = req_home(rq);
    tc->change.who = req_ticket(rq);
    meta_submit(rq->shard->broker->meta, &tc->change);
}
