/* dump-log: the files that are derived from a log.
 *
 * .index      entries of 8 bytes: offset − base offset of the segment (int32), position in the log (int32) of the batch that ends with
 *             that offset. Where a broker crashed zero entries follow: they are where the file ends.
 * .timeindex  entries of 12 bytes: timestamp (int64), offset − base offset (int32): no record up to that offset is newer.
 * .txnindex   entries of 34 bytes: version (int16) 0, producer id, first offset, last offset, last stable offset (int64 each).
 * .snapshot   version (int16) 1, CRC-32C of what follows (uint32), count (int32), entries of 46 bytes: producer id (int64), epoch
 *             (int16), last sequence (int32), last offset (int64), offset delta (int32), timestamp (int64), coordinator epoch (int32),
 *             first offset of the open transaction (int64, −1 none). */
#include "dump.h"

enum { INDEX_ENTRY = 8, TIME_ENTRY = 12, TXN_ENTRY = 34, PRODUCER_ENTRY = 46, CHUNK = 12 * 1024, WARM = 8192 };

/* Entries of a file, read through one chunk. */
struct entries {
    struct fs *fs;
    int fd;
    int size; /* of an entry */
    int64_t n, length;
    int64_t base;
    int64_t at; /* first byte in the chunk */
    ssize_t have;
    char chunk[CHUNK];
};

static int entries_open(struct dump *d, const char *path, int size, int64_t base, struct entries *e)
{
    *e = (struct entries){ .fs = d->fs, .size = size, .base = base, .have = 0 };
    int rc = dump_open(d, path, &e->fd, &e->length);
    e->n = rc ? 0 : e->length / size;
    return rc;
}

static void entries_close(struct entries *e) { e->fs->close(e->fs, e->fd); }

static const char *entry_at(struct dump *d, struct entries *e, int64_t i)
{
    int64_t at = i * e->size;

    if (at < e->at || at + e->size > e->at + e->have) {
        int64_t whole = CHUNK - CHUNK % e->size;
        e->at = at / whole * whole;
        e->have = e->fs->pread(e->fs, e->fd, e->chunk, (size_t)whole, e->at);
        if (e->have < at + e->size - e->at) {
            dump_error(d, "entry %lld: %s", (long long)i, e->have < 0 ? err_text((int)e->have) : "the file became shorter");
            e->have = 0;
            return NULL;
        }
    }
    return e->chunk + (at - e->at);
}

static int64_t entry_offset(const struct entries *e, const char *p)
{
    return (int64_t)((uint64_t)e->base + (uint64_t)(int64_t)(int32_t)be32(p + e->size - (e->size == INDEX_ENTRY ? 8 : 4)));
}

/* "…/name.from" -> "…/name.to", name up to its first dot, as Kafka finds the files that belong together. In d->names. */
static const char *sibling(struct dump *d, const char *suffix)
{
    size_t stem = strcspn(d->name, ".");
    struct bytes b = { 0 };
    bytes_put(&b, d->path, (size_t)(d->name - d->path) + stem);
    bytes_put(&b, suffix, strlen(suffix) + 1);
    char *path = arena_alloc(&d->names, b.n);
    memcpy(path, b.p, b.n);
    bytes_free(&b);
    return path;
}

static void passed(struct dump *d, bool is_empty)
{
    if (d->o->json) {
        bytes_printf(&d->out, "{\"type\":\"%s\",\"file\":", is_empty ? "empty" : "sane");
        dump_json_string(&d->out, slice_of(d->path));
        wr_u8(&d->out, '}');
    } else {
        bytes_printf(&d->out, is_empty ? "%s is empty." : "%s passed sanity check.", d->path);
    }
    dump_end_line(d);
}

