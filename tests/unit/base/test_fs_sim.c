/* The simulated files: what a power loss takes, what faults do. Each sentence is tried over many seeds. */
#include "test.h"

#include <errno.h>

enum { SEEDS = 200 };

static int put(struct fs *fs, int fd, const void *p, size_t n, int64_t at)
{
    struct iovec v = { (void *)(uintptr_t)p, n };
    return fs->pwritev(fs, fd, &v, 1, at);
}

static int open_in(struct test_env *env, const char *name)
{
    struct fs *fs = env->world->fs;
    int fd = fs->open(fs, test_path(env, name), FS_WRITE | FS_CREATE);
    assert_true(fd >= 0);
    return fd;
}

static bool is_there(struct test_env *env, const char *name)
{
    struct fs_stat st;
    return env->world->fs->stat(env->world->fs, test_path(env, name), &st) == 0;
}

static void env_end(struct test_env *env)
{
    void *state = env;
    test_env_free(&state);
}

static void synced_content_under_a_synced_name_always_survives(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct test_env *env = test_env_sim(seed);
        struct fs *fs = env->world->fs;
        int fd = open_in(env, "f");
        assert_ok(put(fs, fd, "lost?", 5, 0));
        assert_ok(put(fs, fd, "kept!", 5, 0));
        assert_ok(fs->datasync(fs, fd));
        assert_ok(fs->sync_dir(fs, env->dir));
        assert_ok(put(fs, fd, "more", 4, 5));
        sim_power_loss(env->world);
        assert_memory_equal(test_read(env, test_path(env, "f")), "kept!", 5);
        sim_power_loss(env->world); /* nothing new was written: nothing changes */
        assert_memory_equal(test_read(env, test_path(env, "f")), "kept!", 5);
        env_end(env);
    }
}

static void a_file_whose_name_was_not_synced_is_sometimes_gone(void **state)
{
    int gone = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct test_env *env = test_env_sim(seed);
        struct fs *fs = env->world->fs;
        int fd = open_in(env, "f");
        assert_ok(put(fs, fd, "x", 1, 0));
        assert_ok(fs->datasync(fs, fd)); /* the content only */
        sim_power_loss(env->world);
        if (is_there(env, "f")) assert_string_equal(test_read(env, test_path(env, "f")), "x");
        else gone++;
        env_end(env);
    }
    assert_in_range(gone, SEEDS / 10, SEEDS * 9 / 10);
}

/* Three writes of whole sectors after a synced one: each outcome must be seen, and none that is impossible. */
static void unsynced_writes_are_kept_lost_torn_reordered_or_left_as_zeros(void **state)
{
    enum { N = 4 * 512 };
    int none = 0, all = 0, torn = 0, later_only = 0, zeros = 0;
    char old[N], have[4 * N];
    memset(old, 'o', N);
    for (uint64_t seed = 1; seed <= 2 * SEEDS; seed++) {
        struct test_env *env = test_env_sim(seed);
        struct fs *fs = env->world->fs;
        int fd = open_in(env, "f");
        assert_ok(put(fs, fd, old, N, 0));
        assert_ok(fs->datasync(fs, fd));
        assert_ok(fs->sync_dir(fs, env->dir));
        for (int i = 0; i < 3; i++) {
            char part[N];
            memset(part, '1' + i, N);
            assert_ok(put(fs, fd, part, N, (int64_t)N * (i + 1)));
        }
        sim_power_loss(env->world);
        fd = open_in(env, "f");
        ssize_t n = fs->pread(fs, fd, have, sizeof(have), 0);
        assert_true(n >= N);
        assert_memory_equal(have, old, N);
        int whole[3] = { 0 };
        for (int i = 0; i < 3; i++) {
            int kept = 0, zero = 0;
            for (int sector = 0; sector < 4; sector++) {
                ssize_t at = N * (i + 1) + sector * 512;
                if (at >= n) continue;
                assert_true(have[at] == '1' + i || have[at] == 0);
                assert_int_equal(have[at + 511], have[at]); /* a sector is one thing */
                kept += have[at] != 0;
                zero += have[at] == 0;
            }
            whole[i] = kept == 4;
            torn += kept > 0 && kept < 4;
            zeros += zero == 4;
        }
        none += n == N;
        all += whole[0] && whole[1] && whole[2];
        later_only += whole[1] && !whole[0];
        env_end(env);
    }
    assert_true(none > 10 && all > 10 && torn > 10 && later_only > 10 && zeros > 10);
}

