#include "storage/dir_health.h"

#include "base/error.h"
#include "base/logger.h"

#include <errno.h>
#include <string.h>

void dir_health_fail(struct dir_health *h, const char *what, const char *on, int rc)
{
    const char *why = rc == ERR_IO && errno ? strerror(errno) : err_text(rc);
    if (!h || atomic_exchange(&h->failed, true))
        return;
    log_error("storage",
              "the log directory %s is off line: %s %s: %s; its partitions answer KAFKA_STORAGE_ERROR until "
              "the broker is started again with the directory mended",
              h->path, what, on, why);
    if (h->tell)
        h->tell(h->tell_arg, h);
}

int dir_health_note(struct dir_health *h, const char *what, const char *on, int rc)
{
    if (rc == ERR_IO && h)
        dir_health_fail(h, what, on, rc);
    return rc;
}
