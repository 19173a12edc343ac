"""What the tests of faults do to files."""

from pathlib import Path


def flip(path: Path, bit: int) -> None:
    """Turn over one bit of a file, counted from its start."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
