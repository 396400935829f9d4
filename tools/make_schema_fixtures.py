#!/usr/bin/env python3
"""Judges instances under random JSON schemas, and texts under patterns.

usage: make_schema_fixtures.py OUT

Writes OUT/schema_fixtures.json: schemas with instances and whether PyPI's
jsonschema finds them valid under 2020-12, and patterns with texts and whether
Python's re finds them. The tests read the folder from SKUA_SCHEMA_FIXTURES.
"""
import json
import pathlib
import random
import re
import sys

import jsonschema

NAMES = ["a", "b", "ab", "foo", "a b", "\u00e4", 'q"', "x/y"]
STRINGS = ["", "a", "ab", "foo", "12", "\u00e4\u00df", "\U0001f600", "a\nb",
           'q"\\', "abcdefghijkl", "2024-02-29"]
NUMBERS = [0, 1, -1, 2, 3, 7, 10, 12, 99, 100, 101, -12, 0.5, 1.5, -0.5, 2.25,
           0.1, 9.99, 10.01, 1000000, -0.001, 12345.678]
PATTERNS = ["^a", "b$", "^[a-z]+$", "[0-9]", "^a?b*$", "^.{2,3}$", "o{2}",
            "^(a|b)+$", "\\w\\s\\w", "^[^a]*$"]
SCALARS = [None, True, False, *NUMBERS, *STRINGS]


def some(rng, values, most):
    return rng.sample(values, rng.randint(1, most))


def bounds(rng, low, high, top):
    """One bound or both, seldom in the wrong order."""
    a, b = sorted(rng.randint(0, top) for _ in range(2))
    return rng.choice([{low: a}, {high: b}, {low: a, high: b}])


def number_schema(rng):
    schema = {"type": rng.choice(["number", "integer"])}
    key = rng.choice(["minimum", "maximum", "exclusiveMinimum",
                      "exclusiveMaximum", "multipleOf", None])
    if key == "multipleOf":
        schema[key] = rng.choice([1, 2, 3, 7, 0.5, 0.25, 10])
    elif key:
        schema[key] = rng.choice(NUMBERS)
        if rng.random() < 0.4:
            other = "maximum" if "inimum" in key else "minimum"
            schema[other] = rng.choice(NUMBERS)
    return schema


def string_schema(rng):
    schema = {"type": "string"}
    if rng.random() < 0.6:
        schema.update(bounds(rng, "minLength", "maxLength", 12))
    if rng.random() < 0.4:
        schema["pattern"] = rng.choice(PATTERNS)
    return schema


