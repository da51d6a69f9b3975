/* Committed offsets.
 *
 * A row per group, topic and partition. It comes into being when a commit is staged and is known, that is fetchable, once the commit is
 * durable (load.c sets it from the very record that was written). A fetch that asks for stable offsets waits behind what is on its way
 * (KIP-447) and is told UNSTABLE_OFFSET_COMMIT where a transaction is open.
 *
 * Deletions - OffsetDelete, expiry, deleted topics, deleted groups - are tombstones; the value is there until they are durable. */
#include "group.h"

/* ---- rows -------------------------------------------------------------------------------------------------------------------------- */

static bool topic_eq(const struct map_node *n, const void *key)
{
    return slice_eq(topic_name(container_of(n, struct topic_rows, node)), *(const struct slice *)key);
}

static struct topic_rows *topic_find(const struct group *g, struct slice topic)
{
    struct map_node *n = map_find(&g->topics, hash_slice(topic), topic_eq, &topic);
    return n ? container_of(n, struct topic_rows, node) : NULL;
}

/* The first row of a partition >= the given one. */
static int row_at(const struct topic_rows *t, int32_t partition)
{
    int lo = 0, hi = t->n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (t->rows[mid].partition < partition) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

struct offset_row *offset_find(const struct group *g, struct slice topic, int32_t partition)
{
    struct topic_rows *t = topic_find(g, topic);
    if (!t) return NULL;
    int i = row_at(t, partition);
    return i < t->n && t->rows[i].partition == partition ? &t->rows[i] : NULL;
}

struct offset_row *offset_make(struct group *g, struct slice topic, int32_t partition)
{
    struct topic_rows *t = topic_find(g, topic);
    if (!t) {
        t = mem_zalloc(sizeof *t + topic.n + 1);
        t->name_n = (uint32_t)topic.n;
        memcpy(t->name, topic.p, topic.n);
        map_put(&g->topics, hash_slice(topic), &t->node);
    }
    int i = row_at(t, partition);
    if (i < t->n && t->rows[i].partition == partition) return &t->rows[i];
    if (t->n == t->cap) {
        t->cap = MAX(t->cap * 2, 1);
        t->rows = mem_realloc(t->rows, sizeof *t->rows * (size_t)t->cap);
    }
    memmove(&t->rows[i + 1], &t->rows[i], sizeof *t->rows * (size_t)(t->n - i));
    t->n++;
    t->rows[i] = (struct offset_row){ .partition = partition };
    return &t->rows[i];
}

void offset_set(struct offset_row *r, const struct offset_commit_value *v, int64_t at)
{
    mem_free(r->metadata);
    r->metadata = v->metadata.n ? mem_strdup(v->metadata) : NULL;
    r->metadata_n = (uint32_t)v->metadata.n;
    r->offset = v->offset;
    r->leader_epoch = v->leader_epoch;
    r->commit_ms = v->commit_timestamp;
    r->expire_ms = v->expire_timestamp;
    r->topic_id = v->topic_id;
    r->record_at = at;
    r->known = true;
}

void offset_tidy(struct group *g, struct slice topic, int32_t partition)
{
    struct topic_rows *t = topic_find(g, topic);
    struct offset_row *r = t ? offset_find(g, topic, partition) : NULL;
    if (!r || r->known || r->staged || r->unstable) return;
    assert(!r->metadata);
    int i = (int)(r - t->rows);
    memmove(r, r + 1, sizeof *r * (size_t)(t->n - i - 1));
    if (--t->n > 0) return;
    map_remove(&g->topics, &t->node);
    mem_free(t->rows);
    mem_free(t);
}

void offset_clear(struct group *g, struct slice topic, struct offset_row *r)
{
    mem_free(r->metadata);
    *r = (struct offset_row){ .partition = r->partition, .staged = r->staged, .unstable = r->unstable };
    offset_tidy(g, topic, r->partition);
}

void offsets_forget(struct group *g)
{
    for (struct map_node *n; (n = map_next(&g->topics, NULL));) {
        struct topic_rows *t = container_of(n, struct topic_rows, node);
        for (int i = 0; i < t->n; i++) mem_free(t->rows[i].metadata);
        map_remove(&g->topics, n);
        mem_free(t->rows);
        mem_free(t);
    }
}

/* ---- offsets of open transactions: loaded, waiting for the marker ---------------------------------------------------------------------- */

struct txn_row {
    struct list link;
    struct group *group;
    struct slice topic; /* owned */
    struct offset_row row;
};

static bool txn_eq(const struct map_node *n, const void *key)
{
    return container_of(n, struct txn, node)->producer_id == *(const int64_t *)key;
}

struct txn *txn_find(const struct offsets_part *p, int64_t producer_id)
{
    struct map_node *n = map_find(&p->txns, hash_bytes(&producer_id, sizeof producer_id), txn_eq, &producer_id);
    return n ? container_of(n, struct txn, node) : NULL;
}

static void txn_row_free(struct txn_row *t)
{
    list_remove(&t->link);
    mem_free(t->row.metadata);
    own_free(&t->topic);
    mem_free(t);
}

/* A later value of the same transaction replaces the earlier one. */
void txn_put(struct offsets_part *p, int64_t producer_id, struct group *g, struct slice topic, int32_t partition,
             const struct offset_commit_value *v, int64_t at)
{
    struct txn *t = txn_find(p, producer_id);
    if (!t) {
        t = new (struct txn);
        t->producer_id = producer_id;
        list_init(&t->rows);
        map_put(&p->txns, hash_bytes(&producer_id, sizeof producer_id), &t->node);
    }
    list_each (it, &t->rows) {
        struct txn_row *r = container_of(it, struct txn_row, link);
        if (r->group != g || r->row.partition != partition || !slice_eq(r->topic, topic)) continue;
        offset_set(&r->row, v, at);
        return;
    }
    struct txn_row *r = new (struct txn_row);
    r->group = g;
    r->topic = own(topic);
    r->row.partition = partition;
    offset_set(&r->row, v, at);
    list_push(&t->rows, &r->link);
    offset_make(g, topic, partition)->unstable++;
}

void txn_end(struct offsets_part *p, int64_t producer_id, bool commit)
{
    struct txn *t = txn_find(p, producer_id);
    if (!t) return;
    for (struct list *l; (l = t->rows.next) != &t->rows;) {
        struct txn_row *r = container_of(l, struct txn_row, link);
        struct offset_row *row = offset_find(r->group, r->topic, r->row.partition);
        assert(row && row->unstable > 0);
        row->unstable--;
        /* The newest record wins, wherever its transaction ended: compaction may have kept only one of them. */
        if (commit && (!row->known || r->row.record_at > row->record_at)) {
            mem_free(row->metadata);
            uint32_t staged = row->staged, unstable = row->unstable;
            *row = r->row;
            row->staged = staged;
            row->unstable = unstable;
            r->row.metadata = NULL;
        }
        offset_tidy(r->group, r->topic, r->row.partition);
        txn_row_free(r);
    }
    map_remove(&p->txns, &t->node);
    mem_free(t);
}

void txn_forget(struct offsets_part *p, struct group *g, struct slice topic, int32_t partition)
{
    for (struct map_node *n = map_next(&p->txns, NULL), *next; n; n = next) {
        struct txn *t = container_of(n, struct txn, node);
        next = map_next(&p->txns, n);
        list_each_safe (it, tmp, &t->rows) {
            struct txn_row *r = container_of(it, struct txn_row, link);
            if (g && (r->group != g || r->row.partition != partition || !slice_eq(r->topic, topic))) continue;
            struct offset_row *row = offset_find(r->group, r->topic, r->row.partition);
            assert(row && row->unstable > 0);
            row->unstable--;
            txn_row_free(r);
        }
        if (g) continue; /* its marker is still to come, and finds nothing to do */
        map_remove(&p->txns, n);
        mem_free(t);
    }
}

/* ---- OffsetCommit -------------------------------------------------------------------------------------------------------------------------- */

/* Java counts UTF-16 units. */
static size_t utf16_units(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t b = (uint8_t)s.p[i];
        n += (b & 0xc0) != 0x80; /* not a continuation byte */
        n += b >= 0xf0;
    }
    return n;
}

