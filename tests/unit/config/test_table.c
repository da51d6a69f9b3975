/* The table is whole: every setting of Kafka 4.3.1 has a row, and every row is complete. */
#include "help.h"
#include "names.h"

static const enum conf_scope scopes[] = { CONF_SCOPE_BROKER, CONF_SCOPE_TOPIC, CONF_SCOPE_GROUP, CONF_SCOPE_CLIENT_METRICS,
                                          CONF_SCOPE_QUOTA };

static int missing(enum conf_scope scope, const char *names, int *n)
{
    int lost = 0;
    for (const char *p = names; *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        if (!conf_find(scope, (struct slice){ p, len })) print_error("no row: %.*s\n", (int)len, p), lost++;
        p += len;
        ++*n;
    }
    return lost;
}

static void every_setting_of_kafka_has_a_row(void **state)
{
    int n = 0;
    assert_int_equal(missing(CONF_SCOPE_BROKER, names_broker, &n), 0);
    assert_int_equal(n, 360);
    assert_int_equal(missing(CONF_SCOPE_TOPIC, names_topic, &n), 0);
    assert_int_equal(missing(CONF_SCOPE_GROUP, names_group, &n), 0);
    assert_int_equal(missing(CONF_SCOPE_CLIENT_METRICS, names_client_metrics, &n), 0);
    assert_int_equal(missing(CONF_SCOPE_QUOTA, names_quota, &n), 0);
    assert_int_equal(n, 360 + 34 + 17 + 3 + 10);
}

static void rows_beyond_kafkas_are_ours_by_name(void **state)
{
    for (int k = 0; k < CONF_COUNT; k++) {
        char padded[256];
        const struct conf_def *d = conf_def((enum conf_key)k);
        snprintf(padded, sizeof padded, " %s ", d->name);
        if (strncmp(names_broker, padded + 1, strlen(padded + 1)) == 0 || strstr(names_broker, padded)) continue;
        assert_int_equal(strncmp(d->name, "odradek.", 8), 0);
    }
}

static void every_row_has_a_doc_line_a_verdict_and_a_default_that_parses(void **state)
{
    for (size_t s = 0; s < ARRAY_LEN(scopes); s++) {
        const struct conf_def *d;
        for (int i = 0; (d = conf_def_at(scopes[s], i)); i++) {
            struct why w = { "" };
            if (!d->doc || strlen(d->doc) < 10 || d->doc[strlen(d->doc) - 1] != '.') fail_msg("%s: doc", d->name);
            assert_in_range(d->type, CONF_TYPE_BOOLEAN, CONF_TYPE_PASSWORD);
            if (d->verdict == CONF_AHEAD || d->verdict == CONF_IGNORE || d->verdict == CONF_LATER || d->verdict == CONF_REJECT)
                assert_non_null(d->reason);
            if (d->verdict == CONF_CLAMP) assert_true(d->type == CONF_TYPE_INT || d->type == CONF_TYPE_SHORT);
            if (d->def && conf_value_check(d, slice_of(d->def), &w) < 0) fail_msg("%s", w.text);
            if (d->synonym && !conf_find(CONF_SCOPE_BROKER, slice_of(d->synonym))) fail_msg("%s: synonym", d->name);
        }
    }
}

static void a_topics_default_is_the_brokers(void **state)
{
    struct conf *c = parse_ok("");
    struct arena a;
    struct conf_row *rows;
    arena_init(&a);
    int n = conf_describe_topic(c, NULL, 0, &a, &rows);
    assert_int_equal(n, 33);
    for (int i = 0; i < n; i++) {
        const struct conf_def *d = conf_find(CONF_SCOPE_TOPIC, rows[i].name);
        assert_slice(rows[i].value, d->def);
        assert_int_equal(rows[i].source, CONF_FROM_DEFAULT);
    }
    arena_free(&a);
    conf_unref(&c);
}

static void names_are_found_once(void **state)
{
    for (size_t s = 0; s < ARRAY_LEN(scopes); s++) {
        const struct conf_def *d;
        for (int i = 0; (d = conf_def_at(scopes[s], i)); i++) assert_ptr_equal(conf_find(scopes[s], slice_of(d->name)), d);
        assert_null(conf_find(scopes[s], S("no.such.key")));
    }
}

