"""Configuration classes that behave like pydantic's models, without pydantic.

A class lists its fields as annotations, with defaults. pydantic takes the class as the type of a
field of its own models; its `Field(...)` is understood as a default. pydantic is imported by
nobody but the program that uses it.
"""

from __future__ import annotations

import sys
from copy import copy, deepcopy

from isomem.errors import InvalidConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, ClassVar, TypeVar

    Self = TypeVar("Self", bound="Record")

REQUIRED: Any = ...
"""The default of a field that has none, as in pydantic."""


class Field:
    """One field of a record; the attributes are those of pydantic's `FieldInfo`.

    Attributes:
        annotation: the type, or the text of it.
        default: the value if none is given; `...` if one has to be.
        default_factory: makes that value, or None.
        description: what it is for, or None.
    """

    def __init__(
        self,
        annotation: object,
        default: object = REQUIRED,
        default_factory: Callable[[], object] | None = None,
        description: str | None = None,
    ) -> None:
        self.annotation = annotation
        self.default = default
        self.default_factory = default_factory
        self.description = description

    def is_required(self) -> bool:
        """Whether a value has to be given."""
        return self.default is REQUIRED and self.default_factory is None

    def get_default(self, *, call_default_factory: bool = True) -> object:
        """The value if none is given; a new one each time."""
        if self.default_factory is not None and call_default_factory:
            return self.default_factory()
        return deepcopy(self.default)

    def __repr__(self) -> str:
        return f"Field(annotation={self.annotation!r}, default={self.default!r})"


