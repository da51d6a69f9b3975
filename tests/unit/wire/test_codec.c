/* The engine's rules one by one. (That it speaks Kafka is shown by tests/wire, with bytes made by Kafka.) */
#include <odradek/wire.h>
#include <stdlib.h>
#include <test.h>

struct env {
    struct arena a;
    struct wire_out out;
};

static int set_up(void **state)
{
    struct env *e = calloc(1, sizeof(*e));
    arena_init(&e->a);
    *state = e;
    return 0;
}

static int tear_down(void **state)
{
    struct env *e = *state;
    arena_free(&e->a);
    wire_out_free(&e->out);
    free(e);
    return 0;
}

static struct slice encoded(const struct env *e) { return (struct slice){ (const char *)e->out.b.p, e->out.b.n }; }

static void assert_bytes(const struct env *e, const char *want, size_t n)
{
    assert_int_equal(e->out.b.n, n);
    assert_memory_equal(e->out.b.p, want, n);
}
#define ASSERT_BYTES(e, lit) assert_bytes((e), lit, sizeof(lit) - 1)

/* ---- finding messages ---- */

static void every_message_is_found_by_its_name(void **state)
{
    int n = 0;

    for (; wire_msg_at(n); n++) {
        assert_ptr_equal(wire_msg_by_name(wire_msg_at(n)->name), wire_msg_at(n));
        if (n) assert_true(strcmp(wire_msg_at(n - 1)->name, wire_msg_at(n)->name) < 0);
    }
    assert_int_equal(n, 280);
    assert_null(wire_msg_by_name("NoSuchRequest"));
    assert_null(wire_msg_by_name(""));
    assert_null(wire_msg_at(-1));
}

static void every_api_has_a_request_and_a_response_of_the_same_versions(void **state)
{
    for (int16_t key = 0; key < API_COUNT; key++) {
        const struct wire_msg *req = wire_request(key), *res = wire_response(key);
        assert_int_equal(req->key, key);
        assert_int_equal(res->key, key);
        assert_int_equal(req->kind, WIRE_REQUEST);
        assert_int_equal(res->kind, WIRE_RESPONSE);
        assert_int_equal(req->min, res->min);
        assert_int_equal(req->max, res->max);
    }
    assert_null(wire_request(-1));
    assert_null(wire_request(API_COUNT));
    assert_null(wire_response(INT16_MAX));
    assert_ptr_equal(wire_request(API_PRODUCE), &msg_produce_request);
    assert_int_equal(msg_produce_request.min, 3);
    assert_int_equal(msg_produce_request.max, 13);
    assert_int_equal(msg_init_producer_id_request.max, 6);
    assert_int_equal(msg_init_producer_id_request.max_stable, 5);
    assert_false(wire_has_version(&msg_leader_and_isr_request, 0)); /* withdrawn */
    assert_int_equal(msg_fetch_request.listeners, WIRE_ON_BROKER | WIRE_ON_CONTROLLER);
}

static void records_are_found_by_kind_and_key(void **state)
{
    assert_ptr_equal(wire_metadata_record(TOPIC_RECORD), &msg_topic_record);
    assert_ptr_equal(wire_metadata_record(REGISTER_BROKER_RECORD), &msg_register_broker_record);
    assert_ptr_equal(wire_metadata_record(CLEAR_ELR_RECORD), &msg_clear_elr_record);
    assert_null(wire_metadata_record(13)); /* a hole among the record types */
    assert_null(wire_metadata_record(-1));
    assert_ptr_equal(wire_record(WIRE_GROUP_KEY, OFFSET_COMMIT_KEY), &msg_offset_commit_key);
    assert_ptr_equal(wire_record(WIRE_GROUP_VALUE, GROUP_METADATA_KEY), &msg_group_metadata_value);
    assert_ptr_equal(wire_record(WIRE_TXN_VALUE, TRANSACTION_LOG_KEY), &msg_transaction_log_value);
    assert_ptr_equal(wire_record(WIRE_SHARE_VALUE, SHARE_UPDATE_KEY), &msg_share_update_value);
    assert_ptr_equal(wire_record(WIRE_REMOTE_LOG, REMOTE_LOG_SEGMENT_METADATA_RECORD), &msg_remote_log_segment_metadata_record);
    assert_null(wire_record(WIRE_GROUP_KEY, 99));
    assert_null(wire_record(WIRE_REQUEST, API_FETCH));
}

