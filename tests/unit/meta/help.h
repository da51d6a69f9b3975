/* What the tests of meta share: records, drafts and images made in a line. */
#pragma once
#include "image.h"
#include "kept.h"
#include "replay.h"
#include "test.h"

#include <stdlib.h>

static inline struct uuid id_of(uint64_t n)
{
    struct uuid u = UUID_ZERO;
    put_be64(u.b, 0x4000000000000000u + n);
    put_be64(u.b + 8, hash_bytes(&n, sizeof n));
    return u;
}

static inline struct conf *conf_of(const char *text)
{
    struct conf *c = NULL;
    struct conf_report r = { 0 };
    int rc = conf_parse(slice_of(text), &c, &r);
    if (rc) {
        struct bytes b = { 0 };
        conf_report_print(&r, &b);
        print_error("%.*s\n", (int)b.n, (const char *)b.p);
        bytes_free(&b);
    }
    conf_report_free(&r);
    assert_ok(rc);
    return c;
}

/* Records, framed, in an arena. */
static inline struct slice r_topic(struct arena *a, const char *name, struct uuid id)
{
    struct topic_record r = dflt_topic_record;
    r.name = slice_of(name);
    r.topic_id = id;
    return mrec_make(a, &msg_topic_record, 0, &r);
}
static inline struct slice r_partition(struct arena *a, struct uuid topic, int32_t p, int32_t leader, int32_t epoch)
{
    struct partition_record r = dflt_partition_record;
    int32_t one = 1;
    struct uuid dir = id_of(99);
    r.partition_id = p;
    r.topic_id = topic;
    r.replicas = r.isr = &one;
    r.replicas_n = r.isr_n = 1;
    r.directories = &dir;
    r.directories_n = 1;
    r.leader = leader;
    r.leader_epoch = r.partition_epoch = epoch;
    return mrec_make(a, &msg_partition_record, 2, &r);
}
static inline struct slice r_remove(struct arena *a, struct uuid topic)
{
    struct remove_topic_record r = dflt_remove_topic_record;
    r.topic_id = topic;
    return mrec_make(a, &msg_remove_topic_record, 0, &r);
}
static inline struct slice r_config(struct arena *a, int8_t type, const char *resource, const char *name, const char *value)
{
    struct config_record r = dflt_config_record;
    r.resource_type = type;
    r.resource_name = slice_of(resource);
    r.name = slice_of(name);
    r.value = slice_of(value);
    return mrec_make(a, &msg_config_record, 0, &r);
}
static inline struct slice r_feature(struct arena *a, const char *name, int16_t level)
{
    struct feature_level_record r = dflt_feature_level_record;
    r.name = slice_of(name);
    r.feature_level = level;
    return mrec_make(a, &msg_feature_level_record, 0, &r);
}
/* A type of record that no version of Kafka has. */
static inline struct slice r_unknown(struct arena *a, const char *body)
{
    struct bytes b = { 0 };
    wr_uvarint(&b, 1);
    wr_uvarint(&b, 5000);
    wr_uvarint(&b, 3);
    wr_slice(&b, slice_of(body));
    struct slice s = arena_copy(a, (struct slice){ (const char *)b.p, b.n });
    bytes_free(&b);
    return s;
}

static inline int apply(struct draft *d, struct slice value, struct why *why)
{
    struct mrec m;
    int rc = mrec_parse(value, &m);
    return rc ? rc : draft_apply(d, &m, why);
}
#define APPLY(d, value) assert_ok(apply((d), (value), NULL))

/* The image after one more draft; takes the base's reference. */
#define NEXT(env, im, offset, ...)                                                 \
    do {                                                                           \
        struct draft *draft_ = draft_new((env), (im));                             \
        const struct slice recs_[] = { __VA_ARGS__ };                              \
        for (size_t k_ = 0; k_ < ARRAY_LEN(recs_); k_++) APPLY(draft_, recs_[k_]); \
        struct image *next_ = draft_finish(draft_, (offset));                      \
        draft_free(&draft_);                                                       \
        image_unref(&(im));                                                        \
        (im) = next_;                                                              \
    } while (0)
