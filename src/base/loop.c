/* Loops, the part both worlds share: inbox, timers, phases.
 *
 * A turn: take the inbox as it is now and run it; run the timers that are due; then run deferred calls, always those of the earliest
 * phase that has any, until there are none. What is posted meanwhile waits for the next turn, so a post that posts itself starves
 * nobody; deferred calls that go on deferring are cut off after ROUNDS rounds and continue in the next turn, which comes without
 * sleeping. Posters wake the loop only when the inbox was empty and the loop might be asleep.
 *
 * Nothing in here fails. Misuse (posting what is posted, touching a loop from elsewhere) is an assertion. */
#include "loop.h"

enum { ROUNDS = 64 };

_Thread_local struct loop *loop_current;

void loop_init(struct loop *l, struct world *w, const struct loop_ops *ops, const char *name)
{
    l->ops = ops;
    l->world = w;
    snprintf(l->name, sizeof(l->name), "%s", name);
    pthread_mutex_init(&l->mu, NULL);
    list_init(&l->inbox);
    list_init(&l->batch);
    for (int i = 0; i < PHASE_COUNT; i++) list_init(&l->deferred[i]);
    loop_tick(l);
}

void loop_fini(struct loop *l)
{
    pthread_mutex_destroy(&l->mu);
    mem_free(l->heap);
}

struct loop *loop_new(struct world *w, const char *name) { return w->sim ? loop_sim_new(w, name) : loop_uv_new(w, name); }
void loop_run(struct loop *l) { l->ops->run(l); }
void loop_start(struct loop *l) { l->ops->start(l); }
void loop_join(struct loop *l) { l->ops->join(l); }

void loop_stop(struct loop *l)
{
    atomic_store(&l->stop, true);
    l->ops->wake(l);
}

void loop_free(struct loop **lp)
{
    struct loop *l = *lp;
    *lp = NULL;
    if (!l) return;
    assert(atomic_load(&l->state) != LOOP_RUNNING);
    l->ops->free(l);
}

bool loop_here(const struct loop *l) { return l->ops->here(l); }
int64_t loop_now_us(const struct loop *l) { return l->now_us; }
int64_t loop_slept_us(const struct loop *l) { return l->slept_us; }
struct world *loop_world(const struct loop *l) { return l->world; }
void loop_tick(struct loop *l) { l->now_us = l->world->clock->mono_us(l->world->clock); }

/* ---- posts and phases ---- */

void loop_post(struct loop *l, struct post *p)
{
    pthread_mutex_lock(&l->mu);
    assert(!list_linked(&p->link));
    bool wake = list_empty(&l->inbox) && !l->awake && loop_current != l;
    list_push(&l->inbox, &p->link);
    pthread_mutex_unlock(&l->mu);
    if (wake) l->ops->wake(l);
}

void loop_unpost(struct loop *l, struct post *p)
{
    pthread_mutex_lock(&l->mu);
    if (list_linked(&p->link)) list_remove(&p->link);
    pthread_mutex_unlock(&l->mu);
}

void loop_defer(struct loop *l, enum loop_phase phase, struct post *p)
{
    assert(loop_here(l));
    assert(!list_linked(&p->link));
    list_push(&l->deferred[phase], &p->link);
}

static void run_all(struct loop *l, struct list *posts)
{
    for (struct list *n; (n = list_pop(posts));) {
        struct post *p = container_of(n, struct post, link);
        l->works++;
        p->fn(p);
    }
}

static enum loop_phase first_phase(struct loop *l)
{
    int i = 0;
    while (i < PHASE_COUNT && list_empty(&l->deferred[i])) i++;
    return (enum loop_phase)i;
}

static void run_phase(struct loop *l, enum loop_phase phase)
{
    struct list now;
    list_take(&now, &l->deferred[phase]);
    run_all(l, &now);
}

static void run_phases(struct loop *l)
{
    enum loop_phase phase;
    for (int i = 0; i < ROUNDS; i++) {
        phase = first_phase(l);
        if (phase == PHASE_COUNT) return;
        run_phase(l, phase);
    }
    for (phase = 0; phase < PHASE_COUNT; phase++) run_phase(l, phase); /* an endless early phase must not starve a late one */
}

/* ---- timers ---- */

static void heap_set(struct loop *l, size_t i, struct timer *t)
{
    l->heap[i] = t;
    t->heap_at = i + 1;
}

