#include "epochs.h"
#include "leaf.h"

static void assert_table(const struct epochs *e, int n, const struct epoch_entry *want)
{
    assert_int_equal(e->n, n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(e->v[i].epoch, want[i].epoch);
        assert_int_equal(e->v[i].start, want[i].start);
    }
}
#define TABLE(e, ...) \
    assert_table((e), (int)ARRAY_LEN(((struct epoch_entry[]){ __VA_ARGS__ })), (struct epoch_entry[]){ __VA_ARGS__ })

static void assert_end(const struct epochs *e, int32_t epoch, int64_t log_end, int32_t want_epoch, int64_t want_end)
{
    int32_t found;
    int64_t end;
    epochs_end(e, epoch, log_end, &found, &end);
    assert_int_equal(found, want_epoch);
    assert_int_equal(end, want_end);
}

static void an_empty_table_knows_nothing(void **state)
{
    struct epochs e = { 0 };
    assert_int_equal(epochs_latest(&e), -1);
    assert_int_equal(epochs_at(&e, 5), -1);
    assert_end(&e, 0, 10, -1, -1);
    assert_end(&e, -1, 10, -1, -1);
    assert_false(epochs_truncate_end(&e, 0));
    assert_false(epochs_truncate_start(&e, 0));
    assert_false(epochs_assign(&e, -1, 0));
    assert_false(epochs_assign(&e, 0, -1));
    epochs_free(&e);
}

static void the_same_epoch_again_changes_nothing(void **state)
{
    struct epochs e = { 0 };
    assert_true(epochs_assign(&e, 2, 6));
    assert_false(epochs_assign(&e, 2, 6));
    assert_false(epochs_assign(&e, 2, 9));
    TABLE(&e, { 2, 6 });
    assert_int_equal(epochs_latest(&e), 2);
    epochs_free(&e);
}

static void the_latest_epoch_ends_at_the_log_end(void **state)
{
    struct epochs e = { 0 };
    epochs_assign(&e, 2, 11);
    epochs_assign(&e, 3, 12);
    assert_end(&e, 3, 40, 3, 40);
    assert_end(&e, 2, 40, 2, 12);
    assert_end(&e, 4, 40, -1, -1);  /* newer than all */
    assert_end(&e, -1, 40, -1, -1); /* undefined */
    epochs_free(&e);
}

static void an_epoch_older_than_all_is_answered_with_the_first_start(void **state)
{
    struct epochs e = { 0 };
    epochs_assign(&e, 5, 11);
    epochs_assign(&e, 6, 12);
    epochs_assign(&e, 7, 13);
    assert_end(&e, 4, 20, 4, 11);
    epochs_free(&e);
}

static void an_epoch_in_a_gap_is_answered_with_the_one_below(void **state)
{
    struct epochs e = { 0 };
    epochs_assign(&e, 0, 10);
    epochs_assign(&e, 2, 13);
    epochs_assign(&e, 4, 17);
    assert_end(&e, 1, 20, 0, 13);
    assert_end(&e, 2, 20, 2, 17);
    assert_end(&e, 3, 20, 2, 17);
    epochs_free(&e);
}

static void an_epoch_of_an_offset_is_the_last_that_began_at_or_below_it(void **state)
{
    struct epochs e = { 0 };
    epochs_assign(&e, 1, 10);
    epochs_assign(&e, 3, 20);
    assert_int_equal(epochs_at(&e, 9), -1);
    assert_int_equal(epochs_at(&e, 10), 1);
    assert_int_equal(epochs_at(&e, 19), 1);
    assert_int_equal(epochs_at(&e, 20), 3);
    assert_int_equal(epochs_at(&e, INT64_MAX), 3);
    epochs_free(&e);
}

static void a_new_entry_removes_what_contradicts_it(void **state)
{
    struct epochs e = { 0 };
    epochs_assign(&e, 2, 6);
    epochs_assign(&e, 3, 8);
    epochs_assign(&e, 4, 11);
    assert_true(epochs_assign(&e, 5, 8)); /* a later epoch from an earlier offset: 3 and 4 never were */
    TABLE(&e, { 2, 6 }, { 5, 8 });
    assert_true(epochs_assign(&e, 4, 9)); /* an older epoch */
    TABLE(&e, { 2, 6 }, { 4, 9 });
    assert_true(epochs_assign(&e, 4, 7)); /* the same one from an earlier offset */
    TABLE(&e, { 2, 6 }, { 4, 7 });
    epochs_free(&e);
}

static void a_cut_forgets_entries_at_and_above_it(void **state)
{
    struct epochs e = { 0 };
    epochs_assign(&e, 2, 6);
    epochs_assign(&e, 3, 8);
    epochs_assign(&e, 4, 11);
    assert_false(epochs_truncate_end(&e, 12));
    assert_false(epochs_truncate_end(&e, -1));
    assert_true(epochs_truncate_end(&e, 11));
    TABLE(&e, { 2, 6 }, { 3, 8 });
    assert_true(epochs_truncate_end(&e, 7));
    TABLE(&e, { 2, 6 });
    assert_true(epochs_truncate_end(&e, 0));
    assert_int_equal(e.n, 0);
    epochs_free(&e);
}

static void a_log_start_moves_the_entry_that_covers_it(void **state)
{
    struct epochs e = { 0 };
    epochs_assign(&e, 2, 6);
    epochs_assign(&e, 3, 8);
    epochs_assign(&e, 4, 11);
    assert_false(epochs_truncate_start(&e, 5));
    assert_false(epochs_truncate_start(&e, 6));
    assert_true(epochs_truncate_start(&e, 7));
    TABLE(&e, { 2, 7 }, { 3, 8 }, { 4, 11 });
    assert_true(epochs_truncate_start(&e, 8));
    TABLE(&e, { 3, 8 }, { 4, 11 });
    assert_true(epochs_truncate_start(&e, 20));
    TABLE(&e, { 4, 20 });
    epochs_free(&e);
}

