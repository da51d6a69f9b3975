/* record: metadata records as they stand in a record batch's value: a frame (three unsigned varints: frame version 1, record type,
 * version) and the body. And the few control records of the metadata log. Threads: any; no state. */
#pragma once
#include <odradek/base.h>
#include <odradek/batch.h>
#include <odradek/wire.h>

struct mrec {
    uint32_t key;     /* enum of <wire_msgs.h>: TOPIC_RECORD, … or one nobody here knows */
    uint32_t version; /* of the body */
    struct slice body;
    struct slice value; /* frame and body */
};
int mrec_parse(struct slice value, struct mrec *out); /* 0 or E_MALFORMED; borrows */
/* Decodes the body of a type we know. E_UNSUPPORTED: a version we don't. */
int mrec_decode(const struct mrec *r, const struct wire_msg *type, struct arena *a, void *out, struct why *why);
/* Appends frame and body. The body is ours, so a failure is a bug: asserted. */
void mrec_put(struct bytes *out, const struct wire_msg *type, int16_t version, const void *body);
/* The same into an arena. */
struct slice mrec_make(struct arena *a, const struct wire_msg *type, int16_t version, const void *body);

/* Feature levels (metadata.version) that decide what a record looks like. */
enum {
    LEVEL_MIN = 7,           /* 3.3-IV3: the oldest that Kafka 4.x opens */
    LEVEL_TRANSACTIONS = 13, /* 3.6-IV1 */
    LEVEL_DIRECTORIES = 17,  /* 3.7-IV2 */
    LEVEL_VOTERS = 21,       /* 3.9-IV0: the first with kraft.version 1 */
    LEVEL_ELR = 23,          /* 4.0-IV1 */
    LEVEL_OURS = 30,         /* 4.3-IV0 */
};
int16_t partition_record_version(int16_t level);
int16_t register_broker_version(int16_t level);

/* Control records: key and value of one, built with a wire message. */
void control_append(struct batch_builder *b, int64_t now_ms, enum control_type t, const struct wire_msg *type, const void *body);
