#include <odradek/batch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Text-like, repetitive and incompressible bytes in turn. */
static uint8_t *sample(size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    uint32_t x = 12345;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = i / 10000 % 3 == 0 ? (uint8_t)("abcdefgh"[x >> 29]) : i / 10000 % 3 == 1 ? (uint8_t)(i / 500) : (uint8_t)(x >> 24);
    }
    return p;
}

static void every_codec_gives_back_what_it_was_given_at_every_level(void **state)
{
    static const size_t sizes[] = { 0, 1, 100, 32767, 32768, 32769, 65536, 65537, 200000, 3000000 };
    static const int levels[] = { CODEC_LEVEL_DEFAULT, INT32_MIN + 1, -7, -1, 0, 1, 2, 6, 9, 12, 17, 22, INT32_MAX };
    struct bytes z = { NULL }, back = { NULL };
    for (int c = 0; c < CODEC_COUNT; c++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            uint8_t *p = sample(sizes[i]);
            bool all = sizes[i] == 100 || sizes[i] == 65537; /* high levels take long to set up */
            for (size_t l = 0; l < (all ? ARRAY_LEN(levels) : 1); l++) {
                z.n = back.n = 0;
                bytes_put(&back, "x", 1);
                assert_int_equal(codec_compress((enum codec)c, levels[l], p, sizes[i], &z), 0);
                assert_int_equal(codec_decompress((enum codec)c, z.p, z.n, sizes[i], &back), 0);
                assert_int_equal(back.n, 1 + sizes[i]);
                assert_memory_equal(back.p + 1, p, sizes[i]);
                if (c != CODEC_NONE && sizes[i] == 200000 && l == 0) assert_true(z.n < sizes[i]);
                if (sizes[i] == 0) continue;
                assert_int_equal(codec_decompress((enum codec)c, z.p, z.n, sizes[i] - 1, &back), E_MESSAGE_TOO_LARGE);
                assert_int_equal(back.n, 1 + sizes[i]); /* as before */
            }
            free(p);
        }
    bytes_free(&z);
    bytes_free(&back);
}

static void levels_matter_where_the_codec_has_them(void **state)
{
    size_t n = 200000;
    uint8_t *p = sample(n);
    struct bytes fast = { NULL }, slow = { NULL };
    static const struct {
        enum codec c;
        int fast, slow;
    } pair[] = { { CODEC_GZIP, 1, 9 },
                 { CODEC_LZ4, 9, 12 },
                 { CODEC_ZSTD, -50, 19 } }; /* lz4's 9 is its fast mode, as in Kafka */
    for (size_t i = 0; i < ARRAY_LEN(pair); i++) {
        fast.n = slow.n = 0;
        assert_int_equal(codec_compress(pair[i].c, pair[i].fast, p, n, &fast), 0);
        assert_int_equal(codec_compress(pair[i].c, pair[i].slow, p, n, &slow), 0);
        assert_true(slow.n < fast.n);
    }
    free(p);
    bytes_free(&fast);
    bytes_free(&slow);
}

static void names_are_kafkas(void **state)
{
    assert_int_equal(codec_of_name(S("none")), CODEC_NONE);
    assert_int_equal(codec_of_name(S("uncompressed")), CODEC_NONE);
    assert_int_equal(codec_of_name(S("gzip")), CODEC_GZIP);
    assert_int_equal(codec_of_name(S("snappy")), CODEC_SNAPPY);
    assert_int_equal(codec_of_name(S("lz4")), CODEC_LZ4);
    assert_int_equal(codec_of_name(S("zstd")), CODEC_ZSTD);
    assert_int_equal(codec_of_name(S("producer")), E_INVALID);
    assert_int_equal(codec_of_name(S("GZIP")), E_INVALID);
    assert_string_equal(codec_name(CODEC_ZSTD), "zstd");
    assert_string_equal(codec_name((enum codec)6), "unknown");
}

