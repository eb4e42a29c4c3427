"""The window: the only part that knows Qt, napari and magicgui. It composes and forwards; it decides nothing."""