static void values_are_checked_in_kafkas_words(void **state)
{
    static const struct {
        enum conf_scope scope;
        const char *name, *value, *want; /* want NULL: good */
    } cases[] = {
        { CONF_SCOPE_TOPIC, "retention.ms", "abc",
          "Invalid value abc for configuration retention.ms: Not a number of type LONG" },
        { CONF_SCOPE_TOPIC, "retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1" },
        { CONF_SCOPE_TOPIC, "retention.ms", " 5000 ", NULL },
        { CONF_SCOPE_TOPIC, "retention.ms", "", "Invalid value  for configuration retention.ms: Not a number of type LONG" },
        { CONF_SCOPE_TOPIC, "segment.bytes", "100",
          "Invalid value 100 for configuration segment.bytes: Value must be at least 1048576" },
        { CONF_SCOPE_TOPIC, "segment.bytes", "99999999999",
          "Invalid value 99999999999 for configuration segment.bytes: Not a number of type INT" },
        { CONF_SCOPE_TOPIC, "cleanup.policy", "foo",
          "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete" },
        { CONF_SCOPE_TOPIC, "cleanup.policy", "", NULL },
        { CONF_SCOPE_TOPIC, "cleanup.policy", "compact,compact", NULL },
        { CONF_SCOPE_TOPIC, "cleanup.policy", ",compact", "Configuration 'cleanup.policy' values must not be empty." },
        { CONF_SCOPE_TOPIC, "compression.type", "lzma",
          "Invalid value lzma for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, "
          "producer" },
        { CONF_SCOPE_TOPIC, "compression.gzip.level", "0",
          "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1" },
        { CONF_SCOPE_TOPIC, "compression.gzip.level", "-1", NULL },
        { CONF_SCOPE_TOPIC, "compression.lz4.level", "18",
          "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17" },
        { CONF_SCOPE_TOPIC, "preallocate", "yes",
          "Invalid value yes for configuration preallocate: Expected value to be either true or false" },
        { CONF_SCOPE_TOPIC, "preallocate", "TRUE", NULL },
        { CONF_SCOPE_TOPIC, "min.cleanable.dirty.ratio", "2",
          "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1" },
        { CONF_SCOPE_TOPIC, "min.cleanable.dirty.ratio", "x",
          "Invalid value x for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE" },
        { CONF_SCOPE_TOPIC, "min.cleanable.dirty.ratio", "1d", NULL },
        { CONF_SCOPE_TOPIC, "delete.retention.ms", "0x10",
          "Invalid value 0x10 for configuration delete.retention.ms: Not a number of type LONG" },
        { CONF_SCOPE_TOPIC, "delete.retention.ms", "+5", NULL },
        { CONF_SCOPE_TOPIC, "leader.replication.throttled.replicas", "*", NULL },
        { CONF_SCOPE_TOPIC, "leader.replication.throttled.replicas", "0:1,0:2", NULL },
        { CONF_SCOPE_TOPIC, "leader.replication.throttled.replicas", "x",
          "Invalid value [x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must "
          "be the "
          "literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..." },
        { CONF_SCOPE_BROKER, "log.dirs", "",
          "Configuration 'log.dirs' must not be empty. Valid values include: any non-empty value" },
        { CONF_SCOPE_BROKER, "process.roles", "",
          "Configuration 'process.roles' must not be empty. Valid values include: [broker, controller]" },
        { CONF_SCOPE_GROUP, "share.auto.offset.reset", "by_duration:PT1H", NULL },
        { CONF_SCOPE_GROUP, "share.auto.offset.reset", "by_duration:P1DT2H3M4.5S", NULL },
        { CONF_SCOPE_GROUP, "share.auto.offset.reset", "by_duration:-PT1H",
          "Invalid value by_duration:-PT1H for configuration share.auto.offset.reset: Invalid value `by_duration:-PT1H` for "
          "configuration "
          "share.auto.offset.reset. The value must be either 'earliest', 'latest' or of the format "
          "'by_duration:<PnDTnHnMn.nS>'." },
        { CONF_SCOPE_GROUP, "share.isolation.level", "x",
          "Invalid value x for configuration share.isolation.level: String must be one of: read_committed, read_uncommitted" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct why w = { "" };
        int rc = conf_value_check(conf_find(cases[i].scope, slice_of(cases[i].name)), slice_of(cases[i].value), &w);
        assert_int_equal(rc, cases[i].want ? E_INVALID_CONFIG : 0);
        assert_string_equal(w.text, cases[i].want ? cases[i].want : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_of_kafka_has_a_row),
        cmocka_unit_test(rows_beyond_kafkas_are_ours_by_name),
        cmocka_unit_test(every_row_has_a_doc_line_a_verdict_and_a_default_that_parses),
        cmocka_unit_test(a_topics_default_is_the_brokers),
        cmocka_unit_test(names_are_found_once),
        cmocka_unit_test(values_are_checked_in_kafkas_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
