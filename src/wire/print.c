/* Printing a message as JSON, for people, logs, dump tools and tests. */
#include "codec.h"
#include <math.h>
#include <stdlib.h>

static void put(struct bytes *out, const char *z) { bytes_put(out, z, strlen(z)); }

static void print_base64(struct bytes *out, struct slice s)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s.p;
    uint8_t *q = wr_room(out, 2 + (s.n + 2) / 3 * 4);

    *q++ = '"';
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
        *q++ = (uint8_t)alphabet[v >> 18];
        *q++ = (uint8_t)alphabet[v >> 12 & 63];
        *q++ = left > 1 ? (uint8_t)alphabet[v >> 6 & 63] : '=';
        *q++ = left > 2 ? (uint8_t)alphabet[v & 63] : '=';
    }
    *q = '"';
}

/* Length of the UTF-8 character at p, 0 if there is none: not overlong, no surrogates, at most U+10FFFF. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    uint32_t c = p[0] & (0xffu >> (len + 1));

    if (len < 2) return len;
    if (len > n) return 0;
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2) return 0;
        c = c << 6 | (p[i] & 63);
    }
    if (c < (len == 2 ? 0x80u : len == 3 ? 0x800u : 0x10000u) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    return len;
}

static void print_string(struct bytes *out, struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    wr_u8(out, '"');
    for (size_t i = 0, len; i < s.n; i += len) {
        len = utf8_len(p + i, s.n - i);
        if (len == 0) {
            put(out, "\\ufffd"); /* as Java shows what is no UTF-8 */
            len = 1;
        } else if (p[i] == '"' || p[i] == '\\') {
            wr_u8(out, '\\');
            wr_u8(out, p[i]);
        } else if (p[i] == '\n') {
            put(out, "\\n");
        } else if (p[i] == '\r') {
            put(out, "\\r");
        } else if (p[i] == '\t') {
            put(out, "\\t");
        } else if (p[i] < 0x20) {
            bytes_printf(out, "\\u%04x", p[i]);
        } else {
            bytes_put(out, p + i, len);
        }
    }
    wr_u8(out, '"');
}

/* The shortest decimal that reads back as the same number. */
static void print_float(struct bytes *out, double v)
{
    char text[40];

    if (!isfinite(v)) {
        put(out, isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    put(out, text);
    if (!strpbrk(text, ".e")) put(out, ".0");
}

static void print_value(struct bytes *out, int code, const struct wire_shape *sub, const void *v, bool all)
{
    char id[UUID_TEXT];

    switch (code) {
    case W_BOOL: put(out, *(const bool *)v ? "true" : "false"); break;
    case W_INT8: bytes_printf(out, "%d", *(const int8_t *)v); break;
    case W_INT16: bytes_printf(out, "%d", *(const int16_t *)v); break;
    case W_UINT16: bytes_printf(out, "%u", *(const uint16_t *)v); break;
    case W_INT32: bytes_printf(out, "%d", *(const int32_t *)v); break;
    case W_UINT32: bytes_printf(out, "%u", *(const uint32_t *)v); break;
    case W_INT64: bytes_printf(out, "%lld", (long long)*(const int64_t *)v); break;
    case W_FLOAT64: print_float(out, *(const double *)v); break;
    case W_UUID:
        uuid_text(*(const struct uuid *)v, id);
        bytes_printf(out, "\"%s\"", id);
        break;
    case W_STRING:
    case W_CSTRING: print_string(out, *(const struct slice *)v); break;
    case W_BYTES:
    case W_CBYTES: print_base64(out, *(const struct slice *)v); break;
    case W_RECORDS:
    case W_CRECORDS: {
        const struct wire_records *r = v;
        if (r->ext) bytes_printf(out, "%u", r->ext_len);
        else print_base64(out, r->bytes);
        break;
    }
    default: wire_print_shape(sub, v, all, out);
    }
}

static size_t elem_size(const struct wire_op *op, const struct wire_shape *sub)
{
    return op->elem == W_STRUCT ? sub->size : wire_elem_size[op->elem];
}

static void print_field(struct bytes *out, const struct wire_op *op, const void *in, bool all)
{
    const struct wire_shape *sub = &wire_shapes[op->sub];
    const void *v = at_const(in, op->off);

    switch (op->code) {
    case W_STRING:
    case W_CSTRING:
    case W_BYTES:
    case W_CBYTES:
        if (op->nullable && !((const struct slice *)v)->p) put(out, "null");
        else print_value(out, op->code, sub, v, all);
        break;
    case W_RECORDS:
    case W_CRECORDS: {
        const struct wire_records *r = v;
        if (op->nullable && !r->ext && !r->bytes.p) put(out, "null");
        else print_value(out, op->code, sub, v, all);
        break;
    }
    case W_STRUCT_OR_NULL:
    case W_TAGGED_STRUCT_OR_NULL: {
        const void *p = *(void *const *)v;
        if (p) wire_print_shape(sub, p, all, out);
        else put(out, "null");
        break;
    }
    case W_ARRAY:
    case W_CARRAY: {
        const void *p = *(void *const *)v;
        int32_t n = count_at(in, op->off);
        if (n < 0 && op->nullable) {
            put(out, "null");
            break;
        }
        wr_u8(out, '[');
        for (int32_t i = 0; i < n; i++) {
            if (i) wr_u8(out, ',');
            print_value(out, op->elem, sub, at_const(p, elem_size(op, sub) * (size_t)i), all);
        }
        wr_u8(out, ']');
        break;
    }
    default: print_value(out, op->code, sub, v, all);
    }
}

void wire_print_shape(const struct wire_shape *sh, const void *in, bool all, struct bytes *out)
{
    const struct wire_op *ops = &wire_ops[sh->first];
    bool first = true;

    wr_u8(out, '{');
    for (int i = 0; i < sh->body + sh->tagged; i++) {
        if (ops[i].code == W_BARRED) continue;
        if (i >= sh->body && !all && wire_is_default(&ops[i], in, sh->dflt)) continue;
        bytes_printf(out, "%s\"%s\":", first ? "" : ",", wire_names + ops[i].name);
        print_field(out, &ops[i], in, all);
        first = false;
    }
    wr_u8(out, '}');
}

void wire_print(const struct wire_msg *m, int16_t version, const void *in, struct bytes *out)
{
    const struct wire_shape *sh = wire_shape_of(m, version);

    if (sh) wire_print_shape(sh, in, false, out);
    else put(out, "null");
}
