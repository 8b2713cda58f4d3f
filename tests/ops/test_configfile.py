"""The configuration file of a running process: real files, changed in every manner in which files are changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.domain.clock import SYSTEM_CLOCK
from app.ops.configfile import ConfigFile
from app.settings import Settings, load_settings
from app.settings.renewal import renewed
from tests.conformance.client_suite import until

_TEXT = """[providers.main]
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key_file = "{key}"
[models.small]
ladder = [{{ provider = "main", model = "{model}" }}]
"""


class Site:
    """A folder with the file and a provider's key."""

    def __init__(self, folder: Path) -> None:
        self.path, self.key = folder / "laneway.toml", folder / "key"
        self.key.write_text("sk-1")
        self.write("mini-1")

    def write(self, model: str, more: str = "") -> None:
        """The file, naming this model."""
        self.path.write_text(more + _TEXT.format(key=self.key, model=model))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.chdir(tmp_path)
    yield Site(tmp_path)


@asynccontextmanager
async def _watched(file: ConfigFile) -> AsyncIterator[list[Settings]]:
    """The file, looked at; what its follower was told."""
    told: list[Settings] = []
    file.follow(told.append)
    task = asyncio.create_task(file.run())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait({task})


def _file() -> ConfigFile:
    return ConfigFile(load_settings(), renewed, SYSTEM_CLOCK)


async def test_a_change_is_taken_and_told_once(site: Site) -> None:
    file = _file()
    async with _watched(file) as told:
        site.write("mini-2")
        await until(lambda: len(told) == 1)
        assert file.settings is told[0]
        assert file.settings.ladder("small")[0].model == "mini-2"
        site.path.touch()
        site.write("mini-3")
        await until(lambda: file.settings.ladder("small")[0].model == "mini-3")
        assert len(told) == 2


async def test_a_change_between_the_start_and_the_first_look(site: Site) -> None:
    settings = load_settings()
    site.write("mini-2")
    file = ConfigFile(settings, renewed, SYSTEM_CLOCK)
    async with _watched(file) as told:
        await until(lambda: len(told) == 1)
        assert file.settings.ladder("small")[0].model == "mini-2"


async def test_a_bad_file_is_refused_and_the_last_good_one_stays(site: Site) -> None:
    file = _file()
    async with _watched(file) as told:
        site.write("mini-2", more="pool_size = 'sk-secret'\n")
        await until(lambda: file.refusal is not None)
        assert file.refusal is not None
        assert "pool_size" in file.refusal and "valid integer" in file.refusal and "sk-secret" not in file.refusal
        assert (told, file.settings.ladder("small")[0].model) == ([], "mini-1")
        site.path.unlink()
        await until(lambda: "is gone" in (file.refusal or ""))
        assert (told, file.settings.ladder("small")[0].model) == ([], "mini-1")
        site.write("mini-2")
        await until(lambda: file.refusal is None)
        assert [settings.ladder("small")[0].model for settings in told] == ["mini-2"]


@pytest.mark.parametrize("left", [0, 1, 40, 120, -1, -8, -20])
async def test_a_file_that_was_cut_off_takes_nothing_away(site: Site, left: int) -> None:
    """Also where what is left is valid, as `slots = 20` is without its last digit."""
    site.path.write_text(site.path.read_text() + "[lanes.bulk]\nslots = 20")
    whole = site.path.read_bytes()
    file = _file()
    await file.look()
    async with _watched(file) as told:
        site.path.write_bytes(whole[:left])
        await until(lambda: file.loss is not None)
        assert file.loss is not None and "laneway.toml: cut off in line" in file.loss and "restart" in file.loss
        assert (file.refusal, told, file.settings.ladder("small")[0].model) == (None, [], "mini-1")
        site.path.write_bytes(whole.replace(b"20", b"30"))
        await until(lambda: file.loss is None)
        assert [settings.lane("bulk").slots for settings in told] == [30]


async def test_a_file_that_was_shortened_by_its_operator_is_taken(site: Site) -> None:
    before = site.path.read_text()
    site.path.write_text(before + "[lanes.bulk]\nslots = 20\n")
    file = _file()
    await file.look()
    async with _watched(file) as told:
        site.path.write_text(before)
        await until(lambda: len(told) == 1)
        assert (file.loss, file.settings.lane("bulk").slots) == (None, 200)


async def test_a_file_without_any_provider_is_refused_apart(site: Site) -> None:
    file = _file()
    async with _watched(file) as told:
        site.path.write_text("# all gone\n")
        await until(lambda: file.loss is not None)
        assert file.loss is not None and file.loss.startswith("providers: ")
        site.path.write_text("pool_size = 'many'\n")
        await until(lambda: file.refusal is not None)
        assert file.loss is None
        assert not told


async def test_a_file_that_is_replaced_by_another(site: Site, tmp_path: Path) -> None:
    file = _file()
    async with _watched(file) as told:
        text = site.path.read_text()
        (tmp_path / "next").write_text(text.replace("mini-1", "mini-4"))
        (tmp_path / "next").rename(site.path)
        await until(lambda: bool(told))
        assert file.settings.ladder("small")[0].model == "mini-4"


async def test_a_file_that_is_being_written_is_not_believed(site: Site) -> None:
    """An empty file is a valid one, and would take all providers away."""
    file = _file()
    async with _watched(file) as told:
        for line in range(12):
            site.path.write_text("" if line % 2 else "# half\n")
            await asyncio.sleep(0.03)
        site.write("mini-5")
        await until(lambda: bool(told))
        assert [settings.ladder("small")[0].model for settings in told] == ["mini-5"]


async def test_a_change_that_shows_in_no_stamp_is_read_when_asked(site: Site) -> None:
    file = _file()
    async with _watched(file) as told:
        site.write("mini-2")
        await until(lambda: len(told) == 1)
        seen = site.path.stat()
        site.path.write_text(site.path.read_text().replace("mini-2", "mini-6"))
        os.utime(site.path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        await asyncio.sleep(0.6)
        assert len(told) == 1
        file.again()
        await until(lambda: len(told) == 2)
        assert file.settings.ladder("small")[0].model == "mini-6"


async def test_a_key_is_rotated_in_its_file(site: Site) -> None:
    file = _file()
    async with _watched(file) as told:
        site.write("mini-2")
        await until(lambda: len(told) == 1)
        site.key.write_text("sk-2")
        await until(lambda: len(told) == 2)
        key = file.settings.providers["main"].api_key
        assert key is not None and key.get_secret_value() == "sk-2"


async def test_what_needs_a_restart_is_named_and_the_rest_taken(site: Site) -> None:
    file = _file()
    async with _watched(file):
        site.write("mini-2", more="pool_size = 20\n")
        await until(lambda: file.kept == ("pool_size",))
        assert (file.settings.pool_size, file.settings.ladder("small")[0].model) == (8, "mini-2")
        site.write("mini-2")
        await until(lambda: file.kept == ())
