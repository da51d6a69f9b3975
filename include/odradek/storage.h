/* storage: log directories and partition logs, in Apache Kafka's on-disk format (DESIGN.md §5).
 *
 * A `struct logs` is every directory of log.dirs; a `struct plog` is one partition's log. Appends go through a queue with one owner at a
 * time; what is written is synced by the log directory's commit worker, many logs in one group; `durable` (and with flush.messages=1 the
 * high watermark) follows the sync, and those who wait are woken (JOURNAL.md J1, J2, J6, J8, J9, J15, J16, J18, J19).
 *
 * Threads: any, except where it says "worker" (may block) or "at home" (on the loop of the given waker). */
#pragma once
#include <odradek/base.h>
#include <odradek/batch.h>
#include <odradek/config.h>

struct logs;
struct plog;
struct segment;

/* ---- log directories ------------------------------------------------------------------------------------------------------ */

/* Creates missing directories, locks each (K1), reads or makes meta.properties. Nothing is written to partitions yet. One of ZooKeeper's time
 * stays version 0 (with a directory.id) until logs_adopt.
 * Identity: cluster id and node id are adopted from the directories where the config leaves them open; a contradiction, between
 * directories or with the config, is an error. Any thread, blocks. */
int logs_open(struct world *w, const struct conf *conf, struct logs **out, struct why *why);
void logs_free(struct logs **l); /* after logs_close or a failed start; releases the locks */

struct slice logs_cluster_id(const struct logs *l); /* 22 characters (K15) */
int32_t logs_node_id(const struct logs *l);
int logs_dirs(const struct logs *l); /* how many */
struct log_dir_info {
    struct slice path; /* absolute */
    struct uuid id;    /* directory.id */
    bool offline;
    bool was_clean;       /* the clean-shutdown marker was there at open */
    bool old;             /* of ZooKeeper's time, until logs_adopt: partitions, but no meta.properties of version 1 */
    int64_t broker_epoch; /* from that marker; -1 when unknown */
    int64_t total_bytes, usable_bytes; /* of the file system; -1 when unknown */
};
void logs_dir_info(const struct logs *l, int i, struct log_dir_info *out);
bool logs_was_clean(const struct logs *l); /* every directory had its marker */

/* The topics of directories of ZooKeeper's time stand in the metadata log, durably: from now on they are a KRaft node's. */
int logs_adopt(struct logs *l, struct why *why);

/* What is on disk: one entry per partition directory (not __cluster_metadata-0, not -delete/-stray/-future ones). */
struct log_found {
    struct slice topic;
    int32_t partition;
    int dir;
    struct uuid
        topic_id; /* from partition.metadata; zero when that file is missing (ZooKeeper era) or unreadable, or was not read */
};
/* ids: read every partition.metadata. Else not those of logs that a clean stop's recovery points name, once: what a clean start opens without
 * looking (logs_partition) is looked into later. */
int logs_scan(struct logs *l, bool ids, struct arena *a, struct log_found **found, int *n, struct why *why);

/* What the metadata log says, told before logs_begin: of a journal that a crash left, only what it confirms is replayed (J12, J14). Without it a
 * journal that is found is set aside. */
struct logs_truth {
    int dir;                                                            /* of the metadata log */
    int32_t quorum_epoch;                                               /* that quorum-state names; -1 none */
    int32_t log_epoch;                                                  /* the largest in the metadata log and its snapshots */
    bool (*exists)(void *arg, struct uuid topic_id, int32_t partition); /* NULL: all do */
    void *arg;
};
void logs_tell(struct logs *l, const struct logs_truth *t);
/* After logs_begin: this run's quorum epoch stands in quorum-state, synced, and nothing was written under it yet (J14). Commit journals name it;
 * before this none is made. With several directories it is noted durably that this epoch is ours (odradek.runs), so that a directory that is
 * missing now can have its journal replayed later. 0 or negative. Blocks. */
int logs_lead(struct logs *l, int32_t quorum_epoch, struct why *why);

/* Replays and removes the commit journals that a crash left (J11–J14); a directory whose journal cannot be replayed, for a broken disk or want of
 * room, goes offline with it, for a later start to do it. Removes the clean markers durably (K3) and starts the workers: from here on the
 * directories may be written. Finishes deletions a former run began (-delete directories, .deleted files). Called once, after the metadata log was
 * recovered. An error when no directory is left. */
