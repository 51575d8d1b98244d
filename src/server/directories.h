// The log directories of this broker: opened at the start as far as they work, watched while it runs, and
// what of them is left.
//
// A directory that is off line at the start, or goes off line later, stays so until the next start. The
// broker goes on with the others, but not without the one of the metadata log.
#ifndef SERVER_DIRECTORIES_H
#define SERVER_DIRECTORIES_H

#include "config/broker_config.h"
#include "storage/disk_watch.h"
#include "storage/log_dir.h"

struct directories {
    struct log_dir **all; // of log.dirs in their order; behind them metadata.log.dir where it is none of them
    size_t count, log_dirs_count, metadata;
    struct disk_watch *watch;
};

// Opens and locks them. One that is missing (while another one is formatted), cannot be read or has a damaged
// meta.properties is off line and logged. An error: another process holds one, the metadata's does not work,
// or none does; one line in message.
int directories_open(struct directories *d, const struct broker_config *config, char *message, size_t size);

// Starts watching. `tell`: see struct dir_health; it is also called when a directory is cordoned or not any
// more.
int directories_watch(struct directories *d, int64_t min_free_bytes,
                      void (*tell)(void *arg, struct dir_health *health), void *arg);
void directories_unwatch(struct directories *d);

// Ends the threads that load logs, once what they have to load is loaded.
void directories_stop_loaders(struct directories *d);

// Those that the log manager closes are `closed` already.
void directories_free(struct directories *d, bool closed);

// Follows cordoned.log.dirs (KIP-1066): no new partitions come into those directories, what they have is
// served. Any thread.
void directories_cordon(struct directories *d, const struct broker_config *config);

enum directories_which {
    DIRECTORIES_WORKING,
    DIRECTORIES_FAILED,
    DIRECTORIES_CORDONED, // that work
};

// The ids (as far as they are known) of some of log.dirs; `out` has room for all. Any thread.
size_t directories_ids(const struct directories *d, enum directories_which which, struct uuid *out);

// Why the broker cannot go on ("all of log.dirs have failed"), or NULL. Any thread.
const char *directories_fatal(const struct directories *d);

// The epoch under which the last run stopped cleanly, when every directory says the same one; else -1. It
// tells the controller that this broker has lost nothing (KIP-966).
int64_t directories_previous_epoch(const struct directories *d);

#endif
