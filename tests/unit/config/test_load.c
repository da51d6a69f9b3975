/* Files as people have them, the environment of container images, the command line, and what a start says about them. */
#include "help.h"

static const char tutorial_2019[] = "############################# Server Basics #############################\n"
                                    "broker.id=0\ndelete.topic.enable=true\nnum.network.threads=3\nnum.io.threads=8\n"
                                    "socket.send.buffer.bytes=102400\nsocket.receive.buffer.bytes=102400\n"
                                    "socket.request.max.bytes=104857600\nlog.dirs=/some/dir\nnum.partitions=1\n"
                                    "num.recovery.threads.per.data.dir=1\nlog.retention.hours=168\n"
                                    "zookeeper.connect=192.168.119.10:2181\n";
static const char kraft_43[] =
    "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:9093\n"
    "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n"
    "advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\ncontroller.listener.names=CONTROLLER\n"
    "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_"
    "SSL\n"
    "num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\nsocket.receive.buffer.bytes=102400\n"
    "socket.request.max.bytes=104857600\nlog.dirs=/tmp/"
    "kraft-combined-logs\nnum.partitions=1\nnum.recovery.threads.per.data.dir=1\n"
    "offsets.topic.replication.factor=1\nshare.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min."
    "isr=1\n"
    "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\nlog.retention.hours=168\n"
    "log.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n";

static void a_file_of_2019_starts_as_it_is(void **state)
{
    struct conf *c = parse_ok(tutorial_2019);
    int n;
    assert_int_equal(conf_node_id(c), 0);
    assert_true(conf_is_set(c, CONF_NODE_ID));
    assert_slice(conf_dirs(c, &n)[0], "/some/dir");
    assert_int_equal(n, 1);
    const struct conf_listener *l = conf_listeners(c, &n);
    assert_int_equal(n, 1);
    assert_slice(l->name, "PLAINTEXT");
    assert_slice(l->host, "");
    assert_int_equal(l->port, 9092);
    assert_true(l->derive);
    assert_null(l->advertised_host.p);
    conf_unref(&c);

    char *said = say_of(tutorial_2019, 0);
    assert_contains(said,
                    "warning: ignored, this is one node that needs none of it: zookeeper.connect (there is no ZooKeeper)\n");
    assert_contains(said, "note: advertised.listeners has no address for PLAINTEXT");
    assert_null(strstr(strstr(said, "warning:") + 1, "warning:"));
    mem_free(said);
}

static void kafkas_own_file_starts_as_it_is_and_its_controller_is_left_alone(void **state)
{
    struct conf *c = parse_ok(kraft_43);
    int n;
    assert_int_equal(conf_node_id(c), 1);
    const struct conf_listener *l = conf_listeners(c, &n);
    assert_int_equal(n, 1);
    assert_slice(l->name, "PLAINTEXT");
    assert_false(l->derive);
    assert_slice(l->advertised_host, "localhost");
    assert_int_equal(l->advertised_port, 9092);
    assert_slice(conf_metadata_dir(c), "/tmp/kraft-combined-logs");
    conf_unref(&c);
}

static void an_empty_file_has_kafkas_defaults_and_ours(void **state)
{
    struct conf *c = parse_ok("");
    assert_int_equal(conf_node_id(c), 1);
    assert_false(conf_is_set(c, CONF_NODE_ID));
    assert_int_equal(conf_i64(c, CONF_LOG_FLUSH_INTERVAL_MESSAGES), 1);
    assert_int_equal(conf_source(c, CONF_LOG_FLUSH_INTERVAL_MESSAGES), CONF_FROM_DEFAULT);
    assert_int_equal(conf_i64(c, CONF_GROUP_INITIAL_REBALANCE_DELAY_MS), 0);
    assert_int_equal(conf_i64(c, CONF_LOG_RETENTION_MS), CONF_NULL);
    assert_true(conf_bool(c, CONF_AUTO_CREATE_TOPICS_ENABLE));
    assert_null(conf_str(c, CONF_BROKER_RACK).p);
    assert_true(conf_f64(c, CONF_LOG_CLEANER_IO_BUFFER_LOAD_FACTOR) == 0.9);
    int n;
    assert_slice(conf_dirs(c, &n)[0], "/tmp/kafka-logs");
    assert_slice(conf_list(c, CONF_LOG_CLEANUP_POLICY, &n)[0], "delete");
    conf_unref(&c);
}

