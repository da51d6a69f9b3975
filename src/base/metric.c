/* The process's metrics: a cell in every stripe for each row of metric_list.h. */
#include <odradek/base.h>

enum { STRIPES = 16 };
static struct metric_stripe stripes[STRIPES];
static _Atomic unsigned threads;

_Thread_local struct metric_stripe *metric_mine;

struct metric_stripe *metric_begin(void)
{
    return metric_mine = &stripes[atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % STRIPES];
}

int64_t metric_get(enum metric m)
{
    int64_t n = 0;
    for (int i = 0; i < STRIPES; i++) n += atomic_load_explicit(&stripes[i].v[m], memory_order_relaxed);
    return n;
}
