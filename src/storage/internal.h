/* What the files of storage share: log directories, partition logs, and the seams between appending, committing, maintaining, reading.
 *
 * Locks, taken in rising order only:
 *   1 plog.maint   maintenance of one log: sealing, retention, deletion, recovery; held across system calls, workers (and a first use) only
 *   2 lane.step    one step of a lane of a directory's commit at a time; held across system calls, workers only
 *   3 plog.mu      the tail state; never across a system call
 *   4 leaves       log_dir.write_mu, lane.mu, cooler.mu, journal.mu, house.mu, logs.mu, fdcache.mu: nothing is taken under them (fdcache.mu under none of
 *                  ours)
 * The append queue is no lock but an ownership (plog.q): only its owner writes to the active segment, rolls, and touches pend_*, run, next. */
#pragma once
#include "checkpoint.h"
#include "epochs.h"
#include "fdcache.h"
#include "journal.h"
#include "pstate.h"
#include "runs.h"
#include "seg.h"
#include <errno.h>
#include <odradek/storage.h>

/* A worker that other threads kick, and that goes while some of them still run. */
struct kicked {
    _Atomic(struct worker *) w;
    _Atomic int busy; /* kicks under way */
};
static inline void kick(struct kicked *k)
{
    atomic_fetch_add(&k->busy, 1);
    struct worker *w = atomic_load(&k->w);
    if (w) worker_kick(w);
    atomic_fetch_sub(&k->busy, 1);
}
static inline bool kick_able(struct kicked *k) { return atomic_load(&k->w) != NULL; }
void kick_stop(struct kicked *k); /* nobody finds it any more; then worker_stop */

/* ---- one partition log ------------------------------------------------------------------------------------------------------------ */

enum q_state {
    Q_FREE,
    Q_RUNNING, /* somebody is draining it, on some thread */
    Q_HANDED   /* owned by the write worker's list; may be taken over by a worker */
};

/* One entry for the journal, encoded: what one run of the queue wrote to a segment. */
struct staged {
    struct staged *next;
    int64_t first, last;
    size_t n;
    uint8_t bytes[]; /* entry header and batches */
};

/* What a plog keeps per loop that uses it: appends of the present turn, and watchers. Touched at home only but for armed, posted. */
struct plog_node {
    struct plog_node *next;
    struct plog *log;
    struct waker *home;
    struct list staged; /* of struct append */
    struct post append; /* deferred to PHASE_APPEND while staged is not empty */
    bool deferred;
    struct list on[WATCH_KINDS]; /* of struct watch, by enum watch_on, rising offsets */
    size_t watchers;
    _Atomic bool armed;  /* watchers > 0 */
    _Atomic bool posted; /* fire is on its way */
    struct post fire;
};

struct plog {
    _Atomic uint32_t refs;
    struct logs *logs;
    struct log_dir *dir;
    char *name; /* <topic>-<partition> */
    char *topic;
    struct uuid topic_id;
    int32_t partition;
    char *path;

