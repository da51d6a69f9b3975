/* A broker behind real sockets on loopback: what it costs in system calls, and what bad peers get. */
#include "test.h"

#include "net_internal.h"

#include <odradek/batch.h>
#include <odradek/wire.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS = 16, DEPTH = 5 };

struct server {
    struct test_env *env;
    struct conf *conf;
    struct broker *broker;
    struct net *net;
    int port, loops;
    _Atomic int drained;
};

static void on_shard(struct shard *s, void *arg) { atomic_fetch_add(&((struct server *)arg)->drained, 1); }
static void on_net(void *arg) { atomic_fetch_add(&((struct server *)arg)->drained, 1); }

static int serve(void **state, const char *more, int fds_max, int loops) /* fds_max 0: what net takes itself */
{
    struct server *s = new (struct server);
    struct conf_report report = { 0 };
    struct why w = { .text = "" };
    void *env;
    if (test_real(&env)) return -1;
    s->env = env;
    s->loops = loops;
    log_threshold = LOG_ERROR;
    struct slice text = arena_printf(
        &s->env->arena, "log.dirs=%s\nlisteners=PLAINTEXT://127.0.0.1:0\nlog.flush.interval.messages=9223372036854775807\n%s\n",
        test_path(s->env, "data"), more);
    assert_ok(conf_parse(text, &s->conf, &report));
    conf_report_free(&report);
    assert_ok(broker_open(s->env->world, s->conf, loops, &s->broker, &w));
    assert_ok(net_open(s->broker, s->conf, &s->net, &w));
    if (fds_max) s->net->fds_max = fds_max;
    s->port = net_port(s->net, 0);
    for (int i = 0; i < loops; i++) loop_start(shard_loop(broker_shard(s->broker, i)));
    net_start(s->net);
    *state = s;
    return 0;
}

static int server_up(void **state) { return serve(state, "", 0, 1); }
static int server_of_two_loops(void **state) { return serve(state, "", 0, 2); }
static int server_of_few(void **state) { return serve(state, "", 2, 1); }
static int server_small(void **state) { return serve(state, "socket.request.max.bytes=65536\nmax.connections.per.ip=20", 0, 1); }

static int server_down(void **state)
{
    struct server *s = *state;
    broker_drain(s->broker, on_shard, s);
    while (atomic_load(&s->drained) < s->loops) usleep(1000);
    net_drain(s->net, 1000, on_net, s);
    while (atomic_load(&s->drained) < 2 * s->loops) usleep(1000);
    for (int i = 0; i < s->loops; i++) {
        struct loop *l = shard_loop(broker_shard(s->broker, i));
        loop_stop(l);
        loop_join(l);
    }
    net_free(&s->net);
    assert_ok(broker_close(&s->broker));
    conf_unref(&s->conf);
    void *env = s->env;
    mem_free(s);
    return test_env_free(&env);
}

static int dial(struct server *s)
{
    struct sockaddr_in sa = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)s->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    return fd;
}

static void send_all(int fd, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = send(fd, (const char *)p + done, n - done, MSG_NOSIGNAL);
        assert_true(k > 0);
        done += (size_t)k;
    }
}

/* One answer's bytes behind its length; false: the peer closed. */
static bool receive(int fd, struct bytes *out)
{
    uint8_t head[4];
    for (size_t got = 0; got < 4;) {
        ssize_t k = recv(fd, head + got, 4 - got, 0);
        if (k <= 0) return false;
        got += (size_t)k;
    }
    out->n = 0;
    for (size_t n = be32(head); out->n < n;) {
        ssize_t k = recv(fd, bytes_room(out, n - out->n), n - out->n, 0);
        if (k <= 0) return false;
        out->n += (size_t)k;
    }
    return true;
}

static void frame(struct bytes *out, int16_t key, int16_t version, int32_t correlation, const void *in)
{
    struct wire_out w = { .b = *out };
    struct request_header h = dflt_request_header;
    size_t at = w.b.n;
    h.request_api_key = key;
    h.request_api_version = version;
    h.correlation_id = correlation;
    h.client_id = S("t");
    wr_i32(&w.b, 0);
    assert_ok(wire_encode(&msg_request_header, (int16_t)wire_request_header_version(key, version), &h, &w));
    assert_ok(wire_encode(wire_request(key), version, in, &w));
    put_be32(w.b.p + at, (uint32_t)(w.b.n - at - 4));
    *out = w.b;
}