static void header_versions_follow_flexibility_except_for_api_versions(void **state)
{
    assert_int_equal(wire_request_header_version(API_METADATA, 8), 1);
    assert_int_equal(wire_request_header_version(API_METADATA, 9), 2);
    assert_int_equal(wire_response_header_version(API_METADATA, 8), 0);
    assert_int_equal(wire_response_header_version(API_METADATA, 9), 1);
    assert_int_equal(wire_request_header_version(API_API_VERSIONS, 3), 2);
    assert_int_equal(wire_request_header_version(API_API_VERSIONS, 99), 2); /* a client from the future */
    assert_int_equal(wire_response_header_version(API_API_VERSIONS, 3), 0);
    assert_int_equal(wire_request_header_version(API_SASL_HANDSHAKE, 1), 1); /* never flexible */
    assert_int_equal(wire_request_header_version(API_OFFSET_DELETE, 0), 1);
    assert_err(wire_request_header_version(1000, 0), E_UNSUPPORTED);
    assert_err(wire_response_header_version(-1, 0), E_UNSUPPORTED);
}

/* ---- defaults ---- */

static void defaults_are_kafkas(void **state)
{
    struct env *e = *state;
    struct fetch_request in;

    wire_init(&msg_fetch_request, &in);
    assert_int_equal(in.replica_id, -1);
    assert_int_equal(in.max_bytes, INT32_MAX);
    assert_int_equal(in.session_epoch, -1);
    assert_true(in.replica_state.replica_epoch == -1);
    assert_slice(in.cluster_id, NULL);
    assert_slice(in.rack_id, "");
    assert_int_equal(dflt_metadata_request.allow_auto_topic_creation, true);
    assert_int_equal(dflt_consumer_group_heartbeat_request.subscribed_topic_names_n, -1);
    assert_null(dflt_describe_topic_partitions_request.cursor);

    struct fetch_request_fetch_partition *p = wire_array(&e->a, fetch_request_fetch_partition, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(p[i].current_leader_epoch, -1);
        assert_true(p[i].high_watermark == INT64_MAX);
    }
    assert_null(wire_array(&e->a, fetch_request_fetch_partition, 0));
}

static void a_field_the_version_lacks_decodes_to_its_default(void **state)
{
    struct env *e = *state;
    struct find_coordinator_request in;

    memset(&in, 0xa5, sizeof(in));
    assert_ok(wire_decode(&msg_find_coordinator_request, 0, S("\x00\x01g"), &e->a, &in, NULL));
    assert_slice(in.key, "g");
    assert_int_equal(in.key_type, 0);
    assert_int_equal(in.coordinator_keys_n, 0);
    assert_int_equal(in.unknown_n, 0);
}

/* Catches a table that lacks a field or has a wrong offset, for messages that no vector covers. */
static void the_defaults_of_every_message_survive_a_round_trip_at_every_version(void **state)
{
    struct env *e = *state;

    for (int i = 0; wire_msg_at(i); i++) {
        const struct wire_msg *m = wire_msg_at(i);
        void *again = malloc(m->size);
        for (int16_t v = m->min; v <= m->max; v++) {
            struct bytes one = { 0 }, two = { 0 };
            wire_out_reset(&e->out);
            assert_ok(wire_encode(m, v, m->dflt, &e->out));
            assert_int_equal(e->out.b.n, wire_size(m, v, m->dflt));
            assert_ok(wire_decode(m, v, encoded(e), &e->a, again, NULL));
            wire_print(m, v, m->dflt, &one);
            wire_print(m, v, again, &two);
            assert_int_equal(one.n, two.n);
            assert_memory_equal(one.p, two.p, one.n);
            bytes_free(&one);
            bytes_free(&two);
        }
        free(again);
    }
}

static void an_unknown_version_is_unsupported(void **state)
{
    struct env *e = *state;
    struct metadata_request in = dflt_metadata_request;
    struct bytes text = { 0 };

    assert_err(wire_decode(&msg_metadata_request, 99, S("\0\0\0\0"), &e->a, &in, NULL), E_UNSUPPORTED);
    assert_err(wire_decode(&msg_metadata_request, -1, S("\0\0\0\0"), &e->a, &in, NULL), E_UNSUPPORTED);
    assert_err(wire_encode(&msg_metadata_request, 99, &in, &e->out), E_UNSUPPORTED);
    assert_int_equal(e->out.b.n, 0);
    assert_int_equal(wire_size(&msg_metadata_request, 99, &in), 0);
    wire_print(&msg_metadata_request, 99, &in, &text);
    assert_int_equal(text.n, 4);
    bytes_free(&text);
}