static void an_unsynced_cut_is_sometimes_undone(void **state)
{
    int undone = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct test_env *env = test_env_sim(seed);
        struct fs *fs = env->world->fs;
        const char *f = test_path(env, "f");
        assert_ok(fs_write_file(fs, f, S("0123456789")));
        int fd = open_in(env, "f");
        assert_ok(fs->truncate(fs, fd, 4));
        if (seed % 2) assert_ok(fs->datasync(fs, fd));
        assert_string_equal(test_read(env, f), "0123");
        sim_power_loss(env->world);
        const char *have = test_read(env, f);
        if (seed % 2 || strlen(have) == 4) {
            assert_string_equal(have, "0123");
        } else {
            assert_string_equal(have, "0123456789");
            undone++;
        }
        env_end(env);
    }
    assert_in_range(undone, SEEDS / 20, SEEDS / 2);
}

/* tmp and rename: old or new, never anything else; new for sure after sync_dir. */
static void a_rename_is_whole_or_undone_and_final_after_sync_dir(void **state)
{
    int old = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct test_env *env = test_env_sim(seed);
        struct fs *fs = env->world->fs;
        const char *f = test_path(env, "f"), *tmp = test_path(env, "f.tmp");
        assert_ok(fs_write_file(fs, f, S("old")));
        int fd = open_in(env, "f.tmp");
        assert_ok(put(fs, fd, "new", 3, 0));
        assert_ok(fs->datasync(fs, fd));
        assert_ok(fs->rename(fs, tmp, f));
        assert_string_equal(test_read(env, f), "new");
        if (seed % 4 == 1) assert_ok(fs->sync_dir(fs, env->dir));
        if (seed % 4 == 3) { /* the same, by a descriptor */
            int dir = fs->open(fs, env->dir, FS_DIR);
            assert_ok(fs->sync_names(fs, dir));
            fs->close(fs, dir);
        }
        sim_power_loss(env->world);
        const char *have = test_read(env, f);
        if (seed % 2 || strcmp(have, "new") == 0) {
            assert_string_equal(have, "new");
            assert_false(is_there(env, "f.tmp"));
        } else {
            assert_string_equal(have, "old");
            old++;
        }
        env_end(env);
    }
    assert_in_range(old, SEEDS / 20, SEEDS / 2);
}

static void fs_write_file_survives_as_a_whole_whenever_it_returned(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct test_env *env = test_env_sim(seed);
        struct fs *fs = env->world->fs;
        const char *f = test_path(env, "f");
        assert_ok(fs_write_file(fs, f, S("first")));
        assert_ok(fs_write_file(fs, f, S("second")));
        sim_fault(env->world, (struct sim_fault){ .nth = 1 + (int64_t)seed % 8, .sticky = true });
        int rc = fs_write_file(fs, f, S("third"));
        sim_fault(env->world, (struct sim_fault){ 0 });
        sim_power_loss(env->world);
        const char *have = test_read(env, f);
        if (rc == 0) assert_string_equal(have, "third");
        else assert_true(strcmp(have, "second") == 0 || strcmp(have, "third") == 0);
        env_end(env);
    }
}

/* A directory moves as a file does; its own names stay with it. A rename is carried by the directory it leads to. */
static void a_file_moved_between_directories_is_in_one_of_them(void **state)
{
    int moved = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct test_env *env = test_env_sim(seed);
        struct fs *fs = env->world->fs;
        assert_ok(fs_mkdirs(fs, test_path(env, "a/sub")));
        assert_ok(fs_mkdirs(fs, test_path(env, "b")));
        assert_ok(fs_write_file(fs, test_path(env, "a/sub/f"), S("x")));
        assert_ok(fs->rename(fs, test_path(env, "a/sub"), test_path(env, "b/sub")));
        if (seed % 2) assert_ok(fs->sync_dir(fs, test_path(env, "b")));
        else assert_ok(fs->sync_dir(fs, test_path(env, "a"))); /* half the work: nothing is promised, nothing is lost */
        sim_power_loss(env->world);
        bool a = is_there(env, "a/sub/f"), b = is_there(env, "b/sub/f");
        assert_true(a != b);
        if (seed % 2) assert_true(b);
        moved += b;
        env_end(env);
    }
    assert_in_range(moved, SEEDS / 2 + 1, SEEDS - 1);
}

