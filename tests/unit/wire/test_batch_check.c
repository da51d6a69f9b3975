#include "batch_golden.h"
#include <odradek/kafka_errors.h>
#include <stdlib.h>

static const int64_t NOW = 1700000000000, HOUR = 3600000;

struct env {
    struct bytes b; /* the batch under test */
    struct batch_rules rules;
    struct batch_info info;
    struct arena arena;
};
static int setup(void **state)
{
    struct env *e = *state = calloc(1, sizeof *e);
    arena_init(&e->arena);
    e->rules = (struct batch_rules){
        .produce_version = 9,
        .now_ms = NOW,
        .before_max_ms = INT64_MAX,
        .after_max_ms = HOUR,
        .max_size = 1 << 20,
        .topic = S("t"),
        .partition = 3,
    };
    return 0;
}
static int teardown(void **state)
{
    struct env *e = *state;
    bytes_free(&e->b);
    arena_free(&e->arena);
    free(e);
    return 0;
}

/* n records with a key, the i-th at NOW + i, as a client writes them. */
static void make(struct env *e, int n, enum codec codec)
{
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder b;
    const struct record_header h[] = { { S("header"), S("v") }, { S("none"), { NULL, 0 } } };
    o.codec = codec;
    e->b.n = 0;
    batch_begin(&b, &o, &e->b);
    for (int i = 0; i < n; i++) batch_append(&b, NOW + i, S("key"), S("some value"), h, i % 3);
    assert_true(batch_end(&b) > 0);
}
/* The same batch around other bytes of records, whole and sealed. */
static void make_raw(struct env *e, int32_t count, enum codec codec, const void *records, size_t n)
{
    make(e, 1, CODEC_NONE);
    e->b.n = BATCH_HEADER;
    assert_int_equal(codec_compress(codec, CODEC_LEVEL_DEFAULT, records, n, &e->b), 0);
    put_be32(e->b.p + BATCH_AT_LENGTH, (uint32_t)e->b.n - BATCH_PREFIX);
    e->b.p[BATCH_AT_ATTRIBUTES + 1] = (uint8_t)codec;
    put_be32(e->b.p + BATCH_AT_COUNT, (uint32_t)count);
    put_be32(e->b.p + BATCH_AT_LAST_OFFSET_DELTA, (uint32_t)count - 1);
    batch_seal(e->b.p);
}
static int check_n(struct env *e, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1); /* a read too far shows */
    memcpy(exact, e->b.p, n);
    int rc = batch_check(exact, n, &e->rules, &e->arena, &e->info);
    free(exact);
    return rc;
}
static int check(struct env *e) { return check_n(e, e->b.n); }

static void a_good_batch_of_every_codec_is_accepted_and_described(void **state)
{
    struct env *e = *state;
    for (int c = 0; c < CODEC_COUNT; c++) {
        make(e, 1000, (enum codec)c);
        assert_int_equal(check(e), 0);
        assert_true(e->info.inside_ok);
        assert_int_equal(e->info.head.count, 1000);
        assert_int_equal(e->info.head.codec, c);
        assert_int_equal(e->info.head.size, e->b.n);
        assert_int_equal(e->info.max_timestamp, NOW + 999);
        assert_int_equal(e->info.max_timestamp_delta, 999);
        assert_true(e->info.inflated > 20000);
        assert_null(e->info.reason);
        assert_int_equal(e->info.error_count, 0);
        assert_int_equal(e->arena.used, 0); /* nothing allocated for a good batch */
    }
}

static void batches_of_real_clients_are_accepted(void **state)
{
    struct env *e = *state;
    e->rules.after_max_ms = INT64_MAX;
    int seen = 0;
    for (size_t i = 0; i < ARRAY_LEN(goldens); i++) {
        const char *n = goldens[i].name;
        if (strncmp(n, "kp_", 3) != 0 && strncmp(n, "rdk_", 4) != 0 && strcmp(n, "java_lz4") != 0 &&
            strcmp(n, "java_snappy") != 0)
            continue;
        bytes_free(&e->b);
        e->b = golden(n);
        assert_int_equal(check(e), 0);
        seen++;
    }
    assert_int_equal(seen, 12);
}

