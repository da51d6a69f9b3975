/* Short ways to load settings in tests. */
#pragma once
#include "test.h"
#include <odradek/config.h>

static inline struct conf *parse_ok(const char *text)
{
    struct conf_report r = { 0 };
    struct conf *c = NULL;
    struct bytes said = { 0 };
    int rc = conf_parse(slice_of(text), &c, &r);
    conf_report_print(&r, &said);
    bytes_put(&said, "", 1);
    if (rc < 0) fail_msg("%s", (char *)said.p);
    assert_int_equal(r.errors, 0);
    bytes_free(&said);
    conf_report_free(&r);
    return c;
}

/* What the report says, as text; the caller frees. */
static inline char *say_of(const char *text, int want_rc)
{
    struct conf_report r = { 0 };
    struct conf *c = NULL;
    struct bytes said = { 0 };
    assert_int_equal(conf_parse(slice_of(text), &c, &r), want_rc);
    assert_true((c == NULL) == (want_rc != 0));
    conf_report_print(&r, &said);
    bytes_put(&said, "", 1);
    conf_report_free(&r);
    conf_unref(&c);
    return (char *)said.p;
}

#define assert_contains(text, part)                                                 \
    do {                                                                            \
        if (!strstr((text), (part))) fail_msg("\"%s\" is not in:\n%s", part, text); \
    } while (0)
#define assert_lacks(text, part)                                               \
    do {                                                                       \
        if (strstr((text), (part))) fail_msg("\"%s\" is in:\n%s", part, text); \
    } while (0)

static inline void assert_says(const char *text, int rc, const char *part)
{
    char *said = say_of(text, rc);
    assert_contains(said, part);
    mem_free(said);
}

#define KV(n, v) ((struct conf_kv){ slice_of(n), slice_of(v) })

static inline const struct conf_row *row_of(const struct conf_row *rows, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (slice_eq(rows[i].name, slice_of(name))) return &rows[i];
    return NULL;
}

/* "SOURCE:name=value; …", sources as numbers. */
static inline void assert_synonyms(const struct conf_row *r, const char *want)
{
    struct bytes b = { 0 };
    for (int i = 0; i < r->synonyms_n; i++)
        bytes_printf(&b, "%s%d:" S_FMT "=" S_FMT, i ? "; " : "", (int)r->synonyms[i].source, S_ARG(r->synonyms[i].name),
                     S_ARG(r->synonyms[i].value));
    bytes_put(&b, "", 1);
    assert_string_equal((char *)b.p, want);
    bytes_free(&b);
}
