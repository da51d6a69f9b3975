/* DescribeTopicPartitions (key 75), v0 (KIP-966): topics page by page, in the order of their names. */
#include "../req.h"
#include "../shard.h"
#include "../topics.h"

#include <stdlib.h>

static int by_name(const void *a, const void *b) { return slice_cmp(*(const struct slice *)a, *(const struct slice *)b); }

/* Adds partitions [from, …) of t, at most *room of them; the next one not added, or -1. */
static int32_t add_topic(struct req *rq, const struct image_topic *t, int32_t from, int32_t *room,
                         struct describe_topic_partitions_response_topic *o)
{
    int32_t *me = arena_alloc(&rq->arena, sizeof *me);
    int32_t n = MAX(MIN(t->partitions_n - from, *room), 0);
    *me = rq->shard->broker->node_id;
    o->name = t->name;
    o->topic_id = t->id;
    o->is_internal = t->internal;
    o->topic_authorized_operations = OPS_TOPIC;
    o->partitions_n = n;
    o->partitions = wire_array(&rq->arena, describe_topic_partitions_response_partition, n);
    for (int32_t i = 0; i < n; i++) {
        const struct image_partition *p = &t->partitions[from + i];
        struct describe_topic_partitions_response_partition *op = &o->partitions[i];
        bool up = p->log != NULL && p->leader >= 0;
        op->error_code = up ? 0 : KAFKA_LEADER_NOT_AVAILABLE;
        op->partition_index = from + i;
        op->leader_id = up ? *me : -1;
        op->leader_epoch = p->leader_epoch;
        op->replica_nodes = op->isr_nodes = me;
        op->replica_nodes_n = op->isr_nodes_n = 1;
        op->eligible_leader_replicas_n = 0;
        op->last_known_elr_n = 0;
        op->offline_replicas = up ? NULL : me;
        op->offline_replicas_n = up ? 0 : 1;
    }
    *room -= n;
    return from + n < t->partitions_n ? from + n : -1;
}

enum req_next describe_topic_partitions_start(struct req *rq)
{
    const struct describe_topic_partitions_request *in = rq->in;
    struct describe_topic_partitions_response *out = rq->out;
    const struct image *im = req_image(rq);
    bool all = in->topics_n <= 0;
    int n = all ? im->topics_n : in->topics_n, kept = 0;
    struct slice *names = arena_array(&rq->arena, struct slice, n), message;
    int32_t room = (int32_t)MIN(in->response_partition_limit, conf_i64(im->conf, CONF_MAX_REQUEST_PARTITION_SIZE_LIMIT));

    for (int i = 0; i < n; i++) names[i] = all ? im->topics[i]->name : in->topics[i].name;
    if (n) qsort(names, (size_t)n, sizeof *names, by_name);
    for (int i = 0; i < n; i++) {
        if (kept > 0 && slice_eq(names[kept - 1], names[i])) continue;
        if (in->cursor && slice_cmp(names[i], in->cursor->topic_name) < 0) continue;
        names[kept++] = names[i];
    }
    room = MAX(room, 1);
    out->topics = wire_array(&rq->arena, describe_topic_partitions_response_topic, kept);
    for (int i = 0; i < kept; i++) {
        const struct image_topic *t = image_topic(im, names[i]);
        bool resumed = in->cursor && slice_eq(names[i], in->cursor->topic_name);
        if (room == 0) {
            out->next_cursor = wire_new(&rq->arena, describe_topic_partitions_response_cursor);
            out->next_cursor->topic_name = names[i];
            break;
        }
        struct describe_topic_partitions_response_topic *o = &out->topics[out->topics_n];
        if (!t) {
            if (resumed && all) continue; /* deleted between two pages */
            o->name = names[i];
            o->error_code = topic_name_check(names[i], &rq->arena, &message) ? KAFKA_INVALID_TOPIC_EXCEPTION
                                                                             : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            out->topics_n++;
            continue;
        }
        int32_t next = add_topic(rq, t, resumed ? MAX(in->cursor->partition_index, 0) : 0, &room, o);
        out->topics_n++;
        if (next < 0) continue;
        out->next_cursor = wire_new(&rq->arena, describe_topic_partitions_response_cursor);
        out->next_cursor->topic_name = names[i];
        out->next_cursor->partition_index = next;
        break;
    }
    return REQ_DONE;
}
