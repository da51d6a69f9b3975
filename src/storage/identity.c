/* meta.properties and .lock: reading what Kafka's Properties.store wrote or a person edited, agreeing on one identity, writing
 * it back.
 *
 * The file is a Java properties file: comments, escapes and continued lines are understood. Keys that are not ours are
 * ignored, as in Kafka. */
#include "identity.h"

#include "checkpoint.h"

#include <errno.h>
#include <time.h>

#define IDENTITY_FILE      "meta.properties"
#define IDENTITY_LOCK      ".lock"
#define IDENTITY_BYTES_MAX ((size_t)1 << 20)
enum { NODE_ID_DEFAULT = 1, DIRECTORY_IDS_RESERVED = 100 };

/* ---- a Java properties file ------------------------------------------------------------------------------------------ */

struct props {
    const char *at, *end;
    struct bytes key, value;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }

static bool is_eol(char c) { return c == '\n' || c == '\r'; }

static void skip_eol(struct props *p)
{
    char c = *p->at++;
    if (c == '\r' && p->at < p->end && *p->at == '\n') p->at++;
}

static void skip_blanks(struct props *p)
{
    while (p->at < p->end && is_blank(*p->at)) p->at++;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* What a backslash stands for; p->at is behind it and not at the end of a line. Characters beyond Latin-1 become '?'. */
static char unescape(struct props *p)
{
    char c = *p->at++;
    switch (c) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'r': return '\r';
    case 'f': return '\f';
    case 'u': break;
    default: return c;
    }
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int d = p->at < p->end ? hex_digit(*p->at) : -1;
        if (d < 0) return '?';
        v = v * 16 + d;
        p->at++;
    }
    return (char)(v < 256 ? v : '?');
}

/* Reads to the end of the line, or (stop_at_separator) of the key. A backslash at the end of a line continues it. */
static void read_part(struct props *p, bool stop_at_separator, struct bytes *out)
{
    out->n = 0;
    while (p->at < p->end && !is_eol(*p->at)) {
        char c = *p->at;
        if (stop_at_separator && (c == '=' || c == ':' || is_blank(c))) return;
        p->at++;
        if (c == '\\') {
            if (p->at == p->end) return;
            if (is_eol(*p->at)) {
                skip_eol(p);
                skip_blanks(p);
                continue;
            }
            c = unescape(p);
        }
        bytes_put(out, &c, 1);
    }
}

static bool props_next(struct props *p)
{
    for (;;) {
        while (p->at < p->end && (is_blank(*p->at) || is_eol(*p->at))) p->at++;
        if (p->at == p->end) return false;
        if (*p->at != '#' && *p->at != '!') break;
        while (p->at < p->end && !is_eol(*p->at)) p->at++;
    }
    read_part(p, true, &p->key);
    skip_blanks(p);
    if (p->at < p->end && (*p->at == '=' || *p->at == ':')) p->at++;
    skip_blanks(p);
    read_part(p, false, &p->value);
    while (p->value.n && is_blank((char)p->value.p[p->value.n - 1])) p->value.n--;
    return true;
}

/* ---- reading and writing --------------------------------------------------------------------------------------------- */

static bool cluster_id_fits(struct slice s)
{
    if (s.n == 0 || s.n >= IDENTITY_CLUSTER_MAX) return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~') return false;
    return true;
}

static void cluster_id_set(struct identity *id, struct slice s)
{
    memcpy(id->cluster_id, s.p, s.n);
    id->cluster_id[s.n] = 0;
}

static int set_one(struct slice key, struct slice value, struct identity *out, int32_t *broker_id, struct why *w)
{
    int64_t v = -1;
    int rc = 0;
    if (slice_eq(key, S("version"))) {
        rc = checkpoint_int(value, 0, 1, &v);
        out->version = (int)v;
    } else if (slice_eq(key, S("node.id"))) {
        rc = checkpoint_int(value, 0, INT32_MAX, &v);
        out->node_id = (int32_t)v;
    } else if (slice_eq(key, S("broker.id"))) {
        rc = checkpoint_int(value, 0, INT32_MAX, &v);
        *broker_id = (int32_t)v;
    } else if (slice_eq(key, S("directory.id"))) {
        rc = uuid_parse(value, &out->directory_id);
    } else if (slice_eq(key, S("cluster.id"))) {
        rc = cluster_id_fits(value) ? 0 : E_INVALID;
        if (rc == 0) cluster_id_set(out, value);
    }
    if (rc == 0) return 0;
    return why(w, E_CORRUPT, S_FMT " is \"%.*s\"", S_ARG(key), (int)MIN(value.n, 80), value.p);
}

