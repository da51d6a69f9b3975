/* wire: Kafka's messages. Bytes in, structs out, and back; no I/O, no clock. (Record batches: <odradek/batch.h>.)
 *
 * The schema (src/wire/schema) describes every message of Kafka 4.3.1; scripts/wiregen.py makes a C struct and a descriptor of each:
 * Kafka's ProduceRequest is `struct produce_request` and `msg_produce_request`. One engine decodes, encodes, sizes and prints them
 * all at any version.
 *
 *     struct metadata_request in;
 *     int rc = wire_decode(&msg_metadata_request, version, frame, arena, &in, NULL);
 *
 *     struct metadata_response out = dflt_metadata_response;
 *     out.topics = wire_array(arena, metadata_response_topic, n);          (n structs of defaults)
 *     out.topics_n = n;
 *     rc = wire_encode(&msg_metadata_response, version, &out, &reply);
 *
 * How Kafka's types look in C:
 *     string, bytes      struct slice; p NULL is null
 *     []T                T *x and int32_t x_n; x_n -1 is null; an array of strings is of struct slice
 *     struct             by value; one that may be null is a pointer, NULL for null
 *     records            struct wire_records
 *     tagged field       a member like any other; equal to its default it is not sent
 * A struct of a message with flexible versions also keeps the tagged fields nobody here knows, in order to pass them on.
 *
 * Threads: everything here may be called from any thread; descriptors and defaults are constants. */
#pragma once
#include <odradek/base.h>

/* ---- messages ---------------------------------------------------------------------------------------------------------- */

/* Record batches inside a message. Decoding gives `bytes`, borrowed from the input. To encode, give `bytes`, or `ext` and `ext_len`:
 * then only the length is written, and a splice tells the sender to put ext_len bytes of the caller's `ext` there. */
struct wire_records {
    struct slice bytes; /* p NULL and ext NULL: null */
    void *ext;
    uint32_t ext_len;
};

/* A tagged field that the schema does not know. */
struct wire_tag {
    uint32_t tag;
    struct slice data;
};

enum wire_kind {
    WIRE_REQUEST,
    WIRE_RESPONSE,
    WIRE_HEADER,
    WIRE_DATA,
    WIRE_METADATA,    /* records of __cluster_metadata; key is the record type */
    WIRE_REMOTE_LOG,  /* records of __remote_log_metadata */
    WIRE_GROUP_KEY,   /* records of __consumer_offsets; key is the version in front of the record's key */
    WIRE_GROUP_VALUE, /* key is that of the WIRE_GROUP_KEY it belongs to */
    WIRE_TXN_KEY,     /* records of __transaction_state */
    WIRE_TXN_VALUE,
    WIRE_SHARE_KEY, /* records of __share_group_state */
    WIRE_SHARE_VALUE,
};
enum { WIRE_ON_BROKER = 1, WIRE_ON_CONTROLLER = 2 }; /* listeners that serve an API */

struct wire_msg {
    const char *name;       /* Kafka's: "ProduceRequest" */
    int16_t kind;           /* enum wire_kind */
    int16_t key;            /* API key or record type; -1 none */
    int16_t min, max;       /* versions; min > max: none */
    int16_t max_stable;     /* later ones are not yet final */
    int16_t flexible;       /* first flexible version; INT16_MAX none */
    int16_t listeners;      /* WIRE_ON_… of a request */
    uint32_t size;          /* of the C struct */
    const void *dflt;       /* the C struct, all defaults */
    const uint16_t *shapes; /* the engine's; by version - min */
};

#include "wire_msgs.h" /* generated: structs, dflt_…, msg_…, enum api_key, WIRE_APIS(X), record types */

/* Lookups: NULL when there is none. */
const struct wire_msg *wire_request(int16_t api_key);
const struct wire_msg *wire_response(int16_t api_key);
const struct wire_msg *wire_record(enum wire_kind kind, int16_t key); /* WIRE_METADATA and below */
const struct wire_msg *wire_msg_by_name(const char *name);
const struct wire_msg *wire_msg_at(int i); /* all messages, sorted by name; NULL behind the last */
static inline const struct wire_msg *wire_metadata_record(int16_t key) { return wire_record(WIRE_METADATA, key); }
static inline bool wire_has_version(const struct wire_msg *m, int version) { return version >= m->min && version <= m->max; }
static inline bool wire_is_flexible(const struct wire_msg *m, int version) { return version >= m->flexible; }

/* The version of the header (msg_request_header, msg_response_header) that goes before a body. The version need not be one we
 * know, so that an ApiVersions request from the future can be answered. E_UNSUPPORTED: no such API. */
int wire_request_header_version(int16_t api_key, int16_t version);
int wire_response_header_version(int16_t api_key, int16_t version);

