"""The batch journal: resumption, damage, locking, full disks, fsync, closing, and kills at any moment."""

import asyncio
import json
import logging
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.batch.journal import (
    Fsync,
    ItemKeys,
    Journal,
    State,
    UnwrittenError,
    read_results,
)
from anycompletion.batch.journal.lines import read_line, write_line
from anycompletion.errors import JournalError, RateLimitError
from anycompletion.records import ChatRequest
from anycompletion.records.results import Result
from support.journals import content, equal_results, make_key, make_request, put, reply, size_of, texts, with_checksum

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a journal needs the file locks of POSIX")

LIBRARY = Path(__file__).parents[3] / "lib"


def first_result(path: Path) -> Result:
    return next(read_results(path))


async def fill(path: Path, count: int, first: int = 0) -> list[int]:
    """Appends results to a journal; returns the offsets of the ends of their lines."""
    ends: list[int] = []
    async with Journal.open(path, fsync="none") as journal:
        for number in range(first, first + count):
            await journal.append(make_key(number), Result(reply(f"Answer {number}, größer."), None, f"row-{number}"))
            ends.append(size_of(path))
    return ends


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


# --- resumption ----------------------------------------------------------------------------------------------------


async def test_a_later_run_finds_the_state_of_every_item(path: Path) -> None:
    """Finished items would be paid again, or failed ones would never be retried."""
    outcomes = [
        Result(reply(elapsed=0.5, attempts=2, warnings=["w"]), None, "row-0"),
        Result(None, RateLimitError("slow", status_code=429, retry_after=1.5, attempts=3), "row-1"),
        Result(None, errors.BadRequestError("no", status_code=400, code="bad", param="stop"), "row-2"),
    ]
    async with Journal.open(path) as journal:
        for number, result in enumerate(outcomes):
            assert journal.entry(make_key(number)) is None
            await journal.append(make_key(number), result)
            assert equal_results(journal.read(journal.entry(make_key(number))), result)  # type: ignore[arg-type]
    async with Journal.open(path) as journal:
        assert journal.count == 3
        for number, state in enumerate((State.DONE, State.RETRYABLE, State.FAILED)):
            entry = journal.entry(make_key(number))
            assert entry is not None
            assert entry.state is state
            found = journal.read(entry, make_request(number))
            assert equal_results(found, outcomes[number])
            assert found.request == make_request(number)
        assert journal.entry(make_key(3)) is None
        assert journal.warnings == []


async def test_the_last_result_of_an_item_is_valid(path: Path) -> None:
    """An item that failed and was answered later would be sent in every run."""
    async with Journal.open(path) as journal:
        await journal.append(make_key(0), Result(None, errors.APIConnectionError("gone"), "row-0"))
        await journal.append(make_key(1), Result(reply("One."), None, "row-1"))
    async with Journal.open(path) as journal:
        await journal.append(make_key(0), Result(reply("Zero."), None, "row-0"))
    async with Journal.open(path) as journal:
        entry = journal.entry(make_key(0))
        assert entry is not None
        assert (entry.state, journal.read(entry).completion) == (State.DONE, reply("Zero."))
        assert journal.count == 2
    assert texts(path) == {"row-0": "Zero.", "row-1": "One."}
    assert content(path).count(b"\n") == 3


async def test_a_changed_request_with_a_known_id_is_an_error(path: Path) -> None:
    """The result of another request would be given for this one."""
    await fill(path, 2)
    async with Journal.open(path) as journal:
        changed = ItemKeys().next_key(ChatRequest("openai/gpt-4o", "another", custom_id="row-1"))
        with pytest.raises(JournalError, match="'row-1' is not the one"):
            journal.entry(changed)


@pytest.mark.parametrize(
    "custom_id", ["", 'größer 😀 \u2028\n"', "\x00", "x" * 1_000_000], ids=["", "odd", "nul", "huge"]
)
async def test_any_text_is_a_valid_id(path: Path, custom_id: str) -> None:
    """An id would split a line, or would not be found again."""
    item = ItemKeys().next_key(ChatRequest("m", "x", custom_id=custom_id))
    async with Journal.open(path) as journal:
        await journal.append(item, Result(reply(), None, custom_id))
    async with Journal.open(path) as journal:
        entry = journal.entry(item)
        assert entry is not None
        assert journal.read(entry).custom_id == custom_id


# --- damage ------------------------------------------------------------------------------------------------------


