/* From files to a usable log (JOURNAL.md J9, J13's walk without a journal, J15, J16; TAKEOVER.md K3).
 *
 * After a clean stop nothing is opened: the end is the recovery point, and the first use looks whether the active segment agrees. After a crash every
 * segment from the recovery point R on is synced, read back from the disk (J15) and walked:
 *   below R  batches are believed by their headers. Damage there is never cut: the walk goes on at the next whole batch, or the log goes on in a
 *            new segment at R
 *   from R   a batch must be whole, have the right checksum and follow the one before. The first that does not ends the log; what is cut is kept
 *            in one file in the root of the log directory
 * Indexes, transaction indexes, snapshots and epochs of what was walked are built anew in the same pass. */
#include "internal.h"
#include "txidx.h"

enum { WALK = 1024 * 1024, CUT_KEEP_MAX = 64 * 1024 * 1024 };
#define CUT_FILE "odradek-cut-tails"

/* ---- listing ------------------------------------------------------------------------------------------------------------------------------ */

static bool ends_with(struct slice s, struct slice end) { return s.n >= end.n && memcmp(s.p + s.n - end.n, end.p, end.n) == 0; }

static struct slice without(struct slice s, struct slice end) { return (struct slice){ s.p, s.n - end.n }; }

static int remove_name(struct plog *p, struct slice name)
{
    char path[SEG_PATH];
    snprintf(path, sizeof(path), "%s/" S_FMT, p->path, S_ARG(name));
    int rc = p->logs->fs->unlink(p->logs->fs, path);
    return rc == -ENOENT ? 0 : rc;
}

/* What an interrupted cleaning left, as Kafka treats it: .cleaned goes; .swap at or past the lowest .cleaned was not complete and goes; other .swap
 * files take the place of the segments they cover. .deleted goes. True in *changed when files changed. */
static int finish_swaps(struct plog *p, struct slice *names, int n, bool *changed)
{
    struct fs *fs = p->logs->fs;
    int64_t cleaned = INT64_MAX, from = INT64_MAX, to = INT64_MIN, base;
    bool swaps = false;
    int rc = 0;
    *changed = false;
    for (int i = 0; i < n; i++)
        if (ends_with(names[i], S(".cleaned")) && seg_name_parse(without(names[i], S(".cleaned")), &base) >= 0)
            cleaned = MIN(cleaned, base);
    for (int i = 0; i < n && rc == 0; i++) {
        bool swap = ends_with(names[i], S(".swap")) && seg_name_parse(without(names[i], S(".swap")), &base) >= 0;
        bool dead = ends_with(names[i], S(".cleaned")) || (swap && base >= cleaned) ||
                    (ends_with(names[i], S(".deleted")) && !ends_with(names[i], S(".checkpoint.deleted")));
        if (dead) {
            rc = remove_name(p, names[i]);
            names[i] = S("");
            *changed = true;
            continue;
        }
        if (!swap) continue;
        swaps = true;
        if (!ends_with(names[i], S(".log.swap"))) continue;
        char path[SEG_PATH];
        snprintf(path, sizeof(path), "%s/" S_FMT, p->path, S_ARG(names[i]));
        int fd = fs->open(fs, path, FS_READ);
        if (fd < 0) return fd;
        struct fs_stat st;
        struct walk w;
        struct batch_head h;
        int64_t next = base;
        rc = fs->fstat(fs, fd, &st);
        walk_begin(&w, fs, fd, 0, rc == 0 ? st.size : 0, NULL, 64 * KiB);
        while (walk_peek(&w, &h, NULL) == 1) {
            next = batch_last_offset(&h) + 1;
            walk_skip(&w, &h);
        }
        walk_end(&w);
        fs->close(fs, fd);
        from = MIN(from, base);
        to = MAX(to, next);
    }
    if (!swaps || rc < 0) return rc;
    *changed = true;
    for (int i = 0; i < n && rc == 0; i++) {
        int f = seg_name_parse(names[i], &base);
        if (f < 0 || f == SEG_SNAPSHOT || base < from || base >= to) continue;
        rc = remove_name(p, names[i]);
    }
    if (rc == 0) rc = fs->sync_dir(fs, p->path); /* they must not come back beside what takes their place */
    for (int i = 0; i < n && rc == 0; i++) {
        if (!ends_with(names[i], S(".swap"))) continue;
        char old[SEG_PATH], new_[SEG_PATH];
        snprintf(old, sizeof(old), "%s/" S_FMT, p->path, S_ARG(names[i]));
        snprintf(new_, sizeof(new_), "%s/" S_FMT, p->path, S_ARG(without(names[i], S(".swap"))));
        rc = fs->rename(fs, old, new_);
    }
    log_info("storage", "completed an interrupted cleaning", KV_STR("log", p->name), KV_I64("from", from), KV_I64("to", to));
    return rc;
}

