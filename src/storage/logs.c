/* Log directories: opening, finding what is there, starting, partitions, stopping (JOURNAL.md J14, J18; TAKEOVER.md K1, K3, K6). */
#include "clean.h"
#include "identity.h"
#include "internal.h"
#include "marker.h"
#include "partmeta.h"
#include "scrub.h"
#include "spare.h"
#include "txidx.h"
#include <stdlib.h>
#include <sys/resource.h>

enum { SIM_FDS = 256, STOP_MAKES_US = 1000000 };
#define METADATA_TOPIC S("__cluster_metadata")

/* ---- opening --------------------------------------------------------------------------------------------------------------------------------- */

static enum page_cache page_cache_of(struct slice s)
{
    return slice_eq(s, S("window")) ? PAGE_CACHE_WINDOW : slice_eq(s, S("kernel")) ? PAGE_CACHE_KERNEL : PAGE_CACHE_AUTO;
}

static void read_settings(const struct conf *c, struct settings *set)
{
    *set = (struct settings){ .dirty_max = conf_i64(c, CONF_ODRADEK_DIRTY_MAX),
                              .disk_reserve = conf_i64(c, CONF_ODRADEK_DISK_RESERVE),
                              .hot = conf_i64(c, CONF_ODRADEK_HOT),
                              .page_cache = page_cache_of(conf_str(c, CONF_ODRADEK_PAGE_CACHE)),
                              .journal_max = conf_i64(c, CONF_ODRADEK_JOURNAL_MAX),
                              .scrub_ms = MIN(conf_i64(c, CONF_ODRADEK_SCRUB_INTERVAL_MS), INT64_MAX / 4000),
                              .scrub_rate = conf_i64(c, CONF_ODRADEK_SCRUB_MAX_BYTES_PER_SECOND),
                              .checkpoint_ms = MIN(conf_i64(c, CONF_LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS),
                                                   conf_i64(c, CONF_LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS)),
                              .retain_ms = conf_i64(c, CONF_LOG_RETENTION_CHECK_INTERVAL_MS),
                              .expire_check_ms = conf_i64(c, CONF_PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS),
                              .producer_expire_ms = conf_i64(c, CONF_PRODUCER_ID_EXPIRATION_MS),
                              .recovery_threads = (int)conf_i64(c, CONF_NUM_RECOVERY_THREADS_PER_DATA_DIR) };
    set->checkpoint_ms = MIN(MAX(set->checkpoint_ms, 1000), INT64_MAX / 4000);
    set->retain_ms = MIN(set->retain_ms, INT64_MAX / 4000);
    set->expire_check_ms = MIN(set->expire_check_ms, INT64_MAX / 4000);
}

static int fd_cap(struct logs *l)
{
    struct rlimit rl;
    if (l->world->sim) return SIM_FDS;
    if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur == RLIM_INFINITY) return 65536 / l->dirs_n;
    return (int)(MIN(rl.rlim_cur, (rlim_t)4000000) / 4 / (rlim_t)l->dirs_n);
}

/* Every name on the way to a new log directory is durable: an earlier start may have made it and died, or failed, before it synced it. Parents
 * that may not be opened were there before us. */
static int sync_path(struct fs *fs, const char *path)
{
    char *z = mem_strdup(slice_of(path));
    int rc = 0;
    for (size_t i = 1, n = strlen(path); rc != -EIO && i <= n; i++) {
        if ((path[i] && path[i] != '/') || path[i - 1] == '/') continue;
        z[i] = 0;
        rc = fs_sync_parent(fs, z);
        z[i] = path[i];
    }
    mem_free(z);
    return rc == -EIO ? rc : 0;
}

/* Partitions, but no meta.properties: from a time before it, or it was lost. */
static int has_partitions(struct logs *l, const char *path, bool *yes, struct why *w)
{
    struct arena a;
    struct slice *names;
    struct partname pn;
    int n;
    arena_init(&a);
    int rc = l->fs->list(l->fs, path, &a, &names, &n);
    *yes = false;
    for (int i = 0; i < n && rc == 0; i++)
        *yes |= partname_parse(names[i], &pn) == 0 && pn.kind == PARTNAME_LIVE && !slice_eq(pn.topic, METADATA_TOPIC);
    arena_free(&a);
    return rc == 0 ? 0 : why(w, err_of_errno(rc), "log directory %s: %s", path, err_text(rc));
}

static int open_dir(struct logs *l, int i, struct slice path, struct identity_dir *id, struct why *w)
{
    struct log_dir *d = &l->dirs[i];
    d->logs = l;
    d->i = i;
    d->path = mem_strdup(path);
    d->lock_fd = -1;
    atomic_init(&d->room_us, INT64_MIN / 2);
    pthread_mutex_init(&d->write_mu, NULL);
    pthread_mutex_init(&d->cut_mu, NULL);
    list_init(&d->write_list);
    arena_init(&d->arena);
    cool_init(d);
    commit_init(&d->commit, d);
    journal_init(&d->journal, d);
    fdcache_init(&d->fds, l->fs, fd_cap(l));

    int rc = fs_mkdirs(l->fs, d->path);
    if (rc < 0) return why(w, err_of_errno(rc), "log directory %s: %s", d->path, err_text(rc));
    d->lock_fd = identity_lock(l->fs, d->path, w);
    if (d->lock_fd < 0) return d->lock_fd;
    spare_give_up(l->fs, d->path);
    id->path = d->path;
    rc = identity_read(l->fs, d->path, &id->id, w);
    if (rc < 0 && rc != E_NOT_FOUND) return rc;
    id->present = rc == 0;
    if (!id->present && (rc = sync_path(l->fs, d->path)) < 0)
        return why(w, err_of_errno(rc), "log directory %s: %s", d->path, err_text(rc));
    d->old = id->present && id->id.version == 0;
    if (!id->present && (rc = has_partitions(l, d->path, &d->old, w)) < 0) return rc;

    bool there;
    rc = marker_read(l->fs, d->path, &there, &d->broker_epoch);
    if (rc < 0) return why(w, rc, "%s: clean marker: %s", d->path, err_text(rc));
    d->was_clean = there;
    d->marker_there = there;
    const struct {
        const char *name;
        struct checkpoint_entry **to;
        int *n;
    } files[] = { { CHECKPOINT_RECOVERY, &d->recovery, &d->recovery_n }, { CHECKPOINT_START, &d->starts, &d->starts_n } };
    for (size_t k = 0; k < ARRAY_LEN(files); k++) {
        struct why reason = { "" };
        struct fs_stat st;
        char file[SEG_PATH];
        snprintf(file, sizeof(file), "%s/%s", d->path, files[k].name);
        rc = checkpoint_read(l->fs, d->path, files[k].name, &d->arena, files[k].to, files[k].n, &reason);
        if (k == 0) d->points_there = rc == 0 && l->fs->stat(l->fs, file, &st) == 0;
        if (rc == E_CORRUPT) /* as good as none: logs are recovered from their files */
            log_warn("storage", "damaged checkpoint", KV_STR("dir", d->path), KV_STR("file", files[k].name),
                     KV_STR("why", reason.text));
        else if (rc < 0) return why(w, rc, "%s/%s: %s", d->path, files[k].name, err_text(rc));
    }
    d->recovery_taken = mem_zalloc((size_t)MAX(d->recovery_n, 1));
    d->starts_taken = mem_zalloc((size_t)MAX(d->starts_n, 1));
    return 0;
}

