/* Starting and stopping a whole broker: config, world, broker, net, loops; and back in the order of J18.
 *
 * What fails on the way up is told in words and taken down again. On the way down: no new connections, waiting requests are answered,
 * connections close when their last answer is out (or the timeout passes), the loops end, the directories are closed clean. */
#include "daemon.h"

#include <odradek/broker.h>
#include <odradek/net.h>
#include <odradek/odradek.h>

#include <sys/resource.h>
#include <unistd.h>

struct odr_broker {
    struct world *world;
    struct conf *conf;
    struct broker *broker;
    struct net *net;
    struct arena arena;
    struct slice summary;
    void (*failed)(void *arg);
    void *arg;
    _Atomic bool all_gone;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int draining; /* how many drains have not reported yet */
};

/* A broker opens a file per segment and a socket per client: take what the system allows. */
static void raise_file_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= r.rlim_max) return;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);
}

static int loop_count(const struct conf *c)
{
    int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t n = conf_is_set(c, CONF_NUM_NETWORK_THREADS) ? conf_i64(c, CONF_NUM_NETWORK_THREADS) : cores;
    return (int)MAX(1, MIN(n, cores));
}

static void set_level(const struct conf *c)
{
    struct slice s = conf_str(c, CONF_ODRADEK_LOG_LEVEL);
    log_threshold = slice_eq(s, S("debug"))   ? LOG_DEBUG
                    : slice_eq(s, S("warn"))  ? LOG_WARN
                    : slice_eq(s, S("error")) ? LOG_ERROR
                                              : LOG_INFO;
}

static void on_failed(void *arg)
{
    struct odr_broker *b = arg;
    atomic_store(&b->all_gone, true);
    if (b->failed) b->failed(b->arg);
}

static void free_all(struct odr_broker *b)
{
    conf_unref(&b->conf);
    if (b->world) world_free(&b->world);
    arena_free(&b->arena);
    pthread_cond_destroy(&b->cond);
    pthread_mutex_destroy(&b->mu);
    mem_free(b);
}

static void summarise(struct odr_broker *b, int64_t began_us)
{
    struct clock *clock = b->world->clock;
    struct image *im = meta_image_take(broker_meta(b->broker));
    struct logs *logs = broker_logs(b->broker);
    struct slice dirs = S("");
    for (int i = 0; i < logs_dirs(logs); i++) {
        struct log_dir_info d;
        logs_dir_info(logs, i, &d);
        dirs = arena_printf(&b->arena, S_FMT "%s" S_FMT, S_ARG(dirs), i ? "," : "", S_ARG(d.path));
    }
    struct slice listeners = net_listeners_text(b->net, &b->arena);
    int64_t us = clock->mono_us(clock) - began_us;
    log_info("odradek", "started", KV_STR("version", ODR_VERSION), KV_SLICE("listeners", listeners), KV_SLICE("log.dirs", dirs),
             KV_I64("node.id", logs_node_id(logs)), KV_SLICE("cluster.id", logs_cluster_id(logs)), KV_I64("topics", im->topics_n),
             KV_I64("partitions", im->partitions_total), KV_F("ms", (double)us / 1000.0));
    b->summary = arena_printf(&b->arena, "listening on " S_FMT ", %d partitions in " S_FMT, S_ARG(listeners),
                              im->partitions_total, S_ARG(dirs));
    image_unref(&im);
}

int odr_start(const struct odr_options *o, struct odr_broker **out, char *text, size_t text_n)
{
    struct odr_broker *b = new (struct odr_broker);
    struct conf_report report = { 0 };
    struct why why = { .text = "" };
    int rc, code = ODR_EXIT_CONFIG;

    *out = NULL;
    pthread_mutex_init(&b->mu, NULL);
    pthread_cond_init(&b->cond, NULL);
    arena_init(&b->arena);
    b->failed = o->failed;
    b->arg = o->arg;
    b->world = world_real_new();
    int64_t began_us = b->world->clock->mono_us(b->world->clock);
    const struct conf_input in = { .file = o->file, .overrides = o->overrides, .overrides_n = o->overrides_n, .envp = o->envp };
    rc = conf_load(b->world->fs, &in, &b->conf, &report);
    if (!rc) set_level(b->conf);
    conf_report_log(&report);
    if (rc)
        (void)snprintf(why.text, sizeof why.text, "the configuration has %d error%s", report.errors,
                       report.errors == 1 ? "" : "s");
    conf_report_free(&report);
    if (rc) goto fail;
    raise_file_limit();
    code = ODR_EXIT_DATA;
    workers_hold(b->world);
    rc = broker_open(b->world, b->conf, loop_count(b->conf), &b->broker, &why);
    if (rc) goto fail;
    broker_on_failed(b->broker, on_failed, b);
    code = ODR_EXIT_ADDRESS;
    rc = net_open(b->broker, b->conf, &b->net, &why);
    for (int i = 0; i < broker_shards(b->broker); i++) loop_start(shard_loop(broker_shard(b->broker, i)));
    if (rc) {
        (void)snprintf(text, text_n, "%s", why.text);
        (void)odr_stop(&b);
        return code;
    }
    net_start(b->net);
    summarise(b, began_us);
    workers_begin(b->world);
    *out = b;
    return 0;
fail:
    (void)snprintf(text, text_n, "%s", why.text[0] ? why.text : err_text(rc));
    free_all(b);
    return code;
}

static void one_drained(struct odr_broker *b)
{
    pthread_mutex_lock(&b->mu);
    b->draining--;
    pthread_cond_signal(&b->cond);
    pthread_mutex_unlock(&b->mu);
}

static void shard_drained(struct shard *s, void *arg) { one_drained(arg); }
static void net_drained(void *arg) { one_drained(arg); }

static void wait_drained(struct odr_broker *b)
{
    pthread_mutex_lock(&b->mu);
    while (b->draining > 0) pthread_cond_wait(&b->cond, &b->mu);
    pthread_mutex_unlock(&b->mu);
}

int odr_stop(struct odr_broker **bp)
{
    struct odr_broker *b = *bp;
    int n = broker_shards(b->broker);
    *bp = NULL;
    if (b->net) {
        b->draining = n;
        broker_drain(b->broker, shard_drained, b);
        wait_drained(b); /* a drain always ends: every wait has a deadline or an end of its own */
        b->draining = n;
        net_drain(b->net, conf_i64(b->conf, CONF_ODRADEK_SHUTDOWN_TIMEOUT_MS), net_drained, b);
        wait_drained(b);
    }
    for (int i = 0; i < n; i++) loop_stop(shard_loop(broker_shard(b->broker, i)));
    for (int i = 0; i < n; i++) loop_join(shard_loop(broker_shard(b->broker, i)));
    net_free(&b->net);
    int rc = broker_close(&b->broker);
    bool failed = atomic_load(&b->all_gone);
    log_info("odradek", "stopped", KV_STR("clean", rc || failed ? "no" : "yes"));
    free_all(b);
    return rc || failed ? ODR_EXIT_IO : ODR_EXIT_OK;
}

int odr_port(const struct odr_broker *b) { return net_port(b->net, 0); }
const char *odr_summary(const struct odr_broker *b) { return b->summary.p; }