static int topic_resolve(struct groups *gs, struct group_call *c, const struct offset_commit_request_topic *in,
                         struct slice *name)
{
    *name = in->name;
    if (c->version >= 10) return gs->host.topic_name(gs->host.arg, in->topic_id, c->arena, name) ? 0 : E_UNKNOWN_TOPIC_ID;
    return gs->host.topic_exists(gs->host.arg, in->name) ? 0 : E_UNKNOWN_TOPIC_OR_PARTITION;
}

/* Shapes the answer: every row as asked, with its own error, 0 where the coordinator decides. How many of those. */
static int commit_rows(struct groups *gs, struct group_call *c, struct slice *names)
{
    const struct offset_commit_request *in = c->in;
    struct offset_commit_response *out = c->out;
    int n = 0;
    out->topics_n = MAX(in->topics_n, 0);
    out->topics = wire_array(c->arena, offset_commit_response_topic, out->topics_n);
    for (int32_t i = 0; i < out->topics_n; i++) {
        const struct offset_commit_request_topic *t = &in->topics[i];
        struct offset_commit_response_topic *o = &out->topics[i];
        int err = topic_resolve(gs, c, t, &names[i]);
        int32_t partitions = !err && gs->host.topic_partitions ? gs->host.topic_partitions(gs->host.arg, names[i]) : INT32_MAX;
        o->name = t->name;
        o->topic_id = t->topic_id;
        o->partitions_n = MAX(t->partitions_n, 0);
        o->partitions = wire_array(c->arena, offset_commit_response_partition, o->partitions_n);
        for (int32_t k = 0; k < o->partitions_n; k++) {
            int32_t index = t->partitions[k].partition_index;
            int e = err ? err : index < 0 || index >= partitions ? E_UNKNOWN_TOPIC_OR_PARTITION : 0;
            o->partitions[k].partition_index = index;
            o->partitions[k].error_code = (int16_t)err_kafka(e);
            n += e == 0;
        }
    }
    return n;
}

