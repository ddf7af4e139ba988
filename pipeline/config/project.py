"""Floor 3, config: a whole project, fleet.toml and the release.toml of every service it names, read together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.config.faults import Fault, config_invalid, shown
from pipeline.config.fleet_file import read_fleet
from pipeline.config.service_file import RELEASE_FILE, read_service
from pipeline.errors import ConfigInvalid, NotFound
from pipeline.model.fleet import Fleet, FleetService
from pipeline.model.release import ServiceSpec

__all__ = ["FLEET_FILE", "Project", "find_root", "load_project"]

FLEET_FILE = "fleet.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """root: the folder that holds fleet.toml. specs: (service, its folder, its release.toml), in fleet order."""

    root: Path
    fleet: Fleet
    specs: tuple[tuple[str, Path, ServiceSpec], ...]

    def folder(self, service: str) -> Path:
        """NotFound for a service the fleet does not name."""
        return self._entry(service)[1]

    def spec(self, service: str) -> ServiceSpec:
        """NotFound for a service the fleet does not name."""
        return self._entry(service)[2]

    def _entry(self, service: str) -> tuple[str, Path, ServiceSpec]:
        for entry in self.specs:
            if entry[0] == service:
                return entry
        known = ", ".join(name for name, _, _ in self.specs) or "none"
        raise NotFound(
            f"{FLEET_FILE} names no service {shown(service)}",
            state="nothing was changed",
            remedy=f"name one of: {known}; or add a [[service]] to {FLEET_FILE}",
        )


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds fleet.toml. ConfigInvalid where there is none."""
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / FLEET_FILE).is_file():
            return folder
    raise ConfigInvalid(
        f"there is no {FLEET_FILE} in {here} or above it",
        state="nothing was changed",
        remedy="go to your project's folder, or make one: release init DIR",
    )


def load_project(start: Path) -> Project:
    """Everything that is configured, from anywhere inside the project. ConfigInvalid with the faults of ALL files."""
    root = find_root(start)
    fleet, faults = read_fleet(root / FLEET_FILE, FLEET_FILE)
    if fleet is None:
        # Which services there are is not known for certain; the folders below are checked all the same.
        folders = sorted(path.parent for path in root.glob(f"*/{RELEASE_FILE}"))
        for folder in folders:
            faults += read_service(folder, f"{folder.name}/{RELEASE_FILE}")[1]
        raise config_invalid(faults)
    specs: list[tuple[str, Path, ServiceSpec]] = []
    for service in fleet.services:
        spec, found = _service(root, service)
        faults += found
        if spec is not None:
            specs.append((service.name, (root / service.path).resolve(), spec))
    if faults:
        raise config_invalid(faults)
    return Project(root=root, fleet=fleet, specs=tuple(specs))


def _service(root: Path, service: FleetService) -> tuple[ServiceSpec | None, list[Fault]]:
    label = f"{service.path.rstrip('/')}/{RELEASE_FILE}"
    spec, faults = read_service(root / service.path, label)
    if spec is not None and spec.name != service.name:
        text = f"found {shown(spec.name)}, but {FLEET_FILE} calls this service {shown(service.name)}; use one name"
        return None, [Fault(file=label, at="service.name", text=text)]
    return spec, faults
