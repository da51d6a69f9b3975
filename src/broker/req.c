/* The request engine: see req.h for the contract.
 *
 * Happy path: client_frame parses the header and the body into the request's arena, puts it into its client's line and pumps the line:
 * whatever may start starts, whatever is answered at the front of the line is encoded and handed to net. Most requests never leave
 * that one call. A request that waits is found again by its ticket.
 *
 * Memory (odradek.memory.max): what a request takes is charged as it comes, and paid for before it comes where it can be much. A frame is
 * decoded when its request may start: within its shard's piece of what is left of the share, or else, paid for, with all that one request may
 * have; and four times as much again is paid for the rows that the handler makes of it. The answer is encoded in the same way. Who cannot pay waits
 * in its shard's `wants`.
 *
 * What can fail: a frame that does not parse closes its connection, after the answers before it; a version out of range does so too, as in
 * Kafka, but for ApiVersions, which is answered in its v0 form (KIP-511). */
#include "req.h"
#include "coordinator.h"
#include "fetch_session.h"
#include "shard.h"

enum {
    WANTS_US = 2000,
    STUCK_US = 10 * 1000,     /* when nobody got on for so long, the largest of them may take more than there is */
    GIVE_UP_US = 1000 * 1000, /* and then it is given up */
    SMALL_FRAME = 4096,       /* up to here a frame is copied into its request, so that nobody pins a receive buffer for it */
    LINE_MAX = 256,           /* requests of one connection that may wait their turn before it is no longer read */
    LINE_BYTES_MAX = 1 << 20, /* or their bytes */
    FREE_REQS_MAX = 256,
    AGAIN_MAX = 4,
    SCRATCH_KEEP = 1 << 20,
    LINED_SLACK = 64 * 1024, /* bytes a shard may be ahead of or behind what is charged */
    PARKED_FREE = 5 * 1024,  /* of a request that waits alone: an arena's first block */
    PAID_FROM = 64 * 1024,   /* what takes less is not worth a wait */
    ROWS = 4,                /* times what a request decodes to may be what its handler makes of it */
    NOT_NOW = 1,             /* beside errors: it waits for memory */
};

int64_t shard_now_us(const struct shard *s) { return loop_now_us(s->loop); }
int64_t shard_wall_ms(struct shard *s)
{
    int64_t turn = shard_now_us(s);
    if (turn != s->wall_turn) {
        s->wall_turn = turn;
        s->wall_ms = s->broker->world->clock->wall_ms(s->broker->world->clock);
    }
    return s->wall_ms;
}

static const char too_large[] = "request and answer take more than half of odradek.memory.max";

static void client_pump(struct client *c);
static void client_resume(struct client *c);
static bool req_decode(struct req *rq);
static void req_run(struct req *rq);

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

static void req_wake(struct sleeper *s) { req_run(container_of(s, struct req, sleeper)); }

static void req_expire(struct timer *t)
{
    struct req *rq = container_of(t, struct req, deadline);
    rq->expired = true;
    req_run(rq);
}

static void req_run_later(struct post *p)
{
    struct req *rq = container_of(p, struct req, later);
    rq->deferred = false;
    req_run(rq);
}

/* While the waiting are told one by one there may be none for a moment; and who counts the shards must hear of each once. */
static void shard_drain_check(struct shard *s)
{
    if (!s->drain_told || s->requests > 0 || !s->drained) return; /* the rest is another thread's until drain_told */
    void (*drained)(struct shard *, void *) = s->drained;
    s->drained = NULL;
    drained(s, s->drained_arg);
}

/* Requests of one connection that are there at once are as many as it likes, so they count from their first byte (a single one has ARENA_FREE):
 * in large steps, so that the budget is not touched for each. */
static void lined_settle(struct shard *s)
{
    int64_t d = s->lined - s->lined_charged;
    if (d > LINED_SLACK) mem_charge_over(&s->broker->memory, d);
    else if (d < -LINED_SLACK || (d && s->lined == 0)) mem_uncharge(&s->broker->memory, -d);
    else return;
    s->lined_charged = s->lined;
}

void req_parks(struct req *rq)
{
    if (rq->lined || rq->arena.held <= PARKED_FREE) return;
    rq->lined = (uint32_t)MIN(rq->arena.held, (size_t)ARENA_FREE);
    rq->shard->lined += rq->lined;
    lined_settle(rq->shard);
}

