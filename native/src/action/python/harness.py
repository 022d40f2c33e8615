"""Runs a user's script for the engine: calls come in as frames over a socket of their own, answers go out.

Standard library only, Python 3.8 or later. One call at a time, in the order in which they came. The script's own
standard streams stay free: what it prints goes to the log.
"""

import importlib
import io
import json
import linecache
import math
import os
import select
import socket
import struct
import sys
import time
import traceback
import types

# Kind, bytes of JSON, number of binary parts; then the length of each part, the JSON, the parts.
HEAD = struct.Struct("<BII")
LENGTH = struct.Struct("<Q")
CALL, LOAD, SHUTDOWN = range(3)
VALUE, VALUE_WITH_PARTS, FAILED, STARTED, START_FAILED, RELOADING, RELOADED, RELOAD_FAILED = range(8)

MODULE = "millrace_script"
OWN_FILE = "<millrace>"
INLINE = "<script>"
LOOK_SECONDS = 0.25
READ_BYTES = 1 << 16
PIECE_BYTES = 1 << 18
# Calls that come so soon after an answer come one by one: the next is looked for so long without sleeping, as to be
# woken takes longer than most calls.
SOON_SECONDS = 0.00025
LINGER_SECONDS = 0.0001
# Where none is there by then, this is left alone for a while: a busy machine does better without. Each that is there
# in time makes the next rest shorter.
LEAST_REST_SECONDS = 0.002
MOST_REST_SECONDS = 0.5
TRUST = 0.97
# With one core it would keep the other side from its work.
MAY_LINGER = (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) > 1

encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class Channel:
    """Frames over the socket."""

    def __init__(self, connection):
        self.socket = connection
        self.buffer = bytearray()
        self.poll = select.poll()
        self.poll.register(connection, select.POLLIN)
        self.is_soon = False
        self.rest = LEAST_REST_SECONDS
        self.rest_until = 0.0

    def receive(self, wait):
        """The next frame: kind, JSON, parts. Calls `wait` where none has begun to come."""
        if not self.buffer:
            began = time.perf_counter()
            wait()
            self.fill(HEAD.size)
            self.is_soon = time.perf_counter() - began < SOON_SECONDS
        self.fill(HEAD.size)
        kind, size, count = HEAD.unpack_from(self.buffer)
        end = HEAD.size + LENGTH.size * count
        self.fill(end)
        lengths = [LENGTH.unpack_from(self.buffer, HEAD.size + LENGTH.size * index)[0] for index in range(count)]
        del self.buffer[:end]
        text = self.exactly(size)
        return kind, text, [self.exactly(length) for length in lengths]

    def comes_soon(self):
        """Looks for the next frame without sleeping; true where it begins to come."""
        now = time.perf_counter()
        end = now + LINGER_SECONDS
        if not (MAY_LINGER and self.is_soon) or now < self.rest_until:
            return False
        while now < end:
            if self.poll.poll(0):
                self.rest = max(LEAST_REST_SECONDS, self.rest * TRUST)
                return True
            now = time.perf_counter()
        self.rest = min(MOST_REST_SECONDS, self.rest * 2)
        self.rest_until = now + self.rest
        return False

    def fill(self, size):
        while len(self.buffer) < size:
            data = self.socket.recv(READ_BYTES)
            if not data:
                # Nobody is left who could want an answer.
                os._exit(0)
            self.buffer += data

    def exactly(self, size):
        if len(self.buffer) >= size:
            data = bytes(self.buffer[:size])
            del self.buffer[:size]
            return data
        made = io.BytesIO()
        made.write(self.buffer)
        missing = size - len(self.buffer)
        self.buffer.clear()
        while missing:
            data = self.socket.recv(min(missing, PIECE_BYTES), socket.MSG_WAITALL)
            if not data:
                os._exit(0)
            made.write(data)
            missing -= len(data)
        # Gives its own memory, without a copy.
        return made.getvalue()

    def send(self, kind, text, parts=()):
        data = text.encode("ascii")
        lengths = b"".join(LENGTH.pack(len(part)) for part in parts) if parts else b""
        self.socket.sendall(HEAD.pack(kind, len(data), len(parts)) + lengths + data)
        for part in parts:
            self.socket.sendall(part)


class Unfit(TypeError):
    """A value that has no form in JSON."""


def spell(path):
    return "result" + "".join("[%d]" % key if isinstance(key, int) else ".%s" % key for key in path)


