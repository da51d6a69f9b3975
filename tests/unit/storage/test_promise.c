/* Logs that are promised: there at once, empty; their files before their first record, behind, or by a clean stop. */
#include "internal.h"
#include "rig.h"

enum { MANY = 5 };

static void promise(struct rig *r, struct plog **v, int n)
{
    struct topic_conf tc = rig_topic_conf(r, "");
    struct plog_spec specs[MANY];
    struct why why = { "" };
    int errs[MANY];
    for (int i = 0; i < n; i++)
        specs[i] = (struct plog_spec){
            .topic = S("t"), .topic_id = { { 7 } }, .partition = i, .dir = -1, .leader_epoch = 4, .promised = true, .conf = &tc
        };
    logs_partitions(r->logs, specs, n, v, errs, &why);
    for (int i = 0; i < n; i++) {
        if (errs[i]) fail_msg("%d: %s", i, why.text);
    }
}

static void begin(struct rig *r, struct test_env *env, struct plog **v, int n)
{
    rig_init(r, env->world, env->dir, NULL);
    rig_begin(r);
    promise(r, v, n);
}

static bool there(struct test_env *env, const char *name)
{
    struct fs_stat st;
    return env->world->fs->stat(env->world->fs, test_path(env, name), &st) == 0;
}

static void drop(struct plog **v, int n)
{
    for (int i = 0; i < n; i++) plog_unref(&v[i]);
}

static void a_promised_log_is_empty_and_its_first_record_stays(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[3];
    int32_t epoch, found;
    int64_t offset, ts, end, bytes, stable;
    begin(&r, env, v, 3);
    for (int round = 0; round < 2; round++) { /* promised, and made */
        struct plog *p = v[1];
        struct plog_offsets at = rig_offsets(p);
        assert_true(at.start == 0 && at.stable == 0 && at.watermark == 0 && at.durable == 0 && at.end == 0 && !at.offline);
        assert_int_equal(at.leader_epoch, 4);
        for (int64_t from = 0; from < 2; from++) {
            struct plog_read rd = { .offset = from, .max_bytes = 100, .upto = READ_WATERMARK };
            assert_err(plog_read(p, &rd, NULL), from == 0 ? 0 : E_OFFSET_OUT_OF_RANGE);
            assert_int_equal(rd.range.n, 0);
        }
        assert_false(plog_has_news(p, 0, READ_WATERMARK, &bytes, &stable));
        assert_int_equal(plog_readable(p, 0, READ_WATERMARK, NULL), 0);
        assert_ok(plog_find_time(p, 5, READ_WATERMARK, &offset, &ts, &epoch));
        assert_int_equal(offset, -1);
        assert_ok(plog_find_max_time(p, READ_WATERMARK, &offset, &ts, &epoch));
        assert_int_equal(offset, -1);
        plog_epoch_end(p, 4, &found, &end);
        assert_int_equal(found, 4);
        assert_int_equal(end, 0);
        plog_epoch_end(p, 3, &found, &end);
        assert_true(found == -1 || end == 0);
        assert_int_equal(plog_epoch_at(p, 0), 4);
        assert_int_equal(plog_size(p), 0);
        if (r.w->sim) assert_int_equal(there(env, "t-1"), round == 1);
        if (round == 0) assert_ok(plog_warm(p));
    }
    assert_int_equal(rig_put(&r, v[0], RIG_BATCH(), "a"), 0);
    rig_durable(v[0]);
    assert_true(there(env, "t-0/partition.metadata") && there(env, "t-0/leader-epoch-checkpoint"));
    if (r.w->sim) rig_power(&r);
    else {
        drop(v, 3);
        rig_kill(&r);
    }
    rig_begin(&r);
    promise(&r, v, 3); /* what is there is opened, what is not is promised anew */
    assert_string_equal(rig_all(&r, &env->arena, v[0], READ_WATERMARK), "a@0");
    assert_int_equal(rig_put(&r, v[2], RIG_BATCH(), "b"), 0);
    drop(v, 3);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void all_are_made_behind_and_by_a_clean_stop(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[MANY];
    begin(&r, env, v, MANY);
    if (r.w->sim) sim_run(r.w, 1000000);
    else
        for (int i = 0; i < MANY; i++)
            while (plog_unmade(v[i])) sched_yield();
    assert_true(there(env, "t-0/00000000000000000000.log") && there(env, "t-4/00000000000000000000.timeindex"));
    assert_ok(logs_checkpoint(r.logs));
    assert_non_null(strstr(test_read(env, test_path(env, CHECKPOINT_RECOVERY)), "t 4 0\n"));
    drop(v, MANY);
    assert_ok(rig_close(&r));
    assert_ok(fs_remove_tree(r.w->fs, test_path(env, "t-3")));
    assert_ok(fs_remove_tree(r.w->fs, test_path(env, CHECKPOINT_RECOVERY)));
    rig_begin(&r);
    promise(&r, v, MANY);
    drop(v, MANY);
    assert_ok(rig_close(&r)); /* at once */
    assert_true(there(env, "t-3/partition.metadata"));
    assert_non_null(strstr(test_read(env, test_path(env, CHECKPOINT_RECOVERY)), "t 3 0\n"));
    rig_free(&r);
}

static void no_checkpoint_names_a_log_before_it_is_made(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[2];
    begin(&r, env, v, 2);
    assert_ok(plog_warm(v[0]));
    assert_ok(logs_checkpoint(r.logs));
    assert_non_null(strstr(test_read(env, test_path(env, CHECKPOINT_RECOVERY)), "t 0 0\n"));
    assert_null(strstr(test_read(env, test_path(env, CHECKPOINT_RECOVERY)), "t 1 0\n"));
    drop(v, 2);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* Want of room or of descriptors, at any of its steps: told to who appends, and tried again. */
static void what_cannot_be_made_now_is_made_later(void **state)
{
    static const struct {
        unsigned op;
        int err, told;
    } cases[] = { { SIM_MKDIR, -ENOSPC, E_NO_SPACE },
                  { SIM_OPEN, -EMFILE, E_NO_FILES },
                  { SIM_PWRITEV, -ENOSPC, E_NO_SPACE },
                  { SIM_SYNC_DIR, -EMFILE, E_NO_FILES } };
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[MANY];
    int64_t first;
    begin(&r, env, v, MANY);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        sim_fault(r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = cases[i].err, .ops = cases[i].op, .path = "/t-" });
        assert_err(rig_produce(&r, v[i], RIG_BATCH(), "no", &first), cases[i].told);
        assert_int_equal(rig_offsets(v[i]).end, 0);
        assert_false(rig_offsets(v[i]).offline);
        sim_fault(r.w, (struct sim_fault){ 0 });
        assert_int_equal(rig_put(&r, v[i], RIG_BATCH(), "yes"), 0);
    }
    sim_run(r.w, 3000000);
    assert_true(there(env, "t-4/partition.metadata"));
    drop(v, MANY);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void a_sync_that_fails_takes_the_directory_offline_and_nothing_is_acknowledged(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[2];
    int64_t first;
    begin(&r, env, v, 2);
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .err = -EIO, .ops = SIM_DATASYNC, .path = "/t-0" });
    assert_err(rig_produce(&r, v[0], RIG_BATCH(), "no", &first), E_OFFLINE); /* J6 */
    assert_err(rig_produce(&r, v[1], RIG_BATCH(), "no", &first), E_OFFLINE);
    sim_run(r.w, 1000000);
    drop(v, 2);
    rig_kill(&r);
    rig_free(&r);
}