static void shape_only_leaves_compressed_records_for_later(void **state)
{
    struct env *e = *state;
    e->rules.depth = BATCH_DEPTH_SHAPE;
    make(e, 10, CODEC_NONE);
    assert_int_equal(check(e), 0);
    assert_true(e->info.inside_ok);

    make(e, 10, CODEC_ZSTD);
    assert_int_equal(check(e), 0);
    assert_false(e->info.inside_ok);
    assert_int_equal(batch_check_inside(e->b.p, &e->rules, &e->arena, &e->info), 0);
    assert_true(e->info.inside_ok);
    assert_int_equal(e->info.max_timestamp, NOW + 9);

    make_raw(e, 1, CODEC_GZIP, "\x02\x00", 2);
    assert_int_equal(check(e), 0);
    assert_int_equal(batch_check_inside(e->b.p, &e->rules, &e->arena, &e->info), E_INVALID_RECORD);
}

static void a_batch_cut_at_any_byte_is_no_batch(void **state)
{
    struct env *e = *state;
    for (int c = 0; c < CODEC_COUNT; c++) {
        make(e, 5, (enum codec)c);
        for (size_t n = 0; n < e->b.n; n++) assert_int_equal(check_n(e, n), E_INVALID_RECORD);
        /* the same with a length that fits and the checksum put right */
        struct bytes whole = { NULL };
        bytes_put(&whole, e->b.p, e->b.n);
        for (size_t n = BATCH_HEADER; n < whole.n; n++) {
            e->b.n = n;
            memcpy(e->b.p, whole.p, n);
            put_be32(e->b.p + BATCH_AT_LENGTH, (uint32_t)n - BATCH_PREFIX);
            batch_seal(e->b.p);
            int rc = check(e);
            assert_int_equal(rc, E_INVALID_RECORD);
            assert_non_null(e->info.reason);
        }
        bytes_free(&whole);
    }
}

static void frames_that_are_not_one_batch_of_magic_2_get_kafkas_errors(void **state)
{
    struct env *e = *state;
    make(e, 1, CODEC_NONE);
    const size_t n = e->b.n;
    bytes_put(&e->b, e->b.p, 16); /* less than a batch behind it: ignored, as Kafka does */
    assert_int_equal(check(e), 0);
    assert_int_equal(e->info.head.size, n);
    e->b.n = n;
    struct bytes twice = { NULL };
    bytes_put(&twice, e->b.p, n);
    bytes_put(&e->b, twice.p, n);
    bytes_free(&twice);
    assert_int_equal(check(e), E_INVALID_RECORD);
    put_be32(e->b.p + n + BATCH_AT_LENGTH, 13);
    assert_int_equal(check(e), E_CORRUPT_MESSAGE);

    make(e, 1, CODEC_NONE);
    e->b.p[BATCH_AT_MAGIC] = 3;
    assert_int_equal(check(e), E_CORRUPT_MESSAGE);
    for (int magic = 0; magic < 2; magic++) {
        e->b.p[BATCH_AT_MAGIC] = (uint8_t)magic;
        assert_int_equal(check(e), E_INVALID_RECORD);
    }
    make(e, 1, CODEC_NONE);
    put_be32(e->b.p + BATCH_AT_LENGTH, 48); /* whole, but no room for a v2 header */
    assert_int_equal(check(e), E_CORRUPT_MESSAGE);
    put_be32(e->b.p + BATCH_AT_LENGTH, UINT32_MAX);
    assert_int_equal(check(e), E_CORRUPT_MESSAGE);
    put_be32(e->b.p + BATCH_AT_LENGTH, INT32_MAX);
    assert_int_equal(check(e), E_INVALID_RECORD);

    make(e, 1, CODEC_NONE);
    e->b.p[e->b.n - 1] ^= 1;
    assert_int_equal(check(e), E_BAD_CRC);
    assert_int_equal(err_kafka(E_BAD_CRC), KAFKA_CORRUPT_MESSAGE);
    make(e, 1, CODEC_NONE);
    e->rules.max_size = (int32_t)e->b.n;
    assert_int_equal(check(e), 0);
    e->rules.max_size--;
    assert_int_equal(check(e), E_MESSAGE_TOO_LARGE);
}

