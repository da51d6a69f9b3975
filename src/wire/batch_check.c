/* What a broker checks before it appends a batch: Kafka's order and Kafka's answers.
 *
 * batch_check looks at the frame, the header and the CRC, then walks the records: where they lie when uncompressed, else streamed through a
 * window on the stack, so that memory does not depend on what is inside. A record larger than the window is skipped through piece by piece.
 * A malformed record ends the walk; a record that is well-formed but not allowed (no key, a timestamp out of bounds) is noted and the walk
 * goes on, because the answer lists all of them.
 *
 * Stricter than Kafka in three ways, each of which would otherwise leave a batch in the log that its own consumers cannot read: offset
 * deltas must be 0, 1, 2 … in uncompressed batches too, a record inside a compressed batch must be as long as it says, and bytes that do
 * not decompress are INVALID_RECORD (Kafka: UNKNOWN_SERVER_ERROR). */
#include "record.h"

struct walk {
    const struct batch_rules *rules;
    struct batch_info *info;
    struct arena *arena;
    int64_t base_timestamp, fixed_timestamp; /* LogAppendTime set by the producer: all records have the latter */
    bool fixed, wrong_time;
    int32_t i; /* records seen */
    int64_t max_timestamp;
    int32_t max_delta;
};

static int fail(struct batch_info *info, int err, const char *reason)
{
    info->reason = reason;
    return err;
}

static void note(struct walk *w, struct slice message)
{
    struct batch_info *info = w->info;
    if (!info->errors) { /* one allocation at the first error: how many will follow is not known */
        info->errors = arena_alloc(w->arena, sizeof *info->errors * (size_t)MIN(info->head.count - w->i, BATCH_ERRORS_MAX));
    }
    info->errors[info->error_count++] = (struct record_error){ w->i, message };
}

