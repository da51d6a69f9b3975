/* The house worker: whatever must be done to a log besides appending, committing and reading, one log at a time.
 *
 * Sealing (J9, J16): a segment that was rolled gets its indexes written, trimmed and synced, and the producer snapshot at its end written, once
 * everything in it is durable. Checkpoints every minute. Retention. Late removal of files. Telling that a directory went offline (J6).
 * It is woken by whoever has work for it, and by a timer on a loop of its own (the only thing that loop does). */
#include "internal.h"
#include "spare.h"
#include "txidx.h"
#include <sched.h>

enum { INDEX_BEHIND = 512 };

/* ---- going offline (J6) ----------------------------------------------------------------------------------------------------------------- */

int dir_fail(struct log_dir *d, const char *what, const char *path, int err)
{
    if (!atomic_exchange(&d->failed, true)) {
        log_error("storage", "log directory goes offline", KV_STR("dir", d->path), KV_STR("what", what), KV_STR("path", path),
                  KV_ERR(err));
        pthread_mutex_lock(&d->logs->house.mu);
        d->logs->house.dirs_failed = true;
        pthread_mutex_unlock(&d->logs->house.mu);
        house_kick(d->logs);
        queue_poke_writer(d);
    }
    return E_OFFLINE;
}

int dir_open(struct log_dir *d, const char *path, int flags)
{
    struct fs *fs = d->logs->fs;
    int fd = fs->open(fs, path, flags);
    while (fd_room(&d->fds, fd)) fd = fs->open(fs, path, flags);
    return fd;
}

int dir_sync(struct log_dir *d, const char *path)
{
    struct fs *fs = d->logs->fs;
    int rc = fs->sync_dir(fs, path);
    while (fd_room(&d->fds, rc)) rc = fs->sync_dir(fs, path);
    return rc;
}

static void tell_offline(struct logs *l)
{
    int n, alive = 0;
    struct plog **v = logs_all(l, &n);
    for (int i = 0; i < n; i++) {
        if (!dir_failed(v[i]->dir)) continue;
        pthread_mutex_lock(&v[i]->mu);
        v[i]->offline = true;
        pthread_mutex_unlock(&v[i]->mu);
        plog_notify(v[i]);
    }
    logs_drop(v, n);
    for (int i = 0; i < l->dirs_n; i++) alive += !dir_failed(&l->dirs[i]);
    pthread_mutex_lock(&l->house.mu);
    void (*fn)(void *arg, int dir, bool all_gone) = l->house.on_offline;
    void *arg = l->house.on_offline_arg;
    pthread_mutex_unlock(&l->house.mu);
    for (int i = 0; fn && i < l->dirs_n; i++) {
        struct log_dir *d = &l->dirs[i];
        if (!dir_failed(d) || d->failure_told) continue;
        d->failure_told = true;
        fn(arg, i, alive == 0);
    }
}

void logs_on_offline(struct logs *l, void (*fn)(void *arg, int dir, bool all_gone), void *arg)
{
    pthread_mutex_lock(&l->house.mu);
    l->house.on_offline_arg = arg;
    l->house.on_offline = fn;
    l->house.dirs_failed = true; /* those that failed before anybody listened are told now */
    pthread_mutex_unlock(&l->house.mu);
    house_kick(l);
}

/* ---- sealing ------------------------------------------------------------------------------------------------------------------------------ */

/* What failed on the way is tried again later when it was room, and is final otherwise. */
static int maint_failed(struct plog *p, const char *what, int rc)
{
    if (err_passes(rc)) {
        log_warn("storage", "indexes or snapshots not written, trying again later", KV_STR("log", p->name), KV_STR("what", what),
                 KV_ERR(rc));
        return rc;
    }
    pthread_mutex_lock(&p->mu);
    bool gone = p->gone;
    pthread_mutex_unlock(&p->mu);
    return gone ? E_GONE : dir_fail(p->dir, what, p->path, rc);
}

