// On which reactor a connection is served. It starts on the one with the fewest connections (acceptor.c).
// Between two requests it may move: to the reactor whose appends its fetches wait for, while both have little
// to do; or away from a reactor that has too much to do, to one that has time for it. Who is woken on its own
// thread spares the wake of another one, which costs more than the rest of a record's way. Of a crowd that
// waits for one, only some join: a second wake costs little beside so many, and two threads share the work.
// Private to the server room; everything but the two decisions is for the thread of the connection's reactor.
#ifndef SERVER_PLACEMENT_H
#define SERVER_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct reactor;
struct reactor_state;

#define PLACEMENT_WAKES       16 // by one and the same reactor, one after another
#define PLACEMENT_JOINED      880 // thousandths of its time that a reactor then may have to work, with what comes
#define PLACEMENT_CROWD       16  // connections that it has more than where they come from: no more join
#define PLACEMENT_BUSY        940 // from here on a reactor parts with connections
#define PLACEMENT_RELIEVED    850 // as busy may the other one be with what comes
#define PLACEMENT_TURNS       20  // of this window's, before anybody's share is known
#define PLACEMENT_SHARE_LEAST 10  // thousandths of the turns: less is no relief
#define PLACEMENT_REST_MS     500 // between two moves of a connection, or from a busy reactor

// Turns of connections, in one window of the loop's.
struct served {
    uint32_t window, turns;
};

struct placement {
    const struct reactor *woken_by; // the last time
    uint32_t wakes;                 // by it
    struct served served;
    int64_t moved_ms; // 0: never
};

// What a reactor has to do.
struct load {
    uint32_t busy, connections;
};

// Whether a connection joins the reactor that has woken it so often.
bool placement_joins(uint32_t wakes, struct load here, struct load there);

// Whether a connection that had so many of its reactor's turns leaves it.
bool placement_parts(uint32_t busy_here, uint32_t busy_there, uint32_t turns, uint32_t all_turns);

// What a fetch of the connection waited for came from there; NULL: from another thread, which counts for
// nothing.
void placement_woken(struct connection *c, const struct reactor *by);

// A turn of the connection begins.
void placement_served(struct connection *c);

// Where a connection that is at rest should be; NULL: where it is.
struct reactor_state *placement_better(struct connection *c);

#endif
