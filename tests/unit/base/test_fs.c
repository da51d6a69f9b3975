/* Files: what both worlds promise alike, and a few things only the real one has. */
#include "test.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static int open_new(struct test_env *env, const char *name)
{
    struct fs *fs = env->world->fs;
    int fd = fs->open(fs, test_path(env, name), FS_WRITE | FS_CREATE);
    assert_true(fd >= 0);
    return fd;
}

static int put(struct test_env *env, int fd, const char *text, int64_t at)
{
    struct iovec v = { (void *)(uintptr_t)text, strlen(text) };
    return env->world->fs->pwritev(env->world->fs, fd, &v, 1, at);
}

static void bytes_are_read_where_they_were_written_and_short_only_at_the_end(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    char b[16] = "";
    int fd = open_new(env, "f");
    struct fs_stat st;
    assert_int_equal(fs->pread(fs, fd, b, 10, 0), 0);
    assert_ok(put(env, fd, "hello", 3)); /* a hole before it reads as zeros */
    assert_int_equal(fs->pread(fs, fd, b, 16, 0), 8);
    assert_memory_equal(b, "\0\0\0hello", 8);
    assert_int_equal(fs->pread(fs, fd, b, 2, 4), 2);
    assert_memory_equal(b, "el", 2);
    assert_int_equal(fs->pread(fs, fd, b, 2, 100), 0);
    assert_ok(put(env, fd, "J", 3));
    assert_ok(fs->truncate(fs, fd, 5));
    assert_ok(fs->truncate(fs, fd, 7));
    assert_int_equal(fs->pread(fs, fd, b, 16, 3), 4);
    assert_memory_equal(b, "Je\0\0", 4);
    assert_ok(fs->fstat(fs, fd, &st));
    assert_int_equal(st.size, 7);
    assert_false(st.is_dir);
    assert_true(llabs(st.mtime_ms - env->world->clock->wall_ms(env->world->clock)) < 3600000);
    assert_ok(fs->datasync(fs, fd));
    fs->writeback(fs, fd, 0, 7);
    fs->forget(fs, fd, 0, 0);
    assert_int_equal(fs->pread(fs, fd, b, 16, 3), 4);
    assert_memory_equal(b, "Je\0\0", 4);
    assert_ok(fs->close(fs, fd));
}

static void more_vectors_than_the_kernel_takes_are_written_in_one_call(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    enum { N = 3 * IOV_MAX + 5 };
    struct iovec *v = mem_alloc(N * sizeof(*v));
    char *want = mem_alloc(2 * N), *have = mem_alloc(2 * N);
    size_t n = 0;
    int fd = open_new(env, "f");
    for (int i = 0; i < N; i++) {
        want[n] = (char)('a' + i % 26);
        want[n + 1] = (char)('A' + i % 26);
        v[i] = (struct iovec){ want + n, (size_t)i % 3 };
        n += (size_t)i % 3;
    }
    assert_ok(fs->pwritev(fs, fd, v, N, 10));
    assert_ok(fs->pwritev(fs, fd, v, 0, 10));
    assert_int_equal(fs->pread(fs, fd, have, 2 * N, 10), n);
    assert_memory_equal(have, want, n);
    fs->close(fs, fd);
    mem_free(v);
    mem_free(want);
    mem_free(have);
}

static void open_flags_mean_what_they_say(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    const char *f = test_path(env, "f");
    assert_err(fs->open(fs, f, FS_READ), -ENOENT);
    assert_err(fs->open(fs, f, FS_WRITE), -ENOENT);
    assert_err(fs->open(fs, test_path(env, "no/f"), FS_WRITE | FS_CREATE), -ENOENT);
    assert_err(fs->open(fs, env->dir, FS_WRITE), -EISDIR);
    assert_ok(fs_write_file(fs, f, S("content")));
    assert_err(fs->open(fs, f, FS_WRITE | FS_CREATE | FS_EXCL), -EEXIST);
    assert_err(fs->open(fs, test_path(env, "f/x"), FS_READ), -ENOTDIR);
    int fd = fs->open(fs, f, FS_READ);
    assert_err(put(env, fd, "x", 0), -EBADF);
    fs->close(fs, fd);
    assert_string_equal(test_read(env, f), "content");
    fd = fs->open(fs, f, FS_WRITE | FS_TRUNC);
    fs->close(fs, fd);
    assert_string_equal(test_read(env, f), "");
    assert_err(fs->close(fs, fd), -EBADF);
    assert_err(fs->datasync(fs, -1), -EBADF);
}

