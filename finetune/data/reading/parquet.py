"""Parquet in batches, however much a small file unpacks to; the names of its classes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from core.errors import BadData
from finetune.data.reading.files import File
from finetune.data.reading.rows import Located, Problem, sized, too_long

_BATCH = 256
_LARGE = 2**26
"""Bytes of texts that are held at once."""
_HUGE, _DENSE = 2**30, 200
"""Bytes of a column, and how many times it was packed, from which it is no table of texts."""


def read_parquet(file: File) -> Iterator[Located | Problem]:
    """Its rows; `BadData` for a file that is broken, or made to fill the memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as found:
            about, texts = found.metadata, _texts(found)
            names = class_names(found.schema_arrow.metadata)
        _check_size(file, about)
        # Texts that repeat stay one text each.
        with pq.ParquetFile(file.path, read_dictionary=texts) as found:
            rows = (row for batch in found.iter_batches(batch_size=_BATCH) for row in _rows(batch))
            for number, row in enumerate(rows, 1):
                place = f"{file.path}, row {number}"
                yield (
                    sized(named(row, names), place)
                    if isinstance(row, dict)
                    else Problem(place, row)
                )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise BadData(f"{file.path} is no readable parquet file: {first}") from error


def _texts(found: Any) -> list[str]:
    columns = (found.schema.column(place) for place in range(len(found.schema)))
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def _check_size(file: File, about: Any) -> None:
    for group in map(about.row_group, range(about.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            size = column.total_uncompressed_size
            if size > _HUGE and size > _DENSE * column.total_compressed_size:
                raise BadData(
                    f"{file.path}: column {column.path_in_schema!r} unpacks to {size / 2**30:.0f} GiB, "
                    "which is no table of texts."
                )


def _rows(batch: Any) -> Iterator[dict[str, Any] | str]:
    """Rows, or why one is none, as many at once as are small together."""
    if _size(batch) <= _LARGE:
        yield from batch.to_pylist()
        return
    for place in range(len(batch)):
        one = batch.slice(place, 1)
        yield too_long(_size(one)) if _size(one) > _LARGE else one.to_pylist()[0]


def _size(batch: Any) -> int:
    return sum(map(_most, batch.columns))


def _most(array: Any) -> int:
    """At most how many bytes the texts of an array take once they are apart."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        longest = pc.max(pc.binary_length(array.dictionary)).as_py() or 0
        return len(array) * int(longest)
    if pa.types.is_struct(array.type) or pa.types.is_list(array.type):
        inner = array.flatten()
        return sum(map(_most, inner)) if isinstance(inner, list) else _most(inner)
    return int(array.nbytes)


def class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """The names of the classes of each column, as `datasets` writes them beside its rows."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        classes = {name: about for name, about in features.items() if "names" in about}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
    return {name: list(about["names"]) for name, about in classes.items()}


def named(row: Mapping[str, Any], names: Mapping[str, list[str]]) -> dict[str, Any]:
    """The row, with the names of classes in place of their numbers; -1 is no class."""
    found = dict(row)
    for column, labels in names.items():
        number = found.get(column)
        if isinstance(number, int):
            found[column] = labels[number] if 0 <= number < len(labels) else None
    return found
