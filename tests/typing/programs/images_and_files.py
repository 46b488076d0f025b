"""Sends images, files and audio: from disk, by URL, and as parts in OpenAI's JSON."""

import asyncio
import base64
from pathlib import Path

from anycompletion import (
    AsyncCompletion,
    AudioPart,
    ImagePart,
    ImageUrl,
    InputAudio,
    InvalidRequestError,
    Part,
    SystemMessage,
    TextPart,
    UserMessage,
    file_part,
    image_part,
)

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")


async def describe(client: AsyncCompletion, pictures: list[Path]) -> str | None:
    parts: list[Part] = [TextPart("What is in these pictures?")]
    parts += [image_part(picture, detail="low") for picture in pictures]
    reply = await client.create("openai/gpt-4o", [SystemMessage("Be brief."), UserMessage(parts)])
    return reply.message.content


async def describe_url(client: AsyncCompletion, url: str) -> str:
    content = [
        {"type": "text", "text": "What is in this picture?"},
        {"type": "image_url", "image_url": {"url": url, "detail": "auto"}},
    ]
    reply = await client.create("anthropic/claude-haiku-4-5", [{"role": "user", "content": content}])
    return reply.text


async def summarize(client: AsyncCompletion, document: Path) -> str:
    question = UserMessage([TextPart("Summarize this."), file_part(document, max_bytes=1_000_000)])
    return (await client.create("openai/gpt-4o", [question], max_tokens=300)).text


async def transcribe(client: AsyncCompletion, sound: bytes) -> str:
    audio = AudioPart(InputAudio(base64.b64encode(sound).decode(), "wav"))
    reply = await client.create("openai/gpt-4o-audio-preview", [UserMessage([TextPart("Write this down."), audio])])
    return reply.text


def make_files() -> tuple[Path, Path]:
    picture, document = Path("pixel.png"), Path("report.pdf")
    picture.write_bytes(PIXEL)
    document.write_bytes(b"%PDF-1.4\n")
    return picture, document


async def main() -> None:
    picture, document = make_files()
    async with AsyncCompletion() as client:
        print("pictures:", await describe(client, [picture, picture]))
        print("URL:", await describe_url(client, "https://example.com/cat.png"))
        print("document:", await summarize(client, document))
        print("sound:", await transcribe(client, b"RIFF"))
        cached = ImagePart(ImageUrl("https://example.com/cat.png"), extra={"cache_control": {"type": "ephemeral"}})
        print("with a provider's field:", cached.to_dict()["cache_control"])
    try:
        file_part(document, max_bytes=3)
    except InvalidRequestError as error:
        print("too large:", error.param)


if __name__ == "__main__":
    asyncio.run(main())
