#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Types into weir chat in a terminal of 80 columns, and looks at what stands on the screen.

    tests/terminal/test_chat.py WEIR FOLDER

The terminal is tmux, of a server of its own. Each test has its own folder for files and for the
history. Answers are those of the model that ships with weir, the most likely ones."""
import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

PATIENCE_S = 20  # for what takes much less on an idle machine
STATUS = re.compile(r'\[ Prompt: [\d.]+ t/s \| Generation: [\d.]+ t/s \| '
                    r'Context: (\d+) of (\d+) left \]')
SHELL = 'trap : INT; "$@"; echo "status $?"; sleep 600'  # tells how the program ended
JOBS = ['PS1=$ ', 'bash', '--norc', '--noprofile', '-i']  # which knows Ctrl+Z
QUESTION = 'What is red?'
IDLE = re.compile(r'(^|\n)> \Z')


class Failure(Exception):
    pass


class Terminal:
    """A chat in a window of a terminal."""
    opened = 0

    def __init__(self, weir, folder, *flags, environment=(), folders=(), shell=False):
        for name in ['.', *folders]:
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.folder = folder
        Terminal.opened += 1  # a server that is on its way out takes no more windows
        self.socket = f'weir-{os.getpid()}-{Terminal.opened}'
        words = [str(weir), 'chat', '--temp', '0', '-t', '1', *flags]
        variables = {'HOME': str(folder), 'XDG_STATE_HOME': str(folder / 'state'),
                     'LC_ALL': 'C.UTF-8', 'PATH': os.environ['PATH'], **dict(environment)}
        assignments = [f'{name}={value}' for name, value in variables.items()]
        self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', '80', '-y', '40', '-c', str(folder),
                  *([] if shell else ['sh', '-c', SHELL, 'sh']), 'env', '-i', 'TERM=screen',
                  *assignments, *(JOBS if shell else words))
        if shell:
            self.type(' '.join(words))
            self.key('Enter')

    def tmux(self, *words):
        done = subprocess.run(['tmux', '-u', '-L', self.socket, *words], capture_output=True,
                              check=False)
        if done.returncode != 0:
            raise Failure(f'tmux {words[0]}: {done.stderr.decode()}')
        return done.stdout.decode()

    def close(self):
        subprocess.run(['tmux', '-L', self.socket, 'kill-server'], capture_output=True, check=False)

    def screen(self, *flags):
        """Lines without the blanks at their ends, but for the last, where the cursor is."""
        lines = self.tmux('capture-pane', '-p', '-J', '-S', '-', *flags).split('\n')
        text = '\n'.join(line.rstrip() for line in lines).rstrip('\n')
        return text + ' ' if text.endswith(('>', '...')) else text

    def wait(self, what, holds):
        """Until holds(screen) is true; returns that."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            result = holds(self.screen())
            if result:
                return result
            time.sleep(0.02)
        raise Failure(f'{what} was waited for in vain; the screen:\n{self.screen()}')

    def wait_idle(self, prompts=1):
        self.wait(f'prompt {prompts}', lambda s: IDLE.search(s) and
                  len(re.findall(r'(?m)^> ', s)) >= prompts)

    def wait_text(self, text):
        self.wait(repr(text), lambda s: text in s)

    def wait_answer(self, question):
        """Until some of it is there, to a message that ends so."""
        self.wait('some of an answer', lambda s: len(s.rpartition(question + '\n')[2]) > 40
                  and question + '\n' in s)

    def type(self, text):
        self.tmux('send-keys', '-l', '--', text)

    def key(self, *keys):
        self.tmux('send-keys', *keys)

    def paste(self, text):
        self.tmux('set-buffer', '--', text)
        self.tmux('paste-buffer', '-p')

    def say(self, text):
        """A line, and what comes of it, up to the next prompt."""
        before = len(re.findall(r'(?m)^> ', self.screen()))
        self.type(text)
        self.key('Enter')
        self.wait_idle(before + 1)
        return self.screen().split('> ' + text.split('\n')[0] + '\n')[-1]

    def stop(self):
        """By a signal of which the program learns when it goes on."""
        shell = self.tmux('display-message', '-p', '#{pane_pid}').strip()
        child = pathlib.Path(f'/proc/{shell}/task/{shell}/children').read_text().split()[0]
        os.kill(int(child), signal.SIGSTOP)

    def status(self):
        """Of the program, when it has ended."""
        return int(self.wait('the end', lambda s: re.search(r'(?m)^status (\d+)$', s))[1])


