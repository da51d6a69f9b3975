/* Our codec against encodings made by Apache Kafka's.
 *
 *     wire_vectors [FILE]      FILE: packed by pack_vectors.py, or JSON lines */
#include "codec.h"
#include "vectors.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static struct vectors vs;

static void describe(const struct vector *v, const char *what)
{
    print_error("%s v%d: %s\n  value %.*s\n  bytes ", v->name, v->version, what, (int)v->json.n, v->json.p);
    for (size_t i = 0; i < v->bytes.n; i++) print_error("%02x", (unsigned char)v->bytes.p[i]);
    print_error("\n");
}

/* A copy of exactly its size, so that the sanitizer sees a read past the end. */
static struct slice exact(struct slice s)
{
    char *p = malloc(s.n ? s.n : 1);
    if (s.n) memcpy(p, s.p, s.n);
    return (struct slice){ p, s.n };
}

static void *alloc_struct(const struct wire_msg *m)
{
    void *p = malloc(m->size);
    memset(p, 0xa5, m->size); /* decoding initialises all of it */
    return p;
}

/* Everything in `a` is in `b`, too; lists have the same length. */
static bool json_within(json_t *a, json_t *b)
{
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_object(a) && json_is_object(b)) {
        json_object_foreach(a, key, value) if (!json_within(value, json_object_get(b, key))) return false;
        return true;
    }
    if (json_is_array(a) && json_is_array(b)) {
        if (json_array_size(a) != json_array_size(b)) return false;
        json_array_foreach(a, i, value) if (!json_within(value, json_array_get(b, i))) return false;
        return true;
    }
    return b && json_equal(a, b);
}

static json_t *printed(const struct vector *v, const void *msg, bool all)
{
    struct bytes text = { 0 };
    wire_print_shape(wire_shape_of(v->msg, v->version), msg, all, &text);
    json_t *j = json_loadb((const char *)text.p, text.n, JSON_ALLOW_NUL, NULL);
    bytes_free(&text);
    return j;
}

/* A vector's value may hold tagged fields that are default, or not. */
static bool has_value(const struct vector *v, const void *msg)
{
    json_t *want = json_loadb(v->json.p, v->json.n, JSON_ALLOW_NUL, NULL);
    json_t *least = printed(v, msg, false), *most = printed(v, msg, true);
    bool same = want && least && most && json_within(least, want) && json_within(want, most);

    json_decref(want);
    json_decref(least);
    json_decref(most);
    return same;
}

static const char *check_vector(const struct vector *v)
{
    struct slice in;
    struct arena a;
    struct wire_out out = { 0 };
    const char *wrong = NULL;
    void *msg;

    if (!v->msg) return "no such message";
    in = exact(v->bytes);
    msg = alloc_struct(v->msg);
    arena_init(&a);
    int rc = wire_decode(v->msg, v->version, in, &a, msg, NULL);
    if (rc) {
        wrong = err_text(rc);
    } else if (!has_value(v, msg)) {
        wrong = "decoded to another value";
    } else if ((rc = wire_encode(v->msg, v->version, msg, &out))) {
        wrong = err_text(rc);
    } else if (out.b.n != v->bytes.n || (out.b.n && memcmp(out.b.p, v->bytes.p, out.b.n) != 0)) {
        wrong = "encoded to other bytes";
    } else if (wire_size(v->msg, v->version, msg) != v->bytes.n) {
        wrong = "wire_size is wrong";
    }
    wire_out_free(&out);
    arena_free(&a);
    free(msg);
    free((char *)in.p);
    return wrong;
}

static void each_vector_decodes_to_its_value_and_encodes_to_its_bytes(void **state)
{
    int failed = 0;

    for (int i = 0; i < vs.n; i++) {
        const char *wrong = check_vector(&vs.v[i]);
        if (!wrong) continue;
        if (failed++ < 10) describe(&vs.v[i], wrong);
    }
    print_message("%d vectors\n", vs.n);
    assert_int_equal(failed, 0);
}

