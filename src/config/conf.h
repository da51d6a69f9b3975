/* Private to config. How the files divide: defs.c the table, properties.c the syntax, value.c one value against one row, input.c where
 * values come from (file, environment, command line, providers), listen.c listeners, conf.c snapshots, topic.c topics, groups and client
 * metrics, describe.c DescribeConfigs, report.c what a person reads. */
#pragma once
#include <math.h>
#include <odradek/config.h>

/* One written setting. Later levels go first when a key is looked up; within a level names are unique. */
struct conf_entry {
    struct slice name, value;
    const char *where; /* "server.properties:12", "environment KAFKA_LISTENERS", "--override"; NULL for dynamic ones */
    bool implied;      /* put there by us from another key: shown by DescribeConfigs, but nobody is blamed for it */
};
struct conf_entries {
    struct conf_entry *e;
    int n, cap;
};
struct conf_entry *entries_find(const struct conf_entries *l, struct slice name);
struct conf_entry *entries_put(struct conf_entries *l, struct arena *a, struct slice name, struct slice value, const char *where);

/* A parsed value. The text is normal: trimmed, lists joined by plain commas without duplicates, numbers as Java prints them. */
struct conf_value {
    struct slice text; /* NUL-terminated; null = null */
    int64_t i;         /* CONF_NULL when null */
    double f;          /* NAN when null */
    struct slice *list;
    int list_n;
};
/* Kafka's words go to why. */
int value_parse(const struct conf_def *d, struct slice text, struct arena *a, struct conf_value *out, struct why *why);
/* What would be right, for a person: "a whole number of at least 1". */
void value_wanted(const struct conf_def *d, struct bytes *out);
struct slice double_text(double d, struct arena *a); /* as Double.toString */
struct slice slice_trim(struct slice s);             /* as String.trim: everything up to U+0020 */
bool slice_ieq(struct slice a, struct slice b);
bool slice_starts(struct slice s, const char *prefix);
bool slice_ends(struct slice s, const char *suffix);
struct slice slice_cut(struct slice s, size_t from);
static inline bool slice_is(struct slice s, const char *z) { return slice_eq(s, slice_of(z)); }

/* The part of a snapshot that dynamic configs do not change; counted, shared by snapshots. */
struct conf_base {
    _Atomic uint32_t refs;
    struct arena arena;
    struct conf_entries given; /* as written, implied ones too */
    struct slice state_dir;    /* $STATE_DIRECTORY, its first; null */
    struct slice file;         /* null: none was given */
    bool local;                /* no file: listen on localhost only */
};
struct conf {
    _Atomic uint32_t refs;
    struct conf_base *base;
    struct arena arena;
    struct conf_entries cluster, broker; /* dynamic */
    struct conf_value v[CONF_COUNT];
    uint8_t source[CONF_COUNT];
    struct slice *dirs;
    int dirs_n;
    struct conf_listener *listeners;
    int listeners_n;
};
/* Takes *base over. Wrong values count as their defaults; listeners are left to listeners_build. */
struct conf *conf_build(struct conf_base **base, const struct conf_entries *cluster, const struct conf_entries *broker);
struct slice conf_default(const struct conf_base *b, enum conf_key k); /* null = null */

/* The setting behind listener.name.<listener>[.<mechanism>].<key>; NULL when the name has no such form or key. */
const struct conf_def *listener_key(struct slice name);

struct conf_base *input_read(struct fs *fs, const struct conf_input *in, struct conf_report *r); /* never NULL; errors in r */
int input_text(struct conf_base *b, struct slice text, const char *file, struct conf_report *r);
void input_settle(struct fs *fs, struct conf_base *b, const struct conf_input *in, struct conf_report *r);
struct conf_base *base_new(void);
void base_unref(struct conf_base **b);

/* Fills c->listeners. Errors go to r with `where` of the entry at fault; r may be NULL where they were checked before. */
void listeners_build(struct conf *c, struct conf_report *r);

/* The effective value of one setting with its overrides; text in a or c. A bad override falls back to the broker's. */
struct conf_value topic_value(const struct conf *c, const struct conf_kv *kv, int n, enum topic_key k, struct arena *a);
struct conf_value group_value(const struct conf *c, const struct conf_kv *kv, int n, enum group_key k, struct arena *a);

void say(struct conf_report *r, enum conf_say say, const char *fmt, ...) PRINTF(3, 4);
void say_entry(struct conf_report *r, enum conf_say say, const struct conf_entry *e, const char *fmt, ...) PRINTF(4, 5);

/* Former names. */
enum conf_old { OLD_GONE, OLD_MAPPED };
struct conf_old_name {
    const char *name; /* a trailing * is any ending */
    enum conf_old kind;
    const char *what;
};
const struct conf_old_name *old_find(struct slice name);
const char *
client_setting(struct slice name); /* what a client's or a topic's setting in the broker's file means; NULL: neither */
const char *
other_setting(struct slice name); /* known names outside Kafka's table: "" fine, else the feature it waits for; NULL unknown */
const struct conf_def *nearest(struct slice name);           /* for typos; NULL when nothing is near */
int broker_synonyms(struct slice name, struct slice out[4]); /* names of one setting, finest first, itself included */
