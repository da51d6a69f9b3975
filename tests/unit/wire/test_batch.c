#include "batch_golden.h"
#include <stdlib.h>

static const int64_t T = 1700000000000;
static char zeros[200];

static bool text_is(struct slice s, const char *z) { return slice_eq(s, slice_of(z)); }
static void assert_bytes(const struct bytes *got, struct bytes want)
{
    assert_int_equal(got->n, want.n);
    assert_memory_equal(got->p, want.p, want.n);
    bytes_free(&want);
}

static void end_whole(struct batch_builder *b, const struct bytes *out) /* out held nothing before */
{
    int size = batch_end(b);
    assert_int_equal(size, out->n);
}

/* The four records of the java_* goldens. */
static void add_four(struct batch_builder *b)
{
    const struct record_header h[] = { { S("h1"), S("v1") }, { S("empty"), S("") }, { S("null"), { NULL, 0 } } };
    batch_append(b, T, S("key-one"), S("value-one"), NULL, 0);
    batch_append(b, T + 5, (struct slice){ NULL, 0 }, S("no key"), h, 3);
    batch_append(b, T - 1000, S(""), (struct slice){ NULL, 0 }, NULL, 0);
    batch_append(b, T + 70000, S("k3"), (struct slice){ zeros, sizeof zeros }, NULL, 0);
}
static void assert_four(const struct bytes *b, int64_t base, int64_t fixed)
{
    struct bytes scratch = { NULL };
    struct record_iter it;
    struct record r;
    struct record_header h;
    const int64_t time[] = { T, T + 5, T - 1000, T + 70000 };
    assert_int_equal(record_iter_init(&it, b->p, b->n, &scratch, 0), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(record_next(&it, &r), 1);
        assert_int_equal(r.offset, base + i);
        assert_int_equal(r.timestamp, fixed >= 0 ? fixed : time[i]);
        switch (i) {
        case 0:
            assert_true(text_is(r.key, "key-one") && text_is(r.value, "value-one"));
            assert_int_equal(record_header_next(&r, &h), 0);
            break;
        case 1:
            assert_true(r.key.p == NULL && text_is(r.value, "no key"));
            assert_int_equal(r.header_count, 3);
            assert_int_equal(record_header_next(&r, &h), 1);
            assert_true(text_is(h.key, "h1") && text_is(h.value, "v1"));
            assert_int_equal(record_header_next(&r, &h), 1);
            assert_true(text_is(h.key, "empty") && text_is(h.value, ""));
            assert_int_equal(record_header_next(&r, &h), 1);
            assert_true(text_is(h.key, "null") && h.value.p == NULL);
            assert_int_equal(record_header_next(&r, &h), 0);
            break;
        case 2: assert_true(text_is(r.key, "") && r.value.p == NULL); break;
        case 3: assert_true(text_is(r.key, "k3") && r.value.n == 200 && memcmp(r.value.p, zeros, 200) == 0); break;
        }
    }
    assert_int_equal(record_next(&it, &r), 0);
    assert_int_equal(record_next(&it, &r), 0);
    record_iter_end(&it);
    bytes_free(&scratch);
}

static void the_builder_writes_what_kafkas_writer_writes(void **state)
{
    struct bytes out = { NULL };
    struct batch_builder b;
    struct batch_opts o = BATCH_OPTS;
    batch_begin(&b, &o, &out);
    add_four(&b);
    end_whole(&b, &out);
    assert_bytes(&out, golden("java_none"));

    out.n = 0;
    o = (struct batch_opts)BATCH_OPTS;
    o.base_offset = 1234567890123;
    o.leader_epoch = 42;
    o.log_append_ms = 1700000099999;
    o.producer_id = 4711;
    o.producer_epoch = 3;
    o.base_sequence = INT32_MAX - 1;
    o.transactional = true;
    batch_begin(&b, &o, &out);
    add_four(&b);
    end_whole(&b, &out);
    assert_bytes(&out, golden("java_full"));

    out.n = 0;
    o = (struct batch_opts)BATCH_OPTS;
    o.base_offset = 100;
    o.leader_epoch = 7;
    o.delete_horizon_ms = 1800000000000;
    o.last_offset_delta = 9;
    batch_begin(&b, &o, &out);
    batch_add(&b, &(struct record){ .offset = 103, .timestamp = T, .key = S("k") });
    batch_add(&b, &(struct record){ .offset = 107, .timestamp = T + 9, .key = S("k2"), .value = S("v") });
    end_whole(&b, &out);
    assert_bytes(&out, golden("java_horizon"));

    out.n = 0;
    o = (struct batch_opts)BATCH_OPTS;
    o.base_offset = 1000;
    o.leader_epoch = 8;
    o.producer_id = 4711;
    o.producer_epoch = 3;
    o.base_sequence = 17;
    o.transactional = true;
    o.last_offset_delta = 4;
    o.empty_max_timestamp = T;
    o.codec = CODEC_ZSTD; /* no stream in an empty batch */
    batch_begin(&b, &o, &out);
    assert_int_equal(batch_end(&b), BATCH_HEADER);
    assert_bytes(&out, golden("empty"));
    bytes_free(&out);
}

