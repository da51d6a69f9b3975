#include "impl.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    GROUP_MAX = 512,               /* changes that share one sync, */
    GROUP_BYTES = 8 * 1024 * 1024, /* until what they stage takes so much memory */
};

/* ---- images ---------------------------------------------------------------------------------------------------------------------------- */

struct image *meta_image_take(struct meta *m)
{
    pthread_mutex_lock(&m->mu);
    struct image *im = image_ref(m->current);
    pthread_mutex_unlock(&m->mu);
    return im;
}

const struct image *meta_image(struct meta *m, struct image_cache *c)
{
    int64_t version = atomic_load_explicit(&m->version, memory_order_acquire);
    if (c->held && c->held->version == version) return c->held;
    image_cache_end(c);
    *c = (struct image_cache){ .held = meta_image_take(m), .stock = 1 };
    return c->held;
}

/* Takes over the reference. */
static void publish(struct meta *m, struct image *im)
{
    pthread_mutex_lock(&m->mu);
    struct image *old = m->current;
    if (old) im->version = old->version + 1; /* unpublished ones in between do not count */
    m->current = im;
    atomic_store_explicit(&m->version, im->version, memory_order_release);
    int n = m->publish_n;
    pthread_mutex_unlock(&m->mu);
    for (int i = 0; i < n; i++) m->publish[i].fn(m->publish[i].arg, im);
    if (old) image_unref(&old);
}

void meta_on_publish(struct meta *m, void (*fn)(void *arg, const struct image *im), void *arg)
{
    pthread_mutex_lock(&m->mu);
    assert(m->publish_n < PUBLISH_MAX);
    m->publish[m->publish_n].fn = fn;
    m->publish[m->publish_n++].arg = arg;
    pthread_mutex_unlock(&m->mu);
}

/* ---- from one image to the next, on disk ------------------------------------------------------------------------------------------------- */

int partition_remove(struct meta *m, const struct conf *conf, struct slice topic, struct uuid id, int32_t partition, int dir,
                     struct why *why_)
{
    struct topic_conf tc;
    struct plog *p = NULL;
    topic_conf_resolve(conf, NULL, 0, &tc);
    struct plog_spec spec = {
        .topic = topic, .topic_id = id, .partition = partition, .dir = dir, .leader_epoch = -1, .must_exist = true, .conf = &tc
    };
    int rc = logs_partition(m->logs, &spec, &p, why_);
    if (rc) return rc;
    rc = logs_delete_partition(m->logs, p);
    plog_unref(&p);
    return rc;
}

/* A topic is gone, one of whose partitions could not be opened: its directory must not be in the way of the next one with its name. */
static void unopened_settle(struct meta *m, const struct conf *conf, const struct image_topic *old, int32_t partition)
{
    int dir = dir_of(m, old->partitions[partition].dir);
    struct why why = { "" };
    if (!old->partitions[partition].log_err || dir < 0 || !dir_online(m, dir)) return;
    int rc = partition_remove(m, conf, old->name, old->id, partition, dir, &why);
    if (rc == 0) m->load[dir]--;
    else if (rc != E_NOT_FOUND)
        log_error("meta", "partition not deleted from disk; the next start tries again", KV_SLICE("topic", old->name),
                  KV_I64("partition", partition), KV_STR("reason", why.text[0] ? why.text : err_text(rc)));
}

/* What became of a topic: old NULL: new; now NULL: gone; same id in both, else they are two topics. */
static void topic_settle(struct meta *m, const struct image_topic *old, struct image_topic *now, struct plog_spec **specs,
                         struct image_topic ***of, int *n, int *cap)
{
    for (int i = 0; old && !now && i < old->partitions_n; i++) {
        const struct image_partition *p = &old->partitions[i];
        if (!p->log) {
            unopened_settle(m, m->current->conf, old, i);
            continue;
        }
        m->load[plog_dir(p->log)]--;
        int rc = logs_delete_partition(m->logs, p->log);
        if (rc)
            log_error("meta", "partition not deleted from disk", KV_SLICE("topic", old->name), KV_I64("partition", i),
                      KV_ERR(rc));
    }
    if (old && !now) log_info("meta", "topic deleted", KV_SLICE("topic", old->name), KV_I64("partitions", old->partitions_n));
    if (!now) return;
    bool reset = old && !topic_conf_same(&old->conf, &now->conf);
    int fresh = 0;
    for (int i = 0; i < now->partitions_n; i++) {
        struct image_partition *p = &now->partitions[i];
        if (p->log) {
            if (reset) plog_set_conf(p->log, &now->conf);
            if (old && i < old->partitions_n && old->partitions[i].leader_epoch != p->leader_epoch)
                plog_set_leader_epoch(p->log, p->leader_epoch);
            continue;
        }
        if (p->log_err || topic_of(now)->parts[i].leader != m->env.node_id) continue;
        if (*n == *cap) {
            *cap = MAX(64, *cap * 2);
            *specs = mem_realloc(*specs, sizeof **specs * (size_t)*cap);
            *of = mem_realloc(*of, sizeof(void *) * (size_t)*cap);
        }
        (*of)[*n] = now;
        (*specs)[(*n)++] = (struct plog_spec){ .topic = now->name,
                                               .topic_id = now->id,
                                               .partition = i,
                                               .dir = dir_of(m, p->dir),
                                               .leader_epoch = p->leader_epoch,
                                               .promised = true,
                                               .conf = &now->conf };
        fresh++;
    }
    if (fresh)
        log_info("meta", old ? "partitions added" : "topic created", KV_SLICE("topic", now->name), KV_I64("partitions", fresh));
}

