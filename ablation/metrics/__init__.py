"""The scores of a segmentation."""
