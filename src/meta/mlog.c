#include "mlog.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

static const char topic_name[] = "__cluster_metadata", dir_name[] = "__cluster_metadata-0";
static const struct uuid topic_id = { .b = { [15] = 1 } }; /* Kafka's own for this topic */
enum {
    READ_SIZE = 1 << 20,
    BATCH_TARGET = 1 << 20, /* bytes of records after which a snapshot begins the next batch */
    FILE_MAX = 1 << 30,
    SEGMENT_MIN = 8 << 20,
};

static char *path_of(const char *dir, const char *name)
{
    struct bytes b = { 0 };
    bytes_printf(&b, "%s/%s", dir, name);
    bytes_put(&b, "", 1);
    return (char *)b.p;
}

static bool exists(struct fs *fs, const char *path)
{
    struct fs_stat st;
    return fs->stat(fs, path, &st) == 0;
}

/* ---- snapshots: reading ---------------------------------------------------------------------------------------------------------------- */

struct snap {
    int64_t offset;
    int32_t epoch;
    struct slice name;
};

/* "00000000000000000052-0000000002.checkpoint" */
static bool snap_parse(struct slice name, struct snap *s)
{
    enum { OFFSET = 20, EPOCH = 10 };
    static const char suffix[] = ".checkpoint";
    if (name.n != OFFSET + 1 + EPOCH + sizeof suffix - 1 || name.p[OFFSET] != '-') return false;
    if (memcmp(name.p + OFFSET + 1 + EPOCH, suffix, sizeof suffix - 1) != 0) return false;
    uint64_t offset = 0, epoch = 0;
    for (int i = 0; i < OFFSET + 1 + EPOCH; i++) {
        if (i == OFFSET) continue;
        unsigned digit = (unsigned char)name.p[i] - '0';
        if (digit > 9) return false;
        if (i < OFFSET && (__builtin_mul_overflow(offset, 10, &offset) || __builtin_add_overflow(offset, digit, &offset)))
            return false;
        if (i > OFFSET) epoch = epoch * 10 + digit;
    }
    if (offset > INT64_MAX || epoch > INT32_MAX) return false;
    *s = (struct snap){ (int64_t)offset, (int32_t)epoch, name };
    return true;
}

static int snap_cmp(const void *x, const void *y) /* newest first */
{
    const struct snap *a = x, *b = y;
    if (a->offset != b->offset) return a->offset > b->offset ? -1 : 1;
    return a->epoch > b->epoch ? -1 : a->epoch < b->epoch;
}

static int snaps_list(struct mlog *l, struct arena *a, struct snap **out, int *n)
{
    struct slice *names;
    int names_n;
    *n = 0;
    int rc = l->w->fs->list(l->w->fs, l->path, a, &names, &names_n);
    if (rc) return rc;
    *out = arena_array(a, struct snap, names_n + 1);
    for (int i = 0; i < names_n; i++)
        if (snap_parse(names[i], &(*out)[*n])) ++*n;
    if (*n > 1) qsort(*out, (size_t)*n, sizeof **out, snap_cmp);
    return 0;
}

/* Reads a snapshot and makes sure that it is whole: batches verified, header first, footer last. */
static int file_load(struct mlog *l, const char *path, struct bytes *content, struct why *why_)
{
    int rc = fs_read_file(l->w->fs, path, FILE_MAX, content);
    if (rc) return why(why_, err_of_errno(rc), "%s: %s", path, err_text(rc));
    bool header = false, footer = false;
    for (size_t at = 0; at < content->n;) {
        struct batch_head h;
        struct record_iter it;
        struct record rec;
        struct bytes scratch = { 0 };
        int32_t size;
        const uint8_t *p = content->p + at;
        if (batch_size(p, content->n - at, &size) || (size_t)size > content->n - at || batch_verify(p, (size_t)size))
            return why(why_, E_CORRUPT, "%s: bad batch at byte %zu", path, at);
        rc = record_iter_init(&it, p, (size_t)size, &scratch, 0);
        h = it.head;
        if (rc == 0 && batch_is_control(&h) && record_next(&it, &rec) == 1) {
            if (at == 0) header = control_type_of(&rec) == CONTROL_SNAPSHOT_HEADER;
            footer = control_type_of(&rec) == CONTROL_SNAPSHOT_FOOTER;
        } else {
            footer = false;
        }
        record_iter_end(&it);
        bytes_free(&scratch);
        at += (size_t)size;
    }
    return header && footer ? 0 : why(why_, E_CORRUPT, "%s: no whole snapshot", path);
}

static int file_replay(const struct bytes *content, struct replay *r, bool bootstrap, struct why *why_)
{
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < content->n;) {
        int32_t size = 0;
        rc = batch_size(content->p + at, content->n - at, &size);
        if (rc == 0) rc = replay_batch(r, content->p + at, (size_t)size, bootstrap ? 0 : INT64_MIN, true, why_);
        at += (size_t)size;
    }
    return rc;
}

/* ---- quorum-state ---------------------------------------------------------------------------------------------------------------------- */

