/* Segments: files, sparse indexes, walking. See seg.h. */
#include "internal.h"
#include <errno.h>

static const char *const suffixes[] = { ".log", ".index", ".timeindex", ".txnindex", ".snapshot" };
enum { NAME_DIGITS = 20, RESYNC = 256 * 1024, SEARCH_BLOCK = 512 /* entries read at once at the end of a binary search */ };

struct segment *seg_new(struct plog *p, int64_t base)
{
    struct segment *s = new (struct segment);
    atomic_init(&s->refs, 1);
    s->dir = p->dir;
    s->log = p;
    s->base = base;
    fdent_init(&s->file);
    fdent_init(&s->off.file);
    fdent_init(&s->time.file);
    s->gauge =
        (struct sgauge){ .max_ts = NO_TIMESTAMP, .max_ts_offset = base, .time_last = NO_TIMESTAMP, .first_ts = NO_TIMESTAMP };
    return s;
}

void seg_unref(struct segment **sp)
{
    struct segment *s = *sp;
    *sp = NULL;
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1) return;
    seg_unhold(s);
    fd_drop(&s->dir->fds, &s->file);
    fd_drop(&s->dir->fds, &s->off.file);
    fd_drop(&s->dir->fds, &s->time.file);
    bytes_free(&s->off.tail);
    bytes_free(&s->time.tail);
    bytes_free(&s->snapshot);
    mem_free(s);
}

void seg_path_in(const char *dir, int64_t base, enum seg_file f, char out[SEG_PATH])
{
    int n = snprintf(out, SEG_PATH, "%s/%020lld%s", dir, (long long)base, suffixes[f]);
    assert(n > 0 && n < SEG_PATH);
}

void seg_path(const struct segment *s, enum seg_file f, char out[SEG_PATH]) { seg_path_in(s->log->path, s->base, f, out); }

int seg_name_parse(struct slice name, int64_t *base)
{
    if (name.n <= NAME_DIGITS) return -1;
    int64_t v = 0;
    for (int i = 0; i < NAME_DIGITS; i++) {
        if (name.p[i] < '0' || name.p[i] > '9') return -1;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, name.p[i] - '0', &v)) return -1;
    }
    struct slice rest = { name.p + NAME_DIGITS, name.n - NAME_DIGITS };
    for (int i = 0; i < (int)ARRAY_LEN(suffixes); i++) {
        if (!slice_eq(rest, slice_of(suffixes[i]))) continue;
        *base = v;
        return i;
    }
    return -1;
}

static int pin_file(struct segment *s, struct fdent *e, enum seg_file f, int flags)
{
    int fd = fd_pin_open(&s->dir->fds, e);
    if (fd >= 0) return fd;
    char path[SEG_PATH];
    seg_path(s, f, path);
    return fd_pin(&s->dir->fds, e, path, flags);
}

int seg_pin(struct segment *s, bool create)
{
    return pin_file(s, &s->file, SEG_LOG, FS_WRITE | (create ? FS_CREATE | FS_TRUNC : 0));
}

void seg_unpin(struct segment *s) { fd_unpin(&s->dir->fds, &s->file); }

int seg_hold(struct segment *s, const char *suffix)
{
    struct fdent *const e[] = { &s->file, &s->off.file, &s->time.file };
    int fd = 0, n = 0;
    if (s->held) return 0;
    while (n < (int)ARRAY_LEN(e) && fd >= 0) {
        char path[SEG_PATH], name[SEG_PATH + 16];
        seg_path(s, (enum seg_file)n, path);
        snprintf(name, sizeof(name), "%s%s", path, suffix);
        /* an index that is in memory only gets an empty file */
        fd = fd_pin(&s->dir->fds, e[n], name, FS_WRITE | (n > 0 ? FS_CREATE : 0));
        n += fd >= 0;
    }
    if (fd >= 0) {
        s->held = true;
        return 0;
    }
    while (n > 0) fd_unpin(&s->dir->fds, e[--n]);
    return fd;
}

void seg_unhold(struct segment *s)
{
    if (!s->held) return;
    fd_unpin(&s->dir->fds, &s->file);
    fd_unpin(&s->dir->fds, &s->off.file);
    fd_unpin(&s->dir->fds, &s->time.file);
    s->held = false;
}

/* ---- index entries ---------------------------------------------------------------------------------------------------------------- */

