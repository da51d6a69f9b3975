/* Records in: at start all of a partition's log, and in the run the offsets of every batch that became durable.
 *
 * Values of batches with a producer id belong to a transaction and wait for its marker. Records of newer kinds of groups are not
 * interpreted; which of their keys have a value is remembered, so that such a group is not taken for a classic one and can be deleted.
 * What cannot be read is skipped: a damaged record must not cost the others. */
#include "group.h"

enum {
    KEY_OFFSET_OLD = 0,
    KEY_OFFSET = 1,
    KEY_GROUP = 2,
    KEY_CONSUMER_GROUP = 3,
    KEY_CONSUMER_MEMBER = 5,
    KEY_CONSUMER_ASSIGNED = 6,
    KEY_SHARE_MEMBER = 10,
    KEY_SHARE_GROUP = 11,
    KEY_CONSUMER_REGEX = 16,
    KEY_STREAMS_GROUP = 17,
    KEY_STREAMS_MEMBER = 19,
    KEY_LAST = 23,
};

/* In front of a value stands its version. */
static int value_read(const struct wire_msg *m, struct slice in, struct arena *a, void *out)
{
    if (in.n < 2) return E_TRUNCATED;
    return wire_decode(m, (int16_t)be16(in.p), (struct slice){ in.p + 2, in.n - 2 }, a, out, NULL);
}

static struct group *group_get(struct offsets_part *p, struct slice id)
{
    struct group *g = groups_find(p->owner, id);
    return g ? g : group_new(p->owner, p, id);
}

/* ---- offsets ------------------------------------------------------------------------------------------------------------------- */

static int offset_value_read(int16_t type, struct slice in, struct arena *a, struct offset_commit_value *v)
{
    struct legacy_offset_commit_value old;
    if (type == KEY_OFFSET) return value_read(&msg_offset_commit_value, in, a, v);
    if (in.n >= 2 && be16(in.p) != 0) return value_read(&msg_offset_commit_value, in, a, v);
    int rc = value_read(&msg_legacy_offset_commit_value, in, a, &old);
    *v = dflt_offset_commit_value;
    if (rc) return rc;
    v->offset = old.offset;
    v->metadata = old.metadata;
    v->commit_timestamp = old.commit_timestamp;
    return 0;
}

static int load_offset(struct offsets_part *p, const struct batch_head *h, const struct record *r, int16_t type,
                       struct slice body)
{
    struct offset_commit_key k;
    struct offset_commit_value v;
    struct arena *a = &p->owner->scratch;
    int rc = wire_decode(&msg_offset_commit_key, 0, body, a, &k, NULL); /* types 0 and 1 have one form */
    if (rc) return rc;
    if (!r->value.p) {
        struct group *g = groups_find(p->owner, k.group);
        struct offset_row *row = g ? offset_find(g, k.topic, k.partition) : NULL;
        if (!row) return 0;
        if (row->unstable) txn_forget(p, g, k.topic, k.partition);
        row = offset_find(g, k.topic, k.partition);
        if (row) offset_clear(g, k.topic, row);
        return 0;
    }
    if ((rc = offset_value_read(type, r->value, a, &v))) return rc;
    struct group *g = group_get(p, k.group);
    if (h->producer_id != NO_PRODUCER_ID) txn_put(p, h->producer_id, g, k.topic, k.partition, &v, r->offset);
    else offset_set(offset_make(g, k.topic, k.partition), &v, r->offset);
    return 0;
}

void load_offsets(struct offsets_part *p, const struct bytes *batch, bool durable)
{
    struct groups *gs = p->owner;
    struct record_iter it;
    struct record r;
    if (batch->n == 0) return;
    int rc = record_iter_init(&it, batch->p, batch->n, &gs->inflate, 0);
    assert(rc == 0); /* we wrote it */
    while (record_next(&it, &r) == 1) {
        struct offset_commit_key k;
        struct offset_commit_value v;
        if (be16(r.key.p) != KEY_OFFSET) continue;
        rc = wire_decode(&msg_offset_commit_key, 0, (struct slice){ r.key.p + 2, r.key.n - 2 }, &gs->scratch, &k, NULL);
        assert(rc == 0);
        struct group *g = groups_find(gs, k.group);
        struct offset_row *row = g ? offset_find(g, k.topic, k.partition) : NULL;
        assert(row && row->staged > 0);
        row->staged--;
        if (durable && !r.value.p) {
            if (row->unstable) txn_forget(p, g, k.topic, k.partition);
            row = offset_find(g, k.topic, k.partition);
            if (row) offset_clear(g, k.topic, row);
        } else if (durable) {
            rc = value_read(&msg_offset_commit_value, r.value, &gs->scratch, &v);
            assert(rc == 0);
            offset_set(row, &v, INT64_MAX);
        } else {
            offset_tidy(g, k.topic, k.partition);
        }
        arena_free(&gs->scratch);
    }
    record_iter_end(&it);
}

