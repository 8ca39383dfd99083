# SPDX-License-Identifier: MIT
"""Stories: plots told in a world (world.py). Each plot has a beginning, a need, and an end."""
import random
from typing import Callable

import words
from world import Person, Thing, World, at, new_world


def opening(world: World, hero: Person, home: str) -> None:
    """Introduces the hero."""
    job = words.an(hero.job)
    world.say("[Once upon a time there was {job} named {p}|Once there was {job} called {p}|"
              "Long ago there lived {job} named {p}|There was once {job} whose name was {p}].",
              p=hero, job=job)
    world.say("[{they} lived {at} in a small village by the weir|{they} lived {at}|"
              "{they} worked {at} every day|every day {p} worked {at}|{their} home was {at}].",
              p=hero, they=hero.they, their=hero.their.capitalize(), at=at(home))
    world.start(hero, home)


def day(world: World) -> None:
    """A new day, so that something can happen."""
    world.say("[One {w} morning|One {w} day|On a {w} {d}|It was a {w} day in {s}, and soon|"
              "Early one {d}] something [new|strange|special|unexpected] happened.",
              w=world.rng.choice(words.WEATHER), d=world.rng.choice(words.DAYS),
              s=world.rng.choice(words.SEASONS))


def ending(world: World, hero: Person, friend: Person) -> None:
    """Everybody feels something, and it is evening."""
    world.say("[{a} and {b} were very {f}|{a} was {f}, and {b} was {f} too|In the end they were "
              "both {f}|{a} thanked {b} and felt {f}].", a=hero, b=friend,
              f=world.rng.choice("happy glad proud thankful calm".split()))
    world.say("[In the evening they [ate {food}|drank tea|sang a song] [together|by the fire|by "
              "the river]|Then they went home|They stayed friends for ever|And the water went on "
              "flowing over the weir].", food=world.rng.choice("soup cake bread pie".split()))


def lost(world: World) -> None:
    """Something is lost, looked for, and found."""
    (hero, friend), thing = world.people, world.things[0]
    home, wrong, right = world.places[:3]
    spot = world.rng.choice(words.SPOTS)
    opening(world, hero, home)
    world.say("{p} had {t} that {they} loved.", p=hero, t=words.an(str(thing)), they=hero.they)
    day(world)
    world.say("[The {t} was gone|{p} could not find the {t}|{p} had lost the {t}].", p=hero,
              t=thing)
    world.say("{p} was very {f}.", p=hero, f=world.rng.choice(("sad", "worried", "surprised")))
    world.go(hero, wrong)
    world.say("{they} looked {spot}, but the {t} was not there.", they=hero.they, t=thing,
              spot=world.rng.choice(words.SPOTS))
    world.say("[There {p} met {q}, the {job}|{q}, the {job}, was there].", p=hero, q=friend,
              job=friend.job)
    world.start(friend, wrong)
    world.say("\"Have you seen my {t}?\" asked {p}.", p=hero, t=thing)
    world.say("\"[Yes|I think so|Maybe],\" said {q}. \"Look {at}.\"", q=friend, at=at(right))
    world.go(hero, right)
    world.say("The {t} was {spot}.", t=thing, spot=spot)
    world.note(thing, f"It was {spot} {at(right)}.")
    world.take(hero, thing)
    ending(world, hero, friend)


def gift(world: World) -> None:
    """A present is bought and given."""
    (hero, friend), thing = world.people, world.things[0]
    home, shop, place = world.places[:3]
    price = world.rng.randint(2, 20)
    opening(world, hero, home)
    world.say("{p} had a friend called {q}, who was {job}.", p=hero, q=friend,
              job=words.an(friend.job))
    world.say("It was {q}'s birthday, and {p} wanted to give {them} [a present|something nice].",
              p=hero, q=friend, them=friend.them)
    world.go(hero, shop)
    world.say("There {they} saw {t}. It cost {n}.", they=hero.they, t=words.an(str(thing)),
              n=words.counted(price, "coin"))
    world.say("[{p} paid and took the {t}|{p} bought the {t}].", p=hero, t=thing)
    world.has(hero, thing)
    world.go(hero, place)
    world.say("{q} was waiting there.", q=friend)
    world.start(friend, place)
    world.give(hero, friend, thing)
    world.say("\"[What a lovely {n}|Thank you for the {n}]!\" said {q}.", q=friend, n=thing.noun)
    ending(world, friend, hero)


