"""Writes the golden frames with the official Python SDK's own Protobuf schema.

    pip install centrifuge-python && python generate.py

Each frame is written twice: as JSON lines, and as Protobuf by the SDK's codec.
"""

import base64
import json
import pathlib

from google.protobuf.json_format import ParseDict

import centrifuge.protocol.client_pb2 as protocol
from centrifuge.codecs import _varint_encode

# Fields that are embedded JSON in JSON and bytes in Protobuf.
RAW = {"data", "conn_info", "chan_info"}

ANN = {"user": "ann", "client": "c1", "conn_info": {"name": "Ann"}, "chan_info": [1]}
PUB = {"data": {"text": "上海 hi"}, "info": ANN, "offset": 7, "tags": {"a": "1", "b": "2"}, "time": 1732000000000}

COMMANDS = [
    {
        "id": 1,
        "connect": {
            "token": "jwt",
            "data": {"a": [1, 2.5, None]},
            "subs": {
                "#ann": {"recover": True, "epoch": "3", "offset": 9007199254740991},
                "room:a": {"recover": True, "epoch": "3", "offset": 4},
            },
            "name": "js",
            "version": "1.0",
            "headers": {"x-a": "1"},
            "flag": 1,
        },
    },
    {
        "id": 2,
        "subscribe": {
            "channel": "room:a",
            "token": "jwt",
            "recover": True,
            "epoch": "12",
            "offset": 18446744073709551615,
            "data": "text",
            "positioned": True,
            "recoverable": True,
            "join_leave": True,
            "delta": "fossil",
            "flag": 3,
        },
    },
    {"id": 3, "unsubscribe": {"channel": "room:a"}},
    {"id": 4, "publish": {"channel": "room:a", "data": {"text": "é\n\"x\""}}},
    {"id": 5, "presence": {"channel": "room:a"}},
    {"id": 6, "presence_stats": {"channel": "room:a"}},
    {"id": 7, "history": {"channel": "room:a", "limit": -1, "since": {"offset": 3, "epoch": "12"}, "reverse": True}},
    {"id": 8, "history": {"channel": "room:a"}},
    {"id": 9, "ping": {}},
    {"send": {"data": [True]}},
    {"id": 10, "rpc": {"data": {"room": "room:a"}, "method": "message.send"}},
    {"id": 11, "refresh": {"token": "jwt"}},
    {"id": 4294967295, "sub_refresh": {"channel": "room:a", "token": "jwt"}},
    {"id": 12},
    {},
]

SUBSCRIBED = {
    "expires": True,
    "ttl": 60,
    "recoverable": True,
    "epoch": "12",
    "publications": [PUB, {"data": 1, "offset": 8}],
    "recovered": True,
    "offset": 8,
    "positioned": True,
    "data": {"kind": "group"},
    "was_recovering": True,
    "delta": True,
    "id": 5,
}

REPLIES = [
    {
        "id": 1,
        "connect": {
            "client": "c1",
            "version": "0.1.0",
            "expires": True,
            "ttl": 3600,
            "data": {},
            "subs": {"#ann": {"recoverable": True, "epoch": "3", "offset": 2, "positioned": True}},
            "ping": 25,
            "pong": True,
            "session": "s",
            "node": "n",
            "time": 1732000000000,
        },
    },
    {"id": 2, "subscribe": SUBSCRIBED},
    {"id": 2, "subscribe": {}},
    {"id": 2, "error": {"code": 100, "message": "internal", "temporary": True}},
    {"id": 3, "unsubscribe": {}},
    {"id": 4, "publish": {}},
    {"id": 5, "presence": {"presence": {"c1": ANN, "c2": {"user": "bob", "client": "c2"}}}},
    {"id": 6, "presence_stats": {"num_clients": 2, "num_users": 1}},
    {"id": 7, "history": {"publications": [PUB], "epoch": "12", "offset": 9}},
    {"id": 9, "ping": {}},
    {"id": 10, "rpc": {"data": {"seq": 7}}},
    {"id": 11, "refresh": {"client": "c1", "version": "0.1.0", "expires": True, "ttl": 60}},
    {"id": 12, "sub_refresh": {"expires": True, "ttl": 60}},
    {"push": {"channel": "room:a", "pub": PUB}},
    {"push": {"id": 5, "pub": {"data": None}}},
    {"push": {"channel": "room:a", "pub": {"data": "x", "delta": True, "channel": "room:a"}}},
    {"push": {"channel": "room:a", "join": {"info": ANN}}},
    {"push": {"channel": "room:a", "leave": {"info": ANN}}},
    {"push": {"channel": "room:a", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}},
    {"push": {"message": {"data": {"a": 1}}}},
    {"push": {"channel": "room:b", "subscribe": {"recoverable": True, "epoch": "12", "offset": 1, "positioned": True, "data": 1}}},
    {"push": {"disconnect": {"code": 3001, "reason": "shutdown", "reconnect": True}}},
    {},
]


def text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def with_bytes(value):
    """The message as ParseDict wants it: raw fields in base64."""
    if isinstance(value, list):
        return [with_bytes(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(text(item).encode()).decode() if key in RAW else with_bytes(item)
        for key, item in value.items()
    }


def write(name, kind, messages):
    here = pathlib.Path(__file__).parent
    (here / f"{name}.json").write_bytes("".join(text(m) + "\n" for m in messages).encode())
    frame = b""
    for message in messages:
        encoded = ParseDict(with_bytes(message), kind()).SerializeToString(deterministic=True)
        frame += _varint_encode(len(encoded)) + encoded
    (here / f"{name}.protobuf").write_bytes(frame)


write("commands", protocol.Command, COMMANDS)
write("replies", protocol.Reply, REPLIES)
