/* config: every setting of Apache Kafka 4.3.1 and our own, once, in config_list.h; the parser of server.properties, environment and
 * command line; immutable snapshots; what Describe- and AlterConfigs need to know.
 *
 * A `struct conf` is one snapshot of the broker's settings: frozen, counted, read by any thread without a lock. Dynamic changes make a
 * new one (conf_with). Slices that accessors return live as long as the snapshot.
 *
 * Precedence, lowest first: default, file, environment, --override, cluster-wide dynamic, per-broker dynamic. Several names of one
 * setting (log.retention.ms, .minutes, .hours): the finest unit wins within one level, a higher level beats them all. */
#pragma once
#include <odradek/base.h>

struct conf;

/* ---- keys ------------------------------------------------------------------------------------------------------------------------- */

/* CONF_LOG_SEGMENT_BYTES is "log.segment.bytes"; ours are CONF_ODRADEK_* */
enum conf_key {
#define CONF(id, ...) CONF_##id,
#include <odradek/config_list.h>
    CONF_COUNT
};
/* TOPIC_SEGMENT_BYTES is the topic's "segment.bytes" */
enum topic_key {
#define TOPIC_CONF(id, ...) TOPIC_##id,
#include <odradek/config_list.h>
    TOPIC_COUNT
};
enum group_key {
#define GROUP_CONF(id, ...) GROUP_##id,
#include <odradek/config_list.h>
    GROUP_COUNT
};
/* Client metrics subscriptions */
enum metrics_key {
#define METRICS_CONF(id, ...) METRICS_##id,
#include <odradek/config_list.h>
    METRICS_COUNT
};
/* Of user, client id, ip and broker entities */
enum quota_key {
#define QUOTA_CONF(id, ...) QUOTA_##id,
#include <odradek/config_list.h>
    QUOTA_COUNT
};

/* Numbers as in DescribeConfigs */
enum conf_type {
    CONF_TYPE_UNKNOWN,
    CONF_TYPE_BOOLEAN,
    CONF_TYPE_STRING,
    CONF_TYPE_INT,
    CONF_TYPE_SHORT,
    CONF_TYPE_LONG,
    CONF_TYPE_DOUBLE,
    CONF_TYPE_LIST,
    CONF_TYPE_CLASS,
    CONF_TYPE_PASSWORD
};
/* Numbers as in DescribeConfigs */
enum conf_source {
    CONF_FROM_UNKNOWN,
    CONF_FROM_TOPIC,
    CONF_FROM_DYNAMIC_BROKER,
    CONF_FROM_DYNAMIC_CLUSTER, /* Kafka: DYNAMIC_DEFAULT_BROKER_CONFIG */
    CONF_FROM_STATIC,
    CONF_FROM_DEFAULT,
    CONF_FROM_LOGGER,
    CONF_FROM_CLIENT_METRICS,
    CONF_FROM_GROUP
};
enum conf_verdict {
    CONF_HONOUR,
    CONF_CLAMP,  /* honoured up to 1: this is one node */
    CONF_AHEAD,  /* accepted and shown; acts when the feature named by `reason` is served */
    CONF_IGNORE, /* accepted and shown, no effect on one node; said once at start, with `reason` */
    CONF_QUIET,  /* the same, not worth a line */
    CONF_LATER,  /* anything but the default stops the start: ignoring it would break a promise */
    CONF_REJECT  /* names something that cannot exist here: anything but the default stops the start */
};
enum conf_mode { CONF_READ_ONLY, CONF_PER_BROKER, CONF_CLUSTER_WIDE };
enum conf_check {
    CHECK_ANY,
    CHECK_RANGE,  /* min … max, either may be absent */
    CHECK_GZIP,   /* 1 … 9 or -1 */
    CHECK_ONE_OF, /* set: "a, b, c" */
    CHECK_ONE_OF_ANY_CASE,
    CHECK_LIST,      /* no empty elements; the list itself may be empty */
    CHECK_LIST_FULL, /* nor may the list be empty */
    CHECK_LIST_OF,   /* elements from set; may be empty */
    CHECK_LIST_OF_FULL,
    CHECK_NON_NULL,
    CHECK_NON_EMPTY,
    CHECK_THROTTLED, /* partition:broker,… or * */
    CHECK_OFFSET_RESET
};
/* Which list a row stands in; the numbers of Kafka's ConfigResource types where there is one */
enum conf_scope {
    CONF_SCOPE_TOPIC = 2,
    CONF_SCOPE_BROKER = 4,
    CONF_SCOPE_CLIENT_METRICS = 16,
    CONF_SCOPE_GROUP = 32,
    CONF_SCOPE_QUOTA = 64
};
/* One row of config_list.h */
struct conf_def {
    const char *name;
    const char *doc;
    const char *def; /* as text; NULL = null */
    const char *set; /* for CHECK_ONE_OF… and CHECK_LIST_OF… */
    const char *reason;
    double min, max; /* for CHECK_RANGE; -INFINITY, INFINITY: open */
    uint8_t type, importance /* 0 high, 1 medium, 2 low */, mode, verdict, check;
    bool required;       /* Kafka has no default for it; `def` is then ours and is never shown as a default */
    bool internal;       /* not described unless set */
    const char *synonym; /* topics and groups: the broker's key that gives the default; NULL = none */
};
const struct conf_def *conf_def(enum conf_key k);
const struct conf_def *conf_def_at(enum conf_scope scope, int i);           /* NULL past the last */
const struct conf_def *conf_find(enum conf_scope scope, struct slice name); /* NULL: no such setting */
static inline bool conf_def_sensitive(const struct conf_def *d) { return !d || d->type == CONF_TYPE_PASSWORD; }

