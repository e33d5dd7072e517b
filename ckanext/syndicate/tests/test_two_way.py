"""Two portals push to each other, at the same time: each dataset ends up on both, once, and nothing goes in circles."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ckanext.harvest.tests.flow import Site
from ckanext.syndicate.tests.flow import Dataset, assert_equal, create
from ckanext.syndicate.tests.portals import Pair, through

FLAGS = ("syndicate", "syndicate_prefixed")
ROUNDS = 3
EACH = 2


@pytest.fixture
def both(pair: Pair) -> Iterator[Pair]:
    """The portals, both of which push."""
    with pair.b_works():
        yield pair


def settled(pair: Pair) -> None:
    """Wait until neither portal has anything to push, also not because of what the other one pushed last."""
    calls = -1
    while calls != (calls := len(pair.to_a.calls) + len(pair.to_b.calls)):
        for site, _ in pair.sites():
            through(site)


def push_everything(pair: Pair) -> None:
    """Push all that each portal has, and wait until that is done."""
    settled(pair)
    for site, _ in pair.sites():
        done = site.ckan("syndicate", "sync")
        assert done.returncode == 0, done.stderr
    settled(pair)


def number(site: Site) -> int:
    """Return how many datasets a portal has, private ones and drafts too."""
    return int(site.rows("SELECT count(*) FROM package")[0][0])


def name_of_copy(site: Site, flag: str, made: Dataset) -> str:
    """Return what a dataset of a portal is called at the other one."""
    prefix = "from-a-" if site.name == "this" else "from-b-"
    return str(made["name"]) if flag == "syndicate" else prefix + made["name"]


def test_three_rounds(both: Pair) -> None:
    """Both edit their own and each other's datasets, three times; there is no copy of a copy, and none differs.

    The copies carry the flags by which the other portal chooses what it pushes.
    """
    before = [number(site) for site, _ in both.sites()]
    made = [
        (site, other, flag, create(site, flag)) for site, other in both.sites() for flag in FLAGS for _ in range(EACH)
    ]
    settled(both)
    assert [number(site) for site, _ in both.sites()] == [each + len(made) for each in before]
    for round_ in range(ROUNDS):
        for site, other, flag, each in made:
            site.call("package_patch", id=each["id"], title=f"Round {round_}", notes=f"Round {round_}")
            other.call("package_patch", id=name_of_copy(site, flag, each), url=f"http://elsewhere.example/{round_}")
        settled(both)
        assert [number(site) for site, _ in both.sites()] == [each + len(made) for each in before]
    # the last edit of a copy may have come after the last push
    for site, _, _, each in made:
        site.call("package_patch", id=each["id"], title="The end")
    settled(both)
    for site, other, flag, each in made:
        assert_equal(site, other, each["id"], name_of_copy(site, flag, each))


def test_nothing_is_left_to_do(both: Pair) -> None:
    """When all is the same, pushing everything again writes nothing, in either direction."""
    push_everything(both)  # other tests that were here before may have emptied one of the portals
    for proxy in (both.to_a, both.to_b):
        proxy.well()
    push_everything(both)
    assert both.to_a.writes() == []
    assert both.to_b.writes() == []
    assert len(both.to_a.calls) <= 3 * 5, "a few for each profile"


def test_the_plan_says_why_not(both: Pair) -> None:
    """``plan`` says of a copy that it is not pushed to where it came from."""
    made = create(both.a)
    settled(both)
    copy = assert_equal(both.a, both.b, made["id"])
    done = both.b.ckan("syndicate", "plan", "--dataset", copy["name"], "--json")
    (planned,) = [each for each in json.loads(done.stdout)["plans"] if each["profile_id"] == "plain"]
    assert planned["action"] == "skipped", planned
    assert both.a.portal.url in planned["reason"]
