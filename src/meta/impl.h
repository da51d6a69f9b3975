/* impl: what the meta worker's files share.
 *
 * The happy path of a change: meta_submit queues it; the worker's turn takes all that wait, runs each on the image that the ones before it
 * made, stages a batch each; one append and one sync for all; partitions are deleted and made on disk; the last image is published; all
 * are answered. It can fail in two places: run refuses (only that change is out), or the append does (all of the group are, and the images
 * made for them are dropped). */
#pragma once
#include "mlog.h"

#include <pthread.h>

enum { PUBLISH_MAX = 8 };

struct meta {
    struct world *w;
    struct logs *logs;
    struct conf *conf; /* static */
    struct image_env env;
    struct mlog log;        /* worker's */
    struct kept kept;       /* worker's */
    int64_t producer_floor; /* K10: above every id in the logs; -1: nobody needed it yet; worker's */
    int64_t broker_epoch;
    int dirs_n;
    struct uuid *dir_ids; /* of the log directories; constant */
    int32_t *load;        /* partitions per log directory, worker's: where the next one goes */
    struct worker *worker;

    pthread_mutex_t mu; /* all below */
    pthread_cond_t cv;  /* a change without a home is done */
    struct list queue;  /* of struct meta_change */
    bool closing;
    struct image *current;
    _Atomic int64_t version; /* of current */
    bool *offline;           /* per log directory: at open, or reported since */
    bool offline_news;
    struct {
        void (*fn)(void *arg, const struct image *im);
        void *arg;
    } publish[PUBLISH_MAX];
    int publish_n;
};

struct meta_edit {
    struct meta *m;
    const struct image *image;
    struct arena arena;
    struct slice *recs; /* framed records, in arena */
    int recs_n, recs_cap;
    size_t bytes;
};
void edit_init(struct meta_edit *e, struct meta *m, const struct image *im);
void edit_free(struct meta_edit *e);
void edit_raw(struct meta_edit *e, struct slice value); /* a framed record, copied */
/* TopicRecord, ConfigRecords, PartitionRecords with this id; dirs (one per partition, or NULL) say where logs lie already. */
void edit_topic_as(struct meta_edit *e, struct slice name, struct uuid id, int32_t partitions, const struct image_config *configs,
                   int32_t configs_n, const int *dirs);
/* The settings Kafka gives this internal topic (K9) and how many partitions; false: not an internal topic. In the edit's arena. */
bool internal_topic(const struct conf *conf, struct slice name, struct arena *a, struct image_config **configs, int *configs_n,
                    int32_t *partitions);

/* Batches of an edit as they follow one another from offset `base`; *records is how many offsets they take. */
void edit_encode(struct meta_edit *e, int64_t base, struct bytes *out, int32_t *records);
/* The image after an edit; NULL and the reason when a record does not apply. */
struct image *edit_apply(struct meta_edit *e, int64_t last_offset, struct why *why);
/* Hands the edit's other records to the kept ones. After the append. */
void edit_keep(struct meta_edit *e, int64_t base);

/* Which log directory has this id; -1 none. */
int dir_of(const struct meta *m, struct uuid id);
struct uuid dir_id(const struct meta *m, int dir);
bool dir_online(struct meta *m, int dir);
/* The directory of a partition that the image no longer has, and whose log is not open, leaves the disk; conf is the broker's. 0, E_NOT_FOUND
 * when it is not there, or why it stays. */
int partition_remove(struct meta *m, const struct conf *conf, struct slice topic, struct uuid id, int32_t partition, int dir,
                     struct why *why);
int dir_choose(struct meta *m); /* for a new partition: the one with the fewest */

/* takeover.c: from the replayed image to one whose partitions are all ours and open. Ends with *im, not yet published. */
int64_t producer_floor(struct meta *m, const struct image *im); /* looks into every log; blocks */
int takeover(struct meta *m, struct replay *r, struct image **im, struct why *why);
