# SPDX-License-Identifier: MIT
"""The words of the small world: lists, and the few rules that make further words of them.

Everything that the model reads is made of these lists and of the sentences in the other files.
"""
import random


def entries(text: str) -> list[str]:
    """What stands between bars, wherever lines break."""
    return [" ".join(entry.split()) for entry in text.split("|")]


GIRLS = """Ada Anna Bella Cleo Clara Dora Ella Emma Fay Flora Greta Hanna Ida Ines Iris Ivy Jane
Julia Kate Lena Lily Lisa Lucy Maja Mara Maria Mia Mila Mina Nadia Nina Nora Olga Pia Rita Rosa
Ruth Sara Sonja Tess Thea Tilda Vera Wilma Zoe""".split()
BOYS = """Adam Alan Ben Bruno Carl Dan David Emil Erik Felix Finn Frank Fred George Gus Hans Henry
Hugo Ivan Jack Jakob Jan John Jonas Karl Leo Lars Luke Mark Max Nico Noah Oscar Otto Paul Pete
Ralf Sam Simon Theo Tim Tom Victor Walter Will""".split()

# Names that are in no list are made of these, so that the model must copy what it reads.
NAME_HEADS = "Ba Be Da Do Fa Fe Ga Ka Ke Lo Ma Me Na Ne Pa Po Ra Ro Sa Se Ta Te Va Vo Za".split()
NAME_MIDDLES = "la le li lo ma mi mo na ne ni ra re ri ro sa se ta ti va vi".split()
NAME_TAILS = {"girl": "na ra la sha lia mina".split(), "boy": "n r k mo lan ron".split()}

JOBS = """baker farmer miller teacher doctor painter builder fisher tailor smith gardener driver
singer writer dancer cook hunter sailor shepherd potter carpenter nurse judge clerk guard weaver
printer pilot plumber keeper""".split()

PLACES = """kitchen garden barn mill market school library forest river bridge harbour church
tower castle cave beach meadow field village town shop bakery workshop attic cellar hall stable
park station museum hill mountain lake island farm orchard well square garage inn""".split()

# Where a thing can be put, and how.
SPOTS = entries("""under the table|on the table|in the box|behind the door|under the bed|on the
shelf|in the drawer|next to the stove|under the bench|behind the tree|in the basket|on the chair|in
the cupboard|on the roof|under the stairs|next to the gate|in the chest|behind the curtain""")

THINGS = """ball book key lamp cup hat coat ring coin map letter drum flute bell knife spoon plate
bottle basket box bag rope hammer ladder broom bucket blanket pillow mirror clock candle brush
pencil stone shell feather flower leaf stick kite doll boat wheel chain lantern scarf glove boot
shoe button ribbon pot pan bowl jar saw nail spade net whistle trumpet violin picture vase umbrella
compass helmet shield crown purse stamp ticket pipe comb needle thread""".split()

COLOURS = "red blue green yellow white black brown grey orange purple pink golden silver".split()

FOODS = """apple pear plum cherry lemon peach melon carrot onion potato cabbage tomato pumpkin
bean pea nut egg bread cheese butter honey milk rice soup cake pie pancake cookie jam salt sugar
pepper fish ham sausage mushroom berry""".split()
COUNTED = """apple pear plum cherry lemon peach carrot onion potato egg nut cookie pancake coin
stone shell button book cup candle pencil flower feather stamp key nail ball""".split()

ANIMALS = """dog cat horse cow sheep goat pig hen duck goose rabbit mouse fox wolf bear deer owl
frog turtle fish bee ant spider snail crow eagle swan hedgehog squirrel donkey otter
beaver""".split()

