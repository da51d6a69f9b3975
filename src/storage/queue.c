/* The append queue: many stage, one writes (DESIGN.md §3.2).
 *
 * plog_append stages at home; in PHASE_APPEND what a turn staged is linked into the log's queue, and if nobody owns the queue this loop does: it
 * takes all that is linked, gives offsets, writes with one pwritev, publishes, and looks again, a few rounds. Who finds it owned leaves: the
 * owner drains for all. What would hold a loop up (more than 256 KiB, a log not opened yet, a directory with too much unsynced) is handed, with
 * the ownership, to the directory's write worker.
 *
 *   FREE -> RUNNING   node_phase, queue_own        RUNNING -> FREE     drain, when nothing is linked
 *   RUNNING -> HANDED drain                        HANDED -> RUNNING   writer_turn, queue_own
 *
 * A run is what one pwritev writes. Offsets, producer state, and index entries are worked out on the side and published in one critical section
 * after the write; when the write fails they are taken back, the file is cut to its published size (J11), and every append of the run hears it. */
#include "internal.h"
#include "txidx.h"

enum { RUN_TXNS = 16 };

struct run {
    struct plog *log;
    struct topic_conf conf; /* as of the run's begin */
    int32_t epoch;
    struct segment *seg; /* borrowed: the owner alone replaces the active segment */
    uint32_t at, n;      /* file position and bytes */
    struct sgauge gauge;
    int64_t records;
    int64_t start; /* log start */
    int iov_n, dups_n, txns_n;
    bool has_producers;
    struct iovec iov[RUN_MAX_APPENDS];
    struct append *good[RUN_MAX_APPENDS], *dups[RUN_MAX_APPENDS]; /* a duplicate shares the fate of its first copy */
    struct txidx_entry txns[RUN_TXNS];                            /* aborted here */
};

static void finish(struct append *a, int err)
{
    struct waker *home = a->home; /* a may be gone as soon as it is done */
    ticket who = a->who;
    a->err = err;
    atomic_store_explicit(&a->done, true, memory_order_release);
    if (home) waker_poke(home, who);
}

static void run_begin(struct run *r, struct plog *p)
{
    r->log = p;
    r->n = 0;
    r->records = 0;
    r->iov_n = r->dups_n = r->txns_n = 0;
    r->has_producers = false;
    p->pend_off.n = p->pend_time.n = 0;
    pthread_mutex_lock(&p->mu);
    r->conf = p->conf;
    r->epoch = p->leader_epoch;
    r->seg = plog_active(p);
    r->at = r->seg->size;
    r->gauge = r->seg->gauge;
    r->start = p->start;
    p->next = p->end;
    pthread_mutex_unlock(&p->mu);
}

/* ---- what an append holds ----------------------------------------------------------------------------------------------------------- */

struct facts {
    int64_t offsets; /* how many it takes */
    int64_t max_ts;
};

static int measure(const struct append *a, struct facts *f)
{
    *f = (struct facts){ .max_ts = NO_TIMESTAMP };
    if (a->n == 0 || a->n > INT32_MAX) return E_CORRUPT_MESSAGE;
    for (size_t at = 0; at < a->n;) {
        struct batch_head h;
        if (batch_parse_head(a->bytes + at, a->n - at, &h) != 0 || (size_t)h.size > a->n - at || h.magic != 2 ||
            h.last_offset_delta < 0)
            return E_CORRUPT_MESSAGE;
        f->offsets += (int64_t)h.last_offset_delta + 1;
        f->max_ts = MAX(f->max_ts, h.max_timestamp);
        at += (size_t)h.size;
    }
    return 0;
}

