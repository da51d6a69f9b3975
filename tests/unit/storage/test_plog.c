/* Appending, committing, reading, restarting: the everyday life of a partition log, in both worlds. */
#include "checkpoint.h"
#include "rig.h"
#include <errno.h>

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

static void what_was_read_to_find_the_place_comes_as_a_copy(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "index.interval.bytes=512");
    int copies = 0, ranges = 0;
    for (int i = 0; i < 200; i++) rig_put(&r, p, RIG_BATCH(.value = i % 10 == 9 ? 5000 : 100 + i, .ts = 1000 + i), "x");
    rig_durable(p);
    for (int i = 0; i < 200; i++) {
        for (uint32_t max = 1; max <= 6000; max += 1999) {
            uint8_t want[8192];
            struct plog_read rd = { .offset = i, .max_bytes = max, .whole_first = i % 2, .upto = READ_WATERMARK };
            assert_ok(plog_read(p, &rd, NULL));
            uint32_t n = rd.range.n;
            assert_true(n > 0 && n <= sizeof(want) && rd.copy.n == 0);
            assert_ok(range_copy(&rd.range, 0, want, n));
            range_release(&rd.range);

            rd.copy_max = 4096;
            rd.arena = &env->arena;
            assert_ok(plog_read(p, &rd, NULL));
            copies += rd.copy.n > 0;
            ranges += rd.range.n > 0;
            assert_int_equal(rd.copy.n + rd.range.n, n);
            assert_true(rd.copy.n == 0 || (rd.copy.n <= 4096 && !rd.range.seg));
            if (rd.copy.n) assert_memory_equal(rd.copy.p, want, n);
            range_release(&rd.range);
        }
    }
    assert_true(copies > 400 && ranges > 40); /* what is larger, or was not read on the way, is a range */
    for (int first = 0; first < 2; first++) { /* no byte at all is asked for, but one batch there may be */
        struct plog_read rd = { .offset = 3, .max_bytes = 0, .whole_first = first, .upto = READ_WATERMARK };
        assert_ok(plog_read(p, &rd, NULL));
        assert_true(first ? rd.range.n > 100 && rd.range.n < 300 : rd.range.n == 0);
        range_release(&rd.range);
    }
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* ---- producers ---------------------------------------------------------------------------------------------------------------------- */

static void who_reads_on_in_small_steps_needs_one_read_of_the_file_each_even_without_a_cursor(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct bytes want = { 0 }, have[2] = { { 0 }, { 0 } };
    int64_t at[2] = { 0, 150 }; /* two readers */
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "index.interval.bytes=512");
    for (int i = 0; i < 300; i++) rig_put(&r, p, RIG_BATCH(.value = 100 + i % 50, .ts = 1000 + i), "x");
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_begin(&r); /* the index is in its file now */
    p = rig_plog(&r, "t", 0, "");
    rig_read(p, 0, READ_WATERMARK, 1 << 20, &want);
    int64_t calls = sim_fs_calls(env->world), reads = 0;
    for (int i = 0; at[i] < 300; i = !i, reads++) {
        struct plog_read rd = {
            .offset = at[i], .max_bytes = 1000, .upto = READ_WATERMARK, .copy_max = 4096, .arena = &env->arena
        };
        struct batch_head h;
        assert_ok(plog_read(p, &rd, NULL));
        assert_true(rd.copy.n > 0);
        for (size_t n = 0; batch_parse_head(rd.copy.p + n, rd.copy.n - n, &h) == 0 && (size_t)h.size <= rd.copy.n - n;
             n += (size_t)h.size) {
            assert_int_equal(h.base_offset, at[i]++);
            bytes_put(&have[i], rd.copy.p + n, (size_t)h.size);
        }
    }
    assert_true(reads > 60);
    assert_in_range(sim_fs_calls(env->world) - calls, reads, reads + 12); /* each reader looked into the index once */
    assert_memory_equal(have[0].p, want.p, have[0].n);
    assert_memory_equal(have[1].p, want.p + (want.n - have[1].n), have[1].n);
    bytes_free(&have[0]);
    bytes_free(&have[1]);
    bytes_free(&want);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* Writes a byte into the first segment of "t", behind the log's back. */
static void smash(struct test_env *env, int64_t at, uint8_t byte)
{
    struct fs *fs = env->world->fs;
    int fd = fs->open(fs, test_path(env, "t-0/00000000000000000000.log"), FS_WRITE);
    struct iovec v = { &byte, 1 };
    assert_true(fd >= 0);
    assert_ok(fs->pwritev(fs, fd, &v, 1, at));
    fs->close(fs, fd);
}

