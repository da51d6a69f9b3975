/* What every unit test includes: cmocka with what it needs before it, and a world to test in, real or simulated.
 *
 *     static void a_file_is_there_after_it_was_written(void **state)
 *     {
 *         struct test_env *env = *state;
 *         …fs_write_file(env->world->fs, test_path(env, "name"), S("x"))…
 *     }
 *     const struct CMUnitTest tests[] = { IN_BOTH_WORLDS(a_file_is_there_after_it_was_written) };
 *     return cmocka_run_group_tests(tests, NULL, NULL); */
#pragma once
#include <odradek/base.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct test_env {
    struct world *world;
    const char *dir;    /* empty at first; the real one is removed with the environment */
    struct arena arena; /* for the test's own use; freed with the environment */
};
int test_real(void **state); /* setup functions: *state becomes a struct test_env */
int test_sim(void **state);  /* seed 1, or ODR_SEED from the environment */
int test_env_free(void **state);

struct test_env *test_env_sim(uint64_t seed); /* for tests that walk over seeds; end with test_env_free(&(void *){ env }) */
const char *test_path(struct test_env *env, const char *name); /* "<dir>/<name>", lives as long as env */
uint64_t test_seed(void);                                      /* ODR_SEED, or 1 */

#define IN_REAL_WORLD(test)                                     \
    {                                                           \
#test " (real)", (test), test_real, test_env_free, NULL \
    }
#define IN_SIM_WORLD(test)                                          \
    {                                                               \
#test " (simulated)", (test), test_sim, test_env_free, NULL \
    }
#define IN_BOTH_WORLDS(test) IN_REAL_WORLD(test), IN_SIM_WORLD(test)

/* A whole file as a string that lives as long as env; "<error text>" when it cannot be read. */
const char *test_read(struct test_env *env, const char *path);

/* Runs the loop at the caller's until *flag is set by a callback on it. */
void test_run_until(struct loop *l, const _Atomic bool *flag);

#define assert_ok(rc)            assert_string_equal(err_text((int)(rc)), err_text(0))
#define assert_err(rc, want)     assert_string_equal(err_text((int)(rc)), err_text(want))
#define assert_slice(have, want) test_assert_slice((have), (want), __FILE__, __LINE__)
void test_assert_slice(struct slice have, const char *want, const char *file, int line); /* want NULL: null */
