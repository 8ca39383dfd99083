#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many clients of one weir serve at once, of all kinds, for some time.

    tests/serve/soak.py WEIR FOLDER [--seconds S] [--clients N] [--shorter N] [--seed N]

What a request says when it is alone is asked first; beside all others it must say the same, to the
byte. Further requests have an answer that no other one can have, by a grammar or a schema. All
that is not answered so is refused with the status that is due. Halfway and at the end all clients
pause: then nothing may be left of what they asked, but for what the server keeps by its flags."""
import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sys
import threading
import time

from live import Failure, Server, check, events_of, is_sanitized, text_of, text_of_stream

SLOTS = 8
CONTEXT = 1024  # tokens of a slot
CACHE_MIB = 16
CONSTRAINTS = 8  # grammars that the server keeps, of those that were used last
# Between two pauses the cache may become full, and the allocator may place the same small blocks
# worse: it has 8 heaps for each processor, of which each may keep what one more request took, which
# is under 1 MiB, since larger blocks go back to the system.
GROWTH_MIB = CACHE_MIB + 8 * (os.cpu_count() or 1)
FLAGS = ['-np', str(SLOTS), '-c', str(SLOTS * CONTEXT), '--cache-ram', str(CACHE_MIB), '--metrics',
         '--max-queue', '48', '--max-body', '1', '--timeout', '60']
NAMES = ['Flora', 'Hugo', 'Bella', 'Maja', 'Oskar', 'Nadia', 'Emil', 'Tilda', 'Ivan', 'Rosa']
THINGS = ['a miller', 'the weir', 'a red goose', 'a garden', 'the old boat', 'a lost key',
          'the river', 'a small village', 'bread', 'a blue door']
CHAT = '/v1/chat/completions'
REFUSED = 429  # the queue is full


# ---- requests that say the same whenever they are asked ----------------------------------------

def words(draw, count):
    return ' '.join(f'{draw.choice(NAMES)} and {draw.choice(NAMES)} saw {draw.choice(THINGS)}.'
                    for _ in range(count))


def messages(draw, text):
    """With some before them; what stands for an answer is no model's."""
    turns = []
    for _ in range(draw.choice([0, 0, 1, 3])):
        turns += [{'role': 'user', 'content': words(draw, draw.randint(1, 6))},
                  {'role': 'assistant', 'content': f'{draw.choice(THINGS)}!'}]
    return turns + [{'role': 'user', 'content': text}]


