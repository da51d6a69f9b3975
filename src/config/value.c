/* One value against one row: parse, check, and say in Kafka's words what is wrong. */
#include "conf.h"
#include <errno.h>
#include <stdlib.h>

struct slice slice_trim(struct slice s)
{
    while (s.n && (unsigned char)s.p[0] <= ' ') s.p++, s.n--;
    while (s.n && (unsigned char)s.p[s.n - 1] <= ' ') s.n--;
    return s;
}

bool slice_ieq(struct slice a, struct slice b) { return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0); }

bool slice_starts(struct slice s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

bool slice_ends(struct slice s, const char *suffix)
{
    size_t n = strlen(suffix);
    return s.n >= n && memcmp(s.p + s.n - n, suffix, n) == 0;
}

struct slice slice_cut(struct slice s, size_t from)
{
    assert(from <= s.n);
    return (struct slice){ s.p + from, s.n - from };
}

/* Java's Double.toString: the shortest digits that read back the same, plain between 10^-3 and 10^7, else with E. */
struct slice double_text(double d, struct arena *a)
{
    if (isnan(d)) return S("NaN");
    if (isinf(d)) return d > 0 ? S("Infinity") : S("-Infinity");
    if (d == 0) return signbit(d) ? S("-0.0") : S("0.0");
    char sci[40];
    for (int digits = 0; digits <= 17; digits++) {
        snprintf(sci, sizeof sci, "%.*e", digits, d);
        if (strtod(sci, NULL) == d) break;
    }
    char *e = strchr(sci, 'e');
    int exp = atoi(e + 1); /* NOLINT(cert-err34-c): our own snprintf wrote it */
    *e = '\0';
    char digits[24] = "";
    int n = 0;
    for (const char *p = sci; *p; p++)
        if (*p >= '0' && *p <= '9') digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0') n--;
    const char *sign = d < 0 ? "-" : "";
    if (exp < -3 || exp >= 7)
        return arena_printf(a, "%s%c.%.*sE%d", sign, digits[0], MAX(n - 1, 1), n > 1 ? digits + 1 : "0", exp);
    char out[40];
    int o = 0;
    if (exp < 0) {
        out[o++] = '0', out[o++] = '.';
        for (int i = -1; i > exp; i--) out[o++] = '0';
        for (int i = 0; i < n; i++) out[o++] = digits[i];
    } else {
        for (int i = 0; i <= exp; i++) out[o++] = i < n ? digits[i] : '0';
        out[o++] = '.';
        if (n <= exp + 1) out[o++] = '0';
        for (int i = exp + 1; i < n; i++) out[o++] = digits[i];
    }
    return arena_printf(a, "%s%.*s", sign, o, out);
}

static int parse_i64(struct slice s, int64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;
    bool minus = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) i++;
    if (i == s.n) return -1;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return -1;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v)) return -1;
    }
    if (v > (uint64_t)INT64_MAX + minus) return -1;
    *out = minus ? (int64_t)-v : (int64_t)v;
    return 0;
}

/* What Double.parseDouble takes: also hexadecimal with p, NaN, Infinity, and a d or f behind. */
static int parse_f64(struct slice s, double *out)
{
    char buf[512], *end;
    if (s.n == 0 || s.n >= sizeof buf || memchr(s.p, '\0', s.n)) return -1;
    struct slice mantissa = s.p[0] == '-' || s.p[0] == '+' ? slice_cut(s, 1) : s;
    bool word = slice_is(mantissa, "NaN") || slice_is(mantissa, "Infinity");
    bool hex = mantissa.n > 2 && mantissa.p[0] == '0' && (mantissa.p[1] == 'x' || mantissa.p[1] == 'X');
    if (!word && (mantissa.n == 0 || !(mantissa.p[0] == '.' || (mantissa.p[0] >= '0' && mantissa.p[0] <= '9')))) return -1;
    if (hex && !memchr(s.p, 'p', s.n) && !memchr(s.p, 'P', s.n)) return -1;
    memcpy(buf, s.p, s.n);
    buf[s.n] = '\0';
    *out = strtod(buf, &end);
    if (!word && end != buf && *end && strchr("dDfF", *end)) end++;
    return end == buf + s.n ? 0 : -1;
}

