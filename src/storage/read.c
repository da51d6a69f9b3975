/* Reading: an offset becomes a part of a segment file, bounded by the watermark as it was in the same critical section (J19).
 *
 * The place of an offset comes from the reader's cursor (tail readers touch no index), or from where a small read ended before (clients without
 * fetch sessions have no cursor), else from the sparse index and a walk over the batch headers that follow. Bytes below a bound that was once
 * published never change, so all of that runs without the log's mutex. */
#include "internal.h"
#include "txidx.h"

enum {
    HEADS = 8192,      /* bytes read at once: what an index leaves to walk, and often what it leads to */
    HEADS_LEAST = 512, /* where nothing is left to walk: of an answer that will not be copied */
    TRAIL_NEAR = 8,    /* offsets: so near before what is asked for, a trail is as good as an index */
    NO_TRAIL = -1,
    LONG_WALK = 1024 * 1024, /* an index that leaves more than this to walk, */
    LONG_WALK_BATCHES = 256, /* in so many batches, is short: it is rebuilt */
    PREFAULT_STEP = 64 * 1024,
    PREFAULT_AHEAD = 2 << 20
};

/* ---- finding the place ------------------------------------------------------------------------------------------------------------------ */

/* The house worker builds a sealed segment's indexes anew. */
static void rebuild_index(struct segment *s)
{
    pthread_mutex_lock(&s->log->mu);
    bool add = s->sealed && !s->rebuild;
    if (add) s->rebuild = true;
    pthread_mutex_unlock(&s->log->mu);
    if (add) house_add(s->log);
}

/* ---- trails: who reads on asks for what follows its last answer */

/* The place of the nearest one at or before offset: false when none is near. */
static bool trail_find(struct segment *s, int64_t offset, uint32_t limit, uint32_t *at, int *slot)
{
    if (offset <= s->base) return false;
    uint64_t rel = (uint64_t)(offset - s->base), best = 0;
    for (int i = 0; i < TRAILS; i++) {
        uint64_t t = atomic_load_explicit(&s->trails[i], memory_order_relaxed);
        if (t <= best || t >> 32 > rel || (uint32_t)t >= limit) continue;
        best = t;
        *slot = i;
    }
    *at = (uint32_t)best;
    return best != 0 && rel - (best >> 32) <= TRAIL_NEAR;
}

/* `offset` is what follows the batch that ends at `at`. Whoever reads on from there moves its trail on. */
static void trail_leave(struct segment *s, int64_t offset, uint32_t at, int slot)
{
    uint64_t rel = (uint64_t)(offset - s->base);
    if (rel > INT32_MAX) return;
    if (slot == NO_TRAIL) slot = (int)((rel ^ rel >> 7) % TRAILS);
    atomic_store_explicit(&s->trails[slot], rel << 32 | at, memory_order_relaxed);
}

/* What a walk has read last. */
struct heads {
    int64_t at;
    size_t n;  /* 0: nothing */
    int trail; /* the one that led there, or NO_TRAIL */
    uint8_t buf[HEADS];
};

/* Where the index says that a walk towards `offset` begins, 0 where it says nothing. 0, or what the disk said. */
static int index_from(struct segment *s, int64_t offset, uint32_t limit, uint32_t *from)
{
    *from = 0;
    int rc = offset > s->base ? seg_lookup(s, offset, from) : 0;
    if (rc == E_NOT_FOUND || rc == E_CORRUPT) rebuild_index(s); /* gone, or shorter than it was: somebody else touched it */
    else if (rc < 0) return rc;
    if (rc < 0 || *from >= limit) *from = 0;
    return 0;
}

/* How much to read at first, with what is left of the segment and wanted of it. A large answer is not copied: only headers are read, and often the
 * first is the one. A trail leads to a small answer, or nearly. */
static size_t read_along(uint32_t left, uint32_t want, bool trail)
{
    uint32_t answer = MIN(left, want);
    if (answer > HEADS - HEADS_LEAST) return HEADS_LEAST;
    return trail ? answer + HEADS_LEAST : HEADS;
}