/* A control batch's marker, for the producer state. */
static void marker_of(const uint8_t *p, const struct batch_head *h, struct pstate_batch *b)
{
    struct bytes scratch = { 0 };
    struct record_iter it;
    struct record rec;
    if (record_iter_init(&it, p, (size_t)h->size, &scratch, 0) == 0 && record_next(&it, &rec) == 1) {
        int type = control_type_of(&rec);
        if (type == CONTROL_ABORT || type == CONTROL_COMMIT) {
            b->marker = type == CONTROL_ABORT ? PSTATE_ABORT : PSTATE_COMMIT;
            b->max_timestamp = rec.timestamp;
            if (control_coordinator_epoch(&rec, &b->coordinator_epoch) != 0) b->marker = PSTATE_NO_MARKER;
        }
    }
    record_iter_end(&it);
    bytes_free(&scratch);
}

void pbatch_of(const uint8_t *whole, const struct batch_head *h, int64_t first, struct pstate_batch *b)
{
    *b = (struct pstate_batch){ .producer_id = h->producer_id,
                                .epoch = h->producer_epoch,
                                .transactional = batch_is_transactional(h),
                                .control = batch_is_control(h),
                                .base_sequence = h->base_sequence,
                                .last_sequence = batch_last_sequence(h),
                                .first_offset = first,
                                .last_offset = first + h->last_offset_delta,
                                .max_timestamp = h->max_timestamp,
                                .marker = PSTATE_NO_MARKER };
    if (b->control) marker_of(whole, h, b);
}

/* Gives a its offsets and takes it into the run: 0; or why it is refused, with everything as before. */
static int run_add(struct run *r, struct append *a)
{
    struct plog *p = r->log;
    struct sgauge gauge = r->gauge;
    size_t mark = pstate_run_mark(&p->run), off_n = p->pend_off.n, time_n = p->pend_time.n;
    int txns_n = r->txns_n, rc = 0;
    int64_t first = p->next, next = first;
    uint32_t pos = r->at + r->n;
    struct pstate_dup dup;

    a->append_time_ms = -1;
    a->start = r->start;
    for (size_t at = 0; at < a->n;) {
        uint8_t *b = a->bytes + at;
        struct batch_head h;
        batch_parse_head(b, a->n - at, &h);
        if (h.producer_id >= 0) {
            struct pstate_batch pb;
            struct pstate_done done;
            pbatch_of(b, &h, next, &pb);
            pb.txn_version = a->txn_version;
            pthread_mutex_lock(&p->mu);
            rc = pstate_check(&p->ps, &pb, a->origin == APPEND_CLIENT, &dup);
            bool ended = rc == 0 && pstate_apply(&p->ps, &pb, &p->run, &done);
            pthread_mutex_unlock(&p->mu);
            if (rc != 0) break;
            r->has_producers = true;
            if (ended && done.aborted)
                r->txns[r->txns_n++] =
                    (struct txidx_entry){ done.producer_id, done.first_offset, done.last_offset, done.stable_offset };
        }
        batch_set_base_offset(b, next);
        batch_set_leader_epoch(b, r->epoch);
        next += (int64_t)h.last_offset_delta + 1;
        seg_note(r->seg->base, (uint32_t)r->conf.index_interval_bytes, &r->gauge, next - 1, pos + (uint32_t)at, (uint32_t)h.size,
                 h.max_timestamp, &p->pend_off, &p->pend_time);
        at += (size_t)h.size;
        if (r->txns_n == RUN_TXNS && at < a->n) { /* nobody writes so many markers in one append */
            rc = E_RECORD_LIST_TOO_LARGE;
            break;
        }
    }
    if (rc != 0) {
        pthread_mutex_lock(&p->mu);
        pstate_run_undo(&p->ps, &p->run, mark);
        pthread_mutex_unlock(&p->mu);
        r->gauge = gauge;
        r->txns_n = txns_n;
        p->pend_off.n = off_n;
        p->pend_time.n = time_n;
        if (rc == E_DUPLICATE_BATCH) {
            a->first = dup.first_offset;
            a->last = dup.last_offset;
            a->append_time_ms = r->conf.log_append_time ? dup.timestamp : -1;
            r->dups[r->dups_n++] = a;
        }
        return rc;
    }
    a->first = first;
    a->last = next - 1;
    p->next = next;
    r->iov[r->iov_n] = (struct iovec){ a->bytes, a->n };
    r->good[r->iov_n++] = a;
    r->n += (uint32_t)a->n;
    r->records += a->records;
    return 0;
}

