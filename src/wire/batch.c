/* Headers: parsing, verifying and patching them in place; and the same batch in another codec. */
#include "record.h"
#include <zlib.h>

int batch_size(const void *p, size_t n, int32_t *size)
{
    const uint8_t *b = p;
    if (n < BATCH_PEEK) return E_TRUNCATED;
    static const int32_t least[] = { LEGACY_MIN_V0, LEGACY_MIN_V1, BATCH_HEADER - BATCH_PREFIX };
    int32_t len = (int32_t)be32(b + BATCH_AT_LENGTH);
    int8_t magic = (int8_t)b[BATCH_AT_MAGIC];
    if (magic < 0 || magic > 2 || len < least[magic] || len > INT32_MAX - BATCH_PREFIX) return E_CORRUPT_MESSAGE;
    *size = len + BATCH_PREFIX;
    return 0;
}

int batch_parse_head(const void *p, size_t n, struct batch_head *h)
{
    const uint8_t *b = p;
    int32_t size;
    int rc = batch_size(p, n, &size);
    if (rc) return rc;
    int8_t magic = (int8_t)b[BATCH_AT_MAGIC];
    if (n < (magic == 2 ? (size_t)BATCH_HEADER : BATCH_PEEK + (magic == 1 ? 9u : 1u))) return E_TRUNCATED;
    *h = (struct batch_head){ .base_offset = (int64_t)be64(b), .size = size, .magic = magic };
    if (magic < 2) {
        h->leader_epoch = NO_LEADER_EPOCH;
        h->crc = be32(b + BATCH_PREFIX);
        h->attributes = b[BATCH_PEEK] & (magic ? BATCH_CODEC_MASK | BATCH_LOG_APPEND_TIME : BATCH_CODEC_MASK);
        h->base_timestamp = h->max_timestamp = magic ? (int64_t)be64(b + BATCH_PEEK + 1) : NO_TIMESTAMP;
        h->producer_id = NO_PRODUCER_ID;
        h->producer_epoch = NO_PRODUCER_EPOCH;
        h->base_sequence = NO_SEQUENCE;
        h->count = -1;
    } else {
        h->leader_epoch = (int32_t)be32(b + BATCH_AT_LEADER_EPOCH);
        h->crc = be32(b + BATCH_AT_CRC);
        h->attributes = be16(b + BATCH_AT_ATTRIBUTES);
        h->last_offset_delta = (int32_t)be32(b + BATCH_AT_LAST_OFFSET_DELTA);
        h->base_timestamp = (int64_t)be64(b + BATCH_AT_BASE_TIMESTAMP);
        h->max_timestamp = (int64_t)be64(b + BATCH_AT_MAX_TIMESTAMP);
        h->producer_id = (int64_t)be64(b + BATCH_AT_PRODUCER_ID);
        h->producer_epoch = (int16_t)be16(b + BATCH_AT_PRODUCER_EPOCH);
        h->base_sequence = (int32_t)be32(b + BATCH_AT_BASE_SEQUENCE);
        h->count = (int32_t)be32(b + BATCH_AT_COUNT);
    }
    h->codec = (enum codec)(h->attributes & BATCH_CODEC_MASK);
    return 0;
}

int batch_verify(const void *p, size_t n)
{
    const uint8_t *b = p;
    int32_t size;
    int rc = batch_size(p, n, &size);
    if (rc) return rc;
    if ((size_t)size > n) return E_TRUNCATED;
    bool ok = b[BATCH_AT_MAGIC] == 2
                  ? be32(b + BATCH_AT_CRC) == crc32c(0, b + BATCH_AT_ATTRIBUTES, (size_t)size - BATCH_AT_ATTRIBUTES)
                  : be32(b + BATCH_PREFIX) == crc32(crc32(0, NULL, 0), b + BATCH_AT_MAGIC, (uInt)size - BATCH_AT_MAGIC);
    return ok ? 0 : E_BAD_CRC;
}

void batch_seal(void *p)
{
    uint8_t *b = p;
    size_t size = BATCH_PREFIX + (size_t)be32(b + BATCH_AT_LENGTH);
    put_be32(b + BATCH_AT_CRC, crc32c(0, b + BATCH_AT_ATTRIBUTES, size - BATCH_AT_ATTRIBUTES));
}

