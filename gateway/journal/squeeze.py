"""Raw bytes, compressed. Messages are short, so a dictionary of what they usually say does most of the work."""

from __future__ import annotations

import zlib
from typing import Final

PLAIN: Final = 0
DEFLATED: Final = 1  # raw deflate with DICTIONARY: changing that means a new codec number

SHORT: Final = 200  # bytes; below, compressing costs more than the row it saves

# Most telling last (deflate prefers what is near).
DICTIONARY: Final = (
    b'"linkquality":"battery":100,"voltage":{"Time":"20","DS18B20":{"Id":"0000","Temperature":-,"TempUnit":"C"}}'
    b'[{"bn":"urn:dev:","bt":17,"bu":"Cel","n":"temperature","v":,"u":"%RH"},{"time":"20","temperature":"humidity":'
    b"S S      g\r\nS D      g\r\n"
    b"MSH|^~\\&|||||20||ORU^R01^ORU_R01|||2.5.1||||||UNICODE UTF-8\rPID|||\rOBR|1|||\rOBX|1|NM||||||||F|||20"
    b"\x17\r\n\x02\r\x03\r\n\x021H|@^\\|^GeneXpert^6.2|||||||P|1394-97|20\r"
    b"\x021H|\\^&||||||||||P|LIS2-A2|20\rP|1||||^^^^|||||||||\rO|1|||^^^|R||||||||||||||||||||F\r"
    b"R|1|^^^|NOT DETECTED^|||||F|||20\rC|1|I|\rR|2|^^^|POSITIVE|mg/L|0 to 5|N||F|||20\rL|1|N\r\x03"
)


def squeeze(data: bytes) -> tuple[int, bytes]:
    """(codec, bytes to store): compressed where that is shorter."""
    if len(data) < SHORT:
        return PLAIN, data
    # A small window and memory level: setting up the default ones costs more than compressing does.
    press = zlib.compressobj(1, zlib.DEFLATED, -11, 4, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
    packed = press.compress(data) + press.flush()
    return (DEFLATED, packed) if len(packed) < len(data) else (PLAIN, data)


def restore(codec: int, data: bytes) -> bytes:
    """The bytes as they came off the wire. Errors: zlib.error where the journal is damaged."""
    if codec == PLAIN:
        return data
    return zlib.decompressobj(-11, DICTIONARY).decompress(data)
