/* The clean-shutdown marker. Written as a whole by rename, so that a crash while writing leaves none; Kafka reads content it
 * does not understand as "epoch unknown", and so do we. */
#include "marker.h"

#include <errno.h>
#include <jansson.h>

#define MARKER_FILE      ".kafka_cleanshutdown"
#define MARKER_BYTES_MAX ((size_t)64 << 10)

static const char *path_of(struct bytes *path, const char *dir)
{
    bytes_printf(path, "%s/" MARKER_FILE, dir);
    return (const char *)path->p;
}

static int64_t epoch_of(const struct bytes *text)
{
    json_t *json = text->n ? json_loadb((const char *)text->p, text->n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *epoch = json_object_get(json, "brokerEpoch"); /* NULL for what is no object */
    int64_t v = json_is_integer(epoch) ? (int64_t)json_integer_value(epoch) : -1;
    json_decref(json);
    return v < 0 ? -1 : v;
}

int marker_read(struct fs *fs, const char *dir, bool *present, int64_t *broker_epoch)
{
    struct bytes path = { 0 }, text = { 0 };
    *present = false;
    *broker_epoch = -1;
    int rc = fs_read_file(fs, path_of(&path, dir), MARKER_BYTES_MAX, &text);
    if (rc == 0 || rc == -EFBIG || rc == -EISDIR) *present = true;
    if (rc == 0) *broker_epoch = epoch_of(&text);
    if (*present || rc == -ENOENT) rc = 0;
    bytes_free(&text);
    bytes_free(&path);
    return err_of_errno(rc);
}

int marker_write(struct fs *fs, const char *dir, int64_t broker_epoch)
{
    struct bytes path = { 0 }, text = { 0 };
    bytes_printf(&text, "{\"version\":0,\"brokerEpoch\":%lld}", (long long)broker_epoch);
    int rc = fs_write_file(fs, path_of(&path, dir), (struct slice){ (const char *)text.p, text.n });
    bytes_free(&text);
    bytes_free(&path);
    return err_of_errno(rc);
}

int marker_remove(struct fs *fs, const char *dir)
{
    struct bytes path = { 0 };
    int rc = fs->unlink(fs, path_of(&path, dir));
    if (rc == -ENOENT) rc = 0;
    if (rc == 0) rc = fs->sync_dir(fs, dir);
    bytes_free(&path);
    return err_of_errno(rc);
}
