"""The official Python client against real gateways, in JSON or Protobuf."""

import asyncio
import json
import unittest
from urllib.request import Request, urlopen

from centrifuge import StreamPosition

from harness import OTHER_SOCKET, PROTOBUF, URL, Case, jwt, packed, seconds, unique, unpacked


def said(contexts):
    return [unpacked(context.pub.data) for context in contexts]


class Connecting(Case):
    async def test_a_token_of_our_own_brings_the_personal_channel(self):
        name = unique("ann")
        body = json.dumps({"name": name, "password": "correct horse"}).encode()
        request = Request(f"{URL}/v1/users", body, {"Content-Type": "application/json"})
        token = json.load(await asyncio.to_thread(urlopen, request))["token"]
        ann = await self.person(token=token).connect()
        personal = await ann.heard.next("subscribed")
        self.assertEqual((personal.channel, personal.recoverable), (f"#{name}", True))

    async def test_a_wrong_token_ends_with_3500(self):
        wrong = ["rubbish", jwt("another secret, another secret", sub="ann"), ""]
        for token in wrong:
            nobody = self.person(token=token)
            await nobody.client.connect()
            self.assertEqual((await nobody.heard.next("disconnected")).code, 3500)
            self.assertEqual(nobody.heard.rest("connected"), [])

    async def test_a_token_that_has_expired_is_asked_for_again(self):
        sub, asked = unique("ann"), []

        async def get_token():
            asked.append(sub)
            return jwt(sub=sub, exp=seconds(3600))

        ann = self.person(token=jwt(sub=sub, exp=seconds(-60)), get_token=get_token)
        await ann.connect()
        self.assertEqual(len(asked), 1)


class Channels(Case):
    async def test_everybody_hears_a_publication_once_and_from_whom(self):
        ann, bob = await self.user("ann"), await self.user("bob", OTHER_SOCKET)
        channel = unique("lobby")
        near, near_heard = await ann.subscribed(channel)
        _, far_heard = await bob.subscribed(channel)
        words = {"text": "你好，世界 🌏", "list": [1, None, "ä"]}
        await near.publish(packed(words))
        for n in range(2, 21):
            await near.publish(packed(n))
        for heard in (near_heard, far_heard):
            contexts = await heard.many("publication", 20)
            self.assertEqual(said(contexts), [words, *range(2, 21)])
            self.assertEqual([context.pub.offset for context in contexts], list(range(1, 21)))
            info = contexts[0].pub.info
            self.assertEqual((info.user, info.client), (ann.id, ann.connection))
        self.assertEqual(far_heard.rest("publication"), [])

    async def test_history_by_limit_position_and_direction(self):
        ann = await self.user("ann")
        lobby, _ = await ann.subscribed(unique("lobby"))
        for n in range(1, 11):
            await lobby.publish(packed(n))
        top = await lobby.history(limit=0)
        self.assertEqual((top.publications, top.offset), ([], 10))

        async def check(expected, **options):
            result = await lobby.history(**options)
            self.assertEqual((result.offset, result.epoch), (10, top.epoch))
            self.assertEqual([one.offset for one in result.publications], expected)
            self.assertEqual([unpacked(one.data) for one in result.publications], expected)

        await check(list(range(1, 11)), limit=-1)
        await check([1, 2, 3], limit=3)
        await check([10, 9, 8], limit=3, reverse=True)
        await check([5, 6, 7], limit=3, since=StreamPosition(4, top.epoch))
        await check([3, 2], limit=2, since=StreamPosition(4, top.epoch), reverse=True)
        await self.refused(112, lobby.history(limit=3, since=StreamPosition(4, "999999")))

    async def test_presence_and_who_comes_and_goes(self):
        ann, bob = await self.user("ann"), await self.user("bob", OTHER_SOCKET)
        channel = f"news:{unique('today')}"
        near, heard = await ann.subscribed(channel, join_leave=True)
        self.assertEqual((await heard.next("join")).info.client, ann.connection)
        far, _ = await bob.subscribed(channel)
        joined = (await heard.next("join")).info
        self.assertEqual((joined.user, joined.client), (bob.id, bob.connection))
        clients = (await near.presence()).clients
        self.assertEqual(set(clients), {ann.connection, bob.connection})
        self.assertEqual(clients[bob.connection].user, bob.id)
        stats = await near.presence_stats()
        self.assertEqual((stats.num_clients, stats.num_users), (2, 2))
        await far.unsubscribe()
        self.assertEqual((await heard.next("leave")).info.client, bob.connection)

    @unittest.skipUnless(PROTOBUF, "in JSON, data is no bytes")
    async def test_data_is_kept_byte_for_byte(self):
        ann = await self.user("ann")
        lobby, heard = await ann.subscribed(unique("lobby"))
        data = '{ "b": 1.0e2, "a":\t"\\u4f60好", "b": [ ] }'.encode()
        await lobby.publish(data)
        self.assertEqual((await heard.next("publication")).pub.data, data)
        await self.refused(107, lobby.publish(b"\x00\x9f\x92\x96"))