static void codecs_that_are_unknown_or_too_new_for_the_request_are_refused(void **state)
{
    struct env *e = *state;
    make(e, 1, CODEC_ZSTD);
    e->rules.produce_version = 6;
    assert_int_equal(check(e), E_UNSUPPORTED_COMPRESSION_TYPE);
    e->rules.produce_version = 7;
    assert_int_equal(check(e), 0);
    for (uint8_t id = CODEC_COUNT; id < 8; id++) {
        e->b.p[BATCH_AT_ATTRIBUTES + 1] = id;
        batch_seal(e->b.p);
        assert_int_equal(check(e), E_UNSUPPORTED_COMPRESSION_TYPE);
    }
}

static void header_fields_that_contradict_each_other_are_refused(void **state)
{
    struct env *e = *state;
    static const struct {
        int at, bytes;
        int64_t value;
    } bad[] = {
        { BATCH_AT_BASE_OFFSET, 8, 1 },
        { BATCH_AT_LAST_OFFSET_DELTA, 4, 3 },
        { BATCH_AT_LAST_OFFSET_DELTA, 4, -1 },
        { BATCH_AT_COUNT, 4, 0 },
        { BATCH_AT_COUNT, 4, -1 },
        { BATCH_AT_COUNT, 4, INT32_MIN },
        { BATCH_AT_ATTRIBUTES, 2, BATCH_CONTROL },
        { BATCH_AT_PRODUCER_ID, 8, 5 },
        { BATCH_AT_COUNT, 4, 6 },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        make(e, 5, CODEC_NONE);
        uint8_t *p = e->b.p + bad[i].at;
        if (bad[i].bytes == 8) put_be64(p, (uint64_t)bad[i].value);
        if (bad[i].bytes == 4) put_be32(p, (uint32_t)bad[i].value);
        if (bad[i].bytes == 2) put_be16(p, (uint16_t)bad[i].value);
        batch_seal(e->b.p);
        assert_int_equal(check(e), E_INVALID_RECORD);
        assert_int_equal(e->info.error_count, 0);
        assert_null(e->info.message.p);
    }
    make(e, 5, CODEC_NONE); /* a producer with its sequence is fine */
    put_be64(e->b.p + BATCH_AT_PRODUCER_ID, 5);
    put_be32(e->b.p + BATCH_AT_BASE_SEQUENCE, 0);
    batch_seal(e->b.p);
    assert_int_equal(check(e), 0);

    e->b.n = 0; /* what the coordinator writes and a client may not */
    batch_put_marker(&e->b, 100, NOW, 1, 5, 0, true, 1);
    assert_int_equal(check(e), E_INVALID_RECORD);
    e->rules.coordinator = true;
    assert_int_equal(check(e), 0);
}

