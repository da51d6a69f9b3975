/* pstate: what one partition log knows about its producers: idempotence, transactions, and what holds back the last stable
 * offset.
 *
 * Behaves as Kafka 4.3.1's ProducerStateManager. One `struct pstate` is embedded in each log; a log without producers costs
 * the struct and no allocation. A producer costs about 100 bytes with one batch and about 200 once it has sent a second.
 *
 * An append:  pstate_check (pure), offsets are given, pstate_apply, …next batch…, one pwritev, pstate_run_keep or
 * pstate_run_undo. Batches of one queue drain see each other because apply takes effect at once; a `struct pstate_run`
 * remembers what apply changed, so that a failed write (or one append of the drain that is refused half-way) is taken back
 * exactly. Until the write is done nothing applied can be seen from outside: the first unstable offset only ever becomes
 * *lower* by an apply of a transaction's start, and a transaction ended in the run is held back until the watermark passes its
 * marker, which is not in the file yet.
 *
 * Threads: no lock of its own; the log's mutex (or its one owner) protects it. Every call is short except load, encode and the
 * replay of a whole log. No call does I/O but those that take a `struct fs`. */
#pragma once
#include <odradek/base.h>

enum { PSTATE_BATCHES = 5 }; /* last batches of a producer that are recognised as duplicates (Kafka's NUM_BATCHES_TO_RETAIN) */

/* By the type in the key of a control record. */
enum pstate_marker { PSTATE_NO_MARKER = -1, PSTATE_ABORT = 0, PSTATE_COMMIT = 1 };

/* The facts of a batch that matter here. Offsets are the ones it was given; pstate_check looks at neither. */
struct pstate_batch {
    int64_t producer_id; /* -1: none; then check is 0 and apply does nothing */
    int64_t first_offset, last_offset;
    int64_t max_timestamp;     /* of a marker: its record's timestamp */
    int32_t base_sequence;     /* -1: none (coordinators) */
    int32_t last_sequence;     /* as batch_last_sequence gives it */
    int32_t coordinator_epoch; /* of a marker */
    enum pstate_marker marker; /* of a control batch; PSTATE_NO_MARKER (no records left, or no end marker): it changes nothing */
    int16_t epoch;
    bool transactional;
    bool control;
    /* Of a marker being appended: the transaction.version of its WriteTxnMarkers; 0 when unknown, and in replay. From 2 on a
     * marker's epoch must be larger than its producer's (KIP-890, KIP-1228). */
    int16_t txn_version;
};
/* Fills *out from a whole v2 batch whose header was checked; txn_version 0. E_CORRUPT_MESSAGE or E_MALFORMED: a control batch
 * whose record is no record; then *out describes a batch that changes nothing. */
int pstate_batch_of(const void *p, size_t n, struct pstate_batch *out);

/* The first copy of a duplicate. */
struct pstate_dup {
    int64_t first_offset, last_offset;
    int64_t timestamp; /* its largest timestamp: the append time of a log with LogAppendTime */
};

/* A transaction that a marker ended. Aborted ones go into the segment's .txnindex once the marker is written. */
struct pstate_done {
    int64_t producer_id;
    int64_t first_offset, last_offset; /* first data, marker */
    bool aborted;
    int64_t stable_offset; /* last stable offset the moment it ended, as .txnindex wants it */
};

struct pstate {               /* not to be moved or copied: it holds list heads */
    struct map producers;     /* private: by producer id */
    struct list ongoing;      /* private: open transactions, by first offset */
    struct list unreplicated; /* private: ended ones whose marker is not below the watermark yet, by marker offset */
    int64_t unreplicated_min; /* private: smallest first offset of those; INT64_MAX: none */
    struct list spare;        /* private: freed transactions for re-use */
    int spares;               /* private */
    int64_t end;              /* state covers all offsets below (Kafka's lastMapOffset); set by pstate_set_end */
    int64_t snap;             /* offset of the newest snapshot on disk, else the log start offset */
};

void pstate_init(struct pstate *ps, int64_t log_start);
void pstate_free(struct pstate *ps);

/* May this batch be appended?  0, or
 *   E_DUPLICATE_BATCH                one of the last five of its producer, same epoch and sequences: *dup tells
 *                                    of the first copy, which may belong to the present run: then both share
 *                                    their fate
 *   E_OUT_OF_ORDER_SEQUENCE_NUMBER   not the next one; or a new epoch that does not begin at 0. A producer not
 *                                    known here may begin anywhere (its state may have been lost)
 *   E_INVALID_PRODUCER_EPOCH         an older epoch than the last one seen
 *   E_INVALID_TXN_STATE              a plain batch of a producer with an open transaction
 *   E_TRANSACTION_COORDINATOR_FENCED a marker of an older coordinator
 * client: from a Produce request; else from a coordinator: sequences are not checked and there are no duplicates. dup may be
 * NULL. Pure. */
int pstate_check(const struct pstate *ps, const struct pstate_batch *b, bool client, struct pstate_dup *dup);

/* What apply did, for pstate_run_undo. Zero it to initialise; keep it for the next run: its memory is re-used. One run per
 * pstate at a time; between its first apply and keep or undo only these may be called: check, apply, first_unstable,
 * first_undecided, set_watermark, find. */
struct pstate_run {
    struct bytes log; /* private */
};
size_t pstate_run_mark(const struct pstate_run *run); /* a point to undo to; 0 = everything */
void pstate_run_undo(struct pstate *ps, struct pstate_run *run, size_t mark);
void pstate_run_keep(struct pstate_run *run); /* the write succeeded: forget */
void pstate_run_free(struct pstate_run *run);

