#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the proxy of docs/server.md against weir serve: nginx, TLS, and a Unix socket.

    tests/serve/proxy.py WEIR FOLDER NGINX

The server block is taken from the page as it stands there; only its port, its certificate and the
socket's path become those of the test. As root, weir runs as another user than nginx and shares a
group with it, as deploy/weir.service and deploy/weir-proxy.conf have it."""
import grp
import http.client
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time

from live import Failure, check, end_with_parent

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = 'llm.example.org'
PATIENCE_S = 60
CHAT = '/v1/chat/completions'
# Whatever of a stream is collected is sent when a buffer is full: here one takes the whole stream.
MAIN = '''daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    postpone_output 1m;
    ssl_buffer_size 1m;
    include {folder}/site.conf;
}}
'''


def replace_once(text, old, new):
    check(text.count(old) == 1, f'docs/server.md has {old!r} {text.count(old)} times')
    return text.replace(old, new)


def recipe():
    """The server block of the page."""
    page = (ROOT / 'docs/server.md').read_text(encoding='ascii')
    blocks = re.findall(r'(?m)^    server \{\n(?:    .*\n)*?    \}\n', page)
    check(len(blocks) == 1, 'one server block in docs/server.md')
    return blocks[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def make_certificate(folder):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
                    '-subj', f'/CN={NAME}', '-addext', f'subjectAltName=DNS:{NAME}',
                    '-keyout', folder / 'key.pem', '-out', folder / 'cert.pem'],
                   check=True, capture_output=True)


class Users:
    """Who runs what: as root two users and the proxy's group, else one."""

    def __init__(self):
        self.is_root = os.getuid() == 0
        if self.is_root:
            self.weir = pwd.getpwnam('nobody').pw_uid
            self.proxy = pwd.getpwnam('www-data')
            self.group = grp.getgrnam('www-data').gr_gid

    def line(self):
        return f'user {self.proxy.pw_name};' if self.is_root else ''

    def become_weir(self):
        end_with_parent()
        os.umask(0o077)
        if self.is_root:
            os.setgroups([])
            os.setgid(self.group)
            os.setuid(self.weir)

    def make_runtime(self, folder):
        """As RuntimeDirectory= of the unit makes it."""
        folder.mkdir(mode=0o750)
        if self.is_root:
            os.chown(folder, self.weir, self.group)