/* The epoch it holds, or -1; E_UNSUPPORTED when it names other voters than us. */
static int quorum_read(struct mlog *l, int32_t *epoch, struct why *why_)
{
    struct bytes b = { 0 };
    char *path = path_of(l->path, "quorum-state");
    int rc = fs_read_file(l->w->fs, path, 1 << 20, &b);
    json_error_t je;
    json_t *js = rc == 0 ? json_loadb((const char *)b.p, b.n, 0, &je) : NULL;
    *epoch = -1;
    if (rc && rc != -ENOENT) rc = why(why_, err_of_errno(rc), "%s: %s", path, err_text(rc));
    else if (rc == 0 && !js)
        log_warn("meta", "quorum-state is unreadable: the log tells the epoch", KV_STR("path", path), KV_STR("at", je.text));
    if (rc == -ENOENT) rc = 0;
    if (js) {
        json_t *e = json_object_get(js, "leaderEpoch"), *voters = json_object_get(js, "currentVoters"), *v;
        size_t i;
        if (json_is_integer(e) && json_integer_value(e) >= 0 && json_integer_value(e) < INT32_MAX)
            *epoch = (int32_t)json_integer_value(e);
        json_array_foreach(voters, i, v)
        {
            json_int_t id = json_integer_value(json_object_get(v, "voterId"));
            if (id != l->node_id)
                rc = why(why_, E_UNSUPPORTED,
                         "%s: controller %" JSON_INTEGER_FORMAT
                         " belongs to this cluster too: only a single-node cluster can be taken over",
                         path, id);
        }
        json_decref(js);
    }
    bytes_free(&b);
    mem_free(path);
    return rc;
}

static int quorum_write(struct mlog *l, int32_t epoch)
{
    struct bytes b = { 0 };
    char *path = path_of(l->path, "quorum-state");
    if (l->kraft_version > 0)
        bytes_printf(&b,
                     "{\"leaderId\":%d,\"leaderEpoch\":%d,\"votedId\":-1,\"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_"
                     "version\":1}",
                     l->node_id, epoch);
    else
        bytes_printf(&b,
                     "{\"clusterId\":\"\",\"leaderId\":%d,\"leaderEpoch\":%d,\"votedId\":-1,\"appliedOffset\":0,"
                     "\"currentVoters\":[{\"voterId\":%d}],\"data_version\":0}",
                     l->node_id, epoch, l->node_id);
    int rc = fs_write_file(l->w->fs, path, (struct slice){ (const char *)b.p, b.n });
    bytes_free(&b);
    mem_free(path);
    return rc;
}

/* ---- batches ------------------------------------------------------------------------------------------------------------------------------ */

static int64_t now_ms(const struct mlog *l) { return l->w->clock->wall_ms(l->w->clock); }

static void batch_of(const struct slice *records, int n, int64_t base, int32_t epoch, int64_t at_ms, struct bytes *out)
{
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder b;
    o.base_offset = base;
    o.leader_epoch = epoch;
    batch_begin(&b, &o, out);
    for (int i = 0; i < n; i++) batch_append(&b, at_ms, (struct slice){ 0 }, records[i], NULL, 0);
    int rc = batch_end(&b);
    assert(rc >= 0);
}

void mlog_batch(struct mlog *l, const struct slice *records, int n, int64_t base, struct bytes *out)
{
    batch_of(records, n, base, l->epoch, now_ms(l), out);
}

static void control_begin(struct batch_builder *b, int64_t base, int32_t epoch, struct bytes *out)
{
    struct batch_opts o = BATCH_OPTS;
    o.base_offset = base;
    o.leader_epoch = epoch;
    o.control = true;
    batch_begin(b, &o, out);
}

static void control_voters(struct mlog *l, struct batch_builder *b, int64_t at_ms)
{
    struct k_raft_version_record v = dflt_k_raft_version_record;
    uint8_t key[CONTROL_KEY];
    v.k_raft_version = l->kraft_version;
    control_append(b, at_ms, CONTROL_KRAFT_VERSION, &msg_k_raft_version_record, &v);
    control_key(key, CONTROL_KRAFT_VOTERS);
    batch_append(b, at_ms, (struct slice){ (const char *)key, sizeof key },
                 (struct slice){ (const char *)l->voters.p, l->voters.n }, NULL, 0);
}

/* SnapshotHeader and, where asked, the two records of K2: one control batch. */
static int64_t snapshot_head(struct mlog *l, int64_t time_ms, int32_t epoch, bool voters, struct bytes *out)
{
    struct batch_builder b;
    struct snapshot_header_record h = dflt_snapshot_header_record;
    int64_t at_ms = now_ms(l); /* one time for a batch: Kafka refuses raft batches with timestamp deltas */
    h.last_contained_log_timestamp = time_ms;
    control_begin(&b, 0, epoch, out);
    control_append(&b, at_ms, CONTROL_SNAPSHOT_HEADER, &msg_snapshot_header_record, &h);
    if (voters) control_voters(l, &b, at_ms);
    int rc = batch_end(&b);
    assert(rc >= 0);
    return voters ? 3 : 1;
}

static void snapshot_foot(struct mlog *l, int64_t base, int32_t epoch, struct bytes *out)
{
    struct batch_builder b;
    struct snapshot_footer_record f = dflt_snapshot_footer_record;
    control_begin(&b, base, epoch, out);
    control_append(&b, now_ms(l), CONTROL_SNAPSHOT_FOOTER, &msg_snapshot_footer_record, &f);
    int rc = batch_end(&b);
    assert(rc >= 0);
}

/* ---- a new directory (K2) -------------------------------------------------------------------------------------------------------------------- */

