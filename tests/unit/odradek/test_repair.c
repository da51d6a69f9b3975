/* odradek check --repair (K4). */
#include "repair.h"
#include "test.h"
#include <odradek/broker.h>
#include <odradek/odradek.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *no_env[] = { NULL };

static int repair(const char *dir)
{
    char *args[] = { (char *)(uintptr_t)dir };
    return repair_main(1, args, no_env);
}

static bool there(struct test_env *env, const char *name)
{
    struct stat st;
    return stat(test_path(env, name), &st) == 0;
}

static void what_is_no_log_directory_is_left_alone(void **state)
{
    struct test_env *env = *state;
    assert_int_equal(repair_main(0, NULL, no_env), ODR_EXIT_USAGE);
    assert_int_equal(repair("--what"), ODR_EXIT_USAGE);
    assert_int_equal(repair(test_path(env, "nothing")), ODR_EXIT_USAGE);
    assert_int_equal(repair(env->dir), ODR_EXIT_USAGE);
    assert_false(there(env, "meta.properties"));
    assert_false(there(env, "__cluster_metadata-0"));
}

static void a_directory_left_by_a_crash_is_closed_clean(void **state)
{
    struct test_env *env = *state;
    struct bytes text = { 0 };
    struct conf_report rep = { 0 };
    struct conf *conf;
    struct broker *b;
    struct why why = { "" };
    bytes_printf(&text, "log.dirs=%s\n", env->dir);
    assert_ok(conf_parse((struct slice){ (const char *)text.p, text.n }, &conf, &rep));
    conf_report_free(&rep);
    bytes_free(&text);
    assert_ok(broker_open(env->world, conf, 1, &b, &why));
    loop_start(shard_loop(broker_shard(b, 0)));
    loop_stop(shard_loop(broker_shard(b, 0)));
    loop_join(shard_loop(broker_shard(b, 0)));
    assert_ok(broker_close(&b));
    conf_unref(&conf);

    assert_int_equal(unlink(test_path(env, ".kafka_cleanshutdown")), 0); /* as after a crash, with a journal just made */
    assert_ok(fs_write_file(env->world->fs, test_path(env, "odradek.journal"), (struct slice){ (char[8192]){ 0 }, 8192 }));
    assert_int_equal(repair(env->dir), ODR_EXIT_OK);
    assert_true(there(env, ".kafka_cleanshutdown"));
    assert_false(there(env, "odradek.journal"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_REAL_WORLD(what_is_no_log_directory_is_left_alone),
        IN_REAL_WORLD(a_directory_left_by_a_crash_is_closed_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