static void malformed_records_are_refused_whatever_the_codec(void **state)
{
    struct env *e = *state;
    static const struct {
        const char *p;
        size_t n;
        const char *what;
    } bad[] = {
        { "", 0, "no record" },
        { "\x0c\x00\x00\x00\x01\x01", 6, "too short for its size" },
        { "\x0c\x00\x00\x00\x01\x01\x00\x00", 8, "a byte behind the last record" },
        { "\x0e\x00\x00\x00\x01\x01\x00\x00", 8, "a byte behind the headers" },
        { "\x0a\x00\x00\x00\x01\x01\x00", 7, "the header count is outside" },
        { "\x01\x00\x00\x00\x01\x01\x00", 7, "a negative size" },
        { "\x00", 1, "an empty record" },
        { "\x0c\x00\x00\x02\x01\x01\x00", 7, "the first offset delta is 1" },
        { "\x0c\x00\x00\x01\x01\x01\x00", 7, "a negative offset delta" },
        { "\x0c\x00\x00\x00\x01\x01\x01", 7, "a negative count of headers" },
        { "\x0c\x00\x00\x00\x01\x01\x02", 7, "a header that is not there" },
        { "\x10\x00\x00\x00\x01\x01\x02\x01\x00", 9, "a header without a key" },
        { "\x0c\x00\x00\x00\x02\x01\x00", 7, "the key eats the rest" },
        { "\x0c\x00\x00\x00\x01\x04\x00", 7, "the value is outside" },
        { "\x0c\x00\x00\x00\xfe\xff\xff\xff\x0f\x01\x00", 11, "a key of 2 GiB" },
        { "\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", 10, "a size that never ends" },
        { "\x20\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x01\x01\x00\x00", 17, "a timestamp that never ends" },
        { "\xfe\xff\xff\xff\x0f\x00\x00\x00\x01\x01\x00", 11, "a record of 2 GiB" },
    };
    static const char good[] = "\x0c\x00\x00\x00\x01\x01\x00";
    for (int c = 0; c < CODEC_COUNT; c++) {
        make_raw(e, 1, (enum codec)c, good, sizeof good - 1);
        assert_int_equal(check(e), 0);
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            make_raw(e, 1, (enum codec)c, bad[i].p, bad[i].n);
            if (check(e) != E_INVALID_RECORD) fail_msg("%s with %s is not refused", bad[i].what, codec_name((enum codec)c));
        }
        make_raw(e, 2, (enum codec)c, good, sizeof good - 1);
        assert_int_equal(check(e), E_INVALID_RECORD); /* one is missing */
    }
}

static void a_record_larger_than_the_window_is_checked_in_pieces(void **state)
{
    struct env *e = *state;
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder b;
    char *blob = calloc(1, 300000);
    const struct record_header h[] = { { { blob, 100000 }, { blob, 70000 } }, { S("k"), { NULL, 0 } }, { S(""), S("") } };
    e->rules.compacted = true;
    for (int c = 1; c < CODEC_COUNT; c++) {
        o.codec = (enum codec)c;
        e->b.n = 0;
        batch_begin(&b, &o, &e->b);
        batch_append(&b, NOW, S("k"), (struct slice){ blob, 300000 }, NULL, 0);
        batch_append(&b, NOW + 2, (struct slice){ blob, 200000 }, (struct slice){ blob, 65536 }, h, 3);
        batch_append(&b, NOW + 1, S("k"), S("v"), h, 3);
        assert_true(batch_end(&b) > 0);
        assert_int_equal(check(e), 0);
        assert_int_equal(e->info.max_timestamp, NOW + 2);
        assert_int_equal(e->info.max_timestamp_delta, 1);

        /* one byte of its inside at a time, near every field, must never pass as another batch */
        struct bytes plain = { NULL }, bad = { NULL };
        assert_int_equal(codec_decompress((enum codec)c, e->b.p + BATCH_HEADER, e->b.n - BATCH_HEADER, 1 << 21, &plain), 0);
        static const struct {
            size_t at;
            uint8_t value;
        } hit[] = { { 0, 2 }, { 2, 0 }, { 5, 2 }, { 6, 1 }, { 8, 0 } }; /* size, … offset delta, key size, value size */
        for (size_t i = 0; i < ARRAY_LEN(hit); i++) {
            bad.n = 0;
            bytes_put(&bad, plain.p, plain.n);
            bad.p[hit[i].at] ^= (uint8_t)(hit[i].value | 0x10);
            make_raw(e, 3, (enum codec)c, bad.p, bad.n);
            assert_int_equal(check(e), E_INVALID_RECORD);
        }
        bytes_free(&plain);
        bytes_free(&bad);

        e->b.n = 0; /* a keyless one of that size is still found */
        batch_begin(&b, &o, &e->b);
        batch_append(&b, NOW, (struct slice){ NULL, 0 }, (struct slice){ blob, 300000 }, NULL, 0);
        assert_true(batch_end(&b) > 0);
        assert_int_equal(check(e), E_INVALID_RECORD);
        assert_int_equal(e->info.error_count, 1);
        arena_free(&e->arena);
    }
    free(blob);
}