WEATHER = "sunny rainy windy cloudy foggy snowy stormy warm cold dry".split()
FEELINGS = """happy sad tired angry proud afraid glad calm hungry thirsty curious worried surprised
lonely excited bored thankful brave""".split()
MANNERS = """slowly quickly quietly carefully happily sadly gently bravely kindly proudly softly
loudly""".split()

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = """January February March April May June July August September October November
December""".split()
SEASONS = "spring summer autumn winter".split()
NUMBERS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen twenty""".split()

OPPOSITES = entries("""hot cold|big small|old new|long short|heavy light|high low|fast slow|hard
soft|full empty|wet dry|day night|good bad|rich poor|loud quiet|early late|open closed|near
far|happy sad|strong weak|thick thin|dark bright|first last|left right|up down|clean dirty|sweet
sour|wide narrow|deep shallow|young old|true false""")
HOMES = entries("""bee hive|bird nest|dog kennel|horse stable|cow barn|fox den|spider web|fish
water|rabbit burrow|pig sty|bear cave|hen coop|king castle|monk abbey|farmer farm|miller mill""")
YOUNG = entries("""dog puppy|cat kitten|cow calf|sheep lamb|horse foal|hen chick|duck duckling|goat
kid|pig piglet|bear cub|goose gosling|deer fawn|frog tadpole|swan cygnet""")
SOUNDS = entries("""dog barks|cat meows|cow moos|sheep bleats|duck quacks|owl hoots|bee buzzes|frog
croaks|crow caws|lion roars|wolf howls|pig grunts|mouse squeaks|snake hisses|horse neighs|goose
honks""")
COLOUR_OF = entries("""the sky blue|grass green|snow white|coal black|blood red|a lemon yellow|a
carrot orange|milk white|a tomato red|the sun yellow|the night black|a leaf green|chocolate brown|a
plum purple|a pig pink""")
USES = entries("""hammer hit nails|knife cut bread|broom sweep the floor|key open a door|lamp give
light|umbrella stay dry|clock tell the time|spoon eat soup|pencil write|needle sew|bucket carry
water|ladder climb|map find the way|net catch fish|oven bake bread|saw cut wood|comb tidy hair|boat
cross the river|bell call people|blanket keep warm""")
GROUPS = {
    "colours": COLOURS,
    "animals": ANIMALS,
    "farm animals": "cow sheep goat pig hen horse duck goose donkey".split(),
    "wild animals": "fox wolf bear deer owl otter beaver hedgehog squirrel eagle".split(),
    "fruits": "apple pear plum cherry lemon peach melon berry".split(),
    "vegetables": "carrot onion potato cabbage tomato pumpkin bean pea".split(),
    "tools": "hammer saw knife spade ladder broom bucket needle".split(),
    "instruments": "drum flute bell whistle trumpet violin".split(),
    "clothes": "hat coat scarf glove boot shoe".split(),
    "jobs": JOBS,
    "days": DAYS,
    "months": MONTHS,
    "seasons": SEASONS,
}
MASS = "bread cheese butter honey milk rice soup jam salt sugar pepper ham".split()
PLURALS = {"sheep": "sheep", "fish": "fish", "mouse": "mice", "goose": "geese", "leaf": "leaves",
           "knife": "knives", "wolf": "wolves", "deer": "deer", "shelf": "shelves"}


def plural(word: str) -> str:
    """The plural of a noun of the lists."""
    if word in MASS:
        return word
    if word in PLURALS:
        return PLURALS[word]
    if word.endswith(("s", "x", "sh", "ch")) or word in ("potato", "tomato"):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeou":
        return word[:-1] + "ies"
    return word + "s"


def counted(number: int, word: str) -> str:
    """"1 apple", "2 apples"."""
    return f"{number} {word if number == 1 else plural(word)}"


def an(phrase: str) -> str:
    """The phrase with its indefinite article."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def joined(words: list[str]) -> str:
    """"a, b and c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def made_up_name(rng: random.Random, kind: str) -> str:
    """A name that is, most likely, new to the model."""
    middle = "".join(rng.choices(NAME_MIDDLES, k=rng.randint(0, 2)))
    return rng.choice(NAME_HEADS) + middle + rng.choice(NAME_TAILS[kind])
