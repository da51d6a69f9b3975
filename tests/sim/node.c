#include "node.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool sim_verbose;

/* ---- failing ------------------------------------------------------------------------------------------------------------------------------ */

static char running[256];

static void tell_seed(void)
{
    ssize_t ignored = write(2, running, strlen(running));
    (void)ignored;
}

static void on_abort(int sig)
{
    tell_seed();
    (void)signal(sig, SIG_DFL);
    (void)raise(sig);
}

extern void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

void sim_running(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)memcpy(running, "FAILED; repeat with: ", 21);
    (void)vsnprintf(running + 21, sizeof running - 22, fmt, ap);
    (void)strcat(running, "\n");
    va_end(ap);
    static bool installed;
    if (installed) return;
    installed = true;
    (void)signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(tell_seed);
    else (void)signal(SIGSEGV, on_abort);
}

/* With ODR_DUMP=DIR the simulated disk is left there for looking at. */
static struct world *dump_world;

static void dump(struct fs *fs, const char *path, const char *to)
{
    struct arena a;
    struct slice *names;
    struct bytes b = { 0 };
    struct fs_stat st;
    int n = 0;
    arena_init(&a);
    (void)mkdir(to, 0777);
    if (fs->list(fs, path, &a, &names, &n)) n = 0;
    for (int i = 0; i < n; i++) {
        const char *from = arena_printf(&a, "%s/" S_FMT, path, S_ARG(names[i])).p,
                   *out = arena_printf(&a, "%s/" S_FMT, to, S_ARG(names[i])).p;
        if (fs->stat(fs, from, &st) == 0 && st.is_dir) {
            dump(fs, from, out);
        } else if (b.n = 0, fs_read_file(fs, from, 1 << 30, &b) == 0) {
            FILE *f = fopen(out, "wb");
            if (!f) continue;
            (void)fwrite(b.p, 1, b.n, f);
            (void)fclose(f);
        }
    }
    bytes_free(&b);
    arena_free(&a);
}

void sim_failed(const char *file, int line, const char *what, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s:%d: %s: ", file, line, what);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    const char *to = getenv("ODR_DUMP"); // NOLINT(concurrency-mt-unsafe)
    if (to && dump_world) dump(dump_world->fs, "/", to);
    abort();
}

/* ---- the broker's life ------------------------------------------------------------------------------------------------------------------------ */

void node_init(struct node *n, uint64_t seed, const char *properties)
{
    struct conf_report report = { 0 };
    struct bytes text = { 0 };
    *n = (struct node){ .world = world_sim_new(seed) };
    list_init(&n->peers);
    list_init(&n->gone);
    dump_world = n->world;
    bytes_printf(&text, "listeners=PLAINTEXT://127.0.0.1:9092\n%s", properties);
    int rc = conf_parse((struct slice){ (char *)text.p, text.n }, &n->conf, &report);
    if (rc) {
        struct bytes out = { 0 };
        conf_report_print(&report, &out);
        CHECK(rc == 0, "%.*s", (int)out.n, (char *)out.p);
    }
    conf_report_free(&report);
    bytes_free(&text);
}

static void bury(struct node *n)
{
    for (struct list *l; (l = list_pop(&n->gone));) {
        struct peer *p = container_of(l, struct peer, link);
        mem_free(p->junk);
        mem_free(p);
    }
}

void node_free(struct node *n)
{
    assert(!n->broker && list_empty(&n->peers));
    bury(n);
    conf_unref(&n->conf);
    dump_world = NULL;
    world_free(&n->world);
}

int64_t node_now_us(const struct node *n) { return n->world->clock->mono_us(n->world->clock); }

static void on_offline(void *arg, int dir, bool all_gone) { ((struct node *)arg)->offline++; }

int node_up(struct node *n, struct why *why)
{
    bury(n);
    n->offline = 0;
    n->stopping = false;
    int rc = broker_open(n->world, n->conf, 1, &n->broker, why);
    if (rc) {
        CHECK(!n->broker, "a broker that could not be opened is there");
        return rc;
    }
    logs_on_offline(broker_logs(n->broker), on_offline, n);
    loop_start(shard_loop(broker_shard(n->broker, 0)));
    return 0;
}

static void reap(struct node *n)
{
    list_each_safe (l, next, &n->peers) {
        struct peer *p = container_of(l, struct peer, link);
        if (p->closed) peer_hang_up(p);
        if (!p->gone) continue;
        list_remove(&p->link);
        list_push(&n->gone, &p->link);
    }
}

/* The calls of a connection that is no more. */
static void lose_calls(struct peer *p)
{
    struct list lost;
    list_take(&lost, &p->line);
    p->line_n = 0;
    for (struct list *l; (l = list_pop(&lost));) {
        struct call *c = container_of(l, struct call, link);
        bytes_free(&c->frame);
        c->lost(c);
    }
}

static void all_peers_gone(struct node *n)
{
    list_each (l, &n->peers) {
        struct peer *p = container_of(l, struct peer, link);
        p->client = NULL;
        p->gone = true;
        lose_calls(p);
    }
    reap(n);
}

