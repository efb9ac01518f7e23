"""The official client of the server API, `cent`, against real gateways."""

import asyncio

from cent import (
    BatchRequest,
    BroadcastRequest,
    CentApiResponseError,
    CentUnauthorizedError,
    Client,
    Disconnect,
    DisconnectRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    StreamPosition,
    SubscribeRequest,
    UnsubscribeRequest,
)

from harness import API_KEY, OTHER_SOCKET, URL, Case, unique, unpacked


class ServerApi(Case):
    def setUp(self):
        self.cent = Client(f"{URL}/api", API_KEY)

    async def call(self, method, request):
        return await asyncio.to_thread(getattr(self.cent, method), request)

    async def api_refuses(self, code, method, request):
        with self.assertRaises(CentApiResponseError) as caught:
            await self.call(method, request)
        self.assertEqual(caught.exception.code, code)

    async def test_publish_reaches_subscribers_once(self):
        bob = await self.user("bob", OTHER_SOCKET)
        channel = unique("lobby")
        _, heard = await bob.subscribed(channel)
        request = PublishRequest(channel=channel, data={"text": "你好"}, idempotency_key="1")
        first = await self.call("publish", request)
        self.assertEqual(first.offset, 1)
        self.assertEqual(await self.call("publish", request), first)
        last = PublishRequest(channel=channel, data="last")
        self.assertEqual((await self.call("publish", last)).offset, 2)
        one, two = await heard.many("publication", 2)
        self.assertEqual(unpacked(one.pub.data), {"text": "你好"})
        self.assertEqual((one.pub.offset, one.pub.info), (1, None))
        self.assertEqual(unpacked(two.pub.data), "last")

    async def test_what_is_not_kept_is_heard_all_the_same(self):
        bob = await self.user("bob", OTHER_SOCKET)
        channel = unique("lobby")
        _, heard = await bob.subscribed(channel)
        request = PublishRequest(channel=channel, data="now", skip_history=True)
        self.assertEqual((await self.call("publish", request)).offset, 0)
        self.assertEqual(unpacked((await heard.next("publication")).pub.data), "now")
        top = await self.call("history", HistoryRequest(channel=channel))
        self.assertEqual((top.offset, top.publications), (0, []))

    async def test_broadcast_answers_for_each_channel(self):
        bob = await self.user("bob")
        channels = [unique("lobby"), unique("lobby")]
        all_heard = [(await bob.subscribed(channel))[1] for channel in channels]
        request = BroadcastRequest(channels=[*channels, "nowhere:at-all"], data={"n": 1})
        responses = (await self.call("broadcast", request)).responses
        self.assertEqual([one.result.offset for one in responses[:2]], [1, 1])
        self.assertEqual(responses[2].error.code, 102)
        for heard in all_heard:
            self.assertEqual(unpacked((await heard.next("publication")).pub.data), {"n": 1})

    async def test_presence_and_its_counts(self):
        ann, bob = await self.user("ann"), await self.user("bob", OTHER_SOCKET)
        channel = unique("lobby")
        for one in (ann, bob):
            await one.subscribed(channel)
        presence = (await self.call("presence", PresenceRequest(channel=channel))).presence
        users = {client: info.user for client, info in presence.items()}
        self.assertEqual(users, {ann.connection: ann.id, bob.connection: bob.id})
        stats = await self.call("presence_stats", PresenceStatsRequest(channel=channel))
        self.assertEqual((stats.num_clients, stats.num_users), (2, 2))

    async def test_history(self):
        channel = unique("lobby")
        for n in range(1, 6):
            await self.call("publish", PublishRequest(channel=channel, data=n))

        async def read(**options):
            return await self.call("history", HistoryRequest(channel=channel, **options))

        top = await read()
        self.assertEqual((top.offset, top.publications), (5, []))
        offsets = lambda result: [one.offset for one in result.publications]
        self.assertEqual(offsets(await read(limit=2)), [1, 2])
        self.assertEqual(offsets(await read(limit=2, reverse=True)), [5, 4])
        after = StreamPosition(offset=3, epoch=top.epoch)
        self.assertEqual([one.data for one in (await read(limit=9, since=after)).publications], [4, 5])
        foreign = HistoryRequest(
            channel=channel, limit=9, since=StreamPosition(offset=3, epoch="another")
        )
        await self.api_refuses(112, "history", foreign)

    async def test_subscribe_and_unsubscribe(self):
        bob = await self.user("bob", OTHER_SOCKET)
        channel = unique("lobby")
        here = lambda context: context.channel == channel
        await self.call("subscribe", SubscribeRequest(user=bob.id, channel=channel))
        await bob.heard.next("subscribed", here)
        await self.call("publish", PublishRequest(channel=channel, data="hello"))
        heard = await bob.heard.next("publication", here)
        self.assertEqual(unpacked(heard.pub.data), "hello")
        await self.call("unsubscribe", UnsubscribeRequest(user=bob.id, channel=channel))
        await bob.heard.next("unsubscribed", here)
        await self.call("publish", PublishRequest(channel=channel, data="gone"))
        self.assertEqual([one for one in bob.heard.rest("publication") if here(one)], [])

    async def test_unsubscribe_ends_what_the_client_subscribed_to(self):
        bob = await self.user("bob", OTHER_SOCKET)
        channel = unique("lobby")
        _, heard = await bob.subscribed(channel)
        await self.call("unsubscribe", UnsubscribeRequest(user=bob.id, channel=channel))
        self.assertEqual((await heard.next("unsubscribed")).code, 2000)

    async def test_disconnect_for_good_and_for_now(self):
        ann, bob = await self.user("ann"), await self.user("bob", OTHER_SOCKET)
        await self.call("disconnect", DisconnectRequest(user=ann.id))
        self.assertEqual((await ann.heard.next("disconnected")).code, 3503)
        later = Disconnect(code=4000, reason="come back")
        request = DisconnectRequest(user=bob.id, client=bob.connection, disconnect=later)
        await self.call("disconnect", request)
        came = await bob.heard.next("connecting", lambda context: context.code == 4000)
        self.assertEqual(came.reason, "come back")
        self.assertNotEqual((await bob.heard.next("connected")).client, bob.connection)

    async def test_info_names_the_gateways(self):
        nodes = (await self.call("info", InfoRequest())).nodes
        self.assertEqual(len({node.uid for node in nodes}), 2)

    async def test_several_requests_go_in_one(self):
        channel = unique("lobby")
        publish = PublishRequest(channel=channel, data=1)
        for parallel, offsets in ((False, [1, 2]), (True, [3, 4])):
            request = BatchRequest(requests=[publish, publish], parallel=parallel)
            replies = (await self.call("batch", request)).replies
            self.assertEqual(sorted(reply.offset for reply in replies), offsets)

    async def test_a_wrong_key_and_wrong_requests(self):
        stranger = Client(f"{URL}/api", "another key, another key, another")
        with self.assertRaises(CentUnauthorizedError):
            await asyncio.to_thread(stranger.info, InfoRequest())
        await self.api_refuses(102, "publish", PublishRequest(channel="nowhere:at-all", data=1))
        await self.api_refuses(107, "publish", PublishRequest(channel="with space", data=1))
        tagged = PublishRequest(channel=unique("lobby"), data=1, tags={"a": "b"})
        await self.api_refuses(108, "publish", tagged)