void dump_index(struct dump *d)
{
    struct dump_walk log = { 0 };
    struct dump_batch b;
    struct entries e;
    int64_t base, log_size;

    if (!dump_base_offset(d, &base)) return;
    const char *log_path = sibling(d, ".log"), *p;
    if (dump_open(d, log_path, &log.fd, &log_size) != 0) return;
    if (entries_open(d, d->path, INDEX_ENTRY, base, &e) != 0) goto close_log;
    if (e.n == 0) {
        passed(d, true);
        goto out;
    }
    if (d->o->index_sanity) {
        if (!(p = entry_at(d, &e, e.n - 1))) goto out;
        int64_t last = entry_offset(&e, p);
        const char *whole = dump_absolute(d, d->path).p;
        if (last < base)
            dump_error(d,
                       "Corrupt index found, index file %s has non-zero size but the last offset is %lld which is less than the "
                       "base offset %lld",
                       whole, (long long)last, (long long)base);
        else if (e.length % INDEX_ENTRY)
            dump_error(d, "Index file %s is corrupt, found %lld bytes which is neither positive nor a multiple of %d", whole,
                       (long long)e.length, INDEX_ENTRY);
        else passed(d, false);
        goto out;
    }
    log.path = log_path;
    for (int64_t i = 0; i < e.n && (p = entry_at(d, &e, i)); i++) {
        int64_t offset = entry_offset(&e, p);
        int32_t position = (int32_t)be32(p + 4);
        if (offset == base && i > 0) break;
        log.at = position;
        log.end = MIN(log_size, (int64_t)position + d->o->max_message_size);
        int rc = 0;
        if (position < 0 || position > log_size)
            dump_error(d, "offset %lld: position %d is not in the log, which has %lld bytes", (long long)offset, position,
                       (long long)log_size);
        else if ((rc = dump_walk_next(d, &log, &b)) == 0)
            dump_error(d, "offset %lld: no batch at position %d", (long long)offset, position);
        if (rc == 1 && dump_batch_last(&b) != offset) dump_note(d, NOTE_INDEX, offset, dump_batch_last(&b));
        if (d->o->verify_only) continue;
        bytes_printf(&d->out,
                     d->o->json ? "{\"type\":\"indexEntry\",\"offset\":%lld,\"position\":%d}" : "offset: %lld position: %d",
                     (long long)offset, position);
        dump_end_line(d);
    }
out:
    entries_close(&e);
close_log:
    d->fs->close(d->fs, log.fd);
}

/* The position of the last batch at or before the offset, as the broker looks it up: among the newest entries first. */
static int32_t lookup(struct dump *d, struct entries *e, int64_t offset)
{
    const char *p;

    if (e->n == 0) return 0;
    int64_t hot = MAX(0, e->n - 1 - WARM / INDEX_ENTRY), lo = 0, hi = hot;
    if (!(p = entry_at(d, e, hot))) return 0;
    if (entry_offset(e, p) < offset) {
        lo = hot;
        hi = e->n - 1;
    } else {
        if (!(p = entry_at(d, e, 0))) return 0;
        if (entry_offset(e, p) > offset) return 0;
    }
    while (lo < hi) {
        int64_t mid = (lo + hi + 1) / 2;
        if (!(p = entry_at(d, e, mid))) return 0;
        int64_t found = entry_offset(e, p);
        if (found == offset) return (int32_t)be32(p + 4);
        if (found > offset) hi = mid - 1;
        else lo = mid;
    }
    return (p = entry_at(d, e, lo)) ? (int32_t)be32(p + 4) : 0;
}

static int max_timestamp(struct dump *d, const struct dump_walk *log, const struct dump_batch *b, int64_t *out)
{
    struct record_iter it;
    struct record r;
    int rc = dump_batch_load(d, log, b);

    if (rc) return rc;
    *out = NO_TIMESTAMP;
    rc = dump_batch_iter(d, &it);
    while (rc == 0 && (rc = record_next(&it, &r)) == 1) {
        *out = MAX(*out, r.timestamp);
        rc = 0;
    }
    record_iter_end(&it);
    if (rc < 0)
        dump_error(d, "batch at offset %lld, position %lld: %s", (long long)b->h.base_offset, (long long)b->at, err_text(rc));
    return rc;
}

