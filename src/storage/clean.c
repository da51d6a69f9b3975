/* See clean.h.
 *
 * A swap, under plog.maint, in this order (each line durable before the next begins; J8, J10):
 *   .cleaned files complete         a crash leaves .cleaned: removed at the next open
 *   .cleaned -> .swap               from the last of these on the next open completes the swap
 *   [the segment list]              the new segment is read by its open files; who still reads an old one has its files pinned (seg_hold)
 *   sources' .log, .index, .timeindex -> .deleted
 *   .swap -> the final names        .txnindex last, over the old one
 *   sources' other files -> .deleted, removed after file.delete.delay.ms
 * An old .log goes before its .txnindex, so that no old file ever comes back without the list of what was aborted in it. */
#include "clean.h"
#include <math.h>

enum {
    TURN_BYTES = 1024 * 1024, /* read and written in one turn */
    BUFFER_MIN = 4096,
    MAP_MIN = 1024 * 1024
};
enum clean_phase { CLEAN_CHOOSE, CLEAN_PREPARE, CLEAN_INDEX, CLEAN_COPY };

struct clean_conf {
    bool enable;
    int64_t map_bytes, io_bytes, backoff_us;
    double load, rate; /* bytes per second; INFINITY: no throttle */
};

/* The segment being written. */
struct target {
    bool open;
    int64_t base;
    int fd;
    struct bytes out; /* not written yet */
    int64_t size;     /* bytes written, without out */
    struct sgauge gauge;
    struct bytes off, time, txn; /* index files as they will be */
    bool has_txn;
};

struct cleaner {
    struct logs *logs;
    pthread_mutex_t mu; /* worker, conf */
    struct worker *worker;
    struct clean_conf conf;
    _Atomic bool stopping;
    struct timer timer; /* on the house's loop */
    struct post arm;
    _Atomic bool arm_posted;
    _Atomic int64_t due_us;

    pthread_mutex_t turn_mu; /* one turn at a time: the worker's, or one that logs_clean makes. All below */
    enum clean_phase phase;
    int64_t look_us; /* nothing to choose before */
    int64_t paid_us; /* throttle: what was moved is paid for by then */
    bool no_space_told;
    bool turn_over; /* enough for this turn */

    struct clean_conf now;     /* of this clean */
    struct plog *log;          /* one reference */
    struct topic_conf topic;   /* of log, as the clean began */
    int64_t now_ms;            /* when it began: what delete horizons are judged by */
    int64_t from, upper;       /* dirty part [from, upper); upper is a segment's base */
    int64_t to;                /* end of what the map covers */
    int64_t legacy_horizon_ms; /* tombstones of magic 0 and 1 in segments modified before may go */
    struct segment **segs;     /* all below upper, with references */
    int segs_n, at;            /* the one that is read */
    int group, group_end;      /* CLEAN_COPY: [group, group_end) become one */
    bool reading;              /* segs[at] is pinned and walked */
    struct walk walk;
    struct clean_map map;
    struct clean_txns txns;
    struct clean_filter filter;
    struct clean_stats stats;
    struct target target;
    int names; /* in a swap: the log's directory, open */
    int64_t segments_made, began_us;
};

/* ---- settings ----------------------------------------------------------------------------------------------------------------------- */

static void read_conf(const struct conf *c, struct clean_conf *out)
{
    *out = (struct clean_conf){ .enable = conf_bool(c, CONF_LOG_CLEANER_ENABLE) && conf_i64(c, CONF_LOG_CLEANER_THREADS) > 0,
                                .map_bytes = MAX(conf_i64(c, CONF_LOG_CLEANER_DEDUPE_BUFFER_SIZE), MAP_MIN),
                                .io_bytes = MAX(conf_i64(c, CONF_LOG_CLEANER_IO_BUFFER_SIZE) / 2, BUFFER_MIN),
                                .backoff_us = MIN(MAX(conf_i64(c, CONF_LOG_CLEANER_BACKOFF_MS), 1), INT64_MAX / 4000) * 1000,
                                .load = conf_f64(c, CONF_LOG_CLEANER_IO_BUFFER_LOAD_FACTOR),
                                .rate = conf_f64(c, CONF_LOG_CLEANER_IO_MAX_BYTES_PER_SECOND) };
    if (!(out->rate > 0) || out->rate > 1e15) out->rate = INFINITY;
}

void logs_reconfigure(struct logs *l, const struct conf *conf)
{
    struct cleaner *c = l->cleaner;
    struct clean_conf now;
    read_conf(conf, &now);
    pthread_mutex_lock(&c->mu);
    now.enable = c->conf.enable; /* read-only */
    c->conf = now;
    if (c->worker) worker_kick(c->worker);
    pthread_mutex_unlock(&c->mu);
}

/* ---- what a log needs ---------------------------------------------------------------------------------------------------------------- */

struct dirt {
    int64_t from, upper, bytes, clean_bytes;
    double ratio;
    bool overdue; /* by max.compaction.lag.ms */
    bool cold;    /* judged without the last stable offset: open it and judge again */
};

static bool is_metadata(const struct plog *p) { return slice_eq(slice_of(p->topic), S("__cluster_metadata")); }

/* The cleaned offset as the checkpoint of the last run has it. Under mu. */
static int64_t known_from(struct plog *p)
{
    if (p->dirty_from == -1) {
        int64_t at = checkpoint_find(p->dir->cleaner, p->dir->cleaner_n, slice_of(p->topic), p->partition);
        p->dirty_from = at >= 0 ? at : -2;
    }
    return p->dirty_from;
}

