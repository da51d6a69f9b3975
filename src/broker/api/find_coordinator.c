/* FindCoordinator (key 10), v0–6. v1 key types; v4 many keys; v6 share keys. Always this broker; asking for a group makes __consumer_offsets
 * exist, as in Kafka. */
#include "../req.h"
#include "../shard.h"
#include "../topics.h"

enum { KEY_GROUP, KEY_TRANSACTION, KEY_SHARE };

static struct slice offsets_topic = { "__consumer_offsets", sizeof "__consumer_offsets" - 1 };

static void row_answer(struct req *rq, struct slice key, int8_t type, int err, struct find_coordinator_response_coordinator *o)
{
    int port = 0;
    o->key = key;
    o->node_id = -1;
    o->host = S("");
    o->port = -1;
    o->error_message = (struct slice){ 0 };
    if (!err && type != KEY_GROUP && type != KEY_TRANSACTION) err = E_INVALID_REQUEST;
    if (!err) {
        o->node_id = rq->shard->broker->node_id;
        o->host = client_advertised_host(rq->client, &rq->arena, &port);
        o->port = port;
        if (rq->version < 4) o->error_message = S("NONE");
        return;
    }
    o->error_code = (int16_t)err_kafka(err);
    o->error_message = slice_of(err_text(err));
}

static enum req_next find_answer(struct req *rq)
{
    const struct find_coordinator_request *in = rq->in;
    struct find_coordinator_response *out = rq->out;
    struct topics_create *tc = rq->call;
    int err = 0;
    if (tc) {
        if (!atomic_load_explicit(&tc->change.done, memory_order_acquire)) return REQ_WAIT;
        if (tc->change.err || tc->errs[0]) err = E_COORDINATOR_NOT_AVAILABLE;
    }
    if (rq->version >= 4) {
        out->coordinators_n = MAX(in->coordinator_keys_n, 0);
        out->coordinators = wire_array(&rq->arena, find_coordinator_response_coordinator, out->coordinators_n);
        for (int i = 0; i < out->coordinators_n; i++)
            row_answer(rq, in->coordinator_keys[i], in->key_type, err, &out->coordinators[i]);
        return REQ_DONE;
    }
    struct find_coordinator_response_coordinator one = dflt_find_coordinator_response_coordinator;
    row_answer(rq, in->key, in->key_type, err, &one);
    out->error_code = one.error_code;
    out->error_message = rq->version >= 1 ? one.error_message : (struct slice){ 0 };
    out->node_id = one.node_id;
    out->host = one.host;
    out->port = one.port;
    return REQ_DONE;
}

enum req_next find_coordinator_start(struct req *rq)
{
    const struct find_coordinator_request *in = rq->in;
    if (in->key_type == KEY_GROUP && topics_missing(req_image(rq), &offsets_topic, 1)) {
        struct topics_create *tc = rq->call = arena_new(&rq->arena, struct topics_create);
        tc->names = &offsets_topic;
        tc->n = 1;
        topics_create(rq, tc);
    }
    return req_goto(rq, find_answer);
}
