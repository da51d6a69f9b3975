/* A hash for short keys: 16 bytes a step through a folded 64x64 multiplication, both factors keyed.
 *
 * The key comes from the kernel before main(), so a client cannot choose names that collide. A factor of zero would swallow the
 * other one; both are therefore XORed with secret words. The simulator replaces the key by a fixed one (hash_fix). */
#include "hash.h"

#include <stdlib.h>
#include <sys/random.h>

static struct hash_key process_key;

static const struct hash_key fixed_key = { 0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u };

__attribute__((constructor)) static void choose_key(void)
{
    if (getrandom(&process_key, sizeof(process_key), 0) != (ssize_t)sizeof(process_key)) abort();
}

void hash_fix(void) { process_key = fixed_key; }

static uint64_t read64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static uint64_t read32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

uint64_t hash_with(struct hash_key k, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint64_t h = k.a ^ hash_fold(n ^ 0xa0761d6478bd642fu, k.b), a = 0, b = 0;
    size_t left = n;

    for (; left > 16; left -= 16, p += 16) h = hash_fold(read64(p) ^ k.b, read64(p + 8) ^ h);
    if (left >= 8) {
        a = read64(p);
        b = read64(p + left - 8);
    } else if (left >= 4) {
        a = read32(p);
        b = read32(p + left - 4);
    } else if (left > 0) {
        a = (uint64_t)p[0] << 16 | (uint64_t)p[left >> 1] << 8 | p[left - 1];
    }
    return hash_fold(h ^ 0xe7037ed1a0b428dbu, hash_fold(a ^ k.b, b ^ h) ^ k.a);
}

uint64_t hash_bytes(const void *p, size_t n) { return hash_with(process_key, p, n); }