static void every_error_is_told_with_line_key_value_and_what_is_right(void **state)
{
    char *said = say_of("num.partitions=none\nlog.segment.bytes=5\n\nauto.create.topics.enable=maybe\ncompression.type=lzma\n"
                        "log.cleanup.policy=delete,forget\nlog.retention.hours=0\n",
                        E_INVALID_CONFIG);
    assert_contains(said, "error: text:1: num.partitions=none: must be a whole number of at least 1 and at most 2147483647\n");
    assert_contains(said,
                    "error: text:2: log.segment.bytes=5: must be a whole number of at least 1048576 and at most 2147483647\n");
    assert_contains(said, "error: text:4: auto.create.topics.enable=maybe: must be true or false\n");
    assert_contains(said,
                    "error: text:5: compression.type=lzma: must be one of: uncompressed, zstd, lz4, snappy, gzip, producer\n");
    assert_contains(
        said, "error: text:6: log.cleanup.policy=delete,forget: must be any of these with commas between: compact, delete\n");
    assert_contains(said, "error: text:7: log.retention.hours=0: must be at least 1, or negative for no limit\n");
    mem_free(said);
}

static void a_typing_error_gets_the_nearest_name(void **state)
{
    assert_says(
        "log.retention.hour=5", 0,
        "warning: text:1: log.retention.hour is not a known setting and has no effect; did you mean log.retention.hours?");
    assert_says("lisetners=PLAINTEXT://:9092", 0, "did you mean listeners?");
    char *said = say_of("completely.different.thing.of.somebody=1", 0);
    assert_lacks(said, "did you mean");
    mem_free(said);
}

static void foreign_settings_are_told_apart(void **state)
{
    char *said = say_of("group.id=x\nmax.request.size=5\nretention.ms=5\nconfluent.license=y\nsuper.users=User:a\n"
                        "leader.replication.throttled.rate=5\nnum.replica.fetchers=2\nreplica.lag.time.max.ms=9\n"
                        "fetch.purgatory.purge.interval.requests=5\nssl.keystore.location=/k\n",
                        0);
    assert_contains(said, "text:1: group.id is a client's setting");
    assert_contains(said, "text:2: max.request.size is a client's setting");
    assert_contains(said, "text:3: retention.ms is a topic's setting");
    assert_contains(said, "num.replica.fetchers, replica.lag.time.max.ms (one replica)");
    assert_contains(
        said,
        "kept and shown, but without effect in this build: super.users (an authoriser), ssl.keystore.location (TLS listeners)");
    assert_lacks(said, "purgatory");
    mem_free(said);
}

static void what_cannot_be_honoured_and_matters_stops_the_start(void **state)
{
    assert_says("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", E_INVALID_CONFIG,
                "no authoriser is served by this build: everybody may do everything; leave it out");
    assert_says("create.topic.policy.class.name=com.example.Policy", E_INVALID_CONFIG, "Java classes cannot be loaded");
    assert_says("remote.log.storage.system.enable=true", E_INVALID_CONFIG, "tiered storage is not served by this build");
    assert_says("sasl.kerberos.service.name=kafka", E_INVALID_CONFIG, "Kerberos is not built in");
    struct conf *c =
        parse_ok("authorizer.class.name=\nremote.log.storage.system.enable=false\nsasl.kerberos.kinit.cmd=/usr/bin/kinit\n");
    conf_unref(&c);
}

static void replication_above_one_counts_as_one_and_is_said_once(void **state)
{
    const char *text = "default.replication.factor=3\nmin.insync.replicas=2\noffsets.topic.replication.factor=3\n"
                       "transaction.state.log.min.isr=2\n";
    char *said = say_of(text, 0);
    assert_contains(
        said, "warning: one node has one replica, so these count as 1: default.replication.factor=3, min.insync.replicas=2, "
              "offsets.topic.replication.factor=3, transaction.state.log.min.isr=2\n");
    mem_free(said);
    struct conf *c = parse_ok(text);
    assert_int_equal(conf_i64(c, CONF_DEFAULT_REPLICATION_FACTOR), 1);
    assert_int_equal(conf_written_i64(c, CONF_DEFAULT_REPLICATION_FACTOR), 3);
    assert_slice(conf_str(c, CONF_DEFAULT_REPLICATION_FACTOR), "3");
    assert_int_equal(conf_i64(c, CONF_MIN_INSYNC_REPLICAS), 1);
    conf_unref(&c);
}

