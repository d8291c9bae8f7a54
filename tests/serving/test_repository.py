"""New versions, bad ones, and folders that are being copied."""

import asyncio
import os
import shutil
import threading

import pytest

from modeling.errors import UserError
from modeling.serving import repository as repository_module
from modeling.serving.batching import BatchOptions
from modeling.serving.limits import RequestRefused
from modeling.serving.repository import Repository, find_models
from modeling.serving.rest import Query
from tests.serving.servers import Gate, running, version, wait_until

_QUERY = Query("serving_default", [(b"abc",)])


def repository(directory, load):
    return Repository(
        str(directory), BatchOptions(wait_seconds=0), lambda *_: None, load=load
    )


def loading(directory):
    """Folders as they are loaded, and what loads those that are whole."""
    loaded = []

    def load(folder):
        loaded.append(folder[len(str(directory)) :])
        if (directory / folder / "broken").exists():
            raise OSError("not whole")
        return Gate().model()

    return loaded, load


def test_find_models(tmp_path):
    version(tmp_path, "a", 2)
    version(tmp_path, "a", 10)
    version(tmp_path, "b", 1)
    version(tmp_path, ".hidden", 1)
    (tmp_path / "a" / "11").mkdir()
    (tmp_path / "a" / "notes").mkdir()
    (tmp_path / "readme.txt").touch()
    found = find_models(str(tmp_path))
    assert {name: sorted(v) for name, v in found.items()} == {
        "a": [2, 10],
        "b": [1],
    }
    assert find_models(str(tmp_path / "a")) == {"a": found["a"]}
    with pytest.raises(UserError, match="no directory .*nowhere"):
        find_models(str(tmp_path / "nowhere"))


def test_mistakes_at_the_start(tmp_path):
    def load(folder):
        raise OSError("not whole")

    with pytest.raises(UserError, match="has no models: NAME/VERSION"):
        asyncio.run(repository(tmp_path, load).start())
    version(tmp_path, "a", 1)
    with pytest.raises(UserError, match="a/1 cannot be loaded: not whole"):
        asyncio.run(repository(tmp_path, load).start())


def test_a_broken_version_at_the_start_leaves_the_one_before(tmp_path):
    loaded, load = loading(tmp_path)

    async def main():
        models = repository(tmp_path, load)
        version(tmp_path, "a", 1)
        broken = version(tmp_path, "a", 2) / "broken"
        broken.touch()
        await models.start()
        assert models.get("a").version == 1
        # It is not tried again as it is, but once it is whole.
        await models.refresh()
        await models.refresh()
        assert len(loaded) == 2
        broken.unlink()
        await models.refresh()
        await models.refresh()
        assert models.get("a").version == 2
        await models.close()

    asyncio.run(main())


def test_new_versions(tmp_path):
    loaded, load = loading(tmp_path)

    async def main():
        models = repository(tmp_path, load)
        version(tmp_path, "a", 1)
        version(tmp_path, "b", 1)
        await models.start()
        await models.refresh()
        await models.refresh()
        assert loaded == ["/a/1", "/b/1"]

        # Taken over when it is seen a second time as it is.
        folder = version(tmp_path, "a", 3)
        await models.refresh()
        (folder / "variables").write_bytes(b"more")
        await models.refresh()
        assert models.get("a").version == 1
        await models.refresh()
        assert models.get("a").version == models.get("a", 3).version == 3
        with pytest.raises(RequestRefused, match="version 3 is served"):
            models.get("a", 1)

        # One that cannot be loaded is tried again when it has changed.
        (version(tmp_path, "a", 4) / "broken").touch()
        for _ in range(4):
            await models.refresh()
        assert loaded[2:] == ["/a/3", "/a/4"]
        assert models.get("a").version == 3
        (tmp_path / "a" / "4" / "broken").unlink()
        await models.refresh()
        await models.refresh()
        assert models.get("a").version == 4

        # The way back, and a new name.
        shutil.rmtree(tmp_path / "a" / "4")
        version(tmp_path, "c", 1)
        await models.refresh()
        await models.refresh()
        assert models.get("a").version == 3
        assert models.get("c").version == 1
        # Without any version it goes on with what it has.
        shutil.rmtree(tmp_path / "b")
        await models.refresh()
        assert models.get("b").version == 1
        await models.close()

    asyncio.run(main())


def test_a_broken_version_does_not_hide_the_one_before(tmp_path, caplog):
    _, load = loading(tmp_path)

    async def main():
        models = repository(tmp_path, load)
        version(tmp_path, "a", 1)
        await models.start()
        version(tmp_path, "a", 2)
        (version(tmp_path, "a", 3) / "broken").touch()
        for _ in range(4):
            await models.refresh()
        assert models.get("a").version == 2
        await models.close()

    asyncio.run(main())
    (told,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert told.getMessage() == f"{tmp_path}/a/3 cannot be loaded: not whole"
    assert not told.exc_info


def test_a_folder_that_goes_while_it_is_looked_at(tmp_path):
    folder = version(tmp_path, "a", 1)
    (folder / "saved_model.pb").unlink()
    (folder / "saved_model.pb").symlink_to("nowhere")
    assert repository_module._looks(str(folder)) == []


def test_folders_that_cannot_be_read(tmp_path, monkeypatch):
    version(tmp_path, "a", 1)
    (tmp_path / "lost+found").mkdir()
    closed = str(tmp_path / "lost+found")
    original = os.listdir

    def listdir(path):
        if path == closed:
            raise PermissionError(13, "Permission denied", path)
        return original(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert list(find_models(str(tmp_path))) == ["a"]
    closed = str(tmp_path)
    with pytest.raises(UserError, match=f"{tmp_path} cannot be read: Perm"):
        find_models(str(tmp_path))


def test_an_old_version_answers_what_it_was_asked(tmp_path):
    old, new = Gate(), Gate()
    gates = [old, new]

    async def main():
        version(tmp_path, "a", 1)
        models = repository(tmp_path, lambda folder: gates.pop(0).model())
        await models.start()
        old.open.clear()
        asked = [models.get("a").submit(_QUERY) for _ in range(3)]
        await asyncio.sleep(0.05)
        version(tmp_path, "a", 2)
        await models.refresh()
        await models.refresh()
        assert models.get("a").version == 2
        again = models.get("a").submit(_QUERY)
        old.open.set()
        for pending in (*asked, again):
            assert (await pending.answers)[0]["length"] == 3
        assert sum(map(len, old.batches)) == 3
        assert sum(map(len, new.batches)) == 1
        await models.close()

    asyncio.run(main())


def test_no_request_is_lost_while_versions_change(tmp_path):
    version(tmp_path, "a", 1)
    statuses, done = [], threading.Event()

    def ask(server):
        while not done.is_set():
            said = server.post("/v1/models/a:predict", {"instances": ["abc"]})
            statuses.append(said)

    with running(tmp_path, lambda folder: Gate().model()) as server:
        clients = [threading.Thread(target=ask, args=[server]) for _ in "abc"]
        for client in clients:
            client.start()
        for number in range(2, 5):
            version(tmp_path, "a", number)
            wait_until(
                lambda n=number: (
                    server.metric('bert_model_version{model="a"}') == n
                )
            )
            answered = len(statuses)
            wait_until(lambda n=answered: len(statuses) > n + 6)
        done.set()
        for client in clients:
            client.join()
    assert set(map(str, statuses)) == {"(200, {'predictions': [3]})"}
