/* A disk without a free byte: the broker starts, serves what it has, refuses what it cannot keep, and writes again when there is room. */
#include "rig.h"

#include <odradek/kafka_errors.h>

static int16_t produce_one(struct rig *r, struct peer *p)
{
    struct produce_response *out = peer_produce(p, -1, "t", 0, batch_one(r, "v"));
    return out->responses[0].partition_responses[0].error_code;
}

static void a_full_disk_is_started_on_and_written_to_again_when_there_is_room(void **state)
{
    (void)state;
    struct rig *r = rig_open(11, "");
    struct world *w = r->env->world;
    struct peer *p = peer_open(r);
    peer_create_topic(p, "t", 1);
    assert_int_equal(produce_one(r, p), 0);
    sim_run(w, 61 * 1000000LL); /* it has put room by */
    peer_close(p);
    rig_stop(r);
    sim_space(w, 0);
    rig_start(r);
    p = peer_open(r);
    struct list_offsets_request in = dflt_list_offsets_request;
    struct list_offsets_request_list_offsets_topic t = dflt_list_offsets_request_list_offsets_topic;
    struct list_offsets_request_list_offsets_partition q = dflt_list_offsets_request_list_offsets_partition;
    q.timestamp = -1;
    t.name = S("t");
    t.partitions = &q;
    t.partitions_n = 1;
    in.topics = &t;
    in.topics_n = 1;
    struct list_offsets_response *ends = peer_ask(p, API_LIST_OFFSETS, 7, &in);
    assert_int_equal(ends->topics[0].partitions[0].offset, 1);
    assert_int_equal(produce_one(r, p), KAFKA_KAFKA_STORAGE_ERROR);
    sim_space(w, -1);
    sim_run(w, 2000000);
    assert_int_equal(produce_one(r, p), 0);
    sim_run(w, 61 * 1000000LL);
    struct fs_stat st;
    assert_ok(w->fs->stat(w->fs, test_path(r->env, "data/odradek.spare"), &st)); /* for the next time */
    peer_close(p);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_full_disk_is_started_on_and_written_to_again_when_there_is_room) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
