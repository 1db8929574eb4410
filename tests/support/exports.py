"""Exports of other kinds than those of price_files.py, with made-up prices: the right outcome of each, and where its look is described."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from price_files import COMMA, DAY_FIRST, MONTH_FIRST, NEWEST_FIRST, ROWS

Row = Callable[[date, float], str]


@dataclass(frozen=True)
class Export:
    """A file and its right outcome.

    Attributes:
        source: where the look of the export is described or shown.
        content: the file.
        column: the column of closes that is read.
        said: words of the guesses, reasons and warnings together.
        scale: of the closes, relative to ROWS.
        options: column or symbol that must be chosen.
        refused: words of the error without the options; empty: the file is accepted without them.
    """

    source: str
    content: bytes
    column: str
    said: tuple[str, ...] = ()
    scale: float = 1.0
    options: tuple[tuple[str, str], ...] = ()
    refused: str = ""


def lines(before: list[str], row: Row, *after: str, newest_first: bool = False, encoding: str = "utf-8") -> bytes:
    rows = ROWS[::-1] if newest_first else ROWS
    return "\r\n".join([*before, *(row(day, close) for day, close in rows), *after, ""]).encode(encoding)


def comma(value: float) -> str:
    """A number with a decimal comma and points between thousands."""
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def nanoseconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400 * 10**9


def around(close: float, sep: str = ",", form: str = "{:.4f}") -> str:
    """Open, high, low."""
    return sep.join(form.format(value) for value in (close * 1.001, close * 1.01, close * 0.99))


EXPORTS = {
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
    "euronext": Export(  # its header does not name the last column
        "https://live.euronext.com, the download of historical prices",
        lines(
            [
                '\ufeff"Historical Data"',
                '"From 2024-02-26 to 2024-05-31"',
                "FR0000000000",
                'Date;Open;High;Low;Last;Close;"Number of Shares";"Number of Trades";Turnover',
            ],
            lambda day, close: f"{day:%d/%m/%Y};{around(close, ';')};{close + 1:.4f};{close:.4f};684597;36414;322427655;470.9744",
            newest_first=True,
        ),
        "Close",
        (NEWEST_FIRST, DAY_FIRST, "lines before the header"),
    ),
    "nse_india": Export(
        "https://www.nseindia.com/report-detail/eq_security",
        lines(
            [
                '\ufeff"Symbol  ","Series  ","Date  ","Prev Close  ","Open Price  ","High Price  ","Low Price  ","Last Price  ",'
                '"Close Price  ","Average Price ","Total Traded Quantity  ","Turnover ₹  ","No. of Trades  "'
            ],
            lambda day, close: (
                f'"ACME","EQ","{day:%d-%b-%Y}","1,001.00",{around(30 * close, ",", chr(34) + "{:,.2f}" + chr(34))},"{30 * close + 9:,.2f}",'
                f'"{30 * close:,.2f}","{30 * close:,.2f}","1,10,30,917","14,47,51,76,030.90","1,81,859"'
            ),
        ),
        "Close Price",
        scale=30,
    ),
    "bse_india": Export(
        "https://www.bseindia.com/markets/equity/EQReports/StockPrcHistori.html",
        lines(
            ["Date,Open Price,High Price,Low Price,Close Price,WAP,No.of Shares,No. of Trades,Total Turnover (Rs.),Spread Close-Open,"],
            lambda day, close: f"{day.day}-{day:%B-%Y},{around(close)},{close:.4f},1.5,1000,12,123456.00,0.50,",
            newest_first=True,
        ),
        "Close Price",
        (NEWEST_FIRST,),
    ),
    "ariva": Export(
        "https://github.com/portfolio-performance/portfolio/issues/934",
        lines(
            ["Datum;Erster;Hoch;Tief;Schlusskurs;Stuecke;Volumen", ""],
            lambda day, close: f"{day};{around(close, ';').replace('.', ',')};{close:.4f}".replace(".", ",") + ";;",
            newest_first=True,
        ),
        "Schlusskurs",
        (NEWEST_FIRST, COMMA),
    ),
    "boerse": Export(
        "Börse Frankfurt and finanzen.net, tables of historical prices",
        lines(
            ["Datum;Eröffnung;Schluss;Tageshoch;Tagestief;Volumen"],
            lambda day, close: f"{day:%d.%m.%Y};{comma(close)};{comma(close)};{comma(close * 1.01)};{comma(close * 0.99)};1.234",
            newest_first=True,
            encoding="cp1252",
        ),
        "Schluss",
        (NEWEST_FIRST, DAY_FIRST, COMMA),
    ),
    "investing_de": Export(
        "https://de.investing.com, the download of historical prices",
        lines(
            ['\ufeff"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"'],
            lambda day, close: f'"{day:%d.%m.%Y}","{comma(30 * close)}",' + f'"{comma(30 * close)}",' * 3 + '"1,2M","0,1%"',
            newest_first=True,
        ),
        "Zuletzt",
        (NEWEST_FIRST, DAY_FIRST, COMMA),
        scale=30,
    ),
    "investing_fr": Export(
        "https://fr.investing.com, the download of historical prices",
        lines(
            ['\ufeff"Date","Dernier","Ouv."," Plus Haut","Plus Bas","Vol.","Variation %"'],
            lambda day, close: f'"{day:%d/%m/%Y}","{comma(close)}",' + f'"{comma(close)}",' * 3 + '"5,52K","4,13%"',
            newest_first=True,
        ),
        "Dernier",
        (NEWEST_FIRST, DAY_FIRST, COMMA),
    ),
    "investing_kr": Export(
        "https://kr.investing.com, the download of historical prices",
        lines(
            ['\ufeff"날짜","종가","시가","고가","저가","거래량","변동 %"'],
            lambda day, close: f'"{day:%Y- %m- %d}","{30 * close:,.2f}",' + f'"{30 * close:,.2f}",' * 3 + '"80.09M","0.08%"',
            newest_first=True,
        ),
        "종가",
        (NEWEST_FIRST,),
        scale=30,
    ),
    "naver_euc_kr": Export(
        "https://finance.naver.com/item/sise_day.naver, saved in EUC-KR",
        lines(
            ["날짜,종가,전일비,시가,고가,저가,거래량"],
            lambda day, close: f"{day:%Y.%m.%d},{close:.4f},500,{around(close)},123456",
            newest_first=True,
            encoding="cp949",
        ),
        "종가",
        (NEWEST_FIRST,),
    ),
    "japan_shift_jis": Export(
        "Yahoo! Finance Japan and kabuoji3, in Shift JIS",
        lines(
            ["日付,始値,高値,安値,終値,出来高,調整後終値"],
            lambda day, close: f"{day.year}/{day.month}/{day.day},{around(2 * close)},{2 * close:.4f},1000,{close:.4f}",
            encoding="cp932",
        ),
        "調整後終値",
    ),
    "japan_written_dates": Export(
        "https://finance.yahoo.co.jp/quote/7203.T/history, the table of the page",
        lines(
            ["日付\t始値\t高値\t安値\t終値\t出来高\t調整後終値"],
            lambda day, close: "\t".join(
                [f"{day.year}年{day.month}月{day.day}日", *[f"{30 * close:,.1f}"] * 4, "1,200,000", f"{30 * close:,.1f}"]
            ),
            newest_first=True,
        ),
        "調整後終値",
        (NEWEST_FIRST,),
        scale=30,
    ),
    "netease_gbk": Export(
        "http://quotes.money.163.com/service/chddata.html, in GBK",
        lines(
            ["日期,股票代码,名称,收盘价,最高价,最低价,开盘价,前收盘,涨跌额,换手率,成交量,成交金额"],
            lambda day, close: (
                f"{day},'600000,浦发银行,{close:.4f},{close * 1.01:.4f},{close * 0.99:.4f},{close:.4f},11.48,0.01,0.06,179278,2065"
            ),
            newest_first=True,
            encoding="gb18030",
        ),
        "收盘价",
        (NEWEST_FIRST,),
    ),
    "tushare": Export(
        "https://tushare.pro/document/2?doc_id=27",
        lines(
            [",ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount"],
            lambda day, close: f"{(date(2024, 5, 31) - day).days},000001.SZ,{day:%Y%m%d},{around(close)},{close:.4f},1,0.1,0.1,1000,1.5",
            newest_first=True,
        ),
        "close",
        (NEWEST_FIRST,),
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
    "nasdaq_nordic": Export(
        "https://www.nasdaqomxnordic.com, the download of historical prices",
        lines(
            [
                "sep=;",
                "Date;Bid;Ask;Opening price;High price;Low price;Closing price;Average price;Total volume;Turnover;Trades;",
            ],
            lambda day, close: (
                f"{day};174,0;175,0;{around(close, ';').replace('.', ',')};{close:.4f}".replace(".", ",") + ";175,84;48;845,5;8;"
            ),
            newest_first=True,
        ),
        "Closing price",
        (NEWEST_FIRST, COMMA),
    ),
    "netfonds": Export(
        "http://www.netfonds.dk/quotes/paperhistory.php?paper=ET1.NBB&csv_format=sdv",
        lines(
            ["quote_date;paper;exch;open;high;low;close;volume;value"],
            lambda day, close: f"{day:%Y%m%d};ACME;OSE;{around(close, ';')};{close:.4f};1000;150000",
            newest_first=True,
        ),
        "close",
        (NEWEST_FIRST,),
    ),
    "stooq_pl": Export(
        "https://stooq.pl/q/d/?s=msft.us",
        lines(["Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen"], lambda day, close: f"{day},{around(close)},{close:.4f},1000"),
        "Zamkniecie",
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
    "binance": Export(
        "https://github.com/binance/binance-public-data/issues/386",
        lines(
            [],
            lambda day, close: (
                f"{nanoseconds(day) // 1000},{around(close)},{close:.4f},27.0,{nanoseconds(day) // 1000 + 86_399_999_999},8.5,1,0.0,0.0,0"
            ),
        ),
        "Close",
        ("has no header",),
    ),
    "moex": Export(
        "https://iss.moex.com/iss/history, in Windows-1251",
        lines(
            ["history", "", "BOARDID;TRADEDATE;SHORTNAME;SECID;NUMTRADES;VALUE;OPEN;LOW;HIGH;LEGALCLOSEPRICE;WAPRICE;CLOSE;VOLUME"],
            lambda day, close: (
                f"TQBR;{day};Сбербанк;SBER;9;1.5;{close:.4f};{close * 0.99:.4f};{close * 1.01:.4f};"
                f"{close + 1:.4f};{close + 2:.4f};{close:.4f};7"
            ),
            "",
            "history.cursor",
            "",
            "INDEX;TOTAL;PAGESIZE",
            encoding="cp1251",
        ),
        "CLOSE",
        ("lines before the header", "neither a date nor a close"),
    ),
    "finam": Export(
        "https://www.finam.ru/profile/mirovye-indeksy/micex/export/",
        lines(
            ["<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>"],
            lambda day, close: f"IMOEX;D;{day:%Y%m%d};000000;{around(close, ';', '{:.7f}')};{close:.7f};117",
        ),
        "<CLOSE>",
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
        refused="has several columns of closes: 'ACME.Close', 'OTHER.Close'. Choose one: --column NAME",
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
