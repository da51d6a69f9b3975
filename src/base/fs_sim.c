/* Files in memory that lose what was not synced.
 *
 * An inode has two states: what programs see, and what is on the disk. Between them stands the list of changes not yet synced, in
 * order: writes and truncations of a file, new and removed names of a directory. datasync(fd) carries a file's changes over, but not
 * its name; sync_dir(path) carries the names, but no content. A power loss settles every list by the seed (settle_file, settle_names):
 * changes are kept, dropped, reordered, or torn by sectors, a file may have grown without its bytes. Then programs see the disk.
 *
 * A rename is one change: both names or neither, carried over by syncing the directory it leads to.
 *
 * A datasync that fails by sim_fault leaves its changes neither pending nor (all) on the disk, as Linux does: the next datasync
 * succeeds and does nothing. `forget` then shows what the disk has.
 *
 * Descriptors are numbers no kernel gives, never reused: using a closed one is -EBADF, one from before a power loss -EIO. */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

enum { SECTOR = 512, PAGE = 4096, FD_BASE = 1 << 24, DEPTH_MAX = 64 };
#define SPACE_ENDLESS (1LL << 40)

struct change { /* of a file's content */
    struct list link;
    bool is_truncate;
    int64_t at; /* truncate: the new size */
    size_t n;
    uint8_t data[];
};

struct content {
    uint8_t *p; /* bytes past size, within cap, are zero */
    int64_t size;
    size_t cap;
};

struct inode;
struct name {
    char *text;
    struct inode *to;
};
struct names { /* sorted */
    struct name *p;
    size_t n, cap;
};

struct inode {
    struct list all; /* in fs_sim.inodes */
    uint64_t id;
    bool is_dir;
    int links;   /* names seen by programs */
    int handles; /* open descriptors */
    int disk;    /* names on the disk, and changes that mention it */
    bool locked;
    int64_t mtime_ms;
    struct content seen, on_disk; /* files */
    struct list changes;
    struct names names, disk_names; /* directories */
};

struct name_change { /* of a directory's names, in order, for all directories */
    struct list link;
    struct inode *dir; /* syncing this one carries it over */
    char *name;
    struct inode *to;       /* what the name leads to; NULL: the name is removed */
    struct inode *from_dir; /* a rename: this name goes in the same step */
    char *from_name;
};

struct handle {
    struct inode *inode;
    bool write, lock, stale;
    bool direct;
    char *path;
};

struct fs_sim {
    struct fs table;
    struct sim *sim;
    struct sim_rng rng;
    struct list inodes;
    uint64_t next_inode;
    struct inode *root;
    struct list name_changes;
    struct handle *handles; /* by fd - FD_BASE */
    size_t n_handles, cap_handles;
    int64_t calls;
    struct sim_fault fault;
    int64_t space; /* free bytes; -1 = endless */
};

static struct fs_sim *of(struct fs *fs) { return container_of(fs, struct fs_sim, table); }

struct fs *fs_sim_table(struct fs_sim *f) { return &f->table; }

/* ---- counting and failing ---- */

static void trace(struct fs_sim *f, enum sim_op op, uint64_t what, uint64_t more)
{
    sim_trace(f->sim, (uint64_t)op);
    sim_trace(f->sim, what);
    sim_trace(f->sim, more);
}

static uint64_t trace_bytes(const void *p, size_t n) { return hash_with((struct hash_key){ 1, 0x9e3779b97f4a7c15u }, p, n); }

/* 0, or the error this call must fail with. */
static int counted(struct fs_sim *f, enum sim_op op, const char *path)
{
    struct sim_fault *x = &f->fault;
    f->calls++;
    if (x->nth == 0 || (x->ops && !(x->ops & (unsigned)op)) || (x->path && !strstr(path, x->path))) return 0;
    if (x->nth > 1) {
        x->nth--;
        return 0;
    }
    if (!x->sticky) x->nth = 0;
    trace(f, op, 0xfa11, 0);
    return x->err < 0 ? x->err : -EIO;
}

static int counted_path(struct fs_sim *f, enum sim_op op, const char *path)
{
    trace(f, op, trace_bytes(path, strlen(path)), 0);
    return counted(f, op, path);
}

void sim_fault(struct world *w, struct sim_fault f) { w->sim->files->fault = f; }
int64_t sim_fs_calls(const struct world *w) { return w->sim->files->calls; }
void sim_space(struct world *w, int64_t available) { w->sim->files->space = available; }