/* A log that contradicts its clean stop is recovered while it is in use: whoever only asks for its size or its segments holds mu, not maint. */
static void add_segment(struct plog *p, struct segment *s)
{
    pthread_mutex_lock(&p->mu);
    plog_add_segment(p, s);
    pthread_mutex_unlock(&p->mu);
}

/* Takes the last one out, with its reference. */
static struct segment *take_last(struct plog *p)
{
    pthread_mutex_lock(&p->mu);
    struct segment *s = p->segs[--p->segs_n];
    pthread_mutex_unlock(&p->mu);
    return s;
}

static void drop_segments(struct plog *p)
{
    while (p->segs_n > 0) {
        struct segment *s = take_last(p);
        seg_unref(&s);
    }
}

int recover_list(struct plog *p, struct why *w)
{
    struct fs *fs = p->logs->fs;
    struct arena a;
    struct slice *names;
    int n, rc;
    bool changed;
    arena_init(&a);
    drop_segments(p); /* of an attempt that failed later on */
    rc = fs->list(fs, p->path, &a, &names, &n);
    if (rc == 0) rc = finish_swaps(p, names, n, &changed);
    if (rc == 0 && changed) rc = fs->sync_dir(fs, p->path);
    if (rc == 0 && changed) rc = fs->list(fs, p->path, &a, &names, &n);
    p->newest_snapshot = -1;
    for (int i = 0; i < n && rc == 0; i++) {
        int64_t base;
        int f = seg_name_parse(names[i], &base);
        if (f == SEG_SNAPSHOT) p->newest_snapshot = MAX(p->newest_snapshot, base);
        if (f != SEG_LOG) continue;
        struct fs_stat st;
        char path[SEG_PATH];
        seg_path_in(p->path, base, SEG_LOG, path);
        rc = fs->stat(fs, path, &st);
        if (rc == 0 && st.size > INT32_MAX) rc = -EFBIG;
        if (rc < 0) break;
        struct segment *s = seg_new(p, base);
        s->size = (uint32_t)st.size;
        s->mtime_ms = s->created_ms = st.mtime_ms;
        s->sealed = s->saved = true;
        add_segment(p, s);
    }
    p->has_snapshots = p->newest_snapshot >= 0;
    for (int i = 0; i < n && rc == 0; i++) { /* indexes without a log */
        int64_t base;
        int f = seg_name_parse(names[i], &base);
        if (f != SEG_OFF && f != SEG_TIME && f != SEG_TXN) continue;
        int at = plog_seg_at(p, base);
        if (at < 0 || p->segs[at]->base != base) rc = remove_name(p, names[i]);
    }
    arena_free(&a);
    if (rc < 0) return why(w, err_of_errno(rc), "%s: %s", p->path, err_text(rc));
    if (p->segs_n > 0) p->segs[p->segs_n - 1]->sealed = p->segs[p->segs_n - 1]->saved = false;
    return 0;
}

int recover_first_segment(struct plog *p, int64_t base, struct why *w)
{
    struct segment *s = seg_new(p, base);
    int fd = seg_pin(s, true);
    if (fd < 0) {
        seg_unref(&s);
        return why(w, err_of_errno(fd), "%s: new segment: %s", p->path, err_text(fd));
    }
    seg_unpin(s);
    s->created_ms = s->mtime_ms = now_ms(p->logs);
    s->loaded = true;
    s->entry_unsynced = true;
    add_segment(p, s);
    return 0;
}

static void set_ends(struct plog *p, int64_t end)
{
    pthread_mutex_lock(&p->mu);
    struct segment *active = plog_active(p);
    p->start = MAX(p->start_floor, p->segs[0]->base);
    p->end = p->next = p->durable = p->flushed = p->watermark = end;
    p->start = MIN(p->start, end);
    p->mark_base = active->base;
    p->mark_at = active->size;
    p->generation++;
    pthread_mutex_unlock(&p->mu);
}