/* Walks "a, b, c". */
static bool set_next(const char **at, struct slice *item)
{
    if (!**at) return false;
    size_t n = strcspn(*at, ",");
    *item = slice_trim((struct slice){ *at, n });
    *at += n + ((*at)[n] == ',');
    return true;
}

static bool in_set(const char *set, struct slice v, bool any_case)
{
    struct slice item;
    while (set_next(&set, &item))
        if (any_case ? slice_ieq(item, v) : slice_eq(item, v)) return true;
    return false;
}

static int wrong(const struct conf_def *d, struct slice v, struct why *why_out, const char *what)
{
    return why(why_out, E_INVALID_CONFIG, "Invalid value " S_FMT " for configuration %s: %s", S_ARG(v), d->name, what);
}

static int check_number(const struct conf_def *d, double n, struct slice shown, struct why *why_out)
{
    char what[96];
    if (d->check == CHECK_GZIP) {
        if ((n >= 1 && n <= 9) || n == -1) return 0;
        return wrong(d, shown, why_out, "Value must be between 1 and 9 or equal to -1");
    }
    if (d->check != CHECK_RANGE) return 0;
    if (n < d->min) {
        snprintf(what, sizeof what, "Value must be at least %.10g", d->min);
        return wrong(d, shown, why_out, what);
    }
    if (n > d->max) {
        snprintf(what, sizeof what, "Value must be no more than %.10g", d->max);
        return wrong(d, shown, why_out, what);
    }
    return 0;
}

static int parse_number(const struct conf_def *d, struct slice raw, struct slice s, struct arena *a, struct conf_value *out,
                        struct why *w)
{
    if (d->type == CONF_TYPE_DOUBLE) {
        if (parse_f64(s, &out->f) < 0) return wrong(d, raw, w, "Not a number of type DOUBLE");
        out->text = double_text(out->f, a);
        return check_number(d, out->f, out->text, w);
    }
    int64_t most = d->type == CONF_TYPE_INT ? INT32_MAX : d->type == CONF_TYPE_SHORT ? INT16_MAX : INT64_MAX;
    const char *what = d->type == CONF_TYPE_INT     ? "Not a number of type INT"
                       : d->type == CONF_TYPE_SHORT ? "Not a number of type SHORT"
                                                    : "Not a number of type LONG";
    if (parse_i64(s, &out->i) < 0 || out->i > most || out->i < -most - 1) return wrong(d, raw, w, what);
    out->f = (double)out->i;
    out->text = arena_printf(a, "%lld", (long long)out->i);
    return check_number(d, out->f, out->text, w);
}

static int offset_reset(const struct conf_def *d, struct slice v, struct why *w);

static int check_text(const struct conf_def *d, struct slice v, struct why *why_out)
{
    char what[256];
    if (d->check == CHECK_NON_EMPTY && v.n == 0) return wrong(d, v, why_out, "String must be non-empty");
    if (d->check == CHECK_OFFSET_RESET) return offset_reset(d, v, why_out);
    if (d->check != CHECK_ONE_OF && d->check != CHECK_ONE_OF_ANY_CASE) return 0;
    bool any_case = d->check == CHECK_ONE_OF_ANY_CASE;
    if (in_set(d->set, v, any_case)) return 0;
    snprintf(what, sizeof what, "String must be one of%s: %s", any_case ? " (case insensitive)" : "", d->set);
    return wrong(d, v, why_out, what);
}

/* "0:1,12:1" or "*". */
static bool throttled(const struct conf_value *v)
{
    if (v->list_n == 1 && slice_is(v->list[0], "*")) return true;
    for (int i = 0; i < v->list_n; i++) {
        struct slice s = v->list[i];
        size_t colon = 0, k = 0;
        while (colon < s.n && s.p[colon] >= '0' && s.p[colon] <= '9') colon++;
        for (k = colon + 1; k < s.n && s.p[k] >= '0' && s.p[k] <= '9';) k++;
        if (colon == 0 || colon >= s.n || s.p[colon] != ':' || k != s.n || k == colon + 1) return false;
    }
    return true;
}

