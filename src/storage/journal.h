/* journal: the commit journal of a log directory, `odradek.journal` in its root. One write and one sync make a group of small appends durable,
 * whatever number of logs they went to; their segments are synced behind it (JOURNAL.md J1–J20; README.md has the format).
 *
 *   journal_format.c  groups and entries as bytes, and finding them again in a file: no I/O
 *   journal_ring.c    where in the file the next group may stand: no I/O
 *   journal.c         the file while running: staging, writing groups, syncing segments behind them, growing
 *   journal_replay.c  what a crash left, before anything else of the directory is touched */
#pragma once
#include <odradek/base.h>

#define JOURNAL_FILE  "odradek.journal"
#define JOURNAL_STALE "odradek.journal.stale"
#define JOURNAL_HURT  "odradek.journal.damaged"

/* ---- groups as bytes ---------------------------------------------------------------------------------------------------------------------
 *
 * Big-endian, as Kafka's formats are. A group begins at a multiple of 4096 and is followed by zeroes up to one (J4).
 *
 *   group header                                       entry header, its bytes follow
 *     0  8  "ODRJRNL1"                                   0 16  topic id
 *     8  4  CRC-32C of [12, length)                     16  4  partition
 *    12  2  header version, 1                           20  4  length of the bytes
 *    14  2  kind: 1 group, 2 filler                     24  8  base offset of the segment
 *    16 16  directory id                                32  4  position of the bytes in the segment's .log
 *    32 16  run id, random                              36  4  0
 *    48 32  cluster id, padded with zeroes              40  8  first offset
 *    80  4  quorum epoch of the run                     48  8  last offset
 *    84  4  entries                                     56     the batches, as in the segment
 *    88  8  seq, 1 for the first of a run
 *    96  8  oldest live seq
 *   104  8  length: this header and the entries
 *
 * A filler stands where the ring's end is too near for the next group, which begins at 0: its length is what it skips, its CRC covers the header
 * alone, its seq is the next group's. */
enum { JOURNAL_BLOCK = 4096, JOURNAL_HEAD = 112, JOURNAL_ENTRY = 56, JOURNAL_CLUSTER = 32 };
enum journal_kind { JOURNAL_GROUP = 1, JOURNAL_FILLER = 2 };

struct journal_ids { /* whose a group is: everything must match (J5) */
    struct uuid dir, run;
    char cluster[JOURNAL_CLUSTER];
    int32_t epoch;
};
struct journal_head {
    struct journal_ids ids;
    enum journal_kind kind;
    int32_t entries;
    int64_t seq, oldest, length;
};
struct journal_entry {
    struct uuid topic_id;
    int32_t partition;
    int64_t base; /* of the segment */
    uint32_t at;
    int64_t first, last;
    uint32_t n;
    const uint8_t *bytes; /* borrowed */
};

/* body continues the checksum over the entries, wherever they lie; NULL: there are none, or it is a filler. */
typedef uint32_t journal_crc_of(void *arg, uint32_t crc);
void journal_put_head(uint8_t out[JOURNAL_HEAD], const struct journal_head *h, journal_crc_of *body, void *arg);
void journal_put_entry(uint8_t out[JOURNAL_ENTRY], const struct journal_entry *e);
/* Is there a group or filler at p, whole and with the right checksum, within n bytes? */
bool journal_get_head(const uint8_t *p, size_t n, struct journal_head *h);
/* The entry at *at of a group's body; moves on. 1; 0 at the end; E_CORRUPT. */
int journal_get_entry(const uint8_t *group, const struct journal_head *h, size_t *at, struct journal_entry *e);
static inline int64_t journal_padded(int64_t n) { return (n + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK; }
bool journal_ids_eq(const struct journal_ids *a, const struct journal_ids *b);

/* What stands in a file's bytes: the groups from the oldest live up to the newest are the chain. */
struct journal_found {
    struct journal_head head;
    const uint8_t *p; /* borrowed of the file's bytes */
};
struct journal_scan {
    struct journal_ids ids; /* of the newest group */
    bool mixed;             /* groups of several owners or runs: nobody's */
    int n;                  /* chain, rising seq */
    struct journal_found *v;
    int64_t oldest, newest; /* seqs; newest 0: there is no whole group */
    int64_t missing;        /* a seq of the chain that is not whole: damage (J13); 0: none */
};
void journal_scan(const uint8_t *file, size_t n, struct journal_scan *out);
void journal_scan_free(struct journal_scan *s);

/* ---- the ring ---------------------------------------------------------------------------------------------------------------------------------
 *
 * Groups stand one behind the other; [tail, head) is in use, once around at most. A group's room is taken back when a synced group has said
 * that a later one is the oldest live (J7). One block is always spared, so that a group without entries can say so in a full ring. */
struct ring_group {
    int64_t seq, at, len;
};
struct ring {
    int64_t size;  /* in use */
    int64_t grown; /* of the file; taken over where the ring would wrap */
    int64_t head;
    struct ring_group *v; /* circular: those whose bytes may not be overwritten, oldest first */
    int first, n, cap;
};
struct ring_spot {
    int64_t at;
    int64_t filler; /* where a filler goes first; -1: none */
    int64_t size;   /* of the ring from then on */
};
void ring_init(struct ring *r, int64_t size);
void ring_free(struct ring *r);
/* A place for len (padded) bytes: false when there is none. spare: may the spared block be used? Nothing is changed yet. */
bool ring_find(const struct ring *r, int64_t len, bool spare, struct ring_spot *s);
void ring_take(struct ring *r, const struct ring_spot *s, int64_t seq, int64_t len);
void ring_forget(struct ring *r, int64_t oldest); /* a synced group said so: the room of older ones is free (J7) */
int64_t ring_used(const struct ring *r);
/* Bytes from group seq to the newest. */
int64_t ring_since(const struct ring *r, int64_t seq);
