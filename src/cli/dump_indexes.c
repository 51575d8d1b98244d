// Indexes, producer snapshots, and the text files.
#include "cli/dump.h"

#include "base/error.h"
#include "cli/output.h"
#include "os/file.h"
#include "protocol/codec.h"

#include <inttypes.h>
#include <stdlib.h>

#define OFFSET_ENTRY_BYTES      8  // int32 relative offset, int32 position
#define TIME_ENTRY_BYTES        12 // int64 timestamp, int32 relative offset
#define TRANSACTION_ENTRY_BYTES 34 // int16 version, int64 producer id, first, last and last stable offset
#define WHOLE_MAX_BYTES         (256 << 20)

// Reads a file that fits memory. EXIT_OK, or EXIT_FAILED and said so.
static int read_whole(struct dump *d, const char *path, int fd, int64_t size, struct buffer *out)
{
    if (size > WHOLE_MAX_BYTES)
        return cli_fail(d->command, "%s: larger than %d bytes", path, WHOLE_MAX_BYTES);
    int err =
        buffer_reserve(out, (size_t)size + 1) ? file_read_exactly(fd, out->data, (size_t)size, 0) : ERR_NOMEM;
    out->size = (size_t)size;
    return err ? cli_fail(d->command, "%s: %s", path, err_text(err)) : EXIT_OK;
}

static int64_t base_offset_of(const char *path)
{
    const char *name = strrchr(path, '/');
    return strtoll(name ? name + 1 : path, NULL, 10);
}

static void start_entry(struct dump *d, const char *path, const char *kind)
{
    if (!d->json)
        return;
    buffer_byte(&d->out, '{');
    json_member(&d->out, "file", str_from(path));
    buffer_printf(&d->out, ",\"kind\":\"%s\"", kind);
}

// Walks entries of one size; a live index is preallocated, and zeros behind the first entry are none.
static int walk(struct dump *d, const char *path, int fd, int64_t size, size_t entry_bytes, bool zeros_end,
                void (*print)(struct dump *d, const char *path, const uint8_t *at))
{
    struct buffer all = BUFFER_INIT;
    static const uint8_t zeros[TRANSACTION_ENTRY_BYTES];
    int status = read_whole(d, path, fd, size, &all);
    for (size_t at = 0; status == EXIT_OK && at + entry_bytes <= all.size; at += entry_bytes) {
        if (zeros_end && memcmp(all.data + at, zeros, entry_bytes) == 0)
            break;
        print(d, path, all.data + at);
        status = d->out.size > 1 << 16 ? dump_flush(d) : EXIT_OK;
    }
    if (status == EXIT_OK && all.size % entry_bytes != 0)
        dump_problem(d, path, (int64_t)(all.size - all.size % entry_bytes), "the file ends within an entry");
    buffer_free(&all);
    return status == EXIT_OK ? dump_flush(d) : status;
}

static void print_offset(struct dump *d, const char *path, const uint8_t *at)
{
    int64_t offset = base_offset_of(path) + (int32_t)load_be32(at);
    int32_t position = (int32_t)load_be32(at + 4);
    start_entry(d, path, "offsetIndex");
    buffer_printf(&d->out,
                  d->json ? ",\"offset\":%" PRId64 ",\"position\":%d}\n" : "  offset %" PRId64 "  at %d\n",
                  offset, position);
}

static void print_time(struct dump *d, const char *path, const uint8_t *at)
{
    int64_t ms = (int64_t)load_be64(at), offset = base_offset_of(path) + (int32_t)load_be32(at + 8);
    char text[TIME_TEXT_BYTES];
    time_text(ms, text);
    start_entry(d, path, "timeIndex");
    if (d->json)
        buffer_printf(&d->out, ",\"timestamp\":%" PRId64 ",\"offset\":%" PRId64 "}\n", ms, offset);
    else
        buffer_printf(&d->out, "  %s  offset %" PRId64 "\n", text, offset);
}

static void print_transaction(struct dump *d, const char *path, const uint8_t *at)
{
    int64_t v[4];
    for (int i = 0; i < 4; i++)
        v[i] = (int64_t)load_be64(at + 2 + 8 * i);
    start_entry(d, path, "abortedTransaction");
    buffer_printf(&d->out,
                  d->json ? ",\"producerId\":%" PRId64 ",\"firstOffset\":%" PRId64 ",\"lastOffset\":%" PRId64
                            ",\"lastStableOffset\":%" PRId64 "}\n"
                          : "  producer %" PRId64 "  aborted %" PRId64 "..%" PRId64 "  last stable %" PRId64
                            "\n",
                  v[0], v[1], v[2], v[3]);
}

int dump_offset_index(struct dump *d, const char *path, int fd, int64_t size)
{
    return walk(d, path, fd, size, OFFSET_ENTRY_BYTES, true, print_offset);
}

int dump_time_index(struct dump *d, const char *path, int fd, int64_t size)
{
    return walk(d, path, fd, size, TIME_ENTRY_BYTES, true, print_time);
}

int dump_transaction_index(struct dump *d, const char *path, int fd, int64_t size)
{
    return walk(d, path, fd, size, TRANSACTION_ENTRY_BYTES, false, print_transaction);
}

int dump_producer_snapshot(struct dump *d, const char *path, int fd, int64_t size)
{
    struct buffer all = BUFFER_INIT, json = BUFFER_INIT;
    struct arena arena;
    const struct message_type *type = message_find("ProducerSnapshot");
    int status = read_whole(d, path, fd, size, &all);
    arena_init(&arena, 0);
    void *message = arena_zalloc(&arena, 1, type->size_bytes);
    int16_t version = all.size >= 2 ? (int16_t)load_be16(all.data) : -1;
    bool good = status == EXIT_OK && message && message_has_version(type, version) &&
                message_decode(type, version, (struct bytes){all.data + 2, all.size - 2}, &arena, message,
                               NULL) == 0 &&
                message_json(type, version, message, &json) == 0;
    if (good) {
        start_entry(d, path, "producerSnapshot");
        buffer_text(&d->out, d->json ? ",\"data\":" : "  ");
        buffer_append(&d->out, json.data, json.size);
        buffer_text(&d->out, d->json ? "}\n" : "\n");
    } else if (status == EXIT_OK) {
        dump_problem(d, path, 0, "this is no producer snapshot");
    }
    arena_free(&arena);
    buffer_free(&json);
    buffer_free(&all);
    return status == EXIT_OK ? dump_flush(d) : status;
}

int dump_text(struct dump *d, const char *path, int fd, int64_t size)
{
    struct buffer all = BUFFER_INIT;
    int status = read_whole(d, path, fd, size, &all);
    struct str text = {(const char *)all.data, all.size};
    if (status == EXIT_OK && d->json) {
        start_entry(d, path, "text");
        buffer_byte(&d->out, ',');
        json_member(&d->out, "text", text.size ? text : STR(""));
        buffer_text(&d->out, "}\n");
    }
    for (size_t start = 0, i = 0; status == EXIT_OK && !d->json && i < text.size; i++) {
        bool end = text.data[i] == '\n' || i + 1 == text.size;
        if (!end)
            continue;
        size_t size_of_line = i - start + (text.data[i] != '\n');
        buffer_printf(&d->out, "  %.*s\n", (int)size_of_line, text.data + start);
        start = i + 1;
    }
    buffer_free(&all);
    return status == EXIT_OK ? dump_flush(d) : status;
}
