#!/usr/bin/env python3
"""Checks that each file of src/ and include/ includes what it uses of the
standard library, MLX and base/json.h.

These are the headers that precompiled ones could hide: a file without its
#include would compile here and nowhere else. What a project header brings
counts; what a standard header brings by chance does not. Exit status 1 with
one line per offence.
"""
import functools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = (ROOT / "src", ROOT / "include")

# Header -> names in std:: that it declares.
NAMES = {
    "algorithm": "ranges all_of any_of binary_search clamp copy copy_n count fill"
    " fill_n find find_if lexicographical_compare lower_bound max max_element"
    " min min_element replace_if reverse sort stable_sort unique upper_bound",
    "array": "array to_array",
    "atomic": "atomic atomic_flag memory_order_acq_rel memory_order_acquire"
    " memory_order_relaxed memory_order_release",
    "barrier": "barrier",
    "bit": "bit_cast bit_ceil endian has_single_bit",
    "bitset": "bitset",
    "cctype": "isalnum isdigit isspace isxdigit tolower toupper",
    "charconv": "chars_format errc from_chars to_chars",
    "chrono": "chrono",
    "clocale": "setlocale",
    "cmath": "abs ceil copysign cos exp exp2 fabs floor fma fmod isfinite isinf"
    " isnan ldexp log log2 lround nearbyint nextafter pow round signbit sin"
    " sqrt",
    "condition_variable": "condition_variable_any",
    "cstddef": "byte ptrdiff_t size_t to_integer",
    "cstdint": "int16_t int32_t int64_t int8_t uint16_t uint32_t uint64_t"
    " uint8_t uintptr_t",
    "cstdio": "fflush fprintf fputc fputs fread fwrite snprintf",
    "cstdlib": "abs aligned_alloc free getenv strtod strtol",
    "cstring": "memcmp memcpy memset strerror size_t",
    "ctime": "strftime time time_t tm",
    "cwchar": "mbrtowc mbstate_t",
    "deque": "deque",
    "exception": "current_exception exception exception_ptr rethrow_exception",
    "filesystem": "error_code filesystem",
    "fstream": "ifstream",
    "functional": "function greater hash less",
    "initializer_list": "initializer_list",
    "iostream": "cin cout",
    "iterator": "begin default_sentinel_t end input_iterator_tag"
    " make_reverse_iterator next prev size",
    "limits": "numeric_limits",
    "list": "list",
    "map": "map erase_if",
    "memory": "addressof align enable_shared_from_this hash make_shared"
    " make_unique make_unique_for_overwrite shared_ptr unique_ptr weak_ptr",
    "mutex": "call_once lock_guard mutex once_flag unique_lock",
    "new": "bad_alloc",
    "numbers": "numbers",
    "numeric": "accumulate",
    "optional": "nullopt optional",
    "queue": "priority_queue",
    "random": "random_device",
    "ranges": "ranges views",
    "set": "set erase_if",
    "span": "span as_bytes begin end size",
    "sstream": "istringstream ostringstream",
    "stdexcept": "out_of_range runtime_error",
    "stop_token": "stop_token",
    "string": "getline string stoi stol stoul to_string u32string hash begin"
    " end size erase erase_if",
    "string_view": "string_view hash begin end size",
    "system_error": "errc error_code",
    "thread": "jthread stop_token this_thread thread",
    "tuple": "tie",
    "type_traits": "conditional_t integral_constant is_integral_v is_same_v"
    " is_signed_v",
    "unordered_map": "unordered_map erase_if",
    "unordered_set": "unordered_set erase_if",
    "utility": "as_const exchange index_sequence make_index_sequence move pair"
    " swap",
    "variant": "get get_if holds_alternative variant visit",
    "vector": "vector begin end size erase erase_if",
}
# What the declarations of these headers need themselves.
CONTAINERS = "array deque list map memory optional set span string string_view"
CONTAINERS += " tuple unordered_map unordered_set variant vector algorithm"
CONTAINERS += " functional filesystem utility"
for header in CONTAINERS.split():
    NAMES[header] += " initializer_list less move pair ptrdiff_t size_t swap"
HEADERS = {}
for header, names in NAMES.items():
    for name in names.split():
        HEADERS.setdefault(name, set()).add(header)
MACROS = {
    "INFINITY": "cmath",
    "NAN": "cmath",
    "INT_MAX": "climits",
    "assert": "cassert",
    "errno": "cerrno",
    "stderr": "cstdio",
    "stdout": "cstdio",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
# Comments, characters, texts: nothing in them is a use.
NO_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)
USE = re.compile(
    r"\bstd::(\w+)|\b(mx|mlx)::|\b(Json|nlohmann)\b|(?<![\w.])("
    + "|".join(MACROS)
    + r")\b"
)


@functools.cache
def read(path):
    """(files of the project, other headers) that a file includes, its code."""
    text = path.read_text()
    ours, others = set(), set()
    for quote, target in INCLUDE.findall(text):
        beside = [folder / target for folder in (*FOLDERS, path.parent)]
        found = [p.resolve() for p in beside if quote == '"' and p.is_file()]
        ours.update(found[:1])
        if not found:
            others.add(target)
    return ours, others, NO_CODE.sub(" ", text)


def reached(path):
    """All files and headers that a file includes, through the project's."""
    seen, waiting, headers = set(), [path], set()
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            ours, others, _ = read(current)
            waiting += ours
            headers |= others
    return seen, headers


def check(path):
    files, headers = reached(path)
    code = read(path)[2]
    for match in USE.finditer(code):
        name, mlx, json, macro = match.groups()
        if name and not HEADERS.get(name):
            missing = f"std::{name}, which tools/check_includes.py must learn"
        elif name and not HEADERS[name] & headers:
            missing = f"std::{name} without <{min(HEADERS[name])}>"
        elif mlx and not any(h.startswith("mlx/") for h in headers):
            missing = "MLX without its header"
        elif json and not any(f.name == "json.h" for f in files):
            missing = "Json without base/json.h"
        elif macro and MACROS[macro] not in headers:
            missing = f"{macro} without <{MACROS[macro]}>"
        else:
            continue
        yield f"{path.relative_to(ROOT)}: {missing}"


def main():
    paths = [p for f in FOLDERS for p in sorted(f.rglob("*"))]
    paths = [p for p in paths if p.suffix in {".h", ".cpp"}]
    offences = [o for path in paths for o in dict.fromkeys(check(path))]
    print("\n".join(offences) if offences else "includes: none is missing")
    return 1 if offences or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
