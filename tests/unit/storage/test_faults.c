/* When the disk fails: J6 (a failed sync is final), J11 (a failed append is cut), and every file call failing once and for ever. */
#include "internal.h"
#include "rig.h"
#include <errno.h>

static void begin(struct rig *r, struct test_env *env, const char *more)
{
    rig_init(r, env->world, env->dir, more);
    rig_begin(r);
}

struct told {
    int calls, dir;
    bool all_gone;
};
static void on_offline(void *arg, int dir, bool all_gone)
{
    struct told *t = arg;
    t->calls++;
    t->dir = dir;
    t->all_gone = all_gone;
}

static bool offline(struct plog *p) { return rig_offsets(p).offline; }

static void settle(struct rig *r) { sim_run(r->w, 1000000); }

static void end_failed(struct rig *r, struct plog *p)
{
    struct fs_stat st;
    char marker[300];
    snprintf(marker, sizeof(marker), "%s/.kafka_cleanshutdown", r->root);
    plog_unref(&p);
    assert_err(rig_close(r), E_OFFLINE);
    assert_int_equal(r->w->fs->stat(r->w->fs, marker, &st), -ENOENT);
}

static void a_failed_sync_is_final_for_the_directory(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct told told = { 0 };
    begin(&r, env, NULL);
    logs_on_offline(r.logs, on_offline, &told);
    struct plog *p = rig_plog(&r, "t", 0, ""), *q = rig_plog(&r, "u", 0, "");
    rig_put(&r, p, RIG_BATCH(), "safe");
    rig_durable(p);
    sim_fault(r.w, (struct sim_fault){
                       .nth = 1, .err = -EIO, .ops = SIM_DATASYNC, .path = ".log" }); /* once: the next one would succeed */
    rig_put(&r, p, RIG_BATCH(), "lost");
    assert_err(plog_wait_durable(p, 2), E_OFFLINE);
    settle(&r);
    assert_true(offline(p) && offline(q));
    assert_int_equal(told.calls, 1);
    assert_true(told.all_gone);
    assert_int_equal(rig_offsets(p).durable, 1);
    assert_int_equal(rig_offsets(p).watermark, 1);
    assert_err(rig_produce(&r, p, RIG_BATCH(), "x", NULL), E_OFFLINE);
    assert_err(rig_produce(&r, q, RIG_BATCH(), "x", NULL), E_OFFLINE);
    plog_commit(p);
    settle(&r);
    assert_int_equal(rig_offsets(p).durable, 1); /* J6: not even by a sync that succeeds */
    struct plog_read rd = { .offset = 0, .max_bytes = 100, .upto = READ_WATERMARK };
    assert_err(plog_read(p, &rd, NULL), E_OFFLINE);
    plog_unref(&q);
    end_failed(&r, p);

    rig_begin(&r); /* J15: the page that was left clean in memory is not taken for durable */
    p = rig_plog(&r, "t", 0, "");
    const char *all = rig_all(&r, &env->arena, p, READ_WATERMARK);
    assert_true(!strcmp(all, "safe@0") || !strcmp(all, "safe@0 lost@1"));
    plog_unref(&p);
    sim_power_loss(r.w);
    sim_forget(r.w, r.logs);
    sim_forget(r.w, r.waker);
    r.logs = NULL;
    rig_begin(&r);
    p = rig_plog(&r, "t", 0, "");
    assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), all); /* what was shown stays */
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* A log whose next such batch goes into a new segment. */
static struct plog *begin_nearly_full(struct rig *r, struct test_env *env)
{
    begin(r, env, NULL);
    struct plog *p = rig_plog(r, "t", 0, "segment.bytes=1048576");
    for (int i = 0; i < 20; i++) rig_put(r, p, RIG_BATCH(.value = 50000), "x");
    rig_durable(p);
    return p;
}

