/* The crunch worker: what is too long for a loop (inside of large compressed batches, recompression). Jobs run in the order they came;
 * each pokes its ticket when done. Nothing here can fail: a job's result is the job's own. */
#include "shard.h"

struct crunch {
    pthread_mutex_t mu;
    struct list jobs;
    struct worker *worker;
};

static enum turn crunch_turn(void *arg)
{
    struct crunch *c = arg;
    pthread_mutex_lock(&c->mu);
    struct list *l = list_pop(&c->jobs);
    bool more = !list_empty(&c->jobs);
    pthread_mutex_unlock(&c->mu);
    if (!l) {
        batch_trim();
        return TURN_IDLE;
    }
    struct crunch_job *j = container_of(l, struct crunch_job, link);
    struct waker *home = j->home;
    ticket who = j->who;
    j->run(j);
    atomic_store_explicit(&j->done, true, memory_order_release); /* j may be gone from here on */
    waker_poke(home, who);
    return more ? TURN_MORE : TURN_IDLE;
}

struct crunch *crunch_start(struct world *w)
{
    struct crunch *c = new (struct crunch);
    pthread_mutex_init(&c->mu, NULL);
    list_init(&c->jobs);
    c->worker = worker_start(w, "crunch", crunch_turn, c);
    return c;
}

void crunch_submit(struct crunch *c, struct crunch_job *j)
{
    atomic_store_explicit(&j->done, false, memory_order_relaxed);
    pthread_mutex_lock(&c->mu);
    list_push(&c->jobs, &j->link);
    pthread_mutex_unlock(&c->mu);
    worker_kick(c->worker);
}

void crunch_stop(struct crunch **c)
{
    if (!*c) return;
    worker_stop(&(*c)->worker);
    pthread_mutex_destroy(&(*c)->mu);
    mem_free(*c);
    *c = NULL;
}
