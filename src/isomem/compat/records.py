"""Configuration classes that behave like pydantic's models, without pydantic.

A class lists its fields as annotations, with defaults. pydantic takes the class as the type of a
field of its own models; its `Field(...)` is understood as a default. pydantic is imported by
nobody but the program that uses it.
"""

from __future__ import annotations

import sys
from copy import copy, deepcopy
from functools import partial

from isomem.compat import values as kinds
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

    model_config: ClassVar[Any] = {}
    model_fields_set: set[str]
    _validators: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__()
        cls._validators = {**cls._validators, **_decorated(cls)}
        own = {name: _field(cls, name, kind) for name, kind in _annotated(cls)}
        cls.model_fields = {**cls.model_fields, **own}
        cls.model_config = {**cls.model_config, **options}
        cls.extra = str(cls.__dict__.get("extra") or cls.model_config.get("extra") or cls.extra)
        cls.model_config["extra"] = cls.extra

    def __init__(self, **values: object) -> None:
        try:
            given = self._known(self._validated_before(self._before(values)))
            self.__dict__["model_fields_set"] = {*given}
            for name, field in self.model_fields.items():
                found = name in given
                value = self._validated(name, given.pop(name)) if found else field.get_default()
                self.__dict__[name] = value
            self.__dict__.update(given)
            self._after()
            self.model_post_init(None)
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
    def _known(cls, values: Mapping[str, object]) -> dict[str, object]:
        missing = [
            name
            for name, field in cls.model_fields.items()
            if field.is_required() and name not in values
        ]
        if missing:
            raise wrong(cls, f"{missing[0]} is required", missing[0])
        cls.check_known(values)
        return {
            name: value
            for name, value in values.items()
            if name in cls.model_fields or cls.extra == "allow"
        }

    @classmethod
    def check_known(cls, values: Mapping[str, object]) -> None:
        """Raises InvalidConfigError if there is an unknown field, and the class refuses those."""
        unknown = [name for name in values if name not in cls.model_fields]
        if unknown and cls.extra == "forbid":
            raise wrong(
                cls,
                f"Extra fields not allowed: {', '.join(unknown)}. Please input only the following "
                f"fields: {', '.join(cls.model_fields)}",
                unknown[0],
            )

    # --- Validators that a program writes with pydantic's decorators -------------------------

    def _validated_before(self, values: dict[str, object]) -> dict[str, object]:
        for name, info in self._validators.items():
            if _is_of_model(info, "before"):
                values = _called(getattr(type(self), name), values)
        return values

    def _validated(self, field: str, value: object) -> object:
        """A value after the program's validators of its field, and the check of its type."""
        info = _Info(field, dict(self))
        check: Callable[[object], object] = partial(_typed, type(self), field)
        for validator in reversed(self._validators_of(field, "before")):
            value = _called(validator, value, info)
        for validator in self._validators_of(field, "wrap"):
            check = partial(_wrapped, validator, check, info)
        for validator in self._validators_of(field, "plain"):
            check = partial(_called, validator, info=info)
        value = check(value)
        for validator in self._validators_of(field, "after"):
            value = _called(validator, value, info)
        return value

    def _validators_of(self, field: str, mode: str) -> list[Any]:
        return [
            getattr(type(self), name)
            for name, info in self._validators.items()
            if info.mode == mode and {field, "*"} & {*getattr(info, "fields", ())}
        ]

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
            raise _refusal(cls, wrong(cls, f"a dict is needed, not {type(obj).__name__}"))
        return cls(**obj)

    @classmethod
    def model_validate_json(
        cls: type[Self], json_data: str | bytes | bytearray, **_options: object
    ) -> Self:
        """A record from a JSON object.

        Raises:
            InvalidConfigError: as the constructor, and if it is not JSON.
        """
        import json

        try:
            given = json.loads(json_data)
        except ValueError:
            raise _refusal(cls, wrong(cls, "JSON is needed, and this is something else")) from None
        return cls.model_validate(given)

    @classmethod
    def model_rebuild(cls, **_options: object) -> None:
        """None: there is nothing to build."""

    def model_post_init(self, context: Any, /) -> None:
        """Called when the fields are set; for subclasses."""

    @classmethod
    def model_construct(
        cls: type[Self], _fields_set: set[str] | None = None, **values: object
    ) -> Self:
        """A record with these values, unchecked."""
        made = cls.__new__(cls)
        missing = {n: f.get_default() for n, f in cls.model_fields.items() if n not in values}
        made.__dict__.update({**missing, **values})
        made.__dict__["model_fields_set"] = {*values} if _fields_set is None else _fields_set
        made.model_post_init(None)
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
            include, exclude: names of fields; a dict has what to take or leave in each.
            exclude_unset: leaves out what was not given.
            exclude_defaults: leaves out what equals its default.
            exclude_none: leaves out what is None.
            mode, **options: accepted for compatibility, and passed on to inner models.
        """
        leave_out = {"exclude_none": exclude_none, "exclude_unset": exclude_unset}
        inner = {"mode": mode, **leave_out, "exclude_defaults": exclude_defaults, **options}
        return {
            name: kinds.parts_of(
                _dumped(value, inner), kinds.below(include, name), kinds.below(exclude, name)
            )
            for name, value in self
            if (include is None or name in include)
            and not kinds.is_whole(exclude, name)
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

        separators = (",", ": " if indent else ":")
        dumped = self.model_dump(**options)
        return json.dumps(
            dumped, indent=indent, separators=separators, ensure_ascii=False, default=str
        )

    def model_copy(
        self: Self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> Self:
        """A copy with other values for some fields, unchecked."""
        made = deepcopy(self) if deep else copy(self)
        made.model_fields_set.update(update or ())
        made.__dict__.update(update or {})
        return made

    def __copy__(self: Self) -> Self:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, model_fields_set={*self.model_fields_set})
        return made

    @property
    def model_extra(self) -> dict[str, Any] | None:
        """What was given beside the fields; None if the class does not keep it."""
        if self.extra != "allow":
            return None
        return {name: value for name, value in self if name not in self.model_fields}

    @classmethod
    def model_json_schema(cls, **_options: object) -> dict[str, Any]:
        """The fields as a JSON schema; one of an unusual type has no type there."""
        required = [name for name, field in cls.model_fields.items() if field.is_required()]
        properties = {name: _schema_of(name, field) for name, field in cls.model_fields.items()}
        schema = {"title": cls.__name__, "type": "object", "properties": properties}
        return {**schema, "required": required} if required else schema

    # --- What pydantic asks a foreign class for ----------------------------------------------

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            cls.model_validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                _serialized, info_arg=True
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: object, _handler: object) -> Any:
        return cls.model_json_schema()

    # --- Values ------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for name, value in self.__dict__.items():
            own = not name.startswith("_") and name != "model_fields_set"
            if name in self.model_fields or (own and self.extra == "allow"):
                yield name, value

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_") or hasattr(getattr(type(self), name, None), "__set__"):
            object.__setattr__(self, name, value)
            return
        if name not in self.model_fields and self.extra != "allow":
            raise ValueError(f'"{type(self).__name__}" object has no field "{name}"')
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


def _wrapped(validator: Any, check: Callable[[object], object], info: _Info, value: object) -> Any:
    from inspect import signature

    more = (info,) if len(signature(validator).parameters) > 2 else ()
    return validator(value, check, *more)


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


def _schema_of(name: str, field: Field) -> dict[str, Any]:
    plain, optional = kinds.words_of(field.annotation)
    kind = kinds.SCHEMA.get(plain.partition("[")[0], {})
    told = {"anyOf": [kind, {"type": "null"}]} if optional and kind else kind
    described = {"description": field.description} if field.description else {}
    # As in pydantic: the names of the fields with spaces, each word with a capital.
    return {"title": name.replace("_", " ").title(), **told, **described}


def _serialized(record: Record, info: Any) -> dict[str, Any]:
    """A record in a model of pydantic's, as that one is asked for."""
    names = ("mode", "include", "exclude", "exclude_unset", "exclude_defaults", "exclude_none")
    return record.model_dump(**{name: getattr(info, name) for name in names})


