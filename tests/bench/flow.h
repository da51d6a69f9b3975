/* A flow: connections that ask one kind of thing over and over, and what came of it. The engine in flow.c runs several at once. */
#pragma once
#include "bench.h"
#include "request.h"

enum { FLOWS_MAX = 4, ERRORS_MAX = 8 };

struct flow_spec {
    const char *name; /* as on the command line */
    struct request_spec request;
    int connections, in_flight;
    int total; /* in flight over all connections together, each request on the next connection in turn; 0: in_flight each */
    double
        rate; /* requests per second over all connections, sent when due whether or not answers come; 0: as fast as answers come */
    int partitions;  /* connection i asks for partition i mod partitions … */
    bool rotate;     /* … or every request for the next one */
    int64_t step;    /* fetch: the next request begins so many records further, round and round; 0: always at the start */
    bool tail;       /* fetch: follow the partition's end, and tell how old each batch's stamp is when it is seen */
    uint32_t groups; /* commit: for so many groups in turn */
};

struct conn;
struct flow {
    struct flow_spec spec;
    struct request request;
    size_t slot_n;  /* bytes of a request that each keeps for itself, being patched; the rest is shared */
    size_t peek;    /* bytes read at once: small where most of an answer is thrown away unread */
    bool skip_rest; /* an answer's end need not be read: the kernel drops it */
    struct conn *conns;
    uint64_t next_due; /* ns; of a flow with a rate */
    double due;
    int turn;         /* the next connection */
    int32_t rotation; /* the next partition */
    uint32_t group;
    /* what came of it; counted only while measuring, but for `acknowledged` */
    uint64_t answers, records, bytes, empty, errors, late;
    uint64_t acknowledged; /* records of produce answers without error, from the first to the last */
    uint64_t stamped;      /* requests due while measuring that carry a stamp */
    struct {
        int code;
        uint64_t n;
    } by_code[ERRORS_MAX];
    struct hist *latency;
    struct hist *age; /* tail: from when a record was to be sent until it is seen */
};

struct run {
    const char *broker;
    pid_t pid; /* the broker, 0 unknown */
    double warm_s, measure_s;
    uint64_t count; /* stop when the first flow has this many answers, the first tenth unmeasured; 0: by time */
    int flows;
    struct flow flow[FLOWS_MAX];
    /* results */
    double seconds, client_cpu, broker_cpu;
};

void run_flows(struct run *run);