int identity_parse(struct slice text, struct identity *out, struct why *w)
{
    struct props p = { .at = text.p, .end = text.p + text.n };
    int32_t broker_id = -1;
    int rc = 0;
    *out = (struct identity){ .node_id = -1 };
    while (rc == 0 && text.n && props_next(&p)) {
        bytes_room(&p.key, 1); /* so that an empty one is not null */
        bytes_room(&p.value, 1);
        rc = set_one((struct slice){ (const char *)p.key.p, p.key.n }, (struct slice){ (const char *)p.value.p, p.value.n }, out,
                     &broker_id, w);
    }
    bytes_free(&p.key);
    bytes_free(&p.value);
    if (rc < 0) return rc;
    if (out->version == 0) out->node_id = broker_id;
    else if (out->node_id < 0) return why(w, E_CORRUPT, "node.id is missing");
    else if (!out->cluster_id[0]) return why(w, E_CORRUPT, "cluster.id is missing");
    return 0;
}

/* In the order in which Kafka's files have them. */
void identity_format(const struct identity *id, int64_t wall_ms, struct bytes *out)
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    char date[64], uuid[UUID_TEXT];
    gmtime_r(&s, &tm);
    strftime(date, sizeof(date), "%a %b %d %H:%M:%S UTC %Y", &tm);
    bytes_printf(out, "#\n#%s\n", date);
    if (id->node_id >= 0) bytes_printf(out, "%s=%d\n", id->version == 0 ? "broker.id" : "node.id", id->node_id);
    if (!uuid_is_zero(id->directory_id)) {
        uuid_text(id->directory_id, uuid);
        bytes_printf(out, "directory.id=%s\n", uuid);
    }
    bytes_printf(out, "version=%d\n", id->version);
    if (!id->cluster_id[0]) return;
    bytes_printf(out, "cluster.id=");
    for (const char *c = id->cluster_id; *c; c++) bytes_printf(out, "%s%c", strchr("=:#!\\", *c) ? "\\" : "", *c);
    bytes_printf(out, "\n");
}

int identity_read(struct fs *fs, const char *dir, struct identity *out, struct why *w)
{
    struct bytes path = { 0 }, text = { 0 };
    bytes_printf(&path, "%s/" IDENTITY_FILE, dir);
    *out = (struct identity){ .node_id = -1 };
    int rc = fs_read_file(fs, (const char *)path.p, IDENTITY_BYTES_MAX, &text);
    if (rc == -EFBIG || rc == -EISDIR) rc = why(w, E_CORRUPT, "not a properties file");
    else if (rc < 0) rc = why(w, err_of_errno(rc), "%s", err_text(rc));
    else rc = identity_parse((struct slice){ (const char *)text.p, text.n }, out, w);
    if (rc < 0) why_wrap(w, rc, "%s", (const char *)path.p);
    bytes_free(&text);
    bytes_free(&path);
    return rc;
}

int identity_write(struct fs *fs, const char *dir, const struct identity *id, int64_t wall_ms)
{
    struct bytes path = { 0 }, text = { 0 };
    bytes_printf(&path, "%s/" IDENTITY_FILE, dir);
    identity_format(id, wall_ms, &text);
    int rc = fs_write_file(fs, (const char *)path.p, (struct slice){ (const char *)text.p, text.n });
    bytes_free(&text);
    bytes_free(&path);
    return err_of_errno(rc);
}

/* ---- agreement ------------------------------------------------------------------------------------------------------- */

static bool directory_id_reserved(struct uuid id) { return be64(id.b) == 0 && be64(id.b + 8) < DIRECTORY_IDS_RESERVED; }

/* What all agree on so far, and who said it first. */
struct agreed {
    const char *cluster_id, *cluster_from;
    int32_t node_id;
    const char *node_from;
};

