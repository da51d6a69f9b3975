/* batch: record batches (v2; v0 and v1 for reading), what a broker checks in them, and the codecs. Part of the wire layer.
 *
 * Bytes in, structs out: no I/O, no clock. Every function takes hostile bytes: it never reads past n, and what it allocates is
 * bounded by n and by the limits it is given. Threads: any, on objects nobody else touches. Codec contexts are kept per thread
 * and reused; batch_trim() gives them back.
 *
 * RecordBatch v2, big-endian:
 *   offset size  field
 *        0    8  base offset             assigned on append; outside the CRC
 *        8    4  length                  of everything that follows: whole size − 12; outside the CRC
 *       12    4  partition leader epoch  assigned on append; outside the CRC
 *       16    1  magic                   2
 *       17    4  CRC-32C                 of everything from `attributes` to the end
 *       21    2  attributes              BATCH_CODEC_MASK, BATCH_LOG_APPEND_TIME, BATCH_TRANSACTIONAL, BATCH_CONTROL,
 * BATCH_DELETE_HORIZON 23    4  last offset delta       last offset − base offset; survives compaction 27    8  base timestamp
 * what the records' deltas count from; the delete horizon where the attribute says so 35    8  max timestamp           of the
 * records; with LogAppendTime the timestamp of all of them 43    8  producer id             −1 none 51    2  producer epoch −1
 * none 53    4  base sequence           −1 none 57    4  record count 61    …  records, compressed as one stream where the
 * attributes name a codec
 *
 * A record: size (of what follows), attributes (1 byte, unused), timestamp delta, offset delta, key size (−1 null), key, value
 * size (−1 null), value, header count, headers: key size, key (UTF-8), value size (−1 null), value. All numbers are zigzag
 * varints.
 *
 * Message v0 and v1 (one record, or a wrapper whose value is a compressed message set), only read:
 *        0    8  offset                  of a wrapper: of its last record
 *        8    4  size                    of everything that follows
 *       12    4  CRC-32                  of everything from `magic`
 *       16    1  magic                   0 or 1
 *       17    1  attributes              codec (bits 0–2), LogAppendTime (bit 3, v1)
 *       18    8  timestamp               only v1
 *        …    4  key size (−1 null), key, 4 value size (−1 null), value */
#pragma once
#include <odradek/base.h>

enum {
    BATCH_AT_BASE_OFFSET = 0,
    BATCH_AT_LENGTH = 8,
    BATCH_AT_LEADER_EPOCH = 12,
    BATCH_AT_MAGIC = 16,
    BATCH_AT_CRC = 17,
    BATCH_AT_ATTRIBUTES = 21,
    BATCH_AT_LAST_OFFSET_DELTA = 23,
    BATCH_AT_BASE_TIMESTAMP = 27,
    BATCH_AT_MAX_TIMESTAMP = 35,
    BATCH_AT_PRODUCER_ID = 43,
    BATCH_AT_PRODUCER_EPOCH = 51,
    BATCH_AT_BASE_SEQUENCE = 53,
    BATCH_AT_COUNT = 57,
    BATCH_AT_RECORDS = 61,
    BATCH_HEADER = 61, /* bytes of a v2 header */
    BATCH_PREFIX = 12, /* bytes before what `length` counts */
    BATCH_PEEK = 17,   /* bytes needed to know size and magic */
};
enum {
    BATCH_CODEC_MASK = 0x07,
    BATCH_LOG_APPEND_TIME = 0x08,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
    BATCH_DELETE_HORIZON = 0x40,
};
enum { NO_TIMESTAMP = -1, NO_PRODUCER_ID = -1, NO_PRODUCER_EPOCH = -1, NO_SEQUENCE = -1, NO_LEADER_EPOCH = -1 };

/* ---- codecs ---------------------------------------------------------------------------------------------------------- */

