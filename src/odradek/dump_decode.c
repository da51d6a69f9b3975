/* dump-log: what records mean.
 *
 * A coordinator's record: key = type (int16) and a message; value = version (int16) and a message of that version, or null, which
 * deletes. A metadata record: value = frame version 1, type, version (unsigned varints) and a message. Errors read as Kafka's; where it
 * would give a Java exception's text, ours says what is wrong. */
#include "dump.h"

#include <ctype.h>
#include <stdlib.h>

static struct slice in_arena(struct dump *d, struct bytes *b)
{
    struct slice s = arena_copy(&d->arena, (struct slice){ b->n ? (char *)b->p : "", b->n });
    b->n = 0;
    return s;
}

static void part_text(struct dump *d, struct dump_part *p, bool error, const char *fmt, ...) PRINTF(4, 5);
static void part_text(struct dump *d, struct dump_part *p, bool error, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    *p = (struct dump_part){ .there = true, .error = error, .text = arena_copy(&d->arena, slice_of(text)) };
}

/* Kafka prints a message by a version it does not know as by the nearest one. */
static int16_t near_version(const struct wire_msg *m, int version) { return (int16_t)MIN(MAX(version, m->min), m->max); }

/* Decodes into d->arena. used NULL: bytes left over are an error. */
static int decode(struct dump *d, const struct wire_msg *m, int16_t version, struct slice in, void **out, size_t *used)
{
    *out = arena_zalloc(&d->arena, m->size);
    return wire_decode(m, version, in, &d->arena, *out, used);
}

/* Kafka prints fields in the order in which it declares them, wire_print tagged ones last. Where that differs: the order. */
static const struct {
    const struct wire_msg *m;
    const char *const *names;
} orders[] = {
    { &msg_partition_record,
      (const char *const[]){ "partitionId", "topicId", "replicas", "isr", "removingReplicas", "addingReplicas", "leader",
                             "leaderRecoveryState", "leaderEpoch", "partitionEpoch", "directories", "eligibleLeaderReplicas",
                             "lastKnownElr", NULL } },
    { &msg_partition_change_record,
      (const char *const[]){ "partitionId", "topicId", "isr", "leader", "replicas", "removingReplicas", "addingReplicas",
                             "leaderRecoveryState", "directories", "eligibleLeaderReplicas", "lastKnownElr", NULL } },
    { &msg_share_snapshot_value,
      (const char *const[]){ "snapshotEpoch", "stateEpoch", "leaderEpoch", "startOffset", "deliveryCompleteCount",
                             "createTimestamp", "writeTimestamp", "stateBatches", NULL } },
    { &msg_share_update_value,
      (const char *const[]){ "snapshotEpoch", "leaderEpoch", "startOffset", "deliveryCompleteCount", "stateBatches", NULL } },
    { &msg_transaction_log_value, (const char *const[]){ "producerId", "previousProducerId", "nextProducerId", "producerEpoch",
                                                         "nextProducerEpoch", "transactionTimeoutMs", "transactionStatus",
                                                         "transactionPartitions", "transactionLastUpdateTimestampMs",
                                                         "transactionStartTimestampMs", "clientTransactionVersion", NULL } },
};

static void print(struct dump *d, const struct wire_msg *m, int16_t version, const void *in, dump_swap *swap, void *arg,
                  struct bytes *out)
{
    d->json.n = 0;
    wire_print(m, version, in, &d->json);
    struct slice json = { (char *)d->json.p, d->json.n };
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        if (orders[i].m != m) continue;
        d->ordered.n = 0;
        dump_json_order(&d->ordered, json, orders[i].names);
        json = (struct slice){ (char *)d->ordered.p, d->ordered.n };
    }
    dump_json_java(out, json, swap, arg);
}

/* ---- a consumer's subscription and assignment, which are bytes in a group's metadata -------------------------------------------- */

struct embedded {
    struct dump *d;
    const struct group_metadata_value *group;
    int32_t at[2]; /* the member whose subscription, assignment comes next */
};