def check(condition, what, terminal=None):
    if not condition:
        screen = '' if terminal is None else '; the screen:\n' + terminal.screen()
        raise Failure(what + screen)


def answer_of(text):
    """What stands between a question and the figures."""
    return text.split('\n[ Prompt:')[0].strip()


# ---- tests -----------------------------------------------------------------------------------

def test_answers_and_figures(start):
    t = start('--reasoning', 'off')
    t.wait_idle()
    check('/help lists commands.' in t.screen(), 'a banner', t)
    check('model: ' not in t.screen(), 'no line of a log', t)
    text = t.say(QUESTION)
    found = STATUS.search(text)
    check(found is not None, 'a line of figures', t)
    check(0 < int(found[1]) < int(found[2]) == 4096, 'context left', t)
    check(len(answer_of(text)) > 3, 'an answer', t)
    t.key('C-d')
    check(t.status() == 0, 'exit status of Ctrl+D', t)
    check('Exiting...' in t.screen(), 'a last word', t)


def test_reasoning_is_dimmed(start):
    t = start('--reasoning', 'on')
    t.wait_idle()
    text = t.say(QUESTION)
    check(re.search(r'(?s)^\s*\[Start thinking\]\n.+\n\[End thinking\]\n\n\S', text), 'marks', t)
    colored = t.screen('-e')
    check('\033[2m[Start thinking]' in colored, 'reasoning is dim', t)
    check('\033[1m> ' in colored.replace('\033[0;1m', '\033[1m'), 'the prompt is bold', t)
    check('[Start' not in t.say('/nothink'), 'a command answers nothing', t)
    check('[Start' not in t.say(QUESTION), 'reasoning is off', t)


def test_no_colors(start):
    t = start('--reasoning', 'on', environment=[('NO_COLOR', '1')])
    t.wait_idle()
    t.say(QUESTION)
    check('\033[2m' not in t.screen('-e') and '\033[1m' not in t.screen('-e'), 'plain text', t)


def test_editing_and_history(start):
    t = start('--reasoning', 'off', '-n', '4')
    t.wait_idle()
    t.type('Wie hei\u00dft \u6f22\u5b57x')
    t.key('BSpace', 'BSpace', 'BSpace')
    t.type('ihr')
    t.key('Home')
    t.type('\u00d6')
    t.wait_text('> \u00d6Wie hei\u00dft ihr')
    t.key('Enter')
    t.wait_idle(2)
    t.say('second')
    t.key('Up', 'Up')
    t.wait('the first line', lambda s: s.endswith('> \u00d6Wie hei\u00dft ihr'))
    t.key('Down')
    t.wait('the second line', lambda s: s.endswith('> second'))
    t.key('C-u')
    t.key('C-d')
    check(t.status() == 0, 'exit status', t)
    history = t.folder / 'state' / 'weir' / 'history'
    check(history.stat().st_mode & 0o777 == 0o600, 'a private history')
    t.close()
    t = start('--reasoning', 'off', '-n', '4')  # the next program knows it
    t.wait_idle()
    t.key('Up', 'Up')
    t.wait('the first line', lambda s: s.endswith('> \u00d6Wie hei\u00dft ihr'))


def history_of(t):
    """The lines of the file, without the one that says what it is."""
    return (t.folder / 'state' / 'weir' / 'history').read_text().splitlines()[1:]


def test_history_of_two(start):
    one, two = (start('--reasoning', 'off', '-n', '1') for _ in range(2))
    for t in (one, two):
        t.wait_idle()
    one.say('first')
    two.say('second')
    one.say('third')
    one.say('third')
    check(history_of(one) == ['first', 'second', 'third'], history_of(one))
    two.key('Up', 'Up')  # of the other one it learns when it begins
    two.wait('its own line', lambda s: s.endswith('> second'))
    for t in (one, two):
        t.key('C-u')
        t.key('C-d')
        check(t.status() == 0, 'exit status', t)
    check(history_of(one) == ['first', 'second', 'third'], history_of(one))


