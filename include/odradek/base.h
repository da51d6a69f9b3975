/* base: what every other layer stands on. No Kafka word in here.
 *
 * Memory, counted buffers, lists and maps, CRC-32C, and the seams: clock, random, files, loops and workers. A `struct world`
 * bundles the seams. There are two worlds: the real one (libuv, POSIX) and the simulated one (one thread, one seed: see
 * world_sim_new), and nothing above this layer can tell which it lives in.
 *
 * Errors: 0 or a negative `enum err`. Functions of `struct fs` return -errno instead; err_of_errno() translates.
 * Threads: unless a comment says otherwise a function may be called from any thread on objects nobody else touches. */
#pragma once
#undef NDEBUG /* assertions stay on in release */
#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define BIT(n)                          (1u << (n))
#define MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define MAX(a, b)                       ((a) > (b) ? (a) : (b))
#define KiB                             (1024LL)
#define MiB                             (1024LL * 1024)
#define GiB                             (1024LL * 1024 * 1024)
#define PRINTF(f, a)                    __attribute__((format(printf, f, a)))
#define NODISCARD                       __attribute__((warn_unused_result))

/* ---- errors ------------------------------------------------------------------------------------------------------ */

enum err {
    E_BASE = -20000,
#define ERR(name, text, kafka) E_##name,
#include <odradek/err_list.h>
#undef ERR
    E_END
};
const char *err_text(int err); /* never NULL; also takes -errno */
int err_kafka(int err);        /* the Kafka error code a client is told; 0 for 0 */
int err_of_errno(int neg);     /* -ENOSPC -> E_NO_SPACE, -ENOENT -> E_NOT_FOUND, …, else E_IO */

/* What went wrong at start-up or recovery, in a person's words, wrapped outward: "topic t-0: segment 42: bad CRC". */
struct why {
    char text[512];
};
int why(struct why *w, int err, const char *fmt, ...) PRINTF(3, 4);      /* sets the text, returns err; w may be NULL */
int why_wrap(struct why *w, int err, const char *fmt, ...) PRINTF(3, 4); /* "<new>: <old>", returns err */

/* ---- lists: intrusive, doubly linked, circular -------------------------------------------------------------------- */

struct list {
    struct list *prev, *next;
};
static inline void list_init(struct list *l) { l->prev = l->next = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline bool list_linked(const struct list *n) { return n->next && n->next != n; }
static inline void list_push(struct list *l, struct list *n) /* at the back */
{
    n->prev = l->prev;
    n->next = l;
    l->prev->next = n;
    l->prev = n;
}
static inline void list_push_front(struct list *l, struct list *n) { list_push(l->next, n); }
static inline void list_remove(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}
static inline struct list *list_pop(struct list *l) /* from the front; NULL when empty */
{
    struct list *n = l->next;
    if (n == l) return NULL;
    list_remove(n);
    return n;
}
static inline void list_take(struct list *to, struct list *from) /* `to` is initialised here; `from` is left empty */
{
    list_init(to);
    if (list_empty(from)) return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    list_init(from);
}
#define list_each(it, l)           for (struct list *it = (l)->next; it != (l); it = it->next)
#define list_each_safe(it, tmp, l) for (struct list *it = (l)->next, *tmp = it->next; it != (l); it = tmp, tmp = it->next)

/* ---- bytes --------------------------------------------------------------------------------------------------------- */

/* Borrowed bytes or text: never owned, never NUL-terminated. p == NULL is null, which is not the same as empty. */
struct slice {
    const char *p;
    size_t n;
};
#define S(lit)   ((struct slice){ "" lit, sizeof(lit) - 1 })
#define S_FMT    "%.*s"
#define S_ARG(s) (int)(s).n, (s).p ? (s).p : ""
static inline struct slice slice_of(const char *z) { return (struct slice){ z, z ? strlen(z) : 0 }; }
static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && !a.p == !b.p && (a.n == 0 || (a.p && b.p && memcmp(a.p, b.p, a.n) == 0));
}
int slice_cmp(struct slice a, struct slice b); /* memcmp order, shorter first; null first */