bool recover_cold(struct plog *p)
{
    int64_t end = p->recovery_point;
    if (end < 0 || p->segs_n == 0 || end < plog_active(p)->base || p->start_floor > end) return false;
    if (plog_active(p)->size == 0 && plog_active(p)->base != end) return false;
    set_ends(p, end);
    pthread_mutex_lock(&p->mu);
    p->stable = end; /* with producers this is not known yet: plog_offsets warms such a log first */
    pthread_mutex_unlock(&p->mu);
    return true;
}

/* ---- kept cuts ------------------------------------------------------------------------------------------------------------------------------- */

/* Keeps bytes [from, to) of a segment in the log directory's file of cut tails, unless they are all zero. Best effort: a full disk must not stop a
 * start. Returns how many bytes were kept. */
static int64_t keep_cut(struct plog *p, const struct segment *s, int fd, int64_t from, int64_t to)
{
    struct fs *fs = p->logs->fs;
    char path[SEG_PATH];
    struct fs_stat st;
    struct bytes head = { 0 };
    int64_t at = -1, kept = 0;
    int out = -1;
    uint8_t *buf = mem_alloc(64 * KiB);

    pthread_mutex_lock(&p->dir->cut_mu);
    snprintf(path, sizeof(path), "%s/" CUT_FILE, p->dir->path);
    for (int64_t pos = from; pos < to && kept < CUT_KEEP_MAX;) {
        ssize_t got = fs->pread(fs, fd, buf, (size_t)MIN(to - pos, 64 * KiB), pos);
        if (got <= 0) break;
        bool zero = true;
        for (ssize_t i = 0; zero && i < got; i++) zero = buf[i] == 0;
        if (at < 0 && zero) { /* nothing worth keeping so far */
            pos += got;
            continue;
        }
        if (at < 0) {
            out = fs->open(fs, path, FS_WRITE | FS_CREATE);
            if (out < 0 || fs->fstat(fs, out, &st) < 0 || st.size > CUT_KEEP_MAX) break;
            at = st.size;
            bytes_printf(&head, "\n--- %s segment %020lld position %lld bytes %lld wall_ms %lld\n", p->name, (long long)s->base,
                         (long long)pos, (long long)(to - pos), (long long)now_ms(p->logs));
            struct iovec v = { head.p, head.n };
            if (fs->pwritev(fs, out, &v, 1, at) < 0) break;
            at += (int64_t)head.n;
        }
        struct iovec v = { buf, (size_t)got };
        if (fs->pwritev(fs, out, &v, 1, at) < 0) break;
        at += got;
        pos += got;
        kept += got;
    }
    if (out >= 0) {
        fs->datasync(fs, out);
        fs->close(fs, out);
    }
    pthread_mutex_unlock(&p->dir->cut_mu);
    bytes_free(&head);
    mem_free(buf);
    return kept;
}

static int cut_segment(struct plog *p, struct segment *s, int fd, int64_t at, const char *reason)
{
    struct fs *fs = p->logs->fs;
    int64_t kept = keep_cut(p, s, fd, at, s->size);
    log_warn("storage", "cut a torn tail", KV_STR("log", p->name), KV_I64("segment", s->base), KV_I64("position", at),
             KV_I64("bytes", s->size - at), KV_I64("kept", kept),
             KV_STR("kept_in", kept ? CUT_FILE : "nothing, all zero or no room"), KV_STR("reason", reason));
    int rc = fs->truncate(fs, fd, at);
    if (rc == 0) rc = fs->datasync(fs, fd);
    pthread_mutex_lock(&p->mu);
    if (rc == 0) s->size = (uint32_t)at;
    pthread_mutex_unlock(&p->mu);
    return rc;
}

static int remove_segment_files(struct plog *p, int64_t base)
{
    for (enum seg_file f = SEG_LOG; f <= SEG_TXN; f++) {
        char path[SEG_PATH];
        seg_path_in(p->path, base, f, path);
        int rc = p->logs->fs->unlink(p->logs->fs, path);
        if (rc < 0 && rc != -ENOENT) return rc;
    }
    return 0;
}

