#include "leaf.h"
#include "marker.h"

#define MARKER DIR "/.kafka_cleanshutdown"

static void assert_marker(struct world *w, bool present, int64_t epoch)
{
    bool is;
    int64_t e;
    assert_int_equal(marker_read(w->fs, DIR, &is, &e), 0);
    assert_int_equal(is, present);
    assert_int_equal(e, epoch);
}

static void the_file_is_kafkas(void **state)
{
    struct world *w = disk_new(1);
    assert_marker(w, false, -1);
    assert_int_equal(marker_write(w->fs, DIR, 15), 0);
    assert_file(w, MARKER, S("{\"version\":0,\"brokerEpoch\":15}"));
    assert_marker(w, true, 15);
    assert_int_equal(marker_remove(w->fs, DIR), 0);
    assert_marker(w, false, -1);
    assert_int_equal(marker_remove(w->fs, DIR), 0);
    world_free(&w);
}

static void content_nobody_understands_is_a_marker_without_epoch(void **state)
{
    static const char *const odd[] = { "",
                                       " ",
                                       "{}",
                                       "[]",
                                       "7",
                                       "{\"brokerEpoch\":\"7\"}",
                                       "{\"brokerEpoch\":null}",
                                       "{\"brokerEpoch\":-5}",
                                       "{\"brokerEpoch\":7" };
    struct world *w = disk_new(1);
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        disk_put(w, MARKER, slice_of(odd[i]));
        assert_marker(w, true, -1);
    }
    disk_put(w, MARKER, S("{\"version\":9,\"more\":[1,2],\"brokerEpoch\":9223372036854775807}"));
    assert_marker(w, true, INT64_MAX);
    world_free(&w);
}

static void an_io_error_is_no_answer(void **state)
{
    struct world *w = disk_new(1);
    bool present;
    int64_t epoch;
    sim_fault(w, (struct sim_fault){ .nth = 1, .err = -EIO });
    assert_int_equal(marker_read(w->fs, DIR, &present, &epoch), E_IO);
    world_free(&w);
}

static void nothing_before(struct world *w) {}
static int write_it(struct world *w) { return marker_write(w->fs, DIR, 77); }
static void whole_or_absent(struct world *w, bool acted)
{
    bool present;
    int64_t epoch;
    assert_int_equal(marker_read(w->fs, DIR, &present, &epoch), 0);
    assert_int_equal(epoch, present ? 77 : -1);
    if (acted) assert_true(present);
}
static void a_power_cut_leaves_a_whole_marker_or_none(void **state)
{
    crash_everywhere(nothing_before, write_it, whole_or_absent);
}

static void marker_there(struct world *w) { assert_int_equal(marker_write(w->fs, DIR, 77), 0); }
static int remove_it(struct world *w) { return marker_remove(w->fs, DIR); }
static void gone_if_acted(struct world *w, bool acted)
{
    if (acted) assert_false(disk_has(w, MARKER));
}
static void a_removed_marker_does_not_come_back(void **state) { crash_everywhere(marker_there, remove_it, gone_if_acted); }

/* The name was taken away by a run that died before it synced the directory: the next removal must make that durable too. */
static void marker_half_removed(struct world *w)
{
    marker_there(w);
    assert_int_equal(w->fs->unlink(w->fs, MARKER), 0);
}
static void a_removal_of_a_former_run_is_made_durable(void **state)
{
    crash_everywhere(marker_half_removed, remove_it, gone_if_acted);
}

static struct world *shared;
static void load(struct slice bytes)
{
    bool present;
    int64_t epoch;
    disk_put(shared, MARKER, bytes);
    assert_int_equal(marker_read(shared->fs, DIR, &present, &epoch), 0);
    assert_true(present);
    assert_true(epoch >= -1);
}
static void no_bytes_break_the_loader(void **state)
{
    shared = disk_new(1);
    mutate(S("{\"version\":0,\"brokerEpoch\":15}"), load);
    world_free(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_kafkas),
        cmocka_unit_test(content_nobody_understands_is_a_marker_without_epoch),
        cmocka_unit_test(an_io_error_is_no_answer),
        cmocka_unit_test(a_power_cut_leaves_a_whole_marker_or_none),
        cmocka_unit_test(a_removed_marker_does_not_come_back),
        cmocka_unit_test(a_removal_of_a_former_run_is_made_durable),
        cmocka_unit_test(no_bytes_break_the_loader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