/* What the journal made durable up to the segment's end is synced in it too; all before it is sealed and was. */
static int seal_sync(struct plog *p, struct segment *s, int64_t end)
{
    int64_t debt = atomic_load_explicit(&p->dir->debt, memory_order_relaxed);
    pthread_mutex_lock(&p->mu);
    bool owes = seg_owes(s);
    uint32_t written = s->written, cuts = s->cuts;
    pthread_mutex_unlock(&p->mu);
    int rc = owes ? seg_pin(s, false) : 0;
    if (rc < 0) return err_of_errno(rc);
    if (owes) {
        rc = p->logs->fs->datasync(p->logs->fs, rc);
        metric_add(M_sys_sync, 1);
        seg_unpin(s);
        if (rc < 0) return E_IO; /* final, whatever it was (J6) */
    }
    pthread_mutex_lock(&p->mu);
    plog_synced_to(p, s, written, cuts);
    assert(p->durable >= end);
    p->flushed = MAX(p->flushed, end);
    pthread_mutex_unlock(&p->mu);
    queue_debt_fell(p->dir, debt);
    return 0;
}

static int seal_one(struct plog *p, struct segment *s, struct segment *next)
{
    struct fs *fs = p->logs->fs;
    char path[SEG_PATH];
    struct bytes snapshot = { 0 };
    int rc = seal_sync(p, s, next->base);
    if (rc < 0) return maint_failed(p, "segment", rc);
    rc = seg_load(s);
    if (rc == 0) rc = seg_save_indexes(s);
    if (rc < 0) return maint_failed(p, "index", rc);
    seg_path(s, SEG_TXN, path);
    if ((rc = txidx_sync(fs, path)) < 0) return maint_failed(p, "transaction index", rc);

    pthread_mutex_lock(&p->mu);
    if (next->snapshot.n) bytes_put(&snapshot, next->snapshot.p, next->snapshot.n);
    pthread_mutex_unlock(&p->mu);
    if (snapshot.n > 0) {
        rc = pstate_snapshot_write(fs, p->path, next->base, (struct slice){ (const char *)snapshot.p, snapshot.n });
        bytes_free(&snapshot);
        if (rc < 0) return maint_failed(p, "snapshot", rc);
    }
    rc = dir_sync(p->dir, p->path); /* the names of the indexes, and of the next segment */
    if (rc < 0) return maint_failed(p, "directory", dir_sync_passes(rc) ? err_of_errno(rc) : E_IO); /* J6 */
    pthread_mutex_lock(&p->mu);
    if (next->snapshot.n) {
        bytes_free(&next->snapshot);
        if (next->base > p->ps.snap) pstate_snapshot_written(&p->ps, next->base);
        p->newest_snapshot = MAX(p->newest_snapshot, next->base);
        p->has_snapshots = true;
    }
    s->saved = true;
    bytes_free(&s->off.tail);
    bytes_free(&s->time.tail);
    pthread_mutex_unlock(&p->mu);
    return 0;
}

int plog_seal(struct plog *p)
{
    if (!plog_is_warm(p)) return 0;
    for (;;) {
        struct segment *s = NULL, *next = NULL, *rebuild = NULL;
        pthread_mutex_lock(&p->mu);
        for (int i = 0; i < p->segs_n && !s && !rebuild; i++) {
            if (p->segs[i]->rebuild && p->segs[i]->sealed) rebuild = seg_ref(p->segs[i]);
            else if (i + 1 < p->segs_n && !p->segs[i]->saved && p->durable >= p->segs[i + 1]->base) {
                s = seg_ref(p->segs[i]);
                next = seg_ref(p->segs[i + 1]);
            }
        }
        struct segment *active = s || rebuild || p->gone ? NULL : seg_ref(plog_active(p));
        bool gone = p->gone;
        pthread_mutex_unlock(&p->mu);
        int rc = 0;
        if (rebuild && !gone) {
            log_info("storage", "rebuilding an index", KV_STR("log", p->name), KV_I64("segment", rebuild->base));
            rc = seg_rebuild(rebuild);
            if (rc < 0) rc = maint_failed(p, "index", rc);
        } else if (s && !gone) rc = seal_one(p, s, next);
        else if (active && (rc = seg_write_indexes(active, INDEX_BEHIND)) < 0) rc = maint_failed(p, "index", rc);
        bool done = gone || rc < 0 || (!s && !rebuild);
        seg_unref(&s);
        seg_unref(&next);
        seg_unref(&rebuild);
        seg_unref(&active);
        if (done) return rc;
    }
}

/* ---- checkpoints ---------------------------------------------------------------------------------------------------------------------------- */

static bool is_metadata(const struct plog *p) { return slice_eq(slice_of(p->topic), S("__cluster_metadata")); }

