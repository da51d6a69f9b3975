/* The broker's side of group coordination.
 *
 * Partition p of __consumer_offsets is at home on shard p % shards, and so are the groups that hash to it: a request that comes in on
 * another loop is posted there, and its answer pokes the request's ticket back home. Loading is a chain of internal requests, one per
 * partition: a chunk is read on the crunch worker, its batches are applied at home, and so on to the end. Writing is an internal request as
 * well: append, then wait until the high watermark has passed: what a group was told is durable.
 *
 * What can fail: a log that the disk does not give leaves its groups loading, and is tried again; one with damage in it serves what was
 * loaded before. Both are said in one line. A failed append is told to the coordinator, which takes the change back. */
#include "coordinator.h"
#include "group_call.h"
#include "topics.h"

enum { LOAD_CHUNK = 1 << 20, LOAD_RETRY_MS = 1000 };

struct coord_shard {
    struct coordinator *owner;
    struct shard *shard;
    struct groups *groups;
    struct groups_host host;
    struct post start, conf_post;
    pthread_mutex_t mu; /* of next_conf */
    struct conf *next_conf;
    bool conf_posted;
};
struct coordinator {
    struct broker *broker;
    int32_t partitions;
    struct coord_shard *shards;
};

static struct coord_shard *home_of(struct coordinator *c, int32_t partition)
{
    return &c->shards[partition % c->broker->shards_n];
}

static const struct image *image_of(struct coord_shard *cs) { return meta_image(cs->owner->broker->meta, &cs->shard->image); }

static struct plog *offsets_log(const struct image *im, int32_t partition)
{
    const struct image_topic *t = image_topic(im, S("__consumer_offsets"));
    return t && partition < t->partitions_n ? t->partitions[partition].log : NULL;
}

/* ---- writing --------------------------------------------------------------------------------------------------------------------------- */

struct write {
    struct group_write *w;
    struct plog *log;
    struct append append;
    struct watch watch;
    int err;
};

static void write_cleanup(struct req *rq)
{
    struct write *w = rq->call;
    plog_unwatch(&w->watch);
    if (w->log) plog_unref(&w->log);
}

static enum req_next write_done(struct req *rq, int err)
{
    struct write *w = rq->call;
    struct group_write *gw = w->w;
    if (w->watch.log) plog_unwatch(&w->watch);
    gw->done(gw, err);
    return REQ_DONE;
}

static enum req_next write_durable(struct req *rq)
{
    struct write *w = rq->call;
    struct plog_offsets at;
    if (plog_watch(w->log, &w->watch, req_home(rq), req_ticket(rq), WATCH_WATERMARK, w->append.last + 1)) return REQ_WAIT;
    plog_offsets(w->log, &at);
    return write_done(rq, at.watermark > w->append.last ? 0 : at.gone ? E_GONE : E_OFFLINE);
}

static enum req_next write_appended(struct req *rq)
{
    struct write *w = rq->call;
    if (!atomic_load_explicit(&w->append.done, memory_order_acquire)) return REQ_WAIT;
    if (w->append.err) return write_done(rq, w->append.err);
    return req_goto(rq, write_durable);
}

/* Not in the first step: `done` must not be called inside host->write. */
static enum req_next write_failed(struct req *rq)
{
    struct write *w = rq->call;
    if (w->err == 0) return REQ_WAIT;
    return write_done(rq, w->err);
}

static enum req_next write_start(struct req *rq)
{
    struct write *w = rq->call;
    struct batch_head head;
    if (!w->log || batch_parse_head(w->w->batch.p, w->w->batch.n, &head)) {
        w->err = w->log ? E_MALFORMED : E_COORDINATOR_NOT_AVAILABLE;
        rq->step = write_failed;
        waker_poke(req_home(rq), req_ticket(rq));
        return REQ_WAIT;
    }
    w->append = (struct append){
        .log = w->log,
        .bytes = (uint8_t *)w->w->batch.p,
        .n = w->w->batch.n,
        .records = head.count,
        .origin = APPEND_COORDINATOR,
        .home = req_home(rq),
        .who = req_ticket(rq),
    };
    rq->step = write_appended;
    plog_append(w->log, &w->append);
    return REQ_WAIT;
}

