/* The note of whose runs the quorum's epochs were: odradek.runs. */
#include "runs.h"
#include "test.h"
#include <errno.h>

static const struct uuid id = { { 7 } };
static const char cluster[JOURNAL_CLUSTER] = "cluster";

static void write_runs(struct test_env *env, struct runs *r, bool there)
{
    assert_ok(runs_write(env->world->fs, env->dir, id, cluster, there, r));
}
static int read_runs(struct test_env *env, struct runs *r) { return runs_read(env->world->fs, env->dir, id, cluster, r); }

static void what_was_noted_last_is_read_back(void **state)
{
    struct test_env *env = *state;
    struct runs r = { .first = 3, .settled = -1 }, got;
    assert_err(read_runs(env, &got), E_NOT_FOUND);
    for (int32_t last = 3; last < 9; last++) {
        r.last = last;
        write_runs(env, &r, last > 3);
        assert_ok(read_runs(env, &got));
        assert_int_equal(got.generation, last - 2);
        assert_int_equal(got.first, 3);
        assert_int_equal(got.last, last);
        assert_int_equal(got.settled, r.settled);
        r.settled = last;
    }
    struct uuid other = { { 8 } };
    assert_err(runs_read(env->world->fs, env->dir, other, cluster, &got), E_CORRUPT);
    assert_err(runs_read(env->world->fs, env->dir, id, (char[JOURNAL_CLUSTER]){ "else" }, &got), E_CORRUPT);
}

static void a_torn_note_leaves_the_one_before(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    struct runs r = { .first = 1, .last = 1 }, got;
    struct bytes file = { 0 };
    write_runs(env, &r, false);
    r.last = 2;
    write_runs(env, &r, true);
    assert_ok(fs_read_file(fs, test_path(env, RUNS_FILE), 1 << 20, &file));
    for (size_t at = 0; at < 96; at++) { /* the second is in the first slot */
        struct bytes hurt = { 0 };
        bytes_put(&hurt, file.p, file.n);
        hurt.p[at] ^= 0x20;
        assert_ok(fs_write_file(fs, test_path(env, RUNS_FILE), (struct slice){ (const char *)hurt.p, hurt.n }));
        assert_ok(read_runs(env, &got));
        assert_int_equal(got.last, 1);
        hurt.p[4096 + at] ^= 0x20;
        assert_ok(fs_write_file(fs, test_path(env, RUNS_FILE), (struct slice){ (const char *)hurt.p, hurt.n }));
        assert_err(read_runs(env, &got), E_CORRUPT);
        bytes_free(&hurt);
    }
    bytes_free(&file);
}

static void a_full_disk_refuses_no_note_but_the_first(void **state)
{
    struct test_env *env = *state;
    struct runs r = { .first = 1, .last = 1 }, got;
    sim_space(env->world, 0);
    assert_err(runs_write(env->world->fs, env->dir, id, cluster, false, &r), E_NO_SPACE);
    sim_space(env->world, -1);
    write_runs(env, &r, false);
    sim_space(env->world, 0);
    r.last = 2;
    write_runs(env, &r, true);
    assert_ok(read_runs(env, &got));
    assert_int_equal(got.last, 2);
    sim_space(env->world, -1);
}

/* What failed may be on the disk for all that: the other slot is not touched until it is certain. */
static void a_note_that_failed_is_written_to_the_same_slot_again(void **state)
{
    struct test_env *env = *state;
    struct runs r = { .first = 1, .last = 1 }, got;
    write_runs(env, &r, false);
    for (r.last = 2; r.last < 5; r.last++) {
        sim_fault(env->world, (struct sim_fault){ .nth = 1, .err = -EIO, .ops = SIM_PWRITEV, .path = RUNS_FILE });
        assert_err(runs_write(env->world->fs, env->dir, id, cluster, true, &r), E_IO);
        assert_int_equal(r.generation, 1);
        assert_ok(read_runs(env, &got));
        assert_int_equal(got.last, 1);
    }
    write_runs(env, &r, true);
    assert_int_equal(r.generation, 2);
    assert_ok(read_runs(env, &got));
    assert_int_equal(got.last, 5);
}

static void it_is_believed_where_nobody_else_led_since(void **state) /* J14 */
{
    static const struct {
        struct runs note;
        int32_t quorum, log, since;
    } cases[] = {
        { { 0, 0, 0 }, 7, 7, 7 }, /* none: only the newest epoch */
        { { 1, 5, 7 }, 7, 7, 5 }, /* all ours */
        { { 1, 5, 6 }, 7, 6, 5 }, /* a start of ours that died before it was noted */
        { { 1, 5, 6 }, 9, 6, 5 }, /* several of them */
        { { 1, 5, 6 }, 7, 7, 7 }, /* somebody led as 7 */
        { { 1, 5, 7 }, 6, 6, 6 }, /* quorum-state is older than our note: not the one that we wrote */
        { { 1, 7, 7 }, 7, 7, 7 },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(runs_since(&cases[i].note, cases[i].quorum, cases[i].log), cases[i].since);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(what_was_noted_last_is_read_back),
        IN_SIM_WORLD(a_torn_note_leaves_the_one_before),
        IN_SIM_WORLD(a_full_disk_refuses_no_note_but_the_first),
        IN_SIM_WORLD(a_note_that_failed_is_written_to_the_same_slot_again),
        cmocka_unit_test(it_is_believed_where_nobody_else_led_since),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
