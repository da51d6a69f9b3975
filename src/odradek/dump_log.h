/* dump_log: `odradek dump-log`, what Apache Kafka's kafka-dump-log prints of the files of a log directory, as its text or as JSON lines.
 *
 * Reads segments (.log), their indexes (.index, .timeindex, .txnindex), producer snapshots (.snapshot) and metadata snapshots
 * (.checkpoint); a directory stands for all such files in it. Nothing is ever written (Kafka's tool trims indexes and creates missing
 * ones). Bytes are not trusted: what cannot be read is told with its file, and reading goes on behind it.
 *
 * Text is Kafka's, line for line. It differs where Kafka's tool would end with a stack trace: then one line says what is wrong, the
 * rest of the file and the other files follow, and the exit code is 1. A corrupt producer snapshot also makes it 1 (there it is 0). */
#pragma once
#include <odradek/base.h>

enum dump_decoder {
    DUMP_PLAIN,    /* keys and values as UTF-8 */
    DUMP_OFFSETS,  /* records of __consumer_offsets */
    DUMP_TXN,      /* __transaction_state */
    DUMP_SHARE,    /* __share_group_state */
    DUMP_METADATA, /* __cluster_metadata */
    DUMP_REMOTE,   /* __remote_log_metadata */
};

struct dump_opts {
    const char **files; /* files and directories; borrowed */
    int files_n;
    const char *cwd; /* what relative names are relative to, for messages that give whole names; borrowed */
    enum dump_decoder decoder;
    bool json;
    bool print_data;    /* keys and values */
    bool deep;          /* records, not only batches */
    bool skip_metadata; /* keys and values alone */
    bool index_sanity;  /* only what a broker checks of an index at start */
    bool verify_only;   /* compare indexes with the log, print only differences */
    int32_t max_message_size;
    int32_t max_bytes;   /* of each log; INT32_MAX = all */
    int64_t inflate_max; /* decompressed bytes of one batch; 0 = 512 MiB */
};
#define DUMP_OPTS                                                   \
    {                                                               \
        .max_message_size = 5 * 1024 * 1024, .max_bytes = INT32_MAX \
    }

/* Where the output goes, in pieces. error: what Kafka prints to stderr (nothing with json). */
struct dump_sink {
    void (*write)(struct dump_sink *s, bool error, struct slice text);
};

/* 0, or 1 when something could not be read (it was told). */
int dump_log(struct fs *fs, const struct dump_opts *o, struct dump_sink *sink);

/* Reads the arguments behind `dump-log` into *o; files and strings are borrowed from argv or lie in the arena.
 * 0; 1: help was asked for; E_INVALID and w says why. */
int dump_log_options(int argc, char **argv, struct arena *a, struct dump_opts *o, struct why *w);

/* The whole sub-command, on the real files and stdout: an exit code. argv begins behind `dump-log`. */
int dump_log_main(int argc, char **argv);