static void framing_is_what_java_clients_expect(void **state)
{
    size_t n = 100000;
    uint8_t *p = sample(n);
    struct bytes z = { NULL };
    assert_int_equal(codec_compress(CODEC_SNAPPY, 0, p, n, &z), 0); /* xerial: header, then blocks of 32 KiB with their size */
    assert_memory_equal(z.p, "\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16);
    int blocks = 0;
    for (size_t at = 16; at < z.n; at += 4 + be32(z.p + at)) blocks++;
    assert_int_equal(blocks, 4);
    z.n = 0;
    assert_int_equal(codec_compress(CODEC_LZ4, CODEC_LEVEL_DEFAULT, p, n, &z), 0);
    assert_memory_equal(z.p, "\x04\x22\x4d\x18\x60\x40\x82",
                        7); /* independent blocks, 64 KiB, no checksums; the descriptor's hash */
    z.n = 0;
    assert_int_equal(codec_compress(CODEC_GZIP, CODEC_LEVEL_DEFAULT, p, n, &z), 0);
    assert_memory_equal(z.p, "\x1f\x8b\x08\x00", 4);
    z.n = 0;
    assert_int_equal(codec_compress(CODEC_ZSTD, CODEC_LEVEL_DEFAULT, p, n, &z), 0);
    assert_memory_equal(z.p, "\x28\xb5\x2f\xfd", 4);
    free(p);
    bytes_free(&z);
}

static void inflates_to(enum codec c, const void *p, size_t n, const char *want)
{
    struct bytes out = { NULL };
    assert_int_equal(codec_decompress(c, p, n, 1000, &out), 0);
    assert_true(slice_eq((struct slice){ (char *)out.p, out.n }, slice_of(want)));
    bytes_free(&out);
}

static void streams_that_follow_one_another_are_read_as_one(void **state)
{
    struct bytes z = { NULL };
    static const enum codec many[] = { CODEC_GZIP, CODEC_SNAPPY, CODEC_ZSTD };
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        z.n = 0;
        codec_compress(many[i], CODEC_LEVEL_DEFAULT, "one ", 4, &z);
        codec_compress(many[i], CODEC_LEVEL_DEFAULT, "two", 3, &z);
        inflates_to(many[i], z.p, z.n, "one two");
    }
    z.n = 0; /* behind a gzip member or an lz4 frame anything may stand, as for Java */
    codec_compress(CODEC_GZIP, CODEC_LEVEL_DEFAULT, "one", 3, &z);
    bytes_put(&z, "garbage", 7);
    inflates_to(CODEC_GZIP, z.p, z.n, "one");
    z.n = 0;
    codec_compress(CODEC_LZ4, CODEC_LEVEL_DEFAULT, "one", 3, &z);
    bytes_put(&z, "garbage", 7);
    inflates_to(CODEC_LZ4, z.p, z.n, "one");
    bytes_free(&z);
}

static void raw_snappy_is_read_too(void **state)
{
    inflates_to(CODEC_SNAPPY, "\x0a\x04\x61\x62\x11\x02", 6, "ababababab"); /* a literal of two, a copy of eight from two back */
}

static void a_stream_cut_anywhere_is_malformed_and_never_read_past(void **state)
{
    size_t n = 70000;
    uint8_t *p = sample(n);
    struct bytes z = { NULL }, out = { NULL };
    for (int c = 1; c < CODEC_COUNT; c++) {
        z.n = 0;
        assert_int_equal(codec_compress((enum codec)c, CODEC_LEVEL_DEFAULT, p, n, &z), 0);
        for (size_t cut = 1; cut < z.n; cut += cut < 100 || z.n - cut < 100 ? 1 : 997) {
            uint8_t *exact = malloc(cut);
            memcpy(exact, z.p, cut);
            out.n = 0;
            int rc = codec_decompress((enum codec)c, exact, cut, n, &out);
            if (c == CODEC_SNAPPY && rc == 0) /* blocks end where they end: what is there must be a true beginning */
                assert_true(out.n < n && memcmp(out.p, p, out.n) == 0);
            else assert_int_equal(rc, E_MALFORMED);
            free(exact);
        }
    }
    free(p);
    bytes_free(&z);
    bytes_free(&out);
}

static void random_damage_is_survived_and_contexts_stay_good(void **state)
{
    size_t n = 5000;
    uint8_t *p = sample(n);
    struct bytes z = { NULL }, out = { NULL };
    uint64_t x = 88172645463325252u;
    int broken = 0;
    for (int c = 1; c < CODEC_COUNT; c++)
        for (int round = 0; round < 3000; round++) {
            z.n = 0;
            assert_int_equal(codec_compress((enum codec)c, CODEC_LEVEL_DEFAULT, p, n, &z), 0);
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            z.p[x % z.n] ^= (uint8_t)(1 + (x >> 40) % 255);
            out.n = 0;
            int rc = codec_decompress((enum codec)c, z.p, z.n, 1 << 20, &out);
            assert_true(rc == 0 || rc == E_MALFORMED || rc == E_MESSAGE_TOO_LARGE);
            broken += rc != 0;
            z.p[x % z.n] ^= (uint8_t)(1 + (x >> 40) % 255);
            out.n = 0;
            assert_int_equal(codec_decompress((enum codec)c, z.p, z.n, n, &out), 0);
            assert_int_equal(out.n, n);
            assert_memory_equal(out.p, p, n);
        }
    assert_true(broken > 1000);
    free(p);
    bytes_free(&z);
    bytes_free(&out);
}

/* A frame that says how long its content is, cut short, must leave nothing behind for the next. */
static void an_lz4_frame_cut_short_does_not_spoil_the_next(void **state)
{
    static const char sized[] = "\x04\x22\x4d\x18\x68\x40\xa3\x00\x00\x00\x00\x00\x00\x00\x72\x12\x00\x00\x00\x8f\x61\x62\x63\x64"
                                "\x65\x66\x67\x68\x08\x00\x83\x50\x67\x68\x78\x79\x7a\x00\x00\x00\x00";
    struct bytes z = { NULL }, out = { NULL };
    assert_int_equal(codec_compress(CODEC_LZ4, CODEC_LEVEL_DEFAULT, "one", 3, &z), 0);
    for (size_t cut = 1; cut < sizeof sized - 1; cut++) {
        out.n = 0;
        assert_int_equal(codec_decompress(CODEC_LZ4, sized, cut, 1000, &out), E_MALFORMED);
        inflates_to(CODEC_LZ4, z.p, z.n, "one");
    }
    assert_int_equal(codec_decompress(CODEC_LZ4, sized, sizeof sized - 1, 1000, &out), 0);
    assert_int_equal(out.n, 163);
    bytes_free(&z);
    bytes_free(&out);
}