class Record:
    """Base of the configuration classes.

    Args:
        **values: the fields, by name. Whether others are refused is up to the class (`extra`).

    Raises:
        InvalidConfigError: a field is missing, unknown or of the wrong type. If the program has
            imported pydantic, it is pydantic's `ValidationError`, which such programs catch. Both
            are ValueErrors, and neither shows a value.
    """

    model_fields: ClassVar[dict[str, Field]] = {}
    extra: ClassVar[str] = "ignore"
    """"ignore", "allow" or "forbid", as in pydantic."""

    model_fields_set: set[str]
    _validators: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        cls._validators = {**cls._validators, **_decorated(cls)}
        own = {name: _field(cls, name, kind) for name, kind in _annotated(cls)}
        cls.model_fields = {**cls.model_fields, **own}
        configured = cls.__dict__.get("model_config")
        if isinstance(configured, dict) and "extra" in configured:
            cls.extra = str(configured["extra"])

    def __init__(self, **values: object) -> None:
        try:
            values = self._validated_before(self._before(values))
            given = self._check(values)
            self.__dict__["model_fields_set"] = {*given}
            for name, field in self.model_fields.items():
                found = name in given
                value = self._validated(name, given.pop(name)) if found else field.get_default()
                self.__dict__[name] = value
            self.__dict__.update(given)
            self._after()
            self._validated_after()
        except (ValueError, AssertionError) as error:
            raise _refusal(type(self), error) from None

    @classmethod
    def _before(cls, values: dict[str, object]) -> dict[str, object]:
        """What is looked at before the fields are. Raises InvalidConfigError."""
        return values

    def _after(self) -> None:
        """What depends on several fields."""

    @classmethod
    def _check(cls, values: Mapping[str, object]) -> dict[str, object]:
        missing = [
            name
            for name, field in cls.model_fields.items()
            if field.is_required() and name not in values
        ]
        if missing:
            raise _wrong(cls, f"{missing[0]} is required")
        cls.check_known(values)
        return {
            name: _typed(cls, name, value)
            for name, value in values.items()
            if name in cls.model_fields or cls.extra == "allow"
        }

    @classmethod
    def check_known(cls, values: Mapping[str, object]) -> None:
        """Raises InvalidConfigError if there is an unknown field, and the class refuses those."""
        unknown = [name for name in values if name not in cls.model_fields]
        if unknown and cls.extra == "forbid":
            raise _wrong(
                cls,
                f"Extra fields not allowed: {', '.join(unknown)}. Please input only the following "
                f"fields: {', '.join(cls.model_fields)}",
            )

    # --- Validators that a program writes with pydantic's decorators -------------------------

    def _validated_before(self, values: dict[str, object]) -> dict[str, object]:
        for name, info in self._validators.items():
            if _is_of_model(info, "before"):
                values = _called(getattr(type(self), name), values)
        return values

    def _validated(self, field: str, value: object) -> object:
        for name, info in self._validators.items():
            if field in getattr(info, "fields", ()) and info.mode != "wrap":
                value = _called(getattr(type(self), name), value, _Info(field, dict(self)))
        return value

    def _validated_after(self) -> None:
        for name, info in self._validators.items():
            if _is_of_model(info, "after"):
                getattr(self, name)()

    # --- pydantic's methods ----------------------------------------------------------------

    @classmethod
    def model_validate(cls: type[Self], obj: object, **_options: object) -> Self:
        """A record from a dict, or `obj` if it is one already.

        Raises:
            InvalidConfigError: as the constructor.
        """
        if isinstance(obj, cls):
            return obj
        if not isinstance(obj, dict):
            raise _refusal(cls, _wrong(cls, f"a dict is needed, not {type(obj).__name__}"))
        return cls(**obj)

    @classmethod
    def model_construct(
        cls: type[Self], _fields_set: set[str] | None = None, **values: object
    ) -> Self:
        """A record with these values, unchecked."""
        made = cls.__new__(cls)
        missing = {n: f.get_default() for n, f in cls.model_fields.items() if n not in values}
        made.__dict__.update({**missing, **values})
        made.__dict__["model_fields_set"] = {*values} if _fields_set is None else _fields_set
        return made

    def model_dump(
        self,
        *,
        mode: str = "python",
        include: Any = None,
        exclude: Any = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        **options: Any,
    ) -> dict[str, Any]:
        """The fields as a dict; records in them become dicts, too.

        Args:
            include, exclude: names of fields.
            exclude_unset: leaves out what was not given.
            exclude_defaults: leaves out what equals its default.
            exclude_none: leaves out what is None.
            mode, **options: accepted for compatibility, and passed on to inner models.
        """
        leave_out = {"exclude_none": exclude_none, "exclude_unset": exclude_unset}
        inner = {"mode": mode, **leave_out, "exclude_defaults": exclude_defaults, **options}
        return {
            name: _dumped(value, inner)
            for name, value in self
            if (name in self.model_fields or self.extra == "allow")
            and (include is None or name in include)
            and not (exclude and name in exclude)
            and not (exclude_unset and name not in self.model_fields_set)
            and not (exclude_none and value is None)
            and not (exclude_defaults and self._is_default(name, value))
        }

    def _is_default(self, name: str, value: object) -> bool:
        field = self.model_fields.get(name)
        return field is not None and not field.is_required() and value == field.get_default()

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """`model_dump` as JSON; what JSON has no form for is written as text."""
        import json

        return json.dumps(self.model_dump(**options), indent=indent, default=str)

    def model_copy(
        self: Self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> Self:
        """A copy with other values for some fields, unchecked."""
        made = deepcopy(self) if deep else copy(self)
        made.__dict__["model_fields_set"] = {*self.model_fields_set, *(update or {})}
        made.__dict__.update(update or {})
        return made

    @classmethod
    def model_json_schema(cls, **_options: object) -> dict[str, Any]:
        """The fields as a JSON schema, without types."""
        required = [name for name, field in cls.model_fields.items() if field.is_required()]
        properties = {
            name: {
                "title": name,
                **({"description": field.description} if field.description else {}),
            }
            for name, field in cls.model_fields.items()
        }
        schema = {"title": cls.__name__, "type": "object", "properties": properties}
        return {**schema, "required": required} if required else schema

    # --- What pydantic asks a foreign class for ----------------------------------------------

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            cls.model_validate,
            serialization=core_schema.plain_serializer_function_ser_schema(Record.model_dump),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: object, _handler: object) -> Any:
        return cls.model_json_schema()

    # --- Values ------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for name, value in self.__dict__.items():
            if name != "model_fields_set":
                yield name, value

    def __setattr__(self, name: str, value: object) -> None:
        self.model_fields_set.add(name)
        self.__dict__[name] = value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and [*self] == [*other]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(name for name, _ in self)})"  # Values can be keys.
        )


# Their names in pydantic 1. Not in the class, where `dict` has to stay the type.
for _old, _new in (
    ("dict", "model_dump"), ("json", "model_dump_json"), ("copy", "model_copy"),
    ("parse_obj", "model_validate"), ("construct", "model_construct"),
    ("schema", "model_json_schema"),
):  # fmt: skip
    setattr(Record, _old, vars(Record)[_new])


def _decorated(cls: type) -> dict[str, Any]:
    """What pydantic's decorators say about the methods of a class, which become plain ones."""
    found = {}
    for name, value in list(vars(cls).items()):
        info = getattr(value, "decorator_info", None)
        if info is not None and hasattr(info, "mode"):
            found[name] = info
            setattr(cls, name, value.wrapped)
    return found


