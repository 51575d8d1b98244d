// The only C++ of the project: libre2 has no interface for C.
#include "base/regex.h"

#include "base/error.h"

#include <re2/re2.h>

#include <cstring>
#include <new>
#include <string>

struct regex {
    re2::RE2 compiled;

    regex(const std::string &pattern, const re2::RE2::Options &options) : compiled(pattern, options)
    {
    }
};

namespace
{

const char *const INVALID_ESCAPE = "invalid escape sequence";

// What RE2/J says. Of a parenthesis that is closed but not opened it knows no better either.
const char *reason(const re2::RE2 &failed)
{
    switch (failed.error_code()) {
    case re2::RE2::ErrorBadEscape:
        return INVALID_ESCAPE;
    case re2::RE2::ErrorBadCharClass:
    case re2::RE2::ErrorBadCharRange:
        return "invalid character class range";
    case re2::RE2::ErrorMissingBracket:
        return "missing closing ]";
    case re2::RE2::ErrorMissingParen:
        return "missing closing )";
    case re2::RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case re2::RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case re2::RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case re2::RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case re2::RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case re2::RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case re2::RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case re2::RE2::ErrorPatternTooLarge:
        return "expression is too large";
    default:
        return "regexp/syntax: internal error";
    }
}

// How long the token at the front is: an escape, the start of a class with a ] that stands for itself, a
// class by name within it, or one byte.
size_t token(const char *at, size_t left, bool in_class)
{
    if (at[0] == '\\' && left > 1)
        return 2;
    if (at[0] != '[' || left < 2)
        return 1;
    if (in_class) {
        const void *end = at[1] == ':' ? memmem(at + 2, left - 2, ":]", 2) : nullptr;
        return end ? static_cast<size_t>(static_cast<const char *>(end) - at) + 2 : 1;
    }
    size_t size = at[1] == '^' ? 2 : 1;
    return size < left && at[size] == ']' ? size + 1 : size;
}

// Writes the pattern as libre2 wants it: a named group is (?P<name>...) there, and \C, any single byte, is
// none of RE2/J's escapes. False: there is one.
bool translate(struct str pattern, std::string &out)
{
    bool quoted = false, in_class = false;
    out.reserve(pattern.size + 16);
    for (size_t i = 0, size; i < pattern.size; i += size) {
        const char *at = pattern.data + i;
        size_t left = pattern.size - i;
        if (quoted) { // \Q...\E
            size = left > 1 && at[0] == '\\' && at[1] == 'E' ? 2 : 1;
            quoted = size == 1;
            out.append(at, size);
            continue;
        }
        size = token(at, left, in_class);
        if (size == 2 && at[0] == '\\' && at[1] == 'C')
            return false;
        out.append(at, size);
        quoted = !in_class && size == 2 && at[0] == '\\' && at[1] == 'Q';
        in_class = in_class ? at[0] != ']' : at[0] == '[';
        if (!in_class && left > 2 && memcmp(at, "(?<", 3) == 0) {
            out.append("?P");
            size++;
        }
    }
    return true;
}

} // namespace

int regex_compile(struct str pattern, struct regex **out, const char **why)
{
    *out = nullptr;
    if (pattern.size > REGEX_MAX_PATTERN_BYTES) {
        *why = "expression is too large";
        return ERR_LIMIT;
    }
    std::string translated;
    if (!translate(pattern, translated)) {
        *why = INVALID_ESCAPE;
        return ERR_INVALID;
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(REGEX_MAX_MEMORY_BYTES);
    struct regex *made = new (std::nothrow) regex(translated, options);
    if (!made) {
        *why = "out of memory";
        return ERR_NOMEM;
    }
    if (made->compiled.ok()) {
        *out = made;
        return 0;
    }
    *why = reason(made->compiled);
    int code = made->compiled.error_code() == re2::RE2::ErrorPatternTooLarge ? ERR_LIMIT : ERR_INVALID;
    delete made;
    return code;
}

void regex_free(struct regex *regex)
{
    delete regex;
}

bool regex_matches(const struct regex *regex, struct str text)
{
    return re2::RE2::FullMatch(re2::StringPiece(text.data, text.size), regex->compiled);
}