struct conf_kv {
    struct slice name, value; /* value null: none, or for alterations: remove */
};

/* ---- loading ------------------------------------------------------------------------------------------------------------------------ */

enum conf_say { CONF_SAY_NOTE, CONF_SAY_WARN, CONF_SAY_ERROR };
struct conf_message {
    enum conf_say say;
    struct slice text; /* NUL-terminated */
    struct conf_message *next;
};
/* What start-up has to say. Zero it to initialise. */
struct conf_report {
    struct arena arena;
    struct conf_message *first, **last;
    int errors, warnings;
};
void conf_report_free(struct conf_report *r);
void conf_report_log(const struct conf_report *r);                      /* one log line each */
void conf_report_print(const struct conf_report *r, struct bytes *out); /* one text line each, errors first */

struct conf_input {
    const char *file;             /* path, read through fs; NULL = none: defaults that listen on localhost only */
    const char *const *overrides; /* "key=value" */
    int overrides_n;
    char **envp; /* NULL-terminated; NULL = none. KAFKA_…, KAFKA_CFG_…, CLUSTER_ID, STATE_DIRECTORY */
};
/* Reads and checks everything, and collects every error, not only the first, into r with file, line, key, value and what would be
 * right. 0 and *out (one reference), or E_INVALID_CONFIG and *out NULL. Blocks. */
int conf_load(struct fs *fs, const struct conf_input *in, struct conf **out, struct conf_report *r);
/* `odradek check FILE`: the same, told in full: listeners, directories, what is honoured, ignored, rejected. Returns as conf_load. */
int conf_check(struct fs *fs, const struct conf_input *in, struct bytes *out);
/* A snapshot of `key=value` lines alone, for tests and for embedding; text is in properties syntax. */
int conf_parse(struct slice text, struct conf **out, struct conf_report *r);

struct conf *conf_ref(const struct conf *c); /* a const snapshot may be referenced */
void conf_unref(struct conf **c);            /* nulls */

/* config/server.properties: every honoured key with its default, commented out. */
void conf_sample(struct bytes *out);

/* ---- reading ------------------------------------------------------------------------------------------------------------------------ */

/* The accessor must fit the key's type; asserted. A null number reads as `CONF_NULL` (conf_i64) or NAN (conf_f64). */
#define CONF_NULL INT64_MIN
bool conf_bool(const struct conf *c, enum conf_key k);
int64_t conf_i64(const struct conf *c, enum conf_key k); /* INT, SHORT, LONG; clamped where the verdict says so */
double conf_f64(const struct conf *c, enum conf_key k);
struct slice conf_str(const struct conf *c, enum conf_key k); /* any type, as text; NUL-terminated; null is null */
const struct slice *conf_list(const struct conf *c, enum conf_key k, int *n);
bool conf_is_set(const struct conf *c, enum conf_key k); /* not a default: somebody said so */
enum conf_source conf_source(const struct conf *c, enum conf_key k);
int64_t conf_written_i64(const struct conf *c, enum conf_key k); /* conf_i64 before the clamp */