/* ---- writing a run ---------------------------------------------------------------------------------------------------------------------- */

/* Takes the whole run back. */
static int run_fail(struct run *r, int err)
{
    struct plog *p = r->log;
    pthread_mutex_lock(&p->mu);
    pstate_run_undo(&p->ps, &p->run, 0);
    p->next = p->end;
    int64_t end = p->end;
    pthread_mutex_unlock(&p->mu);
    for (int i = 0; i < r->iov_n; i++) finish(r->good[i], err);
    for (int i = 0; i < r->dups_n; i++) finish(r->dups[i], r->dups[i]->last >= end ? err : E_DUPLICATE_BATCH);
    return err;
}

static int write_failed(struct run *r, int fd, int rc)
{
    struct plog *p = r->log;
    struct fs *fs = p->logs->fs;
    if (rc != -ENOSPC && rc != -EDQUOT) return dir_fail(p->dir, "write", p->path, rc); /* J6 */
    int cut = fs->truncate(fs, fd, r->at);                                             /* J11 */
    pthread_mutex_lock(
        &p->mu); /* what was cut may be on the disk already, in whole batches: nothing is staged before the cut is synced (J13) */
    r->seg->cuts++;
    pthread_mutex_unlock(&p->mu);
    if (cut < 0) return dir_fail(p->dir, "cut after a failed write", p->path, cut);
    if (!atomic_exchange(&p->dir->full, true))
        log_warn("storage", "no space left, appends are refused", KV_STR("dir", p->dir->path));
    return E_NO_SPACE;
}

/* The run for the journal, or NULL when it goes direct (J1). */
static struct staged *run_stage(const struct run *r)
{
    const struct plog *p = r->log;
    if (!journal_ready(p->dir) || p->no_journal || r->conf.flush_messages != 1 || r->n > STAGE_LOG_MAX) return NULL;
    for (int i = 0; i < r->iov_n; i++)
        if (r->iov[i].iov_len > STAGE_BATCH_MAX) return NULL;
    return journal_stage(p, r->seg->base, r->at, r->good[0]->first, r->good[r->iov_n - 1]->last, r->iov, r->iov_n, r->n);
}

/* Links the entry (NULL: there is none) to what the next commit finds; returns what is of no use any more. Under p->mu. */
static struct staged *take_staged(struct plog *p, struct staged *entry, const struct segment *s)
{
    if (entry && !p->unstaged && plog_synced(p) && s->cuts == s->cuts_synced && p->staged_n + entry->n <= (size_t)STAGE_LOG_MAX) {
        if (!p->staged) p->staged_end = &p->staged;
        *p->staged_end = entry;
        p->staged_end = &entry->next;
        p->staged_n += entry->n;
        return NULL;
    }
    struct staged *unused = p->staged; /* one way at a time: from here to the next capture all goes direct (J1) */
    if (entry) entry->next = unused;
    p->staged = NULL;
    p->staged_n = 0;
    p->unstaged = true;
    return entry ? entry : unused;
}

