/* Open addressing with linear probing, in up to 256 parts that grow one by one: so growing never holds two copies of the whole. */
#include "clean_map.h"

enum { SHARDS = 256, SHARD_MIN = 16 * 1024 /* slots: chance fills parts evenly enough */, FIRST = 16, MEMORY_MIN = 1024 };

/* ---- SipHash-2-4-128 ------------------------------------------------------------------------------------------------------------- */

static inline uint64_t rotl(uint64_t x, int b) { return x << b | x >> (64 - b); }

static inline uint64_t le64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(v) : v;
}

static void sip_rounds(uint64_t v[4], int n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
    }
}

static void hash_key(const struct clean_map *m, struct slice key, uint64_t out[2])
{
    const uint8_t *p = (const uint8_t *)key.p;
    size_t left = key.n;
    uint64_t v[4] = { m->key[0] ^ 0x736f6d6570736575, m->key[1] ^ 0x646f72616e646f6d ^ 0xee, m->key[0] ^ 0x6c7967656e657261,
                      m->key[1] ^ 0x7465646279746573 };
    uint64_t last = (uint64_t)key.n << 56;
    for (; left >= 8; p += 8, left -= 8) {
        uint64_t w = le64(p);
        v[3] ^= w;
        sip_rounds(v, 2);
        v[0] ^= w;
    }
    for (size_t i = 0; i < left; i++) last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    sip_rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xee;
    sip_rounds(v, 4);
    out[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    sip_rounds(v, 4);
    out[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- the table --------------------------------------------------------------------------------------------------------------------- */

void clean_map_init(struct clean_map *m, int64_t memory, double load, struct rnd *rnd)
{
    int64_t slots = MIN(MAX(memory, MEMORY_MIN), INT32_MAX) / CLEAN_ENTRY;
    *m = (struct clean_map){ .latest = -1 };
    m->shards_n = (uint32_t)MIN(MAX(slots / SHARD_MIN, 1), SHARDS);
    m->shard_cap = (uint32_t)(slots / m->shards_n);
    m->limit = MIN(MAX((int64_t)((double)slots * MIN(MAX(load, 0.0), 1.0)), 1), slots - 1);
    m->shards = mem_zalloc(m->shards_n * sizeof(*m->shards));
    rnd->fill(rnd, m->key, sizeof(m->key));
}

void clean_map_free(struct clean_map *m)
{
    for (uint32_t i = 0; i < m->shards_n; i++) mem_free(m->shards[i].slots);
    mem_free(m->shards);
    *m = (struct clean_map){ .latest = -1 };
}

int64_t clean_map_memory(const struct clean_map *m)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < m->shards_n; i++) n += (int64_t)m->shards[i].cap * CLEAN_ENTRY;
    return n;
}

/* The slot of that hash, or the free one where it belongs. There is always a free one. */
static struct clean_slot *slot_of(const struct clean_shard *s, const uint64_t h[2])
{
    uint64_t i = (uint64_t)(((unsigned __int128)h[1] * s->cap) >> 64);
    while (s->slots[i].offset != 0 && (s->slots[i].hash[0] != h[0] || s->slots[i].hash[1] != h[1]))
        if (++i == s->cap) i = 0;
    return &s->slots[i];
}

static struct clean_shard *shard_of(const struct clean_map *m, const uint64_t h[2]) { return &m->shards[h[0] % m->shards_n]; }

static void grow(const struct clean_map *m, struct clean_shard *s)
{
    struct clean_shard was = *s;
    s->cap = was.cap == 0 ? FIRST : was.cap * 2;
    if (s->cap > m->shard_cap / 2) s->cap = m->shard_cap;
    s->slots = mem_zalloc(s->cap * sizeof(*s->slots));
    for (uint32_t i = 0; i < was.cap; i++)
        if (was.slots[i].offset != 0) *slot_of(s, was.slots[i].hash) = was.slots[i];
    mem_free(was.slots);
}

bool clean_map_put(struct clean_map *m, struct slice key, int64_t offset)
{
    uint64_t h[2];
    if (m->size >= m->limit) return false;
    hash_key(m, key, h);
    struct clean_shard *s = shard_of(m, h);
    if (s->cap < m->shard_cap && (uint64_t)s->n * 4 >= (uint64_t)s->cap * 3) grow(m, s);
    struct clean_slot *at = slot_of(s, h);
    if (at->offset == 0) {
        if (s->n + 1 == s->cap) return false; /* the last free slot ends every search */
        s->n++;
        m->size++;
        at->hash[0] = h[0];
        at->hash[1] = h[1];
    }
    at->offset = (uint64_t)offset + 1;
    m->latest = offset;
    return true;
}

int64_t clean_map_get(const struct clean_map *m, struct slice key)
{
    uint64_t h[2];
    hash_key(m, key, h);
    const struct clean_shard *s = shard_of(m, h);
    return s->cap == 0 ? -1 : (int64_t)slot_of(s, h)->offset - 1;
}
