/* replay: takes batches of the metadata log or of a snapshot, in order, and applies them to a draft and to the kept records.
 *
 * BEGIN/END/ABORT_TRANSACTION are honoured (K11): what stands between is held back until the END, and dropped at an ABORT. Control
 * batches tell the quorum's state. Threads: start-up only. */
#pragma once
#include "image.h"
#include "kept.h"

struct replay {
    struct draft *draft; /* borrowed */
    struct kept *kept;   /* borrowed; may be NULL: those records are then ignored */
    /* out */
    int64_t records;      /* data records seen; 0: the log is empty */
    int64_t last_time_ms; /* largest timestamp seen; -1 */
    int32_t last_epoch;   /* leader epoch of the last batch; -1 */
    int16_t kraft_version;
    struct bytes voters;   /* VotersRecord, encoded; n 0: none */
    bool voters_bootstrap; /* it stands only in the snapshot at offset 0 */
    bool in_txn;
    bool footer;          /* a snapshot's last record was seen */
    struct uuid *removed; /* ids of topics deleted in what was replayed */
    int removed_n, removed_cap;
    /* private */
    struct list held; /* records of the open transaction */
    struct bytes scratch;
};
void replay_init(struct replay *r, struct draft *d, struct kept *k);
void replay_free(struct replay *r);
/* One whole, verified batch; records below `from` are skipped. snapshot: offsets are only numbers within the file. */
int replay_batch(struct replay *r, const uint8_t *p, size_t n, int64_t from, bool snapshot, struct why *why);
/* One record (already known to be outside a transaction), for changes of our own. */
int replay_record(struct replay *r, const struct mrec *m, int64_t offset, struct why *why);
