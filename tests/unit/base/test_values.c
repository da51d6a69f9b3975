/* Errors, slices, UUIDs, checksums, hashes, random numbers, log lines. */
#include "hash.h"
#include "test.h"

#include <errno.h>
#include <odradek/kafka_errors.h>

/* ---- errors ---- */

static void every_error_has_a_text_and_a_kafka_code(void **state)
{
    for (int e = E_BASE + 1; e < E_END; e++) {
        assert_true(strlen(err_text(e)) > 3);
        assert_string_not_equal(err_text(e), "unknown error");
        assert_in_range(err_kafka(e) + 1, 0, 200);
    }
    assert_string_equal(err_text(0), "no error");
    assert_string_equal(err_text(E_NO_SPACE), "no space left");
    assert_string_equal(err_text(-ENOSPC), "No space left on device");
    assert_string_equal(err_text(12345), "unknown error");
    assert_string_equal(err_text(E_END), "unknown error");
    assert_string_equal(err_text(-4000), "unknown error");
    assert_int_equal(err_kafka(0), 0);
    assert_int_equal(err_kafka(E_OFFSET_OUT_OF_RANGE), KAFKA_OFFSET_OUT_OF_RANGE);
    assert_int_equal(err_kafka(E_SHARE_SESSION_LIMIT_REACHED), KAFKA_SHARE_SESSION_LIMIT_REACHED);
    assert_int_equal(err_kafka(-EIO), KAFKA_KAFKA_STORAGE_ERROR);
}

static void errno_is_translated_once(void **state)
{
    assert_err(err_of_errno(-ENOSPC), E_NO_SPACE);
    assert_err(err_of_errno(-EDQUOT), E_NO_SPACE);
    assert_err(err_of_errno(-ENOENT), E_NOT_FOUND);
    assert_err(err_of_errno(-EAGAIN), E_LOCKED);
    assert_err(err_of_errno(-EBADF), E_IO);
    assert_err(err_of_errno(E_BAD_CRC), E_BAD_CRC);
    assert_int_equal(err_of_errno(0), 0);
    assert_int_equal(err_of_errno(17), 17); /* a count or a descriptor */
}

static void reasons_are_wrapped_outward(void **state)
{
    struct why w = { "" };
    assert_int_equal(why(&w, E_BAD_CRC, "bad CRC at %d", 8192), E_BAD_CRC);
    assert_int_equal(why_wrap(&w, E_BAD_CRC, "segment %d", 42), E_BAD_CRC);
    why_wrap(&w, E_BAD_CRC, "topic %s", "t-0");
    assert_string_equal(w.text, "topic t-0: segment 42: bad CRC at 8192");
    why(&w, E_IO, "again: %s", w.text); /* its own text as an argument */
    assert_string_equal(w.text, "again: topic t-0: segment 42: bad CRC at 8192");
    for (int i = 0; i < 100; i++) why_wrap(&w, E_IO, "level %d", i);
    assert_int_equal(strlen(w.text), sizeof(w.text) - 1);
    assert_memory_equal(w.text, "level 99: level 98: ", 20);
    assert_int_equal(why(NULL, E_IO, "x"), E_IO);
    assert_int_equal(why_wrap(NULL, E_IO, "x"), E_IO);
}

/* ---- slices and UUIDs ---- */

static void slices_compare_by_bytes_then_length_and_null_is_not_empty(void **state)
{
    assert_true(slice_cmp(S("a"), S("b")) < 0);
    assert_true(slice_cmp(S("a"), S("ab")) < 0);
    assert_true(slice_cmp(S("b"), S("ab")) > 0);
    assert_true(slice_cmp(S("\xff"), S("a")) > 0);
    assert_int_equal(slice_cmp(S("ab"), S("ab")), 0);
    assert_true(slice_cmp(slice_of(NULL), S("")) < 0);
    assert_int_equal(slice_cmp(slice_of(NULL), slice_of(NULL)), 0);
    assert_false(slice_eq(slice_of(NULL), S("")));
    assert_true(slice_eq(S(""), S("")));
}

