/* Producer state: a hash map of producers, two lists of transactions, and an undo log for the batches of one write.
 *
 * A producer's last batches are a ring of 1 (enough for the many that write once and go) or PSTATE_BATCHES places. A change of
 * epoch empties the ring by setting its count, so one apply overwrites at most one place: an undo record is the entry's head
 * and that place. Open transactions are a list in offset order (they begin at the end of the log); ended ones a queue in the
 * order of their markers.
 *
 * Reading a log again, everything is believed, even an older epoch: it was checked when it was written. */
#include "pstate.h"

#include <errno.h>
#include <odradek/batch.h>
#include <stdlib.h>

struct kept { /* one of the last batches */
    int32_t last_sequence;
    int32_t offset_delta;
    int64_t last_offset;
    int64_t timestamp;
};

struct pstate_txn {
    struct list link; /* in ongoing, unreplicated or spare */
    int64_t producer_id;
    int64_t first, last; /* offsets; last, the marker's, once it ended */
};

struct facts { /* what of a producer an undo record keeps */
    int64_t last_timestamp;
    struct pstate_txn *txn; /* open transaction or NULL */
    int32_t coordinator_epoch;
    int16_t epoch;
    uint8_t n, head; /* batches, and where the oldest is */
};

struct producer {
    struct map_node node;
    int64_t id;
    struct facts f;
    uint8_t cap; /* places in batch: 1 or PSTATE_BATCHES */
    struct kept batch[];
};

struct undo {
    int64_t id;
    struct facts was;
    struct kept kept;        /* what stood in `place` */
    struct pstate_txn *done; /* the transaction that ended, or NULL */
    uint8_t place;           /* UINT8_MAX: none was written */
    bool created, started;   /* the producer, a transaction */
};

enum { SPARES_MAX = 16, SNAPSHOT_VERSION = 1, SNAPSHOT_HEAD = 10, SNAPSHOT_CRC_FROM = 6, NO_PLACE = UINT8_MAX };
#define SNAPSHOT_BYTES_MAX ((size_t)1 << 30)

/* ---- producers ------------------------------------------------------------------------------------------------------- */

static bool producer_eq(const struct map_node *n, const void *key)
{
    return container_of(n, const struct producer, node)->id == *(const int64_t *)key;
}

static struct producer *producer_find(const struct pstate *ps, int64_t id)
{
    if (ps->producers.n == 0) return NULL;
    struct map_node *n = map_find(&ps->producers, hash_bytes(&id, sizeof(id)), producer_eq, &id);
    return n ? container_of(n, struct producer, node) : NULL;
}

static struct producer *producer_first(const struct pstate *ps)
{
    struct map_node *n = map_next(&ps->producers, NULL);
    return n ? container_of(n, struct producer, node) : NULL;
}

static struct producer *producer_next(const struct pstate *ps, const struct producer *p)
{
    struct map_node *n = map_next(&ps->producers, &p->node);
    return n ? container_of(n, struct producer, node) : NULL;
}

static struct producer *producer_add(struct pstate *ps, int64_t id, uint8_t cap)
{
    struct producer *p = mem_zalloc(sizeof(*p) + cap * sizeof(struct kept));
    p->id = id;
    p->cap = cap;
    p->f = (struct facts){ .last_timestamp = NO_TIMESTAMP, .coordinator_epoch = -1, .epoch = NO_PRODUCER_EPOCH };
    map_put(&ps->producers, hash_bytes(&id, sizeof(id)), &p->node);
    return p;
}

static void producer_remove(struct pstate *ps, struct producer *p)
{
    map_remove(&ps->producers, &p->node);
    mem_free(p);
}

/* Room for all its batches: the entry moves. */
static struct producer *producer_grow(struct pstate *ps, struct producer *p)
{
    assert(p->cap == 1 && p->f.head == 0);
    struct producer *q = producer_add(ps, p->id, PSTATE_BATCHES);
    q->f = p->f;
    q->batch[0] = p->batch[0];
    producer_remove(ps, p);
    return q;
}