static void keyless_records_of_a_compacted_topic_are_all_named(void **state)
{
    struct env *e = *state;
    e->rules.compacted = true;
    for (int c = 0; c < CODEC_COUNT; c++) {
        make(e, 3, (enum codec)c);
        assert_int_equal(check(e), 0);
        struct batch_opts o = BATCH_OPTS;
        struct batch_builder b;
        o.codec = (enum codec)c;
        e->b.n = 0;
        batch_begin(&b, &o, &e->b);
        for (int i = 0; i < 8; i++) batch_append(&b, NOW, i % 2 ? (struct slice){ NULL, 0 } : S(""), S("v"), NULL, 0);
        assert_true(batch_end(&b) > 0);
        assert_int_equal(check(e), E_INVALID_RECORD);
        assert_int_equal(e->info.error_count, 4);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(e->info.errors[i].index, 2 * i + 1);
            assert_true(slice_eq(e->info.errors[i].message,
                                 S("Compacted topic cannot accept message without key in topic partition t-3")));
        }
        struct slice want =
            S("One or more records have been rejected due to 4 record errors in total, and only showing the first three "
              "errors at most: [RecordError(batchIndex=1, message='Compacted topic cannot accept message without key in "
              "topic partition t-3'), RecordError(batchIndex=3, message='Compacted topic cannot accept message without "
              "key in topic partition t-3'), RecordError(batchIndex=5, message='Compacted topic cannot accept message "
              "without key in topic partition t-3')]");
        assert_true(slice_eq(e->info.message, want));
        assert_false(e->info.inside_ok);
    }
}

static void errors_of_records_are_not_told_of_a_batch_that_is_malformed_too(void **state)
{
    struct env *e = *state;
    e->rules.compacted = true;
    make_raw(e, 2, CODEC_NONE, "\x0c\x00\x00\x00\x01\x01\x00\x0c\x00\x00\x00\x01\x01\x00", 14);
    assert_int_equal(check(e), E_INVALID_RECORD);
    assert_int_equal(e->info.error_count, 0);
    assert_null(e->info.message.p);
}

static void a_flood_of_record_errors_is_bounded(void **state)
{
    struct env *e = *state;
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder b;
    e->rules.compacted = true;
    batch_begin(&b, &o, &e->b);
    for (int i = 0; i < 5000; i++) batch_append(&b, NOW, (struct slice){ NULL, 0 }, S("v"), NULL, 0);
    assert_true(batch_end(&b) > 0);
    assert_int_equal(check(e), E_INVALID_RECORD);
    assert_int_equal(e->info.error_count, BATCH_ERRORS_MAX);
    assert_int_equal(e->info.errors[BATCH_ERRORS_MAX - 1].index, BATCH_ERRORS_MAX - 1);
}

/* One record at ts, in a batch whose header may claim LogAppendTime. */
static int check_time(struct env *e, int64_t ts, bool claims)
{
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder b;
    e->b.n = 0;
    batch_begin(&b, &o, &e->b);
    batch_append(&b, ts, S("k"), S("v"), NULL, 0);
    assert_true(batch_end(&b) > 0);
    if (claims) batch_set_max_timestamp(e->b.p, true, ts);
    return check(e);
}

static void create_times_are_held_against_both_bounds(void **state)
{
    struct env *e = *state;
    e->rules.before_max_ms = 10 * HOUR;
    assert_int_equal(check_time(e, NOW, false), 0);
    assert_int_equal(check_time(e, NOW + HOUR, false), 0);
    assert_int_equal(check_time(e, NOW - 10 * HOUR, false), 0);
    assert_int_equal(check_time(e, NO_TIMESTAMP, false), 0);
    assert_int_equal(e->info.max_timestamp, NO_TIMESTAMP);
    assert_int_equal(check_time(e, NOW + HOUR + 1, false), E_INVALID_TIMESTAMP);
    assert_int_equal(check_time(e, NOW - 10 * HOUR - 1, false), E_INVALID_TIMESTAMP);
    assert_int_equal(check_time(e, 0, false), E_INVALID_TIMESTAMP);
    assert_true(slice_eq(e->info.message, S("One or more records have been rejected due to invalid timestamp")));
    assert_int_equal(e->info.error_count, 1);
    assert_true(slice_eq(e->info.errors[0].message,
                         S("Timestamp 0 of message with offset 0 is out of range. The timestamp should be within "
                           "[1699964000000, 1700003600000]")));
    e->rules.before_max_ms = e->rules.after_max_ms = INT64_MAX;
    assert_int_equal(check_time(e, 0, false), 0);
    assert_int_equal(check_time(e, INT64_MAX, false), 0);

    e->rules.before_max_ms = e->rules.after_max_ms = 0;
    e->rules.log_append_time = true; /* then create times are not judged */
    assert_int_equal(check_time(e, 5, false), 0);
    assert_int_equal(e->info.max_timestamp, NOW);
}

