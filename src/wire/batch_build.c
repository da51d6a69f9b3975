/* Writing batches. The header is filled in last; records go straight to the caller's bytes, or through a codec to them. */
#include "record.h"

void batch_begin(struct batch_builder *b, const struct batch_opts *opts, struct bytes *out)
{
    *b = (struct batch_builder){ .opts = *opts, .out = out, .start = out->n, .max_timestamp = NO_TIMESTAMP };
    if (opts->base_offset < 0) b->err = E_INVALID;
    b->last_offset = b->err ? 0 : opts->base_offset - 1;
    b->base_timestamp = opts->delete_horizon_ms >= 0 ? opts->delete_horizon_ms : NO_TIMESTAMP;
    bytes_room(out, BATCH_HEADER);
    out->n += BATCH_HEADER;
    if (opts->codec != CODEC_NONE) deflater_open(&b->z, opts->codec, opts->level, out);
}

static void put(struct batch_builder *b, const void *p, size_t n)
{
    if (b->opts.codec == CODEC_NONE) bytes_put(b->out, p, n);
    else if (!b->err) b->err = deflater_write(&b->z, p, n);
}

static size_t field_size(struct slice s) { return s.p ? varlong_size((int64_t)s.n) + s.n : 1; }
static void field_put(struct batch_builder *b, struct slice s)
{
    uint8_t n[VARLONG_MAX];
    put(b, n, varlong_put(n, s.p ? (int64_t)s.n : -1));
    if (s.n) put(b, s.p, s.n);
}

/* Writes all of a record but its headers, of which `headers` bytes will follow. False: the record is not written. */
static bool begin_record(struct batch_builder *b, const struct record *r, size_t headers)
{
    size_t limit = INT32_MAX - BATCH_HEADER;
    if (b->err) return false;
    if (r->offset <= b->last_offset || r->offset - b->opts.base_offset > INT32_MAX || b->count == INT32_MAX || r->key.n > limit ||
        r->value.n > limit || headers > limit) {
        b->err = E_INVALID;
        return false;
    }
    if (b->count == 0 && b->opts.delete_horizon_ms < 0) b->base_timestamp = r->timestamp;
    int64_t delta = r->offset - b->opts.base_offset;
    int64_t ts_delta =
        (int64_t)((uint64_t)r->timestamp - (uint64_t)b->base_timestamp); /* stored batches may hold any timestamp */
    size_t size = 1 + varlong_size(ts_delta) + varlong_size(delta) + field_size(r->key) + field_size(r->value) +
                  varlong_size(r->header_count) + headers;
    if (size > limit || (b->opts.codec == CODEC_NONE && size > limit - MIN(limit, b->out->n - b->start))) {
        b->err = E_INVALID;
        return false;
    }
    uint8_t head[2 * VARLONG_MAX + 2 * VARINT_MAX];
    size_t n = varlong_put(head, (int64_t)size);
    head[n++] = 0;
    n += varlong_put(head + n, ts_delta);
    n += varlong_put(head + n, delta);
    if (b->opts.codec == CODEC_NONE) bytes_room(b->out, n + size);
    put(b, head, n);
    field_put(b, r->key);
    field_put(b, r->value);
    put(b, head, varlong_put(head, r->header_count));
    b->last_offset = r->offset;
    b->max_timestamp = MAX(b->max_timestamp, r->timestamp);
    b->count++;
    return true;
}

void batch_add(struct batch_builder *b, const struct record *r)
{
    size_t n = r->header_count ? r->headers.n : 0;
    if (begin_record(b, r, n) && n) put(b, r->headers.p, n);
}

void batch_append(struct batch_builder *b, int64_t timestamp, struct slice key, struct slice value, const struct record_header *h,
                  int n)
{
    struct record r = { .offset = b->last_offset + 1, .timestamp = timestamp, .key = key, .value = value, .header_count = n };
    size_t size = 0;
    for (int i = 0; i < n; i++) size += varlong_size((int64_t)h[i].key.n) + h[i].key.n + field_size(h[i].value);
    if (!begin_record(b, &r, size)) return;
    for (int i = 0; i < n; i++) {
        field_put(b, h[i].key.p ? h[i].key : S("")); /* a header's key is never null */
        field_put(b, h[i].value);
    }
}