/* Reads the timestamp of the segment's first batch where it is not known. */
static int64_t first_timestamp(struct segment *s)
{
    struct plog *p = s->log;
    pthread_mutex_lock(&p->mu);
    bool known = s->gauge.has_first;
    int64_t ts = s->gauge.first_ts;
    uint32_t size = s->size;
    pthread_mutex_unlock(&p->mu);
    if (known || size == 0) return known ? ts : NO_TIMESTAMP;
    int fd = seg_pin(s, false);
    if (fd < 0) return NO_TIMESTAMP;
    uint8_t buf[128];
    struct walk w;
    struct batch_head h;
    walk_begin(&w, p->logs->fs, fd, 0, size, buf, sizeof(buf));
    if (walk_peek(&w, &h, NULL) == 1) {
        pthread_mutex_lock(&p->mu);
        s->gauge.has_first = true;
        ts = s->gauge.first_ts = h.max_timestamp;
        pthread_mutex_unlock(&p->mu);
    }
    walk_end(&w);
    seg_unpin(s);
    return ts;
}

/* Looks at the sealed segments from `from` on: *limit becomes the base of the first that is too young (min.compaction.lag.ms), *oldest the
 * smallest timestamp that one of them begins with (max.compaction.lag.ms). */
static int judge_ages(struct plog *p, const struct topic_conf *conf, int64_t from, int64_t now, int64_t *limit, int64_t *oldest)
{
    bool young = conf->min_compaction_lag_ms > 0, old = conf->max_compaction_lag_ms < INT64_MAX;
    *oldest = INT64_MAX;
    while (young || old) {
        pthread_mutex_lock(&p->mu);
        int i = MAX(plog_seg_at(p, from), 0);
        bool more = i + 1 < p->segs_n;
        struct segment *s = more ? seg_ref(p->segs[i]) : NULL;
        from = more ? p->segs[i + 1]->base : from;
        pthread_mutex_unlock(&p->mu);
        if (!s) return 0;
        int rc = 0;
        if (young && (rc = seg_load(s)) == 0) {
            pthread_mutex_lock(&p->mu);
            int64_t newest = s->gauge.max_ts >= 0 ? s->gauge.max_ts : s->mtime_ms;
            pthread_mutex_unlock(&p->mu);
            if (newest > now - conf->min_compaction_lag_ms) {
                *limit = MIN(*limit, s->base);
                young = false;
            }
        }
        if (old) {
            int64_t ts = first_timestamp(s);
            if (ts > 0) *oldest = MIN(*oldest, ts);
        }
        seg_unref(&s);
        if (rc < 0) return rc;
    }
    return 0;
}

/* Whether there is anything to clean in p, and how much. */
static bool measure(struct plog *p, struct dirt *d)
{
    int64_t now = now_ms(p->logs);
    *d = (struct dirt){ 0 };
    pthread_mutex_lock(&p->mu);
    bool candidate = p->conf.cleanup_compact && !p->gone && !p->offline && !p->uncleanable && p->segs_n > 1;
    struct topic_conf conf = p->conf;
    int64_t from = candidate ? known_from(p) : 0, start = p->start;
    if (from == -2) from = start;
    if (candidate && from < start) { /* deleted meanwhile: nothing to say, when that is the policy */
        if (!conf.cleanup_delete && from >= 0)
            log_debug("storage", "cleaned offset lies below the log start", KV_STR("log", p->name), KV_I64("offset", from));
        p->dirty_from = from = start;
    } else if (candidate && from > p->end) {
        log_warn("storage", "cleaned offset lies beyond the end of the log, all of it is looked at again", KV_STR("log", p->name),
                 KV_I64("offset", from), KV_I64("end", p->end));
        p->dirty_from = from = start;
    }
    int64_t limit = candidate ? MIN(p->stable, plog_active(p)->base) : 0, oldest;
    d->cold = !p->warm;
    pthread_mutex_unlock(&p->mu);
    if (!candidate || dir_failed(p->dir)) return false;
    if (judge_ages(p, &conf, from, now, &limit, &oldest) < 0) return false;
    d->overdue = conf.max_compaction_lag_ms < INT64_MAX && oldest < now - conf.max_compaction_lag_ms;

    limit = MAX(limit, from);
    pthread_mutex_lock(&p->mu);
    int at = MIN(plog_seg_at(p, limit), p->segs_n - 1), first = MAX(plog_seg_at(p, from), 0);
    d->from = from;
    d->upper = p->segs[MAX(at, 0)]->base;
    for (int i = 0; i < p->segs_n && p->segs[i]->base < from; i++) d->clean_bytes += p->segs[i]->size;
    if (from < d->upper)
        for (int i = first; i < at; i++) d->bytes += p->segs[i]->size;
    pthread_mutex_unlock(&p->mu);
    if (d->bytes == 0) return false;
    d->ratio = (double)d->bytes / (double)(d->bytes + d->clean_bytes);
    return d->overdue || d->ratio > conf.min_cleanable_dirty_ratio;
}

/* ---- the checkpoint ------------------------------------------------------------------------------------------------------------------- */

/* Writes cleaner-offset-checkpoint of a directory, as far as this run's logs are concerned; without `gone`. */
static int write_checkpoint(struct log_dir *d, const struct plog *gone)
{
    struct logs *l = d->logs;
    struct plog **v = NULL;
    struct checkpoint_entry *e = NULL;
    int n = 0, cap = 0, named = 0;
    if (dir_failed(d)) return E_OFFLINE;
    pthread_mutex_lock(&l->house.checkpoint_mu);
    pthread_mutex_lock(&l->mu);
    list_each (it, &l->all) {
        struct plog *p = container_of(it, struct plog, all_link);
        if (p->dir != d || p == gone) continue;
        if (n == cap) v = mem_realloc(v, (size_t)(cap = MAX(64, 2 * cap)) * sizeof(struct plog *));
        v[n++] = plog_ref(p);
    }
    pthread_mutex_unlock(&l->mu);
    if (n > 0) e = mem_alloc((size_t)n * sizeof(*e));
    for (int i = 0; i < n; i++) {
        pthread_mutex_lock(&v[i]->mu);
        int64_t at = v[i]->gone || is_metadata(v[i]) ? -2 : known_from(v[i]);
        pthread_mutex_unlock(&v[i]->mu);
        if (at >= 0) e[named++] = (struct checkpoint_entry){ slice_of(v[i]->topic), v[i]->partition, at };
    }
    int rc = checkpoint_write(l->fs, d->path, CHECKPOINT_CLEANER, e, named);
    pthread_mutex_unlock(&l->house.checkpoint_mu);
    for (int i = 0; i < n; i++) plog_unref(&v[i]);
    mem_free(v);
    mem_free(e);
    return rc == 0 || err_passes(rc) ? rc : dir_fail(d, "checkpoint", d->path, rc);
}

