/* The commit journal while running, in the simulated world: which way a commit goes, what it promises, and what happens when it cannot. */
#include "internal.h"
#include "rig.h"
#include <errno.h>

enum { LOGS = 8, EPOCH = 3 };

struct scene {
    struct rig r;
    struct test_env *env;
    struct plog *log[LOGS];
    int32_t epoch;
};

static void open_logs(struct scene *s, int n)
{
    rig_open(&s->r);
    logs_tell(s->r.logs, &(struct logs_truth){ .quorum_epoch = s->epoch, .log_epoch = s->epoch });
    rig_begin(&s->r);
    assert_ok(logs_lead(s->r.logs, ++s->epoch, NULL));
    for (int i = 0; i < n; i++) s->log[i] = rig_plog(&s->r, "t", i, "");
}

static void set(struct scene *s, struct test_env *env, const char *more)
{
    *s = (struct scene){ .env = env, .epoch = EPOCH };
    rig_init(&s->r, env->world, env->dir,
             arena_printf(&env->arena,
                          "log.retention.check.interval.ms=3600000\nlog.flush.offset.checkpoint.interval.ms=3600000\n%s", more)
                 .p);
    open_logs(s, LOGS);
}

static struct journal *journal(struct scene *s) { return &s->r.logs->dirs[0].journal; }
static bool there(struct scene *s, const char *name)
{
    struct fs_stat st;
    return s->r.w->fs->stat(s->r.w->fs, test_path(s->env, name), &st) == 0;
}

/* One batch of about n bytes to each of the first `logs` logs, staged before any is committed. */
static void put(struct scene *s, int logs, size_t n, const char *tag)
{
    for (int i = 0; i < logs; i++) rig_put(&s->r, s->log[i], RIG_BATCH(.value = n), tag);
}
static void commit(struct scene *s, int logs) /* nothing else runs meanwhile */
{
    for (int i = 0; i < logs; i++) rig_durable(s->log[i]);
}
/* A commit of two files makes the journal: both are appended to in one turn (the second one: with the first, the write worker saves epochs). */
static void make_journal(struct scene *s)
{
    for (int k = 0; k < 2; k++) {
        struct append a[2];
        struct bytes b[2] = { 0 };
        for (int i = 0; i < 2; i++) {
            rig_build(&RIG_BATCH(), "first", &b[i]);
            a[i] = (struct append){ .log = s->log[i], .bytes = b[i].p, .n = b[i].n, .records = 1, .home = s->r.waker };
        }
        rig_home(&s->r, rig_stage_many, &(struct rig_many){ a, 2 });
        for (int i = 0; i < 2; i++) {
            rig_until(&s->r, &a[i].done);
            assert_ok(a[i].err);
            bytes_free(&b[i]);
        }
        sim_run(s->r.w, 100000);
    }
    assert_int_equal(journal(s)->state, JOURNAL_READY);
    assert_true(there(s, JOURNAL_FILE));
}

static void drop(struct scene *s, int n)
{
    for (int i = 0; i < n; i++) plog_unref(&s->log[i]);
}
static void end(struct scene *s, int n)
{
    drop(s, n);
    assert_ok(rig_close(&s->r));
    rig_free(&s->r);
}
/* The power goes; what is there after the next start. */
static void lose_power(struct scene *s)
{
    for (int i = 0; i < LOGS; i++) sim_forget(s->r.w, s->log[i]);
    rig_power(&s->r);
    open_logs(s, LOGS);
}
static const char *all(struct scene *s, int i) { return rig_all(&s->r, &s->env->arena, s->log[i], READ_END); }

static void the_journal_is_made_when_two_files_are_dirty_and_goes_with_a_clean_stop(void **state) /* J17, J18 */
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=65536\n");
    put(&s, 1, 50, "x");
    commit(&s, 1);
    assert_false(there(&s, JOURNAL_FILE));
    make_journal(&s);
    put(&s, LOGS, 50, "y");
    commit(&s, LOGS);
    assert_true(journal(&s)->done > 0);
    end(&s, LOGS);
    assert_false(there(&s, JOURNAL_FILE));
    assert_true(there(&s, ".kafka_cleanshutdown"));
}

