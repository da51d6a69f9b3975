/* What the parts of dump-log share. */
#pragma once
#include "dump_log.h"

#include <odradek/batch.h>
#include <odradek/wire.h>

/* What is said when all files are through, by kind and file, as Kafka does. */
enum dump_note {
    NOTE_INDEX,      /* offset in the index, offset in the log */
    NOTE_TIME,       /* timestamp in the index, in the log */
    NOTE_TIME_ORDER, /* timestamp, the one before */
    NOTE_TIME_LOST,  /* offset in the index, next offset in the log or -1 */
    NOTE_GAP,        /* offset, the one that follows it */
    NOTE_KINDS
};
struct dump_pair {
    int64_t a, b;
};
struct dump_notes {
    struct dump_notes *next;
    struct slice path; /* absolute; in d->names */
    struct dump_pair *v;
    size_t n, cap;
};

struct dump {
    struct fs *fs;
    const struct dump_opts *o;
    struct dump_sink *sink;
    struct bytes out;   /* not yet given to the sink */
    struct arena names; /* for the whole run */
    struct dump_notes *notes[NOTE_KINDS], **notes_end[NOTE_KINDS];
    bool failed;
    /* of the file at hand */
    const char *path;
    const char *name; /* its last part */
    struct dump_notes *now[NOTE_KINDS];
    /* reused */
    struct bytes batch, inflated, legacy, json, ordered, line, err;
    struct arena arena; /* emptied for each record */
};

void dump_flush(struct dump *d);
static inline void dump_end_line(struct dump *d)
{
    wr_u8(&d->out, '\n');
    if (d->out.n > 64 * KiB) dump_flush(d);
}
void dump_error(struct dump *d, const char *fmt, ...) PRINTF(2, 3); /* something could not be read: told with the file's name */
void dump_note(struct dump *d, enum dump_note kind, int64_t a, int64_t b);
struct slice dump_absolute(struct dump *d, const char *path);            /* in d->names, NUL-terminated */
int dump_open(struct dump *d, const char *path, int *fd, int64_t *size); /* 0, or an error, which was told */
bool dump_base_offset(struct dump *d, int64_t *base); /* from the file's name; false, and told, if there is none */

/* ---- a log's batches, one after another ------------------------------------------------------------------------------------ */

struct dump_walk {
    int fd;
    int64_t at, end; /* bytes of the file */
    const char *path;
};
struct dump_batch {
    int64_t at; /* position in the file */
    struct batch_head h;
    bool header_whole; /* else the file ends within the header */
};
/* 1 and the header of the next batch, 0 when none begins here, or an error, which was told. */
int dump_walk_next(struct dump *d, struct dump_walk *w, struct dump_batch *b);
int dump_batch_load(struct dump *d, const struct dump_walk *w,
                    const struct dump_batch *b); /* into d->batch; 0 or an error, told */
static inline int64_t dump_batch_last(const struct dump_batch *b)
{
    return (int64_t)((uint64_t)b->h.base_offset + (uint64_t)(int64_t)b->h.last_offset_delta);
}
int dump_batch_iter(struct dump *d, struct record_iter *it); /* over d->batch; as record_iter_init */

/* ---- the kinds of files ------------------------------------------------------------------------------------------------------ */

void dump_segment(struct dump *d); /* .log and .checkpoint */
void dump_index(struct dump *d);
void dump_time_index(struct dump *d);
void dump_txn_index(struct dump *d);
void dump_producer_snapshot(struct dump *d);

/* ---- decoding records ---------------------------------------------------------------------------------------------------------- */

/* A key or a value as it is printed. */
struct dump_part {
    bool there;
    bool error; /* it could not be decoded, text says why */
    struct slice text;
    struct slice json; /* a whole JSON value; null: text is it, as a string */
};
/* In d->arena. E_INVALID: the decoder cannot take such a record at all. */
int dump_decode(struct dump *d, const struct record *r, struct dump_part *key, struct dump_part *value);
/* Appends what Kafka prints of a control record; with json the members of an object. E_CORRUPT or E_MALFORMED: it is damaged. */
int dump_control(struct dump *d, const struct record *r, struct bytes *out);

/* ---- text ---------------------------------------------------------------------------------------------------------------------- */

void dump_utf8(struct bytes *out, struct slice s); /* as Java reads UTF-8: what is none becomes U+FFFD */
bool dump_is_utf8(struct slice s);
void dump_json_string(struct bytes *out, struct slice s);                  /* quoted; read as dump_utf8 does */
void dump_json_bytes(struct bytes *out, const char *name, struct slice s); /* "name":"text", or "nameBase64":"…" */
/* Appends wire_print's JSON as Kafka's converters write it: numbers and escapes as Java has them. `swap` may replace the value of a
 * member: it appends another one and returns true. */
/* Appends an object with its members in this order. */
void dump_json_order(struct bytes *out, struct slice json, const char *const *names);
typedef bool dump_swap(void *arg, struct slice member, struct bytes *out);
void dump_json_java(struct bytes *out, struct slice json, dump_swap *swap, void *arg);
