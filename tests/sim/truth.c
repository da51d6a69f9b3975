#include "truth.h"

#include <stdlib.h>

const struct knob knobs[TOPIC_KNOBS] = {
    { "flush.messages", { "1", "1", "4", "9223372036854775807" } },
    { "retention.ms", { "-1", "20000", "600000" } },
    { "retention.bytes", { "-1", "3000", "30000" } },
    { "max.message.bytes", { "1048588", "1048588", "500" } },
    { "internal.segment.bytes", { "1500", "4000", "30000" } },
    { "message.timestamp.type", { "CreateTime", "LogAppendTime" } },
    { "segment.ms", { "1000", "10000", "604800000" } },
    { "index.interval.bytes", { "1", "200", "4096" } },
    { "compression.type", { "producer", "gzip", "zstd", "uncompressed", "lz4", "snappy" } },
    { "file.delete.delay.ms", { "0", "1000", "60000" } },
};

void truth_free(struct truth *t)
{
    for (int i = 0; i < t->sent_n; i++) mem_free(t->sent[i]);
    for (int i = 0; i < t->topics_n; i++) {
        for (int k = 0; k < PARTS_MAX; k++) mem_free(t->topics[i]->parts[k].cells);
        mem_free(t->topics[i]);
    }
    mem_free(t->sent);
    mem_free(t->topics);
}

struct topic *truth_topic(struct truth *t, const char *name, int parts)
{
    struct topic *topic = new (struct topic);
    t->topics = mem_realloc(t->topics, sizeof(struct topic *) * (size_t)(t->topics_n + 1));
    t->topics[t->topics_n++] = topic;
    (void)snprintf(topic->name, sizeof topic->name, "%s", name);
    topic->parts_n = topic->parts_max = parts;
    for (int i = 0; i < PARTS_MAX; i++) {
        topic->parts[i].topic = topic;
        topic->parts[i].index = i;
    }
    return topic;
}

struct topic *truth_topic_named(struct truth *t, struct slice name)
{
    for (int i = 0; i < t->topics_n; i++)
        if (t->topics[i]->state != TOPIC_GONE && slice_eq(slice_of(t->topics[i]->name), name)) return t->topics[i];
    return NULL;
}

void topic_may_have(struct topic *t, int knob, const char *value)
{
    if (!value) return; /* the defaults: synced, no retention to speak of */
    if ((knob == KNOB_RETENTION_MS || knob == KNOB_RETENTION_BYTES) && strcmp(value, "-1") != 0) {
        t->loose = true;
        for (int i = 0; i < PARTS_MAX; i++) t->parts[i].start_max = INT64_MAX;
    }
    t->tight |= (knob == KNOB_MAX_MESSAGE && strcmp(value, "1048588") != 0) || knob == KNOB_SEGMENT_BYTES;
    t->stamped |= knob == KNOB_TIMESTAMP_TYPE && strcmp(value, "LogAppendTime") == 0;
    if (knob == KNOB_FLUSH_MESSAGES && strcmp(value, "1") != 0)
        for (int i = 0; i < PARTS_MAX; i++) t->parts[i].lossy = true;
}

/* ---- records ---------------------------------------------------------------------------------------------------------------------------------- */

struct sent *truth_send(struct truth *t, struct part *p, int records, int value_n, int64_t ts)
{
    struct sent *b = new (struct sent);
    t->sent = mem_realloc(t->sent, sizeof(struct sent *) * (size_t)(t->sent_n + 1));
    t->sent[t->sent_n++] = b;
    *b = (struct sent){ .id = t->sent_n,
                        .part = p,
                        .records = records,
                        .value_n = value_n,
                        .ts = ts,
                        .pid = NO_PRODUCER_ID,
                        .epoch = NO_PRODUCER_EPOCH,
                        .seq = NO_SEQUENCE,
                        .at = -1 };
    return b;
}

/* "<id>.<i>." and then letters that follow from both. */
static void value_of(const struct sent *b, int i, struct bytes *out)
{
    out->n = 0;
    bytes_printf(out, "%d.%d.", b->id, i);
    size_t n = (size_t)b->value_n;
    char *p = bytes_room(out, n);
    uint64_t h = (uint64_t)b->id * 31 + (uint64_t)i;
    for (size_t k = 0; k < n; k++) {
        if (k % 16 == 0) h = h * 0x9e3779b97f4a7c15u + 0x7f4a7c15u;
        p[k] = (char)('a' + (h >> (k % 16 * 3 + 8)) % 26);
    }
    out->n += n;
}