static void put_time(int64_t base, struct sgauge *g, struct bytes *time)
{
    if (g->max_ts <= g->time_last) return;
    uint8_t *e = bytes_room(time, TIME_ENTRY);
    put_be64(e, (uint64_t)g->max_ts);
    put_be32(e + 8, (uint32_t)(g->max_ts_offset - base));
    time->n += TIME_ENTRY;
    g->time_last = g->max_ts;
    g->time_n++;
}

void seg_note(int64_t base, uint32_t interval, struct sgauge *g, int64_t last, uint32_t at, uint32_t size, int64_t max_ts,
              struct bytes *off, struct bytes *time)
{
    if (max_ts > g->max_ts) {
        g->max_ts = max_ts;
        g->max_ts_offset = last;
    }
    if (!g->has_first) {
        g->has_first = true;
        g->first_ts = max_ts;
    }
    if (g->since > interval) {
        uint8_t *e = bytes_room(off, OFF_ENTRY);
        put_be32(e, (uint32_t)(last - base));
        put_be32(e + 4, at);
        off->n += OFF_ENTRY;
        g->off_n++;
        put_time(base, g, time);
        g->since = 0;
    }
    g->since = (uint32_t)MIN((uint64_t)g->since + size, (uint64_t)UINT32_MAX);
}

void seg_note_close(int64_t base, struct sgauge *g, struct bytes *time) { put_time(base, g, time); }

/* ---- walking -------------------------------------------------------------------------------------------------------------------------- */

void walk_begin(struct walk *w, struct fs *fs, int fd, int64_t at, int64_t limit, void *buf, size_t cap)
{
    *w = (struct walk){ .fs = fs, .fd = fd, .at = at, .limit = limit, .buf = buf, .cap = cap, .own = !buf };
    if (!buf) w->buf = mem_alloc(w->cap = MAX(cap, (size_t)4096));
}

void walk_end(struct walk *w)
{
    if (w->own) mem_free(w->buf);
    w->buf = NULL;
}

/* Makes n bytes from w->at readable in the buffer: how many there are, or E_IO. */
static ssize_t walk_fill(struct walk *w, size_t n)
{
    int64_t left = w->limit - w->at;
    if ((int64_t)n > left) n = (size_t)left;
    if (w->at >= w->buf_at && w->at + (int64_t)n <= w->buf_at + (int64_t)w->buf_n)
        return (ssize_t)(w->buf_n - (size_t)(w->at - w->buf_at));
    if (n > w->cap) {
        assert(w->own);
        mem_free(w->buf);
        w->buf = mem_alloc(w->cap = n);
    }
    ssize_t got = w->fs->pread(w->fs, w->fd, w->buf, (size_t)MIN((int64_t)w->cap, left), w->at);
    if (got < 0) return w->buf_n = 0, err_of_errno((int)got);
    w->buf_at = w->at;
    w->buf_n = (size_t)got;
    return got;
}

int walk_peek(struct walk *w, struct batch_head *h, const uint8_t **whole)
{
    if (w->at >= w->limit) return 0;
    ssize_t have = walk_fill(w, BATCH_HEADER);
    if (have < 0) return (int)have;
    const uint8_t *p = w->buf + (w->at - w->buf_at);
    if (batch_parse_head(p, (size_t)have, h) != 0 || h->size > w->limit - w->at) return E_CORRUPT_MESSAGE;
    if (!whole) return 1;
    have = walk_fill(w, (size_t)h->size);
    if (have < 0) return (int)have;
    if (have < h->size) return E_CORRUPT_MESSAGE; /* the file is shorter than its size said */
    *whole = w->buf + (w->at - w->buf_at);
    return 1;
}

int walk_resync(struct walk *w, struct batch_head *h, int64_t base)
{
    uint8_t *buf = mem_alloc(RESYNC), *whole = NULL;
    bool found = false;
    ssize_t got = 0;
    for (int64_t at = w->at + 1; !found && at + BATCH_HEADER <= w->limit;) {
        got = w->fs->pread(w->fs, w->fd, buf, (size_t)MIN((int64_t)RESYNC, w->limit - at), at);
        if (got < BATCH_HEADER) break;
        ssize_t i = 0;
        for (; !found && i + BATCH_HEADER <= got; i++) {
            const uint8_t *p = buf + i;
            if (p[BATCH_AT_MAGIC] != 2 || batch_parse_head(p, BATCH_HEADER, h) != 0 || h->size > w->limit - (at + i)) continue;
            if (h->base_offset < base || batch_last_offset(h) < h->base_offset || batch_last_offset(h) - base > INT32_MAX)
                continue;
            whole = mem_alloc((size_t)h->size);
            ssize_t all = w->fs->pread(w->fs, w->fd, whole, (size_t)h->size, at + i);
            found = all == h->size && batch_verify(whole, (size_t)h->size) == 0;
            mem_free(whole);
            if (found) w->at = at + i;
            if (all < 0) got = all; /* ends both loops */
        }
        if (got < 0) break;
        at += i;
    }
    mem_free(buf);
    return got < 0 ? err_of_errno((int)got) : found;
}

