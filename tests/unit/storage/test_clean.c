/* The cleaner: its map, when it works, what it leaves alone. What it keeps of a log: test_clean_golden.c, test_clean_model.c. */
#include "clean_rig.h"

#define SMALL "cleanup.policy=compact internal.segment.bytes=1000 "
#define EAGER SMALL "min.cleanable.dirty.ratio=0 "

/* ---- the map -------------------------------------------------------------------------------------------------------------------------- */

static void fill_map(struct test_env *env, int64_t memory, double load, int keys)
{
    struct clean_map m;
    int64_t *last = mem_alloc((size_t)keys * sizeof(*last));
    char key[64];
    clean_map_init(&m, memory, load, env->world->rnd);
    assert_int_equal(clean_map_memory(&m), 0);
    for (int i = 0; i < keys; i++) last[i] = -1;
    for (int64_t offset = 0; offset < 3 * keys; offset++) {
        int k = (int)(offset * 7919 % keys);
        int n = snprintf(key, sizeof(key), "%d-%.*s", k, k % 20, "....................");
        assert_true(clean_map_put(&m, (struct slice){ key, (size_t)n }, offset));
        last[k] = offset;
        assert_int_equal(m.latest, offset);
    }
    assert_true(clean_map_put(&m, (struct slice){ "", 0 }, 5));
    assert_int_equal(m.size, keys + 1);
    for (int k = 0; k < keys; k++) {
        int n = snprintf(key, sizeof(key), "%d-%.*s", k, k % 20, "....................");
        assert_int_equal(clean_map_get(&m, (struct slice){ key, (size_t)n }), last[k]);
        assert_int_equal(clean_map_get(&m, (struct slice){ key, (size_t)n - 1 }), -1);
    }
    assert_int_equal(clean_map_get(&m, (struct slice){ "", 0 }), 5);
    assert_true(clean_map_memory(&m) >= m.size * CLEAN_ENTRY &&
                clean_map_memory(&m) <= MIN(memory, 3 * m.size * CLEAN_ENTRY + 256 * 16 * CLEAN_ENTRY));
    clean_map_free(&m);
    clean_map_free(&m);
    mem_free(last);
}

static void the_map_knows_the_last_offset_of_every_key(void **state)
{
    fill_map(*state, 1 * MiB, 0.9, 100);
    fill_map(*state, 1 * MiB, 0.9, 39000);
    fill_map(*state, 16 * MiB, 0.9, 30000);
    fill_map(*state, 3 * MiB, 0.9, 110000);
}

static void a_full_map_stays_within_its_memory(void **state)
{
    struct test_env *env = *state;
    for (int64_t memory = 2400; memory <= 2400000; memory *= 1000) {
        struct clean_map m;
        char key[32];
        int64_t n = 0;
        clean_map_init(&m, memory, 0.9, env->world->rnd);
        while (clean_map_put(&m, (struct slice){ key, (size_t)snprintf(key, sizeof(key), "%lld", (long long)n) }, n)) n++;
        assert_int_equal(n, memory / 24 * 9 / 10);
        assert_int_equal(m.latest, n - 1);
        assert_true(clean_map_memory(&m) <= memory);
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(clean_map_get(&m, (struct slice){ key, (size_t)snprintf(key, sizeof(key), "%lld", (long long)i) }),
                             i);
        clean_map_free(&m);
    }
}

/* ---- logs ------------------------------------------------------------------------------------------------------------------------------- */

struct bench {
    struct rig r;
    struct model m;
};

static struct bench *bench_new(struct test_env *env, const char *more, const char *topic)
{
    struct bench *b = new (struct bench);
    rig_init(&b->r, env->world, env->dir, more);
    rig_begin(&b->r);
    b->m.r = &b->r;
    b->m.rng = 12345;
    b->m.now_ms = env->world->clock->wall_ms(env->world->clock);
    b->m.p = rig_plog(&b->r, "t", 0, topic);
    return b;
}

static void bench_free(struct bench *b)
{
    if (b->m.p) plog_unref(&b->m.p);
    assert_ok(rig_close(&b->r));
    rig_free(&b->r);
    mem_free(b);
}

