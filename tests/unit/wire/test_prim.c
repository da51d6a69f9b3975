#include <odradek/wire.h>
#include <test.h>

static struct slice text_of(const struct bytes *b) { return (struct slice){ (const char *)b->p, b->n }; }

static const uint64_t edges[] = { 0,          1,          2,          63,         64,         127,       128,        129,
                                  16383,      16384,      2097151,    2097152,    268435455,  268435456, INT32_MAX,  1u << 31,
                                  UINT32_MAX, 1ull << 32, 1ull << 34, 1ull << 35, 1ull << 62, INT64_MAX, 1ull << 63, UINT64_MAX };

static void varints_come_back_as_written_and_have_the_size_foretold(void **state)
{
    struct bytes b = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        b.n = 0;
        wr_uvarint(&b, (uint32_t)edges[i]);
        size_t n = b.n;
        assert_int_equal(n, size_uvarint((uint32_t)edges[i]));
        wr_varint(&b, (int32_t)edges[i]);
        assert_int_equal(b.n - n, size_varint((int32_t)edges[i]));
        n = b.n;
        wr_uvarlong(&b, edges[i]);
        assert_int_equal(b.n - n, size_uvarlong(edges[i]));
        n = b.n;
        wr_varlong(&b, (int64_t)edges[i]);
        assert_int_equal(b.n - n, size_varlong((int64_t)edges[i]));
        struct rd r = rd_of(text_of(&b));
        assert_int_equal(rd_uvarint(&r), (uint32_t)edges[i]);
        assert_int_equal(rd_varint(&r), (int32_t)edges[i]);
        assert_true(rd_uvarlong(&r) == edges[i]);
        assert_true(rd_varlong(&r) == (int64_t)edges[i]);
        assert_int_equal(rd_left(&r), 0);
        assert_ok(r.err);
    }
    bytes_free(&b);
}

/* As Java's ByteUtils writes them. */
static void zigzag_alternates_around_zero(void **state)
{
    struct bytes b = { 0 };
    wr_varint(&b, -1);
    wr_varint(&b, 1);
    wr_varint(&b, -64);
    wr_varint(&b, 64);
    wr_varlong(&b, INT64_MIN);
    assert_int_equal(b.n, 1 + 1 + 1 + 2 + 10);
    assert_memory_equal(b.p, "\x01\x02\x7f\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b.n);
    bytes_free(&b);
}

static void a_varint_of_too_many_bytes_or_bits_is_malformed(void **state)
{
    struct rd r = rd_of(S("\x80\x80\x80\x80\x80\x01"));
    rd_uvarint(&r);
    assert_err(r.err, E_MALFORMED);
    r = rd_of(S("\xff\xff\xff\xff\x10"));
    rd_uvarint(&r);
    assert_err(r.err, E_MALFORMED);
    r = rd_of(S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    rd_uvarlong(&r);
    assert_err(r.err, E_MALFORMED);
    r = rd_of(S("\x80\x80"));
    rd_uvarint(&r);
    assert_err(r.err, E_TRUNCATED);
    r = rd_of(S("\x80\x00")); /* longer than need be, but not too long: Kafka takes it */
    assert_int_equal(rd_uvarint(&r), 0);
    assert_ok(r.err);
}

static void a_reader_that_failed_reads_nothing_more(void **state)
{
    struct rd r = rd_of(S("\x01\x02\x03"));
    assert_int_equal(rd_u16(&r), 0x0102);
    assert_int_equal(rd_i32(&r), 0);
    assert_err(r.err, E_TRUNCATED);
    assert_int_equal(rd_u8(&r), 0);
    rd_fail(&r, E_MALFORMED);
    assert_err(r.err, E_TRUNCATED);
    assert_slice(rd_string(&r), NULL);
    assert_slice(rd_compact(&r), NULL);
}

static void numbers_are_big_endian(void **state)
{
    struct bytes b = { 0 };
    struct uuid id = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };

    wr_i8(&b, -2);
    wr_bool(&b, true);
    wr_i16(&b, -2);
    wr_i32(&b, 0x01020304);
    wr_i64(&b, -2);
    wr_uuid(&b, id);
    wr_f64(&b, 1.5);
    assert_memory_equal(b.p, "\xfe\x01\xff\xfe\x01\x02\x03\x04\xff\xff\xff\xff\xff\xff\xff\xfe\x01\x02", 18);
    struct rd r = rd_of(text_of(&b));
    assert_int_equal(rd_i8(&r), -2);
    assert_true(rd_bool(&r));
    assert_int_equal(rd_i16(&r), -2);
    assert_int_equal(rd_i32(&r), 0x01020304);
    assert_true(rd_i64(&r) == -2);
    assert_true(uuid_eq(rd_uuid(&r), id));
    assert_true(rd_f64(&r) == 1.5);
    assert_int_equal(rd_left(&r), 0);
    bytes_free(&b);
}

static void strings_tell_null_from_empty_in_every_encoding(void **state)
{
    const struct slice null = { NULL, 0 }, in[] = { null, S(""), S("abc") };
    const char *want[] = { NULL, "", "abc" };
    struct bytes b = { 0 };

    for (int i = 0; i < 3; i++) {
        wr_string(&b, in[i]);
        wr_bytes(&b, in[i]);
        wr_compact(&b, in[i]);
    }
    struct rd r = rd_of(text_of(&b));
    for (int i = 0; i < 3; i++) {
        assert_slice(rd_string(&r), want[i]);
        assert_slice(rd_bytes(&r), want[i]);
        assert_slice(rd_compact(&r), want[i]);
    }
    assert_int_equal(rd_left(&r), 0);
    assert_ok(r.err);
    bytes_free(&b);
}

static void a_length_beyond_the_end_is_truncation(void **state)
{
    struct rd r = rd_of(S("\x00\x04"
                          "abc"));
    assert_slice(rd_string(&r), NULL);
    assert_err(r.err, E_TRUNCATED);
    r = rd_of(S("\x7f\xff\xff\xff"
                "abc"));
    assert_slice(rd_bytes(&r), NULL);
    assert_err(r.err, E_TRUNCATED);
    r = rd_of(S("\xff\xff\xff\xff\x0f"
                "abc"));
    assert_slice(rd_compact(&r), NULL);
    assert_err(r.err, E_TRUNCATED);
}

static void tagged_fields_can_be_skipped(void **state)
{
    struct rd r = rd_of(S("\x02\x00\x01x\x07\x02yz"
                          "!"));
    rd_skip_tags(&r);
    assert_ok(r.err);
    assert_int_equal(rd_u8(&r), '!');
    r = rd_of(S("\x02\x00\x01x\x07\x02y"));
    rd_skip_tags(&r);
    assert_err(r.err, E_TRUNCATED);
    r = rd_of(S("\xff\xff\xff\xff\x0f\x00\x00")); /* four billion of them: ends with the bytes */
    rd_skip_tags(&r);
    assert_err(r.err, E_TRUNCATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_come_back_as_written_and_have_the_size_foretold),
        cmocka_unit_test(zigzag_alternates_around_zero),
        cmocka_unit_test(a_varint_of_too_many_bytes_or_bits_is_malformed),
        cmocka_unit_test(a_reader_that_failed_reads_nothing_more),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(strings_tell_null_from_empty_in_every_encoding),
        cmocka_unit_test(a_length_beyond_the_end_is_truncation),
        cmocka_unit_test(tagged_fields_can_be_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
