#include "rig.h"

#include <odradek/kafka_errors.h>
#include <stdlib.h>

/* ---- the host -------------------------------------------------------------------------------------------------------------- */

/* The log has batches in the order in which they were written, whatever the order in which they end. */
static void log_append(struct rig *r)
{
    bool behind[RIG_PARTS] = { false };
    list_each_safe (it, tmp, &r->held) {
        struct rig_write *rw = container_of(it, struct rig_write, link);
        struct batch_head h;
        if (!rw->ended || behind[rw->partition]) {
            behind[rw->partition] = true;
            continue;
        }
        if (rw->batch.n) {
            struct bytes *log = &r->log[rw->partition];
            size_t at = log->n;
            assert_ok(batch_verify(rw->batch.p, rw->batch.n));
            assert_ok(batch_parse_head(rw->batch.p, rw->batch.n, &h));
            bytes_put(log, rw->batch.p, rw->batch.n);
            batch_set_base_offset(log->p + at, r->end[rw->partition]);
            r->end[rw->partition] += h.last_offset_delta + 1;
        }
        list_remove(&rw->link);
        bytes_free(&rw->batch);
        mem_free(rw);
    }
}

static void write_end(struct rig *r, struct rig_write *rw, int err)
{
    struct group_write *w = rw->w;
    rw->ended = true;
    if (!err) bytes_put(&rw->batch, w->batch.p, w->batch.n);
    log_append(r);
    w->done(w, err);
}

static void write_posted(struct post *p)
{
    struct rig_write *rw = container_of(p, struct rig_write, post);
    write_end(rw->rig, rw, rw->rig->fail);
}

static void host_write(void *arg, struct group_write *w)
{
    struct rig *r = arg;
    struct rig_write *rw = new (struct rig_write);
    rw->rig = r;
    rw->w = w;
    rw->partition = w->partition;
    rw->post.fn = write_posted;
    r->writes++;
    list_push(&r->held, &rw->link);
    if (!r->hold) loop_post(r->loop, &rw->post);
}

static int topic_number(struct slice topic)
{
    int n = -1;
    for (size_t i = 1; topic.n > 1 && topic.p[0] == 't' && i < topic.n; i++) {
        if (topic.p[i] < '0' || topic.p[i] > '9') return -1;
        n = MAX(n, 0) * 10 + (topic.p[i] - '0');
    }
    return n < 64 ? n : -1;
}

static bool host_topic_exists(void *arg, struct slice topic)
{
    const struct rig *r = arg;
    int n = topic_number(topic);
    return n >= 0 && !(r->gone & (1ull << n));
}

static bool host_topic_id(void *arg, struct slice topic, struct uuid *id)
{
    if (!host_topic_exists(arg, topic)) return false;
    *id = (struct uuid){ { 7, (uint8_t)topic_number(topic) } };
    return true;
}

static bool host_topic_name(void *arg, struct uuid id, struct arena *a, struct slice *name)
{
    struct slice s = arena_printf(a, "t%d", id.b[1]);
    if (id.b[0] != 7 || !host_topic_exists(arg, s)) return false;
    *name = s;
    return true;
}

static int32_t host_topic_partitions(void *arg, struct slice topic) { return RIG_TOPIC_PARTITIONS; }

/* ---- the rig ------------------------------------------------------------------------------------------------------------------ */

static void shard_new(struct rig *r)
{
    const struct groups_host host = {
        .arg = r,
        .write = host_write,
        .topic_exists = host_topic_exists,
        .topic_id = host_topic_id,
        .topic_name = host_topic_name,
        .topic_partitions = host_topic_partitions,
    };
    r->gs = groups_new(r->env->world, r->loop, r->conf, RIG_PARTS, &host);
}

