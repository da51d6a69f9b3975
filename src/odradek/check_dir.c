/* The report of `odradek check DIR…`. First what each directory says of itself, then the metadata log, then every log; what a start would do with it
 * follows from the same readers that a start uses (logs_look, meta_look). */
#include "check_dir.h"

#include <fcntl.h>
#include <inttypes.h>
#include <odradek/batch.h>
#include <odradek/meta.h>
#include <odradek/odradek.h>
#include <odradek/wire.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { LINES_MAX = 20, LABEL = 17 }; /* of one kind of trouble; then only their number */

enum group_type { GROUP_CLASSIC, GROUP_CONSUMER, GROUP_SHARE, GROUP_STREAMS, TXN_ID, GROUP_TYPES };

struct owned { /* a group or transactional id that has a record */
    struct map_node node;
    struct slice key;
    enum group_type type;
};

struct check {
    struct world *w;
    const struct check_dirs *o;
    struct bytes *out;
    struct arena arena;
    struct look_dir *dirs;
    struct look_log *meta_log; /* NULL: none */
    struct meta_look meta;
    struct conf *conf;
    int32_t node_id;
    bool clean, journal;
    int opens; /* 0, or why a start would fail: `no` says it */
    struct why no;
    /* over all logs */
    int64_t bytes;
    int logs, here, deletes, unfinished, leftovers, foreign, no_id, future;
    int strays, damaged, cuts;
    int64_t internal_bytes, cut_bytes;
    struct bytes stray_text, hurt_text, cut_text;
    struct map owned;
    int of_type[GROUP_TYPES];
};

/* ---- text -------------------------------------------------------------------------------------------------------------------------------- */

static void line(struct check *c, const char *label, const char *fmt, ...) PRINTF(3, 4);
static void line(struct check *c, const char *label, const char *fmt, ...)
{
    char text[1024];
    va_list v;
    va_start(v, fmt);
    vsnprintf(text, sizeof(text), fmt, v);
    va_end(v);
    bytes_printf(c->out, "  %-*s%s\n", LABEL, label, text);
}

static const char *size_text(struct check *c, int64_t n)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double v = (double)n;
    size_t u = 0;
    for (; v >= 1024 && u + 1 < ARRAY_LEN(units); u++) v /= 1024;
    return arena_printf(&c->arena, u ? "%.1f %s" : "%.0f %s", v, units[u]).p;
}

static const char *plural(int64_t n) { return n == 1 ? "" : "s"; }

/* ---- who has it, who had it ------------------------------------------------------------------------------------------------------------------- */

/* A lock that somebody else holds; asked for without taking it. */
static const char *held_by(struct check *c, const struct look_dir *d)
{
    struct fs *fs = c->w->fs;
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    const char *text = NULL;
    if (!fs->real) return NULL;
    int fd = fs->open(fs, arena_printf(&c->arena, S_FMT "/.lock", S_ARG(d->path)).p, FS_READ);
    if (fd < 0) return NULL;
    if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        text = lock.l_pid > 0 ? arena_printf(&c->arena, "process %d", (int)lock.l_pid).p : "a running broker";
    fs->close(fs, fd);
    return text;
}

/* Kafka's registration is unfenced soon after it is written, and says so when Kafka stops; ours stands as it was written. */
static const char *last_owner(const struct check *c)
{
    if (!c->meta_log) return "Apache Kafka of ZooKeeper's time";
    if (!c->meta.registered) return "nobody: formatted, never started";
    if (c->node_id < 0) return "unknown";
    if (c->opens == E_UNSUPPORTED) return "Apache Kafka"; /* we never were in such a cluster */
    return c->meta.fenced && !c->meta.shutting_down ? "Odradek" : "Apache Kafka";
}

