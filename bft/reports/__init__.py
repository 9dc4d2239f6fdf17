"""Tables to PDF, HTML, Markdown and site JSON."""
