/* Encoding and sizing: the same walk over a shape's ops, once to append bytes, once to add them up.
 *
 * Bytes are appended in one pass; only a tagged field is sized first, because its size goes before it. An error sticks in the encoder
 * and the stream is cut back to where the message began. */
#include "codec.h"
#include <stdlib.h>

struct enc {
    struct bytes *b;
    struct wire_out *o;
    size_t most; /* o->limit */
    int err;
};

static void enc_shape(struct enc *e, const struct wire_shape *sh, const void *in);
static size_t size_shape(const struct wire_shape *sh, const void *in);

static void enc_fail(struct enc *e, int err)
{
    if (!e->err) e->err = err;
}

static void enc_uvarint(struct enc *e, uint32_t v)
{
    if (v < 0x80) wr_u8(e->b, (uint8_t)v);
    else wr_uvarint(e->b, v);
}

/* What a field may not be null is written empty. */
static bool is_null(struct slice s, bool nullable) { return nullable && !s.p; }

static void enc_slice(struct enc *e, struct slice s, size_t max, bool compact, bool nullable)
{
    bool null = is_null(s, nullable);
    uint8_t *p;

    if (s.n > max) {
        enc_fail(e, E_INVALID);
        return;
    }
    if (compact) {
        enc_uvarint(e, null ? 0 : (uint32_t)s.n + 1);
        p = wr_room(e->b, s.n);
    } else if (max == INT16_MAX) {
        p = wr_room(e->b, 2 + s.n);
        put_be16(p, null ? 0xffff : (uint16_t)s.n);
        p += 2;
    } else {
        p = wr_room(e->b, 4 + s.n);
        put_be32(p, null ? 0xffffffff : (uint32_t)s.n);
        p += 4;
    }
    if (s.n) memcpy(p, s.p, s.n);
}

static void enc_records(struct enc *e, const struct wire_records *r, bool compact, bool nullable)
{
    struct wire_out *o = e->o;

    if (!r->ext) {
        enc_slice(e, r->bytes, INT32_MAX - 1, compact, nullable);
        return;
    }
    if (r->ext_len > INT32_MAX - 1) {
        enc_fail(e, E_INVALID);
        return;
    }
    if (compact) enc_uvarint(e, r->ext_len + 1);
    else wr_u32(e->b, r->ext_len);
    if (r->ext_len == 0) return;
    if (o->splices_n == o->splices_cap) {
        o->splices_cap = o->splices_cap ? 2 * o->splices_cap : 8;
        o->splices = mem_realloc(o->splices, (size_t)o->splices_cap * sizeof(*o->splices));
    }
    o->splices[o->splices_n++] = (struct wire_splice){ e->b->n, r->ext, r->ext_len };
    o->ext_n += r->ext_len;
}

static void enc_scalars(struct enc *e, int code, const void *in, int32_t n)
{
    size_t size = wire_elem_size[code];
    uint8_t *p = wr_room(e->b, size * (size_t)n);

    switch (size) {
    case 2:
        for (int32_t i = 0; i < n; i++) put_be16(p + 2 * (size_t)i, ((const uint16_t *)in)[i]);
        break;
    case 4:
        for (int32_t i = 0; i < n; i++) put_be32(p + 4 * (size_t)i, ((const uint32_t *)in)[i]);
        break;
    case 8:
        for (int32_t i = 0; i < n; i++) put_be64(p + 8 * (size_t)i, ((const uint64_t *)in)[i]);
        break;
    default: memcpy(p, in, size * (size_t)n);
    }
}

static void enc_array(struct enc *e, const struct wire_op *op, const void *member)
{
    const struct wire_shape *sub = &wire_shapes[op->sub];
    const void *p = *(void *const *)member;
    int32_t n = count_at(member, 0);
    bool compact = op->code == W_CARRAY;

    if (n < 0) {
        int32_t len = op->nullable ? -1 : 0;
        if (compact) enc_uvarint(e, (uint32_t)(len + 1));
        else wr_i32(e->b, len);
        return;
    }
    if (compact) enc_uvarint(e, (uint32_t)n + 1);
    else wr_i32(e->b, n);
    if (n == 0) return;
    switch (op->elem) {
    case W_STRUCT:
        for (int32_t i = 0; i < n && e->b->n <= e->most; i++) enc_shape(e, sub, at_const(p, sub->size * (size_t)i));
        if (e->b->n > e->most) enc_fail(e, E_MESSAGE_TOO_LARGE);
        break;
    case W_STRING:
    case W_CSTRING:
        for (int32_t i = 0; i < n; i++) enc_slice(e, ((const struct slice *)p)[i], INT16_MAX, compact, false);
        break;
    default: enc_scalars(e, op->elem, p, n);
    }
}