static void small_socket_buffers_are_warned_of(void **state)
{
    static const char *const keys[] = { "socket.send.buffer.bytes", "socket.receive.buffer.bytes" };
    char text[64], want[96];
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        snprintf(text, sizeof text, "%s=65535", keys[i]);
        snprintf(want, sizeof want, "warning: text:1: %s=65535: below 64 KiB", keys[i]);
        assert_says(text, 0, want);
        static const char *const fine[] = { "65536", "102400", "0", "-1" };
        for (size_t k = 0; k < ARRAY_LEN(fine); k++) {
            struct conf_report r = { 0 };
            struct conf *c;
            snprintf(text, sizeof text, "log.dirs=/d\n%s=%s", keys[i], fine[k]);
            assert_ok(conf_parse(slice_of(text), &c, &r));
            assert_int_equal(r.warnings, 0);
            conf_report_free(&r);
            conf_unref(&c);
        }
    }
}

static void old_names_become_new_ones(void **state)
{
    struct conf *c = parse_ok("port=9999\nhost.name=10.0.0.1\nadvertised.host.name=kafka.example\nlog.cleanup.interval.mins=2\n"
                              "log.message.timestamp.difference.max.ms=77\nlog.message.format.version=2.2\n");
    int n;
    const struct conf_listener *l = conf_listeners(c, &n);
    assert_int_equal(n, 1);
    assert_slice(l->host, "10.0.0.1");
    assert_int_equal(l->port, 9999);
    assert_slice(l->advertised_host, "kafka.example");
    assert_int_equal(l->advertised_port, 9999);
    assert_int_equal(conf_i64(c, CONF_LOG_RETENTION_CHECK_INTERVAL_MS), 120000);
    assert_int_equal(conf_i64(c, CONF_LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS), 77);
    assert_int_equal(conf_i64(c, CONF_LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS), 77);
    conf_unref(&c);
    assert_says("port=9999\nlisteners=PLAINTEXT://:9092", 0, "warning: text:1: port: ignored, because listeners is set");
    assert_says("log.cleanup.interval.mins=x", E_INVALID_CONFIG, "log.retention.check.interval.ms");
}

static void the_node_has_one_number_by_either_name(void **state)
{
    struct conf *c = parse_ok("broker.id=7");
    assert_int_equal(conf_node_id(c), 7);
    conf_unref(&c);
    c = parse_ok("broker.id=7\nnode.id=7");
    assert_int_equal(conf_node_id(c), 7);
    conf_unref(&c);
    c = parse_ok("broker.id=-1\nnode.id=4");
    assert_int_equal(conf_node_id(c), 4);
    conf_unref(&c);
    assert_says("broker.id=7\nnode.id=8", E_INVALID_CONFIG, "text:1: broker.id=7: must be the same as node.id=8 (text:2)");
    assert_says("broker.id=-7", E_INVALID_CONFIG, "must be a whole number of at least 0, or -1");
}

static void a_node_of_a_larger_cluster_does_not_start_alone_unseen(void **state)
{
    assert_says("process.roles=controller", E_INVALID_CONFIG, "must contain broker");
    assert_says("node.id=2\ncontroller.quorum.voters=1@a:9093", E_INVALID_CONFIG, "node.id=2 is not among them");
    assert_says("node.id=2\ncontroller.quorum.voters=1@a:9093,2@b:9093,3@c:9093", 0, "nothing to do with the other 2");
    assert_says("controller.quorum.voters=x", E_INVALID_CONFIG, "'x' must be id@host:port");
}

static void settings_that_contradict_each_other_are_errors(void **state)
{
    assert_says("queued.max.request.bytes=5", E_INVALID_CONFIG, "must be at least socket.request.max.bytes=104857600");
    assert_says("max.connections.per.ip=0", E_INVALID_CONFIG, "nobody could connect");
    assert_says("max.connections.per.ip.overrides=1.2.3.4", E_INVALID_CONFIG, "must be address:number");
    assert_says("group.consumer.heartbeat.interval.ms=60000", E_INVALID_CONFIG,
                "must be at most group.consumer.max.heartbeat.interval.ms=15000");
    assert_says("log.cleaner.min.compaction.lag.ms=10\nlog.cleaner.max.compaction.lag.ms=5", E_INVALID_CONFIG, "must be at most");
    assert_says("odradek.cluster.id=short", E_INVALID_CONFIG, "22 characters");
    struct conf *c = parse_ok("max.connections.per.ip=5\nmax.connections.per.ip.overrides=127.0.0.1:200, ::1:7");
    assert_int_equal(conf_max_connections_of_ip(c, S("127.0.0.1")), 200);
    assert_int_equal(conf_max_connections_of_ip(c, S("::1")), 7);
    assert_int_equal(conf_max_connections_of_ip(c, S("10.0.0.1")), 5);
    conf_unref(&c);
}

