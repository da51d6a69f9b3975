/* Starting after crashes, with damage, and on what others left (J9, J13, J15, J16; K3). */
#include "internal.h"
#include "rig.h"
#include <errno.h>
#include <stdlib.h>

static struct bytes file(struct test_env *env, const char *path)
{
    struct bytes b = { 0 };
    assert_ok(fs_read_file(env->world->fs, path, 1 << 30, &b));
    return b;
}

/* Overwrites a file in place, as nothing of ours ever does. */
static void put(struct test_env *env, const char *path, const void *p, size_t n)
{
    struct fs *fs = env->world->fs;
    int fd = fs->open(fs, path, FS_WRITE | FS_CREATE | FS_TRUNC);
    assert_true(fd >= 0);
    struct iovec v = { (void *)(uintptr_t)p, n };
    if (n) assert_ok(fs->pwritev(fs, fd, &v, 1, 0));
    assert_ok(fs->datasync(fs, fd));
    fs->close(fs, fd);
}

static void drop(struct test_env *env, const char *name) { env->world->fs->unlink(env->world->fs, test_path(env, name)); }

static bool there(struct test_env *env, const char *name)
{
    struct fs_stat st;
    return env->world->fs->stat(env->world->fs, test_path(env, name), &st) == 0;
}

#define LOG0 "t-0/00000000000000000000.log"

/* A log of three batches "a@0 b@1 b@2 c@3", closed; size and places of the batches. */
static size_t three(struct test_env *env, struct rig *r, size_t at[4])
{
    rig_init(r, env->world, env->dir, NULL);
    rig_begin(r);
    struct plog *p = rig_plog(r, "t", 0, "");
    rig_put(r, p, RIG_BATCH(), "a");
    at[1] = (size_t)plog_size(p);
    rig_put(r, p, RIG_BATCH(.records = 2), "b");
    at[2] = (size_t)plog_size(p);
    rig_put(r, p, RIG_BATCH(), "c");
    at[3] = (size_t)plog_size(p);
    at[0] = 0;
    plog_unref(&p);
    assert_ok(rig_close(r));
    return at[3];
}

/* Opens after a crash and says what is there; recovery point as given (−1: no checkpoint). */
static const char *reopened(struct test_env *env, struct rig *r, int64_t point)
{
    struct bytes cp = { 0 };
    drop(env, ".kafka_cleanshutdown");
    if (point < 0) drop(env, "recovery-point-offset-checkpoint");
    else {
        bytes_printf(&cp, "0\n1\nt 0 %lld\n", (long long)point);
        put(env, test_path(env, "recovery-point-offset-checkpoint"), cp.p, cp.n);
        bytes_free(&cp);
    }
    rig_begin(r);
    struct plog *p = rig_plog(r, "t", 0, "");
    struct plog_offsets o = rig_offsets(p);
    assert_int_equal(o.end, o.durable);
    const char *s = rig_all(r, &env->arena, p, READ_WATERMARK);
    assert_int_equal(rig_put(r, p, RIG_BATCH(), "z"), o.end); /* and it goes on */
    rig_durable(p);
    plog_unref(&p);
    rig_kill(r);
    return s;
}

static void a_tail_torn_at_any_byte_is_cut_at_the_last_whole_batch(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    size_t at[4], n = three(env, &r, at);
    struct bytes whole = file(env, test_path(env, LOG0));
    for (size_t cut = 0; cut < n; cut++) {
        put(env, test_path(env, LOG0), whole.p, cut);
        const char *want = cut < at[1] ? "" : cut < at[2] ? "a@0" : "a@0 b@1 b@2";
        assert_string_equal(reopened(env, &r, cut % 3 == 0 ? -1 : 0), want);
    }
    bytes_free(&whole);
    rig_free(&r);
}

static void a_wrong_byte_in_the_unsynced_tail_ends_the_log_there_and_the_cut_is_kept(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    size_t at[4], n = three(env, &r, at);
    struct bytes whole = file(env, test_path(env, LOG0));
    for (size_t i = at[1]; i < n; i++) {
        size_t in = i < at[2] ? i - at[1] : i - at[2];
        if (in >= BATCH_AT_LEADER_EPOCH && in < BATCH_AT_MAGIC)
            continue; /* outside the checksum: not wrong, only another epoch */
        whole.p[i] ^= 0x55;
        put(env, test_path(env, LOG0), whole.p, n);
        whole.p[i] ^= 0x55;
        assert_string_equal(reopened(env, &r, 1), i < at[2] ? "a@0" : "a@0 b@1 b@2");
    }
    assert_true(there(env, "odradek-cut-tails"));
    struct bytes kept = file(env, test_path(env, "odradek-cut-tails"));
    assert_non_null(memmem(kept.p, kept.n, "t-0 segment 00000000000000000000", 32));
    assert_non_null(memmem(kept.p, kept.n, whole.p + at[2] + 20, n - at[2] - 20)); /* the bytes of c */
    bytes_free(&kept);
    bytes_free(&whole);
    rig_free(&r);
}

static void zeroes_after_the_tail_are_cut(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    size_t at[4], n = three(env, &r, at);
    struct bytes whole = file(env, test_path(env, LOG0));
    memset(bytes_room(&whole, 5000), 0, 5000);
    put(env, test_path(env, LOG0), whole.p, n + 5000);
    assert_string_equal(reopened(env, &r, 4), "a@0 b@1 b@2 c@3");
    assert_false(there(env, "odradek-cut-tails"));
    bytes_free(&whole);
    rig_free(&r);
}