static void create_topic(struct server *s, int fd, const char *name, int partitions)
{
    struct create_topics_request in = dflt_create_topics_request;
    struct create_topics_request_creatable_topic t = dflt_create_topics_request_creatable_topic;
    struct bytes b = { 0 };
    t.name = slice_of(name);
    t.num_partitions = partitions;
    t.replication_factor = 1;
    in.topics = &t;
    in.topics_n = 1;
    frame(&b, API_CREATE_TOPICS, 4, 1, &in);
    send_all(fd, b.p, b.n);
    assert_true(receive(fd, &b));
    bytes_free(&b);
}

static void produce_frames(struct server *s, struct bytes *out, int partition, int n, size_t value_size)
{
    const struct batch_opts o = BATCH_OPTS;
    struct batch_builder bb;
    struct bytes batch = { 0 };
    struct produce_request in = dflt_produce_request;
    struct produce_request_topic_produce_data t = dflt_produce_request_topic_produce_data;
    struct produce_request_partition_produce_data d = dflt_produce_request_partition_produce_data;
    char *value = mem_zalloc(value_size);
    batch_begin(&bb, &o, &batch);
    batch_append(&bb, s->env->world->clock->wall_ms(s->env->world->clock), (struct slice){ 0 },
                 (struct slice){ value, value_size }, NULL, 0);
    assert_true(batch_end(&bb) > 0);
    in.acks = 1;
    in.timeout_ms = 1000;
    in.topic_data = &t;
    in.topic_data_n = 1;
    t.name = S("t");
    t.partition_data = &d;
    t.partition_data_n = 1;
    d.index = partition;
    d.records.bytes = (struct slice){ (char *)batch.p, batch.n };
    for (int i = 0; i < n; i++) frame(out, API_PRODUCE, 9, i, &in);
    bytes_free(&batch);
    mem_free(value);
}

/* DESIGN: at 16 connections with 5 in flight a small produce costs at most 0.2 reads, 0.2 writes and 0.2 appends, and allocates nothing. */
static void small_produces_share_their_system_calls(void **state)
{
    struct server *s = *state;
    static const enum metric counted[] = { M_sys_read, M_sys_write, M_sys_append, M_allocations };
    struct bytes five[PEERS] = { 0 }, answer = { 0 };
    int64_t before[ARRAY_LEN(counted)];
    int fds[PEERS], waves = 100;
    for (int i = 0; i < PEERS; i++) fds[i] = dial(s);
    create_topic(s, fds[0], "t", 6);
    for (int i = 0; i < PEERS; i++) produce_frames(s, &five[i], i % 6, DEPTH, 100);
    for (int wave = 0; wave < 20 + waves; wave++) {
        if (wave == 20) /* warm */
            for (size_t k = 0; k < ARRAY_LEN(counted); k++) before[k] = metric_get(counted[k]);
        for (int i = 0; i < PEERS; i++) send_all(fds[i], five[i].p, five[i].n);
        for (int i = 0; i < PEERS; i++)
            for (int k = 0; k < DEPTH; k++) assert_true(receive(fds[i], &answer));
    }
    int requests = waves * PEERS * DEPTH;
    for (size_t k = 0; k < ARRAY_LEN(counted); k++) {
        int64_t n = metric_get(counted[k]) - before[k];
        print_message("metric %d: %.3f per request\n", (int)counted[k], (double)n / requests);
        assert_in_range(n, 0, counted[k] == M_allocations ? requests / 50 : requests / 5 + requests / 50);
    }
    for (int i = 0; i < PEERS; i++) {
        close(fds[i]);
        bytes_free(&five[i]);
    }
    bytes_free(&answer);
}

