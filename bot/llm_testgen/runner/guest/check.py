"""Tells what a guest can do and see, so that a layer of the sandbox counts only when it holds."""

from __future__ import annotations

import contextlib
import os
from typing import Any

_NAMESPACES = ("user", "pid", "mnt", "net", "ipc")


def check(request: dict[str, Any]) -> dict[str, Any]:
    """Facts about this process.

    Args:
        request: ``"writable"``: files that it should be able to write; ``"forbidden"``: files that exist outside and
            that it should be able neither to read nor to write; ``"landlocked"``: files that only Landlock protects.
    """
    status = _status()
    return {
        "namespaces": {name: _namespace(name) for name in _NAMESPACES},
        "writable": all(_can_write(path) for path in request["writable"]),
        "reads_forbidden": any(_can_read(path) for path in request["forbidden"]),
        "writes_forbidden": any(_can_write(path) for path in request["forbidden"]),
        "writes_landlocked": any(_can_write(path) for path in request["landlocked"]),
        "seccomp": status.get("Seccomp") == "2",
        "no_new_privileges": status.get("NoNewPrivs") == "1",
        "capabilities": int(status.get("CapEff", "0"), 16) != 0,
        "root": os.geteuid() == 0,
        "interfaces": _interfaces(),
        "pytest": _imports("pytest"),
        "coverage": _imports("coverage"),
    }


def _status() -> dict[str, str]:
    found = {}
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            found[name] = value.strip()
    return found


def _namespace(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/ns/{name}")
    except OSError:
        return ""


def _can_write(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError:
        return False
    return True


def _can_read(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def _interfaces() -> list[str]:
    try:
        with open("/proc/self/net/dev", encoding="ascii") as file:
            return [line.partition(":")[0].strip() for line in file if ":" in line]
    except OSError:
        return []


def _imports(name: str) -> bool:
    try:
        __import__(name)
    except Exception:
        return False
    return True