static void a_producer_may_not_set_log_append_time(void **state)
{
    struct env *e = *state;
    e->rules.log_append_time = true;
    assert_int_equal(check_time(e, NOW, true), E_INVALID_TIMESTAMP);
    assert_true(
        slice_eq(e->info.errors[0].message,
                 S("Invalid timestamp type in message DefaultRecord(offset=0, timestamp=1700000000000, key=1 bytes, value=1 "
                   "bytes). Producer should not set timestamp type to LogAppendTime.")));
    e->rules.log_append_time = false; /* Kafka asks only for the bounds here, and puts the type right */
    assert_int_equal(check_time(e, NOW, true), 0);
    batch_stamp(e->b.p, &e->rules, &e->info);
    struct batch_head h;
    assert_int_equal(batch_parse_head(e->b.p, e->b.n, &h), 0);
    assert_false(batch_is_log_append_time(&h));
    assert_int_equal(batch_verify(e->b.p, e->b.n), 0);
    assert_int_equal(check_time(e, NO_TIMESTAMP, true), E_INVALID_TIMESTAMP);
}

static void stamping_corrects_the_header_and_leaves_a_right_one_alone(void **state)
{
    struct env *e = *state;
    for (int c = 0; c < CODEC_COUNT; c++) {
        e->rules.log_append_time = false;
        make(e, 7, (enum codec)c);
        struct bytes was = { NULL };
        bytes_put(&was, e->b.p, e->b.n);
        assert_int_equal(check(e), 0);
        batch_stamp(e->b.p, &e->rules, &e->info);
        assert_memory_equal(e->b.p, was.p, was.n);

        put_be64(e->b.p + BATCH_AT_MAX_TIMESTAMP, 12); /* a client that lies about its largest timestamp */
        batch_seal(e->b.p);
        assert_int_equal(check(e), 0);
        batch_stamp(e->b.p, &e->rules, &e->info);
        assert_memory_equal(e->b.p, was.p, was.n);
        bytes_free(&was);

        e->rules.log_append_time = true;
        assert_int_equal(check(e), 0);
        batch_stamp(e->b.p, &e->rules, &e->info);
        struct record_iter it;
        struct record r;
        struct bytes scratch = { NULL };
        assert_int_equal(batch_verify(e->b.p, e->b.n), 0);
        assert_int_equal(record_iter_init(&it, e->b.p, e->b.n, &scratch, 0), 0);
        while (record_next(&it, &r) == 1) assert_int_equal(r.timestamp, NOW);
        record_iter_end(&it);
        bytes_free(&scratch);
    }
}

static void bombs_stop_at_the_limit(void **state)
{
    struct env *e = *state;
    size_t n = 80 * MiB;
    char *blob = calloc(1, n); /* a record of zeros: about 80 KiB of gzip */
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder b;
    for (int c = 1; c < CODEC_COUNT; c++) {
        if (c == CODEC_SNAPPY || c == CODEC_LZ4) continue; /* cannot grow that much from 1 MiB; the low limit below is for them */
        o.codec = (enum codec)c;
        e->b.n = 0;
        batch_begin(&b, &o, &e->b);
        batch_append(&b, NOW, S("k"), (struct slice){ blob, n }, NULL, 0);
        assert_true(batch_end(&b) > 0);
        assert_true(e->b.n < 1 << 18);
        assert_int_equal(check(e), E_MESSAGE_TOO_LARGE);
    }
    for (int c = 1; c < CODEC_COUNT; c++) {
        o.codec = (enum codec)c;
        e->b.n = 0;
        batch_begin(&b, &o, &e->b);
        batch_append(&b, NOW, S("k"), (struct slice){ blob, 500000 }, NULL, 0);
        assert_true(batch_end(&b) > 0);
        e->rules.inflate_max = 499999;
        assert_int_equal(check(e), E_MESSAGE_TOO_LARGE);
        e->rules.inflate_max = 500100;
        assert_int_equal(check(e), 0);
    }
    free(blob);
}

