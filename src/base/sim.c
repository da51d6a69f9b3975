/* The simulated world: loops and workers take turns on one thread, in an order chosen by the seed.
 *
 * A step runs one turn of one runnable task, or, when there is none, moves the clock to the next moment at which there is one. Each
 * turn takes a few microseconds; a kicked worker may be late by as much as a slow disk makes it. Everything chosen goes into the
 * trace hash. Waiting inside a turn (loop_join, worker_stop) steps the other tasks meanwhile.
 *
 * Waiting for what can never come ends the process with a line that says for what: in the real world that is a hang. */
#include "sim.h"

#include "loop.h"
#include "real.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>

enum { START_US = 1000000, LATE_US = 20000 };
#define START_WALL_MS 1700000000000

uint64_t sim_rng_next(struct sim_rng *r) /* splitmix64 */
{
    uint64_t z = r->s += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t sim_rng_below(struct sim_rng *r, uint64_t n) { return n ? sim_rng_next(r) % n : 0; }

static struct sim *sim_of_clock(struct clock *c) { return container_of(c, struct sim, clock); }

static int64_t sim_mono_us(struct clock *c) { return sim_of_clock(c)->now_us; }
static int64_t sim_cpu_us(struct clock *c) { return 0; }
static int64_t sim_wall_ms(struct clock *c) { return START_WALL_MS + sim_of_clock(c)->now_us / 1000; }

static void sim_fill(struct rnd *r, void *p, size_t n)
{
    struct sim *s = container_of(r, struct sim, rnd);
    for (size_t done = 0; done < n;) {
        uint64_t v = sim_rng_next(&s->bytes);
        size_t part = MIN(n - done, sizeof(v));
        memcpy((char *)p + done, &v, part);
        done += part;
    }
}

void sim_trace(struct sim *s, uint64_t what) { s->trace = hash_fold(s->trace ^ what, 0x9e3779b97f4a7c15u) + 1; }

uint64_t sim_trace_hash(const struct world *w) { return w->sim->trace; }

/* ---- scheduling ---- */

void sim_task_add(struct sim *s, struct sim_task *t)
{
    t->sim = s;
    t->id = ++s->next_id;
    if (s->n == s->cap) {
        s->cap = MAX(s->cap * 2, 16);
        s->tasks = mem_realloc(s->tasks, s->cap * sizeof(struct sim_task *));
    }
    s->tasks[s->n++] = t;
}

void sim_task_remove(struct sim_task *t)
{
    struct sim *s = t->sim;
    assert(!t->busy);
    for (size_t i = 0; i < s->n; i++)
        if (s->tasks[i] == t) {
            memmove(s->tasks + i, s->tasks + i + 1, (s->n - i - 1) * sizeof(struct sim_task *));
            s->n--;
            return;
        }
}

static void run_task(struct sim *s, struct sim_task *t)
{
    struct loop *outer = loop_current;
    sim_trace(s, t->id);
    s->now_us += 1 + (int64_t)sim_rng_below(&s->schedule, 8);
    t->busy = true;
    s->depth++;
    loop_current = NULL;
    t->run(t);
    loop_current = outer;
    s->depth--;
    t->busy = false;
}

/* One choice: the runnable tasks are counted, one is drawn. `limit`: how far the clock may move. */
static bool step(struct sim *s, int64_t limit)
{
    size_t runnable = 0;
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < s->n; i++) {
        if (s->tasks[i]->busy) continue;
        int64_t at = s->tasks[i]->next_us(s->tasks[i]);
        next = MIN(next, at);
        if (at <= s->now_us) runnable++;
    }
    if (runnable == 0) {
        if (next == INT64_MAX || next > limit) return false;
        s->now_us = next;
        sim_trace(s, (uint64_t)next);
        return true;
    }
    size_t pick = sim_rng_below(&s->schedule, runnable);
    for (size_t i = 0;; i++) {
        struct sim_task *t = s->tasks[i];
        if (t->busy || t->next_us(t) > s->now_us || pick-- > 0) continue;
        run_task(s, t);
        return true;
    }
}

bool sim_step(struct world *w)
{
    assert(w->sim->depth == 0);
    return step(w->sim, INT64_MAX);
}

void sim_run(struct world *w, int64_t us)
{
    struct sim *s = w->sim;
    assert(s->depth == 0);
    int64_t until = s->now_us + us;
    while (s->now_us < until && step(s, until)) {}
    s->now_us = MAX(s->now_us, until);
}