static void damage_below_the_recovery_point_is_never_dropped(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    size_t at[4], n = three(env, &r, at);
    struct bytes whole = file(env, test_path(env, LOG0));
    whole.p[at[1] + BATCH_AT_RECORDS + 9] ^= 1; /* content of b: the client's checksum will tell */
    put(env, test_path(env, LOG0), whole.p, n);
    drop(env, ".kafka_cleanshutdown");
    rig_begin(&r);
    struct plog *p = rig_plog(&r, "t", 0, "");
    assert_int_equal(rig_offsets(p).end, 4);
    struct plog_read rd = { .offset = 1, .max_bytes = 1000, .upto = READ_WATERMARK };
    assert_ok(plog_read(p, &rd, NULL));
    assert_int_equal(rd.range.n, n - at[1]);
    range_release(&rd.range);
    plog_unref(&p);
    rig_kill(&r);

    memset(whole.p + at[1], 0xee, 40); /* not even a header: what follows it works all the same */
    put(env, test_path(env, LOG0), whole.p, n);
    rig_begin(&r);
    p = rig_plog(&r, "t", 0, "");
    assert_int_equal(rig_offsets(p).end, 4);
    rd = (struct plog_read){ .offset = 3, .max_bytes = 1000, .upto = READ_WATERMARK };
    assert_ok(plog_read(p, &rd, NULL));
    assert_int_equal(rd.range.at, at[2]);
    range_release(&rd.range);
    rd = (struct plog_read){ .offset = 1, .max_bytes = 1000, .upto = READ_WATERMARK };
    assert_err(plog_read(p, &rd, NULL), E_CORRUPT_MESSAGE);
    assert_int_equal(rig_put(&r, p, RIG_BATCH(), "z"), 4);
    rig_durable(p);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    struct bytes now = file(env, test_path(env, LOG0));
    assert_memory_equal(now.p, whole.p, n); /* nothing was cut */
    bytes_free(&now);
    bytes_free(&whole);
    rig_free(&r);
}

/* Synced bytes that are not there: their offsets are never given to other records. */
static void a_log_that_ends_below_its_recovery_point_goes_on_above_it(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    size_t at[4];
    three(env, &r, at);
    struct bytes whole = file(env, test_path(env, LOG0));
    put(env, test_path(env, LOG0), whole.p, at[2]);
    drop(env, ".kafka_cleanshutdown");
    rig_begin(&r);
    struct plog *p = rig_plog(&r, "t", 0, "");
    assert_int_equal(rig_offsets(p).end, 4);
    assert_int_equal(rig_put(&r, p, RIG_BATCH(), "z"), 4);
    rig_durable(p);
    assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "a@0 b@1 b@2 z@4");
    plog_unref(&p);
    assert_ok(rig_close(&r));
    bytes_free(&whole);
    rig_free(&r);
}

/* ---- derived files ------------------------------------------------------------------------------------------------------------------ */

static int64_t many_ms(struct rig *r)
{
    return r->w->clock->wall_ms(r->w->clock) / 1000000 * 1000000;
} /* producers must not be idle for long */

static void many(struct rig *r, struct plog *p, int n)
{
    int64_t ms = many_ms(r);
    for (int i = 0; i < n; i++) rig_put(r, p, RIG_BATCH(.value = 20000, .ts = ms + i * 1000, .pid = 5, .seq = i), "x");
    rig_durable(p);
}

static void any_derived_file_may_be_missing_short_or_garbled(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct arena a;
    struct slice *names;
    int n;
    static const char *const tc = "segment.bytes=1048576 retention.ms=-1";
    rig_init(&r, env->world, env->dir, NULL);
    rig_begin(&r);
    struct plog *p = rig_plog(&r, "t", 0, tc);
    int64_t ms = many_ms(&r);
    many(&r, p, 150);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    arena_init(&a);
    assert_ok(env->world->fs->list(env->world->fs, test_path(env, "t-0"), &a, &names, &n));
    for (int harm = 0; harm < 4; harm++)
        for (int crash = 0; crash < 2; crash++) {
            for (int i = 0; i < n; i++) {
                char path[600];
                snprintf(path, sizeof(path), "%s/%s", test_path(env, "t-0"), names[i].p);
                bool index = strstr(path, "index"), snapshot = strstr(path, ".snapshot"), epochs = strstr(path, "epoch");
                if (!index && !(snapshot && crash) && !(epochs && crash))
                    continue; /* a clean stop vouches for its snapshot (K3) */
                if (!there(env, path + strlen(env->dir) + 1)) continue;
                struct bytes b = file(env, path);
                if (harm == 0) env->world->fs->unlink(env->world->fs, path);
                if (harm == 1) put(env, path, b.p, b.n / 2 + 1);
                if (harm == 2) put(env, path, b.p, 0);
                if (harm == 3) {
                    memset(b.p, 0, b.n);
                    put(env, path, b.p, b.n);
                }
                bytes_free(&b);
            }
            if (crash) drop(env, ".kafka_cleanshutdown");
            rig_begin(&r);
            p = rig_plog(&r, "t", 0, tc);
            int64_t end = rig_offsets(p).end, o, ts;
            int32_t e;
            for (int i = 0; i < 150; i += 13) {
                struct plog_read rd = { .offset = i, .max_bytes = 1, .whole_first = true, .upto = READ_WATERMARK };
                assert_ok(plog_read(p, &rd, NULL));
                uint8_t head[BATCH_HEADER];
                assert_ok(range_copy(&rd.range, 0, head, sizeof(head)));
                assert_int_equal(batch_base_offset(head), i);
                range_release(&rd.range);
                assert_ok(plog_find_time(p, ms + i * 1000, READ_WATERMARK, &o, &ts, &e));
                assert_int_equal(o, i);
            }
            assert_int_equal(rig_read(p, 0, READ_WATERMARK, 1 << 20, NULL), end);
            struct producer_view *v;
            int producers = plog_producers(p, &a, &v);
            assert_int_equal(producers, 1);
            assert_int_equal(v[0].last_sequence, 149);
            plog_unref(&p);
            assert_ok(rig_close(&r));
        }
    arena_free(&a);
    rig_free(&r);
}

