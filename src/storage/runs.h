/* runs: which quorum epochs were runs of this broker, one after the other: `odradek.runs` in the root of the directory that holds the metadata log
 * (JOURNAL.md J14). A journal in a directory that was missing for some starts is of an older epoch than quorum-state names; with this it is known that
 * nobody else led since, so nobody else wrote there. And when every log was in order, with its recovery point on the disk, under an epoch of ours, it
 * is known that past R no compaction has been. A clean stop says as much: with one log directory it takes the note away.
 *
 * Two slots of 4096 bytes, big-endian, written in turn and in place: a full disk refuses neither, and a torn one leaves the other.
 *
 *    0  8  "ODRRUNS1"                 48 32  cluster id, padded with zeroes
 *    8  4  CRC-32C of [12, 96)        80  8  generation, +1 each time
 *   12  4  version, 1                 88  4  first epoch
 *   16 16  directory id               92  4  last epoch
 *   32  4  settled epoch; -1          36 12  0
 *
 * Threads: start-up; blocks. */
#pragma once
#include "journal.h"

#define RUNS_FILE "odradek.runs"

struct runs {
    int64_t generation;
    int32_t first, last; /* [first, last] were ours, or of nobody who wrote anything */
    int32_t settled;     /* the newest epoch, of these, under which every log's recovery point was put on the disk; -1 */
};
/* 0; E_NOT_FOUND: no file; E_CORRUPT: no whole slot, or of another directory or cluster; or an I/O error. */
int runs_read(struct fs *fs, const char *dir, struct uuid id, const char cluster[JOURNAL_CLUSTER], struct runs *out);
/* Is the note about all runs up to now, given what quorum-state and the metadata log name? An epoch of somebody else would stand in the metadata log,
 * before anything else was written under it; one of ours that is not noted yet wrote nothing. */
static inline bool runs_unbroken(const struct runs *r, int32_t quorum_epoch, int32_t log_epoch)
{
    return r->generation > 0 && quorum_epoch >= r->last && log_epoch <= r->last;
}
/* The oldest epoch of which a journal may be. That of quorum-state by itself: whoever starts a broker here raises it. */
static inline int32_t runs_since(const struct runs *r, int32_t quorum_epoch, int32_t log_epoch)
{
    return runs_unbroken(r, quorum_epoch, log_epoch) ? r->first : quorum_epoch;
}
int runs_remove(struct fs *fs, const char *dir); /* not durable; 0 or -errno */
/* Durable when it returns 0. there: the file is; else it is made. Then r->generation is one more; when it fails the slot it was
 * written to is written again, and the other one stays. */
int runs_write(struct fs *fs, const char *dir, struct uuid id, const char cluster[JOURNAL_CLUSTER], bool there, struct runs *r);