void clean_forget(struct plog *p)
{
    pthread_mutex_lock(&p->mu);
    bool named = known_from(p) >= 0;
    pthread_mutex_unlock(&p->mu);
    if (named) write_checkpoint(p->dir, p);
}

/* ---- reading sources ---------------------------------------------------------------------------------------------------------------------- */

static bool log_lost(struct cleaner *c)
{
    pthread_mutex_lock(&c->log->mu);
    bool lost = c->log->gone || c->log->offline;
    pthread_mutex_unlock(&c->log->mu);
    return lost || dir_failed(c->log->dir);
}

/* What an operation on the log's own files failed with. */
static int io_failed(struct cleaner *c, const char *what, int neg)
{
    struct plog *p = c->log;
    int rc = err_of_errno(neg);
    if (plog_is_gone(p)) return E_GONE;
    if (err_passes(rc)) return rc;
    return dir_fail(p->dir, what, p->path, rc);
}

static int64_t index_bytes(const struct sidx *x, size_t entry) { return (int64_t)x->saved * (int64_t)entry + (int64_t)x->tail.n; }

static int64_t end_of(const struct cleaner *c, int i) { return i + 1 < c->segs_n ? c->segs[i + 1]->base : c->upper; }

static int read_begin(struct cleaner *c, int64_t from)
{
    struct segment *s = c->segs[c->at];
    uint32_t pos = 0;
    int rc = from > s->base ? seg_lookup(s, from, &pos) : 0;
    if (rc < 0) return rc;
    int fd = seg_pin(s, false);
    if (fd < 0) return fd == -ENOENT ? E_GONE : err_of_errno(fd);
    if (c->walk.buf)
        c->walk = (struct walk){
            .fs = c->logs->fs, .fd = fd, .at = pos, .limit = s->size, .buf = c->walk.buf, .cap = c->walk.cap, .own = true
        };
    else walk_begin(&c->walk, c->logs->fs, fd, pos, s->size, NULL, (size_t)c->now.io_bytes);
    c->reading = true;
    return 0;
}

static void read_end(struct cleaner *c)
{
    if (c->reading) seg_unpin(c->segs[c->at]);
    c->reading = false;
}

/* The next batch, whole and with a right checksum: 1, 0 at the end, or an error. */
static int read_batch(struct cleaner *c, struct batch_head *h, const uint8_t **whole)
{
    int rc = walk_peek(&c->walk, h, whole);
    if (rc == 1 && (rc = batch_verify(*whole, (size_t)h->size)) == 0) rc = 1;
    if (rc < 0 && rc != E_IO)
        log_error("storage", "damaged batch met by the cleaner", KV_STR("log", c->log->name),
                  KV_I64("segment", c->segs[c->at]->base), KV_I64("position", c->walk.at), KV_ERR(rc));
    return rc;
}

/* Aborted transactions that overlap [from, to), into the walk's state. */
static int add_aborted(struct cleaner *c, int64_t from, int64_t to)
{
    struct plog *p = c->log;
    struct arena a;
    arena_init(&a);
    struct txidx_found found = { .arena = &a };
    bool complete = false;
    int rc = 0;
    for (int64_t base = from; rc == 0 && !complete;) {
        char path[SEG_PATH];
        pthread_mutex_lock(&p->mu);
        int i = plog_seg_at(p, base);
        int64_t here = i >= 0 ? p->segs[i]->base : base;
        bool more = i + 1 < p->segs_n;
        if (more) base = p->segs[i + 1]->base;
        pthread_mutex_unlock(&p->mu);
        if (i >= 0) {
            seg_path_in(p->path, here, SEG_TXN, path);
            rc = txidx_collect(c->logs->fs, path, from, to, &found, &complete);
        }
        if (!more) break;
    }
    if (rc == 0) clean_txns_add(&c->txns, found.v, found.n);
    arena_free(&a);
    return rc;
}

/* ---- writing the new segment ------------------------------------------------------------------------------------------------------------ */

static const enum seg_file files[] = { SEG_LOG, SEG_OFF, SEG_TIME, SEG_TXN };

static void name_of(const struct cleaner *c, int64_t base, enum seg_file f, const char *suffix, char out[SEG_PATH + 16])
{
    char path[SEG_PATH];
    seg_path_in(c->log->path, base, f, path);
    snprintf(out, SEG_PATH + 16, "%s%s", path, suffix);
}

static int remove_files(struct cleaner *c, int64_t base, const char *suffix)
{
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[SEG_PATH + 16];
        name_of(c, base, files[i], suffix, path);
        int one = c->logs->fs->unlink(c->logs->fs, path);
        if (one < 0 && one != -ENOENT && rc == 0) rc = one;
    }
    return rc;
}

static int target_open(struct cleaner *c)
{
    struct target *t = &c->target;
    char path[SEG_PATH + 16];
    t->base = c->segs[c->group]->base;
    int rc = remove_files(c, t->base, ".cleaned"); /* of a clean that was given up */
    if (rc < 0) return io_failed(c, "cleaning", rc);
    name_of(c, t->base, SEG_LOG, ".cleaned", path);
    t->fd = c->logs->fs->open(c->logs->fs, path, FS_WRITE | FS_CREATE | FS_TRUNC);
    if (t->fd < 0) return io_failed(c, "cleaning", t->fd);
    t->open = true;
    t->size = 0;
    t->has_txn = false;
    t->out.n = t->off.n = t->time.n = t->txn.n = 0;
    t->gauge =
        (struct sgauge){ .max_ts = NO_TIMESTAMP, .max_ts_offset = t->base, .time_last = NO_TIMESTAMP, .first_ts = NO_TIMESTAMP };
    return 0;
}