struct uuid {
    uint8_t b[16];
};
#define UUID_ZERO ((struct uuid){ { 0 } })
enum { UUID_TEXT = 23 }; /* 22 characters of URL-safe base64 and a NUL */
static inline bool uuid_eq(struct uuid a, struct uuid b) { return memcmp(a.b, b.b, 16) == 0; }
static inline bool uuid_is_zero(struct uuid a) { return uuid_eq(a, UUID_ZERO); }
void uuid_text(struct uuid u, char out[UUID_TEXT]);
int uuid_parse(struct slice text, struct uuid *out); /* 0 or E_INVALID */

/* Big-endian fields in bytes of any alignment. */
static inline uint16_t be16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}
static inline uint32_t be32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t be64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}
static inline void put_be16(void *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, 2);
}
static inline void put_be32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}
static inline void put_be64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n); /* CRC-32C (Castagnoli); start with 0; chains */
uint64_t hash_bytes(const void *p, size_t n); /* seeded per process from rand in the real world; fixed in the simulator */

/* ---- memory -------------------------------------------------------------------------------------------------------- */

/* Small allocations abort on failure, so they never return NULL. */
void *mem_alloc(size_t n);
void *mem_aligned(size_t align, size_t n); /* align a power of two, n a multiple of it */
void *mem_zalloc(size_t n);
void *mem_realloc(void *p, size_t n);
void mem_free(void *p);
char *mem_strdup(struct slice s); /* NUL-terminated copy */
/* clang-format off */
#define new(T) ((T *)mem_zalloc(sizeof(T))) /* (which clang-format takes for C++) */
/* clang-format on */

/* A budget for memory that clients decide the size of. Shared by threads.
 *
 * Half of it is the share of all together; the other half is for what is too large for the rest of the share, one at a time: who holds `own`
 * of what is used may grow up to half the limit while the others hold no more than the share. Hence the sum stays within the limit; and of
 * several that wait for more, the one that grew last may always go on, for nobody else has grown since. What is charged without asking
 * (mem_charge_over) can spoil that: hence `slack`. */
struct mem_budget {
    _Atomic int64_t used;
    _Atomic int64_t slack; /* by how much the others may be over, for a moment: so that somebody goes on when nobody can */
    int64_t limit;         /* bytes; 0 = none */
};
static inline int64_t mem_share(const struct mem_budget *b) { return b->limit / 2; }
static inline int64_t mem_most(const struct mem_budget *b) { return b->limit - mem_share(b); } /* what one may hold */
/* What all hold together. */
static inline int64_t mem_used(const struct mem_budget *b) { return atomic_load_explicit(&b->used, memory_order_relaxed); }
/* n more for who holds `own` already. False, and nothing charged, when that cannot be now, or never (own + n is more than half the limit). */
bool mem_charge(struct mem_budget *b, int64_t own, int64_t n);
/* The largest n that would be charged now; 0 none; INT64_MAX without a limit. */
int64_t mem_room(const struct mem_budget *b, int64_t own);
void mem_charge_over(struct mem_budget *b, int64_t n); /* whatever the limit: it is taken already */
bool mem_short(const struct mem_budget *b);            /* the share is used up: nobody should begin anything */
void mem_uncharge(struct mem_budget *b, int64_t n);
/* Process-wide, once, by a daemon: blocks of some size go back to the system when they are freed. */
void mem_setup(void);
void mem_pool_most(size_t n); /* process-wide: no thread keeps more than n bytes of idle blocks */

/* A region freed as a whole. Its first block may be embedded by the owner; further blocks come from a per-thread pool of blocks that
 * gives memory back when idle, so a steady request allocates nothing. In ODR_DEV builds freed arena memory is poisoned. */
