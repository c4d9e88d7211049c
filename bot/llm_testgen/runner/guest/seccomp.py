"""System calls that neither a project nor a candidate may make, refused by the kernel (see seccomp(2)).

Two filters, each a classic BPF program that is built once as bytes and installed with two system calls:
`base_filter` for the process that imports the project and for all that it starts, `candidate_filter` on
top of it for the child that runs one candidate. What is refused fails as it would for a user without
rights, or on a kernel without the feature, so that honest code takes the way out that it has anyway:
``EPERM``, or ``ENOSYS`` where callers do without.

A filter sees numbers and never what a pointer points to: no file by its name, no flags of ``clone3``, no
address. It is one layer; what root may do more than others is for capabilities to take away.

Numbers of system calls: Linux's ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``scripts/syscall.tbl``, compared
with ``src/syscalls.csv`` of libseccomp (Linux 7.1). Instructions and answers: ``linux/bpf_common.h`` and
``linux/seccomp.h``. Other constants: ``linux/{audit,elf-em,sched}.h``, ``asm-generic/{ioctls,sockios,fcntl}.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from . import kernel

_ALL_BITS = 0xFFFFFFFF

# What the kernel is to do with a call.
_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_FAIL = 0x00050000
_EPERM = _FAIL | errno.EPERM
_EACCES = _FAIL | errno.EACCES
_ENOSYS = _FAIL | errno.ENOSYS

_LOAD = 0x20  # a word of the call's data, into the accumulator
_AND = 0x54
_JUMP = 0x05
_JUMP_IF_EQUAL = 0x15
_JUMP_IF_AT_LEAST = 0x35
_RETURN = 0x06
_CONDITIONAL = (_JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST)
_FURTHEST_CONDITIONAL = 255
_INSTRUCTION = struct.Struct("=HBBI")

# Where `struct seccomp_data` has its words; of an argument the low half, which is all that the kernel reads of an int.
_NUMBER = 0
_ARCHITECTURE = 4
_ARGUMENTS = 16
_ARGUMENT_SIZE = 8

# By the name that uname gives: the word that tells the architecture, and the number of seccomp(2).
_ARCHITECTURES = {"x86_64": (0xC000003E, 317), "aarch64": (0xC00000B7, 277)}
# From here on x86_64 has its calls again, with pointers of 32 bits.
_X32 = 0x40000000

_SECCOMP_SET_MODE_FILTER = 1
_ALL_THREADS = 1
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET
_CLONE_PARENT = 0x00008000  # makes a sibling, for which the maker's parent would have to account
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_SET_OWNER_IOCTLS = (0x8901, 0x8902)  # FIOSETOWN, SIOCSPGRP
_SET_OWNER_FCNTLS = (8, 15)  # F_SETOWN, F_SETOWN_EX
_PRIO_PROCESS = 0
_IOPRIO_WHO_PROCESS = 1
_NO_CHANGE = _ALL_BITS
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_NETLINK_ROUTE = 0
_SOCKET_TYPE = 0xF
_SOCK_STREAM, _SOCK_SEQPACKET = 1, 5
_FILE_TYPE = 0o170000
_DEVICES = (stat.S_IFBLK, stat.S_IFCHR)
_EVERYONE = -1


class _Where(NamedTuple):
    """A rule that asks whether the low half of an argument, under a mask, is among some values.

    A rule is this, or an answer.
    """

    argument: int
    values: tuple[int, ...]
    then: int | _Where
    otherwise: int | _Where
    mask: int = _ALL_BITS


_SOCKETS = _Where(
    0,
    (_AF_UNIX, _AF_INET, _AF_INET6),
    _ALLOW,
    _Where(0, (_AF_NETLINK,), _Where(2, (_NETLINK_ROUTE,), _ALLOW, _EACCES), _EACCES),
)
# A pair that is connected for good: datagrams of Unix sockets can also be sent to any path.
_CONNECTED = _Where(1, (_SOCK_STREAM, _SOCK_SEQPACKET), _ALLOW, _EACCES, mask=_SOCKET_TYPE)

# Each call with its number on x86_64 and on aarch64; None where an architecture does not have it.

_NOT_PERMITTED: dict[str, tuple[int, int | None]] = {
    # Memory, descriptors and internals of other processes.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # Another view of the file system, or of the machine: mounts and namespaces. Of `unshare` nothing is worth
    # an exception: no interpreter and no C library calls it.
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "setns": (308, 268),
    "unshare": (272, 97),
    # Files past their paths. `name_to_handle_at` stays: without this a handle is no more than a number.
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    # Parts of the kernel with many holes and no place in a test.
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # The machine itself.
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}

# What a kernel may lack: callers do without it.
_NOT_IMPLEMENTED: dict[str, tuple[int, int | None]] = {
    "clone3": (435, 435),  # its flags lie behind a pointer; C libraries go back to clone
    "io_uring_setup": (425, 425),  # its operations pass by every filter
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "memfd_create": (319, 279),  # memory that no limit of a process counts, as much as there is
    "memfd_secret": (447, 447),
    "lookup_dcookie": (212, 18),
}

# Right or wrong by their arguments.
_CHECKED: dict[str, tuple[int, int | None]] = {
    "clone": (56, 220),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "ioprio_set": (251, 30),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "personality": (135, 92),
    "setpriority": (141, 140),
    "socket": (41, 198),
    "socketpair": (53, 199),
}

# What candidates could leave to each other: System V's and POSIX's objects stay when their maker ends.
_LASTING: dict[str, tuple[int, int | None]] = {
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}

# The first argument names a process or a thread: to signal it, and to meddle with it otherwise.
_SIGNALS: dict[str, tuple[int, int | None]] = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}
_OPENING: dict[str, tuple[int, int | None]] = {"pidfd_open": (434, 434)}
_MEDDLING: dict[str, tuple[int, int | None]] = {
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
}
# It names no number: any folder of /proc serves as the descriptor.
_SIGNAL_BY_DESCRIPTOR: dict[str, tuple[int, int | None]] = {"pidfd_send_signal": (424, 424)}


def supported() -> bool:
    """Whether this kernel filters system calls, and this module knows the numbers of its architecture."""
    if not kernel.IS_LINUX or os.uname().machine not in _ARCHITECTURES or sys.maxsize <= _ALL_BITS:
        return False
    # A filter at no address: the kernel only says what it thinks of the mode.
    result = kernel.libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, None, 0, 0)
    return bool(result == -1 and ctypes.get_errno() == errno.EFAULT)


def base_filter(*, sockets: bool, protected: Sequence[int] = ()) -> bytes:
    """What neither a project nor a candidate needs: other processes' memory, mounts, namespaces, the machine.

    Calls by another convention than that of a 64-bit interpreter go round no rule: a 32-bit one kills the process, and
    those of x32 do not exist. Descriptors that are open already stay as useful as they are.

    Args:
        sockets: Whether sockets may be made: Unix, IPv4, IPv6, and the one by which C libraries ask for the
            machine's addresses; a network namespace is to bound what they reach. Without it there is
            `socket.socketpair`, for streams, and no more.
        protected: Processes that nothing may schedule or limit; where there are some, no object that outlives a
            process may be made either. Signals to them are for `candidate_filter`, or for Landlock's scope.

    Returns:
        The program for this machine's architecture.
    """
    rules: dict[str, int | _Where] = {
        "clone": _Where(0, (0,), _ALLOW, _EPERM, mask=_NAMESPACES | _CLONE_PARENT),
        "ioctl": _Where(1, _TERMINAL_INPUT, _EPERM, _ALLOW),
        "mknod": _Where(1, _DEVICES, _EPERM, _ALLOW, mask=_FILE_TYPE),
        "mknodat": _Where(2, _DEVICES, _EPERM, _ALLOW, mask=_FILE_TYPE),
        "personality": _Where(0, (0, _NO_CHANGE), _ALLOW, _EPERM),
        "socket": _SOCKETS if sockets else _EACCES,
        "socketpair": _Where(0, (_AF_UNIX,), _ALLOW if sockets else _CONNECTED, _EACCES),
    }
    return _assemble(
        [
            *((numbers, _EPERM) for numbers in _NOT_PERMITTED.values()),
            *((numbers, _ENOSYS) for numbers in _NOT_IMPLEMENTED.values()),
            *((_CHECKED[name], rule) for name, rule in rules.items()),
            *(_no_meddling(protected) if protected else ()),
        ]
    )


def candidate_filter(*, protected: Sequence[int], own_pid: int | None = None) -> bytes:
    """What one candidate does not need on top: objects that outlive it, and power over the processes that run it.

    Args:
        protected: Processes that it must not signal, schedule or limit, each with its process group; 0, as `os.getppid`
            calls a parent outside the process namespace, stands for none. The kernel also takes the id of any *thread*
            for its process, so this holds for processes of a single thread; for all others there are a process
            namespace, Landlock's scope of signals, or ``own_pid``. None at all where there is no process namespace:
            then it schedules and limits itself alone, since Landlock has no scope for that.
        own_pid: The process that the program is for, when it may signal itself and its process group and nothing
            else, not even its own children. Known only after the fork.

    Returns:
        The program for this machine's architecture.
    """
    meddling = _Where(0, _addressed(protected), _EPERM, _ALLOW)
    signals = meddling if own_pid is None else _Where(0, (0, own_pid, -own_pid), _ALLOW, _EPERM)
    rules = {
        # The owner of a descriptor gets the signal that its events raise, and which signal that is can be chosen.
        "fcntl": _Where(1, _SET_OWNER_FCNTLS, _EPERM, _ALLOW),
        "ioctl": _Where(1, _SET_OWNER_IOCTLS, _EPERM, _ALLOW),
    }
    return _assemble(
        [
            *_no_meddling(protected),
            *((numbers, _EPERM) for numbers in _SIGNAL_BY_DESCRIPTOR.values()),
            *((numbers, signals) for numbers in _SIGNALS.values()),
            *((_CHECKED[name], rule) for name, rule in rules.items()),
        ]
    )


def _no_meddling(protected: Sequence[int]) -> Iterator[tuple[tuple[int, int | None], int | _Where]]:
    """Rules that refuse lasting objects, and power over processes but by signals."""
    theirs = _addressed(protected)
    # Without a process namespace every process of the user is in reach: then only the own one may be named.
    pids, then, otherwise = (theirs, _EPERM, _ALLOW) if any(pid > 0 for pid in theirs) else ((0,), _ALLOW, _EPERM)
    first, second = (_Where(position, pids, then, otherwise) for position in (0, 1))
    yield from ((numbers, _EPERM) for numbers in _LASTING.values())
    yield from ((numbers, _Where(0, theirs, _EPERM, _ALLOW)) for numbers in _OPENING.values())
    yield from ((numbers, first) for numbers in _MEDDLING.values())
    yield _CHECKED["ioprio_set"], _Where(0, (_IOPRIO_WHO_PROCESS,), second, _EPERM)
    yield _CHECKED["setpriority"], _Where(0, (_PRIO_PROCESS,), second, _EPERM)


def _addressed(protected: Sequence[int]) -> tuple[int, ...]:
    """What names a process, its group, or all."""
    pids = sorted({pid for pid in protected if pid > 0})
    return (_EVERYONE, *pids, *(-pid for pid in pids))


def install(program: bytes) -> None:
    """Put a filter on this process and all that it will start, for good, and give up privileges by set-uid programs.

    Filters add up: of what they say about a call, the strictest counts.

    Raises:
        OSError: The kernel does not take it.
    """
    kernel.forbid_new_privileges()
    Prepared(program).install()


class Prepared:
    """A filter in the form that the kernel takes, for a process that can gain no privileges any more."""

    def __init__(self, program: bytes) -> None:
        """Lay it out in memory."""
        self._code = ctypes.create_string_buffer(program, len(program))
        length = len(program) // _INSTRUCTION.size
        self._structure = kernel.packed("HP", length, ctypes.addressof(self._code))
        _, self._number = _ARCHITECTURES[os.uname().machine]

    def install(self) -> None:
        """Put it on this process, as `install` does.

        Raises:
            OSError: The kernel does not take it.
        """
        result = kernel.libc.syscall(self._number, _SECCOMP_SET_MODE_FILTER, _ALL_THREADS, self._structure)
        _check(result, self._structure)


def _check(result: int, structure: object) -> None:
    if result == -1 and ctypes.get_errno() == errno.ENOSYS:  # an outer sandbox may know the older call only
        result = kernel.libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, structure, 0, 0)
    if kernel.checked(result, "seccomp") > 0:
        raise OSError(errno.EBUSY, f"seccomp: thread {result} has a filter of its own")


class _Program:
    """A filter written from its end: what an instruction goes on to stands before it does.

    An address counts instructions from the end; it is what the adding of one gives. Equal instructions with equal
    successors are one, so that rules share what they have in common.
    """

    def __init__(self) -> None:
        self._from_end: list[bytes] = []
        self._addresses: dict[tuple[int, int, int, int], int] = {}

    def __bytes__(self) -> bytes:
        return b"".join(reversed(self._from_end))

    def rule(self, rule: int | _Where) -> int:
        """All of a rule; it finds anything in the accumulator."""
        if isinstance(rule, int):
            return self._once(_RETURN, rule, 0, 0)
        then, step = self.rule(rule.then), self.rule(rule.otherwise)
        for value in reversed(rule.values):
            step = self.choice(_JUMP_IF_EQUAL, value & _ALL_BITS, then, step)
        if rule.mask != _ALL_BITS:
            step = self.step(_AND, rule.mask, step)
        return self.step(_LOAD, _ARGUMENTS + _ARGUMENT_SIZE * rule.argument, step)

    def search(self, starts: Sequence[tuple[int, int]]) -> int:
        """A binary search of the call's number, in the accumulator, among where ranges start and what they go on to."""
        if len(starts) == 1:
            return starts[0][1]
        middle = len(starts) // 2
        upper, lower = self.search(starts[middle:]), self.search(starts[:middle])
        return self.choice(_JUMP_IF_AT_LEAST, starts[middle][0], upper, lower)

    def step(self, code: int, value: int, following: int) -> int:
        """An instruction that is no jump."""
        return self._once(code, value, following, following)

    def choice(self, test: int, value: int, then: int, otherwise: int) -> int:
        """A conditional jump."""
        return self._once(test, value, then, otherwise)

    def _once(self, code: int, value: int, then: int, otherwise: int) -> int:
        key = (code, value, then, otherwise)
        if key not in self._addresses:
            if code in _CONDITIONAL:
                then, otherwise = self._near(then), self._near(otherwise)
                self._add(code, value, self._distance(then), self._distance(otherwise))
            else:
                if code != _RETURN and self._distance(then):
                    self._add(_JUMP, self._distance(then))
                self._add(code, value)
            self._addresses[key] = len(self._from_end)
        return self._addresses[key]

    def _near(self, address: int) -> int:
        """The address, or that of a jump to it where a conditional jump would not reach."""
        # One less than reaches: a jump to the other successor may yet come between.
        if self._distance(address) >= _FURTHEST_CONDITIONAL:
            self._add(_JUMP, self._distance(address))
            return len(self._from_end)
        return address

    def _distance(self, address: int) -> int:
        return len(self._from_end) - address

    def _add(self, code: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        self._from_end.append(_INSTRUCTION.pack(code, if_true, if_false, value))


def _assemble(rules: Iterable[tuple[tuple[int, int | None], int | _Where]]) -> bytes:
    """The program that applies a rule to each of some calls, and lets all others pass."""
    machine = os.uname().machine
    architecture, _ = _ARCHITECTURES[machine]
    column = list(_ARCHITECTURES).index(machine)
    program = _Program()
    allowed = program.rule(_ALLOW)
    by_number = {numbers[column]: program.rule(rule) for numbers, rule in rules}
    known = sorted(number for number in by_number if number is not None)
    starts: list[tuple[int, int]] = []
    for border in sorted({0, *known, *(number + 1 for number in known)}):
        address = by_number.get(border, allowed)
        if not starts or starts[-1][1] != address:
            starts.append((border, address))
    if machine == "x86_64":
        starts.append((_X32, program.rule(_ENOSYS)))
    entry = program.step(_LOAD, _NUMBER, program.search(starts))
    entry = program.choice(_JUMP_IF_EQUAL, architecture, entry, program.rule(_KILL_PROCESS))
    program.step(_LOAD, _ARCHITECTURE, entry)
    return bytes(program)
