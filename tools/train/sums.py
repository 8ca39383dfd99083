# SPDX-License-Identifier: MIT
"""Sums and differences of numbers up to 99, bare and in words, with the steps in which one finds
them."""
import random

import words
from questions import Question
from text import expand
from world import new_people


def sum_steps(a: int, b: int) -> str:
    """Addition by columns."""
    ones = a % 10 + b % 10
    steps = f"The ones: {a % 10} + {b % 10} = {ones}."
    carry = ones // 10
    if a < 10 and b < 10:
        return steps
    if carry:
        steps += f" The tens: {a // 10} + {b // 10} + 1 = {a // 10 + b // 10 + 1}."
    else:
        steps += f" The tens: {a // 10} + {b // 10} = {a // 10 + b // 10}."
    return f"{steps} So {a} + {b} = {a + b}."


def difference_steps(a: int, b: int) -> str:
    """Subtraction by columns; a >= b."""
    borrow = a % 10 < b % 10
    top = a % 10 + 10 * borrow
    steps = f"The ones: {top} - {b % 10} = {top - b % 10}."
    if a < 10:
        return steps
    tens = a // 10 - borrow
    return f"{steps} The tens: {tens} - {b // 10} = {tens - b // 10}. So {a} - {b} = {a - b}."


def numbers(rng: random.Random) -> tuple[int, int, str]:
    """Two numbers and what to do with them; small ones more often than large ones."""
    top = rng.choice((9, 20, 50, 99))
    a, b = rng.randint(0, top), rng.randint(0, top)
    if rng.random() < 0.5:
        return a, b, "+"
    return max(a, b), min(a, b), "-"


def sum_question(rng: random.Random) -> Question:
    """"What is 12 + 7?\""""
    a, b, sign = numbers(rng)
    result = a + b if sign == "+" else a - b
    reason = sum_steps(a, b) if sign == "+" else difference_steps(a, b)
    ask = expand(rng, "[What is {a} {s} {b}?|{a} {s} {b} = ?|How much is {a} {w} {b}?]", a=a, b=b,
                 s=sign, w="plus" if sign == "+" else "minus")
    return Question(ask, f"{result}", f"{a} {sign} {b} = {result}", reason)


def sum_in_words(rng: random.Random) -> Question:
    """A small story about how many things somebody has."""
    a, b, sign = numbers(rng)
    first, second = new_people(rng, 2)
    noun = rng.choice(words.COUNTED)
    if sign == "+":
        change = "[{q} gives {them} {b} more|{they} finds {b} more|{they} buys {b} more]"
    else:
        change = "[{they} gives {b} to {q}|{they} loses {b}|{they} sells {b}]"
    ask = expand(rng, "{p} has {n}. " + change + ". How many {ns} does {p} have now?", p=first,
                 q=second, n=words.counted(a, noun), b=b, them=first.them, they=first.they,
                 ns=words.plural(noun))
    ask = ask.replace(". she ", ". She ").replace(". he ", ". He ")
    result = a + b if sign == "+" else a - b
    reason = sum_steps(a, b) if sign == "+" else difference_steps(a, b)
    return Question(ask, f"{result}", f"{first} has {words.counted(result, noun)} now.", reason)


def sums(rng: random.Random) -> str:
    """A document: a page of sums."""
    lines = []
    for _ in range(rng.randint(4, 12)):
        a, b, sign = numbers(rng)
        lines.append(f"{a} {sign} {b} = {a + b if sign == '+' else a - b}")
    return "\n".join(lines)
