"""What the tests share: clients of the official SDK in the encoding under test, tokens, and a
proxy whose connections can be cut."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import secrets
import time
import unittest
from urllib.parse import urlparse

from centrifuge import CentrifugeError, Client, ClientEventHandler, SubscriptionEventHandler

PROTOBUF = os.environ.get("CHINWAG_ENCODING", "json") == "protobuf"
URL = os.environ["CHINWAG_URL"]
SOCKET = os.environ["CHINWAG_SOCKET"]
OTHER_SOCKET = os.environ.get("CHINWAG_OTHER_SOCKET", SOCKET)
SECRET = os.environ["CHINWAG_HMAC_SECRET"]
API_KEY = os.environ["CHINWAG_API_KEY"]

# How long anything may take to arrive, in seconds.
PATIENCE = 15


def packed(value):
    """A value as this encoding's SDK wants it: itself, or the bytes of its JSON."""
    return json.dumps(value).encode() if PROTOBUF else value


def unpacked(data):
    """What the SDK gave, as a value again."""
    return json.loads(data) if PROTOBUF else data


def unique(name):
    """A name that no other test has."""
    return f"{name}-{secrets.token_hex(5)}"


def seconds(offset):
    """Seconds since 1970, `offset` from now."""
    return int(time.time()) + offset


def jwt(key=SECRET, **claims):
    """A token signed with the configured secret, or with another."""

    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    header = json.dumps({"alg": "HS256", "typ": "JWT"}).encode()
    signed = part(header) + b"." + part(json.dumps(claims).encode())
    signature = part(hmac.new(key.encode(), signed, hashlib.sha256).digest())
    return (signed + b"." + signature).decode()


class Heard:
    """What a handler was told, kept until a test asks for it."""

    def __init__(self):
        self._kept = []
        self._changed = asyncio.Event()

    def took(self, event, context):
        self._kept.append((event, context))
        self._changed.set()

    async def next(self, event, fits=lambda context: True):
        """The next event of a name that `fits`, in the order in which they came."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            for at, (name, context) in enumerate(self._kept):
                if name == event and fits(context):
                    del self._kept[at]
                    return context
            self._changed.clear()
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except asyncio.TimeoutError:
                raise AssertionError(f"no {event} in time; kept: {self._kept}") from None

    async def many(self, event, count):
        """The next `count` events of a name."""
        return [await self.next(event) for _ in range(count)]

    def rest(self, event):
        """What came and was not asked for."""
        return [context for name, context in self._kept if name == event]


def recording(base):
    """A handler of the SDK's that keeps all it is told."""

    class Recorder(base):
        def __init__(self):
            self.heard = Heard()

    def record(name):
        async def handler(self, context):
            self.heard.took(name, context)

        return handler

    for name in filter(lambda name: name.startswith("on_"), dir(base)):
        setattr(Recorder, name, record(name.removeprefix("on_")))
    return Recorder


ClientRecorder = recording(ClientEventHandler)
SubscriptionRecorder = recording(SubscriptionEventHandler)


class User:
    """A client of the SDK, and what it is told."""

    def __init__(self, address=SOCKET, **options):
        events = ClientRecorder()
        self.heard = events.heard
        self.client = Client(address, events, use_protobuf=PROTOBUF, proxy=None, **options)

    async def connect(self):
        await self.client.connect()
        context = await self.heard.next("connected")
        self.connection = context.client
        return self

    async def rpc(self, method, **argument):
        """Calls a chat verb."""
        return unpacked((await self.client.rpc(method, packed(argument))).data)

    async def subscribe(self, channel, **options):
        """A subscription, and what it is told."""
        events = SubscriptionRecorder()
        subscription = self.client.new_subscription(channel, events, **options)
        await subscription.subscribe()
        return subscription, events.heard

    async def subscribed(self, channel, **options):
        """The same, once it is there."""
        subscription, heard = await self.subscribe(channel, **options)
        heard.context = await heard.next("subscribed")
        return subscription, heard


class Proxy:
    """A TCP proxy before gateways, whose connections can be cut and held off."""

    def __init__(self):
        self.target = SOCKET
        self._open = True
        self._writers = set()
        self._joined = set()

    async def start(self):
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.socket = f"ws://127.0.0.1:{port}/connection/websocket"
        return self

    async def _join(self, near_reader, near_writer):
        if not self._open:
            near_writer.transport.abort()
            return
        self._joined.add(asyncio.current_task())
        target = urlparse(self.target)
        far_reader, far_writer = await asyncio.open_connection(target.hostname, target.port)
        self._writers |= {near_writer, far_writer}
        await asyncio.gather(
            self._copy(near_reader, far_writer), self._copy(far_reader, near_writer)
        )
        self._writers -= {near_writer, far_writer}

    async def _copy(self, reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.transport.abort()

    def cut(self):
        """Breaks all connections and accepts none."""
        self._open = False
        for writer in self._writers:
            writer.transport.abort()

    def restore(self):
        """Accepts again."""
        self._open = True

    async def stop(self):
        self._server.close()
        self.cut()
        await asyncio.gather(*self._joined)


class Case(unittest.IsolatedAsyncioTestCase):
    """A test whose clients and proxies end with it."""

    def person(self, *arguments, **options):
        """A client that is not connected yet."""
        user = User(*arguments, **options)
        self.addAsyncCleanup(user.client.disconnect)
        return user

    async def user(self, name, address=SOCKET):
        """Somebody of the host's users, connected."""
        id = unique(name)
        user = self.person(address, token=jwt(sub=id))
        user.id = id
        return await user.connect()

    async def proxy(self):
        proxy = await Proxy().start()
        self.addAsyncCleanup(proxy.stop)
        return proxy

    async def refused(self, code, awaitable):
        """Something is refused with a code."""
        with self.assertRaises(CentrifugeError) as caught:
            await awaitable
        self.assertEqual(caught.exception.code, code)

    async def closed(self, user, channel, code, **options):
        """Subscribing to a channel ends with a code."""
        subscription, heard = await user.subscribe(channel, **options)
        self.assertEqual((await heard.next("unsubscribed")).code, code)
        self.assertEqual(heard.rest("subscribed"), [])
        user.client.remove_subscription(subscription)
