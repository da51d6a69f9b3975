/* Metadata (key 3), v0–13. v1 null = all topics (v0: an empty list); v4 auto-creation may be forbidden; v7 leader epochs; v8 authorised
 * operations; v10 topic ids; v12 topics by id; v13 top-level error.
 *
 * metadata_start  ->  (topics are missing and may be created) metadata_created  ->  answer: from the image that has them, so with a leader. */
#include "../req.h"
#include "../shard.h"
#include "../topics.h"

enum { FEW = 50 }; /* topics, whose answer is not worth counting */

static enum req_next metadata_created(struct req *rq);
static enum req_next metadata_answer(struct req *rq);

static bool all_topics(const struct req *rq)
{
    const struct metadata_request *in = rq->in;
    return in->topics_n < 0 || (rq->version == 0 && in->topics_n == 0);
}

enum req_next metadata_start(struct req *rq)
{
    const struct metadata_request *in = rq->in;
    const struct image *im = req_image(rq);
    struct slice message;

    if (all_topics(rq) || (rq->version >= 4 && !in->allow_auto_topic_creation) ||
        !conf_bool(im->conf, CONF_AUTO_CREATE_TOPICS_ENABLE))
        return req_goto(rq, metadata_answer);
    struct topics_create *tc = arena_new(&rq->arena, struct topics_create);
    tc->names = arena_array(&rq->arena, struct slice, in->topics_n);
    for (int i = 0; i < in->topics_n; i++) {
        struct slice name = in->topics[i].name;
        if (!name.p || !uuid_is_zero(in->topics[i].topic_id) || image_topic(im, name) ||
            topic_name_check(name, &rq->arena, &message))
            continue;
        tc->names[tc->n++] = name;
    }
    if (tc->n == 0) return req_goto(rq, metadata_answer);
    rq->call = tc;
    topics_create(rq, tc);
    return req_goto(rq, metadata_created);
}

static enum req_next metadata_created(struct req *rq)
{
    struct topics_create *tc = rq->call;
    if (!atomic_load_explicit(&tc->change.done, memory_order_acquire)) return REQ_WAIT;
    (void)req_image_new(rq);
    return req_goto(rq, metadata_answer);
}

static void fill_topic(struct req *rq, const struct image_topic *t, struct metadata_response_topic *o)
{
    const struct metadata_request *in = rq->in;
    int32_t *me = arena_alloc(&rq->arena, sizeof *me);
    *me = rq->shard->broker->node_id;
    o->name = t->name;
    o->topic_id = t->id;
    o->is_internal = t->internal;
    if (in->include_topic_authorized_operations) o->topic_authorized_operations = OPS_TOPIC;
    o->partitions_n = t->partitions_n;
    o->partitions = wire_array(&rq->arena, metadata_response_partition, t->partitions_n);
    for (int i = 0; i < t->partitions_n; i++) {
        const struct image_partition *p = &t->partitions[i];
        bool up = p->log != NULL && p->leader >= 0;
        struct metadata_response_partition *op = &o->partitions[i];
        op->error_code = up ? 0 : KAFKA_LEADER_NOT_AVAILABLE;
        op->partition_index = i;
        op->leader_id = up ? *me : -1;
        op->leader_epoch = p->leader_epoch;
        op->replica_nodes = op->isr_nodes = me;
        op->replica_nodes_n = op->isr_nodes_n = 1;
        op->offline_replicas = up ? NULL : me;
        op->offline_replicas_n = up ? 0 : 1;
    }
}

static int find_failed(const struct topics_create *tc, struct slice name)
{
    for (int i = 0; tc && i < tc->n; i++)
        if (slice_eq(tc->names[i], name)) return tc->change.err ? tc->change.err : tc->errs[i];
    return 0;
}

/* The topic that a row asks for; NULL: there is none. */
static const struct image_topic *find_topic(const struct req *rq, const struct image *im, const struct metadata_request_topic *in)
{
    if (rq->version >= 10 && !uuid_is_zero(in->topic_id)) return image_topic_by_id(im, in->topic_id);
    return in->name.p ? image_topic(im, in->name) : NULL;
}

static void answer_topic(struct req *rq, const struct image *im, const struct metadata_request_topic *in,
                         struct metadata_response_topic *o)
{
    struct slice message;
    bool by_id = rq->version >= 10 && !uuid_is_zero(in->topic_id);
    const struct image_topic *t = find_topic(rq, im, in);
    if (t) {
        fill_topic(rq, t, o);
        return;
    }
    o->name = by_id ? (struct slice){ 0 } : in->name.p ? in->name : S("");
    if (by_id && rq->version < 12) o->name = S("");
    o->topic_id = in->topic_id;
    if (by_id) {
        o->error_code = KAFKA_UNKNOWN_TOPIC_ID;
    } else if (!in->name.p || topic_name_check(in->name, &rq->arena, &message)) {
        o->error_code = KAFKA_INVALID_TOPIC_EXCEPTION;
    } else {
        int rc = find_failed(rq->call, in->name);
        o->error_code = rc ? (int16_t)err_kafka(rc) : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    }
}

/* What the answer takes. */
static int64_t answer_bytes(struct req *rq)
{
    const struct metadata_request *in = rq->in;
    const struct image *im = req_image(rq);
    bool all = all_topics(rq);
    int64_t topics = all ? im->topics_n : in->topics_n, partitions = all ? im->partitions_total : 0;
    for (int i = 0; !all && i < in->topics_n; i++) {
        const struct image_topic *t = find_topic(rq, im, &in->topics[i]);
        if (t) partitions += t->partitions_n;
    }
    return topics * (int64_t)(sizeof(struct metadata_response_topic) + 2 * sizeof(int64_t)) +
           partitions * (int64_t)sizeof(struct metadata_response_partition);
}

static enum req_next metadata_answer(struct req *rq)
{
    const struct metadata_request *in = rq->in;
    struct metadata_response *out = rq->out;
    const struct broker *b = rq->shard->broker;
    const struct image *im = req_image(rq);
    bool all = all_topics(rq);
    int port;

    if ((all || in->topics_n > FEW) && !req_pay(rq, answer_bytes(rq))) return REQ_WAIT;
    out->brokers_n = 1;
    out->brokers = wire_new(&rq->arena, metadata_response_broker);
    out->brokers->node_id = b->node_id;
    out->brokers->host = client_advertised_host(rq->client, &rq->arena, &port);
    out->brokers->port = port;
    out->cluster_id = slice_of(b->cluster_id);
    out->controller_id = b->node_id; /* K15 */
    if (in->include_cluster_authorized_operations) out->cluster_authorized_operations = OPS_CLUSTER;
    out->topics_n = all ? im->topics_n : in->topics_n;
    out->topics = wire_array(&rq->arena, metadata_response_topic, out->topics_n);
    for (int i = 0; i < out->topics_n; i++) {
        struct metadata_response_topic *o = &out->topics[i];
        if (req_outgrown(rq)) return REQ_CLOSE;
        if (all) {
            fill_topic(rq, im->topics[i], o);
        } else {
            answer_topic(rq, im, &in->topics[i], o);
        }
    }
    return REQ_DONE;
}
