#include "metadata/topic_name.h"

static bool legal(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

struct str topic_name_problem(struct str name, struct arena *arena)
{
    if (name.size == 0)
        return STR("Topic name is invalid: the empty string is not allowed");
    if (str_is(name, ".") || str_is(name, ".."))
        return arena_printf(arena, "Topic name is invalid: '%.*s' is not allowed", STR_ARG(name));
    if (name.size > TOPIC_NAME_MAX_BYTES)
        return arena_printf(
            arena, "Topic name is invalid: the length of '%.*s' is longer than the max allowed length %d",
            STR_ARG(name), TOPIC_NAME_MAX_BYTES);
    for (size_t i = 0; i < name.size; i++)
        if (!legal(name.data[i]))
            return arena_printf(arena,
                                "Topic name is invalid: '%.*s' contains one or more characters other than "
                                "ASCII alphanumerics, '.', '_' and '-'",
                                STR_ARG(name));
    return STR_NULL;
}

bool topic_is_internal(struct str name)
{
    return str_is(name, "__consumer_offsets") || str_is(name, "__transaction_state") ||
           str_is(name, "__share_group_state");
}
