/* group: what the coordinator keeps in memory, and how its files call each other. Private to the layer.
 *
 *   shard.c          the public functions: finding groups, dispatch, listing, stopping
 *   group_classic.c  the state machine of classic groups (drawing in README.md)
 *   roster.c         members, votes for protocols, subscriptions: the data a classic group consists of
 *   offsets.c        committed offsets: commit, fetch, delete, expiry, offsets of open transactions
 *   gwrite.c         writes on their way, and what becomes of them
 *   grecord.c        records out
 *   load.c           records in
 *
 * Everything runs at the shard's home. A call's `done` must not call back into the shard. */
#pragma once
#include <odradek/batch.h>
#include <odradek/coord.h>
#include <odradek/kafka_errors.h>

enum group_kind { KIND_CLASSIC, KIND_CONSUMER, KIND_SHARE, KIND_STREAMS, KINDS };
enum group_state { STATE_EMPTY, STATE_PREPARING, STATE_COMPLETING, STATE_STABLE, STATE_DEAD, STATES };
extern const char *const group_kind_names[KINDS];
struct group_state_row {
    const char *name;
    unsigned may_become;
};
extern const struct group_state_row group_states[STATES];

enum { NEW_MEMBER_TIMEOUT_MS = 5 * 60 * 1000 }; /* a new member that does not hear of its join asks again within this */

/* ---- offsets ------------------------------------------------------------------------------------------------------------- */

struct offset_row {
    int32_t partition, leader_epoch;
    int64_t offset, commit_ms;
    int64_t expire_ms; /* -1: by the broker's retention */
    int64_t record_at; /* offset of its record in the log, INT64_MAX when written in this run */
    struct uuid topic_id;
    char *metadata; /* owned; NULL when empty */
    uint32_t metadata_n;
    uint32_t staged;   /* its records on their way to the log */
    uint32_t unstable; /* its values in open transactions */
    bool known;        /* the fields above are a durable commit */
};
struct topic_rows {
    struct map_node node;
    struct offset_row *rows; /* by partition */
    int n, cap;
    uint32_t name_n;
    char name[];
};
static inline struct slice topic_name(const struct topic_rows *t) { return (struct slice){ t->name, t->name_n }; }

/* ---- members --------------------------------------------------------------------------------------------------------------- */

struct protocol {
    struct slice name, metadata;
};
struct protocols { /* as the member sent them: best first. One allocation */
    int32_t n;
    struct protocol p[];
};
struct member {
    struct map_node by_id, by_instance;
    struct list link;
    struct group *group;
    struct timer session;
    int64_t session_us; /* the deadline; the timer may be armed for earlier and then looks again */
    uint64_t serial;
    struct slice id, instance, client_id, client_host; /* owned; instance null: a dynamic member */
    struct protocols *protocols;
    struct slice assignment, next; /* owned; next: handed in by the leader, not durable yet */
    int32_t rebalance_ms, session_ms;
    bool is_new, pending_sync;
    struct group_call *join, *sync; /* parked */
};
struct pending { /* an id was handed out (KIP-394), its owner has not come back yet */
    struct map_node node;
    struct group *group;
    struct timer timer;
    uint32_t id_n;
    char id[];
};
struct vote { /* one protocol name that members support */
    struct map_node node;
    int32_t supporters, votes;
    uint64_t seen;
    uint32_t name_n;
    char name[];
};

/* ---- groups of the newer kinds: only their records are known, as they stand in the log ------------------------------------------ */

struct live_key {
    struct map_node node;
    uint32_t n;
    uint8_t key[];
};
struct modern {
    struct map keys; /* records that have a value */
    int32_t members;
    int32_t epoch, assigned_epoch;
};

/* ---- groups ------------------------------------------------------------------------------------------------------------------------ */

