/* What becomes of a journal that a crash left: J5, J11–J14, K4. The journals here are made by hand, beside segments that were damaged by hand. */
#include "internal.h"
#include "rig.h"

enum { EPOCH = 5, BATCHES = 6 };

struct scene {
    struct rig r;
    struct test_env *env;
    struct bytes seg; /* t-0's segment as it was written: BATCHES batches of one record, "b0" … */
    uint32_t at[BATCHES + 1];
    struct journal_ids ids;
    struct bytes journal;
    int64_t seq;
    struct uuid topic;
    bool unknown; /* the metadata log does not know the partition */
    int warned, failed;
    char said[4096];
};
static struct scene *heard;

static void listen(void *arg, enum log_level level, struct slice line)
{
    heard->warned += level == LOG_WARN;
    heard->failed += level == LOG_ERROR;
    size_t n = strlen(heard->said);
    snprintf(heard->said + n, sizeof(heard->said) - n, S_FMT "\n", S_ARG(line));
}

static const char *file(struct scene *s, const char *name) { return arena_printf(&s->env->arena, "%s/%s", s->env->dir, name).p; }
static const char *segment(struct scene *s, int64_t base)
{
    return arena_printf(&s->env->arena, "%s/t-0/%020lld.log", s->env->dir, (long long)base).p;
}
static bool there(struct scene *s, const char *path)
{
    struct fs_stat st;
    return s->r.w->fs->stat(s->r.w->fs, path, &st) == 0;
}
static void write_at(struct scene *s, const char *path, int64_t at, const void *p, size_t n, bool cut)
{
    struct fs *fs = s->r.w->fs;
    int fd = fs->open(fs, path, FS_WRITE | FS_CREATE);
    struct iovec v = { (void *)(uintptr_t)p, n };
    assert_true(fd >= 0);
    if (n) assert_ok(fs->pwritev(fs, fd, &v, 1, at));
    if (cut) assert_ok(fs->truncate(fs, fd, at + (int64_t)n));
    assert_ok(fs->datasync(fs, fd));
    fs->close(fs, fd);
}
/* The segment keeps only its first n batches. */
static void keep(struct scene *s, int n) { write_at(s, segment(s, 0), s->at[n], NULL, 0, true); }

static void set(struct scene *s, struct test_env *env)
{
    struct log_dir_info info;
    struct arena *a = &env->arena;
    *s = (struct scene){ .env = env, .seq = 1 };
    heard = s;
    rig_init(&s->r, env->world, env->dir,
             "log.retention.check.interval.ms=3600000\nlog.flush.offset.checkpoint.interval.ms=3600000\n");
    rig_begin(&s->r);
    struct plog *p = rig_plog(&s->r, "t", 0, "");
    for (int i = 0; i < BATCHES; i++) rig_put(&s->r, p, RIG_BATCH(.ts = 1000 + i), arena_printf(a, "b%d", i).p);
    rig_durable(p);
    s->topic = plog_topic_id(p);
    logs_dir_info(s->r.logs, 0, &info);
    s->ids = (struct journal_ids){ .dir = info.id, .run = { { 42 } }, .epoch = EPOCH };
    memcpy(s->ids.cluster, logs_cluster_id(s->r.logs).p, 22);
    plog_unref(&p);
    rig_kill(&s->r);
    assert_ok(fs_read_file(s->r.w->fs, segment(s, 0), 1 << 20, &s->seg));
    for (int i = 0; i < BATCHES; i++) {
        struct batch_head h;
        assert_ok(batch_parse_head(s->seg.p + s->at[i], s->seg.n - s->at[i], &h));
        s->at[i + 1] = s->at[i] + (uint32_t)h.size;
    }
    assert_int_equal(s->at[BATCHES], s->seg.n);
}

