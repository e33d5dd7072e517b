"""Reports on the catalogue: generated beforehand, shown to each visitor as far as he may see the datasets."""
