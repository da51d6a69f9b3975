/* What clients were told, and what they may therefore expect: the model the simulated broker is compared with.
 *
 * A partition is a line of cells, one an offset. A cell is known once a producer was told the offset of its record, or a consumer was shown it.
 * It is *sure* when a power loss may not take it: acknowledged with acks=all, or shown. What is known must be so in every later answer.
 *
 *   V1 what is sure is there after every crash, at its offset, with its bytes; what was acknowledged at all outlives a clean stop and a kill
 *   V2 every record was sent by somebody, and has one offset only (a retry is the same record)
 *   V3 offsets are dense from where a fetch begins to where it ends
 *   V4 high watermark and last stable offset never fall below what a client was shown, nor does the log start below what was deleted
 *   V5 an answer is an answer: without a fault of the disk no request fails for another reason than its own
 *   V6 of a compacted topic the last record of each key stays, and what stays keeps its offset and its bytes */
#pragma once
#include "node.h"

#include <odradek/batch.h>

struct truth;
struct topic;

struct sent { /* a batch, kept for ever */
    int id;
    struct part *part;
    int records, value_n;
    enum codec codec;
    int64_t ts; /* of its records: ts, ts + 1, … */
    int64_t pid;
    int16_t epoch;
    int32_t seq;
    int64_t at; /* offset of its first record; -1: not known */
    bool sure;
    bool flying; /* idempotent producers: on its way */
};
struct cell {
    int id; /* 0: not known */
    int i;  /* which record of the batch */
};
struct part {
    struct topic *topic;
    int index;
    struct cell *cells;
    int64_t cap;
    int64_t shown;     /* high watermark ≥ this: shown to a client, or acknowledged with acks=all */
    int64_t end_acked; /* end ≥ this as long as the power stays */
    int64_t start_min; /* a DeleteRecords was answered with it */
    int64_t start_max; /* and nobody asked for more; INT64_MAX: anything goes (retention, or up to the high watermark) */
    int64_t start_seen;
    bool lossy; /* flush.messages above 1: a power loss may take anything */
};
enum { TOPIC_KNOBS = 10, PENDING_MAX = 8, PARTS_MAX = 6 };
struct setting {
    const char *value;                /* NULL: default */
    const char *pending[PENDING_MAX]; /* nobody knows whether it came to that; until the next start */
    int pending_n;
};
enum topic_state { TOPIC_CREATING, TOPIC_MAYBE, TOPIC_LIVE, TOPIC_DELETING, TOPIC_GONE };
struct topic {
    char name[32];
    struct uuid id; /* zero: not known yet */
    enum topic_state state;
    bool admin; /* somebody is changing it; one at a time */
    int parts_n, parts_max;
    struct part parts[PARTS_MAX];
    struct setting settings[TOPIC_KNOBS];
    bool compact;           /* cleanup.policy=compact, from the beginning */
    bool first_of_its_name; /* no deleted topic had it */
    bool tight;             /* batches may be too large for its settings, or have been */
    bool stamped;           /* timestamps may be the broker's */
    bool loose;             /* retention may have been on */
    bool haunted;           /* until the next start: requests of lost connections may still reach whoever has its name */
};
struct truth {
    struct sent **sent; /* by id - 1 */
    int sent_n;
    struct topic **topics; /* all that ever were */
    int topics_n;
};
extern const struct knob {
    const char *name;
    const char *values[6];
} knobs[TOPIC_KNOBS];
enum { /* those that the truth depends on, in this order */
       KNOB_FLUSH_MESSAGES,
       KNOB_RETENTION_MS,
       KNOB_RETENTION_BYTES,
       KNOB_MAX_MESSAGE,
       KNOB_SEGMENT_BYTES,
       KNOB_TIMESTAMP_TYPE,
};

void truth_free(struct truth *t);
struct topic *truth_topic(struct truth *t, const char *name, int parts);
struct topic *truth_topic_named(struct truth *t, struct slice name); /* alive or perhaps alive; NULL */
/* Settings were asked for, or have taken effect: what follows from them. */
void topic_may_have(struct topic *t, int knob, const char *value);

struct sent *truth_send(struct truth *t, struct part *p, int records, int value_n, int64_t ts);
void sent_bytes(const struct sent *b, struct bytes *out); /* the batch as a producer would send it */

/* A batch has this first offset. */
void truth_placed(struct truth *t, struct sent *b, int64_t at, bool sure);
/* Records that a fetch from `offset` has shown, with the watermark it told; returns where they end. last_of_key may be NULL. */
int64_t truth_shown(struct truth *t, struct part *p, int64_t offset, int64_t watermark, struct slice records,
                    int64_t *last_of_key);
/* An answer says the log starts there; what is certain is what was answered before it was asked: start_min as it was then. */
void truth_started_at(struct part *p, int64_t start, int64_t start_min);

enum crash { CRASH_NONE, CRASH_POWER };
/* After a compacted partition was read from start to end: `last` has the largest offset seen of each key (sent.id % KEYS), or -1. */
enum { KEYS = 7 };
void truth_compacted(struct truth *t, struct part *p, const int64_t last[KEYS]);

void truth_restarted(struct truth *t, enum crash how);