static void a_failed_directory_sync_of_a_new_segment_is_final_too(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p = begin_nearly_full(&r, env);
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .err = -EIO, .ops = SIM_SYNC_DIR });
    rig_put(&r, p, RIG_BATCH(.value = 50000), "rolled");
    assert_err(plog_wait_durable(p, 21), E_OFFLINE); /* J8 */
    assert_int_equal(rig_offsets(p).durable, 20);
    end_failed(&r, p);
    rig_free(&r);
}

static void a_full_disk_refuses_that_append_and_the_log_goes_on(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env, NULL);
    struct plog *p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(.pid = 3), "a");
    int64_t size = plog_size(p);
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .err = -ENOSPC, .cut = true, .ops = SIM_PWRITEV, .path = ".log" });
    assert_err(rig_produce(&r, p, RIG_BATCH(.pid = 3, .seq = 1), "no", NULL), E_NO_SPACE);
    assert_int_equal(plog_size(p), size);
    struct fs_stat st;
    assert_ok(r.w->fs->stat(r.w->fs, test_path(env, "t-0/00000000000000000000.log"), &st));
    assert_int_equal(st.size, size);                                         /* J11: what was written of it is cut */
    assert_int_equal(rig_put(&r, p, RIG_BATCH(.pid = 3, .seq = 1), "b"), 1); /* its sequence was taken back as well */
    rig_durable(p);
    assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "a@0 b@1");
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void a_duplicate_of_a_batch_that_failed_in_the_same_run_fails_with_it(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct append a[2];
    struct bytes b[2] = { 0 };
    begin(&r, env, NULL);
    struct plog *p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(), "a");
    for (int i = 0; i < 2; i++) {
        rig_build(&RIG_BATCH(.pid = 3), "x", &b[i]);
        a[i] = (struct append){ .log = p, .bytes = b[i].p, .n = b[i].n, .records = 1, .home = r.waker };
    }
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .err = -ENOSPC, .ops = SIM_PWRITEV, .path = ".log" });
    rig_home(&r, rig_stage_many, &(struct rig_many){ a, 2 });
    for (int i = 0; i < 2; i++) {
        rig_until(&r, &a[i].done);
        assert_err(a[i].err, E_NO_SPACE);
        bytes_free(&b[i]);
    }
    assert_int_equal(rig_put(&r, p, RIG_BATCH(.pid = 3), "x"), 1);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void a_cut_that_fails_takes_the_directory_offline(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env, NULL);
    struct plog *p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(), "a");
    rig_durable(p);
    sim_fault(r.w,
              (struct sim_fault){ .nth = 1, .sticky = true, .err = -ENOSPC, .ops = SIM_PWRITEV | SIM_TRUNCATE, .path = ".log" });
    assert_err(rig_produce(&r, p, RIG_BATCH(), "no", NULL), E_OFFLINE);
    sim_fault(r.w, (struct sim_fault){ 0 });
    assert_err(rig_produce(&r, p, RIG_BATCH(), "no", NULL), E_OFFLINE);
    end_failed(&r, p);
    rig_free(&r);
}

static void one_failed_directory_leaves_the_others_serving(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct told told = { 0 };
    char dirs[600];
    snprintf(dirs, sizeof(dirs), "%s/1,%s/2", env->dir, env->dir);
    rig_init(&r, env->world, dirs, NULL);
    rig_begin(&r);
    logs_on_offline(r.logs, on_offline, &told);
    struct plog *p = rig_plog(&r, "t", 0, ""), *q = rig_plog(&r, "t", 1, "");
    assert_int_not_equal(plog_dir(p), plog_dir(q)); /* each new log goes where the fewest are */
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .err = -EIO, .ops = SIM_PWRITEV, .path = "t-0" });
    assert_err(rig_produce(&r, p, RIG_BATCH(), "x", NULL), E_OFFLINE);
    settle(&r);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.dir, plog_dir(p));
    assert_false(told.all_gone);
    rig_put(&r, q, RIG_BATCH(), "y");
    rig_durable(q);
    struct plog *n = rig_plog(&r, "t", 2, ""); /* and new ones go where it works */
    assert_int_equal(plog_dir(n), plog_dir(q));
    plog_unref(&n);
    plog_unref(&q);
    plog_unref(&p);
    assert_err(rig_close(&r), E_OFFLINE);
    struct fs_stat st;
    char marker[700];
    for (int i = 1; i <= 2; i++) {
        snprintf(marker, sizeof(marker), "%s/%d/.kafka_cleanshutdown", env->dir, i);
        assert_int_equal(r.w->fs->stat(r.w->fs, marker, &st) == 0, i - 1 != told.dir);
    }
    rig_free(&r);
}

