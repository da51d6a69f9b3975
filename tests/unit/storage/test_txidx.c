#include "leaf.h"
#include "txidx.h"

#define FILE_ DIR "/00000000000000000000.txnindex"

static const struct txidx_entry FOUR[] = { { 0, 0, 10, 11 }, { 1, 5, 15, 13 }, { 2, 18, 35, 25 }, { 3, 32, 50, 40 } };

static void put(struct world *w, const struct txidx_entry *e, int n) { assert_int_equal(txidx_append(w->fs, FILE_, e, n), 0); }

static void assert_found(struct world *w, int64_t from, int64_t upto, int first, int n, bool complete)
{
    struct arena a;
    arena_init(&a);
    struct txidx_found f = { .arena = &a };
    bool is;
    assert_int_equal(txidx_collect(w->fs, FILE_, from, upto, &f, &is), 0);
    assert_int_equal(f.n, n);
    assert_int_equal(is, complete);
    for (int i = 0; i < n; i++) assert_memory_equal(&f.v[i], &FOUR[first + i], sizeof(FOUR[0]));
    arena_free(&a);
}

/* The index Kafka wrote for a partition with three aborted transactions. */
static void kafkas_file_is_read_and_written_byte_for_byte(void **state)
{
    static const struct txidx_entry is[] = { { 10, 11, 21, 22 }, { 10, 33, 43, 44 }, { 10, 55, 65, 66 } };
    struct bytes kafka = hex("0000000000000000000a000000000000000b00000000000000150000000000000016"
                             "0000000000000000000a0000000000000021000000000000002b000000000000002c"
                             "0000000000000000000a000000000000003700000000000000410000000000000042");
    struct world *w = disk_new(1);
    put(w, is, 2);
    put(w, is + 2, 1);
    assert_file(w, FILE_, bytes_slice(&kafka));
    assert_int_equal(txidx_count(w->fs, FILE_), 3);

    struct arena a;
    arena_init(&a);
    struct txidx_found f = { .arena = &a };
    bool complete;
    assert_int_equal(txidx_collect(w->fs, FILE_, 0, 66, &f, &complete), 0);
    assert_true(complete);
    assert_int_equal(f.n, 3);
    for (int i = 0; i < 3; i++) assert_memory_equal(&f.v[i], &is[i], sizeof(is[i]));
    arena_free(&a);
    bytes_free(&kafka);
    world_free(&w);
}

static void no_file_is_an_index_without_entries(void **state)
{
    struct world *w = disk_new(1);
    assert_found(w, 0, 100, 0, 0, false);
    assert_int_equal(txidx_count(w->fs, FILE_), 0);
    assert_int_equal(txidx_truncate(w->fs, FILE_, 0), 0);
    assert_int_equal(txidx_check(w->fs, FILE_, 0, NULL), 0);
    assert_int_equal(txidx_sync(w->fs, FILE_), 0);
    put(w, FOUR, 0);
    assert_false(disk_has(w, FILE_));
    world_free(&w);
}

/* As TransactionIndexTest of Kafka: entries that overlap the range, and whether a later segment may hold more. */
static void aborted_transactions_of_a_range_are_collected(void **state)
{
    struct world *w = disk_new(1);
    put(w, FOUR, 4);
    assert_found(w, 0, 100, 0, 4, false);
    assert_found(w, 0, 32, 0, 3, true);
    assert_found(w, 0, 35, 0, 4, true);
    assert_found(w, 10, 35, 0, 4, true);
    assert_found(w, 11, 35, 1, 3, true);
    assert_found(w, 20, 41, 2, 2, false);
    assert_found(w, 51, 100, 0, 0, false);
    assert_found(w, 0, 0, 0, 0, true);
    world_free(&w);
}

static void an_index_is_continued_after_it_was_closed(void **state)
{
    struct world *w = disk_new(1);
    put(w, FOUR, 3);
    put(w, FOUR + 3, 1);
    assert_found(w, 0, 100, 0, 4, false);
    world_free(&w);
}

static void the_marker_offset_must_rise(void **state)
{
    static const struct txidx_entry same = { 9, 0, 15, 16 }, lower = { 9, 0, 14, 15 },
                                    falling[] = { { 9, 16, 20, 21 }, { 9, 17, 19, 20 } };
    struct world *w = disk_new(1);
    put(w, FOUR, 2);
    assert_int_equal(txidx_append(w->fs, FILE_, &same, 1), E_INVALID);
    assert_int_equal(txidx_append(w->fs, FILE_, &lower, 1), E_INVALID);
    assert_int_equal(txidx_append(w->fs, FILE_, falling, 2), E_INVALID);
    assert_int_equal(txidx_count(w->fs, FILE_), 2);
    world_free(&w);
}

