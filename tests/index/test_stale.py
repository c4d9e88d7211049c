"""What a change makes stale: no more than it has to, and never less."""

import pytest

from llm_testgen.index import Index
from llm_testgen.index import update as update_module

FILES = {
    "base.py": "class Item:\n    def total(self):\n        return 0\n",
    "make.py": "from base import Item\n\n\ndef make():\n    item = Item()\n    return item\n",
    "hold.py": "from make import make\n\n\nclass Holder:\n    def __init__(self):\n        self.made = make()\n",
    "use.py": "from hold import Holder\n\n\ndef use(holder: Holder):\n    return holder.made.total()\n",
    "heir.py": "from base import Item\n\n\nclass Book(Item):\n    def price(self):\n        return self.total()\n",
    "other.py": "def other(value):\n    return value.strip()\n\n\ndef calls():\n    return other(1)\n",
    "tests/test_use.py": "from use import use\n\n\ndef test_use(shop):\n    assert use(shop)\n",
    "conftest.py": "import pytest\n\n\n@pytest.fixture\ndef shop():\n    from hold import Holder\n\n    return Holder()\n",
}


@pytest.fixture
def linked(monkeypatch):
    """The paths of every linking, in order."""
    seen = []
    real = update_module.link

    def recording(connection, modules, files, stale, facts):
        seen.append(list(stale))
        real(connection, modules, files, stale, facts)

    monkeypatch.setattr(update_module, "link", recording)
    return seen


def edges(index):
    return [(call.path, call.qualname, call.target_path, call.target) for call in index.stored_calls()]


CHANGES = {
    "a method is renamed": ("base.py", "total", "price"),
    "a method is added that another calls": (
        "base.py",
        "        return 0\n",
        "        return 0\n\n    price = total\n",
    ),
    "a function returns something else": ("make.py", "return item", "return None"),
    "a local name that is returned is something else": ("make.py", "item = Item()", "item = other()"),
    "an attribute is something else": ("hold.py", "self.made = make()", "self.made = 1"),
    "a class gets other bases": ("heir.py", "Book(Item)", "Book"),
    "a class gets an __init__": ("base.py", "    def total", "    def __init__(self): ...\n\n    def total"),
    "an import leads elsewhere": ("make.py", "from base import Item", "from heir import Book as Item"),
    "a property comes of a method": ("base.py", "    def total", "    @property\n    def total"),
    "a fixture gives something else": ("conftest.py", "return Holder()", "return 1"),
    "a fixture is renamed": ("conftest.py", "def shop", "def store"),
    "a star import comes": ("use.py", "from hold import Holder", "from hold import *"),
    "a file cannot be parsed any more": ("make.py", "def make():", "def make(:"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_after_a_change_the_edges_are_those_of_a_fresh_index(index, snapshot, tmp_path, change):
    path, before, after = change
    assert before in FILES[path]
    changed = {**FILES, path: FILES[path].replace(before, after)}
    for number, files in enumerate((FILES, changed, FILES)):
        index.update(snapshot(files))
        with Index.open(tmp_path / f"fresh-{number}.sqlite") as fresh:
            fresh.update(snapshot(files))
            assert edges(index) == edges(fresh)


def test_most_changes_change_edges(index, snapshot):
    index.update(snapshot(FILES))
    before = edges(index)
    kept = []
    for name, (path, old, new) in CHANGES.items():
        index.update(snapshot({**FILES, path: FILES[path].replace(old, new)}))
        kept += [name] if edges(index) == before else []
    assert kept == ["a fixture gives something else"] or len(kept) < 5


def test_a_function_that_nobody_names_concerns_its_own_file_only(index, snapshot, linked):
    index.update(snapshot(FILES))
    linked.clear()
    index.update(snapshot({**FILES, "other.py": FILES["other.py"] + "\n\ndef brand_new(value):\n    return value\n"}))
    assert linked == [["other.py"]]


def test_a_changed_result_concerns_all_that_is_made_of_it(index, snapshot, linked):
    index.update(snapshot(FILES))
    linked.clear()
    index.update(snapshot({**FILES, "make.py": FILES["make.py"].replace("return item", "return None")}))
    (stale,) = linked
    assert {"make.py", "hold.py", "use.py"} <= set(stale)
    assert {"other.py", "heir.py"}.isdisjoint(stale)


@pytest.mark.parametrize(
    "files",
    [
        {**FILES, "new.py": "x = 1\n"},
        {path: text for path, text in FILES.items() if path != "other.py"},
        {**FILES, "conftest.py": FILES["conftest.py"].replace("def shop", "def store")},
        {**FILES, "use.py": "from other import *\n"},
    ],
    ids=["a file came", "a file went", "another fixture", "a star import"],
)
def test_what_names_cannot_tell_concerns_every_file(index, snapshot, linked, files):
    index.update(snapshot(FILES))
    linked.clear()
    index.update(snapshot(files))
    assert linked == [sorted(path for path in files)]
