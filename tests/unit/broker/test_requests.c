#include "rig.h"

#include <odradek/batch.h>

static struct metadata_response *metadata(struct peer *p, int16_t version, const char *topic, bool create)
{
    struct metadata_request in = dflt_metadata_request;
    struct metadata_request_topic t = dflt_metadata_request_topic;
    t.name = slice_of(topic);
    in.topics = &t;
    in.topics_n = 1;
    in.allow_auto_topic_creation = create;
    return peer_ask(p, API_METADATA, version, &in);
}

static struct fetch_request *fetch_of(struct rig *r, const char *topic, int partition, int64_t offset, int32_t wait_ms,
                                      int32_t min_bytes)
{
    struct fetch_request *in = arena_alloc(&r->arena, sizeof *in);
    *in = dflt_fetch_request;
    in->max_wait_ms = wait_ms;
    in->min_bytes = min_bytes;
    in->topics = wire_new(&r->arena, fetch_request_fetch_topic);
    in->topics_n = 1;
    in->topics->topic = slice_of(topic);
    in->topics->partitions = wire_new(&r->arena, fetch_request_fetch_partition);
    in->topics->partitions_n = 1;
    in->topics->partitions->partition = partition;
    in->topics->partitions->fetch_offset = offset;
    in->topics->partitions->partition_max_bytes = 1 << 20;
    return in;
}

static int records_in(struct rig *r, struct slice all, int64_t *first)
{
    struct bytes scratch = { 0 };
    int n = 0;
    *first = -1;
    for (size_t at = 0; at < all.n;) {
        struct record_iter it;
        struct record rec;
        int32_t size;
        assert_ok(batch_size(all.p + at, all.n - at, &size));
        if ((size_t)size > all.n - at) break;
        assert_ok(batch_verify(all.p + at, (size_t)size));
        assert_ok(record_iter_init(&it, all.p + at, (size_t)size, &scratch, 0));
        while (record_next(&it, &rec) == 1) {
            if (n++ == 0) *first = rec.offset;
        }
        record_iter_end(&it);
        at += (size_t)size;
    }
    bytes_free(&scratch);
    return n;
}

static void api_versions_lists_the_table_and_answers_an_unknown_version_in_v0_form(void **state)
{
    struct rig *r = rig_open(1, NULL);
    struct peer *p = peer_open(r);
    struct api_versions_request in = dflt_api_versions_request;
    in.client_software_name = S("unit-test");
    in.client_software_version = S("1.0");
    struct api_versions_response *out = peer_ask(p, API_API_VERSIONS, 4, &in);
    assert_int_equal(out->error_code, 0);
    assert_true(out->api_keys_n > 25);
    assert_true(out->finalized_features_epoch >= 0);
    for (int i = 0; i < out->api_keys_n; i++) {
        const struct wire_msg *m = wire_request(out->api_keys[i].api_key);
        assert_true(out->api_keys[i].max_version <= m->max);
        assert_true(out->api_keys[i].api_key != API_GET_TELEMETRY_SUBSCRIPTIONS);
    }
    static const uint8_t v99[] = { 0, 18, 0, 99, 0, 0, 0, 1, 0, 1, 'x', 0 };
    p->correlation = 0;
    p->asked[1].version = 0;
    p->asked[1].key = API_API_VERSIONS;
    p->correlation = 1;
    peer_send_bytes(p, v99, sizeof v99);
    out = peer_take(p, 1000000);
    assert_non_null(out);
    assert_int_equal(out->error_code, KAFKA_UNSUPPORTED_VERSION);
    assert_int_equal(out->api_keys_n, 1);
    assert_int_equal(out->api_keys[0].max_version, 4);
    peer_close(p);
    rig_close(r);
}

