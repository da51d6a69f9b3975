/* txidx: the index of aborted transactions of one segment, <20 digits>.txnindex.
 *
 * One entry of 34 bytes for each transaction whose ABORT marker is in the segment, in the order of the markers:
 *   0  int16  version = 0
 *   2  int64  producer id
 *  10  int64  first offset of the transaction
 *  18  int64  last offset: its marker
 *  26  int64  last stable offset when the marker was written
 * The file exists only when there is an entry. Derived data: rebuilt by replaying the log through pstate (append what
 * pstate_apply reports).
 *
 * Functions open, work and close; nothing is kept open. Threads: appends and truncation by the log's owner; readers at any
 * time: a half-written entry at the end is not seen. Errors: negative enum err. */
#pragma once
#include <odradek/base.h>

enum { TXIDX_ENTRY_SIZE = 34 };
struct txidx_entry {
    int64_t producer_id;
    int64_t first, last; /* offsets */
    int64_t stable;
};

/* Appends n entries; last offsets must rise within the file (E_INVALID). Not synced. A torn entry at the end is overwritten. */
int txidx_append(struct fs *fs, const char *path, const struct txidx_entry *e, int n);
int txidx_sync(struct fs *fs, const char *path); /* datasync; 0 when there is no file. The directory is the caller's (J8) */

/* How many entries; 0 when there is no file. */
int64_t txidx_count(struct fs *fs, const char *path);

/* Aborted transactions that a read of [from, upto) must leave out, added to *out. `upto` is the exclusive end of what is
 * returned. *complete when no later segment can hold more: else go on with the next segment's file. E_CORRUPT when an entry's
 * version is not ours. */
struct txidx_found { /* zero it, set arena */
    struct arena *arena;
    struct txidx_entry *v;
    int n, cap;
};
int txidx_collect(struct fs *fs, const char *path, int64_t from, int64_t upto, struct txidx_found *out, bool *complete);

/* Drops entries whose marker is at or above `offset`; 0 when there is no file. */
int txidx_truncate(struct fs *fs, const char *path, int64_t offset);

/* E_CORRUPT with the reason: size no multiple of 34, a version other than 0, a marker below the segment's base or not rising,
 * first > last. Then remove and rebuild. 0 when there is no file. */
int txidx_check(struct fs *fs, const char *path, int64_t base, struct why *why);

void txidx_encode(const struct txidx_entry *e, uint8_t out[TXIDX_ENTRY_SIZE]);
int txidx_decode(const uint8_t in[TXIDX_ENTRY_SIZE], struct txidx_entry *out); /* E_CORRUPT: version */