int logs_open(struct world *w, const struct conf *conf, struct logs **out, struct why *why_)
{
    struct logs *l = *out = new (struct logs);
    int n, rc = 0;
    const struct slice *paths = conf_dirs(conf, &n);
    l->world = w;
    l->fs = w->fs;
    l->dirs_n = n;
    l->dirs = mem_zalloc((size_t)n * sizeof(*l->dirs));
    atomic_init(&l->max_producer_id, -1);
    logs_tell(l, &(struct logs_truth){ .dir = -1, .quorum_epoch = -1 });
    atomic_init(&l->quorum_epoch, -1);
    pthread_mutex_init(&l->mu, NULL);
    list_init(&l->all);
    read_settings(conf, &l->set);
    house_init(l);
    clean_init(l, conf);

    struct identity_dir *ids = mem_zalloc((size_t)n * sizeof(*ids));
    int *of = mem_zalloc((size_t)n * sizeof(*of)); /* ids[i] is of dirs[of[i]] */
    int opened = 0, good = 0;
    while (opened < n && rc == 0) {
        rc = open_dir(l, opened, paths[opened], &ids[good], why_);
        if (rc == E_IO && (good > 0 || opened + 1 < n)) { /* a broken disk among others: the rest goes on */
            dir_fail(&l->dirs[opened], "open", l->dirs[opened].path, rc);
            ids[good] = (struct identity_dir){ 0 };
            rc = 0;
        } else if (rc == 0) of[good++] = opened;
        opened++;
    }
    l->dirs_n = opened;
    n = good;
    if (rc == 0 && good == 0) rc = E_IO; /* why is said */
    if (rc == 0)
        rc = identity_resolve(ids, n, conf_str(conf, CONF_ODRADEK_CLUSTER_ID),
                              conf_is_set(conf, CONF_NODE_ID) ? conf_node_id(conf) : -1, w->rnd, why_);
    for (int i = 0; i < n && rc == 0; i++) {
        if (l->dirs[of[i]].old) ids[i].id.version = 0;
        if (ids[i].changed) rc = identity_write(l->fs, ids[i].path, &ids[i].id, now_ms(l));
        if (rc < 0) rc = why(why_, rc, "%s: meta.properties: %s", ids[i].path, err_text(rc));
        l->dirs[of[i]].id = ids[i].id.directory_id;
    }
    if (rc == 0) {
        snprintf(l->cluster_id, sizeof(l->cluster_id), "%s", ids[0].id.cluster_id);
        l->node_id = ids[0].id.node_id;
    }
    mem_free(ids);
    mem_free(of);
    if (rc < 0) logs_free(out);
    return rc;
}

static void stop_workers(struct logs *l)
{
    scrub_stop(l);
    clean_stop(l);
    for (int i = 0; i < l->dirs_n; i++) {
        kick_stop(&l->dirs[i].writer);
        commit_stop(&l->dirs[i].commit);
        journal_stop(&l->dirs[i].journal);
        cool_stop(&l->dirs[i]);
    }
    house_stop(l);
}

void logs_free(struct logs **lp)
{
    struct logs *l = *lp;
    *lp = NULL;
    if (!l) return;
    atomic_store(&l->closing, true);
    if (l->begun) stop_workers(l);
    house_free(l);
    scrub_free(l);
    clean_free(l);
    for (int i = 0; i < l->dirs_n; i++) {
        cool_free(&l->dirs[i]);
        commit_free(&l->dirs[i].commit);
        journal_free(&l->dirs[i].journal);
    }
    struct list *n;
    while ((n = list_pop(&l->all))) {
        struct plog *p = container_of(n, struct plog, all_link);
        plog_unref(&p);
    }
    for (int i = 0; i < l->dirs_n; i++) {
        struct log_dir *d = &l->dirs[i];
        fdcache_free(&d->fds);
        if (d->lock_fd >= 0) l->fs->close(l->fs, d->lock_fd);
        arena_free(&d->arena);
        mem_free(d->recovery_taken);
        mem_free(d->starts_taken);
        pthread_mutex_destroy(&d->write_mu);
        pthread_mutex_destroy(&d->cut_mu);
        mem_free(d->path);
    }
    map_free(&l->by_name);
    pthread_mutex_destroy(&l->mu);
    mem_free(l->dirs);
    mem_free(l);
}

/* ---- what is there --------------------------------------------------------------------------------------------------------------------------------- */

struct slice logs_cluster_id(const struct logs *l) { return slice_of(l->cluster_id); }
int32_t logs_node_id(const struct logs *l) { return l->node_id; }
int logs_dirs(const struct logs *l) { return l->dirs_n; }

void logs_dir_info(const struct logs *l, int i, struct log_dir_info *out)
{
    const struct log_dir *d = &l->dirs[i];
    struct fs_space sp = { -1, -1 };
    *out = (struct log_dir_info){ .path = slice_of(d->path),
                                  .id = d->id,
                                  .offline = dir_failed(d),
                                  .was_clean = d->was_clean,
                                  .old = d->old,
                                  .broker_epoch = d->broker_epoch };
    if (out->offline || l->fs->space(l->fs, d->path, &sp) < 0) sp = (struct fs_space){ -1, -1 };
    out->total_bytes = sp.total;
    out->usable_bytes = sp.available;
}

bool logs_was_clean(const struct logs *l)
{
    for (int i = 0; i < l->dirs_n; i++)
        if (!l->dirs[i].was_clean) return false;
    return true;
}

static int found_cmp(const void *a, const void *b)
{
    const struct log_found *x = a, *y = b;
    int c = slice_cmp(x->topic, y->topic);
    if (c == 0) c = (x->partition > y->partition) - (x->partition < y->partition);
    return c ? c : (x->dir > y->dir) - (x->dir < y->dir);
}

static bool all_failed_but(const struct logs *l, const struct log_dir *d)
{
    for (int i = 0; i < l->dirs_n; i++)
        if (&l->dirs[i] != d && !dir_failed(&l->dirs[i])) return false;
    return true;
}

/* Its topic id; zero when there is none that can be read. */
static struct uuid id_of(struct logs *l, const struct log_found *f)
{
    char name[PARTNAME_MAX], path[SEG_PATH];
    struct uuid id;
    struct why reason;
    partname_format(name, f->topic, f->partition);
    snprintf(path, sizeof(path), "%s/%s", l->dirs[f->dir].path, name);
    int rc = partmeta_read(l->fs, path, &id, &reason);
    if (rc < 0 && rc != E_NOT_FOUND)
        log_warn("storage", "partition.metadata not readable", KV_STR("path", path), KV_STR("why", reason.text));
    return rc < 0 ? UUID_ZERO : id;
}

int logs_scan(struct logs *l, bool ids, struct arena *a, struct log_found **found, int *n, struct why *w)
{
    int cap = 0;
    struct log_found *v = NULL;
    *n = 0;
    for (int i = 0; i < l->dirs_n; i++) {
        struct log_dir *d = &l->dirs[i];
        struct slice *names;
        int names_n, rc;
        if (dir_failed(d)) continue;
        rc = l->fs->list(l->fs, d->path, a, &names, &names_n);
        if (rc < 0 && !all_failed_but(l, d)) {
            dir_fail(d, "list", d->path, rc);
            continue;
        }
        if (rc < 0) {
            mem_free(v);
            return why(w, err_of_errno(rc), "%s: %s", d->path, err_text(rc));
        }
        for (int k = 0; k < names_n; k++) {
            struct partname pn;
            struct fs_stat st;
            char path[SEG_PATH];
            if (partname_parse(names[k], &pn) != 0 || pn.kind != PARTNAME_LIVE || slice_eq(pn.topic, METADATA_TOPIC)) continue;
            bool known = d->was_clean && !ids && checkpoint_find(d->recovery, d->recovery_n, pn.topic, pn.partition) >= 0;
            if (!known) {
                snprintf(path, sizeof(path), "%s/" S_FMT, d->path, S_ARG(names[k]));
                if (l->fs->stat(l->fs, path, &st) < 0 || !st.is_dir) continue;
            }
            if (*n == cap) v = mem_realloc(v, (size_t)(cap = MAX(64, 2 * cap)) * sizeof(*v));
            struct log_found *f = &v[(*n)++];
            *f = (struct log_found){ .topic = pn.topic, .partition = pn.partition, .dir = i };
            if (!known) f->topic_id = id_of(l, f);
        }
    }
    *found = arena_array(a, struct log_found, MAX(*n, 1));
    if (*n) {
        memcpy(*found, v, (size_t)*n * sizeof(*v));
        qsort(*found, (size_t)*n, sizeof(*v), found_cmp);
    }
    for (int i = 1; i < *n; i++) { /* in two directories: which is it? */
        struct log_found *f = *found + i;
        if (f[-1].partition != f->partition || !slice_eq(f[-1].topic, f->topic)) continue;
        if (uuid_is_zero(f[-1].topic_id)) f[-1].topic_id = id_of(l, &f[-1]);
        if (uuid_is_zero(f->topic_id)) f->topic_id = id_of(l, f);
    }
    mem_free(v);
    return 0;
}

