"""Lists that administrators keep or export: CSV files, line by line."""

import csv
from collections.abc import Iterator
from pathlib import Path

from connector.config.regular import regular


def lines(path: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The cells of each line, without blanks around them, and its number; first the names of the columns, if any.

    Empty lines below those are passed over. Raises ValueError where the file cannot be read.
    """
    try:
        with regular(path).open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=delimiter)
            yield 1, [each.strip() for each in next(rows, [])]
            for row in rows:
                if any(each.strip() for each in row):
                    yield rows.line_num, [each.strip() for each in row]
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} cannot be read: it is not UTF-8 text; export it with -Encoding UTF8") from None
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read: it is no CSV: {error}") from None
