/* Hashing with keys of the caller's choice: what hash_bytes and the simulator's trace stand on. */
#pragma once
#include <odradek/base.h>

struct hash_key {
    uint64_t a, b;
};
uint64_t hash_with(struct hash_key k, const void *p, size_t n);
void hash_fix(void); /* from now on hash_bytes gives the same in every process; no map may be in use */

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}
