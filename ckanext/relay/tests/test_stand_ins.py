"""Functions that are something else for the time of a block."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from ckanext.relay.stand_ins import current, replaced


class Greeter:
    def greet(self, name: str) -> str:
        return f"hello {name}"

    @classmethod
    def make(cls, name: str) -> str:
        return f"{cls.__name__} {name}"


@pytest.fixture
def owner() -> Any:
    return SimpleNamespace(greet=lambda name: f"hello {name}")


def test_in_the_block_and_after_it(owner: Any) -> None:
    """The innermost block says what is called; errors change nothing."""
    with pytest.raises(LookupError), replaced(owner, "greet", lambda name: f"bye {name}"):
        assert owner.greet("a") == "bye a"
        inner = current(owner, "greet")
        with replaced(owner, "greet", lambda name: inner(name).upper()):
            assert owner.greet(name="a") == "BYE A"
        assert owner.greet("a") == "bye a"
        raise LookupError
    assert owner.greet("a") == current(owner, "greet")("a") == "hello a"


def test_other_threads_do_not_see_it(owner: Any) -> None:
    """Neither one that was there before, nor one that began in the block."""
    with ThreadPoolExecutor(1) as pool, replaced(owner, "greet", lambda name: f"bye {name}"):
        assert pool.submit(owner.greet, "a").result() == "hello a"
        assert owner.greet("a") == "bye a"


def test_blocks_that_end_crosswise(owner: Any) -> None:
    """The one that began first ends first: afterwards nothing is left of either."""
    first, second = (replaced(owner, "greet", lambda name, word=word: f"{word} {name}") for word in ("bye", "ciao"))
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        one.submit(first.__enter__).result()
        two.submit(second.__enter__).result()
        one.submit(first.__exit__, None, None, None).result()
        assert two.submit(owner.greet, "a").result() == "ciao a"
        two.submit(second.__exit__, None, None, None).result()
        assert [pool.submit(owner.greet, "a").result() for pool in (one, two)] == ["hello a"] * 2


def test_what_somebody_else_puts_in_its_place(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called when nothing stands in."""
    with replaced(owner, "greet", str.upper):
        pass
    with monkeypatch.context() as patch:
        patch.setattr(owner, "greet", lambda name: f"moin {name}")
        with replaced(owner, "greet", str.upper):
            assert owner.greet("a") == "A"
        assert owner.greet("a") == "moin a"
    assert owner.greet("a") == "hello a"


def test_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of objects, of one object only, and of a class."""
    for name in ("greet", "make"):
        monkeypatch.setattr(Greeter, name, vars(Greeter)[name])  # put back after the test
    one, other = Greeter(), Greeter()
    with replaced(one, "greet", str.upper):
        assert (one.greet("a"), other.greet("a")) == ("A", "hello a")
    with replaced(Greeter, "greet", lambda self, name: f"bye {name}"):
        assert other.greet("a") == "bye a"
    assert (one.greet("a"), other.greet("a")) == ("hello a", "hello a")
    with replaced(Greeter, "make", str.upper):
        assert (Greeter.make("a"), one.make("a")) == ("A", "A")
    assert (Greeter.make("a"), one.make("a")) == ("Greeter a", "Greeter a")