/* Effective directories: log.dirs, else log.dir, else $STATE_DIRECTORY, else /tmp/kafka-logs. Absolute or as written, no duplicates. */
const struct slice *conf_dirs(const struct conf *c, int *n);
struct slice conf_metadata_dir(const struct conf *c); /* metadata.log.dir, else the first of conf_dirs */
int32_t conf_node_id(const struct conf *c);           /* default 1; conf_is_set(c, CONF_NODE_ID) says whether it was left open */

enum conf_protocol { PROTOCOL_PLAINTEXT, PROTOCOL_SSL, PROTOCOL_SASL_PLAINTEXT, PROTOCOL_SASL_SSL };
struct conf_listener {
    struct slice name; /* upper case */
    enum conf_protocol protocol;
    struct slice host; /* to bind; empty = every address; "localhost" = both 127.0.0.1 and ::1 */
    int port;          /* 0 = any */
    /* Nothing to advertise was written and the listener is on every address: advertise the address that the client dialled, localhost
     * for loopback. */
    bool derive;
    struct slice advertised_host; /* null when derive */
    int advertised_port;          /* 0 = the bound one */
};
/* What to open; CONTROLLER listeners are not among them. */
const struct conf_listener *conf_listeners(const struct conf *c, int *n);
const char *conf_protocol_name(enum conf_protocol p);
/* listener.name.<listener>.<key>, else <key>. listener in any case. */
int64_t conf_listener_i64(const struct conf *c, struct slice listener, enum conf_key k);
struct slice conf_listener_str(const struct conf *c, struct slice listener, enum conf_key k);
/* listener.name.<listener>.<mechanism>.<key>, else listener.name.<listener>.<key>, else <key>. */
struct slice conf_mechanism_str(const struct conf *c, struct slice listener, struct slice mechanism, enum conf_key k);
int64_t conf_max_connections_of_ip(const struct conf *c, struct slice host); /* max.connections.per.ip with its overrides */
/* Any key as it stands in the effective configuration, also names we have no row for (super.users); null when absent. */
struct slice conf_raw(const struct conf *c, struct slice name);

/* ---- dynamic broker configs ----------------------------------------------------------------------------------------------------------- */

/* A new snapshot over the same static part. Names and values that cannot be used (an older or newer broker wrote them) are ignored
 * with a log line each, as Kafka does at start. One reference. */
struct conf *conf_with(const struct conf *c, const struct conf_kv *cluster, int cluster_n, const struct conf_kv *broker,
                       int broker_n);
/* Would all the dynamic configs of the broker (or of the cluster default) be right? 0, or E_INVALID_REQUEST with Kafka's words. */
int conf_dynamic_check(const struct conf *c, bool per_broker, const struct conf_kv *all, int n, struct why *why);

/* ---- topics ---------------------------------------------------------------------------------------------------------------------------- */

enum { TOPIC_CODEC_PRODUCER = -1 }; /* else the codec's number in batch attributes: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd */
/* Resolved: for the hot path; plain data, copy it */
struct topic_conf {
    int64_t segment_ms; /* of a compacted topic no more than max_compaction_lag_ms */
    int64_t segment_jitter_ms;
    int64_t retention_ms;    /* -1: for ever */
    int64_t retention_bytes; /* -1: no limit */
    /* 1: acks=all waits for the disk, the high watermark is durable; INT64_MAX: the page cache counts */
    int64_t flush_messages;
    int64_t flush_ms; /* INT64_MAX: not by time */
    int64_t timestamp_before_max_ms, timestamp_after_max_ms;
    int64_t file_delete_delay_ms;
    int64_t delete_retention_ms;
    int64_t min_compaction_lag_ms, max_compaction_lag_ms;
    double min_cleanable_dirty_ratio;
    int32_t segment_bytes;
    int32_t segment_index_bytes;
    int32_t index_interval_bytes;
    int32_t max_message_bytes;   /* of a batch, as stored */
    int32_t min_insync_replicas; /* clamped to 1 */
    int32_t compression_level;   /* of `compression`, where it is gzip, lz4 or zstd */
    int8_t compression;          /* TOPIC_CODEC_PRODUCER, or a codec to recompress to */
    bool log_append_time;
    bool cleanup_compact, cleanup_delete;
    bool preallocate;
    bool unclean_leader_election; /* stored and shown; one replica has nothing to elect */
};
/* Overrides that are not right are ignored, one by one, with a log line: they were checked when written. */
/* What k says of the segments of an internal topic, raised to the least that a topic's segment.bytes may be (Apache Kafka 4 takes less, and then
 * fails to create the topic). */
