/* A whole broker on one loop in the simulated world, clients made of bytes, and every way to lose the broker: what the simulations stand on.
 *
 * Threads: one. Requests and hang-ups travel to the broker as posts, so they arrive in a turn of its loop, as from a socket. An answer is
 * decoded and handed to its call at once, inside that turn: `answered` may look and note, but not step the world. */
#pragma once
#undef NDEBUG
#include <odradek/broker.h>
#include <odradek/kafka_errors.h>
#include <odradek/wire.h>

struct node {
    struct world *world;
    struct conf *conf;
    struct broker *broker; /* NULL while it is down */
    struct list peers;     /* with a connection to this broker, or one that just broke */
    struct list gone;      /* peers of this life without one; memory until the next start */
    bool stopping;         /* a clean stop is under way */
    int drained;
    int offline; /* log directories that failed in this run */
};
/* A world of its own from the seed; the settings name log.dirs. Nothing is started. */
void node_init(struct node *n, uint64_t seed, const char *properties);
void node_free(struct node *n);               /* when it is down */
int node_up(struct node *n, struct why *why); /* 0, or broker_open's error */
int node_down(struct node *n);                /* clean stop: broker_close's answer. All connections are gone then */
void node_power_loss(struct node *n);         /* what was not synced is settled by the seed */
void node_kill(struct node *n);               /* the process dies; what it wrote is in the page cache, and stays */
bool node_step(struct node *n);               /* sim_step, and broken connections are hung up */
void node_run(struct node *n, int64_t us);    /* the same for a time */
int64_t node_now_us(const struct node *n);

/* ---- peers and calls ------------------------------------------------------------------------------------------------------------------ */

struct call;
struct call {           /* a request on its way; embedded in what the simulation knows about it */
    struct list link;   /* private: in its peer's line */
    struct post post;   /* private */
    struct bytes frame; /* private */
    struct peer *peer;
    int16_t key, version;
    int32_t correlation;
    bool silent; /* acks=0: no answer will come */
    bool sent;   /* it has reached the broker */
    int64_t sent_us;
    struct arena arena; /* for building it, and for its answer; freed by call_free */
    /* Exactly one of both is called, once; the call is the owner's again then. */
    void (*answered)(struct call *c,
                     void *out);  /* silent: out NULL, when a later answer, or the hang-up in order, says it was executed */
    void (*lost)(struct call *c); /* no answer will come: whether it was executed nobody knows */
};
struct peer {
    struct list link; /* in its node */
    struct node *node;
    struct client *client; /* NULL before the connection stands and when it is gone */
    struct list line;      /* calls that have no answer yet, in order */
    int line_n;
    int32_t correlation;
    bool closed; /* by the broker */
    bool broken; /* or because what was to be sent could not be read */
    bool paused;
    bool junked;
    struct junk *junk; /* what was or will be sent of it: the life may end before */
    const char *reason;
    struct post open, hang_up;
    bool opening, hanging_up, gone;
    int64_t serial;
};
struct peer *peer_open(struct node *n);
/* The connection ends, as when a client dies; its calls are lost. p stays valid for looking at until the next start. */
void peer_hang_up(struct peer *p);
bool peer_is_up(const struct peer *p);

void call_init(struct call *c, int16_t key, int16_t version);
void call_free(struct call *c); /* its memory; not when on its way */
/* Encodes `in` and sends it; key and version, answered and lost are set. */
void peer_send(struct peer *p, struct call *c, const void *in);
/* A frame that may be anything, once. From then on nobody listens to answers. */
void peer_send_junk(struct peer *p, const void *frame, size_t n);

/* ---- failing ------------------------------------------------------------------------------------------------------------------------------ */

/* Whoever finds something wrong ends the process; the seed is printed by sim_main's handlers, whatever ends it. */
#define CHECK(cond, ...)                                                 \
    do {                                                                 \
        if (!(cond)) sim_failed(__FILE__, __LINE__, #cond, __VA_ARGS__); \
    } while (0)
void sim_failed(const char *file, int line, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), noreturn));
/* Says from now on how to repeat what runs; printed when the process ends in a failure of any kind. */
void sim_running(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
extern bool sim_verbose; /* ODR_SEED is set */