static const struct kept *producer_last(const struct producer *p)
{
    return p->f.n ? &p->batch[(p->f.head + p->f.n - 1) % p->cap] : NULL;
}

static int32_t producer_last_sequence(const struct producer *p)
{
    const struct kept *last = producer_last(p);
    return last ? last->last_sequence : NO_SEQUENCE;
}

static void producer_epoch(struct producer *p, int16_t epoch)
{
    if (p->f.epoch == epoch) return;
    p->f.epoch = epoch;
    p->f.n = p->f.head = 0;
}

static int32_t kept_first_sequence(const struct kept *k)
{
    return sequence_add(k->last_sequence, (int32_t) - (uint32_t)k->offset_delta);
}

/* ---- transactions ---------------------------------------------------------------------------------------------------- */

static struct pstate_txn *txn_of(struct list *n) { return container_of(n, struct pstate_txn, link); }

static struct pstate_txn *txn_new(struct pstate *ps, int64_t producer_id, int64_t first)
{
    struct list *n = list_pop(&ps->spare);
    struct pstate_txn *t = n ? txn_of(n) : mem_alloc(sizeof(*t));
    ps->spares -= n != NULL;
    *t = (struct pstate_txn){ .producer_id = producer_id, .first = first, .last = -1 };
    list_init(&t->link);
    return t;
}

static void txn_free(struct pstate *ps, struct pstate_txn *t)
{
    if (ps->spares == SPARES_MAX) {
        mem_free(t);
        return;
    }
    list_push(&ps->spare, &t->link);
    ps->spares++;
}

/* Nearly always at the end of the list, where the newest is. */
static void txn_open(struct pstate *ps, struct pstate_txn *t)
{
    struct list *at = ps->ongoing.prev;
    while (at != &ps->ongoing && txn_of(at)->first > t->first) at = at->prev;
    list_push_front(at, &t->link);
}

static void unreplicated_recount(struct pstate *ps)
{
    ps->unreplicated_min = INT64_MAX;
    list_each (n, &ps->unreplicated) ps->unreplicated_min = MIN(ps->unreplicated_min, txn_of(n)->first);
}