int64_t conf_segment_bytes(const struct conf *c, enum conf_key k);
void topic_conf_resolve(const struct conf *c, const struct conf_kv *overrides, int n, struct topic_conf *out);
/* All of a topic's overrides as they would be: names, values, and what contradicts. 0 or E_INVALID_CONFIG with Kafka's words.
 * Settings that Kafka 4.0 removed (message.format.version, …) are unknown, as to Kafka. */
int topic_conf_check(const struct conf *c, const struct conf_kv *all, int n, struct why *why);
/* One value against one row, of any scope. 0 or E_INVALID_CONFIG with Kafka's words: "Invalid value x for configuration y: …". */
int conf_value_check(const struct conf_def *d, struct slice value, struct why *why);

/* ---- groups, client metrics ------------------------------------------------------------------------------------------------------------- */

int group_conf_check(const struct conf *c, const struct conf_kv *all, int n, struct why *why);
int metrics_conf_check(const struct conf_kv *all, int n, struct why *why); /* 0, E_INVALID_CONFIG or E_INVALID_REQUEST */
int64_t group_conf_i64(const struct conf *c, const struct conf_kv *overrides, int n, enum group_key k);
struct slice group_conf_str(const struct conf *c, const struct conf_kv *overrides, int n, enum group_key k);

/* ---- AlterConfigs helpers ---------------------------------------------------------------------------------------------------------------- */

enum conf_op { CONF_OP_SET, CONF_OP_DELETE, CONF_OP_APPEND, CONF_OP_SUBTRACT }; /* numbers as in IncrementalAlterConfigs */
/* The new value of one setting after an operation; *out null: no override any more. `current` null: none. For APPEND and SUBTRACT the
 * key must be a list, and they begin with the row's default when there is no override (as Kafka). 0, E_INVALID_CONFIG or, for an
 * operation that does not exist, E_INVALID_REQUEST. The text lives in a or is value/current itself. */
int conf_alter(enum conf_scope scope, struct slice name, struct slice current, int op, struct slice value, struct arena *a,
               struct slice *out, struct why *why);

/* ---- DescribeConfigs ---------------------------------------------------------------------------------------------------------------------- */

struct conf_synonym {
    struct slice name, value; /* value null when sensitive */
    enum conf_source source;
};
struct conf_row {
    struct slice name, value; /* value null: null, or sensitive */
    enum conf_type type;
    enum conf_source source;
    bool read_only, sensitive;
    struct slice doc; /* null for names without a row */
    int synonyms_n;
    struct conf_synonym *synonyms; /* highest precedence first */
};
/* The rows Kafka 4.3.1 shows, and our own, sorted by name. They live in a; texts may be c's. Return how many. */
int conf_describe_broker(const struct conf *c, struct arena *a, struct conf_row **rows);
int conf_describe_cluster(const struct conf *c, struct arena *a, struct conf_row **rows); /* broker resource with an empty name */
int conf_describe_topic(const struct conf *c, const struct conf_kv *overrides, int n, struct arena *a, struct conf_row **rows);
int conf_describe_group(const struct conf *c, const struct conf_kv *overrides, int n, struct arena *a, struct conf_row **rows);
int conf_describe_client_metrics(const struct conf_kv *overrides, int n, struct arena *a, struct conf_row **rows);

/* ---- Java properties ---------------------------------------------------------------------------------------------------------------------- */

/* Walks text in java.util.Properties syntax: continuations, escapes, \uXXXX (made UTF-8), `=`, `:` or blanks. Key and value live in a.
 * `fn` gets each entry with the line it begins on. Returns 0, or E_INVALID with *bad_line where a \u escape is broken. */
int properties_parse(struct slice text, struct arena *a, void (*fn)(void *arg, struct slice key, struct slice value, int line),
                     void *arg, int *bad_line);