static void lz4_frames_that_java_cannot_read_are_refused(void **state)
{
    struct env *e = *state;
    make(e, 10, CODEC_LZ4);
    e->b.p[BATCH_HEADER + 4] &= (uint8_t)~0x20;
    batch_seal(e->b.p);
    assert_int_equal(check(e), E_INVALID_RECORD);
    assert_string_equal(e->info.reason, "an lz4 frame with dependent blocks");
}

/* Bytes changed at random and the checksum put right: whatever passes the check must read, stamp and recompress as the check said. */
static void what_passes_the_check_can_be_read_as_it_said(void **state)
{
    struct env *e = *state;
    struct bytes whole = { NULL }, scratch = { NULL }, out = { NULL };
    uint64_t x = 88172645463325252u;
    int passed = 0, refused = 0;
    e->rules.inflate_max = 1 << 20;
    for (int c = 0; c < CODEC_COUNT; c++) {
        make(e, 20, (enum codec)c);
        whole.n = 0;
        bytes_put(&whole, e->b.p, e->b.n);
        for (int round = 0; round < 4000; round++) {
            memcpy(e->b.p, whole.p, whole.n);
            for (int k = 0; k < 1 + round % 3; k++) {
                x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                e->b.p[BATCH_AT_ATTRIBUTES + x % (whole.n - BATCH_AT_ATTRIBUTES)] ^= (uint8_t)(1 << (x >> 32 & 7));
            }
            batch_seal(e->b.p);
            int rc = check(e);
            struct record_iter it;
            struct record r;
            int seen = 0, got = record_iter_init(&it, e->b.p, e->b.n, &scratch, 1 << 20);
            while (got == 0 && (got = record_next(&it, &r)) == 1) {
                if (rc == 0) assert_int_equal(r.offset, seen);
                struct record_header h;
                while (record_header_next(&r, &h)) {}
                seen++;
                got = 0;
                if (seen == it.head.count) break;
            }
            if (rc == 0) {
                assert_int_equal(got, 0);
                assert_int_equal(record_next(&it, &r), 0);
                assert_int_equal(seen, e->info.head.count);
                batch_stamp(e->b.p, &e->rules, &e->info);
                out.n = 0;
                assert_true(batch_recompress(e->b.p, e->b.n, CODEC_NONE, 0, 0, &out) > 0);
                assert_int_equal(batch_verify(out.p, out.n), 0);
                passed++;
            } else refused++;
            record_iter_end(&it);
            arena_free(&e->arena);
        }
    }
    assert_true(passed > 100 && refused > 1000);
    bytes_free(&whole);
    bytes_free(&scratch);
    bytes_free(&out);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_good_batch_of_every_codec_is_accepted_and_described),
        T(batches_of_real_clients_are_accepted),
        T(shape_only_leaves_compressed_records_for_later),
        T(a_batch_cut_at_any_byte_is_no_batch),
        T(frames_that_are_not_one_batch_of_magic_2_get_kafkas_errors),
        T(codecs_that_are_unknown_or_too_new_for_the_request_are_refused),
        T(header_fields_that_contradict_each_other_are_refused),
        T(malformed_records_are_refused_whatever_the_codec),
        T(a_record_larger_than_the_window_is_checked_in_pieces),
        T(keyless_records_of_a_compacted_topic_are_all_named),
        T(errors_of_records_are_not_told_of_a_batch_that_is_malformed_too),
        T(a_flood_of_record_errors_is_bounded),
        T(create_times_are_held_against_both_bounds),
        T(a_producer_may_not_set_log_append_time),
        T(stamping_corrects_the_header_and_leaves_a_right_one_alone),
        T(bombs_stop_at_the_limit),
        T(lz4_frames_that_java_cannot_read_are_refused),
        T(what_passes_the_check_can_be_read_as_it_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