void dump_time_index(struct dump *d)
{
    struct dump_walk log = { 0 };
    struct dump_batch b = { 0 };
    struct entries e, ix;
    struct fs_stat st;
    int64_t base, log_size, before = NO_TIMESTAMP, seen = INT64_MIN, seen_at = 0;
    const char *p;

    if (!dump_base_offset(d, &base)) return;
    const char *log_path = sibling(d, ".log"), *index_path = sibling(d, ".index");
    if (dump_open(d, log_path, &log.fd, &log_size) != 0) return;
    ix.fd = -1;
    ix.n = 0;
    if (d->fs->stat(d->fs, index_path, &st) == 0 && entries_open(d, index_path, INDEX_ENTRY, base, &ix) != 0) goto close_log;
    if (entries_open(d, d->path, TIME_ENTRY, base, &e) != 0) goto close_index;
    if (d->o->index_sanity) {
        int64_t first_ts = 0, last_ts = 0, last = base;
        if (e.n > 0) {
            if (!(p = entry_at(d, &e, 0))) goto out;
            first_ts = (int64_t)be64(p);
            if (!(p = entry_at(d, &e, e.n - 1))) goto out;
            last_ts = (int64_t)be64(p);
            last = entry_offset(&e, p);
        }
        const char *whole = dump_absolute(d, d->path).p;
        if (last_ts < first_ts)
            dump_error(d,
                       "Corrupt time index found, time index file (%s) has non-zero size but the last timestamp is %lld which is "
                       "less than the first timestamp %lld",
                       whole, (long long)last_ts, (long long)first_ts);
        else if (last < base)
            dump_error(d,
                       "Corrupt time index found, time index file (%s) has non-zero size but the last offset is %lld which is "
                       "less than the first offset %lld",
                       whole, (long long)last, (long long)base);
        else if (e.length % TIME_ENTRY)
            dump_error(d, "Time index file %s is corrupt, found %lld bytes which is neither positive nor a multiple of %d", whole,
                       (long long)e.length, TIME_ENTRY);
        else passed(d, false);
        goto out;
    }
    log.path = log_path;
    for (int64_t i = 0; i < e.n && (p = entry_at(d, &e, i)); i++) {
        int64_t timestamp = (int64_t)be64(p), offset = entry_offset(&e, p), newest;
        if (offset == base && i > 0) break;
        int32_t position = lookup(d, &ix, offset);
        int rc = 0;
        if (position < 0 || position > log_size) {
            dump_error(d, "offset %lld: position %d is not in the log, which has %lld bytes", (long long)offset, position,
                       (long long)log_size);
        } else {
            /* Entries rise: what lies before the batch of the last one need not be walked again (an index may be all zero). */
            log.at = offset >= seen ? MAX(position, seen_at) : position;
            log.end = log_size;
            while ((rc = dump_walk_next(d, &log, &b)) == 1 && dump_batch_last(&b) < offset) {}
            if (rc == 1) {
                seen = offset;
                seen_at = b.at;
            }
            if (rc == 0) {
                dump_note(d, NOTE_TIME_LOST, offset, -1);
            } else if (rc == 1 && dump_batch_last(&b) != offset) {
                dump_note(d, NOTE_TIME_LOST, offset, dump_batch_last(&b));
            } else if (rc == 1 && max_timestamp(d, &log, &b, &newest) == 0) {
                if (newest != timestamp) dump_note(d, NOTE_TIME, timestamp, newest);
                if (before >= timestamp) dump_note(d, NOTE_TIME_ORDER, timestamp, before);
            }
        }
        before = timestamp;
        if (d->o->verify_only) continue;
        bytes_printf(&d->out,
                     d->o->json ? "{\"type\":\"timeIndexEntry\",\"timestamp\":%lld,\"offset\":%lld}"
                                : "timestamp: %lld offset: %lld",
                     (long long)timestamp, (long long)offset);
        dump_end_line(d);
    }
out:
    entries_close(&e);
close_index:
    if (ix.fd >= 0) entries_close(&ix);
close_log:
    d->fs->close(d->fs, log.fd);
}