def _is_of_model(info: Any, mode: str) -> bool:
    return not hasattr(info, "fields") and info.mode == mode


class _Info:
    """What pydantic tells a validator: the field, and those that were checked before it."""

    def __init__(self, field_name: str, data: dict[str, Any]) -> None:
        self.field_name = field_name
        self.data = data
        self.context = None


def _called(validator: Any, value: Any, info: _Info | None = None) -> Any:
    """A validator's answer; like pydantic, it is asked with as many arguments as it takes."""
    from inspect import signature

    wanted = len(signature(validator).parameters)
    return validator(value, info) if wanted > 1 else validator(value)


def _annotated(cls: type) -> Iterator[tuple[str, object]]:
    own = (
        cls.__annotations__
        if "__annotations__" in cls.__dict__ or sys.version_info >= (3, 14)
        else {}
    )
    for name, kind in own.items():
        if not name.startswith("_") and "ClassVar" not in str(kind) and name != "model_fields_set":
            yield name, kind


def _field(cls: type, name: str, kind: object) -> Field:
    given = cls.__dict__.get(name, REQUIRED)
    if not hasattr(given, "default_factory"):
        return Field(kind, given)
    # pydantic's `Field(...)`, or ours: its default stands in for the attribute.
    unset = str(given.default) in ("PydanticUndefined", "Ellipsis")
    default = REQUIRED if unset else given.default
    factory = given.default_factory
    if default is REQUIRED:
        delattr(cls, name)
    else:
        setattr(cls, name, default)
    return Field(kind, default, factory, getattr(given, "description", None))


def _dumped(value: object, options: Mapping[str, Any]) -> object:
    if isinstance(value, (list, tuple)):
        return [_dumped(each, options) for each in value]
    if isinstance(value, dict):
        return {key: _dumped(each, options) for key, each in value.items()}
    if isinstance(value, Record):
        return value.model_dump(**options)
    return value.model_dump() if hasattr(value, "model_dump") else value


# --- Types -----------------------------------------------------------------------------------

_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "dict": (dict,),
    "Dict": (dict,),
    "list": (list, tuple),
    "List": (list, tuple),
}


def _typed(cls: type[Record], name: str, value: object) -> object:
    """A value as its field wants it: text that is a number becomes one, as in pydantic."""
    field = cls.model_fields.get(name)
    words = _words_of(field.annotation) if field else ""
    optional = "None" in words or "Optional" in words
    if value is None:
        if words not in ("", "Any") and not optional:
            raise _wrong(cls, f"{name} must not be None")
        return value
    plain = words.replace(" | None", "").removeprefix("Optional[").removesuffix("]")
    wanted = _PLAIN.get(plain.partition("[")[0])
    if wanted is None or isinstance(value, wanted):
        return value
    if wanted[0] is dict and hasattr(value, "model_dump"):
        return value.model_dump()
    converted = _converted(value, wanted[-1])
    if converted is None:
        raise _wrong(cls, f"{name} must be of type {plain}, not {type(value).__name__}")
    return converted


def _words_of(annotation: object) -> str:
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def _converted(value: object, wanted: type) -> object:
    if wanted is bool:
        known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        return known.get(str(value).lower())
    if wanted in (int, float) and isinstance(value, (str, float)):
        try:
            number = float(value)
        except ValueError:
            return None
        return number if wanted is float else int(number) if number == int(number) else None
    if wanted is str and hasattr(value, "__fspath__"):
        return str(value)
    return None


def _wrong(cls: type, fault: str) -> InvalidConfigError:
    return InvalidConfigError(
        f"{cls.__name__}: {fault}", error_code="CONFIG_002", details={"class": cls.__name__}
    )


def wrong(cls: type, fault: str) -> InvalidConfigError:
    """The error for values that a configuration class refuses."""
    return _wrong(cls, fault)


def _refusal(cls: type, error: Exception) -> Exception:
    """The error as pydantic's, for a program that has imported pydantic and catches that."""
    core: Any = sys.modules.get("pydantic_core")
    if core is None:
        return error if isinstance(error, InvalidConfigError) else _wrong(cls, str(error))
    fault = error.message if isinstance(error, InvalidConfigError) else str(error)
    made: Exception = core.ValidationError.from_exception_data(
        cls.__name__,
        [
            {
                "type": core.PydanticCustomError("value_error", "{fault}", {"fault": fault}),
                "loc": (),
                "input": None,
            }
        ],
        hide_input=True,
    )
    return made
