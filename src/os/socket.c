#include "os/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/error.h"

static void set_option(int fd, int level, int option, int value)
{
    // Options only tune; a socket without one still works.
    setsockopt(fd, level, option, &value, sizeof value);
}

static int listen_on(const struct addrinfo *address, int backlog)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -1;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); // accepted sockets inherit it
    if (address->ai_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, backlog) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &size);
    // The port lies at the same place in both families.
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

int socket_listen(const char *host, uint16_t port, int backlog, uint16_t *bound_port, char *reason,
                  size_t reason_bytes)
{
    if (host && !*host)
        host = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {
        .ai_family = host ? AF_UNSPEC : AF_INET6, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    int fd = -1, failed = EAI_NONAME;
    errno = 0;
    // Every address: one IPv6 socket takes IPv4, too; without IPv6 on the machine, an IPv4 one.
    for (int attempt = 0; attempt < 2 && fd < 0; attempt++) {
        struct addrinfo *found = NULL;
        failed = getaddrinfo(host, service, &hints, &found);
        for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next)
            fd = listen_on(a, backlog);
        int saved = errno;
        if (found)
            freeaddrinfo(found);
        errno = saved;
        if (host || errno == EADDRINUSE)
            break;
        hints.ai_family = AF_INET;
    }
    if (fd < 0) {
        snprintf(reason, reason_bytes, "%s:%u: %s", host ? host : "*", port,
                 failed ? gai_strerror(failed) : strerror(errno));
        return ERR_IO;
    }
    *bound_port = port_of(fd);
    return fd;
}

static void peer_of(const struct sockaddr_storage *address, struct socket_peer *peer)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN] = "?";
    *peer = (struct socket_peer){0};
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        memcpy(peer->ip, mapped, sizeof mapped);
        memcpy(peer->ip + 12, &in->sin_addr, 4);
    } else if (address->ss_family == AF_INET6) {
        memcpy(peer->ip, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
    }
    unsigned port = ntohs(((const struct sockaddr_in *)address)->sin_port);
    if (memcmp(peer->ip, mapped, sizeof mapped) == 0) {
        inet_ntop(AF_INET, peer->ip + 12, text, sizeof text);
        snprintf(peer->text, sizeof peer->text, "%s:%u", text, port);
    } else {
        inet_ntop(AF_INET6, peer->ip, text, sizeof text);
        snprintf(peer->text, sizeof peer->text, "[%s]:%u", text, port);
    }
}

int socket_pair(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return errno == EMFILE || errno == ENFILE ? ERR_LIMIT : ERR_IO;
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
        return 0;
    close(ends[0]);
    close(ends[1]);
    return ERR_IO;
}

int socket_accept(int listener_fd, struct socket_peer *peer)
{
    for (;;) {
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof address;
        int fd = accept4(listener_fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            peer_of(&address, peer);
            return fd;
        }
        switch (errno) {
        case EAGAIN:
            return ERR_AGAIN;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return ERR_LIMIT;
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
        case ENETDOWN:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case ENETUNREACH:
            continue; // this connection failed before it was accepted; the next may be well (accept(2))
        default:
            return ERR_IO;
        }
    }
}

static ssize_t outcome(ssize_t count)
{
    if (count >= 0)
        return count;
    return errno == EAGAIN || errno == EWOULDBLOCK ? ERR_AGAIN : ERR_IO;
}

ssize_t socket_receive(int fd, void *into, size_t size)
{
    ssize_t count;
    do
        count = recv(fd, into, size, 0);
    while (count < 0 && errno == EINTR);
    return outcome(count);
}

bool socket_has_unread(int fd)
{
    int count;
    return ioctl(fd, FIONREAD, &count) != 0 || count > 0;
}

ssize_t socket_send(int fd, const struct iovec *parts, int count, bool more)
{
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    ssize_t sent;
    do {
        if (count == 1) {
            sent = send(fd, parts[0].iov_base, parts[0].iov_len, flags);
        } else {
            struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                                     .msg_iovlen = (size_t)count};
            sent = sendmsg(fd, &message, flags);
        }
    } while (sent < 0 && errno == EINTR);
    return outcome(sent);
}

ssize_t socket_send_file(int fd, int file_fd, int64_t position, size_t size)
{
    ssize_t sent;
    do {
        off_t offset = position;
        sent = sendfile(fd, file_fd, &offset, size);
    } while (sent < 0 && errno == EINTR);
    return outcome(sent);
}

void socket_cork(int fd, bool corked)
{
    set_option(fd, IPPROTO_TCP, TCP_CORK, corked);
}

void socket_buffers(int fd, int send_bytes, int receive_bytes)
{
    if (send_bytes > 0)
        set_option(fd, SOL_SOCKET, SO_SNDBUF, send_bytes);
    if (receive_bytes > 0)
        set_option(fd, SOL_SOCKET, SO_RCVBUF, receive_bytes);
}

void socket_close(int fd)
{
    close(fd);
}

int socket_spare_fd(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int socket_parse_ip(const char *text, uint8_t ip[16])
{
    if (inet_pton(AF_INET6, text, ip) == 1)
        return 0;
    if (inet_pton(AF_INET, text, ip + 12) != 1)
        return ERR_INVALID;
    memset(ip, 0, 10);
    ip[10] = ip[11] = 0xff;
    return 0;
}

int socket_resolve_ip(const char *host, uint8_t ip[16])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return ERR_NOT_FOUND;
    if (found->ai_family == AF_INET6) {
        memcpy(ip, &((const struct sockaddr_in6 *)(const void *)found->ai_addr)->sin6_addr, 16);
    } else {
        memset(ip, 0, 10);
        ip[10] = ip[11] = 0xff;
        memcpy(ip + 12, &((const struct sockaddr_in *)(const void *)found->ai_addr)->sin_addr, 4);
    }
    freeaddrinfo(found);
    return 0;
}

void socket_end(int fd)
{
    shutdown(fd, SHUT_RDWR);
}