/* ---- waiting for memory ---- */

static void moved(struct shard *s) { atomic_fetch_add_explicit(&s->broker->moves, 1, memory_order_relaxed); }

static void wants_look(struct timer *t);
static int64_t req_own(const struct req *rq);
static void refuse_later(struct req *rq, const char *why);
static void req_end(struct req *rq);

static void req_wants(struct req *rq)
{
    struct shard *s = rq->shard;
    if (list_linked(&rq->want)) return;
    list_push(&s->wants, &rq->want);
    if (s->wants_timer.heap_at || s->wants_looked) return;
    s->moved_us = shard_now_us(s);
    s->wants_timer.fn = wants_look;
    loop_timer(s->loop, &s->wants_timer, shard_now_us(s) + WANTS_US);
}

static void want_again(struct req *rq)
{
    if (rq->started && !rq->ended) req_run(rq);
    else client_pump(rq->client);
}

/* Nobody gets on, for all hold some: the one who holds most may go on with more than there is, or else he goes. */
static void wants_stuck(struct shard *s, bool give_up)
{
    struct mem_budget *m = &s->broker->memory;
    struct req *most = NULL;
    list_each (l, &s->wants) {
        struct req *rq = container_of(l, struct req, want);
        if (!most || req_own(rq) + (int64_t)rq->arena.charged > req_own(most) + (int64_t)most->arena.charged) most = rq;
    }
    if (!most) return;
    list_remove(&most->want);
    if (!give_up) {
        atomic_store(&m->slack, mem_share(m) / 2);
        want_again(most);
        atomic_store(&m->slack, 0);
        return;
    }
    moved(s); /* the next one has his time, too */
    log_warn("broker", "memory is short and nobody can go on; closing", KV_STR("client", most->client ? most->client->host : ""),
             KV_STR("api", most->api ? most->api->name : ""), KV_I64("used", mem_used(m)));
    if (!most->started) refuse_later(most, "memory is short");
    most->close_why = "memory is short";
    if (!most->ended) req_end(most);
    if (most->client) client_pump(most->client);
}

static void wants_look(struct timer *t)
{
    struct shard *s = container_of(t, struct shard, wants_timer);
    struct list now;
    s->wants_looked = true;
    int64_t us = shard_now_us(s);
    unsigned moves = atomic_load_explicit(&s->broker->moves, memory_order_relaxed);
    if (moves != s->moves_seen) {
        s->moves_seen = moves;
        s->moved_us = us;
    }
    if (mem_short(&s->broker->memory)) broker_relieve(s->broker); /* what is parked may hold what these wait for */
    list_take(&now, &s->wants);
    for (struct list *l; (l = list_pop(&now));) { /* whoever is freed meanwhile leaves the list */
        want_again(container_of(l, struct req, want));
    }
    if (us - s->moved_us > STUCK_US) wants_stuck(s, us - s->moved_us > GIVE_UP_US);
    s->wants_looked = false;
    if (!list_empty(&s->wants) && !s->wants_timer.heap_at) loop_timer(s->loop, t, shard_now_us(s) + WANTS_US);
}

/* What it holds of the budget beside its arena. */
static int64_t req_own(const struct req *rq) { return rq->aside + (rq->holder ? (int64_t)rq->frame_n : 0); }

/* The most that its arena may still be charged for. */
static int64_t req_most(const struct req *rq)
{
    const struct mem_budget *m = &rq->shard->broker->memory;
    return m->limit ? MAX(mem_most(m) - req_own(rq) - (int64_t)rq->arena.charged, 0) : INT64_MAX;
}

bool req_pay(struct req *rq, int64_t n)
{
    if (arena_pay(&rq->arena, req_own(rq), (size_t)MIN(n, req_most(rq)))) {
        if (n > PAID_FROM) moved(rq->shard);
        return true;
    }
    req_wants(rq);
    return false;
}

static struct req *req_new(struct shard *s)
{
    struct list *l = list_pop(&s->free_reqs);
    struct req *rq = l ? container_of(l, struct req, link) : mem_alloc(sizeof *rq);
    if (l) s->free_reqs_n--;
    *rq = (struct req){ .shard = s, .sleeper.wake = req_wake, .deadline.fn = req_expire, .later.fn = req_run_later };
    list_init(&rq->link);
    list_init(&rq->want);
    arena_init(&rq->arena);
    rq->arena.budget = &s->broker->memory;
    s->requests++;
    metric_add(M_requests, 1);
    return rq;
}

