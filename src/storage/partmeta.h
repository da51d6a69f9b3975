/* partmeta: names of partition directories, and `partition.metadata` with the topic id (K6). Threads: any; blocks where it
 * takes a fs. */
#pragma once
#include <odradek/base.h>

/* partition.metadata: "version: 0\ntopic_id: <22 characters>" without a newline at the end, as Kafka writes it. read: 0;
 * E_NOT_FOUND (ZooKeeper era; or a creation cut short); E_CORRUPT with the reason (no file Kafka would take either); E_IO. */
int partmeta_read(struct fs *fs, const char *dir, struct uuid *topic_id, struct why *why);
int partmeta_parse(struct slice text, struct uuid *topic_id, struct why *why);
#define PARTMETA_FILE "partition.metadata"
void partmeta_format(struct uuid topic_id, struct bytes *out); /* appends the file's text */
int partmeta_write(struct fs *fs, const char *dir,
                   struct uuid topic_id); /* tmp, datasync, rename, sync_dir of dir; not of its parent (J8) */

/* Directory names: <topic>-<n>, and <topic>-<n>.<32 hex digits>-delete, -stray, -future. */
enum partname_kind { PARTNAME_LIVE, PARTNAME_DELETE, PARTNAME_STRAY, PARTNAME_FUTURE };
enum { PARTNAME_MAX = 256, TOPIC_NAME_MAX = 249 }; /* a name with its NUL: file names have at most 255 bytes */
struct partname {
    enum partname_kind kind;
    struct slice topic; /* of the text given; of a DELETE or STRAY one possibly cut short */
    int32_t partition;
};
int partname_parse(struct slice name, struct partname *out); /* 0 or E_INVALID: not a partition directory */
bool topic_name_valid(struct slice topic);                   /* 1–249 of [a-zA-Z0-9._-], not "." or ".." */

/* 0; E_INVALID: longer than a file name may be (a topic of 249 characters has room for partitions below 100,000). */
int partname_format(char out[PARTNAME_MAX], struct slice topic, int32_t partition);
/* kind ≠ LIVE; the unique part is id in hex. DELETE and STRAY cut the topic so that the whole has at most 255 bytes, as Kafka
 * does; FUTURE of a topic too long for it does the same (Kafka would fail). */
void partname_format_kind(char out[PARTNAME_MAX], struct slice topic, int32_t partition, enum partname_kind kind, struct uuid id);