void dump_txn_index(struct dump *d)
{
    struct entries e;
    int64_t base;
    const char *p;

    if (!dump_base_offset(d, &base) || entries_open(d, d->path, TXN_ENTRY, base, &e) != 0) return;
    for (int64_t i = 0; i < e.n && (p = entry_at(d, &e, i)); i++) {
        int version = (int16_t)be16(p);
        if (version > 0) {
            dump_error(d, "entry %lld: unexpected version %d", (long long)i, version);
            break;
        }
        bytes_printf(&d->out,
                     d->o->json
                         ? "{\"type\":\"abortedTxn\",\"version\":%d,\"producerId\":%lld,\"firstOffset\":%lld,\"lastOffset\":%lld,"
                           "\"lastStableOffset\":%lld}"
                         : "version: %d producerId: %lld firstOffset: %lld lastOffset: %lld lastStableOffset: %lld",
                     version, (long long)be64(p + 2), (long long)be64(p + 10), (long long)be64(p + 18), (long long)be64(p + 26));
        dump_end_line(d);
    }
    entries_close(&e);
}

void dump_producer_snapshot(struct dump *d)
{
    struct bytes in = { 0 };
    int rc = fs_read_file(d->fs, d->path, 256 * MiB, &in);

    if (rc) {
        dump_error(d, "%s", err_text(rc));
        bytes_free(&in);
        return;
    }
    struct rd r = rd_of((struct slice){ (char *)in.p, in.n });
    int16_t version = rd_i16(&r);
    uint32_t crc = rd_u32(&r);
    int32_t n = rd_i32(&r);
    if (in.n >= 2 && version != 1) {
        dump_error(d, "Snapshot failed schema validation: Snapshot contained an unknown file version %d", version);
    } else if (r.err || n < 0 || rd_left(&r) / PRODUCER_ENTRY < (size_t)n) {
        dump_error(d, "Snapshot failed schema validation: it ends too early");
    } else if (crc32c(0, in.p + 6, in.n - 6) != crc) {
        dump_error(d, "Snapshot is corrupt (CRC is no longer valid). Stored crc: %u. Computed crc: %u", crc,
                   crc32c(0, in.p + 6, in.n - 6));
    } else {
        bool json = d->o->json;
        for (int32_t i = 0; i < n; i++) {
            long long id = rd_i64(&r);
            int epoch = rd_i16(&r), last_sequence = rd_i32(&r);
            long long last_offset = rd_i64(&r);
            int delta = rd_i32(&r);
            long long timestamp = rd_i64(&r);
            int coordinator = rd_i32(&r);
            long long first = rd_i64(&r);
            char open[48] = "OptionalLong.empty";
            if (json) snprintf(open, sizeof open, "%lld", first);
            else if (first >= 0) snprintf(open, sizeof open, "OptionalLong[%lld]", first);
            if (json && first < 0) strcpy(open, "null");
            bytes_printf(
                &d->out,
                json ? "{\"type\":\"producer\",\"producerId\":%lld,\"producerEpoch\":%d,\"coordinatorEpoch\":%d,"
                       "\"currentTxnFirstOffset\":%s,\"lastTimestamp\":%lld"
                     : "producerId: %lld producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: %s lastTimestamp: %lld",
                id, epoch, coordinator, open, timestamp);
            if (last_offset >= 0) {
                /* sequences go round: from 0 back to INT32_MAX */
                uint32_t back = last_sequence < delta ? (uint32_t)INT32_MAX + 1 : 0;
                bytes_printf(
                    &d->out,
                    json ? ",\"firstSequence\":%d,\"lastSequence\":%d,\"lastOffset\":%lld,\"offsetDelta\":%d,\"timestamp\":%lld"
                         : " firstSequence: %d lastSequence: %d lastOffset: %lld offsetDelta: %d timestamp: %lld",
                    (int32_t)((uint32_t)last_sequence - (uint32_t)delta + back), last_sequence, last_offset, delta, timestamp);
            }
            if (json) wr_u8(&d->out, '}');
            dump_end_line(d);
        }
    }
    bytes_free(&in);
}
