"""Floor 3, config: one checked type for each kind of value in the files, with what to write instead.

Each check takes what TOML gave and returns what the model wants, or raises a `PydanticCustomError` whose text a
person can act on. It looks at single values only; what needs two of them stands with the file it belongs to.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import zoneinfo
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from pipeline.config.faults import nearest, shown
from pipeline.config.toml import UNQUOTED
from pipeline.model.ids import ACCOUNT_ID, NAME, REGION
from pipeline.model.policy import REST, WaveSize

__all__ = [
    "Account",
    "Day",
    "Duration",
    "Email",
    "HostPattern",
    "IsoDay",
    "KeyArn",
    "LocalTime",
    "Mailbox",
    "Moment",
    "Name",
    "OrganizationId",
    "ParameterName",
    "Reason",
    "RegionName",
    "RelativePath",
    "Size",
    "SizeWord",
    "SmokeName",
    "SourcePath",
    "Text",
    "Timezone",
    "UrlPath",
    "known_regions",
    "whole",
]

T = TypeVar("T")
_LONGEST_WAIT = timedelta(days=365)
_DURATION = re.compile(
    r"(?:(?P<days>\d{1,5})d)?(?:(?P<hours>\d{1,6})h)?(?:(?P<minutes>\d{1,7})m)?(?:(?P<seconds>\d{1,9})s)?"
)
_LOCAL_PART = re.compile(r"[^\s\"'()<>\[\]:;,\\|%&@]+")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.I)
# `*` stands for one whole label or more; what a stranger can register (the last two labels) is always named.
_HOST = re.compile(rf"(?:(?:\*|{_LABEL})\.)*(?:{_LABEL}\.{_LABEL}|localhost)|{_LABEL}")
_KEY_ARN = re.compile(r"arn:aws(?:-[a-z]+)*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,128}")
_QUOTE_ALL = 'found the number {}; quote it and write all 12 digits: {{key}} = "012345670123"'
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PLUS_SUFFIX = "+YYYYMMDD-nnn"
MAX_EMAIL = 64
"""AWS Organizations, CreateAccount: Email has 6 to 64 characters of 7-bit ASCII and exactly one @."""


def fault(text: str) -> PydanticCustomError:
    # The text goes in as context: braces in what a person typed are not a template.
    return PydanticCustomError("fault", "{text}", {"text": text})


def _string(raw: object, write: str) -> str:
    if not isinstance(raw, str):
        raise fault(f"found {shown(raw)}; write {write}")
    return raw


def account(raw: object) -> str | None:
    """A 12-digit string, or None for "" (not filled in yet)."""
    if isinstance(raw, str) and raw.startswith(UNQUOTED):
        raise fault(f'quote it: {{key}} = "{raw.removeprefix(UNQUOTED).replace("_", "")}"')
    if isinstance(raw, int) and not isinstance(raw, bool):
        # 11 digits are an id whose leading 0 somebody took away to please a TOML parser.
        whole_id = f"{raw:012d}" if 10**10 <= raw < 10**12 else ""
        raise fault(f'quote it: {{key}} = "{whole_id}"' if whole_id else _QUOTE_ALL.format(shown(raw)))
    text = _string(raw, 'a string of 12 digits, such as "012345670123"')
    if text == "":
        return None
    if not ACCOUNT_ID.fullmatch(text):
        raise fault(f'found {shown(text)}; write a string of 12 digits, such as "012345670123"')
    return text


def name(raw: object) -> str:
    wanted = "2 to 32 lower-case letters, digits and hyphens, a letter first and no hyphen last"
    text = _string(raw, wanted)
    if not NAME.fullmatch(text):
        raise fault(f"found {shown(text)}; write {wanted}")
    return text


def text_value(raw: object) -> str:
    """Any printable text of at most 4096 characters (CloudFormation's longest parameter value)."""
    text = _string(raw, "a string in quotes")
    if len(text) > 4096:
        raise fault(f"is {len(text)} characters long; at most 4096 are allowed")
    if not text.isprintable():
        raise fault(f"found {shown(text)}; write it without control characters")
    return text


def reason(raw: object) -> str:
    text = text_value(raw)
    if not text.strip():
        raise fault("is empty; write why, for whoever reads it in a year")
    return text


@cache
def known_regions() -> frozenset[str]:
    """Every Region of every partition, from botocore's partitions.json; read without importing botocore.

    Empty where botocore is not installed: then the shape alone decides.
    """
    spec = importlib.util.find_spec("botocore")
    if spec is None or spec.origin is None:
        return frozenset()
    content = (Path(spec.origin).parent / "data" / "partitions.json").read_bytes()
    regions = (name for partition in json.loads(content)["partitions"] for name in partition["regions"])
    return frozenset(region for region in regions if REGION.fullmatch(region))


def region(raw: object) -> str:
    text = _string(raw, 'the name of a Region, such as "us-east-1"')
    known = known_regions()
    if REGION.fullmatch(text) and (text in known or not known):
        return text
    hint = nearest(text, known)
    hint = hint if hint.startswith("did") else 'write one such as "us-east-1"'
    raise fault(f"found {shown(text)}, which is no AWS Region; {hint}")


def duration(raw: object) -> timedelta:
    wanted = '"90s", "2h30m" or "2d" (days, hours, minutes and seconds, in this order)'
    if isinstance(raw, int) and not isinstance(raw, bool):
        raise fault(f"found {shown(raw)} without a unit; write {wanted}")
    text = _string(raw, wanted)
    found = _DURATION.fullmatch(text)
    if found is None or not text or not text.isascii():
        raise fault(f"found {shown(text)}; write {wanted}")
    length = timedelta(**{unit: int(number) for unit, number in found.groupdict().items() if number})
    if length > _LONGEST_WAIT:
        raise fault(f"found {shown(text)}; at most 365d are allowed")
    return length


def size(raw: object) -> WaveSize:
    wanted = '"10%" (1 to 100), a number of clients such as 3, "ring:early", or "rest"'
    if isinstance(raw, int) and not isinstance(raw, bool) and 1 <= raw <= 1_000_000:
        return WaveSize(raw, "clients")
    if raw == "rest":
        return REST
    if isinstance(raw, str) and re.fullmatch(r"[1-9][0-9]?%|100%", raw):
        return WaveSize(int(raw[:-1]), "%")
    if isinstance(raw, str) and raw.startswith("ring:") and NAME.fullmatch(raw.removeprefix("ring:")):
        return WaveSize(0, "ring", raw.removeprefix("ring:"))
    raise fault(f"found {shown(raw)}; write {wanted}")


def whole(least: int, most: int = 1_000_000) -> Callable[[object], int]:
    """A check for whole numbers in a range; TOML's true and 1.0 are none."""

    def check(raw: object) -> int:
        if isinstance(raw, int) and not isinstance(raw, bool) and least <= raw <= most:
            return raw
        raise fault(f"found {shown(raw)}; write a whole number from {least} to {most}")

    return check


def email(raw: object) -> str:
    """An address AWS accepts for an account. The address itself is never repeated in the fault."""
    text = _string(raw, 'an e-mail address, such as "clients+acme@example.com"')
    if text == "":
        return text
    local, at, domain = text.rpartition("@")
    if not at or not text.isascii() or not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise fault('is not an e-mail address that AWS accepts; write one such as "clients+acme@example.com"')
    if not 6 <= len(text) <= MAX_EMAIL:
        raise fault(f"is {len(text)} characters long; AWS accepts 6 to {MAX_EMAIL}")
    return text


def mailbox(raw: object) -> str:
    """The mailbox that plus addresses are made from: without a + of its own, and short enough to get one."""
    text = _string(raw, 'an e-mail address, such as "qa@example.com"')
    if "+" in text.rpartition("@")[0]:
        raise fault('already has a + part; write the bare mailbox, such as "qa@example.com"')
    if not text:
        raise fault('is empty; write a mailbox, such as "qa@example.com"')
    text = email(text)
    longest = MAX_EMAIL - len(PLUS_SUFFIX)
    if len(text) > longest:
        raise fault(
            f"is {len(text)} characters long; with {PLUS_SUFFIX} it would pass AWS's {MAX_EMAIL}, "
            f"so write a mailbox of at most {longest}"
        )
    return text


def host_pattern(raw: object) -> str:
    wanted = '"api.example.com" or "*.example.com", without scheme, port or path'
    text = _string(raw, wanted)
    if len(text) > 253 or not _HOST.fullmatch(text.lower()):
        raise fault(f"found {shown(text)}; write {wanted}")
    return text.lower()


def day(raw: object) -> str:
    text = _string(raw, "a day: " + ", ".join(_DAYS))
    if text not in _DAYS:
        raise fault(f"found {shown(text)}; write one of {', '.join(_DAYS)}")
    return text


def local_time(raw: object) -> time:
    if isinstance(raw, time):
        return raw
    text = _string(raw, 'a time of day, such as "06:00"')
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise fault(f'found {shown(text)}; write a time from "00:00" to "23:59"')
    return time.fromisoformat(text)


def timezone(raw: object) -> str:
    text = _string(raw, 'an IANA time zone, such as "America/New_York"')
    try:
        zoneinfo.ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # unknown; not a key at all; "America", a folder of the database
        hint = nearest(text, zoneinfo.available_timezones()) if "/" in text else ""
        hint = hint if hint.startswith("did") else 'write one such as "America/New_York"'
        raise fault(f"found {shown(text)}, which is no IANA time zone; {hint}") from None
    return text


def moment(raw: object) -> datetime | date:
    """A day, a local time on a day, or an instant with its offset; which of them is told by its type.

    A local one is naive: only the table it stands in knows its time zone.
    """
    wanted = (
        'a day such as "2026-12-24", or a time such as "2026-12-24T18:00" (add Z or +01:00 for an instant)'
    )
    found: object = raw
    if isinstance(raw, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:+Z-]{5,14})?", raw):
        with contextlib.suppress(ValueError):
            found = date.fromisoformat(raw) if len(raw) == 10 else datetime.fromisoformat(raw)
    if not isinstance(found, datetime | date):
        raise fault(f"found {shown(raw)}; write {wanted}")
    if not 2000 <= found.year <= 2199:
        raise fault(f"found {shown(raw)}; write a year from 2000 to 2199")
    return found