static void each_vector_is_refused_when_cut_at_any_byte(void **state)
{
    for (int i = 0; i < vs.n; i++) {
        const struct vector *v = &vs.v[i];
        void *msg = alloc_struct(v->msg);
        struct arena a;
        arena_init(&a);
        for (size_t n = 0; n < v->bytes.n; n++) {
            struct slice in = exact((struct slice){ v->bytes.p, n });
            int rc = wire_decode(v->msg, v->version, in, &a, msg, NULL);
            if (rc != E_TRUNCATED && rc != E_MALFORMED) describe(v, "accepted when cut");
            assert_true(rc == E_TRUNCATED || rc == E_MALFORMED);
            arena_free(&a);
            free((char *)in.p);
        }
        free(msg);
    }
}

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    return *s ^= *s << 17;
}

/* Something near the vector: bytes changed, cut out, or doubled. */
static struct slice mutate(struct slice s, uint64_t *seed)
{
    static const unsigned char nasty[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
    size_t n = s.n + 8, len = s.n;
    char *p = malloc(n);

    memcpy(p, s.p, s.n);
    for (uint64_t i = 1 + next(seed) % 4; i && len; i--) {
        size_t at = next(seed) % len;
        switch (next(seed) % 4) {
        case 0: p[at] = (char)next(seed); break;
        case 1: p[at] = (char)nasty[next(seed) % sizeof(nasty)]; break;
        case 2:
            memmove(p + at, p + at + 1, len - at - 1);
            len--;
            break;
        default:
            if (len == n) break;
            memmove(p + at + 1, p + at, len - at);
            len++;
        }
    }
    struct slice out = exact((struct slice){ p, len });
    free(p);
    return out;
}

/* Most fail; what decodes takes no more memory than promised, can be printed, and comes back the same from its own encoding. */
static void a_damaged_message_fails_or_makes_sense(void **state)
{
    uint64_t seed = 0x9e3779b97f4a7c15;
    int survivors = 0;

    for (int i = 0; i < 40 * vs.n; i++) {
        const struct vector *v = &vs.v[i % vs.n];
        struct slice in = mutate(v->bytes, &seed);
        void *msg = alloc_struct(v->msg), *again = alloc_struct(v->msg);
        struct wire_out one = { 0 }, two = { 0 };
        struct bytes text = { 0 };
        struct arena a;
        arena_init(&a);
        int rc = wire_decode(v->msg, v->version, in, &a, msg, NULL);
        assert_true(a.used <= WIRE_GROWTH * in.n + 16 * in.n);
        if (rc == 0) {
            survivors++;
            wire_print(v->msg, v->version, msg, &text);
            json_t *j = json_loadb((char *)text.p, text.n, JSON_ALLOW_NUL, NULL);
            assert_non_null(j);
            json_decref(j);
            if (wire_encode(v->msg, v->version, msg, &one) == 0) { /* E_INVALID: unknown tags out of order */
                assert_int_equal(one.b.n, wire_size(v->msg, v->version, msg));
                struct slice bytes = { (char *)one.b.p, one.b.n };
                assert_int_equal(wire_decode(v->msg, v->version, bytes, &a, again, NULL), 0);
                assert_int_equal(wire_encode(v->msg, v->version, again, &two), 0);
                assert_int_equal(one.b.n, two.b.n);
                assert_memory_equal(one.b.p, two.b.p, one.b.n);
            }
        }
        wire_out_free(&one);
        wire_out_free(&two);
        bytes_free(&text);
        arena_free(&a);
        free(msg);
        free(again);
        free((char *)in.p);
    }
    assert_true(survivors > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_vector_decodes_to_its_value_and_encodes_to_its_bytes),
        cmocka_unit_test(each_vector_is_refused_when_cut_at_any_byte),
        cmocka_unit_test(a_damaged_message_fails_or_makes_sense),
    };

    if (!vectors_load(&vs, argc > 1 ? argv[1] : VECTORS)) return 2;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vectors_free(&vs);
    for (int i = 0; i < 2; i++) mem_pool_trim(); /* the second one gives all back */
    return failed;
}