static void removed_names_come_back_unless_synced(void **state)
{
    int back = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct test_env *env = test_env_sim(seed);
        struct fs *fs = env->world->fs;
        assert_ok(fs_mkdirs(fs, test_path(env, "d")));
        assert_ok(fs_write_file(fs, test_path(env, "d/f"), S("x")));
        assert_ok(fs->unlink(fs, test_path(env, "d/f")));
        assert_ok(fs->sync_dir(fs, test_path(env, "d")));
        assert_ok(fs->rmdir(fs, test_path(env, "d")));
        assert_ok(fs_write_file(fs, test_path(env, "g"), S("x"))); /* this syncs the parent, and with it the rmdir */
        assert_ok(fs->unlink(fs, test_path(env, "g")));
        sim_power_loss(env->world);
        assert_false(is_there(env, "d"));
        back += is_there(env, "g");
        env_end(env);
    }
    assert_in_range(back, SEEDS / 10, SEEDS * 9 / 10);
}

static void descriptors_and_locks_go_down_with_the_power(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    char c;
    int fd = open_in(env, "f"), lock = fs->lock(fs, test_path(env, ".lock"));
    assert_true(lock >= 0);
    assert_err(fs->pread(fs, 3, &c, 1, 0), -EBADF); /* no descriptor of the kernel's */
    sim_power_loss(env->world);
    assert_err(fs->pread(fs, fd, &c, 1, 0), -EIO);
    assert_err(put(fs, fd, "x", 1, 0), -EIO);
    assert_err(fs->close(fs, lock), -EIO);
    lock = fs->lock(fs, test_path(env, ".lock"));
    assert_true(lock >= 0);
    assert_ok(fs->close(fs, lock));
    assert_err(fs->close(fs, lock), -EBADF);
}

static void on_timer(struct timer *t) {}
static enum turn no_turn(void *arg)
{
    fail();
    return TURN_IDLE;
}

static void nothing_runs_after_a_power_loss(void **state)
{
    struct test_env *env = *state;
    struct loop *l = loop_new(env->world, "loop");
    struct worker *wk = worker_start(env->world, "worker", no_turn, NULL);
    struct timer *t = new (struct timer); /* reachable from the loop that went down: no leak */
    t->fn = on_timer;
    loop_start(l);
    loop_timer(l, t, loop_now_us(l) + 10);
    worker_kick(wk);
    sim_power_loss(env->world);
    assert_false(sim_step(env->world));
    sim_run(env->world, 1000000);
    void *orphan = mem_alloc(10);
    sim_forget(env->world, orphan);
}

/* Linux tells of a failed sync once; the pages are clean then, and what the next sync says about them is worth nothing. */
static void a_failed_datasync_is_followed_by_one_that_succeeds_and_means_nothing(void **state)
{
    int lost = 0, seen_lost = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct test_env *env = test_env_sim(seed);
        struct fs *fs = env->world->fs;
        const char *f = test_path(env, "f");
        assert_ok(fs_write_file(fs, f, S("old")));
        int fd = open_in(env, "f");
        assert_ok(put(fs, fd, "new", 3, 0));
        sim_fault(env->world, (struct sim_fault){ .nth = 1, .ops = SIM_DATASYNC });
        assert_err(fs->datasync(fs, fd), -EIO);
        assert_ok(fs->datasync(fs, fd));
        assert_string_equal(test_read(env, f), "new"); /* still in the page cache */
        fs->forget(fs, fd, 0, 0);                      /* and read from the disk */
        seen_lost += strcmp(test_read(env, f), "old") == 0;
        sim_power_loss(env->world);
        const char *have = test_read(env, f);
        lost += strcmp(have, "old") == 0;
        env_end(env);
    }
    assert_int_equal(lost, seen_lost);
    assert_in_range(lost, SEEDS / 4, SEEDS * 3 / 4);
}