static void put_keys(struct bench *b, int n, int keys)
{
    for (int i = 0; i < n; i++) assert_ok(model_one(&b->m, i % keys, false));
    rig_durable(b->m.p);
}

static bool has_files(struct bench *b, const char *suffix)
{
    struct arena a;
    struct slice *names;
    int n;
    bool has = false;
    arena_init(&a);
    assert_ok(b->r.w->fs->list(b->r.w->fs, b->m.p->path, &a, &names, &n));
    for (int i = 0; i < n; i++)
        has |= names[i].n > strlen(suffix) && memcmp(names[i].p + names[i].n - strlen(suffix), suffix, strlen(suffix)) == 0;
    arena_free(&a);
    return has;
}

static void sim_until(struct bench *b, int64_t ms) { sim_run(b->r.w, ms * 1000); }

static void the_worker_looks_again_after_the_backoff(void **state)
{
    struct bench *b = bench_new(*state, "log.cleaner.enable=true\nlog.cleaner.backoff.ms=5000\n", EAGER);
    sim_until(b, 10);
    put_keys(b, 100, 5);
    int64_t was = plog_size(b->m.p);
    sim_until(b, 4000);
    assert_int_equal(plog_size(b->m.p), was);
    sim_until(b, 2000);
    assert_true(plog_size(b->m.p) < was / 4);
    model_check(&b->m, READ_WATERMARK, 0, true);
    was = plog_size(b->m.p);
    put_keys(b, 100, 5);
    sim_until(b, 6000);
    assert_true(plog_size(b->m.p) < was + 1000);
    model_check(&b->m, READ_WATERMARK, 0, true);
    bench_free(b);
}

static void a_cleaner_that_is_switched_off_does_nothing(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct bench *b = bench_new(*state, i ? "log.cleaner.threads=0\n" : "log.cleaner.enable=false\n", EAGER);
        put_keys(b, 100, 5);
        int64_t was = plog_size(b->m.p);
        sim_until(b, 100000);
        assert_int_equal(plog_size(b->m.p), was);
        bench_free(b);
        struct test_env *env = *state;
        fs_remove_tree(env->world->fs, env->dir);
    }
}

static void the_throttle_spreads_a_clean_over_time(void **state)
{
    struct bench *b =
        bench_new(*state, "log.cleaner.enable=true\nlog.cleaner.backoff.ms=1000\nlog.cleaner.io.max.bytes.per.second=2000\n",
                  "cleanup.policy=compact min.cleanable.dirty.ratio=0 internal.segment.bytes=100000");
    for (int i = 0; i < 400; i++) assert_ok(model_one(&b->m, i % 5, false));
    queue_own(b->m.p);
    assert_ok(queue_roll(b->m.p));
    queue_release(b->m.p);
    rig_durable(b->m.p);
    int64_t size = plog_size(b->m.p);
    assert_true(size > 30000); /* read twice: more than 30 seconds */
    sim_until(b, 2000 * size / 2000 - 3000);
    assert_int_equal(plog_size(b->m.p), size);
    sim_until(b, 10000);
    assert_true(plog_size(b->m.p) < 2000);
    model_check(&b->m, READ_WATERMARK, 0, true);
    bench_free(b);
}

static void live_settings_are_taken_over(void **state)
{
    struct test_env *env = *state;
    struct bench *b = bench_new(env, "log.cleaner.enable=true\nlog.cleaner.backoff.ms=1000000\n", EAGER);
    sim_until(b, 10);
    put_keys(b, 100, 5);
    int64_t was = plog_size(b->m.p);
    sim_until(b, 500000);
    assert_int_equal(plog_size(b->m.p), was);
    struct rig again;
    rig_init(&again, env->world, env->dir, "log.cleaner.enable=true\nlog.cleaner.backoff.ms=1000\n");
    logs_reconfigure(b->r.logs, again.conf);
    sim_until(b, 600000); /* the look that was planned, */
    put_keys(b, 100, 5);
    sim_until(b, 3000); /* and from then on the new pace */
    assert_true(plog_size(b->m.p) < was / 2);
    rig_free(&again);
    bench_free(b);
}