static int parse_list(const struct conf_def *d, struct slice s, struct arena *a, struct conf_value *out, struct why *w)
{
    char what[160];
    bool full = d->check == CHECK_LIST_FULL || d->check == CHECK_LIST_OF_FULL;
    int n = s.n ? 1 : 0;
    for (size_t i = 0; i < s.n; i++) n += s.p[i] == ',';
    out->list = arena_array(a, struct slice, n ? n : 1);
    if (n == 0 && full)
        return why(w, E_INVALID_CONFIG, "Configuration '%s' must not be empty. Valid values include: %s%s%s", d->name,
                   d->set ? "[" : "", d->set ? d->set : "any non-empty value", d->set ? "]" : "");
    struct bytes joined = { 0 };
    int rc = 0;
    for (size_t at = 0; n > 0 && at <= s.n && rc == 0;) {
        const char *comma = memchr(s.p + at, ',', s.n - at);
        size_t to = comma ? (size_t)(comma - s.p) : s.n;
        struct slice item = slice_trim((struct slice){ s.p + at, to - at });
        bool again = false;
        at = to + 1;
        if (item.n == 0 && d->check != CHECK_ANY && d->check != CHECK_THROTTLED) {
            rc = why(w, E_INVALID_CONFIG, "Configuration '%s' values must not be empty.", d->name);
            break;
        }
        for (int i = 0; i < out->list_n && !again; i++) again = slice_eq(out->list[i], item);
        if (again) continue;
        if ((d->check == CHECK_LIST_OF || d->check == CHECK_LIST_OF_FULL) && !in_set(d->set, item, false)) {
            snprintf(what, sizeof what, "String must be one of: %s", d->set);
            rc = wrong(d, item, w, what);
            break;
        }
        if (out->list_n) bytes_put(&joined, ",", 1);
        bytes_put(&joined, item.p, item.n);
        out->list[out->list_n++] = arena_copy(a, item);
    }
    out->text = arena_printf(a, "%.*s", (int)joined.n, joined.n ? (const char *)joined.p : "");
    bytes_free(&joined);
    if (rc == 0 && d->check == CHECK_THROTTLED && !throttled(out))
        rc = why(w, E_INVALID_CONFIG,
                 "Invalid value [" S_FMT
                 "] for configuration %s: %s must be the literal '*' or a list of replicas in the following format: "
                 "[partitionId]:[brokerId],[partitionId]:[brokerId],...",
                 S_ARG(out->text), d->name, d->name);
    return rc;
}

int value_parse(const struct conf_def *d, struct slice raw, struct arena *a, struct conf_value *out, struct why *w)
{
    struct slice s = slice_trim(raw);
    *out = (struct conf_value){ .i = CONF_NULL, .f = NAN };
    if (!raw.p) {
        if (d->check == CHECK_NON_NULL)
            return why(w, E_INVALID_CONFIG, "Invalid value null for configuration %s: entry must be non null", d->name);
        return 0;
    }
    switch ((enum conf_type)d->type) {
    case CONF_TYPE_BOOLEAN:
        out->i = slice_ieq(s, S("true")) ? 1 : 0;
        if (!out->i && !slice_ieq(s, S("false"))) return wrong(d, raw, w, "Expected value to be either true or false");
        out->text = out->i ? S("true") : S("false");
        return 0;
    case CONF_TYPE_INT:
    case CONF_TYPE_SHORT:
    case CONF_TYPE_LONG:
    case CONF_TYPE_DOUBLE: return parse_number(d, raw, s, a, out, w);
    case CONF_TYPE_LIST: return parse_list(d, s, a, out, w);
    case CONF_TYPE_STRING:
    case CONF_TYPE_CLASS:
    case CONF_TYPE_PASSWORD:
    case CONF_TYPE_UNKNOWN: break;
    }
    out->text = arena_printf(a, S_FMT, S_ARG(s));
    return check_text(d, s, w);
}