static int target_flush(struct cleaner *c)
{
    struct target *t = &c->target;
    struct fs *fs = c->logs->fs;
    if (t->out.n == 0) return 0;
    struct iovec v = { t->out.p, t->out.n };
    int rc = fs->pwritev(fs, t->fd, &v, 1, t->size);
    if (rc < 0) return io_failed(c, "cleaning", rc);
    fs->writeback(fs, t->fd, t->size, (int64_t)t->out.n); /* so that the sync at the end finds little left */
    t->size += (int64_t)t->out.n;
    t->out.n = 0;
    return 0;
}

static int write_index(struct cleaner *c, enum seg_file f, const struct bytes *content)
{
    struct fs *fs = c->logs->fs;
    char path[SEG_PATH + 16];
    name_of(c, c->target.base, f, ".cleaned", path);
    int fd = fs->open(fs, path, FS_WRITE | FS_CREATE | FS_TRUNC);
    if (fd < 0) return io_failed(c, "cleaning", fd);
    struct iovec v = { content->p, content->n };
    int rc = content->n > 0 ? fs->pwritev(fs, fd, &v, 1, 0) : 0;
    if (rc == 0) rc = fs->datasync(fs, fd);
    int closed = fs->close(fs, fd);
    if (rc == 0) rc = closed;
    return rc < 0 ? io_failed(c, "cleaning", rc) : 0;
}

static int target_finish(struct cleaner *c)
{
    struct target *t = &c->target;
    struct fs *fs = c->logs->fs;
    int rc = target_flush(c);
    if (rc < 0) return rc;
    seg_note_close(t->base, &t->gauge, &t->time);
    rc = fs->datasync(fs, t->fd);
    int closed = fs->close(fs, t->fd);
    t->fd = -1;
    if (rc == 0) rc = closed;
    if (rc < 0) return io_failed(c, "cleaning", rc);
    for (int i = 0; i < c->txns.kept_n; i++) {
        txidx_encode(&c->txns.kept[i], bytes_room(&t->txn, TXIDX_ENTRY_SIZE));
        t->txn.n += TXIDX_ENTRY_SIZE;
    }
    t->has_txn = c->txns.kept_n > 0;
    c->txns.kept_n = 0;
    rc = write_index(c, SEG_OFF, &t->off);
    if (rc == 0) rc = write_index(c, SEG_TIME, &t->time);
    if (rc == 0 && t->has_txn) rc = write_index(c, SEG_TXN, &t->txn);
    if (rc == 0 && (rc = dir_sync(c->log->dir, c->log->path)) < 0)
        rc = log_lost(c)           ? E_GONE
             : dir_sync_passes(rc) ? err_of_errno(rc)
                                   : dir_fail(c->log->dir, "sync", c->log->path, rc); /* J6 */
    return rc;
}

/* ---- swapping ------------------------------------------------------------------------------------------------------------------------------ */

static int rename_from(struct cleaner *c, int64_t base, enum seg_file f, const char *was, const char *is)
{
    struct fs *fs = c->logs->fs;
    char from[SEG_PATH + 16], to[SEG_PATH + 16];
    name_of(c, base, f, was, from);
    name_of(c, base, f, is, to);
    return fs->rename(fs, from, to);
}

/* Are the sources still what the log consists of, and may they be touched (J10)? Under mu; *at is the first one's place. */
static bool sources_there(struct cleaner *c, int *at)
{
    struct plog *p = c->log;
    int n = c->group_end - c->group, i = plog_seg_at(p, c->segs[c->group]->base);
    if (p->gone || p->offline || i < 0 || i + n >= p->segs_n) return false;
    for (int k = 0; k < n; k++)
        if (p->segs[i + k] != c->segs[c->group + k]) return false;
    *at = i;
    return p->recovery_point >= p->segs[i + n]->base;
}

/* The swap's syncs go by a descriptor that was there before it began: a swap cannot wait half way. 0 or -errno. */
static int swap_sync(struct cleaner *c) { return c->logs->fs->sync_names(c->logs->fs, c->names); }

/* .cleaned -> .swap, durably: 0 or -errno. E_NO_SPACE: there was no room for a name, everything is taken back. */
static int swap_promise(struct cleaner *c)
{
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(files) && rc == 0; i++)
        if (files[i] != SEG_TXN || c->target.has_txn) rc = rename_from(c, c->target.base, files[i], ".cleaned", ".swap");
    bool full = rc == -ENOSPC || rc == -EDQUOT;
    if (full) rc = remove_files(c, c->target.base, ".swap");
    if (rc == 0) rc = swap_sync(c);
    return rc == 0 && full ? E_NO_SPACE : rc;
}

/* Old files make room and the new ones get their names. */
static int swap_files(struct cleaner *c)
{
    int rc = 0;
    for (int k = c->group; k < c->group_end && rc == 0; k++)
        for (enum seg_file f = SEG_LOG; f <= SEG_TIME && rc == 0; f++) {
            rc = rename_from(c, c->segs[k]->base, f, "", ".deleted");
            if (rc == -ENOENT && f != SEG_LOG) rc = 0; /* an index that was in memory only */
        }
    if (rc == 0) rc = swap_sync(c);
    for (size_t i = 0; i < ARRAY_LEN(files) && rc == 0; i++)
        if (files[i] != SEG_TXN || c->target.has_txn) rc = rename_from(c, c->target.base, files[i], ".swap", "");
    return rc < 0 ? rc : swap_sync(c);
}

static struct segment *new_segment(struct cleaner *c)
{
    struct target *t = &c->target;
    struct segment *s = seg_new(c->log, t->base), *last = c->segs[c->group_end - 1];
    s->size = (uint32_t)t->size;
    s->gauge = t->gauge;
    s->off.saved = (uint32_t)(t->off.n / OFF_ENTRY);
    s->time.saved = (uint32_t)(t->time.n / TIME_ENTRY);
    s->created_ms = s->mtime_ms = last->mtime_ms; /* as old as what is in it */
    s->loaded = s->sealed = s->saved = true;
    return s;
}

