/* Which loop a connection is on.
 *
 * While there are few they are together on the first one: there a fetch that waits is answered in the very turn that appended what it waits for, and
 * no other thread has to be woken, which costs more than all the rest of a small request. A loop that is awake for more than half of a window
 * gives connections away to the one that has least to do. Nothing looks at a clock of its own: who has something to read looks whether a
 * window is over.
 *
 * A connection goes when nothing of it is under way: it is not read any more, its answers leave, its old loop forgets the socket, and the new one
 * watches it. One that does not come to that (a fetch may wait for long) stays. */
#include "net_internal.h"

enum {
    TOGETHER = 16, /* connections that make no other loop worth waking */
    WINDOW_US = 20 * 1000,
    FRESH_US = 2 * WINDOW_US,
    BUSY = 50,            /* percent */
    REST_US = 100 * 1000, /* between two times of giving away; longer each time that it did not help */
    REST_MOST_US = 10 * 1000 * 1000,
    LOOK_MOST = 256, /* connections looked at */
    MOVE_LOOK_US = 1000,
    MOVE_GIVE_UP_US = 50 * 1000,
    STAYED_US = 1000 * 1000, /* who could not go is left alone for so long */
};

/* Who has not looked lately has nothing to do, or too much. */
static int busy_of(const struct net_loop *nl, int64_t now)
{
    if (now - atomic_load_explicit(&nl->looked_us, memory_order_relaxed) > FRESH_US) return loop_asleep(nl->loop) ? 0 : 100;
    return atomic_load_explicit(&nl->busy, memory_order_relaxed);
}

static struct net_loop *least_busy(const struct net_loop *but, int64_t now) /* of at least two */
{
    struct net *n = but->net;
    struct net_loop *least = &n->loops[but == &n->loops[0]];
    for (int i = 0; i < n->loops_n; i++)
        if (&n->loops[i] != but && busy_of(&n->loops[i], now) < busy_of(least, now)) least = &n->loops[i];
    return least;
}

/* Of those that were active since `since` so many go that both loops are to have as much. False: there is none to give. */
static bool give_away(struct net_loop *nl, struct net_loop *to, int busy, int his, int64_t since)
{
    struct conn *active[LOOK_MOST];
    int n = 0, looked = 0;
    int64_t now = loop_now_us(nl->loop);
    struct list *last = nl->conns.prev;
    for (struct list *l = NULL; l != last && looked < LOOK_MOST; looked++) {
        l = nl->conns.next;
        list_remove(l); /* the next time begins with others */
        list_push(&nl->conns, l);
        struct conn *c = container_of(l, struct conn, link);
        bool stayed = c->stayed_us && now - c->stayed_us < STAYED_US;
        if (c->used_us >= since && !c->to && !c->closing && !stayed) active[n++] = c;
    }
    if (n < 2) return false;
    int go = MAX(n * (busy - his) / (2 * busy), 1);
    for (int i = 0; i < go; i++) conn_move(active[i * n / go], to);
    return true;
}

void spread_look(struct net_loop *nl)
{
    struct net *n = nl->net;
    int64_t now = loop_now_us(nl->loop), since = atomic_load_explicit(&nl->looked_us, memory_order_relaxed);
    if (n->loops_n < 2 || now - since < WINDOW_US) return;
    int64_t slept = loop_slept_us(nl->loop), awake = now - since - (slept - nl->looked_slept_us);
    int busy = since ? (int)(awake * 100 / (now - since)) : 0;
    nl->looked_slept_us = slept;
    atomic_store_explicit(&nl->busy, busy, memory_order_relaxed);
    atomic_store_explicit(&nl->looked_us, now, memory_order_relaxed);
    if (busy < BUSY || nl->draining || now - nl->spread_us < nl->rest_us) return;
    struct net_loop *to = least_busy(nl, now);
    int his = busy_of(to, now);
    if (his * 2 > busy) return;
    bool again = now - nl->spread_us < 4 * nl->rest_us;
    if (!give_away(nl, to, busy, his, since)) return;
    nl->rest_us = again ? MIN(nl->rest_us * 2, REST_MOST_US) : REST_US;
    nl->spread_us = now;
}

struct net_loop *spread_place(struct net *n)
{
    struct net_loop *place = &n->loops[0];
    spread_look(place);
    if (atomic_load(&place->conns_n) < TOGETHER && busy_of(place, loop_now_us(place->loop)) < BUSY) return place;
    for (int i = 1; i < n->loops_n; i++)
        if (atomic_load(&n->loops[i].conns_n) < atomic_load(&place->conns_n)) place = &n->loops[i];
    return place;
}

/* ---- on the way -------------------------------------------------------------------------------------------------------------- */

static bool quiet(const struct conn *c)
{
    return !c->closing && !c->paused && !c->blocked && !c->starved && !c->deferred && !c->prefaulting && !c->stash &&
           list_empty(&c->out) && !list_linked(&c->flush.link) && client_idle(c->client);
}

static void leave(struct conn *c)
{
    struct net_loop *nl = c->nl;
    list_remove(&c->mover);
    list_remove(&c->link);
    if (c->prefault.id) waker_remove(nl->waker, &c->prefault);
    client_leave(c->client);
    atomic_fetch_add(&nl->net->moving, 1);
    atomic_fetch_sub(&nl->conns_n, 1);
    atomic_fetch_add(&c->to->conns_n, 1);
    c->transport->leave(c);
}

static void moves_look(struct timer *t)
{
    struct net_loop *nl = container_of(t, struct net_loop, moves);
    int64_t now = loop_now_us(nl->loop);
    list_each_safe (l, next, &nl->movers) {
        struct conn *c = container_of(l, struct conn, mover);
        if (quiet(c) && !nl->draining) {
            leave(c);
            continue;
        }
        if (now - c->to_us <= MOVE_GIVE_UP_US) continue;
        c->stayed_us = now;
        conn_stay(c);
    }
    if (!list_empty(&nl->movers)) loop_timer(nl->loop, t, now + MOVE_LOOK_US);
}

void conn_move(struct conn *c, struct net_loop *to)
{
    struct net_loop *nl = c->nl;
    assert(!c->to && to != nl);
    c->to = to;
    c->to_us = loop_now_us(nl->loop);
    list_push(&nl->movers, &c->mover);
    conn_want(c);
    if (nl->moves.heap_at) return;
    nl->moves.fn = moves_look;
    loop_timer(nl->loop, &nl->moves, c->to_us + MOVE_LOOK_US);
}

void conn_stay(struct conn *c)
{
    c->to = NULL;
    list_remove(&c->mover);
    conn_want(c);
}

static void come(struct post *p)
{
    struct conn *c = container_of(p, struct conn, again);
    struct net_loop *nl = c->nl;
    list_push(&nl->conns, &c->link);
    client_join(c->client, nl->shard);
    nl->spread_us = loop_now_us(nl->loop); /* not on at once */
    nl->rest_us = MAX(nl->rest_us, REST_US);
    atomic_fetch_sub(&nl->net->moving, 1);
    metric_add(M_connections_moved, 1);
    if (!conn_watch(c)) return;
    if (nl->draining) conn_close(c, NULL);
    else net_sweep_start(nl);
}

void conn_left(struct conn *c)
{
    c->nl = c->to;
    c->to = NULL;
    c->again.fn = come;
    loop_post(c->nl->loop, &c->again);
}