/* The endpoint of our one voter: the CONTROLLER listener the configuration speaks of, else Kafka's example. Kafka goes by its own
 * configuration and corrects the record when they differ. */
static void voter_endpoint(const struct conf *conf, struct arena *a, struct slice *name, struct slice *host, uint16_t *port)
{
    int n = 0;
    const struct slice *names = conf_list(conf, CONF_CONTROLLER_LISTENER_NAMES, &n);
    *name = n > 0 ? names[0] : S("CONTROLLER");
    *host = S("localhost");
    *port = 9093;
    const struct slice *servers = conf_list(conf, CONF_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS, &n);
    if (n == 0) servers = conf_list(conf, CONF_CONTROLLER_QUORUM_VOTERS, &n);
    if (n == 0) return;
    struct slice s = servers[0]; /* [id@]host:port */
    const char *at = memchr(s.p, '@', s.n);
    if (at) s = (struct slice){ at + 1, s.n - (size_t)(at + 1 - s.p) };
    const char *colon = memrchr(s.p, ':', s.n);
    long p = 0;
    for (const char *c = colon ? colon + 1 : s.p + s.n; c < s.p + s.n; c++)
        p = *c >= '0' && *c <= '9' && p <= UINT16_MAX ? p * 10 + (*c - '0') : -1;
    if (!colon || colon == s.p || p <= 0 || p > UINT16_MAX) return;
    *port = (uint16_t)p;
    *host = arena_copy(a, (struct slice){ s.p, (size_t)(colon - s.p) });
}

static void voters_make(struct mlog *l)
{
    struct arena a;
    arena_init(&a);
    struct voters_record v = dflt_voters_record;
    v.voters = wire_new(&a, voters_record_voter);
    v.voters_n = 1;
    v.voters->voter_id = l->node_id;
    v.voters->voter_directory_id = l->dir_id;
    v.voters->k_raft_version_feature.max_supported_version = 1;
    struct voters_record_endpoint *e = v.voters->endpoints = wire_new(&a, voters_record_endpoint);
    v.voters->endpoints_n = 1;
    voter_endpoint(l->conf, &a, &e->name, &e->host, &e->port);
    struct wire_out o = { .b = l->voters };
    o.b.n = 0;
    int rc = wire_encode(&msg_voters_record, 0, &v, &o);
    assert(rc == 0);
    l->voters = o.b;
    l->voters_bootstrap = true;
    arena_free(&a);
}

/* Who votes in this quorum? Only we, or the directory is not ours to lead. */
static int voters_check(const struct mlog *l, struct why *why_)
{
    if (!l->voters.n) return 0;
    struct arena a;
    struct voters_record v;
    arena_init(&a);
    int rc = wire_decode(&msg_voters_record, 0, (struct slice){ (const char *)l->voters.p, l->voters.n }, &a, &v, NULL);
    for (int i = 0; rc == 0 && i < v.voters_n; i++)
        if (v.voters[i].voter_id != l->node_id)
            rc = why(why_, E_UNSUPPORTED,
                     "controller %d belongs to this cluster too: only a single-node cluster can be taken over",
                     v.voters[i].voter_id);
    arena_free(&a);
    return rc;
}

static const struct {
    const char *name;
    int16_t level;
} features_new[] = {
    { "metadata.version", LEVEL_OURS },
    { "eligible.leader.replicas.version", 1 },
    { "group.version", 1 },
    { "share.version", 1 },
    { "streams.version", 1 },
    { "transaction.version", 2 },
};

/* The records of a loaded snapshot file, without control records. */
static int file_records(const struct bytes *content, struct arena *a, struct slice **out, int *n)
{
    int rc = 0, cap = 0;
    struct bytes scratch = { 0 };
    for (size_t at = 0; rc == 0 && at < content->n;) {
        int32_t size = 0;
        struct record_iter it;
        struct record rec;
        rc = batch_size(content->p + at, content->n - at, &size);
        if (rc) break;
        rc = record_iter_init(&it, content->p + at, (size_t)size, &scratch, 0);
        while (rc == 0 && !batch_is_control(&it.head)) {
            int more = record_next(&it, &rec);
            if (more <= 0) {
                rc = more;
                break;
            }
            if (*n == cap) {
                struct slice *v = arena_array(a, struct slice, cap = MAX(16, cap * 2));
                if (*n) memcpy(v, *out, sizeof *v * (size_t)*n);
                *out = v;
            }
            (*out)[(*n)++] = arena_copy(a, rec.value);
        }
        record_iter_end(&it);
        at += (size_t)size;
    }
    bytes_free(&scratch);
    return rc;
}

static void features_make(struct arena *a, struct slice *out)
{
    for (size_t i = 0; i < ARRAY_LEN(features_new); i++) {
        struct feature_level_record f = dflt_feature_level_record;
        f.name = slice_of(features_new[i].name);
        f.feature_level = features_new[i].level;
        out[i] = mrec_make(a, &msg_feature_level_record, 0, &f);
    }
}

int mlog_bootstrap(struct mlog *l, struct arena *a, struct slice **records, int *n, struct why *why_)
{
    struct bytes content = { 0 };
    char *path = path_of(l->root, "bootstrap.checkpoint");
    int rc = 0;
    *records = NULL;
    *n = 0;
    if (exists(l->w->fs, path)) {
        rc = file_load(l, path, &content, why_);
        if (rc == 0) rc = file_records(&content, a, records, n);
        if (rc) why_wrap(why_, rc, "%s", path);
    }
    if (rc == 0 && *n == 0) {
        *n = ARRAY_LEN(features_new);
        *records = arena_array(a, struct slice, *n);
        features_make(a, *records);
    }
    bytes_free(&content);
    mem_free(path);
    return rc;
}