/* ---- space ---- */

static void space_give(struct fs_sim *f, int64_t n)
{
    if (f->space >= 0) f->space += n;
}

/* How many of n bytes there is room for; they are taken. */
static int64_t space_take(struct fs_sim *f, int64_t n)
{
    if (f->space < 0) return n;
    n = MIN(n, f->space);
    f->space -= n;
    return n;
}

/* ---- content ---- */

static void content_size(struct content *c, int64_t size)
{
    if ((size_t)size > c->cap) {
        size_t cap = MAX((size_t)size, c->cap * 2);
        c->p = mem_realloc(c->p, cap);
        memset(c->p + c->cap, 0, cap - c->cap);
        c->cap = cap;
    }
    if (size < c->size) memset(c->p + size, 0, (size_t)(c->size - size));
    c->size = size;
}

static void content_write(struct content *c, int64_t at, const void *p, size_t n)
{
    if (n == 0) return;
    if (at + (int64_t)n > c->size) content_size(c, at + (int64_t)n);
    memcpy(c->p + at, p, n);
}

static void content_copy(struct content *to, const struct content *from)
{
    content_size(to, from->size);
    if (from->size) memcpy(to->p, from->p, (size_t)from->size);
}

/* ---- inodes ---- */

static struct inode *inode_new(struct fs_sim *f, bool is_dir)
{
    struct inode *i = new (struct inode);
    i->id = ++f->next_inode;
    i->is_dir = is_dir;
    i->mtime_ms = f->sim->clock.wall_ms(&f->sim->clock);
    list_init(&i->changes);
    list_push(&f->inodes, &i->all);
    return i;
}

static void drop_changes(struct inode *i)
{
    for (struct list *n; (n = list_pop(&i->changes));) mem_free(container_of(n, struct change, link));
}

static void names_free(struct names *d)
{
    for (size_t i = 0; i < d->n; i++) mem_free(d->p[i].text);
    mem_free(d->p);
    *d = (struct names){ 0 };
}

static void inode_delete(struct inode *i)
{
    list_remove(&i->all);
    drop_changes(i);
    mem_free(i->seen.p);
    mem_free(i->on_disk.p);
    names_free(&i->names);
    names_free(&i->disk_names);
    mem_free(i);
}

static void inode_check(struct fs_sim *f, struct inode *i);

static void names_leave(struct fs_sim *f, struct names *d, bool seen)
{
    for (size_t k = 0; k < d->n; k++) {
        if (seen) d->p[k].to->links--;
        else d->p[k].to->disk--;
        inode_check(f, d->p[k].to);
    }
    names_free(d);
}

/* An inode that nothing leads to goes, and lets go of what its own names lead to. */
static void inode_check(struct fs_sim *f, struct inode *i)
{
    if (i->links || i->handles || i == f->root) return;
    if (!i->is_dir && i->seen.size > 0) { /* gone for programs: its room is free */
        space_give(f, i->seen.size);
        drop_changes(i);
        content_size(&i->seen, 0);
    }
    if (i->disk) return;
    struct names seen = i->names, on_disk = i->disk_names;
    i->names = i->disk_names = (struct names){ 0 };
    inode_delete(i);
    names_leave(f, &seen, true);
    names_leave(f, &on_disk, false);
}

/* ---- names ---- */

static size_t names_at(const struct names *d, const char *text, bool *found)
{
    size_t lo = 0, hi = d->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(d->p[mid].text, text);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    *found = false;
    return lo;
}

static struct inode *names_get(const struct names *d, const char *text)
{
    bool found;
    size_t i = names_at(d, text, &found);
    return found ? d->p[i].to : NULL;
}

/* Returns what the name led to before. */
static struct inode *names_set(struct names *d, const char *text, struct inode *to)
{
    bool found;
    size_t i = names_at(d, text, &found);
    if (found) {
        struct inode *was = d->p[i].to;
        if (to) {
            d->p[i].to = to;
        } else {
            mem_free(d->p[i].text);
            memmove(d->p + i, d->p + i + 1, (d->n - i - 1) * sizeof(struct name));
            d->n--;
        }
        return was;
    }
    if (!to) return NULL;
    if (d->n == d->cap) {
        d->cap = MAX(d->cap * 2, 8);
        d->p = mem_realloc(d->p, d->cap * sizeof(struct name));
    }
    memmove(d->p + i + 1, d->p + i, (d->n - i) * sizeof(struct name));
    d->p[i] = (struct name){ mem_strdup(slice_of(text)), to };
    d->n++;
    return NULL;
}

