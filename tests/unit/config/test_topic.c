/* Topics, groups, client metrics and dynamic broker configs: resolution, checks in Kafka's words, what DescribeConfigs shows. The
 * expectations are what Apache Kafka 4.3.1 answered to the same requests. */
#include "help.h"

static void resolve(const char *broker, struct topic_conf *out, const struct conf_kv *kv, int n)
{
    struct conf *c = parse_ok(broker);
    topic_conf_resolve(c, kv, n, out);
    conf_unref(&c);
}

static void a_topic_without_overrides_has_the_brokers_defaults(void **state)
{
    struct topic_conf t;
    resolve("", &t, NULL, 0);
    assert_int_equal(t.segment_bytes, 1073741824);
    assert_int_equal(t.segment_ms, 604800000);
    assert_int_equal(t.segment_jitter_ms, 0);
    assert_int_equal(t.retention_ms, 604800000);
    assert_int_equal(t.retention_bytes, -1);
    assert_int_equal(t.flush_messages, 1);
    assert_int_equal(t.flush_ms, INT64_MAX);
    assert_int_equal(t.max_message_bytes, 1048588);
    assert_int_equal(t.index_interval_bytes, 4096);
    assert_int_equal(t.segment_index_bytes, 10485760);
    assert_int_equal(t.timestamp_before_max_ms, INT64_MAX);
    assert_int_equal(t.timestamp_after_max_ms, 3600000);
    assert_int_equal(t.file_delete_delay_ms, 60000);
    assert_int_equal(t.delete_retention_ms, 86400000);
    assert_int_equal(t.min_insync_replicas, 1);
    assert_int_equal(t.compression, TOPIC_CODEC_PRODUCER);
    assert_true(t.min_cleanable_dirty_ratio == 0.5);
    assert_true(t.cleanup_delete && !t.cleanup_compact && !t.log_append_time && !t.preallocate && !t.unclean_leader_election);
}

static void a_compacted_topic_rolls_before_its_records_are_overdue(void **state)
{
    struct topic_conf t;
    const struct conf_kv kv[] = { { S("max.compaction.lag.ms"), S("5000") }, { S("cleanup.policy"), S("compact") } };
    resolve("", &t, kv, 1);
    assert_int_equal(t.segment_ms, 604800000);
    resolve("", &t, kv, 2);
    assert_int_equal(t.segment_ms, 5000);
}

static void the_brokers_units_become_the_topics_and_the_finest_wins(void **state)
{
    struct topic_conf t;
    resolve("log.retention.hours=2\nlog.roll.hours=3\nlog.roll.jitter.hours=1\nlog.flush.scheduler.interval.ms=70", &t, NULL, 0);
    assert_int_equal(t.retention_ms, 7200000);
    assert_int_equal(t.segment_ms, 3 * 3600000);
    assert_int_equal(t.segment_jitter_ms, 3600000);
    assert_int_equal(t.flush_ms, 70);
    resolve("log.retention.hours=2\nlog.retention.minutes=3\nlog.roll.ms=5\nlog.roll.hours=9\nlog.flush.interval.ms=8", &t, NULL,
            0);
    assert_int_equal(t.retention_ms, 180000);
    assert_int_equal(t.segment_ms, 5);
    assert_int_equal(t.flush_ms, 8);
    resolve("log.retention.ms=1\nlog.retention.minutes=3\n", &t, NULL, 0);
    assert_int_equal(t.retention_ms, 1);
    resolve("log.retention.hours=-1", &t, NULL, 0);
    assert_int_equal(t.retention_ms, -1);
}

