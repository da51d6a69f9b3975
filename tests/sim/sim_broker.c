/* The whole broker under random clients, crashes and failing disks: many seeds, each a few lives of one data directory.
 *
 * Some brokers have several log directories; one may be missing for a life and be back in the next, with what was acknowledged, and its journal.
 *
 * In a life several clients produce, fetch, list, delete, create, configure and commit at random, with several requests in flight; some hang up
 * in the middle. Between any two turns of the loop and the workers the life may end: by power loss, by SIGKILL, by a clean stop; a disk may
 * fail or be full before that. Then the broker starts again on what the disk holds, and everything is read and compared with what clients
 * were told (truth.h).
 *
 *   sim_broker [SEEDS [FIRST]]   runs so many seeds; the one that fails is printed
 *   sim_broker twice [SEEDS]     runs each seed twice: both must leave the same trace
 *   ODR_SEED=n sim_broker        that seed alone, with log lines
 *   sim_broker sweep [EVERY]     one scenario, again and again: another of its file calls fails each time (every EVERYth of them)
 *   sim_broker fault KIND NTH    one run of the sweep, with log lines */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

uint64_t rnd(struct run *s, uint64_t n)
{
    s->rng ^= s->rng << 13;
    s->rng ^= s->rng >> 7;
    s->rng ^= s->rng << 17;
    return (s->rng >> 11) % n;
}
bool one_in(struct run *s, uint64_t n) { return rnd(s, n) == 0; }
int between(struct run *s, int lo, int hi) { return lo + (int)rnd(s, (uint64_t)(hi - lo + 1)); }
static int64_t wall_ms(struct run *s) { return s->node.world->clock->wall_ms(s->node.world->clock); }

int16_t version_of(struct run *s, int16_t key)
{
    static const struct {
        int16_t key, lo, hi;
    } served[] = {
        { API_PRODUCE, 3, 13 },
        { API_FETCH, 4, 18 },
        { API_LIST_OFFSETS, 1, 11 },
        { API_METADATA, 0, 13 },
        { API_CREATE_TOPICS, 2, 7 },
        { API_DELETE_TOPICS, 1, 6 },
        { API_DELETE_RECORDS, 0, 2 },
        { API_INIT_PRODUCER_ID, 0, 5 },
        { API_DESCRIBE_CONFIGS, 1, 4 },
        { API_CREATE_PARTITIONS, 0, 3 },
        { API_INCREMENTAL_ALTER_CONFIGS, 0, 1 },
        { API_FIND_COORDINATOR, 0, 6 },
        { API_OFFSET_COMMIT, 2, 10 },
        { API_OFFSET_FETCH, 1, 10 },
        { API_JOIN_GROUP, 0, 9 },
        { API_SYNC_GROUP, 0, 5 },
        { API_HEARTBEAT, 0, 4 },
        { API_LEAVE_GROUP, 0, 5 },
        { API_DELETE_GROUPS, 0, 2 },
    };
    for (size_t i = 0; i < ARRAY_LEN(served); i++)
        if (served[i].key == key) return (int16_t)between(s, served[i].lo, served[i].hi);
    assert(!"an API that is asked for");
    return 0;
}

/* May a request fail with this error, for what goes on around it? */
bool excused(struct run *s, const struct topic *t, int err)
{
    if (s->faulty || s->node.stopping) return true;
    if (!t || t->state == TOPIC_LIVE) return false;
    return err == KAFKA_UNKNOWN_TOPIC_OR_PARTITION || err == KAFKA_UNKNOWN_TOPIC_ID;
}

/* ---- calls: what all have in common ---------------------------------------------------------------------------------------------------------- */

void op_free(struct op *o)
{
    o->sim->calls--;
    call_free(&o->call);
    mem_free(o);
}
void op_lost(struct call *c)
{
    struct op *o = container_of(c, struct op, call);
    if (o->topic) o->topic->haunted = true;
    for (int i = 0; i < o->rows_n; i++) o->rows[i].part->topic->haunted = true;
    op_free(o);
}

struct op *op_new(struct run *s, int16_t key)
{
    struct op *o = new (struct op);
    call_init(&o->call, key, version_of(s, key));
    o->call.lost = op_lost;
    o->sim = s;
    s->calls++;
    return o;
}

struct row *op_row(struct op *o, struct part *p)
{
    struct row *r = &o->rows[o->rows_n++];
    *r = (struct row){ .part = p, .shown = p->shown, .end_acked = p->end_acked, .start_min = p->start_min };
    return r;
}

static struct row *row_of(struct op *o, struct slice name, struct uuid id, int index)
{
    for (int i = 0; i < o->rows_n; i++) {
        const struct topic *t = o->rows[i].part->topic;
        if (o->rows[i].part->index == index && (slice_eq(slice_of(t->name), name) || (!uuid_is_zero(id) && uuid_eq(id, t->id))))
            return &o->rows[i];
    }
    CHECK(false, "API %d answers with a partition that was not asked for: " S_FMT "-%d", o->call.key, S_ARG(name), index);
    return NULL;
}

struct client_state *any_client(struct run *s)
{
    struct client_state *c = &s->clients[rnd(s, PEERS)];
    if (c->peer && !peer_is_up(c->peer)) c->peer = NULL;
    if (!c->peer) {
        *c = (struct client_state){ .peer = peer_open(&s->node) };
    }
    return c->peer->line_n >= LINE_MAX || c->peer->paused ? NULL : c;
}

static struct topic *any_topic(struct run *s)
{
    struct topic *live[64];
    int n = 0;
    for (int i = 0; i < s->truth.topics_n && n < 64; i++) {
        struct topic *t = s->truth.topics[i];
        if (t->state == TOPIC_LIVE || (t->state == TOPIC_DELETING && one_in(s, 4))) live[n++] = t;
    }
    return n ? live[rnd(s, (uint64_t)n)] : NULL;
}

struct part *any_part(struct run *s)
{
    struct topic *t = any_topic(s);
    return t ? &t->parts[rnd(s, (uint64_t)t->parts_n)] : NULL;
}

/* ---- produce ---------------------------------------------------------------------------------------------------------------------------------- */

static bool too_large(const struct topic *t, int err)
{
    return t->tight && (err == KAFKA_MESSAGE_TOO_LARGE || err == KAFKA_RECORD_LIST_TOO_LARGE);
}

static void producer_settle(struct producer *pr)
{
    if (!pr->dead || pr->flying) return;
    int16_t acks = pr->acks;
    *pr = (struct producer){ .acks = acks };
}

static void lane_take(struct lane *l, struct sent *b)
{
    for (int i = 0; i < l->n; i++) {
        if (l->q[i] != b) continue;
        memmove(l->q + i, l->q + i + 1, sizeof(*l->q) * (size_t)(--l->n - i));
        if (l->n == 0) l->disturbed = false;
        return;
    }
}

static void idempotent_answered(struct op *o, int err, int64_t base)
{
    struct run *s = o->sim;
    struct sent *b = o->rows[0].batch;
    struct lane *l = o->lane;
    struct producer *pr = o->producer;
    pr->flying--;
    b->flying = false;
    if (!err) {
        CHECK(l->q[0] == b || pr->dead || s->faulty, "batch %d of sequence %d was accepted before batch %d of sequence %d", b->id,
              b->seq, l->q[0]->id, l->q[0]->seq);
        truth_placed(&s->truth, b, base, o->acks == -1);
        lane_take(l, b);
        l->lenient = false;
    } else if (pr->dead) {
        /* whatever */
    } else if (err == KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER && l->disturbed && l->q[0] != b) {
        /* it is its predecessor's fault: sent again behind it */
    } else if (err == KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER || err == KAFKA_UNKNOWN_PRODUCER_ID ||
               err == KAFKA_DUPLICATE_SEQUENCE_NUMBER || err == KAFKA_INVALID_PRODUCER_EPOCH || err == KAFKA_MESSAGE_TOO_LARGE ||
               err == KAFKA_RECORD_LIST_TOO_LARGE) {
        CHECK(l->lenient || l->disturbed || excused(s, l->part->topic, err) || too_large(l->part->topic, err),
              "%s-%d: batch %d, sequence %d of producer %lld, is refused with %d", l->part->topic->name, l->part->index, b->id,
              b->seq, (long long)b->pid, err);
        pr->dead = true;
    } else {
        CHECK(excused(s, l->part->topic, err), "%s-%d: batch %d: error %d", l->part->topic->name, l->part->index, b->id, err);
        if (l->part->topic->state != TOPIC_LIVE) pr->dead = true;
        l->disturbed = true;
    }
    producer_settle(pr);
}