struct arena_block;
struct arena {
    struct arena_block *blocks;
    char *at, *end;
    size_t used;  /* bytes handed out */
    size_t limit; /* for arena_try; 0 = none */
    size_t held;  /* bytes of its blocks, but for the owner's */
    /* What is held beyond ARENA_FREE is charged to it as blocks come, whatever its limit, and uncharged by arena_free; NULL. Set while
     * nothing is held. */
    struct mem_budget *budget;
    size_t charged; /* to it, by arena_pay perhaps for what is not held yet */
};
enum { ARENA_FREE = 24 * 1024 };
void arena_init(struct arena *a);
void arena_init_in(struct arena *a, void *mem, size_t n); /* the first block is the owner's memory, which outlives the arena */
void arena_free(struct arena *a);                         /* frees all; the arena may be used again */
/* Charges its budget for n bytes that are to come, as mem_charge does, for an owner who holds `own` beside the arena. False: not now. What is
 * charged for already counts, so asking again for what has not been taken yet costs nothing. */
bool arena_pay(struct arena *a, int64_t own, size_t n);
void arena_settle(struct arena *a, size_t n); /* of what is paid for and not taken, no more than n bytes stay so */
void *arena_alloc(struct arena *a, size_t n); /* 16-byte aligned, uninitialised, never NULL */
void *arena_try(struct arena *a, size_t n);   /* the same for sizes a client decides: NULL past the limit */
void *arena_zalloc(struct arena *a, size_t n);
struct slice arena_copy(struct arena *a, struct slice s);                      /* null stays null */
struct slice arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3); /* also NUL-terminated */
#define arena_new(a, T)      ((T *)arena_zalloc((a), sizeof(T)))
#define arena_array(a, T, n) ((T *)arena_zalloc((a), sizeof(T) * (size_t)(n)))
void mem_pool_trim(void); /* gives back this thread's blocks that nobody needed since the last call; loops and workers call it */

/* Counted bytes: what was received, or what waits to be sent. Freed with the last reference, on any thread. */
struct buf {
    _Atomic uint32_t refs;
    uint32_t cap;
    uint32_t len; /* for the owner's use */
    uint32_t charged;
    struct mem_budget *budget; /* gets `charged` back with the last reference; NULL */
    uint8_t data[];
};
struct buf *buf_new(size_t cap); /* one reference, len 0; from the thread's pool where it fits */
static inline struct buf *buf_ref(struct buf *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}
void buf_unref(struct buf **b); /* nulls *b */
/* n bytes that are charged to m already are uncharged with the buffer's last reference, on whatever thread. Once; m outlives the buffer. */
void buf_charged(struct buf *b, struct mem_budget *m, uint32_t n);

/* A growable byte string on the heap. Zero it to initialise. */
struct bytes {
    uint8_t *p;
    size_t n, cap;
};
void *bytes_room(struct bytes *b, size_t n); /* room for n more at the end; the caller adds to b->n */
void bytes_put(struct bytes *b, const void *p, size_t n);
void bytes_printf(struct bytes *b, const char *fmt, ...) PRINTF(2, 3);
void bytes_free(struct bytes *b);

/* Intrusive hash map, open hashing. Keys are compared by the caller's function. Zero it to initialise. */
struct map_node {
    struct map_node *next;
    uint64_t hash;
};
struct map {
    struct map_node **slots;
    size_t n, mask;
};
typedef bool map_eq(const struct map_node *n, const void *key);
struct map_node *map_find(const struct map *m, uint64_t hash, map_eq *eq, const void *key);
void map_put(struct map *m, uint64_t hash, struct map_node *n); /* the key must not be there yet */
void map_remove(struct map *m, struct map_node *n);
struct map_node *map_next(const struct map *m, const struct map_node *n); /* n NULL: the first; no order */
void map_free(struct map *m);                                             /* frees the table, not the nodes */
static inline uint64_t hash_slice(struct slice s) { return hash_bytes(s.p, s.n); }

