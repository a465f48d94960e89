"""One file a tab: what it shows of a visit, and what a visitor can do there."""