/* ---- what Kafka leaves ------------------------------------------------------------------------------------------------------------------ */

static void leftovers_of_cleaning_and_deletion_are_finished_as_kafka_does(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    size_t at[4], n = three(env, &r, at);
    struct bytes whole = file(env, test_path(env, LOG0));
    drop(env, ".kafka_cleanshutdown");
    put(env, test_path(env, "t-0/00000000000000000900.log.cleaned"), "x", 1);
    put(env, test_path(env, "t-0/00000000000000000900.log.swap"), "x", 1);         /* at a .cleaned: was not complete */
    put(env, test_path(env, "t-0/00000000000000000000.log.swap"), whole.p, at[2]); /* takes the place of what it covers */
    put(env, test_path(env, "t-0/00000000000000000000.index.swap"), "", 0);
    put(env, test_path(env, "t-0/00000000000000000000.timeindex.swap"), "", 0);
    put(env, test_path(env, "t-0/00000000000000000700.log.deleted"), "x", 1);
    put(env, test_path(env, "t-0/00000000000000000700.index"), "12345678", 8); /* of no log */
    put(env, test_path(env, "recovery-point-offset-checkpoint"), "0\n1\nt 0 0\n", 10);
    rig_begin(&r);
    struct plog *p = rig_plog(&r, "t", 0, "");
    assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "a@0 b@1 b@2");
    assert_false(there(env, "t-0/00000000000000000900.log.swap"));
    assert_false(there(env, "t-0/00000000000000000900.log.cleaned"));
    assert_false(there(env, "t-0/00000000000000000000.log.swap"));
    assert_false(there(env, "t-0/00000000000000000700.log.deleted"));
    assert_false(there(env, "t-0/00000000000000000700.index"));
    plog_unref(&p);
    assert_ok(rig_close(&r));
    assert_true(n > at[2]);
    bytes_free(&whole);
    rig_free(&r);
}

/* Leaves a compacted log: first base not 0, holes inside and between segments. */
static void sparse(struct test_env *env, struct rig *r)
{
    rig_init(r, env->world, env->dir, NULL);
    rig_begin(r);
    struct plog *p = rig_plog(r, "t", 0, "cleanup.policy=compact");
    plog_unref(&p);
    assert_ok(rig_close(r));
    drop(env, LOG0);
    drop(env, "t-0/00000000000000000000.index");
    drop(env, "t-0/00000000000000000000.timeindex");
    static const int64_t bases[] = { 100, 200 }, offsets[2][3] = { { 105, 110, 150 }, { 200, 205, 300 } };
    for (int s = 0; s < 2; s++) {
        struct bytes seg = { 0 };
        char name[64];
        for (int i = 0; i < 3; i++) {
            size_t at = seg.n;
            char tag[8];
            snprintf(tag, sizeof(tag), "%d%d", s, i);
            rig_build(&RIG_BATCH(), tag, &seg);
            batch_set_base_offset(seg.p + at, offsets[s][i]);
        }
        snprintf(name, sizeof(name), "t-0/%020lld.log", (long long)bases[s]);
        put(env, test_path(env, name), seg.p, seg.n);
        bytes_free(&seg);
    }
}

static void put_point(struct test_env *env, const char *text)
{
    put(env, test_path(env, "recovery-point-offset-checkpoint"), text, strlen(text));
}

/* After a clean stop; after a crash of Apache Kafka, whose cleaner goes above its recovery point; and another one. */
static void sparse_offsets_are_read_and_survive_recovery(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    sparse(env, &r);
    for (int crash = 0; crash < 3; crash++) {
        if (crash == 1) drop(env, ".kafka_cleanshutdown");
        if (crash < 2) put_point(env, crash ? "0\n1\nt 0 0\n" : "0\n1\nt 0 301\n");
        rig_open(&r);
        logs_tell(r.logs, &(struct logs_truth){ .quorum_epoch = 3, .log_epoch = 3 });
        rig_begin(&r);
        struct plog *p = rig_plog(&r, "t", 0, "cleanup.policy=compact");
        struct plog_offsets o = rig_offsets(p);
        assert_int_equal(o.start, 100);
        assert_int_equal(o.end, 301);
        assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "00@105 01@110 02@150 10@200 11@205 12@300");
        for (int64_t from = 151; from < 200; from += 16) { /* a hole at a segment's end leads to the next */
            struct plog_read rd = { .offset = from, .max_bytes = 1000, .upto = READ_WATERMARK };
            uint8_t head[BATCH_HEADER];
            assert_ok(plog_read(p, &rd, NULL));
            assert_ok(range_copy(&rd.range, 0, head, sizeof(head)));
            assert_int_equal(batch_base_offset(head), 200);
            range_release(&rd.range);
        }
        plog_unref(&p);
        assert_ok(rig_close(&r));
    }
    rig_free(&r);
}

