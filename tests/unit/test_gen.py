"""The schema generator: what it refuses, naming file and line, and what it makes of a small schema.

    test_gen.py FOLDER_OF_GEN_PY
"""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import gen  # noqa: E402

TOP = 'data Sample versions 0-3, flexible 2+\n'

# (schema, line of the error, a part of its text)
REFUSED = [
    ('dat Sample versions 0\n', 1, "unknown word 'dat'"),
    ('data Sample version 0\n', 1, "unknown word 'version'"),
    ('data Sample versions 3-1\n', 1, 'no range of versions'),
    ('data Sample versions x\n', 1, 'no range of versions'),
    ('data Sample versions 0-3, flexible 4+\n', 1, 'within 0-3'),
    ('request versions 0\n', 1, "before 'api"),
    ('api Sample on broker\n', 1, 'NAME = NUMBER'),
    ('api Sample = 1 on broker, consumer\n', 1, "unknown word 'consumer'"),
    ('api Sample = 1\nrequest versions 0\n', 1, 'lacks its request or response'),
    ('api Sample = 1\nrequest versions 0\nrequest versions 0\n', 3, 'a second request'),
    (TOP + '  A int32 2-9\n', 2, 'within 0-3'),
    (TOP + '  A int32 4+\n', 2, 'within 0-3'),
    (TOP + '  A int33\n', 2, "unknown type 'int33'"),
    (TOP + '  A int32 sometimes\n', 2, "unknown word 'sometimes'"),
    (TOP + '  A\n', 2, 'NAME TYPE'),
    (TOP + '   A int32\n', 2, 'indented by 3'),
    (TOP + '\tA int32\n', 2, 'a tab'),
    (TOP + '  A int32\n    B int32\n', 3, 'indented deeper'),
    (TOP + '  A int32\n  A int32\n', 3, 'a second field A'),
    (TOP + '  A int32?\n', 2, 'cannot be null'),
    (TOP + '  A string?1-9\n', 2, 'within 0-3'),
    (TOP + '  A string = null\n', 2, 'cannot be null'),
    (TOP + '  A int8 = 128\n', 2, 'does not fit int8'),
    (TOP + '  A uint16 = -1\n', 2, 'does not fit uint16'),
    (TOP + '  A int32 = many\n', 2, "'many' is no int32"),
    (TOP + '  A bool = maybe\n', 2, "'maybe'"),
    (TOP + '  A []int32 = 0\n', 2, 'empty, or null'),
    (TOP + '  A int32 tag 0\n', 2, 'not flexible'),
    (TOP + '  A int32 tag 0@1+\n', 2, 'not flexible'),
    (TOP + '  A int32 tag x\n', 2, "'x' is no tag"),
    (TOP + '  A int32 2+ tag 256\n', 2, 'above 255'),
    (TOP + '  A int32 2+ tag 0\n  B int32 3+ tag 0\n', 3, 'tag 0 of B is also that of A'),
    (TOP + '  A int32 entity house\n', 2, "unknown entity 'house'"),
    (TOP + '  A []B\n    C []B\n', 3, 'B contains itself'),
    (TOP + '  A []B\n    C int8\n  D []B\n    E int8\n', 5, 'a second struct B'),
    (TOP + '  A int8\n  struct B\n    C int8\n', 3, 'no field uses struct B'),
    (TOP + '  A []B\n  struct B\n', 2, 'takes no bytes'),
    (TOP + '  A int8\n' + TOP, 3, 'struct sample is also in'),
    ('metadata-record A = 1 versions 0\nmetadata-record B = 1 versions 0\n', 2, 'metadata-record 1 is also in'),
    ('  A int32\n', 1, 'outside of a message'),
]


def generate(text):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'sample.msg'), 'w', encoding='utf-8') as out:
            out.write(text)
        schemas = gen.schemas(folder)
        return gen.header(schemas), gen.tables(schemas)


class Generator(unittest.TestCase):
    def test_names_file_and_line_of_what_it_refuses(self):
        for schema, line, text in REFUSED:
            with self.subTest(schema):
                with self.assertRaises(gen.SchemaError) as caught:
                    generate(schema)
                self.assertIn(f'sample.msg:{line}: ', str(caught.exception))
                self.assertIn(text, str(caught.exception))

    def test_structs(self):
        header, tables = generate(TOP + '  LeaderId int32 = -1  # a comment\n  Default []Part? 1+ = null\n    Id uuid\n')
        self.assertIn('struct sample {\n    int32_t leader_id;\n    struct sample_part *default_;\n'
                      '    int32_t default__count;\n};', header)
        self.assertIn('.leader_id = -1, .default__count = -1', tables)

    def test_equal_layouts_are_there_once(self):
        _, tables = generate('data Sample versions 0-9\n  A int32\n  B int32 5+ ignorable\n')
        self.assertIn('sample_wires[] = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1}', tables)

    def test_names(self):
        for name, expected in [('FetchRequest', 'fetch_request'), ('KRaftVersionFeature', 'kraft_version_feature'),
                               ('ISRState', 'isr_state'), ('topicId', 'topic_id'), ('EndPoints', 'end_points')]:
            self.assertEqual(gen.snake(name), expected)


if __name__ == '__main__':
    result = unittest.main(argv=sys.argv[:1], exit=False).result
    failed = len(result.failures) + len(result.errors)
    print(f'[  PASSED  ] {result.testsRun - failed} test(s).')
    if failed:
        print(f'[  FAILED  ] {failed} test(s).')
    sys.exit(failed > 0)