enum codec { CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD, CODEC_COUNT };
enum { CODEC_LEVEL_DEFAULT = INT32_MIN }; /* Kafka's: gzip −1, lz4 9 (which means its fast mode), zstd 3 */
const char *codec_name(enum codec c);     /* "none", "gzip", … */
int codec_of_name(struct slice name);     /* a codec; also "uncompressed"; else E_INVALID (so for "producer") */

/* Compresses n bytes and appends them to out as Kafka's clients frame them: snappy in xerial blocks of 32 KiB, lz4 as a frame of
 * independent 64 KiB blocks. A level out of the codec's range is taken as the nearest. CODEC_NONE copies. 0, or E_NO_MEMORY. */
int codec_compress(enum codec c, int level, const void *p, size_t n, struct bytes *out);
/* Decompresses and appends; never appends more than max bytes: E_MESSAGE_TOO_LARGE when there is more, E_MALFORMED for bad bytes
 * and for a stream that ends early. On error out is as before. */
int codec_decompress(enum codec c, const void *p, size_t n, size_t max, struct bytes *out);

/* The same as streams; memory is the codec's window (zstd: at most 128 MiB, only where the frame asks for it), not the content.
 */
struct inflater { /* private content; zero it to initialise */
    void *ctx;
};
/* p must live until inflater_close. legacy0: magic 0 framed lz4 with a wrong header checksum, which is then not checked. */
int inflater_open(struct inflater *f, enum codec c, const void *p, size_t n, bool legacy0);
ssize_t inflater_read(struct inflater *f, void *out, size_t cap); /* bytes > 0; 0 = end; E_MALFORMED */
void inflater_close(struct inflater *f);                          /* harmless when not open */
struct deflater {                                                 /* private content; zero it to initialise */
    void *ctx;
};
void deflater_open(struct deflater *f, enum codec c, int level,
                   struct bytes *out);                           /* appends to out, which must live until close */
int deflater_write(struct deflater *f, const void *p, size_t n); /* 0 or E_NO_MEMORY */
int deflater_finish(struct deflater *f);                         /* writes what is left and closes */
void deflater_close(struct deflater *f);                         /* without finishing; harmless when not open */

/* Frees this thread's idle codec contexts (they also go when the thread ends). Loops and workers call it when idle. */
void batch_trim(void);

/* ---- headers --------------------------------------------------------------------------------------------------------- */

/* All header fields in host order. Of magic 0 and 1 only size, magic, crc, codec, timestamps, offsets: base_offset is the entry's
 * offset (of a wrapper: its last record's), last_offset_delta 0, count −1, producer fields and epoch −1. */
struct batch_head {
    int64_t base_offset;
    int32_t size; /* of the whole batch: length + 12 */
    int32_t leader_epoch;
    int8_t magic;
    uint32_t crc;
    uint16_t attributes;
    enum codec codec; /* ≥ CODEC_COUNT for an id nobody knows */
    int32_t last_offset_delta;
    int64_t base_timestamp, max_timestamp; /* magic 0: −1 */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t count;
};
/* The size of the batch that begins at p (BATCH_PEEK bytes are enough), for walking a log. E_TRUNCATED: n < BATCH_PEEK;
 * E_CORRUPT_MESSAGE: a length that no batch of that magic has, or an unknown magic. */
int batch_size(const void *p, size_t n, int32_t *size);
/* Parses the header; the records need not be there (n ≥ BATCH_HEADER is always enough; compare h->size with n for a whole batch).
 * E_TRUNCATED: more bytes are needed; E_CORRUPT_MESSAGE as above. Nothing else is judged. */
int batch_parse_head(const void *p, size_t n, struct batch_head *h);
/* A stored batch is whole and its checksum right (magic 2: CRC-32C; 0 and 1: CRC-32): 0, E_TRUNCATED, E_CORRUPT_MESSAGE,
 * E_BAD_CRC. */
int batch_verify(const void *p, size_t n);