bool node_step(struct node *n)
{
    bool more = sim_step(n->world);
    reap(n);
    return more;
}

void node_run(struct node *n, int64_t us)
{
    for (int64_t until = node_now_us(n) + us; node_now_us(n) < until;) {
        sim_run(n->world, MIN(until - node_now_us(n), 1000));
        reap(n);
    }
}

static void on_drained(struct shard *s, void *arg) { ((struct node *)arg)->drained++; }

int node_down(struct node *n)
{
    struct loop *l = shard_loop(broker_shard(n->broker, 0));
    int64_t began = node_now_us(n);
    n->drained = 0;
    n->stopping = true;
    broker_drain(n->broker, on_drained, n);
    while (!n->drained) {
        CHECK(sim_step(n->world), "draining waits for what will never come");
        CHECK(node_now_us(n) - began < 120LL * 1000 * 1000, "draining takes more than two minutes");
    }
    list_each (p, &n->peers) peer_hang_up(container_of(p, struct peer, link));
    loop_stop(l);
    loop_join(l);
    all_peers_gone(n);
    return broker_close(&n->broker);
}

void node_power_loss(struct node *n)
{
    if (n->broker) sim_forget(n->world, n->broker);
    sim_power_loss(n->world);
    n->broker = NULL;
    all_peers_gone(n);
}

static void sync_all(struct fs *fs, const char *path)
{
    struct arena a;
    struct slice *names;
    int count = 0;
    arena_init(&a);
    if (fs->list(fs, path, &a, &names, &count)) count = 0;
    (void)fs->sync_dir(fs, path);
    for (int i = 0; i < count; i++) {
        const char *name = arena_printf(&a, "%s/" S_FMT, path, S_ARG(names[i])).p;
        struct fs_stat st;
        if (fs->stat(fs, name, &st)) continue;
        if (st.is_dir) {
            sync_all(fs, name);
            continue;
        }
        int fd = fs->open(fs, name, FS_WRITE);
        if (fd < 0) continue;
        (void)fs->datasync(fs, fd);
        (void)fs->close(fs, fd);
    }
    arena_free(&a);
}

void node_kill(struct node *n)
{
    sim_fault(n->world, (struct sim_fault){ 0 });
    sync_all(n->world->fs, "/");
    node_power_loss(n);
}

/* ---- peers ---------------------------------------------------------------------------------------------------------------------------------- */

static void show(const char *what, const struct peer *p, const struct call *c, const struct wire_msg *m, const void *body)
{
    struct bytes text = { 0 };
    if (!sim_verbose) return;
    wire_print(m, c->version, body, &text);
    (void)fprintf(stderr, "%lld us peer %lld %s %d: %s v%d %.*s\n", (long long)node_now_us(p->node), (long long)p->serial, what,
                  c->correlation, m->name, c->version, (int)MIN(text.n, (size_t)700), (char *)text.p);
    bytes_free(&text);
}

static void call_answer(struct call *c, struct slice all)
{
    struct response_header h;
    size_t used;
    void *out = arena_alloc(&c->arena, wire_response(c->key)->size);
    all = arena_copy(&c->arena, all);
    int rc =
        wire_decode(&msg_response_header, (int16_t)wire_response_header_version(c->key, c->version), all, &c->arena, &h, &used);
    if (!rc)
        rc = wire_decode(wire_response(c->key), c->version, (struct slice){ all.p + used, all.n - used }, &c->arena, out, NULL);
    CHECK(rc == 0, "the answer to API %d version %d does not parse: %s", c->key, c->version, err_text(rc));
    show("hears", c->peer, c, wire_response(c->key), out);
    c->answered(c, out);
}

/* Silent calls in front of an answer have been executed. */
static void settle_silent(struct peer *p)
{
    while (!list_empty(&p->line)) {
        struct call *c = container_of(p->line.next, struct call, link);
        if (!c->silent || !c->sent) return;
        list_remove(&c->link);
        p->line_n--;
        c->answered(c, NULL);
    }
}

static void on_send(void *conn, struct reply *r)
{
    struct peer *p = conn;
    struct bytes all = { 0 };
    size_t at = 0;
    bool failed = false;
    CHECK(p->client && (!p->closed || p->broken), "an answer on a connection that is gone");
    for (int i = 0; i < r->ranges_n; i++) {
        CHECK(r->ranges[i].at >= at && r->ranges[i].at <= r->bytes.n, "ranges are not in order");
        bytes_put(&all, r->bytes.p + at, r->ranges[i].at - at);
        at = r->ranges[i].at;
        uint32_t n = r->ranges[i].range.n;
        failed |= range_copy(&r->ranges[i].range, 0, bytes_room(&all, n), n) != 0;
        all.n += n;
        range_release(&r->ranges[i].range);
    }
    bytes_put(&all, r->bytes.p + at, r->bytes.n - at);
    if (p->junked) {                  /* what it asked for nobody knows */
    } else if (failed || p->broken) { /* as net does: the connection cannot go on */
        p->closed = p->broken = true;
        p->reason = "records could not be read";
    } else {
        CHECK(all.n >= 8 && be32(all.p) == all.n - 4, "an answer of %zu bytes says %u", all.n, be32(all.p));
        int32_t correlation = (int32_t)be32(all.p + 4);
        settle_silent(p);
        CHECK(!list_empty(&p->line), "an answer that nobody asked for: correlation %d", correlation);
        struct call *c = container_of(p->line.next, struct call, link);
        CHECK(c->correlation == correlation, "answer %d, but it is the turn of %d (API %d)", correlation, c->correlation, c->key);
        list_remove(&c->link);
        p->line_n--;
        call_answer(c, (struct slice){ (char *)all.p + 4, all.n - 4 });
    }
    bytes_free(&all);
}

