"""``ckan syndicate import``, as people and cron call it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ckan import model

from ckanext.syndicate.cli import syndicate
from ckanext.syndicate.tests.portals import Target

pytestmark = pytest.mark.usefixtures("syndicate_portal")


def write(path: Path, *objects: Any) -> str:
    """Write JSON lines and return where they are."""
    path.write_text("\n".join(json.dumps(each) for each in objects))
    return str(path)


def dataset(key: str, **fields: Any) -> dict[str, Any]:
    return {"id": key, "name": key, "title": key.title(), "groups": ["rivers"], "owner_org": "city", **fields}


BOTH = ({"name": "rivers", "type": "group"}, {"name": "city", "type": "organization"})


@pytest.fixture
def run(cli: Any) -> Any:
    """Runs the command and returns its result."""

    def invoke(*arguments: str, code: int = 0, **env: str) -> Any:
        model.Session.remove()
        result = cli.invoke(syndicate, ["import", "src", *arguments], env=env)
        assert result.exit_code == code, (result.output, result.exception)
        model.Session.remove()
        return result

    return invoke


def test_into_this_portal(run: Any, tmp_path: Path) -> None:
    """Without an address, this portal is written to, without HTTP; a second run changes nothing."""
    path = write(tmp_path / "all.jsonl", *BOTH, dataset("aa"), dataset("bb"))
    shown = run(path, "--dry-run").output
    assert "2 would be created" in shown
    assert model.Session.query(model.Package).count() == 0
    result = run(path)
    assert "2 created" in result.output
    package = model.Package.get("aa")
    assert (package.title, [group.name for group in package.get_groups("group")]) == ("Aa", ["rivers"])
    assert "2 unchanged" in run(path).output

    write(tmp_path / "all.jsonl", *BOTH, dataset("bb", name="Not a name!"), dataset("cc", tags=["a/b!"]))
    shown = json.loads(run(path, "--json", "--replace-names", "--max-delete", "100%", code=1).stdout)
    assert shown["counts"] == {
        "created": 0, "updated": 0, "unchanged": 0, "deleted": 1, "held": 0, "untried": 0, "failed": 2,
    }  # fmt: skip
    assert {each["source_id"] for each in shown["failed"]} == {"bb", "cc"}
    assert shown["complete"] is False


def test_deletions_are_limited(run: Any, tmp_path: Path) -> None:
    """Many deletions are held back, and the command ends with 1."""
    path = write(tmp_path / "all.jsonl", *BOTH, *(dataset(f"d{number}") for number in range(4)))
    run(path)
    write(tmp_path / "all.jsonl", *BOTH)
    assert "none was deleted" in run(path, code=1).stderr
    assert "4 held" in run(path, "--max-delete", "3", code=1).output
    assert "4 deleted" in run(path, "--max-delete", "all").output


def test_into_another_portal(run: Any, target: Target, tmp_path: Path) -> None:
    """With an address and a token from a file or the environment, another portal is written to."""
    path = write(tmp_path / "all.jsonl", *BOTH, dataset("aa"))
    token = tmp_path / "token"
    token.write_text(f"{target.token}\n")
    options = ("--url", target.url)
    assert "3 failed" in run(path, *options, code=1).output
    shown = run(path, *options, "--api-key-file", str(token), "--threads", "2")
    assert "1 created" in shown.output
    assert f"Writing to SynchronizationClient('{target.url}')" in shown.output + shown.stderr
    assert target.token not in shown.output + shown.stderr
    assert target.call("package_show", id="aa")["title"] == "Aa"
    assert "1 unchanged" in run(path, CKAN_URL=target.url, CKAN_API_KEY=target.token).output


@pytest.mark.parametrize(
    ("line", "arguments", "code", "says"),
    [
        ('{"id": ', (), 1, "all.jsonl:3: is no JSON"),
        ('{"id": "x", "name": "x"}', (), 1, "all.jsonl:3: dataset 'x': 'groups' is missing"),
        ("{}", (), 1, "all.jsonl:3: the dataset has no 'id'"),
        ("", ("--max-delete", "many"), 2, "max_delete is 'many'"),
        ("", ("--threads", "4"), 2, "--threads needs --url"),
        ("", ("--url", "portal"), 1, "is not the address of a portal"),
        ("", ("--api-key-file", "/nowhere"), 2, "does not exist"),
    ],
)
def test_what_is_wrong(run: Any, tmp_path: Path, line: str, arguments: tuple[str, ...], code: int, says: str) -> None:
    """Wrong input ends with a message that says where it is wrong, before anything is written."""
    path = Path(write(tmp_path / "all.jsonl", *BOTH))
    path.write_text(f"{path.read_text()}\n{line}\n")
    result = run(str(path), *arguments, code=code)
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_name_of_a_source_with_a_colon(cli: Any, tmp_path: Path) -> None:
    """The name of a source has no colon."""
    result = cli.invoke(syndicate, ["import", "a:b", write(tmp_path / "all.jsonl", *BOTH)])
    assert result.exit_code == 2
    assert "cannot be the name of a source" in result.stderr
