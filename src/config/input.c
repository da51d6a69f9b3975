/* Where settings come from: the file, KAFKA_* of the environment, --override; and what becomes of old, foreign and mistyped names.
 *
 * Every source is read to its end and every entry is judged, so that one start tells all that is wrong. A later source replaces an entry
 * of an earlier one, and with it the place that an error names. */
#include "conf.h"

enum { FILE_SIZE_MAX = 4 * 1024 * 1024 };

struct conf_base *base_new(void)
{
    struct conf_base *b = mem_zalloc(sizeof *b);
    atomic_init(&b->refs, 1);
    arena_init(&b->arena);
    return b;
}

void base_unref(struct conf_base **bp)
{
    struct conf_base *b = *bp;
    *bp = NULL;
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) return;
    arena_free(&b->arena);
    mem_free(b->given.e);
    mem_free(b);
}

struct conf_entry *entries_find(const struct conf_entries *l, struct slice name)
{
    for (int i = 0; i < l->n; i++)
        if (slice_eq(l->e[i].name, name)) return &l->e[i];
    return NULL;
}

struct conf_entry *entries_put(struct conf_entries *l, struct arena *a, struct slice name, struct slice value, const char *where)
{
    struct conf_entry *e = entries_find(l, name);
    if (!e) {
        if (l->n == l->cap) {
            l->cap = l->cap ? l->cap * 2 : 32;
            l->e = mem_realloc(l->e, (size_t)l->cap * sizeof *l->e);
        }
        e = &l->e[l->n++];
        e->name = arena_printf(a, S_FMT, S_ARG(name));
    }
    e->value = arena_printf(a, S_FMT, S_ARG(value));
    e->where = where;
    e->implied = false;
    return e;
}

/* ---- the file --------------------------------------------------------------------------------------------------------------------- */

struct filling {
    struct conf_base *b;
    struct conf_report *r;
    const char *file;
};

static void file_entry(void *arg, struct slice key, struct slice value, int line)
{
    struct filling *f = arg;
    const struct conf_entry *before = entries_find(&f->b->given, key);
    const char *where = arena_printf(&f->b->arena, "%s:%d", f->file, line).p;
    if (memchr(key.p, '\0', key.n) || memchr(value.p, '\0', value.n)) {
        say(f->r, CONF_SAY_ERROR, "%s: a NUL character cannot be part of a setting", where);
        return;
    }
    if (before && !slice_eq(slice_trim(before->value), slice_trim(value)))
        say(f->r, CONF_SAY_WARN, "%s: " S_FMT " was already set at %s; this one counts", where, S_ARG(key), before->where);
    entries_put(&f->b->given, &f->b->arena, key, value, where);
}

int input_text(struct conf_base *b, struct slice text, const char *file, struct conf_report *r)
{
    struct filling f = { b, r, file };
    struct arena a;
    int bad = 0;
    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0) text = slice_cut(text, 3);
    arena_init(&a);
    int rc = properties_parse(text, &a, file_entry, &f, &bad);
    arena_free(&a);
    if (rc < 0) say(r, CONF_SAY_ERROR, "%s:%d: \\u must be followed by four hexadecimal digits", file, bad);
    return rc;
}

static void read_file(struct fs *fs, struct conf_base *b, const char *file, struct conf_report *r)
{
    struct bytes text = { 0 };
    int rc = fs_read_file(fs, file, FILE_SIZE_MAX, &text);
    b->file = arena_printf(&b->arena, "%s", file);
    if (rc < 0) say(r, CONF_SAY_ERROR, "%s: cannot read it: %s", file, err_text(rc));
    else input_text(b, (struct slice){ text.n ? (const char *)text.p : "", text.n }, b->file.p, r);
    bytes_free(&text);
}

/* ---- the environment ---------------------------------------------------------------------------------------------------------------- */

