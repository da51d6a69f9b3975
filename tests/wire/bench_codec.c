/* How long decoding and encoding take. A report for people; nothing is asserted.
 *
 *     bench_codec [FILE]       two requests and answers as small as a producer's, then the mean over all vectors */
#include "vectors.h"
#include <stdlib.h>
#include <time.h>

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

enum { ROUNDS = 2000000 };

static void bench(const struct wire_msg *m, int16_t version, const void *msg)
{
    struct wire_out out = { 0 };
    struct arena a;
    char room[1024];
    size_t sum = 0;
    double t0, t1, t2, t3;

    assert(m->size <= sizeof(room));
    arena_init(&a);
    t0 = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        wire_out_reset(&out);
        if (wire_encode(m, version, msg, &out)) abort();
    }
    t1 = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        struct slice in = { (const char *)out.b.p, out.b.n };
        if (wire_decode(m, version, in, &a, room, NULL)) abort();
        arena_free(&a);
    }
    t2 = now_ns();
    for (int i = 0; i < ROUNDS; i++) sum += wire_size(m, version, msg);
    t3 = now_ns();
    printf("%-18s v%-2d %4zu bytes: decode %4.0f ns, encode %4.0f ns, size %4.0f ns\n", m->name, version, out.b.n,
           (t2 - t1) / ROUNDS, (t1 - t0) / ROUNDS, (t3 - t2) / ROUNDS);
    if (sum == 1) abort();
    wire_out_free(&out);
    arena_free(&a);
}

int main(int argc, char **argv)
{
    static char records[168];
    struct vectors vs;
    struct arena a;
    arena_init(&a);

    struct produce_request produce = dflt_produce_request;
    produce.acks = -1;
    produce.timeout_ms = 30000;
    produce.topic_data = wire_new(&a, produce_request_topic_produce_data);
    produce.topic_data_n = 1;
    produce.topic_data->name = S("orders");
    produce.topic_data->partition_data = wire_new(&a, produce_request_partition_produce_data);
    produce.topic_data->partition_data_n = 1;
    produce.topic_data->partition_data->records.bytes = (struct slice){ records, sizeof(records) };
    bench(&msg_produce_request, 9, &produce);

    struct produce_response produced = dflt_produce_response;
    produced.responses = wire_new(&a, produce_response_topic_produce_response);
    produced.responses_n = 1;
    produced.responses->name = S("orders");
    produced.responses->partition_responses = wire_new(&a, produce_response_partition_produce_response);
    produced.responses->partition_responses_n = 1;
    bench(&msg_produce_response, 9, &produced);
    bench(&msg_produce_response, 12, &produced);

    struct fetch_request fetch = dflt_fetch_request;
    fetch.topics = wire_new(&a, fetch_request_fetch_topic);
    fetch.topics_n = 1;
    fetch.topics->partitions = wire_new(&a, fetch_request_fetch_partition);
    fetch.topics->partitions_n = 1;
    bench(&msg_fetch_request, 13, &fetch);

    struct fetch_response fetched = dflt_fetch_response;
    fetched.responses = wire_new(&a, fetch_response_fetchable_topic_response);
    fetched.responses_n = 1;
    fetched.responses->partitions = wire_new(&a, fetch_response_partition_data);
    fetched.responses->partitions_n = 1;
    fetched.responses->partitions->records.bytes = (struct slice){ records, sizeof(records) };
    bench(&msg_fetch_response, 13, &fetched);
    arena_free(&a);

    if (!vectors_load(&vs, argc > 1 ? argv[1] : VECTORS)) return 2;
    size_t bytes = 0;
    double t0 = now_ns();
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < vs.n; i++) {
            char room[1024];
            arena_init(&a);
            if (!vs.v[i].msg || vs.v[i].msg->size > sizeof(room)) continue;
            if (wire_decode(vs.v[i].msg, vs.v[i].version, vs.v[i].bytes, &a, room, NULL)) abort();
            bytes += vs.v[i].bytes.n;
            arena_free(&a);
        }
    }
    double t = now_ns() - t0;
    printf("all vectors: %.0f ns a message, %.0f MB/s\n", t / 100 / vs.n, (double)bytes / t * 1e3);
    vectors_free(&vs);
    return 0;
}