static int agree(struct agreed *g, const struct identity_dir *d, struct why *w)
{
    if (d->id.cluster_id[0]) {
        if (!g->cluster_id) {
            g->cluster_id = d->id.cluster_id;
            g->cluster_from = d->path;
        } else if (strcmp(g->cluster_id, d->id.cluster_id) != 0) {
            return why(w, E_INVALID, "%s belongs to cluster %s, but %s says %s: one broker cannot serve two clusters", d->path,
                       d->id.cluster_id, g->cluster_from, g->cluster_id);
        }
    }
    if (d->id.node_id >= 0) {
        if (g->node_id < 0) {
            g->node_id = d->id.node_id;
            g->node_from = d->path;
        } else if (g->node_id != d->id.node_id) {
            return why(w, E_INVALID,
                       "%s belongs to node %d, but %s says %d: set node.id (or broker.id) to the directory's, or leave it out",
                       d->path, d->id.node_id, g->node_from, g->node_id);
        }
    }
    if (!uuid_is_zero(d->id.directory_id) && directory_id_reserved(d->id.directory_id))
        return why(w, E_INVALID, "%s has a reserved directory.id", d->path);
    return 0;
}

int identity_resolve(struct identity_dir *dirs, int n, struct slice cluster_id, int32_t node_id, struct rnd *rnd, struct why *w)
{
    char wanted[IDENTITY_CLUSTER_MAX], fresh[UUID_TEXT];
    struct agreed g = { .node_id = node_id, .node_from = "the configuration", .cluster_from = "the configuration" };
    if (cluster_id.n) {
        if (!cluster_id_fits(cluster_id))
            return why(w, E_INVALID, "cluster id \"%.*s\" is not 1–%d printable characters without spaces",
                       (int)MIN(cluster_id.n, 80), cluster_id.p, IDENTITY_CLUSTER_MAX - 1);
        memcpy(wanted, cluster_id.p, cluster_id.n);
        wanted[cluster_id.n] = 0;
        g.cluster_id = wanted;
    }
    for (int i = 0; i < n; i++) {
        if (!dirs[i].present) continue;
        int rc = agree(&g, &dirs[i], w);
        if (rc < 0) return rc;
        for (int j = 0; j < i; j++)
            if (dirs[j].present && !uuid_is_zero(dirs[i].id.directory_id) &&
                uuid_eq(dirs[i].id.directory_id, dirs[j].id.directory_id))
                return why(w, E_INVALID, "%s and %s have the same directory.id: one is a copy of the other", dirs[j].path,
                           dirs[i].path);
    }

    if (!g.cluster_id) {
        uuid_text(rnd_uuid(rnd), fresh);
        g.cluster_id = fresh;
    }
    if (g.node_id < 0) g.node_id = NODE_ID_DEFAULT;
    struct slice cluster = slice_of(g.cluster_id);
    char agreed[IDENTITY_CLUSTER_MAX]; /* g.cluster_id may point into an entry that is written now */
    memcpy(agreed, cluster.p, cluster.n + 1);
    for (int i = 0; i < n; i++) {
        struct identity *id = &dirs[i].id;
        if (!dirs[i].present) *id = (struct identity){ 0 };
        dirs[i].changed = !dirs[i].present || id->version != 1 || uuid_is_zero(id->directory_id);
        id->version = 1;
        id->node_id = g.node_id;
        cluster_id_set(id, slice_of(agreed));
        if (uuid_is_zero(id->directory_id)) id->directory_id = rnd_uuid(rnd);
    }
    return 0;
}

/* ---- the lock -------------------------------------------------------------------------------------------------------- */

int identity_lock(struct fs *fs, const char *dir, struct why *w)
{
    struct bytes path = { 0 };
    bytes_printf(&path, "%s/" IDENTITY_LOCK, dir);
    int fd = fs->lock(fs, (const char *)path.p);
    if (fd == -EAGAIN || fd == -EACCES)
        fd = why(w, E_LOCKED, "%s is locked by another process: is another broker (Odradek or Apache Kafka) running on %s?",
                 (const char *)path.p, dir);
    else if (fd < 0) fd = why(w, err_of_errno(fd), "cannot lock %s: %s", (const char *)path.p, err_text(fd));
    bytes_free(&path);
    return fd;
}