/* Whatever the topic's policy is now, it may have been another one: where nobody knows up to where the log was in order, no gap is taken for a loss. */
static void gaps_are_cut_only_where_nobody_can_have_compacted(void **state)
{
    static const char all[] = "00@105 01@110 02@150 10@200 11@205 12@300";
    static const struct {
        const char *point, *policy, *rest;
    } cases[] = {
        { "0\n1\nt 0 106\n", "compact", "00@105" }, /* we never compact above it */
        { "0\n1\nt 0 106\n", "delete", "00@105" },
        { "0\n1\nt 0 200\n", "compact", "00@105 01@110 02@150 10@200" },
        { "0\n1\nt 0 205\n", "delete", "00@105 01@110 02@150 10@200 11@205" },
        { "0\n1\nt 0 151\n", "compact", "00@105 01@110 02@150" }, /* between segments */
        { NULL, "compact", all },
        { NULL, "delete", all },
        { "?", "delete", all },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_env *env = test_env_sim(1);
        struct rig r;
        char policy[40];
        sparse(env, &r);
        drop(env, ".kafka_cleanshutdown");
        drop(env, "recovery-point-offset-checkpoint");
        if (cases[i].point) put_point(env, cases[i].point);
        snprintf(policy, sizeof(policy), "cleanup.policy=%s", cases[i].policy);
        rig_begin(&r);
        struct plog *p = rig_plog(&r, "t", 0, policy);
        assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), cases[i].rest);
        plog_unref(&p);
        assert_ok(rig_close(&r));
        rig_free(&r);
        test_env_free(&(void *){ env });
    }
}

/* Messages of formats 0 and 1 in an old segment: walked, found, kept. */
static void segments_with_old_message_formats_can_be_walked(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    size_t at[4];
    three(env, &r, at);
    struct bytes seg = { 0 }, tail = file(env, test_path(env, LOG0));
    for (int i = 0; i < 3; i++) { /* v1: offset, size, crc, magic, attributes, timestamp, key −1, value "v" */
        uint8_t m[12 + 4 + 1 + 1 + 8 + 4 + 4 + 1] = { 0 };
        put_be64(m, (uint64_t)i);
        put_be32(m + 8, sizeof(m) - 12);
        m[16] = 1;
        put_be64(m + 18, (uint64_t)(1000 + i));
        put_be32(m + 26, (uint32_t)-1);
        put_be32(m + 30, 1);
        m[34] = 'v';
        uint32_t crc = 0xffffffff; /* CRC-32, bit by bit */
        for (size_t k = 16; k < sizeof(m); k++) {
            crc ^= m[k];
            for (int b = 0; b < 8; b++) crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
        }
        put_be32(m + 12, ~crc);
        bytes_put(&seg, m, sizeof(m));
    }
    size_t old = seg.n;
    bytes_put(&seg, tail.p, at[1]);
    batch_set_base_offset(seg.p + old, 3);
    put(env, test_path(env, LOG0), seg.p, seg.n);
    assert_string_equal(reopened(env, &r, -1), "v@0 v@1 v@2 a@3");
    bytes_free(&seg);
    bytes_free(&tail);
    rig_free(&r);
}

static void a_start_after_a_clean_stop_opens_no_segment(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    size_t at[4];
    three(env, &r, at);
    sim_fault(env->world,
              (struct sim_fault){ .nth = 1, .sticky = true, .err = -EIO, .ops = SIM_OPEN | SIM_PREAD, .path = "00000000" });
    rig_begin(&r);
    struct plog *p = rig_plog(&r, "t", 0, "");
    assert_int_equal(rig_offsets(p).end, 4);
    assert_int_equal(plog_size(p), (int64_t)at[3]);
    sim_fault(env->world, (struct sim_fault){ 0 });
    assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "a@0 b@1 b@2 c@3");
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* K3: what Kafka allocated and did not live to cut. Beside a clean marker its retention would read the year 1970 there. */
static void indexes_that_kafka_allocated_are_cut_before_a_clean_marker_vouches_for_them(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    size_t at[4];
    enum { OFF = 8 * 1024, TIME = 12 * 1024 };
    uint8_t *zeroes = mem_zalloc(TIME);
    three(env, &r, at); /* closed: the recovery point is its end */
    rig_begin(&r);
    struct plog *empty = rig_plog(&r, "t", 1, "");
    plog_unref(&empty);
    assert_ok(rig_close(&r));
    for (int i = 0; i < 2; i++) {
        const char *dir = arena_printf(&env->arena, "t-%d", i).p;
        put(env, test_path(env, arena_printf(&env->arena, "%s/00000000000000000000.index", dir).p), zeroes, OFF);
        put(env, test_path(env, arena_printf(&env->arena, "%s/00000000000000000000.timeindex", dir).p), zeroes, TIME);
    }
    assert_ok(env->world->fs->unlink(env->world->fs, test_path(env, ".kafka_cleanshutdown"))); /* it was killed */
    rig_begin(&r);
    for (int i = 0; i < 2; i++) {
        struct plog *p = rig_plog(&r, "t", i, "");
        if (i == 0) assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "a@0 b@1 b@2 c@3");
        plog_unref(&p);
    }
    assert_ok(rig_close(&r));
    for (int i = 0; i < 2; i++) {
        const char *dir = arena_printf(&env->arena, "t-%d", i).p;
        struct bytes off = file(env, test_path(env, arena_printf(&env->arena, "%s/00000000000000000000.index", dir).p));
        struct bytes time = file(env, test_path(env, arena_printf(&env->arena, "%s/00000000000000000000.timeindex", dir).p));
        assert_int_equal(off.n, 0);
        assert_int_equal(time.n, i == 0 ? 12 : 0);
        if (i == 0) assert_true(be64(time.p) > 0);
        bytes_free(&off);
        bytes_free(&time);
    }
    mem_free(zeroes);
    rig_free(&r);
}