static int run_write(struct run *r)
{
    struct plog *p = r->log;
    struct log_dir *d = p->dir;
    struct fs *fs = p->logs->fs;
    if (r->iov_n == 0) {
        for (int i = 0; i < r->dups_n; i++) finish(r->dups[i], E_DUPLICATE_BATCH);
        r->dups_n = 0;
        return 0;
    }
    int fd = seg_pin(r->seg, false);
    if (fd < 0) {
        if (open_passes(fd)) return run_fail(r, E_IO);
        return run_fail(r, dir_fail(d, "open", p->path, fd));
    }
    int64_t began = cool_began(d, r->n);
    int rc = fs->pwritev(fs, fd, r->iov, r->iov_n, r->at);
    metric_add(M_sys_append, 1);
    if (rc == 0) cool_ended(d, r->n, began);
    if (rc < 0) {
        rc = write_failed(r, fd, rc);
        seg_unpin(r->seg);
        return run_fail(r, rc);
    }
    seg_unpin(r->seg);
    if (r->txns_n > 0) { /* before the last stable offset can pass the markers */
        char path[SEG_PATH];
        seg_path(r->seg, SEG_TXN, path);
        rc = txidx_append(fs, path, r->txns, r->txns_n);
        if (rc < 0) return run_fail(r, dir_fail(d, "transaction index", path, rc));
    }

    struct staged *entry = run_stage(r), *unused; /* J3: it is in the segment in full */
    bool commit, moved = false, flush_timer = false;
    int64_t flush_due = INT64_MAX;
    pthread_mutex_lock(&p->mu);
    struct segment *s = r->seg;
    s->size = r->at + r->n;
    p->end_bytes += r->n;
    s->gauge = r->gauge;
    if (!seg_owes(s)) s->synced = r->at;
    s->written = s->size;
    unused = take_staged(p, entry, s);
    if (p->pend_off.n) bytes_put(&s->off.tail, p->pend_off.p, p->pend_off.n);
    if (p->pend_time.n) bytes_put(&s->time.tail, p->pend_time.p, p->pend_time.n);
    p->end = p->next;
    if (!p->appended) s->noted = r->at; /* what was there before this run is the kernel's */
    p->appended = true;
    p->unflushed += r->records;
    p->has_snapshots |= r->has_producers;
    pstate_set_end(&p->ps, p->end);
    pstate_run_keep(&p->run);
    if (plog_synced(p)) {
        commit = true;
        p->debt += r->n;
        atomic_fetch_add_explicit(&d->debt, r->n, memory_order_relaxed);
    } else {
        p->watermark = p->end;
        p->mark_base = s->base;
        p->mark_at = s->size;
        p->mark_bytes = p->end_bytes;
        moved = true;
        commit = p->unflushed >= p->conf.flush_messages;
        if (p->conf.flush_ms != INT64_MAX && p->flush_due_us == INT64_MAX) {
            int64_t ms = MIN(p->conf.flush_ms, INT64_MAX / 2000);
            flush_due = p->flush_due_us = now_us(p->logs) + ms * 1000;
            flush_timer = true;
        }
    }
    plog_tail_moved(p);
    pthread_mutex_unlock(&p->mu);

    metric_add(M_appended_bytes, r->n);
    staged_free(unused);
    cool_wrote(p, s, false);
    if (commit) commit_want(p);
    if (flush_timer) house_flush_at(p->logs, flush_due);
    if (moved) plog_notify(p);
    for (int i = 0; i < r->iov_n; i++) finish(r->good[i], 0);
    for (int i = 0; i < r->dups_n; i++) finish(r->dups[i], E_DUPLICATE_BATCH);
    return 0;
}

/* ---- rolling ------------------------------------------------------------------------------------------------------------------------------ */

static bool must_roll(const struct run *r, const struct append *a, const struct facts *f)
{
    const struct segment *s = r->seg;
    const struct topic_conf *c = &r->conf;
    int64_t size = (int64_t)r->at + r->n, last = r->log->next + f->offsets - 1;
    if (size == 0) return last - s->base > INT32_MAX;
    if (size + (int64_t)a->n > c->segment_bytes || last - s->base > INT32_MAX) return true;
    if (r->gauge.off_n >= (uint32_t)c->segment_index_bytes / OFF_ENTRY) return true;
    if (r->gauge.time_n + 1 >= (uint32_t)c->segment_index_bytes / TIME_ENTRY) return true;
    int64_t waited =
        r->gauge.has_first && r->gauge.first_ts >= 0 ? f->max_ts - r->gauge.first_ts : now_ms(r->log->logs) - s->created_ms;
    return waited > c->segment_ms - s->jitter_ms;
}