/* metadata.version among records; 0 when none says. */
static int16_t level_of(const struct slice *records, int n)
{
    struct arena a;
    int16_t level = 0;
    arena_init(&a);
    for (int i = 0; i < n; i++) {
        struct mrec m;
        struct feature_level_record f;
        if (mrec_parse(records[i], &m) || m.key != FEATURE_LEVEL_RECORD) continue;
        if (mrec_decode(&m, &msg_feature_level_record, &a, &f, NULL)) continue;
        if (slice_eq(f.name, S("metadata.version"))) level = f.feature_level;
    }
    arena_free(&a);
    return level;
}

static int file_put(struct mlog *l, const char *path, const struct bytes *content, struct why *why_)
{
    int rc = fs_write_file(l->w->fs, path, (struct slice){ (const char *)content->p, content->n });
    return rc ? why(why_, err_of_errno(rc), "%s: %s", path, err_text(rc)) : 0;
}

/* Makes what `kafka-storage format --standalone` makes (K2). The snapshot comes last: with it the directory counts as formatted. */
static int format(struct mlog *l, struct why *why_)
{
    struct arena a;
    struct bytes content = { 0 };
    struct slice *records;
    struct fs *fs = l->w->fs;
    char *boot = path_of(l->root, "bootstrap.checkpoint"), *snap = path_of(l->path, "00000000000000000000-0000000000.checkpoint");
    int n, rc = 0;
    arena_init(&a);
    if (!exists(fs, l->path)) rc = fs->mkdir(fs, l->path);
    if (rc == 0) rc = fs->sync_dir(fs, l->root);
    if (rc) rc = why(why_, err_of_errno(rc), "%s: %s", l->path, err_text(rc));
    if (rc == 0) rc = mlog_bootstrap(l, &a, &records, &n, why_);
    if (rc == 0 && !exists(fs, boot)) {
        int64_t at = snapshot_head(l, now_ms(l), 0, false, &content);
        batch_of(records, n, at, 0, now_ms(l), &content);
        snapshot_foot(l, at + n, 0, &content);
        rc = file_put(l, boot, &content, why_);
    }
    if (rc == 0 && level_of(records, n) >= LEVEL_VOTERS) {
        l->kraft_version = 1;
        voters_make(l);
        content.n = 0;
        int64_t at = snapshot_head(l, now_ms(l), 0, true, &content);
        snapshot_foot(l, at, 0, &content);
        rc = file_put(l, snap, &content, why_);
    }
    bytes_free(&content);
    mem_free(boot);
    mem_free(snap);
    arena_free(&a);
    return rc;
}

/* ---- opening -------------------------------------------------------------------------------------------------------------------------------- */

static int locate(struct mlog *l, struct why *why_)
{
    bool named = conf_is_set(l->conf, CONF_METADATA_LOG_DIR);
    struct slice want = conf_metadata_dir(l->conf);
    int found = -1, first = -1, offline = -1;
    for (int i = 0; i < logs_dirs(l->logs); i++) {
        struct log_dir_info info;
        struct bytes b = { 0 };
        logs_dir_info(l->logs, i, &info);
        bytes_printf(&b, S_FMT "/%s", S_ARG(info.path), dir_name);
        struct fs_stat st;
        int rc = info.offline ? -ENOENT : l->w->fs->stat(l->w->fs, (const char *)b.p, &st);
        bool here = rc == 0, same = slice_eq(info.path, want);
        if (!same && want.n && want.n < info.path.n && want.p[0] != '/') /* it may have been written relative */
            same =
                memcmp(info.path.p + info.path.n - want.n, want.p, want.n) == 0 && info.path.p[info.path.n - want.n - 1] == '/';
        bytes_free(&b);
        if (rc < 0 && rc != -ENOENT)
            return why(why_, err_of_errno(rc), S_FMT "/%s: %s", S_ARG(info.path), dir_name, err_text(rc));
        if (named && !same) continue;
        if (info.offline) {
            offline = i;
            continue;
        }
        if (first < 0) first = i;
        if (here && found >= 0)
            return why(why_, E_INVALID, S_FMT ": a second %s, and metadata.log.dir does not say which counts", S_ARG(info.path),
                       dir_name);
        if (here) found = i;
    }
    struct log_dir_info info;
    if (found < 0 && offline >= 0) { /* never a second one: topics would be forgotten, and their names given away */
        logs_dir_info(l->logs, offline, &info);
        return why(why_, E_OFFLINE, S_FMT ": offline, and the metadata log is %s there", S_ARG(info.path),
                   named ? "kept" : "perhaps");
    }
    if (first < 0) return why(why_, E_INVALID_CONFIG, "metadata.log.dir=" S_FMT " is none of log.dirs", S_ARG(want));
    l->dir = found >= 0 ? found : first;
    logs_dir_info(l->logs, l->dir, &info);
    l->dir_id = info.id;
    l->root = mem_strdup(info.path);
    l->path = path_of(l->root, dir_name);
    return 0;
}