int logs_begin(struct logs *l, struct why *why);

/* Opens or creates one partition's log. The metadata record that names it is durable already (K6).
 *   existing: recovers what an unclean stop left past the recovery point; cuts a torn tail (cut bytes are kept in one file in the root);
 *             a clean start opens no file; and of a log with must_exist, a leader epoch and a recovery point from a clean stop it does not even
 *             look into the directory: that happens at its first use or behind the start, and what is wrong then is told by logs_on_broken.
 *             partition.metadata is written when missing, and must hold the same id when present.
 *   new:      directory, partition.metadata, entry synced, in this order; `dir` < 0 chooses the directory with the fewest partitions.
 *   promised: a new one that can be read, empty, at once. Its files are made behind, before its first batch is appended, and by a clean stop, which
 *             gives itself a second for that; what is missing then, or after a crash, whoever reads the metadata record makes. What is wrong then is told by the append (want of room or descriptors, which is
 *             tried again) or by logs_on_broken.
 * leader_epoch is put into leader-epoch-checkpoint before the first batch is appended (K5); of the metadata log behind it, since every start walks
 * that one and finds its epochs in the batches. Blocks: worker or start-up.
 * conf is copied. *out has one reference for the caller and one of l's own. */
struct plog_spec {
    struct slice topic;
    struct uuid topic_id;
    int32_t partition;
    int dir;
    int32_t leader_epoch;
    bool must_exist; /* E_NOT_FOUND instead of creating */
    bool promised;   /* a new one may be made later */
    const struct topic_conf *conf;
};
int logs_partition(struct logs *l, const struct plog_spec *spec, struct plog **out, struct why *why);
/* Several at once, on num.recovery.threads.per.data.dir threads per directory; errors per entry. outs[i] NULL where errs[i] != 0. */
void logs_partitions(struct logs *l, const struct plog_spec *specs, int n, struct plog **outs, int *errs, struct why *first);

/* The partition is gone from the metadata log: waiters hear `gone`, the directory is renamed to <name>.<uuid>-delete at once and removed
 * after file.delete.delay.ms. Takes l's own reference. Blocks: worker. */
int logs_delete_partition(struct logs *l, struct plog *p);

/* Clean stop (J18): refuses appends, commits, syncs, indexes, snapshots, checkpoints, then the markers with this broker epoch (K3), last.
 * On an offline directory nothing is written. Blocks. */
int logs_close(struct logs *l, int64_t broker_epoch);

/* Called on a worker whenever a directory goes offline (failed sync or EIO; J6), and for those that are; all_gone when it was the last one. */
void logs_on_offline(struct logs *l, void (*fn)(void *arg, int dir, bool all_gone), void *arg);

/* Called, on any thread, whenever plog_broken of some log begins to say so, and at once if one's does already. Said when the start has opened every log there is: from now on logs
 * that a clean start trusted are looked into, one after the other, on a worker, and it may be noted (odradek.runs) that all are in order. */
void logs_on_broken(struct logs *l, void (*fn)(void *arg), void *arg);

/* Writes recovery-point, log-start and replication checkpoints now (they are also written every minute). Worker. */
int logs_checkpoint(struct logs *l);

/* ---- one partition log ------------------------------------------------------------------------------------------------------ */

struct plog *plog_ref(struct plog *p);
void plog_unref(struct plog **p); /* nulls */
struct slice plog_topic(const struct plog *p);
struct uuid plog_topic_id(const struct plog *p);
int32_t plog_partition(const struct plog *p);
int plog_dir(const struct plog *p);

struct plog_offsets {
    int64_t start;     /* log start offset */
    int64_t stable;    /* last stable offset: min(high watermark, first open transaction) */
    int64_t watermark; /* high watermark: consumers read below it */
    int64_t durable;   /* a power cut takes nothing below it */
    int64_t end;       /* log end offset */
    int32_t leader_epoch;
    bool gone;    /* deleted */
    bool offline; /* its log directory failed */
};
void plog_offsets(struct plog *p, struct plog_offsets *out);       /* one consistent view */
int64_t plog_size(struct plog *p);                                 /* bytes of all segments; 0 when it cannot be opened */
int plog_broken(struct plog *p);                                   /* why it could not be opened after the start; 0: it could */
void plog_set_conf(struct plog *p, const struct topic_conf *conf); /* copied; takes effect with the next append or check */
void plog_set_leader_epoch(struct plog *p, int32_t epoch); /* K5: in leader-epoch-checkpoint before the next batch; worker */

