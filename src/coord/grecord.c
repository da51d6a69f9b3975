/* Records out: keys and values in the versions that Kafka 4.3.1 writes.
 *
 *   offset commit    key 1, value 4 (topic id as a tag); value 1, the only one with a time of expiry, where the client asked for one
 *   classic group    key 2, value 3
 *   tombstones       the key alone
 * In front of a key stands its type, in front of a value its version, both int16. */
#include "group.h"

static void put(struct gwrite *w, const struct wire_msg *km, const void *key, const struct wire_msg *vm, int16_t version,
                const void *value)
{
    struct groups *gs = w->part->owner;
    struct slice v = { NULL, 0 };
    int rc;

    wire_out_reset(&gs->key);
    wire_out_reset(&gs->value);
    wr_i16(&gs->key.b, km->key);
    rc = wire_encode(km, 0, key, &gs->key);
    if (!rc && value) {
        wr_i16(&gs->value.b, version);
        rc = wire_encode(vm, version, value, &gs->value);
        v = (struct slice){ (const char *)gs->value.b.p, gs->value.b.n };
    }
    if (rc) { /* a name of more than 32767 bytes, say: the write fails as a whole */
        if (!w->err) w->err = E_UNKNOWN_SERVER_ERROR;
        return;
    }
    batch_append(&w->b, wall_ms(gs), (struct slice){ (const char *)gs->key.b.p, gs->key.b.n }, v, NULL, 0);
}

void grecord_offset(struct gwrite *w, struct group *g, struct slice topic, int32_t partition, const struct offset_commit_value *v)
{
    const struct offset_commit_key k = { .group = group_id(g), .topic = topic, .partition = partition };
    int32_t before = w->b.count;
    put(w, &msg_offset_commit_key, &k, &msg_offset_commit_value, v->expire_timestamp >= 0 ? 1 : 4, v);
    if (w->b.count > before) offset_make(g, topic, partition)->staged++;
}

void grecord_offset_gone(struct gwrite *w, struct group *g, struct slice topic, struct offset_row *r)
{
    const struct offset_commit_key k = { .group = group_id(g), .topic = topic, .partition = r->partition };
    int32_t before = w->b.count;
    put(w, &msg_offset_commit_key, &k, NULL, 0, NULL);
    if (w->b.count > before) r->staged++;
}

void grecord_group(struct gwrite *w, struct group *g, bool next)
{
    struct arena a;
    const struct group_metadata_key k = { .group = group_id(g) };
    struct group_metadata_value v = dflt_group_metadata_value;
    int32_t n = 0;

    arena_init(&a);
    v.protocol_type = g->protocol_type.p && g->generation > 0 ? g->protocol_type : S("");
    v.generation = g->generation;
    v.protocol = g->protocol;
    v.leader = g->leader && g->generation > 0 ? g->leader->id : (struct slice){ NULL, 0 };
    v.current_state_timestamp = g->state_ms;
    v.members = g->generation > 0 ? wire_array(&a, group_metadata_value_member_metadata, g->members_n) : NULL;
    v.members_n = g->generation > 0 ? g->members_n : 0; /* generation 0: nobody has been admitted yet */
    list_each (it, &g->members) {
        struct member *m = container_of(it, struct member, link);
        if (n == v.members_n) break;
        struct group_metadata_value_member_metadata *o = &v.members[n++];
        struct slice subscription = member_metadata(m, g->protocol), assignment = next ? m->next : m->assignment;
        o->member_id = m->id;
        o->group_instance_id = m->instance;
        o->client_id = m->client_id;
        o->client_host = m->client_host;
        o->rebalance_timeout = m->rebalance_ms;
        o->session_timeout = m->session_ms;
        o->subscription = subscription.p ? subscription : S("");
        o->assignment = assignment.p ? assignment : S("");
    }
    put(w, &msg_group_metadata_key, &k, &msg_group_metadata_value, 3, &v);
    arena_free(&a);
}

void grecord_group_gone(struct gwrite *w, struct group *g)
{
    const struct group_metadata_key k = { .group = group_id(g) };
    put(w, &msg_group_metadata_key, &k, NULL, 0, NULL);
}

void grecord_key_gone(struct gwrite *w, const void *key, size_t n)
{
    batch_append(&w->b, wall_ms(w->part->owner), (struct slice){ key, n }, (struct slice){ NULL, 0 }, NULL, 0);
}
