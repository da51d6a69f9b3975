/* A shard of groups in the simulated world, with a host that keeps a log per partition in memory. Calls are made on the loop, one by one;
 * `ask` returns when the loop has run for a millisecond, answered or not. */
#pragma once
#include "group.h"
#include "test.h"

enum { RIG_PARTS = 3, RIG_TOPIC_PARTITIONS = 10 };
struct rig_write {
    struct list link;
    struct post post;
    struct rig *rig;
    struct group_write *w;
    int32_t partition;
    struct bytes batch; /* once it has ended well */
    bool ended;
};
struct rig {
    struct test_env *env;
    struct loop *loop;
    struct conf *conf;
    struct groups *gs;
    struct bytes log[RIG_PARTS];
    int64_t end[RIG_PARTS];
    bool hold;        /* writes wait for rig_let */
    struct list held; /* oldest first */
    int fail;         /* what the next writes end with; 0: durable */
    int writes, asked, answered;
    uint64_t gone; /* topics "t0" … that do not exist, as bits */
    struct list asks;
};
struct ask {
    struct list link;
    struct post post;
    struct rig *rig;
    struct group_call c;
    struct arena arena;
    int answered;
};
void rig_init(struct rig *r, struct test_env *env, const char *conf);
void rig_free(struct rig *r);                                                /* asserts that every call was answered once */
void rig_run(struct rig *r, int64_t ms);                                     /* lets time pass */
void rig_let(struct rig *r, int n, int err);                                 /* ends the n oldest held writes */
void rig_let_last(struct rig *r, int err);                                   /* ends the newest held write first */
void rig_restart(struct rig *r);                                             /* a new shard, loaded from the logs */
void rig_load(struct rig *r, int32_t partition, struct slice log);           /* into a shard that has not loaded it yet */
void rig_do(struct rig *r, void (*fn)(struct rig *r, void *arg), void *arg); /* on the loop */
struct group *rig_group(struct rig *r, const char *id);
/* Everything that must survive, as text: groups by id, members by id, offsets by topic and partition. In the arena of the environment. */
const char *rig_dump(struct rig *r, struct groups *gs, bool only_settled);

struct ask *ask(struct rig *r, int16_t api, int16_t version, const void *in, size_t in_n);
struct ask *ask_of(struct rig *r, int16_t api, int16_t version, const char *group);

/* JoinGroup. protocols: "range,sticky"; each one's metadata is a subscription to `topic`. */
struct join {
    const char *group, *member, *instance, *type, *protocols, *topic, *client;
    int16_t version;
    int32_t session_ms, rebalance_ms;
    bool no_protocols;
};
#define JOIN(...) ((struct join){ __VA_ARGS__ })
struct ask *ask_join(struct rig *r, struct join j);
struct ask *ask_sync(struct rig *r, const char *group, int32_t generation, const char *member, const char *const *assignments,
                     int n);
struct ask *ask_heartbeat(struct rig *r, const char *group, int32_t generation, const char *member, const char *instance);
struct ask *ask_leave(struct rig *r, const char *group, const char *member, const char *instance);
struct commit {
    const char *group, *member, *instance, *topic, *metadata;
    int16_t version;
    int32_t generation; /* 0: -1 */
    int32_t partition, epoch;
    int64_t offset, retention_ms;
};
#define COMMIT(...) ((struct commit){ __VA_ARGS__ })
struct ask *ask_commit(struct rig *r, struct commit c);
struct ask *ask_fetch(struct rig *r, const char *group, const char *topic, int32_t partition, bool stable); /* topic NULL: all */
struct ask *ask_offset_delete(struct rig *r, const char *group, const char *topic, int32_t partition);
struct ask *ask_list(struct rig *r, const char *state, const char *type);

const struct join_group_response *joined(const struct ask *a); /* assert that they are answered */
const struct sync_group_response *synced(const struct ask *a);
int error_of(const struct ask *a);                    /* the Kafka error at the top, or of the first row */
int64_t offset_of_row(const struct ask *a);           /* OffsetFetch's first row */
struct slice id_of(const struct ask *a);              /* the member id a JoinGroup was answered with */
const char *z(struct rig *r, struct slice s);         /* NUL-terminated, lives as long as the environment */
struct ask *rig_member(struct rig *r, struct join j); /* v4 joins: both steps; the second one's ask */
/* A group of one consumer in generation 1, Stable: its member id. */
const char *rig_stable(struct rig *r, struct join j);
