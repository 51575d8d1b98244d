// What test_crc32c.c asks of cmocka, where it is built for a processor that this machine has no cmocka for.
#ifndef CMOCKA_H
#define CMOCKA_H

#include <stdio.h>
#include <stdlib.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(run) \
    {                         \
#run, run             \
    }
#define cmocka_run_group_tests(tests, setup, teardown) run_tests(tests, sizeof tests / sizeof *tests)
#define print_message                                  printf

#define assert_true(x) assert_int_equal((x) != 0, 1)
#define assert_int_equal(a, b)                                                                              \
    do {                                                                                                    \
        unsigned long long a_ = (unsigned long long)(a), b_ = (unsigned long long)(b);                      \
        if (a_ != b_) {                                                                                     \
            printf("%s:%d: %s is %#llx, not %#llx\n[  FAILED  ] 1 test\n", __FILE__, __LINE__, #a, a_, b_); \
            exit(1);                                                                                        \
        }                                                                                                   \
    } while (0)

static inline int run_tests(const struct CMUnitTest *tests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tests[i].run(NULL);
    printf("%zu passed\n", count);
    return 0;
}

#endif
