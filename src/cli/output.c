#include "cli/output.h"

#include "base/clock.h"

#include <stdarg.h>
#include <time.h>
#include <unistd.h>

// The length of the UTF-8 sequence at `at` if it is whole and good, else 0.
static size_t sequence(const uint8_t *at, size_t left)
{
    size_t n = *at < 0x80 ? 1 : *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
    return n <= left && utf8_valid(at, n) ? n : 0;
}

void json_text(struct buffer *out, struct str text)
{
    const uint8_t *at = (const uint8_t *)text.data;
    buffer_byte(out, '"');
    for (size_t i = 0; i < text.size;) {
        size_t n = sequence(at + i, text.size - i);
        if (n == 0)
            buffer_text(out, "\xef\xbf\xbd");
        else if (at[i] == '"' || at[i] == '\\')
            buffer_printf(out, "\\%c", at[i]);
        else if (at[i] == '\n')
            buffer_text(out, "\\n");
        else if (at[i] < ' ' || at[i] == 0x7f)
            buffer_printf(out, "\\u%04x", at[i]);
        else
            buffer_append(out, at + i, n);
        i += n ? n : 1;
    }
    buffer_byte(out, '"');
}

void json_member(struct buffer *out, const char *name, struct str text)
{
    buffer_printf(out, "\"%s\":", name);
    if (text.data)
        json_text(out, text);
    else
        buffer_text(out, "null");
}

static void base64(struct buffer *out, struct bytes in)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < in.size; i += 3) {
        size_t n = in.size - i < 3 ? in.size - i : 3;
        uint32_t v = (uint32_t)in.data[i] << 16;
        v |= n > 1 ? (uint32_t)in.data[i + 1] << 8 : 0;
        v |= n > 2 ? in.data[i + 2] : 0;
        for (size_t d = 0; d < 4; d++)
            buffer_byte(out, d <= n ? (uint8_t)digits[v >> (18 - 6 * d) & 63] : '=');
    }
}

void json_bytes_member(struct buffer *out, const char *name, struct bytes bytes)
{
    if (!bytes.data || utf8_valid(bytes.data, bytes.size)) {
        json_member(out, name, (struct str){(const char *)bytes.data, bytes.size});
        return;
    }
    buffer_printf(out, "\"%sBase64\":\"", name);
    base64(out, bytes);
    buffer_byte(out, '"');
}

bool cli_flush(struct buffer *out)
{
    bool written = out->size == 0 || fwrite(out->data, 1, out->size, stdout) == out->size;
    written = written && !out->failed;
    buffer_clear(out);
    return written;
}

static bool is_control(const char *at)
{
    uint8_t first = (uint8_t)at[0], next = (uint8_t)at[1];
    return first < ' ' || first == 0x7f || (first == 0xc2 && next >= 0x80 && next < 0xa0);
}

void text_make_plain(char *text)
{
    for (; *text; text++)
        if (is_control(text)) {
            if ((uint8_t)*text == 0xc2)
                *text++ = '?';
            *text = '?';
        }
}

void table_cell(struct table *t, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    text_make_plain(text);
    buffer_append(&t->cells, text, strlen(text) + 1);
    t->count++;
}

// Bytes that go on with a letter take no column.
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((uint8_t)*text & 0xC0) != 0x80;
    return width;
}

void table_print(const struct table *t, struct buffer *out)
{
    size_t widths[16] = {0};
    const char *cell = (const char *)t->cells.data;
    for (size_t i = 0; i < t->count; i++, cell += strlen(cell) + 1)
        if (width_of(cell) > widths[i % t->columns])
            widths[i % t->columns] = width_of(cell);
    cell = (const char *)t->cells.data;
    for (size_t i = 0; i < t->count; i++, cell += strlen(cell) + 1) {
        bool last = i % t->columns == t->columns - 1;
        buffer_text(out, cell);
        for (size_t n = width_of(cell); !last && n < widths[i % t->columns] + 2; n++)
            buffer_byte(out, ' ');
        if (last)
            buffer_byte(out, '\n');
    }
}

void table_free(struct table *t)
{
    buffer_free(&t->cells);
}

void time_text(int64_t ms, char *out)
{
    time_t seconds = (time_t)(ms / 1000);
    int rest = (int)(ms % 1000);
    struct tm parts;
    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    size_t n =
        gmtime_r(&seconds, &parts) ? strftime(out, TIME_TEXT_BYTES - 8, "%Y-%m-%dT%H:%M:%S", &parts) : 0;
    if (n == 0)
        snprintf(out, TIME_TEXT_BYTES, "%lld ms", (long long)ms);
    else
        snprintf(out + n, TIME_TEXT_BYTES - n, ".%03dZ", rest);
}

struct progress progress_start(void)
{
    int64_t now = clock_monotonic_ms();
    return (struct progress){.terminal = isatty(STDERR_FILENO) == 1, .started_ms = now, .last_ms = now};
}

void progress_update(struct progress *p, uint64_t records, uint64_t bytes)
{
    if (!p->terminal)
        return;
    int64_t now = clock_monotonic_ms();
    if (now - p->last_ms < 200)
        return;
    double seconds = (double)(now - p->started_ms) / 1000;
    fprintf(stderr, "\r%llu records, %.1f MB, %.0f records/s, %.1f MB/s ", (unsigned long long)records,
            (double)bytes / 1e6, (double)records / seconds, (double)bytes / 1e6 / seconds);
    p->last_ms = now;
    p->shown = true;
}

void progress_end(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