/* The first batch of s whose last offset is ≥ offset, below `limit`: 1 with *at and its header; 0: none; or an error. `want`: so many bytes from
 * there on will be asked for. */
static int find_in_segment(struct segment *s, int64_t offset, uint32_t limit, uint32_t want, struct heads *heads, uint32_t *at,
                           struct batch_head *h)
{
    uint32_t from;
    heads->n = 0;
    if (limit == 0) return 0;
    int rc = 0;
    if (!trail_find(s, offset, limit, &from, &heads->trail)) {
        heads->trail = NO_TRAIL;
        rc = index_from(s, offset, limit, &from);
    }
    if (rc < 0) return rc;
    int fd = seg_pin(s, false);
    if (fd < 0) return err_of_errno(fd);
    struct walk w;
    int batches = 0;
again:
    walk_begin(&w, s->dir->logs->fs, fd, from, limit, heads->buf, read_along(limit - from, want, heads->trail != NO_TRAIL));
    while ((rc = walk_peek(&w, h, NULL)) == 1) {
        if (from > 0 && w.at == from && batches == 0 && heads->trail == NO_TRAIL &&
            (h->base_offset > offset || h->base_offset < s->base)) { /* not what an index may point to */
            rc = E_CORRUPT_MESSAGE;
            break;
        }
        if (batch_last_offset(h) >= offset) break;
        batches++;
        walk_skip(&w, h);
        w.cap = HEADS;
    }
    if (rc == E_CORRUPT_MESSAGE && from > 0 && w.at == from && batches == 0) {
        if (heads->trail == NO_TRAIL) {
            log_warn("storage", "index points to no batch, rebuilding it", KV_STR("log", s->log->name),
                     KV_I64("segment", s->base), KV_I64("position", from));
            rebuild_index(s);
            from = 0;
        } else {
            heads->trail = NO_TRAIL;
            if (index_from(s, offset, limit, &from) < 0) from = 0;
        }
        goto again;
    }
    int more = rc == E_CORRUPT_MESSAGE ? walk_resync(&w, h, s->base) : 0;
    if (more < 0) rc = more;
    if (more == 1) { /* damage in synced data: what follows it works */
        if (h->base_offset > offset) rc = E_CORRUPT_MESSAGE;
        else if (batch_last_offset(h) >= offset) rc = 1;
        else {
            from = (uint32_t)w.at + (uint32_t)h->size;
            batches++;
            if (from < limit) goto again;
            rc = 0;
        }
    }
    if (rc == 1 && w.at - from > LONG_WALK && batches > LONG_WALK_BATCHES) rebuild_index(s);
    seg_unpin(s);
    heads->at = w.buf_at;
    heads->n = w.buf_n;
    *at = (uint32_t)w.at;
    return rc;
}

/* How far a reader may go in a segment: the file position of what upto says. Under mu. UINT32_MAX with *translate: the bound is an offset inside
 * that has to be looked up. */
static uint32_t bound_in(const struct plog *p, const struct segment *s, enum read_upto upto, bool *translate)
{
    *translate = false;
    if (upto == READ_END) return s->size;
    if (upto == READ_STABLE && p->stable < p->watermark) {
        int i = plog_seg_at(p, p->stable);
        int64_t stable_base = i < 0 ? 0 : p->segs[i]->base;
        if (s->base > stable_base) return 0;
        if (s->base == stable_base) *translate = true;
    }
    if (s->base > p->mark_base) return 0;
    if (s->base < p->mark_base) return s->size;
    return MIN(p->mark_at, s->size);
}

static int64_t bound_offset(const struct plog *p, enum read_upto upto)
{
    return upto == READ_END ? p->end : upto == READ_STABLE ? p->stable : p->watermark;
}