class Test:
    def __init__(self, weir, folder, nginx):
        self.weir, self.folder, self.nginx = weir, folder, nginx
        self.port, self.users, self.processes = free_port(), Users(), []
        self.socket = folder / 'run/weir.sock'
        self.users.make_runtime(folder / 'run')

    def start(self, name, command, **options):
        log = (self.folder / f'{name}.log').open('ab')
        self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                               stderr=log, **options))
        return self.processes[-1]

    def start_weir(self):
        return self.start('weir', [self.weir, 'serve', '--host', self.socket, '-t', '2',
                                   '--no-pin', '--api-key', 'k1'],
                          preexec_fn=self.users.become_weir)

    def start_nginx(self):
        site = recipe()
        for old, new in [('listen 443 ssl', f'listen 127.0.0.1:{self.port} ssl'),
                         (f'/etc/ssl/certs/{NAME}.pem', str(self.folder / 'cert.pem')),
                         (f'/etc/ssl/private/{NAME}.key', str(self.folder / 'key.pem')),
                         ('/run/weir/weir.sock', str(self.socket))]:
            site = replace_once(site, old, new)
        (self.folder / 'site.conf').write_text(site)
        main = self.folder / 'nginx.conf'
        main.write_text(MAIN.format(user=self.users.line(), folder=self.folder))
        self.start('nginx', [self.nginx, '-p', self.folder, '-c', main],
                   preexec_fn=end_with_parent)

    def connect(self):
        context = ssl.create_default_context(cafile=self.folder / 'cert.pem')
        plain = socket.create_connection(('127.0.0.1', self.port), PATIENCE_S)
        connection = http.client.HTTPSConnection(NAME, self.port, timeout=PATIENCE_S)
        connection.sock = context.wrap_socket(plain, server_hostname=NAME)
        return connection

    def send(self, path, body=None):
        connection = self.connect()
        headers = {'Authorization': 'Bearer k1', 'Content-Type': 'application/json'}
        connection.request('GET' if body is None else 'POST', path,
                           None if body is None else json.dumps(body), headers)
        return connection, connection.getresponse()

    def await_health(self):
        end = time.monotonic() + PATIENCE_S
        status = 0
        while status != 200 and time.monotonic() < end:
            try:
                connection, response = self.send('/health')
                status = response.status
                connection.close()
            except OSError:
                pass
            time.sleep(0.05)
        check(status == 200, f'/health is {status}: {self.log("error")} {self.log("weir")}')

    def log(self, name):
        path = self.folder / f'{name}.log'
        return path.read_text(errors='replace')[-2000:] if path.exists() else ''

    def close(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def ask(test):
    connection, response = test.send(CHAT, {'max_tokens': 4, 'messages': [
        {'role': 'user', 'content': 'Hello'}]})
    whole = json.loads(response.read())
    check(response.status == 200 and whole['usage']['completion_tokens'] <= 4, f'{whole}')
    connection.close()


def stream(test):
    """Pieces come as they are made: of one that is collected the first comes with the last."""
    began, times = time.monotonic(), []
    connection, response = test.send(CHAT, {'max_tokens': 400, 'ignore_eos': True, 'stream': True,
                                            'messages': [{'role': 'user', 'content': 'Hello'}]})
    check(response.status == 200, f'status {response.status}')
    last = b''
    for line in response:
        if line.startswith(b'data: '):
            times.append(time.monotonic() - began)
            last = line
    connection.close()
    check(last == b'data: [DONE]\n', f'the stream ends with {last!r}')
    check(len(times) > 300, f'{len(times)} events')
    check(times[0] < times[-1] / 2, f'the first event after {times[0]:.3f} s of {times[-1]:.3f} s')


def send_much(test):
    """More than nginx takes by default; weir's own word for it is that the context is too small."""
    connection, response = test.send(CHAT, {'messages': [
        {'role': 'user', 'content': 'a boat ' * 300000}]})
    error = json.loads(response.read())['error']
    check(error['type'] == 'exceed_context_size_error', f'{response.status}: {error}')
    connection.close()


def connect_often(test):
    """More connections than one address may have."""
    clients = [socket.socket(socket.AF_UNIX) for _ in range(200)]
    for client in clients:
        client.settimeout(PATIENCE_S)
        client.connect(str(test.socket))
        client.sendall(b'GET /health HTTP/1.1\r\nHost: a\r\n\r\n')
    for client in clients:
        check(client.recv(64).startswith(b'HTTP/1.1 200 '), 'a connection is not served')
        client.close()


def replace_killed(test):
    server = test.processes[0]
    server.kill()
    server.wait()
    check(test.socket.exists(), 'a server that was killed leaves its socket')
    test.start_weir()
    test.await_health()


def main():
    weir, folder, nginx = (pathlib.Path(word).resolve() for word in sys.argv[1:4])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make_certificate(folder)
    test = Test(weir, folder, nginx)
    failed = 0
    try:
        test.start_weir()
        test.start_nginx()
        test.await_health()
        for step in (ask, stream, send_much, connect_often, replace_killed, stream):
            try:
                step(test)
            except (Failure, OSError, ValueError, KeyError) as error:
                print(f'FAIL {step.__name__}: {error!r}\n{test.log("error")}')
                failed += 1
    except Failure as error:
        print(f'FAIL start: {error}')
        failed += 1
    finally:
        test.close()
    print(f'{6 - failed if failed < 6 else 0} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
