/* Primitives of the wire: the paths of rd_… and wr_… that are too long to be inlined. */
#include <odradek/wire.h>

void rd_fail(struct rd *r, int err)
{
    if (!r->err) r->err = err;
    r->p = r->end;
}

uint32_t rd_uvarint_slow(struct rd *r)
{
    uint32_t v = 0;

    for (int shift = 0; shift < 35; shift += 7) {
        if (r->p == r->end) {
            rd_fail(r, E_TRUNCATED);
            return 0;
        }
        uint8_t b = *r->p++;
        if (shift == 28 && b > 0x0f) break;
        v |= (uint32_t)(b & 0x7f) << shift;
        if (b < 0x80) return v;
    }
    rd_fail(r, E_MALFORMED);
    return 0;
}

uint64_t rd_uvarlong(struct rd *r)
{
    uint64_t v = 0;

    for (int shift = 0; shift < 70; shift += 7) {
        if (r->p == r->end) {
            rd_fail(r, E_TRUNCATED);
            return 0;
        }
        uint8_t b = *r->p++;
        if (shift == 63 && b > 1) break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) return v;
    }
    rd_fail(r, E_MALFORMED);
    return 0;
}

struct slice rd_slice(struct rd *r, size_t n)
{
    const uint8_t *p = rd_take(r, n);
    return p ? (struct slice){ (const char *)p, n } : (struct slice){ NULL, 0 };
}

static struct slice rd_sized(struct rd *r, int64_t n)
{
    if (n < 0) return (struct slice){ NULL, 0 };
    return rd_slice(r, (size_t)n);
}

struct slice rd_string(struct rd *r)
{
    int16_t n = rd_i16(r);
    return r->err ? (struct slice){ NULL, 0 } : rd_sized(r, n);
}

struct slice rd_bytes(struct rd *r)
{
    int32_t n = rd_i32(r);
    return r->err ? (struct slice){ NULL, 0 } : rd_sized(r, n);
}

struct slice rd_compact(struct rd *r)
{
    int64_t n = (int64_t)rd_uvarint(r) - 1;
    return r->err ? (struct slice){ NULL, 0 } : rd_sized(r, n);
}

void rd_skip_tags(struct rd *r)
{
    for (uint32_t n = rd_uvarint(r); n && !r->err; n--) {
        rd_uvarint(r);
        rd_take(r, rd_uvarint(r));
    }
}

void wr_f64(struct bytes *b, double v)
{
    uint64_t u;
    memcpy(&u, &v, 8);
    wr_u64(b, u);
}

void wr_uvarint(struct bytes *b, uint32_t v) { wr_uvarlong(b, v); }

void wr_uvarlong(struct bytes *b, uint64_t v)
{
    uint8_t *p = wr_room(b, size_uvarlong(v));

    for (; v >= 0x80; v >>= 7) *p++ = (uint8_t)v | 0x80;
    *p = (uint8_t)v;
}

void wr_slice(struct bytes *b, struct slice s)
{
    if (s.n) memcpy(wr_room(b, s.n), s.p, s.n);
}

void wr_string(struct bytes *b, struct slice s)
{
    assert(s.n <= INT16_MAX);
    wr_i16(b, s.p ? (int16_t)s.n : -1);
    wr_slice(b, s);
}

void wr_bytes(struct bytes *b, struct slice s)
{
    assert(s.n <= INT32_MAX);
    wr_i32(b, s.p ? (int32_t)s.n : -1);
    wr_slice(b, s);
}

void wr_compact(struct bytes *b, struct slice s)
{
    assert(s.n <= INT32_MAX);
    wr_uvarint(b, s.p ? (uint32_t)s.n + 1 : 0);
    wr_slice(b, s);
}