static void directory(struct check *c, const struct look_dir *d)
{
    char id[UUID_TEXT];
    uuid_text(d->id, id);
    bytes_printf(c->out, S_FMT "\n", S_ARG(d->path));
    if (d->id_err == E_NOT_FOUND && !d->logs_n) {
        line(c, "belongs to", "nobody: it was never formatted");
        return;
    }
    if (d->id_err) line(c, "belongs to", "unknown: " S_FMT, S_ARG(d->id_why));
    else if (d->version == 0)
        line(c, "belongs to", "broker %d of cluster " S_FMT " (ZooKeeper's time)", d->node_id,
             S_ARG(d->cluster_id.n ? d->cluster_id : S("unknown")));
    else line(c, "belongs to", "node %d of cluster " S_FMT ", directory.id %s", d->node_id, S_ARG(d->cluster_id), id);
    const char *holder = held_by(c, d);
    if (holder) line(c, "in use", "by %s: what is said here may be out of date already", holder);
    if (d->clean && d->broker_epoch >= 0) line(c, "stopped", "clean (broker epoch %" PRId64 ")", d->broker_epoch);
    else
        line(c, "stopped",
             holder     ? "not yet"
             : d->clean ? "clean"
                        : "not clean: a crash, a power cut, or a broker that is killed");
    if (d->unreadable) line(c, "damaged", "%s: logs are recovered from their files", d->unreadable);
    if (d->cut_tails > 0)
        line(c, "kept", "%s of torn tails in odradek-cut-tails, from earlier recoveries", size_text(c, d->cut_tails));
    if (d->journal < 0) return;
    c->journal = true;
    bool replay = c->meta_log && logs_look_replays(d, c->meta_log->dir, c->meta.quorum_epoch, c->meta.log_epoch);
    const char *fate = "holds writes that the logs may lack: only Odradek replays it";
    if (d->clean) fate = "a clean stop came after it, it would be set aside";
    else if (!d->journal_groups) fate = "empty";
    else if (!d->journal_ours) fate = "of another directory or of several runs, it would be set aside";
    else if (!replay) fate = "another broker led since, it would be set aside";
    line(c, "journal", "%s, %d group%s of quorum epoch %d: %s%s", size_text(c, d->journal), d->journal_groups,
         plural(d->journal_groups), d->journal_epoch, d->journal_damaged ? "damaged, " : "", fate);
}

/* ---- groups, transactional ids -------------------------------------------------------------------------------------------------------------- */

struct owned_key {
    enum group_type type;
    struct slice key;
};

static bool owned_eq(const struct map_node *n, const void *key)
{
    const struct owned *x = container_of(n, struct owned, node);
    const struct owned_key *k = key;
    return x->type == k->type && slice_eq(x->key, k->key);
}

static void owned_set(struct check *c, enum group_type type, struct slice key, bool there)
{
    uint64_t hash = hash_slice(key) + type;
    struct map_node *n = map_find(&c->owned, hash, owned_eq, &(struct owned_key){ type, key });
    if (there && !n) {
        struct owned *x = mem_zalloc(sizeof(*x) + key.n);
        memcpy((char *)(x + 1), key.p, key.n);
        x->key = (struct slice){ (char *)(x + 1), key.n };
        x->type = type;
        map_put(&c->owned, hash, &x->node);
        c->of_type[type]++;
    } else if (!there && n) {
        map_remove(&c->owned, n);
        mem_free(container_of(n, struct owned, node));
        c->of_type[type]--;
    }
}

static int group_type_of(int16_t version)
{
    switch (version) {
    case GROUP_METADATA_KEY: return GROUP_CLASSIC;
    case CONSUMER_GROUP_METADATA_KEY: return GROUP_CONSUMER;
    case SHARE_GROUP_METADATA_KEY: return GROUP_SHARE;
    case STREAMS_GROUP_METADATA_KEY: return GROUP_STREAMS;
    default: return -1;
    }
}

struct coordinator_batches {
    struct check *c;
    bool txn;
    struct bytes scratch;
};

static bool coordinator_batch(void *arg, const uint8_t *p, size_t n)
{
    struct coordinator_batches *b = arg;
    struct record_iter it;
    struct record r;
    if (record_iter_init(&it, p, n, &b->scratch, 0) == 0 && !batch_is_control(&it.head)) {
        while (record_next(&it, &r) == 1) {
            if (r.key.n < 2) continue;
            int16_t version = (int16_t)be16(r.key.p);
            int type = b->txn ? (version == 0 ? TXN_ID : -1) : group_type_of(version);
            if (type >= 0) owned_set(b->c, (enum group_type)type, r.key, r.value.p);
        }
    }
    record_iter_end(&it);
    return true;
}