static bool swap_embedded(void *arg, struct slice member, struct bytes *out)
{
    struct embedded *e = arg;
    bool assignment = slice_eq(member, S("assignment"));
    if (!assignment && !slice_eq(member, S("subscription"))) return false;
    int32_t i = e->at[assignment]++;
    if (i >= e->group->members_n) return false;

    const struct wire_msg *m = assignment ? &msg_consumer_protocol_assignment : &msg_consumer_protocol_subscription;
    struct slice in = assignment ? e->group->members[i].assignment : e->group->members[i].subscription;
    struct bytes text = { 0 };
    void *v;
    size_t used;
    if (in.n < 2) return false;
    int16_t version = (int16_t)be16(in.p);
    if (version > m->max) return false;
    version = near_version(m, version);
    if (decode(e->d, m, version, (struct slice){ in.p + 2, in.n - 2 }, &v, &used) != 0) return false;
    wire_print(m, version, v, &text);
    dump_json_java(out, (struct slice){ (char *)text.p, text.n }, NULL, NULL);
    bytes_free(&text);
    return true;
}

/* ---- coordinators' records ---------------------------------------------------------------------------------------------------- */

static int decode_coordinator(struct dump *d, enum wire_kind kind, const struct record *r, struct dump_part *key,
                              struct dump_part *value)
{
    long long at = r->offset;
    void *k, *v;
    size_t used;
    int rc;

    if (!r->key.p) return E_INVALID;
    if (r->key.n < 2) {
        part_text(d, key, true, "Error at offset %lld, skipping. Could not read version from key's buffer.", at);
        return 0;
    }
    int16_t type = (int16_t)be16(r->key.p);
    const struct wire_msg *mk = wire_record(kind, type), *mv = wire_record((enum wire_kind)(kind + 1), type);
    if (!mk || !mv) {
        part_text(d, key, true, "Unknown record type %d at offset %lld, skipping.", type, at);
        return 0;
    }
    rc = decode(d, mk, mk->min, (struct slice){ r->key.p + 2, r->key.n - 2 }, &k, &used);
    if (rc) {
        part_text(d, key, true,
                  "Error at offset %lld, skipping. Could not read record with version %d from key's buffer due to: %s.", at, type,
                  err_text(rc));
        return 0;
    }
    if (r->value.p) {
        int16_t version = r->value.n < 2 ? 0 : (int16_t)be16(r->value.p);
        if (r->value.n < 2) {
            part_text(d, key, true, "Error at offset %lld, skipping. Could not read version from value's buffer.", at);
            return 0;
        }
        if (!wire_has_version(mv, version)) {
            part_text(d, key, true, "Error at offset %lld, skipping. Found an unknown record version %d for %d type", at, version,
                      type);
            return 0;
        }
        rc = decode(d, mv, version, (struct slice){ r->value.p + 2, r->value.n - 2 }, &v, &used);
        if (rc) {
            part_text(d, key, true,
                      "Error at offset %lld, skipping. Could not read record with version %d from value's buffer due to: %s.", at,
                      version, err_text(rc));
            return 0;
        }
        struct embedded e = { .d = d, .group = v };
        bool consumer = mv == &msg_group_metadata_value && slice_eq(e.group->protocol_type, S("consumer"));
        d->line.n = 0;
        bytes_printf(&d->line, "{\"version\":\"%d\",\"data\":", version);
        print(d, mv, version, v, consumer ? swap_embedded : NULL, &e, &d->line);
        wr_u8(&d->line, '}');
        value->text = value->json = in_arena(d, &d->line);
    } else {
        value->text = S("<DELETE>");
        value->json = S("null");
    }
    value->there = true;
    d->line.n = 0;
    bytes_printf(&d->line, "{\"type\":\"%d\",\"data\":", type);
    print(d, mk, mk->min, k, NULL, NULL, &d->line);
    wr_u8(&d->line, '}');
    key->text = key->json = in_arena(d, &d->line);
    key->there = true;
    return 0;
}

