#include "base/error.h"

const char *err_text(int code)
{
    switch (code) {
    case 0:
        return "success";
    case ERR_NOMEM:
        return "out of memory";
    case ERR_IO:
        return "input/output error";
    case ERR_CORRUPT:
        return "corrupt data";
    case ERR_TRUNCATED:
        return "truncated data";
    case ERR_INVALID:
        return "invalid value";
    case ERR_LIMIT:
        return "limit reached";
    case ERR_NOT_FOUND:
        return "not found";
    case ERR_EXISTS:
        return "exists already";
    case ERR_UNSUPPORTED:
        return "not supported";
    case ERR_AGAIN:
        return "not available at the moment";
    case ERR_CLOSED:
        return "closed";
    case ERR_RANGE:
        return "out of range";
    case ERR_NO_SPACE:
        return "no space left";
    case ERR_STOPPED:
        return "stopping";
    }
    return "unknown error";
}
