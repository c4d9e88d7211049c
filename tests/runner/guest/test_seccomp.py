"""Each filter is installed in a process of its own, by the module as the guest has it: copied out of the package."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from llm_testgen.runner.guest import seccomp

pytestmark = pytest.mark.skipif(not seccomp.supported(), reason="no seccomp here, or an unknown architecture")

GUEST = Path(seccomp.__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"
NOBODY = 65534
MACHINES = list(seccomp._ARCHITECTURES)
GROUPS = (
    seccomp._NOT_PERMITTED,
    seccomp._NOT_IMPLEMENTED,
    seccomp._CHECKED,
    seccomp._LASTING,
    seccomp._SIGNALS,
    seccomp._OPENING,
    seccomp._MEDDLING,
    seccomp._SIGNAL_BY_DESCRIPTOR,
)
NUMBERS = {name: numbers for group in GROUPS for name, numbers in group.items()}

ON_X86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="only x86_64 has a second way to call")
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
UNFILTERED_ROOT = pytest.mark.skipif(
    os.getuid() != 0 or "Seccomp:\t0" not in Path("/proc/self/status").read_text(),
    reason="this machine itself refuses some of the calls",
)

WITH_SOCKETS = "base_filter(sockets=True)"
WITHOUT_SOCKETS = "base_filter(sockets=False)"

PRELUDE = """\
import asyncio, ctypes, errno, fcntl, json, os, signal, socket, subprocess, sys, threading, time
sys.path.insert(0, {folder!r})
from guest import seccomp
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = {numbers!r}

def call(name, *arguments):
    "The name of the error that a system call gives; its result when it succeeds."
    number = NUMBERS[name] if isinstance(name, str) else name
    words = [ctypes.c_void_p(word) if isinstance(word, int) else word for word in (number, *arguments)]
    result = libc.syscall(*words)
    return errno.errorcode[ctypes.get_errno()] if result == -1 else result

def attempt(function, *arguments):
    "The name of the error that a function raises; None when it does its work."
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
"""


@pytest.fixture(scope="module")
def folder():
    """Holds the copied guest, and may be read by every user."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(GUEST, Path(name, "guest"), ignore=shutil.ignore_patterns("__pycache__"))
        Path(name).chmod(0o755)
        yield Path(name)


def start(folder, body, *programs, python=sys.executable, user=None, arguments=()):
    """Run a script that has the prelude and, from its `main` on, the filters; what it leaves in `answer` is printed."""
    column = MACHINES.index(os.uname().machine)
    numbers = {name: both[column] for name, both in NUMBERS.items()}
    installs = "".join(f"seccomp.install(seccomp.{program})\n" for program in programs)
    text = PRELUDE.format(folder=str(folder), numbers=numbers) + installs + textwrap.dedent(body)
    text += "\nprint(json.dumps(answer))\n"
    identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    command = [python, "-I", "-B", "-c", text, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, check=False, start_new_session=True, timeout=60, cwd="/", **identity
    )


def outcome(*given, **options):
    done = start(*given, **options)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


# ---- the programs, run by an interpreter of their own: every number, on both architectures


def decode(program):
    return list(struct.iter_unpack("=HBBI", program))


def run_program(code, number, arguments=(), architecture=None):
    """What a decoded filter answers, by the rules of classic BPF."""
    if architecture is None:
        architecture, _ = seccomp._ARCHITECTURES[os.uname().machine]
    words = [word & (1 << 64) - 1 for word in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *words)
    position = accumulator = 0
    while True:
        operation, if_true, if_false, value = code[position]
        position += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x54:
            accumulator &= value
        elif operation == 0x05:
            position += value
        elif operation == 0x15:
            position += if_true if accumulator == value else if_false
        elif operation == 0x35:
            position += if_true if accumulator >= value else if_false
        else:
            assert operation == 0x06
            return value


@pytest.fixture(params=MACHINES)
def machine(request, monkeypatch):
    """Each architecture in turn, as what the programs are for."""
    here = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*here[:4], request.param)))
    return request.param


