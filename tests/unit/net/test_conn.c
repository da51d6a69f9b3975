/* A connection over a simulated socket that reads and writes as little as it likes and is now and then sent to the other loop, from a seed: whatever
 * the pieces, each request is answered once, in order. */
#include "test.h"

#include "net_internal.h"

#include <odradek/batch.h>
#include <odradek/wire.h>

#include <errno.h>

struct sock { /* the simulated socket; io.priv of its connection */
    struct rnd *rnd;
    struct bytes in, out; /* to and from the broker */
    size_t in_at;
    unsigned want;
    bool full, gone;
    struct conn *conn;
    struct post closed;
    int opened;
};
static struct sock *dialled; /* whom the next connection belongs to */

static ssize_t sock_readv(struct conn *c, const struct iovec *v, int n)
{
    struct sock *s = c->io.priv;
    size_t left = s->in.n - s->in_at, done = 0;
    if (left == 0) return -EAGAIN;
    size_t most = 1 + rnd_below(s->rnd, rnd_below(s->rnd, 4) ? 3000 : 200000);
    most = MIN(left, most);
    for (int i = 0; i < n && done < most; i++) {
        size_t k = MIN(v[i].iov_len, most - done);
        memcpy(v[i].iov_base, s->in.p + s->in_at + done, k);
        done += k;
    }
    s->in_at += done;
    return (ssize_t)done;
}

static ssize_t sock_writev(struct conn *c, const struct iovec *v, int n, bool more)
{
    struct sock *s = c->io.priv;
    size_t done = 0;
    s->full = rnd_below(s->rnd, 3) == 0;
    if (s->full) return -EAGAIN;
    size_t most = 1 + rnd_below(s->rnd, 5000);
    for (int i = 0; i < n && done < most; i++) {
        size_t k = MIN(v[i].iov_len, most - done);
        bytes_put(&s->out, v[i].iov_base, k);
        done += k;
    }
    return (ssize_t)done;
}

static bool sock_pending(struct conn *c) { return false; }
static void sock_want(struct conn *c, unsigned events) { ((struct sock *)c->io.priv)->want = events; }

static int sock_open(struct conn *c)
{
    if (!c->io.priv) c->io.priv = dialled;
    struct sock *s = c->io.priv;
    s->want = IO_READ | IO_HANGUP;
    s->opened++;
    return 0;
}

static void sock_closed(struct post *p)
{
    struct sock *s = container_of(p, struct sock, closed);
    s->gone = true;
    conn_gone(s->conn);
}

static void sock_close(struct conn *c) /* as a loop does it: closed in a later turn */
{
    struct sock *s = c->io.priv;
    s->conn = c;
    s->closed.fn = sock_closed;
    loop_post(c->nl->loop, &s->closed);
}

static void sock_left(struct post *p) { conn_left(container_of(p, struct sock, closed)->conn); }

static void sock_leave(struct conn *c)
{
    struct sock *s = c->io.priv;
    s->want = 0;
    s->conn = c;
    s->closed.fn = sock_left;
    loop_post(c->nl->loop, &s->closed);
}

static const struct transport simulated = { .readv = sock_readv,
                                            .writev = sock_writev,
                                            .pending = sock_pending,
                                            .open = sock_open,
                                            .want = sock_want,
                                            .close = sock_close,
                                            .leave = sock_leave };

static void frame(struct bytes *out, int16_t key, int16_t version, int32_t correlation, const void *in)
{
    struct wire_out w = { .b = *out };
    struct request_header h = dflt_request_header;
    size_t at = w.b.n;
    h.request_api_key = key;
    h.request_api_version = version;
    h.correlation_id = correlation;
    wr_i32(&w.b, 0);
    assert_ok(wire_encode(&msg_request_header, (int16_t)wire_request_header_version(key, version), &h, &w));
    assert_ok(wire_encode(wire_request(key), version, in, &w));
    put_be32(w.b.p + at, (uint32_t)(w.b.n - at - 4));
    *out = w.b;
}

static void produce(struct bytes *out, int32_t correlation, size_t size)
{
    const struct batch_opts o = BATCH_OPTS;
    struct batch_builder bb;
    struct bytes batch = { 0 };
    struct produce_request in = dflt_produce_request;
    struct produce_request_topic_produce_data t = dflt_produce_request_topic_produce_data;
    struct produce_request_partition_produce_data d = dflt_produce_request_partition_produce_data;
    char *value = mem_zalloc(size);
    batch_begin(&bb, &o, &batch);
    batch_append(&bb, 0, (struct slice){ 0 }, (struct slice){ value, size }, NULL, 0);
    assert_true(batch_end(&bb) > 0);
    in.acks = correlation % 2 ? 1 : -1;
    in.timeout_ms = 60000;
    in.topic_data = &t;
    in.topic_data_n = 1;
    t.name = S("t");
    t.partition_data = &d;
    t.partition_data_n = 1;
    d.records.bytes = (struct slice){ (char *)batch.p, batch.n };
    frame(out, API_PRODUCE, 9, correlation, &in);
    bytes_free(&batch);
    mem_free(value);
}