static void a_key_set_twice_counts_as_the_last_and_is_told(void **state)
{
    assert_says("num.partitions=1\nnum.partitions=2", 0,
                "warning: text:2: num.partitions was already set at text:1; this one counts");
    struct conf *c = parse_ok("num.partitions=1\nnum.partitions=2");
    assert_int_equal(conf_i64(c, CONF_NUM_PARTITIONS), 2);
    conf_unref(&c);
}

static struct conf *load(struct test_env *env, struct conf_input in, int want_rc, const char *part)
{
    struct conf_report r = { 0 };
    struct conf *c = NULL;
    struct bytes said = { 0 };
    int rc = conf_load(env->world->fs, &in, &c, &r);
    conf_report_print(&r, &said);
    bytes_put(&said, "", 1);
    if (rc != want_rc) fail_msg("%s", (char *)said.p);
    if (part) assert_contains((char *)said.p, part);
    bytes_free(&said);
    conf_report_free(&r);
    return c;
}

static void the_command_line_beats_the_environment_beats_the_file(void **state)
{
    struct test_env *env = *state;
    const char *file = test_path(env, "server.properties");
    const char *overrides[] = { "num.partitions=30", " log.dirs = /o " };
    char *envp[] = { "KAFKA_NUM_PARTITIONS=20", "KAFKA_NUM_IO_THREADS=21", "PATH=/bin", "KAFKA_HEAP_OPTS=-Xmx1g", NULL };
    assert_ok(fs_write_file(env->world->fs, file, S("num.partitions=10\nnum.io.threads=11\nnum.network.threads=12\n")));
    struct conf *c =
        load(env, (struct conf_input){ .file = file, .overrides = overrides, .overrides_n = 2, .envp = envp }, 0, NULL);
    int n;
    assert_int_equal(conf_i64(c, CONF_NUM_PARTITIONS), 30);
    assert_int_equal(conf_i64(c, CONF_NUM_IO_THREADS), 21);
    assert_int_equal(conf_i64(c, CONF_NUM_NETWORK_THREADS), 12);
    assert_slice(conf_dirs(c, &n)[0], "/o");
    conf_unref(&c);
    const char *wrong[] = { "num.partitions" };
    load(env, (struct conf_input){ .overrides = wrong, .overrides_n = 1 }, E_INVALID_CONFIG,
         "--override num.partitions: must be key=value");
    char *bad[] = { "KAFKA_CFG_NUM_PARTITIONS=x", NULL };
    load(env, (struct conf_input){ .envp = bad }, E_INVALID_CONFIG,
         "environment KAFKA_CFG_NUM_PARTITIONS: num.partitions=x: must be a whole number");
}

static void variables_of_container_images_name_settings(void **state)
{
    struct test_env *env = *state;
    char *envp[] = { "KAFKA_NODE_ID=3",
                     "KAFKA_PROCESS_ROLES=broker,controller",
                     "KAFKA_CONTROLLER_QUORUM_VOTERS=3@localhost:9093",
                     "KAFKA_LISTENERS=PLAINTEXT://:19092,CONTROLLER://:9093,PLAINTEXT_HOST://:29092",
                     "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://broker:19092,PLAINTEXT_HOST://localhost:29092",
                     "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
                     "KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER",
                     "KAFKA_INTER_BROKER_LISTENER_NAME=PLAINTEXT",
                     "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1",
                     "CLUSTER_ID=MkU3OEVBNTcwNTJENDM2Qk",
                     "KAFKA_LOG4J_ROOT_LOGLEVEL=WARN",
                     "KAFKA_OPTS=-Dx",
                     "KAFKA_JMX_PORT=9",
                     "KAFKA_PORT=tcp://10.0.0.1:9092",
                     "KAFKA_PORT_9092_TCP=x",
                     "KAFKA_SERVICE_HOST=10.0.0.1",
                     "KAFKA_LOG_DIRS=/var/lib/kafka/data",
                     NULL };
    struct conf_input in = { .envp = envp };
    struct conf *c = load(env, in, 0, NULL);
    struct bytes out = { 0 };
    int n;
    const struct conf_listener *l = conf_listeners(c, &n);
    assert_int_equal(n, 2);
    assert_slice(l[0].advertised_host, "broker");
    assert_slice(l[1].name, "PLAINTEXT_HOST");
    assert_int_equal(l[1].advertised_port, 29092);
    assert_slice(conf_str(c, CONF_ODRADEK_CLUSTER_ID), "MkU3OEVBNTcwNTJENDM2Qk");
    assert_slice(conf_dirs(c, &n)[0], "/var/lib/kafka/data");
    conf_unref(&c);
    assert_int_equal(conf_check(env->world->fs, &in, &out), 0);
    bytes_put(&out, "", 1);
    assert_lacks((char *)out.p, "not a known setting");
    assert_lacks((char *)out.p, "tcp://");
    bytes_free(&out);
}