/* ISO 8601 as Duration.parse takes it, and not negative: PnDTnHnMn.nS with at least one part; letters in any case. */
static bool duration(struct slice s)
{
    static const char units[] = "DHMS";
    size_t i = 0, unit = 0;
    bool time = false, any = false, zero = true, minus = false;
    if (i < s.n && s.p[i] == '-') return false;
    if (i < s.n && s.p[i] == '+') i++;
    if (i >= s.n || (s.p[i] | 32) != 'p') return false;
    for (i++; i < s.n;) {
        if (!time && (s.p[i] | 32) == 't') {
            time = true;
            if (++i == s.n) return false;
            continue;
        }
        if (s.p[i] == '-' || s.p[i] == '+') minus |= s.p[i++] == '-';
        size_t from = i;
        bool dot = false;
        while (i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || (!dot && s.p[i] == '.'))) {
            dot |= s.p[i] == '.';
            zero &= s.p[i] == '0' || s.p[i] == '.';
            i++;
        }
        if (i == from || i == s.n || s.p[from] == '.') return false;
        const char *u = memchr(units + unit, s.p[i] & ~32, sizeof units - 1 - unit);
        if (!u || (*u == 'D') == time || (dot && *u != 'S')) return false;
        unit = (size_t)(u - units) + 1;
        any = true;
        i++;
    }
    return any && (!minus || zero);
}

static int offset_reset(const struct conf_def *d, struct slice v, struct why *w)
{
    if (slice_is(v, "latest") || slice_is(v, "earliest")) return 0;
    if (slice_starts(v, "by_duration:") && duration(slice_cut(v, strlen("by_duration:")))) return 0;
    return why(w, E_INVALID_CONFIG,
               "Invalid value " S_FMT " for configuration %s: Invalid value `" S_FMT
               "` for configuration %s. The value must be either "
               "'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
               S_ARG(v), d->name, S_ARG(v), d->name);
}

int conf_value_check(const struct conf_def *d, struct slice value, struct why *w)
{
    struct arena a;
    struct conf_value v;
    arena_init(&a);
    int rc = value_parse(d, value, &a, &v, w);
    arena_free(&a);
    return rc;
}

static void wanted_number(const struct conf_def *d, struct bytes *out)
{
    const char *kind = d->type == CONF_TYPE_DOUBLE ? "a number" : "a whole number";
    if (d->check == CHECK_GZIP) {
        bytes_printf(out, "%s from 1 to 9, or -1", kind);
    } else if (d->check != CHECK_RANGE) {
        bytes_printf(out, "%s%s", kind,
                     d->type == CONF_TYPE_INT     ? " of 32 bits"
                     : d->type == CONF_TYPE_SHORT ? " of 16 bits"
                     : d->type == CONF_TYPE_LONG  ? " of 64 bits"
                                                  : "");
    } else if (isinf(d->max)) {
        bytes_printf(out, "%s of at least %.15g%s", kind, d->min,
                     d->type == CONF_TYPE_INT     ? " and at most 2147483647"
                     : d->type == CONF_TYPE_SHORT ? " and at most 32767"
                                                  : "");
    } else {
        bytes_printf(out, "%s from %.15g to %.15g", kind, d->min, d->max);
    }
}

void value_wanted(const struct conf_def *d, struct bytes *out)
{
    switch ((enum conf_type)d->type) {
    case CONF_TYPE_BOOLEAN: bytes_printf(out, "true or false"); return;
    case CONF_TYPE_INT:
    case CONF_TYPE_SHORT:
    case CONF_TYPE_LONG:
    case CONF_TYPE_DOUBLE: wanted_number(d, out); return;
    default: break;
    }
    switch ((enum conf_check)d->check) {
    case CHECK_ONE_OF: bytes_printf(out, "one of: %s", d->set); return;
    case CHECK_ONE_OF_ANY_CASE: bytes_printf(out, "one of, in any case: %s", d->set); return;
    case CHECK_LIST:
    case CHECK_LIST_FULL: bytes_printf(out, "values with commas between, none of them empty"); return;
    case CHECK_LIST_OF:
    case CHECK_LIST_OF_FULL: bytes_printf(out, "any of these with commas between: %s", d->set); return;
    case CHECK_NON_EMPTY: bytes_printf(out, "text that is not empty"); return;
    case CHECK_THROTTLED: bytes_printf(out, "* or partition:broker pairs with commas between"); return;
    case CHECK_OFFSET_RESET: bytes_printf(out, "earliest, latest or by_duration:PnDTnHnMn.nS"); return;
    default: bytes_printf(out, d->type == CONF_TYPE_LIST ? "values with commas between" : "text"); return;
    }
}