/* May it commit? A group of a newer kind lets nobody in here, except an administrator while it is empty. */
static int commit_allowed(struct group *g, const struct offset_commit_request *in, int16_t version)
{
    if (!g) return in->generation_id_or_member_epoch < 0 ? 0 : version >= 9 ? E_GROUP_ID_NOT_FOUND : E_ILLEGAL_GENERATION;
    if (g->kind == KIND_CLASSIC) return group_may_commit(g, in);
    if (g->kind == KIND_SHARE) return E_GROUP_ID_NOT_FOUND;
    return in->generation_id_or_member_epoch < 0 && g->modern->members == 0 ? 0 : E_UNKNOWN_MEMBER_ID;
}

/* The first commit of a simple group failed: there is no such group. */
static void commit_done(struct gwrite *w, int err)
{
    if (err) group_tidy(w->group);
}

void offsets_commit(struct groups *gs, struct group *g, struct offsets_part *p, struct group_call *c)
{
    const struct offset_commit_request *in = c->in;
    struct offset_commit_response *out = c->out;
    struct slice *names = arena_array(c->arena, struct slice, MAX(in->topics_n, 1));
    int64_t now = wall_ms(gs);
    size_t metadata_max = (size_t)MAX(conf_i64(gs->conf, CONF_OFFSET_METADATA_MAX_BYTES), 0);
    int err;

    if (commit_rows(gs, c, names) == 0) {
        call_answer(c);
        return;
    }
    if ((err = commit_allowed(g, in, c->version))) {
        call_error(c, err);
        return;
    }
    if (!g) g = group_new(gs, p, in->group_id); /* a simple group: offsets, no members */
    struct gwrite *w = gwrite_new(p, g);
    for (int32_t i = 0; i < out->topics_n; i++) {
        struct offset_commit_value v = dflt_offset_commit_value;
        v.topic_id = in->topics[i].topic_id;
        if (c->version < 10) (void)gs->host.topic_id(gs->host.arg, names[i], &v.topic_id);
        for (int32_t k = 0; k < out->topics[i].partitions_n; k++) {
            const struct offset_commit_request_partition *r = &in->topics[i].partitions[k];
            int16_t *code = &out->topics[i].partitions[k].error_code;
            if (*code) continue;
            if (r->committed_metadata.n > metadata_max && utf16_units(r->committed_metadata) > metadata_max) {
                *code = KAFKA_OFFSET_METADATA_TOO_LARGE;
                continue;
            }
            v.offset = r->committed_offset;
            v.leader_epoch = r->committed_leader_epoch;
            v.metadata = r->committed_metadata.p ? r->committed_metadata : S("");
            v.commit_timestamp = now;
            v.expire_timestamp = in->retention_time_ms == -1 ? -1 : now + in->retention_time_ms;
            grecord_offset(w, g, names[i], r->partition_index, &v);
        }
    }
    if (gwrite_count(w) == 0 && !w->err) {
        gwrite_drop(w);
        group_tidy(g);
        call_answer(c);
        return;
    }
    w->after = commit_done;
    list_push(&w->calls, &c->link);
    gwrite_send(w);
}