static void a_clean_marker_that_lies_is_found_out_at_the_first_use(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    size_t at[4], n = three(env, &r, at);
    struct bytes whole = file(env, test_path(env, LOG0));
    put(env, test_path(env, LOG0), whole.p, n - 5); /* with the marker there */
    rig_begin(&r);
    struct plog *p = rig_plog(&r, "t", 0, "");
    int64_t first;
    assert_ok(rig_produce(&r, p, RIG_BATCH(), "z", &first));
    assert_int_equal(first, 4); /* 3 was given to a record that somebody may have read */
    rig_durable(p);
    assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "a@0 b@1 b@2 z@4");
    plog_unref(&p);
    assert_ok(rig_close(&r));
    bytes_free(&whole);
    rig_free(&r);
}

static struct plog *trusted(struct rig *r, const char *topic);
static void count_broken(void *arg) { ++*(int *)arg; }

/* J9: nobody saw the end of it fall back, and nothing that is acknowledged from then on is below the recovery point of a start after a crash. */
static void a_log_shorter_than_its_clean_stop_said_goes_on_where_that_ended(void **state)
{
    struct test_env *env = *state;
    static const char *const rest[] = { "a@0 b@1 b@2", "", "" };
    for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
        struct rig r;
        size_t at[4];
        struct fs *fs = env->world->fs;
        three(env, &r, at);
        struct bytes whole = file(env, test_path(env, LOG0));
        if (i == 0) put(env, test_path(env, LOG0), whole.p, at[2]); /* at a batch's end */
        if (i == 1) put(env, test_path(env, LOG0), "", 0);
        if (i == 2) drop(env, LOG0);
        bytes_free(&whole);
        rig_begin(&r);
        struct plog *p = trusted(&r, "t");
        assert_int_equal(p->end, 4);
        assert_int_equal(rig_offsets(p).end, 4);
        assert_ok(plog_warm(p));
        struct plog_offsets o = rig_offsets(p);
        assert_int_equal(o.end, 4);
        assert_int_equal(o.durable, 4);
        assert_int_equal(o.watermark, 4);
        assert_int_equal(rig_put(&r, p, RIG_BATCH(), "z"), 4);
        rig_durable(p);
        assert_ok(logs_checkpoint(r.logs));
        const char *want = arena_printf(&env->arena, "%s%sz@4", rest[i], rest[i][0] ? " " : "").p;
        assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), want);
        plog_unref(&p);
        if (r.w->sim) rig_power(&r);
        else rig_kill(&r);
        rig_begin(&r);
        p = rig_plog(&r, "t", 0, "");
        assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), want);
        assert_int_equal(rig_offsets(p).end, 5);
        plog_unref(&p);
        rig_kill(&r);
        rig_free(&r);
        assert_ok(fs_remove_tree(fs, test_path(env, "t-0")));
        drop(env, "recovery-point-offset-checkpoint");
        drop(env, "log-start-offset-checkpoint");
    }
}

/* odradek.runs: before the start has opened all logs a checkpoint says nothing of how those are that were not opened. */
static void that_all_logs_are_in_order_is_noted_only_when_all_were_opened(void **state)
{
    enum { LONGER_US = 130 * 1000000 }; /* than two checkpoints */
    struct test_env *env = *state;
    struct rig r;
    int told = 0;
    rig_init(&r, env->world, env->dir, NULL);
    rig_begin(&r);
    struct plog *p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(), "a");
    rig_durable(p);
    plog_unref(&p);
    rig_kill(&r);
    rig_open(&r);
    logs_tell(r.logs, &(struct logs_truth){ .quorum_epoch = 3, .log_epoch = 3 });
    rig_begin(&r);
    assert_ok(logs_lead(r.logs, 4, NULL));
    sim_run(r.w, LONGER_US);
    assert_int_equal(r.logs->runs.settled, -1);
    p = rig_plog(&r, "t", 0, "");
    logs_on_broken(r.logs, count_broken, &told);
    sim_run(r.w, LONGER_US);
    assert_int_equal(r.logs->runs.settled, 4);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* What kafka-dump-log checks: each entry names the last offset of the batch at its position; times rise; the last is the largest. */
