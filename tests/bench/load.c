/* A load generator for Kafka's protocol on raw sockets: what it costs itself is small, so that the broker is what is measured.
 *
 *   load RUN... FLOW [+ FLOW]...       load --broker 127.0.0.1:9092 --pid 4711 produce --topic t -c 16 -d 5 --acks all
 *   load RUN... idle [--hold S] [--window N] -c N
 *   load RUN... start [--partitions N] [--topic T]... -- COMMAND...     from its start until it answers for the N-th partition of each
 *
 * Flows run at the same time: `produce --rate 1000 --stamp + tail` measures from end to end, `produce ... + produce ...` one beside
 * the other. One line of JSON on stdout. Exit code 1: the broker answered with errors; 2: it could not be measured.
 *
 * RUN
 *   --broker HOST:PORT   a number or localhost
 *   --pid PID            the broker's process: its CPU and memory are told too
 *   --warm S             unmeasured seconds before (1)
 *   --seconds S          measured seconds (3)
 *   --count N            instead: until the first flow has N answers, the first tenth unmeasured
 *
 * FLOW: api-versions | metadata | produce | fetch | tail | commit, and
 *   -c N                 connections (1)
 *   -d N                 in flight on each (1; 256 with --rate)
 *   --total N            in flight on all together, each request on the next connection
 *   --rate R             requests per second, on a schedule; latency counts from the schedule
 *   --topic T --partitions N (1) --rotate    a partition a connection, or each request another
 *   --acks 0..all  --records N  --size B  --codec C  --stamp        produce: acks (1), N (1) values of B (100) bytes a batch
 *   --max-bytes B  --min-bytes B  --max-wait MS  --step N           fetch and tail (1 MiB, 1, 500); fetch moves on by N records
 *   --groups N                                                      commit: offsets of N groups in turn (1) */
#include "flow.h"
#include "idle.h"
#include "start.h"
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
    O_BROKER = 256,
    O_PID,
    O_WARM,
    O_SECONDS,
    O_COUNT,
    O_TOTAL,
    O_RATE,
    O_TOPIC,
    O_PARTITIONS,
    O_ROTATE,
    O_ACKS,
    O_RECORDS,
    O_SIZE,
    O_CODEC,
    O_STAMP,
    O_MAX_BYTES,
    O_MIN_BYTES,
    O_MAX_WAIT,
    O_STEP,
    O_GROUPS,
    O_HOLD,
    O_WINDOW
};
static const struct option options[] = {
    { "broker", 1, NULL, O_BROKER },
    { "pid", 1, NULL, O_PID },
    { "warm", 1, NULL, O_WARM },
    { "seconds", 1, NULL, O_SECONDS },
    { "count", 1, NULL, O_COUNT },
    { "total", 1, NULL, O_TOTAL },
    { "rate", 1, NULL, O_RATE },
    { "topic", 1, NULL, O_TOPIC },
    { "partitions", 1, NULL, O_PARTITIONS },
    { "rotate", 0, NULL, O_ROTATE },
    { "acks", 1, NULL, O_ACKS },
    { "records", 1, NULL, O_RECORDS },
    { "size", 1, NULL, O_SIZE },
    { "codec", 1, NULL, O_CODEC },
    { "stamp", 0, NULL, O_STAMP },
    { "max-bytes", 1, NULL, O_MAX_BYTES },
    { "min-bytes", 1, NULL, O_MIN_BYTES },
    { "max-wait", 1, NULL, O_MAX_WAIT },
    { "step", 1, NULL, O_STEP },
    { "groups", 1, NULL, O_GROUPS },
    { "hold", 1, NULL, O_HOLD },
    { "window", 1, NULL, O_WINDOW },
    { 0 },
};

static double number(const char *text, double min, double max)
{
    char *end;
    double v = strtod(text, &end);
    if (*end || end == text || !(v >= min && v <= max)) die("%s: not a number from %g to %g", text, min, max);
    return v;
}
static int whole(const char *text, int min) { return (int)number(text, min, 1e9); }