static void forgetting_keeps_what_is_dirty(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    int fd = open_in(env, "f");
    assert_ok(put(fs, fd, "dirty", 5, 8192));
    fs->forget(fs, fd, 0, 0);
    char b[5];
    assert_int_equal(fs->pread(fs, fd, b, 5, 8192), 5);
    assert_memory_equal(b, "dirty", 5);
    assert_ok(fs->truncate(fs, fd, 2));
    assert_ok(fs->truncate(fs, fd, 9000));
    fs->forget(fs, fd, 0, 0);
    assert_int_equal(fs->pread(fs, fd, b, 5, 8192), 5);
    assert_memory_equal(b, "\0\0\0\0\0", 5);
}

static void the_nth_call_fails_and_only_where_asked(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    int f = open_in(env, "f.log"), g = open_in(env, "g.index");
    int64_t calls = sim_fs_calls(env->world);
    sim_fault(env->world, (struct sim_fault){ .nth = 2, .err = -ENOSPC });
    assert_ok(put(fs, f, "a", 1, 0));
    assert_err(put(fs, f, "b", 1, 1), -ENOSPC);
    assert_ok(put(fs, f, "c", 1, 1));
    sim_fault(env->world, (struct sim_fault){ .nth = 2, .sticky = true });
    assert_ok(fs->datasync(fs, f));
    for (int i = 0; i < 3; i++) assert_err(fs->datasync(fs, f), -EIO);
    assert_err(fs->sync_dir(fs, env->dir), -EIO);
    assert_err(fs->open(fs, test_path(env, "f.log"), FS_READ), -EIO);
    sim_fault(env->world, (struct sim_fault){ .nth = 1, .ops = SIM_PWRITEV | SIM_TRUNCATE, .path = ".index" });
    assert_ok(put(fs, f, "d", 1, 2));
    assert_ok(fs->datasync(fs, g));
    assert_err(put(fs, g, "d", 1, 0), -EIO);
    assert_ok(put(fs, g, "d", 1, 0));
    assert_int_equal(sim_fs_calls(env->world) - calls, 13);
    assert_string_equal(test_read(env, test_path(env, "f.log")), "acd");
}

static void a_cut_write_leaves_a_part_behind(void **state)
{
    int some = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct test_env *env = test_env_sim(seed);
        struct fs *fs = env->world->fs;
        int fd = open_in(env, "f");
        struct fs_stat st;
        sim_fault(env->world, (struct sim_fault){ .nth = 1, .cut = true });
        assert_err(put(fs, fd, "0123456789", 10, 0), -EIO);
        assert_ok(fs->fstat(fs, fd, &st));
        assert_in_range(st.size, 0, 9);
        assert_memory_equal(test_read(env, test_path(env, "f")), "0123456789", (size_t)st.size);
        some += st.size > 0;
        env_end(env);
    }
    assert_true(some > SEEDS / 2);
}

static void a_full_disk_says_so_and_takes_again_what_was_freed(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    struct fs_space sp;
    struct fs_stat st;
    int fd = open_in(env, "f");
    sim_space(env->world, 15);
    assert_ok(put(fs, fd, "0123456789", 10, 0));
    assert_ok(put(fs, fd, "0123456789", 10, 0)); /* in place: no new room */
    assert_err(put(fs, fd, "0123456789", 10, 10), -ENOSPC);
    assert_ok(fs->fstat(fs, fd, &st));
    assert_int_equal(st.size, 15); /* a part of it is there: the caller cuts */
    assert_ok(fs->truncate(fs, fd, 10));
    assert_ok(fs->space(fs, env->dir, &sp));
    assert_int_equal(sp.available, 5);
    assert_err(put(fs, fd, "x", 1, 100), -ENOSPC);
    assert_ok(fs->fstat(fs, fd, &st));
    assert_int_equal(st.size, 10);
    assert_ok(fs->space(fs, env->dir, &sp));
    assert_int_equal(sp.available, 5);
    assert_ok(put(fs, fd, "01234", 5, 10));
    assert_err(fs->open(fs, test_path(env, "g"), FS_WRITE | FS_CREATE), -ENOSPC);
    assert_err(fs->mkdir(fs, test_path(env, "d")), -ENOSPC);
    assert_ok(fs->unlink(fs, test_path(env, "f")));
    assert_ok(fs->space(fs, env->dir, &sp));
    assert_int_equal(sp.available, 0); /* still open */
    assert_ok(fs->close(fs, fd));
    assert_ok(fs->space(fs, env->dir, &sp));
    assert_int_equal(sp.available, 15);
    sim_space(env->world, -1);
    fd = open_in(env, "g");
    assert_ok(put(fs, fd, "x", 1, 1000));
}