    pthread_mutex_t mu; /* all down to `nodes` */
    int64_t start, durable, watermark, stable, end;
    int64_t flushed; /* the segments themselves are fdatasynced below it (J9); ≤ durable, which the journal may have made so */
    int64_t durable_seq; /* newest group when `durable` was published: it and older ones hold nothing at or above durable */
    struct staged *staged, **staged_end; /* [durable, end) for the next group, unless `unstaged` (J1, J3) */
    size_t staged_n;
    bool unstaged;     /* something appended since the last capture is not staged: all of it goes direct (J1) */
    bool no_journal;   /* the metadata log (J12) */
    int64_t mark_base; /* file position of the watermark: segment and bytes */
    uint32_t mark_at;
    int64_t end_bytes, mark_bytes; /* appended in this run, up to the end and up to the watermark */
    int32_t leader_epoch;
    _Atomic bool gone; /* changes under mu */
    bool offline;
    _Atomic bool
        warm; /* files were looked at: producer state, epochs and the active segment are loaded. Set under mu, and never unset */
    bool listed;   /* its directory was looked into: segments, has_snapshots are known; unset, nobody touches them */
    int broken;    /* it could not be, or not be opened, after the start: the error */
    bool appended; /* in this run */
    bool fresh;    /* its creation is perhaps not synced yet: no checkpoint names it, nothing is appended */
    _Atomic bool
        unmade; /* promised: it has no files yet, or none that are synced; not listed. Unset under mu and maint, and never set again */
    uint64_t generation;   /* +1 whenever file positions readers remember may be wrong */
    struct segment **segs; /* rising bases; the last one is active */
    int segs_n, segs_cap;
    struct pstate ps;
    struct epochs epochs;
    bool epochs_dirty; /* leader-epoch-checkpoint must be written before the next batch (K5) */
    bool epochs_idle;  /* only because of an epoch that begins at the end: without a batch of it, it need not be written at all */
    struct topic_conf conf;
    enum q_state q;
    struct list queue; /* of struct append */
    int q_waiters;
    pthread_cond_t q_cv;
    bool dirty_queued;      /* linked in a lane of the directory's commit */
    bool committing;        /* captured, and not published yet: it is in no other commit */
    bool commit_again;      /* asked for meanwhile */
    struct list dirty_link; /* under lane.mu */
    int64_t debt;           /* bytes counted in dir->debt by appends, and not synced in the segments yet (J20) */
    int64_t unflushed;      /* records appended since the last capture (flush.messages > 1) */
    int64_t flush_due_us;   /* flush.ms; INT64_MAX: not waiting */

    bool has_snapshots;      /* a snapshot file exists or a producer id was seen: the clean stop writes one (K3) */
    int64_t newest_snapshot; /* found at open; -1: none */

    _Atomic(struct plog_node *) nodes; /* grows only */

    /* Under dir->journal.mu. */
    struct list journal_link; /* in journal.owing, with a reference, while groups hold what its segments are not known to */
    int64_t journal_from, journal_last; /* first and last group that may */

    /* Queue owner's. */
    int64_t next; /* next offset to give */
    struct pstate_run run;
    struct bytes pend_off, pend_time;
    struct list write_link; /* in dir->write_list while Q_HANDED */

    /* The cleaner's, under mu. */
    int64_t dirty_from; /* first offset not cleaned yet; -1: the checkpoint was not asked yet; -2: it does not say */
    bool uncleanable;   /* something in it cannot be cleaned: left alone for the rest of this run */

    /* Maintenance. */
    pthread_mutex_t maint;
    int64_t recovery_point; /* R as last put on disk (maint or start-up) */
    int64_t start_floor;    /* log start that is being made durable; ≥ start */
    struct list house_link; /* under house.mu */
    bool house_queued;
    struct list make_link;     /* under house.mu: in house.unmade, with a reference */
    struct list all_link;      /* under logs.mu */
    struct map_node name_node; /* in logs.by_name, under logs.mu */
};

/* ---- commit: capture → make durable → publish ------------------------------------------------------------------------------------- */

/* One log in one commit: what was captured in its critical section (J2). */
struct commit_log {
    struct plog *log; /* one reference */
    int64_t end;
    int64_t base; /* file position of `end` */
    uint32_t at;
    int64_t bytes; /* end_bytes then */
    bool journal;  /* its bytes are `staged`, [durable, end); else its segments are synced (J1) */
    struct staged *staged;
};
/* One thing to sync. */
struct commit_job {
    struct segment *seg;    /* its .log; one reference; NULL: the directory of `log` */
    uint32_t written, cuts; /* of seg, as captured */
    struct plog *log;       /* borrowed from the commit_log */
    bool done;
};
enum commit_phase { COMMIT_IDLE, COMMIT_GROUP, COMMIT_SYNC, COMMIT_MAKE };
enum { COMMIT_HELPERS = 7 };
/* Small appends do not wait for the syncs of large ones: what goes by the journal has one lane, what goes direct the other. A log is in one commit at
 * a time. */
