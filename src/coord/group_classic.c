/* Classic groups: the state machine. The drawing is in README.md; the moves:
 *
 *   Empty, Stable, Completing -> Preparing   rebalance()       somebody joins, leaves, changes or is lost
 *   Preparing -> Completing                  join_complete()   all have joined, or the time is up; a new generation
 *   Preparing -> Empty                       join_complete()   nobody is left; also join_failed(), a new group that cannot be written
 *   Completing -> Stable                     assigned()        the leader's assignment is durable
 *   any -> Dead                              group_unload()    the shard stops
 *
 * One timer per group: the initial delay or the rebalance timeout while preparing, the time for everybody's SyncGroup afterwards. One per
 * member: its session; a heartbeat only moves the deadline, the timer looks again when it fires.
 *
 * What a failed write does: an assignment that cannot be stored sends everybody back to join; a static member's new id that cannot be
 * stored is taken back; a group that became empty stays so in memory, and the log says so with its next record. */
#include "group.h"

const struct group_state_row group_states[STATES] = {
    [STATE_EMPTY] = { "Empty", BIT(STATE_PREPARING) | BIT(STATE_DEAD) },
    [STATE_PREPARING] = { "PreparingRebalance", BIT(STATE_COMPLETING) | BIT(STATE_EMPTY) | BIT(STATE_DEAD) },
    [STATE_COMPLETING] = { "CompletingRebalance", BIT(STATE_STABLE) | BIT(STATE_PREPARING) | BIT(STATE_DEAD) },
    [STATE_STABLE] = { "Stable", BIT(STATE_PREPARING) | BIT(STATE_DEAD) },
    [STATE_DEAD] = { "Dead", 0 },
};

static void rebalance(struct group *g, const char *why, struct slice who);
static void rebalance_or_complete(struct group *g, const char *why, struct slice who);
static void join_complete(struct group *g);

/* Loading sets a state as it was. */
void group_enter(struct group *g, enum group_state s)
{
    assert(g->part->loading || (group_states[g->state].may_become & BIT(s)));
    log_debug("group", "state", KV_SLICE("group", group_id(g)), KV_STR("from", group_states[g->state].name),
              KV_STR("to", group_states[s].name), KV_I64("generation", g->generation));
    g->previous = g->state;
    g->state = s;
    g->state_ms = wall_ms(g->owner);
}

/* ---- answers --------------------------------------------------------------------------------------------------------------- */

static void join_error(struct group_call *c, struct slice member_id, int err)
{
    struct join_group_response *out = c->out;
    out->member_id = arena_copy(c->arena, member_id.p ? member_id : S(""));
    out->error_code = (int16_t)err_kafka(err);
    call_answer(c);
}

static void join_ok(const struct group *g, const struct member *m, struct group_call *c, bool members, struct slice leader,
                    bool skip)
{
    struct join_group_response *out = c->out;
    out->generation_id = g->generation;
    out->protocol_type = arena_copy(c->arena, g->protocol_type);
    out->protocol_name = arena_copy(c->arena, g->protocol);
    out->leader = arena_copy(c->arena, leader);
    out->member_id = arena_copy(c->arena, m->id);
    out->skip_assignment = skip;
    if (members) {
        out->members = wire_array(c->arena, join_group_response_member, g->members_n);
        list_each (it, &g->members) {
            const struct member *o = container_of(it, struct member, link);
            struct join_group_response_member *r = &out->members[out->members_n++];
            struct slice metadata = member_metadata(o, g->protocol);
            r->member_id = arena_copy(c->arena, o->id);
            r->group_instance_id = arena_copy(c->arena, o->instance);
            r->metadata = arena_copy(c->arena, metadata.p ? metadata : S(""));
        }
    }
    call_answer(c);
}

static struct group_call *join_take(struct group *g, struct member *m)
{
    struct group_call *c = m->join;
    m->join = NULL;
    if (c) g->awaiting_join--;
    return c;
}

/* A second JoinGroup of a member that waits takes the place of the first, whose connection is gone or about to go. */
static void join_park(struct group *g, struct member *m, struct group_call *c)
{
    struct group_call *old = join_take(g, m);
    if (old) join_error(old, m->id, E_REBALANCE_IN_PROGRESS);
    m->join = c;
    g->awaiting_join++;
}

static void join_refuse(struct group *g, struct member *m, struct slice member_id, int err)
{
    struct group_call *c = join_take(g, m);
    if (c) join_error(c, member_id, err);
}