bool batch_set_max_timestamp(void *p, bool log_append_time, int64_t max_timestamp)
{
    uint8_t *b = p;
    uint16_t attributes = be16(b + BATCH_AT_ATTRIBUTES);
    if (!(attributes & BATCH_LOG_APPEND_TIME) == !log_append_time && (int64_t)be64(b + BATCH_AT_MAX_TIMESTAMP) == max_timestamp)
        return false;
    attributes &=
        BATCH_CODEC_MASK | BATCH_TRANSACTIONAL | BATCH_CONTROL | BATCH_DELETE_HORIZON; /* as Kafka: bits nobody knows go */
    if (log_append_time) attributes |= BATCH_LOG_APPEND_TIME;
    put_be16(b + BATCH_AT_ATTRIBUTES, attributes);
    put_be64(b + BATCH_AT_MAX_TIMESTAMP, (uint64_t)max_timestamp);
    batch_seal(p);
    return true;
}

void batch_stamp(void *p, const struct batch_rules *rules, const struct batch_info *info)
{
    assert(info->inside_ok);
    batch_set_max_timestamp(p, rules->log_append_time, info->max_timestamp);
}

/* ---- recompression ------------------------------------------------------------------------------------------------------ */

static int transcode(struct inflater *in, struct deflater *to, size_t max)
{
    uint8_t window[INFLATE_WINDOW];
    for (size_t seen = 0;;) {
        ssize_t n = inflater_read(in, window, sizeof window);
        if (n <= 0) return (int)n;
        seen += (size_t)n;
        if (seen > max) return E_MESSAGE_TOO_LARGE;
        int rc = deflater_write(to, window, (size_t)n);
        if (rc) return rc;
    }
}

int batch_recompress(const void *p, size_t n, enum codec codec, int level, size_t max, struct bytes *out)
{
    assert((unsigned)codec < CODEC_COUNT);
    struct batch_head h;
    struct inflater in = { NULL };
    struct deflater to = { NULL };
    size_t start = out->n;
    int rc = batch_parse_head(p, n, &h);
    if (rc) return rc;
    if ((size_t)h.size > n) return E_TRUNCATED;
    if (h.magic != 2) return E_MALFORMED;
    if (h.codec >= CODEC_COUNT) return E_UNSUPPORTED_COMPRESSION_TYPE;

    if (h.count == 0) { /* what compaction left of a batch: there is nothing to compress, and no stream to decompress */
        bytes_put(out, p, (size_t)h.size);
        return h.size;
    }

    bytes_put(out, p, BATCH_HEADER);
    rc = inflater_open(&in, h.codec, (const uint8_t *)p + BATCH_HEADER, (size_t)h.size - BATCH_HEADER, false);
    if (rc == 0) {
        deflater_open(&to, codec, level, out);
        rc = transcode(&in, &to, inflate_cap(max, (size_t)h.size));
    }
    if (rc == 0) rc = deflater_finish(&to);
    inflater_close(&in);
    deflater_close(&to);
    size_t size = out->n - start;
    if (rc == 0 && size > INT32_MAX) rc = E_MESSAGE_TOO_LARGE;
    if (rc) {
        out->n = start;
        return rc;
    }
    uint8_t *b = out->p + start;
    put_be32(b + BATCH_AT_LENGTH, (uint32_t)(size - BATCH_PREFIX));
    put_be16(b + BATCH_AT_ATTRIBUTES, (uint16_t)((h.attributes & ~BATCH_CODEC_MASK) | codec));
    batch_seal(b);
    return (int)size;
}

int batch_upconvert(const void *p, size_t n, size_t max, struct bytes *out)
{
    struct record_iter it;
    struct batch_builder b;
    struct record r;
    struct bytes scratch = { NULL };
    bool begun = false;
    int rc = record_iter_init(&it, p, n, &scratch, max);
    while (rc == 0 && (rc = record_next(&it, &r)) > 0) {
        if (!begun) {
            struct batch_opts opts = BATCH_OPTS;
            opts.base_offset = r.offset;
            if (batch_is_log_append_time(&it.head)) opts.log_append_ms = it.head.max_timestamp;
            batch_begin(&b, &opts, out);
            begun = true;
        }
        batch_add(&b, &r);
        rc = 0;
    }
    record_iter_end(&it);
    bytes_free(&scratch);
    if (!begun) return rc ? rc : E_MALFORMED;
    if (rc == 0) return batch_end(&b);
    batch_abandon(&b);
    return rc;
}
