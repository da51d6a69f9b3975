/* Where the next group may stand (J4, J7). */
#include "journal.h"

void ring_init(struct ring *r, int64_t size)
{
    assert(size % JOURNAL_BLOCK == 0 && size > 0);
    *r = (struct ring){ .size = size, .grown = size };
}

void ring_free(struct ring *r)
{
    mem_free(r->v);
    *r = (struct ring){ 0 };
}

static const struct ring_group *oldest(const struct ring *r) { return &r->v[r->first]; }

int64_t ring_used(const struct ring *r)
{
    if (r->n == 0) return 0;
    int64_t tail = oldest(r)->at;
    return r->head > tail ? r->head - tail : r->size - tail + r->head;
}

bool ring_find(const struct ring *r, int64_t len, bool spare, struct ring_spot *s)
{
    int64_t want = len + (spare ? 0 : JOURNAL_BLOCK);
    assert(len % JOURNAL_BLOCK == 0 && r->head <= r->size);
    *s = (struct ring_spot){ .at = r->head, .filler = -1, .size = r->size };
    if (r->n > 0 && oldest(r)->at >= r->head) return want <= oldest(r)->at - r->head; /* the live part goes around the end */

    int64_t left = r->size - r->head, before = r->n > 0 ? oldest(r)->at : r->head; /* free at the end, and at the beginning */
    if (len <= left) return want <= left || before >= JOURNAL_BLOCK; /* what is spared may also lie at the beginning */
    if (r->grown > r->size) {                                        /* on into the new part instead of around */
        s->size = r->grown;
        left = r->grown - r->head;
        if (len <= left) return want <= left || before >= JOURNAL_BLOCK;
        s->size = r->size;
    }
    s->at = 0;
    if (r->head < r->size && r->head >= want) s->filler = r->head;
    return want <= (r->n > 0 ? before : r->size);
}

void ring_take(struct ring *r, const struct ring_spot *s, int64_t seq, int64_t len)
{
    assert(s->at + len <= s->size);
    assert(r->n == 0 || r->v[(r->first + r->n - 1) % r->cap].seq == seq - 1);
    if (r->n == r->cap) {
        int cap = MAX(64, 2 * r->cap);
        struct ring_group *v = mem_alloc((size_t)cap * sizeof(*v));
        for (int i = 0; i < r->n; i++) v[i] = r->v[(r->first + i) % r->cap];
        mem_free(r->v);
        r->v = v;
        r->cap = cap;
        r->first = 0;
    }
    r->v[(r->first + r->n++) % r->cap] = (struct ring_group){ seq, s->at, len };
    r->size = s->size;
    r->head = s->at + len;
}

void ring_forget(struct ring *r, int64_t live)
{
    while (r->n > 0 && oldest(r)->seq < live) {
        r->first = (r->first + 1) % r->cap;
        r->n--;
    }
}

int64_t ring_since(const struct ring *r, int64_t seq)
{
    if (r->n == 0 || seq >= oldest(r)->seq + r->n) return 0;
    int64_t skip = MAX(0, seq - oldest(r)->seq), at = r->v[(r->first + skip) % r->cap].at;
    return r->head > at ? r->head - at : r->size - at + r->head;
}
