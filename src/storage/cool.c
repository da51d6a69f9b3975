/* The page cache window: what of a log directory stays in memory.
 *
 * Left to itself the kernel keeps every page ever appended until memory is short, and each new page is a fresh one. Where fresh memory costs
 * (a guest whose free pages belong to its host again, a machine full of other caches) that is most of a bulk append: copying 1 MiB into pages
 * used a moment ago took 0.2 ms, into fresh ones up to 4. And what nobody started to write comes back later as one long stall.
 *
 * So bulk is written back from the start, in pieces, and what is older than the newest `hot` bytes of the directory (odradek.hot) is released,
 * for the next appends to use again. Consumers at the tail read from memory; those further behind from disk, ahead of need (range_prefault).
 * Nothing is waited for here: a page that is not on disk yet stays, and durability is the commit's alone. Logs that take little never fill a
 * piece; their pages are left to the kernel. */
#include "internal.h"

enum { PIECE = 2 << 20 };

struct piece {
    struct list link; /* in cooler.pieces, oldest first */
    struct segment *seg;
    struct plog *log; /* a reference each: who deletes calls cool_forget, so that no deleted file stays open */
    uint32_t from, to;
    int64_t clock; /* of the directory, when it was written */
    bool started;  /* its writeback */
};

void cool_note(struct plog *p, struct segment *s, bool rest)
{
    struct cooler *c = &p->dir->cooler;
    uint32_t n = s->size - s->noted;
    if (n == 0 || (n < PIECE && !rest) || !kick_able(&c->worker)) return;
    struct piece *x = new (struct piece);
    *x = (struct piece){ .seg = seg_ref(s), .log = plog_ref(p), .from = s->noted, .to = s->size };
    x->clock = atomic_load_explicit(&p->dir->written, memory_order_relaxed);
    s->noted = s->size;
    pthread_mutex_lock(&c->mu);
    list_push(&c->pieces, &x->link);
    pthread_mutex_unlock(&c->mu);
    kick(&c->worker);
}

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

/* What is to be done next: the oldest piece, taken out, when it has left the window; else one whose writeback is to be started. *x holds
 * references of its own. */
static bool next_piece(struct log_dir *d, struct piece *x, bool *leaves)
{
    struct cooler *c = &d->cooler;
    int64_t edge = atomic_load_explicit(&d->written, memory_order_relaxed) - d->logs->set.hot;
    struct piece *found = NULL;
    pthread_mutex_lock(&c->mu);
    struct list *first = c->pieces.next;
    *leaves = first != &c->pieces && container_of(first, struct piece, link)->clock < edge;
    if (*leaves) {
        found = container_of(first, struct piece, link);
    } else {
        for (struct list *l = c->pieces.prev; l != &c->pieces; l = l->prev) { /* those not started stand at the end */
            struct piece *p = container_of(l, struct piece, link);
            if (p->started) break;
            found = p;
        }
    }
    if (found) {
        found->started = true;
        *x = *found;
        if (*leaves) {
            list_remove(&found->link);
            mem_free(found);
        } else {
            seg_ref(x->seg);
            plog_ref(x->log);
        }
    }
    pthread_mutex_unlock(&c->mu);
    return found;
}

static enum turn cool_turn(void *arg)
{
    struct log_dir *d = arg;
    struct fs *fs = d->logs->fs;
    struct piece x;
    bool leaves;
    if (!next_piece(d, &x, &leaves)) return TURN_IDLE;
    pthread_mutex_lock(&x.log->mu);
    bool gone = x.seg->deleted || x.log->gone;
    pthread_mutex_unlock(&x.log->mu);
    int fd = gone || dir_failed(d) ? -ENOENT : seg_pin(x.seg, false);
    if (fd >= 0) { /* else: nobody needs it */
        if (leaves) fs->forget(fs, fd, x.from, x.to - x.from);
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
    pthread_mutex_init(&d->cooler.mu, NULL);
    list_init(&d->cooler.pieces);
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