static void on_drained(struct shard *s, void *arg) { ++*(int *)arg; }

enum { LOOPS = 2 };
struct stand { /* a broker and its net, without listeners */
    struct conf *conf;
    struct broker *broker;
    struct net *net;
};

static void stand_open(struct stand *t, struct test_env *env)
{
    struct conf_report report = { 0 };
    struct why why = { .text = "" };
    assert_ok(conf_parse(arena_printf(&env->arena, "log.dirs=%s\nlisteners=PLAINTEXT://127.0.0.1:9092\n", test_path(env, "data")),
                         &t->conf, &report));
    conf_report_free(&report);
    assert_ok(broker_open(env->world, t->conf, LOOPS, &t->broker, &why));
    for (int i = 0; i < LOOPS; i++) loop_start(shard_loop(broker_shard(t->broker, i)));
    t->net = net_new(t->broker, t->conf);
}

static void stand_close(struct stand *t, struct test_env *env)
{
    int drained = 0;
    broker_drain(t->broker, on_drained, &drained);
    while (drained < LOOPS) assert_true(sim_step(env->world));
    for (int i = 0; i < LOOPS; i++) {
        struct loop *l = shard_loop(broker_shard(t->broker, i));
        loop_stop(l);
        loop_join(l);
    }
    net_free(&t->net);
    assert_ok(broker_close(&t->broker));
    conf_unref(&t->conf);
}

static struct conn *dial(struct net *n, struct sock *s)
{
    const struct client_info info = {
        .listener = S("PLAINTEXT"), .host = S("127.0.0.1"), .local_host = S("127.0.0.1"), .local_port = 9092
    };
    dialled = s;
    assert_true(net_conn_begins(n, "127.0.0.1"));
    atomic_fetch_add(&n->loops[0].conns_n, 1);
    return conn_new(&n->loops[0], -1, &simulated, &info);
}

/* Returns how often it went to the other loop. */
static int one_seed(uint64_t seed)
{
    enum { REQUESTS = 40 };
    static const size_t sizes[] = { 10, 100, 4000, 5000, 17000, 70000, 300000 };
    struct test_env *env = test_env_sim(seed);
    struct metadata_request m = dflt_metadata_request;
    struct metadata_request_topic mt = dflt_metadata_request_topic;

    struct stand t;
    stand_open(&t, env);
    struct net *n = t.net;
    struct sock s = { .rnd = env->world->rnd };
    mt.name = S("t");
    m.topics = &mt;
    m.topics_n = 1;
    frame(&s.in, API_METADATA, 9, 0, &m); /* makes the topic; what follows waits for it */
    for (int32_t i = 1; i < REQUESTS; i++) {
        if (rnd_below(env->world->rnd, 4) == 0) frame(&s.in, API_METADATA, 9, i, &m);
        else produce(&s.in, i, sizes[rnd_below(env->world->rnd, ARRAY_LEN(sizes))]);
    }
    struct conn *c = dial(n, &s);
    size_t at = 0;
    int32_t answered = 0;
    for (int round = 0; answered < REQUESTS; round++) {
        if (round > 20000)
            fail_msg("stuck: answered %d in %zu of %zu want %u out %zu paused %d starved %d blocked %d need %zu stash %u",
                     answered, s.in_at, s.in.n, s.want, s.out.n, c->paused, c->starved, c->blocked, c->need,
                     c->stash ? c->stash->len : 0);
        assert_false(s.gone);
        if (s.want && !c->to && rnd_below(s.rnd, 20) == 0) conn_move(c, &n->loops[c->nl == &n->loops[0]]);
        if (s.want & IO_READ && s.in_at < s.in.n) conn_ready(c, IO_READ);
        if (s.want & IO_WRITE) conn_ready(c, IO_WRITE);
        sim_run(env->world, 100);
        while (s.out.n - at >= 4 && s.out.n - at >= 4 + (size_t)be32(s.out.p + at)) {
            assert_int_equal(be32(s.out.p + at + 4), answered);
            at += 4 + be32(s.out.p + at);
            answered++;
        }
    }
    assert_int_equal(at, s.out.n);
    while (!s.want) sim_run(env->world, 100); /* on its way */
    conn_close(c, NULL);
    sim_run(env->world, 100);
    assert_true(s.gone);
    assert_int_equal(atomic_load(&n->loops[0].conns_n) + atomic_load(&n->loops[1].conns_n), 0);
    stand_close(&t, env);
    bytes_free(&s.in);
    bytes_free(&s.out);
    test_env_free(&(void *){ env });
    return s.opened - 1;
}

static void requests_in_any_pieces_are_answered_once_and_in_order(void **state)
{
    int moves = 0;
    log_threshold = LOG_WARN;
    for (uint64_t seed = test_seed(); seed < test_seed() + 20; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        moves += one_seed(seed);
    }
    assert_true(moves > 20);
}

