/* dump-log: text as Java writes it. */
#include "dump.h"

#include <math.h>
#include <stdlib.h>

static bool more(unsigned c) { return (c & 0xc0) == 0x80; }

/* The character at p: its length, or minus the number of bytes that Java's decoder takes for one U+FFFD. */
static int utf8_step(const unsigned char *p, size_t n)
{
    unsigned b1 = p[0], b2 = n > 1 ? p[1] : 0;

    if (b1 < 0x80) return 1;
    if (b1 >= 0xc2 && b1 < 0xe0) return n > 1 && more(b2) ? 2 : -1;
    if (b1 >> 4 == 0xe) {
        if (n == 1) return -1;
        if ((b1 == 0xe0 && (b2 & 0xe0) == 0x80) || !more(b2)) return -1;
        if (n == 2 || !more(p[2])) return -2;
        return b1 == 0xed && b2 >= 0xa0 ? -3 : 3; /* a surrogate is one mistake */
    }
    if (b1 >= 0xf0 && b1 <= 0xf4) {
        if (n == 1) return -1;
        if ((b1 == 0xf0 && b2 < 0x90) || (b1 == 0xf4 && b2 > 0x8f) || !more(b2)) return -1;
        if (n == 2 || !more(p[2])) return -2;
        return n == 3 || !more(p[3]) ? -3 : 4;
    }
    return -1;
}

void dump_utf8(struct bytes *out, struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

    for (int step; p < end; p += abs(step)) {
        step = utf8_step(p, (size_t)(end - p));
        if (step > 0) bytes_put(out, p, (size_t)step);
        else bytes_put(out, "\xef\xbf\xbd", 3);
    }
}

bool dump_is_utf8(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

    for (int step; p < end; p += step)
        if ((step = utf8_step(p, (size_t)(end - p))) < 0) return false;
    return true;
}

static void json_char(struct bytes *out, unsigned c) /* below 0x20, a quote or a backslash */
{
    const char *at = c ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", (int)c) : NULL;

    if (at) bytes_printf(out, "\\%c", at[1]);
    else bytes_printf(out, "\\u%04X", c);
}

void dump_json_string(struct bytes *out, struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

    wr_u8(out, '"');
    for (int step; p < end; p += abs(step)) {
        step = utf8_step(p, (size_t)(end - p));
        if (step < 0) bytes_put(out, "\xef\xbf\xbd", 3);
        else if (*p < 0x20 || *p == '"' || *p == '\\') json_char(out, *p);
        else bytes_put(out, p, (size_t)step);
    }
    wr_u8(out, '"');
}

void dump_json_bytes(struct bytes *out, const char *name, struct slice s)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s.p;

    if (dump_is_utf8(s)) {
        bytes_printf(out, "\"%s\":", name);
        dump_json_string(out, s);
        return;
    }
    bytes_printf(out, "\"%sBase64\":\"", name);
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
        wr_u8(out, (uint8_t)alphabet[v >> 18]);
        wr_u8(out, (uint8_t)alphabet[v >> 12 & 63]);
        wr_u8(out, left > 1 ? (uint8_t)alphabet[v >> 6 & 63] : '=');
        wr_u8(out, left > 2 ? (uint8_t)alphabet[v & 63] : '=');
    }
    wr_u8(out, '"');
}

/* As Double.toString: the shortest digits that read back the same, at least one behind the point; between 10^-3 and 10^7 plain, else
 * d.dddEn. (Of two-digit numbers the nearest, not the shortest.) */
