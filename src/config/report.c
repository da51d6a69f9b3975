/* What a person reads: the report of a start, `odradek check`, and the sample file. */
#include "conf.h"

static void report_add(struct conf_report *r, enum conf_say kind, struct slice text)
{
    struct conf_message *m = arena_new(&r->arena, struct conf_message);
    m->say = kind;
    m->text = text;
    *r->last = m;
    r->last = &m->next;
    r->errors += kind == CONF_SAY_ERROR;
    r->warnings += kind == CONF_SAY_WARN;
}

static void report_ready(struct conf_report *r)
{
    if (r->last) return;
    arena_init(&r->arena);
    r->last = &r->first;
}

static struct slice vformat(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    assert(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    return (struct slice){ p, (size_t)n };
}

void say(struct conf_report *r, enum conf_say kind, const char *fmt, ...)
{
    va_list ap;
    if (!r) return;
    report_ready(r);
    va_start(ap, fmt);
    struct slice text = vformat(&r->arena, fmt, ap);
    va_end(ap);
    report_add(r, kind, text);
}

/* "server.properties:3: num.partitions=none: …". Secrets, and names that might be secrets, are told without their value. */
void say_entry(struct conf_report *r, enum conf_say kind, const struct conf_entry *e, const char *fmt, ...)
{
    va_list ap;
    if (!r) return;
    report_ready(r);
    va_start(ap, fmt);
    struct slice text = vformat(&r->arena, fmt, ap);
    va_end(ap);
    if (e) {
        const struct conf_def *d = conf_find(CONF_SCOPE_BROKER, e->name);
        if (!d) d = listener_key(e->name);
        bool hide = conf_def_sensitive(d);
        text = arena_printf(&r->arena, "%s: " S_FMT "%s" S_FMT ": " S_FMT, e->where ? e->where : "dynamic", S_ARG(e->name),
                            hide ? "" : "=", hide ? 0 : (int)e->value.n, e->value.p, S_ARG(text));
    }
    report_add(r, kind, text);
}

void conf_report_free(struct conf_report *r)
{
    if (r->last) arena_free(&r->arena);
    *r = (struct conf_report){ 0 };
}

void conf_report_log(const struct conf_report *r)
{
    for (const struct conf_message *m = r->first; m; m = m->next) {
        enum log_level level = m->say == CONF_SAY_ERROR ? LOG_ERROR : m->say == CONF_SAY_WARN ? LOG_WARN : LOG_INFO;
        if (level >= log_threshold) log_line(level, "config", m->text.p, NULL, 0);
    }
}

void conf_report_print(const struct conf_report *r, struct bytes *out)
{
    static const struct {
        enum conf_say say;
        const char *head;
    } kinds[] = { { CONF_SAY_ERROR, "error" }, { CONF_SAY_WARN, "warning" }, { CONF_SAY_NOTE, "note" } };
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        for (const struct conf_message *m = r->first; m; m = m->next)
            if (m->say == kinds[k].say) bytes_printf(out, "%s: " S_FMT "\n", kinds[k].head, S_ARG(m->text));
}

/* ---- odradek check ------------------------------------------------------------------------------------------------------------------ */

static void print_listeners(const struct conf *c, struct bytes *out)
{
    for (int i = 0; i < c->listeners_n; i++) {
        const struct conf_listener *l = &c->listeners[i];
        bool v6 = l->host.n && memchr(l->host.p, ':', l->host.n);
        bytes_printf(out, "listener " S_FMT " (%s) on %s" S_FMT "%s:%d, clients are told ", S_ARG(l->name),
                     conf_protocol_name(l->protocol), v6 ? "[" : "", l->host.n ? (int)l->host.n : 13,
                     l->host.n ? l->host.p : "every address", v6 ? "]" : "", l->port);
        if (l->derive) bytes_printf(out, "the address they dialled, port %d\n", l->advertised_port);
        else bytes_printf(out, S_FMT ":%d\n", S_ARG(l->advertised_host), l->advertised_port);
    }
}

static const char *verdict_text(const struct conf_def *d)
{
    switch ((enum conf_verdict)d->verdict) {
    case CONF_HONOUR: return "honoured";
    case CONF_CLAMP: return "counts as 1";
    case CONF_AHEAD: return "kept, waits for: ";
    case CONF_IGNORE: return "ignored: ";
    case CONF_QUIET: return "ignored";
    case CONF_LATER:
    case CONF_REJECT: return "only the default: ";
    }
    return "";
}

static void print_given(const struct conf_base *b, struct bytes *out)
{
    for (int i = 0; i < b->given.n; i++) {
        const struct conf_entry *e = &b->given.e[i];
        const struct conf_def *d = conf_find(CONF_SCOPE_BROKER, e->name);
        if (!d) d = listener_key(e->name);
        const struct conf_old_name *old = d ? NULL : old_find(e->name);
        if (e->implied && slice_is(e->name, "broker.id")) continue;
        bytes_printf(out, "set " S_FMT "=" S_FMT " (%s): ", S_ARG(e->name), conf_def_sensitive(d) ? 8 : (int)e->value.n,
                     conf_def_sensitive(d) ? "[hidden]" : e->value.p, e->where);
        if (d) bytes_printf(out, "%s%s\n", verdict_text(d), d->reason ? d->reason : "");
        else bytes_printf(out, "%s\n", old ? old->what : other_setting(e->name) ? "known" : "no effect");
    }
}

int conf_check(struct fs *fs, const struct conf_input *in, struct bytes *out)
{
    struct conf_report r = { 0 };
    struct conf *c;
    int rc = conf_load(fs, in, &c, &r), n;
    bytes_printf(out, "configuration: %s\n", in->file ? in->file : "no file, defaults");
    if (c) {
        const struct slice *dirs = conf_dirs(c, &n);
        bytes_printf(out, "node %d%s\n", conf_node_id(c),
                     conf_is_set(c, CONF_NODE_ID) ? "" : ", unless the directories say otherwise");
        print_listeners(c, out);
        for (int i = 0; i < n; i++) bytes_printf(out, "directory " S_FMT "\n", S_ARG(dirs[i]));
        bytes_printf(out, "metadata in " S_FMT "\n", S_ARG(conf_metadata_dir(c)));
        print_given(c->base, out);
    }
    conf_report_print(&r, out);
    bytes_printf(out, "%s: %d error%s, %d warning%s\n", rc == 0 ? "good" : "bad", r.errors, r.errors == 1 ? "" : "s", r.warnings,
                 r.warnings == 1 ? "" : "s");
    conf_report_free(&r);
    conf_unref(&c);
    return rc;
}

/* ---- the sample file -------------------------------------------------------------------------------------------------------------------- */

static const struct section {
    const char *title;
    const char *prefixes; /* with blanks between; the first section that fits takes a key */
} sections[] = {
    { "Identity and directories",
      "node.id broker. process. log.dir metadata.log.dir cordoned. odradek.cluster.id odradek.disk." },
    { "Listeners and connections", "listener advertised. socket. max.connection connections. num.network. queued. odradek.frame. "
                                   "odradek.memory. odradek.shutdown." },
    { "Durability", "log.flush. odradek.dirty. log.initial.task. replica.high.watermark. num.recovery. num.io. odradek.hot" },
    { "Topics",
      "auto.create. delete.topic. num.partitions default.replication. min.insync. compression. message. max.request.partition. "
      "odradek.replication." },
    { "Segments, retention, compaction", "log." },
    { "Groups and offsets", "group. offset" },
    { "Producers and transactions", "producer. transaction" },
    { "Share groups", "share." },
    { "Other", "" },
};

static size_t section_of(const struct conf_def *d)
{
    for (size_t s = 0; s < ARRAY_LEN(sections); s++) {
        if (!*sections[s].prefixes) return s;
        for (const char *p = sections[s].prefixes; *p; p += strspn(p, " ")) {
            size_t n = strcspn(p, " ");
            if (strncmp(d->name, p, n) == 0) return s;
            p += n;
        }
    }
    return ARRAY_LEN(sections) - 1;
}

static void wrap(struct bytes *out, const char *text)
{
    for (size_t at = 0; text[at];) {
        size_t n = strlen(text + at), width = 118;
        if (n > width) {
            for (n = width; n > 0 && text[at + n] != ' ';) n--;
            if (n == 0) n = width;
        }
        bytes_printf(out, "# %.*s\n", (int)n, text + at);
        at += n;
        while (text[at] == ' ') at++;
    }
}

static void sample_row(struct bytes *out, const struct conf_def *d)
{
    struct bytes right = { 0 };
    value_wanted(d, &right);
    wrap(out, d->doc);
    bytes_printf(out, "# %c%.*s%s\n", right.p[0] >= 'a' && right.p[0] <= 'z' ? right.p[0] - 32 : right.p[0], (int)right.n - 1,
                 right.p + 1, d->mode == CONF_READ_ONLY ? "." : "; may change while the broker runs.");
    bytes_printf(out, "#%s=%s\n\n", d->name, d->def ? d->def : "");
    bytes_free(&right);
}

void conf_sample(struct bytes *out)
{
    bytes_printf(
        out, "# Settings of Odradek: the names, units and defaults of Apache Kafka's server.properties, and some of our own "
             "(odradek.*).\n"
             "# What is commented out stands at its default. Settings of Apache Kafka that are not listed here are accepted and "
             "shown\n"
             "# to clients, without effect on one node; `odradek check FILE` says what becomes of every line.\n"
             "# Printed from the table of settings: do not edit the comments by hand.\n\n"
             "# This machine only. For clients elsewhere: PLAINTEXT://:9092, and set advertised.listeners if they reach it by\n"
             "# another name than the one they dial.\n"
             "listeners=PLAINTEXT://localhost:9092\n\n");
    for (size_t s = 0; s < ARRAY_LEN(sections); s++) {
        bool titled = false;
        for (int k = 0; k < CONF_COUNT; k++) {
            const struct conf_def *d = conf_def((enum conf_key)k);
            if ((d->verdict != CONF_HONOUR && d->verdict != CONF_CLAMP) || d->internal || section_of(d) != s) continue;
            if (!titled) bytes_printf(out, "############ %s\n\n", sections[s].title);
            titled = true;
            sample_row(out, d);
        }
    }
    if (out->n && out->p[out->n - 1] == '\n') out->n--;
}
