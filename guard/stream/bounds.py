"""Every limit of the stream, named with its unit."""

from msgspec import Struct


class Bounds(Struct, frozen=True):
    """How many sockets, how many bytes, how long.

    `sockets_per_key_max` counts handshakes under way too; callers without a key share one number. A caller that
    leaves `unsent_bytes_max` unread is cut off, so a socket holds at most that and one frame. `message_bytes_max` is
    what a caller's frame may say it has before it is refused unread. A caller that is silent for `ping_every_s` is
    asked with a ping and has `pong_within_s` to answer. Every `sweep_s` keys are looked at again, every `views_every_s`
    accounts. The daemon is asked with a ping every `daemon_ping_every_s`, and given `daemon_close_s` to say goodbye.
    """

    sockets_per_key_max: int = 16
    sockets_max: int = 1024
    unsent_bytes_max: int = 1 << 20
    message_bytes_max: int = 1 << 16
    ping_every_s: float = 20.0
    pong_within_s: float = 10.0
    sweep_s: float = 0.5
    views_every_s: float = 5.0
    daemon_ping_every_s: float = 20.0
    daemon_close_s: float = 0.5
