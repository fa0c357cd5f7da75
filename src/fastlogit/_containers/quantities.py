"""Numbers with a unit: no function here knows what the exponential of a metre is, nor of a percentage."""

from typing import Any, NoReturn

from fastlogit._containers import library_of


def refuse(name: str, argument: str, value: Any) -> NoReturn:
    pint = library_of(value) == "pint"
    cure = "to('dimensionless').magnitude" if pint else "to_value('')"
    raise TypeError(
        f"{name}: {argument} is a {type(value).__name__} of {library_of(value)}, which has a unit; pass its "
        f"value without one, as {argument}.{cure}"
    )


def numbers(name: str, argument: str, value: Any) -> NoReturn:
    refuse(name, argument, value)


def share(function: Any, x: Any, axis: Any, where: Any) -> NoReturn:
    refuse(function.__name__, "x", x)


def add(function: Any, a: Any, axis: Any, options: Any) -> NoReturn:
    refuse(function.__name__, "a", a)


def check_elementwise(name: str, x: Any) -> NoReturn:
    refuse(name, "x", x)