class Plain:
    """A result as JSON has it: binary parts apart, numpy values and the like as lists and numbers."""

    def __init__(self):
        self.parts = []
        self.paths = []
        self.open = set()

    def of(self, value, path):
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, float):
            # JSON has no NaN.
            return float(value) if math.isfinite(value) else None
        if isinstance(value, (bytes, bytearray, memoryview)):
            self.paths.append(path)
            self.parts.append(value if isinstance(value, bytes) else bytes(value))
            return None
        if isinstance(value, (dict, list, tuple, set, frozenset)):
            return self.within(value, path)
        # numpy and its relatives, arrays of the standard library.
        if hasattr(value, "tolist"):
            return self.of(value.tolist(), path)
        if hasattr(value, "isoformat"):
            return value.isoformat()
        raise Unfit(
            "%s is of type %s, which has no form in JSON; return dicts, lists, texts, numbers, bytes or arrays"
            % (spell(path), type(value).__name__)
        )

    def within(self, value, path):
        if id(value) in self.open:
            raise Unfit("%s contains itself; return a value that ends" % spell(path))
        self.open.add(id(value))
        if isinstance(value, dict):
            made = {self.key(key, path): self.of(item, path + [self.key(key, path)]) for key, item in value.items()}
        else:
            made = [self.of(item, path + [index]) for index, item in enumerate(value)]
        self.open.discard(id(value))
        return made

    def key(self, key, path):
        if isinstance(key, str):
            return key
        if key is None or isinstance(key, (bool, int, float)):
            return json.dumps(key)
        if hasattr(key, "item"):
            return self.key(key.item(), path)
        raise Unfit("%s has a key of type %s; keys are texts" % (spell(path), type(key).__name__))


def put_back(data, fixups, parts):
    """Sets what JSON could not carry: binary parts by their number, whole numbers by their digits."""
    root = [data]
    for path, given in fixups:
        place = root
        *parents, last = [0] + path
        for key in parents:
            place = place[key]
        place[last] = int(given) if isinstance(given, str) else parts[given]
    return root[0]


def describe(error):
    """What is known of an exception, without our own part of the stack."""
    told = {"type": type(error).__name__, "message": "", "traceback": ""}
    try:
        told["message"] = str(error)
        told_by = traceback.TracebackException.from_exception(error)
        chain = told_by
        while chain is not None:
            chain.stack = traceback.StackSummary.from_list([one for one in chain.stack if one.filename != OWN_FILE])
            chain = chain.__cause__ or chain.__context__
        told["traceback"] = "".join(told_by.format())
        if isinstance(error, SyntaxError):
            told["message"] = error.msg
            place = (error.filename, error.lineno, error.text)
        else:
            last = told_by.stack[-1] if told_by.stack else None
            place = (last.filename, last.lineno, last.line) if last else (None, None, None)
        told["file"], told["line"] = place[:2]
        told["text"] = place[2].strip() if place[2] else None
    except BaseException:
        # Out of memory, or an exception that cannot even be told: its type has to do.
        pass
    return told


class Script:
    """One version of the user's script."""

    def __init__(self, settings):
        path = settings["path"]
        if path is None:
            source, file = settings["code"], INLINE
            # So that tracebacks show its lines.
            linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        else:
            file = path
            with open(path, "rb") as opened:
                source = opened.read()
        self.module = types.ModuleType(MODULE)
        self.module.__file__ = file
        code = compile(source, file, "exec", dont_inherit=True)
        sys.modules[MODULE] = self.module
        exec(code, self.module.__dict__)
        self.roles = {}
        for role, name in settings["functions"].items():
            function = getattr(self.module, name, None)
            if callable(function):
                self.roles[role] = function

    def function(self, target):
        """A function by its role, which may be absent, or by its name, which may not."""
        if target[0] == "@":
            return self.roles.get(target[1:])
        function = getattr(self.module, target, None)
        if not callable(function):
            raise AttributeError("the script has no function %s" % target)
        return function


