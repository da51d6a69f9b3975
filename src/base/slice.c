/* Slices compared, UUIDs as text: 16 bytes are 22 characters of URL-safe base64 without padding, as Kafka prints them.
 *
 * Text that is not exactly that (padding apart) is E_INVALID. */
#include <odradek/base.h>

int slice_cmp(struct slice a, struct slice b)
{
    if (!a.p || !b.p) return (a.p != NULL) - (b.p != NULL);
    int c = memcmp(a.p, b.p, MIN(a.n, b.n));
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void uuid_text(struct uuid u, char out[UUID_TEXT])
{
    uint32_t acc = 0;
    int bits = 0, n = 0;
    for (int i = 0; i < 16; i++) {
        acc = acc << 8 | u.b[i];
        for (bits += 8; bits >= 6; bits -= 6) out[n++] = alphabet[acc >> (bits - 6) & 63];
    }
    out[n++] = alphabet[acc << (6 - bits) & 63]; /* 128 = 21 * 6 + 2 bits */
    out[n] = 0;
}

int uuid_parse(struct slice text, struct uuid *out)
{
    if (text.n == 24 && text.p[22] == '=' && text.p[23] == '=') text.n = 22;
    if (text.n != 22) return E_INVALID;
    uint32_t acc = 0;
    int bits = 0, n = 0;
    struct uuid u;
    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(alphabet, text.p[i]) : NULL;
        if (!at) return E_INVALID;
        acc = acc << 6 | (uint32_t)(at - alphabet);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            u.b[n++] = (uint8_t)(acc >> bits);
        }
    }
    *out = u;
    return 0;
}
