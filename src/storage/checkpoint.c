/* Offset checkpoints: a line reader shared with the epochs, a table sorted for lookup, an atomic writer.
 *
 * As in Kafka a file is taken whole or not at all: one bad line, or another number of lines than announced, and nothing of it
 * counts. */
#include "checkpoint.h"

#include <errno.h>
#include <stdlib.h>

enum { CHECKPOINT_VERSION = 0 };
#define CHECKPOINT_BYTES_MAX ((size_t)1 << 30)

/* ---- lines and fields ------------------------------------------------------------------------------------------------ */

int checkpoint_int(struct slice s, int64_t min, int64_t max, int64_t *out)
{
    size_t i = 0;
    bool negative = s.n > 0 && s.p[0] == '-';
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) i++;
    if (i == s.n) return E_INVALID;
    int64_t v = 0;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return E_INVALID;
        int digit = s.p[i] - '0';
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, negative ? -digit : digit, &v)) return E_INVALID;
    }
    if (v < min || v > max) return E_INVALID;
    *out = v;
    return 0;
}

static bool line_take(struct checkpoint_lines *l, struct slice *line)
{
    if (l->rest.n == 0) return false;
    const char *nl = memchr(l->rest.p, '\n', l->rest.n);
    size_t n = nl ? (size_t)(nl - l->rest.p) : l->rest.n, skip = n + (nl != NULL);
    *line = (struct slice){ l->rest.p, n };
    if (n > 0 && line->p[n - 1] == '\r') line->n--;
    l->rest.p += skip;
    l->rest.n -= skip;
    l->line++;
    return true;
}

static int line_bad(const struct checkpoint_lines *l, struct slice line, struct why *w)
{
    return why(w, E_CORRUPT, "line %lld is \"%.*s\"", (long long)l->line, (int)MIN(line.n, 80), line.p);
}

int checkpoint_lines_begin(struct checkpoint_lines *l, struct slice text, struct why *w)
{
    struct slice line;
    int64_t version;
    *l = (struct checkpoint_lines){ .rest = text, .count = -1 };
    if (!line_take(l, &line)) return 0;
    if (checkpoint_int(line, INT32_MIN, INT32_MAX, &version) < 0) return line_bad(l, line, w);
    if (version != CHECKPOINT_VERSION) return why(w, E_CORRUPT, "version is %lld, known is 0", (long long)version);
    if (!line_take(l, &line)) return 0;
    if (checkpoint_int(line, 0, INT32_MAX, &l->count) < 0) return line_bad(l, line, w);
    return 0;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int checkpoint_lines_next(struct checkpoint_lines *l, struct slice *fields, int want, struct why *w)
{
    struct slice line;
    if (!line_take(l, &line)) {
        int64_t seen = MAX(l->line - 2, 0);
        if (l->count < 0 || seen == l->count) return 0;
        return why(w, E_CORRUPT, "%lld entries announced, %lld found", (long long)l->count, (long long)seen);
    }
    int n = 0;
    size_t at = 0;
    if (line.n && memchr(line.p, 0, line.n)) return line_bad(l, line, w);
    while (at < line.n) {
        size_t end = at;
        while (end < line.n && !is_space(line.p[end])) end++;
        if (n == want || end == at) return line_bad(l, line, w); /* one field too many, or the line begins with a space */
        fields[n++] = (struct slice){ line.p + at, end - at };
        for (at = end; at < line.n && is_space(line.p[at]);) at++;
    }
    return n == want ? 1 : line_bad(l, line, w);
}

/* ---- offsets --------------------------------------------------------------------------------------------------------- */

static int entry_cmp(const struct checkpoint_entry *x, struct slice topic, int32_t partition)
{
    int rc = slice_cmp(x->topic, topic);
    if (rc == 0) rc = x->partition < partition ? -1 : x->partition > partition;
    return rc;
}

/* Equal keys stay in the order of their lines (the topics point into one text, so their addresses tell). */
static int entry_order(const void *a, const void *b)
{
    const struct checkpoint_entry *x = a, *y = b;
    int rc = entry_cmp(x, y->topic, y->partition);
    if (rc == 0) rc = (uintptr_t)x->topic.p < (uintptr_t)y->topic.p ? -1 : (uintptr_t)x->topic.p > (uintptr_t)y->topic.p;
    return rc;
}

int checkpoint_parse(struct slice text, struct arena *a, struct checkpoint_entry **entries, int *n, struct why *w)
{
    struct checkpoint_lines l;
    struct slice field[3];
    *entries = NULL;
    *n = 0;
    int rc = checkpoint_lines_begin(&l, text, w);
    if (rc < 0) return rc;

    text = arena_copy(a, text);
    (void)checkpoint_lines_begin(&l, text, w); /* again, on the copy */
    /* The shortest line has 6 bytes, so that an announced count asks for no more memory than the file justifies. */
    size_t room = l.count < 0 ? 0 : MIN((size_t)l.count, text.n / 6 + 1);
    struct checkpoint_entry *v = arena_array(a, struct checkpoint_entry, MAX(room, 1));
    size_t count = 0;
    while ((rc = checkpoint_lines_next(&l, field, 3, w)) == 1) {
        int64_t partition, offset;
        if (checkpoint_int(field[1], 0, INT32_MAX, &partition) < 0 || checkpoint_int(field[2], INT64_MIN, INT64_MAX, &offset) < 0)
            return why(w, E_CORRUPT, "line %lld has no partition or offset", (long long)l.line);
        if (count == room) return why(w, E_CORRUPT, "%lld entries announced, more found", (long long)l.count);
        v[count++] = (struct checkpoint_entry){ field[0], (int32_t)partition, offset };
    }
    if (rc < 0) return rc;

    qsort(v, count, sizeof(*v), entry_order);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept && entry_cmp(&v[kept - 1], v[i].topic, v[i].partition) == 0) kept--;
        v[kept++] = v[i];
    }
    *entries = v;
    *n = (int)kept;
    return 0;
}