def by_number(machine, *groups):
    column = MACHINES.index(machine)
    return {numbers[column]: name for group in groups for name, numbers in group.items() if numbers[column] is not None}


@pytest.mark.parametrize("sockets", [True, False])
def test_the_base_filter_answers_by_the_tables_for_every_number(machine, sockets):
    program = decode(seccomp.base_filter(sockets=sockets))
    refused = by_number(machine, seccomp._NOT_PERMITTED)
    absent = by_number(machine, seccomp._NOT_IMPLEMENTED)
    checked = by_number(machine, seccomp._CHECKED)

    for number in set(range(700)) - set(checked):
        expected = errno.EPERM if number in refused else errno.ENOSYS if number in absent else None
        expected = 0x7FFF0000 if expected is None else 0x50000 | expected
        assert run_program(program, number) == expected, number


@pytest.mark.parametrize("count", [1, 3, 60, 400])
def test_the_candidate_filter_answers_by_the_tables_however_many_are_protected(machine, count):
    protected = range(1000, 1000 + count)
    program = decode(seccomp.candidate_filter(protected=protected))
    of_processes = by_number(machine, seccomp._SIGNALS, seccomp._OPENING, seccomp._MEDDLING)
    refused = by_number(machine, seccomp._LASTING, seccomp._SIGNAL_BY_DESCRIPTOR)
    checked = by_number(machine, seccomp._CHECKED)

    for number in set(range(700)) - set(checked):
        for process in (0, 7, 999, 1000 + count):
            assert run_program(program, number, [process]) == (0x50001 if number in refused else 0x7FFF0000)
    for number in of_processes:
        for process in (-1, *protected, *(-one for one in protected)):
            assert run_program(program, number, [process]) == 0x50001
    assert len(program) <= 4096


def test_where_nobody_is_protected_a_process_schedules_and_limits_itself_alone(machine):
    program = decode(seccomp.candidate_filter(protected=[]))
    meddling = by_number(machine, seccomp._MEDDLING)
    signals = by_number(machine, seccomp._SIGNALS, seccomp._OPENING)

    for number in {**meddling, **signals}:
        assert run_program(program, number, [0]) == 0x7FFF0000
        assert run_program(program, number, [7]) == (0x50001 if number in meddling else 0x7FFF0000)
        assert run_program(program, number, [(1 << 32) - 1]) == 0x50001


def test_an_argument_counts_as_the_kernel_reads_it_by_its_low_half(machine):
    program = decode(seccomp.candidate_filter(protected=[1000]))
    kill = next(number for number, name in by_number(machine, seccomp._SIGNALS).items() if name == "kill")

    for process in (1000 | 1 << 32, (1 << 32) - 1000, 0xABCD << 32 | 0xFFFFFFFF):
        assert run_program(program, kill, [process]) == 0x50001


def test_nobody_is_protected_by_the_number_0(machine):
    kill = next(number for number, name in by_number(machine, seccomp._SIGNALS).items() if name == "kill")

    assert run_program(decode(seccomp.candidate_filter(protected=[0])), kill, [0]) == 0x7FFF0000


@pytest.mark.parametrize("program", [WITH_SOCKETS, WITHOUT_SOCKETS, "candidate_filter(protected=[5])"])
def test_calls_of_another_architecture_kill(machine, program):
    built = decode(eval(f"seccomp.{program}"))  # noqa: S307 - the text of the parameter

    for other in (
        0x40000003,
        0x40000028,
        *(word for name, (word, _) in seccomp._ARCHITECTURES.items() if name != machine),
    ):
        assert run_program(built, 0, architecture=other) == 0x80000000


@pytest.mark.parametrize("program", [WITH_SOCKETS, WITHOUT_SOCKETS, "candidate_filter(protected=[5])"])
def test_the_numbers_of_x32_are_answered_before_the_kernel_sees_them(machine, program):
    built = decode(eval(f"seccomp.{program}"))  # noqa: S307 - the text of the parameter

    answers = {run_program(built, 0x40000000 + number) for number in (0, 39, 62, 101, 521, 0x3FFFFFFF, 0xBFFFFFFF)}

    assert answers == {0x50000 | errno.ENOSYS if machine == "x86_64" else 0x7FFF0000}


