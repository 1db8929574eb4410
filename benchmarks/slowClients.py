"""Clients that send a byte a second of a valid request: python benchmarks/slowClients.py PORT COUNT.

Prints a line once all are connected; when stdin ends, a line with how many still are.
"""

import asyncio
import sys

BODY = b'{"predict": [' + b", ".join([b"100.5"] * 60) + b"]}"
REQUEST = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


async def send_slowly(port: int, delay: float, connected: asyncio.Semaphore) -> None:
    """Send a request byte by byte until the server disconnects."""
    await asyncio.sleep(delay)  # not all in the same instant
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for place in range(len(REQUEST)):
        writer.write(REQUEST[place : place + 1])
        await writer.drain()
        if place == 0:
            connected.release()
        await asyncio.sleep(1)
        if reader.at_eof():
            return


async def main(port: int, count: int) -> None:
    """Run all clients until stdin ends."""
    connected = asyncio.Semaphore(0)
    clients = [asyncio.create_task(send_slowly(port, number / count, connected)) for number in range(count)]
    for _ in clients:
        await connected.acquire()
    print("all connected", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(sum(not client.done() for client in clients), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