/* Java's arithmetic wraps; so bounds of INT64_MAX mean "no bound" here as there. */
static int64_t wrap_sub(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static int64_t wrap_add(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }

static bool time_ok(const struct batch_rules *u, int64_t ts)
{
    int64_t age = wrap_sub(u->now_ms, ts);
    return age <= u->before_max_ms && wrap_sub(0, age) <= u->after_max_ms;
}

static __attribute__((noinline)) void reject(struct walk *w, int64_t ts, int64_t key, int64_t value)
{
    const struct batch_rules *u = w->rules;
    struct arena *a = w->arena;
    bool keyless = u->compacted && key < 0;
    if (!keyless) w->wrong_time = true;
    if (w->info->error_count == BATCH_ERRORS_MAX) return;
    if (keyless)
        note(w, arena_printf(a, "Compacted topic cannot accept message without key in topic partition " S_FMT "-%d",
                             S_ARG(u->topic), u->partition));
    else if (!u->log_append_time && ts != NO_TIMESTAMP)
        note(w, arena_printf(
                    a, "Timestamp %lld of message with offset %lld is out of range. The timestamp should be within [%lld, %lld]",
                    (long long)ts, (long long)wrap_add(w->info->head.base_offset, w->i),
                    (long long)wrap_sub(u->now_ms, u->before_max_ms), (long long)wrap_add(u->now_ms, u->after_max_ms)));
    else
        note(
            w,
            arena_printf(
                a,
                "Invalid timestamp type in message DefaultRecord(offset=%lld, timestamp=%lld, key=%lld bytes, value=%lld bytes). "
                "Producer should not set timestamp type to LogAppendTime.",
                (long long)wrap_add(w->info->head.base_offset, w->i), (long long)ts, (long long)MAX(key, 0),
                (long long)MAX(value, 0)));
}

/* One well-formed record; sizes −1 for null. False: its offset delta is not the next one. */
static inline bool judge(struct walk *w, int64_t ts_delta, int64_t offset_delta, int64_t key, int64_t value)
{
    const struct batch_rules *u = w->rules;
    if (offset_delta != w->i) return false;
    int64_t ts = w->fixed ? w->fixed_timestamp : wrap_add(w->base_timestamp, ts_delta);
    bool ok = !u->log_append_time && ts != NO_TIMESTAMP ? time_ok(u, ts) : !w->fixed;
    if (!ok || (u->compacted && key < 0)) reject(w, ts, key, value);
    if (ts > w->max_timestamp) {
        w->max_timestamp = ts;
        w->max_delta = w->i;
    }
    w->i++;
    return true;
}

static inline int64_t null_size(struct slice s) { return s.p ? (int64_t)s.n : -1; }
static inline bool judge_body(struct walk *w, const uint8_t *p, const uint8_t *end)
{
    struct record r;
    return record_body(p, end, &r) && judge(w, r.timestamp, r.offset, null_size(r.key), null_size(r.value));
}

static const char bad_record[] = "a record is malformed or out of order";

/* ---- uncompressed ------------------------------------------------------------------------------------------------------- */

static int walk_plain(struct walk *w, const uint8_t *p, const uint8_t *end)
{
    w->info->inflated = (size_t)(end - p);
    for (int32_t left = w->info->head.count; left; left--) {
        int32_t size;
        if (!(p = varint_get(p, end, &size)) || size < 0 || size > end - p) return fail(w->info, E_INVALID_RECORD, bad_record);
        if (!judge_body(w, p, p + size)) return fail(w->info, E_INVALID_RECORD, bad_record);
        p += size;
    }
    return p == end ? 0 : fail(w->info, E_INVALID_RECORD, "bytes behind the last record");
}

/* ---- compressed: through a window ------------------------------------------------------------------------------------------ */

struct stream {
    struct inflater in;
    uint8_t *at, *end; /* in window */
    size_t seen, max;
    int err; /* 0; at the end E_TRUNCATED; else what broke */
    uint8_t window[INFLATE_WINDOW];
};

/* More bytes behind those not read yet. False: none came, s->err says why. */
static bool stream_more(struct stream *s)
{
    size_t have = (size_t)(s->end - s->at);
    if (s->err) return false;
    if (s->at != s->window) memmove(s->window, s->at, have);
    s->at = s->window;
    s->end = s->window + have;
    size_t room = MIN(sizeof s->window - have, s->max - s->seen + 1);
    assert(room);
    ssize_t got = inflater_read(&s->in, s->end, room);
    if (got > 0) {
        s->seen += (size_t)got;
        s->end += got;
        if (s->seen > s->max) s->err = E_MESSAGE_TOO_LARGE;
    } else s->err = got ? (int)got : E_TRUNCATED;
    return !s->err;
}

/* A number of at most `width` bytes within the record that has *left bytes to go. */
static bool stream_varlong(struct stream *s, int width, int64_t *left, int64_t *v)
{
    int64_t most = MIN(*left, width);
    while (s->end - s->at < most && stream_more(s)) {}
    const uint8_t *p = varlong_get(s->at, s->at + MIN(most, s->end - s->at), v);
    if (!p) return false;
    *left -= p - s->at;
    s->at += p - s->at;
    return true;
}

static bool stream_skip(struct stream *s, int64_t *left, int64_t n)
{
    if (n <= 0) return true; /* null or empty */
    if (n > *left) return false;
    *left -= n;
    while (n) {
        if (s->at == s->end && !stream_more(s)) return false;
        int64_t part = MIN(n, s->end - s->at);
        s->at += part;
        n -= part;
    }
    return true;
}

/* A record that does not fit into the window: the same rules as record_body, but nothing of it is kept. */
static bool judge_stream(struct walk *w, struct stream *s, int64_t left)
{
    int64_t attributes_left = 1, ts, offset, key, value, headers, n;
    if (left < 1 || !stream_skip(s, &attributes_left, 1)) return false;
    left--;
    if (!stream_varlong(s, VARLONG_MAX, &left, &ts) || !stream_varlong(s, VARINT_MAX, &left, &offset)) return false;
    if (!stream_varlong(s, VARINT_MAX, &left, &key) || !stream_skip(s, &left, key)) return false;
    if (!stream_varlong(s, VARINT_MAX, &left, &value) || !stream_skip(s, &left, value)) return false;
    if (!stream_varlong(s, VARINT_MAX, &left, &headers) || headers < 0 || headers > left) return false;
    for (int64_t i = 0; i < headers; i++) {
        if (!stream_varlong(s, VARINT_MAX, &left, &n) || n < 0 || !stream_skip(s, &left, n)) return false;
        if (!stream_varlong(s, VARINT_MAX, &left, &n) || !stream_skip(s, &left, n)) return false;
    }
    return left == 0 && judge(w, ts, offset, MAX(key, -1), MAX(value, -1));
}

static int stream_fail(struct walk *w, struct stream *s)
{
    if (s->err == E_MESSAGE_TOO_LARGE) return fail(w->info, s->err, "the records decompress to more than the limit");
    if (s->err == E_NO_MEMORY) return s->err;
    if (s->err == E_MALFORMED) return fail(w->info, E_INVALID_RECORD, "the records do not decompress");
    if (s->err == E_TRUNCATED) return fail(w->info, E_INVALID_RECORD, "the records end too early");
    return fail(w->info, E_INVALID_RECORD, bad_record);
}

static int walk_stream(struct walk *w, struct stream *s)
{
    for (int32_t left = w->info->head.count; left; left--) {
        int64_t size, prefix = VARINT_MAX;
        if (s->end - s->at < RECORD_MIN) stream_more(s);
        if (!stream_varlong(s, VARINT_MAX, &prefix, &size)) return stream_fail(w, s);
        if (size < 0 || size > INT32_MAX) return fail(w->info, E_INVALID_RECORD, bad_record);
        while (s->end - s->at < size && size <= INFLATE_WINDOW && stream_more(s)) {}
        if (s->end - s->at >= size) {
            bool ok = judge_body(w, s->at, s->at + size);
            s->at += size;
            if (!ok) return fail(w->info, E_INVALID_RECORD, bad_record);
        } else if (size <= INFLATE_WINDOW || !judge_stream(w, s, size)) return stream_fail(w, s);
    }
    if (s->at == s->end) stream_more(s); /* the end must be the end, and the codec's own checksum right */
    if (s->err == E_TRUNCATED && s->at == s->end) {
        w->info->inflated = s->seen;
        return 0;
    }
    return s->err && s->err != E_TRUNCATED ? stream_fail(w, s) : fail(w->info, E_INVALID_RECORD, "bytes behind the last record");
}

static int walk_packed(struct walk *w, const uint8_t *p, const uint8_t *end)
{
    enum codec codec = w->info->head.codec;
    /* Java's reader knows no lz4 frames whose blocks depend on one another: no consumer of its kind could read them. */
    if (codec == CODEC_LZ4 && end - p >= 5 && be32(p) == 0x04224d18 && !(p[4] & 0x20))
        return fail(w->info, E_INVALID_RECORD, "an lz4 frame with dependent blocks");
    struct stream s;
    s.in.ctx = NULL;
    s.at = s.end = s.window;
    s.seen = 0;
    s.max = inflate_cap(w->rules->inflate_max, (size_t)w->info->head.size);
    s.err = inflater_open(&s.in, codec, p, (size_t)(end - p), false);
    int rc = s.err ? s.err : walk_stream(w, &s);
    inflater_close(&s.in);
    return rc;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------------- */

/* The answer for records that are not allowed, in Kafka's words: clients show them. */
static int record_errors(struct walk *w)
{
    struct batch_info *info = w->info;
    if (w->wrong_time) {
        info->message = S("One or more records have been rejected due to invalid timestamp");
        return fail(info, E_INVALID_TIMESTAMP, "timestamps out of bounds");
    }
    struct slice list = S("");
    for (int i = 0; i < MIN(info->error_count, 3); i++)
        list = arena_printf(w->arena, S_FMT "%sRecordError(batchIndex=%d, message='" S_FMT "')", S_ARG(list), i ? ", " : "",
                            info->errors[i].index, S_ARG(info->errors[i].message));
    info->message =
        arena_printf(w->arena,
                     "One or more records have been rejected due to %d record errors in total, and only showing the first "
                     "three errors at most: [" S_FMT "]",
                     info->error_count, S_ARG(list));
    return fail(info, E_INVALID_RECORD, "records without a key for a compacted topic");
}

int batch_check_inside(const void *p, const struct batch_rules *rules, struct arena *a, struct batch_info *info)
{
    const struct batch_head *h = &info->head;
    struct walk w = {
        .rules = rules,
        .info = info,
        .arena = a,
        .base_timestamp = h->base_timestamp,
        .fixed_timestamp = h->max_timestamp,
        .fixed = batch_is_log_append_time(h),
        .max_timestamp = NO_TIMESTAMP,
    };
    const uint8_t *at = (const uint8_t *)p + BATCH_AT_RECORDS, *end = (const uint8_t *)p + h->size;
    int rc = h->codec == CODEC_NONE || h->count == 0 ? walk_plain(&w, at, end) : walk_packed(&w, at, end);
    if (rc) { /* what was noted of a batch that is broken further on is not told */
        info->errors = NULL;
        info->error_count = 0;
        return rc;
    }
    if (info->error_count) return record_errors(&w);
    info->inside_ok = true;
    info->max_timestamp = rules->log_append_time ? rules->now_ms : w.max_timestamp;
    info->max_timestamp_delta = rules->log_append_time ? 0 : w.max_delta;
    return 0;
}

/* Finds the one batch in n bytes. */
static int check_frame(const uint8_t *p, size_t n, const struct batch_rules *rules, struct batch_info *info)
{
    static const char none[] = "no whole batch";
    for (int i = 0; i < 2; i++) {
        if (n < BATCH_PREFIX) return i ? 0 : fail(info, E_INVALID_RECORD, none);
        int32_t len = (int32_t)be32(p + BATCH_AT_LENGTH);
        if (len < LEGACY_MIN_V0) return fail(info, E_CORRUPT_MESSAGE, "a length too small for a batch");
        if (n < BATCH_PEEK) return i ? 0 : fail(info, E_INVALID_RECORD, none);
        int8_t magic = (int8_t)p[BATCH_AT_MAGIC];
        if (magic < 0 || magic > 2) return fail(info, E_CORRUPT_MESSAGE, "unknown magic");
        if ((size_t)len > n - BATCH_PREFIX) return i ? 0 : fail(info, E_INVALID_RECORD, none);
        if (i) return fail(info, E_INVALID_RECORD, "more than one batch");
        if (magic != 2) return fail(info, E_INVALID_RECORD, "magic 0 or 1");
        if (len > INT32_MAX - BATCH_PREFIX || batch_parse_head(p, n, &info->head) != 0)
            return fail(info, E_CORRUPT_MESSAGE, "a length too small for a batch");
        if (info->head.codec == CODEC_ZSTD && rules->produce_version >= 0 && rules->produce_version < 7)
            return fail(info, E_UNSUPPORTED_COMPRESSION_TYPE, "zstd below version 7");
        p += info->head.size;
        n -= (size_t)info->head.size;
    }
    return 0;
}

int batch_check(const void *p, size_t n, const struct batch_rules *rules, struct arena *a, struct batch_info *info)
{
    const struct batch_head *h = &info->head;
    *info = (struct batch_info){ .max_timestamp = NO_TIMESTAMP };
    int rc = check_frame(p, n, rules, info);
    if (rc) return rc;
    if (!rules->coordinator && h->base_offset != 0) return fail(info, E_INVALID_RECORD, "base offset is not 0");
    if (rules->max_size > 0 && h->size > rules->max_size) return fail(info, E_MESSAGE_TOO_LARGE, "larger than the limit");
    if (batch_verify(p, (size_t)h->size) != 0) return fail(info, E_BAD_CRC, "wrong checksum");
    if (h->codec >= CODEC_COUNT) return fail(info, E_UNSUPPORTED_COMPRESSION_TYPE, "unknown codec");
    if (h->count < 0 || h->last_offset_delta < 0) return fail(info, E_INVALID_RECORD, "a negative count of records");
    if (!rules->coordinator) {
        if (h->count == 0) return fail(info, E_INVALID_RECORD, "no records");
        if ((int64_t)h->last_offset_delta + 1 != h->count)
            return fail(info, E_INVALID_RECORD, "offsets and count of records differ");
        if (batch_is_control(h)) return fail(info, E_INVALID_RECORD, "a control batch from a client");
        if (h->producer_id > NO_PRODUCER_ID && h->base_sequence < 0)
            return fail(info, E_INVALID_RECORD, "a producer without sequence");
    }
    if (rules->depth == BATCH_DEPTH_SHAPE && h->codec != CODEC_NONE) return 0;
    return batch_check_inside(p, rules, a, info);
}
