/* record: how one record of a v2 batch and one v0/v1 message are parsed. Private to the wire layer. */
#pragma once
#include <odradek/batch.h>

enum {
    RECORD_MIN = 7,           /* size, attributes, both deltas, null key, null value, no headers */
    RECORD_OVERHEAD_MAX = 36, /* everything but key, value and headers, at its longest */
    VARINT_MAX = 5,
    VARLONG_MAX = 10,
    LEGACY_MIN_V0 = 14, /* crc, magic, attributes, key size, value size */
    LEGACY_MIN_V1 = 22,
    INFLATE_WINDOW = 64 * 1024,
};
#define INFLATE_FLOOR ((size_t)(64 * MiB))

/* The cap of decompressed bytes: what the caller says, or 16 times the input and at least 64 MiB. */
static inline size_t inflate_cap(size_t max, size_t n)
{
    return max ? MIN(max, (size_t)PTRDIFF_MAX) : MAX(16 * n, INFLATE_FLOOR);
}

/* Zigzag varints. The next position, or NULL where the bytes end or the number is too long. */
static inline const uint8_t *varint_get(const uint8_t *p, const uint8_t *end, int32_t *v)
{
    uint32_t raw = 0;
    for (unsigned shift = 0; shift < 7 * VARINT_MAX; shift += 7) {
        if (p >= end) return NULL;
        uint8_t b = *p++;
        raw |= (uint32_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *v = (int32_t)(raw >> 1 ^ (0u - (raw & 1)));
            return p;
        }
    }
    return NULL;
}
static inline const uint8_t *varlong_get(const uint8_t *p, const uint8_t *end, int64_t *v)
{
    uint64_t raw = 0;
    for (unsigned shift = 0; shift < 7 * VARLONG_MAX; shift += 7) {
        if (p >= end) return NULL;
        uint8_t b = *p++;
        raw |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *v = (int64_t)(raw >> 1 ^ (0ull - (raw & 1)));
            return p;
        }
    }
    return NULL;
}
static inline size_t varlong_put(uint8_t *p, int64_t v)
{
    uint64_t raw = (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
    size_t n = 0;
    for (; raw >= 0x80; raw >>= 7) p[n++] = (uint8_t)(raw | 0x80);
    p[n++] = (uint8_t)raw;
    return n;
}
static inline size_t varlong_size(int64_t v)
{
    uint64_t raw = (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
    return (size_t)(70 - __builtin_clzll(raw | 1)) / 7;
}

/* A number of bytes and the bytes; any negative size is null, as for Kafka. The next position or NULL. */
static inline const uint8_t *bytes_get(const uint8_t *p, const uint8_t *end, struct slice *s)
{
    int32_t n;
    if (!(p = varint_get(p, end, &n))) return NULL;
    if (n < 0) {
        *s = (struct slice){ NULL, 0 };
        return p;
    }
    if (n > end - p) return NULL;
    *s = (struct slice){ (const char *)p, (size_t)n };
    return p + n;
}

/* The body of a record, after its size. Offset and timestamp are the deltas. All of [p, end) must be used. False: malformed. */
static inline bool record_body(const uint8_t *p, const uint8_t *end, struct record *r)
{
    int32_t offset_delta;
    if (p >= end) return false;
    p++; /* attributes: none are defined */
    if (!(p = varlong_get(p, end, &r->timestamp)) || !(p = varint_get(p, end, &offset_delta))) return false;
    r->offset = offset_delta;
    if (!(p = bytes_get(p, end, &r->key)) || !(p = bytes_get(p, end, &r->value))) return false;
    if (!(p = varint_get(p, end, &r->header_count)) || r->header_count < 0) return false;
    r->headers = (struct slice){ (const char *)p, (size_t)(end - p) };
    for (int32_t i = 0; i < r->header_count; i++) {
        struct slice key, value;
        if (!(p = bytes_get(p, end, &key)) || !key.p || !(p = bytes_get(p, end, &value))) return false;
    }
    return p == end;
}

/* Parses the message at p (an entry of a message set, n bytes to the end of the set): 1, 0 when the set ends here (perhaps inside an
 * entry, as Kafka tolerates), E_MALFORMED. The record's offset is the one written. */
int legacy_entry(const uint8_t *p, size_t n, struct record *r, uint8_t *attributes, int8_t *magic, size_t *size);
/* The two steps of record_iter for magic 0 and 1. */
int legacy_open(struct record_iter *it, const uint8_t *p, size_t n);
int legacy_next(struct record_iter *it, struct record *r);