static void transaction_markers_are_kafkas(void **state)
{
    struct bytes out = { NULL };
    assert_int_equal(batch_put_marker(&out, 55, T, 6, 4711, 3, true, 9), 78);
    assert_bytes(&out, golden("marker_commit"));
    out.n = 0;
    assert_int_equal(batch_put_marker(&out, 56, T + 1, 6, 4711, 4, false, 10), 78);
    assert_bytes(&out, golden("marker_abort"));

    struct record_iter it;
    struct record r;
    int32_t epoch = 0;
    assert_int_equal(record_iter_init(&it, out.p, out.n, NULL, 0), 0);
    assert_true(batch_is_control(&it.head) && batch_is_transactional(&it.head));
    assert_int_equal(record_next(&it, &r), 1);
    assert_int_equal(control_type_of(&r), CONTROL_ABORT);
    assert_int_equal(control_coordinator_epoch(&r, &epoch), 0);
    assert_int_equal(epoch, 10);
    r.key.n = r.value.n = 3;
    assert_int_equal(control_type_of(&r), E_MALFORMED);
    assert_int_equal(control_coordinator_epoch(&r, &epoch), E_MALFORMED);
    record_iter_end(&it);
    bytes_free(&out);
}

static void batches_of_javas_codecs_are_read(void **state)
{
    const char *const name[] = { "java_none", "java_gzip", "java_snappy", "java_lz4", "java_zstd" };
    for (int i = 0; i < CODEC_COUNT; i++) {
        struct bytes b = golden(name[i]);
        struct batch_head h;
        assert_int_equal(batch_verify(b.p, b.n), 0);
        assert_int_equal(batch_parse_head(b.p, BATCH_HEADER, &h), 0);
        assert_int_equal(h.codec, i);
        assert_four(&b, 0, NO_TIMESTAMP);
        bytes_free(&b);
    }
}

static void batches_of_other_clients_are_read(void **state)
{
    struct bytes scratch = { NULL };
    for (size_t i = 0; i < ARRAY_LEN(goldens); i++) {
        bool kp = strncmp(goldens[i].name, "kp_", 3) == 0;
        if (!kp && strncmp(goldens[i].name, "rdk_", 4) != 0) continue;
        struct bytes b = golden(goldens[i].name);
        struct record_iter it;
        struct record r;
        assert_int_equal(batch_verify(b.p, b.n), 0);
        assert_int_equal(record_iter_init(&it, b.p, b.n, &scratch, 0), 0);
        assert_string_equal(codec_name(it.head.codec), strchr(goldens[i].name, '_') + 1);
        for (int k = 0; k < 3; k++) {
            char key[16], value[64] = "value value value value value ";
            snprintf(key, sizeof key, "key%d", kp ? k : k + 1);
            if (!kp) snprintf(value, sizeof value, "some value that repeats repeats repeats %d", k + 1);
            assert_int_equal(record_next(&it, &r), 1);
            assert_true(text_is(r.key, key) && text_is(r.value, value));
            assert_int_equal(r.header_count, kp ? 2 : 1);
        }
        assert_int_equal(record_next(&it, &r), 0);
        record_iter_end(&it);
        bytes_free(&b);
    }
    bytes_free(&scratch);
}