struct place {
    struct segment *seg; /* one reference */
    uint32_t at;         /* where the batch that holds the offset (or the next one) begins */
    uint32_t limit;
    uint32_t size;       /* of that batch; 0: not known */
    uint32_t want;       /* in: how many bytes the reader asks for */
    int64_t next;        /* base of the segment behind; INT64_MAX: none. In one critical section with limit, */
    uint64_t generation; /* and this */
    struct heads heads;  /* what was read on the way */
};

/* Finds where a read from `offset` begins. 1 with *pl; 0: nothing readable there; or an error. *at: the offsets it was judged by. */
static int look_for_place(struct plog *p, int64_t offset, enum read_upto upto, const struct plog_cursor *c,
                          struct plog_offsets *at, struct place *pl)
{
    int64_t from = offset;
    pl->seg = NULL;
    pl->at = pl->limit = pl->size = 0;
    pl->heads.n = 0;
    for (int tries = 0; tries < 1000000; tries++) {
        bool translate;
        pthread_mutex_lock(&p->mu);
        plog_offsets_locked(p, at);
        int rc = p->gone                                ? E_GONE
                 : p->offline || dir_failed(p->dir)     ? E_OFFLINE
                 : offset < p->start || offset > p->end ? E_OFFSET_OUT_OF_RANGE
                                                        : 0;
        int i = rc == 0 && from < bound_offset(p, upto) ? plog_seg_at(p, from) : -1;
        if (rc < 0 || i < 0) {
            pthread_mutex_unlock(&p->mu);
            return rc;
        }
        struct segment *s = p->segs[i];
        uint32_t limit = bound_in(p, s, upto, &translate);
        int64_t next = i + 1 < p->segs_n ? p->segs[i + 1]->base : INT64_MAX, stable = p->stable;
        if (limit == 0) {
            bool go_on = next < bound_offset(p, upto);
            pthread_mutex_unlock(&p->mu);
            if (!go_on) return 0;
            from = next;
            continue;
        }
        bool known =
            c && c->generation == p->generation && c->offset == from && c->base == s->base && c->at <= limit && !translate;
        pl->next = next;
        pl->generation = p->generation;
        seg_ref(s);
        pthread_mutex_unlock(&p->mu);

        uint32_t pos = 0;
        rc = 1;
        if (translate) {
            struct batch_head h;
            rc = find_in_segment(s, stable, limit, 0, &pl->heads, &pos, &h);
            pl->heads.n = 0; /* its place is not what was asked for */
            if (rc == 1) limit = pos;
            if (rc >= 0) rc = 1;
        }
        if (rc == 1 && known && c->at < limit) {
            pl->at = c->at;
            pl->size = c->size;
            pl->heads.n = 0; /* they may be of the segment before, in which there was nothing */
        } else if (rc == 1) {
            struct batch_head h = { 0 };
            rc = find_in_segment(s, from, limit, pl->want, &pl->heads, &pl->at, &h);
            if (rc == 1) pl->size = (uint32_t)h.size;
        }
        if (rc == 1) {
            pl->seg = s;
            pl->limit = limit;
            return 1;
        }
        pthread_mutex_lock(&p->mu);
        bool deleted = s->deleted;
        pthread_mutex_unlock(&p->mu);
        seg_unref(&s);
        if (rc < 0 && !deleted) return rc;
        if (rc == 0 && next != INT64_MAX) from = next; /* a gap that compaction left at its end */
        else if (!deleted) return 0;
    }
    return E_CORRUPT;
}

static int find_place(struct plog *p, int64_t offset, enum read_upto upto, const struct plog_cursor *c, struct plog_offsets *at,
                      struct place *pl)
{
    return plog_read_failed(p, look_for_place(p, offset, upto, c, at, pl));
}

/* ---- plog_read -------------------------------------------------------------------------------------------------------------------------- */

void range_release(struct file_range *r)
{
    if (r->seg) {
        struct plog *p = r->seg->log; /* a range keeps its log */
        if (r->fd >= 0) seg_unpin(r->seg);
        seg_unref(&r->seg);
        plog_unref(&p);
    }
    *r = (struct file_range){ .fd = -1 };
}