static inline int64_t batch_last_offset(const struct batch_head *h) { return h->base_offset + h->last_offset_delta; }
static inline bool batch_is_control(const struct batch_head *h) { return h->attributes & BATCH_CONTROL; }
static inline bool batch_is_transactional(const struct batch_head *h) { return h->attributes & BATCH_TRANSACTIONAL; }
static inline bool batch_is_log_append_time(const struct batch_head *h) { return h->attributes & BATCH_LOG_APPEND_TIME; }
static inline bool batch_has_delete_horizon(const struct batch_head *h) { return h->attributes & BATCH_DELETE_HORIZON; }
/* Sequence numbers go from INT32_MAX to 0. n may be negative. */
static inline int32_t sequence_add(int32_t seq, int32_t n) { return (int32_t)(((uint32_t)seq + (uint32_t)n) & INT32_MAX); }
static inline int32_t batch_last_sequence(const struct batch_head *h) /* −1 when it has none */
{
    return h->base_sequence < 0 ? NO_SEQUENCE : sequence_add(h->base_sequence, h->last_offset_delta);
}

/* Reads and patches of a v2 batch in place. Base offset and leader epoch are outside the CRC. */
static inline int64_t batch_base_offset(const void *p) { return (int64_t)be64((const char *)p + BATCH_AT_BASE_OFFSET); }
static inline void batch_set_base_offset(void *p, int64_t offset)
{
    put_be64((char *)p + BATCH_AT_BASE_OFFSET, (uint64_t)offset);
}
static inline int32_t batch_leader_epoch(const void *p) { return (int32_t)be32((const char *)p + BATCH_AT_LEADER_EPOCH); }
static inline void batch_set_leader_epoch(void *p, int32_t epoch)
{
    put_be32((char *)p + BATCH_AT_LEADER_EPOCH, (uint32_t)epoch);
}
/* Sets timestamp type and max timestamp and recomputes the CRC; touches nothing, and costs nothing, when both are so already
 * (then false). p is a whole, verified batch. */
bool batch_set_max_timestamp(void *p, bool log_append_time, int64_t max_timestamp);
void batch_seal(void *p); /* recomputes the CRC of a whole v2 batch whose header was changed */

/* ---- checking what a producer sent -------------------------------------------------------------------------------------- */

enum batch_depth {
    BATCH_DEPTH_ALL,   /* everything, compressed records too */
    BATCH_DEPTH_SHAPE, /* all but the inside of compressed batches: batch_check_inside() does that later, on a worker */
};
enum { BATCH_ERRORS_MAX = 1000 }; /* record errors reported of one batch */

struct batch_rules {
    int16_t produce_version; /* of the request (zstd needs 7); −1: not from a produce request */
    bool coordinator;        /* written by this broker, not by a client: control batches, any base offset */
    bool compacted;          /* keys must not be null */
    bool log_append_time;    /* message.timestamp.type of the topic: then create times are not judged */
    int64_t now_ms;
    int64_t before_max_ms, after_max_ms; /* message.timestamp.{before,after}.max.ms; INT64_MAX = no bound */
    int32_t max_size;                    /* max.message.bytes for the whole batch; 0 = no limit */
    size_t inflate_max;                  /* cap of decompressed bytes; 0 = max(16 × size, 64 MiB) */
    enum batch_depth depth;
    struct slice topic; /* for messages */
    int32_t partition;
};
struct record_error { /* ProduceResponse's BatchIndexAndErrorMessage */
    int32_t index;
    struct slice message; /* in the arena given to batch_check */
};
struct batch_info {
    struct batch_head head;      /* valid when err is not a framing error */
    bool inside_ok;              /* records were walked; false after BATCH_DEPTH_SHAPE on a compressed batch */
    int64_t max_timestamp;       /* over the records (−1: none has one); LogAppendTime topics: now_ms */
    int32_t max_timestamp_delta; /* offset delta of the first record that has it; LogAppendTime: 0 */
    size_t inflated;             /* bytes of the records section, decompressed */
    int32_t error_count;
    struct record_error *errors; /* arena; the first BATCH_ERRORS_MAX in order */
    struct slice message;        /* arena; ProduceResponse's error message; null where Kafka sends none */
    const char *reason;          /* static text for the log line; NULL when all is well */
};
/* What a broker checks before it appends the batch that begins at p: exactly one whole batch (n bytes are one partition's records
 * field; fewer than a batch's bytes left over behind it are ignored as Kafka does: info->head.size says what counts). As Kafka,
 * in this order: no whole batch, magic 0 or 1, a second batch, base offset ≠ 0        E_INVALID_RECORD unknown magic, impossible
 * length                                     E_CORRUPT_MESSAGE zstd below produce 7, unknown codec E_UNSUPPORTED_COMPRESSION_TYPE
 *   larger than max_size, or than inflate_max when decompressed          E_MESSAGE_TOO_LARGE
 *   CRC                                                                  E_BAD_CRC (a client is told CORRUPT_MESSAGE)
 *   count, last offset delta, control bit, sequence without number       E_INVALID_RECORD
 *   a malformed record, offset deltas not 0, 1, 2 …, bytes left over     E_INVALID_RECORD
 *   null keys on a compacted topic                                       E_INVALID_RECORD with record errors
 *   create time out of bounds, or producer set LogAppendTime             E_INVALID_TIMESTAMP with record errors
 * `a` is used only for errors. No allocation for good batches in steady state. */