/* ---- what may not be sent ---- */

static void a_value_that_the_version_cannot_carry_is_refused_unless_ignorable(void **state)
{
    struct env *e = *state;
    struct find_coordinator_request find = dflt_find_coordinator_request;
    struct metadata_response meta = dflt_metadata_response;

    wr_u8(&e->out.b, '!');
    find.key = S("g");
    find.key_type = 1; /* not before v1, not ignorable */
    assert_err(wire_encode(&msg_find_coordinator_request, 0, &find, &e->out), E_UNSUPPORTED);
    ASSERT_BYTES(e, "!"); /* nothing was appended */
    assert_ok(wire_encode(&msg_find_coordinator_request, 1, &find, &e->out));
    ASSERT_BYTES(e, "!\x00\x01g\x01");

    wire_out_reset(&e->out);
    meta.throttle_time_ms = 7; /* not before v3, ignorable */
    assert_ok(wire_encode(&msg_metadata_response, 0, &meta, &e->out));
    ASSERT_BYTES(e, "\0\0\0\0\0\0\0\0");
}

static void a_tagged_field_the_version_lacks_is_judged_like_any_other(void **state)
{
    struct env *e = *state;
    struct fetch_request in = dflt_fetch_request;

    in.cluster_id = S("c"); /* tagged from v12, ignorable */
    assert_ok(wire_encode(&msg_fetch_request, 11, &in, &e->out));
    in.replica_id = 5; /* until v14 */
    assert_err(wire_encode(&msg_fetch_request, 15, &in, &e->out), E_UNSUPPORTED);
    in.replica_id = -1;
    in.replica_state.replica_id = 5; /* a tagged struct from v15 */
    assert_err(wire_encode(&msg_fetch_request, 14, &in, &e->out), E_UNSUPPORTED);
    assert_ok(wire_encode(&msg_fetch_request, 15, &in, &e->out));
}

static void null_is_written_empty_where_there_is_no_null(void **state)
{
    struct env *e = *state;
    struct find_coordinator_request find = dflt_find_coordinator_request;
    struct metadata_request meta = dflt_metadata_request;

    find.key = (struct slice){ NULL, 0 };
    assert_ok(wire_encode(&msg_find_coordinator_request, 0, &find, &e->out));
    ASSERT_BYTES(e, "\0\0");
    wire_out_reset(&e->out);
    meta.topics_n = -1;
    assert_ok(wire_encode(&msg_metadata_request, 0, &meta, &e->out));
    ASSERT_BYTES(e, "\0\0\0\0");
    wire_out_reset(&e->out);
    assert_ok(wire_encode(&msg_metadata_request, 1, &meta, &e->out));
    ASSERT_BYTES(e, "\xff\xff\xff\xff");
}

static void a_string_above_32767_bytes_is_invalid_both_ways(void **state)
{
    struct env *e = *state;
    static char text[40000];
    struct find_coordinator_request find = dflt_find_coordinator_request, back;

    find.key = (struct slice){ text, 32767 };
    assert_ok(wire_encode(&msg_find_coordinator_request, 3, &find, &e->out));
    assert_ok(wire_decode(&msg_find_coordinator_request, 3, encoded(e), &e->a, &back, NULL));
    wire_out_reset(&e->out);
    find.key.n = 32768;
    assert_err(wire_encode(&msg_find_coordinator_request, 0, &find, &e->out), E_INVALID);
    assert_err(wire_encode(&msg_find_coordinator_request, 3, &find, &e->out), E_INVALID);
    assert_int_equal(e->out.b.n, 0);
    wr_compact(&e->out.b, find.key);
    wr_slice(&e->out.b, S("\0\0"));
    assert_err(wire_decode(&msg_find_coordinator_request, 3, encoded(e), &e->a, &back, NULL), E_MALFORMED);
}

/* ---- tagged fields ---- */

