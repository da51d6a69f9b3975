/* What Apache Kafka's own cleaner left of the same logs (data/cleaned.txt.gz, made by data/MakeCleaned.java), batch for batch. */
#include "clean.h"
#include "rig.h"
#include <stdlib.h>

/* The wall clock stands still at what the case says. */
struct still {
    struct clock clock;
    struct clock *mono;
    int64_t ms;
};
static int64_t still_mono(struct clock *c)
{
    return container_of(c, struct still, clock)->mono->mono_us(container_of(c, struct still, clock)->mono);
}
static int64_t still_wall(struct clock *c) { return container_of(c, struct still, clock)->ms; }

struct age { /* modification times, which decide about tombstones of old formats */
    int64_t base, ms;
};
struct run {
    struct test_env *env;
    struct rig rig;
    struct still still;
    char name[64], topic[512];
    int64_t map_bytes;
    struct age ages[256];
    int ages_n;
    struct plog *log;
    int cleans, batches;
};

static struct bytes unhex(struct slice s)
{
    struct bytes b = { 0 };
    bytes_room(&b, s.n / 2 + 1);
    for (size_t i = 0; s.n > 1 && i + 1 < s.n; i += 2) {
        char two[3] = { s.p[i], s.p[i + 1], 0 };
        b.p[b.n++] = (uint8_t)strtoul(two, NULL, 16);
    }
    return b;
}

static struct age *age_of(struct run *r, int64_t base)
{
    for (int i = 0; i < r->ages_n; i++)
        if (r->ages[i].base == base) return &r->ages[i];
    assert_true(r->ages_n < (int)ARRAY_LEN(r->ages));
    r->ages[r->ages_n].base = base;
    return &r->ages[r->ages_n++];
}

static struct bytes file(struct run *r, int64_t base, enum seg_file f)
{
    char path[SEG_PATH], dir[SEG_PATH - 64];
    struct bytes b = { 0 };
    snprintf(dir, sizeof(dir), "%s/t-0", r->env->dir);
    seg_path_in(dir, base, f, path);
    fs_read_file(r->env->world->fs, path, 1 << 24, &b);
    return b;
}

/* Compressed bytes need not be the same, what is in them must. */
static void same_batches(struct run *r, int64_t base, const struct bytes *have, const struct bytes *want)
{
    struct bytes s1 = { 0 }, s2 = { 0 };
    size_t a = 0, b = 0;
    while (b < want->n) {
        struct batch_head h, w;
        assert_ok(batch_parse_head(want->p + b, want->n - b, &w));
        if (a >= have->n)
            fail_msg("%s: segment %lld: batch at %lld is missing", r->name, (long long)base, (long long)w.base_offset);
        assert_ok(batch_parse_head(have->p + a, have->n - a, &h));
        assert_ok(batch_verify(have->p + a, have->n - a));
        if (w.codec == CODEC_NONE && (h.size != w.size || memcmp(have->p + a, want->p + b, (size_t)w.size) != 0))
            fail_msg("%s: clean %d: segment %lld: offset %lld: bytes differ", r->name, r->cleans, (long long)base,
                     (long long)w.base_offset);
        assert_int_equal(h.base_offset, w.base_offset);
        assert_int_equal(h.magic, w.magic);
        assert_int_equal(h.attributes, w.attributes);
        assert_int_equal(h.last_offset_delta, w.last_offset_delta);
        assert_int_equal(h.base_timestamp, w.base_timestamp);
        assert_int_equal(h.max_timestamp, w.max_timestamp);
        assert_int_equal(h.producer_id, w.producer_id);
        assert_int_equal(h.base_sequence, w.base_sequence);
        assert_int_equal(h.count, w.count);
        struct record_iter i1, i2;
        struct record r1, r2;
        int more;
        assert_ok(record_iter_init(&i1, have->p + a, have->n - a, &s1, 0));
        assert_ok(record_iter_init(&i2, want->p + b, want->n - b, &s2, 0));
        do {
            more = record_next(&i2, &r2);
            assert_int_equal(record_next(&i1, &r1), more);
            if (more != 1) continue;
            assert_int_equal(r1.offset, r2.offset);
            assert_int_equal(r1.timestamp, r2.timestamp);
            assert_true(slice_eq(r1.key, r2.key) && slice_eq(r1.value, r2.value));
            assert_int_equal(r1.header_count, r2.header_count);
            assert_true(r1.header_count == 0 || slice_eq(r1.headers, r2.headers));
        } while (more == 1);
        assert_int_equal(more, 0);
        record_iter_end(&i1);
        record_iter_end(&i2);
        a += (size_t)h.size;
        b += (size_t)w.size;
        r->batches++;
    }
    if (a != have->n)
        fail_msg("%s: clean %d: segment %lld: %zu bytes too many", r->name, r->cleans, (long long)base, have->n - a);
    bytes_free(&s1);
    bytes_free(&s2);
}

static void stop_log(struct run *r)
{
    if (!r->log) return;
    for (int i = 0; i < r->log->segs_n; i++) age_of(r, r->log->segs[i]->base)->ms = r->log->segs[i]->mtime_ms;
    plog_unref(&r->log);
    rig_kill(&r->rig);
}

