/* Groups: members that join, sync, beat, commit and leave, or just vanish; and a group without members that anybody commits for.
 *
 *   G1 an offset that was acknowledged as committed is found by every later question, over every crash
 *   G2 a member gets the assignment that the leader of its generation made for it
 *   G3 a member's generation never goes back while its id is known */
#include "run.h"

#include <stdlib.h>

void members_init(struct run *s)
{
    for (size_t i = 0; i < ARRAY_LEN(s->groups); i++) {
        (void)snprintf(s->groups[i].name, sizeof s->groups[i].name, "g%zu", i);
        s->groups[i].simple = i == 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(s->members); i++) s->members[i].group = &s->groups[1 + i % (ARRAY_LEN(s->groups) - 1)];
}

/* What any request to a coordinator may hear, whatever it asks. */
static bool coordinator_excused(struct op *o, int err)
{
    struct run *s = o->sim;
    if (excused(s, o->rows_n ? o->rows[0].part->topic : NULL, err) || err == KAFKA_COORDINATOR_LOAD_IN_PROGRESS) return true;
    return !s->coordinated && (err == KAFKA_NOT_COORDINATOR || err == KAFKA_COORDINATOR_NOT_AVAILABLE);
}

/* What a member may hear at any time: others come and go, and sessions end. */
static bool member_excused(int err)
{
    return err == KAFKA_REBALANCE_IN_PROGRESS || err == KAFKA_ILLEGAL_GENERATION || err == KAFKA_UNKNOWN_MEMBER_ID;
}

static struct op *group_op(struct run *s, int16_t key, struct group *g, struct client_state *c)
{
    struct op *o = op_new(s, key);
    o->group = g;
    o->client = c;
    return o;
}

static void op_done(struct op *o)
{
    o->sim->answers++;
    op_free(o);
}

/* ---- committed offsets ---------------------------------------------------------------------------------------------------------------- */

static struct promise *promise_of(struct group *g, struct part *p, bool make)
{
    struct promise *free_one = NULL;
    for (int i = 0; i < g->promises_n; i++) {
        struct promise *pr = &g->promises[i];
        if (pr->part == p) return pr;
        if (!pr->busy && pr->part->topic->state == TOPIC_GONE) free_one = pr;
    }
    if (!make) return NULL;
    if (!free_one && g->promises_n < (int)ARRAY_LEN(g->promises)) free_one = &g->promises[g->promises_n++];
    if (free_one) *free_one = (struct promise){ .part = p, .value = -1 };
    return free_one;
}

static bool promise_allows(const struct promise *p, int64_t value)
{
    bool ok = p->value == value;
    for (int i = 0; i < p->pending_n; i++) ok |= p->pending[i] == value;
    return ok;
}

static void promise_settle(struct promise *p, int64_t pending)
{
    for (int i = 0; i < p->pending_n; i++) {
        if (p->pending[i] != pending) continue;
        p->pending[i] = p->pending[--p->pending_n];
        return;
    }
}

static void check_promise(const struct promise *p, const struct group *g, int64_t have)
{
    CHECK(promise_allows(p, have), "group %s: %s-%d is committed at %lld, acknowledged was %lld (and %d more are possible)",
          g->name, p->part->topic->name, p->part->index, (long long)have, (long long)p->value, p->pending_n);
}

static void commit_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct offset_commit_response *out = answer;
    struct promise *p = o->promise;
    CHECK(out->topics_n == 1 && out->topics[0].partitions_n == 1, "OffsetCommit of one partition answers for %d topics",
          out->topics_n);
    int err = out->topics[0].partitions[0].error_code;
    p->busy = false;
    if (err == 0) {
        promise_settle(p, o->rows[0].offset);
        p->value = o->rows[0].offset;
    } else {
        CHECK(coordinator_excused(o, err) || (o->member && member_excused(err)), "group %s: OffsetCommit: error %d",
              o->group->name, err);
        if (!o->sim->faulty && !o->sim->node.stopping) promise_settle(p, o->rows[0].offset);
    }
    if (o->member) {
        o->member->busy = false;
        if (err == KAFKA_UNKNOWN_MEMBER_ID) o->member->id[0] = 0;
        if (err) o->member->state = MEMBER_OUT;
    }
    op_done(o);
}

