/* clean_map: which offset is the last of each key, for the cleaner. Keys are remembered by a 128-bit hash (SipHash-2-4 with a key of
 * its own for each map, so that nobody can make two keys collide), 24 bytes an entry.
 *
 * Memory is taken as entries arrive, never more than asked for, and given back by clean_map_free. Entries are never removed.
 * Threads: none of its own. */
#pragma once
#include <odradek/base.h>

enum { CLEAN_ENTRY = 24 };
struct clean_slot {
    uint64_t hash[2];
    uint64_t offset; /* + 1; 0: free */
};
struct clean_shard {
    struct clean_slot *slots;
    uint32_t n, cap;
};
struct clean_map {
    int64_t size, limit;
    int64_t latest; /* all up to here was looked at; −1: nothing */
    uint64_t key[2];
    struct clean_shard *shards;
    uint32_t shards_n, shard_cap;
};

/* limit = memory / 24 × load: as many keys as Kafka's map of that size takes. memory below 1 KiB counts as 1 KiB. */
void clean_map_init(struct clean_map *m, int64_t memory, double load, struct rnd *rnd);
void clean_map_free(struct clean_map *m); /* harmless twice */
/* latest becomes offset. False, and nothing changed: the map is full (as Kafka's: also for a key that is there). */
bool clean_map_put(struct clean_map *m, struct slice key, int64_t offset);
int64_t clean_map_get(const struct clean_map *m, struct slice key); /* −1: not there */
int64_t clean_map_memory(const struct clean_map *m);                /* bytes it holds now */
