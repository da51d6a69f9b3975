/* A partition log's tail state, its life and its small questions. Appending is queue.c, committing commit.c, reading read.c. */
#include "internal.h"
#include "partmeta.h"

struct plog *plog_new(struct log_dir *d, const struct plog_spec *spec)
{
    struct plog *p = new (struct plog);
    char name[PARTNAME_MAX], path[SEG_PATH];
    atomic_init(&p->refs, 1);
    p->logs = d->logs;
    p->dir = d;
    p->topic = mem_strdup(spec->topic);
    p->topic_id = spec->topic_id;
    p->partition = spec->partition;
    partname_format(name, spec->topic, spec->partition);
    p->name = mem_strdup(slice_of(name));
    snprintf(path, sizeof(path), "%s/%s", d->path, name);
    p->path = mem_strdup(slice_of(path));
    p->conf = *spec->conf;
    p->leader_epoch = spec->leader_epoch;
    p->flush_due_us = INT64_MAX;
    p->dirty_from = -1;
    p->no_journal = slice_eq(spec->topic, S("__cluster_metadata"));
    pthread_mutex_init(&p->mu, NULL);
    pthread_mutex_init(&p->maint, NULL);
    pthread_cond_init(&p->q_cv, NULL);
    list_init(&p->queue);
    list_init(&p->dirty_link);
    list_init(&p->journal_link);
    list_init(&p->write_link);
    list_init(&p->house_link);
    list_init(&p->make_link);
    list_init(&p->all_link);
    pstate_init(&p->ps, 0);
    return p;
}

struct plog *plog_ref(struct plog *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void plog_unref(struct plog **pp)
{
    struct plog *p = *pp;
    *pp = NULL;
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1) return;
    assert(list_empty(&p->queue));
    for (struct plog_node *nd = p->nodes, *next; nd; nd = next) {
        next = nd->next;
        assert(nd->watchers == 0 && list_empty(&nd->staged));
        mem_free(nd);
    }
    for (int i = 0; i < p->segs_n; i++) seg_unref(&p->segs[i]);
    mem_free(p->segs);
    staged_free(p->staged);
    pstate_free(&p->ps);
    pstate_run_free(&p->run);
    epochs_free(&p->epochs);
    bytes_free(&p->pend_off);
    bytes_free(&p->pend_time);
    pthread_cond_destroy(&p->q_cv);
    pthread_mutex_destroy(&p->mu);
    pthread_mutex_destroy(&p->maint);
    mem_free(p->name);
    mem_free(p->topic);
    mem_free(p->path);
    mem_free(p);
}

struct slice plog_topic(const struct plog *p) { return slice_of(p->topic); }
struct uuid plog_topic_id(const struct plog *p) { return p->topic_id; }
int32_t plog_partition(const struct plog *p) { return p->partition; }
int plog_dir(const struct plog *p) { return p->dir->i; }

/* ---- segments ----------------------------------------------------------------------------------------------------------------------- */

struct segment *plog_active(struct plog *p) { return p->segs_n ? p->segs[p->segs_n - 1] : NULL; }

void plog_add_segment(struct plog *p, struct segment *s)
{
    assert(p->segs_n == 0 || p->segs[p->segs_n - 1]->base < s->base);
    if (p->segs_n == p->segs_cap) {
        p->segs_cap = MAX(4, p->segs_cap * 2);
        p->segs = mem_realloc(p->segs, (size_t)p->segs_cap * sizeof(struct segment *));
    }
    p->segs[p->segs_n++] = s;
}

int plog_seg_at(const struct plog *p, int64_t offset)
{
    int lo = 0, hi = p->segs_n; /* first segment with base > offset */
    if (hi > 0 && p->segs[hi - 1]->base <= offset) return hi - 1;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (p->segs[mid]->base <= offset) lo = mid + 1;
        else hi = mid;
    }
    return lo - 1;
}

/* ---- tail state ------------------------------------------------------------------------------------------------------------------------ */

void plog_tail_moved(struct plog *p)
{
    assert(p->durable <= p->end && p->watermark <= p->end);
    pstate_set_watermark(&p->ps, p->watermark);
    int64_t stable = MIN(p->watermark, pstate_first_unstable(&p->ps));
    p->stable = MAX(stable, MIN(p->start, p->watermark));
}

void plog_offsets_locked(const struct plog *p, struct plog_offsets *out)
{
    *out = (struct plog_offsets){ .start = p->start,
                                  .stable = p->stable,
                                  .watermark = p->watermark,
                                  .durable = p->durable,
                                  .end = p->end,
                                  .leader_epoch = p->leader_epoch,
                                  .gone = p->gone,
                                  .offline = p->offline || p->broken };
}

