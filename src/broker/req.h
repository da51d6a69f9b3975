/* A request, from its frame to its answer, and the one engine that knows how to wait.
 *
 * A request is written as steps. A step looks at the world and says:
 *   REQ_AGAIN  run rq->step (perhaps a new one: req_goto) at once; four in a row go to the end of the turn
 *   REQ_WAIT   something has been armed that will poke rq's ticket; the step is called again then, or when the deadline passes
 *              (rq->expired), or when the broker drains. Wake-ups may come twice, late or for nothing. A step whose memory
 *              somebody else still uses waits on even when expired
 *   REQ_DONE   rq->out is the answer (or rq->no_answer is set)
 *   REQ_CLOSE  the connection is closed, after earlier answers left; rq->close_why is for the log
 * Only the engine knows deadlines, dead connections, the order of answers and cleaning up. A request whose connection has gone still runs to
 * its end: what it waits for comes, or its deadline does.
 *
 * Everything of a request happens on its shard's loop. */
#pragma once
#include <odradek/broker.h>
#include <odradek/kafka_errors.h>
#include <odradek/wire.h>

enum req_next { REQ_AGAIN, REQ_WAIT, REQ_DONE, REQ_CLOSE };
struct req;
typedef enum req_next req_step(struct req *rq);

enum api_flags {
    API_OVERLAPS = BIT(0),       /* the next request with this flag may start once this one called req_let_next */
    API_WAKES_ON_DRAIN = BIT(1), /* its wait ends at once when the broker drains, or needs the memory it holds (as if expired) */
};
struct api {                          /* a row of api_table.h */
    int16_t key, min, max, shown_min; /* shown_min: what ApiVersions says (Produce: 0) */
    const char *name;
    req_step *start;
    unsigned flags;
    bool hidden; /* answered, but not in ApiVersions (K15) */
    const struct wire_msg *in, *out;
};
const struct api *api_find(int16_t key); /* NULL when not served */
const struct api *api_table(int *n);

struct req {
    struct sleeper sleeper; /* its id is the ticket */
    struct list link;       /* in its client's line */
    struct shard *shard;
    struct client *client; /* NULL once the connection is gone, or for an internal request */
    const struct api *api;
    int16_t version;
    int32_t correlation;
    struct slice client_id;
    struct arena arena;
    struct buf *holder; /* what `in` borrows from; NULL when the frame lies in the arena */
    void *in;           /* decoded; NULL for internal requests */
    void *out;          /* the response, defaults set */
    uint8_t *frame;     /* what it came in, in the holder's buffer or in the arena; until it is decoded */
    size_t frame_n;     /* its bytes */
    int64_t aside;      /* bytes charged for what it holds beside its arena and its frame */
    struct list want;   /* in its shard's wants, while it waits for memory */
    uint32_t lined;     /* bytes counted in its shard's lined */
    req_step *first;    /* where it starts */
    req_step *step;
    void *call;                      /* the handler's own state, in the arena */
    void (*cleanup)(struct req *rq); /* once, at the end, whatever happened: release references, disarm watches */
    const struct image *image;       /* req_image: taken once, so one request sees one image until it asks for a newer one */
    struct timer deadline;
    struct post later;
    const char *close_why;
    int again;
    bool decoded, started, ended, running, deferred;
    bool let_next;
    bool expired; /* the deadline passed, or the broker drains: answer now with what there is */
    bool no_answer;
};

static inline enum req_next req_goto(struct req *rq, req_step *step)
{
    rq->step = step;
    return REQ_AGAIN;
}
static inline ticket req_ticket(const struct req *rq) { return rq->sleeper.id; }
struct waker *req_home(const struct req *rq);
void req_deadline(struct req *rq, int64_t ms);     /* from now; ≤ 0: expires at the first wait */
void req_let_next(struct req *rq);                 /* what must be in order is done: the next overlapping request may start */
const struct image *req_image_new(struct req *rq); /* the newest now */
/* The newest at the first call; stays valid and the same until the end. */
static inline const struct image *req_image(struct req *rq) { return rq->image ? rq->image : req_image_new(rq); }
/* Handlers whose answer can be far larger than what asks for it (decoding has paid for four times what it took) pay for it before they make it: n
 * more bytes of the arena, or as many as one request may have. False: memory is short; wait, and the step is called again when it may be there.
 * What comes unannounced is charged all the same, past the limit if need be. */
bool req_pay(struct req *rq, int64_t n);
/* False, and a reason to close its connection with: with n more bytes it would take more than one request may have. */
bool req_fits(struct req *rq, int64_t n);
/* True, and a reason to close its connection with, when what the request takes has outgrown what one may have: half of odradek.memory.max. */
bool req_outgrown(struct req *rq);
/* It waits, perhaps in a crowd, with more than a block of memory: counted from the first byte. */
void req_parks(struct req *rq);
/* The request no longer needs the frame it came in: `in` and all it borrows are invalid from here. */
void req_drop_frame(struct req *rq);
/* A request of our own on this shard, with no client: `call` belongs to the caller. Its arena is freed at the end. */
struct req *req_internal(struct shard *s, req_step *first, void *call, void (*cleanup)(struct req *rq));

/* The first step of each API. */
#define API(NAME, handler, lo, hi, f)    req_step handler##_start;
#define HIDDEN(NAME, handler, lo, hi, f) req_step handler##_start;
#include "api_table.h"
#undef API
#undef HIDDEN
