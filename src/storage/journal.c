/* The commit journal while running (JOURNAL.md J1–J7, J17, J20).
 *
 * The commit hands over what its logs staged; it becomes one group: room in the ring, one pwritev, one fdatasync (J6). Behind it the sync worker
 * syncs the segments, the log that holds the oldest group first, whenever more than half of the ring or of odradek.dirty.max is owed, and makes the
 * file longer while it may. A log is in `owing` while a group holds something that its segments are not known to hold; the first of them tells the
 * oldest live group, which every group says, and what a synced group has said frees the room of older ones (J7).
 *
 * Failing: no room in the ring, or on the disk when the file is made or grown, is no error: commits go direct. A group that the disk refuses for want
 * of space closes the journal (J17). Everything else is final for the directory (J6). */
#include "internal.h"

enum { DIRECT_MAX = 256 * 1024, FIRST_SIZE = 4 * 1024 * 1024, PIECE = 8 * 1024 * 1024, ZEROES = 256 * 1024 };

static int state_of(const struct journal *j) { return atomic_load_explicit(&j->state, memory_order_acquire); }
static void enter(struct journal *j, enum journal_state to) /* a lane's step held, or nobody else is there */
{
    assert(to != JOURNAL_NONE);
    atomic_store_explicit(&j->state, to, memory_order_release);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------------------------ */

void journal_init(struct journal *j, struct log_dir *d)
{
    char path[SEG_PATH];
    j->dir = d;
    j->fd = j->direct = -1;
    j->max = d->logs->set.journal_max / JOURNAL_BLOCK * JOURNAL_BLOCK;
    atomic_init(&j->state, j->max >= (int64_t)4 * JOURNAL_BLOCK ? JOURNAL_NONE : JOURNAL_OFF);
    snprintf(path, sizeof(path), "%s/" JOURNAL_FILE, d->path);
    j->path = mem_strdup(slice_of(path));
    pthread_mutex_init(&j->mu, NULL);
    list_init(&j->owing);
    j->next = j->told = 1;
}

static void close_direct(struct journal *j)
{
    if (j->direct >= 0) j->dir->logs->fs->close(j->dir->logs->fs, j->direct);
    j->direct = -1;
    mem_free(j->page);
    j->page = NULL;
}

void journal_free(struct journal *j)
{
    struct list *n;
    if (!j->path) return; /* never opened */
    while ((n = list_pop(&j->owing))) {
        struct plog *p = container_of(n, struct plog, journal_link);
        plog_unref(&p);
    }
    close_direct(j);
    if (j->fd >= 0) j->dir->logs->fs->close(j->dir->logs->fs, j->fd);
    ring_free(&j->ring);
    mem_free(j->iov);
    mem_free(j->path);
    pthread_mutex_destroy(&j->mu);
}

/* ---- staging ----------------------------------------------------------------------------------------------------------------------------------- */

struct staged *journal_stage(const struct plog *p, int64_t base, uint32_t at, int64_t first, int64_t last, const struct iovec *v,
                             int v_n, size_t n)
{
    struct staged *s = mem_alloc(sizeof(*s) + JOURNAL_ENTRY + n);
    struct journal_entry e = {
        .topic_id = p->topic_id, .partition = p->partition, .base = base, .at = at, .first = first, .last = last, .n = (uint32_t)n
    };
    *s = (struct staged){ .first = first, .last = last, .n = JOURNAL_ENTRY + n };
    journal_put_entry(s->bytes, &e);
    uint8_t *to = s->bytes + JOURNAL_ENTRY;
    for (int i = 0; i < v_n; i++) {
        memcpy(to, v[i].iov_base, v[i].iov_len);
        to += v[i].iov_len;
    }
    assert(to == s->bytes + s->n);
    return s;
}

int64_t journal_done(struct journal *j)
{
    pthread_mutex_lock(&j->mu);
    int64_t done = j->done;
    pthread_mutex_unlock(&j->mu);
    return done;
}

void staged_free(struct staged *s)
{
    for (struct staged *next; s; s = next) {
        next = s->next;
        mem_free(s);
    }
}

/* ---- the file ------------------------------------------------------------------------------------------------------------------------------------- */

static bool has_room(struct journal *j, int64_t more)
{
    const struct log_dir *d = j->dir;
    struct fs_space sp;
    return d->logs->fs->space(d->logs->fs, d->path, &sp) < 0 || sp.available < 0 ||
           sp.available - more >= d->logs->set.disk_reserve;
}

/* Zeroes, on the disk: a later write there changes no metadata, and nothing of a former owner of these blocks is ever read (J17). */
static int write_zeroes(struct journal *j, int64_t at, int64_t to)
{
    struct fs *fs = j->dir->logs->fs;
    uint8_t *zero = mem_zalloc(ZEROES);
    int rc = 0;
    while (at < to && rc == 0) {
        struct iovec v = { zero, (size_t)MIN(to - at, ZEROES) };
        rc = fs->pwritev(fs, j->fd, &v, 1, at);
        at += (int64_t)v.iov_len;
    }
    mem_free(zero);
    return rc;
}

bool journal_wanted(struct log_dir *d)
{
    return state_of(&d->journal) == JOURNAL_NONE && atomic_load(&d->logs->quorum_epoch) >= 0 && !dir_failed(d) &&
           !atomic_load_explicit(&d->logs->closing, memory_order_relaxed);
}

void journal_make(struct journal *j)
{
    struct log_dir *d = j->dir;
    struct fs *fs = d->logs->fs;
    int64_t size = MIN(FIRST_SIZE, j->max);
    if (!journal_wanted(d)) return;
    struct fs_space sp;
    if (fs->space(fs, d->path, &sp) == 0 &&
        sp.cow) { /* J17: zeroes written ahead are no room, and a group may cost more than a sync */
        enter(j, JOURNAL_OFF);
        log_info("storage", "no commit journal on this file system, every file is synced by itself", KV_STR("dir", d->path),
                 KV_STR("file_system", sp.cow));
        return;
    }
    int rc = has_room(j, size) ? 0 : -ENOSPC;
    if (rc == 0) j->fd = rc = fs->open(fs, j->path, FS_WRITE | FS_CREATE | FS_TRUNC);
    if (rc >= 0) rc = write_zeroes(j, 0, size);
    bool refused = rc == -ENOSPC || rc == -EDQUOT || rc == -EMFILE || rc == -ENFILE;
    if (!refused && rc == 0) rc = fs->datasync(fs, j->fd);
    if (rc == 0) {
        rc = dir_sync(d, d->path);
        refused = dir_sync_passes(rc);
    }
    if (refused) {
        if (j->fd >= 0) fs->close(fs, j->fd);
        j->fd = -1;
        fs->unlink(fs, j->path);
        enter(j, JOURNAL_OFF);
        log_warn("storage", "no commit journal, every file is synced by itself", KV_STR("dir", d->path), KV_ERR(rc));
        return;
    }
    if (rc < 0) {
        dir_fail(d, "journal", j->path, rc);
        return;
    }
    j->ids =
        (struct journal_ids){ .dir = d->id, .run = rnd_uuid(d->logs->world->rnd), .epoch = atomic_load(&d->logs->quorum_epoch) };
    logs_cluster(d->logs, j->ids.cluster);
    j->direct = fs->open(fs, j->path, FS_WRITE | FS_DIRECT); /* < 0: not here */
    ring_init(&j->ring, size);
    enter(j, JOURNAL_READY);
    log_info("storage", "commit journal made", KV_STR("path", j->path), KV_I64("bytes", size));
}

/* Doubles the file; the ring takes it over when it comes to its end. Sync worker. */
static void grow(struct journal *j, int64_t size)
{
    struct log_dir *d = j->dir;
    int64_t to = MIN(2 * size, j->max);
    int rc = has_room(j, to - size) ? write_zeroes(j, size, to) : -ENOSPC;
    if (rc == -ENOSPC || rc == -EDQUOT) {
        j->max = size; /* that must do */
        return;
    }
    if (rc == 0) rc = d->logs->fs->datasync(d->logs->fs, j->fd);
    if (rc < 0) {
        dir_fail(d, "journal", j->path, rc);
        return;
    }
    pthread_mutex_lock(&j->mu);
    j->ring.grown = to;
    pthread_mutex_unlock(&j->mu);
    log_debug("storage", "commit journal grown", KV_STR("path", j->path), KV_I64("bytes", to));
}

int journal_remove(struct journal *j)
{
    struct fs *fs = j->dir->logs->fs;
    if (j->fd < 0) return 0;
    assert(list_empty(&j->owing));
    close_direct(j);
    fs->close(fs, j->fd);
    j->fd = -1;
    enter(j, JOURNAL_OFF);
    int rc = fs->unlink(fs, j->path);
    return rc == 0 ? fs->sync_dir(fs, j->dir->path) : rc;
}

/* ---- groups ------------------------------------------------------------------------------------------------------------------------------------------- */

struct group {
    struct journal_head head;
    const struct iovec *v; /* the entries */
    int v_n;
};

static uint32_t entries_crc(void *arg, uint32_t crc)
{
    const struct group *g = arg;
    for (int i = 0; i < g->v_n; i++) crc = crc32c(crc, g->v[i].iov_base, g->v[i].iov_len);
    return crc;
}

static int64_t oldest_live(const struct journal *j) /* under mu */
{
    return list_empty(&j->owing) ? j->next : container_of(j->owing.next, struct plog, journal_link)->journal_from;
}

/* The group in j->iov, n bytes in all, at `at`: past the page cache if it can be, which spares a sync most of its work. */
static int write_group(struct journal *j, int iov_n, int64_t n, int64_t at)
{
    struct fs *fs = j->dir->logs->fs;
    if (j->direct >= 0 && n <= DIRECT_MAX) {
        size_t done = 0;
        if (!j->page) j->page = mem_aligned(FS_DIRECT_ALIGN, DIRECT_MAX);
        for (int i = 0; i < iov_n; done += j->iov[i++].iov_len) memcpy(j->page + done, j->iov[i].iov_base, j->iov[i].iov_len);
        assert(done == (size_t)n);
        struct iovec v = { j->page, done };
        int rc = fs->pwritev(fs, j->direct, &v, 1, at);
        if (rc != -EINVAL) return rc;
        close_direct(j);
    }
    return fs->pwritev(fs, j->fd, j->iov, iov_n, at);
}

/* Writes and syncs the group of these entries at s: j->iov[0] and the last one are ours to fill. */
static int put_group(struct journal *j, const struct ring_spot *s, int entries, int64_t length)
{
    static uint8_t zero[JOURNAL_BLOCK];
    struct fs *fs = j->dir->logs->fs;
    uint8_t head[JOURNAL_HEAD], filler[JOURNAL_HEAD];
    struct group g = { .v = j->iov + 1, .v_n = entries };
    g.head = (struct journal_head){ .ids = j->ids, .kind = JOURNAL_GROUP, .entries = entries, .seq = j->next, .length = length };
    pthread_mutex_lock(&j->mu);
    g.head.oldest = oldest_live(j);
    int64_t size = j->ring.size;
    ring_take(&j->ring, s, g.head.seq, journal_padded(length));
    pthread_mutex_unlock(&j->mu);
    assert(j->done == j->next - 1 && g.head.oldest >= j->told); /* J6; and what is live only moves on */

    int rc = 0;
    if (s->filler >= 0) {
        struct journal_head f = g.head;
        f.kind = JOURNAL_FILLER;
        f.entries = 0;
        f.length = size - s->filler;
        journal_put_head(filler, &f, NULL, NULL);
        struct iovec v[] = { { filler, sizeof(filler) }, { zero, JOURNAL_BLOCK - sizeof(filler) } };
        rc = fs->pwritev(fs, j->fd, v, 2, s->filler);
    }
    journal_put_head(head, &g.head, entries_crc, &g);
    int64_t pad = journal_padded(length) - length;
    j->iov[0] = (struct iovec){ head, sizeof(head) };
    j->iov[entries + 1] = (struct iovec){ zero, (size_t)pad };
    if (rc == 0) rc = write_group(j, entries + 1 + (pad > 0), journal_padded(length), s->at);
    if (rc == -ENOSPC || rc == -EDQUOT) { /* nothing of it was acknowledged: J17 */
        log_warn("storage", "no space in the commit journal, every file is synced by itself", KV_STR("path", j->path));
        enter(j, JOURNAL_CLOSED);
        return 1;
    }
    if (rc == 0) {
        rc = fs->datasync(fs, j->fd);
        metric_add(M_sys_sync, 1);
    }
    if (rc < 0) return rc;
    pthread_mutex_lock(&j->mu);
    j->done = j->next++;
    j->told = g.head.oldest;
    ring_forget(&j->ring, j->told); /* J7 */
    pthread_mutex_unlock(&j->mu);
    return 0;
}

static bool find_room(struct journal *j, int64_t len, bool spare, struct ring_spot *s, bool *could_tell)
{
    pthread_mutex_lock(&j->mu);
    bool found = ring_find(&j->ring, len, spare, s);
    *could_tell = oldest_live(j) > j->told;
    pthread_mutex_unlock(&j->mu);
    return found;
}

int journal_write(struct journal *j, const struct lane *c)
{
    int64_t length = JOURNAL_HEAD;
    int n = 0;
    if (state_of(j) != JOURNAL_READY) return 1;
    for (int i = 0; i < c->logs_n; i++)
        for (const struct staged *s = c->logs[i].journal ? c->logs[i].staged : NULL; s; s = s->next, n++) length += (int64_t)s->n;
    if (n + 2 > j->iov_cap) {
        j->iov_cap = MAX(n + 2, 2 * j->iov_cap);
        j->iov = mem_realloc(j->iov, (size_t)j->iov_cap * sizeof(*j->iov));
    }

    struct ring_spot s;
    bool tell;
    int64_t room = journal_padded(length);
    if (!find_room(j, room, false, &s, &tell)) { /* what is released frees its room when a group has said so */
        struct ring_spot t;
        if (!tell || !find_room(j, JOURNAL_BLOCK, true, &t, &tell)) return 1;
        int rc = put_group(j, &t, 0, JOURNAL_HEAD);
        if (rc != 0) return rc;
        if (!find_room(j, room, false, &s, &tell)) return 1;
    }

    n = 1;
    pthread_mutex_lock(&j->mu);
    for (int i = 0; i < c->logs_n; i++) {
        struct plog *p = c->logs[i].log;
        if (!c->logs[i].journal) continue;
        for (struct staged *e = c->logs[i].staged; e; e = e->next) {
            assert(!e->next || e->next->first == e->last + 1); /* J3 */
            j->iov[n++] = (struct iovec){ e->bytes, e->n };
        }
        if (!list_linked(&p->journal_link)) {
            p->journal_from = j->next;
            list_push(&j->owing, &plog_ref(p)->journal_link);
        }
        p->journal_last = j->next;
    }
    pthread_mutex_unlock(&j->mu);
    return put_group(j, &s, n - 1, length);
}

/* ---- behind it ------------------------------------------------------------------------------------------------------------------------------------------ */

void plog_synced_to(struct plog *p, struct segment *s, uint32_t written, uint32_t cuts)
{
    s->cuts_synced = MAX(s->cuts_synced, cuts);
    if (written <= s->synced) return;
    int64_t paid = MIN((int64_t)(written - s->synced), p->debt);
    s->synced = written;
    p->debt -= paid;
    atomic_fetch_sub_explicit(&p->dir->debt, paid, memory_order_relaxed);
}

/* The oldest segment with a base in (after, durable) that owes something; one reference. */
static struct segment *next_owing(struct plog *p, int64_t after, int64_t upto, uint32_t *from, uint32_t *written, uint32_t *cuts)
{
    struct segment *s = NULL;
    pthread_mutex_lock(&p->mu);
    for (int i = p->segs_n - 1; i >= 0 && p->segs[i]->base > after; i--) {
        if (p->segs[i]->base < upto && seg_owes(p->segs[i])) s = p->segs[i];
        if (p->segs[i]->base <= p->flushed) break;
    }
    if (s) {
        seg_ref(s);
        *from = s->synced;
        *written = s->written;
        *cuts = s->cuts;
    }
    pthread_mutex_unlock(&p->mu);
    return s;
}

int plog_sync(struct plog *p, int64_t *seq)
{
    struct fs *fs = p->logs->fs;
    struct segment *s;
    uint32_t from, written, cuts;
    int64_t after = -1;
    pthread_mutex_lock(&p->mu);
    int64_t upto = p->durable;
    bool gone = p->gone;
    *seq = gone ? INT64_MAX : p->durable_seq;
    pthread_mutex_unlock(&p->mu);
    while (!gone && (s = next_owing(p, after, upto, &from, &written, &cuts))) {
        int fd = seg_pin(s, false), rc = MIN(fd, 0);
        bool passes = open_passes(fd);
        for (uint32_t at = from; rc == 0 && written - at > PIECE; at += PIECE) fs->writeback(fs, fd, at, PIECE);
        if (rc == 0) {
            rc = fs->datasync(fs, fd);
            metric_add(M_sys_sync, 1);
        }
        if (fd >= 0) seg_unpin(s);
        pthread_mutex_lock(&p->mu);
        gone = p->gone;
        if (rc == 0) plog_synced_to(p, s, written, cuts);
        pthread_mutex_unlock(&p->mu);
        after = s->base;
        seg_unref(&s);
        if (rc < 0 && !gone) return passes ? err_of_errno(rc) : dir_fail(p->dir, "sync", p->path, rc);
    }
    pthread_mutex_lock(&p->mu);
    if (!gone) p->flushed = MAX(p->flushed, upto); /* J9 */
    pthread_mutex_unlock(&p->mu);
    return 0;
}

/* Takes p out of `owing`, under mu; the reference is the caller's then. */
static bool unlink_owing(struct plog *p)
{
    if (!list_linked(&p->journal_link)) return false;
    list_remove(&p->journal_link);
    return true;
}

bool journal_unlist(struct plog *p)
{
    struct journal *j = &p->dir->journal;
    pthread_mutex_lock(&j->mu);
    bool was = unlink_owing(p);
    pthread_mutex_unlock(&j->mu);
    return was;
}

void journal_gone(struct plog *p)
{
    struct log_dir *d = p->dir;
    int64_t before = atomic_load_explicit(&d->debt, memory_order_relaxed);
    pthread_mutex_lock(&p->mu); /* nobody syncs it any more */
    atomic_fetch_sub_explicit(&d->debt, p->debt, memory_order_relaxed);
    p->debt = 0;
    bool listed = journal_unlist(p);
    pthread_mutex_unlock(&p->mu);
    queue_debt_fell(d, before);
    if (listed) plog_unref(&p);
}

bool journal_sync_oldest(struct journal *j)
{
    struct log_dir *d = j->dir;
    int64_t seq, debt = atomic_load_explicit(&d->debt, memory_order_relaxed), from = 0;
    struct plog *p = NULL;
    if (dir_failed(d)) return false;
    pthread_mutex_lock(&j->mu);
    if (!list_empty(&j->owing)) {
        p = plog_ref(container_of(j->owing.next, struct plog, journal_link));
        from = p->journal_from;
    }
    pthread_mutex_unlock(&j->mu);
    if (!p) return false;

    int rc = plog_sync(p, &seq);
    if (err_passes(rc)) house_flush_at(d->logs, now_us(d->logs) + FILES_RETRY_US);
    bool moved = rc == 0, mine = false;
    pthread_mutex_lock(&j->mu);
    if (rc == 0 && list_linked(&p->journal_link)) {
        if (p->journal_last <= seq) mine = unlink_owing(p); /* J7: released */
        else if (seq + 1 > p->journal_from) {
            p->journal_from = seq + 1;
            list_remove(&p->journal_link);
            struct list *after = j->owing.prev; /* kept in rising order */
            while (after != &j->owing && container_of(after, struct plog, journal_link)->journal_from > p->journal_from)
                after = after->prev;
            list_push_front(after, &p->journal_link);
        }
        moved = mine || p->journal_from > from; /* else all of it is of the group being written */
    }
    pthread_mutex_unlock(&j->mu);
    if (mine) {
        struct plog *listed = p;
        plog_unref(&listed);
    }
    plog_unref(&p);
    queue_debt_fell(d, debt);
    return moved;
}

/* Is there so much that syncing shall go on (J20)? */
static bool pressed(struct journal *j, int64_t *may_grow)
{
    struct log_dir *d = j->dir;
    int state = state_of(j);
    *may_grow = 0;
    if (state != JOURNAL_READY && state != JOURNAL_CLOSED) return false;
    bool debt = atomic_load_explicit(&d->debt, memory_order_relaxed) > d->logs->set.dirty_max / 2;
    pthread_mutex_lock(&j->mu);
    bool owing = !list_empty(&j->owing), full = ring_since(&j->ring, oldest_live(j)) > j->ring.size / 2;
    if (full && state == JOURNAL_READY && j->ring.grown == j->ring.size && j->ring.size < j->max) *may_grow = j->ring.size;
    pthread_mutex_unlock(&j->mu);
    return owing && (full || debt || state == JOURNAL_CLOSED);
}

static enum turn sync_turn(void *arg)
{
    struct journal *j = arg;
    int64_t size;
    if (dir_failed(j->dir) || !pressed(j, &size)) return TURN_IDLE;
    if (size > 0) grow(j, size);
    else if (!journal_sync_oldest(j)) return TURN_IDLE; /* the commit under way kicks us when it is over */
    return TURN_MORE;
}

void journal_settle(struct journal *j)
{
    int64_t size;
    if (pressed(j, &size)) kick(&j->syncer);
}

void journal_start(struct journal *j)
{
    char name[32];
    snprintf(name, sizeof(name), "sync-%d", j->dir->i);
    atomic_store(&j->syncer.w, worker_start(j->dir->logs->world, name, sync_turn, j));
}

void journal_stop(struct journal *j) { kick_stop(&j->syncer); }
