/* Every setting, once. Include it with the macros defined that you want; the others expand to nothing.
 *
 *   CONF(id, name, type, default, valid, importance, mode, verdict, doc)                 the broker's
 *   TOPIC_CONF(id, name, type, default, valid, importance, mode, verdict, synonym, doc)  a topic's; synonym: the broker's key that gives the default
 *   GROUP_CONF(the same)                                                                 a group's
 *   METRICS_CONF(as CONF)                                                                a client metrics subscription's
 *   QUOTA_CONF(as CONF)                                                                  of user, client id, ip and throttling entities
 *   OLD_CONF(name, verdict, what)                                                        names of older versions; a trailing * is any ending
 *
 * type        as in DescribeConfigs; default is text, NULL is null.
 * valid       AT_LEAST(a), BETWEEN(a, b), ONE_OF("a, b"), LIST_OF("a, b") (may be empty), LIST_OF_FULL (may not), …
 * mode        READ_ONLY, PER_BROKER, CLUSTER_WIDE: may it change while the broker runs; REQUIRED and INTERNAL are read-only.
 * verdict     what we do with it: HONOUR; CLAMP to 1; AHEAD(feature): accepted, acts once that is served; IGNORE(reason) with a line;
 *             QUIET: ignored without one; LATER(reason), REJECT(reason): anything but the default stops the start.
 * doc         one line of help: DescribeConfigs, `odradek check`, config/server.properties. */
/* clang-format off */
#ifndef CONF
#define CONF(...)
#endif
#ifndef TOPIC_CONF
#define TOPIC_CONF(...)
#endif
#ifndef GROUP_CONF
#define GROUP_CONF(...)
#endif
#ifndef METRICS_CONF
#define METRICS_CONF(...)
#endif
#ifndef QUOTA_CONF
#define QUOTA_CONF(...)
#endif
#ifndef OLD_CONF
#define OLD_CONF(...)
#endif


/* ---- broker ------------------------------------------------------------------------------------------------------------------ */

CONF(ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MAX_MS, "add.partitions.to.txn.retry.backoff.max.ms", INT, "100", AT_LEAST(0), HIGH,
    READ_ONLY, IGNORE("a call inside the process here"),
    "Longest the broker waits for a transaction's previous step when partitions are added, inside one request.")
CONF(ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MS, "add.partitions.to.txn.retry.backoff.ms", INT, "20", AT_LEAST(1), HIGH, READ_ONLY,
    IGNORE("a call inside the process here"), "Pause between two such looks at the transaction.")
CONF(ADVERTISED_LISTENERS, "advertised.listeners", LIST, NULL, LIST_FULL, HIGH, READ_ONLY, HONOUR,
    "Addresses that clients are told to connect to, LISTENER://host:port. Unset: the listener's own host; for a listener "
    "on every address, the address the client dialled.")
CONF(ALTER_CONFIG_POLICY_CLASS_NAME, "alter.config.policy.class.name", CLASS, NULL, ANY, LOW, READ_ONLY,
    REJECT("Java classes cannot be loaded"), "Java class that judges configuration changes.")
CONF(ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_NUM, "alter.log.dirs.replication.quota.window.num", INT, "11", AT_LEAST(1), LOW,
    READ_ONLY, IGNORE("one replica"), "Windows kept for measuring replica moves between directories.")
CONF(ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_SIZE_SECONDS, "alter.log.dirs.replication.quota.window.size.seconds", INT, "1",
    AT_LEAST(1), LOW, READ_ONLY, IGNORE("one replica"), "Length of one such window, in seconds.")
CONF(AUTHORIZER_CLASS_NAME, "authorizer.class.name", STRING, "", NON_NULL, LOW, READ_ONLY,
    LATER("no authoriser is served by this build: everybody may do everything"),
    "Who decides what a client may do. Empty: everybody may do everything.")
CONF(AUTO_CREATE_TOPICS_ENABLE, "auto.create.topics.enable", BOOLEAN, "true", ANY, HIGH, READ_ONLY, HONOUR,
    "Create a topic when a client asks for the metadata of one that is not there.")
CONF(AUTO_LEADER_REBALANCE_ENABLE, "auto.leader.rebalance.enable", BOOLEAN, "true", ANY, HIGH, READ_ONLY, IGNORE("one replica"),
    "Move leadership back to the preferred replica by itself.")
CONF(BACKGROUND_THREADS, "background.threads", INT, "10", AT_LEAST(1), HIGH, CLUSTER_WIDE, IGNORE("one event loop owns a group"),
    "Threads for background tasks.")
CONF(BROKER_HEARTBEAT_INTERVAL_MS, "broker.heartbeat.interval.ms", INT, "2000", ANY, MEDIUM, READ_ONLY,
    IGNORE("no controller quorum"), "How often a broker reports to the controller.")
CONF(BROKER_ID, "broker.id", INT, "-1", ANY, HIGH, READ_ONLY, HONOUR, "Old name of node.id; -1 means not given.")
CONF(BROKER_RACK, "broker.rack", STRING, NULL, ANY, MEDIUM, READ_ONLY, HONOUR,
    "Rack of this broker, told to clients in metadata.")
CONF(BROKER_SESSION_TIMEOUT_MS, "broker.session.timeout.ms", INT, "9000", ANY, MEDIUM, READ_ONLY, IGNORE("no controller quorum"),
    "When the controller gives up on a silent broker.")
CONF(CLIENT_QUOTA_CALLBACK_CLASS, "client.quota.callback.class", CLASS, NULL, ANY, LOW, READ_ONLY,
    REJECT("Java classes cannot be loaded; set quotas with kafka-configs"), "Java class that decides client quotas.")
CONF(COMPRESSION_GZIP_LEVEL, "compression.gzip.level", INT, "-1", GZIP_LEVEL, MEDIUM, CLUSTER_WIDE, HONOUR,
    "Effort of gzip where the broker recompresses; -1 is the library's own choice.")
CONF(COMPRESSION_LZ4_LEVEL, "compression.lz4.level", INT, "9", BETWEEN(1, 17), MEDIUM, CLUSTER_WIDE, HONOUR,
    "Effort of lz4 where the broker recompresses.")
CONF(COMPRESSION_TYPE, "compression.type", STRING, "producer", ONE_OF("uncompressed, zstd, lz4, snappy, gzip, producer"), HIGH,
    CLUSTER_WIDE, HONOUR,
    "Codec of stored batches. producer: keep what the producer sent; anything else recompresses what differs.")
CONF(COMPRESSION_ZSTD_LEVEL, "compression.zstd.level", INT, "3", BETWEEN(-131072, 22), MEDIUM, CLUSTER_WIDE, HONOUR,
    "Effort of zstd where the broker recompresses; negative is faster.")
CONF(CONFIG_PROVIDERS, "config.providers", LIST, "", ANY_LIST, LOW, CLUSTER_WIDE, HONOUR,
    "Names of providers for ${name:path:key} in values: env, file and directory are built in.")
CONF(CONNECTION_FAILED_AUTHENTICATION_DELAY_MS, "connection.failed.authentication.delay.ms", INT, "100", AT_LEAST(0), LOW,
    READ_ONLY, AHEAD("SASL listeners"), "Wait this long before a connection that failed to authenticate is closed.")
CONF(CONNECTIONS_MAX_IDLE_MS, "connections.max.idle.ms", LONG, "600000", ANY, MEDIUM, READ_ONLY, HONOUR,
    "Close a connection on which nothing happened for this long; negative: never.")
CONF(CONNECTIONS_MAX_REAUTH_MS, "connections.max.reauth.ms", LONG, "0", ANY, MEDIUM, READ_ONLY, AHEAD("SASL listeners"),
    "Longest life of an authenticated session before the client must authenticate again; 0: endless.")
CONF(CONTROLLED_SHUTDOWN_ENABLE, "controlled.shutdown.enable", BOOLEAN, "true", ANY, MEDIUM, READ_ONLY,
    IGNORE("nothing to hand over"), "Hand over leadership before stopping.")
CONF(CONTROLLER_LISTENER_NAMES, "controller.listener.names", LIST, "", ANY_LIST, HIGH, REQUIRED, QUIET,
    "Listeners that belong to the controller. They are neither opened nor advertised here: the controller is inside.")
CONF(CONTROLLER_PERFORMANCE_ALWAYS_LOG_THRESHOLD_MS, "controller.performance.always.log.threshold.ms", LONG, "2000", AT_LEAST(0),
    MEDIUM, INTERNAL, IGNORE("no controller quorum"), "Controller events slower than this are logged.")
CONF(CONTROLLER_PERFORMANCE_SAMPLE_PERIOD_MS, "controller.performance.sample.period.ms", LONG, "60000", AT_LEAST(100), MEDIUM,
    INTERNAL, IGNORE("no controller quorum"), "How often the controller logs its slowest events.")
CONF(CONTROLLER_QUORUM_APPEND_LINGER_MS, "controller.quorum.append.linger.ms", INT, "25", AT_LEAST(0), MEDIUM, READ_ONLY,
    IGNORE("no controller quorum"), "How long the quorum leader gathers appends before it writes.")
CONF(CONTROLLER_QUORUM_AUTO_JOIN_ENABLE, "controller.quorum.auto.join.enable", BOOLEAN, "false", ANY, LOW, READ_ONLY,
    IGNORE("no controller quorum"), "Let a controller join the quorum by itself.")
CONF(CONTROLLER_QUORUM_BOOTSTRAP_SERVERS, "controller.quorum.bootstrap.servers", LIST, "", ANY_LIST, HIGH, READ_ONLY, QUIET,
    "Where to find the controllers. One node needs none; it is kept for Apache Kafka's sake.")
CONF(CONTROLLER_QUORUM_ELECTION_BACKOFF_MAX_MS, "controller.quorum.election.backoff.max.ms", INT, "1000", AT_LEAST(0), HIGH,
    READ_ONLY, IGNORE("no controller quorum"), "Longest pause between two elections.")
CONF(CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS, "controller.quorum.election.timeout.ms", INT, "1000", AT_LEAST(0), HIGH, READ_ONLY,
    IGNORE("no controller quorum"), "How long a candidate waits for votes.")
CONF(CONTROLLER_QUORUM_FETCH_MAX_BYTES, "controller.quorum.fetch.max.bytes", INT, "1048576", AT_LEAST(1), LOW, READ_ONLY,
    IGNORE("no controller quorum"), "Most bytes in one fetch of the quorum's log.")
CONF(CONTROLLER_QUORUM_FETCH_SNAPSHOT_MAX_BYTES, "controller.quorum.fetch.snapshot.max.bytes", INT, "1048576", AT_LEAST(1), LOW,
    READ_ONLY, IGNORE("no controller quorum"), "Most bytes in one fetch of a metadata snapshot.")
CONF(CONTROLLER_QUORUM_FETCH_TIMEOUT_MS, "controller.quorum.fetch.timeout.ms", INT, "2000", AT_LEAST(0), HIGH, READ_ONLY,
    IGNORE("no controller quorum"), "How long a quorum follower goes without its leader before it calls an election.")
CONF(CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS, "controller.quorum.request.timeout.ms", INT, "2000", AT_LEAST(0), MEDIUM, READ_ONLY,
    IGNORE("no controller quorum"), "How long a quorum request may take.")
CONF(CONTROLLER_QUORUM_RETRY_BACKOFF_MS, "controller.quorum.retry.backoff.ms", INT, "20", AT_LEAST(0), LOW, READ_ONLY,
    IGNORE("no controller quorum"), "Pause before a quorum request is tried again.")
CONF(CONTROLLER_QUORUM_VOTERS, "controller.quorum.voters", LIST, "", ANY_LIST, HIGH, READ_ONLY, QUIET,
    "The controllers as id@host:port. One node needs none; it is kept for Apache Kafka's sake.")
CONF(CONTROLLER_QUOTA_WINDOW_NUM, "controller.quota.window.num", INT, "11", AT_LEAST(1), LOW, READ_ONLY, AHEAD("quotas"),
    "Windows kept for measuring changes to topics and partitions.")
CONF(CONTROLLER_QUOTA_WINDOW_SIZE_SECONDS, "controller.quota.window.size.seconds", INT, "1", AT_LEAST(1), LOW, READ_ONLY,
    AHEAD("quotas"), "Length of one such window, in seconds.")
CONF(CONTROLLER_SOCKET_TIMEOUT_MS, "controller.socket.timeout.ms", INT, "30000", ANY, MEDIUM, READ_ONLY,
    IGNORE("no controller quorum"), "How long the controller waits on a socket.")
CONF(CORDONED_LOG_DIRS, "cordoned.log.dirs", LIST, "", ANY_LIST, MEDIUM, PER_BROKER, HONOUR,
    "Log directories that get no new partitions; * means all of them.")
CONF(CREATE_TOPIC_POLICY_CLASS_NAME, "create.topic.policy.class.name", CLASS, NULL, ANY, LOW, READ_ONLY,
    REJECT("Java classes cannot be loaded"), "Java class that judges new topics.")
CONF(DEFAULT_REPLICATION_FACTOR, "default.replication.factor", INT, "1", ANY, MEDIUM, READ_ONLY, CLAMP,
    "Replicas of a topic created without saying how many. One node has one.")
CONF(DELEGATION_TOKEN_EXPIRY_CHECK_INTERVAL_MS, "delegation.token.expiry.check.interval.ms", LONG, "3600000", AT_LEAST(1), LOW,
    READ_ONLY, LATER("delegation tokens are not served by this build"), "How often expired delegation tokens are looked for.")
CONF(DELEGATION_TOKEN_EXPIRY_TIME_MS, "delegation.token.expiry.time.ms", LONG, "86400000", AT_LEAST(1), MEDIUM, READ_ONLY,
    LATER("delegation tokens are not served by this build"), "How long a delegation token is good before it must be renewed.")
CONF(DELEGATION_TOKEN_MAX_LIFETIME_MS, "delegation.token.max.lifetime.ms", LONG, "604800000", AT_LEAST(1), MEDIUM, READ_ONLY,
    LATER("delegation tokens are not served by this build"), "Longest life of a delegation token, renewals included.")
CONF(DELEGATION_TOKEN_SECRET_KEY, "delegation.token.secret.key", PASSWORD, NULL, ANY, MEDIUM, READ_ONLY,
    LATER("delegation tokens are not served by this build"), "Secret that signs delegation tokens.")
CONF(DELETE_RECORDS_PURGATORY_PURGE_INTERVAL_REQUESTS, "delete.records.purgatory.purge.interval.requests", INT, "1", ANY, MEDIUM,
    READ_ONLY, QUIET, "When finished DeleteRecords waits are swept out.")
CONF(DELETE_TOPIC_ENABLE, "delete.topic.enable", BOOLEAN, "true", ANY, HIGH, READ_ONLY, HONOUR,
    "Allow topics to be deleted by clients.")