static void without_an_epoch_or_with_a_size_of_zero_there_is_none(void **state) /* J14 */
{
    for (int i = 0; i < 2; i++) {
        struct test_env *env = test_env_sim(1);
        struct scene s;
        set(&s, env, i ? "odradek.journal.max=0\n" : "odradek.journal.max=65536\n");
        if (i == 0) assert_ok(logs_lead(s.r.logs, -1, NULL));
        for (int k = 0; k < 5; k++) put(&s, LOGS, 50, "x");
        sim_run(s.r.w, 1000000);
        assert_false(there(&s, JOURNAL_FILE));
        end(&s, LOGS);
        test_env_free(&(void *){ env });
    }
}

static int (*plain_space)(struct fs *fs, const char *path, struct fs_space *sp);
static int space_of_zfs(struct fs *fs, const char *path, struct fs_space *sp)
{
    int rc = plain_space(fs, path, sp);
    sp->cow = "zfs";
    return rc;
}

static void there_is_none_where_nothing_is_written_in_place(void **state) /* J17 */
{
    struct test_env *env = *state;
    struct scene s;
    plain_space = env->world->fs->space;
    env->world->fs->space = space_of_zfs;
    set(&s, env, "odradek.journal.max=65536\n");
    for (int k = 0; k < 5; k++) put(&s, LOGS, 50, "x");
    sim_run(s.r.w, 1000000);
    assert_false(there(&s, JOURNAL_FILE));
    commit(&s, LOGS);
    end(&s, LOGS);
    env->world->fs->space = plain_space;
}

static void one_sync_makes_many_logs_durable(void **state)
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=65536\n");
    make_journal(&s);
    int64_t groups = journal(&s)->done;
    put(&s, LOGS, 50, "x");
    sim_run(s.r.w, 1000000);
    for (int i = 0; i < LOGS; i++) {
        struct plog_offsets at = rig_offsets(s.log[i]);
        assert_int_equal(at.durable, at.end);
        assert_int_equal(at.watermark, at.end);
        assert_true(s.log[i]->flushed < s.log[i]->durable); /* its segment was not synced */
    }
    assert_true(journal(&s)->done > groups);
    lose_power(&s);
    for (int i = 2; i < LOGS; i++) assert_string_equal(all(&s, i), "x@0");
    assert_string_equal(all(&s, 0), "first@0 first@1 x@2");
    end(&s, LOGS);
}

static void r_and_the_promise_to_the_cleaner_speak_of_segments_only(void **state) /* J9, J10 */
{
    struct scene s;
    struct checkpoint_entry *e;
    int n;
    struct why why;
    set(&s, *state, "odradek.journal.max=65536\n");
    make_journal(&s);
    for (int k = 0; k < 3; k++) {
        put(&s, 4, 50, "x");
        commit(&s, 4);
    }
    assert_int_equal(rig_offsets(s.log[3]).durable, 3);
    assert_ok(logs_checkpoint(s.r.logs));
    assert_ok(checkpoint_read(s.r.w->fs, s.env->dir, CHECKPOINT_RECOVERY, &s.env->arena, &e, &n, &why));
    assert_int_equal(checkpoint_find(e, n, S("t"), 3), 0);
    assert_int_equal(plog_recovery_point(s.log[3]), 0);
    int64_t seq;
    assert_ok(plog_sync(s.log[3], &seq));
    assert_int_equal(s.log[3]->flushed, 3);
    assert_int_equal(plog_recovery_point(s.log[3]), 2); /* the indexes are not synced */
    end(&s, LOGS);
}

static void a_large_batch_goes_direct_with_all_before_it_and_the_next_small_one_does_not(void **state) /* J1, J3 */
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=262144\n");
    make_journal(&s);
    struct plog *p = s.log[5];
    rig_put(&s.r, p, RIG_BATCH(), "small");
    rig_durable(p);
    assert_true(p->flushed == 0 && p->durable == 1);
    rig_put(&s.r, p, RIG_BATCH(), "before");
    rig_put(&s.r, p, RIG_BATCH(.value = 40000), "large");
    rig_put(&s.r, p, RIG_BATCH(), "after");
    rig_durable(p);
    sim_run(s.r.w, 1000000);
    assert_true(p->flushed >= 3);
    rig_put(&s.r, p, RIG_BATCH(), "last");
    rig_durable(p);
    int64_t flushed = p->flushed;
    assert_true(p->durable == 5 && flushed < 5);
    lose_power(&s);
    assert_string_equal(all(&s, 5), "small@0 before@1 large@2 after@3 last@4");
    end(&s, LOGS);
}

