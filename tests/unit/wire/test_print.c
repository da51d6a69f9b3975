#include <math.h>
#include <odradek/wire.h>
#include <test.h>

static void assert_printed(const struct wire_msg *m, int16_t version, const void *msg, const char *want)
{
    struct bytes text = { 0 };
    wire_print(m, version, msg, &text);
    wr_u8(&text, 0);
    assert_string_equal((char *)text.p, want);
    bytes_free(&text);
}

static void a_message_prints_as_kafkas_json(void **state)
{
    struct metadata_request_topic topics[] = { { .topic_id = { { 1, 2, 3, 250 } }, .name = S("a") },
                                               dflt_metadata_request_topic };
    struct metadata_request in = dflt_metadata_request;

    in.topics = topics;
    in.topics_n = 2;
    topics[1].name = (struct slice){ NULL, 0 };
    assert_printed(&msg_metadata_request, 12, &in,
                   "{\"topics\":[{\"topicId\":\"AQID-gAAAAAAAAAAAAAAAA\",\"name\":\"a\"},{\"topicId\":\"AAAAAAAAAAAAAAAAAAAAAA\","
                   "\"name\":null}],\"allowAutoTopicCreation\":true,\"includeTopicAuthorizedOperations\":false}");
    in.topics_n = -1;
    assert_printed(&msg_metadata_request, 1, &in, "{\"topics\":null}");
}

static void tagged_fields_are_printed_when_they_are_not_default(void **state)
{
    struct partition_change_record r = dflt_partition_change_record;
    int32_t isr[] = { 1, -2 };

    assert_printed(&msg_partition_change_record, 0, &r, "{\"partitionId\":-1,\"topicId\":\"AAAAAAAAAAAAAAAAAAAAAA\"}");
    r.isr = isr;
    r.isr_n = 2;
    r.leader = 1;
    assert_printed(&msg_partition_change_record, 0, &r,
                   "{\"partitionId\":-1,\"topicId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"isr\":[1,-2],\"leader\":1}");
}

static void bytes_print_as_base64_with_padding(void **state)
{
    static const char *want[] = { "{\"authBytes\":\"\"}", "{\"authBytes\":\"+w==\"}", "{\"authBytes\":\"+/8=\"}",
                                  "{\"authBytes\":\"+//+\"}", "{\"authBytes\":\"+//+AA==\"}" };
    struct sasl_authenticate_request in = dflt_sasl_authenticate_request;

    for (size_t n = 0; n <= 4; n++) {
        in.auth_bytes = (struct slice){ "\xfb\xff\xfe\x00", n };
        assert_printed(&msg_sasl_authenticate_request, 0, &in, want[n]);
    }
}

static void strings_are_escaped_and_what_is_no_utf8_is_replaced(void **state)
{
    struct find_coordinator_request in = dflt_find_coordinator_request;

    in.key = S("a\"\\\n\r\t\x01\x7f\xc3\xa4\xf0\x9f\x8e\x88");
    assert_printed(&msg_find_coordinator_request, 0, &in, "{\"key\":\"a\\\"\\\\\\n\\r\\t\\u0001\x7f\xc3\xa4\xf0\x9f\x8e\x88\"}");
    /* a lone continuation, an overlong slash, a surrogate, beyond U+10FFFF, cut off */
    in.key = S("\x80|\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\xe6\xbc");
    assert_printed(&msg_find_coordinator_request, 0, &in,
                   "{\"key\":\"\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\"}");
    in.key = (struct slice){ "a\0b", 3 };
    assert_printed(&msg_find_coordinator_request, 0, &in, "{\"key\":\"a\\u0000b\"}");
}

static void numbers_print_in_full(void **state)
{
    static const struct {
        double value;
        const char *text;
    } floats[] = { { 0, "0.0" },
                   { 1.5, "1.5" },
                   { 0.1, "0.1" },
                   { -3, "-3.0" },
                   { 1e300, "1e+300" },
                   { NAN, "\"NaN\"" },
                   { -INFINITY, "\"-Infinity\"" },
                   { 399971.34226565587, "399971.34226565587" } };
    struct client_quota_record quota = dflt_client_quota_record;
    struct end_txn_marker marker = { .coordinator_epoch = INT32_MIN };
    struct producer_snapshot snapshot = { .crc = UINT32_MAX };

    for (size_t i = 0; i < ARRAY_LEN(floats); i++) {
        char want[100];
        quota.value = floats[i].value;
        snprintf(want, sizeof(want), "{\"entity\":[],\"key\":\"\",\"value\":%s,\"remove\":false}", floats[i].text);
        assert_printed(&msg_client_quota_record, 0, &quota, want);
    }
    assert_printed(&msg_end_txn_marker, 0, &marker, "{\"coordinatorEpoch\":-2147483648}");
    assert_printed(&msg_producer_snapshot, 1, &snapshot, "{\"crc\":4294967295,\"producerEntries\":[]}");
}

static void spliced_records_print_as_their_length(void **state)
{
    struct produce_request_partition_produce_data part = { .index = 3, .records = { .ext = &part, .ext_len = 77 } };
    struct produce_request_topic_produce_data topic = { .name = S("t"), .partition_data = &part, .partition_data_n = 1 };
    struct produce_request in = { .topic_data = &topic, .topic_data_n = 1 };

    assert_printed(&msg_produce_request, 9, &in,
                   "{\"transactionalId\":null,\"acks\":0,\"timeoutMs\":0,\"topicData\":[{\"name\":\"t\",\"partitionData\":"
                   "[{\"index\":3,\"records\":77}]}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_prints_as_kafkas_json),
        cmocka_unit_test(tagged_fields_are_printed_when_they_are_not_default),
        cmocka_unit_test(bytes_print_as_base64_with_padding),
        cmocka_unit_test(strings_are_escaped_and_what_is_no_utf8_is_replaced),
        cmocka_unit_test(numbers_print_in_full),
        cmocka_unit_test(spliced_records_print_as_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