/* Segments from index i on lie beyond the log's end: kept like a cut tail, then removed. */
static int cut_segments_from(struct plog *p, int i)
{
    int rc = 0;
    while (p->segs_n > i && rc == 0) {
        struct segment *s = take_last(p);
        int fd = seg_pin(s, false);
        int64_t kept = fd >= 0 ? keep_cut(p, s, fd, 0, s->size) : 0;
        if (fd >= 0) seg_unpin(s);
        log_warn("storage", "removed a segment past a torn one", KV_STR("log", p->name), KV_I64("segment", s->base),
                 KV_I64("bytes", s->size), KV_I64("kept", kept));
        rc = remove_segment_files(p, s->base);
        seg_unref(&s);
    }
    return rc;
}

/* ---- replaying producers ---------------------------------------------------------------------------------------------------------------------- */

struct txns {
    struct txidx_entry *v;
    int n, cap;
};

/* Takes the batch at w into the producer state; aborted transactions into t (NULL: known already). */
static int take_producer(struct plog *p, struct walk *w, const struct batch_head *h, struct txns *t)
{
    struct pstate_batch b;
    struct pstate_done done;
    struct batch_head again;
    const uint8_t *whole = NULL;
    int64_t next = batch_last_offset(h) + 1;
    if (h->magic == 2 && h->producer_id >= 0) {
        if (batch_is_control(h)) {
            int rc = walk_peek(w, &again, &whole);
            if (rc < 0) return rc;
        }
        pbatch_of(whole, h, h->base_offset, &b);
        if (pstate_apply(&p->ps, &b, NULL, &done) && done.aborted && t) {
            if (t->n == t->cap) t->v = mem_realloc(t->v, (size_t)(t->cap = MAX(16, 2 * t->cap)) * sizeof(*t->v));
            t->v[t->n++] = (struct txidx_entry){ done.producer_id, done.first_offset, done.last_offset, done.stable_offset };
        }
        p->has_snapshots = true;
    }
    pstate_set_end(&p->ps, next);
    return 0;
}

/* Replays [p->ps.end, to) from segments whose files are believed. */
static int replay(struct plog *p, int64_t to)
{
    int rc = 0;
    for (int i = MAX(0, plog_seg_at(p, p->ps.end)); i < p->segs_n && p->segs[i]->base < to && rc >= 0; i++) {
        struct segment *s = p->segs[i];
        uint32_t at = 0;
        if (p->ps.end > s->base && (rc = seg_lookup(s, p->ps.end, &at)) < 0) return rc;
        int fd = seg_pin(s, false);
        if (fd < 0) return err_of_errno(fd);
        struct walk w;
        struct batch_head h;
        walk_begin(&w, p->logs->fs, fd, at, s->size, NULL, 64 * KiB);
        while ((rc = walk_peek(&w, &h, NULL)) == 1 || (rc == E_CORRUPT_MESSAGE && (rc = walk_resync(&w, &h, s->base)) == 1)) {
            if (batch_last_offset(&h) >= to) break;
            if (batch_last_offset(&h) >= p->ps.end && (rc = take_producer(p, &w, &h, NULL)) < 0) break;
            walk_skip(&w, &h);
        }
        walk_end(&w);
        seg_unpin(s);
        if (rc == E_CORRUPT_MESSAGE) rc = 0;
    }
    if (p->ps.end < to) pstate_set_end(&p->ps, to);
    return MIN(rc, 0);
}

static int load_producers(struct plog *p, int64_t end, bool trusted, struct why *w)
{
    const struct settings *set = &p->logs->set;
    if (p->newest_snapshot < 0 && trusted) { /* a clean stop writes one where there are producers (K3), and so does Kafka */
        pstate_set_end(&p->ps, end);
        return 0;
    }
    int rc = pstate_load(&p->ps, p->logs->fs, p->path, p->start, end, now_ms(p->logs), set->producer_expire_ms, w);
    return rc < 0 ? rc : replay(p, end);
}

/* ---- the active segment of a cleanly closed log ------------------------------------------------------------------------------------------------ */

static void first_timestamp(struct plog *p, struct segment *s, int fd)
{
    uint8_t buf[128];
    struct walk w;
    struct batch_head h;
    walk_begin(&w, p->logs->fs, fd, 0, s->size, buf, sizeof(buf));
    if (walk_peek(&w, &h, NULL) == 1) {
        s->gauge.has_first = true;
        s->gauge.first_ts = h.max_timestamp;
    }
}