/* Decodes a message. `out` is the message's C struct; it needs no initialisation, and holds defaults where the version has no field.
 * Strings, bytes, records and unknown tags are borrowed from `in`; arrays and nullable structs lie in `a` (one of size 0 is NULL).
 * used: how many bytes the message took; with NULL, bytes left over are an error.
 * Takes at most WIRE_GROWTH times in.n from the arena, within the arena's limit.
 * E_UNSUPPORTED no such version; E_TRUNCATED ends too early; E_MALFORMED; E_NO_MEMORY the arena's limit. Then *out is undefined. */
enum { WIRE_GROWTH = 64 };
NODISCARD int wire_decode(const struct wire_msg *m, int16_t version, struct slice in, struct arena *a, void *out, size_t *used);

/* Sets a message to its defaults; so does `= dflt_NAME`. */
void wire_init(const struct wire_msg *m, void *out);

/* n structs of defaults in an arena: struct fetch_response_partition_data *p = wire_array(a, fetch_response_partition_data, n).
 * n 0 gives NULL. */
#define wire_array(a, NAME, n) ((struct NAME *)wire_fill((a), &dflt_##NAME, sizeof(struct NAME), (n)))
#define wire_new(a, NAME)      wire_array((a), NAME, 1)
void *wire_fill(struct arena *a, const void *dflt, size_t size, int n);

/* An encoded stream: the bytes b, into which splices are to be inserted, in ascending order of `at`. */
struct wire_splice {
    size_t at; /* offset in b before which the bytes go */
    void *ext;
    uint32_t len;
};
struct wire_out {
    struct bytes b;
    struct wire_splice *splices;
    int32_t splices_n, splices_cap;
    uint64_t ext_n; /* sum of the splices' lengths: the stream is b.n + ext_n long */
    size_t limit;   /* b may grow beyond it by one element of an array; 0 = none */
};
void wire_out_reset(struct wire_out *o); /* empty; keeps its memory */
void wire_out_free(struct wire_out *o);

/* Appends a message to `o`; several may follow one another (header, body). What is null but must not be at this version is written
 * as empty (Kafka: an exception). On error nothing is appended.
 * E_UNSUPPORTED: no such version, or a field that the version lacks holds something else than its default and must not be dropped.
 * E_MESSAGE_TOO_LARGE: past o->limit.
 * E_INVALID: a string above 32767 bytes, unknown tags out of order or of a known number, more than 2 GiB. */
NODISCARD int wire_encode(const struct wire_msg *m, int16_t version, const void *in, struct wire_out *o);

/* How many bytes wire_encode would append, splices included. 0 for an unknown version. */
size_t wire_size(const struct wire_msg *m, int16_t version, const void *in);

/* Appends the message as one line of JSON, as Kafka's own tools print it: bytes and records in base64 (spliced records as a number:
 * their length), ids as text, tagged fields only when not default, fields the version lacks left out. Unknown version: null. */
void wire_print(const struct wire_msg *m, int16_t version, const void *in, struct bytes *out);

/* ---- reading primitives ------------------------------------------------------------------------------------------------- */

/* A bounded reader. The first failure sticks: err is set, everything read from then on is 0, empty or null. Check err once at the end,
 * and before believing a count. Kafka's numbers are big-endian; varints are little groups of 7 bits. */
struct rd {
    const uint8_t *p, *end;
    int err; /* 0, E_TRUNCATED, E_MALFORMED */
};
static inline struct rd rd_of(struct slice s)
{
    const uint8_t *p = (const uint8_t *)(s.p ? s.p : "");
    return (struct rd){ p, p + s.n, 0 };
}
static inline size_t rd_left(const struct rd *r) { return (size_t)(r->end - r->p); }
void rd_fail(struct rd *r, int err); /* the first one counts */
uint32_t rd_uvarint_slow(struct rd *r);