static void heap_up(struct loop *l, size_t i, struct timer *t)
{
    for (; i > 0 && t->at_us < l->heap[(i - 1) / 4]->at_us; i = (i - 1) / 4) heap_set(l, i, l->heap[(i - 1) / 4]);
    heap_set(l, i, t);
}

static void heap_down(struct loop *l, size_t i, struct timer *t)
{
    for (;;) {
        size_t best = 4 * i + 1, end = MIN(best + 4, l->heap_n);
        if (best >= end) break;
        for (size_t k = best + 1; k < end; k++)
            if (l->heap[k]->at_us < l->heap[best]->at_us) best = k;
        if (l->heap[best]->at_us >= t->at_us) break;
        heap_set(l, i, l->heap[best]);
        i = best;
    }
    heap_set(l, i, t);
}

static void heap_move(struct loop *l, size_t i, struct timer *t)
{
    if (i > 0 && t->at_us < l->heap[(i - 1) / 4]->at_us) heap_up(l, i, t);
    else heap_down(l, i, t);
}

void loop_timer(struct loop *l, struct timer *t, int64_t at_us)
{
    assert(loop_here(l));
    t->at_us = at_us;
    if (t->heap_at) {
        heap_move(l, t->heap_at - 1, t);
        return;
    }
    if (l->heap_n == l->heap_cap) {
        l->heap_cap = MAX(l->heap_cap * 2, 16);
        l->heap = mem_realloc(l->heap, l->heap_cap * sizeof(struct timer *));
    }
    heap_up(l, l->heap_n++, t);
}

void loop_timer_stop(struct loop *l, struct timer *t)
{
    assert(loop_here(l));
    if (!t->heap_at) return;
    size_t i = t->heap_at - 1;
    assert(i < l->heap_n && l->heap[i] == t);
    t->heap_at = 0;
    struct timer *last = l->heap[--l->heap_n];
    if (last != t) heap_move(l, i, last);
}

int64_t loop_next_us(const struct loop *l) { return l->heap_n ? l->heap[0]->at_us : INT64_MAX; }

static void run_timers(struct loop *l)
{
    /* A timer that arms itself for the past must not hold the turn: no more than were there at its start. */
    for (size_t n = l->heap_n; n > 0 && loop_next_us(l) <= l->now_us; n--) {
        struct timer *t = l->heap[0];
        loop_timer_stop(l, t);
        l->works++;
        t->fn(t);
    }
}

/* ---- turns ---- */

void loop_drain(struct loop *l)
{
    loop_tick(l);
    pthread_mutex_lock(&l->mu);
    l->awake = true;
    list_take(&l->batch, &l->inbox);
    pthread_mutex_unlock(&l->mu);
    run_all(l, &l->batch);
    run_timers(l);
    run_phases(l);
}

static bool has_home_work(const struct loop *l)
{
    for (int i = 0; i < PHASE_COUNT; i++)
        if (!list_empty(&l->deferred[i])) return true;
    return loop_next_us(l) <= l->now_us || atomic_load(&l->stop);
}

bool loop_settle(struct loop *l)
{
    bool idle = !has_home_work(l);
    pthread_mutex_lock(&l->mu);
    idle = idle && list_empty(&l->inbox);
    l->awake = !idle;
    pthread_mutex_unlock(&l->mu);
    return idle;
}

bool loop_over(struct loop *l)
{
    if (!atomic_load(&l->stop)) return false;
    for (int i = 0; i < PHASE_COUNT; i++)
        if (!list_empty(&l->deferred[i])) return false;
    pthread_mutex_lock(&l->mu);
    bool empty = list_empty(&l->inbox);
    pthread_mutex_unlock(&l->mu);
    return empty;
}

bool loop_asleep(struct loop *l)
{
    pthread_mutex_lock(&l->mu);
    bool asleep = !l->awake;
    pthread_mutex_unlock(&l->mu);
    return asleep;
}

/* ---- watched descriptors ---- */

int loop_io_open(struct loop *l, struct loop_io *io, unsigned events) { return l->ops->io_open(l, io, events); }
void loop_io_want(struct loop *l, struct loop_io *io, unsigned events) { l->ops->io_want(l, io, events); }
void loop_io_close(struct loop *l, struct loop_io *io) { l->ops->io_close(l, io); }
