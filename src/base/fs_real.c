/* Files of the machine, by POSIX.
 *
 * Interrupted and short transfers are continued here, vectors longer than IOV_MAX are cut into several calls. Every other error
 * goes to the caller as -errno; nothing is retried. close() is called once even when it reports an error: the descriptor is gone.
 */
#include "real.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define RETRY(rc, call) \
    do {                \
        (rc) = (call);  \
    } while ((rc) < 0 && errno == EINTR)

static int done(int rc) { return rc < 0 ? -errno : rc; }

static int real_open(struct fs *fs, const char *path, int flags)
{
    int how = O_CLOEXEC | (flags & FS_WRITE ? O_RDWR : O_RDONLY) | (flags & FS_CREATE ? O_CREAT : 0) |
              (flags & FS_TRUNC ? O_TRUNC : 0) | (flags & FS_EXCL ? O_EXCL : 0) | (flags & FS_DIRECT ? O_DIRECT : 0) |
              (flags & FS_DIR ? O_DIRECTORY : 0);
    int fd;
    RETRY(fd, open(path, how, 0640));
    return done(fd);
}

static int real_close(struct fs *fs, int fd)
{
    int rc = close(fd);
    return rc < 0 && errno == EINTR ? 0 : done(rc);
}

static ssize_t real_pread(struct fs *fs, int fd, void *p, size_t n, int64_t at)
{
    size_t got = 0;
    while (got < n) {
        ssize_t rc;
        RETRY(rc, pread(fd, (char *)p + got, n - got, at + (int64_t)got));
        if (rc < 0) return -errno;
        if (rc == 0) break;
        got += (size_t)rc;
    }
    return (ssize_t)got;
}

static int real_pwritev(struct fs *fs, int fd, const struct iovec *v, int n, int64_t at)
{
    struct iovec part[64];
    int i = 0;       /* the vector in work, */
    size_t skip = 0; /* and how much of it is written */

    while (i < n) {
        if (v[i].iov_len == skip) {
            i++;
            skip = 0;
            continue;
        }
        const struct iovec *from = v + i;
        int count = MIN(n - i, IOV_MAX);
        if (skip > 0) { /* after a short write: go on in a small copy */
            count = MIN(n - i, (int)ARRAY_LEN(part));
            memcpy(part, v + i, (size_t)count * sizeof(part[0]));
            part[0].iov_base = (char *)part[0].iov_base + skip;
            part[0].iov_len -= skip;
            from = part;
        }
        ssize_t rc;
        RETRY(rc, pwritev(fd, from, count, at));
        if (rc < 0) return -errno;
        if (rc == 0) return -EIO;
        at += rc;
        for (size_t left = (size_t)rc; left > 0;) {
            size_t here = MIN(left, v[i].iov_len - skip);
            left -= here;
            skip += here;
            if (skip == v[i].iov_len) {
                i++;
                skip = 0;
            }
        }
    }
    return 0;
}

static int real_truncate(struct fs *fs, int fd, int64_t size)
{
    int rc;
    RETRY(rc, ftruncate(fd, size));
    return done(rc);
}

static int real_datasync(struct fs *fs, int fd)
{
    int rc;
    RETRY(rc, fdatasync(fd));
    return done(rc);
}

static int real_sync_dir(struct fs *fs, const char *path)
{
    int fd, rc;
    RETRY(fd, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) return -errno;
    RETRY(rc, fsync(fd));
    rc = done(rc);
    close(fd);
    return rc;
}

static int real_sync_names(struct fs *fs, int fd)
{
    int rc;
    RETRY(rc, fsync(fd));
    return done(rc);
}

static int real_rename(struct fs *fs, const char *from, const char *to) { return done(rename(from, to)); }
static int real_unlink(struct fs *fs, const char *path) { return done(unlink(path)); }
static int real_mkdir(struct fs *fs, const char *path) { return done(mkdir(path, 0750)); }
static int real_rmdir(struct fs *fs, const char *path) { return done(rmdir(path)); }

static void stat_out(const struct stat *in, struct fs_stat *out)
{
    out->size = in->st_size;
    out->mtime_ms = in->st_mtim.tv_sec * 1000 + in->st_mtim.tv_nsec / 1000000;
    out->is_dir = S_ISDIR(in->st_mode);
}

static int real_stat(struct fs *fs, const char *path, struct fs_stat *out)
{
    struct stat st;
    if (stat(path, &st) < 0) return -errno;
    stat_out(&st, out);
    return 0;
}

static int real_fstat(struct fs *fs, int fd, struct fs_stat *out)
{
    struct stat st;
    if (fstat(fd, &st) < 0) return -errno;
    stat_out(&st, out);
    return 0;
}

static int by_name(const void *a, const void *b) { return slice_cmp(*(const struct slice *)a, *(const struct slice *)b); }

