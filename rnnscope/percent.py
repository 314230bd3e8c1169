"""How shares are written, in summaries and in figures: one notation."""


def percent(share: float, digits: int = 0) -> str:
    """A share in per cent, with a space before the sign; what is small keeps two digits, and what is not all of it is
    never written as 100 %.

    Args:
        share: from 0 to 1, or any other ratio.
        digits: behind the point, for shares of a tenth and more.

    Example:
        >>> percent(0.724), percent(0.034), percent(0.0), percent(0.9999), percent(1.0)
        ('72 %', '3.4 %', '0 %', '99.99 %', '100 %')
        >>> percent(0.4444, 1), percent(0.99964, 1)
        ('44.4 %', '99.96 %')
    """
    value = 100 * share
    if 0 < abs(value) < 0.01:
        return "0 %" if abs(value) < 1e-9 else "< 0.01 %" if value > 0 else "> -0.01 %"
    if 0 < abs(value) < 10:
        return f"{value:.2g} %"
    if value < 100 and float(f"{value:.{digits}f}") >= 100:
        # Rounded down, to two digits at least: so much is certainly there.
        return f"{int(value * 100) / 100:g} %" if value < 99.99 - 1e-9 else "99.99 %"
    return f"{value:.{digits}f} %"
