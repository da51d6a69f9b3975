/* seg: one segment of a partition log: <20 digits>.log with its sparse .index and .timeindex, in Kafka's formats.
 *
 *   .index      8 bytes an entry: int32 last offset of a batch − base, int32 file position where that batch begins
 *   .timeindex  12 bytes an entry: int64 largest timestamp so far, int32 last offset of the batch that has it − base
 *
 * Index entries are born in memory (`tail`) and written behind, by whoever maintains the log; readers look in the tail under the log's
 * mutex and in the file without it. No preallocation, no mmap. What is below the published size never changes.
 *
 * Owner: struct plog's list, commits, and readers' ranges count references. Fields marked (mu) are under the log's mutex. */
#pragma once
#include "fdcache.h"
#include <odradek/batch.h>

struct log_dir;
struct plog;

enum { OFF_ENTRY = 8, TIME_ENTRY = 12, SEG_PATH = 4400, TRAILS = 8 };
enum seg_file { SEG_LOG, SEG_OFF, SEG_TIME, SEG_TXN, SEG_SNAPSHOT };

struct sidx {
    struct fdent file;
    uint32_t saved;    /* (mu) entries in the file; what follows is in the tail */
    struct bytes tail; /* (mu) encoded entries not written yet */
};

/* What decides about index entries: carried from batch to batch. A run works on a copy and publishes it when the write succeeded. */
struct sgauge {
    uint32_t since; /* bytes since the last index entry */
    uint32_t off_n, time_n;
    int64_t max_ts, max_ts_offset; /* largest so far and the last offset of its batch; -1: none */
    int64_t time_last;             /* timestamp of the last time index entry; -1: none */
    int64_t first_ts;              /* of the first batch: what segment.ms counts from; -1: none */
    bool has_first;
};

struct segment {
    _Atomic uint32_t refs;
    struct log_dir *dir;
    struct plog *log; /* valid while it is in log's list or the caller holds the log */
    int64_t base;
    struct fdent file;
    struct sidx off, time;
    uint32_t size;                 /* (mu) bytes published */
    struct sgauge gauge;           /* (mu) of the published bytes */
    int64_t created_ms, jitter_ms; /* of segment.ms */
    int64_t mtime_ms;              /* of the file when it was found; for retention of records without timestamps */
    uint32_t noted;                /* queue owner's: of size, what cool_wrote has heard of */
    bool loaded;                   /* (mu) gauge and index counts are known */
    uint32_t written, synced;      /* (mu) as of the last append of this run; below that its bytes are fdatasynced (J9) */
    uint32_t cuts, cuts_synced;    /* (mu) failed appends cut off (J11), and those whose cutting is fdatasynced */
    bool entry_unsynced;           /* (mu) its name is not durable yet (J8) */
    bool sealed;                   /* (mu) never appended again */
    bool saved;                    /* (mu) sealed, and its indexes and the snapshot at its end are durable (J9) */
    bool rebuild;                  /* (mu) its offset index is wrong or short: build it anew */
    bool unsaved; /* (mu) its index files say something else than we know: a close writes them, if only to make them shorter */
    bool deleted; /* (mu) out of the list; files renamed or gone */
    bool held;    /* its files are pinned until the last reference goes (seg_hold) */
    /* where small reads ended: offset − base in the upper half, file position in the lower; 0: none */
    _Atomic uint64_t trails[TRAILS];
    struct bytes snapshot; /* (mu) producer state at base, to be written once durable reaches it (J16) */
};

struct segment *seg_new(struct plog *p, int64_t base); /* one reference; no file is touched */
static inline struct segment *seg_ref(struct segment *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}
void seg_unref(struct segment **s); /* nulls; the last one closes the files */

void seg_path(const struct segment *s, enum seg_file f, char out[SEG_PATH]);
void seg_path_in(const char *dir, int64_t base, enum seg_file f, char out[SEG_PATH]);
/* "<20 digits><suffix>" -> base; the suffix's number, or -1 when the name is none of a segment's. */
int seg_name_parse(struct slice name, int64_t *base);

/* Pins the .log open; a descriptor or -errno. */
int seg_pin(struct segment *s, bool create);
void seg_unpin(struct segment *s);
/* Pins the .log and both indexes until the last reference goes, opening them by their names and a suffix: another segment is about to get the
 * names, or this one to get them. 0 or -errno (then nothing is pinned). Maintenance only. */
int seg_hold(struct segment *s, const char *suffix);
void seg_unhold(struct segment *s); /* not any longer; harmless when not held */

/* Would this batch, ending at offset `last`, at file position `at`, get index entries? They are added to off/time. */
void seg_note(int64_t base, uint32_t interval, struct sgauge *g, int64_t last, uint32_t at, uint32_t size, int64_t max_ts,
              struct bytes *off, struct bytes *time);
/* The closing entry of the time index, as Kafka adds on roll and close. */
void seg_note_close(int64_t base, struct sgauge *g, struct bytes *time);

/* Reads what the index files say (counts, largest timestamp); a missing or senseless one is rebuilt from the log. Needs the log's mutex
 * released; publishes under it. 0 or negative enum err. May block. */
int seg_load(struct segment *s);
/* The same without rebuilding: 1, or 0 when the files are missing or senseless, and nothing is known then. */
int seg_load_saved(struct segment *s);
/* File position of a batch at or before the one that holds `offset`: from the index, 0 when it says nothing. May read. *from_index: it was not
 * the default. */
int seg_lookup(struct segment *s, int64_t offset, uint32_t *at);
/* Largest time index entry with timestamp ≤ ts: its offset; base when there is none. */
int seg_lookup_time(struct segment *s, int64_t ts, int64_t *offset);
/* Writes tail entries to the files; all of them, or when at least `least` wait. Maintenance only (one caller at a time). */
int seg_write_indexes(struct segment *s, uint32_t least);
/* Writes all, trims the files to it and syncs them. */
int seg_save_indexes(struct segment *s);
/* Builds both indexes anew from the log into the tails (files count as empty). Maintenance only. */
int seg_rebuild(struct segment *s);

/* ---- walking a file batch by batch ---------------------------------------------------------------------------------------------- */

struct walk {
    struct fs *fs;
    int fd;
    int64_t at, limit; /* position of the next batch; end of what may be read */
    /* private */
    uint8_t *buf;
    size_t cap;
    int64_t buf_at;
    size_t buf_n;
    bool own; /* buf is on the heap and may grow */
};
/* With a caller's buffer (≥ 128 bytes) for headers only, or buf NULL for one on the heap. */
void walk_begin(struct walk *w, struct fs *fs, int fd, int64_t at, int64_t limit, void *buf, size_t cap);
/* The batch at w->at: 1 with its header (and, whole: its bytes, valid until the next call); 0 at the limit; E_CORRUPT_MESSAGE where no whole batch
 * stands; E_IO. Moves on only by walk_skip. */
int walk_peek(struct walk *w, struct batch_head *h, const uint8_t **whole);
static inline void walk_skip(struct walk *w, const struct batch_head *h) { w->at += h->size; }
/* After E_CORRUPT_MESSAGE: moves on to the next whole v2 batch with a right checksum and an offset of the segment at `base`: 1 with its header; 0:
 * there is none; or E_IO. */
int walk_resync(struct walk *w, struct batch_head *h, int64_t base);
void walk_end(struct walk *w);
