/* Logs that are promised: there at once, empty; their files before their first record, behind, or by a clean stop. */
#include "internal.h"
#include "partmeta.h"
#include "rig.h"

enum { MANY = 6 };

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
                  { SIM_OPEN | SIM_LIST | SIM_UNLINK | SIM_RMDIR, -EMFILE, E_NO_FILES }, /* nor cleared up, nor looked into */
                  { SIM_PWRITEV, -ENOSPC, E_NO_SPACE },
                  { SIM_SYNC_DIR, -EMFILE, E_NO_FILES } };
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[MANY];
    int64_t first;
    begin(&r, env, v, MANY);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        sim_fault(r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = cases[i].err, .ops = cases[i].op, .path = "/t-" });
        for (int again = 0; again < 2; again++) assert_err(rig_produce(&r, v[i], RIG_BATCH(), "no", &first), cases[i].told);
        assert_int_equal(rig_offsets(v[i]).end, 0);
        assert_false(rig_offsets(v[i]).offline);
        sim_fault(r.w, (struct sim_fault){ 0 });
        assert_int_equal(rig_put(&r, v[i], RIG_BATCH(), "yes"), 0);
    }
    sim_run(r.w, 3000000);
    assert_true(there(env, "t-5/partition.metadata"));
    drop(v, MANY);
    assert_ok(rig_close(&r));
    assert_true(there(env, ".kafka_cleanshutdown"));
    rig_free(&r);
}

/* An attempt that opens nothing leaves nothing either: to clear up takes no descriptor. */
static void an_attempt_without_descriptors_leaves_nothing(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[3];
    static const int opened[] = { 0, 1, 3 }; /* before there are none: none of its files, some */
    begin(&r, env, v, 3);
    for (int i = 0; i < 3; i++) {
        char part[8];
        snprintf(part, sizeof(part), "/t-%d", i);
        sim_fault(r.w, (struct sim_fault){
                           .nth = opened[i] + 1, .sticky = true, .err = -EMFILE, .ops = SIM_OPEN | SIM_LIST, .path = part });
        assert_err(plog_warm(v[i]), E_NO_FILES);
        sim_fault(r.w, (struct sim_fault){ 0 });
        assert_false(there(env, part + 1));
        assert_ok(plog_warm(v[i]));
    }
    drop(v, 3);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* Checkpoints of this start that name a former log of the name are not asked of a new one that is half made. */
static void what_a_former_log_held_is_not_taken_for_the_new_ones(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[1];
    begin(&r, env, v, 1);
    assert_int_equal(rig_put(&r, v[0], RIG_BATCH(), "old"), 0);
    drop(v, 1);
    assert_ok(rig_close(&r));
    assert_non_null(strstr(test_read(env, test_path(env, CHECKPOINT_RECOVERY)), "t 0 1\n"));
    assert_ok(fs_remove_tree(r.w->fs, test_path(env, "t-0")));
    rig_begin(&r);
    promise(&r, v, 1);
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EMFILE, .ops = SIM_OPEN | SIM_RMDIR, .path = "/t-0" });
    assert_err(plog_warm(v[0]), E_NO_FILES);
    sim_fault(r.w, (struct sim_fault){ 0 });
    assert_true(there(env, "t-0"));
    assert_int_equal(rig_put(&r, v[0], RIG_BATCH(), "new"), 0);
    drop(v, 1);
    assert_ok(rig_close(&r));
    assert_true(there(env, ".kafka_cleanshutdown"));
    rig_free(&r);
}

/* Somebody puts a directory there, of a topic with this id. */
static void put_there(struct test_env *env, const char *name, struct uuid id, const char *file)
{
    struct fs *fs = env->world->fs;
    assert_ok(fs_mkdirs(fs, test_path(env, name)));
    if (!uuid_is_zero(id)) assert_ok(partmeta_write(fs, test_path(env, name), id));
    assert_ok(fs_write_file(fs, arena_printf(&env->arena, "%s/%s", test_path(env, name), file).p, S("of somebody")));
}