/* Variables of the container images that are about the JVM, the image or its scripts, by prefix. */
static const char *const image_variables[] = {
    "KAFKA_HEAP_OPTS",     "KAFKA_OPTS",         "KAFKA_LOG4J",       "KAFKA_JMX",     "KAFKA_JVM_",      "KAFKA_GC_",
    "KAFKA_DEBUG",         "KAFKA_TOOLS_LOG4J",  "KAFKA_HOME",        "KAFKA_VERSION", "KAFKA_USER",      "KAFKA_GROUP=",
    "KAFKA_UID",           "KAFKA_GID",          "KAFKA_DATA_DIR",    "KAFKA_VOLUME",  "KAFKA_MOUNTED",   "KAFKA_BASE_DIR",
    "KAFKA_CONF_",         "KAFKA_CERTS",        "KAFKA_INITSCRIPTS", "KAFKA_DAEMON_", "KAFKA_SERVICE_",  "KAFKA_EXTRA_ARGS",
    "KAFKA_CREATE_TOPICS", "KAFKA_ENABLE_KRAFT", "KAFKA_SKIP_",       "KAFKA_CLIENT_", "KAFKA_CLASSPATH", "KAFKA_LIBS",
    "KAFKA_DOWNLOAD",      "KAFKA_URL",          "KAFKA_NATIVE"
};

static bool of_the_image(struct slice name, struct slice value)
{
    for (size_t i = 0; i < ARRAY_LEN(image_variables); i++) {
        const char *p = image_variables[i];
        size_t n = strlen(p);
        if (p[n - 1] == '=' ? name.n == n - 1 && memcmp(name.p, p, n - 1) == 0 : slice_starts(name, p)) return true;
    }
    /* Kubernetes sets KAFKA_PORT=tcp://… and KAFKA_PORT_9092_TCP_… for a service that is called kafka. */
    return slice_starts(name, "KAFKA_PORT_") || (slice_is(name, "KAFKA_PORT") && slice_starts(value, "tcp://"));
}

