#include "record.h"

enum { FRAME_VERSION = 1 };

int mrec_parse(struct slice value, struct mrec *out)
{
    struct rd r = rd_of(value);
    uint32_t frame = rd_uvarint(&r);
    out->key = rd_uvarint(&r);
    out->version = rd_uvarint(&r);
    if (!value.p || r.err || frame != FRAME_VERSION || out->key > INT16_MAX || out->version > INT16_MAX) return E_MALFORMED;
    out->body = (struct slice){ (const char *)r.p, rd_left(&r) };
    out->value = value;
    return 0;
}

int mrec_decode(const struct mrec *r, const struct wire_msg *type, struct arena *a, void *out, struct why *why_)
{
    int rc = wire_decode(type, (int16_t)r->version, r->body, a, out, NULL);
    if (rc == E_UNSUPPORTED) return why(why_, rc, "%s of version %u: written by a newer broker", type->name, r->version);
    if (rc) return why(why_, rc, "%s does not parse", type->name);
    return 0;
}

void mrec_put(struct bytes *out, const struct wire_msg *type, int16_t version, const void *body)
{
    struct wire_out o = { .b = *out };
    wr_uvarint(&o.b, FRAME_VERSION);
    wr_uvarint(&o.b, (uint32_t)type->key);
    wr_uvarint(&o.b, (uint32_t)version);
    int rc = wire_encode(type, version, body, &o);
    assert(rc == 0);
    *out = o.b;
}

struct slice mrec_make(struct arena *a, const struct wire_msg *type, int16_t version, const void *body)
{
    struct bytes b = { 0 };
    mrec_put(&b, type, version, body);
    struct slice copy = arena_copy(a, (struct slice){ (const char *)b.p, b.n });
    bytes_free(&b);
    return copy;
}

int16_t partition_record_version(int16_t level) { return level >= LEVEL_ELR ? 2 : level >= LEVEL_DIRECTORIES ? 1 : 0; }

int16_t register_broker_version(int16_t level)
{
    return level >= LEVEL_DIRECTORIES ? 3 : level >= 8 ? 2 : 1; /* 8: 3.4-IV0, migration */
}

void control_append(struct batch_builder *b, int64_t now_ms, enum control_type t, const struct wire_msg *type, const void *body)
{
    uint8_t key[CONTROL_KEY];
    struct wire_out o = { 0 };
    control_key(key, t);
    int rc = wire_encode(type, 0, body, &o);
    assert(rc == 0);
    batch_append(b, now_ms, (struct slice){ (const char *)key, sizeof key }, (struct slice){ (const char *)o.b.p, o.b.n }, NULL,
                 0);
    wire_out_free(&o);
}