static void truncation_drops_markers_at_and_above_the_offset(void **state)
{
    struct world *w = disk_new(1);
    put(w, FOUR, 4);
    assert_int_equal(txidx_truncate(w->fs, FILE_, 51), 0);
    assert_found(w, 0, 100, 0, 4, false);
    assert_int_equal(txidx_truncate(w->fs, FILE_, 50), 0);
    assert_found(w, 0, 100, 0, 3, false);
    assert_int_equal(txidx_truncate(w->fs, FILE_, 16), 0);
    assert_found(w, 0, 100, 0, 2, false);
    put(w, FOUR + 2, 1);
    assert_found(w, 0, 100, 0, 3, false);
    assert_int_equal(txidx_truncate(w->fs, FILE_, 0), 0);
    assert_found(w, 0, 100, 0, 0, false);
    world_free(&w);
}

static void a_torn_entry_is_unseen_and_overwritten(void **state)
{
    struct world *w = disk_new(1);
    uint8_t two[2 * TXIDX_ENTRY_SIZE];
    txidx_encode(&FOUR[0], two);
    txidx_encode(&FOUR[1], two + TXIDX_ENTRY_SIZE);
    disk_put(w, FILE_, (struct slice){ (const char *)two, TXIDX_ENTRY_SIZE + 20 });
    assert_found(w, 0, 100, 0, 1, false);
    struct why why = { "" };
    assert_int_equal(txidx_check(w->fs, FILE_, 0, &why), E_CORRUPT);
    put(w, FOUR + 1, 1);
    assert_found(w, 0, 100, 0, 2, false);
    assert_int_equal(txidx_check(w->fs, FILE_, 0, NULL), 0);
    world_free(&w);
}

static void a_failed_append_leaves_what_was_there(void **state)
{
    struct world *w = disk_new(1);
    put(w, FOUR, 2);
    sim_fault(w, (struct sim_fault){ .nth = 1, .cut = true, .ops = SIM_PWRITEV });
    assert_int_equal(txidx_append(w->fs, FILE_, FOUR + 2, 2), E_IO);
    sim_fault(w, (struct sim_fault){ 0 });
    assert_found(w, 0, 100, 0, 2, false);
    assert_int_equal(txidx_check(w->fs, FILE_, 0, NULL), 0);
    put(w, FOUR + 2, 2);
    assert_found(w, 0, 100, 0, 4, false);
    world_free(&w);
}

static void the_check_finds_what_cannot_be(void **state)
{
    static const struct txidx_entry bad[][2] = { { { 0, 0, 10, 11 }, { 0, 0, 10, 11 } },
                                                 { { 0, 0, 10, 11 }, { 0, 5, 9, 11 } },
                                                 { { 0, 11, 10, 11 }, { 0, 12, 15, 16 } },
                                                 { { 0, -1, 10, 11 }, { 0, 12, 15, 16 } } };
    struct world *w = disk_new(1);
    uint8_t two[2 * TXIDX_ENTRY_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct why why = { "" };
        txidx_encode(&bad[i][0], two);
        txidx_encode(&bad[i][1], two + TXIDX_ENTRY_SIZE);
        disk_put(w, FILE_, (struct slice){ (const char *)two, sizeof(two) });
        assert_int_equal(txidx_check(w->fs, FILE_, 0, &why), E_CORRUPT);
        assert_non_null(strstr(why.text, FILE_));
    }
    disk_put(w, FILE_, S(""));
    put(w, FOUR, 4);
    assert_int_equal(txidx_check(w->fs, FILE_, 0, NULL), 0);
    assert_int_equal(txidx_check(w->fs, FILE_, 10, NULL), 0);
    assert_int_equal(txidx_check(w->fs, FILE_, 100, NULL), E_CORRUPT); /* another segment's */
    world_free(&w);
}

static void an_unknown_version_is_refused(void **state)
{
    struct world *w = disk_new(1);
    struct arena a;
    uint8_t one[TXIDX_ENTRY_SIZE];
    bool complete;
    arena_init(&a);
    struct txidx_found f = { .arena = &a };
    txidx_encode(&FOUR[0], one);
    one[1] = 1;
    disk_put(w, FILE_, (struct slice){ (const char *)one, sizeof(one) });
    assert_int_equal(txidx_check(w->fs, FILE_, 0, NULL), E_CORRUPT);
    assert_int_equal(txidx_collect(w->fs, FILE_, 0, 100, &f, &complete), E_CORRUPT);
    arena_free(&a);
    world_free(&w);
}

