"""Where the socket, the state and the policy of a service may be: where nobody else can exchange them."""

import os
import socket
from pathlib import Path

import pytest

from grantwheel.service import places
from grantwheel.service.places import PlaceRefusedError
from grantwheel.service.sockets import listening

OTHER_UID = 54321
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def refused(path: Path) -> str:
    with pytest.raises(PlaceRefusedError) as refusal:
        places.check(path, "the folder of the socket")
    return str(refusal.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(mode=0o755, parents=True)
    return inner


def test_folders_that_are_the_owners_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for mode in (0o755, 0o700, 0o500):
        folder.chmod(mode)
        places.check(folder, "it")
    monkeypatch.chdir(folder)
    for path in (".", "../inner", folder / ".." / "inner", Path("/"), Path("//")):
        places.check(Path(path), "it")


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o720, 0o1777])
def test_the_folder_itself_must_be_writable_by_its_owner_alone(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    said = f"others may write to the folder of the socket, {folder} (mode {mode:04o}): it must be writable by its owner"
    assert refused(folder).startswith(said)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o720])
def test_folders_above_must_be_so_too(folder: Path, mode: int) -> None:
    outer = folder.parent
    outer.chmod(mode)
    assert refused(folder) == (
        f"others may write to a folder above the folder of the socket, {outer} (mode {mode:04o}): "
        "it must be writable by its owner alone, or sticky as /tmp is"
    )
    with pytest.raises(PlaceRefusedError), listening(folder / "s", mode=0o600, group=None):
        pass
    assert list(folder.iterdir()) == []


def test_folders_above_may_be_sticky(folder: Path) -> None:
    folder.parent.chmod(0o1777)
    places.check(folder, "it")


@AS_ROOT
def test_all_must_belong_to_root_or_to_the_service(folder: Path) -> None:
    outer = folder.parent
    outer.chmod(0o1777)
    os.chown(folder, OTHER_UID, -1)
    assert refused(folder) == (
        f"the folder of the socket, {folder}, belongs to uid {OTHER_UID}: it must belong to root or to uid 0"
    )
    os.chown(folder, 0, -1)
    os.chown(outer, OTHER_UID, -1)
    assert f"a folder above the folder of the socket, {outer}, belongs to uid {OTHER_UID}" in refused(folder)
    os.chown(outer.parent, OTHER_UID, -1)
    outer.parent.chmod(0o755)
    os.chown(outer, 0, -1)
    assert f"a folder above the folder of the socket, {outer.parent}, belongs" in refused(folder)


def test_links_are_followed_and_what_they_lead_through_counts(folder: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    for name, target in (("absolute", folder), ("relative", Path("../outer/inner")), ("chain", Path("relative/."))):
        (links / name).symlink_to(target)
        places.check(links / name, "it")
        places.check(links / name / ".." / "inner", "it")
        folder.parent.chmod(0o777)
        assert f"above the folder of the socket, {folder.parent} (mode 0777)" in refused(links / name)
        folder.parent.chmod(0o755)
        links.chmod(0o777)
        assert f"above the folder of the socket, {links} (mode 0777)" in refused(links / name)
        links.chmod(0o755)


def test_a_link_to_its_own_folder_is_that_folder(folder: Path) -> None:
    (folder / "link").symlink_to(".")
    places.check(folder / "link", "it")
    folder.chmod(0o1777)
    assert f"others may write to the folder of the socket, {folder} (mode 1777)" in refused(folder / "link")


@AS_ROOT
def test_links_of_others_are_refused(folder: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    link = shared / "link"
    link.symlink_to(folder)
    places.check(link, "it")
    os.chown(link, OTHER_UID, -1, follow_symlinks=False)
    assert f"a link above the folder of the socket, {link}, belongs to uid {OTHER_UID}" in refused(link)


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"/none/at/all'$"):
        places.check(folder / "none" / "at" / "all", "it")
    (folder / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        places.check(folder / "loop", "it")


def test_a_socket_where_it_may_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # its own path may be too long for a socket
    with listening(Path("s"), mode=0o600, group=None) as listener:
        listener.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("s")