static void a_directory_broken_at_the_start_leaves_the_others_serving(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct told told = { 0 };
    char dirs[600];
    snprintf(dirs, sizeof(dirs), "%s/1,%s/2", env->dir, env->dir);
    rig_init(&r, env->world, dirs, NULL);
    rig_begin(&r);
    struct plog *p[2];
    for (int i = 0; i < 2; i++) {
        p[i] = rig_plog(&r, "t", i, "");
        rig_put(&r, p[i], RIG_BATCH(), "x");
    }
    int second = plog_dir(p[0]) == 1 ? 0 : 1;
    for (int i = 0; i < 2; i++) plog_unref(&p[i]);
    assert_ok(rig_close(&r));
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EIO, .path = "/1" });
    rig_open(&r);
    logs_on_offline(r.logs, on_offline, &told);
    struct log_found *found;
    int n;
    assert_ok(logs_scan(r.logs, true, &env->arena, &found, &n, NULL));
    assert_int_equal(n, 1);
    assert_int_equal(found[0].dir, 1);
    rig_begin(&r);
    struct plog *q = rig_plog(&r, "t", second, "");
    assert_string_equal(rig_all(&r, &env->arena, q, READ_WATERMARK), "x@0");
    rig_put(&r, q, RIG_BATCH(), "y");
    rig_durable(q);
    settle(&r);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.dir, 0);
    plog_unref(&q);
    assert_err(rig_close(&r), E_OFFLINE);
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EIO, .ops = SIM_LOCK });
    struct why why = { "" };
    assert_err(logs_open(r.w, r.conf, &r.logs, &why), E_IO); /* none left */
    assert_true(why.text[0] != 0);
    rig_free(&r);
}

/* A log of several segments with an aborted transaction at its end, opened anew: nothing of it is in memory. */
static struct plog *cold_log(struct rig *r, struct test_env *env)
{
    struct bytes b = { 0 };
    struct append a;
    begin(r, env, "");
    struct plog *p = rig_plog(r, "t", 0, "internal.segment.bytes=2000 index.interval.bytes=100");
    for (int i = 0; i < 40; i++) rig_put(r, p, RIG_BATCH(.value = 100, .ts = 1000 + i), "x");
    rig_put(r, p, RIG_BATCH(.pid = 9, .txn = true), "y");
    rig_marker(9, 0, false, &b);
    a = (struct append){ .log = p, .bytes = b.p, .n = b.n, .records = 1, .home = r->waker, .origin = APPEND_COORDINATOR };
    rig_home(r, rig_stage, &a);
    rig_until(r, &a.done);
    assert_ok(a.err);
    bytes_free(&b);
    rig_durable(p);
    plog_unref(&p);
    assert_ok(rig_close(r));
    rig_free(r);
    begin(r, env, "");
    return rig_plog(r, "t", 0, "internal.segment.bytes=2000 index.interval.bytes=100");
}