/* ---- framed records: metadata, remote log metadata -------------------------------------------------------------------------------- */

static const char *read_short(struct rd *r, const char *what, int16_t *out, char text[64])
{
    int32_t v = (int32_t)rd_uvarint(r);
    *out = (int16_t)v;
    if (!r->err && v <= INT16_MAX) return NULL;
    if (r->err) snprintf(text, 64, "Error while reading %s", what);
    else snprintf(text, 64, "Value for %s was too large.", what);
    return text;
}

/* The record in a frame: its message, version and content, or false and why in d->err. */
static bool decode_frame(struct dump *d, enum wire_kind kind, struct slice in, const struct wire_msg **m, int16_t *version,
                         void **v)
{
    struct rd r = rd_of(in);
    int16_t frame, type;
    char text[64];
    const char *bad;
    size_t used;

    d->err.n = 0;
    if ((bad = read_short(&r, "frame version", &frame, text))) {
        bytes_printf(&d->err, "%s", bad);
    } else if (frame == 0) {
        bytes_printf(&d->err,
                     "Could not deserialize metadata record with frame version 0. Note that upgrades from the preview release of "
                     "KRaft in 2.8 to newer versions are not supported.");
    } else if (frame != 1) {
        bytes_printf(&d->err,
                     "Could not deserialize metadata record due to unknown frame version %d(only frame version 1 is supported)",
                     frame);
    } else if ((bad = read_short(&r, "type", &type, text)) || (bad = read_short(&r, "version", version, text))) {
        bytes_printf(&d->err, "%s", bad);
    } else if (!(*m = wire_record(kind, type))) {
        bytes_printf(&d->err, "org.apache.kafka.common.errors.UnsupportedVersionException: Unknown metadata id %d", type);
    } else if (decode(d, *m, *version, (struct slice){ (const char *)r.p, rd_left(&r) }, v, &used) != 0) {
        bytes_printf(&d->err, "Failed to deserialize record with type %d", type);
    } else if (used < rd_left(&r)) {
        bytes_printf(&d->err, "Found %zu byte(s) of garbage after %d", rd_left(&r) - used, type);
    } else {
        return true;
    }
    return false;
}

/* {"type":"TOPIC_RECORD","version":0,"data":{…}} from TopicRecord. */
static struct slice framed_json(struct dump *d, const struct wire_msg *m, int16_t version, const void *v)
{
    d->line.n = 0;
    bytes_printf(&d->line, "{\"type\":\"");
    for (const char *p = m->name; *p; p++) {
        if (p > m->name && isupper((unsigned char)*p)) wr_u8(&d->line, '_');
        wr_u8(&d->line, (uint8_t)toupper((unsigned char)*p));
    }
    bytes_printf(&d->line, "\",\"version\":%d,\"data\":", version);
    print(d, m, version, v, NULL, NULL, &d->line);
    wr_u8(&d->line, '}');
    return in_arena(d, &d->line);
}

static void decode_metadata(struct dump *d, const struct record *r, struct dump_part *value)
{
    const struct wire_msg *m;
    int16_t version;
    void *v;

    if (decode_frame(d, WIRE_METADATA, r->value, &m, &version, &v)) {
        value->text = value->json = framed_json(d, m, version, v);
        value->there = true;
    } else {
        part_text(d, value, true, "Error at %lld, skipping. %.*s", (long long)r->offset, (int)d->err.n, (char *)d->err.p);
    }
}

/* Kafka prints these as its classes' toString. The structs of the segment's record and of its snapshot differ in name only. */
typedef struct remote_log_segment_metadata_record_segment_leader_epoch_entry epoch_entry;

static const char *segment_state(int state)
{
    static const char *const names[] = { "COPY_SEGMENT_STARTED", "COPY_SEGMENT_FINISHED", "DELETE_SEGMENT_STARTED",
                                         "DELETE_SEGMENT_FINISHED" };
    return state >= 0 && state < (int)ARRAY_LEN(names) ? names[state] : NULL;
}

