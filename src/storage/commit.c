/* Group commit: capture → make durable → publish (JOURNAL.md J1, J2, J6, J8, J19).
 *
 * Logs with something to commit stand in a lane's `dirty`. A commit takes all of them: in one critical section per log the end, its file position and
 * the segments written since the last capture (J2); then every segment is synced, several at a time on helper threads when there are several, and the
 * directory of every log that has a new segment (J8); then, if all of it succeeded, `durable` becomes what was captured, and those who wait hear
 * it. A lane has one commit in flight; what arrives meanwhile shares the next. Any failed sync is final for the directory (J6).
 *
 * A log whose bytes since the last capture are all staged goes by the group lane, if there is a journal: one write and one sync for all of them; its
 * segments are synced behind it (journal.c). The others go by the direct lane (J1). The lanes do not wait for each other, so that small appends are
 * not held up by the syncs of large ones; but a log is in one commit at a time, so that what is staged begins where `durable` is (J3).
 *
 *   IDLE -> GROUP | SYNC  captured        GROUP -> SYNC  the group is durable, or its logs go direct after all
 *   SYNC -> IDLE | MAKE   published       MAKE -> IDLE   there is a journal from now on, or never (J17)
 *
 * A lane advances in steps, each taken under its `step`: by its worker, or by a worker that waits (plog_wait_durable), so that waiting needs no other
 * thread. */
#include "internal.h"
#include <sched.h>

enum { INDEX_BEHIND = 512 /* entries in memory before they are written behind */ };

static bool lane_step(struct lane *c);
static enum turn lane_turn(void *arg) { return lane_step(arg) ? TURN_MORE : TURN_IDLE; }

void commit_init(struct commit *commit, struct log_dir *d)
{
    for (int i = 0; i < LANES; i++) {
        struct lane *c = &commit->lane[i];
        *c = (struct lane){ .commit = commit, .dir = d, .kind = (enum lane_kind)i };
        pthread_mutex_init(&c->step, NULL);
        pthread_mutex_init(&c->mu, NULL);
        pthread_cond_init(&c->cv, NULL);
        list_init(&c->dirty);
    }
}

void commit_start(struct commit *commit)
{
    for (int i = 0; i < LANES; i++) {
        struct lane *c = &commit->lane[i];
        char name[32];
        snprintf(name, sizeof(name), "%s-%d", i == LANE_GROUP ? "commit" : "direct", c->dir->i);
        atomic_store(&c->worker.w, worker_start(c->dir->logs->world, name, lane_turn, c));
    }
}

void commit_stop(struct commit *commit)
{
    for (int i = 0; i < LANES; i++) kick_stop(&commit->lane[i].worker);
    for (int i = 0; i < LANES; i++) {
        struct lane *c = &commit->lane[i];
        while (c->helpers_n > 0) worker_stop(&c->helpers[--c->helpers_n]);
    }
}

void commit_free(struct commit *commit)
{
    for (int i = 0; i < LANES; i++) {
        struct lane *c = &commit->lane[i];
        struct list *n;
        while ((n = list_pop(&c->dirty))) {
            struct plog *p = container_of(n, struct plog, dirty_link);
            plog_unref(&p);
        }
        for (int k = 0; k < c->jobs_n; k++) seg_unref(&c->jobs[k].seg);
        for (int k = 0; k < c->logs_n; k++) { /* of a commit that waited for descriptors to the end */
            staged_free(c->logs[k].staged);
            plog_unref(&c->logs[k].log);
        }
        mem_free(c->logs);
        mem_free(c->jobs);
        pthread_mutex_destroy(&c->step);
        pthread_mutex_destroy(&c->mu);
        pthread_cond_destroy(&c->cv);
    }
}

/* The lane of what p has to commit now. Under p->mu. */
static struct lane *lane_of(struct plog *p)
{
    bool group = p->staged && !p->unstaged && journal_ready(p->dir);
    return &p->dir->commit.lane[group ? LANE_GROUP : LANE_DIRECT];
}

static void lane_add(struct lane *c, struct plog *p)
{
    pthread_mutex_lock(&c->mu);
    list_push(&c->dirty, &p->dirty_link);
    pthread_mutex_unlock(&c->mu);
}

void commit_want(struct plog *p)
{
    pthread_mutex_lock(&p->mu);
    struct lane *c = lane_of(p);
    bool later = p->committing, link = !later && !p->dirty_queued;
    if (later) p->commit_again = true;
    if (link) p->dirty_queued = true;
    pthread_mutex_unlock(&p->mu);
    if (later) return;
    if (link) lane_add(c, plog_ref(p));
    kick(&c->worker);
}