static void header_fields_are_read_and_patched_in_place(void **state)
{
    struct bytes b = golden("java_full");
    struct batch_head h;
    assert_int_equal(batch_parse_head(b.p, b.n, &h), 0);
    assert_int_equal(h.base_offset, 1234567890123);
    assert_int_equal(h.size, b.n);
    assert_int_equal(h.leader_epoch, 42);
    assert_int_equal(h.magic, 2);
    assert_int_equal(h.attributes, BATCH_LOG_APPEND_TIME | BATCH_TRANSACTIONAL);
    assert_int_equal(h.codec, CODEC_NONE);
    assert_int_equal(h.last_offset_delta, 3);
    assert_int_equal(batch_last_offset(&h), 1234567890126);
    assert_int_equal(h.base_timestamp, T);
    assert_int_equal(h.max_timestamp, 1700000099999);
    assert_int_equal(h.producer_id, 4711);
    assert_int_equal(h.producer_epoch, 3);
    assert_int_equal(h.base_sequence, INT32_MAX - 1);
    assert_int_equal(batch_last_sequence(&h), 1); /* wraps */
    assert_int_equal(sequence_add(0, -1), INT32_MAX);
    assert_int_equal(h.count, 4);
    assert_four(&b, 1234567890123, 1700000099999);
    bytes_free(&b);

    b = golden("java_none"); /* stamped as a broker with LogAppendTime does */
    assert_true(batch_set_max_timestamp(b.p, true, 1700000123456));
    assert_false(batch_set_max_timestamp(b.p, true, 1700000123456));
    batch_set_base_offset(b.p, 100);
    batch_set_leader_epoch(b.p, 5);
    assert_int_equal(batch_base_offset(b.p), 100);
    assert_int_equal(batch_leader_epoch(b.p), 5);
    assert_int_equal(batch_verify(b.p, b.n), 0);
    struct bytes want = golden("java_stamped");
    assert_bytes(&b, want);
    assert_four(&b, 100, 1700000123456);
    bytes_free(&b);
}

static void a_header_cut_short_or_impossible_is_told_apart(void **state)
{
    const char *const name[] = { "java_none", "v1_none", "v0_none" };
    const size_t enough[] = { 61, 26, 18 };
    for (int i = 0; i < 3; i++) {
        struct bytes b = golden(name[i]);
        struct batch_head h;
        for (size_t n = 0; n <= enough[i]; n++) {
            uint8_t *cut = malloc(n ? n : 1); /* exactly n, so that a read too far shows */
            memcpy(cut, b.p, n);
            assert_int_equal(batch_parse_head(cut, n, &h), n < enough[i] ? E_TRUNCATED : 0);
            assert_int_equal(batch_verify(cut, n), E_TRUNCATED);
            free(cut);
        }
        static const uint32_t bad[] = { 0, 13, 0x80000000, 0xffffffff, INT32_MAX };
        for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
            put_be32(b.p + BATCH_AT_LENGTH, bad[k]);
            assert_int_equal(batch_parse_head(b.p, b.n, &h), E_CORRUPT_MESSAGE);
        }
        put_be32(b.p + BATCH_AT_LENGTH, 100);
        b.p[BATCH_AT_MAGIC] = 3;
        assert_int_equal(batch_parse_head(b.p, b.n, &h), E_CORRUPT_MESSAGE);
        bytes_free(&b);
    }
}

