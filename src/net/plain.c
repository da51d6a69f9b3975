/* The plain transport: our own descriptor under the loop's poll. */
#include "net_internal.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t plain_readv(struct conn *c, const struct iovec *v, int n)
{
    ssize_t k;
    do k = n == 1 ? read(c->io.fd, v->iov_base, v->iov_len) : readv(c->io.fd, v, n);
    while (k < 0 && errno == EINTR);
    return k < 0 ? -errno : k;
}

static ssize_t plain_writev(struct conn *c, const struct iovec *v, int n, bool more)
{
    struct msghdr m = { .msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n };
    ssize_t k;
    do
        k = n == 1 ? send(c->io.fd, v->iov_base, v->iov_len, MSG_NOSIGNAL | (more ? MSG_MORE : 0))
                   : sendmsg(c->io.fd, &m, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    while (k < 0 && errno == EINTR);
    return k < 0 ? -errno : k;
}

static ssize_t plain_sendfile(struct conn *c, const struct file_range *r, uint32_t from, uint32_t n)
{
    off_t at = r->at + from;
    ssize_t k;
    do k = sendfile(c->io.fd, r->fd, &at, n);
    while (k < 0 && errno == EINTR);
    return k < 0 ? -errno : k;
}

static bool plain_pending(struct conn *c) { return false; }

static void plain_ready(struct loop_io *io, unsigned events) { conn_ready(container_of(io, struct conn, io), events); }

static void plain_closed(struct loop_io *io)
{
    struct conn *c = container_of(io, struct conn, io);
    close(io->fd);
    conn_gone(c);
}

static int plain_open(struct conn *c)
{
    c->io.ready = plain_ready;
    c->io.closed = plain_closed;
    return loop_io_open(c->nl->loop, &c->io, IO_READ | IO_HANGUP);
}

static void plain_want(struct conn *c, unsigned events) { loop_io_want(c->nl->loop, &c->io, events); }

static void plain_close(struct conn *c)
{
    if (c->io.priv) loop_io_close(c->nl->loop, &c->io);
    else plain_closed(&c->io); /* could not be watched */
}

static void plain_left(struct loop_io *io) { conn_left(container_of(io, struct conn, io)); }

static void plain_leave(struct conn *c)
{
    c->io.closed = plain_left;
    loop_io_close(c->nl->loop, &c->io);
}

const struct transport transport_plain = {
    .readv = plain_readv,
    .writev = plain_writev,
    .sendfile = plain_sendfile,
    .pending = plain_pending,
    .open = plain_open,
    .want = plain_want,
    .close = plain_close,
    .leave = plain_leave,
};
