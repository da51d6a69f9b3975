/* The classic group APIs: JoinGroup (11), SyncGroup (14), Heartbeat (12), LeaveGroup (13), OffsetCommit (8), OffsetFetch (9), DescribeGroups (15),
 * ListGroups (16), DeleteGroups (42), OffsetDelete (47). Each is `ask` -> `answer`: the coordinator decides, here is only who asks whom.
 *
 * A request that names several groups asks for each; ListGroups asks every shard. */
#include "../group_call.h"
#include "../topics.h"

enum { AT_ONCE = 3 };

struct call {
    struct group_asked *asked;
    int *errs; /* of asking */
    int n;
    int next;     /* who is asked one after the other: the first that was not */
    int64_t most; /* bytes of the largest answer so far */
};

static void groups_cleanup(struct req *rq)
{
    struct call *c = rq->call;
    for (int i = 0; c && i < c->n; i++) group_asked_free(&c->asked[i]);
}

/* Room for n to be asked. REQ_AGAIN: there is. */
static enum req_next call_room(struct req *rq, int n)
{
    int64_t bytes = (int64_t)n * (int64_t)(sizeof(struct group_asked) + sizeof(struct offset_fetch_response_group));
    if (n <= AT_ONCE) return REQ_AGAIN;
    return !req_fits(rq, bytes) ? REQ_CLOSE : req_pay(rq, bytes) ? REQ_AGAIN : REQ_WAIT;
}

static struct call *call_new(struct req *rq, int n)
{
    struct call *c = rq->call = arena_new(&rq->arena, struct call);
    c->n = n;
    c->asked = arena_array(&rq->arena, struct group_asked, n);
    c->errs = arena_array(&rq->arena, int, n);
    rq->cleanup = groups_cleanup;
    return c;
}

static void ask_one(struct req *rq, int i, struct slice group, const void *in, void *out)
{
    struct call *c = rq->call;
    c->asked[i].call.group = group;
    c->asked[i].call.in = in;
    c->asked[i].call.out = out;
    c->errs[i] = group_ask(rq, &c->asked[i]);
}

static bool answered(const struct call *c)
{
    for (int i = 0; i < c->n; i++)
        if (!c->errs[i] && !group_answered(&c->asked[i])) return false;
    return true;
}

/* Asks group i of n when it is its turn. */
typedef void ask_row(struct req *rq, int i);

/* Few answers are asked for at once. Many may be large, each, so they come one by one, and memory for one more as large as those before is there
 * before it is asked for. REQ_AGAIN: all are there. */
static enum req_next ask_each(struct req *rq, ask_row *ask)
{
    struct call *c = rq->call;
    for (;;) {
        if (c->next > 0 && c->n > AT_ONCE) {
            struct group_asked *last = &c->asked[c->next - 1];
            if (!c->errs[c->next - 1] && !group_answered(last)) return REQ_WAIT;
            if (last->counted < last->arena.charged) {
                rq->aside += (int64_t)(last->arena.charged - last->counted);
                last->counted = last->arena.charged;
                c->most = MAX(c->most, (int64_t)last->counted);
                if (req_outgrown(rq)) return REQ_CLOSE;
            }
            if (c->next < c->n && c->most > 0 && !req_pay(rq, c->most)) return REQ_WAIT;
        }
        if (c->next == c->n) return answered(c) ? REQ_AGAIN : REQ_WAIT;
        arena_settle(&rq->arena, 0);
        ask(rq, c->next++);
    }
}

/* ---- one group, the whole request ------------------------------------------------------------------------------------------------------- */

static enum req_next whole_answer(struct req *rq) { return answered(rq->call) ? REQ_DONE : REQ_WAIT; }

/* Asks; the error of asking is 0 or for the caller's error field. */
static int ask_whole(struct req *rq, struct slice group)
{
    struct call *c = call_new(rq, 1);
    ask_one(rq, 0, group, rq->in, rq->out);
    rq->step = whole_answer;
    return c->errs[0];
}

#define WHOLE(name, fail)                         \
    enum req_next name##_start(struct req *rq)    \
    {                                             \
        const struct name##_request *in = rq->in; \
        struct name##_response *out = rq->out;    \
        int err = ask_whole(rq, in->group_id);    \
        if (!err) return REQ_AGAIN;               \
        int16_t code = (int16_t)err_kafka(err);   \
        fail;                                     \
        return REQ_DONE;                          \
    }

