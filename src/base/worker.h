/* The simulator's half of workers (worker.c asks which world it is). */
#pragma once
#include <odradek/base.h>

struct worker_ops {
    void (*kick)(struct worker *wk);
    void (*stop)(struct worker *wk); /* and free */
};
struct worker { /* first member of either world's worker */
    const struct worker_ops *ops;
    char name[16];
    enum turn (*turn)(void *arg);
    void *arg;
};
struct held_workers *held_workers_new(void);
void held_workers_free(struct held_workers *h);
struct worker *worker_sim_start(struct world *w, const char *name, enum turn (*turn)(void *arg), void *arg);
