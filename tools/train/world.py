# SPDX-License-Identifier: MIT
"""The state of a small world while a story is told: who is where, who has what, and what happened.

Every sentence that changes the state goes through a method here, so that questions about a story
have right answers.
"""
import random
from dataclasses import dataclass, field

import words
from text import expand, paragraph

AT = set("""river bridge harbour tower beach market school mill station lake farm well square
inn weir""".split())
ON = {"hill", "mountain", "island"}
MADE_UP_SHARE = 0.25  # of names


def at(place: str) -> str:
    """"in the kitchen", "at the river"."""
    return ("at" if place in AT else "on" if place in ON else "in") + " the " + place


@dataclass(frozen=True)
class Person:
    """Somebody with a name, a job, and the pronouns of a girl or a boy."""
    name: str
    kind: str
    job: str

    @property
    def they(self) -> str:
        return "she" if self.kind == "girl" else "he"

    @property
    def them(self) -> str:
        return "her" if self.kind == "girl" else "him"

    @property
    def their(self) -> str:
        return "her" if self.kind == "girl" else "his"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Thing:
    """A thing with one quality that tells it from others: "the red ball"."""
    quality: str
    noun: str

    def __str__(self) -> str:
        return f"{self.quality} {self.noun}"


def new_person(rng: random.Random, taken: set[str] = frozenset()) -> Person:
    """A person with a name that is not taken."""
    while True:
        kind = rng.choice(("girl", "boy"))
        listed = words.GIRLS if kind == "girl" else words.BOYS
        made_up = rng.random() < MADE_UP_SHARE
        name = words.made_up_name(rng, kind) if made_up else rng.choice(listed)
        if name not in taken:
            return Person(name, kind, rng.choice(words.JOBS))


def new_people(rng: random.Random, count: int) -> list[Person]:
    """People with different names and jobs."""
    people: list[Person] = []
    while len(people) < count:
        person = new_person(rng, {other.name for other in people})
        if person.job not in {other.job for other in people}:
            people.append(person)
    return people


def new_things(rng: random.Random, count: int) -> list[Thing]:
    """Things of different kinds."""
    return [Thing(rng.choice(words.COLOURS), noun) for noun in rng.sample(words.THINGS, count)]


@dataclass
class World:
    """People, things and places, the text told so far, and the state behind it."""
    rng: random.Random
    people: list[Person]
    things: list[Thing]
    places: list[str]
    told: list[str] = field(default_factory=list)
    subject: Person | None = None  # of the last sentence that told a change
    where: dict[Person, str] = field(default_factory=dict)
    holder: dict[Thing, Person] = field(default_factory=dict)
    lies: dict[Thing, str] = field(default_factory=dict)
    visited: dict[Person, list[str]] = field(default_factory=dict)
    givers: dict[Thing, tuple[Person, Person]] = field(default_factory=dict)
    history: dict[Thing, list[str]] = field(default_factory=dict)

    def say(self, template: str, **fields: object) -> None:
        """Tells a sentence that changes nothing."""
        self.told.append(expand(self.rng, template, **fields))

    def text(self) -> str:
        """All that was told, as one paragraph."""
        return paragraph(self.told)

    def note(self, thing: Thing, fact: str) -> None:
        """Remembers a fact for reasoning about the thing."""
        self.history.setdefault(thing, []).append(fact)

    def start(self, person: Person, place: str) -> None:
        """The person is somewhere, of which the text tells elsewhere."""
        self.where[person] = place
        self.visited.setdefault(person, []).append(place)

    def go(self, person: Person, place: str, why: str = "") -> None:
        """The person goes to a place, with all that the person holds."""
        self.start(person, place)
        who = person.they if self.subject == person else person
        self.say("[{who} went|{p} walked|{p} ran|then {who} went|{p} went {how}] to the {place}"
                 "{why}.", p=person, who=who, place=place, why=why,
                 how=self.rng.choice(words.MANNERS))
        self.subject = person

    def has(self, person: Person, thing: Thing) -> None:
        """The person has the thing, of which the text tells elsewhere."""
        self.holder[thing] = person
        self.lies.pop(thing, None)
        self.note(thing, f"{person} has it.")

    def take(self, person: Person, thing: Thing) -> None:
        """The person takes the thing where the person is."""
        self.say("[{p} took the {t}|{p} picked up the {t}|there {p} took the {t}|{p} got the {t}].",
                 p=person, t=thing)
        self.subject = person
        self.holder[thing] = person
        self.lies.pop(thing, None)
        self.note(thing, f"{person} took it.")

    def give(self, giver: Person, taker: Person, thing: Thing) -> None:
        """The thing changes hands."""
        self.say("[{a} gave the {t} to {b}|{a} gave {b} the {t}|{a} handed the {t} to {b}].",
                 a=giver, b=taker, t=thing)
        self.subject = None
        self.holder[thing] = taker
        self.givers[thing] = (giver, taker)
        self.note(thing, f"{giver} gave it to {taker}.")

    def put(self, person: Person, thing: Thing, spot: str) -> None:
        """The person leaves the thing behind."""
        self.say("[{p} put the {t} {spot}|{p} left the {t} {spot}|{p} hid the {t} {spot}].",
                 p=person, t=thing, spot=spot)
        self.subject = person
        self.holder.pop(thing, None)
        self.lies[thing] = f"{spot} {at(self.where[person])}"
        self.note(thing, f"{person} put it {self.lies[thing]}.")


def new_world(rng: random.Random, people: int, things: int, places: int) -> World:
    """A world of which nothing is told yet."""
    return World(rng, new_people(rng, people), new_things(rng, things),
                 rng.sample(words.PLACES, places))