void sent_bytes(const struct sent *b, struct bytes *out)
{
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder bb;
    struct bytes value = { 0 };
    o.producer_id = b->pid;
    o.producer_epoch = b->epoch;
    o.base_sequence = b->seq;
    o.codec = b->codec;
    batch_begin(&bb, &o, out);
    for (int i = 0; i < b->records; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", b->id % KEYS);
        value_of(b, i, &value);
        batch_append(&bb, b->ts + i, slice_of(key), (struct slice){ (char *)value.p, value.n }, NULL, 0);
    }
    int rc = batch_end(&bb);
    CHECK(rc > 0, "a batch cannot be built: %s", err_text(rc));
    bytes_free(&value);
}

static struct cell *cell_at(struct part *p, int64_t offset)
{
    if (offset >= p->cap) {
        int64_t cap = MAX(offset + 1, p->cap * 2 + 64);
        p->cells = mem_realloc(p->cells, (size_t)cap * sizeof(struct cell));
        memset(p->cells + p->cap, 0, (size_t)(cap - p->cap) * sizeof(struct cell));
        p->cap = cap;
    }
    return &p->cells[offset];
}

#define PART_FMT    "%s-%d"
#define PART_ARG(p) (p)->topic->name, (p)->index

void truth_placed(struct truth *t, struct sent *b, int64_t at, bool sure)
{
    struct part *p = b->part;
    CHECK(at >= 0, PART_FMT ": batch %d is at %lld", PART_ARG(p), b->id, (long long)at);
    if (b->at >= 0 && b->at != at) /* its first copy may have been deleted, and then it was sent again */
        CHECK(b->at < p->start_max && p->start_max > 0, PART_FMT ": batch %d is at %lld, and was at %lld", PART_ARG(p), b->id,
              (long long)at, (long long)b->at);
    for (int i = 0; i < b->records; i++) {
        struct cell *c = cell_at(p, at + i);
        CHECK(c->id == 0 || (c->id == b->id && c->i == i), PART_FMT ": offset %lld holds record %d.%d, and now %d.%d",
              PART_ARG(p), (long long)at + i, c->id, c->i, b->id, i);
        *c = (struct cell){ b->id, i };
    }
    b->at = at;
    b->sure |= sure;
    p->end_acked = MAX(p->end_acked, at + b->records);
    if (sure) p->shown = MAX(p->shown, at + b->records);
}

/* ---- what a fetch shows -------------------------------------------------------------------------------------------------------------------------- */

static struct sent *check_record(struct truth *t, struct part *p, const struct record *r, const struct batch_head *h,
                                 struct bytes *want)
{
    int id = r->value.p && r->value.n && r->value.n < INT32_MAX ? atoi(r->value.p) : 0;
    const char *dot = r->value.p ? memchr(r->value.p, '.', r->value.n) : NULL;
    CHECK(id >= 1 && id <= t->sent_n && dot, PART_FMT ": nobody sent the record at %lld", PART_ARG(p), (long long)r->offset);
    struct sent *b = t->sent[id - 1];
    int i = atoi(dot + 1);
    CHECK(b->part == p, PART_FMT ": record %d.%d at %lld was sent to " PART_FMT, PART_ARG(p), id, i, (long long)r->offset,
          PART_ARG(b->part));
    CHECK(i >= 0 && i < b->records, "record %d.%d", id, i);
    value_of(b, i, want);
    CHECK(slice_eq(r->value, (struct slice){ (char *)want->p, want->n }),
          PART_FMT ": the bytes of record %d.%d at %lld have changed", PART_ARG(p), id, i, (long long)r->offset);
    if (!batch_is_log_append_time(h))
        CHECK(r->timestamp == b->ts + i, PART_FMT ": timestamp of %d.%d is %lld, was %lld", PART_ARG(p), id, i,
              (long long)r->timestamp, (long long)b->ts + i);
    CHECK(h->producer_id == b->pid && h->base_sequence == b->seq, PART_FMT ": producer of %d.%d", PART_ARG(p), id, i);
    if (i == 0 || b->at != r->offset - i) truth_placed(t, b, r->offset - i, true);
    b->sure = true;
    return b;
}