/* ---- OffsetFetch ------------------------------------------------------------------------------------------------------------------------------ */

static void fetch_row(struct group_call *c, const struct offset_row *r, struct uuid asked,
                      struct offset_fetch_response_partitions *o)
{
    o->committed_offset = -1;
    if (!r) return;
    if (c->require_stable && r->unstable) {
        o->error_code = KAFKA_UNSTABLE_OFFSET_COMMIT;
        return;
    }
    if (!r->known) return;
    /* Committed for a topic of that name which is gone: not of this one. */
    if (!uuid_is_zero(asked) && !uuid_is_zero(r->topic_id) && !uuid_eq(asked, r->topic_id)) return;
    o->committed_offset = r->offset;
    o->committed_leader_epoch = r->leader_epoch;
    o->metadata = arena_copy(c->arena, (struct slice){ r->metadata ? r->metadata : "", r->metadata_n });
}

static void fetch_all(struct groups *gs, const struct group *g, struct group_call *c)
{
    struct offset_fetch_response_group *out = c->out;
    out->topics = wire_array(c->arena, offset_fetch_response_topics, (int)g->topics.n);
    for (struct map_node *n = NULL; (n = map_next(&g->topics, n));) {
        const struct topic_rows *t = container_of(n, struct topic_rows, node);
        struct offset_fetch_response_topics *o = &out->topics[out->topics_n];
        if (c->version >= 10 && !gs->host.topic_id(gs->host.arg, topic_name(t), &o->topic_id)) continue; /* it cannot be named */
        o->partitions = wire_array(c->arena, offset_fetch_response_partitions, t->n);
        for (int i = 0; i < t->n; i++) {
            if (!t->rows[i].known) continue;
            o->partitions[o->partitions_n].partition_index = t->rows[i].partition;
            fetch_row(c, &t->rows[i], UUID_ZERO, &o->partitions[o->partitions_n++]);
        }
        if (o->partitions_n == 0) continue;
        o->name = arena_copy(c->arena, topic_name(t));
        out->topics_n++;
    }
}

