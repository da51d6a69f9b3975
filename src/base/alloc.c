/* Memory: small allocations that abort on failure, a budget for large ones, and per-thread pools of blocks.
 *
 * A block goes back to the pool of the thread that frees it. What a whole period between two mem_pool_trim() did not need goes
 * back to the system, so a busy thread keeps what it uses and an idle one keeps nothing after two calls. Pools hold at most
 * CLASS_KEEP bytes a class, and no more than mem_pool_most() in all. In ODR_DEV builds freed blocks are overwritten, with ASan they are also unreadable. */
#include "pool.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>

enum {
    CLASS_KEEP = 8 * 1024 * 1024,
    MMAP_FROM = 256 * 1024,
    HEAP_KEEP = 4 * 1024 * 1024, /* free bytes of the heap that are not worth looking for */
    HEAP_PAD = 256 * 1024,
    FREED_BYTE = 0xdb
};

struct idle_block {
    struct idle_block *next;
};
static _Thread_local struct {
    struct {
        struct idle_block *head;
        uint32_t n, low; /* low: the fewest idle since the last trim */
    } cls[POOL_CLASSES];
    size_t idle; /* bytes of all of them */
    bool known;  /* its destructor is registered */
    bool dead;   /* the thread is ending */
} pool;

static _Atomic size_t pool_most = SIZE_MAX;
static pthread_key_t pool_key;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static void *check(void *p)
{
    if (!p) {
        static const char text[] = "error memory: out of memory\n";
        fwrite(text, 1, sizeof(text) - 1, stderr);
        abort();
    }
    return p;
}

/* Counted where tests look at it, and nowhere else: it is the hot path of everything. */
static void count(void)
{
#ifdef ODR_DEV
    metric_add(M_allocations, 1);
#endif
}

void *mem_alloc(size_t n)
{
    count();
    return check(malloc(n ? n : 1));
}
void *mem_aligned(size_t align, size_t n)
{
    count();
    return check(aligned_alloc(align, n));
}
void *mem_zalloc(size_t n)
{
    count();
    return check(calloc(1, n ? n : 1));
}
void *mem_realloc(void *p, size_t n)
{
    count();
    return check(realloc(p, n ? n : 1));
}
void mem_free(void *p) { free(p); }

char *mem_strdup(struct slice s)
{
    char *z = mem_alloc(s.n + 1);
    if (s.n) memcpy(z, s.p, s.n);
    z[s.n] = 0;
    return z;
}

/* How much a holder of `own` may grow by while so much is used; below 0 when not even the share holds what there is. */
static int64_t room(const struct mem_budget *b, int64_t used, int64_t own)
{
    int64_t share = mem_share(b), slack = atomic_load_explicit(&b->slack, memory_order_relaxed);
    if (!b->limit) return INT64_MAX;
    return used - own <= share + slack ? MAX(share - used, mem_most(b) - own) : share - used;
}

bool mem_charge(struct mem_budget *b, int64_t own, int64_t n)
{
    int64_t used = mem_used(b), then;
    do {
        if (__builtin_add_overflow(used, n, &then) || n > room(b, used, own)) return false;
    } while (!atomic_compare_exchange_weak_explicit(&b->used, &used, then, memory_order_relaxed, memory_order_relaxed));
    return true;
}

int64_t mem_room(const struct mem_budget *b, int64_t own)
{
    int64_t n = room(b, mem_used(b), own);
    return MAX(n, 0);
}

void mem_charge_over(struct mem_budget *b, int64_t n) { atomic_fetch_add_explicit(&b->used, n, memory_order_relaxed); }

bool mem_short(const struct mem_budget *b) { return b->limit && mem_used(b) >= mem_share(b); }

void mem_uncharge(struct mem_budget *b, int64_t n)
{
    int64_t before = atomic_fetch_sub_explicit(&b->used, n, memory_order_relaxed);
    assert(before >= n);
    (void)before;
}

static struct idle_block *pool_pop(int cls)
{
    struct idle_block *b = pool.cls[cls].head;
    pool.cls[cls].head = b->next;
    pool.cls[cls].n--;
    pool.idle -= pool_size(cls);
    return b;
}

static void pool_drop(int cls, uint32_t n)
{
    while (n--) {
        struct idle_block *b = pool_pop(cls);
        mem_unpoison(b, pool_size(cls));
        free(b);
    }
}

static void pool_end(void *arg)
{
    pool.dead = true;
    for (int c = 0; c < POOL_CLASSES; c++) pool_drop(c, pool.cls[c].n);
}

static void pool_make_key(void)
{
    if (pthread_key_create(&pool_key, pool_end) != 0) abort();
}

int pool_class(size_t n)
{
    for (int c = 0; c < POOL_CLASSES; c++)
        if (n <= pool_size(c)) return c;
    return -1;
}

void *pool_get(int cls)
{
    if (pool.cls[cls].n == 0) return mem_alloc(pool_size(cls));
    void *p = pool_pop(cls);
    pool.cls[cls].low = MIN(pool.cls[cls].low, pool.cls[cls].n);
    mem_unpoison(p, pool_size(cls));
    return p;
}

void pool_put(void *p, int cls)
{
    size_t size = pool_size(cls);
    mem_unpoison(p, size);
    if (pool.dead || pool.cls[cls].n >= MIN(1024, CLASS_KEEP / (size - POOL_HEADER)) ||
        pool.idle + size > atomic_load_explicit(&pool_most, memory_order_relaxed)) {
        free(p);
        return;
    }
    if (!pool.known) {
        pthread_once(&pool_once, pool_make_key);
        pthread_setspecific(pool_key, &pool);
        pool.known = true;
    }
#ifdef ODR_DEV
    memset(p, FREED_BYTE, size);
#endif
    struct idle_block *b = p;
    b->next = pool.cls[cls].head;
    pool.cls[cls].head = b;
    pool.cls[cls].n++;
    pool.idle += size;
    mem_poison(b + 1, size - sizeof(*b)); /* the link stays readable: leak checkers follow it */
}

size_t pool_idle(void) { return pool.idle; }

void mem_pool_most(size_t n) { atomic_store(&pool_most, n); }

void mem_setup(void)
{
    /* Fixed, or malloc would raise it to the largest block it ever saw freed, and keep what a burst of large requests needed for good. */
    mallopt(M_MMAP_THRESHOLD, MMAP_FROM); /* NOLINT(concurrency-mt-unsafe): before there are threads */
}

/* What was freed in small pieces lies between what was not: the heap does not shrink by itself after a burst. At most once a second, and only when
 * there is something to be had. */
static void heap_trim(void)
{
    static _Atomic int64_t last_s;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    int64_t last = atomic_load(&last_s);
    if (now.tv_sec - last < 1 || !atomic_compare_exchange_strong(&last_s, &last, now.tv_sec)) return;
    struct mallinfo2 m = mallinfo2();
    if (m.fordblks - m.keepcost > HEAP_KEEP) malloc_trim(HEAP_PAD);
}

void mem_pool_trim(void)
{
    heap_trim();
    for (int c = 0; c < POOL_CLASSES; c++) {
        pool_drop(c, pool.cls[c].low);
        pool.cls[c].low = pool.cls[c].n;
    }
}