/* K6: the records are durable; now the directories. Topics of `im` that are not in `old` are not published yet, so they are written to. */
static void settle(struct meta *m, const struct image *old, struct image *im)
{
    struct plog_spec *specs = NULL;
    struct image_topic **of = NULL;
    int n = 0, cap = 0;
    for (int pass = 0; pass < 2; pass++) { /* deletions first: a name may come back in the same group */
        int i = 0, k = 0;
        while (i < old->topics_n || k < im->topics_n) {
            struct image_topic *a = i < old->topics_n ? old->topics[i] : NULL, *b = k < im->topics_n ? im->topics[k] : NULL;
            if (a == b) {
                i++;
                k++;
                continue;
            }
            int c = !a ? 1 : !b ? -1 : slice_cmp(a->name, b->name);
            if (c == 0 && !uuid_eq(a->id, b->id)) {
                if (pass == 0) topic_settle(m, a, NULL, &specs, &of, &n, &cap);
                else topic_settle(m, NULL, b, &specs, &of, &n, &cap);
            } else if (c == 0) {
                if (pass == 1) topic_settle(m, a, b, &specs, &of, &n, &cap);
            } else if (c < 0) {
                if (pass == 0) topic_settle(m, a, NULL, &specs, &of, &n, &cap);
            } else {
                if (pass == 1) topic_settle(m, NULL, b, &specs, &of, &n, &cap);
            }
            i += c <= 0;
            k += c >= 0;
        }
    }
    if (n) {
        struct plog **outs = mem_zalloc(sizeof(void *) * (size_t)n);
        int *errs = mem_zalloc(sizeof *errs * (size_t)n);
        struct why why = { "" };
        logs_partitions(m->logs, specs, n, outs, errs, &why);
        int failed = 0;
        for (int i = 0; i < n; i++) {
            failed += errs[i] != 0;
            image_attach(&m->env, of[i], specs[i].partition, outs[i], errs[i]);
        }
        if (failed) log_error("meta", "partitions not created on disk", KV_I64("count", failed), KV_STR("first", why.text));
        mem_free(outs);
        mem_free(errs);
    }
    mem_free(specs);
    mem_free(of);
}

/* ---- changes --------------------------------------------------------------------------------------------------------------------------------- */

static void answer(struct meta *m, struct meta_change *c, int err)
{
    struct waker *home = c->home;
    ticket who = c->who;
    c->err = err;
    if (!home) {
        pthread_mutex_lock(&m->mu);
        atomic_store_explicit(&c->done, true, memory_order_release);
        pthread_cond_broadcast(&m->cv);
        pthread_mutex_unlock(&m->mu);
        return;
    }
    atomic_store_explicit(&c->done, true, memory_order_release); /* c may be gone from here on */
    waker_poke(home, who);
}

void meta_submit(struct meta *m, struct meta_change *c)
{
    atomic_store_explicit(&c->done, false, memory_order_relaxed);
    c->err = 0;
    c->bytes = 0;
    pthread_mutex_lock(&m->mu);
    bool closing = m->closing;
    if (!closing) list_push(&m->queue, &c->link);
    pthread_mutex_unlock(&m->mu);
    if (closing) answer(m, c, E_CLOSING);
    else worker_kick(m->worker);
}

