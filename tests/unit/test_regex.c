#include "unit.h"

#include "base/error.h"
#include "base/regex.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// What RE2/J 1.8, which Apache Kafka 4.3.1 matches with, said of each.
static const struct {
    const char *pattern;
    const char *matches, *differs; // texts; or, without `matches`, the complaint
    const char *error;
} cases[] = {
    {.pattern = "", .matches = "", .differs = "a"},
    {.pattern = "foo.*", .matches = "foobar", .differs = "afoo"},
    {.pattern = "foo", .matches = "foo", .differs = "foobar"}, // the whole text
    {.pattern = "f|o+", .matches = "ooo", .differs = "fo"},
    {.pattern = "^foo$", .matches = "foo", .differs = "foo\n"},
    {.pattern = "(?i)FOO", .matches = "foo", .differs = "fo"},
    {.pattern = "(?i:a)B", .matches = "AB", .differs = "Ab"},
    {.pattern = "(?U)a+", .matches = "aa", .differs = ""},
    {.pattern = ".", .matches = "a", .differs = "\n"},
    {.pattern = "(?s).", .matches = "\n", .differs = ""},
    {.pattern = "[]a]", .matches = "]", .differs = "[]"},
    {.pattern = "[^]]", .matches = "a", .differs = "]"},
    {.pattern = "[\\d\\w]+", .matches = "12_a", .differs = "-"},
    {.pattern = "[a-z-9]", .matches = "-", .differs = "8"},
    {.pattern = "[[:alpha:]]+", .matches = "ab", .differs = "1"},
    {.pattern = "[[:alpha:](?<x>]+", .matches = "(<a>?", .differs = "1"},
    {.pattern = "[](?<x>]+", .matches = "]<", .differs = "P"},
    {.pattern = "\\pL+", .matches = "ab", .differs = "1"},
    {.pattern = "\\p{^Greek}", .matches = "a", .differs = "\u03b1"},
    {.pattern = "\\x41\\x{42}", .matches = "AB", .differs = "ab"},
    {.pattern = "\\Qa.b\\E+", .matches = "a.bb", .differs = "acb"},
    {.pattern = "\\Q(?<n>\\C", .matches = "(?<n>\\C", .differs = "x"},
    {.pattern = "a{,2}", .matches = "a{,2}", .differs = "aa"},
    {.pattern = "a{1000}", .matches = NULL, .differs = "a"},
    {.pattern = "(?P<n>a)", .matches = "a", .differs = "n"},
    {.pattern = "(?<n>a)(?<m>b)", .matches = "ab", .differs = "n"},
    {.pattern = "\\(?<n>a", .matches = "<n>a", .differs = "a"},
    {.pattern = "(", .error = "missing closing )"},
    {.pattern = ")", .error = "regexp/syntax: internal error"},
    {.pattern = "*", .error = "missing argument to repetition operator"},
    {.pattern = "a|{1}", .error = "missing argument to repetition operator"},
    {.pattern = "a**", .error = "invalid nested repetition operator"},
    {.pattern = "a?{2}", .error = "invalid nested repetition operator"},
    {.pattern = "[", .error = "missing closing ]"},
    {.pattern = "[^]", .error = "missing closing ]"},
    {.pattern = "[b-a]", .error = "invalid character class range"},
    {.pattern = "[[:foo:]]", .error = "invalid character class range"},
    {.pattern = "\\p{Foo}", .error = "invalid character class range"},
    {.pattern = "a{2,1}", .error = "invalid repeat count"},
    {.pattern = "a{1001}", .error = "invalid repeat count"},
    {.pattern = "a\\", .error = "trailing backslash at end of expression"},
    {.pattern = "(a)\\1", .error = "invalid escape sequence"},
    {.pattern = "\\Z", .error = "invalid escape sequence"},
    {.pattern = "\\C", .error = "invalid escape sequence"},
    {.pattern = "[a\\C]", .error = "invalid escape sequence"},
    {.pattern = "(?=a)", .error = "invalid or unsupported Perl syntax"},
    {.pattern = "(?>a)", .error = "invalid or unsupported Perl syntax"},
    {.pattern = "(?<=a)b", .error = "invalid named capture"},
    {.pattern = "(?<!a)b", .error = "invalid named capture"},
    {.pattern = "(?P<>a)", .error = "invalid named capture"},
};

