#include "identity.h"
#include "leaf.h"

/* What Kafka 4.3.1 wrote. */
#define KAFKA                      \
    "#\n#Sun Nov 22 02:09:42 UTC " \
    "2026\nnode.id=1\ndirectory.id=Nkt0gjI7Llj1FfQtmKIVSA\nversion=1\ncluster.id=ZjBumwEjSbCq7V-iFhfZjA\n"
#define KAFKA_MS 1795313382000 /* that second */

static struct identity parsed(const char *text)
{
    struct identity id;
    assert_int_equal(identity_parse(slice_of(text), &id, NULL), 0);
    return id;
}

static struct uuid uuid(const char *text)
{
    struct uuid u;
    assert_int_equal(uuid_parse(slice_of(text), &u), 0);
    return u;
}

static void kafkas_file_is_read_and_written_byte_for_byte(void **state)
{
    struct world *w = disk_new(1);
    struct identity id;
    disk_put(w, DIR "/meta.properties", S(KAFKA));
    assert_int_equal(identity_read(w->fs, DIR, &id, NULL), 0);
    assert_int_equal(id.version, 1);
    assert_int_equal(id.node_id, 1);
    assert_string_equal(id.cluster_id, "ZjBumwEjSbCq7V-iFhfZjA");
    assert_true(uuid_eq(id.directory_id, uuid("Nkt0gjI7Llj1FfQtmKIVSA")));
    assert_int_equal(w->fs->unlink(w->fs, DIR "/meta.properties"), 0);
    assert_int_equal(identity_write(w->fs, DIR, &id, KAFKA_MS), 0);
    assert_file(w, DIR "/meta.properties", S(KAFKA));
    world_free(&w);
}

static void a_zookeeper_era_file_is_read(void **state)
{
    struct identity id = parsed("#\n#Tue Mar 05 10:00:00 UTC 2019\ncluster.id=NW4B-_SDQ0eGrkhRdCzUfw\nversion=0\nbroker.id=3\n");
    assert_int_equal(id.version, 0);
    assert_int_equal(id.node_id, 3);
    assert_string_equal(id.cluster_id, "NW4B-_SDQ0eGrkhRdCzUfw");
    assert_true(uuid_is_zero(id.directory_id));
    id = parsed("broker.id=0"); /* older still */
    assert_int_equal(id.version, 0);
    assert_int_equal(id.node_id, 0);
    assert_string_equal(id.cluster_id, "");
    id = parsed("");
    assert_int_equal(id.node_id, -1);
    id = parsed("version=0\nnode.id=5\n"); /* not a key of version 0 */
    assert_int_equal(id.node_id, -1);
}

static void java_properties_syntax_is_understood(void **state)
{
    struct identity id =
        parsed("! note\r\n  # another\r\n\r\n\tversion : 1\rnode.id 7  \ncluster\\u002eid = a\\\n   b\\=c\\:d\nunknown=x\\");
    assert_int_equal(id.version, 1);
    assert_int_equal(id.node_id, 7);
    assert_string_equal(id.cluster_id, "ab=c:d");
    struct bytes out = { 0 };
    identity_format(&id, 0, &out);
    struct identity again;
    assert_int_equal(identity_parse(bytes_slice(&out), &again, NULL), 0);
    assert_string_equal(again.cluster_id, "ab=c:d");
    bytes_free(&out);
    id = parsed("node.id=1\nnode.id=2\nbroker.id=9\nversion=1\ncluster.id=c\n"); /* the last one wins */
    assert_int_equal(id.node_id, 2);
}

static void a_wrong_value_is_refused_with_its_key(void **state)
{
    static const struct {
        const char *text, *key;
    } bad[] = { { "version=2\n", "version" },
                { "version=one\n", "version" },
                { "version=1\ncluster.id=c\n", "node.id" },
                { "version=1\nnode.id=1\n", "cluster.id" },
                { "version=1\nnode.id=-1\ncluster.id=c\n", "node.id" },
                { "version=1\nnode.id=2147483648\ncluster.id=c\n", "node.id" },
                { "version=1\nnode.id=\ncluster.id=c\n", "node.id" },
                { "broker.id=x\n", "broker.id" },
                { "version=1\nnode.id=1\ncluster.id=\n", "cluster.id" },
                { "version=1\nnode.id=1\ncluster.id=a b\n", "cluster.id" },
                { "directory.id=short\n", "directory.id" } };
    struct world *w = disk_new(1);
    struct identity id;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct why why = { "" };
        disk_put(w, DIR "/meta.properties", slice_of(bad[i].text));
        assert_int_equal(identity_read(w->fs, DIR, &id, &why), E_CORRUPT);
        assert_non_null(strstr(why.text, DIR "/meta.properties: "));
        assert_non_null(strstr(why.text, bad[i].key));
    }
    assert_int_equal(w->fs->unlink(w->fs, DIR "/meta.properties"), 0);
    assert_int_equal(identity_read(w->fs, DIR, &id, NULL), E_NOT_FOUND);
    world_free(&w);
}

