/* What a crash left in the commit journal goes into the segments (JOURNAL.md J5, J11–J15).
 *
 *   1. Is it ours? No clean stop since, the ids of this directory, one run, the epoch that quorum-state names: nobody wrote here after it (J14).
 *   2. Which entries? Those of the chain [oldest live, newest], of partitions that exist, and not below R (J12).
 *   3. Per log a walk from R decides what each is worth (J13); nothing is written yet. The segments were synced and are read from the disk (J15).
 *   4. What is missing is written, every segment touched is synced, and the names of those that were made.
 *   5. The journal is removed.
 *
 * A crash before 5 does it all again, with the same bytes. R stays as it was: logs are recovered from there afterwards and find everything in their
 * segments. A journal that is not ours, or that a log contradicts, is renamed and never touched again; one with damage inside is replayed as far as
 * it goes, told about, and kept under another name. */
#include "internal.h"
#include "partmeta.h"
#include <stdlib.h>

struct jbatch { /* one batch of an entry */
    int64_t base, first, last;
    uint32_t at, n;
    const uint8_t *bytes;
    bool write; /* the walk's decision */
};
struct jfile { /* one segment's .log */
    int64_t base;
    int64_t size; /* on the disk */
    int64_t cut;  /* it ends here, whatever stands behind; -1: as it is */
    bool missing; /* to be made */
    bool synced;  /* and forgotten: what is read comes from the disk */
};
struct jlog { /* a partition with entries */
    char path[SEG_PATH];
    int64_t r;
    struct jbatch *batches; /* rising offsets */
    int batches_n, batches_cap;
    struct jfile *files; /* rising bases */
    int files_n, files_cap;
};
struct place { /* a partition's directory */
    struct uuid id;
    int32_t partition;
    struct slice topic, name;
};
struct jreplay {
    struct log_dir *dir;
    struct fs *fs;
    struct arena arena;
    struct place *places; /* sorted by id and partition */
    int places_n;
    struct jlog **logs;
    int logs_n, logs_cap;
    int64_t kept, written, below, unknown, damaged; /* batches; entries for unknown */
    char stale[256];                                /* why nobody may replay it; empty: nothing speaks against it */
    struct why *why;
};

static int io_why(struct jreplay *j, const char *path, int rc)
{
    return why(j->why, err_of_errno(rc), "%s: %s", path, err_text(rc));
}

/* ---- setting aside ------------------------------------------------------------------------------------------------------------------------- */

/* The journal gets another name, durably. */
static int set_aside(struct log_dir *d, const char *name, struct why *w)
{
    struct fs *fs = d->logs->fs;
    char from[SEG_PATH], to[SEG_PATH];
    snprintf(from, sizeof(from), "%s/" JOURNAL_FILE, d->path);
    snprintf(to, sizeof(to), "%s/%s", d->path, name);
    int rc = fs->rename(fs, from, to);
    if (rc == 0) rc = fs->sync_dir(fs, d->path);
    return rc == 0 ? 0 : why(w, err_of_errno(rc), "%s: %s", from, err_text(rc));
}

static int set_stale(struct log_dir *d, const char *reason, struct why *w)
{
    log_warn("storage", "commit journal set aside, not replayed", KV_STR("dir", d->path), KV_STR("reason", reason),
             KV_STR("kept_as", JOURNAL_STALE));
    return set_aside(d, JOURNAL_STALE, w);
}

/* ---- whose entries ----------------------------------------------------------------------------------------------------------------------------- */

static int place_cmp(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int c = memcmp(x->id.b, y->id.b, sizeof(x->id.b));
    return c ? c : (x->partition > y->partition) - (x->partition < y->partition);
}

/* Partition directories by their topic id: the name is never the key (J12). */
static int find_places(struct jreplay *j)
{
    struct slice *names;
    int n, cap = 0, rc = j->fs->list(j->fs, j->dir->path, &j->arena, &names, &n);
    if (rc < 0) return io_why(j, j->dir->path, rc);
    for (int i = 0; i < n; i++) {
        struct partname pn;
        struct uuid id;
        struct fs_stat st;
        char path[SEG_PATH];
        if (partname_parse(names[i], &pn) != 0 || pn.kind != PARTNAME_LIVE) continue;
        snprintf(path, sizeof(path), "%s/" S_FMT, j->dir->path, S_ARG(names[i]));
        if (j->fs->stat(j->fs, path, &st) < 0 || !st.is_dir) continue;
        rc = partmeta_read(j->fs, path, &id, NULL);
        if (rc < 0 && rc != E_NOT_FOUND && rc != E_CORRUPT)
            return why(j->why, rc, "%s: partition.metadata: %s", path, err_text(rc));
        if (rc < 0) continue;
        if (j->places_n == cap) j->places = mem_realloc(j->places, (size_t)(cap = MAX(64, 2 * cap)) * sizeof(*j->places));
        j->places[j->places_n++] = (struct place){ id, pn.partition, pn.topic, names[i] };
    }
    if (j->places_n) qsort(j->places, (size_t)j->places_n, sizeof(*j->places), place_cmp);
    return 0;
}

