/* The page cache window: bulk is written back from the start and released when it has left the window; nothing else is. */
#include "internal.h"
#include "rig.h"

enum { RECORDS = 8, VALUE = 65536, BATCH = RECORDS * VALUE, HOT = 8 << 20 };

struct seen {
    int64_t started, released; /* bytes */
    int64_t released_to;       /* end of the newest stretch released */
};
static struct seen seen;

static void saw_writeback(struct fs *fs, int fd, int64_t at, int64_t n)
{
    (void)fs;
    (void)fd;
    (void)at;
    seen.started += n;
}
static void saw_forget(struct fs *fs, int fd, int64_t at, int64_t n)
{
    (void)fs;
    (void)fd;
    seen.released += n;
    seen.released_to = MAX(seen.released_to, at + n);
}

static void begin(struct rig *r, const char *more)
{
    seen = (struct seen){ 0 };
    rig_init(r, world_sim_new(7), "/data", more);
    r->w->fs->writeback = saw_writeback;
    r->w->fs->forget = saw_forget;
    rig_begin(r);
}

static void append(struct rig *r, struct plog *p, int batches)
{
    while (batches-- > 0) rig_put(r, p, RIG_BATCH(.records = RECORDS, .value = VALUE), "bulk");
}

static void what_is_older_than_the_window_is_released(void **state)
{
    (void)state;
    struct rig r;
    begin(&r, "odradek.page.cache=window\nodradek.hot=8388608\n");
    struct plog *p = rig_plog(&r, "t", 0, "");
    append(&r, p, 12); /* all within the window */
    sim_run(r.w, 1000000);
    assert_true(seen.started > 0);
    assert_int_equal(seen.released, 0);
    append(&r, p, 36);
    sim_run(r.w, 1000000);
    assert_true(seen.released > 0);
    int64_t end = 48 * (int64_t)BATCH;
    assert_true(seen.released_to <= end - HOT + BATCH); /* the newest stays */
    assert_true(seen.released_to > end / 2);
    assert_true(seen.started >= seen.released);
    plog_unref(&p);
    rig_kill(&r);
    world_free(&r.w);
    rig_free(&r);
}

/* Appends that take as long as the test says: a slow write is told apart by the clock alone. */
static int64_t us_per_write[2]; /* while pages are kept, while they are released */
static struct cooler *watched;
static int (*write_for_real)(struct fs *fs, int fd, const struct iovec *v, int n, int64_t at);
static int64_t spent;

static int64_t cpu_clock(struct clock *c) { return spent; }
static int slow_write(struct fs *fs, int fd, const struct iovec *v, int n, int64_t at)
{
    if (v[0].iov_len >= BATCH) spent += us_per_write[watched->releasing];
    return write_for_real(fs, fd, v, n, at);
}

static void releasing_is_kept_where_it_pays_and_left_where_it_does_not(void **state)
{
    (void)state;
    static const struct {
        int64_t kept, released;
        bool pays;
    } cases[] = { { 900, 100, true }, { 120, 100, false } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig r;
        begin(&r, "odradek.hot=8388608\n");
        us_per_write[0] = cases[i].kept;
        us_per_write[1] = cases[i].released;
        watched = &r.logs->dirs[0].cooler;
        write_for_real = r.w->fs->pwritev;
        r.w->fs->pwritev = slow_write;
        r.w->clock->cpu_us = cpu_clock;
        spent = 0;
        struct plog *p = rig_plog(&r, "t", 0, "");
        append(&r, p, 1200);
        assert_true(watched->reused > 0); /* it was tried */
        assert_int_equal(watched->releasing, cases[i].pays);
        assert_int_equal(seen.released > 1000 * (int64_t)BATCH, cases[i].pays);
        plog_unref(&p);
        rig_kill(&r);
        world_free(&r.w);
        rig_free(&r);
    }
}

static void small_appends_are_left_to_the_kernel(void **state)
{
    (void)state;
    struct rig r;
    begin(&r, "odradek.page.cache=window\nodradek.hot=1024\n");
    struct plog *p = rig_plog(&r, "t", 0, "");
    seen.started = 0; /* the files of the new partition */
    for (int i = 0; i < 50; i++) rig_put(&r, p, RIG_BATCH(0), "small");
    sim_run(r.w, 1000000);
    assert_int_equal(seen.started, 0);
    assert_int_equal(seen.released, 0);
    plog_unref(&p);
    rig_kill(&r);
    world_free(&r.w);
    rig_free(&r);
}

/* A deleted log must not keep its files open, or its space is not free. */
static void a_deleted_log_leaves_nothing_in_the_window(void **state)
{
    (void)state;
    struct rig r;
    begin(&r, NULL);
    struct plog *p = rig_plog(&r, "t", 0, "");
    append(&r, p, 16);
    sim_run(r.w, 1000000);
    assert_ok(logs_delete_partition(r.logs, p));
    sim_run(r.w, 1000000);
    assert_int_equal(atomic_load(&p->refs), 1); /* ours */
    plog_unref(&p);
    rig_kill(&r);
    world_free(&r.w);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_older_than_the_window_is_released),
        cmocka_unit_test(releasing_is_kept_where_it_pays_and_left_where_it_does_not),
        cmocka_unit_test(small_appends_are_left_to_the_kernel),
        cmocka_unit_test(a_deleted_log_leaves_nothing_in_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