static inline const uint8_t *rd_take(struct rd *r, size_t n) /* n bytes, or NULL and E_TRUNCATED */
{
    const uint8_t *p = r->p;
    if (__builtin_expect(rd_left(r) < n, 0)) {
        rd_fail(r, E_TRUNCATED);
        return NULL;
    }
    r->p += n;
    return p;
}
static inline uint8_t rd_u8(struct rd *r)
{
    const uint8_t *p = rd_take(r, 1);
    return p ? *p : 0;
}
static inline int8_t rd_i8(struct rd *r) { return (int8_t)rd_u8(r); }
static inline bool rd_bool(struct rd *r) { return rd_u8(r) != 0; }
static inline uint16_t rd_u16(struct rd *r)
{
    const uint8_t *p = rd_take(r, 2);
    return p ? be16(p) : 0;
}
static inline int16_t rd_i16(struct rd *r) { return (int16_t)rd_u16(r); }
static inline uint32_t rd_u32(struct rd *r)
{
    const uint8_t *p = rd_take(r, 4);
    return p ? be32(p) : 0;
}
static inline int32_t rd_i32(struct rd *r) { return (int32_t)rd_u32(r); }
static inline uint64_t rd_u64(struct rd *r)
{
    const uint8_t *p = rd_take(r, 8);
    return p ? be64(p) : 0;
}
static inline int64_t rd_i64(struct rd *r) { return (int64_t)rd_u64(r); }
static inline double rd_f64(struct rd *r)
{
    uint64_t u = rd_u64(r);
    double d;
    memcpy(&d, &u, 8);
    return d;
}
static inline struct uuid rd_uuid(struct rd *r)
{
    struct uuid u = UUID_ZERO;
    const uint8_t *p = rd_take(r, 16);
    if (p) memcpy(u.b, p, 16);
    return u;
}
/* At most 5 bytes; more, or bits beyond the 32nd, are E_MALFORMED. */
static inline uint32_t rd_uvarint(struct rd *r)
{
    if (__builtin_expect(r->p < r->end && *r->p < 0x80, 1)) return *r->p++;
    return rd_uvarint_slow(r);
}
uint64_t rd_uvarlong(struct rd *r);           /* at most 10 bytes */
static inline int32_t rd_varint(struct rd *r) /* zigzag, as in records */
{
    uint32_t u = rd_uvarint(r);
    return (int32_t)(u >> 1) ^ -(int32_t)(u & 1);
}
static inline int64_t rd_varlong(struct rd *r)
{
    uint64_t u = rd_uvarlong(r);
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}
struct slice rd_slice(struct rd *r, size_t n); /* n bytes, borrowed */
struct slice rd_string(struct rd *r);          /* int16 length, negative: null */
struct slice rd_bytes(struct rd *r);           /* int32 length, negative: null */
struct slice rd_compact(struct rd *r);         /* uvarint of length + 1, 0: null */
void rd_skip_tags(struct rd *r);               /* a section of tagged fields */

/* ---- writing primitives: append to a byte string -------------------------------------------------------------------------- */

static inline uint8_t *wr_room(struct bytes *b, size_t n) /* n bytes more, to be filled in by the caller */
{
    uint8_t *p = b->cap - b->n >= n ? b->p + b->n : (uint8_t *)bytes_room(b, n);
    b->n += n;
    return p;
}
static inline void wr_u8(struct bytes *b, uint8_t v) { *wr_room(b, 1) = v; }
static inline void wr_i8(struct bytes *b, int8_t v) { *wr_room(b, 1) = (uint8_t)v; }
static inline void wr_bool(struct bytes *b, bool v) { *wr_room(b, 1) = v; }
static inline void wr_i16(struct bytes *b, int16_t v) { put_be16(wr_room(b, 2), (uint16_t)v); }
static inline void wr_u16(struct bytes *b, uint16_t v) { put_be16(wr_room(b, 2), v); }
static inline void wr_i32(struct bytes *b, int32_t v) { put_be32(wr_room(b, 4), (uint32_t)v); }
static inline void wr_u32(struct bytes *b, uint32_t v) { put_be32(wr_room(b, 4), v); }
static inline void wr_i64(struct bytes *b, int64_t v) { put_be64(wr_room(b, 8), (uint64_t)v); }
static inline void wr_u64(struct bytes *b, uint64_t v) { put_be64(wr_room(b, 8), v); }
static inline void wr_uuid(struct bytes *b, struct uuid v) { memcpy(wr_room(b, 16), v.b, 16); }
void wr_f64(struct bytes *b, double v);
void wr_uvarint(struct bytes *b, uint32_t v);
void wr_uvarlong(struct bytes *b, uint64_t v);
static inline void wr_varint(struct bytes *b, int32_t v) { wr_uvarint(b, ((uint32_t)v << 1) ^ (uint32_t)(v >> 31)); }
static inline void wr_varlong(struct bytes *b, int64_t v) { wr_uvarlong(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63)); }
void wr_slice(struct bytes *b, struct slice s);   /* the bytes alone */
void wr_string(struct bytes *b, struct slice s);  /* int16 length, -1 null; s.n <= 32767 */
void wr_bytes(struct bytes *b, struct slice s);   /* int32 length, -1 null */
void wr_compact(struct bytes *b, struct slice s); /* uvarint of length + 1, 0 null */

/* Bytes that a varint takes. */
static inline size_t size_uvarint(uint32_t v) { return (size_t)(38 - __builtin_clz(v | 1)) / 7; }
static inline size_t size_uvarlong(uint64_t v) { return (size_t)(70 - __builtin_clzll(v | 1)) / 7; }
static inline size_t size_varint(int32_t v) { return size_uvarint(((uint32_t)v << 1) ^ (uint32_t)(v >> 31)); }
static inline size_t size_varlong(int64_t v) { return size_uvarlong(((uint64_t)v << 1) ^ (uint64_t)(v >> 63)); }