static void member_lost(struct call *call)
{
    struct op *o = container_of(call, struct op, call);
    if (o->promise) o->promise->busy = false;
    if (o->member) {
        o->member->busy = false;
        o->member->state = MEMBER_OUT;
    }
    op_lost(call);
}

static void commit(struct run *s, struct client_state *c, struct group *g, struct member *m)
{
    struct offset_commit_request in = dflt_offset_commit_request;
    struct offset_commit_request_topic t = dflt_offset_commit_request_topic;
    struct offset_commit_request_partition d = dflt_offset_commit_request_partition;
    struct part *part = any_part(s);
    if (!part || !part->topic->first_of_its_name) return;
    struct promise *p = promise_of(g, part, part->topic->state == TOPIC_LIVE);
    if (!p || p->busy || p->pending_n == (int)ARRAY_LEN(p->pending)) return;
    struct op *o = group_op(s, API_OFFSET_COMMIT, g, c);
    if (uuid_is_zero(part->topic->id)) o->call.version = MIN(o->call.version, 9);
    o->call.answered = commit_answered;
    o->call.lost = member_lost;
    o->promise = p;
    o->member = m;
    if (m) m->busy = true;
    p->busy = true;
    op_row(o, part)->offset = p->pending[p->pending_n++] = ++s->commits;
    in.group_id = slice_of(g->name);
    in.member_id = m ? slice_of(m->id) : S("");
    if (m) in.generation_id_or_member_epoch = m->generation;
    in.topics = &t;
    in.topics_n = 1;
    if (o->call.version >= 10) t.topic_id = part->topic->id;
    else t.name = slice_of(part->topic->name);
    t.partitions = &d;
    t.partitions_n = 1;
    d.partition_index = part->index;
    d.committed_offset = o->rows[0].offset;
    d.committed_metadata = one_in(s, 3) ? S("note") : S("");
    peer_send(c->peer, &o->call, &in);
}

static void found_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct offset_fetch_response *out = answer;
    struct promise *p = o->promise;
    int err = out->error_code;
    int64_t have = -1;
    if (call->version >= 8) {
        CHECK(out->groups_n == 1, "OffsetFetch of one group answers for %d", out->groups_n);
        err = out->groups[0].error_code;
        if (!err) {
            CHECK(out->groups[0].topics_n == 1 && out->groups[0].topics[0].partitions_n == 1, "OffsetFetch of one partition");
            err = out->groups[0].topics[0].partitions[0].error_code;
            have = out->groups[0].topics[0].partitions[0].committed_offset;
        }
    } else if (out->topics_n == 1 && out->topics[0].partitions_n == 1) {
        if (!err) err = out->topics[0].partitions[0].error_code;
        have = out->topics[0].partitions[0].committed_offset;
    } else {
        CHECK(err, "OffsetFetch of one partition answers for %d topics", out->topics_n);
    }
    p->busy = false;
    if (err) CHECK(coordinator_excused(o, err), "group %s: OffsetFetch: error %d", o->group->name, err);
    else if (p->part->topic->state == TOPIC_LIVE) check_promise(p, o->group, have);
    op_done(o);
}

static void find_committed(struct run *s, struct client_state *c, struct group *g)
{
    if (g->promises_n == 0) return;
    struct promise *p = &g->promises[rnd(s, (uint64_t)g->promises_n)];
    if (p->busy || p->part->topic->state != TOPIC_LIVE) return;
    struct offset_fetch_request in = dflt_offset_fetch_request;
    struct offset_fetch_request_topic t = dflt_offset_fetch_request_topic;
    struct offset_fetch_request_group d = dflt_offset_fetch_request_group;
    struct offset_fetch_request_topics dt = dflt_offset_fetch_request_topics;
    struct op *o = group_op(s, API_OFFSET_FETCH, g, c);
    if (uuid_is_zero(p->part->topic->id)) o->call.version = MIN(o->call.version, 9);
    o->call.answered = found_answered;
    o->call.lost = member_lost;
    o->promise = p;
    p->busy = true;
    (void)op_row(o, p->part);
    if (o->call.version >= 8) {
        in.groups = &d;
        in.groups_n = 1;
        d.group_id = slice_of(g->name);
        d.topics = &dt;
        d.topics_n = 1;
        if (o->call.version >= 10) dt.topic_id = p->part->topic->id;
        else dt.name = slice_of(p->part->topic->name);
        dt.partition_indexes = &p->part->index;
        dt.partition_indexes_n = 1;
    } else {
        in.group_id = slice_of(g->name);
        in.topics = &t;
        in.topics_n = 1;
        t.name = slice_of(p->part->topic->name);
        t.partition_indexes = &p->part->index;
        t.partition_indexes_n = 1;
    }
    in.require_stable = o->call.version >= 7 && one_in(s, 2);
    peer_send(c->peer, &o->call, &in);
}

