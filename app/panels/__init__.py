"""The page's panels: layout only, one file each, returning its components."""
