// A connection that its thread waits for: connect, send, receive, each until a deadline of
// clock_monotonic_ms. One thread at a time.
#ifndef OS_STREAM_H
#define OS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A program that somebody may end while it waits: whoever waits below asks this, ten times a second, and
// gives up with ERR_STOPPED once it is true. NULL: nobody is asked. One for the process, set where nothing
// waits.
void stream_give_up_when(bool (*ended)(void));

// Connects to the first address of host:port that answers; a name has as long to be found, and each address
// to answer. Returns the descriptor; ERR_NOT_FOUND (*reason says why the name is none), ERR_AGAIN (the
// deadline), ERR_STOPPED, ERR_IO (*reason says what failed).
// *reason is static text or errno's.
int stream_connect(const char *host, const char *port, int timeout_ms, const char **reason);

// Makes a descriptor from elsewhere one for these functions. 0 or ERR_IO (errno).
int stream_adopt(int fd);

// All of it. 0; ERR_AGAIN (the deadline), ERR_STOPPED, ERR_CLOSED (the peer closed; receive only), ERR_IO
// (errno).
int stream_send(int fd, const uint8_t *at, size_t size, int64_t deadline_ms);
int stream_receive(int fd, uint8_t *at, size_t size, int64_t deadline_ms);

void stream_close(int fd);

#endif