def test_history_has_an_end(start):
    folder = pathlib.Path('state/weir')
    t = start('--help', folders=[folder])
    lines = [f'line\\040{i}' + 'x' * 400 for i in range(3000)]
    (t.folder / folder / 'history').write_text('\n'.join(['_HiStOrY_V2_', *lines, '']))
    check(t.status() == 0, 'exit status', t)
    t = start('--reasoning', 'off', '-n', '1')
    t.wait_idle()
    t.say('the newest')
    kept = history_of(t)
    check(kept == [*lines[-999:], 'the\\040newest'], f'{len(kept)} lines: {kept[0]}, {kept[-1]}')
    t.key('Up', 'Up')
    t.wait_text('> line 2999x')


def test_stopped_and_gone_on(start):
    t = start('--reasoning', 'off', '-n', '4', shell=True)
    t.wait_idle()
    for stop in (lambda: t.key('C-z'), t.stop):
        t.key('C-u')
        t.type('hello wor')
        t.wait_text('> hello wor')
        stop()
        t.wait('the shell', lambda s: re.search(r'Stopped[^$]*\$ ?\Z', s))
        t.type('fg')
        t.key('Enter')
        t.wait('the line', lambda s: s.endswith('\n> hello wor'))
        t.type('ld')
        t.key('Home')
        t.type('X')
        t.wait('the line as it is edited', lambda s: s.endswith('\n> Xhello world'))
    t.key('C-u')
    t.key('C-d')
    t.wait('the shell', lambda s: re.search(r'Exiting\.\.\.\n\$ ?\Z', s))
    t.type('echo status $?; stty -a | grep -o " icanon"')
    t.key('Enter')
    check(t.status() == 0, 'exit status', t)
    t.wait_text('\n icanon\n')


def test_stopped_while_it_answers(start):
    """The terminal is the shell's meanwhile, and the time is nobody's."""
    t = start('--reasoning', 'off', '--ignore-eos', '--backend', 'ref', '-n', '500', shell=True)
    t.wait_idle()
    t.type('Tell me a long story.')
    t.key('Enter')
    t.wait_answer('long story.')
    t.key('C-z')
    t.wait('the shell', lambda s: re.search(r'Stopped[^$]*\$ ?\Z', s))
    t.type('stty -a | grep -o " icanon"; stty -a | grep -o " echo "')
    t.key('Enter')
    t.wait_text('\n icanon\n echo')
    time.sleep(3)
    t.type('fg')
    t.key('Enter')
    t.wait('more of the answer', lambda s: len(s.split('\n$ fg\n')[-1]) > 200)
    t.type('typed')
    text = t.wait('the next line', lambda s: s.endswith('\n> typed') and s)
    check(text.count('typed') == 1, 'what was typed stands in one place', t)
    rate = float(re.search(r'Generation: ([\d.]+) t/s', text)[1])
    t.key('C-u')
    t.say('/regen')
    other = float(re.findall(r'Generation: ([\d.]+) t/s', t.screen())[-1])
    check(rate > other / 3, f'{rate} t/s with a stop, {other} without', t)


def test_typed_ahead(start):
    t = start('--reasoning', 'off', '--ignore-eos', '--backend', 'ref', '-n', '600', shell=True)
    t.wait_idle()
    t.type('Tell me a long story.')
    t.key('Enter')
    t.wait_answer('long story.')
    t.paste('one\n/help\nthree')
    t.type(' four')
    text = t.wait('the next line', lambda s: s.endswith('\nthree four') and s)
    check(text.endswith('\n> one\n/help\nthree four'), 'one message that is edited', t)
    check(text.count('three') == 1 and '^[' not in text, 'nothing in the answer', t)
    t.key('C-u')
    t.say('/save ahead.json')
    check((t.folder / 'ahead.json').read_text().count('"role"') == 2, 'no other message', t)
    t.type('Tell me another one.')
    t.key('Enter')
    t.wait_answer('another one.')
    t.key('C-\\')
    t.wait('the shell', lambda s: re.search(r'Quit[^$]*\$ ?\Z', s))
    t.type('stty -a | grep -o " icanon"; stty -a | grep -o " echo "')
    t.key('Enter')
    t.wait_text('\n icanon\n echo')


