/* Tickets: slot and generation. Slots live in chunks that never move, so any thread may look at one; the loop that owns the waker
 * gives slots out and takes them back.
 *
 * A poke sets the slot's pending bit by compare-and-swap on (generation, pending): it fails when the owner is gone, and is over when
 * the bit is set already. The first poke after a delivery posts the waker to its loop; the others only join the mailbox. Delivery
 * wakes BUDGET sleepers a post, in the order of the pokes, and posts itself for the rest, so that reads get their share. A poke from home
 * needs neither mutex nor mailbox: it is delivered in the same turn, in PHASE_APPEND.
 *
 * A slot that is in the mailbox when its owner leaves is not given out again before the mailbox has let it go. Slots past CHUNKS
 * chunks (4 million sleepers on a loop) end the process. */
#include "loop.h"

#include <stdlib.h>

enum { CHUNK = 1024, CHUNKS = 4096, BUDGET = 256, NONE = UINT32_MAX };
enum { PENDING = 1 }; /* state: generation << 1 | PENDING */

struct slot {
    _Atomic uint64_t state;
    struct sleeper *owner; /* at home; NULL = free */
    uint32_t next;         /* in the mailbox (under mu), in `rest` or in the free list (at home) */
};
struct fifo {
    uint32_t head, tail;
};
struct waker {
    struct loop *loop;
    struct post post;
    struct post home_post; /* at home */
    pthread_mutex_t mu;
    struct fifo mail; /* under mu */
    bool posted;      /* under mu */
    struct fifo rest; /* at home: taken from the mailbox, not yet delivered */
    uint32_t free_head, n;
    _Atomic(struct slot *) chunks[CHUNKS];
};

static struct slot *slot_at(struct waker *w, uint32_t i)
{
    struct slot *chunk = atomic_load_explicit(&w->chunks[i / CHUNK], memory_order_acquire);
    return chunk ? chunk + i % CHUNK : NULL;
}

static ticket ticket_of(uint32_t i, uint64_t generation) { return generation << 32 | (i + 1); }

static void fifo_push(struct waker *w, struct fifo *f, uint32_t i)
{
    slot_at(w, i)->next = NONE;
    if (f->head == NONE) f->head = i;
    else slot_at(w, f->tail)->next = i;
    f->tail = i;
}

static uint32_t fifo_pop(struct waker *w, struct fifo *f)
{
    uint32_t i = f->head;
    if (i != NONE) f->head = slot_at(w, i)->next;
    return i;
}

static void slot_release(struct waker *w, uint32_t i)
{
    slot_at(w, i)->next = w->free_head;
    w->free_head = i;
}

/* The mailbox goes behind the rest. */
static void take_mail(struct waker *w)
{
    pthread_mutex_lock(&w->mu);
    if (w->mail.head != NONE) {
        if (w->rest.head == NONE) w->rest = w->mail;
        else {
            slot_at(w, w->rest.tail)->next = w->mail.head;
            w->rest.tail = w->mail.tail;
        }
        w->mail.head = NONE;
    }
    w->posted = w->rest.head != NONE; /* stays true while this post will come again */
    pthread_mutex_unlock(&w->mu);
}

static void wake_some(struct waker *w)
{
    for (int n = 0; n < BUDGET; n++) {
        uint32_t i = fifo_pop(w, &w->rest);
        if (i == NONE) break;
        struct slot *s = slot_at(w, i);
        atomic_fetch_and(&s->state, ~(uint64_t)PENDING); /* before waking: a poke from here on is a new one */
        if (s->owner) s->owner->wake(s->owner);
        else slot_release(w, i);
    }
}

static void deliver(struct post *p)
{
    struct waker *w = container_of(p, struct waker, post);
    take_mail(w);
    wake_some(w);
    pthread_mutex_lock(&w->mu);
    w->posted = w->rest.head != NONE || w->mail.head != NONE;
    bool again = w->posted;
    pthread_mutex_unlock(&w->mu);
    if (again) loop_post(w->loop, &w->post);
}

