#include "unit.h"

#include "base/error.h"
#include "base/hamt.h"
#include "base/qsbr.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct item {
    int refs, key, value;
};

static int alive; // items not yet freed

static const void *item_key(const void *value)
{
    return &((const struct item *)value)->key;
}

// Few distinct hashes, so that the lists below the tree are reached.
static uint64_t item_hash(const void *key)
{
    uint64_t k = (uint64_t) * (const int *)key;
    return k % 7 == 0 ? 42 : k * 0x9e3779b97f4a7c15;
}

static bool item_same(const void *a, const void *b)
{
    return *(const int *)a == *(const int *)b;
}

static void item_ref(void *value)
{
    ((struct item *)value)->refs++;
}

static void item_unref(void *value)
{
    struct item *i = value;
    if (--i->refs == 0) {
        alive--;
        free(i);
    }
}

static const struct hamt_ops ops = {item_key, item_hash, item_same, item_ref, item_unref};

static struct item *item_new(int key, int value)
{
    struct item *i = malloc(sizeof *i);
    *i = (struct item){1, key, value};
    alive++;
    return i;
}

enum { KEYS = 400, VERSIONS = 50 };

static void check(const struct hamt *m, const int *wanted)
{
    size_t count = 0;
    for (int k = 0; k < KEYS; k++) {
        const struct item *i = hamt_get(m, &k);
        assert_int_equal(i ? i->value : 0, wanted[k]);
        count += i != NULL;
    }
    assert_int_equal(m->count, count);
    struct hamt_walk w = hamt_walk(m);
    for (struct item *i; (i = hamt_next(&w)); count--)
        assert_int_equal(i->value, wanted[i->key]);
    assert_int_equal(count, 0);
}

// Every older version keeps its contents whatever happens to the newer ones; nothing leaks.
static void versions_stay_as_they_were(void **state)
{
    (void)state;
    static int wanted[VERSIONS][KEYS];
    struct hamt versions[VERSIONS];
    struct hamt now = hamt_empty(&ops);
    int model[KEYS] = {0};
    srand(11);
    for (int v = 0; v < VERSIONS; v++) {
        for (int step = 0; step < 300; step++) {
            int k = rand() % KEYS;
            if (rand() % 3) {
                model[k] = 1 + rand() % 1000;
                assert_int_equal(hamt_put(&now, item_new(k, model[k])), 0);
            } else {
                assert_int_equal(hamt_remove(&now, &k), model[k] ? 0 : ERR_NOT_FOUND);
                model[k] = 0;
            }
        }
        memcpy(wanted[v], model, sizeof model);
        versions[v] = hamt_share(&now);
    }
    for (int v = 0; v < VERSIONS; v++)
        check(&versions[v], wanted[v]);
    for (int v = 0; v < VERSIONS; v += 2)
        hamt_release(&versions[v]);
    for (int v = 1; v < VERSIONS; v += 2) {
        check(&versions[v], wanted[v]);
        hamt_release(&versions[v]);
    }
    hamt_release(&now);
    assert_int_equal(alive, 0);
}

static atomic_int released;

static void release(void *thing)
{
    (void)thing;
    atomic_fetch_add(&released, 1);
}

static void retired_things_wait_for_every_reader(void **state)
{
    (void)state;
    struct qsbr_thread a, b;
    qsbr_register(&a);
    qsbr_register(&b);
    atomic_store(&released, 0);
    assert_int_equal(qsbr_retire(release, NULL), 0);
    assert_int_equal(qsbr_reclaim(), 1);
    qsbr_quiescent(&a);
    assert_int_equal(qsbr_reclaim(), 1);
    qsbr_offline(&b); // a sleeper holds nothing back
    assert_int_equal(qsbr_reclaim(), 0);
    assert_int_equal(released, 1);
    qsbr_online(&b);
    qsbr_retire(release, NULL);
    qsbr_unregister(&a);
    assert_int_equal(qsbr_reclaim(), 1);
    qsbr_unregister(&b);
    assert_int_equal(qsbr_reclaim(), 0);
    assert_int_equal(released, 2);
}

static _Atomic(int *) shared;
static atomic_bool stop;

static void poison(void *thing)
{
    *(int *)thing = -1;
    free(thing);
}

static void *reader(void *arg)
{
    (void)arg;
    struct qsbr_thread me;
    qsbr_register(&me);
    intptr_t bad = 0;
    while (!atomic_load(&stop)) {
        int *p = atomic_load(&shared);
        for (int i = 0; i < 100; i++)
            bad += *(volatile int *)p < 0;
        if (*p % 3)
            qsbr_quiescent(&me);
        else {
            qsbr_offline(&me);
            qsbr_online(&me);
        }
    }
    qsbr_unregister(&me);
    return (void *)bad;
}

static void readers_never_meet_what_was_freed(void **state)
{
    (void)state;
    pthread_t threads[3];
    int *first = calloc(1, sizeof *first);
    atomic_store(&shared, first);
    for (size_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, reader, NULL);
    for (int i = 1; i < 20000; i++) {
        int *next = malloc(sizeof *next);
        *next = i;
        int *old = atomic_exchange(&shared, next);
        assert_int_equal(qsbr_retire(poison, old), 0);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 3; i++) {
        void *bad;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    assert_int_equal(qsbr_reclaim(), 0);
    free(atomic_load(&shared));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_stay_as_they_were),
        cmocka_unit_test(retired_things_wait_for_every_reader),
        cmocka_unit_test(readers_never_meet_what_was_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