/* ---- logs ---------------------------------------------------------------------------------------------------------------------------------------- */

static void hurts(struct check *c, const struct look_log *l)
{
    for (int i = 0; i < l->hurts_n; i++) {
        const struct look_hurt *h = &l->hurts[i];
        char to[32] = "the end";
        if (h->to >= 0) snprintf(to, sizeof(to), "%" PRId64, h->to);
        struct bytes *text = h->cut ? &c->cut_text : &c->hurt_text;
        int *n = h->cut ? &c->cuts : &c->damaged;
        if (h->cut) c->cut_bytes += h->bytes;
        if (++*n > LINES_MAX) continue;
        bytes_printf(text,
                     "    " S_FMT " from offset %" PRId64 " to %s: segment %" PRId64 ", position %" PRId64 ", %" PRId64
                     " bytes (%s)\n",
                     S_ARG(l->name), h->from, to, h->segment, h->at, h->bytes, h->reason);
    }
}

static void stray(struct check *c, const struct look_log *l, const char *reason)
{
    if (++c->strays <= LINES_MAX) bytes_printf(&c->stray_text, "    " S_FMT ": %s\n", S_ARG(l->name), reason);
}

/* Whose is it? The topic, or NULL when it is nobody's (said). */
static const struct image_topic *place(struct check *c, const struct look_log *l)
{
    const struct image *im = c->meta.image;
    const struct image_topic *t = im ? image_topic(im, l->topic) : NULL;
    if (t && l->partition >= t->partitions_n) t = NULL;
    if (!im || (t && l->id_err == E_NOT_FOUND)) c->no_id += l->id_err == E_NOT_FOUND;
    else if (l->id_err == E_NOT_FOUND) stray(c, l, "the metadata has no such partition");
    else if (l->id_err) stray(c, l, "partition.metadata cannot be read");
    else if (!t || !uuid_eq(t->id, l->topic_id)) {
        if (!image_topic_by_id(im, l->topic_id) && meta_look_removed(&c->meta, l->topic_id)) c->unfinished++;
        else stray(c, l, t ? "its topic id is not that of the topic with this name" : "the metadata has no such partition");
        t = NULL;
    }
    c->here += t != NULL;
    return t;
}

static int look_log(struct check *c, struct look_log *l, struct why *why)
{
    struct look_how how = { .deep = c->o->deep, .gaps = true };
    struct coordinator_batches coordinator = { .c = c };
    const struct image_topic *t = NULL;
    switch (l->kind) {
    case LOOK_METADATA: break; /* seen by meta_look */
    case LOOK_DELETE: c->deletes++; return 0;
    case LOOK_STRAY: stray(c, l, "set aside by Kafka"); return 0;
    case LOOK_FUTURE: c->future++; return 0;
    case LOOK_FOREIGN: c->foreign++; return 0;
    case LOOK_LIVE:
        c->logs++;
        t = place(c, l);
        if (t) how.gaps = t->conf.cleanup_compact;
        coordinator.txn = slice_eq(l->topic, S("__transaction_state"));
        if (coordinator.txn || slice_eq(l->topic, S("__consumer_offsets"))) {
            how.batch = coordinator_batch;
            how.arg = &coordinator;
        }
        break;
    }
    int rc = l->kind == LOOK_METADATA ? 0 : logs_look_log(c->w->fs, l, &how, &c->arena, why);
    bytes_free(&coordinator.scratch);
    c->bytes += l->bytes;
    if (t && t->internal) c->internal_bytes += l->bytes;
    c->leftovers += l->leftovers;
    hurts(c, l);
    return rc;
}