/* Sources that somebody besides the log and us refers to keep their files: 0, or -errno. Nobody new comes to them once they are off the list. */
static int hold_sources(struct cleaner *c, bool *all)
{
    int rc = 0;
    *all = true;
    for (int k = c->group; k < c->group_end && rc == 0; k++) {
        struct segment *s = c->segs[k];
        if (s->held || atomic_load_explicit(&s->refs, memory_order_acquire) <= 2) continue;
        *all = false;
        rc = seg_hold(s, "");
    }
    return rc;
}

/* Puts s in the place of the group, under mu; false: somebody came to a source meanwhile, hold it first. */
static bool swap_list(struct cleaner *c, struct segment *s)
{
    struct plog *p = c->log;
    int n = c->group_end - c->group, at = plog_seg_at(p, c->segs[c->group]->base);
    for (int k = c->group; k < c->group_end; k++)
        if (!c->segs[k]->held && atomic_load_explicit(&c->segs[k]->refs, memory_order_acquire) > 2) return false;
    int64_t next = p->segs[at + n]->base;
    for (int k = 0; k < n; k++) p->segs[at + k]->deleted = true;
    p->segs[at] = s;
    p->segs_n -= n - 1;
    memmove(p->segs + at + 1, p->segs + at + n, (size_t)(p->segs_n - at - 1) * sizeof(struct segment *));
    p->generation++;
    if (p->mark_base < next) { /* the watermark was the end of a segment that is no more, so it is the next one's begin */
        p->mark_base = next;
        p->mark_at = 0;
    }
    return true;
}

/* Nothing came of it: every name is as it was. */
static int swap_refused(struct cleaner *c, struct segment **s, int rc)
{
    for (int k = c->group; k < c->group_end; k++) seg_unhold(c->segs[k]);
    if (*s) { /* the promise stands */
        int back = remove_files(c, c->target.base, ".swap");
        if (back == 0) back = swap_sync(c);
        seg_unref(s);
        if (back < 0) return dir_fail(c->log->dir, "swap of a cleaned segment", c->log->path, back);
    }
    return rc;
}

/* What is left of the sources goes: files (unless the swap got stuck) and references. 0 or -errno. */
static int retire_sources(struct cleaner *c, bool swapped)
{
    struct plog *p = c->log;
    int rc = 0;
    pthread_mutex_lock(&p->mu);
    int64_t newest = p->newest_snapshot, delay = p->conf.file_delete_delay_ms;
    pthread_mutex_unlock(&p->mu);
    for (int k = c->group; k < c->group_end; k++) {
        struct segment *old = c->segs[k];
        bool txn = k > c->group || !c->target.has_txn; /* else it was replaced */
        bool snapshot =
            k > c->group && old->base != newest; /* none without a segment, but the newest, as Kafka's start keeps them */
        if (swapped) {
            char prefix[SEG_PATH];
            int one = txn ? rename_from(c, old->base, SEG_TXN, "", ".deleted") : 0;
            if (one < 0 && one != -ENOENT) rc = one;
            one = snapshot ? rename_from(c, old->base, SEG_SNAPSHOT, "", ".deleted") : 0;
            if (one < 0 && one != -ENOENT) rc = one;
            snprintf(prefix, sizeof(prefix), "%s/%020lld", p->path, (long long)old->base);
            house_doom(p->dir, prefix, false, delay);
        }
        seg_unref(&old); /* the list's reference, and ours */
        seg_unref(&c->segs[k]);
    }
    return rc;
}

static int do_swap(struct cleaner *c)
{
    struct plog *p = c->log;
    struct target *t = &c->target;
    struct segment *s = NULL;
    bool done = false, all;
    int at, rc;
    pthread_mutex_lock(&p->mu);
    bool there = sources_there(c, &at);
    pthread_mutex_unlock(&p->mu);
    if (!there) return E_GONE;
    rc = swap_promise(c);
    if (rc == E_NO_SPACE) return rc;
    if (rc < 0) return dir_fail(p->dir, "swap of a cleaned segment", p->path, rc);

    for (int k = c->group; k < c->group_end; k++) cool_forget(p, c->segs[k]);
    s = new_segment(c);
    rc = seg_hold(s, ".swap"); /* it is read before it has its name */
    while (rc >= 0 && !done) {
        if ((rc = hold_sources(c, &all)) < 0) break;
        pthread_mutex_lock(&p->mu);
        done = swap_list(c, s);
        pthread_mutex_unlock(&p->mu);
    }
    if (rc < 0) return swap_refused(c, &s, io_failed(c, "cleaning", rc));
    rc = swap_files(c);
    if (rc == 0) seg_unhold(s);
    int last = retire_sources(c, rc == 0);
    if (rc == 0) rc = last;
    if (rc == 0) rc = swap_sync(c);
    if (rc < 0) return dir_fail(p->dir, "swap of a cleaned segment", p->path, rc);
    t->open = false;
    c->segments_made++;
    return 0;
}

/* Replaces the group by the target. Under maint. */
static int swap(struct cleaner *c)
{
    struct plog *p = c->log;
    if (plog_is_gone(p)) return E_GONE;
    c->names = dir_open(p->dir, p->path, FS_DIR);
    if (c->names < 0) return io_failed(c, "cleaning", c->names);
    int rc = do_swap(c);
    c->logs->fs->close(c->logs->fs, c->names);
    return rc;
}

/* ---- the phases ------------------------------------------------------------------------------------------------------------------------------ */

static struct clean_producer producer_of(void *arg, int64_t id)
{
    struct plog *p = arg;
    struct pstate_view v;
    pthread_mutex_lock(&p->mu);
    bool known = pstate_find(&p->ps, id, &v);
    pthread_mutex_unlock(&p->mu);
    if (!known) return (struct clean_producer){ .known = false };
    return (struct clean_producer){ .known = true, .epoch = v.epoch, .last_offset = v.last_offset };
}

