"""Exports of other kinds than those of price_files.py: those of vendors, programs and countries, and those that are refused."""

from export_forms import Export, around, lines, nanoseconds
from exports_by_country import BY_COUNTRY
from price_files import MONTH_FIRST, NEWEST_FIRST

BY_PROGRAM = {
    "barchart": Export(
        "https://www.barchart.com/stocks/quotes/AAPL/price-history/historical",
        lines(
            ["Time,Open,High,Low,Latest,Change,%Change,Volume"],
            lambda day, close: f"{day:%m/%d/%Y},{around(close)},{close:.4f},0.51,+0.28%,1000",
            '"Downloaded from Barchart.com as of 05-31-2024 07:29pm CDT"',
            newest_first=True,
        ),
        "Latest",
        (NEWEST_FIRST, MONTH_FIRST, "neither a date nor a close"),
    ),
    "quandl_wiki": Export(
        "https://raw.githubusercontent.com/plotly/datasets/master/hello-world-stock.csv",
        lines(
            ["Date,Open,High,Low,Close,Volume,Ex-Dividend,Split Ratio,Adj. Open,Adj. High,Adj. Low,Adj. Close,Adj. Volume"],
            lambda day, close: f"{day},{around(2 * close)},{2 * close:.4f},100.0,0.0,1.0,{around(close)},{close:.4f},200.0",
            newest_first=True,
        ),
        "Adj. Close",
        (NEWEST_FIRST,),
    ),
    "tiingo": Export(
        "https://raw.githubusercontent.com/krishnaik06/Stock-MArket-Forecasting/master/AAPL.csv",
        lines(
            [",symbol,date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor"],
            lambda day, close: (
                f"7,ACME,{day} 00:00:00+00:00,{2 * close:.4f},{around(2 * close)},100,{close:.4f},{around(close)},200,0.0,1.0"
            ),
        ),
        "adjClose",
    ),
    "refinitiv": Export(
        "Refinitiv Eikon and Workspace, price history saved as CSV",
        lines(
            [
                "ACME Corp,,,,,,,,",
                "Interval: Daily,,,,,,,,",
                ",,,,,,,,",
                "Exchange Date,Close,Net,%Chg,Open,Low,High,Volume,Turnover - USD",
            ],
            lambda day, close: f'{day:%d-%b-%Y},{close:.4f},0.5,+0.28%,{close:.4f},{close * 0.99:.4f},{close * 1.01:.4f},"1,000","150,000"',
            newest_first=True,
        ),
        "Close",
        (NEWEST_FIRST, "lines before the header"),
    ),
    "bloomberg": Export(
        "Bloomberg, a price history from BDH or GP saved as CSV",
        lines(
            ["Security,ACME US Equity,", "Start Date,2/26/2024,", "End Date,5/31/2024,", "Period,D,", ",,", "Date,PX_LAST,PX_BID"],
            lambda day, close: f"{day.month}/{day.day}/{day.year},{close:.4f},#N/A N/A",
            "6/3/2024,#N/A N/A,#N/A N/A",
        ),
        "PX_LAST",
        (MONTH_FIRST, "lines before the header", "no close on that day"),
    ),
    "massive": Export(
        "https://massive.com/docs/flat-files/indices/day-aggregates.md",
        lines(
            ["ticker,volume,open,close,high,low,window_start,transactions"],
            lambda day, close: f"ACME,4930,{close:.4f},{close:.4f},{close * 1.01:.4f},{close * 0.99:.4f},{nanoseconds(day)},129",
        ),
        "close",
    ),
    "bars_in_letters": Export(
        "https://docs.alpaca.markets/docs/historical-api, bars saved from a data frame",
        lines(
            [",t,o,h,l,c,v,n,vw"],
            lambda day, close: f"3,{day}T04:00:00Z,{around(close)},{close:.4f},1000,12,{close + 1:.4f}",
        ),
        "c",
    ),
    "metatrader_5": Export(
        "https://www.metatrader5.com/en/terminal/help/trading_advanced/custom_instruments, the export of bars",
        lines(
            ["<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"],
            lambda day, close: "\t".join([f"{day:%Y.%m.%d}", around(close, "\t"), f"{close:.4f}", "1000", "0", "5"]),
        ),
        "<CLOSE>",
    ),
    "metatrader_4": Export(
        "https://github.com/gbeced/pyalgotrade/pull/16",
        lines([], lambda day, close: f"{day:%Y.%m.%d},00:00,{around(close)},{close:.4f},30"),
        "Close",
        ("has no header. Its columns are read as Date, Time, Open",),
    ),
    "row_names_of_r": Export(
        "https://pastebin.com/kxDKE3d0",
        lines(
            ["row.names,Symbol,Low,High,Volume,Open,Close"],
            lambda day, close: f"{day:%Y.%m.%d},QQQQ,{close * 0.99:.4f},{close * 1.01:.4f},3609000,{close:.4f},{close:.4f}",
        ),
        "Close",
    ),
    "zoo_of_r": Export(
        "https://rdrr.io/cran/zoo/man/read.zoo.html, write.zoo of a quantmod series",
        lines(
            ['"Index","ACME.Open","ACME.High","ACME.Low","ACME.Close","ACME.Volume","ACME.Adjusted"'],
            lambda day, close: f'"{day}",{around(2 * close)},{2 * close:.4f},1000,{close:.4f}',
        ),
        "ACME.Adjusted",
    ),
    "two_stocks_of_r": Export(
        "https://rdrr.io/r/utils/write.table.html, write.csv of two merged quantmod series",
        lines(
            ['"","ACME.Open","ACME.High","ACME.Low","ACME.Close","OTHER.Open","OTHER.High","OTHER.Low","OTHER.Close"'],
            lambda day, close: f'"{day}",1,2,3,4,{around(close)},{close:.4f}',
        ),
        "OTHER.Close",
        options=(("column", "OTHER.Close"),),
        refused="has several columns of closes: 'ACME.Close', 'OTHER.Close'.",
    ),
    "fred": Export(
        "https://fred.stlouisfed.org/series/SP500",
        lines(["observation_date,SP500"], lambda day, close: f"{day},{close:.4f}", "2024-06-03,."),
        "SP500",
        ("no close on that day",),
        options=(("column", "SP500"),),
        refused="needs a column `date` and a column `close`",
    ),
    "compustat": Export(
        "https://wrds-www.wharton.upenn.edu, Compustat's daily security file",
        lines(["gvkey,iid,datadate,tic,ajexdi,cshtrd,prccd"], lambda day, close: f"006066,01,{day:%Y%m%d},ACME,1,1000,{close:.4f}"),
        "prccd",
        options=(("column", "prccd"),),
        refused="It has 'gvkey', 'iid', 'datadate', 'tic', 'ajexdi', 'cshtrd', 'prccd'",
    ),
    "unknown_date_name": Export(
        "https://www.borsaitaliana.it, with a name of the date that the reader does not know",
        lines(["Titolo,Giorno di borsa,Chiusura"], lambda day, close: f"ACME,{day:%Y%m%d},{close:.4f}", newest_first=True),
        "Chiusura",
        (NEWEST_FIRST,),
    ),
}
EXPORTS = BY_COUNTRY | BY_PROGRAM
REFUSED = {
    "crsp": (  # a minus is not a sign but says that the price is the mean of bid and ask
        "https://libguides.eur.nl/blogs/edsc-manuals/blog/Why-is-the-stock-price-in-CRSP-preceded-by-a-minus-sign",
        lines(["PERMNO,date,TICKER,PRC,VOL"], lambda day, close: f"14593,{day},ACME,{close if day.day > 7 else -close:.4f},1000"),
        {"column": "PRC"},
        "a close must be a positive finite number",
    ),
    "twse": (  # years of the Republic of China
        "https://ithelp.ithome.com.tw/articles/10244261, in Big5",
        lines(
            [
                '"113年05月 2330 台積電 各日成交資訊"',
                '"日期","成交股數","成交金額","開盤價","最高價","最低價","收盤價","漲跌價差","成交筆數",',
            ],
            lambda day, close: f'"{day.year - 1911}/{day:%m/%d}","50,129,577","21,681",' + f'"{close:.2f}",' * 4 + '"+8.50","17,137",',
            encoding="big5",
        ),
        {},
        "date '113/02/26', close '185.00'",
    ),
    "minutes_in_two_columns": (
        "https://www.finam.ru/profile/mirovye-indeksy/micex/export/, hours",
        lines(["<TICKER>;<PER>;<DATE>;<TIME>;<CLOSE>"], lambda day, close: f"IMOEX;60;20220103;{day:%H:%M:%S};{close:.7f}"),
        {},
        "2022-01-03 appears twice, with different closes",
    ),
}