int logs_adopt(struct logs *l, struct why *w)
{
    for (int i = 0; i < l->dirs_n; i++) {
        struct log_dir *d = &l->dirs[i];
        struct identity id = { .version = 1, .node_id = l->node_id, .directory_id = d->id };
        if (!d->old || dir_failed(d)) continue;
        snprintf(id.cluster_id, sizeof(id.cluster_id), "%s", l->cluster_id);
        int rc = identity_write(l->fs, d->path, &id, now_ms(l));
        if (rc < 0 && all_failed_but(l, d)) return why(w, rc, "%s: meta.properties: %s", d->path, err_text(rc));
        if (rc < 0) dir_fail(d, "meta.properties", d->path, rc);
        else d->old = false;
    }
    return 0;
}

/* K3: durably gone before the first write. */
static int remove_marker(struct log_dir *d)
{
    if (!atomic_load(&d->marker_there)) return 0;
    int rc = marker_remove(d->logs->fs, d->path);
    while (rc == E_NO_FILES && fd_spare(&d->fds)) rc = marker_remove(d->logs->fs, d->path);
    if (rc == 0) atomic_store(&d->marker_there, false);
    return rc;
}

int plog_before_write(struct plog *p)
{
    int rc = remove_marker(p->dir);
    if (rc == E_NO_FILES) return E_NO_FILES; /* its removal is not durable yet: nothing is written */
    return rc < 0 ? dir_fail(p->dir, "clean marker", p->dir->path, rc) : 0;
}

void logs_tell(struct logs *l, const struct logs_truth *t)
{
    l->truth = *t;
    l->runs = (struct runs){ .first = t->quorum_epoch, .last = t->quorum_epoch, .settled = -1 };
}

void logs_cluster(const struct logs *l, char out[JOURNAL_CLUSTER])
{
    memset(out, 0, JOURNAL_CLUSTER);
    memcpy(out, l->cluster_id, MIN(strlen(l->cluster_id), (size_t)JOURNAL_CLUSTER));
}

/* Of which epochs a journal may be (J14). */
static int find_runs(struct logs *l, struct why *w)
{
    int32_t found = l->truth.quorum_epoch;
    char cluster[JOURNAL_CLUSTER];
    l->was_settled = true; /* without a metadata log there never was anybody else */
    if (l->truth.dir < 0) return 0;
    const struct log_dir *d = &l->dirs[l->truth.dir];
    logs_cluster(l, cluster);
    int rc = runs_read(l->fs, d->path, d->id, cluster, &l->runs);
    l->runs_there = rc == 0;
    if (rc == E_CORRUPT) log_warn("storage", "damaged, not believed", KV_STR("dir", d->path), KV_STR("file", RUNS_FILE));
    else if (rc < 0 && rc != E_NOT_FOUND) return why(w, rc, "%s/" RUNS_FILE ": %s", d->path, err_text(rc));
    l->runs.first = runs_since(&l->runs, found, l->truth.log_epoch);
    if (!runs_unbroken(&l->runs, found, l->truth.log_epoch)) l->runs.settled = -1;
    l->runs.last = found;
    l->was_settled = l->runs.settled >= 0;
    return 0;
}

static int note_runs(struct logs *l, int32_t last, struct why *w)
{
    const struct log_dir *d = &l->dirs[l->truth.dir];
    char cluster[JOURNAL_CLUSTER];
    logs_cluster(l, cluster);
    if (l->runs.first < 0) l->runs.first = last;
    l->runs.last = last;
    int rc = runs_write(l->fs, d->path, d->id, cluster, l->runs_there, &l->runs);
    if (rc < 0) return why(w, rc, "%s/" RUNS_FILE ": %s", d->path, err_text(rc));
    l->runs_there = true;
    return 0;
}

static bool nothing_there(struct logs *l) /* not one partition */
{
    bool any = false;
    for (int i = 0; i < l->dirs_n && !any; i++) {
        struct log_dir *d = &l->dirs[i];
        struct arena a;
        struct slice *names;
        struct partname pn;
        int n = 0;
        arena_init(&a);
        any = dir_failed(d) || l->fs->list(l->fs, d->path, &a, &names, &n) < 0;
        for (int k = 0; !any && k < n; k++) any = partname_parse(names[k], &pn) == 0 && !slice_eq(pn.topic, METADATA_TOPIC);
        arena_free(&a);
    }
    return !any;
}

void logs_settle(struct logs *l)
{
    int32_t epoch = atomic_load(&l->quorum_epoch);
    struct why why;
    if (!l->runs_there || epoch < 0 || l->runs.settled == epoch) return;
    for (int i = 0; i < l->dirs_n; i++)
        if (dir_failed(&l->dirs[i]) || atomic_load(&l->dirs[i].unopened)) return;
    int32_t was = l->runs.settled;
    l->runs.settled = epoch;
    if (note_runs(l, epoch, &why) == 0) return;
    log_warn("storage", "not noted that all logs are in order", KV_STR("why", why.text));
    l->runs.settled = was;
}

int logs_lead(struct logs *l, int32_t quorum_epoch, struct why *w)
{
    bool was = l->runs_there, noted = l->truth.dir >= 0;
    if (noted && (logs_was_clean(l) || (nothing_there(l) && logs_checkpoint(l) == 0))) l->runs.settled = quorum_epoch;
    int rc = noted ? note_runs(l, quorum_epoch, w) : 0;
    if (rc == E_NO_SPACE && !was && l->dirs_n == 1) rc = 0; /* nobody needs it much */
    if (rc == E_NO_SPACE && !was) {                         /* a start that does without a directory would disown its journal */
        log_warn("storage", "no room to note whose run this is: no commit journals, every file is synced by itself",
                 KV_STR("dir", l->dirs[l->truth.dir].path), KV_STR("file", RUNS_FILE));
        return 0;
    }
    if (rc == 0) atomic_store(&l->quorum_epoch, quorum_epoch);
    return rc;
}

int logs_begin(struct logs *l, struct why *w)
{
    assert(!l->begun);
    int found = find_runs(l, w);
    if (found < 0) return found;
    for (int i = 0; i < l->dirs_n; i++) { /* J14: all of them, before anything that could disown one */
        struct log_dir *d = &l->dirs[i];
        if (dir_failed(d)) continue;
        int rc = journal_replay(d, w);
        if (rc == 0) continue;
        if (all_failed_but(l, d) || d->i == l->truth.dir) return rc;
        struct why more;
        if (!l->runs_there && note_runs(l, l->runs.last, &more) < 0) return rc; /* the epoch that we raise would disown it */
        log_error("storage",
                  "commit journal not replayed: its directory stays offline until a start, or odradek check --repair, can do it",
                  KV_STR("dir", d->path), KV_STR("why", w->text));
        dir_fail(d, "journal", d->path, rc);
    }
    for (int i = 0; i < l->dirs_n; i++) {
        struct log_dir *d = &l->dirs[i];
        if (dir_failed(d)) continue;
        atomic_store(&d->marker_there, true); /* a removal of a former run may not be durable */
        int rc = remove_marker(d);
        if (rc < 0 && !all_failed_but(l, d)) dir_fail(d, "clean marker", d->path, rc);
        else if (rc < 0) return why(w, rc, "%s: clean marker: %s", d->path, err_text(rc));
    }
    l->begun = true;
    for (int i = 0; i < l->dirs_n; i++) {
        struct log_dir *d = &l->dirs[i];
        char name[32];
        snprintf(name, sizeof(name), "write-%d", i);
        atomic_store(&d->writer.w, worker_start(l->world, name, writer_turn, d));
        cool_start(d);
        commit_start(&d->commit);
        journal_start(&d->journal);
    }
    house_start(l);
    clean_start(l);
    scrub_start(l);
    for (int i = 0; i < l->dirs_n; i++) { /* deletions a former run began */
        struct log_dir *d = &l->dirs[i];
        struct arena a;
        struct slice *names;
        int n;
        arena_init(&a);
        if (dir_failed(d) || l->fs->list(l->fs, d->path, &a, &names, &n) < 0) n = 0;
        for (int k = 0; k < n; k++) {
            struct partname pn;
            char path[SEG_PATH];
            if (partname_parse(names[k], &pn) != 0 || pn.kind != PARTNAME_DELETE) continue;
            snprintf(path, sizeof(path), "%s/" S_FMT, d->path, S_ARG(names[k]));
            house_doom(d, path, true, 0);
        }
        arena_free(&a);
    }
    return 0;
}