CONF(EARLY_START_LISTENERS, "early.start.listeners", LIST, NULL, ANY_LIST, HIGH, READ_ONLY, IGNORE("no broker-to-broker link"),
    "Listeners that serve before the authoriser is ready.")
CONF(FETCH_MAX_BYTES, "fetch.max.bytes", INT, "57671680", AT_LEAST(1024), MEDIUM, READ_ONLY, HONOUR,
    "Most bytes in one answer to a fetch, whatever the client asks for; the first batch always goes whole.")
CONF(FETCH_PURGATORY_PURGE_INTERVAL_REQUESTS, "fetch.purgatory.purge.interval.requests", INT, "1000", ANY, MEDIUM, READ_ONLY,
    QUIET, "When finished fetch waits are swept out.")
CONF(FOLLOWER_FETCH_LAST_TIERED_OFFSET_ENABLE, "follower.fetch.last.tiered.offset.enable", BOOLEAN, "false", ANY, MEDIUM,
    CLUSTER_WIDE, IGNORE("one replica"), "Start an empty follower at the last tiered offset.")
CONF(GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS, "group.consumer.assignment.interval.ms", INT, "1000", AT_LEAST(0), MEDIUM,
    CLUSTER_WIDE, AHEAD("the new consumer protocol"), "Least time between two assignments of a consumer group.")
CONF(GROUP_CONSUMER_ASSIGNORS, "group.consumer.assignors", LIST, "uniform,range", ANY_LIST, MEDIUM, READ_ONLY,
    AHEAD("the new consumer protocol"), "Assignment strategies on the broker's side, the first is the default.")