/* ---- loading, rebuilding ------------------------------------------------------------------------------------------------------------------ */

static int64_t off_entry_offset(const struct segment *s, const uint8_t *e) { return s->base + (int32_t)be32(e); }

/* What the files say, into g; false: do not believe them. */
static bool indexes_believable(struct segment *s, int off_fd, int time_fd, uint32_t size, struct sgauge *g)
{
    struct fs *fs = s->dir->logs->fs;
    struct fs_stat so, st;
    uint8_t first[TIME_ENTRY], last[TIME_ENTRY];
    if (fs->fstat(fs, off_fd, &so) < 0 || fs->fstat(fs, time_fd, &st) < 0) return false;
    if (so.size % OFF_ENTRY || st.size % TIME_ENTRY || so.size > UINT32_MAX || st.size > UINT32_MAX) return false;
    g->off_n = (uint32_t)(so.size / OFF_ENTRY);
    g->time_n = (uint32_t)(st.size / TIME_ENTRY);
    if (g->off_n > 0) {
        if (fs->pread(fs, off_fd, last, OFF_ENTRY, so.size - OFF_ENTRY) != OFF_ENTRY) return false;
        uint32_t at = be32(last + 4);
        if (off_entry_offset(s, last) < s->base || at == 0 || at >= size) return false;
    }
    if (g->time_n == 0 && size > 0) return false; /* rolling and closing leave one entry at least */
    if (g->time_n > 0) {
        if (fs->pread(fs, time_fd, first, TIME_ENTRY, 0) != TIME_ENTRY) return false;
        if (fs->pread(fs, time_fd, last, TIME_ENTRY, st.size - TIME_ENTRY) != TIME_ENTRY) return false;
        g->max_ts = g->time_last = (int64_t)be64(last);
        g->max_ts_offset = s->base + (int32_t)be32(last + 8);
        if (g->max_ts < (int64_t)be64(first) || g->max_ts_offset < s->base) return false;
        if (g->time_n > 1 && g->max_ts == 0 && g->max_ts_offset == s->base) return false; /* zeroes */
    }
    return true;
}

int seg_load_saved(struct segment *s)
{
    struct plog *p = s->log;
    pthread_mutex_lock(&p->mu);
    bool loaded = s->loaded;
    uint32_t size = s->size;
    pthread_mutex_unlock(&p->mu);
    if (loaded) return 1;

    struct sgauge g = { .max_ts = NO_TIMESTAMP, .max_ts_offset = s->base, .time_last = NO_TIMESTAMP, .first_ts = NO_TIMESTAMP };
    int off_fd = pin_file(s, &s->off.file, SEG_OFF, FS_WRITE);
    if (off_fd < 0 && off_fd != -ENOENT) return err_of_errno(off_fd);
    int time_fd = pin_file(s, &s->time.file, SEG_TIME, FS_WRITE);
    if (time_fd < 0 && time_fd != -ENOENT) {
        if (off_fd >= 0) fd_unpin(&s->dir->fds, &s->off.file);
        return err_of_errno(time_fd);
    }
    bool good = off_fd >= 0 && time_fd >= 0 && indexes_believable(s, off_fd, time_fd, size, &g);
    if (off_fd >= 0) fd_unpin(&s->dir->fds, &s->off.file);
    if (time_fd >= 0) fd_unpin(&s->dir->fds, &s->time.file);
    if (!good) return 0;
    pthread_mutex_lock(&p->mu);
    if (!s->loaded) {
        s->off.saved = g.off_n;
        s->time.saved = g.time_n;
        g.has_first = s->gauge.has_first;
        g.first_ts = s->gauge.first_ts;
        s->gauge = g;
        s->loaded = true;
    }
    pthread_mutex_unlock(&p->mu);
    return 1;
}

int seg_load(struct segment *s)
{
    struct plog *p = s->log;
    int rc = seg_load_saved(s);
    if (rc != 0) return MIN(rc, 0);
    pthread_mutex_lock(&p->mu);
    bool tell = s->size > 0 && s->sealed; /* an active segment's is often not written yet when the broker dies */
    pthread_mutex_unlock(&p->mu);
    if (tell) log_warn("storage", "index missing or damaged, rebuilding it", KV_STR("log", p->name), KV_I64("segment", s->base));
    return seg_rebuild(s);
}