static void a_stop_in_the_middle_leaves_no_trace(void **state)
{
    struct test_env *env = *state;
    struct bench *b =
        bench_new(env, "log.cleaner.enable=true\nlog.cleaner.backoff.ms=1000\nlog.cleaner.io.max.bytes.per.second=2000\n", EAGER);
    put_keys(b, 400, 200);
    for (int i = 0; !has_files(b, ".cleaned"); i++) {
        assert_true(i < 100000);
        sim_until(b, 10);
    }
    plog_unref(&b->m.p);
    assert_ok(rig_close(&b->r));
    rig_begin(&b->r);
    b->m.p = rig_plog(&b->r, "t", 0, EAGER);
    assert_true(logs_was_clean(b->r.logs));
    assert_false(has_files(b, ".cleaned") || has_files(b, ".swap"));
    model_check(&b->m, READ_WATERMARK, 0, false);
    bench_free(b);
}

static void a_tombstone_goes_when_its_time_is_over(void **state)
{
    struct bench *b =
        bench_new(*state, "log.cleaner.enable=true\nlog.cleaner.backoff.ms=1000\n", EAGER "delete.retention.ms=60000");
    struct bytes all = { 0 };
    assert_ok(model_one(&b->m, 1, false));
    assert_ok(model_one(&b->m, 1, true)); /* offset 1 */
    put_keys(b, 60, 1);
    for (int i = 2; i < 8; i++) assert_ok(model_one(&b->m, i, false));
    sim_until(b, 5000);
    model_check(&b->m, READ_WATERMARK, 0, true); /* nothing is over yet: the tombstone is there, */
    rig_read(b->m.p, 0, READ_WATERMARK, 1 << 20, &all);
    assert_false(batch_base_offset(all.p) == 0); /* what it deleted is not */
    struct batch_head h;
    assert_ok(batch_parse_head(all.p, all.n, &h));
    assert_int_equal(h.base_offset, 1);
    assert_true(batch_has_delete_horizon(&h));
    int64_t now = b->r.w->clock->wall_ms(b->r.w->clock);
    assert_true(h.base_timestamp > now + 50000 && h.base_timestamp <= now + 60000);

    put_keys(b, 60, 1);
    sim_until(b, 30000);
    model_check(&b->m, READ_WATERMARK, 0, true);
    put_keys(b, 1, 1);
    sim_until(b, 40000);
    put_keys(b, 60, 1);
    sim_until(b, 5000);
    all.n = 0;
    rig_read(b->m.p, 0, READ_WATERMARK, 1 << 20, &all);
    assert_true(batch_base_offset(all.p) > 1); /* gone, for who begins to read now */
    model_check(&b->m, READ_WATERMARK, INT64_MAX, true);
    bytes_free(&all);
    bench_free(b);
}

static void a_reader_keeps_the_file_it_holds(void **state)
{
    struct test_env *env = *state;
    struct bench *b = bench_new(env, NULL, EAGER "file.delete.delay.ms=1000");
    struct plog_cursor c = { 0 };
    put_keys(b, 120, 4);
    struct plog_read rd = { .offset = 0, .max_bytes = 300, .whole_first = true, .upto = READ_WATERMARK };
    assert_ok(plog_read(b->m.p, &rd, &c));
    uint8_t before[300], after[300];
    assert_ok(range_copy(&rd.range, 0, before, rd.range.n));
    logs_clean(b->r.logs);
    assert_true(has_files(b, ".deleted"));
    assert_ok(range_copy(&rd.range, 0, after, rd.range.n));
    assert_memory_equal(before, after, rd.range.n);

    struct plog_read next = { .offset = 20, .max_bytes = 1000, .whole_first = true, .upto = READ_WATERMARK };
    assert_ok(plog_read(b->m.p, &next, &c));
    struct batch_head h;
    uint8_t head[BATCH_HEADER];
    assert_ok(range_copy(&next.range, 0, head, sizeof(head)));
    assert_ok(batch_parse_head(head, sizeof(head), &h));
    assert_true(h.base_offset > 90); /* the first that is left */
    range_release(&next.range);

    if (env->world->sim) {
        sim_until(b, 5000);
        assert_false(has_files(b, ".deleted"));
        assert_ok(range_copy(&rd.range, 0, after, rd.range.n));
        assert_memory_equal(before, after, rd.range.n);
    }
    range_release(&rd.range);
    model_check(&b->m, READ_WATERMARK, 0, true);
    bench_free(b);
}