int64_t plog_recovery_point(struct plog *p)
{
    pthread_mutex_lock(&p->mu);
    if (!p->listed) { /* as the last stop left it */
        int64_t was = p->recovery_point;
        pthread_mutex_unlock(&p->mu);
        return was;
    }
    int64_t r = p->flushed; /* J9: the journal does not count */
    struct segment *active = plog_active(p);
    /* The indexes of what was appended are not durable, so a start must walk this segment: R stays below durable, which a crash leaves, so that it
     * never looks like the end of a log that was closed (J9). */
    if (p->appended && active->size > 0) r = MIN(r, MAX(active->base, p->flushed - 1));
    for (int i = 0; i + 1 < p->segs_n; i++) {
        if (p->segs[i]->saved) continue;
        r = MIN(r, p->segs[i + 1]->base - 1);
        break;
    }
    r = MAX(r, p->recovery_point);
    pthread_mutex_unlock(&p->mu);
    return r;
}

int house_checkpoint_dir(struct log_dir *d)
{
    struct logs *l = d->logs;
    int n, mine = 0, starts_n = 0, rc = 0;
    if (dir_failed(d)) return E_OFFLINE;
    struct checkpoint_entry *unopened_points = mem_alloc((size_t)MAX(d->recovery_n, 1) * sizeof(*unopened_points));
    struct checkpoint_entry *unopened_starts = mem_alloc((size_t)MAX(d->starts_n, 1) * sizeof(*unopened_starts));
    pthread_mutex_lock(&l->house.checkpoint_mu);
    uint64_t forgets = atomic_load(&d->forgets);
    pthread_mutex_lock(&l->mu); /* at once: a log that is being opened is among the ones or the others */
    struct plog **v = logs_all_locked(l, &n);
    int points_more = dir_unopened(d, false, unopened_points), starts_more = dir_unopened(d, true, unopened_starts);
    pthread_mutex_unlock(&l->mu);
    struct plog **named = mem_alloc((size_t)MAX(n, 1) * sizeof(struct plog *)); /* borrowed from v */
    struct checkpoint_entry *points = mem_alloc((size_t)MAX(n + points_more, 1) * sizeof(*points));
    struct checkpoint_entry *starts = mem_alloc((size_t)MAX(n + starts_more, 1) * sizeof(*starts));
    struct checkpoint_entry *marks = mem_alloc((size_t)MAX(n, 1) * sizeof(*marks));
    for (int i = 0; i < n; i++) {
        struct plog *p = v[i];
        if (p->dir != d || is_metadata(p)) continue;
        int64_t r = plog_recovery_point(p);
        pthread_mutex_lock(&p->mu);
        int64_t start = MAX(p->start, p->start_floor), base = p->listed && p->segs_n ? p->segs[0]->base : 0,
                mark = MIN(p->watermark, p->durable);
        bool skip = p->gone || p->fresh; /* one that is named was created durably */
        pthread_mutex_unlock(&p->mu);
        if (skip) continue;
        named[mine] = p;
        struct checkpoint_entry e = { .topic = slice_of(p->topic), .partition = p->partition, .offset = r };
        points[mine] = e;
        e.offset = mark;
        marks[mine++] = e;
        e.offset = start;
        if (start > base) starts[starts_n++] = e;
    }
    memcpy(points + mine, unopened_points, (size_t)points_more * sizeof(*points));
    memcpy(starts + starts_n, unopened_starts, (size_t)starts_more * sizeof(*starts));
    starts_n += starts_more;
    mem_free(unopened_points);
    mem_free(unopened_starts);
    rc = checkpoint_write(l->fs, d->path, CHECKPOINT_RECOVERY, points, mine + points_more);
    if (rc == 0) rc = checkpoint_write(l->fs, d->path, CHECKPOINT_START, starts, starts_n);
    if (rc == 0) rc = checkpoint_write(l->fs, d->path, CHECKPOINT_WATERMARK, marks, mine);
    for (int i = 0; i < mine && rc == 0; i++) {
        pthread_mutex_lock(&named[i]->mu);
        named[i]->recovery_point = points[i].offset;
        pthread_mutex_unlock(&named[i]->mu);
    }
    if (rc == 0) atomic_store(&d->forgotten, forgets);
    mem_free(named);
    mem_free(points);
    mem_free(starts);
    mem_free(marks);
    logs_drop(v, n);
    pthread_mutex_unlock(&l->house.checkpoint_mu);
    if (rc == 0 || err_passes(rc)) return rc;
    return dir_fail(d, "checkpoint", d->path, rc);
}

int logs_checkpoint(struct logs *l)
{
    int rc = 0;
    for (int i = 0; i < l->dirs_n; i++) {
        int one = house_checkpoint_dir(&l->dirs[i]);
        if (rc == 0) rc = one;
    }
    return rc;
}