static void the_file_is_kafkas(void **state)
{
    struct epochs e = { 0 };
    struct bytes out = { 0 };
    assert_int_equal(epochs_decode(&e, S("0\n2\n0 0\n7 1234567890123\n"), NULL), 0);
    TABLE(&e, { 0, 0 }, { 7, 1234567890123 });
    epochs_encode(&e, &out);
    assert_true(slice_eq(bytes_slice(&out), S("0\n2\n0 0\n7 1234567890123\n")));
    bytes_free(&out);
    epochs_free(&e);
}

static void an_empty_file_is_an_empty_table(void **state)
{
    struct epochs e = { 0 };
    epochs_assign(&e, 1, 1);
    assert_int_equal(epochs_decode(&e, S(""), NULL), 0);
    assert_int_equal(e.n, 0);
    assert_int_equal(epochs_decode(&e, S("0\n"), NULL), 0);
    assert_int_equal(epochs_decode(&e, S("0\n0\n"), NULL), 0);
    assert_int_equal(e.n, 0);
    epochs_free(&e);
}

static void a_damaged_file_is_refused_whole_with_a_reason(void **state)
{
    static const char *const bad[] = { "1\n1\n0 0\n",
                                       "x",
                                       "0\nx\n",
                                       "0\n-1\n",
                                       "0\n2\n0 0\n",
                                       "0\n1\n0 0\n1 5\n",
                                       "0\n1\n0\n",
                                       "0\n1\n0 0 0\n",
                                       "0\n1\n-1 0\n",
                                       "0\n1\n0 -5\n",
                                       "0\n1\n\n0 0\n",
                                       "0\n1\n 0 0\n",
                                       "0\n1\n0 99999999999999999999\n" };
    struct epochs e = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct why why = { "" };
        epochs_assign(&e, 1, 1);
        assert_int_equal(epochs_decode(&e, slice_of(bad[i]), &why), E_CORRUPT);
        assert_int_equal(e.n, 0);
        assert_true(why.text[0] != 0);
    }
    epochs_free(&e);
}

static void lines_out_of_order_are_taken_as_kafka_takes_them(void **state)
{
    struct epochs e = { 0 };
    assert_int_equal(epochs_decode(&e, S("0\n3\n1 10\n5 50\n3 30\n"), NULL), 0);
    TABLE(&e, { 1, 10 }, { 3, 30 });
    epochs_free(&e);
}

static void a_missing_file_is_an_empty_table(void **state)
{
    struct world *w = disk_new(1);
    struct epochs e = { 0 };
    assert_int_equal(epochs_load(&e, w->fs, DIR, NULL), 0);
    assert_int_equal(e.n, 0);
    sim_fault(w, (struct sim_fault){ .nth = 1, .err = -EIO });
    struct why why = { "" };
    assert_int_equal(epochs_load(&e, w->fs, DIR, &why), E_IO);
    assert_non_null(strstr(why.text, "leader-epoch-checkpoint"));
    world_free(&w);
    epochs_free(&e);
}

static void write_old(struct world *w) { assert_int_equal(epochs_write(w->fs, DIR, S("0\n1\n0 0\n")), 0); }
static int write_new(struct world *w) { return epochs_write(w->fs, DIR, S("0\n2\n0 0\n1 8\n")); }
static void old_or_new(struct world *w, bool acted)
{
    struct epochs e = { 0 };
    assert_int_equal(epochs_load(&e, w->fs, DIR, NULL), 0);
    assert_in_range(e.n, acted ? 2 : 1, 2);
    assert_int_equal(epochs_latest(&e), e.n - 1);
    epochs_free(&e);
}
static void a_power_cut_leaves_the_old_file_or_the_new_one(void **state) { crash_everywhere(write_old, write_new, old_or_new); }

static void load(struct slice bytes)
{
    struct epochs e = { 0 };
    if (epochs_decode(&e, bytes, NULL) == 0)
        for (int i = 1; i < e.n; i++) assert_true(e.v[i - 1].epoch < e.v[i].epoch && e.v[i - 1].start < e.v[i].start);
    epochs_free(&e);
}
static void no_bytes_break_the_loader(void **state) { mutate(S("0\n3\n0 0\n3 77\n12 1000000\n"), load); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_knows_nothing),
        cmocka_unit_test(the_same_epoch_again_changes_nothing),
        cmocka_unit_test(the_latest_epoch_ends_at_the_log_end),
        cmocka_unit_test(an_epoch_older_than_all_is_answered_with_the_first_start),
        cmocka_unit_test(an_epoch_in_a_gap_is_answered_with_the_one_below),
        cmocka_unit_test(an_epoch_of_an_offset_is_the_last_that_began_at_or_below_it),
        cmocka_unit_test(a_new_entry_removes_what_contradicts_it),
        cmocka_unit_test(a_cut_forgets_entries_at_and_above_it),
        cmocka_unit_test(a_log_start_moves_the_entry_that_covers_it),
        cmocka_unit_test(the_file_is_kafkas),
        cmocka_unit_test(an_empty_file_is_an_empty_table),
        cmocka_unit_test(a_damaged_file_is_refused_whole_with_a_reason),
        cmocka_unit_test(lines_out_of_order_are_taken_as_kafka_takes_them),
        cmocka_unit_test(a_missing_file_is_an_empty_table),
        cmocka_unit_test(a_power_cut_leaves_the_old_file_or_the_new_one),
        cmocka_unit_test(no_bytes_break_the_loader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