int queue_roll(struct plog *p)
{
    struct log_dir *d = p->dir;
    struct bytes snapshot = { 0 }, time = { 0 };
    pthread_mutex_lock(&p->mu);
    struct segment *old = plog_active(p);
    int64_t base = p->end;
    bool gone = p->gone;
    bool empty = old->base == base; /* nothing in it: it is as good as a new one */
    if (!empty && !gone) pstate_encode(&p->ps, &snapshot);
    int64_t jitter = MIN(p->conf.segment_jitter_ms, p->conf.segment_ms);
    pthread_mutex_unlock(&p->mu);
    if (empty || gone) return gone ? E_GONE : 0;

    struct segment *s = seg_new(p, base);
    int fd = seg_pin(s, true);
    if (fd < 0) {
        bytes_free(&snapshot);
        seg_unref(&s);
        if (fd == -ENOSPC || fd == -EDQUOT) return E_NO_SPACE;
        if (open_passes(fd)) return E_IO;
        return dir_fail(d, "new segment", p->path, fd);
    }
    seg_unpin(s);
    s->created_ms = s->mtime_ms = now_ms(p->logs);
    s->jitter_ms = jitter > 0 ? (int64_t)rnd_below(p->logs->world->rnd, (uint64_t)jitter) : 0;
    s->loaded = true;
    s->entry_unsynced = true;
    s->snapshot = snapshot;

    pthread_mutex_lock(&p->mu);
    seg_note_close(old->base, &old->gauge, &time);
    if (time.n) bytes_put(&old->time.tail, time.p, time.n);
    old->sealed = true;
    old->mtime_ms = s->created_ms;
    plog_add_segment(p, s);
    bool commit = p->durable < p->end, appended = p->appended;
    pthread_mutex_unlock(&p->mu);
    bytes_free(&time);
    if (appended) cool_wrote(p, old, true);
    if (commit) commit_want(p); /* also with flush.messages > 1, as Kafka flushes what it rolled */
    log_debug("storage", "rolled", KV_STR("log", p->name), KV_I64("base", base));
    house_add(p);
    return 0;
}

/* ---- draining ------------------------------------------------------------------------------------------------------------------------------ */

static void look_for_room(struct log_dir *d)
{
    const struct settings *set = &d->logs->set;
    if (set->disk_reserve <= 0) return;
    int64_t now = now_us(d->logs), asked = atomic_load_explicit(&d->room_us, memory_order_relaxed);
    if (now - asked >= 1000000 && atomic_compare_exchange_strong(&d->room_us, &asked, now)) {
        struct fs_space sp;
        if (d->logs->fs->space(d->logs->fs, d->path, &sp) == 0) {
            int64_t reserve = MIN(set->disk_reserve, sp.total / 16) + atomic_load_explicit(&d->debt, memory_order_relaxed);
            bool full = sp.available < reserve;
            if (atomic_exchange(&d->full, full) != full)
                log_warn("storage", full ? "disk reserve reached, appends are refused" : "room again, appends are accepted",
                         KV_STR("dir", d->path), KV_I64("available_bytes", sp.available));
        }
    }
}

static int refusal(struct plog *p, const struct append *a)
{
    if (dir_failed(p->dir)) return E_OFFLINE;
    if (atomic_load_explicit(&p->logs->closing, memory_order_acquire)) return E_CLOSING;
    if (plog_is_gone(p)) return E_GONE;
    return a->origin == APPEND_CLIENT && p->logs->set.disk_reserve > 0 &&
                   atomic_load_explicit(&p->dir->full, memory_order_relaxed)
               ? E_NO_SPACE
               : 0;
}

/* Owner: writes everything in todo. */
static void write_all(struct plog *p, struct list *todo, int state)
{
    struct run r;
    struct list *n;
    if (state != 0) { /* the log cannot be used at all */
        while ((n = list_pop(todo))) finish(container_of(n, struct append, link), state);
        return;
    }
    look_for_room(p->dir);
    run_begin(&r, p);
    while ((n = list_pop(todo))) {
        struct append *a = container_of(n, struct append, link);
        struct facts f;
        int err = refusal(p, a);
        if (err == 0) err = measure(a, &f);
        if (err == 0 && a->n > (size_t)r.conf.segment_bytes) err = E_RECORD_LIST_TOO_LARGE;
        if (err == 0 && must_roll(&r, a, &f)) {
            run_write(&r);
            err = queue_roll(p);
            run_begin(&r, p);
        } else if (err == 0 && (r.n + a->n > WRITE_MAX_BYTES || r.iov_n == RUN_MAX_APPENDS || r.dups_n == RUN_MAX_APPENDS ||
                                r.txns_n > RUN_TXNS / 2)) {
            run_write(&r);
            run_begin(&r, p);
        }
        if (err == 0) err = run_add(&r, a);
        if (err != 0 && err != E_DUPLICATE_BATCH) finish(a, err);
    }
    run_write(&r);
}