static void all_promises(struct group *g, bool busy)
{
    for (int i = 0; i < g->promises_n; i++) g->promises[i].busy = busy;
}

static void forgot_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct delete_groups_response *out = answer;
    CHECK(out->results_n == 1, "DeleteGroups of one answers for %d", out->results_n);
    int err = out->results[0].error_code;
    bool doubt = o->sim->faulty || o->sim->node.stopping, certain = false;
    for (int i = 0; i < o->group->promises_n; i++) {
        struct promise *p = &o->group->promises[i];
        certain |= p->value >= 0 && p->pending_n == 0 && p->part->topic->state == TOPIC_LIVE;
        if (err == 0) p->value = -1;
        else if (doubt && p->pending_n < (int)ARRAY_LEN(p->pending)) p->pending[p->pending_n++] = -1;
    }
    if (err)
        CHECK(coordinator_excused(o, err) || (err == KAFKA_GROUP_ID_NOT_FOUND && !certain), "group %s: DeleteGroups: error %d",
              o->group->name, err);
    all_promises(o->group, false);
    op_done(o);
}
static void forgot_lost(struct call *call)
{
    struct op *o = container_of(call, struct op, call);
    for (int i = 0; i < o->group->promises_n; i++) {
        struct promise *p = &o->group->promises[i];
        p->pending[p->pending_n++] = -1;
    }
    all_promises(o->group, false);
    op_lost(call);
}

static void forget_group(struct run *s, struct client_state *c, struct group *g)
{
    struct delete_groups_request in = dflt_delete_groups_request;
    struct slice name = slice_of(g->name);
    for (int i = 0; i < g->promises_n; i++)
        if (g->promises[i].busy || g->promises[i].pending_n == (int)ARRAY_LEN(g->promises[i].pending)) return;
    struct op *o = group_op(s, API_DELETE_GROUPS, g, c);
    o->call.answered = forgot_answered;
    o->call.lost = forgot_lost;
    all_promises(g, true);
    in.groups_names = &name;
    in.groups_names_n = 1;
    peer_send(c->peer, &o->call, &in);
}

/* ---- members --------------------------------------------------------------------------------------------------------------------------- */

static void keep_id(char to[80], struct slice id) { (void)snprintf(to, 80, S_FMT, S_ARG(id)); }

static void joined_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct member *m = o->member;
    struct join_group_response *out = answer;
    m->busy = false;
    if (out->error_code == KAFKA_MEMBER_ID_REQUIRED) {
        CHECK(call->version >= 4 && out->member_id.n, "group %s: JoinGroup v%d asks for a member id", o->group->name,
              call->version);
        keep_id(m->id, out->member_id);
    } else if (out->error_code) {
        CHECK(coordinator_excused(o, out->error_code) || member_excused(out->error_code), "group %s: JoinGroup: error %d",
              o->group->name, out->error_code);
        if (out->error_code == KAFKA_UNKNOWN_MEMBER_ID) m->id[0] = 0;
    } else {
        bool same = m->id[0] && slice_eq(out->member_id, slice_of(m->id));
        CHECK(!same || out->generation_id >= m->generation, "group %s: member %s goes from generation %d to %d", o->group->name,
              m->id, m->generation, out->generation_id);
        keep_id(m->id, out->member_id);
        m->generation = out->generation_id;
        m->state = MEMBER_JOINED;
        m->leads = slice_eq(out->leader, out->member_id);
        m->all_n = 0;
        for (int i = 0; i < out->members_n && i < PEERS; i++) keep_id(m->all[m->all_n++], out->members[i].member_id);
        CHECK(m->leads == (out->members_n > 0), "group %s: %d members are told to %s", o->group->name, out->members_n,
              m->leads ? "the leader" : "a follower");
        bool in = !m->leads;
        for (int i = 0; i < m->all_n; i++) in |= strcmp(m->all[i], m->id) == 0;
        CHECK(in, "group %s: the leader %s is not among the members", o->group->name, m->id);
    }
    op_done(o);
}

