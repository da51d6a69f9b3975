#include "checkpoint.h"
#include "leaf.h"

static void kafkas_file_is_read_and_written_byte_for_byte(void **state)
{
    static const char kafka[] = "0\n3\nt-txn 1 66\n__consumer_offsets 30 0\nt-none 2 175\n"; /* lines of one Kafka wrote */
    struct arena a;
    struct checkpoint_entry *e;
    int n;
    arena_init(&a);
    assert_int_equal(checkpoint_parse(slice_of(kafka), &a, &e, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_int_equal(checkpoint_find(e, n, S("t-txn"), 1), 66);
    assert_int_equal(checkpoint_find(e, n, S("t-none"), 2), 175);
    assert_int_equal(checkpoint_find(e, n, S("__consumer_offsets"), 30), 0);
    assert_int_equal(checkpoint_find(e, n, S("t-txn"), 0), -1);
    assert_int_equal(checkpoint_find(e, n, S("zzz"), 0), -1);
    assert_int_equal(checkpoint_find(e, n, S(""), 0), -1);

    struct bytes out = { 0 };
    const struct checkpoint_entry in[] = { { S("t-txn"), 1, 66 }, { S("__consumer_offsets"), 30, 0 }, { S("t-none"), 2, 175 } };
    checkpoint_format(in, 3, &out);
    assert_true(slice_eq(bytes_slice(&out), slice_of(kafka)));
    bytes_free(&out);
    arena_free(&a);
}

static void entries_do_not_depend_on_the_text_they_came_from(void **state)
{
    char text[] = "0\n1\nabc 0 5\n";
    struct arena a;
    struct checkpoint_entry *e;
    int n;
    arena_init(&a);
    assert_int_equal(checkpoint_parse(slice_of(text), &a, &e, &n, NULL), 0);
    memset(text, 'x', sizeof(text) - 1);
    assert_int_equal(checkpoint_find(e, n, S("abc"), 0), 5);
    arena_free(&a);
}

static void the_last_of_two_lines_for_a_partition_wins(void **state)
{
    struct arena a;
    struct checkpoint_entry *e;
    int n;
    arena_init(&a);
    assert_int_equal(checkpoint_parse(S("0\n4\nt 0 9\nt 1 5\nt 0 3\nt 0 7\n"), &a, &e, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(checkpoint_find(e, n, S("t"), 0), 7);
    arena_free(&a);
}

static void an_empty_or_missing_file_has_no_entries(void **state)
{
    struct world *w = disk_new(1);
    struct arena a;
    struct checkpoint_entry *e;
    int n = 9;
    arena_init(&a);
    assert_int_equal(checkpoint_read(w->fs, DIR, CHECKPOINT_CLEANER, &a, &e, &n, NULL), 0);
    assert_int_equal(n, 0);
    static const char *const empty[] = { "", "0\n", "0\n0\n", "0\n0" };
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        assert_int_equal(checkpoint_parse(slice_of(empty[i]), &a, &e, &n, NULL), 0);
        assert_int_equal(n, 0);
    }
    arena_free(&a);
    world_free(&w);
}

static void a_damaged_file_counts_as_none_and_says_why(void **state)
{
    static const char *const bad[] = { "1\n0\n",
                                       "zero",
                                       "0\nmany\n",
                                       "0\n-3\n",
                                       "0\n2\nt 0 5\n",
                                       "0\n0\nt 0 5\n",
                                       "0\n1\nt 0\n",
                                       "0\n1\nt 0 5 6\n",
                                       "0\n1\nt x 5\n",
                                       "0\n1\nt -1 5\n",
                                       "0\n1\nt 0 x\n",
                                       "0\n1\nt 0 5\n\n",
                                       "0\n1\n t 0 5\n",
                                       "0\n9999999999\n",
                                       "0\n2147483647\nt 0 5\n" };
    struct world *w = disk_new(1);
    struct arena a;
    struct checkpoint_entry *e;
    int n;
    arena_init(&a);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct why why = { "" };
        disk_put(w, DIR "/" CHECKPOINT_RECOVERY, slice_of(bad[i]));
        n = 9;
        assert_int_equal(checkpoint_read(w->fs, DIR, CHECKPOINT_RECOVERY, &a, &e, &n, &why), E_CORRUPT);
        assert_int_equal(n, 0);
        assert_non_null(strstr(why.text, DIR "/recovery-point-offset-checkpoint: "));
    }
    arena_free(&a);
    world_free(&w);
}

static void an_io_error_is_told_and_has_no_entries(void **state)
{
    struct world *w = disk_new(1);
    struct arena a;
    struct checkpoint_entry *e;
    int n = 9;
    struct why why = { "" };
    arena_init(&a);
    disk_put(w, DIR "/" CHECKPOINT_START, S("0\n1\nt 0 5\n"));
    sim_fault(w, (struct sim_fault){ .nth = 1, .err = -EIO, .ops = SIM_PREAD });
    assert_int_equal(checkpoint_read(w->fs, DIR, CHECKPOINT_START, &a, &e, &n, &why), E_IO);
    assert_int_equal(n, 0);
    assert_true(why.text[0] != 0);
    arena_free(&a);
    world_free(&w);
}

static void twenty_thousand_lines_make_the_round(void **state)
{
    enum { N = 20000 };
    struct world *w = disk_new(1);
    struct checkpoint_entry *in = mem_zalloc(N * sizeof(*in)), *e;
    struct arena a;
    int n;
    arena_init(&a);
    for (int i = 0; i < N; i++) in[i] = (struct checkpoint_entry){ arena_printf(&a, "topic-%d", (i * 7919) % N), i % 3, i };
    assert_int_equal(checkpoint_write(w->fs, DIR, CHECKPOINT_RECOVERY, in, N), 0);
    assert_int_equal(checkpoint_read(w->fs, DIR, CHECKPOINT_RECOVERY, &a, &e, &n, NULL), 0);
    assert_int_equal(n, N);
    for (int i = 0; i < N; i++) assert_int_equal(checkpoint_find(e, n, in[i].topic, in[i].partition), i);
    mem_free(in);
    arena_free(&a);
    world_free(&w);
}

static void numbers_are_taken_as_java_takes_them(void **state)
{
    int64_t v = 7;
    assert_int_equal(checkpoint_int(S("9223372036854775807"), INT64_MIN, INT64_MAX, &v), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(checkpoint_int(S("-9223372036854775808"), INT64_MIN, INT64_MAX, &v), 0);
    assert_true(v == INT64_MIN);
    assert_int_equal(checkpoint_int(S("+5"), 0, 9, &v), 0);
    assert_int_equal(v, 5);
    static const char *const bad[] = { "",   "+", "-", "5x", " 5", "5 ", "0x5", "9223372036854775808", "-9223372036854775809",
                                       "10", "-1" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_int_equal(checkpoint_int(slice_of(bad[i]), 0, 9, &v), E_INVALID);
    assert_int_equal(v, 5);
}

static const struct checkpoint_entry OLD[] = { { S("t"), 0, 1 } }, NEW[] = { { S("t"), 0, 2 }, { S("u"), 0, 2 } };
static void write_old(struct world *w) { assert_int_equal(checkpoint_write(w->fs, DIR, CHECKPOINT_RECOVERY, OLD, 1), 0); }
static int write_new(struct world *w) { return checkpoint_write(w->fs, DIR, CHECKPOINT_RECOVERY, NEW, 2); }
static void old_or_new(struct world *w, bool acted)
{
    struct arena a;
    struct checkpoint_entry *e;
    int n;
    arena_init(&a);
    assert_int_equal(checkpoint_read(w->fs, DIR, CHECKPOINT_RECOVERY, &a, &e, &n, NULL), 0);
    assert_in_range(n, acted ? 2 : 1, 2);
    assert_int_equal(checkpoint_find(e, n, S("t"), 0), n);
    arena_free(&a);
}
static void a_power_cut_leaves_the_old_file_or_the_new_one(void **state) { crash_everywhere(write_old, write_new, old_or_new); }

static void load(struct slice bytes)
{
    struct arena a;
    struct checkpoint_entry *e;
    int n;
    arena_init(&a);
    if (checkpoint_parse(bytes, &a, &e, &n, NULL) == 0)
        for (int i = 0; i < n; i++) assert_true(checkpoint_find(e, n, e[i].topic, e[i].partition) == e[i].offset);
    else assert_int_equal(n, 0);
    arena_free(&a);
}
static void no_bytes_break_the_loader(void **state) { mutate(S("0\n3\ntopic 0 0\nother.one 3 77\nt 12 1000000\n"), load); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafkas_file_is_read_and_written_byte_for_byte),
        cmocka_unit_test(entries_do_not_depend_on_the_text_they_came_from),
        cmocka_unit_test(the_last_of_two_lines_for_a_partition_wins),
        cmocka_unit_test(an_empty_or_missing_file_has_no_entries),
        cmocka_unit_test(a_damaged_file_counts_as_none_and_says_why),
        cmocka_unit_test(an_io_error_is_told_and_has_no_entries),
        cmocka_unit_test(twenty_thousand_lines_make_the_round),
        cmocka_unit_test(numbers_are_taken_as_java_takes_them),
        cmocka_unit_test(a_power_cut_leaves_the_old_file_or_the_new_one),
        cmocka_unit_test(no_bytes_break_the_loader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