enum lane_kind { LANE_GROUP, LANE_DIRECT, LANES };
struct lane {
    struct commit *commit;
    struct log_dir *dir;
    enum lane_kind kind;
    pthread_mutex_t step; /* whoever holds it makes a step; down to jobs_cap */
    enum commit_phase phase;
    struct commit_log *logs;
    int logs_n, logs_cap;
    int files; /* logs with something to commit, of this commit */
    struct worker *helpers[COMMIT_HELPERS];
    int helpers_n;
    struct commit_job *jobs;
    int jobs_cap;
    pthread_mutex_t mu; /* down to rc */
    pthread_cond_t cv;
    struct list dirty; /* of plog.dirty_link, each with a reference */
    int jobs_n, jobs_next, jobs_running;
    int rc;               /* of the first job that failed */
    bool short_of_files;  /* a job could not open what it has to sync: it is tried again */
    _Atomic bool waiting; /* for descriptors: the house kicks it */
    struct kicked worker;
};
struct commit {
    struct lane lane[LANES];
};

/* The journal while running. Groups are written under the group lane's step, one at a time (J6). */
enum journal_state {
    JOURNAL_OFF,   /* not wanted, or there is no room: every commit goes direct */
    JOURNAL_NONE,  /* made when a commit has to sync more than one file (J17) */
    JOURNAL_READY, /* appends are staged */
    JOURNAL_CLOSED /* no further group; what it holds is synced in the segments (J17) */
};
struct journal {
    struct log_dir *dir;
    _Atomic int state; /* enum journal_state; changed under a lane's step: made by the direct one, closed by the other */
    int fd;
    int direct;    /* the same, past the page cache; -1: it cannot be done here */
    uint8_t *page; /* DIRECT_MAX bytes for what goes there; the group lane's */
    char *path;
    struct journal_ids ids;
    int64_t max; /* bytes the file may grow to */
    pthread_mutex_t mu;
    struct ring ring;
    int64_t next, done; /* seq of the next group; of the newest whose sync returned */
    int64_t told;       /* oldest live seq as that one says */
    struct list owing;  /* of plog.journal_link, rising journal_from */
    struct iovec *iov;  /* the group lane's */
    int iov_cap;
    struct kicked syncer;
};

/* The page cache window of a log directory (cool.c). */
struct cooler {
    struct kicked worker;
    int64_t hot;        /* bytes of the window */
    bool measures;      /* whether releasing pays; else it is decided */
    pthread_mutex_t mu; /* what follows */
    struct list pieces; /* oldest first */
    int64_t paged;      /* bytes of pieces ever: the window's clock */
    bool releasing;
    int64_t since, skip, bytes, us; /* of large runs: since the last change; not to be measured; measured, and their time */
    int64_t retry;                  /* bytes until releasing is tried again */
    int against;                    /* measurements in a row that say it does not pay */
    double fresh, reused;           /* us a byte, when last measured; 0: never */
};

/* ---- directories --------------------------------------------------------------------------------------------------------------------- */

struct log_dir {
    struct logs *logs;
    int i;
    char *path;
    struct uuid id;
    int lock_fd;
    bool old; /* meta.properties is of version 0 until logs_adopt */
    bool was_clean;
    bool points_there;         /* the checkpoint of recovery points was, and could be read */
    _Atomic bool marker_there; /* the clean marker is still on disk (K3) */
    int64_t broker_epoch;
    _Atomic bool failed; /* J6: for the rest of this run */
    bool failure_told;   /* house */
    struct fdcache fds;
    _Atomic int64_t debt;    /* bytes written to synced logs and not durable yet (J20) */
    _Atomic int64_t room_us; /* when the file system was last asked for room */
    _Atomic bool full;
    _Atomic int partitions;
    struct commit commit;
    struct journal journal;
    struct kicked writer;
    pthread_mutex_t write_mu;
    struct list write_list;
    struct cooler cooler;
    pthread_mutex_t cut_mu; /* the file of cut tails */
    struct arena arena;     /* of the checkpoints as they were found */
    struct checkpoint_entry *recovery, *starts, *cleaner;
    int recovery_n, starts_n, cleaner_n;
    bool *recovery_taken,
        *starts_taken; /* under logs.mu: that log was opened or made in this run and speaks for itself; the others' entries are kept */
    /* How many entries shall go from the checkpoints on the disk; how many of them those are without. */
    _Atomic uint64_t forgets, forgotten;
    _Atomic bool unopened; /* a log could not be opened: the clean stop leaves no marker (K3) */
};