static inline void enc_field(struct enc *e, const struct wire_op *op, const void *in)
{
    const void *v = at_const(in, op->off);

    switch (op->code) {
    case W_BOOL: wr_bool(e->b, *(const bool *)v); break;
    case W_INT8: wr_i8(e->b, *(const int8_t *)v); break;
    case W_INT16:
    case W_UINT16: wr_u16(e->b, *(const uint16_t *)v); break;
    case W_INT32:
    case W_UINT32: wr_u32(e->b, *(const uint32_t *)v); break;
    case W_INT64:
    case W_FLOAT64: wr_u64(e->b, *(const uint64_t *)v); break;
    case W_UUID: wr_uuid(e->b, *(const struct uuid *)v); break;
    case W_STRING: enc_slice(e, *(const struct slice *)v, INT16_MAX, false, op->nullable); break;
    case W_CSTRING: enc_slice(e, *(const struct slice *)v, INT16_MAX, true, op->nullable); break;
    case W_BYTES: enc_slice(e, *(const struct slice *)v, INT32_MAX - 1, false, op->nullable); break;
    case W_CBYTES: enc_slice(e, *(const struct slice *)v, INT32_MAX - 1, true, op->nullable); break;
    case W_RECORDS: enc_records(e, v, false, op->nullable); break;
    case W_CRECORDS: enc_records(e, v, true, op->nullable); break;
    case W_STRUCT: enc_shape(e, &wire_shapes[op->sub], v); break;
    case W_STRUCT_OR_NULL:
    case W_TAGGED_STRUCT_OR_NULL: {
        const void *p = *(void *const *)v;
        wr_u8(e->b, p ? 1 : op->code == W_STRUCT_OR_NULL ? 0xff : 0);
        if (p) enc_shape(e, &wire_shapes[op->sub], p);
        break;
    }
    case W_ARRAY:
    case W_CARRAY: enc_array(e, op, v); break;
    }
}

static size_t size_slice(struct slice s, size_t prefix, bool nullable)
{
    if (prefix) return prefix + s.n;
    return size_uvarint(is_null(s, nullable) ? 0 : (uint32_t)s.n + 1) + s.n;
}

static size_t size_records(const struct wire_records *r, size_t prefix, bool nullable)
{
    struct slice s = r->ext ? (struct slice){ "", r->ext_len } : r->bytes;
    return size_slice(s, prefix, nullable);
}

static size_t size_array(const struct wire_op *op, const void *member)
{
    const struct wire_shape *sub = &wire_shapes[op->sub];
    const void *p = *(void *const *)member;
    int32_t n = count_at(member, 0);
    size_t size = op->code == W_ARRAY ? 4 : size_uvarint(n < 0 ? op->nullable ? 0 : 1 : (uint32_t)n + 1);

    for (int32_t i = 0; i < n; i++) {
        switch (op->elem) {
        case W_STRUCT: size += size_shape(sub, at_const(p, sub->size * (size_t)i)); break;
        case W_STRING: size += size_slice(((const struct slice *)p)[i], 2, false); break;
        case W_CSTRING: size += size_slice(((const struct slice *)p)[i], 0, false); break;
        default: return size + (size_t)n * wire_elem_size[op->elem];
        }
    }
    return size;
}

static size_t size_field(const struct wire_op *op, const void *in)
{
    const void *v = at_const(in, op->off);

    switch (op->code) {
    case W_STRING: return size_slice(*(const struct slice *)v, 2, op->nullable);
    case W_CSTRING: return size_slice(*(const struct slice *)v, 0, op->nullable);
    case W_BYTES: return size_slice(*(const struct slice *)v, 4, op->nullable);
    case W_CBYTES: return size_slice(*(const struct slice *)v, 0, op->nullable);
    case W_RECORDS: return size_records(v, 4, op->nullable);
    case W_CRECORDS: return size_records(v, 0, op->nullable);
    case W_STRUCT: return size_shape(&wire_shapes[op->sub], v);
    case W_STRUCT_OR_NULL:
    case W_TAGGED_STRUCT_OR_NULL: {
        const void *p = *(void *const *)v;
        return p ? 1 + size_shape(&wire_shapes[op->sub], p) : 1;
    }
    case W_ARRAY:
    case W_CARRAY: return size_array(op, v);
    default: return wire_elem_size[op->code];
    }
}

/* The tagged fields to be sent, known and unknown, in the order of their tags. */
struct tags {
    const struct wire_op *op, *end; /* known ones still to come */
    const struct wire_tag *unknown;
    int32_t unknown_n;
    const void *in, *dflt;
};

static struct tags tags_of(const struct wire_shape *sh, const void *in)
{
    const struct wire_op *op = &wire_ops[sh->first + sh->body];
    return (struct tags){
        op, op + sh->tagged, *(struct wire_tag *const *)at_const(in, (size_t)sh->unknown), count_at(in, (uint16_t)sh->unknown),
        in, sh->dflt
    };
}

/* The next known field that is not default; NULL when there is none. */
static const struct wire_op *tags_next(struct tags *t)
{
    while (t->op < t->end) {
        const struct wire_op *op = t->op++;
        if (op->code != W_BARRED && !wire_is_default(op, t->in, t->dflt)) return op;
    }
    return NULL;
}

