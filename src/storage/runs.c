/* One slot is written at a time, over the older one. */
#include "runs.h"
#include <errno.h>

enum { SLOT = 4096, SLOT_HEAD = 96, SLOTS = 2, VERSION = 1 };
static const char magic[8] = { 'O', 'D', 'R', 'R', 'U', 'N', 'S', '1' };

static const char *path_of(struct bytes *path, const char *dir)
{
    bytes_printf(path, "%s/" RUNS_FILE, dir);
    return (const char *)path->p;
}

static void put_slot(uint8_t out[SLOT], struct uuid id, const char cluster[JOURNAL_CLUSTER], const struct runs *r)
{
    memset(out, 0, SLOT);
    memcpy(out, magic, sizeof(magic));
    put_be32(out + 12, VERSION);
    memcpy(out + 16, id.b, sizeof(id.b));
    put_be32(out + 32, (uint32_t)r->settled);
    memcpy(out + 48, cluster, JOURNAL_CLUSTER);
    put_be64(out + 80, (uint64_t)r->generation);
    put_be32(out + 88, (uint32_t)r->first);
    put_be32(out + 92, (uint32_t)r->last);
    put_be32(out + 8, crc32c(0, out + 12, SLOT_HEAD - 12));
}

static bool get_slot(const uint8_t *p, struct uuid id, const char cluster[JOURNAL_CLUSTER], struct runs *r)
{
    if (memcmp(p, magic, sizeof(magic)) != 0 || be32(p + 8) != crc32c(0, p + 12, SLOT_HEAD - 12) || be32(p + 12) != VERSION ||
        memcmp(p + 16, id.b, sizeof(id.b)) != 0 || memcmp(p + 48, cluster, JOURNAL_CLUSTER) != 0)
        return false;
    *r = (struct runs){ .generation = (int64_t)be64(p + 80),
                        .first = (int32_t)be32(p + 88),
                        .last = (int32_t)be32(p + 92),
                        .settled = (int32_t)be32(p + 32) };
    return r->generation > 0 && r->first >= 0 && r->first <= r->last && r->settled >= -1 && r->settled <= r->last;
}

int runs_read(struct fs *fs, const char *dir, struct uuid id, const char cluster[JOURNAL_CLUSTER], struct runs *out)
{
    struct bytes path = { 0 }, file = { 0 };
    struct runs r;
    *out = (struct runs){ 0 };
    int rc = fs_read_file(fs, path_of(&path, dir), (size_t)SLOT * SLOTS, &file);
    for (size_t at = 0; rc == 0 && at + SLOT <= file.n; at += SLOT)
        if (get_slot(file.p + at, id, cluster, &r) && r.generation > out->generation) *out = r;
    rc = rc == -EFBIG ? E_CORRUPT : rc < 0 ? err_of_errno(rc) : out->generation > 0 ? 0 : E_CORRUPT;
    bytes_free(&file);
    bytes_free(&path);
    return rc;
}

int runs_write(struct fs *fs, const char *dir, struct uuid id, const char cluster[JOURNAL_CLUSTER], bool there, struct runs *r)
{
    struct bytes path = { 0 };
    uint8_t *file = mem_zalloc((size_t)SLOT * SLOTS);
    struct runs next = *r;
    int rc, at = (int)(++next.generation % SLOTS) * SLOT;
    put_slot(file + at, id, cluster, &next);
    path_of(&path, dir);
    if (!there) rc = fs_write_file(fs, (const char *)path.p, (struct slice){ (const char *)file, (size_t)SLOT * SLOTS });
    else {
        int fd = rc = fs->open(fs, (const char *)path.p, FS_WRITE);
        struct iovec v = { file + at, SLOT };
        if (fd >= 0) rc = fs->pwritev(fs, fd, &v, 1, at);
        if (fd >= 0 && rc == 0) rc = fs->datasync(fs, fd);
        if (fd >= 0) fs->close(fs, fd);
    }
    if (rc == 0) *r = next;
    mem_free(file);
    bytes_free(&path);
    return err_of_errno(rc);
}

int runs_remove(struct fs *fs, const char *dir)
{
    struct bytes path = { 0 };
    int rc = fs->unlink(fs, path_of(&path, dir));
    bytes_free(&path);
    return rc == -ENOENT ? 0 : rc;
}
