/* Decoding: walks a shape's ops over a bounded reader.
 *
 * It can fail in four ways, all checked where the bytes are read: the input ends (E_TRUNCATED), it says what cannot be (E_MALFORMED),
 * the arena's owner says no (E_NO_MEMORY), or the version is unknown. Recursion is as deep as the schema, which has no cycles.
 *
 * Memory: an array is allocated before its elements are read, so its count must be believable: count * (fewest bytes of an element)
 * must fit into what is left of the input. Nested counts could each claim the same bytes, so a budget over the whole message bounds
 * the sum. Honest input never meets it: the compiler checks that every C struct is at most WIRE_GROWTH times its fewest bytes. */
#include "codec.h"

struct dec {
    struct rd r;
    struct arena *a;
    size_t budget; /* bytes that may still be taken from the arena */
};

static void dec_shape(struct dec *d, const struct wire_shape *sh, void *out);

static void *dec_alloc(struct dec *d, size_t n)
{
    void *p;

    if (n > d->budget) {
        rd_fail(&d->r, E_MALFORMED);
        return NULL;
    }
    d->budget -= n;
    p = arena_try(d->a, n);
    if (!p) rd_fail(&d->r, E_NO_MEMORY);
    return p;
}

/* Length or count + 1 in a varint; -1 null. */
static int64_t dec_compact_len(struct dec *d)
{
    uint32_t n = rd_uvarint(&d->r);

    if (n > INT32_MAX) rd_fail(&d->r, E_MALFORMED);
    return (int64_t)n - 1;
}

static struct slice dec_slice(struct dec *d, int64_t n, int64_t max, bool nullable)
{
    const uint8_t *p;

    if (n < 0) {
        if (!nullable) rd_fail(&d->r, E_MALFORMED);
        return (struct slice){ NULL, 0 };
    }
    if (n > max) {
        rd_fail(&d->r, E_MALFORMED);
        return (struct slice){ NULL, 0 };
    }
    p = rd_take(&d->r, (size_t)n);
    return p ? (struct slice){ (const char *)p, (size_t)n } : (struct slice){ NULL, 0 };
}

static void dec_scalars(struct dec *d, int code, void *out, int32_t n)
{
    size_t size = wire_elem_size[code];
    const uint8_t *p = rd_take(&d->r, size * (size_t)n);

    if (!p) return;
    switch (size) {
    case 1:
        if (code == W_BOOL)
            for (int32_t i = 0; i < n; i++) ((bool *)out)[i] = p[i] != 0;
        else memcpy(out, p, (size_t)n);
        break;
    case 2:
        for (int32_t i = 0; i < n; i++) ((uint16_t *)out)[i] = be16(p + 2 * (size_t)i);
        break;
    case 4:
        for (int32_t i = 0; i < n; i++) ((uint32_t *)out)[i] = be32(p + 4 * (size_t)i);
        break;
    case 8:
        for (int32_t i = 0; i < n; i++) ((uint64_t *)out)[i] = be64(p + 8 * (size_t)i);
        break;
    default: memcpy(out, p, size * (size_t)n);
    }
}

static void dec_array(struct dec *d, const struct wire_op *op, void *member)
{
    const struct wire_shape *sub = &wire_shapes[op->sub];
    int64_t n = op->code == W_CARRAY ? dec_compact_len(d) : rd_i32(&d->r);
    size_t size, least;
    void *p = NULL;

    if (d->r.err) return;
    *(int32_t *)at(member, sizeof(void *)) = n < 0 ? -1 : (int32_t)n;
    *(void **)member = NULL;
    if (n < 0 && !op->nullable) rd_fail(&d->r, E_MALFORMED);
    if (n <= 0) return;

    switch (op->elem) {
    case W_STRUCT: size = sub->size, least = sub->min; break;
    case W_STRING: size = sizeof(struct slice), least = 2; break;
    case W_CSTRING: size = sizeof(struct slice), least = 1; break;
    default: size = least = wire_elem_size[op->elem];
    }
    if ((uint64_t)n > rd_left(&d->r) / least) {
        rd_fail(&d->r, E_TRUNCATED);
        return;
    }
    p = dec_alloc(d, size * (size_t)n);
    if (!p) return;
    *(void **)member = p;

    switch (op->elem) {
    case W_STRUCT:
        for (int64_t i = 0; i < n && !d->r.err; i++) dec_shape(d, sub, at(p, size * (size_t)i));
        break;
    case W_STRING:
        for (int64_t i = 0; i < n && !d->r.err; i++) ((struct slice *)p)[i] = dec_slice(d, rd_i16(&d->r), INT16_MAX, false);
        break;
    case W_CSTRING:
        for (int64_t i = 0; i < n && !d->r.err; i++) ((struct slice *)p)[i] = dec_slice(d, dec_compact_len(d), INT16_MAX, false);
        break;
    default: dec_scalars(d, op->elem, p, (int32_t)n);
    }
}

static void dec_pointer(struct dec *d, const struct wire_op *op, void **member)
{
    const struct wire_shape *sub = &wire_shapes[op->sub];
    bool null = op->code == W_STRUCT_OR_NULL ? rd_i8(&d->r) < 0 : rd_uvarint(&d->r) == 0;

    *member = NULL;
    if (null || d->r.err) return;
    void *p = dec_alloc(d, sub->size);
    if (!p) return;
    dec_shape(d, sub, p);
    *member = p;
}