static void enc_unknown(struct enc *e, struct tags *t)
{
    struct slice data = t->unknown->data;

    enc_uvarint(e, t->unknown->tag);
    enc_uvarint(e, (uint32_t)data.n);
    wr_slice(e->b, data);
    t->unknown++;
    t->unknown_n--;
}

/* Unknown tags must be in ascending order and none of ours: what else came in cannot be sent on. */
static void check_unknown(struct enc *e, const struct wire_shape *sh, struct tags t)
{
    for (int32_t i = 0; i < t.unknown_n; i++) {
        if (i && t.unknown[i].tag <= t.unknown[i - 1].tag) enc_fail(e, E_INVALID);
        if (t.unknown[i].data.n > INT32_MAX) enc_fail(e, E_INVALID);
        for (const struct wire_op *op = t.op; op < t.end; op++)
            if (op->tag == t.unknown[i].tag) enc_fail(e, E_INVALID);
    }
}

static void enc_tags(struct enc *e, const struct wire_shape *sh, const void *in)
{
    struct tags t = tags_of(sh, in), counted = t;
    uint32_t n = (uint32_t)t.unknown_n;
    const struct wire_op *op;

    while (tags_next(&counted)) n++;
    enc_uvarint(e, n);
    if (n == 0) return;
    if (t.unknown_n) check_unknown(e, sh, t);
    if (e->err) return;
    while ((op = tags_next(&t))) {
        while (t.unknown_n && t.unknown->tag < op->tag) enc_unknown(e, &t);
        enc_uvarint(e, op->tag);
        enc_uvarint(e, (uint32_t)size_field(op, in));
        enc_field(e, op, in);
    }
    while (t.unknown_n) enc_unknown(e, &t);
}

static size_t size_tags(const struct wire_shape *sh, const void *in)
{
    struct tags t = tags_of(sh, in);
    uint32_t n = (uint32_t)t.unknown_n;
    size_t size = 0;
    const struct wire_op *op;

    for (int32_t i = 0; i < t.unknown_n; i++)
        size += size_uvarint(t.unknown[i].tag) + size_uvarint((uint32_t)t.unknown[i].data.n) + t.unknown[i].data.n;
    for (; (op = tags_next(&t)); n++) {
        size_t field = size_field(op, in);
        size += size_uvarint(op->tag) + size_uvarint((uint32_t)field) + field;
    }
    return size + size_uvarint(n);
}

static void enc_shape(struct enc *e, const struct wire_shape *sh, const void *in)
{
    const struct wire_op *op = &wire_ops[sh->first], *end = op + sh->body;

    for (; op < end; op++) enc_field(e, op, in);
    if (sh->flexible) {
        if (sh->tagged || count_at(in, (uint16_t)sh->unknown)) enc_tags(e, sh, in);
        else wr_u8(e->b, 0);
    } else if (sh->unknown >= 0 && count_at(in, (uint16_t)sh->unknown)) {
        enc_fail(e, E_UNSUPPORTED);
    }
    op = end + sh->tagged;
    for (end = op + sh->absent; op < end; op++)
        if (!wire_is_default(op, in, sh->dflt)) enc_fail(e, E_UNSUPPORTED);
}

static size_t size_shape(const struct wire_shape *sh, const void *in)
{
    const struct wire_op *op = &wire_ops[sh->first], *end = op + sh->body;
    size_t size = 0;

    for (; op < end; op++) size += size_field(op, in);
    return sh->flexible ? size + size_tags(sh, in) : size;
}

int wire_encode(const struct wire_msg *m, int16_t version, const void *in, struct wire_out *o)
{
    const struct wire_shape *sh = wire_shape_of(m, version);
    struct enc e = { &o->b, o, o->limit ? o->limit : SIZE_MAX, 0 };
    size_t n = o->b.n;
    int32_t splices_n = o->splices_n;
    uint64_t ext_n = o->ext_n;

    if (!sh) return E_UNSUPPORTED;
    enc_shape(&e, sh, in);
    if (!e.err && o->b.n - n + (o->ext_n - ext_n) > INT32_MAX) e.err = E_INVALID;
    if (e.err) {
        o->b.n = n;
        o->splices_n = splices_n;
        o->ext_n = ext_n;
    }
    return e.err;
}

size_t wire_size(const struct wire_msg *m, int16_t version, const void *in)
{
    const struct wire_shape *sh = wire_shape_of(m, version);
    return sh ? size_shape(sh, in) : 0;
}

void wire_out_reset(struct wire_out *o)
{
    o->b.n = 0;
    o->splices_n = 0;
    o->ext_n = 0;
}

void wire_out_free(struct wire_out *o)
{
    bytes_free(&o->b);
    mem_free(o->splices);
    *o = (struct wire_out){ 0 };
}