/* ---- clock and random ------------------------------------------------------------------------------------------------ */

struct clock {
    int64_t (*mono_us)(struct clock *c); /* microseconds, never goes back, for waiting */
    int64_t (*wall_ms)(struct clock *c); /* milliseconds since 1970, for timestamps */
    int64_t (*cpu_us)(struct clock *c);  /* processor time of the calling thread; simulated: none is ever used. A system call */
};
struct rnd {
    void (*fill)(struct rnd *r, void *p, size_t n); /* real: getrandom; simulated: from the seed. Any thread */
};
uint64_t rnd_u64(struct rnd *r);
uint64_t rnd_below(struct rnd *r, uint64_t n); /* 0 … n-1 */
struct uuid rnd_uuid(struct rnd *r);           /* version 4; text never begins with '-', as Kafka's Uuid.randomUuid */

/* ---- files ----------------------------------------------------------------------------------------------------------- */

/* File operations as a table. All return 0 (or a count, or a descriptor) or -errno. Paths are absolute or relative to the process.
 * EINTR and short transfers are handled inside: pread returns less than asked only at the end of the file, pwritev writes all or
 * returns the error (then any part of it may be in the file: the caller cuts).
 * Nothing is durable before datasync (file content and size) and sync_dir (names): the simulated one takes the rest away at power loss. */
/* FS_WRITE = read and write. FS_DIRECT: past the page cache; everything in multiples of FS_DIRECT_ALIGN, in memory and in the file (-EINVAL where the
 * file system cannot, at the open or at a write), and a sync is needed as ever. FS_DIR: a directory, for sync_names. */
enum { FS_READ = 0, FS_WRITE = 1, FS_CREATE = 2, FS_TRUNC = 4, FS_EXCL = 8, FS_DIRECT = 16, FS_DIR = 32, FS_DIRECT_ALIGN = 4096 };
struct fs_stat {
    int64_t size;
    int64_t mtime_ms;
    bool is_dir;
};
struct fs_space {
    int64_t total, available; /* bytes */
    const char *cow;          /* name of a file system that never writes in place (btrfs, zfs, …); NULL: another */
};
struct fs {
    bool real;                                               /* descriptors are the kernel's: sendfile works on them */
    int (*open)(struct fs *fs, const char *path, int flags); /* new files 0640 less umask */
    int (*close)(struct fs *fs, int fd);
    ssize_t (*pread)(struct fs *fs, int fd, void *p, size_t n, int64_t at);
    int (*pwritev)(struct fs *fs, int fd, const struct iovec *v, int n, int64_t at);
    int (*truncate)(struct fs *fs, int fd, int64_t size);
    int (*datasync)(struct fs *fs, int fd);
    int (*sync_dir)(struct fs *fs, const char *path);
    int (*sync_names)(struct fs *fs, int fd); /* sync_dir of an open one: takes no descriptor that may not be there */
    int (*rename)(struct fs *fs, const char *from, const char *to); /* files and directories; replaces a file */
    int (*unlink)(struct fs *fs, const char *path);
    int (*mkdir)(struct fs *fs, const char *path); /* 0750 less umask */
    int (*rmdir)(struct fs *fs, const char *path);
    int (*stat)(struct fs *fs, const char *path, struct fs_stat *st);
    int (*fstat)(struct fs *fs, int fd, struct fs_stat *st);
    /* sorted; NUL-terminated; no . and .. */
    int (*list)(struct fs *fs, const char *path, struct arena *a, struct slice **names, int *n);
    int (*space)(struct fs *fs, const char *path, struct fs_space *sp);
    /* creates; fcntl(F_OFD_SETLK), as Java's FileLock (K1); a descriptor, or -EAGAIN */
    int (*lock)(struct fs *fs, const char *path);
    void (*forget)(struct fs *fs, int fd, int64_t at, int64_t n);    /* posix_fadvise(DONTNEED) */
    void (*writeback)(struct fs *fs, int fd, int64_t at, int64_t n); /* starts writing dirty pages; only a hint */
    bool (*resident)(struct fs *fs, int fd, int64_t at, int64_t n);  /* would reading it not wait for the disk? A hint */
    void (*readahead)(struct fs *fs, int fd, int64_t at, int64_t n); /* starts reading; only a hint */
};
/* Helpers over any fs. */
int fs_read_file(struct fs *fs, const char *path, size_t max, struct bytes *out); /* -EFBIG past max */
int fs_write_file(struct fs *fs, const char *path, struct slice content); /* tmp, datasync, rename, sync_dir: atomic, durable */
int fs_mkdirs(struct fs *fs, const char *path);      /* all of the path; each new name is durable; 0 when it is there */
int fs_remove_tree(struct fs *fs, const char *path); /* a file, or a directory with all in it; 0 when not there; not durable */
int fs_sync_parent(struct fs *fs, const char *path); /* sync_dir of the directory that holds path's name */

