"""The report: one HTML page, a file a section."""