void offsets_fetch(struct groups *gs, struct group *g, struct offsets_part *p, struct group_call *c)
{
    const struct offset_fetch_request_group *in = c->in;
    struct offset_fetch_response_group *out = c->out;

    if (c->require_stable && !list_empty(&p->flight) && !c->priv) {
        c->priv = c; /* it waits once: what comes later need not be seen */
        gwrite_behind(p, c);
        return;
    }
    c->priv = NULL;
    out->topics = NULL;
    out->topics_n = 0;
    /* Members of newer groups are not served here, so none can be right about its epoch. */
    if (g && g->kind != KIND_CLASSIC && in->member_epoch >= 0) {
        call_error(c, g->kind == KIND_SHARE ? E_GROUP_ID_NOT_FOUND : E_UNKNOWN_MEMBER_ID);
        return;
    }
    if (in->topics_n < 0) {
        if (g) fetch_all(gs, g, c);
        call_answer(c);
        return;
    }
    out->topics_n = in->topics_n;
    out->topics = wire_array(c->arena, offset_fetch_response_topics, in->topics_n);
    for (int32_t i = 0; i < in->topics_n; i++) {
        const struct offset_fetch_request_topics *t = &in->topics[i];
        struct offset_fetch_response_topics *o = &out->topics[i];
        struct slice name = t->name;
        bool unknown = c->version >= 10 && !gs->host.topic_name(gs->host.arg, t->topic_id, c->arena, &name);
        o->name = t->name;
        o->topic_id = t->topic_id;
        o->partitions_n = MAX(t->partition_indexes_n, 0);
        o->partitions = wire_array(c->arena, offset_fetch_response_partitions, o->partitions_n);
        const struct topic_rows *rows = g && !unknown ? topic_find(g, name) : NULL;
        for (int32_t k = 0; k < o->partitions_n; k++) {
            int32_t index = t->partition_indexes[k];
            int at = rows ? row_at(rows, index) : 0;
            o->partitions[k].partition_index = index;
            fetch_row(c, rows && at < rows->n && rows->rows[at].partition == index ? &rows->rows[at] : NULL,
                      c->version >= 10 ? t->topic_id : UUID_ZERO, &o->partitions[k]);
            if (unknown) o->partitions[k].error_code = KAFKA_UNKNOWN_TOPIC_ID;
        }
    }
    call_answer(c);
}

/* ---- OffsetDelete -------------------------------------------------------------------------------------------------------------------------------- */

static int delete_allowed(const struct group *g)
{
    if (!g || g->state == STATE_DEAD || g->kind == KIND_SHARE) return E_GROUP_ID_NOT_FOUND;
    bool active = g->kind == KIND_CLASSIC && g->state != STATE_EMPTY;
    return active && !slice_eq(g->protocol_type, S("consumer")) ? E_NON_EMPTY_GROUP : 0;
}

void offsets_delete(struct group *g, struct group_call *c)
{
    const struct offset_delete_request *in = c->in;
    struct offset_delete_response *out = c->out;
    int err = delete_allowed(g);

    if (err) {
        call_error(c, err);
        return;
    }
    struct groups *gs = g->owner;
    struct gwrite *w = gwrite_new(g->part, NULL);
    out->topics_n = MAX(in->topics_n, 0);
    out->topics = wire_array(c->arena, offset_delete_response_topic, out->topics_n);
    for (int32_t i = 0; i < out->topics_n; i++) {
        const struct offset_delete_request_topic *t = &in->topics[i];
        struct offset_delete_response_topic *o = &out->topics[i];
        bool exists = gs->host.topic_exists(gs->host.arg, t->name), subscribed = group_subscribes(g, t->name);
        o->name = t->name;
        o->partitions_n = MAX(t->partitions_n, 0);
        o->partitions = wire_array(c->arena, offset_delete_response_partition, o->partitions_n);
        for (int32_t k = 0; k < o->partitions_n; k++) {
            o->partitions[k].partition_index = t->partitions[k].partition_index;
            struct offset_row *r = offset_find(g, t->name, t->partitions[k].partition_index);
            if (!exists) o->partitions[k].error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            else if (subscribed) o->partitions[k].error_code = KAFKA_GROUP_SUBSCRIBED_TO_TOPIC;
            else if (r) grecord_offset_gone(w, g, t->name, r);
        }
    }
    if (gwrite_count(w) == 0 && !w->err) {
        gwrite_drop(w);
        call_answer(c);
        return;
    }
    list_push(&w->calls, &c->link);
    gwrite_send(w);
}