static void double_and_triple_underscores_are_an_underscore_and_a_dash(void **state)
{
    struct test_env *env = *state;
    char *envp[] = { "KAFKA_SOME__KEY___NAME_X=1", NULL };
    struct conf *c = load(env, (struct conf_input){ .envp = envp }, 0, "some_key-name.x is not a known setting");
    assert_slice(conf_raw(c, S("some_key-name.x")), "1");
    conf_unref(&c);
}

static void without_a_file_it_listens_on_this_machine_only(void **state)
{
    struct test_env *env = *state;
    char *envp[] = { "STATE_DIRECTORY=/var/lib/odradek:/var/lib/other", NULL };
    int n;
    struct conf *c = load(env, (struct conf_input){ .envp = envp }, 0, NULL);
    const struct conf_listener *l = conf_listeners(c, &n);
    assert_int_equal(n, 1);
    assert_slice(l->host, "localhost");
    assert_false(l->derive);
    assert_slice(l->advertised_host, "localhost");
    assert_slice(conf_dirs(c, &n)[0], "/var/lib/odradek");
    assert_int_equal(conf_source(c, CONF_LISTENERS), CONF_FROM_DEFAULT);
    conf_unref(&c);
    char *comma[] = { "STATE_DIRECTORY= ,", NULL };
    load(env, (struct conf_input){ .envp = comma }, E_INVALID_CONFIG,
         "STATE_DIRECTORY: a log directory's name cannot contain a comma");
    c = load(env, (struct conf_input){ 0 }, 0, "data lies in /tmp/kafka-logs, which a reboot may empty; set log.dirs");
    assert_slice(conf_dirs(c, &n)[0], "/tmp/kafka-logs");
    conf_unref(&c);
}

static void a_file_that_is_not_there_is_an_error_and_the_rest_is_still_checked(void **state)
{
    struct test_env *env = *state;
    const char *overrides[] = { "num.partitions=x" };
    const char *file = test_path(env, "none.properties");
    struct conf_input in = { .file = file, .overrides = overrides, .overrides_n = 1 };
    load(env, in, E_INVALID_CONFIG, "none.properties: cannot read it: ");
    load(env, in, E_INVALID_CONFIG, "--override: num.partitions=x: must be");
}

static void variables_in_values_are_filled_by_providers(void **state)
{
    struct test_env *env = *state;
    const char *secret = test_path(env, "secret.properties"), *file = test_path(env, "server.properties");
    char *envp[] = { "RACK=r1", NULL };
    assert_ok(fs_write_file(env->world->fs, secret, S("parts=5\nother=x\n")));
    struct slice text = arena_printf(&env->arena,
                                     "config.providers=env,file\n"
                                     "config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider\n"
                                     "config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\n"
                                     "broker.rack=<${env:RACK}-${other:x}>\nnum.partitions=${file:%s:parts}\n",
                                     secret);
    assert_ok(fs_write_file(env->world->fs, file, text));
    struct conf *c = load(env, (struct conf_input){ .file = file, .envp = envp }, 0, NULL);
    assert_slice(conf_str(c, CONF_BROKER_RACK), "<r1-${other:x}>");
    assert_int_equal(conf_i64(c, CONF_NUM_PARTITIONS), 5);
    conf_unref(&c);
    load(env, (struct conf_input){ .file = file }, E_INVALID_CONFIG, "broker.rack: nothing found for ${env:RACK}");
    assert_says("config.providers=vault\nconfig.providers.vault.class=com.example.Vault", E_INVALID_CONFIG, "provider vault");
}