/* A random program over a handful of names, with syncs and power losses in between. */
static uint64_t play(uint64_t seed, int *n_errors)
{
    struct test_env *env = test_env_sim(seed);
    struct fs *fs = env->world->fs;
    struct rnd *r = env->world->rnd;
    *n_errors = 0;
    for (int round = 0; round < 6; round++) {
        int fds[4];
        assert_ok(fs_mkdirs(fs, env->dir));
        for (int i = 0; i < 4; i++) fds[i] = -1;
        for (int op = 0; op < 60; op++) {
            static const char *const names[] = { "a", "b", "d", "d/x", "d/y", "e", "e/x" };
            const char *p = test_path(env, names[rnd_below(r, ARRAY_LEN(names))]);
            const char *q = test_path(env, names[rnd_below(r, ARRAY_LEN(names))]);
            int k = (int)rnd_below(r, 4), rc = 0;
            char data[1500];
            switch (rnd_below(r, 12)) {
            case 0: rc = fs->mkdir(fs, p); break;
            case 1: rc = fs->rmdir(fs, p); break;
            case 2: rc = fs->unlink(fs, p); break;
            case 3:
            case 4: rc = fs->rename(fs, p, q); break;
            case 5:
                if (rnd_below(r, 2)) rc = fs->sync_dir(fs, rnd_below(r, 2) ? env->dir : p);
                else if ((rc = fs->open(fs, rnd_below(r, 2) ? env->dir : p, FS_DIR)) >= 0) {
                    int dir = rc;
                    rc = fs->sync_names(fs, dir);
                    fs->close(fs, dir);
                }
                break;
            case 6:
            case 7:
                if (fds[k] >= 0) fs->close(fs, fds[k]);
                rc = fds[k] = fs->open(fs, p, FS_WRITE | FS_CREATE);
                break;
            case 8:
            case 9:
                memset(data, 'a' + op % 26, sizeof(data));
                rc = put(fs, fds[k], data, rnd_below(r, sizeof(data)), (int64_t)rnd_below(r, 3000));
                break;
            case 10: rc = fs->truncate(fs, fds[k], (int64_t)rnd_below(r, 3000)); break;
            default: rc = fs->datasync(fs, fds[k]);
            }
            *n_errors += rc < 0;
        }
        sim_power_loss(env->world);
    }
    assert_ok(fs_remove_tree(fs, env->dir));
    uint64_t hash = sim_trace_hash(env->world);
    env_end(env);
    return hash;
}

static void equal_seeds_leave_equal_traces_through_power_losses(void **state)
{
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        int errors[2];
        uint64_t hash = play(seed, &errors[0]);
        assert_true(hash == play(seed, &errors[1]));
        assert_int_equal(errors[0], errors[1]);
        assert_true(hash != last);
        last = hash;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_content_under_a_synced_name_always_survives),
        cmocka_unit_test(a_file_whose_name_was_not_synced_is_sometimes_gone),
        cmocka_unit_test(unsynced_writes_are_kept_lost_torn_reordered_or_left_as_zeros),
        cmocka_unit_test(an_unsynced_cut_is_sometimes_undone),
        cmocka_unit_test(a_rename_is_whole_or_undone_and_final_after_sync_dir),
        cmocka_unit_test(fs_write_file_survives_as_a_whole_whenever_it_returned),
        cmocka_unit_test(a_file_moved_between_directories_is_in_one_of_them),
        cmocka_unit_test(removed_names_come_back_unless_synced),
        IN_SIM_WORLD(descriptors_and_locks_go_down_with_the_power),
        IN_SIM_WORLD(nothing_runs_after_a_power_loss),
        cmocka_unit_test(a_failed_datasync_is_followed_by_one_that_succeeds_and_means_nothing),
        IN_SIM_WORLD(forgetting_keeps_what_is_dirty),
        IN_SIM_WORLD(the_nth_call_fails_and_only_where_asked),
        cmocka_unit_test(a_cut_write_leaves_a_part_behind),
        IN_SIM_WORLD(a_full_disk_says_so_and_takes_again_what_was_freed),
        cmocka_unit_test(equal_seeds_leave_equal_traces_through_power_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
