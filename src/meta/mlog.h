/* mlog: the files of __cluster_metadata-0: the log itself (a plog), its snapshots (*.checkpoint), quorum-state, and bootstrap.checkpoint
 * beside it in the log directory's root.
 *
 * A snapshot is named <end offset>-<epoch of the record before it>.checkpoint and holds batches like a log: SnapshotHeader, KRaftVersion
 * and KRaftVoters (kraft.version 1), the records of the image and the kept ones, SnapshotFooter. Two are kept, with the log from the older
 * one on, so that a damaged one costs nothing.
 *
 * Threads: start-up, then the meta worker. */
#pragma once
#include "replay.h"
#include <odradek/config.h>
#include <odradek/storage.h>

struct mlog {
    struct world *w;
    struct logs *logs;
    const struct conf *conf; /* borrowed */
    int32_t node_id;
    int dir; /* which log directory */
    struct uuid dir_id;
    char *root, *path; /* the log directory, and __cluster_metadata-0 in it */
    struct plog *log;
    int32_t epoch;       /* of the quorum: ours since mlog_lead */
    int32_t last_epoch;  /* the largest seen in log, snapshots, quorum-state */
    int32_t found_epoch; /* that quorum-state named at the start; -1 */
    int32_t log_epoch;   /* the largest in log and snapshots at the start */
    _Atomic int64_t end; /* next offset */
    int16_t kraft_version;
    struct bytes voters; /* VotersRecord, encoded */
    struct bytes lead;   /* mlog_lead's batch, until the next append takes it along; `end` counts it */
    int32_t lead_records;
    bool voters_bootstrap;
    int64_t last_time_ms;
    int64_t snapshot_offset;   /* of the newest snapshot; 0 when there is none but the bootstrap one */
    int64_t since_snapshot;    /* bytes appended after it */
    int64_t snapshot_tried_ms; /* wall time of the last attempt (or of opening) */
};

/* Finds the log (metadata.log.dir, else the directory that has it, else the first) or makes a new one (K2), and opens it. Partitions of a KRaft
 * node without its metadata log are an error (E_INVALID), and nothing is made. */
int mlog_open(struct mlog *l, struct world *w, struct logs *logs, const struct conf *conf, struct why *why);
/* Newest valid snapshot and the log after it into r. */
int mlog_replay(struct mlog *l, struct replay *r, struct why *why);
/* The records of bootstrap.checkpoint, framed, for a log without any; defaults where the file is missing. */
int mlog_bootstrap(struct mlog *l, struct arena *a, struct slice **records, int *n, struct why *why);
/* K5: a new epoch in quorum-state, synced; then the LeaderChange record, which goes with the next append: one sync for both. */
int mlog_lead(struct mlog *l, struct why *why);
/* Appends whole batches and syncs. */
int mlog_append(struct mlog *l, struct bytes *batches, int32_t records);
/* Adds one batch of records to out, as of offset `base`. */
void mlog_batch(struct mlog *l, const struct slice *records, int n, int64_t base, struct bytes *out);
/* Is it time for a snapshot? */
bool mlog_snapshot_due(const struct mlog *l);
/* Writes one of the image, which is that of the log's end, and drops what only older ones need. Failure leaves all as it was. */
int mlog_snapshot(struct mlog *l, const struct image *im, const struct kept *k, struct why *why);
void mlog_close(struct mlog *l);
/* The same replay, without a log that is open, and without writing: as far as it goes, also when it ends with an error. */
int mlog_look(struct mlog *l, struct world *w, struct look_log *files, int32_t node_id, struct arena *a, struct replay *r,
              int *skipped, struct why *why);