static void indexes_on_disk_are_those_kafka_would_have_written(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    rig_init(&r, env->world, env->dir, NULL);
    rig_begin(&r);
    struct plog *p = rig_plog(&r, "t", 0, "segment.bytes=1048576 retention.ms=-1");
    for (int i = 0; i < 300; i++)
        rig_put(&r, p, RIG_BATCH(.value = 3000, .records = 2, .ts = 1000000 + (i * 37 % 100) * 10), "x");
    plog_unref(&p);
    assert_ok(rig_close(&r));
    struct slice *names;
    int n, segments = 0, entries = 0;
    assert_ok(env->world->fs->list(env->world->fs, test_path(env, "t-0"), &env->arena, &names, &n));
    for (int i = 0; i < n; i++) {
        if (!strstr(names[i].p, ".log")) continue;
        char path[600];
        snprintf(path, sizeof(path), "%s/%s", test_path(env, "t-0"), names[i].p);
        struct bytes log = file(env, path);
        int64_t base = atoll(names[i].p), max = -1;
        strcpy(strstr(path, ".log"), ".index");
        struct bytes off = file(env, path);
        strcpy(strstr(path, ".index"), ".timeindex");
        struct bytes time = file(env, path);
        assert_int_equal(off.n % 8, 0);
        assert_int_equal(time.n % 12, 0);
        assert_true(log.n < 8192 || off.n > 0);
        for (size_t k = 0; k < off.n; k += 8) {
            struct batch_head h;
            uint32_t at = be32(off.p + k + 4);
            assert_ok(batch_parse_head(log.p + at, log.n - at, &h));
            assert_int_equal(batch_last_offset(&h), base + (int32_t)be32(off.p + k));
            entries++;
        }
        for (size_t at = 0; at < log.n;) {
            struct batch_head h;
            assert_ok(batch_parse_head(log.p + at, log.n - at, &h));
            max = MAX(max, h.max_timestamp);
            at += (size_t)h.size;
        }
        int64_t before = -1, before_offset = -1;
        for (size_t k = 0; k < time.n; k += 12) {
            int64_t ts = (int64_t)be64(time.p + k), offset = base + (int32_t)be32(time.p + k + 8);
            assert_true(ts > before && offset > before_offset);
            before = ts;
            before_offset = offset;
        }
        if (log.n) assert_int_equal(before, max);
        segments++;
        bytes_free(&log);
        bytes_free(&off);
        bytes_free(&time);
    }
    assert_int_equal(segments, 2);
    assert_true(entries > 200);
    rig_free(&r);
}

/* ---- clean starts that do not look -------------------------------------------------------------------------------------------------- */

static struct plog *trusted(struct rig *r, const char *topic)
{
    struct topic_conf tc = rig_topic_conf(r, "");
    struct uuid id = { { 1 } };
    struct plog *p;
    struct why why = { "" };
    memcpy(id.b + 1, topic, strlen(topic));
    struct plog_spec spec = { .topic = slice_of(topic), .topic_id = id, .leader_epoch = 3, .must_exist = true, .conf = &tc };
    int rc = logs_partition(r->logs, &spec, &p, &why);
    if (rc) fail_msg("%s: %s", topic, why.text);
    return p;
}

static void what_a_clean_stop_vouches_for_is_looked_into_later(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    int told = 0;
    rig_init(&r, env->world, env->dir, NULL);
    rig_begin(&r);
    static const char *const names[] = { "kept", "cut", "gone", "other", "unused" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct plog *p = rig_plog(&r, names[i], 0, i == 1 ? "segment.bytes=200" : "");
        int64_t start;
        for (int k = 0; k < 6; k++) rig_put(&r, p, RIG_BATCH(), "x");
        rig_durable(p);
        if (i == 1) assert_ok(plog_delete_records(p, 5, &start));
        plog_unref(&p);
    }
    assert_ok(rig_close(&r));
    assert_ok(fs_remove_tree(env->world->fs, test_path(env, "gone-0")));
    struct bytes id = file(env, test_path(env, "kept-0/partition.metadata"));
    put(env, test_path(env, "other-0/partition.metadata"), id.p, id.n);
    bytes_free(&id);

    rig_begin(&r);
    struct plog *p[ARRAY_LEN(names)];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        p[i] = trusted(&r, names[i]);
        assert_false(p[i]->listed);
    }
    assert_int_equal(rig_offsets(p[0]).end, 6);
    assert_int_equal(rig_offsets(p[0]).start, 0);
    assert_true(p[0]->listed);
    assert_false(p[0]->warm);
    assert_int_equal(rig_offsets(p[1]).start, 5);
    assert_true(plog_size(p[1]) > 0);
    assert_string_equal(rig_all(&r, &env->arena, p[0], READ_WATERMARK), "x@0 x@1 x@2 x@3 x@4 x@5");
    assert_int_equal(rig_put(&r, p[1], RIG_BATCH(), "y"), 6);
    rig_durable(p[1]);
    assert_ok(logs_checkpoint(r.logs)); /* speaks for those nobody looked into */
    assert_false(p[4]->listed);

    logs_on_broken(r.logs, count_broken, &told);
    if (r.w->sim) sim_run(r.w, 1000000);
    else logs_retain(r.logs); /* retention looks into all */
    assert_true(p[4]->listed);
    assert_int_equal(plog_broken(p[0]), 0);
    assert_int_equal(plog_broken(p[2]), E_NOT_FOUND);
    assert_int_equal(plog_broken(p[3]), E_INCONSISTENT_TOPIC_ID);
    assert_int_equal(told, 2);
    assert_true(rig_offsets(p[2]).offline);
    assert_err(rig_produce(&r, p[3], RIG_BATCH(), "x", NULL), E_INCONSISTENT_TOPIC_ID);
    assert_err(logs_delete_partition(r.logs, p[3]), E_INCONSISTENT_TOPIC_ID);
    assert_true(there(env, "other-0/partition.metadata"));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) plog_unref(&p[i]);
    assert_ok(rig_close(&r));
    assert_false(there(env, ".kafka_cleanshutdown")); /* one was lost: the next start looks at everything */
    rig_free(&r);
}

/* A clean stop of a log with six records, and its trusted start. */
static struct plog *trusted_log(struct rig *r, struct test_env *env, const char *add)
{
    rig_init(r, env->world, env->dir, NULL);
    rig_begin(r);
    struct plog *p = rig_plog(r, "t", 0, "");
    for (int k = 0; k < 6; k++) rig_put(r, p, RIG_BATCH(), "x");
    rig_durable(p);
    plog_unref(&p);
    assert_ok(rig_close(r));
    if (add) put(env, test_path(env, add), "", 0);
    rig_begin(r);
    return trusted(r, "t");
}