/* Has anybody formatted or used this directory? */
static int formatted(struct mlog *l, bool *yes, struct why *why_)
{
    struct arena a;
    struct slice *names;
    struct snap s;
    int n;
    *yes = false;
    arena_init(&a);
    int rc = l->w->fs->list(l->w->fs, l->path, &a, &names, &n);
    if (rc == -ENOENT) n = rc = 0;
    for (int i = 0; rc == 0 && i < n; i++) {
        struct fs_stat st = { 0 };
        char *path = path_of(l->path, names[i].p);
        bool log = names[i].n > 4 && memcmp(names[i].p + names[i].n - 4, ".log", 4) == 0;
        if (log) rc = l->w->fs->stat(l->w->fs, path, &st);
        if (log && rc == 0 && st.size > 0) *yes = true;
        if (snap_parse(names[i], &s) || slice_eq(names[i], S("quorum-state"))) *yes = true;
        mem_free(path);
    }
    arena_free(&a);
    return rc ? why(why_, err_of_errno(rc), "%s: %s", l->path, err_text(rc)) : 0;
}

/* Synced at each append, never deleted by time or size: snapshots decide. Segments are small enough to go when a snapshot covers them. */
static void log_conf(const struct mlog *l, struct topic_conf *out)
{
    char segment[24], ms[24], delay[24];
    int64_t bytes = MIN(conf_i64(l->conf, CONF_METADATA_LOG_SEGMENT_BYTES),
                        MAX(conf_i64(l->conf, CONF_METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS), (int64_t)SEGMENT_MIN));
    snprintf(segment, sizeof segment, "%" PRId64, bytes);
    snprintf(ms, sizeof ms, "%" PRId64, conf_i64(l->conf, CONF_METADATA_LOG_SEGMENT_MS));
    snprintf(delay, sizeof delay, "%d", 60000);
    const struct conf_kv kv[] = {
        { S("cleanup.policy"), S("delete") },
        { S("retention.ms"), S("-1") },
        { S("retention.bytes"), S("-1") },
        { S("segment.bytes"), slice_of(segment) },
        { S("segment.ms"), slice_of(ms) },
        { S("flush.messages"), S("1") },
        { S("max.message.bytes"), S("1073741824") },
        { S("compression.type"), S("producer") },
        { S("file.delete.delay.ms"), slice_of(delay) },
        { S("message.timestamp.type"), S("CreateTime") },
    };
    topic_conf_resolve(l->conf, kv, ARRAY_LEN(kv), out);
}

/* Partitions of a KRaft node have a metadata log somewhere. A second one would give their topics new ids, without settings, groups, ACLs. */
static int metadata_elsewhere(struct mlog *l, struct why *why_)
{
    struct arena a;
    struct log_found *found;
    int n;
    arena_init(&a);
    int rc = logs_scan(l->logs, false, &a, &found, &n, why_);
    for (int i = 0; rc == 0 && i < n; i++) {
        struct log_dir_info info;
        logs_dir_info(l->logs, found[i].dir, &info);
        if (info.old) continue;
        rc = why(why_, E_INVALID,
                 S_FMT " is a KRaft node's and holds partitions (" S_FMT
                       "-%d), but the metadata log, %s, is in none of log.dirs: name all of "
                       "that node's log directories",
                 S_ARG(info.path), S_ARG(found[i].topic), found[i].partition, dir_name);
    }
    arena_free(&a);
    return rc;
}

int mlog_open(struct mlog *l, struct world *w, struct logs *logs, const struct conf *conf, struct why *why_)
{
    bool ready = false;
    *l = (struct mlog){ .w = w, .logs = logs, .conf = conf, .node_id = logs_node_id(logs), .last_epoch = -1, .last_time_ms = -1 };
    int rc = locate(l, why_);
    if (rc == 0) rc = formatted(l, &ready, why_);
    if (rc == 0 && !ready) rc = metadata_elsewhere(l, why_);
    if (rc == 0 && !ready) rc = format(l, why_);
    if (rc == 0) {
        struct topic_conf tc;
        log_conf(l, &tc);
        struct plog_spec spec = { .topic = slice_of(topic_name),
                                  .topic_id = topic_id,
                                  .dir = l->dir,
                                  .leader_epoch = -1,
                                  .must_exist = true,
                                  .conf = &tc };
        rc = logs_partition(logs, &spec, &l->log, why_);
    }
    if (rc) mlog_close(l);
    return rc;
}

void mlog_close(struct mlog *l)
{
    if (l->log) plog_unref(&l->log);
    bytes_free(&l->voters);
    bytes_free(&l->lead);
    mem_free(l->root);
    mem_free(l->path);
    l->root = l->path = NULL;
}

/* ---- replay ------------------------------------------------------------------------------------------------------------------------------------ */

