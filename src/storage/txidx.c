/* The transaction index: entries in the order of their markers, so reading begins at a binary search and ends at the first
 * entry whose last stable offset lies at or above what is wanted: whatever was aborted later began at or above that offset. */
#include "txidx.h"

#include <errno.h>

enum { TXIDX_VERSION = 0, TXIDX_CHUNK = 120, TXIDX_SEARCH_FROM = 256 };

void txidx_encode(const struct txidx_entry *e, uint8_t out[TXIDX_ENTRY_SIZE])
{
    put_be16(out, TXIDX_VERSION);
    put_be64(out + 2, (uint64_t)e->producer_id);
    put_be64(out + 10, (uint64_t)e->first);
    put_be64(out + 18, (uint64_t)e->last);
    put_be64(out + 26, (uint64_t)e->stable);
}

int txidx_decode(const uint8_t in[TXIDX_ENTRY_SIZE], struct txidx_entry *out)
{
    *out = (struct txidx_entry){ .producer_id = (int64_t)be64(in + 2),
                                 .first = (int64_t)be64(in + 10),
                                 .last = (int64_t)be64(in + 18),
                                 .stable = (int64_t)be64(in + 26) };
    return (int16_t)be16(in) > TXIDX_VERSION ? E_CORRUPT : 0;
}

/* An open file and its whole entries. */
struct file {
    struct fs *fs;
    int fd;
    int64_t size, n;
};

/* 1 open, 0 no file, negative enum err. */
static int file_open(struct file *f, struct fs *fs, const char *path, int flags)
{
    struct fs_stat st;
    *f = (struct file){ .fs = fs, .fd = fs->open(fs, path, flags) };
    if (f->fd == -ENOENT) return 0;
    if (f->fd < 0) return err_of_errno(f->fd);
    int rc = fs->fstat(fs, f->fd, &st);
    if (rc < 0) {
        fs->close(fs, f->fd);
        return err_of_errno(rc);
    }
    f->size = st.size;
    f->n = st.size / TXIDX_ENTRY_SIZE;
    return 1;
}

static int file_close(struct file *f, int rc)
{
    int closed = f->fs->close(f->fs, f->fd);
    return rc < 0 ? rc : closed < 0 ? err_of_errno(closed) : rc;
}

/* Reads up to n entries from `at`; how many, or an error. */
static int file_read(struct file *f, int64_t at, int n, struct txidx_entry *out)
{
    uint8_t buf[TXIDX_CHUNK * TXIDX_ENTRY_SIZE];
    n = (int)MIN(MIN((int64_t)n, TXIDX_CHUNK), f->n - at);
    ssize_t got = f->fs->pread(f->fs, f->fd, buf, (size_t)n * TXIDX_ENTRY_SIZE, at * TXIDX_ENTRY_SIZE);
    if (got < 0) return err_of_errno((int)got);
    n = (int)(got / TXIDX_ENTRY_SIZE);
    for (int i = 0; i < n; i++) {
        int rc = txidx_decode(buf + (size_t)i * TXIDX_ENTRY_SIZE, &out[i]);
        if (rc < 0) return rc;
    }
    return n;
}

/* *at = the first entry whose marker is at or above `offset`. */
static int file_search(struct file *f, int64_t offset, int64_t *at)
{
    int64_t lo = 0, hi = f->n;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        struct txidx_entry e;
        int rc = file_read(f, mid, 1, &e);
        if (rc < 0) return rc;
        if (rc == 1 && e.last < offset) lo = mid + 1;
        else hi = mid;
    }
    *at = lo;
    return 0;
}

int txidx_append(struct fs *fs, const char *path, const struct txidx_entry *e, int n)
{
    if (n <= 0) return 0;
    struct file f;
    int rc = file_open(&f, fs, path, FS_WRITE | FS_CREATE);
    if (rc <= 0) return rc < 0 ? rc : E_IO;

    struct txidx_entry last = { .last = -1 };
    rc = f.n ? file_read(&f, f.n - 1, 1, &last) : 0;
    uint8_t *buf = mem_alloc((size_t)n * TXIDX_ENTRY_SIZE);
    for (int i = 0; i < n && rc >= 0; i++) {
        if (e[i].last <= last.last) rc = E_INVALID;
        last = e[i];
        txidx_encode(&e[i], buf + (size_t)i * TXIDX_ENTRY_SIZE);
    }
    if (rc >= 0) {
        struct iovec v = { buf, (size_t)n * TXIDX_ENTRY_SIZE };
        rc = err_of_errno(fs->pwritev(fs, f.fd, &v, 1, f.n * TXIDX_ENTRY_SIZE));
        if (rc < 0) fs->truncate(fs, f.fd, f.n * TXIDX_ENTRY_SIZE); /* at worst a torn entry stays, which nobody sees */
    }
    mem_free(buf);
    return file_close(&f, rc < 0 ? rc : 0);
}