int meta_change_now(struct meta *m, struct meta_change *c)
{
    c->home = NULL;
    c->who = 0;
    meta_submit(m, c);
    if (m->w->sim) {
        while (!atomic_load(&c->done)) {
            bool more = sim_step(m->w);
            assert(more);
        }
        return c->err;
    }
    pthread_mutex_lock(&m->mu);
    while (!atomic_load_explicit(&c->done, memory_order_acquire)) pthread_cond_wait(&m->cv, &m->mu);
    pthread_mutex_unlock(&m->mu);
    return c->err;
}

struct staged { /* one change of a group */
    struct meta_change *change;
    struct meta_edit edit;
    struct image *before; /* the image the edit looks at; one reference */
    int64_t base;
    int err;
};

/* Runs a change; when it stages something, its batches go to `out`, and *im becomes the image after it. */
static void stage(struct meta *m, struct staged *s, struct image **im, int64_t *end, struct bytes *out, int32_t *records)
{
    s->before = image_ref(*im);
    s->base = *end;
    edit_init(&s->edit, m, s->before);
    s->err = s->change->run(s->change, &s->edit);
    if (s->err || s->edit.recs_n == 0) {
        s->edit.recs_n = 0;
        return;
    }
    struct why why = { "" };
    size_t was = out->n;
    int32_t n;
    edit_encode(&s->edit, *end, out, &n);
    struct image *next = edit_apply(&s->edit, *end + n - 1, &why);
    if (!next) {
        log_error("meta", "change does not apply", KV_STR("reason", why.text));
        out->n = was;
        s->edit.recs_n = 0;
        s->err = E_INVALID;
        return;
    }
    image_unref(im);
    *im = next;
    *end += n;
    *records += n;
}

static void load_count(struct meta *m, const struct image *im)
{
    memset(m->load, 0, sizeof *m->load * (size_t)m->dirs_n);
    for (int i = 0; i < im->topics_n; i++) {
        for (int p = 0; p < im->topics[i]->partitions_n; p++)
            if (im->topics[i]->partitions[p].log) m->load[plog_dir(im->topics[i]->partitions[p].log)]++;
    }
}

/* Takes some of the changes, at least one. */
static void group(struct meta *m, struct list *changes)
{
    struct staged *v = mem_alloc(sizeof *v * GROUP_MAX);
    struct bytes out = { 0 };
    struct image *im = image_ref(m->current); /* only this worker replaces it */
    int64_t end = atomic_load(&m->log.end);
    int32_t records = 0;
    size_t bytes = 0;
    int n = 0, rc = 0;
    for (; n < GROUP_MAX && bytes <= GROUP_BYTES && !list_empty(changes); n++) {
        v[n] = (struct staged){ .change = container_of(list_pop(changes), struct meta_change, link) };
        stage(m, &v[n], &im, &end, &out, &records);
        bytes += v[n].edit.arena.held + v[n].change->bytes + (v[n].edit.recs_n ? 2 * sizeof(void *) * (size_t)im->topics_n : 0);
    }
    if (records) rc = mlog_append(&m->log, &out, records);
    if (rc) {
        log_error("meta", "changes not written", KV_I64("changes", n), KV_ERR(rc));
        image_unref(&im);
        load_count(m, m->current);
    }
    for (int i = 0; i < n; i++) {
        /* Who staged nothing may have found done what another change of this group was to do. */
        if (rc && (v[i].edit.recs_n || v[i].before != m->current)) v[i].err = rc;
        if (rc == 0) edit_keep(&v[i].edit, v[i].base);
        edit_free(&v[i].edit);
        image_unref(&v[i].before);
    }
    if (rc == 0 && records) {
        settle(m, m->current, im);
        publish(m, im);
    } else if (rc == 0) {
        image_unref(&im);
    }
    for (int i = 0; i < n; i++) answer(m, v[i].change, v[i].err);
    mem_free(v);
    bytes_free(&out);
    if (rc == 0 && records && mlog_snapshot_due(&m->log)) {
        struct why why = { "" };
        if (mlog_snapshot(&m->log, m->current, &m->kept, &why)) log_error("meta", "snapshot failed", KV_STR("reason", why.text));
    }
}

/* Why this partition's log cannot be used any more; 0: it can, or that is known. */
static int lost(const struct image_partition *p, const bool *off)
{
    if (!p->log || p->log_err) return 0;
    return off[plog_dir(p->log)] ? E_OFFLINE : plog_broken(p->log);
}

/* A log directory failed, or a log that the start took for good cannot be opened: its partitions are without a leader until the next start. In
 * memory only: an unclean end raises all epochs anyway. */
