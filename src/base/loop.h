/* A loop's inside: what both worlds share, and the table of what they do differently (loop_uv.c, sim.c). */
#pragma once
#include <odradek/base.h>

struct loop_ops {
    void (*wake)(struct loop *l); /* any thread: the inbox is not empty any more, or the loop shall stop */
    void (*run)(struct loop *l);
    void (*start)(struct loop *l);
    void (*join)(struct loop *l);
    void (*free)(struct loop *l);
    bool (*here)(const struct loop *l);
    int (*io_open)(struct loop *l, struct loop_io *io, unsigned events);
    void (*io_want)(struct loop *l, struct loop_io *io, unsigned events);
    void (*io_close)(struct loop *l, struct loop_io *io);
};

enum loop_state { LOOP_NEW, LOOP_RUNNING, LOOP_ENDED };

struct loop { /* first member of either world's loop */
    const struct loop_ops *ops;
    struct world *world;
    char name[16];
    _Atomic int state; /* enum loop_state */
    _Atomic bool stop;
    int64_t now_us;
    int64_t slept_us;
    uint64_t works; /* posts, timers and deferred calls run so far */

    pthread_mutex_t mu;
    struct list inbox; /* under mu */
    bool awake;        /* under mu: will look into the inbox before it sleeps, so nobody needs to wake it */

    /* at home */
    struct list batch; /* posts being run */
    struct list deferred[PHASE_COUNT];
    struct timer **heap; /* 4-ary, earliest first */
    size_t heap_n, heap_cap;
};

extern _Thread_local struct loop *loop_current; /* whose callback runs on this thread */

void loop_init(struct loop *l, struct world *w, const struct loop_ops *ops, const char *name);
void loop_fini(struct loop *l);
void loop_tick(struct loop *l);  /* reads the clock */
void loop_drain(struct loop *l); /* one turn's posts, due timers and phases; loop_current is set */
bool loop_settle(
    struct loop *l); /* before sleeping: true when there is nothing to run at once; from here on posters wake the loop */
bool loop_over(struct loop *l);                   /* told to stop, and nothing is left */
int64_t loop_next_us(const struct loop *l);       /* the earliest timer; INT64_MAX without one */
void loop_unpost(struct loop *l, struct post *p); /* at home, or when the loop does not run: takes p back if it waits */

struct loop *loop_uv_new(struct world *w, const char *name);
struct loop *loop_sim_new(struct world *w, const char *name);