static int read_at(struct test_env *env, struct plog *p, int64_t offset)
{
    struct plog_read rd = { .offset = offset, .max_bytes = 100, .whole_first = true, .upto = READ_STABLE, .arena = &env->arena };
    int rc = plog_read(p, &rd, NULL);
    if (rc < 0) assert_null(rd.range.seg);
    else assert_true(rd.range.n > 0);
    range_release(&rd.range);
    return rc;
}
static int read_middle(struct test_env *env, struct plog *p) { return read_at(env, p, 17); }
static int read_last(struct test_env *env, struct plog *p) { return read_at(env, p, 41); }
static int look_ahead(struct test_env *env, struct plog *p) /* a fetch that waits for bytes is answered at once */
{
    if (plog_readable(p, 17, READ_STABLE, NULL) != INT32_MAX) return 0;
    return read_at(env, p, 17);
}
static int find_time(struct test_env *env, struct plog *p)
{
    int64_t offset, ts;
    int32_t epoch;
    return plog_find_time(p, 1017, READ_END, &offset, &ts, &epoch);
}
static int find_max_time(struct test_env *env, struct plog *p)
{
    int64_t offset, ts;
    int32_t epoch;
    return plog_find_max_time(p, READ_END, &offset, &ts, &epoch);
}

/* Whatever it is that cannot be read on the way to an offset: the reader hears it, and the directory goes offline, as in Kafka. */
static void a_disk_that_cannot_read_is_told_to_the_reader(void **state)
{
    static const struct {
        int (*read)(struct test_env *env, struct plog *p);
        const char *file;
    } ways[] = { { read_middle, ".log" },
                 { read_last, ".txnindex" },
                 { look_ahead, ".log" },
                 { find_time, ".log" },
                 { find_max_time, ".log" } };
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct test_env *env = test_env_sim(1);
        struct rig r;
        struct plog *p = cold_log(&r, env);
        assert_ok(plog_readable(p, 42, READ_STABLE, NULL)); /* it is open from here on */
        sim_fault(r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EIO, .ops = SIM_PREAD, .path = ways[i].file });
        assert_err(ways[i].read(env, p), E_OFFLINE);
        sim_fault(r.w, (struct sim_fault){ 0 });
        settle(&r);
        assert_true(offline(p));
        end_failed(&r, p);
        rig_free(&r);
        test_env_free(&(void *){ env });
    }
}

static void an_index_that_cannot_be_read_is_built_anew(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p = cold_log(&r, env);
    assert_ok(plog_readable(p, 42, READ_STABLE, NULL));
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EIO, .ops = SIM_PREAD, .path = ".index" });
    assert_ok(read_middle(env, p));
    assert_ok(find_time(env, p));
    assert_false(offline(p));
    sim_fault(r.w, (struct sim_fault){ 0 });
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void want_of_descriptors_is_told_and_passes(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p = cold_log(&r, env);
    assert_ok(plog_readable(p, 42, READ_STABLE, NULL));
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EMFILE, .ops = SIM_OPEN });
    assert_err(read_middle(env, p), E_NO_FILES);
    sim_fault(r.w, (struct sim_fault){ 0 });
    assert_ok(read_middle(env, p));
    assert_false(offline(p));
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* Segments go one after the other, each durably; that there is no descriptor is known before the first. */
static void want_of_descriptors_ends_no_deletion_half_way(void **state)
{
    struct test_env *env = *state;
    int refused = 0, done = 0;
    for (int nth = 1; done == 0; nth++) {
        struct rig r;
        int64_t start;
        begin(&r, env, NULL);
        struct plog *p = rig_plog(&r, "t", 0, "segment.bytes=1048576");
        for (int i = 0; i < 85; i++) rig_put(&r, p, RIG_BATCH(.value = 50000), "x");
        rig_durable(p);
        settle(&r);
        assert_ok(logs_checkpoint(r.logs));
        assert_int_equal(p->segs_n, 5);
        sim_fault(r.w, (struct sim_fault){
                           .nth = nth, .sticky = true, .err = -EMFILE, .ops = SIM_OPEN | SIM_SYNC_DIR, .path = "/t-0" });
        (void)plog_delete_records(p, 80, &start);
        if (p->segs_n == 5) refused++;
        else done++;
        assert_true(p->segs_n == 5 || p->segs_n == 1);
        assert_int_equal(start, 80);
        sim_fault(r.w, (struct sim_fault){ 0 });
        assert_false(offline(p));
        logs_retain(r.logs);
        assert_int_equal(p->segs_n, 1);
        plog_unref(&p);
        assert_ok(rig_close(&r));
        rig_free(&r);
        assert_ok(fs_remove_tree(env->world->fs, env->dir));
    }
    assert_true(refused > 0);
}

