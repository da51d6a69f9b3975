/* Workers: a thread that takes turns while there is work, and sleeps until it is kicked.
 *
 * `kicked` is cleared before a turn begins, so a kick during a turn makes another one. worker_stop counts as a kick: at least one
 * turn, then as many as it takes to become idle. A thread that sleeps for long gives its idle memory back.
 *
 * Locks: held_workers.mu before worker_real.mu. */
#include "worker.h"

#include "pool.h"
#include "thread.h"

#include <errno.h>
#include <time.h>

struct worker_real {
    struct worker worker;
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    _Atomic bool kicked; /* set by anybody, cleared under mu */
    bool stop, begun;    /* under mu; begun: has its thread */
    struct held_workers *held;
    struct list link; /* in held->list, under held->mu, until workers_begin */
};

struct held_workers {
    pthread_mutex_t mu;
    bool hold;
    struct list list;
};

static struct worker_real *real_of(struct worker *wk) { return container_of(wk, struct worker_real, worker); }

/* Waits for a kick; says whether to stop afterwards. Under mu. */
static void wait_for_kick(struct worker_real *r)
{
    while (!atomic_load(&r->kicked)) {
        if (pool_idle() == 0) {
            pthread_cond_wait(&r->cond, &r->mu);
            continue;
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        if (pthread_cond_timedwait(&r->cond, &r->mu, &until) == ETIMEDOUT) mem_pool_trim();
    }
}

static void *real_main(void *arg)
{
    struct worker_real *r = arg;
    enum turn turn = TURN_IDLE;
    thread_name(r->worker.name);
    for (;;) {
        pthread_mutex_lock(&r->mu);
        if (turn == TURN_IDLE) {
            if (r->stop && !atomic_load(&r->kicked)) break;
            wait_for_kick(r);
        }
        atomic_store(&r->kicked, false);
        pthread_mutex_unlock(&r->mu);
        turn = r->worker.turn(r->worker.arg);
    }
    pthread_mutex_unlock(&r->mu);
    return NULL;
}

static void begin(struct worker_real *r) /* under mu */
{
    if (!r->begun) thread_start(&r->thread, real_main, r);
    r->begun = true;
}

static void real_kick(struct worker *wk)
{
    struct worker_real *r = real_of(wk);
    if (atomic_exchange(&r->kicked, true)) return; /* a turn has yet to begin */
    pthread_mutex_lock(&r->mu);
    begin(r);
    pthread_cond_signal(&r->cond);
    pthread_mutex_unlock(&r->mu);
}

static void real_stop(struct worker *wk)
{
    struct worker_real *r = real_of(wk);
    pthread_mutex_lock(&r->mu);
    r->stop = true;
    atomic_store(&r->kicked, true);
    begin(r);
    pthread_cond_signal(&r->cond);
    pthread_mutex_unlock(&r->mu);
    pthread_mutex_lock(&r->held->mu);
    if (list_linked(&r->link)) list_remove(&r->link);
    pthread_mutex_unlock(&r->held->mu);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->cond);
    pthread_mutex_destroy(&r->mu);
    mem_free(r);
}

static const struct worker_ops real_ops = { .kick = real_kick, .stop = real_stop };

static struct worker *real_start(struct held_workers *h, const char *name, enum turn (*turn)(void *arg), void *arg)
{
    struct worker_real *r = new (struct worker_real);
    r->worker = (struct worker){ .ops = &real_ops, .turn = turn, .arg = arg };
    snprintf(r->worker.name, sizeof(r->worker.name), "%s", name);
    pthread_mutex_init(&r->mu, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->cond, &attr);
    pthread_condattr_destroy(&attr);
    r->held = h;
    pthread_mutex_lock(&h->mu);
    if (h->hold) list_push(&h->list, &r->link);
    else begin(r);
    pthread_mutex_unlock(&h->mu);
    return &r->worker;
}

struct worker *worker_start(struct world *w, const char *name, enum turn (*turn)(void *arg), void *arg)
{
    return w->sim ? worker_sim_start(w, name, turn, arg) : real_start(w->held, name, turn, arg);
}

void worker_kick(struct worker *wk) { wk->ops->kick(wk); }

void worker_stop(struct worker **wp)
{
    struct worker *wk = *wp;
    *wp = NULL;
    if (wk) wk->ops->stop(wk);
}

struct held_workers *held_workers_new(void)
{
    struct held_workers *h = new (struct held_workers);
    pthread_mutex_init(&h->mu, NULL);
    list_init(&h->list);
    return h;
}

void held_workers_free(struct held_workers *h)
{
    assert(list_empty(&h->list)); /* their users stop them first */
    pthread_mutex_destroy(&h->mu);
    mem_free(h);
}

void workers_hold(struct world *w)
{
    if (w->sim) return;
    pthread_mutex_lock(&w->held->mu);
    w->held->hold = true;
    pthread_mutex_unlock(&w->held->mu);
}

void workers_begin(struct world *w)
{
    if (w->sim) return;
    pthread_mutex_lock(&w->held->mu);
    w->held->hold = false;
    while (!list_empty(&w->held->list)) {
        struct worker_real *r = container_of(list_pop(&w->held->list), struct worker_real, link);
        pthread_mutex_lock(&r->mu);
        begin(r);
        pthread_mutex_unlock(&r->mu);
    }
    pthread_mutex_unlock(&w->held->mu);
}
