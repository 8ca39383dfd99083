# SPDX-License-Identifier: MIT
"""A weir serve of its own for tests of load and faults, and what they ask it over sockets."""
import ctypes
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import time

PATIENCE_S = 120  # for what takes less than a second on an idle machine without sanitizers
LISTENING = re.compile(r'listening on http://127\.0\.0\.1:(\d+)')


class Failure(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failure(what)


def is_sanitized(weir):
    """Its memory then says nothing: freed memory is kept, all memory has a shadow."""
    program = pathlib.Path(weir).read_bytes()
    return b'__asan_init' in program or b'__tsan_init' in program


def end_with_parent():
    """A test that is killed leaves nobody behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Server:
    """One that runs, up to its end; its log is a file."""

    def __init__(self, weir, folder, *flags, before=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f'log-{time.monotonic_ns()}.txt'
        with self.log.open('wb') as log:
            self.process = subprocess.Popen(
                [str(weir), 'serve', '--port', '0', '-t', '2', '--no-pin', *flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: (end_with_parent(), before and before()))
        self.port = int(self.wait('the server does not listen', self.listens)[1])

    def listens(self):
        check(self.process.poll() is None, f'the server has ended:\n{self.said()}')
        return LISTENING.search(self.said())

    def said(self):
        return self.log.read_text(encoding='utf-8', errors='replace')

    def wait(self, what, holds):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            result = holds()
            if result:
                return result
            time.sleep(0.02)
        raise Failure(what)

    def kill(self):
        """As a loss of power would, but for what the system still has to write."""
        self.process.kill()
        self.process.wait()

    def end(self):
        """Its exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end()

    def wait_end(self):
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise Failure('the server does not end') from error

    # ---- what the system knows of it

    def status(self, name):
        text = pathlib.Path(f'/proc/{self.process.pid}/status').read_text(encoding='utf-8')
        return int(re.search(rf'(?m)^{name}:\s+(\d+)', text)[1])

    def files(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    # ---- what it is asked

    def connect(self):
        return http.client.HTTPConnection('127.0.0.1', self.port, timeout=PATIENCE_S)

    def send(self, path, body=None):
        """A connection, and the response of which the head is there."""
        connection = self.connect()
        if body is None:
            connection.request('GET', path)
        else:
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            connection.request('POST', path, text, {'Content-Type': 'application/json'})
        return connection, connection.getresponse()

    def ask(self, path, body=None):
        """Status, headers and the JSON of the response, or its text."""
        connection, response = self.send(path, body)
        try:
            text = response.read().decode()
        finally:
            connection.close()
        is_json = response.headers.get('Content-Type', '').startswith('application/json')
        return response.status, response.headers, json.loads(text) if is_json else text

    def metric(self, name):
        """The sum of all values of that name."""
        text = self.ask('/metrics')[2]
        return sum(float(value) for value in
                   re.findall(rf'(?m)^{re.escape(name)}(?:{{.*}})? (\S+)$', text))


# ---- answers, whatever the API -----------------------------------------------------------------

def text_of(path, whole):
    """What a whole answer says: a list, with an entry for each choice."""
    if path == '/completion':
        return [whole['content']]
    if path == '/v1/completions':
        return [choice['text'] for choice in whole['choices']]
    if path == '/v1/messages':
        return [''.join(block.get('text', '') for block in whole['content'])]
    if path == '/v1/responses':
        return [''.join(part['text'] for item in whole['output']
                        for part in item.get('content', []))]
    return [choice['message']['content'] for choice in whole['choices']]


def is_last(event):
    return event.get('stop') is True or event.get('type') in (
        'message_stop', 'response.completed', 'response.incomplete')


def events_of(response):
    """The data of a stream's events, as they come. One that is cut off ends like one that is
    whole, but for its last event."""
    is_whole = False
    for line in response:
        if line == b'data: [DONE]\n':
            is_whole = True
        elif line.startswith(b'data: '):
            event = json.loads(line[6:])
            is_whole = is_last(event)
            yield event
    check(is_whole, 'a stream without its end')


def piece_of(path, event):
    """(choice, what an event of a stream adds to its text)."""
    if path == '/completion':
        return 0, event['content']
    if path == '/v1/messages':
        return 0, event.get('delta', {}).get('text', '')
    if path == '/v1/responses':
        return 0, event['delta'] if event['type'] == 'response.output_text.delta' else ''
    if not event['choices']:
        return 0, ''
    choice = event['choices'][0]
    text = choice['text'] if path == '/v1/completions' else choice['delta'].get('content')
    return choice['index'], text or ''


def text_of_stream(path, response, choices=1, pause=None):
    """What a stream says; `pause` is called behind each event."""
    texts = [''] * choices
    for event in events_of(response):
        check('error' not in event or event['error'] is None, f'a stream says {event}')
        index, piece = piece_of(path, event)
        texts[index] += piece
        if pause is not None:
            pause()
    return texts
