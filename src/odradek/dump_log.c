/* dump-log: options, files, and the batches and records of a log. (Indexes and snapshots: dump_index.c; what records mean:
 * dump_decode.c.) */
#include "dump.h"

#include <errno.h>
#include <odradek/odradek.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- output ------------------------------------------------------------------------------------------------------------------------ */

void dump_flush(struct dump *d)
{
    if (d->out.n) d->sink->write(d->sink, false, (struct slice){ (char *)d->out.p, d->out.n });
    d->out.n = 0;
}

static void put_error(struct dump *d, struct slice text)
{
    if (d->o->json) {
        bytes_printf(&d->out, "{\"type\":\"error\",\"file\":");
        dump_json_string(&d->out, slice_of(d->path));
        bytes_printf(&d->out, ",\"message\":");
        dump_json_string(&d->out, text);
        wr_u8(&d->out, '}');
        dump_end_line(d);
        return;
    }
    struct bytes line = { 0 };
    bytes_printf(&line, "%s: %.*s\n", d->path, (int)text.n, text.p);
    dump_flush(d);
    d->sink->write(d->sink, true, (struct slice){ (char *)line.p, line.n });
    bytes_free(&line);
}

void dump_error(struct dump *d, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    d->failed = true;
    put_error(d, slice_of(text));
}

struct slice dump_absolute(struct dump *d, const char *path)
{
    return path[0] == '/' || !d->o->cwd ? arena_printf(&d->names, "%s", path) : arena_printf(&d->names, "%s/%s", d->o->cwd, path);
}

void dump_note(struct dump *d, enum dump_note kind, int64_t a, int64_t b)
{
    struct dump_notes *n = d->now[kind];

    if (!n) {
        n = d->now[kind] = *d->notes_end[kind] = arena_new(&d->names, struct dump_notes);
        d->notes_end[kind] = &n->next;
        n->path = dump_absolute(d, d->path);
    }
    if (n->n == n->cap) {
        n->cap = MAX(16, n->cap * 2);
        n->v = mem_realloc(n->v, n->cap * sizeof *n->v);
    }
    n->v[n->n++] = (struct dump_pair){ a, b };
}

static int by_a(const void *x, const void *y)
{
    const struct dump_pair *p = x, *q = y;
    return p->a < q->a ? -1 : p->a > q->a ? 1 : 0;
}

/* Keeps the last of each a. Merge sort, for it must be stable (and qsort need not be). */
static void sort_notes(struct dump_notes *n)
{
    struct dump_pair *from = n->v, *to = mem_alloc(MAX(n->n, 1) * sizeof *to);
    size_t kept = 0;

    for (size_t run = 1; run < n->n; run *= 2) {
        for (size_t lo = 0; lo < n->n; lo += 2 * run) {
            size_t i = lo, mid = MIN(lo + run, n->n), j = mid, hi = MIN(lo + 2 * run, n->n);
            for (size_t k = lo; k < hi; k++)
                to[k] = i < mid && (j == hi || by_a(&from[i], &from[j]) <= 0) ? from[i++] : from[j++];
        }
        struct dump_pair *was = from;
        from = to;
        to = was;
    }
    for (size_t i = 0; i < n->n; i++)
        if (i + 1 == n->n || from[i].a != from[i + 1].a) from[kept++] = from[i];
    n->n = kept;
    n->v = from;
    mem_free(to);
}

static void put_notes(struct dump *d)
{
    static const struct {
        const char *head, *line;   /* text */
        const char *type, *a, *b;  /* JSON */
        bool by_key, newest_first; /* else as they came */
    } kinds[] = {
        [NOTE_INDEX] = { "Mismatches in :%s\n", "  Index offset: %lld, log offset: %lld\n", "indexMismatch", "indexOffset",
                         "logOffset", true, true },
        [NOTE_TIME] = { "Found timestamp mismatch in :%s\n", "  Index timestamp: %lld, log timestamp: %lld\n",
                        "timeIndexMismatch", "indexTimestamp", "logTimestamp", false, false },
        [NOTE_TIME_ORDER] = { "Found out of order timestamp in :%s\n",
                              "  Index timestamp: %lld, Previously indexed timestamp: %lld\n", "timeIndexOutOfOrder",
                              "indexTimestamp", "previousTimestamp", false, false },
        [NOTE_TIME_LOST] = { "The following indexed offsets are not found in :%s\n",
                             "Indexed offset: %lld, found log offset: %lld\n", "timeIndexOffsetNotFound", "indexOffset",
                             "logOffset", false, false },
        [NOTE_GAP] = { "Non-consecutive offsets in %s\n", "  %lld is followed by %lld\n", "nonConsecutive", "offset", "next",
                       true, false },
    };
    struct bytes text = { 0 };

    for (int k = 0; k < NOTE_KINDS; k++) {
        for (struct dump_notes *n = d->notes[k]; n; n = n->next) {
            if (kinds[k].by_key) sort_notes(n);
            if (!d->o->json) bytes_printf(&text, kinds[k].head, n->path.p);
            for (size_t i = 0; i < n->n; i++) {
                const struct dump_pair *p = &n->v[kinds[k].newest_first ? n->n - 1 - i : i];
                if (d->o->json) {
                    bytes_printf(&d->out, "{\"type\":\"%s\",\"file\":", kinds[k].type);
                    dump_json_string(&d->out, n->path);
                    bytes_printf(&d->out, ",\"%s\":%lld,\"%s\":%lld}", kinds[k].a, (long long)p->a, kinds[k].b, (long long)p->b);
                    dump_end_line(d);
                } else {
                    bytes_printf(&text, kinds[k].line, (long long)p->a, (long long)p->b);
                }
            }
            mem_free(n->v);
        }
    }
    dump_flush(d);
    if (text.n) d->sink->write(d->sink, true, (struct slice){ (char *)text.p, text.n });
    bytes_free(&text);
}