/* Nothing is left that could touch rq: its watches are disarmed, its ticket is dead, nothing is posted. */
static void req_free(struct req *rq)
{
    struct shard *s = rq->shard;
    assert(!rq->running && !rq->deferred && rq->sleeper.id == 0);
    list_remove(&rq->link);
    if (list_linked(&rq->want)) list_remove(&rq->want);
    image_give_back(&s->image, &rq->image);
    if (rq->holder) buf_unref(&rq->holder);
    bool gives = rq->arena.charged > 0;
    arena_free(&rq->arena);
    if (gives) moved(s);
    if (gives && !list_empty(&s->wants)) loop_timer(s->loop, &s->wants_timer, shard_now_us(s));
    if (rq->lined) {
        s->lined -= rq->lined;
        lined_settle(s);
    }
    s->requests--;
    if (s->free_reqs_n < FREE_REQS_MAX) {
        s->free_reqs_n++;
        list_push_front(&s->free_reqs, &rq->link);
    } else {
        mem_free(rq);
    }
    shard_drain_check(s);
}

/* rq has its answer, or will never have one. */
static void req_end(struct req *rq)
{
    assert(!rq->ended);
    loop_timer_stop(rq->shard->loop, &rq->deadline);
    if (rq->sleeper.id) waker_remove(rq->shard->waker, &rq->sleeper);
    rq->ended = true;
}

static void req_start(struct req *rq, req_step *first)
{
    rq->started = true;
    rq->step = first;
    waker_add(rq->shard->waker, &rq->sleeper);
    req_run(rq);
}

static void req_run(struct req *rq)
{
    enum req_next next;
    if (rq->ended || rq->running || rq->deferred) return;
    rq->running = true;
    rq->again = 0;
    while ((next = rq->step(rq)) == REQ_AGAIN) {
        if (++rq->again < AGAIN_MAX) continue;
        rq->running = false;
        rq->deferred = true;
        loop_post(rq->shard->loop, &rq->later);
        return;
    }
    rq->running = false;
    if (next == REQ_WAIT) return;
    if (next == REQ_CLOSE && !rq->close_why) rq->close_why = "refused";
    req_end(rq);
    if (rq->client) {
        client_pump(rq->client);
    } else {
        if (rq->cleanup) rq->cleanup(rq);
        req_free(rq);
    }
}

struct waker *req_home(const struct req *rq) { return rq->shard->waker; }

void req_deadline(struct req *rq, int64_t ms)
{
    if (ms <= 0) {
        rq->expired = true;
        return;
    }
    ms = MIN(ms, INT32_MAX);
    loop_timer(rq->shard->loop, &rq->deadline, shard_now_us(rq->shard) + ms * 1000);
}

void req_let_next(struct req *rq)
{
    if (rq->let_next) return;
    rq->let_next = true;
    if (rq->client) client_pump(rq->client);
}

const struct image *req_image_new(struct req *rq)
{
    const struct image *now = meta_image(rq->shard->broker->meta, &rq->shard->image);
    if (now != rq->image) {
        image_give_back(&rq->shard->image, &rq->image);
        rq->image = image_lend(&rq->shard->image);
    }
    return rq->image;
}

bool req_fits(struct req *rq, int64_t n)
{
    int64_t limit = rq->shard->broker->memory.limit;
    if (!limit || (int64_t)rq->arena.held + req_own(rq) + n <= limit / 2) return true;
    rq->close_why = too_large;
    return false;
}

bool req_outgrown(struct req *rq) { return !req_fits(rq, 0); }

void req_drop_frame(struct req *rq)
{
    if (rq->holder) buf_unref(&rq->holder);
}

struct req *req_internal(struct shard *s, req_step *first, void *call, void (*cleanup)(struct req *rq))
{
    struct req *rq = req_new(s);
    rq->call = call;
    rq->cleanup = cleanup;
    list_push(&s->parked, &rq->link);
    req_start(rq, first);
    return rq;
}

/* ---- a client's line ---------------------------------------------------------------------------------------------------------- */

