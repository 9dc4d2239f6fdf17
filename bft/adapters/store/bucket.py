"""Objects in a bucket: single PUTs, conditional where it matters, digests in the metadata."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bft.adapters.store import keys
from bft.adapters.store.folder import sha256
from bft.domain.errors import ConfigError, DataError, UnavailableError

_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket"}
_ABSENT = {"404", "NoSuchKey", "NotFound"}


class BucketObjects:
    """Objects under `s3://bucket/prefix`; credentials come from the usual AWS places."""

    def __init__(self, url: str, *, endpoint: str | None, region: str) -> None:
        parts = urlsplit(url)
        self.root = url.rstrip("/")
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        if parts.scheme != "s3" or not self._bucket:
            raise ConfigError(f"--root {url}: a bucket is named as s3://bucket/prefix")
        retries = {"max_attempts": 5, "mode": "standard"}
        config = Config(
            retries=retries, connect_timeout=5, read_timeout=60, s3={"addressing_style": "path"}
        )
        self._client = boto3.client("s3", endpoint_url=endpoint, region_name=region, config=config)
        name = hashlib.sha256(f"{endpoint}{self.root}".encode()).hexdigest()[:16]
        self._cache = Path(tempfile.gettempdir()) / f"bft-cache-{name}"

    def get(self, key: str) -> bytes:
        """Bytes of the object.

        Raises:
            DataError: there is none.
        """
        with self._faults(key):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._name(key))
                data: bytes = answer["Body"].read()
            except ClientError as error:
                if _code(error) in _ABSENT:
                    raise DataError(f"{key} is not in {self.root}") from error
                raise
        return data

    def put(self, key: str, data: bytes) -> str:
        """One PUT; equal bytes are left alone."""
        digest = sha256(data)
        if self.digest(key) != digest:
            with self._faults(key):
                self._put(key, data, digest)
        return digest

    def create(self, key: str, data: bytes) -> bool:
        """A conditional PUT (`If-None-Match: *`)."""
        with self._faults(key):
            try:
                self._put(key, data, sha256(data), IfNoneMatch="*")
            except ClientError as error:
                if _code(error) in {"PreconditionFailed", "412", "ConditionalRequestConflict"}:
                    return False
                raise
        return True

    def delete(self, key: str) -> None:
        """Remove; absent is fine."""
        with self._faults(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def keys(self, prefix: str) -> list[str]:
        """All keys with that prefix, every page of them."""
        top = f"{self._prefix}/" if self._prefix else ""
        cut, wanted = len(top), top + keys.prefix(prefix)
        with self._faults(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=wanted
            )
            return sorted(item["Key"][cut:] for page in pages for item in page.get("Contents", ()))

    def digest(self, key: str) -> str | None:
        """sha256 from the object's metadata; read and computed where another tool wrote it."""
        with self._faults(key):
            try:
                head = self._client.head_object(Bucket=self._bucket, Key=self._name(key))
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise
        return head["Metadata"].get("sha256") or sha256(self.get(key))

    def path(self, key: str) -> Path:
        """A local copy, refreshed where its digest differs; folders are copied whole."""
        local = self._cache / keys.plain(key)
        for name in self.keys(key):
            if name == key or name.startswith(f"{key}/"):
                self._copy(name, self._cache / keys.plain(name))
        return local

    def _copy(self, key: str, file: Path) -> None:
        if file.exists() and sha256(file.read_bytes()) == self.digest(key):
            return
        data = self.get(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=".tmp-", dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as open_file:
                open_file.write(data)
            Path(aside).replace(file)
        finally:
            Path(aside).unlink(missing_ok=True)

    def _name(self, key: str) -> str:
        return f"{self._prefix}/{keys.plain(key)}" if self._prefix else keys.plain(key)

    def _put(self, key: str, data: bytes, digest: str, **conditions: str) -> None:
        metadata = {"sha256": digest}
        self._client.put_object(
            Bucket=self._bucket, Key=self._name(key), Body=data, Metadata=metadata, **conditions
        )

    @contextmanager
    def _faults(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            text = f"{self.root}: {key}: {error}"
            refused = _code(error) in _REFUSED
            raise (ConfigError(text) if refused else UnavailableError(text)) from error
        except BotoCoreError as error:
            raise UnavailableError(f"{self.root}: {key}: {error}") from error


def _code(error: ClientError) -> str:
    code: str = error.response["Error"]["Code"]
    return code
