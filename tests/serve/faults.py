#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Ends weir serve in the middle of its work, and spoils the folder of its cache.

    tests/serve/faults.py WEIR FOLDER [--rounds N] [--seed N]

Whatever happened to a server before, and to its files, the next one says what a server without
files says, and uses what is whole."""
import argparse
import pathlib
import random
import resource
import shutil
import signal
import sys
import threading
import time

from live import Failure, Server, check, text_of, text_of_stream

CHAT = '/v1/chat/completions'
FLAGS = ['-np', '4', '-c', '4096', '--metrics']
STREAMS = 6  # two of them wait for a slot
SYSTEM = 'You live in a small village by the weir. ' * 20
NAMES = ['Flora', 'Hugo', 'Bella', 'Maja', 'Oskar', 'Nadia']
BODIES = [{'messages': [{'role': 'system', 'content': f'{name} is with you. {SYSTEM}'},
                        {'role': 'user', 'content': f'Tell me a story about {name}.'}],
           'temperature': 0, 'max_tokens': 24} for name in NAMES]


class Place:
    """What a test has: a folder of its own, servers with a cache there, and what they must say."""

    def __init__(self, options, name, expected):
        self.options, self.expected = options, expected
        self.folder = options.folder / name
        self.cache = self.folder / 'cache'
        self.draw = random.Random(options.seed)
        self.opened = []

    def start(self, *flags, before=None):
        # No memory for states: what a second prompt begins with comes from a slot or from a file.
        self.opened.append(Server(self.options.weir, self.folder, *FLAGS, '--cache-dir',
                                  str(self.cache), *flags, before=before))
        return self.opened[-1]

    def files(self, pattern='*.snap'):
        return sorted(self.cache.glob(pattern))

    def ask_all(self, server):
        """Tokens of the prompts, and those of them that were not evaluated."""
        tokens = cached = 0
        for body, expected in zip(BODIES, self.expected):
            status, _, whole = server.ask(CHAT, body)
            check(status == 200, f'{status}: {whole}')
            said = text_of(CHAT, whole)[0]
            check(said == expected, f'says {said!r}, without files {expected!r}')
            tokens += whole['usage']['prompt_tokens']
            cached += whole['usage']['prompt_tokens_details']['cached_tokens']
        return tokens, cached

    def close(self):
        for server in self.opened:
            if server.process.poll() is None:
                server.kill()


def end(server):
    status = server.end()
    check(status == 0, f'exit status {status}:\n{server.said()[-2000:]}')


def stream(server, body, started):
    """Up to its end, or up to that of the server, which tells nobody."""
    try:
        connection, response = server.send(CHAT, {**body, 'stream': True, 'max_tokens': 200,
                                                  'ignore_eos': True})
        started.release()
        text_of_stream(CHAT, response)
        connection.close()
    except (Failure, OSError, ValueError):
        started.release()


def kill_within(server, draw):
    """Kills it while some answers are made and others wait."""
    started = threading.Semaphore(0)
    threads = [threading.Thread(target=stream, args=(server, BODIES[i % len(BODIES)], started))
               for i in range(STREAMS)]
    for thread in threads:
        thread.start()
    started.acquire()
    time.sleep(draw.uniform(0, 0.1))
    check(server.process.poll() is None, 'the server has ended by itself')
    server.kill()
    for thread in threads:
        thread.join()


# ---- tests -----------------------------------------------------------------------------------

def test_restart(place):
    """Prompts that one server was asked are in the files of the next."""
    server = place.start()
    place.ask_all(server)
    kill_within(server, place.draw)
    check(len(place.files()) >= len(BODIES), 'files of the cache')
    server = place.start()
    tokens, cached = place.ask_all(server)
    check(cached > tokens * 0.9, f'{cached} of {tokens} tokens were held')
    end(server)


def test_kills(place):
    """Again and again, at any time; files that are there are whole, or not used."""
    for _ in range(place.options.rounds):
        kill_within(place.start(), place.draw)
    server = place.start()
    place.ask_all(server)
    end(server)
    check('ignored' not in server.said(), f'a file that is not whole:\n{server.said()}')


def test_damage(place):
    """A byte that is another, an end that is missing, nothing at all, another's bytes."""
    server = place.start()
    place.ask_all(server)
    server.kill()
    files = place.files()
    whole = [path.read_bytes() for path in files]
    for number, (path, data) in enumerate(zip(files, whole)):
        at = place.draw.randrange(len(data))
        path.write_bytes([data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:], data[:at], b'',
                          whole[number - 1]][number % 4])
    (place.cache / files[0].name.replace('.snap', '.snap.tmp1')).write_bytes(whole[0])
    server = place.start()
    _, cached = place.ask_all(server)
    check(cached == 0, f'{cached} tokens of files that are damaged')
    check('ignored' in server.said(), f'nothing is said:\n{server.said()}')
    end(server)
    server = place.start()
    tokens, cached = place.ask_all(server)
    check(cached > tokens * 0.9, f'{cached} of {tokens} tokens were held once more')
    end(server)


def limit_files():
    """As a disk that becomes full within each file: a write beyond fails."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 << 10, 32 << 10))


def check_warned(server):
    warnings = server.said().count('the prefix cache takes nothing: ')
    check(warnings == 1, f'{warnings} warnings:\n{server.said()}')


def test_full_disk(place):
    server = place.start('-cram', '0', before=limit_files)
    for _ in range(2):
        place.ask_all(server)
    check_warned(server)
    check(place.files('*') == [], f'what could not be written is left: {place.files("*")}')
    end(server)


def test_lost_folder(place):
    """Somebody removes it while the server runs."""
    server = place.start('-cram', '0')
    place.ask_all(server)
    shutil.rmtree(place.cache)
    place.ask_all(server)
    check_warned(server)
    end(server)


TESTS = [value for name, value in list(globals().items()) if name.startswith('test_')]


def ask_alone(options):
    server = Server(options.weir, options.folder, *FLAGS, '-cram', '0')
    try:
        return [text_of(CHAT, server.ask(CHAT, body)[2])[0] for body in BODIES]
    finally:
        server.kill()


def run(test, options, expected):
    place = Place(options, test.__name__, expected)
    try:
        test(place)
    except Failure as failure:
        print(f'FAIL {test.__name__}, seed {options.seed}: {failure}')
        return False
    finally:
        place.close()
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('weir', type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    expected = ask_alone(options)
    results = [run(test, options, expected) for test in TESTS]
    print(f'{results.count(True)} passed, {results.count(False)} failed')
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main())