static void flow_kind(struct flow_spec *s, const char *name)
{
    static const struct {
        const char *name;
        enum request_kind kind;
    } kinds[] = { { "api-versions", REQUEST_API_VERSIONS },
                  { "metadata", REQUEST_METADATA },
                  { "produce", REQUEST_PRODUCE },
                  { "fetch", REQUEST_FETCH },
                  { "tail", REQUEST_FETCH },
                  { "commit", REQUEST_COMMIT } };
    s->name = name;
    s->tail = strcmp(name, "tail") == 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(name, kinds[i].name) == 0) {
            s->request.kind = kinds[i].kind;
            return;
        }
    die("%s: no such flow", name);
}

static void flow_option(struct flow_spec *s, int option)
{
    struct request_spec *r = &s->request;
    switch (option) {
    case 'c': s->connections = whole(optarg, 1); break;
    case 'd': s->in_flight = whole(optarg, 1); break;
    case O_TOTAL: s->total = whole(optarg, 1); break;
    case O_RATE: s->rate = number(optarg, 0.001, 1e9); break;
    case O_TOPIC: r->topic = optarg; break;
    case O_PARTITIONS: s->partitions = whole(optarg, 1); break;
    case O_ROTATE: s->rotate = true; break;
    case O_ACKS: r->acks = strcmp(optarg, "all") == 0 ? -1 : whole(optarg, -1); break;
    case O_RECORDS: r->records = whole(optarg, 1); break;
    case O_SIZE: r->size = whole(optarg, 1); break;
    case O_CODEC: r->codec = optarg; break;
    case O_STAMP: r->stamp = true; break;
    case O_MAX_BYTES: r->max_bytes = whole(optarg, 1); break;
    case O_MIN_BYTES: r->min_bytes = whole(optarg, 0); break;
    case O_MAX_WAIT: r->max_wait_ms = whole(optarg, 0); break;
    case O_STEP: s->step = whole(optarg, 1); break;
    case O_GROUPS: s->groups = (uint32_t)whole(optarg, 1); break;
    default: die("see the top of load.c");
    }
}

static void flow_check(struct flow_spec *s)
{
    if (s->request.kind == REQUEST_PRODUCE && s->request.acks == 0) die("acks=0 has no answers to count");
    if (strlen(s->request.topic) > 200) die("a shorter name for the topic, please");
    if (s->tail && (s->connections > s->partitions || s->in_flight > 1 || s->rate > 0))
        die("a tail is one request at a time, a partition each");
    if (s->total && s->rate > 0) die("--total or --rate, not both");
    if (s->in_flight == 0) s->in_flight = s->rate > 0 ? 256 : 1;
}

static void print_flow(const struct run *run, const struct flow *f)
{
    double t = run->seconds;
    printf(
        "{\"flow\":\"%s\",\"connections\":%d,\"in_flight\":%d,\"answers\":%llu,\"per_s\":%.1f,\"records_per_s\":%.1f,\"MB\":%.3f,"
        "\"MB_per_s\":%.3f,\"empty\":%llu,\"late\":%llu,\"acknowledged\":%llu,\"latency_us\":",
        f->spec.name, f->spec.connections, f->spec.in_flight, (unsigned long long)f->answers, (double)f->answers / t,
        (double)f->records / t, (double)f->bytes / 1e6, (double)f->bytes / 1e6 / t, (unsigned long long)f->empty,
        (unsigned long long)f->late, (unsigned long long)f->acknowledged);
    hist_print(stdout, f->latency);
    if (f->spec.tail) {
        printf(",\"age_us\":");
        hist_print(stdout, f->age);
    }
    if (f->request.stamp_at != SIZE_MAX) printf(",\"stamped\":%llu", (unsigned long long)f->stamped);
    printf(",\"errors\":{");
    for (int i = 0; i < ERRORS_MAX && f->by_code[i].n; i++)
        printf("%s\"%d\":%llu", i ? "," : "", f->by_code[i].code, (unsigned long long)f->by_code[i].n);
    printf("}}");
}

