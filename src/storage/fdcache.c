/* An LRU of descriptors. See fdcache.h. */
#include "fdcache.h"
#include <errno.h>

void fdcache_init(struct fdcache *c, struct fs *fs, int cap)
{
    *c = (struct fdcache){ .fs = fs, .cap = MAX(cap, 8) };
    pthread_mutex_init(&c->mu, NULL);
    list_init(&c->lru);
}

void fdcache_free(struct fdcache *c)
{
    assert(c->open == 0);
    pthread_mutex_destroy(&c->mu);
}

static void pin_locked(struct fdent *e)
{
    if (e->pins++ == 0) list_remove(&e->lru);
}

int fd_pin_open(struct fdcache *c, struct fdent *e)
{
    pthread_mutex_lock(&c->mu);
    int fd = e->fd;
    if (fd >= 0) pin_locked(e);
    pthread_mutex_unlock(&c->mu);
    return fd >= 0 ? fd : -EBADF;
}

/* Takes the oldest idle descriptor out of its entry; -1 when all are pinned. */
static int evict_locked(struct fdcache *c)
{
    struct list *n = list_pop(&c->lru);
    if (!n) return -1;
    struct fdent *e = container_of(n, struct fdent, lru);
    int fd = e->fd;
    e->fd = -1;
    c->open--;
    return fd;
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

    int spare = -1;
    pthread_mutex_lock(&c->mu);
    if (e->fd >= 0) { /* somebody was faster */
        spare = fd;
        fd = e->fd;
        pin_locked(e);
    } else {
        e->fd = fd;
        e->pins = 1;
        c->open++;
        if (c->open > c->cap) spare = evict_locked(c);
    }
    pthread_mutex_unlock(&c->mu);
    if (spare >= 0) c->fs->close(c->fs, spare);
    return fd;
}

void fd_unpin(struct fdcache *c, struct fdent *e)
{
    int old = -1;
    pthread_mutex_lock(&c->mu);
    assert(e->pins > 0);
    if (--e->pins == 0) {
        list_push(&c->lru, &e->lru);
        if (c->open > c->cap) old = evict_locked(c);
    }
    pthread_mutex_unlock(&c->mu);
    if (old >= 0) c->fs->close(c->fs, old);
}

void fd_drop(struct fdcache *c, struct fdent *e)
{
    pthread_mutex_lock(&c->mu);
    assert(e->pins == 0);
    int fd = e->fd;
    if (fd >= 0) {
        list_remove(&e->lru);
        e->fd = -1;
        c->open--;
    }
    pthread_mutex_unlock(&c->mu);
    if (fd >= 0) c->fs->close(c->fs, fd);
}
