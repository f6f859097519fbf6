"""Files of cases: hashed, announced, sent to the store in parts, and completed."""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from .error import LhcmsError
from .generated import Client
from .generated.api.attachments import complete_attachment, create_attachment, get_attachment_upload
from .generated.models import Attachment, AttachmentCreate, AttachmentUpload, FileKind, FileType, UploadPart
from .generated.types import UNSET

# The largest file that is one part, in bytes, and the size of the parts of a larger one. The contract says so.
MAX_SINGLE = 104_857_600
PART_SIZE = 67_108_864
# How much is read at a time, in bytes. PART_SIZE is a multiple.
BLOCK = 1_048_576
# How many parts are sent at the same time, and how often one is sent at most.
PARALLEL = 3
ATTEMPTS = 5
# The longest pause before a part is sent again, in seconds.
LONGEST_PAUSE = 20.0
# For each block, and for the answer.
TIMEOUT = httpx.Timeout(60.0)

TYPES = {
    "stl": FileType.MODELSTL,
    "ply": FileType.MODELPLY,
    "obj": FileType.MODELOBJ,
    "dcm": FileType.APPLICATIONDICOM,
    "pdf": FileType.APPLICATIONPDF,
    "jpg": FileType.IMAGEJPEG,
    "jpeg": FileType.IMAGEJPEG,
    "png": FileType.IMAGEPNG,
    "heic": FileType.IMAGEHEIC,
    "zip": FileType.APPLICATIONZIP,
}


@dataclass(frozen=True)
class UploadProgress:
    """How far an upload is.

    step: whether the file is being hashed, before it is announced, or sent.
    done: the bytes that are done in this step.
    size: the bytes of the file.
    attachment_id: the id of the file, once it is announced. Keep it to resume the upload.
    """

    step: Literal["hash", "send"]
    done: int
    size: int
    attachment_id: str | None


def upload(client: Client, case_id: int, path: str | Path, *, kind: FileKind, file_name: str | None = None,
           content_type: FileType | None = None, on_progress: Callable[[UploadProgress], None] = lambda progress: None,
           resume: str | None = None, transport: httpx.BaseTransport | None = None) -> Attachment:
    """Sends a file to a case. Returns it when the store has it; then it is scanned.

    kind is what the file is for. file_name and content_type are those of the path by default. on_progress may be called by other
    threads, but not by two at a time. resume is the id of an upload of the same file that has failed: only what is missing is sent.
    transport sends the requests to the store.
    """
    path = Path(path)
    size = path.stat().st_size
    if resume is None:
        body = describe(path, size, kind, file_name or path.name, content_type, on_progress)
        announced = create_attachment.sync(case_id, client=client, body=body)
    else:
        try:
            announced = get_attachment_upload.sync(case_id, resume, client=client)
        except LhcmsError as error:
            # Everything was sent, and only the answer was lost.
            if error.code == "upload_finished":
                return complete_attachment.sync(case_id, resume, client=client)
            raise
        if announced.attachment.size != size:
            raise ValueError(f"The upload {resume} is of another file: it has {announced.attachment.size} bytes, and this file has {size}.")
    attachment_id = announced.attachment.id
    with httpx.Client(timeout=TIMEOUT, transport=transport) as store:
        Sender(store, path, announced, lambda: get_attachment_upload.sync(case_id, attachment_id, client=client), on_progress).send()
    return complete_attachment.sync(case_id, attachment_id, client=client)


def describe(path: Path, size: int, kind: FileKind, file_name: str, content_type: FileType | None,
             on_progress: Callable[[UploadProgress], None]) -> AttachmentCreate:
    """The announcement of a file."""
    content_type = content_type or TYPES.get(file_name.rpartition(".")[2].lower())
    if content_type is None:
        raise ValueError(f"Files of this type cannot be sent. The types are: {', '.join(TYPES)}.")
    whole, parts, done = hashlib.sha256(), [], 0
    for block in blocks(path, 0, size):
        if done % PART_SIZE == 0:
            parts.append(hashlib.sha256())
        whole.update(block)
        parts[-1].update(block)
        done += len(block)
        on_progress(UploadProgress("hash", done, size, None))
    part_sha256 = [part.hexdigest() for part in parts] if size > MAX_SINGLE else UNSET
    return AttachmentCreate(file_name=file_name, content_type=content_type, size=size, sha256=whole.hexdigest(), kind=kind, part_sha256=part_sha256)


class Sender:
    """Sends the parts of a file that the store does not have."""

    def __init__(self, store: httpx.Client, path: Path, announced: AttachmentUpload, ask: Callable[[], AttachmentUpload],
                 on_progress: Callable[[UploadProgress], None]) -> None:
        self._store = store
        self._path = path
        self._attachment = announced.attachment
        self._part_size = announced.upload.part_size
        # Newly signed requests.
        self._ask = ask
        self._on_progress = on_progress
        self._requests = {part.number: part for part in announced.upload.parts}
        self._sent = {part.number: part.size if part.is_sent else 0 for part in announced.upload.parts}
        self._lock = threading.Lock()

    def send(self) -> None:
        """Sends the parts, some at the same time."""
        missing = [part.number for part in self._requests.values() if not part.is_sent]
        self._report()
        with ThreadPoolExecutor(PARALLEL) as pool:
            try:
                for future in as_completed([pool.submit(self._send_part, number) for number in missing]):
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _send_part(self, number: int) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            part = self._requests[number]
            try:
                status = self._store.put(part.url, headers=part.headers.to_dict(), content=self._content(part)).status_code
            except httpx.TransportError:
                status = 0
            # 412: an attempt whose answer was lost has sent it.
            if status == 412 or 200 <= status < 300:
                return
            if attempt < ATTEMPTS:
                time.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.5 * 2**attempt)))
            if status == 403:
                # The requests have expired.
                self._requests.update((part.number, part) for part in self._ask().upload.parts)
        answer = f"answers {status}" if status else "does not answer"
        raise LhcmsError(status, {"detail": f"Part {number} of the file cannot be sent: the store {answer}."}, None)

    def _content(self, part: UploadPart) -> Iterator[bytes]:
        self._sent[part.number] = 0
        for block in blocks(self._path, (part.number - 1) * self._part_size, part.size):
            yield block
            self._sent[part.number] += len(block)
            self._report()

    def _report(self) -> None:
        with self._lock:
            self._on_progress(UploadProgress("send", sum(self._sent.values()), self._attachment.size, self._attachment.id))


def blocks(path: Path, start: int, size: int) -> Iterator[bytes]:
    """Some bytes of a file, a block at a time."""
    with path.open("rb") as file:
        file.seek(start)
        while size > 0 and (block := file.read(min(BLOCK, size))):
            size -= len(block)
            yield block
