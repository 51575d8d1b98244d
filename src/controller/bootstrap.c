#include "controller/bootstrap.h"

#include "base/error.h"
#include "metadata/features.h"
#include "metadata/record.h"
#include "protocol/messages.h"

static int add(struct arena *arena, const struct feature_support *f, struct bytes *out)
{
    struct feature_level_record r = {.name = f->name, .feature_level = f->initial};
    struct buffer value = BUFFER_INIT;
    int rc = metadata_record_append(&value, &feature_level_record_type, 0, &r);
    if (rc == 0) {
        *out = arena_bytes(arena, (struct bytes){value.data, value.size});
        rc = out->data ? 0 : ERR_NOMEM;
    }
    buffer_free(&value);
    return rc;
}

int bootstrap_records(struct arena *arena, struct bytes **out, size_t *count)
{
    *count = 0;
    *out = arena_alloc(arena, features_supported_count * sizeof **out);
    if (!*out)
        return ERR_NOMEM;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < features_supported_count; i++) {
            const struct feature_support *f = &features_supported[i];
            if (f->initial <= 0 || str_is(f->name, "metadata.version") != (pass == 0))
                continue;
            int rc = add(arena, f, &(*out)[(*count)++]);
            if (rc)
                return rc;
        }
    }
    return 0;
}