static int real_list(struct fs *fs, const char *path, struct arena *a, struct slice **names, int *n)
{
    DIR *dir = opendir(path);
    if (!dir) return -errno;
    struct bytes all = { 0 }; /* of slices */
    int rc = 0;
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(dir); // NOLINT(concurrency-mt-unsafe): a stream of our own
        if (!e) {
            rc = -errno;
            break;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        struct slice name = arena_printf(a, "%s", e->d_name);
        bytes_put(&all, &name, sizeof(name));
    }
    closedir(dir);
    if (rc == 0) {
        *n = (int)(all.n / sizeof(struct slice));
        *names = arena_array(a, struct slice, *n);
        if (all.n) memcpy(*names, all.p, all.n);
        qsort(*names, (size_t)*n, sizeof(struct slice), by_name);
    }
    bytes_free(&all);
    return rc;
}

static int real_space(struct fs *fs, const char *path, struct fs_space *sp)
{
    static const struct {
        uint32_t magic;
        const char *name;
    } cow[] = {
        { 0x9123683e, "btrfs" }, { 0x2fc12fc1, "zfs" }, { 0xca451a4e, "bcachefs" }, { 0x3434, "nilfs2" }, { 0xf2f52010, "f2fs" }
    };
    struct statfs st;
    int rc;
    RETRY(rc, statfs(path, &st));
    if (rc < 0) return -errno;
    int64_t unit = st.f_frsize ? (int64_t)st.f_frsize : (int64_t)st.f_bsize;
    *sp = (struct fs_space){ .total = (int64_t)st.f_blocks * unit, .available = (int64_t)st.f_bavail * unit };
    for (size_t i = 0; i < ARRAY_LEN(cow); i++)
        if ((uint32_t)st.f_type == cow[i].magic) sp->cow = cow[i].name;
    return 0;
}

static int real_lock(struct fs *fs, const char *path)
{
    int fd = real_open(fs, path, FS_WRITE | FS_CREATE);
    if (fd < 0) return fd;
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int rc;
    RETRY(rc, fcntl(fd, F_OFD_SETLK, &l));
    if (rc == 0) return fd;
    rc = errno == EACCES ? -EAGAIN : -errno;
    close(fd);
    return rc;
}

static void real_forget(struct fs *fs, int fd, int64_t at, int64_t n)
{
    int rc = posix_fadvise(fd, at, n, POSIX_FADV_DONTNEED);
    (void)rc;
}

static void real_writeback(struct fs *fs, int fd, int64_t at, int64_t n)
{
    int rc = sync_file_range(fd, at, n, SYNC_FILE_RANGE_WRITE);
    (void)rc;
}

#ifndef SYS_cachestat /* Linux 6.5 */
#define SYS_cachestat 451
#endif

/* How many pages of [at, at + n) are in the page cache; -1 where that cannot be asked. */
static int64_t pages_cached(int fd, int64_t at, int64_t n)
{
    struct {
        uint64_t at, n;
    } range = { (uint64_t)at, (uint64_t)n };
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } found;
    static _Atomic bool cannot;
    if (atomic_load_explicit(&cannot, memory_order_relaxed)) return -1;
    if (syscall(SYS_cachestat, fd, &range, &found, 0) == 0) return (int64_t)found.cached;
    if (errno == ENOSYS || errno == EPERM) atomic_store_explicit(&cannot, true, memory_order_relaxed);
    return -1;
}

static bool byte_waits(int fd, int64_t at)
{
    uint8_t byte;
    struct iovec v = { &byte, 1 };
    return preadv2(fd, &v, 1, at, RWF_NOWAIT) < 0 && errno == EAGAIN;
}

/* By the kernel's count, and a byte at the end: pages being read count as there. Else by a byte here and there; where that cannot be asked all counts
 * as there. */
static bool real_resident(struct fs *fs, int fd, int64_t at, int64_t n)
{
    enum { STEP = 128 * 1024 };
    int64_t last = at + n - 1, page = sysconf(_SC_PAGESIZE), cached = pages_cached(fd, at, n);
    if (cached >= 0) return cached > last / page - at / page && !byte_waits(fd, last);
    for (int64_t pos = at; pos <= last; pos = pos == last ? last + 1 : MIN(pos + STEP, last))
        if (byte_waits(fd, pos)) return false;
    return true;
}

static void real_readahead(struct fs *fs, int fd, int64_t at, int64_t n)
{
    int rc = posix_fadvise(fd, at, n, POSIX_FADV_WILLNEED);
    (void)rc;
}

struct fs fs_real = {
    .real = true,
    .open = real_open,
    .close = real_close,
    .pread = real_pread,
    .pwritev = real_pwritev,
    .truncate = real_truncate,
    .datasync = real_datasync,
    .sync_dir = real_sync_dir,
    .sync_names = real_sync_names,
    .rename = real_rename,
    .unlink = real_unlink,
    .mkdir = real_mkdir,
    .rmdir = real_rmdir,
    .stat = real_stat,
    .fstat = real_fstat,
    .list = real_list,
    .space = real_space,
    .lock = real_lock,
    .forget = real_forget,
    .writeback = real_writeback,
    .resident = real_resident,
    .readahead = real_readahead,
};