static void see_name(struct fs_sim *f, struct inode *dir, const char *name, struct inode *to)
{
    if (to) to->links++;
    struct inode *was = names_set(&dir->names, name, to);
    dir->mtime_ms = f->sim->clock.wall_ms(&f->sim->clock);
    if (was) {
        was->links--;
        inode_check(f, was);
    }
}

static void disk_name(struct fs_sim *f, struct inode *dir, const char *name, struct inode *to)
{
    if (to) to->disk++;
    struct inode *was = names_set(&dir->disk_names, name, to);
    if (was) {
        was->disk--;
        inode_check(f, was);
    }
}

/* A path, walked: the directory that holds its last name, and what the name leads to now (NULL: nothing yet). */
struct walked {
    struct inode *dir, *inode;
    char name[256];
};

static int walk(struct fs_sim *f, const char *path, struct walked *out)
{
    struct inode *stack[DEPTH_MAX];
    int depth = 0;
    stack[0] = f->root;
    *out = (struct walked){ .dir = f->root, .inode = f->root };
    for (const char *at = path; *at;) {
        while (*at == '/') at++;
        size_t n = strcspn(at, "/");
        if (n == 0) break;
        const char *name = at;
        at += n;
        if (n == 1 && name[0] == '.') continue;
        if (n >= sizeof(out->name)) return -ENAMETOOLONG;
        if (!out->inode) return -ENOENT; /* the name before this one */
        if (!out->inode->is_dir) return -ENOTDIR;
        if (n == 2 && name[0] == '.' && name[1] == '.') {
            if (depth > 0) depth--;
            out->inode = stack[depth];
            out->dir = stack[depth > 0 ? depth - 1 : 0];
            out->name[0] = 0;
            continue;
        }
        if (depth + 1 >= DEPTH_MAX) return -ENAMETOOLONG;
        out->dir = out->inode;
        memcpy(out->name, name, n);
        out->name[n] = 0;
        out->inode = names_get(&out->dir->names, out->name);
        stack[++depth] = out->inode;
    }
    return 0;
}

static void change_name(struct fs_sim *f, struct inode *dir, const char *name, struct inode *to, struct inode *from_dir,
                        const char *from_name)
{
    struct name_change *c = new (struct name_change);
    c->dir = dir;
    c->name = mem_strdup(slice_of(name));
    c->to = to;
    c->from_dir = from_dir;
    c->from_name = from_dir ? mem_strdup(slice_of(from_name)) : NULL;
    dir->disk++;
    if (to) to->disk++;
    if (from_dir) from_dir->disk++;
    list_push(&f->name_changes, &c->link);
}

static void name_change_free(struct fs_sim *f, struct name_change *c)
{
    list_remove(&c->link);
    struct inode *let_go[] = { c->dir, c->to, c->from_dir };
    for (size_t i = 0; i < ARRAY_LEN(let_go); i++)
        if (let_go[i]) let_go[i]->disk--;
    for (size_t i = 0; i < ARRAY_LEN(let_go); i++) { /* the same inode may be named twice, but is checked once */
        bool twice = false;
        for (size_t k = 0; k < i; k++) twice |= let_go[k] == let_go[i];
        if (let_go[i] && !twice) inode_check(f, let_go[i]);
    }
    mem_free(c->name);
    mem_free(c->from_name);
    mem_free(c);
}

/* An inode has one name on the disk: a rename takes the one it has there, which need not be the one it was renamed from. */
static void disk_forget(struct fs_sim *f, struct inode *to)
{
    list_each (n, &f->inodes) {
        struct inode *dir = container_of(n, struct inode, all);
        for (size_t k = 0; k < dir->disk_names.n; k++)
            if (dir->disk_names.p[k].to == to) {
                char *name = mem_strdup(slice_of(dir->disk_names.p[k].text));
                disk_name(f, dir, name, NULL);
                mem_free(name);
                return;
            }
    }
}

static void name_change_keep(struct fs_sim *f, struct name_change *c)
{
    if (c->from_dir) {
        if (names_get(&c->from_dir->disk_names, c->from_name) == c->to) disk_name(f, c->from_dir, c->from_name, NULL);
        else disk_forget(f, c->to);
        list_each_safe (n, next, &f->name_changes) { /* its earlier names are history now, wherever they were */
            struct name_change *old = container_of(n, struct name_change, link);
            if (old == c) break;
            if (old->to == c->to) name_change_free(f, old);
        }
    }
    disk_name(f, c->dir, c->name, c->to);
    name_change_free(f, c);
}

