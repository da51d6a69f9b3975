/* A compacted log and what must be left of it, for the tests of the cleaner. */
#pragma once
#include "clean.h"
#include "rig.h"
#include <stdlib.h>

/* The wall clock stands where the test puts it. */
struct still {
    struct clock clock;
    struct clock *was;
    int64_t ms;
};
static inline int64_t still_mono(struct clock *c)
{
    struct still *s = container_of(c, struct still, clock);
    return s->was->mono_us(s->was);
}
static inline int64_t still_wall(struct clock *c) { return container_of(c, struct still, clock)->ms; }
static inline void still_set(struct still *s, struct world *w, int64_t ms)
{
    *s = (struct still){ { still_mono, still_wall }, w->clock, ms };
    w->clock = &s->clock;
}

enum fate { FATE_NONE, FATE_PLAIN, FATE_OPEN, FATE_COMMITTED, FATE_ABORTED, FATE_MARKER };
enum { MODEL_MAX = 4096, MODEL_PIDS = 4 };
struct model_rec {
    enum fate fate;
    int key; /* of "k<key>"; the value is "v<offset>…" */
    bool tombstone;
    int64_t pid, ts;
};
struct model {
    struct rig *r;
    struct plog *p;
    uint64_t rng;
    int64_t now_ms;
    struct model_rec rec[MODEL_MAX]; /* by offset */
    int64_t end, cleaned;
    bool busy; /* the cleaner works meanwhile */
    int32_t seq[MODEL_PIDS + 1];
    bool open[MODEL_PIDS + 1];
};

static inline uint64_t model_rnd(struct model *m, uint64_t n)
{
    m->rng ^= m->rng << 13;
    m->rng ^= m->rng >> 7;
    m->rng ^= m->rng << 17;
    return m->rng % n;
}

static inline struct slice model_value(char *buf, size_t cap, int64_t offset)
{
    int n = snprintf(buf, cap, "v%lld-%.*s", (long long)offset, (int)(offset % 40), "........................................");
    return (struct slice){ buf, (size_t)n };
}

/* Appends one batch; pid 0: no producer. The error of the append. */
static inline int model_put(struct model *m, int n, const int *keys, const bool *tombs, int64_t pid, bool txn, enum codec codec)
{
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder b;
    struct bytes bytes = { 0 };
    struct append a;
    o.codec = codec;
    if (pid) {
        o.producer_id = pid;
        o.producer_epoch = 0;
        o.base_sequence = m->seq[pid];
    }
    o.transactional = txn;
    batch_begin(&b, &o, &bytes);
    for (int i = 0; i < n; i++) {
        char key[32], value[64];
        struct slice k = { key, (size_t)snprintf(key, sizeof(key), "k%d", keys[i]) };
        struct slice v = tombs[i] ? (struct slice){ NULL, 0 } : model_value(value, sizeof(value), m->end + i);
        struct record_header h = { S("h"), S("x") };
        batch_append(&b, m->now_ms + i, k, v, &h, (m->end + i) % 3 == 0);
    }
    assert_true(batch_end(&b) > 0);
    rig_append(m->r, m->p, &bytes, &a);
    bytes_free(&bytes);
    if (a.err) return a.err;
    assert_int_equal(a.first, m->end);
    for (int i = 0; i < n; i++)
        m->rec[m->end++] = (struct model_rec){
            .fate = txn ? FATE_OPEN : FATE_PLAIN, .key = keys[i], .tombstone = tombs[i], .pid = pid, .ts = m->now_ms + i
        };
    if (pid) m->seq[pid] += n;
    if (txn) m->open[pid] = true;
    return 0;
}

static inline int model_one(struct model *m, int key, bool tombstone)
{
    return model_put(m, 1, &key, &tombstone, 0, false, CODEC_NONE);
}

