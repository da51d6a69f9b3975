/* Leader epochs of one log: a short array, both columns rising, and its text file. */
#include "epochs.h"

#include "checkpoint.h"

#include <errno.h>

#define EPOCHS_BYTES_MAX ((size_t)64 << 20)

void epochs_free(struct epochs *e)
{
    mem_free(e->v);
    *e = (struct epochs){ 0 };
}

bool epochs_assign(struct epochs *e, int32_t epoch, int64_t start)
{
    if (epoch < 0 || start < 0) return false;
    const struct epoch_entry *last = e->n ? &e->v[e->n - 1] : NULL;
    if (last && last->epoch == epoch && start >= last->start) return false;

    /* What contradicts goes: one that began at the same offset held no batch, others are of a history that was cut. */
    while (e->n && (e->v[e->n - 1].epoch >= epoch || e->v[e->n - 1].start >= start)) e->n--;
    if (e->n == e->cap) {
        e->cap = MAX(e->cap * 2, 2);
        e->v = mem_realloc(e->v, (size_t)e->cap * sizeof(*e->v));
    }
    e->v[e->n++] = (struct epoch_entry){ epoch, start };
    return true;
}

bool epochs_truncate_end(struct epochs *e, int64_t end)
{
    int was = e->n;
    while (end >= 0 && e->n && e->v[e->n - 1].start >= end) e->n--;
    return e->n != was;
}

bool epochs_truncate_start(struct epochs *e, int64_t start)
{
    int drop = 0;
    while (drop < e->n && e->v[drop].start <= start) drop++;
    if (drop == 0) return false;
    bool changed = drop > 1 || e->v[0].start != start;
    memmove(e->v, e->v + drop - 1, (size_t)(e->n - drop + 1) * sizeof(*e->v));
    e->n -= drop - 1;
    e->v[0].start = start;
    return changed;
}

int32_t epochs_latest(const struct epochs *e) { return e->n ? e->v[e->n - 1].epoch : -1; }

/* The last entry that begins at or below the offset. */
int32_t epochs_at(const struct epochs *e, int64_t offset)
{
    int lo = 0, hi = e->n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (e->v[mid].start <= offset) lo = mid + 1;
        else hi = mid;
    }
    return lo ? e->v[lo - 1].epoch : -1;
}

void epochs_end(const struct epochs *e, int32_t epoch, int64_t log_end, int32_t *found, int64_t *end)
{
    *found = -1;
    *end = -1;
    if (epoch == -1 || e->n == 0) return;
    if (epoch == e->v[e->n - 1].epoch) {
        *found = epoch;
        *end = log_end;
        return;
    }
    int lo = 0, hi = e->n; /* the first with a larger epoch */
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (e->v[mid].epoch <= epoch) lo = mid + 1;
        else hi = mid;
    }
    if (lo == e->n) return;
    *found = lo ? e->v[lo - 1].epoch : epoch;
    *end = e->v[lo].start;
}

void epochs_encode(const struct epochs *e, struct bytes *out)
{
    bytes_printf(out, "0\n%d\n", e->n);
    for (int i = 0; i < e->n; i++) bytes_printf(out, "%d %lld\n", e->v[i].epoch, (long long)e->v[i].start);
}

int epochs_decode(struct epochs *e, struct slice text, struct why *w)
{
    struct checkpoint_lines l;
    struct slice field[2];
    e->n = 0;
    int rc = checkpoint_lines_begin(&l, text, w);
    if (rc == 0) rc = 1;
    while (rc == 1 && (rc = checkpoint_lines_next(&l, field, 2, w)) == 1) {
        int64_t epoch, start;
        if (checkpoint_int(field[0], 0, INT32_MAX, &epoch) < 0 || checkpoint_int(field[1], 0, INT64_MAX, &start) < 0)
            rc = why(w, E_CORRUPT, "line %lld has no epoch or offset", (long long)l.line);
        else epochs_assign(e, (int32_t)epoch, start);
    }
    if (rc < 0) e->n = 0;
    return rc;
}

int epochs_load(struct epochs *e, struct fs *fs, const char *dir, struct why *w)
{
    struct bytes path = { 0 }, text = { 0 };
    bytes_printf(&path, "%s/" EPOCHS_FILE, dir);
    e->n = 0;
    int rc = fs_read_file(fs, (const char *)path.p, EPOCHS_BYTES_MAX, &text);
    if (rc == -EFBIG || rc == -EISDIR) rc = why(w, E_CORRUPT, "not a checkpoint");
    else if (rc == -ENOENT) rc = 0;
    else if (rc < 0) rc = why(w, err_of_errno(rc), "%s", err_text(rc));
    else rc = epochs_decode(e, (struct slice){ (const char *)text.p, text.n }, w);
    if (rc < 0) why_wrap(w, rc, "%s", (const char *)path.p);
    bytes_free(&text);
    bytes_free(&path);
    return rc;
}

int epochs_write(struct fs *fs, const char *dir, struct slice text)
{
    struct bytes path = { 0 };
    bytes_printf(&path, "%s/" EPOCHS_FILE, dir);
    int rc = fs_write_file(fs, (const char *)path.p, text);
    bytes_free(&path);
    return err_of_errno(rc);
}