/* ---- expiry -------------------------------------------------------------------------------------------------------------------------------------------- */

/* From when on the retention of an offset counts. False: nothing of this group expires now. */
static bool retention_base(const struct group *g, const struct offset_row *r, int64_t *base)
{
    *base = r->commit_ms;
    if (g->kind == KIND_SHARE) return false;
    if (g->kind != KIND_CLASSIC) return g->modern->members == 0;
    if (!g->protocol_type.p) return true;
    if (g->state == STATE_EMPTY) {
        if (g->state_ms >= 0) *base = g->state_ms;
        return true;
    }
    return g->state == STATE_STABLE && g->subscribed_known && slice_eq(g->protocol_type, S("consumer"));
}

static bool offset_expired(const struct group *g, const struct offset_row *r, int64_t now, int64_t retention)
{
    int64_t base;
    if (!r->known || r->staged || r->unstable || !retention_base(g, r, &base)) return false;
    return r->expire_ms >= 0 ? now >= r->expire_ms : now - base >= retention;
}

/* Nobody is in it, nobody is about to come, nothing of it is on its way. */
static bool group_over(const struct group *g)
{
    if (g->busy || g->writes || g->pending.n) return false;
    if (g->kind == KIND_CLASSIC) return g->state == STATE_EMPTY;
    return g->kind != KIND_SHARE && g->modern->members == 0;
}

/* How many rows stay, and how many are over; with w, these get their tombstones. */
static int64_t expire_rows(struct group *g, struct gwrite *w, int64_t now, int64_t retention, int64_t *over)
{
    int64_t left = 0;
    *over = 0;
    for (struct map_node *n = NULL; (n = map_next(&g->topics, n));) {
        struct topic_rows *t = container_of(n, struct topic_rows, node);
        bool subscribed = group_subscribes(g, topic_name(t));
        for (int i = 0; i < t->n; i++) {
            bool gone = !subscribed && offset_expired(g, &t->rows[i], now, retention);
            left += !gone;
            *over += gone;
            if (gone && w) grecord_offset_gone(w, g, topic_name(t), &t->rows[i]);
        }
    }
    return left;
}

void offsets_expire(struct offsets_part *p)
{
    struct groups *gs = p->owner;
    int64_t now = wall_ms(gs), retention = conf_i64(gs->conf, CONF_OFFSETS_RETENTION_MINUTES) * 60000, total = 0, over;
    struct gwrite *w = gwrite_new(p, NULL);

    list_each_safe (it, tmp, &p->groups) {
        struct group *g = container_of(it, struct group, link);
        if (g->busy) continue;
        int64_t left = expire_rows(g, NULL, now, retention, &over);
        total += over;
        if (left == 0 && group_over(g)) {
            group_delete(g, NULL); /* with its offsets */
        } else if (over) {
            (void)expire_rows(g, w, now, retention, &over);
            w = gwrite_next(w);
        }
    }
    if (gwrite_count(w)) gwrite_send(w);
    else gwrite_drop(w);
    if (total) log_info("group", "offsets expired", KV_I64("partition", p->index), KV_I64("offsets", total));
}

void offsets_topic_gone(struct offsets_part *p, struct slice topic)
{
    struct groups *gs = p->owner;
    struct gwrite *w = gwrite_new(p, NULL);
    struct uuid now = UUID_ZERO;
    bool again = gs->host.topic_id(gs->host.arg, topic, &now); /* a new one of that name is there already */

    list_each (it, &p->groups) {
        struct group *g = container_of(it, struct group, link);
        struct topic_rows *t = topic_find(g, topic);
        for (int i = 0; t && !g->busy && i < t->n; i++)
            if (!again || !uuid_eq(t->rows[i].topic_id, now)) grecord_offset_gone(w, g, topic, &t->rows[i]);
        w = gwrite_next(w);
    }
    if (gwrite_count(w)) gwrite_send(w);
    else gwrite_drop(w);
}
