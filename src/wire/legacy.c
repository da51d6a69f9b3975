/* Message sets of magic 0 and 1: what brokers before 0.11 left on disk. Only read.
 *
 * A compressed wrapper is decompressed whole: in magic 1 the inner offsets are relative and the wrapper carries the absolute offset of the
 * last one, so nothing can be said about the first record before the last was seen. */
#include "record.h"

int legacy_entry(const uint8_t *p, size_t n, struct record *r, uint8_t *attributes, int8_t *magic, size_t *size)
{
    if (n < BATCH_PREFIX) return 0;
    uint32_t len = be32(p + BATCH_AT_LENGTH);
    if (len < LEGACY_MIN_V0 || len > INT32_MAX) return E_MALFORMED;
    if (len > n - BATCH_PREFIX) return 0;
    *size = BATCH_PREFIX + len;
    *magic = (int8_t)p[BATCH_AT_MAGIC];
    *attributes = p[BATCH_AT_MAGIC + 1];
    if (*magic < 0 || *magic > 1 || (*magic == 1 && len < LEGACY_MIN_V1)) return E_MALFORMED;
    const uint8_t *end = p + *size, *at = p + BATCH_AT_MAGIC + 2;
    *r = (struct record){ .offset = (int64_t)be64(p), .timestamp = NO_TIMESTAMP };
    if (*magic == 1) {
        r->timestamp = (int64_t)be64(at);
        at += 8;
    }
    struct slice *const field[] = { &r->key, &r->value };
    for (int i = 0; i < 2; i++) {
        if (end - at < 4) return E_MALFORMED;
        int32_t k = (int32_t)be32(at);
        at += 4;
        if (k < 0) continue;
        if (k > end - at) return E_MALFORMED;
        *field[i] = (struct slice){ (const char *)at, (size_t)k };
        at += k;
    }
    return at == end ? 1 : E_MALFORMED;
}

static int inflate_set(struct record_iter *it, struct slice packed)
{
    int rc = inflater_open(&it->in, it->head.codec, packed.p, packed.n, it->head.magic == 0);
    it->scratch->n = 0;
    while (rc == 0) {
        size_t room = MIN(MAX(it->scratch->n, (size_t)4096), it->max - it->scratch->n + 1);
        ssize_t got = inflater_read(&it->in, bytes_room(it->scratch, room), room);
        if (got < 0) rc = (int)got;
        if (got <= 0) break;
        it->scratch->n += (size_t)got;
        if (it->scratch->n > it->max) rc = E_MESSAGE_TOO_LARGE;
    }
    inflater_close(&it->in);
    return rc;
}

int legacy_open(struct record_iter *it, const uint8_t *p, size_t n)
{
    struct record wrapper, inner = { .offset = 0 };
    uint8_t attributes;
    int8_t magic;
    size_t size;
    int rc = legacy_entry(p, n, &wrapper, &attributes, &magic, &size);
    it->left = -1;
    it->legacy_base = 0;
    if (rc <= 0) return E_MALFORMED;
    if (it->head.codec == CODEC_NONE) {
        it->at = p;
        it->end = p + size;
        return 0;
    }
    assert(it->scratch);
    if (it->head.codec >= CODEC_ZSTD || !wrapper.value.p) return E_MALFORMED; /* zstd came with magic 2 */
    rc = inflate_set(it, wrapper.value);
    if (rc) return rc;
    it->at = it->scratch->p;
    it->end = it->at + it->scratch->n;

    bool any = false;
    for (const uint8_t *at = it->at; (rc = legacy_entry(at, (size_t)(it->end - at), &inner, &attributes, &magic, &size)) > 0;
         at += size) {
        if (attributes & BATCH_CODEC_MASK) return E_MALFORMED; /* wrappers do not nest */
        any = true;
    }
    if (rc < 0 || !any) return E_MALFORMED;
    if (it->head.magic == 1 && wrapper.offset != 0) { /* some writers left the wrapper's offset at 0: then the inner ones count */
        if (wrapper.offset < inner.offset) return E_MALFORMED;
        it->legacy_base = wrapper.offset - inner.offset;
    }
    return 0;
}

int legacy_next(struct record_iter *it, struct record *r)
{
    uint8_t attributes;
    int8_t magic;
    size_t size;
    int rc = legacy_entry(it->at, (size_t)(it->end - it->at), r, &attributes, &magic, &size);
    if (rc <= 0) return rc;
    it->at += size;
    if (it->head.codec != CODEC_NONE) {
        if (it->head.magic == 1) r->offset = (int64_t)((uint64_t)r->offset + (uint64_t)it->legacy_base);
        if (magic == 1 && batch_is_log_append_time(&it->head)) r->timestamp = it->head.max_timestamp;
    }
    return 1;
}