static void on_case(struct run *r, struct slice *f, int n)
{
    double load = 0.9;
    char more[128];
    stop_log(r);
    if (r->rig.w) rig_free(&r->rig);
    fs_remove_tree(r->env->world->fs, r->env->dir);
    assert_ok(fs_mkdirs(r->env->world->fs, r->env->dir));
    snprintf(r->name, sizeof(r->name), S_FMT, S_ARG(f[1]));
    snprintf(r->topic, sizeof(r->topic), "cleanup.policy=compact min.cleanable.dirty.ratio=0");
    for (int i = 2; i < n; i++) {
        char kv[128];
        snprintf(kv, sizeof(kv), S_FMT, S_ARG(f[i]));
        if (strncmp(kv, "load=", 5) == 0) load = strtod(kv + 5, NULL);
        else {
            size_t at = strlen(r->topic);
            snprintf(r->topic + at, sizeof(r->topic) - at, " %s%s", strncmp(kv, "segment.bytes", 13) ? "" : "internal.", kv);
        }
    }
    snprintf(more, sizeof(more), "log.cleaner.dedupe.buffer.size=1048576\nlog.cleaner.io.buffer.load.factor=%g\n", load);
    rig_init(&r->rig, r->env->world, r->env->dir, more);
    r->ages_n = r->cleans = 0;
}

static void on_seg(struct run *r, int64_t base, int64_t ms, struct slice hex)
{
    char path[SEG_PATH], dir[SEG_PATH - 64];
    struct bytes b = unhex(hex);
    stop_log(r);
    snprintf(dir, sizeof(dir), "%s/t-0", r->env->dir);
    assert_ok(fs_mkdirs(r->env->world->fs, dir));
    seg_path_in(dir, base, SEG_LOG, path);
    assert_ok(fs_write_file(r->env->world->fs, path, (struct slice){ (char *)b.p, b.n }));
    age_of(r, base)->ms = ms;
    bytes_free(&b);
}

static void on_clean(struct run *r, int64_t now, int64_t from, int64_t to)
{
    r->still.ms = now;
    if (!r->log) {
        rig_begin(&r->rig);
        r->log = rig_plog(&r->rig, "t", 0, r->topic);
        for (int i = 0; i < r->log->segs_n; i++) r->log->segs[i]->mtime_ms = age_of(r, r->log->segs[i]->base)->ms;
    }
    bool cleaned = clean_once(r->rig.logs);
    if (cleaned != (to > from)) fail_msg("%s: clean %d: %s", r->name, r->cleans, cleaned ? "not due" : "nothing was cleaned");
    if (cleaned) assert_int_equal(r->log->dirty_from, to);
    r->cleans++;
}

static void on_out(struct run *r, int i, int64_t base, struct slice hex, struct slice txn_hex)
{
    struct bytes want = unhex(hex), want_txn = unhex(txn_hex), have = file(r, base, SEG_LOG), have_txn = file(r, base, SEG_TXN);
    assert_true(i < r->log->segs_n);
    assert_int_equal(r->log->segs[i]->base, base);
    assert_int_equal(r->log->segs[i]->size, have.n);
    same_batches(r, base, &have, &want);
    if (have_txn.n != want_txn.n || (want_txn.n > 0 && memcmp(have_txn.p, want_txn.p, want_txn.n) != 0))
        fail_msg("%s: clean %d: segment %lld: aborted transactions differ", r->name, r->cleans, (long long)base);
    bytes_free(&want);
    bytes_free(&want_txn);
    bytes_free(&have);
    bytes_free(&have_txn);
}

static int64_t number(struct slice s)
{
    int64_t v;
    assert_ok(checkpoint_int(s, INT64_MIN, INT64_MAX, &v));
    return v;
}

static void cleaned_logs_are_those_of_kafkas_cleaner(void **state)
{
    struct test_env *env = *state;
    struct bytes gz = { 0 }, text = { 0 };
    struct world *real = world_real_new();
    assert_ok(fs_read_file(real->fs, TESTDATA "/unit/storage/data/cleaned.txt.gz", 1 << 24, &gz));
    assert_ok(codec_decompress(CODEC_GZIP, gz.p, gz.n, 1 << 26, &text));
    world_free(&real);

    struct run r = { .env = env, .still = { .clock = { still_mono, still_wall }, .mono = env->world->clock } };
    struct clock *was = env->world->clock;
    env->world->clock = &r.still.clock;
    int outs = 0, cases = 0, all = 0;
    for (size_t at = 0; at < text.n;) {
        struct slice f[16];
        int n = 0;
        const char *line = (char *)text.p + at, *end = memchr(line, '\n', text.n - at);
        assert_non_null(end);
        for (const char *p = line; p < end;) {
            const char *e = memchr(p, ' ', (size_t)(end - p));
            if (!e) e = end;
            assert_true(n < (int)ARRAY_LEN(f));
            f[n++] = (struct slice){ p, (size_t)(e - p) };
            p = e + 1;
        }
        at = (size_t)(end - (char *)text.p) + 1;
        if (slice_eq(f[0], S("case"))) on_case(&r, f, n), cases++;
        else if (slice_eq(f[0], S("seg"))) on_seg(&r, number(f[1]), number(f[2]), f[3]);
        else if (slice_eq(f[0], S("clean"))) {
            if (r.log) assert_true(outs == 0 || outs == r.log->segs_n);
            on_clean(&r, number(f[1]), number(f[2]), number(f[3]));
            outs = 0;
            all++;
        } else on_out(&r, outs++, number(f[1]), f[2], f[3]);
    }
    stop_log(&r);
    rig_free(&r.rig);
    env->world->clock = was;
    assert_true(cases > 10 && all > 30 && r.batches > 1000);
    bytes_free(&gz);
    bytes_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = { IN_SIM_WORLD(cleaned_logs_are_those_of_kafkas_cleaner) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
