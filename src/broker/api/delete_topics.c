/* DeleteTopics (key 20), v1–6. v4 flexible; v5 error messages; v6 by id. Internal topics are protected: in them lies what was acknowledged to
 * groups (Apache Kafka deletes them when asked). */
#include "../coordinator.h"
#include "../req.h"
#include "../shard.h"
#include "../topics.h"

struct call {
    struct meta_change change;
    struct req *rq;
    struct slice *deleted; /* names */
    int deleted_n;
};

static int row_fail(struct delete_topics_response_deletable_topic_result *o, int err, struct slice message)
{
    o->error_code = (int16_t)err_kafka(err);
    o->error_message = message;
    return err;
}

static int delete_run(struct meta_change *change, struct meta_edit *e)
{
    struct call *c = container_of(change, struct call, change);
    struct delete_topics_response *out = c->rq->out;
    const struct image *im = edit_image(e);
    for (int i = 0; i < out->responses_n; i++) {
        struct delete_topics_response_deletable_topic_result *o = &out->responses[i];
        if (o->error_code) continue;
        bool by_id = !uuid_is_zero(o->topic_id);
        const struct image_topic *t = by_id ? image_topic_by_id(im, o->topic_id) : image_topic(im, o->name);
        if (!t) {
            (void)row_fail(o, by_id ? E_UNKNOWN_TOPIC_ID : E_UNKNOWN_TOPIC_OR_PARTITION,
                           by_id ? S("This server does not host this topic ID.")
                                 : S("This server does not host this topic-partition."));
            continue;
        }
        if (t->internal) {
            (void)row_fail(o, E_INVALID_TOPIC_EXCEPTION,
                           arena_printf(&c->rq->arena, "Topic '" S_FMT "' is internal and cannot be deleted.", S_ARG(t->name)));
            continue;
        }
        o->name = arena_copy(&c->rq->arena, t->name);
        o->topic_id = t->id;
        bool twice = false;
        for (int k = 0; k < c->deleted_n; k++) twice |= slice_eq(c->deleted[k], t->name);
        if (twice) continue; /* once by name and once by id */
        c->deleted[c->deleted_n++] = o->name;
        edit_delete_topic(e, t);
    }
    return 0;
}

static enum req_next delete_topics_answer(struct req *rq)
{
    struct call *c = rq->call;
    struct delete_topics_response *out = rq->out;
    if (!atomic_load_explicit(&c->change.done, memory_order_acquire)) return REQ_WAIT;
    for (int i = 0; c->change.err && i < out->responses_n; i++)
        if (!out->responses[i].error_code) (void)row_fail(&out->responses[i], c->change.err, slice_of(err_text(c->change.err)));
    if (!c->change.err) coordinator_topics_deleted(rq->shard->broker->coordinator, c->deleted, c->deleted_n);
    return REQ_DONE;
}

enum req_next delete_topics_start(struct req *rq)
{
    const struct delete_topics_request *in = rq->in;
    struct delete_topics_response *out = rq->out;
    struct call *c = rq->call = arena_new(&rq->arena, struct call);
    bool allowed = conf_bool(req_image(rq)->conf, CONF_DELETE_TOPIC_ENABLE);
    bool states = rq->version >= 6;

    out->responses_n = MAX(states ? in->topics_n : in->topic_names_n, 0);
    out->responses = wire_array(&rq->arena, delete_topics_response_deletable_topic_result, out->responses_n);
    c->deleted = arena_array(&rq->arena, struct slice, out->responses_n);
    for (int i = 0; i < out->responses_n; i++) {
        struct delete_topics_response_deletable_topic_result *o = &out->responses[i];
        o->name = states ? in->topics[i].name : in->topic_names[i];
        if (states) o->topic_id = in->topics[i].topic_id;
        bool by_id = !uuid_is_zero(o->topic_id);
        if (!allowed) {
            (void)row_fail(o, rq->version < 3 ? E_INVALID_REQUEST : E_TOPIC_DELETION_DISABLED, S("Topic deletion is disabled."));
        } else if (by_id && o->name.p) {
            (void)row_fail(o, E_INVALID_REQUEST, S("You may not specify both topic name and topic id."));
        } else if (!by_id && !o->name.p) {
            (void)row_fail(o, E_INVALID_REQUEST, S("Neither topic name nor id were specified."));
        }
        for (int k = 0; k < i; k++) {
            bool same =
                by_id ? uuid_eq(out->responses[k].topic_id, o->topic_id) : o->name.p && slice_eq(out->responses[k].name, o->name);
            if (!same || !allowed) continue;
            struct slice text = by_id ? S("Duplicate topic id.") : S("Duplicate topic name.");
            (void)row_fail(o, E_INVALID_REQUEST, text);
            (void)row_fail(&out->responses[k], E_INVALID_REQUEST, text);
        }
    }
    c->rq = rq;
    c->change.run = delete_run;
    c->change.home = req_home(rq);
    c->change.who = req_ticket(rq);
    meta_submit(rq->shard->broker->meta, &c->change);
    return req_goto(rq, delete_topics_answer);
}
