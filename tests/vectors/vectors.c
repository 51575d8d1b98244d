// Checks conformance vectors: each message decodes, encodes to the same bytes and prints as the same JSON.
//
//   vectors FILE...     (gzipped or not)
//
// A line of a file: kind, name, API key or record type (-1: none), version, the body in hex (- when empty),
// and the message as JSON. Prints what fails and closes with "N passed, N failed"; exit status 1 when
// something failed.
#include "protocol/messages.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define SHOWN_MAX 20

struct vector {
    const struct message_type *type;
    int16_t version;
    struct bytes body;
    const char *json;
};

static const char *explain(char *out, size_t size, const char *what, int rc, const struct message_error *e)
{
    snprintf(out, size, "%s: %s%s%s%s%s%s at byte %zu", what, err_text(rc), e && e->structure ? " in " : "",
             e && e->structure ? e->structure : "", e && e->field ? "." : "", e && e->field ? e->field : "",
             e && e->reason ? ", " : "", e ? e->at : 0);
    return out;
}

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
    if (atoi(words[2]) != out->type->key)
        return "another key";
    out->version = (int16_t)atoi(words[3]);
    out->json = words[5];
    return parse_hex(words[4], arena, &out->body) ? NULL : "bad hex";
}

static const char *check_json(const struct vector *v, const void *message, struct buffer *text)
{
    const char *problem = NULL;
    buffer_clear(text);
    if (message_json(v->type, v->version, message, text))
        return "no JSON";
    json_t *want = json_loads(v->json, JSON_DECODE_ANY, NULL);
    json_t *got = json_loadb((const char *)text->data, text->size, JSON_DECODE_ANY, NULL);
    if (!want)
        problem = "the vector's JSON does not parse";
    else if (!got)
        problem = "our JSON does not parse";
    else if (!json_equal(want, got))
        problem = "another JSON";
    json_decref(want);
    json_decref(got);
    return problem;
}

// NULL, or what failed.
static const char *check(const struct vector *v, struct arena *arena, struct buffer *text, char *why,
                         size_t size)
{
    struct message_error error;
    struct bytes again;
    void *message = arena_alloc(arena, v->type->size_bytes);
    int rc = message_decode_explain(v->type, v->version, v->body, arena, message, NULL, &error);
    if (rc)
        return explain(why, size, "decode", rc, &error);
    rc = message_to_bytes(v->type, v->version, message, arena, &again);
    if (rc)
        return explain(why, size, "encode", rc, NULL);
    if (again.size != v->body.size || (again.size && memcmp(again.data, v->body.data, again.size) != 0))
        return "other bytes";
    return check_json(v, message, text);
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

static int check_file(const char *path, unsigned *passed, unsigned *failed)
{
    gzFile file = gzopen(path, "rb");
    if (!file) {
        fprintf(stderr, "vectors: cannot open %s\n", path);
        return 1;
    }
    struct buffer line = BUFFER_INIT, text = BUFFER_INIT;
    struct arena arena;
    arena_init(&arena, 0);
    for (unsigned number = 1; read_line(file, &line); number++) {
        struct vector v;
        char why[512];
        if (!line.data[0] || line.data[0] == '#')
            continue;
        arena_reset(&arena);
        const char *problem = parse((char *)line.data, &arena, &v);
        bool parsed = !problem;
        if (parsed)
            problem = check(&v, &arena, &text, why, sizeof why);
        *(problem ? failed : passed) += 1;
        if (problem && *failed <= SHOWN_MAX)
            printf("%s:%u: %s %d: %s\n", path, number, parsed ? v.type->name : "line",
                   parsed ? v.version : -1, problem);
    }
    int status = 0;
    gzerror(file, &status);
    if (status < 0 || gzclose(file) != Z_OK) {
        fprintf(stderr, "vectors: %s is cut short or damaged\n", path);
        *failed += 1;
    }
    buffer_free(&line);
    buffer_free(&text);
    arena_free(&arena);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    int rc = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: vectors FILE...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        rc |= check_file(argv[i], &passed, &failed);
    printf("%u passed, %u failed\n", passed, failed);
    return rc || failed || !passed;
}
