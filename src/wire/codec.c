/* Finding descriptors, and what decoding, encoding and printing share. */
#include "codec.h"

const uint8_t wire_elem_size[] = {
    [W_BOOL] = sizeof(bool),
    [W_INT8] = 1,
    [W_INT16] = 2,
    [W_UINT16] = 2,
    [W_INT32] = 4,
    [W_UINT32] = 4,
    [W_INT64] = 8,
    [W_FLOAT64] = 8,
    [W_UUID] = sizeof(struct uuid),
    [W_STRING] = sizeof(struct slice),
    [W_CSTRING] = sizeof(struct slice),
    [W_STRUCT] = 0,
};

const struct wire_msg *wire_request(int16_t api_key)
{
    return api_key >= 0 && api_key < API_COUNT ? wire_requests[api_key] : NULL;
}

const struct wire_msg *wire_response(int16_t api_key)
{
    return api_key >= 0 && api_key < API_COUNT ? wire_responses[api_key] : NULL;
}

const struct wire_msg *wire_record(enum wire_kind kind, int16_t key)
{
    int low = 0, high = wire_records_by_key_n;

    while (low < high) {
        int mid = (low + high) / 2;
        const struct wire_msg *m = wire_records_by_key[mid];
        if (m->kind == (int16_t)kind && m->key == key) return m;
        if (m->kind < (int16_t)kind || (m->kind == (int16_t)kind && m->key < key)) low = mid + 1;
        else high = mid;
    }
    return NULL;
}

const struct wire_msg *wire_msg_by_name(const char *name)
{
    int low = 0, high = wire_by_name_n;

    while (low < high) {
        int mid = (low + high) / 2;
        int d = strcmp(wire_by_name[mid]->name, name);
        if (d == 0) return wire_by_name[mid];
        if (d < 0) low = mid + 1;
        else high = mid;
    }
    return NULL;
}

const struct wire_msg *wire_msg_at(int i) { return i >= 0 && i < wire_by_name_n ? wire_by_name[i] : NULL; }

int wire_request_header_version(int16_t api_key, int16_t version)
{
    const struct wire_msg *m = wire_request(api_key);

    if (!m) return E_UNSUPPORTED;
    if (api_key == API_CONTROLLED_SHUTDOWN && version == 0) return 0; /* had no client id; nobody speaks it any more */
    return wire_is_flexible(m, version) ? 2 : 1;
}

int wire_response_header_version(int16_t api_key, int16_t version)
{
    const struct wire_msg *m = wire_response(api_key);

    if (!m) return E_UNSUPPORTED;
    if (api_key == API_API_VERSIONS) return 0; /* so that a client who asked too much can read the answer (KIP-511) */
    return wire_is_flexible(m, version) ? 1 : 0;
}

void wire_init(const struct wire_msg *m, void *out) { memcpy(out, m->dflt, m->size); }

void *wire_fill(struct arena *a, const void *dflt, size_t size, int n)
{
    if (n <= 0) return NULL;
    char *p = arena_alloc(a, size * (size_t)n);
    for (int i = 0; i < n; i++) memcpy(p + size * (size_t)i, dflt, size);
    return p;
}

static bool slice_is_default(struct slice v, struct slice dflt, bool nullable)
{
    if (!nullable) return v.n == 0; /* null stands for empty where there is no null */
    return !v.p == !dflt.p && v.n == dflt.n;
}

static bool struct_is_default(const struct wire_shape *sh, const void *in)
{
    const struct wire_op *op = &wire_ops[sh->first], *end = op + sh->body + sh->tagged + sh->absent;

    for (; op < end; op++)
        if (op->code != W_BARRED && !wire_is_default(op, in, sh->dflt)) return false;
    return sh->unknown < 0 || count_at(in, (uint16_t)sh->unknown) == 0;
}

bool wire_is_default(const struct wire_op *op, const void *base, const void *dflt)
{
    const void *v = at_const(base, op->off), *d = at_const(dflt, op->off);

    switch (op->code) {
    case W_BOOL:
    case W_INT8: return memcmp(v, d, 1) == 0;
    case W_INT16:
    case W_UINT16: return memcmp(v, d, 2) == 0;
    case W_INT32:
    case W_UINT32: return memcmp(v, d, 4) == 0;
    case W_INT64: return memcmp(v, d, 8) == 0;
    case W_FLOAT64: return *(const double *)v == *(const double *)d;
    case W_UUID: return memcmp(v, d, 16) == 0;
    case W_STRING:
    case W_CSTRING:
    case W_BYTES:
    case W_CBYTES: return slice_is_default(*(const struct slice *)v, *(const struct slice *)d, op->nullable);
    case W_RECORDS:
    case W_CRECORDS: {
        const struct wire_records *r = v;
        return !r->bytes.p && !r->ext; /* always null */
    }
    case W_STRUCT: return struct_is_default(&wire_shapes[op->sub], v);
    case W_STRUCT_OR_NULL:
    case W_TAGGED_STRUCT_OR_NULL: {
        const void *vp = *(void *const *)v, *dp = *(void *const *)d;
        if (!vp || !dp) return !vp == !dp;
        return struct_is_default(&wire_shapes[op->sub], vp);
    }
    case W_ARRAY:
    case W_CARRAY: {
        int32_t n = count_at(base, op->off), dn = count_at(dflt, op->off);
        return op->nullable ? n == dn || (n < 0 && dn < 0) : n <= 0;
    }
    default: return true;
    }
}