/* ---- descriptors ---- */

static int handle_new(struct fs_sim *f, struct inode *i, const char *path, bool write, bool lock)
{
    if (f->n_handles == f->cap_handles) {
        f->cap_handles = MAX(f->cap_handles * 2, 64);
        f->handles = mem_realloc(f->handles, f->cap_handles * sizeof(struct handle));
    }
    f->handles[f->n_handles] = (struct handle){ i, write, lock, false, false, mem_strdup(slice_of(path)) };
    i->handles++;
    return FD_BASE + (int)f->n_handles++;
}

static int handle_get(struct fs_sim *f, int fd, bool write, struct handle **out)
{
    if (fd < FD_BASE || (size_t)(fd - FD_BASE) >= f->n_handles) return -EBADF;
    struct handle *h = f->handles + (fd - FD_BASE);
    if (h->stale) return -EIO;
    if (!h->inode || (write && !h->write)) return -EBADF;
    *out = h;
    return 0;
}

static void handle_drop(struct fs_sim *f, struct handle *h)
{
    struct inode *i = h->inode;
    if (!i) return;
    if (h->lock) i->locked = false;
    h->inode = NULL;
    mem_free(h->path);
    h->path = NULL;
    i->handles--;
    inode_check(f, i);
}

/* ---- file calls ---- */

static int create(struct fs_sim *f, struct walked *p, bool is_dir)
{
    if (f->space == 0) return -ENOSPC;
    if (!p->name[0]) return -EEXIST;
    struct inode *i = inode_new(f, is_dir);
    see_name(f, p->dir, p->name, i);
    change_name(f, p->dir, p->name, i, NULL, NULL);
    p->inode = i;
    return 0;
}

static struct change *add_change(struct inode *i, int64_t at, size_t n)
{
    struct change *c = mem_alloc(sizeof(*c) + n);
    *c = (struct change){ .at = at, .n = n };
    list_push(&i->changes, &c->link);
    return c;
}

static int do_truncate(struct fs_sim *f, struct inode *i, int64_t size)
{
    if (size < 0) return -EINVAL;
    int64_t grow = size - i->seen.size;
    if (grow == 0) return 0;
    if (grow > 0 && f->space >= 0 && f->space < grow) return -ENOSPC;
    if (grow > 0) space_take(f, grow);
    else space_give(f, -grow);
    content_size(&i->seen, size);
    i->mtime_ms = f->sim->clock.wall_ms(&f->sim->clock);
    add_change(i, size, 0)->is_truncate = true;
    return 0;
}

static int sim_open(struct fs *fs, const char *path, int flags)
{
    struct fs_sim *f = of(fs);
    struct walked p;
    int rc = counted_path(f, SIM_OPEN, path);
    if (rc == 0) rc = walk(f, path, &p);
    if (rc) return rc;
    if (p.inode) {
        if (flags & FS_EXCL) return -EEXIST;
        if (p.inode->is_dir != !!(flags & FS_DIR)) return p.inode->is_dir ? -EISDIR : -ENOTDIR;
        if (flags & FS_TRUNC) rc = do_truncate(f, p.inode, 0);
    } else {
        rc = flags & FS_CREATE ? create(f, &p, false) : -ENOENT;
    }
    if (rc < 0) return rc;
    int fd = handle_new(f, p.inode, path, flags & FS_WRITE, false);
    f->handles[fd - FD_BASE].direct = flags & FS_DIRECT;
    return fd;
}

static int sim_close(struct fs *fs, int fd)
{
    struct handle *h;
    int rc = handle_get(of(fs), fd, false, &h);
    if (rc == 0) handle_drop(of(fs), h);
    return rc;
}

static ssize_t sim_pread(struct fs *fs, int fd, void *out, size_t n, int64_t at)
{
    struct fs_sim *f = of(fs);
    struct handle *h;
    int rc = handle_get(f, fd, false, &h);
    if (rc) return rc;
    if (at < 0) return -EINVAL;
    trace(f, SIM_PREAD, h->inode->id, (uint64_t)at ^ n << 40);
    rc = counted(f, SIM_PREAD, h->path);
    if (rc) return rc;
    struct content *c = &h->inode->seen;
    if (at >= c->size) return 0;
    n = MIN(n, (size_t)(c->size - at));
    if (n) memcpy(out, c->p + at, n);
    return (ssize_t)n;
}