/* Forgets the clean; what it had written and not swapped in goes. */
static void clean_drop(struct cleaner *c)
{
    struct target *t = &c->target;
    read_end(c);
    walk_end(&c->walk);
    if (t->open) {
        if (t->fd >= 0) c->logs->fs->close(c->logs->fs, t->fd);
        if (!dir_failed(c->log->dir)) remove_files(c, t->base, ".cleaned"); /* else the next open does */
    }
    bytes_free(&t->out);
    bytes_free(&t->off);
    bytes_free(&t->time);
    bytes_free(&t->txn);
    *t = (struct target){ .fd = -1 };
    clean_map_free(&c->map);
    clean_txns_free(&c->txns);
    clean_filter_free(&c->filter);
    c->filter = (struct clean_filter){ 0 };
    c->walk = (struct walk){ 0 };
    for (int i = 0; i < c->segs_n; i++) seg_unref(&c->segs[i]);
    mem_free(c->segs);
    c->segs = NULL;
    c->segs_n = 0;
    if (c->log) plog_unref(&c->log);
    c->phase = CLEAN_CHOOSE;
    batch_trim(); /* codecs are not needed for a while */
}

/* The clean came to nothing. */
static void clean_failed(struct cleaner *c, int rc)
{
    struct plog *p = c->log;
    rc = plog_read_failed(p, rc);
    bool quiet = rc == E_GONE || rc == E_OFFLINE || rc == E_CLOSING || dir_failed(p->dir);
    if (err_passes(rc)) {
        if (!c->no_space_told) log_warn("storage", "no room to clean, trying again later", KV_STR("log", p->name), KV_ERR(rc));
        c->no_space_told = true;
    } else if (!quiet) {
        log_error("storage", "log cannot be cleaned, it is left as it is for the rest of this run", KV_STR("log", p->name),
                  KV_ERR(rc));
        pthread_mutex_lock(&p->mu);
        p->uncleanable = true;
        pthread_mutex_unlock(&p->mu);
    }
    c->look_us = now_us(c->logs) + c->now.backoff_us;
    clean_drop(c);
}

static bool compacted(struct plog *p)
{
    pthread_mutex_lock(&p->mu);
    bool is = p->conf.cleanup_compact && !p->gone && !p->offline;
    pthread_mutex_unlock(&p->mu);
    return is;
}

static bool choose(struct cleaner *c)
{
    struct logs *l = c->logs;
    struct plog **v = NULL, *best = NULL;
    struct dirt most = { 0 };
    int n = 0, cap = 0;
    pthread_mutex_lock(&l->mu);
    list_each (it, &l->all) {
        struct plog *p = container_of(it, struct plog, all_link);
        if (is_metadata(p)) continue;
        if (n == cap) v = mem_realloc(v, (size_t)(cap = MAX(64, 2 * cap)) * sizeof(struct plog *));
        v[n++] = plog_ref(p);
    }
    pthread_mutex_unlock(&l->mu);
    for (int i = 0; i < n; i++) {
        struct dirt d;
        bool want = !atomic_load(&c->stopping) && compacted(v[i]) && plog_list(v[i]) == 0 && measure(v[i], &d);
        if (want && d.cold) want = plog_warm(v[i]) == 0 && measure(v[i], &d);
        if (want && (!best || d.ratio > most.ratio)) {
            best = v[i];
            most = d;
        }
    }
    if (best) {
        c->log = plog_ref(best);
        c->from = most.from;
        c->upper = most.upper;
        pthread_mutex_lock(&best->mu);
        c->topic = best->conf;
        pthread_mutex_unlock(&best->mu);
        pthread_mutex_lock(&c->mu);
        c->now = c->conf;
        pthread_mutex_unlock(&c->mu);
        c->phase = CLEAN_PREPARE;
        c->began_us = now_us(l);
    }
    for (int i = 0; i < n; i++) plog_unref(&v[i]);
    mem_free(v);
    return best;
}

/* What will be replaced is synced, indexed and below R on disk (J10). */
static int secure(struct cleaner *c)
{
    struct plog *p = c->log;
    pthread_mutex_lock(&p->mu);
    bool on_disk = p->recovery_point >= c->upper;
    pthread_mutex_unlock(&p->mu);
    if (on_disk) return 0;
    int rc = plog_wait_durable(p, c->upper);
    if (rc < 0) return rc;
    pthread_mutex_lock(&p->maint);
    rc = plog_seal(p);
    pthread_mutex_unlock(&p->maint);
    if (rc == 0) rc = house_checkpoint_dir(p->dir);
    if (rc < 0) return rc;
    pthread_mutex_lock(&p->mu);
    on_disk = p->recovery_point >= c->upper;
    pthread_mutex_unlock(&p->mu);
    return on_disk ? 0 : E_GONE;
}

static int prepare(struct cleaner *c)
{
    struct plog *p = c->log;
    int rc = secure(c);
    if (rc < 0) return rc;
    pthread_mutex_lock(&p->mu);
    int n = 0;
    while (n + 1 < p->segs_n && p->segs[n]->base < c->upper) n++;
    c->segs = mem_alloc((size_t)MAX(n, 1) * sizeof(struct segment *));
    for (c->segs_n = 0; c->segs_n < n; c->segs_n++) c->segs[c->segs_n] = seg_ref(p->segs[c->segs_n]);
    bool whole = n > 0 && p->segs[n]->base == c->upper;
    pthread_mutex_unlock(&p->mu);
    if (!whole) return E_GONE; /* retention was here meanwhile */

    c->now_ms = now_ms(c->logs);
    c->legacy_horizon_ms = 0;
    c->at = 0;
    for (int i = 0; i < n; i++) {
        if (c->segs[i]->base < c->from)
            c->legacy_horizon_ms = c->segs[i]->mtime_ms - MIN(c->topic.delete_retention_ms, INT64_MAX / 2);
        if (c->segs[i]->base <= c->from) c->at = i;
    }
    c->stats = (struct clean_stats){ 0 };
    c->segments_made = 0;
    c->to = -1;
    clean_map_init(&c->map, c->now.map_bytes, c->now.load, c->logs->world->rnd);
    rc = add_aborted(c, c->from, c->upper);
    if (rc < 0) return rc;
    c->phase = CLEAN_INDEX;
    return 0;
}