static struct jlog *new_log(struct jreplay *j, const struct place *at)
{
    const struct log_dir *d = j->dir;
    struct jlog *l = new (struct jlog);
    if (j->logs_n == j->logs_cap)
        j->logs = mem_realloc(j->logs, (size_t)(j->logs_cap = MAX(16, 2 * j->logs_cap)) * sizeof(struct jlog *));
    j->logs[j->logs_n++] = l;
    snprintf(l->path, sizeof(l->path), "%s/" S_FMT, d->path, S_ARG(at->name));
    l->r = MAX(0, checkpoint_find(d->recovery, d->recovery_n, at->topic, at->partition));
    return l;
}

static int entry_cmp(const void *a, const void *b)
{
    const struct journal_entry *x = a, *y = b;
    int c = memcmp(x->topic_id.b, y->topic_id.b, sizeof(x->topic_id.b));
    if (c == 0) c = (x->partition > y->partition) - (x->partition < y->partition);
    return c ? c : (x->first > y->first) - (x->first < y->first);
}

/* An entry's batches, as far as they are not below R; false when it does not hold what it says. */
static bool take_batches(struct jreplay *j, struct jlog *l, const struct journal_entry *e)
{
    int64_t next = e->first;
    for (uint32_t at = 0; at < e->n;) {
        struct batch_head h;
        const uint8_t *p = e->bytes + at;
        if (batch_parse_head(p, e->n - at, &h) != 0 || h.magic != 2 || (uint32_t)h.size > e->n - at ||
            batch_verify(p, (size_t)h.size) != 0 || h.base_offset != next)
            return false;
        next = batch_last_offset(&h) + 1;
        if (next <= l->r) j->below++;
        else {
            if (l->batches_n == l->batches_cap)
                l->batches =
                    mem_realloc(l->batches, (size_t)(l->batches_cap = MAX(16, 2 * l->batches_cap)) * sizeof(*l->batches));
            l->batches[l->batches_n++] = (struct jbatch){
                .base = e->base, .first = h.base_offset, .last = next - 1, .at = e->at + at, .n = (uint32_t)h.size, .bytes = p
            };
        }
        at += (uint32_t)h.size;
    }
    return next == e->last + 1;
}

/* Sorts the chain's entries out by log. */
static int collect(struct jreplay *j, const struct journal_scan *s)
{
    const struct logs_truth *t = &j->dir->logs->truth;
    struct journal_entry *v = NULL;
    int n = 0, cap = 0;
    for (int i = 0; i < s->n; i++) {
        size_t at = JOURNAL_HEAD;
        struct journal_entry e;
        int rc, entries = 0;
        while ((rc = journal_get_entry(s->v[i].p, &s->v[i].head, &at, &e)) == 1) {
            if (n == cap) v = mem_realloc(v, (size_t)(cap = MAX(64, 2 * cap)) * sizeof(*v));
            v[n++] = e;
            entries++;
        }
        if (rc < 0 || entries != s->v[i].head.entries) { /* its checksum is right: not even a broken disk does this */
            log_error("storage", "commit journal: a group does not hold what it says", KV_STR("dir", j->dir->path),
                      KV_I64("seq", s->v[i].head.seq));
            j->damaged++;
        }
    }
    if (n) qsort(v, (size_t)n, sizeof(*v), entry_cmp);
    struct jlog *l = NULL;
    for (int i = 0; i < n; i++) {
        struct journal_entry *e = &v[i];
        if (i == 0 || place_cmp(&(struct place){ .id = e->topic_id, .partition = e->partition },
                                &(struct place){ .id = v[i - 1].topic_id, .partition = v[i - 1].partition }) != 0) {
            struct place key = { .id = e->topic_id, .partition = e->partition }, *at = NULL;
            bool exists = !t->exists || t->exists(t->arg, e->topic_id, e->partition);
            if (exists && j->places_n) at = bsearch(&key, j->places, (size_t)j->places_n, sizeof(key), place_cmp);
            if (exists && !at) {
                char id[UUID_TEXT];
                uuid_text(e->topic_id, id);
                log_warn("storage", "commit journal: a partition's directory is not there", KV_STR("dir", j->dir->path),
                         KV_STR("topic_id", id), KV_I64("partition", e->partition));
            }
            l = at ? new_log(j, at) : NULL;
        }
        if (!l) {
            j->unknown++;
            continue;
        }
        if (!take_batches(j, l, e)) {
            log_error("storage", "commit journal: an entry does not hold what it says", KV_STR("log", l->path),
                      KV_I64("first", e->first), KV_I64("last", e->last));
            j->damaged++;
        }
    }
    mem_free(v);
    return 0;
}

