"""The hub library's errors in our words: what is wrong with which model, and what helps."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from qwen3_chat.app.chat.errors import HubError
from qwen3_chat.app.chat.hub.name import HubName

__all__ = ["translated"]

SETTINGS = "https://huggingface.co/settings/tokens"


@contextmanager
def translated(name: HubName, endpoint: str) -> Iterator[None]:
    """Whatever the hub's library raises in here becomes a HubError about this model."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except HubError:
        raise
    except GatedRepoError as error:
        raise HubError(
            f"{name}: its owner asks for consent first: agree on {endpoint}/{name.repository}, then set HF_TOKEN to a "
            f"token of yours ({SETTINGS})"
        ) from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"{name}: there is no such path, and {endpoint} has no such model, or not for you; check the spelling, or "
            "set HF_TOKEN for a private one"
        ) from error
    except RevisionNotFoundError as error:
        raise HubError(
            f"{name}: has no revision {name.revision!r}; leave out @{name.revision} for the newest"
        ) from error
    except RemoteEntryNotFoundError as error:
        raise HubError(f"{name}: a file of it is not there any more; try again") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no status"
        raise HubError(f"{name}: {endpoint} answers with {status}; try again later") from error
    except LocalEntryNotFoundError as error:
        raise _unreachable(name, endpoint, error.__cause__ or error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HubError(f"{name}: the disk is full; make room, the next download goes on from there") from error
        if error.errno is not None and error.filename is not None:
            raise HubError(f"{name}: {error.filename}: {error.strerror}") from error
        raise _unreachable(name, endpoint, error) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2"):
            raise _unreachable(name, endpoint, error) from error
        raise


def _unreachable(name: HubName, endpoint: str, error: BaseException) -> HubError:
    why = " ".join(str(error).split()) or type(error).__name__
    return HubError(
        f"{name}: there is no such path, and {endpoint} cannot be reached ({why}); check the connection and try again"
    )