/* Aborted transactions that overlap [offset, upto). */
static int find_aborted(struct plog *p, struct plog_read *r, int64_t base, int64_t upto)
{
    struct txidx_found found = { .arena = r->arena };
    bool complete = false;
    char path[SEG_PATH];
    while (!complete) {
        seg_path_in(p->path, base, SEG_TXN, path);
        int rc = txidx_collect(p->logs->fs, path, r->offset, upto, &found, &complete);
        if (rc < 0 && rc != E_NOT_FOUND) return rc;
        pthread_mutex_lock(&p->mu);
        int i = plog_seg_at(p, base) + 1;
        bool more = i < p->segs_n;
        if (more) base = p->segs[i]->base;
        pthread_mutex_unlock(&p->mu);
        if (!more) break;
    }
    r->aborted = arena_array(r->arena, struct aborted_txn, found.n);
    for (int i = 0; i < found.n; i++)
        r->aborted[i] = (struct aborted_txn){ .producer_id = found.v[i].producer_id, .first_offset = found.v[i].first };
    r->aborted_n = found.n;
    return 0;
}

/* The size of the batch at pl, of which only the place is known: into pl->size, where a whole one stands. */
static int measure(struct plog *p, struct place *pl)
{
    uint8_t buf[128];
    struct batch_head h;
    struct walk w;
    int fd = seg_pin(pl->seg, false);
    if (fd < 0) return fd == -ENOENT ? 0 : err_of_errno(fd); /* deleted: who reads it finds out */
    walk_begin(&w, p->logs->fs, fd, pl->at, pl->limit, buf, sizeof(buf));
    int rc = walk_peek(&w, &h, NULL);
    seg_unpin(pl->seg);
    if (rc == 1) pl->size = (uint32_t)h.size;
    return rc == E_CORRUPT_MESSAGE ? 0 : MIN(rc, 0);
}

/* A small answer was read: what follows it is likely asked for next. */
static void leave_trail(const struct place *pl, struct slice answer)
{
    struct batch_head h;
    int64_t next = 0;
    size_t at = 0;
    for (; batch_parse_head(answer.p + at, answer.n - at, &h) == 0 && h.magic == 2 && h.base_offset >= next &&
           (size_t)h.size <= answer.n - at;
         at += (size_t)h.size)
        next = batch_last_offset(&h) + 1;
    if (at > 0) trail_leave(pl->seg, next, pl->at + (uint32_t)at, pl->heads.trail);
}

/* The n bytes at pl into r: as a copy where they have been read already, else as a range. Takes pl's reference. */
static int deliver(struct plog *p, struct plog_read *r, struct place *pl, uint32_t n)
{
    const struct heads *heads = &pl->heads;
    if (n <= r->copy_max && pl->at >= heads->at && pl->at + (int64_t)n <= heads->at + (int64_t)heads->n) {
        char *copy = arena_alloc(r->arena, n);
        memcpy(copy, heads->buf + (pl->at - heads->at), n);
        r->copy = (struct slice){ copy, n };
        leave_trail(pl, r->copy);
        seg_unref(&pl->seg);
        return 0;
    }
    int fd = seg_pin(pl->seg, false);
    if (fd < 0) {
        seg_unref(&pl->seg);
        if (fd != -ENOENT) return plog_read_failed(p, err_of_errno(fd));
        plog_offsets(p, &r->at); /* deleted between the two */
        return r->at.gone ? E_GONE : E_OFFSET_OUT_OF_RANGE;
    }
    r->range = (struct file_range){ .seg = pl->seg, .fd = fd, .at = pl->at, .n = n };
    plog_ref(p);
    return 0;
}

/* No byte is to be read: what the offsets alone say. */
static int judge(struct plog *p, struct plog_read *r)
{
    plog_offsets(p, &r->at);
    if (r->at.gone) return E_GONE;
    if (r->at.offline || dir_failed(p->dir)) return E_OFFLINE;
    return r->offset < r->at.start || r->offset > r->at.end ? E_OFFSET_OUT_OF_RANGE : 0;
}