static int told;
static void count_lines(void *arg, enum log_level level, struct slice line)
{
    told += level == LOG_ERROR && memmem(line.p, line.n, arg, strlen(arg)) != NULL;
}

static void a_damaged_log_is_left_alone_and_told_once(void **state)
{
    struct test_env *env = *state;
    struct bench *b = bench_new(env, NULL, EAGER);
    put_keys(b, 100, 5);
    struct plog *bad = b->m.p;
    char path[SEG_PATH];
    seg_path(bad->segs[1], SEG_LOG, path);
    int fd = env->world->fs->open(env->world->fs, path, FS_WRITE);
    struct iovec v = { "X", 1 };
    assert_ok(env->world->fs->pwritev(env->world->fs, fd, &v, 1, 75));
    env->world->fs->close(env->world->fs, fd);
    int64_t size = plog_size(bad);

    b->m.p = rig_plog(&b->r, "u", 0, EAGER);
    b->m.end = 0;
    put_keys(b, 80, 5);
    told = 0;
    log_sink(count_lines, (void *)(uintptr_t) "cannot be cleaned");
    for (int i = 0; i < 3; i++) logs_clean(b->r.logs);
    log_sink(NULL, NULL);
    assert_int_equal(told, 1);
    assert_true(bad->uncleanable);
    assert_int_equal(plog_size(bad), size);
    assert_true(plog_size(b->m.p) < 2500);
    model_check(&b->m, READ_WATERMARK, 0, true);
    plog_unref(&bad);
    bench_free(b);
}

static void a_log_does_not_inherit_the_cleaned_offset_of_a_deleted_one(void **state)
{
    struct test_env *env = *state;
    struct bench *b = bench_new(env, NULL, EAGER);
    char path[SEG_PATH];
    snprintf(path, sizeof(path), "%s/" CHECKPOINT_CLEANER, env->dir);
    put_keys(b, 100, 5);
    logs_clean(b->r.logs);
    char want[64];
    snprintf(want, sizeof(want), "0\n1\nt 0 %lld\n", (long long)b->m.p->dirty_from);
    assert_string_equal(test_read(env, path), want);

    plog_unref(&b->m.p); /* it is remembered over a restart, */
    assert_ok(rig_close(&b->r));
    rig_begin(&b->r);
    b->m.p = rig_plog(&b->r, "t", 0, EAGER);
    logs_clean(b->r.logs);
    assert_true(b->m.p->dirty_from > 50);
    assert_ok(logs_delete_partition(b->r.logs, b->m.p)); /* and forgotten with the log */
    plog_unref(&b->m.p);
    assert_string_equal(test_read(env, path), "0\n0\n");
    b->m.p = rig_plog(&b->r, "t", 0, EAGER);
    assert_int_equal(b->m.p->dirty_from, 0);
    b->m.end = 0;
    put_keys(b, 100, 5);
    logs_clean(b->r.logs);
    model_check(&b->m, READ_WATERMARK, 0, true);
    assert_true(plog_size(b->m.p) < 1500);
    bench_free(b);
}

static void the_dirty_ratio_decides(void **state)
{
    struct bench *b = bench_new(*state, NULL, SMALL "min.cleanable.dirty.ratio=0.5");
    put_keys(b, 200, 100);
    logs_clean(b->r.logs);
    int64_t cleaned = b->m.p->dirty_from;
    assert_true(cleaned > 180);
    put_keys(b, 30, 100); /* about a quarter */
    logs_clean(b->r.logs);
    assert_int_equal(b->m.p->dirty_from, cleaned);
    put_keys(b, 150, 100);
    logs_clean(b->r.logs);
    assert_true(b->m.p->dirty_from > cleaned + 100);
    model_check(&b->m, READ_WATERMARK, 0, true);
    bench_free(b);
}