static void a_large_frame_arrives_in_pieces_of_any_size(void **state)
{
    struct server *s = *state;
    struct bytes b = { 0 }, answer = { 0 };
    int fd = dial(s);
    create_topic(s, fd, "t", 1);
    static const size_t sizes[] = { 10, 4000, 17000, 66000, 300000, 900000 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) produce_frames(s, &b, 0, 2, sizes[i]);
    for (size_t piece = 1, at = 0; at < b.n; piece = piece * 3 % 70001 + 1) {
        size_t n = MIN(piece, b.n - at);
        send_all(fd, b.p + at, n);
        at += n;
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes) * 2; i++) {
        assert_true(receive(fd, &answer));
        struct rd r = rd_of((struct slice){ (char *)answer.p, answer.n });
        (void)rd_i32(&r);
        rd_skip_tags(&r);
        struct produce_response out;
        assert_ok(
            wire_decode(&msg_produce_response, 9, (struct slice){ (const char *)r.p, rd_left(&r) }, &s->env->arena, &out, NULL));
        assert_int_equal(out.responses[0].partition_responses[0].error_code, 0);
        assert_int_equal(out.responses[0].partition_responses[0].base_offset, i);
    }
    close(fd);
    bytes_free(&b);
    bytes_free(&answer);
}

/* Produces over all connections at once, more than a loop does in a window, until some have moved and a while longer: each answer comes once, in
 * order. */
static void a_busy_loop_gives_connections_away(void **state)
{
    enum { CONNECTIONS = 6, BURST = 1000, AFTER = 3 };
    struct server *s = *state;
    struct bytes burst[CONNECTIONS] = { 0 }, answer = { 0 };
    struct arena a;
    int fds[CONNECTIONS], after = 0, round = 0;
    arena_init(&a);
    for (int i = 0; i < CONNECTIONS; i++) fds[i] = dial(s);
    create_topic(s, fds[0], "t", CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) produce_frames(s, &burst[i], i, BURST, 100);
    for (; after < AFTER; round++) {
        assert_true(round < 1000);
        for (int i = 0; i < CONNECTIONS; i++) send_all(fds[i], burst[i].p, burst[i].n);
        for (int i = 0; i < CONNECTIONS; i++)
            for (int k = 0; k < BURST; k++) {
                struct produce_response out;
                assert_true(receive(fds[i], &answer));
                assert_int_equal(be32(answer.p), k);
                assert_ok(
                    wire_decode(&msg_produce_response, 9, (struct slice){ (char *)answer.p + 5, answer.n - 5 }, &a, &out, NULL));
                assert_int_equal(out.responses[0].partition_responses[0].error_code, 0);
                assert_int_equal(out.responses[0].partition_responses[0].base_offset, round * BURST + k);
                arena_free(&a);
            }
        after += metric_get(M_connections_moved) > 0;
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        close(fds[i]);
        bytes_free(&burst[i]);
    }
    bytes_free(&answer);
}

static void a_large_fetch_is_sent_whole_through_a_slow_socket(void **state)
{
    struct server *s = *state;
    struct bytes b = { 0 }, answer = { 0 };
    int fd = dial(s);
    create_topic(s, fd, "t", 1);
    produce_frames(s, &b, 0, 8, 900000);
    send_all(fd, b.p, b.n);
    for (int i = 0; i < 8; i++) assert_true(receive(fd, &answer));
    struct fetch_request in = dflt_fetch_request;
    struct fetch_request_fetch_topic t = dflt_fetch_request_fetch_topic;
    struct fetch_request_fetch_partition p = dflt_fetch_request_fetch_partition;
    in.min_bytes = 1;
    in.topics = &t;
    in.topics_n = 1;
    t.topic = S("t");
    t.partitions = &p;
    t.partitions_n = 1;
    p.partition_max_bytes = 50 << 20;
    b.n = 0;
    for (int i = 0; i < 4; i++) frame(&b, API_FETCH, 11, i, &in);
    send_all(fd, b.p, b.n);
    usleep(50 * 1000); /* so that the sender meets a full socket */
    for (int i = 0; i < 4; i++) {
        assert_true(receive(fd, &answer));
        struct fetch_response out;
        assert_ok(wire_decode(&msg_fetch_response, 11, (struct slice){ (char *)answer.p + 4, answer.n - 4 }, &s->env->arena, &out,
                              NULL));
        struct slice rec = out.responses[0].partitions[0].records.bytes;
        int batches = 0;
        for (size_t at = 0; at < rec.n; batches++) {
            int32_t size;
            assert_ok(batch_size(rec.p + at, rec.n - at, &size));
            assert_ok(batch_verify(rec.p + at, (size_t)size));
            at += (size_t)size;
        }
        assert_int_equal(batches, 8);
    }
    close(fd);
    bytes_free(&b);
    bytes_free(&answer);
}

static bool closes(int fd)
{
    char c;
    struct pollfd p = { .fd = fd, .events = POLLIN };
    assert_int_equal(poll(&p, 1, 20000), 1);
    return recv(fd, &c, 1, 0) <= 0;
}

