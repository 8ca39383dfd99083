# SPDX-License-Identifier: MIT
"""The text of a chat, as chat_template.jinja writes it; a test compares the two.

In the family's manner: each message is marked by its role, an answer begins with a place for
thoughts (empty if there are none), calls of tools are tags in the answer, and what tools answer
stands in a turn of the user.
"""
import json
from dataclasses import dataclass, field
from typing import Any

TOOLS_HEAD = "# Tools\n\nThese functions can be called:\n<tools>"
TOOLS_TAIL = """
</tools>

A call is written like this, after any other text:
<tool_call>
<function=NAME>
<parameter=KEY>
VALUE
</parameter>
</function>
</tool_call>"""


@dataclass
class Call:
    """A call of a tool."""
    name: str
    arguments: dict[str, Any]


@dataclass
class Message:
    """One message; `thoughts` and `calls` are those of an assistant."""
    role: str
    content: str
    thoughts: str = ""
    calls: list[Call] = field(default_factory=list)


def tools_text(tools: list[dict[str, Any]]) -> str:
    """What the system message says about tools."""
    lines = "".join("\n" + json.dumps(tool, ensure_ascii=False) for tool in tools)
    return TOOLS_HEAD + lines + TOOLS_TAIL


def value_text(value: Any) -> str:
    """An argument: strings as they are, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def call_text(call: Call) -> str:
    """A call as the model writes it."""
    lines = "".join(f"<parameter={key}>\n{value_text(value)}\n</parameter>\n"
                    for key, value in call.arguments.items())
    return f"<tool_call>\n<function={call.name}>\n{lines}</function>\n</tool_call>"


def answer_text(message: Message, is_new: bool) -> str:
    """An assistant's message; thoughts of turns before the last question are left out."""
    text = message.content
    if is_new:
        text = f"<think>\n{message.thoughts}\n</think>\n\n{text}"
    calls = "\n".join(call_text(call) for call in message.calls)
    if calls and message.content:
        text += "\n\n"
    return f"<|im_start|>assistant\n{text}{calls}<|im_end|>\n"


def responses_text(messages: list[Message]) -> str:
    """Answers of tools, which come in one turn."""
    parts = "".join(f"\n<tool_response>\n{message.content}\n</tool_response>"
                    for message in messages)
    return f"<|im_start|>user{parts}<|im_end|>\n"


def chat_text(messages: list[Message], tools: list[dict[str, Any]] = ()) -> str:
    """The whole chat."""
    last_question = max(i for i, message in enumerate(messages) if message.role == "user")
    system = [tools_text(tools)] if tools else []
    parts, waiting = [], []
    for i, message in enumerate(messages):
        if waiting and message.role != "tool":
            parts.append(responses_text(waiting))
            waiting = []
        if message.role == "system":
            system.append(message.content)
        elif message.role == "tool":
            waiting.append(message)
        elif message.role == "user":
            parts.append(f"<|im_start|>user\n{message.content}<|im_end|>\n")
        else:
            parts.append(answer_text(message, i > last_question))
    if waiting:
        parts.append(responses_text(waiting))
    if system:
        parts.insert(0, "<|im_start|>system\n" + "\n\n".join(system) + "<|im_end|>\n")
    return "".join(parts)


def prompt_text(messages: list[Message], tools: list[dict[str, Any]] = (),
                thinking: bool = False) -> str:
    """The chat so far and the beginning of an answer."""
    begin = "<think>\n" if thinking else "<think>\n\n</think>\n\n"
    return chat_text(messages, tools) + "<|im_start|>assistant\n" + begin