/* Larger than one read and than the size from which the start is searched: every answer as a walk over all entries gives it. */
static void a_large_index_answers_as_a_walk_would(void **state)
{
    enum { N = 1000 };
    struct world *w = disk_new(3);
    struct txidx_entry *e = mem_zalloc(N * sizeof(*e));
    int64_t last = 0;
    for (int i = 0; i < N; i++) {
        last += 1 + (int64_t)rnd_below(w->rnd, 20);
        e[i] = (struct txidx_entry){ i, MAX(last - 1 - (int64_t)rnd_below(w->rnd, 60), 0), last,
                                     MAX(last + 1 - (int64_t)rnd_below(w->rnd, 40), 0) };
    }
    put(w, e, N);
    for (int round = 0; round < 500; round++) {
        int64_t from = (int64_t)rnd_below(w->rnd, (uint64_t)last + 10), upto = from + (int64_t)rnd_below(w->rnd, 400);
        struct arena a;
        arena_init(&a);
        struct txidx_found f = { .arena = &a };
        bool complete, want_complete = false;
        assert_int_equal(txidx_collect(w->fs, FILE_, from, upto, &f, &complete), 0);
        int n = 0;
        for (int i = 0; i < N && !want_complete; i++) {
            if (e[i].last >= from && e[i].first < upto) {
                assert_in_range(n, 0, f.n - 1);
                assert_memory_equal(&f.v[n++], &e[i], sizeof(e[i]));
            }
            want_complete = e[i].stable >= upto && e[i].last >= from;
        }
        assert_int_equal(n, f.n);
        assert_int_equal(complete, want_complete);
        arena_free(&a);
    }
    mem_free(e);
    world_free(&w);
}

static void two_durable(struct world *w)
{
    put(w, FOUR, 2);
    assert_int_equal(txidx_sync(w->fs, FILE_), 0);
    assert_int_equal(w->fs->sync_dir(w->fs, DIR), 0);
}
static int two_more(struct world *w)
{
    int rc = txidx_append(w->fs, FILE_, FOUR + 2, 2);
    return rc ? rc : txidx_sync(w->fs, FILE_);
}
/* What a power cut leaves either passes the check or is found out; what was synced is there. */
static void sound_or_found_out(struct world *w, bool acted)
{
    if (txidx_check(w->fs, FILE_, 0, NULL) != 0) {
        assert_false(acted);
        return;
    }
    assert_in_range(txidx_count(w->fs, FILE_), acted ? 4 : 2, 4);
    assert_found(w, 0, 16, 0, 2, false + (txidx_count(w->fs, FILE_) > 2));
}
static void a_power_cut_leaves_synced_entries(void **state) { crash_everywhere(two_durable, two_more, sound_or_found_out); }

static struct world *shared;
static void load(struct slice bytes)
{
    struct arena a;
    arena_init(&a);
    struct txidx_found f = { .arena = &a };
    bool complete;
    disk_put(shared, FILE_, bytes);
    txidx_check(shared->fs, FILE_, 0, NULL);
    txidx_collect(shared->fs, FILE_, 5, 40, &f, &complete);
    assert_in_range(f.n, 0, 4);
    if (txidx_truncate(shared->fs, FILE_, 30) == 0) assert_in_range(txidx_count(shared->fs, FILE_), 0, 4);
    txidx_append(shared->fs, FILE_, &(struct txidx_entry){ 1, 60, 70, 71 }, 1);
    arena_free(&a);
}
static void no_bytes_break_the_loader(void **state)
{
    uint8_t four[4 * TXIDX_ENTRY_SIZE];
    for (int i = 0; i < 4; i++) txidx_encode(&FOUR[i], four + (size_t)i * TXIDX_ENTRY_SIZE);
    shared = disk_new(1);
    mutate((struct slice){ (const char *)four, sizeof(four) }, load);
    world_free(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafkas_file_is_read_and_written_byte_for_byte),
        cmocka_unit_test(no_file_is_an_index_without_entries),
        cmocka_unit_test(aborted_transactions_of_a_range_are_collected),
        cmocka_unit_test(an_index_is_continued_after_it_was_closed),
        cmocka_unit_test(the_marker_offset_must_rise),
        cmocka_unit_test(truncation_drops_markers_at_and_above_the_offset),
        cmocka_unit_test(a_torn_entry_is_unseen_and_overwritten),
        cmocka_unit_test(a_failed_append_leaves_what_was_there),
        cmocka_unit_test(the_check_finds_what_cannot_be),
        cmocka_unit_test(an_unknown_version_is_refused),
        cmocka_unit_test(a_large_index_answers_as_a_walk_would),
        cmocka_unit_test(a_power_cut_leaves_synced_entries),
        cmocka_unit_test(no_bytes_break_the_loader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