static void secrets_are_never_printed(void **state)
{
    struct test_env *env = *state;
    struct bytes out = { 0 };
    const char *overrides[] = { "ssl.key.password=hunter2", "sasl.jaas.config=hunter2",
                                "listener.name.x.ssl.keystore.password=hunter2", "unknown.password=hunter2",
                                "delegation.token.secret.key=hunter2" };
    struct conf_input in = { .overrides = overrides, .overrides_n = 5 };
    assert_int_equal(conf_check(env->world->fs, &in, &out), E_INVALID_CONFIG);
    in.overrides_n = 4;
    assert_int_equal(conf_check(env->world->fs, &in, &out), 0);
    bytes_put(&out, "", 1);
    assert_lacks((char *)out.p, "hunter2");
    assert_contains((char *)out.p, "set ssl.key.password=[hidden] (--override): kept, waits for: TLS listeners");
    bytes_free(&out);
}

static void check_tells_everything_in_one_text(void **state)
{
    struct test_env *env = *state;
    struct bytes out = { 0 };
    const char *file = test_path(env, "server.properties");
    assert_ok(fs_write_file(env->world->fs, file,
                            S("listeners=PLAINTEXT://[::1]:9092,IN://:9095\nlistener.security.protocol.map=PLAINTEXT:"
                              "PLAINTEXT,IN:PLAINTEXT\nlog.dirs=/a,/b\nmetadata.log.dir=/m\nzookeeper.connect=z\n")));
    struct conf_input in = { .file = file };
    assert_int_equal(conf_check(env->world->fs, &in, &out), 0);
    bytes_put(&out, "", 1);
    const char *text = (char *)out.p;
    assert_contains(text, "node 1, unless the directories say otherwise\n");
    assert_contains(text, "listener PLAINTEXT (PLAINTEXT) on [::1]:9092, clients are told ::1:9092\n");
    assert_contains(text,
                    "listener IN (PLAINTEXT) on every address:9095, clients are told the address they dialled, port 9095\n");
    assert_contains(text, "directory /a\ndirectory /b\nmetadata in /m\n");
    assert_contains(text, "server.properties:3): honoured\n");
    assert_contains(text, "good: 0 errors, 1 warning\n");
    bytes_free(&out);
}

static void snapshots_are_counted_and_parts_shared(void **state)
{
    struct conf *c = parse_ok("num.partitions=4"), *again = conf_ref(c);
    conf_unref(&c);
    assert_null(c);
    assert_int_equal(conf_i64(again, CONF_NUM_PARTITIONS), 4);
    struct conf *next = conf_with(again, NULL, 0, NULL, 0);
    conf_unref(&again);
    assert_int_equal(conf_i64(next, CONF_NUM_PARTITIONS), 4);
    conf_unref(&next);
    conf_unref(&next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_2019_starts_as_it_is),
        cmocka_unit_test(kafkas_own_file_starts_as_it_is_and_its_controller_is_left_alone),
        cmocka_unit_test(an_empty_file_has_kafkas_defaults_and_ours),
        cmocka_unit_test(every_error_is_told_with_line_key_value_and_what_is_right),
        cmocka_unit_test(a_typing_error_gets_the_nearest_name),
        cmocka_unit_test(foreign_settings_are_told_apart),
        cmocka_unit_test(what_cannot_be_honoured_and_matters_stops_the_start),
        cmocka_unit_test(replication_above_one_counts_as_one_and_is_said_once),
        cmocka_unit_test(small_socket_buffers_are_warned_of),
        cmocka_unit_test(old_names_become_new_ones),
        cmocka_unit_test(the_node_has_one_number_by_either_name),
        cmocka_unit_test(a_node_of_a_larger_cluster_does_not_start_alone_unseen),
        cmocka_unit_test(settings_that_contradict_each_other_are_errors),
        cmocka_unit_test(a_key_set_twice_counts_as_the_last_and_is_told),
        IN_SIM_WORLD(the_command_line_beats_the_environment_beats_the_file),
        IN_SIM_WORLD(variables_of_container_images_name_settings),
        IN_SIM_WORLD(double_and_triple_underscores_are_an_underscore_and_a_dash),
        IN_SIM_WORLD(without_a_file_it_listens_on_this_machine_only),
        IN_SIM_WORLD(a_file_that_is_not_there_is_an_error_and_the_rest_is_still_checked),
        IN_SIM_WORLD(variables_in_values_are_filled_by_providers),
        IN_SIM_WORLD(secrets_are_never_printed),
        IN_SIM_WORLD(check_tells_everything_in_one_text),
        cmocka_unit_test(snapshots_are_counted_and_parts_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
