/* Produce (key 0), v3–13. v9 flexible; v10 current leader; v12 implicit transactions; v13 topic ids.
 *
 * produce_start checks every batch and stages what is good  ->  produce_appended, once the queue's owner has written  ->  (acks=all)
 * produce_durable, once the high watermark has passed  ->  answer. acks=1 is answered by the page cache, acks=all by the disk too (the disk is
 * the follower); acks=0 not at all, but an error closes the connection, as in Kafka. Large compressed batches are opened on the crunch
 * worker first; then the next request of the connection waits, so that it cannot overtake (DESIGN.md §4). */
#include "../req.h"
#include "../shard.h"

enum {
    INLINE_INSIDE_MAX = 32 * 1024,  /* compressed batches up to this size are opened on the loop */
    INLINE_INFLATE_MAX = 256 * 1024 /* and at most this much comes out of them there */
};

struct row {
    struct produce_request_partition_produce_data *in;
    struct produce_response_partition_produce_response *out;
    struct plog *log;
    const struct topic_conf *conf;
    uint8_t *bytes; /* what is appended: the client's batch in place, or its recompressed copy */
    size_t n;
    struct bytes recompressed;
    struct batch_rules rules;
    struct batch_info info;
    struct append append;
    struct watch watch;
    int err;
    bool crunch; /* its inside is still to be looked at, or it is to be recompressed */
    bool waits;  /* staged, and not answered yet */
};
struct call {
    struct crunch_job job;
    struct arena *arena;
    struct row *rows;
    int n;
    int n_crunch;
};

static enum req_next produce_crunched(struct req *rq);
static enum req_next produce_appended(struct req *rq);
static enum req_next produce_durable(struct req *rq);
static enum req_next produce_answer(struct req *rq);

static void produce_cleanup(struct req *rq)
{
    struct call *c = rq->call;
    for (int i = 0; c && i < c->n; i++) {
        plog_unwatch(&c->rows[i].watch);
        bytes_free(&c->rows[i].recompressed);
        if (c->rows[i].log) plog_unref(&c->rows[i].log);
    }
}

/* Says why in the answer: once per row. */
static void row_fail(struct row *r, int err)
{
    r->err = err;
    r->out->error_code = (int16_t)err_kafka(err);
    r->out->base_offset = -1;
    r->out->log_start_offset = -1;
    if (r->info.message.p) r->out->error_message = r->info.message;
    if (r->info.error_count > 0 && r->info.errors) {
        int n = MIN(r->info.error_count, (int)BATCH_ERRORS_MAX);
        for (int i = 0; i < n; i++) {
            r->out->record_errors[i].batch_index = r->info.errors[i].index;
            r->out->record_errors[i].batch_index_error_message = r->info.errors[i].message;
        }
        r->out->record_errors_n = n;
    }
}

static void row_refuse(struct call *c, struct row *r, int err)
{
    if (r->info.error_count > 0 && r->info.errors) {
        int n = MIN(r->info.error_count, (int)BATCH_ERRORS_MAX);
        r->out->record_errors = wire_array(c->arena, produce_response_batch_index_and_error_message, n);
    }
    row_fail(r, err);
    log_debug("produce", "refused", KV_SLICE("topic", r->rules.topic), KV_I64("partition", r->rules.partition), KV_ERR(err),
              KV_STR("reason", r->info.reason ? r->info.reason : ""));
}

/* The topic's codec is not the batch's. */
static bool row_recompresses(const struct row *r)
{
    return r->conf->compression != TOPIC_CODEC_PRODUCER && r->conf->compression != (int)r->info.head.codec;
}

static int row_recompress(struct row *r)
{
    int size = batch_recompress(r->bytes, r->n, r->conf->compression, r->conf->compression_level, r->rules.inflate_max,
                                &r->recompressed);
    if (size < 0) return size;
    if (size > r->conf->max_message_bytes) return E_MESSAGE_TOO_LARGE;
    r->bytes = r->recompressed.p;
    r->n = (size_t)size;
    return 0;
}

