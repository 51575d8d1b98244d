// Small steps through the text files of a log directory.
#ifndef STORAGE_TEXT_H
#define STORAGE_TEXT_H

#include "base/bytes.h"

// Takes the next line off `text`, without its end. false when nothing is left (*line is then empty).
static inline bool text_line(struct str *text, struct str *line)
{
    *line = (struct str){text->data, 0};
    if (text->size == 0)
        return false;
    const char *nl = memchr(text->data, '\n', text->size);
    line->size = nl ? (size_t)(nl - text->data) : text->size;
    size_t used = line->size + (nl != NULL);
    text->data += used;
    text->size -= used;
    if (line->size && line->data[line->size - 1] == '\r')
        line->size--;
    return true;
}

// Takes the next word (up to a blank) off `line`. false when nothing is left.
static inline bool text_word(struct str *line, struct str *word)
{
    while (line->size && *line->data == ' ')
        line->data++, line->size--;
    *word = (struct str){line->data, 0};
    while (word->size < line->size && line->data[word->size] != ' ')
        word->size++;
    line->data += word->size;
    line->size -= word->size;
    return word->size > 0;
}

// Takes a decimal number that fits 63 bits and a sign off `line`.
static inline bool text_number(struct str *line, int64_t *out)
{
    struct str w;
    if (!text_word(line, &w))
        return false;
    bool negative = w.data[0] == '-';
    size_t i = negative;
    int64_t v = 0;
    if (i == w.size)
        return false;
    for (; i < w.size; i++) {
        if (w.data[i] < '0' || w.data[i] > '9' || v > (INT64_MAX - (w.data[i] - '0')) / 10)
            return false;
        v = v * 10 + (w.data[i] - '0');
    }
    *out = negative ? -v : v;
    return true;
}

#endif
