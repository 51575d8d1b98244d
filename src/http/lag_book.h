// The lag of groups in the last minutes. Bounded in groups and in points; whoever was asked for longest ago
// gives way. Pure: it neither asks nor knows the time.
#ifndef HTTP_LAG_BOOK_H
#define HTTP_LAG_BOOK_H

#include "base/bytes.h"

#define LAG_POINTS     90
#define LAG_GROUPS     200
#define LAG_NAME_BYTES 255 // of a group's name; one with a longer one has no history

#define LAG_UNKNOWN (-1) // no partition answers, or nothing is committed

struct lag_ring {
    struct str name;  // owned
    int64_t asked_ms; // when somebody looked at it; 0: nobody has
    bool there;
    uint64_t first;           // the number of its first point
    int64_t lags[LAG_POINTS]; // by a point's number
};

struct lag_book {
    struct lag_ring *rings[LAG_GROUPS];
    size_t count;
    int64_t times_ms[LAG_POINTS]; // by a point's number
    uint64_t points;              // how many there were; the number of the next
};

struct lag_point {
    int64_t time_ms, lag;
};

void lag_book_free(struct lag_book *b);

// Which groups there are: one that has gone is forgotten, and places that are left are for the first of the
// others.
void lag_book_groups(struct lag_book *b, const struct str *names, size_t count);

// Somebody looks at this group, which is there.
void lag_book_ask(struct lag_book *b, struct str name, int64_t now_ms);

// A point of all groups; each is LAG_UNKNOWN until its lag is set. A group that is not in the book is passed
// over.
void lag_book_begin(struct lag_book *b, int64_t time_ms);
void lag_book_set(struct lag_book *b, struct str name, int64_t lag);

// The points of a group, the oldest first: their number.
size_t lag_book_read(const struct lag_book *b, struct str name, struct lag_point out[LAG_POINTS]);

#endif