/* ---- loops ------------------------------------------------------------------------------------------------------------ */

/* One thread's event loop. A turn has three phases (DESIGN.md: a request's life):
 *   PHASE_RUN    ready descriptors, posts and timers: read, execute, stage appends
 *   PHASE_APPEND loop_defer'ed here: one pwritev per touched partition log
 *   PHASE_SEND   loop_defer'ed here: one writev per connection with answers
 * What a deferred call defers to its own or an earlier phase runs in the same turn, bounded; the loop never sleeps over deferred work. */
enum loop_phase { PHASE_APPEND, PHASE_SEND, PHASE_COUNT };
struct loop;
struct world;

struct post { /* embedded in what is posted; may be reused once fn has been entered */
    struct list link;
    void (*fn)(struct post *p);
};
struct timer {     /* embedded; zero it to initialise */
    int64_t at_us; /* on the loop's clock */
    void (*fn)(struct timer *t);
    size_t heap_at; /* private: index + 1; 0 = not armed */
};
struct loop_io { /* a watched descriptor of the real world; embedded */
    int fd;
    void (*ready)(struct loop_io *io, unsigned events);
    void (*closed)(struct loop_io *io); /* after loop_io_close: now fd may be closed and the memory freed */
    void *priv;
    unsigned want;
};
enum { IO_READ = 1, IO_WRITE = 2, IO_HANGUP = 4 };

struct loop *loop_new(struct world *w, const char *name);
void loop_run(struct loop *l);   /* until loop_stop and nothing is left; the caller's thread becomes home */
void loop_start(struct loop *l); /* loop_run on a thread of its own (simulated: just makes it runnable) */
void loop_stop(struct loop *l);  /* any thread: leave as soon as nothing is posted or deferred */
void loop_join(struct loop *l);
void loop_free(struct loop **l);                /* after join */
bool loop_here(const struct loop *l);           /* does the caller run on l, or nobody yet? For assertions */
int64_t loop_now_us(const struct loop *l);      /* cached per turn */
int64_t loop_slept_us(const struct loop *l);    /* at home: how much of its time it has slept so far */
bool loop_asleep(struct loop *l);               /* any thread: does it sleep, having nothing to do? A moment's answer */
void loop_post(struct loop *l, struct post *p); /* any thread; p must not be posted already. FIFO per poster */
void loop_defer(struct loop *l, enum loop_phase phase, struct post *p); /* at home */
void loop_timer(struct loop *l, struct timer *t, int64_t at_us);        /* at home; re-arms */
void loop_timer_stop(struct loop *l, struct timer *t);                  /* at home; harmless when not armed */
int loop_io_open(struct loop *l, struct loop_io *io, unsigned events);  /* at home; real world only; 0 or -errno */
void loop_io_want(struct loop *l, struct loop_io *io, unsigned events); /* at home; no system call when unchanged */
void loop_io_close(struct loop *l, struct loop_io *io);                 /* at home; closed() follows in a later turn */
struct world *loop_world(const struct loop *l);