static void txns_clear(struct pstate *ps)
{
    struct list *n;
    while ((n = list_pop(&ps->ongoing))) mem_free(txn_of(n));
    while ((n = list_pop(&ps->unreplicated))) mem_free(txn_of(n));
    ps->unreplicated_min = INT64_MAX;
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

void pstate_init(struct pstate *ps, int64_t log_start)
{
    *ps = (struct pstate){ .unreplicated_min = INT64_MAX, .end = log_start, .snap = log_start };
    list_init(&ps->ongoing);
    list_init(&ps->unreplicated);
    list_init(&ps->spare);
}

static void producers_clear(struct pstate *ps)
{
    for (struct producer *p = producer_first(ps), *next; p; p = next) {
        next = producer_next(ps, p);
        producer_remove(ps, p);
    }
    map_free(&ps->producers);
}

void pstate_clear(struct pstate *ps, int64_t end)
{
    producers_clear(ps);
    txns_clear(ps);
    ps->end = ps->snap = end;
}

void pstate_free(struct pstate *ps)
{
    producers_clear(ps);
    txns_clear(ps);
    struct list *n;
    while ((n = list_pop(&ps->spare))) mem_free(txn_of(n));
    pstate_init(ps, ps->end);
}

/* ---- the facts of a batch -------------------------------------------------------------------------------------------- */

/* Only abort and commit markers matter; other control records change nothing. */
static int marker_of(const void *p, size_t n, struct pstate_batch *out)
{
    struct bytes scratch = { 0 };
    struct record_iter it;
    struct record r;
    int rc = record_iter_init(&it, p, n, &scratch, 0);
    if (rc == 0 && (rc = record_next(&it, &r)) == 1) {
        int type = control_type_of(&r);
        rc = MIN(type, 0);
        if (type == PSTATE_ABORT || type == PSTATE_COMMIT) {
            rc = control_coordinator_epoch(&r, &out->coordinator_epoch);
            if (rc == 0) out->marker = (enum pstate_marker)type;
            out->max_timestamp = r.timestamp;
        }
    }
    record_iter_end(&it);
    bytes_free(&scratch);
    return rc;
}

int pstate_batch_of(const void *p, size_t n, struct pstate_batch *out)
{
    struct batch_head h;
    *out = (struct pstate_batch){ .producer_id = NO_PRODUCER_ID, .marker = PSTATE_NO_MARKER };
    int rc = batch_parse_head(p, n, &h);
    if (rc < 0) return rc;
    out->producer_id = h.magic < 2 ? NO_PRODUCER_ID : h.producer_id;
    out->epoch = h.producer_epoch;
    out->transactional = batch_is_transactional(&h);
    out->control = batch_is_control(&h);
    out->base_sequence = h.base_sequence;
    out->last_sequence = batch_last_sequence(&h);
    out->first_offset = h.base_offset;
    out->last_offset = batch_last_offset(&h);
    out->max_timestamp = h.max_timestamp;
    if (out->producer_id < 0 || !out->control || h.count == 0) return 0;
    return marker_of(p, n, out);
}

/* ---- checking -------------------------------------------------------------------------------------------------------- */

static bool find_duplicate(const struct producer *p, const struct pstate_batch *b, struct pstate_dup *dup)
{
    if (p->f.epoch != b->epoch) return false;
    for (int i = 0; i < p->f.n; i++) {
        const struct kept *k = &p->batch[(p->f.head + i) % p->cap];
        if (k->last_sequence != b->last_sequence || kept_first_sequence(k) != b->base_sequence) continue;
        if (dup) *dup = (struct pstate_dup){ k->last_offset - k->offset_delta, k->last_offset, k->timestamp };
        return true;
    }
    return false;
}

static int check_marker(const struct producer *p, const struct pstate_batch *b)
{
    if (!p) return 0;
    if (b->txn_version >= 2 && b->epoch == p->f.epoch) {
        /* The marker of a transaction that has ended already, sent again; or the last epoch there is, which cannot be raised. */
        if (p->f.txn && b->epoch != INT16_MAX) return E_INVALID_PRODUCER_EPOCH;
    } else if (b->epoch < p->f.epoch) {
        return E_INVALID_PRODUCER_EPOCH;
    }
    return p->f.coordinator_epoch > b->coordinator_epoch ? E_TRANSACTION_COORDINATOR_FENCED : 0;
}

static int check_sequence(const struct producer *p, const struct pstate_batch *b)
{
    if (!p || p->f.epoch == NO_PRODUCER_EPOCH) return 0;
    int32_t expected = 0;
    if (b->epoch == p->f.epoch) {
        int32_t last = producer_last_sequence(p);
        expected = last == INT32_MAX ? 0 : last + 1;
    }
    return b->base_sequence == expected ? 0 : E_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

int pstate_check(const struct pstate *ps, const struct pstate_batch *b, bool client, struct pstate_dup *dup)
{
    if (b->producer_id < 0 || (b->control && b->marker == PSTATE_NO_MARKER)) return 0;
    const struct producer *p = producer_find(ps, b->producer_id);
    if (client && p && find_duplicate(p, b, dup)) return E_DUPLICATE_BATCH;
    if (b->control) return check_marker(p, b);
    if (p && b->epoch < p->f.epoch) return E_INVALID_PRODUCER_EPOCH;
    if (client && check_sequence(p, b) != 0) return E_OUT_OF_ORDER_SEQUENCE_NUMBER;
    return p && p->f.txn && !b->transactional ? E_INVALID_TXN_STATE : 0;
}

/* ---- applying, and taking back --------------------------------------------------------------------------------------- */

static void apply_data(struct pstate *ps, struct producer *p, const struct pstate_batch *b, struct undo *u)
{
    producer_epoch(p, b->epoch);
    if (p->f.n == p->cap && p->cap < PSTATE_BATCHES) p = producer_grow(ps, p);
    uint8_t place = (uint8_t)((p->f.head + p->f.n) % p->cap);
    u->place = place;
    u->kept = p->batch[place];
    p->batch[place] = (struct kept){ .last_sequence = b->last_sequence,
                                     .offset_delta = (int32_t)(b->last_offset - b->first_offset),
                                     .last_offset = b->last_offset,
                                     .timestamp = b->max_timestamp };
    if (p->f.n < p->cap) p->f.n++;
    else p->f.head = (uint8_t)((p->f.head + 1) % p->cap);
    p->f.last_timestamp = b->max_timestamp;
    if (b->transactional && !p->f.txn) {
        p->f.txn = txn_new(ps, p->id, b->first_offset);
        txn_open(ps, p->f.txn);
        u->started = true;
    }
}

/* Where the last stable offset stands if this transaction ends now: at the first open one of another producer. */
static int64_t stable_without(const struct pstate *ps, const struct pstate_txn *t, int64_t marker)
{
    list_each (n, &ps->ongoing)
        if (txn_of(n)->producer_id != t->producer_id) return txn_of(n)->first;
    return marker + 1;
}

static bool apply_marker(struct pstate *ps, struct producer *p, const struct pstate_batch *b, struct undo *u,
                         struct pstate_done *done)
{
    struct pstate_txn *t = p->f.txn;
    producer_epoch(p, b->epoch);
    p->f.coordinator_epoch = b->coordinator_epoch;
    p->f.last_timestamp = b->max_timestamp;
    if (!t) return false;

    if (done)
        *done = (struct pstate_done){ .producer_id = p->id,
                                      .first_offset = t->first,
                                      .last_offset = b->first_offset,
                                      .aborted = b->marker == PSTATE_ABORT,
                                      .stable_offset = stable_without(ps, t, b->first_offset) };
    p->f.txn = NULL;
    t->last = b->first_offset;
    list_remove(&t->link);
    list_push(&ps->unreplicated, &t->link);
    ps->unreplicated_min = MIN(ps->unreplicated_min, t->first);
    u->done = t;
    return true;
}

bool pstate_apply(struct pstate *ps, const struct pstate_batch *b, struct pstate_run *run, struct pstate_done *done)
{
    if (b->producer_id < 0 || (b->control && b->marker == PSTATE_NO_MARKER)) return false;
    struct producer *p = producer_find(ps, b->producer_id);
    struct undo u = { .id = b->producer_id, .created = !p, .place = NO_PLACE };
    if (!p) p = producer_add(ps, b->producer_id, 1);
    u.was = p->f;

    bool ended = false;
    if (b->control) ended = apply_marker(ps, p, b, &u, done);
    else apply_data(ps, p, b, &u);
    if (run) bytes_put(&run->log, &u, sizeof(u));
    return ended;
}

static void undo_one(struct pstate *ps, const struct undo *u)
{
    struct producer *p = producer_find(ps, u->id);
    assert(p);
    if (u->started) {
        list_remove(&p->f.txn->link);
        txn_free(ps, p->f.txn);
    }
    if (u->done) {
        list_remove(&u->done->link);
        u->done->last = -1;
        txn_open(ps, u->done);
        unreplicated_recount(ps);
    }
    if (u->created) {
        producer_remove(ps, p);
        return;
    }
    p->f = u->was;
    if (u->place != NO_PLACE) p->batch[u->place] = u->kept;
}

size_t pstate_run_mark(const struct pstate_run *run) { return run->log.n; }

void pstate_run_undo(struct pstate *ps, struct pstate_run *run, size_t mark)
{
    assert(mark <= run->log.n && (run->log.n - mark) % sizeof(struct undo) == 0);
    while (run->log.n > mark) {
        struct undo u;
        run->log.n -= sizeof(u);
        memcpy(&u, run->log.p + run->log.n, sizeof(u));
        undo_one(ps, &u);
    }
}

void pstate_run_keep(struct pstate_run *run) { run->log.n = 0; }

void pstate_run_free(struct pstate_run *run) { bytes_free(&run->log); }

/* ---- offsets --------------------------------------------------------------------------------------------------------- */

void pstate_set_end(struct pstate *ps, int64_t end) { ps->end = end; }

int64_t pstate_first_undecided(const struct pstate *ps)
{
    return list_empty(&ps->ongoing) ? INT64_MAX : txn_of(ps->ongoing.next)->first;
}

int64_t pstate_first_unstable(const struct pstate *ps)
{
    int64_t open = pstate_first_undecided(ps);
    return MIN(open, ps->unreplicated_min);
}

void pstate_set_watermark(struct pstate *ps, int64_t watermark)
{
    bool dropped = false;
    while (!list_empty(&ps->unreplicated) && txn_of(ps->unreplicated.next)->last < watermark) {
        txn_free(ps, txn_of(list_pop(&ps->unreplicated)));
        dropped = true;
    }
    if (dropped) unreplicated_recount(ps);
}

void pstate_set_start(struct pstate *ps, int64_t log_start)
{
    pstate_set_watermark(ps, log_start);
    ps->end = MAX(ps->end, log_start);
}

static bool is_expired(const struct facts *f, int64_t now_ms, int64_t expiration_ms)
{
    int64_t idle;
    if (__builtin_sub_overflow(now_ms, f->last_timestamp, &idle)) idle = f->last_timestamp < 0 ? INT64_MAX : INT64_MIN;
    return !f->txn && idle >= expiration_ms;
}

void pstate_expire(struct pstate *ps, int64_t now_ms, int64_t expiration_ms)
{
    for (struct producer *p = producer_first(ps), *next; p; p = next) {
        next = producer_next(ps, p);
        if (is_expired(&p->f, now_ms, expiration_ms)) producer_remove(ps, p);
    }
    if (ps->producers.n == 0) map_free(&ps->producers);
}

/* ---- looking --------------------------------------------------------------------------------------------------------- */

size_t pstate_count(const struct pstate *ps) { return ps->producers.n; }

int64_t pstate_max_producer_id(const struct pstate *ps)
{
    int64_t max = NO_PRODUCER_ID;
    for (const struct producer *p = producer_first(ps); p; p = producer_next(ps, p)) max = MAX(max, p->id);
    return max;
}

int64_t pstate_oldest_txn_ms(const struct pstate *ps)
{
    if (list_empty(&ps->ongoing)) return -1;
    const struct producer *p = producer_find(ps, txn_of(ps->ongoing.next)->producer_id);
    return p ? p->f.last_timestamp : -1;
}

static struct pstate_view view_of(const struct producer *p)
{
    const struct kept *last = producer_last(p);
    return (struct pstate_view){ .producer_id = p->id,
                                 .epoch = p->f.epoch,
                                 .coordinator_epoch = p->f.coordinator_epoch,
                                 .last_sequence = last ? last->last_sequence : NO_SEQUENCE,
                                 .last_offset = last ? last->last_offset : -1,
                                 .last_timestamp = p->f.last_timestamp,
                                 .txn_start = p->f.txn ? p->f.txn->first : -1 };
}

bool pstate_find(const struct pstate *ps, int64_t producer_id, struct pstate_view *out)
{
    const struct producer *p = producer_find(ps, producer_id);
    if (p) *out = view_of(p);
    return p != NULL;
}

static int view_cmp(const void *a, const void *b)
{
    int64_t x = ((const struct pstate_view *)a)->producer_id, y = ((const struct pstate_view *)b)->producer_id;
    return x < y ? -1 : x > y;
}

int pstate_list(const struct pstate *ps, struct arena *a, struct pstate_view **out)
{
    int n = 0;
    *out = arena_array(a, struct pstate_view, MAX(ps->producers.n, 1));
    for (const struct producer *p = producer_first(ps); p; p = producer_next(ps, p)) (*out)[n++] = view_of(p);
    qsort(*out, (size_t)n, sizeof(**out), view_cmp);
    return n;
}

/* ---- snapshots ------------------------------------------------------------------------------------------------------- */

void pstate_encode(const struct pstate *ps, struct bytes *out)
{
    size_t size = SNAPSHOT_HEAD + ps->producers.n * PSTATE_ENTRY_SIZE;
    uint8_t *head = bytes_room(out, size), *at = head + SNAPSHOT_HEAD;
    for (const struct producer *p = producer_first(ps); p; p = producer_next(ps, p), at += PSTATE_ENTRY_SIZE) {
        const struct kept *last = producer_last(p);
        put_be64(at, (uint64_t)p->id);
        put_be16(at + 8, (uint16_t)p->f.epoch);
        put_be32(at + 10, (uint32_t)(last ? last->last_sequence : NO_SEQUENCE));
        put_be64(at + 14, (uint64_t)(last ? last->last_offset : -1));
        put_be32(at + 22, (uint32_t)(last ? last->offset_delta : 0));
        put_be64(at + 26, (uint64_t)p->f.last_timestamp);
        put_be32(at + 34, (uint32_t)p->f.coordinator_epoch);
        put_be64(at + 38, (uint64_t)(p->f.txn ? p->f.txn->first : -1));
    }
    assert(at == head + size);
    put_be16(head, SNAPSHOT_VERSION);
    put_be32(head + SNAPSHOT_CRC_FROM, (uint32_t)ps->producers.n);
    put_be32(head + 2, crc32c(0, head + SNAPSHOT_CRC_FROM, size - SNAPSHOT_CRC_FROM));
    out->n += size;
}

/* The number of entries, or E_CORRUPT. Bytes behind the entries are tolerated, as Kafka does: the CRC covers them. */
static int64_t snapshot_entries(struct slice file, struct why *w)
{
    if (file.n < SNAPSHOT_HEAD) return why(w, E_CORRUPT, "producer snapshot of %zu bytes is too short", file.n);
    int version = (int16_t)be16(file.p);
    if (version != SNAPSHOT_VERSION) return why(w, E_CORRUPT, "producer snapshot has version %d", version);
    uint32_t is = crc32c(0, file.p + SNAPSHOT_CRC_FROM, file.n - SNAPSHOT_CRC_FROM), says = be32(file.p + 2);
    if (is != says) return why(w, E_CORRUPT, "producer snapshot has CRC %08x, should be %08x", says, is);
    int64_t n = (int32_t)be32(file.p + SNAPSHOT_CRC_FROM);
    if (n < 0 || (uint64_t)n > (file.n - SNAPSHOT_HEAD) / PSTATE_ENTRY_SIZE)
        return why(w, E_CORRUPT, "producer snapshot announces %lld entries", (long long)n);
    return n;
}

static void decode_entry(struct pstate *ps, const char *at, int64_t now_ms, int64_t expiration_ms)
{
    int64_t id = (int64_t)be64(at), last_offset = (int64_t)be64(at + 14), txn = (int64_t)be64(at + 38);
    struct facts f = { .last_timestamp = (int64_t)be64(at + 26),
                       .coordinator_epoch = (int32_t)be32(at + 34),
                       .epoch = (int16_t)be16(at + 8),
                       .n = last_offset >= 0 };
    struct producer *p = producer_find(ps, id);
    if (p && p->f.txn) { /* named twice: the last one counts */
        list_remove(&p->f.txn->link);
        txn_free(ps, p->f.txn);
        p->f.txn = NULL;
    }
    if (txn < 0 && is_expired(&f, now_ms, expiration_ms)) {
        if (p) producer_remove(ps, p);
        return;
    }
    if (!p) p = producer_add(ps, id, 1);
    if (txn >= 0) {
        f.txn = txn_new(ps, id, txn);
        list_push(&ps->ongoing, &f.txn->link); /* in order later */
    }
    p->f = f;
    p->batch[0] = (struct kept){ .last_sequence = (int32_t)be32(at + 10),
                                 .offset_delta = (int32_t)be32(at + 22),
                                 .last_offset = last_offset,
                                 .timestamp = f.last_timestamp };
}

static int txn_cmp(const void *a, const void *b)
{
    int64_t x = (*(struct pstate_txn *const *)a)->first, y = (*(struct pstate_txn *const *)b)->first;
    return x < y ? -1 : x > y;
}

static void ongoing_sort(struct pstate *ps)
{
    size_t n = 0;
    list_each (it, &ps->ongoing) n++;
    if (n < 2) return;
    struct pstate_txn **v = mem_alloc(n * sizeof(struct pstate_txn *));
    for (size_t i = 0; i < n; i++) v[i] = txn_of(list_pop(&ps->ongoing));
    qsort(v, n, sizeof(struct pstate_txn *), txn_cmp);
    for (size_t i = 0; i < n; i++) list_push(&ps->ongoing, &v[i]->link);
    mem_free(v);
}

int pstate_decode(struct pstate *ps, struct slice file, int64_t offset, int64_t now_ms, int64_t expiration_ms, struct why *w)
{
    int64_t n = snapshot_entries(file, w);
    if (n < 0) return (int)n;
    for (int64_t i = 0; i < n; i++)
        if ((int64_t)be64(file.p + SNAPSHOT_HEAD + i * PSTATE_ENTRY_SIZE) < 0)
            return why(w, E_CORRUPT, "producer snapshot names a negative producer id");

    pstate_clear(ps, offset);
    for (int64_t i = 0; i < n; i++) decode_entry(ps, file.p + SNAPSHOT_HEAD + i * PSTATE_ENTRY_SIZE, now_ms, expiration_ms);
    ongoing_sort(ps);
    return 0;
}

int64_t pstate_file_max_id(struct slice file)
{
    int64_t n = snapshot_entries(file, NULL), max = NO_PRODUCER_ID;
    for (int64_t i = 0; i < n; i++) {
        int64_t id = (int64_t)be64(file.p + SNAPSHOT_HEAD + i * PSTATE_ENTRY_SIZE);
        max = MAX(max, id);
    }
    return max;
}

/* ---- snapshot files -------------------------------------------------------------------------------------------------- */

static const char *snapshot_path(struct arena *a, const char *dir, int64_t offset)
{
    return arena_printf(a, "%s/%020lld.snapshot", dir, (long long)offset).p;
}

/* Exactly 20 digits and the suffix; -1: another file. */
static int64_t snapshot_offset(struct slice name)
{
    const struct slice suffix = S(".snapshot");
    if (name.n != 20 + suffix.n || memcmp(name.p + 20, suffix.p, suffix.n) != 0) return -1;
    int64_t offset = 0;
    for (int i = 0; i < 20; i++) {
        if (name.p[i] < '0' || name.p[i] > '9') return -1;
        if (__builtin_mul_overflow(offset, 10, &offset) || __builtin_add_overflow(offset, name.p[i] - '0', &offset)) return -1;
    }
    return offset;
}

int pstate_snapshots(struct fs *fs, const char *dir, struct arena *a, int64_t **offsets, int *n)
{
    struct slice *names = NULL;
    int count = 0;
    *offsets = NULL;
    *n = 0;
    int rc = fs->list(fs, dir, a, &names, &count);
    if (rc < 0) return err_of_errno(rc);
    *offsets = arena_array(a, int64_t, MAX(count, 1));
    for (int i = 0; i < count; i++) { /* names are sorted, and as wide as their numbers */
        int64_t offset = snapshot_offset(names[i]);
        if (offset >= 0) (*offsets)[(*n)++] = offset;
    }
    return 0;
}

int pstate_snapshot_write(struct fs *fs, const char *dir, int64_t offset, struct slice content)
{
    struct arena a;
    arena_init(&a);
    int rc = fs_write_file(fs, snapshot_path(&a, dir, offset), content);
    arena_free(&a);
    return err_of_errno(rc);
}

void pstate_snapshot_written(struct pstate *ps, int64_t offset) { ps->snap = MAX(ps->snap, offset); }

int pstate_snapshot(struct pstate *ps, struct fs *fs, const char *dir)
{
    if (!pstate_snapshot_due(ps)) return 0;
    struct bytes file = { 0 };
    pstate_encode(ps, &file);
    int rc = pstate_snapshot_write(fs, dir, ps->end, (struct slice){ (const char *)file.p, file.n });
    bytes_free(&file);
    if (rc == 0) pstate_snapshot_written(ps, ps->end);
    return rc;
}

static int snapshot_remove(struct fs *fs, struct arena *a, const char *dir, int64_t offset)
{
    int rc = fs->unlink(fs, snapshot_path(a, dir, offset));
    return rc == -ENOENT ? 0 : err_of_errno(rc);
}

/* 0: loaded. E_CORRUPT: take an older one. */
static int snapshot_load(struct pstate *ps, struct fs *fs, struct arena *a, const char *dir, int64_t offset, int64_t now_ms,
                         int64_t expiration_ms, struct why *w)
{
    struct bytes file = { 0 };
    const char *path = snapshot_path(a, dir, offset);
    int rc = fs_read_file(fs, path, SNAPSHOT_BYTES_MAX, &file);
    if (rc == -EFBIG || rc == -EISDIR) rc = why(w, E_CORRUPT, "not a producer snapshot");
    else if (rc < 0) rc = why(w, err_of_errno(rc), "%s", err_text(rc));
    else rc = pstate_decode(ps, (struct slice){ (const char *)file.p, file.n }, offset, now_ms, expiration_ms, w);
    bytes_free(&file);
    return rc == 0 ? 0 : why_wrap(w, rc, "%s", path);
}

int pstate_load(struct pstate *ps, struct fs *fs, const char *dir, int64_t log_start, int64_t log_end, int64_t now_ms,
                int64_t expiration_ms, struct why *w)
{
    struct arena a;
    int64_t *offsets;
    int n = 0;
    arena_init(&a);
    pstate_clear(ps, log_start);
    int rc = pstate_snapshots(fs, dir, &a, &offsets, &n);
    if (rc < 0) why(w, rc, "%s: %s", dir, err_text(rc));

    bool loaded = false;
    for (int i = n - 1; i >= 0 && rc == 0; i--) {
        bool in_range = offsets[i] > log_start && offsets[i] <= log_end;
        if (in_range && !loaded) {
            struct why reason = { "" };
            rc = snapshot_load(ps, fs, &a, dir, offsets[i], now_ms, expiration_ms, &reason);
            loaded = rc == 0;
            if (rc == E_CORRUPT) {
                log_warn("pstate", "snapshot dropped", KV_STR("reason", reason.text));
                rc = 0;
            } else if (rc < 0) {
                why(w, rc, "%s", reason.text);
            }
            if (loaded || rc < 0) continue;
        } else if (in_range) {
            continue;
        }
        rc = snapshot_remove(fs, &a, dir, offsets[i]);
        if (rc < 0) why(w, rc, "%s: %s", snapshot_path(&a, dir, offsets[i]), err_text(rc));
    }
    arena_free(&a);
    return rc;
}

int pstate_remove_before(struct fs *fs, const char *dir, int64_t offset)
{
    struct arena a;
    int64_t *offsets;
    int n = 0;
    arena_init(&a);
    int rc = pstate_snapshots(fs, dir, &a, &offsets, &n);
    for (int i = 0; i < n && rc == 0 && offsets[i] < offset; i++) rc = snapshot_remove(fs, &a, dir, offsets[i]);
    arena_free(&a);
    return rc;
}

static int offset_cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int pstate_remove_stray(struct fs *fs, const char *dir, const int64_t *bases, int n)
{
    struct arena a;
    int64_t *offsets;
    int count = 0;
    arena_init(&a);
    int rc = pstate_snapshots(fs, dir, &a, &offsets, &count);
    int64_t top = n ? bases[n - 1] : -1;
    for (int i = 0; i < count && rc == 0; i++) {
        if (n && bsearch(&offsets[i], bases, (size_t)n, sizeof(*bases), offset_cmp)) continue;
        if (i == count - 1 && offsets[i] > top) continue;
        rc = snapshot_remove(fs, &a, dir, offsets[i]);
    }
    arena_free(&a);
    return rc;
}