/* ADVERTISED_LISTENERS becomes advertised.listeners: _ is a dot, __ an underscore, ___ a dash. */
static struct slice env_key(struct slice name, struct arena *a)
{
    char *out = arena_alloc(a, name.n + 1);
    size_t o = 0;
    for (size_t i = 0; i < name.n;) {
        size_t run = 0;
        while (i + run < name.n && name.p[i + run] == '_') run++;
        if (run == 0) {
            char c = name.p[i++];
            out[o++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
            continue;
        }
        i += run;
        for (; run >= 3; run -= 3) out[o++] = '-';
        if (run) out[o++] = run == 2 ? '_' : '.';
    }
    out[o] = '\0';
    return (struct slice){ out, o };
}

static void read_variable(struct conf_base *b, struct slice name, struct slice value, struct conf_report *r)
{
    struct arena *a = &b->arena;
    const char *where = arena_printf(a, "environment " S_FMT, S_ARG(name)).p;
    if (slice_is(name, "STATE_DIRECTORY")) {
        const char *colon = memchr(value.p, ':', value.n);
        if (colon) value.n = (size_t)(colon - value.p);
        value = slice_trim(value);
        if (memchr(value.p, ',', value.n)) say(r, CONF_SAY_ERROR, "%s: a log directory's name cannot contain a comma", where);
        else if (value.n) b->state_dir = arena_printf(a, S_FMT, S_ARG(value));
    } else if (slice_is(name, "CLUSTER_ID") || slice_is(name, "KAFKA_KRAFT_CLUSTER_ID") || slice_is(name, "KAFKA_CLUSTER_ID")) {
        if (slice_trim(value).n) entries_put(&b->given, a, S("odradek.cluster.id"), value, where);
    } else if (slice_starts(name, "KAFKA_") && name.n > strlen("KAFKA_") && !of_the_image(name, value)) {
        size_t cut = slice_starts(name, "KAFKA_CFG_") && name.n > strlen("KAFKA_CFG_") ? strlen("KAFKA_CFG_") : strlen("KAFKA_");
        entries_put(&b->given, a, env_key(slice_cut(name, cut), a), value, where);
    }
}

static void read_environment(struct conf_base *b, char **envp, struct conf_report *r)
{
    for (char **e = envp; e && *e; e++) {
        const char *eq = strchr(*e, '=');
        if (eq && eq != *e) read_variable(b, (struct slice){ *e, (size_t)(eq - *e) }, slice_of(eq + 1), r);
    }
}

static void read_overrides(struct conf_base *b, const struct conf_input *in, struct conf_report *r)
{
    for (int i = 0; i < in->overrides_n; i++) {
        struct slice o = slice_of(in->overrides[i]);
        const char *eq = memchr(o.p, '=', o.n);
        struct slice key = slice_trim((struct slice){ o.p, eq ? (size_t)(eq - o.p) : o.n });
        if (!eq || key.n == 0) say(r, CONF_SAY_ERROR, "--override " S_FMT ": must be key=value", S_ARG(o));
        else entries_put(&b->given, &b->arena, key, slice_of(eq + 1), "--override");
    }
}

struct conf_base *input_read(struct fs *fs, const struct conf_input *in, struct conf_report *r)
{
    struct conf_base *b = base_new();
    b->local = !in->file;
    if (in->file) read_file(fs, b, in->file, r);
    read_environment(b, in->envp, r);
    read_overrides(b, in, r);
    input_settle(fs, b, in, r);
    return b;
}

/* ---- ${provider:path:key} ------------------------------------------------------------------------------------------------------------ */

enum provider { NO_PROVIDER, PROVIDER_ENV, PROVIDER_FILE, PROVIDER_DIRECTORY };

static enum provider provider_of(const struct conf_base *b, struct slice name)
{
    char key[128];
    snprintf(key, sizeof key, "config.providers." S_FMT ".class", S_ARG(name));
    const struct conf_entry *e = entries_find(&b->given, slice_of(key));
    if (!e) return NO_PROVIDER;
    struct slice class = slice_trim(e->value);
    return slice_is(class, "org.apache.kafka.common.config.provider.EnvVarConfigProvider")      ? PROVIDER_ENV
           : slice_is(class, "org.apache.kafka.common.config.provider.FileConfigProvider")      ? PROVIDER_FILE
           : slice_is(class, "org.apache.kafka.common.config.provider.DirectoryConfigProvider") ? PROVIDER_DIRECTORY
                                                                                                : NO_PROVIDER;
}

struct wanted {
    struct arena *a;
    struct slice key, value;
};

static void wanted_entry(void *arg, struct slice key, struct slice value, int line)
{
    struct wanted *w = arg;
    (void)line;
    if (slice_eq(key, w->key)) w->value = arena_copy(w->a, value);
}

/* The text behind one variable; null when there is none. */
static struct slice provide(struct fs *fs, enum provider p, struct slice path, struct slice key, char **envp, struct arena *a)
{
    struct bytes text = { 0 };
    struct wanted w = { .a = a, .key = key };
    int bad;
    if (p == PROVIDER_ENV) {
        for (char **e = envp; e && *e; e++)
            if (strncmp(*e, key.p, key.n) == 0 && (*e)[key.n] == '=') return slice_of(*e + key.n + 1);
        return w.value;
    }
    struct slice file =
        p == PROVIDER_FILE ? arena_printf(a, S_FMT, S_ARG(path)) : arena_printf(a, S_FMT "/" S_FMT, S_ARG(path), S_ARG(key));
    if (!fs || (p == PROVIDER_DIRECTORY && memchr(key.p, '/', key.n)) || fs_read_file(fs, file.p, FILE_SIZE_MAX, &text) < 0)
        return w.value;
    struct slice content = { text.n ? (const char *)text.p : "", text.n };
    if (p == PROVIDER_FILE) properties_parse(content, a, wanted_entry, &w, &bad);
    else w.value = arena_copy(a, content);
    bytes_free(&text);
    return w.value;
}

static void resolve_entry(struct fs *fs, struct conf_base *b, struct conf_entry *e, const struct conf_value *names, char **envp,
                          struct conf_report *r)
{
    struct bytes out = { 0 };
    struct slice rest = e->value;
    bool changed = false;
    while (rest.n) {
        const char *open = memmem(rest.p, rest.n, "${", 2),
                   *close = open ? memchr(open, '}', (size_t)(rest.p + rest.n - open)) : NULL;
        if (!close) break;
        struct slice name = { open + 2, (size_t)(close - open - 2) }, path = S(""), key;
        const char *colon = memchr(name.p, ':', name.n);
        enum provider p = NO_PROVIDER;
        bytes_put(&out, rest.p, (size_t)(open - rest.p));
        rest = slice_cut(rest, (size_t)(close - rest.p) + 1);
        if (colon) {
            key = slice_cut(name, (size_t)(colon - name.p) + 1);
            name.n = (size_t)(colon - name.p);
            const char *last = memrchr(key.p, ':', key.n);
            if (last) path = (struct slice){ key.p, (size_t)(last - key.p) }, key = slice_cut(key, (size_t)(last - key.p) + 1);
            for (int i = 0; i < names->list_n; i++)
                if (slice_eq(names->list[i], name)) p = provider_of(b, name);
        }
        struct slice value =
            p == NO_PROVIDER ? (struct slice){ open, (size_t)(close - open + 1) } : provide(fs, p, path, key, envp, &b->arena);
        if (!value.p)
            say(r, CONF_SAY_ERROR, "%s: " S_FMT ": nothing found for " S_FMT, e->where, S_ARG(e->name), (int)(close - open + 1),
                open);
        changed |= p != NO_PROVIDER;
        bytes_put(&out, value.p, value.n);
    }
    bytes_put(&out, rest.p, rest.n);
    if (changed) e->value = arena_printf(&b->arena, "%.*s", (int)out.n, out.n ? (const char *)out.p : "");
    bytes_free(&out);
}

static void resolve_variables(struct fs *fs, struct conf_base *b, const struct conf_input *in, struct conf_report *r)
{
    const struct conf_entry *e = entries_find(&b->given, S("config.providers"));
    struct conf_value names;
    if (!e || value_parse(conf_def(CONF_CONFIG_PROVIDERS), e->value, &b->arena, &names, NULL) < 0) return;
    for (int i = 0; i < names.list_n; i++)
        if (provider_of(b, names.list[i]) == NO_PROVIDER)
            say_entry(r, CONF_SAY_ERROR, e,
                      "provider " S_FMT ": its config.providers." S_FMT
                      ".class must be EnvVarConfigProvider, FileConfigProvider or "
                      "DirectoryConfigProvider of org.apache.kafka.common.config.provider",
                      S_ARG(names.list[i]), S_ARG(names.list[i]));
    for (int i = 0; i < b->given.n; i++)
        if (!slice_starts(b->given.e[i].name, "config.providers"))
            resolve_entry(fs, b, &b->given.e[i], &names, in ? in->envp : NULL, r);
}

/* ---- settling ------------------------------------------------------------------------------------------------------------------------ */

static void imply(struct conf_base *b, const char *name, struct slice value, const char *where)
{
    if (!entries_find(&b->given, slice_of(name))) entries_put(&b->given, &b->arena, slice_of(name), value, where)->implied = true;
}

static struct slice given(const struct conf_base *b, const char *name, const char **where)
{
    const struct conf_entry *e = entries_find(&b->given, slice_of(name));
    if (e) *where = e->where;
    return e ? slice_trim(e->value) : (struct slice){ NULL, 0 };
}

/* Names of Kafka 2 and before that still mean something. */
static void map_old_names(struct conf_base *b, struct conf_report *r)
{
    static const char *const pairs[][2] = { { "listeners", "host.name" },
                                            { "listeners", "port" },
                                            { "advertised.listeners", "advertised.host.name" },
                                            { "advertised.listeners", "advertised.port" } };
    const char *where = "", *ignore = "";
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        const struct conf_entry *e = entries_find(&b->given, slice_of(pairs[i][1]));
        if (e && given(b, pairs[i][0], &ignore).p) say_entry(r, CONF_SAY_WARN, e, "ignored, because %s is set", pairs[i][0]);
    }
    struct slice port = given(b, "port", &where), host = given(b, "host.name", &where);
    if (port.p || host.p)
        imply(b, "listeners",
              arena_printf(&b->arena, "PLAINTEXT://" S_FMT ":" S_FMT, S_ARG(host), port.p ? (int)port.n : 4,
                           port.p ? port.p : "9092"),
              where);
    struct slice out_port = given(b, "advertised.port", &where), out_host = given(b, "advertised.host.name", &where);
    if (out_port.p || out_host.p) {
        if (!out_port.p) out_port = port.p ? port : S("9092");
        if (!out_host.p) out_host = host;
        imply(b, "advertised.listeners",
              arena_printf(&b->arena, "PLAINTEXT://" S_FMT ":" S_FMT, S_ARG(out_host), S_ARG(out_port)), where);
    }
    struct slice span = given(b, "log.message.timestamp.difference.max.ms", &where);
    if (span.p) {
        imply(b, "log.message.timestamp.before.max.ms", span, where);
        imply(b, "log.message.timestamp.after.max.ms", span, where);
    }
    struct slice minutes = given(b, "log.cleanup.interval.mins", &where);
    if (minutes.p) imply(b, "log.retention.check.interval.ms", arena_printf(&b->arena, S_FMT "0000", S_ARG(minutes)), where);
    struct conf_entry *ms = minutes.p ? entries_find(&b->given, S("log.retention.check.interval.ms")) : NULL;
    struct conf_value v;
    if (ms && ms->implied && value_parse(conf_def(CONF_LOG_RETENTION_CHECK_INTERVAL_MS), minutes, &b->arena, &v, NULL) == 0 &&
        v.i < INT32_MAX)
        ms->value = arena_printf(&b->arena, "%lld", (long long)v.i * 60000);
}