def headers():
    found = {
        "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
        "aarch64": ("/usr/include/asm-generic/unistd.h",),
    }
    for machine, paths in found.items():
        path = next((path for path in map(Path, paths) if path.exists()), None)
        if path:
            yield machine, dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text()))


def test_the_numbers_are_those_of_the_kernel_headers():
    known = dict(headers())
    if "aarch64" not in known:
        pytest.skip("no kernel headers here")

    for machine, column in ((name, MACHINES.index(name)) for name in known):
        for name, numbers in NUMBERS.items():
            # Headers are of some version: what came later is not in them, and what an architecture lacks never is.
            if name in known[machine] and numbers[column] is not None:
                assert numbers[column] == int(known[machine][name]), name
        assert sum(name in known[machine] for name in NUMBERS) > 80


# ---- the base filter, in the kernel

ALL_WRONG = "answer = {name: call(name, -1, -1, -1, -1, -1, -1) for name in sys.argv[1:]}"


def names_here(group):
    column = MACHINES.index(os.uname().machine)
    return [name for name, numbers in group.items() if numbers[column] is not None]


@pytest.mark.parametrize("sockets", [WITH_SOCKETS, WITHOUT_SOCKETS])
def test_what_nobody_needs_is_refused(folder, sockets):
    refused, absent = names_here(seccomp._NOT_PERMITTED), names_here(seccomp._NOT_IMPLEMENTED)

    answers = outcome(folder, ALL_WRONG, sockets, arguments=[*refused, *absent])

    assert answers == dict.fromkeys(refused, "EPERM") | dict.fromkeys(absent, "ENOSYS")


@UNFILTERED_ROOT
def test_without_the_filter_the_kernel_looks_at_each_of_those_calls(folder):
    names = names_here(seccomp._NOT_PERMITTED | seccomp._LASTING)

    answers = outcome(folder, ALL_WRONG, arguments=names)

    assert [name for name, answer in answers.items() if answer == "EPERM"] == []


@AS_ROOT
@pytest.mark.skipif(not Path(SYSTEM_PYTHON).exists(), reason="no interpreter that another user may run")
def test_another_user_is_refused_the_same(folder):
    names = names_here(seccomp._NOT_PERMITTED | seccomp._LASTING)

    answers = outcome(
        folder,
        ALL_WRONG,
        WITH_SOCKETS,
        "candidate_filter(protected=[])",
        arguments=names,
        python=SYSTEM_PYTHON,
        user=NOBODY,
    )

    assert answers == dict.fromkeys(names, "EPERM")


PTRACE_A_CHILD = """
    child = os.fork()
    if not child:
        time.sleep(30)
    answer = call("ptrace", 16, child, 0, 0)  # PTRACE_ATTACH
    os.kill(child, signal.SIGKILL)
"""


def test_a_child_cannot_be_traced(folder):
    assert outcome(folder, PTRACE_A_CHILD) == 0
    assert outcome(folder, PTRACE_A_CHILD, WITH_SOCKETS) == "EPERM"


CLONE = """
    def clone(flag):
        child = call("clone", flag | signal.SIGCHLD, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        if isinstance(child, int):
            os.waitpid(-1, 0)
        return child if isinstance(child, str) else "started"
    answer = [clone(int(flag)) for flag in sys.argv[1:]]
"""
NAMESPACES = [1 << bit for bit in (17, 25, 26, 27, 28, 29, 30)]
SIBLING = 0x8000


def test_a_process_starts_in_the_namespaces_of_its_parent_and_as_its_child_only(folder):
    flags = [0, *NAMESPACES, SIBLING]

    assert outcome(folder, CLONE, WITH_SOCKETS, arguments=flags) == ["started", *["EPERM"] * 8]


@UNFILTERED_ROOT
def test_without_the_filter_root_makes_namespaces(folder):
    assert outcome(folder, CLONE, arguments=[1 << 26]) == ["started"]


