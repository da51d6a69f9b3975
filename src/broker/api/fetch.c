/* Fetch (key 1), v4–18. v7 sessions (KIP-227); v9 leader epochs; v11 rack, read and ignored; v12 flexible, diverging epochs; v13 topic ids;
 * v15 replica state, ignored; v17 directory id and v18 high watermark, of followers, ignored.
 *
 * Answers when: A min_bytes are readable, B a row has an error, C the deadline passed, D nothing was asked for.
 * Records leave as file ranges: no byte of them passes through here, but for the few that were read while their place was looked for.
 * Differs from Kafka: no followers, so no replica fetch, no read replica and no throttling of one; a fetch from between high watermark and log
 * end is empty without error (DESIGN.md §1.2). */
#include "../fetch_session.h"
#include "../req.h"
#include "../shard.h"

enum { COPY_MOST = 4096 }; /* of a row's bytes */

struct row {
    struct session_partition *sp;
    struct plog *log;
    struct watch watch;
    int64_t bytes_seen, stable_seen; /* of its log, when it was last looked at: what comes after is heard of */
    struct file_range range;
    uint32_t n; /* bytes of records it answers with */
    int err;
    int32_t leader_epoch;
};
struct call {
    struct fetch_session *session;
    bool full;
    enum read_upto upto;
    struct row *rows; /* in the session's order */
    int n;
    struct fetch_response_partition_data *parts; /* of the rows */
    bool failed;                                 /* a row has an error already: nothing to wait for */
    bool timed;                                  /* the deadline is set */
    bool
        measured; /* what is readable is to be measured, not only tried: something is below the bound, and yet nothing could be read */
};

static enum req_next fetch_poll(struct req *rq);
static enum req_next fetch_answer(struct req *rq);

static void fetch_cleanup(struct req *rq)
{
    struct call *c = rq->call;
    if (!c) return;
    for (int i = 0; i < c->n; i++) {
        plog_unwatch(&c->rows[i].watch);
        if (c->rows[i].range.seg) range_release(&c->rows[i].range);
        if (c->rows[i].log) plog_unref(&c->rows[i].log);
    }
    fetch_session_end(rq->shard->sessions, &c->session);
}

/* From what the session names to logs. An error stays in its row (B). */
static void fetch_plan(struct req *rq, struct call *c)
{
    const struct image *im = req_image(rq);
    const struct image_topic *t = NULL;
    int k = 0;
    c->n = c->session->n;
    c->rows = arena_array(&rq->arena, struct row, c->n);
    list_each (l, &c->session->order) {
        struct row *r = &c->rows[k++];
        struct session_partition *sp = r->sp = container_of(l, struct session_partition, order);
        if (c->session->by_id) {
            if (!t || !uuid_eq(t->id, sp->topic_id)) t = image_topic_by_id(im, sp->topic_id);
        } else if (!t || !slice_eq(t->name, sp->topic)) {
            t = image_topic(im, sp->topic);
        }
        r->leader_epoch = -1;
        if (!t) {
            r->err = c->session->by_id ? E_UNKNOWN_TOPIC_ID : E_UNKNOWN_TOPIC_OR_PARTITION;
        } else if (sp->partition < 0 || sp->partition >= t->partitions_n) {
            r->err = E_UNKNOWN_TOPIC_OR_PARTITION;
        } else {
            const struct image_partition *p = &t->partitions[sp->partition];
            r->leader_epoch = p->leader_epoch;
            if (!p->log) {
                r->err = p->log_err ? p->log_err : E_KAFKA_STORAGE_ERROR;
            } else if (sp->leader_epoch >= 0 && sp->leader_epoch < p->leader_epoch) {
                r->err = E_FENCED_LEADER_EPOCH;
            } else if (sp->leader_epoch > p->leader_epoch) {
                r->err = E_UNKNOWN_LEADER_EPOCH;
            } else {
                r->log = plog_ref(p->log);
            }
        }
        c->failed |= r->err != 0;
    }
}

enum req_next fetch_start(struct req *rq)
{
    const struct fetch_request *in = rq->in;
    struct fetch_response *out = rq->out;
    struct call *c = rq->call = arena_new(&rq->arena, struct call);

    rq->cleanup = fetch_cleanup;
    c->upto = in->isolation_level == 1 ? READ_STABLE : READ_WATERMARK;
    int rc =
        fetch_session_begin(rq->shard->sessions, in, rq->version, shard_now_us(rq->shard), &rq->arena, &c->session, &c->full);
    if (rc) {
        out->error_code = (int16_t)err_kafka(rc);
        return REQ_DONE;
    }
    out->session_id = c->session->id;
    if (c->session->id) rq->client->session_id = c->session->id;
    fetch_plan(rq, c);
    return req_goto(rq, fetch_poll);
}

