/* The simulated world's inside: one scheduler, one seed, files in memory. */
#pragma once
#include "hash.h"
#include <odradek/base.h>

struct sim_rng { /* xorshift multiply; one stream a purpose, so that one user's draws do not shift another's */
    uint64_t s;
};
uint64_t sim_rng_next(struct sim_rng *r);
uint64_t sim_rng_below(struct sim_rng *r, uint64_t n);

/* Something the scheduler runs: a loop or a worker. */
struct sim_task {
    struct sim *sim;
    uint32_t id;
    bool busy;                              /* on the stack now */
    bool dead;                              /* went down with the power */
    int64_t (*next_us)(struct sim_task *t); /* when it can run: in the past or now = runnable; INT64_MAX = never */
    void (*run)(struct sim_task *t);        /* one turn */
};

struct fs_sim;
struct sim {
    struct world world; /* what the user holds */
    struct clock clock;
    struct rnd rnd;
    struct fs_sim *files;
    struct sim_rng schedule, bytes;
    int64_t now_us;
    uint64_t trace;
    struct sim_task **tasks; /* in order of creation */
    size_t n, cap;
    uint32_t next_id;
    int depth; /* turns on the stack */
};
void sim_task_add(struct sim *s, struct sim_task *t);
void sim_task_remove(struct sim_task *t); /* it may be freed after */
void sim_until(struct sim *s, bool (*over)(void *arg), void *arg,
               const char *what); /* steps until over(arg); aborts if that never comes */
void sim_trace(struct sim *s, uint64_t what);

struct fs_sim *fs_sim_new(struct sim *s, uint64_t seed);
void fs_sim_free(struct fs_sim **f);
struct fs *fs_sim_table(struct fs_sim *f);
void fs_sim_power_loss(struct fs_sim *f);