def test_pasted_lines(start):
    t = start('--reasoning', 'off', '-n', '4')
    t.wait_idle()
    t.type('begin ')
    t.paste('one\n\ttwo \u6f22\n/help\n')
    t.wait('the lines', lambda s: s.endswith('\n/help'))
    t.type(' end')
    t.key('Enter')
    t.wait_idle(2)
    t.paste('"""\nthree\n"""')
    t.key('Enter')
    t.wait_idle(3)
    t.key('Up', 'Up')
    t.wait('the lines again', lambda s: s.endswith('\n/help end'))
    t.key('C-u')
    t.say('/save pasted.json')
    saved = (t.folder / 'pasted.json').read_text()
    check('"begin one\\n\\ttwo \u6f22\\n/help end"' in saved and '"three\\n"' in saved, saved)


def test_completion(start):
    t = start('--reasoning', 'off', '-n', '4', folders=['notes', 'notes/old ones'])
    for name in ('notes/first one.txt', 'notes/first two.txt', 'notes/.first'):
        (t.folder / name).write_text('Ida is a baker.\n')
    t.wait_idle()
    t.type('/st')
    t.key('Tab', 'Enter')
    t.wait_text('> /stats\n')
    t.wait_idle(2)
    t.type('/re')
    t.key('Tab')
    t.wait('what there is', lambda s: '\n/regen  /read\n' in s and s.endswith('> /re'))
    t.type('ad no')
    t.key('Tab', 'Tab')
    there = '\nnotes/first one.txt  notes/first two.txt  notes/old ones/\n'
    t.wait('what there is', lambda s: there in s and s.endswith('> /read notes/'))
    t.type('f')
    t.key('Tab')
    t.wait('as far as it goes', lambda s: s.endswith('> /read notes/first'))
    t.type('t')
    t.key('Tab', 'Enter')
    t.wait_text('notes/first two.txt: 16 bytes, for the next message.')
    t.type('a\tb')
    t.wait_text('> a     b')
    for name in ('notes/x\033[7m1', 'notes/x\033[7m2'):
        (t.folder / name).write_text('')
    t.key('C-u')
    t.type('/read notes/x\t\t')
    t.wait_text('\nnotes/x?[7m1  notes/x?[7m2\n')


def test_a_session_is_held(start):
    t = start('--reasoning', 'off', '--session', 'held.json')
    t.wait_idle()
    t.say(QUESTION)
    other = start('--reasoning', 'off', '--session', './held.json')
    check(other.status() == 1, 'exit status', other)
    check(re.search(r'(?m)^error: \./held\.json: in use by weir chat, process \d+$',
                    other.screen()), 'who holds it', other)
    t.key('C-d')
    check(t.status() == 0, 'exit status', t)
    other.close()
    other = start('--reasoning', 'off', '--session', 'held.json')
    other.wait_idle()
    check(re.search(r'(?m)^held\.json goes on: 2 messages, of which \d+ tokens are held\.$',
                    other.screen()), 'what goes on', other)


def open_deaf(weir, folder):
    """A chat that SIGHUP does not end: its process, and the other end of its terminal."""
    folder.mkdir(parents=True, exist_ok=True)
    pid, end = pty.fork()
    if pid == 0:
        for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, signal.SIG_IGN)
        os.chdir(folder)
        os.execve(weir, ['weir', 'chat', '-t', '1', '--temp', '0', '--session', 'kept.json'],
                  {'HOME': str(folder), 'TERM': 'xterm', 'LC_ALL': 'C.UTF-8'})
    return pid, end


def read_until(end, text):
    seen, last = b'', time.monotonic() + PATIENCE_S
    while text not in seen and time.monotonic() < last:
        if select.select([end], [], [], 0.1)[0]:
            seen += os.read(end, 4096)
    if text not in seen:
        raise Failure(f'{text} was waited for in vain: {seen}')


