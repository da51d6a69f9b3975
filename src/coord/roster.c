/* Who is in a classic group: members by id and by instance, ids handed out but not yet used, votes for protocols, subscriptions.
 * No decisions here; they are in group_classic.c. */
#include "group.h"

/* ---- members --------------------------------------------------------------------------------------------------------------- */

static bool id_eq(const struct map_node *n, const void *key)
{
    return slice_eq(container_of(n, struct member, by_id)->id, *(const struct slice *)key);
}

static bool instance_eq(const struct map_node *n, const void *key)
{
    return slice_eq(container_of(n, struct member, by_instance)->instance, *(const struct slice *)key);
}

struct member *member_find(const struct group *g, struct slice id)
{
    struct map_node *n = map_find(&g->by_id, hash_slice(id), id_eq, &id);
    return n ? container_of(n, struct member, by_id) : NULL;
}

struct member *member_by_instance(const struct group *g, struct slice instance)
{
    if (!instance.p) return NULL;
    struct map_node *n = map_find(&g->by_instance, hash_slice(instance), instance_eq, &instance);
    return n ? container_of(n, struct member, by_instance) : NULL;
}

struct member *member_new(struct group *g, struct slice id, struct slice instance, struct slice client_id,
                          struct slice client_host)
{
    struct member *m = new (struct member);
    list_init(&m->link);
    m->group = g;
    m->serial = ++g->owner->serial;
    m->id = own(id);
    m->instance = own(instance);
    m->client_id = own(client_id.p ? client_id : S(""));
    m->client_host = own(client_host.p ? client_host : S(""));
    m->assignment = own(S(""));
    return m;
}

void member_free(struct member *m)
{
    assert(!m->join && !m->sync && !list_linked(&m->link) && !m->session.heap_at);
    own_free(&m->id);
    own_free(&m->instance);
    own_free(&m->client_id);
    own_free(&m->client_host);
    own_free(&m->assignment);
    own_free(&m->next);
    mem_free(m->protocols);
    mem_free(m);
}

/* ---- votes --------------------------------------------------------------------------------------------------------------------- */

static bool vote_eq(const struct map_node *n, const void *key)
{
    const struct vote *v = container_of(n, struct vote, node);
    return slice_eq((struct slice){ v->name, v->name_n }, *(const struct slice *)key);
}

static struct vote *vote_find(const struct group *g, struct slice name)
{
    struct map_node *n = map_find(&g->votes, hash_slice(name), vote_eq, &name);
    return n ? container_of(n, struct vote, node) : NULL;
}

/* A member that names a protocol twice supports it once. */
static void votes_add(struct group *g, const struct member *m, int by)
{
    uint64_t tick = ++g->vote_tick;
    for (int32_t i = 0; m->protocols && i < m->protocols->n; i++) {
        struct slice name = m->protocols->p[i].name;
        struct vote *v = vote_find(g, name);
        if (!v && by < 0) continue;
        if (!v) {
            v = mem_zalloc(sizeof *v + name.n + 1);
            v->name_n = (uint32_t)name.n;
            memcpy(v->name, name.p, name.n);
            map_put(&g->votes, hash_slice(name), &v->node);
        }
        if (v->seen == tick) continue;
        v->seen = tick;
        v->supporters += by;
        if (v->supporters > 0) continue;
        map_remove(&g->votes, &v->node);
        mem_free(v);
    }
}

bool group_supports(const struct group *g, const struct join_group_request *in)
{
    if (g->state == STATE_EMPTY) return in->protocol_type.n > 0 && in->protocols_n > 0;
    if (!g->protocol_type.p || !slice_eq(g->protocol_type, in->protocol_type)) return false;
    for (int32_t i = 0; i < in->protocols_n; i++) {
        const struct vote *v = vote_find(g, in->protocols[i].name);
        if ((v ? v->supporters : 0) == g->members_n) return true;
    }
    return false;
}

