"""Forms: a Config becomes widgets and comes back."""

from dataclasses import dataclass
from typing import Any

import pytest
from qtpy.QtTest import QTest

from napari_sslseg.config import Config, param
from napari_sslseg.errors import ConfigError
from napari_sslseg.gui.forms import Form
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig


@dataclass(frozen=True)
class Settings(Config):
    name: str = param("a", "What it is called")
    kind: str = param("x", "What it is", choices=("x", "y"))
    size: int = param(8, "How large", ge=2, le=64, unit="px")
    rate: float = param(1e-3, "How fast", ge=1e-7, le=1.0)
    limit: int | None = param(None, "How many, if limited", ge=1)
    flip: bool = param(True, "Whether to flip")


@pytest.mark.parametrize("kind", [Settings, PretrainConfig, FinetuneConfig, PredictConfig, RuntimeConfig])
def test_an_untouched_form_says_the_defaults(kind: Any, qtbot: Any) -> None:
    assert Form(kind).config() == kind()


def test_a_form_shows_what_is_set_and_says_it_again(qtbot: Any) -> None:
    form, settings = Form(Settings), Settings("b", "y", 16, 2.5e-4, 7, False)
    form.set(settings)
    assert form.config() == settings
    form.set(Settings())
    assert form.config() == Settings()


def test_bounds_unit_and_help_are_those_declared(qtbot: Any) -> None:
    form = Form(Settings)
    size = form["size"]
    assert (size.min, size.max, size.label, size.tooltip) == (2, 64, "size (px)", "How large")


def test_names_of_components_are_chosen(qtbot: Any) -> None:
    form = Form(Settings, choices={"name": ("a", "b")})
    assert form["name"].choices == ("a", "b")


def test_a_part_of_the_parameters_can_be_shown(qtbot: Any) -> None:
    assert list(Form(Settings, only=("size",))) == ["size"]
    assert "size" not in list(Form(Settings, without=("size",)))


def test_what_is_not_shown_can_be_given(qtbot: Any) -> None:
    assert Form(Settings, only=("size",)).config(flip=False) == Settings(flip=False)
    with pytest.raises(ConfigError, match="size is 1"):
        Form(Settings, without=("size",)).config(size=1)


def test_what_is_no_number_is_told(qtbot: Any) -> None:
    form = Form(Settings)
    form["rate"].value = "fast"
    with pytest.raises(ConfigError, match="rate is 'fast'. It must be a number"):
        form.config()


@pytest.mark.parametrize(("name", "typed"), [("size", "16"), ("limit", "120")])
def test_a_number_counts_as_it_is_typed(qtbot: Any, name: str, typed: str) -> None:
    form = Form(Settings)
    qtbot.addWidget(form.widget)
    field = form[name].native
    field.selectAll()
    QTest.keyClicks(field, typed)
    assert getattr(form.config(), name) == int(typed)
