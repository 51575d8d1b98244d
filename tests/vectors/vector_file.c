#include "vector_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hex(const char *text, struct arena *arena, struct bytes *out)
{
    size_t size = strcmp(text, "-") == 0 ? 0 : strlen(text) / 2;
    uint8_t *data = arena_alloc(arena, size);
    if (!data || (size && strlen(text) % 2))
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        data[i] = (uint8_t)(high << 4 | low);
    }
    *out = (struct bytes){data, size};
    return true;
}

// INT64_MIN when the text is no number.
static int64_t number(const char *text)
{
    char *end;
    int64_t v = strtoll(text, &end, 10);
    return *text && !*end ? v : INT64_MIN;
}

// Takes the line apart in place. NULL, or what is wrong with it.
static const char *parse(char *line, struct arena *arena, struct vector *out)
{
    char *words[6], *rest = line;
    for (size_t i = 0; i < 6; i++) {
        words[i] = rest;
        rest = i < 5 ? strchr(rest, ' ') : rest;
        if (!rest)
            return "fewer than six words";
        if (i < 5)
            *rest++ = 0;
    }
    out->type = message_find(words[1]);
    if (!out->type)
        return "no such message";
    int64_t key = number(words[2]), version = number(words[3]);
    if (key != out->type->key)
        return "another key than the schema's";
    if (version < 0 || version > INT16_MAX)
        return "no version";
    out->version = (int16_t)version;
    out->json = words[5];
    return parse_hex(words[4], arena, &out->body) ? NULL : "bad hex";
}

// The next line without its end, of any length, in *line; false at the end of the file.
static bool read_line(gzFile file, struct buffer *line)
{
    char piece[65536];
    buffer_clear(line);
    while (gzgets(file, piece, sizeof piece)) {
        buffer_text(line, piece);
        if (line->size && line->data[line->size - 1] == '\n') {
            line->data[line->size - 1] = 0;
            return true;
        }
    }
    buffer_byte(line, 0);
    return line->size > 1;
}

int vector_file_each(const char *path,
                     void (*visit)(void *context, const struct vector *v, struct arena *arena), void *context)
{
    gzFile file = gzopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s: cannot open\n", path);
        return ERR_IO;
    }
    struct buffer line = BUFFER_INIT;
    struct arena arena;
    arena_init(&arena, 0);
    for (unsigned line_number = 1; read_line(file, &line); line_number++) {
        struct vector v = {.line = line_number};
        if (!line.data[0] || line.data[0] == '#')
            continue;
        arena_reset(&arena);
        v.problem = parse((char *)line.data, &arena, &v);
        visit(context, &v, &arena);
    }
    int status = 0, rc = 0;
    gzerror(file, &status);
    if (gzclose(file) != Z_OK || status < 0) {
        fprintf(stderr, "%s: cut short or damaged\n", path);
        rc = ERR_CORRUPT;
    }
    buffer_free(&line);
    arena_free(&arena);
    return rc;
}