async def test_a_line_torn_at_any_byte_is_cut_off_and_can_be_rewritten(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash during a write would cost the journal, or leave half a line in it."""
    caplog.set_level(logging.WARNING)
    start = (await fill(path, 1))[0]
    async with Journal.open(path, fsync="none") as journal:
        await journal.append(make_key(1), Result(None, RateLimitError("größer"), "row-1"))
    whole = content(path)
    for cut in range(start, len(whole)):
        put(path, whole[:cut])
        caplog.clear()
        journal = Journal.open(path, fsync="none")
        assert size_of(path) == start
        assert journal.count == 1
        assert (journal.entry(make_key(0)) is None, journal.entry(make_key(1))) == (False, None)
        torn = cut > start
        assert len(journal.warnings) == len(caplog.records) == torn
        if torn:
            assert f"the last {cut - start:,} bytes" in journal.warnings[0]
        await journal.append(make_key(1), Result(reply("Again."), None, "row-1"))
        await journal.aclose()
        assert texts(path) == {"row-0": "Answer 0, größer.", "row-1": "Again."}


async def test_a_damaged_last_line_is_cut_off(path: Path) -> None:
    """The result of a power loss would be read as valid, or would prevent the resumption."""
    start, end = (await fill(path, 2))[-2:]
    whole = content(path)
    flipped = whole[:-200] + bytes([whole[-200] ^ 1]) + whole[-199:]
    holes = whole[: start + 40] + bytes(end - start - 41) + b"\n"
    for damaged in (flipped, holes, whole[:start] + bytes(5000), whole[: start + 9] + bytes(4096)):
        put(path, damaged)
        with closing(Journal.open(path, fsync="none")) as journal:
            assert journal.count == 1
            assert len(journal.warnings) == 1
        assert size_of(path) == start


@pytest.mark.parametrize("byte", range(0, 500, 23))
async def test_a_damaged_line_in_the_middle_is_an_error_with_its_offset(path: Path, byte: int) -> None:
    """Results would be lost silently, or cut off with those after them."""
    first, second = (await fill(path, 3))[:2]
    whole = bytearray(content(path))
    whole[first + byte % (second - first)] ^= 1
    put(path, bytes(whole))
    for open_it in (Journal.open, first_result):
        with pytest.raises(JournalError, match=f"the line at byte {first} is damaged"):
            open_it(path)
    assert content(path) == whole


LINES = [write_line(make_key(number), Result(reply(f"Answer {number}."), None, f"row-{number}")) for number in range(3)]


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, sum(map(len, LINES))), st.integers(0, 60), st.binary(max_size=3) | st.just(b"\n")),
        max_size=3,
    ),
    more=st.binary(max_size=20),
)
def test_no_damage_is_read_as_a_wrong_result(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int, bytes]], more: bytes
) -> None:
    """Damage would be read as a result, or raise another exception."""
    data = b"".join(LINES)
    for at, less, new in changes:
        data = data[:at] + new + data[at + less :]
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data + more)
    right = [read_line(line) for line in LINES]
    try:
        found = list(read_results(path))
    except JournalError:
        return
    assert all(any(equal_results(result, one) for one in right) for result in found)


async def test_a_lost_line_feed_in_the_middle_is_an_error(path: Path) -> None:
    """Two joined results would be read as one, or as none."""
    first = (await fill(path, 3))[0]
    whole = content(path)
    put(path, whole[: first - 1] + whole[first:])
    with pytest.raises(JournalError, match="the line at byte 0 is damaged"):
        Journal.open(path)


FOREIGN = {
    "text": b"Shopping list: milk",
    "text with LF": b"Shopping list: milk\n",
    "json": b'{"custom_id":"1","method":"POST"}\n',
    "json, two lines": b'{"custom_id":"1"}\n{"custom_id":"2"}\n',
    "OpenAI's output": b'{"id": "batch_req_1", "custom_id": "1", "response": null, "error": null}\n',
    "the same without spaces": b'{"id":"batch_req_1","custom_id":"1","response":null,"error":null}',
    "blank line": b"\n",
    "binary": bytes(range(256)) * 50,
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_file_that_is_no_journal_is_not_changed(path: Path, case: str) -> None:
    """A file that was named by mistake would be truncated, or stay locked."""
    put(path, FOREIGN[case])
    before = os.listdir("/dev/fd")
    # A file with another beginning is not read: it might be large, and a single line.
    reason = "not written here" if case == "the same without spaces" else "is no journal, as its first line shows"
    with pytest.raises(JournalError, match=reason):
        Journal.open(path)
    assert content(path) == FOREIGN[case]
    assert os.listdir("/dev/fd") == before


async def test_a_foreign_last_line_is_not_cut_off(path: Path) -> None:
    """A note that the user wrote at the end would be deleted."""
    await fill(path, 1)
    whole = content(path)
    for note in (b"done so far\n", b'{"custom_id":"x"}\n', b'{"id":"batch_req_1","custom_id":"x"}\n'):
        put(path, whole + note)
        with pytest.raises(JournalError, match=f"at byte {len(whole)}, was not written here"):
            Journal.open(path)
        assert content(path) == whole + note


async def test_a_line_of_a_later_format_version_is_refused(path: Path) -> None:
    """Lines of a later version would be misread."""
    await fill(path, 2)
    put(path, b"".join(with_checksum(line.replace(b'"v":1,', b'"v":2,')) for line in content(path).splitlines(True)))
    with pytest.raises(JournalError, match="byte 0"):
        Journal.open(path)


async def test_journals_can_be_concatenated(path: Path, tmp_path: Path) -> None:
    """The journals of a distributed run could not be merged with `cat`."""
    await fill(path, 2)
    await fill(tmp_path / "other", 2, first=1)
    put(path, content(path) + content(tmp_path / "other"))
    with closing(Journal.open(path, fsync="none")) as journal:
        assert journal.count == 3


# --- locking and permissions --------------------------------------------------------------------------------------


def python(code: str, *arguments: object, inside: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Runs `code` in another process."""
    return subprocess.run(
        [*inside, sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(LIBRARY), str(Path(__file__).parents[2])])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


OPEN = """
import sys
from anycompletion.errors import JournalError
from anycompletion.batch.journal import Journal
try:
    Journal.open(sys.argv[1]).close()
except JournalError as error:
    print(error)
"""


async def test_a_second_process_is_refused_with_the_id_of_the_first(path: Path) -> None:
    """Two runs would both send every request, and mix their lines."""
    async with Journal.open(path) as journal:
        await journal.append(make_key(), Result(reply(), None, "row-0"))
        done = await asyncio.to_thread(python, OPEN, path)
        owner = f"process {os.getpid()}" if sys.platform == "linux" else "another process"
        assert done.stdout == f"{path} is in use by {owner}\n", done.stderr
        own = rf"is in use by another batch of this process \({os.getpid()}\)$"
        with pytest.raises(JournalError, match=own):
            Journal.open(path)
        assert len(list(read_results(path))) == 1
    done = await asyncio.to_thread(python, OPEN, path)
    assert (done.stdout, done.stderr) == ("", "")


def test_only_the_owner_can_read_a_journal(path: Path) -> None:
    """Other users could read the replies, or a child process could write to the file."""
    before = os.umask(0)
    try:
        with closing(Journal.open(path, fsync="none")) as journal:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert not os.get_inheritable(journal._fd)
    finally:
        os.umask(before)


def test_a_symbolic_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    """Another user who can create a link in the folder could have any file of the user written to."""
    target = tmp_path / "target"
    path.symlink_to(target)
    for _ in range(2):
        with pytest.raises(JournalError, match="symbolic link"):
            Journal.open(path)
        target.touch()
    assert target.read_bytes() == b""


@pytest.mark.parametrize("open_it", [Journal.open, first_result], ids=["write", "read"])
def test_only_regular_files_are_opened(path: Path, tmp_path: Path, open_it: Callable[[Path], object]) -> None:
    """Opening a pipe would block, or another exception would be raised."""
    os.mkfifo(path)
    for bad in (path, tmp_path, tmp_path / "missing" / "answers.jsonl", path / "answers.jsonl"):
        with pytest.raises(JournalError):
            open_it(bad)


def test_a_world_writable_folder_gives_a_warning(path: Path, tmp_path: Path) -> None:
    """It would stay unnoticed that other users can replace the journal."""
    for mode, warned in ((0o777, 1), (0o1777, 0), (0o700, 0)):
        tmp_path.chmod(mode)
        with closing(Journal.open(path, fsync="none")) as journal:
            assert len(journal.warnings) == warned


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_file_of_another_user_in_a_shared_folder_is_refused(path: Path, tmp_path: Path, mode: int) -> None:
    """Another user could prepare a file with answers of their own, or read those that are written."""
    with closing(Journal.open(path, fsync="none")):
        pass
    os.chown(path, 65534, 65534)
    tmp_path.chmod(mode)
    with pytest.raises(JournalError, match="belongs to another user"):
        Journal.open(path)
    tmp_path.chmod(0o700)  # where only its owner can have put it
    with closing(Journal.open(path, fsync="none")) as journal:
        assert journal.warnings == []


def test_a_file_that_others_can_write_gives_a_warning(path: Path, tmp_path: Path) -> None:
    """It would stay unnoticed that other users can change results."""
    with closing(Journal.open(path, fsync="none")):
        pass
    path.chmod(0o606)
    with closing(Journal.open(path, fsync="none")) as journal:
        assert ["every user may write" in warning for warning in journal.warnings] == [True]
    path.chmod(0o600)
    os.link(path, tmp_path / "another-name")
    with closing(Journal.open(path, fsync="none")) as journal:
        assert ["hard link" in warning for warning in journal.warnings] == [True]


# --- a full disk -------------------------------------------------------------------------------------------------

FULL = """
import asyncio, resource, sys
from pathlib import Path
from anycompletion.batch.journal import Journal, UnwrittenError
from anycompletion.records.results import Result
from support.journals import make_key, reply, texts

path = Path(sys.argv[1]) / "answers.jsonl"

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def append(journal, number):
    await journal.append(make_key(number), Result(reply(f"{number} " + "x" * 3000), None, f"row-{number}"))

async def until_full(journal):
    number = 0
    while True:
        task = asyncio.create_task(append(journal, number))
        await asyncio.sleep(0)
        if not task.done():
            return number, task
        await task
        number += 1

async def raises_after_the_timeout():
    journal = Journal.open(path, disk_full_timeout=0.3)
    written, task = await until_full(journal)
    assert journal.full and written >= 5, written
    more = [asyncio.create_task(append(journal, written + i)) for i in (1, 2)]
    for each in (task, *more):
        try:
            await each
        except UnwrittenError as error:
            ids = [result.custom_id for result in error.unwritten]
            assert ids == [f"row-{written + i}" for i in range(3)], ids
            assert error.unwritten[0].completion.text.startswith(f"{written} ")
            assert "for 0.3 seconds" in str(error), error
        else:
            raise AssertionError("it was written")
    assert list(texts(path)) == [f"row-{i}" for i in range(written)]
    try:
        await journal.aclose()
    except UnwrittenError as error:
        assert len(error.unwritten) == 3
    else:
        raise AssertionError("no error reported what was lost")
    again = Journal.open(path)
    assert again.count == written and not again.warnings
    again.close()

async def resumes_when_there_is_space():
    limit(20_000)
    journal = Journal.open(path, disk_full_timeout=30)
    written, task = await until_full(journal)
    left = asyncio.create_task(append(journal, written + 1))
    await asyncio.sleep(0.05)
    left.cancel()
    last = asyncio.create_task(append(journal, written + 2))
    await asyncio.sleep(0.3)
    assert not task.done() and journal.full
    limit(1 << 30)
    await asyncio.gather(task, last)
    assert not journal.full
    await journal.aclose()
    assert list(texts(path)) == [f"row-{i}" for i in range(written + 3)]

async def closes_with_pending_lines():
    limit(20_000)
    journal = Journal.open(path, disk_full_timeout=30)
    written, task = await until_full(journal)
    task.cancel()
    limit(1 << 30)
    await journal.aclose()
    assert list(texts(path)) == [f"row-{i}" for i in range(written + 1)]
"""

LIMITED = """
limit(20_000)
for scenario in (raises_after_the_timeout, resumes_when_there_is_space, closes_with_pending_lines):
    asyncio.run(scenario())
    path.unlink()
"""


def test_a_file_size_limit_leaves_complete_lines_and_loses_no_result(tmp_path: Path) -> None:
    """Half a line would stay in the file, or paid results would be lost."""
    # The kernel lets a process write up to the limit, and no more: a short write, then an error.
    done = python(FULL + LIMITED, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_leaves_complete_lines_and_loses_no_result(tmp_path: Path) -> None:
    """A full disk might behave differently from a file size limit."""
    mount = f"mount -t tmpfs -o size=64k none {tmp_path} && " + 'exec "$@"'
    private = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    try:
        subprocess.run([*private, "true"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system may be mounted here")
    done = python(FULL + "asyncio.run(raises_after_the_timeout())", tmp_path, inside=private)
    assert (done.returncode, done.stderr) == (0, "")


# --- fsync -------------------------------------------------------------------------------------------


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def test_lines_are_synced_every_hundred_and_every_second(path: Path) -> None:
    """A power loss would cost more than a second of results."""
    async with Journal.open(path) as journal:
        for number in range(100):
            assert journal._syncing is None
            await journal.append(make_key(number), Result(reply(), None, f"row-{number}"))
        assert journal._syncing is not None
        await until(lambda: journal._durable == journal._size)
        assert journal._timer is None
        await journal.append(make_key(100), Result(reply(), None, "row-100"))
        assert journal._durable < journal._size
        await until(lambda: journal._durable == journal._size)


async def test_with_fsync_each_every_line_is_on_the_disk_when_append_returns(path: Path) -> None:
    """`each` would not do what it promises."""
    async with Journal.open(path, fsync="each") as journal:

        async def append(number: int) -> None:
            await journal.append(make_key(number), Result(reply(), None, f"row-{number}"))
            entry = journal.entry(make_key(number))
            assert entry is not None
            assert journal._durable >= entry.offset + entry.length

        await asyncio.gather(*map(append, range(50)))


async def test_closing_syncs_the_file(path: Path) -> None:
    """The last results of a run would be lost with the machine."""
    for fsync, durable in (("group", True), ("none", False)):
        journal = Journal.open(path, fsync=fsync)  # type: ignore[arg-type]
        await journal.append(make_key(), Result(reply(), None, "row-0"))
        await journal.aclose()
        assert (journal._durable == journal._size) is durable


def truncate(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", [Path.unlink, truncate], ids=["deleted", "truncated"])
@pytest.mark.parametrize("fsync", ["each", "group"])
async def test_a_failed_sync_breaks_the_journal(path: Path, fsync: Fsync, damage: Callable[[Path], None]) -> None:
    """Results would be written to a file that cannot be found any more."""
    journal = Journal.open(path, fsync=fsync)
    await journal.append(make_key(0), Result(reply(), None, "row-0"))
    damage(path)
    with pytest.raises(UnwrittenError, match="may not have reached the disk") as caught:
        for number in range(1, 102):
            await journal.append(make_key(number), Result(reply(), None, f"row-{number}"))
            await until(lambda: journal._syncing is None)
    assert [result.custom_id for result in caught.value.unwritten] == ["row-1" if fsync == "each" else "row-100"]
    with pytest.raises(JournalError, match="may not have reached the disk"):
        await journal.aclose()


# --- closing -----------------------------------------------------------------------------------------------------


async def test_appending_to_a_closed_journal_raises_with_the_result(path: Path) -> None:
    """A late result would be lost."""
    async with Journal.open(path) as journal:
        await journal.append(make_key(), Result(reply(), None, "row-0"))
        entry = journal.entry(make_key())
        assert entry is not None
    await journal.aclose()
    journal.close()
    with pytest.raises(UnwrittenError, match="closed") as caught:
        await journal.append(make_key(1), Result(reply("Late."), None, "row-1"))
    assert [result.custom_id for result in caught.value.unwritten] == ["row-1"]
    with pytest.raises(JournalError, match="closed"):
        journal.read(entry)


async def test_the_first_error_is_the_one_that_is_raised(path: Path) -> None:
    """A cancellation would become an error of the journal, and the task would continue."""
    with pytest.raises(asyncio.CancelledError) as caught:
        async with Journal.open(path) as journal:
            await journal.append(make_key(), Result(reply(), None, "row-0"))
            path.unlink()  # noqa: ASYNC240
            raise asyncio.CancelledError
    assert "may not have reached the disk" in caught.value.__notes__[0]

    async def write() -> None:
        async with Journal.open(path) as journal:
            await journal.append(make_key(), Result(reply(), None, "row-0"))
            path.unlink()  # noqa: ASYNC240

    with pytest.raises(JournalError, match="may not have reached the disk"):
        await write()


async def test_a_cancelled_aclose_still_closes(path: Path) -> None:
    """The next run in the same process would find the journal locked."""
    for _ in range(20):
        journal = Journal.open(path)
        await journal.append(make_key(), Result(reply(), None, "row-0"))
        task = asyncio.create_task(journal.aclose())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(list(read_results(path))) == 1


async def test_nothing_is_left_behind(path: Path) -> None:
    """Timers, tasks or descriptors would pile up in a long-lived service."""
    before = set(os.listdir("/dev/fd"))
    async with Journal.open(path) as journal:
        await journal.append(make_key(), Result(reply(), None, "row-0"))
        results = read_results(path)
        next(results)
        timer = journal._timer
    results.close()  # type: ignore[attr-defined]
    assert timer is not None
    assert timer.cancelled()
    assert set(os.listdir("/dev/fd")) == before
    assert len(asyncio.all_tasks()) == 1


def test_a_collected_journal_is_closed_with_a_warning(path: Path) -> None:
    """The lock would stay until the process ends, without a reason to be found."""
    journals = [Journal.open(path)]
    with pytest.warns(ResourceWarning, match="never closed"):
        journals.clear()
    Journal.open(path).close()


# --- reading -----------------------------------------------------------------------------------------------------


async def test_results_can_be_read_while_a_run_writes(path: Path) -> None:
    """The results of a run could not be read before its end."""
    async with Journal.open(path) as journal:
        await journal.append(make_key(0), Result(reply("Zero."), None, "row-0"))
        await journal.append(make_key(1), Result(None, RateLimitError("x"), "row-1"))
        with path.open("ab") as file:
            file.write(b'{"id":"batch_req_')
        reading = read_results(path)
        assert next(reading).completion == reply("Zero.")
        assert [type(result.error) for result in reading] == [RateLimitError]
    with pytest.raises(JournalError, match="No such file"):
        next(read_results(path.with_name("missing")))


async def test_a_line_that_changes_while_it_is_read_is_an_error(path: Path) -> None:
    """Halves of two results would be read as one."""
    await fill(path, 3)
    reading: Iterator[Result] = read_results(path)
    next(reading)
    whole = content(path)
    put(path, whole[:-300] + b"x" + whole[-299:])
    next(reading)
    with pytest.raises(JournalError, match="was changed"):
        next(reading)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_forked_child_does_not_keep_the_lock(path: Path) -> None:
    """After the parent's batch, no other could use the journal until its forked workers ended as well."""
    code = """
import os, sys, time
from anycompletion.batch.journal import Journal
journal = Journal.open(sys.argv[1])
running, started = os.pipe()
child = os.fork()
if not child:
    os.write(started, b"x")
    time.sleep(10)
    os._exit(0)
os.read(running, 1)
journal.close()
Journal.open(sys.argv[1]).close()
os.kill(child, 9)
os.waitpid(child, 0)
"""
    await fill(path, 1)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=15, check=False
    )
    assert done.stderr == ""


# --- kill -9 -----------------------------------------------------------------------------------------------------

KILLED = """
import asyncio, json, os, random, select, signal, sys
from anycompletion.batch.journal import Journal, read_results
from anycompletion.records.results import Result
from support.journals import make_key, reply

path, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
torn = 0

async def append(pipe, first):
    async with Journal.open(path) as journal:
        for number in range(first, first + 100_000):
            size = (number * 7919) % 20_000
            await journal.append(make_key(number), Result(reply("x" * size), None, f"row-{number}"))
            os.write(pipe, b"%d\\n" % number)

acknowledged_count = 0
for _ in range(kills):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        asyncio.run(append(writing, acknowledged_count))
        os._exit(0)
    os.close(writing)
    select.select([reading], [], [], 20)
    select.select([], [], [], chance.uniform(0, 0.01))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open(reading, "rb") as file:
        acknowledged = [int(line) for line in file.read().split(b"\\n")[:-1]]
    acknowledged_count = max([acknowledged_count, *(number + 1 for number in acknowledged)])
    journal = Journal.open(path, fsync="none")
    torn += bool(journal.warnings)
    known = journal.count
    assert all(journal.entry(make_key(number)) for number in range(acknowledged_count))
    assert acknowledged_count <= known <= acknowledged_count + 1, (acknowledged_count, known)
    journal.close()

for number, result in enumerate(read_results(path)):
    assert result.custom_id == f"row-{number}"
    assert len(result.completion.text) == (number * 7919) % 20_000
print(json.dumps({"kills": kills, "acknowledged": acknowledged_count, "torn": torn}))
"""


def test_acknowledged_results_survive_a_kill_at_any_moment(path: Path) -> None:
    """A result that the caller got would be sent and paid again."""
    seed = time.time_ns() % 10**6
    done = python(KILLED, path, 30, seed)
    assert done.stderr == "", f"seed {seed}"
    assert json.loads(done.stdout)["acknowledged"] >= 30
