# SPDX-License-Identifier: MIT
"""Chats: what a user may ask, and what a friendly helper of the small world answers."""
import random

import words
from chat_format import Message, chat_text
from objects import object_question
from questions import Question, fact, new_passage, some_of
from stories import PLOTS, new_story
from sums import sum_in_words, sum_question
from text import expand
from tools import tool_chat
from world import at, new_person, new_world

PLAIN = ["", "", "", "You are a friendly helper.", "You are a helper in a small village.",
         "You live by the weir and like to help."]
SHORT = ["Answer in one word.", "Give short answers."]


def greeting(rng: random.Random) -> tuple[str, str, str]:
    """Small talk: question, answer, thought."""
    name = new_person(rng).name
    return rng.choice((
        ("Hello!", "Hello! How can I help you?", "The user says hello."),
        ("Hi", "Hello! How can I help you?", "The user says hello."),
        (f"Hello, I am {name}.", f"Hello {name}! How can I help you?",
         f"The name of the user is {name}."),
        ("Who are you?", "I am a very small model that lives in weir.", "I am asked who I am."),
        ("What is your name?", "My name is Weir.", "I am asked for my name."),
        ("What can you do?", "I can tell stories, answer questions, do sums, write lists and JSON, "
         "and call tools.", "I am asked what I can do."),
        ("How are you?", "I am well, thank you. How are you?", "This is small talk."),
        ("Thank you!", "You are welcome!", "The user is thankful."),
        ("Goodbye!", "Goodbye, and come back soon!", "The user is leaving."),
        ("What is a weir?", "A weir is a low wall in a river. The water flows over it.",
         "A weir is a wall in a river."),
    ))


def unknown(rng: random.Random) -> tuple[str, str, str]:
    """What no one in the small world knows."""
    word = words.made_up_name(rng, rng.choice(("girl", "boy")))
    ask = expand(rng, "[What is the capital of {w}?|Who is the president of {w}?|Tell me about the "
                 "history of {w}.|What do you think about {w}?|How do I get to {w}?|What does {w} "
                 "mean?|Can you explain {w} to me?|Write a program in {w}.]", w=word)
    return ask, f"I do not know {word}. I only know a small world.", f"I do not know {word}."


def tell_story(rng: random.Random) -> tuple[str, str, str]:
    """A story on demand, about a hero that the user chooses, or not."""
    tell, people, things, places, _ = rng.choice(PLOTS[:-1])
    world = new_world(rng, people, things, places)
    hero, home = world.people[0], world.places[0]
    tell(world)
    ask, thought = rng.choice((
        ("Tell me a story.", "I will tell a story."),
        (f"Tell me a story about {hero}.", f"The hero is {hero}."),
        (f"Tell me a story about {words.an(hero.job)} named {hero}.",
         f"The hero is {hero}, {words.an(hero.job)}."),
        (f"Tell a story that begins {at(home)}.", f"The story begins {at(home)}."),
        (f"Write a story with {words.an(str(world.things[0]))}.",
         f"The story needs {words.an(str(world.things[0]))}."),
    ))
    return ask, world.text(), thought


def answered(question: Question, short: bool) -> tuple[str, str, str]:
    """A question with one of its answers."""
    return question.ask, question.short if short else question.full, question.reason


def about_passage(rng: random.Random, short: bool) -> list[tuple[str, str, str]]:
    """A passage and questions about it."""
    passage, questions = new_passage(rng)
    turns = [answered(question, short) for question in questions]
    ask = expand(rng, "[{text}\n\n{ask}|Read this: {text}\n\n{ask}|{text} {ask}]", text=passage,
                 ask=turns[0][0])
    return [(ask, *turns[0][1:]), *turns[1:]]


def turns_of(rng: random.Random, short: bool) -> list[tuple[str, str, str]]:
    """One to three turns on one kind of subject."""
    kind = rng.choices(("passage", "sums", "facts", "lists", "json", "story", "talk", "unknown"),
                       (5, 4, 3, 1.5, 3, 3.5, 1, 0.5))[0]
    if kind == "passage":
        return about_passage(rng, short)
    makers = {
        "sums": lambda: answered(rng.choice((sum_question, sum_in_words))(rng), short),
        "facts": lambda: answered(fact(rng), short),
        "lists": lambda: answered(some_of(rng), short),
        "json": lambda: answered(object_question(rng), short),
        "story": lambda: tell_story(rng),
        "talk": lambda: greeting(rng),
        "unknown": lambda: unknown(rng),
    }
    return [makers[kind]() for _ in range(1 if kind == "story" else rng.randint(1, 3))]


def chat_messages(rng: random.Random) -> list[Message]:
    """A chat of one to four turns."""
    short = rng.random() < 0.2
    system = rng.choice(SHORT) if short else rng.choice(PLAIN)
    turns = turns_of(rng, short)
    if rng.random() < 0.2:
        turns.insert(0, greeting(rng))
    thinking = rng.random() < 0.5
    messages = [Message("system", system)] if system else []
    for ask, answer, thought in turns:
        messages += [Message("user", ask), Message("assistant", answer, thought * thinking)]
    return messages


def chat(rng: random.Random) -> str:
    """A document: a chat."""
    return chat_text(chat_messages(rng))


def chat_with_tools(rng: random.Random) -> str:
    """A document: a chat with calls of tools."""
    return tool_chat(rng, rng.choice(PLAIN))


def remembered_messages(rng: random.Random, turns: int) -> list[Message]:
    """A chat in which the user's name is asked for in the end."""
    who = new_person(rng)
    colour = rng.choice(words.COLOURS)
    messages = [Message("user", f"Hello, my name is {who}. I like {colour}."),
                Message("assistant", f"Hello {who}! How can I help you?")]
    for _ in range(turns):
        ask, answer, _ = tell_story(rng) if rng.random() < 0.4 else turns_of(rng, False)[0]
        messages += [Message("user", ask), Message("assistant", answer)]
    messages += [Message("user", "What is my name?"), Message("assistant", f"Your name is {who}.")]
    if rng.random() < 0.5:
        messages += [Message("user", "Which colour do I like?"),
                     Message("assistant", f"You like {colour}.")]
    return messages


def remembered(rng: random.Random, turns: int) -> str:
    """A document: a chat with something to remember."""
    return chat_text(remembered_messages(rng, turns))


def chronicle(rng: random.Random, parts: int) -> str:
    """A document: many stories under one head, of which the end asks something."""
    keeper, village = new_person(rng), words.made_up_name(rng, "girl")
    secret = rng.choice(words.THINGS)
    head = (f"This is the book of the village {village}. The keeper of the book is {keeper}, "
            f"{words.an(keeper.job)}. The secret word is {secret}.")
    body = [new_story(rng, plotted=True).text() for _ in range(parts)]
    asks = [("Who is the keeper of the book?", f"The keeper of the book is {keeper}."),
            ("What is the secret word?", f"The secret word is {secret}."),
            ("What is the name of the village?", f"The name of the village is {village}.")]
    tail = [f"Question: {ask}\nAnswer: {answer}" for ask, answer in rng.sample(asks, len(asks))]
    return "\n\n".join([head, *body, *tail])