static void a_snappy_block_cannot_claim_more_than_it_can_hold(void **state)
{
    struct bytes out = { NULL };
    static const char claim[] = "\xff\xff\xff\xff\x0f\x00"; /* 4 GiB from a byte */
    assert_int_equal(codec_decompress(CODEC_SNAPPY, claim, 6, SIZE_MAX, &out), E_MALFORMED);
    static const char framed[] = "\x82SNAPPY\0\0\0\0\1\0\0\0\1\x7f\xff\xff\xff\xff\xff";
    assert_int_equal(codec_decompress(CODEC_SNAPPY, framed, sizeof framed - 1, SIZE_MAX, &out), E_MALFORMED);
    assert_true(out.cap < MiB);
    bytes_free(&out);
}

static void a_zstd_window_beyond_128_mib_is_refused(void **state)
{
    struct bytes out = { NULL };
    static const char frame[] = "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00"; /* window descriptor: 2^31; one empty last block */
    assert_int_equal(codec_decompress(CODEC_ZSTD, frame, sizeof frame - 1, 100, &out), E_MALFORMED);
    bytes_free(&out);
}

/* Several streams of one codec may be open on a thread at a time; then all go back or away. */
static void streams_may_be_open_side_by_side(void **state)
{
    for (int c = 0; c < CODEC_COUNT; c++) {
        struct deflater d[4] = { { NULL } };
        struct inflater f[4] = { { NULL } };
        struct bytes z[4] = { { NULL } };
        char got[64];
        for (int i = 0; i < 4; i++) deflater_open(&d[i], (enum codec)c, CODEC_LEVEL_DEFAULT, &z[i]);
        for (int i = 0; i < 4; i++)
            assert_int_equal(deflater_write(&d[i], i == 0 ? "aaaa" : i == 1 ? "bbbb" : i == 2 ? "cccc" : "dddd", 4), 0);
        deflater_close(&d[3]); /* not finished */
        for (int i = 0; i < 3; i++) assert_int_equal(deflater_write(&d[i], " and more", 9), 0);
        for (int i = 0; i < 3; i++) assert_int_equal(deflater_finish(&d[i]), 0);
        for (int i = 0; i < 3; i++) assert_int_equal(inflater_open(&f[i], (enum codec)c, z[i].p, z[i].n, false), 0);
        for (int i = 0; i < 3; i++) assert_int_equal(inflater_read(&f[i], got, 2), 2);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(inflater_read(&f[i], got, sizeof got), 11);
            assert_memory_equal(got + 2, " and more", 9);
            assert_int_equal(got[0], 'a' + i);
            assert_int_equal(inflater_read(&f[i], got, sizeof got), 0);
        }
        for (int i = 0; i < 4; i++) {
            inflater_close(&f[i]);
            inflater_close(&f[i]);
            deflater_close(&d[i]);
            bytes_free(&z[i]);
        }
    }
    batch_trim();
    batch_trim();
}

static void *on_a_thread(void *arg)
{
    struct bytes z = { NULL }, out = { NULL };
    for (int c = 0; c < CODEC_COUNT; c++) {
        z.n = 0;
        if (codec_compress((enum codec)c, CODEC_LEVEL_DEFAULT, "hello", 5, &z) != 0) return NULL;
        if (codec_decompress((enum codec)c, z.p, z.n, 5, &out) != 0) return NULL;
    }
    size_t n = out.n;
    bytes_free(&z);
    bytes_free(&out);
    return n == 25 ? arg : NULL;
}
static void contexts_go_with_their_thread(void **state) /* the leak checker sees it if not */
{
    pthread_t t[3];
    void *ret;
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&t[i], NULL, on_a_thread, t), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(t[i], &ret), 0);
        assert_ptr_equal(ret, t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_gives_back_what_it_was_given_at_every_level),
        cmocka_unit_test(levels_matter_where_the_codec_has_them),
        cmocka_unit_test(names_are_kafkas),
        cmocka_unit_test(framing_is_what_java_clients_expect),
        cmocka_unit_test(streams_that_follow_one_another_are_read_as_one),
        cmocka_unit_test(raw_snappy_is_read_too),
        cmocka_unit_test(a_stream_cut_anywhere_is_malformed_and_never_read_past),
        cmocka_unit_test(random_damage_is_survived_and_contexts_stay_good),
        cmocka_unit_test(an_lz4_frame_cut_short_does_not_spoil_the_next),
        cmocka_unit_test(a_snappy_block_cannot_claim_more_than_it_can_hold),
        cmocka_unit_test(a_zstd_window_beyond_128_mib_is_refused),
        cmocka_unit_test(streams_may_be_open_side_by_side),
        cmocka_unit_test(contexts_go_with_their_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