void plog_offsets(struct plog *p, struct plog_offsets *out)
{
    pthread_mutex_lock(&p->mu);
    bool cold = !p->warm && !p->unmade && !p->gone && !p->offline, listed = p->listed;
    bool unknown = cold && listed && p->has_snapshots; /* the last stable offset is not known yet */
    plog_offsets_locked(p, out);
    pthread_mutex_unlock(&p->mu);
    if (!cold || (listed && !unknown)) return;
    if (!listed) { /* nor the first one */
        if (plog_list(p) < 0) return;
        pthread_mutex_lock(&p->mu);
        unknown = !p->warm && p->has_snapshots;
        pthread_mutex_unlock(&p->mu);
    }
    if (unknown && plog_warm(p) < 0) return;
    pthread_mutex_lock(&p->mu);
    plog_offsets_locked(p, out);
    pthread_mutex_unlock(&p->mu);
}

int64_t plog_size(struct plog *p)
{
    int64_t n = 0;
    if (plog_list(p) < 0) return 0;
    pthread_mutex_lock(&p->mu);
    for (int i = 0; i < p->segs_n; i++) n += p->segs[i]->size;
    pthread_mutex_unlock(&p->mu);
    return n;
}

void plog_set_conf(struct plog *p, const struct topic_conf *conf)
{
    pthread_mutex_lock(&p->mu);
    p->conf = *conf;
    bool want = p->unflushed >= conf->flush_messages && p->durable < p->end;
    if (!plog_synced(p) && p->watermark < p->end) { /* from now on the page cache counts */
        p->watermark = p->end;
        p->mark_base = plog_active(p)->base;
        p->mark_at = plog_active(p)->size;
        p->mark_bytes = p->end_bytes;
        plog_tail_moved(p);
    }
    pthread_mutex_unlock(&p->mu);
    plog_notify(p);
    if (want) commit_want(p);
}

int plog_break(struct plog *p, int rc, const struct why *why)
{
    struct house *h = &p->logs->house;
    rc = plog_read_failed(p, rc);
    if (rc >= 0 || err_passes(rc) || dir_failed(p->dir)) return rc;
    log_error("storage", "log cannot be opened", KV_STR("log", p->name), KV_STR("why", why->text), KV_ERR(rc));
    pthread_mutex_lock(&p->mu);
    p->broken = rc;
    bool tell = !p->gone;
    pthread_mutex_unlock(&p->mu);
    plog_notify(p);
    if (tell && rc != E_INCONSISTENT_TOPIC_ID) atomic_store(&p->dir->unopened, true);
    pthread_mutex_lock(&h->mu);
    void (*fn)(void *arg) = tell ? h->on_broken : NULL;
    void *arg = h->on_broken_arg;
    pthread_mutex_unlock(&h->mu);
    if (fn) fn(arg);
    return rc;
}

int plog_broken(struct plog *p)
{
    pthread_mutex_lock(&p->mu);
    int rc = p->broken;
    pthread_mutex_unlock(&p->mu);
    return rc;
}

static bool is_listed(struct plog *p)
{
    pthread_mutex_lock(&p->mu);
    bool listed = p->listed;
    pthread_mutex_unlock(&p->mu);
    return listed;
}

int plog_list_locked(struct plog *p)
{
    if (is_listed(p)) return 0;
    if (plog_unmade(p)) return E_NOT_FOUND;
    return plog_is_gone(p) ? E_GONE : plog_list_deleted(p);
}

int plog_list_deleted(struct plog *p)
{
    struct why why = { "" };
    int rc;
    if (is_listed(p)) return 0;
    if (dir_failed(p->dir)) return E_OFFLINE;
    if ((rc = plog_broken(p)) < 0) return rc;
    return plog_break(p, logs_look_into(p, &why), &why);
}

int plog_list(struct plog *p)
{
    if (plog_unmade(p)) return E_NOT_FOUND;
    if (is_listed(p)) return 0;
    pthread_mutex_lock(&p->maint);
    int rc = plog_list_locked(p);
    pthread_mutex_unlock(&p->maint);
    return rc;
}

int plog_warm_locked(struct plog *p)
{
    struct why why = { "" };
    if (plog_is_warm(p)) return 0;
    if (plog_is_gone(p)) return E_GONE;
    int rc = plog_unmade(p) ? logs_make_locked(p) : plog_list_locked(p);
    if (rc < 0 || plog_is_warm(p)) return rc;
    if (dir_failed(p->dir)) return E_OFFLINE;
    if ((rc = plog_broken(p)) < 0) return rc;
    return plog_break(p, recover_plog(p, true, &why), &why);
}

