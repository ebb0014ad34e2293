"""Fuzz tables: CSV and Parquet files damaged at random give a table or a TableError of one line.

    python tests/fuzz_tables.py [N] [--seed S] [--keep FOLDER]

What else comes, such as a panic of the reader beneath, or two seconds of the processor's time for
one small file, is a failure, and its file is kept in FOLDER.
"""

from __future__ import annotations

import datetime
import gzip
import io
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from chainrule.tables import read_table
from chainrule.tables.delimited import TableError
from fuzzing import Found, at_most, edited, flipped, main, refused, spliced, truncated, try_all

LONGEST = 2.0  # seconds of the processor for one file
PLAIN = {
    "n": [1, 2, None, 4], "x": [0.5, None, 1e300, -2.0], "t": ["a", "b c", None, "ü"],
    "f": [True, False, None, True], "day": [datetime.date(2024, 1, 2)] * 4,
    "moment": [datetime.datetime(2024, 1, 2, 3)] * 4,
}  # fmt: skip
TEXTS = [
    "a,b,c\n1,x,0.5\n2,y,\n3,z,1e5\n", "a;b\n1,5;x\n2,5;y\n", 'a\tb\n"x\ty"\t1\n"q""q"\t2\n',
    "town|day\nBern|2024-01-02\nZug|2024-02-03\n", 'h,g\n"x\ny",1\n"z",2\n', "one\n1\n\n3\n",
    ",a,b\n0,true,007\n1,false,008\n", "a,b\r\n1,2024-01-02T03:04:05\r\n2,2024-01-02T03:04:06\r\n",
]  # fmt: skip
ALLOWED = (
    pl.Boolean, pl.String, pl.Date, pl.Datetime, pl.Time, pl.Duration, pl.Float32, pl.Float64,
    pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Int128,
)  # fmt: skip


def parquets() -> Iterator[bytes]:
    """Yield Parquet files of both writers, with and without compression and statistics."""
    for compression in ("uncompressed", "snappy", "zstd", "gzip", "lz4"):
        sink = io.BytesIO()
        pl.DataFrame(PLAIN).write_parquet(sink, compression=compression, statistics=True)
        yield sink.getvalue()
    table = pa.table(PLAIN | {"c": pa.array(["u", "v", "u", None]).dictionary_encode()})
    for compression in ("none", "snappy", "zstd"):
        sink = io.BytesIO()
        version = "2.0" if compression == "zstd" else "1.0"
        pq.write_table(table, sink, compression=compression, data_page_version=version)
        yield sink.getvalue()


def originals() -> list[bytes]:
    """Return sound files of all kinds."""
    plain = [text.encode() for text in TEXTS]
    wide = [TEXTS[0].encode("utf-16"), TEXTS[3].encode("utf-8-sig")]
    return [*plain, *plain, *wide, gzip.compress(plain[0], mtime=0), *parquets()]


def cases(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield names of damages and files that have one to three of them."""
    rng, files = random.Random(seed), originals()
    for _ in range(count):
        content, other = rng.choice(files), rng.choice(files)
        damage = rng.choice([truncated, flipped, flipped, edited, edited, spliced])
        for _ in range(rng.choice([1, 1, 2, 3])):
            content = damage(content or b"\0", rng, other)
        yield damage.__name__, content


def outcome(path: Path) -> str:
    """Return "refused" or "read"; raise whatever else comes."""
    try:
        with at_most(LONGEST):
            frame = read_table(path)
    except TableError as error:
        return refused(error, 500)
    assert frame.height > 0, "a table without rows"
    assert all(name.strip() for name in frame.columns), "a name that is blank"
    odd = [kind for kind in frame.dtypes if kind not in ALLOWED]
    assert not odd, f"columns of {odd}"
    frame.rows()  # every value can be looked at
    return "read"


def fuzz(count: int, seed: int = 0, keep: Path | None = None) -> Found:
    """Read `count` damaged tables; return how often what came of them, and the failures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")

        def written(name: str, content: bytes) -> str:
            path.write_bytes(content)
            return outcome(path)

        return try_all(cases(seed, count), written, seed, keep)


if __name__ == "__main__":
    sys.exit(main(__doc__, fuzz))
