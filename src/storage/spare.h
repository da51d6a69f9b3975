/* spare: a little room put by, so that a start succeeds on a full disk.
 *
 * A start must write: the quorum's state, its own registration, checkpoints. While there is room a log directory keeps `odradek.spare`, SPARE_BYTES of
 * nothing; a start that finds less than that free gives it up first, and it is made again when there is room. Kafka ignores it. */
#pragma once
#include <odradek/base.h>

#define SPARE_FILE "odradek.spare"
enum { SPARE_BYTES = 512 * 1024 };

void spare_give_up(struct fs *fs, const char *dir); /* when the disk is full; says so in the log */
/* When it is not there and twice as much as `reserve` and itself is free. Best effort. */
void spare_make(struct fs *fs, const char *dir, int64_t reserve);