static void overrides_win_and_bad_ones_are_left_out(void **state)
{
    struct topic_conf t;
    const struct conf_kv kv[] = { KV("cleanup.policy", "compact, delete"),
                                  KV("compression.type", "zstd"),
                                  KV("compression.zstd.level", "-5"),
                                  KV("message.timestamp.type", "LogAppendTime"),
                                  KV("min.insync.replicas", "2"),
                                  KV("retention.ms", "never"),
                                  KV("retention.bytes", "-5"),
                                  KV("segment.bytes", "2000000"),
                                  KV("internal.segment.bytes", "1000"),
                                  KV("nonsense", "1"),
                                  KV("preallocate", "TRUE") };
    resolve("log.retention.ms=77", &t, kv, ARRAY_LEN(kv));
    assert_true(t.cleanup_compact && t.cleanup_delete && t.log_append_time && t.preallocate);
    assert_int_equal(t.compression, 4);
    assert_int_equal(t.compression_level, -5);
    assert_int_equal(t.min_insync_replicas, 1);
    assert_int_equal(t.retention_ms, 77);
    assert_int_equal(t.retention_bytes, -1);
    assert_int_equal(t.segment_bytes, 1000);
    const struct conf_kv keep[] = { KV("cleanup.policy", ""), KV("compression.type", "uncompressed") };
    resolve("", &t, keep, 2);
    assert_true(!t.cleanup_compact && !t.cleanup_delete);
    assert_int_equal(t.compression, 0);
}

static int complaints;
static void count_complaints(void *arg, enum log_level level, struct slice line)
{
    complaints += memmem(line.p, line.n, "topic config ignored", 20) != NULL;
}

static void what_is_wrong_with_a_topic_is_said_once(void **state)
{
    struct topic_conf tc;
    (void)state;
    complaints = 0;
    log_sink(count_complaints, NULL);
    for (int i = 0; i < 5; i++) resolve("", &tc, (struct conf_kv[]){ { S("segment.bytes"), S("1001") } }, 1);
    log_sink(NULL, NULL);
    assert_int_equal(complaints, 1);
    assert_int_equal(tc.segment_bytes, 1 << 30);
}

/* Apache Kafka takes the broker's setting, and then refuses the topic that it would create with it. */
static void internal_topics_get_segments_that_a_topic_may_have(void **state)
{
    (void)state;
    struct conf *c = parse_ok("offsets.topic.segment.bytes=1000\ntransaction.state.log.segment.bytes=2097152\n");
    assert_int_equal(conf_segment_bytes(c, CONF_OFFSETS_TOPIC_SEGMENT_BYTES), 1048576);
    assert_int_equal(conf_segment_bytes(c, CONF_TRANSACTION_STATE_LOG_SEGMENT_BYTES), 2097152);
    conf_unref(&c);
}

static void check_topic(const struct conf_kv *kv, int n, const char *want)
{
    struct conf *c = parse_ok("");
    struct why w = { "" };
    assert_int_equal(topic_conf_check(c, kv, n, &w), want ? E_INVALID_CONFIG : 0);
    assert_string_equal(w.text, want ? want : "");
    conf_unref(&c);
}

