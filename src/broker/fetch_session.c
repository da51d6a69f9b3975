/* See fetch_session.h. A client with session id and epoch says only what changed; the table is bounded by max.incremental.fetch.session.cache.slots:
 * when full, the session unused for longest gives way if it was idle for two minutes (KIP-227's eviction), else the newcomer gets none. */
#include "fetch_session.h"
#include "shard.h"

enum {
    SESSION_EVICT_US = 120 * 1000 * 1000,
    PARTITIONS_MAX = 1000 * 1000,
    FEW = 8, /* so many partitions of a passing session are found by looking at each */
};

struct fetch_sessions {
    struct shard *shard;
    int slots;
    struct map by_id;
    struct list recent;
};

struct partition_key {
    struct slice topic;
    struct uuid id;
    int32_t partition;
};

static uint64_t key_hash(const struct partition_key *k)
{
    uint64_t h = uuid_is_zero(k->id) ? hash_slice(k->topic) : hash_bytes(k->id.b, sizeof k->id.b);
    return h ^ ((uint64_t)(uint32_t)k->partition * 0x9E3779B97F4A7C15u);
}

static bool key_eq(const struct map_node *n, const void *key)
{
    const struct session_partition *p = container_of(n, struct session_partition, node);
    const struct partition_key *k = key;
    if (p->partition != k->partition) return false;
    return uuid_is_zero(k->id) ? slice_eq(p->topic, k->topic) : uuid_eq(p->topic_id, k->id);
}

static bool id_eq(const struct map_node *n, const void *key)
{
    return container_of(n, struct fetch_session, node)->id == *(const int32_t *)key;
}
static uint64_t id_hash(int32_t id) { return hash_bytes(&id, sizeof id); }

struct fetch_sessions *fetch_sessions_new(struct shard *s, int slots)
{
    struct fetch_sessions *t = new (struct fetch_sessions);
    t->shard = s;
    t->slots = slots;
    list_init(&t->recent);
    return t;
}

static struct session_partition *partition_find(const struct fetch_session *s, const struct partition_key *key)
{
    if (!s->passing || s->n > FEW) {
        struct map_node *n = map_find(&s->partitions, key_hash(key), key_eq, key);
        return n ? container_of(n, struct session_partition, node) : NULL;
    }
    list_each (l, &s->order) {
        struct session_partition *p = container_of(l, struct session_partition, order);
        if (key_eq(&p->node, key)) return p;
    }
    return NULL;
}

static void partition_note(struct fetch_session *s, struct session_partition *p)
{
    const struct partition_key key = { .topic = p->topic, .id = p->topic_id, .partition = p->partition };
    map_put(&s->partitions, key_hash(&key), &p->node);
}

static struct session_partition *partition_new(struct fetch_session *s, const struct partition_key *key, struct arena *a)
{
    struct session_partition *p = s->passing ? arena_new(a, struct session_partition) : new (struct session_partition);
    p->topic = s->passing || !key->topic.p ? key->topic : (struct slice){ mem_strdup(key->topic), key->topic.n };
    p->topic_id = key->id;
    p->partition = key->partition;
    p->sent_watermark = p->sent_start = -1;
    list_push(&s->order, &p->order);
    s->n++;
    if (!s->passing || s->n > FEW + 1) partition_note(s, p);
    else if (s->n > FEW)
        list_each (l, &s->order) partition_note(s, container_of(l, struct session_partition, order));
    return p;
}

static void partition_free(struct fetch_session *s, struct session_partition *p)
{
    map_remove(&s->partitions, &p->node);
    list_remove(&p->order);
    mem_free((char *)p->topic.p);
    mem_free(p);
    s->n--;
}

static void session_free(struct fetch_sessions *t, struct fetch_session *s)
{
    if (s->id) {
        map_remove(&t->by_id, &s->node);
        list_remove(&s->recent);
    }
    if (!s->passing)
        list_each_safe (l, next, &s->order) partition_free(s, container_of(l, struct session_partition, order));
    map_free(&s->partitions);
    if (!s->passing) mem_free(s);
}

void fetch_sessions_free(struct fetch_sessions **t)
{
    if (!*t) return;
    list_each_safe (l, next, &(*t)->recent) session_free(*t, container_of(l, struct fetch_session, recent));
    map_free(&(*t)->by_id);
    mem_free(*t);
    *t = NULL;
}

static struct fetch_session *session_new(struct fetch_sessions *t, bool keep, bool by_id, int64_t now_us, struct arena *a)
{
    if (keep && t->by_id.n >= (size_t)t->slots) {
        struct fetch_session *oldest = list_empty(&t->recent) ? NULL : container_of(t->recent.next, struct fetch_session, recent);
        if (oldest && !oldest->busy && now_us - oldest->used_us > SESSION_EVICT_US) {
            session_free(t, oldest);
        } else {
            keep = false;
        }
    }
    struct fetch_session *s = keep ? new (struct fetch_session) : arena_new(a, struct fetch_session);
    list_init(&s->order);
    s->passing = !keep;
    s->by_id = by_id;
    s->used_us = s->made_us = now_us;
    if (!keep) return s;
    do {
        s->id = (int32_t)(1 + rnd_below(t->shard->broker->world->rnd, INT32_MAX));
    } while (map_find(&t->by_id, id_hash(s->id), id_eq, &s->id));
    s->epoch = 1;
    map_put(&t->by_id, id_hash(s->id), &s->node);
    list_push(&t->recent, &s->recent);
    return s;
}