int batch_check(const void *p, size_t n, const struct batch_rules *rules, struct arena *a, struct batch_info *info);
/* The inside alone, after batch_check with BATCH_DEPTH_SHAPE returned 0 with !info->inside_ok; same p, rules and info. */
int batch_check_inside(const void *p, const struct batch_rules *rules, struct arena *a, struct batch_info *info);
/* Makes a checked batch ready for the log, as Kafka does in place: timestamp type and max timestamp (CRC recomputed only when
 * they change). Needs info->inside_ok. Base offset and leader epoch are set by whoever appends. */
void batch_stamp(void *p, const struct batch_rules *rules, const struct batch_info *info);

/* ---- reading records ------------------------------------------------------------------------------------------------------ */

struct record {
    int64_t offset, timestamp;
    struct slice key, value; /* p NULL = null */
    int32_t header_count;
    struct slice headers; /* still encoded: record_header_next, or handed to batch_add as they are */
};
struct record_header {
    struct slice key, value; /* value may be null */
};
/* Iterates over the records of one batch (magic 0, 1 and 2; every codec). Slices of uncompressed batches point into the batch; of
 * compressed ones into scratch, and are valid until the next call. */
struct record_iter {
    struct batch_head head;
    int64_t left; /* records to come; −1: unknown (legacy) */
    /* private */
    const uint8_t *at, *end;
    struct bytes *scratch;
    size_t max, seen;
    struct inflater in;
    int64_t legacy_base;
    int failed;
    bool streaming;
};
/* p must live until record_iter_end. scratch is the caller's, kept between batches to be reused; max caps what is decompressed (0
 * = max(16 × size, 64 MiB)). The CRC is not checked (batch_verify). 0, E_TRUNCATED, E_CORRUPT_MESSAGE,
 * E_UNSUPPORTED_COMPRESSION_TYPE, E_MALFORMED. Ended by record_iter_end in every case. */
int record_iter_init(struct record_iter *it, const void *p, size_t n, struct bytes *scratch, size_t max);
int record_next(struct record_iter *it, struct record *r); /* 1 = a record, 0 = end, E_MALFORMED, E_MESSAGE_TOO_LARGE (sticky) */
void record_iter_end(struct record_iter *it);
/* Takes the next header off r->headers: 1, 0 = no more. Records from the iterator are checked already. */
int record_header_next(struct record *r, struct record_header *h);

/* ---- control records ------------------------------------------------------------------------------------------------------- */

enum control_type {
    CONTROL_ABORT,
    CONTROL_COMMIT,
    CONTROL_LEADER_CHANGE,
    CONTROL_SNAPSHOT_HEADER,
    CONTROL_SNAPSHOT_FOOTER,
    CONTROL_KRAFT_VERSION,
    CONTROL_KRAFT_VOTERS,
};
enum { CONTROL_KEY = 4, CONTROL_MARKER_VALUE = 6 };
void control_key(uint8_t out[CONTROL_KEY], enum control_type t);       /* version 0, type */
int control_type_of(const struct record *r);                           /* a type (may be unknown to us), or E_MALFORMED */
int control_coordinator_epoch(const struct record *r, int32_t *epoch); /* of an abort or commit marker; 0 or E_MALFORMED */

