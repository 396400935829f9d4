"""Runs a program that may neither start another nor make a file (Linux)."""
import ctypes
import platform
import struct
import unittest

NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2  # of prctl
KILL, NOT_THERE, ALLOW = 0x80000000, 0x50000 | 38, 0x7FFF0000
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # places in seccomp_data
CLONE_THREAD = 0x10000
O_CREAT_OR_TMPFILE = 0o100 | 0o20000000
# Of each machine: its number in the kernel, calls that are refused whatever
# their arguments, clone, and what opens files with its argument of flags.
MACHINES = {
    "x86_64": (0xC000003E, (57, 58, 85, 319), 56, ((2, 1), (257, 2))),
    "aarch64": (0xC00000B7, (279,), 220, ((56, 2),)),
}
NEWER = (435, 437)  # clone3, openat2: their arguments are out of sight


def _program(machine):
    architecture, refused, clone, opens = MACHINES[machine]
    code = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, architecture),
            (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    for call in NEWER:
        code += [(EQUAL, 0, 1, call), (RETURN, 0, 0, NOT_THERE)]
    for call in refused:
        code += [(EQUAL, 0, 1, call), (RETURN, 0, 0, KILL)]
    code += [(EQUAL, 0, 4, clone), (LOAD, 0, 0, ARGUMENTS),
             (ANY_BIT, 1, 0, CLONE_THREAD), (RETURN, 0, 0, KILL),
             (RETURN, 0, 0, ALLOW)]
    for call, flags in opens:
        code += [(EQUAL, 0, 4, call), (LOAD, 0, 0, ARGUMENTS + 8 * flags),
                 (ANY_BIT, 0, 1, O_CREAT_OR_TMPFILE), (RETURN, 0, 0, KILL),
                 (RETURN, 0, 0, ALLOW)]
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in code), len(code)


def confine():
    """For preexec_fn: from here on, starting a process or making a file kills
    with SIGSYS."""
    libc = ctypes.CDLL(None, use_errno=True)
    lines, n = _program(platform.machine())
    buffer = ctypes.create_string_buffer(lines)
    header = struct.pack("@HP", n, ctypes.addressof(buffer))
    if (libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0
            or libc.prctl(SET_SECCOMP, FILTER, header) != 0):
        raise OSError(ctypes.get_errno(), "no seccomp filter")


def skip_where_it_cannot():
    if platform.system() != "Linux" or platform.machine() not in MACHINES:
        raise unittest.SkipTest("no seccomp filter for this machine")