struct client *client_open(struct shard *s, const struct client_info *info, const struct client_ops *ops, void *conn)
{
    struct client *c = new (struct client);
    assert(loop_here(s->loop));
    c->shard = s;
    c->ops = ops;
    c->conn = conn;
    (void)snprintf(c->listener, sizeof c->listener, S_FMT, S_ARG(info->listener));
    (void)snprintf(c->host, sizeof c->host, S_FMT, S_ARG(info->host));
    (void)snprintf(c->local_host, sizeof c->local_host, S_FMT, S_ARG(info->local_host));
    c->local_port = info->local_port;
    c->local_loopback = info->local_loopback;
    list_init(&c->line);
    list_push(&s->clients, &c->link);
    return c;
}

static void client_free(struct client *c)
{
    assert(list_empty(&c->line));
    list_remove(&c->link);
    mem_free(c);
}

static void client_refuse(struct client *c, const char *reason)
{
    if (c->closing || c->gone) return;
    c->closing = true;
    metric_add(M_bad_frames, 1);
    c->ops->close(c->conn, reason, true);
}

/* Kept out of the hot path's way. */
__attribute__((noinline, cold)) static void answer_failed(struct req *rq, int rc)
{
    struct client *c = rq->client;
    struct wire_out *out = &rq->shard->wire_scratch;
    if (out->b.cap > SCRATCH_KEEP) wire_out_free(out);
    if (rc == E_MESSAGE_TOO_LARGE) {
        log_warn("broker", "answer is too large; closing", KV_STR("client", c->host), KV_STR("api", rq->api->name),
                 KV_I64("max", rq->shard->broker->memory.limit / 2));
        client_refuse(c, too_large);
        return;
    }
    log_error("broker", "answer cannot be encoded", KV_STR("api", rq->api->name), KV_I64("version", rq->version), KV_ERR(rc));
    client_refuse(c, "internal error");
}

static int answer_encode(struct req *rq, size_t limit)
{
    struct wire_out *out = &rq->shard->wire_scratch;
    struct response_header head = dflt_response_header;
    head.correlation_id = rq->correlation;
    wire_out_reset(out);
    out->limit = limit;
    wr_i32(&out->b, 0); /* the length, once it is known */
    int rc = wire_encode(&msg_response_header, (int16_t)wire_response_header_version(rq->api->key, rq->version), &head, out);
    if (rc == 0) rc = wire_encode(rq->api->out, rq->version, rq->out, out);
    if (rc == 0 && out->b.n + out->ext_n - 4 > INT32_MAX) rc = E_MESSAGE_TOO_LARGE;
    return rc;
}

/* One larger than a piece: paid for until net has it. NOT_NOW: not now. */
__attribute__((noinline, cold)) static int answer_large(struct req *rq, int64_t *paid)
{
    struct mem_budget *m = &rq->shard->broker->memory;
    arena_settle(&rq->arena, 0);
    int64_t own = req_own(rq) + (int64_t)rq->arena.charged, n = mem_room(m, own);
    if (rq->shard->wire_scratch.b.cap > SCRATCH_KEEP) wire_out_free(&rq->shard->wire_scratch);
    if (n <= (int64_t)rq->shard->broker->piece || !mem_charge(m, own, n)) return NOT_NOW;
    int rc = answer_encode(rq, (size_t)n);
    if (rc == 0) {
        *paid = n;
        return 0;
    }
    mem_uncharge(m, n);
    bool more = n < mem_most(m) - own;
    if (rc == E_MESSAGE_TOO_LARGE && more) wire_out_free(&rq->shard->wire_scratch);
    return rc == E_MESSAGE_TOO_LARGE && more ? NOT_NOW : rc;
}