static void another_topics_directory_in_the_place_is_set_aside(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[1];
    struct slice *names;
    int n, kept = 0;
    begin(&r, env, v, 1);
    put_there(env, "t-0", (struct uuid){ { 8 } }, "00000000000000000000.log");
    assert_int_equal(rig_put(&r, v[0], RIG_BATCH(), "mine"), 0);
    assert_string_equal(rig_all(&r, &env->arena, v[0], READ_END), "mine@0");
    assert_ok(r.w->fs->list(r.w->fs, env->dir, &env->arena, &names, &n));
    for (int i = 0; i < n; i++) {
        if (!strstr(arena_printf(&env->arena, S_FMT, S_ARG(names[i])).p, "-stray")) continue;
        const char *path = arena_printf(&env->arena, "%s/" S_FMT "/00000000000000000000.log", env->dir, S_ARG(names[i])).p;
        assert_string_equal(test_read(env, path), "of somebody");
        kept++;
    }
    assert_int_equal(kept, 1);
    drop(v, 1);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

static void a_deletion_before_it_is_made_takes_nothing_of_others(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[4];
    begin(&r, env, v, 4);
    put_there(env, "t-0", (struct uuid){ { 8 } }, "00000000000000000000.log");
    put_there(env, "t-1", UUID_ZERO, "00000000000000000000.log");
    put_there(env, "t-2", (struct uuid){ { 7 } }, "00000000000000000000.log");
    assert_ok(fs_mkdirs(r.w->fs, test_path(env, "t-3")));
    assert_err(logs_delete_partition(r.logs, v[0]), E_INCONSISTENT_TOPIC_ID);
    assert_err(logs_delete_partition(r.logs, v[1]), E_EXISTS);
    assert_ok(logs_delete_partition(r.logs, v[2]));
    assert_ok(logs_delete_partition(r.logs, v[3]));
    drop(v, 4);
    assert_ok(rig_close(&r));
    assert_string_equal(test_read(env, test_path(env, "t-0/00000000000000000000.log")), "of somebody");
    assert_string_equal(test_read(env, test_path(env, "t-1/00000000000000000000.log")), "of somebody");
    assert_false(there(env, "t-2") || there(env, "t-3"));
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

struct watcher {
    struct rig *rig;
    struct plog *log;
    struct sleeper sleeper;
    struct watch watch;
    bool armed;
    _Atomic bool woken;
};
static void watcher_wake(struct sleeper *s) { atomic_store(&container_of(s, struct watcher, sleeper)->woken, true); }
static void watcher_begin(void *arg)
{
    struct watcher *w = arg;
    w->sleeper.wake = watcher_wake;
    waker_add(w->rig->waker, &w->sleeper);
    w->armed = plog_watch(w->log, &w->watch, w->rig->waker, w->sleeper.id, WATCH_BYTES, 1);
}
static void watcher_look(void *arg)
{
    struct watcher *w = arg;
    w->armed = plog_watch(w->log, &w->watch, w->rig->waker, w->sleeper.id, WATCH_BYTES, 1);
}
static void watcher_end(void *arg)
{
    struct watcher *w = arg;
    plog_unwatch(&w->watch);
    waker_remove(w->rig->waker, &w->sleeper);
}

static void what_can_never_be_made_is_told(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *v[2];
    int64_t first;
    broken_logs = 0;
    begin(&r, env, v, 2);
    logs_on_broken(r.logs, count_broken, NULL);
    struct watcher w = { .rig = &r, .log = v[0] };
    rig_home(&r, watcher_begin, &w);
    assert_true(w.armed);
    assert_ok(fs_write_file(r.w->fs, test_path(env, "t-0"), S("in the way")));
    assert_true(rig_produce(&r, v[0], RIG_BATCH(), "no", &first) < 0);
    assert_true(plog_broken(v[0]) < 0);
    assert_int_equal(broken_logs, 1);
    sim_run(r.w, 1000000);
    assert_true(w.woken); /* who waits for its records waits no longer */
    rig_home(&r, watcher_look, &w);
    assert_false(w.armed);
    rig_home(&r, watcher_end, &w);
    logs_on_broken(r.logs, count_broken, NULL); /* broken before there was anybody to tell */
    assert_int_equal(broken_logs, 2);
    assert_err(logs_delete_partition(r.logs, v[0]), E_EXISTS);
    assert_true(there(env, "t-0"));
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
        IN_SIM_WORLD(an_attempt_without_descriptors_leaves_nothing),
        IN_SIM_WORLD(what_a_former_log_held_is_not_taken_for_the_new_ones),
        IN_SIM_WORLD(another_topics_directory_in_the_place_is_set_aside),
        IN_SIM_WORLD(a_deletion_before_it_is_made_takes_nothing_of_others),
        IN_SIM_WORLD(a_sync_that_fails_takes_the_directory_offline_and_nothing_is_acknowledged),
        IN_SIM_WORLD(what_can_never_be_made_is_told),
        IN_SIM_WORLD(a_log_that_goes_before_it_is_made_leaves_nothing),
    };
    return cmocka_run_group_tests_name("promise", tests, NULL, NULL);
}
