/* Watches: telling loops that a log moved (storage.h, DESIGN.md §4).
 *
 * A log keeps one node per loop. Whoever moves the log posts to at most that many loops, and only to those where somebody watches; the loop
 * then walks its own watchers, which stand in rising order of what they wait for, and stops at the first that is not reached.
 *
 * No wake-up is lost: a watcher is linked and `armed` set before the point is looked at under the log's mutex; a mover changes the point under
 * that mutex before it looks at `armed`. One of the two sees the other. */
#include "internal.h"

static int64_t point(const struct plog *p, enum watch_on on) /* under mu */
{
    return on == WATCH_DURABLE     ? p->durable
           : on == WATCH_WATERMARK ? p->watermark
           : on == WATCH_STABLE    ? p->stable
                                   : p->mark_bytes;
}

static void node_fire(struct post *po)
{
    struct plog_node *nd = container_of(po, struct plog_node, fire);
    struct plog *p = nd->log;
    int64_t reached[WATCH_KINDS];

    atomic_store(&nd->posted, false); /* before looking: a later move posts again */
    pthread_mutex_lock(&p->mu);
    for (int on = 0; on < WATCH_KINDS; on++)
        reached[on] = p->gone || p->offline || p->broken ? INT64_MAX : point(p, (enum watch_on)on);
    pthread_mutex_unlock(&p->mu);
    for (int on = 0; on < WATCH_KINDS; on++)
        list_each (it, &nd->on[on]) {
            struct watch *w = container_of(it, struct watch, link);
            if (w->offset > reached[on]) break;
            waker_poke(nd->home, w->who);
        }
    plog_unref(&p);
}

static void node_append(struct post *po); /* queue.c gives the body through plog_node_of */

struct plog_node *plog_node_of(struct plog *p, struct waker *home)
{
    for (struct plog_node *nd = atomic_load_explicit(&p->nodes, memory_order_acquire); nd; nd = nd->next)
        if (nd->home == home) return nd;

    struct plog_node *nd = new (struct plog_node);
    nd->log = p;
    nd->home = home;
    nd->append.fn = node_append;
    nd->fire.fn = node_fire;
    list_init(&nd->staged);
    for (int on = 0; on < WATCH_KINDS; on++) list_init(&nd->on[on]);
    nd->next = atomic_load_explicit(&p->nodes, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&p->nodes, &nd->next, nd, memory_order_release, memory_order_relaxed)) {}
    return nd;
}

static void node_append(struct post *po) { queue_append_phase(container_of(po, struct plog_node, append)); }

void plog_notify(struct plog *p)
{
    for (struct plog_node *nd = atomic_load_explicit(&p->nodes, memory_order_acquire); nd; nd = nd->next) {
        if (!atomic_load(&nd->armed) || atomic_exchange(&nd->posted, true)) continue;
        plog_ref(p);
        loop_post(waker_loop(nd->home), &nd->fire);
    }
}

/* Into its place; most watchers wait for something later than all before. */
static void insert(struct list *l, struct watch *w)
{
    struct list *at = l->prev;
    while (at != l && container_of(at, struct watch, link)->offset > w->offset) at = at->prev;
    list_push_front(at, &w->link);
}

void plog_unwatch(struct watch *w)
{
    if (!w->log) return;
    struct plog_node *nd = plog_node_of(w->log, w->home);
    assert(loop_here(waker_loop(w->home)));
    list_remove(&w->link);
    if (--nd->watchers == 0) atomic_store(&nd->armed, false);
    plog_unref(&w->log);
}

bool plog_watch(struct plog *p, struct watch *w, struct waker *home, ticket who, enum watch_on on, int64_t offset)
{
    assert(loop_here(waker_loop(home)));
    if (w->log && (w->log != p || w->home != home)) plog_unwatch(w);
    struct plog_node *nd = plog_node_of(p, home);
    if (w->log) list_remove(&w->link);
    else {
        w->log = plog_ref(p);
        w->home = home;
        nd->watchers++;
    }
    w->who = who;
    w->on = on;
    w->offset = offset;
    insert(&nd->on[on], w);
    if (!atomic_load_explicit(&nd->armed, memory_order_relaxed)) atomic_store(&nd->armed, true);

    pthread_mutex_lock(&p->mu);
    bool reached = p->gone || p->offline || p->broken || point(p, on) >= offset;
    pthread_mutex_unlock(&p->mu);
    if (reached) plog_unwatch(w);
    return !reached;
}