static void produce_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct run *s = o->sim;
    struct produce_response *out = answer;
    int answered = 0;
    if (out) {
        for (int i = 0; i < out->responses_n; i++) {
            for (int k = 0; k < out->responses[i].partition_responses_n; k++, answered++) {
                struct produce_response_partition_produce_response *p = &out->responses[i].partition_responses[k];
                struct row *r = row_of(o, out->responses[i].name, out->responses[i].topic_id, p->index);
                if (o->lane) {
                    idempotent_answered(o, p->error_code, p->base_offset);
                } else if (p->error_code) {
                    CHECK(excused(s, r->part->topic, p->error_code) || too_large(r->part->topic, p->error_code),
                          "%s-%d: produce: error %d", r->part->topic->name, r->part->index, p->error_code);
                } else {
                    truth_placed(&s->truth, r->batch, p->base_offset, o->acks == -1);
                }
                if (!p->error_code && call->version >= 5 && p->log_start_offset >= 0)
                    truth_started_at(r->part, p->log_start_offset, r->start_min);
            }
        }
        CHECK(answered == o->rows_n, "produce of %d partitions is answered for %d", o->rows_n, answered);
    }
    s->answers++;
    op_free(o);
}

static void produce_lost(struct call *call)
{
    struct op *o = container_of(call, struct op, call);
    if (o->lane) {
        o->producer->flying--;
        o->rows[0].batch->flying = false;
        producer_settle(o->producer);
    }
    op_lost(call);
}

static void produce(struct run *s, struct peer *peer, struct op *o, int16_t acks)
{
    struct produce_request in = dflt_produce_request;
    struct call *c = &o->call;
    c->answered = produce_answered;
    c->lost = produce_lost;
    for (int i = 0; i < o->rows_n; i++) /* ids are used only where they are known */
        if (uuid_is_zero(o->rows[i].part->topic->id)) c->version = MIN(c->version, 12);
    for (int i = 0; i < o->rows_n; i++)
        if (o->rows[i].batch->codec == CODEC_ZSTD) c->version = MAX(c->version, 7);
    in.acks = o->acks = acks;
    in.timeout_ms = 30000;
    in.topic_data = wire_array(&c->arena, produce_request_topic_produce_data, o->rows_n);
    in.topic_data_n = o->rows_n;
    for (int i = 0; i < o->rows_n; i++) {
        struct produce_request_topic_produce_data *t = &in.topic_data[i];
        struct bytes b = { 0 };
        if (c->version >= 13) t->topic_id = o->rows[i].part->topic->id;
        else t->name = slice_of(o->rows[i].part->topic->name);
        t->partition_data = wire_new(&c->arena, produce_request_partition_produce_data);
        t->partition_data_n = 1;
        t->partition_data->index = o->rows[i].part->index;
        sent_bytes(o->rows[i].batch, &b);
        t->partition_data->records.bytes = arena_copy(&c->arena, (struct slice){ (char *)b.p, b.n });
        bytes_free(&b);
        s->records += o->rows[i].batch->records;
    }
    c->silent = acks == 0;
    peer_send(peer, c, &in);
}

static struct sent *new_batch(struct run *s, struct part *p)
{
    int value_n = one_in(s, 40) ? between(s, 30000, 60000) : one_in(s, 8) ? between(s, 500, 3000) : between(s, 1, 150);
    struct sent *b = truth_send(&s->truth, p, value_n > 3000 ? 1 : between(s, 1, 5), value_n, wall_ms(s) - (int64_t)rnd(s, 3000));
    b->codec = one_in(s, 3) ? (enum codec)between(s, 0, 4) : CODEC_NONE;
    return b;
}

static void produce_plain(struct run *s, struct client_state *c)
{
    struct op *o = op_new(s, API_PRODUCE);
    int n = one_in(s, 4) ? 2 : 1;
    for (int i = 0; i < n; i++) {
        struct part *p = any_part(s);
        if (!p || (i > 0 && p->topic == o->rows[0].part->topic)) break;
        op_row(o, p)->batch = new_batch(s, p);
    }
    if (o->rows_n == 0) {
        op_free(o);
        return;
    }
    produce(s, c->peer, o, one_in(s, 10) ? 0 : one_in(s, 3) ? 1 : -1);
}

static void pid_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct init_producer_id_response *out = answer;
    struct producer *pr = o->producer;
    pr->asking = false;
    if (out->error_code) {
        CHECK(excused(o->sim, NULL, out->error_code), "InitProducerId: error %d", out->error_code);
    } else {
        for (int i = 0; i < o->sim->truth.sent_n; i++)
            CHECK(o->sim->truth.sent[i]->pid != out->producer_id, "producer id %lld is given twice", (long long)out->producer_id);
        pr->pid = out->producer_id;
        pr->epoch = out->producer_epoch;
        pr->ready = true;
    }
    o->sim->answers++;
    op_free(o);
}
static void pid_lost(struct call *call)
{
    struct op *o = container_of(call, struct op, call);
    o->producer->asking = false;
    op_lost(call);
}

static void lane_open(struct run *s, struct producer *pr)
{
    struct part *p = any_part(s);
    struct lane *free_lane = NULL;
    if (!p || p->topic->state != TOPIC_LIVE) return;
    for (int i = 0; i < LANES; i++) {
        if (pr->lanes[i].part == p) return;
        if (!pr->lanes[i].part) free_lane = &pr->lanes[i];
    }
    if (free_lane) *free_lane = (struct lane){ .part = p };
}

/* A real client's rule: at most five batches in flight to a partition, in order, over one connection; what was not answered is sent again, from
 * the first one on, when nothing behind it is in flight. */
static void produce_idempotent(struct run *s)
{
    struct producer *pr = &s->producers[rnd(s, PRODUCERS)];
    if (pr->dead || pr->asking) return;
    if (!pr->peer || !pr->flying) {
        struct client_state *c = any_client(s);
        if (!c) return;
        pr->peer = c->peer;
    }
    if (!peer_is_up(pr->peer) || pr->peer->line_n >= LINE_MAX) return;
    if (!pr->ready) {
        struct init_producer_id_request in = dflt_init_producer_id_request;
        struct op *o = op_new(s, API_INIT_PRODUCER_ID);
        in.transactional_id = (struct slice){ 0 };
        in.transaction_timeout_ms = 60000;
        o->producer = pr;
        o->call.answered = pid_answered;
        o->call.lost = pid_lost;
        pr->asking = true;
        peer_send(pr->peer, &o->call, &in);
        return;
    }
    if (one_in(s, 6)) lane_open(s, pr);
    struct lane *l = &pr->lanes[rnd(s, LANES)];
    if (!l->part) {
        lane_open(s, pr);
        return;
    }
    if (l->part->topic->state != TOPIC_LIVE) {
        pr->dead = true;
        producer_settle(pr);
        return;
    }
    int first = 0;
    while (first < l->n && l->q[first]->flying) first++;
    for (int i = first + 1; i < l->n; i++)
        if (l->q[i]->flying) return;
    if (first == l->n) {
        if (l->n == IN_FLIGHT) return;
        struct sent *b = new_batch(s, l->part);
        b->pid = pr->pid;
        b->epoch = pr->epoch;
        b->seq = l->seq;
        l->seq += b->records;
        l->q[l->n++] = b;
    }
    struct op *o = op_new(s, API_PRODUCE);
    struct sent *b = l->q[first];
    op_row(o, l->part)->batch = b;
    o->lane = l;
    o->producer = pr;
    b->flying = true;
    pr->flying++;
    produce(s, pr->peer, o, pr->acks);
}

/* ---- fetch ---------------------------------------------------------------------------------------------------------------------------------------- */