static void a_deleted_log_is_not_looked_for_by_its_old_path(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p = trusted_log(&r, env, NULL);
    assert_ok(logs_delete_partition(r.logs, p));
    struct plog *q = rig_plog(&r, "t", 0, ""); /* the name is taken again */
    for (int k = 0; k < 3; k++) rig_put(&r, q, RIG_BATCH(), "new");
    assert_false(p->warm); /* a fetch that still holds the old one */
    assert_err(plog_warm(p), E_GONE);
    p->listed = false;
    assert_err(plog_list(p), E_GONE);
    p->listed = true;
    logs_retain(r.logs);
    assert_int_equal(plog_broken(p), 0);
    assert_string_equal(rig_all(&r, &env->arena, q, READ_END), "new@0 new@1 new@2");
    rig_durable(q);
    plog_unref(&q);
    plog_unref(&p);
    assert_ok(rig_close(&r));
    assert_true(there(env, ".kafka_cleanshutdown"));
    rig_free(&r);
}

static void a_listing_that_failed_later_on_is_done_again(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *p = trusted_log(&r, env, "t-0/00000000000000000050.log"); /* contradicts its clean stop */
    sim_fault(r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EMFILE, .ops = SIM_OPEN, .path = ".log" });
    for (int k = 0; k < 2; k++) assert_err(plog_list(p), E_NO_FILES);
    assert_false(p->listed);
    sim_fault(r.w, (struct sim_fault){ 0 });
    assert_ok(plog_warm(p));
    assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "x@0 x@1 x@2 x@3 x@4 x@5");
    plog_unref(&p);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* ---- creations that were cut short ------------------------------------------------------------------------------------------------ */

/* K6: nothing is appended before a partition's files are synced; what a crash left of them then is no reason not to open it. */
static void a_creation_cut_short_is_finished_by_the_next_start(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct why why = { "" };
    static const char *const torn[] = { NULL, "", "version: 0\ntopic_id: AXQ", "\0\0\0\0\0\0\0\0" };
    rig_init(&r, env->world, env->dir, NULL);
    rig_begin(&r);
    struct plog *p = rig_plog(&r, "t", 0, "");
    plog_unref(&p);
    rig_kill(&r);
    struct bytes whole = file(env, test_path(env, "t-0/partition.metadata"));
    for (size_t i = 0; i < ARRAY_LEN(torn); i++) {
        drop(env, "t-0/partition.metadata");
        if (torn[i]) put(env, test_path(env, "t-0/partition.metadata"), torn[i], torn[i][0] ? strlen(torn[i]) : i == 3 ? 8 : 0);
        put(env, test_path(env, "t-0/leader-epoch-checkpoint"), "0\n", 2);
        if (i == 1) drop(env, LOG0);
        rig_begin(&r);
        p = rig_plog(&r, "t", 0, "");
        assert_int_equal(rig_offsets(p).end, 0);
        plog_unref(&p);
        rig_kill(&r);
        struct bytes now = file(env, test_path(env, "t-0/partition.metadata"));
        assert_int_equal(now.n, whole.n);
        assert_memory_equal(now.p, whole.p, whole.n);
        bytes_free(&now);
    }
    rig_begin(&r);
    p = rig_plog(&r, "t", 0, "");
    rig_put(&r, p, RIG_BATCH(), "a");
    rig_durable(p);
    plog_unref(&p);
    rig_kill(&r);
    put(env, test_path(env, "t-0/partition.metadata"), "garbled", 7); /* of a log with records it is nobody's to guess */
    rig_begin(&r);
    assert_err(rig_try(&r, "t", 0, "", &p, &why), E_CORRUPT);
    rig_kill(&r);
    bytes_free(&whole);
    rig_free(&r);
}

/* A process that was killed between making a partition's files and syncing them: the next run's acknowledgements count on them. */
static void what_a_killed_run_created_is_synced_before_it_is_used(void **state)
{
    enum { ROUNDS = 30 }; /* the power keeps some of what was not synced */
    struct test_env *env = *state;
    struct rig r;
    struct fs *fs = env->world->fs;
    rig_init(&r, env->world, env->dir, NULL);
    rig_begin(&r);
    struct plog *p = rig_plog(&r, "u", ROUNDS, "");
    plog_unref(&p);
    rig_kill(&r);
    struct bytes id = file(env, test_path(env, arena_printf(&env->arena, "u-%d/partition.metadata", ROUNDS).p));
    for (int i = 0; i < ROUNDS; i++) {
        const char *const names[] = { "u-%d", "u-%d/00000000000000000000.log", "u-%d/partition.metadata" };
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            const char *path = test_path(env, arena_printf(&env->arena, names[k], i).p);
            int fd = k ? fs->open(fs, path, FS_WRITE | FS_CREATE) : fs->mkdir(fs, path);
            assert_true(fd >= 0);
            struct iovec v = { id.p, id.n };
            if (k == 2) assert_ok(fs->pwritev(fs, fd, &v, 1, 0));
            if (k) fs->close(fs, fd);
        }
        rig_begin(&r);
        p = rig_plog(&r, "u", i, "");
        rig_put(&r, p, RIG_BATCH(), "a");
        rig_durable(p);
        plog_unref(&p);
        rig_power(&r);
        rig_begin(&r);
        p = rig_plog(&r, "u", i, "");
        assert_string_equal(rig_all(&r, &env->arena, p, READ_WATERMARK), "a@0");
        plog_unref(&p);
        rig_kill(&r);
    }
    bytes_free(&id);
    rig_free(&r);
}

