/* coord: group coordination. Events in, effects out; no sockets, no files, no threads of its own.
 *
 * A `struct groups` is one shard: every group whose __consumer_offsets partition is at home on one loop. All its functions run there.
 * State is event-sourced: what must survive is written as Kafka's own records to the group's partition through `struct groups_host`, and
 * an answer leaves only after its records are durable. Timers are the loop's. */
#pragma once
#include <odradek/base.h>
#include <odradek/config.h>
#include <odradek/wire.h>

struct groups;
struct group_write { /* one batch on its way into an offsets partition; embedded by coord, filled by coord */
    int32_t partition;
    struct slice batch;                           /* a whole record batch v2, offsets from 0; valid until done */
    void (*done)(struct group_write *w, int err); /* at home, once: durable, or failed (E_* as a plog append gives) */
    void *host_state;                             /* the host's */
};
struct groups_host {
    void *arg;
    /* Appends to __consumer_offsets-<partition> and calls w->done when durable; order per partition is kept. Never calls done inside. */
    void (*write)(void *arg, struct group_write *w);
    /* Present names and ids, for OffsetFetch with ids, subscriptions of deleted topics …: 0 when unknown. */
    bool (*topic_exists)(void *arg, struct slice topic);
    bool (*topic_id)(void *arg, struct slice topic, struct uuid *id);
    bool (*topic_name)(void *arg, struct uuid id, struct arena *a, struct slice *name);
    int32_t (*topic_partitions)(void *arg,
                                struct slice topic); /* of a topic that exists; NULL: partition numbers are not checked */
};
/* conf: its group.* and offset.* keys are read at use; groups_set_conf swaps it (counted). */
struct groups *groups_new(struct world *w, struct loop *home, const struct conf *conf, int32_t offsets_partitions,
                          const struct groups_host *host);
void groups_set_conf(struct groups *g, const struct conf *conf);
/* Every waiting call is answered (COORDINATOR_NOT_AVAILABLE / NOT_COORDINATOR as Kafka's broker does on shutdown); nothing is written after. */
void groups_stop(struct groups *g);
/* At home, or after the home loop has ended. Writes that are not done by now never will be: the host must not report them any more. */
void groups_free(struct groups **g);

int32_t groups_partition_of(struct slice group_id,
                            int32_t partitions); /* abs(Java's String.hashCode of the UTF-16 form) % partitions */

/* Loading, per partition this shard owns: begin, then every batch of its log in order (decompressed or not), then end. Until end, calls for
 * its groups are answered COORDINATOR_LOAD_IN_PROGRESS. Records of kinds not served (consumer, share, streams groups) are left alone. */
void groups_load_begin(struct groups *g, int32_t partition);
int groups_load_batch(struct groups *g, int32_t partition, const void *batch,
                      size_t n); /* 0, or E_*: reported, loading goes on */
void groups_load_end(struct groups *g, int32_t partition);

/* One request, or one group's part of it. `in` and `out` are wire structs, `out` with its defaults set; what out points to comes from arena.
 * All stay valid until done, which is called exactly once, possibly inside groups_call; until then arena is the coordinator's alone.
 *   JoinGroup SyncGroup Heartbeat LeaveGroup OffsetCommit OffsetDelete: the whole request and response
 *   OffsetFetch, all versions: in = offset_fetch_request_group (topics_n -1: all of them), out = offset_fetch_response_group
 *   DescribeGroups: in = NULL, out = describe_groups_response_described_group of `group`
 *   DeleteGroups:   in = NULL, out = delete_groups_response_deletable_group_result of `group`
 *   ListGroups: the whole request; out gets this shard's groups; the host joins the shards' answers
 * Rows of topics that do not exist (host->topic_exists) are answered UNKNOWN_TOPIC_OR_PARTITION in OffsetCommit, as Kafka's broker does, with
 * ids (v10) UNKNOWN_TOPIC_ID; an empty or null group id is INVALID_GROUP_ID where Kafka says so. */
struct group_call {
    int16_t api, version;
    const void *in;
    void *out;
    struct slice group; /* for DescribeGroups, DeleteGroups, OffsetFetch: which */
    int32_t group_index;
    struct slice client_id, client_host; /* host as Kafka shows it: "/127.0.0.1" */
    bool require_stable;                 /* OffsetFetch */
    struct arena *arena;
    void (*done)(struct group_call *c); /* at this shard's home; must not call into this shard */
    struct list link;                   /* private */
    void *priv;                         /* private */
};
void groups_call(struct groups *g, struct group_call *c);

/* Topics are gone: their committed offsets are removed (tombstones). */
void groups_topics_deleted(struct groups *g, const struct slice *names, int n);
