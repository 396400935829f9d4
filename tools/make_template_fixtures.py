#!/usr/bin/env python3
"""Renders templates with Jinja2 as Hugging Face's tokenizers do.

usage: make_template_fixtures.py OUT [ASSETS]

Writes OUT/template_fixtures.json: every template x conversation and a
set of snippets of the language, each with Jinja2's text or error; and
OUT/call_forms.json: conversations with tool calls as clients send them, and
what each template makes of them in each form that templates want. The tests
read the folder from SKUA_TEMPLATE_FIXTURES. Needs python3-jinja2.
"""
import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2024, 7, 26, 12, 0, 0)


class Generation(jinja2.ext.Extension):
    """`generation` blocks, which render as their body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_render")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def to_json(value, ensure_ascii=False, indent=None, separators=None,
            sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent,
                      separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", Generation])
    env.filters["tojson"] = to_json
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


TOOL = {"type": "function", "function": {
    "name": "weather", "description": "Weather of a place, \"now\".",
    "parameters": {"type": "object", "properties": {
        "place": {"type": "string", "description": "City"},
        "days": {"type": "integer", "default": 3},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["place"]}}}
CALL = {"id": "abc123456", "type": "function", "function": {
    "name": "weather", "arguments": {"place": "Zürich", "days": 2}}}


def conversations():
    def chat(*messages, **more):
        return {"messages": [dict(m) for m in messages],
                "add_generation_prompt": True, "bos_token": "<s>",
                "eos_token": "</s>", "tools": None, **more}

    user = {"role": "user", "content": "Why is the sky blue?"}
    answer = {"role": "assistant", "content": "Rayleigh scattering."}
    system = {"role": "system", "content": "Be brief."}
    calls = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    result = {"role": "tool", "content": "{\"sun\": true}",
              "name": "weather", "tool_call_id": "abc123456"}
    thought = {"role": "assistant", "content": "Because.",
               "reasoning_content": "Light scatters.\nBlue more."}
    tagged = {"role": "assistant",
              "content": "<think>\nHm.\n</think>\n\nBecause."}
    parts = {"role": "user", "content": [
        {"type": "text", "text": "Look: "}, {"type": "image"},
        {"type": "text", "text": "what?"}]}
    odd = {"role": "user", "content": "  日本語 🙂 <b>&\"'\\ \n\ttab  "}
    return {
        "user": chat(user),
        "system": chat(system, user),
        "turns": chat(system, user, answer, odd),
        "no_prompt": chat(user, answer, add_generation_prompt=False),
        "tools": chat(system, user, tools=[TOOL]),
        "calls": chat(user, calls, result, tools=[TOOL]),
        "calls_done": chat(user, calls, result, answer, user, tools=[TOOL]),
        "reasoning": chat(user, thought, user),
        "tagged": chat(user, tagged, user, tagged),
        "thinking_off": chat(system, user, enable_thinking=False),
        "thinking_on": chat(user, enable_thinking=True, thinking=True),
        "parts": chat(parts),
        "empty": chat(),
        "two_users": chat(user, user),
        "blank": chat({"role": "user", "content": ""}),
    }


ARGUMENTS = {"place": "Zürich \"HB\"\n<b>", "days": 2, "exact": True,
             "deep": {"a": [1, "x", {"b": 2.5}], "c": None}}
THOUGHT = "Only the tool knows."


def call_conversations():
    """By name, as clients send them: arguments as text, null as content."""
    def call(identity, arguments):
        return {"id": identity, "type": "function", "function": {
            "name": "weather",
            "arguments": json.dumps(arguments, ensure_ascii=False)}}

    def result(identity, content):
        return {"role": "tool", "content": content, "name": "weather",
                "tool_call_id": identity}

    ask = {"role": "user", "content": "Will it rain?"}
    one = {"role": "assistant", "content": None,
           "tool_calls": [call("abc123456", ARGUMENTS)]}
    two = {**one, "tool_calls": [call("abc123456", ARGUMENTS),
                                 call("abc123457", {"place": "Bern"})]}
    rain, sun = result("abc123456", "{\"rain\": 3}"), result("abc123457", "sun")
    thanks = [{"role": "assistant", "content": "It will."},
              {"role": "user", "content": "Thanks."}]
    return {"one": [ask, one, rain], "two": [ask, two, rain, sun],
            "thought": [ask, {**one, "reasoning_content": THOUGHT}, rain],
            "done": [ask, one, rain, *thanks],
            "text": [ask, {**one, "content": "Let me see."}, rain]}


def in_form(messages, text_arguments, no_content):
    """What a template gets; thoughts under every name that one of them has."""
    messages = json.loads(json.dumps(messages))
    for message in messages:
        if "reasoning_content" in message:
            message["reasoning"] = message["thinking"] = THOUGHT
        if "tool_calls" not in message:
            continue
        message["content"] = message["content"] or no_content
        for call in message["tool_calls"]:
            if not text_arguments:
                function = call["function"]
                function["arguments"] = json.loads(function["arguments"])
    return messages


def call_forms(env, sources):
    more = {"tools": [TOOL], "documents": None, "add_generation_prompt": True,
            "bos_token": "<s>", "eos_token": "</s>", "functions": "F",
            "datetime": "D"}
    rendered = {}
    for name, source in sources.items():
        for kind, messages in call_conversations().items():
            rendered[f"{name} {kind}"] = {
                f"{'text' if text else 'object'} {json.dumps(no_content)}":
                    render(env, source,
                           {"messages": in_form(messages, text, no_content),
                            **more})
                for text in (False, True) for no_content in ("", None)}
    return {"conversations": call_conversations(), "context": more,
            "rendered": rendered}


VALUES = {
    "s": "Hello World", "u": "héllo 日本語 🙂", "e": "", "n": 7, "z": 0,
    "neg": -3, "f": 2.5, "t": True, "no": None, "l": [3, 1, 2],
    "words": ["banana", "Apple", "cherry"], "d": {"b": 1, "a": [1, 2], "c": None},
    "users": [{"name": "Bob", "age": 30, "tags": ["x"]},
              {"name": "alice", "age": 25, "tags": []},
              {"name": "Carol", "age": 30, "tags": ["x", "y"]}],
    "nested": {"a": {"b": {"c": 5}}, "list": [[1, 2], [3]]},
    "lines": "one\ntwo\n\nthree", "html": "<a href='x'>&\"</a>",
    "big": 12345678901234567890, "tree": [
        {"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [
            {"v": 4, "kids": []}]}]}],
}


def snippets():
    folder = pathlib.Path(__file__).resolve().parent
    text = (folder / "template_snippets.txt").read_text()
    return [part for part in text.split("\n----\n") if part]


def render(env, source, context):
    try:
        return {"output": env.from_string(source).render(**context)}
    except Exception as error:  # any failure of the reference is an answer
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    out = pathlib.Path(sys.argv[1])
    assets = pathlib.Path(sys.argv[2]) / "templates" if sys.argv[2:] else None
    env = environment()
    cases = []

    def add(name, source, context):
        # A fresh copy: some templates change the lists they are given.
        fresh = json.loads(json.dumps(context))
        cases.append({"name": name, "source": source, "context": context,
                      **render(env, source, fresh)})

    sources, e2e = {}, []
    forms = None
    if assets:
        sources = {p.name: p.read_text() for p in sorted(assets.glob("*.jinja"))}
        forms = call_forms(env, sources)
        e2e = json.loads((assets / "e2e_cases.json").read_text())
    for case in e2e:
        sources[case["name"]] = case["chat_template"]
        add(case["name"] + " own", case["chat_template"], case["data"])
    for name, source in sources.items():
        for kind, context in conversations().items():
            add(f"{name} {kind}", source, context)
    for source in snippets():
        add(source, source, VALUES)
    out.mkdir(parents=True, exist_ok=True)
    (out / "template_fixtures.json").write_text(json.dumps(cases))
    if forms:
        (out / "call_forms.json").write_text(json.dumps(forms))
    failed = sum("error" in case for case in cases)
    print(f"{len(cases)} cases, {failed} of them errors")


if __name__ == "__main__":
    main()