static int by_epoch(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void put_epochs(struct dump *d, const void *entries, size_t size, size_t offset_at, int32_t n)
{
    struct {
        int32_t epoch, order;
        int64_t offset;
    } *e = arena_alloc(&d->arena, sizeof *e * (size_t)MAX(n, 1));
    int32_t m = 0;

    for (int32_t i = 0; i < n; i++) { /* of two with the same epoch the later one counts */
        const char *p = (const char *)entries + size * (size_t)i;
        memcpy(&e[i].epoch, p, sizeof e->epoch);
        memcpy(&e[i].offset, p + offset_at, sizeof e->offset);
        e[i].order = i;
    }
    qsort(e, (size_t)n, sizeof *e, by_epoch);
    for (int32_t i = 0; i < n; i++) {
        if (m > 0 && e[m - 1].epoch == e[i].epoch) {
            if (e[i].order > e[m - 1].order) e[m - 1] = e[i];
        } else {
            e[m++] = e[i];
        }
    }
    for (int32_t i = 0; i < m; i++) bytes_printf(&d->line, "%s%d=%lld", i ? ", " : "{", e[i].epoch, (long long)e[i].offset);
    wr_u8(&d->line, '}');
}

static void put_custom(struct dump *d, struct slice custom)
{
    if (custom.p) bytes_printf(&d->line, "Optional[CustomMetadata{%zu bytes}]", custom.n);
    else bytes_printf(&d->line, "Optional.empty");
}

static void put_partition(struct dump *d, struct uuid id, struct slice topic, int32_t partition)
{
    char text[UUID_TEXT];
    uuid_text(id, text);
    bytes_printf(&d->line, "%s:", text);
    dump_utf8(&d->line, topic);
    bytes_printf(&d->line, "-%d", partition);
}

static void put_segment_id(struct dump *d, struct uuid topic_id, struct slice topic, int32_t partition, struct uuid segment)
{
    char text[UUID_TEXT];
    uuid_text(segment, text);
    bytes_printf(&d->line, "remoteLogSegmentId=RemoteLogSegmentId{topicIdPartition=");
    put_partition(d, topic_id, topic, partition);
    bytes_printf(&d->line, ", id=%s}, ", text);
}

/* Appends to d->line; NULL, or why such a record cannot be. */
static const char *remote_text(struct dump *d, const struct wire_msg *m, const void *v)
{
    char id[UUID_TEXT];
    d->err.n = 0;
    if (m == &msg_remote_log_segment_metadata_record || m == &msg_remote_log_segment_metadata_snapshot_record) {
        bool snapshot = m == &msg_remote_log_segment_metadata_snapshot_record;
        const struct remote_log_segment_metadata_record *r = v;
        const struct remote_log_segment_metadata_snapshot_record *s = v;
        int state = snapshot ? s->remote_log_segment_state : r->remote_log_segment_state;
        long long start = snapshot ? s->start_offset : r->start_offset, end = snapshot ? s->end_offset : r->end_offset;
        int32_t epochs = snapshot ? s->segment_leader_epochs_n : r->segment_leader_epochs_n;
        if (!snapshot && start < 0) {
            bytes_printf(&d->err, "Unexpected start offset = %lld. StartOffset for a remote segment cannot be negative", start);
        } else if (!snapshot && end < start) {
            bytes_printf(&d->err,
                         "Unexpected end offset = %lld. EndOffset for a remote segment cannot be less than startOffset = %lld",
                         end, start);
        }
        if (d->err.n) {
            wr_u8(&d->err, 0);
            return (const char *)d->err.p;
        }
        if (!segment_state(state)) return "state can not be null";
        if (epochs <= 0) return "segmentLeaderEpochs can not be null or empty";
        if (snapshot) {
            uuid_text(s->segment_id, id);
            bytes_printf(&d->line, "RemoteLogSegmentMetadataSnapshot{segmentId=%s, ", id);
        } else {
            bytes_printf(&d->line, "RemoteLogSegmentMetadata{");
            put_segment_id(d, r->remote_log_segment_id.topic_id_partition.id, r->remote_log_segment_id.topic_id_partition.name,
                           r->remote_log_segment_id.topic_id_partition.partition, r->remote_log_segment_id.id);
        }
        bytes_printf(&d->line, "startOffset=%lld, endOffset=%lld, ", start, end);
        if (snapshot) bytes_printf(&d->line, "maxTimestampMs=%lld, ", (long long)s->max_timestamp_ms);
        else
            bytes_printf(&d->line, "brokerId=%d, maxTimestampMs=%lld, eventTimestampMs=%lld, ", r->broker_id,
                         (long long)r->max_timestamp_ms, (long long)r->event_timestamp_ms);
        bytes_printf(&d->line, "segmentLeaderEpochs=");
        if (snapshot)
            put_epochs(d, s->segment_leader_epochs, sizeof *s->segment_leader_epochs,
                       offsetof(struct remote_log_segment_metadata_snapshot_record_segment_leader_epoch_entry, offset), epochs);
        else put_epochs(d, r->segment_leader_epochs, sizeof *r->segment_leader_epochs, offsetof(epoch_entry, offset), epochs);
        bytes_printf(&d->line,
                     ", segmentSizeInBytes=%d, customMetadata=", snapshot ? s->segment_size_in_bytes : r->segment_size_in_bytes);
        put_custom(d, snapshot ? s->custom_metadata : r->custom_metadata);
        bytes_printf(&d->line, ", state=%s, txnIdxEmpty=%s}", segment_state(state),
                     (snapshot ? s->txn_index_empty : r->txn_index_empty) ? "true" : "false");
    } else if (m == &msg_remote_log_segment_metadata_update_record) {
        const struct remote_log_segment_metadata_update_record *r = v;
        if (!segment_state(r->remote_log_segment_state)) return "state can not be null";
        bytes_printf(&d->line, "RemoteLogSegmentMetadataUpdate{");
        put_segment_id(d, r->remote_log_segment_id.topic_id_partition.id, r->remote_log_segment_id.topic_id_partition.name,
                       r->remote_log_segment_id.topic_id_partition.partition, r->remote_log_segment_id.id);
        bytes_printf(&d->line, "customMetadata=");
        put_custom(d, r->custom_metadata);
        bytes_printf(&d->line, ", state=%s, eventTimestampMs=%lld, brokerId=%d}", segment_state(r->remote_log_segment_state),
                     (long long)r->event_timestamp_ms, r->broker_id);
    } else {
        static const char *const names[] = { "DELETE_PARTITION_MARKED", "DELETE_PARTITION_STARTED", "DELETE_PARTITION_FINISHED" };
        const struct remote_partition_delete_metadata_record *r = v;
        if (r->remote_partition_delete_state < 0 || r->remote_partition_delete_state >= (int)ARRAY_LEN(names)) return "null";
        bytes_printf(&d->line, "RemotePartitionDeleteMetadata{topicPartition=");
        put_partition(d, r->topic_id_partition.id, r->topic_id_partition.name, r->topic_id_partition.partition);
        bytes_printf(&d->line, ", state=%s, eventTimestampMs=%lld, brokerId=%d}", names[r->remote_partition_delete_state],
                     (long long)r->event_timestamp_ms, r->broker_id);
    }
    return NULL;
}

static void decode_remote(struct dump *d, const struct record *r, struct dump_part *value)
{
    const struct wire_msg *m;
    int16_t version;
    void *v;
    const char *bad = NULL;

    if (!r->value.p) {
        bad = "the value is null";
    } else if (!decode_frame(d, WIRE_REMOTE_LOG, r->value, &m, &version, &v)) {
        wr_u8(&d->err, 0);
        bad = (const char *)d->err.p;
    } else {
        value->json = framed_json(d, m, version, v);
        bad = remote_text(d, m, v);
        value->text = in_arena(d, &d->line);
        value->there = true;
    }
    if (bad) part_text(d, value, true, "Error at offset %lld, skipping. %s", (long long)r->offset, bad);
}

int dump_decode(struct dump *d, const struct record *r, struct dump_part *key, struct dump_part *value)
{
    *key = *value = (struct dump_part){ 0 };
    arena_free(&d->arena);
    d->line.n = 0;
    switch (d->o->decoder) {
    case DUMP_OFFSETS: return decode_coordinator(d, WIRE_GROUP_KEY, r, key, value);
    case DUMP_TXN: return decode_coordinator(d, WIRE_TXN_KEY, r, key, value);
    case DUMP_SHARE: return decode_coordinator(d, WIRE_SHARE_KEY, r, key, value);
    case DUMP_METADATA: decode_metadata(d, r, value); return 0;
    case DUMP_REMOTE: decode_remote(d, r, value); return 0;
    case DUMP_PLAIN: break;
    }
    *key = (struct dump_part){ .there = r->key.p != NULL, .text = r->key };
    *value = (struct dump_part){ .there = r->value.p != NULL, .text = r->value };
    return 0;
}

/* ---- control records -------------------------------------------------------------------------------------------------------------- */

/* The messages of control records begin with their version, which Kafka prints by but does not read by: it reads version 0. */
int dump_control(struct dump *d, const struct record *r, struct bytes *out)
{
    static const struct {
        const struct wire_msg *m;
        const char *text, *name;
    } kinds[] = {
        [CONTROL_LEADER_CHANGE] = { &msg_leader_change_message, " LeaderChange: ", "LeaderChange" },
        [CONTROL_SNAPSHOT_HEADER] = { &msg_snapshot_header_record, " SnapshotHeader ", "SnapshotHeader" },
        [CONTROL_SNAPSHOT_FOOTER] = { &msg_snapshot_footer_record, " SnapshotFooter ", "SnapshotFooter" },
        [CONTROL_KRAFT_VERSION] = { &msg_k_raft_version_record, " KRaftVersion ", "KRaftVersion" },
        [CONTROL_KRAFT_VOTERS] = { &msg_voters_record, " KRaftVoters ", "KRaftVoters" },
    };
    int type = r->key.n >= CONTROL_KEY && r->key.p ? (int16_t)be16(r->key.p + 2) : -1;
    bool json = d->o->json;
    size_t used;
    void *v;

    if (!r->key.p || r->key.n < CONTROL_KEY || (int16_t)be16(r->key.p) < 0) return E_CORRUPT;
    arena_free(&d->arena);
    if (type == CONTROL_ABORT || type == CONTROL_COMMIT) {
        const char *name = type == CONTROL_ABORT ? "ABORT" : "COMMIT";
        if (!r->value.p || r->value.n < CONTROL_MARKER_VALUE || (int16_t)be16(r->value.p) < 0) return E_CORRUPT;
        bytes_printf(out, json ? "\"controlType\":\"%s\",\"coordinatorEpoch\":%d" : " endTxnMarker: %s coordinatorEpoch: %d",
                     name, (int32_t)be32(r->value.p + 2));
    } else if (type >= 0 && type < (int)ARRAY_LEN(kinds) && kinds[type].m) {
        const struct wire_msg *m = kinds[type].m;
        int16_t version;
        if (!r->value.p || decode(d, m, m->min, r->value, &v, &used) != 0) return E_MALFORMED;
        memcpy(&version, v, sizeof version); /* the first field of each */
        bytes_printf(out, json ? "\"controlType\":\"%s\",\"data\":" : "%s", json ? kinds[type].name : kinds[type].text);
        print(d, m, near_version(m, version), v, NULL, NULL, out);
    } else {
        bytes_printf(out, json ? "\"controlType\":\"UNKNOWN\",\"controlTypeId\":%d" : " controlType: UNKNOWN(%d)", type);
    }
    return 0;
}