static void sync_answer(const struct group *g, const struct member *m, struct group_call *c, int err)
{
    struct sync_group_response *out = c->out;
    out->error_code = (int16_t)err_kafka(err);
    if (!err) {
        out->protocol_type = arena_copy(c->arena, g->protocol_type);
        out->protocol_name = arena_copy(c->arena, g->protocol);
        out->assignment = arena_copy(c->arena, m->assignment);
    }
    call_answer(c);
}

static bool sync_release(const struct group *g, struct member *m, int err)
{
    struct group_call *c = m->sync;
    m->sync = NULL;
    if (c) sync_answer(g, m, c, err);
    return c != NULL;
}

/* ---- timers ------------------------------------------------------------------------------------------------------------------- */

static int64_t after_ms(const struct group *g, int64_t ms) { return loop_now_us(g->owner->home) + MAX(ms, 0) * 1000; }

static void on_timer(struct timer *t);

void group_wait_for(struct group *g, enum group_wait what, int64_t ms)
{
    g->wait = what;
    g->timer.fn = on_timer;
    if (what == WAIT_NOTHING) loop_timer_stop(g->owner->home, &g->timer);
    else loop_timer(g->owner->home, &g->timer, after_ms(g, ms));
}

static void remove_member(struct group *g, struct member *m, int err)
{
    join_refuse(g, m, S(""), err);
    sync_release(g, m, err);
    member_detach(g, m);
    member_free(m);
}

static void join_complete_if_all(struct group *g)
{
    if (g->state == STATE_PREPARING && g->members_n == g->awaiting_join && g->pending.n == 0) join_complete(g);
}

/* A member that waits for its group is not expected to send heartbeats, except a new one: it may have gone unnoticed. */
static void on_session(struct timer *t)
{
    struct member *m = container_of(t, struct member, session);
    struct group *g = m->group;
    if (m->session_us > loop_now_us(g->owner->home)) {
        loop_timer(g->owner->home, t, m->session_us);
        return;
    }
    if (!m->is_new && (m->join || m->sync)) return; /* the answer starts a new session */
    log_info("group", "member is silent, removed", KV_SLICE("group", group_id(g)), KV_SLICE("member", m->id));
    struct slice id = own(m->id);
    remove_member(g, m, E_UNKNOWN_MEMBER_ID);
    if (g->state == STATE_STABLE || g->state == STATE_COMPLETING) rebalance(g, "a member's session timed out", id);
    else join_complete_if_all(g);
    own_free(&id);
}

void member_keep(struct member *m, int64_t ms)
{
    struct loop *home = m->group->owner->home;
    m->session.fn = on_session;
    m->session_us = loop_now_us(home) + MAX(ms, 0) * 1000;
    if (!m->session.heap_at || m->session.at_us > m->session_us) loop_timer(home, &m->session, m->session_us);
}

static void on_pending(struct timer *t)
{
    struct pending *p = container_of(t, struct pending, timer);
    struct group *g = p->group;
    log_info("group", "new member did not come back", KV_SLICE("group", group_id(g)),
             KV_SLICE("member", ((struct slice){ p->id, p->id_n })));
    pending_remove(p);
    join_complete_if_all(g);
}

/* Those who have not handed in or asked for an assignment of this generation are out. */
static void sync_timed_out(struct group *g)
{
    int32_t n = 0;
    if (g->pending_sync == 0) return;
    list_each_safe (it, tmp, &g->members) {
        struct member *m = container_of(it, struct member, link);
        if (!m->pending_sync) continue;
        remove_member(g, m, E_UNKNOWN_MEMBER_ID);
        n++;
    }
    log_info("group", "members did not sync, removed", KV_SLICE("group", group_id(g)), KV_I64("members", n));
    rebalance(g, "members did not sync in time", S(""));
}

static void on_timer(struct timer *t)
{
    struct group *g = container_of(t, struct group, timer);
    enum group_wait what = g->wait;
    g->wait = WAIT_NOTHING;
    if (what == WAIT_INITIAL && g->new_member_added && g->remaining_ms > 0) {
        /* More came in the meantime: wait on, but not longer than a rebalance may take. */
        int32_t waited = g->delay_ms;
        g->new_member_added = false;
        g->delay_ms = (int32_t)MIN(conf_i64(g->owner->conf, CONF_GROUP_INITIAL_REBALANCE_DELAY_MS), g->remaining_ms);
        g->remaining_ms = MAX(g->remaining_ms - waited, 0);
        group_wait_for(g, WAIT_INITIAL, g->delay_ms);
    } else if (what == WAIT_INITIAL || what == WAIT_JOIN) {
        join_complete(g);
    } else if (what == WAIT_SYNC) {
        sync_timed_out(g);
    }
}