/* node.id and its old name broker.id say the same; either is enough. */
static void settle_node_id(struct conf_base *b, struct conf_report *r)
{
    const struct conf_entry *node = entries_find(&b->given, S("node.id")), *broker = entries_find(&b->given, S("broker.id"));
    struct conf_value n, o;
    bool is_node = node && value_parse(conf_def(CONF_NODE_ID), node->value, &b->arena, &n, NULL) == 0;
    bool is_broker = broker && value_parse(conf_def(CONF_BROKER_ID), broker->value, &b->arena, &o, NULL) == 0 && o.i != -1;
    if (is_broker && o.i < 0) {
        say_entry(r, CONF_SAY_ERROR, broker, "must be a whole number of at least 0, or -1");
    } else if (is_node && is_broker && n.i != o.i) {
        say_entry(r, CONF_SAY_ERROR, broker, "must be the same as node.id=%lld (%s)", (long long)n.i, node->where);
    } else if (is_broker && !node) {
        imply(b, "node.id", o.text, broker->where);
    } else if (is_node) {
        if (broker && !is_broker) return; /* broker.id=-1 beside a node.id: nothing to add */
        imply(b, "broker.id", n.text, node->where);
    }
}

/* Lines that name many keys: "a, b (why), c (other why)". */
struct group {
    struct bytes text;
    const char *reason;
    int n;
};

