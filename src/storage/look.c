/* Looking at log directories without touching them, for `odradek check`: what a start would find, found with the same readers. Files are opened
 * for reading only; nothing is locked, synced or cached for later. */
#include "checkpoint.h"
#include "identity.h"
#include "marker.h"
#include "partmeta.h"
#include "runs.h"
#include "seg.h"
#include <odradek/storage.h>

#include <errno.h>
#include <stdlib.h>

#define METADATA_DIR S("__cluster_metadata-0")
#define CUT_TAILS    "odradek-cut-tails"

static int64_t size_in(struct fs *fs, struct slice dir, const char *name)
{
    char path[SEG_PATH];
    struct fs_stat st;
    snprintf(path, sizeof(path), S_FMT "/%s", S_ARG(dir), name);
    return fs->stat(fs, path, &st) == 0 && !st.is_dir ? st.size : -1;
}

static int log_cmp(const void *a, const void *b)
{
    const struct look_log *x = a, *y = b;
    int c = slice_cmp(x->topic, y->topic);
    if (c == 0) c = (x->partition > y->partition) - (x->partition < y->partition);
    return c ? c : slice_cmp(x->name, y->name);
}

static void look_partition(struct fs *fs, const struct look_dir *d, struct slice name, const struct partname *pn, struct arena *a,
                           struct look_log *l)
{
    static const enum look_kind kinds[] = { [PARTNAME_LIVE] = LOOK_LIVE,
                                            [PARTNAME_DELETE] = LOOK_DELETE,
                                            [PARTNAME_STRAY] = LOOK_STRAY,
                                            [PARTNAME_FUTURE] = LOOK_FUTURE };
    struct why w = { "" };
    l->kind = kinds[pn->kind];
    l->topic = pn->topic;
    l->partition = pn->partition;
    l->id_err = partmeta_read(fs, arena_printf(a, S_FMT "/" S_FMT, S_ARG(d->path), S_ARG(name)).p, &l->topic_id, &w);
}

static void offsets_of(struct fs *fs, struct look_dir *d, const char *file, struct arena *a, size_t member)
{
    struct checkpoint_entry *v;
    struct why w = { "" };
    int n;
    int rc = checkpoint_read(fs, d->path.p, file, a, &v, &n, &w);
    if (rc < 0) d->unreadable = d->unreadable ? d->unreadable : file;
    for (int i = 0; i < d->logs_n; i++) {
        struct look_log *l = &d->logs[i];
        int64_t *to = (int64_t *)(void *)((char *)l + member);
        *to = rc == 0 && l->kind == LOOK_LIVE ? checkpoint_find(v, n, l->topic, l->partition) : -1;
    }
}

static void look_journal(struct fs *fs, struct look_dir *d, struct arena *a)
{
    struct bytes file = { 0 };
    struct journal_scan s;
    d->journal = size_in(fs, d->path, JOURNAL_FILE);
    d->journal_epoch = -1;
    if (d->journal < 0) return;
    int rc = fs_read_file(fs, arena_printf(a, S_FMT "/" JOURNAL_FILE, S_ARG(d->path)).p, (size_t)2 * GiB, &file);
    if (rc == 0) {
        char cluster[JOURNAL_CLUSTER] = { 0 };
        memcpy(cluster, d->cluster_id.p ? d->cluster_id.p : "", MIN(d->cluster_id.n, sizeof(cluster)));
        journal_scan(file.p, file.n, &s);
        d->journal_groups = s.n;
        d->journal_epoch = s.n ? s.ids.epoch : -1;
        d->journal_damaged = s.missing > 0;
        d->journal_ours =
            s.n > 0 && !s.mixed && uuid_eq(s.ids.dir, d->id) && memcmp(s.ids.cluster, cluster, sizeof(cluster)) == 0;
        journal_scan_free(&s);
    }
    bytes_free(&file);
}

static void look_runs(struct fs *fs, struct look_dir *d)
{
    char cluster[JOURNAL_CLUSTER] = { 0 };
    struct runs r;
    d->runs_first = d->runs_last = -1;
    memcpy(cluster, d->cluster_id.p ? d->cluster_id.p : "", MIN(d->cluster_id.n, sizeof(cluster)));
    if (runs_read(fs, d->path.p, d->id, cluster, &r) != 0) return;
    d->runs_first = r.first;
    d->runs_last = r.last;
}

bool logs_look_replays(const struct look_dir *d, const struct look_dir *metadata, int32_t quorum_epoch, int32_t log_epoch)
{
    const struct runs r = { .generation = metadata->runs_last >= 0, .first = metadata->runs_first, .last = metadata->runs_last };
    return !d->clean && d->journal_ours && d->journal_epoch <= quorum_epoch &&
           d->journal_epoch >= runs_since(&r, quorum_epoch, log_epoch);
}