static void what_is_overdue_is_cleaned_whatever_the_ratio(void **state)
{
    struct test_env *env = *state;
    struct still still;
    still_set(&still, env->world, 1750000000000);
    struct bench *b = bench_new(env, NULL, SMALL "min.cleanable.dirty.ratio=1 max.compaction.lag.ms=1000 segment.ms=100000000");
    put_keys(b, 60, 5);
    int64_t size = plog_size(b->m.p);
    logs_clean(b->r.logs);
    assert_int_equal(plog_size(b->m.p), size);
    still.ms += 1000;
    logs_clean(b->r.logs);
    assert_int_equal(plog_size(b->m.p), size);
    still.ms += 100;
    logs_clean(b->r.logs);
    assert_true(plog_size(b->m.p) < size / 2);
    model_check(&b->m, READ_WATERMARK, 0, true);
    bench_free(b);
    env->world->clock = still.was;
}

static void a_log_in_the_page_cache_is_made_durable_before_it_is_cleaned(void **state)
{
    struct bench *b = bench_new(*state, NULL, EAGER "flush.messages=9223372036854775807");
    for (int i = 0; i < 100; i++) assert_ok(model_one(&b->m, i % 5, false));
    assert_int_equal(b->m.p->recovery_point, 0);
    logs_clean(b->r.logs);
    assert_true(b->m.p->dirty_from > 50);
    assert_true(b->m.p->recovery_point >= b->m.p->dirty_from && b->m.p->durable >= b->m.p->dirty_from); /* J10 */
    model_check(&b->m, READ_WATERMARK, 0, true);
    bench_free(b);
}

static void a_compacted_log_may_also_be_deleted_by_age(void **state)
{
    struct test_env *env = *state;
    struct still still;
    still_set(&still, env->world, 1750000000000);
    struct bench *b = bench_new(
        env, NULL, "cleanup.policy=compact,delete internal.segment.bytes=1000 min.cleanable.dirty.ratio=0 retention.ms=10000");
    b->m.now_ms = still.ms;
    put_keys(b, 60, 30);
    logs_clean(b->r.logs);
    model_check(&b->m, READ_WATERMARK, 0, true);
    b->m.now_ms = still.ms = still.ms + 20000;
    put_keys(b, 60, 30);
    logs_retain(b->r.logs);
    assert_true(rig_offsets(b->m.p).start >= 45);
    logs_clean(b->r.logs);
    assert_true(b->m.p->dirty_from > 90);
    model_check(&b->m, READ_WATERMARK, 0, true);
    bench_free(b);
    env->world->clock = still.was;
}

static void an_open_transaction_holds_the_cleaner_back(void **state)
{
    struct bench *b = bench_new(*state, NULL, EAGER);
    int key = 3;
    bool no = false;
    put_keys(b, 40, 5);
    assert_ok(model_put(&b->m, 1, &key, &no, 2, true, CODEC_NONE)); /* offset 40 */
    put_keys(b, 60, 5);
    logs_clean(b->r.logs);
    assert_true(b->m.p->dirty_from > 20 && b->m.p->dirty_from <= 40);
    model_check(&b->m, READ_STABLE, 0, true);
    assert_ok(model_end_txn(&b->m, 2, false));
    put_keys(b, 40, 5);
    logs_clean(b->r.logs);
    assert_true(b->m.p->dirty_from > 100);
    model_check(&b->m, READ_STABLE, 0, true);
    model_check(&b->m, READ_WATERMARK, 0, true);
    bench_free(b);
}

static void a_small_map_takes_several_rounds(void **state)
{
    struct bench *b = bench_new(*state, "log.cleaner.io.buffer.load.factor=0.001\n", EAGER); /* 43 keys */
    put_keys(b, 400, 150);
    logs_clean(b->r.logs);
    assert_true(b->m.p->dirty_from > 350);
    model_check(&b->m, READ_WATERMARK, 0, true);
    bench_free(b);
}

