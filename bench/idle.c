// Connections that are open and silent.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "modes.h"
#include "net.h"

void mode_idle(const struct options *o)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int64_t opened = 0;
    for (; opened < o->count; opened++)
        if (net_try_connect(o->host, o->port) < 0)
            fail("connection %lld to %s:%d: %s", (long long)opened + 1, o->host, o->port, strerror(errno));
    printf("{\"connections\": %lld}\n", (long long)opened);
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}
