/* Listeners and what clients are told. */
#include "help.h"

static void hosts_decide_what_is_advertised(void **state)
{
    static const struct {
        const char *text, *host, *advertised; /* advertised NULL: derived */
        int port, advertised_port;
    } cases[] = {
        { "listeners=PLAINTEXT://:9092", "", NULL, 9092, 9092 },
        { "listeners=PLAINTEXT://0.0.0.0:9092", "0.0.0.0", NULL, 9092, 9092 },
        { "listeners=PLAINTEXT://[::]:9092", "", NULL, 9092, 9092 },
        { "listeners=plaintext://broker.example:9092", "broker.example", "broker.example", 9092, 9092 },
        { "listeners=PLAINTEXT://[fe80::1%eth0]:9092", "fe80::1%eth0", "fe80::1%eth0", 9092, 9092 },
        { "listeners=PLAINTEXT://:0", "", NULL, 0, 0 },
        { "listeners=PLAINTEXT://:9092\nadvertised.listeners=PLAINTEXT://x.example:19092", "", "x.example", 9092, 19092 },
        { "listeners=PLAINTEXT://:9092\nadvertised.listeners=PLAINTEXT://x.example:0", "", "x.example", 9092, 9092 },
        { "listeners=PLAINTEXT://h:9092\nadvertised.listeners=PLAINTEXT://:7", "h", NULL, 9092, 7 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf *c = parse_ok(cases[i].text);
        int n;
        const struct conf_listener *l = conf_listeners(c, &n);
        assert_int_equal(n, 1);
        assert_slice(l->name, "PLAINTEXT");
        assert_slice(l->host, cases[i].host);
        assert_slice(l->advertised_host, cases[i].advertised);
        assert_int_equal(l->derive, cases[i].advertised == NULL);
        assert_int_equal(l->port, cases[i].port);
        assert_int_equal(l->advertised_port, cases[i].advertised_port);
        conf_unref(&c);
    }
}

static void what_cannot_be_opened_or_advertised_is_an_error(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "listeners=PLAINTEXT:9092", "'PLAINTEXT:9092' must be NAME://host:port" },
        { "listeners=PLAINTEXT://h:99999", "must be NAME://host:port, with a port from 0 to 65535" },
        { "listeners=PLAINTEXT://h h:9", "must be NAME://host:port" },
        { "listeners=PLAINTEXT://:9092,PLAINTEXT://:9093", "listener PLAINTEXT is there twice" },
        { "listeners=PLAINTEXT://:9092,CONTROLLER://:9092\ncontroller.listener.names=CONTROLLER", "both want port 9092" },
        { "listeners=FOO://:9092", "listener FOO has no protocol; add FOO:PLAINTEXT to listener.security.protocol.map" },
        { "listeners=SSL://:9092", "listener SSL: SSL is not served by this build; PLAINTEXT is" },
        { "listeners=SASL_PLAINTEXT://:9092", "SASL_PLAINTEXT is not served by this build" },
        { "listeners=A://:9092\nlistener.security.protocol.map=A:SASL_SSL", "listener A: SASL_SSL is not served by this build" },
        { "listener.security.protocol.map=PLAINTEXT:FOO", "'FOO' must be one of: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL" },
        { "listener.security.protocol.map=PLAINTEXT", "'PLAINTEXT' must be LISTENER:PROTOCOL" },
        { "listeners=CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER", "no listener is left for clients" },
        { "advertised.listeners=PLAINTEXT://0.0.0.0:9092", "clients cannot connect to 0.0.0.0" },
        { "advertised.listeners=FOO://x:9092", "listener FOO is not among listeners=PLAINTEXT://:9092" },
        { "advertised.listeners=", "must be values with commas between, none of them empty" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) assert_says(cases[i].text, E_INVALID_CONFIG, cases[i].want);
}

static void two_addresses_may_share_a_port(void **state)
{
    struct conf *c = parse_ok("listeners=PLAINTEXT://127.0.0.1:9092,B://[::1]:9092\n"
                              "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,B:PLAINTEXT");
    int n;
    assert_non_null(conf_listeners(c, &n));
    assert_int_equal(n, 2);
    conf_unref(&c);
}

static void a_listener_may_have_settings_of_its_own(void **state)
{
    struct conf *c = parse_ok("listeners=EXT://:9092\nlistener.security.protocol.map=EXT:PLAINTEXT\nmax.connections=100\n"
                              "listener.name.ext.max.connections=7\nlistener.name.ext.ssl.keystore.type=PEM\n"
                              "listener.name.ext.scram-sha-256.sasl.jaas.config=a;\nlistener.name.ext.sasl.jaas.config=b;\n");
    assert_int_equal(conf_listener_i64(c, S("EXT"), CONF_MAX_CONNECTIONS), 7);
    assert_int_equal(conf_listener_i64(c, S("OTHER"), CONF_MAX_CONNECTIONS), 100);
    assert_slice(conf_listener_str(c, S("EXT"), CONF_SSL_KEYSTORE_TYPE), "PEM");
    assert_slice(conf_listener_str(c, S("OTHER"), CONF_SSL_KEYSTORE_TYPE), "JKS");
    assert_slice(conf_mechanism_str(c, S("EXT"), S("SCRAM-SHA-256"), CONF_SASL_JAAS_CONFIG), "a;");
    assert_slice(conf_mechanism_str(c, S("EXT"), S("PLAIN"), CONF_SASL_JAAS_CONFIG), "b;");
    assert_slice(conf_mechanism_str(c, S("OTHER"), S("PLAIN"), CONF_SASL_JAAS_CONFIG), NULL);
    conf_unref(&c);
    assert_says("listener.name.ext.max.connections=x", E_INVALID_CONFIG,
                "listener.name.ext.max.connections=x: must be a whole number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_decide_what_is_advertised),
        cmocka_unit_test(what_cannot_be_opened_or_advertised_is_an_error),
        cmocka_unit_test(two_addresses_may_share_a_port),
        cmocka_unit_test(a_listener_may_have_settings_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
