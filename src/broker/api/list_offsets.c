/* ListOffsets (key 2), v1–11. v4 leader epochs; v7 max timestamp (-3); v8 earliest local (-4); v9 latest tiered (-5); v10 timeout; v11 earliest
 * pending upload (-6).
 *
 * What survives a power cut is what was acknowledged with acks=all or shown to a consumer; so that clients with acks=1 read their own
 * writes, latest, a timestamp and the max timestamp first wait for a commit that covers the end seen on arrival (DESIGN.md §1.2):
 * list_start  ->  list_durable  ->  answer. There is no tiered storage: its specials answer as Kafka does without it. */
#include "../req.h"
#include "../shard.h"
#include "../topics.h"

enum { TS_LATEST = -1, TS_EARLIEST = -2, TS_MAX = -3, TS_EARLIEST_LOCAL = -4, TS_LATEST_TIERED = -5, TS_PENDING_UPLOAD = -6 };

struct row {
    const struct list_offsets_request_list_offsets_partition *in;
    struct list_offsets_response_list_offsets_partition_response *out;
    struct plog *log;
    struct watch watch;
    int64_t end; /* as seen on arrival */
    int err;
    bool waits;
};
struct call {
    struct row *rows;
    int n;
};

static enum req_next list_durable(struct req *rq);

static void list_cleanup(struct req *rq)
{
    struct call *c = rq->call;
    for (int i = 0; c && i < c->n; i++) {
        plog_unwatch(&c->rows[i].watch);
        if (c->rows[i].log) plog_unref(&c->rows[i].log);
    }
}

static int row_find(struct row *r, const struct image_topic *t)
{
    const struct image_partition *p;
    int rc = topic_partition(t, r->in->partition_index, &p);
    if (!rc) rc = partition_epoch_check(p, r->in->current_leader_epoch);
    if (rc) return rc;
    if (r->in->timestamp < TS_PENDING_UPLOAD) return E_UNSUPPORTED_VERSION;
    r->log = plog_ref(p->log);
    return 0;
}

enum req_next list_offsets_start(struct req *rq)
{
    const struct list_offsets_request *in = rq->in;
    struct list_offsets_response *out = rq->out;
    const struct image *im = req_image(rq);
    struct call *c = rq->call = arena_new(&rq->arena, struct call);
    int k = 0;

    rq->cleanup = list_cleanup;
    for (int i = 0; i < in->topics_n; i++) c->n += MAX(in->topics[i].partitions_n, 0);
    c->rows = arena_array(&rq->arena, struct row, c->n);
    out->topics_n = MAX(in->topics_n, 0);
    out->topics = wire_array(&rq->arena, list_offsets_response_list_offsets_topic_response, out->topics_n);
    for (int i = 0; i < in->topics_n; i++) {
        const struct list_offsets_request_list_offsets_topic *t = &in->topics[i];
        struct list_offsets_response_list_offsets_topic_response *o = &out->topics[i];
        const struct image_topic *topic = image_topic(im, t->name);
        o->name = t->name;
        o->partitions_n = MAX(t->partitions_n, 0);
        o->partitions = wire_array(&rq->arena, list_offsets_response_list_offsets_partition_response, o->partitions_n);
        for (int j = 0; j < t->partitions_n; j++, k++) {
            struct row *r = &c->rows[k];
            r->in = &t->partitions[j];
            r->out = &o->partitions[j];
            r->out->partition_index = r->in->partition_index;
            r->err = row_find(r, topic);
            for (int d = 0; d < j && !r->err; d++)
                if (t->partitions[d].partition_index == r->in->partition_index) r->err = E_INVALID_REQUEST;
            if (r->err || !(r->in->timestamp >= 0 || r->in->timestamp == TS_LATEST || r->in->timestamp == TS_MAX)) continue;
            struct plog_offsets at;
            plog_offsets(r->log, &at);
            r->end = at.end;
            r->waits = at.watermark < at.end;
            if (r->waits) plog_commit(r->log);
        }
    }
    req_deadline(rq, rq->version >= 10 && in->timeout_ms > 0 ? in->timeout_ms : conf_i64(im->conf, CONF_REQUEST_TIMEOUT_MS));
    return req_goto(rq, list_durable);
}

static void row_answer(struct row *r, enum read_upto upto)
{
    struct plog_offsets at;
    int64_t ts = r->in->timestamp;
    plog_offsets(r->log, &at);
    if (at.gone || at.offline) {
        r->err = at.gone ? E_UNKNOWN_TOPIC_OR_PARTITION : E_KAFKA_STORAGE_ERROR;
        return;
    }
    switch (ts) {
    case TS_LATEST:
        r->out->offset = upto == READ_STABLE ? at.stable : at.watermark;
        r->out->leader_epoch = at.leader_epoch;
        break;
    case TS_EARLIEST:
    case TS_EARLIEST_LOCAL:
        r->out->offset = at.start;
        r->out->leader_epoch = plog_epoch_at(r->log, at.start);
        break;
    case TS_LATEST_TIERED:
    case TS_PENDING_UPLOAD: break; /* -1, -1: nothing is tiered */
    case TS_MAX: r->err = plog_find_max_time(r->log, upto, &r->out->offset, &r->out->timestamp, &r->out->leader_epoch); break;
    default: r->err = plog_find_time(r->log, ts, upto, &r->out->offset, &r->out->timestamp, &r->out->leader_epoch); break;
    }
}

static enum req_next list_durable(struct req *rq)
{
    const struct list_offsets_request *in = rq->in;
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
    for (int i = 0; i < c->n; i++) {
        struct row *r = &c->rows[i];
        if (!r->err) row_answer(r, in->isolation_level == 1 ? READ_STABLE : READ_WATERMARK);
        if (rq->version < 4) r->out->leader_epoch = -1;
        if (!r->err) continue;
        r->out->error_code = (int16_t)err_kafka(r->err);
        r->out->offset = r->out->timestamp = -1;
        r->out->leader_epoch = -1;
    }
    return REQ_DONE;
}