static inline int model_end_txn(struct model *m, int64_t pid, bool commit)
{
    struct bytes bytes = { 0 };
    struct append a;
    rig_marker(pid, 0, commit, &bytes);
    a = (struct append){
        .log = m->p, .bytes = bytes.p, .n = bytes.n, .records = 1, .home = m->r->waker, .origin = APPEND_COORDINATOR
    };
    rig_home(m->r, rig_stage, &a);
    rig_until(m->r, &a.done);
    bytes_free(&bytes);
    if (a.err) return a.err;
    assert_int_equal(a.first, m->end);
    m->rec[m->end++] = (struct model_rec){ .fate = FATE_MARKER, .pid = pid };
    for (int64_t i = 0; i < m->end; i++)
        if (m->rec[i].fate == FATE_OPEN && m->rec[i].pid == pid) m->rec[i].fate = commit ? FATE_COMMITTED : FATE_ABORTED;
    m->open[pid] = false;
    return 0;
}

/* Something at random: batches of every codec, tombstones, transactions that end both ways. */
static inline int model_step(struct model *m, int keys_n)
{
    int keys[5], n = 1 + (int)model_rnd(m, 5);
    bool tombs[5];
    int64_t pid = (int64_t)model_rnd(m, MODEL_PIDS + 1); /* 0: none, 1: idempotent, others: transactional */
    m->now_ms += (int64_t)model_rnd(m, 20);
    if (pid > 1 && m->open[pid] && model_rnd(m, 3) == 0) return model_end_txn(m, pid, model_rnd(m, 2));
    for (int i = 0; i < n; i++) {
        keys[i] = (int)model_rnd(m, (uint64_t)keys_n);
        tombs[i] = model_rnd(m, 5) == 0;
    }
    return model_put(m, n, keys, tombs, pid, pid > 1, (enum codec)(model_rnd(m, 3) ? 0 : model_rnd(m, CODEC_COUNT)));
}

/* Segments follow each other, each within its bounds; nothing of a swap is left over. */
static inline void model_segments(struct model *m)
{
    struct fs *fs = m->r->w->fs;
    for (int i = 0; i < m->p->segs_n; i++) {
        struct segment *s = m->p->segs[i];
        int fd = seg_pin(s, false);
        int64_t last = s->base - 1, next = i + 1 < m->p->segs_n ? m->p->segs[i + 1]->base : m->end;
        struct walk w;
        struct batch_head h;
        assert_true(fd >= 0);
        walk_begin(&w, fs, fd, 0, s->size, NULL, 4096);
        for (; walk_peek(&w, &h, NULL) == 1; walk_skip(&w, &h)) {
            assert_true(h.base_offset > last);
            last = batch_last_offset(&h);
        }
        assert_int_equal(w.at, s->size);
        walk_end(&w);
        seg_unpin(s);
        if (last >= next) fail_msg("segment %lld reaches to %lld, into the next one", (long long)s->base, (long long)last);
    }
    struct slice *names;
    struct arena a;
    int n;
    arena_init(&a);
    assert_ok(fs->list(fs, m->p->path, &a, &names, &n));
    for (int i = 0; i < n; i++)
        if (memmem(names[i].p, names[i].n, ".swap", 5)) fail_msg(S_FMT " is left over", S_ARG(names[i]));
    arena_free(&a);
}

/* Reads the log as a consumer does, and holds what it gets against the model. Tombstones older than `horizon` may be
 * gone; `whole`: no clean was cut short, so that nothing is missing from dirty_from on. */