static void group_add(struct group *g, struct slice name, const char *reason)
{
    if (g->n && g->reason != reason && strcmp(g->reason, reason) != 0) bytes_printf(&g->text, " (%s)", g->reason);
    bytes_printf(&g->text, "%s" S_FMT, g->n ? ", " : "", S_ARG(name));
    g->reason = reason;
    g->n++;
}

static void group_say(struct group *g, struct conf_report *r, const char *head)
{
    if (g->n)
        say(r, CONF_SAY_WARN, "%s: %.*s%s%s%s", head, (int)g->text.n, (const char *)g->text.p, *g->reason ? " (" : "", g->reason,
            *g->reason ? ")" : "");
    bytes_free(&g->text);
}

struct judging {
    struct conf_base *b;
    struct conf_report *r;
    struct group ignored, ahead, clamped;
};

static bool is_default(const struct conf_base *b, const struct conf_def *d, const struct conf_value *v)
{
    struct conf_value def;
    struct arena a;
    if (!v->text.p || (d->type == CONF_TYPE_CLASS && v->text.n == 0)) return !d->def || v->text.p;
    arena_init(&a);
    bool same = value_parse(d, slice_of(d->def), &a, &def, NULL) == 0 && slice_eq(def.text, v->text);
    arena_free(&a);
    (void)b;
    return same;
}