static void logs_that_flush_rarely_never_use_it(void **state) /* J1 */
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=65536\n");
    make_journal(&s);
    struct topic_conf tc = rig_topic_conf(&s.r, "flush.messages=3");
    plog_set_conf(s.log[4], &tc);
    put(&s, LOGS, 50, "x");
    commit(&s, LOGS);
    assert_int_equal(s.log[4]->flushed, 1);
    assert_int_equal(s.log[5]->flushed, 0);
    end(&s, LOGS);
}

static void a_full_ring_goes_direct_and_is_used_again(void **state) /* J1, J7 */
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=16384\n");
    make_journal(&s);
    int direct = 0, grouped = 0;
    for (int k = 0; k < 200; k++) { /* no turn of the sync worker in between but now and then */
        int64_t groups = journal(&s)->done;
        struct plog *p = s.log[2 + k % 6];
        struct bytes b = { 0 };
        char tag[16];
        snprintf(tag, sizeof(tag), "%d", k);
        rig_build(&RIG_BATCH(.value = 3000), tag, &b);
        struct append a = { .bytes = b.p, .n = b.n, .records = 1 };
        assert_ok(plog_append_now(p, &a));
        bytes_free(&b);
        grouped += journal(&s)->done > groups;
        direct += journal(&s)->done == groups;
        if (k % 50 == 49) sim_run(s.r.w, 100000);
    }
    assert_true(direct > 20 && grouped > 20);
    lose_power(&s);
    for (int i = 2; i < LOGS; i++) {
        struct plog_offsets at = rig_offsets(s.log[i]);
        assert_int_equal(at.end, i - 2 < 200 % 6 ? 34 : 33);
    }
    end(&s, LOGS);
}

static void the_file_grows_while_it_may_and_debt_is_paid_behind(void **state) /* J17, J20 */
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=33554432\nodradek.dirty.max=1048576\n");
    make_journal(&s);
    assert_int_equal(journal(&s)->ring.size, 4 * MiB);
    for (int k = 0; k < 300; k++) {
        put(&s, LOGS, 20000, "x");
        sim_run(s.r.w, 100000);
        assert_true(s.r.logs->dirs[0].debt <= 2 * MiB);
    }
    sim_run(s.r.w, 1000000);
    assert_true(s.r.logs->dirs[0].debt <= MiB / 2);
    assert_true(ring_used(&journal(&s)->ring) <= journal(&s)->ring.size);
    lose_power(&s);
    for (int i = 2; i < LOGS; i++) assert_int_equal(rig_offsets(s.log[i]).end, 300);
    end(&s, LOGS);

    struct scene t;
    set(&t, *state, "odradek.journal.max=33554432\nodradek.dirty.max=1099511627776\n");
    make_journal(&t);
    for (int k = 0; k < 60; k++) {
        put(&t, LOGS, 20000, "x");
        sim_run(t.r.w, 100000);
    }
    assert_true(journal(&t)->ring.grown > 4 * MiB);
    commit(&t, LOGS);
    lose_power(&t);
    for (int i = 2; i < LOGS; i++) assert_int_equal(rig_offsets(t.log[i]).end, 360);
    end(&t, LOGS);
}

static void no_room_for_the_file_is_no_error(void **state) /* J17 */
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=65536\n");
    sim_fault(s.r.w, (struct sim_fault){ .nth = 1, .err = -ENOSPC, .ops = SIM_PWRITEV, .path = JOURNAL_FILE });
    for (int k = 0; k < 10; k++) put(&s, LOGS, 50, "x");
    sim_run(s.r.w, 1000000);
    assert_int_equal(journal(&s)->state, JOURNAL_OFF);
    assert_false(there(&s, JOURNAL_FILE));
    for (int i = 0; i < LOGS; i++) assert_int_equal(rig_offsets(s.log[i]).durable, 10);
    end(&s, LOGS);
}

static void a_group_that_finds_no_space_goes_direct_and_closes_the_journal(void **state) /* J17 */
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=65536\n");
    make_journal(&s);
    put(&s, LOGS, 50, "x");
    sim_run(s.r.w, 100000);
    sim_fault(s.r.w, (struct sim_fault){ .nth = 1, .err = -ENOSPC, .ops = SIM_PWRITEV, .path = JOURNAL_FILE, .cut = true });
    for (int k = 0; k < 3; k++) put(&s, LOGS, 50, "y");
    commit(&s, LOGS);
    sim_run(s.r.w, 1000000);
    assert_int_equal(journal(&s)->state, JOURNAL_CLOSED);
    assert_true(list_empty(&journal(&s)->owing)); /* all of it is in the segments by now */
    assert_false(rig_offsets(s.log[0]).offline);
    lose_power(&s);
    assert_string_equal(all(&s, 7), "x@0 y@1 y@2 y@3");
    end(&s, LOGS);
}

