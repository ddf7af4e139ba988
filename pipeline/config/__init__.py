"""Floor 3, config: the TOML files a team writes, checked and turned into the frozen model.

It reads and writes files and knows pydantic; it never calls AWS, never decides anything about a release, and
nothing but this room knows what a raw file looks like. Every fault of every file is reported at once.
"""

from pipeline.config.fleet_file import load_fleet
from pipeline.config.project import Project, find_root, load_project
from pipeline.config.schema import schema
from pipeline.config.service_file import load_service
from pipeline.config.write import set_value

__all__ = ["Project", "find_root", "load_fleet", "load_project", "load_service", "schema", "set_value"]