/* "t" with n batches of one size, which it returns. */
static int64_t like_batches(struct rig *r, int n, const char *conf, struct plog **out)
{
    struct bytes b = { 0 };
    struct batch_head h;
    struct plog *p = *out = rig_plog(r, "t", 0, conf);
    for (int i = 0; i < n; i++) rig_put(r, p, RIG_BATCH(.value = 100), "x");
    rig_durable(p);
    rig_read(p, 0, READ_WATERMARK, 1, &b);
    assert_ok(batch_parse_head(b.p, b.n, &h));
    bytes_free(&b);
    return h.size;
}

/* The base offset of what a read of so many bytes begins with; or its error. */
static int64_t first_read(struct test_env *env, struct plog *p, int64_t offset, uint32_t n)
{
    struct plog_read rd = { .offset = offset, .max_bytes = n, .upto = READ_WATERMARK, .copy_max = 4096, .arena = &env->arena };
    uint8_t head[BATCH_HEADER];
    int rc = plog_read(p, &rd, NULL);
    if (rc < 0) return rc;
    if (rd.copy.n) memcpy(head, rd.copy.p, sizeof head);
    else assert_ok(range_copy(&rd.range, 0, head, sizeof head));
    range_release(&rd.range);
    return batch_base_offset(head);
}

static void two_damaged_batches_at_the_start_of_a_segment_do_not_hide_what_follows(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p;
    begin(&r, env);
    int64_t size = like_batches(&r, 10, "", &p);
    smash(env, BATCH_AT_MAGIC, 99);
    smash(env, 2 * size + BATCH_AT_MAGIC, 99);
    assert_int_equal(first_read(env, p, 5, 1000), 5);
    assert_int_equal(first_read(env, p, 1, 1000), 1);
    assert_int_equal(first_read(env, p, 2, 1000), E_CORRUPT_MESSAGE);
    plog_unref(&p);
    (void)rig_close(&r);
    rig_free(&r);
}

static void a_read_of_a_damaged_batch_walks_no_further_than_its_index(void **state)
{
    enum { BAD = 4000 };
    struct test_env *env = *state;
    struct rig r;
    struct plog *p;
    begin(&r, env);
    int64_t size = like_batches(&r, BAD + 100, "", &p);
    smash(env, BAD * size + BATCH_AT_MAGIC, 99);
    assert_int_equal(first_read(env, p, BAD - 4, 1000), BAD - 4); /* leaves a trail that ends there */
    for (int i = 0; i < 4; i++) {
        int64_t calls = sim_fs_calls(env->world);
        if (i % 2) assert_int_equal(first_read(env, p, BAD + 1, 1000), BAD + 1);
        else assert_int_equal(first_read(env, p, BAD, 1000), E_CORRUPT_MESSAGE);
        assert_in_range(sim_fs_calls(env->world) - calls, 1, 16);
    }
    plog_unref(&p);
    (void)rig_close(&r);
    rig_free(&r);
}

static void a_wrong_offset_leads_nobody_else_astray(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p;
    begin(&r, env);
    int64_t size = like_batches(&r, 100, "index.interval.bytes=512", &p);
    smash(env, 50 * size + 7, 20); /* batch 50 says that it is batch 20: its checksum is not of that */
    for (int round = 0; round < 3; round++) {
        assert_int_equal(first_read(env, p, 22, 1000), 22);
        assert_int_equal(first_read(env, p, 48, (uint32_t)(3 * size)), 48);
    }
    plog_unref(&p);
    (void)rig_close(&r);
    rig_free(&r);
}