/* One group with batches [from, to) as one entry, of the segment at base (where they stand `shift` bytes earlier). */
static void group(struct scene *s, int64_t oldest, int from, int to, int64_t base, uint32_t shift)
{
    uint32_t n = s->at[to] - s->at[from];
    int64_t length = JOURNAL_HEAD + JOURNAL_ENTRY + n;
    uint8_t *p = bytes_room(&s->journal, (size_t)journal_padded(length));
    memset(p, 0, (size_t)journal_padded(length));
    struct journal_entry e = {
        .topic_id = s->topic, .base = base, .at = s->at[from] - shift, .first = from, .last = to - 1, .n = n
    };
    struct journal_head h = {
        .ids = s->ids, .kind = JOURNAL_GROUP, .entries = 1, .seq = s->seq++, .oldest = oldest, .length = length
    };
    journal_put_entry(p + JOURNAL_HEAD, &e);
    memcpy(p + JOURNAL_HEAD + JOURNAL_ENTRY, s->seg.p + s->at[from], n);
    journal_put_head(p, &h, NULL, NULL);
    put_be32(p + 8, crc32c(0, p + 12, (size_t)length - 12));
    s->journal.n += (size_t)journal_padded(length);
}
static void leave_journal(struct scene *s) { write_at(s, file(s, JOURNAL_FILE), 0, s->journal.p, s->journal.n, true); }

static bool exists(void *arg, struct uuid topic_id, int32_t partition)
{
    struct scene *s = arg;
    return !s->unknown && uuid_eq(topic_id, s->topic) && partition == 0;
}

static int try_start(struct scene *s)
{
    struct why why = { "" };
    s->said[0] = 0;
    s->warned = s->failed = 0;
    rig_open(&s->r);
    logs_tell(s->r.logs, &(struct logs_truth){ .quorum_epoch = EPOCH, .exists = exists, .arg = s });
    log_sink(listen, NULL);
    int rc = logs_begin(s->r.logs, &why);
    log_sink(NULL, NULL);
    return rc;
}

/* Starts, and says what is in the log. */
static const char *start(struct scene *s)
{
    assert_ok(try_start(s));
    struct plog *p = rig_plog(&s->r, "t", 0, "");
    const char *tags = rig_all(&s->r, &s->env->arena, p, READ_END);
    plog_unref(&p);
    return tags;
}
static void end(struct scene *s)
{
    assert_ok(rig_close(&s->r));
    assert_false(there(s, file(s, JOURNAL_FILE)));
    bytes_free(&s->seg);
    bytes_free(&s->journal);
    rig_free(&s->r);
}
#define SAID(s, what) assert_non_null(strstr((s)->said, what))

static const char ALL[] = "b0@0 b1@1 b2@2 b3@3 b4@4 b5@5";

static void what_is_missing_is_written(void **state) /* J13 */
{
    struct scene s;
    set(&s, *state);
    keep(&s, 2);
    group(&s, 1, 2, 3, 0, 0);
    group(&s, 1, 3, 6, 0, 0);
    leave_journal(&s);
    assert_string_equal(start(&s), ALL);
    SAID(&s, "groups=2 logs=1 written=4 kept=0 below_recovery_point=0 of_deleted_partitions=0 damaged=0");
    assert_int_equal(s.warned + s.failed, 0);
    assert_false(there(&s, file(&s, JOURNAL_FILE))); /* J11 */
    end(&s);
}

static void what_is_there_is_kept_and_what_has_no_entry_too(void **state) /* J13 */
{
    struct scene s;
    set(&s, *state);
    keep(&s, 4);
    group(&s, 1, 1, 2, 0, 0); /* b2, b3 were synced by themselves */
    group(&s, 1, 4, 6, 0, 0);
    leave_journal(&s);
    assert_string_equal(start(&s), ALL);
    SAID(&s, "written=2 kept=1");
    assert_int_equal(s.warned + s.failed, 0);
    end(&s);
}

static void torn_batches_are_written_anew(void **state) /* J13 */
{
    struct scene s;
    set(&s, *state);
    char noise[20];
    memset(noise, 'n', sizeof(noise));
    write_at(&s, segment(&s, 0), s.at[3] + 30, noise, sizeof(noise), false);
    write_at(&s, segment(&s, 0), s.at[5], noise, 9, true);
    group(&s, 1, 2, 6, 0, 0);
    leave_journal(&s);
    assert_string_equal(start(&s), ALL);
    SAID(&s, "written=2 kept=2");
    end(&s);
}

static void a_segment_that_is_missing_is_made(void **state) /* J12, J8 */
{
    struct scene s;
    set(&s, *state);
    keep(&s, 3);
    group(&s, 1, 2, 3, 0, 0);
    group(&s, 1, 3, 6, 3, s.at[3]);
    leave_journal(&s);
    assert_string_equal(start(&s), ALL);
    assert_true(there(&s, segment(&s, 3)));
    SAID(&s, "written=3 kept=1");
    end(&s);
}