/* ---- files ---------------------------------------------------------------------------------------------------------------------------- */

int dump_open(struct dump *d, const char *path, int *fd, int64_t *size)
{
    struct fs_stat st;
    int rc = *fd = d->fs->open(d->fs, path, FS_READ);

    if (rc >= 0 && (rc = d->fs->fstat(d->fs, *fd, &st)) == 0 && st.is_dir) rc = -EISDIR;
    if (rc < 0 && *fd >= 0) d->fs->close(d->fs, *fd);
    if (rc < 0) {
        if (path == d->path) dump_error(d, "%s", err_text(rc));
        else dump_error(d, "%s: %s", path, err_text(rc));
        return rc;
    }
    *size = st.size;
    return 0;
}

bool dump_base_offset(struct dump *d, int64_t *base)
{
    char *end;

    errno = 0;
    *base = strtoll(d->name, &end, 10);
    if (!errno && end != d->name && *end == '.' && d->name[0] >= '0' && d->name[0] <= '9') return true;
    dump_error(d, "the name does not begin with an offset");
    return false;
}

/* ---- batches -------------------------------------------------------------------------------------------------------------------------- */

enum { LEGACY_OVERHEAD = 14, LEGACY_CRC = 12, LEGACY_ATTRIBUTES = 17, LEGACY_TIMESTAMP = 18 };

static void legacy_head(const uint8_t *p, size_t n, struct batch_head *h)
{
    bool stamped = h->magic != 0 && n >= LEGACY_TIMESTAMP + 8;

    h->crc = be32(p + LEGACY_CRC);
    h->attributes = n > LEGACY_ATTRIBUTES ? p[LEGACY_ATTRIBUTES] : 0;
    h->base_timestamp = h->max_timestamp = stamped ? (int64_t)be64(p + LEGACY_TIMESTAMP) : NO_TIMESTAMP;
    h->producer_id = NO_PRODUCER_ID;
    h->producer_epoch = NO_PRODUCER_EPOCH;
    h->base_sequence = NO_SEQUENCE;
    h->leader_epoch = NO_LEADER_EPOCH;
    h->count = -1;
}

static void v2_head(const uint8_t *p, struct batch_head *h)
{
    h->leader_epoch = (int32_t)be32(p + BATCH_AT_LEADER_EPOCH);
    h->crc = be32(p + BATCH_AT_CRC);
    h->attributes = be16(p + BATCH_AT_ATTRIBUTES);
    h->last_offset_delta = (int32_t)be32(p + BATCH_AT_LAST_OFFSET_DELTA);
    h->base_timestamp = (int64_t)be64(p + BATCH_AT_BASE_TIMESTAMP);
    h->max_timestamp = (int64_t)be64(p + BATCH_AT_MAX_TIMESTAMP);
    h->producer_id = (int64_t)be64(p + BATCH_AT_PRODUCER_ID);
    h->producer_epoch = (int16_t)be16(p + BATCH_AT_PRODUCER_EPOCH);
    h->base_sequence = (int32_t)be32(p + BATCH_AT_BASE_SEQUENCE);
    h->count = (int32_t)be32(p + BATCH_AT_COUNT);
}

/* Headers are shown as they are, so this is no batch_parse_head, which refuses damage. As Kafka's: fewer than 18 bytes, or fewer than
 * the batch says, are the end. */
