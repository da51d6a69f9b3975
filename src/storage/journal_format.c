/* Groups and entries as bytes, and finding them again (J4, J5, J13). See journal.h for the layout. */
#include "journal.h"
#include <stdlib.h>

static const char magic[8] = { 'O', 'D', 'R', 'J', 'R', 'N', 'L', '1' };
enum { AT_CRC = 8, AT_COVERED = 12, VERSION = 1 };

bool journal_ids_eq(const struct journal_ids *a, const struct journal_ids *b)
{
    return uuid_eq(a->dir, b->dir) && uuid_eq(a->run, b->run) && memcmp(a->cluster, b->cluster, JOURNAL_CLUSTER) == 0 &&
           a->epoch == b->epoch;
}

void journal_put_head(uint8_t out[JOURNAL_HEAD], const struct journal_head *h, journal_crc_of *body, void *arg)
{
    assert(h->length >= JOURNAL_HEAD && h->entries >= 0 && h->oldest <= h->seq);
    memcpy(out, magic, sizeof(magic));
    put_be16(out + 12, VERSION);
    put_be16(out + 14, (uint16_t)h->kind);
    memcpy(out + 16, h->ids.dir.b, 16);
    memcpy(out + 32, h->ids.run.b, 16);
    memcpy(out + 48, h->ids.cluster, JOURNAL_CLUSTER);
    put_be32(out + 80, (uint32_t)h->ids.epoch);
    put_be32(out + 84, (uint32_t)h->entries);
    put_be64(out + 88, (uint64_t)h->seq);
    put_be64(out + 96, (uint64_t)h->oldest);
    put_be64(out + 104, (uint64_t)h->length);
    uint32_t crc = crc32c(0, out + AT_COVERED, JOURNAL_HEAD - AT_COVERED);
    put_be32(out + AT_CRC, body ? body(arg, crc) : crc);
}

void journal_put_entry(uint8_t out[JOURNAL_ENTRY], const struct journal_entry *e)
{
    memcpy(out, e->topic_id.b, 16);
    put_be32(out + 16, (uint32_t)e->partition);
    put_be32(out + 20, e->n);
    put_be64(out + 24, (uint64_t)e->base);
    put_be32(out + 32, e->at);
    put_be32(out + 36, 0);
    put_be64(out + 40, (uint64_t)e->first);
    put_be64(out + 48, (uint64_t)e->last);
}

bool journal_get_head(const uint8_t *p, size_t n, struct journal_head *h)
{
    if (n < JOURNAL_HEAD || memcmp(p, magic, sizeof(magic)) != 0 || be16(p + 12) != VERSION) return false;
    uint16_t kind = be16(p + 14);
    if (kind != JOURNAL_GROUP && kind != JOURNAL_FILLER) return false;
    h->kind = (enum journal_kind)kind;
    memcpy(h->ids.dir.b, p + 16, 16);
    memcpy(h->ids.run.b, p + 32, 16);
    memcpy(h->ids.cluster, p + 48, JOURNAL_CLUSTER);
    h->ids.epoch = (int32_t)be32(p + 80);
    h->entries = (int32_t)be32(p + 84);
    h->seq = (int64_t)be64(p + 88);
    h->oldest = (int64_t)be64(p + 96);
    h->length = (int64_t)be64(p + 104);
    if (h->length < JOURNAL_HEAD || h->length > (int64_t)n || h->entries < 0 || h->seq < 1 || h->oldest < 1 || h->oldest > h->seq)
        return false;
    size_t covered = (kind == JOURNAL_FILLER ? JOURNAL_HEAD : (size_t)h->length) - AT_COVERED;
    return crc32c(0, p + AT_COVERED, covered) == be32(p + AT_CRC);
}

int journal_get_entry(const uint8_t *group, const struct journal_head *h, size_t *at, struct journal_entry *e)
{
    size_t left = (size_t)h->length - *at;
    if (left == 0) return 0;
    if (left < JOURNAL_ENTRY) return E_CORRUPT;
    const uint8_t *p = group + *at;
    memcpy(e->topic_id.b, p, 16);
    e->partition = (int32_t)be32(p + 16);
    e->n = be32(p + 20);
    e->base = (int64_t)be64(p + 24);
    e->at = be32(p + 32);
    e->first = (int64_t)be64(p + 40);
    e->last = (int64_t)be64(p + 48);
    e->bytes = p + JOURNAL_ENTRY;
    if (e->n > left - JOURNAL_ENTRY || e->n == 0 || e->partition < 0 || e->base < 0 || e->first < e->base || e->last < e->first ||
        e->last - e->base > INT32_MAX || (uint64_t)e->at + e->n > INT32_MAX)
        return E_CORRUPT;
    *at += JOURNAL_ENTRY + e->n;
    return 1;
}

/* ---- scanning ------------------------------------------------------------------------------------------------------------------------------ */

static int by_seq(const void *a, const void *b)
{
    const struct journal_found *x = a, *y = b;
    return (x->head.seq > y->head.seq) - (x->head.seq < y->head.seq);
}

void journal_scan(const uint8_t *file, size_t n, struct journal_scan *s)
{
    int cap = 0;
    *s = (struct journal_scan){ 0 };
    for (size_t at = 0; at + JOURNAL_HEAD <= n;) {
        struct journal_head h;
        if (!journal_get_head(file + at, n - at, &h)) {
            at += JOURNAL_BLOCK;
            continue;
        }
        if (s->n > 0 && !journal_ids_eq(&h.ids, &s->v[0].head.ids)) s->mixed = true;
        if (h.kind ==
            JOURNAL_FILLER) { /* what it skips may hold groups of an earlier round: not live, or it would not be skipped */
            at += JOURNAL_BLOCK;
            continue;
        }
        if (s->n == cap) s->v = mem_realloc(s->v, (size_t)(cap = MAX(64, 2 * cap)) * sizeof(*s->v));
        s->v[s->n++] = (struct journal_found){ .head = h, .p = file + at };
        at += (size_t)journal_padded(h.length);
    }
    if (s->n == 0) return;
    qsort(s->v, (size_t)s->n, sizeof(*s->v), by_seq);
    for (int i = 1; i < s->n; i++) s->mixed |= s->v[i].head.seq == s->v[i - 1].head.seq; /* a seq is written once */
    const struct journal_head *last = &s->v[s->n - 1].head;
    s->ids = last->ids;
    s->newest = last->seq;
    s->oldest = last->oldest;
    int keep = 0; /* J13: the chain is [oldest live, newest] */
    for (int i = 0; i < s->n; i++)
        if (s->v[i].head.seq >= s->oldest) s->v[keep++] = s->v[i];
    s->n = keep;
    int64_t want = s->oldest;
    for (int i = 0; i < s->n && s->missing == 0; i++, want++)
        if (s->v[i].head.seq != want) s->missing = want;
}

void journal_scan_free(struct journal_scan *s)
{
    mem_free(s->v);
    *s = (struct journal_scan){ 0 };
}
