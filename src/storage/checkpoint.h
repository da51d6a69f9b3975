/* checkpoint: the offset checkpoint files in the root of a log directory, and the text form they share with
 * leader-epoch-checkpoint.
 *
 *   recovery-point-offset-checkpoint   below it the segments are synced (J9)
 *   log-start-offset-checkpoint        log start offset, where it is not the first segment's base
 *   replication-offset-checkpoint      high watermark (≤ durable)
 *   cleaner-offset-checkpoint          first offset the cleaner has not looked at
 *
 * Text: "0" (version), the number of entries, then "topic partition offset" lines. A damaged file is as good as none: it costs
 * time, never data, and never a start. Threads: any; blocks. */
#pragma once
#include <odradek/base.h>

#define CHECKPOINT_RECOVERY  "recovery-point-offset-checkpoint"
#define CHECKPOINT_START     "log-start-offset-checkpoint"
#define CHECKPOINT_WATERMARK "replication-offset-checkpoint"
#define CHECKPOINT_CLEANER   "cleaner-offset-checkpoint"

struct checkpoint_entry {
    struct slice topic;
    int32_t partition;
    int64_t offset;
};

/* Reads <dir>/<name>. Entries are sorted by topic and partition, unique (the last line wins), and live in the arena. 0 (a
 * missing or empty file has no entries); E_CORRUPT with the reason, or an I/O error: no entries either, so a caller may just
 * log it. */
int checkpoint_read(struct fs *fs, const char *dir, const char *name, struct arena *a, struct checkpoint_entry **entries, int *n,
                    struct why *why);
int checkpoint_parse(struct slice text, struct arena *a, struct checkpoint_entry **entries, int *n, struct why *why);
int64_t checkpoint_find(const struct checkpoint_entry *entries, int n, struct slice topic, int32_t partition); /* -1: not there */

/* Writes <dir>/<name>: tmp, datasync, rename, sync_dir. In the order given. */
int checkpoint_write(struct fs *fs, const char *dir, const char *name, const struct checkpoint_entry *entries, int n);
void checkpoint_format(const struct checkpoint_entry *entries, int n, struct bytes *out); /* appends */

/* The lines of such a file: begins with version 0 and a count, hands out the lines' fields. For epochs.c too. */
struct checkpoint_lines {
    struct slice rest;
    int64_t count; /* announced */
    int64_t line;  /* 1-based, of what was handed out last */
};
int checkpoint_lines_begin(struct checkpoint_lines *l, struct slice text,
                           struct why *why); /* 0; count -1: the file is empty; E_CORRUPT */
/* 1 and `fields` filled with exactly `want` fields; 0 at the end (E_CORRUPT when the count was another); E_CORRUPT. */
int checkpoint_lines_next(struct checkpoint_lines *l, struct slice *fields, int want, struct why *why);
int checkpoint_int(struct slice s, int64_t min, int64_t max,
                   int64_t *out); /* 0 or E_INVALID: decimal, as Java's parseLong takes it */
