/* java.util.Properties syntax. A logical line is a natural line, or several joined where one ends in an odd number of backslashes (the
 * next one's leading blanks are dropped). Comments (# or !) and blank lines end nothing and are never continued. The key ends at the
 * first unescaped '=', ':' or blank; blanks and one '=' or ':' between key and value are dropped; the value's trailing blanks stay. */
#include "conf.h"

struct reader {
    const char *p, *end;
    int line; /* of p */
};

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }

static void skip_eol(struct reader *r)
{
    if (r->p == r->end) return;
    if (*r->p == '\r' && r->p + 1 < r->end && r->p[1] == '\n') r->p++;
    r->p++;
    r->line++;
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && blank(*r->p)) r->p++;
}

/* Joins one logical line into out, escapes untouched. False at the end of the text. */
static bool logical_line(struct reader *r, struct bytes *out, int *line)
{
    out->n = 0;
    for (;;) {
        skip_blanks(r);
        if (r->p == r->end) return false;
        if (*r->p == '#' || *r->p == '!') {
            while (r->p < r->end && *r->p != '\n' && *r->p != '\r') r->p++;
            skip_eol(r);
        } else if (*r->p == '\n' || *r->p == '\r') {
            skip_eol(r);
        } else {
            break;
        }
    }
    *line = r->line;
    for (;;) {
        const char *from = r->p;
        size_t slashes = 0;
        while (r->p < r->end && *r->p != '\n' && *r->p != '\r') slashes = *r->p++ == '\\' ? slashes + 1 : 0;
        bool goes_on = slashes % 2 == 1;
        bytes_put(out, from, (size_t)(r->p - from) - (goes_on ? 1 : 0));
        skip_eol(r);
        if (!goes_on || r->p == r->end) return true;
        skip_blanks(r);
    }
}

static int hex4(const char *p, const char *end, uint32_t *out)
{
    if (end - p < 4) return -1;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return -1;
        *out = *out << 4 | (uint32_t)d;
    }
    return 0;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) return out[0] = (char)c, 1;
    if (c < 0x800) return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 0x3f)), 2;
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Resolves escapes; the result is never longer than the text (\uXXXX: 6 bytes become at most 3, a pair's 12 become 4). A lone
 * surrogate cannot be text and becomes U+FFFD. */
static int unescape(struct slice s, struct arena *a, struct slice *out)
{
    char *to = arena_alloc(a, s.n + 1), *o = to;
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        if (*p != '\\') {
            *o++ = *p++;
            continue;
        }
        if (++p == end) break; /* a lone backslash at the very end is dropped */
        char c = *p++;
        if (c != 'u') {
            *o++ = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
            continue;
        }
        uint32_t u, low;
        if (hex4(p, end, &u) < 0) return E_INVALID;
        p += 4;
        if (u >= 0xd800 && u < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' && hex4(p + 2, end, &low) == 0 &&
            low >= 0xdc00 && low < 0xe000) {
            u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
            p += 6;
        } else if (u >= 0xd800 && u < 0xe000) {
            u = 0xfffd;
        }
        o += put_utf8(o, u);
    }
    *o = '\0';
    *out = (struct slice){ to, (size_t)(o - to) };
    return 0;
}

int properties_parse(struct slice text, struct arena *a, void (*fn)(void *arg, struct slice key, struct slice value, int line),
                     void *arg, int *bad_line)
{
    struct reader r = { text.p, text.p + text.n, 1 };
    struct bytes l = { 0 };
    int line, rc = 0;
    while (logical_line(&r, &l, &line)) {
        const char *p = (const char *)l.p, *end = p + l.n, *at = p;
        while (at < end && *at != '=' && *at != ':' && !blank(*at)) at += *at == '\\' && at + 1 < end ? 2 : 1;
        struct slice key = { p, (size_t)(at - p) }, value;
        while (at < end && blank(*at)) at++;
        if (at < end && (*at == '=' || *at == ':')) at++;
        while (at < end && blank(*at)) at++;
        value = (struct slice){ at, (size_t)(end - at) };
        struct slice k, v;
        if (unescape(key, a, &k) < 0 || unescape(value, a, &v) < 0) {
            *bad_line = line;
            rc = E_INVALID;
            break;
        }
        fn(arg, k, v, line);
    }
    bytes_free(&l);
    return rc;
}