/* As many of the vectors' bytes as `total` says, as one change. */
static void do_write(struct fs_sim *f, struct inode *i, const struct iovec *v, size_t total, int64_t at)
{
    if (total == 0) return;
    struct change *c = add_change(i, at, total);
    size_t done = 0;
    for (; done < total; v++) {
        size_t part = MIN(v->iov_len, total - done);
        if (part) memcpy(c->data + done, v->iov_base, part);
        done += part;
    }
    content_write(&i->seen, at, c->data, total);
    i->mtime_ms = f->sim->clock.wall_ms(&f->sim->clock);
    trace(f, SIM_PWRITEV, trace_bytes(c->data, total), total);
}

static int sim_pwritev(struct fs *fs, int fd, const struct iovec *v, int n, int64_t at)
{
    struct fs_sim *f = of(fs);
    struct handle *h;
    int rc = handle_get(f, fd, true, &h);
    if (rc) return rc;
    if (at < 0 || n < 0) return -EINVAL;
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        total += v[i].iov_len;
        assert(!h->direct || ((uintptr_t)v[i].iov_base | v[i].iov_len | (size_t)at) % FS_DIRECT_ALIGN == 0);
    }

    trace(f, SIM_PWRITEV, h->inode->id, (uint64_t)at);
    bool cut = f->fault.cut;
    rc = counted(f, SIM_PWRITEV, h->path);
    if (rc < 0) total = cut ? (size_t)sim_rng_below(&f->rng, total) : 0;

    int64_t grow = MAX(at + (int64_t)total - h->inode->seen.size, 0), got = space_take(f, grow);
    if (got < grow) {
        total = (size_t)MAX((int64_t)total - (grow - got), 0);
        if (total == 0) space_give(f, got); /* a hole before the write: nothing of it fits */
        rc = rc < 0 ? rc : -ENOSPC;
    }
    do_write(f, h->inode, v, total, at);
    return rc;
}

static int sim_truncate(struct fs *fs, int fd, int64_t size)
{
    struct fs_sim *f = of(fs);
    struct handle *h;
    int rc = handle_get(f, fd, true, &h);
    if (rc) return rc;
    trace(f, SIM_TRUNCATE, h->inode->id, (uint64_t)size);
    rc = counted(f, SIM_TRUNCATE, h->path);
    return rc < 0 ? rc : do_truncate(f, h->inode, size);
}

static void change_apply(struct content *c, const struct change *x)
{
    if (x->is_truncate) content_size(c, x->at);
    else content_write(c, x->at, x->data, x->n);
}

/* By 512 B of the file: each sector of the write is there or not; the file has grown to its end, or to the last sector's. */
static void change_tear(struct fs_sim *f, struct content *c, const struct change *x)
{
    int64_t end = x->at + (int64_t)x->n, style = (int64_t)sim_rng_below(&f->rng, 3);
    uint64_t edge = sim_rng_below(&f->rng, x->n);
    if (sim_rng_below(&f->rng, 2) && end > c->size) content_size(c, end);
    for (int64_t at = x->at, next; at < end; at = next) {
        next = MIN((at / SECTOR + 1) * SECTOR, end);
        bool keep = style == 0   ? (uint64_t)(at - x->at) < edge
                    : style == 1 ? (uint64_t)(at - x->at) >= edge
                                 : sim_rng_next(&f->rng) & 1;
        if (keep) content_write(c, at, x->data + (at - x->at), (size_t)(next - at));
    }
}

/* The changes of a file that was not synced reach the disk, or not. */
static void settle_file(struct fs_sim *f, struct inode *i)
{
    uint64_t mood = sim_rng_below(&f->rng, 4); /* 0: all is lost, 1: nothing, else change by change */
    for (struct list *n; (n = list_pop(&i->changes));) {
        struct change *x = container_of(n, struct change, link);
        uint64_t fate = mood == 0 ? 0 : mood == 1 ? 1 : sim_rng_below(&f->rng, 4);
        if (fate == 1 || (fate > 1 && x->is_truncate)) {
            change_apply(&i->on_disk, x);
        } else if (fate == 2) {
            change_tear(f, &i->on_disk, x);
        } else if (fate == 3) { /* grown, but zero */
            if (x->at + (int64_t)x->n > i->on_disk.size) content_size(&i->on_disk, x->at + (int64_t)x->n);
        }
        mem_free(x);
    }
}