static void names_are_listed_sorted(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    static const char *const names[] = { "b", "a", "c", "B", "a.x", "aa", "0" }, *const want[] = { "0",  "B", "a", "a.x",
                                                                                                   "aa", "b", "c" };
    struct slice *got;
    int n;
    assert_ok(fs->list(fs, env->dir, &env->arena, &got, &n));
    assert_int_equal(n, 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_ok(i == 2 ? fs->mkdir(fs, test_path(env, names[i])) : fs->close(fs, open_new(env, names[i])));
    assert_ok(fs->list(fs, env->dir, &env->arena, &got, &n));
    assert_int_equal(n, ARRAY_LEN(want));
    for (int i = 0; i < n; i++) {
        assert_slice(got[i], want[i]);
        assert_int_equal(got[i].p[got[i].n], 0);
    }
    assert_err(fs->list(fs, test_path(env, "a"), &env->arena, &got, &n), -ENOTDIR);
    assert_err(fs->list(fs, test_path(env, "none"), &env->arena, &got, &n), -ENOENT);
}

static void files_and_directories_are_renamed_and_removed(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    const char *f = test_path(env, "f"), *g = test_path(env, "g"), *d = test_path(env, "d"), *e = test_path(env, "e");
    struct fs_stat st;
    assert_ok(fs_write_file(fs, f, S("f")));
    assert_ok(fs_write_file(fs, g, S("g")));
    int fd = fs->open(fs, g, FS_READ);
    assert_ok(fs->rename(fs, f, g));
    assert_string_equal(test_read(env, g), "f");
    assert_err(fs->stat(fs, f, &st), -ENOENT);
    char c = 0;
    assert_int_equal(fs->pread(fs, fd, &c, 1, 0), 1); /* the replaced file lives as long as it is open */
    assert_int_equal(c, 'g');
    fs->close(fs, fd);
    assert_err(fs->rename(fs, f, g), -ENOENT);

    assert_ok(fs->mkdir(fs, d));
    assert_err(fs->mkdir(fs, d), -EEXIST);
    assert_ok(fs->stat(fs, d, &st));
    assert_true(st.is_dir);
    assert_ok(fs_write_file(fs, test_path(env, "d/x"), S("x")));
    assert_ok(fs->rename(fs, d, e));
    assert_string_equal(test_read(env, test_path(env, "e/x")), "x");
    assert_err(fs->rename(fs, e, test_path(env, "e/sub")), -EINVAL);
    assert_err(fs->rename(fs, g, e), -EISDIR);
    assert_err(fs->rename(fs, e, g), -ENOTDIR);
    assert_err(fs->rmdir(fs, e), -ENOTEMPTY);
    assert_err(fs->rmdir(fs, g), -ENOTDIR);
    assert_err(fs->unlink(fs, e), -EISDIR);
    assert_ok(fs->unlink(fs, test_path(env, "e/x")));
    assert_ok(fs->sync_dir(fs, e));
    assert_err(fs->open(fs, g, FS_DIR), -ENOTDIR);
    int dir = fs->open(fs, e, FS_DIR);
    assert_true(dir >= 0);
    assert_ok(fs->sync_names(fs, dir));
    assert_ok(fs->close(fs, dir));
    assert_ok(fs->rmdir(fs, e));
    assert_err(fs->rmdir(fs, e), -ENOENT);
    assert_err(fs->unlink(fs, e), -ENOENT);
    assert_err(fs->sync_dir(fs, e), -ENOENT);
    assert_ok(fs->sync_dir(fs, env->dir));
}

static void a_lock_is_held_by_one_and_freed_by_close(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    const char *path = test_path(env, ".lock");
    int fd = fs->lock(fs, path);
    assert_true(fd >= 0);
    assert_err(fs->lock(fs, path), -EAGAIN);
    assert_err(err_of_errno(fs->lock(fs, path)), E_LOCKED);
    assert_ok(fs->close(fs, fd));
    fd = fs->lock(fs, path);
    assert_true(fd >= 0);
    assert_ok(fs->close(fs, fd));
}

static void space_is_told(void **state)
{
    struct test_env *env = *state;
    struct fs_space sp;
    assert_ok(env->world->fs->space(env->world->fs, env->dir, &sp));
    assert_true(sp.total > 0 && sp.available >= 0 && sp.available <= sp.total);
    assert_err(env->world->fs->space(env->world->fs, test_path(env, "none"), &sp), -ENOENT);
}

static void whole_files_are_written_atomically_and_read_up_to_a_limit(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    const char *f = test_path(env, "f");
    struct bytes b = { 0 };
    struct slice *names;
    int n;
    assert_ok(fs_write_file(fs, f, S("one")));
    assert_ok(fs_write_file(fs, f, S("two!")));
    assert_ok(fs->list(fs, env->dir, &env->arena, &names, &n));
    assert_int_equal(n, 1); /* no leftovers */
    assert_ok(fs_read_file(fs, f, 4, &b));
    assert_ok(fs_read_file(fs, f, 4, &b)); /* appended to what is there */
    assert_int_equal(b.n, 8);
    assert_memory_equal(b.p, "two!two!", 8);
    assert_err(fs_read_file(fs, f, 3, &b), -EFBIG);
    assert_err(fs_read_file(fs, test_path(env, "none"), 3, &b), -ENOENT);
    assert_true(fs_read_file(fs, env->dir, 1000000, &b) < 0);
    assert_ok(fs_write_file(fs, f, S("")));
    assert_string_equal(test_read(env, f), "");
    assert_err(fs_write_file(fs, test_path(env, "no/f"), S("x")), -ENOENT);
    bytes_free(&b);
}

static void trees_are_made_and_removed(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    const char *deep = test_path(env, "a/b//c/"), *top = test_path(env, "a");
    struct fs_stat st;
    assert_ok(fs_mkdirs(fs, deep));
    assert_ok(fs_mkdirs(fs, deep));
    assert_ok(fs_write_file(fs, test_path(env, "a/b/f"), S("x")));
    assert_err(fs_mkdirs(fs, test_path(env, "a/b/f/g")), -ENOTDIR);
    assert_ok(fs_remove_tree(fs, top));
    assert_err(fs->stat(fs, top, &st), -ENOENT);
    assert_ok(fs_remove_tree(fs, top));
}

static void removing_a_tree_does_not_follow_links(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    assert_ok(fs_mkdirs(fs, test_path(env, "kept")));
    assert_ok(fs_mkdirs(fs, test_path(env, "gone")));
    assert_ok(fs_write_file(fs, test_path(env, "kept/f"), S("still here")));
    assert_int_equal(symlink(test_path(env, "kept"), test_path(env, "gone/link")), 0);
    assert_int_equal(symlink("nowhere", test_path(env, "gone/dangling")), 0);
    assert_ok(fs_remove_tree(fs, test_path(env, "gone")));
    assert_string_equal(test_read(env, test_path(env, "kept/f")), "still here");
}

/* A file size limit makes the kernel write a part: what was begun is continued, and the error is the limit's. */
static void a_short_write_is_continued_and_its_error_told(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    char a[1000], b[3000];
    struct iovec v[] = { { a, sizeof(a) }, { b, sizeof(b) }, { a, sizeof(a) } };
    struct rlimit old, small;
    struct fs_stat st;
    int fd = open_new(env, "f");
    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 2500;
    void (*was)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = fs->pwritev(fs, fd, v, 3, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, was);
    assert_err(rc, -EFBIG);
    assert_ok(fs->fstat(fs, fd, &st));
    assert_int_equal(st.size, 2500);
    assert_ok(fs->close(fs, fd));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(bytes_are_read_where_they_were_written_and_short_only_at_the_end),
        IN_BOTH_WORLDS(more_vectors_than_the_kernel_takes_are_written_in_one_call),
        IN_BOTH_WORLDS(open_flags_mean_what_they_say),
        IN_BOTH_WORLDS(names_are_listed_sorted),
        IN_BOTH_WORLDS(files_and_directories_are_renamed_and_removed),
        IN_BOTH_WORLDS(a_lock_is_held_by_one_and_freed_by_close),
        IN_BOTH_WORLDS(space_is_told),
        IN_BOTH_WORLDS(whole_files_are_written_atomically_and_read_up_to_a_limit),
        IN_BOTH_WORLDS(trees_are_made_and_removed),
        IN_REAL_WORLD(a_short_write_is_continued_and_its_error_told),
        IN_REAL_WORLD(removing_a_tree_does_not_follow_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