static void fetched(struct op *o, struct row *r, const struct fetch_response_partition_data *d)
{
    struct run *s = o->sim;
    struct part *p = r->part;
    if (d->error_code == KAFKA_OFFSET_OUT_OF_RANGE) {
        CHECK(s->faulty || r->offset < p->start_max || r->offset > MAX(r->shown, r->end_acked),
              "%s-%d: offset %lld is out of range; the log starts at or below %lld and ends at or above %lld", p->topic->name,
              p->index, (long long)r->offset, (long long)p->start_max, (long long)MAX(r->shown, r->end_acked));
        return;
    }
    if (d->error_code) {
        CHECK(excused(s, p->topic, d->error_code), "%s-%d: fetch: error %d", p->topic->name, p->index, d->error_code);
        return;
    }
    CHECK(d->high_watermark >= r->shown, "%s-%d: the high watermark is %lld, and was %lld", p->topic->name, p->index,
          (long long)d->high_watermark, (long long)r->shown);
    CHECK(d->last_stable_offset == d->high_watermark, "%s-%d: stable offset %lld, high watermark %lld", p->topic->name, p->index,
          (long long)d->last_stable_offset, (long long)d->high_watermark);
    if (o->call.version >= 5) truth_started_at(p, d->log_start_offset, r->start_min);
    int64_t next = truth_shown(&s->truth, p, r->offset, d->high_watermark, d->records.bytes, NULL);
    if (o->rows_n == 1 && !o->session && r->offset < r->shown && !p->topic->compact)
        CHECK(next > r->offset || s->faulty, "%s-%d: nothing at %lld, below the high watermark %lld", p->topic->name, p->index,
              (long long)r->offset, (long long)r->shown);
    p->shown = MAX(p->shown, d->high_watermark);
    p->end_acked = MAX(p->end_acked, p->shown);
    r->offset = next;
}

static void fetch_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct fetch_response *out = answer;
    struct consumer *k =
        o->session && o->client->peer == call->peer ? &o->client->consumer : NULL; /* it may have a new connection */
    o->sim->answers++;
    if (out->error_code) {
        CHECK(o->sim->faulty || o->sim->node.stopping, "fetch: error %d", out->error_code);
    }
    for (int i = 0; i < out->responses_n; i++) {
        for (int j = 0; j < out->responses[i].partitions_n; j++) {
            struct fetch_response_partition_data *d = &out->responses[i].partitions[j];
            struct row *r = row_of(o, out->responses[i].topic, out->responses[i].topic_id, d->partition_index);
            fetched(o, r, d);
            for (int m = 0; k && m < k->n; m++) {
                if (k->part[m] != r->part) continue;
                k->at[m] = r->offset;
                if (d->error_code) k->id = -1; /* a client begins a new session with other partitions */
            }
        }
    }
    if (k) {
        k->busy = false;
        if (out->error_code || k->id < 0) {
            *k = (struct consumer){ 0 };
        } else {
            k->id = out->session_id;
            k->epoch++;
            if (k->id == 0) *k = (struct consumer){ 0 };
        }
    }
    op_free(o);
}

static void fetch_lost(struct call *call)
{
    struct op *o = container_of(call, struct op, call);
    if (o->session && o->client->peer == call->peer) o->client->consumer = (struct consumer){ 0 };
    op_lost(call);
}

static int64_t any_offset(struct run *s, struct part *p)
{
    int64_t end = MAX(p->shown, p->end_acked);
    switch (rnd(s, 8)) {
    case 0: return p->start_seen;
    case 1: return end;
    case 2: return end + (int64_t)rnd(s, 5);
    case 3: return (int64_t)rnd(s, (uint64_t)p->start_seen + 2);
    default: return p->start_seen + (int64_t)rnd(s, (uint64_t)MAX(end - p->start_seen, 0) + 1);
    }
}

static void fetch_send(struct run *s, struct client_state *c, struct op *o, struct fetch_request *in)
{
    o->call.answered = fetch_answered;
    o->call.lost = fetch_lost;
    o->client = c;
    in->max_wait_ms = one_in(s, 3) ? between(s, 0, 3000) : between(s, 0, 50);
    in->min_bytes = one_in(s, 3) ? between(s, 0, 5000) : 1;
    in->max_bytes = one_in(s, 3) ? between(s, 1, 4000) : 1 << 20;
    in->isolation_level = (int8_t)rnd(s, 2);
    in->topics = wire_array(&o->call.arena, fetch_request_fetch_topic, o->rows_n);
    in->topics_n = o->rows_n;
    for (int i = 0; i < o->rows_n; i++) {
        struct fetch_request_fetch_topic *t = &in->topics[i];
        if (o->call.version >= 13) t->topic_id = o->rows[i].part->topic->id;
        else t->topic = slice_of(o->rows[i].part->topic->name);
        t->partitions = wire_new(&o->call.arena, fetch_request_fetch_partition);
        t->partitions_n = 1;
        t->partitions->partition = o->rows[i].part->index;
        t->partitions->fetch_offset = o->rows[i].offset;
        t->partitions->partition_max_bytes = one_in(s, 3) ? between(s, 1, 4000) : 1 << 20;
    }
    peer_send(c->peer, &o->call, in);
}

static void fetch(struct run *s, struct client_state *c)
{
    struct fetch_request in = dflt_fetch_request;
    struct op *o = op_new(s, API_FETCH);
    int n = between(s, 1, FETCH_MAX);
    for (int i = 0; i < n; i++) {
        struct part *p = any_part(s);
        if (!p || (i > 0 && (p->topic == o->rows[0].part->topic || p->topic == o->rows[i - 1].part->topic))) break;
        if (uuid_is_zero(p->topic->id)) o->call.version = MIN(o->call.version, 12);
        op_row(o, p)->offset = any_offset(s, p);
    }
    if (o->rows_n == 0) op_free(o);
    else fetch_send(s, c, o, &in);
}

/* A consumer with a session: a full fetch first, then only what changed. The rows of an op are all partitions of the session, those that it
 * does not name too: the answer may have them. */
static void fetch_in_session(struct run *s, struct client_state *c)
{
    struct consumer *k = &c->consumer;
    struct fetch_request in = dflt_fetch_request;
    if (k->busy) return;
    for (int m = 0; m < k->n; m++)
        if (k->part[m]->topic->state == TOPIC_GONE) {
            *k = (struct consumer){ 0 };
            return;
        }
    struct op *o = op_new(s, API_FETCH);
    o->call.version = (int16_t)between(s, 7, 12);
    o->session = true;
    if (k->epoch == 0) {
        for (int i = 0; i < FETCH_MAX; i++) {
            struct part *p = any_part(s);
            bool twice = !p || p->topic->state != TOPIC_LIVE;
            for (int m = 0; m < k->n; m++) twice |= k->part[m]->topic == p->topic;
            if (twice) break;
            k->part[k->n] = p;
            k->at[k->n++] = p->start_seen;
        }
        if (k->n == 0) {
            op_free(o);
            return;
        }
    }
    k->busy = true;
    in.session_id = k->id;
    in.session_epoch = k->epoch;
    for (int i = 0; i < k->n; i++) op_row(o, k->part[i])->offset = k->at[i];
    fetch_send(s, c, o, &in);
}

/* ---- list offsets, delete records ------------------------------------------------------------------------------------------------------------------- */

static void listed(struct op *o, struct row *r, const struct list_offsets_response_list_offsets_partition_response *d)
{
    struct part *p = r->part;
    struct truth *t = &o->sim->truth;
    if (d->error_code) {
        CHECK(excused(o->sim, p->topic, d->error_code), "%s-%d: ListOffsets: error %d", p->topic->name, p->index, d->error_code);
        return;
    }
    if (r->offset == -1) {
        CHECK(d->offset >= MAX(r->shown, r->end_acked) || o->sim->faulty, "%s-%d: latest is %lld; a client was told of %lld",
              p->topic->name, p->index, (long long)d->offset, (long long)MAX(r->shown, r->end_acked));
        CHECK(d->offset >= r->shown, "%s-%d: latest is %lld; a client was shown %lld", p->topic->name, p->index,
              (long long)d->offset, (long long)r->shown);
        p->shown = MAX(p->shown, d->offset);
        p->end_acked = MAX(p->end_acked, p->shown);
    } else if (r->offset == -2) {
        truth_started_at(p, d->offset, r->start_min);
    } else if (r->offset >= 0 && !p->topic->stamped && !p->topic->compact) {
        /* The first record with that timestamp or a later one: of those that are known and cannot be deleted. */
        int64_t from = MAX(r->start_min, p->start_max), to = d->offset < 0 ? r->shown : MIN(d->offset, r->shown);
        for (int64_t i = from; i < MIN(to, p->cap); i++) {
            const struct cell *c = &p->cells[i];
            CHECK(!c->id || t->sent[c->id - 1]->ts + c->i < r->offset,
                  "%s-%d: asked for %lld, told of %lld; the record at %lld is of %lld", p->topic->name, p->index,
                  (long long)r->offset, (long long)d->offset, (long long)i, (long long)t->sent[c->id - 1]->ts + c->i);
        }
        if (d->offset < 0 || d->offset >= p->cap || !p->cells[d->offset].id) return;
        const struct cell *c = &p->cells[d->offset];
        int64_t ts = t->sent[c->id - 1]->ts + c->i;
        CHECK(ts == d->timestamp && ts >= r->offset, "%s-%d: asked for %lld, the record at %lld is of %lld, not %lld",
              p->topic->name, p->index, (long long)r->offset, (long long)d->offset, (long long)ts, (long long)d->timestamp);
    }
}