/* ---- rebalancing ----------------------------------------------------------------------------------------------------------------- */

static void rebalance(struct group *g, const char *why, struct slice who)
{
    bool initial = g->state == STATE_EMPTY;
    list_each (it, &g->members) {
        struct member *m = container_of(it, struct member, link);
        m->pending_sync = false;
        own_free(&m->next);
        if (g->state != STATE_COMPLETING) continue;
        own_free(&m->assignment);
        m->assignment = own(S(""));
        if (sync_release(g, m, E_REBALANCE_IN_PROGRESS)) member_keep(m, m->session_ms);
    }
    g->pending_sync = 0;
    group_wait_for(g, WAIT_NOTHING, 0);
    log_info("group", "rebalancing", KV_SLICE("group", group_id(g)), KV_I64("generation", g->generation), KV_STR("why", why),
             KV_SLICE("member", who));
    if (initial) {
        int64_t delay = MAX(conf_i64(g->owner->conf, CONF_GROUP_INITIAL_REBALANCE_DELAY_MS), 0);
        g->delay_ms = (int32_t)delay;
        g->remaining_ms = (int32_t)MAX(group_rebalance_ms(g) - delay, 0);
        g->new_member_added = false;
        group_enter(g, STATE_PREPARING);
        group_wait_for(g, WAIT_INITIAL, delay);
        return;
    }
    group_enter(g, STATE_PREPARING);
    group_wait_for(g, WAIT_JOIN, group_rebalance_ms(g));
    join_complete_if_all(g);
}

/* The first rebalance of a group ends by its timer alone. */
static void rebalance_or_complete(struct group *g, const char *why, struct slice who)
{
    if (g->state != STATE_PREPARING) rebalance(g, why, who);
    else if (g->previous != STATE_EMPTY) join_complete_if_all(g);
}

/* The leader must be among those who joined. False: nobody did. */
static bool leader_elect(struct group *g)
{
    if (!g->leader) return false;
    if (g->leader->join) return true;
    list_each (it, &g->members) {
        struct member *m = container_of(it, struct member, link);
        if (!m->join) continue;
        g->leader = m;
        return true;
    }
    return false;
}

static void emptied_done(struct gwrite *w, int err)
{
    if (!err) w->group->recorded = true; /* else: README.md, what a failed write does */
}

static void write_group(struct group *g, void (*done)(struct gwrite *w, int err))
{
    struct gwrite *w = gwrite_new(g->part, g);
    w->after = done;
    w->generation = g->generation;
    grecord_group(w, g, false);
    gwrite_send(w);
}

static void join_complete(struct group *g)
{
    assert(g->state == STATE_PREPARING);
    group_wait_for(g, WAIT_NOTHING, 0);
    list_each_safe (it, tmp, &g->members) {
        struct member *m = container_of(it, struct member, link);
        if (m->join || m->instance.p) continue; /* a static member keeps its place until its session ends */
        log_info("group", "member did not rejoin, removed", KV_SLICE("group", group_id(g)), KV_SLICE("member", m->id));
        remove_member(g, m, E_UNKNOWN_MEMBER_ID);
    }
    if (!leader_elect(g) && g->members_n > 0) {
        group_wait_for(g, WAIT_JOIN, group_rebalance_ms(g)); /* only silent static members: until their sessions end */
        return;
    }
    g->generation = g->generation == INT32_MAX ? 1 : g->generation + 1;
    struct slice protocol = g->members_n ? own(group_vote(g)) : (struct slice){ NULL, 0 };
    own_free(&g->protocol);
    g->protocol = protocol;
    group_subscriptions(g);
    g->pending_sync = 0;
    if (g->members_n == 0) {
        group_enter(g, STATE_EMPTY);
        log_info("group", "is empty", KV_SLICE("group", group_id(g)), KV_I64("generation", g->generation));
        write_group(g, emptied_done);
        return;
    }
    group_enter(g, STATE_COMPLETING);
    log_info("group", "generation", KV_SLICE("group", group_id(g)), KV_I64("generation", g->generation),
             KV_I64("members", g->members_n), KV_SLICE("protocol", g->protocol), KV_SLICE("leader", g->leader->id));
    list_each (it, &g->members) {
        struct member *m = container_of(it, struct member, link);
        struct group_call *c = join_take(g, m);
        m->is_new = false;
        m->pending_sync = true;
        g->pending_sync++;
        member_keep(m, m->session_ms);
        if (c) join_ok(g, m, c, m == g->leader, g->leader->id, false);
    }
    group_wait_for(g, WAIT_SYNC, group_rebalance_ms(g));
}