class Recovery(Case):
    async def test_everything_that_was_said_meanwhile_arrives_once(self):
        proxy, ann = await self.proxy(), await self.user("ann")
        bob = await self.user("bob", proxy.socket)
        channel = unique("lobby")
        near, _ = await ann.subscribed(channel)
        _, heard = await bob.subscribed(channel, recoverable=True)
        await near.publish(packed(0))
        await heard.next("publication")
        for target in (proxy.target, OTHER_SOCKET):
            proxy.cut()
            await bob.heard.next("connecting", lambda context: context.code == 1)
            for n in range(1, 7):
                await near.publish(packed(n))
            proxy.target = target
            proxy.restore()
            again = await heard.next("subscribed")
            self.assertEqual((again.was_recovering, again.recovered), (True, True))
            await near.publish(packed(7))
            self.assertEqual(said(await heard.many("publication", 7)), list(range(1, 8)))
        self.assertEqual(heard.rest("publication"), [])

    async def test_what_cannot_be_recovered_is_said_to_be_so(self):
        proxy, ann = await self.proxy(), await self.user("ann")
        bob = await self.user("bob", proxy.socket)
        channel = f"short:{unique('lobby')}"
        near, _ = await ann.subscribed(channel)
        _, heard = await bob.subscribed(channel, recoverable=True)
        proxy.cut()
        await bob.heard.next("connecting", lambda context: context.code == 1)
        for n in range(1, 11):
            await near.publish(packed(n))
        proxy.restore()
        again = await heard.next("subscribed")
        self.assertEqual((again.was_recovering, again.recovered), (True, False))
        self.assertEqual(again.stream_position.offset, 10)

    async def test_a_foreign_position_has_the_state_loaded_again(self):
        ann, bob = await self.user("ann"), await self.user("bob")
        channel = unique("lobby")
        near, heard = await ann.subscribed(channel, positioned=True)
        for n in range(1, 4):
            await near.publish(packed(n))
        epoch = heard.context.stream_position.epoch
        states = [StreamPosition(3, "999999"), StreamPosition(0, "_"), StreamPosition(1, epoch)]
        loaded = []

        async def get_state(_channel):
            loaded.append(states[len(loaded)])
            return loaded[-1]

        _, heard = await bob.subscribed(channel, recoverable=True, get_state=get_state)
        self.assertEqual(loaded, states)
        self.assertTrue(heard.context.recovered)
        self.assertEqual(said(await heard.many("publication", 2)), [2, 3])