static void what_stands_behind_a_finished_segment_is_cut(void **state)
{
    struct scene s;
    set(&s, *state);
    keep(&s, 3);
    write_at(&s, segment(&s, 0), s.at[3], "the end of a failed append", 26, true); /* its cut never reached the disk */
    group(&s, 1, 3, 6, 3, s.at[3]);
    leave_journal(&s);
    assert_string_equal(start(&s), ALL);
    SAID(&s, "cut what stands behind a finished segment");
    end(&s);
}

static void another_batch_in_its_place_makes_the_journal_stale(void **state) /* J13, J14 */
{
    struct scene s;
    struct bytes other = { 0 }, before = { 0 }, after = { 0 };
    set(&s, *state);
    rig_build(&RIG_BATCH(.ts = 1003), "XX", &other);
    batch_set_base_offset(other.p, 3);
    write_at(&s, segment(&s, 0), s.at[3], other.p, other.n, true);
    assert_ok(fs_read_file(s.r.w->fs, segment(&s, 0), 1 << 20, &before));
    group(&s, 1, 1, 2, 0, 0);
    group(&s, 1, 3, 6, 0, 0);
    leave_journal(&s);
    assert_ok(try_start(&s));
    assert_ok(fs_read_file(s.r.w->fs, segment(&s, 0), 1 << 20, &after));
    assert_int_equal(before.n, after.n); /* not a byte was written */
    assert_memory_equal(before.p, after.p, after.n);
    assert_int_equal(s.warned, 1);
    SAID(&s, "set aside, not replayed");
    SAID(&s, "another batch at offset 3");
    assert_true(there(&s, file(&s, JOURNAL_STALE)));
    struct plog *p = rig_plog(&s.r, "t", 0, "");
    assert_string_equal(rig_all(&s.r, &s.env->arena, p, READ_END), "b0@0 b1@1 b2@2 XX@3");
    plog_unref(&p);
    bytes_free(&other);
    bytes_free(&before);
    bytes_free(&after);
    end(&s);
}

static void a_journal_of_somebody_else_or_of_before_somebody_else_is_set_aside(void **state) /* J5, J14, K4 */
{
    static const char *const why[] = { "another log directory",         "another cluster", "another broker led the quorum",
                                       "another broker led the quorum", "several runs",    "a clean stop" };
    for (int what = 0; what < 6; what++) {
        struct test_env *env = test_env_sim(1);
        struct scene s;
        set(&s, env);
        keep(&s, 2);
        if (what == 0) s.ids.dir.b[5] ^= 1;
        if (what == 1) s.ids.cluster[0] ^= 1;
        if (what == 2) s.ids.epoch--; /* Kafka started here since */
        if (what == 3) s.ids.epoch++;
        group(&s, 1, 2, 4, 0, 0);
        if (what == 4) s.ids.run.b[0]++;
        group(&s, 1, 4, 6, 0, 0);
        leave_journal(&s);
        if (what == 5) write_at(&s, file(&s, ".kafka_cleanshutdown"), 0, "{\"version\":0,\"brokerEpoch\":3}", 29, true);
        assert_string_equal(start(&s), "b0@0 b1@1");
        SAID(&s, why[what]);
        assert_non_null(strstr(s.said, "commit journal set aside"));
        assert_true(there(&s, file(&s, JOURNAL_STALE)));
        end(&s);
        test_env_free(&(void *){ env });
    }
}

static void a_hole_before_acknowledged_records_is_told_and_the_journal_kept(void **state) /* J13 */
{
    struct scene s;
    set(&s, *state);
    keep(&s, 1);
    group(&s, 1, 3, 6, 0, 0);
    leave_journal(&s);
    assert_string_equal(start(&s), "b0@0");
    assert_int_equal(s.failed, 1);
    SAID(&s, "records are missing before these");
    SAID(&s, "log_ends_at=1 first=3 last=5");
    assert_true(there(&s, file(&s, JOURNAL_HURT)));
    end(&s);
}

static void a_damaged_group_in_the_chain_is_told_and_the_others_replayed(void **state) /* J13 */
{
    struct scene s;
    set(&s, *state);
    keep(&s, 3); /* the damaged group's own batches are there */
    group(&s, 1, 1, 2, 0, 0);
    group(&s, 1, 2, 3, 0, 0);
    group(&s, 1, 3, 6, 0, 0);
    s.journal.p[JOURNAL_BLOCK + 130] ^= 1;
    leave_journal(&s);
    assert_string_equal(start(&s), ALL);
    assert_int_equal(s.failed, 1);
    SAID(&s, "a group is damaged");
    SAID(&s, "seq=2");
    assert_true(there(&s, file(&s, JOURNAL_HURT)));
    end(&s);
}