def _dumped(value: object, options: Mapping[str, Any]) -> object:
    if isinstance(value, (list, tuple)):
        return [_dumped(each, options) for each in value]
    if isinstance(value, dict):
        return {key: _dumped(each, options) for key, each in value.items()}
    if isinstance(value, Record):
        return value.model_dump(**options)
    return value.model_dump() if hasattr(value, "model_dump") else value


# --- Faults ----------------------------------------------------------------------------------


def _typed(cls: type[Record], name: str, value: object) -> object:
    """A value as its field wants it: text that is a number becomes one, as in pydantic."""
    field = cls.model_fields.get(name)
    if field is None:
        return value
    try:
        return kinds.typed(field.annotation, value)
    except ValueError as error:
        raise wrong(cls, f"{name} must {error}", name) from None


def wrong(cls: type, fault: str, field: str | None = None) -> InvalidConfigError:
    """The error for values that a configuration class refuses; `field` is what they are for."""
    details = {"class": cls.__name__, **({"field": field} if field else {})}
    return InvalidConfigError(f"{cls.__name__}: {fault}", error_code="CONFIG_002", details=details)


def _refusal(cls: type, error: Exception) -> Exception:
    """The error as pydantic's, for a program that has imported pydantic and catches that."""
    core: Any = sys.modules.get("pydantic_core")
    if core is None:
        return error if isinstance(error, InvalidConfigError) else wrong(cls, str(error))
    place: tuple[str, ...] = ()
    if isinstance(error, core.ValidationError):
        # Of a class of the program's: its text would show the values.
        fault = "; ".join(each["msg"] for each in error.errors(include_input=False))
    elif isinstance(error, InvalidConfigError):
        fault = error.message
        place = (error.details["field"],) if "field" in error.details else ()
    else:
        fault = str(error)
    made: Exception = core.ValidationError.from_exception_data(
        cls.__name__,
        [
            {
                "type": core.PydanticCustomError("value_error", "{fault}", {"fault": fault}),
                "loc": place,
                "input": None,
            }
        ],
        hide_input=True,
    )
    return made