int txidx_sync(struct fs *fs, const char *path)
{
    struct file f;
    int rc = file_open(&f, fs, path, FS_WRITE);
    if (rc <= 0) return rc;
    return file_close(&f, err_of_errno(fs->datasync(fs, f.fd)));
}

int64_t txidx_count(struct fs *fs, const char *path)
{
    struct fs_stat st;
    int rc = fs->stat(fs, path, &st);
    if (rc == -ENOENT) return 0;
    return rc < 0 ? err_of_errno(rc) : st.size / TXIDX_ENTRY_SIZE;
}

static void found_add(struct txidx_found *out, const struct txidx_entry *e)
{
    if (out->n == out->cap) {
        int cap = MAX(out->cap * 2, 8);
        struct txidx_entry *v = arena_array(out->arena, struct txidx_entry, cap);
        if (out->n) memcpy(v, out->v, (size_t)out->n * sizeof(*v));
        out->v = v;
        out->cap = cap;
    }
    out->v[out->n++] = *e;
}

int txidx_collect(struct fs *fs, const char *path, int64_t from, int64_t upto, struct txidx_found *out, bool *complete)
{
    struct file f;
    *complete = false;
    int rc = file_open(&f, fs, path, FS_READ);
    if (rc <= 0) return rc;

    /* An entry below `from` cannot end the search: its last stable offset is at most its marker's + 1. */
    int64_t at = 0;
    rc = f.n > TXIDX_SEARCH_FROM ? file_search(&f, from, &at) : 0;
    struct txidx_entry e[TXIDX_CHUNK];
    while (rc >= 0 && !*complete && at < f.n && (rc = file_read(&f, at, TXIDX_CHUNK, e)) > 0) {
        for (int i = 0; i < rc && !*complete; i++) {
            if (e[i].last >= from && e[i].first < upto) found_add(out, &e[i]);
            *complete = e[i].stable >= upto;
        }
        at += rc;
    }
    return file_close(&f, rc < 0 ? rc : 0);
}

int txidx_truncate(struct fs *fs, const char *path, int64_t offset)
{
    struct file f;
    int rc = file_open(&f, fs, path, FS_WRITE);
    if (rc <= 0) return rc;
    int64_t at = 0;
    rc = file_search(&f, offset, &at);
    if (rc == 0 && at * TXIDX_ENTRY_SIZE < f.size) rc = err_of_errno(fs->truncate(fs, f.fd, at * TXIDX_ENTRY_SIZE));
    return file_close(&f, rc);
}

int txidx_check(struct fs *fs, const char *path, int64_t base, struct why *w)
{
    struct file f;
    int rc = file_open(&f, fs, path, FS_READ);
    if (rc < 0) return why(w, rc, "%s: %s", path, err_text(rc));
    if (rc == 0) return 0;
    rc = 0;
    if (f.size % TXIDX_ENTRY_SIZE) rc = why(w, E_CORRUPT, "%s: %lld bytes are no whole entries", path, (long long)f.size);

    struct txidx_entry e[TXIDX_CHUNK] = { 0 };
    int64_t last = base - 1;
    for (int64_t at = 0; rc == 0 && at < f.n;) {
        int n = file_read(&f, at, TXIDX_CHUNK, e);
        if (n == 0) break; /* shorter than it was */
        if (n < 0) rc = why(w, n, "%s: %s", path, n == E_CORRUPT ? "unknown version" : err_text(n));
        for (int i = 0; i < n && rc == 0; i++, at++) {
            if (e[i].last <= last || e[i].first > e[i].last || e[i].first < 0)
                rc = why(w, E_CORRUPT, "%s: entry %lld: transaction %lld–%lld after offset %lld", path, (long long)at,
                         (long long)e[i].first, (long long)e[i].last, (long long)last);
            last = e[i].last;
        }
    }
    return file_close(&f, rc);
}