static void offline_settle(struct meta *m)
{
    bool *off = mem_alloc(sizeof *off * (size_t)m->dirs_n);
    pthread_mutex_lock(&m->mu);
    memcpy(off, m->offline, sizeof *off * (size_t)m->dirs_n);
    pthread_mutex_unlock(&m->mu);
    const struct image *old = m->current;
    struct draft *d = draft_new(&m->env, old);
    for (int i = 0; i < old->topics_n; i++) {
        bool hit = false;
        for (int p = 0; p < old->topics[i]->partitions_n && !hit; p++) hit = lost(&old->topics[i]->partitions[p], off) != 0;
        if (hit) draft_touch(d, old->topics[i]);
    }
    struct image *im = draft_finish(d, old->offset);
    draft_free(&d);
    for (int i = 0; i < im->topics_n; i++) {
        struct image_topic *t = im->topics[i];
        if (image_topic_by_id(old, t->id) == t) continue;
        for (int p = 0; p < t->partitions_n; p++) {
            int err = lost(&t->partitions[p], off);
            if (!err) continue;
            t->partitions[p].leader = -1;
            t->partitions[p].log_err = err;
        }
    }
    publish(m, im);
    mem_free(off);
}

void meta_dir_offline(struct meta *m, int dir)
{
    pthread_mutex_lock(&m->mu);
    m->offline[dir] = m->offline_news = true;
    if (!m->closing) worker_kick(m->worker);
    pthread_mutex_unlock(&m->mu);
}

void meta_log_broken(struct meta *m)
{
    pthread_mutex_lock(&m->mu);
    m->offline_news = true;
    if (!m->closing) worker_kick(m->worker);
    pthread_mutex_unlock(&m->mu);
}

static enum turn meta_turn(void *arg)
{
    struct meta *m = arg;
    struct list changes;
    pthread_mutex_lock(&m->mu);
    list_init(&changes);
    for (int n = 0; n < GROUP_MAX && !list_empty(&m->queue); n++) list_push(&changes, list_pop(&m->queue));
    bool more = !list_empty(&m->queue), closing = m->closing, offline = m->offline_news;
    m->offline_news = false;
    pthread_mutex_unlock(&m->mu);
    if (offline && !closing) offline_settle(m);
    if (closing) {
        while (!list_empty(&changes)) answer(m, container_of(list_pop(&changes), struct meta_change, link), E_CLOSING);
    } else {
        while (!list_empty(&changes)) group(m, &changes);
    }
    return more ? TURN_MORE : TURN_IDLE;
}

/* ---- producer ids (K10) -------------------------------------------------------------------------------------------------------------------------- */

enum { PRODUCER_BLOCK = 1000 };

static int producer_block(struct meta_change *c, struct meta_edit *e)
{
    struct producer_ids *ids = container_of(c, struct producer_ids, change);
    struct producer_ids_record r = dflt_producer_ids_record;
    if (e->m->producer_floor < 0) e->m->producer_floor = producer_floor(e->m, e->image);
    ids->first = MAX(e->image->next_producer_id, e->m->producer_floor);
    if (ids->first > INT64_MAX - PRODUCER_BLOCK) return E_UNKNOWN_SERVER_ERROR;
    r.broker_id = e->m->env.node_id;
    r.broker_epoch = e->m->broker_epoch;
    r.next_producer_id = ids->first + PRODUCER_BLOCK;
    edit_record(e, &msg_producer_ids_record, 0, &r);
    return 0;
}

static void producer_wake(struct sleeper *s)
{
    struct producer_ids *ids = container_of(s, struct producer_ids, sleeper);
    int n = ids->waiting_n;
    ids->waiting_n = 0;
    for (int i = 0; i < n; i++) waker_poke(ids->home, ids->waiting[i]);
}

bool meta_producer_id(struct meta *m, struct producer_ids *ids, struct waker *home, ticket who, int64_t *id)
{
    if (ids->asked && atomic_load_explicit(&ids->change.done, memory_order_acquire)) {
        ids->asked = false;
        ids->err = ids->change.err;
        if (ids->err) return false;
        ids->next = ids->first;
        ids->end = ids->first + PRODUCER_BLOCK;
    }
    if (ids->next < ids->end) {
        *id = ids->next++;
        return true;
    }
    if (ids->waiting_n == ids->waiting_cap) {
        ids->waiting_cap = MAX(16, ids->waiting_cap * 2);
        ids->waiting = mem_realloc(ids->waiting, sizeof *ids->waiting * (size_t)ids->waiting_cap);
    }
    ids->waiting[ids->waiting_n++] = who;
    if (ids->asked) return false;
    if (!ids->home) {
        ids->home = home;
        ids->sleeper.wake = producer_wake;
        waker_add(home, &ids->sleeper);
    }
    ids->asked = true;
    ids->err = 0;
    ids->change = (struct meta_change){ .run = producer_block, .home = home, .who = ids->sleeper.id };
    meta_submit(m, &ids->change);
    return false;
}

