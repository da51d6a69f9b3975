/* Partition directories: their names and their topic id.
 *
 * A file that Kafka would not take is not taken here either: it would call the directory stray or stop (K6). */
#include "partmeta.h"

#include "checkpoint.h"

#include <errno.h>

#define PARTMETA_BYTES_MAX ((size_t)64 << 10)
enum { UNIQUE_LEN = 32, FILE_NAME_MAX = 255 };

/* ---- partition.metadata ---------------------------------------------------------------------------------------------- */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The value of one "name: value" line, taken off *text. The name is not looked at, as in Kafka. */
static int take_value(struct slice *text, struct slice *value)
{
    const char *nl = text->n ? memchr(text->p, '\n', text->n) : NULL;
    struct slice line = { text->p, nl ? (size_t)(nl - text->p) : text->n };
    text->p += line.n + (nl != NULL);
    text->n -= line.n + (nl != NULL);
    if (line.n && line.p[line.n - 1] == '\r') line.n--;

    *value = (struct slice){ NULL, 0 };
    for (size_t i = 0; i + 1 < line.n; i++) {
        if (line.p[i] != ':' || !is_space(line.p[i + 1])) continue;
        if (value->p) return E_CORRUPT;
        for (i++; i < line.n && is_space(line.p[i]); i++) {}
        *value = (struct slice){ line.p + i, line.n - i };
        i--;
    }
    return value->n ? 0 : E_CORRUPT;
}

int partmeta_parse(struct slice text, struct uuid *topic_id, struct why *w)
{
    struct slice value;
    int64_t version;
    *topic_id = UUID_ZERO;
    if (take_value(&text, &value) < 0 || checkpoint_int(value, INT32_MIN, INT32_MAX, &version) < 0)
        return why(w, E_CORRUPT, "the first line is not \"version: 0\"");
    if (version < 0) return why(w, E_CORRUPT, "version is %lld", (long long)version);
    if (take_value(&text, &value) < 0 || uuid_parse(value, topic_id) < 0)
        return why(w, E_CORRUPT, "the second line is not \"topic_id: …\" with 22 characters of base64");
    if (uuid_is_zero(*topic_id)) return why(w, E_CORRUPT, "topic_id is zero");
    return 0;
}

int partmeta_read(struct fs *fs, const char *dir, struct uuid *topic_id, struct why *w)
{
    struct bytes path = { 0 }, text = { 0 };
    bytes_printf(&path, "%s/" PARTMETA_FILE, dir);
    *topic_id = UUID_ZERO;
    int rc = fs_read_file(fs, (const char *)path.p, PARTMETA_BYTES_MAX, &text);
    if (rc == -EFBIG || rc == -EISDIR) rc = why(w, E_CORRUPT, "not a partition.metadata file");
    else if (rc < 0) rc = why(w, err_of_errno(rc), "%s", err_text(rc));
    else rc = partmeta_parse((struct slice){ (const char *)text.p, text.n }, topic_id, w);
    if (rc < 0) {
        *topic_id = UUID_ZERO;
        why_wrap(w, rc, "%s", (const char *)path.p);
    }
    bytes_free(&text);
    bytes_free(&path);
    return rc;
}

void partmeta_format(struct uuid topic_id, struct bytes *out)
{
    char id[UUID_TEXT];
    uuid_text(topic_id, id);
    bytes_printf(out, "version: 0\ntopic_id: %s", id);
}

int partmeta_write(struct fs *fs, const char *dir, struct uuid topic_id)
{
    struct bytes path = { 0 }, text = { 0 };
    bytes_printf(&path, "%s/" PARTMETA_FILE, dir);
    partmeta_format(topic_id, &text);
    int rc = fs_write_file(fs, (const char *)path.p, (struct slice){ (const char *)text.p, text.n });
    bytes_free(&text);
    bytes_free(&path);
    return err_of_errno(rc);
}

/* ---- names ----------------------------------------------------------------------------------------------------------- */

static const char *const suffixes[] = {
    [PARTNAME_LIVE] = "", [PARTNAME_DELETE] = "-delete", [PARTNAME_STRAY] = "-stray", [PARTNAME_FUTURE] = "-future"
};

static bool topic_chars(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return s.n > 0 && s.n <= TOPIC_NAME_MAX;
}

bool topic_name_valid(struct slice topic) { return topic_chars(topic) && !slice_eq(topic, S(".")) && !slice_eq(topic, S("..")); }

static ssize_t last_index(struct slice s, char c)
{
    const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

static bool ends_with(struct slice s, const char *suffix)
{
    size_t n = strlen(suffix);
    return s.n >= n && memcmp(s.p + s.n - n, suffix, n) == 0;
}

int partname_parse(struct slice name, struct partname *out)
{
    *out = (struct partname){ .kind = PARTNAME_LIVE };
    for (enum partname_kind k = PARTNAME_DELETE; k <= PARTNAME_FUTURE; k++) {
        if (!ends_with(name, suffixes[k])) continue;
        struct slice rest = { name.p, name.n - strlen(suffixes[k]) };
        ssize_t dot = last_index(rest, '.');
        if (dot < 0 || (size_t)dot + 1 == rest.n) return E_INVALID;
        out->kind = k;
        name = (struct slice){ name.p, (size_t)dot };
        break;
    }
    ssize_t dash = last_index(name, '-');
    if (dash < 1) return E_INVALID;
    struct slice number = { name.p + dash + 1, name.n - (size_t)dash - 1 };
    int64_t partition;
    /* Only the one way to write a number, else two directories would be one partition. */
    if (number.n == 0 || number.p[0] < '0' || number.p[0] > '9' || (number.p[0] == '0' && number.n > 1)) return E_INVALID;
    if (checkpoint_int(number, 0, INT32_MAX, &partition) < 0) return E_INVALID;
    out->topic = (struct slice){ name.p, (size_t)dash };
    out->partition = (int32_t)partition;
    bool valid = out->kind == PARTNAME_LIVE ? topic_name_valid(out->topic) : topic_chars(out->topic);
    return valid ? 0 : E_INVALID;
}

int partname_format(char out[PARTNAME_MAX], struct slice topic, int32_t partition)
{
    int n = snprintf(out, PARTNAME_MAX, S_FMT "-%d", S_ARG(topic), partition);
    return n > 0 && n <= FILE_NAME_MAX ? 0 : E_INVALID;
}

void partname_format_kind(char out[PARTNAME_MAX], struct slice topic, int32_t partition, enum partname_kind kind, struct uuid id)
{
    char hex[UNIQUE_LEN + 1], tail[80];
    assert(kind != PARTNAME_LIVE);
    for (size_t i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", id.b[i]);
    int n = snprintf(tail, sizeof(tail), "-%d.%s%s", partition, hex, suffixes[kind]);
    topic.n = MIN(topic.n, (size_t)(FILE_NAME_MAX - n));
    snprintf(out, PARTNAME_MAX, S_FMT "%s", S_ARG(topic), tail);
}