static void judge_known(struct judging *j, const struct conf_entry *e, const struct conf_def *d)
{
    struct conf_value v;
    if (value_parse(d, e->value, &j->b->arena, &v, NULL) < 0) {
        struct bytes right = { 0 };
        value_wanted(d, &right);
        say_entry(j->r, CONF_SAY_ERROR, e, "must be %.*s", (int)right.n, (const char *)right.p);
        bytes_free(&right);
        return;
    }
    switch ((enum conf_verdict)d->verdict) {
    case CONF_HONOUR:
    case CONF_QUIET: return;
    case CONF_CLAMP:
        if (v.i > 1) group_add(&j->clamped, arena_printf(&j->b->arena, S_FMT "=" S_FMT, S_ARG(e->name), S_ARG(v.text)), "");
        return;
    case CONF_AHEAD: group_add(&j->ahead, e->name, d->reason); return;
    case CONF_IGNORE: group_add(&j->ignored, e->name, d->reason); return;
    case CONF_LATER:
    case CONF_REJECT:
        if (!is_default(j->b, d, &v))
            say_entry(j->r, CONF_SAY_ERROR, e, "%s; %s%s", d->reason, d->def && *d->def ? "leave it out, or at " : "leave it out",
                      d->def ? d->def : "");
        return;
    }
}

static void judge_unknown(struct judging *j, const struct conf_entry *e)
{
    const struct conf_old_name *old = old_find(e->name);
    const char *client = client_setting(e->name), *other = other_setting(e->name);
    if (old) {
        if (old->kind == OLD_GONE) group_add(&j->ignored, e->name, old->what);
        if (old->kind == OLD_MAPPED)
            say(j->r, CONF_SAY_NOTE, "%s: " S_FMT " is an old name and %s", e->where, S_ARG(e->name), old->what);
    } else if (other) {
        if (*other) group_add(&j->ahead, e->name, other);
    } else if (conf_find(CONF_SCOPE_QUOTA, e->name)) {
        group_add(&j->ignored, e->name, "set it with kafka-configs");
    } else if (slice_starts(e->name, "confluent.")) {
        group_add(&j->ignored, e->name, "not a setting of Apache Kafka");
    } else if (client) {
        say(j->r, CONF_SAY_WARN, "%s: " S_FMT " is %s", e->where, S_ARG(e->name), client);
    } else {
        const struct conf_def *d = nearest(e->name);
        say(j->r, CONF_SAY_WARN, "%s: " S_FMT " is not a known setting and has no effect%s%s%s", e->where, S_ARG(e->name),
            d ? "; did you mean " : "", d ? d->name : "", d ? "?" : "");
    }
}

void input_settle(struct fs *fs, struct conf_base *b, const struct conf_input *in, struct conf_report *r)
{
    struct judging j = { .b = b, .r = r };
    resolve_variables(fs, b, in, r);
    settle_node_id(b, r);
    map_old_names(b, r);
    for (int i = 0; i < b->given.n; i++) {
        const struct conf_entry *e = &b->given.e[i];
        const struct conf_def *d = conf_find(CONF_SCOPE_BROKER, e->name);
        if (!d) d = listener_key(e->name);
        if (e->implied && slice_is(e->name, "broker.id")) continue;
        if (d) judge_known(&j, e, d);
        else judge_unknown(&j, e);
    }
    group_say(&j.ignored, r, "ignored, this is one node that needs none of it");
    group_say(&j.ahead, r, "kept and shown, but without effect in this build");
    group_say(&j.clamped, r, "one node has one replica, so these count as 1");
}
