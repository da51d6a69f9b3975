/* The cache of open files: how many stay open, and which. */
#include "test.h"

#include "fdcache.h"
#include <errno.h>

enum { FILES = 24, CAP = 8 };

struct shelf {
    struct fdcache cache;
    struct fdent e[FILES];
    struct test_env *env;
};

static void shelf_init(struct shelf *s, struct test_env *env)
{
    s->env = env;
    fdcache_init(&s->cache, env->world->fs, CAP);
    for (int i = 0; i < FILES; i++) fdent_init(&s->e[i]);
}

static void shelf_free(struct shelf *s)
{
    for (int i = 0; i < FILES; i++) fd_drop(&s->cache, &s->e[i]);
    fdcache_free(&s->cache);
}

static void pin(struct shelf *s, int i)
{
    char name[16];
    snprintf(name, sizeof name, "f%d", i);
    assert_true(fd_pin(&s->cache, &s->e[i], test_path(s->env, name), FS_WRITE | FS_CREATE) >= 0);
}

static void unpin(struct shelf *s, int i) { fd_unpin(&s->cache, &s->e[i]); }

static bool open_now(const struct shelf *s, int i) { return s->e[i].fd >= 0; }

static int count(const struct shelf *s)
{
    int n = 0;
    for (int i = 0; i < FILES; i++) n += open_now(s, i);
    assert_int_equal(n, s->cache.open);
    return n;
}

static void no_more_stay_open_than_the_cap_but_for_those_that_are_pinned(void **state)
{
    struct shelf s;
    shelf_init(&s, *state);
    for (int i = 0; i < FILES; i++) {
        pin(&s, i);
        unpin(&s, i);
        assert_in_range(count(&s), 1, CAP);
        assert_true(open_now(&s, i));
    }
    for (int i = 0; i < FILES; i++) pin(&s, i);
    assert_int_equal(count(&s), FILES);
    assert_false(fd_spare(&s.cache)); /* nobody's file is closed under him */
    for (int i = 0; i < FILES; i++) unpin(&s, i);
    assert_int_equal(count(&s), CAP);
    assert_true(fd_spare(&s.cache));
    assert_int_equal(count(&s), CAP - 1);
    shelf_free(&s);
}

static void who_is_used_stays_and_who_is_not_goes(void **state)
{
    struct shelf s;
    shelf_init(&s, *state);
    for (int i = 1; i < FILES; i++) {
        pin(&s, 0); /* again and again */
        unpin(&s, 0);
        pin(&s, i);
        unpin(&s, i);
        assert_true(open_now(&s, 0) && open_now(&s, i));
    }
    for (int i = 1; i < FILES - CAP; i++) assert_false(open_now(&s, i));
    shelf_free(&s);
}

static void a_pin_is_a_descriptor_only_while_open(void **state)
{
    struct shelf s;
    shelf_init(&s, *state);
    assert_int_equal(fd_pin_open(&s.cache, &s.e[0]), -EBADF);
    pin(&s, 0);
    pin(&s, 0);
    assert_int_equal(fd_pin_open(&s.cache, &s.e[0]), s.e[0].fd);
    for (int i = 0; i < 3; i++) unpin(&s, 0);
    fd_drop(&s.cache, &s.e[0]);
    assert_int_equal(fd_pin_open(&s.cache, &s.e[0]), -EBADF);
    fd_drop(&s.cache, &s.e[0]);
    shelf_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(no_more_stay_open_than_the_cap_but_for_those_that_are_pinned),
        IN_BOTH_WORLDS(who_is_used_stays_and_who_is_not_goes),
        IN_BOTH_WORLDS(a_pin_is_a_descriptor_only_while_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