enum group_wait { WAIT_NOTHING, WAIT_INITIAL, WAIT_JOIN, WAIT_SYNC };
struct group {
    struct map_node node;
    struct list link; /* in its partition */
    struct groups *owner;
    struct offsets_part *part;
    enum group_kind kind;
    enum group_state state, previous;
    int32_t generation;
    int64_t state_ms;                     /* since when in this state, wall clock; -1 unknown */
    struct slice protocol_type, protocol; /* owned; null: none */
    struct member *leader;
    struct list members; /* in order of joining */
    struct map by_id, by_instance, pending, votes, subscribed;
    int32_t members_n, awaiting_join, pending_sync;
    bool subscribed_known, new_member_added;
    bool recorded; /* a record of it is in the log */
    bool busy;     /* it is being deleted: calls wait in `waiting` until that is durable */
    uint32_t writes;
    struct list waiting;
    enum group_wait wait;
    struct timer timer;
    int32_t delay_ms, remaining_ms; /* of WAIT_INITIAL */
    struct map topics;
    struct modern *modern;
    uint64_t vote_tick;
    uint32_t id_n;
    char id[];
};
static inline struct slice group_id(const struct group *g) { return (struct slice){ g->id, g->id_n }; }

struct txn { /* offsets of an open transaction, as loaded */
    struct map_node node;
    int64_t producer_id;
    struct list rows;
};
struct offsets_part {
    struct groups *owner;
    int32_t index;
    bool loading;
    struct list groups;
    struct list flight; /* of struct gwrite, oldest first */
    struct map txns;
    struct bytes gone; /* names, NUL-terminated, of topics deleted while loading */
};
struct groups {
    struct world *world;
    struct loop *home;
    struct conf *conf;
    struct groups_host host;
    int32_t parts_n;
    struct offsets_part *parts;
    struct map by_id;
    struct timer expiry;
    int32_t expiry_at; /* the partition whose turn it is */
    uint64_t serial;
    bool stopped, expiry_armed;
    struct arena scratch; /* of one record */
    struct bytes inflate;
    struct wire_out key, value;
};

/* ---- shard.c ---- */
struct group *groups_find(const struct groups *gs, struct slice id);
struct group *group_new(struct groups *gs, struct offsets_part *p, struct slice id);
void group_free(struct group *g);
void group_tidy(struct group *g);    /* frees it if nothing is left of it and the log does not know it */
void group_release(struct group *g); /* no longer busy: what waited is done now; g may be gone afterwards */
void group_kind_set(struct group *g, enum group_kind kind);
void modern_free(struct modern **m);
int64_t wall_ms(const struct groups *gs);
struct slice own(struct slice s); /* a copy on the heap; null stays null */
void own_free(struct slice *s);
void group_delete(struct group *g, struct group_call *c);

void call_answer(struct group_call *c);
void call_error(struct group_call *c, int err);         /* as Kafka's coordinator answers the API when all of it fails */
void call_run(struct groups *gs, struct group_call *c); /* finds the group and does it */

/* ---- group_classic.c ---- */
void group_join(struct groups *gs, struct group *g, struct offsets_part *p, struct group_call *c);
void group_sync(struct group *g, struct group_call *c);
void group_heartbeat(struct group *g, struct group_call *c);
void group_leave(struct group *g, struct group_call *c);
void group_describe(struct group *g, struct group_call *c);
int group_may_commit(struct group *g, const struct offset_commit_request *in); /* 0 or E_*; keeps the session alive */
void group_loaded(struct group *g);
void group_unload(struct group *g, int err); /* answers all who wait, stops all timers */
void group_enter(struct group *g, enum group_state s);
void group_wait_for(struct group *g, enum group_wait what, int64_t ms);
void member_keep(struct member *m, int64_t ms); /* its session lasts until ms from now */

/* ---- roster.c ---- */
struct member *member_find(const struct group *g, struct slice id);
struct member *member_by_instance(const struct group *g, struct slice instance);
struct member *member_new(struct group *g, struct slice id, struct slice instance, struct slice client_id,
                          struct slice client_host);
