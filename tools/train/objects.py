# SPDX-License-Identifier: MIT
"""JSON objects made from descriptions, with keys that are asked for by name or by a schema."""
import json
import random
from typing import Any

import words
from questions import Question
from text import capital, expand
from world import at, new_person

# Key: the type that a schema gives it.
TYPES = {"name": "string", "colour": "string", "price": "integer", "place": "string",
         "new": "boolean", "job": "string", "age": "integer", "friends": "array",
         "likes": "string", "day": "string", "weather": "string", "degrees": "integer"}

Described = tuple[str, dict[str, Any]]


def thing(rng: random.Random) -> Described:
    """Something that is for sale."""
    data = {"name": rng.choice(words.THINGS), "colour": rng.choice(words.COLOURS),
            "price": rng.randint(1, 99), "place": rng.choice(words.PLACES),
            "new": rng.random() < 0.5}
    text = expand(rng, "[The {name} is {colour} and {age}. It costs {price} {coins} and is {at}.|"
                  "There is {a} {name} {at}. It is {age} and costs {price} {coins}.]",
                  **{k: v for k, v in data.items() if k != "new"},
                  age="new" if data["new"] else "old", at=at(data["place"]),
                  coins="coin" if data["price"] == 1 else "coins", a=words.an(data["colour"]))
    return text, data


def person(rng: random.Random) -> Described:
    """Somebody with friends."""
    who = new_person(rng)
    friends = [new_person(rng, {who.name}).name for _ in range(rng.randint(1, 3))]
    data = {"name": who.name, "job": who.job, "age": rng.randint(5, 90),
            "place": rng.choice(words.PLACES), "likes": rng.choice(words.FOODS),
            "friends": list(dict.fromkeys(friends))}
    text = expand(rng, "{name} is {job} and is {age} years old. {they} lives {at} and likes "
                  "{likes}. {their} friends are {friends}.", name=who.name, job=words.an(who.job),
                  age=data["age"], they=capital(who.they), at=at(data["place"]),
                  likes=words.plural(data["likes"]), their=capital(who.their),
                  friends=words.joined(data["friends"]))
    if len(data["friends"]) == 1:
        text = text.replace("friends are", "friend is")
    return text, data


def forecast(rng: random.Random) -> Described:
    """The weather of a day."""
    data = {"day": rng.choice(words.DAYS), "weather": rng.choice(words.WEATHER),
            "degrees": rng.randint(0, 35), "place": rng.choice(words.PLACES)}
    text = expand(rng, "[On {day} it is {weather} {at}, with {degrees} degrees.|It is {weather} "
                  "{at} on {day}. There are {degrees} degrees.]", at=at(data["place"]), **data)
    return text, data


def schema(data: dict[str, Any]) -> dict[str, Any]:
    """The schema that asks for these keys."""
    properties: dict[str, Any] = {}
    for key in data:
        properties[key] = {"type": TYPES[key]}
        if TYPES[key] == "array":
            properties[key]["items"] = {"type": "string"}
    return {"type": "object", "properties": properties, "required": list(data)}


def object_question(rng: random.Random) -> Question:
    """A description and the wish for some of it as JSON."""
    text, data = rng.choice((thing, person, forecast))(rng)
    keys = list(data)
    if rng.random() < 0.5:
        keys = rng.sample(keys, rng.randint(2, len(keys)))
    wanted = {key: data[key] for key in keys}
    form = rng.random()
    if form < 0.4:
        ask = f"{text} Write JSON with the keys {words.joined(keys)}."
    elif form < 0.7:
        ask = f"{text}\nWrite JSON for this schema:\n{json.dumps(schema(wanted))}"
    else:
        ask, wanted = f"{text} Write this as JSON.", data
    answer = json.dumps(wanted)
    return Question(ask, answer, answer, f"The keys are {words.joined(list(wanted))}.")


def objects(rng: random.Random) -> str:
    """A document: descriptions, each with its object."""
    pairs = [rng.choice((thing, person, forecast))(rng) for _ in range(rng.randint(1, 4))]
    return "\n\n".join(f"{text}\n{json.dumps(data)}" for text, data in pairs)