static void list_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct list_offsets_response *out = answer;
    for (int i = 0; i < out->topics_n; i++)
        for (int k = 0; k < out->topics[i].partitions_n; k++)
            listed(o, row_of(o, out->topics[i].name, UUID_ZERO, out->topics[i].partitions[k].partition_index),
                   &out->topics[i].partitions[k]);
    o->sim->answers++;
    op_free(o);
}

static void list_offsets(struct run *s, struct client_state *c)
{
    struct list_offsets_request in = dflt_list_offsets_request;
    struct list_offsets_request_list_offsets_topic t = dflt_list_offsets_request_list_offsets_topic;
    struct list_offsets_request_list_offsets_partition d = dflt_list_offsets_request_list_offsets_partition;
    struct part *p = any_part(s);
    if (!p) return;
    struct op *o = op_new(s, API_LIST_OFFSETS);
    struct row *r = op_row(o, p);
    r->offset = one_in(s, 3)                           ? -2
                : one_in(s, 3)                         ? wall_ms(s) - (int64_t)rnd(s, 10000)
                : one_in(s, 5) && o->call.version >= 7 ? -3
                                                       : -1;
    o->call.answered = list_answered;
    in.topics = &t;
    in.topics_n = 1;
    in.isolation_level = o->call.version >= 2 ? (int8_t)rnd(s, 2) : 0;
    t.name = slice_of(p->topic->name);
    t.partitions = &d;
    t.partitions_n = 1;
    d.partition_index = p->index;
    d.timestamp = r->offset;
    peer_send(c->peer, &o->call, &in);
}

static void deleted_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct delete_records_response *out = answer;
    struct row *r = &o->rows[0];
    CHECK(out->topics_n == 1 && out->topics[0].partitions_n == 1, "DeleteRecords answers for %d topics", out->topics_n);
    struct delete_records_response_delete_records_partition_result *d = &out->topics[0].partitions[0];
    if (d->error_code == KAFKA_OFFSET_OUT_OF_RANGE) {
        CHECK(r->offset > r->shown || o->sim->faulty, "%s-%d: DeleteRecords up to %lld is out of range; shown was %lld",
              r->part->topic->name, r->part->index, (long long)r->offset, (long long)r->shown);
    } else if (d->error_code == KAFKA_POLICY_VIOLATION) {
        CHECK(r->part->topic->compact, "%s-%d: DeleteRecords: policy violation", r->part->topic->name, r->part->index);
    } else if (d->error_code) {
        CHECK(excused(o->sim, r->part->topic, d->error_code), "%s-%d: DeleteRecords: error %d", r->part->topic->name,
              r->part->index, d->error_code);
    } else {
        CHECK(d->low_watermark >= r->offset, "%s-%d: deleted up to %lld, asked for %lld", r->part->topic->name, r->part->index,
              (long long)d->low_watermark, (long long)r->offset);
        if (r->offset == -1)
            CHECK(d->low_watermark >= r->end_acked || o->sim->faulty, "%s-%d: deleted up to %lld of %lld", r->part->topic->name,
                  r->part->index, (long long)d->low_watermark, (long long)r->end_acked);
        truth_started_at(r->part, d->low_watermark, r->start_min);
        r->part->start_min = MAX(r->part->start_min, d->low_watermark);
        r->part->shown = MAX(r->part->shown, d->low_watermark);
        r->part->end_acked = MAX(r->part->end_acked, r->part->shown);
    }
    o->sim->answers++;
    op_free(o);
}

static void delete_records(struct run *s, struct client_state *c)
{
    struct delete_records_request in = dflt_delete_records_request;
    struct delete_records_request_delete_records_topic t = dflt_delete_records_request_delete_records_topic;
    struct delete_records_request_delete_records_partition d = dflt_delete_records_request_delete_records_partition;
    struct part *p = any_part(s);
    if (!p) return;
    struct op *o = op_new(s, API_DELETE_RECORDS);
    struct row *r = op_row(o, p);
    r->offset = one_in(s, 4) ? -1 : any_offset(s, p);
    p->start_max = r->offset == -1 ? INT64_MAX : MAX(p->start_max, r->offset);
    o->call.answered = deleted_answered;
    in.topics = &t;
    in.topics_n = 1;
    in.timeout_ms = 30000;
    t.name = slice_of(p->topic->name);
    t.partitions = &d;
    t.partitions_n = 1;
    d.partition_index = p->index;
    d.offset = r->offset;
    peer_send(c->peer, &o->call, &in);
}

/* ---- topics ------------------------------------------------------------------------------------------------------------------------------------------- */

static int live_topics(struct run *s)
{
    int n = 0;
    for (int i = 0; i < s->truth.topics_n; i++) n += s->truth.topics[i]->state != TOPIC_GONE;
    return n;
}

static void created_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct create_topics_response *out = answer;
    CHECK(out->topics_n == 1, "CreateTopics of one answers for %d", out->topics_n);
    if (out->topics[0].error_code) {
        CHECK(excused(o->sim, NULL, out->topics[0].error_code), "%s: CreateTopics: error %d " S_FMT, o->topic->name,
              out->topics[0].error_code, S_ARG(out->topics[0].error_message));
        o->topic->state = TOPIC_MAYBE;
    } else {
        o->topic->state = TOPIC_LIVE;
        if (call->version >= 7) o->topic->id = out->topics[0].topic_id;
    }
    o->topic->admin = false;
    o->sim->answers++;
    op_free(o);
}
static void created_lost(struct call *call)
{
    struct op *o = container_of(call, struct op, call);
    o->topic->state = TOPIC_MAYBE;
    o->topic->admin = false;
    op_lost(call);
}

/* By a request on its way: its name cannot be given to another yet. */
static bool is_used(struct run *s, const struct topic *t)
{
    list_each (l, &s->node.peers) {
        list_each (m, &container_of(l, struct peer, link)->line) {
            struct op *o = container_of(container_of(m, struct call, link), struct op, call);
            if (o->topic == t) return true;
            for (int i = 0; i < o->rows_n; i++)
                if (o->rows[i].part->topic == t) return true;
        }
    }
    return false;
}

static bool name_is_free(struct run *s, const char *name)
{
    for (int i = 0; i < s->truth.topics_n; i++) {
        const struct topic *t = s->truth.topics[i];
        if (strcmp(t->name, name) == 0 && (t->state != TOPIC_GONE || t->haunted || is_used(s, t))) return false;
    }
    return true;
}

static const char *any_value(struct run *s, int knob)
{
    int n = 0;
    while (n < (int)ARRAY_LEN(knobs[knob].values) && knobs[knob].values[n]) n++;
    return knobs[knob].values[rnd(s, (uint64_t)n)];
}