static void a_torn_newest_group_is_nothing_to_speak_of(void **state) /* J6, J13 */
{
    struct scene s;
    set(&s, *state);
    keep(&s, 2);
    group(&s, 1, 2, 4, 0, 0);
    group(&s, 1, 4, 6, 0, 0);
    s.journal.p[JOURNAL_BLOCK + 130] ^= 1;
    leave_journal(&s);
    assert_string_equal(start(&s), "b0@0 b1@1 b2@2 b3@3");
    assert_int_equal(s.warned + s.failed, 0);
    assert_false(there(&s, file(&s, JOURNAL_HURT)));
    end(&s);
}

static void entries_before_the_oldest_live_are_not_applied(void **state) /* J13 */
{
    struct scene s;
    set(&s, *state);
    keep(&s, 2);
    group(&s, 1, 2, 3, 0, 0); /* released: what the log says counts, and it has none of it */
    group(&s, 2, 0, 1, 0, 0);
    group(&s, 3, 1, 2, 0, 0);
    leave_journal(&s);
    assert_string_equal(start(&s), "b0@0 b1@1");
    SAID(&s, "groups=1");
    assert_int_equal(s.failed, 0);
    end(&s);
}

static void entries_below_r_and_of_deleted_partitions_are_counted_and_dropped(void **state) /* J10, J12 */
{
    struct scene s;
    set(&s, *state);
    struct checkpoint_entry e = { .topic = S("t"), .partition = 0, .offset = 3 };
    struct bytes other = { 0 };
    assert_ok(checkpoint_write(s.r.w->fs, s.env->dir, CHECKPOINT_RECOVERY, &e, 1));
    rig_build(&RIG_BATCH(.ts = 1001), "YY", &other); /* as if compaction had been here: below R the journal has no say */
    batch_set_base_offset(other.p, 1);
    assert_int_equal(other.n, s.at[2] - s.at[1]);
    write_at(&s, segment(&s, 0), s.at[1], other.p, other.n, false);
    keep(&s, 4);
    group(&s, 1, 1, 6, 0, 0);
    leave_journal(&s);
    assert_string_equal(start(&s), "b0@0 YY@1 b2@2 b3@3 b4@4 b5@5");
    SAID(&s, "written=2 kept=1 below_recovery_point=2");
    bytes_free(&other);
    rig_kill(&s.r);

    keep(&s, 4);
    s.unknown = true;
    leave_journal(&s);
    assert_string_equal(start(&s), "b0@0 YY@1 b2@2 b3@3");
    SAID(&s, "of_deleted_partitions=1 damaged=0");
    end(&s);
}

static void damage_below_r_does_not_stop_the_replay(void **state)
{
    struct scene s;
    set(&s, *state);
    struct checkpoint_entry e = { .topic = S("t"), .partition = 0, .offset = 3 };
    assert_ok(checkpoint_write(s.r.w->fs, s.env->dir, CHECKPOINT_RECOVERY, &e, 1));
    write_at(&s, segment(&s, 0), s.at[1] + 8, "\xff\xff\xff\xff", 4, false);
    keep(&s, 4);
    group(&s, 1, 4, 6, 0, 0);
    leave_journal(&s);
    assert_ok(try_start(&s));
    SAID(&s, "written=2 kept=0");
    struct plog *p = rig_plog(&s.r, "t", 0, "");
    assert_int_equal(rig_offsets(p).end, 6);
    plog_unref(&p);
    end(&s);
}

static void a_replay_may_fail_at_any_call_and_is_done_again(void **state) /* J13, J11 */
{
    int failures = 0;
    for (int nth = 1;; nth++) {
        struct test_env *env = test_env_sim(1);
        struct scene s;
        set(&s, env);
        keep(&s, 2);
        group(&s, 1, 2, 3, 0, 0);
        group(&s, 1, 3, 6, 3, s.at[3]);
        leave_journal(&s);
        struct why why = { "" };
        rig_open(&s.r);
        logs_tell(s.r.logs, &(struct logs_truth){ .quorum_epoch = EPOCH });
        int64_t calls = sim_fs_calls(s.r.w);
        sim_fault(s.r.w, (struct sim_fault){ .nth = nth, .err = -EIO, .sticky = true });
        int rc = journal_replay(&s.r.logs->dirs[0], &why);
        sim_fault(s.r.w, (struct sim_fault){ 0 });
        bool through = sim_fs_calls(s.r.w) - calls < nth;
        assert_true(through ? rc == 0 : rc < 0);
        if (rc < 0) assert_true(why.text[0] != 0);
        rig_power(&s.r);
        failures += rc < 0;
        assert_string_equal(start(&s), ALL);
        end(&s);
        test_env_free(&(void *){ env });
        if (through) break;
    }
    assert_true(failures > 15);
}

