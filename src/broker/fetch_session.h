/* Incremental fetch sessions (KIP-227): what each consumer's broker remembers so that it need not say it again. One table per shard; a
 * session id names its shard, and a session met on another shard is not found there, so the client begins a new one. */
#pragma once
#include "req.h"

struct session_partition {
    struct map_node node; /* by (topic, partition) */
    struct list order;    /* as the client named them; what was answered goes to the back, so that a full answer starves nobody */
    struct slice topic;   /* owned, or in a passing session the request's; null when it uses ids and the topic was unknown */
    struct uuid topic_id; /* zero in sessions without ids */
    int32_t partition;
    int64_t fetch_offset, log_start_offset;
    int32_t max_bytes, leader_epoch, last_fetched_epoch;
    int64_t sent_watermark, sent_start; /* what the client was told; -1 not yet */
    struct plog_cursor cursor;
};
struct fetch_session {
    struct map_node node; /* by id */
    struct list recent;   /* in its table, oldest first */
    int32_t id, epoch;    /* the epoch the next request must name */
    bool by_id, busy;     /* busy: a request is using it */
    bool passing;         /* of one request, in its arena: clients without sessions make one each time */
    int64_t used_us, made_us;
    struct map partitions; /* of a passing one: empty while they are few */
    struct list order;
    int n;
};

struct fetch_sessions *fetch_sessions_new(struct shard *s, int slots);
void fetch_sessions_free(struct fetch_sessions **t);

/* What this request works with. A full request (epoch 0 or -1) gets a new session, kept when there is room, else one that ends with the
 * request (id 0). An incremental one finds its session and applies its changes. Errors are Kafka's: E_FETCH_SESSION_ID_NOT_FOUND,
 * E_INVALID_FETCH_SESSION_EPOCH, E_FETCH_SESSION_TOPIC_ID_ERROR. `in` and its strings live as long as the arena `a`. */
int fetch_session_begin(struct fetch_sessions *t, const struct fetch_request *in, int16_t version, int64_t now_us,
                        struct arena *a, struct fetch_session **out, bool *full);
/* The request is answered: a session of id 0 is freed. */
void fetch_session_end(struct fetch_sessions *t, struct fetch_session **s);
/* A session goes with its client to another shard's table: out of the one (NULL: it is not there, or in use), and into the other, where it ends
 * when there is no room. */
struct fetch_session *fetch_session_take(struct fetch_sessions *t, int32_t id);
void fetch_session_give(struct fetch_sessions *t, struct fetch_session *s);