static void unknown_tagged_fields_survive(void **state)
{
    struct env *e = *state;
    struct api_versions_request in;
    /* software name "a", version "b", tags 3 ("xy") and 300 (empty) */
    struct slice bytes = S("\x02"
                           "a\x02"
                           "b\x02\x03\x02xy\xac\x02\x00");

    assert_ok(wire_decode(&msg_api_versions_request, 3, bytes, &e->a, &in, NULL));
    assert_int_equal(in.unknown_n, 2);
    assert_int_equal(in.unknown[0].tag, 3);
    assert_slice(in.unknown[0].data, "xy");
    assert_int_equal(in.unknown[1].tag, 300);
    assert_slice(in.unknown[1].data, "");
    assert_ok(wire_encode(&msg_api_versions_request, 3, &in, &e->out));
    assert_bytes(e, bytes.p, bytes.n);
    assert_int_equal(wire_size(&msg_api_versions_request, 3, &in), bytes.n);
    wire_out_reset(&e->out);
    assert_err(wire_encode(&msg_api_versions_request, 2, &in, &e->out), E_UNSUPPORTED); /* not flexible: nowhere to put them */
}

static void known_and_unknown_tags_are_sent_in_the_order_of_their_numbers(void **state)
{
    struct env *e = *state;
    struct wire_tag tags[] = { { 4, S("x") }, { 9, S("y") } };
    struct api_versions_response out = dflt_api_versions_response, back;

    out.zk_migration_ready = true; /* tag 3 */
    out.unknown = tags;
    out.unknown_n = 2;
    assert_ok(wire_encode(&msg_api_versions_response, 3, &out, &e->out));
    ASSERT_BYTES(e, "\0\0\x01\0\0\0\0\x03\x03\x01\x01\x04\x01x\x09\x01y");
    assert_ok(wire_decode(&msg_api_versions_response, 3, encoded(e), &e->a, &back, NULL));
    assert_true(back.zk_migration_ready);
    assert_int_equal(back.unknown_n, 2);
}

static void unknown_tags_out_of_order_or_of_a_known_number_cannot_be_sent(void **state)
{
    struct env *e = *state;
    struct wire_tag falling[] = { { 9, S("y") }, { 4, S("x") } }, known[] = { { 3, S("\1") } };
    struct api_versions_response out = dflt_api_versions_response;

    out.unknown = falling;
    out.unknown_n = 2;
    assert_err(wire_encode(&msg_api_versions_response, 3, &out, &e->out), E_INVALID);
    out.unknown = known;
    out.unknown_n = 1;
    assert_err(wire_encode(&msg_api_versions_response, 3, &out, &e->out), E_INVALID);
    assert_int_equal(e->out.b.n, 0);
}

static void a_tagged_field_must_fill_its_size(void **state)
{
    struct env *e = *state;
    struct api_versions_response in;

    /* zkMigrationReady (tag 3), one byte, said to have two, then none */
    assert_err(wire_decode(&msg_api_versions_response, 3, S("\0\0\x01\0\0\0\0\x01\x03\x02\x01\x00"), &e->a, &in, NULL),
               E_MALFORMED);
    assert_err(wire_decode(&msg_api_versions_response, 3, S("\0\0\x01\0\0\0\0\x01\x03\x00"), &e->a, &in, NULL), E_MALFORMED);
    assert_err(wire_decode(&msg_api_versions_response, 3, S("\0\0\x01\0\0\0\0\x01\x03\x05\x01"), &e->a, &in, NULL), E_TRUNCATED);
}

static void a_tag_of_other_versions_is_malformed(void **state)
{
    struct env *e = *state;
    struct fetch_request out = dflt_fetch_request, in;

    out.replica_state.replica_id = 1; /* tag 1, from v15 */
    assert_ok(wire_encode(&msg_fetch_request, 15, &out, &e->out));
    assert_ok(wire_decode(&msg_fetch_request, 15, encoded(e), &e->a, &in, NULL));
    /* v14 begins with ReplicaId: put one in front, and the rest reads the same up to the tag */
    struct bytes b = { 0 };
    wr_i32(&b, -1);
    wr_slice(&b, encoded(e));
    assert_err(wire_decode(&msg_fetch_request, 14, (struct slice){ (char *)b.p, b.n }, &e->a, &in, NULL), E_MALFORMED);
    bytes_free(&b);
}

