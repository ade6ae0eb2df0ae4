"""Files cut into parts for machines that take only so many bytes, and joined again."""

import pytest

from benchmarks import offline_machine
from core.errors import Damaged


@pytest.fixture
def parts(tmp_path):
    whole = tmp_path / "whole"
    whole.write_bytes(bytes(range(256)) * 40)
    return whole, offline_machine.cut(whole, tmp_path / "parts", 4_000)


def test_parts_are_bounded_and_join_to_the_same_bytes(parts, tmp_path):
    whole, made = parts
    assert [part.stat().st_size for part in made] == [4_000, 4_000, 2_240]
    offline_machine.join(tmp_path / "parts", tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == whole.read_bytes()


def test_a_part_that_was_cut_on_the_way_is_named(parts, tmp_path):
    _, made = parts
    made[1].write_bytes(made[1].read_bytes()[:-1])
    with pytest.raises(Damaged, match="part-01"):
        offline_machine.join(tmp_path / "parts", tmp_path / "joined")


def test_a_lost_part_is_named(parts, tmp_path):
    _, made = parts
    made[2].unlink()
    with pytest.raises(Damaged, match="part-02"):
        offline_machine.join(tmp_path / "parts", tmp_path / "joined")
