/* What can be said over any `struct fs`: whole files, whole trees.
 *
 * fs_write_file leaves the old content or the new one whatever happens: tmp, datasync, rename, sync_dir. When it fails before the
 * rename the tmp file is removed; when the last step fails the new content is there but perhaps not durable, and the error says
 * so. */
#include <errno.h>
#include <odradek/base.h>

static char *parent_of(const char *path)
{
    struct slice s = slice_of(path);
    while (s.n > 1 && s.p[s.n - 1] == '/') s.n--;
    while (s.n > 0 && s.p[s.n - 1] != '/') s.n--;
    while (s.n > 1 && s.p[s.n - 1] == '/') s.n--;
    return s.n ? mem_strdup(s) : mem_strdup(S("."));
}

int fs_sync_parent(struct fs *fs, const char *path)
{
    char *dir = parent_of(path);
    int rc = fs->sync_dir(fs, dir);
    mem_free(dir);
    return rc;
}

int fs_read_file(struct fs *fs, const char *path, size_t max, struct bytes *out)
{
    int fd = fs->open(fs, path, FS_READ);
    if (fd < 0) return fd;
    struct fs_stat st;
    int rc = fs->fstat(fs, fd, &st);
    if (rc == 0 && st.is_dir) rc = -EISDIR;
    if (rc == 0 && (uint64_t)st.size > max) rc = -EFBIG;
    if (rc == 0) {
        ssize_t got = fs->pread(fs, fd, bytes_room(out, (size_t)st.size), (size_t)st.size, 0);
        if (got < 0) rc = (int)got;
        else out->n += (size_t)got;
    }
    fs->close(fs, fd);
    return rc;
}

int fs_write_file(struct fs *fs, const char *path, struct slice content)
{
    struct bytes tmp = { 0 };
    bytes_printf(&tmp, "%s.tmp", path);
    const char *name = (const char *)tmp.p;

    int rc = fs->open(fs, name, FS_WRITE | FS_CREATE | FS_TRUNC);
    if (rc >= 0) {
        int fd = rc;
        struct iovec v = { (void *)(uintptr_t)content.p, content.n };
        rc = content.n ? fs->pwritev(fs, fd, &v, 1, 0) : 0;
        if (rc == 0) rc = fs->datasync(fs, fd);
        int closed = fs->close(fs, fd);
        if (rc == 0) rc = closed;
        if (rc == 0) rc = fs->rename(fs, name, path);
        if (rc == 0) rc = fs_sync_parent(fs, path);
        else fs->unlink(fs, name);
    }
    bytes_free(&tmp);
    return rc;
}

int fs_mkdirs(struct fs *fs, const char *path)
{
    char *z = mem_strdup(slice_of(path));
    int rc = 0;
    for (char *at = z; rc == 0 && *at;) {
        while (*at == '/') at++;
        char *end = at;
        while (*end && *end != '/') end++;
        char was = *end;
        *end = 0;
        if (end > at) {
            struct fs_stat st;
            rc = fs->stat(fs, z, &st);
            if (rc == 0 && !st.is_dir) rc = -ENOTDIR;
            if (rc == -ENOENT) {
                rc = fs->mkdir(fs, z);
                if (rc == 0) rc = fs_sync_parent(fs, z);
                if (rc == -EEXIST) rc = 0; /* somebody was faster */
            }
        }
        *end = was;
        at = end;
    }
    mem_free(z);
    return rc;
}

int fs_remove_tree(struct fs *fs, const char *path)
{
    struct fs_stat st;
    int rc = fs->stat(fs, path, &st);
    if (rc == -ENOENT) { /* a dangling link has no stat but a name */
        rc = fs->unlink(fs, path);
        return rc == -ENOENT ? 0 : rc;
    }
    if (rc < 0) return rc;
    rc = fs->unlink(fs, path); /* a file, or a link, which is never followed */
    if (rc == 0 || (rc != -EISDIR && rc != -EPERM)) return rc;

    struct arena a;
    struct slice *names;
    int n = 0;
    arena_init(&a);
    rc = fs->list(fs, path, &a, &names, &n);
    for (int i = 0; rc == 0 && i < n; i++) rc = fs_remove_tree(fs, arena_printf(&a, "%s/" S_FMT, path, S_ARG(names[i])).p);
    if (rc == 0) rc = fs->rmdir(fs, path);
    arena_free(&a);
    return rc;
}