/* ---- the walk ---------------------------------------------------------------------------------------------------------------------------------------- */

static struct jfile *add_file(struct jlog *l, int at, int64_t base)
{
    if (l->files_n == l->files_cap)
        l->files = mem_realloc(l->files, (size_t)(l->files_cap = MAX(8, 2 * l->files_cap)) * sizeof(*l->files));
    memmove(l->files + at + 1, l->files + at, (size_t)(l->files_n - at) * sizeof(*l->files));
    l->files_n++;
    l->files[at] = (struct jfile){ .base = base, .cut = -1 };
    return &l->files[at];
}

static int find_files(struct jreplay *j, struct jlog *l)
{
    struct slice *names;
    int n, rc = j->fs->list(j->fs, l->path, &j->arena, &names, &n);
    for (int i = 0; i < n && rc == 0; i++) { /* sorted by name, so by base */
        int64_t base;
        struct fs_stat st;
        char path[SEG_PATH];
        if (seg_name_parse(names[i], &base) != SEG_LOG) continue;
        seg_path_in(l->path, base, SEG_LOG, path);
        rc = j->fs->stat(j->fs, path, &st);
        if (rc == 0) add_file(l, l->files_n, base)->size = st.size;
    }
    return rc < 0 ? io_why(j, l->path, rc) : 0;
}

/* A descriptor of the file, synced and read from the disk from now on (J15); -ENOENT when it is to be made. */
static int open_file(struct jreplay *j, struct jlog *l, struct jfile *f)
{
    char path[SEG_PATH];
    if (f->missing) return -ENOENT;
    seg_path_in(l->path, f->base, SEG_LOG, path);
    int rc = 0, fd = j->fs->open(j->fs, path, FS_WRITE);
    if (fd >= 0 && !f->synced) rc = j->fs->datasync(j->fs, fd);
    if (fd >= 0 && rc == 0 && !f->synced) {
        j->fs->forget(j->fs, fd, 0, f->size);
        f->synced = true;
    }
    if (rc < 0) j->fs->close(j->fs, fd);
    return rc < 0 ? rc : fd;
}

struct course { /* where the walk is */
    struct jreplay *j;
    struct jlog *log;
    int i;            /* file */
    int fd;           /* of it; -1: it is missing */
    int64_t at;       /* position */
    int64_t expected; /* next offset; -1: not known yet */
    struct bytes disk;
};

static int enter_file(struct course *c, int i)
{
    if (c->fd >= 0) c->j->fs->close(c->j->fs, c->fd);
    c->i = i;
    c->at = 0;
    c->fd = open_file(c->j, c->log, &c->log->files[i]);
    if (c->fd >= 0) return 0;
    int rc = c->fd;
    c->fd = -1;
    return rc == -ENOENT && c->log->files[i].missing ? 0 : io_why(c->j, c->log->path, rc);
}

/* The whole batch on the disk at the course's position: 1, its bytes in c->disk; 0: there is none; or an error. */
static int disk_batch(struct course *c, struct batch_head *h)
{
    struct fs *fs = c->j->fs;
    int64_t left = c->fd < 0 ? 0 : c->log->files[c->i].size - c->at;
    if (left < BATCH_HEADER) return 0;
    c->disk.n = 0;
    uint8_t *p = bytes_room(&c->disk, BATCH_HEADER);
    ssize_t got = fs->pread(fs, c->fd, p, BATCH_HEADER, c->at);
    if (got < 0) return io_why(c->j, c->log->path, (int)got);
    if (got < BATCH_HEADER || batch_parse_head(p, BATCH_HEADER, h) != 0 || h->size > left) return 0;
    p = bytes_room(&c->disk, (size_t)h->size);
    got = fs->pread(fs, c->fd, p, (size_t)h->size, c->at);
    if (got < 0) return io_why(c->j, c->log->path, (int)got);
    if (got < h->size || batch_verify(p, (size_t)h->size) != 0) return 0;
    c->disk.n = (size_t)h->size;
    return 1;
}

