"""Exports of exchanges and sites of one country or language."""

from datetime import date

from export_forms import Export, around, comma, lines, nanoseconds
from price_files import COMMA, DAY_FIRST, NEWEST_FIRST

BY_COUNTRY = {
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
}