static void write_free(struct req *rq)
{
    write_cleanup(rq);
    mem_free(rq->call);
}

static void host_write(void *arg, struct group_write *gw)
{
    struct coord_shard *cs = arg;
    struct write *w = new (struct write);
    struct plog *log = offsets_log(image_of(cs), gw->partition);
    w->w = gw;
    if (log) w->log = plog_ref(log);
    (void)req_internal(cs->shard, write_start, w, write_free);
}

/* ---- what the coordinator asks ----------------------------------------------------------------------------------------------------------- */

static bool host_topic_exists(void *arg, struct slice topic) { return image_topic(image_of(arg), topic) != NULL; }

static int32_t host_topic_partitions(void *arg, struct slice topic)
{
    const struct image_topic *t = image_topic(image_of(arg), topic);
    return t ? t->partitions_n : 0;
}

static bool host_topic_id(void *arg, struct slice topic, struct uuid *id)
{
    const struct image_topic *t = image_topic(image_of(arg), topic);
    if (t) *id = t->id;
    return t != NULL;
}

static bool host_topic_name(void *arg, struct uuid id, struct arena *a, struct slice *name)
{
    const struct image_topic *t = image_topic_by_id(image_of(arg), id);
    if (t) *name = arena_copy(a, t->name);
    return t != NULL;
}

/* ---- loading ------------------------------------------------------------------------------------------------------------------------------- */

struct load {
    struct crunch_job job;
    struct coord_shard *cs;
    int32_t partition;
    struct plog *log;
    int64_t at, end;
    struct bytes chunk;
    int err, bad, failures;
    int64_t batches;
};

static enum req_next load_apply(struct req *rq);

static void load_free(struct req *rq)
{
    struct load *l = rq->call;
    bytes_free(&l->chunk);
    plog_unref(&l->log);
    mem_free(l);
}

static void load_chunk(struct crunch_job *j)
{
    struct load *l = container_of(j, struct load, job);
    struct plog_read r = { .offset = l->at, .max_bytes = LOAD_CHUNK, .whole_first = true, .upto = READ_END };
    l->chunk.n = 0;
    l->err = plog_read(l->log, &r, NULL);
    if (l->err || r.range.n == 0) return;
    (void)bytes_room(&l->chunk, r.range.n);
    l->err = range_copy(&r.range, 0, l->chunk.p, r.range.n);
    if (!l->err) l->chunk.n = r.range.n;
    range_release(&r.range);
}

static enum req_next load_next(struct req *rq);

/* The disk did not give the log: its groups stay loading, so that nobody is told that nothing was committed. */
static enum req_next load_again(struct req *rq)
{
    struct load *l = rq->call;
    if (rq->shard->draining) return REQ_DONE;
    if (!rq->expired) return REQ_WAIT;
    rq->expired = false;
    l->err = 0;
    return req_goto(rq, load_next);
}

static enum req_next load_next(struct req *rq)
{
    struct load *l = rq->call;
    if (l->err && l->err != E_CORRUPT) {
        if (!l->failures++)
            log_error("coordinator", "offsets cannot be read; their groups wait", KV_I64("partition", l->partition),
                      KV_I64("offset", l->at), KV_ERR(l->err));
        if (l->err == E_OFFLINE || l->err == E_GONE) return REQ_DONE;
        rq->step = load_again;
        req_deadline(rq, LOAD_RETRY_MS);
        return REQ_WAIT;
    }
    if (l->at >= l->end || l->err) {
        if (l->err || l->bad)
            log_error("coordinator", "offsets could not be loaded whole", KV_I64("partition", l->partition),
                      KV_I64("offset", l->at), KV_I64("bad_batches", l->bad), KV_ERR(l->err));
        groups_load_end(l->cs->groups, l->partition);
        return REQ_DONE;
    }
    l->job.run = load_chunk;
    l->job.home = req_home(rq);
    l->job.who = req_ticket(rq);
    rq->step = load_apply;
    crunch_submit(rq->shard->broker->crunch, &l->job);
    return REQ_WAIT;
}