static void every_flipped_bit_behind_the_epoch_breaks_the_checksum(void **state)
{
    const char *const name[] = { "java_gzip", "v1_none", "v0_snappy" };
    for (int i = 0; i < 3; i++) {
        struct bytes b = golden(name[i]);
        struct batch_head h;
        assert_int_equal(batch_parse_head(b.p, b.n, &h), 0);
        for (size_t bit = (size_t)8 * BATCH_AT_CRC; bit < 8 * (size_t)h.size; bit++) {
            b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_not_equal(batch_verify(b.p, (size_t)h.size), 0);
            b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(batch_verify(b.p, (size_t)h.size), 0);
        bytes_free(&b);
    }
}

static int64_t old_time(int magic, int64_t fixed, int64_t i) /* of the i-th record of the old goldens */
{
    if (magic == 0) return NO_TIMESTAMP;
    return fixed >= 0 ? fixed : i == 0 ? T : i == 1 ? T + 5 : T - 1000;
}

/* The three records of the v0_* and v1_* goldens, which begin at offset 500. */
static void assert_old(const char *name, int magic, int64_t fixed)
{
    struct bytes b = golden(name), scratch = { NULL };
    struct record r = { .offset = 0 };
    size_t at = 0;
    int seen = 0;
    while (at < b.n) { /* uncompressed: one entry per record; compressed: one wrapper */
        struct record_iter it;
        int rc;
        assert_int_equal(batch_verify(b.p + at, b.n - at), 0);
        assert_int_equal(record_iter_init(&it, b.p + at, b.n - at, &scratch, 0), 0);
        assert_int_equal(it.head.magic, magic);
        assert_int_equal(it.head.count, -1);
        while ((rc = record_next(&it, &r)) == 1) {
            assert_int_equal(r.offset, 500 + seen);
            assert_int_equal(r.timestamp, old_time(magic, fixed, seen));
            assert_true(seen == 0   ? text_is(r.key, "key-one") && text_is(r.value, "value-one")
                        : seen == 1 ? r.key.p == NULL && text_is(r.value, "no key")
                                    : text_is(r.key, "k2") && r.value.p == NULL);
            seen++;
        }
        assert_int_equal(rc, 0);
        at += (size_t)it.head.size;
        record_iter_end(&it);
    }
    assert_int_equal(seen, 3);

    /* and as v2 */
    struct bytes up = { NULL };
    struct record_iter it;
    int64_t next = 500;
    for (at = 0; at < b.n;) {
        int32_t size;
        assert_int_equal(batch_size(b.p + at, b.n - at, &size), 0);
        assert_true(batch_upconvert(b.p + at, b.n - at, 0, &up) > 0);
        at += (size_t)size;
    }
    for (at = 0; at < up.n; at += (size_t)it.head.size) {
        assert_int_equal(batch_verify(up.p + at, up.n - at), 0);
        assert_int_equal(record_iter_init(&it, up.p + at, up.n - at, NULL, 0), 0);
        assert_int_equal(it.head.magic, 2);
        while (record_next(&it, &r) == 1) {
            assert_int_equal(r.timestamp, old_time(magic, fixed, next - 500));
            assert_int_equal(r.offset, next++);
        }
        record_iter_end(&it);
    }
    assert_int_equal(next, 503);
    bytes_free(&up);
    bytes_free(&scratch);
    bytes_free(&b);
}

static void message_sets_of_old_brokers_are_read(void **state)
{
    assert_old("v0_none", 0, -1);
    assert_old("v0_gzip", 0, -1);
    assert_old("v0_snappy", 0, -1);
    assert_old("v0_lz4", 0, -1); /* its header checksum is wrong, as it was in those days */
    assert_old("v1_none", 1, -1);
    assert_old("v1_gzip", 1, -1);
    assert_old("v1_snappy", 1, -1);
    assert_old("v1_lz4", 1, -1);
    assert_old("v1_none_lat", 1, 1700000077777);
    assert_old("v1_gzip_lat", 1, 1700000077777);
    assert_old("v1_snappy_lat", 1, 1700000077777);
    assert_old("v1_lz4_lat", 1, 1700000077777);
}

static void a_wrapper_in_a_wrapper_or_with_a_wrong_offset_is_malformed(void **state)
{
    struct bytes b = golden("v1_gzip"), scratch = { NULL };
    struct record_iter it;
    struct record r;
    put_be64(b.p, 1); /* the wrapper's last offset lies before its inner ones */
    assert_int_equal(record_iter_init(&it, b.p, b.n, &scratch, 0), E_MALFORMED);
    record_iter_end(&it);
    put_be64(b.p, 0); /* some writers left it at 0: then the inner offsets count */
    assert_int_equal(record_iter_init(&it, b.p, b.n, &scratch, 0), 0);
    assert_int_equal(record_next(&it, &r), 1);
    assert_int_equal(r.offset, 0);
    record_iter_end(&it);

    /* the whole wrapper once more as the value of a wrapper */
    struct bytes inner = { NULL }, outer = { NULL };
    uint8_t head[34] = { 0 };
    assert_int_equal(codec_compress(CODEC_GZIP, CODEC_LEVEL_DEFAULT, b.p, b.n, &inner), 0);
    put_be32(head + BATCH_AT_LENGTH, (uint32_t)(22 + inner.n));
    head[BATCH_AT_MAGIC] = 1;
    head[BATCH_AT_MAGIC + 1] = CODEC_GZIP;
    put_be32(head + 26, UINT32_MAX);
    put_be32(head + 30, (uint32_t)inner.n);
    bytes_put(&outer, head, sizeof head);
    bytes_put(&outer, inner.p, inner.n);
    assert_int_equal(record_iter_init(&it, outer.p, outer.n, &scratch, 0), E_MALFORMED);
    record_iter_end(&it);
    bytes_free(&inner);
    bytes_free(&outer);
    bytes_free(&scratch);
    bytes_free(&b);
}

static void recompression_keeps_all_but_codec_length_and_checksum(void **state)
{
    struct bytes out = { NULL }, back = { NULL }, want = golden("java_full");
    for (int c = 0; c < CODEC_COUNT; c++) {
        out.n = back.n = 0;
        int size = batch_recompress(want.p, want.n, (enum codec)c, CODEC_LEVEL_DEFAULT, 0, &out);
        assert_int_equal(size, out.n);
        assert_int_equal(batch_verify(out.p, out.n), 0);
        struct batch_head h;
        assert_int_equal(batch_parse_head(out.p, out.n, &h), 0);
        assert_int_equal(h.codec, c);
        assert_four(&out, 1234567890123, 1700000099999);
        assert_true(batch_recompress(out.p, out.n, CODEC_NONE, CODEC_LEVEL_DEFAULT, 0, &back) > 0);
        assert_int_equal(back.n, want.n);
        assert_memory_equal(back.p, want.p, want.n); /* header and records, to the byte */
    }
    out.n = 0;
    assert_int_equal(batch_recompress(want.p, want.n - 1, CODEC_GZIP, 1, 0, &out), E_TRUNCATED);
    assert_int_equal(batch_recompress(want.p, want.n, CODEC_GZIP, 1, 100, &out), E_MESSAGE_TOO_LARGE);
    want.p[BATCH_AT_ATTRIBUTES + 1] |= 7;
    assert_int_equal(batch_recompress(want.p, want.n, CODEC_GZIP, 1, 0, &out), E_UNSUPPORTED_COMPRESSION_TYPE);
    assert_int_equal(out.n, 0);
    struct bytes bad = golden("java_zstd");
    bad.p[BATCH_HEADER] ^= 1;
    assert_int_equal(batch_recompress(bad.p, bad.n, CODEC_GZIP, 1, 0, &out), E_MALFORMED);
    assert_int_equal(out.n, 0);
    bytes_free(&bad);
    bytes_free(&out);
    bytes_free(&back);
    bytes_free(&want);
}

/* Sizes around the windows, with every codec: 2,000 small ones, and a few that no window holds. */
static void records_of_any_size_come_back(void **state)
{
    static const size_t sizes[] = { 0, 1, 63, 64, 8191, 65535, 65536, 65537, 200000, 1500000 };
    struct bytes out = { NULL }, scratch = { NULL };
    char *blob = malloc(1500000);
    uint32_t x = 1;
    for (size_t i = 0; i < 1500000; i++) blob[i] = (char)((x = x * 1664525 + 1013904223) >> 28);
    for (int c = 0; c < CODEC_COUNT; c++) {
        struct batch_opts o = BATCH_OPTS;
        struct batch_builder b;
        o.codec = (enum codec)c;
        out.n = 0;
        batch_begin(&b, &o, &out);
        for (int i = 0; i < 2000; i++)
            batch_append(&b, T + i, (struct slice){ blob + i, 8 }, (struct slice){ blob, (size_t)i % 100 }, NULL, 0);
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
            batch_append(&b, T, (struct slice){ blob, sizes[ARRAY_LEN(sizes) - 1 - i] }, (struct slice){ blob, sizes[i] }, NULL,
                         0);
        end_whole(&b, &out);

        struct record_iter it;
        struct record r;
        assert_int_equal(record_iter_init(&it, out.p, out.n, &scratch, 0), 0);
        for (int i = 0; i < 2000; i++) {
            assert_int_equal(record_next(&it, &r), 1);
            assert_int_equal(r.offset, i);
            assert_true(r.key.n == 8 && memcmp(r.key.p, blob + i, 8) == 0 && r.value.n == (size_t)i % 100);
        }
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            assert_int_equal(record_next(&it, &r), 1);
            assert_true(r.value.p != NULL && r.value.n == sizes[i] && memcmp(r.value.p, blob, sizes[i]) == 0);
        }
        assert_int_equal(record_next(&it, &r), 0);
        record_iter_end(&it);

        assert_int_equal(record_iter_init(&it, out.p, out.n, &scratch, 1000000), 0);
        int rc;
        while ((rc = record_next(&it, &r)) == 1) {}
        assert_int_equal(rc, c == CODEC_NONE ? 0 : E_MESSAGE_TOO_LARGE);
        assert_int_equal(record_next(&it, &r), rc); /* sticky */
        record_iter_end(&it);
    }
    free(blob);
    bytes_free(&out);
    bytes_free(&scratch);
}