static void join(struct run *s, struct member *m)
{
    struct join_group_request in = dflt_join_group_request;
    struct join_group_request_protocol p = dflt_join_group_request_protocol;
    struct op *o = group_op(s, API_JOIN_GROUP, m->group, m->client);
    o->call.answered = joined_answered;
    o->call.lost = member_lost;
    o->member = m;
    m->busy = true;
    in.group_id = slice_of(m->group->name);
    in.session_timeout_ms = between(s, 6000, 20000);
    if (o->call.version >= 1) in.rebalance_timeout_ms = between(s, 1000, 10000);
    in.member_id = slice_of(m->id);
    in.protocol_type = S("consumer");
    in.protocols = &p;
    in.protocols_n = 1;
    p.name = S("range");
    p.metadata = S("subscription");
    peer_send(m->client->peer, &o->call, &in);
}

/* The leader's word for a member: "generation/member". */
static struct slice word_for(struct arena *a, int32_t generation, const char *id)
{
    return arena_printf(a, "%d/%s", generation, id);
}

static void synced_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct member *m = o->member;
    struct sync_group_response *out = answer;
    m->busy = false;
    if (out->error_code) {
        CHECK(coordinator_excused(o, out->error_code) || member_excused(out->error_code), "group %s: SyncGroup: error %d",
              o->group->name, out->error_code);
        if (out->error_code == KAFKA_UNKNOWN_MEMBER_ID) m->id[0] = 0;
        m->state = MEMBER_OUT;
    } else {
        struct slice want = word_for(&call->arena, m->generation, m->id);
        CHECK(slice_eq(out->assignment, want), "group %s: member %s of generation %d is assigned \"" S_FMT "\"", o->group->name,
              m->id, m->generation, S_ARG(out->assignment));
        m->state = MEMBER_STABLE;
    }
    op_done(o);
}

static void sync(struct run *s, struct member *m)
{
    struct sync_group_request in = dflt_sync_group_request;
    struct op *o = group_op(s, API_SYNC_GROUP, m->group, m->client);
    o->call.answered = synced_answered;
    o->call.lost = member_lost;
    o->member = m;
    m->busy = true;
    in.group_id = slice_of(m->group->name);
    in.generation_id = m->generation;
    in.member_id = slice_of(m->id);
    if (o->call.version >= 5) {
        in.protocol_type = S("consumer");
        in.protocol_name = S("range");
    }
    if (m->leads) {
        in.assignments_n = m->all_n;
        in.assignments = wire_array(&o->call.arena, sync_group_request_assignment, m->all_n);
        for (int i = 0; i < m->all_n; i++) {
            in.assignments[i].member_id = slice_of(m->all[i]);
            in.assignments[i].assignment = word_for(&o->call.arena, m->generation, m->all[i]);
        }
    }
    peer_send(m->client->peer, &o->call, &in);
}

static void beat_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct member *m = o->member;
    int err = ((struct heartbeat_response *)answer)->error_code;
    m->busy = false;
    if (err) {
        CHECK(coordinator_excused(o, err) || member_excused(err), "group %s: Heartbeat: error %d", o->group->name, err);
        if (err == KAFKA_UNKNOWN_MEMBER_ID) m->id[0] = 0;
        m->state = MEMBER_OUT;
    }
    op_done(o);
}