/* ---- JoinGroup ---------------------------------------------------------------------------------------------------------------------- */

/* A new group could not be written: nobody has been told of it but those whose ids are still to be used. */
static void join_failed(struct gwrite *w, int err)
{
    struct group *g = w->group;
    if (!err) {
        g->recorded = true;
        return;
    }
    if (g->generation > 0 || g->recorded) return; /* it has moved on: its next record will tell */
    for (struct list *l; (l = g->members.next) != &g->members;) remove_member(g, container_of(l, struct member, link), err);
    group_wait_for(g, WAIT_NOTHING, 0);
    if (g->state == STATE_PREPARING) group_enter(g, STATE_EMPTY);
    group_forget_members(g);
    own_free(&g->protocol_type);
    group_tidy(g);
}

/* "client-b8cbc2f1-…": told to the client, and the key it has from now on. */
static struct slice member_id_make(struct group_call *c, struct slice instance)
{
    enum { BASE_MAX = 32767 - 37 };
    struct slice base = instance.p ? instance : c->client_id;
    struct uuid u = rnd_uuid(((struct groups *)c->priv)->world->rnd);
    const uint8_t *b = u.b;
    base.n = MIN(base.n, (size_t)BASE_MAX);
    return arena_printf(c->arena, "%.*s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", S_ARG(base), b[0],
                        b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static int32_t rebalance_timeout(const struct group_call *c, const struct join_group_request *in)
{
    return c->version == 0 ? in->session_timeout_ms : in->rebalance_timeout_ms;
}

/* Takes what the member says of itself now, and parks its call. */
static void member_update(struct group *g, struct member *m, struct group_call *c)
{
    const struct join_group_request *in = c->in;
    member_set_protocols(g, m, protocols_own(in->protocols, in->protocols_n));
    m->rebalance_ms = rebalance_timeout(c, in);
    m->session_ms = in->session_timeout_ms;
    join_park(g, m, c);
}

static void member_join(struct group *g, struct group_call *c, struct slice id)
{
    const struct join_group_request *in = c->in;
    struct pending *p = pending_find(g, id);
    if (p) pending_remove(p);
    struct member *m = member_new(g, id, in->group_instance_id, c->client_id, c->client_host);
    m->is_new = true;
    m->rebalance_ms = rebalance_timeout(c, in);
    m->session_ms = in->session_timeout_ms;
    m->protocols = protocols_own(in->protocols, in->protocols_n);
    m->join = c;
    if (g->state == STATE_PREPARING && g->previous == STATE_EMPTY) g->new_member_added = true;
    member_add(g, m, in->protocol_type);
    member_keep(m, NEW_MEMBER_TIMEOUT_MS);
    rebalance_or_complete(g, "a member joins", id);
}

/* The static member's new id is durable, or the old one is put back. */
static void replaced(struct gwrite *w, int err)
{
    struct group *g = w->group;
    struct member *old = w->old, *m = NULL;
    w->old = NULL;
    list_each (it, &g->members)
        if (container_of(it, struct member, link)->serial == w->serial) m = container_of(it, struct member, link);
    /* In the meantime it may have left, or take part in a rebalance whose end will answer it. */
    if (!m || !m->join || g->state != STATE_STABLE) {
        member_free(old);
        return;
    }
    struct group_call *c = join_take(g, m);
    if (!err) {
        bool leads = g->leader == m;
        m->is_new = false;
        g->recorded = true;
        member_free(old);
        /* Before v9 a leader cannot be told to leave the assignment alone: so it is not told that it leads. */
        if (w->version >= 9) join_ok(g, m, c, leads, g->leader->id, leads);
        else join_ok(g, m, c, false, w->old_leader, false);
        return;
    }
    bool leads = g->leader == m;
    struct join_group_response *out = c->out;
    out->generation_id = g->generation;
    out->protocol_type = arena_copy(c->arena, g->protocol_type);
    out->protocol_name = arena_copy(c->arena, g->protocol);
    out->leader = arena_copy(c->arena, w->old_leader);
    join_error(c, S(""), err);
    old->pending_sync = m->pending_sync;
    member_detach(g, m);
    member_free(m);
    member_add(g, old, g->protocol_type);
    if (leads) g->leader = old;
    member_keep(old, old->session_ms);
}

/* A static member that was restarted: the same instance under a new id. Its predecessor is fenced. */
static void member_replace(struct group *g, struct group_call *c, struct member *old, struct slice id)
{
    const struct join_group_request *in = c->in;
    struct slice leader = own(g->leader->id);
    bool leads = g->leader == old;
    struct group_call *parked = join_take(g, old);
    if (parked) {
        struct join_group_response *out = parked->out;
        out->protocol_name = (struct slice){ NULL, 0 };
        join_error(parked, old->id, E_FENCED_INSTANCE_ID);
    }
    sync_release(g, old, E_FENCED_INSTANCE_ID);
    log_info("group", "static member is back", KV_SLICE("group", group_id(g)), KV_SLICE("instance", in->group_instance_id),
             KV_SLICE("member", id));

    struct member *m = member_new(g, id, old->instance, old->client_id, old->client_host);
    m->rebalance_ms = rebalance_timeout(c, in);
    m->session_ms = in->session_timeout_ms;
    m->protocols = protocols_own(in->protocols, in->protocols_n);
    own_free(&m->assignment);
    m->assignment = own(old->assignment);
    m->pending_sync = old->pending_sync;
    m->join = c;
    struct slice type = own(g->protocol_type);
    struct list *at = old->link.next; /* it keeps its place in the order */
    member_detach(g, old);
    member_add(g, m, type);
    own_free(&type);
    list_remove(&m->link);
    list_push(at, &m->link);
    if (leads) g->leader = m;
    member_keep(m, m->session_ms);

    if (g->state == STATE_STABLE && slice_eq(group_vote(g), g->protocol)) {
        struct gwrite *w = gwrite_new(g->part, g);
        w->after = replaced;
        w->serial = m->serial;
        w->old = old;
        w->old_leader = leader;
        w->version = c->version;
        grecord_group(w, g, false);
        gwrite_send(w);
        return;
    }
    own_free(&leader);
    member_free(old);
    if (g->state == STATE_STABLE || g->state == STATE_COMPLETING) rebalance(g, "a static member comes back otherwise", id);
    else if (g->previous != STATE_EMPTY) join_complete_if_all(g);
}

static void join_new(struct group *g, struct group_call *c)
{
    const struct join_group_request *in = c->in;
    struct slice id = member_id_make(c, in->group_instance_id);
    struct member *old = member_by_instance(g, in->group_instance_id);
    if (old) {
        member_replace(g, c, old, id);
    } else if (!in->group_instance_id.p && c->version >= 4) {
        /* It shall come back with this id, so that a lost answer leaves no dead member behind (KIP-394). */
        struct pending *p = pending_add(g, id, on_pending);
        loop_timer(g->owner->home, &p->timer, after_ms(g, in->session_timeout_ms));
        join_error(c, id, E_MEMBER_ID_REQUIRED);
    } else {
        member_join(g, c, id);
    }
}

static int member_check(const struct group *g, struct slice id, struct slice instance, struct member **out)
{
    *out = member_find(g, id);
    if (instance.p) {
        struct member *named = member_by_instance(g, instance);
        if (!named) return E_UNKNOWN_MEMBER_ID;
        if (!slice_eq(named->id, id)) return E_FENCED_INSTANCE_ID;
    }
    return *out ? 0 : E_UNKNOWN_MEMBER_ID;
}

static void join_again(struct group *g, struct group_call *c)
{
    const struct join_group_request *in = c->in;
    struct join_group_response *out = c->out;
    struct member *m;

    if (pending_find(g, in->member_id)) {
        if (in->group_instance_id.p)
            join_error(c, in->member_id, E_UNKNOWN_SERVER_ERROR); /* such ids are only given to dynamic members */
        else member_join(g, c, in->member_id);
        return;
    }
    int err = member_check(g, in->member_id, in->group_instance_id, &m);
    if (!err && g->state == STATE_EMPTY) err = E_UNKNOWN_MEMBER_ID;
    if (err) {
        out->protocol_name = (struct slice){ NULL, 0 };
        join_error(c, in->member_id, err);
        return;
    }
    bool same = member_matches(m, in), leads = g->leader == m;
    if (g->state == STATE_COMPLETING && same) { /* it missed the answer to its first one */
        join_ok(g, m, c, leads, g->leader->id, false);
    } else if (g->state == STATE_STABLE && same && !leads) {
        join_ok(g, m, c, false, g->leader->id, false);
    } else {
        member_update(g, m, c);
        rebalance_or_complete(g, g->state == STATE_STABLE && leads ? "the leader rejoins" : "a member rejoins", in->member_id);
    }
}

/* While preparing, those who wait are counted, so that a group that has become too large sheds the last to rejoin. */
static bool join_fits(const struct group *g, struct slice id)
{
    int64_t max = conf_i64(g->owner->conf, CONF_GROUP_MAX_SIZE);
    const struct member *m = member_find(g, id);
    if (g->state == STATE_EMPTY) return true;
    if (g->state == STATE_PREPARING) return (m && m->join) || g->awaiting_join < max;
    return m || g->members_n < max;
}

/* The group's members that have an id are gone for good: joining turns an empty group of the consumer protocol into a classic one. */
static void converted(struct gwrite *w, int err)
{
    struct group *g = w->group;
    if (!err) group_kind_set(g, KIND_CLASSIC);
    for (struct list *l; err && (l = list_pop(&g->waiting));) call_error(container_of(l, struct group_call, link), err);
    group_release(g);
}

static void join_convert(struct group *g, struct group_call *c)
{
    struct gwrite *w = gwrite_new(g->part, g);
    modern_gone(w, g->modern);
    w->after = converted;
    g->busy = true;
    list_push(&g->waiting, &c->link);
    gwrite_send(w);
}

void group_join(struct groups *gs, struct group *g, struct offsets_part *p, struct group_call *c)
{
    const struct join_group_request *in = c->in;
    bool fresh = !g, unknown = in->member_id.n == 0;

    if (g && g->kind != KIND_CLASSIC) {
        if (g->kind == KIND_CONSUMER && g->modern->members == 0) join_convert(g, c);
        else join_error(c, S(""), E_INCONSISTENT_GROUP_PROTOCOL);
        return;
    }
    if (!g && !unknown) {
        join_error(c, in->member_id, E_UNKNOWN_MEMBER_ID);
        return;
    }
    if (!g) g = group_new(gs, p, in->group_id);
    c->priv = gs;
    if (!join_fits(g, in->member_id)) {
        struct member *m = member_find(g, in->member_id);
        if (m) remove_member(g, m, E_GROUP_MAX_SIZE_REACHED);
        join_error(c, S(""), E_GROUP_MAX_SIZE_REACHED);
        if (m && g->previous != STATE_EMPTY) join_complete_if_all(g);
        return;
    }
    if (!group_supports(g, in)) {
        join_error(c, in->member_id, E_INCONSISTENT_GROUP_PROTOCOL);
        if (fresh) group_tidy(g);
        return;
    }
    bool record = !g->recorded && g->writes == 0 && g->generation == 0;
    if (unknown) join_new(g, c);
    else join_again(g, c);
    if (record && (g->members_n || g->pending.n)) write_group(g, join_failed);
}

/* ---- SyncGroup ----------------------------------------------------------------------------------------------------------------------------- */

/* The leader's assignment is durable, or not. */
static void assigned(struct gwrite *w, int err)
{
    struct group *g = w->group;
    if (!err) g->recorded = true;
    if (g->state != STATE_COMPLETING || g->generation != w->generation) return; /* a rebalance began, everybody has been told */
    if (err) {
        list_each (it, &g->members) {
            struct member *m = container_of(it, struct member, link);
            if (sync_release(g, m, err)) member_keep(m, m->session_ms);
        }
        rebalance(g, "the assignment could not be stored", S(""));
        return;
    }
    group_enter(g, STATE_STABLE);
    list_each (it, &g->members) {
        struct member *m = container_of(it, struct member, link);
        own_free(&m->assignment);
        m->assignment = m->next.p ? m->next : own(S(""));
        m->next = (struct slice){ NULL, 0 };
        if (sync_release(g, m, 0)) member_keep(m, m->session_ms);
    }
}

static void assignment_store(struct group *g, const struct sync_group_request *in)
{
    list_each (it, &g->members) own_free(&container_of(it, struct member, link)->next);
    for (int32_t i = 0; i < in->assignments_n; i++) {
        struct member *m = member_find(g, in->assignments[i].member_id);
        struct slice a = in->assignments[i].assignment;
        if (!m) continue;
        own_free(&m->next);
        m->next = own(a.p ? a : S(""));
    }
    struct gwrite *w = gwrite_new(g->part, g);
    w->after = assigned;
    w->generation = g->generation;
    grecord_group(w, g, true);
    gwrite_send(w);
}

static bool differs(struct slice said, struct slice is) { return said.p && is.p && !slice_eq(said, is); }

void group_sync(struct group *g, struct group_call *c)
{
    const struct sync_group_request *in = c->in;
    struct member *m = NULL;
    int err = 0;

    if (!g || g->kind != KIND_CLASSIC || g->state == STATE_EMPTY) err = E_UNKNOWN_MEMBER_ID;
    if (!err) err = member_check(g, in->member_id, in->group_instance_id, &m);
    if (!err && in->generation_id != g->generation) err = E_ILLEGAL_GENERATION;
    if (!err && (differs(in->protocol_type, g->protocol_type) || differs(in->protocol_name, g->protocol)))
        err = E_INCONSISTENT_GROUP_PROTOCOL;
    if (!err && g->state == STATE_PREPARING) err = E_REBALANCE_IN_PROGRESS;
    if (err) {
        call_error(c, err);
        return;
    }
    if (m->pending_sync) {
        m->pending_sync = false;
        if (--g->pending_sync == 0) group_wait_for(g, WAIT_NOTHING, 0);
    }
    if (g->state == STATE_STABLE) {
        sync_answer(g, m, c, 0);
        return;
    }
    sync_release(g, m, E_REBALANCE_IN_PROGRESS); /* an earlier one of the same member, whose connection has gone */
    m->sync = c;
    if (m == g->leader) assignment_store(g, in);
}

/* ---- Heartbeat, LeaveGroup ------------------------------------------------------------------------------------------------------------------- */

void group_heartbeat(struct group *g, struct group_call *c)
{
    const struct heartbeat_request *in = c->in;
    struct member *m = NULL;
    int err = !g || g->kind != KIND_CLASSIC ? E_UNKNOWN_MEMBER_ID : member_check(g, in->member_id, in->group_instance_id, &m);
    if (!err && in->generation_id != g->generation) err = E_ILLEGAL_GENERATION;
    if (!err) {
        member_keep(m, m->session_ms);
        if (g->state == STATE_PREPARING) err = E_REBALANCE_IN_PROGRESS;
    }
    if (err) call_error(c, err);
    else call_answer(c);
}

static int leave_one(struct group *g, struct slice id, struct slice instance)
{
    struct pending *p = pending_find(g, id);
    struct member *m;
    int err = 0;
    if (id.n == 0) { /* an administrator names the instance only */
        m = member_by_instance(g, instance);
        if (!m) return E_UNKNOWN_MEMBER_ID;
    } else if (p) {
        pending_remove(p);
        return 0;
    } else if ((err = member_check(g, id, instance, &m))) {
        return err;
    }
    remove_member(g, m, E_UNKNOWN_MEMBER_ID);
    return 0;
}

void group_leave(struct group *g, struct group_call *c)
{
    const struct leave_group_request *in = c->in;
    struct leave_group_response *out = c->out;
    const struct leave_group_request_member_identity one = { .member_id = in->member_id };
    const struct leave_group_request_member_identity *who = c->version >= 3 ? in->members : &one;
    int32_t n = c->version >= 3 ? MAX(in->members_n, 0) : 1, left = 0;
    struct leave_group_response_member_response *rows = wire_array(c->arena, leave_group_response_member_response, n);

    for (int32_t i = 0; i < n; i++) {
        int err = g && g->kind == KIND_CLASSIC ? leave_one(g, who[i].member_id, who[i].group_instance_id) : E_UNKNOWN_MEMBER_ID;
        rows[i].member_id = who[i].member_id;
        rows[i].group_instance_id = who[i].group_instance_id;
        rows[i].error_code = (int16_t)err_kafka(err);
        if (err) continue;
        left++;
        log_info("group", "member leaves", KV_SLICE("group", group_id(g)), KV_SLICE("member", who[i].member_id),
                 KV_SLICE("instance", who[i].group_instance_id), KV_SLICE("reason", who[i].reason));
    }
    if (c->version >= 3) {
        out->members = rows;
        out->members_n = n;
    } else {
        out->error_code = rows[0].error_code;
    }
    if (left) {
        uint32_t writes = g->writes;
        if (g->state == STATE_STABLE || g->state == STATE_COMPLETING) rebalance(g, "a member leaves", S(""));
        else if (g->state == STATE_PREPARING && g->previous != STATE_EMPTY) join_complete_if_all(g);
        if (g->writes > writes) { /* it was the last one: the empty group is being written */
            gwrite_behind(g->part, c);
            return;
        }
    }
    call_answer(c);
}

/* ---- DescribeGroups --------------------------------------------------------------------------------------------------------------------------- */

void group_describe(struct group *g, struct group_call *c)
{
    struct describe_groups_response_described_group *out = c->out;
    out->group_id = c->group;
    if (!g || g->kind != KIND_CLASSIC) {
        out->group_state = S("Dead");
        if (c->version >= 6) {
            out->error_code = KAFKA_GROUP_ID_NOT_FOUND;
            out->error_message =
                arena_printf(c->arena, g ? "Group %.*s is not a classic group." : "Group %.*s not found.", S_ARG(c->group));
        }
        call_answer(c);
        return;
    }
    out->group_state = slice_of(group_states[g->state].name);
    if (g->protocol_type.p) out->protocol_type = arena_copy(c->arena, g->protocol_type);
    if (g->state == STATE_STABLE && g->protocol.p) out->protocol_data = arena_copy(c->arena, g->protocol);
    out->members = wire_array(c->arena, describe_groups_response_described_group_member, g->members_n);
    list_each (it, &g->members) {
        const struct member *m = container_of(it, struct member, link);
        struct describe_groups_response_described_group_member *o = &out->members[out->members_n++];
        struct slice metadata = g->state == STATE_STABLE ? member_metadata(m, g->protocol) : S("");
        o->member_id = arena_copy(c->arena, m->id);
        o->group_instance_id = arena_copy(c->arena, m->instance);
        o->client_id = arena_copy(c->arena, m->client_id);
        o->client_host = arena_copy(c->arena, m->client_host);
        o->member_metadata = arena_copy(c->arena, metadata.p ? metadata : S(""));
        o->member_assignment = arena_copy(c->arena, m->assignment);
    }
    call_answer(c);
}

/* ---- OffsetCommit's question --------------------------------------------------------------------------------------------------------------------- */

int group_may_commit(struct group *g, const struct offset_commit_request *in)
{
    struct member *m = NULL;
    int32_t generation = in->generation_id_or_member_epoch;
    int err = 0;
    if (g->state == STATE_DEAD) return E_COORDINATOR_NOT_AVAILABLE;
    if (generation < 0 && g->state == STATE_EMPTY) return 0; /* an administrator, or a consumer that manages itself */
    if (generation >= 0 || in->member_id.n || in->group_instance_id.p) {
        err = member_check(g, in->member_id, in->group_instance_id, &m);
        if (!err && generation != g->generation) err = E_ILLEGAL_GENERATION;
    } else {
        err = E_UNKNOWN_MEMBER_ID;
    }
    if (!err && g->state == STATE_COMPLETING) err = E_REBALANCE_IN_PROGRESS;
    if (!err) member_keep(m, m->session_ms);
    return err;
}

/* ---- loading and stopping --------------------------------------------------------------------------------------------------------------------------- */

void group_loaded(struct group *g)
{
    list_each (it, &g->members) {
        struct member *m = container_of(it, struct member, link);
        member_keep(m, m->session_ms);
    }
    if (g->members_n > conf_i64(g->owner->conf, CONF_GROUP_MAX_SIZE)) rebalance(g, "there are more members than allowed", S(""));
}

void group_unload(struct group *g, int err)
{
    group_wait_for(g, WAIT_NOTHING, 0);
    list_each (it, &g->members) {
        struct member *m = container_of(it, struct member, link);
        loop_timer_stop(g->owner->home, &m->session);
        join_refuse(g, m, m->id, err);
        sync_release(g, m, err);
    }
    for (struct map_node *n = NULL; (n = map_next(&g->pending, n));)
        loop_timer_stop(g->owner->home, &container_of(n, struct pending, node)->timer);
    for (struct list *l; (l = list_pop(&g->waiting));) call_error(container_of(l, struct group_call, link), err);
    if (g->state != STATE_DEAD) group_enter(g, STATE_DEAD);
}