static void records_may_have_gaps_and_headers_pass_through_encoded(void **state)
{
    struct bytes in = golden("java_gzip"), out = { NULL }, scratch = { NULL };
    struct record_iter it;
    struct record r;
    struct record_header h;
    struct batch_builder b;
    struct batch_opts o = BATCH_OPTS;
    o.base_offset = 0;
    o.last_offset_delta = 3;
    o.codec = CODEC_LZ4;
    assert_int_equal(record_iter_init(&it, in.p, in.n, &scratch, 0), 0);
    batch_begin(&b, &o, &out);
    for (int i = 0; record_next(&it, &r) == 1; i++)
        if (i == 1 || i == 2) batch_add(&b, &r); /* what compaction keeps */
    record_iter_end(&it);
    end_whole(&b, &out);

    assert_int_equal(record_iter_init(&it, out.p, out.n, &scratch, 0), 0);
    assert_int_equal(it.head.last_offset_delta, 3);
    assert_int_equal(it.head.count, 2);
    assert_int_equal(record_next(&it, &r), 1);
    assert_int_equal(r.offset, 1);
    assert_int_equal(r.timestamp, T + 5);
    assert_int_equal(r.header_count, 3);
    assert_int_equal(record_header_next(&r, &h), 1);
    assert_true(text_is(h.key, "h1") && text_is(h.value, "v1"));
    assert_int_equal(record_next(&it, &r), 1);
    assert_int_equal(r.offset, 2);
    assert_int_equal(r.timestamp, T - 1000);
    assert_int_equal(record_next(&it, &r), 0);
    record_iter_end(&it);
    bytes_free(&in);
    bytes_free(&out);
    bytes_free(&scratch);
}