static void metadata_creates_a_topic_and_answers_with_its_leader(void **state)
{
    struct rig *r = rig_open(2, "num.partitions=3");
    struct peer *p = peer_open(r);
    struct metadata_response *out = metadata(p, 12, "fresh", true);
    assert_int_equal(out->topics[0].error_code, 0);
    assert_int_equal(out->topics[0].partitions_n, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(out->topics[0].partitions[i].leader_id, out->brokers[0].node_id);
    assert_false(uuid_is_zero(out->topics[0].topic_id));
    assert_slice(out->brokers[0].host, "127.0.0.1");
    assert_int_equal(out->brokers[0].port, 9092);
    out = metadata(p, 12, "unwanted", false);
    assert_int_equal(out->topics[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    out = metadata(p, 12, "a/b", true);
    assert_int_equal(out->topics[0].error_code, KAFKA_INVALID_TOPIC_EXCEPTION);
    for (int16_t v = 0; v <= 13; v++) {
        out = metadata(p, v, "fresh", true);
        assert_int_equal(out->topics[0].partitions_n, 3);
    }
    peer_close(p);
    rig_close(r);
}

static void what_was_produced_is_fetched_and_outlives_a_restart(void **state)
{
    struct rig *r = rig_open(3, NULL);
    struct peer *p = peer_open(r);
    static const char *const three[] = { "a", "b", "c" };
    int64_t first;
    peer_create_topic(p, "t", 1);
    for (int16_t acks = -1; acks <= 1; acks += 2) {
        struct produce_response *pr = peer_produce(p, acks, "t", 0, batch_of(r, three, 3));
        assert_int_equal(pr->responses[0].partition_responses[0].error_code, 0);
        assert_int_equal(pr->responses[0].partition_responses[0].base_offset, acks == -1 ? 0 : 3);
    }
    peer_settle(r);
    struct fetch_response *f = peer_ask(p, API_FETCH, 12, fetch_of(r, "t", 0, 0, 500, 1));
    assert_int_equal(f->responses[0].partitions[0].error_code, 0);
    assert_int_equal(f->responses[0].partitions[0].high_watermark, 6);
    assert_int_equal(records_in(r, f->responses[0].partitions[0].records.bytes, &first), 6);
    assert_int_equal(first, 0);
    peer_close(p);
    rig_restart(r);
    p = peer_open(r);
    for (int16_t v = 4; v <= 12; v++) {
        f = peer_ask(p, API_FETCH, v, fetch_of(r, "t", 0, 3, 500, 1));
        assert_int_equal(records_in(r, f->responses[0].partitions[0].records.bytes, &first), 3);
        assert_int_equal(first, 3);
    }
    f = peer_ask(p, API_FETCH, 12, fetch_of(r, "t", 0, 7, 500, 1));
    assert_int_equal(f->responses[0].partitions[0].error_code, KAFKA_OFFSET_OUT_OF_RANGE);
    peer_close(p);
    rig_close(r);
}

static void a_fetch_waits_for_min_bytes_and_is_answered_by_the_next_append_or_its_deadline(void **state)
{
    struct rig *r = rig_open(4, NULL);
    struct peer *p = peer_open(r), *q = peer_open(r);
    int64_t first;
    peer_create_topic(p, "t", 1);
    (void)peer_send(q, API_FETCH, 12, fetch_of(r, "t", 0, 0, 5000, 1));
    assert_null(peer_take(q, 100 * 1000));
    (void)peer_produce(p, -1, "t", 0, batch_one(r, "x"));
    struct fetch_response *f = peer_take(q, 100 * 1000);
    assert_non_null(f);
    assert_int_equal(records_in(r, f->responses[0].partitions[0].records.bytes, &first), 1);
    int64_t began = r->env->world->clock->mono_us(r->env->world->clock);
    f = peer_ask(q, API_FETCH, 12, fetch_of(r, "t", 0, 1, 250, 1));
    assert_int_equal(f->responses[0].partitions[0].records.bytes.n, 0);
    assert_true(r->env->world->clock->mono_us(r->env->world->clock) - began >= 250 * 1000);
    peer_close(p);
    peer_close(q);
    rig_close(r);
}

static void min_bytes_may_come_from_several_partitions_together(void **state)
{
    struct rig *r = rig_open(12, NULL);
    struct peer *p = peer_open(r), *q = peer_open(r);
    int64_t first;
    peer_create_topic(p, "t", 2);
    struct slice batch = batch_one(r, "x");
    struct fetch_request *in = fetch_of(r, "t", 0, 0, 60 * 1000, (int32_t)batch.n * 3);
    in->topics->partitions = wire_array(&r->arena, fetch_request_fetch_partition, 2);
    in->topics->partitions_n = 2;
    for (int i = 0; i < 2; i++) {
        in->topics->partitions[i].partition = i;
        in->topics->partitions[i].partition_max_bytes = 1 << 20;
    }
    (void)peer_send(q, API_FETCH, 12, in);
    for (int i = 0; i < 2; i++) {
        (void)peer_produce(p, -1, "t", i, batch_one(r, "x"));
        assert_null(peer_take(q, 100 * 1000));
    }
    (void)peer_produce(p, -1, "t", 0, batch_one(r, "x"));
    struct fetch_response *f = peer_take(q, 1000 * 1000);
    assert_non_null(f);
    assert_int_equal(records_in(r, f->responses[0].partitions[0].records.bytes, &first), 2);
    assert_int_equal(records_in(r, f->responses[0].partitions[1].records.bytes, &first), 1);
    peer_close(p);
    peer_close(q);
    rig_close(r);
}

static void answers_leave_in_the_order_of_the_requests(void **state)
{
    struct rig *r = rig_open(5, NULL);
    struct peer *p = peer_open(r);
    peer_create_topic(p, "t", 2);
    /* Five produces overlap; the metadata behind them waits for all, the produce behind it waits for the metadata. */
    int32_t want = p->correlation + 1;
    for (int i = 0; i < 5; i++) (void)peer_send_produce(p, -1, "t", i % 2, batch_one(r, "x"));
    struct metadata_request m = dflt_metadata_request;
    m.topics_n = -1;
    (void)peer_send(p, API_METADATA, 9, &m);
    (void)peer_send_produce(p, 1, "t", 0, batch_one(r, "y"));
    sim_run(r->env->world, 1000 * 1000);
    assert_int_equal(p->answers, want - 1 + 7);
    for (struct answer *a = p->first; a; a = a->next) assert_int_equal(a->correlation, want++);
    peer_close(p);
    rig_close(r);
}

static void an_idempotent_duplicate_gets_its_first_offset_and_a_gap_is_refused(void **state)
{
    struct rig *r = rig_open(6, NULL);
    struct peer *p = peer_open(r);
    struct init_producer_id_request in = dflt_init_producer_id_request;
    in.transactional_id = (struct slice){ 0 };
    struct init_producer_id_response *id = peer_ask(p, API_INIT_PRODUCER_ID, 4, &in);
    assert_int_equal(id->error_code, 0);
    int64_t pid = id->producer_id;
    peer_create_topic(p, "t", 1);
    for (int i = 0; i < 5; i++) (void)peer_produce(p, -1, "t", 0, batch_idempotent(r, "x", pid, 0, i));
    for (int restart = 0; restart < 2; restart++) {
        for (int i = restart ? 4 : 0; i < 5; i++) { /* a snapshot keeps the last batch of each producer, as Kafka's does */
            struct produce_response *pr = peer_produce(p, -1, "t", 0, batch_idempotent(r, "x", pid, 0, i));
            assert_int_equal(pr->responses[0].partition_responses[0].error_code, 0);
            assert_int_equal(pr->responses[0].partition_responses[0].base_offset, i);
        }
        struct produce_response *pr = peer_produce(p, -1, "t", 0, batch_idempotent(r, "x", pid, 0, 7));
        assert_int_equal(pr->responses[0].partition_responses[0].error_code, KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
        peer_close(p);
        rig_restart(r);
        p = peer_open(r);
    }
    struct produce_response *pr = peer_produce(p, -1, "t", 0, batch_idempotent(r, "x", pid, 2, 0));
    assert_int_equal(pr->responses[0].partition_responses[0].base_offset, 5);
    pr = peer_produce(p, -1, "t", 0, batch_idempotent(r, "x", pid, 1, 0));
    assert_int_equal(pr->responses[0].partition_responses[0].error_code, KAFKA_INVALID_PRODUCER_EPOCH);
    struct init_producer_id_response *next = peer_ask(p, API_INIT_PRODUCER_ID, 4, &in);
    assert_true(next->producer_id > pid);
    peer_close(p);
    rig_close(r);
}

static void incremental_sessions_tell_only_what_is_new(void **state)
{
    struct rig *r = rig_open(7, NULL);
    struct peer *p = peer_open(r);
    peer_create_topic(p, "t", 1);
    (void)peer_produce(p, -1, "t", 0, batch_one(r, "x"));
    struct fetch_request *in = fetch_of(r, "t", 0, 1, 0, 1);
    in->session_epoch = 0;
    struct fetch_response *f = peer_ask(p, API_FETCH, 12, in);
    assert_int_equal(f->responses_n, 1);
    assert_true(f->session_id > 0);
    struct fetch_request again = dflt_fetch_request;
    again.session_id = f->session_id;
    again.session_epoch = 1;
    again.min_bytes = 1;
    f = peer_ask(p, API_FETCH, 12, &again);
    assert_int_equal(f->error_code, 0);
    assert_int_equal(f->responses_n, 0);
    (void)peer_produce(p, -1, "t", 0, batch_one(r, "y"));
    again.session_epoch = 2;
    again.max_wait_ms = 100;
    f = peer_ask(p, API_FETCH, 12, &again);
    assert_int_equal(f->responses_n, 1);
    f = peer_ask(p, API_FETCH, 12, &again);
    assert_int_equal(f->error_code, KAFKA_INVALID_FETCH_SESSION_EPOCH);
    again.session_id++;
    f = peer_ask(p, API_FETCH, 12, &again);
    assert_int_equal(f->error_code, KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    peer_close(p);
    rig_close(r);
}

static void bad_frames_close_their_connection_and_nothing_else(void **state)
{
    struct rig *r = rig_open(8, NULL);
    struct peer *good = peer_open(r);
    static const uint8_t frames[][16] = {
        { 0 },                                                          /* shorter than a header */
        { 0, 200, 0, 0, 0, 0, 0, 1, 0xff, 0xff },                       /* unknown API */
        { 0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff },                        /* unknown version */
        { 0, 0, 0, 2, 0, 0, 0, 1, 0xff, 0xff },                         /* Produce v2 is shown but refused */
        { 0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 'x' },                    /* client id runs past the end */
        { 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff }, /* 2³¹-1 topics */
    };
    static const size_t sizes[] = { 3, 10, 10, 10, 11, 14 };
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        struct peer *p = peer_open(r);
        peer_send_bytes(p, frames[i], sizes[i]);
        peer_settle(r);
        assert_true(p->closed);
        assert_int_equal(p->answers, 0);
        peer_close(p);
    }
    assert_int_equal(metadata(good, 9, "still", true)->topics[0].error_code, 0);
    peer_close(good);
    rig_close(r);
}

static void no_more_answers_are_made_while_others_wait_to_leave(void **state)
{
    struct rig *r = rig_open(1, "");
    struct peer *p = peer_open(r);
    struct metadata_request m = dflt_metadata_request;
    struct metadata_request_topic t = dflt_metadata_request_topic;
    t.name = S("t");
    m.topics = &t;
    m.topics_n = 1;
    for (int i = 0; i < 4; i++)
        (void)peer_send(p, API_METADATA, 9, &m); /* the first creates the topic; the others are behind it */
    p->full = true;
    peer_settle(r);
    assert_int_equal(p->answers, 1);
    assert_true(client_held_back(p->client));
    client_go_on(p->client);
    peer_settle(r);
    assert_int_equal(p->answers, 1);
    p->full = false;
    client_go_on(p->client);
    assert_int_equal(p->answers, 4);
    assert_false(client_held_back(p->client));
    peer_close(p);
    rig_close(r);
}

/* Requests of one connection that wait are counted from their first byte, all requests from 64 KiB on, and nothing is left over. */
static void requests_are_charged_while_they_last(void **state)
{
    enum { MANY = 200, NAMES = 5000 };
    struct rig *r = rig_open(1, "");
    struct peer *p = peer_open(r);
    struct mem_budget *memory = broker_memory(r->broker);
    struct metadata_request m = dflt_metadata_request;
    m.topics = wire_array(&r->arena, metadata_request_topic, NAMES);
    for (int i = 0; i < NAMES; i++) m.topics[i].name = i ? S("unknown topic") : S("t");
    m.topics_n = 1;
    for (int i = 0; i < MANY; i++) (void)peer_send(p, API_METADATA, 9, &m);
    assert_in_range(memory->used, (MANY - 1) * 4096 - ARENA_FREE, MANY * 8192);
    peer_settle(r);
    assert_int_equal(p->answers, MANY);
    assert_int_equal(memory->used, 0);

    m.topics_n = NAMES;
    m.topics[0].name = S("another"); /* to be created: it waits */
    (void)peer_send(p, API_METADATA, 9, &m);
    assert_in_range(memory->used, NAMES * sizeof *m.topics - ARENA_FREE, NAMES * sizeof *m.topics * 8);
    peer_settle(r);
    assert_int_equal(p->answers, MANY + 1);
    assert_int_equal(memory->used, 0);
    peer_close(p);
    rig_close(r);
}

static void a_request_that_says_more_than_memory_holds_closes_its_connection(void **state)
{
    enum { NAMES = 300000 };
    struct rig *r = rig_open(1, "odradek.memory.max=8388608\n");
    struct peer *p = peer_open(r), *q = peer_open(r);
    struct delete_groups_request in = dflt_delete_groups_request;
    log_threshold = LOG_ERROR;
    in.groups_names = arena_array(&r->arena, struct slice, NAMES); /* a byte each on the wire, 16 here */
    in.groups_names_n = NAMES / 100;
    for (int i = 0; i < NAMES; i++) in.groups_names[i] = S("");
    (void)peer_send(q, API_DELETE_GROUPS, 2, &in);
    in.groups_names_n = NAMES;
    (void)peer_send(p, API_DELETE_GROUPS, 2, &in);
    peer_settle(r);
    assert_true(p->closed);
    assert_false(q->closed);
    peer_close(p);
    peer_close(q);
    rig_close(r);
}

/* Kafka parses what it knows and looks no further; librdkafka 2.16 asks for all topics with three bytes too many. */
static void bytes_behind_a_request_are_ignored(void **state)
{
    static const uint8_t all[] = { 0, 3, 0, 13, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0 };
    struct rig *r = rig_open(12, NULL);
    struct peer *p = peer_open(r);
    peer_create_topic(p, "t", 1);
    int answers = p->answers;
    peer_send_bytes(p, all, sizeof all);
    peer_settle(r);
    assert_false(p->closed);
    assert_int_equal(p->answers, answers + 1);
    peer_close(p);
    rig_close(r);
}

static void a_bad_frame_behind_a_produce_closes_after_its_answer_and_nothing_behind_it_starts(void **state)
{
    struct rig *r = rig_open(11, NULL);
    static const uint8_t unknown[] = { 0, 200, 0, 0, 0, 0, 0, 1, 0xff, 0xff },
                         malformed[] = { 0, 0, 0, 9, 0, 0, 0, 1, 0xff, 0xff };
    for (int i = 0; i < 2; i++) {
        struct peer *p = peer_open(r), *q = peer_open(r);
        char name[] = { 't', (char)('0' + i), 0 };
        peer_create_topic(q, name, 1);
        int32_t first = peer_send_produce(p, -1, name, 0, batch_one(r, "x"));
        peer_send_bytes(p, i ? malformed : unknown, sizeof unknown);
        (void)peer_send_produce(p, -1, name, 0, batch_one(r, "y"));
        sim_run(r->env->world, 1000 * 1000);
        assert_true(p->closed);
        assert_int_equal(p->answers, 1);
        assert_int_equal(p->first->correlation, first);
        assert_int_equal(peer_produce(q, -1, name, 0, batch_one(r, "z"))->responses[0].partition_responses[0].base_offset, 1);
        peer_close(p);
        peer_close(q);
    }
    rig_close(r);
}

static void a_client_may_go_while_its_requests_wait(void **state)
{
    struct rig *r = rig_open(9, NULL);
    struct peer *p = peer_open(r), *q = peer_open(r);
    peer_create_topic(q, "t", 1);
    for (int i = 0; i < 3; i++) (void)peer_send(p, API_FETCH, 12, fetch_of(r, "t", 0, 0, 3000, 1));
    peer_settle(r);
    peer_close(p);
    assert_int_equal(peer_produce(q, -1, "t", 0, batch_one(r, "x"))->responses[0].partition_responses[0].error_code, 0);
    sim_run(r->env->world, 5 * 1000 * 1000);
    peer_close(q);
    rig_close(r);
}

/* Steps of the world until p's acks=1 produce is answered. */
static int steps_of_a_produce(struct rig *r, struct peer *p)
{
    int steps = 0, before = p->answers;
    (void)peer_send_produce(p, 1, "t", 0, batch_one(r, "x"));
    for (; p->answers == before; steps++) assert_true(sim_step(r->env->world));
    (void)peer_take(p, 1);
    return steps;
}

static void ten_thousand_parked_fetches_make_an_append_no_dearer(void **state)
{
    enum { PARKED = 10000 };
    struct rig *r = rig_open(11, NULL);
    struct peer *p = peer_open(r), **parked = mem_zalloc(sizeof *parked * PARKED);
    int alone = 0, crowded = 0, answered = 0;
    peer_create_topic(p, "t", 1);
    for (int i = 0; i < 5; i++) {
        int steps = steps_of_a_produce(r, p);
        alone = MAX(alone, steps);
        peer_settle(r);
    }
    for (int i = 0; i < PARKED; i++) {
        parked[i] = peer_open(r);
        (void)peer_send(parked[i], API_FETCH, 12, fetch_of(r, "t", 0, 5, 100 * 1000, 1));
    }
    peer_settle(r);
    for (int i = 0; i < PARKED; i++) answered += parked[i]->answers;
    assert_int_equal(answered, 0);
    crowded = steps_of_a_produce(r, p); /* the same turn, whoever else waits */
    assert_in_range(crowded, 1, alone);
    for (int i = 0; i < PARKED; i++) assert_non_null(peer_take(parked[i], 1000 * 1000));
    for (int i = 0; i < PARKED; i++) peer_close(parked[i]);
    mem_free(parked);
    peer_close(p);
    rig_close(r);
}

/* Else what they hold may keep the produces out that they wait for. */
static void with_memory_short_large_parked_fetches_answer(void **state)
{
    enum { PARTS = 1000 };
    struct rig *r = rig_open(1, "");
    struct peer *p = peer_open(r), *q = peer_open(r);
    peer_create_topic(p, "t", PARTS);
    struct fetch_request *in = fetch_of(r, "t", 0, 0, 60 * 1000, 1);
    (void)peer_send(q, API_FETCH, 12, in);
    in->topics->partitions = wire_array(&r->arena, fetch_request_fetch_partition, PARTS);
    in->topics->partitions_n = PARTS;
    for (int i = 0; i < PARTS; i++) {
        in->topics->partitions[i] = dflt_fetch_request_fetch_partition;
        in->topics->partitions[i].partition = i;
        in->topics->partitions[i].partition_max_bytes = 1000;
    }
    (void)peer_send(p, API_FETCH, 12, in);
    assert_null(peer_take(p, 100 * 1000));
    broker_relieve(r->broker);
    struct fetch_response *f = peer_take(p, 100 * 1000);
    assert_non_null(f);
    assert_int_equal(f->responses[0].partitions_n, PARTS);
    assert_null(peer_take(q, 100 * 1000)); /* it holds next to nothing */
    peer_close(p);
    peer_close(q);
    rig_close(r);
}

static void draining_answers_parked_fetches_at_once(void **state)
{
    struct rig *r = rig_open(10, NULL);
    struct peer *p = peer_open(r);
    peer_create_topic(p, "t", 1);
    (void)peer_send(p, API_FETCH, 12, fetch_of(r, "t", 0, 0, 600 * 1000, 1));
    peer_settle(r);
    int before = p->answers;
    int64_t began = r->env->world->clock->mono_us(r->env->world->clock);
    rig_restart(r);
    assert_int_equal(p->answers, before + 1);
    assert_true(r->env->world->clock->mono_us(r->env->world->clock) - began < 60 * 1000 * 1000);
    peer_close(p);
    rig_close(r);
}

struct topic_row {
    const char *name;
    int partitions;
    int configs; /* so many different ones */
    int error;
};

/* Creates these, or only asks whether it could; the answers' errors must be as said, their words `message` (of those with `error`). */
static void create_rows(struct peer *p, const struct topic_row *v, int n, bool validate_only, int error, const char *message)
{
    static const char *const keys[] = { "retention.ms", "segment.ms" };
    struct arena *a = &p->rig->arena;
    struct create_topics_request in = dflt_create_topics_request;
    in.validate_only = validate_only;
    in.topics = wire_array(a, create_topics_request_creatable_topic, n);
    in.topics_n = n;
    for (int i = 0; i < n; i++) {
        struct create_topics_request_creatable_topic *t = &in.topics[i];
        t->name = slice_of(v[i].name);
        t->num_partitions = v[i].partitions;
        t->replication_factor = 1;
        t->configs = wire_array(a, create_topics_request_creatable_topic_config, v[i].configs);
        t->configs_n = v[i].configs;
        for (int k = 0; k < v[i].configs; k++) {
            t->configs[k].name = slice_of(keys[k]);
            t->configs[k].value = S("1000000");
        }
    }
    struct create_topics_response *out = peer_ask(p, API_CREATE_TOPICS, 7, &in);
    assert_int_equal(out->topics_n, n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(out->topics[i].error_code, v[i].error);
        if (v[i].error == error && message) assert_true(slice_eq(out->topics[i].error_message, slice_of(message)));
        if (v[i].error) assert_true(uuid_is_zero(out->topics[i].topic_id) && out->topics[i].configs_n <= 0);
    }
}

static void more_partitions(struct peer *p, const struct topic_row *v, int n, bool validate_only)
{
    struct create_partitions_request in = dflt_create_partitions_request;
    in.validate_only = validate_only;
    in.topics = wire_array(&p->rig->arena, create_partitions_request_create_partitions_topic, n);
    in.topics_n = n;
    for (int i = 0; i < n; i++) {
        in.topics[i].name = slice_of(v[i].name);
        in.topics[i].count = v[i].partitions;
        in.topics[i].assignments_n = -1;
    }
    struct create_partitions_response *out = peer_ask(p, API_CREATE_PARTITIONS, 3, &in);
    assert_int_equal(out->results_n, n);
    for (int i = 0; i < n; i++) assert_int_equal(out->results[i].error_code, v[i].error);
}

static int partitions_of(struct peer *p, const char *topic)
{
    struct metadata_response *out = metadata(p, 12, topic, false);
    return out->topics[0].error_code ? -1 : out->topics[0].partitions_n;
}

static void a_request_that_would_make_more_than_ten_thousand_metadata_records_is_refused(void **state)
{
    (void)state;
    enum { NO = KAFKA_POLICY_VIOLATION };
    static const char partitions[] = "Excessively large number of partitions per request.",
                      records[] = "Unable to perform excessively large batch operation.";
    struct rig *r = rig_open(20, NULL);
    struct peer *p = peer_open(r);
    create_rows(p, (struct topic_row[]){ { "x", 1 }, { "y", 1 } }, 2, false, 0, NULL);

    create_rows(p, (struct topic_row[]){ { "t", 9999 } }, 1, true, 0, NULL); /* and the topic's own record */
    create_rows(p, (struct topic_row[]){ { "t", 10000, .error = NO } }, 1, true, NO, records);
    create_rows(p, (struct topic_row[]){ { "t", 10001, .error = NO } }, 1, true, NO, partitions);
    create_rows(p, (struct topic_row[]){ { "t", 9998, 1 } }, 1, true, 0, NULL);
    create_rows(p, (struct topic_row[]){ { "t", 9998, 2, NO } }, 1, true, NO, records);
    create_rows(p, (struct topic_row[]){ { "t", 4999 }, { "u", 4999 } }, 2, true, 0, NULL);
    create_rows(p, (struct topic_row[]){ { "t", 5000, .error = NO }, { "u", 4999, .error = NO } }, 2, false, NO, records);
    assert_int_equal(partitions_of(p, "u"), -1);
    /* What is not made has no records, but its partitions count; and when too much is asked for every row hears only of that. */
    create_rows(p, (struct topic_row[]){ { "x", 5000, .error = KAFKA_TOPIC_ALREADY_EXISTS }, { "t", 5000 } }, 2, true, 0, NULL);
    create_rows(p, (struct topic_row[]){ { "x", 5001, .error = NO }, { "t", 5000, .error = NO } }, 2, true, NO, partitions);
    create_rows(p, (struct topic_row[]){ { "d", 1, .error = NO }, { "d", 1, .error = NO }, { "t", 10000, .error = NO } }, 3, true,
                NO, records);
    create_rows(p, (struct topic_row[]){ { "__cluster_metadata", 1, .error = NO }, { "t", 10000, .error = NO } }, 2, true, NO,
                records);

    /* Row by row, and none by half. */
    enum { TOO_MANY = KAFKA_UNKNOWN_SERVER_ERROR };
    more_partitions(p, (struct topic_row[]){ { "x", 10001 } }, 1, true);
    more_partitions(p, (struct topic_row[]){ { "x", 10002, .error = TOO_MANY } }, 1, true);
    more_partitions(p, (struct topic_row[]){ { "x", 5001 }, { "y", 5001 } }, 2, true);
    more_partitions(p, (struct topic_row[]){ { "x", 5001 }, { "y", 5002, .error = TOO_MANY } }, 2, true);
    more_partitions(p, (struct topic_row[]){ { "x", 10002, .error = TOO_MANY }, { "y", 3 } }, 2, false);
    assert_int_equal(partitions_of(p, "x"), 1);
    assert_int_equal(partitions_of(p, "y"), 3);
    peer_close(p);
    rig_close(r);
}

static void names_that_collide_are_refused_however_many_are_asked_for(void **state)
{
    (void)state;
    enum { NAMES = 30 };
    struct rig *r = rig_open(21, NULL);
    struct peer *p = peer_open(r);
    create_rows(p, (struct topic_row[]){ { "a.b", 1 }, { "c.d", 1 }, { "c_d", 1 } }, 3, false, 0,
                NULL); /* the last two as with Kafka */
    for (int at = 0; at < NAMES; at++) {
        struct topic_row v[NAMES];
        for (int i = 0; i < NAMES; i++)
            v[i] = (struct topic_row){ .name = arena_printf(&r->arena, i % 2 ? "n.%d" : "m_%d", i).p, .partitions = 1 };
        v[at] = (struct topic_row){ .name = "a_b", .partitions = 1, .error = KAFKA_INVALID_TOPIC_EXCEPTION };
        v[(at + 1) % NAMES] = (struct topic_row){ .name = "a.b", .partitions = 1, .error = KAFKA_TOPIC_ALREADY_EXISTS };
        v[(at + 2) % NAMES] = (struct topic_row){ .name = "a-b", .partitions = 1 };
        create_rows(p, v, NAMES, true, KAFKA_INVALID_TOPIC_EXCEPTION, "Topic 'a_b' collides with existing topic: a.b");
    }
    peer_close(p);
    rig_close(r);
}

/* n partitions of the first of so many topics, and some of them named again. */
static struct fetch_request *fetch_many(struct rig *r, int n, int again, int topics, struct uuid id, int32_t wait_ms)
{
    struct fetch_request *in = fetch_of(r, "t", 0, 0, wait_ms, 1);
    in->topics = wire_array(&r->arena, fetch_request_fetch_topic, topics);
    in->topics_n = topics;
    for (int k = 0; k < topics; k++) {
        in->topics[k].topic = k ? arena_printf(&r->arena, "unknown-%d", k) : S("t");
        if (k == 0) in->topics[k].topic_id = id;
        in->topics[k].partitions = wire_array(&r->arena, fetch_request_fetch_partition, n + again);
        in->topics[k].partitions_n = n + again;
        for (int i = 0; i < n + again; i++) {
            in->topics[k].partitions[i].partition = i % n;
            in->topics[k].partitions[i].partition_max_bytes = 1 << 20;
        }
    }
    return in;
}

static void a_fetch_without_a_session_answers_each_partition_once(void **state)
{
    (void)state;
    static const int16_t versions[] = { 4, 6, 12, 13, 17 };
    struct rig *r = rig_open(22, NULL);
    struct peer *p = peer_open(r), *q = peer_open(r), *gone = peer_open(r);
    peer_create_topic(p, "t", 12);
    struct uuid id = metadata(p, 12, "t", false)->topics[0].topic_id;
    for (size_t v = 0; v < ARRAY_LEN(versions); v++)
        for (int n = 1; n <= 12; n++)
            for (int again = 0; again <= 12; again += 6) {
                struct fetch_response *f = peer_ask(p, API_FETCH, versions[v],
                                                    fetch_many(r, n, again, 1, versions[v] >= 13 ? id : (struct uuid){ 0 }, 1));
                assert_int_equal(f->responses_n, 1);
                assert_int_equal(f->responses[0].partitions_n, n);
                for (int i = 0; i < n; i++) {
                    assert_int_equal(f->responses[0].partitions[i].partition_index, i);
                    assert_int_equal(f->responses[0].partitions[i].error_code, 0);
                }
            }
    /* a large frame that waits, its names and all */
    (void)peer_send(q, API_FETCH, 12, fetch_many(r, 12, 600, 1, (struct uuid){ 0 }, 5000));
    (void)peer_send(gone, API_FETCH, 12, fetch_many(r, 12, 600, 1, (struct uuid){ 0 }, 5000));
    assert_null(peer_take(q, 100 * 1000));
    peer_close(gone);
    (void)peer_produce(p, -1, "t", 11, batch_one(r, "x"));
    struct fetch_response *f = peer_take(q, 1000 * 1000);
    assert_non_null(f);
    assert_int_equal(f->responses[0].partitions_n, 12);
    assert_slice(f->responses[0].topic, "t");
    f = peer_ask(q, API_FETCH, 12, fetch_many(r, 12, 5, 40, (struct uuid){ 0 }, 1));
    assert_int_equal(f->responses_n, 40);
    for (int k = 1; k < 40; k++) {
        assert_slice(f->responses[k].topic, arena_printf(&r->arena, "unknown-%d", k).p);
        assert_int_equal(f->responses[k].partitions_n, 12);
    }
    peer_close(q);
    peer_close(p);
    rig_close(r);
}

/* acks=0 has no answer, so an error closes the connection; which may have gone before the error was found. */
static void an_error_of_a_client_that_is_gone_is_told_to_nobody(void **state)
{
    (void)state;
    struct rig *r = rig_open(23, NULL);
    struct peer *p = peer_open(r), *q = peer_open(r);
    peer_create_topic(p, "t", 1);
    enum { SIZE = 60000 };
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder builder;
    struct bytes batch = { 0 };
    char *value = mem_alloc(SIZE);
    for (uint32_t i = 0, x = 1; i < SIZE; i++, x = x * 1664525 + 1013904223) value[i] = (char)(x >> 24);
    o.codec = CODEC_GZIP; /* and still so large that the worker looks inside */
    batch_begin(&builder, &o, &batch);
    batch_append(&builder, 1, (struct slice){ 0 }, (struct slice){ value, SIZE }, NULL, 0);
    assert_true(batch_end(&builder) > SIZE / 2);
    uint8_t *b = batch.p;
    put_be32(b + BATCH_AT_COUNT, 2);
    put_be32(b + BATCH_AT_LAST_OFFSET_DELTA, 1);
    put_be32(b + BATCH_AT_CRC, crc32c(0, b + BATCH_AT_ATTRIBUTES, batch.n - BATCH_AT_ATTRIBUTES));
    struct slice bad = { (char *)b, batch.n };
    (void)peer_send_produce(p, 0, "t", 0, bad);
    peer_settle(r);
    assert_true(p->closed);
    (void)peer_send_produce(q, 0, "t", 0, bad);
    peer_close(q);
    peer_close(p);
    peer_settle(r);
    p = peer_open(r);
    assert_int_equal(peer_produce(p, -1, "t", 0, batch_one(r, "y"))->responses[0].partition_responses[0].base_offset, 0);
    mem_free(value);
    bytes_free(&batch);
    peer_close(p);
    rig_close(r);
}

static void who_waits_for_memory_goes_on_when_there_is_some_and_else_one_is_given_up_a_second(void **state)
{
    (void)state;
    enum { TOPICS = 3000, PEERS = 5 };
    struct rig *r = rig_open(24, "odradek.memory.max=8388608");
    struct peer *p = peer_open(r), *q[PEERS], *gone = peer_open(r);
    struct mem_budget *m = broker_memory(r->broker);
    struct metadata_request all = dflt_metadata_request;
    all.topics_n = -1;
    for (int at = 0; at < TOPICS; at += 500) {
        struct create_topics_request in = dflt_create_topics_request;
        in.topics = wire_array(&r->arena, create_topics_request_creatable_topic, 500);
        in.topics_n = 500;
        for (int i = 0; i < 500; i++) {
            in.topics[i].name = arena_printf(&r->arena, "a-name-that-makes-the-answer-large-%06d", at + i);
            in.topics[i].num_partitions = in.topics[i].replication_factor = 1;
        }
        assert_int_equal(((struct create_topics_response *)peer_ask(p, API_CREATE_TOPICS, 4, &in))->topics[0].error_code, 0);
    }
    peer_settle(r);
    int64_t idle = mem_used(m);
    for (int k = 0; k < PEERS; k++) q[k] = peer_open(r);

    mem_charge_over(m, m->limit / 2 + 100);
    for (int k = 0; k < PEERS; k++) (void)peer_send(q[k], API_METADATA, 12, &all);
    (void)peer_send(gone, API_METADATA, 12, &all);
    assert_null(peer_take(q[0], 5 * 1000));
    peer_close(gone); /* while it waits */
    mem_uncharge(m, m->limit / 2 + 100);
    for (int k = 0; k < PEERS; k++) {
        struct metadata_response *out = peer_take(q[k], 500 * 1000);
        assert_non_null(out);
        assert_int_equal(out->topics_n, TOPICS);
    }

    mem_charge_over(m, m->limit);
    for (int k = 0; k < PEERS; k++) (void)peer_send(q[k], API_METADATA, 12, &all);
    int most = 0, before = 0;
    for (int i = 0; i < 80; i++) { /* 8 s in steps of 100 ms */
        int closed = 0;
        (void)peer_take(p, 100 * 1000);
        for (int k = 0; k < PEERS; k++) closed += q[k]->closed;
        most = MAX(most, closed - before);
        before = closed;
    }
    assert_int_equal(before, PEERS);
    assert_int_equal(most, 1);
    mem_uncharge(m, m->limit);
    for (int k = 0; k < PEERS; k++) peer_close(q[k]);
    assert_int_equal(((struct metadata_response *)peer_ask(p, API_METADATA, 12, &all))->topics_n, TOPICS);
    peer_settle(r);
    assert_int_equal(mem_used(m), idle);
    peer_close(p);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api_versions_lists_the_table_and_answers_an_unknown_version_in_v0_form),
        cmocka_unit_test(metadata_creates_a_topic_and_answers_with_its_leader),
        cmocka_unit_test(what_was_produced_is_fetched_and_outlives_a_restart),
        cmocka_unit_test(a_fetch_waits_for_min_bytes_and_is_answered_by_the_next_append_or_its_deadline),
        cmocka_unit_test(min_bytes_may_come_from_several_partitions_together),
        cmocka_unit_test(answers_leave_in_the_order_of_the_requests),
        cmocka_unit_test(an_idempotent_duplicate_gets_its_first_offset_and_a_gap_is_refused),
        cmocka_unit_test(incremental_sessions_tell_only_what_is_new),
        cmocka_unit_test(bad_frames_close_their_connection_and_nothing_else),
        cmocka_unit_test(no_more_answers_are_made_while_others_wait_to_leave),
        cmocka_unit_test(requests_are_charged_while_they_last),
        cmocka_unit_test(a_request_that_says_more_than_memory_holds_closes_its_connection),
        cmocka_unit_test(bytes_behind_a_request_are_ignored),
        cmocka_unit_test(a_bad_frame_behind_a_produce_closes_after_its_answer_and_nothing_behind_it_starts),
        cmocka_unit_test(a_client_may_go_while_its_requests_wait),
        cmocka_unit_test(ten_thousand_parked_fetches_make_an_append_no_dearer),
        cmocka_unit_test(with_memory_short_large_parked_fetches_answer),
        cmocka_unit_test(draining_answers_parked_fetches_at_once),
        cmocka_unit_test(a_request_that_would_make_more_than_ten_thousand_metadata_records_is_refused),
        cmocka_unit_test(names_that_collide_are_refused_however_many_are_asked_for),
        cmocka_unit_test(a_fetch_without_a_session_answers_each_partition_once),
        cmocka_unit_test(an_error_of_a_client_that_is_gone_is_told_to_nobody),
        cmocka_unit_test(who_waits_for_memory_goes_on_when_there_is_some_and_else_one_is_given_up_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