static int start_command(const char *broker, int argc, char **argv, int at)
{
    char **topics = mem_zalloc(sizeof(*topics) * (size_t)argc);
    int n = 0, partitions = 1, option;
    for (optind = at + 1; (option = getopt_long(argc, argv, "+c:d:", options, NULL)) != -1;) switch (option) {
        case O_TOPIC: topics[n++] = optarg; break;
        case O_PARTITIONS: partitions = whole(optarg, 1); break;
        default: die("see the top of load.c");
        }
    if (optind >= argc) die("start: a command behind --");
    int rc = run_start(broker, topics, n, partitions - 1, argv + optind);
    mem_free(topics);
    return rc;
}

int main(int argc, char **argv)
{
    static struct run run;
    struct idle_spec idle = { .connections = 10000, .window = 32, .hold_s = 2 };
    int at = 1, option;
    bool failed = false;
    run.warm_s = 1;
    run.measure_s = 3;
    opterr = 0;
    for (optind = 1; (option = getopt_long(argc, argv, "+c:d:", options, NULL)) != -1; at = optind) switch (option) {
        case O_BROKER: run.broker = optarg; break;
        case O_PID: run.pid = whole(optarg, 1); break;
        case O_WARM: run.warm_s = number(optarg, 0, 1e6); break;
        case O_SECONDS: run.measure_s = number(optarg, 0.001, 1e6); break;
        case O_COUNT: run.count = (uint64_t)number(optarg, 10, 1e15); break;
        default: die("see the top of load.c");
        }
    if (!run.broker || at >= argc) die("--broker HOST:PORT and a flow");
    if (strcmp(argv[at], "idle") == 0) {
        for (optind = at + 1; (option = getopt_long(argc, argv, "+c:d:", options, NULL)) != -1;) switch (option) {
            case 'c': idle.connections = whole(optarg, 1); break;
            case O_HOLD: idle.hold_s = number(optarg, 0, 1e6); break;
            case O_WINDOW: idle.window = whole(optarg, 1); break;
            default: die("see the top of load.c");
            }
        return run_idle(run.broker, run.pid, &idle);
    }
    if (strcmp(argv[at], "start") == 0) return start_command(run.broker, argc, argv, at);
    while (at < argc) {
        if (run.flows == FLOWS_MAX) die("at most %d flows", FLOWS_MAX);
        struct flow_spec *s = &run.flow[run.flows++].spec;
        *s = (struct flow_spec){ .connections = 1, .partitions = 1, .groups = 1 };
        s->request = (struct request_spec){
            .topic = "bench", .acks = 1, .records = 1, .size = 100, .max_bytes = 1 << 20, .min_bytes = 1, .max_wait_ms = 500
        };
        flow_kind(s, argv[at]);
        for (optind = at + 1; (option = getopt_long(argc, argv, "+c:d:", options, NULL)) != -1;) flow_option(s, option);
        flow_check(s);
        at = optind;
        if (at < argc && strcmp(argv[at], "+") != 0) die("%s: what is that", argv[at]);
        at++;
    }

    run_flows(&run);
    printf("{\"seconds\":%.4f,\"client_cpu_s\":%.4f,\"broker_cpu_s\":%.4f,\"broker_rss_kb\":%ld,\"flows\":[", run.seconds,
           run.client_cpu, run.broker_cpu, resident_kb(run.pid));
    for (int i = 0; i < run.flows; i++) {
        if (i) printf(",");
        print_flow(&run, &run.flow[i]);
        failed = failed || run.flow[i].errors;
    }
    printf("]}\n");
    return failed ? 1 : 0;
}
