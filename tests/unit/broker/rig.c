#include "rig.h"

#include <odradek/batch.h>

#include <stdlib.h>

void rig_start(struct rig *r)
{
    struct why why = { .text = "" };
    int rc = broker_open(r->env->world, r->conf, 1, &r->broker, &why);
    if (rc) fail_msg("broker_open: %s: %s", err_text(rc), why.text);
    loop_start(shard_loop(broker_shard(r->broker, 0)));
    peer_settle(r);
}

static void peer_hang_up(struct peer *p)
{
    if (!p->client) return;
    client_close(p->client);
    p->client = NULL;
    list_remove(&p->link);
}

static void on_drained(struct shard *s, void *arg)
{
    struct rig *r = arg;
    r->drained++;
}

void rig_stop(struct rig *r)
{
    struct loop *l = shard_loop(broker_shard(r->broker, 0));
    r->drained = 0;
    broker_drain(r->broker, on_drained, r);
    while (!r->drained) assert_true(sim_step(r->env->world));
    list_each_safe (n, next, &r->peers) peer_hang_up(container_of(n, struct peer, link));
    loop_stop(l);
    loop_join(l);
    assert_int_equal(r->drained, 1); /* whoever counts shards counts on it */
    assert_ok(broker_close(&r->broker));
}

struct rig *rig_open(uint64_t seed, const char *properties)
{
    struct rig *r = new (struct rig);
    struct conf_report report = { 0 };
    r->env = test_env_sim(seed);
    arena_init(&r->arena);
    list_init(&r->peers);
    log_threshold = getenv("ODR_TEST_LOG") ? LOG_DEBUG : LOG_ERROR;
    struct slice text = arena_printf(&r->arena, "log.dirs=%s\nlisteners=PLAINTEXT://127.0.0.1:9092\n%s\n",
                                     test_path(r->env, "data"), properties ? properties : "");
    if (conf_parse(text, &r->conf, &report)) {
        struct bytes out = { 0 };
        conf_report_print(&report, &out);
        fail_msg("%.*s", (int)out.n, (char *)out.p);
    }
    conf_report_free(&report);
    rig_start(r);
    return r;
}

void rig_restart(struct rig *r)
{
    rig_stop(r);
    rig_start(r);
}

void rig_close(struct rig *r)
{
    rig_stop(r);
    conf_unref(&r->conf);
    arena_free(&r->arena);
    test_env_free(&(void *){ r->env });
    mem_free(r);
}

void peer_settle(struct rig *r) { sim_run(r->env->world, 100 * 1000); } /* some turns of workers, each up to 20 ms late */

/* ---- peers ---- */

static void take_bytes(struct peer *p, struct answer *a, const char *from, size_t n) { bytes_put(&a->body, from, n); }

static void peer_on_send(void *conn, struct reply *r)
{
    struct peer *p = conn;
    struct answer *a = new (struct answer);
    size_t at = 0;
    for (int i = 0; i < r->ranges_n; i++) {
        take_bytes(p, a, r->bytes.p + at, r->ranges[i].at - at);
        at = r->ranges[i].at;
        assert_ok(range_copy(&r->ranges[i].range, 0, bytes_room(&a->body, r->ranges[i].range.n), r->ranges[i].range.n));
        a->body.n += r->ranges[i].range.n;
        range_release(&r->ranges[i].range);
    }
    take_bytes(p, a, r->bytes.p + at, r->bytes.n - at);
    assert_int_equal(be32(a->body.p), a->body.n - 4);
    a->correlation = (int32_t)be32(a->body.p + 4);
    *p->last = a;
    p->last = &a->next;
    p->answers++;
}

static void peer_on_close(void *conn, const char *reason, bool after)
{
    struct peer *p = conn;
    assert_non_null(p->client); /* who is gone is told nothing: his connection may be no more */
    p->closed = true;
    p->reason = reason;
}

static void peer_on_pause(void *conn, bool on) { ((struct peer *)conn)->paused = on; }

static bool peer_is_full(void *conn) { return ((struct peer *)conn)->full; }

static const struct client_ops ops = {
    .send = peer_on_send, .close = peer_on_close, .pause = peer_on_pause, .full = peer_is_full
};

struct peer *peer_open(struct rig *r)
{
    struct peer *p = new (struct peer);
    const struct client_info info = { .listener = S("PLAINTEXT"),
                                      .host = S("127.0.0.1"),
                                      .local_host = S("127.0.0.1"),
                                      .local_port = 9092,
                                      .local_loopback = true };
    p->rig = r;
    p->last = &p->first;
    list_push(&r->peers, &p->link);
    p->client = client_open(broker_shard(r->broker, 0), &info, &ops, p);
    return p;
}

void peer_close(struct peer *p)
{
    if (p->client) {
        peer_hang_up(p);
        peer_settle(p->rig);
    }
    for (struct answer *a = p->first, *next; a; a = next) {
        next = a->next;
        bytes_free(&a->body);
        mem_free(a);
    }
    mem_free(p);
}

void peer_send_bytes(struct peer *p, const void *frame, size_t n)
{
    uint8_t *copy = mem_alloc(n ? n : 1); /* exactly as long, so that a sanitizer sees any step beyond */
    memcpy(copy, frame, n);
    client_frame(p->client, NULL, copy, n);
    mem_free(copy);
}