/* ---- workers ------------------------------------------------------------------------------------------------------------ */

/* A named thread for what blocks. turn() does a bounded piece of work and says whether there is more; worker_kick makes sure that
 * turn() begins once more after the kick. The simulator runs turns between any two callbacks. */
enum turn { TURN_IDLE, TURN_MORE };
struct worker;
struct worker *worker_start(struct world *w, const char *name, enum turn (*turn)(void *arg), void *arg);
void worker_kick(struct worker *wk);  /* any thread */
void worker_stop(struct worker **wk); /* at least one more turn, then until idle, then joins; nulls */
/* A start does not wait for threads that it has no work for: between the two calls a worker's thread is made at its first kick;
 * workers_begin makes the others, so that a system which refuses one is found out at the start. Without workers_hold, worker_start makes
 * it. Nothing to do in the simulated world. */
void workers_hold(struct world *w);
void workers_begin(struct world *w);

/* ---- tickets and watches: the one way to wait (STYLE.md §3) ---------------------------------------------------------------- */

/* A ticket names somebody who waits on a loop: slot and generation. Poking it is a hint that may come late, twice or for nothing; a
 * ticket whose owner is gone finds nobody. Pokes from other threads travel through the loop's mailbox, one post for many. */
typedef uint64_t ticket; /* 0 = nobody */
struct waker;            /* one per loop */
struct waker *waker_new(struct loop *l);
void waker_free(struct waker **w); /* at home or after the loop ended */
struct loop *waker_loop(const struct waker *w);
struct sleeper {                     /* embedded in whoever waits */
    void (*wake)(struct sleeper *s); /* at home, never inside waker_poke */
    ticket id;                       /* 0 while not registered */
};
void waker_add(struct waker *w, struct sleeper *s);    /* at home */
void waker_remove(struct waker *w, struct sleeper *s); /* at home; later pokes find nobody */
void waker_poke(struct waker *w, ticket t);            /* any thread; cheap when already pending */

/* ---- worlds ---------------------------------------------------------------------------------------------------------------- */

struct sim; /* NULL in the real world */
struct world {
    struct fs *fs;
    struct clock *clock;
    struct rnd *rnd;
    struct sim *sim;
    struct held_workers *held; /* the real world's */
};
struct world *world_real_new(void);
void world_free(struct world **w);

/* The simulated world: one thread, everything from one seed. Files live in memory: written bytes are in limbo until synced, and
 * sim_power_loss() keeps, drops, reorders or tears by 512 B sector what was not synced, from the seed. */
struct world *world_sim_new(uint64_t seed);
/* Runs one runnable thing (a turn of a loop or of a worker), chosen by the seed; else moves time to the next timer; false when nothing
 * will ever happen. */
bool sim_step(struct world *w);
void sim_run(struct world *w, int64_t us);      /* steps until us of simulated time have gone by */
uint64_t sim_trace_hash(const struct world *w); /* of everything scheduled and written so far: equal for equal seeds */
/* All loops, workers and descriptors are gone at once; memory of their users leaks to the caller, who forgets it. What dead loops and
 * workers reach is no leak to a leak checker; sim_forget adds p and all it reaches. */