WHOLE(join_group, {
    out->error_code = code;
    out->protocol_name = S("");
    out->member_id = in->member_id;
})
WHOLE(sync_group, {
    out->error_code = code;
    out->assignment = S("");
})
WHOLE(heartbeat, out->error_code = code)
WHOLE(leave_group, out->error_code = code)
WHOLE(offset_delete, out->error_code = code)
WHOLE(offset_commit, {
    out->topics_n = MAX(in->topics_n, 0);
    out->topics = wire_array(&rq->arena, offset_commit_response_topic, out->topics_n);
    for (int i = 0; i < out->topics_n; i++) {
        struct offset_commit_response_topic *t = &out->topics[i];
        t->name = in->topics[i].name;
        t->topic_id = in->topics[i].topic_id;
        t->partitions_n = MAX(in->topics[i].partitions_n, 0);
        t->partitions = wire_array(&rq->arena, offset_commit_response_partition, t->partitions_n);
        for (int k = 0; k < t->partitions_n; k++) {
            t->partitions[k].partition_index = in->topics[i].partitions[k].partition_index;
            t->partitions[k].error_code = code;
        }
    }
})

/* ---- OffsetFetch -------------------------------------------------------------------------------------------------------------------------- */

static void offset_fetch_ask(struct req *rq, int i)
{
    const struct call *c = rq->call;
    struct offset_fetch_response_group *answer = c->asked[i].call.out;
    ask_one(rq, i, answer->group_id, c->asked[i].call.in, answer);
}

/* v8+ asks for many groups; before, for one, in other structs. */
static enum req_next offset_fetch_answer(struct req *rq)
{
    const struct offset_fetch_request *in = rq->in;
    struct offset_fetch_response *out = rq->out;
    struct call *c = rq->call;
    enum req_next next = ask_each(rq, offset_fetch_ask);
    if (next != REQ_AGAIN) return next;
    for (int i = 0; i < c->n; i++) {
        struct offset_fetch_response_group *g = c->asked[i].call.out;
        if (c->errs[i]) g->error_code = (int16_t)err_kafka(c->errs[i]);
        if (rq->version >= 8) continue;
        /* The error is told for the group from v2 on, before that in every row. */
        out->error_code = g->error_code;
        out->topics_n = g->topics_n;
        out->topics = wire_array(&rq->arena, offset_fetch_response_topic, g->topics_n);
        for (int t = 0; t < g->topics_n; t++) {
            out->topics[t].name = g->topics[t].name;
            out->topics[t].partitions_n = g->topics[t].partitions_n;
            out->topics[t].partitions = wire_array(&rq->arena, offset_fetch_response_partition, g->topics[t].partitions_n);
            for (int p = 0; p < g->topics[t].partitions_n; p++) {
                const struct offset_fetch_response_partitions *from = &g->topics[t].partitions[p];
                struct offset_fetch_response_partition *to = &out->topics[t].partitions[p];
                to->partition_index = from->partition_index;
                to->committed_offset = from->committed_offset;
                to->committed_leader_epoch = from->committed_leader_epoch;
                to->metadata = from->metadata;
                to->error_code = from->error_code;
            }
        }
        if (rq->version >= 2 || !g->error_code || in->topics_n < 0) continue;
        out->topics_n = in->topics_n;
        out->topics = wire_array(&rq->arena, offset_fetch_response_topic, in->topics_n);
        for (int t = 0; t < in->topics_n; t++) {
            out->topics[t].name = in->topics[t].name;
            out->topics[t].partitions_n = MAX(in->topics[t].partition_indexes_n, 0);
            out->topics[t].partitions = wire_array(&rq->arena, offset_fetch_response_partition, out->topics[t].partitions_n);
            for (int p = 0; p < out->topics[t].partitions_n; p++) {
                out->topics[t].partitions[p].partition_index = in->topics[t].partition_indexes[p];
                out->topics[t].partitions[p].committed_offset = -1;
                out->topics[t].partitions[p].metadata = S("");
                out->topics[t].partitions[p].error_code = g->error_code;
            }
        }
    }
    return REQ_DONE;
}

enum req_next offset_fetch_start(struct req *rq)
{
    const struct offset_fetch_request *in = rq->in;
    struct offset_fetch_response *out = rq->out;
    bool many = rq->version >= 8;
    int n = many ? MAX(in->groups_n, 0) : 1;
    enum req_next room = call_room(rq, n);
    if (room != REQ_AGAIN) return room;
    struct offset_fetch_response_group *answers = wire_array(&rq->arena, offset_fetch_response_group, n);
    struct call *c = call_new(rq, n);

