/* identity: who a log directory belongs to: `meta.properties` and `.lock`.
 *
 * meta.properties, version 1 (KRaft): version, cluster.id, node.id, directory.id. Version 0 (ZooKeeper era): broker.id for
 * node.id; cluster.id may be missing. Version 0 files are read and become version 1 when the metadata log knows their topics (logs_adopt).
 * Threads: start-up only. */
#pragma once
#include <odradek/base.h>

enum { IDENTITY_CLUSTER_MAX = 128 };
struct identity {
    int version;                           /* 0 or 1 */
    char cluster_id[IDENTITY_CLUSTER_MAX]; /* "" : none (version 0 only) */
    int32_t node_id;                       /* -1: none (version 0 only) */
    struct uuid directory_id;              /* zero: none */
};

int identity_parse(struct slice text, struct identity *out, struct why *why);        /* 0 or E_CORRUPT */
void identity_format(const struct identity *id, int64_t wall_ms, struct bytes *out); /* appends the file as Kafka writes it */
int identity_read(struct fs *fs, const char *dir, struct identity *out, struct why *why); /* 0, E_NOT_FOUND, E_CORRUPT, E_IO */
int identity_write(struct fs *fs, const char *dir, const struct identity *id, int64_t wall_ms); /* atomic, durable */

/* Agreement over all log directories and the config.
 *   cluster id: cluster_id (config, CLUSTER_ID) or the directories' or a new one; node id: node_id (config) or the
 *     directories' or 1.
 *   E_INVALID with a text that names the directory when two contradict each other or the config, or two directories
 *             share a directory.id.
 * On success every dirs[i].id is whole and version 1; `changed` tells which files have to be written (new, version 0, or
 * without directory.id). */
struct identity_dir {
    const char *path;   /* in */
    bool present;       /* in: id was read from the directory */
    struct identity id; /* in, out */
    bool changed;       /* out */
};
int identity_resolve(struct identity_dir *dirs, int n, struct slice cluster_id, int32_t node_id, struct rnd *rnd,
                     struct why *why);

/* Takes <dir>/.lock (K1). A descriptor to keep open (closing it releases), or E_LOCKED with a text for the operator, or E_IO. */
int identity_lock(struct fs *fs, const char *dir, struct why *why);