static void a_tagged_struct_tells_null_default_and_value_apart(void **state)
{
    struct env *e = *state;
    struct consumer_group_member_metadata_value out = dflt_consumer_group_member_metadata_value, in;
    struct consumer_group_member_metadata_value_classic_member_metadata classic =
        dflt_consumer_group_member_metadata_value_classic_member_metadata;

    assert_non_null(out.classic_member_metadata); /* its default is a struct of defaults, not null */
    assert_ok(wire_encode(&msg_consumer_group_member_metadata_value, 0, &out, &e->out));
    size_t n = e->out.b.n;
    assert_int_equal(e->out.b.p[n - 1], 0);
    assert_ok(wire_decode(&msg_consumer_group_member_metadata_value, 0, encoded(e), &e->a, &in, NULL));
    assert_non_null(in.classic_member_metadata);

    wire_out_reset(&e->out);
    out.classic_member_metadata = NULL;
    assert_ok(wire_encode(&msg_consumer_group_member_metadata_value, 0, &out, &e->out));
    assert_memory_equal(e->out.b.p + n - 1, "\x01\x00\x01\x00", 4);
    assert_ok(wire_decode(&msg_consumer_group_member_metadata_value, 0, encoded(e), &e->a, &in, NULL));
    assert_null(in.classic_member_metadata);

    wire_out_reset(&e->out);
    classic.session_timeout_ms = 5;
    out.classic_member_metadata = &classic;
    assert_ok(wire_encode(&msg_consumer_group_member_metadata_value, 0, &out, &e->out));
    assert_ok(wire_decode(&msg_consumer_group_member_metadata_value, 0, encoded(e), &e->a, &in, NULL));
    assert_int_equal(in.classic_member_metadata->session_timeout_ms, 5);
}

/* ---- hostile bytes ---- */

static void null_is_malformed_where_it_may_not_be(void **state)
{
    struct env *e = *state;
    struct find_coordinator_request find;
    struct metadata_request meta;

    assert_err(wire_decode(&msg_find_coordinator_request, 0, S("\xff\xff"), &e->a, &find, NULL), E_MALFORMED);
    assert_err(wire_decode(&msg_find_coordinator_request, 3, S("\x00\x00\x00"), &e->a, &find, NULL), E_MALFORMED);
    assert_err(wire_decode(&msg_metadata_request, 0, S("\xff\xff\xff\xff"), &e->a, &meta, NULL), E_MALFORMED);
    assert_ok(wire_decode(&msg_metadata_request, 1, S("\xff\xff\xff\xff"), &e->a, &meta, NULL));
    assert_int_equal(meta.topics_n, -1);
    assert_ok(wire_decode(&msg_metadata_request, 1, S("\x80\x00\x00\x00"), &e->a, &meta, NULL)); /* any length below 0 is null */
    assert_int_equal(meta.topics_n, -1);
}

static void a_count_beyond_the_bytes_allocates_nothing(void **state)
{
    struct env *e = *state;
    struct metadata_request meta;
    struct api_versions_request hello;

    assert_err(wire_decode(&msg_metadata_request, 1, S("\x7f\xff\xff\xff\x00\x01x"), &e->a, &meta, NULL), E_TRUNCATED);
    assert_err(wire_decode(&msg_metadata_request, 1, S("\x00\x00\x00\x02\x00\x01x"), &e->a, &meta, NULL), E_TRUNCATED);
    assert_err(wire_decode(&msg_metadata_request, 9, S("\xff\xff\xff\xff\x0f\x00"), &e->a, &meta, NULL), E_MALFORMED);
    assert_int_equal(e->a.used, 0);
    /* unknown tags: four billion, then a hundred in ten bytes */
    assert_err(wire_decode(&msg_api_versions_request, 3, S("\x01\x01\xff\xff\xff\xff\x0f"), &e->a, &hello, NULL), E_TRUNCATED);
    assert_err(wire_decode(&msg_api_versions_request, 3, S("\x01\x01\x64\0\0\0\0\0\0\0\0\0\0"), &e->a, &hello, NULL),
               E_TRUNCATED);
    assert_int_equal(e->a.used, 0);
}

/* Each level may believe its count, but not all levels the same bytes. */
static void nested_counts_cannot_claim_the_same_bytes_twice(void **state)
{
    struct env *e = *state;
    enum { SIZE = 60000 };
    struct bytes b = { 0 };
    struct create_topics_request in;

    for (int round = 0; round < 200; round++) {
        uint64_t x = 88172645463325252u + (uint64_t)round * 7919;
        b.n = 0;
        while (b.n < SIZE) { /* numbers that are mostly believable counts */
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            wr_uvarint(&b, (uint32_t)(x % 4 ? x % 3 : x % 20000));
        }
        int rc = wire_decode(&msg_create_topics_request, 7, (struct slice){ (char *)b.p, b.n }, &e->a, &in, NULL);
        assert_true(rc < 0);
        assert_in_range(e->a.used, 0, WIRE_GROWTH * b.n);
        arena_free(&e->a);
    }
    bytes_free(&b);
}

