/* Counted buffers, from the pool of the thread that asks, back to the pool of the thread that drops the last reference. */
#include "pool.h"

#include <stdlib.h>

struct buf *buf_new(size_t cap)
{
    assert(cap < UINT32_MAX - sizeof(struct buf));
    size_t n = sizeof(struct buf) + cap;
    int cls = pool_class(n);
    struct buf *b = cls >= 0 ? pool_get(cls) : mem_alloc(n);
    if (cls >= 0) mem_poison((char *)b + n, pool_size(cls) - n);
    atomic_init(&b->refs, 1);
    b->cap = (uint32_t)cap;
    b->len = b->charged = 0;
    b->budget = NULL;
    return b;
}

void buf_charged(struct buf *b, struct mem_budget *m, uint32_t n)
{
    assert(!b->budget);
    b->budget = m;
    b->charged = n;
}

void buf_unref(struct buf **bp)
{
    struct buf *b = *bp;
    *bp = NULL;
    if (!b) return;
    uint32_t before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1) return;
    if (b->budget) mem_uncharge(b->budget, b->charged);
    int cls = pool_class(sizeof(struct buf) + b->cap);
    if (cls >= 0) pool_put(b, cls);
    else mem_free(b);
}
