#include "net.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "options.h"

#define SINK_BYTES (256 << 10)

static struct sockaddr_in address_of(const char *host, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
        fail("address %s: an IPv4 address is needed", host);
    return a;
}

static void without_delay(int fd)
{
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

static void set_buffer(int fd, int which, int bytes)
{
    if (bytes && setsockopt(fd, SOL_SOCKET, which, &bytes, sizeof bytes) < 0)
        fail("a socket buffer of %d bytes: %s", bytes, strerror(errno));
}

// The sizes are set before connecting, as the window's scale depends on them.
static int try_connect(const char *host, int port, int send_buffer, int receive_buffer)
{
    struct sockaddr_in a = address_of(host, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket: %s", strerror(errno));
    set_buffer(fd, SO_SNDBUF, send_buffer);
    set_buffer(fd, SO_RCVBUF, receive_buffer);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        int cause = errno;
        close(fd);
        errno = cause;
        return -1;
    }
    without_delay(fd);
    return fd;
}

int net_try_connect(const char *host, int port)
{
    return try_connect(host, port, 0, 0);
}

int net_connect_sized(const char *host, int port, int send_buffer, int receive_buffer)
{
    int fd = try_connect(host, port, send_buffer, receive_buffer);
    if (fd < 0)
        fail("connect to %s:%d: %s", host, port, strerror(errno));
    return fd;
}

int net_connect(const char *host, int port)
{
    return net_connect_sized(host, port, 0, 0);
}

int net_listen(int *port)
{
    struct sockaddr_in a = address_of("127.0.0.1", *port);
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        fail("listen on 127.0.0.1:%d: %s", *port, strerror(errno));
    *port = ntohs(a.sin_port);
    return fd;
}

int net_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        fail("accept: %s", strerror(errno));
    without_delay(fd);
    return fd;
}

void net_send(int fd, struct iovec *iov, int n)
{
    while (n > 0) {
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)n};
        ssize_t sent = sendmsg(fd, &m, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            fail("send: %s", strerror(errno));
        size_t left = (size_t)sent;
        while (n > 0 && left >= iov->iov_len) {
            left -= iov->iov_len;
            iov++;
            n--;
        }
        if (n > 0) {
            iov->iov_base = (uint8_t *)iov->iov_base + left;
            iov->iov_len -= left;
        }
    }
}

void reader_init(struct reader *r, int fd)
{
    r->fd = fd;
    r->drop = false;
    r->at = r->end = 0;
}

// Bytes received, 0 when the peer has closed.
static size_t receive(int fd, void *to, size_t n, int flags)
{
    for (;;) {
        ssize_t got = recv(fd, to, n, flags);
        if (got >= 0)
            return (size_t)got;
        if (errno != EINTR)
            fail("receive: %s", strerror(errno));
    }
}

bool reader_open(struct reader *r, size_t n)
{
    assert(n <= sizeof r->buffer);
    if (r->end - r->at >= n)
        return true;
    memmove(r->buffer, r->buffer + r->at, r->end - r->at);
    r->end -= r->at;
    r->at = 0;
    while (r->end < n) {
        size_t got = receive(r->fd, r->buffer + r->end, sizeof r->buffer - r->end, 0);
        if (got == 0 && r->end == 0)
            return false;
        if (got == 0)
            fail("the peer closed the connection within a frame");
        r->end += got;
    }
    return true;
}

const uint8_t *reader_take(struct reader *r, size_t n)
{
    if (!reader_open(r, n))
        fail("the peer closed the connection");
    const uint8_t *p = r->buffer + r->at;
    r->at += n;
    return p;
}

void reader_skip(struct reader *r, size_t n)
{
    size_t have = r->end - r->at < n ? r->end - r->at : n;
    r->at += have;
    n -= have;
    static _Thread_local uint8_t sink[SINK_BYTES];
    while (n > 0) {
        size_t got = r->drop ? receive(r->fd, NULL, n, MSG_TRUNC)
                             : receive(r->fd, sink, n < sizeof sink ? n : sizeof sink, 0);
        if (got == 0)
            fail("the peer closed the connection within a frame");
        n -= got;
    }
}

void reader_copy(struct reader *r, void *to, size_t n)
{
    uint8_t *out = to;
    size_t have = r->end - r->at < n ? r->end - r->at : n;
    memcpy(out, r->buffer + r->at, have);
    r->at += have;
    while (have < n) {
        size_t got = receive(r->fd, out + have, n - have, 0);
        if (got == 0)
            fail("the peer closed the connection within a frame");
        have += got;
    }
}