static void where_nothing_may_go_past_the_page_cache_groups_go_through_it(void **state)
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=65536\n");
    make_journal(&s);
    assert_true(journal(&s)->direct >= 0);
    sim_fault(s.r.w, (struct sim_fault){ .nth = 1, .err = -EINVAL, .ops = SIM_PWRITEV, .path = JOURNAL_FILE, .cut = true });
    put(&s, LOGS, 50, "x");
    commit(&s, LOGS);
    assert_int_equal(journal(&s)->direct, -1);
    assert_int_equal(journal(&s)->state, JOURNAL_READY);
    put(&s, LOGS, 50, "y");
    commit(&s, LOGS);
    lose_power(&s);
    assert_string_equal(all(&s, 7), "x@0 y@1");
    end(&s, LOGS);
}

static void a_failed_sync_of_the_journal_is_final(void **state) /* J6 */
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=65536\n");
    make_journal(&s);
    sim_run(s.r.w, 1000000);
    sim_fault(s.r.w, (struct sim_fault){ .nth = 1, .err = -EIO, .ops = SIM_DATASYNC, .path = JOURNAL_FILE }); /* once */
    put(&s, 1, 50, "x");
    sim_run(s.r.w, 1000000);
    assert_true(rig_offsets(s.log[0]).offline && rig_offsets(s.log[1]).offline);
    assert_int_equal(rig_offsets(s.log[0]).durable, 2);
    assert_err(rig_produce(&s.r, s.log[3], RIG_BATCH(), "x", NULL), E_OFFLINE);
    drop(&s, LOGS);
    assert_err(rig_close(&s.r), E_OFFLINE);
    assert_true(there(&s, JOURNAL_FILE)); /* the next start needs it */
    assert_false(there(&s, ".kafka_cleanshutdown"));
    rig_free(&s.r);
}

static void nothing_is_staged_where_an_append_was_cut_until_the_cut_is_synced(void **state) /* J11, J13 */
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=65536\n");
    make_journal(&s);
    sim_run(s.r.w, 1000000);
    struct plog *p = s.log[6];
    rig_put(&s.r, p, RIG_BATCH(), "a");
    rig_durable(p);
    assert_true(p->flushed == 0);
    sim_fault(s.r.w, (struct sim_fault){ .nth = 1, .err = -ENOSPC, .ops = SIM_PWRITEV, .path = "t-6", .cut = true });
    assert_err(rig_produce(&s.r, p, RIG_BATCH(.value = 600), "cut", NULL), E_NO_SPACE);
    atomic_store(&s.r.logs->dirs[0].full, false);
    rig_put(&s.r, p, RIG_BATCH(), "b");
    rig_durable(p);
    assert_int_equal(p->flushed, 2);
    rig_put(&s.r, p, RIG_BATCH(), "c");
    rig_durable(p);
    assert_int_equal(p->flushed, 2);
    lose_power(&s);
    assert_string_equal(all(&s, 6), "a@0 b@1 c@2");
    end(&s, LOGS);
}

static void a_deleted_log_holds_no_group(void **state) /* J7 */
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=65536\n");
    make_journal(&s);
    put(&s, LOGS, 50, "x");
    commit(&s, LOGS);
    sim_run(s.r.w, 100000);
    assert_true(list_linked(&s.log[7]->journal_link));
    assert_ok(logs_delete_partition(s.r.logs, s.log[7]));
    assert_false(list_linked(&s.log[7]->journal_link));
    assert_int_equal(s.log[7]->debt, 0);
    end(&s, LOGS);
}

static void sealing_syncs_what_only_the_journal_had(void **state) /* J9, J10, J16 */
{
    struct scene s;
    set(&s, *state, "odradek.journal.max=65536\n");
    make_journal(&s);
    struct topic_conf tc = rig_topic_conf(&s.r, "retention.bytes=0 file.delete.delay.ms=0");
    tc.segment_bytes = 1000;
    plog_set_conf(s.log[5], &tc);
    for (int k = 0; k < 10; k++) {
        rig_put(&s.r, s.log[5], RIG_BATCH(.value = 300), "x");
        rig_durable(s.log[5]);
    }
    sim_run(s.r.w, 1000000);
    pthread_mutex_lock(&s.log[5]->mu);
    int64_t base = plog_active(s.log[5])->base;
    pthread_mutex_unlock(&s.log[5]->mu);
    assert_true(base > 0 && s.log[5]->flushed >= base);
    logs_retain(s.r.logs);
    assert_true(rig_offsets(s.log[5]).start >= base);
    assert_true(s.log[5]->recovery_point >= base);
    lose_power(&s);
    assert_int_equal(rig_offsets(s.log[5]).end, 10);
    end(&s, LOGS);
}

