/* The engine's tables, made by scripts/wiregen.py from the schema.
 *
 * A *shape* is a struct as it looks in a run of versions: a list of ops. An op is one field. So the hot path never compares versions:
 * the message's shape is looked up once, and an op of a nested struct names that struct's shape. Tables hold numbers instead of
 * pointers: small, and shared between processes because nothing in them is relocated. */
#pragma once
#include <odradek/wire.h>

enum wire_code { /* W_C…: compact, lengths are unsigned varints + 1 */
                 W_BOOL,
                 W_INT8,
                 W_INT16,
                 W_UINT16,
                 W_INT32,
                 W_UINT32,
                 W_INT64,
                 W_FLOAT64,
                 W_UUID,
                 W_STRING,
                 W_CSTRING,
                 W_BYTES,
                 W_CBYTES,
                 W_RECORDS,
                 W_CRECORDS,
                 W_STRUCT,
                 W_STRUCT_OR_NULL,        /* a byte says: -1 null, 1 follows */
                 W_TAGGED_STRUCT_OR_NULL, /* an unsigned varint says: 0 null, 1 follows */
                 W_ARRAY,
                 W_CARRAY,
                 W_BARRED, /* a tag of other versions: refused when read, never written */
};

struct wire_op {
    uint8_t code;
    uint8_t elem; /* of an array: the code of its elements */
    uint8_t nullable;
    uint8_t tag;
    uint16_t off; /* of the member; an array's count lies behind its pointer */
    uint16_t sub; /* shape of a struct */
    uint16_t name;
};

/* Ops stand in this order: the body in wire order; tagged fields by tag; fields the version lacks that must hold their default. */
struct wire_shape {
    const void *dflt; /* the C struct, all defaults */
    uint16_t first;
    uint8_t body, tagged, absent;
    bool flexible;
    uint16_t size;   /* of the C struct */
    uint16_t min;    /* fewest bytes of an encoding; at least 1 but for a whole message */
    int16_t unknown; /* offset of the unknown tags, -1: the message has no flexible version */
};

extern const char wire_names[];
extern const struct wire_op wire_ops[];
extern const struct wire_shape wire_shapes[];
extern const struct wire_msg *const wire_requests[];
extern const struct wire_msg *const wire_responses[];
extern const struct wire_msg *const wire_by_name[];
extern const uint16_t wire_by_name_n;
extern const struct wire_msg *const wire_records_by_key[]; /* by kind, then key */
extern const uint16_t wire_records_by_key_n;

/* Members of a C struct, by offset. */
static inline void *at(void *base, size_t off) { return (char *)base + off; }
static inline const void *at_const(const void *base, size_t off) { return (const char *)base + off; }
static inline int32_t count_at(const void *base, uint16_t off) { return *(const int32_t *)at_const(base, off + sizeof(void *)); }

/* C sizes of array elements by code; 0 for structs, whose shape has it. */
extern const uint8_t wire_elem_size[];

/* Does a member hold its default? `dflt` is the struct of defaults the member lies in. As Kafka's equals(): deep. */
bool wire_is_default(const struct wire_op *op, const void *base, const void *dflt);

/* As wire_print; `all` prints tagged fields that hold their default, too. */
void wire_print_shape(const struct wire_shape *sh, const void *in, bool all, struct bytes *out);

static inline const struct wire_shape *wire_shape_of(const struct wire_msg *m, int version) /* NULL: no such version */
{
    return wire_has_version(m, version) ? &wire_shapes[m->shapes[version - m->min]] : NULL;
}