def rescue(world: World) -> None:
    """An animal is in trouble, and somebody brings what helps."""
    (hero, friend), thing = world.people, world.things[0]
    home, place, store = world.places[:3]
    animal = world.rng.choice(words.ANIMALS)
    opening(world, hero, home)
    day(world)
    world.go(hero, place)
    world.say("There {they} heard [a noise|a cry|a voice]. It was {a} that [could not move|had "
              "fallen into a hole|was stuck].", they=hero.they, a=words.an(animal))
    world.say("The {a} was {f}. \"I need the {t},\" [said|thought] {p}.", a=animal, p=hero,
              t=thing, f=world.rng.choice(("afraid", "cold", "tired", "hungry")))
    world.go(hero, store)
    world.start(friend, store)
    world.say("{q}, the {job}, was there and had the {t}.", q=friend, job=friend.job, t=thing)
    world.has(friend, thing)
    world.give(friend, hero, thing)
    world.go(hero, place, " again")
    world.say("With the {t} {p} helped the {a}, and soon it was free.", t=thing, p=hero, a=animal)
    world.say("[The {a} thanked {p} and ran away|The {a} came home with {p}|From that day on the "
              "{a} was {p}'s friend].", a=animal, p=hero)
    ending(world, hero, friend)


def trade(world: World) -> None:
    """Two people swap what they have."""
    (hero, friend), (mine, yours) = world.people, world.things[:2]
    home, place = world.places[:2]
    opening(world, hero, home)
    world.say("{p} had {m}, but {they} wanted {y}.", p=hero, they=hero.they,
              m=words.an(str(mine)), y=words.an(str(yours)))
    world.has(hero, mine)
    world.go(hero, place)
    world.say("There {they} met {q}, {job} with {y}.", they=hero.they, q=friend,
              job=words.an(friend.job), y=words.an(str(yours)))
    world.start(friend, place)
    world.has(friend, yours)
    world.say("\"Let us trade,\" said {p}. \"[Good idea|Why not|I like that],\" said {q}.", p=hero,
              q=friend)
    world.give(hero, friend, mine)
    world.give(friend, hero, yours)
    ending(world, hero, friend)


def letter(world: World) -> None:
    """Something must be brought to somebody far away."""
    (hero, friend), thing = world.people, world.things[0]
    home, *stops = world.places
    opening(world, hero, home)
    day(world)
    world.say("A [letter|message|note] came. It said: \"Bring the {t} to {q}, the {job}, {at}.\"",
              t=thing, q=friend, job=friend.job, at=at(stops[-1]))
    world.start(friend, stops[-1])
    world.take(hero, thing)
    for stop in stops[:-1]:
        world.go(hero, stop)
        world.say("[It was {w} there|There {they} saw {a}|{they} rested [for a while|for an hour]|"
                  "{they} ate {food} and went on].", they=hero.they,
                  w=world.rng.choice(words.WEATHER), a=words.an(world.rng.choice(words.ANIMALS)),
                  food=words.an(world.rng.choice(words.FOODS[:10])))
    world.go(hero, stops[-1], " at last")
    world.give(hero, friend, thing)
    ending(world, friend, hero)


def building(world: World) -> None:
    """Three things are collected and made into one."""
    (hero, friend), home = world.people, world.places[0]
    made = world.rng.choice("boat kite house bridge cart swing raft tower scarecrow".split())
    opening(world, hero, home)
    world.say("{p} wanted to build {m}. \"I need {ts},\" said {p}.", p=hero, m=words.an(made),
              ts=words.joined([words.an(str(t)) for t in world.things]))
    for place, thing in zip(world.places[1:], world.things):
        world.go(hero, place)
        world.take(hero, thing)
    world.go(hero, home, " again")
    world.say("[{q}, the {job}, came to help|{p} asked {q}, the {job}, for help].", p=hero,
              q=friend, job=friend.job)
    world.start(friend, home)
    world.say("They worked [all day|for {n} days|until the evening], and then the {m} was ready.",
              n=world.rng.choice(words.NUMBERS[2:10]), m=made)
    ending(world, hero, friend)