/* An append. The batches are already checked (batch_check) and, for LogAppendTime, stamped. Offsets and the leader epoch are patched in
 * place. Memory stays the caller's and must stay valid until `done`.
 * Idempotent producers: epoch and sequence are checked in the same step that assigns offsets. A batch among the last five of its producer
 * is E_DUPLICATE_BATCH with its first offset (the caller waits until `last` is durable as its acks ask, then answers success). */
enum append_origin { APPEND_CLIENT, APPEND_COORDINATOR }; /* the coordinator may write control batches and to internal topics */
struct append {
    struct plog *log; /* in */
    uint8_t *bytes;   /* in: one or more whole batches */
    size_t n;
    int32_t records; /* in: sum over the batches */
    enum append_origin origin;
    int16_t
        txn_version; /* in: of transaction markers (APPEND_COORDINATOR): the transaction.version of their WriteTxnMarkers; else 0 */
    struct waker *home; /* in: whose ticket; NULL for plog_append_now */
    ticket who;
    /* out, valid once done: */
    _Atomic bool done;
    int err; /* 0, E_DUPLICATE_BATCH, E_OUT_OF_ORDER_SEQUENCE_NUMBER, E_INVALID_PRODUCER_EPOCH, E_NO_SPACE, E_OFFLINE, E_GONE, … */
    int64_t first, last;    /* offsets given (or found, for a duplicate) */
    int64_t append_time_ms; /* of the duplicate's first copy, else -1 */
    int64_t start;          /* log start offset then */
    struct list link;       /* private */
};
/* Links a into the queue; it is written in PHASE_APPEND of this turn, or by whoever owns the queue, or by the write worker; `who` is poked.
 * At home, in PHASE_RUN. A second append of the same connection to the same log may be staged before the first is done: order is kept. */
void plog_append(struct plog *p, struct append *a);
/* Appends, syncs and publishes before it returns a->err. Worker only: for the metadata log and start-up. */
int plog_append_now(struct plog *p, struct append *a);
/* Asks for a commit that covers the present end (acks=1 callers need not; every append starts one). */
void plog_commit(struct plog *p);
/* Blocks until all below `offset` is durable or the log failed. Worker only. */
int plog_wait_durable(struct plog *p, int64_t offset);

/* Watches (STYLE.md §3): armed watches stay armed until unwatched, and poke `who` whenever what they wait on has moved to or past `offset`,
 * or the log is gone, offline or broken. One node per loop and log; nothing here is proportional to the number of watchers at the appender.
 * At home. A watch holds a reference of its log. */
enum watch_on { WATCH_DURABLE, WATCH_WATERMARK, WATCH_STABLE, WATCH_BYTES /* see plog_has_news */, WATCH_KINDS };
struct watch {        /* zero it to initialise */
    struct list link; /* private */
    struct plog *log;
    struct waker *home;
    ticket who;
    enum watch_on on;
    int64_t offset;
};
/* False, and w is not armed, when that point is already reached (or the log is gone or offline): look again. Re-arming moves w. */
bool plog_watch(struct plog *p, struct watch *w, struct waker *home, ticket who, enum watch_on on, int64_t offset);
void plog_unwatch(struct watch *w); /* harmless when not armed */

/* ---- reading ------------------------------------------------------------------------------------------------------------------ */

/* Part of a segment file: counted, so that it can be sent while the segment is deleted. Bytes below the watermark never change. */
struct file_range {
    struct segment *seg; /* one reference */
    int fd;              /* pinned open while seg is held; of world->fs */
    int64_t at;
    uint32_t n;
};
void range_release(struct file_range *r); /* drops the reference, zeroes r */

