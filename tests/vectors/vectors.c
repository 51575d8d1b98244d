// Checks conformance vectors: each message decodes, encodes to the same bytes and prints as the same JSON.
//
//   vectors FILE...     (gzipped or not)
//
// A line of a file: kind, name, API key or record type (-1: none), version, the body in hex (- when empty),
// and the message as JSON. Prints what fails and closes with "N passed, N failed"; exit status 1 when
// something failed.
#include "vector_file.h"

#include <jansson.h>
#include <stdio.h>

#define SHOWN_MAX 20

static const char *explain(char *out, size_t size, const char *what, int rc, const struct message_error *e)
{
    snprintf(out, size, "%s: %s%s%s%s%s%s at byte %zu", what, err_text(rc), e && e->structure ? " in " : "",
             e && e->structure ? e->structure : "", e && e->field ? "." : "", e && e->field ? e->field : "",
             e && e->reason ? ", " : "", e ? e->at : 0);
    return out;
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

struct run {
    const char *path;
    unsigned passed, failed;
    struct buffer text;
};

static void visit(void *context, const struct vector *v, struct arena *arena)
{
    struct run *run = context;
    char why[512];
    const char *problem = v->problem ? v->problem : check(v, arena, &run->text, why, sizeof why);
    *(problem ? &run->failed : &run->passed) += 1;
    if (!problem || run->failed > SHOWN_MAX)
        return;
    printf("%s:%u: ", run->path, v->line);
    if (v->type)
        printf("%s %d: ", v->type->name, v->version);
    printf("%s\n", problem);
}

int main(int argc, char **argv)
{
    struct run run = {.text = BUFFER_INIT};
    if (argc < 2) {
        fprintf(stderr, "usage: vectors FILE...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        run.path = argv[i];
        if (vector_file_each(argv[i], visit, &run))
            run.failed++;
    }
    buffer_free(&run.text);
    printf("%u passed, %u failed\n", run.passed, run.failed);
    return run.failed || !run.passed;
}