static void beat(struct run *s, struct member *m)
{
    struct heartbeat_request in = dflt_heartbeat_request;
    struct op *o = group_op(s, API_HEARTBEAT, m->group, m->client);
    o->call.answered = beat_answered;
    o->call.lost = member_lost;
    o->member = m;
    m->busy = true;
    in.group_id = slice_of(m->group->name);
    in.generation_id = m->generation;
    in.member_id = slice_of(m->id);
    peer_send(m->client->peer, &o->call, &in);
}

static void left_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct leave_group_response *out = answer;
    int err = out->error_code;
    if (!err && call->version >= 3) {
        CHECK(out->members_n == 1, "LeaveGroup of one answers for %d", out->members_n);
        err = out->members[0].error_code;
    }
    if (err) CHECK(coordinator_excused(o, err) || member_excused(err), "group %s: LeaveGroup: error %d", o->group->name, err);
    o->member->busy = false;
    o->member->state = MEMBER_OUT;
    o->member->id[0] = 0;
    op_done(o);
}

static void leave(struct run *s, struct member *m)
{
    struct leave_group_request in = dflt_leave_group_request;
    struct leave_group_request_member_identity d = dflt_leave_group_request_member_identity;
    struct op *o = group_op(s, API_LEAVE_GROUP, m->group, m->client);
    o->call.answered = left_answered;
    o->call.lost = member_lost;
    o->member = m;
    m->busy = true;
    in.group_id = slice_of(m->group->name);
    if (o->call.version >= 3) {
        in.members = &d;
        in.members_n = 1;
        d.member_id = slice_of(m->id);
    } else {
        in.member_id = slice_of(m->id);
    }
    peer_send(m->client->peer, &o->call, &in);
}

static void member_act(struct run *s, struct member *m)
{
    if (m->busy) return;
    if (!m->client || !m->client->peer || !peer_is_up(m->client->peer) || one_in(s, 40)) {
        m->client = any_client(s);
        if (!m->client) return;
    }
    if (m->client->peer->line_n) return; /* a join that waits would hold up others' requests for long, and theirs it */
    if (m->state == MEMBER_OUT) join(s, m);
    else if (m->state == MEMBER_JOINED) sync(s, m);
    else if (one_in(s, 12)) leave(s, m);
    else if (one_in(s, 12)) m->state = MEMBER_OUT; /* joins again, as on new metadata */
    else if (one_in(s, 2)) commit(s, m->client, m->group, m);
    else beat(s, m);
}

/* ---- the coordinator ----------------------------------------------------------------------------------------------------------------------- */

static void coordinator_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct find_coordinator_response *out = answer;
    int err = out->error_code;
    if (call->version >= 4) {
        CHECK(out->coordinators_n == 1, "FindCoordinator of one key answers for %d", out->coordinators_n);
        err = out->coordinators[0].error_code;
    }
    if (err) CHECK(excused(o->sim, NULL, err), "FindCoordinator: error %d", err);
    else o->sim->coordinated = true;
    op_done(o);
}

static void look_for(struct find_coordinator_request *in, int16_t version, struct slice *key)
{
    if (version >= 4) {
        in->coordinator_keys = key;
        in->coordinator_keys_n = 1;
    } else {
        in->key = *key;
    }
}

static void find_coordinator(struct run *s, struct client_state *c, struct group *g)
{
    struct find_coordinator_request in = dflt_find_coordinator_request;
    struct slice key = slice_of(g->name);
    struct op *o = group_op(s, API_FIND_COORDINATOR, g, c);
    o->call.answered = coordinator_answered;
    look_for(&in, o->call.version, &key);
    peer_send(c->peer, &o->call, &in);
}

/* Small segments, so that the cleaner has something to do; the setting for new topics has a floor of 1 MiB. */
static void shrunk_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct incremental_alter_configs_response *out = answer;
    CHECK(out->responses_n == 1, "IncrementalAlterConfigs of one answers for %d", out->responses_n);
    if (out->responses[0].error_code)
        CHECK(excused(o->sim, NULL, out->responses[0].error_code), "__consumer_offsets: IncrementalAlterConfigs: error %d",
              out->responses[0].error_code);
    else o->sim->shrunk = true;
    op_done(o);
}

