/* Descriptors, given up oldest first. See fdcache.h. */
#include "fdcache.h"
#include <errno.h>

void fdcache_init(struct fdcache *c, struct fs *fs, int cap)
{
    *c = (struct fdcache){ .fs = fs, .cap = MAX(cap, 8) };
    pthread_mutex_init(&c->mu, NULL);
    list_init(&c->entries);
}

void fdcache_free(struct fdcache *c)
{
    assert(atomic_load(&c->open) == 0);
    pthread_mutex_destroy(&c->mu);
}

int fd_pin_open(struct fdcache *c, struct fdent *e)
{
    int n = atomic_load_explicit(&e->pins, memory_order_relaxed);
    while (n != FD_CLOSED)
        if (atomic_compare_exchange_weak_explicit(&e->pins, &n, n + 1, memory_order_acquire, memory_order_relaxed)) {
            if (!atomic_load_explicit(&e->recent, memory_order_relaxed))
                atomic_store_explicit(&e->recent, true, memory_order_relaxed);
            return e->fd;
        }
    return -EBADF;
}

/* Closes e's entry when nobody has it pinned: its descriptor, else -1. Under mu. */
static int take_locked(struct fdcache *c, struct fdent *e)
{
    int idle = 0;
    if (!atomic_compare_exchange_strong(&e->pins, &idle, FD_CLOSED)) return -1;
    list_remove(&e->link);
    atomic_fetch_sub(&c->open, 1);
    int fd = e->fd;
    e->fd = -1;
    return fd;
}

/* Takes the oldest idle descriptor out of its entry; -1 when all are pinned. Twice around the clock, at most. */
static int evict_locked(struct fdcache *c)
{
    for (int left = 2 * atomic_load(&c->open); left > 0; left--) {
        struct fdent *e = container_of(list_pop(&c->entries), struct fdent, link);
        list_push(&c->entries, &e->link);
        int fd = atomic_exchange(&e->recent, false) ? -1 : take_locked(c, e);
        if (fd >= 0) return fd;
    }
    return -1;
}

bool fd_spare(struct fdcache *c)
{
    pthread_mutex_lock(&c->mu);
    int old = evict_locked(c);
    pthread_mutex_unlock(&c->mu);
    if (old >= 0) c->fs->close(c->fs, old);
    return old >= 0;
}

bool fd_room(struct fdcache *c, int rc) { return (rc == -EMFILE || rc == -ENFILE) && fd_spare(c); }

int fd_pin(struct fdcache *c, struct fdent *e, const char *path, int flags)
{
    int fd = fd_pin_open(c, e);
    if (fd >= 0) return fd;

    fd = c->fs->open(c->fs, path, flags);
    while (fd_room(c, fd)) fd = c->fs->open(c->fs, path, flags); /* our own idle ones first */
    if (fd < 0) return fd;

    pthread_mutex_lock(&c->mu);
    int spare = -1, faster = fd_pin_open(c, e);
    if (faster >= 0) { /* somebody was */
        spare = fd;
        fd = faster;
    } else {
        e->fd = fd;
        atomic_store_explicit(&e->pins, 1, memory_order_release);
        list_push(&c->entries, &e->link);
        if (atomic_fetch_add(&c->open, 1) >= c->cap) spare = evict_locked(c);
    }
    pthread_mutex_unlock(&c->mu);
    if (spare >= 0) c->fs->close(c->fs, spare);
    return fd;
}

void fd_unpin(struct fdcache *c, struct fdent *e)
{
    int old = -1, pins = atomic_fetch_sub_explicit(&e->pins, 1, memory_order_release);
    assert(pins > 0);
    if (pins > 1 || atomic_load_explicit(&c->open, memory_order_relaxed) <= c->cap) return;
    pthread_mutex_lock(&c->mu);
    if (atomic_load(&c->open) > c->cap) old = evict_locked(c);
    pthread_mutex_unlock(&c->mu);
    if (old >= 0) c->fs->close(c->fs, old);
}

void fd_drop(struct fdcache *c, struct fdent *e)
{
    pthread_mutex_lock(&c->mu);
    int fd = take_locked(c, e);
    assert(fd >= 0 || atomic_load(&e->pins) == FD_CLOSED);
    pthread_mutex_unlock(&c->mu);
    if (fd >= 0) c->fs->close(c->fs, fd);
}