int plog_read(struct plog *p, struct plog_read *r, struct plog_cursor *c)
{
    struct place pl;
    int rc;
    r->range = (struct file_range){ .fd = -1 };
    r->copy = (struct slice){ 0 };
    r->aborted = NULL;
    r->aborted_n = r->upto == READ_STABLE ? 0 : -1;
    if (plog_unmade(p)) {
        rc = judge(p, r);
        if (rc == E_GONE || rc == E_OFFLINE || r->at.end == 0) return rc; /* else it was made meanwhile */
    }
    if (!plog_is_warm(p)) {
        rc = plog_warm(p);
        plog_offsets(p, &r->at);
        if (rc < 0) return r->at.gone ? E_GONE : rc;
    }
    if (r->max_bytes == 0 && !r->whole_first) return judge(p, r);
again:
    pl.want = r->max_bytes;
    rc = find_place(p, r->offset, r->upto, c, &r->at, &pl);
    if (rc <= 0) return rc;
    int64_t base = pl.seg->base;
    uint32_t n = pl.limit - pl.at, want = r->max_bytes;
    if (n > want && r->whole_first) {
        if (pl.size == 0) rc = measure(p, &pl);
        if (rc < 0) {
            seg_unref(&pl.seg);
            return plog_read_failed(p, rc);
        }
        want = MAX(want, pl.size);
    }
    if (want == 0) { /* no bytes were asked for, and there is no whole batch */
        seg_unref(&pl.seg);
        return 0;
    }
    bool whole = n <= want;
    rc = deliver(p, r, &pl, MIN(n, want));
    if (rc < 0) return rc;

    int64_t upto =
        bound_offset(&(struct plog){ .end = r->at.end, .stable = r->at.stable, .watermark = r->at.watermark }, r->upto);
    if (c) {
        *c = (struct plog_cursor){ .offset = -1, .generation = pl.generation };
        if (whole && pl.next <= upto) { /* the next read begins where this one ends */
            c->offset = c->base = pl.next;
        } else if (whole) {
            c->offset = upto;
            c->base = base;
            c->at = pl.limit;
        }
    }
    if (r->upto == READ_STABLE) {
        rc = find_aborted(p, r, base, upto);
        pthread_mutex_lock(&p->mu);
        bool replaced = p->generation != pl.generation; /* by cleaned ones: then its transaction index need not be what we read */
        pthread_mutex_unlock(&p->mu);
        if (rc < 0 || replaced) {
            range_release(&r->range);
            r->copy = (struct slice){ 0 };
        }
        if (rc < 0) return plog_read_failed(p, rc);
        if (replaced) goto again;
    }
    return 0;
}

bool plog_has_news(struct plog *p, int64_t offset, enum read_upto upto, int64_t *bytes, int64_t *stable)
{
    pthread_mutex_lock(&p->mu);
    bool news = p->gone || p->offline || p->broken || (!p->warm && !p->unmade) || offset < p->start || offset > p->end ||
                offset < bound_offset(p, upto);
    *bytes = p->mark_bytes;
    *stable = p->stable;
    pthread_mutex_unlock(&p->mu);
    return news;
}