void rig_init(struct rig *r, struct test_env *env, const char *conf)
{
    struct conf_report report = { 0 };
    *r = (struct rig){ .env = env };
    list_init(&r->held);
    list_init(&r->asks);
    log_threshold = LOG_ERROR;
    assert_ok(conf_parse(slice_of(conf), &r->conf, &report));
    conf_report_free(&report);
    r->loop = loop_new(env->world, "home");
    loop_start(r->loop);
    shard_new(r);
}

static void do_stop(struct rig *r, void *arg) { groups_stop(r->gs); }

static void asks_free(struct rig *r)
{
    for (struct list *l; (l = list_pop(&r->asks));) {
        struct ask *a = container_of(l, struct ask, link);
        assert_int_equal(a->answered, 1);
        arena_free(&a->arena);
        mem_free(a);
    }
}

void rig_free(struct rig *r)
{
    rig_do(r, do_stop, NULL);
    r->hold = false;
    rig_let(r, 1 << 30, 0);
    rig_run(r, 1);
    assert_int_equal(r->asked, r->answered);
    asks_free(r);
    groups_free(&r->gs);
    loop_stop(r->loop);
    loop_join(r->loop);
    loop_free(&r->loop);
    conf_unref(&r->conf);
    for (int i = 0; i < RIG_PARTS; i++) bytes_free(&r->log[i]);
}

void rig_run(struct rig *r, int64_t ms) { sim_run(r->env->world, ms * 1000); }

struct doing {
    struct post post;
    struct rig *rig;
    void (*fn)(struct rig *r, void *arg);
    void *arg;
    bool done;
};

static void do_now(struct post *p)
{
    struct doing *d = container_of(p, struct doing, post);
    d->fn(d->rig, d->arg);
    d->done = true;
}

void rig_do(struct rig *r, void (*fn)(struct rig *r, void *arg), void *arg)
{
    struct doing d = { .post = { .fn = do_now }, .rig = r, .fn = fn, .arg = arg };
    loop_post(r->loop, &d.post);
    while (!d.done) rig_run(r, 1);
}

struct letting {
    int n, err;
    bool last;
};

static void do_let(struct rig *r, void *arg)
{
    const struct letting *l = arg;
    for (int i = 0; i < l->n; i++) {
        struct rig_write *next = NULL;
        list_each (it, &r->held) {
            struct rig_write *rw = container_of(it, struct rig_write, link);
            if (rw->ended || list_linked(&rw->post.link)) continue; /* or about to end by itself */
            next = rw;
            if (!l->last) break;
        }
        if (!next) return;
        write_end(r, next, l->err);
    }
}

void rig_let(struct rig *r, int n, int err)
{
    struct letting l = { n, err, false };
    rig_do(r, do_let, &l);
    rig_run(r, 1);
}

void rig_let_last(struct rig *r, int err)
{
    struct letting l = { 1, err, true };
    rig_do(r, do_let, &l);
    rig_run(r, 1);
}

struct loading {
    int32_t partition;
    struct slice log;
};

static void do_load(struct rig *r, void *arg)
{
    const struct loading *l = arg;
    groups_load_begin(r->gs, l->partition);
    for (size_t at = 0; at < l->log.n;) {
        int32_t size = 0;
        assert_ok(batch_size(l->log.p + at, l->log.n - at, &size));
        assert_ok(groups_load_batch(r->gs, l->partition, l->log.p + at, (size_t)size));
        at += (size_t)size;
    }
    groups_load_end(r->gs, l->partition);
}

void rig_load(struct rig *r, int32_t partition, struct slice log)
{
    struct loading l = { partition, log };
    rig_do(r, do_load, &l);
}

void rig_restart(struct rig *r)
{
    rig_do(r, do_stop, NULL);
    rig_let(r, 1 << 30, 0);
    groups_free(&r->gs);
    shard_new(r);
    for (int32_t i = 0; i < RIG_PARTS; i++) rig_load(r, i, (struct slice){ (const char *)r->log[i].p, r->log[i].n });
}

struct group *rig_group(struct rig *r, const char *id) { return groups_find(r->gs, slice_of(id)); }

