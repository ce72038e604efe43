"""An emulated Scale Nucleus: a real HTTP server on loopback that speaks the wire protocol.

It imports nothing else of this package, so that it cannot agree with the client by sharing its mistakes.
"""

from .server import Emulator, serve

__all__ = ["Emulator", "serve"]