int64_t plog_readable(struct plog *p, int64_t offset, enum read_upto upto, struct plog_cursor *c)
{
    struct plog_offsets at;
    struct place pl;
    if (plog_unmade(p)) return 0;
    if (!plog_is_warm(p) && plog_warm(p) < 0) return INT32_MAX;

    /* At the very end, as a parked reader is, or with a cursor in the segment of the bound: no file is touched. */
    pthread_mutex_lock(&p->mu);
    bool nothing = p->gone || p->offline || offset < p->start || offset >= bound_offset(p, upto);
    bool near = !nothing && c && c->offset == offset && c->generation == p->generation && c->base == p->mark_base &&
                (upto == READ_WATERMARK || (upto == READ_STABLE && p->stable == p->watermark));
    int64_t n = near ? (int64_t)p->mark_at - c->at : 0;
    pthread_mutex_unlock(&p->mu);
    if (nothing) return 0;
    if (near && n > 0) return n;

    pl.want = 0;
    int rc = find_place(p, offset, upto, c, &at, &pl);
    if (rc <= 0) return rc < 0 ? INT32_MAX : 0;
    assert(pl.seg);
    if (c) {
        pthread_mutex_lock(&p->mu);
        int i = plog_seg_at(p, pl.seg->base);
        if (i >= 0 && p->segs[i] == pl.seg)
            *c = (struct plog_cursor){
                .offset = offset, .base = pl.seg->base, .at = pl.at, .size = pl.size, .generation = p->generation
            };
        pthread_mutex_unlock(&p->mu);
    }
    pthread_mutex_lock(&p->mu);
    bool newest = pl.seg->base >= p->mark_base;
    pthread_mutex_unlock(&p->mu);
    n = newest ? (int64_t)pl.limit - pl.at : INT32_MAX;
    seg_unref(&pl.seg);
    return n;
}

/* ---- ranges -------------------------------------------------------------------------------------------------------------------------------- */

int range_copy(const struct file_range *r, uint32_t skip, void *out, uint32_t n)
{
    struct fs *fs = r->seg->dir->logs->fs;
    assert((uint64_t)skip + n <= r->n);
    ssize_t got = fs->pread(fs, r->fd, out, n, r->at + skip);
    if (got < 0) return err_of_errno((int)got);
    return got == (ssize_t)n ? 0 : E_IO; /* somebody else cut our file */
}

bool range_is_hot(const struct file_range *r)
{
    struct fs *fs;
    if (!r->seg) return true;
    fs = r->seg->dir->logs->fs;
    return fs->resident(fs, r->fd, r->at, r->n);
}

struct prefault {
    struct list link;
    struct segment *seg; /* one reference, pinned */
    struct plog *log;    /* one reference */
    int fd;
    int64_t at;
    uint32_t n;
    struct waker *home;
    ticket who;
};

enum turn prefault_turn(void *arg)
{
    struct logs *l = arg;
    struct house *h = &l->house;
    pthread_mutex_lock(&h->mu);
    struct list *n = list_pop(&h->prefault);
    pthread_mutex_unlock(&h->mu);
    if (!n) return TURN_IDLE;
    struct prefault *f = container_of(n, struct prefault, link);
    l->fs->readahead(l->fs, f->fd, f->at, (int64_t)f->n + PREFAULT_AHEAD); /* who reads on finds the next stretch on its way */
    for (uint32_t done = 0; done < f->n; done += PREFAULT_STEP) {          /* a byte of each step is there when the step is */
        uint8_t byte;
        uint32_t last = MIN(f->n, done + PREFAULT_STEP) - 1;
        if (l->fs->pread(l->fs, f->fd, &byte, 1, f->at + last) < 1) break; /* the reader shall find out, not wait again */
    }
    cool_read(f->log, f->seg, (uint32_t)f->at, (uint32_t)f->at + f->n);
    waker_poke(f->home, f->who);
    seg_unpin(f->seg);
    seg_unref(&f->seg);
    plog_unref(&f->log);
    mem_free(f);
    return TURN_MORE;
}

void range_prefault(struct logs *l, const struct file_range *r, struct waker *home, ticket who)
{
    struct prefault *f = new (struct prefault);
    f->fd = seg_pin(r->seg, false); /* open already: r pins it */
    f->seg = seg_ref(r->seg);
    f->log = plog_ref(r->seg->log);
    f->at = r->at;
    f->n = r->n;
    f->home = home;
    f->who = who;
    pthread_mutex_lock(&l->house.mu);
    list_push(&l->house.prefault, &f->link);
    pthread_mutex_unlock(&l->house.mu);
    worker_kick(l->house.prefaulter);
}
