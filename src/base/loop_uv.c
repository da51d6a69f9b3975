/* Loops of the real world, on libuv.
 *
 * A turn: callbacks of closed descriptors; one uv_run, which sleeps only if nothing waits to be run and calls ready() for what became
 * ready; then posts, timers and phases (loop_drain). libuv knows one timer, which follows the head of our heap, and one eventfd, written
 * when a post meets an empty inbox of a loop that may be asleep. Not an uv_async: who wakes by it is waited for in a spin by whom it
 * woke, and has often lost its core to just that thread.
 *
 * A socket error reaches ready() as all wanted events and IO_HANGUP: the owner's next read tells which. libuv stops watching then;
 * so does `want`. A loop told to stop runs on until its inbox is empty and all closing descriptors are closed. */
#include "loop.h"

#include "pool.h"
#include "thread.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

enum { TRIM_US = 1000000 };

struct loop_uv {
    struct loop loop;
    uv_loop_t uv;
    uv_poll_t woken;
    int wake_fd; /* an eventfd */
    uv_timer_t timer;
    int64_t timer_us;  /* what the uv timer is armed for; INT64_MAX = not */
    bool stale;        /* the loop's clock dates from before the sleep */
    int64_t asleep_us; /* since when it sleeps; 0 = it only looked */
    size_t n_io;
    struct list closed; /* io_uv whose handle is closed, to be told in the next turn */
    size_t n_closing;
    struct timer trim; /* gives idle memory back; armed while there is any */
    uint64_t ready;
    pthread_t thread;
    bool has_thread;
};

struct io_uv {
    uv_poll_t poll;
    struct loop_io *io;
    struct loop_uv *home;
    struct list link;
};

static struct loop_uv *uv_of(const struct loop *l) { return container_of(l, struct loop_uv, loop); }

static void check(int rc)
{
    if (rc == 0) return;
    log_error("loop", "libuv failed", KV_STR("error", uv_strerror(rc)));
    abort();
}

static bool uv_here(const struct loop *l) { return loop_current == l || atomic_load(&l->state) != LOOP_RUNNING; }

/* ---- waking up ---- */

/* First of all that follows the sleep. */
static void awake(struct loop_uv *u)
{
    if (!u->stale) return;
    u->stale = false;
    loop_tick(&u->loop);
    if (u->asleep_us) u->loop.slept_us += u->loop.now_us - u->asleep_us;
}

/* loop_drain follows anyway */
static void on_woken(uv_poll_t *h, int status, int events)
{
    struct loop_uv *u = container_of(h, struct loop_uv, woken);
    eventfd_t n;
    awake(u);
    (void)eventfd_read(u->wake_fd, &n);
}

static void on_timer(uv_timer_t *h)
{
    struct loop_uv *u = container_of(h, struct loop_uv, timer);
    awake(u);
    u->timer_us = INT64_MAX;
    uv_stop(&u->uv); /* uv_run looks at timers before it sleeps, too, and ours are not run until it returns */
}

static void uv_wake(struct loop *l)
{
    metric_add(M_loop_posts, 1);
    (void)eventfd_write(uv_of(l)->wake_fd, 1); /* fails only when as many as a counter holds have not been read */
}

static void follow_heap(struct loop_uv *u)
{
    int64_t next = loop_next_us(&u->loop);
    if (next == u->timer_us) return;
    u->timer_us = next;
    if (next == INT64_MAX) {
        check(uv_timer_stop(&u->timer));
        return;
    }
    /* Both clocks are CLOCK_MONOTONIC; libuv's has milliseconds and may lag, so rounding up is never early. */
    uv_update_time(&u->uv);
    int64_t now_ms = (int64_t)uv_now(&u->uv), at_ms = next / 1000 + (next % 1000 != 0);
    check(uv_timer_start(&u->timer, on_timer, (uint64_t)MAX(at_ms - now_ms, 0), 0));
}

/* Twice after the last work: the first call marks what is idle, the second frees it. An idle loop then sleeps without end. */
static void on_trim(struct timer *t)
{
    struct loop_uv *u = container_of(t, struct loop_uv, trim);
    u->loop.works--; /* this was no work */
    mem_pool_trim();
    if (pool_idle()) loop_timer(&u->loop, t, u->loop.now_us + TRIM_US);
}

/* ---- running ---- */

static void run_closed(struct loop_uv *u)
{
    struct list now;
    list_take(&now, &u->closed);
    for (struct list *n; (n = list_pop(&now));) {
        struct io_uv *p = container_of(n, struct io_uv, link);
        struct loop_io *io = p->io;
        u->n_closing--;
        mem_free(p);
        io->priv = NULL;
        if (io->closed) io->closed(io); /* io may be gone from here on */
    }
}

