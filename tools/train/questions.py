# SPDX-License-Identifier: MIT
"""Questions about a story, with the right answer in one word, in a sentence, and the reason."""
import random
from dataclasses import dataclass

import words
from text import capital, expand
from world import Person, Thing, World, at, new_world
from stories import errands, new_story


@dataclass(frozen=True)
class Question:
    """A question with its answer: short, as a sentence, and how one finds it."""
    ask: str
    short: str
    full: str
    reason: str


def where_is(world: World, person: Person) -> Question:
    """The last place of a person."""
    places = world.visited[person]
    reason = f"{person} was {at(places[0])}."
    for place in places[1:]:
        reason += f" Then {person} went to the {place}."
    return Question(f"Where is {person}?", capital(at(places[-1])) + ".",
                    f"{person} is {at(places[-1])}.", reason)


def where_first(world: World, person: Person) -> Question:
    """The place of a person before the last one."""
    before, now = world.visited[person][-2:]
    return Question(f"Where was {person} before the {now}?", capital(at(before)) + ".",
                    f"Before the {now}, {person} was {at(before)}.",
                    f"{person} was {at(before)}. Then {person} went to the {now}.")


def who_has(world: World, thing: Thing) -> Question:
    """Who holds a thing in the end."""
    holder = world.holder[thing]
    return Question(f"Who has the {thing}?", f"{holder}.", f"{holder} has the {thing}.",
                    " ".join(world.history[thing]))


def where_is_thing(world: World, thing: Thing) -> Question:
    """Where a thing is, which may be with somebody."""
    reason = " ".join(world.history[thing])
    if thing in world.lies:
        return Question(f"Where is the {thing}?", capital(world.lies[thing]) + ".",
                        f"The {thing} is {world.lies[thing]}.", reason)
    holder = world.holder[thing]
    place = at(world.where[holder])
    return Question(f"Where is the {thing}?", capital(place) + ".",
                    f"{holder} has the {thing} {place}.", f"{reason} {holder} is {place}.")


def colour_of(thing: Thing) -> Question:
    """The colour of a thing."""
    return Question(f"What colour is the {thing.noun}?", f"{thing.quality.capitalize()}.",
                    f"The {thing.noun} is {thing.quality}.", f"It is the {thing}.")


def who_gave(world: World, thing: Thing) -> Question:
    """Who gave a thing to its last taker."""
    giver, taker = world.givers[thing]
    return Question(f"Who gave the {thing} to {taker}?", f"{giver}.",
                    f"{giver} gave the {thing} to {taker}.", " ".join(world.history[thing]))


def job_of(world: World, person: Person) -> Question:
    """The job of a person; only if the story told it."""
    job = words.an(person.job)
    return Question(f"What is {person}'s job?", f"{capital(job)}.", f"{person} is {job}.",
                    f"The story says that {person} is {job}.")


def all_questions(world: World) -> list[Question]:
    """Every question that the story answers."""
    story = world.text()
    result = [where_is(world, person) for person in world.where]
    result += [where_first(world, person) for person in world.where
               if len(world.visited[person]) > 1]
    result += [who_has(world, thing) for thing in world.holder]
    result += [where_is_thing(world, thing) for thing in (*world.holder, *world.lies)]
    result += [colour_of(thing) for thing in world.history if str(thing) in story]
    result += [who_gave(world, thing) for thing in world.givers]
    result += [job_of(world, person) for person in world.where if person.job in story]
    return result


def new_passage(rng: random.Random) -> tuple[str, list[Question]]:
    """A text to ask about, with some of its questions."""
    if rng.random() < 0.5:
        world = new_world(rng, 3, 2, 3)
        errands(world)
    else:
        world = new_story(rng)
    questions = all_questions(world)
    return world.text(), rng.sample(questions, min(len(questions), rng.randint(1, 4)))


def story_with_questions(rng: random.Random) -> str:
    """A document: a story, then questions and answers."""
    story, questions = new_passage(rng)
    lines = [f"Question: {q.ask}\nAnswer: {q.full}" for q in questions]
    return "\n\n".join([story, *lines])


