/* The scrub: what is damaged in closed segments is found, and told once. */
#include "rig.h"
#include <errno.h>

static int told;
static char line_told[1024];

static void listen(void *arg, enum log_level level, struct slice line)
{
    if (!memmem(line.p, line.n, "damaged batch found", 19)) return;
    told++;
    snprintf(line_told, sizeof(line_told), S_FMT, S_ARG(line));
}

/* A log of some closed segments of one batch each, in a world that scrubs every ten seconds. */
static struct plog *some(struct test_env *env, struct rig *r, const char *more)
{
    rig_init(r, env->world, env->dir, arena_printf(&env->arena, "log.retention.check.interval.ms=3600000\n%s", more).p);
    rig_begin(r);
    struct plog *p = rig_plog(r, "t", 0, "internal.segment.bytes=4000 retention.ms=-1");
    for (int i = 0; i < 4; i++) rig_put(r, p, RIG_BATCH(.value = 3000), "x");
    rig_durable(p);
    told = 0;
    log_sink(listen, NULL);
    return p;
}

static void hurt(struct test_env *env, struct rig *r, int64_t base, int64_t at)
{
    char name[64];
    uint8_t b;
    struct fs *fs = r->w->fs;
    snprintf(name, sizeof(name), "t-0/%020lld.log", (long long)base);
    int fd = fs->open(fs, test_path(env, name), FS_WRITE);
    assert_int_equal(fs->pread(fs, fd, &b, 1, at), 1);
    b ^= 1;
    struct iovec v = { &b, 1 };
    assert_ok(fs->pwritev(fs, fd, &v, 1, at));
    fs->close(fs, fd);
}

static void end(struct rig *r, struct plog *p)
{
    log_sink(NULL, NULL);
    plog_unref(&p);
    assert_ok(rig_close(r));
    rig_free(r);
}

static void damage_in_closed_segments_is_told_once(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p = some(env, &r, "odradek.scrub.interval.ms=10000\n");
    sim_run(r.w, 15LL * 1000 * 1000);
    assert_int_equal(told, 0);
    hurt(env, &r, 1, 2000);
    hurt(env, &r, 3, 2000); /* the segment that is written to: not its business */
    sim_run(r.w, 10LL * 1000 * 1000);
    assert_int_equal(told, 1);
    assert_non_null(strstr(line_told, "log=t-0 segment=1 position=0"));
    assert_non_null(strstr(line_told, "offset=1 next_offset=-1 reason=checksum"));
    sim_run(r.w, 60LL * 1000 * 1000);
    assert_int_equal(told, 1);
    hurt(env, &r, 2, 16); /* magic */
    sim_run(r.w, 10LL * 1000 * 1000);
    assert_int_equal(told, 2);
    assert_non_null(strstr(line_told, "segment=2"));
    end(&r, p);
}

static void it_reads_no_faster_than_it_may(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p = some(env, &r, "odradek.scrub.interval.ms=1000\nodradek.scrub.max.bytes.per.second=4096\n");
    hurt(env, &r, 2, 2000);
    sim_run(r.w, 2000LL * 1000); /* a second until it begins; three segments of 3 KB take more than two */
    assert_int_equal(told, 0);
    sim_run(r.w, 2000LL * 1000);
    assert_int_equal(told, 1);
    end(&r, p);
}

static void without_an_interval_there_is_none(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p = some(env, &r, "");
    hurt(env, &r, 0, 2000);
    sim_run(r.w, 3600LL * 1000 * 1000);
    assert_int_equal(told, 0);
    end(&r, p);
}

static void a_disk_that_cannot_read_goes_offline(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p = some(env, &r, "odradek.scrub.interval.ms=10000\n");
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .err = -EIO, .ops = SIM_PREAD, .path = ".log" });
    sim_run(r.w, 15LL * 1000 * 1000);
    log_sink(NULL, NULL);
    assert_true(rig_offsets(p).offline);
    assert_int_equal(told, 0);
    plog_unref(&p);
    assert_err(rig_close(&r), E_OFFLINE);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SIM_WORLD(damage_in_closed_segments_is_told_once),
        IN_SIM_WORLD(it_reads_no_faster_than_it_may),
        IN_SIM_WORLD(without_an_interval_there_is_none),
        IN_SIM_WORLD(a_disk_that_cannot_read_goes_offline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