/* Something below R is not there as it should be, which recovery tells: the walk begins at the first batch. */
static int skip_damage(struct course *c)
{
    struct jlog *l = c->log;
    const struct jbatch *b = &l->batches[0];
    int i = c->i;
    while (i + 1 < l->files_n && l->files[i + 1].base <= b->base) i++;
    if (l->files[i].base < b->base) add_file(l, ++i, b->base)->missing = true;
    int rc = enter_file(c, i);
    c->at = b->at;
    c->expected = -1;
    return rc;
}

/* To the batch that holds R, by headers: what is below R is believed (recovery looks at it more closely). */
static int skip_below_r(struct course *c)
{
    struct jlog *l = c->log;
    struct walk w;
    struct batch_head h;
    int rc = 0;
    if (c->fd < 0) return 0;
    walk_begin(&w, c->j->fs, c->fd, 0, l->files[c->i].size, NULL, 4 * KiB);
    while ((rc = walk_peek(&w, &h, NULL)) == 1 && batch_last_offset(&h) < l->r) {
        c->expected = batch_last_offset(&h) + 1;
        walk_skip(&w, &h);
    }
    c->at = w.at;
    walk_end(&w);
    if (rc == E_IO) return why(c->j->why, rc, "%s: %s", l->path, err_text(rc));
    bool whole = rc == 1 || MAX(c->expected, l->files[c->i].base) >= l->r;
    return whole ? 0 : skip_damage(c);
}

static int contradicts(struct course *c, const struct jbatch *b, const char *what)
{
    snprintf(c->j->stale, sizeof(c->j->stale), "%.150s: %s at offset %lld, segment %lld, position %u", c->log->path, what,
             (long long)b->first, (long long)b->base, b->at);
    return 1;
}

/* Decides about batch b, which begins here (J13): 0, or 1 when the log contradicts the journal, or an error. */
static int judge(struct course *c, struct jbatch *b)
{
    struct batch_head h = { 0 };
    int rc = disk_batch(c, &h);
    if (rc < 0) return rc;
    if (rc == 1 && c->disk.n == b->n && memcmp(c->disk.p, b->bytes, b->n) == 0) c->j->kept++;
    else if (rc == 1 && h.magic == 2 && h.base_offset == b->first) return contradicts(c, b, "the log has another batch");
    else {
        b->write = true;
        c->j->written++;
    }
    c->at += b->n;
    c->expected = b->last + 1;
    return 0;
}

/* From here to batch b without an entry: what the log has is kept. 1: b begins at the course's position; 0: the log ends before it; 2: the log
 * contradicts; or an error. */
static int walk_to(struct course *c, const struct jbatch *b)
{
    struct jlog *l = c->log;
    for (;;) {
        struct jfile *f = &l->files[c->i];
        struct batch_head h = { 0 };
        if (f->base == b->base && c->at == b->at) {
            bool follows = c->expected < 0 || c->expected == b->first;
            return follows ? 1 : contradicts(c, b, "offsets do not follow") + 1;
        }
        if (f->base > b->base || (f->base == b->base && c->at > b->at)) return contradicts(c, b, "the log goes on elsewhere") + 1;
        int rc = disk_batch(c, &h);
        if (rc < 0) return rc;
        if (rc == 1 && (c->expected < 0 ? h.base_offset >= f->base : h.base_offset == c->expected)) {
            if (f->base == b->base && c->at + h.size > b->at) return contradicts(c, b, "the log has another batch across it") + 1;
            c->at += h.size;
            c->expected = batch_last_offset(&h) + 1;
            continue;
        }
        if (f->base == b->base) return 0;
        /* This segment ends here; the next begins with what is expected, on the disk or in the journal. */
        if (c->at < f->size) f->cut = c->at;
        int next = c->i + 1;
        if (next == l->files_n || l->files[next].base > b->base) add_file(l, next, b->base)->missing = true;
        if (c->expected >= 0 && l->files[next].base != c->expected) return 0;
        if (c->expected < 0) c->expected = l->files[next].base;
        if ((rc = enter_file(c, next)) < 0) return rc;
    }
}

