/* meta: the metadata log (KRaft records, __cluster_metadata-0) and the immutable image built from it (TAKEOVER.md).
 *
 * One worker changes it: a change is a function that runs there alone, looks at the newest image, stages records, and is then committed as
 * one atomic batch: appended, synced, applied, partitions opened or deleted on disk (K6), published, answered: in this order.
 * Readers hold a counted image, found by one acquire load per request, so that an answer never shows what is not durable. */
#pragma once
#include <odradek/base.h>
#include <odradek/config.h>
#include <odradek/storage.h>
#include <odradek/wire.h>

struct meta;

/* ---- the image: frozen after publication -------------------------------------------------------------------------------------- */

struct image_config {
    struct slice name, value;
};
struct image_partition {
    int32_t leader; /* our node id; -1 while its log directory is offline */
    int32_t leader_epoch;
    int32_t partition_epoch;
    struct uuid dir;
    struct plog *log; /* NULL when it could not be opened; the image holds a reference */
    int log_err;      /* why */
};
struct image_topic { /* counted, shared by successive images */
    _Atomic uint32_t refs;
    struct uuid id;
    struct slice name; /* NUL-terminated */
    bool internal;
    int32_t partitions_n;
    struct image_partition *partitions;
    int32_t configs_n;
    struct image_config *configs; /* sorted by name: overrides only */
    struct topic_conf conf;       /* resolved with the broker's */
};
struct image_feature {
    struct slice name;
    int16_t level;
};
struct image {
    _Atomic uint32_t refs;
    int64_t offset;  /* of the last metadata record applied: FinalizedFeaturesEpoch (K12) */
    int64_t version; /* +1 each publication in this run */
    int32_t topics_n;
    struct image_topic **topics; /* sorted by name */
    struct image_topic **by_id;  /* sorted by id */
    int32_t features_n;
    struct image_feature *features;
    const struct conf *conf; /* the broker's, with its dynamic configs */
    /* Configs of resources other than topics, by (type, name): brokers (4), groups (32), client metrics (16). */
    struct image_resource *resources;
    int32_t resources_n;
    int32_t partitions_total;
    /* private */
    int64_t next_producer_id;
    struct image_chunk **chunks; /* own the topics; shared by successive images */
    int32_t chunks_n;
};
struct image_resource {
    int8_t type;
    struct slice name;
    int32_t configs_n;
    struct image_config *configs;
};
const struct image_topic *image_topic(const struct image *im, struct slice name); /* NULL when unknown */
const struct image_topic *image_topic_by_id(const struct image *im, struct uuid id);
const struct image_resource *image_resource(const struct image *im, int8_t type, struct slice name);
struct image *image_ref(const struct image *im);
void image_unref(struct image **im); /* nulls; any thread */

/* Per-loop cache: the newest image, without touching its counter unless it changed. Valid until the next call on this cache. At home. For
 * what lives longer the cache lends references of a stock, so that loops do not wait for each other at the counter. */
struct image_cache {
    struct image *held;
    uint32_t stock; /* references to it, with the cache's own */
};
const struct image *meta_image(struct meta *m, struct image_cache *c);
struct image *image_lend(struct image_cache *c);                      /* a reference to what it holds, not NULL */
void image_give_back(struct image_cache *c, const struct image **im); /* a reference to any image, lent or not; nulls */
void image_cache_end(struct image_cache *c);
struct image *meta_image_take(struct meta *m); /* counted; any thread */

/* ---- open, close --------------------------------------------------------------------------------------------------------------- */

/* Recovers the metadata log (or formats a new one, K2), becomes leader of a new epoch (K5), registers (K8), opens every partition's log
 * (logs_begin is called inside, in J14's order) and publishes the first image. Blocks. */
int meta_open(struct world *w, struct logs *logs, const struct conf *conf, struct meta **out, struct why *why);
void meta_stop(struct meta *m);  /* no change runs after this; those waiting hear E_CLOSING. The metadata log is flushed */
void meta_free(struct meta **m); /* after logs_close */
/* A log directory failed (call it from logs_on_offline): its partitions are published without a leader, log_err E_OFFLINE. Any thread. */
void meta_dir_offline(struct meta *m, int dir);
/* Some log cannot be opened (call it from logs_on_broken): the same for its partition, with plog_broken's error. Any thread. */
void meta_log_broken(struct meta *m);
int64_t meta_broker_epoch(const struct meta *m); /* K8 */
int32_t meta_quorum_epoch(const struct meta *m);
/* For DescribeQuorum. */
void meta_quorum(const struct meta *m, int32_t *leader_epoch, int64_t *watermark, int64_t *end, int64_t *last_fetch_ms);

/* ---- changes -------------------------------------------------------------------------------------------------------------------- */