/* Nothing failed to be synced: it could not be opened. It is not acknowledged until it was. */
static void a_commit_waits_for_descriptors(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p = begin_nearly_full(&r, env);
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EMFILE, .ops = SIM_SYNC_DIR });
    rig_put(&r, p, RIG_BATCH(.value = 50000), "rolled");
    plog_commit(p);
    settle(&r);
    assert_false(offline(p));
    assert_int_equal(rig_offsets(p).durable, 20);
    sim_fault(r.w, (struct sim_fault){ 0 });
    settle(&r); /* by itself */
    assert_int_equal(rig_offsets(p).durable, 21);
    assert_int_equal(rig_offsets(p).watermark, 21);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void a_new_partition_that_cannot_be_made_durable_is_made_later(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p;
    struct why why = { "" };
    begin(&r, env, NULL);
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EMFILE, .ops = SIM_SYNC_DIR });
    assert_err(rig_try(&r, "t", 0, "", &p, &why), E_NO_FILES);
    assert_null(p);
    sim_fault(r.w, (struct sim_fault){ 0 });
    p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(), "a");
    rig_durable(p);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void waiters_hear_that_their_directory_failed(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    begin(&r, env, NULL);
    struct plog *p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(), "a");
    rig_durable(p);
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .err = -EIO, .ops = SIM_DATASYNC, .path = ".log" });
    int64_t first = rig_put(&r, p, RIG_BATCH(), "b");
    assert_int_equal(first, 1);
    settle(&r);
    assert_true(offline(p));
    end_failed(&r, p);
    rig_free(&r);
}

/* ---- every call fails ------------------------------------------------------------------------------------------------------------------- */

struct seen {
    int64_t durable, start;
    bool deleted;
};

/* A bit of everything. Whatever fails is an error to somebody; nothing crashes, and *seen says what was promised. */
static void scenario(struct rig *r, struct seen *seen)
{
    struct why why = { "" };
    struct plog *p = NULL;
    struct append a;
    struct bytes m = { 0 };
    int64_t start;
    if (logs_open(r->w, r->conf, &r->logs, &why) != 0) return;
    r->loop = loop_new(r->w, "home");
    r->waker = waker_new(r->loop);
    loop_start(r->loop);
    if (logs_begin(r->logs, &why) == 0 && rig_try(r, "t", 0, "segment.bytes=1048576 retention.ms=-1", &p, &why) == 0) {
        int64_t end = rig_offsets(p).end;
        for (int i = 0; i < 14; i++) {
            rig_produce(r, p,
                        RIG_BATCH(.value = 60000, .records = 2, .pid = i % 5 == 4 ? 8 : 0, .txn = i % 5 == 4,
                                  .seq = (int32_t)(end + i) / 5 * 2),
                        "x", NULL);
            if (i == 9) {
                rig_marker(8, 0, false, &m);
                rig_append(r, p, &m, &a);
                bytes_free(&m);
            }
        }
        plog_wait_durable(p, rig_offsets(p).end);
        logs_checkpoint(r->logs);
        struct plog_offsets o = rig_offsets(p);
        if (plog_delete_records(p, o.start + 3, &start) == 0) seen->start = MAX(seen->start, start);
        logs_retain(r->logs);
        o = rig_offsets(p);
        seen->durable = MAX(seen->durable, MAX(o.watermark, o.durable));
        struct plog *d;
        if (rig_try(r, "d", 0, "file.delete.delay.ms=0", &d, &why) == 0) {
            rig_produce(r, d, RIG_BATCH(), "y", NULL);
            if (logs_delete_partition(r->logs, d) == 0) seen->deleted = true;
            plog_unref(&d);
        }
    }
    if (p) plog_unref(&p);
    rig_close(r);
}

