/* Inside net: the per-loop part, connections and how they reach their socket. */
#pragma once
#include <odradek/net.h>

enum {
    CHUNK = 64 * 1024,        /* receive buffer of a loop, shared by its connections */
    READ_BUDGET = 512 * 1024, /* bytes read of one connection in a turn */
    SEND_BUDGET = 2 << 20,    /* bytes sent to one connection in a turn */
    COPY_MAX = 32 * 1024,     /* file ranges up to this size are copied into the answer; larger ones go by sendfile */
    SENDFILE_PIECE = 1 << 20,
    CONGESTION_NAME = 16, /* as the kernel's TCP_CA_NAME_MAX */
    OUT_PAUSE = 4 << 20,  /* bytes waiting to be sent beyond which a connection is no longer read, at most */
    OUT_PAUSE_LEAST = 64 * 1024,
    DEAF_US =
        1000 *
        1000, /* with memory short, a peer that takes nothing of its answers, or sends nothing of its frame, for so long is closed */
    LAST_US = 5000 * 1000, /* and so is one whose frame takes so long */
    HUNGRY_US = 5000,
    HELD_FREE = 8 * 1024,      /* bytes of answers a connection may hold that are not counted while they are being sent */
    TAKE_FROM = 256 * 1024,    /* answers from this size on keep the memory they were made in */
    SPARE_PARTS = 256,         /* output parts a loop keeps for reuse */
    WHOLE_FRAME_MAX = 4 << 20, /* a frame up to this size gets its buffer at once; larger ones grow with what arrives */
};

struct net_loop { /* one per shard; at home */
    struct net *net;
    struct shard *shard;
    struct loop *loop;
    struct waker *waker;
    struct buf *chunk;
    struct list conns;
    struct list partials; /* conns in the middle of a frame of their own buffer, oldest first */
    struct list spare_parts;
    int spare_parts_n;
    struct list starved; /* of these: not read, because memory is short */
    int64_t deaf_us;     /* when it last looked for peers that do not read */
    struct timer hungry; /* looks whether they may go on: other loops give memory back, too */
    _Atomic int conns_n;
    _Atomic int busy;          /* spread.c: percent of its time that it was awake when it last looked */
    _Atomic int64_t looked_us; /* when that was */
    int64_t looked_slept_us;   /* how long it had slept by then */
    int64_t rest_us;           /* how long it does not, from then on */
    int64_t spread_us;         /* when it last gave connections away, or got one */
    struct list movers;        /* conns that are to go to another loop */
    struct timer moves;
    struct timer sweep;
    struct post drain_post;
    bool draining;
    struct timer drain_deadline;
    int64_t drain_began_us;
};

struct listener {
    struct net *net;
    struct loop_io io;
    struct slice name;
    int fd, port;
    bool open;
    struct timer retry;
};

struct conn;
struct net {
    struct broker *broker;
    const struct conf *conf;
    int loops_n;
    struct net_loop *loops;
    int listeners_n;
    struct listener *listeners;
    struct mem_budget *memory;   /* the broker's */
    _Atomic int64_t partial;     /* of it, charged for frames that are not whole yet */
    _Atomic(struct conn *) last; /* whose frame goes on though there is no memory, so that somebody's does */
    size_t out_pause;            /* a 64th of it, within OUT_PAUSE */
    int64_t frame_max, idle_us, frame_timeout_us, drain_ms;
    int backlog;
    int64_t fds_max;                  /* connections beyond which descriptors would be short for the storage */
    int send_buffer, receive_buffer;  /* SO_SNDBUF, SO_RCVBUF; -1 = the system's */
    char congestion[CONGESTION_NAME]; /* BBR's name where the system has it: see listen.c; else "" */
    _Atomic int moving;               /* connections between two loops */
    pthread_mutex_t ips_mu;
    struct map ips; /* struct ip by address: how many connections */
    _Atomic int total;
    struct post start_post;
    void (*drained)(void *arg);
    void *drained_arg;
};