/* Pokes from home are delivered in the same turn: what an append finished is answered with that turn's writes. */
static void deliver_home(struct post *p)
{
    struct waker *w = container_of(p, struct waker, home_post);
    wake_some(w);
    if (w->rest.head == NONE) return;
    pthread_mutex_lock(&w->mu);
    bool post = !w->posted;
    w->posted = true;
    pthread_mutex_unlock(&w->mu);
    if (post) loop_post(w->loop, &w->post);
}

struct waker *waker_new(struct loop *l)
{
    struct waker *w = new (struct waker);
    w->loop = l;
    w->post.fn = deliver;
    w->home_post.fn = deliver_home;
    list_init(&w->home_post.link);
    w->mail.head = w->rest.head = w->free_head = NONE;
    pthread_mutex_init(&w->mu, NULL);
    return w;
}

void waker_free(struct waker **wp)
{
    struct waker *w = *wp;
    *wp = NULL;
    if (!w) return;
    assert(loop_here(w->loop));
    loop_unpost(w->loop, &w->post);
    if (list_linked(&w->home_post.link)) list_remove(&w->home_post.link);
    for (uint32_t c = 0; c < CHUNKS && w->chunks[c]; c++) mem_free(w->chunks[c]);
    pthread_mutex_destroy(&w->mu);
    mem_free(w);
}

struct loop *waker_loop(const struct waker *w) { return w->loop; }

void waker_add(struct waker *w, struct sleeper *s)
{
    assert(loop_here(w->loop));
    assert(s->id == 0);
    if (w->free_head == NONE) {
        if (w->n == (uint32_t)CHUNK * CHUNKS) {
            log_error("wake", "too many sleepers on one loop");
            abort();
        }
        struct slot *chunk = mem_zalloc(CHUNK * sizeof(struct slot));
        atomic_store_explicit(&w->chunks[w->n / CHUNK], chunk, memory_order_release);
        for (int k = CHUNK; k-- > 0;) slot_release(w, w->n + (uint32_t)k);
        w->n += CHUNK;
    }
    uint32_t i = w->free_head;
    struct slot *slot = slot_at(w, i);
    w->free_head = slot->next;
    slot->owner = s;
    s->id = ticket_of(i, atomic_load(&slot->state) >> 1);
}

void waker_remove(struct waker *w, struct sleeper *s)
{
    assert(loop_here(w->loop));
    if (s->id == 0) return;
    uint32_t i = (uint32_t)s->id - 1;
    struct slot *slot = slot_at(w, i);
    assert(slot && slot->owner == s);
    slot->owner = NULL;
    s->id = 0;
    uint64_t old = atomic_load(&slot->state), then;
    do {
        then = (((old >> 1) + 1) & UINT32_MAX) << 1 | (old & PENDING);
    } while (!atomic_compare_exchange_weak(&slot->state, &old, then));
    if (!(then & PENDING)) slot_release(w, i); /* else deliver() does */
}

void waker_poke(struct waker *w, ticket t)
{
    if (t == 0) return;
    uint32_t i = (uint32_t)t - 1;
    struct slot *slot = i < (uint32_t)CHUNK * CHUNKS ? slot_at(w, i) : NULL;
    if (!slot) return;
    uint64_t free_of_mail = (t >> 32) << 1;
    if (!atomic_compare_exchange_strong(&slot->state, &free_of_mail, free_of_mail | PENDING)) return; /* gone, or pending */
    if (loop_current == w->loop) {
        fifo_push(w, &w->rest, i);
        if (!list_linked(&w->home_post.link)) loop_defer(w->loop, PHASE_APPEND, &w->home_post);
        return;
    }
    pthread_mutex_lock(&w->mu);
    fifo_push(w, &w->mail, i);
    bool post = !w->posted;
    w->posted = true;
    pthread_mutex_unlock(&w->mu);
    if (post) loop_post(w->loop, &w->post);
}