/* Real threads: a loop that appends, the commit and sync workers, checkpoints, retention and deletion at once. For ThreadSanitizer. */
static void everybody_works_at_once(void **state)
{
    enum { ROUNDS = 150 };
    struct scene s;
    set(&s, *state, "odradek.journal.max=65536\n");
    struct topic_conf tc = rig_topic_conf(&s.r, "file.delete.delay.ms=0");
    tc.segment_bytes = 8000;
    for (int i = 0; i < LOGS; i++) plog_set_conf(s.log[i], &tc);
    for (int k = 0; k < ROUNDS; k++) {
        struct append a[LOGS];
        struct bytes b[LOGS] = { 0 };
        for (int i = 0; i < LOGS; i++) {
            rig_build(&RIG_BATCH(.value = (size_t)(i == 7 && k % 5 == 0 ? 40000 : 50 + 100 * i)), "x", &b[i]);
            a[i] = (struct append){ .log = s.log[i], .bytes = b[i].p, .n = b[i].n, .records = 1, .home = s.r.waker };
        }
        rig_home(&s.r, rig_stage_many, &(struct rig_many){ a, k < ROUNDS / 2 ? LOGS : LOGS - 1 });
        for (int i = 0; i < (k < ROUNDS / 2 ? LOGS : LOGS - 1); i++) {
            rig_until(&s.r, &a[i].done);
            assert_true(a[i].err == 0 || a[i].n > 8000);
        }
        for (int i = 0; i < LOGS; i++) bytes_free(&b[i]);
        if (k % 10 == 3) commit(&s, LOGS - 1);
        if (k % 20 == 7) assert_ok(logs_checkpoint(s.r.logs));
        if (k % 30 == 9) logs_retain(s.r.logs);
        if (k == ROUNDS / 2) assert_ok(logs_delete_partition(s.r.logs, s.log[7]));
    }
    commit(&s, LOGS - 1);
    pthread_mutex_lock(&journal(&s)->mu);
    assert_true(journal(&s)->done > 0);
    pthread_mutex_unlock(&journal(&s)->mu);
    drop(&s, LOGS);
    rig_kill(&s.r);
    open_logs(&s, LOGS - 1);
    for (int i = 0; i < LOGS - 1; i++) assert_int_equal(rig_offsets(s.log[i]).end, ROUNDS);
    end(&s, LOGS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SIM_WORLD(the_journal_is_made_when_two_files_are_dirty_and_goes_with_a_clean_stop),
        cmocka_unit_test(without_an_epoch_or_with_a_size_of_zero_there_is_none),
        IN_SIM_WORLD(there_is_none_where_nothing_is_written_in_place),
        IN_SIM_WORLD(one_sync_makes_many_logs_durable),
        IN_SIM_WORLD(r_and_the_promise_to_the_cleaner_speak_of_segments_only),
        IN_SIM_WORLD(a_large_batch_goes_direct_with_all_before_it_and_the_next_small_one_does_not),
        IN_SIM_WORLD(logs_that_flush_rarely_never_use_it),
        IN_SIM_WORLD(a_full_ring_goes_direct_and_is_used_again),
        IN_SIM_WORLD(the_file_grows_while_it_may_and_debt_is_paid_behind),
        IN_SIM_WORLD(no_room_for_the_file_is_no_error),
        IN_SIM_WORLD(a_group_that_finds_no_space_goes_direct_and_closes_the_journal),
        IN_SIM_WORLD(where_nothing_may_go_past_the_page_cache_groups_go_through_it),
        IN_SIM_WORLD(a_failed_sync_of_the_journal_is_final),
        IN_SIM_WORLD(nothing_is_staged_where_an_append_was_cut_until_the_cut_is_synced),
        IN_SIM_WORLD(a_deleted_log_holds_no_group),
        IN_SIM_WORLD(sealing_syncs_what_only_the_journal_had),
        IN_REAL_WORLD(everybody_works_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
