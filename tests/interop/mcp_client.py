"""The tools of `gobctl mcp`, called by the Python package `mcp`: mcp_client.py GOBCTL.

The desktop's worker `site` runs already. Prints `done` as its last line.
"""

import asyncio
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

TOOLS = 16


def text(result):
    return result.content[0].text


async def work(session):
    hello = await session.initialize()
    info = getattr(hello, "server_info", None) or hello.serverInfo
    assert info.name == "gob", hello
    tools = (await session.list_tools()).tools
    assert len(tools) == TOOLS, [tool.name for tool in tools]

    heard = []

    async def progress(done, total, message):
        heard.append((done, total, message))

    command = ["sh", "-c", "echo built; sleep 1.3"]
    run = await session.call_tool("run", {"command": command, "name": "build"}, progress_callback=progress)
    assert "built" in text(run) and "exited 0" in text(run), run
    assert heard and heard == sorted(heard), heard

    # Many at once, each with its own answer.
    names = [f"j-{number}" for number in range(12)]
    runs = [session.call_tool("run", {"command": ["echo", name], "name": name}) for name in names]
    for name, result in zip(names, await asyncio.gather(*runs)):
        assert f"{name} exited 0" in text(result), result

    refused = await session.call_tool("stop", {"name": "site"})
    is_error = getattr(refused, "is_error", None)
    assert (refused.isError if is_error is None else is_error) is True, refused
    assert "server-owned-by-other" in text(refused) and "owner: desktop" in text(refused), refused

    resources = (await session.list_resources()).resources
    uris = [str(resource.uri) for resource in resources]
    assert "gob://workers/build/log" in uris, uris
    read = await session.read_resource("gob://workers/build/log")
    assert read.contents[0].text == "built\n", read


async def main():
    server = StdioServerParameters(command=sys.argv[1], args=["mcp"], env=dict(os.environ))
    async with stdio_client(server) as (reader, writer):
        async with ClientSession(reader, writer) as session:
            await work(session)
    print("done")


asyncio.run(asyncio.wait_for(main(), 50))
