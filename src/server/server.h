// The server: everything that `odradek server` runs, in the order in which it starts and stops.
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "config/broker_config.h"

// Runs until SIGTERM or SIGINT, then stops cleanly. Returns the process's exit status: 0 after a clean stop,
// 1 when the start failed (one line says why). On the main thread, before any other thread exists.
int server_main(const struct broker_config *config);

// Logs a warning for each setting that is unknown or without effect; server_main does so by itself.
void server_warn_of_settings(const struct broker_config *config);

#endif
