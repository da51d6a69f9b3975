/* DeleteRecords (key 21), v0–2: moves log start offsets up. -1 means the high watermark; so that a client with acks=1 deletes what it has just
 * written, that first waits for a commit of the end seen on arrival (DESIGN.md §1.2). The disk work is done on the crunch worker. */
#include "../req.h"
#include "../shard.h"
#include "../topics.h"

struct row {
    const struct delete_records_request_delete_records_partition *in;
    struct delete_records_response_delete_records_partition_result *out;
    struct plog *log;
    struct watch watch;
    int64_t end;
    int err;
    bool waits;
};
struct call {
    struct crunch_job job;
    struct row *rows;
    int n;
};

static enum req_next delete_durable(struct req *rq);
static enum req_next delete_answer(struct req *rq);

static void delete_cleanup(struct req *rq)
{
    struct call *c = rq->call;
    for (int i = 0; c && i < c->n; i++) {
        plog_unwatch(&c->rows[i].watch);
        if (c->rows[i].log) plog_unref(&c->rows[i].log);
    }
}

static int row_find(struct row *r, const struct image_topic *t)
{
    struct plog_offsets at;
    const struct image_partition *p;
    int rc = topic_partition(t, r->in->partition_index, &p);
    if (rc == E_UNKNOWN_TOPIC_OR_PARTITION) return rc;
    if (t->internal) return E_INVALID_TOPIC_EXCEPTION;
    if (!t->conf.cleanup_delete && t->conf.cleanup_compact) return E_POLICY_VIOLATION;
    if (rc) return rc;
    r->log = plog_ref(p->log);
    plog_offsets(r->log, &at);
    r->end = at.end;
    r->waits = r->in->offset == -1 && at.watermark < at.end;
    if (r->waits) plog_commit(r->log);
    return 0;
}

static void delete_crunch(struct crunch_job *j)
{
    struct call *c = container_of(j, struct call, job);
    for (int i = 0; i < c->n; i++)
        if (!c->rows[i].err)
            c->rows[i].err = plog_delete_records(c->rows[i].log, c->rows[i].in->offset, &c->rows[i].out->low_watermark);
}

enum req_next delete_records_start(struct req *rq)
{
    const struct delete_records_request *in = rq->in;
    struct delete_records_response *out = rq->out;
    const struct image *im = req_image(rq);
    struct call *c = rq->call = arena_new(&rq->arena, struct call);
    int k = 0;

    rq->cleanup = delete_cleanup;
    for (int i = 0; i < in->topics_n; i++) c->n += MAX(in->topics[i].partitions_n, 0);
    c->rows = arena_array(&rq->arena, struct row, c->n);
    out->topics_n = MAX(in->topics_n, 0);
    out->topics = wire_array(&rq->arena, delete_records_response_delete_records_topic_result, out->topics_n);
    for (int i = 0; i < out->topics_n; i++) {
        const struct delete_records_request_delete_records_topic *t = &in->topics[i];
        struct delete_records_response_delete_records_topic_result *o = &out->topics[i];
        o->name = t->name;
        o->partitions_n = MAX(t->partitions_n, 0);
        o->partitions = wire_array(&rq->arena, delete_records_response_delete_records_partition_result, o->partitions_n);
        for (int j = 0; j < o->partitions_n; j++, k++) {
            c->rows[k].in = &t->partitions[j];
            c->rows[k].out = &o->partitions[j];
            o->partitions[j].partition_index = t->partitions[j].partition_index;
            c->rows[k].err = row_find(&c->rows[k], image_topic(im, t->name));
        }
    }
    req_deadline(rq, MAX(in->timeout_ms, 1));
    return req_goto(rq, delete_durable);
}

static enum req_next delete_durable(struct req *rq)
{
    struct call *c = rq->call;
    for (int i = 0; i < c->n; i++) {
        struct row *r = &c->rows[i];
        if (!r->waits) continue;
        if (plog_watch(r->log, &r->watch, req_home(rq), req_ticket(rq), WATCH_WATERMARK, r->end)) {
            if (!rq->expired) return REQ_WAIT;
            plog_unwatch(&r->watch);
            r->err = E_REQUEST_TIMED_OUT;
        }
        r->waits = false;
    }
    c->job.run = delete_crunch;
    c->job.home = req_home(rq);
    c->job.who = req_ticket(rq);
    crunch_submit(rq->shard->broker->crunch, &c->job);
    return req_goto(rq, delete_answer);
}

static enum req_next delete_answer(struct req *rq)
{
    struct call *c = rq->call;
    if (!atomic_load_explicit(&c->job.done, memory_order_acquire)) return REQ_WAIT;
    for (int i = 0; i < c->n; i++) {
        if (!c->rows[i].err) continue;
        c->rows[i].out->error_code = (int16_t)err_kafka(c->rows[i].err);
        c->rows[i].out->low_watermark = -1;
    }
    return REQ_DONE;
}
