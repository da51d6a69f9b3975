/* Listeners: what to open and what to tell clients.
 *
 * From listeners, advertised.listeners, listener.security.protocol.map and controller.listener.names. The controller's listeners of a
 * KRaft file are understood and left alone: the controller is inside this process. */
#include "conf.h"
#include <arpa/inet.h>

struct endpoint {
    struct slice name, host;
    int port;
};

static const char *const protocol_names[] = { [PROTOCOL_PLAINTEXT] = "PLAINTEXT",
                                              [PROTOCOL_SSL] = "SSL",
                                              [PROTOCOL_SASL_PLAINTEXT] = "SASL_PLAINTEXT",
                                              [PROTOCOL_SASL_SSL] = "SASL_SSL" };

const char *conf_protocol_name(enum conf_protocol p) { return protocol_names[p]; }

/* The one place that knows which protocols this build serves. */
static bool protocol_served(enum conf_protocol p) { return p == PROTOCOL_PLAINTEXT; }

static bool protocol_parse(struct slice s, enum conf_protocol *out)
{
    for (size_t i = 0; i < ARRAY_LEN(protocol_names); i++)
        if (slice_ieq(s, slice_of(protocol_names[i]))) return *out = (enum conf_protocol)i, true;
    return false;
}

static struct slice upper(struct slice s, struct arena *a)
{
    char *p = arena_alloc(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++) p[i] = (char)(s.p[i] >= 'a' && s.p[i] <= 'z' ? s.p[i] - 32 : s.p[i]);
    p[s.n] = '\0';
    return (struct slice){ p, s.n };
}