static enum req_next load_apply(struct req *rq)
{
    struct load *l = rq->call;
    size_t at = 0;
    if (!atomic_load_explicit(&l->job.done, memory_order_acquire)) return REQ_WAIT;
    int64_t before = l->at;
    while (at < l->chunk.n) {
        struct batch_head h;
        if (batch_parse_head(l->chunk.p + at, l->chunk.n - at, &h) || (size_t)h.size > l->chunk.n - at)
            break; /* the rest comes with the next chunk */
        if (batch_last_offset(&h) >= l->at) {
            if (groups_load_batch(l->cs->groups, l->partition, l->chunk.p + at, (size_t)h.size)) l->bad++;
            l->batches++;
            l->at = batch_last_offset(&h) + 1;
        }
        at += (size_t)h.size;
    }
    if (l->at == before && !l->err) l->err = E_CORRUPT; /* no whole batch where one must be */
    return req_goto(rq, load_next);
}

static void shard_start(struct post *p)
{
    struct coord_shard *cs = container_of(p, struct coord_shard, start);
    const struct image_topic *t = image_topic(image_of(cs), S("__consumer_offsets"));
    for (int32_t i = cs->shard->index; t && i < t->partitions_n; i += cs->owner->broker->shards_n) {
        struct plog *log = t->partitions[i].log;
        struct plog_offsets at;
        if (!log) continue;
        plog_offsets(log, &at);
        if (at.start == at.end) continue;
        struct load *l = new (struct load);
        l->cs = cs;
        l->partition = i;
        l->log = plog_ref(log);
        l->at = at.start;
        l->end = at.end;
        groups_load_begin(cs->groups, i);
        (void)req_internal(cs->shard, load_next, l, load_free);
    }
}

/* ---- settings that change ------------------------------------------------------------------------------------------------------------------- */

static void shard_conf(struct post *p)
{
    struct coord_shard *cs = container_of(p, struct coord_shard, conf_post);
    pthread_mutex_lock(&cs->mu);
    struct conf *conf = cs->next_conf;
    cs->next_conf = NULL;
    cs->conf_posted = false;
    pthread_mutex_unlock(&cs->mu);
    groups_set_conf(cs->groups, conf);
    conf_unref(&conf);
}

void coordinator_reconfigure(struct coordinator *c, const struct conf *conf)
{
    for (int i = 0; i < c->broker->shards_n; i++) {
        struct coord_shard *cs = &c->shards[i];
        pthread_mutex_lock(&cs->mu);
        if (cs->next_conf) conf_unref(&cs->next_conf);
        cs->next_conf = conf_ref(conf);
        bool post = !cs->conf_posted;
        cs->conf_posted = true;
        pthread_mutex_unlock(&cs->mu);
        if (post) loop_post(cs->shard->loop, &cs->conf_post);
    }
}

/* ---- deleted topics --------------------------------------------------------------------------------------------------------------------------- */

struct gone { /* one per shard */
    struct post post;
    struct coord_shard *cs;
    struct arena arena;
    struct slice *names;
    int n;
};

static void shard_gone(struct post *p)
{
    struct gone *g = container_of(p, struct gone, post);
    groups_topics_deleted(g->cs->groups, g->names, g->n);
    arena_free(&g->arena);
    mem_free(g);
}

void coordinator_topics_deleted(struct coordinator *c, const struct slice *names, int n)
{
    for (int i = 0; n > 0 && i < c->broker->shards_n; i++) {
        struct gone *g = new (struct gone);
        arena_init(&g->arena);
        g->cs = &c->shards[i];
        g->names = arena_array(&g->arena, struct slice, n);
        for (int k = 0; k < n; k++) g->names[k] = arena_copy(&g->arena, names[k]);
        g->n = n;
        g->post.fn = shard_gone;
        loop_post(g->cs->shard->loop, &g->post);
    }
}

/* ---- open, close ------------------------------------------------------------------------------------------------------------------------------- */

