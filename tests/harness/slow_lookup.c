// Loaded into a program (LD_PRELOAD): to look up a name takes as long as the file SLOW_WHILE exists.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    const char *obstacle = getenv("SLOW_WHILE");
    struct timespec pause = {0, 10 * 1000 * 1000};
    if (!real)
        real = (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
            RTLD_NEXT, "getaddrinfo");
    if (!hints || !(hints->ai_flags & AI_NUMERICHOST))
        while (access(obstacle, F_OK) == 0)
            nanosleep(&pause, NULL);
    return real(host, port, hints, found);
}
