/* Topic names, internal topics, and creating topics that somebody merely asked for. */
#pragma once
#include "req.h"

/* Kafka's rules: 1 … 249 of [a-zA-Z0-9._-], not "." or "..". 0 or E_INVALID_TOPIC_EXCEPTION, with Kafka's words in *message (arena). */
int topic_name_check(struct slice name, struct arena *a, struct slice *message);
bool topic_name_is_internal(struct slice name);

/* What Kafka's controller takes of one request: partitions of CreateTopics, and metadata records of any change. */
enum { REQUEST_PARTITIONS_MAX = 10000, REQUEST_RECORDS_MAX = 10000 };

/* For each of n names the first row that has it, and whether another has it too. */
struct name_row {
    struct map_node node;
    struct slice name;
    int first;
    bool twice; /* only said of the first */
};
struct name_row *names_rows(struct arena *a, const struct slice *names, int n);

/* Creates what is missing of names, as Metadata and FindCoordinator do (KIP-36's defaults; K9 for internal topics). Submitted with
 * topics_create(); when change.done, look at the image again. Rows that cannot be (a colliding name, …) keep their error. */
struct topics_create {
    struct meta_change change;
    struct slice *names;
    int *errs;
    int n;
};
void topics_create(struct req *rq, struct topics_create *tc);
/* Submits nothing and returns false when every name is there. */
bool topics_missing(const struct image *im, const struct slice *names, int n);

/* Present topics whose names collide with others (they differ only by . and _), for a change that asks for many. */
struct collisions {
    const struct image *im;
    int asked;
    struct map map;
    struct flat_name *flat; /* of the image's topics; NULL until so many were asked for that it pays */
};
void collisions_begin(struct collisions *c, const struct image *im); /* borrowed until the end */
void collisions_end(struct collisions *c);
const struct image_topic *collisions_find(struct collisions *c, struct slice name); /* NULL: none */

/* What was made of a topic's settings, by the overrides it has: most of a request's thousands of topics have the same ones. Zero it (but
 * for `a`) to begin. */
struct described {
    struct map_node node;
    const struct image_config *overrides;
    int overrides_n;
    void *rows; /* the handler's */
    int32_t rows_n;
};
struct described_cache {
    struct arena *a;
    struct map map;
};
/* What was made for these overrides, or room for it (rows_n is -1). Overrides are borrowed; their order counts. */
struct described *described_get(struct described_cache *c, const struct image_config *overrides, int n);
void described_free(struct described_cache *c);

/* A partition and its log: 0, E_UNKNOWN_TOPIC_OR_PARTITION (t may be NULL), or why it has no log. */
int topic_partition(const struct image_topic *t, int32_t index, const struct image_partition **p);
/* What a client believes the leader epoch to be (KIP-320): 0 (-1 is not checked), E_FENCED_LEADER_EPOCH, E_UNKNOWN_LEADER_EPOCH. */
int partition_epoch_check(const struct image_partition *p, int32_t asked);

/* Authorised operations as bits, where nobody is asked for permission: all that the resource type knows. */
enum { OPS_TOPIC = 3576, OPS_CLUSTER = 8096, OPS_GROUP = 3400, OPS_NOT_ASKED = INT32_MIN };
