/* One shard: groups by id, the dispatch of calls, and what concerns all of a group or all groups: listing, deleting, stopping.
 *
 * A group that is being deleted (or turned into a classic one) is `busy` until its tombstones are durable; calls for it wait and find it
 * gone, or back. */
#include "group.h"

#include <strings.h>

enum { EXPIRE_PAUSE_US = 1000 }; /* between the partitions of one round of expiry */

const char *const group_kind_names[KINDS] = { "classic", "consumer", "share", "streams" };

/* ---- small things ------------------------------------------------------------------------------------------------------------ */

int64_t wall_ms(const struct groups *gs) { return gs->world->clock->wall_ms(gs->world->clock); }

struct slice own(struct slice s)
{
    if (!s.p) return s;
    return (struct slice){ mem_strdup(s), s.n };
}

void own_free(struct slice *s)
{
    mem_free((char *)s->p);
    *s = (struct slice){ NULL, 0 };
}

/* Java decodes the id to UTF-16 and hashes the units; what is not UTF-8 counts as U+FFFD. */
int32_t groups_partition_of(struct slice id, int32_t partitions)
{
    uint32_t h = 0;
    for (size_t i = 0; i < id.n;) {
        uint8_t b = (uint8_t)id.p[i++];
        int more = b < 0x80 ? 0 : b >= 0xc2 && b < 0xe0 ? 1 : b >= 0xe0 && b < 0xf0 ? 2 : b >= 0xf0 && b < 0xf5 ? 3 : -1;
        uint32_t c = more < 0 ? 0xfffd : more == 0 ? b : b & (0x3fu >> more);
        for (int k = 0; k < more; k++) {
            uint8_t d = i < id.n ? (uint8_t)id.p[i] : 0;
            uint8_t lo = k == 0 && b == 0xe0 ? 0xa0 : k == 0 && b == 0xf0 ? 0x90 : 0x80;
            uint8_t hi = k == 0 && b == 0xed ? 0x9f : k == 0 && b == 0xf4 ? 0x8f : 0xbf;
            if (d < lo || d > hi) {
                c = 0xfffd;
                break;
            }
            c = c << 6 | (d & 0x3f);
            i++;
        }
        if (c >= 0x10000) {
            h = 31 * h + (0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        h = 31 * h + c;
    }
    return h == 0x80000000u ? 0 : (int32_t)(h & 0x80000000u ? 0u - h : h) % partitions;
}

/* ---- groups ----------------------------------------------------------------------------------------------------------------------- */

static bool group_eq(const struct map_node *n, const void *key)
{
    return slice_eq(group_id(container_of(n, struct group, node)), *(const struct slice *)key);
}

struct group *groups_find(const struct groups *gs, struct slice id)
{
    struct map_node *n = map_find(&gs->by_id, hash_slice(id), group_eq, &id);
    return n ? container_of(n, struct group, node) : NULL;
}

static void on_expiry(struct timer *t);

static void expiry_arm(struct groups *gs, int64_t us)
{
    gs->expiry.fn = on_expiry;
    gs->expiry_armed = true;
    loop_timer(gs->home, &gs->expiry, loop_now_us(gs->home) + us);
}

struct group *group_new(struct groups *gs, struct offsets_part *p, struct slice id)
{
    struct group *g = mem_zalloc(sizeof *g + id.n + 1);
    g->owner = gs;
    g->part = p;
    g->state_ms = wall_ms(gs);
    g->previous = STATE_DEAD;
    g->id_n = (uint32_t)id.n;
    if (id.n) memcpy(g->id, id.p, id.n);
    list_init(&g->members);
    list_init(&g->waiting);
    list_push(&p->groups, &g->link);
    map_put(&gs->by_id, hash_slice(group_id(g)), &g->node);
    if (!gs->expiry_armed) expiry_arm(gs, conf_i64(gs->conf, CONF_OFFSETS_RETENTION_CHECK_INTERVAL_MS) * 1000);
    return g;
}

void modern_free(struct modern **mp)
{
    struct modern *m = *mp;
    *mp = NULL;
    if (!m) return;
    for (struct map_node *n; (n = map_next(&m->keys, NULL));) {
        map_remove(&m->keys, n);
        mem_free(container_of(n, struct live_key, node));
    }
    map_free(&m->keys);
    mem_free(m);
}

static int key_type(const struct map_node *n) { return be16(container_of(n, struct live_key, node)->key); }

/* By falling type, so that the group's own record comes last: Kafka's coordinator does not load a log where a group ends before its members and its
 * assignments. */
void modern_gone(struct gwrite *w, const struct modern *m)
{
    for (int below = UINT16_MAX + 1, type;; below = type) {
        type = -1;
        for (struct map_node *n = NULL; (n = map_next(&m->keys, n));)
            if (key_type(n) < below) type = MAX(type, key_type(n));
        if (type < 0) return;
        for (struct map_node *n = NULL; (n = map_next(&m->keys, n));) {
            const struct live_key *k = container_of(n, struct live_key, node);
            if (key_type(n) == type) grecord_key_gone(w, k->key, k->n);
        }
    }
}

void group_free(struct group *g)
{
    assert(list_empty(&g->waiting));
    loop_timer_stop(g->owner->home, &g->timer);
    group_forget_members(g);
    group_forget_subscriptions(g);
    offsets_forget(g);
    modern_free(&g->modern);
    own_free(&g->protocol_type);
    own_free(&g->protocol);
    map_free(&g->by_id);
    map_free(&g->by_instance);
    map_free(&g->pending);
    map_free(&g->votes);
    map_free(&g->topics);
    list_remove(&g->link);
    map_remove(&g->owner->by_id, &g->node);
    mem_free(g);
}

void group_tidy(struct group *g)
{
    if (g->kind != KIND_CLASSIC || g->state != STATE_EMPTY || g->recorded || g->busy || g->writes) return;
    if (g->topics.n == 0 && g->members_n == 0 && g->pending.n == 0) group_free(g);
}

/* To classic: as if new, with the offsets it has. To a newer kind: unless it is one already. */
void group_kind_set(struct group *g, enum group_kind kind)
{
    if (kind == g->kind && kind != KIND_CLASSIC) return;
    group_forget_members(g);
    group_forget_subscriptions(g);
    modern_free(&g->modern);
    own_free(&g->protocol_type);
    own_free(&g->protocol);
    g->kind = kind;
    if (g->state != STATE_EMPTY) group_enter(g, STATE_EMPTY); /* only while loading */
    g->previous = STATE_DEAD;
    g->generation = 0;
    g->recorded = kind != KIND_CLASSIC;
    if (kind != KIND_CLASSIC) g->modern = new (struct modern);
}

/* ---- answers ------------------------------------------------------------------------------------------------------------------------ */

void call_answer(struct group_call *c) { c->done(c); }

static void commit_error(struct group_call *c, int16_t code)
{
    const struct offset_commit_request *in = c->in;
    struct offset_commit_response *out = c->out;
    bool shaped = out->topics_n > 0;
    if (!shaped) {
        out->topics_n = MAX(in->topics_n, 0);
        out->topics = wire_array(c->arena, offset_commit_response_topic, out->topics_n);
    }
    for (int32_t i = 0; i < out->topics_n; i++) {
        struct offset_commit_response_topic *o = &out->topics[i];
        if (!shaped) {
            o->name = in->topics[i].name;
            o->topic_id = in->topics[i].topic_id;
            o->partitions_n = MAX(in->topics[i].partitions_n, 0);
            o->partitions = wire_array(c->arena, offset_commit_response_partition, o->partitions_n);
        }
        for (int32_t k = 0; k < o->partitions_n; k++) {
            o->partitions[k].partition_index = in->topics[i].partitions[k].partition_index;
            if (o->partitions[k].error_code == 0) o->partitions[k].error_code = code;
        }
    }
}

void call_error(struct group_call *c, int err)
{
    int16_t code = (int16_t)err_kafka(err);
    switch (c->api) {
    case API_JOIN_GROUP: ((struct join_group_response *)c->out)->error_code = code; break;
    case API_SYNC_GROUP: ((struct sync_group_response *)c->out)->error_code = code; break;
    case API_HEARTBEAT:
        /* While loading nothing is known of the member: it is left alone. */
        ((struct heartbeat_response *)c->out)->error_code = err == E_COORDINATOR_LOAD_IN_PROGRESS ? 0 : code;
        break;
    case API_LEAVE_GROUP:
        ((struct leave_group_response *)c->out)->error_code = code;
        ((struct leave_group_response *)c->out)->members_n = 0;
        break;
    case API_OFFSET_COMMIT: commit_error(c, code); break;
    case API_OFFSET_FETCH:
        ((struct offset_fetch_response_group *)c->out)->error_code = code;
        ((struct offset_fetch_response_group *)c->out)->topics_n = 0;
        break;
    case API_OFFSET_DELETE:
        ((struct offset_delete_response *)c->out)->error_code = code;
        ((struct offset_delete_response *)c->out)->topics_n = 0;
        break;
    case API_DESCRIBE_GROUPS:
        ((struct describe_groups_response_described_group *)c->out)->error_code = code;
        ((struct describe_groups_response_described_group *)c->out)->group_id = c->group;
        break;
    case API_DELETE_GROUPS:
        ((struct delete_groups_response_deletable_group_result *)c->out)->error_code = code;
        ((struct delete_groups_response_deletable_group_result *)c->out)->group_id = c->group;
        break;
    case API_LIST_GROUPS: ((struct list_groups_response *)c->out)->error_code = code; break;
    default: assert(!"an API of groups");
    }
    call_answer(c);
}

/* ---- ListGroups ------------------------------------------------------------------------------------------------------------------------ */

static const char *state_name(const struct group *g)
{
    if (g->kind == KIND_CLASSIC) return group_states[g->state].name;
    if (g->modern->members == 0) return "Empty";
    return g->kind == KIND_CONSUMER && g->modern->epoch > g->modern->assigned_epoch ? "Assigning" : "Stable";
}

static struct slice trim(struct slice s)
{
    while (s.n && (uint8_t)s.p[0] <= ' ') s = (struct slice){ s.p + 1, s.n - 1 };
    while (s.n && (uint8_t)s.p[s.n - 1] <= ' ') s.n--;
    return s;
}

static bool among(const char *name, const struct slice *filter, int32_t n, bool trimmed)
{
    if (n <= 0) return true;
    for (int32_t i = 0; i < n; i++) {
        struct slice f = trimmed ? trim(filter[i]) : filter[i];
        if (f.n == strlen(name) && strncasecmp(f.p, name, f.n) == 0) return true;
    }
    return false;
}

static void list_groups(struct groups *gs, struct group_call *c)
{
    const struct list_groups_request *in = c->in;
    struct list_groups_response *out = c->out;
    for (int32_t i = 0; i < gs->parts_n; i++) {
        if (!gs->parts[i].loading) continue;
        call_error(c, E_COORDINATOR_LOAD_IN_PROGRESS);
        return;
    }
    out->groups = wire_array(c->arena, list_groups_response_listed_group, (int)gs->by_id.n);
    for (int32_t i = 0; i < gs->parts_n; i++) {
        list_each (it, &gs->parts[i].groups) {
            const struct group *g = container_of(it, struct group, link);
            const char *kind = group_kind_names[g->kind];
            if (!among(state_name(g), in->states_filter, in->states_filter_n, true)) continue;
            if (!among(kind, in->types_filter, in->types_filter_n, false)) continue;
            struct list_groups_response_listed_group *o = &out->groups[out->groups_n++];
            struct slice type = g->kind == KIND_CLASSIC ? g->protocol_type : slice_of(kind);
            o->group_id = arena_copy(c->arena, group_id(g));
            o->protocol_type = arena_copy(c->arena, type.p ? type : S(""));
            o->group_state = slice_of(state_name(g));
            o->group_type = slice_of(kind);
        }
    }
    call_answer(c);
}

/* ---- DeleteGroups ------------------------------------------------------------------------------------------------------------------------ */

void group_release(struct group *g)
{
    struct groups *gs = g->owner;
    struct list waiting;
    g->busy = false;
    list_take(&waiting, &g->waiting);
    for (struct list *l; (l = list_pop(&waiting));) call_run(gs, container_of(l, struct group_call, link));
}

/* Its tombstones are durable, or not all of them: then what is left stands. */
static void deleted(struct gwrite *w, int err)
{
    struct group *g = w->group;
    struct groups *gs = g->owner;
    struct list waiting;
    if (!err && g->topics.n) {
        /* A batch before the last one failed: an empty group with some offsets, as the log has it. */
        group_kind_set(g, KIND_CLASSIC);
        err = E_NOT_COORDINATOR;
    }
    if (err) {
        for (struct list *l; (l = list_pop(&w->calls));) call_error(container_of(l, struct group_call, link), err);
        group_release(g);
        return;
    }
    log_info("group", "deleted", KV_SLICE("group", group_id(g)));
    list_take(&waiting, &g->waiting);
    group_free(g);
    /* Whoever deleted it is answered before those who waited see that it is gone. */
    for (struct list *l; (l = list_pop(&w->calls));) call_answer(container_of(l, struct group_call, link));
    for (struct list *l; (l = list_pop(&waiting));) call_run(gs, container_of(l, struct group_call, link));
}

/* c NULL: nobody asked, its time is over. */
void group_delete(struct group *g, struct group_call *c)
{
    struct gwrite *w = gwrite_new(g->part, g);
    assert(!g->busy);
    g->busy = true;
    for (struct map_node *n = NULL; (n = map_next(&g->topics, n));) {
        struct topic_rows *t = container_of(n, struct topic_rows, node);
        for (int i = 0; i < t->n; i++) grecord_offset_gone(w, g, topic_name(t), &t->rows[i]);
        w = gwrite_next(w);
    }
    if (g->modern) modern_gone(w, g->modern);
    if (g->kind == KIND_CLASSIC) grecord_group_gone(w, g);
    w->after = deleted;
    if (c) list_push(&w->calls, &c->link);
    gwrite_send(w);
}

static void delete_call(struct group *g, struct group_call *c)
{
    struct delete_groups_response_deletable_group_result *out = c->out;
    int err = 0;
    out->group_id = c->group;
    if (!g || g->kind == KIND_SHARE) err = E_GROUP_ID_NOT_FOUND; /* a share group's state is not all here */
    else if (g->kind == KIND_CLASSIC ? g->state != STATE_EMPTY : g->modern->members > 0) err = E_NON_EMPTY_GROUP;
    if (err) call_error(c, err);
    else group_delete(g, c);
}

/* ---- dispatch ------------------------------------------------------------------------------------------------------------------------------- */

static struct slice call_group(const struct group_call *c)
{
    switch (c->api) {
    case API_JOIN_GROUP: return ((const struct join_group_request *)c->in)->group_id;
    case API_SYNC_GROUP: return ((const struct sync_group_request *)c->in)->group_id;
    case API_HEARTBEAT: return ((const struct heartbeat_request *)c->in)->group_id;
    case API_LEAVE_GROUP: return ((const struct leave_group_request *)c->in)->group_id;
    case API_OFFSET_COMMIT: return ((const struct offset_commit_request *)c->in)->group_id;
    case API_OFFSET_DELETE: return ((const struct offset_delete_request *)c->in)->group_id;
    default: return c->group;
    }
}

void call_run(struct groups *gs, struct group_call *c)
{
    struct slice id = call_group(c);
    struct offsets_part *p = &gs->parts[groups_partition_of(id, gs->parts_n)];
    struct group *g = groups_find(gs, id);

    if (gs->stopped || p->loading) {
        call_error(c, gs->stopped ? E_NOT_COORDINATOR : E_COORDINATOR_LOAD_IN_PROGRESS);
        return;
    }
    if (g && g->busy) {
        list_push(&g->waiting, &c->link);
        return;
    }
    switch (c->api) {
    case API_JOIN_GROUP: group_join(gs, g, p, c); break;
    case API_SYNC_GROUP: group_sync(g, c); break;
    case API_HEARTBEAT: group_heartbeat(g, c); break;
    case API_LEAVE_GROUP: group_leave(g, c); break;
    case API_DESCRIBE_GROUPS: group_describe(g, c); break;
    case API_DELETE_GROUPS: delete_call(g, c); break;
    case API_OFFSET_COMMIT: offsets_commit(gs, g, p, c); break;
    case API_OFFSET_FETCH: offsets_fetch(gs, g, p, c); break;
    case API_OFFSET_DELETE: offsets_delete(g, c); break;
    default: assert(!"an API of groups");
    }
}

/* What is wrong with a call whatever the group. An empty id is an old way to say "none" and still works for offsets. */
static int call_check(struct groups *gs, struct group_call *c)
{
    struct slice id = call_group(c);
    bool named = c->api == API_JOIN_GROUP || c->api == API_SYNC_GROUP || c->api == API_HEARTBEAT || c->api == API_LEAVE_GROUP ||
                 c->api == API_OFFSET_DELETE;
    if (c->api == API_SYNC_GROUP && c->version >= 5) {
        const struct sync_group_request *in = c->in;
        if (!in->protocol_type.p || !in->protocol_name.p) return E_INCONSISTENT_GROUP_PROTOCOL;
    }
    if (gs->stopped) return E_COORDINATOR_NOT_AVAILABLE;
    if (named ? id.n == 0 : !id.p) return E_INVALID_GROUP_ID;
    if (c->api == API_JOIN_GROUP) {
        int32_t ms = ((const struct join_group_request *)c->in)->session_timeout_ms;
        if (ms < conf_i64(gs->conf, CONF_GROUP_MIN_SESSION_TIMEOUT_MS) ||
            ms > conf_i64(gs->conf, CONF_GROUP_MAX_SESSION_TIMEOUT_MS))
            return E_INVALID_SESSION_TIMEOUT;
    }
    return 0;
}

void groups_call(struct groups *gs, struct group_call *c)
{
    assert(loop_here(gs->home));
    c->priv = NULL;
    c->link = (struct list){ NULL, NULL };
    if (c->api == API_LIST_GROUPS) {
        if (gs->stopped) call_error(c, E_COORDINATOR_NOT_AVAILABLE);
        else list_groups(gs, c);
        return;
    }
    int err = call_check(gs, c);
    if (!err) {
        call_run(gs, c);
        return;
    }
    if (c->api == API_JOIN_GROUP)
        ((struct join_group_response *)c->out)->member_id = ((const struct join_group_request *)c->in)->member_id;
    call_error(c, err);
}

/* ---- expiry, deleted topics ------------------------------------------------------------------------------------------------------------------- */

/* A round goes through the partitions one by one, so that other work gets its turn between them. */
static void on_expiry(struct timer *t)
{
    struct groups *gs = container_of(t, struct groups, expiry);
    while (gs->expiry_at < gs->parts_n && list_empty(&gs->parts[gs->expiry_at].groups)) gs->expiry_at++;
    if (gs->expiry_at >= gs->parts_n) {
        gs->expiry_at = 0;
        expiry_arm(gs, conf_i64(gs->conf, CONF_OFFSETS_RETENTION_CHECK_INTERVAL_MS) * 1000);
        return;
    }
    struct offsets_part *p = &gs->parts[gs->expiry_at++];
    if (!p->loading) offsets_expire(p);
    expiry_arm(gs, EXPIRE_PAUSE_US);
}

void groups_topics_deleted(struct groups *gs, const struct slice *names, int n)
{
    assert(loop_here(gs->home));
    for (int32_t i = 0; i < gs->parts_n && !gs->stopped; i++) {
        struct offsets_part *p = &gs->parts[i];
        for (int k = 0; k < n; k++) {
            if (!p->loading) {
                offsets_topic_gone(p, names[k]);
                continue;
            }
            bytes_put(&p->gone, names[k].p, names[k].n); /* when all is loaded */
            bytes_put(&p->gone, "", 1);
        }
    }
}

/* ---- coming and going -------------------------------------------------------------------------------------------------------------------------- */

struct groups *groups_new(struct world *w, struct loop *home, const struct conf *conf, int32_t offsets_partitions,
                          const struct groups_host *host)
{
    struct groups *gs = new (struct groups);
    gs->world = w;
    gs->home = home;
    gs->conf = conf_ref(conf);
    gs->host = *host;
    gs->parts_n = offsets_partitions;
    gs->parts = mem_zalloc(sizeof *gs->parts * (size_t)offsets_partitions);
    for (int32_t i = 0; i < offsets_partitions; i++) {
        gs->parts[i].owner = gs;
        gs->parts[i].index = i;
        list_init(&gs->parts[i].groups);
        list_init(&gs->parts[i].flight);
    }
    arena_init(&gs->scratch);
    return gs;
}

void groups_set_conf(struct groups *gs, const struct conf *conf)
{
    struct conf *old = gs->conf;
    gs->conf = conf_ref(conf);
    conf_unref(&old);
}

/* As Kafka's: what waits hears NOT_COORDINATOR, what comes later COORDINATOR_NOT_AVAILABLE. */
void groups_stop(struct groups *gs)
{
    if (gs->stopped) return;
    gs->stopped = true;
    loop_timer_stop(gs->home, &gs->expiry);
    for (int32_t i = 0; i < gs->parts_n; i++) {
        list_each (it, &gs->parts[i].flight) {
            struct gwrite *w = container_of(it, struct gwrite, link);
            w->after = NULL;
            w->group = NULL;
            for (struct list *l; (l = list_pop(&w->calls));)
                call_error(container_of(l, struct group_call, link), E_NOT_COORDINATOR);
        }
        list_each (it, &gs->parts[i].groups) group_unload(container_of(it, struct group, link), E_NOT_COORDINATOR);
    }
}

void groups_free(struct groups **gp)
{
    struct groups *gs = *gp;
    *gp = NULL;
    if (!gs) return;
    groups_stop(gs);
    for (int32_t i = 0; i < gs->parts_n; i++) {
        struct offsets_part *p = &gs->parts[i];
        gwrite_forget(p);
        txn_forget(p, NULL, S(""), 0);
        map_free(&p->txns);
        for (struct list *l; (l = p->groups.next) != &p->groups;) group_free(container_of(l, struct group, link));
        bytes_free(&p->gone);
    }
    map_free(&gs->by_id);
    mem_free(gs->parts);
    arena_free(&gs->scratch);
    bytes_free(&gs->inflate);
    wire_out_free(&gs->key);
    wire_out_free(&gs->value);
    conf_unref(&gs->conf);
    mem_free(gs);
}