/* ---- classic groups ------------------------------------------------------------------------------------------------------------------ */

static void load_members(struct group *g, const struct group_metadata_value *v)
{
    for (int32_t i = 0; i < v->members_n; i++) {
        const struct group_metadata_value_member_metadata *in = &v->members[i];
        const struct join_group_request_protocol only = { .name = v->protocol, .metadata = in->subscription };
        if (member_find(g, in->member_id) || member_by_instance(g, in->group_instance_id))
            continue; /* no log of Kafka's has that */
        struct member *m = member_new(g, in->member_id, in->group_instance_id, in->client_id, in->client_host);
        m->rebalance_ms = in->rebalance_timeout < 0 ? in->session_timeout : in->rebalance_timeout;
        m->session_ms = in->session_timeout;
        own_free(&m->assignment);
        m->assignment = own(in->assignment.p ? in->assignment : S(""));
        m->protocols = protocols_own(&only, 1);
        member_add(g, m, v->protocol_type);
        if (v->leader.p && slice_eq(m->id, v->leader)) g->leader = m;
    }
}

static int load_group(struct offsets_part *p, const struct record *r, struct slice body)
{
    struct group_metadata_key k;
    struct group_metadata_value v;
    struct arena *a = &p->owner->scratch;
    int rc = wire_decode(&msg_group_metadata_key, 0, body, a, &k, NULL);
    if (!rc && r->value.p) rc = value_read(&msg_group_metadata_value, r->value, a, &v);
    if (rc) return rc;

    struct group *g = r->value.p ? group_get(p, k.group) : groups_find(p->owner, k.group);
    if (!g) return 0;
    if (!r->value.p && g->kind != KIND_CLASSIC) return 0;
    group_kind_set(g, KIND_CLASSIC); /* empties it */
    if (!r->value.p) return 0;
    g->recorded = true;
    g->generation = v.generation;
    g->protocol = own(v.protocol);
    if (v.protocol_type.n) g->protocol_type = own(v.protocol_type);
    load_members(g, &v);
    group_enter(g, g->members_n ? STATE_STABLE : STATE_EMPTY);
    g->state_ms = v.current_state_timestamp;
    group_subscriptions(g);
    return 0;
}

/* ---- newer kinds ------------------------------------------------------------------------------------------------------------------------ */

static bool live_key_eq(const struct map_node *n, const void *key)
{
    const struct live_key *k = container_of(n, struct live_key, node);
    return slice_eq((struct slice){ (const char *)k->key, k->n }, *(const struct slice *)key);
}

static enum group_kind kind_of_key(int16_t type)
{
    if (type >= KEY_STREAMS_GROUP) return KIND_STREAMS;
    return type >= KEY_SHARE_MEMBER && type != KEY_CONSUMER_REGEX ? KIND_SHARE : KIND_CONSUMER;
}

static void load_epochs(struct groups *gs, struct modern *m, int16_t type, struct slice value)
{
    struct consumer_group_metadata_value group;
    struct consumer_group_target_assignment_metadata_value assigned;
    if (type == KEY_CONSUMER_GROUP && !value_read(&msg_consumer_group_metadata_value, value, &gs->scratch, &group))
        m->epoch = group.epoch;
    if (type == KEY_CONSUMER_ASSIGNED &&
        !value_read(&msg_consumer_group_target_assignment_metadata_value, value, &gs->scratch, &assigned))
        m->assigned_epoch = assigned.assignment_epoch;
}