/* ---- removing ---------------------------------------------------------------------------------------------------------------------------------- */

void house_doom(struct log_dir *d, const char *path, bool tree, int64_t delay_ms)
{
    struct doomed *x = new (struct doomed);
    x->dir = d;
    x->tree = tree;
    x->path = mem_strdup(slice_of(path));
    x->due_us = now_us(d->logs) + MIN(MAX(delay_ms, 0), INT64_MAX / 4000) * 1000;
    pthread_mutex_lock(&d->logs->house.mu);
    list_push(&d->logs->house.doomed, &x->link);
    pthread_mutex_unlock(&d->logs->house.mu);
    house_kick(d->logs);
}

static void remove_doomed(struct doomed *x)
{
    struct fs *fs = x->dir->logs->fs;
    int rc = 0;
    if (!dir_failed(x->dir)) {
        if (x->tree) rc = fs_remove_tree(fs, x->path);
        for (enum seg_file f = SEG_LOG; !x->tree && f <= SEG_SNAPSHOT; f++) {
            static const char *const ends[] = { ".log", ".index", ".timeindex", ".txnindex", ".snapshot" };
            char path[SEG_PATH];
            snprintf(path, sizeof(path), "%s%s.deleted", x->path, ends[f]);
            int one = fs->unlink(fs, path);
            if (one < 0 && one != -ENOENT) rc = one;
        }
        if (rc < 0 && rc != -ENOENT) log_warn("storage", "not removed", KV_STR("path", x->path), KV_ERR(rc));
    }
    mem_free(x->path);
    mem_free(x);
}

/* Removes what is due (all of it: whatever its time); returns when the next is due. */
static int64_t remove_due(struct logs *l, bool all)
{
    int64_t now = now_us(l), next = INT64_MAX;
    struct list due;
    list_init(&due);
    pthread_mutex_lock(&l->house.mu);
    list_each_safe (it, tmp, &l->house.doomed) {
        struct doomed *x = container_of(it, struct doomed, link);
        if (all || x->due_us <= now) {
            list_remove(it);
            list_push(&due, it);
        } else next = MIN(next, x->due_us);
    }
    pthread_mutex_unlock(&l->house.mu);
    struct list *n;
    while ((n = list_pop(&due))) remove_doomed(container_of(n, struct doomed, link));
    return next;
}

int plog_drop_segments(struct plog *p, int n, int64_t start)
{
    struct fs *fs = p->logs->fs;
    struct segment **gone = mem_alloc((size_t)MAX(n, 1) * sizeof(struct segment *));
    int rc = 0, names = -1;
    if (n > 0) { /* before: nothing is begun that could not go on for want of a descriptor */
        names = dir_open(p->dir, p->path, FS_DIR);
        if (open_passes(names)) {
            mem_free(gone);
            return err_of_errno(names);
        }
        rc = MIN(names, 0);
    }
    pthread_mutex_lock(&p->mu);
    assert(n < p->segs_n);
    memcpy(gone, p->segs, (size_t)n * sizeof(struct segment *));
    p->segs_n -= n;
    memmove(p->segs, p->segs + n, (size_t)p->segs_n * sizeof(struct segment *));
    p->start = MAX(p->start, MAX(start, p->segs[0]->base));
    p->start_floor = MAX(p->start_floor, p->start);
    start = p->start;
    if (n) p->generation++;
    for (int i = 0; i < n; i++) gone[i]->deleted = true;
    if (epochs_truncate_start(&p->epochs, p->start)) {
        p->epochs_dirty = true;
        p->epochs_idle = false;
    }
    pstate_set_start(&p->ps, p->start);
    plog_tail_moved(p);
    int64_t delay = p->conf.file_delete_delay_ms;
    pthread_mutex_unlock(&p->mu);

    for (int i = 0; i < n; i++) {
        struct segment *s = gone[i];
        cool_forget(p, s);
        for (enum seg_file f = SEG_LOG; rc == 0 && f <= SEG_SNAPSHOT; f++) {
            char from[SEG_PATH], to[SEG_PATH + 16];
            seg_path(s, f, from);
            snprintf(to, sizeof(to), "%s.deleted", from);
            int one = fs->rename(fs, from, to);
            if (one < 0 && one != -ENOENT) rc = one;
        }
        /* Oldest first and each durably: a power cut must not bring an older one back in front of one that is gone. */
        if (rc == 0) rc = fs->sync_names(fs, names);
        char prefix[SEG_PATH];
        snprintf(prefix, sizeof(prefix), "%s/%020lld", p->path, (long long)s->base);
        house_doom(p->dir, prefix, false, delay);
        log_info("storage", "segment deleted", KV_STR("log", p->name), KV_I64("segment", s->base), KV_I64("bytes", s->size),
                 KV_I64("log_start", start));
        seg_unref(&s);
    }
    if (names >= 0) fs->close(fs, names);
    mem_free(gone);
    return rc < 0 ? dir_fail(p->dir, "deletion", p->path, rc) : 0;
}

