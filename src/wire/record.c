/* Reading records.
 *
 * An uncompressed batch is walked where it lies. A compressed one is streamed through the caller's scratch, which holds at least the record
 * handed out: it grows with bytes that arrived, never with a size that a record claims. */
#include "record.h"

int record_iter_init(struct record_iter *it, const void *p, size_t n, struct bytes *scratch, size_t max)
{
    *it = (struct record_iter){ .scratch = scratch, .max = inflate_cap(max, n) };
    int rc = batch_parse_head(p, n, &it->head);
    if (rc == 0 && (size_t)it->head.size > n) rc = E_TRUNCATED;
    if (rc == 0 && it->head.codec >= CODEC_COUNT) rc = E_UNSUPPORTED_COMPRESSION_TYPE;
    if (rc) return it->failed = rc;
    if (it->head.magic < 2) return it->failed = legacy_open(it, p, (size_t)it->head.size);

    it->left = it->head.count;
    it->at = (const uint8_t *)p + BATCH_AT_RECORDS;
    it->end = (const uint8_t *)p + it->head.size;
    if (it->left < 0) return it->failed = E_MALFORMED;
    if (it->head.codec == CODEC_NONE || it->left == 0) return 0;
    assert(scratch);
    rc = inflater_open(&it->in, it->head.codec, it->at, (size_t)(it->end - it->at), false);
    if (rc) return it->failed = rc;
    scratch->n = 0;
    it->at = it->end = scratch->p;
    it->streaming = true;
    return 0;
}

/* Brings more into scratch behind what is not read yet: bytes > 0, 0 at the end, or an error. */
static int refill(struct record_iter *it)
{
    struct bytes *s = it->scratch;
    size_t have = (size_t)(it->end - it->at);
    if (have) memmove(s->p, it->at, have);
    s->n = have;
    size_t room = have < INFLATE_WINDOW ? INFLATE_WINDOW - have : have;
    room = MIN(room, it->max - it->seen + 1);
    ssize_t got = inflater_read(&it->in, bytes_room(s, room), room);
    it->at = s->p;
    it->end = s->p + have;
    if (got <= 0) return (int)got;
    it->seen += (size_t)got;
    if (it->seen > it->max) return E_MESSAGE_TOO_LARGE;
    s->n = have + (size_t)got;
    it->end = s->p + s->n;
    return 1;
}

static int next(struct record_iter *it, struct record *r)
{
    if (it->head.magic < 2) return legacy_next(it, r);
    if (it->left == 0) {
        if (it->at != it->end) return E_MALFORMED;
        if (!it->streaming) return 0;
        int rc = refill(it);
        return rc > 0 ? E_MALFORMED : rc;
    }
    int32_t size;
    const uint8_t *body;
    for (;;) {
        body = varint_get(it->at, it->end, &size);
        if (body && size < 0) return E_MALFORMED;
        if (body && size <= it->end - body) break;
        if (!it->streaming || (!body && it->end - it->at >= VARINT_MAX)) return E_MALFORMED;
        int rc = refill(it);
        if (rc <= 0) return rc ? rc : E_MALFORMED;
    }
    if (!record_body(body, body + size, r)) return E_MALFORMED;
    it->at = body + size;
    it->left--;
    r->offset = (int64_t)((uint64_t)r->offset + (uint64_t)it->head.base_offset); /* hostile bytes may wrap, but not undefined */
    r->timestamp = batch_is_log_append_time(&it->head) ? it->head.max_timestamp
                                                       : (int64_t)((uint64_t)it->head.base_timestamp + (uint64_t)r->timestamp);
    return 1;
}

int record_next(struct record_iter *it, struct record *r)
{
    if (it->failed) return it->failed;
    int rc = next(it, r);
    if (rc < 0) it->failed = rc;
    return rc;
}

void record_iter_end(struct record_iter *it)
{
    inflater_close(&it->in);
    it->at = it->end = NULL;
}

int record_header_next(struct record *r, struct record_header *h)
{
    if (r->header_count <= 0) return 0;
    const uint8_t *p = (const uint8_t *)r->headers.p, *end = p + r->headers.n;
    if (!(p = bytes_get(p, end, &h->key)) || !(p = bytes_get(p, end, &h->value))) {
        r->header_count = 0; /* not from the iterator */
        return 0;
    }
    r->header_count--;
    r->headers = (struct slice){ (const char *)p, (size_t)(end - p) };
    return 1;
}

/* ---- control records --------------------------------------------------------------------------------------------------- */

void control_key(uint8_t out[CONTROL_KEY], enum control_type t)
{
    put_be16(out, 0);
    put_be16(out + 2, (uint16_t)t);
}

int control_type_of(const struct record *r)
{
    if (!r->key.p || r->key.n < CONTROL_KEY || (int16_t)be16(r->key.p) < 0) return E_MALFORMED;
    return be16(r->key.p + 2);
}

int control_coordinator_epoch(const struct record *r, int32_t *epoch)
{
    if (!r->value.p || r->value.n < CONTROL_MARKER_VALUE || (int16_t)be16(r->value.p) < 0) return E_MALFORMED;
    *epoch = (int32_t)be32(r->value.p + 2);
    return 0;
}