int dump_walk_next(struct dump *d, struct dump_walk *w, struct dump_batch *b)
{
    uint8_t p[BATCH_HEADER];
    int64_t left = w->end - w->at;

    if (left <= BATCH_PEEK) return 0;
    ssize_t n = d->fs->pread(d->fs, w->fd, p, sizeof p, w->at);
    if (n < 0) {
        dump_error(d, "position %lld: %s", (long long)w->at, err_text((int)n));
        return (int)n;
    }
    if (n < BATCH_PEEK) return 0;
    int32_t length = (int32_t)be32(p + BATCH_AT_LENGTH);
    if (length < LEGACY_OVERHEAD) {
        dump_error(d, "position %lld: Found record size %d smaller than minimum record overhead (%d) in file %s.",
                   (long long)w->at, length, LEGACY_OVERHEAD, w->path);
        return E_CORRUPT;
    }
    if (left - BATCH_PREFIX < length || length > INT32_MAX - BATCH_PREFIX) return 0;
    *b = (struct dump_batch){ .at = w->at };
    b->h.base_offset = batch_base_offset(p);
    b->h.size = length + BATCH_PREFIX;
    b->h.magic = (int8_t)p[BATCH_AT_MAGIC];
    b->header_whole = b->h.magic < 2 || n == BATCH_HEADER;
    if (b->h.magic < 2) legacy_head(p, (size_t)n, &b->h);
    else if (b->header_whole) v2_head(p, &b->h);
    b->h.codec = (enum codec)(b->h.attributes & BATCH_CODEC_MASK);
    w->at += b->h.size;
    return 1;
}

int dump_batch_load(struct dump *d, const struct dump_walk *w, const struct dump_batch *b)
{
    d->batch.n = 0;
    ssize_t n = d->fs->pread(d->fs, w->fd, bytes_room(&d->batch, (size_t)b->h.size), (size_t)b->h.size, b->at);

    if (n == b->h.size) {
        d->batch.n = (size_t)n;
        return 0;
    }
    dump_error(d, "batch at position %lld: %s", (long long)b->at, n < 0 ? err_text((int)n) : "the file became shorter");
    return n < 0 ? (int)n : E_TRUNCATED;
}

int dump_batch_iter(struct dump *d, struct record_iter *it)
{
    int8_t magic = d->batch.n > BATCH_AT_MAGIC ? (int8_t)d->batch.p[BATCH_AT_MAGIC] : 0;

    if (magic > 2) d->batch.p[BATCH_AT_MAGIC] = 2; /* Kafka reads what comes after 2 as 2 */
    return record_iter_init(it, d->batch.p, d->batch.n, &d->inflated,
                            (size_t)(d->o->inflate_max > 0 ? d->o->inflate_max : 512 * MiB));
}

/* Of the batch in d->batch. */
static bool is_valid(const struct dump *d, const struct dump_batch *b)
{
    if (b->h.magic < 2) return batch_verify(d->batch.p, d->batch.n) == 0;
    return d->batch.n >= BATCH_HEADER &&
           crc32c(0, d->batch.p + BATCH_AT_ATTRIBUTES, d->batch.n - BATCH_AT_ATTRIBUTES) == b->h.crc;
}

static const char *timestamp_type(const struct batch_head *h)
{
    return h->magic == 0 ? "NoTimestampType" : batch_is_log_append_time(h) ? "LogAppendTime" : "CreateTime";
}

static const char *truth(bool b) { return b ? "true" : "false"; }

static void put_batch(struct dump *d, const struct dump_batch *b)
{
    const struct batch_head *h = &b->h;
    char horizon[48], codec[24];
    bool valid = is_valid(d, b), json = d->o->json;

    if (h->codec < CODEC_COUNT) snprintf(codec, sizeof codec, "%s", codec_name(h->codec));
    else snprintf(codec, sizeof codec, "unknown(%d)", (int)h->codec);
    if (json) bytes_printf(&d->out, "{\"type\":\"batch\",");
    if (h->magic >= 2) {
        bool has = batch_has_delete_horizon(h);
        if (json) snprintf(horizon, sizeof horizon, has ? "%lld" : "null", (long long)h->base_timestamp);
        else snprintf(horizon, sizeof horizon, has ? "OptionalLong[%lld]" : "OptionalLong.empty", (long long)h->base_timestamp);
        bytes_printf(&d->out,
                     json ? "\"baseOffset\":%lld,\"lastOffset\":%lld,\"count\":%d,\"baseSequence\":%d,\"lastSequence\":%d,"
                            "\"producerId\":%lld,"
                            "\"producerEpoch\":%d,\"partitionLeaderEpoch\":%d,\"isTransactional\":%s,\"isControl\":%s,"
                            "\"deleteHorizonMs\":%s"
                          : "baseOffset: %lld lastOffset: %lld count: %d baseSequence: %d lastSequence: %d producerId: %lld "
                            "producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %s isControl: %s deleteHorizonMs: %s",
                     (long long)h->base_offset, (long long)dump_batch_last(b), h->count, h->base_sequence,
                     h->base_sequence == NO_SEQUENCE ? NO_SEQUENCE : sequence_add(h->base_sequence, h->last_offset_delta),
                     (long long)h->producer_id, h->producer_epoch, h->leader_epoch, truth(batch_is_transactional(h)),
                     truth(batch_is_control(h)), horizon);
    } else {
        bytes_printf(&d->out, json ? "\"offset\":%lld" : "offset: %lld", (long long)h->base_offset);
    }
    if (json)
        bytes_printf(
            &d->out,
            ",\"position\":%lld,\"timestampType\":\"%s\",\"timestamp\":%lld,\"size\":%d,\"magic\":%d,\"codec\":\"%s\",\"crc\":%u,"
            "\"valid\":%s}",
            (long long)b->at, timestamp_type(h), (long long)h->max_timestamp, h->size, h->magic, codec, h->crc, truth(valid));
    else
        bytes_printf(&d->out, " position: %lld %s: %lld size: %d magic: %d compresscodec: %s crc: %u isvalid: %s",
                     (long long)b->at, timestamp_type(h), (long long)h->max_timestamp, h->size, h->magic, codec, h->crc,
                     truth(valid));
    dump_end_line(d);
}