/* ---- capture ----------------------------------------------------------------------------------------------------------------------------- */

static void add_job(struct lane *c, int *n, struct segment *seg, struct plog *log)
{
    if (*n == c->jobs_cap) {
        pthread_mutex_lock(&c->mu); /* a helper called for the commit before may look only now */
        c->jobs_cap = MAX(16, c->jobs_cap * 2);
        c->jobs = mem_realloc(c->jobs, (size_t)c->jobs_cap * sizeof(*c->jobs));
        pthread_mutex_unlock(&c->mu);
    }
    c->jobs[(*n)++] =
        (struct commit_job){ .seg = seg, .log = log, .written = seg ? seg->written : 0, .cuts = seg ? seg->cuts : 0 };
}

/* Jobs for every segment of p that owes something (direct), or for none; and for the directory when a new segment's name is not durable (J8).
 * Under p->mu. */
static void add_jobs(struct lane *c, int *n, struct plog *p, bool direct)
{
    bool names = false;
    for (int i = p->segs_n - 1; i >= 0; i--) {
        struct segment *s = p->segs[i];
        if (i + 1 < p->segs_n && p->segs[i + 1]->base <= p->flushed) break;
        if (direct && seg_owes(s)) add_job(c, n, seg_ref(s), p);
        if (s->entry_unsynced && s->base < p->end) {
            names = true;
            s->entry_unsynced = false;
        }
    }
    if (names) add_job(c, n, NULL, p);
}

/* Takes what is to be committed; what is of the other lane's kind by now goes there. False: there was nothing. */
static bool capture(struct lane *c)
{
    struct lane *other = &c->commit->lane[c->kind == LANE_GROUP ? LANE_DIRECT : LANE_GROUP];
    struct list dirty, *n;
    bool strays = false;
    int jobs = 0;
    pthread_mutex_lock(&c->mu);
    list_take(&dirty, &c->dirty);
    pthread_mutex_unlock(&c->mu);

    c->logs_n = 0;
    c->files = 0;
    while ((n = list_pop(&dirty))) {
        struct plog *p = container_of(n, struct plog, dirty_link);
        struct staged *unused = NULL;
        pthread_mutex_lock(&p->mu);
        if (lane_of(p) != c) { /* what it has to commit is of the other kind by now */
            pthread_mutex_unlock(&p->mu);
            lane_add(other, p);
            strays = true;
            continue;
        }
        if (c->logs_n == c->logs_cap) {
            c->logs_cap = MAX(16, c->logs_cap * 2);
            c->logs = mem_realloc(c->logs, (size_t)c->logs_cap * sizeof(*c->logs));
        }
        assert(!p->committing);
        struct segment *active = plog_active(p);
        p->dirty_queued = false;
        p->committing = true;
        struct commit_log *cl = &c->logs[c->logs_n++];
        *cl = (struct commit_log){ .log = p,
                                   .end = p->end,
                                   .base = active ? active->base : 0,
                                   .at = active ? active->size : 0,
                                   .bytes = p->end_bytes,
                                   .journal = c->kind == LANE_GROUP };
        if (!dir_failed(c->dir)) { /* J1, J3: what is staged is all of [durable, end), and begins at durable */
            assert(p->unstaged || p->staged || p->end == p->durable);
            assert(p->unstaged || !p->staged || p->staged->first == p->durable);
        }
        if (cl->journal) cl->staged = p->staged;
        else unused = p->staged;
        p->staged = NULL;
        p->staged_n = 0;
        p->unstaged = false;
        p->unflushed = 0;
        p->flush_due_us = INT64_MAX;
        if (p->end > p->durable) {
            add_jobs(c, &jobs, p, !cl->journal);
            c->files++;
        }
        pthread_mutex_unlock(&p->mu);
        staged_free(unused);
    }
    pthread_mutex_lock(&c->mu);
    c->jobs_n = jobs;
    c->jobs_next = c->jobs_running = 0;
    c->rc = 0;
    pthread_mutex_unlock(&c->mu);
    if (strays) kick(&other->worker);
    return c->logs_n > 0 || strays;
}

/* ---- make durable -------------------------------------------------------------------------------------------------------------------------- */