static void as_apache_kafkas(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct regex *regex;
        const char *why = NULL;
        int rc = regex_compile(str_from(cases[i].pattern), &regex, &why);
        if (cases[i].error) {
            if (rc != ERR_INVALID || strcmp(why, cases[i].error) != 0)
                fail_msg("%s: %s, not %s", cases[i].pattern, rc ? why : "compiled", cases[i].error);
            assert_null(regex);
            continue;
        }
        if (rc != 0)
            fail_msg("%s: %s", cases[i].pattern, why);
        if (cases[i].matches && !regex_matches(regex, str_from(cases[i].matches)))
            fail_msg("%s does not match %s", cases[i].pattern, cases[i].matches);
        if (regex_matches(regex, str_from(cases[i].differs)))
            fail_msg("%s matches %s", cases[i].pattern, cases[i].differs);
        regex_free(regex);
    }
}

// Where it is not as RE2/J: a count that overflows is text for libre2, two groups may have one name, a letter
// beyond ASCII may not be escaped, and what would need memory without end is refused.
static void where_libre2_differs(void **state)
{
    (void)state;
    struct regex *regex;
    const char *why;
    assert_int_equal(regex_compile(STR("a{99999999999}"), &regex, &why), 0);
    assert_true(regex_matches(regex, STR("a{99999999999}")));
    regex_free(regex);
    assert_int_equal(regex_compile(STR("(?P<n>a)(?<n>b)"), &regex, &why), 0);
    regex_free(regex);
    assert_int_equal(regex_compile(STR("\\\u00e9"), &regex, &why), ERR_INVALID);
    assert_string_equal(why, "invalid escape sequence");
    assert_int_equal(regex_compile(STR("(a{1000}){1000}"), &regex, &why), ERR_INVALID);
    assert_string_equal(why, "invalid repeat count");
    assert_int_equal(regex_compile(STR("\\pL{1000}"), &regex, &why), ERR_LIMIT);
    assert_string_equal(why, "expression is too large");
    char *large = malloc(REGEX_MAX_PATTERN_BYTES + 1);
    memset(large, 'a', REGEX_MAX_PATTERN_BYTES + 1);
    assert_int_equal(regex_compile((struct str){large, REGEX_MAX_PATTERN_BYTES + 1}, &regex, &why),
                     ERR_LIMIT);
    assert_int_equal(regex_compile((struct str){large, REGEX_MAX_PATTERN_BYTES}, &regex, &why), 0);
    assert_true(regex_matches(regex, (struct str){large, REGEX_MAX_PATTERN_BYTES}));
    regex_free(regex);
    free(large);
    assert_int_equal(regex_compile(STR("a\xff"), &regex, &why), ERR_INVALID);
    assert_string_equal(why, "invalid UTF-8");
}

// What takes a backtracking matcher for ever.
static void takes_linear_time(void **state)
{
    (void)state;
    char text[251];
    memset(text, 'a', 250);
    text[250] = 'b';
    struct regex *regex;
    const char *why;
    assert_int_equal(regex_compile(STR("(a*)*(a|aa)+(a?){100}c"), &regex, &why), 0);
    clock_t started = clock();
    assert_false(regex_matches(regex, (struct str){text, sizeof text}));
    assert_true(clock() - started < CLOCKS_PER_SEC);
    regex_free(regex);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_apache_kafkas),
        cmocka_unit_test(where_libre2_differs),
        cmocka_unit_test(takes_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
