#include "os/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "os/thread.h"

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

// The addresses of a name, asked for by a thread of its own: nothing else ends such a question early.
struct lookup {
    struct thread thread;
    atomic_int holders; // who asked, and the thread: the last one frees it
    char *host, *port;
    struct addrinfo *found;
    atomic_int problem; // getaddrinfo's
    int over;           // an eventfd
};

static void lookup_drop(struct lookup *l)
{
    if (atomic_fetch_sub(&l->holders, 1) > 1)
        return;
    if (l->found)
        freeaddrinfo(l->found);
    if (l->over >= 0)
        close(l->over);
    free(l->host);
    free(l->port);
    free(l);
}

static void look_up(void *context)
{
    struct lookup *l = context;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    atomic_store(&l->problem, getaddrinfo(l->host, l->port, &hints, &l->found));
    eventfd_write(l->over, 1);
    lookup_drop(l);
}

static struct lookup *lookup_start(const char *host, const char *port)
{
    struct lookup *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->holders = 2;
    l->host = strdup(host);
    l->port = strdup(port);
    l->over = eventfd(0, EFD_CLOEXEC);
    if (l->host && l->port && l->over >= 0 && thread_start(&l->thread, "lookup", look_up, l) == 0) {
        pthread_detach(l->thread.id);
        return l;
    }
    l->holders = 1;
    lookup_drop(l);
    return NULL;
}

// *all is the caller's. 0, or as stream_connect.
static int resolve(const char *host, const char *port, int64_t deadline_ms, struct addrinfo **all,
                   const char **reason)
{
    const struct addrinfo literal = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    if (getaddrinfo(host, port, &literal, all) == 0)
        return 0;
    struct lookup *l = lookup_start(host, port);
    if (!l) {
        *reason = strerror(errno);
        return ERR_IO;
    }
    int err = wait_for(l->over, POLLIN, deadline_ms), problem = err ? 0 : atomic_load(&l->problem);
    if (problem) {
        *reason = gai_strerror(problem);
        err = ERR_NOT_FOUND;
    }
    if (!err) {
        *all = l->found;
        l->found = NULL;
    }
    lookup_drop(l);
    return err;
}

int stream_connect(const char *host, const char *port, int timeout_ms, const char **reason)
{
    struct addrinfo *all;
    int fd = resolve(host, port, clock_monotonic_ms() + timeout_ms, &all, reason);
    if (fd)
        return fd;
    fd = ERR_NOT_FOUND;
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