static void the_arenas_owner_can_say_no(void **state)
{
    struct env *e = *state;
    struct metadata_request out = dflt_metadata_request, in;

    out.topics = wire_array(&e->a, metadata_request_topic, 1000);
    out.topics_n = 1000;
    assert_ok(wire_encode(&msg_metadata_request, 1, &out, &e->out));
    arena_free(&e->a);
    e->a.limit = 1000;
    assert_err(wire_decode(&msg_metadata_request, 1, encoded(e), &e->a, &in, NULL), E_NO_MEMORY);
    e->a.limit = 0;
    assert_ok(wire_decode(&msg_metadata_request, 1, encoded(e), &e->a, &in, NULL));
    assert_int_equal(in.topics_n, 1000);
}

static void bytes_left_over_are_an_error_unless_asked_for(void **state)
{
    struct env *e = *state;
    struct find_coordinator_request in;
    size_t used = 0;

    assert_err(wire_decode(&msg_find_coordinator_request, 0, S("\0\1g!!"), &e->a, &in, NULL), E_MALFORMED);
    assert_ok(wire_decode(&msg_find_coordinator_request, 0, S("\0\1g!!"), &e->a, &in, &used));
    assert_int_equal(used, 3);
    assert_err(wire_decode(&msg_find_coordinator_request, 0, (struct slice){ NULL, 0 }, &e->a, &in, NULL), E_TRUNCATED);
}

static void any_byte_but_zero_is_true(void **state)
{
    struct env *e = *state;
    struct metadata_request in;

    assert_ok(wire_decode(&msg_metadata_request, 4, S("\0\0\0\0\x02"), &e->a, &in, NULL));
    wire_out_reset(&e->out);
    assert_ok(wire_encode(&msg_metadata_request, 4, &in, &e->out));
    ASSERT_BYTES(e, "\0\0\0\0\x01");
}

/* ---- records ---- */

static void fill_fetch(struct env *e, struct fetch_response *out, struct fetch_response_partition_data **parts)
{
    *out = dflt_fetch_response;
    out->responses = wire_new(&e->a, fetch_response_fetchable_topic_response);
    out->responses_n = 1;
    out->responses->partitions = *parts = wire_array(&e->a, fetch_response_partition_data, 3);
    out->responses->partitions_n = 3;
}

static void decoded_records_and_strings_are_borrowed_from_the_input(void **state)
{
    struct env *e = *state;
    struct fetch_response out, in;
    struct fetch_response_partition_data *p;

    fill_fetch(e, &out, &p);
    out.responses->topic = S("t");
    p[1].records.bytes = S("batch");
    assert_ok(wire_encode(&msg_fetch_response, 12, &out, &e->out));
    assert_ok(wire_decode(&msg_fetch_response, 12, encoded(e), &e->a, &in, NULL));
    const char *bytes = in.responses->partitions[1].records.bytes.p, *begin = (char *)e->out.b.p;
    assert_slice(in.responses->partitions[1].records.bytes, "batch");
    assert_true(bytes > begin && bytes < begin + e->out.b.n);
    assert_true(in.responses->topic.p > begin && in.responses->topic.p < bytes);
    assert_null(in.responses->partitions[0].records.bytes.p);
    assert_null(in.responses->partitions[1].records.ext);
}

