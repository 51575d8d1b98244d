// TCP sockets, non-blocking, closed on exec. Any thread, one at a time a socket.
#ifndef OS_SOCKET_H
#define OS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define SOCKET_PEER_BYTES 56 // "[address]:port" and a zero

struct socket_peer {
    uint8_t ip[16];               // IPv4 addresses as ::ffff:a.b.c.d
    char text[SOCKET_PEER_BYTES]; // "127.0.0.1:40312", "[::1]:40312"
};

// Binds and listens. host NULL or "" is every address, of both families where the machine has IPv6. Returns
// the descriptor and the bound port, or ERR_IO and one line in `reason`.
int socket_listen(const char *host, uint16_t port, int backlog, uint16_t *bound_port, char *reason,
                  size_t reason_bytes);

// Accepts one connection; it inherits the listener's options (TCP_NODELAY, buffers). Returns the descriptor,
// or: ERR_AGAIN: none waits; ERR_LIMIT: no descriptor is free (EMFILE, ENFILE) or no memory; ERR_IO (errno)
// otherwise.
int socket_accept(int listener_fd, struct socket_peer *peer);

// Two ends of a stream within this machine: [0] non-blocking, [1] blocking; closed on exec. 0, or ERR_LIMIT,
// ERR_IO.
int socket_pair(int ends[2]);

// Reads what is there, at most `size` (> 0). Returns the count, 0 at the end of the stream, ERR_AGAIN, or
// ERR_IO (errno).
ssize_t socket_receive(int fd, void *into, size_t size);

// Whether something has come that was not read yet.
bool socket_has_unread(int fd);

// Sends; `more`: something follows at once, so that the kernel may wait to fill a packet.
// Returns the count (possibly less than asked), ERR_AGAIN, or ERR_IO (errno).
ssize_t socket_send(int fd, const struct iovec *parts, int count, bool more);

// Sends bytes of a file without copying them through user space. Returns the count (possibly less than asked;
// 0: the file ends before position), ERR_AGAIN, or ERR_IO (errno).
ssize_t socket_send_file(int fd, int file_fd, int64_t position, size_t size);

// While corked, only full packets leave.
void socket_cork(int fd, bool corked);

// SO_SNDBUF and SO_RCVBUF, of a listener for what it will accept; -1 leaves the system's (which then adapt by
// themselves).
void socket_buffers(int fd, int send_bytes, int receive_bytes);

void socket_close(int fd);

// Both directions end; who waits for it is woken. The descriptor stays.
void socket_end(int fd);

// A descriptor that is good for nothing but being closed, so that one is free when it is needed most; -1 when
// none is.
int socket_spare_fd(void);

// The same address in the form of socket_peer.ip. 0, or ERR_INVALID when it is no numeric address.
int socket_parse_ip(const char *text, uint8_t ip[16]);

// The first address of a host that is named by a name or numerically. 0, or ERR_NOT_FOUND. May wait for the
// name service: not on a reactor.
int socket_resolve_ip(const char *host, uint8_t ip[16]);

#endif