/* Is there a write worker to hand to? Not before logs_begin, nor while closing. */
static bool may_hand(struct plog *p)
{
    return kick_able(&p->dir->writer) && !atomic_load_explicit(&p->logs->closing, memory_order_acquire);
}

/* Links p at the write worker, ownership and all. p->mu held. */
static void hand_over(struct plog *p)
{
    p->q = Q_HANDED;
    plog_ref(p);
    pthread_mutex_lock(&p->dir->write_mu);
    list_push(&p->dir->write_list, &p->write_link);
    pthread_mutex_unlock(&p->dir->write_mu);
}

void queue_poke_writer(struct log_dir *d) { kick(&d->writer); }

void queue_debt_fell(struct log_dir *d, int64_t before)
{
    if (before > 2 * d->logs->set.dirty_max) queue_poke_writer(d);
}

/* Owner: writes what is linked, until nothing is (then the queue is free: true) or the rounds are used up. */
static bool drain(struct plog *p, bool worker)
{
    int state = 0;
    bool gone = plog_is_gone(p), can_hand = !gone && may_hand(p);
    if (gone) state = E_GONE; /* its files may be renamed by now */
    else if (worker || !can_hand) {
        state = plog_warm(p);
        if (state == 0) state = plog_write_epochs(p);
    }
    for (int round = 0; round < DRAIN_ROUNDS || !can_hand; round++) { /* without a worker to hand to: to the end */
        struct list todo;
        size_t bytes = 0;
        pthread_mutex_lock(&p->mu);
        if (list_empty(&p->queue)) {
            p->q = Q_FREE;
            if (p->q_waiters) pthread_cond_broadcast(&p->q_cv);
            pthread_mutex_unlock(&p->mu);
            return true;
        }
        if (!worker && can_hand) {
            list_each (it, &p->queue) bytes += container_of(it, struct append, link)->n;
            if (bytes > RUN_MAX_BYTES || !p->warm || p->epochs_dirty ||
                atomic_load_explicit(&p->dir->debt, memory_order_relaxed) > p->logs->set.dirty_max)
                break;
        }
        list_take(&todo, &p->queue);
        pthread_mutex_unlock(&p->mu);
        write_all(p, &todo, state);
        if (round == DRAIN_ROUNDS - 1 && can_hand) pthread_mutex_lock(&p->mu);
    }
    hand_over(p);
    pthread_mutex_unlock(&p->mu);
    queue_poke_writer(p->dir);
    return false;
}

void queue_append_phase(struct plog_node *nd)
{
    struct plog *p = nd->log;
    struct list *n;
    nd->deferred = false;
    pthread_mutex_lock(&p->mu);
    while ((n = list_pop(&nd->staged))) list_push(&p->queue, n);
    bool own = p->q == Q_FREE;
    if (own) p->q = Q_RUNNING;
    pthread_mutex_unlock(&p->mu);
    if (own) drain(p, false);
    plog_unref(&p);
}

void plog_append(struct plog *p, struct append *a)
{
    struct plog_node *nd = plog_node_of(p, a->home);
    struct loop *l = waker_loop(a->home);
    assert(loop_here(l));
    atomic_store_explicit(&a->done, false, memory_order_relaxed);
    a->err = 0;
    list_push(&nd->staged, &a->link);
    if (nd->deferred) return;
    nd->deferred = true;
    plog_ref(p); /* until the phase */
    loop_defer(l, PHASE_APPEND, &nd->append);
}

/* ---- workers ------------------------------------------------------------------------------------------------------------------------------- */

