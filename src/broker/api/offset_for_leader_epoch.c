/* OffsetForLeaderEpoch (key 23), v2–4: where an epoch ended, so that a consumer notices that the log it read was cut. */
#include "../req.h"
#include "../shard.h"
#include "../topics.h"

static int row_answer(const struct image_topic *t, const struct offset_for_leader_epoch_request_offset_for_leader_partition *in,
                      struct offset_for_leader_epoch_response_epoch_end_offset *o)
{
    const struct image_partition *p;
    int rc = topic_partition(t, in->partition, &p);
    if (!rc) rc = partition_epoch_check(p, in->current_leader_epoch);
    if (rc) return rc;
    plog_epoch_end(p->log, in->leader_epoch, &o->leader_epoch, &o->end_offset);
    return 0;
}

enum req_next offset_for_leader_epoch_start(struct req *rq)
{
    const struct offset_for_leader_epoch_request *in = rq->in;
    struct offset_for_leader_epoch_response *out = rq->out;
    const struct image *im = req_image(rq);

    out->topics_n = MAX(in->topics_n, 0);
    out->topics = wire_array(&rq->arena, offset_for_leader_epoch_response_offset_for_leader_topic_result, out->topics_n);
    for (int i = 0; i < out->topics_n; i++) {
        const struct offset_for_leader_epoch_request_offset_for_leader_topic *t = &in->topics[i];
        struct offset_for_leader_epoch_response_offset_for_leader_topic_result *o = &out->topics[i];
        const struct image_topic *topic = image_topic(im, t->topic);
        o->topic = t->topic;
        o->partitions_n = MAX(t->partitions_n, 0);
        o->partitions = wire_array(&rq->arena, offset_for_leader_epoch_response_epoch_end_offset, o->partitions_n);
        for (int j = 0; j < o->partitions_n; j++) {
            o->partitions[j].partition = t->partitions[j].partition;
            o->partitions[j].error_code = (int16_t)err_kafka(row_answer(topic, &t->partitions[j], &o->partitions[j]));
        }
    }
    return REQ_DONE;
}