/* ---- records -------------------------------------------------------------------------------------------------------------------------- */

/* The messages inside a compressed message of magic 0 or 1 have checksums of their own, which record_iter does not give. */
static void open_inner(struct dump *d, const struct dump_batch *b)
{
    size_t key_at = b->h.magic == 0 ? LEGACY_TIMESTAMP : LEGACY_TIMESTAMP + 8;
    struct rd r = rd_of((struct slice){ (char *)d->batch.p, d->batch.n });
    struct inflater in = { 0 };
    uint8_t chunk[4096];
    ssize_t n;
    size_t max = (size_t)(d->o->inflate_max > 0 ? d->o->inflate_max : 512 * MiB);

    d->legacy.n = 0;
    (void)rd_take(&r, key_at);
    (void)rd_bytes(&r);
    struct slice value = rd_bytes(&r);
    if (r.err || !value.p || inflater_open(&in, b->h.codec, value.p, value.n, b->h.magic == 0) != 0) return;
    while (d->legacy.n < max && (n = inflater_read(&in, chunk, sizeof chunk)) > 0) bytes_put(&d->legacy, chunk, (size_t)n);
    inflater_close(&in);
}

static void put_headers(struct dump *d, const struct record *r)
{
    struct record left = *r;
    struct record_header h;

    bytes_printf(&d->out, d->o->json ? ",\"headers\":[" : " headerKeys: [");
    for (bool first = true; record_header_next(&left, &h) == 1; first = false) {
        if (!first) wr_u8(&d->out, ',');
        if (!d->o->json) {
            dump_utf8(&d->out, h.key);
            continue;
        }
        bytes_printf(&d->out, "{\"key\":");
        dump_json_string(&d->out, h.key);
        wr_u8(&d->out, ',');
        if (h.value.p) dump_json_bytes(&d->out, "value", h.value);
        else bytes_printf(&d->out, "\"value\":null");
        wr_u8(&d->out, '}');
    }
    wr_u8(&d->out, ']');
}

static int put_metadata(struct dump *d, const struct dump_batch *b, const struct record *r, size_t *inner_at)
{
    const struct batch_head *h = &b->h;
    bool json = d->o->json;
    int key = r->key.p ? (int)r->key.n : -1, value = r->value.p ? (int)r->value.n : -1;

    bytes_printf(
        &d->out,
        json ? "{\"type\":\"record\",\"offset\":%lld,\"timestampType\":\"%s\",\"timestamp\":%lld,\"keySize\":%d,\"valueSize\":%d"
             : "| offset: %lld %s: %lld keySize: %d valueSize: %d",
        (long long)r->offset, timestamp_type(h), (long long)r->timestamp, key, value);
    if (h->magic >= 2) {
        int32_t sequence =
            h->base_sequence < 0 ? NO_SEQUENCE : sequence_add(h->base_sequence, (int32_t)(r->offset - h->base_offset));
        bytes_printf(&d->out, json ? ",\"sequence\":%d" : " sequence: %d", sequence);
        put_headers(d, r);
    } else {
        struct slice m = { (char *)d->batch.p, d->batch.n };
        if (h->codec != CODEC_NONE) { /* the next one inside */
            struct slice left = { (char *)d->legacy.p + *inner_at, d->legacy.n - *inner_at };
            int32_t size = 0;
            m = batch_size(left.p, left.n, &size) == 0 && (size_t)size <= left.n ? (struct slice){ left.p, (size_t)size }
                                                                                 : (struct slice){ 0 };
            *inner_at += m.n;
        }
        bytes_printf(&d->out, json ? ",\"valid\":%s,\"crc\":%u" : " isValid: %s crc: %u", truth(batch_verify(m.p, m.n) == 0),
                     m.n >= BATCH_PEEK ? be32(m.p + LEGACY_CRC) : 0);
    }
    if (!batch_is_control(h) || h->magic < 2) return 0;
    if (json) wr_u8(&d->out, ',');
    d->line.n = 0;
    struct bytes text = { 0 };
    int rc = dump_control(d, r, &text);
    if (rc) bytes_printf(&text, json ? "\"controlType\":null" : "%s", "");
    bytes_put(&d->out, text.p, text.n);
    bytes_free(&text);
    return rc;
}