/* What the sender puts together from bytes and splices is what would have been encoded from bytes alone. */
static void spliced_records_make_the_same_stream(void **state)
{
    struct env *e = *state;
    struct fetch_response out;
    struct fetch_response_partition_data *p;
    struct wire_out spliced = { 0 };
    struct bytes stream = { 0 };
    char big[300];

    memset(big, 'r', sizeof(big));
    for (int16_t v = msg_fetch_response.min; v <= msg_fetch_response.max; v++) {
        fill_fetch(e, &out, &p);
        p[0].records.bytes = S("small");
        p[1].records.bytes = (struct slice){ big, sizeof(big) };
        p[2].records.bytes = S("");
        wire_out_reset(&e->out);
        assert_ok(wire_encode(&msg_fetch_response, v, &out, &e->out));

        wire_out_reset(&spliced);
        p[1].records = (struct wire_records){ .ext = big, .ext_len = sizeof(big) };
        p[2].records = (struct wire_records){ .ext = big, .ext_len = 0 };
        wr_slice(&spliced.b, S("header"));
        assert_ok(wire_encode(&msg_fetch_response, v, &out, &spliced));
        assert_int_equal(wire_size(&msg_fetch_response, v, &out), e->out.b.n);
        assert_int_equal(spliced.splices_n, 1);
        assert_int_equal(spliced.ext_n, sizeof(big));
        struct wire_splice s = spliced.splices[0];
        assert_ptr_equal(s.ext, big);

        stream.n = 0;
        bytes_put(&stream, spliced.b.p + 6, s.at - 6);
        bytes_put(&stream, s.ext, s.len);
        bytes_put(&stream, spliced.b.p + s.at, spliced.b.n - s.at);
        assert_int_equal(stream.n, e->out.b.n);
        assert_memory_equal(stream.p, e->out.b.p, stream.n);
    }
    bytes_free(&stream);
    wire_out_free(&spliced);
}

static void an_encoding_that_fails_leaves_no_splice(void **state)
{
    struct env *e = *state;
    struct fetch_response out;
    struct fetch_response_partition_data *p;
    char text[] = "records";

    fill_fetch(e, &out, &p);
    p[0].records = (struct wire_records){ .ext = text, .ext_len = 7 };
    out.responses->topic_id.b[0] = 1; /* ignorable */
    out.session_id = 3;               /* not before v7 */
    assert_err(wire_encode(&msg_fetch_response, 6, &out, &e->out), E_UNSUPPORTED);
    assert_int_equal(e->out.b.n, 0);
    assert_int_equal(e->out.splices_n, 0);
    assert_int_equal(e->out.ext_n, 0);
}

static void an_encoding_stops_at_its_limit(void **state)
{
    struct env *e = *state;
    struct metadata_response m = dflt_metadata_response;
    struct wire_out o = { .limit = 1000 };
    m.topics_n = 10000;
    m.topics = wire_array(&e->a, metadata_response_topic, m.topics_n);
    assert_int_equal(wire_encode(&msg_metadata_response, 12, &m, &o), E_MESSAGE_TOO_LARGE);
    assert_int_equal(o.b.n, 0);
    assert_true(o.b.cap < 4096);
    m.topics_n = 10;
    assert_ok(wire_encode(&msg_metadata_response, 12, &m, &o));
    wire_out_free(&o);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_message_is_found_by_its_name),
        TEST(every_api_has_a_request_and_a_response_of_the_same_versions),
        TEST(records_are_found_by_kind_and_key),
        TEST(header_versions_follow_flexibility_except_for_api_versions),
        TEST(defaults_are_kafkas),
        TEST(a_field_the_version_lacks_decodes_to_its_default),
        TEST(the_defaults_of_every_message_survive_a_round_trip_at_every_version),
        TEST(an_unknown_version_is_unsupported),
        TEST(a_value_that_the_version_cannot_carry_is_refused_unless_ignorable),
        TEST(a_tagged_field_the_version_lacks_is_judged_like_any_other),
        TEST(null_is_written_empty_where_there_is_no_null),
        TEST(a_string_above_32767_bytes_is_invalid_both_ways),
        TEST(unknown_tagged_fields_survive),
        TEST(known_and_unknown_tags_are_sent_in_the_order_of_their_numbers),
        TEST(unknown_tags_out_of_order_or_of_a_known_number_cannot_be_sent),
        TEST(a_tagged_field_must_fill_its_size),
        TEST(a_tag_of_other_versions_is_malformed),
        TEST(a_tagged_struct_tells_null_default_and_value_apart),
        TEST(null_is_malformed_where_it_may_not_be),
        TEST(a_count_beyond_the_bytes_allocates_nothing),
        TEST(nested_counts_cannot_claim_the_same_bytes_twice),
        TEST(the_arenas_owner_can_say_no),
        TEST(bytes_left_over_are_an_error_unless_asked_for),
        TEST(any_byte_but_zero_is_true),
        TEST(decoded_records_and_strings_are_borrowed_from_the_input),
        TEST(spliced_records_make_the_same_stream),
        TEST(an_encoding_that_fails_leaves_no_splice),
        TEST(an_encoding_stops_at_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