/* ---- partitions -------------------------------------------------------------------------------------------------------------------------------------- */

static int emptiest_dir(const struct logs *l)
{
    int best = -1;
    for (int i = 0; i < l->dirs_n; i++)
        if (!dir_failed(&l->dirs[i]) && (best < 0 || l->dirs[i].partitions < l->dirs[best].partitions)) best = i;
    return best;
}

static int entry_at(const struct checkpoint_entry *v, int n, struct slice topic,
                    int32_t partition) /* v is sorted; -1: not there */
{
    int lo = 0, hi = n - 1;
    while (lo <= hi) {
        int mid = lo + (hi - lo) / 2, c = slice_cmp(v[mid].topic, topic);
        if (c == 0) c = (v[mid].partition > partition) - (v[mid].partition < partition);
        if (c == 0) return mid;
        if (c < 0) lo = mid + 1;
        else hi = mid - 1;
    }
    return -1;
}

/* Do the checkpoints that were found speak of it, and no log of this run instead? */
static bool entry_left(struct log_dir *d, struct slice topic, int32_t partition)
{
    int i = entry_at(d->recovery, d->recovery_n, topic, partition), k = entry_at(d->starts, d->starts_n, topic, partition);
    if (i < 0 && k < 0) return false;
    pthread_mutex_lock(&d->logs->mu);
    bool left = (i >= 0 && !d->recovery_taken[i]) || (k >= 0 && !d->starts_taken[k]);
    pthread_mutex_unlock(&d->logs->mu);
    return left;
}

static void take_entry(struct log_dir *d, struct slice topic, int32_t partition) /* under logs.mu */
{
    int i = entry_at(d->recovery, d->recovery_n, topic, partition), k = entry_at(d->starts, d->starts_n, topic, partition);
    if (i >= 0) d->recovery_taken[i] = true;
    if (k >= 0) d->starts_taken[k] = true;
}

/* What the checkpoints say of a former log of this name goes: forgotten_durably is to follow before a new one has it. */
static void forget_entry(struct log_dir *d, struct slice topic, int32_t partition)
{
    pthread_mutex_lock(&d->logs->mu);
    take_entry(d, topic, partition);
    pthread_mutex_unlock(&d->logs->mu);
    atomic_fetch_add(&d->forgets, 1);
}

/* The checkpoints on the disk say nothing of former logs any more. */
static int forgotten_durably(struct log_dir *d)
{
    return atomic_load(&d->forgets) == atomic_load(&d->forgotten) ? 0 : house_checkpoint_dir(d);
}

/* Enters p among all, and from now on it speaks for itself: for a checkpoint both happen at once. E_EXISTS when it is open already. */
static int enter(struct plog *p)
{
    struct logs *l = p->logs;
    int rc = 0;
    pthread_mutex_lock(&l->mu);
    struct map_node *there = map_find(&l->by_name, hash_slice(slice_of(p->name)), plog_name_eq, p->name);
    if (there) rc = E_EXISTS;
    else {
        map_put(&l->by_name, p->name_node.hash = hash_slice(slice_of(p->name)), &p->name_node);
        list_push(&l->all, &plog_ref(p)->all_link);
        atomic_fetch_add(&p->dir->partitions, 1);
        take_entry(p->dir, slice_of(p->topic), p->partition);
    }
    pthread_mutex_unlock(&l->mu);
    return rc;
}

bool plog_name_eq(const struct map_node *n, const void *key)
{
    return strcmp(container_of(n, struct plog, name_node)->name, key) == 0;
}

/* Takes p out again, with the reference of `all`. */
static void leave(struct plog *p)
{
    struct logs *l = p->logs;
    pthread_mutex_lock(&l->mu);
    bool was = list_linked(&p->all_link);
    if (was) {
        list_remove(&p->all_link);
        map_remove(&l->by_name, &p->name_node);
        atomic_fetch_sub(&p->dir->partitions, 1);
    }
    pthread_mutex_unlock(&l->mu);
    if (was) plog_unref(&p);
}

static int put_new(struct plog *p, const char *name, struct slice text, struct why *w)
{
    struct fs *fs = p->logs->fs;
    char path[SEG_PATH];
    snprintf(path, sizeof(path), "%s/%s", p->path, name);
    int fd = dir_open(p->dir, path, FS_WRITE | FS_CREATE), rc = MIN(fd, 0);
    if (fd >= 0) {
        struct iovec v = { (void *)(uintptr_t)text.p, text.n };
        rc = fs->pwritev(fs, fd, &v, 1, 0);
        fs->close(fs, fd);
    }
    return rc < 0 ? why(w, err_of_errno(rc), "%s: %s", path, err_text(rc)) : 0;
}

static int holds_nothing(struct plog *p);
static int set_stray(struct plog *p, struct why *w);

/* p's directory for create_files. A promised log may find one in its place: of an attempt before, that could not clear up after itself, or somebody put
 * it there since. */
static int create_dir(struct plog *p, struct why *w)
{
    struct fs *fs = p->logs->fs;
    int rc = fs->mkdir(fs, p->path), found = 0;
    if (rc == -EEXIST && plog_unmade(p)) {
        if ((found = set_stray(p, w)) < 0) return found;
        if (found > 0) rc = fs->mkdir(fs, p->path);
        else if ((found = holds_nothing(p)) > 0) rc = 0;
        else if (found < 0) return why(w, found, "%s: %s", p->path, err_text(found));
    }
    return rc < 0 ? why(w, err_of_errno(rc), "%s: %s", p->path, err_text(rc)) : 0;
}

/* What create_files made goes again: by name, which takes no descriptor. */
static void unmake_files(struct plog *p)
{
    static const char *const names[] = { PARTMETA_FILE, EPOCHS_FILE };
    struct fs *fs = p->logs->fs;
    char path[SEG_PATH];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", p->path, names[i]);
        (void)fs->unlink(fs, path);
    }
    for (enum seg_file f = SEG_LOG; f <= SEG_TIME; f++) {
        seg_path_in(p->path, 0, f, path);
        (void)fs->unlink(fs, path);
    }
    (void)fs->rmdir(fs, p->path);
    while (p->segs_n > 0) seg_unref(&p->segs[--p->segs_n]);
    epochs_free(&p->epochs);
}

/* Directory, partition.metadata, empty segment, leader-epoch-checkpoint. What they need no atomic writing for: until create_sync returned nothing is
 * appended, and a start that finds them half there, of a log that holds nothing, makes them anew (K6). The log is not listed yet. */
static int create_files(struct plog *p, struct why *w)
{
    struct fs *fs = p->logs->fs;
    struct bytes text = { 0 };
    pthread_mutex_lock(&p->mu);
    int32_t epoch = p->leader_epoch;
    pthread_mutex_unlock(&p->mu);
    int rc = create_dir(p, w);
    if (rc < 0) return rc;
    partmeta_format(p->topic_id, &text); /* first: Kafka takes a directory without it for a stray */
    rc = put_new(p, PARTMETA_FILE, (struct slice){ (const char *)text.p, text.n }, w);
    if (rc == 0) rc = recover_first_segment(p, 0, w);
    for (enum seg_file f = SEG_OFF; rc == 0 && f <= SEG_TIME; f++) {
        char path[SEG_PATH];
        seg_path(p->segs[0], f, path);
        int fd = dir_open(p->dir, path, FS_WRITE | FS_CREATE);
        if (fd >= 0) fs->close(fs, fd);
        else rc = why(w, err_of_errno(fd), "%s: %s", path, err_text(fd));
    }
    if (rc == 0 && epoch >= 0 && epochs_assign(&p->epochs, epoch, 0)) {
        text.n = 0;
        epochs_encode(&p->epochs, &text);
        rc = put_new(p, EPOCHS_FILE, (struct slice){ (const char *)text.p, text.n }, w);
    }
    bytes_free(&text);
    if (rc < 0) unmake_files(p);
    return rc;
}

/* Its files are there: from now on it is used like any other. */
static void created(struct plog *p, bool synced)
{
    pthread_mutex_lock(&p->mu);
    p->segs[0]->entry_unsynced = false;     /* create_sync comes before the first append */
    p->recovery_point = p->start_floor = 0; /* checkpoints say nothing any more of an earlier one of this name */
    p->newest_snapshot = -1;
    p->dirty_from = 0;
    p->fresh = !synced;
    p->listed = true;
    p->warm = true;
    p->unmade = false;
    if (p->leader_epoch > epochs_latest(&p->epochs)) plog_enter_epoch(p);
    pthread_mutex_unlock(&p->mu);
}

