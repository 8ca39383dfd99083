# SPDX-License-Identifier: MIT
"""Tools of the small world, and chats in which they are called."""
import json
import random
from dataclasses import dataclass
from typing import Any, Callable

import words
from chat_format import Call, Message, chat_text
from text import capital, expand
from world import at, new_person


@dataclass(frozen=True)
class Use:
    """One use of a tool: what is asked, the arguments, what comes back, and what that means."""
    ask: str
    arguments: dict[str, Any]
    response: str
    answer: str


@dataclass(frozen=True)
class Tool:
    """A tool: its name, its description, its parameters with their types, and a maker of uses."""
    name: str
    description: str
    parameters: dict[str, str]
    use: Callable[[random.Random], Use]

    def json(self) -> dict[str, Any]:
        """The tool as requests describe it."""
        properties = {key: {"type": kind} for key, kind in self.parameters.items()}
        return {"type": "function", "function": {
            "name": self.name, "description": self.description,
            "parameters": {"type": "object", "properties": properties,
                           "required": list(self.parameters)}}}


def weather(rng: random.Random) -> Use:
    place, state, degrees = rng.choice(words.PLACES), rng.choice(words.WEATHER), rng.randint(0, 35)
    ask = expand(rng, "[How is the weather {at}?|What is the weather like {at}?|Is it warm {at}?]",
                 at=at(place))
    return Use(ask, {"place": place}, json.dumps({"weather": state, "degrees": degrees}),
               f"It is {state} {at(place)}, with {degrees} degrees.")


def price(rng: random.Random) -> Use:
    thing, coins = rng.choice(words.THINGS), rng.randint(2, 99)
    ask = expand(rng, "[How much does {a} cost?|What is the price of {a}?|How many coins is {a}?]",
                 a=words.an(thing))
    return Use(ask, {"thing": thing}, json.dumps({"coins": coins}),
               f"{capital(words.an(thing))} costs {coins} coins.")


def find(rng: random.Random) -> Use:
    thing, place = rng.choice(words.THINGS), rng.choice(words.PLACES)
    ask = expand(rng, "[Where is my {t}?|I cannot find my {t}.|Please find my {t}.]", t=thing)
    return Use(ask, {"thing": thing}, json.dumps({"place": place}),
               f"Your {thing} is {at(place)}.")


def add(rng: random.Random) -> Use:
    a, b = rng.randint(100, 999), rng.randint(100, 999)
    ask = expand(rng, "[What is {a} + {b}?|Please add {a} and {b}.]", a=a, b=b)
    return Use(ask, {"a": a, "b": b}, str(a + b), f"{a} + {b} = {a + b}")


def send(rng: random.Random) -> Use:
    to = new_person(rng).name
    text = expand(rng, "[Come to the {p}|Happy birthday|I am {f}|Bring the {t}|See you on {d}]",
                  p=rng.choice(words.PLACES), f=rng.choice(words.FEELINGS),
                  t=rng.choice(words.THINGS), d=rng.choice(words.DAYS))
    ask = expand(rng, "[Write to {to}: {text}.|Send {to} this message: {text}.]", to=to, text=text)
    return Use(ask, {"to": to, "text": text}, json.dumps({"sent": True}),
               f"I sent your message to {to}.")


def lamp(rng: random.Random) -> Use:
    place, colour = rng.choice(words.PLACES), rng.choice(words.COLOURS)
    ask = expand(rng, "[Make the lamp {at} {c}.|I want {a} light {at}.]", at=at(place), c=colour,
                 a=words.an(colour))
    return Use(ask, {"place": place, "colour": colour}, json.dumps({"done": True}),
               f"The lamp {at(place)} is {colour} now.")


def age(rng: random.Random) -> Use:
    name, years = new_person(rng).name, rng.randint(2, 90)
    return Use(f"How old is {name}?", {"name": name}, json.dumps({"years": years}),
               f"{name} is {years} years old.")


def job(rng: random.Random) -> Use:
    who = new_person(rng)
    return Use(f"What is {who.name}'s job?", {"name": who.name}, json.dumps({"job": who.job}),
               f"{who.name} is {words.an(who.job)}.")


TOOLS = [
    Tool("get_weather", "The weather at a place", {"place": "string"}, weather),
    Tool("get_price", "What a thing costs", {"thing": "string"}, price),
    Tool("find_thing", "Where a thing is", {"thing": "string"}, find),
    Tool("add", "The sum of two numbers", {"a": "integer", "b": "integer"}, add),
    Tool("send_message", "Sends a message", {"to": "string", "text": "string"}, send),
    Tool("set_lamp", "Sets the colour of a lamp", {"place": "string", "colour": "string"}, lamp),
    Tool("get_age", "How old somebody is", {"name": "string"}, age),
    Tool("get_job", "The job of somebody", {"name": "string"}, job),
]


def used(rng: random.Random, tool: Tool, thinking: bool) -> list[Message]:
    """Question, call, response, answer."""
    use = tool.use(rng)
    before = f"I can use {tool.name}." if thinking else ""
    after = f"{tool.name} says {use.response}." if thinking else ""
    return [Message("user", use.ask),
            Message("assistant", "", before, [Call(tool.name, use.arguments)]),
            Message("tool", use.response), Message("assistant", use.answer, after)]


def used_twice(rng: random.Random, tool: Tool, thinking: bool) -> list[Message]:
    """Two calls at once."""
    first, second = tool.use(rng), tool.use(rng)
    calls = [Call(tool.name, first.arguments), Call(tool.name, second.arguments)]
    before = f"I need {tool.name} twice." if thinking else ""
    return [Message("user", f"{first.ask} {second.ask}"), Message("assistant", "", before, calls),
            Message("tool", first.response), Message("tool", second.response),
            Message("assistant", f"{first.answer} {second.answer}")]


def tool_messages(rng: random.Random,
                  system: str) -> tuple[list[Message], list[dict[str, Any]]]:
    """A chat with tools, of which one is the right one; and the tools."""
    offered = rng.sample(TOOLS, rng.randint(1, 3))
    tool, thinking = rng.choice(offered), rng.random() < 0.5
    talk = used_twice if rng.random() < 0.15 else used
    messages = [Message("system", system)] if system else []
    messages += talk(rng, tool, thinking)
    return messages, [tool.json() for tool in offered]


def tool_chat(rng: random.Random, system: str) -> str:
    """A document: a chat with tools."""
    return chat_text(*tool_messages(rng, system))
