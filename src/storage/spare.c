/* See spare.h. */
#include "spare.h"
#include "seg.h"

static int64_t available(struct fs *fs, const char *dir)
{
    struct fs_space sp;
    return fs->space(fs, dir, &sp) < 0 || sp.available < 0 ? INT64_MAX : sp.available;
}

void spare_give_up(struct fs *fs, const char *dir)
{
    char path[SEG_PATH];
    struct fs_stat st;
    snprintf(path, sizeof(path), "%s/" SPARE_FILE, dir);
    if (available(fs, dir) >= SPARE_BYTES || fs->stat(fs, path, &st) < 0) return;
    int rc = fs->unlink(fs, path);
    if (rc == 0) rc = fs->sync_dir(fs, dir); /* only then may its blocks be used again */
    if (rc == 0) log_warn("storage", "disk is full: room put by is used to start", KV_STR("dir", dir), KV_I64("bytes", st.size));
    else log_warn("storage", "disk is full, and the room put by cannot be used", KV_STR("dir", dir), KV_ERR(rc));
}

void spare_make(struct fs *fs, const char *dir, int64_t reserve)
{
    char path[SEG_PATH];
    struct fs_stat st;
    snprintf(path, sizeof(path), "%s/" SPARE_FILE, dir);
    if (available(fs, dir) < 2 * (reserve + SPARE_BYTES) || fs->stat(fs, path, &st) == 0) return;
    int fd = fs->open(fs, path, FS_WRITE | FS_CREATE | FS_EXCL);
    if (fd < 0) return;
    uint8_t *zero = mem_zalloc(SPARE_BYTES);
    struct iovec v = { zero, SPARE_BYTES };
    int rc = fs->pwritev(fs, fd, &v, 1, 0);
    if (rc == 0) rc = fs->datasync(fs, fd); /* blocks, not only a promise of them */
    mem_free(zero);
    fs->close(fs, fd);
    if (rc < 0) fs->unlink(fs, path);
}