def cooking(world: World) -> None:
    """A meal is made of what is found."""
    (hero, friend), (home, *stops) = world.people, world.places
    meal = world.rng.choice(("soup", "pie", "cake", "jam", "stew"))
    parts = world.rng.sample(words.COUNTED[:12], 2)
    opening(world, hero, home)
    world.say("[{p} was hungry|A guest was coming], so {p} wanted to make {m}.", p=hero,
              m=meal if meal in ("soup", "jam", "stew") else words.an(meal))
    for place, part in zip(stops, parts):
        world.go(hero, place)
        world.say("There {they} found {n}.", they=hero.they,
                  n=words.counted(world.rng.randint(1, 9), part))
    world.go(hero, home, " again")
    world.say("{p} washed the {a} and cut the {b}, and soon the {m} [smelled good|was ready].",
              p=hero, a=words.plural(parts[0]), b=words.plural(parts[1]), m=meal)
    world.say("{q}, the {job}, came in and asked: \"May I have some {m}?\" \"Of course,\" said "
              "{p}.", q=friend, job=friend.job, m=meal, p=hero)
    world.start(friend, home)
    ending(world, friend, hero)


def storm(world: World) -> None:
    """The water rises, and the gate of the weir must be moved."""
    (hero, friend), thing = world.people, world.things[0]
    home, place = world.places[:2]
    opening(world, hero, home)
    world.say("One night a [big|great|terrible] storm came, and the water in the river rose.")
    world.say("\"[The weir|The old weir] will break!\" cried {p}. \"We must open the gate with the "
              "{t}.\"", p=hero, t=thing)
    world.go(hero, place)
    world.take(hero, thing)
    world.go(hero, "weir")
    world.say("{q}, the {job}, was already there.", q=friend, job=friend.job)
    world.start(friend, "weir")
    world.give(hero, friend, thing)
    world.say("{q} opened the gate, and the water went down [slowly|at last|in the morning].",
              q=friend)
    world.say("The village was safe.")
    ending(world, hero, friend)


def errands(world: World) -> None:
    """No plot but many changes of state: for questions."""
    rng = world.rng
    for person, place in zip(world.people, world.places):
        world.say("[{p} was {at}|{p}, the {job}, was {at}|At first {p} was {at}].", p=person,
                  job=person.job, at=at(place))
        world.start(person, place)
    for _ in range(rng.randint(4, 9)):
        person, thing = rng.choice(world.people), rng.choice(world.things)
        step(world, person, thing, rng.choice(world.people))


def step(world: World, person: Person, thing: Thing, other: Person) -> None:
    """One change of state that makes sense."""
    holds = world.holder.get(thing) == person
    if holds and other != person and world.where[other] == world.where[person]:
        world.give(person, other, thing)
    elif holds and world.rng.random() < 0.5:
        world.put(person, thing, world.rng.choice(words.SPOTS))
    elif thing not in world.holder and thing not in world.lies:
        world.take(person, thing)
    else:
        place = world.where[other]
        if place == world.where[person]:
            place = world.rng.choice([p for p in world.places if p != place])
        world.go(person, place)


# Plot, people, things, places, weight.
PLOTS: list[tuple[Callable[[World], None], int, int, int, float]] = [
    (lost, 2, 1, 3, 1), (gift, 2, 1, 3, 1), (rescue, 2, 1, 3, 1), (trade, 2, 2, 2, 1),
    (letter, 2, 1, 4, 1), (building, 2, 3, 4, 1), (cooking, 2, 1, 3, 1), (storm, 2, 1, 2, 1),
    (errands, 3, 2, 3, 2),
]


def new_story(rng: random.Random, plotted: bool = False) -> World:
    """Tells one story; `plotted` leaves the one without a plot out."""
    plots = PLOTS[:-1] if plotted else PLOTS
    tell, people, things, places, _ = rng.choices(plots, [plot[4] for plot in plots])[0]
    world = new_world(rng, people, things, places)
    tell(world)
    return world
