#include "leaf.h"
#include "partmeta.h"

/* What Kafka wrote for a topic, and that id as bytes. */
#define KAFKA "version: 0\ntopic_id: cewSNkfcSjSWgNEPYzeipQ"
static const struct uuid ID = { { 0x71, 0xec, 0x12, 0x36, 0x47, 0xdc, 0x4a, 0x34, 0x96, 0x80, 0xd1, 0x0f, 0x63, 0x37, 0xa2,
                                  0xa5 } };

static void kafkas_file_is_read_and_written_byte_for_byte(void **state)
{
    struct world *w = disk_new(1);
    struct uuid id;
    disk_put(w, DIR "/partition.metadata", S(KAFKA));
    assert_int_equal(partmeta_read(w->fs, DIR, &id, NULL), 0);
    assert_true(uuid_eq(id, ID));
    assert_int_equal(partmeta_write(w->fs, DIR, ID), 0);
    assert_file(w, DIR "/partition.metadata", S(KAFKA));
    world_free(&w);
}

static void spaces_line_ends_and_later_versions_are_taken_as_kafka_takes_them(void **state)
{
    static const char *const good[] = { "version:  0\ntopic_id:\tcewSNkfcSjSWgNEPYzeipQ\n",
                                        "version: 0\r\ntopic_id: cewSNkfcSjSWgNEPYzeipQ\r\nmore\n",
                                        "version: 3\ntopic_id: cewSNkfcSjSWgNEPYzeipQ" };
    struct uuid id;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(partmeta_parse(slice_of(good[i]), &id, NULL), 0);
        assert_true(uuid_eq(id, ID));
    }
}

static void what_kafka_would_not_take_is_refused_with_a_reason(void **state)
{
    static const char *const bad[] = { "",
                                       "version: 0",
                                       "version: 0\n",
                                       "version:0\ntopic_id: cewSNkfcSjSWgNEPYzeipQ",
                                       "version: -1\ntopic_id: cewSNkfcSjSWgNEPYzeipQ",
                                       "version: x\ntopic_id: cewSNkfcSjSWgNEPYzeipQ",
                                       "version: 0: 0\ntopic_id: cewSNkfcSjSWgNEPYzeipQ",
                                       "version: 0\ntopic_id: cewSNkfcSjSWgNEPYzeip",
                                       "version: 0\ntopic_id: ",
                                       "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA" };
    struct world *w = disk_new(1);
    struct uuid id;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct why why = { "" };
        disk_put(w, DIR "/partition.metadata", slice_of(bad[i]));
        assert_int_equal(partmeta_read(w->fs, DIR, &id, &why), E_CORRUPT);
        assert_true(uuid_is_zero(id));
        assert_non_null(strstr(why.text, "partition.metadata: "));
    }
    assert_int_equal(w->fs->unlink(w->fs, DIR "/partition.metadata"), 0);
    assert_int_equal(partmeta_read(w->fs, DIR, &id, NULL), E_NOT_FOUND);
    world_free(&w);
}

static void assert_name(const char *name, enum partname_kind kind, const char *topic, int32_t partition)
{
    struct partname p;
    assert_int_equal(partname_parse(slice_of(name), &p), 0);
    assert_int_equal(p.kind, kind);
    assert_true(slice_eq(p.topic, slice_of(topic)));
    assert_int_equal(p.partition, partition);
}

static void directory_names_are_understood(void **state)
{
    assert_name("t-0", PARTNAME_LIVE, "t", 0);
    assert_name("my.topic-with-dashes_1-17", PARTNAME_LIVE, "my.topic-with-dashes_1", 17);
    assert_name("t--3", PARTNAME_LIVE, "t-", 3);
    assert_name("t-2147483647", PARTNAME_LIVE, "t", INT32_MAX);
    assert_name("x-delete-0", PARTNAME_LIVE, "x-delete", 0);
    assert_name("t-gone-0.cf0db4defd9b4d31b5eb191a1fe9fabe-delete", PARTNAME_DELETE, "t-gone", 0);
    assert_name("a.b-0.cf0db4defd9b4d31b5eb191a1fe9fabe-delete", PARTNAME_DELETE, "a.b", 0);
    assert_name("t-5.cf0db4defd9b4d31b5eb191a1fe9fabe-stray", PARTNAME_STRAY, "t", 5);
    assert_name("t-5.cf0db4defd9b4d31b5eb191a1fe9fabe-future", PARTNAME_FUTURE, "t", 5);
}