/* Nothing here waits for the cleaner: it swaps segments under readers that hold places, cursors and ranges. */
static void reading_and_writing_go_on_while_the_cleaner_works(void **state)
{
    struct bench *b = bench_new(*state, "log.cleaner.enable=true\nlog.cleaner.backoff.ms=1\n",
                                EAGER "index.interval.bytes=200 file.delete.delay.ms=0");
    b->m.busy = true;
    for (int i = 0; i < 1200; i++) {
        assert_ok(model_step(&b->m, 30));
        if (b->m.end > MODEL_MAX - 100) break;
        if (i % 10 == 0) {
            struct plog_offsets at = rig_offsets(b->m.p);
            rig_read(b->m.p, (int64_t)model_rnd(&b->m, (uint64_t)at.watermark + 1), READ_WATERMARK,
                     1 + (uint32_t)model_rnd(&b->m, 3000), NULL);
        }
        if (i % 100 == 0) {
            for (int64_t pid = 2; pid <= MODEL_PIDS; pid++)
                if (b->m.open[pid]) assert_ok(model_end_txn(&b->m, pid, pid % 2));
            rig_durable(b->m.p);
            model_check(&b->m, READ_STABLE, 0, false);
        }
    }
    rig_durable(b->m.p);
    logs_clean(b->r.logs);
    model_check(&b->m, READ_STABLE, 0, true);
    assert_true(b->m.cleaned > 1000);
    bench_free(b);
}

/* Wherever descriptors run out in a clean it comes to nothing or is finished, and the next one is whole; so is what a kill finds. */
static void want_of_descriptors_at_any_step_only_delays_a_clean(void **state)
{
    struct test_env *env = *state;
    int refused = 0, finished = 0;
    for (int nth = 1; nth == 1 || finished == 0; nth++) {
        bool kill = nth % 2;
        struct bench *b = bench_new(env, NULL, EAGER);
        put_keys(b, 100, 5);
        assert_ok(logs_checkpoint(b->r.logs));
        sim_fault(b->r.w,
                  (struct sim_fault){ .nth = nth, .sticky = true, .err = -EMFILE, .ops = SIM_OPEN | SIM_SYNC_DIR | SIM_LIST });
        int64_t size = plog_size(b->m.p);
        logs_clean(b->r.logs);
        bool failed = b->m.p->dirty_from < 50;
        refused += failed;
        finished += !failed;
        assert_true(failed || plog_size(b->m.p) < size / 2);
        sim_fault(b->r.w, (struct sim_fault){ 0 });
        assert_false(rig_offsets(b->m.p).offline);
        assert_false(b->m.p->uncleanable);
        if (kill) {
            plog_unref(&b->m.p);
            rig_kill(&b->r);
            rig_begin(&b->r);
            b->m.p = rig_plog(&b->r, "t", 0, EAGER);
        }
        logs_clean(b->r.logs);
        assert_true(b->m.p->dirty_from > 50);
        assert_false(has_files(b, ".swap") || has_files(b, ".cleaned"));
        model_check(&b->m, READ_WATERMARK, 0, true);
        bench_free(b);
        assert_ok(fs_remove_tree(env->world->fs, env->dir));
    }
    assert_true(refused > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SIM_WORLD(the_map_knows_the_last_offset_of_every_key),
        IN_SIM_WORLD(a_full_map_stays_within_its_memory),
        IN_SIM_WORLD(the_worker_looks_again_after_the_backoff),
        IN_SIM_WORLD(a_cleaner_that_is_switched_off_does_nothing),
        IN_SIM_WORLD(the_throttle_spreads_a_clean_over_time),
        IN_SIM_WORLD(live_settings_are_taken_over),
        IN_SIM_WORLD(a_stop_in_the_middle_leaves_no_trace),
        IN_SIM_WORLD(a_tombstone_goes_when_its_time_is_over),
        IN_BOTH_WORLDS(a_reader_keeps_the_file_it_holds),
        IN_BOTH_WORLDS(a_damaged_log_is_left_alone_and_told_once),
        IN_BOTH_WORLDS(a_log_does_not_inherit_the_cleaned_offset_of_a_deleted_one),
        IN_BOTH_WORLDS(the_dirty_ratio_decides),
        IN_SIM_WORLD(what_is_overdue_is_cleaned_whatever_the_ratio),
        IN_BOTH_WORLDS(a_log_in_the_page_cache_is_made_durable_before_it_is_cleaned),
        IN_SIM_WORLD(a_compacted_log_may_also_be_deleted_by_age),
        IN_BOTH_WORLDS(an_open_transaction_holds_the_cleaner_back),
        IN_BOTH_WORLDS(a_small_map_takes_several_rounds),
        IN_BOTH_WORLDS(reading_and_writing_go_on_while_the_cleaner_works),
        IN_SIM_WORLD(want_of_descriptors_at_any_step_only_delays_a_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