int64_t truth_shown(struct truth *t, struct part *p, int64_t offset, int64_t watermark, struct slice records,
                    int64_t *last_of_key)
{
    struct bytes scratch = { 0 }, want = { 0 };
    int64_t next = -1;
    for (size_t at = 0; at < records.n;) {
        struct record_iter it;
        struct record r;
        int32_t size;
        if (batch_size(records.p + at, records.n - at, &size) == E_TRUNCATED || (size_t)size > records.n - at)
            break; /* the last may be cut */
        int rc = batch_verify(records.p + at, (size_t)size);
        CHECK(rc == 0, PART_FMT ": a batch at %lld: %s", PART_ARG(p), (long long)(next < 0 ? offset : next), err_text(rc));
        rc = record_iter_init(&it, records.p + at, (size_t)size, &scratch, 0);
        CHECK(rc == 0, PART_FMT ": %s", PART_ARG(p), err_text(rc));
        if (next < 0) {
            CHECK((it.head.base_offset <= offset || p->topic->compact) && batch_last_offset(&it.head) >= offset,
                  PART_FMT ": a fetch from %lld begins with %lld to %lld", PART_ARG(p), (long long)offset,
                  (long long)it.head.base_offset, (long long)batch_last_offset(&it.head));
            next = it.head.base_offset;
        }
        if (p->topic->compact) next = MAX(next, it.head.base_offset);
        CHECK(it.head.base_offset == next, PART_FMT ": after %lld comes %lld", PART_ARG(p), (long long)next - 1,
              (long long)it.head.base_offset);
        while (record_next(&it, &r) == 1) {
            if (p->topic->compact) next = MAX(next, r.offset);
            CHECK(r.offset == next, PART_FMT ": record at %lld, not %lld", PART_ARG(p), (long long)r.offset, (long long)next);
            int key = check_record(t, p, &r, &it.head, &want)->id % KEYS;
            if (last_of_key) last_of_key[key] = MAX(last_of_key[key], r.offset);
            next++;
        }
        if (p->topic->compact) next = batch_last_offset(&it.head) + 1;
        CHECK(next == batch_last_offset(&it.head) + 1, PART_FMT ": the batch before %lld is short", PART_ARG(p), (long long)next);
        record_iter_end(&it);
        at += (size_t)size;
    }
    CHECK(next <= watermark, PART_FMT ": records up to %lld, but the high watermark is %lld", PART_ARG(p), (long long)next,
          (long long)watermark);
    bytes_free(&scratch);
    bytes_free(&want);
    return next < 0 ? offset : next;
}

void truth_started_at(struct part *p, int64_t start, int64_t start_min)
{
    CHECK(start >= start_min, PART_FMT ": starts at %lld, but all below %lld was deleted", PART_ARG(p), (long long)start,
          (long long)start_min);
    CHECK(start <= p->start_max, PART_FMT ": starts at %lld, and nobody deleted beyond %lld", PART_ARG(p), (long long)start,
          (long long)p->start_max);
    p->start_seen = MAX(p->start_seen, start);
}

void truth_compacted(struct truth *t, struct part *p, const int64_t last[KEYS])
{
    for (int64_t o = p->cap - 1; o >= 0; o--) {
        const struct cell *c = &p->cells[o];
        if (!c->id || !t->sent[c->id - 1]->sure) continue;
        CHECK(last[c->id % KEYS] >= o || o < p->start_max, PART_FMT ": the last record of key k%d, %d.%d at %lld, is gone",
              PART_ARG(p), c->id % KEYS, c->id, c->i, (long long)o);
    }
}

/* ---- a new life ---------------------------------------------------------------------------------------------------------------------------------- */

static void part_lost_power(struct truth *t, struct part *p)
{
    for (int64_t o = 0; o < p->cap; o++) {
        struct cell *c = &p->cells[o];
        if (c->id && (p->lossy || !t->sent[c->id - 1]->sure)) *c = (struct cell){ 0 };
    }
    if (p->lossy) p->shown = 0;
    p->end_acked = p->shown;
}

void truth_restarted(struct truth *t, enum crash how)
{
    for (int i = 0; i < t->topics_n; i++) {
        struct topic *topic = t->topics[i];
        topic->haunted = false;
        for (int k = 0; k < PARTS_MAX; k++) {
            struct part *p = &topic->parts[k];
            if (how == CRASH_POWER) part_lost_power(t, p);
            p->start_seen = p->start_min;
        }
    }
    for (int i = 0; i < t->sent_n && how == CRASH_POWER; i++) {
        struct sent *b = t->sent[i];
        if (b->sure && !b->part->lossy) continue;
        b->at = -1;
        b->sure = false;
    }
}
