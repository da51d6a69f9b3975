/* CreatePartitions (key 37), v0–3: more partitions for topics that exist.
 * Differs from Kafka: a row that would make the request's records too many is refused whole, in Kafka's words; Kafka creates some of its
 * partitions all the same, and refuses whatever follows. */
#include "../req.h"
#include "../shard.h"
#include "../topics.h"

struct call {
    struct meta_change change;
    struct req *rq;
    bool *again;     /* rows of a name that an earlier row has: all of them get one answer */
    int32_t records; /* staged, or that would be */
};

static void row_fail(struct create_partitions_response_create_partitions_topic_result *o, int err, struct slice message)
{
    o->error_code = (int16_t)err_kafka(err);
    o->error_message = message;
}

static void row_run(struct req *rq, struct meta_edit *e, const struct create_partitions_request_create_partitions_topic *t,
                    struct create_partitions_response_create_partitions_topic_result *o)
{
    const struct create_partitions_request *in = rq->in;
    struct call *c = rq->call;
    const struct image_topic *topic = image_topic(edit_image(e), t->name);
    struct arena *a = &rq->arena;
    int32_t me = rq->shard->broker->node_id;

    if (!topic) {
        row_fail(o, E_UNKNOWN_TOPIC_OR_PARTITION, (struct slice){ 0 });
        return;
    }
    int32_t now = topic->partitions_n;
    if (t->count == now) {
        row_fail(o, E_INVALID_PARTITIONS, arena_printf(a, "Topic already has %d partition(s).", now));
        return;
    }
    if (t->count < now) {
        row_fail(o, E_INVALID_PARTITIONS,
                 arena_printf(a, "The topic " S_FMT " currently has %d partition(s); %d would not be an increase.",
                              S_ARG(t->name), now, t->count));
        return;
    }
    int32_t more = t->count - now;
    if (t->assignments_n >= 0) {
        if (t->assignments_n != more) {
            row_fail(o, E_INVALID_REPLICA_ASSIGNMENT,
                     arena_printf(a, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.",
                                  more, t->assignments_n));
            return;
        }
        for (int i = 0; i < t->assignments_n; i++) {
            for (int k = 0; k < t->assignments[i].broker_ids_n; k++) {
                if (t->assignments[i].broker_ids[k] == me && t->assignments[i].broker_ids_n == 1) continue;
                row_fail(
                    o, E_INVALID_REPLICA_ASSIGNMENT,
                    t->assignments[i].broker_ids[k] == me
                        ? S("The manual partition assignment includes a partition with 2 replica(s), but this is not consistent "
                            "with previous partitions, which have 1 "
                            "replica(s).")
                        : arena_printf(a, "The manual partition assignment includes broker %d, but no such broker is registered.",
                                       t->assignments[i].broker_ids[k]));
                return;
            }
        }
    }
    if (more > REQUEST_RECORDS_MAX - c->records) {
        row_fail(o, E_UNKNOWN_SERVER_ERROR, (struct slice){ 0 });
        return;
    }
    c->records += more;
    if (!in->validate_only) edit_add_partitions(e, topic, t->count);
}

static int create_run(struct meta_change *change, struct meta_edit *e)
{
    struct req *rq = container_of(change, struct call, change)->rq;
    const struct create_partitions_request *in = rq->in;
    struct create_partitions_response *out = rq->out;
    for (int i = 0; i < in->topics_n; i++)
        if (!out->results[i].error_code) row_run(rq, e, &in->topics[i], &out->results[i]);
    return 0;
}

static enum req_next create_partitions_answer(struct req *rq)
{
    struct call *c = rq->call;
    struct create_partitions_response *out = rq->out;
    if (!atomic_load_explicit(&c->change.done, memory_order_acquire)) return REQ_WAIT;
    for (int i = 0; c->change.err && i < out->results_n; i++)
        if (!out->results[i].error_code) row_fail(&out->results[i], c->change.err, slice_of(err_text(c->change.err)));
    int n = 0;
    for (int i = 0; i < out->results_n; i++)
        if (!c->again[i]) out->results[n++] = out->results[i];
    out->results_n = n;
    return REQ_DONE;
}

enum req_next create_partitions_start(struct req *rq)
{
    const struct create_partitions_request *in = rq->in;
    struct create_partitions_response *out = rq->out;
    struct call *c = rq->call = arena_new(&rq->arena, struct call);

    out->results_n = MAX(in->topics_n, 0);
    out->results = wire_array(&rq->arena, create_partitions_response_create_partitions_topic_result, out->results_n);
    struct slice *names = arena_array(&rq->arena, struct slice, out->results_n);
    for (int i = 0; i < out->results_n; i++) names[i] = out->results[i].name = in->topics[i].name;
    const struct name_row *v = names_rows(&rq->arena, names, out->results_n);
    c->again = arena_array(&rq->arena, bool, out->results_n);
    for (int i = 0; i < out->results_n; i++) {
        c->again[i] = v[i].first != i;
        if (v[v[i].first].twice) row_fail(&out->results[i], E_INVALID_REQUEST, S("Duplicate topic name."));
    }
    c->rq = rq;
    c->change.run = create_run;
    c->change.home = req_home(rq);
    c->change.who = req_ticket(rq);
    meta_submit(rq->shard->broker->meta, &c->change);
    return req_goto(rq, create_partitions_answer);
}
