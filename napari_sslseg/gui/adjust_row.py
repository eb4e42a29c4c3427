"""Row in step 5: masks made surer, smoother or parted while one looks, under a fold; and the table of objects."""

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sslseg.gui import object_table
from napari_sslseg.gui.adjusting import Adjusting
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.fold import Fold
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.slider import Slider
from napari_sslseg.refinement_file import Settings

SURE = "How sure it has to be that something is not background: to the left more is found, to the right less"
APART = "How readily objects that touch are taken apart: to the right more objects"
UNKNOWN = "It was not kept how sure these masks are. Predict once more (▶ This plane), then this can be set"


class AdjustRow(QWidget):
    """Sets how masks are refined.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk, self._adjusting = desk, Adjusting.of(desk)
        self.fold = Fold("Adjust", "Change the masks while you look: surer, smoother, without specks, parted")
        self.objects = QPushButton("Objects…")
        self.objects.setToolTip("A table of all objects: sizes, places, brightness; to save as a CSV file")
        self.content = QWidget()
        self.content.hide()
        self.sure = Slider("How sure", 48, lambda k: round(0.02 + k * 0.02, 2), lambda v: f"{v:.0%}", self)
        self.apart = Slider("Take apart", 50, lambda k: k / 50, lambda v: f"{v:.0%}", self)
        self.smooth = Slider("Smooth", 15, lambda k: k, lambda v: f"{v} px" if v else "–", self)
        self.least = Slider("Smallest", 60, self._size, self._said_size, self)
        self.holes = QCheckBox("Fill holes")
        self.holes.setToolTip("Fill holes that lie wholly inside an object")
        self.split = QComboBox()
        self.split.setAccessibleName("Class whose touching objects are parted")
        self.split.setToolTip("Part touching objects of this class by a thin line of background; takes some seconds")
        self.neck = Slider("Necks", 49, lambda k: k / 50, lambda v: f"{v:.0%}", self)
        self.neck.setToolTip("How narrow it is where objects are parted: to the right more is cut")
        self.apply = QPushButton("✓ Apply to everything")
        self.apply.setToolTip("Change all masks of the project like this, also on the disk; Reset brings them back")
        self.reset = QPushButton("Reset")
        self.reset.setToolTip("Back to the masks as they were predicted")
        self.said = QLabel()
        self.said.setWordWrap(True)
        self._compose()
        self._connect()
        self.refresh()

    def _compose(self) -> None:
        whole, buttons, inside = QVBoxLayout(self), QHBoxLayout(), QVBoxLayout(self.content)
        whole.setContentsMargins(0, 0, 0, 0)
        inside.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(buttons)
        whole.addWidget(self.content)
        buttons.addWidget(self.fold)
        buttons.addStretch(1)
        buttons.addWidget(self.objects)
        self._form, ends = QFormLayout(), QHBoxLayout()
        self._form.setSpacing(3)
        for name, row in (("how sure", self.sure), ("take apart", self.apart), ("smooth", self.smooth)):
            self._form.addRow(name, row)
        self.smooth.setToolTip("Smooth outlines over so many pixels")
        self.least.setToolTip("What is smaller goes away: specks and holes of classes, small objects")
        self._form.addRow("smallest", self.least)
        self._form.addRow(self.holes)
        self._form.addRow("part objects", self.split)
        self._form.addRow("at necks", self.neck)
        inside.addLayout(self._form)
        inside.addLayout(ends)
        inside.addWidget(self.said)
        ends.addWidget(self.apply, 1)
        ends.addWidget(self.reset)

    def _connect(self) -> None:
        adjusting, session = self._adjusting, self._desk.session
        self.fold.toggled.connect(self._unfold)
        self.objects.clicked.connect(lambda: object_table.show(self._desk))
        for name in ("sure", "apart", "smooth", "least", "neck"):
            getattr(self, name).moved.connect(lambda value, name=name: adjusting.set(**{name: value}))
        self.holes.toggled.connect(lambda on: adjusting.set(holes=on))
        self.split.currentIndexChanged.connect(lambda at: adjusting.set(split=self.split.itemData(at) or 0))
        self.apply.clicked.connect(adjusting.keep)
        self.reset.clicked.connect(adjusting.reset)
        adjusting.changed.connect(self.refresh)
        for signal in (session.current_changed, session.classes_changed, session.activity_changed):
            listen(self, signal, self.refresh)
        self.destroyed.connect(adjusting.leave)

    def _unfold(self, shown: bool) -> None:
        self.content.setVisible(shown)
        self._adjusting.watch(shown)

    def _size(self, position: int) -> float:
        return self._adjusting.scale[0] * 2 ** (position / 3) if position else 0.0

    def _said_size(self, value: float) -> str:
        unit = self._adjusting.scale[1]
        return f"{value:.0f} px" if value and unit == "px" else f"{value:.3g} {unit}" if value else "–"

    def refresh(self) -> None:
        """Show what is set."""
        adjusting, session = self._adjusting, self._desk.session
        settings, project = adjusting.settings, session.project
        instance, sure = project is not None and project.task == "instance", adjusting.sure is not False
        for widget, on in ((self.apart, instance), (self.holes, instance), (self.split, not instance)):
            _show(self._form, widget, on)
        _show(self._form, self.neck, not instance and settings.shown.split > 0)
        for name in ("sure", "apart", "smooth", "least", "neck"):
            getattr(self, name).show_value(getattr(settings.shown, name))
        for widget, said in ((self.sure, SURE), (self.apart, APART)):
            widget.setEnabled(sure)
            widget.setToolTip(said if sure else UNKNOWN)
        for box in (self.holes, self.split):
            box.blockSignals(True)
        self.holes.setChecked(settings.shown.holes)
        self.split.clear()
        self.split.addItem("of no class", 0)
        for known in project.classes[1:] if project else ():
            self.split.addItem(known.name, known.value)
        self.split.setCurrentIndex(max(0, self.split.findData(settings.shown.split)))
        for box in (self.holes, self.split):
            box.blockSignals(False)
        free = session.running is None
        self.content.setEnabled(session.running != "result")
        self.apply.setEnabled(free and settings.shown != settings.kept)
        self.reset.setEnabled(free and settings != Settings())
        differs = settings.pending
        self.said.setText(adjusting.said or ("Shown, and not yet applied to all masks" if differs else ""))
        self.said.setVisible(bool(self.said.text()))


def _show(form: QFormLayout, widget: QWidget, on: bool) -> None:
    """Show a row of a form or hide it, with its label; older Qt has no word for it."""
    widget.setVisible(on)
    label = form.labelForField(widget)
    if label is not None:
        label.setVisible(on)
