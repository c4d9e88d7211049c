import pytest

from llm_testgen.index.modules import ModuleMap
from llm_testgen.index.roots import source_roots


def roots(*paths, imported=(), pyproject=""):
    return source_roots(paths, imported, pyproject)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/mod.py"], ("",)),
        (["src/pkg/__init__.py", "src/pkg/mod.py"], ("src",)),
        (["lib/pkg/__init__.py"], ("lib",)),
        (["mod.py", "setup.py"], ("",)),
        (["src/mod.py"], ("src",)),
        (["setup.py", "conftest.py", "docs/conf.py", "scripts/run.py", "src/pkg/__init__.py"], ("src",)),
        (["src/pkg/__init__.py", "tests/__init__.py", "tests/test_x.py", "test/helpers/__init__.py"], ("src",)),
        (["one/src/a/__init__.py", "two/src/b/__init__.py", "two/src/b/m.py"], ("two/src", "one/src")),
        (["tests/test_x.py", "README.md"], ("",)),
        ([], ("",)),
        (["__init__.py", "mod.py"], ("",)),
    ],
)
def test_the_layout_tells_the_roots(paths, expected):
    assert roots(*paths) == expected


def test_a_namespace_package_that_is_imported_by_its_full_name_keeps_it():
    paths = ["src/ns/pkg/__init__.py", "src/ns/pkg/mod.py"]
    assert roots(*paths, imported=["ns.pkg.mod"]) == ("src",)
    assert roots(*paths, imported=["pkg.mod"]) == ("src/ns",)
    assert roots("ns/pkg/__init__.py", imported=["ns.pkg"]) == ("",)


def test_a_folder_without_any_init_is_named_as_it_is_imported():
    assert roots("app/models.py", "app/views.py", imported=["app.models", "app.views"]) == ("",)
    assert roots("app/models.py", "app/views.py", imported=["models", "views"]) == ("app",)


@pytest.mark.parametrize(
    "pyproject",
    [
        "[tool.setuptools.packages.find]\nwhere = ['code']",
        "[tool.setuptools.package-dir]\n'' = 'code'",
        "[tool.setuptools.package-dir]\n'ns.pkg' = 'code/ns/pkg'",
        "[tool.hatch.build.targets.wheel]\npackages = ['code/ns']",
        "[tool.hatch.build.targets.wheel]\nsources = ['code']",
        "[tool.hatch.build.targets.wheel.sources]\n'code' = ''",
        "[tool.poetry]\npackages = [{include = 'ns', from = 'code'}]",
        "[tool.pytest.ini_options]\npythonpath = 'code'",
        "[tool.pytest.ini_options]\npythonpath = ['./code/']",
    ],
)
def test_pyproject_tells_a_root_that_the_layout_hides(pyproject):
    assert roots("code/ns/mod.py", pyproject=pyproject) == ("code",)
    assert roots("code/ns/mod.py") == ("",)


def test_a_folder_on_pytests_path_is_a_root_even_for_tests():
    pyproject = "[tool.pytest.ini_options]\npythonpath = ['.', 'tests/lib', 'nowhere']"
    assert roots("src/pkg/__init__.py", "tests/lib/helper.py", pyproject=pyproject) == ("src", "", "tests/lib")


@pytest.mark.parametrize(
    "pyproject", ["not [toml", "tool = 3", "[tool.setuptools]\npackages = ['pkg']", "[tool.poetry]\npackages = 1"]
)
def test_a_pyproject_of_another_shape_is_no_hint(pyproject):
    assert roots("src/pkg/__init__.py", pyproject=pyproject) == ("src",)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("src/pkg/mod.py", "pkg.mod"),
        ("src/pkg/__init__.py", "pkg"),
        ("src/pkg/sub/__init__.py", "pkg.sub"),
        ("single.py", "single"),
        ("tests/unit/test_x.py", "unit.test_x"),
        ("tests/test_y.py", "test_y"),
    ],
)
def test_a_module_is_named_below_its_root(path, name):
    paths = ["src/pkg/mod.py", "src/pkg/__init__.py", "src/pkg/sub/__init__.py", "single.py", "tests/unit/__init__.py"]
    assert ModuleMap(paths, ("src", "")).name(path) == name


def test_a_test_helper_is_found_beside_the_test_but_never_hides_the_standard_library():
    modules = ModuleMap(["tests/test_x.py", "tests/helpers.py", "tests/types.py"], ("",))
    assert modules.find("helpers", "tests/test_x.py") == "tests/helpers.py"
    assert modules.find("types", "tests/test_x.py") is None
    assert modules.find("helpers", "src/mod.py") is None


def test_a_package_hides_a_module_of_its_name():
    assert ModuleMap(["a.py", "a/__init__.py"], ("",)).find("a", "b.py") == "a/__init__.py"
