"""The folder that OpenSearch is installed in, laid out of its locked jars as its archive lays it.

Its modules come as bare jars: what its own build writes beside each, is written here. Its security
plugin comes as an archive of its own, which asks for a plugin that nobody publishes alone and does
without it.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeline.lab import jars
from pipeline.lab.cache import cache_folder, locked

_VERSION: Final = "3.4.0"
_DESCRIPTOR: Final = "plugin-descriptor.properties"
_MODULES: Final[Mapping[str, tuple[str, str, str]]] = {
    "modules/analysis-common": (
        "analysis-common", "org.opensearch.analysis.common.CommonAnalysisModulePlugin",
        "lang-painless",
    ),
    "modules/ingest-common": (
        "ingest-common", "org.opensearch.ingest.common.IngestCommonModulePlugin", "lang-painless",
    ),
    "modules/lang-painless": ("lang-painless", "org.opensearch.painless.PainlessModulePlugin", ""),
    "modules/mapper-extras-client": (
        "mapper-extras", "org.opensearch.index.mapper.MapperExtrasModulePlugin", "",
    ),
    "modules/parent-join-client": ("parent-join", "org.opensearch.join.ParentJoinModulePlugin", ""),
    "modules/reindex-client": (
        "reindex", "org.opensearch.index.reindex.ReindexModulePlugin", "",
    ),
    "modules/transport-netty4-client": (
        "transport-netty4", "org.opensearch.transport.Netty4ModulePlugin", "",
    ),
}  # fmt: skip
"""Name, class, and whose classes it sees, by folder."""


def home(security: bool) -> Path:
    """The folder, with the security plugin or without; made once and never changed.

    Raises:
        pipeline.lab.jars.JarError: a jar cannot be fetched or is not the one that is locked.
    """
    paths = jars.ensure(jars.OPENSEARCH)
    placed = zip(jars.read_lock(jars.OPENSEARCH), paths, strict=True)
    wanted = [(jar.folder, path) for jar, path in placed if security or _is_part(jar.folder)]
    said = [*map(str, wanted), str(_MODULES), _VERSION]
    digest = hashlib.sha256("\n".join(said).encode()).hexdigest()
    folder = cache_folder("opensearch")
    target = folder / digest[:16]
    with locked(folder / ".lock"):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".laying-") as staging:
                made = Path(staging) / "home"
                _lay(made, wanted)
                made.rename(target)
    return target


def _is_part(folder: str) -> bool:
    return not folder.startswith("plugins/")


def _lay(home: Path, wanted: list[tuple[str, Path]]) -> None:
    for name, path in wanted:
        folder = home / name
        folder.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as packed:
                packed.extractall(folder)
        else:
            (folder / path.name).symlink_to(path)
    for place, (name, main_class, extended) in _MODULES.items():
        _describe(home / place, name, main_class, extended)
    for name in ("bin", "plugins"):
        (home / name).mkdir(exist_ok=True)
    for descriptor in home.glob(f"plugins/*/{_DESCRIPTOR}"):
        lines = descriptor.read_text().splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("extended.plugins=")]
        descriptor.write_text("".join(kept))
        # What the plugin's own tools would write into.
        shutil.rmtree(descriptor.parent / "config", ignore_errors=True)


def _describe(folder: Path, name: str, main_class: str, extended: str) -> None:
    said = {
        "name": name,
        "description": f"The module {name}",
        "version": _VERSION,
        "opensearch.version": _VERSION,
        "java.version": "21",
        "classname": main_class,
        "extended.plugins": extended,
        "has.native.controller": "false",
    }
    lines = [f"{key}={value}\n" for key, value in said.items() if value]
    (folder / _DESCRIPTOR).write_text("".join(lines))