/* How a connection reaches its peer (plain; TLS and simulated sockets take the same place). Counts or -errno; -EAGAIN: later. */
struct transport {
    ssize_t (*readv)(struct conn *c, const struct iovec *v, int n);
    ssize_t (*writev)(struct conn *c, const struct iovec *v, int n, bool more);
    ssize_t (*sendfile)(struct conn *c, const struct file_range *r, uint32_t from, uint32_t n); /* NULL: copy instead */
    bool (*pending)(struct conn *c); /* bytes inside that poll does not see */
    int (*open)(struct conn *c);
    void (*want)(struct conn *c, unsigned events);
    void (*close)(struct conn *c); /* conn_gone() follows */
    void (*leave)(struct conn *c); /* the loop, with the socket open: conn_left() follows, and open() on another loop */
};
extern const struct transport transport_plain;

struct out_part { /* of what waits to be sent: bytes or a file range */
    struct list link;
    struct buf *buf;
    struct bytes own; /* instead of buf */
    uint32_t at;      /* sent so far, of buf->len, own.n or range.n */
    struct file_range range;
    bool prefaulted; /* read in once: not asked again */
};

struct conn {
    struct loop_io io;
    const struct transport *transport;
    struct net_loop *nl;
    struct client *client;
    struct list link; /* in nl->conns */
    char host[64];    /* of the peer */
    /* in */
    struct buf *stash;  /* the beginning of a frame: len bytes, prefix included; or one large frame being gathered */
    size_t need;        /* whole size of the large frame in stash; 0: stash is short and moves back into the chunk */
    size_t expect;      /* the last frame was this large: so may be the next; 0: it was short */
    int64_t charged;    /* to the memory budget */
    int64_t partial_us; /* when that frame began; 0 = none */
    struct list partial, starving;
    /* out */
    struct list out;
    size_t out_bytes;
    int64_t held;        /* memory of what waits in `out` */
    int64_t out_charged; /* of it, to the memory budget: when it is much, or the peer does not take it */
    struct post flush;
    struct post again;   /* read or send went over its budget: go on in the next turn; or on its way to another loop */
    struct net_loop *to; /* where it is to go */
    struct list mover;
    int64_t to_us;     /* since when */
    int64_t stayed_us; /* when that was given up; 0: it was not */
    struct sleeper prefault;
    bool prefaulting;
    int64_t used_us;
    const char *why; /* closing for this reason */
    bool backlog;    /* stash holds whole frames: they wait until answers before them are sent */
    bool paused, blocked, closing, closed, starved, deferred, gone;
};

struct conn *conn_new(struct net_loop *nl, int fd, const struct transport *t, const struct client_info *info);
void conn_ready(struct conn *c, unsigned events);  /* from the transport */
void conn_gone(struct conn *c);                    /* from the transport: nothing refers to c any more */
void conn_close(struct conn *c, const char *why);  /* now; what waits to be sent is lost. NULL: quietly */
void conn_finish(struct conn *c, const char *why); /* after what waits has been sent */
void conn_flush(struct conn *c);
bool conn_watch(struct conn *c); /* by its loop, from now on. False: it could not be, and is closed */
void conn_want(struct conn *c);  /* tells the transport which events it waits for */
/* To another loop, as soon as all that was read is answered; it is not read until then. Given up when that takes long. */
void conn_move(struct conn *c, struct net_loop *to);
void conn_stay(struct conn *c); /* after all */
void conn_left(struct conn *c); /* from the transport: its old loop does not know it any more */
/* At the beginning of what a connection has to do: is this loop busier than another? */
void spread_look(struct net_loop *nl);
struct net_loop *spread_place(struct net *n); /* for a new connection; on the first loop */
void net_sweep_start(struct net_loop *nl);
void conn_close_deaf(struct net_loop *nl); /* with memory short, who keeps some and does not use it */
void conn_feed(struct net_loop *nl);       /* starved connections of this loop go on, where there is memory for them */
struct net *net_new(struct broker *b, const struct conf *conf); /* without listeners: for connections of other making */
bool net_conn_begins(struct net *n, const char *host);          /* false: max.connections or max.connections.per.ip is reached */
void net_conn_ended(struct net *n, const char *host);