void sim_until(struct sim *s, bool (*over)(void *arg), void *arg, const char *what)
{
    while (!over(arg))
        if (!step(s, INT64_MAX)) {
            log_error("sim", "waits for ever", KV_STR("for", what));
            abort();
        }
}

/* ---- loops ---- */

struct loop_sim {
    struct loop loop;
    struct sim_task task;
};

static struct loop_sim *loop_sim_of(const struct loop *l) { return container_of(l, struct loop_sim, loop); }

static int64_t loop_task_next(struct sim_task *t)
{
    struct loop *l = &container_of(t, struct loop_sim, task)->loop;
    if (atomic_load(&l->state) != LOOP_RUNNING) return INT64_MAX;
    if (!list_empty(&l->inbox) || atomic_load(&l->stop)) return 0;
    for (int i = 0; i < PHASE_COUNT; i++)
        if (!list_empty(&l->deferred[i])) return 0;
    return loop_next_us(l);
}

static void loop_task_run(struct sim_task *t)
{
    struct loop *l = &container_of(t, struct loop_sim, task)->loop;
    loop_current = l;
    loop_tick(l);
    l->slept_us = l->now_us; /* turns take no time */
    loop_drain(l);
    loop_current = NULL;
    if (loop_over(l)) atomic_store(&l->state, LOOP_ENDED);
}

static bool loop_has_ended(void *arg)
{
    struct loop_sim *ls = arg;
    return ls->task.dead || atomic_load(&ls->loop.state) != LOOP_RUNNING;
}

static void sim_loop_start(struct loop *l)
{
    assert(atomic_load(&l->state) == LOOP_NEW);
    atomic_store(&l->state, LOOP_RUNNING);
}

static void sim_loop_join(struct loop *l)
{
    struct loop_sim *ls = loop_sim_of(l);
    if (loop_current == l) return;
    sim_until(ls->task.sim, loop_has_ended, ls, l->name);
}

static void sim_loop_run(struct loop *l)
{
    assert(loop_sim_of(l)->task.sim->depth == 0);
    sim_loop_start(l);
    sim_loop_join(l);
}

static void sim_loop_free(struct loop *l)
{
    struct loop_sim *ls = loop_sim_of(l);
    if (ls->task.dead) return;
    sim_task_remove(&ls->task);
    loop_fini(l);
    mem_free(ls);
}

static bool sim_loop_here(const struct loop *l)
{
    return loop_current == l || loop_sim_of(l)->task.sim->depth == 0 || atomic_load(&l->state) != LOOP_RUNNING;
}

static void sim_loop_wake(struct loop *l) {}
static int sim_io_open(struct loop *l, struct loop_io *io, unsigned events) { return -ENOTSUP; }
static void sim_io_want(struct loop *l, struct loop_io *io, unsigned events)
{
    assert(!"descriptors are watched in the real world only");
}
static void sim_io_close(struct loop *l, struct loop_io *io) { assert(!"descriptors are watched in the real world only"); }

static const struct loop_ops sim_loop_ops = {
    .wake = sim_loop_wake,
    .run = sim_loop_run,
    .start = sim_loop_start,
    .join = sim_loop_join,
    .free = sim_loop_free,
    .here = sim_loop_here,
    .io_open = sim_io_open,
    .io_want = sim_io_want,
    .io_close = sim_io_close,
};

struct loop *loop_sim_new(struct world *w, const char *name)
{
    struct loop_sim *ls = new (struct loop_sim);
    loop_init(&ls->loop, w, &sim_loop_ops, name);
    ls->task.next_us = loop_task_next;
    ls->task.run = loop_task_run;
    sim_task_add(w->sim, &ls->task);
    return &ls->loop;
}

/* ---- workers ---- */

struct worker_sim {
    struct worker worker;
    struct sim_task task;
    bool kicked, more, stop, ended;
    int64_t ready_us; /* when the next turn may begin */
};

static struct worker_sim *worker_sim_of(struct worker *wk) { return container_of(wk, struct worker_sim, worker); }

static int64_t worker_task_next(struct sim_task *t)
{
    struct worker_sim *ws = container_of(t, struct worker_sim, task);
    return !ws->ended && (ws->kicked || ws->more) ? ws->ready_us : INT64_MAX;
}

