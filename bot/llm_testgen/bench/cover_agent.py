"""cover-agent as a peer: how it is started on a case, and which files it leaves."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from llm_testgen.bench import cover_agent_suite
from llm_testgen.bench.peers import KNOWN_NAME, Command, PeerCase
from llm_testgen.errors import UsageError

_REPORT = "coverage-for-cover-agent.xml"
_FAILED = "failed-before-cover-agent.json"
_PLACEHOLDER = "def test_nothing():\n    pass\n"


@dataclass(frozen=True, slots=True)
class CoverAgent:
    """cover-agent (Qodo Cover), fetched by the user: https://github.com/qodo-ai/qodo-cover.

    It is not on the package index. Its authors give ``pip install git+https://github.com/qodo-ai/qodo-cover.git`` and
    binaries; either way there is an executable, and that is all that is asked for. It works on one source file and one
    test file at a time and writes into that test file: a copy of the project's own one where there is one, else one
    with a test that does nothing, as it does not begin without a passing test. Nor does it where a test of that file
    fails: such tests count as skipped. Its goal is set to 100 % of the file, so
    that it does not stop before the changed lines; the number of rounds is its own default, and the budget ends it
    too.

    Args:
        executable: The program.
        python: An interpreter that is there when it runs.
        folders: What both have to read.
        arguments: More of its options.
        version: Which one.
    """

    executable: Path
    python: Path
    folders: tuple[Path, ...]
    arguments: tuple[str, ...] = ()
    version: str = ""
    name: str = "cover-agent"

    def added(self, case: PeerCase) -> Mapping[str, str]:
        """Test files for sources that have none."""
        present = {file.path for file in case.snapshot.files}
        files = (self.test_file(case, path) for path in case.files)
        return {file: _PLACEHOLDER for file in files if file not in present}

    def tools(self) -> tuple[Path, ...]:
        """The plugin that the project's tests are run with."""
        return (Path(cover_agent_suite.__file__),)

    def collected(self, case: PeerCase) -> tuple[str, ...]:
        """The test files that it extends."""
        return tuple(dict.fromkeys(self.test_file(case, path) for path in case.files))

    def sequences(self, case: PeerCase, tools: Path) -> Sequence[Sequence[Command]]:  # noqa: ARG002 - a Peer's
        """One command for each source file."""
        return [[self._command(case, path, f"{number}-{_FAILED}")] for number, path in enumerate(case.files)]

    @staticmethod
    def test_file(case: PeerCase, path: str) -> str:
        """The test file that a source file's tests go into."""
        named = f"test_cover_agent_{PurePosixPath(path).with_suffix('').as_posix().replace('/', '_')}.py"
        return case.test_files.get(path) or str(PurePosixPath(case.test_folder, named))

    def _command(self, case: PeerCase, path: str, failed: str) -> Command:
        test_file = self.test_file(case, path)
        measured = str(PurePosixPath(path).parent)
        test_command = [
            *(str(case.python), "-m", "pytest", test_file),
            *(f"--cov={measured}", f"--cov-report=xml:{_REPORT}", "--cov-report=term"),
            *("-p", Path(cover_agent_suite.__file__).stem, f"--failed-before={failed}"),
            *case.pytest_arguments,
        ]
        return [
            str(self.executable),
            *("--source-file-path", path),
            *("--test-file-path", test_file),
            *("--project-root", "."),
            *("--code-coverage-report-path", _REPORT),
            *("--test-command", shlex.join(test_command)),
            *("--test-command-dir", "."),
            *("--coverage-type", "cobertura"),
            *("--desired-coverage", "100"),
            *("--model", f"openai/{KNOWN_NAME}"),
            *("--api-base", "{endpoint}"),
            *self.arguments,
        ]


def find_cover_agent(named: Path, python: Path, folders: Sequence[Path]) -> CoverAgent:
    """cover-agent as the user has it.

    Args:
        named: Its executable.
        python: The project's interpreter.
        folders: What that has to read.

    Raises:
        UsageError: There is no such program.
    """
    if not named.is_file() or not named.stat().st_mode & 0o111:
        msg = (
            f"{named} is no program: install cover-agent with 'pip install git+https://github.com/qodo-ai/qodo-cover.git'"
            " in an environment of its own, and pass --cover-agent the path of its 'cover-agent'"
        )
        raise UsageError(msg)
    # What installs programs in environments of their own gives a link to it, which leads nowhere in the sandbox.
    executable = named.resolve()
    return CoverAgent(executable, python, (*_installation(executable), *folders))


def _installation(executable: Path) -> tuple[Path, ...]:
    """What a program has to read of its own: the virtual environment that it is in and that one's Python, or itself."""
    environment = executable.parent.parent
    settings = environment / "pyvenv.cfg"
    if not settings.is_file():
        return (executable,)
    pairs = (line.partition("=") for line in settings.read_text(encoding="utf-8").splitlines())
    homes = [value.strip() for key, _, value in pairs if key.strip() == "home"]
    return (environment, *(Path(home).parent for home in homes))