struct meta_edit;                                          /* what a change stages */
const struct image *edit_image(const struct meta_edit *e); /* as it was before this change */
struct arena *edit_arena(struct meta_edit *e);             /* lives until the change is answered */
/* Stages a record; body is read now. */
void edit_record(struct meta_edit *e, const struct wire_msg *type, int16_t version, const void *body);
/* The records of everyday changes. Callers have validated. */
struct uuid edit_create_topic(struct meta_edit *e, struct slice name, int32_t partitions, const struct image_config *configs,
                              int32_t configs_n);
/* __consumer_offsets, __transaction_state or __share_group_state as Kafka makes them (K9), with the broker's number of partitions. */
struct uuid edit_create_internal_topic(struct meta_edit *e, struct slice name);
void edit_add_partitions(struct meta_edit *e, const struct image_topic *t, int32_t total);
void edit_delete_topic(struct meta_edit *e, const struct image_topic *t);
void edit_config(struct meta_edit *e, int8_t resource_type, struct slice resource, struct slice name,
                 struct slice value); /* null value: removed */

struct meta_change {
    /* in: runs on the meta worker; returning an error stages nothing. It may note per-row errors in its own state. */
    int (*run)(struct meta_change *c, struct meta_edit *e);
    struct waker *home; /* NULL with meta_change_now */
    ticket who;
    /* out */
    _Atomic bool done;
    int err;          /* run's, or of the commit: then nothing was changed */
    size_t bytes;     /* from run: memory it took besides the edit; much of it, and other changes wait for the next group */
    struct list link; /* private */
};
void meta_submit(struct meta *m, struct meta_change *c);    /* any thread; c stays alive until done */
int meta_change_now(struct meta *m, struct meta_change *c); /* blocks; not on loops */

/* Producer ids (K10), from a block that is durable before its first id is handed out. At home, in a step: true with an id of the loop's
 * block, or false: with ids->err 0 `who` waits and is poked when there is something new; with ids->err set the last block could not be
 * written and `who` does not wait (a further call asks again). Any number of tickets may wait. */
struct producer_ids { /* one per loop; zero it */
    int64_t next, end;
    int err; /* see above */
    /* private */
    bool asked;
    int64_t first;
    struct meta_change change;
    struct sleeper sleeper;
    struct waker *home;
    ticket *waiting;
    int waiting_n, waiting_cap;
};
bool meta_producer_id(struct meta *m, struct producer_ids *ids, struct waker *home, ticket who, int64_t *id);
void producer_ids_free(struct producer_ids *ids); /* at home, after meta_stop; harmless on a zeroed one */

/* Changes to the broker's own dynamic configs call back on the meta worker after publication. */
void meta_on_publish(struct meta *m, void (*fn)(void *arg, const struct image *im), void *arg);

/* ---- looking, without touching: `odradek check` ------------------------------------------------------------------------------------ */

/* What the metadata log of a stopped broker's directory says, and what meta_open would do about it. */
struct meta_look {
    struct image *image; /* one reference; NULL when it cannot be read so far */
    int16_t kraft_version;
    int32_t quorum_epoch;  /* that quorum-state names; -1 */
    int32_t log_epoch;     /* the largest in the log; -1 */
    int32_t next_epoch;    /* that meta_open would begin (K5) */
    int64_t end;           /* next offset */
    int64_t snapshot;      /* offset of the snapshot used; 0: none but the bootstrap one */
    int snapshots_skipped; /* newer ones that are damaged */
    bool unfinished;       /* a metadata transaction is open: it would be aborted (K11) */
    bool registered;       /* the node is; then as it was left: */
    bool fenced, shutting_down;
    int64_t broker_epoch;                /* K8; -1 */
    int32_t brokers;                     /* registered, besides this node */
    int32_t acls, scram, quotas, tokens; /* records that are carried along */
    int32_t unknown;                     /* and those of types nobody here knows */
    int32_t take;                        /* partitions that would change leader epoch (K5) */
    int32_t elsewhere;                   /* partitions without a replica on this node */
    int32_t behind;                      /* partitions whose in-sync replicas are all on other nodes */
    /* private */
    struct uuid *removed;
    int removed_n;
};
/* log: the LOOK_METADATA one of a directory; clean: all directories are. `out` holds what was found even on error: E_UNSUPPORTED a cluster
 * of several controllers or a newer metadata.version, E_CORRUPT, E_MALFORMED, E_IO. meta_look_free in every case. */
int meta_look(struct world *w, struct look_log *log, int32_t node_id, bool clean, const struct conf *conf, struct arena *a,
              struct meta_look *out, struct why *why);
/* Was this topic deleted, so that meta_open removes what is left of it? */
bool meta_look_removed(const struct meta_look *l, struct uuid topic_id);
void meta_look_free(struct meta_look *l);