int seg_rebuild(struct segment *s)
{
    struct plog *p = s->log;
    struct bytes off = { 0 }, time = { 0 };
    struct sgauge g = { .max_ts = NO_TIMESTAMP, .max_ts_offset = s->base, .time_last = NO_TIMESTAMP, .first_ts = NO_TIMESTAMP };
    pthread_mutex_lock(&p->mu);
    uint32_t size = s->size, interval = (uint32_t)p->conf.index_interval_bytes;
    bool sealed = s->sealed;
    pthread_mutex_unlock(&p->mu);

    int rc = 0, fd = seg_pin(s, false);
    if (fd < 0) return err_of_errno(fd);
    struct walk w;
    walk_begin(&w, s->dir->logs->fs, fd, 0, size, NULL, 64 * KiB);
    struct batch_head h = { 0 };
    while ((rc = walk_peek(&w, &h, NULL)) == 1 || (rc == E_CORRUPT_MESSAGE && (rc = walk_resync(&w, &h, s->base)) == 1)) {
        seg_note(s->base, interval, &g, batch_last_offset(&h), (uint32_t)w.at, (uint32_t)h.size, h.max_timestamp, &off, &time);
        walk_skip(&w, &h);
    }
    walk_end(&w);
    seg_unpin(s);
    if (rc < 0) goto out; /* damage in synced data, and nothing whole behind it, is no error */
    if (sealed) seg_note_close(s->base, &g, &time);

    pthread_mutex_lock(&p->mu);
    if (s->size == size) { /* else appended meanwhile: the gauge of the appender is right, leave it */
        struct bytes t = s->off.tail;
        s->off.tail = off;
        off = t;
        t = s->time.tail;
        s->time.tail = time;
        time = t;
        s->off.saved = s->time.saved = 0;
        s->gauge = g;
        s->loaded = true;
        s->saved = false;
        s->unsaved = true;
    }
    s->rebuild = false;
    pthread_mutex_unlock(&p->mu);
out:
    bytes_free(&off);
    bytes_free(&time);
    return rc;
}

/* ---- looking up ----------------------------------------------------------------------------------------------------------------------------- */

/* The last of n entries whose key is ≤ what is asked, or -1. */
static int64_t search_mem(const uint8_t *v, size_t n, size_t esize, int64_t base, int64_t key)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const uint8_t *e = v + mid * esize;
        int64_t k = esize == OFF_ENTRY ? base + (int32_t)be32(e) : (int64_t)be64(e);
        if (k <= key) lo = mid + 1;
        else hi = mid;
    }
    return (int64_t)lo - 1;
}

static int search_file(struct segment *s, struct sidx *x, enum seg_file f, size_t esize, uint32_t n, int64_t key,
                       uint8_t out[TIME_ENTRY], bool *found)
{
    struct fs *fs = s->dir->logs->fs;
    uint8_t block[SEARCH_BLOCK * TIME_ENTRY];
    *found = false;
    int fd = pin_file(s, &x->file, f, FS_WRITE);
    if (fd < 0) return err_of_errno(fd);
    uint32_t lo = 0, hi = n; /* the answer is in [lo, hi) or before all */
    int rc = 0;
    while (hi - lo > SEARCH_BLOCK) {
        uint32_t mid = lo + (hi - lo) / 2;
        ssize_t got = fs->pread(fs, fd, block, esize, (int64_t)mid * (int64_t)esize);
        if (got != (ssize_t)esize) {
            rc = got < 0 ? err_of_errno((int)got) : E_CORRUPT;
            goto out;
        }
        if (search_mem(block, 1, esize, s->base, key) == 0) lo = mid;
        else hi = mid;
    }
    if (hi > lo) {
        ssize_t want = (ssize_t)((hi - lo) * esize), got = fs->pread(fs, fd, block, (size_t)want, (int64_t)lo * (int64_t)esize);
        if (got != want) {
            rc = got < 0 ? err_of_errno((int)got) : E_CORRUPT;
            goto out;
        }
        int64_t i = search_mem(block, hi - lo, esize, s->base, key);
        if (i >= 0) {
            memcpy(out, block + (size_t)i * esize, esize);
            *found = true;
        }
    }
out:
    fd_unpin(&s->dir->fds, &x->file);
    return rc;
}

