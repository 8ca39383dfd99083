# SPDX-License-Identifier: MIT
"""Compares chat_template.jinja with chat_format.py: python3 tools/train/test_template.py. Skipped
without the library jinja2, which nothing else here needs."""
import json
import random
import sys
import unittest
from pathlib import Path
from typing import Any

import chats
import tools
from chat_format import Message, chat_text, prompt_text

try:
    import jinja2
except ImportError:
    jinja2 = None

TEMPLATE = Path(__file__).with_name("chat_template.jinja")
CHATS = 200


def request(message: Message) -> dict[str, Any]:
    """A message as programs send it."""
    result: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.thoughts:
        result["reasoning_content"] = message.thoughts
    if message.calls:
        result["tool_calls"] = [
            {"type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.calls]
    return result


def refuse(text: str) -> None:
    raise ValueError(text)


def template() -> "jinja2.Template":
    """With the settings under which templates of models run."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = refuse
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def some_chats(number: int) -> list[tuple[list[Message], list[dict[str, Any]]]]:
    """A plain chat, a long one, and one with tools."""
    rng = random.Random(number)
    return [(chats.chat_messages(rng), []), (chats.remembered_messages(rng, 2), []),
            tools.tool_messages(rng, rng.choice(chats.PLAIN))]


@unittest.skipIf(jinja2 is None, "needs jinja2")
class Template(unittest.TestCase):
    """The template writes what the model has learned."""

    def test_equal(self) -> None:
        jinja = template()
        for number in range(CHATS):
            for messages, offered in some_chats(number):
                requests = [request(message) for message in messages]
                self.assertEqual(jinja.render(messages=requests, tools=offered),
                                 chat_text(messages, offered))
                for thinking in (False, True):
                    rendered = jinja.render(messages=requests[:-1], tools=offered,
                                            add_generation_prompt=True, enable_thinking=thinking)
                    self.assertEqual(rendered, prompt_text(messages[:-1], offered, thinking))

    def test_refusals(self) -> None:
        jinja = template()
        for messages in ([{"role": "assistant", "content": "a"}],
                         [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}],
                         [{"role": "user", "content": [{"type": "image"}]}],
                         [{"role": "user", "content": "a"}, {"role": "judge", "content": "b"}]):
            with self.assertRaises(ValueError):
                jinja.render(messages=messages)


if __name__ == "__main__":
    sys.exit(not unittest.main(exit=False).result.wasSuccessful())