static void create_topic(struct run *s, struct client_state *c)
{
    struct create_topics_request in = dflt_create_topics_request;
    struct create_topics_request_creatable_topic d = dflt_create_topics_request_creatable_topic;
    char name[32];
    if (live_topics(s) >= LIVE_TOPICS) return;
    /* Some names are used again and again: a deleted topic's successor must have nothing of it. */
    (void)snprintf(name, sizeof name, "t%d", one_in(s, 2) ? ++s->names + 10 : between(s, 1, 3));
    if (!name_is_free(s, name)) return;
    struct op *o = op_new(s, API_CREATE_TOPICS);
    bool first = true;
    for (int i = 0; i < s->truth.topics_n; i++) first &= strcmp(s->truth.topics[i]->name, name) != 0;
    struct topic *t = o->topic = truth_topic(&s->truth, name, between(s, 1, 3));
    t->first_of_its_name = first;
    t->compact = one_in(s, 5);
    t->admin = true;
    o->call.answered = created_answered;
    o->call.lost = created_lost;
    in.topics = &d;
    in.topics_n = 1;
    in.timeout_ms = 30000;
    d.name = slice_of(t->name);
    d.num_partitions = t->parts_n;
    d.replication_factor = 1;
    d.configs = wire_array(&o->call.arena, create_topics_request_creatable_topic_config, TOPIC_KNOBS + 1);
    if (t->compact) {
        d.configs->name = S("cleanup.policy");
        d.configs->value = S("compact");
        d.configs_n++;
    }
    for (int k = 0; k < TOPIC_KNOBS; k++) {
        if (!one_in(s, k < 4 ? 5 : 2)) continue;
        t->settings[k].value = any_value(s, k);
        topic_may_have(t, k, t->settings[k].value);
        d.configs[d.configs_n].name = slice_of(knobs[k].name);
        d.configs[d.configs_n++].value = slice_of(t->settings[k].value);
    }
    peer_send(c->peer, &o->call, &in);
}

static void gone_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct delete_topics_response *out = answer;
    CHECK(out->responses_n == 1, "DeleteTopics of one answers for %d", out->responses_n);
    if (out->responses[0].error_code)
        CHECK(excused(o->sim, NULL, out->responses[0].error_code), "%s: DeleteTopics: error %d", o->topic->name,
              out->responses[0].error_code);
    else o->topic->state = TOPIC_GONE;
    o->topic->admin = false;
    o->sim->answers++;
    op_free(o);
}
static void admin_lost(struct call *call)
{
    struct op *o = container_of(call, struct op, call);
    o->topic->admin = false;
    op_lost(call);
}

static void delete_topic(struct run *s, struct client_state *c)
{
    struct topic *t = any_topic(s);
    if (!t || t->admin || t->state != TOPIC_LIVE) return;
    struct delete_topics_request in = dflt_delete_topics_request;
    struct delete_topics_request_delete_topic_state d = dflt_delete_topics_request_delete_topic_state;
    struct slice name = slice_of(t->name);
    struct op *o = op_new(s, API_DELETE_TOPICS);
    o->topic = t;
    o->call.answered = gone_answered;
    o->call.lost = admin_lost;
    t->admin = true;
    t->state = TOPIC_DELETING;
    in.timeout_ms = 30000;
    if (o->call.version >= 6) {
        in.topics = &d;
        in.topics_n = 1;
        if (!uuid_is_zero(t->id) && one_in(s, 2)) {
            d.topic_id = t->id;
            d.name = (struct slice){ 0 };
        } else {
            d.name = name;
        }
    } else {
        in.topic_names = &name;
        in.topic_names_n = 1;
    }
    peer_send(c->peer, &o->call, &in);
}

static void grown_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct create_partitions_response *out = answer;
    CHECK(out->results_n == 1, "CreatePartitions of one answers for %d", out->results_n);
    if (out->results[0].error_code)
        CHECK(excused(o->sim, o->topic, out->results[0].error_code), "%s: CreatePartitions: error %d", o->topic->name,
              out->results[0].error_code);
    else o->topic->parts_n = o->count;
    o->topic->admin = false;
    o->sim->answers++;
    op_free(o);
}

static void grow_topic(struct run *s, struct client_state *c)
{
    struct topic *t = any_topic(s);
    if (!t || t->admin || t->state != TOPIC_LIVE || t->parts_n == PARTS_MAX || t->parts_max > t->parts_n) return;
    struct create_partitions_request in = dflt_create_partitions_request;
    struct create_partitions_request_create_partitions_topic d = dflt_create_partitions_request_create_partitions_topic;
    struct op *o = op_new(s, API_CREATE_PARTITIONS);
    o->topic = t;
    o->count = t->parts_max = between(s, t->parts_n + 1, MIN(t->parts_n + 2, PARTS_MAX));
    o->call.answered = grown_answered;
    o->call.lost = admin_lost;
    t->admin = true;
    in.topics = &d;
    in.topics_n = 1;
    in.timeout_ms = 30000;
    d.name = slice_of(t->name);
    d.count = o->count;
    d.assignments_n = -1;
    peer_send(c->peer, &o->call, &in);
}

static void altered_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct incremental_alter_configs_response *out = answer;
    struct setting *g = &o->topic->settings[o->knob];
    CHECK(out->responses_n == 1, "IncrementalAlterConfigs of one answers for %d", out->responses_n);
    if (out->responses[0].error_code) {
        CHECK(excused(o->sim, o->topic, out->responses[0].error_code), "%s: IncrementalAlterConfigs: error %d", o->topic->name,
              out->responses[0].error_code);
    } else {
        g->value = o->value;
        g->pending_n--; /* one change at a time: it was the last */
    }
    o->topic->admin = false;
    o->sim->answers++;
    op_free(o);
}

static void alter_config(struct run *s, struct client_state *c)
{
    struct topic *t = any_topic(s);
    int k = between(s, 0, TOPIC_KNOBS - 1);
    if (!t || t->admin || t->state != TOPIC_LIVE || t->settings[k].pending_n == PENDING_MAX) return;
    struct incremental_alter_configs_request in = dflt_incremental_alter_configs_request;
    struct incremental_alter_configs_request_alter_configs_resource d =
        dflt_incremental_alter_configs_request_alter_configs_resource;
    struct incremental_alter_configs_request_alterable_config kv = dflt_incremental_alter_configs_request_alterable_config;
    struct op *o = op_new(s, API_INCREMENTAL_ALTER_CONFIGS);
    o->topic = t;
    o->knob = k;
    o->value = one_in(s, 5) ? NULL : any_value(s, k);
    o->call.answered = altered_answered;
    o->call.lost = admin_lost;
    t->admin = true;
    t->settings[k].pending[t->settings[k].pending_n++] = o->value;
    topic_may_have(t, k, o->value);
    in.resources = &d;
    in.resources_n = 1;
    d.resource_type = 2;
    d.resource_name = slice_of(t->name);
    d.configs = &kv;
    d.configs_n = 1;
    kv.name = slice_of(knobs[k].name);
    kv.config_operation = o->value ? 0 : 1;
    kv.value = slice_of(o->value);
    peer_send(c->peer, &o->call, &in);
}

/* ---- everything else --------------------------------------------------------------------------------------------------------------------------------- */

static void metadata_answered(struct call *call, void *answer)
{
    struct op *o = container_of(call, struct op, call);
    struct metadata_response *out = answer;
    CHECK(out->topics_n == 1, "Metadata of one answers for %d", out->topics_n);
    if (out->topics[0].error_code) {
        CHECK(excused(o->sim, o->topic, out->topics[0].error_code), "%s: Metadata: error %d", o->topic->name,
              out->topics[0].error_code);
    } else if (o->topic->state == TOPIC_LIVE) {
        CHECK(out->topics[0].partitions_n >= o->count && out->topics[0].partitions_n <= o->topic->parts_max,
              "%s: %d partitions, not %d", o->topic->name, out->topics[0].partitions_n, o->count);
        if (call->version >= 10) {
            CHECK(uuid_is_zero(o->topic->id) || uuid_eq(o->topic->id, out->topics[0].topic_id), "%s: another topic id",
                  o->topic->name);
            o->topic->id = out->topics[0].topic_id;
        }
    }
    o->sim->answers++;
    op_free(o);
}

static void metadata(struct run *s, struct client_state *c)
{
    struct metadata_request in = dflt_metadata_request;
    struct metadata_request_topic d = dflt_metadata_request_topic;
    struct topic *t = any_topic(s);
    if (!t) return;
    struct op *o = op_new(s, API_METADATA);
    o->topic = t;
    o->count = t->parts_n;
    o->call.answered = metadata_answered;
    in.topics = &d;
    in.topics_n = 1;
    d.name = slice_of(t->name);
    in.allow_auto_topic_creation = o->call.version < 4;
    if (o->call.version < 4 && t->state != TOPIC_LIVE) op_free(o); /* it would be created again */
    else peer_send(c->peer, &o->call, &in);
}

static void junk(struct run *s, struct client_state *c)
{
    uint8_t frame[64];
    size_t n = rnd(s, sizeof frame);
    for (size_t i = 0; i < n; i++) frame[i] = (uint8_t)rnd(s, 256);
    if (n >= 4 && one_in(s, 2)) { /* looks well at the beginning: an API that is served */
        put_be16(frame, (uint16_t)between(s, API_OFFSET_COMMIT, API_LIST_GROUPS));
        put_be16(frame + 2, (uint16_t)rnd(s, 8));
    }
    if (n < 2 || be16(frame) != API_API_VERSIONS) peer_send_junk(c->peer, frame, n);
    peer_hang_up(c->peer);
}