/* The appends that wait at the head of the list are for logs that are not made yet: they are made together, which syncs them side by side. */
static void make_waiting(struct log_dir *d)
{
    struct plog *v[MAKE_BATCH];
    int n = 0, seen = 0;
    pthread_mutex_lock(&d->write_mu);
    list_each (it, &d->write_list) {
        struct plog *p = container_of(it, struct plog, write_link);
        if (seen++ == MAKE_BATCH || !plog_unmade(p)) break;
        v[n++] = plog_ref(p);
    }
    pthread_mutex_unlock(&d->write_mu);
    if (n > 1) logs_make(d->logs, v, n, false);
    while (n > 0) plog_unref(&v[--n]);
}

enum turn writer_turn(void *arg)
{
    struct log_dir *d = arg;
    if (atomic_load_explicit(&d->debt, memory_order_relaxed) > 2 * d->logs->set.dirty_max && !dir_failed(d) &&
        !atomic_load_explicit(&d->logs->closing, memory_order_relaxed))
        return TURN_IDLE; /* J20: the next commit that is published kicks us */
    make_waiting(d);
    pthread_mutex_lock(&d->write_mu);
    struct list *n = list_pop(&d->write_list);
    pthread_mutex_unlock(&d->write_mu);
    if (!n) return TURN_IDLE;
    struct plog *p = container_of(n, struct plog, write_link);
    pthread_mutex_lock(&p->mu);
    assert(p->q == Q_HANDED);
    p->q = Q_RUNNING;
    pthread_mutex_unlock(&p->mu);
    drain(p, true);
    plog_unref(&p);
    return TURN_MORE;
}

void queue_own(struct plog *p)
{
    struct plog *handed = NULL;
    pthread_mutex_lock(&p->mu);
    p->q_waiters++;
    for (;;) {
        if (p->q == Q_FREE) break;
        if (p->q == Q_HANDED) {
            pthread_mutex_lock(&p->dir->write_mu);
            if (list_linked(&p->write_link)) {
                list_remove(&p->write_link);
                handed = p;
            }
            pthread_mutex_unlock(&p->dir->write_mu);
            if (handed) break;
        }
        pthread_cond_wait(&p->q_cv, &p->mu);
    }
    p->q_waiters--;
    p->q = Q_RUNNING;
    pthread_mutex_unlock(&p->mu);
    if (handed) plog_unref(&handed); /* the list's reference; the caller has one */
}

void queue_release(struct plog *p)
{
    pthread_mutex_lock(&p->mu);
    bool more = !list_empty(&p->queue), hand = more && !p->gone && may_hand(p);
    if (!more) p->q = Q_FREE;
    else if (hand) hand_over(p);
    if (p->q_waiters) pthread_cond_broadcast(&p->q_cv);
    pthread_mutex_unlock(&p->mu);
    if (hand) queue_poke_writer(p->dir);
    else if (more) drain(p, true);
}

static bool epochs_wait(struct plog *p)
{
    pthread_mutex_lock(&p->mu);
    bool wait = p->epochs_dirty;
    pthread_mutex_unlock(&p->mu);
    return wait;
}

int plog_append_now(struct plog *p, struct append *a)
{
    struct list todo;
    int rc = plog_before_write(p);
    if (rc == 0) rc = plog_warm(p);
    if (rc < 0) return a->err = rc;
    list_init(&todo);
    a->home = NULL;
    atomic_store_explicit(&a->done, false, memory_order_relaxed);
    list_push(&todo, &a->link);
    queue_own(p);
    rc = p->no_journal ? 0 : plog_write_epochs(p);
    write_all(p, &todo, rc);
    queue_release(p);
    if (p->no_journal && epochs_wait(p))
        house_add(p); /* the metadata log: a start walks it, and finds its epochs in the batches */
    int64_t last = a->last;
    if (a->err != 0 && a->err != E_DUPLICATE_BATCH) return a->err;
    rc = plog_wait_durable(p, last + 1);
    if (rc < 0) a->err = rc;
    return a->err;
}