static int sim_datasync(struct fs *fs, int fd)
{
    struct fs_sim *f = of(fs);
    struct handle *h;
    int rc = handle_get(f, fd, false, &h);
    if (rc) return rc;
    struct inode *i = h->inode;
    trace(f, SIM_DATASYNC, i->id, 0);
    rc = counted(f, SIM_DATASYNC, h->path);
    if (rc < 0) {
        settle_file(f, i);
        return rc;
    }
    for (struct list *n; (n = list_pop(&i->changes));) {
        struct change *x = container_of(n, struct change, link);
        change_apply(&i->on_disk, x);
        mem_free(x);
    }
    return 0;
}

static int find_dir(struct fs_sim *f, const char *path, struct inode **out)
{
    struct walked p;
    int rc = walk(f, path, &p);
    if (rc == 0 && !p.inode) rc = -ENOENT;
    if (rc == 0 && !p.inode->is_dir) rc = -ENOTDIR;
    if (rc == 0) *out = p.inode;
    return rc;
}

static void keep_names(struct fs_sim *f, const struct inode *dir)
{
    list_each_safe (n, next, &f->name_changes) {
        struct name_change *c = container_of(n, struct name_change, link);
        if (c->dir == dir) name_change_keep(f, c);
    }
}

static int sim_sync_dir(struct fs *fs, const char *path)
{
    struct fs_sim *f = of(fs);
    struct inode *dir = NULL;
    int rc = counted_path(f, SIM_SYNC_DIR, path);
    if (rc == 0) rc = find_dir(f, path, &dir);
    if (rc == 0) keep_names(f, dir);
    return rc;
}

static int sim_sync_names(struct fs *fs, int fd)
{
    struct fs_sim *f = of(fs);
    struct handle *h;
    int rc = handle_get(f, fd, false, &h);
    if (rc) return rc;
    assert(h->inode->is_dir);
    trace(f, SIM_SYNC_DIR, h->inode->id, 1);
    rc = counted(f, SIM_SYNC_DIR, h->path);
    if (rc == -EMFILE || rc == -ENFILE) rc = 0; /* nothing is opened */
    if (rc == 0) keep_names(f, h->inode);
    return rc;
}

/* Is `below` the directory `dir`, or somewhere in it? */
static bool is_within(const struct inode *dir, const struct inode *below)
{
    if (dir == below) return true;
    for (size_t i = 0; i < dir->names.n; i++)
        if (dir->names.p[i].to->is_dir && is_within(dir->names.p[i].to, below)) return true;
    return false;
}

static int sim_rename(struct fs *fs, const char *from, const char *to)
{
    struct fs_sim *f = of(fs);
    struct walked a, b;
    int rc = counted_path(f, SIM_RENAME, from);
    trace(f, SIM_RENAME, trace_bytes(to, strlen(to)), 1);
    if (rc == 0) rc = walk(f, from, &a);
    if (rc == 0) rc = walk(f, to, &b);
    if (rc) return rc;
    if (!a.inode) return -ENOENT;
    if (!a.name[0] || !b.name[0]) return -EBUSY;
    if (a.inode == b.inode) return 0;
    if (a.inode->is_dir && is_within(a.inode, b.dir)) return -EINVAL;
    if (b.inode) {
        if (b.inode->is_dir && !a.inode->is_dir) return -EISDIR;
        if (!b.inode->is_dir && a.inode->is_dir) return -ENOTDIR;
        if (b.inode->is_dir && b.inode->names.n) return -ENOTEMPTY;
    }
    change_name(f, b.dir, b.name, a.inode, a.dir, a.name);
    see_name(f, b.dir, b.name, a.inode);
    see_name(f, a.dir, a.name, NULL);
    return 0;
}

static int remove_name(struct fs_sim *f, enum sim_op op, const char *path)
{
    struct walked p;
    int rc = counted_path(f, op, path);
    if (rc == 0) rc = walk(f, path, &p);
    if (rc) return rc;
    if (!p.inode) return -ENOENT;
    if (!p.name[0]) return -EBUSY;
    if (op == SIM_UNLINK && p.inode->is_dir) return -EISDIR;
    if (op == SIM_RMDIR && !p.inode->is_dir) return -ENOTDIR;
    if (op == SIM_RMDIR && p.inode->names.n) return -ENOTEMPTY;
    change_name(f, p.dir, p.name, NULL, NULL, NULL);
    see_name(f, p.dir, p.name, NULL);
    return 0;
}