/* The next turn may begin at once, or, one time in eight, late. */
static void worker_ready(struct worker_sim *ws)
{
    struct sim_rng *rng = &ws->task.sim->schedule;
    ws->ready_us = ws->task.sim->now_us;
    if (sim_rng_below(rng, 8) == 0) ws->ready_us += (int64_t)sim_rng_below(rng, LATE_US);
}

static void worker_task_run(struct sim_task *t)
{
    struct worker_sim *ws = container_of(t, struct worker_sim, task);
    ws->kicked = false;
    ws->more = ws->worker.turn(ws->worker.arg) == TURN_MORE;
    if (ws->more) worker_ready(ws);
    ws->ended = ws->stop && !ws->more && !ws->kicked;
}

static void sim_kick(struct worker *wk)
{
    struct worker_sim *ws = worker_sim_of(wk);
    if (ws->kicked || ws->task.dead) return;
    ws->kicked = true;
    if (!ws->more) worker_ready(ws);
}

static bool worker_has_ended(void *arg)
{
    struct worker_sim *ws = arg;
    return ws->task.dead || ws->ended;
}

static void sim_worker_stop(struct worker *wk)
{
    struct worker_sim *ws = worker_sim_of(wk);
    if (ws->task.dead) return;
    assert(!ws->task.busy);
    ws->stop = true;
    sim_kick(wk);
    sim_until(ws->task.sim, worker_has_ended, ws, wk->name);
    sim_task_remove(&ws->task);
    mem_free(ws);
}

static const struct worker_ops sim_worker_ops = { .kick = sim_kick, .stop = sim_worker_stop };

struct worker *worker_sim_start(struct world *w, const char *name, enum turn (*turn)(void *arg), void *arg)
{
    struct worker_sim *ws = new (struct worker_sim);
    ws->worker = (struct worker){ .ops = &sim_worker_ops, .turn = turn, .arg = arg };
    snprintf(ws->worker.name, sizeof(ws->worker.name), "%s", name);
    ws->task.next_us = worker_task_next;
    ws->task.run = worker_task_run;
    sim_task_add(w->sim, &ws->task);
    return &ws->worker;
}

/* ---- worlds ---- */

/* What went down with the power stays reachable from here, so that a leak checker tells real leaks from it. */
static struct {
    void **p;
    size_t n, cap;
} grave;

void sim_forget(struct world *w, void *p)
{
    if (grave.n == grave.cap) {
        grave.cap = MAX(grave.cap * 2, 64);
        grave.p = mem_realloc(grave.p, grave.cap * sizeof(void *));
    }
    grave.p[grave.n++] = p;
}

void sim_power_loss(struct world *w)
{
    struct sim *s = w->sim;
    assert(s->depth == 0);
    sim_trace(s, 0xdead);
    for (size_t i = 0; i < s->n; i++) {
        s->tasks[i]->dead = true;
        sim_forget(w, s->tasks[i]);
    }
    s->n = 0;
    fs_sim_power_loss(s->files);
}

struct world *world_sim_new(uint64_t seed)
{
    struct sim *s = new (struct sim);
    struct sim_rng root = { seed };
    hash_fix();
    s->schedule.s = sim_rng_next(&root);
    s->bytes.s = sim_rng_next(&root);
    s->now_us = START_US;
    s->clock = (struct clock){ .mono_us = sim_mono_us, .wall_ms = sim_wall_ms, .cpu_us = sim_cpu_us };
    s->rnd = (struct rnd){ sim_fill };
    s->files = fs_sim_new(s, sim_rng_next(&root));
    s->world = (struct world){ .fs = fs_sim_table(s->files), .clock = &s->clock, .rnd = &s->rnd, .sim = s };
    return &s->world;
}

struct world *world_real_new(void)
{
    struct world *w = new (struct world);
    *w = (struct world){ .fs = &fs_real, .clock = &clock_real, .rnd = &rnd_real, .held = held_workers_new() };
    return w;
}

void world_free(struct world **wp)
{
    struct world *w = *wp;
    *wp = NULL;
    if (!w) return;
    struct sim *s = w->sim;
    if (!s) {
        held_workers_free(w->held);
        mem_free(w);
        return;
    }
    assert(s->depth == 0);
    for (size_t i = 0; i < s->n; i++) s->tasks[i]->dead = true;
    fs_sim_free(&s->files);
    mem_free(s->tasks);
    mem_free(s);
}