def fact(rng: random.Random) -> Question:
    """A question about what everybody knows."""
    return rng.choice((opposite, home, young, sound, colour, use, next_in_line, kind_of))(rng)


def pair(rng: random.Random, entries: list[str]) -> tuple[str, str]:
    """The first word of an entry, and the rest."""
    first, rest = rng.choice(entries).split(" ", 1)
    return first, rest


def opposite(rng: random.Random) -> Question:
    a, b = pair(rng, words.OPPOSITES)
    if rng.random() < 0.5:
        a, b = b, a
    return Question(f"What is the opposite of {a}?", f"{capital(b)}.",
                    f"The opposite of {a} is {b}.", f"{capital(a)} and {b} are opposites.")


def home(rng: random.Random) -> Question:
    a, b = pair(rng, words.HOMES)
    where = "the water" if b == "water" else words.an(b)
    return Question(f"Where does {words.an(a)} live?", f"In {where}.",
                    f"{capital(words.an(a))} lives in {where}.",
                    f"The home of {words.an(a)} is called {b}.")


def young(rng: random.Random) -> Question:
    a, b = pair(rng, words.YOUNG)
    return Question(f"What is a young {a} called?", f"{capital(words.an(b))}.",
                    f"A young {a} is called {words.an(b)}.", f"{capital(a)} and {b}.")


def sound(rng: random.Random) -> Question:
    a, b = pair(rng, words.SOUNDS)
    return Question(f"What sound does {words.an(a)} make?", f"It {b}.",
                    f"{capital(words.an(a))} {b}.", f"{capital(words.an(a))} {b}.")


def colour(rng: random.Random) -> Question:
    a, b = rng.choice(words.COLOUR_OF).rsplit(" ", 1)
    return Question(f"What colour is {a}?", f"{capital(b)}.", f"{capital(a)} is {b}.",
                    f"{capital(a)} is {b}.")


def use(rng: random.Random) -> Question:
    a, b = pair(rng, words.USES)
    return Question(f"What can you do with {words.an(a)}?", f"{capital(b)}.",
                    f"With {words.an(a)} you can {b}.", f"{capital(words.an(a))} is made to {b}.")


def next_in_line(rng: random.Random) -> Question:
    kind, line = rng.choice((("day", words.DAYS), ("month", words.MONTHS),
                             ("season", words.SEASONS)))
    i = rng.randrange(len(line))
    after = line[(i + 1) % len(line)]
    return Question(f"Which {kind} comes after {line[i]}?", f"{capital(after)}.",
                    f"After {line[i]} comes {after}.",
                    f"{capital(line[i])} is followed by {after}.")


def kind_of(rng: random.Random) -> Question:
    group = rng.choice(("animals", "fruits", "vegetables", "tools", "instruments", "clothes"))
    member = rng.choice(words.GROUPS[group])
    ask = rng.choice(("animals", "fruits", "vegetables", "tools", "instruments", "clothes"))
    right = member in words.GROUPS[ask]
    names, word = words.plural(member), "Yes" if right else "No"
    return Question(f"Are {names} {ask}?", f"{word}.",
                    f"{word}, {names} are {'' if right else 'not '}{ask}.",
                    f"{capital(names)} belong to the {group}.")


def some_of(rng: random.Random) -> Question:
    """A list of members of a group."""
    group = rng.choice(list(words.GROUPS))
    count = rng.randint(2, min(5, len(words.GROUPS[group])))
    members = rng.sample(words.GROUPS[group], count)
    ask = expand(rng, "[Name|List|Tell me|Give me] {n} {group}.", n=words.NUMBERS[count],
                 group=group)
    numbered = "\n".join(f"{i}. {capital(m)}" for i, m in enumerate(members, 1))
    return Question(ask, capital(words.joined(members)) + ".", numbered,
                    f"I need {words.NUMBERS[count]} {group}.")
