/* The page cache window: what of a log directory stays in memory.
 *
 * Left to itself the kernel keeps every page ever read or written until memory is short, and gives each new page fresh memory. On most machines that
 * is the best there is. On some, fresh memory is dear: a guest whose free pages went back to its host pays a fault there for each first touch, and
 * copying 1 MiB into the page cache was seen to take 0.2 ms in pages used a moment ago and up to 4 ms in fresh ones. There it pays to release what is
 * older than the newest `hot` bytes (odradek.hot) and to use its pages again. Which kind of machine this is, is measured: the processor time of a byte in large
 * appends, with and without releasing (odradek.page.cache=auto).
 *
 * Either way bulk is written back from the start, in pieces: what nobody started to write comes back later as one long stall. Nothing is waited for
 * here: a page that is not on disk yet stays, and durability is the commit's alone. Logs that take little never fill a piece; their pages are left
 * to the kernel. */
#include "internal.h"

enum {
    PIECE = 2 << 20,
    NEWEST = 16,         /* pieces read, or begun, among which one that is not may stand */
    COST_RUN = 64 << 10, /* runs from this size on tell what a byte costs: below, the calls themselves do */
    SAMPLE = 64 << 20,   /* bytes of large runs whose mean is a measurement */
    SETTLE =
        256 << 20, /* bytes after a change before which nothing is measured: until then the pages released are not those given */
    VERDICT = 2,   /* measurements in a row that must say that releasing does not pay */
    RETRY_MIN = 1 << 30,    /* bytes until releasing is tried again where it did not pay; doubled each time */
    REMEASURE_DOUBLINGS = 5 /* at most to 32 GiB; after as many bytes fresh memory is measured again where releasing pays */
};

struct piece {
    struct list link; /* in cooler.pieces, oldest first */
    struct segment *seg;
    struct plog *log; /* a reference each: who deletes calls cool_forget, so that no deleted file stays open */
    uint32_t from, to;
    int64_t clock; /* cooler.paged when it came in */
    bool started;  /* its writeback */
};

static void pieces_free(struct list *l)
{
    struct list *n;
    while ((n = list_pop(l))) {
        struct piece *x = container_of(n, struct piece, link);
        seg_unref(&x->seg);
        plog_unref(&x->log);
        mem_free(x);
    }
}

static void add_piece(struct plog *p, struct segment *s, uint32_t from, uint32_t to, bool started)
{
    struct cooler *c = &p->dir->cooler;
    struct piece *x = new (struct piece);
    *x = (struct piece){ .seg = seg_ref(s), .log = plog_ref(p), .from = from, .to = to, .started = started };
    pthread_mutex_lock(&c->mu);
    c->paged += to - from;
    x->clock = c->paged;
    list_push(&c->pieces, &x->link);
    pthread_mutex_unlock(&c->mu);
    kick(&c->worker);
    pthread_mutex_lock(&p->mu); /* whoever deletes says so first and calls cool_forget then: one of us takes it out */
    bool gone = s->deleted || p->gone;
    pthread_mutex_unlock(&p->mu);
    if (gone) cool_forget(p, s);
}

void cool_wrote(struct plog *p, struct segment *s, bool rest)
{
    uint32_t n = s->size - s->noted;
    if (n == 0 || (n < PIECE && !rest) || !kick_able(&p->dir->cooler.worker)) return;
    add_piece(p, s, s->noted, s->size, false);
    s->noted = s->size;
}

void cool_read(struct plog *p, struct segment *s, uint32_t from, uint32_t to)
{
    if (kick_able(&p->dir->cooler.worker)) add_piece(p, s, from, to, true);
}

/* ---- does releasing pay? ------------------------------------------------------------------------------------------------------------ */

static void enter(struct cooler *c, bool releasing)
{
    c->releasing = releasing;
    c->skip = SETTLE;
    c->bytes = c->us = 0;
    c->since = 0;
    c->against = 0;
}

/* One measurement is complete: what follows from it. */
static void measured(struct cooler *c, double cost)
{
    int64_t far = (int64_t)RETRY_MIN << REMEASURE_DOUBLINGS;
    if (!c->releasing) {
        c->fresh = cost;
        bool pays = c->reused > 0 ? cost > 2 * c->reused : c->paged > c->hot;
        if (pays || (c->paged > c->hot && c->since >= c->retry)) enter(c, true);
    } else {
        c->reused = cost;
        if (2 * cost <= c->fresh) c->retry = RETRY_MIN;
        c->against = 3 * cost > 2 * c->fresh ? c->against + 1 : 0; /* it shall pay by half */
        if (c->against >= VERDICT) {
            enter(c, false);
            c->retry = MIN(2 * c->retry, far);
        } else if (c->since >= far) {
            enter(c, false);
        }
    }
}

int64_t cool_began(struct log_dir *d, uint32_t n)
{
    struct clock *clock = d->logs->world->clock;
    return d->cooler.measures && n >= COST_RUN ? clock->cpu_us(clock) : -1;
}

