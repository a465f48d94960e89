"""Numbers, sizes and amounts as people read them."""


def short_number(value: int) -> str:
    """Write a count in at most four characters and a unit: 92.2 M."""
    for size, unit in ((10**9, " B"), (10**6, " M"), (10**3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}" if value / size < 999.5 else f"{round(value / size):d}{unit}"
    return str(value)


def size_of(count: int) -> str:
    """Write a number of bytes, in powers of ten as disks and the Hub count."""
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def percent(share: float, digits: int = 2) -> str:
    """Write a share as a percentage."""
    return f"{share:.{digits}%}"
