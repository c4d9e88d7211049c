from __future__ import annotations

import hashlib
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pygit2
import pytest

from llm_testgen.edges.git import Repository
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.records import FileChange, FileStatus, FileType, Hunk, Snapshot

HUNK = re.compile(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@")
LINES = [
    "a = 1",
    "",
    "    return x",
    "def f(x):",
    "    y = x + 1",
    "# c",
    "class A:",
    "    pass",
    "b = 2\r",
    "é = '\f'",
]


class Project(Protocol):
    root: Path

    def write(self, path: str, content: str | bytes) -> Path: ...
    def delete(self, path: str) -> None: ...
    def move(self, old: str, new: str) -> None: ...
    def commit(self, message: str = ...) -> str: ...
    def git(self, *arguments: str) -> str: ...


def added_by_git(project: Project, *arguments: str) -> dict[str, set[int]]:
    """What ``git diff -U0`` marks with ``+``, by path."""
    added: dict[str, set[int]] = {}
    path = ""
    for line in project.git("diff", "-U0", "--no-color", *arguments).split("\n"):
        if line.startswith("+++ "):
            path = line.removeprefix("+++ b/")
        elif hunk := HUNK.match(line):
            start, count = int(hunk[1]), int(hunk[2] or 1)
            added.setdefault(path, set()).update(range(start, start + count))
    return {path: lines for path, lines in added.items() if lines}


def hunks_by_git(project: Project, *arguments: str) -> dict[str, tuple[Hunk, ...]]:
    """The lines at head that ``git diff -M`` shows of Python files, by path and hunk."""
    shown: dict[str, tuple[Hunk, ...]] = {}
    path = ""
    for line in project.git("diff", "-U3", "-M", "--no-color", *arguments).split("\n"):
        if line.startswith("+++ "):
            path = line.removeprefix("+++ b/")
        elif (hunk := HUNK.match(line)) and path.endswith(".py"):
            start, count = int(hunk[1]), int(hunk[2] or 1)
            if count:
                shown[path] = (*shown.get(path, ()), Hunk(start, start + count - 1))
    return shown


def added(changes: tuple[FileChange, ...]) -> dict[str, set[int]]:
    return {change.path: set(change.added_lines) for change in changes if change.added_lines}


def one(changes: tuple[FileChange, ...]) -> FileChange:
    (change,) = changes
    return change


def content(snapshot: Snapshot) -> dict[str, bytes]:
    return {file.path: snapshot.read(file) for file in snapshot.files}


def state_of(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file below a folder with its time of change and the hash of its bytes."""
    return {
        str(file): (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink()
    }


@pytest.fixture
def project(git_project: Project) -> Project:
    """A repository with one commit."""
    git_project.write("pkg/m.py", "X = 1\n")
    git_project.commit("first")
    return git_project


@pytest.fixture
def forked(project: Project) -> tuple[Project, str, str, str]:
    """Branches main and feature that each went on from one commit: the project, that commit, main, feature."""
    fork = project.git("rev-parse", "HEAD").strip()
    project.git("checkout", "-q", "-b", "feature")
    project.write("pkg/new.py", "Y = 1\n")
    feature = project.commit("feature")
    project.git("checkout", "-q", "main")
    project.write("pkg/m.py", "X = 2\n")
    main = project.commit("main")
    project.git("checkout", "-q", "feature")
    return project, fork, main, feature


def clone(project: Project, folder: Path, *options: str) -> Path:
    project.git("clone", "-q", *options, f"file://{project.root}", str(folder))
    return folder


class TestOpen:
    def test_a_repository_is_found_from_a_folder_inside_it(self, project: Project):
        assert Repository.open(project.root / "pkg").root == project.root.resolve()

    def test_a_linked_worktree_is_a_repository(self, project: Project, tmp_path: Path):
        project.git("worktree", "add", "-q", str(tmp_path / "linked"))
        assert Repository.open(tmp_path / "linked").root == (tmp_path / "linked").resolve()

    @pytest.mark.parametrize("name", ["", "missing"])
    def test_a_folder_outside_any_repository_is_refused(self, tmp_path: Path, name: str):
        with pytest.raises(UsageError, match="is not inside a git repository: pass the path of a clone"):
            Repository.open(tmp_path / name)

    def test_a_bare_repository_is_refused(self, project: Project, tmp_path: Path):
        with pytest.raises(UsageError, match="bare repository"):
            Repository.open(clone(project, tmp_path / "bare", "--bare"))

    def test_a_repository_without_a_commit_is_refused(self, git_project: Project):
        with pytest.raises(UsageError, match="no commit yet"):
            Repository.open(git_project.root)

    def test_a_repository_of_a_format_unknown_to_libgit2_is_refused_in_one_line(self, project: Project):
        project.git("config", "core.repositoryformatversion", "1")
        project.git("config", "extensions.unheardof", "true")
        with pytest.raises(UsageError, match=r"cannot be opened: [^\n]*unheardof"):
            Repository.open(project.root)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
    def test_a_repository_of_another_user_is_refused_with_the_command_that_allows_it(self, project: Project):
        for path in (project.root, project.root / ".git"):
            os.chown(path, 12345, 12345)
        command = f"git config --global --add safe.directory {project.root.resolve()}"
        with pytest.raises(UsageError, match=re.escape(command)):
            Repository.open(project.root)


class TestMergeBase:
    def test_it_is_where_head_left_base(self, forked: tuple[Project, str, str, str]):
        project, fork, _, feature = forked
        assert Repository.open(project.root).merge_base("main", "feature") == (fork, feature)

    def test_a_revision_may_have_any_of_its_names(self, forked: tuple[Project, str, str, str]):
        project, fork, main, feature = forked
        project.git("tag", "--annotate", "v1", "--message", "one", main)
        repository = Repository.open(project.root)
        for head in ("HEAD", "feature", feature, feature[:10], "refs/heads/feature", "HEAD~0"):
            assert repository.merge_base("v1", head) == (fork, feature)
        assert repository.merge_base("HEAD~1", "HEAD").base == fork

    def test_without_base_it_is_where_head_left_the_default_branch(self, forked: tuple[Project, str, str, str]):
        project, fork, _, feature = forked
        assert Repository.open(project.root).merge_base(None, "HEAD") == (fork, feature)

    @pytest.mark.parametrize("name", ["refs/remotes/origin/main", "refs/remotes/origin/master"])
    def test_the_remote_default_branch_goes_before_a_local_one(self, forked: tuple[Project, str, str, str], name: str):
        project, _, main, feature = forked
        project.git("update-ref", name, feature)
        project.write("pkg/more.py", "Z = 1\n")
        head = project.commit()
        assert Repository.open(project.root).merge_base(None, "HEAD") == (feature, head)
        assert main not in (feature, head)

    def test_what_the_remote_calls_its_default_branch_goes_before_all(self, forked: tuple[Project, str, str, str]):
        project, fork, main, feature = forked
        project.git("update-ref", "refs/remotes/origin/main", feature)
        project.git("update-ref", "refs/remotes/origin/trunk", main)
        project.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
        assert Repository.open(project.root).merge_base(None, "HEAD").base == fork

    def test_a_remote_head_that_points_nowhere_is_passed_over(self, forked: tuple[Project, str, str, str]):
        project, fork, _, _ = forked
        project.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone")
        assert Repository.open(project.root).merge_base(None, "HEAD").base == fork

    def test_head_on_the_default_branch_needs_a_base(self, project: Project):
        with pytest.raises(
            UsageError, match="'HEAD' has nothing that 'main' lacks: pass --base, such as --base HEAD~1"
        ):
            Repository.open(project.root).merge_base(None, "HEAD")

    def test_for_a_working_tree_on_the_default_branch_head_is_the_base(self, project: Project):
        revisions = Repository.open(project.root).merge_base(None, "HEAD", worktree=True)
        assert revisions.base == revisions.head

    def test_an_unknown_default_branch_needs_a_base(self, project: Project):
        project.git("branch", "-m", "trunk")
        with pytest.raises(UsageError, match="the default branch is not known: pass --base"):
            Repository.open(project.root).merge_base(None, "HEAD")

    @pytest.mark.parametrize("name", ["", "nowhere", "HEAD~9", "a..b", "with space", "two\nlines", "0" * 40, "\0"])
    def test_an_unknown_revision_is_named_in_one_line(self, project: Project, name: str):
        with pytest.raises(UsageError, match=re.escape(f"unknown revision {name!r}: ")) as caught:
            Repository.open(project.root).merge_base(name, "HEAD")
        assert "\n" not in str(caught.value)

    def test_a_branch_that_only_the_remote_has_is_suggested(self, project: Project):
        project.git("update-ref", "refs/remotes/origin/develop", "HEAD")
        with pytest.raises(UsageError, match="unknown revision 'develop': pass 'origin/develop'"):
            Repository.open(project.root).merge_base("develop", "HEAD")

    @pytest.mark.parametrize("name", ["HEAD:pkg", "HEAD:pkg/m.py", "HEAD^{tree}"])
    def test_what_is_no_commit_is_refused(self, project: Project, name: str):
        with pytest.raises(UsageError, match="is no commit"):
            Repository.open(project.root).merge_base("HEAD", name)

    def test_unrelated_histories_are_refused(self, project: Project):
        project.git("checkout", "-q", "--orphan", "island")
        project.commit("island")
        with pytest.raises(UsageError, match="no common history"):
            Repository.open(project.root).merge_base("main", "HEAD")

    @pytest.mark.parametrize("base", [None, "main", "HEAD~1"])
    def test_a_shallow_clone_without_the_base_asks_for_the_history(
        self, forked: tuple[Project, str, str, str], tmp_path: Path, base: str | None
    ):
        forked[0].git("checkout", "-q", "main")
        shallow = clone(forked[0], tmp_path / "shallow", "--depth=1", "--branch=feature")
        with pytest.raises(ProjectError, match="fetch-depth: 0"):
            Repository.open(shallow).merge_base(base, "HEAD")

    def test_a_shallow_clone_that_lacks_the_fork_asks_for_the_history(
        self, forked: tuple[Project, str, str, str], tmp_path: Path
    ):
        shallow = clone(forked[0], tmp_path / "shallow", "--depth=1", "--no-single-branch")
        with pytest.raises(ProjectError, match=r"too shallow .*'origin/main'.*fetch-depth: 0"):
            Repository.open(shallow).merge_base("origin/main", "HEAD")


class TestChanges:
    def test_they_are_what_git_diff_shows_from_the_merge_base(self, forked: tuple[Project, str, str, str]):
        project, fork, _, feature = forked
        changes = Repository.open(project.root).changes(fork, feature)
        assert added(changes) == added_by_git(project, "main...feature") == {"pkg/new.py": {1}}
        assert one(changes) == FileChange(
            path="pkg/new.py",
            old_path="",
            status=FileStatus.ADDED,
            type=FileType.REGULAR,
            old=b"",
            new=b"Y = 1\n",
            added_lines=frozenset({1}),
        )

    @pytest.mark.parametrize("seed", range(4))
    def test_added_lines_are_those_of_git_diff_on_random_edits(self, git_project: Project, seed: int):
        chance = random.Random(seed)  # noqa: S311 - test data
        files = {f"f{number}.py": _random_file(chance) for number in range(25)}
        for path, lines in files.items():
            git_project.write(path, "\n".join(lines))
        base = git_project.commit()
        for path, lines in files.items():
            _edit(git_project, path, lines, chance)
        head = git_project.commit()
        changes = Repository.open(git_project.root).changes(base, head)
        assert added(changes) == added_by_git(git_project, base, head)

    def test_a_renamed_file_has_only_its_edited_lines(self, project: Project):
        text = "".join(f"X{number} = {number}\n" for number in range(20))
        project.write("pkg/a.py", text)
        base = project.commit()
        project.move("pkg/a.py", "src/b.py")
        project.write("src/b.py", text.replace("X7 = 7", "X7 = 8"))
        change = one(Repository.open(project.root).changes(base, project.commit()))
        assert (change.status, change.old_path, change.path) == (FileStatus.RENAMED, "pkg/a.py", "src/b.py")
        assert change.added_lines == {8}
        assert change.old == text.encode()

    @pytest.mark.parametrize("added_lines", [1, 5, 300])
    def test_lines_added_among_equal_ones_stand_where_git_puts_them(self, project: Project, added_lines: int):
        project.write("pkg/m.py", "    x = 1\n" * 400)
        base = project.commit()
        project.write("pkg/m.py", "    x = 1\n" * (400 + added_lines))
        head = project.commit()
        assert added(Repository.open(project.root).changes(base, head)) == added_by_git(project, base, head)

    @pytest.mark.parametrize("kept", range(6, 15))
    def test_a_rename_is_what_git_takes_for_one(self, project: Project, kept: int):
        lines = [f"    total += price({number})  # {'-' * number}\n" for number in range(20)]
        others = [f"    {'=' * number} another line {number}\n" for number in range(20)]
        project.write("pkg/a.py", "".join(lines))
        base = project.commit()
        project.delete("pkg/a.py")
        project.write("src/b.py", "".join(lines[:kept] + others[kept:]))
        head = project.commit()
        assert added(Repository.open(project.root).changes(base, head)) == added_by_git(project, base, head)

    def test_a_rewritten_file_is_no_rename(self, project: Project):
        lines = [f"X{number} = {number}\n" for number in range(20)]
        project.write("pkg/a.py", "".join(lines))
        base = project.commit()
        project.delete("pkg/a.py")
        project.write("src/b.py", "".join(lines[:9]) + "".join(f"other_name_{number}\n" for number in range(11)))
        changes = Repository.open(project.root).changes(base, project.commit())
        assert [(change.path, change.status) for change in changes] == [
            ("pkg/a.py", FileStatus.DELETED),
            ("src/b.py", FileStatus.ADDED),
        ]

    def test_a_file_renamed_to_another_language_is_gone_and_the_reverse_is_new(self, project: Project):
        project.write("b.txt", "Y = 1\nZ = 1\n")
        base = project.commit()
        project.move("pkg/m.py", "pkg/m.txt")
        project.move("b.txt", "b.py")
        changes = Repository.open(project.root).changes(base, project.commit())
        assert [(change.path, change.status) for change in changes] == [
            ("b.py", FileStatus.ADDED),
            ("pkg/m.py", FileStatus.DELETED),
        ]

    def test_a_change_of_mode_adds_no_lines(self, project: Project):
        (project.root / "pkg/m.py").chmod(0o755)
        project.commit()
        change = one(_changes_of_last(project))
        assert (change.status, change.added_lines) == (FileStatus.MODIFIED, frozenset())

    def test_a_symlink_in_place_of_a_file_is_a_deletion_and_an_addition(self, project: Project):
        project.write("pkg/n.py", "Y = 1\n")
        project.commit()
        project.delete("pkg/m.py")
        (project.root / "pkg/m.py").symlink_to("n.py")
        project.commit()
        deleted, link = _changes_of_last(project)
        assert (deleted.status, deleted.type, deleted.old) == (FileStatus.DELETED, FileType.REGULAR, b"X = 1\n")
        assert (link.status, link.type, link.new) == (FileStatus.ADDED, FileType.SYMLINK, b"n.py")
        assert link.added_lines == frozenset()

    def test_a_submodule_is_reported_without_content(self, project: Project):
        commit = project.git("rev-parse", "HEAD").strip()
        project.git("update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
        project.git("commit", "-q", "-m", "submodule")
        change = one(_changes_of_last(project))
        assert (change.path, change.type, change.new) == ("sub", FileType.SUBMODULE, b"")

    @pytest.mark.parametrize("attributes", ["", "*.py -diff\n", "*.py diff\n"])
    def test_binary_is_what_git_takes_for_it(self, project: Project, attributes: str):
        project.write(".gitattributes", attributes)
        project.write("pkg/nul.py", b"X = 1\n\0\n")
        project.write("pkg/m.py", "X = 2\n")
        project.commit()
        changes = _changes_of_last(project)
        assert added(changes) == added_by_git(project, "HEAD~1", "HEAD", "--", "*.py")
        assert [change.new for change in changes] == [b"X = 2\n", b"X = 1\n\0\n"]

    def test_attributes_are_those_of_head(self, project: Project):
        attributes = "gen_*.py linguist-generated\nlib/** linguist-vendored=true\nlib/own.py -linguist-vendored\n"
        project.write(".gitattributes", attributes + "lib/mine.py linguist-vendored=false\n")
        for path in ("gen_a.py", "lib/x.py", "lib/own.py", "lib/mine.py", "b.py"):
            project.write(path, "A = 1\n")
        project.commit()
        project.git("checkout", "-q", "--detach", "HEAD~1")
        changes = Repository.open(project.root).changes("main~1", "main")
        assert {change.path for change in changes if change.generated} == {"gen_a.py"}
        assert {change.path for change in changes if change.vendored} == {"lib/x.py"}

    def test_names_that_are_no_text_are_passed_over(self, project: Project):
        (project.root / os.fsdecode(b"b\xff.py")).write_bytes(b"X = 1\n")
        project.write("é.py", "X = 1\n")
        project.commit()
        assert one(_changes_of_last(project)).path == "é.py"

    def test_a_missing_object_is_an_error_that_says_to_fetch(self, project: Project):
        project.write("pkg/m.py", "X = 2\n")
        project.commit()
        blob = project.git("rev-parse", "HEAD~1:pkg/m.py").strip()
        (project.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
        with pytest.raises(ProjectError, match=f"lacks objects of {blob}: fetch it whole"):
            _changes_of_last(project)


def _changes_of_last(project: Project) -> tuple[FileChange, ...]:
    return Repository.open(project.root).changes("HEAD~1", "HEAD")


def _random_file(chance: random.Random) -> list[str]:
    count = chance.choice([0, 3, 40, 300])
    return [f"{chance.choice(LINES)}{chance.choice(['', f'  # {chance.randrange(40)}'])}" for _ in range(count)]


def _edit(project: Project, path: str, lines: list[str], chance: random.Random) -> None:
    """Change, rename or delete a file, a little or a lot."""
    lines = list(lines)
    for _ in range(chance.choice([0, 1, 3, 10, 60])):
        at = chance.randrange(len(lines) + 1)
        match chance.randrange(3):
            case 0:
                lines[at:at] = chance.choices(LINES, k=chance.randint(1, 5))
            case 1:
                del lines[at : at + chance.randint(1, 5)]
            case _:
                lines[at:at] = lines[at - 6 : at]
    fate = chance.random()
    if fate < 0.1:
        project.delete(path)
        return
    if fate < 0.4:
        project.move(path, f"new/{path}")
        path = f"new/{path}"
    project.write(path, "\n".join(lines) + chance.choice(["", "\n"]))


class TestChangesToWorktree:
    def test_staged_unstaged_and_untracked_files_are_in_it(self, project: Project):
        for name in ("staged", "unstaged", "both", "gone", "same"):
            project.write(f"{name}.py", "A = 1\nB = 2\n")
        base = project.commit()
        project.write("staged.py", "A = 1\nB = 3\n")
        project.write("both.py", "A = 2\nB = 2\n")
        project.git("add", "staged.py", "both.py")
        project.write("both.py", "A = 2\nB = 3\n")
        project.write("unstaged.py", "A = 2\nB = 2\n")
        project.write("deep/er/new.py", "Z = 1\n")
        project.delete("gone.py")
        changes = Repository.open(project.root).changes_to_worktree(base)
        assert added(changes) == {"both.py": {1, 2}, "deep/er/new.py": {1}, "staged.py": {2}, "unstaged.py": {1}}
        assert {change.path: change.status for change in changes}["gone.py"] is FileStatus.DELETED
        assert [change.path for change in changes] == sorted(change.path for change in changes)

    def test_ignored_files_are_not_in_it_unless_the_index_holds_them(self, project: Project):
        project.write(".gitignore", "*.gen.py\nout/\n")
        project.write("out/old.py", "A = 1\n")
        project.git("add", "--force", "out/old.py")
        base = project.commit()
        project.write("out/old.py", "A = 2\n")
        project.write("out/other.py", "A = 2\n")
        project.write("a.gen.py", "A = 1\n")
        project.write("b.gen.py", "A = 1\n")
        project.git("add", "--force", "b.gen.py")
        changes = Repository.open(project.root).changes_to_worktree(base)
        assert added(changes) == {"b.gen.py": {1}, "out/old.py": {1}}

    @pytest.mark.parametrize("seed", range(2))
    def test_it_is_what_git_diff_shows_once_all_is_committed(self, git_project: Project, seed: int):
        chance = random.Random(seed)  # noqa: S311 - test data
        files = {f"f{number}.py": _random_file(chance) for number in range(20)}
        for path, lines in files.items():
            git_project.write(path, "\n".join(lines))
        base = git_project.commit()
        for path, lines in files.items():
            _edit(git_project, path, lines, chance)
        changes = Repository.open(git_project.root).changes_to_worktree(base)
        head = git_project.commit()
        assert added(changes) == added_by_git(git_project, base, head)

    def test_lines_that_differ_only_by_conversion_are_not_added(self, project: Project):
        project.write(".gitattributes", "*.py text eol=crlf\n")
        project.write("pkg/m.py", "X = 1\nY = 1\n")
        base = project.commit()
        project.write("pkg/m.py", b"X = 1\r\nY = 2\r\n")
        change = one(Repository.open(project.root).changes_to_worktree(base))
        assert change.added_lines == {2}
        assert change.new == b"X = 1\r\nY = 2\r\n"

    def test_attributes_are_those_of_the_working_tree(self, project: Project):
        project.write(".gitattributes", "g.py linguist-generated\n")
        project.write("g.py", "X = 1\n")
        assert one(Repository.open(project.root).changes_to_worktree("HEAD")).generated

    def test_links_and_other_repositories_are_told_apart_from_files(self, project: Project):
        (project.root / "link.py").symlink_to("/etc")
        project.git("init", "-q", "nested")
        project.write("nested/x.py", "X = 1\n")
        change = one(Repository.open(project.root).changes_to_worktree("HEAD"))
        assert (change.path, change.type, change.new) == ("link.py", FileType.SYMLINK, b"/etc")

    def test_files_behind_a_link_are_not_read(self, project: Project, tmp_path: Path):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/m.py").write_text("SECRET = 1\n")
        project.delete("pkg/m.py")
        (project.root / "pkg").rmdir()
        (project.root / "pkg").symlink_to(tmp_path / "elsewhere")
        repository = Repository.open(project.root)
        assert one(repository.changes_to_worktree("HEAD")).status is FileStatus.DELETED
        assert repository.worktree_snapshot().files == ()

    def test_nothing_is_written(self, project: Project):
        project.write(".gitignore", "*.gen.py\n")
        project.write("a.gen.py", "A = 1\n")
        project.write("pkg/m.py", "X = 2\n")
        project.write("pkg/new.py", "Y = 2\n")
        project.git("add", "pkg/m.py")
        project.write("pkg/m.py", "X = 3\n")
        before = state_of(project.root)
        repository = Repository.open(project.root)
        base, head = repository.merge_base("HEAD", "HEAD")
        repository.changes(base, head)
        repository.changes_to_worktree(base)
        content(repository.snapshot(head))
        content(repository.worktree_snapshot())
        repository.ignored_files()
        assert state_of(project.root) == before


class TestSnapshots:
    def test_a_commit_holds_every_regular_file_in_path_order(self, project: Project):
        project.write("a/b.py", "A = 1\n")
        project.write("a.txt", b"\0\xff")
        project.write("run.sh", "#!/bin/sh\n").chmod(0o755)
        (project.root / "link.py").symlink_to("a.txt")
        head = project.commit()
        project.write("later.py", "")
        snapshot = Repository.open(project.root).snapshot("HEAD")
        assert snapshot.commit == head
        assert content(snapshot) == {
            "a.txt": b"\0\xff",
            "a/b.py": b"A = 1\n",
            "pkg/m.py": b"X = 1\n",
            "run.sh": b"#!/bin/sh\n",
        }
        assert [file.path for file in snapshot.files] == sorted(file.path for file in snapshot.files)
        assert [file.path for file in snapshot.files if file.executable] == ["run.sh"]
        blobs = {file.path: file.blob for file in snapshot.files}
        assert blobs["a/b.py"] == project.git("rev-parse", "HEAD:a/b.py").strip()

    def test_the_working_tree_is_as_it_is_on_the_disk(self, project: Project):
        project.write(".gitignore", "*.log\n")
        project.write("gone.py", "A = 1\n")
        head = project.commit()
        project.write("x.log", "log")
        project.write("pkg/m.py", "X = 2\n")
        project.write("new.py", "Y = 1\n").chmod(0o755)
        project.delete("gone.py")
        (project.root / "link.py").symlink_to("new.py")
        snapshot = Repository.open(project.root).worktree_snapshot()
        assert snapshot.commit == head
        assert content(snapshot) == {".gitignore": b"*.log\n", "new.py": b"Y = 1\n", "pkg/m.py": b"X = 2\n"}
        assert [file.path for file in snapshot.files if file.executable] == ["new.py"]
        blobs = {file.path: file.blob for file in snapshot.files}
        assert blobs["pkg/m.py"] == project.git("hash-object", "pkg/m.py").strip()

    def test_a_clean_working_tree_is_its_commit(self, project: Project):
        repository = Repository.open(project.root)
        assert repository.worktree_snapshot().files == repository.snapshot("HEAD").files

    def test_a_file_that_vanished_is_an_error_that_says_so(self, project: Project):
        snapshot = Repository.open(project.root).worktree_snapshot()
        project.delete("pkg/m.py")
        with pytest.raises(ProjectError, match=r"cannot read pkg/m\.py"):
            snapshot.read(snapshot.files[0])

    def test_a_file_in_conflict_is_in_it_once(self, forked: tuple[Project, str, str, str]):
        project = forked[0]
        project.write("pkg/m.py", "X = 3\n")
        project.commit()
        with pytest.raises(AssertionError):
            project.git("merge", "-q", "main")
        repository = Repository.open(project.root)
        assert [file.path for file in repository.worktree_snapshot().files] == ["pkg/m.py", "pkg/new.py"]
        assert one(repository.changes_to_worktree("HEAD")).status is FileStatus.MODIFIED

    @pytest.mark.parametrize("name", [b"..", b".", b".git", b".GIT", b"b\xff.py"])
    def test_names_that_lead_astray_never_appear(self, project: Project, name: bytes):
        commit = _commit_with_entry(project, name)
        repository = Repository.open(project.root)
        assert [file.path for file in repository.snapshot(commit).files] == []
        assert repository.changes(_commit_with_entry(project, b"ok.txt"), commit) == ()


def _commit_with_entry(project: Project, name: bytes) -> str:
    """A commit whose tree has one entry, a folder or a file of a name that git itself would refuse."""
    blob = bytes.fromhex(project.git("rev-parse", "HEAD:pkg/m.py").strip())
    git = pygit2.Repository(str(project.root))
    folder = git.odb.write(pygit2.enums.ObjectType.TREE, b"100644 x.py\0" + blob)
    entry = b"100644 " + name + b"\0" + blob if b"." in name[2:] else b"40000 " + name + b"\0" + folder.raw
    if name == b"ok.txt":
        entry = b"100644 ok.txt\0" + blob
    tree = git.odb.write(pygit2.enums.ObjectType.TREE, entry)
    return project.git("commit-tree", "-m", "astray", str(tree)).strip()


class TestIgnoredFiles:
    @pytest.fixture
    def ignoring(self, project: Project) -> Iterator[Project]:
        project.write(
            ".gitignore", "_version.py\n*.so\n*.pyd\n*.log\n/env/\nbuild/\ndist/\nnode_modules/\ngen/\n.tox/\n"
        )
        project.commit()
        return project

    def test_what_an_import_may_need_is_found(self, ignoring: Project):
        for path in ("src/pkg/_version.py", "src/pkg/fast.so", "src/pkg/fast.pyd", "gen/deep/x.py"):
            ignoring.write(path, "X = 1\n")
        ignoring.write("src/pkg/run.log", "")
        ignoring.write("src/pkg/untracked.py", "")
        found = Repository.open(ignoring.root).ignored_files()
        assert found == ("gen/deep/x.py", "src/pkg/_version.py", "src/pkg/fast.pyd", "src/pkg/fast.so")

    @pytest.mark.parametrize(
        "folder", ["env", "build/lib", "dist", "node_modules/x", ".tox/py", "pkg/__pycache__", ".git/x", ".llm-testgen"]
    )
    def test_environments_caches_and_build_outputs_are_not_entered(self, ignoring: Project, folder: str):
        ignoring.write("env/pyvenv.cfg", "")
        ignoring.write(f"{folder}/_version.py", "")
        assert Repository.open(ignoring.root).ignored_files() == ()

    def test_a_package_that_is_named_build_is_entered(self, ignoring: Project):
        ignoring.write("src/build/__init__.py", "")
        ignoring.git("add", "--force", "src/build/__init__.py")
        ignoring.write("src/build/_version.py", "")
        assert Repository.open(ignoring.root).ignored_files() == ("src/build/_version.py",)

    def test_a_tracked_file_is_not_ignored_whatever_the_rules_say(self, ignoring: Project):
        ignoring.write("pkg/_version.py", "")
        ignoring.git("add", "--force", "pkg/_version.py")
        assert Repository.open(ignoring.root).ignored_files() == ()

    def test_links_are_not_followed(self, ignoring: Project):
        ignoring.write("gen/x.py", "")
        (ignoring.root / "gen/link.py").symlink_to("x.py")
        (ignoring.root / "more").symlink_to("gen")
        assert Repository.open(ignoring.root).ignored_files() == ("gen/x.py",)


class TestHunks:
    @pytest.mark.parametrize("seed", range(3))
    def test_they_are_those_of_git_diff_on_random_edits(self, git_project: Project, seed: int):
        chance = random.Random(seed)  # noqa: S311 - test data
        files = {f"f{number}.py": _random_file(chance) for number in range(25)}
        for path, lines in files.items():
            git_project.write(path, "\n".join(lines))
        base = git_project.commit()
        for path, lines in files.items():
            _edit(git_project, path, lines, chance)
        head = git_project.commit()
        expected = hunks_by_git(git_project, base, head)
        assert dict(Repository.open(git_project.root).hunks(base, head)) == expected
        assert any(len(hunks) > 1 for hunks in expected.values())

    def test_changes_near_each_other_are_shown_in_one_piece(self, project: Project):
        lines = [f"X{number} = {number}\n" for number in range(40)]
        project.write("pkg/a.py", "".join(lines))
        base = project.commit()
        for number in (0, 7, 15, 39):
            lines[number] = "X = 0\n"
        project.write("pkg/a.py", "".join(lines))
        head = project.commit()
        hunks = Repository.open(project.root).hunks(base, head)
        assert hunks == {"pkg/a.py": (Hunk(1, 11), Hunk(13, 19), Hunk(37, 40))} == hunks_by_git(project, base, head)

    def test_all_of_a_new_file_is_shown_and_nothing_of_a_deleted_one(self, project: Project):
        base = project.git("rev-parse", "HEAD").strip()
        project.write("new.py", "A = 1\nB = 2\n")
        project.write("empty.py", "")
        project.write("text.txt", "A\n")
        project.delete("pkg/m.py")
        assert Repository.open(project.root).hunks(base, project.commit()) == {"new.py": (Hunk(1, 2),)}

    def test_lines_around_removed_ones_are_shown(self, project: Project):
        text = "".join(f"X{number} = {number}\n" for number in range(20))
        project.write("pkg/a.py", text)
        base = project.commit()
        project.write("pkg/a.py", text.replace("X9 = 9\n", ""))
        head = project.commit()
        assert Repository.open(project.root).hunks(base, head) == {"pkg/a.py": (Hunk(7, 12),)}

    def test_a_renamed_file_shows_what_was_edited_whatever_it_was_called(self, project: Project):
        text = "".join(f"X{number} = {number}\n" for number in range(20))
        project.write("pkg/a.txt", text)
        project.write("pkg/same.py", text.replace("X", "Y"))
        base = project.commit()
        project.move("pkg/a.txt", "pkg/b.py")
        project.write("pkg/b.py", text.replace("X9 = 9", "X9 = 8"))
        project.move("pkg/same.py", "pkg/moved.py")
        head = project.commit()
        hunks = Repository.open(project.root).hunks(base, head)
        assert hunks == {"pkg/b.py": (Hunk(7, 13),)} == hunks_by_git(project, base, head)

    def test_symlinks_submodules_and_binary_files_show_none(self, project: Project):
        project.write(".gitattributes", "hidden.py -diff\n")
        base = project.commit()
        (project.root / "link.py").symlink_to("pkg/m.py")
        project.write("binary.py", b"A = '\0'\n")
        project.write("hidden.py", "A = 1\n")
        assert Repository.open(project.root).hunks(base, project.commit()) == {}

    def test_a_revision_that_is_not_there_is_refused(self, project: Project):
        with pytest.raises(UsageError, match="unknown revision"):
            Repository.open(project.root).hunks("nowhere", "HEAD")


class TestWholeFiles:
    def test_every_line_of_those_that_are_named_was_added(self, project: Project):
        project.write("pkg/a.py", "A = 1\n\nB = 2\n")
        project.write("pkg/b.py", "")
        head = project.commit()
        repository = Repository.open(project.root)
        files = repository.whole_files(repository.snapshot(head), {"pkg/a.py", "pkg/b.py", "pkg/none.py"})
        assert [(file.path, file.status, file.old, file.new) for file in files] == [
            ("pkg/a.py", FileStatus.ADDED, b"", b"A = 1\n\nB = 2\n"),
            ("pkg/b.py", FileStatus.ADDED, b"", b""),
        ]
        assert [file.added_lines for file in files] == [frozenset({1, 2, 3}), frozenset()]

    def test_attributes_are_those_of_the_same_tree(self, project: Project):
        project.write(".gitattributes", "pkg/m.py linguist-generated\n")
        head = project.commit()
        project.write(".gitattributes", "pkg/m.py linguist-vendored -linguist-generated\n")
        project.write("pkg/m.py", "X = 1\r\nY = 2\r\n")
        repository = Repository.open(project.root)
        committed = one(repository.whole_files(repository.snapshot(head), {"pkg/m.py"}))
        assert (committed.generated, committed.vendored) == (True, False)
        present = one(repository.whole_files(repository.worktree_snapshot(), {"pkg/m.py"}, worktree=True))
        assert (present.generated, present.vendored, present.added_lines) == (False, True, frozenset({1, 2}))

    def test_a_file_is_uncommitted_while_it_differs_from_head(self, project: Project):
        repository = Repository.open(project.root)
        assert not repository.is_uncommitted("pkg/m.py")
        project.write("pkg/m.py", "X = 2\n")
        assert repository.is_uncommitted("pkg/m.py")
        project.git("add", "--all")
        assert repository.is_uncommitted("pkg/m.py")
        project.commit()
        project.delete("pkg/m.py")
        assert repository.is_uncommitted("pkg/m.py")
