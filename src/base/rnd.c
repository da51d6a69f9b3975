/* Numbers and UUIDs from a source of random bytes, and the kernel as that source. A kernel that has none ends the process. */
#include "real.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

uint64_t rnd_u64(struct rnd *r)
{
    uint64_t v;
    r->fill(r, &v, sizeof(v));
    return v;
}

uint64_t rnd_below(struct rnd *r, uint64_t n)
{
    assert(n > 0);
    uint64_t rest = -n % n; /* 2^64 mod n: values below it would favour the small ones */
    for (;;) {
        uint64_t v = rnd_u64(r);
        if (v >= rest) return v % n;
    }
}

struct uuid rnd_uuid(struct rnd *r)
{
    static const struct uuid one = { { [15] = 1 } };
    for (;;) {
        struct uuid u;
        r->fill(r, u.b, sizeof(u.b));
        u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40); /* RFC 4122, version 4 */
        u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80);
        bool dash = u.b[0] >> 2 == 62; /* the first character would be '-', which command lines take for an option */
        if (!dash && !uuid_is_zero(u) && !uuid_eq(u, one)) return u;
    }
}

static void real_fill(struct rnd *r, void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)p + done, n - done, 0);
        if (got < 0 && errno != EINTR) abort();
        if (got > 0) done += (size_t)got;
    }
}

struct rnd rnd_real = { .fill = real_fill };
