#include "vectors.h"
#include <jansson.h>
#include <zlib.h>

static bool read_all(const char *path, struct bytes *out)
{
    gzFile f = gzopen(path, "rb");
    int n = -1;

    if (f) {
        while ((n = gzread(f, bytes_room(out, 1 << 16), 1 << 16)) > 0) out->n += (size_t)n;
        gzclose(f);
    }
    if (n < 0) fprintf(stderr, "%s: cannot be read\n", path);
    return n == 0;
}

static struct vector *vectors_add(struct vectors *vs, const char *name, int16_t version)
{
    if ((vs->n & (vs->n - 1)) == 0) { /* full at powers of two */
        struct vector *v = arena_array(&vs->a, struct vector, vs->n ? 2 * vs->n : 1);
        if (vs->n) memcpy(v, vs->v, (size_t)vs->n * sizeof(*v));
        vs->v = v;
    }
    struct vector *v = &vs->v[vs->n++];
    v->name = arena_copy(&vs->a, (struct slice){ name, strlen(name) + 1 }).p;
    v->msg = wire_msg_by_name(name);
    v->version = version;
    return v;
}

static int hex_digit(char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; }

static struct slice unhex(struct arena *a, const char *hex)
{
    size_t n = strlen(hex) / 2;
    char *p = arena_alloc(a, n + 1);

    for (size_t i = 0; i < n; i++) p[i] = (char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    return (struct slice){ p, n };
}

static bool load_lines(struct vectors *vs, struct slice in)
{
    for (const char *line = in.p, *end; line < in.p + in.n; line = end + 1) {
        end = memchr(line, '\n', (size_t)(in.p + in.n - line));
        if (!end) end = in.p + in.n;
        if (end == line) continue;
        json_t *value, *j = json_loadb(line, (size_t)(end - line), JSON_ALLOW_NUL, NULL);
        const char *name, *hex;
        int version;
        if (json_unpack(j, "{s:s, s:i, s:o, s:s}", "name", &name, "version", &version, "json", &value, "hex", &hex)) {
            json_decref(j);
            return false;
        }
        struct vector *v = vectors_add(vs, name, (int16_t)version);
        char *text = json_dumps(value, JSON_COMPACT);
        v->bytes = unhex(&vs->a, hex);
        v->json = arena_copy(&vs->a, slice_of(text));
        free(text);
        json_decref(j);
    }
    return true;
}

static bool load_packed(struct vectors *vs, struct slice in)
{
    struct rd r = rd_of(in);

    while (rd_left(&r) && !r.err) {
        const char *name = (const char *)r.p;
        rd_take(&r, strnlen(name, rd_left(&r)) + 1);
        if (r.err) break;
        struct vector *v = vectors_add(vs, name, rd_i16(&r));
        v->bytes = arena_copy(&vs->a, rd_slice(&r, rd_u32(&r)));
        v->json = arena_copy(&vs->a, rd_slice(&r, rd_u32(&r)));
    }
    return r.err == 0;
}

bool vectors_load(struct vectors *vs, const char *path)
{
    static const char magic[] = "wire vectors 1\n";
    struct bytes all = { 0 };
    bool ok;

    *vs = (struct vectors){ 0 };
    arena_init(&vs->a);
    if (!read_all(path, &all)) return false;
    struct slice in = { (const char *)all.p, all.n };
    if (in.n >= sizeof(magic) - 1 && memcmp(in.p, magic, sizeof(magic) - 1) == 0)
        ok = load_packed(vs, (struct slice){ in.p + sizeof(magic) - 1, in.n - (sizeof(magic) - 1) });
    else ok = load_lines(vs, in);
    bytes_free(&all);
    if (ok && vs->n) return true;
    fprintf(stderr, "%s: holds no vectors, or a broken one after %d\n", path, vs->n);
    vectors_free(vs);
    return false;
}

void vectors_free(struct vectors *vs) { arena_free(&vs->a); }