static void put_json_part(struct dump *d, const char *name, const struct dump_part *p)
{
    wr_u8(&d->out, ',');
    if (p->error) {
        bytes_printf(&d->out, "\"error\":");
        dump_json_string(&d->out, p->text);
    } else if (p->json.p) {
        bytes_printf(&d->out, "\"%s\":", name);
        bytes_put(&d->out, p->json.p, p->json.n);
    } else if (p->there) {
        dump_json_bytes(&d->out, name, p->text);
    } else {
        bytes_printf(&d->out, "\"%s\":null", name);
    }
}

static int put_contents(struct dump *d, const struct record *r)
{
    struct dump_part key, value;
    int rc = dump_decode(d, r, &key, &value);
    const char *prefix = d->o->skip_metadata ? "| " : " ";
    bool printable = d->o->decoder != DUMP_PLAIN;

    if (rc) return rc;
    if (d->o->json) {
        if (d->o->skip_metadata) bytes_printf(&d->out, "{\"type\":\"record\",\"offset\":%lld", (long long)r->offset);
        if (key.there || !value.error) put_json_part(d, "key", &key);
        if (value.there || !key.error) put_json_part(d, "value", &value);
        return 0;
    }
    if (key.there) {
        bytes_printf(&d->out, "%skey: ", prefix);
        if (printable) bytes_put(&d->out, key.text.p, key.text.n);
        else dump_utf8(&d->out, key.text);
        prefix = " ";
    }
    if (value.there) {
        bytes_printf(&d->out, "%spayload: ", prefix);
        if (printable) bytes_put(&d->out, value.text.p, value.text.n);
        else dump_utf8(&d->out, value.text);
    }
    return 0;
}

static void put_records(struct dump *d, const struct dump_batch *b, int64_t *last)
{
    struct record_iter it;
    struct record r;
    size_t inner_at = 0;
    bool control = b->h.magic >= 2 && batch_is_control(&b->h), skip = d->o->skip_metadata;
    int rc, bad;

    rc = dump_batch_iter(d, &it);
    if (rc == 0 && b->h.magic < 2 && b->h.codec != CODEC_NONE && !skip) open_inner(d, b);
    while (rc == 0 && (rc = record_next(&it, &r)) == 1) {
        if ((uint64_t)r.offset != (uint64_t)*last + 1) dump_note(d, NOTE_GAP, *last, r.offset);
        *last = r.offset;
        bad = skip ? 0 : put_metadata(d, b, &r, &inner_at);
        const char *what = bad ? "a damaged control record" : NULL;
        if (d->o->print_data && !control && (bad = put_contents(d, &r)))
            what = "Failed to decode message using the specified decoder (message had a missing key)";
        if (!d->o->json) {
            dump_end_line(d);
        } else if (!skip || (d->o->print_data && !control && !bad)) {
            wr_u8(&d->out, '}');
            dump_end_line(d);
        }
        if (what) dump_error(d, "offset %lld: %s", (long long)r.offset, what);
        rc = 0;
    }
    record_iter_end(&it);
    if (rc < 0)
        dump_error(d, "batch at offset %lld, position %lld: %s", (long long)b->h.base_offset, (long long)b->at, err_text(rc));
}

/* <offset, 20 digits>-<epoch, 10 digits>.checkpoint */
static bool snapshot_name(const char *name, long long *offset, int *epoch)
{
    if (strspn(name, "0123456789") != 20 || name[20] != '-' || strspn(name + 21, "0123456789") != 10) return false;
    *offset = strtoll(name, NULL, 10);
    *epoch = (int)strtol(name + 21, NULL, 10);
    return strcmp(name + 31, ".checkpoint") == 0;
}

static void put_file_json(struct dump *d, const char *kind)
{
    bytes_printf(&d->out, "{\"type\":\"file\",\"file\":");
    dump_json_string(&d->out, slice_of(d->path));
    bytes_printf(&d->out, ",\"kind\":\"%s\"}", kind);
    dump_end_line(d);
}