CONF(GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS, "group.consumer.heartbeat.interval.ms", INT, "5000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("the new consumer protocol"), "How often members of a consumer group report.")
CONF(GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS, "group.consumer.max.assignment.interval.ms", INT, "15000", AT_LEAST(0), MEDIUM,
    READ_ONLY, AHEAD("the new consumer protocol"), "Largest assignment interval a group may be given.")
CONF(GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS, "group.consumer.max.heartbeat.interval.ms", INT, "15000", AT_LEAST(1), MEDIUM,
    READ_ONLY, AHEAD("the new consumer protocol"), "Largest heartbeat interval a group may be given.")
CONF(GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS, "group.consumer.max.session.timeout.ms", INT, "60000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("the new consumer protocol"), "Largest session timeout a group may be given.")
CONF(GROUP_CONSUMER_MAX_SIZE, "group.consumer.max.size", INT, "2147483647", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("the new consumer protocol"), "Most members in one consumer group.")
CONF(GROUP_CONSUMER_MIGRATION_POLICY, "group.consumer.migration.policy", STRING, "bidirectional",
    ONE_OF_ANY_CASE("DISABLED, DOWNGRADE, UPGRADE, BIDIRECTIONAL"), MEDIUM, READ_ONLY, AHEAD("the new consumer protocol"),
    "Whether a group may change between the classic and the consumer protocol while it is in use.")
CONF(GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS, "group.consumer.min.assignment.interval.ms", INT, "0", AT_LEAST(0), MEDIUM,
    READ_ONLY, AHEAD("the new consumer protocol"), "Smallest assignment interval a group may be given.")
CONF(GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS, "group.consumer.min.heartbeat.interval.ms", INT, "5000", AT_LEAST(1), MEDIUM,
    READ_ONLY, AHEAD("the new consumer protocol"), "Smallest heartbeat interval a group may be given.")
CONF(GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS, "group.consumer.min.session.timeout.ms", INT, "45000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("the new consumer protocol"), "Smallest session timeout a group may be given.")
CONF(GROUP_CONSUMER_REGEX_REFRESH_INTERVAL_MS, "group.consumer.regex.refresh.interval.ms", INT, "600000", AT_LEAST(10000), MEDIUM,
    INTERNAL, AHEAD("the new consumer protocol"), "How often subscriptions by pattern are matched against the topics anew.")
CONF(GROUP_CONSUMER_SESSION_TIMEOUT_MS, "group.consumer.session.timeout.ms", INT, "45000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("the new consumer protocol"), "A member that is silent for this long is put out of its group.")
CONF(GROUP_COORDINATOR_APPEND_LINGER_MS, "group.coordinator.append.linger.ms", INT, "-1", AT_LEAST(-1), MEDIUM, READ_ONLY,
    IGNORE("one event loop owns a group"), "How long group records are gathered before they are written.")
CONF(GROUP_COORDINATOR_BACKGROUND_THREADS, "group.coordinator.background.threads", INT, "2", AT_LEAST(1), HIGH, READ_ONLY,
    IGNORE("one event loop owns a group"), "Threads for the coordinator's slow work.")
CONF(GROUP_COORDINATOR_CACHED_BUFFER_MAX_BYTES, "group.coordinator.cached.buffer.max.bytes", INT, "1048588", AT_LEAST(524288),
    MEDIUM, CLUSTER_WIDE, IGNORE("one event loop owns a group"), "Largest write buffer a coordinator keeps.")
CONF(GROUP_COORDINATOR_REBALANCE_PROTOCOLS, "group.coordinator.rebalance.protocols", LIST, "classic,consumer,streams",
    LIST_OF("consumer, classic, share, streams"), MEDIUM, READ_ONLY, HONOUR, "Kinds of groups that are served.")
CONF(GROUP_COORDINATOR_THREADS, "group.coordinator.threads", INT, "4", AT_LEAST(1), HIGH, READ_ONLY,
    IGNORE("one event loop owns a group"), "Threads of the group coordinator.")
CONF(GROUP_INITIAL_REBALANCE_DELAY_MS, "group.initial.rebalance.delay.ms", INT, "0", ANY, MEDIUM, READ_ONLY, HONOUR,
    "An empty classic group waits this long for more members before its first assignment.")
CONF(GROUP_MAX_SESSION_TIMEOUT_MS, "group.max.session.timeout.ms", INT, "1800000", ANY, MEDIUM, READ_ONLY, HONOUR,
    "Largest session timeout a classic member may ask for.")
CONF(GROUP_MAX_SIZE, "group.max.size", INT, "2147483647", AT_LEAST(1), MEDIUM, READ_ONLY, HONOUR,
    "Most members in one classic group.")
CONF(GROUP_MIN_SESSION_TIMEOUT_MS, "group.min.session.timeout.ms", INT, "6000", ANY, MEDIUM, READ_ONLY, HONOUR,
    "Smallest session timeout a classic member may ask for.")
CONF(GROUP_SHARE_ASSIGNMENT_INTERVAL_MS, "group.share.assignment.interval.ms", INT, "1000", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    AHEAD("share groups"), "Least time between two assignments of a share group.")
CONF(GROUP_SHARE_ASSIGNORS, "group.share.assignors", LIST, "simple", ANY_LIST, MEDIUM, READ_ONLY, AHEAD("share groups"),
    "Assignment strategies of share groups.")
CONF(GROUP_SHARE_DELIVERY_COUNT_LIMIT, "group.share.delivery.count.limit", INT, "5", BETWEEN(2, 10), MEDIUM, READ_ONLY,
    AHEAD("share groups"), "How often a record is delivered before a share group gives it up.")
CONF(GROUP_SHARE_HEARTBEAT_INTERVAL_MS, "group.share.heartbeat.interval.ms", INT, "5000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("share groups"), "How often members of a share group report.")
CONF(GROUP_SHARE_INITIALIZE_RETRY_INTERVAL_MS, "group.share.initialize.retry.interval.ms", INT, "30000", AT_LEAST(1), LOW,
    INTERNAL, IGNORE("one event loop owns a group"), "Pause before share partition state is initialised again.")
CONF(GROUP_SHARE_MAX_ASSIGNMENT_INTERVAL_MS, "group.share.max.assignment.interval.ms", INT, "15000", AT_LEAST(0), MEDIUM,
    READ_ONLY, AHEAD("share groups"), "Largest assignment interval a share group may be given.")
CONF(GROUP_SHARE_MAX_DELIVERY_COUNT_LIMIT, "group.share.max.delivery.count.limit", INT, "10", BETWEEN(5, 25), MEDIUM, READ_ONLY,
    AHEAD("share groups"), "Largest delivery limit a share group may be given.")
CONF(GROUP_SHARE_MAX_HEARTBEAT_INTERVAL_MS, "group.share.max.heartbeat.interval.ms", INT, "15000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("share groups"), "Largest heartbeat interval a share group may be given.")
CONF(GROUP_SHARE_MAX_PARTITION_MAX_RECORD_LOCKS, "group.share.max.partition.max.record.locks", INT, "4000", BETWEEN(2000, 10000),
    MEDIUM, READ_ONLY, AHEAD("share groups"), "Largest number of locks per partition a share group may be given.")
CONF(GROUP_SHARE_MAX_RECORD_LOCK_DURATION_MS, "group.share.max.record.lock.duration.ms", INT, "60000", BETWEEN(30000, 3600000),
    MEDIUM, READ_ONLY, AHEAD("share groups"), "Longest lock a share group may be given.")
CONF(GROUP_SHARE_MAX_SESSION_TIMEOUT_MS, "group.share.max.session.timeout.ms", INT, "60000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("share groups"), "Largest session timeout a share group may be given.")
CONF(GROUP_SHARE_MAX_SHARE_SESSIONS, "group.share.max.share.sessions", INT, "2000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("share groups"), "Most share sessions at once.")
CONF(GROUP_SHARE_MAX_SIZE, "group.share.max.size", INT, "200", BETWEEN(1, 1000), MEDIUM, READ_ONLY, AHEAD("share groups"),
    "Most members in one share group.")
CONF(GROUP_SHARE_MIN_ASSIGNMENT_INTERVAL_MS, "group.share.min.assignment.interval.ms", INT, "0", AT_LEAST(0), MEDIUM, READ_ONLY,
    AHEAD("share groups"), "Smallest assignment interval a share group may be given.")
CONF(GROUP_SHARE_MIN_DELIVERY_COUNT_LIMIT, "group.share.min.delivery.count.limit", INT, "2", BETWEEN(2, 5), MEDIUM, READ_ONLY,
    AHEAD("share groups"), "Smallest delivery limit a share group may be given.")
CONF(GROUP_SHARE_MIN_HEARTBEAT_INTERVAL_MS, "group.share.min.heartbeat.interval.ms", INT, "5000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("share groups"), "Smallest heartbeat interval a share group may be given.")
CONF(GROUP_SHARE_MIN_PARTITION_MAX_RECORD_LOCKS, "group.share.min.partition.max.record.locks", INT, "100", BETWEEN(100, 2000),
    MEDIUM, READ_ONLY, AHEAD("share groups"), "Smallest number of locks per partition a share group may be given.")
CONF(GROUP_SHARE_MIN_RECORD_LOCK_DURATION_MS, "group.share.min.record.lock.duration.ms", INT, "15000", BETWEEN(1000, 30000),
    MEDIUM, READ_ONLY, AHEAD("share groups"), "Shortest lock a share group may be given.")
CONF(GROUP_SHARE_MIN_SESSION_TIMEOUT_MS, "group.share.min.session.timeout.ms", INT, "45000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("share groups"), "Smallest session timeout a share group may be given.")
CONF(GROUP_SHARE_PARTITION_MAX_RECORD_LOCKS, "group.share.partition.max.record.locks", INT, "2000", BETWEEN(100, 10000), MEDIUM,
    READ_ONLY, AHEAD("share groups"), "Most records of a share partition that may be out with consumers at once.")
CONF(GROUP_SHARE_PERSISTER_CLASS_NAME, "group.share.persister.class.name", STRING,
    "org.apache.kafka.server.share.persister.DefaultStatePersister", ANY, MEDIUM, INTERNAL,
    REJECT("it is built in, and no other Java class can be loaded"), "Class that keeps the state of share groups.")
CONF(GROUP_SHARE_RECORD_LOCK_DURATION_MS, "group.share.record.lock.duration.ms", INT, "30000", BETWEEN(1000, 3600000), MEDIUM,
    READ_ONLY, AHEAD("share groups"), "How long a record delivered to a share consumer stays locked for it.")
CONF(GROUP_SHARE_SESSION_TIMEOUT_MS, "group.share.session.timeout.ms", INT, "45000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("share groups"), "A member that is silent for this long is put out of its share group.")
CONF(GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS, "group.streams.assignment.interval.ms", INT, "1000", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    AHEAD("streams groups"), "Least time between two assignments of a streams group.")
CONF(GROUP_STREAMS_HEARTBEAT_INTERVAL_MS, "group.streams.heartbeat.interval.ms", INT, "5000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("streams groups"), "How often members of a streams group report.")
CONF(GROUP_STREAMS_INITIAL_REBALANCE_DELAY_MS, "group.streams.initial.rebalance.delay.ms", INT, "3000", AT_LEAST(0), MEDIUM,
    READ_ONLY, AHEAD("streams groups"), "An empty streams group waits this long for more members before its first assignment.")
CONF(GROUP_STREAMS_MAX_ASSIGNMENT_INTERVAL_MS, "group.streams.max.assignment.interval.ms", INT, "15000", AT_LEAST(0), MEDIUM,
    READ_ONLY, AHEAD("streams groups"), "Largest assignment interval a streams group may be given.")
CONF(GROUP_STREAMS_MAX_HEARTBEAT_INTERVAL_MS, "group.streams.max.heartbeat.interval.ms", INT, "15000", AT_LEAST(1), MEDIUM,
    READ_ONLY, AHEAD("streams groups"), "Largest heartbeat interval a streams group may be given.")
CONF(GROUP_STREAMS_MAX_SESSION_TIMEOUT_MS, "group.streams.max.session.timeout.ms", INT, "60000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("streams groups"), "Largest session timeout a streams group may be given.")
CONF(GROUP_STREAMS_MAX_SIZE, "group.streams.max.size", INT, "2147483647", AT_LEAST(1), MEDIUM, READ_ONLY, AHEAD("streams groups"),
    "Most members in one streams group.")
CONF(GROUP_STREAMS_MAX_STANDBY_REPLICAS, "group.streams.max.standby.replicas", INT, "2", AT_LEAST(0), MEDIUM, READ_ONLY,
    AHEAD("streams groups"), "Most standby replicas a streams group may be given.")
CONF(GROUP_STREAMS_MIN_ASSIGNMENT_INTERVAL_MS, "group.streams.min.assignment.interval.ms", INT, "0", AT_LEAST(0), MEDIUM,
    READ_ONLY, AHEAD("streams groups"), "Smallest assignment interval a streams group may be given.")
CONF(GROUP_STREAMS_MIN_HEARTBEAT_INTERVAL_MS, "group.streams.min.heartbeat.interval.ms", INT, "5000", AT_LEAST(1), MEDIUM,
    READ_ONLY, AHEAD("streams groups"), "Smallest heartbeat interval a streams group may be given.")
CONF(GROUP_STREAMS_MIN_SESSION_TIMEOUT_MS, "group.streams.min.session.timeout.ms", INT, "45000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("streams groups"), "Smallest session timeout a streams group may be given.")
CONF(GROUP_STREAMS_NUM_STANDBY_REPLICAS, "group.streams.num.standby.replicas", INT, "0", AT_LEAST(0), MEDIUM, READ_ONLY,
    AHEAD("streams groups"), "Standby replicas of each stateful task of a streams group.")
CONF(GROUP_STREAMS_SESSION_TIMEOUT_MS, "group.streams.session.timeout.ms", INT, "45000", AT_LEAST(1), MEDIUM, READ_ONLY,
    AHEAD("streams groups"), "A member that is silent for this long is put out of its streams group.")
CONF(INITIAL_BROKER_REGISTRATION_TIMEOUT_MS, "initial.broker.registration.timeout.ms", INT, "60000", ANY, MEDIUM, READ_ONLY,
    IGNORE("no controller quorum"), "How long a starting broker tries to register with the controller.")
CONF(INTER_BROKER_LISTENER_NAME, "inter.broker.listener.name", STRING, NULL, ANY, MEDIUM, READ_ONLY,
    IGNORE("no broker-to-broker link"), "Listener that brokers use among themselves.")
CONF(INTERNAL_METADATA_DELETE_DELAY_MILLIS, "internal.metadata.delete.delay.millis", LONG, "60000", ANY, LOW, INTERNAL,
    IGNORE("internal to Apache Kafka"), "Delay before old metadata files are deleted.")
CONF(INTERNAL_METADATA_LOG_SEGMENT_BYTES, "internal.metadata.log.segment.bytes", INT, NULL, ANY, LOW, INTERNAL,
    IGNORE("internal to Apache Kafka"), "Segment size of the metadata log, for Kafka's own tests.")
CONF(INTERNAL_METADATA_MAX_BATCH_SIZE_IN_BYTES, "internal.metadata.max.batch.size.in.bytes", INT, "8388608", ANY, LOW, INTERNAL,
    IGNORE("internal to Apache Kafka"), "Largest batch of the metadata log, for Kafka's own tests.")
CONF(KAFKA_METRICS_POLLING_INTERVAL_SECS, "kafka.metrics.polling.interval.secs", INT, "10", AT_LEAST(1), LOW, READ_ONLY,
    IGNORE("there is no JVM"), "How often Kafka's metric reporters poll.")
CONF(KAFKA_METRICS_REPORTERS, "kafka.metrics.reporters", LIST, "", ANY_LIST, LOW, READ_ONLY, IGNORE("there is no JVM"),
    "Java classes that report metrics.")
CONF(LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS, "leader.imbalance.check.interval.seconds", LONG, "300", AT_LEAST(1), HIGH,
    READ_ONLY, IGNORE("one replica"), "How often leadership is compared with the preferred replicas.")
CONF(LISTENER_SECURITY_PROTOCOL_MAP, "listener.security.protocol.map", STRING,
    "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", ANY, LOW, PER_BROKER, HONOUR,
    "Protocol of each listener name, NAME:PROTOCOL with commas.")
CONF(LISTENERS, "listeners", LIST, "PLAINTEXT://:9092", LIST_FULL, HIGH, PER_BROKER, HONOUR,
    "Addresses to listen on, NAME://host:port with commas; an empty host means every address, localhost both loopback addresses.")
CONF(LOG_CLEANER_BACKOFF_MS, "log.cleaner.backoff.ms", LONG, "15000", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR,
    "How long the cleaner sleeps when no log needs cleaning.")
CONF(LOG_CLEANER_DEDUPE_BUFFER_SIZE, "log.cleaner.dedupe.buffer.size", LONG, "134217728", ANY, MEDIUM, CLUSTER_WIDE,
    HONOUR, "Most memory the cleaner's offset map may take, over all its threads.")
CONF(LOG_CLEANER_DELETE_RETENTION_MS, "log.cleaner.delete.retention.ms", LONG, "86400000", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    HONOUR, "How long tombstones stay in compacted topics after they were cleaned.")
CONF(LOG_CLEANER_ENABLE, "log.cleaner.enable", BOOLEAN, "true", ANY, MEDIUM, READ_ONLY, HONOUR,
    "Whether compacted topics are cleaned.")
CONF(LOG_CLEANER_IO_BUFFER_LOAD_FACTOR, "log.cleaner.io.buffer.load.factor", DOUBLE, "0.9", ANY, MEDIUM, CLUSTER_WIDE,
    HONOUR, "How full the cleaner's offset map may get.")
CONF(LOG_CLEANER_IO_BUFFER_SIZE, "log.cleaner.io.buffer.size", INT, "524288", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    HONOUR, "Memory of the cleaner's read and write buffers, over all its threads.")
CONF(LOG_CLEANER_IO_MAX_BYTES_PER_SECOND, "log.cleaner.io.max.bytes.per.second", DOUBLE, "1.7976931348623157E308", ANY, MEDIUM,
    CLUSTER_WIDE, HONOUR, "Most the cleaner reads and writes per second.")
CONF(LOG_CLEANER_MAX_COMPACTION_LAG_MS, "log.cleaner.max.compaction.lag.ms", LONG, "9223372036854775807", AT_LEAST(1), MEDIUM,
    CLUSTER_WIDE, HONOUR, "Longest time a record may stay uncompacted.")
CONF(LOG_CLEANER_MIN_CLEANABLE_RATIO, "log.cleaner.min.cleanable.ratio", DOUBLE, "0.5", BETWEEN(0, 1), MEDIUM, CLUSTER_WIDE,
    HONOUR, "Share of uncleaned bytes from which a log is worth cleaning.")
CONF(LOG_CLEANER_MIN_COMPACTION_LAG_MS, "log.cleaner.min.compaction.lag.ms", LONG, "0", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    HONOUR, "Shortest time a record stays uncompacted.")
CONF(LOG_CLEANER_THREADS, "log.cleaner.threads", INT, "1", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR,
    "Cleaner threads.")
CONF(LOG_CLEANUP_POLICY, "log.cleanup.policy", LIST, "delete", LIST_OF("compact, delete"), MEDIUM, CLUSTER_WIDE, HONOUR,
    "What becomes of old segments: delete, compact, or both; empty keeps everything.")
CONF(LOG_DIR, "log.dir", LIST, "/tmp/kafka-logs", LIST_FULL, HIGH, READ_ONLY, HONOUR,
    "The log directory, where log.dirs is not set.")
CONF(LOG_DIR_FAILURE_TIMEOUT_MS, "log.dir.failure.timeout.ms", LONG, "30000", AT_LEAST(1), LOW, READ_ONLY, HONOUR,
    "How long a failed log directory may go unreported before the broker stops.")
CONF(LOG_DIRS, "log.dirs", LIST, NULL, LIST_FULL, HIGH, READ_ONLY, HONOUR,
    "Directories that hold the partitions, with commas. The same directories open in Apache Kafka.")
CONF(LOG_FLUSH_INTERVAL_MESSAGES, "log.flush.interval.messages", LONG, "1", AT_LEAST(1), HIGH, CLUSTER_WIDE, HONOUR,
    "1: acks=all is answered, and the high watermark moves, when the data is on disk. Larger: sync a log after so many "
    "records. 9223372036854775807: never, the page cache counts.")
CONF(LOG_FLUSH_INTERVAL_MS, "log.flush.interval.ms", LONG, NULL, ANY, HIGH, CLUSTER_WIDE, HONOUR,
    "Longest time a record waits in memory before its log is synced. Unset: log.flush.scheduler.interval.ms.")
CONF(LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS, "log.flush.offset.checkpoint.interval.ms", INT, "60000", AT_LEAST(0), HIGH,
    READ_ONLY, HONOUR, "How often the recovery points are written down.")
CONF(LOG_FLUSH_SCHEDULER_INTERVAL_MS, "log.flush.scheduler.interval.ms", LONG, "9223372036854775807", ANY, HIGH, READ_ONLY,
    HONOUR, "How often logs are looked at for log.flush.interval.ms.")
CONF(LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS, "log.flush.start.offset.checkpoint.interval.ms", INT, "60000", AT_LEAST(0),
    HIGH, READ_ONLY, HONOUR, "How often the log start offsets are written down.")
CONF(LOG_INDEX_INTERVAL_BYTES, "log.index.interval.bytes", INT, "4096", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR,
    "One index entry for about so many bytes of log.")
CONF(LOG_INDEX_SIZE_MAX_BYTES, "log.index.size.max.bytes", INT, "10485760", AT_LEAST(4), MEDIUM, CLUSTER_WIDE, HONOUR,
    "An index of this size rolls its segment; nothing is allocated in advance.")
CONF(LOG_INITIAL_TASK_DELAY_MS, "log.initial.task.delay.ms", LONG, "30000", AT_LEAST(0), LOW, INTERNAL, HONOUR,
    "Wait before the first round of retention and checkpoints after the start.")
CONF(LOG_LOCAL_RETENTION_BYTES, "log.local.retention.bytes", LONG, "-2", AT_LEAST(-2), MEDIUM, CLUSTER_WIDE,
    IGNORE("no tiered storage"), "Bytes of a tiered partition kept on the local disk.")
CONF(LOG_LOCAL_RETENTION_MS, "log.local.retention.ms", LONG, "-2", AT_LEAST(-2), MEDIUM, CLUSTER_WIDE,
    IGNORE("no tiered storage"), "How long a tiered partition's segments stay on the local disk.")
CONF(LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS, "log.message.timestamp.after.max.ms", LONG, "3600000", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    HONOUR, "How far in the future a record's CreateTime may lie.")
CONF(LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS, "log.message.timestamp.before.max.ms", LONG, "9223372036854775807", AT_LEAST(0), MEDIUM,
    CLUSTER_WIDE, HONOUR, "How far in the past a record's CreateTime may lie.")
CONF(LOG_MESSAGE_TIMESTAMP_TYPE, "log.message.timestamp.type", STRING, "CreateTime", ONE_OF("CreateTime, LogAppendTime"), MEDIUM,
    CLUSTER_WIDE, HONOUR, "CreateTime keeps the producer's timestamps, LogAppendTime puts the time of the append.")
CONF(LOG_PREALLOCATE, "log.preallocate", BOOLEAN, "false", ANY, MEDIUM, CLUSTER_WIDE, HONOUR,
    "Reserve a segment's space on disk when it is created.")
CONF(LOG_RETENTION_BYTES, "log.retention.bytes", LONG, "-1", ANY, HIGH, CLUSTER_WIDE, HONOUR,
    "Most bytes of one partition before its oldest segments are deleted; -1: no limit.")
CONF(LOG_RETENTION_CHECK_INTERVAL_MS, "log.retention.check.interval.ms", LONG, "300000", AT_LEAST(1), MEDIUM, READ_ONLY, HONOUR,
    "How often partitions are looked at for what may be deleted.")
CONF(LOG_RETENTION_HOURS, "log.retention.hours", INT, "168", ANY, HIGH, READ_ONLY, HONOUR,
    "How many hours a segment is kept, where neither the minutes nor the milliseconds are set; -1: for ever.")
CONF(LOG_RETENTION_MINUTES, "log.retention.minutes", INT, NULL, ANY, HIGH, READ_ONLY, HONOUR, "The same in minutes.")
CONF(LOG_RETENTION_MS, "log.retention.ms", LONG, NULL, ANY, HIGH, CLUSTER_WIDE, HONOUR,
    "The same in milliseconds; the finest unit that is set wins.")
CONF(LOG_ROLL_HOURS, "log.roll.hours", INT, "168", AT_LEAST(1), HIGH, READ_ONLY, HONOUR,
    "Hours after which a new segment is begun even if the old one is not full.")
CONF(LOG_ROLL_JITTER_HOURS, "log.roll.jitter.hours", INT, "0", AT_LEAST(0), HIGH, READ_ONLY, HONOUR,
    "Most hours taken off that at random, so that not all segments roll at once.")
CONF(LOG_ROLL_JITTER_MS, "log.roll.jitter.ms", LONG, NULL, ANY, HIGH, CLUSTER_WIDE, HONOUR,
    "The same in milliseconds, which win.")
CONF(LOG_ROLL_MS, "log.roll.ms", LONG, NULL, ANY, HIGH, CLUSTER_WIDE, HONOUR,
    "Milliseconds after which a new segment is begun; they win over log.roll.hours.")
CONF(LOG_SEGMENT_BYTES, "log.segment.bytes", INT, "1073741824", AT_LEAST(1048576), HIGH, CLUSTER_WIDE, HONOUR,
    "A new segment is begun when the old one would grow beyond this.")
CONF(LOG_SEGMENT_DELETE_DELAY_MS, "log.segment.delete.delay.ms", LONG, "60000", AT_LEAST(0), HIGH, CLUSTER_WIDE, HONOUR,
    "How long the files of a deleted segment stay on disk.")
CONF(MAX_CONNECTION_CREATION_RATE, "max.connection.creation.rate", INT, "2147483647", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR,
    "Most new connections per second.")
CONF(MAX_CONNECTIONS, "max.connections", INT, "2147483647", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR,
    "Most connections at once.")
CONF(MAX_CONNECTIONS_PER_IP, "max.connections.per.ip", INT, "2147483647", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR,
    "Most connections at once from one address.")
CONF(MAX_CONNECTIONS_PER_IP_OVERRIDES, "max.connections.per.ip.overrides", STRING, "", ANY, MEDIUM, CLUSTER_WIDE, HONOUR,
    "Exceptions to that, address:number with commas.")
CONF(MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS, "max.incremental.fetch.session.cache.slots", INT, "1000", AT_LEAST(0), MEDIUM,
    READ_ONLY, HONOUR, "Most incremental fetch sessions kept at once.")
CONF(MAX_REQUEST_PARTITION_SIZE_LIMIT, "max.request.partition.size.limit", INT, "2000", AT_LEAST(1), MEDIUM, READ_ONLY, HONOUR,
    "Most partitions in one answer of DescribeTopicPartitions; the client asks for the next page.")
CONF(MESSAGE_MAX_BYTES, "message.max.bytes", INT, "1048588", AT_LEAST(0), HIGH, CLUSTER_WIDE, HONOUR,
    "Largest batch a topic takes, as stored.")
CONF(METADATA_LOG_DIR, "metadata.log.dir", STRING, NULL, ANY, HIGH, READ_ONLY, HONOUR,
    "Directory of the metadata log; unset: the first of log.dirs.")
CONF(METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS, "metadata.log.max.record.bytes.between.snapshots", LONG, "20971520",
    AT_LEAST(1), HIGH, READ_ONLY, HONOUR,
    "Bytes of metadata records after which a snapshot of the metadata is written.")
CONF(METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS, "metadata.log.max.snapshot.interval.ms", LONG, "3600000", AT_LEAST(0), HIGH,
    READ_ONLY, HONOUR, "Longest time between two metadata snapshots, while there are changes; 0: no limit.")
CONF(METADATA_LOG_SEGMENT_BYTES, "metadata.log.segment.bytes", INT, "1073741824", AT_LEAST(8388608), HIGH, READ_ONLY,
    HONOUR, "Segment size of the metadata log.")
CONF(METADATA_LOG_SEGMENT_MS, "metadata.log.segment.ms", LONG, "604800000", ANY, HIGH, READ_ONLY,
    HONOUR, "Age at which a segment of the metadata log is rolled.")
CONF(METADATA_MAX_IDLE_INTERVAL_MS, "metadata.max.idle.interval.ms", INT, "500", AT_LEAST(0), LOW, READ_ONLY,
    IGNORE("own metadata log sizes itself"), "How often an idle controller writes a no-op record.")
CONF(METADATA_MAX_RETENTION_BYTES, "metadata.max.retention.bytes", LONG, "104857600", ANY, HIGH, READ_ONLY,
    IGNORE("own metadata log sizes itself"), "Most bytes of metadata log and snapshots kept.")
CONF(METADATA_MAX_RETENTION_MS, "metadata.max.retention.ms", LONG, "604800000", ANY, HIGH, READ_ONLY,
    IGNORE("own metadata log sizes itself"), "How long old metadata log and snapshots are kept.")
CONF(METRIC_REPORTERS, "metric.reporters", LIST, "org.apache.kafka.common.metrics.JmxReporter", ANY_LIST, LOW, CLUSTER_WIDE,
    IGNORE("there is no JVM"), "Java classes that report metrics.")
CONF(METRICS_NUM_SAMPLES, "metrics.num.samples", INT, "2", AT_LEAST(1), LOW, READ_ONLY, IGNORE("there is no JVM"),
    "Samples per metric.")
CONF(METRICS_RECORDING_LEVEL, "metrics.recording.level", STRING, "INFO", ANY, LOW, READ_ONLY, IGNORE("there is no JVM"),
    "How much is measured.")
CONF(METRICS_SAMPLE_WINDOW_MS, "metrics.sample.window.ms", LONG, "30000", AT_LEAST(1), LOW, READ_ONLY, IGNORE("there is no JVM"),
    "Length of one sample.")
CONF(MIN_INSYNC_REPLICAS, "min.insync.replicas", INT, "1", AT_LEAST(1), HIGH, CLUSTER_WIDE, CLAMP,
    "Replicas that must have a record before acks=all is answered. One node has one.")
CONF(NODE_ID, "node.id", INT, "1", AT_LEAST(0), HIGH, REQUIRED, HONOUR,
    "Number of this node, unchanged for the life of its directories.")
CONF(NUM_IO_THREADS, "num.io.threads", INT, "8", AT_LEAST(1), HIGH, CLUSTER_WIDE, HONOUR,
    "Size of the pool that reads cold data and does other disk work.")
CONF(NUM_NETWORK_THREADS, "num.network.threads", INT, "3", AT_LEAST(1), HIGH, CLUSTER_WIDE, HONOUR,
    "Event loops; unset: one for each core, and never more than cores.")
CONF(NUM_PARTITIONS, "num.partitions", INT, "1", AT_LEAST(1), MEDIUM, READ_ONLY, HONOUR,
    "Partitions of a topic created without saying how many.")
CONF(NUM_RECOVERY_THREADS_PER_DATA_DIR, "num.recovery.threads.per.data.dir", INT, "2", AT_LEAST(1), HIGH, CLUSTER_WIDE, HONOUR,
    "Partitions of one log directory that are recovered at the same time after an unclean stop.")
CONF(NUM_REPLICA_ALTER_LOG_DIRS_THREADS, "num.replica.alter.log.dirs.threads", INT, NULL, ANY, HIGH, READ_ONLY,
    IGNORE("one replica"), "Threads that move replicas between directories.")
CONF(NUM_REPLICA_FETCHERS, "num.replica.fetchers", INT, "1", AT_LEAST(1), HIGH, CLUSTER_WIDE, IGNORE("one replica"),
    "Threads that fetch from other brokers.")
CONF(OFFSET_METADATA_MAX_BYTES, "offset.metadata.max.bytes", INT, "4096", ANY, HIGH, READ_ONLY, HONOUR,
    "Longest text a client may attach to a committed offset.")
CONF(OFFSETS_COMMIT_TIMEOUT_MS, "offsets.commit.timeout.ms", INT, "5000", AT_LEAST(1), HIGH, READ_ONLY, IGNORE("no such buffers"),
    "How long a commit of offsets waits for its replicas.")
CONF(OFFSETS_LOAD_BUFFER_SIZE, "offsets.load.buffer.size", INT, "5242880", AT_LEAST(1), HIGH, READ_ONLY,
    IGNORE("no such buffers"), "Bytes read at once when offsets are loaded.")
CONF(OFFSETS_RETENTION_CHECK_INTERVAL_MS, "offsets.retention.check.interval.ms", LONG, "600000", AT_LEAST(1), HIGH, READ_ONLY,
    HONOUR, "How often committed offsets are looked at for expiry.")
CONF(OFFSETS_RETENTION_MINUTES, "offsets.retention.minutes", INT, "10080", AT_LEAST(1), HIGH, READ_ONLY, HONOUR,
    "How long committed offsets of an empty group, or of one that uses no group at all, are kept.")
CONF(OFFSETS_TOPIC_COMPRESSION_CODEC, "offsets.topic.compression.codec", INT, "0", ANY, HIGH, READ_ONLY,
    IGNORE("no such buffers"), "Codec of the offsets topic.")
CONF(OFFSETS_TOPIC_NUM_PARTITIONS, "offsets.topic.num.partitions", INT, "50", AT_LEAST(1), HIGH, READ_ONLY, HONOUR,
    "Partitions of __consumer_offsets; must not change once the topic is there.")
CONF(OFFSETS_TOPIC_REPLICATION_FACTOR, "offsets.topic.replication.factor", SHORT, "1", AT_LEAST(1), HIGH, READ_ONLY, CLAMP,
    "Replicas of __consumer_offsets. One node has one.")
CONF(OFFSETS_TOPIC_SEGMENT_BYTES, "offsets.topic.segment.bytes", INT, "104857600", AT_LEAST(1), HIGH, READ_ONLY, HONOUR,
    "Segment size of __consumer_offsets; less than 1 MiB counts as 1 MiB.")
CONF(PRINCIPAL_BUILDER_CLASS, "principal.builder.class", CLASS,
    "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder", ANY, MEDIUM, PER_BROKER,
    REJECT("it is built in, and no other Java class can be loaded"),
    "Class that makes a principal of an authenticated connection.")
CONF(PROCESS_ROLES, "process.roles", LIST, "broker,controller", LIST_OF_FULL("broker, controller"), HIGH, REQUIRED, QUIET,
    "What a Kafka process is: broker, controller or both. Both, here.")
CONF(PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS, "producer.id.expiration.check.interval.ms", INT, "600000", AT_LEAST(1), LOW,
    INTERNAL, HONOUR, "How often idle producers are looked for.")
CONF(PRODUCER_ID_EXPIRATION_MS, "producer.id.expiration.ms", INT, "86400000", AT_LEAST(1), LOW, CLUSTER_WIDE, HONOUR,
    "How long a partition remembers an idle idempotent producer.")
CONF(PRODUCER_PURGATORY_PURGE_INTERVAL_REQUESTS, "producer.purgatory.purge.interval.requests", INT, "1000", ANY, MEDIUM,
    READ_ONLY, QUIET, "When finished produce waits are swept out.")
CONF(QUEUED_MAX_REQUEST_BYTES, "queued.max.request.bytes", LONG, "-1", ANY, MEDIUM, READ_ONLY, HONOUR,
    "Most bytes of requests in memory at once; -1: odradek.memory.max decides.")
CONF(QUEUED_MAX_REQUESTS, "queued.max.requests", INT, "500", AT_LEAST(1), HIGH, READ_ONLY, HONOUR,
    "Most requests waiting at once before connections are no longer read.")
CONF(QUOTA_WINDOW_NUM, "quota.window.num", INT, "11", AT_LEAST(1), LOW, READ_ONLY, AHEAD("quotas"),
    "Windows kept for measuring client quotas.")
CONF(QUOTA_WINDOW_SIZE_SECONDS, "quota.window.size.seconds", INT, "1", AT_LEAST(1), LOW, READ_ONLY, AHEAD("quotas"),
    "Length of one such window, in seconds.")
CONF(REMOTE_FETCH_MAX_WAIT_MS, "remote.fetch.max.wait.ms", INT, "500", AT_LEAST(1), MEDIUM, CLUSTER_WIDE,
    IGNORE("no tiered storage"), "Longest wait for tiered data in one fetch.")
CONF(REMOTE_LIST_OFFSETS_REQUEST_TIMEOUT_MS, "remote.list.offsets.request.timeout.ms", LONG, "30000", AT_LEAST(1), MEDIUM,
    CLUSTER_WIDE, IGNORE("no tiered storage"), "Longest wait for tiered offsets.")
CONF(REMOTE_LOG_INDEX_FILE_CACHE_TOTAL_SIZE_BYTES, "remote.log.index.file.cache.total.size.bytes", LONG, "1073741824",
    AT_LEAST(1), LOW, CLUSTER_WIDE, IGNORE("no tiered storage"), "Disk space for cached tiered indexes.")
CONF(REMOTE_LOG_INDEX_FILE_CACHE_TTL_MS, "remote.log.index.file.cache.ttl.ms", LONG, "900000", AT_LEAST(-1), LOW, INTERNAL,
    IGNORE("no tiered storage"), "How long a cached tiered index is kept.")
CONF(REMOTE_LOG_MANAGER_COPIER_THREAD_POOL_SIZE, "remote.log.manager.copier.thread.pool.size", INT, "10", AT_LEAST(1), MEDIUM,
    CLUSTER_WIDE, IGNORE("no tiered storage"), "Threads that copy segments to the tier.")
CONF(REMOTE_LOG_MANAGER_COPY_MAX_BYTES_PER_SECOND, "remote.log.manager.copy.max.bytes.per.second", LONG, "9223372036854775807",
    AT_LEAST(1), MEDIUM, CLUSTER_WIDE, IGNORE("no tiered storage"), "Most bytes per second copied to the tier.")
CONF(REMOTE_LOG_MANAGER_COPY_QUOTA_WINDOW_NUM, "remote.log.manager.copy.quota.window.num", INT, "11", AT_LEAST(1), MEDIUM,
    READ_ONLY, IGNORE("no tiered storage"), "Windows kept for measuring copies to the tier.")
CONF(REMOTE_LOG_MANAGER_COPY_QUOTA_WINDOW_SIZE_SECONDS, "remote.log.manager.copy.quota.window.size.seconds", INT, "1",
    AT_LEAST(1), MEDIUM, READ_ONLY, IGNORE("no tiered storage"), "Length of one such window, in seconds.")
CONF(REMOTE_LOG_MANAGER_EXPIRATION_THREAD_POOL_SIZE, "remote.log.manager.expiration.thread.pool.size", INT, "10", AT_LEAST(1),
    MEDIUM, CLUSTER_WIDE, IGNORE("no tiered storage"), "Threads that delete from the tier.")
CONF(REMOTE_LOG_MANAGER_FETCH_MAX_BYTES_PER_SECOND, "remote.log.manager.fetch.max.bytes.per.second", LONG, "9223372036854775807",
    AT_LEAST(1), MEDIUM, CLUSTER_WIDE, IGNORE("no tiered storage"), "Most bytes per second read from the tier.")
CONF(REMOTE_LOG_MANAGER_FETCH_QUOTA_WINDOW_NUM, "remote.log.manager.fetch.quota.window.num", INT, "11", AT_LEAST(1), MEDIUM,
    READ_ONLY, IGNORE("no tiered storage"), "Windows kept for measuring reads from the tier.")
CONF(REMOTE_LOG_MANAGER_FETCH_QUOTA_WINDOW_SIZE_SECONDS, "remote.log.manager.fetch.quota.window.size.seconds", INT, "1",
    AT_LEAST(1), MEDIUM, READ_ONLY, IGNORE("no tiered storage"), "Length of one such window, in seconds.")
CONF(REMOTE_LOG_MANAGER_FOLLOWER_THREAD_POOL_SIZE, "remote.log.manager.follower.thread.pool.size", INT, "2", AT_LEAST(1), MEDIUM,
    CLUSTER_WIDE, IGNORE("no tiered storage"), "Threads for followers of tiered partitions.")
CONF(REMOTE_LOG_MANAGER_TASK_INTERVAL_MS, "remote.log.manager.task.interval.ms", LONG, "30000", AT_LEAST(1), LOW, READ_ONLY,
    IGNORE("no tiered storage"), "How often tiering tasks run.")
CONF(REMOTE_LOG_MANAGER_TASK_RETRY_BACKOFF_MAX_MS, "remote.log.manager.task.retry.backoff.max.ms", LONG, "30000", AT_LEAST(1),
    LOW, INTERNAL, IGNORE("no tiered storage"), "Longest pause of a failing tiering task.")
CONF(REMOTE_LOG_MANAGER_TASK_RETRY_BACKOFF_MS, "remote.log.manager.task.retry.backoff.ms", LONG, "500", AT_LEAST(1), LOW,
    INTERNAL, IGNORE("no tiered storage"), "First pause of a failing tiering task.")
CONF(REMOTE_LOG_MANAGER_TASK_RETRY_JITTER, "remote.log.manager.task.retry.jitter", DOUBLE, "0.2", BETWEEN(0, 0.5), LOW, INTERNAL,
    IGNORE("no tiered storage"), "Share of that pause that is random.")
CONF(REMOTE_LOG_MANAGER_THREAD_POOL_SIZE, "remote.log.manager.thread.pool.size", INT, "2", AT_LEAST(1), MEDIUM, READ_ONLY,
    IGNORE("no tiered storage"), "Threads of the tiering manager.")
CONF(REMOTE_LOG_METADATA_CUSTOM_METADATA_MAX_BYTES, "remote.log.metadata.custom.metadata.max.bytes", INT, "128", AT_LEAST(0), LOW,
    READ_ONLY, IGNORE("no tiered storage"), "Largest custom metadata of a tiered segment.")
CONF(REMOTE_LOG_METADATA_MANAGER_CLASS_NAME, "remote.log.metadata.manager.class.name", STRING,
    "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", NON_EMPTY, MEDIUM, READ_ONLY,
    IGNORE("no tiered storage"), "Class that keeps the metadata of tiered segments.")
CONF(REMOTE_LOG_METADATA_MANAGER_CLASS_PATH, "remote.log.metadata.manager.class.path", STRING, NULL, ANY, MEDIUM, READ_ONLY,
    IGNORE("no tiered storage"), "Where that class is.")
CONF(REMOTE_LOG_METADATA_MANAGER_IMPL_PREFIX, "remote.log.metadata.manager.impl.prefix", STRING, "rlmm.config.", NON_EMPTY,
    MEDIUM, READ_ONLY, IGNORE("no tiered storage"), "Prefix of that class's own settings.")
CONF(REMOTE_LOG_METADATA_MANAGER_LISTENER_NAME, "remote.log.metadata.manager.listener.name", STRING, NULL, NON_EMPTY, MEDIUM,
    READ_ONLY, IGNORE("no tiered storage"), "Listener that class connects to.")
CONF(REMOTE_LOG_READER_MAX_PENDING_TASKS, "remote.log.reader.max.pending.tasks", INT, "100", AT_LEAST(1), MEDIUM, READ_ONLY,
    IGNORE("no tiered storage"), "Most tiered reads waiting.")
CONF(REMOTE_LOG_READER_THREADS, "remote.log.reader.threads", INT, "10", AT_LEAST(1), MEDIUM, CLUSTER_WIDE,
    IGNORE("no tiered storage"), "Threads that read from the tier.")
CONF(REMOTE_LOG_STORAGE_MANAGER_CLASS_NAME, "remote.log.storage.manager.class.name", STRING, NULL, NON_EMPTY, MEDIUM, READ_ONLY,
    IGNORE("no tiered storage"), "Class that stores tiered segments.")
CONF(REMOTE_LOG_STORAGE_MANAGER_CLASS_PATH, "remote.log.storage.manager.class.path", STRING, NULL, ANY, MEDIUM, READ_ONLY,
    IGNORE("no tiered storage"), "Where that class is.")
CONF(REMOTE_LOG_STORAGE_MANAGER_IMPL_PREFIX, "remote.log.storage.manager.impl.prefix", STRING, "rsm.config.", NON_EMPTY, MEDIUM,
    READ_ONLY, IGNORE("no tiered storage"), "Prefix of that class's own settings.")
CONF(REMOTE_LOG_STORAGE_SYSTEM_ENABLE, "remote.log.storage.system.enable", BOOLEAN, "false", ANY, MEDIUM, READ_ONLY,
    LATER("tiered storage is not served by this build"), "Whether tiered storage is switched on.")
CONF(REPLICA_FETCH_BACKOFF_MS, "replica.fetch.backoff.ms", INT, "1000", AT_LEAST(0), MEDIUM, READ_ONLY, IGNORE("one replica"),
    "Pause of a follower after a failed fetch.")
CONF(REPLICA_FETCH_MAX_BYTES, "replica.fetch.max.bytes", INT, "1048576", AT_LEAST(0), MEDIUM, READ_ONLY, IGNORE("one replica"),
    "Bytes a follower asks for per partition.")
CONF(REPLICA_FETCH_MIN_BYTES, "replica.fetch.min.bytes", INT, "1", ANY, HIGH, READ_ONLY, IGNORE("one replica"),
    "Bytes a follower waits for.")
CONF(REPLICA_FETCH_RESPONSE_MAX_BYTES, "replica.fetch.response.max.bytes", INT, "10485760", AT_LEAST(0), MEDIUM, READ_ONLY,
    IGNORE("one replica"), "Bytes a follower asks for per answer.")
CONF(REPLICA_FETCH_WAIT_MAX_MS, "replica.fetch.wait.max.ms", INT, "500", ANY, HIGH, READ_ONLY, IGNORE("one replica"),
    "Longest wait of a follower's fetch.")
CONF(REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS, "replica.high.watermark.checkpoint.interval.ms", LONG, "5000", ANY, HIGH,
    READ_ONLY, HONOUR, "How often the high watermarks are written down.")
CONF(REPLICA_LAG_TIME_MAX_MS, "replica.lag.time.max.ms", LONG, "30000", ANY, HIGH, READ_ONLY, IGNORE("one replica"),
    "When a follower that lags is no longer in sync.")
CONF(REPLICA_SELECTOR_CLASS, "replica.selector.class", STRING, NULL, ANY, MEDIUM, READ_ONLY, IGNORE("one replica"),
    "Class that picks the replica a consumer reads from.")
CONF(REPLICA_SOCKET_RECEIVE_BUFFER_BYTES, "replica.socket.receive.buffer.bytes", INT, "65536", ANY, HIGH, READ_ONLY,
    IGNORE("one replica"), "Receive buffer of a follower's socket.")
CONF(REPLICA_SOCKET_TIMEOUT_MS, "replica.socket.timeout.ms", INT, "30000", ANY, HIGH, READ_ONLY, IGNORE("one replica"),
    "Timeout of a follower's socket.")
CONF(REPLICATION_QUOTA_WINDOW_NUM, "replication.quota.window.num", INT, "11", AT_LEAST(1), LOW, READ_ONLY, IGNORE("one replica"),
    "Windows kept for measuring replication.")
CONF(REPLICATION_QUOTA_WINDOW_SIZE_SECONDS, "replication.quota.window.size.seconds", INT, "1", AT_LEAST(1), LOW, READ_ONLY,
    IGNORE("one replica"), "Length of one such window, in seconds.")
CONF(REQUEST_TIMEOUT_MS, "request.timeout.ms", INT, "30000", ANY, HIGH, READ_ONLY, IGNORE("no broker-to-broker link"),
    "How long a broker waits for another one.")
CONF(SASL_CLIENT_CALLBACK_HANDLER_CLASS, "sasl.client.callback.handler.class", CLASS, NULL, ANY, MEDIUM, READ_ONLY,
    REJECT("Java classes cannot be loaded; the mechanisms of sasl.enabled.mechanisms are built in"),
    "Java class for the client side of SASL.")
CONF(SASL_ENABLED_MECHANISMS, "sasl.enabled.mechanisms", LIST, "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN", ANY_LIST, MEDIUM, PER_BROKER,
    AHEAD("SASL listeners"), "SASL mechanisms that clients may use.")
CONF(SASL_JAAS_CONFIG, "sasl.jaas.config", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER, AHEAD("SASL listeners"),
    "Login module and its options, in JAAS syntax, usually as listener.name.<listener>.<mechanism>.sasl.jaas.config.")
CONF(SASL_KERBEROS_KINIT_CMD, "sasl.kerberos.kinit.cmd", STRING, "/usr/bin/kinit", ANY, MEDIUM, PER_BROKER,
    REJECT("Kerberos is not built in; SCRAM and PLAIN are the SASL mechanisms here"), "Path of kinit.")
CONF(SASL_KERBEROS_MIN_TIME_BEFORE_RELOGIN, "sasl.kerberos.min.time.before.relogin", LONG, "60000", ANY, MEDIUM, PER_BROKER,
    REJECT("Kerberos is not built in; SCRAM and PLAIN are the SASL mechanisms here"), "Least time between two Kerberos logins.")
CONF(SASL_KERBEROS_PRINCIPAL_TO_LOCAL_RULES, "sasl.kerberos.principal.to.local.rules", LIST, "DEFAULT", ANY_LIST, MEDIUM,
    PER_BROKER, REJECT("Kerberos is not built in; SCRAM and PLAIN are the SASL mechanisms here"),
    "How Kerberos principals become short names.")
CONF(SASL_KERBEROS_SERVICE_NAME, "sasl.kerberos.service.name", STRING, NULL, ANY, MEDIUM, PER_BROKER,
    REJECT("Kerberos is not built in; SCRAM and PLAIN are the SASL mechanisms here"), "Kerberos service name of the broker.")
CONF(SASL_KERBEROS_TICKET_RENEW_JITTER, "sasl.kerberos.ticket.renew.jitter", DOUBLE, "0.05", ANY, MEDIUM, PER_BROKER,
    REJECT("Kerberos is not built in; SCRAM and PLAIN are the SASL mechanisms here"),
    "Random share of the time between ticket renewals.")
CONF(SASL_KERBEROS_TICKET_RENEW_WINDOW_FACTOR, "sasl.kerberos.ticket.renew.window.factor", DOUBLE, "0.8", ANY, MEDIUM, PER_BROKER,
    REJECT("Kerberos is not built in; SCRAM and PLAIN are the SASL mechanisms here"),
    "Share of a ticket's life after which it is renewed.")
CONF(SASL_LOGIN_CALLBACK_HANDLER_CLASS, "sasl.login.callback.handler.class", CLASS, NULL, ANY, MEDIUM, READ_ONLY,
    REJECT("Java classes cannot be loaded; the mechanisms of sasl.enabled.mechanisms are built in"),
    "Java class for the login side of SASL.")
CONF(SASL_LOGIN_CLASS, "sasl.login.class", CLASS, NULL, ANY, MEDIUM, READ_ONLY,
    REJECT("Java classes cannot be loaded; the mechanisms of sasl.enabled.mechanisms are built in"), "Java class that logs in.")
CONF(SASL_LOGIN_CONNECT_TIMEOUT_MS, "sasl.login.connect.timeout.ms", INT, NULL, ANY, LOW, READ_ONLY,
    IGNORE("client side of SASL"), "How long connecting to an identity provider may take.")
CONF(SASL_LOGIN_READ_TIMEOUT_MS, "sasl.login.read.timeout.ms", INT, NULL, ANY, LOW, READ_ONLY, IGNORE("client side of SASL"),
    "How long an identity provider may take to answer.")
CONF(SASL_LOGIN_REFRESH_BUFFER_SECONDS, "sasl.login.refresh.buffer.seconds", SHORT, "300", ANY, MEDIUM, PER_BROKER,
    IGNORE("client side of SASL"), "Least life left in a credential when it is refreshed.")
CONF(SASL_LOGIN_REFRESH_MIN_PERIOD_SECONDS, "sasl.login.refresh.min.period.seconds", SHORT, "60", ANY, MEDIUM, PER_BROKER,
    IGNORE("client side of SASL"), "Least time between two refreshes of a credential.")
CONF(SASL_LOGIN_REFRESH_WINDOW_FACTOR, "sasl.login.refresh.window.factor", DOUBLE, "0.8", ANY, MEDIUM, PER_BROKER,
    IGNORE("client side of SASL"), "Share of a credential's life after which it is refreshed.")
CONF(SASL_LOGIN_REFRESH_WINDOW_JITTER, "sasl.login.refresh.window.jitter", DOUBLE, "0.05", ANY, MEDIUM, PER_BROKER,
    IGNORE("client side of SASL"), "Random share added to that.")
CONF(SASL_LOGIN_RETRY_BACKOFF_MAX_MS, "sasl.login.retry.backoff.max.ms", LONG, "10000", ANY, LOW, READ_ONLY,
    IGNORE("client side of SASL"), "Longest pause between two tries to log in.")
CONF(SASL_LOGIN_RETRY_BACKOFF_MS, "sasl.login.retry.backoff.ms", LONG, "100", ANY, LOW, READ_ONLY, IGNORE("client side of SASL"),
    "First pause between two tries to log in.")
CONF(SASL_MECHANISM_CONTROLLER_PROTOCOL, "sasl.mechanism.controller.protocol", STRING, "GSSAPI", ANY, HIGH, READ_ONLY,
    IGNORE("no broker-to-broker link"), "SASL mechanism towards controllers.")
CONF(SASL_MECHANISM_INTER_BROKER_PROTOCOL, "sasl.mechanism.inter.broker.protocol", STRING, "GSSAPI", ANY, MEDIUM, PER_BROKER,
    IGNORE("no broker-to-broker link"), "SASL mechanism between brokers.")
CONF(SASL_OAUTHBEARER_ASSERTION_ALGORITHM, "sasl.oauthbearer.assertion.algorithm", STRING, "RS256",
    ONE_OF_ANY_CASE("ES256, RS256"), MEDIUM, READ_ONLY, IGNORE("client side of OAuth"), "Algorithm that signs an assertion.")
CONF(SASL_OAUTHBEARER_ASSERTION_CLAIM_AUD, "sasl.oauthbearer.assertion.claim.aud", STRING, NULL, ANY, MEDIUM, READ_ONLY,
    IGNORE("client side of OAuth"), "Audience of an assertion.")
CONF(SASL_OAUTHBEARER_ASSERTION_CLAIM_EXP_SECONDS, "sasl.oauthbearer.assertion.claim.exp.seconds", INT, "300", BETWEEN(0, 86400),
    LOW, READ_ONLY, IGNORE("client side of OAuth"), "How long an assertion is good.")
CONF(SASL_OAUTHBEARER_ASSERTION_CLAIM_ISS, "sasl.oauthbearer.assertion.claim.iss", STRING, NULL, ANY, MEDIUM, READ_ONLY,
    IGNORE("client side of OAuth"), "Issuer of an assertion.")
CONF(SASL_OAUTHBEARER_ASSERTION_CLAIM_JTI_INCLUDE, "sasl.oauthbearer.assertion.claim.jti.include", BOOLEAN, "false", ANY, MEDIUM,
    READ_ONLY, IGNORE("client side of OAuth"), "Whether an assertion carries an id of its own.")
CONF(SASL_OAUTHBEARER_ASSERTION_CLAIM_NBF_SECONDS, "sasl.oauthbearer.assertion.claim.nbf.seconds", INT, "60", BETWEEN(0, 3600),
    LOW, READ_ONLY, IGNORE("client side of OAuth"), "How far back the beginning of an assertion's life is put.")
CONF(SASL_OAUTHBEARER_ASSERTION_CLAIM_SUB, "sasl.oauthbearer.assertion.claim.sub", STRING, NULL, ANY, MEDIUM, READ_ONLY,
    IGNORE("client side of OAuth"), "Subject of an assertion.")
CONF(SASL_OAUTHBEARER_ASSERTION_FILE, "sasl.oauthbearer.assertion.file", STRING, NULL, ANY, MEDIUM, READ_ONLY,
    IGNORE("client side of OAuth"), "File that holds a ready assertion.")
CONF(SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE, "sasl.oauthbearer.assertion.private.key.file", STRING, NULL, ANY, MEDIUM,
    READ_ONLY, IGNORE("client side of OAuth"), "File of the key that signs assertions.")
CONF(SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE, "sasl.oauthbearer.assertion.private.key.passphrase", PASSWORD, NULL, ANY,
    MEDIUM, READ_ONLY, IGNORE("client side of OAuth"), "Passphrase of that key.")
CONF(SASL_OAUTHBEARER_ASSERTION_TEMPLATE_FILE, "sasl.oauthbearer.assertion.template.file", STRING, NULL, ANY, MEDIUM, READ_ONLY,
    IGNORE("client side of OAuth"), "File with further claims of an assertion.")
CONF(SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_ID, "sasl.oauthbearer.client.credentials.client.id", STRING, NULL, ANY, MEDIUM,
    READ_ONLY, IGNORE("client side of OAuth"), "Client id towards the identity provider.")
CONF(SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET, "sasl.oauthbearer.client.credentials.client.secret", PASSWORD, NULL, ANY,
    MEDIUM, READ_ONLY, IGNORE("client side of OAuth"), "Client secret towards the identity provider.")
CONF(SASL_OAUTHBEARER_CLOCK_SKEW_SECONDS, "sasl.oauthbearer.clock.skew.seconds", INT, "30", ANY, LOW, READ_ONLY,
    AHEAD("SASL listeners"), "How far the clocks of broker and identity provider may differ.")
CONF(SASL_OAUTHBEARER_EXPECTED_AUDIENCE, "sasl.oauthbearer.expected.audience", LIST, "", ANY_LIST, HIGH, READ_ONLY,
    AHEAD("SASL listeners"), "Audiences of which a token must name one.")
CONF(SASL_OAUTHBEARER_EXPECTED_ISSUER, "sasl.oauthbearer.expected.issuer", STRING, NULL, ANY, HIGH, READ_ONLY,
    AHEAD("SASL listeners"), "Issuer that a token must name.")
CONF(SASL_OAUTHBEARER_JWKS_ENDPOINT_REFRESH_MS, "sasl.oauthbearer.jwks.endpoint.refresh.ms", LONG, "3600000", ANY, LOW, READ_ONLY,
    AHEAD("SASL listeners"), "How often the provider's keys are fetched again.")
CONF(SASL_OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MAX_MS, "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", LONG, "10000",
    ANY, LOW, READ_ONLY, AHEAD("SASL listeners"), "Longest pause between two tries to fetch them.")
CONF(SASL_OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MS, "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", LONG, "100", ANY, LOW,
    READ_ONLY, AHEAD("SASL listeners"), "First pause between two tries to fetch them.")
CONF(SASL_OAUTHBEARER_JWKS_ENDPOINT_URL, "sasl.oauthbearer.jwks.endpoint.url", STRING, NULL, ANY, MEDIUM, READ_ONLY,
    AHEAD("SASL listeners"), "Where the provider's keys are; a file: URL works too.")
CONF(SASL_OAUTHBEARER_JWT_RETRIEVER_CLASS, "sasl.oauthbearer.jwt.retriever.class", CLASS,
    "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", ANY, MEDIUM, READ_ONLY,
    REJECT("it is built in, and no other Java class can be loaded"), "Class that fetches tokens.")
CONF(SASL_OAUTHBEARER_JWT_VALIDATOR_CLASS, "sasl.oauthbearer.jwt.validator.class", CLASS,
    "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", ANY, MEDIUM, READ_ONLY,
    REJECT("it is built in, and no other Java class can be loaded"), "Class that validates tokens.")
CONF(SASL_OAUTHBEARER_SCOPE, "sasl.oauthbearer.scope", STRING, NULL, ANY, MEDIUM, READ_ONLY, IGNORE("client side of OAuth"),
    "Scope asked of the identity provider.")
CONF(SASL_OAUTHBEARER_SCOPE_CLAIM_NAME, "sasl.oauthbearer.scope.claim.name", STRING, "scope", ANY, LOW, READ_ONLY,
    AHEAD("SASL listeners"), "Name of the claim that holds the scope.")
CONF(SASL_OAUTHBEARER_SUB_CLAIM_NAME, "sasl.oauthbearer.sub.claim.name", STRING, "sub", ANY, LOW, READ_ONLY,
    AHEAD("SASL listeners"), "Name of the claim that holds the subject, which becomes the principal.")
CONF(SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL, "sasl.oauthbearer.token.endpoint.url", STRING, NULL, ANY, MEDIUM, READ_ONLY,
    IGNORE("client side of OAuth"), "Where tokens are issued.")
CONF(SASL_SERVER_CALLBACK_HANDLER_CLASS, "sasl.server.callback.handler.class", CLASS, NULL, ANY, MEDIUM, READ_ONLY,
    REJECT("Java classes cannot be loaded; OAuthBearer tokens are checked by built-in code"),
    "Class that checks credentials on the broker's side.")
CONF(SASL_SERVER_MAX_RECEIVE_SIZE, "sasl.server.max.receive.size", INT, "524288", ANY, MEDIUM, READ_ONLY, AHEAD("SASL listeners"),
    "Largest SASL message a client may send before it is authenticated.")
CONF(SECURITY_INTER_BROKER_PROTOCOL, "security.inter.broker.protocol", STRING, "PLAINTEXT",
    ONE_OF("PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"), MEDIUM, READ_ONLY, IGNORE("no broker-to-broker link"),
    "Protocol between brokers.")
CONF(SECURITY_PROVIDERS, "security.providers", STRING, NULL, ANY, LOW, READ_ONLY,
    REJECT("Java classes cannot be loaded; OpenSSL is built in"), "Java classes of security providers.")
CONF(SERVER_MAX_STARTUP_TIME_MS, "server.max.startup.time.ms", LONG, "9223372036854775807", AT_LEAST(0), MEDIUM, INTERNAL,
    IGNORE("internal to Apache Kafka"), "How long a start may take.")
CONF(SHARE_COORDINATOR_APPEND_LINGER_MS, "share.coordinator.append.linger.ms", INT, "-1", AT_LEAST(-1), MEDIUM, READ_ONLY,
    IGNORE("one event loop owns a group"), "How long share state records are gathered before they are written.")
CONF(SHARE_COORDINATOR_CACHED_BUFFER_MAX_BYTES, "share.coordinator.cached.buffer.max.bytes", INT, "1048588", AT_LEAST(524288),
    MEDIUM, CLUSTER_WIDE, IGNORE("one event loop owns a group"), "Largest write buffer the share coordinator keeps.")
CONF(SHARE_COORDINATOR_COLD_PARTITION_SNAPSHOT_INTERVAL_MS, "share.coordinator.cold.partition.snapshot.interval.ms", INT,
    "300000", AT_LEAST(1), LOW, INTERNAL, IGNORE("one event loop owns a group"),
    "How often share partitions without traffic get a snapshot.")
CONF(SHARE_COORDINATOR_LOAD_BUFFER_SIZE, "share.coordinator.load.buffer.size", INT, "5242880", AT_LEAST(1), HIGH, READ_ONLY,
    IGNORE("one event loop owns a group"), "Bytes read at once when share state is loaded.")
CONF(SHARE_COORDINATOR_SNAPSHOT_UPDATE_RECORDS_PER_SNAPSHOT, "share.coordinator.snapshot.update.records.per.snapshot", INT, "500",
    BETWEEN(0, 500), MEDIUM, READ_ONLY, AHEAD("share groups"), "Updates of share state between two snapshots.")
CONF(SHARE_COORDINATOR_STATE_TOPIC_COMPRESSION_CODEC, "share.coordinator.state.topic.compression.codec", INT, "0", ANY, HIGH,
    READ_ONLY, IGNORE("one event loop owns a group"), "Codec of the share state topic.")
CONF(SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR, "share.coordinator.state.topic.min.isr", SHORT, "1", AT_LEAST(1), HIGH, READ_ONLY,
    CLAMP, "Replicas that must have a share state record. One node has one.")
CONF(SHARE_COORDINATOR_STATE_TOPIC_NUM_PARTITIONS, "share.coordinator.state.topic.num.partitions", INT, "50", AT_LEAST(1), HIGH,
    READ_ONLY, AHEAD("share groups"), "Partitions of __share_group_state; must not change once the topic is there.")
CONF(SHARE_COORDINATOR_STATE_TOPIC_PRUNE_INTERVAL_MS, "share.coordinator.state.topic.prune.interval.ms", INT, "300000",
    AT_LEAST(1), LOW, INTERNAL, IGNORE("one event loop owns a group"), "How often old share state is deleted.")
CONF(SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR, "share.coordinator.state.topic.replication.factor", SHORT, "1",
    AT_LEAST(1), HIGH, READ_ONLY, CLAMP, "Replicas of __share_group_state. One node has one.")
CONF(SHARE_COORDINATOR_STATE_TOPIC_SEGMENT_BYTES, "share.coordinator.state.topic.segment.bytes", INT, "104857600", AT_LEAST(1),
    HIGH, READ_ONLY, AHEAD("share groups"), "Segment size of __share_group_state; less than 1 MiB counts as 1 MiB.")
CONF(SHARE_COORDINATOR_THREADS, "share.coordinator.threads", INT, "1", AT_LEAST(1), MEDIUM, READ_ONLY,
    IGNORE("one event loop owns a group"), "Threads of the share coordinator.")
CONF(SHARE_COORDINATOR_WRITE_TIMEOUT_MS, "share.coordinator.write.timeout.ms", INT, "5000", AT_LEAST(1), HIGH, READ_ONLY,
    IGNORE("one event loop owns a group"), "How long a write of share state waits for its replicas.")
CONF(SHARE_FETCH_PURGATORY_PURGE_INTERVAL_REQUESTS, "share.fetch.purgatory.purge.interval.requests", INT, "1000", ANY, MEDIUM,
    READ_ONLY, QUIET, "When finished share fetch waits are swept out.")
CONF(SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS, "socket.connection.setup.timeout.max.ms", LONG, "30000", ANY, MEDIUM, READ_ONLY,
    IGNORE("outgoing connections only"), "Longest time to set up an outgoing connection.")
CONF(SOCKET_CONNECTION_SETUP_TIMEOUT_MS, "socket.connection.setup.timeout.ms", LONG, "10000", ANY, MEDIUM, READ_ONLY,
    IGNORE("outgoing connections only"), "First time allowed to set up an outgoing connection.")
CONF(SOCKET_LISTEN_BACKLOG_SIZE, "socket.listen.backlog.size", INT, "50", AT_LEAST(1), MEDIUM, READ_ONLY, HONOUR,
    "Connections the kernel holds for us before we accept them.")
CONF(SOCKET_RECEIVE_BUFFER_BYTES, "socket.receive.buffer.bytes", INT, "102400", ANY, HIGH, READ_ONLY, HONOUR,
    "SO_RCVBUF of a connection; -1: what the system gives. Below 65536 bulk is slow.")
CONF(SOCKET_REQUEST_MAX_BYTES, "socket.request.max.bytes", INT, "104857600", AT_LEAST(1), HIGH, READ_ONLY, HONOUR,
    "Largest request.")
CONF(SOCKET_SEND_BUFFER_BYTES, "socket.send.buffer.bytes", INT, "102400", ANY, HIGH, READ_ONLY, HONOUR,
    "SO_SNDBUF of a connection; -1, and not written down: what the system gives. "
    "Below 65536 bulk is slow, and very slow towards this machine itself.")
CONF(SSL_ALLOW_DN_CHANGES, "ssl.allow.dn.changes", BOOLEAN, "false", ANY, LOW, READ_ONLY, AHEAD("TLS listeners"),
    "Let a reloaded certificate have another distinguished name.")
CONF(SSL_ALLOW_SAN_CHANGES, "ssl.allow.san.changes", BOOLEAN, "false", ANY, LOW, READ_ONLY, AHEAD("TLS listeners"),
    "Let a reloaded certificate lose alternative names.")
CONF(SSL_CIPHER_SUITES, "ssl.cipher.suites", LIST, "", ANY_LIST, MEDIUM, PER_BROKER, AHEAD("TLS listeners"),
    "Cipher suites, by their TLS names; empty: the library's choice.")
CONF(SSL_CLIENT_AUTH, "ssl.client.auth", STRING, "none", ONE_OF("required, requested, none"), MEDIUM, PER_BROKER,
    AHEAD("TLS listeners"), "Whether clients must, may or need not show a certificate.")
CONF(SSL_ENABLED_PROTOCOLS, "ssl.enabled.protocols", LIST, "TLSv1.2,TLSv1.3", ANY_LIST, MEDIUM, PER_BROKER,
    AHEAD("TLS listeners"), "TLS versions to speak.")
CONF(SSL_ENDPOINT_IDENTIFICATION_ALGORITHM, "ssl.endpoint.identification.algorithm", STRING, "https", ANY, LOW, PER_BROKER,
    IGNORE("about the JVM, or the client side of TLS"), "How a client checks the host name in a certificate.")
CONF(SSL_ENGINE_FACTORY_CLASS, "ssl.engine.factory.class", CLASS, NULL, ANY, LOW, PER_BROKER,
    REJECT("Java classes cannot be loaded; TLS is configured by ssl.keystore.* and ssl.truststore.*"),
    "Java class that makes TLS engines.")
CONF(SSL_KEY_PASSWORD, "ssl.key.password", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER, AHEAD("TLS listeners"),
    "Password of the private key.")
CONF(SSL_KEYMANAGER_ALGORITHM, "ssl.keymanager.algorithm", STRING, "SunX509", ANY, MEDIUM, PER_BROKER,
    IGNORE("about the JVM, or the client side of TLS"), "Java's key manager.")
CONF(SSL_KEYSTORE_CERTIFICATE_CHAIN, "ssl.keystore.certificate.chain", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER,
    AHEAD("TLS listeners"), "Certificate chain, PEM, in the value itself.")
CONF(SSL_KEYSTORE_KEY, "ssl.keystore.key", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER, AHEAD("TLS listeners"),
    "Private key, PEM, in the value itself.")
CONF(SSL_KEYSTORE_LOCATION, "ssl.keystore.location", STRING, NULL, ANY, MEDIUM, PER_BROKER, AHEAD("TLS listeners"),
    "File with the private key and certificates.")
CONF(SSL_KEYSTORE_PASSWORD, "ssl.keystore.password", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER, AHEAD("TLS listeners"),
    "Password of that file.")
CONF(SSL_KEYSTORE_TYPE, "ssl.keystore.type", STRING, "JKS", ANY, MEDIUM, PER_BROKER, AHEAD("TLS listeners"),
    "Format of that file: PEM or PKCS12.")
CONF(SSL_PRINCIPAL_MAPPING_RULES, "ssl.principal.mapping.rules", STRING, "DEFAULT", ANY, LOW, READ_ONLY, AHEAD("TLS listeners"),
    "How a certificate's distinguished name becomes a principal.")
CONF(SSL_PROTOCOL, "ssl.protocol", STRING, "TLSv1.3", ANY, MEDIUM, PER_BROKER, IGNORE("about the JVM, or the client side of TLS"),
    "Java's name of the TLS version.")
CONF(SSL_PROVIDER, "ssl.provider", STRING, NULL, ANY, MEDIUM, PER_BROKER, IGNORE("about the JVM, or the client side of TLS"),
    "Java's security provider for TLS.")
CONF(SSL_SECURE_RANDOM_IMPLEMENTATION, "ssl.secure.random.implementation", STRING, NULL, ANY, LOW, PER_BROKER,
    IGNORE("about the JVM, or the client side of TLS"), "Java's random generator for TLS.")
CONF(SSL_TRUSTMANAGER_ALGORITHM, "ssl.trustmanager.algorithm", STRING, "PKIX", ANY, MEDIUM, PER_BROKER,
    IGNORE("about the JVM, or the client side of TLS"), "Java's trust manager.")
CONF(SSL_TRUSTSTORE_CERTIFICATES, "ssl.truststore.certificates", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER, AHEAD("TLS listeners"),
    "Trusted certificates, PEM, in the value itself.")
CONF(SSL_TRUSTSTORE_LOCATION, "ssl.truststore.location", STRING, NULL, ANY, MEDIUM, PER_BROKER, AHEAD("TLS listeners"),
    "File with the trusted certificates.")
CONF(SSL_TRUSTSTORE_PASSWORD, "ssl.truststore.password", PASSWORD, NULL, ANY, MEDIUM, PER_BROKER, AHEAD("TLS listeners"),
    "Password of that file.")
CONF(SSL_TRUSTSTORE_TYPE, "ssl.truststore.type", STRING, "JKS", ANY, MEDIUM, PER_BROKER, AHEAD("TLS listeners"),
    "Format of that file: PEM or PKCS12.")
CONF(TELEMETRY_MAX_BYTES, "telemetry.max.bytes", INT, "1048576", AT_LEAST(1), LOW, READ_ONLY, AHEAD("client metrics"),
    "Largest batch of metrics a client may push.")
CONF(TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS, "transaction.abort.timed.out.transaction.cleanup.interval.ms",
    INT, "10000", AT_LEAST(1), LOW, READ_ONLY, AHEAD("transactions"),
    "How often transactions past their timeout are looked for and aborted.")
CONF(TRANSACTION_MAX_TIMEOUT_MS, "transaction.max.timeout.ms", INT, "900000", AT_LEAST(1), HIGH, READ_ONLY, AHEAD("transactions"),
    "Longest transaction timeout a producer may ask for.")
CONF(TRANSACTION_PARTITION_VERIFICATION_ENABLE, "transaction.partition.verification.enable", BOOLEAN, "true", ANY, LOW,
    CLUSTER_WIDE, IGNORE("a call inside the process here"),
    "Check with the coordinator that a partition belongs to the transaction.")
CONF(TRANSACTION_REMOVE_EXPIRED_TRANSACTION_CLEANUP_INTERVAL_MS, "transaction.remove.expired.transaction.cleanup.interval.ms",
    INT, "3600000", AT_LEAST(1), LOW, READ_ONLY, AHEAD("transactions"), "How often unused transactional ids are looked for.")
CONF(TRANSACTION_STATE_LOG_LOAD_BUFFER_SIZE, "transaction.state.log.load.buffer.size", INT, "5242880", AT_LEAST(1), HIGH,
    READ_ONLY, IGNORE("no such buffers"), "Bytes read at once when transaction state is loaded.")
CONF(TRANSACTION_STATE_LOG_MIN_ISR, "transaction.state.log.min.isr", INT, "1", AT_LEAST(1), HIGH, READ_ONLY, CLAMP,
    "Replicas that must have a transaction state record. One node has one.")
CONF(TRANSACTION_STATE_LOG_NUM_PARTITIONS, "transaction.state.log.num.partitions", INT, "50", AT_LEAST(1), HIGH, READ_ONLY,
    AHEAD("transactions"), "Partitions of __transaction_state; must not change once the topic is there.")
CONF(TRANSACTION_STATE_LOG_REPLICATION_FACTOR, "transaction.state.log.replication.factor", SHORT, "1", AT_LEAST(1), HIGH,
    READ_ONLY, CLAMP, "Replicas of __transaction_state. One node has one.")
CONF(TRANSACTION_STATE_LOG_SEGMENT_BYTES, "transaction.state.log.segment.bytes", INT, "104857600", AT_LEAST(1), HIGH, READ_ONLY,
    AHEAD("transactions"), "Segment size of __transaction_state; less than 1 MiB counts as 1 MiB.")
CONF(TRANSACTION_TWO_PHASE_COMMIT_ENABLE, "transaction.two.phase.commit.enable", BOOLEAN, "false", ANY, LOW, READ_ONLY,
    LATER("two-phase commit is not served by this build"), "Allow producers to take part in two-phase commit.")
CONF(TRANSACTIONAL_ID_EXPIRATION_MS, "transactional.id.expiration.ms", INT, "604800000", AT_LEAST(1), HIGH, READ_ONLY,
    AHEAD("transactions"), "How long an unused transactional id is remembered.")
CONF(UNCLEAN_LEADER_ELECTION_ENABLE, "unclean.leader.election.enable", BOOLEAN, "false", ANY, HIGH, CLUSTER_WIDE,
    IGNORE("one replica"), "Let a replica that is not in sync become leader.")
CONF(UNCLEAN_LEADER_ELECTION_INTERVAL_MS, "unclean.leader.election.interval.ms", LONG, "300000", AT_LEAST(1), MEDIUM, INTERNAL,
    IGNORE("one replica"), "How often such elections are looked for.")
CONF(UNSTABLE_API_VERSIONS_ENABLE, "unstable.api.versions.enable", BOOLEAN, "false", ANY, HIGH, INTERNAL,
    IGNORE("internal to Apache Kafka"), "Offer versions of requests that are not final.")
CONF(UNSTABLE_FEATURE_VERSIONS_ENABLE, "unstable.feature.versions.enable", BOOLEAN, "false", ANY, HIGH, INTERNAL,
    IGNORE("internal to Apache Kafka"), "Offer feature levels that are not final.")

/* ---- broker, our own --------------------------------------------------------------------------------------------------------- */

CONF(ODRADEK_CLUSTER_ID, "odradek.cluster.id", STRING, NULL, ANY, MEDIUM, READ_ONLY, HONOUR,
    "Cluster id to give a new directory, 22 characters of base64 as kafka-storage random-uuid prints; unset: a new one, or "
    "the one the directories have.")
CONF(ODRADEK_DIRTY_MAX, "odradek.dirty.max", LONG, "67108864", BETWEEN(1048576, 1099511627776), MEDIUM, READ_ONLY, HONOUR,
    "Bytes a log directory may owe to its disk: above it appends go through a worker, above twice as much producers wait.")
CONF(ODRADEK_DISK_RESERVE, "odradek.disk.reserve", LONG, "67108864", AT_LEAST(0), MEDIUM, READ_ONLY, HONOUR,
    "Bytes kept free on a log directory's disk: producers are refused before the last byte, reads and deletes go on.")
CONF(ODRADEK_FRAME_TIMEOUT_MS, "odradek.frame.timeout.ms", INT, "60000", AT_LEAST(100), LOW, READ_ONLY, HONOUR,
    "A request must have arrived whole this long after its first byte, or its connection is closed.")
CONF(ODRADEK_HOT, "odradek.hot", LONG, "2147483648", AT_LEAST(0), LOW, READ_ONLY, HONOUR,
    "Newest bytes of a log directory that stay in the page cache where odradek.page.cache releases older ones.")
CONF(ODRADEK_JOURNAL_MAX, "odradek.journal.max", LONG, "67108864", BETWEEN(0, 1073741824), LOW, READ_ONLY, HONOUR,
    "Bytes the commit journal of each log directory may grow to; with it one sync makes appends to many partitions durable. "
    "0: every partition's file is synced by itself.")
CONF(ODRADEK_LOG_LEVEL, "odradek.log.level", STRING, "info", ONE_OF("debug, info, warn, error"), MEDIUM, READ_ONLY, HONOUR,
    "Log lines of this level and above are written.")
CONF(ODRADEK_MEMORY_MAX, "odradek.memory.max", LONG, "268435456", AT_LEAST(8388608), HIGH, READ_ONLY, HONOUR,
    "Bytes of memory that clients' requests and answers may take together: frames, what they decode to, answers being made and those that wait "
    "to be sent. Half is shared: when that is used up nothing more is read or begun. The other half is for one at a time that needs more than is "
    "left, so a request and its answer may take half of it; what needs more closes its connection. Not counted: the first 5 KiB of a connection's "
    "only request, topics, groups, indexes and the page cache.")
CONF(ODRADEK_PAGE_CACHE, "odradek.page.cache", STRING, "auto", ONE_OF("auto, window, kernel"), LOW, READ_ONLY, HONOUR,
    "What happens to pages older than odradek.hot. kernel: they stay while there is memory. window: bulk releases them and uses their memory "
    "again; consumers further behind read from the disk, ahead of need. auto: window where fresh memory is measured to be dear, as in some "
    "virtual machines.")
CONF(ODRADEK_REPLICATION_FACTOR_POLICY, "odradek.replication.factor.policy", STRING, "error", ONE_OF("error, clamp"), MEDIUM,
    READ_ONLY, HONOUR,
    "A CreateTopics that asks for more than one replica: error answers INVALID_REPLICATION_FACTOR as Kafka does, clamp "
    "makes one replica.")
CONF(ODRADEK_SCRUB_INTERVAL_MS, "odradek.scrub.interval.ms", LONG, "0", AT_LEAST(0), LOW, READ_ONLY, HONOUR,
    "So often all closed segments are read and every batch's checksum verified; damage is logged with offsets, once, and "
    "nothing is changed. 0: never; odradek check --deep does the same on a stopped broker.")
CONF(ODRADEK_SCRUB_MAX_BYTES_PER_SECOND, "odradek.scrub.max.bytes.per.second", LONG, "8388608", AT_LEAST(4096), LOW, READ_ONLY,
    HONOUR, "The scrub reads no faster than this.")
CONF(ODRADEK_SHUTDOWN_TIMEOUT_MS, "odradek.shutdown.timeout.ms", INT, "10000", AT_LEAST(0), LOW, READ_ONLY, HONOUR,
    "A clean stop waits this long for connections to take their last answers.")

/* ---- topics ------------------------------------------------------------------------------------------------------------------ */

TOPIC_CONF(CLEANUP_POLICY, "cleanup.policy", LIST, "delete", LIST_OF("compact, delete"), MEDIUM, CLUSTER_WIDE, HONOUR,
    "log.cleanup.policy", "What becomes of old segments: delete, compact, or both; empty keeps everything.")
TOPIC_CONF(COMPRESSION_GZIP_LEVEL, "compression.gzip.level", INT, "-1", GZIP_LEVEL, MEDIUM, CLUSTER_WIDE, HONOUR,
    "compression.gzip.level", "Effort of gzip where the broker recompresses.")
TOPIC_CONF(COMPRESSION_LZ4_LEVEL, "compression.lz4.level", INT, "9", BETWEEN(1, 17), MEDIUM, CLUSTER_WIDE, HONOUR,
    "compression.lz4.level", "Effort of lz4 where the broker recompresses.")
TOPIC_CONF(COMPRESSION_TYPE, "compression.type", STRING, "producer", ONE_OF("uncompressed, zstd, lz4, snappy, gzip, producer"),
    MEDIUM, CLUSTER_WIDE, HONOUR, "compression.type", "Codec of stored batches; producer keeps what the producer sent.")
TOPIC_CONF(COMPRESSION_ZSTD_LEVEL, "compression.zstd.level", INT, "3", BETWEEN(-131072, 22), MEDIUM, CLUSTER_WIDE, HONOUR,
    "compression.zstd.level", "Effort of zstd where the broker recompresses.")
TOPIC_CONF(DELETE_RETENTION_MS, "delete.retention.ms", LONG, "86400000", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR,
    "log.cleaner.delete.retention.ms", "How long tombstones stay after they were cleaned.")
TOPIC_CONF(FILE_DELETE_DELAY_MS, "file.delete.delay.ms", LONG, "60000", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR,
    "log.segment.delete.delay.ms", "How long the files of a deleted segment stay on disk.")
TOPIC_CONF(FLUSH_MESSAGES, "flush.messages", LONG, "1", AT_LEAST(1), MEDIUM, CLUSTER_WIDE, HONOUR, "log.flush.interval.messages",
    "1: acks=all is answered when the data is on disk. Larger: sync after so many records.")
TOPIC_CONF(FLUSH_MS, "flush.ms", LONG, "9223372036854775807", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR, "log.flush.interval.ms",
    "Longest time a record waits in memory before it is synced.")
TOPIC_CONF(FOLLOWER_REPLICATION_THROTTLED_REPLICAS, "follower.replication.throttled.replicas", LIST, "", THROTTLED, MEDIUM,
    CLUSTER_WIDE, QUIET, NULL, "Replicas whose fetching is throttled.")
TOPIC_CONF(INDEX_INTERVAL_BYTES, "index.interval.bytes", INT, "4096", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR,
    "log.index.interval.bytes", "One index entry for about so many bytes of log.")
TOPIC_CONF(INTERNAL_SEGMENT_BYTES, "internal.segment.bytes", INT, NULL, ANY, MEDIUM, INTERNAL, HONOUR, NULL,
    "Segment size below the public minimum, for tests.")
TOPIC_CONF(LEADER_REPLICATION_THROTTLED_REPLICAS, "leader.replication.throttled.replicas", LIST, "", THROTTLED, MEDIUM,
    CLUSTER_WIDE, QUIET, NULL, "Replicas whose sending is throttled.")
TOPIC_CONF(LOCAL_RETENTION_BYTES, "local.retention.bytes", LONG, "-2", AT_LEAST(-2), MEDIUM, CLUSTER_WIDE,
    IGNORE("no tiered storage"), "log.local.retention.bytes", "Bytes of a tiered partition kept on the local disk.")
TOPIC_CONF(LOCAL_RETENTION_MS, "local.retention.ms", LONG, "-2", AT_LEAST(-2), MEDIUM, CLUSTER_WIDE, IGNORE("no tiered storage"),
    "log.local.retention.ms", "How long a tiered partition's segments stay on the local disk.")
TOPIC_CONF(MAX_COMPACTION_LAG_MS, "max.compaction.lag.ms", LONG, "9223372036854775807", AT_LEAST(1), MEDIUM, CLUSTER_WIDE,
    HONOUR, "log.cleaner.max.compaction.lag.ms", "Longest time a record may stay uncompacted.")
TOPIC_CONF(MAX_MESSAGE_BYTES, "max.message.bytes", INT, "1048588", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR, "message.max.bytes",
    "Largest batch the topic takes, as stored.")
TOPIC_CONF(MESSAGE_TIMESTAMP_AFTER_MAX_MS, "message.timestamp.after.max.ms", LONG, "3600000", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    HONOUR, "log.message.timestamp.after.max.ms", "How far in the future a record's CreateTime may lie.")
TOPIC_CONF(MESSAGE_TIMESTAMP_BEFORE_MAX_MS, "message.timestamp.before.max.ms", LONG, "9223372036854775807", AT_LEAST(0), MEDIUM,
    CLUSTER_WIDE, HONOUR, "log.message.timestamp.before.max.ms", "How far in the past a record's CreateTime may lie.")
TOPIC_CONF(MESSAGE_TIMESTAMP_TYPE, "message.timestamp.type", STRING, "CreateTime", ONE_OF("CreateTime, LogAppendTime"), MEDIUM,
    CLUSTER_WIDE, HONOUR, "log.message.timestamp.type",
    "CreateTime keeps the producer's timestamps, LogAppendTime puts the time of the append.")
TOPIC_CONF(MIN_CLEANABLE_DIRTY_RATIO, "min.cleanable.dirty.ratio", DOUBLE, "0.5", BETWEEN(0, 1), MEDIUM, CLUSTER_WIDE,
    HONOUR, "log.cleaner.min.cleanable.ratio", "Share of uncleaned bytes from which a partition is worth cleaning.")
TOPIC_CONF(MIN_COMPACTION_LAG_MS, "min.compaction.lag.ms", LONG, "0", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR,
    "log.cleaner.min.compaction.lag.ms", "Shortest time a record stays uncompacted.")
TOPIC_CONF(MIN_INSYNC_REPLICAS, "min.insync.replicas", INT, "1", AT_LEAST(1), MEDIUM, CLUSTER_WIDE, CLAMP, "min.insync.replicas",
    "Replicas that must have a record before acks=all is answered. One node has one.")
TOPIC_CONF(PREALLOCATE, "preallocate", BOOLEAN, "false", ANY, MEDIUM, CLUSTER_WIDE, HONOUR, "log.preallocate",
    "Reserve a segment's space on disk when it is created.")
TOPIC_CONF(REMOTE_LOG_COPY_DISABLE, "remote.log.copy.disable", BOOLEAN, "false", ANY, MEDIUM, CLUSTER_WIDE,
    IGNORE("no tiered storage"), NULL, "Stop copying to the tier and keep what is there readable.")
TOPIC_CONF(REMOTE_LOG_DELETE_ON_DISABLE, "remote.log.delete.on.disable", BOOLEAN, "false", ANY, MEDIUM, CLUSTER_WIDE,
    IGNORE("no tiered storage"), NULL, "Delete tiered data when tiering is switched off.")
TOPIC_CONF(REMOTE_STORAGE_ENABLE, "remote.storage.enable", BOOLEAN, "false", ANY, MEDIUM, CLUSTER_WIDE,
    LATER("tiered storage is not served by this build"), NULL, "Whether the topic is tiered.")
TOPIC_CONF(RETENTION_BYTES, "retention.bytes", LONG, "-1", ANY, MEDIUM, CLUSTER_WIDE, HONOUR, "log.retention.bytes",
    "Most bytes of one partition before its oldest segments are deleted; -1: no limit.")
TOPIC_CONF(RETENTION_MS, "retention.ms", LONG, "604800000", AT_LEAST(-1), MEDIUM, CLUSTER_WIDE, HONOUR, "log.retention.ms",
    "How long a segment is kept; -1: for ever.")
TOPIC_CONF(SEGMENT_BYTES, "segment.bytes", INT, "1073741824", AT_LEAST(1048576), MEDIUM, CLUSTER_WIDE, HONOUR,
    "log.segment.bytes", "A new segment is begun when the old one would grow beyond this.")
TOPIC_CONF(SEGMENT_INDEX_BYTES, "segment.index.bytes", INT, "10485760", AT_LEAST(4), MEDIUM, CLUSTER_WIDE, HONOUR,
    "log.index.size.max.bytes", "An index of this size rolls its segment; nothing is allocated in advance.")
TOPIC_CONF(SEGMENT_JITTER_MS, "segment.jitter.ms", LONG, "0", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, HONOUR, "log.roll.jitter.ms",
    "Most milliseconds taken off segment.ms at random.")
TOPIC_CONF(SEGMENT_MS, "segment.ms", LONG, "604800000", AT_LEAST(1), MEDIUM, CLUSTER_WIDE, HONOUR, "log.roll.ms",
    "Age at which a new segment is begun even if the old one is not full.")
TOPIC_CONF(UNCLEAN_LEADER_ELECTION_ENABLE, "unclean.leader.election.enable", BOOLEAN, "false", ANY, MEDIUM, CLUSTER_WIDE, QUIET,
    "unclean.leader.election.enable", "Let a replica that is not in sync become leader.")

/* ---- groups ------------------------------------------------------------------------------------------------------------------ */

GROUP_CONF(CONSUMER_ASSIGNMENT_INTERVAL_MS, "consumer.assignment.interval.ms", INT, "1000", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    AHEAD("the new consumer protocol"), "group.consumer.assignment.interval.ms",
    "Least time between two assignments of this consumer group.")
GROUP_CONF(CONSUMER_HEARTBEAT_INTERVAL_MS, "consumer.heartbeat.interval.ms", INT, "5000", AT_LEAST(1), MEDIUM, CLUSTER_WIDE,
    AHEAD("the new consumer protocol"), "group.consumer.heartbeat.interval.ms",
    "How often members of this consumer group report.")
GROUP_CONF(CONSUMER_SESSION_TIMEOUT_MS, "consumer.session.timeout.ms", INT, "45000", AT_LEAST(1), MEDIUM, CLUSTER_WIDE,
    AHEAD("the new consumer protocol"), "group.consumer.session.timeout.ms", "A member that is silent for this long is put out.")
GROUP_CONF(SHARE_ASSIGNMENT_INTERVAL_MS, "share.assignment.interval.ms", INT, "1000", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    AHEAD("share groups"), "group.share.assignment.interval.ms", "Least time between two assignments of this share group.")
GROUP_CONF(SHARE_AUTO_OFFSET_RESET, "share.auto.offset.reset", STRING, "latest", OFFSET_RESET, MEDIUM, CLUSTER_WIDE,
    AHEAD("share groups"), NULL,
    "Where a share group begins on a partition it does not know yet: latest, earliest, or a duration back.")
GROUP_CONF(SHARE_DELIVERY_COUNT_LIMIT, "share.delivery.count.limit", INT, "5", AT_LEAST(2), MEDIUM, CLUSTER_WIDE,
    AHEAD("share groups"), "group.share.delivery.count.limit", "How often a record is delivered before the group gives it up.")
GROUP_CONF(SHARE_HEARTBEAT_INTERVAL_MS, "share.heartbeat.interval.ms", INT, "5000", AT_LEAST(1), MEDIUM, CLUSTER_WIDE,
    AHEAD("share groups"), "group.share.heartbeat.interval.ms", "How often members of this share group report.")
GROUP_CONF(SHARE_ISOLATION_LEVEL, "share.isolation.level", STRING, "read_uncommitted", ONE_OF("read_committed, read_uncommitted"),
    MEDIUM, CLUSTER_WIDE, AHEAD("share groups"), NULL, "Whether the group sees records of open transactions.")
GROUP_CONF(SHARE_PARTITION_MAX_RECORD_LOCKS, "share.partition.max.record.locks", INT, "2000", AT_LEAST(100), MEDIUM, CLUSTER_WIDE,
    AHEAD("share groups"), "group.share.partition.max.record.locks",
    "Most records of a partition that may be out with consumers at once.")
GROUP_CONF(SHARE_RECORD_LOCK_DURATION_MS, "share.record.lock.duration.ms", INT, "30000", AT_LEAST(1000), MEDIUM, CLUSTER_WIDE,
    AHEAD("share groups"), "group.share.record.lock.duration.ms", "How long a delivered record stays locked for its consumer.")
GROUP_CONF(SHARE_RENEW_ACKNOWLEDGE_ENABLE, "share.renew.acknowledge.enable", BOOLEAN, "true", ANY, MEDIUM, CLUSTER_WIDE,
    AHEAD("share groups"), NULL, "Whether consumers may renew the lock of a record.")
GROUP_CONF(SHARE_SESSION_TIMEOUT_MS, "share.session.timeout.ms", INT, "45000", AT_LEAST(1), MEDIUM, CLUSTER_WIDE,
    AHEAD("share groups"), "group.share.session.timeout.ms", "A member that is silent for this long is put out.")
GROUP_CONF(STREAMS_ASSIGNMENT_INTERVAL_MS, "streams.assignment.interval.ms", INT, "1000", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    AHEAD("streams groups"), "group.streams.assignment.interval.ms", "Least time between two assignments of this streams group.")
GROUP_CONF(STREAMS_HEARTBEAT_INTERVAL_MS, "streams.heartbeat.interval.ms", INT, "5000", AT_LEAST(1), MEDIUM, CLUSTER_WIDE,
    AHEAD("streams groups"), "group.streams.heartbeat.interval.ms", "How often members of this streams group report.")
GROUP_CONF(STREAMS_INITIAL_REBALANCE_DELAY_MS, "streams.initial.rebalance.delay.ms", INT, "3000", AT_LEAST(0), MEDIUM,
    CLUSTER_WIDE, AHEAD("streams groups"), "group.streams.initial.rebalance.delay.ms",
    "How long the empty group waits for more members before its first assignment.")
GROUP_CONF(STREAMS_NUM_STANDBY_REPLICAS, "streams.num.standby.replicas", INT, "0", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    AHEAD("streams groups"), "group.streams.num.standby.replicas", "Standby replicas of each stateful task.")
GROUP_CONF(STREAMS_SESSION_TIMEOUT_MS, "streams.session.timeout.ms", INT, "45000", AT_LEAST(1), MEDIUM, CLUSTER_WIDE,
    AHEAD("streams groups"), "group.streams.session.timeout.ms", "A member that is silent for this long is put out.")

/* ---- client metrics subscriptions -------------------------------------------------------------------------------------------- */

METRICS_CONF(INTERVAL_MS, "interval.ms", INT, "300000", ANY, MEDIUM, CLUSTER_WIDE, AHEAD("client metrics"),
    "How often matching clients push their metrics.")
METRICS_CONF(MATCH, "match", LIST, "", ANY, MEDIUM, CLUSTER_WIDE, AHEAD("client metrics"),
    "Which clients the subscription is for, name=pattern with commas.")
METRICS_CONF(METRICS, "metrics", LIST, "", ANY, MEDIUM, CLUSTER_WIDE, AHEAD("client metrics"),
    "Prefixes of the metric names to push; * means all.")

/* ---- quotas and credentials -------------------------------------------------------------------------------------------------- */

QUOTA_CONF(FOLLOWER_REPLICATION_THROTTLED_RATE, "follower.replication.throttled.rate", LONG, "9223372036854775807", AT_LEAST(0),
    MEDIUM, CLUSTER_WIDE, QUIET, "Most bytes per second that throttled replicas fetch.")
QUOTA_CONF(LEADER_REPLICATION_THROTTLED_RATE, "leader.replication.throttled.rate", LONG, "9223372036854775807", AT_LEAST(0),
    MEDIUM, CLUSTER_WIDE, QUIET, "Most bytes per second sent to throttled replicas.")
QUOTA_CONF(REPLICA_ALTER_LOG_DIRS_IO_MAX_BYTES_PER_SECOND, "replica.alter.log.dirs.io.max.bytes.per.second", LONG,
    "9223372036854775807", AT_LEAST(0), MEDIUM, CLUSTER_WIDE, QUIET,
    "Most bytes per second for moving replicas between directories.")
QUOTA_CONF(SCRAM_SHA_256, "SCRAM-SHA-256", STRING, NULL, ANY, MEDIUM, CLUSTER_WIDE, AHEAD("SASL listeners"),
    "Credential of a user for SCRAM-SHA-256.")
QUOTA_CONF(SCRAM_SHA_512, "SCRAM-SHA-512", STRING, NULL, ANY, MEDIUM, CLUSTER_WIDE, AHEAD("SASL listeners"),
    "Credential of a user for SCRAM-SHA-512.")
QUOTA_CONF(CONSUMER_BYTE_RATE, "consumer_byte_rate", LONG, "9223372036854775807", ANY, MEDIUM, CLUSTER_WIDE, AHEAD("quotas"),
    "Bytes per second a client may fetch.")
QUOTA_CONF(CONTROLLER_MUTATION_RATE, "controller_mutation_rate", DOUBLE, "2.147483647E9", ANY, MEDIUM, CLUSTER_WIDE,
    AHEAD("quotas"), "Topics and partitions per second a client may create or delete.")
QUOTA_CONF(PRODUCER_BYTE_RATE, "producer_byte_rate", LONG, "9223372036854775807", ANY, MEDIUM, CLUSTER_WIDE, AHEAD("quotas"),
    "Bytes per second a client may produce.")
QUOTA_CONF(REQUEST_PERCENTAGE, "request_percentage", DOUBLE, "2.147483647E9", ANY, MEDIUM, CLUSTER_WIDE, AHEAD("quotas"),
    "Share of a loop's time a client's requests may take, in percent.")
QUOTA_CONF(CONNECTION_CREATION_RATE, "connection_creation_rate", INT, "2147483647", AT_LEAST(0), MEDIUM, CLUSTER_WIDE,
    AHEAD("quotas"), "New connections per second from one address.")

/* ---- old names --------------------------------------------------------------------------------------------------------------- */

OLD_CONF("advertised.host.name", MAPPED, "becomes advertised.listeners")
OLD_CONF("advertised.port", MAPPED, "becomes advertised.listeners")
OLD_CONF("auto.include.jmx.reporter", GONE, "there is no JVM")
OLD_CONF("broker.id.generation.enable", GONE, "node.id is the number")
OLD_CONF("control.plane.listener.name", GONE, "there is no link to a controller")
OLD_CONF("delegation.token.master.key", GONE, "renamed delegation.token.secret.key; delegation tokens are not served by this build")
OLD_CONF("group.coordinator.new.enable", GONE, "there is one coordinator")
OLD_CONF("host.name", MAPPED, "becomes listeners")
OLD_CONF("inter.broker.protocol.version", GONE, "no other brokers; features are levels of the metadata log")
OLD_CONF("log.cleanup.interval.mins", MAPPED, "becomes log.retention.check.interval.ms")
OLD_CONF("log.message.downconversion.enable", GONE, "records are kept in the newest format alone")
OLD_CONF("log.message.format.version", GONE, "records are kept in the newest format alone")
OLD_CONF("log.message.timestamp.difference.max.ms", MAPPED, "becomes log.message.timestamp.before.max.ms and .after.max.ms")
OLD_CONF("message.format.version", GONE, "records are kept in the newest format alone")
OLD_CONF("offsets.commit.required.acks", GONE, "one replica")
OLD_CONF("password.encoder.*", GONE, "passwords are not kept in ZooKeeper")
OLD_CONF("port", MAPPED, "becomes listeners")
OLD_CONF("quota.consumer.default", GONE, "set default quotas with kafka-configs")
OLD_CONF("quota.producer.default", GONE, "set default quotas with kafka-configs")
OLD_CONF("reserved.broker.max.id", GONE, "node.id is the number")
OLD_CONF("zookeeper.*", GONE, "there is no ZooKeeper")

#undef CONF
#undef TOPIC_CONF
#undef GROUP_CONF
#undef METRICS_CONF
#undef QUOTA_CONF
#undef OLD_CONF