/* Encodes rq's answer and hands it to net. False: it waits for memory. */
static bool req_answer(struct req *rq)
{
    struct client *c = rq->client;
    struct shard *s = rq->shard;
    struct wire_out *out = &s->wire_scratch;
    int64_t paid = 0;
    int rc = answer_encode(rq, s->broker->piece);
    if (rc == E_MESSAGE_TOO_LARGE && s->broker->memory.limit) rc = answer_large(rq, &paid);
    if (rc != 0) {
        if (rc == NOT_NOW) req_wants(rq);
        else answer_failed(rq, rc);
        return rc != NOT_NOW;
    }
    struct reply r = { .bytes = { (char *)out->b.p, out->b.n }, .memory = &out->b, .ranges_n = out->splices_n };
    if (out->splices_n) r.ranges = arena_array(&rq->arena, struct reply_range, out->splices_n);
    for (int i = 0; i < out->splices_n; i++) {
        struct file_range *from = out->splices[i].ext;
        r.ranges[i] = (struct reply_range){ .at = out->splices[i].at, .range = *from };
        *from = (struct file_range){ 0 }; /* moved: the handler's cleanup releases only what is still its own */
    }
    put_be32(out->b.p, (uint32_t)(out->b.n + out->ext_n - 4));
    c->ops->send(c->conn, &r);
    if (out->b.cap > SCRATCH_KEEP) wire_out_free(out); /* one huge answer is not kept for ever */
    if (paid) mem_uncharge(&s->broker->memory, paid);
    return true;
}

/* Starts what may start and answers what is done, in order. Entered again from inside a step it leaves the work to the outer call. */
static void client_pump(struct client *c)
{
    if (c->pumping) return;
    c->pumping = true;
    for (bool more = true; more;) {
        more = false;
        while (!list_empty(&c->line)) {
            struct req *rq = container_of(c->line.next, struct req, link);
            if (!rq->ended) break;
            if (rq->close_why) {
                client_refuse(c, rq->close_why);
            } else if (!rq->no_answer && !c->gone && !c->closing && !req_answer(rq)) {
                goto out;
            }
            if (rq->cleanup) rq->cleanup(rq);
            c->line_n--;
            req_free(rq);
        }
        bool only_overlapping = true;
        for (struct list *l = c->line.next; l != &c->line;) {
            struct req *rq = container_of(l, struct req, link);
            if (!rq->started) {
                bool first = l == c->line.next;
                if (c->closing || c->shard->draining) break;
                if (!first && !(only_overlapping && rq->api->flags & API_OVERLAPS)) break;
                if (c->line_n > 1 && c->ops->full && c->ops->full(c->conn)) {
                    c->held_back = true;
                    break;
                }
                if (!rq->decoded && !req_decode(rq)) break;
                if (rq->holder) c->line_bytes -= rq->frame_n;
                if (!rq->close_why) req_start(rq, rq->first);
                if (rq->ended && first) {
                    more = true;
                    break;
                }
            }
            if (rq->close_why || (!rq->ended && !rq->let_next)) break; /* behind a refused one nothing starts */
            only_overlapping = only_overlapping && rq->api->flags & API_OVERLAPS;
            l = rq->link.next;
        }
    }
out:
    c->pumping = false;
    client_resume(c);
}

/* What was never started is thrown away: its connection is gone or closing. */
static void client_drop_unstarted(struct client *c)
{
    list_each_safe (l, next, &c->line) {
        struct req *rq = container_of(l, struct req, link);
        if (rq->started) continue;
        if (rq->holder) c->line_bytes -= rq->frame_n;
        c->line_n--;
        req_free(rq);
    }
}

static void client_resume(struct client *c)
{
    bool full = c->line_n >= LINE_MAX || c->line_bytes >= LINE_BYTES_MAX;
    if (c->closing || c->gone) client_drop_unstarted(c);
    if (c->gone) {
        if (list_empty(&c->line)) client_free(c);
        return;
    }
    if (full != c->paused) {
        c->paused = full;
        c->ops->pause(c->conn, full);
    }
}

void client_close(struct client *c)
{
    assert(loop_here(c->shard->loop));
    c->gone = true;
    if (c->pumping) return; /* the pump sees it */
    client_pump(c);
}

bool client_held_back(const struct client *c) { return c->held_back; }

void client_go_on(struct client *c)
{
    if (!c->held_back || c->gone) return;
    c->held_back = false;
    client_pump(c);
}

bool client_idle(const struct client *c) { return list_empty(&c->line); }

void client_leave(struct client *c)
{
    assert(loop_here(c->shard->loop) && client_idle(c) && !c->gone && !c->pumping);
    list_remove(&c->link);
    if (c->session_id) c->session = fetch_session_take(c->shard->sessions, c->session_id);
    c->shard = NULL;
}

void client_join(struct client *c, struct shard *s)
{
    assert(loop_here(s->loop) && !c->shard);
    c->shard = s;
    list_push(&s->clients, &c->link);
    if (c->session) fetch_session_give(s->sessions, c->session);
    c->session = NULL;
}