/* Partitions of ours without a directory among those given. */
static void missing(struct check *c, int *fresh, int *away)
{
    const struct image *im = c->meta.image;
    *fresh = *away = 0;
    for (int i = 0; im && i < im->topics_n; i++) {
        const struct image_topic *t = im->topics[i];
        bool *seen = arena_array(&c->arena, bool, t->partitions_n + 1);
        for (int d = 0; d < c->o->n; d++) {
            const struct look_dir *dir = &c->dirs[d];
            int lo = 0, hi = dir->logs_n; /* sorted by topic */
            while (lo < hi) {
                int mid = lo + (hi - lo) / 2;
                if (slice_cmp(dir->logs[mid].topic, t->name) < 0) lo = mid + 1;
                else hi = mid;
            }
            for (; lo < dir->logs_n && slice_eq(dir->logs[lo].topic, t->name); lo++)
                if (dir->logs[lo].kind == LOOK_LIVE && dir->logs[lo].partition < t->partitions_n)
                    seen[dir->logs[lo].partition] = true;
        }
        for (int p = 0; p < t->partitions_n; p++) {
            if (seen[p]) continue;
            bool here = uuid_is_zero(t->partitions[p].dir);
            for (int d = 0; d < c->o->n; d++) here |= uuid_eq(c->dirs[d].id, t->partitions[p].dir);
            ++*(here ? fresh : away);
        }
    }
}

/* ---- what it all means ---------------------------------------------------------------------------------------------------------------------------- */

/* metadata.version by level, from the first with KRaft. */
static const char *const level_names[] = { NULL,      "3.0-IV1", "3.1-IV0", "3.2-IV0", "3.3-IV0", "3.3-IV1", "3.3-IV2", "3.3-IV3",
                                           "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0",
                                           "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1",
                                           "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0" };
enum { LEVEL_KAFKA_4 = 7, LEVEL_DYNAMIC_QUORUM = 21 }; /* the oldest that Kafka 4 opens; the first with kraft.version 1 */

static int level_of(const struct image *im)
{
    for (int i = 0; im && i < im->features_n; i++)
        if (slice_eq(im->features[i].name, S("metadata.version"))) return im->features[i].level;
    return 0;
}

static void metadata(struct check *c)
{
    const struct meta_look *m = &c->meta;
    const struct image *im = m->image;
    int level = level_of(im);
    struct bytes others = { 0 };
    bytes_printf(c->out, "metadata log\n");
    line(c, "last owner", "%s", last_owner(c));
    line(c, "kraft.version", "%d%s", m->kraft_version,
         m->kraft_version ? "" : ": Kafka opens it with controller.quorum.voters only");
    if (level > 0 && level < (int)ARRAY_LEN(level_names)) line(c, "metadata.version", "%d (%s)", level, level_names[level]);
    else if (level) line(c, "metadata.version", "%d, newer than any known here", level);
    for (int i = 0; im && i < im->features_n; i++)
        if (!slice_eq(im->features[i].name, S("metadata.version")))
            bytes_printf(&others, "%s" S_FMT " %d", others.n ? ", " : "", S_ARG(im->features[i].name), im->features[i].level);
    bytes_put(&others, "", 1);
    if (others.n > 1) line(c, "features", "%s", (const char *)others.p);
    bytes_free(&others);
    line(c, "quorum epoch", "%d; the log ends at offset %" PRId64 "%s", m->quorum_epoch, m->end,
         m->snapshot > 0 ? arena_printf(&c->arena, ", snapshot at %" PRId64, m->snapshot).p : "");
    if (m->snapshots_skipped)
        line(c, "damaged", "%d snapshot%s: an older one and the log are used", m->snapshots_skipped,
             plural(m->snapshots_skipped));
    if (m->brokers) line(c, "other brokers", "%d registered", m->brokers);
    struct bytes kept = { 0 };
    const struct {
        int32_t n;
        const char *what;
    } kinds[] = {
        { m->acls, "ACL" }, { m->scram, "SCRAM credential" }, { m->quotas, "quota value" }, { m->tokens, "delegation token" }
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].n) bytes_printf(&kept, "%s%d %s%s", kept.n ? ", " : "", kinds[i].n, kinds[i].what, plural(kinds[i].n));
    if (m->unknown) bytes_printf(&kept, "%s%d record%s of unknown type", kept.n ? ", " : "", m->unknown, plural(m->unknown));
    bytes_put(&kept, "", 1);
    if (kept.n > 1) line(c, "carried along", "%s: not served here, kept for Kafka", (const char *)kept.p);
    bytes_free(&kept);
}