INJECT = """
    controller, terminal = os.openpty()
    letter = ctypes.c_char(b"x")
    answer = {str(request): call("ioctl", terminal, request, ctypes.byref(letter)) for request in map(int, sys.argv[1:])}
    answer["size"] = attempt(os.get_terminal_size, terminal)
"""


def test_nothing_can_be_typed_into_a_terminal(folder):
    requests = [0x5412, 0x541C, 0x5412 | 1 << 32, 0x541C | 0xFF << 40]

    answers = outcome(folder, INJECT, WITH_SOCKETS, arguments=requests)

    assert answers == {**dict.fromkeys(map(str, requests), "EPERM"), "size": None}


def test_the_execution_domain_can_be_read_and_left_as_it_is(folder):
    body = "answer = [call('personality', word) for word in (0xFFFFFFFF, 0, 0xFFFFFFFF, 0x20000, 0)]"

    assert outcome(folder, body) == [0, 0, 0, 0, 0x20000]
    assert outcome(folder, body, WITH_SOCKETS) == [0, 0, 0, "EPERM", 0]


MAKE_NODES = """
    import stat, tempfile
    with tempfile.TemporaryDirectory() as folder:
        make = lambda name, mode: attempt(os.mknod, folder + "/" + name, mode | 0o600, os.makedev(1, 3))
        kinds = [stat.S_IFREG, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK]
        answer = [make(str(kind), kind) for kind in kinds]
        answer += [call("mknodat", -100, (folder + "/x" + str(kind)).encode(), kind | 0o600, 259) for kind in kinds]
"""


def test_files_and_pipes_can_be_made_and_devices_cannot(folder):
    assert outcome(folder, MAKE_NODES, WITH_SOCKETS) == [None, None, "EPERM", "EPERM", 0, 0, "EPERM", "EPERM"]


# getpid of a 32-bit program, as a function: push rbx; mov eax, 20; int 0x80; pop rbx; ret.
CALL_AS_32_BIT = """
    import mmap
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(bytes.fromhex("53b814000000cd805bc3"))
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    answer = function() == os.getpid()
"""


@ON_X86_64
def test_a_32_bit_call_kills_the_process(folder):
    if start(folder, CALL_AS_32_BIT).stdout.strip() != b"true":
        pytest.skip("this kernel has no 32-bit calls")

    for program in (WITH_SOCKETS, "candidate_filter(protected=[])"):
        assert start(folder, CALL_AS_32_BIT, program).returncode == -signal.SIGSYS


@ON_X86_64
def test_calls_of_x32_do_not_exist(folder):
    body = "answer = [call(0x40000000 + number, -1, -1, -1, -1) for number in (39, 62, 101, 165, 521, 0x3fffffff)]"

    assert outcome(folder, body, WITH_SOCKETS) == ["ENOSYS"] * 6


def test_an_unknown_call_is_left_to_the_kernel(folder):
    assert outcome(folder, "answer = [call(9999), call(-1)]", WITH_SOCKETS) == ["ENOSYS", "ENOSYS"]


# ---- sockets

MAKE_SOCKETS = """
    families = {"UNIX": 1, "INET": 2, "INET6": 10, "NETLINK": 16, "PACKET": 17, "RDS": 21, "BLUETOOTH": 31, "ALG": 38, "VSOCK": 40}
    made = lambda *given: "made" if isinstance(call("socket", *given), int) else errno.errorcode[ctypes.get_errno()]
    answer = {name: made(number, socket.SOCK_DGRAM, 0) for name, number in families.items() if name not in ("PACKET",)}
    answer["PACKET"] = made(17, socket.SOCK_RAW, 0x300)
    answer["AUDIT"] = made(16, socket.SOCK_RAW, 9)
    answer["UNIX, high half"] = made(1 | 38 << 32, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, 0)
"""


