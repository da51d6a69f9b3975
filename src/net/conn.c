/* A connection.
 *
 * Reading: one readv into {rest of the large frame being gathered, the loop's receive chunk}. Whole frames in the chunk go to the broker
 * where they lie; it copies small ones and references the chunk for others, and then the loop takes a new chunk. What is left of a short
 * frame waits in `stash` and is put back in front of the next read. A large frame gets a buffer of its own, which grows with the bytes that
 * arrive, never with those announced, and which is charged to the memory budget as they arrive. After a large frame the next one is taken to
 * be as large and read into a buffer of its own from its first byte, so that bulk is copied once, out of the socket.
 *
 * Sending: answers are appended to the connection's output; PHASE_SEND writes all of a turn with one writev, then file ranges by sendfile.
 * Interest in writability is only taken at EAGAIN.
 *
 * What can fail: the peer goes (the client is told, what executes runs to its end), a frame has an impossible length (the connection is
 * closed with one line that says so), memory is short (the connection is not read until some is free; the oldest partial frame of a loop
 * may grow to what one request may have; who sends nothing of his is closed), the peer does not read (the connection is not read either: it pauses). */
#include "net_internal.h"

#include <errno.h>
#include <limits.h>

enum { STASH_SHORT = 16 * 1024, STASH_FREE = 1024, IOV_MOST = 64 };

/* Of one that is to go elsewhere only the frame that has begun is read to its end. */
static bool conn_stops(const struct conn *c) { return c->to && !c->stash; }