static int create(struct plog *p, struct why *w)
{
    int rc = create_files(p, w);
    if (rc == 0) created(p, false);
    return rc;
}

/* Two steps that make what create made, in this run or in one that was killed, durable, but for the directory's own name (J8). First its files start
 * on their way to the disk; when all new ones have, their syncs find them there, and the file system's journal is written a few times instead of
 * once for each. 0; E_NO_FILES, E_NO_MEMORY: nothing could be opened to be synced; or final (J6). */
static int create_sync(struct plog *p, bool start)
{
    static const char *const files[] = { PARTMETA_FILE, EPOCHS_FILE };
    struct fs *fs = p->logs->fs;
    int rc = dir_failed(p->dir) ? E_OFFLINE : 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(files); i++) {
        char path[SEG_PATH];
        snprintf(path, sizeof(path), "%s/%s", p->path, files[i]);
        int fd = dir_open(p->dir, path, FS_WRITE);
        if (open_passes(fd)) return start ? 0 : err_of_errno(fd);
        if (fd < 0 && fd != -ENOENT) rc = fd; /* an existing log may do without */
        if (fd < 0) continue;
        if (start) fs->writeback(fs, fd, 0, 4 * KiB);
        else {
            rc = fs->datasync(fs, fd);
            metric_add(M_sys_sync, 1);
        }
        fs->close(fs, fd);
    }
    if (rc == 0 && !start) rc = dir_sync(p->dir, p->path);
    if (dir_sync_passes(rc)) return err_of_errno(rc);
    return rc == 0 || rc == E_OFFLINE ? rc : dir_fail(p->dir, "new partition", p->path, rc);
}

/* Whether no file of its directory says that it ever held a record: 1, 0, or why that cannot be told: E_NO_FILES, E_NO_MEMORY, E_IO. Of a log that is
 * not made yet the checkpoints know a former one of the name, if any, and it has no files but those that create_files makes. */
static int holds_nothing(struct plog *p)
{
    struct fs *fs = p->logs->fs;
    struct log_dir *d = p->dir;
    struct arena a;
    struct slice *names;
    int n = 0;
    bool unmade = plog_unmade(p);
    if (!unmade && checkpoint_find(d->recovery, d->recovery_n, slice_of(p->topic), p->partition) > 0) return 0;
    arena_init(&a);
    int rc = fs->list(fs, p->path, &a, &names, &n);
    while (fd_room(&d->fds, rc)) rc = fs->list(fs, p->path, &a, &names, &n);
    bool nothing = rc == 0;
    for (int i = 0; nothing && i < n; i++) {
        int64_t base;
        struct fs_stat st;
        int f = seg_name_parse(names[i], &base);
        if (f < 0) nothing = !unmade || slice_eq(names[i], S(PARTMETA_FILE)) || slice_eq(names[i], S(EPOCHS_FILE));
        else
            nothing = base == 0 && f != SEG_SNAPSHOT &&
                      fs->stat(fs, arena_printf(&a, "%s/" S_FMT, p->path, S_ARG(names[i])).p, &st) == 0 && st.size == 0;
    }
    arena_free(&a);
    return rc == -EIO || open_passes(rc) ? err_of_errno(rc) : nothing;
}

static bool is_metadata(const struct plog *p) { return slice_eq(slice_of(p->topic), METADATA_TOPIC); }

int logs_look_into(struct plog *p, struct why *w)
{
    struct log_dir *d = p->dir;
    struct uuid id;
    struct fs_stat st;
    bool trusted = d->was_clean && !is_metadata(p);
    int rc = p->logs->fs->stat(p->logs->fs, p->path, &st);
    if (rc < 0 || !st.is_dir) {
        rc = rc == -ENOENT ? E_NOT_FOUND : rc < 0 ? err_of_errno(rc) : E_EXISTS;
        return why(w, rc, "%s: %s", p->path, rc == E_EXISTS ? "not a directory" : err_text(rc));
    }
    rc = partmeta_read(p->logs->fs, p->path, &id, w);
    int nothing = rc == E_CORRUPT ? holds_nothing(p) : 0;
    if (nothing < 0) return why(w, nothing, "%s: %s", p->path, err_text(nothing));
    if (rc == E_NOT_FOUND || nothing > 0) { /* a creation that a crash cut short, or of ZooKeeper's time */
        if (!uuid_is_zero(p->topic_id)) {
            if ((rc = remove_marker(d)) == 0) rc = partmeta_write(p->logs->fs, p->path, p->topic_id);
            if (rc < 0) return why(w, rc, "%s: partition.metadata: %s", p->path, err_text(rc));
        }
    } else if (rc < 0) return rc;
    else if (uuid_is_zero(p->topic_id)) p->topic_id = id;
    else if (!uuid_eq(id, p->topic_id))
        return why(w, E_INCONSISTENT_TOPIC_ID, "%s: partition.metadata names another topic id", p->path);

    rc = recover_list(p, w);
    if (rc < 0) return rc;
    if (!trusted || !recover_cold(p)) return recover_plog(p, trusted, w);
    pthread_mutex_lock(&p->mu);
    p->listed = true;
    pthread_mutex_unlock(&p->mu);
    return 0;
}

/* What the checkpoints say of it. */
static void ask_checkpoints(struct plog *p)
{
    const struct log_dir *d = p->dir;
    if (is_metadata(p)) return;
    p->recovery_point = checkpoint_find(d->recovery, d->recovery_n, slice_of(p->topic), p->partition);
    p->start_floor = MAX(0, checkpoint_find(d->starts, d->starts_n, slice_of(p->topic), p->partition));
}

/* Opens what must be there without looking, on the word of a clean stop: its recovery point is the end (K3). False: that must be looked at. */
static bool open_trusted(struct plog *p, const struct plog_spec *spec)
{
    if (!p->dir->was_clean || !spec->must_exist || spec->leader_epoch < 0 || is_metadata(p) || uuid_is_zero(p->topic_id))
        return false;
    if (p->recovery_point < 0 || p->start_floor > p->recovery_point) return false;
    p->start = p->start_floor;
    p->end = p->next = p->durable = p->flushed = p->watermark = p->stable = p->recovery_point;
    return true;
}

int dir_unopened(const struct log_dir *d, bool starts, struct checkpoint_entry *out)
{
    const struct checkpoint_entry *v = starts ? d->starts : d->recovery;
    const bool *taken = starts ? d->starts_taken : d->recovery_taken;
    int n = 0;
    for (int i = 0; i < (starts ? d->starts_n : d->recovery_n); i++) {
        if (taken[i]) continue;
        if (out) out[n] = v[i];
        n++;
    }
    return n;
}

/* Where p is to be made there is a directory of another topic that had the name: it is set aside under a name that Kafka gives such ones. 1: done; 0:
 * there is none of another topic; or an error. */
static int set_stray(struct plog *p, struct why *w)
{
    struct fs *fs = p->logs->fs;
    struct uuid id;
    char name[PARTNAME_MAX], path[SEG_PATH];
    if (uuid_is_zero(p->topic_id)) return 0;
    int rc = partmeta_read(fs, p->path, &id, w);
    if (err_passes(rc)) return rc;
    if (rc < 0 || uuid_eq(id, p->topic_id)) return 0;
    partname_format_kind(name, slice_of(p->topic), p->partition, PARTNAME_STRAY, rnd_uuid(p->logs->world->rnd));
    snprintf(path, sizeof(path), "%s/%s", p->dir->path, name);
    rc = remove_marker(p->dir);
    if (rc < 0) return why(w, rc, "%s: clean marker: %s", p->dir->path, err_text(rc));
    forget_entry(p->dir, slice_of(p->topic), p->partition);
    rc = forgotten_durably(p->dir); /* its recovery point shall not be taken for the new log's */
    if (rc < 0) return why(w, rc, "%s: checkpoints: %s", p->dir->path, err_text(rc));
    rc = fs->rename(fs, p->path, path);
    if (rc == 0) rc = dir_sync(p->dir, p->dir->path);
    if (rc < 0) return why(w, err_of_errno(rc), "%s: %s", p->path, err_text(rc));
    log_warn("storage", "a directory of another topic was in the place of a new one: set aside", KV_STR("log", p->name),
             KV_STR("kept_as", path));
    return 1;
}

