// Clocks. Decisions never read them: they are handed `now`. Any thread.
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

// Milliseconds since 1970 (for record timestamps and files).
int64_t clock_wall_ms(void);

// Monotonic time (for timers and measuring); the origin is arbitrary.
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

#endif
