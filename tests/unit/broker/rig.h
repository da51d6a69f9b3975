/* A whole broker in the simulated world, and clients made of bytes: what a test of the broker starts from. */
#pragma once
#include "test.h"

#include <odradek/broker.h>
#include <odradek/kafka_errors.h>
#include <odradek/wire.h>

struct rig {
    struct test_env *env;
    struct conf *conf;
    struct broker *broker;
    struct arena arena;
    int drained;
    struct list peers;
};
struct rig *rig_open(uint64_t seed, const char *properties); /* more lines for the settings; one shard */
void rig_stop(struct rig *r);                                /* clean; peers are hung up */
void rig_start(struct rig *r);                               /* after rig_stop */
void rig_restart(struct rig *r);                             /* rig_stop, rig_start */
void rig_close(struct rig *r);                               /* clean stop, and all is freed */

struct answer { /* as it came, in order */
    struct answer *next;
    int32_t correlation;
    struct bytes body; /* behind the correlation id; records of file ranges in place */
};
struct peer {
    struct list link;
    struct rig *rig;
    struct client *client; /* NULL once hung up */
    struct answer *first, **last;
    int answers;
    int32_t correlation; /* of the last request */
    bool closed, paused;
    bool full; /* answers wait: the broker is to make no more */
    const char *reason;
    struct {
        int16_t key, version;
    } asked[256]; /* by correlation, the newest of each slot, for decoding */
};
struct peer *peer_open(struct rig *r);
void peer_close(struct peer *p);
void peer_send_bytes(struct peer *p, const void *frame, size_t n);               /* a frame without its length */
int32_t peer_send(struct peer *p, int16_t key, int16_t version, const void *in); /* returns the correlation id */
/* Steps the world until the next answer has come (or us simulated microseconds have passed: NULL) and decodes it. Memory is the rig's arena. */
void *peer_take(struct peer *p, int64_t us);
void *peer_ask(struct peer *p, int16_t key, int16_t version,
               const void *in);  /* send, and take within a minute; fails the test if nothing comes */
void peer_settle(struct rig *r); /* steps until nothing is left to do now */

/* Everyday requests. */
void peer_create_topic(struct peer *p, const char *name, int partitions);
struct produce_response *peer_produce(struct peer *p, int16_t acks, const char *topic, int partition, struct slice batch);
int32_t peer_send_produce(struct peer *p, int16_t acks, const char *topic, int partition, struct slice batch);
struct slice batch_of(struct rig *r, const char *const *values, int n); /* an uncompressed batch without producer id */
struct slice batch_one(struct rig *r, const char *value);
struct slice batch_idempotent(struct rig *r, const char *value, int64_t pid, int16_t epoch, int32_t sequence);
