/* The same work through librdkafka, as its users would do it: where a whole client is the limit, not the broker.
 *
 *   rk produce|consume --broker HOST:PORT [--pid PID] --topic T --partitions N --count N --size B [-X librdkafka.property=value]...
 *
 * produce sends N values of B bytes, every partition a stretch at a time, and waits for all to be delivered. consume reads N values of
 * all partitions from the beginning. One line of JSON on stdout; exit code 1 when a message failed. */
#include "bench.h"
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STRETCH = 256, POOL = 8 << 20, BATCH = 4096 };
enum { O_BROKER = 256, O_PID, O_TOPIC, O_PARTITIONS, O_COUNT, O_SIZE };

static const char *broker, *topic = "bench";
static int partitions = 1, size = 1024;
static int64_t count = 100000;
static pid_t pid;
static int64_t delivered, failed;

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) die("%s", text);
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char text[256];
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof(text));
    if (!rk) die("%s", text);
    return rk;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk, (void)opaque;
    if (m->err && failed++ == 0) (void)fprintf(stderr, "rk: %s\n", rd_kafka_err2str(m->err));
    delivered += !m->err;
}

/* The client knows the partitions' leader before the clock starts. */
static void know(rd_kafka_t *rk)
{
    const struct rd_kafka_metadata *m;
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 1, NULL, &m, 20000);
    if (err) die("metadata: %s", rd_kafka_err2str(err));
    rd_kafka_metadata_destroy(m);
}

/* Bytes of which a codec can take away about a half, none of them twice in a row. */
static char *make_pool(void)
{
    char *p = malloc((size_t)POOL + (size_t)size);
    uint64_t x = 1;
    if (!p) die("no memory");
    for (size_t i = 0; i < (size_t)POOL + (size_t)size; i++) {
        if (i % 8 == 0) x = x * 6364136223846793005u + 1442695040888963407u;
        p[i] = i % 32 < 16 ? (char)(32 + (x >> (i % 8 * 8)) % 90) : "{\"event\":\"click\""[i % 16];
    }
    return p;
}

static void report(uint64_t began, double cpu, double broker_cpu, int64_t messages)
{
    double s = (double)(now_ns() - began) / 1e9, mb = (double)messages * size / 1e6;
    printf(
        "{\"seconds\":%.4f,\"messages\":%lld,\"failed\":%lld,\"per_s\":%.1f,\"MB\":%.3f,\"MB_per_s\":%.3f,\"client_cpu_s\":%.4f,"
        "\"broker_cpu_s\":%.4f,\"broker_rss_kb\":%ld}\n",
        s, (long long)messages, (long long)failed, (double)messages / s, mb, mb / s, cpu_self() - cpu, cpu_of(pid) - broker_cpu,
        resident_kb(pid));
    (void)fflush(stdout);
    _exit(failed || messages < count ? 1 : 0); /* tearing a client down is not what is measured */
}

static void produce(rd_kafka_conf_t *conf)
{
    char *pool = make_pool();
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    know(rk);
    uint64_t began = now_ns();
    double cpu = cpu_self(), broker_cpu = cpu_of(pid);
    for (int64_t i = 0; i < count; i++) {
        char *value = pool + (uint64_t)i * 104729 % POOL;
        while (rd_kafka_produce(t, (int32_t)(i / STRETCH % partitions), 0, value, (size_t)size, NULL, 0, NULL) != 0) {
            if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) die("%s", rd_kafka_err2str(rd_kafka_last_error()));
            rd_kafka_poll(rk, 5);
        }
        if (i % 1024 == 0) rd_kafka_poll(rk, 0);
    }
    while (delivered + failed < count) rd_kafka_poll(rk, 100);
    report(began, cpu, broker_cpu, delivered);
}

static void consume(rd_kafka_conf_t *conf)
{
    static rd_kafka_message_t *batch[BATCH];
    int64_t n = 0;
    set(conf, "group.id", "bench");
    set(conf, "enable.auto.commit", "false");
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(rk);
    know(rk);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t p = 0; p < partitions; p++) rd_kafka_topic_partition_list_add(all, topic, p)->offset = 0;
    uint64_t began = now_ns(), last = began;
    double cpu = cpu_self(), broker_cpu = cpu_of(pid);
    rd_kafka_assign(rk, all);
    rd_kafka_queue_t *q = rd_kafka_queue_get_consumer(rk);
    while (n < count) {
        ssize_t got = rd_kafka_consume_batch_queue(q, 10, batch, BATCH);
        if (got > 0) last = now_ns();
        else if (now_ns() - last > 20000000000u) die("nothing more after %lld messages", (long long)n);
        for (ssize_t i = 0; i < got; i++) {
            if (!batch[i]->err) n++;
            else if (failed++ == 0) (void)fprintf(stderr, "rk: %s\n", rd_kafka_message_errstr(batch[i]));
            rd_kafka_message_destroy(batch[i]);
        }
    }
    report(began, cpu, broker_cpu, n);
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "broker", 1, NULL, O_BROKER },
                                             { "pid", 1, NULL, O_PID },
                                             { "topic", 1, NULL, O_TOPIC },
                                             { "partitions", 1, NULL, O_PARTITIONS },
                                             { "count", 1, NULL, O_COUNT },
                                             { "size", 1, NULL, O_SIZE },
                                             { 0 } };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int option;
    set(conf, "log.connection.close", "false");
    while ((option = getopt_long(argc, argv, "X:", options, NULL)) != -1) switch (option) {
        case O_BROKER: broker = optarg; break;
        case O_PID: pid = (pid_t)strtol(optarg, NULL, 10); break;
        case O_TOPIC: topic = optarg; break;
        case O_PARTITIONS: partitions = (int)strtol(optarg, NULL, 10); break;
        case O_COUNT: count = strtoll(optarg, NULL, 10); break;
        case O_SIZE: size = (int)strtol(optarg, NULL, 10); break;
        case 'X': {
            char *eq = strchr(optarg, '=');
            if (!eq) die("%s: not NAME=VALUE", optarg);
            *eq = '\0';
            set(conf, optarg, eq + 1);
            break;
        }
        default: die("see the top of rk.c");
        }
    if (!broker || optind != argc - 1 || partitions < 1 || size < 1 || count < 1) die("see the top of rk.c");
    set(conf, "bootstrap.servers", broker);
    if (strcmp(argv[optind], "produce") == 0) {
        set(conf, "queue.buffering.max.messages", "1000000");
        set(conf, "queue.buffering.max.kbytes", "524288");
        produce(conf);
    } else if (strcmp(argv[optind], "consume") == 0) {
        set(conf, "queued.min.messages", "1000000");
        consume(conf);
    }
    die("%s: neither produce nor consume", argv[optind]);
}
