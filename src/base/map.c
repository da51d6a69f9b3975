/* Hash map: a power of two of chains, doubled when there are more nodes than chains. It never shrinks, so removing while walking
 * is safe as long as the next node was asked for first. */
#include <odradek/base.h>

struct map_node *map_find(const struct map *m, uint64_t hash, map_eq *eq, const void *key)
{
    if (m->n == 0) return NULL;
    for (struct map_node *n = m->slots[hash & m->mask]; n; n = n->next)
        if (n->hash == hash && eq(n, key)) return n;
    return NULL;
}

static void map_grow(struct map *m)
{
    size_t size = m->slots ? (m->mask + 1) * 2 : 8;
    struct map_node **slots = mem_zalloc(size * sizeof(struct map_node *));
    for (size_t i = 0; m->slots && i <= m->mask; i++)
        for (struct map_node *n = m->slots[i], *next; n; n = next) {
            next = n->next;
            n->next = slots[n->hash & (size - 1)];
            slots[n->hash & (size - 1)] = n;
        }
    mem_free(m->slots);
    m->slots = slots;
    m->mask = size - 1;
}

void map_put(struct map *m, uint64_t hash, struct map_node *n)
{
    if (!m->slots || m->n > m->mask) map_grow(m);
    n->hash = hash;
    n->next = m->slots[hash & m->mask];
    m->slots[hash & m->mask] = n;
    m->n++;
}

void map_remove(struct map *m, struct map_node *n)
{
    assert(m->n > 0);
    struct map_node **at = &m->slots[n->hash & m->mask];
    while (*at != n) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = n->next;
    n->next = NULL;
    m->n--;
}

struct map_node *map_next(const struct map *m, const struct map_node *n)
{
    if (m->n == 0) return NULL;
    if (n && n->next) return n->next;
    for (size_t i = n ? (n->hash & m->mask) + 1 : 0; i <= m->mask; i++)
        if (m->slots[i]) return m->slots[i];
    return NULL;
}

void map_free(struct map *m)
{
    mem_free(m->slots);
    *m = (struct map){ 0 };
}