static void verify(struct test_env *env, struct rig *r, const struct seen *seen)
{
    rig_begin(r);
    struct plog *p = rig_plog(r, "t", 0, "segment.bytes=1048576 retention.ms=-1");
    struct plog_offsets o = rig_offsets(p);
    if (o.end < seen->durable) fail_msg("end %lld below %lld", (long long)o.end, (long long)seen->durable);
    if (o.start < seen->start) fail_msg("start %lld below %lld", (long long)o.start, (long long)seen->start);
    assert_int_equal(rig_read(p, o.start, READ_WATERMARK, 100000, NULL), o.end);
    rig_put(r, p, RIG_BATCH(), "z");
    rig_durable(p);
    plog_unref(&p);
    assert_ok(rig_close(r));
}

static void any_file_call_may_fail(void **state)
{
    static const struct {
        int err;
        bool sticky, cut;
    } kinds[] = { { -EIO, false, false },
                  { -EIO, true, false },
                  { -ENOSPC, false, true },
                  { -ENOSPC, true, true },
                  { -EMFILE, false, false } };
    log_threshold = LOG_ERROR + 1;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        for (int64_t nth = 1 + (int64_t)k;; nth += 6) {
            struct test_env *env = test_env_sim(100 + (uint64_t)nth);
            struct rig r;
            struct seen seen = { 0 };
            rig_init(&r, env->world, env->dir, NULL);
            scenario(&r, &seen); /* a life without faults first */
            int64_t calls = sim_fs_calls(r.w);
            sim_fault(r.w, (struct sim_fault){ .nth = nth, .err = kinds[k].err, .sticky = kinds[k].sticky, .cut = kinds[k].cut });
            scenario(&r, &seen);
            bool reached = sim_fs_calls(r.w) - calls >= nth;
            sim_fault(r.w, (struct sim_fault){ 0 });
            verify(env, &r, &seen);
            rig_free(&r);
            void *e = env;
            test_env_free(&e);
            if (!reached) break;
        }
    log_threshold = LOG_INFO;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SIM_WORLD(a_failed_sync_is_final_for_the_directory),
        IN_SIM_WORLD(a_failed_directory_sync_of_a_new_segment_is_final_too),
        IN_SIM_WORLD(a_full_disk_refuses_that_append_and_the_log_goes_on),
        IN_SIM_WORLD(a_duplicate_of_a_batch_that_failed_in_the_same_run_fails_with_it),
        IN_SIM_WORLD(a_cut_that_fails_takes_the_directory_offline),
        cmocka_unit_test(a_disk_that_cannot_read_is_told_to_the_reader),
        IN_SIM_WORLD(an_index_that_cannot_be_read_is_built_anew),
        IN_SIM_WORLD(want_of_descriptors_is_told_and_passes),
        IN_SIM_WORLD(want_of_descriptors_ends_no_deletion_half_way),
        IN_SIM_WORLD(a_commit_waits_for_descriptors),
        IN_SIM_WORLD(a_new_partition_that_cannot_be_made_durable_is_made_later),
        IN_SIM_WORLD(one_failed_directory_leaves_the_others_serving),
        IN_SIM_WORLD(a_directory_broken_at_the_start_leaves_the_others_serving),
        IN_SIM_WORLD(waiters_hear_that_their_directory_failed),
        cmocka_unit_test(any_file_call_may_fail),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
