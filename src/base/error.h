// The one set of result codes. Fallible functions return 0 or one of these (negative).
// The protocol's error codes are another enum (protocol/errors.h); server/ maps where the two meet.
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum err {
    ERR_NOMEM = -1,       // out of memory
    ERR_IO = -2,          // a system call failed; errno says how
    ERR_CORRUPT = -3,     // bytes that are not what they must be
    ERR_TRUNCATED = -4,   // the bytes end too early
    ERR_INVALID = -5,     // an argument or a value from outside is not acceptable
    ERR_LIMIT = -6,       // a named limit was reached
    ERR_NOT_FOUND = -7,   // no such thing
    ERR_EXISTS = -8,      // it exists already
    ERR_UNSUPPORTED = -9, // known, but not supported
    ERR_AGAIN = -10,      // not now; try later
    ERR_CLOSED = -11,     // the peer, file or component is closed
    ERR_RANGE = -12,      // an offset or position outside what exists
    ERR_NO_SPACE = -13,   // the disk is full
    ERR_STOPPED = -14,    // the component is stopping
};

// A short English phrase for a code, e.g. "corrupt data". Static; never NULL. Any thread.
const char *err_text(int code);

#endif