void member_add(struct group *g, struct member *m, struct slice protocol_type); /* its protocols are set */
void member_detach(struct group *g, struct member *m);                          /* out of the group; nobody may be parked */
void member_free(struct member *m);
void member_set_protocols(struct group *g, struct member *m, struct protocols *p); /* takes p */
bool member_matches(const struct member *m, const struct join_group_request *in);
struct slice member_metadata(const struct member *m, struct slice protocol); /* null when it does not support it */
struct protocols *protocols_own(const struct join_group_request_protocol *p, int32_t n);
struct pending *pending_find(const struct group *g, struct slice id);
struct pending *pending_add(struct group *g, struct slice id, void (*expired)(struct timer *t));
void pending_remove(struct pending *p);
bool group_supports(const struct group *g, const struct join_group_request *in);
struct slice group_vote(struct group *g); /* the protocol most members like best, of those that all support; borrowed */
int32_t group_rebalance_ms(const struct group *g);
void group_subscriptions(struct group *g); /* what the members' metadata says they subscribe to */
bool group_subscribes(const struct group *g, struct slice topic);
void group_forget_members(struct group *g);
void group_forget_subscriptions(struct group *g);

/* ---- offsets.c ---- */
struct offset_row *offset_find(const struct group *g, struct slice topic, int32_t partition);
struct offset_row *offset_make(struct group *g, struct slice topic, int32_t partition);
void offset_set(struct offset_row *r, const struct offset_commit_value *v, int64_t at);
void offset_clear(struct group *g, struct slice topic, struct offset_row *r); /* no longer known; r may be gone */
void offset_tidy(struct group *g, struct slice topic, int32_t partition);     /* removes the row if nothing holds it */
void offsets_forget(struct group *g);
void offsets_commit(struct groups *gs, struct group *g, struct offsets_part *p, struct group_call *c);
void offsets_fetch(struct groups *gs, struct group *g, struct offsets_part *p, struct group_call *c);
void offsets_delete(struct group *g, struct group_call *c);
void offsets_expire(struct offsets_part *p);
void offsets_topic_gone(struct offsets_part *p, struct slice topic);
struct txn *txn_find(const struct offsets_part *p, int64_t producer_id);
void txn_put(struct offsets_part *p, int64_t producer_id, struct group *g, struct slice topic, int32_t partition,
             const struct offset_commit_value *v, int64_t at);
void txn_end(struct offsets_part *p, int64_t producer_id, bool commit);
void txn_forget(struct offsets_part *p, struct group *g, struct slice topic, int32_t partition); /* g NULL: everything */

/* ---- gwrite.c ---- */
struct gwrite { /* one batch; lives from gwrite_new until it is durable or has failed */
    struct group_write w;
    struct list link;
    struct offsets_part *part;
    struct group *group; /* whose record is in it, kept alive by `writes`; NULL: only offsets */
    struct bytes batch;
    struct batch_builder b;
    int err;
    bool finished;
    struct list calls;                        /* answered afterwards, as they are; or with call_error */
    void (*after)(struct gwrite *w, int err); /* before the calls are answered; err is for the client already */
    /* for `after` */
    int32_t generation;
    uint64_t serial;
    struct member *old;
    struct slice old_leader; /* owned */
    int16_t version;
};
struct gwrite *gwrite_new(struct offsets_part *p, struct group *g);
void gwrite_send(struct gwrite *w);
/* A batch of tombstones may be cut in several: sends w when it is large and gives a new one to go on with. */
struct gwrite *gwrite_next(struct gwrite *w);
static inline int32_t gwrite_count(const struct gwrite *w) { return w->b.count; }
void gwrite_drop(struct gwrite *w);                               /* instead of sending: nothing was put into it */
void gwrite_behind(struct offsets_part *p, struct group_call *c); /* c is run when all that is on its way now has arrived */
void gwrite_forget(struct offsets_part *p);                       /* stopping: frees what the host will not report any more */

/* ---- grecord.c: each appends one record to w ---- */
void grecord_offset(struct gwrite *w, struct group *g, struct slice topic, int32_t partition,
                    const struct offset_commit_value *v);
void grecord_offset_gone(struct gwrite *w, struct group *g, struct slice topic, struct offset_row *r);
void grecord_group(struct gwrite *w, struct group *g, bool next); /* with the assignments, or those handed in last */
void grecord_group_gone(struct gwrite *w, struct group *g);
void grecord_key_gone(struct gwrite *w, const void *key, size_t n);
void modern_gone(struct gwrite *w, const struct modern *m); /* tombstones of all its records; shard.c */

/* ---- load.c ---- */
/* Applies the offset records of a batch that has become durable, or takes back that they were staged. */
void load_offsets(struct offsets_part *p, const struct bytes *batch, bool durable);
