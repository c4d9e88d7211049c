"""The edges that an update writes: what a chain reaches is found once for all places in which it means the same."""

import gc

from llm_testgen.index.resolve import Resolver

TWO = """
    class Other:
        def go(self):
            pass

    def go():
        pass

    class Walker:
        def go(self):
            pass

        def of_its_own(self):
            self.go()

        def again(self):
            self.go()

        def replaced(self):
            self = Other()
            self.go()

        @staticmethod
        def given(self):
            self.go()

        @classmethod
        def of_the_class(self):
            self.go()

        def by_another_name(this):
            this.go()

        def past(self):
            super().go()

    class Runner(Walker):
        def of_its_own(self):
            self.go()

        def past(self):
            super().go()

        def go(self):
            go()

        def no_super(self):
            super = Other()
            super.go()

    def of_the_module():
        go()

    def of_a_parameter(go):
        go()

    def of_an_import():
        from elsewhere import go
        go()
"""


def edges(index, path="mod.py"):
    return {call.qualname: call.target for call in index.stored_calls() if call.path == path}


def test_a_chain_reaches_what_its_first_name_means_where_it_is_written(indexed):
    found = edges(indexed({"mod.py": TWO, "elsewhere.py": "def go():\n    pass\n"}))
    assert found == {
        "Walker.of_its_own": "Walker.go",
        "Walker.again": "Walker.go",
        "Walker.replaced": "Other",
        "Walker.of_the_class": "Walker.go",
        "Walker.by_another_name": "Walker.go",
        "Runner.of_its_own": "Runner.go",
        "Runner.past": "Walker.go",
        "Runner.go": "go",
        "Runner.no_super": "Other.go",
        "of_the_module": "go",
        "of_an_import": "go",
    }


def test_an_attribute_that_is_kept_and_put_back_is_still_a_property(indexed):
    text = """
        class Base:
            @property
            def size(self):
                return 1

        class Shape(Base):
            def first(self):
                return self.size

            def move(self):
                size = self.size
                self.size = size
    """
    found = edges(indexed({"mod.py": text}))
    assert found == {"Shape.first": "Base.size", "Shape.move": "Base.size"}


def test_an_update_leaves_nothing_that_only_a_search_for_cycles_would_find(index, snapshot):
    gc.collect()
    gc.disable()
    try:
        index.update(snapshot({"mod.py": TWO}))
        assert [one for one in gc.get_objects() if type(one) is Resolver] == []
    finally:
        gc.enable()
