/* OffsetForLeaderEpoch (key 23), v2–4: where an epoch ended, so that a consumer notices that the log it read was cut. */
#include "../req.h"
#include "../shard.h"

static int row_answer(const struct image_topic *t, const struct offset_for_leader_epoch_request_offset_for_leader_partition *in,
                      struct offset_for_leader_epoch_response_epoch_end_offset *o)
{
    if (!t || in->partition < 0 || in->partition >= t->partitions_n) return E_UNKNOWN_TOPIC_OR_PARTITION;
    const struct image_partition *p = &t->partitions[in->partition];
    if (!p->log) return p->log_err ? p->log_err : E_KAFKA_STORAGE_ERROR;
    if (in->current_leader_epoch >= 0 && in->current_leader_epoch < p->leader_epoch) return E_FENCED_LEADER_EPOCH;
    if (in->current_leader_epoch > p->leader_epoch) return E_UNKNOWN_LEADER_EPOCH;
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