void sim_power_loss(struct world *w);
void sim_forget(struct world *w, void *p);
/* File calls are counted, except those that neither change nor read content: close, stat, fstat, space and the hints. */
enum sim_op {
    SIM_OPEN = 1,
    SIM_PREAD = 2,
    SIM_PWRITEV = 4,
    SIM_TRUNCATE = 8,
    SIM_DATASYNC = 16,
    SIM_SYNC_DIR = 32,
    SIM_RENAME = 64,
    SIM_UNLINK = 128,
    SIM_MKDIR = 256,
    SIM_RMDIR = 512,
    SIM_LIST = 1024,
    SIM_LOCK = 2048
};
struct sim_fault {
    int64_t nth; /* fail the nth counted file call from now on, 1 = the next; 0 = off */
    bool sticky; /* and all later ones */
    int err;     /* -EIO, -ENOSPC, …; 0 with `cut`: a short write that then fails with -EIO */
    bool cut;
    unsigned ops;     /* count, for nth, only these (enum sim_op); 0 = all */
    const char *path; /* and only where the path has this in it; borrowed; NULL = anywhere */
};
void sim_fault(struct world *w, struct sim_fault f);
int64_t sim_fs_calls(const struct world *w);        /* counted so far, whatever the fault asks for */
void sim_space(struct world *w, int64_t available); /* bytes until ENOSPC; -1 = endless */

/* ---- log lines ---------------------------------------------------------------------------------------------------------------- */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
struct kv {
    const char *key;
    enum { KV_TYPE_S, KV_TYPE_I, KV_TYPE_F } type;
    struct slice s;
    int64_t i;
    double f;
};
#define KV_STR(k, v)   ((struct kv){ .key = (k), .type = KV_TYPE_S, .s = slice_of(v) })
#define KV_SLICE(k, v) ((struct kv){ .key = (k), .type = KV_TYPE_S, .s = (v) })
#define KV_I64(k, v)   ((struct kv){ .key = (k), .type = KV_TYPE_I, .i = (int64_t)(v) })
#define KV_F(k, v)     ((struct kv){ .key = (k), .type = KV_TYPE_F, .f = (v) })
#define KV_ERR(e)      KV_STR("error", err_text(e))
/* One event, one line: `level module: event key=value …` to stderr; values with spaces, quotes or control bytes are quoted. */
void log_line(enum log_level level, const char *module, const char *event, const struct kv *kv, int n);
#define log_at(level, module, event, ...)                                           \
    do {                                                                            \
        if ((level) >= log_threshold) {                                             \
            const struct kv kv_[] = { { .key = NULL }, ##__VA_ARGS__ };             \
            log_line((level), (module), (event), kv_ + 1, (int)ARRAY_LEN(kv_) - 1); \
        }                                                                           \
    } while (0)
#define log_debug(m, e, ...) log_at(LOG_DEBUG, m, e, ##__VA_ARGS__)
#define log_info(m, e, ...)  log_at(LOG_INFO, m, e, ##__VA_ARGS__)
#define log_warn(m, e, ...)  log_at(LOG_WARN, m, e, ##__VA_ARGS__)
#define log_error(m, e, ...) log_at(LOG_ERROR, m, e, ##__VA_ARGS__)
extern enum log_level log_threshold;
/* Where lines go; NULL = stderr, with the journal's <N> level prefixes when JOURNAL_STREAM is set. Tests capture. */
void log_sink(void (*sink)(void *arg, enum log_level level, struct slice line), void *arg);

/* ---- metrics ---------------------------------------------------------------------------------------------------------------- */

/* Counters and gauges of the whole process, relaxed atomics, one row each in metric_list.h. Each thread counts in a stripe, which few others
 * use, so that loops do not wait for each other's cache lines; what a metric is, is the sum. */
enum metric {
#define METRIC(name, prom, help) M_##name,
#include <odradek/metric_list.h>
#undef METRIC
    M_COUNT
};
struct metric_stripe {
    _Alignas(64) _Atomic int64_t v[M_COUNT];
};
extern _Thread_local struct metric_stripe *metric_mine; /* NULL until this thread counts first */
struct metric_stripe *metric_begin(void);
static inline void metric_add(enum metric m, int64_t n)
{
    struct metric_stripe *s = metric_mine ? metric_mine : metric_begin();
    atomic_fetch_add_explicit(&s->v[m], n, memory_order_relaxed);
}
int64_t metric_get(enum metric m);