/* Where a sequential reader is; makes the next read skip the index. Zero it to initialise; holds no reference. */
struct plog_cursor {
    int64_t offset;
    int64_t base; /* segment */
    uint32_t at;
    uint32_t size; /* of the batch there; 0: not known */
    uint64_t generation;
};
enum read_upto { READ_WATERMARK, READ_STABLE, READ_END };
struct aborted_txn {
    int64_t producer_id;
    int64_t first_offset;
};
struct plog_read {
    int64_t offset;      /* in */
    uint32_t max_bytes;  /* in; 0 = nothing but the offsets, or with whole_first one batch */
    bool whole_first;    /* in: the first batch is returned whole even when larger than max_bytes */
    enum read_upto upto; /* in */
    uint32_t copy_max;   /* in: up to so many bytes may come as a copy, when looking for their place has read them anyway */
    struct arena *arena; /* in: for aborted and copy; may be NULL when upto != READ_STABLE and copy_max == 0 */
    struct file_range
        range; /* out: n == 0 when there is nothing; begins at the batch that holds offset; may end inside a batch, as Kafka's do */
    struct slice copy;           /* out: the same bytes, in arena, and then range has none; else empty */
    struct plog_offsets at;      /* out: read in one critical section with the range */
    struct aborted_txn *aborted; /* out: READ_STABLE only; -1 count otherwise */
    int32_t aborted_n;
};
/* 0 or E_OFFSET_OUT_OF_RANGE (beyond end or below start), E_OFFLINE (also when the disk could not read: its directory goes offline), E_GONE,
 * E_NO_FILES, E_NO_MEMORY, E_CORRUPT, E_CORRUPT_MESSAGE (damage, and what follows it begins above offset). A fetch between watermark and end is empty without error. */
int plog_read(struct plog *p, struct plog_read *r, struct plog_cursor *c);
/* Is a fetch from `offset` likely to return something, be it an error? False: it is at the end of what may be read. What to watch from, of
 * the same moment: *stable, the last stable offset, and *bytes, those appended in this run up to the high watermark, which rise with every record that
 * becomes visible: WATCH_BYTES spares those who want many from being woken by every few. Touches no file. */
bool plog_has_news(struct plog *p, int64_t offset, enum read_upto upto, int64_t *bytes, int64_t *stable);
/* How many bytes a fetch from `offset` could return now; INT32_MAX when it begins in a segment that is not the newest one: such a fetch is not
 * worth waiting for more (as Kafka); and when it would fail. 0: nothing. No I/O for tail readers. */
int64_t plog_readable(struct plog *p, int64_t offset, enum read_upto upto, struct plog_cursor *c);
/* Copies [at, at+n) of the range into out. Any thread; may block on disk. */
int range_copy(const struct file_range *r, uint32_t skip, void *out, uint32_t n);
/* Would reading it go without waiting for the disk? A hint. */
bool range_is_hot(const struct file_range *r);
/* Reads the range in on the shared prefetch worker, then pokes. */
void range_prefault(struct logs *l, const struct file_range *r, struct waker *home, ticket who);

/* First record with timestamp ≥ ts at or above the log start and below the watermark (or stable offset): offset, its timestamp, its batch's epoch.
 * *offset = -1 when there is none. May read from disk (bounded by one index interval plus one compressed batch). */
int plog_find_time(struct plog *p, int64_t ts, enum read_upto upto, int64_t *offset, int64_t *timestamp, int32_t *epoch);
/* The record with the largest timestamp (ListOffsets -3), same outputs. */
int plog_find_max_time(struct plog *p, enum read_upto upto, int64_t *offset, int64_t *timestamp, int32_t *epoch);
/* Kafka's OffsetForLeaderEpoch: largest epoch ≤ asked and its end offset; (-1, -1) when unknown. */
void plog_epoch_end(struct plog *p, int32_t epoch, int32_t *found_epoch, int64_t *end_offset);
int32_t plog_epoch_at(struct plog *p,
                      int64_t offset); /* leader epoch of that offset, at or beyond the end the latest; -1 unknown */

/* Moves the log start offset up to `offset` (-1 = watermark) durably (log-start-offset-checkpoint), drops whole segments below it.
 * E_OFFSET_OUT_OF_RANGE beyond the watermark. *start gets the new start. Worker. */
int plog_delete_records(struct plog *p, int64_t offset, int64_t *start);

/* Producers known to this log (DescribeProducers, and to keep K10). */
struct producer_view {
    int64_t producer_id;
    int16_t epoch;
    int32_t last_sequence;
    int64_t last_timestamp;
    int32_t coordinator_epoch;
    int64_t txn_start; /* -1 */
};
int plog_producers(struct plog *p, struct arena *a, struct producer_view **out);
int64_t logs_max_producer_id(struct logs *l); /* largest found in any open log or snapshot; -1 none */