/* Files or directories to be removed later (file.delete.delay.ms). */
struct doomed {
    struct list link;
    int64_t due_us;
    struct log_dir *dir;
    bool tree;
    char *path; /* of a directory, or of a segment's files without the suffix: <dir>/<20 digits> */
};

struct house { /* maintenance: one shared worker, woken by whoever has work for it and by a timer on a loop of its own */
    struct kicked worker;
    struct loop *loop;
    struct timer timer;
    struct post arm;
    _Atomic bool arm_posted;
    _Atomic int64_t flush_due_us; /* earliest flush.ms; INT64_MAX */
    int64_t checkpoint_due_us, retain_due_us, expire_due_us;
    int64_t make_due_us;    /* not before: there was no room, or no descriptor */
    _Atomic int64_t due_us; /* when the timer shall fire */
    pthread_mutex_t mu;
    struct list plogs;  /* of plog.house_link, each with a reference: to be sealed */
    struct list doomed; /* of struct doomed */
    struct list unmade; /* of plog.make_link, each with a reference: promised logs, to be made */
    struct worker *prefaulter;
    struct list prefault; /* of struct prefault */
    struct plog **look;   /* [look_at, look_n): trusted logs to be looked into, each with a reference; worker's */
    int look_at, look_n;
    _Atomic int64_t look_due_us;
    void (*on_broken)(void *arg);
    void *on_broken_arg;
    bool dirs_failed;
    void (*on_offline)(void *arg, int dir, bool all_gone);
    void *on_offline_arg;
    pthread_mutex_t checkpoint_mu; /* one writer of checkpoint files at a time */
};

enum page_cache { PAGE_CACHE_AUTO, PAGE_CACHE_WINDOW, PAGE_CACHE_KERNEL };

struct settings {
    enum page_cache page_cache;
    int64_t dirty_max, disk_reserve, hot, journal_max;
    int64_t scrub_ms, scrub_rate; /* interval, 0: never; bytes a second */
    int64_t checkpoint_ms, retain_ms, expire_check_ms, producer_expire_ms;
    int recovery_threads;
};

struct logs {
    struct world *world;
    struct fs *fs;
    struct settings set;
    char cluster_id[128];
    int32_t node_id;
    int dirs_n;
    struct log_dir *dirs;
    pthread_mutex_t mu;
    struct list all;    /* of plog.all_link, each with a reference (l's own) */
    struct map by_name; /* of plog.name_node: the same logs */
    bool begun;
    _Atomic bool closing;
    _Atomic bool opened; /* the start has opened every log there is */
    _Atomic int64_t max_producer_id;
    struct house house;
    struct scrub *scrub;     /* scrub.h; NULL: never */
    struct cleaner *cleaner; /* clean.h */
    struct logs_truth truth; /* what the metadata log said (J12, J14) */
    bool runs_there;         /* odradek.runs is, beside the metadata log */
    struct runs runs; /* generation as found; [first, last]: journals of these epochs are ours and of nobody else since (J14) */
    bool was_settled; /* since then nobody else compacted above R */
    _Atomic int32_t quorum_epoch; /* of this run; -1: not known, no journal is made */
};

enum { RUN_MAX_BYTES = 256 * 1024, RUN_MAX_APPENDS = 256, WRITE_MAX_BYTES = 8 * 1024 * 1024, DRAIN_ROUNDS = 8 };

static inline int64_t now_us(const struct logs *l) { return l->world->clock->mono_us(l->world->clock); }
static inline int64_t now_ms(const struct logs *l) { return l->world->clock->wall_ms(l->world->clock); }
static inline bool dir_failed(const struct log_dir *d) { return atomic_load_explicit(&d->failed, memory_order_acquire); }