/* Finds the log and checks what came; err 0 with r->crunch: the rest is for the worker. */
static int row_check(struct req *rq, struct call *c, struct row *r, const struct image_topic *t, bool by_id)
{
    if (!t) return by_id ? E_UNKNOWN_TOPIC_ID : E_UNKNOWN_TOPIC_OR_PARTITION;
    if (r->in->index < 0 || r->in->index >= t->partitions_n) return E_UNKNOWN_TOPIC_OR_PARTITION;
    if (t->internal && !(rq->client_id.n && slice_eq(rq->client_id, S("__admin_client")))) return E_INVALID_TOPIC_EXCEPTION;
    const struct image_partition *p = &t->partitions[r->in->index];
    if (!p->log) return p->log_err ? p->log_err : E_KAFKA_STORAGE_ERROR;
    r->log = plog_ref(p->log);
    r->conf = &t->conf;
    r->bytes = (uint8_t *)r->in->records.bytes.p;
    r->n = r->in->records.bytes.n;
    r->rules = (struct batch_rules){
        .produce_version = rq->version,
        .compacted = t->conf.cleanup_compact,
        .log_append_time = t->conf.log_append_time,
        .now_ms = shard_wall_ms(rq->shard),
        .before_max_ms = t->conf.timestamp_before_max_ms,
        .after_max_ms = t->conf.timestamp_after_max_ms,
        .max_size = t->conf.max_message_bytes,
        .topic = t->name,
        .partition = r->in->index,
    };
    bool large = r->n > INLINE_INSIDE_MAX;
    if (large) {
        r->rules.depth = BATCH_DEPTH_SHAPE;
    } else {
        r->rules.inflate_max = INLINE_INFLATE_MAX;
    }
    int rc = batch_check(r->bytes, r->n, &r->rules, c->arena, &r->info);
    if (rc == E_MESSAGE_TOO_LARGE && !large &&
        r->n <= (size_t)t->conf.max_message_bytes) { /* opens into more than a loop should do */
        r->rules.depth = BATCH_DEPTH_SHAPE;
        r->rules.inflate_max = 0;
        r->info = (struct batch_info){ 0 };
        rc = batch_check(r->bytes, r->n, &r->rules, c->arena, &r->info);
    }
    if (rc) return rc;
    r->n = (size_t)r->info.head.size;
    r->crunch = !r->info.inside_ok || (row_recompresses(r) && r->info.inflated > INLINE_INSIDE_MAX);
    if (!r->crunch && row_recompresses(r)) return row_recompress(r);
    return 0;
}

/* On the crunch worker; the request waits, so its rows are ours. */
static void produce_crunch(struct crunch_job *j)
{
    struct call *c = container_of(j, struct call, job);
    for (int i = 0; i < c->n; i++) {
        struct row *r = &c->rows[i];
        if (!r->crunch) continue;
        if (!r->info.inside_ok) r->err = batch_check_inside(r->bytes, &r->rules, c->arena, &r->info);
        if (!r->err && row_recompresses(r)) r->err = row_recompress(r);
    }
}

static enum req_next produce_stage(struct req *rq)
{
    struct call *c = rq->call;
    for (int i = 0; i < c->n; i++) {
        struct row *r = &c->rows[i];
        if (r->err) continue;
        batch_stamp(r->bytes, &r->rules, &r->info);
        r->append = (struct append){
            .log = r->log,
            .bytes = r->bytes,
            .n = r->n,
            .records = r->info.head.count,
            .origin = APPEND_CLIENT,
            .home = req_home(rq),
            .who = req_ticket(rq),
        };
        r->waits = true;
        plog_append(r->log, &r->append);
    }
    req_let_next(rq);
    return req_goto(rq, produce_appended);
}

/* The topics' names must outlive the frame. */
static void answer_skeleton(struct req *rq, struct call *c)
{
    const struct produce_request *in = rq->in;
    struct produce_response *out = rq->out;
    int k = 0;
    for (int i = 0; i < in->topic_data_n; i++) c->n += MAX(in->topic_data[i].partition_data_n, 0);
    c->rows = arena_array(&rq->arena, struct row, c->n);
    out->responses_n = MAX(in->topic_data_n, 0);
    out->responses = wire_array(&rq->arena, produce_response_topic_produce_response, out->responses_n);
    for (int i = 0; i < in->topic_data_n; i++) {
        const struct produce_request_topic_produce_data *t = &in->topic_data[i];
        struct produce_response_topic_produce_response *o = &out->responses[i];
        int parts = MAX(t->partition_data_n, 0);
        o->name = rq->holder ? arena_copy(&rq->arena, t->name) : t->name;
        o->topic_id = t->topic_id;
        o->partition_responses_n = parts;
        o->partition_responses = wire_array(&rq->arena, produce_response_partition_produce_response, parts);
        for (int j = 0; j < parts; j++, k++) {
            c->rows[k].in = &t->partition_data[j];
            c->rows[k].out = &o->partition_responses[j];
            c->rows[k].out->index = t->partition_data[j].index;
        }
    }
}

/* Transactions are not served, so nobody may write as part of one; Kafka refuses the whole request of a client without the right as well. */
static bool has_transactional(const struct produce_request *in)
{
    for (int i = 0; i < in->topic_data_n; i++) {
        for (int j = 0; j < in->topic_data[i].partition_data_n; j++) {
            struct slice b = in->topic_data[i].partition_data[j].records.bytes;
            struct batch_head h;
            if (b.n && batch_parse_head(b.p, b.n, &h) == 0 && h.magic == 2 && batch_is_transactional(&h)) return true;
        }
    }
    return false;
}

