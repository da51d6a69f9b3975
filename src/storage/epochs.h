/* epochs: which leader epoch began at which offset, and `leader-epoch-checkpoint`. Semantics of Kafka's LeaderEpochFileCache.
 *
 * The file is text: "0", the number of entries, then "epoch start" lines. Embedded in a log, usually one or two entries.
 * Threads: no lock of its own; the log's mutex protects it. Only load and write do I/O: under the mutex call epochs_encode,
 * then write outside. A change is durable before anything relies on it: the entry of a new epoch before its first batch (K5). */
#pragma once
#include <odradek/base.h>

struct epoch_entry {
    int32_t epoch;
    int64_t start; /* first offset of the epoch */
};
struct epochs {            /* zero it to initialise */
    struct epoch_entry *v; /* both rising */
    int n, cap;
};
void epochs_free(struct epochs *e);

/* The log continues in `epoch` from `start`. Entries that contradict (epoch ≥ or start ≥ the new one's) are dropped, as Kafka
 * does. True when the table changed and must be written. Negative arguments are refused (false). */
bool epochs_assign(struct epochs *e, int32_t epoch, int64_t start);
/* Forgets entries that begin at or after `end` (the log was cut there). True when changed. */
bool epochs_truncate_end(struct epochs *e, int64_t end);
/* The log now starts at `start`: of the entries at or before it only the last stays, moved to `start`. True when changed. */
bool epochs_truncate_start(struct epochs *e, int64_t start);

int32_t epochs_latest(const struct epochs *e);             /* -1: none */
int32_t epochs_at(const struct epochs *e, int64_t offset); /* epoch of that offset; -1: none known */
/* OffsetForLeaderEpoch: *found = largest known epoch ≤ asked and *end = where it ended (log_end for the latest); an epoch
 * older than all: (asked, first start known); unknown or newer than all: (-1, -1). */
void epochs_end(const struct epochs *e, int32_t epoch, int64_t log_end, int32_t *found, int64_t *end);

void epochs_encode(const struct epochs *e, struct bytes *out); /* appends the file's text */
/* Replaces *e. E_CORRUPT with the reason, then *e is empty: the segments' batches tell. Empty text is an empty table. */
int epochs_decode(struct epochs *e, struct slice text, struct why *why);

#define EPOCHS_FILE "leader-epoch-checkpoint"
/* <dir>/leader-epoch-checkpoint. A missing file is an empty table (0). */
int epochs_load(struct epochs *e, struct fs *fs, const char *dir, struct why *why);
int epochs_write(struct fs *fs, const char *dir, struct slice text); /* tmp, datasync, rename, sync_dir. Blocks */