static void contents(struct check *c)
{
    const struct image *im = c->meta.image;
    static const char *const types[] = { "classic group", "consumer group", "share group", "streams group", "transactional id" };
    struct bytes text = { 0 };
    bytes_printf(c->out, "contents\n");
    if (im) {
        line(c, "topics", "%d with %d partition%s, %d of them here; %s", im->topics_n, im->partitions_total,
             plural(im->partitions_total), c->here, size_text(c, c->bytes));
        for (int i = 0; i < im->topics_n; i++)
            if (im->topics[i]->internal)
                bytes_printf(&text, "%s" S_FMT " (%d partitions)", text.n ? ", " : "", S_ARG(im->topics[i]->name),
                             im->topics[i]->partitions_n);
        bytes_put(&text, "", 1);
        if (text.n > 1) line(c, "internal", "%s, %s", (const char *)text.p, size_text(c, c->internal_bytes));
    } else {
        line(c, "partitions", "%d, %s", c->logs, size_text(c, c->bytes));
    }
    text.n = 0;
    for (int i = 0; i < GROUP_TYPES; i++) {
        if (!c->of_type[i]) continue;
        bool served = i == GROUP_CLASSIC;
        bytes_printf(&text, "%s%d %s%s%s", text.n ? ", " : "", c->of_type[i], types[i], plural(c->of_type[i]),
                     served ? "" : " (not served here)");
    }
    bytes_put(&text, "", 1);
    if (text.n > 1) line(c, "coordinators", "%s", (const char *)text.p);
    bytes_free(&text);
}

static void listed(struct check *c, const char *label, int n, const char *what, struct bytes *text)
{
    if (!n) return;
    line(c, label, "%d %s", n, what);
    bytes_put(c->out, text->p, text->n);
    if (n > LINES_MAX) bytes_printf(c->out, "    and %d more\n", n - LINES_MAX);
}

static bool kraft(const struct check *c)
{
    for (int i = 0; i < c->o->n; i++)
        if (c->dirs[i].id_err == 0 && c->dirs[i].version > 0) return true;
    return c->meta_log;
}

/* Directories of a KRaft node, but not the one with its metadata log. */
static bool metadata_elsewhere(const struct check *c) { return kraft(c) && !c->meta_log && c->logs; }

static void who_opens(struct check *c)
{
    int level = level_of(c->meta.image);
    bytes_printf(c->out, "who can open it\n");
    if (metadata_elsewhere(c)) {
        line(c, "nobody", "as it is: the metadata log is in none of these directories. Name all of log.dirs");
        return;
    }
    if (!c->meta_log && kraft(c)) {
        line(c, "Apache Kafka", "formatted, never started: the version that formatted it");
    } else if (!c->meta_log) {
        line(c, "Apache Kafka", "the versions with ZooKeeper, up to 3.9, as they did before; after a start of Odradek also 4.3");
    } else if (level > 0 && level < LEVEL_KAFKA_4) {
        line(c, "Apache Kafka", "3.0 to 3.9, from %.3s on: raise metadata.version to 3.3-IV3 or more there before Kafka 4",
             level_names[level]);
    } else if (level < (int)ARRAY_LEN(level_names) && level > 0) {
        const char *since =
            c->meta.kraft_version && level < LEVEL_DYNAMIC_QUORUM ? level_names[LEVEL_DYNAMIC_QUORUM] : level_names[level];
        line(c, "Apache Kafka", "%.3s and later%s%s", since, c->meta.kraft_version ? "" : ", with controller.quorum.voters",
             c->meta.brokers ? ", as part of its cluster" : "");
    } else {
        line(c, "Apache Kafka", "one newer than 4.3, or none: no known metadata.version");
    }
    if (!c->clean)
        line(c, "", "but it was not stopped clean: let %s start and stop first%s", last_owner(c),
             strcmp(last_owner(c), "Odradek") == 0 ? ", or odradek check --repair" : "");
    if (c->foreign) line(c, "", "but it does not start with a directory in it that is no partition's: %d here", c->foreign);
    line(c, "Odradek", "%s", c->opens ? arena_printf(&c->arena, "no: %s", c->no.text).p : "yes");
}