const char *z(struct rig *r, struct slice s) { return arena_printf(&r->env->arena, S_FMT, S_ARG(s)).p; }

/* ---- dumps ------------------------------------------------------------------------------------------------------------------------ */

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static const char *joined_lines(struct rig *r, const char **lines, int n)
{
    struct bytes out = { 0 };
    qsort(lines, (size_t)n, sizeof *lines, by_text);
    for (int i = 0; i < n; i++) bytes_printf(&out, "%s\n", lines[i]);
    const char *text = z(r, (struct slice){ (const char *)out.p, out.n });
    bytes_free(&out);
    return text;
}

static void bytes_hex(struct bytes *b, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) bytes_printf(b, "%02x", (uint8_t)s.p[i]);
}

const char *rig_dump(struct rig *r, struct groups *gs, bool only_settled)
{
    enum { MAX_LINES = 20000 };
    const char **lines = arena_array(&r->env->arena, const char *, MAX_LINES);
    int n = 0;
    for (int32_t i = 0; i < gs->parts_n; i++) {
        list_each (it, &gs->parts[i].groups) {
            const struct group *g = container_of(it, struct group, link);
            struct bytes b = { 0 };
            bool settled = g->state == STATE_EMPTY || g->state == STATE_STABLE;
            for (struct map_node *m = NULL; (m = map_next(&g->topics, m));) {
                const struct topic_rows *t = container_of(m, struct topic_rows, node);
                for (int k = 0; k < t->n; k++) {
                    const struct offset_row *o = &t->rows[k];
                    if (!o->known) continue;
                    assert_in_range(n, 0, MAX_LINES - 1);
                    lines[n++] = arena_printf(&r->env->arena, "%s offset %s-%d %lld epoch %d at %lld until %lld id %d \"%.*s\"",
                                              g->id, t->name, o->partition, (long long)o->offset, o->leader_epoch,
                                              (long long)o->commit_ms, (long long)o->expire_ms, o->topic_id.b[1],
                                              (int)o->metadata_n, o->metadata ? o->metadata : "")
                                     .p;
                }
            }
            if (g->kind == KIND_CLASSIC && !g->recorded && g->members_n == 0) continue; /* it is its offsets */
            if (only_settled && !settled) continue;
            bytes_printf(&b, "%s %s %s generation %d type %.*s protocol %.*s", g->id, group_kind_names[g->kind],
                         group_states[g->state].name, g->generation, S_ARG(g->protocol_type), S_ARG(g->protocol));
            if (g->leader) bytes_printf(&b, " leader %.*s", S_ARG(g->leader->id));
            if (g->modern) bytes_printf(&b, " keys %zu members %d", g->modern->keys.n, g->modern->members);
            assert_in_range(n, 0, MAX_LINES - 1);
            lines[n++] = z(r, (struct slice){ (const char *)b.p, b.n });
            list_each (mi, &g->members) {
                const struct member *m = container_of(mi, struct member, link);
                b.n = 0;
                bytes_printf(&b, "%s member %.*s instance %.*s client %.*s %.*s timeouts %d %d metadata ", g->id, S_ARG(m->id),
                             S_ARG(m->instance), S_ARG(m->client_id), S_ARG(m->client_host), m->session_ms, m->rebalance_ms);
                bytes_hex(&b, member_metadata(m, g->protocol));
                bytes_printf(&b, " assignment ");
                bytes_hex(&b, m->assignment);
                assert_in_range(n, 0, MAX_LINES - 1);
                lines[n++] = z(r, (struct slice){ (const char *)b.p, b.n });
            }
            bytes_free(&b);
        }
    }
    return joined_lines(r, lines, n);
}

/* ---- calls ---------------------------------------------------------------------------------------------------------------------------- */

static void answered(struct group_call *c)
{
    struct ask *a = container_of(c, struct ask, c);
    assert_int_equal(a->answered, 0);
    a->answered++;
    a->rig->answered++;
}