/* J6: from here on nothing of this directory is acknowledged, moved or retried. Any thread; the telling happens on the house worker. Returns
 * E_OFFLINE. */
int dir_fail(struct log_dir *d, const char *what, const char *path, int err);
/* For want of something that may be there later: no reason to give a directory up. */
static inline bool err_passes(int rc) { return rc == E_NO_SPACE || rc == E_NO_MEMORY || rc == E_NO_FILES; }
/* -errno of an open (never of a sync) that may succeed later. */
static inline bool open_passes(int rc) { return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM; }
/* Syncs a directory in d, or d itself: 0 or -errno. -EMFILE and -ENFILE are of its open, after idle descriptors were given up for it: nothing was tried to
 * be synced. All others are final (J6). */
int dir_sync(struct log_dir *d, const char *path);
int dir_open(struct log_dir *d, const char *path, int flags); /* a file past the cache: a descriptor or -errno, likewise */
static inline bool dir_sync_passes(int rc) { return rc == -EMFILE || rc == -ENFILE; }
/* rc of reading p's files: a disk that cannot read (E_IO) takes the directory offline, as in Kafka: E_OFFLINE then. */
static inline int plog_read_failed(struct plog *p, int rc) { return rc == E_IO ? dir_fail(p->dir, "read", p->path, rc) : rc; }

/* ---- plog.c ---- */
struct plog *plog_new(struct log_dir *d, const struct plog_spec *spec);                      /* not registered; no file touched */
static inline bool plog_synced(const struct plog *p) { return p->conf.flush_messages == 1; } /* under mu */
struct segment *plog_active(struct plog *p);                                                 /* under mu; borrowed */
void plog_add_segment(struct plog *p, struct segment *s); /* takes the reference; under mu or unshared */
int plog_seg_at(const struct plog *p,
                int64_t offset); /* under mu: index of the segment that may hold offset; -1 before the first */
/* After end, durable or the watermark changed: LSO follows. Under mu. */
void plog_tail_moved(struct plog *p);
/* Looks into the directory of a log that a clean start trusted: is it there, is it this topic's, which segments. 0 or negative; E_NOT_FOUND: it is
 * not made yet, and empty. May block; any thread without locks. */
int plog_list(struct plog *p);
int plog_list_locked(struct plog *p);  /* the same under maint; E_GONE: it is deleted, or about to be */
int plog_list_deleted(struct plog *p); /* the same, also when it is gone: for the deletion itself, before the name goes */
/* rc of opening p: a log that was taken for good, and cannot be opened or made, is told once, and whoever leads it hears of it. Returns rc. */
int plog_break(struct plog *p, int rc, const struct why *why);
/* Makes the log usable: first use after a clean start (nothing was opened then), or of one that was only promised: readers ask plog_unmade first. 0 or
 * negative. May block; any thread without locks. */
int plog_warm(struct plog *p);
int plog_warm_locked(struct plog *p); /* the same under maint; E_GONE as above */
static inline bool plog_is_warm(const struct plog *p) { return atomic_load_explicit(&p->warm, memory_order_acquire); }
/* A deletion takes maint before it gives the name away: whoever holds maint and finds p not gone may go by its path. */
static inline bool plog_is_gone(const struct plog *p) { return atomic_load_explicit(&p->gone, memory_order_acquire); }
static inline bool plog_unmade(const struct plog *p) { return atomic_load_explicit(&p->unmade, memory_order_acquire); }
/* The epoch in force begins at the end; under mu. */
void plog_enter_epoch(struct plog *p);
int plog_write_epochs(struct plog *p); /* queue owner: when the table is dirty. Blocks */