/* Does the active segment end with a whole batch? 1: *end is the next offset; 0: no; or an error. After a crash 0 also where it has no indexes:
 * such a segment is about to be walked, and is not read twice. */
static int check_tail(struct plog *p, bool trusted, int64_t *end)
{
    struct segment *s = plog_active(p);
    struct fs_stat st;
    uint32_t at;
    *end = s->base;
    int fd = seg_pin(s, false);
    if (fd < 0) return err_of_errno(fd);
    int rc = p->logs->fs->fstat(p->logs->fs, fd, &st);
    if (rc < 0 || st.size != s->size) {
        seg_unpin(s);
        return rc < 0 ? err_of_errno(rc) : 0;
    }
    if (!trusted && s->size > 0 && (rc = seg_load_saved(s)) <= 0) {
        seg_unpin(s);
        return rc;
    }
    rc = s->size > 0 ? seg_lookup(s, INT64_MAX, &at) : (at = 0, s->loaded = true, 0);
    if (rc == 0) {
        struct walk w;
        struct batch_head h;
        walk_begin(&w, p->logs->fs, fd, at, s->size, NULL, 64 * KiB);
        while ((rc = walk_peek(&w, &h, NULL)) == 1) {
            if (h.base_offset < *end && h.magic == 2) break;
            *end = batch_last_offset(&h) + 1;
            if (h.max_timestamp > s->gauge.max_ts) {
                s->gauge.max_ts = h.max_timestamp;
                s->gauge.max_ts_offset = *end - 1;
            }
            walk_skip(&w, &h);
        }
        walk_end(&w);
        rc = rc == 0 ? 1 : rc == E_CORRUPT_MESSAGE || rc == 1 ? 0 : rc;
        if (rc == 1) first_timestamp(p, s, fd);
    }
    seg_unpin(s);
    return rc;
}

/* Kafka allocates the indexes of an active segment, 10 MiB of zeroes, and cuts them when it closes. Killed, it leaves them so; and a Kafka that
 * finds them beside a clean marker (K3) takes the segment's newest timestamp from their last entry: 1970, and its retention deletes the records.
 * Where there are records seg_load has found them out. */
static int check_empty_indexes(struct plog *p)
{
    struct segment *s = plog_active(p);
    struct fs *fs = p->logs->fs;
    static const enum seg_file files[] = { SEG_OFF, SEG_TIME };
    char path[SEG_PATH];
    for (size_t i = 0; i < ARRAY_LEN(files) && s->size == 0; i++) {
        struct fs_stat st;
        seg_path(s, files[i], path);
        int rc = fs->stat(fs, path, &st);
        if (rc < 0 && rc != -ENOENT) return rc;
        if (rc == 0 && st.size > 0) s->unsaved = true;
    }
    return 0;
}

/* ---- after a crash -------------------------------------------------------------------------------------------------------------------------------- */

struct recovery {
    struct plog *log;
    int64_t r;        /* recovery point */
    int64_t expected; /* next offset; -1: not known yet */
    bool strict;      /* a gap past R was not left by a cleaner: records are missing */
    bool cut;
    struct why *why;
};

/* Our cleaner touches nothing above R as it is on the disk (J10); Apache Kafka's does. So a gap past R is a loss, and ends the log, only where R is
 * known and nobody else has been here since. Good batches are not given up on a suspicion: formerly compacted topics look like any other. */
static bool gaps_are_losses(const struct plog *p)
{
    const struct log_dir *d = p->dir;
    if (slice_eq(slice_of(p->topic), S("__cluster_metadata"))) return true;
    if (!p->logs->was_settled || !d->points_there) return false;
    return p->recovery_point >= 0 || checkpoint_find(d->cleaner, d->cleaner_n, slice_of(p->topic), p->partition) < 0;
}

/* May the log go on with this batch? NULL, or what is wrong with it. */
static const char *judge(const struct recovery *rv, const struct segment *s, int64_t limit_offset, const struct batch_head *h,
                         const uint8_t *whole)
{
    int64_t last = batch_last_offset(h);
    if (last < h->base_offset || h->base_offset < s->base || last - s->base > INT32_MAX || last >= limit_offset)
        return "offset out of place";
    if (rv->expected >= 0 && h->base_offset < rv->expected) return "offset falls back";
    if (last < rv->r) return NULL;
    if (rv->strict && h->magic == 2 && rv->expected >= 0 && h->base_offset > MAX(rv->expected, rv->r))
        return "offsets are missing";
    return batch_verify(whole, (size_t)h->size) == 0 ? NULL : "checksum";
}

