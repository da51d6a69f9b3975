/* See clean_filter.h. A batch is read once to judge its records, and once more only when it must be written anew. */
#include "clean_filter.h"
#include <stdlib.h>

#define INFLATE_MAX ((size_t)INT32_MAX) /* the log took it, so it is read */

/* ---- transactions ------------------------------------------------------------------------------------------------------------------ */

/* A producer with a transaction that began below where we are. */
struct clean_open {
    struct map_node node;
    int64_t producer_id;
    bool aborted, committed; /* aborted: e is known to end in an abort; committed: data that is not aborted was seen */
    bool seen;               /* data of the aborted one was seen */
    struct txidx_entry e;
};

static bool open_eq(const struct map_node *n, const void *key)
{
    return container_of(n, struct clean_open, node)->producer_id == *(const int64_t *)key;
}

static struct clean_open *open_find(const struct clean_txns *t, int64_t producer_id)
{
    struct map_node *n = map_find(&t->open, hash_bytes(&producer_id, sizeof(producer_id)), open_eq, &producer_id);
    return n ? container_of(n, struct clean_open, node) : NULL;
}

static struct clean_open *open_get(struct clean_txns *t, int64_t producer_id)
{
    struct clean_open *o = open_find(t, producer_id);
    if (o) return o;
    o = new (struct clean_open);
    o->producer_id = producer_id;
    map_put(&t->open, hash_bytes(&producer_id, sizeof(producer_id)), &o->node);
    return o;
}

static void open_drop_unused(struct clean_txns *t, struct clean_open *o)
{
    if (o->aborted || o->committed) return;
    map_remove(&t->open, &o->node);
    mem_free(o);
}