def test_with_sockets_those_of_a_network_namespace_can_be_made(folder):
    answers = outcome(folder, MAKE_SOCKETS, WITH_SOCKETS)

    # A machine may have no IPv6.
    assert {"UNIX", "INET", "NETLINK", "UNIX, high half"} <= {
        name for name, answer in answers.items() if answer == "made"
    }
    assert answers["INET6"] in {"made", "EAFNOSUPPORT"}
    assert {answers[name] for name in ("PACKET", "RDS", "BLUETOOTH", "ALG", "VSOCK", "AUDIT")} == {"EACCES"}


def test_without_sockets_none_can_be_made(folder):
    assert set(outcome(folder, MAKE_SOCKETS, WITHOUT_SOCKETS).values()) == {"EACCES"}


PAIRS = """
    kinds = [socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, socket.SOCK_DGRAM, socket.SOCK_RAW]
    answer = [attempt(socket.socketpair, socket.AF_UNIX, kind) for kind in kinds]
    answer.append(call("socketpair", 30, socket.SOCK_STREAM, 0, (ctypes.c_int * 2)()))  # AF_TIPC
"""


def test_without_sockets_pairs_are_those_that_cannot_be_sent_elsewhere(folder):
    assert outcome(folder, PAIRS, WITHOUT_SOCKETS) == [None, None, None, "EACCES", "EACCES", "EACCES"]
    assert outcome(folder, PAIRS, WITH_SOCKETS) == [None, None, None, None, None, "EACCES"]


# Half of a pair of datagram sockets sends to a service of the machine, say a log, that is nobody's peer.
SEND_ELSEWHERE = """
    def send():
        mine, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        mine.sendto(b"a message", sys.argv[1])
    answer = attempt(send)
"""


def test_a_pair_of_datagram_sockets_is_no_way_to_a_service(folder):
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service:
        service.bind(f"{place}/log")
        service.settimeout(0)

        assert outcome(folder, SEND_ELSEWHERE, arguments=[f"{place}/log"]) is None
        assert service.recv(100) == b"a message"
        assert outcome(folder, SEND_ELSEWHERE, WITHOUT_SOCKETS, arguments=[f"{place}/log"]) == "EACCES"
        with pytest.raises(BlockingIOError):
            service.recv(100)


# ---- the candidate filter


@pytest.fixture
def victim():
    """A process in a group of its own, which any of these signals would end."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], process_group=0) as process:
        yield process
        process.kill()


def test_nothing_can_be_left_in_the_objects_of_system_v_and_posix(folder):
    names = names_here(seccomp._LASTING)

    answers = outcome(folder, ALL_WRONG, "candidate_filter(protected=[])", arguments=names)

    assert answers == dict.fromkeys(names, "EPERM")


SIGNAL = """
    target, information = int(sys.argv[1]), (ctypes.c_int * 32)(0, 0, -1)
    pipe, (mine, _) = os.pipe()[0], socket.socketpair()
    one = (ctypes.c_int * 1)(target)
    attacks = {
        "kill": ("kill", target, 0),
        "kill, its group": ("kill", -target, 0),
        "kill, high half": ("kill", target | 1 << 40, 0),
        "tkill": ("tkill", target, 0),
        "tgkill": ("tgkill", target, target, 0),
        "rt_sigqueueinfo": ("rt_sigqueueinfo", target, 0, information),
        "rt_tgsigqueueinfo": ("rt_tgsigqueueinfo", target, target, 0, information),
        "pidfd_open": ("pidfd_open", target, 0),
        "pidfd_send_signal": ("pidfd_send_signal", os.open(f"/proc/{target}", os.O_DIRECTORY), 0, 0, 0),
        "F_SETOWN": ("fcntl", pipe, 8, target),
        "F_SETOWN_EX": ("fcntl", pipe, 15, (ctypes.c_int * 2)(1, target)),
        "FIOSETOWN": ("ioctl", mine.fileno(), 0x8901, one),
        "SIOCSPGRP": ("ioctl", mine.fileno(), 0x8902, one),
        "prlimit64": ("prlimit64", target, 7, 0, ctypes.create_string_buffer(16)),
        "sched_setaffinity": ("sched_setaffinity", target, 128, ctypes.create_string_buffer(bytes([255] * 128), 128)),
        "sched_setscheduler": ("sched_setscheduler", target, 0, (ctypes.c_int * 1)(0)),
        "sched_setparam": ("sched_setparam", target, (ctypes.c_int * 1)(0)),
        "ioprio_set": ("ioprio_set", 1, target, 3 << 13),
        "ioprio_set, its group": ("ioprio_set", 2, target, 3 << 13),
        "setpriority": ("setpriority", 0, target, 1),
        "setpriority, its group": ("setpriority", 1, target, 2),
    }
    results = {name: call(*attack) for name, attack in attacks.items()}
    answer = {name: result if isinstance(result, str) else "done" for name, result in results.items()}