static int index_done(struct cleaner *c)
{
    read_end(c);
    clean_txns_free(&c->txns);
    int rc = add_aborted(c, c->segs[0]->base, c->upper); /* now from the log's first segment on */
    if (rc < 0) return rc;
    c->to = c->map.latest + 1;
    c->group = c->group_end = 0;
    c->filter.map = &c->map;
    c->filter.txns = &c->txns;
    c->filter.now_ms = c->now_ms;
    c->filter.delete_retention_ms = c->topic.delete_retention_ms;
    c->filter.upper = c->upper;
    c->filter.producer = producer_of;
    c->filter.arg = c->log;
    c->filter.stats = &c->stats;
    c->phase = CLEAN_COPY;
    return 0;
}

/* One batch, or one segment's end. *moved: bytes read. */
static int index_step(struct cleaner *c, int64_t *moved)
{
    struct batch_head h;
    const uint8_t *whole;
    int rc = 0;
    if (c->at == c->segs_n) return index_done(c);
    if (!c->reading && (rc = read_begin(c, c->from)) < 0) return rc;
    rc = read_batch(c, &h, &whole);
    if (rc < 0) return rc;
    if (rc == 0) { /* what compaction took from its end is looked at, too */
        c->map.latest = end_of(c, c->at) - 1;
        read_end(c);
        c->at++;
        return 0;
    }
    rc = clean_index(&c->map, &c->txns, whole, &h, c->from, &c->filter.scratch, &c->stats);
    if (rc < 0) return rc;
    *moved += h.size;
    c->stats.map_bytes += h.size;
    walk_skip(&c->walk, &h);
    return rc == 0 ? index_done(c) : 0;
}

/* The segments from c->group on that become one: as many as fit the segment's limits. */
static int form_group(struct cleaner *c)
{
    struct plog *p = c->log;
    int64_t size = 0, off = 0, time = 0;
    int i = c->group, n = c->group;
    while (n < c->segs_n && c->segs[n]->base < c->to) n++; /* what the map reaches */
    for (; i < n; i++) {
        struct segment *s = c->segs[i];
        int rc = seg_load(s);
        if (rc < 0) return rc;
        pthread_mutex_lock(&p->mu);
        int64_t s_size = s->size, s_off = index_bytes(&s->off, OFF_ENTRY), s_time = index_bytes(&s->time, TIME_ENTRY);
        pthread_mutex_unlock(&p->mu);
        int64_t last = (i + 1 < n ? c->segs[i + 1]->base : c->upper) - 1;
        if (i > c->group &&
            (size + s_size > c->topic.segment_bytes || off + s_off > c->topic.segment_index_bytes ||
             time + s_time > c->topic.segment_index_bytes || (s_size != 0 && last - c->segs[c->group]->base > INT32_MAX)))
            break;
        size += s_size;
        off += s_off;
        time += s_time;
    }
    c->group_end = i;
    c->at = c->group;
    return 0;
}

static void cleaned(struct cleaner *c)
{
    struct plog *p = c->log;
    const struct clean_stats *st = &c->stats;
    pthread_mutex_lock(&p->mu);
    p->dirty_from = c->to;
    pthread_mutex_unlock(&p->mu);
    int rc = write_checkpoint(p->dir, NULL);
    if (rc < 0) log_warn("storage", "cleaned offset not noted, some will be cleaned again", KV_STR("log", p->name), KV_ERR(rc));
    if (st->invalid > 0)
        log_warn("storage", "records without a key were removed from a compacted log", KV_STR("log", p->name),
                 KV_I64("records", st->invalid));
    log_info("storage", "log cleaned", KV_STR("log", p->name), KV_I64("from", c->from), KV_I64("to", c->to),
             KV_I64("bytes", st->read_bytes), KV_I64("records", st->read_records), KV_I64("left_bytes", st->kept_bytes),
             KV_I64("left_records", st->kept_records), KV_I64("segments", c->segments_made), KV_I64("keys", c->map.size),
             KV_I64("map_bytes", clean_map_memory(&c->map)), KV_I64("ms", (now_us(c->logs) - c->began_us) / 1000));
    c->no_space_told = false;
    clean_drop(c);
}

/* One batch, one segment's end, or a swap. */
static int copy_step(struct cleaner *c, int64_t *moved)
{
    struct target *t = &c->target;
    struct batch_head h;
    const uint8_t *whole;
    int rc;
    if (!t->open) {
        if (c->group == c->segs_n || c->segs[c->group]->base >= c->to) {
            cleaned(c);
            return 0;
        }
        rc = form_group(c);
        return rc < 0 ? rc : target_open(c);
    }
    if (c->at == c->group_end) {
        rc = target_finish(c);
        if (rc < 0) return rc;
        pthread_mutex_lock(&c->log->maint);
        rc = swap(c);
        pthread_mutex_unlock(&c->log->maint);
        c->group = c->group_end;
        c->turn_over = true;
        return rc;
    }
    if (!c->reading) {
        struct segment *s = c->segs[c->at];
        rc = read_begin(c, s->base);
        if (rc < 0) return rc;
        c->filter.legacy_keep = s->mtime_ms > c->legacy_horizon_ms;
    }
    rc = read_batch(c, &h, &whole);
    if (rc < 0) return rc;
    if (rc == 0) {
        read_end(c);
        c->at++;
        return 0;
    }
    size_t was = t->out.n;
    rc = clean_batch(&c->filter, whole, &h, &t->out);
    if (rc < 0) return rc;
    walk_skip(&c->walk, &h);
    *moved += h.size;
    if (t->out.n == was) return 0;
    *moved += (int64_t)(t->out.n - was);
    if (batch_parse_head(t->out.p + was, t->out.n - was, &h) < 0) return E_INVALID; /* we wrote it */
    int64_t last = batch_last_offset(&h), at = t->size + (int64_t)was;
    if (last - t->base > INT32_MAX || h.base_offset < t->base || at + h.size > INT32_MAX) return E_INVALID;
    seg_note(t->base, (uint32_t)c->topic.index_interval_bytes, &t->gauge, last, (uint32_t)at, (uint32_t)h.size, h.max_timestamp,
             &t->off, &t->time);
    return t->out.n >= (size_t)c->now.io_bytes ? target_flush(c) : 0;
}

