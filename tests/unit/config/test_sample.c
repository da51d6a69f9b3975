/* config/server.properties is what the table prints. After a change to the table: unit_config_sample print > config/server.properties */
#include "help.h"

static const char path[] = TESTDATA "/../config/server.properties";

static void the_sample_file_is_what_the_table_prints(void **state)
{
    struct test_env *env = *state;
    struct bytes have = { 0 }, want = { 0 };
    conf_sample(&want);
    bytes_put(&want, "", 1);
    assert_ok(fs_read_file(env->world->fs, path, 1 << 20, &have));
    bytes_put(&have, "", 1);
    assert_string_equal((char *)have.p, (char *)want.p);
    bytes_free(&have);
    bytes_free(&want);
}

static void every_honoured_key_is_in_the_sample_once_and_no_other(void **state)
{
    struct bytes b = { 0 };
    conf_sample(&b);
    bytes_put(&b, "", 1);
    for (int k = 0; k < CONF_COUNT; k++) {
        char line[160];
        const struct conf_def *d = conf_def((enum conf_key)k);
        bool want = (d->verdict == CONF_HONOUR || d->verdict == CONF_CLAMP) && !d->internal;
        snprintf(line, sizeof line, "\n#%s=", d->name);
        const char *at = strstr((char *)b.p, line);
        if ((at != NULL) != want) fail_msg("%s", d->name);
        if (at) assert_null(strstr(at + 1, line));
    }
    bytes_free(&b);
}

/* Also with every line that is commented out put in force: all defaults are right where they are written. */
static void the_sample_loads_and_changes_nothing_but_the_listener(void **state)
{
    struct bytes b = { 0 }, open = { 0 };
    conf_sample(&b);
    struct conf *c = parse_ok((bytes_put(&b, "", 1), (char *)b.p));
    int n;
    assert_slice(conf_listeners(c, &n)->host, "localhost");
    for (int k = 0; k < CONF_COUNT; k++) assert_int_equal(conf_is_set(c, (enum conf_key)k), k == CONF_LISTENERS);
    for (const char *p = (char *)b.p; *p;) {
        size_t len = strcspn(p, "\n");
        const char *eq = memchr(p, '=', len);
        bool entry = *p == '#' && p[1] != ' ' && p[1] != '#' && eq && eq[1] != '\n';
        if (entry && strncmp(p, "#broker.id=", 11) != 0 && strncmp(p, "#listeners=", 11) != 0) {
            bytes_put(&open, p + 1, len - 1);
            bytes_put(&open, "\n", 1);
        }
        p += len + (p[len] == '\n');
    }
    bytes_put(&open, "", 1);
    struct conf *full = parse_ok((char *)open.p);
    for (int k = 0; k < CONF_COUNT; k++)
        if (k != CONF_LISTENERS && k != CONF_BROKER_ID)
            assert_true(slice_eq(conf_str(c, (enum conf_key)k), conf_str(full, (enum conf_key)k)));
    conf_unref(&full);
    conf_unref(&c);
    bytes_free(&b);
    bytes_free(&open);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "print") == 0) {
        struct bytes b = { 0 };
        conf_sample(&b);
        fwrite(b.p, 1, b.n, stdout);
        bytes_free(&b);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        IN_REAL_WORLD(the_sample_file_is_what_the_table_prints),
        cmocka_unit_test(every_honoured_key_is_in_the_sample_once_and_no_other),
        cmocka_unit_test(the_sample_loads_and_changes_nothing_but_the_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