/* ---- from frame to request ------------------------------------------------------------------------------------------------------ */

/* ApiVersions of a version we do not know is answered in v0 form with UNSUPPORTED_VERSION (KIP-511). */
static enum req_next unsupported_api_versions(struct req *rq)
{
    struct api_versions_response *out = rq->out;
    out->error_code = KAFKA_UNSUPPORTED_VERSION;
    out->api_keys = wire_new(&rq->arena, api_versions_response_api_version);
    out->api_keys->api_key = rq->api->key;
    out->api_keys->min_version = rq->api->shown_min;
    out->api_keys->max_version = rq->api->max;
    out->api_keys_n = 1;
    return REQ_DONE;
}

static void refuse_later(struct req *rq, const char *why)
{
    rq->started = rq->ended = true;
    rq->close_why = why;
}

static void bad_frame(struct req *rq, const char *why)
{
    const uint8_t *frame = rq->frame;
    size_t n = rq->frame_n;
    log_warn("broker", "bad frame; closing", KV_STR("client", rq->client->host), KV_STR("reason", why), KV_I64("bytes", n),
             KV_I64("api", n >= 2 ? (int16_t)be16(frame) : -1), KV_I64("version", n >= 4 ? (int16_t)be16(frame + 2) : -1));
    refuse_later(rq, why);
}

/* What it is. NULL, or why this frame closes its connection. */
static const char *req_parse(struct req *rq)
{
    uint8_t *frame = rq->frame;
    size_t n = rq->frame_n;
    if (n < 8) return "frame is shorter than a request header";
    int16_t key = (int16_t)be16(frame);
    rq->version = (int16_t)be16(frame + 2);
    rq->correlation = (int32_t)be32(frame + 4);
    rq->api = api_find(key);
    if (!rq->api) return "unknown or unserved API key";

    rq->first = rq->api->start;
    if (rq->version < rq->api->min || rq->version > rq->api->max) {
        if (key != API_API_VERSIONS) return "unsupported API version";
        rq->first = unsupported_api_versions;
        rq->version = 0;
        rq->out = arena_alloc(&rq->arena, rq->api->out->size);
        wire_init(rq->api->out, rq->out);
        rq->decoded = true;
    }
    return NULL;
}

/* E_NO_MEMORY: it takes more than so much of the arena. */
static int decode_within(struct req *rq, size_t limit)
{
    struct slice in = { (char *)rq->frame, rq->frame_n };
    struct request_header head;
    size_t used;
    int header_version = wire_request_header_version(rq->api->key, rq->version);
    rq->arena.limit = limit;
    int rc = wire_decode(&msg_request_header, (int16_t)header_version, in, &rq->arena, &head, &used);
    if (rc) {
        rq->arena.limit = 0;
        return rc;
    }
    rq->client_id = head.client_id;
    in.p += used;
    in.n -= used;
    rq->in = arena_alloc(&rq->arena, rq->api->in->size);
    /* Bytes behind it are ignored, as Kafka does: librdkafka 2.16 sends three too many when it asks for all topics. */
    rc = wire_decode(rq->api->in, rq->version, in, &rq->arena, rq->in, &used);
    rq->arena.limit = 0;
    return rc;
}

/* A frame that is not small, within what there is. NOT_NOW: it waits for memory, and nothing of it is decoded. */
__attribute__((noinline)) static int decode_large(struct req *rq)
{
    struct mem_budget *m = &rq->shard->broker->memory;
    int64_t most = MAX(req_most(rq), PAID_FROM), decoded = MAX(most / (1 + ROWS), PAID_FROM);
    int64_t left = MIN(mem_share(m) - mem_used(m), (int64_t)rq->shard->broker->piece);
    /* What decodes to little never waits: it is here, and it is sooner gone when it is done. */
    int rc = decode_within(rq, (size_t)MIN(MAX(left, PAID_FROM), decoded));
    if (rc == E_NO_MEMORY) {
        arena_free(&rq->arena);
        rc = req_pay(rq, most) ? decode_within(rq, (size_t)decoded) : NOT_NOW;
        if (rc == 0) arena_settle(&rq->arena, ROWS * rq->arena.held);
    } else if (rc == 0 && rq->arena.held > PAID_FROM && !req_pay(rq, ROWS * (int64_t)rq->arena.held)) rc = NOT_NOW;
    if (rc == NOT_NOW) arena_free(&rq->arena);
    return rc;
}