"""


def test_a_protected_process_can_neither_be_signalled_nor_meddled_with(folder, victim):
    free = outcome(folder, SIGNAL, arguments=[victim.pid])
    answers = outcome(folder, SIGNAL, f"candidate_filter(protected=[{victim.pid}])", arguments=[victim.pid])

    assert free == dict.fromkeys(free, "done")
    assert answers == dict.fromkeys(free, "EPERM")
    assert victim.poll() is None


def test_everybody_at_once_cannot_be_signalled(folder):
    body = "answer = [call('kill', -1, 0), call('kill', 0xFFFFFFFF, 0), call('kill', 0, 0)]"

    assert outcome(folder, body, "candidate_filter(protected=[])") == ["EPERM", "EPERM", 0]


# The kernel raises the chosen signal in the owner of a socket when something arrives.
KILL_BY_OWNERSHIP = """
    mine, other = socket.socketpair()
    answer = [
        attempt(fcntl.fcntl, mine, fcntl.F_SETOWN, int(sys.argv[1])),
        attempt(fcntl.fcntl, mine, fcntl.F_SETSIG, signal.SIGTERM),
        attempt(fcntl.fcntl, mine, fcntl.F_SETFL, os.O_ASYNC),
    ]
    other.send(b"!")
"""


def test_nobody_can_be_killed_by_making_it_the_owner_of_a_descriptor(folder, victim):
    protected = outcome(
        folder, KILL_BY_OWNERSHIP, f"candidate_filter(protected=[{victim.pid}])", arguments=[victim.pid]
    )
    assert protected == ["EPERM", None, None]
    assert victim.poll() is None

    assert outcome(folder, KILL_BY_OWNERSHIP, arguments=[victim.pid]) == [None, None, None]
    assert victim.wait(10) == -signal.SIGTERM


KILL_BY_FOLDER = """
    folder = os.open(f"/proc/{sys.argv[1]}", os.O_DIRECTORY)
    answer = call("pidfd_send_signal", folder, signal.SIGTERM, 0, 0)
"""


def test_nobody_can_be_killed_by_its_folder_of_proc(folder, victim):
    assert outcome(folder, KILL_BY_FOLDER, "candidate_filter(protected=[])", arguments=[victim.pid]) == "EPERM"
    assert victim.poll() is None

    assert outcome(folder, KILL_BY_FOLDER, arguments=[victim.pid]) == 0
    assert victim.wait(10) == -signal.SIGTERM


ALONE = """
    child = subprocess.Popen(["sleep", "60"])
    program = seccomp.candidate_filter(protected=[os.getppid()], own_pid=os.getpid())
    seccomp.install(program)
    caught = []
    signal.signal(signal.SIGUSR1, lambda *_: caught.append("caught"))
    signal.raise_signal(signal.SIGUSR1)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    everyone = {"itself": os.getpid(), "its group": 0, "its group by number": -os.getpid(), "its child": child.pid,
                "its parent": os.getppid(), "another": int(sys.argv[1]), "another group": -int(sys.argv[1]), "all": -1}
    answer = {name: attempt(os.kill, number, 0) for name, number in everyone.items()}
    answer["by thread"] = call("tgkill", int(sys.argv[1]), int(sys.argv[1]), 0)
    answer["itself, by descriptor"] = attempt(os.pidfd_open, os.getpid())
    answer["its child, by descriptor"] = attempt(os.pidfd_open, child.pid)
    answer["caught"] = len(caught)
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(0, signal.SIGTERM)
"""


def test_on_its_own_a_process_signals_itself_and_its_group_only(folder, victim):
    done = start(folder, ALONE, arguments=[victim.pid])

    assert done.returncode == -signal.SIGTERM, done.stderr
    refused = ("its child", "its parent", "another", "another group", "all", "by thread")
    allowed = ("itself", "its group", "its group by number", "itself, by descriptor", "its child, by descriptor")
    assert json.loads(done.stdout) == dict.fromkeys(refused, "EPERM") | dict.fromkeys(allowed) | {"caught": 2}


# ---- what honest code does

HONEST = """
import asyncio, ctypes, json, multiprocessing, os, resource, signal, socket, subprocess, sys, tempfile, threading, time