int logs_look(struct fs *fs, const char *path, struct arena *a, struct look_dir *d, struct why *w)
{
    struct slice *names;
    struct identity id;
    int n;
    *d = (struct look_dir){ .path = arena_printf(a, "%s", path), .node_id = -1, .broker_epoch = -1 };
    int rc = fs->list(fs, path, a, &names, &n);
    if (rc < 0) return why(w, err_of_errno(rc), "%s: %s", path, err_text(rc));
    struct why reason = { "" };
    d->id_err = identity_read(fs, path, &id, &reason);
    if (d->id_err == 0) {
        d->version = id.version;
        d->node_id = id.node_id;
        d->id = id.directory_id;
        if (id.cluster_id[0]) d->cluster_id = arena_printf(a, "%s", id.cluster_id);
    } else d->id_why = arena_printf(a, "%s", reason.text);
    rc = marker_read(fs, path, &d->clean, &d->broker_epoch);
    if (rc < 0) return why(w, rc, "%s: clean marker: %s", path, err_text(rc));
    look_journal(fs, d, a);
    look_runs(fs, d);
    d->cut_tails = size_in(fs, d->path, CUT_TAILS);

    d->logs = arena_array(a, struct look_log, n + 1);
    for (int i = 0; i < n; i++) {
        struct partname pn;
        struct fs_stat st;
        const char *full = arena_printf(a, "%s/" S_FMT, path, S_ARG(names[i])).p;
        if (fs->stat(fs, full, &st) < 0 || !st.is_dir) continue;
        struct look_log *l = &d->logs[d->logs_n++];
        *l = (struct look_log){ .kind = LOOK_FOREIGN, .name = names[i], .topic = names[i], .partition = -1, .dir = d };
        if (slice_eq(names[i], METADATA_DIR)) l->kind = LOOK_METADATA;
        else if (partname_parse(names[i], &pn) == 0) look_partition(fs, d, names[i], &pn, a, l);
    }
    if (d->logs_n) qsort(d->logs, (size_t)d->logs_n, sizeof(*d->logs), log_cmp);
    offsets_of(fs, d, CHECKPOINT_RECOVERY, a, offsetof(struct look_log, recovery_point));
    offsets_of(fs, d, CHECKPOINT_START, a, offsetof(struct look_log, start));
    return 0;
}

int logs_look_agree(const struct look_dir *dirs, int n, struct rnd *rnd, struct arena *a, struct why *w)
{
    struct identity_dir *v = arena_array(a, struct identity_dir, n + 1);
    for (int i = 0; i < n; i++) {
        const struct look_dir *d = &dirs[i];
        v[i].path = d->path.p;
        v[i].present = d->id_err == 0;
        if (!v[i].present) continue;
        v[i].id = (struct identity){ .version = d->version, .node_id = d->node_id, .directory_id = d->id };
        snprintf(v[i].id.cluster_id, sizeof(v[i].id.cluster_id), S_FMT, S_ARG(d->cluster_id));
    }
    return identity_resolve(v, n, (struct slice){ 0 }, -1, rnd, w);
}

/* ---- one log --------------------------------------------------------------------------------------------------------------------------------- */

struct look_walk {
    struct fs *fs;
    struct look_log *log;
    const struct look_how *how;
    struct arena *arena;
    int64_t r;        /* from here on everything is verified, and a start cuts at damage */
    int64_t expected; /* -1: not known yet */
    int cap;
    bool ended; /* a start would cut here: what follows goes, too */
};

static struct look_hurt *hurt_add(struct look_walk *k)
{
    struct look_log *l = k->log;
    if (l->hurts_n == k->cap) {
        struct look_hurt *v = arena_array(k->arena, struct look_hurt, k->cap = MAX(8, 2 * k->cap));
        if (l->hurts_n) memcpy(v, l->hurts, (size_t)l->hurts_n * sizeof(*v));
        l->hurts = v;
    }
    l->hurts[l->hurts_n] = (struct look_hurt){ .segment = -1, .from = k->expected, .to = -1 };
    return &l->hurts[l->hurts_n++];
}

/* As recovery judges; NULL: good. `whole` NULL: only its header was read. */
static const char *judge(const struct look_walk *k, int64_t base, int64_t limit, const struct batch_head *h, const uint8_t *whole)
{
    int64_t last = batch_last_offset(h);
    if (last < h->base_offset || h->base_offset < base || last - base > INT32_MAX || last >= limit) return "offset out of place";
    if (k->expected >= 0 && h->base_offset < k->expected) return "offset falls back";
    if (last >= k->r && !k->how->gaps && h->magic == 2 && k->expected >= 0 && h->base_offset != k->expected)
        return "offsets are missing";
    return !whole || batch_verify(whole, (size_t)h->size) == 0 ? NULL : "wrong checksum";
}