def draw_case(draw, number, shorter):
    """Path and body; lengths of prompts and answers are mixed."""
    name = draw.choice(NAMES)
    before = words(draw, draw.choice([0, 1, 4, 25]) // shorter)
    question = f'{before} Tell a story about {name} ({number}).'
    most = max(4, draw.choice([4, 16, 40, 100]) // shorter)
    body = {'temperature': 0} if draw.random() < 0.7 else {'temperature': 1, 'seed': number}
    path = draw.choice([CHAT, CHAT, '/v1/completions',
                        '/completion', '/v1/messages', '/v1/responses'])
    if number == 0:  # there is one that several() can ask
        path, body = CHAT, {'temperature': 0}
    if path == '/completion':
        return path, {**body, 'prompt': question, 'n_predict': most, 'ignore_eos': most > 16}
    if path == '/v1/completions':
        return path, {**body, 'prompt': question, 'max_tokens': most}
    if path == '/v1/responses':
        return path, {**body, 'input': question, 'max_output_tokens': most}
    asked = messages(draw, question)
    if path == CHAT and draw.random() < 0.5:
        asked.insert(0, {'role': 'system', 'content': words(draw, draw.choice([1, 10]))})
    return path, {**body, 'messages': asked, 'max_tokens': most}


class Case:
    """A request, and what it says alone."""

    def __init__(self, server, path, body):
        self.path, self.body = path, body
        status, _, whole = server.ask(path, body)
        check(status == 200, f'alone, {path}: {status} {whole}')
        self.said = text_of(path, whole)[0]


# ---- what a client does ------------------------------------------------------------------------

class Client:
    """Asks one thing after the other, with figures of its own."""

    def __init__(self, soak, number):
        self.soak, self.server, self.number = soak, soak.server, number
        self.draw = random.Random(soak.seed * 1000003 + number)
        self.asked = 0
        self.counts = collections.Counter()

    def code_word(self):
        """None but this request has it."""
        self.asked += 1
        return f'{self.draw.choice(NAMES).lower()}-{self.number}-{self.asked}'

    def come_later(self):
        self.counts['refused'] += 1
        time.sleep(self.draw.uniform(0.1, 0.8))

    def ask(self, path, body):
        """The whole answer, or None if the server says that it has too much to do."""
        status, headers, whole = self.server.ask(path, body)
        if status == REFUSED:
            check(int(headers['Retry-After']) >= 1, f'Retry-After: {headers["Retry-After"]}')
            self.come_later()
            return None
        check(status == 200, f'{path}: {status} {whole}')
        return whole

    def stream(self, path, body):
        """A connection and the head of its stream; no connection if it is refused."""
        connection, response = self.server.send(path, {**body, 'stream': True})
        if response.status == 200:
            return connection, response
        status, text = response.status, response.read()
        connection.close()
        check(status == REFUSED, f'{path}, a stream: {status} {text}')
        self.come_later()
        return None, None

    def compare(self, case, said):
        expected = [case.said] * len(said)
        check(said == expected, f'{case.path} {json.dumps(case.body)}\n  says {said}\n  alone '
                                f'{expected}')

    # ---- equalities

    def whole(self):
        case = self.draw.choice(self.soak.cases)
        whole = self.ask(case.path, case.body)
        if whole is not None:
            self.compare(case, text_of(case.path, whole))

    def streamed(self, pause=None):
        case = self.draw.choice(self.soak.cases)
        connection, response = self.stream(case.path, case.body)
        if connection is not None:
            self.compare(case, text_of_stream(case.path, response, pause=pause))
            connection.close()

    def slow(self):
        self.streamed(pause=lambda: time.sleep(self.draw.uniform(0, 0.05)))

    def salted(self):
        case = self.draw.choice(self.soak.cases)
        whole = self.ask(case.path, {**case.body, 'cache_salt': self.code_word()})
        if whole is not None:
            self.compare(case, text_of(case.path, whole))

    def without_cache(self):
        case = self.draw.choice(self.soak.cases)
        whole = self.ask(case.path, {**case.body, 'cache_prompt': False})
        if whole is not None:
            self.compare(case, text_of(case.path, whole))

    def several(self):
        """Greedily all choices are the same; n > 1 with a seed draws differently."""
        case = self.draw.choice([c for c in self.soak.cases if c.path == CHAT and
                                 c.body['temperature'] == 0])
        count = self.draw.randint(2, 4)
        if self.draw.random() < 0.5:
            whole = self.ask(case.path, {**case.body, 'n': count})
            said = None if whole is None else text_of(case.path, whole)
        else:
            connection, response = self.stream(case.path, {**case.body, 'n': count})
            said = connection and text_of_stream(case.path, response, choices=count)
        if said is not None:
            check(len(said) == count, f'{len(said)} choices of {count}')
            self.compare(case, said)

    # ---- answers that no other request has

    def own(self, word, said):
        check(said == word, f'{said!r} instead of {word!r}: the answer of somebody else')

    def grammar(self):
        word = self.code_word()
        whole = self.ask('/completion', {'prompt': words(self.draw, 3), 'n_predict': 64,
                                         'grammar': f'root ::= "{word}"'})
        if whole is not None:
            self.own(word, whole['content'])

    def schema(self):
        word = self.code_word()
        schema = {'name': 'word', 'schema': {'type': 'object', 'required': ['word'],
                                             'properties': {'word': {'const': word}}}}
        body = {'messages': messages(self.draw, 'A word!'), 'max_tokens': 200,
                'response_format': {'type': 'json_schema', 'json_schema': schema}}
        whole = self.ask(CHAT, body)
        if whole is not None:
            self.own({'word': word}, json.loads(text_of(CHAT, whole)[0]))

    def tool(self):
        word = self.code_word()
        parameters = {'type': 'object', 'required': ['word'], 'additionalProperties': False,
                      'properties': {'word': {'type': 'string', 'enum': [word]}}}
        body = {'messages': messages(self.draw, 'Call it.'), 'max_tokens': 200, 'temperature': 0,
                'tool_choice': 'required', 'tools': [{'type': 'function', 'function': {
                    'name': 'say', 'parameters': parameters}}]}
        whole = self.ask(CHAT, body)
        if whole is not None:
            call = whole['choices'][0]['message']['tool_calls'][0]['function']
            self.own({'word': word}, json.loads(call['arguments']))

    def conversation(self):
        """With the model's own answers in it: their state came token by token and may be gone, so
        nothing is compared."""
        turns = []
        for _ in range(self.draw.randint(2, 4)):
            turns.append({'role': 'user', 'content': words(self.draw, 2)})
            whole = self.ask(CHAT, {'messages': turns, 'max_tokens': 24})
            if whole is None:
                return
            turns.append({'role': 'assistant',
                          'content': text_of(CHAT, whole)[0]})

    def tokens(self):
        text = f'{self.code_word()} {words(self.draw, 5)}'
        ids = self.ask('/tokenize', {'content': text})['tokens']
        self.own(text, self.ask('/detokenize', {'tokens': ids})['content'])

    def look(self):
        path = self.draw.choice(['/slots', '/metrics', '/props', '/health', '/v1/models', '/'])
        status, _, _ = self.server.ask(path)
        check(status == 200, f'{path}: {status}')

    # ---- those who go away

    def cancel(self):
        """In the middle of a stream, of which at least one event came."""
        body = {'prompt': self.long_prompt(), 'n_predict': 400, 'ignore_eos': True}
        connection, response = self.stream('/completion', body)
        if connection is not None:
            events = events_of(response)
            for _ in range(self.draw.randint(1, 30)):
                next(events)
            response.close()
            connection.close()

    def long_prompt(self):
        return words(self.draw, 20 // self.soak.shorter)

    def send_part(self, request, length):
        with socket.create_connection(('127.0.0.1', self.server.port), timeout=60) as sent:
            sent.sendall(request[:length])
            time.sleep(self.draw.uniform(0, 0.1))

    def leave(self):
        """Somewhere in a request, or as soon as it is sent."""
        body = json.dumps({'prompt': self.long_prompt(), 'n_predict': 200}).encode()
        request = (b'POST /completion HTTP/1.1\r\nHost: a\r\nContent-Length: ' +
                   str(len(body)).encode() + b'\r\n\r\n' + body)
        is_all = self.draw.random() < 0.5
        self.send_part(request, len(request) if is_all else self.draw.randrange(len(request)))

    # ---- what is refused

    def bad(self):
        path, body, expected = self.draw.choice(BAD)
        status, _, said = self.server.ask(path, body)
        check(status == expected, f'{path} {str(body)[:80]}: {status} {said}, not {expected}')
        check(said['error']['message'], f'{path}: no message')

    def garbage(self):
        """What is no HTTP has an answer of 4xx, or none."""
        noise = bytes(self.draw.randrange(256) for _ in range(self.draw.randint(1, 400)))
        with socket.create_connection(('127.0.0.1', self.server.port), timeout=60) as sent:
            sent.sendall(self.draw.choice([b'', b'GET /', b'POST /completion HTTP/1.1\r\n']) +
                         noise + b'\r\n\r\n')
            sent.shutdown(socket.SHUT_WR)
            try:
                answer = sent.recv(64)
            except ConnectionResetError:
                answer = b''
        check(answer == b'' or answer.startswith(b'HTTP/1.1 4'), f'garbage: {answer}')

    KINDS = {whole: 10, streamed: 10, slow: 3, salted: 3, without_cache: 2, several: 3, grammar: 4,
             schema: 4, tool: 3, conversation: 2, tokens: 1, look: 2, cancel: 6, leave: 4, bad: 4,
             garbage: 2}

    def run(self):
        kinds, weights = list(self.KINDS), list(self.KINDS.values())
        while self.soak.may_go_on(self):
            kind = self.draw.choices(kinds, weights)[0]
            refused = self.counts['refused']
            try:
                kind(self)
                self.counts[kind.__name__] += self.counts['refused'] == refused
            except (Failure, OSError, ValueError, LookupError, TypeError,
                    http.client.HTTPException) as error:
                self.soak.fail(f'client {self.number}, {kind.__name__}: '
                               f'{type(error).__name__}: {error}')


HELLO = [{'role': 'user', 'content': 'Hello'}]
BAD = [
    (CHAT, b'{"messages": [', 400),
    (CHAT, b'\xff\xfe', 400),
    (CHAT, b'[' * 100000, 400),
    (CHAT, {'messages': 'Hello'}, 400),
    (CHAT, {'messages': HELLO, 'temperature': 'warm'}, 400),
    (CHAT, {'messages': HELLO, 'tool_choice': 'required'}, 400),
    (CHAT, {'messages': [{'role': 'user', 'content': 'weir ' * 3 * CONTEXT}]}, 400),
    (CHAT, {'messages': HELLO, 'response_format': {'type': 'poem'}}, 400),
    ('/completion', {'prompt': 'a', 'grammar': 'root ::= ('}, 400),
    ('/completion', {'prompt': 'a', 'grammar': 'root ::= other'}, 400),
    ('/completion', {'prompt': [1, 2, 99999999]}, 400),
    ('/nowhere', {}, 404),
]


# ---- all of them -------------------------------------------------------------------------------

class Soak:
    """The clients, their pauses, and what has failed."""

    def __init__(self, server, options):
        self.server, self.seed, self.shorter = server, options.seed, options.shorter
        self.failures = []
        self.is_over = self.is_paused = False
        self.busy = options.clients
        self.changed = threading.Condition()
        draw = random.Random(options.seed)
        self.cases = [Case(server, *draw_case(draw, number, options.shorter))
                      for number in range(options.cases)]
        self.clients = [Client(self, number) for number in range(options.clients)]
        self.threads = [threading.Thread(target=client.run, daemon=True)
                        for client in self.clients]

    def fail(self, what):
        with self.changed:
            self.failures.append(what)
            self.is_over = True

    def may_go_on(self, _client):
        """Waits while all pause."""
        with self.changed:
            self.busy -= 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.is_over or not self.is_paused)
            self.busy += 1
            return not self.is_over

    def run(self, seconds):
        """For so long; then everybody has the answer that was asked for last."""
        end = time.monotonic() + seconds
        with self.changed:
            self.is_paused = False
            self.changed.notify_all()
        while time.monotonic() < end and not self.failures:
            time.sleep(0.1)
        with self.changed:
            self.is_paused = True
            self.changed.wait_for(lambda: self.busy == 0 or self.failures)
        if not self.failures:
            self.wait_idle()

    def wait_idle(self):
        """Those who went away are noticed within half a second; a thread ends by itself."""
        self.server.wait('slots that are busy for nobody', lambda: not any(
            slot['is_processing'] for slot in self.server.ask('/slots')[2]))
        check(self.server.metric('llamacpp:requests_processing') == 0, 'requests that run')
        check(self.server.metric('llamacpp:requests_deferred') == 0, 'requests that wait')
        self.server.wait(f'connections of nobody: {self.server.status("Threads")} threads',
                         lambda: self.server.status('Threads') <= self.threads_idle)

    def start(self):
        self.threads_idle = self.server.status('Threads')
        self.is_paused = True
        for thread in self.threads:
            thread.start()

    def stop(self):
        with self.changed:
            self.is_over = True
            self.changed.notify_all()
        for thread in self.threads:
            thread.join()


def memory_mib(server):
    """While the grammars are kept that these requests have: others touch more of their memory."""
    for number in range(CONSTRAINTS):
        status = server.ask('/completion', {'prompt': 'a', 'grammar': f'root ::= "{number}"'})[0]
        check(status == 200, f'a grammar: {status}')
    return server.status('RssAnon') / 1024


def load(server, options, checks_memory):
    """Two halves, the same in all that they leave behind."""
    soak = Soak(server, options)
    files = server.files()
    soak.start()
    soak.run(options.seconds / 2)
    middle = None if soak.failures else memory_mib(server)
    if not soak.failures:
        soak.run(options.seconds / 2)
    soak.stop()
    check(not soak.failures, '\n'.join(soak.failures[:5]))
    end = memory_mib(server)
    counts = sum((client.counts for client in soak.clients), collections.Counter())
    print(', '.join(f'{name} {count}' for name, count in sorted(counts.items())))
    print(f'memory {middle:.1f} MiB halfway, {end:.1f} MiB at the end; '
          f'{server.metric("llamacpp:tokens_predicted_total"):.0f} tokens generated')
    for kind in Client.KINDS:
        if options.seconds >= 60:
            check(counts[kind.__name__] > 0, f'nobody did {kind.__name__}')
    check(server.metric('weir:requests_total{end="failed"}') == 0, 'answers that failed')
    server.wait(f'more open files than {files}', lambda: server.files() <= files)
    if checks_memory:
        check(end - middle < GROWTH_MIB, 'memory grows')
    return soak.cases


def drain(server, cases):
    """The server ends while some have their answers, which become whole, or are told so."""
    opened = []
    for case in cases[:SLOTS]:
        connection, response = server.send(case.path, {**case.body, 'stream': True})
        check(response.status == 200, f'{case.path}: {response.status}')
        opened.append((case, connection, response))
    server.process.send_signal(signal.SIGTERM)
    for case, connection, response in opened:
        try:
            said = text_of_stream(case.path, response)[0]
            check(said == case.said, f'{case.path} says at the end {said!r}, alone {case.said!r}')
        except Failure as failure:
            if 'The server is about to end' not in str(failure):
                raise
        connection.close()
    status = server.wait_end()
    check(status == 0, f'exit status {status}:\n{server.said()[-4000:]}')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('weir', type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('--seconds', type=float, default=8)
    parser.add_argument('--clients', type=int, default=64)
    parser.add_argument('--cases', type=int, default=48)
    parser.add_argument('--shorter', type=int, default=1,
                        help='divides lengths, for a program in which a token takes long')
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    cache = ['--cache-dir', str(options.folder / 'cache'), '--cache-size', '16']
    server = Server(options.weir, options.folder, *FLAGS, *cache)
    try:
        drain(server, load(server, options, not is_sanitized(options.weir)))
        print('1 passed, 0 failed')
        return 0
    except Failure as failure:
        print(f'seed {options.seed}: {failure}')
        print('0 passed, 1 failed')
        return 1
    finally:
        if server.process.poll() is None:
            server.kill()


if __name__ == '__main__':
    sys.exit(main())
