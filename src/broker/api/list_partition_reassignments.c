/* ListPartitionReassignments (key 46), v0: nothing is ever being reassigned on one node. Every kafka-topics --describe asks. */
#include "../req.h"

enum req_next list_partition_reassignments_start(struct req *rq) { return REQ_DONE; }