/* *later: it could not even be opened, for want of descriptors or memory: nothing failed that J6 is about. */
static int run_job(const struct commit_job *j, bool *later)
{
    struct fs *fs = j->log->logs->fs;
    int rc;
    *later = false;
    if (dir_failed(j->log->dir)) return -EIO;
    if (!j->seg) {
        rc = dir_sync(j->log->dir, j->log->path);
        *later = dir_sync_passes(rc);
    } else {
        rc = seg_pin(j->seg, false);
        *later = open_passes(rc);
        if (rc >= 0) {
            rc = fs->datasync(fs, rc);
            metric_add(M_sys_sync, 1);
            seg_unpin(j->seg);
        }
    }
    return rc == -ENOENT && plog_is_gone(j->log) ? 0 : rc; /* deleted meanwhile: nobody asks for it any more */
}

/* Takes and runs one job: false when none is left to take. */
static bool next_job(struct lane *c)
{
    pthread_mutex_lock(&c->mu);
    while (c->jobs_next < c->jobs_n && c->jobs[c->jobs_next].done) c->jobs_next++;
    if (c->jobs_next >= c->jobs_n) {
        pthread_mutex_unlock(&c->mu);
        return false;
    }
    int i = c->jobs_next++;
    bool later;
    struct commit_job j = c->jobs[i];
    c->jobs_running++;
    pthread_mutex_unlock(&c->mu);

    int rc = run_job(&j, &later);

    pthread_mutex_lock(&c->mu);
    c->jobs[i].done = !later;
    if (later) c->short_of_files = true;
    else if (rc < 0 && c->rc == 0) c->rc = rc;
    if (--c->jobs_running == 0 && c->jobs_next >= c->jobs_n) pthread_cond_broadcast(&c->cv);
    pthread_mutex_unlock(&c->mu);
    return true;
}

static enum turn helper_turn(void *arg) { return next_job(arg) ? TURN_MORE : TURN_IDLE; }

static void call_helpers(struct lane *c)
{
    int want = MIN(COMMIT_HELPERS, c->jobs_n - 1); /* syncs that wait for the disk together share its flush */
    if (!kick_able(&c->worker)) return;
    while (c->helpers_n < want) {
        char name[32];
        snprintf(name, sizeof(name), "%s-%d-%d", c->kind == LANE_GROUP ? "commit" : "direct", c->dir->i, c->helpers_n);
        c->helpers[c->helpers_n++] = worker_start(c->dir->logs->world, name, helper_turn, c);
    }
    for (int i = 0; i < want; i++) worker_kick(c->helpers[i]);
}

/* ---- publish --------------------------------------------------------------------------------------------------------------------------------- */

static void publish_log(const struct commit_log *cl)
{
    struct plog *p = cl->log;
    pthread_mutex_lock(&p->mu);
    bool moved = cl->end > p->durable, listed = false;
    if (moved) p->durable = cl->end;
    p->durable_seq = journal_done(&p->dir->journal); /* a group under way holds nothing of p */
    if (!cl->journal && moved) {
        p->flushed = cl->end;
        listed = journal_unlist(p); /* while no group can take p in: the next one may owe again (J7) */
    }
    assert(p->flushed <= p->durable);                  /* J9 */
    if (plog_synced(p) && p->durable > p->watermark) { /* J19: before anybody is woken, together with its file position */
        p->watermark = p->durable;
        p->mark_base = cl->base;
        p->mark_at = cl->at;
        p->mark_bytes = cl->bytes;
    }
    bool again = p->commit_again;
    p->committing = p->commit_again = false;
    if (moved) plog_tail_moved(p);
    struct segment *active = plog_active(p);
    bool maintain =
        (p->segs_n > 1 && !p->segs[p->segs_n - 2]->saved) || (active && active->off.tail.n >= (size_t)INDEX_BEHIND * OFF_ENTRY);
    pthread_mutex_unlock(&p->mu);
    if (listed) plog_unref(&(struct plog *){ p });
    if (again) commit_want(p);
    if (moved) plog_notify(p);
    if (maintain) house_add(p);
}

static void finish(struct lane *c)
{
    struct log_dir *d = c->dir;
    int64_t debt = atomic_load_explicit(&d->debt, memory_order_relaxed);
    if (c->rc < 0) dir_fail(d, "sync", d->path, c->rc);
    for (int i = 0; i < c->jobs_n; i++) {
        struct commit_job *job = &c->jobs[i];
        if (job->seg && !dir_failed(d)) {
            pthread_mutex_lock(&job->log->mu);
            plog_synced_to(job->log, job->seg, job->written, job->cuts);
            pthread_mutex_unlock(&job->log->mu);
        }
        seg_unref(&job->seg);
    }
    for (int i = 0; i < c->logs_n; i++) {
        if (!dir_failed(d)) publish_log(&c->logs[i]);
        staged_free(c->logs[i].staged);
        plog_unref(&c->logs[i].log);
    }
    queue_debt_fell(d, debt);
    if (dir_failed(d)) queue_poke_writer(d);
    journal_settle(&d->journal);
    metric_add(M_commits, 1);
    c->logs_n = 0;
    c->phase = c->kind == LANE_DIRECT && c->files > 1 && journal_wanted(d) ? COMMIT_MAKE : COMMIT_IDLE;
}

