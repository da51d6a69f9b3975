#!/usr/bin/env python3
"""The generator's answers to schemas, right and wrong ones."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../scripts'))
import wiregen


class Wiregen(unittest.TestCase):
    def parse(self, text):
        with tempfile.NamedTemporaryFile('w', suffix='.msg') as f:
            f.write(text)
            f.flush()
            return wiregen.parse(f.name)

    def shapes(self, text):
        message, = self.parse(text)
        message.in_order()
        tables = wiregen.Tables()
        return [tables.shapes[tables.shape(message, message.root, v)] for v in message.range()], tables

    def refuses(self, text, *words):
        with self.assertRaises(wiregen.SchemaError) as e:
            for m in self.parse(text):
                m.in_order()
                for v in m.range():
                    wiregen.Tables().shape(m, m.root, v)
        for word in words:
            self.assertIn(word, str(e.exception))

    def test_a_mistake_is_reported_with_its_line(self):
        self.refuses('data A versions 0\n\n    Name  strange words\n', ':3:', 'words')
        self.refuses('data A versions 0\n  Name string\n', ':2:', 'four blanks')
        self.refuses('    Name string\n', ':1:', 'outside')
        self.refuses('thing A versions 0\n', ':1:', 'unknown kind')
        self.refuses('data A versions 0\n    X string\n        Y int8\n', ':3:', 'below nothing')
        self.refuses('data A versions 0+\n', 'have an end')

    def test_a_default_must_fit_its_type(self):
        self.refuses('data A versions 0\n    X int8 = 128\n', 'out of range')
        self.refuses('data A versions 0\n    X string = null\n', 'null is no default')
        self.refuses('data A versions 0\n    X []int8 = 1\n', 'only null')
        self.parse('data A versions 0\n    X int8 = -128\n    Y string? = null\n    Z int32 = 0x7fffffff\n')

    def test_structs_are_known_used_once_defined_and_without_cycles(self):
        self.refuses('data A versions 0\n    X Other\n', 'no struct Other')
        self.refuses('data A versions 0\n    X []B\n    struct B\n        Y []B\n', 'contains itself')
        self.refuses('data A versions 0\n    struct B\n        Y int8\n', 'unused')
        self.refuses('data A versions 0\n    X []B\n        Y int8\n    Z []B\n        Y int8\n', 'there already')

    def test_names_and_tags_are_unique(self):
        self.refuses('data A versions 0\n    X int8\n    X int16\n', 'there already')
        self.refuses('data A versions 0 flexible 0+\n    X int8 tag 0\n    Y int8 tag 0\n', 'tag twice')

    def test_versions_that_look_the_same_share_a_shape(self):
        shapes, tables = self.shapes('data A versions 0-4 flexible 3+\n    X string\n    Y int8 2+ ignorable\n')
        self.assertEqual(len(tables.shapes), 3)
        self.assertEqual([s['body'] for s in shapes], [1, 1, 2, 2, 2])
        self.assertEqual([s['flexible'] for s in shapes], [False] * 3 + [True] * 2)
        self.assertEqual([s['min'] for s in shapes], [2, 2, 3, 3, 3])

    def test_a_field_that_is_absent_and_not_ignorable_is_watched(self):
        shapes, tables = self.shapes('data A versions 0-1\n    X int8\n    Y int8 1\n    Z int8 1 ignorable\n')
        self.assertEqual([s['absent'] for s in shapes], [1, 0])

    def test_a_tag_of_other_versions_is_barred(self):
        shapes, tables = self.shapes('data A versions 0-1 flexible 0+\n    X int8 1+ tag 0 ignorable\n')
        self.assertEqual([tables.ops[s['first']][0] for s in shapes], ['W_BARRED', 'W_INT8'])

    def test_kafkas_names_become_c_names(self):
        for kafka, c in [('V3AndBelowTopics', 'v3_and_below_topics'), ('KRaftVersionFeature', 'k_raft_version_feature'),
                         ('Enable2Pc', 'enable2_pc'), ('TopicId', 'topic_id'), ('groupInstanceId', 'group_instance_id')]:
            self.assertEqual(wiregen.snake(kafka), c)
        message, = self.parse('data MetadataResponse versions 0\n    Topics []MetadataResponseTopic\n        Default int8\n')
        topic = message.structs['MetadataResponseTopic']
        self.assertEqual(topic.cname, 'metadata_response_topic')
        self.assertEqual(topic.fields[0].member, 'default_')


if __name__ == '__main__':
    unittest.main()
