/* java.util.Properties syntax. */
#include "help.h"

struct got {
    struct bytes b;
};

static void collect(void *arg, struct slice k, struct slice v, int line)
{
    struct got *g = arg;
    bytes_printf(&g->b, "%d[" S_FMT "][" S_FMT "]", line, S_ARG(k), S_ARG(v));
}

static void check(const char *text, const char *want)
{
    struct got g = { { 0 } };
    struct arena a;
    int bad = 0;
    arena_init(&a);
    assert_int_equal(properties_parse(slice_of(text), &a, collect, &g, &bad), 0);
    bytes_put(&g.b, "", 1);
    assert_string_equal((char *)g.b.p, want);
    bytes_free(&g.b);
    arena_free(&a);
}

static void keys_end_at_an_equals_sign_a_colon_or_a_blank(void **state)
{
    check("a=b", "1[a][b]");
    check("a:b", "1[a][b]");
    check("a b", "1[a][b]");
    check("a = b\nc\t:\fd\n", "1[a][b]2[c][d]");
    check("a==b", "1[a][=b]");
    check("a = = b", "1[a][= b]");
    check("a", "1[a][]");
    check("a=", "1[a][]");
    check("=b", "1[][b]");
    check("   a = b  ", "1[a][b  ]");
}

static void comments_and_blank_lines_are_skipped_and_never_continue(void **state)
{
    check("# x\\\na=b", "2[a][b]");
    check("  ! x\n\n \t\na=b\r\n\r\nc=d\re=f", "4[a][b]6[c][d]7[e][f]");
    check("a=b#c", "1[a][b#c]");
    check("", "");
    check("#", "");
}

static void a_backslash_joins_lines_unless_it_is_escaped(void **state)
{
    check("a=b\\\n   c", "1[a][bc]");
    check("a=b\\\r\n\tc\nd=e", "1[a][bc]3[d][e]");
    check("a=b\\\\\nc=d", "1[a][b\\]2[c][d]");
    check("a\\\n  b=c", "1[ab][c]");
    check("a=b\\", "1[a][b]");
    check("a=\\\n\\\n b", "1[a][b]");
    check("a=1,\\\n#2,\\\n3", "1[a][1,#2,3]");
}

static void escapes_are_resolved_in_keys_and_values(void **state)
{
    check("a\\ b\\=c\\:d=e", "1[a b=c:d][e]");
    check("a=\\t\\n\\r\\f\\q\\\\", "1[a][\t\n\r\fq\\]");
    check("k=\\u0041\\u00e9\\u20AC", "1[k][A\xc3\xa9\xe2\x82\xac]");
    check("k=\\ud83d\\ude00", "1[k][\xf0\x9f\x98\x80]");
    check("k=\\ud83d!", "1[k][\xef\xbf\xbd!]");
    check("\\#a=b", "1[#a][b]");
}

static void a_broken_unicode_escape_is_an_error_with_its_line(void **state)
{
    static const char *const bad[] = { "a=b\nk=\\u12", "a=b\nk=\\u12g4", "\n\\u=x" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct got g = { { 0 } };
        struct arena a;
        int line = 0;
        arena_init(&a);
        assert_int_equal(properties_parse(slice_of(bad[i]), &a, collect, &g, &line), E_INVALID);
        assert_int_equal(line, 2);
        bytes_free(&g.b);
        arena_free(&a);
    }
    assert_says("a=b\nk=\\u12", E_INVALID_CONFIG, "error: text:2: \\u must be followed by four hexadecimal digits");
}

/* Any bytes are read without a fault; the whole loader takes them too. Each text lies at the end of its own block for the sanitizer. */
static void random_bytes_never_harm_the_parser(void **state)
{
    static const char alphabet[] = "\\\\\\\n\n\r =:#!u0d8aflogseds.,${}\t\f\"'\x80\xff";
    static const char *const words[] = { "listeners",
                                         "=PLAINTEXT://",
                                         ":9092",
                                         "log.dirs=",
                                         "node.id=",
                                         "controller.quorum.voters=1@",
                                         "listener.name.",
                                         "${env:X}",
                                         "\n",
                                         "-1",
                                         "process.roles=broker",
                                         "config.providers=env\n" };
    struct test_env *env = *state;
    struct rnd *rnd = env->world->rnd;
    for (int round = 0; round < 3000; round++) {
        struct bytes b = { 0 };
        size_t parts = rnd_below(rnd, 60);
        for (size_t i = 0; i < parts; i++) {
            if (rnd_below(rnd, 4) == 0) {
                const char *w = words[rnd_below(rnd, ARRAY_LEN(words))];
                bytes_put(&b, w, strlen(w));
            } else {
                bytes_put(&b, &alphabet[rnd_below(rnd, sizeof alphabet)], 1);
            }
        }
        char *text = mem_alloc(b.n + 1);
        if (b.n) memcpy(text, b.p, b.n);
        struct conf_report r = { 0 };
        struct conf *c = NULL;
        int rc = conf_parse((struct slice){ text, b.n }, &c, &r);
        assert_true((rc == 0) == (c != NULL) && (rc == 0) == (r.errors == 0));
        conf_unref(&c);
        conf_report_free(&r);
        mem_free(text);
        bytes_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_end_at_an_equals_sign_a_colon_or_a_blank),
        cmocka_unit_test(comments_and_blank_lines_are_skipped_and_never_continue),
        cmocka_unit_test(a_backslash_joins_lines_unless_it_is_escaped),
        cmocka_unit_test(escapes_are_resolved_in_keys_and_values),
        cmocka_unit_test(a_broken_unicode_escape_is_an_error_with_its_line),
        IN_SIM_WORLD(random_bytes_never_harm_the_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