static void on_close(void *conn, const char *reason, bool after_answers)
{
    struct peer *p = conn;
    p->closed = true;
    p->reason = reason;
}

static void on_pause(void *conn, bool on) { ((struct peer *)conn)->paused = on; }

static const struct client_ops ops = { .send = on_send, .close = on_close, .pause = on_pause };

static void do_open(struct post *post)
{
    struct peer *p = container_of(post, struct peer, open);
    const struct client_info info = { .listener = S("PLAINTEXT"),
                                      .host = S("127.0.0.1"),
                                      .local_host = S("127.0.0.1"),
                                      .local_port = 9092,
                                      .local_loopback = true };
    p->opening = false;
    p->client = client_open(broker_shard(p->node->broker, 0), &info, &ops, p);
}

struct peer *peer_open(struct node *n)
{
    static int64_t serial;
    struct peer *p = new (struct peer);
    p->node = n;
    p->serial = ++serial;
    p->opening = true;
    p->open.fn = do_open;
    list_init(&p->line);
    list_push(&n->peers, &p->link);
    loop_post(shard_loop(broker_shard(n->broker, 0)), &p->open);
    return p;
}

bool peer_is_up(const struct peer *p) { return !p->closed && !p->hanging_up && !p->gone; }

static void do_hang_up(struct post *post)
{
    struct peer *p = container_of(post, struct peer, hang_up);
    if (p->client) client_close(p->client);
    p->client = NULL;
    p->gone = true;
    lose_calls(p);
}

void peer_hang_up(struct peer *p)
{
    if (p->hanging_up || p->gone) return;
    p->hanging_up = true;
    p->hang_up.fn = do_hang_up;
    loop_post(shard_loop(broker_shard(p->node->broker, 0)), &p->hang_up);
}

void call_init(struct call *c, int16_t key, int16_t version)
{
    *c = (struct call){ .key = key, .version = version };
    list_init(&c->link);
    arena_init(&c->arena);
}

void call_free(struct call *c)
{
    assert(!list_linked(&c->link));
    bytes_free(&c->frame);
    arena_free(&c->arena);
}

/* As net does: small frames are slices of what was received, large ones lie in a buffer of their own. */
static void deliver(struct peer *p, const void *frame, size_t n)
{
    if (!p->client || p->closed) return;
    struct buf *holder = buf_new(n);
    memcpy(holder->data, frame, n);
    client_frame(p->client, holder, holder->data, n);
    buf_unref(&holder);
}

static void do_send(struct post *post)
{
    struct call *c = container_of(post, struct call, post);
    struct peer *p = c->peer;
    struct bytes frame = c->frame; /* the call may be gone when its answer has come */
    c->frame = (struct bytes){ 0 };
    c->sent = true;
    deliver(p, frame.p, frame.n);
    bytes_free(&frame);
}

void peer_send(struct peer *p, struct call *c, const void *in)
{
    struct wire_out out = { 0 };
    struct request_header h = dflt_request_header;
    assert(peer_is_up(p));
    c->peer = p;
    c->correlation = ++p->correlation;
    c->sent_us = node_now_us(p->node);
    h.request_api_key = c->key;
    h.request_api_version = c->version;
    h.correlation_id = c->correlation;
    h.client_id = S("sim");
    int rc = wire_encode(&msg_request_header, (int16_t)wire_request_header_version(c->key, c->version), &h, &out);
    if (!rc) rc = wire_encode(wire_request(c->key), c->version, in, &out);
    CHECK(rc == 0, "request of API %d version %d: %s", c->key, c->version, err_text(rc));
    show("asks", p, c, wire_request(c->key), in);
    c->frame = out.b;
    list_push(&p->line, &c->link);
    p->line_n++;
    c->post.fn = do_send;
    loop_post(shard_loop(broker_shard(p->node->broker, 0)), &c->post);
}

struct junk {
    struct post post;
    struct peer *peer;
    size_t n;
    uint8_t bytes[];
};

static void do_junk(struct post *post)
{
    struct junk *j = container_of(post, struct junk, post);
    j->peer->junked = true;
    deliver(j->peer, j->bytes, j->n);
}

void peer_send_junk(struct peer *p, const void *frame, size_t n)
{
    assert(!p->junk);
    struct junk *j = p->junk = mem_alloc(sizeof *j + n);
    *j = (struct junk){ .post.fn = do_junk, .peer = p, .n = n };
    memcpy(j->bytes, frame, n);
    loop_post(shard_loop(broker_shard(p->node->broker, 0)), &j->post);
}
