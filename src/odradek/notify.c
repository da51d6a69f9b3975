/* The service manager is told as sd_notify(3) describes: one datagram of NAME=VALUE lines to the socket that $NOTIFY_SOCKET names, '@' first for an
 * abstract one. Spoken here and not through libsystemd, whose own libraries would be a good part of the time the broker takes to start. Nothing happens
 * without a manager, and nothing fails: it is only told. */
#include "daemon.h"

#include <odradek/base.h>

#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void notify(const char *what, const char *status)
{
    const char *path = getenv("NOTIFY_SOCKET"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t n = path ? strlen(path) : 0;
    if (n < 2 || (path[0] != '/' && path[0] != '@') || n >= sizeof to.sun_path) return;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') to.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    struct bytes text = { 0 };
    bytes_printf(&text, "%sSTATUS=%s", what, status);
    (void)sendto(fd, text.p, text.n, MSG_NOSIGNAL, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    bytes_free(&text);
    close(fd);
}

void notify_ready(const char *status) { notify("READY=1\n", status); }
void notify_status(const char *status) { notify("", status); }
void notify_stopping(void) { notify("STOPPING=1\n", "stopping"); }