/* The group cannot be written: its logs go direct after all (J1, J17). What was captured stays what was captured. */
static void ungroup(struct lane *c)
{
    int jobs = c->jobs_n;
    for (int i = 0; i < c->logs_n; i++) {
        struct commit_log *cl = &c->logs[i];
        if (!cl->journal) continue;
        cl->journal = false;
        pthread_mutex_lock(&cl->log->mu);
        add_jobs(c, &jobs, cl->log, true);
        pthread_mutex_unlock(&cl->log->mu);
    }
    pthread_mutex_lock(&c->mu);
    c->jobs_n = jobs;
    pthread_mutex_unlock(&c->mu);
}

static void write_group(struct lane *c)
{
    int rc = dir_failed(c->dir) ? -EIO : journal_write(&c->dir->journal, c);
    if (rc == 1) ungroup(c);
    else if (rc < 0) {
        pthread_mutex_lock(&c->mu);
        c->rc = rc;
        pthread_mutex_unlock(&c->mu);
    }
}

/* All that could be synced is, and nothing failed, but not everything could be opened: no log of this commit is published until it was. Under mu. */
static bool try_later(struct lane *c)
{
    bool later = c->short_of_files && c->rc == 0 && !dir_failed(c->dir);
    if (later && !atomic_exchange(&c->waiting, true))
        log_warn("storage", "no descriptors left to sync with, trying again", KV_STR("dir", c->dir->path));
    if (!later) atomic_store(&c->waiting, false);
    else c->jobs_next = 0;
    c->short_of_files = false;
    return later;
}

void commit_retry(struct commit *commit)
{
    for (int i = 0; i < LANES; i++)
        if (atomic_load(&commit->lane[i].waiting)) kick(&commit->lane[i].worker);
}

static bool lane_step(struct lane *c)
{
    bool worked = true;
    pthread_mutex_lock(&c->step);
    if (c->phase == COMMIT_IDLE) {
        worked = capture(c);
        if (c->logs_n > 0) c->phase = c->kind == LANE_GROUP ? COMMIT_GROUP : COMMIT_SYNC;
        if (c->phase == COMMIT_SYNC) call_helpers(c);
    } else if (c->phase == COMMIT_GROUP) {
        write_group(c);
        c->phase = COMMIT_SYNC;
        call_helpers(c);
    } else if (c->phase == COMMIT_MAKE) {
        journal_make(&c->dir->journal);
        c->phase = COMMIT_IDLE;
    } else if (!next_job(c)) {
        pthread_mutex_lock(&c->mu);
        while (c->jobs_running > 0) pthread_cond_wait(&c->cv, &c->mu);
        worked = !try_later(c);
        pthread_mutex_unlock(&c->mu);
        if (worked) finish(c);
        else house_flush_at(c->dir->logs, now_us(c->dir->logs) + FILES_RETRY_US);
    }
    pthread_mutex_unlock(&c->step);
    return worked;
}

bool commit_step(struct commit *commit)
{
    bool worked = false;
    for (int i = 0; i < LANES; i++) worked |= lane_step(&commit->lane[i]);
    return worked;
}

void plog_commit(struct plog *p)
{
    pthread_mutex_lock(&p->mu);
    bool want = p->durable < p->end;
    pthread_mutex_unlock(&p->mu);
    if (want) commit_want(p);
}

int plog_wait_durable(struct plog *p, int64_t offset)
{
    for (;;) {
        pthread_mutex_lock(&p->mu);
        int64_t durable = p->durable, end = p->end;
        bool gone = p->gone;
        pthread_mutex_unlock(&p->mu);
        if (durable >= offset) return 0;
        if (dir_failed(p->dir)) return E_OFFLINE;
        if (gone) return E_GONE;
        if (offset > end) return E_OFFSET_OUT_OF_RANGE;
        commit_want(p);
        if (!commit_step(&p->dir->commit)) sched_yield(); /* descriptors are short */
    }
}