enum req_next produce_start(struct req *rq)
{
    const struct produce_request *in = rq->in;
    const struct image *im = req_image(rq);
    struct call *c = rq->call = arena_new(&rq->arena, struct call);
    int k = 0;

    c->arena = &rq->arena;
    rq->cleanup = produce_cleanup;
    rq->no_answer = in->acks == 0;
    answer_skeleton(rq, c);
    int refused = in->acks < -1 || in->acks > 1 ? E_INVALID_REQUIRED_ACKS
                  : has_transactional(in)       ? E_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                                                : 0;
    for (int i = 0; i < in->topic_data_n; i++) {
        const struct produce_request_topic_produce_data *t = &in->topic_data[i];
        bool by_id = rq->version >= 13;
        const struct image_topic *topic = by_id ? image_topic_by_id(im, t->topic_id) : image_topic(im, t->name);
        for (int j = 0; j < t->partition_data_n; j++, k++) {
            struct row *r = &c->rows[k];
            int rc = refused ? refused : row_check(rq, c, r, topic, by_id);
            if (rc) row_refuse(c, r, rc);
            c->n_crunch += !rc && r->crunch;
        }
    }
    if (in->acks == -1) req_deadline(rq, MAX(in->timeout_ms, 1));
    if (!c->n_crunch) return produce_stage(rq);
    c->job.run = produce_crunch;
    c->job.home = req_home(rq);
    c->job.who = req_ticket(rq);
    crunch_submit(rq->shard->broker->crunch, &c->job);
    return req_goto(rq, produce_crunched);
}

static enum req_next produce_crunched(struct req *rq)
{
    struct call *c = rq->call;
    if (!atomic_load_explicit(&c->job.done, memory_order_acquire))
        return REQ_WAIT; /* the worker uses our rows: no deadline ends that */
    for (int i = 0; i < c->n; i++)
        if (c->rows[i].crunch && c->rows[i].err) row_refuse(c, &c->rows[i], c->rows[i].err);
    return produce_stage(rq);
}

static enum req_next produce_appended(struct req *rq)
{
    const struct produce_request *in = rq->in;
    struct call *c = rq->call;
    for (int i = 0; i < c->n; i++) {
        if (c->rows[i].waits && !atomic_load_explicit(&c->rows[i].append.done, memory_order_acquire))
            return REQ_WAIT; /* the queue's owner writes from our memory: this wait has no deadline */
    }
    for (int i = 0; i < c->n; i++) {
        struct row *r = &c->rows[i];
        if (!r->waits) continue;
        if (r->append.err && r->append.err != E_DUPLICATE_BATCH) {
            r->waits = false;
            row_fail(r, r->append.err);
            continue;
        }
        r->out->base_offset = r->append.first;
        r->out->log_start_offset = r->append.start;
        if (r->append.err == E_DUPLICATE_BATCH) {
            r->out->log_append_time_ms = r->append.append_time_ms;
        } else if (r->conf->log_append_time) {
            r->out->log_append_time_ms = r->rules.now_ms;
        }
        r->in = NULL;
        r->bytes = NULL;
    }
    bool all = in->acks == -1;
    rq->in = NULL;
    req_drop_frame(rq); /* a parked produce holds no network memory */
    return req_goto(rq, all ? produce_durable : produce_answer);
}

static enum req_next produce_durable(struct req *rq)
{
    struct call *c = rq->call;
    for (int i = 0; i < c->n; i++) {
        struct row *r = &c->rows[i];
        struct plog_offsets at;
        if (!r->waits) continue;
        if (plog_watch(r->log, &r->watch, req_home(rq), req_ticket(rq), WATCH_WATERMARK, r->append.last + 1)) {
            if (!rq->expired) return REQ_WAIT; /* the rows behind it are looked at when this one has come */
            plog_unwatch(&r->watch);
            row_fail(r, E_REQUEST_TIMED_OUT);
        } else {
            plog_offsets(r->log, &at);
            if (at.watermark <= r->append.last) row_fail(r, at.gone ? E_UNKNOWN_TOPIC_OR_PARTITION : E_KAFKA_STORAGE_ERROR);
        }
        r->waits = false;
    }
    return req_goto(rq, produce_answer);
}

static enum req_next produce_answer(struct req *rq)
{
    struct call *c = rq->call;
    if (!rq->no_answer) return REQ_DONE;
    for (int i = 0; i < c->n; i++) {
        if (!c->rows[i].err) continue;
        rq->close_why = "error in a produce request with acks=0";
        return REQ_CLOSE;
    }
    return REQ_DONE;
}
