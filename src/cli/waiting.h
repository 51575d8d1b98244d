// What a command waits for: said once on standard error when it takes long. One thread.
#ifndef CLI_WAITING_H
#define CLI_WAITING_H

#include "cli/cli.h"

#include <stdint.h>

// From now on the command waits for this ("the coordinator of x"), until give_up_ms. It began to before where
// that is what it waits for already.
void waiting_for(const struct command *self, int64_t give_up_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// To be called every now and then while it waits. Always false, as stream_give_up_when has it: go on.
bool waiting_look(void);

#endif