def has_ended(pid):
    last = time.monotonic() + PATIENCE_S
    while time.monotonic() < last:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return True
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def help_of(weir, columns):
    """What weir help says in a terminal of so many columns."""
    pid, end = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
        os.execv(weir, ['weir', 'help', 'chat'])
    said = b''
    try:
        while data := os.read(end, 1 << 16):
            said += data
    except OSError:
        pass  # the other end is closed
    os.waitpid(pid, 0)
    os.close(end)
    return said.decode().replace('\r\n', '\n')


def test_help_fits_the_terminal(start):
    narrow, wide = help_of(start.weir, 80), help_of(start.weir, 300)
    check(max(map(len, narrow.splitlines())) <= 80, 'a line of help that is too long')
    check(80 < max(map(len, wide.splitlines())) <= 100, 'help is as wide as it is readable')
    check(narrow.split() == wide.split(), 'the same words')


def test_a_terminal_goes_away(start):
    for typed, is_stopped in ((b'', False), (b'hello wor', False), (b'', True),
                              (QUESTION.encode() + b'\r', False)):
        folder = start.folder / f'{len(typed)}-{is_stopped}'
        pid, end = open_deaf(start.weir, folder)
        read_until(end, b'> ')
        os.write(end, typed)
        if typed.endswith(b'\r'):
            read_until(end, QUESTION.encode() + b'\r\n')
        if is_stopped:
            os.kill(pid, signal.SIGSTOP)
        os.close(end)
        os.kill(pid, signal.SIGCONT)
        check(has_ended(pid), f'the end of a chat without a terminal, behind {typed}')
        check((folder / 'kept.json').exists(), f'its session, behind {typed}')


def test_several_lines(start):
    t = start('--reasoning', 'off', '-n', '4')
    t.wait_idle()
    t.type('one\\')
    t.key('Enter')
    t.wait('the prompt for more', lambda s: s.endswith('\n... '))
    t.type('two')
    t.key('Enter')
    t.wait_idle(2)
    t.type('"""')
    t.key('Enter')
    for line in ('', '/help', 'three"""'):
        t.wait('the prompt for more', lambda s: s.endswith('\n... '))
        t.type(line)
        t.key('Enter')
    t.wait_idle(3)
    t.say('/save lines.json')
    saved = (t.folder / 'lines.json').read_text()
    check('"one\\ntwo"' in saved and '"\\n/help\\nthree"' in saved, saved)


def test_dropped_lines(start):
    t = start('--reasoning', 'off', '-n', '4')
    t.wait_idle()
    for first, second in (('a \\', 'b \\'), ('"""', 'b')):
        before = len(re.findall(r'(?m)^> ', t.screen()))
        for line in (first, second):
            t.type(line)
            t.key('Enter')
            t.wait('the prompt for more', lambda s, line=line: s.endswith(line + '\n... '))
        t.key('C-c')
        t.wait_idle(before + 1)
    t.say('/save dropped.json')
    saved = (t.folder / 'dropped.json').read_text()
    check('"role"' not in saved, saved)
    t.key('C-c')
    check(t.status() == 130, 'exit status of Ctrl+C at an empty prompt', t)


def test_going_back(start):
    t = start('--reasoning', 'off')
    t.wait_idle()
    first = answer_of(t.say(QUESTION))
    second = answer_of(t.say('Who is there?'))
    check(answer_of(t.say('/regen')) == second, 'the most likely answer once more', t)
    t.say('/undo')
    check(answer_of(t.say('Who is there?')) == second, 'as if never asked', t)
    t.say('/save one.json')
    t.say('/clear')
    check(answer_of(t.say(QUESTION)) == first, 'all forgotten', t)
    t.say('/load one.json')
    check(answer_of(t.say('/regen')) == second, 'where it was saved', t)
    check(re.search(r'\d+ held already', t.say('/stats')), 'figures', t)
    check('no such command' in t.say('/nonsense'), 'a hint', t)
    t.type('/bye')
    t.key('Enter')
    check(t.status() == 0, 'exit status of /bye', t)