/* ---- retention ------------------------------------------------------------------------------------------------------------------------------------ */

/* How many of the oldest segments may go, as Kafka judges: by time and size (all), log start; only below the watermark. */
static int deletable(struct plog *p, bool by_policy, int64_t *upto)
{
    int64_t now = now_ms(p->logs), total = 0;
    int count = 0;
    pthread_mutex_lock(&p->mu);
    for (int i = 0; i < p->segs_n; i++) total += p->segs[i]->size;
    int64_t over = p->conf.retention_bytes < 0 ? -1 : total - p->conf.retention_bytes;
    pthread_mutex_unlock(&p->mu);
    for (;; count++) {
        pthread_mutex_lock(&p->mu);
        struct segment *s = count < p->segs_n ? seg_ref(p->segs[count]) : NULL;
        bool last = count + 1 >= p->segs_n, expire = by_policy && p->conf.cleanup_delete, loaded = s && s->loaded;
        int64_t upper = last ? p->end : p->segs[count + 1]->base, start = p->start, mark = p->watermark,
                ms = p->conf.retention_ms;
        uint32_t size = s ? s->size : 0;
        pthread_mutex_unlock(&p->mu);
        *upto = upper;
        if (!s) return count;
        bool go = mark >= upper && !(last && size == 0);
        if (go) {
            bool by_start = !last && upper <= start, by_size = expire && over >= (int64_t)size && over > 0, by_time = false;
            if (!by_start && !by_size && expire && ms >= 0 && (loaded || seg_load(s) == 0)) {
                pthread_mutex_lock(&p->mu);
                int64_t newest = s->gauge.max_ts >= 0 ? s->gauge.max_ts : s->mtime_ms;
                pthread_mutex_unlock(&p->mu);
                by_time = now - newest > ms;
            }
            go = by_start || by_size || by_time;
        }
        seg_unref(&s);
        if (!go) {
            pthread_mutex_lock(&p->mu);
            *upto = count < p->segs_n ? p->segs[count]->base : p->end;
            pthread_mutex_unlock(&p->mu);
            return count;
        }
        over -= size;
    }
}

/* Drops what may go, by the topic's policy or only what lies below the log start. 1: something waits for R on disk (J10): checkpoint the directory
 * and come again. */
static int retain_one(struct plog *p, bool by_policy, bool may_wait)
{
    int64_t upto;
    int rc = 0, n;
    if (dir_failed(p->dir)) return 0;
    pthread_mutex_lock(&p->maint);
    pthread_mutex_lock(&p->mu);
    bool gone = p->gone;
    pthread_mutex_unlock(&p->mu);
    if (gone || plog_list_locked(p) < 0) goto out;
    n = deletable(p, by_policy && !is_metadata(p), &upto); /* a log that nobody used yet is judged by its time indexes alone */
    if (n > 0 && (rc = plog_warm_locked(p)) < 0) goto out;
    pthread_mutex_lock(&p->mu);
    bool all = n > 0 && n == p->segs_n, metadata = is_metadata(p);
    pthread_mutex_unlock(&p->mu);
    if (n == 0) goto out;
    if (all) { /* a new active segment first, as Kafka does */
        pthread_mutex_unlock(&p->maint);
        queue_own(p);
        rc = queue_roll(p);
        queue_release(p);
        pthread_mutex_lock(&p->maint);
        if (rc < 0) goto out;
    }
    pthread_mutex_lock(&p->mu);
    gone = p->gone;                                                      /* maint was given up */
    for (n = 0; n + 1 < p->segs_n && p->segs[n + 1]->base <= upto;) n++; /* somebody may have been faster */
    bool on_disk = metadata ? p->durable >= upto : p->recovery_point >= upto;
    bool durable = p->durable >= upto;
    pthread_mutex_unlock(&p->mu);
    if (gone || n == 0) goto out;
    if (on_disk) rc = plog_drop_segments(p, n, upto);
    else if (may_wait) {
        if (!durable) rc = plog_wait_durable(p, upto);
        if (rc == 0) rc = plog_seal(p);
        if (rc == 0) rc = 1;
    }
out:
    pthread_mutex_unlock(&p->maint);
    return rc;
}