/* ---- several directories ------------------------------------------------------------------------------------------------------------------ */

/* Four logs in two directories, 1 and 2, each of which has a journal; then the power goes. */
struct two {
    struct rig r;
    struct test_env *env;
    int32_t epoch;
    struct plog *log[4];
};

static int two_start(struct two *t, struct why *w)
{
    rig_open(&t->r);
    logs_tell(t->r.logs, &(struct logs_truth){ .quorum_epoch = t->epoch, .log_epoch = t->epoch });
    int rc = logs_begin(t->r.logs, w);
    return rc ? rc : logs_lead(t->r.logs, ++t->epoch, w);
}

static void two_open(struct two *t)
{
    for (int i = 0; i < 4; i++) t->log[i] = rig_plog(&t->r, "t", i, "");
}

static const char *in_two(struct two *t, const char *name) { return arena_printf(&t->env->arena, "%s/%s", t->env->dir, name).p; }

static void two_set(struct two *t, struct test_env *env)
{
    struct why why = { "" };
    struct bytes b[4] = { 0 };
    struct append a[4];
    *t = (struct two){ .env = env, .epoch = EPOCH };
    rig_init(&t->r, env->world, arena_printf(&env->arena, "%s/1,%s/2", env->dir, env->dir).p,
             "log.retention.check.interval.ms=3600000\nlog.flush.offset.checkpoint.interval.ms=3600000\n");
    assert_ok(two_start(t, &why));
    two_open(t);
    for (int round = 0; round < 3; round++) { /* two files of a directory in one commit make its journal; then it is used */
        for (int i = 0; i < 4; i++) {
            b[i].n = 0;
            rig_build(&RIG_BATCH(), arena_printf(&env->arena, "r%d", round).p, &b[i]);
            a[i] = (struct append){ .log = t->log[i], .bytes = b[i].p, .n = b[i].n, .records = 1, .home = t->r.waker };
        }
        rig_home(&t->r, rig_stage_many, &(struct rig_many){ a, 4 });
        sim_run(t->r.w, 200000);
        for (int i = 0; i < 4; i++) assert_int_equal(rig_offsets(t->log[i]).durable, round + 1);
    }
    int64_t one = (int64_t)b[0].n;
    for (int i = 0; i < 4; i++) bytes_free(&b[i]);
    for (int i = 0; i < 2; i++) assert_int_equal(t->r.logs->dirs[i].journal.state, JOURNAL_READY);
    for (int i = 0; i < 4; i++) sim_forget(t->r.w, t->log[i]);
    rig_power(&t->r);
    for (int i = 0; i < 4; i++) { /* the last record is in the journal alone */
        char name[64];
        struct fs_stat st;
        snprintf(name, sizeof(name), "1/t-%d/%020d.log", i, 0);
        if (t->r.w->fs->stat(t->r.w->fs, in_two(t, name), &st) != 0) name[0] = '2';
        assert_ok(t->r.w->fs->stat(t->r.w->fs, in_two(t, name), &st));
        int fd = t->r.w->fs->open(t->r.w->fs, in_two(t, name), FS_WRITE);
        assert_ok(t->r.w->fs->truncate(t->r.w->fs, fd, 2 * one));
        assert_ok(t->r.w->fs->datasync(t->r.w->fs, fd));
        t->r.w->fs->close(t->r.w->fs, fd);
    }
}

/* All of them are there. */
static void two_end(struct two *t)
{
    struct why why = { "" };
    assert_ok(two_start(t, &why));
    two_open(t);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(rig_all(&t->r, &t->env->arena, t->log[i], READ_END), "r0@0 r1@1 r2@2");
        plog_unref(&t->log[i]);
    }
    assert_ok(rig_close(&t->r));
    rig_free(&t->r);
}