static inline void model_check(struct model *m, enum read_upto upto, int64_t horizon, bool whole)
{
    struct plog_offsets at = rig_offsets(m->p);
    struct plog_cursor c = { 0 };
    struct bytes scratch = { 0 };
    static bool seen[MODEL_MAX];
    int64_t offset = at.start, last = -1, bound = upto == READ_STABLE ? at.stable : at.watermark;
    assert_int_equal(at.end, m->end);
    if (!m->busy) model_segments(m);
    pthread_mutex_lock(&m->p->mu);
    m->cleaned = MAX(m->cleaned, m->p->dirty_from); /* a new life looks it up late */
    pthread_mutex_unlock(&m->p->mu);
    memset(seen, 0, sizeof(seen));
    for (;;) {
        struct arena a;
        bool is_aborted[MODEL_PIDS + 1] = { false };
        arena_init(&a);
        struct plog_read rd = {
            .offset = offset, .max_bytes = (uint32_t)(200 + model_rnd(m, 3000)), .whole_first = true, .upto = upto, .arena = &a
        };
        assert_ok(plog_read(m->p, &rd, &c));
        if (rd.range.n == 0) {
            range_release(&rd.range);
            arena_free(&a);
            break;
        }
        uint8_t *b = mem_alloc(rd.range.n);
        assert_ok(range_copy(&rd.range, 0, b, rd.range.n));
        int64_t before = offset;
        for (uint32_t pos = 0; pos < rd.range.n;) {
            struct batch_head h;
            if (batch_parse_head(b + pos, rd.range.n - pos, &h) != 0 || (uint32_t)h.size > rd.range.n - pos) break;
            assert_ok(batch_verify(b + pos, (size_t)h.size));
            for (int i = 0; i < rd.aborted_n; i++) { /* each is taken once, as clients do */
                if (rd.aborted[i].first_offset > batch_last_offset(&h) || rd.aborted[i].producer_id > MODEL_PIDS) continue;
                is_aborted[rd.aborted[i].producer_id] = true;
                rd.aborted[i].first_offset = INT64_MAX;
            }
            struct record_iter it;
            struct record rec;
            bool skip = upto == READ_STABLE && batch_is_transactional(&h) && !batch_is_control(&h) && is_aborted[h.producer_id];
            assert_ok(record_iter_init(&it, b + pos, (size_t)h.size, &scratch, 0));
            while (record_next(&it, &rec) == 1) {
                const struct model_rec *want = &m->rec[rec.offset];
                char key[32], value[64];
                assert_true(rec.offset < m->end && (rec.offset > last || rec.offset < offset));
                if (batch_is_control(&h)) {
                    assert_int_equal(want->fate, FATE_MARKER);
                    if (control_type_of(&rec) == CONTROL_ABORT) is_aborted[h.producer_id] = false;
                    continue;
                }
                assert_int_equal(rec.timestamp, want->ts);
                assert_slice(rec.key, (snprintf(key, sizeof(key), "k%d", want->key), key));
                if (want->tombstone) assert_null(rec.value.p);
                else assert_true(slice_eq(rec.value, model_value(value, sizeof(value), rec.offset)));
                assert_int_equal(rec.header_count, rec.offset % 3 == 0);
                if (skip || rec.offset >= bound) continue;
                if (upto == READ_STABLE && want->fate == FATE_ABORTED)
                    fail_msg("an aborted record is shown at %lld", (long long)rec.offset);
                seen[rec.offset] = true;
                last = rec.offset;
            }
            record_iter_end(&it);
            if (batch_last_offset(&h) >= offset) offset = batch_last_offset(&h) + 1;
            pos += (uint32_t)h.size;
        }
        mem_free(b);
        range_release(&rd.range);
        arena_free(&a);
        assert_true(offset > before);
    }
    bytes_free(&scratch);
    /* The last of each key that counts is there; what was not cleaned yet is there as a whole. */
    static int64_t latest[256];
    memset(latest, -1, sizeof(latest));
    for (int64_t i = 0; i < bound; i++) {
        const struct model_rec *rec = &m->rec[i];
        bool counts = rec->fate == FATE_PLAIN || rec->fate == FATE_COMMITTED;
        if (counts) latest[rec->key] = i;
        if (whole && counts && i >= MAX(m->cleaned, at.start) && !seen[i])
            fail_msg("record %lld was not cleaned and is gone", (long long)i);
    }
    for (int k = 0; k < 256; k++)
        if (latest[k] >= at.start && !seen[latest[k]] && !(m->rec[latest[k]].tombstone && m->rec[latest[k]].ts < horizon))
            fail_msg("key %d: its last record %lld is gone (fate %d, tombstone %d, %lld ms over)", k, (long long)latest[k],
                     m->rec[latest[k]].fate, m->rec[latest[k]].tombstone, (long long)(horizon - m->rec[latest[k]].ts));
}
