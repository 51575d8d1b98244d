// odradek log dump: the files of a log directory, for people or as JSON. For the files dump*.c and
// log_command.c only.
#ifndef CLI_DUMP_H
#define CLI_DUMP_H

#include "base/buffer.h"
#include "cli/cli.h"

#include <stdint.h>

struct dump {
    const struct command *command;
    bool json, records, metadata; // metadata: records are those of __cluster_metadata
    struct buffer out;
    uint64_t files, problems; // problems: files or batches that are damaged
};

// Dumps one file by its name; files of a kind that is not known are passed over unless `asked` for by name.
// Damage is counted and told, and is no failure of the function. EXIT_OK, or EXIT_FAILED when something
// cannot be read or written.
int dump_file(struct dump *d, const char *path, bool asked);

// The kinds of files; each gets the path and an open descriptor of `size` bytes.
int dump_batches(struct dump *d, const char *path, int fd, int64_t size);
int dump_offset_index(struct dump *d, const char *path, int fd, int64_t size);
int dump_time_index(struct dump *d, const char *path, int fd, int64_t size);
int dump_transaction_index(struct dump *d, const char *path, int fd, int64_t size);
int dump_producer_snapshot(struct dump *d, const char *path, int fd, int64_t size);
int dump_text(struct dump *d, const char *path, int fd, int64_t size);

// A record's value decoded, appended as JSON: "Name {...}" for people, or members "type", "version" and
// "data". False when it is none that is known; nothing is appended then.
bool dump_metadata_value(const struct dump *d, struct bytes value, struct buffer *out);
bool dump_control_value(const struct dump *d, int16_t type, struct bytes value, struct buffer *out);

// Says that a file is damaged, and where.
void dump_problem(struct dump *d, const char *path, int64_t at, const char *what);

// odradek log verify (verify_command.c).
extern const struct command log_verify_command;

// Writes what was printed. EXIT_OK or EXIT_FAILED and said so.
int dump_flush(struct dump *d);

#endif