int64_t checkpoint_find(const struct checkpoint_entry *entries, int n, struct slice topic, int32_t partition)
{
    int lo = 0, hi = n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (entry_cmp(&entries[mid], topic, partition) < 0) lo = mid + 1;
        else hi = mid;
    }
    return lo < n && entry_cmp(&entries[lo], topic, partition) == 0 ? entries[lo].offset : -1;
}

static const char *path_of(struct bytes *path, const char *dir, const char *name)
{
    bytes_printf(path, "%s/%s", dir, name);
    return (const char *)path->p;
}

int checkpoint_read(struct fs *fs, const char *dir, const char *name, struct arena *a, struct checkpoint_entry **entries, int *n,
                    struct why *w)
{
    struct bytes path = { 0 }, text = { 0 };
    *entries = NULL;
    *n = 0;
    int rc = fs_read_file(fs, path_of(&path, dir, name), CHECKPOINT_BYTES_MAX, &text);
    if (rc == -EFBIG || rc == -EISDIR) rc = why(w, E_CORRUPT, "not a checkpoint");
    else if (rc < 0 && rc != -ENOENT) rc = why(w, err_of_errno(rc), "%s", err_text(rc));
    else if (rc == 0) rc = checkpoint_parse((struct slice){ (const char *)text.p, text.n }, a, entries, n, w);
    else rc = 0;
    if (rc < 0) {
        *entries = NULL;
        *n = 0;
        why_wrap(w, rc, "%s", (const char *)path.p);
    }
    bytes_free(&text);
    bytes_free(&path);
    return rc;
}

void checkpoint_format(const struct checkpoint_entry *entries, int n, struct bytes *out)
{
    bytes_printf(out, "%d\n%d\n", CHECKPOINT_VERSION, n);
    for (int i = 0; i < n; i++)
        bytes_printf(out, S_FMT " %d %lld\n", S_ARG(entries[i].topic), entries[i].partition, (long long)entries[i].offset);
}

int checkpoint_write(struct fs *fs, const char *dir, const char *name, const struct checkpoint_entry *entries, int n)
{
    struct bytes path = { 0 }, text = { 0 };
    checkpoint_format(entries, n, &text);
    int rc = fs_write_file(fs, path_of(&path, dir, name), (struct slice){ (const char *)text.p, text.n });
    bytes_free(&text);
    bytes_free(&path);
    return err_of_errno(rc);
}
