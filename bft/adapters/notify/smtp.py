"""Messages by mail."""

import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from bft.domain.errors import ConfigError, UnavailableError

TIMEOUT_S = 30.0
EXAMPLE = "smtp://user:password@mail.example:587"


class Smtp:
    """The Notifier over SMTP; `smtps` is TLS from the start, `smtp` upgrades where offered."""

    def __init__(self, url: str, to: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ConfigError(f"BFT_SMTP_URL is no mail server; for example {EXAMPLE}")
        if not to:
            raise ConfigError("BFT_NOTIFY_TO is empty; for example BFT_NOTIFY_TO=me@mail.example")
        self._parts, self._to, self._host = parts, to, parts.hostname

    def notify(self, subject: str, text: str) -> None:
        """Send one mail.

        Raises:
            UnavailableError: the server does not answer or refuses.
        """
        mail = EmailMessage()
        mail["From"] = self._to
        mail["To"] = self._to
        mail["Subject"] = " ".join(subject.split())
        mail.set_content(text)
        try:
            with self._connect() as server:
                self._login(server)
                server.send_message(mail)
        except (OSError, smtplib.SMTPException) as error:
            raise UnavailableError(f"mail server {self._host}: {type(error).__name__}") from error

    def _connect(self) -> smtplib.SMTP:
        if self._parts.scheme == "smtps":
            return smtplib.SMTP_SSL(
                self._host,
                self._parts.port or 465,
                timeout=TIMEOUT_S,
                context=ssl.create_default_context(),
            )
        server = smtplib.SMTP(self._host, self._parts.port or 587, timeout=TIMEOUT_S)
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
        return server

    def _login(self, server: smtplib.SMTP) -> None:
        if self._parts.username:
            server.login(unquote(self._parts.username), unquote(self._parts.password or ""))