/* Many at once, to many partitions: what one commit covers. */
static void burst(struct run *s)
{
    for (int i = between(s, 3, 12); i > 0; i--) {
        struct client_state *c = one_in(s, 3) ? NULL : any_client(s);
        if (c) produce_plain(s, c);
        else produce_idempotent(s);
    }
}

static void act(struct run *s)
{
    uint64_t what = rnd(s, 1000);
    if (one_in(s, 10)) {
        burst(s);
        return;
    }
    if (live_topics(s) == 0) what = 900;
    if (what >= 460 && one_in(s, 4)) {
        members_act(s);
        return;
    }
    if (what < 230) {
        produce_idempotent(s);
        return;
    }
    struct client_state *c = any_client(s);
    if (!c) return;
    if (what < 460) produce_plain(s, c);
    else if (what < 640) fetch(s, c);
    else if (what < 760) fetch_in_session(s, c);
    else if (what < 830) list_offsets(s, c);
    else if (what < 850) delete_records(s, c);
    else if (what < 890) metadata(s, c);
    else if (what < 920) create_topic(s, c);
    else if (what < 930) delete_topic(s, c);
    else if (what < 942) grow_topic(s, c);
    else if (what < 970) alter_config(s, c);
    else if (what < 985) peer_hang_up(c->peer);
    else if (what < 988) junk(s, c);
    else node_run(&s->node, (int64_t)rnd(s, 20) * 1000 * 1000);
}

/* ---- reading everything after a start --------------------------------------------------------------------------------------------------------------- */

static void asking_answered(struct call *c, void *out) { container_of(c, struct asking, call)->out = out; }
static void asking_lost(struct call *c) { container_of(c, struct asking, call)->lost = true; }

/* Sends and waits; the answer lives until asking_free. */
void *ask(struct run *s, struct peer *p, struct asking *a, int16_t key, int16_t version, const void *in)
{
    *a = (struct asking){ 0 };
    call_init(&a->call, key, version);
    a->call.answered = asking_answered;
    a->call.lost = asking_lost;
    peer_send(p, &a->call, in);
    int64_t until = node_now_us(&s->node) + 60LL * 1000 * 1000;
    while (!a->out && !a->lost && node_now_us(&s->node) < until) (void)node_step(&s->node);
    CHECK(a->out, "API %d version %d: no answer (%s)", key, version, a->lost ? "closed" : "a minute has gone by");
    return a->out;
}

static void read_part(struct run *s, struct peer *peer, struct part *p)
{
    struct asking a;
    struct list_offsets_request li = dflt_list_offsets_request;
    struct list_offsets_request_list_offsets_topic lt = dflt_list_offsets_request_list_offsets_topic;
    struct list_offsets_request_list_offsets_partition ld = dflt_list_offsets_request_list_offsets_partition;
    li.topics = &lt;
    li.topics_n = 1;
    lt.name = slice_of(p->topic->name);
    lt.partitions = &ld;
    lt.partitions_n = 1;
    ld.partition_index = p->index;
    ld.timestamp = -2;
    struct list_offsets_response *lr = ask(s, peer, &a, API_LIST_OFFSETS, 5, &li);
    CHECK(lr->topics[0].partitions[0].error_code == 0, "%s-%d: ListOffsets: error %d", p->topic->name, p->index,
          lr->topics[0].partitions[0].error_code);
    int64_t at = lr->topics[0].partitions[0].offset, watermark = at + 1, last[KEYS];
    memset(last, -1, sizeof last);
    truth_started_at(p, at, p->start_min);
    if (!p->topic->loose && p->start_max == INT64_MAX) p->start_max = at; /* what "up to the high watermark" came to */
    call_free(&a.call);
    while (at < watermark) {
        struct fetch_request in = dflt_fetch_request;
        struct fetch_request_fetch_topic t = dflt_fetch_request_fetch_topic;
        struct fetch_request_fetch_partition d = dflt_fetch_request_fetch_partition;
        in.topics = &t;
        in.topics_n = 1;
        in.max_bytes = 1 << 20;
        t.topic = slice_of(p->topic->name);
        t.partitions = &d;
        t.partitions_n = 1;
        d.partition = p->index;
        d.fetch_offset = at;
        d.partition_max_bytes = between(s, 1, 100000);
        struct fetch_response *out = ask(s, peer, &a, API_FETCH, 11, &in);
        struct fetch_response_partition_data *r = &out->responses[0].partitions[0];
        if (r->error_code == KAFKA_OFFSET_OUT_OF_RANGE && p->start_max == INT64_MAX) { /* retention overtook us */
            call_free(&a.call);
            break;
        }
        CHECK(r->error_code == 0, "%s-%d: fetch at %lld: error %d", p->topic->name, p->index, (long long)at, r->error_code);
        watermark = r->high_watermark;
        CHECK(watermark >= p->shown && watermark >= p->end_acked,
              "%s-%d: the high watermark is %lld; shown was %lld, acknowledged %lld", p->topic->name, p->index,
              (long long)watermark, (long long)p->shown, (long long)p->end_acked);
        int64_t next = truth_shown(&s->truth, p, at, watermark, r->records.bytes, last);
        if (next == at && p->topic->compact) next = watermark; /* a hole at the end */
        CHECK(next > at || at >= watermark, "%s-%d: nothing at %lld, below the high watermark %lld", p->topic->name, p->index,
              (long long)at, (long long)watermark);
        at = next;
        p->shown = MAX(p->shown, watermark);
        p->end_acked = MAX(p->end_acked, watermark);
        call_free(&a.call);
    }
    if (p->topic->compact) truth_compacted(&s->truth, p, last);
}

static bool setting_may_be(const struct setting *g, struct slice have, bool is_default)
{
    bool ok = g->value ? !is_default && slice_eq(have, slice_of(g->value)) : is_default;
    for (int i = 0; i < g->pending_n; i++)
        ok |= g->pending[i] ? !is_default && slice_eq(have, slice_of(g->pending[i])) : is_default;
    return ok;
}

static const char *knob_value(int k, struct slice have)
{
    for (size_t i = 0; i < ARRAY_LEN(knobs[k].values) && knobs[k].values[i]; i++)
        if (slice_eq(have, slice_of(knobs[k].values[i]))) return knobs[k].values[i];
    return NULL;
}

static void read_configs(struct run *s, struct peer *peer, struct topic *t)
{
    struct describe_configs_request in = dflt_describe_configs_request;
    struct describe_configs_request_describe_configs_resource d = dflt_describe_configs_request_describe_configs_resource;
    struct asking a;
    in.resources = &d;
    in.resources_n = 1;
    d.resource_type = 2;
    d.resource_name = slice_of(t->name);
    d.configuration_keys_n = -1;
    struct describe_configs_response *out = ask(s, peer, &a, API_DESCRIBE_CONFIGS, 4, &in);
    CHECK(out->results[0].error_code == 0, "%s: DescribeConfigs: error %d", t->name, out->results[0].error_code);
    for (int i = 0; i < out->results[0].configs_n; i++) {
        struct describe_configs_response_describe_configs_resource_result *c = &out->results[0].configs[i];
        for (int k = 0; k < TOPIC_KNOBS; k++) {
            if (!slice_eq(c->name, slice_of(knobs[k].name))) continue;
            bool is_default = c->config_source != 1;
            CHECK(setting_may_be(&t->settings[k], c->value, is_default), "%s: %s is " S_FMT "%s, acknowledged was %s", t->name,
                  knobs[k].name, S_ARG(c->value), is_default ? " (the default)" : "",
                  t->settings[k].value ? t->settings[k].value : "the default");
            t->settings[k] = (struct setting){ .value = is_default ? NULL : knob_value(k, c->value) };
        }
    }
    for (int i = 0; i < PARTS_MAX; i++) t->parts[i].lossy = false;
    topic_may_have(t, KNOB_FLUSH_MESSAGES, t->settings[KNOB_FLUSH_MESSAGES].value);
    call_free(&a.call);
}

