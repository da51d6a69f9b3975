/* Arenas: memory handed out in a row, freed as a whole.
 *
 * Blocks grow with use: 4, 16, then 64 KiB from the thread's pool. What is large gets a block of its own behind the current one,
 * whose rest stays in use. The list's last block may be the owner's (arena_init_in) and survives arena_free.
 *
 * With ASan the unused rest of each block is unreadable and a gap follows each piece. */
#include "pool.h"

#include <stdlib.h>

struct arena_block {
    struct arena_block *next;
    int32_t cls; /* of the pool; -1: from malloc; -2: the owner's */
    size_t size;
};
enum { HEADER = (sizeof(struct arena_block) + 15) & ~15, LARGE = 16 * 1024, OWNED = -2, GAP = ODR_ASAN ? 16 : 0 };
static_assert((int)HEADER <= (int)POOL_HEADER, "an arena block's header fits a pool block's room for it");

void arena_init(struct arena *a) { *a = (struct arena){ 0 }; }

void arena_init_in(struct arena *a, void *mem, size_t n)
{
    uintptr_t skip = -(uintptr_t)mem & 15;
    arena_init(a);
    if (n < skip + HEADER + 64) return;
    struct arena_block *b = (void *)((char *)mem + skip);
    *b = (struct arena_block){ .cls = OWNED, .size = (n - skip) & ~(size_t)15 };
    a->blocks = b;
    a->at = (char *)b + HEADER;
    a->end = (char *)b + b->size;
    mem_poison(a->at, b->size - HEADER);
}

void arena_free(struct arena *a)
{
    struct arena_block *own = NULL;
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        if (b->cls == OWNED) {
            own = b;
        } else if (b->cls >= 0) {
            pool_put(b, b->cls);
        } else {
            mem_unpoison(b, b->size);
            free(b);
        }
    }
    a->blocks = own;
    a->at = own ? (char *)own + HEADER : NULL;
    a->end = own ? (char *)own + own->size : NULL;
    if (a->charged) mem_uncharge(a->budget, (int64_t)a->charged);
    a->used = a->held = a->charged = 0;
    if (own) {
#ifdef ODR_DEV
        mem_unpoison(a->at, own->size - HEADER);
        memset(a->at, 0xdb, own->size - HEADER);
#endif
        mem_poison(a->at, own->size - HEADER);
    }
}

static struct arena_block *block_new(struct arena *a, size_t payload, int cls)
{
    size_t size = cls >= 0 ? pool_size(cls) : HEADER + payload;
    struct arena_block *b = cls >= 0 ? pool_get(cls) : malloc(size);
    if (!b) return NULL;
    *b = (struct arena_block){ .cls = cls, .size = size };
    mem_poison((char *)b + HEADER, size - HEADER);
    a->held += size;
    if (a->budget && a->held > ARENA_FREE + a->charged) {
        size_t more = a->held - ARENA_FREE - a->charged;
        mem_charge_over(a->budget, (int64_t)more);
        a->charged += more;
    }
    return b;
}

bool arena_pay(struct arena *a, int64_t own, size_t n)
{
    size_t paid = ARENA_FREE + a->charged;
    if (!a->budget || n <= paid - MIN(paid, a->held)) return true;
    size_t more = n - (paid - MIN(paid, a->held));
    if (!mem_charge(a->budget, own + (int64_t)a->charged, (int64_t)more)) return false;
    a->charged += more;
    return true;
}

/* need is rounded. NULL only when malloc has none. */
static void *arena_more(struct arena *a, size_t need)
{
    if (need > LARGE) {
        struct arena_block *b = block_new(a, need, pool_class(HEADER + need));
        if (!b) return NULL;
        struct arena_block **at = a->blocks && a->at < a->end ? &a->blocks->next : &a->blocks;
        b->next = *at;
        *at = b;
        if (at == &a->blocks) a->at = a->end = NULL; /* this block is full from the start */
        return (char *)b + HEADER;
    }
    int cls = a->used < 4 * KiB ? POOL_4K : a->used < 32 * KiB ? POOL_16K : POOL_64K;
    cls = MAX(cls, pool_class(HEADER + need));
    struct arena_block *b = block_new(a, 0, cls);
    b->next = a->blocks;
    a->blocks = b;
    a->at = (char *)b + HEADER + need;
    a->end = (char *)b + (b->size & ~(size_t)15);
    return (char *)b + HEADER;
}

void arena_settle(struct arena *a, size_t n)
{
    size_t keep = a->held + n - MIN(a->held + n, (size_t)ARENA_FREE);
    if (a->charged <= keep) return;
    mem_uncharge(a->budget, (int64_t)(a->charged - keep));
    a->charged = keep;
}

static void *arena_get(struct arena *a, size_t n)
{
    if (n > PTRDIFF_MAX / 2) return NULL;
    size_t need = (MAX(n, 1) + GAP + 15) & ~(size_t)15;
    void *p;
    if (need <= (size_t)(a->end - a->at)) {
        p = a->at;
        a->at += need;
    } else {
        p = arena_more(a, need);
        if (!p) return NULL;
    }
    a->used += n;
    mem_unpoison(p, n);
    return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
    void *p = arena_get(a, n);
    if (!p) mem_alloc(SIZE_MAX / 2); /* aborts with the usual words */
    return p;
}

void *arena_try(struct arena *a, size_t n)
{
    if (a->limit && (n > a->limit || a->used > a->limit - n)) return NULL;
    return arena_get(a, n);
}

void *arena_zalloc(struct arena *a, size_t n) { return memset(arena_alloc(a, n), 0, n); }

struct slice arena_copy(struct arena *a, struct slice s)
{
    if (!s.p) return s;
    char *p = arena_alloc(a, s.n);
    if (s.n) memcpy(p, s.p, s.n);
    return (struct slice){ p, s.n };
}

struct slice arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (struct slice){ p, (size_t)n };
}
