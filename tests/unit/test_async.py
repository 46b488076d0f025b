"""asyncio helpers: waiters are woken in order, cancellations of our own do not leak, callbacks run in their loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from anycompletion._async import Interruptible, WaiterQueue, call_in_loop, running_loop, running_task


async def _waiting(queue: WaiterQueue[str], name: str, woken: list[str]) -> None:
    await queue.wait(queue.enqueue(name), on_lost=lambda: woken.append(f"{name} lost"))
    woken.append(name)


async def test_waiters_are_woken_in_the_order_of_asking() -> None:
    """A caller would starve behind later ones."""
    queue: WaiterQueue[str] = WaiterQueue()
    woken: list[str] = []
    tasks = [asyncio.create_task(_waiting(queue, name, woken)) for name in "abc"]
    await asyncio.sleep(0)
    assert (len(queue), queue.first) == (3, "a")
    assert queue.wake_first()
    await tasks[0]
    assert (woken, queue.first) == (["a"], "b")
    queue.wake_all()
    await asyncio.gather(*tasks)
    assert (woken, len(queue), queue.first, queue.wake_first()) == (["a", "b", "c"], 0, None, False)


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    """Waiters behind one that gave up would wait for nothing."""
    queue: WaiterQueue[str] = WaiterQueue()
    woken: list[str] = []
    tasks = [asyncio.create_task(_waiting(queue, name, woken)) for name in "ab"]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert queue.first == "b"  # also before the task of the first ran
    await asyncio.sleep(0)
    assert len(queue) == 1
    queue.wake_all()
    await tasks[1]
    assert woken == ["b"]


async def test_a_waiter_that_is_cancelled_after_it_was_woken_passes_its_place_on() -> None:
    """A slot would be lost with each cancellation that comes in this moment."""
    queue: WaiterQueue[str] = WaiterQueue()
    woken: list[str] = []
    task = asyncio.create_task(_waiting(queue, "a", woken))
    await asyncio.sleep(0)
    queue.wake_first()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert woken == ["a lost"]


async def test_an_interrupted_body_ends_without_a_cancellation_of_its_task() -> None:
    """The caller's task would be cancelled because a connection was closed."""
    with Interruptible() as body:
        asyncio.get_running_loop().call_soon(body.interrupt)
        await asyncio.sleep(10)
    assert body.interrupted
    assert running_task().cancelling() == 0
    await asyncio.sleep(0)
    body.interrupt()  # nothing runs any more that it could end
    await asyncio.sleep(0)


@pytest.mark.parametrize("interrupt_first", [False, True])
async def test_a_cancellation_of_the_caller_passes_through_an_interrupted_body(interrupt_first: bool) -> None:
    """A cancelled task would go on, because it was interrupted in the same moment."""
    body = Interruptible()

    async def work() -> None:
        with body:
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    if interrupt_first:
        body.interrupt()
    task.cancel()
    body.interrupt()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_errors_of_an_interrupted_body_are_raised() -> None:
    """A failure while something is closed would be lost."""
    with pytest.raises(ValueError, match="broken"), Interruptible() as body:
        asyncio.get_running_loop().call_soon(body.interrupt)
        try:
            await asyncio.sleep(10)
        finally:
            raise ValueError("broken")
    assert running_task().cancelling() == 0


def test_outside_of_coroutines_there_is_no_running_loop() -> None:
    """Objects that are made before `asyncio.run` would not be usable."""
    assert running_loop() is None


async def test_a_callback_runs_in_the_thread_of_its_loop() -> None:
    """A destructor in another thread would change state that the event loop's thread uses."""
    loop = asyncio.get_running_loop()
    assert running_loop() is loop
    seen: list[int] = []
    called = asyncio.Event()

    def callback() -> None:
        seen.append(threading.get_ident())
        called.set()

    call_in_loop(loop, callback)
    assert len(seen) == 1
    called.clear()
    await asyncio.to_thread(call_in_loop, loop, callback)
    await called.wait()
    assert seen == [threading.get_ident()] * 2


def test_nothing_is_called_in_a_closed_loop() -> None:
    """A destructor would raise at the end of the program."""
    loop = asyncio.new_event_loop()
    loop.close()
    call_in_loop(loop, pytest.fail)