static void a_retried_batch_is_a_duplicate_with_its_first_offset_also_after_a_restart(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    int64_t first;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "");
    int64_t now = env->world->clock->wall_ms(env->world->clock); /* idle producers are forgotten by their records' time */
    for (int i = 0; i < 7; i++) rig_put(&r, p, RIG_BATCH(.pid = 9, .seq = i * 2, .records = 2, .ts = now), "x");
    rig_durable(p);
    for (int life = 0; life < 3; life++) { /* now, after a kill, after a clean stop */
        for (int i = 2; i < 7; i++) {
            assert_err(rig_produce(&r, p, RIG_BATCH(.pid = 9, .seq = i * 2, .records = 2), "x", &first),
                       i == 6 || life < 2 ? E_DUPLICATE_BATCH
                                          : E_OUT_OF_ORDER_SEQUENCE_NUMBER); /* a snapshot keeps one, as Kafka's */
            if (i == 6 || life < 2) assert_int_equal(first, i * 2);
        }
        assert_err(rig_produce(&r, p, RIG_BATCH(.pid = 9, .seq = 16), "x", NULL), E_OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_err(rig_produce(&r, p, RIG_BATCH(.pid = 9, .epoch = -1, .seq = 14), "x", NULL), E_INVALID_PRODUCER_EPOCH);
        assert_int_equal(rig_offsets(p).end, 14);
        plog_unref(&p);
        if (life == 0) rig_kill(&r);
        else assert_ok(rig_close(&r));
        rig_begin(&r);
        p = rig_plog(&r, "t", 0, "");
    }
    assert_int_equal(rig_put(&r, p, RIG_BATCH(.pid = 9, .seq = 14), "y"), 14);
    assert_int_equal(logs_max_producer_id(r.logs), 9);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void read_committed_stops_at_the_first_open_transaction_and_hears_of_aborted_ones(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct append a;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(), "plain");
    rig_put(&r, p, RIG_BATCH(.pid = 1, .txn = true), "aborted");
    rig_put(&r, p, RIG_BATCH(.pid = 2, .txn = true), "committed");
    rig_durable(p);
    assert_int_equal(rig_offsets(p).stable, 1);
    assert_string_equal(rig_all(&r, &env->arena, p, READ_STABLE), "plain@0");

    struct bytes m = { 0 };
    rig_marker(1, 0, false, &m);
    rig_append(&r, p, &m, &a);
    assert_ok(a.err);
    rig_durable(p);
    assert_int_equal(rig_offsets(p).stable, 2);
    m.n = 0;
    rig_marker(2, 0, true, &m);
    rig_append(&r, p, &m, &a);
    assert_ok(a.err);
    rig_durable(p);
    for (int life = 0; life < 3; life++) {
        assert_int_equal(rig_offsets(p).stable, 5);
        struct plog_read rd = { .offset = 0, .max_bytes = 1 << 20, .upto = READ_STABLE, .arena = &env->arena };
        assert_ok(plog_read(p, &rd, NULL));
        assert_int_equal(rd.aborted_n, 1);
        assert_int_equal(rd.aborted[0].producer_id, 1);
        assert_int_equal(rd.aborted[0].first_offset, 1);
        range_release(&rd.range);
        plog_unref(&p);
        if (life == 0) rig_kill(&r);
        else assert_ok(rig_close(&r));
        rig_begin(&r);
        p = rig_plog(&r, "t", 0, "");
    }
    bytes_free(&m);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* ---- by time ------------------------------------------------------------------------------------------------------------------------ */

static void records_are_found_by_timestamp_over_segments_and_codecs(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    int64_t o, ts;
    int32_t e;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "segment.bytes=1048576");
    assert_ok(plog_find_time(p, 0, READ_WATERMARK, &o, &ts, &e));
    assert_int_equal(o, -1);
    for (int i = 0; i < 120; i++)
        rig_put(&r, p, RIG_BATCH(.ts = 10000 + i * 10, .records = 3, .value = 10000, .codec = i % 2 ? CODEC_LZ4 : CODEC_NONE),
                "x");
    rig_durable(p);
    plog_set_leader_epoch(p, 4);
    rig_put(&r, p, RIG_BATCH(.ts = 5000), "late");
    rig_durable(p);
    for (int life = 0; life < 2; life++) {
        for (int i = 0; i < 120; i += 11) {
            assert_ok(plog_find_time(p, 10000 + i * 10 + 1, READ_WATERMARK, &o, &ts, &e));
            assert_int_equal(o, i * 3 + 1);
            assert_int_equal(ts, 10000 + i * 10 + 1);
        }
        assert_ok(plog_find_time(p, 1, READ_WATERMARK, &o, &ts, &e));
        assert_int_equal(o, 0);
        assert_ok(plog_find_time(p, 20000, READ_WATERMARK, &o, &ts, &e));
        assert_int_equal(o, -1);
        assert_ok(plog_find_max_time(p, READ_WATERMARK, &o, &ts, &e));
        assert_int_equal(o, 119 * 3 + 2);
        assert_int_equal(ts, 10000 + 1190 + 2);
        assert_int_equal(plog_epoch_at(p, 360), 4);
        plog_unref(&p);
        assert_ok(rig_close(&r));
        rig_begin(&r);
        p = rig_plog(&r, "t", 0, "segment.bytes=1048576");
    }
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* ---- deleting ------------------------------------------------------------------------------------------------------------------------- */

static void deleted_records_stay_deleted_and_whole_segments_go(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    int64_t start;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "segment.bytes=1048576 file.delete.delay.ms=0 retention.ms=-1");
    for (int i = 0; i < 100; i++) rig_put(&r, p, RIG_BATCH(.value = 50000), "x");
    rig_durable(p);
    int64_t before = plog_size(p);
    assert_err(plog_delete_records(p, 101, &start), E_OFFSET_OUT_OF_RANGE);
    assert_ok(plog_delete_records(p, 50, &start));
    assert_int_equal(start, 50);
    assert_ok(plog_delete_records(p, 20, &start)); /* never back */
    assert_int_equal(start, 50);
    assert_true(plog_size(p) < before * 7 / 10);
    for (int life = 0; life < 3; life++) {
        assert_int_equal(rig_offsets(p).start, 50);
        struct plog_read rd = { .offset = 49, .max_bytes = 100, .upto = READ_WATERMARK };
        assert_err(plog_read(p, &rd, NULL), E_OFFSET_OUT_OF_RANGE);
        assert_int_equal(rig_read(p, 50, READ_WATERMARK, 60000, NULL), 100);
        plog_unref(&p);
        if (life == 0) rig_kill(&r);
        else assert_ok(rig_close(&r));
        rig_begin(&r);
        p = rig_plog(&r, "t", 0, "segment.bytes=1048576 file.delete.delay.ms=0 retention.ms=-1");
    }
    assert_ok(plog_delete_records(p, -1, &start)); /* all: a new segment at the end takes over */
    assert_int_equal(start, 100);
    assert_int_equal(rig_put(&r, p, RIG_BATCH(), "y"), 100);
    rig_durable(p);
    assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "y@100");
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void retention_by_size_and_time_drops_the_oldest_segments(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    int64_t now = env->world->clock->wall_ms(env->world->clock);
    begin(&r, env);
    struct plog *p = rig_plog(&r, "size", 0, "segment.bytes=1048576 retention.bytes=2500000 retention.ms=-1");
    struct plog *q = rig_plog(&r, "time", 0, "segment.bytes=1048576 retention.ms=3600000");
    struct plog *c = rig_plog(&r, "kept", 0, "segment.bytes=1048576 retention.ms=1 retention.bytes=1 cleanup.policy=compact");
    for (int i = 0; i < 100; i++) {
        rig_put(&r, p, RIG_BATCH(.value = 50000, .ts = now), "x");
        rig_put(&r, q, RIG_BATCH(.value = 50000, .ts = i < 50 ? now - 7200000 : now), "x");
        rig_put(&r, c, RIG_BATCH(.value = 50000, .ts = 1), "x");
    }
    struct file_range held = { 0 };
    rig_durable(p);
    struct plog_read rd = { .offset = 0, .max_bytes = 1000, .upto = READ_WATERMARK };
    assert_ok(plog_read(p, &rd, NULL));
    held = rd.range;
    logs_retain(r.logs);
    assert_true(plog_size(p) >= 2500000 && plog_size(p) < 2500000 + 1100000);
    int64_t start = rig_offsets(p).start;
    assert_true(start > 0);
    assert_int_equal(rig_read(p, start, READ_WATERMARK, 200000, NULL), 100);
    assert_in_range(rig_offsets(q).start, 30, 50); /* whole segments only */
    assert_int_equal(rig_offsets(c).start, 0);
    uint8_t b[100];
    assert_ok(range_copy(&held, 0, b, sizeof(b))); /* a range in flight is still readable */
    range_release(&held);
    plog_unref(&p);
    plog_unref(&q);
    plog_unref(&c);
    assert_ok(rig_close(&r));
    rig_begin(&r);
    p = rig_plog(&r, "size", 0, "segment.bytes=1048576 retention.bytes=2500000 retention.ms=-1");
    assert_int_equal(rig_offsets(p).start, start);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void a_deleted_partition_is_gone_at_once_and_its_name_is_free(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "file.delete.delay.ms=60000"), *q;
    for (int i = 0; i < 5; i++) rig_put(&r, p, RIG_BATCH(), "x");
    rig_durable(p);
    logs_checkpoint(r.logs);
    assert_ok(logs_delete_partition(r.logs, p));
    struct plog_read rd = { .offset = 0, .max_bytes = 100, .upto = READ_WATERMARK };
    assert_err(plog_read(p, &rd, NULL), E_GONE);
    assert_err(rig_produce(&r, p, RIG_BATCH(), "x", NULL), E_GONE);
    q = rig_plog(&r, "t", 0, "");
    assert_int_equal(rig_offsets(q).end, 0);
    assert_int_equal(rig_put(&r, q, RIG_BATCH(), "new"), 0);
    rig_durable(q);
    plog_unref(&p);
    plog_unref(&q);
    rig_kill(&r);

    rig_begin(&r); /* J9: the old log's recovery point is not taken for the new one's */
    q = rig_plog(&r, "t", 0, "");
    assert_string_equal(rig_all(&r, &env->arena, q, READ_WATERMARK), "new@0");
    struct log_found *found;
    int n;
    assert_ok(logs_scan(r.logs, true, &env->arena, &found, &n, NULL));
    assert_int_equal(n, 1);
    plog_unref(&q);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* ---- modes, limits ---------------------------------------------------------------------------------------------------------------------- */

static void with_flush_messages_above_one_the_page_cache_counts(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "flush.messages=9223372036854775807");
    int64_t syncs = metric_get(M_sys_sync);
    for (int i = 0; i < 5; i++) rig_put(&r, p, RIG_BATCH(), "x");
    assert_int_equal(rig_offsets(p).watermark, 5);
    assert_int_equal(rig_offsets(p).durable, 0);
    assert_int_equal(metric_get(M_sys_sync), syncs);
    struct topic_conf tc = rig_topic_conf(&r, "");
    plog_set_conf(p, &tc); /* back to the promise of the disk: the watermark does not fall */
    assert_int_equal(rig_offsets(p).watermark, 5);
    rig_put(&r, p, RIG_BATCH(), "y");
    rig_durable(p);
    assert_int_equal(rig_offsets(p).watermark, 6);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void an_append_larger_than_a_segment_is_refused(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "segment.bytes=1048576");
    assert_err(rig_produce(&r, p, RIG_BATCH(.records = 20, .value = 60000), "x", NULL), E_RECORD_LIST_TOO_LARGE);
    assert_int_equal(rig_put(&r, p, RIG_BATCH(.records = 15, .value = 60000), "x"), 0); /* above 256 KiB: by the write worker */
    rig_durable(p);
    assert_int_equal(rig_offsets(p).watermark, 15);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void many_appends_of_one_turn_are_one_write(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    enum { N = 50 };
    struct append a[N];
    struct bytes b[N] = { 0 };
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(), "warm");
    rig_durable(p);
    int64_t writes = metric_get(M_sys_append);
    for (int i = 0; i < N; i++) {
        rig_build(&RIG_BATCH(), "x", &b[i]);
        a[i] = (struct append){ .log = p, .bytes = b[i].p, .n = b[i].n, .records = 1, .home = r.waker };
    }
    rig_home(&r, rig_stage_many, &(struct rig_many){ a, N });
    for (int i = 0; i < N; i++) {
        rig_until(&r, &a[i].done);
        assert_ok(a[i].err);
        assert_int_equal(a[i].first, 1 + i);
        bytes_free(&b[i]);
    }
    assert_int_equal(metric_get(M_sys_append), writes + 1);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* ---- watches ---------------------------------------------------------------------------------------------------------------------------- */

struct watcher {
    struct rig *rig;
    struct plog *log;
    struct sleeper sleeper;
    struct watch watch;
    enum watch_on on;
    int64_t offset;
    bool armed;
    _Atomic int woken;
};

static void watcher_wake(struct sleeper *s) { atomic_fetch_add(&container_of(s, struct watcher, sleeper)->woken, 1); }

static void watcher_arm(void *arg)
{
    struct watcher *w = arg;
    if (!w->sleeper.id) {
        w->sleeper.wake = watcher_wake;
        waker_add(w->rig->waker, &w->sleeper);
    }
    w->armed = plog_watch(w->log, &w->watch, w->rig->waker, w->sleeper.id, w->on, w->offset);
}

static void watcher_end(void *arg)
{
    struct watcher *w = arg;
    plog_unwatch(&w->watch);
    waker_remove(w->rig->waker, &w->sleeper);
}

static void woken_at_least(struct rig *r, struct watcher *w, int n)
{
    while (atomic_load(&w->woken) < n) {
        if (r->w->sim) assert_true(sim_step(r->w));
        else sched_yield();
    }
}

static void a_watch_refuses_what_is_reached_and_wakes_when_it_is(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(), "a");
    rig_durable(p);
    struct watcher past = { .rig = &r, .log = p, .on = WATCH_DURABLE, .offset = 1 };
    struct watcher next = { .rig = &r, .log = p, .on = WATCH_WATERMARK, .offset = 2 };
    struct watcher later = { .rig = &r, .log = p, .on = WATCH_WATERMARK, .offset = 3 };
    struct watcher stable = { .rig = &r, .log = p, .on = WATCH_STABLE, .offset = 2 };
    rig_home(&r, watcher_arm, &past);
    assert_false(past.armed);
    rig_home(&r, watcher_arm, &later);
    rig_home(&r, watcher_arm, &next);
    rig_home(&r, watcher_arm, &stable);
    assert_true(next.armed && later.armed && stable.armed);

    rig_put(&r, p, RIG_BATCH(.pid = 1, .txn = true), "b"); /* the watermark moves, the last stable offset does not */
    woken_at_least(&r, &next, 1);
    rig_durable(p);
    rig_home(&r, watcher_arm, &next); /* a look at home: all that was posted before has been heard */
    assert_false(next.armed);
    assert_int_equal(atomic_load(&later.woken), 0);
    assert_int_equal(atomic_load(&stable.woken), 0);

    struct bytes m = { 0 };
    struct append a;
    rig_marker(1, 0, true, &m);
    rig_append(&r, p, &m, &a);
    bytes_free(&m);
    woken_at_least(&r, &later, 1);
    woken_at_least(&r, &stable, 1);

    next.offset = 100;
    rig_home(&r, watcher_arm, &next);
    assert_true(next.armed);
    int heard = atomic_load(&next.woken);
    assert_ok(logs_delete_partition(r.logs, p)); /* gone wakes whatever was waited for */
    woken_at_least(&r, &next, heard + 1);
    rig_home(&r, watcher_end, &past);
    rig_home(&r, watcher_end, &next);
    rig_home(&r, watcher_end, &later);
    rig_home(&r, watcher_end, &stable);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* Ten thousand watchers of what has not come yet: an append makes as many turns as without them, and wakes none. */
static void parked_watchers_cost_an_append_nothing(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    enum { N = 10000 };
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "");
    struct watcher *w = mem_zalloc(N * sizeof(*w));
    int64_t turns[2];
    rig_put(&r, p, RIG_BATCH(), "a");
    rig_durable(p);
    for (int parked = 0; parked < 2; parked++) {
        for (int i = 0; parked && i < N; i++) {
            w[i] = (struct watcher){ .rig = &r, .log = p, .on = WATCH_WATERMARK, .offset = 1000000 };
            rig_home(&r, watcher_arm, &w[i]);
        }
        struct append a;
        struct bytes b = { 0 };
        rig_build(&RIG_BATCH(), "b", &b);
        a = (struct append){ .log = p, .bytes = b.p, .n = b.n, .records = 1, .home = r.waker };
        rig_home(&r, rig_stage, &a);
        for (turns[parked] = 0; rig_offsets(p).durable < 2 + parked; turns[parked]++) assert_true(sim_step(r.w));
        sim_run(r.w, 1000);
        bytes_free(&b);
    }
    assert_in_range(turns[1], 1, turns[0] + 4); /* the schedule is drawn anew: one post more, not one per watcher */
    for (int i = 0; i < N; i++) {
        assert_int_equal(atomic_load(&w[i].woken), 0);
        rig_home(&r, watcher_end, &w[i]);
    }
    mem_free(w);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* ---- starting ------------------------------------------------------------------------------------------------------------------------------ */

static void the_metadata_log_opens_and_appends_before_begin(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    rig_init(&r, env->world, env->dir, NULL);
    for (int life = 0; life < 3; life++) {
        rig_open(&r);
        struct plog *p = rig_plog(&r, "__cluster_metadata", 0, "");
        struct bytes b = { 0 };
        assert_int_equal(rig_offsets(p).end, life * 2);
        plog_set_leader_epoch(p, life + 1);
        for (int i = 0; i < 2; i++) {
            b.n = 0;
            rig_build(&RIG_BATCH(), "m", &b);
            struct append a = { .log = p, .bytes = b.p, .n = b.n, .records = 1, .origin = APPEND_COORDINATOR };
            assert_ok(plog_append_now(p, &a));
            assert_int_equal(a.first, life * 2 + i);
            assert_int_equal(batch_leader_epoch(b.p), life + 1);
            assert_int_equal(rig_offsets(p).durable, life * 2 + i + 1);
            if (i == 0) rig_begin(&r); /* the second one with the workers there */
        }
        bytes_free(&b);
        logs_retain(r.logs);
        assert_int_equal(plog_epoch_at(p, life * 2), life + 1);
        plog_unref(&p);
        if (life == 1) rig_kill(&r);
        else assert_ok(rig_close(&r));
    }
    rig_free(&r);
}

/* K3: the marker goes before the first write, and comes back last, only after a clean stop. */
static void the_clean_marker_is_there_only_between_a_clean_stop_and_the_next_start(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct fs_stat st;
    struct fs *fs = env->world->fs;
    const char *marker = test_path(env, ".kafka_cleanshutdown");
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(.pid = 5), "x");
    assert_int_not_equal(fs->stat(fs, marker, &st), 0);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    assert_int_equal(fs->stat(fs, marker, &st), 0);
    assert_string_equal(test_read(env, marker), "{\"version\":0,\"brokerEpoch\":7}");
    assert_int_equal(fs->stat(fs, test_path(env, "t-0/00000000000000000001.snapshot"), &st), 0);
    assert_string_equal(test_read(env, test_path(env, "recovery-point-offset-checkpoint")), "0\n1\nt 0 1\n");
    rig_open(&r);
    struct log_dir_info info;
    logs_dir_info(r.logs, 0, &info);
    assert_true(info.was_clean);
    assert_int_equal(info.broker_epoch, 7);
    assert_int_equal(fs->stat(fs, marker, &st), 0);
    rig_begin(&r);
    assert_int_not_equal(fs->stat(fs, marker, &st), 0);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void a_directory_serves_one_broker_and_a_log_one_topic_id(void **state)
{
    struct test_env *env = *state;
    struct rig r, other;
    struct why why = { "" };
    struct plog *q;
    begin(&r, env);
    rig_init(&other, env->world, env->dir, NULL);
    assert_err(logs_open(other.w, other.conf, &other.logs, &why), E_LOCKED);
    struct plog *p = rig_plog(&r, "t", 0, "");
    assert_err(rig_try(&r, "t", 0, "", &q, &why), E_EXISTS);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_begin(&r);
    struct topic_conf tc = rig_topic_conf(&r, "");
    struct plog_spec spec = { .topic = S("t"), .topic_id = { { 77 } }, .dir = -1, .conf = &tc };
    spec.must_exist = true;
    spec.leader_epoch = -1; /* looked into now, not at its first use */
    assert_err(logs_partition(r.logs, &spec, &p, &why), E_INCONSISTENT_TOPIC_ID);
    spec.partition = 1;
    assert_err(logs_partition(r.logs, &spec, &p, &why), E_NOT_FOUND);
    assert_ok(rig_close(&r));
    rig_free(&r);
    rig_free(&other);
}

/* A new topic where a directory of another one of that name is left: that one is set aside, as Kafka does, and nothing of it is in the new log. */
static void a_new_log_sets_aside_what_is_in_its_place(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct why why = { "" };
    begin(&r, env);
    struct plog *p = rig_plog(&r, "t", 0, "");
    for (int i = 0; i < 5; i++) rig_put(&r, p, RIG_BATCH(), "old");
    rig_durable(p);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_begin(&r);
    struct topic_conf tc = rig_topic_conf(&r, "");
    struct plog_spec spec = { .topic = S("t"), .topic_id = { { 77 } }, .dir = -1, .conf = &tc };
    for (int i = 0; i < 2; i++) { /* and again after a restart: now it is its own */
        assert_ok(logs_partition(r.logs, &spec, &p, &why));
        if (i == 0) {
            assert_string_equal(rig_all(&r, &env->arena, p, READ_END), "");
            rig_put(&r, p, RIG_BATCH(), "new");
            rig_durable(p);
            plog_unref(&p);
            rig_kill(&r); /* what the checkpoint said of the old one is not believed of the new one */
            rig_begin(&r);
            continue;
        } else assert_string_equal(rig_all(&r, &env->arena, p, READ_END), "new@0");
        plog_unref(&p);
        assert_ok(rig_close(&r));
        rig_begin(&r);
    }
    struct slice *names;
    int n, strays = 0;
    assert_ok(r.w->fs->list(r.w->fs, env->dir, &env->arena, &names, &n));
    for (int i = 0; i < n; i++) strays += names[i].n > 6 && memcmp(names[i].p + names[i].n - 6, "-stray", 6) == 0;
    assert_int_equal(strays, 1);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* A log of five records of which three are deleted, by checkpoints that say so; closed. */
static void five(struct rig *r, struct test_env *env)
{
    int64_t start;
    begin(r, env);
    struct plog *p = rig_plog(r, "t", 0, "");
    for (int i = 0; i < 5; i++) rig_put(r, p, RIG_BATCH(), "old");
    rig_durable(p);
    assert_ok(plog_delete_records(p, 3, &start));
    plog_unref(&p);
    assert_ok(rig_close(r));
}

static void a_new_log_keeps_its_record(struct rig *r, struct test_env *env)
{
    struct plog *p = rig_plog(r, "t", 0, "");
    assert_int_equal(rig_put(r, p, RIG_BATCH(), "new"), 0);
    rig_durable(p);
    plog_unref(&p);
    rig_kill(r);
    rig_begin(r);
    p = rig_plog(r, "t", 0, "");
    assert_string_equal(rig_all(r, &env->arena, p, READ_END), "new@0");
    assert_int_equal(rig_offsets(p).end, 1);
    plog_unref(&p);
    rig_kill(r);
    rig_free(r);
}

/* A deletion that was cut short, or somebody's hand: the directory is gone, what the checkpoints say of it is not. */
static void a_new_log_is_told_nothing_of_a_former_one_whose_directory_is_gone(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    five(&r, env);
    assert_ok(fs_remove_tree(env->world->fs, test_path(env, "t-0")));
    rig_begin(&r);
    a_new_log_keeps_its_record(&r, env);
}

/* While the checkpoint cannot be written there is no new log; and many new ones need it written once. */
static void what_is_said_of_former_logs_is_gone_before_there_are_new_ones(void **state)
{
    enum { MANY = 20 };
    struct test_env *env = *state;
    struct rig r;
    struct why why = { "" };
    struct plog *p, *v[MANY];
    struct plog_spec specs[MANY];
    int errs[MANY];
    struct sim_fault full = { .nth = 1, .sticky = true, .err = -ENOSPC, .ops = SIM_RENAME, .path = CHECKPOINT_RECOVERY },
                     second = { .nth = 2, .err = -EIO, .ops = SIM_RENAME, .path = CHECKPOINT_RECOVERY };
    five(&r, env);
    rig_begin(&r);
    p = rig_plog(&r, "t", 0, "");
    sim_fault(r.w, full);
    assert_ok(logs_delete_partition(r.logs, p)); /* as far as it goes */
    plog_unref(&p);
    assert_err(rig_try(&r, "t", 0, "", &p, &why), E_NO_SPACE);
    sim_fault(r.w, (struct sim_fault){ 0 });
    a_new_log_keeps_its_record(&r, env);

    rig_init(&r, env->world, env->dir, NULL);
    rig_begin(&r);
    struct topic_conf tc = rig_topic_conf(&r, "");
    for (int i = 0; i < MANY; i++)
        specs[i] = (struct plog_spec){ .topic = S("u"), .topic_id = { { 7 } }, .partition = i, .dir = -1, .conf = &tc };
    for (int round = 0; round < 2; round++) {
        logs_partitions(r.logs, specs, MANY, v, errs, &why);
        for (int i = 0; i < MANY; i++) {
            assert_ok(errs[i]);
            rig_put(&r, v[i], RIG_BATCH(), "u");
            rig_durable(v[i]);
            plog_unref(&v[i]);
        }
        sim_fault(r.w, (struct sim_fault){ 0 });
        assert_ok(rig_close(&r));
        if (round == 1) break;
        for (int i = 0; i < MANY; i++)
            assert_ok(fs_remove_tree(env->world->fs, test_path(env, arena_printf(&env->arena, "u-%d", i).p)));
        rig_begin(&r);
        sim_fault(r.w, second);
    }
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(what_was_appended_is_read_back_in_order),
        IN_BOTH_WORLDS(a_clean_restart_keeps_everything),
        IN_BOTH_WORLDS(a_killed_broker_recovers_what_was_written),
        IN_BOTH_WORLDS(segments_roll_and_reads_cross_them),
        IN_BOTH_WORLDS(what_was_read_to_find_the_place_comes_as_a_copy),
        IN_SIM_WORLD(two_damaged_batches_at_the_start_of_a_segment_do_not_hide_what_follows),
        IN_SIM_WORLD(a_read_of_a_damaged_batch_walks_no_further_than_its_index),
        IN_SIM_WORLD(a_wrong_offset_leads_nobody_else_astray),
        IN_SIM_WORLD(who_reads_on_in_small_steps_needs_one_read_of_the_file_each_even_without_a_cursor),
        IN_BOTH_WORLDS(a_retried_batch_is_a_duplicate_with_its_first_offset_also_after_a_restart),
        IN_BOTH_WORLDS(read_committed_stops_at_the_first_open_transaction_and_hears_of_aborted_ones),
        IN_BOTH_WORLDS(records_are_found_by_timestamp_over_segments_and_codecs),
        IN_BOTH_WORLDS(deleted_records_stay_deleted_and_whole_segments_go),
        IN_BOTH_WORLDS(retention_by_size_and_time_drops_the_oldest_segments),
        IN_BOTH_WORLDS(a_deleted_partition_is_gone_at_once_and_its_name_is_free),
        IN_BOTH_WORLDS(with_flush_messages_above_one_the_page_cache_counts),
        IN_BOTH_WORLDS(an_append_larger_than_a_segment_is_refused),
        IN_BOTH_WORLDS(many_appends_of_one_turn_are_one_write),
        IN_BOTH_WORLDS(a_watch_refuses_what_is_reached_and_wakes_when_it_is),
        IN_SIM_WORLD(parked_watchers_cost_an_append_nothing),
        IN_BOTH_WORLDS(the_metadata_log_opens_and_appends_before_begin),
        IN_BOTH_WORLDS(the_clean_marker_is_there_only_between_a_clean_stop_and_the_next_start),
        IN_BOTH_WORLDS(a_directory_serves_one_broker_and_a_log_one_topic_id),
        IN_BOTH_WORLDS(a_new_log_sets_aside_what_is_in_its_place),
        IN_BOTH_WORLDS(a_new_log_is_told_nothing_of_a_former_one_whose_directory_is_gone),
        IN_SIM_WORLD(what_is_said_of_former_logs_is_gone_before_there_are_new_ones),
    };
    return cmocka_run_group_tests_name("plog", tests, NULL, NULL);
}
