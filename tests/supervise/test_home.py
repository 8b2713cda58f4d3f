"""Where the servers' files go and who the servers run as, without starting any."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from app.supervise.children import Account
from app.supervise.errors import CannotStart
from app.supervise.folder import kept_key, open_data
from app.supervise.home import open_home
from app.supervise.lock import only_one

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to care about reach")


@as_root
def test_root_runs_servers_as_the_owner_of_an_existing_cluster(folder: Path) -> None:
    (folder / "postgres").mkdir()
    os.chown(folder / "postgres", 33, 33)
    home = open_home(folder)
    assert home.account == Account(33, 33) and home.sockets.stat().st_uid == 33


@as_root
def test_cluster_that_went_out_of_reach_is_not_replaced_by_an_empty_one(folder: Path) -> None:
    data, store = folder / "data", folder / "store"
    data.mkdir()
    open_home(data, store)
    (data / "postgres").mkdir()
    os.chown(data / "postgres", 65534, 65534)
    data.chmod(0o700)
    with pytest.raises(CannotStart, match=r"cannot reach .*data/postgres any more"):
        open_home(data, store)
    assert not store.exists()


@as_root
def test_link_that_leads_nowhere_is_not_replaced_by_an_empty_cluster(folder: Path) -> None:
    (folder / "postgres").symlink_to(folder / "gone" / "postgres")
    with pytest.raises(CannotStart, match="which is gone"):
        open_home(folder, folder / "store")


@as_root
def test_socket_folder_that_somebody_else_made_is_refused(folder: Path) -> None:
    (folder / "sockets").mkdir(mode=0o777)
    with pytest.raises(CannotStart, match="not a private folder"):
        open_home(folder)


@as_root
def test_restart_of_a_start_that_was_killed_before_its_links(folder: Path) -> None:
    """The link named postgres is the last one made: without it the next start begins anew."""
    data, store = folder / "data", folder / "store"
    data.mkdir(mode=0o700)
    (data / "valkey").symlink_to(store / "half" / "valkey")
    home = open_home(data, store)
    assert (data / "postgres").readlink() == home.postgres and (data / "valkey").resolve() == home.valkey


def test_key_is_made_once_and_private(folder: Path) -> None:
    key = kept_key(folder)
    assert re.fullmatch(r"lw_live_[A-Za-z0-9]{32}", key) and kept_key(folder) == key
    assert (folder / "api_key").stat().st_mode & 0o777 == 0o600
    (folder / "api_key").write_text("")
    with pytest.raises(CannotStart, match="does not hold an API key"):
        kept_key(folder)


def test_data_that_is_a_file_is_refused(folder: Path) -> None:
    (folder / "data").write_text("")
    with pytest.raises(CannotStart, match=r"Cannot use .*data for data"):
        open_data(folder / "data")


def test_large_log_is_put_aside_at_the_start(folder: Path) -> None:
    open_data(folder)
    (folder / "logs" / "api-1.log").write_bytes(b"x" * 10_000_001)
    open_data(folder)
    assert [path.name for path in (folder / "logs").iterdir()] == ["api-1.log.1"]


def test_lock_is_free_again_after_its_block(folder: Path) -> None:
    for _ in range(2):
        with only_one(folder), pytest.raises(CannotStart, match=f"process {os.getpid()}"), only_one(folder):
            pass
