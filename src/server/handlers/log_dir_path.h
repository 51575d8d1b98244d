// How a log directory is called in requests and responses.
#ifndef SERVER_LOG_DIR_PATH_H
#define SERVER_LOG_DIR_PATH_H

#include "base/arena.h"

// The path from the root on; as configured where the working directory is not known.
struct str log_dir_absolute(struct arena *arena, const char *path);

#endif