void conn_want(struct conn *c)
{
    if (c->closed) return;
    bool read = !c->paused && !c->starved && !c->closing && !conn_stops(c) && c->out_bytes < c->nl->net->out_pause;
    c->transport->want(c, (read ? IO_READ : 0) | (c->blocked ? IO_WRITE : 0) | IO_HANGUP);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------ */

static void conn_uncharge(struct conn *c)
{
    if (!c->charged) return;
    mem_uncharge(c->nl->net->memory, c->charged);
    atomic_fetch_sub_explicit(&c->nl->net->partial, c->charged, memory_order_relaxed);
    c->charged = 0;
}

/* Must what waits leave before more answers are made? */
static bool conn_full(const struct conn *c)
{
    return c->out_bytes >= c->nl->net->out_pause || (c->out_bytes && mem_short(c->nl->net->memory));
}

/* What waits in memory: when it is much, or the peer does not read it. */
static void conn_account(struct conn *c)
{
    int64_t want = c->blocked || c->prefaulting || c->held > HELD_FREE ? c->held : 0;
    if (want > c->out_charged) mem_charge_over(c->nl->net->memory, want - c->out_charged);
    else if (want < c->out_charged) mem_uncharge(c->nl->net->memory, c->out_charged - want);
    c->out_charged = want;
}

static bool oldest_partial(const struct conn *c) { return c->nl->partials.next == &c->partial; }

/* How many more bytes of its large frame may be read: all partial frames together have half of the share, so that requests which come in one
 * piece go on beside them; the oldest of a loop may have what one request may, as far as there is room; and of these one goes on when there is
 * none, for those who have begun may hold all of it. */
static size_t conn_room(struct conn *c)
{
    struct net *n = c->nl->net;
    if (!n->memory->limit) return SIZE_MAX;
    int64_t partial = atomic_load_explicit(&n->partial, memory_order_relaxed), share = mem_share(n->memory);
    int64_t room = MIN(share / 2 - partial, share - mem_used(n->memory));
    if (oldest_partial(c)) {
        struct conn *nobody = NULL;
        room = MAX(room, mem_room(n->memory, c->charged));
        bool much = mem_used(n->memory) - c->charged > share + share / 2; /* others are to be done first */
        if (room <= 0 && !much && (atomic_compare_exchange_strong(&n->last, &nobody, c) || nobody == c))
            room = mem_most(n->memory) - c->charged;
    }
    return (size_t)MAX(room, 0);
}

static void conn_charge(struct conn *c, int64_t n)
{
    mem_charge_over(c->nl->net->memory, n);
    atomic_fetch_add_explicit(&c->nl->net->partial, n, memory_order_relaxed);
    c->charged += n;
}

static void hungry_look(struct timer *t);
static void conn_defer(struct conn *c);

static void conn_starve(struct conn *c)
{
    if (c->starved) return;
    c->starved = true;
    list_push(&c->nl->starved, &c->starving);
    conn_want(c);
    if (!c->nl->hungry.heap_at) {
        c->nl->hungry.fn = hungry_look;
        loop_timer(c->nl->loop, &c->nl->hungry, loop_now_us(c->nl->loop) + HUNGRY_US);
    }
}

void conn_feed(struct net_loop *nl)
{
    struct list all;
    bool enough = !mem_short(nl->net->memory);
    list_take(&all, &nl->starved);
    for (struct list *l; (l = list_pop(&all));) {
        struct conn *c = container_of(l, struct conn, starving);
        if (c->need ? conn_room(c) == 0 : !enough && !oldest_partial(c)) {
            list_push(&nl->starved, &c->starving);
            continue;
        }
        c->starved = false;
        if (c->partial_us) c->partial_us = c->used_us = loop_now_us(nl->loop); /* its time begins now */
        conn_want(c);
        conn_defer(c); /* bytes may be in the socket already */
    }
}

/* With memory short, nobody keeps any that does not use it. */
void conn_close_deaf(struct net_loop *nl)
{
    const struct net *n = nl->net;
    int64_t now = loop_now_us(nl->loop), share = mem_share(n->memory);
    bool frames = n->memory->limit && atomic_load_explicit(&n->partial, memory_order_relaxed) >= share / 2 - CHUNK;
    if ((!frames && !mem_short(n->memory)) || now - nl->deaf_us < DEAF_US / 4) return;
    nl->deaf_us = now;
    list_each_safe (l, next, &nl->partials) {
        struct conn *c = container_of(l, struct conn, partial);
        if (c->starved || c->closing) continue;
        if (now - c->used_us > DEAF_US) conn_close(c, "its request does not come, and memory is short");
        else if (now - c->partial_us > LAST_US) conn_close(c, "its request comes slowly, and memory is short");
    }
    if (!mem_short(n->memory)) return;
    list_each_safe (l, next, &nl->conns) {
        struct conn *c = container_of(l, struct conn, link);
        bool deaf = c->out_charged && c->blocked && !c->prefaulting; /* else it waits for our disk */
        if (deaf && now - c->used_us > DEAF_US) conn_close(c, "it does not read its answers, and memory is short");
    }
}

static void hungry_look(struct timer *t)
{
    struct net_loop *nl = container_of(t, struct net_loop, hungry);
    if (mem_short(nl->net->memory)) broker_relieve(nl->net->broker); /* what is parked may wait for what is not read */
    conn_close_deaf(nl);
    conn_feed(nl);
    if (!list_empty(&nl->starved)) loop_timer(nl->loop, t, loop_now_us(nl->loop) + HUNGRY_US);
}

static void partial_begin(struct conn *c)
{
    c->partial_us = loop_now_us(c->nl->loop);
    list_push(&c->nl->partials, &c->partial);
}

static void partial_end(struct conn *c)
{
    struct conn *me = c;
    c->partial_us = 0;
    if (list_linked(&c->partial)) list_remove(&c->partial);
    if (atomic_load_explicit(&c->nl->net->last, memory_order_relaxed) == c)
        atomic_compare_exchange_strong(&c->nl->net->last, &me, NULL);
}

static void stash_drop(struct conn *c)
{
    if (c->stash) buf_unref(&c->stash);
    c->need = 0;
    partial_end(c);
    conn_uncharge(c);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------ */

static bool frame_size(struct conn *c, const uint8_t *p, size_t *n)
{
    int32_t len = (int32_t)be32(p);
    if (len < 0 || len > c->nl->net->frame_max) {
        log_warn("net", "frame has an impossible length; closing", KV_STR("client", c->host), KV_I64("length", len),
                 KV_I64("max", c->nl->net->frame_max));
        metric_add(M_bad_frames, 1);
        conn_close(c, NULL);
        return false;
    }
    *n = (size_t)len + 4;
    return true;
}

/* Keeps [p, p+n), the beginning of a frame of `whole` bytes (0: not even its length is known). */
static void stash_put(struct conn *c, const uint8_t *p, size_t n, size_t whole)
{
    bool large = whole > STASH_SHORT;
    size_t cap = large ? MIN(whole, (size_t)WHOLE_FRAME_MAX) : MAX(whole, 64);
    if (c->stash) buf_unref(&c->stash);
    c->stash = buf_new(MAX(cap, n));
    memcpy(c->stash->data, p, n);
    c->stash->len = (uint32_t)n;
    c->need = large ? whole : 0;
    if (!c->partial_us) partial_begin(c);
    if (large) {
        conn_charge(c, (int64_t)n);
    } else if (c->stash->cap > STASH_FREE) {
        mem_charge_over(c->nl->net->memory, c->stash->cap);
        buf_charged(c->stash, c->nl->net->memory, c->stash->cap);
    }
}

/* Gives every whole frame in the chunk's [0, n) to the broker and keeps the rest. */
static void chunk_frames(struct conn *c, struct buf *chunk, size_t n)
{
    size_t at = 0, whole = 0;
    bool full = false;
    while (n - at >= 4 && !c->closing && !c->closed && !(full = conn_full(c))) {
        if (!frame_size(c, chunk->data + at, &whole)) return;
        if (n - at < whole) break;
        client_frame(c->client, chunk, chunk->data + at + 4, whole - 4);
        at += whole;
        whole = 0;
    }
    if (c->closed || c->closing || at == n) return;
    if (!full) {
        stash_put(c, chunk->data + at, n - at, n - at >= 4 ? whole : 0);
        return;
    }
    c->stash = buf_new(n - at); /* small requests may have large answers: not all of a chunk at once */
    memcpy(c->stash->data, chunk->data + at, n - at);
    c->stash->len = (uint32_t)(n - at);
    c->backlog = true;
    mem_charge_over(c->nl->net->memory, (int64_t)(n - at));
    buf_charged(c->stash, c->nl->net->memory, (uint32_t)(n - at));
}

/* The large frame is whole. */
static void stash_frame(struct conn *c)
{
    struct buf *frame = c->stash;
    size_t n = c->need;
    c->stash = NULL;
    c->need = 0;
    c->expect = MIN(n, (size_t)WHOLE_FRAME_MAX);
    partial_end(c);
    buf_charged(frame, c->nl->net->memory, (uint32_t)c->charged); /* until the request that holds it is over */
    atomic_fetch_sub_explicit(&c->nl->net->partial, c->charged, memory_order_relaxed);
    c->charged = 0;
    client_frame(c->client, frame, frame->data + 4, n - 4);
    buf_unref(&frame);
}

/* Room for more of the large frame: twice what has arrived. */
static void stash_grow(struct conn *c)
{
    assert(c->stash);
    if (c->stash->len < c->stash->cap || c->stash->cap >= c->need) return;
    struct buf *more = buf_new(MIN(c->need, (size_t)c->stash->cap * 2));
    memcpy(more->data, c->stash->data, c->stash->len);
    more->len = c->stash->len;
    buf_unref(&c->stash);
    c->stash = more;
}

static struct buf *loop_chunk(struct net_loop *nl)
{
    if (nl->chunk && atomic_load_explicit(&nl->chunk->refs, memory_order_acquire) > 1) { /* requests hold it */
        mem_charge_over(nl->net->memory, CHUNK);
        buf_charged(nl->chunk, nl->net->memory, CHUNK);
        buf_unref(&nl->chunk);
    }
    if (!nl->chunk) nl->chunk = buf_new(CHUNK);
    return nl->chunk;
}

static void conn_read_end(struct conn *c, ssize_t rc)
{
    conn_close(c, rc == 0 || rc == -ECONNRESET || rc == -EPIPE ? NULL : "read failed");
}

/* One read for a frame as large as the last one. */
static bool conn_read_large(struct conn *c, size_t *budget)
{
    struct buf *b = buf_new(c->expect);
    struct iovec v = { b->data, b->cap };
    ssize_t got = c->transport->readv(c, &v, 1);
    metric_add(M_sys_read, 1);
    if (got <= 0) {
        buf_unref(&b);
        if (got != -EAGAIN) conn_read_end(c, got);
        return false;
    }
    c->used_us = loop_now_us(c->nl->loop);
    *budget -= MIN(*budget, (size_t)got);
    b->len = (uint32_t)got;
    size_t whole = 0;
    if (got >= 4 && !frame_size(c, b->data, &whole)) whole = 0;
    if (whole > (size_t)got && whole <= b->cap) { /* it is the frame's buffer already */
        c->stash = buf_ref(b);
        c->need = whole;
        partial_begin(c);
        conn_charge(c, got);
    } else {
        c->expect = whole > STASH_SHORT ? MIN(whole, (size_t)WHOLE_FRAME_MAX) : 0;
        mem_charge_over(c->nl->net->memory, got);
        buf_charged(b, c->nl->net->memory, (uint32_t)got);
        chunk_frames(c, b, (size_t)got);
    }
    size_t asked = b->cap;
    buf_unref(&b);
    return (size_t)got == asked;
}

/* One read. False when there is nothing more to be had now. */
static bool conn_read(struct conn *c, size_t *budget)
{
    if (c->backlog) { /* before what is in the socket */
        struct buf *b = c->stash;
        c->stash = NULL;
        c->backlog = false;
        *budget -= MIN(*budget, (size_t)b->len);
        chunk_frames(c, b, b->len);
        buf_unref(&b);
        return true;
    }
    if (c->expect && !c->stash && conn_room(c) >= c->expect) return conn_read_large(c, budget);
    struct buf *chunk = loop_chunk(c->nl);
    struct iovec v[2];
    int n = 0;
    size_t rest = 0, front = 0;

    if (c->need) {
        size_t room = conn_room(c);
        if (room == 0) {
            conn_starve(c);
            return false;
        }
        stash_grow(c);
        rest = MIN(MIN(c->stash->cap, c->need) - c->stash->len, room);
        v[n++] = (struct iovec){ c->stash->data + c->stash->len, rest };
    } else if (c->stash) {
        front = c->stash->len;
        memcpy(chunk->data, c->stash->data, front);
    }
    /* What follows the frame may be in the same read, unless it is to get a buffer of its own. */
    bool follows = c->need && c->stash->len + rest == c->need && !c->expect;
    if (!c->need || follows) v[n++] = (struct iovec){ chunk->data + front, CHUNK - front };
    size_t asked = v[0].iov_len + (n > 1 ? v[1].iov_len : 0);
    ssize_t got = c->transport->readv(c, v, n);
    metric_add(M_sys_read, 1);
    if (got == -EAGAIN) return false;
    if (got <= 0) {
        conn_read_end(c, got);
        return false;
    }
    c->used_us = loop_now_us(c->nl->loop);
    *budget -= MIN(*budget, (size_t)got);
    if (c->need) {
        size_t mine = MIN((size_t)got, rest);
        c->stash->len += (uint32_t)mine;
        conn_charge(c, (int64_t)mine);
        if (c->stash->len == c->need) {
            stash_frame(c);
            if ((size_t)got > mine && !c->closed) chunk_frames(c, chunk, (size_t)got - mine);
        }
    } else {
        if (c->stash) {
            buf_unref(&c->stash);
            partial_end(c);
        }
        chunk_frames(c, chunk, front + (size_t)got);
    }
    return (size_t)got == asked; /* a short read: ask no further */
}

static void conn_again(struct post *p)
{
    struct conn *c = container_of(p, struct conn, again);
    c->deferred = false;
    if (c->gone) {
        conn_gone(c);
        return;
    }
    if (!c->closed && !conn_full(c)) client_go_on(c->client);
    conn_ready(c, IO_READ | (c->out_bytes ? IO_WRITE : 0));
}

static void conn_defer(struct conn *c)
{
    if (c->deferred) return;
    c->deferred = true;
    c->again.fn = conn_again;
    loop_post(c->nl->loop, &c->again);
}

void conn_ready(struct conn *c, unsigned events)
{
    if (c->closed) return;
    spread_look(c->nl);
    if (c->to && events & IO_HANGUP) { /* what it has sent is read first */
        conn_stay(c);
        events |= IO_READ;
    }
    if (events & IO_WRITE) {
        c->blocked = false;
        conn_flush(c);
    }
    if (events & (IO_READ | IO_HANGUP) && !c->closed) {
        size_t budget = READ_BUDGET;
        bool more = true;
        if (mem_short(c->nl->net->memory) && !oldest_partial(c)) conn_starve(c);
        while (more && budget > 0 && !c->closed && !c->closing && !c->paused && !c->starved && !conn_stops(c) && !conn_full(c))
            more = conn_read(c, &budget);
        if (more && budget == 0 && !c->closed) conn_defer(c);
        if (events & IO_HANGUP && !(events & IO_READ) && !c->closed) conn_close(c, NULL);
    }
    if (!c->closed) conn_want(c);
}

/* ---- sending ------------------------------------------------------------------------------------------------------------------- */

static void flush_post(struct post *p)
{
    struct conn *c = container_of(p, struct conn, flush);
    conn_flush(c);
    if (!c->closed) conn_want(c);
    if (!list_empty(&c->nl->starved)) conn_feed(c->nl); /* what was answered is over */
}

static void flush_soon(struct conn *c)
{
    if (list_linked(&c->flush.link) || c->blocked || c->prefaulting) return;
    c->flush.fn = flush_post;
    loop_defer(c->nl->loop, PHASE_SEND, &c->flush);
}

/* Parts come from the loop's own few, so that answering allocates nothing. */
static struct out_part *part_new(struct conn *c)
{
    struct list *spare = list_pop(&c->nl->spare_parts);
    struct out_part *p = spare ? container_of(spare, struct out_part, link) : mem_alloc(sizeof *p);
    if (spare) c->nl->spare_parts_n--;
    p->buf = NULL;
    p->own.p = NULL;
    p->at = 0;
    p->range = (struct file_range){ 0 };
    p->prefaulted = false;
    list_push(&c->out, &p->link);
    return p;
}

static void part_free(struct conn *c, struct out_part *p)
{
    struct net_loop *nl = c->nl;
    list_remove(&p->link);
    if (p->buf) {
        c->held -= p->buf->cap;
        buf_unref(&p->buf);
    }
    if (p->own.p) {
        c->held -= (int64_t)p->own.cap;
        bytes_free(&p->own);
    }
    if (p->range.seg) range_release(&p->range);
    if (nl->spare_parts_n < SPARE_PARTS) {
        list_push_front(&nl->spare_parts, &p->link);
        nl->spare_parts_n++;
    } else {
        mem_free(p);
    }
}

/* Room for some of n bytes at the end of the output. */
static struct buf *out_tail(struct conn *c, size_t n)
{
    struct list *end = c->out.prev;
    struct out_part *last = container_of(end, struct out_part, link);
    if (end != &c->out && last->buf && last->buf->len < last->buf->cap) return last->buf;
    last = part_new(c);
    last->buf = buf_new(n <= 4096 - sizeof(struct buf) ? 4096 - sizeof(struct buf) : MIN(n, (size_t)CHUNK - sizeof(struct buf)));
    c->held += last->buf->cap;
    return last->buf;
}

static void out_bytes(struct conn *c, const char *p, size_t n)
{
    c->out_bytes += n;
    while (n > 0) {
        struct buf *b = out_tail(c, n);
        size_t k = MIN(n, (size_t)(b->cap - b->len));
        memcpy(b->data + b->len, p, k);
        b->len += (uint32_t)k;
        p += k;
        n -= k;
    }
}

/* A large answer is not copied. */
static void out_take(struct conn *c, struct bytes *memory)
{
    struct out_part *p = part_new(c);
    p->own = *memory;
    *memory = (struct bytes){ 0 };
    p->own.cap = p->own.n;
    p->own.p = mem_realloc(p->own.p, p->own.cap);
    c->held += (int64_t)p->own.cap;
    c->out_bytes += p->own.n;
}

/* Copies a range into the output. False: it cannot be read. */
static bool out_copy(struct conn *c, const struct file_range *r)
{
    for (uint32_t done = 0; done < r->n;) {
        struct buf *b = out_tail(c, r->n - done);
        uint32_t k = MIN(r->n - done, b->cap - b->len);
        if (range_copy(r, done, b->data + b->len, k)) return false;
        b->len += k;
        c->out_bytes += k;
        done += k;
    }
    return true;
}

static void conn_send(void *conn, struct reply *r)
{
    struct conn *c = conn;
    bool ok = !c->closed;
    size_t at = 0;
    for (int i = 0; i < r->ranges_n; i++) {
        struct reply_range *rr = &r->ranges[i];
        if (ok) out_bytes(c, r->bytes.p + at, rr->at - at);
        at = rr->at;
        if (ok && c->transport->sendfile && rr->range.n > COPY_MAX) {
            struct out_part *p = part_new(c);
            p->range = rr->range;
            c->out_bytes += rr->range.n;
        } else {
            ok = ok && out_copy(c, &rr->range);
            range_release(&rr->range);
        }
    }
    if (ok && r->memory && r->ranges_n == 0 && r->bytes.n >= TAKE_FROM) out_take(c, r->memory);
    else if (ok) out_bytes(c, r->bytes.p + at, r->bytes.n - at);
    if (c->blocked || c->prefaulting || c->held > HELD_FREE) conn_account(c);
    if (!ok && !c->closed) { /* the answer's beginning may be out already: it cannot become an error */
        log_error("net", "records cannot be read; closing", KV_STR("client", c->host));
        conn_close(c, NULL);
        return;
    }
    flush_soon(c);
}

static void prefault_wake(struct sleeper *s)
{
    struct conn *c = container_of(s, struct conn, prefault);
    if (!c->prefaulting) return;
    c->prefaulting = false;
    flush_soon(c);
}

/* Sends what of the front file range can be sent. 1 = all of it, 0 = later, < 0 = -errno. */
static int send_range(struct conn *c, struct out_part *p, size_t *budget)
{
    while (p->at < p->range.n) {
        uint32_t n = MIN(p->range.n - p->at, (uint32_t)SENDFILE_PIECE);
        if (*budget == 0) return 0;
        ssize_t k = c->transport->sendfile(c, &p->range, p->at, n);
        metric_add(M_sys_write, 1);
        if (k == -EAGAIN) {
            c->blocked = true;
            return 0;
        }
        if (k <= 0) return k ? (int)k : -EIO; /* 0: the file is shorter than we know it to be */
        p->at += (uint32_t)k;
        c->out_bytes -= (size_t)k;
        *budget -= MIN(*budget, (size_t)k);
    }
    return 1;
}

static struct iovec part_rest(const struct out_part *p)
{
    return p->own.p ? (struct iovec){ p->own.p + p->at, p->own.n - p->at }
                    : (struct iovec){ p->buf->data + p->at, p->buf->len - p->at };
}

/* Sends the run of byte parts at the front. 1, 0, -errno as above. */
static int send_bytes(struct conn *c, size_t *budget)
{
    struct iovec v[IOV_MOST];
    int n = 0;
    size_t asked = 0;
    bool more = false;
    list_each (l, &c->out) {
        struct out_part *p = container_of(l, struct out_part, link);
        if (p->range.seg || n == IOV_MOST) {
            more = true;
            break;
        }
        v[n++] = part_rest(p);
        asked += v[n - 1].iov_len;
    }
    ssize_t k = c->transport->writev(c, v, n, more);
    metric_add(M_sys_write, 1);
    if (k == -EAGAIN) {
        c->blocked = true;
        return 0;
    }
    if (k < 0) return (int)k;
    c->out_bytes -= (size_t)k;
    *budget -= MIN(*budget, (size_t)k);
    if ((size_t)k < asked) c->blocked = true; /* the socket is full; it will say when not */
    for (size_t left = (size_t)k; n > 0; n--) {
        struct out_part *p = container_of(c->out.next, struct out_part, link);
        size_t here = part_rest(p).iov_len;
        if (left < here) {
            p->at += (uint32_t)left;
            return 0;
        }
        left -= here;
        part_free(c, p);
    }
    return 1;
}

void conn_flush(struct conn *c)
{
    size_t budget = SEND_BUDGET;
    if (c->closed || c->prefaulting) return;
    while (!list_empty(&c->out) && !c->blocked) {
        struct out_part *p = container_of(c->out.next, struct out_part, link);
        int rc;
        if (budget == 0) {
            conn_defer(c);
            return;
        }
        if (!p->range.seg) {
            rc = send_bytes(c, &budget);
        } else {
            if (!p->prefaulted && !range_is_hot(&p->range)) {
                p->prefaulted = true;
                if (!c->prefault.id) waker_add(c->nl->waker, &c->prefault);
                c->prefaulting = true;
                range_prefault(broker_logs(c->nl->net->broker), &p->range, c->nl->waker, c->prefault.id);
                conn_account(c);
                return;
            }
            rc = send_range(c, p, &budget);
            if (rc == 1) part_free(c, p);
        }
        if (rc < 0) {
            conn_close(c, rc == -EPIPE || rc == -ECONNRESET ? NULL : "send failed");
            return;
        }
        c->used_us = loop_now_us(c->nl->loop);
    }
    conn_account(c);
    if ((c->backlog || client_held_back(c->client)) && !conn_full(c)) conn_defer(c);
    if (c->closing && list_empty(&c->out)) conn_close(c, c->why);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------------ */

static void conn_ops_close(void *conn, const char *reason, bool after_answers)
{
    struct conn *c = conn;
    if (after_answers) {
        conn_finish(c, reason);
    } else {
        conn_close(c, reason);
    }
}

static void conn_pause(void *conn, bool on)
{
    struct conn *c = conn;
    c->paused = on;
    if (c->closed) return;
    conn_want(c);
    if (!on) conn_defer(c); /* bytes may be in the socket already, read or not */
}

static bool conn_ops_full(void *conn) { return conn_full(conn); }

static const struct client_ops ops = { .send = conn_send, .close = conn_ops_close, .pause = conn_pause, .full = conn_ops_full };

bool conn_watch(struct conn *c)
{
    int rc = c->transport->open(c);
    if (!rc) return true;
    log_warn("net", "cannot watch a connection", KV_STR("client", c->host), KV_ERR(rc));
    conn_close(c, NULL);
    return false;
}

struct conn *conn_new(struct net_loop *nl, int fd, const struct transport *t, const struct client_info *info)
{
    struct conn *c = new (struct conn);
    c->io.fd = fd;
    c->transport = t;
    c->nl = nl;
    (void)snprintf(c->host, sizeof c->host, S_FMT, S_ARG(info->host));
    list_init(&c->out);
    list_init(&c->partial);
    list_init(&c->starving);
    list_init(&c->mover);
    c->prefault.wake = prefault_wake;
    c->used_us = loop_now_us(nl->loop);
    list_push(&nl->conns, &c->link);
    c->client = client_open(nl->shard, info, &ops, c);
    metric_add(M_connections_opened, 1);
    metric_add(M_connections_open, 1);
    return conn_watch(c) ? c : NULL;
}

void conn_close(struct conn *c, const char *why)
{
    if (c->closed) return;
    c->closed = true;
    if (why) log_info("net", "connection closed", KV_STR("client", c->host), KV_STR("reason", why));
    stash_drop(c);
    if (list_linked(&c->starving)) list_remove(&c->starving);
    if (list_linked(&c->mover)) list_remove(&c->mover);
    list_each_safe (l, next, &c->out) part_free(c, container_of(l, struct out_part, link));
    c->out_bytes = 0;
    conn_account(c);
    if (c->prefault.id) waker_remove(c->nl->waker, &c->prefault);
    list_remove(&c->link);
    client_close(c->client);
    c->client = NULL;
    c->transport->close(c);
}

void conn_finish(struct conn *c, const char *why)
{
    if (c->closed || c->closing) return;
    c->closing = true;
    c->why = why;
    flush_soon(c); /* closes when nothing is left */
}

void conn_gone(struct conn *c)
{
    struct net *n = c->nl->net;
    /* A flush or a retry may still be on its way in this loop's lists. */
    if (list_linked(&c->flush.link)) list_remove(&c->flush.link);
    c->gone = true;
    if (c->deferred) return; /* conn_again comes back */
    metric_add(M_connections_open, -1);
    atomic_fetch_sub(&c->nl->conns_n, 1);
    net_conn_ended(n, c->host);
    mem_free(c);
}