static void uv_run_here(struct loop *l)
{
    struct loop_uv *u = uv_of(l);
    assert(!loop_current);
    assert(atomic_load(&l->state) != LOOP_ENDED);
    thread_block_sigpipe();
    loop_current = l;
    atomic_store(&l->state, LOOP_RUNNING);
    loop_drain(l); /* what was posted before the start */
    while (!loop_over(l) || u->n_closing > 0) {
        uint64_t works = l->works + u->ready;
        run_closed(u);
        bool sleep = loop_settle(l);
        follow_heap(u);
        u->stale = true;
        u->asleep_us = sleep ? l->world->clock->mono_us(l->world->clock) : 0;
        uv_run(&u->uv, sleep ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        loop_drain(l);
        if (l->works + u->ready != works && !u->trim.heap_at && pool_idle()) loop_timer(l, &u->trim, l->now_us + TRIM_US);
    }
    loop_timer_stop(l, &u->trim);
    loop_current = NULL;
    atomic_store(&l->state, LOOP_ENDED);
}

static void *uv_main(void *arg)
{
    struct loop *l = arg;
    thread_name(l->name);
    uv_run_here(l);
    return NULL;
}

static void uv_start(struct loop *l)
{
    struct loop_uv *u = uv_of(l);
    atomic_store(&l->state, LOOP_RUNNING); /* from here on only its own thread is home */
    u->has_thread = true;
    thread_start(&u->thread, uv_main, l);
}

static void uv_join(struct loop *l)
{
    struct loop_uv *u = uv_of(l);
    if (!u->has_thread) return;
    pthread_join(u->thread, NULL);
    u->has_thread = false;
}

static void uv_free(struct loop *l)
{
    struct loop_uv *u = uv_of(l);
    assert(!u->has_thread);
    assert(u->n_io == 0); /* their owners must close them: we cannot know whose they are */
    uv_close((uv_handle_t *)&u->woken, NULL);
    uv_close((uv_handle_t *)&u->timer, NULL);
    uv_run(&u->uv, UV_RUN_DEFAULT);
    run_closed(u);
    check(uv_loop_close(&u->uv));
    close(u->wake_fd);
    loop_fini(l);
    mem_free(u);
}

/* ---- descriptors ---- */

static int uv_events(unsigned events)
{
    return (events & IO_READ ? UV_READABLE : 0) | (events & IO_WRITE ? UV_WRITABLE : 0) |
           (events & IO_HANGUP ? UV_DISCONNECT : 0);
}

static void on_poll(uv_poll_t *h, int status, int got)
{
    struct io_uv *p = container_of(h, struct io_uv, poll);
    struct loop_io *io = p->io;
    awake(p->home);
    p->home->ready++;
    unsigned events =
        (got & UV_READABLE ? IO_READ : 0u) | (got & UV_WRITABLE ? IO_WRITE : 0u) | (got & UV_DISCONNECT ? IO_HANGUP : 0u);
    if (status < 0) {
        events = io->want | IO_HANGUP;
        io->want = 0;
    }
    io->ready(io, events);
}

static int uv_io_open(struct loop *l, struct loop_io *io, unsigned events)
{
    assert(loop_here(l));
    struct loop_uv *u = uv_of(l);
    struct io_uv *p = new (struct io_uv);
    int rc = uv_poll_init(&u->uv, &p->poll, io->fd);
    if (rc < 0) {
        mem_free(p);
        return rc; /* libuv's errors are -errno */
    }
    p->io = io;
    p->home = u;
    io->priv = p;
    io->want = 0;
    u->n_io++;
    loop_io_want(l, io, events);
    return 0;
}

static void uv_io_want(struct loop *l, struct loop_io *io, unsigned events)
{
    assert(loop_here(l));
    struct io_uv *p = io->priv;
    assert(p && !uv_is_closing((uv_handle_t *)&p->poll));
    if (io->want == events) return;
    io->want = events;
    check(events ? uv_poll_start(&p->poll, uv_events(events), on_poll) : uv_poll_stop(&p->poll));
}

static void on_closed(uv_handle_t *h)
{
    struct io_uv *p = container_of(h, struct io_uv, poll);
    list_push(&p->home->closed, &p->link);
}

static void uv_io_close(struct loop *l, struct loop_io *io)
{
    assert(loop_here(l));
    struct loop_uv *u = uv_of(l);
    struct io_uv *p = io->priv;
    assert(p && !uv_is_closing((uv_handle_t *)&p->poll));
    io->want = 0;
    u->n_io--;
    u->n_closing++;
    uv_close((uv_handle_t *)&p->poll, on_closed);
}

static const struct loop_ops ops = {
    .wake = uv_wake,
    .run = uv_run_here,
    .start = uv_start,
    .join = uv_join,
    .free = uv_free,
    .here = uv_here,
    .io_open = uv_io_open,
    .io_want = uv_io_want,
    .io_close = uv_io_close,
};

struct loop *loop_uv_new(struct world *w, const char *name)
{
    struct loop_uv *u = new (struct loop_uv);
    loop_init(&u->loop, w, &ops, name);
    check(uv_loop_init(&u->uv));
    u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (u->wake_fd < 0) check(-errno);
    check(uv_poll_init(&u->uv, &u->woken, u->wake_fd));
    check(uv_poll_start(&u->woken, UV_READABLE, on_woken));
    check(uv_timer_init(&u->uv, &u->timer));
    u->timer_us = INT64_MAX;
    u->trim.fn = on_trim;
    list_init(&u->closed);
    return &u->loop;
}