static void a_directory_that_was_missing_has_its_journal_replayed_when_it_is_back(void **state) /* J14 */
{
    struct two t;
    struct why why = { "" };
    two_set(&t, *state);
    for (int life = 0; life < 3; life++) { /* three starts without it, one of them clean */
        sim_fault(t.r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EIO, .path = "/2" });
        assert_ok(two_start(&t, &why));
        struct plog *p = rig_plog(&t.r, "t", t.r.logs->dirs[0].recovery_n ? 9 : 8, "");
        plog_unref(&p);
        if (life == 1) assert_err(rig_close(&t.r), E_OFFLINE);
        else rig_kill(&t.r);
        sim_fault(t.r.w, (struct sim_fault){ 0 });
    }
    two_end(&t);
}

static void a_journal_that_cannot_be_read_takes_its_directory_offline_and_no_other(void **state) /* J14 */
{
    struct two t;
    struct why why = { "" };
    two_set(&t, *state);
    sim_fault(t.r.w, (struct sim_fault){ .nth = 1, .err = -EIO, .ops = SIM_PREAD, .path = "2/" JOURNAL_FILE });
    assert_ok(two_start(&t, &why));
    assert_false(dir_failed(&t.r.logs->dirs[0]));
    assert_true(dir_failed(&t.r.logs->dirs[1]));
    rig_kill(&t.r);
    two_end(&t);
}

static void a_full_disk_keeps_a_journal_that_it_has_no_room_for(void **state)
{
    struct two t;
    struct why why = { "" };
    two_set(&t, *state);
    for (int life = 0; life < 2; life++) { /* no room at all in the second directory, whatever is given back */
        sim_fault(t.r.w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -ENOSPC, .ops = SIM_PWRITEV, .path = "/2/t-" });
        assert_ok(two_start(&t, &why));
        assert_false(dir_failed(&t.r.logs->dirs[0]));
        assert_true(dir_failed(&t.r.logs->dirs[1]));
        rig_kill(&t.r);
        sim_fault(t.r.w, (struct sim_fault){ 0 });
    }
    two_end(&t);
}

static void what_a_journal_does_not_use_is_room_for_its_replay(void **state)
{
    struct two t;
    two_set(&t, *state);
    sim_space(t.r.w, 0); /* four records are missing in the segments; the journals are of 4 MiB */
    struct why why = { "" };
    rig_open(&t.r);
    logs_tell(t.r.logs, &(struct logs_truth){ .quorum_epoch = t.epoch, .log_epoch = t.epoch });
    assert_ok(logs_begin(t.r.logs, &why));
    for (int i = 0; i < 2; i++) assert_false(dir_failed(&t.r.logs->dirs[i]));
    sim_space(t.r.w, -1);
    rig_kill(&t.r);
    two_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(what_is_missing_is_written),
        IN_SIM_WORLD(what_is_there_is_kept_and_what_has_no_entry_too),
        IN_SIM_WORLD(torn_batches_are_written_anew),
        IN_SIM_WORLD(a_segment_that_is_missing_is_made),
        IN_SIM_WORLD(what_stands_behind_a_finished_segment_is_cut),
        IN_SIM_WORLD(another_batch_in_its_place_makes_the_journal_stale),
        IN_SIM_WORLD(a_hole_before_acknowledged_records_is_told_and_the_journal_kept),
        IN_SIM_WORLD(a_damaged_group_in_the_chain_is_told_and_the_others_replayed),
        IN_SIM_WORLD(a_torn_newest_group_is_nothing_to_speak_of),
        IN_SIM_WORLD(entries_before_the_oldest_live_are_not_applied),
        IN_SIM_WORLD(entries_below_r_and_of_deleted_partitions_are_counted_and_dropped),
        IN_SIM_WORLD(damage_below_r_does_not_stop_the_replay),
        cmocka_unit_test(a_journal_of_somebody_else_or_of_before_somebody_else_is_set_aside),
        cmocka_unit_test(a_replay_may_fail_at_any_call_and_is_done_again),
        IN_SIM_WORLD(a_directory_that_was_missing_has_its_journal_replayed_when_it_is_back),
        IN_SIM_WORLD(a_journal_that_cannot_be_read_takes_its_directory_offline_and_no_other),
        IN_SIM_WORLD(a_full_disk_keeps_a_journal_that_it_has_no_room_for),
        IN_SIM_WORLD(what_a_journal_does_not_use_is_room_for_its_replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