class Harness:
    def __init__(self, channel):
        self.channel = channel
        self.settings = {}
        self.script = None
        self.loop = None
        self.watched = {}
        self.places = {}
        self.next_look = math.inf

    def run(self, function, *given):
        result = function(*given)
        if hasattr(result, "__await__"):
            result = self.event_loop().run_until_complete(result)
        return result

    def event_loop(self):
        if self.loop is None:
            import asyncio

            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)
        return self.loop

    def role(self, script, role, *given):
        function = script.roles.get(role)
        if function is not None:
            return self.run(function, *given)

    def start(self, settings):
        self.settings = settings
        folder = os.path.dirname(os.path.abspath(settings["path"])) if settings["path"] else os.getcwd()
        self.folder = os.path.join(os.path.realpath(folder), "")
        # The script sees what it would see if Python ran it, and the paths that were added.
        sys.path[0:1] = [folder, *settings["paths"]]
        sys.argv = [settings["path"] or ""]
        if settings["memory"]:
            limit_memory(settings["memory"])
        if settings["reload"]:
            # Compiled files are told apart by whole seconds: too coarse for who edits and saves.
            sys.dont_write_bytecode = True
        try:
            self.script = Script(settings)
            if settings["initialize"]:
                self.role(self.script, "initialize", settings["config"])
        except BaseException as error:
            self.channel.send(START_FAILED, encode(describe(error)))
            sys.exit(0)
        if settings["reload"]:
            self.watched = self.stamps()
            self.next_look = time.monotonic() + LOOK_SECONDS
        about = {
            "python": "%d.%d.%d" % sys.version_info[:3],
            "executable": sys.executable,
            "functions": sorted(self.script.roles),
        }
        self.channel.send(STARTED, encode(about))

    def serve(self):
        while True:
            kind, text, parts = self.channel.receive(self.wait)
            if kind == CALL:
                if time.monotonic() >= self.next_look:
                    self.look()
                self.answer(text, parts)
            elif kind == LOAD:
                self.start(json.loads(text))
            else:
                return self.shutdown()

    def answer(self, text, parts):
        try:
            target, data, *fixups = json.loads(text)
            if fixups:
                data = put_back(data, fixups[0], parts)
            function = self.script.function(target)
            result = None
            if function is not None:
                result = self.run(function) if target == "@status" else self.run(function, data)
            self.reply(result)
        except BaseException as error:
            self.channel.send(FAILED, encode(describe(error)))

    def reply(self, result):
        try:
            text = encode(result)
        except (TypeError, ValueError, RecursionError):
            plain = Plain()
            made = plain.of(result, [])
            if plain.parts:
                return self.channel.send(VALUE_WITH_PARTS, encode([made, plain.paths]), plain.parts)
            text = encode(made)
        self.channel.send(VALUE, text)

    def shutdown(self):
        if not self.settings["initialize"]:
            return
        try:
            self.role(self.script, "shutdown")
        except BaseException:
            traceback.print_exc()

    def wait(self):
        """Until a frame comes; meanwhile looks for changes, and lets tasks of the script's event loop go on."""
        if self.loop is None and self.channel.comes_soon():
            return
        while True:
            pause = max(0.0, self.next_look - time.monotonic()) if self.next_look < math.inf else None
            if self.loop is not None:
                came = self.loop.run_until_complete(self.readable(pause))
            elif pause is None:
                return
            else:
                came = select.select([self.channel.socket], [], [], pause)[0]
            if came:
                return
            self.look()

    async def readable(self, pause):
        import asyncio

        came = self.loop.create_future()
        self.loop.add_reader(self.channel.socket, lambda: came.done() or came.set_result(True))
        try:
            return await asyncio.wait_for(came, pause)
        except asyncio.TimeoutError:
            return False
        finally:
            self.loop.remove_reader(self.channel.socket)

    def look(self):
        """Swaps the script where it, or a module of its folder, has changed."""
        try:
            if any(stamp_of(file) != stamp for file, stamp in self.watched.items()):
                self.channel.send(RELOADING, "null")
                self.reload()
            else:
                # Modules that were imported since.
                for file, stamp in self.stamps().items():
                    self.watched.setdefault(file, stamp)
        finally:
            self.next_look = time.monotonic() + LOOK_SECONDS

    def reload(self):
        kept = {name: sys.modules.pop(name) for name in self.own_modules()}
        main = sys.modules.pop(MODULE)
        importlib.invalidate_caches()
        linecache.checkcache()
        stamps = {file: stamp_of(file) for file in self.watched}
        try:
            made = Script(self.settings)
            self.role(made, "initialize", self.settings["config"])
        except BaseException as error:
            told = describe(error)
            stamps.update(self.stamps())
            # What failed may be in a file that is no module yet, or is still to come.
            for one in traceback.extract_tb(error.__traceback__):
                if one.filename.startswith(self.folder):
                    stamps[one.filename] = stamp_of(one.filename)
            for file in (getattr(error, "filename", None), self.folder):
                if isinstance(file, str):
                    stamps[file] = stamp_of(file)
            for name in self.own_modules():
                del sys.modules[name]
            sys.modules.update(kept)
            sys.modules[MODULE] = main
            self.watched = stamps
            return self.channel.send(RELOAD_FAILED, encode(told))
        old, self.script = self.script, made
        # Stamps from before the load: what changed during it is loaded again.
        self.watched = {**self.stamps(), **{file: stamp for file, stamp in stamps.items() if os.path.isfile(file)}}
        try:
            self.role(old, "shutdown")
        except BaseException:
            traceback.print_exc()
        self.channel.send(RELOADED, "null")

    def own_modules(self):
        """Names of the modules that come from the script's own folder."""
        found = []
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name != MODULE and isinstance(file, str) and self.is_own(file):
                found.append(name)
        return found

    def is_own(self, file):
        # Kept, as there may be thousands of modules, and they are asked for often.
        if file not in self.places:
            real = os.path.realpath(file)
            # A virtual environment may lie in the same folder.
            prefix = os.path.join(os.path.realpath(sys.prefix), "")
            installed = real.startswith(prefix) or "site-packages" in real
            self.places[file] = real.startswith(self.folder) and not installed
        return self.places[file]

    def stamps(self):
        files = [sys.modules[name].__file__ for name in self.own_modules()]
        return {file: stamp_of(file) for file in [self.settings["path"], *files]}


def stamp_of(file):
    try:
        told = os.stat(file)
        return (told.st_mtime_ns, told.st_size, told.st_ino)
    except OSError:
        return None


def limit_memory(limit):
    import resource

    # Linux counts what is written here, without the address space that threads and libraries only reserve.
    which = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    resource.setrlimit(which, (limit, limit))


def main():
    # The engine gives the socket as standard input; the script gets an empty one.
    connection = socket.socket(fileno=os.dup(0))
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    Harness(Channel(connection)).serve()


main()
