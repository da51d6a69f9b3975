/* Requests made once and then only patched: what the load generator sends, and the least it must read of the answers. */
#pragma once
#include <odradek/base.h>

enum request_kind { REQUEST_API_VERSIONS, REQUEST_METADATA, REQUEST_PRODUCE, REQUEST_FETCH, REQUEST_COMMIT };

struct request_spec {
    enum request_kind kind;
    const char *topic;
    int acks, records, size; /* produce: values of `size` bytes, `records` in a batch */
    const char *codec;       /* of the batch; NULL none */
    int max_bytes, min_bytes, max_wait_ms;
    bool stamp; /* produce: the first value of a batch begins with the time it was to be sent at */
};

/* An encoded request, its size in front. Fields that change from one request to the next are found by where they stand; SIZE_MAX where
 * the request has no such field. */
struct request {
    struct bytes b;
    size_t partition_at; /* int32 */
    size_t offset_at;    /* int64, a fetch's */
    size_t group_at;     /* six digits, a commit's */
    size_t batch_at, batch_n;
    size_t stamp_at; /* eight bytes of a value */
};
void request_make(struct request *r, const struct request_spec *spec);
void request_free(struct request *r);
static inline void request_set_id(uint8_t *p, uint32_t id) { put_be32(p + 8, id); } /* correlation id */
void request_set_group(const struct request *r, uint8_t *p, uint32_t group);
void request_set_stamp(const struct request *r, uint8_t *p, uint64_t ns); /* and the batch's checksum */

/* What an answer says. */
struct answer {
    uint32_t id;
    int error;            /* Kafka's code of the one row asked for; ANSWER_STRANGE when the bytes make no sense */
    int64_t offset;       /* produce: base offset */
    int64_t high;         /* fetch: the high watermark */
    int64_t record_bytes; /* fetch */
    size_t records_at;    /* fetch: where they begin, counted from the answer's size field */
};
enum { ANSWER_STRANGE = -999, ANSWER_HEAD = 512 };
/* p: the answer from its size field on; only the first ANSWER_HEAD bytes need be there. */
struct answer answer_read(enum request_kind kind, const uint8_t *p, size_t n);

/* The stamps of all batches that lie whole in records[0..n), and the offset behind the last of them (`next` if there is none). */
int64_t answer_stamps(const uint8_t *records, size_t n, int64_t next, void (*stamp)(void *arg, uint64_t ns), void *arg);

/* Asked with a blocking socket. */
int64_t ask_end(int fd, const char *topic, int32_t partition); /* the last offset of a partition; the error code when negative */
bool ask_hello(int fd);                                        /* ApiVersions: false when the connection ends instead */