/* Takes in a batch that was checked, or one that is read again from a log (replay: run NULL; it is believed, as Kafka believes
 * its log). True when it was a marker that ended a transaction: then *done is filled (done may be NULL). */
bool pstate_apply(struct pstate *ps, const struct pstate_batch *b, struct pstate_run *run, struct pstate_done *done);
void pstate_set_end(struct pstate *ps,
                    int64_t end); /* after every append, also of batches without a producer: snapshots are named by it */

/* First offset that read_committed may not see: the first of the transactions open or ended by a marker at or above the
 * watermark; INT64_MAX: none. LSO = min(watermark, this). */
int64_t pstate_first_unstable(const struct pstate *ps);
int64_t pstate_first_undecided(const struct pstate *ps);         /* of the open ones only; the cleaner stops there */
void pstate_set_watermark(struct pstate *ps, int64_t watermark); /* forgets ended transactions whose marker is below */
void pstate_set_start(struct pstate *ps, int64_t log_start);     /* the log start moved up; producers are kept, as Kafka does */
void pstate_expire(struct pstate *ps, int64_t now_ms,
                   int64_t expiration_ms);         /* producer.id.expiration.ms; never those in a transaction */
void pstate_clear(struct pstate *ps, int64_t end); /* forgets everything (truncation to `end`); files stay */

size_t pstate_count(const struct pstate *ps);
int64_t pstate_max_producer_id(const struct pstate *ps); /* -1: none (K10) */
int64_t
pstate_oldest_txn_ms(const struct pstate *ps); /* last timestamp of the producer of the oldest open transaction; -1: none open */
struct pstate_view {
    int64_t producer_id;
    int16_t epoch;
    int32_t coordinator_epoch; /* -1: none */
    int32_t last_sequence;     /* -1: none */
    int64_t last_offset;       /* of its last data batch; -1: none (the cleaner keeps that batch) */
    int64_t last_timestamp;
    int64_t txn_start; /* -1: no open transaction */
};
bool pstate_find(const struct pstate *ps, int64_t producer_id, struct pstate_view *out);
int pstate_list(const struct pstate *ps, struct arena *a, struct pstate_view **out); /* how many; by producer id */

/* ---- snapshots: <20 digits>.snapshot, version 1, as Kafka writes them ---------------------------------------------------
 *
 *   0  int16   version = 1
 *   2  uint32  CRC-32C of all that follows
 *   6  int32   entries; then of each 46 bytes:
 *      int64 producer id, int16 epoch, int32 last sequence, int64 last offset, int32 offset delta, int64 last timestamp,
 *      int32 coordinator epoch, int64 first offset of the open transaction (-1) */
enum { PSTATE_SNAPSHOT_SUFFIX_LEN = 9, PSTATE_ENTRY_SIZE = 46 };
void pstate_encode(const struct pstate *ps,
                   struct bytes *out); /* appends; under the lock. The file's offset is ps->end at that moment */
/* Replaces the state by a snapshot's; on error nothing is changed. Producers idle for expiration_ms are left out, as Kafka
 * does. end and snap become `offset`. E_CORRUPT with the reason. */
int pstate_decode(struct pstate *ps, struct slice file, int64_t offset, int64_t now_ms, int64_t expiration_ms, struct why *why);
int64_t pstate_file_max_id(struct slice file); /* largest producer id in a snapshot's bytes; -1: none or not a snapshot (K10) */

/* Writes <dir>/<offset>.snapshot: tmp, datasync, rename, sync_dir (K3, J9, J16: only with durable ≥ offset). 0 or negative.
 * The caller then calls pstate_snapshot_written. Blocks. */
int pstate_snapshot_write(struct fs *fs, const char *dir, int64_t offset, struct slice content);
void pstate_snapshot_written(struct pstate *ps, int64_t offset);
/* Is a snapshot at `end` worth writing? (Kafka: only when the end moved past the last one.) */
static inline bool pstate_snapshot_due(const struct pstate *ps) { return ps->end > ps->snap; }

/* All of the above for single-threaded moments (close, recovery): encodes and writes at ps->end when due. */
int pstate_snapshot(struct pstate *ps, struct fs *fs, const char *dir);

/* Offsets of the snapshot files in dir, ascending. 0 or negative. */
int pstate_snapshots(struct fs *fs, const char *dir, struct arena *a, int64_t **offsets, int *n);

/* Start-up and truncation to [log_start, log_end]: removes snapshots above log_end or at or below log_start, loads the newest
 * valid one (corrupt ones are removed, with a log line), and sets ps->end to where replay must go on: feed pstate_apply (run
 * NULL) every batch from there to log_end, then pstate_set_end(log_end) and pstate_set_watermark. 0 or an I/O error. Blocks. */
int pstate_load(struct pstate *ps, struct fs *fs, const char *dir, int64_t log_start, int64_t log_end, int64_t now_ms,
                int64_t expiration_ms, struct why *why);
/* Removes snapshots with offset < `offset` (segments were deleted). Lost ones cost time only, so nothing is synced. */
int pstate_remove_before(struct fs *fs, const char *dir, int64_t offset);
/* Removes snapshots that stand at no segment's base offset, keeping the one above all of them (that of the clean stop). bases
 * ascending. */
int pstate_remove_stray(struct fs *fs, const char *dir, const int64_t *bases, int n);
