/* The image from inside: what a `struct image_topic` holds besides what <odradek/meta.h> shows, and the draft, in which records are
 * applied to an image and from which the next image is made.
 *
 * Sharing: an image owns chunks of up to TOPIC_CHUNK topics, a chunk owns its topics, a topic owns its plogs; each is counted. The next
 * image copies its pointer arrays, and only the chunks and topics that changed. Features and resources are counted blocks of their own.
 *
 * Threads: images are frozen once published; a draft belongs to whoever made it. */
#pragma once
#include "record.h"
#include <odradek/meta.h>

typedef const int32_t *ints; /* [0] is how many follow; NULL is none */
static inline int ints_n(ints v) { return v ? v[0] : 0; }
bool ints_eq(ints a, ints b);
bool ints_only(ints v, int32_t one); /* exactly [one] */
bool ints_have(ints v, int32_t x);

struct part { /* a partition as the records say */
    int32_t leader, leader_epoch, partition_epoch;
    int8_t recovery; /* 0 recovered, 1 recovering */
    bool there;      /* false: a number below another partition's that no record has named */
    ints replicas, isr, removing, adding, elr, last_elr;
    int32_t dirs_n; /* as many as replicas, or 0 */
    const struct uuid *dirs;
};
struct topic {
    struct image_topic pub;
    const struct part *parts; /* pub.partitions_n */
};
static inline const struct topic *topic_of(const struct image_topic *t) { return (const struct topic *)t; }
/* Where the replica of this node lies, as the records say; zero when they don't. */
struct uuid part_dir(const struct part *p, int32_t node_id);
/* Is anything about it not as we leave a partition: led by us, the only in-sync replica? */
bool part_disturbed(const struct part *p, int32_t me);
/* Do others have all that was acknowledged, and this node perhaps not? */
bool part_behind(const struct part *p, int32_t me);

enum { TOPIC_CHUNK = 128, PARTITIONS_MAX = 1 << 20 };

/* What images of one broker have in common. */
struct image_env {
    int32_t node_id;
    const struct conf *conf; /* static: without dynamic settings */
};
struct image *image_empty(const struct image_env *env); /* one reference */
int16_t image_level(const struct image *im);            /* metadata.version; LEVEL_MIN when the log does not say */
int16_t image_feature_level(const struct image *im, struct slice name); /* 0: not finalized */
/* Gives a partition its log (one reference passes) or the error. Only before publication. */
void image_attach(const struct image_env *env, struct image_topic *t, int32_t partition, struct plog *log, int err);

bool topic_conf_same(const struct topic_conf *a, const struct topic_conf *b); /* of images: their padding is zero */

/* ---- draft -------------------------------------------------------------------------------------------------------------------- */

struct draft;
struct draft *draft_new(const struct image_env *env, const struct image *base); /* holds base */
void draft_free(struct draft **d);
/* Is this a record type that images hold? The others are kept (kept.h). */
bool draft_takes(uint32_t key);
/* Applies one. 0, or E_MALFORMED, E_UNSUPPORTED, E_NOT_FOUND (of an unknown topic); then the draft is useless. */
int draft_apply(struct draft *d, const struct mrec *r, struct why *why);
/* Ids of topics that the draft has removed. */
bool draft_removed(const struct draft *d, struct uuid id);
/* Makes this topic anew even if nothing else changes in it, so that it can be written to before publication. */
void draft_touch(struct draft *d, const struct image_topic *t);
/* The next image: one reference. offset is that of the last record. The draft is used up (free it). */
struct image *draft_finish(struct draft *d, int64_t offset);

/* ---- image to records: for snapshots -------------------------------------------------------------------------------------------- */

void image_part_record(const struct image_topic *t, int32_t partition, int16_t version, struct arena *a,
                       struct partition_record *out);
