#include "cli/top.h"

#include <inttypes.h>
#include <stdlib.h>

#define BOLD    "\033[1m"
#define DIM     "\033[2m"
#define YELLOW  "\033[33m"
#define NORMAL  "\033[0m"
#define CLEAR   "\033[K"
#define NUMBERS 10 // columns of a number

struct row {
    struct str name, state;
    int64_t first, second, third; // what its kind shows
    double rate;
};

struct view {
    const struct top_screen *screen;
    struct buffer *out;
    int left; // lines
};

// ---- numbers in four or five letters

static void short_number(char *out, size_t size, double n, const char *unit)
{
    static const char *const steps[] = {"", "k", "M", "G", "T", "P", "E"};
    size_t step = 0;
    while (n >= 999.5 && step + 1 < sizeof steps / sizeof *steps) {
        n /= 1000;
        step++;
    }
    snprintf(out, size,
             n < 9.95 && (step > 0 || (n > 0 && n < 9.95 && n != (double)(int)n)) ? "%.1f%s%s" : "%.0f%s%s",
             n, steps[step], unit);
}

// ---- lines

// One line, cut to the width; `style` around it where colors are wanted.
static void line(struct view *v, const char *style, struct str text)
{
    if (v->left == 0)
        return;
    v->left--;
    size_t width = (size_t)v->screen->columns, end = 0;
    for (size_t shown = 0; end < text.size; end++) // bytes that go on with a letter take no column
        if (((uint8_t)text.data[end] & 0xC0) != 0x80 && shown++ == width)
            break;
    bool styled = v->screen->color && *style;
    if (styled)
        buffer_text(v->out, style);
    buffer_append(v->out, text.data, end);
    if (styled)
        buffer_text(v->out, NORMAL);
    buffer_text(v->out, v->screen->whole ? CLEAR "\n" : "\n");
}

// A name to the left, as wide as it may be, and numbers to the right.
static void row_line(struct view *v, const char *style, struct str name, const char *const *cells, int count)
{
    struct buffer text = {0};
    int width = v->screen->columns - count * (NUMBERS + 1);
    width = width < 8 ? 8 : width > 48 ? 48 : width;
    int shown = 0;
    for (size_t i = 0; i < name.size; i++) { // whole letters
        bool begins = ((uint8_t)name.data[i] & 0xC0) != 0x80;
        if (begins && shown == width)
            break;
        shown += begins;
        buffer_byte(&text, name.data[i] ? (uint8_t)name.data[i] : '?');
    }
    buffer_byte(&text, 0);
    if (!text.failed) {
        text_make_plain((char *)text.data);
        text.size--;
    }
    for (; shown < width; shown++)
        buffer_byte(&text, ' ');
    for (int i = 0; i < count; i++)
        buffer_printf(&text, " %*s", NUMBERS, cells[i]);
    line(v, style, (struct str){(const char *)text.data, text.size});
    buffer_free(&text);
}

static int busiest(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->rate != y->rate)
        return x->rate < y->rate ? 1 : -1;
    if (x->first != y->first)
        return x->first < y->first ? 1 : -1;
    return str_compare(x->name, y->name);
}

static void more_line(struct view *v, size_t hidden)
{
    char text[64];
    snprintf(text, sizeof text, "... %zu more", hidden);
    line(v, DIM, str_from(text));
}

// ---- topics and groups as rows

static int by_topic(const void *a, const void *b)
{
    const struct top_topic *x = a, *y = b;
    return str_compare(x->name, y->name);
}

static int by_group(const void *a, const void *b)
{
    const struct top_group *x = a, *y = b;
    return str_compare(x->id, y->id);
}

static double rate_of(int64_t now, int64_t before, int64_t ms)
{
    return ms > 0 && now > before ? (double)(now - before) * 1000 / (double)ms : 0;
}

static struct row *topic_rows(const struct top_sample *now, const struct top_sample *before, int64_t ms)
{
    struct row *rows = calloc(now->topics_count + 1, sizeof *rows);
    for (size_t i = 0; rows && i < now->topics_count; i++) {
        const struct top_topic *t = &now->topics[i];
        const struct top_topic *was =
            before->topics_count ? bsearch(t, before->topics, before->topics_count, sizeof *t, by_topic)
                                 : NULL;
        rows[i] = (struct row){.name = t->name,
                               .first = t->written,
                               .second = t->partitions,
                               .third = t->bytes,
                               .rate = was ? rate_of(t->written, was->written, ms) : 0};
    }
    if (rows)
        qsort(rows, now->topics_count, sizeof *rows, busiest);
    return rows;
}