/* ---- logs.c ---- */
/* What the directory's checkpoints said of logs that were not opened in this run, added to entries; under logs.mu. */
int dir_unopened(const struct log_dir *d, bool starts, struct checkpoint_entry *out); /* how many; out NULL: only counts */
bool plog_name_eq(const struct map_node *n, const void *key);
struct plog **logs_all(struct logs *l, int *n);        /* a reference to every log there is; the caller's, for logs_drop */
struct plog **logs_all_locked(struct logs *l, int *n); /* the same, under logs.mu */
void logs_drop(struct plog **v, int n);
void logs_settle(struct logs *l); /* house: every log was open, and then every directory's recovery points were put on the disk */
void logs_cluster(const struct logs *l, char out[JOURNAL_CLUSTER]); /* the cluster id, padded with zeroes */

/* ---- watch.c ---- */
struct plog_node *plog_node_of(struct plog *p, struct waker *home); /* at home */
void plog_notify(struct plog *p);                                   /* without locks: posts to the loops that watch */

/* ---- queue.c ---- */
void queue_append_phase(struct plog_node *nd); /* at home, PHASE_APPEND: what was staged in this turn */
void queue_own(struct plog *p);                /* worker: waits until the queue is its own */
void queue_release(struct plog *p);            /* and lets it go on */
int queue_roll(struct plog *p);                /* owner: a new active segment at the end */
enum turn writer_turn(void *arg);              /* of struct log_dir */
void queue_poke_writer(struct log_dir *d);
void queue_debt_fell(struct log_dir *d, int64_t before); /* the writer may have slept over it (J20) */
struct batch_head;
void plog_offsets_locked(const struct plog *p, struct plog_offsets *out); /* under mu */
/* What pstate wants to know of a batch that has, or will have, `first` as its base offset. `whole` is read only for control batches. */
void pbatch_of(const uint8_t *whole, const struct batch_head *h, int64_t first, struct pstate_batch *b);
int plog_before_write(struct plog *p); /* worker: the clean marker goes before the first write (K3), also before logs_begin */

/* ---- commit.c ---- */
/* ---- cool.c ---- */
void cool_init(struct log_dir *d);
void cool_start(struct log_dir *d);
void cool_stop(struct log_dir *d);
void cool_free(struct log_dir *d);
void cool_wrote(struct plog *p, struct segment *s, bool rest); /* the queue's owner: s has grown; rest: it will not grow again */
void cool_read(struct plog *p, struct segment *s, uint32_t from, uint32_t to); /* this was read in from the disk */
int64_t cool_began(struct log_dir *d, uint32_t n);                             /* around the append of n bytes */
void cool_ended(struct log_dir *d, uint32_t n, int64_t began);
void cool_forget(struct plog *p, const struct segment *s); /* s (NULL: all of p) is deleted */
void commit_init(struct commit *c, struct log_dir *d);
void commit_free(struct commit *c);
void commit_start(struct commit *c);
void commit_stop(struct commit *c);
void commit_want(struct plog *p);    /* links p for the next commit and starts it; without locks */
bool commit_step(struct commit *c);  /* worker: one step; false: nothing to do, or nothing that can be done now */
enum { FILES_RETRY_US = 50 * 1000 }; /* when descriptors or memory were short */
void commit_retry(struct commit *c); /* house: lanes that wait for descriptors try again */

/* ---- journal.c ---- */
enum { STAGE_BATCH_MAX = 32 * 1024, STAGE_LOG_MAX = 128 * 1024 }; /* above them a log goes direct: README.md has the figures */
void journal_init(struct journal *j, struct log_dir *d);
void journal_free(struct journal *j);
void journal_start(struct journal *j); /* the sync worker */
void journal_stop(struct journal *j);
static inline bool journal_ready(struct log_dir *d)
{
    return atomic_load_explicit(&d->journal.state, memory_order_acquire) == JOURNAL_READY;
}
/* The entry of a run that was just written: n bytes in v at position `at` of the segment at base. Queue owner, without locks. */
struct staged *journal_stage(const struct plog *p, int64_t base, uint32_t at, int64_t first, int64_t last, const struct iovec *v,
                             int v_n, size_t n);