struct coordinator *coordinator_open(struct broker *b)
{
    struct coordinator *c = new (struct coordinator);
    struct image *im = meta_image_take(b->meta);
    const struct image_topic *t = image_topic(im, S("__consumer_offsets"));
    c->broker = b;
    c->partitions = t ? t->partitions_n : (int32_t)conf_i64(b->conf, CONF_OFFSETS_TOPIC_NUM_PARTITIONS);
    c->shards = mem_zalloc(sizeof *c->shards * (size_t)b->shards_n);
    for (int i = 0; i < b->shards_n; i++) {
        struct coord_shard *cs = &c->shards[i];
        cs->owner = c;
        cs->shard = b->shards[i];
        pthread_mutex_init(&cs->mu, NULL);
        cs->host = (struct groups_host){ .arg = cs,
                                         .write = host_write,
                                         .topic_exists = host_topic_exists,
                                         .topic_partitions = host_topic_partitions,
                                         .topic_id = host_topic_id,
                                         .topic_name = host_topic_name };
        cs->groups = groups_new(b->world, cs->shard->loop, im->conf, c->partitions, &cs->host);
        cs->start.fn = shard_start;
        cs->conf_post.fn = shard_conf;
        loop_post(cs->shard->loop, &cs->start);
    }
    image_unref(&im);
    return c;
}

void coordinator_drain(struct coordinator *c, struct shard *s) { groups_stop(c->shards[s->index].groups); }

void coordinator_close(struct coordinator **cp)
{
    struct coordinator *c = *cp;
    *cp = NULL;
    if (!c) return;
    for (int i = 0; i < c->broker->shards_n; i++) {
        groups_free(&c->shards[i].groups);
        if (c->shards[i].next_conf) conf_unref(&c->shards[i].next_conf);
        pthread_mutex_destroy(&c->shards[i].mu);
    }
    mem_free(c->shards);
    mem_free(c);
}

/* ---- calls: group_call.h ------------------------------------------------------------------------------------------------------------------------ */

static void call_done(struct group_call *call)
{
    struct group_asked *ga = container_of(call, struct group_asked, call);
    struct waker *home = ga->home;
    ticket who = ga->who;
    atomic_store_explicit(&ga->done, true,
                          memory_order_release); /* ga may be gone from here on, if its request lives on another loop */
    waker_poke(home, who);
}

static void call_there(struct post *p)
{
    struct group_asked *ga = container_of(p, struct group_asked, post);
    groups_call(ga->cs->groups, &ga->call);
}

static void ask_shard(struct req *rq, struct group_asked *ga, struct coord_shard *cs)
{
    ga->cs = cs;
    ga->home = req_home(rq);
    ga->who = req_ticket(rq);
    ga->call.api = rq->api->key;
    ga->call.version = rq->version;
    ga->call.client_id = rq->client_id;
    ga->call.client_host = rq->client ? arena_printf(&rq->arena, "/%s", rq->client->host) : S("/");
    ga->call.arena = &ga->arena;
    ga->call.done = call_done;
    arena_init(&ga->arena);
    ga->arena.budget = &rq->shard->broker->memory;
    if (cs->shard == rq->shard) {
        groups_call(cs->groups, &ga->call);
    } else {
        ga->post.fn = call_there;
        loop_post(cs->shard->loop, &ga->post);
    }
}

int group_ask(struct req *rq, struct group_asked *ga)
{
    struct coordinator *c = rq->shard->broker->coordinator;
    int32_t partition = groups_partition_of(ga->call.group, c->partitions);
    if (!offsets_log(req_image(rq), partition)) {
        /* The offsets topic is made when somebody looks for his coordinator; who did not look is sent to do so. */
        const struct image_topic *t = image_topic(req_image(rq), S("__consumer_offsets"));
        return t ? E_COORDINATOR_NOT_AVAILABLE : E_NOT_COORDINATOR;
    }
    ask_shard(rq, ga, home_of(c, partition));
    return 0;
}

void group_ask_shard(struct req *rq, struct group_asked *ga, int shard)
{
    ask_shard(rq, ga, &rq->shard->broker->coordinator->shards[shard]);
}
