"""A cache of replies in a file, its modes, and one entry taken out."""

import asyncio

from anycompletion import AsyncCompletion, CacheMissError
from anycompletion.caching import CacheControl, SQLiteStore, cached
from anycompletion.integrations.prices import cost

MODEL = "openai/gpt-4o"


async def main() -> None:
    async with SQLiteStore("replies.sqlite") as store:
        cache = cached(store, ttl=86_400, when="deterministic", ignore=("user",))
        async with AsyncCompletion(middleware=[cache]) as client:
            for user in ("ann", "bob"):
                reply = await client.create(MODEL, "Hello!", temperature=0, user=user)
                print("cached:", reply.info.cached, reply.info.cache_age is not None, cost(reply) == 0)
            fresh = await client.create(MODEL, "Hello!", temperature=0, cache="refresh")
            print("refreshed:", fresh.info.cached)
            samples = [
                await client.create(MODEL, "Hello!", seed=1, cache=CacheControl(vary=str(i), ttl=60)) for i in range(3)
            ]
            print("samples:", len({sample.id for sample in samples}), samples[0].usage is not None)

            async with client.stream(MODEL, "Hello!", temperature=0) as stream:
                print("streamed:", "".join([text async for text in stream.text]), stream.info.cached)

            offline = client.with_options(cache="only")
            try:
                async with offline.stream(MODEL, "Never asked", temperature=0) as stream:
                    print([text async for text in stream.text])
            except CacheMissError as error:
                print("missed:", error)
            if reply.info.cache_key:  # this answer was bad: ask anew next time
                await store.delete(reply.info.cache_key)
            print("asked anew:", not (await client.create(MODEL, "Hello!", temperature=0)).info.cached)


asyncio.run(main())
