"""Images with masks: one module a source, each giving samples; `load.load_data` turns them into a trial's arrays."""
