"""The type stubs and docstrings are those of what is there."""

import ast
import pathlib
import unittest

import mos_frame
from mos_frame import _native

OWN = {"__new__", "__iter__", "__next__", "__enter__", "__exit__", "__eq__"}


def declared():
    """Names of the stub: of the module, and of each class."""
    source = pathlib.Path(_native.__file__).with_name("_native.pyi").read_text()
    names = {"": set()}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            names[node.name] = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            names[""].add(node.name)
        elif isinstance(node, ast.FunctionDef):
            names[""].add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names[""].add(node.target.id)
    return names


class Stubs(unittest.TestCase):
    def test_they_name_what_is_there(self):
        for owner, names in declared().items():
            real = getattr(_native, owner) if owner else _native
            public = {name for name in vars(real) if not name.startswith("_")}
            self.assertEqual(public, {name for name in names if not name.startswith("_")}, owner or "module")
            for name in names & OWN:
                self.assertTrue(hasattr(real, name), f"{owner}.{name}")

    def test_everything_is_documented(self):
        self.assertTrue(mos_frame.__doc__)
        for name in mos_frame.__all__:
            thing = getattr(mos_frame, name)
            if isinstance(thing, type) or callable(thing):
                self.assertTrue(thing.__doc__, name)
                members = vars(thing) if isinstance(thing, type) and thing.__module__ == "mos_frame" else {}
                for member, value in members.items():
                    if not member.startswith("_"):
                        self.assertTrue(value.__doc__, f"{name}.{member}")

    def test_the_package_says_that_it_is_typed(self):
        self.assertTrue(pathlib.Path(mos_frame.__file__).with_name("py.typed").exists())