/* The metadata log has no recovery point and is walked at every start; after a clean stop all of it is synced. */
static bool closed_clean(const struct plog *p) { return p->no_journal && p->dir->was_clean; }

static int recover_segment(struct recovery *rv, int i)
{
    struct plog *p = rv->log;
    struct fs *fs = p->logs->fs;
    struct segment *s = p->segs[i];
    int64_t limit_offset = i + 1 < p->segs_n ? p->segs[i + 1]->base : INT64_MAX;
    struct bytes off = { 0 }, time = { 0 };
    struct txns txns = { 0 };
    struct sgauge g = { .max_ts = NO_TIMESTAMP, .max_ts_offset = s->base, .time_last = NO_TIMESTAMP, .first_ts = NO_TIMESTAMP };
    const char *bad = NULL;
    int rc, fd = seg_pin(s, false);
    if (fd < 0) return err_of_errno(fd);
    if (!closed_clean(p)) {
        rc = fs->datasync(fs, fd); /* J15: then read what the disk has, not what a failed sync left in memory */
        if (rc < 0) {
            seg_unpin(s);
            return err_of_errno(rc);
        }
        fs->forget(fs, fd, 0, s->size);
    }

    struct walk w;
    struct batch_head h;
    const uint8_t *whole = NULL;
    walk_begin(&w, fs, fd, 0, s->size, NULL, WALK);
    for (;;) {
        rc = walk_peek(&w, &h, NULL);
        if (rc == 1 && batch_last_offset(&h) >= rv->r) rc = walk_peek(&w, &h, &whole);
        if (rc == 0) break;
        if (rc < 0 && rc != E_CORRUPT_MESSAGE) goto out;
        bad = rc < 0 ? "no whole batch" : judge(rv, s, limit_offset, &h, whole);
        if (bad && (rv->expected < 0 ? s->base : rv->expected) < rv->r) { /* damage in what was synced: never dropped */
            int64_t at = w.at;
            rc = walk_resync(&w, &h, MAX(s->base, rv->expected));
            if (rc < 0) goto out;
            bool more = rc == 1 && batch_last_offset(&h) < limit_offset;
            log_error("storage", "damaged bytes below the recovery point, kept as they are", KV_STR("log", p->name),
                      KV_I64("segment", s->base), KV_I64("position", at), KV_I64("to", more ? w.at : s->size),
                      KV_I64("offset", rv->expected), KV_STR("reason", bad));
            bad = NULL;
            if (!more) {
                w.at = s->size;
                break;
            }
        }
        if (bad) break;
        int64_t last = batch_last_offset(&h);
        seg_note(s->base, (uint32_t)p->conf.index_interval_bytes, &g, last, (uint32_t)w.at, (uint32_t)h.size, h.max_timestamp,
                 &off, &time);
        if (h.magic == 2 && h.leader_epoch > epochs_latest(&p->epochs) &&
            epochs_assign(&p->epochs, h.leader_epoch, h.base_offset))
            p->epochs_dirty = true;
        rc = take_producer(p, &w, &h, &txns);
        if (rc < 0) goto out;
        rv->expected = last + 1;
        walk_skip(&w, &h);
    }
    if (bad) {
        rv->cut = true;
        rc = cut_segment(p, s, fd, w.at, bad);
        if (rc < 0) {
            rc = err_of_errno(rc);
            goto out;
        }
    }
    if (rv->expected < s->base) rv->expected = s->base;

    /* What was built: into the tails, written behind; the transaction index at once. */
    pthread_mutex_lock(&p->mu);
    bytes_free(&s->off.tail);
    bytes_free(&s->time.tail);
    s->off.tail = off;
    s->time.tail = time;
    off = time = (struct bytes){ 0 };
    s->off.saved = s->time.saved = 0;
    s->gauge = g;
    s->loaded = true;
    s->saved = false;
    pthread_mutex_unlock(&p->mu);
    char path[SEG_PATH];
    seg_path(s, SEG_TXN, path);
    rc = fs->unlink(fs, path);
    rc = rc < 0 && rc != -ENOENT ? err_of_errno(rc) : 0;
    if (rc == 0 && txns.n > 0) rc = txidx_append(fs, path, txns.v, txns.n);
    if (rc == 0 && txns.n > 0) rc = txidx_sync(fs, path);
out:
    walk_end(&w);
    seg_unpin(s);
    mem_free(txns.v);
    bytes_free(&off);
    bytes_free(&time);
    return rc;
}