void producer_ids_free(struct producer_ids *ids)
{
    if (ids->home) waker_remove(ids->home, &ids->sleeper);
    mem_free(ids->waiting);
    *ids = (struct producer_ids){ 0 };
}

/* ---- open, close ------------------------------------------------------------------------------------------------------------------------------------ */

int meta_open(struct world *w, struct logs *logs, const struct conf *conf, struct meta **out, struct why *why_)
{
    struct meta *m = new (struct meta);
    struct replay r;
    struct image *im = NULL;
    *out = NULL;
    m->w = w;
    m->logs = logs;
    m->conf = conf_ref(conf);
    m->producer_floor = -1;
    m->env = (struct image_env){ .node_id = logs_node_id(logs), .conf = m->conf };
    m->dirs_n = logs_dirs(logs);
    m->load = mem_zalloc(sizeof *m->load * (size_t)m->dirs_n);
    m->offline = mem_zalloc(sizeof *m->offline * (size_t)m->dirs_n);
    m->dir_ids = mem_zalloc(sizeof *m->dir_ids * (size_t)m->dirs_n);
    for (int i = 0; i < m->dirs_n; i++) {
        struct log_dir_info info;
        logs_dir_info(logs, i, &info);
        m->dir_ids[i] = info.id;
        m->offline[i] = info.offline;
    }
    pthread_mutex_init(&m->mu, NULL);
    pthread_cond_init(&m->cv, NULL);
    list_init(&m->queue);
    kept_init(&m->kept);

    struct image *empty = image_empty(&m->env);
    struct draft *d = draft_new(&m->env, empty);
    image_unref(&empty);
    replay_init(&r, d, &m->kept);
    int rc = mlog_open(&m->log, w, logs, m->conf, why_);
    if (rc == 0) rc = mlog_replay(&m->log, &r, why_);
    if (rc == 0) {
        im = draft_finish(d, atomic_load(&m->log.end) - 1);
        if (image_level(im) > LEVEL_OURS)
            rc = why(why_, E_UNSUPPORTED, "metadata.version %d was finalized by a newer broker; %d is the newest known here",
                     image_level(im), LEVEL_OURS);
    }
    draft_free(&d);
    if (rc == 0) rc = takeover(m, &r, &im, why_);
    replay_free(&r);
    if (rc) {
        if (im) image_unref(&im);
        meta_free(&m);
        return rc;
    }
    load_count(m, im);
    publish(m, im);
    if (mlog_snapshot_due(&m->log)) { /* a log that grew long elsewhere */
        struct why why = { "" };
        if (mlog_snapshot(&m->log, im, &m->kept, &why)) log_error("meta", "snapshot failed", KV_STR("reason", why.text));
    }
    m->worker = worker_start(w, "meta", meta_turn, m);
    *out = m;
    return 0;
}

void meta_stop(struct meta *m)
{
    pthread_mutex_lock(&m->mu);
    bool was = m->closing;
    m->closing = true;
    pthread_mutex_unlock(&m->mu);
    if (was || !m->worker) return;
    worker_kick(m->worker);
    worker_stop(&m->worker);
}

void meta_free(struct meta **mp)
{
    struct meta *m = *mp;
    *mp = NULL;
    if (!m) return;
    assert(!m->worker);
    if (m->current) image_unref(&m->current);
    mlog_close(&m->log);
    kept_free(&m->kept);
    pthread_mutex_destroy(&m->mu);
    pthread_cond_destroy(&m->cv);
    mem_free(m->load);
    mem_free(m->offline);
    mem_free(m->dir_ids);
    conf_unref(&m->conf);
    mem_free(m);
}

int64_t meta_broker_epoch(const struct meta *m) { return m->broker_epoch; }

int32_t meta_quorum_epoch(const struct meta *m) { return m->log.epoch; }

void meta_quorum(const struct meta *m, int32_t *leader_epoch, int64_t *watermark, int64_t *end, int64_t *last_fetch_ms)
{
    *leader_epoch = m->log.epoch;
    *watermark = *end = atomic_load(&m->log.end); /* every append is synced before it counts */
    *last_fetch_ms = m->w->clock->wall_ms(m->w->clock);
}