static int sim_unlink(struct fs *fs, const char *path) { return remove_name(of(fs), SIM_UNLINK, path); }
static int sim_rmdir(struct fs *fs, const char *path) { return remove_name(of(fs), SIM_RMDIR, path); }

static int sim_mkdir(struct fs *fs, const char *path)
{
    struct fs_sim *f = of(fs);
    struct walked p;
    int rc = counted_path(f, SIM_MKDIR, path);
    if (rc == 0) rc = walk(f, path, &p);
    if (rc) return rc;
    return p.inode ? -EEXIST : create(f, &p, true);
}

static void stat_out(const struct inode *i, struct fs_stat *st)
{
    *st = (struct fs_stat){ .size = i->is_dir ? PAGE : i->seen.size, .mtime_ms = i->mtime_ms, .is_dir = i->is_dir };
}

static int sim_stat(struct fs *fs, const char *path, struct fs_stat *st)
{
    struct walked p;
    int rc = walk(of(fs), path, &p);
    if (rc) return rc;
    if (!p.inode) return -ENOENT;
    stat_out(p.inode, st);
    return 0;
}

static int sim_fstat(struct fs *fs, int fd, struct fs_stat *st)
{
    struct handle *h;
    int rc = handle_get(of(fs), fd, false, &h);
    if (rc == 0) stat_out(h->inode, st);
    return rc;
}

static int sim_list(struct fs *fs, const char *path, struct arena *a, struct slice **names, int *n)
{
    struct fs_sim *f = of(fs);
    struct inode *dir = NULL;
    int rc = counted_path(f, SIM_LIST, path);
    if (rc == 0) rc = find_dir(f, path, &dir);
    if (rc) return rc;
    *n = (int)dir->names.n;
    *names = arena_array(a, struct slice, *n);
    for (int i = 0; i < *n; i++) (*names)[i] = arena_printf(a, "%s", dir->names.p[i].text);
    return 0;
}

static int sim_space_of(struct fs *fs, const char *path, struct fs_space *sp)
{
    struct fs_sim *f = of(fs);
    struct walked p;
    int rc = walk(f, path, &p);
    if (rc == 0 && !p.inode) rc = -ENOENT;
    if (rc) return rc;
    *sp = (struct fs_space){ .total = SPACE_ENDLESS, .available = f->space < 0 ? SPACE_ENDLESS / 2 : f->space };
    return 0;
}

static int sim_lock(struct fs *fs, const char *path)
{
    struct fs_sim *f = of(fs);
    struct walked p;
    int rc = counted_path(f, SIM_LOCK, path);
    if (rc == 0) rc = walk(f, path, &p);
    if (rc == 0 && !p.inode) rc = create(f, &p, false);
    if (rc) return rc;
    if (p.inode->is_dir) return -EISDIR;
    if (p.inode->locked) return -EAGAIN;
    p.inode->locked = true;
    return handle_new(f, p.inode, path, true, true);
}

static bool is_dirty(const struct inode *i, int64_t from, int64_t to)
{
    list_each (n, &i->changes) {
        const struct change *x = container_of(n, struct change, link);
        if (x->is_truncate ? x->at < to : x->at < to && x->at + (int64_t)x->n > from) return true;
    }
    return false;
}

/* Clean pages are read from the disk again. They differ from it only after a failed datasync. n == 0: to the end. */
static void sim_forget_pages(struct fs *fs, int fd, int64_t at, int64_t n)
{
    struct handle *h;
    if (handle_get(of(fs), fd, false, &h) < 0 || at < 0 || n < 0) return;
    struct inode *i = h->inode;
    int64_t end = n ? MIN(at + n, i->seen.size) : i->seen.size;
    for (int64_t page = (at + PAGE - 1) / PAGE * PAGE; page < end; page += PAGE) { /* whole pages, or the last one */
        int64_t to = MIN(page + PAGE, i->seen.size);
        if (to > end || is_dirty(i, page, to)) continue;
        int64_t have = MAX(MIN(i->on_disk.size, to) - page, 0);
        if (have) memcpy(i->seen.p + page, i->on_disk.p + page, (size_t)have);
        memset(i->seen.p + page + have, 0, (size_t)(to - page - have));
    }
}