/* Waits on what moves. To have min_bytes together, one of n logs at least must grow by the n-th part of what is missing: until then nobody is
 * woken. With READ_STABLE a transaction's end may make many old bytes readable at once, so every move of the stable offset wakes. */
static bool row_watch(struct req *rq, struct call *c, struct row *r, int64_t missing)
{
    if (c->upto == READ_WATERMARK)
        return plog_watch(r->log, &r->watch, req_home(rq), req_ticket(rq), WATCH_BYTES,
                          r->bytes_seen + (missing + c->n - 1) / c->n);
    return plog_watch(r->log, &r->watch, req_home(rq), req_ticket(rq), WATCH_STABLE,
                      MAX(r->stable_seen, r->sp->fetch_offset) + 1);
}

static bool may_wait(const struct req *rq, const struct call *c)
{
    const struct fetch_request *in = rq->in;
    return !c->failed && c->n > 0 && in->min_bytes > 0 && in->max_wait_ms > 0 && !rq->expired;
}

/* Whether there is enough to answer with, as far as can be told without reading. */
static bool enough(struct req *rq, struct call *c, int64_t *missing)
{
    const struct fetch_request *in = rq->in;
    int64_t readable = 0;
    for (int i = 0; i < c->n; i++) {
        struct row *r = &c->rows[i];
        struct plog_offsets at;
        bool news = plog_has_news(r->log, r->sp->fetch_offset, c->upto, &r->bytes_seen, &r->stable_seen);
        if (!news) continue;
        if (in->min_bytes <= 1 && !c->measured) return true; /* most fetches: to look for the place once is enough */
        int64_t n = plog_readable(r->log, r->sp->fetch_offset, c->upto, &r->sp->cursor);
        if (n == INT32_MAX) return true; /* behind the newest segment: not worth waiting */
        readable += MIN(n, r->sp->max_bytes);
        if (readable >= in->min_bytes) return true;
        plog_offsets(r->log, &at);
        if (at.gone || at.offline || r->sp->fetch_offset < at.start || r->sp->fetch_offset > at.end)
            return true; /* B: the answer says which */
    }
    *missing = in->min_bytes - readable;
    return false;
}

static enum req_next fetch_poll(struct req *rq)
{
    const struct fetch_request *in = rq->in;
    struct call *c = rq->call;
    int64_t missing;

    if (!may_wait(rq, c) || enough(rq, c, &missing)) return req_goto(rq, fetch_answer);
    req_parks(rq);
    if (rq->lined && mem_short(&rq->shard->broker->memory)) return req_goto(rq, fetch_answer);
    if (!c->timed) req_deadline(rq, in->max_wait_ms);
    c->timed = true;
    for (int i = 0; i < c->n; i++)
        if (!row_watch(rq, c, &c->rows[i], missing)) return REQ_AGAIN; /* it moved since we looked */
    return REQ_WAIT;
}

static void row_read(struct req *rq, struct call *c, struct row *r, struct fetch_response_partition_data *out, int64_t left,
                     bool first)
{
    struct plog_read rd = {
        .offset = r->sp->fetch_offset,
        .max_bytes = (uint32_t)MIN(left, MAX(r->sp->max_bytes, 0)),
        .whole_first = first,
        .upto = c->upto,
        .copy_max = COPY_MOST,
        .arena = &rq->arena,
    };
    int rc = r->err;
    if (!rc && r->sp->last_fetched_epoch >= 0) { /* KIP-595: the client's log has diverged from ours */
        int32_t epoch;
        int64_t end;
        plog_epoch_end(r->log, r->sp->last_fetched_epoch, &epoch, &end);
        if (epoch < 0 || end < 0) {
            rc = E_OFFSET_OUT_OF_RANGE;
        } else if (epoch < r->sp->last_fetched_epoch || end < r->sp->fetch_offset) {
            struct plog_offsets at;
            plog_offsets(r->log, &at);
            out->diverging_epoch.epoch = epoch;
            out->diverging_epoch.end_offset = end;
            out->high_watermark = at.watermark;
            out->last_stable_offset = at.stable;
            out->log_start_offset = at.start;
            return;
        }
    }
    if (!rc) rc = plog_read(r->log, &rd, &r->sp->cursor);
    if (rc) {
        out->error_code = (int16_t)err_kafka(rc);
        out->high_watermark = out->last_stable_offset = out->log_start_offset = -1;
        r->err = rc;
        return;
    }
    if (rd.range.n > 0) { /* moved: it is ours now */
        r->range = rd.range;
        r->n = r->range.n;
        out->records.ext = &r->range;
        out->records.ext_len = r->n;
    } else if (rd.copy.n > 0) {
        r->n = (uint32_t)rd.copy.n;
        out->records.bytes = rd.copy;
    }
    out->high_watermark = rd.at.watermark;
    out->last_stable_offset = rd.at.stable;
    out->log_start_offset = rd.at.start;
    if (c->upto == READ_STABLE) {
        out->aborted_transactions_n = MAX(rd.aborted_n, 0);
        out->aborted_transactions = wire_array(&rq->arena, fetch_response_aborted_transaction, out->aborted_transactions_n);
        for (int i = 0; i < rd.aborted_n; i++) {
            out->aborted_transactions[i].producer_id = rd.aborted[i].producer_id;
            out->aborted_transactions[i].first_offset = rd.aborted[i].first_offset;
        }
    } else {
        out->aborted_transactions_n = -1;
    }
}