static void do_ask(struct post *p)
{
    struct ask *a = container_of(p, struct ask, post);
    groups_call(a->rig->gs, &a->c);
}

static struct ask *ask_new(struct rig *r, int16_t api, int16_t version, const void *in, size_t in_n)
{
    struct ask *a = new (struct ask);
    arena_init(&a->arena);
    a->rig = r;
    a->post.fn = do_ask;
    a->c = (struct group_call){
        .api = api, .version = version, .client_id = S("client"), .client_host = S("/10.0.0.1"), .done = answered
    };
    a->c.arena = &a->arena;
    if (in) {
        void *copy = arena_alloc(&a->arena, in_n);
        memcpy(copy, in, in_n);
        a->c.in = copy;
    }
    list_push(&r->asks, &a->link);
    r->asked++;
    return a;
}

static struct ask *ask_send(struct ask *a)
{
    loop_post(a->rig->loop, &a->post);
    rig_run(a->rig, 1);
    return a;
}

struct ask *ask(struct rig *r, int16_t api, int16_t version, const void *in, size_t in_n)
{
    struct ask *a = ask_new(r, api, version, in, in_n);
    const struct wire_msg *m = wire_response(api);
    a->c.out = arena_alloc(&a->arena, m->size);
    wire_init(m, a->c.out);
    return ask_send(a);
}

struct ask *ask_of(struct rig *r, int16_t api, int16_t version, const char *group)
{
    struct ask *a = ask_new(r, api, version, NULL, 0);
    a->c.group = slice_of(group);
    if (api == API_DESCRIBE_GROUPS) a->c.out = wire_new(&a->arena, describe_groups_response_described_group);
    else a->c.out = wire_new(&a->arena, delete_groups_response_deletable_group_result);
    return ask_send(a);
}

static struct slice or_empty(const char *s) { return slice_of(s ? s : ""); }

static struct slice subscription(struct arena *a, const char *topic)
{
    struct bytes b = { 0 };
    wr_i16(&b, 0);
    wr_i32(&b, 1);
    wr_string(&b, slice_of(topic));
    wr_bytes(&b, S("user"));
    struct slice s = arena_copy(a, (struct slice){ (const char *)b.p, b.n });
    bytes_free(&b);
    return s;
}

struct ask *ask_join(struct rig *r, struct join j)
{
    struct join_group_request in = dflt_join_group_request;
    struct arena *a = &r->env->arena;
    const char *names = j.protocols ? j.protocols : "range";
    in.group_id = or_empty(j.group);
    in.member_id = or_empty(j.member);
    in.group_instance_id = slice_of(j.instance);
    in.protocol_type = slice_of(j.type ? j.type : "consumer");
    in.session_timeout_ms = j.session_ms ? j.session_ms : 10000;
    in.rebalance_timeout_ms = j.rebalance_ms ? j.rebalance_ms : 60000;
    in.protocols = wire_array(a, join_group_request_protocol, 8);
    for (const char *p = names; !j.no_protocols && *p;) {
        size_t n = strcspn(p, ",");
        in.protocols[in.protocols_n].name = (struct slice){ p, n };
        in.protocols[in.protocols_n++].metadata = subscription(a, j.topic ? j.topic : "t1");
        p += n + (p[n] == ',');
    }
    int16_t version = j.version ? (int16_t)(j.version - 1) : 9;
    struct ask *k = ask_new(r, API_JOIN_GROUP, version, &in, sizeof in);
    if (j.client) k->c.client_id = slice_of(j.client);
    k->c.out = wire_new(&k->arena, join_group_response);
    return ask_send(k);
}

struct ask *ask_sync(struct rig *r, const char *group, int32_t generation, const char *member, const char *const *assignments,
                     int n)
{
    struct sync_group_request in = dflt_sync_group_request;
    in.group_id = slice_of(group);
    in.generation_id = generation;
    in.member_id = slice_of(member);
    in.protocol_type = S("consumer");
    in.protocol_name = S("range");
    in.assignments = wire_array(&r->env->arena, sync_group_request_assignment, n);
    in.assignments_n = n;
    for (int i = 0; i < n; i++) {
        in.assignments[i].member_id = slice_of(assignments[2 * i]);
        in.assignments[i].assignment = slice_of(assignments[2 * i + 1]);
    }
    return ask(r, API_SYNC_GROUP, 5, &in, sizeof in);
}