/* One field. Lengths are signed in the unflexible encoding, where anything below 0 is null. */
__attribute__((always_inline)) static inline void dec_field(struct dec *d, const struct wire_op *op, void *out)
{
    void *v = at(out, op->off);

    switch (op->code) {
    case W_BOOL: *(bool *)v = rd_bool(&d->r); break;
    case W_INT8: *(int8_t *)v = rd_i8(&d->r); break;
    case W_INT16:
    case W_UINT16: *(uint16_t *)v = rd_u16(&d->r); break;
    case W_INT32:
    case W_UINT32: *(uint32_t *)v = rd_u32(&d->r); break;
    case W_INT64:
    case W_FLOAT64: *(uint64_t *)v = rd_u64(&d->r); break;
    case W_UUID: *(struct uuid *)v = rd_uuid(&d->r); break;
    case W_STRING: *(struct slice *)v = dec_slice(d, rd_i16(&d->r), INT16_MAX, op->nullable); break;
    case W_CSTRING: *(struct slice *)v = dec_slice(d, dec_compact_len(d), INT16_MAX, op->nullable); break;
    case W_BYTES: *(struct slice *)v = dec_slice(d, rd_i32(&d->r), INT32_MAX, op->nullable); break;
    case W_CBYTES: *(struct slice *)v = dec_slice(d, dec_compact_len(d), INT32_MAX, op->nullable); break;
    case W_RECORDS:
        *(struct wire_records *)v = (struct wire_records){ dec_slice(d, rd_i32(&d->r), INT32_MAX, op->nullable), NULL, 0 };
        break;
    case W_CRECORDS:
        *(struct wire_records *)v = (struct wire_records){ dec_slice(d, dec_compact_len(d), INT32_MAX, op->nullable), NULL, 0 };
        break;
    case W_STRUCT: dec_shape(d, &wire_shapes[op->sub], v); break;
    case W_STRUCT_OR_NULL:
    case W_TAGGED_STRUCT_OR_NULL: dec_pointer(d, op, v); break;
    case W_ARRAY:
    case W_CARRAY: dec_array(d, op, v); break;
    default: rd_fail(&d->r, E_MALFORMED); /* W_BARRED */
    }
}

/* The section of tagged fields: count, then tag, size, bytes of each. As in Kafka they may come in any order, and the last one wins. */
static void dec_tags(struct dec *d, const struct wire_shape *sh, void *out)
{
    const struct wire_op *ops = &wire_ops[sh->first + sh->body];
    struct wire_tag *unknown = NULL;
    int32_t unknown_n = 0;
    uint32_t n = rd_uvarint(&d->r);

    if (n > rd_left(&d->r) / 2) {
        rd_fail(&d->r, E_TRUNCATED);
        return;
    }
    for (; n && !d->r.err; n--) {
        uint32_t tag = rd_uvarint(&d->r), size = rd_uvarint(&d->r);
        int i = 0;

        if (size > rd_left(&d->r)) rd_fail(&d->r, E_TRUNCATED);
        if (d->r.err) return;
        while (i < sh->tagged && ops[i].tag != tag) i++;
        if (i < sh->tagged) {
            const uint8_t *end = d->r.end;
            d->r.end = d->r.p + size;
            dec_field(d, &ops[i], out);
            if (d->r.p != d->r.end) rd_fail(&d->r, E_MALFORMED);
            if (d->r.err == E_TRUNCATED) d->r.err = E_MALFORMED; /* the message goes on, but not this field */
            d->r.end = end;
            if (d->r.err) d->r.p = end;
        } else {
            if (!unknown) unknown = dec_alloc(d, n * sizeof(*unknown));
            if (!unknown) return;
            unknown[unknown_n++] = (struct wire_tag){ tag, rd_slice(&d->r, size) };
        }
    }
    *(struct wire_tag **)at(out, (size_t)sh->unknown) = unknown;
    *(int32_t *)at(out, (size_t)sh->unknown + sizeof(void *)) = unknown_n;
}

static void dec_shape(struct dec *d, const struct wire_shape *sh, void *out)
{
    const struct wire_op *op = &wire_ops[sh->first], *end = op + sh->body;

    memcpy(out, sh->dflt, sh->size);
    for (; op < end; op++) dec_field(d, op, out);
    if (sh->flexible) {
        if (d->r.p < d->r.end && *d->r.p == 0) d->r.p++; /* nearly always: none */
        else dec_tags(d, sh, out);
    }
}

int wire_decode(const struct wire_msg *m, int16_t version, struct slice in, struct arena *a, void *out, size_t *used)
{
    const struct wire_shape *sh = wire_shape_of(m, version);
    struct dec d = { .r = rd_of(in), .a = a };

    if (!sh) return E_UNSUPPORTED;
    if (in.n > INT32_MAX) return E_MALFORMED;
    d.budget = in.n * WIRE_GROWTH;
    dec_shape(&d, sh, out);
    if (d.r.err) return d.r.err;
    if (used) *used = in.n - rd_left(&d.r);
    else if (rd_left(&d.r)) return E_MALFORMED;
    return 0;
}
