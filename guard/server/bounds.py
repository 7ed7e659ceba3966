"""Every limit of the edge, named with its unit. Nothing from a caller is kept, awaited or counted beyond these."""

from typing import Final

from msgspec import Struct

TURNED_AWAY_MAX: Final = 1024


class EdgeBounds(Struct, frozen=True):
    """How much, how many and how long.

    `head_bytes_max` counts the head with its empty line; `body_bytes_max` what `Content-Length` may say. Beyond
    `connections_max` one ends for the newest: of those without proof where they are most, else one that was refused,
    does not take its answer, or has rested longest with a verified key; where all are at work, the newest is answered
    503 and closed, and beyond `turned_away_max` more it is cut without a word.
    `header_timeout_s` runs from a connection's first moment or a head's first byte, `body_timeout_s` from the end of
    the head, `request_timeout_s` over both, `write_timeout_s` while a caller does not take its answer,
    `linger_timeout_s` while we read away what a caller still sends after a refusal (closing at once would reset the
    connection and lose the answer). Of one address at most `unproven_per_address_max` connections may wait on which no
    key was verified: the newest ends the oldest. Of answers that their callers do not take at most `unread_bytes_max`
    are held altogether, or one: the newest ends those that have waited longest.
    """

    head_bytes_max: int = 16_384
    fields_max: int = 100
    body_bytes_max: int = 65_536
    answer_buffer_bytes_max: int = 65_536
    unread_bytes_max: int = 64 * 2**20
    connections_max: int = 4096
    unproven_per_address_max: int = 1024
    backlog: int = 512
    header_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    request_timeout_s: float = 15.0
    idle_timeout_s: float = 60.0
    write_timeout_s: float = 30.0
    linger_timeout_s: float = 2.0

    @property
    def turned_away_max(self) -> int:
        """How many connections beyond the bound may be open to be told so: as many again, at most 1024.

        As many TLS handshakes may be under way.
        """
        return min(self.connections_max, TURNED_AWAY_MAX)

    @property
    def held_bytes_max(self) -> int:
        """How many bytes that arrive during an answer are kept: one more than any request that could pass.

        So whatever is cut off belongs to input that the reader refuses anyway.
        """
        return self.head_bytes_max + self.body_bytes_max + 1

    @property
    def sweep_s(self) -> float:
        """How often deadlines are looked at: a quarter of the shortest, at most a second."""
        shortest = min(
            self.header_timeout_s,
            self.body_timeout_s,
            self.idle_timeout_s,
            self.write_timeout_s,
            self.linger_timeout_s,
        )
        return min(1.0, shortest / 4)