static void new_directories_get_a_new_identity(void **state)
{
    struct world *w = disk_new(1);
    struct identity_dir d[2] = { { .path = "/a" }, { .path = "/b" } };
    assert_int_equal(identity_resolve(d, 2, S(""), -1, w->rnd, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(d[i].changed);
        assert_int_equal(d[i].id.version, 1);
        assert_int_equal(d[i].id.node_id, 1);
        assert_int_equal(strlen(d[i].id.cluster_id), 22);
        assert_false(uuid_is_zero(d[i].id.directory_id));
    }
    assert_string_equal(d[0].id.cluster_id, d[1].id.cluster_id);
    assert_false(uuid_eq(d[0].id.directory_id, d[1].id.directory_id));
    world_free(&w);
}

static void the_configuration_names_a_new_directory(void **state)
{
    struct world *w = disk_new(1);
    struct identity_dir d = { .path = "/a" };
    assert_int_equal(identity_resolve(&d, 1, S("my-cluster"), 0, w->rnd, NULL), 0);
    assert_string_equal(d.id.cluster_id, "my-cluster");
    assert_int_equal(d.id.node_id, 0);
    struct why why = { "" };
    assert_int_equal(identity_resolve(&d, 1, S("my cluster"), 0, w->rnd, &why), E_INVALID);
    assert_true(why.text[0] != 0);
    world_free(&w);
}

static void an_open_configuration_adopts_the_directories(void **state)
{
    struct world *w = disk_new(1);
    struct identity_dir d[2] = { { .path = "/new" }, { .path = "/old", .present = true, .id = parsed(KAFKA) } };
    const struct identity old = d[1].id;
    assert_int_equal(identity_resolve(d, 2, S(""), -1, w->rnd, NULL), 0);
    assert_false(d[1].changed);
    assert_memory_equal(&d[1].id, &old, sizeof(old));
    assert_true(d[0].changed);
    assert_int_equal(d[0].id.node_id, 1);
    assert_string_equal(d[0].id.cluster_id, old.cluster_id);
    assert_false(uuid_eq(d[0].id.directory_id, old.directory_id));
    assert_int_equal(identity_resolve(d, 2, S("ZjBumwEjSbCq7V-iFhfZjA"), 1, w->rnd, NULL), 0); /* and one that agrees */
    world_free(&w);
}

static void an_old_directory_becomes_version_1(void **state)
{
    struct world *w = disk_new(1);
    struct identity_dir d[2] = {
        { .path = "/zk", .present = true, .id = parsed("version=0\nbroker.id=4\ncluster.id=NW4B-_SDQ0eGrkhRdCzUfw\n") },
        { .path = "/early", .present = true, .id = parsed("version=1\nnode.id=4\ncluster.id=NW4B-_SDQ0eGrkhRdCzUfw\n") }
    };
    assert_int_equal(identity_resolve(d, 2, S(""), -1, w->rnd, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(d[i].changed);
        assert_int_equal(d[i].id.version, 1);
        assert_int_equal(d[i].id.node_id, 4);
        assert_string_equal(d[i].id.cluster_id, "NW4B-_SDQ0eGrkhRdCzUfw");
        assert_false(uuid_is_zero(d[i].id.directory_id));
    }
    world_free(&w);
}

static void assert_contradiction(struct identity_dir *d, int n, struct slice cluster, int32_t node, const char *hint,
                                 const char *hint2)
{
    struct world *w = disk_new(1);
    struct why why = { "" };
    assert_int_equal(identity_resolve(d, n, cluster, node, w->rnd, &why), E_INVALID);
    assert_non_null(strstr(why.text, hint));
    assert_non_null(strstr(why.text, hint2));
    world_free(&w);
}

static void contradictions_name_the_directory(void **state)
{
    struct identity_dir kafka = { .path = "/k", .present = true, .id = parsed(KAFKA) };
    struct identity_dir other = { .path = "/o", .present = true, .id = parsed("version=1\nnode.id=1\ncluster.id=other\n") };
    struct identity_dir node2 = { .path = "/n",
                                  .present = true,
                                  .id = parsed("version=1\nnode.id=2\ncluster.id=ZjBumwEjSbCq7V-iFhfZjA\n") };
    struct identity_dir copy = { .path = "/c", .present = true, .id = parsed(KAFKA) };
    struct identity_dir lost = { .path = "/l",
                                 .present = true,
                                 .id = parsed("version=1\nnode.id=1\ncluster.id=c\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\n") };
    assert_contradiction(&kafka, 1, S("mine"), -1, "/k", "mine");
    assert_contradiction(&kafka, 1, S(""), 5, "/k", "the configuration says 5");
    assert_contradiction((struct identity_dir[]){ kafka, other }, 2, S(""), -1, "/o", "/k says ZjBumwEjSbCq7V-iFhfZjA");
    assert_contradiction((struct identity_dir[]){ kafka, node2 }, 2, S(""), -1, "/n", "/k says 1");
    assert_contradiction((struct identity_dir[]){ kafka, copy }, 2, S(""), -1, "/k", "/c");
    assert_contradiction(&lost, 1, S(""), -1, "/l", "reserved");
}

static void a_lock_held_says_who_may_hold_it(void **state)
{
    struct world *w = disk_new(1);
    struct why why = { "" };
    int fd = identity_lock(w->fs, DIR, &why);
    assert_true(fd >= 0);
    assert_int_equal(identity_lock(w->fs, DIR, &why), E_LOCKED);
    assert_non_null(strstr(why.text, "is another broker"));
    assert_non_null(strstr(why.text, DIR));
    assert_int_equal(w->fs->close(w->fs, fd), 0);
    fd = identity_lock(w->fs, DIR, &why);
    assert_true(fd >= 0);
    assert_int_equal(w->fs->close(w->fs, fd), 0);
    assert_true(identity_lock(w->fs, "/nowhere", &why) < 0);
    world_free(&w);
}

static void write_old(struct world *w)
{
    struct identity id = parsed("version=0\nbroker.id=4\ncluster.id=old\n");
    assert_int_equal(identity_write(w->fs, DIR, &id, KAFKA_MS), 0);
}
static int write_new(struct world *w)
{
    struct identity id = parsed(KAFKA);
    return identity_write(w->fs, DIR, &id, KAFKA_MS);
}
static void old_or_new(struct world *w, bool acted)
{
    struct identity id;
    assert_int_equal(identity_read(w->fs, DIR, &id, NULL), 0);
    if (acted) assert_int_equal(id.version, 1);
    assert_int_equal(id.node_id, id.version ? 1 : 4);
}
static void a_power_cut_leaves_the_old_file_or_the_new_one(void **state) { crash_everywhere(write_old, write_new, old_or_new); }

static void load(struct slice bytes)
{
    struct identity id;
    if (identity_parse(bytes, &id, NULL) == 0 && id.version == 1) assert_true(id.node_id >= 0 && id.cluster_id[0]);
}
static void no_bytes_break_the_loader(void **state)
{
    mutate(S(KAFKA), load);
    mutate(S("! note\n version : 1\\\n \nnode.id 7\ncluster\\u002eid = a\\=c\\:d\n"), load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafkas_file_is_read_and_written_byte_for_byte),
        cmocka_unit_test(a_zookeeper_era_file_is_read),
        cmocka_unit_test(java_properties_syntax_is_understood),
        cmocka_unit_test(a_wrong_value_is_refused_with_its_key),
        cmocka_unit_test(new_directories_get_a_new_identity),
        cmocka_unit_test(the_configuration_names_a_new_directory),
        cmocka_unit_test(an_open_configuration_adopts_the_directories),
        cmocka_unit_test(an_old_directory_becomes_version_1),
        cmocka_unit_test(contradictions_name_the_directory),
        cmocka_unit_test(a_lock_held_says_who_may_hold_it),
        cmocka_unit_test(a_power_cut_leaves_the_old_file_or_the_new_one),
        cmocka_unit_test(no_bytes_break_the_loader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
