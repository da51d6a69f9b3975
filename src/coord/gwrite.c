/* Writes on their way to an offsets partition.
 *
 * A write is a batch with what is to happen when it is durable. Several are in flight per partition; they are finished strictly in the
 * order they were sent, whatever the order in which the host reports them, so memory follows the log. When its turn comes, a write that
 * is durable has its offset records applied (load_offsets: the same code that loads them at start), then `after` moves its group on, then
 * its calls are answered. A write that failed changes nothing but the answers: offsets become known only here, and each `after` knows
 * what its group does instead.
 *
 * Nothing is retried: the client does that. */
#include "group.h"

enum { GWRITE_CUT = 512 * 1024 };

struct gwrite *gwrite_new(struct offsets_part *p, struct group *g)
{
    const struct batch_opts opts = BATCH_OPTS;
    struct gwrite *w = new (struct gwrite);
    w->part = p;
    w->group = g;
    if (g) g->writes++;
    list_init(&w->calls);
    list_init(&w->link);
    batch_begin(&w->b, &opts, &w->batch);
    return w;
}

static void gwrite_free(struct gwrite *w)
{
    assert(list_empty(&w->calls) && !list_linked(&w->link) && !w->old);
    own_free(&w->old_leader);
    bytes_free(&w->batch);
    mem_free(w);
}

void gwrite_drop(struct gwrite *w)
{
    assert(w->b.count == 0);
    batch_abandon(&w->b);
    if (w->group) w->group->writes--;
    gwrite_free(w);
}

/* What the client is told of an error of the log: as Kafka, retriable with a new look-up of the coordinator. */
static int client_error(int err)
{
    switch (err_kafka(err)) {
    case 0: return 0;
    case KAFKA_UNKNOWN_TOPIC_OR_PARTITION:
    case KAFKA_NOT_ENOUGH_REPLICAS:
    case KAFKA_REQUEST_TIMED_OUT: return E_COORDINATOR_NOT_AVAILABLE;
    case KAFKA_NOT_LEADER_OR_FOLLOWER:
    case KAFKA_KAFKA_STORAGE_ERROR: return E_NOT_COORDINATOR;
    case KAFKA_MESSAGE_TOO_LARGE:
    case KAFKA_RECORD_LIST_TOO_LARGE:
    case KAFKA_INVALID_FETCH_SIZE:
    case KAFKA_INVALID_REQUEST: return E_UNKNOWN_SERVER_ERROR;
    default: return err;
    }
}

/* w is out of the flight. */
static void gwrite_finish(struct gwrite *w)
{
    struct groups *gs = w->part->owner;
    int err = client_error(w->err);

    if (w->err)
        log_warn("group", "write failed", KV_I64("partition", w->part->index),
                 KV_SLICE("group", w->group ? group_id(w->group) : S("")), KV_ERR(w->err));
    load_offsets(w->part, &w->batch, w->err == 0);
    struct group *g = w->group;
    if (g) g->writes--;
    if (w->after) w->after(w, err); /* g may be gone */
    for (struct list *l; (l = list_pop(&w->calls));) {
        struct group_call *c = container_of(l, struct group_call, link);
        if (c->api == API_OFFSET_FETCH) call_run(gs, c); /* it only waited: what failed is not there */
        else if (err) call_error(c, err);
        else call_answer(c);
    }
    gwrite_free(w);
}

static void gwrite_done(struct group_write *gw, int err)
{
    struct gwrite *w = container_of(gw, struct gwrite, w);
    struct offsets_part *p = w->part;
    w->finished = true;
    w->err = err;
    if (p->owner->stopped) {
        list_remove(&w->link);
        if (w->old) member_free(w->old);
        w->old = NULL;
        gwrite_free(w);
        return;
    }
    while (!list_empty(&p->flight)) {
        struct gwrite *first = container_of(p->flight.next, struct gwrite, link);
        if (!first->finished) break;
        list_remove(&first->link);
        gwrite_finish(first);
    }
}

void gwrite_send(struct gwrite *w)
{
    struct groups *gs = w->part->owner;
    int err = w->err;
    assert(!gs->stopped);
    if (w->b.count == 0) {
        batch_abandon(&w->b);
    } else {
        int rc = batch_end(&w->b);
        if (!err && rc < 0) err = rc;
        if (!err && (int64_t)w->batch.n > conf_i64(gs->conf, CONF_MESSAGE_MAX_BYTES)) err = E_MESSAGE_TOO_LARGE;
    }
    if (err || w->b.count == 0) { /* never leaves; what is on its way is not overtaken, as this one changes no offset */
        w->err = err;
        gwrite_finish(w);
        return;
    }
    w->w = (struct group_write){
        .partition = w->part->index,
        .batch = { (const char *)w->batch.p, w->batch.n },
        .done = gwrite_done,
    };
    list_push(&w->part->flight, &w->link);
    gs->host.write(gs->host.arg, &w->w);
}

struct gwrite *gwrite_next(struct gwrite *w)
{
    struct groups *gs = w->part->owner;
    if (batch_bytes(&w->b) < (size_t)MIN(GWRITE_CUT, conf_i64(gs->conf, CONF_MESSAGE_MAX_BYTES) / 2)) return w;
    struct gwrite *next = gwrite_new(w->part, w->group);
    gwrite_send(w);
    return next;
}

void gwrite_behind(struct offsets_part *p, struct group_call *c)
{
    struct gwrite *last = container_of(p->flight.prev, struct gwrite, link);
    assert(!list_empty(&p->flight));
    list_push(&last->calls, &c->link);
}

void gwrite_forget(struct offsets_part *p)
{
    for (struct list *l; (l = list_pop(&p->flight));) {
        struct gwrite *w = container_of(l, struct gwrite, link);
        if (w->old) member_free(w->old);
        w->old = NULL;
        gwrite_free(w);
    }
}