def iso_day(raw: object) -> str:
    if isinstance(raw, date) and not isinstance(raw, datetime):
        return raw.isoformat()
    text = _string(raw, 'a day, such as "2026-12-31"')
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise fault(f'found {shown(text)}; write a day, such as "2026-12-31"') from None


def relative_path(raw: object) -> str:
    """A path below the folder of its file, with forward slashes. Whether it exists is checked later."""
    text = _string(raw, "a path relative to this file's folder")
    parts = text.split("/")
    if (
        text
        and text.isprintable()
        and not text.startswith(("/", "~"))
        and ".." not in parts
        and "\\" not in text
    ):
        return text
    raise fault(f"found {shown(text)}; write a path below this file's folder, without .. and not absolute")


def source_path(raw: object) -> str:
    """A folder relative to fleet.toml; `..` is allowed, since services may have repositories of their own."""
    text = _string(raw, "the folder of the service's sources, relative to this file")
    if text and text.isprintable() and not text.startswith(("/", "~")) and "\\" not in text:
        return text
    raise fault(f"found {shown(text)}; write a folder relative to this file, not absolute")


def key_arn(raw: object) -> str:
    wanted = "the ARN of a KMS key (not of an alias, which can be pointed elsewhere)"
    text = _string(raw, wanted)
    if text and not _KEY_ARN.fullmatch(text):
        raise fault(f"found {shown(text)}; write {wanted}")
    return text


