/* marker: `.kafka_cleanshutdown` in the root of a log directory (K3): the last thing a clean stop writes, the first thing a
 * start removes. Content {"version":0,"brokerEpoch":N}; older Kafka left an empty file. Threads: start-up and stop; blocks. */
#pragma once
#include <odradek/base.h>

/* present: the file is there, whatever it holds. broker_epoch: -1 when it holds none (old, empty or unreadable content). 0 or
 * an I/O error. */
int marker_read(struct fs *fs, const char *dir, bool *present, int64_t *broker_epoch);
int marker_write(struct fs *fs, const char *dir,
                 int64_t broker_epoch); /* written, datasynced, renamed into place, directory synced */
int marker_remove(
    struct fs *fs,
    const char *dir); /* and the directory synced, also when there was none: a removal of a former run may not be durable */