/* Everything from r on: R, or below it where a clean stop said what is not so. p->start is set. */
static int recover_from(struct plog *p, int64_t r, struct why *w)
{
    struct recovery rv = { .log = p, .r = r, .expected = -1, .strict = gaps_are_losses(p), .why = w };
    const struct settings *set = &p->logs->set;
    int first = MAX(0, plog_seg_at(p, r)), rc;
    if (p->segs_n == 0) return 0;
    int64_t base = p->segs[first]->base;
    if (rv.strict && base == r) rv.expected = r;

    /* J16: the state at the first walked segment, from a snapshot at or below it. */
    rc = pstate_load(&p->ps, p->logs->fs, p->path, MIN(p->start, base), base, now_ms(p->logs), set->producer_expire_ms, w);
    if (rc == 0 && p->ps.end < base) rc = replay(p, base);
    for (int i = first; rc == 0 && i < p->segs_n; i++) {
        bool last = i == p->segs_n - 1;
        if (i > first && p->ps.end <= p->segs[i]->base) {
            pstate_set_end(&p->ps, p->segs[i]->base);
            p->segs[i]->snapshot.n = 0;
            pstate_encode(&p->ps, &p->segs[i]->snapshot);
        }
        /* A sealed segment that ends early lost its tail, and the next one was never acknowledged (J2): unless compaction left the gap. */
        if (i > first && !rv.cut && p->segs[i]->base > rv.expected && rv.expected >= r && rv.strict) {
            log_warn("storage", "offsets are missing between segments", KV_STR("log", p->name), KV_I64("from", rv.expected),
                     KV_I64("to", p->segs[i]->base));
            rv.cut = true;
            rc = cut_segments_from(p, i);
            break;
        }
        rc = recover_segment(&rv, i);
        if (rc == 0 && rv.cut && !last) rc = cut_segments_from(p, i + 1);
        if (rc < 0) why(w, rc, "%s: segment %lld: %s", p->path, (long long)p->segs[i]->base, err_text(rc));
    }
    if (rc < 0) return rc;
    pthread_mutex_lock(&p->mu);
    for (int i = first; i < p->segs_n - 1; i++) {
        seg_note_close(p->segs[i]->base, &p->segs[i]->gauge, &p->segs[i]->time.tail);
        p->segs[i]->sealed = true;
    }
    struct segment *active = plog_active(p);
    int64_t end = rv.expected, least = MAX(r, p->recovery_point);
    active->sealed = end < least;
    active->saved = active->entry_unsynced = false;
    if (active->sealed) seg_note_close(active->base, &active->gauge, &active->time.tail);
    pthread_mutex_unlock(&p->mu);
    if (end < least) { /* acknowledged data is not there: its offsets are never given to other records */
        log_error("storage", "log ends below its recovery point: records are missing", KV_STR("log", p->name), KV_I64("end", end),
                  KV_I64("recovery_point", least));
        rc = recover_first_segment(p, least, w);
        if (rc < 0) return rc;
        pstate_set_end(&p->ps, least);
        end = least;
    }
    rc = closed_clean(p) && !rv.cut && active == plog_active(p) ? 0 : p->logs->fs->sync_dir(p->logs->fs, p->path);
    if (rc < 0) return why(w, err_of_errno(rc), "%s: %s", p->path, err_text(rc));
    set_ends(p, end);
    pthread_mutex_lock(&p->mu);
    p->appended = true; /* its indexes are not on disk yet: R stays below its end (J9) */
    pthread_mutex_unlock(&p->mu);
    return 0;
}

