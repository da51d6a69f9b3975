/* Appending, committing, reading, restarting: the everyday life of a partition log, in both worlds. */
#include "rig.h"

static void begin(struct rig *r, struct test_env *env)
{
    rig_init(r, env->world, env->dir, NULL);
    rig_begin(r);
}

static void what_was_appended_is_read_back_in_order(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "");
    assert_int_equal(rig_put(&r, p, RIG_BATCH(.records = 3), "a"), 0);
    assert_int_equal(rig_put(&r, p, RIG_BATCH(), "b"), 3);
    rig_durable(p);
    assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "a@0 a@1 a@2 b@3");
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void a_clean_restart_keeps_everything(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(), "a");
    rig_put(&r, p, RIG_BATCH(), "b");
    plog_unref(&p);
    assert_ok(rig_close(&r));

    rig_begin(&r);
    assert_true(logs_was_clean(r.logs));
    p = rig_plog(&r, "t", 0, "");
    assert_int_equal(rig_offsets(p).end, 2);
    assert_int_equal(rig_offsets(p).watermark, 2);
    assert_int_equal(rig_put(&r, p, RIG_BATCH(), "c"), 2);
    rig_durable(p);
    assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "a@0 b@1 c@2");
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void a_killed_broker_recovers_what_was_written(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "");
    for (int i = 0; i < 20; i++) rig_put(&r, p, RIG_BATCH(.value = 1000), "x");
    plog_unref(&p);
    rig_kill(&r);

    rig_begin(&r);
    assert_false(logs_was_clean(r.logs));
    p = rig_plog(&r, "t", 0, "");
    assert_int_equal(rig_offsets(p).end, 20);
    assert_int_equal(rig_offsets(p).durable, 20);
    assert_int_equal(rig_read(p, 0, READ_WATERMARK, 3000, NULL), 20);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void segments_roll_and_reads_cross_them(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "segment.bytes=1048576 index.interval.bytes=512");
    struct bytes want = { 0 }, have = { 0 };
    for (int i = 0; i < 300; i++) rig_put(&r, p, RIG_BATCH(.value = 10000, .ts = 1000 + i), "x");
    rig_durable(p);
    assert_int_equal(rig_read(p, 0, READ_WATERMARK, 50000, &have), 300);
    assert_int_equal(rig_read(p, 0, READ_WATERMARK, 1, &want), 300);
    assert_int_equal(have.n, want.n);
    assert_memory_equal(have.p, want.p, have.n);
    for (int i = 0; i < 300; i += 7) { /* every offset is found from cold */
        struct plog_read rd = { .offset = i, .max_bytes = 1, .whole_first = true, .upto = READ_WATERMARK };
        assert_ok(plog_read(p, &rd, NULL));
        uint8_t head[BATCH_HEADER];
        assert_ok(range_copy(&rd.range, 0, head, sizeof(head)));
        assert_int_equal(batch_base_offset(head), i);
        range_release(&rd.range);
    }
    bytes_free(&want);
    bytes_free(&have);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(what_was_appended_is_read_back_in_order),
        IN_BOTH_WORLDS(a_clean_restart_keeps_everything),
        IN_BOTH_WORLDS(a_killed_broker_recovers_what_was_written),
        IN_BOTH_WORLDS(segments_roll_and_reads_cross_them),
    };
    return cmocka_run_group_tests_name("plog", tests, NULL, NULL);
}
