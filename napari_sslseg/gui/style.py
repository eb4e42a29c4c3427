"""Style: what the dock adds to the themes of napari, so that one sees where the keyboard is."""

COLOUR = "#2385d6"  # is seen on dark and on light
KINDS = ("QAbstractButton", "QComboBox", "QAbstractSpinBox", "QLineEdit", "QAbstractItemView", "QAbstractSlider")
ROOM = "QCheckBox, QRadioButton {border: 1px solid transparent; padding-right: 2px}"  # for the frame, beside the label
FOCUS = f"{ROOM}\n" + ", ".join(f"{kind}:focus" for kind in KINDS) + f" {{border: 1px solid {COLOUR}}}"
TITLE = f"""
QPushButton {{border: 1px solid transparent; background: transparent}}
QPushButton {{font-weight: bold; padding: 1px; text-align: left}}
QPushButton:focus {{border: 1px solid {COLOUR}}}
"""