static void impossible_lengths_close_the_connection_and_others_go_on(void **state)
{
    struct server *s = *state;
    static const uint8_t lengths[][4] = {
        { 0x7f, 0xff, 0xff, 0xff }, { 0xff, 0xff, 0xff, 0xff }, { 0x80, 0, 0, 0 }, { 0, 1, 0, 1 }
    };
    struct bytes b = { 0 };
    int good = dial(s);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        int fd = dial(s);
        send_all(fd, lengths[i], 4);
        assert_true(closes(fd));
        close(fd);
    }
    create_topic(s, good, "still", 1);
    close(good);
    bytes_free(&b);
}

static void one_address_may_not_take_every_connection(void **state)
{
    struct server *s = *state;
    int fds[20], over;
    for (int i = 0; i < 20; i++) fds[i] = dial(s);
    create_topic(s, fds[19], "t", 1);
    over = dial(s);
    assert_true(closes(over));
    close(over);
    for (int i = 0; i < 20; i++) close(fds[i]);
    for (int tries = 0;; tries++) { /* the server sees the closing in its own time */
        int fd = dial(s);
        uint8_t versions[] = { 0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff };
        struct bytes answer = { 0 };
        send_all(fd, versions, sizeof versions);
        bool ok = receive(fd, &answer);
        bytes_free(&answer);
        close(fd);
        if (ok) break;
        assert_true(tries < 1000);
        usleep(10 * 1000);
    }
}

/* The server's end of a connection of this process. */
static int other_end(int fd)
{
    struct sockaddr_in mine, theirs;
    socklen_t len = sizeof mine;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&mine, &len), 0);
    for (int i = 3; i < 1024; i++) {
        len = sizeof theirs;
        if (i != fd && getpeername(i, (struct sockaddr *)&theirs, &len) == 0 && theirs.sin_family == AF_INET &&
            theirs.sin_port == mine.sin_port)
            return i;
    }
    return -1;
}

static void answers_to_this_machine_are_not_paced(void **state)
{
    struct server *s = *state;
    char system[CONGESTION_NAME] = "", now[CONGESTION_NAME] = "";
    int fd = dial(s);
    socklen_t len = sizeof system - 1;
    create_topic(s, fd, "t", 1); /* it is accepted now */
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, system, &len), 0);
    len = sizeof now - 1;
    assert_int_equal(getsockopt(other_end(fd), IPPROTO_TCP, TCP_CONGESTION, now, &len), 0);
    if (strncmp(system, "bbr", 3) == 0) assert_string_equal(now, "reno");
    else assert_string_equal(now, system);
    assert_string_equal(s->net->congestion, strncmp(system, "bbr", 3) == 0 ? system : "");
    close(fd);
}

/* The storage's descriptors are left to it: who comes late waits in the backlog, and is served when somebody went. */
static void connections_leave_descriptors_to_the_storage(void **state)
{
    struct server *s = *state;
    int fd[3];
    for (int i = 0; i < 3; i++) fd[i] = dial(s);
    for (int i = 0; i < 20; i++) create_topic(s, fd[i % 2], "t", 1);
    assert_int_equal(atomic_load(&s->net->total), 2);
    close(fd[0]);
    create_topic(s, fd[2], "t", 1);
    assert_int_equal(atomic_load(&s->net->total), 2);
    close(fd[1]);
    close(fd[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_produces_share_their_system_calls, server_up, server_down),
        cmocka_unit_test_setup_teardown(a_busy_loop_gives_connections_away, server_of_two_loops, server_down),
        cmocka_unit_test_setup_teardown(a_large_frame_arrives_in_pieces_of_any_size, server_up, server_down),
        cmocka_unit_test_setup_teardown(a_large_fetch_is_sent_whole_through_a_slow_socket, server_up, server_down),
        cmocka_unit_test_setup_teardown(impossible_lengths_close_the_connection_and_others_go_on, server_small, server_down),
        cmocka_unit_test_setup_teardown(connections_leave_descriptors_to_the_storage, server_of_few, server_down),
        cmocka_unit_test_setup_teardown(one_address_may_not_take_every_connection, server_small, server_down),
        cmocka_unit_test_setup_teardown(answers_to_this_machine_are_not_paced, server_up, server_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