struct ask *ask_heartbeat(struct rig *r, const char *group, int32_t generation, const char *member, const char *instance)
{
    struct heartbeat_request in = dflt_heartbeat_request;
    in.group_id = slice_of(group);
    in.generation_id = generation;
    in.member_id = slice_of(member);
    in.group_instance_id = slice_of(instance);
    return ask(r, API_HEARTBEAT, 4, &in, sizeof in);
}

struct ask *ask_leave(struct rig *r, const char *group, const char *member, const char *instance)
{
    struct leave_group_request in = dflt_leave_group_request;
    struct leave_group_request_member_identity who = dflt_leave_group_request_member_identity;
    who.member_id = or_empty(member);
    who.group_instance_id = slice_of(instance);
    in.group_id = slice_of(group);
    in.members = (struct leave_group_request_member_identity *)arena_alloc(&r->env->arena, sizeof who);
    *in.members = who;
    in.members_n = 1;
    return ask(r, API_LEAVE_GROUP, 5, &in, sizeof in);
}

struct ask *ask_commit(struct rig *r, struct commit c)
{
    struct offset_commit_request in = dflt_offset_commit_request;
    struct arena *a = &r->env->arena;
    in.group_id = slice_of(c.group);
    in.generation_id_or_member_epoch = c.generation ? c.generation : -1;
    in.member_id = or_empty(c.member);
    in.group_instance_id = slice_of(c.instance);
    in.retention_time_ms = c.retention_ms ? c.retention_ms : -1;
    in.topics_n = 1;
    in.topics = wire_array(a, offset_commit_request_topic, 1);
    in.topics->name = slice_of(c.topic ? c.topic : "t1");
    in.topics->topic_id = (struct uuid){ { 7, (uint8_t)topic_number(in.topics->name) } };
    in.topics->partitions_n = 1;
    in.topics->partitions = wire_array(a, offset_commit_request_partition, 1);
    in.topics->partitions->partition_index = c.partition;
    in.topics->partitions->committed_offset = c.offset;
    in.topics->partitions->committed_leader_epoch = c.epoch ? c.epoch : -1;
    in.topics->partitions->committed_metadata = slice_of(c.metadata);
    return ask(r, API_OFFSET_COMMIT, c.version ? c.version : 9, &in, sizeof in);
}

struct ask *ask_fetch(struct rig *r, const char *group, const char *topic, int32_t partition, bool stable)
{
    struct offset_fetch_request_group in = dflt_offset_fetch_request_group;
    in.group_id = slice_of(group);
    in.topics_n = -1;
    if (topic) {
        in.topics_n = 1;
        in.topics = wire_array(&r->env->arena, offset_fetch_request_topics, 1);
        in.topics->name = slice_of(topic);
        in.topics->partition_indexes = arena_array(&r->env->arena, int32_t, 1);
        in.topics->partition_indexes[0] = partition;
        in.topics->partition_indexes_n = 1;
    }
    struct ask *a = ask_new(r, API_OFFSET_FETCH, 9, &in, sizeof in);
    a->c.group = in.group_id;
    a->c.require_stable = stable;
    a->c.out = wire_new(&a->arena, offset_fetch_response_group);
    return ask_send(a);
}

struct ask *ask_offset_delete(struct rig *r, const char *group, const char *topic, int32_t partition)
{
    struct offset_delete_request in = dflt_offset_delete_request;
    in.group_id = slice_of(group);
    in.topics_n = 1;
    in.topics = wire_array(&r->env->arena, offset_delete_request_topic, 1);
    in.topics->name = slice_of(topic);
    in.topics->partitions_n = 1;
    in.topics->partitions = wire_array(&r->env->arena, offset_delete_request_partition, 1);
    in.topics->partitions->partition_index = partition;
    return ask(r, API_OFFSET_DELETE, 0, &in, sizeof in);
}