static void java_double(struct bytes *out, double v)
{
    char digits[32];
    int n = 2, exponent;

    if (v == 0) {
        bytes_printf(out, signbit(v) ? "-0.0" : "0.0");
        return;
    }
    for (; n <= 17; n++) {
        snprintf(digits, sizeof digits, "%.*e", n - 1, fabs(v));
        if (strtod(digits, NULL) == fabs(v)) break;
    }
    n = MIN(n, 17);
    exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    memmove(digits + 1, digits + 2, (size_t)n - 1); /* out with the point */
    while (n > 1 && digits[n - 1] == '0') n--;
    if (v < 0) wr_u8(out, '-');
    if (exponent >= 7 || exponent < -3) {
        bytes_printf(out, "%c.%.*sE%d", digits[0], n > 1 ? n - 1 : 1, n > 1 ? digits + 1 : "0", exponent);
    } else if (exponent < 0) {
        bytes_printf(out, "0.%.*s%.*s", -exponent - 1, "000", n, digits);
    } else {
        int whole = exponent + 1;
        bytes_printf(out, "%.*s%.*s.", MIN(n, whole), digits, MAX(0, whole - n), "0000000");
        bytes_printf(out, "%.*s", n > whole ? n - whole : 1, n > whole ? digits + whole : "0");
    }
}

/* The string that begins at p, its quotes included. */
static size_t json_string_len(const char *p, const char *end)
{
    const char *q = p + 1;

    while (q < end && *q != '"') q += *q == '\\' && q + 1 < end ? 2 : 1;
    return (size_t)(MIN(q + 1, end) - p);
}

static void json_string_java(struct bytes *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '\\' || i + 1 >= n) {
            wr_u8(out, (uint8_t)p[i]);
        } else if (p[i + 1] == 'u' && i + 5 < n) {
            char hex[5] = { p[i + 2], p[i + 3], p[i + 4], p[i + 5], 0 };
            unsigned c = (unsigned)strtoul(hex, NULL, 16);
            if (c == 0xfffd) bytes_put(out, "\xef\xbf\xbd", 3);
            else if (c < 0x20) json_char(out, c);
            else bytes_put(out, p + i, 6);
            i += 5;
        } else {
            bytes_put(out, p + i, 2);
            i++;
        }
    }
}

/* The end of the value that begins at p; of an object or array, just its bracket. */
static const char *json_value_end(const char *p, const char *end)
{
    int depth = 0;

    while (p < end) {
        if (*p == '"') {
            p += json_string_len(p, end);
        } else {
            if (*p == '{' || *p == '[') depth++;
            else if (*p == '}' || *p == ']') depth--;
            p++;
        }
        if (depth <= 0 && (p == end || *p == ',' || *p == '}' || *p == ']')) break;
    }
    return p;
}

void dump_json_order(struct bytes *out, struct slice json, const char *const *names)
{
    const char *end = json.p + json.n;
    bool first = true;

    wr_u8(out, '{');
    for (; *names; names++) {
        for (const char *p = json.p + 1; p < end && *p == '"';) {
            size_t n = json_string_len(p, end);
            const char *next = json_value_end(MIN(p + n + 1, end), end);
            if (slice_eq((struct slice){ p + 1, n - 2 }, slice_of(*names))) {
                if (!first) wr_u8(out, ',');
                bytes_put(out, p, (size_t)(next - p));
                first = false;
                break;
            }
            p = next < end && *next == ',' ? next + 1 : end;
        }
    }
    wr_u8(out, '}');
}

void dump_json_java(struct bytes *out, struct slice json, dump_swap *swap, void *arg)
{
    const char *p = json.p, *end = json.p + json.n;

    while (p < end) {
        if (*p == '"') {
            size_t n = json_string_len(p, end);
            json_string_java(out, p, n);
            struct slice member = { p + 1, n >= 2 ? n - 2 : 0 };
            p += n;
            if (p == end || *p != ':') continue;
            wr_u8(out, (uint8_t)*p++);
            if (swap && swap(arg, member, out)) p = json_value_end(p, end);
        } else if (*p == '-' || (*p >= '0' && *p <= '9')) {
            size_t n = 1;
            while (p + n < end && strchr("+-.eE0123456789", p[n]) && p[n]) n++;
            char number[40];
            if (n < sizeof number && (memchr(p, '.', n) || memchr(p, 'e', n))) {
                memcpy(number, p, n);
                number[n] = 0;
                java_double(out, strtod(number, NULL));
            } else {
                bytes_put(out, p, n);
            }
            p += n;
        } else {
            wr_u8(out, (uint8_t)*p++);
        }
    }
}