static void session_apply(struct fetch_session *s, const struct fetch_request *in, struct arena *a)
{
    for (int i = 0; i < in->topics_n; i++) {
        const struct fetch_request_fetch_topic *ft = &in->topics[i];
        for (int j = 0; j < ft->partitions_n; j++) {
            const struct fetch_request_fetch_partition *fp = &ft->partitions[j];
            struct partition_key key = { .topic = s->by_id ? (struct slice){ 0 } : ft->topic, .partition = fp->partition };
            if (s->by_id) key.id = ft->topic_id;
            struct session_partition *p = partition_find(s, &key);
            if (!p && s->n >= PARTITIONS_MAX) return;
            if (!p) p = partition_new(s, &key, a);
            p->fetch_offset = fp->fetch_offset;
            p->log_start_offset = fp->log_start_offset;
            p->max_bytes = fp->partition_max_bytes;
            p->leader_epoch = fp->current_leader_epoch;
            p->last_fetched_epoch = fp->last_fetched_epoch;
        }
    }
}

static void session_forget(struct fetch_session *s, const struct fetch_request *in)
{
    for (int i = 0; i < in->forgotten_topics_data_n; i++) {
        const struct fetch_request_forgotten_topic *f = &in->forgotten_topics_data[i];
        for (int j = 0; j < f->partitions_n; j++) {
            struct partition_key key = { .topic = s->by_id ? (struct slice){ 0 } : f->topic, .partition = f->partitions[j] };
            if (s->by_id) key.id = f->topic_id;
            struct session_partition *p = partition_find(s, &key);
            if (p) partition_free(s, p);
        }
    }
}

static struct fetch_session *session_find(struct fetch_sessions *t, int32_t id)
{
    struct map_node *n = map_find(&t->by_id, id_hash(id), id_eq, &id);
    return n ? container_of(n, struct fetch_session, node) : NULL;
}

int fetch_session_begin(struct fetch_sessions *t, const struct fetch_request *in, int16_t version, int64_t now_us,
                        struct arena *a, struct fetch_session **out, bool *full)
{
    bool by_id = version >= 13;
    struct fetch_session *s;
    *out = NULL;
    *full = version < 7 || in->session_epoch == -1 || in->session_epoch == 0;
    if (*full) {
        if (version >= 7 && in->session_id != 0) { /* the old session ends, whoever asks */
            s = session_find(t, in->session_id);
            if (s && !s->busy) session_free(t, s);
        }
        s = session_new(t, version >= 7 && in->session_epoch == 0, by_id, now_us, a);
        session_apply(s, in, a);
    } else {
        s = session_find(t, in->session_id);
        if (!s || s->busy) return E_FETCH_SESSION_ID_NOT_FOUND;
        if (s->epoch != in->session_epoch) return E_INVALID_FETCH_SESSION_EPOCH;
        if (s->by_id != by_id) return E_FETCH_SESSION_TOPIC_ID_ERROR; /* K13 */
        session_apply(s, in, a);
        session_forget(s, in);
        s->epoch = s->epoch == INT32_MAX ? 1 : s->epoch + 1;
        s->used_us = now_us;
        list_remove(&s->recent);
        list_push(&t->recent, &s->recent);
        if (s->n == 0) { /* nothing left to fetch: the session is closed, as in Kafka */
            map_remove(&t->by_id, &s->node);
            list_remove(&s->recent);
            s->id = 0;
        }
    }
    s->busy = true;
    *out = s;
    return 0;
}

void fetch_session_end(struct fetch_sessions *t, struct fetch_session **s)
{
    if (!*s) return;
    (*s)->busy = false;
    if ((*s)->id == 0) session_free(t, *s);
    *s = NULL;
}

struct fetch_session *fetch_session_take(struct fetch_sessions *t, int32_t id)
{
    struct fetch_session *s = session_find(t, id);
    if (!s || s->busy) return NULL;
    map_remove(&t->by_id, &s->node);
    list_remove(&s->recent);
    return s;
}

void fetch_session_give(struct fetch_sessions *t, struct fetch_session *s)
{
    bool room = t->by_id.n < (size_t)t->slots && !session_find(t, s->id);
    if (!room) {
        s->id = 0; /* in no table */
        session_free(t, s);
        return;
    }
    map_put(&t->by_id, id_hash(s->id), &s->node);
    list_push(&t->recent, &s->recent);
}
