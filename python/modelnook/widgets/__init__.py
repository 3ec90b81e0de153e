"""The cell widget: one anywidget class for every view. Imported only when a view is shown."""