/* An incremental answer names only the partitions that have something new. */
static bool row_is_news(const struct call *c, const struct row *r, const struct fetch_response_partition_data *out)
{
    struct session_partition *sp = r->sp;
    bool news = c->full || r->n > 0 || out->error_code || out->diverging_epoch.epoch >= 0 ||
                sp->sent_watermark != out->high_watermark || sp->sent_start != out->log_start_offset;
    sp->sent_watermark = out->error_code ? -1 : out->high_watermark;
    sp->sent_start = out->error_code ? -1 : out->log_start_offset;
    return news;
}

static bool same_topic(const struct session_partition *a, const struct session_partition *b, bool by_id)
{
    return by_id ? uuid_eq(a->topic_id, b->topic_id) : slice_eq(a->topic, b->topic);
}

/* Reads what every row answers with: the records' bytes in all. */
static int64_t rows_read(struct req *rq, struct call *c)
{
    const struct fetch_request *in = rq->in;
    int64_t left = MIN(in->max_bytes, (int32_t)conf_i64(req_image(rq)->conf, CONF_FETCH_MAX_BYTES)), total = 0;
    if (!c->parts) c->parts = wire_array(&rq->arena, fetch_response_partition_data, c->n);
    for (int i = 0; i < c->n; i++) {
        struct row *r = &c->rows[i];
        struct fetch_response_partition_data *o = &c->parts[i];
        *o = dflt_fetch_response_partition_data;
        o->partition_index = r->sp->partition;
        o->records.bytes = S(""); /* empty, never null: clients dislike null records */
        row_read(rq, c, r, o, MAX(left - total, 0), total == 0);
        if (rq->version >= 12 && (r->err == E_FENCED_LEADER_EPOCH || r->err == E_UNKNOWN_LEADER_EPOCH)) {
            o->current_leader.leader_id = rq->shard->broker->node_id;
            o->current_leader.leader_epoch = r->leader_epoch;
        }
        total += r->n;
        c->failed |= o->error_code || o->diverging_epoch.epoch >= 0;
    }
    return total;
}

static enum req_next fetch_answer(struct req *rq)
{
    struct fetch_response *out = rq->out;
    struct call *c = rq->call;
    bool by_id = c->session->by_id;
    const struct session_partition *before = NULL;
    int n = 0, topics_n = 0;

    int64_t total = rows_read(rq, c);
    if (total == 0 && !c->measured && may_wait(rq, c)) {
        c->measured = true; /* a hole that compaction left, perhaps, with nothing behind it yet */
        return req_goto(rq, fetch_poll);
    }
    struct fetch_response_fetchable_topic_response *topics =
        wire_array(&rq->arena, fetch_response_fetchable_topic_response, c->n);
    for (int i = 0; i < c->n; i++) {
        struct row *r = &c->rows[i];
        if (!row_is_news(c, r, &c->parts[i])) continue;
        struct fetch_response_partition_data *o = &c->parts[n];
        if (n < i) *o = c->parts[i];
        if (!before || !same_topic(before, r->sp, by_id)) {
            topics[topics_n].partitions = o;
            topics[topics_n].topic = r->sp->topic.p ? r->sp->topic : S("");
            topics[topics_n].topic_id = r->sp->topic_id;
            topics_n++;
        }
        topics[topics_n - 1].partitions_n++;
        before = r->sp;
        n++;
        if (r->n > 0 && c->session->id) { /* to the back: the next answer begins with the others */
            list_remove(&r->sp->order);
            list_push(&c->session->order, &r->sp->order);
        }
    }
    out->responses = topics;
    out->responses_n = topics_n;
    metric_add(M_fetched_bytes, total);
    return REQ_DONE;
}
