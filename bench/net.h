// Blocking sockets for the load generator and the limits: one thread a connection.
// Every function exits with a clear line when the peer fails; the caller need not check.
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

// A connected TCP socket without Nagle's delay. net_try_connect returns -1 when nobody listens.
int net_connect(const char *host, int port);
int net_connect_sized(const char *host, int port, int send_buffer,
                      int receive_buffer); // 0: the kernel's choice
int net_try_connect(const char *host, int port);

// A listening socket on 127.0.0.1; *port 0 becomes the port that the kernel chose.
int net_listen(int *port);
int net_accept(int listener);

// Sends all of it; changes iov.
void net_send(int fd, struct iovec *iov, int n);

// Reads with a small buffer.
#define READER_BUFFER_BYTES 512

struct reader {
    int fd;
    bool drop; // skipped bytes are dropped by the kernel instead of being read into a buffer
    size_t at, end;
    uint8_t buffer[READER_BUFFER_BYTES];
};

void reader_init(struct reader *r, int fd);

// The next n bytes (at most READER_BUFFER_BYTES), valid until the next call.
const uint8_t *reader_take(struct reader *r, size_t n);

// Like reader_take, but false when the peer has closed before the first byte.
bool reader_open(struct reader *r, size_t n);

void reader_skip(struct reader *r, size_t n);

// Copies the next n bytes.
void reader_copy(struct reader *r, void *to, size_t n);

#endif
