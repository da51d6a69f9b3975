/* Any bytes, as any message at any version. Bytes 0-1 choose the message, 2-3 the version, the rest is decoded.
 * What decodes must print, and its encoding must decode to the same. Hostile bytes must not take more memory than they are worth. */
#include "fuzz.h"
#include <odradek/wire.h>

#include <stdlib.h>

static int messages(void)
{
    static int n;
    while (wire_msg_at(n)) n++;
    assert(n > 0);
    return n;
}

static void round_trip(const struct wire_msg *m, int16_t version, const void *msg, struct arena *a)
{
    void *again = malloc(m->size);
    struct wire_out one = { 0 }, two = { 0 };
    struct bytes text = { 0 }, text_again = { 0 };

    wire_print(m, version, msg, &text);
    if (wire_encode(m, version, msg, &one) == 0) { /* E_INVALID: unknown tags out of order */
        struct slice bytes = { (char *)one.b.p, one.b.n };
        assert(one.b.n == wire_size(m, version, msg));
        int rc = wire_decode(m, version, bytes, a, again, NULL);
        assert(rc == 0);
        rc = wire_encode(m, version, again, &two);
        assert(rc == 0);
        assert(one.b.n == two.b.n && (one.b.n == 0 || memcmp(one.b.p, two.b.p, one.b.n) == 0));
        wire_print(m, version, again, &text_again);
        assert(text.n == text_again.n && memcmp(text.p, text_again.p, text.n) == 0);
    }
    wire_out_free(&one);
    wire_out_free(&two);
    bytes_free(&text);
    bytes_free(&text_again);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 4) return 0;
    const struct wire_msg *m = wire_msg_at(be16(data) % messages());
    if (m->min > m->max) return 0;
    int16_t version = (int16_t)(m->min + be16(data + 2) % (m->max - m->min + 1));
    struct slice in = { (const char *)data + 4, n - 4 };
    void *msg = malloc(m->size);
    struct arena a;
    size_t used = 0;

    arena_init(&a);
    if (wire_decode(m, version, in, &a, msg, &used) == 0) {
        assert(used <= in.n);
        round_trip(m, version, msg, &a);
    } else {
        assert(a.used <= (WIRE_GROWTH + 16) * in.n);
    }
    arena_free(&a);
    free(msg);
    return 0;
}