struct ask *ask_list(struct rig *r, const char *state, const char *type)
{
    struct list_groups_request in = dflt_list_groups_request;
    in.states_filter = arena_array(&r->env->arena, struct slice, 1);
    in.types_filter = arena_array(&r->env->arena, struct slice, 1);
    in.states_filter[0] = slice_of(state);
    in.types_filter[0] = slice_of(type);
    in.states_filter_n = state != NULL;
    in.types_filter_n = type != NULL;
    return ask(r, API_LIST_GROUPS, 5, &in, sizeof in);
}

/* ---- answers ------------------------------------------------------------------------------------------------------------------------------ */

const struct join_group_response *joined(const struct ask *a)
{
    assert_int_equal(a->answered, 1);
    assert_int_equal(a->c.api, API_JOIN_GROUP);
    return a->c.out;
}

const struct sync_group_response *synced(const struct ask *a)
{
    assert_int_equal(a->answered, 1);
    assert_int_equal(a->c.api, API_SYNC_GROUP);
    return a->c.out;
}

int error_of(const struct ask *a)
{
    assert_int_equal(a->answered, 1);
    switch (a->c.api) {
    case API_JOIN_GROUP: return ((const struct join_group_response *)a->c.out)->error_code;
    case API_SYNC_GROUP: return ((const struct sync_group_response *)a->c.out)->error_code;
    case API_HEARTBEAT: return ((const struct heartbeat_response *)a->c.out)->error_code;
    case API_LEAVE_GROUP: {
        const struct leave_group_response *out = a->c.out;
        return out->error_code || !out->members_n ? out->error_code : out->members[0].error_code;
    }
    case API_OFFSET_COMMIT: return ((const struct offset_commit_response *)a->c.out)->topics[0].partitions[0].error_code;
    case API_OFFSET_FETCH: {
        const struct offset_fetch_response_group *out = a->c.out;
        return out->error_code || !out->topics_n ? out->error_code : out->topics[0].partitions[0].error_code;
    }
    case API_OFFSET_DELETE: {
        const struct offset_delete_response *out = a->c.out;
        return out->error_code || !out->topics_n ? out->error_code : out->topics[0].partitions[0].error_code;
    }
    case API_DESCRIBE_GROUPS: return ((const struct describe_groups_response_described_group *)a->c.out)->error_code;
    case API_DELETE_GROUPS: return ((const struct delete_groups_response_deletable_group_result *)a->c.out)->error_code;
    case API_LIST_GROUPS: return ((const struct list_groups_response *)a->c.out)->error_code;
    default: fail(); return -1;
    }
}

int64_t offset_of_row(const struct ask *a)
{
    const struct offset_fetch_response_group *out = a->c.out;
    assert_int_equal(a->answered, 1);
    assert_int_equal(out->error_code, 0);
    return out->topics_n ? out->topics[0].partitions[0].committed_offset : -2;
}

struct slice id_of(const struct ask *a) { return joined(a)->member_id; }

struct ask *rig_member(struct rig *r, struct join j)
{
    struct ask *a = ask_join(r, j);
    if (!a->answered || error_of(a) != KAFKA_MEMBER_ID_REQUIRED) return a;
    j.member = z(r, id_of(a));
    return ask_join(r, j);
}

const char *rig_stable(struct rig *r, struct join j)
{
    struct ask *a = rig_member(r, j);
    rig_run(r, 5);
    assert_int_equal(error_of(a), 0);
    const char *id = z(r, id_of(a));
    struct ask *s = ask_sync(r, j.group, joined(a)->generation_id, id, (const char *const[]){ id, "all" }, 1);
    rig_run(r, 5);
    assert_int_equal(error_of(s), 0);
    return id;
}