/* NAME://host:port, NAME://[v6]:port; 0, or E_INVALID. */
static int endpoint_parse(struct slice s, struct arena *a, struct endpoint *out)
{
    const char *mark = memmem(s.p, s.n, "://", 3);
    if (!mark || mark == s.p) return E_INVALID;
    struct slice name = { s.p, (size_t)(mark - s.p) }, rest = slice_cut(s, name.n + 3);
    const char *colon = memrchr(rest.p, ':', rest.n);
    if (!colon) return E_INVALID;
    struct slice host = { rest.p, (size_t)(colon - rest.p) }, port = slice_cut(rest, host.n + 1);
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') host.p++, host.n -= 2;
    for (size_t i = 0; i < host.n; i++)
        if (!strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-%._:", host.p[i]) || !host.p[i])
            return E_INVALID;
    if (port.n == 0 || port.n > 5) return E_INVALID;
    out->port = 0;
    for (size_t i = 0; i < port.n; i++) {
        if (port.p[i] < '0' || port.p[i] > '9') return E_INVALID;
        out->port = out->port * 10 + (port.p[i] - '0');
    }
    if (out->port > 65535) return E_INVALID;
    out->name = upper(slice_trim(name), a);
    out->host = arena_printf(a, S_FMT, S_ARG(host));
    return 0;
}

static bool wildcard(struct slice host) { return host.n == 0 || slice_is(host, "0.0.0.0") || slice_is(host, "::"); }

static bool same_address(struct slice a, struct slice b) { return wildcard(a) || wildcard(b) || slice_ieq(a, b); }

static bool in_list(const struct slice *l, int n, struct slice name)
{
    for (int i = 0; i < n; i++)
        if (slice_ieq(l[i], name)) return true;
    return false;
}

static const struct conf_entry *entry_of(const struct conf *c, enum conf_key k)
{
    struct slice name = slice_of(conf_def(k)->name);
    const struct conf_entry *e = entries_find(&c->broker, name);
    return e ? e : entries_find(&c->base->given, name);
}

struct mapping {
    struct slice name;
    enum conf_protocol protocol;
};

/* listener.security.protocol.map: NAME:PROTOCOL,… Returns how many. */
static int mapping_parse(struct conf *c, struct mapping **out, struct conf_report *r)
{
    struct slice rest = conf_str(c, CONF_LISTENER_SECURITY_PROTOCOL_MAP);
    const struct conf_entry *e = entry_of(c, CONF_LISTENER_SECURITY_PROTOCOL_MAP);
    int n = 0;
    *out = arena_array(&c->arena, struct mapping, rest.n + 1);
    while (rest.n) {
        const char *comma = memchr(rest.p, ',', rest.n);
        struct slice item = slice_trim((struct slice){ rest.p, comma ? (size_t)(comma - rest.p) : rest.n });
        const char *colon = memrchr(item.p, ':', item.n);
        rest = comma ? slice_cut(rest, (size_t)(comma - rest.p) + 1) : (struct slice){ rest.p + rest.n, 0 };
        if (item.n == 0) continue;
        if (!colon || colon == item.p) {
            say_entry(r, CONF_SAY_ERROR, e, "'" S_FMT "' must be LISTENER:PROTOCOL", S_ARG(item));
            continue;
        }
        struct slice protocol = slice_trim(slice_cut(item, (size_t)(colon - item.p) + 1));
        struct slice name = slice_trim((struct slice){ item.p, (size_t)(colon - item.p) });
        if (!protocol_parse(protocol, &(*out)[n].protocol)) {
            say_entry(r, CONF_SAY_ERROR, e, "'" S_FMT "' must be one of: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
                      S_ARG(protocol));
            continue;
        }
        (*out)[n++].name = upper(name, &c->arena);
    }
    return n;
}

static bool mapping_find(const struct mapping *m, int n, struct slice name, enum conf_protocol *out)
{
    for (int i = n - 1; i >= 0; i--) /* the last one counts, as in a Java map */
        if (slice_eq(m[i].name, name)) return *out = m[i].protocol, true;
    return false;
}

static bool clashes(const struct endpoint *seen, int n, struct endpoint ep, const struct conf_entry *e, struct conf_report *r)
{
    for (int i = 0; i < n; i++) {
        if (slice_eq(seen[i].name, ep.name)) {
            say_entry(r, CONF_SAY_ERROR, e, "listener " S_FMT " is there twice; every listener needs a name of its own",
                      S_ARG(ep.name));
            return true;
        }
        if (ep.port && seen[i].port == ep.port && same_address(seen[i].host, ep.host)) {
            say_entry(r, CONF_SAY_ERROR, e, "listeners " S_FMT " and " S_FMT " both want port %d", S_ARG(seen[i].name),
                      S_ARG(ep.name), ep.port);
            return true;
        }
    }
    return false;
}

static int open_listeners(struct conf *c, struct endpoint *seen, struct conf_report *r)
{
    int n, controllers_n, mappings_n, seen_n = 0;
    const struct slice *items = conf_list(c, CONF_LISTENERS, &n);
    const struct slice *controllers = conf_list(c, CONF_CONTROLLER_LISTENER_NAMES, &controllers_n);
    const struct conf_entry *e = entry_of(c, CONF_LISTENERS);
    struct mapping *mappings;
    mappings_n = mapping_parse(c, &mappings, r);
    c->listeners = arena_array(&c->arena, struct conf_listener, n + 1);
    for (int i = 0; i < n; i++) {
        struct endpoint ep;
        struct conf_listener l = { 0 };
        if (endpoint_parse(items[i], &c->arena, &ep) < 0) {
            say_entry(r, CONF_SAY_ERROR, e, "'" S_FMT "' must be NAME://host:port, with a port from 0 to 65535", S_ARG(items[i]));
            continue;
        }
        if (clashes(seen, seen_n, ep, e, r)) continue;
        seen[seen_n++] = ep;
        if (in_list(controllers, controllers_n, ep.name)) continue;
        if (!mapping_find(mappings, mappings_n, ep.name, &l.protocol)) {
            say_entry(r, CONF_SAY_ERROR, e,
                      "listener " S_FMT " has no protocol; add " S_FMT ":PLAINTEXT to listener.security.protocol.map",
                      S_ARG(ep.name), S_ARG(ep.name));
            continue;
        }
        if (!protocol_served(l.protocol)) {
            say_entry(r, CONF_SAY_ERROR, e, "listener " S_FMT ": %s is not served by this build; PLAINTEXT is", S_ARG(ep.name),
                      protocol_names[l.protocol]);
            continue;
        }
        l.name = ep.name;
        l.host = wildcard(ep.host) && !slice_is(ep.host, "0.0.0.0") ? S("") : ep.host;
        l.port = ep.port;
        l.derive = wildcard(ep.host);
        if (!l.derive) l.advertised_host = ep.host;
        l.advertised_port = ep.port;
        c->listeners[c->listeners_n++] = l;
    }
    if (c->listeners_n == 0 && r && r->errors == 0)
        say_entry(r, CONF_SAY_ERROR, e, "no listener is left for clients; add PLAINTEXT://:9092");
    return seen_n;
}

static struct conf_listener *listener_named(struct conf *c, struct slice name)
{
    for (int i = 0; i < c->listeners_n; i++)
        if (slice_eq(c->listeners[i].name, name)) return &c->listeners[i];
    return NULL;
}

static void advertise(struct conf *c, const struct endpoint *seen, int seen_n, struct conf_report *r)
{
    int n, controllers_n;
    const struct slice *items = conf_list(c, CONF_ADVERTISED_LISTENERS, &n);
    const struct slice *controllers = conf_list(c, CONF_CONTROLLER_LISTENER_NAMES, &controllers_n);
    const struct conf_entry *e = entry_of(c, CONF_ADVERTISED_LISTENERS);
    for (int i = 0; i < n; i++) {
        struct endpoint ep;
        if (endpoint_parse(items[i], &c->arena, &ep) < 0) {
            say_entry(r, CONF_SAY_ERROR, e, "'" S_FMT "' must be NAME://host:port, with a port from 0 to 65535", S_ARG(items[i]));
            continue;
        }
        if (in_list(controllers, controllers_n, ep.name)) continue;
        struct conf_listener *l = listener_named(c, ep.name);
        bool known = l != NULL;
        for (int k = 0; k < seen_n && !known; k++) known = slice_eq(seen[k].name, ep.name);
        if (!known) {
            say_entry(r, CONF_SAY_ERROR, e, "listener " S_FMT " is not among listeners=" S_FMT, S_ARG(ep.name),
                      S_ARG(conf_str(c, CONF_LISTENERS)));
            continue;
        }
        if (ep.host.n && wildcard(ep.host)) {
            say_entry(r, CONF_SAY_ERROR, e, "clients cannot connect to " S_FMT "; write an address that they can reach",
                      S_ARG(ep.host));
            continue;
        }
        if (!l) continue; /* its own error was told with the listeners */
        l->advertised_port = ep.port ? ep.port : l->port;
        l->derive = ep.host.n == 0;
        l->advertised_host = ep.host.n ? ep.host : (struct slice){ NULL, 0 };
    }
}

void listeners_build(struct conf *c, struct conf_report *r)
{
    int n, derived = 0;
    conf_list(c, CONF_LISTENERS, &n);
    struct endpoint *seen = arena_array(&c->arena, struct endpoint, n + 1);
    n = open_listeners(c, seen, r);
    advertise(c, seen, n, r);
    struct bytes names = { 0 };
    for (int i = 0; i < c->listeners_n; i++)
        if (c->listeners[i].derive) bytes_printf(&names, "%s" S_FMT, derived++ ? ", " : "", S_ARG(c->listeners[i].name));
    if (derived)
        say(r, CONF_SAY_NOTE, "advertised.listeners has no address for %.*s: clients are told the address that they dialled",
            (int)names.n, (const char *)names.p);
    bytes_free(&names);
}