/* Runs retention on every log now, as the retain worker does every log.retention.check.interval.ms. Worker. */
void logs_retain(struct logs *l);
/* Cleans every compacted log that is due, without throttle, until none is. The clean worker does so by itself, looking every
 * log.cleaner.backoff.ms, unless log.cleaner.enable is false. Worker. */
void logs_clean(struct logs *l);
/* Takes the cleaner's live settings (log.cleaner.*) from conf. Any thread. */
void logs_reconfigure(struct logs *l, const struct conf *conf);

/* ---- looking, without touching: `odradek check` ------------------------------------------------------------------------------------ */

/* A log directory as it lies there: nothing is locked, written or repaired, and whoever writes to it meanwhile confuses what is said. All lives in
 * the arena. Any thread, blocks. */
enum look_kind {
    LOOK_LIVE,
    LOOK_METADATA, /* __cluster_metadata-0 */
    LOOK_DELETE,   /* <topic>-<n>.<id>-delete: a start finishes it */
    LOOK_STRAY,    /* Kafka set it aside once */
    LOOK_FUTURE,   /* of a move between directories */
    LOOK_FOREIGN,  /* a directory that is no partition's: Kafka does not start with one (K7) */
};
struct look_dir;
struct look_hurt {   /* bytes of a log that are no batches of it */
    int64_t segment; /* its first offset */
    int64_t at, bytes;
    int64_t from, to; /* offsets that may be missing: [from, to); to -1: nothing whole follows */
    bool cut;         /* past the recovery point: a start ends the log here */
    const char *reason;
};
struct look_log {
    enum look_kind kind;
    struct slice name; /* of the directory */
    struct slice topic;
    int32_t partition;
    const struct look_dir *dir;
    struct uuid topic_id;
    int id_err;                    /* of partition.metadata: 0, E_NOT_FOUND, E_CORRUPT, E_IO */
    int64_t recovery_point, start; /* -1: its checkpoint does not say */
    /* By logs_look_log: */
    int64_t bytes; /* of all files in it */
    int64_t first, end, batches;
    int segments;
    int leftovers; /* files of an unfinished deletion or cleaning */
    int hurts_n;
    struct look_hurt *hurts;
};
struct look_dir {
    struct slice path;   /* as given; NUL-terminated */
    int id_err;          /* of meta.properties: 0, E_NOT_FOUND (not formatted), E_CORRUPT, E_IO */
    struct slice id_why; /* then */
    int version;         /* 0: of ZooKeeper's time */
    struct slice cluster_id;
    int32_t node_id; /* -1: none */
    struct uuid id;
    bool clean;                         /* the clean-shutdown marker is there */
    int64_t broker_epoch;               /* from it; -1 */
    int64_t journal;                    /* bytes of a commit journal; -1: none lies there (K4) */
    int journal_groups;                 /* live ones in it */
    int32_t journal_epoch;              /* quorum epoch of the run that wrote it; -1 */
    bool journal_ours, journal_damaged; /* written for this directory; one of its groups is not whole */
    int32_t runs_first, runs_last;      /* quorum epochs that odradek.runs notes as ours; -1 */
    int64_t cut_tails;                  /* bytes of what recovery cut and kept; -1 */
    const char *unreadable;             /* an offset checkpoint that cannot be read; NULL: all can */
    int logs_n;
    struct look_log *logs; /* sorted by topic and partition */
};
int logs_look(struct fs *fs, const char *path, struct arena *a, struct look_dir *out, struct why *why);
/* Would a start replay the journal in d? Given the directory with the metadata log, and the epochs that quorum-state and that log name (J14). */
bool logs_look_replays(const struct look_dir *d, const struct look_dir *metadata, int32_t quorum_epoch, int32_t log_epoch);
/* May these be the log.dirs of one broker? 0, or E_INVALID with the contradiction. */
int logs_look_agree(const struct look_dir *dirs, int n, struct rnd *rnd, struct arena *a, struct why *why);

/* Walks one log, batch headers only, as far as it is trusted: below the recovery point, all of it after a clean stop. What is beyond, and
 * with `deep` or `batch` everything, is read whole and verified. Damage is no error. */
struct look_how {
    bool deep;
    bool gaps;                                            /* missing offsets are no damage: compaction */
    bool (*batch)(void *arg, const uint8_t *p, size_t n); /* every good batch, in order, until it returns false; or NULL */
    void *arg;
};
int logs_look_log(struct fs *fs, struct look_log *l, const struct look_how *how, struct arena *a, struct why *why);