static int log_replay(struct mlog *l, struct replay *r, int64_t from, int64_t end, struct why *why_)
{
    struct plog_cursor cursor = { 0 };
    uint8_t *buf = mem_alloc(READ_SIZE);
    size_t cap = READ_SIZE;
    int rc = 0;
    for (int64_t at = from; rc == 0 && at < end;) {
        struct plog_read pr = { .offset = at, .max_bytes = READ_SIZE, .whole_first = true, .upto = READ_END };
        rc = plog_read(l->log, &pr, &cursor);
        if (rc) {
            why(why_, rc, "reading at offset %" PRId64 ": %s", at, err_text(rc));
            break;
        }
        size_t n = pr.range.n;
        if (n > cap) {
            mem_free(buf);
            buf = mem_alloc(cap = n);
        }
        if (n) rc = range_copy(&pr.range, 0, buf, (uint32_t)n);
        range_release(&pr.range);
        if (rc) {
            why(why_, rc, "reading at offset %" PRId64 ": %s", at, err_text(rc));
            break;
        }
        int64_t was = at;
        for (size_t p = 0; p < n;) {
            struct batch_head h;
            if (batch_parse_head(buf + p, n - p, &h) || (size_t)h.size > n - p) break; /* the rest comes with the next read */
            if (batch_verify(buf + p, (size_t)h.size)) {
                rc = why(why_, E_CORRUPT, "bad batch at offset %" PRId64, h.base_offset);
                break;
            }
            rc = replay_batch(r, buf + p, (size_t)h.size, from, false, why_);
            if (rc) break;
            l->last_epoch = MAX(l->last_epoch, h.leader_epoch);
            l->since_snapshot += h.size;
            p += (size_t)h.size;
            at = batch_last_offset(&h) + 1;
        }
        if (rc == 0 && at == was) rc = why(why_, E_CORRUPT, "no whole batch at offset %" PRId64, at);
    }
    mem_free(buf);
    return rc;
}

int mlog_replay(struct mlog *l, struct replay *r, struct why *why_)
{
    struct arena a;
    struct snap *snaps;
    struct plog_offsets at;
    struct bytes content = { 0 };
    int n, quorum = -1, used = -1;
    int64_t from = 0;
    arena_init(&a);
    plog_offsets(l->log, &at);
    int rc = snaps_list(l, &a, &snaps, &n);
    if (rc) rc = why(why_, err_of_errno(rc), "%s: %s", l->path, err_text(rc));
    for (int i = 0; rc == 0 && i < n && used < 0; i++) {
        struct why w = { "" };
        char *path = path_of(l->path, snaps[i].name.p);
        content.n = 0;
        if (file_load(l, path, &content, &w) == 0) used = i;
        else log_warn("meta", "snapshot skipped", KV_STR("reason", w.text));
        mem_free(path);
    }
    if (rc == 0 && used >= 0) {
        from = snaps[used].offset;
        l->last_epoch = MAX(l->last_epoch, snaps[used].epoch);
        rc = file_replay(&content, r, from == 0, why_);
        if (rc) why_wrap(why_, rc, "snapshot %s", snaps[used].name.p);
    }
    if (rc == 0 && at.start > from)
        rc = why(why_, E_CORRUPT, "%s: the log begins at offset %" PRId64 ", and no whole snapshot reaches that far", l->path,
                 at.start);
    if (rc == 0 && at.end < from)
        rc = why(why_, E_CORRUPT, "%s: the log ends at offset %" PRId64 ", before the snapshot at %" PRId64, l->path, at.end,
                 from);
    if (rc == 0) {
        rc = log_replay(l, r, from, at.end, why_);
        if (rc) why_wrap(why_, rc, "metadata log");
    }
    if (rc == 0) {
        l->kraft_version = r->kraft_version;
        l->voters.n = 0;
        bytes_put(&l->voters, r->voters.p, r->voters.n);
        l->voters_bootstrap = r->voters_bootstrap;
        l->last_time_ms = r->last_time_ms;
        l->snapshot_offset = from;
        l->snapshot_tried_ms = now_ms(l);
        atomic_store(&l->end, at.end);
        rc = voters_check(l, why_);
    }
    if (rc == 0) rc = quorum_read(l, &quorum, why_);
    l->found_epoch = quorum;
    l->log_epoch = l->last_epoch;
    l->last_epoch = MAX(l->last_epoch, quorum);
    bytes_free(&content);
    arena_free(&a);
    return rc;
}

/* ---- leading, appending -------------------------------------------------------------------------------------------------------------------------- */

int mlog_append(struct mlog *l, struct bytes *batches, int32_t records)
{
    size_t lead = l->lead.n;
    if (lead > 0) {
        bytes_put(&l->lead, batches->p, batches->n);
        records += l->lead_records;
        batches = &l->lead;
    }
    struct append a = { .log = l->log, .bytes = batches->p, .n = batches->n, .records = records, .origin = APPEND_COORDINATOR };
    int rc = plog_append_now(l->log, &a);
    if (rc) {
        l->lead.n = lead; /* for the next ones */
        return rc;
    }
    assert(a.first + l->lead_records == atomic_load(&l->end)); /* nobody else appends */
    atomic_store(&l->end, a.last + 1);
    l->since_snapshot += (int64_t)batches->n;
    bytes_free(&l->lead);
    l->lead_records = 0;
    l->last_time_ms = now_ms(l);
    return 0;
}