size_t batch_bytes(const struct batch_builder *b) { return b->out->n - b->start; }

void batch_abandon(struct batch_builder *b)
{
    deflater_close(&b->z);
    b->out->n = b->start;
}

int batch_end(struct batch_builder *b)
{
    const struct batch_opts *o = &b->opts;
    bool empty = b->count == 0;
    enum codec codec = empty ? CODEC_NONE : o->codec;
    if (empty) deflater_close(&b->z); /* an empty batch has no compressed stream either */
    else if (codec != CODEC_NONE && !b->err) b->err = deflater_finish(&b->z);
    int64_t delta = o->last_offset_delta;
    if (!b->err) { /* else the offsets may be anything */
        int64_t last = b->last_offset - o->base_offset;
        if (delta < 0 && !empty) delta = last;
        if (delta < 0 || delta < last) b->err = E_INVALID;
    }
    size_t size = b->out->n - b->start;
    if (!b->err && size > INT32_MAX) b->err = E_INVALID;
    if (b->err) {
        batch_abandon(b);
        return b->err;
    }

    uint8_t *p = b->out->p + b->start;
    bool horizon = o->delete_horizon_ms >= 0 && !empty;
    uint16_t attributes = (uint16_t)codec;
    if (o->log_append_ms >= 0) attributes |= BATCH_LOG_APPEND_TIME;
    if (o->transactional) attributes |= BATCH_TRANSACTIONAL;
    if (o->control) attributes |= BATCH_CONTROL;
    if (horizon) attributes |= BATCH_DELETE_HORIZON;
    int64_t max_timestamp = o->log_append_ms >= 0 ? o->log_append_ms : empty ? o->empty_max_timestamp : b->max_timestamp;
    put_be64(p + BATCH_AT_BASE_OFFSET, (uint64_t)o->base_offset);
    put_be32(p + BATCH_AT_LENGTH, (uint32_t)(size - BATCH_PREFIX));
    put_be32(p + BATCH_AT_LEADER_EPOCH, (uint32_t)o->leader_epoch);
    p[BATCH_AT_MAGIC] = 2;
    put_be16(p + BATCH_AT_ATTRIBUTES, attributes);
    put_be32(p + BATCH_AT_LAST_OFFSET_DELTA, (uint32_t)delta);
    put_be64(p + BATCH_AT_BASE_TIMESTAMP, (uint64_t)(empty ? NO_TIMESTAMP : b->base_timestamp));
    put_be64(p + BATCH_AT_MAX_TIMESTAMP, (uint64_t)max_timestamp);
    put_be64(p + BATCH_AT_PRODUCER_ID, (uint64_t)o->producer_id);
    put_be16(p + BATCH_AT_PRODUCER_EPOCH, (uint16_t)o->producer_epoch);
    put_be32(p + BATCH_AT_BASE_SEQUENCE, (uint32_t)o->base_sequence);
    put_be32(p + BATCH_AT_COUNT, (uint32_t)b->count);
    batch_seal(p);
    return (int)size;
}

int batch_put_marker(struct bytes *out, int64_t offset, int64_t timestamp, int32_t leader_epoch, int64_t producer_id,
                     int16_t producer_epoch, bool commit, int32_t coordinator_epoch)
{
    struct batch_opts opts = BATCH_OPTS;
    opts.base_offset = offset;
    opts.leader_epoch = leader_epoch;
    opts.transactional = opts.control = true;
    opts.producer_id = producer_id;
    opts.producer_epoch = producer_epoch;
    struct batch_builder b;
    uint8_t key[CONTROL_KEY], value[CONTROL_MARKER_VALUE] = { 0 }; /* version 0 */
    control_key(key, commit ? CONTROL_COMMIT : CONTROL_ABORT);
    put_be32(value + 2, (uint32_t)coordinator_epoch);
    batch_begin(&b, &opts, out);
    batch_append(&b, timestamp, (struct slice){ (char *)key, sizeof key }, (struct slice){ (char *)value, sizeof value }, NULL,
                 0);
    return batch_end(&b);
}