void logs_retain(struct logs *l)
{
    int n, waiting = 0;
    struct plog **v = logs_all(l, &n);
    bool *again = mem_zalloc((size_t)MAX(n, 1));
    for (int i = 0; i < n; i++) {
        again[i] = retain_one(v[i], true, true) == 1;
        waiting += again[i];
    }
    if (waiting > 0 && logs_checkpoint(l) == 0)
        for (int i = 0; i < n; i++)
            if (again[i]) retain_one(v[i], true, false);
    mem_free(again);
    logs_drop(v, n);
}

int plog_delete_records(struct plog *p, int64_t offset, int64_t *start)
{
    int rc = plog_warm(p);
    if (rc < 0) return rc;
    if (dir_failed(p->dir)) return E_OFFLINE;
    pthread_mutex_lock(&p->maint);
    pthread_mutex_lock(&p->mu);
    if (offset == -1) offset = p->watermark;
    if (p->gone) rc = E_GONE;
    else if (offset < 0 || offset > p->watermark) rc = E_OFFSET_OUT_OF_RANGE;
    bool moves = rc == 0 && offset > p->start;
    if (moves) p->start_floor = MAX(p->start_floor, offset);
    pthread_mutex_unlock(&p->mu);
    if (moves && !is_metadata(p)) rc = house_checkpoint_dir(p->dir); /* durable before anybody sees it */
    if (moves && rc == 0) rc = plog_drop_segments(p, 0, offset);
    pthread_mutex_unlock(&p->maint);
    if (moves && rc == 0 && retain_one(p, false, true) == 1 && (is_metadata(p) || house_checkpoint_dir(p->dir) == 0))
        retain_one(p, false, false);
    pthread_mutex_lock(&p->mu);
    *start = p->start;
    pthread_mutex_unlock(&p->mu);
    return rc;
}

void kick_stop(struct kicked *k)
{
    struct worker *w = atomic_exchange(&k->w, NULL);
    while (atomic_load(&k->busy) > 0) sched_yield();
    if (w) worker_stop(&w);
}

/* ---- the worker ------------------------------------------------------------------------------------------------------------------------------------ */

void house_kick(struct logs *l) { kick(&l->house.worker); }

void house_add(struct plog *p)
{
    struct house *h = &p->logs->house;
    pthread_mutex_lock(&h->mu);
    bool add = !p->house_queued;
    if (add) {
        p->house_queued = true;
        list_push(&h->plogs, &plog_ref(p)->house_link);
    }
    pthread_mutex_unlock(&h->mu);
    if (add) house_kick(p->logs);
}

void house_flush_at(struct logs *l, int64_t due_us)
{
    struct house *h = &l->house;
    int64_t was = atomic_load(&h->flush_due_us);
    while (due_us < was)
        if (atomic_compare_exchange_weak(&h->flush_due_us, &was, due_us)) {
            house_kick(l); /* it works out when to wake */
            return;
        }
}

static void flush_due(struct logs *l, int64_t now)
{
    int n;
    int64_t next = INT64_MAX;
    atomic_store(&l->house.flush_due_us, INT64_MAX);
    for (int i = 0; i < l->dirs_n; i++) {
        commit_retry(&l->dirs[i].commit);
        journal_settle(&l->dirs[i].journal);
    }
    struct plog **v = logs_all(l, &n);
    for (int i = 0; i < n; i++) {
        pthread_mutex_lock(&v[i]->mu);
        int64_t due = v[i]->flush_due_us;
        pthread_mutex_unlock(&v[i]->mu);
        if (due <= now) commit_want(v[i]);
        else next = MIN(next, due);
    }
    logs_drop(v, n);
    house_flush_at(l, next);
}

static void expire_producers(struct logs *l)
{
    int n;
    struct plog **v = logs_all(l, &n);
    for (int i = 0; i < n; i++) {
        pthread_mutex_lock(&v[i]->mu);
        bool any = v[i]->warm && pstate_count(&v[i]->ps) > 0;
        pthread_mutex_unlock(&v[i]->mu);
        if (!any) continue;
        queue_own(v[i]); /* never inside a run */
        pthread_mutex_lock(&v[i]->mu);
        pstate_expire(&v[i]->ps, now_ms(l), l->set.producer_expire_ms);
        pthread_mutex_unlock(&v[i]->mu);
        queue_release(v[i]);
    }
    logs_drop(v, n);
}