int mlog_lead(struct mlog *l, struct why *why_)
{
    int32_t epoch = MAX(l->last_epoch, 0) + 1;
    int rc = quorum_write(l, epoch);
    if (rc) return why(why_, err_of_errno(rc), "%s/quorum-state: %s", l->path, err_text(rc));
    l->epoch = l->last_epoch = epoch;
    rc = logs_lead(l->logs, epoch, why_); /* J14: before anything is written under it; from here on a journal may be made */
    if (rc) return rc;
    plog_set_leader_epoch(l->log, epoch);

    struct batch_builder b;
    struct leader_change_message_voter voter = dflt_leader_change_message_voter;
    struct leader_change_message m = dflt_leader_change_message;
    voter.voter_id = m.leader_id = l->node_id;
    m.voters = m.granting_voters = &voter;
    m.voters_n = m.granting_voters_n = 1;
    int64_t at_ms = now_ms(l); /* one time for a batch, as in snapshot_head */
    assert(l->lead.n == 0);
    control_begin(&b, atomic_load(&l->end), epoch, &l->lead);
    control_append(&b, at_ms, CONTROL_LEADER_CHANGE, &msg_leader_change_message, &m);
    int32_t records = 1;
    if (l->kraft_version > 0 &&
        (l->voters_bootstrap || !l->voters.n)) { /* others cannot read the bootstrap snapshot: once in the log */
        if (!l->voters.n) voters_make(l);
        control_voters(l, &b, at_ms);
        records += 2;
    }
    rc = batch_end(&b);
    assert(rc >= 0);
    atomic_store(&l->end, atomic_load(&l->end) + records);
    l->lead_records = records;
    l->voters_bootstrap = false;
    return 0;
}

/* ---- snapshots: writing ------------------------------------------------------------------------------------------------------------------------ */

struct snap_writer {
    struct mlog *l;
    struct bytes *out;
    struct batch_builder b;
    bool open;
    int64_t next;
    int32_t epoch;
    int64_t at_ms;
};

static void snap_flush(struct snap_writer *w)
{
    if (!w->open) return;
    int rc = batch_end(&w->b);
    assert(rc >= 0);
    w->open = false;
}

static void snap_put(void *arg, struct slice value)
{
    struct snap_writer *w = arg;
    if (w->open && batch_bytes(&w->b) >= BATCH_TARGET) snap_flush(w);
    if (!w->open) {
        struct batch_opts o = BATCH_OPTS;
        o.base_offset = w->next;
        o.leader_epoch = w->epoch;
        batch_begin(&w->b, &o, w->out);
        w->open = true;
    }
    batch_append(&w->b, w->at_ms, (struct slice){ 0 }, value, NULL, 0);
    w->next++;
}

static void snap_msg(struct snap_writer *w, struct bytes *tmp, const struct wire_msg *type, int16_t version, const void *body)
{
    tmp->n = 0;
    mrec_put(tmp, type, version, body);
    snap_put(w, (struct slice){ (const char *)tmp->p, tmp->n });
}

static void snap_configs(struct snap_writer *w, struct bytes *tmp, int8_t type, struct slice name, const struct image_config *v,
                         int n)
{
    for (int i = 0; i < n; i++) {
        struct config_record c = dflt_config_record;
        c.resource_type = type;
        c.resource_name = name;
        c.name = v[i].name;
        c.value = v[i].value;
        snap_msg(w, tmp, &msg_config_record, 0, &c);
    }
}

/* In the order of Kafka's own snapshots; metadata.version is the first record of all. */
static void snap_image(struct snap_writer *w, const struct image *im, const struct kept *k)
{
    struct bytes tmp = { 0 };
    struct arena a;
    int16_t version = partition_record_version(image_level(im));
    arena_init(&a);
    for (int first = 1; first >= 0; first--) {
        for (int i = 0; i < im->features_n; i++) {
            struct feature_level_record f = dflt_feature_level_record;
            if (slice_eq(im->features[i].name, S("metadata.version")) != (first == 1)) continue;
            f.name = im->features[i].name;
            f.feature_level = im->features[i].level;
            snap_msg(w, &tmp, &msg_feature_level_record, 0, &f);
        }
    }
    kept_each(k, REGISTER_BROKER_RECORD, snap_put, w);
    kept_each(k, REGISTER_CONTROLLER_RECORD, snap_put, w);
    for (int i = 0; i < im->topics_n; i++) {
        const struct image_topic *t = im->topics[i];
        struct topic_record tr = dflt_topic_record;
        tr.name = t->name;
        tr.topic_id = t->id;
        snap_msg(w, &tmp, &msg_topic_record, 0, &tr);
        for (int p = 0; p < t->partitions_n; p++) {
            struct partition_record pr;
            if (!topic_of(t)->parts[p].there) continue;
            image_part_record(t, p, version, &a, &pr);
            snap_msg(w, &tmp, &msg_partition_record, version, &pr);
        }
        arena_free(&a);
    }
    for (int i = 0; i < im->topics_n; i++)
        snap_configs(w, &tmp, 2, im->topics[i]->name, im->topics[i]->configs, im->topics[i]->configs_n);
    for (int i = 0; i < im->resources_n; i++)
        snap_configs(w, &tmp, im->resources[i].type, im->resources[i].name, im->resources[i].configs, im->resources[i].configs_n);
    kept_each(k, CLIENT_QUOTA_RECORD, snap_put, w);
    if (im->next_producer_id > 0) {
        struct producer_ids_record p = dflt_producer_ids_record;
        p.broker_id = p.broker_epoch = -1;
        p.next_producer_id = im->next_producer_id;
        snap_msg(w, &tmp, &msg_producer_ids_record, 0, &p);
    }
    kept_each(k, ACCESS_CONTROL_ENTRY_RECORD, snap_put, w);
    kept_each(k, USER_SCRAM_CREDENTIAL_RECORD, snap_put, w);
    kept_each(k, DELEGATION_TOKEN_RECORD, snap_put, w);
    kept_each(k, ZK_MIGRATION_STATE_RECORD, snap_put, w);
    kept_each(k, -1, snap_put, w);
    snap_flush(w);
    bytes_free(&tmp);
    arena_free(&a);
}