static void would_change(struct check *c)
{
    int fresh, away;
    missing(c, &fresh, &away);
    bytes_printf(c->out, "opening it in Odradek\n");
    if (c->journal) line(c, "journal", "would be replayed, or set aside, as said above");
    if (!c->clean) line(c, "recovery", "what lies past the recovery points would be read and verified");
    listed(c, "torn tails", c->cuts, "would be cut, and kept in odradek-cut-tails:", &c->cut_text);
    int marked = 0, old = 0;
    for (int i = 0; i < c->o->n; i++) {
        marked += c->dirs[i].clean;
        old += c->dirs[i].id_err == 0 && c->dirs[i].version == 0;
    }
    if (marked) line(c, "clean marker", "%d would be removed, and come back with the next clean stop", marked);
    if (old) line(c, "meta.properties", "%d would be rewritten as version 1, with a directory.id", old);
    if (c->meta_log) {
        line(c, "epochs", "quorum epoch %d would begin at offset %" PRId64 ", and node %d register anew", c->meta.next_epoch,
             c->meta.end, c->node_id);
        if (c->meta.unfinished) line(c, "", "an unfinished metadata transaction would be aborted");
        if (c->meta.take)
            line(c, "partitions", "%d would get node %d as leader and only in-sync replica, in their next leader epoch",
                 c->meta.take, c->node_id);
        else line(c, "partitions", "would keep their leader epochs");
        if (c->meta.behind)
            line(c, "", "%d of them have their in-sync replicas on other brokers: what only those have would be given up",
                 c->meta.behind);
        if (c->meta.elsewhere) line(c, "", "%d with no replica on node %d would have no leader", c->meta.elsewhere, c->node_id);
    } else if (kraft(c)) {
        line(c, "metadata log", "would be made, as bootstrap.checkpoint says");
    } else {
        line(c, "topics", "would be made of the directories' names; settings were kept in ZooKeeper and are not here");
    }
    if (c->no_id) line(c, "", "%d would get a partition.metadata: Kafka 4 takes a directory without one for a stray", c->no_id);
    if (fresh) line(c, "", "%d without a directory would be made, empty", fresh);
    if (away) line(c, "", "%d in log directories that were not named would be offline", away);
    if (c->deletes + c->unfinished) line(c, "deletions", "%d that were begun would be finished", c->deletes + c->unfinished);
    if (c->leftovers)
        line(c, "leftovers", "%d file%s of an unfinished cleaning or deletion would be finished or removed", c->leftovers,
             plural(c->leftovers));
    if (c->future) line(c, "moves", "%d unfinished between directories would be left as they are", c->future);
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------------------------------ */

static int find_metadata(struct check *c, struct why *w)
{
    for (int i = 0; i < c->o->n; i++) {
        struct look_dir *d = &c->dirs[i];
        if (d->node_id >= 0 && c->node_id < 0) c->node_id = d->node_id;
        c->clean &= d->clean;
        for (int k = 0; k < d->logs_n; k++) {
            if (d->logs[k].kind != LOOK_METADATA) continue;
            if (c->meta_log)
                return why(w, E_INVALID,
                           S_FMT " and " S_FMT " both have a metadata log: metadata.log.dir has to say which counts",
                           S_ARG(c->meta_log->dir->path), S_ARG(d->path));
            c->meta_log = &d->logs[k];
        }
    }
    return 0;
}

static int run(struct check *c, struct why *why)
{
    int rc = 0, n = c->o->n;
    bool any = false;
    c->dirs = arena_array(&c->arena, struct look_dir, n);
    for (int i = 0; i < n && rc == 0; i++) rc = logs_look(c->w->fs, c->o->paths[i], &c->arena, &c->dirs[i], why);
    if (rc) return rc;
    int agree = logs_look_agree(c->dirs, n, c->w->rnd, &c->arena, why);
    if (agree == 0) agree = find_metadata(c, why);
    if (agree == 0 && c->meta_log)
        c->opens = meta_look(c->w, c->meta_log, c->node_id, c->clean, c->conf, &c->arena, &c->meta, &c->no);
    for (int i = 0; i < n; i++) {
        directory(c, &c->dirs[i]);
        any |= c->dirs[i].logs_n > 0 || c->dirs[i].id_err == 0;
        if (c->dirs[i].id_err && c->dirs[i].id_err != E_NOT_FOUND) {
            c->opens = c->dirs[i].id_err;
            snprintf(c->no.text, sizeof(c->no.text), S_FMT, S_ARG(c->dirs[i].id_why));
        }
    }
    if (agree) return agree;
    if (!any) return 0;
    for (int i = 0; i < n && rc == 0; i++)
        for (int k = 0; k < c->dirs[i].logs_n && rc == 0; k++) rc = look_log(c, &c->dirs[i].logs[k], why);
    if (rc) return rc;
    if (c->meta_log) metadata(c);
    contents(c);
    listed(c, "strays", c->strays, "that Kafka would set aside, and Odradek leaves alone:", &c->stray_text);
    listed(c, "damage", c->damaged, "in what was synced once; a start keeps what is around it:", &c->hurt_text);
    if (!c->damaged)
        line(c, "damage", "none seen%s",
             c->o->deep ? "; all checksums are right" : " in the batches' headers (--deep verifies checksums)");
    who_opens(c);
    if (metadata_elsewhere(c)) return E_NOT_FOUND;
    if (c->opens == 0) would_change(c);
    return c->opens ? c->opens : c->damaged ? E_CORRUPT : 0;
}

int check_dirs(struct world *w, const struct check_dirs *o, struct bytes *out)
{
    struct check c = { .w = w, .o = o, .out = out, .node_id = -1, .clean = true };
    struct conf_report report = { 0 };
    struct why why = { "" };
    arena_init(&c.arena);
    int rc = conf_parse(S(""), &c.conf, &report);
    assert(rc == 0);
    rc = run(&c, &why);
    if (rc && why.text[0]) bytes_printf(out, "error: %s\n", why.text);
    meta_look_free(&c.meta);
    conf_unref(&c.conf);
    conf_report_free(&report);
    for (struct map_node *n = map_next(&c.owned, NULL), *next; n; n = next) {
        next = map_next(&c.owned, n);
        mem_free(container_of(n, struct owned, node));
    }
    map_free(&c.owned);
    bytes_free(&c.stray_text);
    bytes_free(&c.hurt_text);
    bytes_free(&c.cut_text);
    arena_free(&c.arena);
    return rc;
}

/* ---- the command ------------------------------------------------------------------------------------------------------------------------------------ */

bool check_dirs_wanted(int argc, char **argv)
{
    struct stat st;
    const char *first = NULL;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--deep") == 0) return true;
        if (!first && argv[i][0] != '-') first = argv[i];
    }
    return first && stat(first, &st) == 0 && S_ISDIR(st.st_mode);
}

int check_dirs_main(int argc, char **argv)
{
    const char **paths = mem_zalloc(sizeof(*paths) * (size_t)(argc + 1));
    struct check_dirs o = { .paths = paths };
    struct bytes out = { 0 };
    int code = ODR_EXIT_OK;
    for (int i = 0; i < argc && code == ODR_EXIT_OK; i++) {
        if (strcmp(argv[i], "--deep") == 0) o.deep = true;
        else if (argv[i][0] != '-') paths[o.n++] = argv[i];
        else {
            (void)fprintf(stderr, "odradek: unknown option: %s\n", argv[i]);
            code = ODR_EXIT_USAGE;
        }
    }
    if (code == ODR_EXIT_OK && !o.n) {
        (void)fprintf(stderr, "odradek: check --deep needs a directory\n");
        code = ODR_EXIT_USAGE;
    }
    if (code == ODR_EXIT_OK) {
        struct world *w = world_real_new();
        log_threshold = LOG_ERROR; /* the report says it */
        if (check_dirs(w, &o, &out)) code = ODR_EXIT_DATA;
        (void)fwrite(out.p, 1, out.n, stdout);
        world_free(&w);
    }
    bytes_free(&out);
    mem_free(paths);
    return code;
}