/* ---- turns --------------------------------------------------------------------------------------------------------------------------------------- */

static int64_t turn_budget(const struct cleaner *c)
{
    return c->now.rate / 10 < TURN_BYTES ? (int64_t)(c->now.rate / 10) : TURN_BYTES;
}

/* A bounded piece of what is under way: bytes moved; or −1: nothing to do before c->look_us. */
static int64_t turn(struct cleaner *c)
{
    int64_t moved = 0;
    int rc = 0;
    if (c->phase == CLEAN_CHOOSE) {
        if (choose(c)) return 0;
        pthread_mutex_lock(&c->mu);
        c->look_us = now_us(c->logs) + c->conf.backoff_us;
        pthread_mutex_unlock(&c->mu);
        return -1;
    }
    if (log_lost(c)) rc = E_GONE;
    else if (c->phase == CLEAN_PREPARE) rc = prepare(c);
    else {
        int64_t budget = turn_budget(c);
        enum clean_phase phase = c->phase;
        c->turn_over = false;
        while (rc == 0 && c->phase == phase && !c->turn_over && moved <= budget &&
               !atomic_load_explicit(&c->stopping, memory_order_relaxed))
            rc = phase == CLEAN_INDEX ? index_step(c, &moved) : copy_step(c, &moved);
    }
    if (rc < 0) {
        clean_failed(c, rc);
        return -1;
    }
    return moved;
}

static void wait_until(struct cleaner *c, int64_t due_us)
{
    if (atomic_exchange(&c->due_us, due_us) != due_us && !atomic_exchange(&c->arm_posted, true))
        loop_post(c->logs->house.loop, &c->arm);
}

static enum turn clean_turn(void *arg)
{
    struct cleaner *c = arg;
    struct logs *l = c->logs;
    enum turn more = TURN_MORE;
    pthread_mutex_lock(&c->turn_mu);
    int64_t now = now_us(l);
    if (atomic_load(&c->stopping)) {
        clean_drop(c);
        more = TURN_IDLE;
    } else if (now < c->paid_us || (c->phase == CLEAN_CHOOSE && now < c->look_us)) {
        wait_until(c, MAX(c->paid_us, c->phase == CLEAN_CHOOSE ? c->look_us : 0));
        more = TURN_IDLE;
    } else {
        int64_t moved = turn(c);
        if (moved > 0 && c->now.rate < INFINITY) c->paid_us = now_us(l) + (int64_t)MIN((double)moved / c->now.rate * 1e6, 1e15);
    }
    pthread_mutex_unlock(&c->turn_mu);
    return more;
}

bool clean_once(struct logs *l)
{
    struct cleaner *c = l->cleaner;
    bool more = true;
    pthread_mutex_lock(&c->turn_mu);
    do more = !atomic_load(&c->stopping) && turn(c) >= 0;
    while (more && c->phase != CLEAN_CHOOSE);
    pthread_mutex_unlock(&c->turn_mu);
    return more;
}

void logs_clean(struct logs *l)
{
    while (clean_once(l)) {}
}

/* ---- life ------------------------------------------------------------------------------------------------------------------------------------------ */

static void timer_fired(struct timer *t)
{
    struct cleaner *c = container_of(t, struct cleaner, timer);
    atomic_store(&c->due_us, INT64_MAX);
    pthread_mutex_lock(&c->mu);
    if (c->worker) worker_kick(c->worker);
    pthread_mutex_unlock(&c->mu);
}

static void timer_arm(struct post *po) /* on the house's loop */
{
    struct cleaner *c = container_of(po, struct cleaner, arm);
    atomic_store(&c->arm_posted, false);
    int64_t due = atomic_load(&c->due_us);
    if (due == INT64_MAX || atomic_load(&c->stopping)) loop_timer_stop(c->logs->house.loop, &c->timer);
    else loop_timer(c->logs->house.loop, &c->timer, due);
}

void clean_init(struct logs *l, const struct conf *conf)
{
    struct cleaner *c = l->cleaner = new (struct cleaner);
    c->logs = l;
    read_conf(conf, &c->conf);
    c->now = c->conf;
    pthread_mutex_init(&c->mu, NULL);
    pthread_mutex_init(&c->turn_mu, NULL);
    c->timer.fn = timer_fired;
    c->arm.fn = timer_arm;
    atomic_init(&c->due_us, INT64_MAX);
    c->target.fd = -1;
    c->map.latest = -1;
}

void clean_start(struct logs *l)
{
    struct cleaner *c = l->cleaner;
    for (int i = 0; i < l->dirs_n; i++) {
        struct log_dir *d = &l->dirs[i];
        struct why why = { "" };
        if (checkpoint_read(l->fs, d->path, CHECKPOINT_CLEANER, &d->arena, &d->cleaner, &d->cleaner_n, &why) < 0)
            log_warn("storage", "checkpoint not readable: compacted logs are cleaned from their start", KV_STR("dir", d->path),
                     KV_STR("why", why.text));
    }
    if (!c->conf.enable) return;
    pthread_mutex_lock(&c->mu);
    c->worker = worker_start(l->world, "clean", clean_turn, c);
    worker_kick(c->worker);
    pthread_mutex_unlock(&c->mu);
}

void clean_stop(struct logs *l)
{
    struct cleaner *c = l->cleaner;
    atomic_store(&c->stopping, true);
    pthread_mutex_lock(&c->mu);
    struct worker *w = c->worker;
    c->worker = NULL; /* the timer finds nobody */
    pthread_mutex_unlock(&c->mu);
    if (w) worker_stop(&w);
    pthread_mutex_lock(&c->turn_mu);
    clean_drop(c); /* what logs_clean left, without a worker */
    pthread_mutex_unlock(&c->turn_mu);
}

void clean_free(struct logs *l)
{
    struct cleaner *c = l->cleaner;
    l->cleaner = NULL;
    if (!c) return;
    pthread_mutex_destroy(&c->mu);
    pthread_mutex_destroy(&c->turn_mu);
    mem_free(c);
}
