/* net: listeners and connections. Bytes in, frames to the broker; answers out, from memory and from files.
 *
 * Each connection lives on one loop. One acceptor hands connections to the loop with the fewest (DESIGN.md §3). */
#pragma once
#include <odradek/base.h>
#include <odradek/broker.h>
#include <odradek/config.h>

struct net;
/* Binds and listens on every listener of conf and tells the broker the ports; accepts nothing yet. E_IO, … with why naming the listener. */
int net_open(struct broker *b, const struct conf *conf, struct net **out, struct why *why);
void net_start(struct net *n); /* accept; the loops run already or will */
/* "PLAINTEXT://127.0.0.1:9092,…" as bound; in a. */
struct slice net_listeners_text(const struct net *n, struct arena *a);
int net_port(const struct net *n, int listener); /* bound port of conf's i-th listener */
/* Any thread: no new connections; every connection closes as soon as it has nothing left to execute and to send, at the latest after
 * timeout_ms. `drained` is called once on each loop when its last connection has been closed. */
void net_drain(struct net *n, int64_t timeout_ms, void (*drained)(void *arg), void *arg);
void net_free(struct net **n); /* after the loops have ended */