int32_t peer_send(struct peer *p, int16_t key, int16_t version, const void *in)
{
    struct wire_out out = { 0 };
    struct request_header h = dflt_request_header;
    h.request_api_key = key;
    h.request_api_version = version;
    h.correlation_id = ++p->correlation;
    h.client_id = S("test");
    p->asked[(size_t)p->correlation % ARRAY_LEN(p->asked)].key = key;
    p->asked[(size_t)p->correlation % ARRAY_LEN(p->asked)].version = version;
    assert_ok(wire_encode(&msg_request_header, (int16_t)wire_request_header_version(key, version), &h, &out));
    assert_ok(wire_encode(wire_request(key), version, in, &out));
    struct buf *holder = buf_new(out.b.n); /* as net does: large frames lie in a counted buffer */
    memcpy(holder->data, out.b.p, out.b.n);
    client_frame(p->client, holder, holder->data, out.b.n);
    buf_unref(&holder);
    wire_out_free(&out);
    return p->correlation;
}

void *peer_take(struct peer *p, int64_t us)
{
    struct clock *clock = p->rig->env->world->clock;
    int64_t until = clock->mono_us(clock) + us;
    while (!p->first && clock->mono_us(clock) < until) sim_run(p->rig->env->world, 100);
    struct answer *a = p->first;
    if (!a) return NULL;
    p->first = a->next;
    if (!p->first) p->last = &p->first;
    assert_in_range(a->correlation, 1, p->correlation);
    size_t slot = (size_t)a->correlation % ARRAY_LEN(p->asked);
    int16_t key = p->asked[slot].key, version = p->asked[slot].version;
    struct slice all = arena_copy(&p->rig->arena, (struct slice){ (char *)a->body.p + 4, a->body.n - 4 });
    struct response_header h;
    size_t used;
    assert_ok(
        wire_decode(&msg_response_header, (int16_t)wire_response_header_version(key, version), all, &p->rig->arena, &h, &used));
    void *out = arena_alloc(&p->rig->arena, wire_response(key)->size);
    assert_ok(wire_decode(wire_response(key), version, (struct slice){ all.p + used, all.n - used }, &p->rig->arena, out, NULL));
    bytes_free(&a->body);
    mem_free(a);
    return out;
}

void *peer_ask(struct peer *p, int16_t key, int16_t version, const void *in)
{
    (void)peer_send(p, key, version, in);
    void *out = peer_take(p, 60 * 1000 * 1000);
    if (!out) fail_msg("no answer to API %d version %d (closed: %s)", key, version, p->closed ? p->reason : "no");
    return out;
}

/* ---- everyday requests ---- */

void peer_create_topic(struct peer *p, const char *name, int partitions)
{
    struct create_topics_request in = dflt_create_topics_request;
    in.topics = wire_new(&p->rig->arena, create_topics_request_creatable_topic);
    in.topics_n = 1;
    in.topics->name = slice_of(name);
    in.topics->num_partitions = partitions;
    in.topics->replication_factor = 1;
    struct create_topics_response *out = peer_ask(p, API_CREATE_TOPICS, 7, &in);
    assert_int_equal(out->topics[0].error_code, 0);
}

int32_t peer_send_produce(struct peer *p, int16_t acks, const char *topic, int partition, struct slice batch)
{
    struct produce_request in = dflt_produce_request;
    struct produce_request_topic_produce_data t = dflt_produce_request_topic_produce_data;
    struct produce_request_partition_produce_data d = dflt_produce_request_partition_produce_data;
    in.acks = acks;
    in.timeout_ms = 30000;
    in.topic_data = &t;
    in.topic_data_n = 1;
    t.name = slice_of(topic);
    t.partition_data = &d;
    t.partition_data_n = 1;
    d.index = partition;
    d.records.bytes = batch;
    return peer_send(p, API_PRODUCE, 9, &in);
}

struct produce_response *peer_produce(struct peer *p, int16_t acks, const char *topic, int partition, struct slice batch)
{
    (void)peer_send_produce(p, acks, topic, partition, batch);
    struct produce_response *out = peer_take(p, 60 * 1000 * 1000);
    assert_non_null(out);
    return out;
}

static struct slice batch_with(struct rig *r, const struct batch_opts *o, const char *const *values, int n)
{
    struct bytes b = { 0 };
    struct batch_builder bb;
    batch_begin(&bb, o, &b);
    for (int i = 0; i < n; i++)
        batch_append(&bb, r->env->world->clock->wall_ms(r->env->world->clock), S("k"), slice_of(values[i]), NULL, 0);
    assert_true(batch_end(&bb) > 0);
    struct slice s = arena_copy(&r->arena, (struct slice){ (char *)b.p, b.n });
    bytes_free(&b);
    return s;
}

struct slice batch_of(struct rig *r, const char *const *values, int n)
{
    const struct batch_opts o = BATCH_OPTS;
    return batch_with(r, &o, values, n);
}

struct slice batch_one(struct rig *r, const char *value) { return batch_of(r, &value, 1); }

struct slice batch_idempotent(struct rig *r, const char *value, int64_t pid, int16_t epoch, int32_t sequence)
{
    struct batch_opts o = BATCH_OPTS;
    o.producer_id = pid;
    o.producer_epoch = epoch;
    o.base_sequence = sequence;
    return batch_with(r, &o, &value, 1);
}