/* A new log is to be made, and d has no directory of its name. A checkpoint may speak of a former one: a deletion was cut short after the directory
 * was renamed, or somebody removed it. The new one must not be given that recovery point and log start by the start after a crash: what it acknowledged
 * below them would be dropped. */
static void forget_missing(struct log_dir *d, const struct plog_spec *spec)
{
    if (slice_eq(spec->topic, METADATA_TOPIC) || !entry_left(d, spec->topic, spec->partition)) return;
    int64_t r = checkpoint_find(d->recovery, d->recovery_n, spec->topic, spec->partition);
    if (r > 0)
        log_error("storage", "the directory of a log with records is not there, it begins anew", KV_STR("dir", d->path),
                  KV_SLICE("topic", spec->topic), KV_I64("partition", spec->partition), KV_I64("recovery_point", r));
    forget_entry(d, spec->topic, spec->partition);
}

/* The same for many that are to be made, with one checkpoint a directory. Where it fails each of them tries again. */
static void forget_all_missing(struct logs *l, const struct plog_spec *specs, int n)
{
    for (int i = 0; i < l->dirs_n; i++) {
        struct log_dir *d = &l->dirs[i];
        for (int k = 0; k < n && !dir_failed(d) && (d->recovery_n > 0 || d->starts_n > 0); k++) {
            char name[PARTNAME_MAX], path[SEG_PATH];
            struct fs_stat st;
            if (specs[k].must_exist || !topic_name_valid(specs[k].topic) || specs[k].partition < 0 ||
                !entry_left(d, specs[k].topic, specs[k].partition))
                continue;
            partname_format(name, specs[k].topic, specs[k].partition);
            snprintf(path, sizeof(path), "%s/%s", d->path, name);
            if (l->fs->stat(l->fs, path, &st) == -ENOENT) forget_missing(d, &specs[k]);
        }
        if (!dir_failed(d)) (void)forgotten_durably(d);
    }
}

/* A new one is not durable yet: create_sync, and a sync of the log directory. */
static int open_partition(struct logs *l, const struct plog_spec *spec, struct plog **out, struct why *w)
{
    *out = NULL;
    if (!topic_name_valid(spec->topic) || spec->partition < 0) return why(w, E_INVALID_TOPIC_EXCEPTION, "not a topic name");
    int dir = spec->dir;
    char name[PARTNAME_MAX];
    partname_format(name, spec->topic, spec->partition);
    for (int i = 0; dir < 0 && i < l->dirs_n; i++) { /* it may be there already, of a creation that a crash cut short */
        char path[SEG_PATH];
        struct fs_stat st;
        snprintf(path, sizeof(path), "%s/%s", l->dirs[i].path, name);
        if (!dir_failed(&l->dirs[i]) && l->fs->stat(l->fs, path, &st) == 0 && st.is_dir) dir = i;
    }
    if (dir < 0) dir = emptiest_dir(l);
    if (dir < 0 || dir >= l->dirs_n || dir_failed(&l->dirs[dir])) return why(w, E_OFFLINE, "%s: log directory is offline", name);

    pthread_mutex_lock(&l->mu);
    bool open = map_find(&l->by_name, hash_slice(slice_of(name)), plog_name_eq, name) != NULL;
    pthread_mutex_unlock(&l->mu);
    if (open) return why(w, E_EXISTS, "%s: open already", name); /* before its files are touched */

    struct plog *p = plog_new(&l->dirs[dir], spec);
    struct fs_stat st;
    bool found = false, promised = false;
    ask_checkpoints(p);
    int rc = open_trusted(p, spec) ? 1 : l->fs->stat(l->fs, p->path, &st);
    if (rc == 1) rc = 0;
    else if (rc == -ENOENT && spec->must_exist) rc = why(w, E_NOT_FOUND, "%s: not there", p->path);
    else if (rc == -ENOENT) {
        forget_missing(p->dir, spec);
        rc = is_metadata(p) ? 0 : forgotten_durably(p->dir);
        if (rc < 0) why(w, rc, "%s: checkpoints: %s", p->dir->path, err_text(rc));
        else if (spec->promised && l->begun) p->unmade = p->fresh = promised = true;
        else rc = create(p, w);
    } else if (rc == 0) {
        p->fresh = !is_metadata(p) && p->recovery_point < 0; /* nobody said yet that its creation was synced */
        int stray = spec->must_exist || !st.is_dir ? 0 : set_stray(p, w);
        rc = stray < 0 ? stray : stray > 0 ? create(p, w) : logs_look_into(p, w);
        found = rc < 0 && st.is_dir;
    } else rc = why(w, err_of_errno(rc), "%s: %s", p->path, err_text(rc));
    rc = plog_read_failed(p, rc);
    if (rc < 0 && found && rc != E_INCONSISTENT_TOPIC_ID) atomic_store(&p->dir->unopened, true);
    if (rc == 0) rc = enter(p);
    if (rc == 0 && promised) house_promise(p);
    if (rc < 0) plog_unref(&p);
    *out = p;
    return rc;
}

/* ---- many at once --------------------------------------------------------------------------------------------------------------------------------------- */

/* fn(arg, 0 … n−1) on some threads; the caller waits. One thread in the simulated world: the caller's. */
struct crowd {
    void (*fn)(void *arg, int i);
    void *arg;
    int n;
    _Atomic int next;
    pthread_mutex_t mu;
    pthread_cond_t cv;
    int done;
};

static enum turn crowd_turn(void *arg)
{
    struct crowd *c = arg;
    int i = atomic_fetch_add(&c->next, 1);
    if (i >= c->n) return TURN_IDLE;
    c->fn(c->arg, i);
    pthread_mutex_lock(&c->mu);
    if (++c->done == c->n) pthread_cond_broadcast(&c->cv);
    pthread_mutex_unlock(&c->mu);
    return TURN_MORE;
}

enum { THREADS_MAX = 16 };
static void in_parallel(struct logs *l, const char *name, int threads, int n, void (*fn)(void *arg, int i), void *arg)
{
    enum { WORTH = 4 };
    threads = MIN(MIN(threads, THREADS_MAX), n / WORTH);
    if (l->world->sim || threads < 2) {
        for (int i = 0; i < n; i++) fn(arg, i);
        return;
    }
    struct crowd c = { .fn = fn, .arg = arg, .n = n };
    struct worker *w[THREADS_MAX];
    pthread_mutex_init(&c.mu, NULL);
    pthread_cond_init(&c.cv, NULL);
    for (int i = 0; i < threads; i++) {
        w[i] = worker_start(l->world, name, crowd_turn, &c);
        worker_kick(w[i]);
    }
    pthread_mutex_lock(&c.mu);
    while (c.done < n) pthread_cond_wait(&c.cv, &c.mu);
    pthread_mutex_unlock(&c.mu);
    for (int i = 0; i < threads; i++) worker_stop(&w[i]);
    pthread_mutex_destroy(&c.mu);
    pthread_cond_destroy(&c.cv);
}

struct opening {
    struct logs *logs;
    const struct plog_spec *specs;
    struct plog **outs;
    int *errs;
    struct why *first;
    _Atomic bool said;
};

static void open_one(void *arg, int i)
{
    struct opening *o = arg;
    struct why w = { "" };
    o->errs[i] = open_partition(o->logs, &o->specs[i], &o->outs[i], &w);
    if (o->errs[i] < 0 && !atomic_exchange(&o->said, true) && o->first) *o->first = w;
}

struct syncing {
    struct plog **v;
    int *errs;
};
static void start_one(void *arg, int i)
{
    (void)create_sync(((struct syncing *)arg)->v[i], true);
} /* tells, and fails the directory */
static void sync_one(void *arg, int i)
{
    struct syncing *s = arg;
    s->errs[i] = create_sync(s->v[i], false);
}

/* Makes the creation of logs durable, then their names in the log directories, with one sync each (J8). errs: E_OFFLINE, or why one could not be
 * opened to be synced. */