def test_what_fails_loses_nothing(start):
    t = start('--reasoning', 'off', '-c', '256', '--session', 'kept/notes.json', folders=['kept'])
    t.wait_idle()
    first = answer_of(t.say(QUESTION))
    t.say('/system ' + 'You know a small world. ' * 60)
    check('error: ' in t.say('/regen'), 'no other answer fits', t)
    t.say('/system You are brief.')
    t.say('/save other.json')
    check(first in (t.folder / 'other.json').read_text(), 'the old answer is there', t)
    shutil.rmtree(t.folder / 'kept')
    second = answer_of(t.say('Who is there?').split('warning: ')[0])
    check('warning: not saved: ' in t.screen(), 'a warning', t)
    t.say('/save other.json')
    check(second in (t.folder / 'other.json').read_text(), 'the new answer is there', t)


def test_interruptions(start):
    t = start('--reasoning', 'off', '--ignore-eos')
    t.wait_idle()
    t.type('Tell me a long story.')
    t.key('Enter')
    t.wait_answer('long story.')
    t.key('C-c')
    t.wait_idle(2)
    check('[stopped]' in t.screen(), 'the answer is stopped', t)
    t.type('half a line')
    t.wait_text('half a line')
    t.key('C-c')
    t.wait_idle(3)
    t.say('/save kept.json')
    saved = (t.folder / 'kept.json').read_text()
    check('half' not in saved and saved.count('"role"') == 2, saved)
    t.key('C-c')
    check(t.status() == 130, 'exit status of Ctrl+C', t)
    check('Exiting...' in t.screen(), 'a last word', t)


def test_an_interrupted_prompt(start):
    t = start('--reasoning', 'off', '--backend', 'ref', '-n', '4')  # which reads slowly
    (t.folder / 'long.txt').write_text(180 * 'Ida lives in the old house and likes rice.\n')
    t.wait_idle()
    check('for the next message' in t.say('/read long.txt'), 'a file is read', t)
    t.type('Where does Ida live?')
    t.key('Enter')
    t.wait_text('prefill 512 ')
    t.key('C-c')
    t.wait_idle(3)
    check('\n[stopped before it began' in t.screen(), 'the prompt is stopped', t)
    check('prefill' not in t.screen(), 'no line of progress is left', t)
    left = re.search(r'(\d+) of 4096 tokens are left', t.say('/ctx'))
    check(left is not None and int(left[1]) <= 4096 - 512, 'what was read is held', t)
    t.say('/save asked.json')
    saved = (t.folder / 'asked.json').read_text()
    check('--- File: long.txt ---' in saved and saved.count('"role"') == 1, saved[-200:])
    t.say('/regen')
    held = re.search(r'(\d+) held already', t.say('/stats'))
    check(held is not None and int(held[1]) == 4096 - int(left[1]), 'it is not read again', t)
    t.say('/undo')
    check(len(answer_of(t.say(QUESTION))) > 0, 'an answer to another question', t)


def test_first_message(start):
    t = start('--reasoning', 'off', '-p', QUESTION, '-st')
    check(t.status() == 0, 'exit status', t)
    check('\n> ' + QUESTION + '\n\n' in t.screen(), 'the message is shown', t)
    check(STATUS.search(t.screen()), 'a line of figures', t)


def test_other_sizes(start):
    t = start('--reasoning', 'off', '-n', '4')
    t.wait_idle()
    t.tmux('resize-window', '-x', '40', '-y', '20')
    time.sleep(0.5)
    t.type('x' * 60)
    t.wait('a line and a half', lambda s: s.endswith('x' * 60))
    t.key('Home')
    t.type('y')
    t.wait('the beginning', lambda s: '> y' + 'x' * 60 in s)


TESTS = [value for name, value in list(globals().items()) if name.startswith('test_')]


def run(test, weir, folder):
    opened = []

    def start(*flags, **more):
        opened.append(Terminal(weir, folder / test.__name__, *flags, **more))
        return opened[-1]
    start.weir, start.folder = weir, folder / test.__name__
    try:
        test(start)
    except (Failure, OSError) as error:
        print(f'FAIL {test.__name__}: {error}')
        return False
    finally:
        for terminal in opened:
            terminal.close()
    return True


def main():
    weir, folder = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    wanted = sys.argv[3:]
    shutil.rmtree(folder, ignore_errors=True)
    results = [run(test, weir, folder) for test in TESTS
               if not wanted or any(word in test.__name__ for word in wanted)]
    print(f'{results.count(True)} passed, {results.count(False)} failed')
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main())