bool mlog_snapshot_due(const struct mlog *l)
{
    int64_t every = conf_i64(l->conf, CONF_METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS);
    if (l->since_snapshot <= 0) return false;
    if (l->since_snapshot >= conf_i64(l->conf, CONF_METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS)) return true;
    return every > 0 && now_ms(l) - l->snapshot_tried_ms >= every;
}

int mlog_snapshot(struct mlog *l, const struct image *im, const struct kept *k, struct why *why_)
{
    struct bytes out = { 0 }, name = { 0 };
    int64_t end = atomic_load(&l->end), was = l->snapshot_offset;
    l->snapshot_tried_ms = now_ms(l);
    if (end == was) return 0;
    assert(im->offset == end - 1);
    struct snap_writer w = { .l = l, .out = &out, .epoch = l->epoch, .at_ms = now_ms(l) };
    w.next = snapshot_head(l, l->last_time_ms, l->epoch, l->kraft_version > 0, &out);
    snap_image(&w, im, k);
    snapshot_foot(l, w.next, l->epoch, &out);
    bytes_printf(&name, "%s/%020" PRId64 "-%010d.checkpoint", l->path, end, l->epoch);
    int rc = file_put(l, (const char *)name.p, &out, why_);
    if (rc == 0) {
        log_info("meta", "snapshot written", KV_I64("offset", end), KV_I64("bytes", out.n));
        l->snapshot_offset = end;
        l->since_snapshot = 0;
    }
    bytes_free(&out);
    bytes_free(&name);
    if (rc || was <= 0) return rc;

    /* The one before stays, with the log from there on; what is older goes, the log first. */
    int64_t start;
    rc = plog_delete_records(l->log, was, &start);
    if (rc) return why(why_, rc, "metadata log: cannot drop records before offset %" PRId64 ": %s", was, err_text(rc));
    struct arena a;
    struct snap *snaps;
    int n;
    arena_init(&a);
    if (snaps_list(l, &a, &snaps, &n) == 0) {
        for (int i = 0; i < n; i++) {
            if (snaps[i].offset >= was) continue;
            char *path = path_of(l->path, snaps[i].name.p);
            l->w->fs->unlink(l->w->fs, path);
            mem_free(path);
        }
    }
    arena_free(&a);
    return 0;
}

/* ---- looking ------------------------------------------------------------------------------------------------------------------------------------ */

struct look_to {
    struct mlog *l;
    struct replay *r;
    int64_t from;
    int rc;
    struct why *why;
};

static bool look_batch(void *arg, const uint8_t *p, size_t n)
{
    struct look_to *t = arg;
    struct batch_head h;
    if (batch_parse_head(p, n, &h)) return false; /* not so: it was verified */
    t->rc = replay_batch(t->r, p, n, t->from, false, t->why);
    t->l->last_epoch = MAX(t->l->last_epoch, h.leader_epoch);
    return t->rc == 0;
}

int mlog_look(struct mlog *l, struct world *w, struct look_log *files, int32_t node_id, struct arena *a, struct replay *r,
              int *skipped, struct why *why_)
{
    struct snap *snaps;
    struct bytes content = { 0 };
    int n, used = -1;
    *l = (struct mlog){ .w = w, .node_id = node_id, .last_epoch = -1, .found_epoch = -1, .log_epoch = -1 };
    l->path = path_of(files->dir->path.p, dir_name);
    *skipped = 0;
    int rc = snaps_list(l, a, &snaps, &n);
    if (rc) rc = why(why_, err_of_errno(rc), "%s: %s", l->path, err_text(rc));
    for (int i = 0; rc == 0 && i < n && used < 0; i++) {
        struct why unused;
        char *path = path_of(l->path, snaps[i].name.p);
        content.n = 0;
        if (file_load(l, path, &content, &unused) == 0) used = i;
        else ++*skipped;
        mem_free(path);
    }
    struct look_to to = { .l = l, .r = r, .why = why_ };
    if (rc == 0 && used >= 0) {
        l->snapshot_offset = to.from = snaps[used].offset;
        l->last_epoch = snaps[used].epoch;
        rc = file_replay(&content, r, to.from == 0, why_);
        if (rc) why_wrap(why_, rc, "snapshot %s", snaps[used].name.p);
    }
    struct look_how how = { .batch = look_batch, .arg = &to };
    if (rc == 0) rc = logs_look_log(w->fs, files, &how, a, why_);
    if (rc == 0 && to.rc) rc = why_wrap(why_, to.rc, "metadata log");
    if (rc == 0 && files->segments && files->first > to.from)
        rc = why(why_, E_CORRUPT, "the metadata log begins at offset %" PRId64 ", and no whole snapshot reaches that far",
                 files->first);
    atomic_store(&l->end, MAX(files->end, to.from));
    l->kraft_version = r->kraft_version;
    bytes_put(&l->voters, r->voters.p, r->voters.n);
    if (rc == 0) rc = voters_check(l, why_);
    int quorum = quorum_read(l, &l->found_epoch, rc == 0 ? why_ : NULL);
    if (rc == 0) rc = quorum;
    l->log_epoch = l->last_epoch;
    l->last_epoch = MAX(l->last_epoch, l->found_epoch);
    bytes_free(&content);
    return rc;
}