static void sync_created(struct logs *l, struct plog **v, int n, int threads, int *errs)
{
    struct syncing s = { v, errs };
    bool *dirs = mem_zalloc((size_t)l->dirs_n);
    for (int i = 0; i < n; i++) dirs[v[i]->dir->i] = true;
    in_parallel(l, "create", threads, n, start_one, &s);
    in_parallel(l, "create", THREADS_MAX, n, sync_one, &s);
    for (int d = 0; d < l->dirs_n; d++) {
        if (!dirs[d] || dir_failed(&l->dirs[d])) continue;
        int rc = dir_sync(&l->dirs[d], l->dirs[d].path);
        for (int i = 0; i < n; i++)
            if (dir_sync_passes(rc) && v[i]->dir == &l->dirs[d]) errs[i] = err_of_errno(rc);
        if (rc < 0 && !dir_sync_passes(rc)) dir_fail(&l->dirs[d], "sync", l->dirs[d].path, rc);
    }
    for (int i = 0; i < n; i++)
        if (dir_failed(v[i]->dir)) errs[i] = E_OFFLINE;
    mem_free(dirs);
}

/* Makes the creation of those of outs durable that are fresh. What is in a directory that failed on the way, or could not be opened to be synced, is
 * taken out again: whoever asks for it again finds it half made. */
static void sync_new(struct logs *l, struct plog **outs, int *errs, int n)
{
    struct plog **fresh = mem_alloc((size_t)MAX(n, 1) * sizeof(struct plog *)); /* borrowed */
    bool *dirs = mem_zalloc((size_t)l->dirs_n);
    int *later = mem_zalloc((size_t)MAX(n, 1) * sizeof(*later)), *of = mem_zalloc((size_t)MAX(n, 1) * sizeof(*of));
    int k = 0;
    for (int i = 0; i < n; i++) {
        if (!outs[i] || plog_unmade(outs[i])) continue;
        pthread_mutex_lock(&outs[i]->mu); /* after `unmade`: a promised one may be made meanwhile, and in use */
        bool mine = outs[i]->fresh;
        pthread_mutex_unlock(&outs[i]->mu);
        if (!mine) continue;
        dirs[outs[i]->dir->i] = true;
        of[k] = i;
        fresh[k++] = outs[i];
    }
    sync_created(l, fresh, k, l->set.recovery_threads, later);
    for (int i = 0; i < k; i++) {
        if (later[i] < 0) continue;
        pthread_mutex_lock(&fresh[i]->mu);
        fresh[i]->fresh = false;
        pthread_mutex_unlock(&fresh[i]->mu);
    }
    for (int i = 0; i < n; i++) {
        if (!outs[i] || !dirs[outs[i]->dir->i] || !dir_failed(outs[i]->dir)) continue;
        leave(outs[i]);
        plog_unref(&outs[i]);
        errs[i] = E_OFFLINE;
    }
    for (int i = 0; i < k; i++) {
        struct plog **out = &outs[of[i]];
        if (!*out || later[i] == 0) continue;
        errs[of[i]] = later[i];
        leave(*out);
        plog_unref(out);
    }
    mem_free(fresh);
    mem_free(dirs);
    mem_free(later);
    mem_free(of);
}

/* ---- promised ones ----------------------------------------------------------------------------------------------------------------------------------------- */

struct making {
    struct plog **v;
    int *errs;
    struct why *whys;
};

static void make_one(void *arg, int i)
{
    struct making *m = arg;
    struct plog *p = m->v[i];
    m->errs[i] = plog_is_gone(p) ? E_GONE : dir_failed(p->dir) ? E_OFFLINE : plog_broken(p);
    if (m->errs[i] == 0 && p->segs_n == 0)
        m->errs[i] = create_files(p, &m->whys[i]); /* else they are there, and were not synced */
}

/* Under maint of all of v. */
static void make_all(struct logs *l, struct plog **v, int n, int threads, int *errs)
{
    struct making m = { v, errs, mem_zalloc((size_t)n * sizeof(struct why)) };
    struct plog **made = mem_alloc((size_t)n * sizeof(struct plog *)); /* borrowed */
    int *later = mem_zalloc((size_t)n * sizeof(*later)), *of = mem_zalloc((size_t)n * sizeof(*of));
    int k = 0;
    in_parallel(l, "create", threads, n, make_one, &m);
    for (int i = 0; i < n; i++) {
        if (errs[i] < 0) continue;
        of[k] = i;
        made[k++] = v[i];
    }
    if (k > 0) sync_created(l, made, k, threads, later);
    for (int i = 0; i < k; i++) {
        if (later[i] == 0) created(made[i], true);
        errs[of[i]] = later[i];
    }
    for (int i = 0; i < n; i++)
        if (errs[i] < 0 && errs[i] != E_GONE && plog_broken(v[i]) == 0) errs[i] = plog_break(v[i], errs[i], &m.whys[i]);
    mem_free(m.whys);
    mem_free(made);
    mem_free(later);
    mem_free(of);
}

int logs_make_locked(struct plog *p)
{
    int rc = 0;
    make_all(p->logs, &p, 1, 1, &rc);
    return rc;
}

void logs_make(struct logs *l, struct plog **v, int n, bool behind)
{
    struct plog **mine = mem_alloc((size_t)MAX(n, 1) * sizeof(struct plog *)); /* borrowed */
    int *errs = mem_zalloc((size_t)MAX(n, 1) * sizeof(*errs));
    int k = 0;
    for (int i = 0; i < n; i++) { /* never waits: others of v are held */
        if (pthread_mutex_trylock(&v[i]->maint) != 0) continue;
        if (plog_unmade(v[i])) mine[k++] = v[i];
        else pthread_mutex_unlock(&v[i]->maint);
    }
    if (k > 0) make_all(l, mine, k, behind ? 1 : l->set.recovery_threads, errs);
    for (int i = 0; i < k; i++) {
        if (err_passes(errs[i]))
            log_warn("storage", "a new log is not made yet, trying again later", KV_STR("log", mine[i]->name), KV_ERR(errs[i]));
        pthread_mutex_unlock(&mine[i]->maint);
    }
    mem_free(mine);
    mem_free(errs);
}

void logs_partitions(struct logs *l, const struct plog_spec *specs, int n, struct plog **outs, int *errs, struct why *first)
{
    struct opening o = { .logs = l, .specs = specs, .outs = outs, .errs = errs, .first = first };
    forget_all_missing(l, specs, n);
    in_parallel(l, "recover", l->set.recovery_threads * l->dirs_n, n, open_one, &o);
    sync_new(l, outs, errs, n);
    house_kick(l); /* what is promised */
    for (int i = 0; i < n; i++)
        if (errs[i] == E_OFFLINE && !atomic_exchange(&o.said, true) && first) why(first, E_OFFLINE, "log directory is offline");
}

int logs_partition(struct logs *l, const struct plog_spec *spec, struct plog **out, struct why *w)
{
    int rc = open_partition(l, spec, out, w);
    if (rc < 0) return rc;
    sync_new(l, out, &rc, 1);
    if (rc == 0 && plog_unmade(*out)) house_kick(l);
    return rc < 0 ? why(w, rc, rc == E_OFFLINE ? "log directory is offline" : "not made durable: %s", err_text(rc)) : 0;
}

/* p is deleted before it was made: whether what stands at its path may go. 0: it is of p, or there is nothing; or an error. */
static int unmade_deleted(struct plog *p)
{
    struct fs *fs = p->logs->fs;
    struct fs_stat st;
    struct uuid id;
    int rc = p->segs_n > 0 ? -ENOENT : fs->stat(fs, p->path, &st);
    if (rc == -ENOENT) return 0;
    if (rc == 0 && !st.is_dir) return E_EXISTS;
    rc = partmeta_read(fs, p->path, &id, NULL);
    if (rc == 0) return uuid_eq(id, p->topic_id) ? 0 : E_INCONSISTENT_TOPIC_ID;
    if (!err_passes(rc) && rc != E_IO) rc = holds_nothing(p);
    return rc > 0 ? 0 : rc == 0 ? E_EXISTS : plog_read_failed(p, rc);
}

