"""What a unit test has no business with, as tables: of dotted names, variables of the environment, places of a machine.

A dotted name is one of `llm_testgen.names`: ``os._exit`` is the member of the module, ``?.x`` a member of an unknown
object, ``FixtureRequest`` what pytest's fixture ``request`` gives.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator

from llm_testgen.names import COMPUTED, tails


def _rows(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _globs(text: str) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, sorted(_rows(text)))))


# Modules that are of no use to a test but to reach the measurement or the interpreter's memory.
_MODULES = _rows("""
    _cffi_backend _ctypes _posixsubprocess _pytest _signal bdb cffi coverage ctypes nt pluggy posix pytest_cov
    slipcover trace
""")
# Types of pytest's internals that tests import to annotate or to expect them.
_PYTEST_TYPES = _rows("""
    CaptureFixture Config DoctestItem ExceptionInfo Failed FixtureLookupError FixtureRequest Function Item LineMatcher
    LogCaptureFixture Mark MarkDecorator Metafunc MonkeyPatch ParameterSet Parser Pytester RunResult Skipped SubRequest
    TempPathFactory TempdirFactory Testdir WarningsRecorder XFailed approx raises
""")
# Members of modules, in whatever way a test reaches the module.
_MEMBERS = _globs("""
    os._exit os.abort os.kill os.killpg os.fork os.forkpty os.exec[lv]* os.setsid os.setpg* os.closerange
    os.register_at_fork os.unshare os.setns os.chroot pty.fork pty.spawn
    signal.raise_signal signal.pthread_kill signal.pidfd_send_signal faulthandler._*
    sys.settrace sys.setprofile sys.gettrace sys.getprofile sys.monitoring sys._getframe* sys._current_*
    sys.call_tracing sys.addaudithook threading.settrace* threading.setprofile* threading._*_hook
    inspect.currentframe inspect.stack inspect.trace inspect.get*frames inspect.getclosurevars traceback.walk_stack
    gc.get_objects gc.get_refer* gc.freeze gc.unfreeze gc.callbacks
    atexit.register atexit._* resource.setrlimit resource.prlimit ctypes.*DLL ctypes.?dll ctypes.pythonapi
    builtins.breakpoint builtins.*.__self__ pdb.set_trace pdb.run* pytest.set_trace pytest.exit
    importlib.machinery.SourcelessFileLoader importlib.machinery.ExtensionFileLoader imp.load_*
    FixtureRequest.session FixtureRequest.node.session FixtureRequest.config.hook FixtureRequest._*
""")
# What is fine to name, as in a check of types, but not to call: it makes functions of raw code.
CALLS = _globs("types.CodeType types.FunctionType types.LambdaType")
# Attributes of any object: they lead to frames and to globals.
_ATTRIBUTES = _rows("""
    f_back f_builtins f_code f_globals f_locals f_trace tb_frame gi_frame cr_frame ag_frame
    __builtins__ __closure__ __globals__ cell_contents
""")
# Attributes of objects that the project does not define: they lead to all classes and to pytest's plugins.
_FOREIGN_ATTRIBUTES = _rows("__subclasses__ ihook pluginmanager")
_FOREIGN = _rows("? FixtureRequest builtins")
# What a verdict rests on: not to be written, not even for a while.
PROTECTED = _globs("""
    pytest pytest.* _pytest _pytest.* coverage coverage.* pluggy pluggy.* pytest_cov pytest_cov.* *.__code__ *.@py*
    builtins builtins.*Error builtins.*Exception builtins.KeyboardInterrupt builtins.SystemExit *.AssertionError
    unittest.TestCase.assert* unittest.TestCase.fail* unittest.TestCase.run unittest.case.*
    <module>.pytest <module>.pytest_* <module>.__builtins__
""")
# What not to be written for good.
LASTING = _globs("builtins.*")
# Modules of which a test must not reach a member by a name that is put together at run time.
_SENSITIVE = _rows("builtins gc os sys")
# Functions that set a member or an item, by the last part of their names; and those of which it stays so.
SETTERS = _rows("__delattr__ __setattr__ delattr object patch setattr spy")
ITEM_SETTERS = _rows("__setitem__ delitem dict pop setdefault setitem update")
LASTING_SETTERS = _rows("__delattr__ __setattr__ __setitem__ builtins.delattr builtins.setattr setdefault update")
# Functions that execute a text.
INTERPRETERS = _rows("builtins.eval builtins.exec")
# How many of the first arguments of a function are file descriptors.
DESCRIPTORS = {
    **dict.fromkeys(_rows("os.close os.dup os.fdopen os.ftruncate os.pwrite os.pwritev os.write os.writev"), 1),
    **dict.fromkeys(_rows("builtins.open io.open io.FileIO mmap.mmap signal.set_wakeup_fd socket.fromfd"), 1),
    **dict.fromkeys(_rows("os.dup2 os.sendfile os.splice"), 2),
}
# Keywords that give descriptors to any function.
DESCRIPTOR_KEYWORDS = _rows("fileno pass_fds")
# Environment variables that change how the processes to come are loaded or measured.
ENVIRONMENT = _globs("""
    COVERAGE_* COV_CORE_* DYLD_INSERT_LIBRARIES LD_AUDIT LD_LIBRARY_PATH LD_PRELOAD
    PYTEST_ADDOPTS PYTEST_PLUGINS PYTHONINSPECT PYTHONSTARTUP
""")
# Variables that name the files in which a job of a continuous integration takes commands.
COMMAND_FILES = _rows("GITHUB_ENV GITHUB_OUTPUT GITHUB_PATH GITHUB_STEP_SUMMARY")
# Places of the machine that lead to other processes and devices; to what must stay secret.
KERNEL_PATH = re.compile(
    r"(?<![\w.*-])(?:/proc(?![\w.-])|/sys/(?:block|bus|class|dev|devices|firmware|fs|kernel|module|power)\b"
    r"|/dev/(?:fd/|k?mem\b|port\b)|/(?:var/)?run/docker\.sock|/etc/g?shadow\b)"
)
SECRET = re.compile(
    r"(?:~\w*|\$HOME|/root|/home/[^/\s]+)/\."
    r"(?:ssh|aws/credentials|netrc|git-credentials|docker/config\.json|cache/huggingface/token)\b"
    r"|169\.254\.169\.254|metadata\.google\.internal|\$\{?GITHUB_(?:ENV|OUTPUT|PATH|STEP_SUMMARY)\b"
)
GIT_CONFIG = re.compile(r"(?:\.{1,2}/)*\.git/config")
# Functions that open a file, a program or a connection.
OPENERS = _globs("""
    builtins.open io.open io.FileIO os.open os.listdir os.scandir os.readlink os.popen os.system os.posix_spawn*
    os.path.expanduser pathlib.* shutil.copy* glob.* subprocess.*
    socket.* *.connect http.client.* urllib.request.* requests.* httpx.*
""")


def refused(dotted: Iterable[str]) -> Iterator[str]:
    """Those of some dotted names that must not be used at all, each as the tables have it."""
    for name in sorted(dotted):
        root = name.partition(".")[0]
        owner, _, member = name.rpartition(".")
        if root in _MODULES and _PYTEST_TYPES.isdisjoint(name.split(".")):
            yield name
        if member in _ATTRIBUTES or (member in _FOREIGN_ATTRIBUTES and root in _FOREIGN):
            yield member
        if owner in _SENSITIVE and member == COMPUTED:
            yield f"a computed name of {owner}"
        yield from filter(_MEMBERS.match, tails(name))