/* The next answer, decoded; its memory is the environment's. */
static void next_answer(struct test_env *env, struct sock *s, struct conn *c, size_t *at, int16_t key, int16_t version, void *out)
{
    const struct wire_msg *msg = wire_response(key);
    while (s->out.n - *at < 4 || s->out.n - *at < 4 + (size_t)be32(s->out.p + *at)) {
        if (s->want & IO_READ && s->in_at < s->in.n) conn_ready(c, IO_READ);
        if (s->want & IO_WRITE) conn_ready(c, IO_WRITE);
        sim_run(env->world, 100);
    }
    size_t n = be32(s->out.p + *at), head = wire_response_header_version(key, version) > 0 ? 5 : 4;
    assert_ok(wire_decode(msg, version, (struct slice){ (char *)s->out.p + *at + 4 + head, n - head }, &env->arena, out, NULL));
    *at += 4 + n;
}

static void a_fetch_session_goes_with_its_connection(void **state)
{
    struct test_env *env = test_env_sim(1);
    struct sock s = { .rnd = env->world->rnd };
    struct metadata_request m = dflt_metadata_request;
    struct metadata_request_topic mt = dflt_metadata_request_topic;
    struct fetch_request in = dflt_fetch_request;
    struct fetch_request_fetch_topic ft = dflt_fetch_request_fetch_topic;
    struct fetch_request_fetch_partition fp = dflt_fetch_request_fetch_partition;
    struct metadata_response made;
    struct fetch_response out;
    struct stand t;
    size_t at = 0;
    stand_open(&t, env);
    struct conn *c = dial(t.net, &s);
    m.topics = &mt;
    m.topics_n = 1;
    mt.name = ft.topic = S("t");
    frame(&s.in, API_METADATA, 8, 0, &m);
    next_answer(env, &s, c, &at, API_METADATA, 8, &made);
    in.topics = &ft;
    in.topics_n = 1;
    ft.partitions = &fp;
    ft.partitions_n = 1;
    fp.partition_max_bytes = 1000;
    in.session_epoch = 0;
    int32_t error;
    do { /* until the topic is there */
        frame(&s.in, API_FETCH, 11, 0, &in);
        next_answer(env, &s, c, &at, API_FETCH, 11, &out);
        error = out.responses[0].partitions[0].error_code;
    } while (error == err_kafka(E_UNKNOWN_TOPIC_OR_PARTITION));
    assert_int_equal(error, 0);
    assert_int_not_equal(out.session_id, 0);
    in.session_id = out.session_id;
    in.topics_n = 0;
    for (int i = 1; i < 5; i++) { /* there and back */
        conn_move(c, &t.net->loops[i % 2]);
        while (s.opened <= i) sim_run(env->world, 100);
        in.session_epoch = i;
        frame(&s.in, API_FETCH, 11, i, &in);
        next_answer(env, &s, c, &at, API_FETCH, 11, &out);
        assert_int_equal(out.error_code, 0);
        assert_int_equal(out.session_id, in.session_id);
    }
    conn_close(c, NULL);
    sim_run(env->world, 100);
    assert_true(s.gone);
    stand_close(&t, env);
    bytes_free(&s.in);
    bytes_free(&s.out);
    test_env_free(&(void *){ env });
}

/* Memory is short, and of those whose answers are held in it only the one whose socket is full does not read. */
static void a_peer_that_waits_for_our_disk_is_not_deaf(void **state)
{
    enum { PEERS = 4, BIG = 300000 };
    struct test_env *env = test_env_sim(1);
    struct sock s[PEERS] = { 0 };
    struct conn *c[PEERS];
    struct stand t;
    stand_open(&t, env);
    struct net *n = t.net;
    for (int i = 0; i < PEERS; i++) {
        s[i].rnd = env->world->rnd;
        c[i] = dial(n, &s[i]);
    }
    for (int i = 0; i < 2; i++) { /* their answers wait: for the disk, and for the peer */
        c[i]->prefaulting = i == 0;
        c[i]->blocked = i == 1;
        c[i]->out_charged = 1000;
        mem_charge_over(n->memory, 1000);
    }
    mem_charge_over(n->memory, n->memory->limit);
    sim_run(env->world, 2 * DEAF_US);
    for (int i = 2; i < PEERS; i++) { /* the first may always finish its frame, the second starves */
        produce(&s[i].in, 1, BIG);
        for (int k = 0; k < 20 && !c[i]->starved && s[i].in_at < BIG / 2; k++) {
            conn_ready(c[i], IO_READ);
            sim_run(env->world, 10);
        }
    }
    assert_true(c[3]->starved);
    sim_run(env->world, 2 * HUNGRY_US);
    assert_true(s[1].gone);
    assert_false(s[0].gone);
    c[0]->prefaulting = false;
    mem_uncharge(n->memory, n->memory->limit);
    for (int i = 0; i < PEERS; i++)
        if (!s[i].gone) conn_close(c[i], NULL);
    sim_run(env->world, 100);
    stand_close(&t, env);
    for (int i = 0; i < PEERS; i++) {
        bytes_free(&s[i].in);
        bytes_free(&s[i].out);
    }
    test_env_free(&(void *){ env });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_in_any_pieces_are_answered_once_and_in_order),
        cmocka_unit_test(a_fetch_session_goes_with_its_connection),
        cmocka_unit_test(a_peer_that_waits_for_our_disk_is_not_deaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
