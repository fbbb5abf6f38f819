"""What may not be passed on about people: who they are, where they were, what they told a recruiting service."""

import hashlib
import hmac
import re
from collections.abc import Iterable

import pandas as pd

_PERSONAL = """
    prolific_pid prolific_id participant_id worker_id workerid mturk_id assignment_id assignmentid hit_id hitid
    session_id study_id submission_id ip ip_address ipaddress remote_addr email e_mail mail recipient_email name
    first_name last_name full_name recipient_first_name recipient_last_name phone address city zip zipcode postcode
    latitude longitude location_latitude location_longitude geolocation birthday birthdate date_of_birth user_agent
    useragent browser completion_code referrer url"""
PERSONAL = frozenset(_PERSONAL.split())
"""Names of columns, in lower case with underscores, that identify a person or might."""

_IDENTIFIER = {
    "an IP address": re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}|(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}", re.IGNORECASE),
    "an e-mail address": re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"),
    "a Prolific id": re.compile(r"[0-9a-f]{24}"),
    "an MTurk id": re.compile(r"A[0-9A-Z]{9,20}"),
}


def pseudonym(identifier: str, *, key: str = "") -> str:
    """Returns `p-` and 12 hexadecimal digits that stand for an id: the same for the same id and key (HMAC-SHA256).

    Without a key, whoever holds the id can work out its pseudonym; with one, only who has the key as well.
    """
    return "p-" + hmac.new(key.encode(), identifier.encode(), hashlib.sha256).hexdigest()[:12]


def is_personal(column: str) -> bool:
    """Says whether a column's name is one that identifies people."""
    return re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_") in PERSONAL


def kind_of_identifier(values: Iterable[object]) -> str:
    """Names what kind of identifier the values look like, such as `an IP address`; empty where they look like none."""
    for value in values:
        for kind, pattern in _IDENTIFIER.items():
            if isinstance(value, str) and pattern.fullmatch(value.strip()):
                return kind
    return ""


def without_personal(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Returns the table without the columns that identify people, by name or by content, and what they were."""
    dropped = {}
    for column in table.columns:
        if reason := "personal by its name" * is_personal(column) or kind_of_identifier(table[column]):
            dropped[column] = reason
    return table.drop(columns=list(dropped)), [f"{column} ({reason})" for column, reason in dropped.items()]
