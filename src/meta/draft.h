/* What image.c and draft.c share. */
#pragma once
#include "image.h"

struct image_chunk {
    _Atomic uint32_t refs;
    int32_t n;
    struct image_topic *t[TOPIC_CHUNK]; /* sorted by name; one reference each */
};
void *block_new(size_t n); /* counted bytes, zeroed */
void *block_ref(void *data);
void block_unref(void *data);
void topic_ref(struct image_topic *t);
void topic_unref(struct image_topic *t);
struct image_chunk *chunk_ref(struct image_chunk *c);
int resource_cmp(int8_t type_a, struct slice a, int8_t type_b, struct slice b);
