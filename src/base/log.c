/* Log lines: built on the stack, written with one write(2), so lines of threads do not mix.
 *
 * A line that would be longer than LINE_MAX_BYTES ends in "…"; a failing stderr loses lines, nothing else. */
#include <odradek/base.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192 };

enum log_level log_threshold = LOG_INFO;

static pthread_mutex_t sink_mu = PTHREAD_MUTEX_INITIALIZER;
static void (*sink)(void *arg, enum log_level level, struct slice line);
static void *sink_arg;

void log_sink(void (*fn)(void *arg, enum log_level level, struct slice line), void *arg)
{
    pthread_mutex_lock(&sink_mu);
    sink = fn;
    sink_arg = arg;
    pthread_mutex_unlock(&sink_mu);
}

struct line {
    char text[LINE_MAX_BYTES];
    size_t n;
    bool cut;
};

static void put(struct line *l, const char *p, size_t n)
{
    size_t room = sizeof(l->text) - 8 - l->n; /* the end: an ellipsis and a newline */
    if (n > room || l->cut) {
        l->cut = true;
        n = MIN(n, room);
    }
    memcpy(l->text + l->n, p, n);
    l->n += n;
}

static void put_text(struct line *l, const char *z) { put(l, z, strlen(z)); }

static bool is_plain(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f) return false;
    }
    return s.n > 0;
}

static void put_value(struct line *l, struct slice s)
{
    if (!s.p) return put_text(l, "null");
    if (is_plain(s)) return put(l, s.p, s.n);
    put_text(l, "\"");
    for (size_t i = 0; i < s.n && !l->cut; i++) {
        unsigned char c = (unsigned char)s.p[i];
        char hex[8];
        if (c == '"' || c == '\\') {
            char two[2] = { '\\', (char)c };
            put(l, two, 2);
        } else if (c == '\n') {
            put_text(l, "\\n");
        } else if (c == '\t') {
            put_text(l, "\\t");
        } else if (c < ' ' || c == 0x7f) {
            snprintf(hex, sizeof(hex), "\\x%02x", c);
            put_text(l, hex);
        } else {
            put(l, (const char *)&s.p[i], 1);
        }
    }
    put_text(l, "\"");
}

void log_line(enum log_level level, const char *module, const char *event, const struct kv *kv, int n)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    static const char *const prefix[] = { "<7>", "<6>", "<4>", "<3>" };
    struct line l;
    char number[64];

    l.n = 0;
    l.cut = false;
    put_text(&l, prefix[level]);
    put_text(&l, names[level]);
    put_text(&l, " ");
    put_text(&l, module);
    put_text(&l, ": ");
    put_text(&l, event);
    for (int i = 0; i < n; i++) {
        put_text(&l, " ");
        put_text(&l, kv[i].key);
        put_text(&l, "=");
        switch (kv[i].type) {
        case KV_TYPE_S: put_value(&l, kv[i].s); break;
        case KV_TYPE_I:
            snprintf(number, sizeof(number), "%lld", (long long)kv[i].i);
            put_text(&l, number);
            break;
        case KV_TYPE_F:
            snprintf(number, sizeof(number), "%.6g", kv[i].f);
            put_text(&l, number);
            break;
        }
    }
    if (l.cut) {
        memcpy(l.text + l.n, "…", strlen("…"));
        l.n += strlen("…");
    }
    l.text[l.n] = '\n';

    pthread_mutex_lock(&sink_mu);
    if (sink) {
        sink(sink_arg, level, (struct slice){ l.text + 3, l.n - 3 });
        pthread_mutex_unlock(&sink_mu);
        return;
    }
    pthread_mutex_unlock(&sink_mu);
    bool journal = getenv("JOURNAL_STREAM") != NULL; // NOLINT(concurrency-mt-unsafe): nobody calls setenv
    size_t skip = journal ? 0 : 3;
    ssize_t rc = write(STDERR_FILENO, l.text + skip, l.n + 1 - skip);
    (void)rc;
}
