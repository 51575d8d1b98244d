#include "storage/checkpoint.h"

#include "base/error.h"
#include "os/file.h"
#include "storage/text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECKPOINT_MAX_BYTES ((size_t)1 << 30)

// Parses the lines behind the count. Names become "topic-partition" in place: the blank turns into '-'.
static int parse_entries(struct checkpoint *c, struct str rest, int64_t count)
{
    struct str line, topic;
    int64_t partition, offset;
    c->entries = calloc((size_t)count + 1, sizeof *c->entries);
    if (!c->entries)
        return ERR_NOMEM;
    while (text_line(&rest, &line)) {
        if ((int64_t)c->count == count || !text_word(&line, &topic))
            return ERR_CORRUPT;
        char *blank = (char *)(uintptr_t)line.data;
        if (!text_number(&line, &partition) || partition < 0 || partition > INT32_MAX)
            return ERR_CORRUPT;
        struct str name = {topic.data, (size_t)(line.data - topic.data)};
        if (!text_number(&line, &offset) || line.size)
            return ERR_CORRUPT;
        *blank = '-';
        c->entries[c->count].offset = offset;
        if (map_put(&c->by_name, name, &c->entries[c->count++]))
            return ERR_NOMEM;
    }
    return (int64_t)c->count == count ? 0 : ERR_CORRUPT;
}

static int parse(struct checkpoint *c, struct str text)
{
    struct str line;
    int64_t version, count;
    if (!text_line(&text, &line))
        return 0; // Kafka creates the file empty
    if (!text_number(&line, &version) || version != 0 || line.size)
        return ERR_CORRUPT;
    if (!text_line(&text, &line))
        return 0;
    if (!text_number(&line, &count) || count < 0 || (uint64_t)count > text.size)
        return ERR_CORRUPT;
    return parse_entries(c, text, count);
}

int checkpoint_read(const char *dir, const char *name, struct checkpoint *out)
{
    char path[PATH_MAX];
    struct buffer text = BUFFER_INIT;
    *out = (struct checkpoint){.by_name = MAP_INIT};
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return ERR_INVALID;
    int rc = file_read_whole(path, CHECKPOINT_MAX_BYTES, &text);
    out->text = (char *)text.data;
    if (rc == ERR_NOT_FOUND)
        return 0;
    if (rc == 0)
        rc = parse(out, (struct str){out->text, text.size});
    if (rc)
        checkpoint_free(out);
    return rc;
}

int64_t checkpoint_get(const struct checkpoint *c, struct str topic_partition, int64_t otherwise)
{
    const struct checkpoint_entry *e = map_get(&c->by_name, topic_partition);
    return e ? e->offset : otherwise;
}

void checkpoint_free(struct checkpoint *c)
{
    map_free(&c->by_name);
    free(c->entries);
    free(c->text);
    *c = (struct checkpoint){.by_name = MAP_INIT};
}

void checkpoint_writer_add(struct checkpoint_writer *w, const char *topic, int32_t partition, int64_t offset)
{
    buffer_printf(&w->lines, "%s %d %" PRId64 "\n", topic, partition, offset);
    w->count++;
}

int checkpoint_writer_finish(struct checkpoint_writer *w, const char *dir, const char *name)
{
    struct buffer text = BUFFER_INIT;
    buffer_printf(&text, "0\n%zu\n", w->count);
    buffer_append(&text, w->lines.data, w->lines.size);
    int rc = text.failed || w->lines.failed ? ERR_NOMEM : file_replace(dir, name, text.data, text.size);
    buffer_free(&text);
    buffer_free(&w->lines);
    w->count = 0;
    return rc;
}