static void the_builder_refuses_what_no_batch_can_hold_and_leaves_no_trace(void **state)
{
    struct bytes out = { NULL };
    struct batch_builder b;
    struct batch_opts o = BATCH_OPTS;
    bytes_put(&out, "before", 6);
    for (int c = 0; c < CODEC_COUNT; c++) {
        o.codec = (enum codec)c;
        o.base_offset = 10;
        o.last_offset_delta = -1;
        batch_begin(&b, &o, &out);
        batch_add(&b, &(struct record){ .offset = 11 });
        batch_add(&b, &(struct record){ .offset = 11 }); /* does not rise */
        assert_int_equal(batch_end(&b), E_INVALID);
        batch_begin(&b, &o, &out);
        batch_add(&b, &(struct record){ .offset = 11 + (int64_t)INT32_MAX }); /* no delta for it */
        assert_int_equal(batch_end(&b), E_INVALID);
        batch_begin(&b, &o, &out); /* no record and no last offset */
        assert_int_equal(batch_end(&b), E_INVALID);
        o.last_offset_delta = 1;
        batch_begin(&b, &o, &out);
        batch_add(&b, &(struct record){ .offset = 12 }); /* behind the last offset it shall have */
        assert_int_equal(batch_end(&b), E_INVALID);
        o.base_offset = -1;
        batch_begin(&b, &o, &out);
        batch_append(&b, 0, S("k"), S("v"), NULL, 0);
        assert_int_equal(batch_end(&b), E_INVALID);
        o.base_offset = 0;
        batch_begin(&b, &o, &out);
        batch_append(&b, 0, S("k"), S("v"), NULL, 0);
        batch_abandon(&b);
        assert_int_equal(out.n, 6);
    }
    assert_memory_equal(out.p, "before", 6);
    bytes_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_builder_writes_what_kafkas_writer_writes),
        cmocka_unit_test(transaction_markers_are_kafkas),
        cmocka_unit_test(batches_of_javas_codecs_are_read),
        cmocka_unit_test(batches_of_other_clients_are_read),
        cmocka_unit_test(header_fields_are_read_and_patched_in_place),
        cmocka_unit_test(a_header_cut_short_or_impossible_is_told_apart),
        cmocka_unit_test(every_flipped_bit_behind_the_epoch_breaks_the_checksum),
        cmocka_unit_test(message_sets_of_old_brokers_are_read),
        cmocka_unit_test(a_wrapper_in_a_wrapper_or_with_a_wrong_offset_is_malformed),
        cmocka_unit_test(recompression_keeps_all_but_codec_length_and_checksum),
        cmocka_unit_test(records_of_any_size_come_back),
        cmocka_unit_test(records_may_have_gaps_and_headers_pass_through_encoded),
        cmocka_unit_test(the_builder_refuses_what_no_batch_can_hold_and_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