def array_schema(rng, depth):
    schema = {"type": "array"}
    if rng.random() < 0.4:
        schema["prefixItems"] = [random_schema(rng, depth - 1)
                                 for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.7:
        schema["items"] = random_schema(rng, depth - 1)
    if rng.random() < 0.5:
        schema.update(bounds(rng, "minItems", "maxItems", 4))
    if rng.random() < 0.3:
        schema["contains"] = random_schema(rng, 0)
        if rng.random() < 0.5:
            schema.update(bounds(rng, "minContains", "maxContains", 2))
    return schema


def object_schema(rng, depth):
    schema = {"type": "object"}
    names = some(rng, NAMES, 4)
    if rng.random() < 0.9:
        schema["properties"] = {n: random_schema(rng, depth - 1)
                                for n in names}
    if rng.random() < 0.5:
        schema["required"] = some(rng, NAMES, 2)
    if rng.random() < 0.5:
        schema["additionalProperties"] = rng.choice(
            [False, True, random_schema(rng, depth - 1)])
    if rng.random() < 0.2:
        schema["patternProperties"] = {
            rng.choice(PATTERNS): random_schema(rng, depth - 1)}
    if rng.random() < 0.2:
        schema.update(bounds(rng, "minProperties", "maxProperties", 4))
    if rng.random() < 0.15:
        schema["propertyNames"] = string_schema(rng)
    if rng.random() < 0.15:
        schema["dependentRequired"] = {
            rng.choice(NAMES): some(rng, NAMES, 2)}
    return schema


def joined_schema(rng, depth):
    kind = rng.choice(["anyOf", "allOf", "oneOf", "not", "if"])
    if kind == "not":
        return {"not": random_schema(rng, min(depth - 1, 1))}
    if kind == "if":
        return {"if": random_schema(rng, 0), "then": random_schema(rng, 0),
                "else": random_schema(rng, 0)}
    return {kind: [random_schema(rng, depth - 1)
                   for _ in range(rng.randint(2, 3))]}


def random_schema(rng, depth):
    kinds = ["number", "string", "values", "type"]
    if depth > 0:
        kinds += ["array", "object", "object", "joined"]
    kind = rng.choice(kinds)
    if kind == "number":
        return number_schema(rng)
    if kind == "string":
        return string_schema(rng)
    if kind == "values":
        return rng.choice([{"enum": some(rng, SCALARS, 4)},
                           {"const": rng.choice([*SCALARS, [1], {"a": 1}])}])
    if kind == "type":
        types = ["null", "boolean", "integer", "number", "string", "array",
                 "object"]
        return rng.choice([True, {}, {"type": some(rng, types, 3)}])
    if kind == "array":
        return array_schema(rng, depth)
    if kind == "object":
        return object_schema(rng, depth)
    return joined_schema(rng, depth)


def instance(rng, schema, depth):
    """A value that has some chance under the schema."""
    if not isinstance(schema, dict) or rng.random() < 0.1:
        schema = {}
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rng.choice(schema["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return instance(rng, rng.choice(schema[key]), depth)
    if "then" in schema:
        return instance(rng, schema[rng.choice(["then", "else"])], depth)
    types = schema.get("type", ["null", "array", "object", "string", "number"])
    kind = rng.choice(types) if isinstance(types, list) else types
    if kind == "array" and depth > 0:
        prefix = schema.get("prefixItems", [])
        count = rng.randint(0, 4)
        return [instance(rng, prefix[i] if i < len(prefix)
                         else schema.get("items", {}), depth - 1)
                for i in range(count)]
    if kind == "object" and depth > 0:
        result = {}
        declared = schema.get("properties", {})
        required = schema.get("required", [])
        for name in [*declared, *required, *some(rng, NAMES, 2)]:
            if name in required or rng.random() < 0.5:
                result[name] = instance(rng, declared.get(name, {}), depth - 1)
        return result
    pool = {"null": [None], "boolean": [True, False], "number": NUMBERS,
            "integer": [n for n in NUMBERS if n == int(n)],
            "string": STRINGS, "array": [[], [1], ["a", 2]],
            "object": [{}, {"a": 1}, {"foo": "a", "b": None}]}
    return rng.choice(pool[kind])


def schema_cases(rng, n_schemas, n_instances):
    cases = []
    while len(cases) < n_schemas:
        schema = random_schema(rng, 3)
        validator = jsonschema.Draft202012Validator(schema)
        tests = []
        for _ in range(n_instances):
            value = instance(rng, schema, 3)
            tests.append({"data": value, "valid": validator.is_valid(value)})
        cases.append({"schema": schema, "tests": tests})
    return cases


ATOMS = ["a", "b", "[a-c]", "[^a]", ".", "\\d", "\\w", "\\S", "(?:ab|c)",
         "(a|bb)", "\\.", "[\\d_-]", "\u00e4", "(?:a?b){2}", "x*?"]
SUFFIXES = ["", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}"]


def pattern_cases(rng, n_patterns):
    cases = []
    for _ in range(n_patterns):
        parts = []
        for _ in range(rng.randint(1, 4)):
            atom = rng.choice(ATOMS)
            parts.append(atom + ("" if atom[-1] in "?*+}"
                                 else rng.choice(SUFFIXES)))
        pattern = "".join(parts)
        if rng.random() < 0.3:
            pattern = "^" + pattern
        if rng.random() < 0.3:
            pattern += "$"
        if rng.random() < 0.2:
            pattern += "|" + rng.choice(ATOMS)
        compiled = re.compile(pattern.replace("$", "\\Z"), re.ASCII)
        texts = ["".join(rng.choice("aabbcx1_-. \u00e4")
                         for _ in range(rng.randint(0, 6)))
                 for _ in range(20)]
        cases.append({"pattern": pattern, "tests": [
            {"text": t, "whole": bool(compiled.fullmatch(t)),
             "part": bool(compiled.search(t))} for t in texts]})
    return cases


def main():
    out = pathlib.Path(sys.argv[1])
    rng = random.Random(7)
    fixtures = {"schemas": schema_cases(rng, 600, 25),
                "patterns": pattern_cases(rng, 400)}
    text = json.dumps(fixtures, indent=0)
    (out / "schema_fixtures.json").write_text(text)


if __name__ == "__main__":
    main()