class Chat(Case):
    async def test_an_invitation_makes_a_room_appear_and_it_is_recovered(self):
        proxy, ann = await self.proxy(), await self.user("ann")
        bob = await self.user("bob", proxy.socket)
        room = (await ann.rpc("room.create", name="茶馆"))["room"]["id"]
        await ann.rpc("room.invite", room=room, user=bob.id)
        here = lambda context: context.channel == room
        message = lambda context: here(context) and unpacked(context.pub.data)["type"] == "message"
        appeared = await bob.heard.next("subscribed", here)
        self.assertTrue(appeared.recoverable)

        async def say(text):
            return await ann.rpc("message.send", room=room, body={"text": text})

        async def hear():
            return unpacked((await bob.heard.next("publication", message)).pub.data)

        sent = await say("你好！ <b>&</b> 🫖")
        heard = await hear()
        self.assertEqual((heard["seq"], heard["user"]), (sent["seq"], ann.id))
        self.assertEqual(heard["body"], {"text": "你好！ <b>&</b> 🫖"})
        proxy.cut()
        await bob.heard.next("connecting", lambda context: context.code == 1)
        for text in ("二", "three"):
            await say(text)
        proxy.target = OTHER_SOCKET
        proxy.restore()
        again = await bob.heard.next("subscribed", here)
        self.assertEqual((again.was_recovering, again.recovered), (True, True))
        await say("four")
        texts = [(await hear())["body"]["text"] for _ in range(3)]
        self.assertEqual(texts, ["二", "three", "four"])
        page = await bob.rpc("message.page", room=room, limit=2)
        self.assertEqual([event["body"]["text"] for event in page["events"]], ["three", "four"])
        await bob.rpc("room.leave", room=room)
        await bob.heard.next("unsubscribed", here)


class Permissions(Case):
    async def test_what_is_not_for_everybody_is_closed(self):
        ann, eve = await self.user("ann"), await self.user("eve")
        room = (await ann.rpc("room.create", name="Secret"))["room"]["id"]
        for channel, code in ((room, 103), (f"#{ann.id}", 103), ("nowhere:at-all", 102)):
            await self.closed(eve, channel, code)
        await self.refused(103, eve.client.history(room, limit=1))
        await self.refused(103, eve.client.publish(f"#{ann.id}", packed("boo")))
        await self.refused(103, eve.client.presence(unique("lobby")))
        await self.refused(404, eve.rpc("message.send", room=room, body={"text": "hi"}))
        await self.refused(108, eve.rpc("no.such"))
        quiet, _ = await eve.subscribed(f"quiet:{unique('room')}")
        await self.refused(103, quiet.publish(packed(1)))

    async def test_a_channel_with_tokens_opens_by_a_good_one_only(self):
        ann = await self.user("ann")
        channel = f"vip:{unique('lounge')}"
        wrong = [
            "rubbish",
            jwt("another secret, another secret", sub=ann.id, channel=channel),
            jwt(sub="bob", channel=channel),
            jwt(sub=ann.id, channel="vip:other"),
        ]
        for token in wrong:
            await self.closed(ann, channel, 103, token=token)
        token = jwt(sub=ann.id, channel=channel, info={"seat": "一号"})
        good, heard = await ann.subscribed(channel, token=token)
        await good.publish(packed("hello"))
        self.assertEqual(said([await heard.next("publication")]), ["hello"])
        info = (await good.presence()).clients[ann.connection].chan_info
        self.assertEqual(unpacked(info), {"seat": "一号"})


class Renewal(Case):
    async def test_tokens_are_renewed_while_they_live(self):
        sub, channel = unique("ann"), f"vip:{unique('lounge')}"
        asked, asked_for_channel = [], []

        # Tokens live for two seconds more than they say, by the leeway for a host's clock.
        async def get_token():
            asked.append(sub)
            return jwt(sub=sub, exp=seconds(-3 if len(asked) < 3 else 3600))

        async def get_channel_token(of):
            asked_for_channel.append(of)
            exp = [seconds(-60), seconds(-3), seconds(3600)][len(asked_for_channel) - 1]
            return jwt(sub=sub, channel=channel, exp=exp)

        ann = await self.person(get_token=get_token).connect()
        lounge, heard = await ann.subscribed(channel, get_token=get_channel_token)
        # Beyond the end of the first tokens, and of what a token that was not renewed is left.
        await asyncio.sleep(10)
        self.assertEqual((len(asked), asked_for_channel), (3, [channel] * 3))
        self.assertEqual(len(ann.heard.rest("connecting")), 1)
        self.assertEqual(heard.rest("unsubscribed"), [])
        await lounge.publish(packed("still here"))
        await heard.next("publication")


if __name__ == "__main__":
    unittest.main()