def organization_id(raw: object) -> str:
    text = _string(raw, 'an organisation\'s id, such as "o-a1b2c3d4e5"')
    if text and not re.fullmatch(r"o-[a-z0-9]{10,32}", text):
        raise fault(f'found {shown(text)}; write an organisation\'s id, such as "o-a1b2c3d4e5"')
    return text


def url_path(raw: object) -> str:
    text = _string(raw, 'a path such as "/health"')
    if text and not re.fullmatch(r"[/?][!-~]{0,1000}", text):
        raise fault(f'found {shown(text)}; write a path that begins with /, such as "/health"')
    return text


def parameter_name(raw: object) -> str:
    text = _string(raw, "a name of letters and digits")
    if not re.fullmatch(r"[A-Za-z0-9]{1,255}", text):
        raise fault(f"found {shown(text)}; write letters and digits only, as CloudFormation does in names")
    return text


def smoke_name(raw: object) -> str:
    """A function of any other name would be refused in the account: TidegateDeploy may invoke `svc-*-Smoke*` only."""
    text = parameter_name(raw)
    if not text.startswith("Smoke"):
        raise fault(f'found {shown(text)}; write a name that begins with "Smoke", no other may be invoked')
    return text


def _schema(**keys: Any) -> WithJsonSchema:
    return WithJsonSchema(keys)