/* Logs that the start trusted, a few a turn. False: none is left. */
static bool look_on(struct logs *l)
{
    enum { A_TURN = 8 };
    struct house *h = &l->house;
    for (int i = 0; i < A_TURN && h->look_at < h->look_n && !atomic_load(&l->closing); i++) {
        struct plog *p = h->look[h->look_at++];
        (void)plog_list(p); /* tells */
        plog_unref(&p);
    }
    if (h->look_at < h->look_n && !atomic_load(&l->closing)) return true;
    while (h->look_at < h->look_n) plog_unref(&h->look[h->look_at++]);
    mem_free(h->look);
    h->look = NULL;
    h->look_at = h->look_n = 0;
    return false;
}

void logs_on_broken(struct logs *l, void (*fn)(void *arg), void *arg)
{
    enum { LATER_US = 100000 }; /* after what the first clients ask for */
    pthread_mutex_lock(&l->house.mu);
    l->house.on_broken = fn;
    l->house.on_broken_arg = arg;
    pthread_mutex_unlock(&l->house.mu);
    bool any = false; /* before there was anybody to tell */
    int n;
    struct plog **v = logs_all(l, &n);
    for (int i = 0; i < n && !any; i++) any = plog_broken(v[i]) < 0;
    logs_drop(v, n);
    if (any) fn(arg);
    atomic_store(&l->opened, true);
    atomic_store(&l->house.look_due_us, now_us(l) + LATER_US);
    house_kick(l);
}

void house_promise(struct plog *p)
{
    struct house *h = &p->logs->house;
    pthread_mutex_lock(&h->mu);
    list_push(&h->unmade, &plog_ref(p)->make_link);
    pthread_mutex_unlock(&h->mu);
}

/* Makes some of the logs that were promised. False: none is left, or they must wait. */
static bool make_on(struct logs *l)
{
    enum { LATER_US = 1000000 };
    struct house *h = &l->house;
    struct plog *v[MAKE_BATCH];
    struct list *it;
    int n = 0, left = 0;
    if (h->make_due_us != INT64_MAX && now_us(l) < h->make_due_us) return false;
    h->make_due_us = INT64_MAX;
    pthread_mutex_lock(&h->mu);
    while (n < MAKE_BATCH && (it = list_pop(&h->unmade))) v[n++] = container_of(it, struct plog, make_link);
    pthread_mutex_unlock(&h->mu);
    if (n == 0) return false;
    logs_make(l, v, n, true);
    for (int i = 0; i < n; i++) {
        pthread_mutex_lock(&v[i]->mu);
        bool again = v[i]->unmade && !v[i]->gone && !v[i]->broken && !dir_failed(v[i]->dir);
        pthread_mutex_unlock(&v[i]->mu);
        left += again;
        if (again) house_promise(v[i]);
        plog_unref(&v[i]);
    }
    if (left > 0) h->make_due_us = now_us(l) + LATER_US;
    return left == 0;
}

static enum turn house_turn(void *arg)
{
    struct logs *l = arg;
    struct house *h = &l->house;
    pthread_mutex_lock(&h->mu);
    struct list *n = list_pop(&h->plogs);
    struct plog *p = n ? container_of(n, struct plog, house_link) : NULL;
    if (p) p->house_queued = false;
    bool failed = h->dirs_failed;
    h->dirs_failed = false;
    pthread_mutex_unlock(&h->mu);