static void read_topics(struct run *s, struct peer *peer)
{
    struct metadata_request in = dflt_metadata_request;
    struct asking a;
    in.topics_n = -1;
    in.allow_auto_topic_creation = false;
    struct metadata_response *out = ask(s, peer, &a, API_METADATA, 12, &in);
    bool seen[256] = { 0 };
    CHECK(s->truth.topics_n <= 256, "topics");
    for (int i = 0; i < out->topics_n; i++) {
        struct metadata_response_topic *m = &out->topics[i];
        if (m->is_internal) continue;
        struct topic *t = truth_topic_named(&s->truth, m->name);
        CHECK(t, S_FMT ": a topic that was deleted or never was", S_ARG(m->name));
        CHECK(uuid_is_zero(t->id) || uuid_eq(t->id, m->topic_id), "%s: another topic id", t->name);
        CHECK(m->partitions_n == t->parts_n || m->partitions_n == t->parts_max, "%s: %d partitions, not %d", t->name,
              m->partitions_n, t->parts_n);
        for (int k = 0; k < m->partitions_n; k++)
            CHECK(m->partitions[k].leader_id >= 0, "%s-%d: error %d", t->name, k, m->partitions[k].error_code);
        t->id = m->topic_id;
        t->parts_n = t->parts_max = m->partitions_n;
        t->state = TOPIC_LIVE;
        t->admin = false;
        for (int k = 0; k < s->truth.topics_n; k++) seen[k] |= s->truth.topics[k] == t;
    }
    for (int k = 0; k < s->truth.topics_n; k++) {
        struct topic *t = s->truth.topics[k];
        if (seen[k] || t->state == TOPIC_GONE) continue;
        CHECK(t->state != TOPIC_LIVE, "%s: the topic is gone", t->name);
        t->state = TOPIC_GONE;
    }
    call_free(&a.call);
}

static void read_all(struct run *s)
{
    struct peer *peer = peer_open(&s->node);
    read_topics(s, peer);
    for (int i = 0; i < s->truth.topics_n; i++) {
        struct topic *t = s->truth.topics[i];
        if (t->state != TOPIC_LIVE) continue;
        read_configs(s, peer, t);
        for (int k = 0; k < t->parts_n; k++) read_part(s, peer, &t->parts[k]);
    }
    members_read(s, peer);
    peer_hang_up(peer);
}

/* ---- a life ----------------------------------------------------------------------------------------------------------------------------------------- */

static int64_t all_answers, all_records; /* of all runs */

static void tell(struct run *s, const char *what)
{
    if (sim_verbose) fprintf(stderr, "--- life %d at %lld us: %s\n", s->life, (long long)node_now_us(&s->node), what);
}

static void dead(struct run *s, enum crash how)
{
    CHECK(s->calls == 0, "%d calls are neither answered nor lost", s->calls);
    truth_restarted(&s->truth, how);
    memset(s->clients, 0, sizeof s->clients);
    members_restarted(s);
    for (int i = 0; i < PRODUCERS; i++) {
        struct producer *pr = &s->producers[i];
        pr->peer = NULL;
        if (one_in(s, 6)) pr->dead = true; /* clients die as well */
        producer_settle(pr);
        for (int k = 0; k < LANES; k++) {
            struct lane *l = &pr->lanes[k];
            if (!l->part) continue;
            l->lenient |= l->n > 0 || (how == CRASH_POWER && (pr->acks != -1 || l->part->lossy)) || s->faulty;
            l->disturbed = false;
        }
    }
}

static struct sim_fault any_fault(struct run *s)
{
    struct sim_fault f = { .nth = 1 + (int64_t)rnd(s, one_in(s, 3) ? 100 : 8), .err = -EIO };
    switch (rnd(s, 6)) {
    case 0: f.ops = SIM_DATASYNC; break;
    case 1: f.ops = SIM_PWRITEV; break;
    case 2: f.ops = SIM_OPEN, f.err = -EMFILE; break;
    case 3: f.ops = SIM_PWRITEV, f.err = -ENOSPC, f.cut = true; break;
    case 4: f.err = -ENOSPC; break;
    default: break;
    }
    f.sticky = one_in(s, 3);
    if (s->dirs > 1 && one_in(s, 2)) f.path = one_in(s, 3) ? "/data" : s->dirs > 2 && one_in(s, 2) ? "/third" : "/more";
    return f;
}

static const char *any_other_dir(struct run *s) { return s->dirs > 2 && one_in(s, 2) ? "/third" : "/more"; }

/* A start that meets a failing disk either says so or succeeds; with the disk well again the next one succeeds. */
static void start(struct run *s)
{
    struct why why = { "" };
    s->faulty = false;
    while (one_in(s, 5)) {
        struct sim_fault f = any_fault(s);
        f.nth = 1 + (int64_t)rnd(s, 60);
        sim_fault(s->node.world, f);
        int rc = node_up(&s->node, &why);
        sim_fault(s->node.world, (struct sim_fault){ 0 });
        if (rc == 0) {
            tell(s, "started, perhaps with a fault");
            s->faulty = true;
            return;
        }
        tell(s, why.text);
        CHECK(why.text[0], "a start failed with %s, and nobody says why", err_text(rc));
        if (one_in(s, 2)) {
            node_power_loss(&s->node);
            truth_restarted(&s->truth, CRASH_POWER);
        }
    }
    bool missing = s->dirs > 1 && s->life > 0 && one_in(s, 3);
    if (missing) sim_fault(s->node.world, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EIO, .path = any_other_dir(s) });
    s->faulty = missing;
    int rc = node_up(&s->node, &why);
    CHECK(rc == 0, "life %d: the broker does not start: %s: %s", s->life, err_text(rc), why.text);
    tell(s, missing ? "started without a directory" : "started");
}

/* Without faults everything on its way is answered in the end. */
static void quiesce(struct run *s)
{
    tell(s, "quiesce");
    for (int i = 0; i < 90 && s->calls; i++) node_run(&s->node, 1000 * 1000);
    list_each (l, &s->node.peers) {
        struct peer *p = container_of(l, struct peer, link);
        list_each (m, &p->line) {
            struct call *c = container_of(m, struct call, link);
            CHECK(c->silent, "API %d version %d has no answer after a minute and a half", c->key, c->version);
        }
    }
}

static void end(struct run *s)
{
    uint64_t how = rnd(s, 10);
    if (one_in(s, 4)) quiesce(s);
    if (how < 6) {
        tell(s, "power loss");
        node_power_loss(&s->node);
        sim_fault(s->node.world, (struct sim_fault){ 0 });
        dead(s, CRASH_POWER);
    } else if (how < 8) {
        tell(s, "kill");
        node_kill(&s->node);
        dead(s, s->faulty ? CRASH_POWER : CRASH_NONE);
    } else {
        tell(s, "clean stop");
        sim_fault(s->node.world, (struct sim_fault){ 0 });
        int rc = node_down(&s->node);
        CHECK(rc == 0 || s->faulty, "a clean stop says %s", err_text(rc));
        dead(s, s->faulty ? CRASH_POWER : CRASH_NONE);
        if (s->faulty && one_in(s, 2)) node_power_loss(&s->node);
    }
    sim_space(s->node.world, -1);
}

static void live(struct run *s)
{
    start(s);
    if (!s->faulty) read_all(s);
    uint64_t n = 1 + rnd(s, STEPS), fault_at = one_in(s, 4) ? rnd(s, n) : UINT64_MAX;
    for (uint64_t k = 0; k < n; k++) {
        if (k == fault_at) {
            s->faulty = true;
            tell(s, "fault");
            if (one_in(s, 4)) sim_space(s->node.world, (int64_t)rnd(s, 20000));
            else sim_fault(s->node.world, any_fault(s));
        }
        act(s);
        for (uint64_t steps = rnd(s, 9); steps > 0; steps--) (void)node_step(&s->node);
    }
    end(s);
}