static void a_topics_overrides_are_checked_together(void **state)
{
    check_topic((struct conf_kv[]){ KV("retention.ms", "5"), KV("cleanup.policy", "compact") }, 2, NULL);
    check_topic((struct conf_kv[]){ KV("retention.ms", "x"), KV("nonsense", "1") }, 2, "Unknown topic config name: nonsense");
    check_topic((struct conf_kv[]){ KV("message.format.version", "2.0") }, 1,
                "Unknown topic config name: message.format.version");
    check_topic((struct conf_kv[]){ KV("retention.ms", NULL), KV("flush.ms", NULL) }, 2,
                "Null value not supported for topic configs: retention.ms,flush.ms");
    check_topic((struct conf_kv[]){ KV("min.compaction.lag.ms", "10"), KV("max.compaction.lag.ms", "5") }, 2,
                "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)");
    check_topic((struct conf_kv[]){ KV("remote.storage.enable", "true") }, 1,
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.");
    check_topic((struct conf_kv[]){ KV("min.insync.replicas", "2"), KV("remote.log.copy.disable", "true") }, 2, NULL);
}

static void alter(enum conf_scope scope, const char *name, const char *current, int op, const char *value, const char *want)
{
    struct arena a;
    struct slice out = { NULL, 0 };
    struct why w = { "" };
    arena_init(&a);
    assert_ok(conf_alter(scope, slice_of(name), slice_of(current), op, slice_of(value), &a, &out, &w));
    assert_slice(out, want);
    arena_free(&a);
}

static void lists_are_appended_to_and_subtracted_from(void **state)
{
    const enum conf_scope t = CONF_SCOPE_TOPIC;
    alter(t, "cleanup.policy", NULL, CONF_OP_APPEND, "compact", "delete,compact");
    alter(t, "cleanup.policy", "compact", CONF_OP_APPEND, "delete,compact", "compact,delete");
    alter(t, "cleanup.policy", "compact,delete", CONF_OP_SUBTRACT, "compact", "delete");
    alter(t, "cleanup.policy", NULL, CONF_OP_SUBTRACT, "delete", "");
    alter(t, "cleanup.policy", "delete", CONF_OP_SUBTRACT, "compact,x", "delete");
    alter(t, "leader.replication.throttled.replicas", NULL, CONF_OP_APPEND, "0:1,1:1", "0:1,1:1");
    alter(t, "leader.replication.throttled.replicas", "0:1", CONF_OP_SET, "*", "*");
    alter(t, "retention.ms", "5", CONF_OP_DELETE, NULL, NULL);
    alter(t, "unknown", NULL, CONF_OP_SET, "5", "5");
    alter(CONF_SCOPE_BROKER, "log.cleanup.policy", NULL, CONF_OP_APPEND, "compact", "delete,compact");
}

static void what_is_no_list_cannot_be_appended_to(void **state)
{
    struct arena a;
    struct slice out;
    struct why w;
    arena_init(&a);
    assert_int_equal(conf_alter(CONF_SCOPE_TOPIC, S("retention.ms"), S("1"), CONF_OP_APPEND, S("5"), &a, &out, &w),
                     E_INVALID_CONFIG);
    assert_string_equal(w.text, "Can't APPEND to key retention.ms because its type is not LIST.");
    assert_int_equal(conf_alter(CONF_SCOPE_TOPIC, S("nonsense"), S("1"), CONF_OP_SUBTRACT, S("5"), &a, &out, &w),
                     E_INVALID_CONFIG);
    assert_string_equal(w.text, "Can't SUBTRACT to key nonsense because its type is not LIST.");
    assert_int_equal(conf_alter(CONF_SCOPE_TOPIC, S("a"), S("1"), 9, S("5"), &a, &out, &w), E_INVALID_REQUEST);
    assert_int_equal(conf_alter(CONF_SCOPE_TOPIC, S("a"), S("1"), CONF_OP_SET, (struct slice){ NULL, 0 }, &a, &out, &w),
                     E_INVALID_REQUEST);
    arena_free(&a);
}

static void topics_show_their_own_value_then_the_brokers(void **state)
{
    struct conf *c = parse_ok("log.segment.bytes=2000000\nlog.retention.hours=5");
    const struct conf_kv kv[] = { KV("segment.bytes", " 3000000 "), KV("min.cleanable.dirty.ratio", "1e-1"),
                                  KV("retention.ms", "5000"),       KV("internal.segment.bytes", "1000"),
                                  KV("min.insync.replicas", "2"),   KV("message.format.version", "2.0") };
    struct arena a;
    struct conf_row *rows;
    arena_init(&a);
    int n = conf_describe_topic(c, kv, ARRAY_LEN(kv), &a, &rows);
    assert_int_equal(n, 35);
    for (int i = 1; i < n; i++) assert_true(slice_cmp(rows[i - 1].name, rows[i].name) < 0);
    const struct conf_row *r = row_of(rows, n, "segment.bytes");
    assert_slice(r->value, "3000000");
    assert_int_equal(r->type, CONF_TYPE_INT);
    assert_false(r->read_only || r->sensitive);
    assert_int_equal(r->source, CONF_FROM_TOPIC);
    assert_synonyms(r, "1:segment.bytes=3000000; 4:log.segment.bytes=2000000; 5:log.segment.bytes=1073741824");
    assert_true(r->doc.n > 0);
    r = row_of(rows, n, "min.cleanable.dirty.ratio");
    assert_slice(r->value, "0.1");
    assert_synonyms(r, "1:min.cleanable.dirty.ratio=0.1; 5:log.cleaner.min.cleanable.ratio=0.5");
    /* log.retention.ms itself is not set, so Kafka drops the hours from the list, and with them the source */
    assert_synonyms(row_of(rows, n, "retention.ms"), "1:retention.ms=5000");
    assert_synonyms(row_of(rows, n, "min.insync.replicas"), "1:min.insync.replicas=2; 5:min.insync.replicas=1");
    assert_slice(row_of(rows, n, "min.insync.replicas")->value, "2");
    assert_synonyms(row_of(rows, n, "remote.storage.enable"), "");
    assert_slice(row_of(rows, n, "internal.segment.bytes")->value, "1000");
    r = row_of(rows, n, "message.format.version");
    assert_true(r->sensitive && r->type == CONF_TYPE_UNKNOWN);
    assert_null(r->value.p);
    n = conf_describe_topic(c, NULL, 0, &a, &rows);
    assert_int_equal(n, 33);
    r = row_of(rows, n, "retention.ms");
    assert_slice(r->value, "18000000");
    assert_int_equal(r->source, CONF_FROM_DEFAULT);
    assert_synonyms(r, "");
    assert_int_equal(row_of(rows, n, "segment.bytes")->source, CONF_FROM_STATIC);
    arena_free(&a);
    conf_unref(&c);
}

static void the_broker_shows_kafkas_rows_and_ours(void **state)
{
    struct conf *c =
        parse_ok("node.id=1\nssl.key.password=x\nzookeeper.connect=z:2181\nlog.initial.task.delay.ms=5\nlog.dirs=/d\n"
                 "offsets.topic.replication.factor=3\nlistener.name.x.ssl.keystore.type=PEM\n");
    struct arena a;
    struct conf_row *rows;
    arena_init(&a);
    int n = conf_describe_broker(c, &a, &rows), ours = 0;
    for (int i = 0; i < n; i++) ours += rows[i].name.n > 8 && memcmp(rows[i].name.p, "odradek.", 8) == 0;
    assert_int_equal(n - ours, 340 + 3); /* the public ones, an internal one that is set, and two that are not in the table */
    const struct conf_row *r = row_of(rows, n, "node.id");
    assert_slice(r->value, "1");
    assert_int_equal(r->source, CONF_FROM_STATIC);
    assert_true(r->read_only);
    assert_synonyms(r, "4:node.id=1");
    assert_synonyms(row_of(rows, n, "broker.id"), "4:broker.id=1; 5:broker.id=-1");
    assert_synonyms(row_of(rows, n, "log.dirs"), "4:log.dirs=/d");
    assert_synonyms(row_of(rows, n, "listeners"), "5:listeners=PLAINTEXT://:9092");
    assert_false(row_of(rows, n, "listeners")->read_only);
    assert_synonyms(row_of(rows, n, "log.retention.ms"), "");
    assert_null(row_of(rows, n, "log.retention.ms")->value.p);
    assert_synonyms(row_of(rows, n, "log.flush.interval.messages"), "5:log.flush.interval.messages=1");
    assert_synonyms(row_of(rows, n, "offsets.topic.replication.factor"),
                    "4:offsets.topic.replication.factor=3; 5:offsets.topic.replication.factor=1");
    assert_synonyms(row_of(rows, n, "log.initial.task.delay.ms"),
                    "4:log.initial.task.delay.ms=5; 5:log.initial.task.delay.ms=30000");
    r = row_of(rows, n, "ssl.key.password");
    assert_true(r->sensitive && !r->read_only);
    assert_null(r->value.p);
    assert_int_equal(r->synonyms_n, 1);
    assert_null(r->synonyms[0].value.p);
    r = row_of(rows, n, "zookeeper.connect");
    assert_true(r->sensitive && r->read_only && !r->value.p && r->type == CONF_TYPE_UNKNOWN);
    assert_int_equal(r->source, CONF_FROM_STATIC);
    r = row_of(rows, n, "listener.name.x.ssl.keystore.type");
    assert_int_equal(r->type, CONF_TYPE_STRING);
    assert_true(r->read_only);
    assert_synonyms(r, "4:listener.name.x.ssl.keystore.type=PEM; 5:ssl.keystore.type=JKS");
    arena_free(&a);
    conf_unref(&c);
}

static void dynamic_configs_make_a_new_snapshot(void **state)
{
    struct conf *c = parse_ok("log.retention.hours=9\ncompression.type=gzip");
    const struct conf_kv all[] = { KV("log.retention.ms", "3600000"),
                                   KV("compression.type", "zstd"),
                                   KV("log.cleaner.threads", "x"),
                                   KV("log.retention.hours", "5"),
                                   KV("unknown.key", "1"),
                                   KV("sasl.jaas.config", "x"),
                                   KV("leader.replication.throttled.rate", "5") };
    const struct conf_kv own[] = { KV("compression.type", "lz4"), KV("sasl.jaas.config", "y") };
    struct conf *next = conf_with(c, all, ARRAY_LEN(all), own, ARRAY_LEN(own));
    struct topic_conf t;
    struct arena a;
    struct conf_row *rows;
    arena_init(&a);
    assert_slice(conf_str(c, CONF_COMPRESSION_TYPE), "gzip");
    assert_slice(conf_str(next, CONF_COMPRESSION_TYPE), "lz4");
    assert_int_equal(conf_source(next, CONF_COMPRESSION_TYPE), CONF_FROM_DYNAMIC_BROKER);
    assert_int_equal(conf_i64(next, CONF_LOG_CLEANER_THREADS), 1);
    assert_int_equal(conf_i64(next, CONF_LOG_RETENTION_HOURS), 9);
    assert_slice(conf_str(next, CONF_SASL_JAAS_CONFIG), "y");
    topic_conf_resolve(next, NULL, 0, &t);
    assert_int_equal(t.retention_ms, 3600000);
    assert_int_equal(t.compression, 3);
    int n = conf_describe_broker(next, &a, &rows);
    assert_synonyms(row_of(rows, n, "compression.type"),
                    "2:compression.type=lz4; 3:compression.type=zstd; 4:compression.type=gzip; 5:compression.type=producer");
    assert_synonyms(row_of(rows, n, "log.retention.ms"),
                    "3:log.retention.ms=3600000; 4:log.retention.hours=9; 5:log.retention.hours=168");
    const struct conf_row *r = row_of(rows, n, "unknown.key");
    assert_true(r->sensitive && r->read_only && !r->value.p);
    r = row_of(rows, n, "leader.replication.throttled.rate");
    assert_slice(r->value, "5");
    assert_int_equal(r->type, CONF_TYPE_LONG);
    n = conf_describe_topic(next, NULL, 0, &a, &rows);
    assert_synonyms(row_of(rows, n, "retention.ms"),
                    "3:log.retention.ms=3600000; 4:log.retention.hours=9; 5:log.retention.hours=168");
    n = conf_describe_cluster(next, &a, &rows);
    assert_int_equal(n, 4);
    assert_synonyms(row_of(rows, n, "compression.type"), "3:compression.type=zstd");
    assert_slice(row_of(rows, n, "compression.type")->value, "zstd");
    assert_false(row_of(rows, n, "compression.type")->read_only);
    int listeners;
    assert_slice(conf_listeners(next, &listeners)->name, "PLAINTEXT");
    arena_free(&a);
    conf_unref(&c);
    conf_unref(&next);
}

static void check_dynamic(bool per_broker, const char *name, const char *value, const char *want)
{
    struct conf *c = parse_ok("");
    struct why w = { "" };
    const struct conf_kv kv = KV(name, value);
    assert_int_equal(conf_dynamic_check(c, per_broker, &kv, 1, &w), want ? E_INVALID_REQUEST : 0);
    assert_string_equal(w.text, want ? want : "");
    conf_unref(&c);
}

static void dynamic_configs_are_checked_in_kafkas_words(void **state)
{
    for (int per_broker = 0; per_broker < 2; per_broker++) {
        check_dynamic(per_broker, "log.retention.hours", "5", "Cannot update these configs dynamically: [log.retention.hours]");
        check_dynamic(per_broker, "node.id", "3", "Cannot update these configs dynamically: [node.id]");
        check_dynamic(per_broker, "log.retention.ms", "x",
                      "Invalid value x for configuration log.retention.ms: Not a number of type LONG");
        check_dynamic(per_broker, "log.retention.ms", "3600000", NULL);
        check_dynamic(
            per_broker, "num.io.threads", "100",
            "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation failed for "
            "num.io.threads=100, value should not be greater than double the current value 8 for configuration Invalid dynamic "
            "configuration");
        check_dynamic(per_broker, "num.io.threads", "0",
                      "Invalid value 0 for configuration num.io.threads: Value must be at least 1");
        check_dynamic(per_broker, "num.io.threads", "16", NULL);
        check_dynamic(
            per_broker, "background.threads", "1",
            "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation failed for "
            "background.threads=1, value should be at least half the current value 10 for configuration Invalid dynamic "
            "configuration");
        check_dynamic(per_broker, "ssl.keystore.location", "/x",
                      "These security configs can be dynamically updated only per-listener using the listener prefix: "
                      "[ssl.keystore.location]");
        check_dynamic(per_broker, "unknown.key", "1", NULL);
        check_dynamic(per_broker, "leader.replication.throttled.rate", "5", NULL);
        check_dynamic(per_broker, "log.segment.bytes", "5",
                      "Invalid value 5 for configuration log.segment.bytes: Value must be at least 1048576");
    }
    check_dynamic(false, "sasl.jaas.config", "x",
                  "Cannot update these configs at default cluster level, broker id must be specified: [sasl.jaas.config]");
    check_dynamic(true, "sasl.jaas.config", "x", NULL);
    check_dynamic(false, "listener.name.plaintext.ssl.keystore.type", "PEM",
                  "Cannot update these configs at default cluster level, broker id must be specified: "
                  "[listener.name.plaintext.ssl.keystore.type]");
    check_dynamic(true, "listener.name.plaintext.ssl.keystore.type", "PEM", NULL);
    check_dynamic(true, "listeners", "PLAINTEXT://:1", "listeners change with a restart only");
}

static void check_group(const char *name, const char *value, const char *want)
{
    struct conf *c = parse_ok("");
    struct why w = { "" };
    const struct conf_kv kv = KV(name, value);
    assert_int_equal(group_conf_check(c, &kv, 1, &w), want ? E_INVALID_CONFIG : 0);
    assert_string_equal(w.text, want ? want : "");
    conf_unref(&c);
}

static void groups_are_held_within_the_brokers_bounds(void **state)
{
    check_group("consumer.session.timeout.ms", "46000", NULL);
    check_group("consumer.session.timeout.ms", "1",
                "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms");
    check_group("consumer.session.timeout.ms", "99999999",
                "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms");
    check_group("consumer.heartbeat.interval.ms", "46001",
                "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms");
    check_group("share.delivery.count.limit", "1",
                "Invalid value 1 for configuration share.delivery.count.limit: Value must be at least 2");
    check_group("share.delivery.count.limit", "50",
                "share.delivery.count.limit must be less than or equal to group.share.max.delivery.count.limit");
    check_group("streams.num.standby.replicas", "9",
                "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas");
    check_group("nonsense", "1", "Unknown group config name: nonsense");
}

static void groups_and_client_metrics_show_what_kafka_shows(void **state)
{
    struct conf *c = parse_ok("group.consumer.session.timeout.ms=50000");
    const struct conf_kv kv = KV("consumer.session.timeout.ms", "46000");
    struct arena a;
    struct conf_row *rows;
    arena_init(&a);
    int n = conf_describe_group(c, &kv, 1, &a, &rows);
    assert_int_equal(n, 17);
    const struct conf_row *r = row_of(rows, n, "consumer.session.timeout.ms");
    assert_slice(r->value, "46000");
    assert_synonyms(r, "8:consumer.session.timeout.ms=46000; 4:group.consumer.session.timeout.ms=50000; "
                       "5:group.consumer.session.timeout.ms=45000");
    assert_synonyms(row_of(rows, n, "share.auto.offset.reset"), "5:share.auto.offset.reset=latest");
    n = conf_describe_group(c, NULL, 0, &a, &rows);
    assert_slice(row_of(rows, n, "consumer.session.timeout.ms")->value, "50000");
    assert_int_equal(group_conf_i64(c, &kv, 1, GROUP_CONSUMER_SESSION_TIMEOUT_MS), 46000);
    assert_int_equal(group_conf_i64(c, NULL, 0, GROUP_CONSUMER_SESSION_TIMEOUT_MS), 50000);
    assert_slice(group_conf_str(c, NULL, 0, GROUP_SHARE_ISOLATION_LEVEL), "read_uncommitted");
    const struct conf_kv m = KV("interval.ms", "60000");
    n = conf_describe_client_metrics(&m, 1, &a, &rows);
    assert_int_equal(n, 3);
    assert_synonyms(row_of(rows, n, "interval.ms"), "7:interval.ms=60000");
    assert_synonyms(row_of(rows, n, "match"), "");
    assert_slice(row_of(rows, n, "match")->value, "");
    arena_free(&a);
    conf_unref(&c);
}

static void client_metrics_are_checked_in_kafkas_words(void **state)
{
    static const struct {
        const char *name, *value;
        int rc;
        const char *want;
    } cases[] = {
        { "interval.ms", "5", E_INVALID_REQUEST,
          "Invalid value 5 for interval.ms, interval must be between 100 and 3600000 (1 hour)" },
        { "interval.ms", "x", E_INVALID_CONFIG, "Invalid value x for configuration interval.ms: Not a number of type INT" },
        { "interval.ms", "100", 0, "" },
        { "match", "client_id=a,client_software_name=b", 0, "" },
        { "match", "foo=x", E_INVALID_CONFIG, "Illegal client matching pattern: foo=x" },
        { "match", "client_id=[", E_INVALID_CONFIG, "Illegal client matching pattern: client_id=[" },
        { "match", "client_id", E_INVALID_CONFIG, "Illegal client matching pattern: client_id" },
        { "metrics", "a.b,c", 0, "" },
        { "metrics", "", 0, "" },
        { "zz", "1", E_INVALID_REQUEST, "Unknown client metrics configuration: zz" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct why w = { "" };
        const struct conf_kv kv = KV(cases[i].name, cases[i].value);
        assert_int_equal(metrics_conf_check(&kv, 1, &w), cases[i].rc);
        assert_string_equal(w.text, cases[i].want);
    }
}

static void numbers_read_as_java_prints_them(void **state)
{
    static const char *const pairs[][2] = { { "0.5", "0.5" },      { "1", "1.0" },
                                            { "1e-1", "0.1" },     { "0.001", "0.001" },
                                            { ".0001", "1.0E-4" }, { "1234567", "1234567.0" },
                                            { "1e7", "1.0E7" },    { "12345678.5", "1.23456785E7" },
                                            { "100", "100.0" },    { "0", "0.0" } };
    struct conf_row *rows;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct arena a;
        char text[128];
        snprintf(text, sizeof text, "log.cleaner.io.max.bytes.per.second=%s", pairs[i][0]);
        struct conf *c = parse_ok(text);
        arena_init(&a);
        int n = conf_describe_broker(c, &a, &rows);
        assert_slice(row_of(rows, n, "log.cleaner.io.max.bytes.per.second")->value, pairs[i][1]);
        arena_free(&a);
        conf_unref(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_without_overrides_has_the_brokers_defaults),
        cmocka_unit_test(a_compacted_topic_rolls_before_its_records_are_overdue),
        cmocka_unit_test(the_brokers_units_become_the_topics_and_the_finest_wins),
        cmocka_unit_test(overrides_win_and_bad_ones_are_left_out),
        cmocka_unit_test(what_is_wrong_with_a_topic_is_said_once),
        cmocka_unit_test(internal_topics_get_segments_that_a_topic_may_have),
        cmocka_unit_test(a_topics_overrides_are_checked_together),
        cmocka_unit_test(lists_are_appended_to_and_subtracted_from),
        cmocka_unit_test(what_is_no_list_cannot_be_appended_to),
        cmocka_unit_test(topics_show_their_own_value_then_the_brokers),
        cmocka_unit_test(the_broker_shows_kafkas_rows_and_ours),
        cmocka_unit_test(dynamic_configs_make_a_new_snapshot),
        cmocka_unit_test(dynamic_configs_are_checked_in_kafkas_words),
        cmocka_unit_test(groups_are_held_within_the_brokers_bounds),
        cmocka_unit_test(groups_and_client_metrics_show_what_kafka_shows),
        cmocka_unit_test(client_metrics_are_checked_in_kafkas_words),
        cmocka_unit_test(numbers_read_as_java_prints_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
