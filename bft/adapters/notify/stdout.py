"""Messages as log events: nobody is configured to be told."""

import structlog

log = structlog.get_logger()


class Stdout:
    """The Notifier of a laptop; the log goes to stderr, stdout stays one JSON line."""

    def notify(self, subject: str, text: str) -> None:
        """Log the message."""
        log.info("notify", subject=subject, text=text)