def double(number):
    return 2 * number

def pool(method):
    with multiprocessing.get_context(method).Pool(1) as workers:
        return workers.map(double, [1, 2])

def threads():
    found = []
    thread = threading.Thread(target=found.append, args=("ran",))
    thread.start()
    thread.join()
    return found

def end_a_child():
    child = subprocess.Popen(["sleep", "60"])
    child.terminate()
    return child.wait(10)

def signal_oneself():
    caught = []
    signal.signal(signal.SIGUSR1, lambda *_: caught.append("caught"))
    signal.raise_signal(signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR1)
    return len(caught)

def alarm():
    caught = []
    signal.signal(signal.SIGALRM, lambda *_: caught.append("caught"))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
    return len(caught)

async def subprocess_of_asyncio():
    process = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate(b"through a loop")
    return output.decode(), await process.wait()

async def kill_in_asyncio():
    process = await asyncio.create_subprocess_exec("sleep", "60")
    process.kill()
    return await process.wait()

def pair():
    with socket.socketpair()[0] as mine:
        return mine.family.name

def limits():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    os.sched_setaffinity(0, os.sched_getaffinity(0))
    os.nice(0)
    os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0))
    return "set"

def named_pipe():
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(folder + "/pipe")
        return os.listdir(folder)

def spawn():
    process = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {})
    return os.waitpid(process, 0)[1] >> 8

def loopback():
    async def answer(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
    async def talk():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"hello\\n")
        line = await reader.read()
        writer.close()
        server.close()
        return line.decode()
    return asyncio.run(talk())

def names():
    return bool(socket.getaddrinfo("127.0.0.1", 80)) and bool(socket.if_nameindex())

DEEDS = {
    "subprocess": lambda: subprocess.run(["echo", "hello"], stdout=subprocess.PIPE, check=True).stdout.decode(),
    "threads": threads,
    "pool, forked": lambda: pool("fork"),
    "pool, spawned": lambda: pool("spawn"),
    "child ended": end_a_child,
    "own signals": signal_oneself,
    "alarm": alarm,
    "asyncio": lambda: asyncio.run(subprocess_of_asyncio()),
    "asyncio, killed": lambda: asyncio.run(kill_in_asyncio()),
    "pair": pair,
    "limits": limits,
    "named pipe": named_pipe,
    "spawn": spawn,
    "sleep": lambda: time.sleep(0.001),
}

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    from guest import seccomp
    if not seccomp.supported():
        sys.exit("seccomp is not supported here")
    sockets = sys.argv[2] == "sockets"
    seccomp.install(seccomp.base_filter(sockets=sockets))
    seccomp.install(seccomp.candidate_filter(protected=[os.getppid()]))
    if sockets:
        DEEDS.update(loopback=loopback, names=names)
    answers = {}
    for name, deed in DEEDS.items():
        try:
            answers[name] = deed()
        except Exception as error:
            answers[name] = repr(error)
    answers["parent"] = ctypes.CDLL(None, use_errno=True).kill(os.getppid(), 0)
    print(json.dumps(answers))
