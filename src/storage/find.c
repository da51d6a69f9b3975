/* From timestamps to offsets: ListOffsets by time and by largest timestamp. */
#include "internal.h"

struct hit {
    int64_t offset, timestamp;
    int32_t epoch;
};

/* The first record of the batch at w with timestamp ≥ ts and offset in [from, upto): 1, 0 none, or an error. */
static int in_batch(struct walk *w, int64_t ts, int64_t from, int64_t upto, struct bytes *scratch, struct hit *out)
{
    struct batch_head h;
    const uint8_t *whole;
    struct record_iter it;
    struct record r;
    int rc = walk_peek(w, &h, &whole);
    if (rc != 1) return rc;
    rc = record_iter_init(&it, whole, (size_t)h.size, scratch, 0);
    while (rc == 0 && (rc = record_next(&it, &r)) == 1) {
        rc = 0;
        if (r.offset >= upto) break;
        if (r.timestamp < ts || r.offset < from) continue;
        *out = (struct hit){ r.offset, r.timestamp, h.leader_epoch };
        rc = 1;
        break;
    }
    record_iter_end(&it);
    return rc;
}

struct view {
    struct segment *seg; /* one reference */
    uint32_t size;
    int64_t start, bound, max_ts, max_ts_offset;
};

/* The i-th segment that holds something below the bound; false: no more. Its largest timestamp is known. */
static int view_at(struct plog *p, int64_t *from, enum read_upto upto, struct view *v)
{
    pthread_mutex_lock(&p->mu);
    v->start = p->start;
    v->bound = upto == READ_END ? p->end : upto == READ_STABLE ? p->stable : p->watermark;
    int i = MAX(0, plog_seg_at(p, MAX(*from, p->start)));
    struct segment *s = *from < v->bound && i < p->segs_n && p->segs[i]->base < v->bound ? seg_ref(p->segs[i]) : NULL;
    *from = i + 1 < p->segs_n ? p->segs[i + 1]->base : INT64_MAX;
    v->seg = s;
    pthread_mutex_unlock(&p->mu);
    if (!s) return 0;
    int rc = seg_load(s);
    pthread_mutex_lock(&p->mu);
    v->size = s->size;
    v->max_ts = s->gauge.max_ts;
    v->max_ts_offset = s->gauge.max_ts_offset;
    bool deleted = s->deleted;
    pthread_mutex_unlock(&p->mu);
    if (rc < 0) {
        seg_unref(&v->seg);
        return deleted ? 0 : rc;
    }
    return 1;
}

int plog_find_time(struct plog *p, int64_t ts, enum read_upto upto, int64_t *offset, int64_t *timestamp, int32_t *epoch)
{
    struct hit hit = { -1, -1, -1 };
    struct bytes scratch = { 0 };
    struct view v;
    int64_t from = 0;
    int rc = plog_unmade(p) ? 1 : plog_warm(p); /* 1: nothing is there */
    *offset = *timestamp = *epoch = -1;
    while (rc == 0 && (rc = view_at(p, &from, upto, &v)) == 1) {
        rc = 0;
        if (v.max_ts < ts) {
            seg_unref(&v.seg);
            continue;
        }
        int64_t near;
        uint32_t at = 0;
        rc = seg_lookup_time(v.seg, ts, &near);
        if (rc == 0) rc = seg_lookup(v.seg, MAX(near, v.start), &at);
        int fd = rc == 0 ? seg_pin(v.seg, false) : -1;
        if (rc == 0 && fd < 0) rc = err_of_errno(fd);
        if (rc == 0) {
            struct walk w;
            struct batch_head h;
            walk_begin(&w, p->logs->fs, fd, at, v.size, NULL, 16 * KiB);
            while ((rc = walk_peek(&w, &h, NULL)) == 1 ||
                   (rc == E_CORRUPT_MESSAGE && (rc = walk_resync(&w, &h, v.seg->base)) == 1)) {
                if (h.magic == 2 && h.base_offset >= v.bound) {
                    rc = 0;
                    break;
                }
                if (batch_last_offset(&h) >= v.start && h.max_timestamp >= ts) {
                    rc = in_batch(&w, ts, v.start, v.bound, &scratch, &hit);
                    if (rc != 0) break;
                }
                walk_skip(&w, &h);
            }
            walk_end(&w);
            seg_unpin(v.seg);
        }
        seg_unref(&v.seg);
        if (rc == 1) break;
    }
    bytes_free(&scratch);
    if (rc < 0) return plog_read_failed(p, rc);
    *offset = hit.offset;
    *timestamp = hit.timestamp;
    *epoch = hit.epoch;
    return 0;
}

/* The first batch with the largest timestamp among those of the segment that lie in [start, bound): 1 with *at, *ts. */
static int max_in_segment(struct plog *p, const struct view *v, uint32_t *at, int64_t *ts)
{
    struct walk w;
    struct batch_head h;
    uint32_t from = 0;
    bool known = v->max_ts_offset < v->bound && v->max_ts_offset >= v->start;
    int rc = 0, fd;
    bool found = false;
    if (known && (rc = seg_lookup(v->seg, v->max_ts_offset, &from)) < 0) return rc;
    if ((fd = seg_pin(v->seg, false)) < 0) return err_of_errno(fd);
    walk_begin(&w, p->logs->fs, fd, from, v->size, NULL, 16 * KiB);
    while ((rc = walk_peek(&w, &h, NULL)) == 1 && batch_last_offset(&h) < v->bound) {
        if (batch_last_offset(&h) >= v->start && h.max_timestamp >= 0 && (!found || h.max_timestamp > *ts)) {
            found = true;
            *at = (uint32_t)w.at;
            *ts = h.max_timestamp;
        }
        if (known && batch_last_offset(&h) >= v->max_ts_offset) break;
        walk_skip(&w, &h);
    }
    walk_end(&w);
    seg_unpin(v->seg);
    return rc < 0 && rc != E_CORRUPT_MESSAGE ? rc : found;
}

int plog_find_max_time(struct plog *p, enum read_upto upto, int64_t *offset, int64_t *timestamp, int32_t *epoch)
{
    struct hit hit = { -1, -1, -1 };
    struct bytes scratch = { 0 };
    struct view v, best = { 0 };
    int64_t from = 0, best_ts = -1;
    uint32_t best_at = 0;
    int rc = plog_unmade(p) ? 1 : plog_warm(p); /* 1: nothing is there */
    while (rc == 0 && (rc = view_at(p, &from, upto, &v)) == 1) {
        uint32_t at;
        int64_t ts = -1;
        rc = 0;
        if (v.max_ts > best_ts) rc = max_in_segment(p, &v, &at, &ts);
        if (rc == 1 && ts > best_ts) {
            seg_unref(&best.seg);
            best = v;
            best_ts = ts;
            best_at = at;
        } else seg_unref(&v.seg);
        rc = MIN(rc, 0);
    }
    if (rc == 0 && best.seg) {
        int fd = seg_pin(best.seg, false);
        if (fd < 0) rc = err_of_errno(fd);
        else {
            struct walk w;
            walk_begin(&w, p->logs->fs, fd, best_at, best.size, NULL, 16 * KiB);
            rc = in_batch(&w, best_ts, best.start, best.bound, &scratch, &hit);
            walk_end(&w);
            seg_unpin(best.seg);
        }
    }
    seg_unref(&best.seg);
    bytes_free(&scratch);
    *offset = hit.offset;
    *timestamp = hit.timestamp;
    *epoch = hit.epoch;
    return MIN(plog_read_failed(p, rc), 0);
}