/* ---- writing batches ---------------------------------------------------------------------------------------------------------
 */

struct batch_opts {
    int64_t base_offset;
    int32_t leader_epoch; /* NO_LEADER_EPOCH for what a client would send */
    enum codec codec;
    int level; /* CODEC_LEVEL_DEFAULT */
    bool transactional, control;
    int64_t log_append_ms;     /* ≥ 0: LogAppendTime with this timestamp; NO_TIMESTAMP: create time */
    int64_t delete_horizon_ms; /* ≥ 0: set, and the records' deltas count from it; NO_TIMESTAMP: none */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t last_offset_delta;   /* −1: of the last record added; compaction keeps the old batch's */
    int64_t empty_max_timestamp; /* max timestamp of a batch that ends up without records */
};
#define BATCH_OPTS                                                                                             \
    {                                                                                                          \
        .leader_epoch = NO_LEADER_EPOCH, .level = CODEC_LEVEL_DEFAULT, .log_append_ms = NO_TIMESTAMP,          \
        .delete_horizon_ms = NO_TIMESTAMP, .producer_id = NO_PRODUCER_ID, .producer_epoch = NO_PRODUCER_EPOCH, \
        .base_sequence = NO_SEQUENCE, .last_offset_delta = -1, .empty_max_timestamp = NO_TIMESTAMP             \
    }
/* Builds one v2 batch at the end of out. Uncompressed, the bytes are those of Kafka's own writer for the same input. */
struct batch_builder {
    struct batch_opts opts;
    int32_t count;
    /* private */
    struct bytes *out;
    size_t start;
    struct deflater z;
    int64_t base_timestamp, max_timestamp, last_offset;
    int err;
};
void batch_begin(struct batch_builder *b, const struct batch_opts *opts,
                 struct bytes *out); /* out is the caller's, must outlive b */
/* Offsets must rise from opts.base_offset. The record's bytes are copied. Encoded headers are copied as they are. */
void batch_add(struct batch_builder *b, const struct record *r);
/* The same with the next offset, and headers as an array. */
void batch_append(struct batch_builder *b, int64_t timestamp, struct slice key, struct slice value, const struct record_header *h,
                  int n);
size_t
batch_bytes(const struct batch_builder *b); /* so far, for deciding to close it; compressed content only as far as flushed */
/* Writes the header: the batch's size; E_INVALID (an offset that fell back, a size past INT32_MAX) or E_NO_MEMORY, and out as
 * before. Without any record it is the empty batch that compaction leaves for a producer's last sequence (last_offset_delta must
 * be set). */
int batch_end(struct batch_builder *b);
void batch_abandon(struct batch_builder *b); /* out as before batch_begin */

/* An end-of-transaction marker: a control batch of one record, appended to out. Its size. */
int batch_put_marker(struct bytes *out, int64_t offset, int64_t timestamp, int32_t leader_epoch, int64_t producer_id,
                     int16_t producer_epoch, bool commit, int32_t coordinator_epoch);

/* The same batch (v2, whole, checked) with another codec, appended to out: only codec, length, CRC and the records' bytes differ.
 * max as for record_iter_init. Its size, or E_TRUNCATED, E_MALFORMED, E_MESSAGE_TOO_LARGE, E_NO_MEMORY,
 * E_UNSUPPORTED_COMPRESSION_TYPE; then out is as before. */
int batch_recompress(const void *p, size_t n, enum codec c, int level, size_t max, struct bytes *out);
/* A v0 or v1 entry as a v2 batch, uncompressed, with the offsets and timestamps it has; appended to out. Its size or an error as
 * above. */
int batch_upconvert(const void *p, size_t n, size_t max, struct bytes *out);