int plog_warm(struct plog *p)
{
    if (plog_is_warm(p)) return 0;
    pthread_mutex_lock(&p->maint);
    int rc = plog_warm_locked(p);
    pthread_mutex_unlock(&p->maint);
    return rc;
}

/* ---- leader epochs ------------------------------------------------------------------------------------------------------------------------ */

void plog_enter_epoch(struct plog *p)
{
    if (!epochs_assign(&p->epochs, p->leader_epoch, p->end)) return;
    if (!p->epochs_dirty) p->epochs_idle = true;
    p->epochs_dirty = true;
}

int plog_write_epochs(struct plog *p)
{
    struct bytes text = { 0 };
    pthread_mutex_lock(&p->mu);
    bool dirty = p->epochs_dirty, gone = p->gone;
    if (gone) {
        pthread_mutex_unlock(&p->mu);
        return E_GONE;
    }
    p->epochs_dirty = p->epochs_idle = false;
    if (dirty) epochs_encode(&p->epochs, &text);
    pthread_mutex_unlock(&p->mu);
    if (!dirty) return 0;
    int rc = epochs_write(p->logs->fs, p->path, (struct slice){ (const char *)text.p, text.n });
    bytes_free(&text);
    if (rc == 0) return 0;
    pthread_mutex_lock(&p->mu);
    p->epochs_dirty = true;
    pthread_mutex_unlock(&p->mu);
    return err_passes(rc) ? rc : dir_fail(p->dir, "leader-epoch-checkpoint", p->path, rc);
}

void plog_set_leader_epoch(struct plog *p, int32_t epoch)
{
    pthread_mutex_lock(&p->mu);
    bool warm = p->warm;
    if (!warm) p->leader_epoch = epoch; /* entered when the log is first used: a start writes nothing to a thousand logs */
    pthread_mutex_unlock(&p->mu);
    if (!warm) return;

    queue_own(p); /* no batch of the old epoch after the new one's start */
    pthread_mutex_lock(&p->mu);
    p->leader_epoch = epoch;
    plog_enter_epoch(p);
    pthread_mutex_unlock(&p->mu);
    /* Written before the next batch, by the write worker: a start does not sync a file for each of a thousand logs. */
    queue_release(p);
}

/* Not made yet: the epochs as it will begin with them. */
static bool unmade_epochs(struct plog *p, struct epochs *out)
{
    *out = (struct epochs){ 0 };
    pthread_mutex_lock(&p->mu);
    bool unmade = p->unmade;
    if (unmade && p->leader_epoch >= 0) epochs_assign(out, p->leader_epoch, 0);
    pthread_mutex_unlock(&p->mu);
    return unmade;
}

void plog_epoch_end(struct plog *p, int32_t epoch, int32_t *found_epoch, int64_t *end_offset)
{
    struct epochs first;
    *found_epoch = -1;
    *end_offset = -1;
    if (unmade_epochs(p, &first)) {
        epochs_end(&first, epoch, 0, found_epoch, end_offset);
        epochs_free(&first);
        return;
    }
    if (plog_warm(p) < 0) return;
    pthread_mutex_lock(&p->mu);
    epochs_end(&p->epochs, epoch, p->end, found_epoch, end_offset);
    pthread_mutex_unlock(&p->mu);
}

int32_t plog_epoch_at(struct plog *p, int64_t offset)
{
    struct epochs first;
    if (unmade_epochs(p, &first)) {
        int32_t latest = epochs_latest(&first);
        epochs_free(&first);
        return latest;
    }
    if (plog_warm(p) < 0) return -1;
    pthread_mutex_lock(&p->mu);
    int32_t e = offset >= p->end ? epochs_latest(&p->epochs) : epochs_at(&p->epochs, offset);
    pthread_mutex_unlock(&p->mu);
    return e;
}

/* ---- producers ------------------------------------------------------------------------------------------------------------------------------ */

int plog_producers(struct plog *p, struct arena *a, struct producer_view **out)
{
    struct pstate_view *v;
    *out = NULL;
    if (plog_unmade(p) || plog_warm(p) < 0) return 0;
    pthread_mutex_lock(&p->mu);
    int n = pstate_list(&p->ps, a, &v);
    pthread_mutex_unlock(&p->mu);
    *out = arena_array(a, struct producer_view, n);
    for (int i = 0; i < n; i++)
        (*out)[i] = (struct producer_view){ .producer_id = v[i].producer_id,
                                            .epoch = v[i].epoch,
                                            .last_sequence = v[i].last_sequence,
                                            .last_timestamp = v[i].last_timestamp,
                                            .coordinator_epoch = v[i].coordinator_epoch,
                                            .txn_start = v[i].txn_start };
    return n;
}