    if (failed) tell_offline(l);
    if (p) {
        if (!dir_failed(p->dir)) {
            pthread_mutex_lock(&p->maint);
            plog_seal(p);
            if (p->no_journal) (void)plog_write_epochs(p);
            pthread_mutex_unlock(&p->maint);
        }
        plog_unref(&p);
        return TURN_MORE;
    }
    if (atomic_load(&l->closing)) return TURN_IDLE;
    int64_t now = now_us(l);
    if (now >= atomic_load(&h->flush_due_us)) flush_due(l, now);
    if (now >= h->checkpoint_due_us) {
        bool opened = atomic_load(&l->opened); /* before: a checkpoint has the recovery points of all only then */
        if (logs_checkpoint(l) == 0 && opened) logs_settle(l);
        for (int i = 0; i < l->dirs_n; i++)
            if (!dir_failed(&l->dirs[i])) spare_make(l->fs, l->dirs[i].path, l->set.disk_reserve);
        h->checkpoint_due_us = now + l->set.checkpoint_ms * 1000;
    }
    if (now >= h->expire_due_us) {
        expire_producers(l);
        h->expire_due_us = now + l->set.expire_check_ms * 1000;
    }
    if (now >= h->retain_due_us) {
        logs_retain(l);
        h->retain_due_us = now + l->set.retain_ms * 1000;
    }
    if (now >= atomic_load(&h->look_due_us)) {
        atomic_store(&h->look_due_us, INT64_MAX);
        h->look = logs_all(l, &h->look_n);
    }
    if (make_on(l)) return TURN_MORE;
    if (h->look && look_on(l)) return TURN_MORE;
    int64_t due = MIN(MIN(remove_due(l, false), atomic_load(&h->look_due_us)), h->make_due_us);
    due = MIN(MIN(due, atomic_load(&h->flush_due_us)), MIN(h->checkpoint_due_us, MIN(h->expire_due_us, h->retain_due_us)));
    if (atomic_exchange(&h->due_us, due) != due) house_arm(l);
    return TURN_IDLE;
}

static void timer_fired(struct timer *t)
{
    struct house *h = container_of(t, struct house, timer);
    atomic_store(&h->due_us, INT64_MAX);
    kick(&h->worker);
}

static void timer_arm(struct post *po) /* on h->loop */
{
    struct house *h = container_of(po, struct house, arm);
    atomic_store(&h->arm_posted, false);
    int64_t due = atomic_load(&h->due_us);
    if (due == INT64_MAX) loop_timer_stop(h->loop, &h->timer);
    else loop_timer(h->loop, &h->timer, due);
}

void house_arm(struct logs *l)
{
    struct house *h = &l->house;
    if (!atomic_exchange(&h->arm_posted, true)) loop_post(h->loop, &h->arm);
}

void house_init(struct logs *l)
{
    struct house *h = &l->house;
    pthread_mutex_init(&h->mu, NULL);
    pthread_mutex_init(&h->checkpoint_mu, NULL);
    list_init(&h->plogs);
    list_init(&h->doomed);
    list_init(&h->unmade);
    list_init(&h->prefault);
    h->make_due_us = INT64_MAX;
    h->timer.fn = timer_fired;
    h->arm.fn = timer_arm;
    atomic_init(&h->flush_due_us, INT64_MAX);
    atomic_init(&h->due_us, INT64_MAX);
    atomic_init(&h->look_due_us, INT64_MAX);
}

int house_start(struct logs *l)
{
    struct house *h = &l->house;
    int64_t now = now_us(l);
    h->checkpoint_due_us = now + l->set.checkpoint_ms * 1000;
    h->expire_due_us = now + l->set.expire_check_ms * 1000;
    h->retain_due_us = now + MIN(l->set.retain_ms, 30000) * 1000; /* Kafka's first look is 30 s after the start */
    h->loop = loop_new(l->world, "storage");
    loop_start(h->loop);
    h->prefaulter = worker_start(l->world, "prefault", prefault_turn, l);
    atomic_store(&h->worker.w, worker_start(l->world, "house", house_turn, l));
    kick(&h->worker);
    return 0;
}

void house_stop(struct logs *l)
{
    struct house *h = &l->house;
    kick_stop(&h->worker);
    if (h->prefaulter) worker_stop(&h->prefaulter);
    if (h->loop) {
        loop_stop(h->loop);
        loop_join(h->loop);
        loop_free(&h->loop);
    }
    remove_due(l, true);
}

void house_free(struct logs *l)
{
    struct house *h = &l->house;
    struct list *n;
    while ((n = list_pop(&h->plogs))) {
        struct plog *p = container_of(n, struct plog, house_link);
        plog_unref(&p);
    }
    while ((n = list_pop(&h->unmade))) {
        struct plog *p = container_of(n, struct plog, make_link);
        plog_unref(&p);
    }
    while (h->look_at < h->look_n) plog_unref(&h->look[h->look_at++]);
    mem_free(h->look);
    while ((n = list_pop(&h->doomed))) {
        struct doomed *x = container_of(n, struct doomed, link);
        mem_free(x->path);
        mem_free(x);
    }
    pthread_mutex_destroy(&h->mu);
    pthread_mutex_destroy(&h->checkpoint_mu);
}
