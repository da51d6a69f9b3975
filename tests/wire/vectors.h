/* Vectors: messages with their encoding, made by Apache Kafka's own codec. */
#pragma once
#include <odradek/wire.h>

struct vector {
    const char *name;
    const struct wire_msg *msg; /* NULL: we have no such message */
    int16_t version;
    struct slice bytes; /* the encoding */
    struct slice json;  /* the value */
};
struct vectors {
    struct vector *v;
    int n;
    struct arena a; /* holds all of it */
};

/* Reads a file as packed by pack_vectors.py, or the JSON lines it was packed from; either may be gzipped. On failure says why on
 * stderr and returns false. */
bool vectors_load(struct vectors *vs, const char *path);
void vectors_free(struct vectors *vs);