/* Ties go to the protocol that the oldest member prefers. */
struct slice group_vote(struct group *g)
{
    struct vote *best = NULL;
    assert(g->members_n > 0);
    for (struct map_node *n = NULL; (n = map_next(&g->votes, n));) container_of(n, struct vote, node)->votes = 0;
    list_each (it, &g->members) {
        const struct protocols *p = container_of(it, struct member, link)->protocols;
        for (int32_t i = 0; i < p->n; i++) {
            struct vote *v = vote_find(g, p->p[i].name);
            if (v->supporters != g->members_n) continue;
            v->votes++;
            break;
        }
    }
    const struct protocols *first = container_of(g->members.next, struct member, link)->protocols;
    for (int32_t i = 0; i < first->n; i++) {
        struct vote *v = vote_find(g, first->p[i].name);
        if (v->supporters == g->members_n && (!best || v->votes > best->votes)) best = v;
    }
    assert(best); /* nobody is let in who does not share a protocol with all */
    return (struct slice){ best->name, best->name_n };
}

/* ---- protocols --------------------------------------------------------------------------------------------------------------------- */

struct protocols *protocols_own(const struct join_group_request_protocol *p, int32_t n)
{
    size_t size = sizeof(struct protocols) + sizeof(struct protocol) * (size_t)MAX(n, 0), bytes = 0;
    for (int32_t i = 0; i < n; i++) bytes += p[i].name.n + p[i].metadata.n;
    struct protocols *o = mem_zalloc(size + bytes);
    char *at = (char *)o + size;
    o->n = MAX(n, 0);
    for (int32_t i = 0; i < n; i++) {
        o->p[i].name = (struct slice){ at, p[i].name.n };
        if (p[i].name.n) memcpy(at, p[i].name.p, p[i].name.n);
        at += p[i].name.n;
        o->p[i].metadata = (struct slice){ at, p[i].metadata.n };
        if (p[i].metadata.n) memcpy(at, p[i].metadata.p, p[i].metadata.n);
        at += p[i].metadata.n;
    }
    return o;
}

void member_set_protocols(struct group *g, struct member *m, struct protocols *p)
{
    bool in = list_linked(&m->link);
    if (in) votes_add(g, m, -1);
    mem_free(m->protocols);
    m->protocols = p;
    if (in) votes_add(g, m, 1);
}

bool member_matches(const struct member *m, const struct join_group_request *in)
{
    if (m->protocols->n != in->protocols_n) return false;
    for (int32_t i = 0; i < in->protocols_n; i++) {
        const struct protocol *p = &m->protocols->p[i];
        struct slice metadata = in->protocols[i].metadata;
        if (!slice_eq(p->name, in->protocols[i].name)) return false;
        if (p->metadata.n != metadata.n || (metadata.n && memcmp(p->metadata.p, metadata.p, metadata.n) != 0)) return false;
    }
    return true;
}

struct slice member_metadata(const struct member *m, struct slice protocol)
{
    for (int32_t i = 0; i < m->protocols->n; i++)
        if (slice_eq(m->protocols->p[i].name, protocol)) return m->protocols->p[i].metadata;
    return (struct slice){ NULL, 0 };
}

/* ---- joining and leaving the roster --------------------------------------------------------------------------------------------------- */

void member_add(struct group *g, struct member *m, struct slice protocol_type)
{
    assert(!list_linked(&m->link) && m->protocols);
    if (g->members_n == 0) {
        struct slice type = own(protocol_type); /* may be the one that is replaced */
        own_free(&g->protocol_type);
        g->protocol_type = type;
    }
    m->group = g;
    list_push(&g->members, &m->link);
    map_put(&g->by_id, hash_slice(m->id), &m->by_id);
    if (m->instance.p) map_put(&g->by_instance, hash_slice(m->instance), &m->by_instance);
    votes_add(g, m, 1);
    g->members_n++;
    if (m->join) g->awaiting_join++;
    if (m->pending_sync) g->pending_sync++;
    if (!g->leader) g->leader = m;
}

void member_detach(struct group *g, struct member *m)
{
    assert(!m->join && !m->sync);
    loop_timer_stop(g->owner->home, &m->session);
    votes_add(g, m, -1);
    list_remove(&m->link);
    map_remove(&g->by_id, &m->by_id);
    if (m->instance.p) map_remove(&g->by_instance, &m->by_instance);
    g->members_n--;
    if (m->pending_sync) g->pending_sync--;
    if (g->leader == m) g->leader = list_empty(&g->members) ? NULL : container_of(g->members.next, struct member, link);
}

