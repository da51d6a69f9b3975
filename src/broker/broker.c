/* Opening and closing: log directories, metadata log, shards, coordinator; in this order up, and back down.
 *
 * What can fail is told in `why` and leaves nothing open. */
#include "coordinator.h"
#include "fetch_session.h"
#include "shard.h"

struct listener_ports {
    struct {
        char name[64];
        int port;
    } row[16];
    int n;
};

void broker_listener_port(struct broker *b, struct slice listener, int port)
{
    pthread_mutex_lock(&b->ports_mu);
    if (b->ports->n < (int)ARRAY_LEN(b->ports->row)) {
        (void)snprintf(b->ports->row[b->ports->n].name, sizeof b->ports->row[0].name, S_FMT, S_ARG(listener));
        b->ports->row[b->ports->n++].port = port;
    }
    pthread_mutex_unlock(&b->ports_mu);
}

struct slice client_advertised_host(const struct client *c, struct arena *a, int *port)
{
    struct broker *b = c->shard->broker;
    int n;
    const struct conf_listener *l = conf_listeners(b->conf, &n);
    for (int i = 0; i < n; i++) {
        if (!slice_eq(l[i].name, slice_of(c->listener))) continue;
        *port = l[i].derive ? c->local_port : l[i].advertised_port;
        pthread_mutex_lock(&b->ports_mu);
        for (int k = 0; k < b->ports->n && *port == 0; k++)
            if (slice_eq(slice_of(b->ports->row[k].name), l[i].name)) *port = b->ports->row[k].port;
        pthread_mutex_unlock(&b->ports_mu);
        if (!l[i].derive) return l[i].advertised_host;
        break;
    }
    if (*port == 0) *port = c->local_port;
    return c->local_loopback ? S("localhost") : arena_copy(a, slice_of(c->local_host));
}

static struct shard *shard_new(struct broker *b, int i)
{
    struct shard *s = new (struct shard);
    char name[16];
    (void)snprintf(name, sizeof name, "loop-%d", i);
    s->broker = b;
    s->index = i;
    s->wall_turn = -1;
    s->loop = loop_new(b->world, name);
    s->waker = waker_new(s->loop);
    list_init(&s->clients);
    list_init(&s->parked);
    list_init(&s->free_reqs);
    list_init(&s->wants);
    s->sessions = fetch_sessions_new(s, (int)conf_i64(b->conf, CONF_MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS) / b->shards_n + 1);
    return s;
}

static void shard_free(struct shard *s)
{
    assert(s->requests == 0 && list_empty(&s->clients));
    fetch_sessions_free(&s->sessions);
    producer_ids_free(&s->pids);
    for (struct list *l; (l = list_pop(&s->free_reqs));) mem_free(container_of(l, struct req, link));
    image_cache_end(&s->image);
    wire_out_free(&s->wire_scratch);
    waker_free(&s->waker);
    loop_free(&s->loop);
    mem_free(s);
}

/* On the meta worker: settings that changed are in force before the answer to whoever changed them leaves. */
static void on_publish(void *arg, const struct image *im)
{
    struct broker *b = arg;
    if (im->conf == b->seen) return;
    b->seen = im->conf;
    logs_reconfigure(b->logs, im->conf);
    coordinator_reconfigure(b->coordinator, im->conf);
}

static void on_offline(void *arg, int dir, bool all_gone)
{
    struct broker *b = arg;
    meta_dir_offline(b->meta, dir);
    if (all_gone && b->failed) b->failed(b->failed_arg);
}

static void on_broken(void *arg) { meta_log_broken(((struct broker *)arg)->meta); }

void broker_on_failed(struct broker *b, void (*fn)(void *arg), void *arg)
{
    int alive = 0;
    b->failed_arg = arg;
    b->failed = fn;
    for (int i = 0; i < logs_dirs(b->logs); i++) {
        struct log_dir_info d;
        logs_dir_info(b->logs, i, &d);
        alive += !d.offline;
    }
    if (alive == 0) fn(arg); /* the last one failed during the start */
}

int broker_open(struct world *w, const struct conf *conf, int loops, struct broker **out, struct why *why)
{
    struct broker *b = new (struct broker);
    int rc;
    b->world = w;
    b->conf = conf_ref(conf);
    b->shards_n = loops;
    b->memory.limit = conf_i64(conf, CONF_ODRADEK_MEMORY_MAX);
    if (b->memory.limit) mem_pool_most((size_t)b->memory.limit / 16);
    b->piece = (size_t)MAX(b->memory.limit / 16 / loops, 64 * KiB);
    b->ports = new (struct listener_ports);
    pthread_mutex_init(&b->ports_mu, NULL);
    *out = NULL;
    rc = logs_open(w, conf, &b->logs, why);
    if (!rc) rc = meta_open(w, b->logs, conf, &b->meta, why);
    if (rc) {
        if (b->logs) logs_free(&b->logs);
        conf_unref((struct conf **)&b->conf);
        mem_free(b->ports);
        mem_free(b);
        return rc;
    }
    b->node_id = logs_node_id(b->logs);
    (void)snprintf(b->cluster_id, sizeof b->cluster_id, S_FMT, S_ARG(logs_cluster_id(b->logs)));
    b->crunch = crunch_start(w);
    b->shards = mem_zalloc(sizeof(struct shard *) * (size_t)loops);
    for (int i = 0; i < loops; i++) b->shards[i] = shard_new(b, i);
    b->coordinator = coordinator_open(b);
    struct image *im = meta_image_take(b->meta);
    b->seen = im->conf;
    logs_reconfigure(b->logs, im->conf);
    image_unref(&im);
    meta_on_publish(b->meta, on_publish, b);
    logs_on_offline(b->logs, on_offline, b);
    logs_on_broken(b->logs, on_broken, b);
    *out = b;
    return 0;
}

int broker_close(struct broker **bp)
{
    struct broker *b = *bp;
    *bp = NULL;
    meta_stop(b->meta);
    coordinator_close(&b->coordinator);
    crunch_stop(&b->crunch);
    int rc = logs_close(b->logs, meta_broker_epoch(b->meta));
    for (int i = 0; i < b->shards_n; i++) shard_free(b->shards[i]);
    meta_free(&b->meta);
    logs_free(&b->logs);
    conf_unref((struct conf **)&b->conf);
    pthread_mutex_destroy(&b->ports_mu);
    mem_free(b->ports);
    mem_free(b->shards);
    mem_free(b);
    return rc;
}

struct shard *broker_shard(struct broker *b, int i) { return b->shards[i]; }
struct loop *shard_loop(struct shard *s) { return s->loop; }
struct waker *shard_waker(struct shard *s) { return s->waker; }
int broker_shards(const struct broker *b) { return b->shards_n; }
struct meta *broker_meta(struct broker *b) { return b->meta; }
struct logs *broker_logs(struct broker *b) { return b->logs; }
struct mem_budget *broker_memory(struct broker *b) { return &b->memory; }