void dump_segment(struct dump *d)
{
    struct dump_walk w = { .path = d->path };
    struct dump_batch b;
    int64_t base, size, last = -1;
    long long end;
    int epoch, rc = 0;

    if (strcmp(d->name, "bootstrap.checkpoint") == 0) {
        if (!d->o->json) bytes_printf(&d->out, "KRaft bootstrap snapshot\n");
    } else if (snapshot_name(d->name, &end, &epoch)) {
        if (!d->o->json) bytes_printf(&d->out, "Snapshot end offset: %lld, epoch: %d\n", end, epoch);
    } else if (strcmp(strrchr(d->name, '.'), ".checkpoint") == 0) {
        dump_error(d, "the name is no snapshot's: <offset>-<epoch>.checkpoint");
        return;
    } else if (!dump_base_offset(d, &base)) {
        return;
    } else if (!d->o->json) {
        bytes_printf(&d->out, "Log starting offset: %lld\n", (long long)base);
    }
    if (dump_open(d, d->path, &w.fd, &size) != 0) return;
    w.end = MIN(size, d->o->max_bytes);
    if (d->o->max_bytes == INT32_MAX) w.end = size; /* Kafka's files end at 2 GiB; ours too, but this is no place to rely on it */
    int64_t valid = 0;
    while ((rc = dump_walk_next(d, &w, &b)) == 1) {
        if (!b.header_whole) {
            dump_error(d, "batch at position %lld: the file ends within its header", (long long)b.at);
        } else if (dump_batch_load(d, &w, &b) == 0) {
            put_batch(d, &b);
            if (d->o->deep) put_records(d, &b, &last);
        }
        valid = w.at;
    }
    if (rc == 0 && w.end > valid && d->o->max_bytes == INT32_MAX) {
        bytes_printf(&d->out,
                     d->o->json ? "{\"type\":\"trailingBytes\",\"bytes\":%lld,\"file\":"
                                : "Found %lld invalid bytes at the end of ",
                     (long long)(w.end - valid));
        if (d->o->json) {
            dump_json_string(&d->out, slice_of(d->path));
            wr_u8(&d->out, '}');
        } else {
            bytes_printf(&d->out, "%s", d->name);
        }
        dump_end_line(d);
    }
    d->fs->close(d->fs, w.fd);
}

/* ---- the run ---------------------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *suffix, *kind;
    void (*dump)(struct dump *d);
} kinds[] = {
    { ".log", "log", dump_segment },
    { ".checkpoint", "snapshot", dump_segment },
    { ".index", "index", dump_index },
    { ".timeindex", "timeIndex", dump_time_index },
    { ".snapshot", "producerSnapshot", dump_producer_snapshot },
    { ".txnindex", "txnIndex", dump_txn_index },
};

static int kind_of(const char *name)
{
    const char *suffix = strrchr(name, '.');

    for (size_t i = 0; suffix && i < ARRAY_LEN(kinds); i++)
        if (strcmp(suffix, kinds[i].suffix) == 0) return (int)i;
    return -1;
}

/* As java.io.File writes a name: no doubled slashes, none at the end. */
static const char *tidy(struct dump *d, const char *path)
{
    size_t n = strlen(path), m = 0;
    char *out = arena_alloc(&d->names, n + 1);

    for (size_t i = 0; i < n; i++)
        if (path[i] != '/' || m == 0 || out[m - 1] != '/') out[m++] = path[i];
    if (m > 1 && out[m - 1] == '/') m--;
    out[m] = 0;
    return out;
}

static void dump_file(struct dump *d, const char *path)
{
    const char *slash = strrchr(path, '/');

    d->path = path;
    d->name = slash ? slash + 1 : path;
    memset(d->now, 0, sizeof d->now);
    int kind = kind_of(d->name);
    if (d->o->json) {
        put_file_json(d, kind < 0 ? "unknown" : kinds[kind].kind);
    } else {
        bytes_printf(&d->out, "Dumping %s", path);
        dump_end_line(d);
    }
    if (kind >= 0) {
        kinds[kind].dump(d);
    } else if (!d->o->json) {
        struct slice line = arena_printf(&d->names, "Ignoring unknown file %s\n", path);
        dump_flush(d);
        d->sink->write(d->sink, true, line);
    }
}

static void dump_dir(struct dump *d, const char *path)
{
    struct slice *names;
    int n, rc;

    d->path = d->name = path;
    if ((rc = d->fs->list(d->fs, path, &d->names, &names, &n)) < 0) {
        dump_error(d, "%s", err_text(rc));
        return;
    }
    for (int i = 0; i < n; i++) {
        struct fs_stat st;
        const char *file = arena_printf(&d->names, "%s/%s", strcmp(path, "/") == 0 ? "" : path, names[i].p).p;
        if (kind_of(names[i].p) >= 0 && d->fs->stat(d->fs, file, &st) == 0 && !st.is_dir) dump_file(d, file);
    }
}