void group_forget_members(struct group *g)
{
    for (struct list *l; (l = g->members.next) != &g->members;) {
        struct member *m = container_of(l, struct member, link);
        member_detach(g, m);
        member_free(m);
    }
    for (struct map_node *n; (n = map_next(&g->pending, NULL));) pending_remove(container_of(n, struct pending, node));
}

int32_t group_rebalance_ms(const struct group *g)
{
    int32_t ms = 0;
    list_each (it, &g->members) ms = MAX(ms, container_of(it, struct member, link)->rebalance_ms);
    return ms;
}

/* ---- ids handed out ---------------------------------------------------------------------------------------------------------------------- */

static bool pending_eq(const struct map_node *n, const void *key)
{
    const struct pending *p = container_of(n, struct pending, node);
    return slice_eq((struct slice){ p->id, p->id_n }, *(const struct slice *)key);
}

struct pending *pending_find(const struct group *g, struct slice id)
{
    struct map_node *n = map_find(&g->pending, hash_slice(id), pending_eq, &id);
    return n ? container_of(n, struct pending, node) : NULL;
}

struct pending *pending_add(struct group *g, struct slice id, void (*expired)(struct timer *t))
{
    struct pending *p = mem_zalloc(sizeof *p + id.n + 1);
    p->group = g;
    p->timer.fn = expired;
    p->id_n = (uint32_t)id.n;
    memcpy(p->id, id.p, id.n);
    map_put(&g->pending, hash_slice(id), &p->node);
    return p;
}

void pending_remove(struct pending *p)
{
    loop_timer_stop(p->group->owner->home, &p->timer);
    map_remove(&p->group->pending, &p->node);
    mem_free(p);
}

/* ---- subscriptions ---------------------------------------------------------------------------------------------------------------------------- */

struct topic_subscribed {
    struct map_node node;
    uint32_t n;
    char name[];
};

static bool subscribed_eq(const struct map_node *n, const void *key)
{
    const struct topic_subscribed *t = container_of(n, struct topic_subscribed, node);
    return slice_eq((struct slice){ t->name, t->n }, *(const struct slice *)key);
}

void group_forget_subscriptions(struct group *g)
{
    for (struct map_node *n; (n = map_next(&g->subscribed, NULL));) {
        map_remove(&g->subscribed, n);
        mem_free(container_of(n, struct topic_subscribed, node));
    }
    map_free(&g->subscribed);
    g->subscribed = (struct map){ 0 };
    g->subscribed_known = false;
}

/* The consumer protocol's subscription: a version, then the topics; later versions only add fields behind. False: not one. */
static bool subscription_read(struct group *g, struct slice metadata)
{
    struct rd r = rd_of(metadata);
    if (rd_i16(&r) < 0) return false;
    int32_t n = rd_i32(&r);
    for (int32_t i = 0; i < n && !r.err; i++) {
        struct slice name = rd_string(&r);
        if (r.err || !name.p) return false;
        if (map_find(&g->subscribed, hash_slice(name), subscribed_eq, &name)) continue;
        struct topic_subscribed *t = mem_zalloc(sizeof *t + name.n + 1);
        t->n = (uint32_t)name.n;
        memcpy(t->name, name.p, name.n);
        map_put(&g->subscribed, hash_slice(name), &t->node);
    }
    return !r.err;
}

void group_subscriptions(struct group *g)
{
    group_forget_subscriptions(g);
    if (!g->protocol_type.p || !slice_eq(g->protocol_type, S("consumer"))) return;
    if (g->members_n && !g->protocol.p) return;
    list_each (it, &g->members) {
        struct slice metadata = member_metadata(container_of(it, struct member, link), g->protocol);
        if (subscription_read(g, metadata)) continue;
        group_forget_subscriptions(g);
        return;
    }
    g->subscribed_known = true;
}

bool group_subscribes(const struct group *g, struct slice topic)
{
    if (g->kind != KIND_CLASSIC) return g->modern && g->modern->members > 0; /* their subscriptions are not known here */
    if (!g->subscribed_known) return g->protocol_type.p && slice_eq(g->protocol_type, S("consumer"));
    return map_find(&g->subscribed, hash_slice(topic), subscribed_eq, &topic) != NULL;
}