Account = Annotated[str | None, PlainValidator(account), _schema(type="string", pattern="^([0-9]{12})?$")]
Name = Annotated[str, PlainValidator(name), _schema(type="string", pattern=f"^{NAME.pattern}$")]
SizeWord = Annotated[str, PlainValidator(name), _schema(type="string", pattern=f"^{NAME.pattern}$")]
"""A company's own word for how large a client is; shaped like a name, since it becomes part of one."""
Text = Annotated[str, PlainValidator(text_value), _schema(type="string", maxLength=4096)]
RegionName = Annotated[str, PlainValidator(region), _schema(type="string", pattern=f"^{REGION.pattern}$")]
Duration = Annotated[
    timedelta,
    PlainValidator(duration),
    _schema(type="string", pattern="^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"),
]
Size = Annotated[
    WaveSize,
    PlainValidator(size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": f"^([1-9][0-9]?%|100%|rest|ring:{NAME.pattern})$"},
            ]
        }
    ),
]
Email = Annotated[str, PlainValidator(email), _schema(type="string", format="email", maxLength=MAX_EMAIL)]
Reason = Annotated[str, PlainValidator(reason), _schema(type="string", minLength=1)]
Mailbox = Annotated[
    str,
    PlainValidator(mailbox),
    _schema(type="string", format="email", maxLength=MAX_EMAIL - len(PLUS_SUFFIX)),
]
HostPattern = Annotated[str, PlainValidator(host_pattern), _schema(type="string")]
Day = Annotated[str, PlainValidator(day), _schema(enum=list(_DAYS))]
LocalTime = Annotated[
    time, PlainValidator(local_time), _schema(type="string", pattern="^[0-2][0-9]:[0-5][0-9]$")
]
Timezone = Annotated[str, PlainValidator(timezone), _schema(type="string")]
IsoDay = Annotated[str, PlainValidator(iso_day), _schema(type="string", format="date")]
Moment = Annotated[
    datetime | date,
    PlainValidator(moment),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}
    ),
]
RelativePath = Annotated[str, PlainValidator(relative_path), _schema(type="string")]
SourcePath = Annotated[str, PlainValidator(source_path), _schema(type="string")]
KeyArn = Annotated[str, PlainValidator(key_arn), _schema(type="string")]
OrganizationId = Annotated[str, PlainValidator(organization_id), _schema(type="string")]
UrlPath = Annotated[str, PlainValidator(url_path), _schema(type="string")]
ParameterName = Annotated[
    str, PlainValidator(parameter_name), _schema(type="string", pattern="^[A-Za-z0-9]+$")
]
SmokeName = Annotated[str, PlainValidator(smoke_name), _schema(type="string", pattern="^Smoke[A-Za-z0-9]*$")]