static int search(struct segment *s, struct sidx *x, enum seg_file f, size_t esize, int64_t key, uint8_t out[TIME_ENTRY],
                  bool *found)
{
    pthread_mutex_lock(&s->log->mu);
    if (!s->loaded) {
        pthread_mutex_unlock(&s->log->mu);
        int rc = seg_load(s);
        if (rc < 0) return rc;
        pthread_mutex_lock(&s->log->mu);
    }
    int64_t i = x->tail.n ? search_mem(x->tail.p, x->tail.n / esize, esize, s->base, key) : -1;
    if (i >= 0) memcpy(out, x->tail.p + (size_t)i * esize, esize);
    uint32_t n = x->saved;
    pthread_mutex_unlock(&s->log->mu);
    *found = i >= 0;
    return i >= 0 || n == 0 ? 0 : search_file(s, x, f, esize, n, key, out, found);
}

int seg_lookup(struct segment *s, int64_t offset, uint32_t *at)
{
    uint8_t e[TIME_ENTRY];
    bool found;
    *at = 0;
    int rc = search(s, &s->off, SEG_OFF, OFF_ENTRY, offset, e, &found);
    if (rc == 0 && found) *at = be32(e + 4);
    return rc;
}

int seg_lookup_time(struct segment *s, int64_t ts, int64_t *offset)
{
    uint8_t e[TIME_ENTRY];
    bool found;
    *offset = s->base;
    int rc = search(s, &s->time, SEG_TIME, TIME_ENTRY, ts, e, &found);
    if (rc == 0 && found) *offset = s->base + (int32_t)be32(e + 8);
    return rc;
}

/* ---- writing behind -------------------------------------------------------------------------------------------------------------------------- */

static int write_tail(struct segment *s, struct sidx *x, enum seg_file f, size_t esize, uint32_t least, bool sync)
{
    struct fs *fs = s->dir->logs->fs;
    struct plog *p = s->log;
    int rc = 0, fd = -1;
    pthread_mutex_lock(&p->mu);
    size_t waiting = x->tail.n / esize;
    pthread_mutex_unlock(&p->mu);
    if (waiting < least && !sync) return 0;
    if (waiting == 0 && !sync) return 0;
    if ((fd = pin_file(s, &x->file, f, FS_WRITE | FS_CREATE)) < 0) return err_of_errno(fd);

    struct bytes copy = { 0 };
    uint32_t saved;
    for (;;) { /* the appender may add meanwhile: until nothing is left of what we were asked for */
        pthread_mutex_lock(&p->mu);
        size_t n = MIN(x->tail.n, (size_t)4096 * esize);
        saved = x->saved;
        copy.n = 0;
        if (n) bytes_put(&copy, x->tail.p, n);
        pthread_mutex_unlock(&p->mu);
        if (n == 0) break;
        struct iovec v = { copy.p, n };
        if ((rc = fs->pwritev(fs, fd, &v, 1, (int64_t)saved * (int64_t)esize)) < 0) break;
        pthread_mutex_lock(&p->mu);
        x->saved += (uint32_t)(n / esize);
        memmove(x->tail.p, x->tail.p + n, x->tail.n - n);
        x->tail.n -= n;
        pthread_mutex_unlock(&p->mu);
    }
    if (rc == 0 && sync) {
        struct fs_stat st;
        int64_t size = (int64_t)saved * (int64_t)esize;
        if ((rc = fs->fstat(fs, fd, &st)) == 0 && st.size != size) rc = fs->truncate(fs, fd, size);
        if (rc == 0) rc = fs->datasync(fs, fd);
        if (rc == 0) metric_add(M_sys_sync, 1);
    }
    bytes_free(&copy);
    fd_unpin(&s->dir->fds, &x->file);
    return rc < 0 ? err_of_errno(rc) : 0;
}

int seg_write_indexes(struct segment *s, uint32_t least)
{
    int rc = write_tail(s, &s->off, SEG_OFF, OFF_ENTRY, least, false);
    return rc < 0 ? rc : write_tail(s, &s->time, SEG_TIME, TIME_ENTRY, least, false);
}

int seg_save_indexes(struct segment *s)
{
    int rc = write_tail(s, &s->off, SEG_OFF, OFF_ENTRY, 0, true);
    if (rc == 0) rc = write_tail(s, &s->time, SEG_TIME, TIME_ENTRY, 0, true);
    if (rc < 0) return rc;
    pthread_mutex_lock(&s->log->mu);
    s->unsaved = false;
    pthread_mutex_unlock(&s->log->mu);
    return 0;
}
