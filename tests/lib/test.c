/* Environments for tests. The real one is a fresh directory below TMPDIR or /tmp. */
#include "test.h"

#include <stdlib.h>

uint64_t test_seed(void)
{
    const char *z = getenv("ODR_SEED"); // NOLINT(concurrency-mt-unsafe): before any thread
    return z ? strtoull(z, NULL, 0) : 1;
}

static struct test_env *env_new(struct world *w)
{
    struct test_env *env = new (struct test_env);
    env->world = w;
    arena_init(&env->arena);
    return env;
}

int test_real(void **state)
{
    const char *tmp = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe)
    struct test_env *env = env_new(world_real_new());
    char *dir = mem_strdup(arena_printf(&env->arena, "%s/odradek-test-XXXXXX", tmp ? tmp : "/tmp"));
    *state = env;
    env->dir = dir;
    return mkdtemp(dir) ? 0 : -1;
}

struct test_env *test_env_sim(uint64_t seed)
{
    struct test_env *env = env_new(world_sim_new(seed));
    env->dir = mem_strdup(S("/t"));
    int rc = fs_mkdirs(env->world->fs, env->dir);
    assert(rc == 0);
    (void)rc;
    return env;
}

int test_sim(void **state)
{
    *state = test_env_sim(test_seed());
    return 0;
}

int test_env_free(void **state)
{
    struct test_env *env = *state;
    if (!env->world->sim) fs_remove_tree(env->world->fs, env->dir);
    world_free(&env->world);
    arena_free(&env->arena);
    mem_free((char *)(uintptr_t)env->dir);
    mem_free(env);
    return 0;
}

const char *test_path(struct test_env *env, const char *name) { return arena_printf(&env->arena, "%s/%s", env->dir, name).p; }

const char *test_read(struct test_env *env, const char *path)
{
    struct bytes b = { 0 };
    int rc = fs_read_file(env->world->fs, path, 1 << 30, &b);
    const char *z = rc < 0 ? arena_printf(&env->arena, "<%s>", err_text(rc)).p
                           : arena_printf(&env->arena, "%.*s", (int)b.n, b.p ? (const char *)b.p : "").p;
    bytes_free(&b);
    return z;
}

struct until {
    struct post post;
    struct loop *loop;
    const _Atomic bool *flag;
};

static void look(struct post *p)
{
    struct until *u = container_of(p, struct until, post);
    if (atomic_load(u->flag)) loop_stop(u->loop);
    else loop_post(u->loop, p);
}

void test_run_until(struct loop *l, const _Atomic bool *flag)
{
    struct until u = { .post = { .fn = look }, .loop = l, .flag = flag };
    loop_post(l, &u.post);
    loop_run(l);
}

void test_assert_slice(struct slice have, const char *want, const char *file, int line)
{
    if (slice_eq(have, slice_of(want))) return;
    print_error("have \"" S_FMT "\"%s, want \"%s\"\n", S_ARG(have), have.p ? "" : " (null)", want ? want : "(null)");
    _fail(file, line);
}