int dump_log(struct fs *fs, const struct dump_opts *o, struct dump_sink *sink)
{
    struct dump d = { .fs = fs, .o = o, .sink = sink };

    arena_init(&d.names);
    arena_init(&d.arena);
    for (int k = 0; k < NOTE_KINDS; k++) d.notes_end[k] = &d.notes[k];
    for (int i = 0; i < o->files_n; i++) {
        struct fs_stat st;
        const char *path = tidy(&d, o->files[i]);
        if (fs->stat(fs, path, &st) == 0 && st.is_dir) dump_dir(&d, path);
        else dump_file(&d, path);
    }
    put_notes(&d);
    arena_free(&d.names);
    arena_free(&d.arena);
    bytes_free(&d.out);
    bytes_free(&d.batch);
    bytes_free(&d.inflated);
    bytes_free(&d.legacy);
    bytes_free(&d.json);
    bytes_free(&d.ordered);
    bytes_free(&d.line);
    bytes_free(&d.err);
    return d.failed ? 1 : 0;
}

/* ---- options ---------------------------------------------------------------------------------------------------------------------------- */

static const char usage[] =
    "odradek dump-log [OPTION]... [FILE | DIRECTORY]...   what is in the files of a log directory, as kafka-dump-log prints it\n"
    "\n"
    "  --files F1,F2,...              files; a directory stands for all it holds\n"
    "  --print-data-log               keys and values too; any decoder implies it\n"
    "  --deep-iteration               records, not only batches; --print-data-log implies it\n"
    "  --skip-record-metadata         only keys and values of records\n"
    "  --offsets-decoder              records are those of __consumer_offsets\n"
    "  --transaction-log-decoder      ... __transaction_state\n"
    "  --share-group-state-decoder    ... __share_group_state\n"
    "  --cluster-metadata-decoder     ... __cluster_metadata and its snapshots\n"
    "  --remote-log-metadata-decoder  ... __remote_log_metadata\n"
    "  --key-decoder-class [NAME], --value-decoder-class [NAME]   only org.apache.kafka.tools.api.StringDecoder\n"
    "  --index-sanity-check           only what a broker checks of indexes when it starts\n"
    "  --verify-index-only            compare indexes with their log, print only differences\n"
    "  --max-message-size BYTES       of a batch that an index points to (5242880)\n"
    "  --max-bytes BYTES              read only so much of each log\n"
    "  --json                         one JSON object a line, on standard output\n"
    "\n"
    "Nothing is written. Exit code 1: something could not be read.\n";

enum option { OPT_FLAG, OPT_DECODER, OPT_PRINTS, OPT_NUMBER, OPT_CLASS, OPT_FILES, OPT_HELP };
static const struct {
    const char *name;
    size_t at; /* in struct dump_opts */
    enum option kind;
    enum dump_decoder decoder;
} options[] = {
    { "files", 0, OPT_FILES, 0 },
    { "print-data-log", 0, OPT_PRINTS, 0 },
    { "deep-iteration", offsetof(struct dump_opts, deep), OPT_FLAG, 0 },
    { "skip-record-metadata", offsetof(struct dump_opts, skip_metadata), OPT_FLAG, 0 },
    { "index-sanity-check", offsetof(struct dump_opts, index_sanity), OPT_FLAG, 0 },
    { "verify-index-only", offsetof(struct dump_opts, verify_only), OPT_FLAG, 0 },
    { "json", offsetof(struct dump_opts, json), OPT_FLAG, 0 },
    { "max-message-size", offsetof(struct dump_opts, max_message_size), OPT_NUMBER, 0 },
    { "max-bytes", offsetof(struct dump_opts, max_bytes), OPT_NUMBER, 0 },
    { "offsets-decoder", 0, OPT_DECODER, DUMP_OFFSETS },
    { "transaction-log-decoder", 0, OPT_DECODER, DUMP_TXN },
    { "cluster-metadata-decoder", 0, OPT_DECODER, DUMP_METADATA },
    { "remote-log-metadata-decoder", 0, OPT_DECODER, DUMP_REMOTE },
    { "share-group-state-decoder", 0, OPT_DECODER, DUMP_SHARE },
    { "key-decoder-class", 0, OPT_CLASS, 0 },
    { "value-decoder-class", 0, OPT_CLASS, 0 },
    { "help", 0, OPT_HELP, 0 },
};

/* By its name or the beginning of only one name, as Kafka's tools take it; -1 none, -2 several. */
static int option_of(struct slice name)
{
    int found = -1;

    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (slice_eq(slice_of(options[i].name), name)) return (int)i;
        if (name.n > 0 && strncmp(options[i].name, name.p, name.n) == 0) found = found == -1 ? (int)i : -2;
    }
    return found;
}

