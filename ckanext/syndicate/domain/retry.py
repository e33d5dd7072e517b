"""What follows a failure: whether the dataset is tried again, and when, and whether the target is left alone."""

from __future__ import annotations

from dataclasses import dataclass

from .states import Cause

#: Seconds before a dataset is tried again, doubled at each try, up to an hour.
FIRST_DELAY, LONGEST_DELAY = 10.0, 3600.0
#: Seconds for which a target is left alone, doubled as long as it fails; and at most, if it says itself for how long.
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_WISH = 5.0, 60.0, 3600.0
#: After so many failures in a row that may be the target's the target is left alone.
ENOUGH = 3

#: What trying again does not change: the dataset waits for a change, or for a person.
FINAL = frozenset({Cause.REFUSED, Cause.NAME_TAKEN, Cause.CONFLICT})
#: What holds for all datasets.
OF_TARGET = frozenset({Cause.WRONG_PORTAL, Cause.SETTINGS})
#: What may be the target's or one dataset's: whoever wants to know asks the target for something else.
DOUBTFUL = frozenset({Cause.UNREACHABLE, Cause.TIMEOUT, Cause.BUSY, Cause.SERVER_ERROR, Cause.ANSWER_INVALID})
#: What says nothing about the target.
OURS = frozenset({Cause.PLUGIN})
#: What is over once the target answers, as far as the target was the reason.
PASSING = frozenset(Cause) - FINAL - OURS


@dataclass(frozen=True)
class Treatment:
    """What to do after a failure; times in seconds.

    :ivar is_final: whether the dataset is not tried again by itself
    :ivar delay: after which it is
    :ivar counts: whether the try counts among those of the dataset
    :ivar pause: for how long the target is left alone; None: it is not
    """

    is_final: bool = False
    delay: float = 0.0
    counts: bool = True
    pause: float | None = None


def treat(
    cause: Cause,
    *,
    attempts: int,
    max_attempts: int,
    in_a_row: int,
    failures: int,
    retry_after: float | None = None,
    is_general: bool = False,
    jitter: float = 0.0,
) -> Treatment:
    """Decide what follows when a dataset could not be brought to a target.

    A dataset that always brings the target down must not stop the others; so whatever fails is put off, and who comes
    back to a target that was left alone begins with another dataset.

    :param attempts: tries of the dataset that failed before and count
    :param max_attempts: tries after which it is given up
    :param in_a_row: failures in a row before this one that may be the target's
    :param failures: how often in a row the target has been left alone
    :param retry_after: seconds for which the target wants to be left alone, if it said so
    :param is_general: whether what failed was not about the dataset alone
    :param jitter: from 0 to 1, by chance
    """
    if cause in FINAL:
        return Treatment(is_final=True)
    is_targets = is_general or retry_after is not None or failures > 0 or in_a_row + 1 >= ENOUGH
    if cause in OF_TARGET or (is_targets and cause not in OURS):
        rest = pause(failures, retry_after)
        return Treatment(delay=rest + backoff(0, jitter), counts=False, pause=rest)
    if attempts + 1 >= max_attempts:
        return Treatment(is_final=True)
    return Treatment(delay=backoff(attempts, jitter))


def backoff(attempts: int, jitter: float) -> float:
    """Return for how many seconds a dataset waits after so many tries before this one, up to a quarter more by chance.

    :param jitter: from 0 to 1
    """
    return min(FIRST_DELAY * 2.0 ** min(attempts, 20), LONGEST_DELAY) * (1 + jitter / 4)


def pause(failures: int, retry_after: float | None = None) -> float:
    """Return for how many seconds a target is left alone.

    :param failures: how often in a row it has been before
    :param retry_after: what it said itself
    """
    own = min(FIRST_PAUSE * 2.0 ** min(failures, 20), LONGEST_PAUSE)
    return own if retry_after is None else max(own, min(retry_after, LONGEST_WISH))