/* A run from one seed, before its first life. */
static struct run *run_new(uint64_t seed)
{
    struct run *s = new (struct run);
    s->rng = seed * 0x9e3779b97f4a7c15u + 0x1234567;
    for (int i = 0; i < 8; i++) (void)rnd(s, 2);
    char more[1024];
    s->dirs = !one_in(s, 3) ? 1 : 2 + one_in(s, 3);
    int journal = one_in(s, 3) ? 0 : one_in(s, 2) ? 32768 : 262144;
    (void)snprintf(more, sizeof more,
                   "log.dirs=/data%s\nodradek.dirty.max=1048576\nodradek.disk.reserve=%d\nodradek.journal.max=%d\n"
                   "log.retention.check.interval.ms=%d\nlog.flush.offset.checkpoint.interval.ms=%d\nlog.cleaner.backoff.ms=%d\n"
                   "num.partitions=2\nauto.create.topics.enable=false\noffsets.topic.num.partitions=2\n"
                   "group.initial.rebalance.delay.ms=%d\nodradek.scrub.interval.ms=%d\n",
                   s->dirs > 2   ? ",/more,/third"
                   : s->dirs > 1 ? ",/more"
                                 : "",
                   one_in(s, 2) ? 0 : 4000, journal, between(s, 1000, 20000), between(s, 1000, 60000),
                   one_in(s, 2) ? 1000 : 15000, one_in(s, 2) ? 0 : 3000, one_in(s, 4) ? 10000 : 0);
    node_init(&s->node, seed, more);
    members_init(s);
    for (int i = 0; i < PRODUCERS; i++) s->producers[i].acks = i == 0 ? 1 : -1;
    return s;
}

/* The last start, with a disk that is well: everything is as clients were told. */
static uint64_t run_end(struct run *s)
{
    struct why why = { "" };
    s->faulty = false;
    int rc = node_up(&s->node, &why);
    CHECK(rc == 0, "the broker does not start at the end: %s: %s", err_text(rc), why.text);
    read_all(s);
    CHECK(node_down(&s->node) == 0, "the last stop");
    uint64_t trace = sim_trace_hash(s->node.world);
    all_answers += s->answers;
    all_records += s->records;
    truth_free(&s->truth);
    node_free(&s->node);
    mem_free(s);
    return trace;
}

static uint64_t one_seed(uint64_t seed)
{
    struct run *s = run_new(seed);
    for (s->life = 0; s->life < LIVES; s->life++) live(s);
    return run_end(s);
}

/* ---- the sweep: one scenario, and every file call of it fails once --------------------------------------------------------------------------- */

static const struct {
    const char *name;
    struct sim_fault fault;
} kinds[] = {
    { "EIO", { .err = -EIO } },
    { "EIO for ever", { .err = -EIO, .sticky = true } },
    { "ENOSPC", { .err = -ENOSPC, .cut = true } },
    { "ENOSPC for ever", { .err = -ENOSPC, .cut = true, .sticky = true } },
    { "a short write, then EIO", { .cut = true } },
    { "EMFILE", { .err = -EMFILE } },
};

static void with_client(struct run *s, void (*fn)(struct run *s, struct client_state *c))
{
    struct client_state *c = any_client(s);
    if (c) fn(s, c);
    node_run(&s->node, 2000);
}

/* The disk fails in here, at some call. Every step is tried whatever became of those before. */
static void scenario(struct run *s, bool stop_clean)
{
    static void (*const seldom[])(struct run * s, struct client_state * c) = { create_topic,   alter_config,   fetch,
                                                                               delete_records, grow_topic,     metadata,
                                                                               list_offsets,   alter_config,   fetch,
                                                                               delete_topic,   delete_records, create_topic };
    struct why why = { "" };
    for (int i = 0; i < 3; i++) with_client(s, create_topic);
    for (int i = 0; i < (int)ARRAY_LEN(seldom) * 4; i++) {
        for (int k = 0; k < 3; k++) {
            produce_idempotent(s);
            with_client(s, produce_plain);
            members_act(s);
        }
        with_client(s, seldom[i % (int)ARRAY_LEN(seldom)]);
        if (i % 12 == 11) node_run(&s->node, 25LL * 1000 * 1000); /* rolls by time, checkpoints, retention, the cleaner */
    }
    quiesce(s);
    if (!stop_clean) {
        node_power_loss(&s->node);
        dead(s, CRASH_POWER);
    } else {
        (void)node_down(&s->node);
        dead(s, CRASH_POWER);
    }
    int rc = node_up(&s->node, &why);
    if (rc) CHECK(why.text[0], "a start failed with %s, and nobody says why", err_text(rc));
    for (int i = 0; !rc && i < 20; i++) {
        produce_idempotent(s);
        with_client(s, i % 2 ? produce_plain : fetch);
    }
}

/* False: the scenario makes fewer calls than that. */
static bool sweep_one(size_t kind, int64_t nth)
{
    struct run *s = run_new(4711);
    struct why why = { "" };
    struct sim_fault f = kinds[kind].fault;
    f.nth = nth;
    s->faulty = true;
    sim_fault(s->node.world, f);
    int rc = node_up(&s->node, &why);
    if (rc) { /* the disk is mended */
        CHECK(why.text[0], "a start failed with %s, and nobody says why", err_text(rc));
        if (f.sticky) sim_fault(s->node.world, (struct sim_fault){ 0 });
        rc = node_up(&s->node, &why);
        CHECK(rc == 0, "the broker does not start on a disk that is well again: %s: %s", err_text(rc), why.text);
    }
    scenario(s, nth % 2);
    bool fired = sim_fs_calls(s->node.world) >= nth;
    sim_fault(s->node.world, (struct sim_fault){ 0 });
    if (s->node.broker && nth % 3 == 0) {
        (void)node_down(&s->node);
    } else {
        node_power_loss(&s->node);
    }
    dead(s, CRASH_POWER);
    (void)run_end(s);
    return fired;
}

static void sweep(int64_t every)
{
    int64_t runs = 0, calls = 0;
    for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++) {
        for (int64_t nth = 1 + (int64_t)kind % every;; nth += every) {
            sim_running("sim_broker fault %zu %lld (%s)", kind, (long long)nth, kinds[kind].name);
            runs++;
            if (!sweep_one(kind, nth)) break;
            calls = MAX(calls, nth);
        }
    }
    printf("%lld runs, each with another failure in one of %lld file calls; ", (long long)runs, (long long)calls);
}

static int64_t journals_made, journals_replayed;

static bool says(struct slice line, const char *what) { return memmem(line.p, line.n, what, strlen(what)) != NULL; }

/* Nobody else writes here: a journal that is found is ours, and is replayed without a word of damage. */
static void listen(void *arg, enum log_level level, struct slice line)
{
    journals_made += says(line, "commit journal made");
    journals_replayed += says(line, "commit journal replayed");
    if (sim_verbose) fprintf(stderr, S_FMT "\n", S_ARG(line));
    CHECK(!says(line, "damaged batch found"), S_FMT, S_ARG(line));
    CHECK(!says(line, "commit journal set aside") && !says(line, "commit journal: "), S_FMT, S_ARG(line));
}

static void loud(void)
{
    sim_verbose = true;
    log_threshold = LOG_DEBUG;
}

int main(int argc, char **argv)
{
    const char *one = getenv("ODR_SEED"); // NOLINT(concurrency-mt-unsafe)
    const char *mode = argc > 1 ? argv[1] : "";
    bool twice = strcmp(mode, "twice") == 0, sweeps = strcmp(mode, "sweep") == 0, fault = strcmp(mode, "fault") == 0;
    int at = twice || sweeps || fault ? 2 : 1;
    uint64_t n = argc > at ? strtoull(argv[at], NULL, 10) : twice ? 12 : sweeps ? 1 : 200;
    uint64_t first = argc > at + 1 ? strtoull(argv[at + 1], NULL, 10) : 1;
    struct timespec a, b;
    log_threshold = LOG_INFO;
    log_sink(listen, NULL);
    if (one || fault) loud();
    if (one) first = strtoull(one, NULL, 10), n = 1;
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    if (fault) {
        CHECK(n < ARRAY_LEN(kinds), "a kind of fault is 0 to %zu", ARRAY_LEN(kinds) - 1);
        (void)sweep_one(n, (int64_t)first);
    } else if (sweeps) {
        sweep((int64_t)MAX(n, 1u));
    } else {
        for (uint64_t seed = first; seed < first + n; seed++) {
            sim_running("ODR_SEED=%llu sim_broker", (unsigned long long)seed);
            uint64_t trace = one_seed(seed);
            if (twice) CHECK(one_seed(seed) == trace, "two runs of one seed differ");
        }
        printf("%llu seeds from %llu; ", (unsigned long long)n, (unsigned long long)first);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%lld answers, %lld records sent, %lld journals, %lld replayed, %.1f s\n", (long long)all_answers,
           (long long)all_records, (long long)journals_made, (long long)journals_replayed,
           (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
    return 0;
}