static int load_modern(struct offsets_part *p, const struct record *r, int16_t type, struct slice body)
{
    enum group_kind kind = kind_of_key(type);
    bool is_group = type == KEY_CONSUMER_GROUP || type == KEY_SHARE_GROUP || type == KEY_STREAMS_GROUP;
    bool is_member = type == KEY_CONSUMER_MEMBER || type == KEY_SHARE_MEMBER || type == KEY_STREAMS_MEMBER;
    struct rd rd = rd_of(body);
    struct slice id = rd_string(&rd);
    if (rd.err || !id.p) return E_MALFORMED;

    struct group *g = r->value.p ? group_get(p, id) : groups_find(p->owner, id);
    if (!g) return 0;
    if (r->value.p) group_kind_set(g, kind);
    if (g->kind != kind) return 0;
    struct map_node *n = map_find(&g->modern->keys, hash_slice(r->key), live_key_eq, &r->key);
    if (r->value.p) {
        load_epochs(p->owner, g->modern, type, r->value);
        if (n) return 0;
        struct live_key *k = mem_alloc(sizeof *k + r->key.n);
        k->n = (uint32_t)r->key.n;
        memcpy(k->key, r->key.p, r->key.n);
        map_put(&g->modern->keys, hash_slice(r->key), &k->node);
        g->modern->members += is_member;
        return 0;
    }
    if (n) {
        map_remove(&g->modern->keys, n);
        mem_free(container_of(n, struct live_key, node));
        g->modern->members -= is_member;
    }
    if (is_group || g->modern->keys.n == 0) group_kind_set(g, KIND_CLASSIC); /* what is left, if anything, are offsets */
    return 0;
}

/* ---- a partition ------------------------------------------------------------------------------------------------------------------------------ */

static int load_record(struct offsets_part *p, const struct batch_head *h, const struct record *r)
{
    if (!r->key.p || r->key.n < 2) return E_MALFORMED;
    int16_t type = (int16_t)be16(r->key.p);
    struct slice body = { r->key.p + 2, r->key.n - 2 };
    if (type == KEY_OFFSET_OLD || type == KEY_OFFSET) return load_offset(p, h, r, type, body);
    if (type == KEY_GROUP) return load_group(p, r, body);
    if (type >= KEY_CONSUMER_GROUP && type <= KEY_LAST) return load_modern(p, r, type, body);
    log_debug("group", "record of an unknown kind", KV_I64("partition", p->index), KV_I64("offset", r->offset),
              KV_I64("kind", type));
    return 0;
}

void groups_load_begin(struct groups *gs, int32_t partition)
{
    assert(loop_here(gs->home) && partition >= 0 && partition < gs->parts_n && !gs->stopped);
    struct offsets_part *p = &gs->parts[partition];
    assert(list_empty(&p->groups) && list_empty(&p->flight));
    p->loading = true;
}

int groups_load_batch(struct groups *gs, int32_t partition, const void *batch, size_t n)
{
    assert(loop_here(gs->home) && partition >= 0 && partition < gs->parts_n);
    struct offsets_part *p = &gs->parts[partition];
    struct record_iter it;
    struct record r;
    if (gs->stopped) return 0;
    assert(p->loading);
    int rc = record_iter_init(&it, batch, n, &gs->inflate, 0), first = rc;
    while (!rc && (rc = record_next(&it, &r)) == 1) {
        rc = 0;
        if (batch_is_control(&it.head)) {
            int type = control_type_of(&r);
            if (type == CONTROL_COMMIT || type == CONTROL_ABORT) txn_end(p, it.head.producer_id, type == CONTROL_COMMIT);
            continue;
        }
        int bad = load_record(p, &it.head, &r);
        arena_free(&gs->scratch);
        if (!bad) continue;
        log_warn("group", "record cannot be read", KV_I64("partition", partition), KV_I64("offset", r.offset), KV_ERR(bad));
        if (!first) first = bad;
    }
    record_iter_end(&it);
    return first ? first : MIN(rc, 0);
}

void groups_load_end(struct groups *gs, int32_t partition)
{
    assert(loop_here(gs->home) && partition >= 0 && partition < gs->parts_n);
    struct offsets_part *p = &gs->parts[partition];
    int32_t n = 0;
    if (gs->stopped || !p->loading) return;
    p->loading = false;
    list_each_safe (it, tmp, &p->groups) {
        struct group *g = container_of(it, struct group, link);
        if (g->kind == KIND_CLASSIC) group_loaded(g);
        group_tidy(g);
    }
    list_each (it, &p->groups) n++;
    for (size_t at = 0; at < p->gone.n; at += strlen((char *)p->gone.p + at) + 1)
        offsets_topic_gone(p, slice_of((char *)p->gone.p + at));
    bytes_free(&p->gone);
    log_info("group", "loaded", KV_I64("partition", partition), KV_I64("groups", n));
}