void staged_free(struct staged *s);     /* the whole chain */
bool journal_wanted(struct log_dir *d); /* would it be made? */
void journal_make(struct journal *j);   /* direct lane: NONE -> READY, or OFF when there is no room */
/* Group lane: one group of everything staged in its logs: 0, durable; 1: not possible now, these logs go direct; or -errno, final (J6). */
int journal_write(struct journal *j, const struct lane *c);
int64_t journal_done(struct journal *j); /* seq of the newest group whose sync returned */
void journal_settle(struct journal *j);  /* a commit is over: kicks the sync worker when there is much to do */
/* All that groups hold of p is synced in its segments: released (J7). Under p->mu; true: the list's reference is the caller's now. */
bool journal_unlist(struct plog *p);
void journal_gone(struct plog *p); /* p is deleted: released, and it owes nothing any more */
bool journal_sync_oldest(
    struct journal *j); /* syncs the log that holds the oldest group: false when none does, or it must wait for a commit */
int journal_remove(struct journal *j); /* clean stop, nothing is owed: 0 or -errno */
/* Under mu: a sync of s succeeded that was begun when it had written and cuts. */
void plog_synced_to(struct plog *p, struct segment *s, uint32_t written, uint32_t cuts);
static inline bool seg_owes(const struct segment *s)
{
    return s->written > s->synced || s->cuts != s->cuts_synced;
} /* under mu */
/* Worker: syncs the segments up to durable; groups up to *seq hold nothing of p any more that is not in them. 0, E_OFFLINE, or E_NO_FILES or
 * E_NO_MEMORY: later. */
int plog_sync(struct plog *p, int64_t *seq);

/* ---- journal_replay.c ---- */
int journal_replay(struct log_dir *d, struct why *why); /* before anything of the directory is touched (J11–J14). Blocks */

/* ---- logs.c ---- */
int logs_look_into(struct plog *p,
                   struct why *why); /* under maint or unshared: from a directory to listed segments, cold or recovered */

/* Makes the files of promised logs, those that are so still, and syncs them side by side; behind: nobody waits. Worker, without locks. What of it fails
 * stays as it is, and is told. */
void logs_make(struct logs *l, struct plog **v, int n, bool behind);
enum { MAKE_BATCH = 56 }; /* maint of all is held: with what is locked inside no more than the 64 that ThreadSanitizer follows */
int logs_make_locked(struct plog *p); /* one, under maint: 0 or negative */

/* ---- house.c ---- */
void house_promise(struct plog *p); /* to be made behind */
int house_start(struct logs *l);
void house_stop(struct logs *l);
void house_init(struct logs *l);
void house_free(struct logs *l);
void house_add(struct plog *p); /* p has something to seal */
void house_kick(struct logs *l);
void house_flush_at(struct logs *l, int64_t due_us);                               /* a log wants to be flushed by then */
void house_arm(struct logs *l);                                                    /* the due times changed; any thread */
void house_doom(struct log_dir *d, const char *path, bool tree, int64_t delay_ms); /* removes it later */
int house_checkpoint_dir(struct log_dir *d);
int plog_seal(struct plog *p);                                /* worker, under maint: J9, J16 */
int64_t plog_recovery_point(struct plog *p);                  /* what R may be now */
int plog_drop_segments(struct plog *p, int n, int64_t start); /* under maint: the first n */

/* ---- read.c ---- */
enum turn prefault_turn(void *arg); /* of struct logs */

/* ---- recover.c ---- */
/* Finds the segments of an existing log by a directory listing, without opening a file; deletes or completes what a cleaner or a deletion left. */
int recover_list(struct plog *p, struct why *why);
/* After a clean stop: end is what the recovery point says, nothing is opened (plog_warm does that). False: it does not say. */
bool recover_cold(struct plog *p);
/* The whole way from listed segments to a usable log. trusted: the last stop was clean, and nothing past R is expected; a log that contradicts
 * this is recovered as after a crash. Blocks; under maint or unshared. */
int recover_plog(struct plog *p, bool trusted, struct why *why);
/* The first segment of a log without any: created, not synced. */
int recover_first_segment(struct plog *p, int64_t base, struct why *why);