void cool_ended(struct log_dir *d, uint32_t n, int64_t began)
{
    struct cooler *c = &d->cooler;
    struct clock *clock = d->logs->world->clock;
    if (began < 0) return;
    int64_t us = clock->cpu_us(clock) - began;
    pthread_mutex_lock(&c->mu);
    bool was = c->releasing, is;
    double fresh, reused;
    c->since += n;
    if (c->skip > 0) {
        c->skip -= n;
    } else {
        c->bytes += n;
        c->us += us;
        if (c->bytes >= SAMPLE) {
            double cost = (double)c->us / (double)c->bytes;
            c->bytes = c->us = 0;
            measured(c, cost);
        }
    }
    is = c->releasing;
    fresh = c->fresh;
    reused = c->reused;
    pthread_mutex_unlock(&c->mu);
    if (is != was)
        log_debug("storage", is ? "pages behind the window are released" : "pages are left to the kernel", KV_STR("dir", d->path),
                  KV_F("fresh_ms_per_mib", fresh * 1048.576), KV_F("reused_ms_per_mib", reused * 1048.576));
}

/* ---- the worker ------------------------------------------------------------------------------------------------------------------------ */

enum action { NOTHING, START, RELEASE, DROP /* out of the window, and left to the kernel */ };

/* What is to be done next: with the oldest piece, taken out, when it has left the window; else with one whose writeback is to be started. *x holds
 * references of its own. */
static enum action next_piece(struct cooler *c, struct piece *x)
{
    struct piece *found = NULL;
    enum action what = NOTHING;
    pthread_mutex_lock(&c->mu);
    struct list *first = c->pieces.next;
    if (first != &c->pieces && container_of(first, struct piece, link)->clock < c->paged - c->hot) {
        found = container_of(first, struct piece, link);
        what = c->releasing ? RELEASE : DROP;
        *x = *found;
        list_remove(&found->link);
        mem_free(found);
    } else {
        int look = 0;
        for (struct list *l = c->pieces.prev; l != &c->pieces && look < NEWEST;
             l = l->prev) { /* those not started stand near the end */
            struct piece *p = container_of(l, struct piece, link);
            if (p->started) look++;
            else found = p;
        }
        if (found) {
            what = START;
            found->started = true;
            *x = *found;
            seg_ref(x->seg);
            plog_ref(x->log);
        }
    }
    pthread_mutex_unlock(&c->mu);
    return what;
}

static enum turn cool_turn(void *arg)
{
    struct log_dir *d = arg;
    struct fs *fs = d->logs->fs;
    struct piece x;
    enum action what = next_piece(&d->cooler, &x);
    if (what == NOTHING) return TURN_IDLE;
    pthread_mutex_lock(&x.log->mu);
    bool gone = x.seg->deleted || x.log->gone;
    pthread_mutex_unlock(&x.log->mu);
    int fd = gone || what == DROP || dir_failed(d) ? -ENOENT : seg_pin(x.seg, false);
    if (fd >= 0) { /* else: nobody needs it */
        if (what == RELEASE) fs->forget(fs, fd, x.from, x.to - x.from);
        else fs->writeback(fs, fd, x.from, x.to - x.from);
        seg_unpin(x.seg);
    }
    if (gone) cool_forget(x.log, x.seg);
    seg_unref(&x.seg);
    plog_unref(&x.log);
    return TURN_MORE;
}

void cool_forget(struct plog *p, const struct segment *s)
{
    struct cooler *c = &p->dir->cooler;
    struct list dead;
    list_init(&dead);
    pthread_mutex_lock(&c->mu);
    list_each_safe (l, next, &c->pieces) {
        struct piece *x = container_of(l, struct piece, link);
        if (x->log != p || (s && x->seg != s)) continue;
        list_remove(l);
        list_push(&dead, l);
    }
    pthread_mutex_unlock(&c->mu);
    pieces_free(&dead);
}

void cool_init(struct log_dir *d)
{
    const struct settings *set = &d->logs->set;
    struct cooler *c = &d->cooler;
    pthread_mutex_init(&c->mu, NULL);
    list_init(&c->pieces);
    c->hot = set->hot;
    c->retry = RETRY_MIN;
    c->releasing = set->page_cache == PAGE_CACHE_WINDOW;
    c->measures = set->page_cache == PAGE_CACHE_AUTO;
}

void cool_start(struct log_dir *d)
{
    char name[32];
    snprintf(name, sizeof(name), "cool-%d", d->i);
    atomic_store(&d->cooler.worker.w, worker_start(d->logs->world, name, cool_turn, d));
}

void cool_stop(struct log_dir *d) { kick_stop(&d->cooler.worker); }

void cool_free(struct log_dir *d)
{
    pieces_free(&d->cooler.pieces);
    pthread_mutex_destroy(&d->cooler.mu);
}