static void sim_writeback(struct fs *fs, int fd, int64_t at, int64_t n) {}

/* Anything may have been thrown out of memory. */
static bool sim_resident(struct fs *fs, int fd, int64_t at, int64_t n) { return sim_rng_below(&of(fs)->rng, 4) > 0; }

static void sim_readahead(struct fs *fs, int fd, int64_t at, int64_t n) {}

/* ---- power ---- */

/* A journalled file system keeps a prefix of the name changes; others keep any of them. */
static void settle_names(struct fs_sim *f)
{
    bool journalled = sim_rng_below(&f->rng, 2);
    uint64_t odds = sim_rng_below(&f->rng, 5); /* of 4, that a change is kept */
    bool ended = false;
    while (!list_empty(&f->name_changes)) {
        struct name_change *c = container_of(f->name_changes.next, struct name_change, link);
        bool keep = sim_rng_below(&f->rng, 4) < odds;
        ended |= !keep;
        if (journalled ? !ended : keep) name_change_keep(f, c);
        else name_change_free(f, c);
    }
}

static int64_t size_of_all(struct fs_sim *f)
{
    int64_t n = 0;
    list_each (at, &f->inodes) n += container_of(at, struct inode, all)->seen.size;
    return n;
}

void fs_sim_power_loss(struct fs_sim *f)
{
    int64_t room = f->space < 0 ? -1 : f->space + size_of_all(f);
    list_each (n, &f->inodes) container_of(n, struct inode, all)->disk++; /* nobody is deleted before the end */
    list_each (n, &f->inodes) settle_file(f, container_of(n, struct inode, all));
    settle_names(f);
    for (size_t k = 0; k < f->n_handles; k++) {
        handle_drop(f, f->handles + k);
        f->handles[k].stale = true;
    }
    list_each (n, &f->inodes) {
        struct inode *i = container_of(n, struct inode, all);
        names_free(&i->names);
        i->links = 0;
    }
    list_each (n, &f->inodes) {
        struct inode *i = container_of(n, struct inode, all);
        if (!i->is_dir) content_copy(&i->seen, &i->on_disk);
        for (size_t k = 0; k < i->disk_names.n; k++) {
            names_set(&i->names, i->disk_names.p[k].text, i->disk_names.p[k].to);
            i->disk_names.p[k].to->links++;
        }
    }
    if (room >= 0) f->space = MAX(room - size_of_all(f), 0);

    struct list all;
    list_take(&all, &f->inodes);
    for (struct list *n; (n = list_pop(&all));) {
        struct inode *i = container_of(n, struct inode, all);
        list_push(&f->inodes, &i->all);
        i->disk--;
        inode_check(f, i);
    }
}

/* ---- making one ---- */

struct fs_sim *fs_sim_new(struct sim *s, uint64_t seed)
{
    struct fs_sim *f = new (struct fs_sim);
    f->sim = s;
    f->rng.s = seed;
    f->space = -1;
    list_init(&f->inodes);
    list_init(&f->name_changes);
    f->table = (struct fs){
        .open = sim_open,
        .close = sim_close,
        .pread = sim_pread,
        .pwritev = sim_pwritev,
        .truncate = sim_truncate,
        .datasync = sim_datasync,
        .sync_dir = sim_sync_dir,
        .sync_names = sim_sync_names,
        .rename = sim_rename,
        .unlink = sim_unlink,
        .mkdir = sim_mkdir,
        .rmdir = sim_rmdir,
        .stat = sim_stat,
        .fstat = sim_fstat,
        .list = sim_list,
        .space = sim_space_of,
        .lock = sim_lock,
        .forget = sim_forget_pages,
        .writeback = sim_writeback,
        .resident = sim_resident,
        .readahead = sim_readahead,
    };
    f->root = inode_new(f, true);
    return f;
}

void fs_sim_free(struct fs_sim **fp)
{
    struct fs_sim *f = *fp;
    *fp = NULL;
    for (struct list *n; (n = list_pop(&f->name_changes));) {
        struct name_change *c = container_of(n, struct name_change, link);
        mem_free(c->name);
        mem_free(c->from_name);
        mem_free(c);
    }
    while (!list_empty(&f->inodes)) inode_delete(container_of(f->inodes.next, struct inode, all));
    for (size_t k = 0; k < f->n_handles; k++) mem_free(f->handles[k].path);
    mem_free(f->handles);
    mem_free(f);
}
