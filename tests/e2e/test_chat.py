"""`skua chat` on a pseudo terminal, as a person uses it, and in a pipe."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

import support

PROMPT = ">>> "
SMALL = "lm/stories260K/stories260K-v3-f32.gguf"
CTRL_C, CTRL_D, UP, END = "\x03", "\x04", "\x1b[A", "\x05"


class Terminal:
    """A program on a pseudo terminal, and what it has shown so far."""

    def __init__(self, command, environment):
        self.master, slave = pty.openpty()
        size = struct.pack("HHHH", 40, 200, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", **environment},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.shown = ""

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)

    def type(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, pattern, timeout_s=60):
        """Takes what is shown up to the pattern and returns it."""
        end = time.monotonic() + timeout_s
        while not (found := re.search(pattern, self.shown)):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} in {self.shown!r}")
            data = os.read(self.master, 65536).decode(errors="replace")
            self.shown += data
        text = self.shown[: found.end()]
        self.shown = self.shown[found.end() :]
        return text

    def ask(self, line):
        """Types a line and returns what is shown up to the next prompt."""
        self.type(line + "\r")
        self.wait_for(r"\r\n")
        return self.wait_for(PROMPT)

    def exit_code(self):
        return self.process.wait(timeout=60)


class ChatTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="skua-chat-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def chat(self, *arguments, model=None, **environment):
        terminal = Terminal(
            [
                *(support.PROGRAM, "chat", "-m", model or self.model),
                *map(str, arguments),
            ],
            environment,
        )
        self.addCleanup(terminal.close)
        terminal.wait_for(PROMPT)
        return terminal


class ConversationTest(ChatTest):
    """The default model remembers what was said."""

    def setUp(self):
        super().setUp()
        self.model = support.model(support.SMOLLM2)
        path = support.asset("goldens/real/smollm2_135m.json")
        cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
        self.cases = {case["id"]: case for case in cases}

    def test_answers_as_the_reference_and_leaves_by_ctrl_d(self):
        case = self.cases["capital"]
        chat = self.chat()
        shown = chat.ask(case["messages"][0]["content"])
        self.assertTrue(shown.startswith(case["greedy_text"] + "\r\n"), shown)
        self.assertIn(f"prompt {len(case['ids'])} tokens", shown)
        chat.type(CTRL_D)
        self.assertEqual(chat.exit_code(), 0)
        self.assertEqual(termios.tcgetattr(chat.slave), chat.before)

    def test_loaded_history_gives_the_reference_follow_up(self):
        case = self.cases["multi_turn"]
        saved = self.folder / "chat.json"
        saved.write_text(json.dumps({"messages": case["messages"][:-1]}))
        chat = self.chat("--max-tokens", 12, "-q")
        self.assertIn("loaded 2 messages", chat.ask(f"/load {saved}"))
        answer = chat.ask(case["messages"][-1]["content"])
        answer = answer.removesuffix(PROMPT).strip()
        self.assertGreater(len(answer), 20)
        self.assertTrue(case["greedy_text"].startswith(answer), answer)
        # The next turn reads only what is new.
        self.assertIn("saved 4 messages", chat.ask(f"/save {saved}"))
        messages = json.loads(saved.read_text())["messages"]
        self.assertEqual(messages[:3], case["messages"])
        self.assertEqual(messages[3], {"role": "assistant", "content": answer})

    def test_system_message(self):
        system, user = self.cases["system_list"]["messages"]
        chat = self.chat("-q")
        chat.ask("/system " + system["content"])
        self.assertIn(system["content"], chat.ask("/system"))
        self.assertIn(
            self.cases["system_list"]["greedy_text"],
            chat.ask(user["content"]),
        )

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        chat = self.chat("-q")
        chat.type("Count from 1 to 1000.\r")
        chat.wait_for(r"\n[^\n]*[^\s]")
        chat.type(CTRL_C)
        chat.wait_for(PROMPT)
        case = self.cases["capital"]
        chat.ask("/clear")
        self.assertIn(
            case["greedy_text"], chat.ask(case["messages"][0]["content"])
        )
        chat.type(CTRL_D)
        self.assertEqual(chat.exit_code(), 0)

    def test_later_turns_read_only_what_is_new_and_memory_stays(self):
        chat = self.chat("--max-tokens", 2)
        status = pathlib.Path(f"/proc/{chat.process.pid}/status")
        if not status.exists():
            self.skipTest("no /proc")

        def resident_kb():
            return int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1])

        chat.ask("Hello! " * 150)
        chat.ask("And again.")
        after_two = resident_kb()
        for _ in range(6):
            shown = chat.ask("And again.")
        self.assertLess(resident_kb() - after_two, 8_000)
        self.assertRegex(shown, r"prompt [3-9]\d\d tokens \([3-9]\d\d kept\)")

    def test_long_prompt_shows_its_progress_and_ctrl_c_ends_it(self):
        """GEN-40: between its chunks; the turn leaves nothing."""
        chat = self.chat("--prefill-chunk", 1, "--system", "word " * 3000)
        chat.type("Hello\r")
        chat.wait_for(r"prompt \[.*\d+ tokens / 30\d\d tokens.*left")
        chat.type(CTRL_C)
        self.assertIn("generated 0 tokens", chat.wait_for(PROMPT))
        saved = self.folder / "chat.json"
        self.assertIn("saved 1 messages", chat.ask(f"/save {saved}"))


class CommandTest(ChatTest):
    """What needs no good model, with one that answers in milliseconds."""

    def setUp(self):
        super().setUp()
        self.model = support.asset(SMALL)

    def saved(self, chat):
        path = self.folder / "saved.json"
        self.assertIn("saved", chat.ask(f"/save {path}"))
        messages = json.loads(path.read_text(encoding="utf-8"))["messages"]
        return [message["content"] for message in messages]

    def questions(self, chat):
        return self.saved(chat)[::2]

    def test_help_lists_every_command(self):
        shown = self.chat("-q").ask("/help")
        for word in (
            *("/clear", "/system", "/save", "/load", "/set", "/help", "/exit"),
            *("Ctrl-C", "Ctrl-D"),
        ):
            self.assertIn(word, shown)

    def test_clear_forgets_and_keeps_the_system_message(self):
        chat = self.chat("-q", "-n", 2, "--system", "Be brief.")
        chat.ask("one")
        self.assertEqual(len(self.saved(chat)), 3)
        chat.ask("/clear")
        self.assertEqual(self.saved(chat), ["Be brief."])

    def test_set_shows_and_changes_options(self):
        chat = self.chat("-n", 3)
        self.assertIn("max-tokens 3\r\ntemperature 0\r\n", chat.ask("/set"))
        self.assertIn("generated 3 tokens", chat.ask("Once"))
        chat.ask("/set max-tokens 5")
        self.assertIn("generated 5 tokens", chat.ask("Once"))
        for line in (
            *("/set temp -1", "/set temp warm", "/set odd 3", "/set temp"),
            *("/set seed -1", "/set top-k 1.5"),
        ):
            shown = chat.ask(line)
            self.assertRegex(shown, r"\Askua: \[[^\r\n]+\r\n[^\r\n]*\Z", line)
        self.assertIn("max-tokens 5\r\ntemperature 0\r\n", chat.ask("/set"))

    def test_bad_commands_are_one_line_and_lose_nothing(self):
        chat = self.chat("-q", "-n", 2)
        chat.ask("one")
        broken = self.folder / "broken.json"
        broken.write_text('{"messages": [{"role": 5}]}')
        for line, text in (
            ("/nonsense", "/help"),
            ("/load " + str(self.folder / "none"), "no such file"),
            ("/load " + str(broken), "messages[0].role"),
            ("/load", "file name"),
            ("/save /no/such/folder/file", "cannot be written"),
            ("long " * 400, "context of 512"),
        ):
            shown = chat.ask(line)
            self.assertRegex(shown, r"skua: \[[^\r\n]+\r\n[^\r\n]*\Z")
            self.assertIn(text, shown)
        self.assertEqual(self.questions(chat), ["one"])

    def test_save_and_load_round_trip(self):
        chat = self.chat("-q", "-n", 2)
        chat.ask("one")
        chat.ask("two")
        before = self.saved(chat)
        chat.ask("/clear")
        chat.ask(f"/load {self.folder / 'saved.json'}")
        self.assertEqual(self.saved(chat), before)

    def test_ctrl_c_empties_the_line(self):
        chat = self.chat("-q", "-n", 1)
        chat.type("not this" + CTRL_C)
        chat.ask("but this")
        self.assertEqual(self.questions(chat), ["but this"])
        self.assertIsNone(chat.process.poll())

    def test_arrow_up_brings_the_last_line_back(self):
        chat = self.chat("-q", "-n", 1)
        chat.ask("first")
        chat.ask("second")
        chat.type(UP)
        chat.ask("")
        chat.type(UP + UP + UP)
        chat.ask("!")
        self.assertEqual(
            self.questions(chat), ["first", "second", "second", "first!"]
        )

    def test_editing_of_utf8(self):
        for locale in ("C.UTF-8", "C", "POSIX"):
            chat = self.chat("-q", "-n", 1, LC_ALL=locale, LANG=locale)
            chat.type("O\u00f9 est \u6771\u4eacX\x7f?")
            chat.type("\x1b[D\x1b[D\x7f" + END)
            chat.ask("\U0001f60e")
            with self.subTest(locale):
                self.assertEqual(
                    self.questions(chat), ["O\u00f9 est \u4eac?\U0001f60e"]
                )

    def test_line_that_goes_on(self):
        chat = self.chat("-q", "-n", 1)
        chat.ask("one\\")
        chat.ask("two")
        self.assertEqual(self.questions(chat), ["one\ntwo"])

    def test_empty_lines_ask_nothing(self):
        chat = self.chat("-q", "-n", 1)
        chat.ask("")
        chat.ask("   ")
        self.assertEqual(self.saved(chat), [])

    def test_exit(self):
        for leave in ("/exit\r", "/quit\r", CTRL_D):
            chat = self.chat("-q")
            chat.type(leave)
            self.assertEqual(chat.exit_code(), 0)
            self.assertEqual(termios.tcgetattr(chat.slave), chat.before)

    def test_terminate_ends_it_and_restores_the_terminal(self):
        chat = self.chat("-q")
        chat.process.send_signal(signal.SIGTERM)
        self.assertEqual(chat.exit_code(), 130)
        self.assertEqual(termios.tcgetattr(chat.slave), chat.before)


class PipeTest(ChatTest):
    def test_lines_of_stdin_are_the_messages(self):
        path = self.folder / "saved.json"
        done = support.skua(
            *("chat", "-q", "-n", 3, "-m", support.asset(SMALL)),
            stdin=f"Once\nO\u00f9?\n/save {path}\n/nonsense\n",
        )
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.count("\n"), 2)
        self.assertNotIn(PROMPT, done.stdout)
        messages = json.loads(path.read_text(encoding="utf-8"))["messages"]
        self.assertEqual(
            [m["content"] for m in messages[::2]], ["Once", "O\u00f9?"]
        )
        self.assertRegex(
            done.stderr, r"\Asaved 4 messages\nskua: \[/nonsense\] .*\n\Z"
        )

    def test_line_that_is_not_utf8_is_refused_and_the_next_works(self):
        done = support.skua(
            *("chat", "-q", "-n", 3, "-m", support.asset(SMALL)),
            stdin="caf\udce9\nOnce\n",
        )
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.count("\n"), 1)
        self.assertRegex(done.stderr, r"\Askua: \[.*UTF-8 at byte 4.*\n\Z")


if __name__ == "__main__":
    unittest.main()