"""

DONE = {
    "subprocess": "hello\n",
    "threads": ["ran"],
    "pool, forked": [2, 4],
    "pool, spawned": [2, 4],
    "child ended": -signal.SIGTERM,
    "own signals": 2,
    "alarm": 1,
    "asyncio": ["through a loop", 0],
    "asyncio, killed": -signal.SIGKILL,
    "pair": "AF_UNIX",
    "limits": "set",
    "named pipe": ["pipe"],
    "spawn": 3,
    "sleep": None,
    "parent": -1,
}
DONE_WITH_SOCKETS = DONE | {"loopback": "hello\n", "names": True}


def deeds(folder, sockets, python=sys.executable, user=None):
    script = folder / "honest.py"
    script.write_text(HONEST)
    identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    command = [python, "-I", "-B", str(script), str(folder), sockets]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, cwd="/", **identity)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_honest_code_works_under_both_filters(folder):
    assert deeds(folder, "sockets") == DONE_WITH_SOCKETS


def test_honest_code_works_without_sockets(folder):
    assert deeds(folder, "none") == DONE


@AS_ROOT
@pytest.mark.skipif(not Path(SYSTEM_PYTHON).exists(), reason="no interpreter that another user may run")
def test_honest_code_of_another_user_works(folder):
    assert deeds(folder, "sockets", SYSTEM_PYTHON, NOBODY) == DONE_WITH_SOCKETS


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_honest_code_works_in_every_interpreter_of_this_machine(folder, version):
    python = shutil.which(f"python{version}")
    # A version manager's shim may stand for an interpreter that is not there.
    if python is None or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"no Python {version} here")

    assert deeds(folder, "sockets", python) == DONE_WITH_SOCKETS


# ---- installing


def test_filters_add_up_and_outlive_an_exec(folder):
    body = """
        script = "import os; os.kill(int(%d), 0)" % os.getppid()
        done = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE)
        answer = [call("unshare", 0), call("shmget", -1, -1, -1), b"PermissionError" in done.stderr]
    """

    answers = outcome(folder, body, WITHOUT_SOCKETS, f"candidate_filter(protected=[{os.getpid()}])")

    assert answers == ["EPERM", "EPERM", True]


def test_an_installed_filter_holds_for_every_thread(folder):
    body = """
        ready, found = threading.Event(), []
        thread = threading.Thread(target=lambda: (ready.wait(), found.append(call("unshare", 0))))
        thread.start()
        seccomp.install(seccomp.base_filter(sockets=True))
        ready.set()
        thread.join()
        answer = found
    """

    assert outcome(folder, body) == ["EPERM"]


def test_set_uid_programs_are_of_no_use_any_more(folder):
    body = "answer = [line.split()[1] for line in open('/proc/self/status') if line.startswith('NoNewPrivs')]"

    assert outcome(folder, body, WITH_SOCKETS) == ["1"]


def test_where_only_the_older_call_is_there_it_serves(folder):
    body = """
        number = seccomp._ARCHITECTURES[os.uname().machine][1]
        seccomp.install(seccomp._assemble([((number, number), seccomp._ENOSYS)]))
        seccomp.install(seccomp.base_filter(sockets=True))
        answer = [call(number, 1, 0, 0), call("unshare", 0)]
    """

    assert outcome(folder, body) == ["ENOSYS", "EPERM"]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("b''", "it is empty"),
        ("b'\\x06\\0\\0\\0'", "it has half an instruction"),
        ("b'\\x20' + bytes(7)", "it does not end"),
        ("(b'\\x06' + bytes(7)) * 5000", "it is too long"),
    ],
)
def test_what_is_no_program_is_refused(folder, program, reason):
    assert outcome(folder, f"answer = attempt(seccomp.install, {program})") == "EINVAL", reason


def test_support_can_be_asked_for_again_under_a_filter(folder):
    assert outcome(folder, "answer = seccomp.supported()", WITH_SOCKETS, "candidate_filter(protected=[])") is True


def test_another_architecture_is_not_supported(monkeypatch):
    here = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*here[:4], "riscv64")))

    assert not seccomp.supported()