static void add_file(struct arena *a, struct dump_opts *o, int *cap, const char *file)
{
    if (o->files_n == *cap) {
        const char **more = arena_array(a, const char *, *cap = MAX(16, *cap * 2));
        if (o->files_n) memcpy(more, o->files, sizeof *more * (size_t)o->files_n);
        o->files = more;
    }
    o->files[o->files_n++] = file;
}

int dump_log_options(int argc, char **argv, struct arena *a, struct dump_opts *o, struct why *w)
{
    bool only_files = false;
    int cap = 0;

    *o = (struct dump_opts)DUMP_OPTS;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i], *value = NULL, *equals;
        if (only_files || arg[0] != '-' || !arg[1]) {
            add_file(a, o, &cap, arg);
            continue;
        }
        if (strcmp(arg, "--") == 0) {
            only_files = true;
            continue;
        }
        if (strcmp(arg, "-h") == 0) return 1;
        equals = strchr(arg, '=');
        struct slice name =
            arg[1] == '-' ? (struct slice){ arg + 2, equals ? (size_t)(equals - arg - 2) : strlen(arg + 2) } : S("");
        int k = option_of(name);
        if (k < 0) return why(w, E_INVALID, "%s: %s", k == -1 ? "unknown option" : "which option is meant", arg);
        enum option kind = options[k].kind;
        if (equals) value = equals + 1;
        else if ((kind == OPT_FILES || kind == OPT_NUMBER) && i + 1 < argc) value = argv[++i];
        else if (kind == OPT_CLASS && i + 1 < argc && strstr(argv[i + 1], "Decoder") && argv[i + 1][0] != '-') value = argv[++i];
        if ((kind == OPT_FILES || kind == OPT_NUMBER) && !value) return why(w, E_INVALID, "--%s needs a value", options[k].name);
        if (kind != OPT_FILES && kind != OPT_NUMBER && kind != OPT_CLASS && value)
            return why(w, E_INVALID, "--%s takes no value", options[k].name);
        switch (kind) {
        case OPT_HELP: return 1;
        case OPT_FLAG: *(bool *)((char *)o + options[k].at) = true; break;
        case OPT_PRINTS: o->print_data = true; break;
        case OPT_DECODER:
            o->decoder = options[k].decoder;
            o->print_data = true;
            break;
        case OPT_CLASS:
            if (value && strcmp(value, "org.apache.kafka.tools.api.StringDecoder") != 0 &&
                strcmp(value, "kafka.serializer.StringDecoder") != 0)
                return why(w, E_INVALID,
                           "%s: only org.apache.kafka.tools.api.StringDecoder is known; Java classes cannot be loaded", value);
            o->print_data = true;
            break;
        case OPT_NUMBER: {
            char *end;
            long n = strtol(value, &end, 10);
            if (!*value || *end || n < 0 || n > INT32_MAX)
                return why(w, E_INVALID, "--%s: '%s' is not a number from 0 to %d", options[k].name, value, INT32_MAX);
            *(int32_t *)((char *)o + options[k].at) = (int32_t)n;
            break;
        }
        case OPT_FILES:
            while (*value) {
                size_t n = strcspn(value, ",");
                if (n) add_file(a, o, &cap, arena_printf(a, "%.*s", (int)n, value).p);
                value += n + (value[n] == ',');
            }
        }
    }
    o->deep = o->deep || o->print_data;
    return o->files_n ? 0 : why(w, E_INVALID, "no files: give --files, or names of files or directories");
}

struct dump_stdio {
    struct dump_sink sink;
    bool failed;
};

static void write_stdio(struct dump_sink *s, bool error, struct slice text)
{
    struct dump_stdio *out = container_of(s, struct dump_stdio, sink);

    if (fwrite(text.p, 1, text.n, error ? stderr : stdout) != text.n) out->failed = true;
}

int dump_log_main(int argc, char **argv)
{
    struct arena a;
    struct dump_opts o;
    struct why w;
    int rc;

    arena_init(&a);
    rc = dump_log_options(argc, argv, &a, &o, &w);
    if (rc == 1) {
        (void)fputs(usage, stdout);
        rc = ODR_EXIT_OK;
    } else if (rc < 0) {
        (void)fprintf(stderr, "odradek dump-log: %s\n\n%s", w.text, usage);
        rc = ODR_EXIT_USAGE;
    } else {
        struct world *world = world_real_new();
        struct dump_stdio out = { .sink.write = write_stdio };
        char *cwd = getcwd(NULL, 0);
        o.cwd = cwd;
        rc = dump_log(world->fs, &o, &out.sink) ? ODR_EXIT_FAILURE : ODR_EXIT_OK;
        if (fflush(stdout) != 0 || out.failed) rc = ODR_EXIT_FAILURE;
        free(cwd);
        world_free(&world);
    }
    arena_free(&a);
    return rc;
}