/* Makes a request of the frame, or a reason to close the connection. False: it waits for memory. */
static bool req_decode(struct req *rq)
{
    int rc = rq->holder && rq->shard->broker->memory.limit ? decode_large(rq) : decode_within(rq, 0);
    if (rc == NOT_NOW) return false;
    rq->decoded = true;
    if (rc) {
        bad_frame(rq, rc == E_NO_MEMORY ? too_large : "malformed request");
        return true;
    }
    rq->out = arena_alloc(&rq->arena, rq->api->out->size);
    wire_init(rq->api->out, rq->out);
    return true;
}

void client_frame(struct client *c, struct buf *holder, uint8_t *frame, size_t n)
{
    assert(loop_here(c->shard->loop));
    if (c->closing || c->gone || c->shard->draining) return;
    struct req *rq = req_new(c->shard);
    rq->client = c;
    if (n <= SMALL_FRAME || !holder) {
        uint8_t *copy = arena_alloc(&rq->arena, n);
        memcpy(copy, frame, n);
        frame = copy;
    } else {
        rq->holder = buf_ref(holder);
        c->line_bytes += n;
    }
    rq->frame = frame;
    rq->frame_n = n;
    const char *why = req_parse(rq);
    list_push(&c->line, &rq->link);
    if (c->line_n++ > 0) {
        rq->lined = (uint32_t)MIN(rq->arena.held, (size_t)ARENA_FREE);
        c->shard->lined += rq->lined;
        lined_settle(c->shard);
    }
    if (why) {
        if (rq->holder) c->line_bytes -= rq->frame_n;
        bad_frame(rq, why);
    }
    client_pump(c);
}

/* ---- draining -------------------------------------------------------------------------------------------------------------------- */

/* What waits and can do with what there is, if it holds more than so much, answers. */
static void cut_waits(struct list *line, size_t more_than)
{
    /* Each expired request may end and leave the line, and take unstarted ones with it: start over until nothing is left to expire. */
again:
    list_each (l, line) {
        struct req *rq = container_of(l, struct req, link);
        if (!rq->started || rq->ended || rq->expired || !rq->api || !(rq->api->flags & API_WAKES_ON_DRAIN)) continue;
        if (more_than && rq->arena.held <= more_than) continue;
        rq->expired = true;
        req_run(rq);
        goto again;
    }
}

static void shard_drain(struct post *p)
{
    struct shard *s = container_of(p, struct shard, drain_post);
    s->draining = true;
    list_each_safe (l, next, &s->clients) {
        struct client *c = container_of(l, struct client, link);
        c->pumping = true; /* so that it is not freed under us */
        cut_waits(&c->line, 0);
        client_drop_unstarted(c);
        c->pumping = false;
        client_pump(c);
    }
    coordinator_drain(s->broker->coordinator, s);
    cut_waits(&s->parked, 0);
    s->drain_told = true;
    shard_drain_check(s);
}

static void shard_relieve(struct post *p)
{
    struct shard *s = container_of(p, struct shard, relief_post);
    atomic_store(&s->relieving, false);
    list_each_safe (l, next, &s->clients) {
        struct client *c = container_of(l, struct client, link);
        if (list_empty(&c->line) || c->pumping) continue;
        c->pumping = true; /* so that it is not freed under us */
        cut_waits(&c->line, PARKED_FREE);
        c->pumping = false;
        client_pump(c);
    }
}

void broker_relieve(struct broker *b)
{
    for (int i = 0; i < b->shards_n; i++) {
        struct shard *s = b->shards[i];
        if (atomic_exchange(&s->relieving, true)) continue;
        s->relief_post.fn = shard_relieve;
        loop_post(s->loop, &s->relief_post);
    }
}

void broker_drain(struct broker *b, void (*drained)(struct shard *s, void *arg), void *arg)
{
    if (atomic_exchange(&b->draining, true)) return;
    for (int i = 0; i < b->shards_n; i++) {
        struct shard *s = b->shards[i];
        s->drained = drained;
        s->drained_arg = arg;
        s->drain_post.fn = shard_drain;
        loop_post(s->loop, &s->drain_post);
    }
}