static int txn_cmp(const void *a, const void *b)
{
    const struct txidx_entry *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

void clean_txns_add(struct clean_txns *t, const struct txidx_entry *e, int n)
{
    int left = t->aborted_n - t->aborted_at;
    if (n == 0) return;
    if (left > 0) memmove(t->aborted, t->aborted + t->aborted_at, (size_t)left * sizeof(*t->aborted));
    t->aborted_at = 0;
    t->aborted_n = left + n;
    if (t->aborted_n > t->aborted_cap) {
        t->aborted_cap = MAX(16, 2 * t->aborted_n);
        t->aborted = mem_realloc(t->aborted, (size_t)t->aborted_cap * sizeof(*t->aborted));
    }
    for (int i = 0; i < n; i++) t->aborted[left + i] = e[i];
    qsort(t->aborted, (size_t)t->aborted_n, sizeof(*t->aborted), txn_cmp);
}

static void txns_reach(struct clean_txns *t, int64_t offset)
{
    for (; t->aborted_at < t->aborted_n && t->aborted[t->aborted_at].first <= offset; t->aborted_at++) {
        const struct txidx_entry *e = &t->aborted[t->aborted_at];
        struct clean_open *o = open_get(t, e->producer_id);
        if (o->aborted) continue;
        o->aborted = true;
        o->seen = false;
        o->e = *e;
    }
}

int clean_txns_control(struct clean_txns *t, const void *p, const struct batch_head *h)
{
    struct record_iter it;
    struct record r;
    struct bytes scratch = { 0 };
    txns_reach(t, batch_last_offset(h));
    int type = -1, rc = record_iter_init(&it, p, (size_t)h->size, &scratch, 0);
    if (rc == 0 && (rc = record_next(&it, &r)) == 1) type = rc = control_type_of(&r);
    else if (rc == 0) rc = 1; /* emptied by an earlier cleaning */
    record_iter_end(&it);
    bytes_free(&scratch);
    if (rc < 0 || type < 0) return rc;
    if (type != CONTROL_ABORT && type != CONTROL_COMMIT) return 0;

    struct clean_open *o = open_find(t, h->producer_id);
    if (!o) return 1;
    bool keep = type == CONTROL_ABORT ? o->aborted && o->seen : o->committed;
    if (type == CONTROL_ABORT) {
        if (keep) {
            if (t->kept_n == t->kept_cap)
                t->kept = mem_realloc(t->kept, (size_t)(t->kept_cap = MAX(16, 2 * t->kept_cap)) * sizeof(*t->kept));
            t->kept[t->kept_n++] = o->e;
        }
        o->aborted = o->seen = false;
    } else o->committed = false;
    open_drop_unused(t, o);
    return !keep;
}

bool clean_txns_data(struct clean_txns *t, const struct batch_head *h)
{
    txns_reach(t, batch_last_offset(h));
    if (h->magic < 2 || !batch_is_transactional(h)) return false;
    struct clean_open *o = open_get(t, h->producer_id);
    if (o->aborted) o->seen = true;
    else o->committed = true;
    return o->aborted;
}

void clean_txns_free(struct clean_txns *t)
{
    for (struct map_node *n; (n = map_next(&t->open, NULL));) {
        map_remove(&t->open, n);
        mem_free(container_of(n, struct clean_open, node));
    }
    map_free(&t->open);
    mem_free(t->aborted);
    mem_free(t->kept);
    *t = (struct clean_txns){ 0 };
}

/* ---- indexing ------------------------------------------------------------------------------------------------------------------------ */

int clean_index(struct clean_map *m, struct clean_txns *t, const void *p, const struct batch_head *h, int64_t start,
                struct bytes *scratch, struct clean_stats *st)
{
    struct record_iter it;
    struct record r;
    int rc = 0;
    if (h->magic == 2 && batch_is_control(h)) {
        if (t && (rc = clean_txns_control(t, p, h)) < 0) return rc;
    } else if (!t || !clean_txns_data(t, h)) {
        rc = record_iter_init(&it, p, (size_t)h->size, scratch, INFLATE_MAX);
        while (rc == 0 && (rc = record_next(&it, &r)) == 1) {
            st->map_records++;
            rc = 0;
            if (r.key.p && r.offset >= start && !clean_map_put(m, r.key, r.offset)) {
                record_iter_end(&it);
                return 0;
            }
        }
        record_iter_end(&it);
        if (rc < 0) return rc;
    }
    if (batch_last_offset(h) >= start) m->latest = batch_last_offset(h);
    return 1;
}

/* ---- writing anew ---------------------------------------------------------------------------------------------------------------------- */

static bool bit(const struct bytes *b, size_t i) { return b->p[i / 8] >> (i % 8) & 1; }

/* The batch with the records that stay; magic 0 and 1 become 2, as since Kafka 4.0. `first` is the first offset that stays. */
static int rewrite(struct clean_filter *f, const void *p, const struct batch_head *h, int64_t first, int64_t horizon, bool empty,
                   struct bytes *out)
{
    struct batch_builder b;
    struct record_iter it;
    struct record r;
    struct batch_opts o = BATCH_OPTS;
    int rc = 0;
    o.base_offset = h->magic < 2 ? first : h->base_offset;
    if (h->magic == 2) {
        o.last_offset_delta = h->last_offset_delta;
        o.leader_epoch = h->leader_epoch;
        o.transactional = batch_is_transactional(h);
        o.control = batch_is_control(h);
        o.producer_id = h->producer_id;
        o.producer_epoch = h->producer_epoch;
        o.base_sequence = h->base_sequence;
    }
    o.codec = h->codec;
    o.delete_horizon_ms = horizon;
    if (batch_is_log_append_time(h)) o.log_append_ms = h->max_timestamp;
    o.empty_max_timestamp = h->max_timestamp;
    batch_begin(&b, &o, out);
    if (!empty) {
        rc = record_iter_init(&it, p, (size_t)h->size, &f->scratch, INFLATE_MAX);
        for (size_t i = 0; rc == 0 && (rc = record_next(&it, &r)) == 1; i++) {
            rc = 0;
            if (bit(&f->keep, i)) batch_add(&b, &r);
        }
        record_iter_end(&it);
    }
    if (rc < 0) {
        batch_abandon(&b);
        return rc;
    }
    return MIN(batch_end(&b), 0);
}

/* ---- judging ----------------------------------------------------------------------------------------------------------------------------- */

static bool keep_record(struct clean_filter *f, const struct batch_head *h, const struct record *r)
{
    if (r->offset > f->map->latest) return true;
    if (!r->key.p) {
        f->stats->invalid++;
        return false;
    }
    if (r->offset < clean_map_get(f->map, r->key)) return false;
    if (r->value.p) return true;
    if (h->magic < 2) return f->legacy_keep;
    return !batch_has_delete_horizon(h) || f->now_ms < h->base_timestamp;
}

static bool is_last_of_producer(struct clean_filter *f, const struct batch_head *h)
{
    if (h->producer_id < 0) return false;
    struct clean_producer p = f->producer(f->arg, h->producer_id);
    if (!p.known) return false;
    if (p.last_offset >= 0) return batch_last_offset(h) == p.last_offset;
    return batch_is_control(h) && h->producer_epoch == p.epoch;
}

int clean_batch(struct clean_filter *f, const void *p, const struct batch_head *h, struct bytes *out)
{
    bool control = h->magic == 2 && batch_is_control(h), had_horizon = h->magic == 2 && batch_has_delete_horizon(h);
    int rc = control ? clean_txns_control(f->txns, p, h) : clean_txns_data(f->txns, h);
    if (rc < 0) return rc;
    bool may_go = rc == 1, discard = may_go && (!control || (had_horizon && h->base_timestamp <= f->now_ms));
    bool keep_empty = h->magic == 2 && (is_last_of_producer(f, h) || batch_last_offset(h) + 1 == f->upper);

    f->stats->read_bytes += h->size;
    size_t out_was = out->n;
    int64_t kept = 0, lost = 0, first = -1;
    bool tombstones = false;
    if (!discard || keep_empty) {
        struct record_iter it;
        struct record r;
        f->keep.n = 0;
        rc = record_iter_init(&it, p, (size_t)h->size, &f->scratch, INFLATE_MAX);
        for (size_t i = 0; rc == 0 && (rc = record_next(&it, &r)) == 1; i++) {
            rc = 0;
            f->stats->read_records++;
            if (i % 8 == 0) bytes_put(&f->keep, "", 1);
            bool stays = !discard && (control || keep_record(f, h, &r));
            if (stays) {
                f->keep.p[i / 8] |= (uint8_t)(1 << (i % 8));
                if (kept++ == 0) first = r.offset;
                tombstones |= !r.value.p;
            } else lost++;
        }
        record_iter_end(&it);
        if (rc < 0) return rc;
    } else f->stats->read_records += MAX(h->count, 0);

    if (kept > 0) {
        bool mark = (tombstones || (may_go && control)) && !had_horizon;
        int64_t horizon = mark          ? f->now_ms + MIN(f->delete_retention_ms, INT64_MAX - f->now_ms)
                          : had_horizon ? h->base_timestamp
                                        : NO_TIMESTAMP;
        if (lost == 0 && !mark && h->magic == 2) bytes_put(out, p, (size_t)h->size);
        else rc = rewrite(f, p, h, first, horizon, false, out);
    } else if (keep_empty) rc = rewrite(f, p, h, first, NO_TIMESTAMP, true, out);
    if (rc < 0) {
        out->n = out_was;
        return rc;
    }
    f->stats->kept_records += kept;
    f->stats->kept_bytes += (int64_t)(out->n - out_was);
    return 0;
}

void clean_filter_free(struct clean_filter *f)
{
    bytes_free(&f->keep);
    bytes_free(&f->scratch);
}