/* Step 3 for one log. 0; 1: contradiction; or an error. */
static int walk_log(struct jreplay *j, struct jlog *l)
{
    struct course c = { .j = j, .log = l, .fd = -1, .expected = -1 };
    int rc = find_files(j, l), first = 0;
    if (rc < 0 || l->batches_n == 0) return rc;
    while (first + 1 < l->files_n && l->files[first + 1].base <= l->r) first++;
    if (l->files_n == 0) add_file(l, 0, l->batches[0].base)->missing = true;
    rc = enter_file(&c, first);
    if (rc == 0) rc = skip_below_r(&c);
    int i = 0;
    while (i < l->batches_n && rc == 0) {
        struct jbatch *b = &l->batches[i];
        rc = walk_to(&c, b);
        if (rc == 2) rc = 1;
        else if (rc == 1) {
            rc = judge(&c, b);
            i++;
        } else if (rc == 0) { /* acknowledged data is neither in the log nor in the journal */
            log_error("storage", "commit journal: records are missing before these", KV_STR("log", l->path),
                      KV_I64("log_ends_at", c.expected), KV_I64("first", b->first),
                      KV_I64("last", l->batches[l->batches_n - 1].last));
            j->damaged += l->batches_n - i;
            l->batches_n = i;
            for (int k = 0; k < l->files_n; k++) l->files[k].cut = -1; /* recovery judges what follows */
            while (l->files_n > 0 && l->files[l->files_n - 1].missing &&
                   (i == 0 || l->batches[i - 1].base < l->files[l->files_n - 1].base))
                l->files_n--;
        }
    }
    if (c.fd >= 0) j->fs->close(j->fs, c.fd);
    bytes_free(&c.disk);
    return rc;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------------------------------- */

static int write_file(struct jreplay *j, struct jlog *l, struct jfile *f, bool *made)
{
    struct fs *fs = j->fs;
    char path[SEG_PATH];
    int rc = 0, fd = -1;
    bool needed = f->missing || f->cut >= 0;
    for (int i = 0; i < l->batches_n; i++) needed |= l->batches[i].write && l->batches[i].base == f->base;
    if (!needed) return 0;
    seg_path_in(l->path, f->base, SEG_LOG, path);
    fd = fs->open(fs, path, FS_WRITE | (f->missing ? FS_CREATE : 0));
    if (fd < 0) return io_why(j, path, fd);
    if (f->cut >= 0) {
        log_warn("storage", "cut what stands behind a finished segment", KV_STR("path", path), KV_I64("position", f->cut),
                 KV_I64("bytes", f->size - f->cut));
        rc = fs->truncate(fs, fd, f->cut);
    }
    for (int i = 0; i < l->batches_n && rc == 0; i++) {
        struct jbatch *b = &l->batches[i];
        if (!b->write || b->base != f->base) continue;
        struct iovec v = { (void *)(uintptr_t)b->bytes, b->n };
        rc = fs->pwritev(fs, fd, &v, 1, b->at);
    }
    if (rc == 0) rc = fs->datasync(fs, fd);
    fs->close(fs, fd);
    *made |= f->missing;
    return rc < 0 ? io_why(j, path, rc) : 0;
}

static int write_log(struct jreplay *j, struct jlog *l)
{
    bool made = false;
    int rc = 0;
    for (int i = 0; i < l->files_n && rc == 0; i++) rc = write_file(j, l, &l->files[i], &made);
    if (rc == 0 && made && (rc = j->fs->sync_dir(j->fs, l->path)) < 0) rc = io_why(j, l->path, rc); /* J8 */
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------------------------------------- */

/* Why is this journal not to be replayed? NULL: it is ours. */
static const char *disowned(const struct log_dir *d, const struct journal_scan *s)
{
    const struct logs *l = d->logs;
    char cluster[JOURNAL_CLUSTER];
    logs_cluster(l, cluster);
    if (s->mixed) return "it holds groups of several runs";
    if (!uuid_eq(s->ids.dir, d->id)) return "it is of another log directory";
    if (memcmp(s->ids.cluster, cluster, sizeof(cluster)) != 0) return "it is of another cluster";
    if (s->ids.epoch < l->runs.first || s->ids.epoch > l->runs.last) /* J14 */
        return "another broker led the quorum since, and may have written here";
    return NULL;
}

static int remove_journal(struct log_dir *d, const char *path, struct why *w)
{
    struct fs *fs = d->logs->fs;
    int rc = fs->unlink(fs, path);
    if (rc == 0) rc = fs->sync_dir(fs, d->path);
    return rc == 0 ? 0 : why(w, err_of_errno(rc), "%s: %s", path, err_text(rc));
}

static int replay_chain(struct log_dir *d, const struct journal_scan *s, bool *hurt, char stale[256], struct why *w)
{
    struct jreplay j = { .dir = d, .fs = d->logs->fs, .why = w };
    int64_t began = now_us(d->logs);
    arena_init(&j.arena);
    if (s->missing > 0) {
        log_error("storage", "commit journal: a group is damaged", KV_STR("dir", d->path), KV_I64("seq", s->missing),
                  KV_I64("oldest", s->oldest), KV_I64("newest", s->newest));
        j.damaged++;
    }
    int rc = find_places(&j);
    if (rc == 0) rc = collect(&j, s);
    for (int i = 0; i < j.logs_n && rc == 0; i++) rc = walk_log(&j, j.logs[i]);
    for (int i = 0; i < j.logs_n && rc == 0; i++) rc = write_log(&j, j.logs[i]);
    if (rc == 0)
        log_info("storage", "commit journal replayed", KV_STR("dir", d->path), KV_I64("groups", s->n), KV_I64("logs", j.logs_n),
                 KV_I64("written", j.written), KV_I64("kept", j.kept), KV_I64("below_recovery_point", j.below),
                 KV_I64("of_deleted_partitions", j.unknown), KV_I64("damaged", j.damaged),
                 KV_F("ms", (double)(now_us(d->logs) - began) / 1000.0));
    *hurt = j.damaged > 0;
    memcpy(stale, j.stale, sizeof(j.stale));
    for (int i = 0; i < j.logs_n; i++) {
        mem_free(j.logs[i]->batches);
        mem_free(j.logs[i]->files);
        mem_free(j.logs[i]);
    }
    mem_free(j.logs);
    mem_free(j.places);
    arena_free(&j.arena);
    return rc;
}

/* On a full disk what follows the last live group in the file is room that is not needed: true when some was given back. */
static bool trim(struct log_dir *d, const char *path, const struct bytes *file, const struct journal_scan *s)
{
    struct fs *fs = d->logs->fs;
    size_t end = 0;
    for (int i = 0; i < s->n; i++) end = MAX(end, (size_t)(s->v[i].p - file->p) + (size_t)journal_padded(s->v[i].head.length));
    int fd = end < file->n ? fs->open(fs, path, FS_WRITE) : -ENOENT;
    if (fd < 0) return false;
    int rc = fs->truncate(fs, fd, (int64_t)end);
    if (rc == 0) rc = fs->datasync(fs, fd);
    fs->close(fs, fd);
    if (rc == 0)
        log_info("storage", "no room to replay the commit journal, its unused part is given back", KV_STR("path", path),
                 KV_I64("bytes", file->n - end));
    return rc == 0;
}

int journal_replay(struct log_dir *d, struct why *w)
{
    struct fs *fs = d->logs->fs;
    struct bytes file = { 0 };
    struct journal_scan s;
    char path[SEG_PATH], stale[256];
    bool hurt;
    snprintf(path, sizeof(path), "%s/" JOURNAL_FILE, d->path);
    int rc = fs_read_file(fs, path, 2 * (size_t)GiB, &file);
    if (rc < 0) bytes_free(&file);
    if (rc == -ENOENT) return 0;
    if (rc < 0) return why(w, err_of_errno(rc), "%s: %s", path, err_text(rc));
    journal_scan(file.p, file.n, &s);
    if (s.newest == 0) rc = remove_journal(d, path, w); /* no group was ever synced */
    else if (d->was_clean) rc = set_stale(d, "a clean stop came after it", w);
    else if (disowned(d, &s)) rc = set_stale(d, disowned(d, &s), w);
    else {
        rc = replay_chain(d, &s, &hurt, stale, w);
        if (rc == E_NO_SPACE && trim(d, path, &file, &s)) rc = replay_chain(d, &s, &hurt, stale, w);
        if (rc == 1) rc = set_stale(d, stale, w);
        else if (rc == 0) rc = hurt ? set_aside(d, JOURNAL_HURT, w) : remove_journal(d, path, w);
    }
    journal_scan_free(&s);
    bytes_free(&file);
    return rc;
}
