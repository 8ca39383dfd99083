#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Opens pages of weir profile -o html in a browser and looks at what it makes of them.

    tests/page/test_page.py WEIR BROWSER FOLDER

BROWSER is chromium-headless-shell, which asks nobody for anything by itself. From the document as
its scripts leave it: no error, every picture with as many marks as the records ask for, and marks
that add up to the records; nothing that is no number; nothing outside its picture; no request.
From screenshots: that something is painted, dark or light as asked. Some pages are spoilt, to see
that the checks see it. Pages, documents and screenshots stay in FOLDER."""
import html.parser
import json
import math
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync',
         '--disable-dev-shm-usage', '--hide-scrollbars']
CLASSES = ['weights', 'embedding', 'kv', 'state', 'conv', 'activations', 'logits']
SECTIONS = ['waterfall', 'roofline', 'layers', 'treemap', 'bytes', 'speed']
STAIRS_MAX = 8  # of the waterfall, before all others are one
NANO = 'tests/data/golden/nano-q4_0.gguf'
NANOMOE = 'tests/data/golden/nanomoe-f32.gguf'

# Name, words for weir profile.
PAGES = [
    ('dry', [NANO, '--dry-run']),
    ('dry-bandwidth', [NANOMOE, '--dry-run', '--bandwidth', '410', '--mode', 'verify']),
    ('run', [NANOMOE, '-r', '3', '-t', '2', '--ctx', '7,100']),
    ('run-beyond', [NANO, '-r', '1', '--bandwidth', '0.001']),
    ('run-prefill', [NANO, '-r', '2', '-t', '1', '--mode', 'prefill', '-p', '70', '-ub', '32',
                     '--bandwidth', '20']),
    ('size', ['--size', '27B', '--output-type', 'q6_k', '--ctx', '256,8192,262143',
              '--bandwidth', '410']),
    ('size-bytes', ['--size', '35B-A3B', '--ctx', '256,8192']),
    ('size-sweep', ['--size', '0.8B', '--ctx', '0,1024', '--mode', 'decode,verify', '-npl', '1,4',
                    '--bandwidth', '100']),
    ('run-sweep', [NANO, '--ctx', '0,50', '-t', '1,2', '-r', '1']),
]

passed = failed = 0


def check(page, what, is_good, *found):
    global passed, failed
    passed += bool(is_good)
    failed += not is_good
    if not is_good:
        print(f'FAIL {page}: {what}', *found)


# ---- the browser -----------------------------------------------------------------------------


class Browser:
    def __init__(self, program, folder):
        self.program = program
        self.folder = folder

    def open(self, name, *flags):
        """Output of the browser with the page, and the addresses that it asked for."""
        log = self.folder / f'{name}.net.json'
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(
                [self.program, *FLAGS, f'--user-data-dir={home}', f'--log-net-log={log}', *flags,
                 f'file://{self.folder}/{name}.html'],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=True)
        urls = re.findall(r'"url":"([^"]*)"', log.read_text())
        return done.stdout.decode(), [url for url in urls if not url.startswith('file:')]

    def document(self, name, width):
        text, urls = self.open(name, f'--window-size={width},900', '--dump-dom')
        (self.folder / f'{name}-{width}.dom.html').write_text(text)
        return Document(text), urls

    def picture(self, name, width, height, is_dark):
        path = self.folder / f'{name}-{width}{"-dark" if is_dark else ""}.png'
        scheme = ['--blink-settings=preferredColorScheme=0'] if is_dark else []
        self.open(name, f'--window-size={width},{height}', f'--screenshot={path}', *scheme)
        return read_png(path.read_bytes())


class Document(html.parser.HTMLParser):
    """Marks and texts by section, attributes by id."""
    VOID = {'meta', 'link', 'br', 'img'}

    def __init__(self, text):
        super().__init__()
        self.stack = []
        self.marks = {name: [] for name in SECTIONS}
        self.shapes = {name: [] for name in SECTIONS}  # (tag, attributes)
        self.ids = {}  # attributes
        self.texts = {}  # by the innermost id around them
        self.cells = {name: 0 for name in SECTIONS}
        self.feed(text)

    def section(self):
        return next((x for _, x in reversed(self.stack) if x in SECTIONS), None)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if 'id' in attrs:
            self.ids[attrs['id']] = attrs
        if tag not in self.VOID:
            self.stack.append((tag, attrs.get('id')))
        section = self.section()
        if section is None:
            return
        self.shapes[section].append((tag, attrs))
        self.cells[section] += tag == 'td'
        if 'mark' in attrs.get('class', '').split():
            self.marks[section].append(attrs)

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data):
        name = next((x for _, x in reversed(self.stack) if x),
                    'title' if ('title', None) in self.stack else '')
        self.texts[name] = self.texts.get(name, '') + data

    def is_shown(self, name):
        return 'hidden' not in self.ids[name]

    def values(self, section):
        return [float(mark['data-value']) for mark in self.marks[section]]


def read_png(data):
    """Rows of pixels, each 3 bytes: of the 8-bit RGB and RGBA that browsers write."""
    parts, at = {}, 8
    while at < len(data):
        length, kind = struct.unpack('>I4s', data[at:at + 8])
        parts[kind] = parts.get(kind, b'') + data[at + 8:at + 8 + length]
        at += 12 + length
    width, height, depth, colour = struct.unpack('>IIBB', parts[b'IHDR'][:10])
    assert depth == 8 and colour in (2, 6), 'not a PNG of a browser'
    step = 3 if colour == 2 else 4
    lines, stride = zlib.decompress(parts[b'IDAT']), width * step
    rows, above = [], bytes(stride)
    for y in range(height):
        begin = y * (stride + 1)
        row = unfilter(lines[begin], bytearray(lines[begin + 1:begin + 1 + stride]), above, step)
        rows.append([bytes(row[i:i + 3]) for i in range(0, stride, step)])
        above = row
    return rows


def unfilter(kind, row, above, step):
    for i in range(len(row)) if kind else ():
        left = row[i - step] if i >= step else 0
        corner = above[i - step] if i >= step else 0
        up = above[i]
        if kind == 4:  # Paeth: the one that is nearest to left + up - corner
            guess = min((abs(up - corner), 0, left), (abs(left - corner), 1, up),
                        (abs(left + up - 2 * corner), 2, corner))[2]
        else:
            guess = (0, left, up, (left + up) // 2)[kind]
        row[i] = (row[i] + guess) & 255
    return row


# ---- what the records ask for ----------------------------------------------------------------


def bytes_of(x):
    return x['read_bytes'] + x['write_bytes']


def read_peak(machine, step):
    reads = machine['reads']
    if not reads or step['threads'] is None:
        return machine['read_gb_s']
    return next(x['gb_s'] for x in reads if x['threads'] == step['threads'])


def groups_of(step):
    groups = {}
    for op in step['ops']:
        group = groups.setdefault((op['kind'], op['role']),
                                  {'name': f"{op['kind']} {op['role']}",
                                   'bytes': 0, 'flops': 0, 'ms': 0, 'usual': 0})
        group['bytes'] += bytes_of(op)
        group['flops'] += op['flops']
        group['ms'] += op['ms'] or 0
        group['usual'] += min(op['ms'] or 0, op['ms_high'] or 0)
    return list(groups.values())


def advice_of(profile, step):
    """How the advice begins: with what usually loses most, or else touches most."""
    peak = read_peak(profile['machine'], step)
    if step['ms'] is None or not peak:
        return 'Most bytes: ' + max(groups_of(step), key=lambda x: x['bytes'])['name'] + ', '
    worst = max(groups_of(step), key=lambda x: x['usual'] - x['bytes'] / peak / 1e6)
    return 'Largest loss: ' + worst['name'] + ', '


def layers_of(step):
    first = next(i for i, op in enumerate(step['ops']) if op['layer'] is not None)
    return {op['layer'] if op['layer'] is not None else 'embedding' if i < first else 'head'
            for i, op in enumerate(step['ops'])}


def expect(profile, step):
    """For each section the number of marks and their sum."""
    peak, is_timed = read_peak(profile['machine'], step), step['ms'] is not None
    all_bytes, groups = bytes_of(step['totals']), groups_of(step)
    floor = all_bytes / peak / 1e6 if peak else None
    total = step['ms'] if is_timed else floor if peak else all_bytes / 1e6
    weight = 'ms' if is_timed else 'bytes'
    points = [x for x in groups if x['flops'] > 0 and x['bytes'] > 0 and (not is_timed or x['ms'])]
    cells = {(name, op['role']) for op in step['ops'] for name in op['by_class']}
    steps = profile['steps']
    bars = {(s['mode'], s['rows'], s['sequences'], s['context']): s for s in steps}.values()
    out = dict.fromkeys(SECTIONS)
    out['waterfall'] = ((is_timed and bool(peak)) + min(len(groups), STAIRS_MAX + 1) + 1, 2 * total)
    out['roofline'] = (len(points), sum(x[weight] for x in points))
    out['layers'] = (len(layers_of(step)), total)
    out['treemap'] = (len(cells), all_bytes)
    if len(bars) > 1:
        out['bytes'] = (7 * len(bars), sum(bytes_of(s['totals']) / s['rows'] for s in bars))
    if len(steps) > 1 and (is_timed or peak):
        speeds = [1000 * s['rows'] / (s['ms'] or bytes_of(s['totals']) / peak / 1e6) for s in steps]
        out['speed'] = (len(steps), sum(speeds))
    return out


# ---- checks ----------------------------------------------------------------------------------


def check_sections(name, document, profile, step):
    for section, expected in expect(profile, step).items():
        marks = document.values(section)
        check(name, f'{section} is shown', document.is_shown(section) == (expected is not None))
        if expected is None:
            continue
        count, total = expected
        check(name, f'marks of {section}', len(marks) == count, len(marks), count)
        # Sums of floats, each as it is written: 16 digits.
        check(name, f'sum of {section}', math.isclose(sum(marks), total, rel_tol=1e-9),
              sum(marks), total)
        check(name, f'marks of {section} have words',
              all(mark.get('data-tip') for mark in document.marks[section]))
        check(name, f'{section} has a table', document.cells[section] > count // 2)


def is_inside(size, tag, a):
    if tag != 'rect':
        return True
    x, y, width, height = (float(a[key]) for key in ('x', 'y', 'width', 'height'))
    return (width >= 0 and height >= 0 and x > -0.5 and y > -0.5 and
            x + width < float(size['width']) + 0.5 and y + height < float(size['height']) + 0.5)


def check_shapes(name, document):
    """Numbers that are none, and what lies outside its picture."""
    for section in SECTIONS:
        if not document.is_shown(section):
            continue
        shapes = document.shapes[section]
        size = next(a for tag, a in shapes if tag == 'svg')
        words = [str(value) for _, a in shapes for value in a.values()]
        none = [x for x in words if re.search(r'NaN|undefined|null|Infinity|object', x)]
        check(name, f'{section}: shapes of numbers', not none, none[:3])
        outside = [a for tag, a in shapes if not is_inside(size, tag, a)]
        check(name, f'{section}: bars within the picture', not outside, outside[:3])


def check_document(name, document, urls, profile, step):
    check(name, 'no error', not document.is_shown('error'), document.texts.get('error'))
    check(name, 'no request', not urls, urls)
    check(name, 'title', document.texts.get('model') == profile['model'],
          document.texts.get('model'))
    check(name, 'mode', document.texts['subject'].startswith(step['mode'] + ', '))
    check(name, 'advice', document.texts['advice'].startswith(advice_of(profile, step)),
          document.texts['advice'])
    check(name, 'where caches cost as weights, but for a prompt',
          ('Caches cost as weights' in document.texts['tiles']) == (step['mode'] != 'prefill'))
    peak = read_peak(profile['machine'], step)
    floor = bytes_of(step['totals']) / peak / 1e6 if peak else 0
    is_beyond = step['ms'] is not None and step['ms'] < floor
    check(name, 'a floor is a bound, or what is below it has a reason',
          ('at most' in document.texts['tiles']) == bool(peak and not is_beyond) and
          ('came from caches' in document.texts['tiles']) == bool(is_beyond),
          document.texts['tiles'])
    texts = ' '.join(text for key, text in document.texts.items() if key not in ('profile', ''))
    check(name, 'texts are words and numbers',
          not re.search(r'NaN|undefined|\bnull\b|Infinity|\[object', texts), texts)
    check_sections(name, document, profile, step)
    check_shapes(name, document)


# Chooses the last step, points at a mark, and tells what only a script can know.
PROBE = '''<script>
const chooser = document.getElementById('step');
chooser.value = chooser.length - 1;
chooser.dispatchEvent(new Event('change'));
document.querySelector('.mark').dispatchEvent(new PointerEvent('pointermove', {bubbles: true}));
const page = document.documentElement, probe = document.createElement('p');
const tip = document.getElementById('tip');
probe.id = 'probe';
probe.title = tip.hidden ? '' : tip.textContent; // before a pointer of the browser's own moves
probe.textContent = page.scrollWidth <= innerWidth ? 'fits ' + innerWidth : 'too wide';
document.body.append(probe);
</script></body>'''


def check_page(browser, name, text):
    profile = json.loads(text.split('id="profile">')[1].split('</script>')[0])
    document, urls = browser.document(name, 1280)
    check_document(name, document, urls, profile, profile['steps'][0])
    probed = f'{name}-probed'
    (browser.folder / f'{probed}.html').write_text(text.replace('</body>', PROBE))
    document, urls = browser.document(probed, 400)
    check_document(probed, document, urls, profile, profile['steps'][-1])
    check(probed, 'no wider than the window', document.texts['probe'] == 'fits 400',
          document.texts['probe'])
    check(probed, 'words of a mark', document.ids['probe']['title'] != '')


def colours_of(rows):
    counts = {}
    for row in rows:
        for pixel in row:
            counts[pixel] = counts.get(pixel, 0) + 1
    return counts


def check_picture(browser, name, width, is_dark):
    rows = browser.picture(name, width, 1000, is_dark)
    counts, pixels = colours_of(rows), sum(len(row) for row in rows)
    page, bars = (b'\x14\x17\x1b', b'\x3f\x9b\xdc') if is_dark else (b'\xff\xff\xff',
                                                                    b'\x00\x72\xb2')
    what = f'{width} pixels wide, {"dark" if is_dark else "light"}'
    check(name, f'{what}: its size', len(rows) == 1000 and len(rows[0]) == width)
    check(name, f'{what}: the page', rows[0][0] == page, rows[0][0])
    check(name, f'{what}: more than the page', 0.3 < counts.get(page, 0) / pixels < 0.99)
    check(name, f'{what}: bars', counts.get(bars, 0) > pixels / 1000, counts.get(bars, 0))
    check(name, f'{what}: letters', len(counts) > 100, len(counts))


def check_spoilt(browser, text):
    """Pages that are not as they should be: from outside, and to see that the checks see it."""
    folder, model = browser.folder, '</script><img src=x onerror="document.title = 1">'
    escaped = json.dumps(model).replace('<', '\\u003c')
    (folder / 'hostile.html').write_text(re.sub(r'"model": "[^"]*"',
                                                lambda _: f'"model": {escaped}', text))
    document, _ = browser.document('hostile', 1280)
    check('hostile', 'a name is a text', document.texts['model'] == model and
          document.texts['title'] == 'weir profile: ' + model, document.texts['model'])
    (folder / 'broken.html').write_text(text.replace('"ops": [', '"ops": 7, "was": [', 1))
    document, _ = browser.document('broken', 1280)
    check('broken', 'an error is told', document.is_shown('error') and document.texts['error'])
    (folder / 'hidden.html').write_text(text.replace('<body>', '<body style="display: none">'))
    document, _ = browser.document('hidden', 1280)
    check('hidden', 'pictures are drawn all the same', document.marks['layers'] and
          not document.is_shown('error'), document.texts.get('error'))
    image = '<img src="http://127.0.0.1:9/image.png"></body>'
    for name, policy in (('asking', ''), ('forbidden', None)):
        page = text.replace('</body>', image)
        if policy is not None:
            page = page.replace('Content-Security-Policy', policy)
        (folder / f'{name}.html').write_text(page)
        _, urls = browser.document(name, 1280)
        check(name, 'a request is made and seen, or not made', bool(urls) == (policy == ''), urls)


def main():
    weir, program, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    browser = Browser(program, folder)
    for name, words in PAGES:
        text = subprocess.run([weir, 'profile', *words, '-o', 'html'], stdout=subprocess.PIPE,
                              check=True).stdout.decode()
        (folder / f'{name}.html').write_text(text)
        check_page(browser, name, text)
    check_spoilt(browser, (folder / 'run.html').read_text())
    for name, width, is_dark in (('dry-bandwidth', 640, False), ('dry-bandwidth', 400, True),
                                 ('size', 400, False)):
        check_picture(browser, name, width, is_dark)
    print(f'{passed} passed, {failed} failed')
    return failed > 0


sys.exit(main())