/* ---- what a start reads --------------------------------------------------------------------------------------------------------------------- */

static int64_t bytes_read;
static ssize_t (*plain_pread)(struct fs *fs, int fd, void *p, size_t n, int64_t at);

static ssize_t counting_pread(struct fs *fs, int fd, void *p, size_t n, int64_t at)
{
    ssize_t got = plain_pread(fs, fd, p, n, at);
    bytes_read += MAX(got, 0);
    return got;
}

enum { ACTIVE_BATCHES = 10, BATCH_VALUE = 20000 };
static const char *const small_segments = "segment.bytes=1048576 retention.ms=-1";

/* Of a log with so many sealed segments and a little in the active one: bytes read by a start after a kill in the midst of appends (*busy), and by
 * one after a kill that found the log as a clean stop had left it (*idle). */
static void count_start_reads(struct test_env *env, int sealed, int64_t pid, int64_t *busy, int64_t *idle)
{
    struct rig r;
    char topic[16];
    snprintf(topic, sizeof(topic), "t%02d%d", sealed, pid != 0);
    rig_init(&r, env->world, env->dir, NULL);
    rig_begin(&r);
    struct plog *p = rig_plog(&r, topic, 0, small_segments);
    int n = 0;
    for (int last = 0; last < ACTIVE_BATCHES; n++) {
        rig_put(&r, p, RIG_BATCH(.value = BATCH_VALUE, .ts = many_ms(&r), .pid = pid, .seq = n), "x");
        last = p->segs_n > sealed ? last + 1 : 0;
    }
    assert_int_equal(p->segs_n, sealed + 1);
    rig_durable(p);
    sim_run(r.w, 1000000); /* sealed */
    assert_ok(logs_checkpoint(r.logs));
    rig_put(&r, p, RIG_BATCH(.value = BATCH_VALUE, .ts = many_ms(&r), .pid = pid, .seq = n++), "x");
    rig_durable(p);
    plog_unref(&p);
    rig_kill(&r);
    for (int round = 0; round < 2; round++) {
        bytes_read = 0;
        rig_begin(&r);
        p = rig_plog(&r, topic, 0, small_segments);
        *(round == 0 ? busy : idle) = bytes_read;
        assert_int_equal(rig_offsets(p).end, n);
        plog_unref(&p);
        if (round == 0) {
            assert_ok(rig_close(&r));
            rig_begin(&r);
        }
        rig_kill(&r);
    }
    rig_free(&r);
}

static void a_start_after_a_kill_reads_no_sealed_segment_below_the_recovery_point_and_the_active_one_once(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    const int64_t active = (ACTIVE_BATCHES + 1) * (BATCH_VALUE + BATCH_HEADER), derived = 4096;
    plain_pread = fs->pread;
    fs->pread = counting_pread;
    for (int64_t pid = 0; pid <= 5; pid += 5) {
        int64_t few[2], many_[2];
        count_start_reads(env, 2, pid, &few[0], &few[1]);
        count_start_reads(env, 20, pid, &many_[0], &many_[1]);
        for (int i = 0; i < 2; i++) {
            assert_in_range(few[i], 1, active + derived);
            assert_in_range(many_[i], 1, active + derived);
        }
    }
    fs->pread = plain_pread;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(a_tail_torn_at_any_byte_is_cut_at_the_last_whole_batch),
        IN_SIM_WORLD(a_wrong_byte_in_the_unsynced_tail_ends_the_log_there_and_the_cut_is_kept),
        IN_BOTH_WORLDS(zeroes_after_the_tail_are_cut),
        IN_BOTH_WORLDS(damage_below_the_recovery_point_is_never_dropped),
        IN_BOTH_WORLDS(a_log_that_ends_below_its_recovery_point_goes_on_above_it),
        IN_BOTH_WORLDS(any_derived_file_may_be_missing_short_or_garbled),
        IN_BOTH_WORLDS(leftovers_of_cleaning_and_deletion_are_finished_as_kafka_does),
        IN_BOTH_WORLDS(sparse_offsets_are_read_and_survive_recovery),
        cmocka_unit_test(gaps_are_cut_only_where_nobody_can_have_compacted),
        IN_BOTH_WORLDS(segments_with_old_message_formats_can_be_walked),
        IN_SIM_WORLD(a_start_after_a_clean_stop_opens_no_segment),
        IN_BOTH_WORLDS(indexes_that_kafka_allocated_are_cut_before_a_clean_marker_vouches_for_them),
        IN_BOTH_WORLDS(a_clean_marker_that_lies_is_found_out_at_the_first_use),
        IN_BOTH_WORLDS(a_log_shorter_than_its_clean_stop_said_goes_on_where_that_ended),
        IN_SIM_WORLD(that_all_logs_are_in_order_is_noted_only_when_all_were_opened),
        IN_BOTH_WORLDS(what_a_clean_stop_vouches_for_is_looked_into_later),
        IN_SIM_WORLD(a_deleted_log_is_not_looked_for_by_its_old_path),
        IN_SIM_WORLD(a_listing_that_failed_later_on_is_done_again),
        IN_BOTH_WORLDS(a_creation_cut_short_is_finished_by_the_next_start),
        IN_SIM_WORLD(what_a_killed_run_created_is_synced_before_it_is_used),
        IN_BOTH_WORLDS(indexes_on_disk_are_those_kafka_would_have_written),
        IN_SIM_WORLD(a_start_after_a_kill_reads_no_sealed_segment_below_the_recovery_point_and_the_active_one_once),
    };
    return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