static int look_segment(struct look_walk *k, int64_t base, int64_t limit, int64_t size, const char *path)
{
    enum { HEADERS = 16 * 1024, WHOLE = 1024 * 1024 };
    const struct look_how *how = k->how;
    bool all = how->deep || how->batch;
    struct walk w;
    struct batch_head h;
    const uint8_t *whole = NULL;
    int rc, fd = k->fs->open(k->fs, path, FS_READ);
    if (fd < 0) return err_of_errno(fd);
    walk_begin(&w, k->fs, fd, 0, size, NULL, all ? WHOLE : HEADERS);
    for (;;) {
        whole = NULL;
        rc = walk_peek(&w, &h, NULL);
        if (rc == 1 && (all || batch_last_offset(&h) >= k->r)) rc = walk_peek(&w, &h, &whole);
        if (rc == 0 || (rc < 0 && rc != E_CORRUPT_MESSAGE)) break;
        const char *bad = rc < 0 ? "no whole batch" : judge(k, base, limit, &h, whole);
        if (bad) {
            struct look_hurt *u = hurt_add(k);
            int64_t at = w.at;
            u->reason = bad;
            u->segment = base;
            u->at = at;
            if (u->from < base) u->from = base;
            u->cut = u->from >= k->r;
            rc = u->cut ? 0 : walk_resync(&w, &h, MAX(base, k->expected));
            if (rc < 0) break;
            bool more = rc == 1 && batch_last_offset(&h) < limit;
            u->bytes = (more ? w.at : size) - at;
            if (more) u->to = h.base_offset;
            k->ended = u->cut;
            rc = 0;
            if (!more) break;
            if (all && (rc = walk_peek(&w, &h, &whole)) < 0) break;
        }
        k->expected = batch_last_offset(&h) + 1;
        k->log->batches++;
        if (how->batch && !how->batch(how->arg, whole, (size_t)h.size)) {
            k->ended = true;
            rc = 0;
            break;
        }
        walk_skip(&w, &h);
    }
    walk_end(&w);
    k->fs->close(k->fs, fd);
    return MIN(rc, 0);
}

static bool ends_with(struct slice s, struct slice end) { return s.n >= end.n && memcmp(s.p + s.n - end.n, end.p, end.n) == 0; }

int logs_look_log(struct fs *fs, struct look_log *l, const struct look_how *how, struct arena *a, struct why *w)
{
    const struct look_dir *d = l->dir;
    struct look_walk k = { .fs = fs, .log = l, .how = how, .arena = a, .expected = -1 };
    struct slice *names;
    int n, segments = 0;
    const char *path = arena_printf(a, S_FMT "/" S_FMT, S_ARG(d->path), S_ARG(l->name)).p;
    int64_t *bases, *sizes;
    /* Of a clean stop everything is synced; the metadata log knows no recovery point. */
    bool clean = d->clean && l->kind == LOOK_LIVE;
    k.r = l->kind == LOOK_METADATA ? 0 : MAX(l->recovery_point, 0);
    if (clean) k.r = l->recovery_point >= 0 ? l->recovery_point : INT64_MAX;
    l->bytes = l->batches = 0;
    l->segments = l->hurts_n = l->leftovers = 0;
    l->first = l->end = -1;
    int rc = fs->list(fs, path, a, &names, &n);
    if (rc < 0) return why(w, err_of_errno(rc), "%s: %s", path, err_text(rc));
    bases = arena_array(a, int64_t, n + 1);
    sizes = arena_array(a, int64_t, n + 1);
    for (int i = 0; i < n; i++) { /* sorted by name, so by number */
        int64_t size = size_in(fs, slice_of(path), names[i].p);
        l->bytes += MAX(size, 0);
        if (ends_with(names[i], S(".swap")) || ends_with(names[i], S(".cleaned")) || ends_with(names[i], S(".deleted")))
            l->leftovers++;
        if (seg_name_parse(names[i], &bases[segments]) == SEG_LOG && size >= 0) sizes[segments++] = size;
    }
    l->segments = segments;
    if (segments) l->first = MAX(bases[0], l->start);
    if (l->kind == LOOK_LIVE || l->kind == LOOK_METADATA) {
        for (int i = 0; i < segments && !k.ended; i++) {
            char file[SEG_PATH];
            seg_path_in(path, bases[i], SEG_LOG, file);
            rc = look_segment(&k, bases[i], i + 1 < segments ? bases[i + 1] : INT64_MAX, sizes[i], file);
            if (rc < 0) return why(w, rc, "%s: %s", file, err_text(rc));
            if (k.expected < bases[i]) k.expected = bases[i];
            if (k.ended && l->hurts_n) /* what a start would cut goes to the end */
                for (int j = i + 1; j < segments; j++) l->hurts[l->hurts_n - 1].bytes += sizes[j];
        }
        l->end = k.expected;
        bool told = l->hurts_n && l->hurts[l->hurts_n - 1].to < 0;
        if (l->kind == LOOK_LIVE && segments && !told && k.r != INT64_MAX && k.expected < k.r) {
            struct look_hurt *u = hurt_add(&k);
            u->segment = bases[segments - 1];
            u->at = sizes[segments - 1];
            u->to = k.r;
            u->reason = "the log ends below its recovery point";
        }
    }
    return 0;
}