static int broken_logs;
static void count_broken(void *arg) { broken_logs++; }

static void what_can_never_be_made_is_told(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[2];
    int64_t first;
    broken_logs = 0;
    begin(&r, env, v, 2);
    logs_on_broken(r.logs, count_broken, NULL);
    assert_ok(fs_write_file(r.w->fs, test_path(env, "t-0"), S("in the way")));
    assert_true(rig_produce(&r, v[0], RIG_BATCH(), "no", &first) < 0);
    assert_true(plog_broken(v[0]) < 0);
    assert_int_equal(broken_logs, 1);
    assert_int_equal(rig_put(&r, v[1], RIG_BATCH(), "yes"), 0);
    drop(v, 2);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void a_log_that_goes_before_it_is_made_leaves_nothing(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[2], *p;
    struct why why = { "" };
    int64_t first;
    struct slice *names;
    int n;
    begin(&r, env, v, 2);
    assert_ok(logs_delete_partition(r.logs, v[0]));
    assert_err(rig_produce(&r, v[0], RIG_BATCH(), "no", &first), E_GONE);
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .err = -EMFILE, .sticky = true, .ops = SIM_SYNC_DIR, .path = "/t-1" });
    assert_err(rig_produce(&r, v[1], RIG_BATCH(), "no", &first), E_NO_FILES); /* its files are there */
    sim_fault(r.w, (struct sim_fault){ 0 });
    assert_ok(logs_delete_partition(r.logs, v[1]));
    drop(v, 2);
    assert_ok(rig_try(&r, "t", 0, "", &p, &why)); /* the name is free */
    assert_int_equal(rig_put(&r, p, RIG_BATCH(), "yes"), 0);
    plog_unref(&p);
    sim_run(r.w, 1000000);
    assert_ok(rig_close(&r));
    assert_ok(r.w->fs->list(r.w->fs, env->dir, &env->arena, &names, &n));
    for (int i = 0; i < n; i++) assert_true(memcmp(names[i].p, "t-", 2) != 0 || slice_eq(names[i], S("t-0")));
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(a_promised_log_is_empty_and_its_first_record_stays),
        IN_BOTH_WORLDS(all_are_made_behind_and_by_a_clean_stop),
        IN_SIM_WORLD(no_checkpoint_names_a_log_before_it_is_made),
        IN_SIM_WORLD(what_cannot_be_made_now_is_made_later),
        IN_SIM_WORLD(a_sync_that_fails_takes_the_directory_offline_and_nothing_is_acknowledged),
        IN_SIM_WORLD(what_can_never_be_made_is_told),
        IN_SIM_WORLD(a_log_that_goes_before_it_is_made_leaves_nothing),
    };
    return cmocka_run_group_tests_name("promise", tests, NULL, NULL);
}