static void shrink_segments(struct run *s, struct client_state *c)
{
    struct incremental_alter_configs_request in = dflt_incremental_alter_configs_request;
    struct incremental_alter_configs_request_alter_configs_resource d =
        dflt_incremental_alter_configs_request_alter_configs_resource;
    struct incremental_alter_configs_request_alterable_config kv = dflt_incremental_alter_configs_request_alterable_config;
    struct op *o = group_op(s, API_INCREMENTAL_ALTER_CONFIGS, NULL, c);
    o->call.answered = shrunk_answered;
    in.resources = &d;
    in.resources_n = 1;
    d.resource_type = 2;
    d.resource_name = S("__consumer_offsets");
    d.configs = &kv;
    d.configs_n = 1;
    kv.name = S("internal.segment.bytes");
    kv.value = S("1500");
    peer_send(c->peer, &o->call, &in);
}

void members_act(struct run *s)
{
    struct member *m = &s->members[rnd(s, ARRAY_LEN(s->members))];
    struct group *g = &s->groups[rnd(s, ARRAY_LEN(s->groups))];
    uint64_t what = rnd(s, 20);
    if (what < 9 && s->coordinated) {
        member_act(s, m);
        return;
    }
    struct client_state *c = any_client(s);
    if (!c) return;
    if (what == 19 || !s->coordinated) find_coordinator(s, c, g);
    else if (what == 17 && !s->shrunk) shrink_segments(s, c);
    else if (what == 18 && one_in(s, 4)) forget_group(s, c, &s->groups[0]);
    else if (what < 14) commit(s, c, &s->groups[0], NULL);
    else find_committed(s, c, g);
}

void members_restarted(struct run *s)
{
    for (size_t i = 0; i < ARRAY_LEN(s->members); i++) {
        struct member *m = &s->members[i];
        m->client = NULL;
        m->busy = false;
        if (m->state == MEMBER_JOINED || one_in(s, 3)) m->state = MEMBER_OUT; /* else it goes on as if nothing had happened */
        if (m->state == MEMBER_OUT && one_in(s, 3)) m->id[0] = 0;
        if (m->state != MEMBER_STABLE) m->generation = 0; /* a generation that nobody synced need not be remembered */
    }
    for (size_t i = 0; i < ARRAY_LEN(s->groups); i++) all_promises(&s->groups[i], false);
}

void members_read(struct run *s, struct peer *peer)
{
    struct asking a;
    if (!s->coordinated) return;
    for (size_t i = 0; i < ARRAY_LEN(s->groups); i++) {
        struct group *g = &s->groups[i];
        struct offset_fetch_request in = dflt_offset_fetch_request;
        struct offset_fetch_request_group d = dflt_offset_fetch_request_group;
        struct offset_fetch_response *out = NULL;
        in.groups = &d;
        in.groups_n = 1;
        d.group_id = slice_of(g->name);
        d.topics_n = -1;
        for (int tries = 0;; tries++) {
            out = ask(s, peer, &a, API_OFFSET_FETCH, 8, &in);
            if (out->groups[0].error_code != KAFKA_COORDINATOR_LOAD_IN_PROGRESS) break;
            call_free(&a.call);
            CHECK(tries < 600, "group %s is still loading after a minute", g->name);
            node_run(&s->node, 100 * 1000);
        }
        CHECK(out->groups[0].error_code == 0, "group %s: OffsetFetch: error %d", g->name, out->groups[0].error_code);
        for (int k = 0; k < g->promises_n; k++) {
            struct promise *p = &g->promises[k];
            int64_t have = -1;
            if (p->part->topic->state != TOPIC_LIVE) continue;
            for (int t = 0; t < out->groups[0].topics_n; t++) {
                struct offset_fetch_response_topics *topic = &out->groups[0].topics[t];
                for (int j = 0; j < topic->partitions_n; j++)
                    if (slice_eq(topic->name, slice_of(p->part->topic->name)) &&
                        topic->partitions[j].partition_index == p->part->index)
                        have = topic->partitions[j].committed_offset;
            }
            check_promise(p, g, have);
            p->value = have;
            p->pending_n = 0;
        }
        call_free(&a.call);
    }
}
