/* fdcache: the open files of one log directory, opened on first use and closed oldest first when there are too many (DESIGN.md §3.5).
 *
 * An entry is embedded in whoever owns the file. While pinned (appended, synced, sent) it stays open, even past the cap. Every append and every
 * fetch pins: that takes no lock. Oldest: of those that nobody has pinned since the last time one was looked for (a clock).
 * Threads: any. A path is needed only to open; opening happens outside the lock. */
#pragma once
#include <odradek/base.h>

enum { FD_CLOSED = -1 };
struct fdent {           /* zero is not "closed": fdent_init */
    struct list link;    /* (mu) linked while open */
    _Atomic int pins;    /* FD_CLOSED: not open; leaves and becomes that under mu */
    _Atomic bool recent; /* pinned since it was last looked at */
    int fd;              /* of an open one; changes while it is closed */
};
struct fdcache {
    pthread_mutex_t mu;
    struct fs *fs;
    struct list entries; /* (mu) open ones, oldest first */
    _Atomic int open;    /* changes under mu */
    int cap;
};

static inline void fdent_init(struct fdent *e)
{
    list_init(&e->link);
    atomic_init(&e->pins, FD_CLOSED);
    atomic_init(&e->recent, false);
    e->fd = -1;
}
void fdcache_init(struct fdcache *c, struct fs *fs, int cap);
void fdcache_free(struct fdcache *c); /* every entry must have been dropped */

/* Pins e when it is open: its descriptor, else -EBADF. Cheap. */
int fd_pin_open(struct fdcache *c, struct fdent *e);
/* Pins e, opening path with flags (FS_*) when it is closed: its descriptor or -errno. Blocks. */
int fd_pin(struct fdcache *c, struct fdent *e, const char *path, int flags);
void fd_unpin(struct fdcache *c, struct fdent *e);
/* Closes the oldest idle one, for an open past the cache that got -EMFILE or -ENFILE: false when all are pinned. */
bool fd_spare(struct fdcache *c);
/* Is it worth to try again what gave rc? It was short of descriptors, and one was given up for it. */
bool fd_room(struct fdcache *c, int rc);
/* Closes e, which nobody has pinned: before its owner goes, or its file is replaced. Harmless when closed. */
void fd_drop(struct fdcache *c, struct fdent *e);
