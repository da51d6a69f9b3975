/* Blocks in a few sizes, kept per thread: what arenas and buffers are made of. */
#pragma once
#include <odradek/base.h>

#if defined(__SANITIZE_ADDRESS__)
#define ODR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ODR_ASAN 1
#endif
#endif

#ifdef ODR_ASAN
#include <sanitizer/asan_interface.h>
#define mem_poison(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define mem_unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define ODR_ASAN           0
#define mem_poison(p, n)   ((void)(p), (void)(n))
#define mem_unpoison(p, n) ((void)(p), (void)(n))
#endif

enum { POOL_256, POOL_1K, POOL_4K, POOL_16K, POOL_64K, POOL_256K, POOL_1M, POOL_CLASSES };
enum { POOL_HEADER = 64 }; /* a block is its class's round size and this much for its user's header */

static inline size_t pool_size(int cls) { return ((size_t)256 << 2 * cls) + POOL_HEADER; }
int pool_class(size_t n);        /* the smallest class whose blocks hold n bytes; -1 when none does */
void *pool_get(int cls);         /* uninitialised; never NULL */
void pool_put(void *p, int cls); /* on any thread */
size_t pool_idle(void);          /* bytes this thread keeps */