/* Nothing of the log is at or above its start: it begins anew there, but at no offset that was given to a record already. */
static int start_over(struct plog *p, struct why *w)
{
    int64_t base = MAX(MAX(p->start_floor, p->recovery_point), 0);
    if (base > p->start_floor)
        log_error("storage", "log has no segments: its records are missing", KV_STR("log", p->name),
                  KV_I64("recovery_point", base));
    while (p->segs_n > 0) {
        struct segment *s = take_last(p);
        int rc = remove_segment_files(p, s->base);
        log_warn("storage", "removed a segment below the log start", KV_STR("log", p->name), KV_I64("segment", s->base),
                 KV_I64("log_start", base));
        seg_unref(&s);
        if (rc < 0) return why(w, err_of_errno(rc), "%s: %s", p->path, err_text(rc));
    }
    pstate_clear(&p->ps, base);
    int rc = recover_first_segment(p, base, w);
    if (rc == 0 && (rc = p->logs->fs->sync_dir(p->logs->fs, p->path)) < 0)
        rc = why(w, err_of_errno(rc), "%s: %s", p->path, err_text(rc));
    if (rc == 0) set_ends(p, base);
    return rc;
}

int recover_plog(struct plog *p, bool trusted, struct why *w)
{
    struct fs *fs = p->logs->fs;
    int64_t r = MAX(p->recovery_point, 0), end = -1;
    struct why reason = { "" };
    int rc;
    if (p->segs_n > 0) p->start = MAX(p->start_floor, p->segs[0]->base);
    rc = epochs_load(&p->epochs, fs, p->path, &reason);
    if (rc == E_CORRUPT) { /* the batches tell the epochs of what is walked */
        log_warn("storage", "leader-epoch-checkpoint is damaged", KV_STR("log", p->name), KV_STR("why", reason.text));
        p->epochs_dirty = true;
        rc = 0;
    }
    if (rc < 0) return why(w, rc, "%s: leader-epoch-checkpoint: %s", p->path, err_text(rc));

    if (p->segs_n > 0) {
        rc = check_tail(p, trusted, &end);
        if (rc < 0) return why(w, rc, "%s: %s", p->path, err_text(rc));
        bool good = rc == 1;
        if (trusted && p->recovery_point < 0 && good) r = end; /* clean, but the checkpoint does not name it: the files do */
        else if (trusted && (!good || end != r)) {
            log_warn("storage", "log is not what its clean stop said, recovering it", KV_STR("log", p->name), KV_I64("end", end),
                     KV_I64("recovery_point", p->recovery_point));
            good = false;
            if (r > end) r = end;
            r = MIN(r, plog_active(p)->base);
        }
        if (good && end == r) { /* nothing past the recovery point: everything is synced and indexed */
            set_ends(p, end);
            pthread_mutex_lock(&p->mu);
            p->appended = false;
            pthread_mutex_unlock(&p->mu);
            if (!trusted) { /* what was lost behind it may have left its aborted transactions */
                char path[SEG_PATH];
                seg_path(plog_active(p), SEG_TXN, path);
                rc = txidx_truncate(fs, path, end);
                if (rc < 0) return why(w, rc, "%s: %s", path, err_text(rc));
                rc = check_empty_indexes(p);
                if (rc < 0) return why(w, err_of_errno(rc), "%s: indexes: %s", p->path, err_text(rc));
            }
            rc = load_producers(p, end, trusted, w);
        } else rc = recover_from(p, r, w);
        if (rc < 0) return rc;
    }
    if (p->segs_n == 0 || p->start_floor > p->end) {
        rc = start_over(p, w);
        if (rc < 0) return rc;
    }
    if (p->has_snapshots) {
        int64_t *bases = mem_alloc((size_t)p->segs_n * sizeof(*bases));
        for (int i = 0; i < p->segs_n; i++) bases[i] = p->segs[i]->base;
        rc = pstate_remove_stray(fs, p->path, bases, p->segs_n);
        mem_free(bases);
        if (rc < 0) log_warn("storage", "stray snapshots stay", KV_STR("log", p->name), KV_ERR(rc));
    }
    pthread_mutex_lock(&p->mu);
    if (epochs_truncate_end(&p->epochs, p->end)) p->epochs_dirty = true;
    if (epochs_truncate_start(&p->epochs, p->start)) p->epochs_dirty = true;
    if (p->leader_epoch > epochs_latest(&p->epochs)) plog_enter_epoch(p);
    plog_tail_moved(p);
    p->listed = true;
    p->warm = true;
    bool seal = p->segs_n > 1 && !p->segs[p->segs_n - 2]->saved;
    pthread_mutex_unlock(&p->mu);
    if (seal) house_add(p);
    return 0;
}