    if (many) {
        out->groups = answers;
        out->groups_n = n;
    }
    for (int i = 0; i < n; i++) {
        const struct offset_fetch_request_group *g = many ? &in->groups[i] : NULL;
        if (!many) {
            struct offset_fetch_request_group *one = wire_new(&rq->arena, offset_fetch_request_group);
            one->group_id = in->group_id;
            one->topics_n = in->topics_n;
            one->topics = wire_array(&rq->arena, offset_fetch_request_topics, MAX(in->topics_n, 0));
            for (int t = 0; t < in->topics_n; t++) {
                one->topics[t].name = in->topics[t].name;
                one->topics[t].partition_indexes = in->topics[t].partition_indexes;
                one->topics[t].partition_indexes_n = in->topics[t].partition_indexes_n;
            }
            g = one;
        }
        answers[i].group_id = g->group_id;
        c->asked[i].call.require_stable = in->require_stable;
        c->asked[i].call.in = g;
        c->asked[i].call.out = &answers[i];
    }
    return req_goto(rq, offset_fetch_answer);
}

/* ---- DescribeGroups, DeleteGroups --------------------------------------------------------------------------------------------------------- */

static void describe_groups_ask(struct req *rq, int i)
{
    struct describe_groups_response *out = rq->out;
    ask_one(rq, i, out->groups[i].group_id, NULL, &out->groups[i]);
}

static enum req_next describe_groups_answer(struct req *rq)
{
    struct describe_groups_response *out = rq->out;
    const struct describe_groups_request *in = rq->in;
    struct call *c = rq->call;
    enum req_next next = ask_each(rq, describe_groups_ask);
    if (next != REQ_AGAIN) return next;
    for (int i = 0; i < c->n; i++) {
        if (c->errs[i]) out->groups[i].error_code = (int16_t)err_kafka(c->errs[i]);
        if (!out->groups[i].error_code && in->include_authorized_operations) out->groups[i].authorized_operations = OPS_GROUP;
    }
    return REQ_DONE;
}

enum req_next describe_groups_start(struct req *rq)
{
    const struct describe_groups_request *in = rq->in;
    struct describe_groups_response *out = rq->out;
    enum req_next room = call_room(rq, MAX(in->groups_n, 0));
    if (room != REQ_AGAIN) return room;
    out->groups_n = MAX(in->groups_n, 0);
    out->groups = wire_array(&rq->arena, describe_groups_response_described_group, out->groups_n);
    (void)call_new(rq, out->groups_n);
    for (int i = 0; i < out->groups_n; i++) out->groups[i].group_id = in->groups[i];
    return req_goto(rq, describe_groups_answer);
}

static enum req_next delete_groups_answer(struct req *rq)
{
    struct delete_groups_response *out = rq->out;
    struct call *c = rq->call;
    if (!answered(c)) return REQ_WAIT;
    for (int i = 0; i < c->n; i++)
        if (c->errs[i]) out->results[i].error_code = (int16_t)err_kafka(c->errs[i]);
    return REQ_DONE;
}

enum req_next delete_groups_start(struct req *rq)
{
    const struct delete_groups_request *in = rq->in;
    struct delete_groups_response *out = rq->out;
    enum req_next room = call_room(rq, MAX(in->groups_names_n, 0));
    if (room != REQ_AGAIN) return room;
    out->results_n = MAX(in->groups_names_n, 0);
    out->results = wire_array(&rq->arena, delete_groups_response_deletable_group_result, out->results_n);
    (void)call_new(rq, out->results_n);
    for (int i = 0; i < out->results_n; i++) {
        out->results[i].group_id = in->groups_names[i];
        ask_one(rq, i, in->groups_names[i], NULL, &out->results[i]);
    }
    return req_goto(rq, delete_groups_answer);
}

/* ---- ListGroups ------------------------------------------------------------------------------------------------------------------------------ */

static enum req_next list_groups_answer(struct req *rq)
{
    struct list_groups_response *out = rq->out;
    struct call *c = rq->call;
    int n = 0;
    if (!answered(c)) return REQ_WAIT;
    for (int i = 0; i < c->n; i++) n += ((struct list_groups_response *)c->asked[i].call.out)->groups_n;
    out->groups = wire_array(&rq->arena, list_groups_response_listed_group, n);
    for (int i = 0; i < c->n; i++) {
        const struct list_groups_response *part = c->asked[i].call.out;
        if (part->error_code) out->error_code = part->error_code;
        for (int k = 0; k < part->groups_n; k++) out->groups[out->groups_n++] = part->groups[k];
    }
    return REQ_DONE;
}

enum req_next list_groups_start(struct req *rq)
{
    int n = rq->shard->broker->shards_n;
    struct list_groups_response *parts = wire_array(&rq->arena, list_groups_response, n);
    struct call *c = call_new(rq, n);
    for (int i = 0; i < n; i++) {
        c->asked[i].call.in = rq->in;
        c->asked[i].call.out = &parts[i];
        group_ask_shard(rq, &c->asked[i], i);
    }
    return req_goto(rq, list_groups_answer);
}
