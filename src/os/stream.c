#include "os/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

#define ASK_MS 100 // between two questions whether to give up

static bool (*give_up)(void);

void stream_give_up_when(bool (*ended)(void))
{
    give_up = ended;
}

// Until it can be read or written. 0, ERR_AGAIN after the deadline, ERR_STOPPED, ERR_IO.
static int wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        struct pollfd p = {.fd = fd, .events = events};
        if (left_ms <= 0)
            return ERR_AGAIN;
        if (give_up && give_up())
            return ERR_STOPPED;
        int n = poll(&p, 1, give_up && left_ms > ASK_MS ? ASK_MS : (int)left_ms);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return ERR_IO;
    }
}

// 0, ERR_AGAIN, ERR_STOPPED or ERR_IO (errno).
static int connect_socket(int fd, const struct addrinfo *to, int64_t deadline_ms)
{
    int on = 1, problem = 0;
    socklen_t size = sizeof problem;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0 && errno != EINPROGRESS)
        return ERR_IO;
    int err = wait_for(fd, POLLOUT, deadline_ms);
    if (err)
        return err;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0)
        return ERR_IO;
    errno = problem;
    return problem ? ERR_IO : 0;
}

static int connect_to(const struct addrinfo *to, int timeout_ms)
{
    int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol);
    if (fd < 0)
        return ERR_IO;
    int err = connect_socket(fd, to, clock_monotonic_ms() + timeout_ms), cause = errno;
    if (err) {
        close(fd);
        errno = cause;
    }
    return err ? err : fd;
}

int stream_connect(const char *host, const char *port, int timeout_ms, const char **reason)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *all;
    int problem = getaddrinfo(host, port, &hints, &all), fd = ERR_NOT_FOUND;
    if (problem) {
        *reason = gai_strerror(problem);
        return ERR_NOT_FOUND;
    }
    for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next)
        fd = connect_to(a, timeout_ms);
    *reason = fd == ERR_IO ? strerror(errno) : "";
    freeaddrinfo(all);
    return fd;
}

int stream_adopt(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : ERR_IO;
}

int stream_send(int fd, const uint8_t *at, size_t size, int64_t deadline_ms)
{
    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN) {
            int err = wait_for(fd, POLLOUT, deadline_ms);
            if (err)
                return err;
        } else if (errno != EINTR) {
            return ERR_IO;
        }
    }
    return 0;
}

int stream_receive(int fd, uint8_t *at, size_t size, int64_t deadline_ms)
{
    while (size > 0) {
        ssize_t n = recv(fd, at, size, 0);
        if (n == 0)
            return ERR_CLOSED;
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN) {
            int err = wait_for(fd, POLLIN, deadline_ms);
            if (err)
                return err;
        } else if (errno != EINTR) {
            return ERR_IO;
        }
    }
    return 0;
}

void stream_close(int fd)
{
    close(fd);
}