static struct row *group_rows(const struct top_sample *now, const struct top_sample *before, int64_t ms)
{
    struct row *rows = calloc(now->groups_count + 1, sizeof *rows);
    for (size_t i = 0; rows && i < now->groups_count; i++) {
        const struct top_group *g = &now->groups[i];
        const struct top_group *was =
            before->groups_count ? bsearch(g, before->groups, before->groups_count, sizeof *g, by_group)
                                 : NULL;
        rows[i] = (struct row){.name = g->id,
                               .state = g->state,
                               .first = g->lag,
                               .rate = was ? rate_of(g->committed, was->committed, ms) : 0};
    }
    return rows;
}

static int most_behind(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? 1 : -1;
    return str_compare(x->name, y->name);
}

static void print_topics(struct view *v, const struct row *rows, size_t count, int lines)
{
    static const char *const heading[] = {"RECORDS/s", "RECORDS", "SIZE", "PARTITIONS"};
    row_line(v, BOLD, STR("TOPIC"), heading, 4);
    for (size_t i = 0; i < count && lines > 0; i++, lines--) {
        char rate[16], records[16], size[16], partitions[16];
        if (lines == 1 && i + 1 < count) {
            more_line(v, count - i);
            return;
        }
        short_number(rate, sizeof rate, rows[i].rate, "");
        short_number(records, sizeof records, (double)rows[i].first, "");
        short_number(size, sizeof size, (double)rows[i].third, "B");
        snprintf(partitions, sizeof partitions, "%" PRId64, rows[i].second);
        const char *const cells[] = {rate, records, size, partitions};
        row_line(v, rows[i].rate > 0 ? "" : DIM, rows[i].name, cells, 4);
    }
}

static void print_groups(struct view *v, const struct row *rows, size_t count, int lines)
{
    static const char *const heading[] = {"RECORDS/s", "LAG", "STATE"};
    row_line(v, BOLD, STR("GROUP"), heading, 3);
    for (size_t i = 0; i < count && lines > 0; i++, lines--) {
        char rate[16], lag[16], state[NUMBERS + 1];
        if (lines == 1 && i + 1 < count) {
            more_line(v, count - i);
            return;
        }
        short_number(rate, sizeof rate, rows[i].rate, "");
        short_number(lag, sizeof lag, (double)rows[i].first, "");
        snprintf(state, sizeof state, "%.*s", STR_ARG(rows[i].state));
        const char *const cells[] = {rate, lag, state};
        row_line(v, rows[i].first > 0 ? YELLOW : "", rows[i].name, cells, 3);
    }
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void print_summary(struct view *v, const struct top_sample *now, const struct row *topics, bool rates)
{
    char text[256], rate[16], size[16];
    double records = 0, bytes = 0;
    for (size_t i = 0; i < now->topics_count; i++) {
        records += topics[i].rate;
        bytes += (double)topics[i].third;
    }
    short_number(rate, sizeof rate, records, "");
    short_number(size, sizeof size, bytes, "B");
    snprintf(text, sizeof text,
             "odradek top - %d broker%s, %zu topic%s, %d partition%s, %zu group%s, cluster %.*s",
             now->brokers, plural((size_t)now->brokers), now->topics_count, plural(now->topics_count),
             now->partitions, plural((size_t)now->partitions), now->groups_count, plural(now->groups_count),
             STR_ARG(now->cluster));
    line(v, BOLD, str_from(text));
    snprintf(text, sizeof text, "%s records/s in, %s on disk, answers in %.1f ms", rates ? rate : "-", size,
             (double)now->latency_us / 1000);
    line(v, "", str_from(text));
}

void top_lost(const char *why, const struct top_screen *screen, struct buffer *out)
{
    char text[600];
    struct view v = {.screen = screen, .out = out, .left = 1};
    snprintf(text, sizeof text, "odradek top - no answer, trying again: %s", why);
    line(&v, YELLOW, str_from(text));
}

void top_view(const struct top_sample *now, const struct top_sample *before, const struct top_screen *screen,
              struct buffer *out)
{
    int64_t ms = before->at_ms ? now->at_ms - before->at_ms : 0;
    struct row *topics = topic_rows(now, before, ms), *groups = group_rows(now, before, ms);
    struct view v = {.screen = screen, .out = out, .left = screen->rows};
    if (topics && groups) {
        qsort(groups, now->groups_count, sizeof *groups, most_behind);
        print_summary(&v, now, topics, ms > 0);
        line(&v, "", STR(""));
        int room = screen->rows - 6; // two of summary, two headings, two empty lines
        int for_groups =
            (int)(now->groups_count < (size_t)(room / 2) ? now->groups_count : (size_t)(room / 2));
        for_groups = for_groups > 0 ? for_groups : 0;
        print_topics(&v, topics, now->topics_count, room - for_groups);
        if (now->groups_count > 0) {
            line(&v, "", STR(""));
            print_groups(&v, groups, now->groups_count, v.left - 1);
        }
    }
    free(topics);
    free(groups);
}