static void other_names_are_no_partitions(void **state)
{
    static const char *const bad[] = { "",
                                       "-",
                                       "t",
                                       "t-",
                                       "-0",
                                       "t-x",
                                       "t-00",
                                       "t-01",
                                       "t-+1",
                                       "t- 1",
                                       "t-2147483648",
                                       "..-0",
                                       "a b-0",
                                       "t-0-delete",
                                       "t-0.-delete",
                                       "t.x-delete",
                                       "t-x.abc-delete",
                                       "lost+found",
                                       ".lock",
                                       "ä-0" };
    struct partname p;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_int_equal(partname_parse(slice_of(bad[i]), &p), E_INVALID);
}

static void topic_names_follow_kafkas_rules(void **state)
{
    char name[TOPIC_NAME_MAX + 1];
    memset(name, 'a', sizeof(name));
    assert_true(topic_name_valid((struct slice){ name, TOPIC_NAME_MAX }));
    assert_false(topic_name_valid((struct slice){ name, TOPIC_NAME_MAX + 1 }));
    assert_true(topic_name_valid(S("A-z_0.9")));
    assert_true(topic_name_valid(S("...")));
    static const char *const bad[] = { "", ".", "..", "a b", "a/b", "a:b", "ü", "a\n" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_false(topic_name_valid(slice_of(bad[i])));
}

static void names_are_made_as_kafka_makes_them(void **state)
{
    char out[PARTNAME_MAX], topic[TOPIC_NAME_MAX];
    memset(topic, 'q', sizeof(topic));
    struct slice longest = { topic, sizeof(topic) };

    assert_int_equal(partname_format(out, S("t"), 12), 0);
    assert_string_equal(out, "t-12");
    assert_int_equal(partname_format(out, longest, 99999), 0);
    assert_int_equal(strlen(out), 255);
    assert_int_equal(partname_format(out, longest, 100000), E_INVALID);

    partname_format_kind(out, S("t-gone"), 0, PARTNAME_DELETE, ID);
    assert_string_equal(out, "t-gone-0.71ec123647dc4a349680d10f6337a2a5-delete");
    partname_format_kind(out, longest, 10, PARTNAME_STRAY, ID);
    assert_int_equal(strlen(out), 255);
    assert_string_equal(out + 255 - 42, "-10.71ec123647dc4a349680d10f6337a2a5-stray");
    struct partname p;
    assert_int_equal(partname_parse(slice_of(out), &p), 0);
    assert_int_equal(p.kind, PARTNAME_STRAY);
    assert_int_equal(p.partition, 10);
    assert_int_equal(p.topic.n, 255 - 42);
}

static void nothing_before(struct world *w) {}
static int write_it(struct world *w) { return partmeta_write(w->fs, DIR, ID); }
static void whole_or_absent(struct world *w, bool acted)
{
    struct uuid id;
    int rc = partmeta_read(w->fs, DIR, &id, NULL);
    if (acted) assert_int_equal(rc, 0);
    if (rc == 0) assert_true(uuid_eq(id, ID));
    else assert_int_equal(rc, E_NOT_FOUND);
}
static void a_power_cut_leaves_a_whole_file_or_none(void **state) { crash_everywhere(nothing_before, write_it, whole_or_absent); }

static void load_file(struct slice bytes)
{
    struct uuid id;
    if (partmeta_parse(bytes, &id, NULL) == 0) assert_false(uuid_is_zero(id));
}
static void load_name(struct slice bytes)
{
    struct partname p;
    if (partname_parse(bytes, &p) == 0) assert_true(p.topic.n > 0 && p.partition >= 0 && p.topic.p == bytes.p);
}
static void no_bytes_break_the_loaders(void **state)
{
    mutate(S(KAFKA), load_file);
    mutate(S("t-gone-0.cf0db4defd9b4d31b5eb191a1fe9fabe-delete"), load_name);
    mutate(S("topic-12"), load_name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafkas_file_is_read_and_written_byte_for_byte),
        cmocka_unit_test(spaces_line_ends_and_later_versions_are_taken_as_kafka_takes_them),
        cmocka_unit_test(what_kafka_would_not_take_is_refused_with_a_reason),
        cmocka_unit_test(directory_names_are_understood),
        cmocka_unit_test(other_names_are_no_partitions),
        cmocka_unit_test(topic_names_follow_kafkas_rules),
        cmocka_unit_test(names_are_made_as_kafka_makes_them),
        cmocka_unit_test(a_power_cut_leaves_a_whole_file_or_none),
        cmocka_unit_test(no_bytes_break_the_loaders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
