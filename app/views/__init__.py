"""What the page shows of results, as HTML text; every name that comes from a visitor is escaped here."""