static void uuids_travel_through_kafkas_text(void **state)
{
    struct uuid u, v;
    char text[UUID_TEXT];
    assert_ok(uuid_parse(S("wQ-vCnHjSJCkLHZ2LUxv_w"), &u));
    static const uint8_t want[16] = { 0xc1, 0x0f, 0xaf, 0x0a, 0x71, 0xe3, 0x48, 0x90,
                                      0xa4, 0x2c, 0x76, 0x76, 0x2d, 0x4c, 0x6f, 0xff };
    assert_memory_equal(u.b, want, 16);
    uuid_text(u, text);
    assert_string_equal(text, "wQ-vCnHjSJCkLHZ2LUxv_w");
    uuid_text(UUID_ZERO, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAA");
    uuid_text((struct uuid){ { [15] = 1 } }, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAQ");
    assert_ok(uuid_parse(S("AAAAAAAAAAAAAAAAAAAAAQ=="), &v));
    assert_int_equal(v.b[15], 1);
    static const char *const bad[] = {
        "", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA+", "AAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAAA="
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_err(uuid_parse(slice_of(bad[i]), &v), E_INVALID);
    assert_err(uuid_parse((struct slice){ "AAAAAAAAAAA\0AAAAAAAAAA", 22 }, &v), E_INVALID);
}

static void random_uuids_are_version_4_and_never_look_like_an_option(void **state)
{
    struct test_env *env = *state;
    char text[UUID_TEXT];
    struct uuid back;
    for (int i = 0; i < 5000; i++) {
        struct uuid u = rnd_uuid(env->world->rnd);
        assert_int_equal(u.b[6] >> 4, 4);
        assert_int_equal(u.b[8] >> 6, 2);
        uuid_text(u, text);
        assert_int_not_equal(text[0], '-');
        assert_ok(uuid_parse(slice_of(text), &back));
        assert_true(uuid_eq(u, back));
    }
}

static void random_numbers_stay_below_and_reach_everything(void **state)
{
    struct test_env *env = *state;
    int seen[7] = { 0 };
    for (int i = 0; i < 7000; i++) {
        uint64_t v = rnd_below(env->world->rnd, 7);
        assert_true(v < 7);
        seen[v]++;
    }
    for (int i = 0; i < 7; i++) assert_in_range(seen[i], 700, 1300);
    assert_int_equal(rnd_below(env->world->rnd, 1), 0);
    assert_true(rnd_u64(env->world->rnd) != rnd_u64(env->world->rnd));
}

static void big_endian_fields_are_read_and_written_unaligned(void **state)
{
    uint8_t b[16] = { 0 };
    put_be16(b + 1, 0x0102);
    put_be32(b + 3, 0x03040506);
    put_be64(b + 7, 0x0708090a0b0c0d0eu);
    for (int i = 1; i < 15; i++) assert_int_equal(b[i], i);
    assert_int_equal(be16(b + 1), 0x0102);
    assert_int_equal(be32(b + 3), 0x03040506);
    assert_true(be64(b + 7) == 0x0708090a0b0c0d0eu);
}

/* ---- checksums and hashes ---- */

static uint32_t crc_by_bit(uint32_t crc, const uint8_t *p, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void crc32c_is_the_checksum_everybody_means_and_chains(void **state)
{
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, NULL, 0), 0);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    static uint8_t data[5000];
    for (size_t i = 0; i < sizeof(data); i++) data[i] = (uint8_t)(i * 31 ^ i >> 3);
    for (size_t n = 0; n < sizeof(data); n += 1 + n / 3)
        for (size_t skip = 0; skip < 9 && skip <= n; skip++)
            assert_int_equal(crc32c(7, data + skip, n - skip), crc_by_bit(7, data + skip, n - skip));
}

static void a_hash_depends_on_every_byte_the_length_and_the_key(void **state)
{
    static const struct hash_key key = { 1, 2 }, other = { 1, 3 };
    char text[64];
    for (size_t n = 0; n <= sizeof(text); n++) {
        memset(text, 'a', sizeof(text));
        uint64_t h = hash_with(key, text, n);
        assert_true(h == hash_with(key, text, n));
        assert_true(h != hash_with(other, text, n));
        if (n < sizeof(text)) assert_true(h != hash_with(key, text, n + 1));
        for (size_t i = 0; i < n; i++) {
            text[i] ^= 1;
            uint64_t changed = h ^ hash_with(key, text, n);
            assert_in_range(__builtin_popcountll(changed), 10, 54);
            text[i] ^= 1;
        }
    }
}

static void short_names_spread_evenly_over_a_table(void **state)
{
    static int count[1024];
    char name[32];
    memset(count, 0, sizeof(count));
    for (int i = 0; i < 10240; i++) {
        snprintf(name, sizeof(name), "topic-%d", i);
        count[hash_slice(slice_of(name)) & 1023]++;
    }
    int most = 0;
    for (int i = 0; i < 1024; i++) most = MAX(most, count[i]);
    assert_in_range(most, 10, 40);
}

/* ---- log lines ---- */

static char last_line[10000];
static enum log_level last_level;
static int lines;

static void keep_line(void *arg, enum log_level level, struct slice line)
{
    assert_ptr_equal(arg, &lines);
    snprintf(last_line, sizeof(last_line), S_FMT, S_ARG(line));
    last_level = level;
    lines++;
}

static void a_log_line_is_one_event_with_quoted_values(void **state)
{
    log_sink(keep_line, &lines);
    lines = 0;
    log_info("plog", "rolled", KV_STR("topic", "t-0"), KV_I64("base", -5), KV_F("s", 0.25));
    assert_string_equal(last_line, "info plog: rolled topic=t-0 base=-5 s=0.25");
    log_error("m", "bad", KV_STR("v", "a b\"c\\\n\x01"), KV_STR("empty", ""), KV_STR("none", NULL), KV_ERR(E_NO_SPACE));
    assert_string_equal(last_line, "error m: bad v=\"a b\\\"c\\\\\\n\\x01\" empty=\"\" none=null error=\"no space left\"");
    assert_int_equal(last_level, LOG_ERROR);
    log_warn("m", "nothing to add");
    assert_string_equal(last_line, "warn m: nothing to add");
    log_debug("m", "below the threshold");
    assert_int_equal(lines, 3);
    log_sink(NULL, NULL);
}

static void a_log_line_too_long_is_cut_and_says_so(void **state)
{
    static char big[20000];
    memset(big, 'x', sizeof(big) - 1);
    log_sink(keep_line, &lines);
    log_info("m", "e", KV_STR("v", big), KV_STR("w", "lost"));
    assert_in_range(strlen(last_line), 8000, 8200);
    assert_string_equal(last_line + strlen(last_line) - 3, "…");
    log_sink(NULL, NULL);
}

static void metrics_count_and_every_one_has_a_name(void **state)
{
    static const char *const names[] = {
#define METRIC(name, prom, help) prom "|" help,
#include <odradek/metric_list.h>
#undef METRIC
    };
    assert_int_equal(ARRAY_LEN(names), M_COUNT);
    for (int i = 0; i < M_COUNT; i++) assert_int_equal(strncmp(names[i], "odradek_", 8), 0);
    int64_t before = metric_get(M_requests);
    metric_add(M_requests, 3);
    assert_int_equal(metric_get(M_requests) - before, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_text_and_a_kafka_code),
        cmocka_unit_test(errno_is_translated_once),
        cmocka_unit_test(reasons_are_wrapped_outward),
        cmocka_unit_test(slices_compare_by_bytes_then_length_and_null_is_not_empty),
        cmocka_unit_test(uuids_travel_through_kafkas_text),
        IN_BOTH_WORLDS(random_uuids_are_version_4_and_never_look_like_an_option),
        IN_BOTH_WORLDS(random_numbers_stay_below_and_reach_everything),
        cmocka_unit_test(big_endian_fields_are_read_and_written_unaligned),
        cmocka_unit_test(crc32c_is_the_checksum_everybody_means_and_chains),
        cmocka_unit_test(a_hash_depends_on_every_byte_the_length_and_the_key),
        cmocka_unit_test(short_names_spread_evenly_over_a_table),
        cmocka_unit_test(a_log_line_is_one_event_with_quoted_values),
        cmocka_unit_test(a_log_line_too_long_is_cut_and_says_so),
        cmocka_unit_test(metrics_count_and_every_one_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