int logs_delete_partition(struct logs *l, struct plog *p)
{
    struct fs *fs = l->fs;
    char name[PARTNAME_MAX], path[SEG_PATH];
    pthread_mutex_lock(&p->mu);
    p->gone = true;
    pthread_mutex_unlock(&p->mu);
    plog_notify(p);
    queue_own(p); /* what is queued hears E_GONE; nothing is written any more */
    queue_release(p);
    cool_forget(p, NULL);

    pthread_mutex_lock(&p->maint);
    bool unmade = plog_unmade(p);
    int rc = unmade ? unmade_deleted(p) : plog_list_deleted(p), known = rc; /* the directory may be another topic's */
    if (rc == E_OFFLINE) rc = 0;
    leave(plog_ref(p));
    journal_gone(p); /* its deletion is durable in the metadata log (J7) */
    if (!dir_failed(p->dir) && known == 0) {
        partname_format_kind(name, slice_of(p->topic), p->partition, PARTNAME_DELETE, rnd_uuid(l->world->rnd));
        snprintf(path, sizeof(path), "%s/%s", p->dir->path, name);
        rc = fs->rename(fs, p->path, path);
        if (unmade && rc == -ENOENT) rc = 0;
        else if (rc == 0) rc = dir_sync(p->dir, p->dir->path);
        if (dir_sync_passes(rc)) rc = 0; /* should the name come back, it is set aside: the deletion is in the metadata log */
        if (rc < 0) rc = dir_fail(p->dir, "deletion", p->path, rc);
        if (rc == 0) rc = house_checkpoint_dir(p->dir); /* its recovery point shall not be taken for a later log's of this name */
        if (rc == 0) clean_forget(p);
        if (err_passes(rc)) { /* before a new log has the name it is tried again */
            atomic_fetch_add(&p->dir->forgets, 1);
            rc = 0;
        }
        if (!dir_failed(p->dir)) house_doom(p->dir, path, true, p->conf.file_delete_delay_ms);
    }
    pthread_mutex_unlock(&p->maint);
    plog_unref(&p);
    return rc;
}

struct plog **logs_all_locked(struct logs *l, int *n)
{
    int cap = 0;
    struct plog **v = NULL;
    *n = 0;
    list_each (it, &l->all) {
        if (*n == cap) v = mem_realloc(v, (size_t)(cap = MAX(64, 2 * cap)) * sizeof(struct plog *));
        assert(v);
        v[(*n)++] = plog_ref(container_of(it, struct plog, all_link));
    }
    return v;
}

struct plog **logs_all(struct logs *l, int *n)
{
    pthread_mutex_lock(&l->mu);
    struct plog **v = logs_all_locked(l, n);
    pthread_mutex_unlock(&l->mu);
    return v;
}

void logs_drop(struct plog **v, int n)
{
    for (int i = 0; i < n; i++) plog_unref(&v[i]);
    mem_free(v);
}

int64_t logs_max_producer_id(struct logs *l)
{
    int64_t max = -1;
    int n;
    struct plog **v = logs_all(l, &n);
    for (int i = 0; i < n; i++) {
        (void)plog_list(v[i]);
        pthread_mutex_lock(&v[i]->mu);
        if (v[i]->warm) max = MAX(max, pstate_max_producer_id(&v[i]->ps));
        int64_t snapshot = v[i]->listed ? v[i]->newest_snapshot : -1;
        pthread_mutex_unlock(&v[i]->mu);
        struct bytes b = { 0 };
        char path[SEG_PATH];
        seg_path_in(v[i]->path, snapshot, SEG_SNAPSHOT, path);
        if (snapshot >= 0 && fs_read_file(l->fs, path, 1 << 30, &b) == 0)
            max = MAX(max, pstate_file_max_id((struct slice){ (const char *)b.p, b.n }));
        bytes_free(&b);
    }
    logs_drop(v, n);
    return max;
}

/* ---- stopping --------------------------------------------------------------------------------------------------------------------------------------------- */

/* Indexes, snapshot and epochs of a log that was used; everything in it is durable already. */
static int close_log(struct plog *p)
{
    struct fs *fs = p->logs->fs;
    struct bytes time = { 0 };
    char path[SEG_PATH];
    int rc = plog_seal(p);
    if (rc < 0) return rc;
    pthread_mutex_lock(&p->mu);
    bool idle = p->epochs_dirty && p->epochs_idle && p->epochs.v[p->epochs.n - 1].start == p->end;
    pthread_mutex_unlock(&p->mu);
    if (!idle && (rc = plog_write_epochs(p)) < 0) return rc;
    pthread_mutex_lock(&p->mu);
    struct segment *s = plog_active(p);
    bool work = p->appended || s->unsaved || s->off.tail.n || s->time.tail.n;
    if (work) {
        seg_note_close(s->base, &s->gauge, &time);
        if (time.n) bytes_put(&s->time.tail, time.p, time.n);
    }
    pthread_mutex_unlock(&p->mu);
    bytes_free(&time);
    bool snapshot = p->has_snapshots && pstate_snapshot_due(&p->ps);
    if (work) {
        if ((rc = seg_save_indexes(s)) < 0) return rc;
        seg_path(s, SEG_TXN, path);
        if ((rc = txidx_sync(fs, path)) < 0) return rc;
    }
    if (snapshot && (rc = pstate_snapshot(&p->ps, fs, p->path)) < 0) return rc;
    if (work && (rc = fs->sync_dir(fs, p->path)) < 0) return err_of_errno(rc);
    p->appended = false;
    return 0;
}

struct closing {
    struct plog **v;
    int *errs;
};

static void close_one(void *arg, int i)
{
    struct closing *c = arg;
    struct plog *p = c->v[i];
    c->errs[i] = !dir_failed(p->dir) && plog_is_warm(p) ? close_log(p) : 0;
}

int logs_close(struct logs *l, int64_t broker_epoch)
{
    int n, rc = 0;
    if (!l->begun) return 0;
    atomic_store(&l->closing, true); /* appends are refused from here on */
    struct plog **v = logs_all(l, &n);
    for (int i = 0; i < n; i++) { /* what is being written is finished */
        queue_own(v[i]);
        queue_release(v[i]);
    }
    for (int i = 0; i < l->dirs_n; i++) kick_stop(&l->dirs[i].writer);
    for (int i = 0; i < n; i++) plog_commit(v[i]);
    for (int i = 0; i < l->dirs_n; i++)
        while (commit_step(&l->dirs[i].commit)) {}
    stop_workers(l);
    for (int i = 0; i < l->dirs_n; i++) /* J18: when the segments have it all, the journal may go */
        while (journal_sync_oldest(&l->dirs[i].journal)) {}
    l->begun = false;

    int64_t until = now_us(l) + STOP_MAKES_US; /* what is missing then, whoever starts next makes */
    for (int i = 0, k; i < n && now_us(l) < until; i = k) {
        struct plog *unmade[MAKE_BATCH];
        int m = 0;
        for (k = i; k < n && m < MAKE_BATCH; k++)
            if (plog_unmade(v[k])) unmade[m++] = v[k];
        if (m > 0) logs_make(l, unmade, m, false);
    }
    struct closing c = { .v = v, .errs = mem_zalloc((size_t)MAX(n, 1) * sizeof(int)) };
    in_parallel(l, "close", THREADS_MAX, n, close_one, &c);
    for (int d = 0; d < l->dirs_n; d++) {
        struct log_dir *dir = &l->dirs[d];
        int one = dir_failed(dir) ? E_OFFLINE : 0;
        for (int i = 0; i < n && one == 0; i++) {
            if (v[i]->dir != dir) continue;
            one = c.errs[i];
            if (one == 0 && v[i]->flushed < v[i]->end) one = E_IO;
            if (one < 0) log_error("storage", "log not closed, no clean marker", KV_STR("log", v[i]->name), KV_ERR(one));
        }
        if (one == 0) one = house_checkpoint_dir(dir);
        if (one == 0) one = journal_remove(&dir->journal) < 0 ? E_IO : 0; /* J18: before the marker */
        if (one == 0 && l->dirs_n == 1 && l->runs_there) one = runs_remove(l->fs, dir->path) < 0 ? E_IO : 0;
        if (one == 0) one = l->fs->sync_dir(l->fs, dir->path) < 0 ? E_IO : 0;
        if (one == 0 && atomic_load(&dir->unopened)) {
            log_warn("storage", "a log could not be opened, no clean marker", KV_STR("dir", dir->path));
            continue;
        }
        if (one == 0) one = marker_write(l->fs, dir->path, broker_epoch); /* last (K3) */
        if (one < 0 && rc == 0) rc = one;
    }
    logs_drop(v, n);
    mem_free(c.errs);
    return rc;
}
